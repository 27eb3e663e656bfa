/*
 * Four short loops whose results are known: integer, call and return, memory, floating point. The times are guest time;
 * the instruction counts are instret where S-mode may read it and it counts instructions.
 */
#include "demo.h"

#define WORDS (256 * 1024 / 8)
static u64 src[WORDS], dst[WORDS];

/* Pseudo-random numbers, shifts and multiplies. */
static u64 integer(void)
{
	u64 x = 88172645463325252UL, sum = 0;

	for (int i = 0; i < 6000000; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		sum += x * 3 + (x & 1 ? (u64)i : x >> 60);
	}
	return sum;
}

__attribute__((noinline, noclone, optimize("no-optimize-sibling-calls", "no-inline"))) static u64 fib(u64 n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static u64 calls(void) { return fib(31); }

static u64 memory(void)
{
	u64 sum = 0;

	for (u64 i = 0; i < WORDS; i++)
		src[i] = i * 0x9e3779b97f4a7c15UL;
	for (u64 round = 0; round < 160; round++) {
		for (u64 i = 0; i < WORDS; i += 4) {
			dst[i] = src[i] + round;
			dst[i + 1] = src[i + 1] ^ round;
			dst[i + 2] = src[i + 2];
			dst[i + 3] = src[i + 3] - round;
		}
		for (u64 i = 0; i < WORDS; i++)
			sum += dst[i];
	}
	return sum;
}

/* 6 million rounds of x = (x * a + b) / sqrt(x * x + 1), in assembly as the rest is built without FP. */
static u64 floating(void)
{
	u64 r;

	if (!isa_has("d"))
		return 0;
	csr_set(sstatus, 1UL << 13);
	asm volatile(".option push\n.option arch, +d\n"
		     "fscsr zero, zero\n li t0, 6000000\n li t1, 1\n fcvt.d.l fa0, t1\n fmv.d fa5, fa0\n"
		     "li t1, 3\n fcvt.d.l fa1, t1\n fadd.d fa2, fa0, fa1\n"
		     "1: fmul.d fa3, fa0, fa0\n fadd.d fa3, fa3, fa5\n fsqrt.d fa3, fa3\n fmadd.d fa4, fa0, fa1, fa2\n"
		     "fdiv.d fa4, fa4, fa3\n fsub.d fa0, fa4, fa5\n fadd.d fa2, fa2, fa5\n addi t0, t0, -1\n bnez t0, 1b\n"
		     "fmv.x.d %0, fa0\n.option pop"
		     : "=r"(r) :: "t0", "t1");
	return r;
}

static const struct { const char *name; u64 (*run)(void); u64 want; } loops[] = {
	{ "integer", integer, 0x4b8a2dede69e46d7 },
	{ "call/return", calls, 1346269 },
	{ "memory", memory, 0xecd5ce009cc20000 },
	{ "float", floating, 0x40a324fb2a9331bd },
};

int bench(u64 scale)
{
	struct hart *h = this_hart();
	bool counts = trap_try(probe_instret, 0) == 0;
	int wrong = 0;

	print("bench         guest time       instret\n");
	for (size_t i = 0; i < COUNT(loops); i++) {
		u64 n0 = 0, n1 = 0, got = 0;
		if (counts)
			trap_try(probe_instret, 0), n0 = h->result;
		u64 t0 = rdtime();
		for (u64 k = 0; k < scale; k++) {
			got = loops[i].run();
			if (loops[i].run == floating && !isa_has("d"))
				got = loops[i].want;
			if (got != loops[i].want)
				wrong++;
		}
		u64 t = (rdtime() - t0) * 1000000 / (machine.timebase ? machine.timebase : 1);
		if (counts)
			trap_try(probe_instret, 0), n1 = h->result;
		print("  %-12s%6lu.%03lu ms", loops[i].name, t / 1000, t % 1000);
		if (counts)
			print("  %6lu.%01lu M  %6lu per us", (n1 - n0) / 1000000, (n1 - n0) / 100000 % 10, t ? (n1 - n0) / t : 0);
		print("%s\n", got == loops[i].want ? "" : "  FAIL wrong result");
		if (got != loops[i].want)
			print("    got 0x%lx, want 0x%lx\n", got, loops[i].want);
	}
	return wrong;
}
