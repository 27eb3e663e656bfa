// Floating-point torture: each F and D instruction, on every pair of edge values, in each rounding mode, results and exception flags summed.
// A few results are printed as bit patterns so that a difference shows where it is.
#include <fenv.h>
#include <math.h>
#include "common.h"

static uint64_t bits(double d) { uint64_t u; memcpy(&u, &d, 8); return u; }
static uint32_t bitsf(float f) { uint32_t u; memcpy(&u, &f, 4); return u; }
static double of(uint64_t u) { double d; memcpy(&d, &u, 8); return d; }
static float off(uint32_t u) { float f; memcpy(&f, &u, 4); return f; }

static const uint64_t D[] = { 0, 1ull << 63, 1, 0x8000000000000001, 0x000fffffffffffff, 0x800fffffffffffff, 0x0010000000000000, 0x8010000000000000,
    0x3ff0000000000000, 0xbff0000000000000, 0x3ff0000000000001, 0x3fefffffffffffff, 0x4000000000000000, 0x3fe0000000000000, 0x3fd5555555555555,
    0x400921fb54442d18, 0xc00921fb54442d18, 0x41dfffffffc00000, 0x41e0000000000000, 0xc1e0000000000000, 0xc1e0000000200000, 0x41efffffffe00000,
    0x41f0000000000000, 0x43dfffffffffffff, 0x43e0000000000000, 0xc3e0000000000000, 0x43efffffffffffff, 0x43f0000000000000, 0x4340000000000001,
    0x7fefffffffffffff, 0xffefffffffffffff, 0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000, 0xfff8000000000000, 0x7ff0000000000001,
    0xfff4000000000000, 0x7fffffffffffffff, 0x3ca0000000000000, 0x3690000000000000, 0x380fffffffffffff, 0x47efffffefffffff, 0x47effffff0000000,
    0x3fe8000000000000, 0x4004000000000000, 0xc004000000000000, 0x400c000000000000 };
static const uint32_t F[] = { 0, 1u << 31, 1, 0x80000001, 0x007fffff, 0x807fffff, 0x00800000, 0x80800000, 0x3f800000, 0xbf800000, 0x3f800001,
    0x3f7fffff, 0x40000000, 0x3f000000, 0x3eaaaaab, 0x40490fdb, 0xc0490fdb, 0x4effffff, 0x4f000000, 0xcf000000, 0xcf000001, 0x4f7fffff, 0x4f800000,
    0x5effffff, 0x5f000000, 0xdf000000, 0x5f7fffff, 0x5f800000, 0x4b800001, 0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000,
    0x7f800001, 0xffa00000, 0x7fffffff, 0x33800000, 0x3fc00000, 0x40200000, 0xc0200000, 0x40600000 };
#define ND ((long)(sizeof D / sizeof *D))
#define NF ((long)(sizeof F / sizeof *F))

static unsigned flags_take(void) { unsigned f; __asm__ volatile("fsflags %0, zero" : "=r"(f) : : "memory"); return f; }
static void rounding(unsigned mode) { __asm__ volatile("fsrm %0" : : "r"(mode) : "memory"); }

