// Threads: atomic instructions of every kind, a lock, a condition, thread-local storage; with one worker and with two.
#include <pthread.h>
#include <stdatomic.h>
#include "common.h"

static _Atomic uint64_t a64, or64, max_seen, cas64;
static _Atomic uint32_t a32, xor32;
static _Atomic uint8_t a8;
static uint64_t plain;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turn, workers;
static __thread uint64_t own;
static long n;

static void *work(void *id_)
{
    int id = (int)(intptr_t)id_;
    for (long i = 0; i < n; i++) {
        atomic_fetch_add(&a64, i);
        atomic_fetch_sub_explicit(&a32, 3, memory_order_relaxed);
        atomic_fetch_xor(&xor32, (uint32_t)(i * 2654435761u));
        atomic_fetch_or(&or64, 1ull << (i % 64));
        atomic_fetch_add(&a8, 5); // no byte instruction: an LR/SC loop in the word around it
        uint64_t seen = atomic_load(&max_seen), mine = i * 7;
        while (seen < mine && !atomic_compare_exchange_weak(&max_seen, &seen, mine)) {}
        uint64_t old = atomic_load(&cas64);
        while (!atomic_compare_exchange_strong(&cas64, &old, old + 2)) {}
        uint64_t r, top = i;
        __asm__ volatile("amomaxu.d.aqrl %0, %1, (%2)" : "=r"(r) : "r"(top), "r"(&max_seen) : "memory");
        pthread_mutex_lock(&mutex);
        plain += i;
        pthread_mutex_unlock(&mutex);
        own += i;
    }
    for (int i = 0; i < 50; i++) { // strictly in turns
        pthread_mutex_lock(&mutex);
        while (turn % workers != id)
            pthread_cond_wait(&changed, &mutex);
        turn++;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&mutex);
    }
    return (void *)(uintptr_t)own;
}
// Dekker's pattern: with the fences, both sides never miss each other's store
static _Atomic int x, y;
static int rx[2];
static pthread_barrier_t barrier;
static void *dekker(void *id_)
{
    int id = (int)(intptr_t)id_;
    for (int i = 0; i < 300; i++) {
        pthread_barrier_wait(&barrier);
        if (id == 0)
            atomic_store(&x, 0), atomic_store(&y, 0);
        pthread_barrier_wait(&barrier);
        atomic_store_explicit(id ? &x : &y, 1, memory_order_relaxed);
        atomic_thread_fence(memory_order_seq_cst);
        rx[id] = atomic_load_explicit(id ? &y : &x, memory_order_relaxed);
        pthread_barrier_wait(&barrier);
        if (id == 0)
            check(rx[0] | rx[1]);
    }
    return NULL;
}
static void amo(void) // every AMO, on edge values, alone
{
#define AMO(insn, T) ({ T m = (T)b; uint64_t r; __asm__ volatile(insn " %0, %2, (%1)" : "=&r"(r) : "r"(&m), "r"(a) : "memory"); sum(r); sum((uint64_t)m); })
#define BOTH(name) AMO("amo" name ".w", uint32_t); AMO("amo" name ".d.aq", uint64_t)
    for (int i = 0; i < 500; i++) {
        uint64_t a = random_edge(), b = random_edge();
        BOTH("swap"); BOTH("add"); BOTH("xor"); BOTH("and"); BOTH("or"); BOTH("min"); BOTH("max"); BOTH("minu"); BOTH("maxu");
    }
    sum_print("amo");
}
int main(int argc, char **argv)
{
    n = iterations(argc, argv, 2000);
    amo();
    for (workers = 1; workers <= 2; workers++) {
        pthread_t t[2];
        uint64_t owned = 0;
        turn = 0;
        for (int i = 0; i < workers; i++)
            check(pthread_create(&t[i], NULL, work, (void *)(intptr_t)i) == 0);
        for (int i = 0; i < workers; i++) {
            void *r;
            pthread_join(t[i], &r);
            owned += (uintptr_t)r;
        }
        printf("workers %d: %llu %u %u %llx %u %llu %llu %llu %llu %d\n", workers, (unsigned long long)a64, a32, xor32, (unsigned long long)or64,
            a8, (unsigned long long)max_seen, (unsigned long long)cas64, (unsigned long long)plain, (unsigned long long)owned, turn);
    }
    pthread_t t[2];
    pthread_barrier_init(&barrier, NULL, 2);
    for (int i = 0; i < 2; i++)
        pthread_create(&t[i], NULL, dekker, (void *)(intptr_t)i);
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    puts("ordered");
    return 0;
}
