// Indirect calls and jumps: a table of functions, a switch, computed goto, tail calls.
#include "common.h"

#define F(i) static NOINLINE uint64_t f##i(uint64_t x) { HIDE(x); return x * (2 * i + 3) + (x >> (i + 1)) + i; }
F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) F(12) F(13) F(14) F(15)
static uint64_t (*const table[16])(uint64_t) = { f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15 };

static NOINLINE uint64_t machine(const uint8_t *code, uint64_t a) // a small byte code, by computed goto
{
    static const void *const op[] = { &&end, &&inc, &&dbl, &&mix, &&skip, &&neg, &&call, &&dec };
#define NEXT goto *op[*code++ & 7]
    uint64_t b = 1;
    NEXT;
inc: a += b; NEXT;
dbl: a = a * 2 + 1; NEXT;
mix: b ^= a >> 7; NEXT;
skip: code += a & 1; NEXT;
neg: a = ~a; NEXT;
call: a = table[a & 15](a); NEXT;
dec: a -= b >> 3; NEXT;
end: return a ^ b;
}
static NOINLINE uint64_t choose(unsigned c, uint64_t x)
{
    switch (c) {
    case 0: return x + 1; case 1: return x ^ 0x55; case 2: return x * 3; case 3: return x >> 1; case 4: return ~x; case 5: return x << 3;
    case 6: return x - 9; case 7: return x * x; case 8: return x | 6; case 9: return x & ~7ull; case 10: return x + x / 3; default: return x % 1000003;
    }
}
int main(int argc, char **argv)
{
    long n = iterations(argc, argv, 20);
    uint64_t x = 1;
    static uint8_t code[1024];
    for (size_t i = 0; i + 2 < sizeof code; i++)
        code[i] = 1 + random64() % 7;
    while (n--) {
        for (int i = 0; i < 2000; i++)
            x = table[(x ^ x >> 17) & 15](x);
        sum(x);
        x = machine(code, x);
        sum(x);
        for (int i = 0; i < 2000; i++)
            x = choose((x >> 5 ^ i) % 13, x) + i;
        sum(x);
    }
    sum_print("indirect");
    return 0;
}