#define D2(n, i) static NOINLINE double n(double a, double b) { double r; __asm__ volatile(i " %0, %1, %2" : "=f"(r) : "f"(a), "f"(b)); return r; }
#define F2(n, i) static NOINLINE float n(float a, float b) { float r; __asm__ volatile(i " %0, %1, %2" : "=f"(r) : "f"(a), "f"(b)); return r; }
#define D3(n, i) static NOINLINE double n(double a, double b, double c) { double r; __asm__ volatile(i " %0, %1, %2, %3" : "=f"(r) : "f"(a), "f"(b), "f"(c)); return r; }
#define F3(n, i) static NOINLINE float n(float a, float b, float c) { float r; __asm__ volatile(i " %0, %1, %2, %3" : "=f"(r) : "f"(a), "f"(b), "f"(c)); return r; }
#define DC(n, i) static NOINLINE uint64_t n(double a, double b) { uint64_t r; __asm__ volatile(i " %0, %1, %2" : "=r"(r) : "f"(a), "f"(b)); return r; }
#define FC(n, i) static NOINLINE uint64_t n(float a, float b) { uint64_t r; __asm__ volatile(i " %0, %1, %2" : "=r"(r) : "f"(a), "f"(b)); return r; }
D2(dadd, "fadd.d") D2(dsub, "fsub.d") D2(dmul, "fmul.d") D2(ddiv, "fdiv.d") D2(dmin, "fmin.d") D2(dmax, "fmax.d")
D2(dsgnj, "fsgnj.d") D2(dsgnjn, "fsgnjn.d") D2(dsgnjx, "fsgnjx.d")
F2(sadd, "fadd.s") F2(ssub, "fsub.s") F2(smul, "fmul.s") F2(fdiv_, "fdiv.s") F2(fmin_, "fmin.s") F2(fmax_, "fmax.s")
F2(fsgnj, "fsgnj.s") F2(fsgnjn, "fsgnjn.s") F2(fsgnjx, "fsgnjx.s")
D3(dmadd, "fmadd.d") D3(dmsub, "fmsub.d") D3(dnmadd, "fnmadd.d") D3(dnmsub, "fnmsub.d")
F3(fmadd, "fmadd.s") F3(fmsub, "fmsub.s") F3(fnmadd, "fnmadd.s") F3(fnmsub, "fnmsub.s")
DC(deq, "feq.d") DC(dlt, "flt.d") DC(dle, "fle.d") FC(feq, "feq.s") FC(flt, "flt.s") FC(fle, "fle.s")

static const struct { const char *name; double (*op)(double, double); } d2[] = {
    { "fadd.d", dadd }, { "fsub.d", dsub }, { "fmul.d", dmul }, { "fdiv.d", ddiv }, { "fmin.d", dmin }, { "fmax.d", dmax },
    { "fsgnj.d", dsgnj }, { "fsgnjn.d", dsgnjn }, { "fsgnjx.d", dsgnjx } };
static const struct { const char *name; float (*op)(float, float); } f2[] = {
    { "fadd.s", sadd }, { "fsub.s", ssub }, { "fmul.s", smul }, { "fdiv.s", fdiv_ }, { "fmin.s", fmin_ }, { "fmax.s", fmax_ },
    { "fsgnj.s", fsgnj }, { "fsgnjn.s", fsgnjn }, { "fsgnjx.s", fsgnjx } };
static const struct { const char *name; double (*op)(double, double, double); } d3[] = {
    { "fmadd.d", dmadd }, { "fmsub.d", dmsub }, { "fnmadd.d", dnmadd }, { "fnmsub.d", dnmsub } };
static const struct { const char *name; float (*op)(float, float, float); } f3[] = {
    { "fmadd.s", fmadd }, { "fmsub.s", fmsub }, { "fnmadd.s", fnmadd }, { "fnmsub.s", fnmsub } };
static const struct { const char *name; uint64_t (*op)(double, double); } dc[] = { { "feq.d", deq }, { "flt.d", dlt }, { "fle.d", dle } };
static const struct { const char *name; uint64_t (*op)(float, float); } fc[] = { { "feq.s", feq }, { "flt.s", flt }, { "fle.s", fle } };
#define EACH(t, k) for (size_t k = 0; k < sizeof t / sizeof *t; k++)

// a double that is interesting: an edge, a neighbour of one, or random bits with a tame exponent
static double any(void)
{
    uint64_t r = random64();
    switch (r & 3) {
    case 0: return of(D[(r >> 8) % ND]);
    case 1: return of(D[(r >> 8) % ND] + ((r >> 40) & 7) - 3);
    case 2: return of((random64() & 0x800fffffffffffff) | (0x3e0 + ((r >> 8) & 0x3f)) << 52);
    default: return of(random64());
    }
}
static float anyf(void)
{
    uint64_t r = random64();
    switch (r & 3) {
    case 0: return off(F[(r >> 8) % NF]);
    case 1: return off(F[(r >> 8) % NF] + ((r >> 40) & 7) - 3);
    case 2: return off((random64() & 0x807fffff) | (uint32_t)(0x70 + ((r >> 8) & 0x1f)) << 23);
    default: return off(random64());
    }
}

