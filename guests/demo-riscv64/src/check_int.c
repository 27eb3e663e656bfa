/* Integer corner cases (M extension table 7.1 and the word forms), atomics of one hart, and bit manipulation. */
#include "demo.h"

/* One instruction with two operands, as the assembler sees it and with no help of the compiler. */
#define OP(fn, arch, insn) \
	static u64 fn(u64 a, u64 b) \
	{ \
		u64 r; \
		asm volatile(".option push\n.option arch, " arch "\n" insn "\n.option pop" : "=&r"(r) : "r"(a), "r"(b)); \
		return r; \
	}
#define RR(fn, insn) OP(fn, "+m", insn " %0, %1, %2")

RR(op_add, "add") RR(op_sub, "sub") RR(op_addw, "addw") RR(op_subw, "subw") RR(op_sll, "sll") RR(op_sllw, "sllw")
RR(op_srl, "srl") RR(op_srlw, "srlw") RR(op_sra, "sra") RR(op_sraw, "sraw") RR(op_slt, "slt") RR(op_sltu, "sltu")
RR(op_mul, "mul") RR(op_mulh, "mulh") RR(op_mulhu, "mulhu") RR(op_mulhsu, "mulhsu") RR(op_mulw, "mulw")
RR(op_div, "div") RR(op_divu, "divu") RR(op_rem, "rem") RR(op_remu, "remu") RR(op_divw, "divw")
RR(op_divuw, "divuw") RR(op_remw, "remw") RR(op_remuw, "remuw")

struct row { const char *name; u64 (*fn)(u64, u64); u64 a, b, want; };

#define MIN (1UL << 63)
#define MINW 0xffffffff80000000UL
static const struct row rows[] = {
	{ "add", op_add, -1UL, 2, 1 }, { "sub", op_sub, 0, 1, -1UL }, { "addw", op_addw, 0x7fffffff, 1, MINW },
	{ "subw", op_subw, 0x180000000, 1, 0x7fffffff }, { "sll", op_sll, 1, 127, MIN }, { "sllw", op_sllw, 1, 63, MINW },
	{ "srl", op_srl, MIN, 127, 1 }, { "srlw", op_srlw, -1UL, 32, -1UL }, { "srlw", op_srlw, -1UL, 1, 0x7fffffff },
	{ "sra", op_sra, MIN, 63, -1UL }, { "sraw", op_sraw, 0x80000000, 31, -1UL }, { "slt", op_slt, -1UL, 0, 1 },
	{ "sltu", op_sltu, -1UL, 0, 0 }, { "mul", op_mul, 0x123456789abcdef, 0xfedcba987654321, 0x22236d88fe5618cf },
	{ "mulh", op_mulh, -1UL, -1UL, 0 }, { "mulh", op_mulh, MIN, MIN, 1UL << 62 }, { "mulhu", op_mulhu, -1UL, -1UL, -2UL },
	{ "mulhsu", op_mulhsu, -1UL, -1UL, -1UL }, { "mulhsu", op_mulhsu, 1, -1UL, 0 },
	{ "mulw", op_mulw, 0x10000, 0x8000, MINW },
	{ "div", op_div, -7UL, 2, -3UL }, { "rem", op_rem, -7UL, 2, -1UL }, { "divu", op_divu, -7UL, 2, 0x7ffffffffffffffc },
	{ "div by 0", op_div, 5, 0, -1UL }, { "divu by 0", op_divu, 5, 0, -1UL }, { "rem by 0", op_rem, -5UL, 0, -5UL },
	{ "remu by 0", op_remu, 5, 0, 5 }, { "div overflow", op_div, MIN, -1UL, MIN }, { "rem overflow", op_rem, MIN, -1UL, 0 },
	{ "divw by 0", op_divw, 5, 0, -1UL }, { "divuw by 0", op_divuw, 5, 0, -1UL },
	{ "remw by 0", op_remw, 0x80000005, 0, 0xffffffff80000005 }, { "remuw by 0", op_remuw, 0x80000005, 0, 0xffffffff80000005 },
	{ "divw overflow", op_divw, 0x80000000, -1UL, MINW }, { "remw overflow", op_remw, 0x80000000, -1UL, 0 },
	{ "divuw", op_divuw, 0xffffffff80000000, 1, MINW }, { "divw ignores the upper half", op_divw, 0x500000009, 0x700000002, 4 },
};

static void run_rows(const struct row *r, size_t n)
{
	for (; n; n--, r++)
		expect(r->name, r->fn(r->a, r->b), r->want);
}

