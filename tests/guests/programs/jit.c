// Code made at run time: written, run, rewritten in place, moved to other pages, unmapped and mapped again.
#include <sys/mman.h>
#include <unistd.h>
#include "common.h"

static uint32_t addi(int rd, int rs, int imm) { return (uint32_t)imm << 20 | rs << 15 | rd << 7 | 0x13; }
static const uint32_t ret = 0x00008067, nop = 0x13;
enum { A0 = 10 };
typedef long (*code_t)(long);

static void publish(void *from, size_t length) { __builtin___clear_cache((char *)from, (char *)from + length); }

int main(int argc, char **argv)
{
    long n = iterations(argc, argv, 200);
    const size_t size = 16384;
    uint32_t *w = mmap(NULL, size, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(w != MAP_FAILED);
    for (long i = 0; i < n; i++) {
        // in place: the same address, another constant, each time
        w[0] = addi(A0, A0, i % 2000);
        w[1] = ret;
        publish(w, 8);
        check(((code_t)w)(5) == 5 + i % 2000);

        // one instruction of a longer run is patched
        for (int k = 0; k < 64; k++)
            w[64 + k] = addi(A0, A0, 1);
        w[128] = ret;
        publish(w + 64, 65 * 4);
        sum(((code_t)(w + 64))(i));
        w[64 + i % 64] = addi(A0, A0, 100);
        publish(w + 64 + i % 64, 4);
        sum(((code_t)(w + 64))(i));
        check(((code_t)(w + 64))(0) == 163);

        // an instruction that straddles two pages: its second half is changed
        uint16_t *half = (uint16_t *)w + 2048 - 1;
        uint32_t insn = addi(A0, A0, 7);
        half[0] = insn, half[1] = insn >> 16, half[2] = 0x8082; // c.jr ra
        publish(half, 6);
        check(((code_t)half)(1) == 8);
        insn = addi(A0, A0, 9);
        half[1] = insn >> 16;
        publish(half + 1, 2);
        check(((code_t)half)(1) == 10);

        // data beside code: stores to the page that runs, at other lines and at this one
        volatile uint32_t *data = w + 512;
        for (int k = 0; k < 32; k++)
            data[k] = k * i;
        sum(data[i % 32]);
        check(((code_t)w)(1) == 1 + i % 2000);

        // code that overwrites what it is about to reach: sw a1, 8(a2); fence.i; (patched word); ret
        uint32_t *s = w + 1536;
        s[0] = 0x00b62023 | 8 << 7; // sw a1, 8(a2)
        s[1] = 0x0000100f;          // fence.i
        s[2] = nop;
        s[3] = ret;
        publish(s, 16);
        long (*self)(long, uint32_t, uint32_t *) = (long (*)(long, uint32_t, uint32_t *))s;
        check(self(1, addi(A0, A0, 30), s) == 31);
        check(self(1, addi(A0, A0, 50), s) == 51);

        // the write-then-execute way, and the same page elsewhere
        if (i % 16 == 0) {
            check(mprotect(w, size, PROT_READ | PROT_WRITE) == 0);
            w[0] = addi(A0, A0, 11);
            check(mprotect(w, size, PROT_READ | PROT_EXEC) == 0);
            publish(w, 4);
            check(((code_t)w)(1) == 12);
            uint32_t *moved = mremap(w, size, size * 2, MREMAP_MAYMOVE);
            check((void *)moved != MAP_FAILED);
            w = moved;
            check(((code_t)w)(2) == 13);
            check(munmap(w, size * 2) == 0);
            w = mmap(w, size, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
            check((void *)w != MAP_FAILED && w[0] == 0);
        }
    }
    sum_print("jit");
    return 0;
}