static void conversions(double d, float f, uint64_t i)
{
#define TO(insn, x) ({ uint64_t r_; __asm__ volatile(insn : "=r"(r_) : "f"(x)); sum(r_); sum(flags_take()); })
#define FROM(insn, T, B) ({ T r_; __asm__ volatile(insn : "=f"(r_) : "r"(i)); sum(B(r_)); sum(flags_take()); })
#define MODES(T, insn, x) T(insn, x, dyn) T(insn, x, rne) T(insn, x, rtz) T(insn, x, rdn) T(insn, x, rup) T(insn, x, rmm)
#define TOM(insn, x, m) TO(insn " %0, %1, " #m, x);
    MODES(TOM, "fcvt.w.d", d) MODES(TOM, "fcvt.wu.d", d) MODES(TOM, "fcvt.l.d", d) MODES(TOM, "fcvt.lu.d", d)
    MODES(TOM, "fcvt.w.s", f) MODES(TOM, "fcvt.wu.s", f) MODES(TOM, "fcvt.l.s", f) MODES(TOM, "fcvt.lu.s", f)
    TO("fclass.d %0, %1", d); TO("fclass.s %0, %1", f); TO("fmv.x.d %0, %1", d); TO("fmv.x.w %0, %1", f);
    FROM("fcvt.d.w %0, %1", double, bits); FROM("fcvt.d.wu %0, %1", double, bits);
    FROM("fcvt.d.l %0, %1", double, bits); FROM("fcvt.d.lu %0, %1", double, bits);
    FROM("fcvt.s.w %0, %1", float, bitsf); FROM("fcvt.s.wu %0, %1", float, bitsf);
    FROM("fcvt.s.l %0, %1", float, bitsf); FROM("fcvt.s.lu %0, %1", float, bitsf);
    float s;
    double w;
    __asm__ volatile("fcvt.s.d %0, %1" : "=f"(s) : "f"(d)); sum(bitsf(s)); sum(flags_take());
    __asm__ volatile("fcvt.d.s %0, %1" : "=f"(w) : "f"(f)); sum(bits(w)); sum(flags_take());
    __asm__ volatile("fsqrt.d %0, %1" : "=f"(w) : "f"(d)); sum(bits(w)); sum(flags_take());
    __asm__ volatile("fsqrt.s %0, %1" : "=f"(s) : "f"(f)); sum(bitsf(s)); sum(flags_take());
    // a double that is no boxed float must read as the canonical NaN
    __asm__ volatile("fadd.s %0, %1, %1" : "=f"(s) : "f"(d)); sum(bitsf(s)); sum(flags_take());
}

static void show(const char *name, double d) { unsigned f = flags_take(); printf("%s %016llx flags %02x\n", name, (unsigned long long)bits(d), f); }

