/* F and D: results and flags bit by bit, each rounding mode, NaN boxing, and sstatus.FS. */
#include "demo.h"

#define FPASM(code) ".option push\n.option arch, +d\n" code "\n.option pop"
/* Operands in ft0, ft1, ft2. OPF gives ft3, OPX an integer register. */
#define IN FPASM("fmv.d.x ft0, %1\n fmv.d.x ft1, %2\n fmv.d.x ft2, %3") "\n"
#define OPF(fn, insn) static u64 fn(u64 a, u64 b, u64 c) \
	{ u64 r; asm volatile(IN FPASM(insn "\n fmv.x.d %0, ft3") : "=&r"(r) : "r"(a), "r"(b), "r"(c)); return r; }
#define OPX(fn, insn) static u64 fn(u64 a, u64 b, u64 c) \
	{ u64 r; asm volatile(IN FPASM(insn) : "=&r"(r) : "r"(a), "r"(b), "r"(c)); return r; }

OPF(add_d, "fadd.d ft3, ft0, ft1") OPF(sub_d, "fsub.d ft3, ft0, ft1") OPF(mul_d, "fmul.d ft3, ft0, ft1")
OPF(div_d, "fdiv.d ft3, ft0, ft1") OPF(sqrt_d, "fsqrt.d ft3, ft0") OPF(fma_d, "fmadd.d ft3, ft0, ft1, ft2")
OPF(fms_d, "fmsub.d ft3, ft0, ft1, ft2") OPF(fnms_d, "fnmsub.d ft3, ft0, ft1, ft2")
OPF(fnma_d, "fnmadd.d ft3, ft0, ft1, ft2") OPF(min_d, "fmin.d ft3, ft0, ft1") OPF(max_d, "fmax.d ft3, ft0, ft1")
OPF(sgnjn_d, "fsgnjn.d ft3, ft0, ft1") OPF(sgnjx_d, "fsgnjx.d ft3, ft0, ft1")
OPX(eq_d, "feq.d %0, ft0, ft1") OPX(lt_d, "flt.d %0, ft0, ft1") OPX(le_d, "fle.d %0, ft0, ft1")
OPX(class_d, "fclass.d %0, ft0") OPX(cvt_w_d, "fcvt.w.d %0, ft0") OPX(cvt_wu_d, "fcvt.wu.d %0, ft0")
OPX(cvt_l_d, "fcvt.l.d %0, ft0") OPX(cvt_lu_d, "fcvt.lu.d %0, ft0") OPF(cvt_d_l, "fcvt.d.l ft3, %1")
OPF(cvt_d_lu, "fcvt.d.lu ft3, %1") OPF(cvt_d_w, "fcvt.d.w ft3, %1") OPF(cvt_s_d, "fcvt.s.d ft3, ft0")
OPF(cvt_d_s, "fcvt.d.s ft3, ft0") OPF(add_d_rtz, "fadd.d ft3, ft0, ft1, rtz")
OPF(add_s, "fadd.s ft3, ft0, ft1") OPF(mul_s, "fmul.s ft3, ft0, ft1") OPF(div_s, "fdiv.s ft3, ft0, ft1")
OPF(sqrt_s, "fsqrt.s ft3, ft0") OPF(fma_s, "fmadd.s ft3, ft0, ft1, ft2") OPF(sgnj_s, "fsgnj.s ft3, ft0, ft0")
OPF(mv_w_x, "fmv.w.x ft3, %1") OPX(mv_x_w, "fmv.x.w %0, ft0") OPX(class_s, "fclass.s %0, ft0") OPX(eq_s, "feq.s %0, ft0, ft1")

enum { RNE, RTZ, RDN, RUP, RMM };
enum { NX = 1, UF = 2, OF = 4, DZ = 8, NV = 16 };

#define D0 0x0000000000000000UL
#define D1 0x3ff0000000000000UL
#define D2 0x4000000000000000UL
#define D3 0x4008000000000000UL
#define HALF 0x3fe0000000000000UL
#define TENTH 0x3fb999999999999aUL
#define FIFTH 0x3fc999999999999aUL
#define INF 0x7ff0000000000000UL
#define QNAN 0x7ff8000000000000UL
#define SNAN 0x7ff0000000000001UL
#define TOP 0x7fefffffffffffffUL
#define TINY 0x0010000000000000UL
#define NEG (1UL << 63)
#define S(bits) (0xffffffff00000000UL | (bits))

