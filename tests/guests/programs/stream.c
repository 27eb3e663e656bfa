// Memory in order: copy, scale and add over more than the caches hold; loads and stores of every width, aligned and not.
#include "common.h"

enum { N = 1 << 18 };
static uint64_t a[N], b[N];
static double x[N / 2], y[N / 2];

#define WIDTH(T, step) \
    for (size_t i = 0; i + sizeof(T) + 8 < sizeof a / 8; i += step) { \
        T v; \
        memcpy(&v, (char *)a + i, sizeof v); \
        s += (uint64_t)(int64_t)v; \
        v = (T)(v * 3 + 1); \
        memcpy((char *)b + i, &v, sizeof v); \
    }
int main(int argc, char **argv)
{
    long n = iterations(argc, argv, 1);
    uint64_t s = 0;
    for (size_t i = 0; i < N; i++)
        a[i] = i * 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < N / 2; i++)
        x[i] = i * 0.25, y[i] = 1;
    while (n--) {
        memcpy(b, a, sizeof a);
        for (size_t i = 0; i < N; i++)
            s += b[i] ^ a[N - 1 - i];
        for (size_t i = 0; i < N; i++)
            a[i] = a[i] * 5 + b[i];
        for (size_t i = 0; i < N / 2; i++)
            y[i] = y[i] * 0.5 + x[i];
        WIDTH(int8_t, 1) WIDTH(uint8_t, 3) WIDTH(int16_t, 2) WIDTH(uint16_t, 5) WIDTH(int32_t, 4) WIDTH(uint32_t, 7) WIDTH(uint64_t, 8) WIDTH(uint64_t, 9)
        // an unaligned access is the machine's or the kernel's business, and must give the same
        for (size_t i = 4089; i < 4104; i++) {
            uint64_t v;
            __asm__ volatile("ld %0, 0(%1)" : "=r"(v) : "r"((char *)a + i) : "memory");
            __asm__ volatile("sw %0, 0(%1)" : : "r"(v), "r"((char *)b + i) : "memory");
            s += v;
        }
        sum(s);
        sum((uint64_t)y[n & 1023]);
    }
    for (size_t i = 0; i < N; i += 97)
        sum(b[i]), sum((uint64_t)y[i / 2]);
    sum_print("stream");
    return 0;
}