int main(int argc, char **argv)
{
    long n = iterations(argc, argv, 300);
    static const char *modes[] = { "rne", "rtz", "rdn", "rup", "rmm" };
    flags_take();
    show("1/3", ddiv(1, 3));
    show("0/0", ddiv(0, 0));
    show("1/0", ddiv(1, 0));
    show("max*2", dmul(of(0x7fefffffffffffff), 2));
    show("tiny*0.5", dmul(of(0x0010000000000001), 0.5));
    show("almost-normal", dmul(of(0x001fffffffffffff), 0.5)); // rounds up to the smallest normal number
    show("inf-inf", dsub(INFINITY, INFINITY));
    show("snan+1", dadd(of(0x7ff0000000000001), 1));
    show("min(snan,1)", dmin(of(0x7ff0000000000001), 1));
    show("fma", dmadd(of(0x3ff0000000000001), of(0x3ff0000000000001), -1));
    show("inf*0+qnan", dmadd(INFINITY, 0, of(0x7ff8000000000000)));
    for (unsigned mode = 0; mode < 5; mode++) {
        char name[32];
        rounding(mode);
        EACH(d2, k) {
            for (long i = 0; i < ND; i++)
                for (long j = 0; j < ND; j++) { sum(bits(d2[k].op(of(D[i]), of(D[j])))); sum(flags_take()); }
            for (long i = 0; i < n; i++) { double a = any(); sum(bits(d2[k].op(a, any()))); sum(flags_take()); }
            snprintf(name, sizeof name, "%s %s", modes[mode], d2[k].name);
            sum_print(name);
        }
        EACH(f2, k) {
            for (long i = 0; i < NF; i++)
                for (long j = 0; j < NF; j++) { sum(bitsf(f2[k].op(off(F[i]), off(F[j])))); sum(flags_take()); }
            for (long i = 0; i < n; i++) { float a = anyf(); sum(bitsf(f2[k].op(a, anyf()))); sum(flags_take()); }
            snprintf(name, sizeof name, "%s %s", modes[mode], f2[k].name);
            sum_print(name);
        }
        EACH(d3, k) {
            for (long i = 0; i < n * 4; i++) { double a = any(), b = any(); sum(bits(d3[k].op(a, b, any()))); sum(flags_take()); }
            // near-cancellation: a*b - round(a*b) has the whole of its digits below the product's
            for (long i = 0; i < n; i++) { double a = any(), b = any(); sum(bits(d3[k].op(a, b, -(a * b)))); sum(flags_take()); }
            snprintf(name, sizeof name, "%s %s", modes[mode], d3[k].name);
            sum_print(name);
        }
        EACH(f3, k) {
            for (long i = 0; i < n * 4; i++) { float a = anyf(), b = anyf(); sum(bitsf(f3[k].op(a, b, anyf()))); sum(flags_take()); }
            snprintf(name, sizeof name, "%s %s", modes[mode], f3[k].name);
            sum_print(name);
        }
        for (long i = 0; i < ND; i++)
            for (long j = 0; j < NF; j += 5)
                conversions(of(D[i]), off(F[(i + j) % NF]), D[(i * 7 + j) % ND]);
        for (long i = 0; i < n; i++) { double d = any(); float f = anyf(); conversions(d, f, random_edge()); }
        snprintf(name, sizeof name, "%s conversions", modes[mode]);
        sum_print(name);
    }
    rounding(0);
    EACH(dc, k) {
        for (long i = 0; i < ND; i++)
            for (long j = 0; j < ND; j++) { sum(dc[k].op(of(D[i]), of(D[j]))); sum(flags_take()); }
        sum_print(dc[k].name);
    }
    EACH(fc, k) {
        for (long i = 0; i < NF; i++)
            for (long j = 0; j < NF; j++) { sum(fc[k].op(off(F[i]), off(F[j]))); sum(flags_take()); }
        sum_print(fc[k].name);
    }
    // the C library's own view of rounding and exceptions
    static const int c_modes[] = { FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD };
    for (int m = 0; m < 4; m++) {
        feclearexcept(FE_ALL_EXCEPT);
        check(fesetround(c_modes[m]) == 0 && fegetround() == c_modes[m]);
        for (int i = 0; i < 200; i++) {
            double x = of((random64() & 0x000fffffffffffff) | (0x3ffull + i % 9) << 52);
            sum(bits(rint(x)) + (uint64_t)lrint(-x * 3));
            sum(bits(sin(x)) ^ bits(exp(x / 64)) ^ bits(log(x)) ^ bits(pow(x, 1.25)) ^ bits(sqrt(x)) ^ bits(fmod(x, 0.7)));
            sum(fetestexcept(FE_ALL_EXCEPT));
        }
        sum_print("libm");
    }
    fesetround(FE_TONEAREST);
    feclearexcept(FE_ALL_EXCEPT);
    printf("%.17g %.17g %a %g\n", 0.1, 1e300 * 1e-310, 1 / 3.0, strtod("2.2250738585072011e-308", NULL));
    return 0;
}
