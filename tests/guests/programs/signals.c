// Faults and the handlers that mend them: precise addresses and program counters, registers changed by a handler, nested signals.
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include "common.h"

static char *page;
static volatile int faults, codes, illegal, traps, users;
static sigjmp_buf back;
static long n;

static void on_segv(int s, siginfo_t *info, void *context)
{
    (void)s, (void)context;
    faults++;
    codes += info->si_code;
    sum((char *)info->si_addr - page);
    mprotect(page, 4096, PROT_READ | PROT_WRITE); // the instruction is done again, now successfully
}
static void on_segv_jump(int s, siginfo_t *info, void *context)
{
    (void)s, (void)context;
    sum((uintptr_t)info->si_addr);
    siglongjmp(back, 1);
}
static void on_ill(int s, siginfo_t *info, void *context)
{
    (void)s;
    ucontext_t *c = context;
    check((uintptr_t)info->si_addr == c->uc_mcontext.__gregs[REG_PC]);
    illegal++;
    c->uc_mcontext.__gregs[REG_PC] += 4;
    c->uc_mcontext.__gregs[REG_A0] = 42;
}
static void on_trap(int s, siginfo_t *info, void *context)
{
    (void)s, (void)info;
    ucontext_t *c = context;
    traps++;
    c->uc_mcontext.__gregs[REG_PC] += 4;
}
static void on_user(int s, siginfo_t *info, void *context)
{
    (void)info, (void)context;
    volatile double d = users; // FP state must survive
    d = d * 1.5 + 1;
    users++;
    if (s == SIGUSR1)
        raise(SIGUSR2);
}
static void handle(int s, void (*f)(int, siginfo_t *, void *))
{
    struct sigaction a = { .sa_flags = SA_SIGINFO };
    a.sa_sigaction = f;
    check(sigaction(s, &a, NULL) == 0);
}
int main(int argc, char **argv)
{
    n = iterations(argc, argv, 200);
    page = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(page != MAP_FAILED);
    handle(SIGILL, on_ill);
    handle(SIGTRAP, on_trap);
    handle(SIGUSR1, on_user);
    handle(SIGUSR2, on_user);
    double product = 1;
    for (long i = 0; i < n; i++) {
        handle(SIGSEGV, on_segv);
        mprotect(page, 4096, PROT_READ);
        long at = i * 8 % 4096;
        *(volatile uint64_t *)(page + at) = i; // faults once, then is done
        check(*(volatile uint64_t *)(page + at) == (uint64_t)i);
        mprotect(page, 4096, PROT_NONE);
        sum(*(volatile uint16_t *)(page + at));
        mprotect(page + 4096, 4096, PROT_NONE);
        mprotect(page, 4096, PROT_READ | PROT_WRITE);
        handle(SIGSEGV, on_segv_jump);
        if (!sigsetjmp(back, 1)) { // a null pointer, jumped out of
            long offset = i * 4;
            HIDE(offset);
            sum(*(volatile uint32_t *)offset);
        }
        long r;
        __asm__ volatile("li a0, 1\n .option push\n .option norvc\n .4byte 0xffffffff\n .option pop\n mv %0, a0" : "=r"(r) : : "a0");
        sum(r);
        __asm__ volatile(".option push\n .option norvc\n ebreak\n .option pop" : : : "memory");
        product *= 1.0000001;
        raise(SIGUSR1);
    }
    sum_print("signals");
    printf("faults %d codes %d illegal %d traps %d users %d product %.12f\n", faults, codes, illegal, traps, users, product);
    // no trap for these, ever
    long quotient, zero = 0;
    volatile double fzero = 0;
    __asm__ volatile("div %0, %1, %2" : "=r"(quotient) : "r"(7l), "r"(zero));
    printf("7/0 %ld 1.0/0 %f\n", quotient, 1 / fzero);
    return 0;
}
