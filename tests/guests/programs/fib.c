// Recursion: calls and returns, hardly anything else.
#include "common.h"

static NOINLINE uint64_t fib(uint64_t n)
{
    HIDE(n); // keeps the compiler from unfolding the recursion
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}
static NOINLINE uint64_t ackermann(uint64_t m, uint64_t n)
{
    HIDE(m);
    return m == 0 ? n + 1 : n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}
int main(int argc, char **argv)
{
    long n = iterations(argc, argv, 1);
    uint64_t total = 0;
    for (long i = 0; i < n; i++)
        total += fib(24) + ackermann(2, 60 + i % 8);
    printf("fib %llu ackermann %llu sum %016llx\n", (unsigned long long)fib(20), (unsigned long long)ackermann(2, 9), (unsigned long long)total);
    return 0;
}
