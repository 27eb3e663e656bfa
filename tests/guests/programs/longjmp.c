// setjmp and longjmp out of deep calls: returns that no call announced, which a predictor of returns must survive.
#include <setjmp.h>
#include "common.h"

static jmp_buf back;
static long n;
static void (*volatile leave)(struct __jmp_buf_tag *, int) = longjmp; // the compiler must not know where it ends
static NOINLINE int deep(int depth, int value)
{
    if (depth == 0) {
        leave(back, value);
        return 0;
    }
    int r = deep(depth - 1, value + 1);
    HIDE(r); // no tail call: every level returns
    return r + 1;
}
static NOINLINE int even_deeper(int depth)
{
    if (depth == 0)
        return 0;
    int r = even_deeper(depth - 1);
    HIDE(r);
    return r + depth;
}
int main(int argc, char **argv)
{
    n = iterations(argc, argv, 2000);
    for (volatile long i = 0; i < n; i++) {
        double kept = i * 0.5; // callee-saved FP state crosses the jump
        volatile int v = setjmp(back);
        if (v == 0)
            deep(i % 37, 1);
        sum(v + even_deeper(i % 50));
        uint64_t u;
        memcpy(&u, &kept, 8);
        if (v == 0)
            sum(u);
    }
    sum_print("longjmp");
    return 0;
}