const char *check_integer(void)
{
	u64 r;

	run_rows(rows, COUNT(rows));
	asm volatile("li %0, -1\n lui zero, 0x12345\n addi zero, %0, 1\n add %0, zero, zero" : "=&r"(r));
	expect("x0 stays zero", r, 0);
	asm volatile("la %0, 1f\n jalr %0, %0\n1: auipc t0, 0\n sub %0, %0, t0" : "=&r"(r) :: "t0");
	expect("jalr with rd = rs1, auipc", r, 0);
	asm volatile("lui %0, 0x80000" : "=r"(r));
	expect("lui extends its sign", r, MINW);
	static const u64 word = 0xfedcba9876543210 | 0x8080;
	u64 lb, lbu, lh, lhu, lw, lwu;
	asm volatile("lb %0, 0(%6)\n lbu %1, 0(%6)\n lh %2, 0(%6)\n lhu %3, 0(%6)\n lw %4, 4(%6)\n lwu %5, 4(%6)"
		     : "=&r"(lb), "=&r"(lbu), "=&r"(lh), "=&r"(lhu), "=&r"(lw), "=&r"(lwu) : "r"(&word) : "memory");
	expect("lb", lb, 0xffffffffffffff90);
	expect("lbu", lbu, 0x90);
	expect("lh", lh, 0xffffffffffffb290);
	expect("lhu", lhu, 0xb290);
	expect("lw", lw, 0xfffffffffedcba98);
	expect("lwu", lwu, 0xfedcba98);
	return NULL;
}

#define AMO(insn, mem, operand, old, new) do { \
	u64 m_ = (mem), o_; \
	asm volatile(insn " %0, %2, (%1)" : "=&r"(o_) : "r"(&m_), "r"((u64)(operand)) : "memory"); \
	expect(insn ": old", o_, old); \
	expect(insn ": new", m_, new); \
} while (0)

const char *check_atomics(void)
{
	AMO("amoadd.d", 5, -6UL, 5, -1UL);
	AMO("amoadd.w", 0x1111111180000000, -1UL, MINW, 0x111111117fffffff);
	AMO("amoswap.d.aqrl", 1, 2, 1, 2);
	AMO("amoswap.w", 0x1111111122222222, 0xffffffff33333333, 0x22222222, 0x1111111133333333);
	AMO("amoand.d", 0xff00ff00, 0x0ff00ff0, 0xff00ff00, 0x0f000f00);
	AMO("amoor.d", 0xff00ff00, 0x0ff00ff0, 0xff00ff00, 0xfff0fff0);
	AMO("amoxor.w", 0xff00ff00, 0x0ff00ff0, 0xffffffffff00ff00, 0xf0f0f0f0);
	AMO("amomin.w", 0x1111111100000001, 0xffffffff, 1, 0x11111111ffffffff);
	AMO("amominu.w", 0x1111111100000001, 0xffffffff, 1, 0x1111111100000001);
	AMO("amomax.w", 0xffffffff, 1, -1UL, 1);
	AMO("amomaxu.w", 0xffffffff, 1, -1UL, 0xffffffff);
	AMO("amomin.d", 1, MIN, 1, MIN);
	AMO("amomax.d", 1, MIN, 1, 1);
	AMO("amominu.d", 1, MIN, 1, 1);
	AMO("amomaxu.d", 1, MIN, 1, MIN);

	static u64 cell[16];
	u64 v, f, g;
	cell[0] = 0xffffffff80000001;
	asm volatile("lr.w %0, (%3)\n sc.w %1, %4, (%3)\n sc.w %2, %4, (%3)"
		     : "=&r"(v), "=&r"(f), "=&r"(g) : "r"(cell), "r"(7UL) : "memory");
	expect("lr.w extends its sign", v, 0xffffffff80000001);
	/* A single SC may fail for no reason (Zalrsc), so a loop has the say when it did. */
	for (int i = 0; i < 1000 && f; i++)
		asm volatile("lr.w %0, (%2)\n sc.w %1, %3, (%2)" : "=&r"(v), "=&r"(f) : "r"(cell), "r"(7UL) : "memory");
	expect("sc.w succeeds in the end", f, 0);
	expect("sc.w stores its word", cell[0], 0xffffffff00000007);
	expect("an SC without reservation fails", g != 0, 1);
	asm volatile("lr.d %0, (%2)\n sc.d %1, %0, (%3)" : "=&r"(v), "=&r"(f) : "r"(cell), "r"(cell + 8) : "memory");
	expect("an SC elsewhere fails", f != 0, 1);
	expect("and stores nothing", cell[8], 0);
	return NULL;
}