static const struct row {
	const char *name;
	u64 (*fn)(u64, u64, u64);
	u64 rm, a, b, c, want, flags;
} rows[] = {
	{ "0.1 + 0.2", add_d, RNE, TENTH, FIFTH, 0, 0x3fd3333333333334, NX },
	{ "0.1 + 0.2 down", add_d, RDN, TENTH, FIFTH, 0, 0x3fd3333333333333, NX },
	{ "0.1 + 0.2 up", add_d, RUP, TENTH, FIFTH, 0, 0x3fd3333333333334, NX },
	{ "0.1 + 0.2 to zero", add_d, RTZ, TENTH, FIFTH, 0, 0x3fd3333333333333, NX },
	{ "static mode wins over frm", add_d_rtz, RUP, TENTH, FIFTH, 0, 0x3fd3333333333333, NX },
	{ "1 - 1", sub_d, RNE, D1, D1, 0, D0, 0 }, { "1 - 1 down", sub_d, RDN, D1, D1, 0, NEG, 0 },
	{ "inf - inf", sub_d, RNE, INF, INF, 0, QNAN, NV },
	{ "NaN payloads are dropped", add_d, RNE, QNAN | 0x123, D1, 0, QNAN, 0 }, { "signaling NaN", add_d, RNE, SNAN, D1, 0, QNAN, NV },
	{ "1 / 3", div_d, RNE, D1, D3, 0, 0x3fd5555555555555, NX }, { "1 / 3 up", div_d, RUP, D1, D3, 0, 0x3fd5555555555556, NX },
	{ "-1 / 3 down", div_d, RDN, D1 | NEG, D3, 0, 0xbfd5555555555556, NX },
	{ "1 / 0", div_d, RNE, D1, D0, 0, INF, DZ }, { "0 / 0", div_d, RNE, D0, D0, 0, QNAN, NV },
	{ "sqrt 2", sqrt_d, RNE, D2, 0, 0, 0x3ff6a09e667f3bcd, NX }, { "sqrt 2 to zero", sqrt_d, RTZ, D2, 0, 0, 0x3ff6a09e667f3bcc, NX },
	{ "sqrt -1", sqrt_d, RNE, D1 | NEG, 0, 0, QNAN, NV }, { "sqrt -0", sqrt_d, RNE, NEG, 0, 0, NEG, 0 },
	{ "overflow", mul_d, RNE, TOP, D2, 0, INF, OF | NX }, { "overflow to zero", mul_d, RTZ, TOP, D2, 0, TOP, OF | NX },
	{ "negative overflow up", mul_d, RUP, TOP | NEG, D2, 0, TOP | NEG, OF | NX },
	{ "exact subnormal", mul_d, RNE, TINY, HALF, 0, TINY / 2, 0 }, { "underflow", mul_d, RNE, 1, HALF, 0, 0, UF | NX },
	{ "underflow up", mul_d, RUP, 1, HALF, 0, 1, UF | NX }, { "underflow, ties away", mul_d, RMM, 1, HALF, 0, 1, UF | NX },
	{ "tiny before and after rounding", mul_d, RNE, TINY, 0x3fefffffffffffff, 0, TINY, UF | NX },
	{ "tininess is seen after rounding", fma_d, RNE, 0x9e50000000000000, 0x1e40000000000000, TINY, TINY, NX },
	{ "fma rounds once", fma_d, RNE, D1 + 1, 0x3feffffffffffffe, D1 | NEG, 0xb970000000000000, 0 },
	{ "2*3+1", fma_d, RNE, D2, D3, D1, 0x401c000000000000, 0 }, { "2*3-1", fms_d, RNE, D2, D3, D1, 0x4014000000000000, 0 },
	{ "-2*3+1", fnms_d, RNE, D2, D3, D1, 0xc014000000000000, 0 }, { "-2*3-1", fnma_d, RNE, D2, D3, D1, 0xc01c000000000000, 0 },
	{ "inf*0+NaN", fma_d, RNE, INF, D0, QNAN, QNAN, NV },
	{ "min of zeros", min_d, RNE, D0, NEG, 0, NEG, 0 }, { "max of zeros", max_d, RNE, NEG, D0, 0, D0, 0 },
	{ "min with NaN", min_d, RNE, QNAN, D1, 0, D1, 0 }, { "max with signaling NaN", max_d, RNE, D1, SNAN, 0, D1, NV },
	{ "fsgnjn keeps NaN bits", sgnjn_d, RNE, SNAN, D0, 0, SNAN | NEG, 0 }, { "fsgnjx", sgnjx_d, RNE, D1 | NEG, NEG, 0, D1, 0 },
	{ "feq with NaN", eq_d, RNE, QNAN, QNAN, 0, 0, 0 }, { "feq with signaling NaN", eq_d, RNE, SNAN, D1, 0, 0, NV },
	{ "flt with NaN", lt_d, RNE, QNAN, D1, 0, 0, NV }, { "fle", le_d, RNE, NEG, D0, 0, 1, 0 },
	{ "class -inf", class_d, RNE, INF | NEG, 0, 0, 1, 0 }, { "class -normal", class_d, RNE, D1 | NEG, 0, 0, 2, 0 },
	{ "class -0", class_d, RNE, NEG, 0, 0, 8, 0 }, { "class subnormal", class_d, RNE, 1, 0, 0, 0x20, 0 },
	{ "class sNaN", class_d, RNE, SNAN, 0, 0, 0x100, 0 }, { "class qNaN", class_d, RNE, QNAN, 0, 0, 0x200, 0 },
	{ "2.5 to w", cvt_w_d, RNE, 0x4004000000000000, 0, 0, 2, NX }, { "2.5 to w up", cvt_w_d, RUP, 0x4004000000000000, 0, 0, 3, NX },
	{ "2.5 to w, ties away", cvt_w_d, RMM, 0x4004000000000000, 0, 0, 3, NX },
	{ "-2.5 to w down", cvt_w_d, RDN, 0xc004000000000000, 0, 0, -3UL, NX }, { "NaN to w", cvt_w_d, RNE, QNAN, 0, 0, 0x7fffffff, NV },
	{ "-inf to w", cvt_w_d, RNE, INF | NEG, 0, 0, 0xffffffff80000000, NV }, { "-1 to wu", cvt_wu_d, RNE, D1 | NEG, 0, 0, 0, NV },
	{ "-0.5 to wu", cvt_wu_d, RTZ, HALF | NEG, 0, 0, 0, NX },
	{ "4e9 to wu", cvt_wu_d, RNE, 0x41edcd6500000000, 0, 0, 0xffffffffee6b2800, 0 },
	{ "-2^63 to l", cvt_l_d, RNE, 0xc3e0000000000000, 0, 0, NEG, 0 }, { "2^63 to l", cvt_l_d, RNE, 0x43e0000000000000, 0, 0, ~NEG, NV },
	{ "2^64 to lu", cvt_lu_d, RNE, 0x43f0000000000000, 0, 0, -1UL, NV }, { "2^63 to lu", cvt_lu_d, RNE, 0x43e0000000000000, 0, 0, NEG, 0 },
	{ "2^53+1 from l", cvt_d_l, RNE, 0x20000000000001, 0, 0, 0x4340000000000000, NX },
	{ "2^53+1 from l up", cvt_d_l, RUP, 0x20000000000001, 0, 0, 0x4340000000000001, NX },
	{ "2^64-1 from lu", cvt_d_lu, RNE, -1UL, 0, 0, 0x43f0000000000000, NX }, { "-1 from w", cvt_d_w, RNE, 0xffffffff, 0, 0, D1 | NEG, 0 },
	{ "0.1 to s", cvt_s_d, RNE, TENTH, 0, 0, S(0x3dcccccd), NX }, { "sNaN to s", cvt_s_d, RNE, SNAN, 0, 0, S(0x7fc00000), NV },
	{ "1.0 from s", cvt_d_s, RNE, S(0x3f800000), 0, 0, D1, 0 }, { "unboxed from s", cvt_d_s, RNE, 0x3f800000, 0, 0, QNAN, 0 },
	{ "1 + 2 in s", add_s, RNE, S(0x3f800000), S(0x40000000), 0, S(0x40400000), 0 },
	{ "unboxed operand", add_s, RNE, 0x3f800000, S(0x3f800000), 0, S(0x7fc00000), 0 },
	{ "overflow in s", mul_s, RNE, S(0x7f7fffff), S(0x40000000), 0, S(0x7f800000), OF | NX },
	{ "1 / 3 in s", div_s, RNE, S(0x3f800000), S(0x40400000), 0, S(0x3eaaaaab), NX },
	{ "sqrt 2 in s", sqrt_s, RNE, S(0x40000000), 0, 0, S(0x3fb504f3), NX },
	{ "fma in s", fma_s, RNE, S(0x3f800001), S(0x3f7ffffe), S(0xbf800000), S(0xa8800000), 0 },
	{ "fsgnj of an unboxed value", sgnj_s, RNE, 0x3f800000, 0, 0, S(0x7fc00000), 0 },
	{ "fmv.w.x boxes", mv_w_x, RNE, 0x12345678, 0, 0, S(0x12345678), 0 },
	{ "fmv.x.w takes bits as they are", mv_x_w, RNE, 0x80000001, 0, 0, 0xffffffff80000001, 0 },
	{ "class of an unboxed value", class_s, RNE, 0, 0, 0, 0x200, 0 }, { "feq of unboxed values", eq_s, RNE, 1, 1, 0, 0, 0 },
};

