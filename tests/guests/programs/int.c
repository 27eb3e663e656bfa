// Integer torture: every arithmetic instruction of RV64IM(+B where compiled in), on edge values, results summed by kind.
#include "common.h"

#define OP(name, insn) \
    static NOINLINE uint64_t name(uint64_t a, uint64_t b) \
    { \
        uint64_t r; \
        __asm__ volatile(insn " %0, %1, %2" : "=r"(r) : "r"(a), "r"(b)); \
        return r; \
    }
OP(add, "add") OP(sub, "sub") OP(addw, "addw") OP(subw, "subw")
OP(sll, "sll") OP(srl, "srl") OP(sra, "sra") OP(sllw, "sllw") OP(srlw, "srlw") OP(sraw, "sraw")
OP(slt, "slt") OP(sltu, "sltu") OP(and_, "and") OP(or_, "or") OP(xor_, "xor")
OP(mul, "mul") OP(mulh, "mulh") OP(mulhu, "mulhu") OP(mulhsu, "mulhsu") OP(mulw, "mulw")
OP(div_, "div") OP(divu, "divu") OP(rem, "rem") OP(remu, "remu")
OP(divw, "divw") OP(divuw, "divuw") OP(remw, "remw") OP(remuw, "remuw")

static const struct { const char *name; uint64_t (*op)(uint64_t, uint64_t); } ops[] = {
#define E(n) { #n, n }
    E(add), E(sub), E(addw), E(subw), E(sll), E(srl), E(sra), E(sllw), E(srlw), E(sraw), E(slt), E(sltu), E(and_), E(or_), E(xor_),
    E(mul), E(mulh), E(mulhu), E(mulhsu), E(mulw), E(div_), E(divu), E(rem), E(remu), E(divw), E(divuw), E(remw), E(remuw),
};

static const uint64_t edges[] = { 0, 1, 2, 3, 7, 31, 32, 33, 63, 64, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0x7fffffff, 0x80000000, 0xffffffff,
    0x100000000, 0x7fffffffffffffff, 0x8000000000000000, 0x8000000000000001, 0xffffffff80000000, 0xffffffff7fffffff, -1ull, -2ull, -3ull };
#define EDGES (sizeof edges / sizeof *edges)

// what the specification says of division by zero and overflow, checked outright
static void division_rules(void)
{
    check(div_(5, 0) == -1ull && divu(5, 0) == -1ull && rem(5, 0) == 5 && remu(5, 0) == 5);
    check(div_(1ull << 63, -1ull) == 1ull << 63 && rem(1ull << 63, -1ull) == 0);
    check(divw(0x80000000, -1ull) == 0xffffffff80000000 && remw(0x80000000, -1ull) == 0);
    check(divw(7, 0x100000000) == -1ull && divuw(7, 0) == -1ull && remw(0xffffffff80000001, 0) == 0xffffffff80000001);
    check(remuw(0x80000001, 0) == 0xffffffff80000001);
}

static NOINLINE void compiled(long n) // what a compiler makes of C, overflow builtins and rotations included
{
    for (long i = 0; i < n; i++) {
        uint64_t a = random_edge(), b = random_edge();
        int64_t s;
        int32_t w;
        sum(__builtin_add_overflow((int64_t)a, (int64_t)b, &s));
        sum(s);
        sum(__builtin_sub_overflow((int64_t)a, (int64_t)b, &s));
        sum(s);
        sum(__builtin_mul_overflow((int64_t)a, (int64_t)b, &s));
        sum(s);
        sum(__builtin_mul_overflow((int32_t)a, (int32_t)b, &w));
        sum(w);
        unsigned __int128 p = (unsigned __int128)a * b + b;
        sum(p >> 64);
        if (b)
            sum((uint64_t)(p % b));
        sum(a << (b & 63) | a >> (-b & 63));
        sum((uint32_t)a << (b & 31) | (uint32_t)a >> (-b & 31));
        sum(__builtin_popcountll(a));
        sum(a ? __builtin_clzll(a) + __builtin_ctzll(a) : 64);
        sum(__builtin_bswap64(a) ^ __builtin_bswap32((uint32_t)b));
        sum((int8_t)a + (int16_t)b + (uint8_t)(a >> 8) + (uint16_t)(b >> 8));
        sum((int64_t)a / 10 + (int64_t)a % 1000 + b / 7 + (int32_t)b / 3);
        sum((int64_t)a < (int64_t)b ? a : b);
        sum(a > b ? a - b : b - a);
    }
    sum_print("compiled");
}

int main(int argc, char **argv)
{
    long n = iterations(argc, argv, 2000);
    division_rules();
    for (size_t k = 0; k < sizeof ops / sizeof *ops; k++) {
        for (size_t i = 0; i < EDGES; i++)
            for (size_t j = 0; j < EDGES; j++)
                sum(ops[k].op(edges[i], edges[j]));
        for (long i = 0; i < n; i++) {
            uint64_t a = random_edge();
            sum(ops[k].op(a, random_edge()));
        }
        sum_print(ops[k].name);
    }
    compiled(n);
    return 0;
}
