/* Instructions as data: compressed forms, instructions over page boundaries, and code that is rewritten. */
#include "demo.h"

static u8 code[3 * PAGE] __attribute__((aligned(4096)));

typedef u64 (*fn1)(u64);

/* 2, 4, 2, 4 and 2 bytes: c.addi a0, 1; addi a0, a0, 0x100; c.slli a0, 1; xori a0, a0, 0x55; ret */
static const u8 mixed[] = { 0x05, 0x05, 0x13, 0x05, 0x05, 0x10, 0x06, 0x05, 0x13, 0x45, 0x55, 0x05, 0x82, 0x80 };

static u64 mixed_want(u64 a) { return ((a + 0x101) << 1) ^ 0x55; }

static u64 compressed_forms(u64 a, u64 b)
{
	u64 r;
	asm volatile(
		".option push\n.option rvc\n.option norelax\n"
		"mv s0, %1\n mv s1, %2\n"
		"c.add s0, s1\n c.sub s0, s1\n c.xor s0, s1\n c.or s0, s1\n c.and s0, s1\n" /* s0 = s1 */
		"c.addw s0, s1\n c.subw s0, s1\n"       /* sext32(s1) twice over */
		"c.li a5, -3\n c.lui a4, 31\n c.add s0, a5\n c.add s0, a4\n"
		"c.srli s0, 1\n c.srai s0, 1\n c.slli s0, 3\n c.andi s0, -4\n c.addiw s0, 7\n"
		"c.addi16sp sp, -32\n c.sdsp s0, 8(sp)\n c.ldsp a5, 8(sp)\n c.swsp a5, 16(sp)\n c.lwsp a4, 16(sp)\n"
		"c.addi4spn a5, sp, 8\n c.ld a3, 0(a5)\n c.sd a3, 8(a5)\n c.lw a2, 8(a5)\n c.sw a2, 12(a5)\n c.ld a3, 8(a5)\n"
		"c.addi16sp sp, 32\n"
		"c.mv %0, a3\n"
		".option pop\n"
		: "=&r"(r) : "r"(a), "r"(b) : "s0", "s1", "a2", "a3", "a4", "a5", "memory");
	return r;
}

const char *check_code(void)
{
	/* Every position of the boundary within the sequence. */
	for (u64 back = 0; back <= sizeof(mixed); back += 2) {
		u8 *at = code + PAGE - back;
		memcpy(at, mixed, sizeof(mixed));
		fence_i();
		expect("code over a page boundary", ((fn1)(u64)at)(back), mixed_want(back));
	}

	/* The same where the two halves are strangers in physical memory. */
	for (u64 back = 2; back < sizeof(mixed); back += 2) {
		memcpy(test_pages[3] + PAGE - back, mixed, back);
		memcpy(test_pages[1], mixed + back, sizeof(mixed) - back);
		vm_map(8, pte_of(test_pages[3], PTE_RX));
		vm_map(9, pte_of(test_pages[1], PTE_RX));
		fence_i();
		expect("code over mapped pages", ((fn1)(TEST_VA + 9 * PAGE - back))(back), mixed_want(back));
	}

	if (!isa_has("c"))
		return NULL;
	/* s1 as a word, minus 3, plus 31 << 12; shifted; the word is then stored twice, side by side. */
	u64 b = 0x123456789, s = (u64)(i64)(int)b;
	s = s + s - s - 3 + (31UL << 12);
	s = (u64)((i64)(s >> 1) >> 1) << 3 & -4UL;
	s = (u64)(i64)(int)(s + 7);
	expect("compressed forms", compressed_forms(0x55, b), (s & 0xffffffff) << 32 | (s & 0xffffffff));
	return NULL;
}

/* li a0, n; ret */
static void write_return(u8 *at, u64 n)
{
	*(volatile u32 *)at = (u32)(n << 20 | 0x513);
	*(volatile u32 *)(at + 4) = 0x00008067;
}

const char *check_fencei(void)
{
	u64 here = (u64)code, va = TEST_VA + 10 * PAGE;

	/* The same place, over and over; the callee on a page of its own, then beside data that changes too. */
	for (u64 i = 0; i < 200; i++) {
		write_return(code, i);
		fence_i();
		expect("rewritten code", ((fn1)here)(0), i);
		*(volatile u64 *)(code + 64) = i;
	}

	/* Written at one address, executed at another. */
	vm_map(10, pte_of(code, PTE_RX));
	for (u64 i = 0; i < 50; i++) {
		write_return(code, 1000 + i);
		fence_i();
		expect("rewritten through an alias", ((fn1)va)(0), 1000 + i);
	}

	/* One address, two pages of code in turn. */
	write_return(code, 1);
	write_return(code + PAGE, 2);
	fence_i();
	for (u64 i = 0; i < 50; i++) {
		vm_leaf[10] = pte_of(code + (i & 1) * PAGE, PTE_RX);
		sfence_va(va);
		expect("code of a remapped page", ((fn1)va)(0), 1 + (i & 1));
	}

	/* Code that changes the instruction right behind its own fence.i. */
	static const u32 self[] = {
		0x00b52023, /* sw   a1, 0(a0)   a0 = address of the nop */
		0x0000100f, /* fence.i */
		0x00000013, /* nop, becomes li a2, 7 */
		0x00060513, /* mv   a0, a2 */
		0x00008067, /* ret */
	};
	memcpy(code, self, sizeof(self));
	fence_i();
	u64 (*f)(u64, u64, u64) = (u64 (*)(u64, u64, u64))here;
	expect("code that rewrites itself", f(here + 8, 0x00700613, 3), 7);
	vm_map(10, 0);
	return NULL;
}