static void fs(u64 state)
{
	csr_clear(sstatus, SSTATUS_FS);
	csr_set(sstatus, state << 13);
}

static void fp_state(void)
{
	struct hart *h = this_hart();
	u64 v;

	fs(0);
	expect("FP with FS off traps", trap_try(probe_fp, 0), 1);
	expect("FP with FS off: cause", h->trap.cause, CAUSE_ILLEGAL);
	expect("SD with FS off", csr_read(sstatus) >> 63, 0);
	fs(1);
	asm volatile(FPASM("fmv.d.x ft0, zero"));
	expect("a write makes FS dirty", csr_read(sstatus) >> 13 & 3, 3);
	expect("and sets SD", csr_read(sstatus) >> 63, 1);

	asm volatile(FPASM("li t0, 0xff\n csrw fcsr, t0\n csrr %0, frm") : "=r"(v) :: "t0");
	expect("frm of fcsr", v, 7);
	asm volatile(FPASM("csrr %0, fflags") : "=r"(v));
	expect("fflags of fcsr", v, 0x1f);
	expect("a reserved rounding mode traps", trap_try(probe_fp, 0), 1);
	expect("a reserved rounding mode: cause", h->trap.cause, CAUSE_ILLEGAL);
	asm volatile(FPASM("csrwi fcsr, 0"));

	/* Loads box, stores do not look. */
	static u64 cell[2] = { 0x11111111c0490fdb, 0 };
	asm volatile(FPASM("flw ft4, 0(%1)\n fsw ft4, 8(%1)\n fmv.x.d %0, ft4") : "=&r"(v) : "r"(cell) : "memory");
	expect("flw boxes", v, S(0xc0490fdb));
	expect("fsw stores a word", cell[1], 0xc0490fdb);
	asm volatile(FPASM("fld ft4, 0(%1)\n fmv.x.d %0, ft4") : "=&r"(v) : "r"(cell) : "memory");
	expect("fld", v, cell[0]);
}

const char *check_float(void)
{
	if (!isa_has("d"))
		return "no D";
	fp_state();
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct row *r = &rows[i];
		u64 flags;
		asm volatile(FPASM("fscsr zero, %0") :: "r"(r->rm << 5));
		u64 got = r->fn(r->a, r->b, r->c);
		asm volatile(FPASM("frflags %0") : "=r"(flags));
		expect(r->name, got, r->want);
		expect(r->name, flags, r->flags);
	}
	/* Flags add up until they are cleared. */
	u64 flags;
	asm volatile(FPASM("fscsr zero, zero"));
	div_d(D1, D0, 0);
	div_d(D1, D3, 0);
	asm volatile(FPASM("fsflags %0, zero") : "=r"(flags));
	expect("flags add up", flags, DZ | NX);
	fs(1);
	return NULL;
}
