// Shared by the test programs: iterations from the command line, a checksum, a generator of pseudo-random numbers.
// Every program prints the same on every correct machine: nothing in the output depends on time, addresses or scheduling.
#ifndef COMMON_H
#define COMMON_H
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOINLINE __attribute__((noinline))
// The value of x, which the compiler can no longer know.
#define HIDE(x) __asm__ volatile("" : "+r"(x))

static inline long iterations(int argc, char **argv, long normal)
{
    long n = argc > 1 ? strtol(argv[1], NULL, 0) : normal;
    return n > 0 ? n : 1;
}

// FNV-1a over 64-bit values
static uint64_t sum_state = 0xcbf29ce484222325u;
static inline void sum(uint64_t value)
{
    for (int i = 0; i < 8; i++) {
        sum_state = (sum_state ^ (value & 0xff)) * 0x100000001b3u;
        value >>= 8;
    }
}
// Prints the checksum of what was summed since the last call, under a name.
static inline void sum_print(const char *name)
{
    printf("%s %016llx\n", name, (unsigned long long)sum_state);
    sum_state = 0xcbf29ce484222325u;
}

static uint64_t random_state = 0x9e3779b97f4a7c15u;
static inline uint64_t random64(void) // xorshift64*
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 0x2545f4914f6cdd1du;
}
// A number that is interesting more often than a plain random one: few bits, all ones, ends of ranges, small.
static inline uint64_t random_edge(void)
{
    uint64_t r = random64(), bit = 1ull << (r >> 58);
    switch (r & 7) {
    case 0: return bit;
    case 1: return bit - 1;
    case 2: return 0 - bit;
    case 3: return (r >> 8) & 0xff;
    case 4: return (uint64_t)(int64_t)(int32_t)(r >> 16);
    case 5: return (r & 8) ? 0x7fffffffffffffffu : 0x8000000000000000u;
    default: return random64();
    }
}

#define check(condition) \
    do { \
        if (!(condition)) { \
            printf("FAILED %s:%d: %s\n", strrchr("/" __FILE__, '/') + 1, __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)
#endif