OP(op_sh1add, "+zba", "sh1add %0, %1, %2") OP(op_sh3add_uw, "+zba", "sh3add.uw %0, %1, %2")
OP(op_add_uw, "+zba", "add.uw %0, %1, %2") OP(op_slli_uw, "+zba", "slli.uw %0, %1, 4")
OP(op_clz, "+zbb", "clz %0, %1") OP(op_ctz, "+zbb", "ctz %0, %1") OP(op_cpop, "+zbb", "cpop %0, %1")
OP(op_clzw, "+zbb", "clzw %0, %1") OP(op_cpopw, "+zbb", "cpopw %0, %1") OP(op_andn, "+zbb", "andn %0, %1, %2")
OP(op_orn, "+zbb", "orn %0, %1, %2") OP(op_xnor, "+zbb", "xnor %0, %1, %2") OP(op_max, "+zbb", "max %0, %1, %2")
OP(op_minu, "+zbb", "minu %0, %1, %2") OP(op_ror, "+zbb", "ror %0, %1, %2") OP(op_rolw, "+zbb", "rolw %0, %1, %2")
OP(op_rev8, "+zbb", "rev8 %0, %1") OP(op_orcb, "+zbb", "orc.b %0, %1") OP(op_sextb, "+zbb", "sext.b %0, %1")
OP(op_zexth, "+zbb", "zext.h %0, %1") OP(op_bset, "+zbs", "bset %0, %1, %2") OP(op_bclr, "+zbs", "bclr %0, %1, %2")
OP(op_binv, "+zbs", "binv %0, %1, %2") OP(op_bext, "+zbs", "bext %0, %1, %2")
OP(op_clmul, "+zbc", "clmul %0, %1, %2") OP(op_clmulh, "+zbc", "clmulh %0, %1, %2")

static const struct row zba[] = {
	{ "sh1add", op_sh1add, MIN + 3, 1, 7 }, { "sh3add.uw", op_sh3add_uw, -1UL, 8, 0x800000000 },
	{ "add.uw", op_add_uw, -1UL, 1, 0x100000000 }, { "slli.uw", op_slli_uw, -1UL, 0, 0xffffffff0 },
};
static const struct row zbb[] = {
	{ "clz", op_clz, 0, 0, 64 }, { "clz", op_clz, 1, 0, 63 }, { "ctz", op_ctz, 0, 0, 64 }, { "ctz", op_ctz, MIN, 0, 63 },
	{ "cpop", op_cpop, -1UL, 0, 64 }, { "clzw", op_clzw, 0xffffffff00000000, 0, 32 }, { "cpopw", op_cpopw, -1UL, 0, 32 },
	{ "andn", op_andn, 0xff, 0x0f, 0xf0 }, { "orn", op_orn, 0, 0xff, ~0xffUL }, { "xnor", op_xnor, 5, 5, -1UL },
	{ "max", op_max, -1UL, 1, 1 }, { "minu", op_minu, -1UL, 1, 1 }, { "ror", op_ror, 1, 65, MIN },
	{ "rolw", op_rolw, 0x80000001, 36, 0x18 }, { "rev8", op_rev8, 0x0102030405060708, 0, 0x0807060504030201 },
	{ "orc.b", op_orcb, 0x0100800000ff0001, 0, 0xff00ff0000ff00ff }, { "sext.b", op_sextb, 0x80, 0, ~0x7fUL },
	{ "zext.h", op_zexth, -1UL, 0, 0xffff },
};
static const struct row zbs[] = {
	{ "bset", op_bset, 0, 127, MIN }, { "bclr", op_bclr, -1UL, 64, -2UL }, { "binv", op_binv, 1, 0, 0 },
	{ "bext", op_bext, MIN, 63, 1 },
};
static const struct row zbc[] = {
	{ "clmul", op_clmul, 7, 5, 0x1b }, { "clmulh", op_clmulh, MIN, 6, 3 }, { "clmul", op_clmul, -1UL, -1UL, 0x5555555555555555 },
};

const char *check_bitmanip(void)
{
	bool any = false;

	if (isa_has("zba"))
		any = true, run_rows(zba, COUNT(zba));
	if (isa_has("zbb"))
		any = true, run_rows(zbb, COUNT(zbb));
	if (isa_has("zbs"))
		any = true, run_rows(zbs, COUNT(zbs));
	if (isa_has("zbc"))
		any = true, run_rows(zbc, COUNT(zbc));
	return any ? NULL : "no Zba, Zbb, Zbc or Zbs";
}
