/* Sv39: every way a page walk can end (privileged spec 4.3.2 and 4.4), sfence.vma, ASIDs, SUM and MXR. */
#include "demo.h"

#define VA(n) (TEST_VA + (n) * PAGE)
static u64 *const page0 = (u64 *)test_pages[0], *const page1 = (u64 *)test_pages[1];

static void fault(const char *what, const void *probe, u64 va, u64 cause)
{
	expect_trap(what, probe, va, cause, va, cause == CAUSE_FETCH_PAGE ? va : (u64)probe);
}

static u64 load(const char *what, u64 va)
{
	expect(what, trap_try(probe_ld, va), 0);
	return this_hart()->result;
}

static void permissions(void)
{
	page0[0] = 0xfeedface;
	vm_map(0, pte_of(page0, PTE_RW));
	expect("load through a mapping", load("load through a mapping", VA(0)), 0xfeedface);
	expect("store through a mapping", trap_try(probe_sd, VA(0) + 8), 0);
	expect("store through a mapping", page0[1], VA(0) + 8);
	fault("fetch without X", probe_jump, VA(0), CAUSE_FETCH_PAGE);

	vm_map(0, pte_of(page0, PTE_V | PTE_R | PTE_A | PTE_D));
	expect("load from a read-only page", load("load from a read-only page", VA(0)), 0xfeedface);
	fault("store to a read-only page", probe_sd, VA(0) + 16, CAUSE_STORE_PAGE);
	fault("AMO on a read-only page", probe_amo, VA(0) + 24, CAUSE_STORE_PAGE);
	expect("a faulting store leaves memory alone", page0[2], 0);

	vm_map(0, pte_of(page0, PTE_V | PTE_X | PTE_A | PTE_D));
	fault("load from an execute-only page", probe_ld, VA(0), CAUSE_LOAD_PAGE);
	csr_set(sstatus, SSTATUS_MXR);
	expect("the same with MXR", load("the same with MXR", VA(0)), 0xfeedface);
	csr_clear(sstatus, SSTATUS_MXR);
	fault("the same without MXR", probe_ld, VA(0), CAUSE_LOAD_PAGE);

	vm_map(0, 0);
	fault("load, not mapped", probe_lb, VA(0) + 5, CAUSE_LOAD_PAGE);
	fault("store, not mapped", probe_sd, VA(0), CAUSE_STORE_PAGE);
	expect("AMO, not mapped, traps", trap_try(probe_amo, VA(0)), 1);
	expect("AMO, not mapped: cause", amo_cause(this_hart()->trap.cause), CAUSE_STORE_PAGE);
	expect("AMO, not mapped: stval", this_hart()->trap.tval, VA(0));
	fault("LR, not mapped", probe_lr, VA(0), CAUSE_LOAD_PAGE);
	fault("fetch, not mapped", probe_jump, VA(0), CAUSE_FETCH_PAGE);

	vm_map(0, pte_of(page0, PTE_V | PTE_W | PTE_A | PTE_D));
	fault("W without R is reserved", probe_ld, VA(0), CAUSE_LOAD_PAGE);
	vm_map(0, pte_of(page0, PTE_RW) | 1UL << 60);
	fault("reserved bits of a PTE", probe_ld, VA(0), CAUSE_LOAD_PAGE);
	vm_map(0, pte_of(page0, PTE_V));
	fault("a pointer at the last level", probe_ld, VA(0), CAUSE_LOAD_PAGE);
	fault("address with wrong upper bits", probe_ld, 1UL << 38, CAUSE_LOAD_PAGE);
	fault("fetch with wrong upper bits", probe_jump, 1UL << 38, CAUSE_FETCH_PAGE);
}

/* Hardware either sets A and D itself, or faults and leaves that to software (Svade). */
static void accessed_dirty(void)
{
	u64 pte = pte_of(page0, PTE_V | PTE_R | PTE_W);

	vm_map(0, pte);
	if (trap_try(probe_ld, VA(0))) {
		expect("load with A clear: cause", this_hart()->trap.cause, CAUSE_LOAD_PAGE);
		expect("load with A clear: PTE", vm_leaf[0], pte);
	} else {
		expect("Svade faults with A clear", isa_has("svade"), 0);
		expect("load sets A only", vm_leaf[0], pte | PTE_A);
	}
	vm_map(0, pte | PTE_A);
	if (trap_try(probe_sd, VA(0))) {
		expect("store with D clear: cause", this_hart()->trap.cause, CAUSE_STORE_PAGE);
		expect("store with D clear: PTE", vm_leaf[0], pte | PTE_A);
	} else {
		expect("store sets D", vm_leaf[0], pte | PTE_A | PTE_D);
	}
}

static void user_pages(void)
{
	struct hart *h = this_hart();

	page0[0] = 0x600d;
	vm_map(0, pte_of(page0, PTE_RWX | PTE_U));
	vm_map(1, pte_of(user_start, PTE_RX | PTE_U));
	fault("S-mode load from a user page", probe_ld, VA(0), CAUSE_LOAD_PAGE);
	fault("S-mode store to a user page", probe_sd, VA(0), CAUSE_STORE_PAGE);
	csr_set(sstatus, SSTATUS_SUM);
	expect("load with SUM", load("load with SUM", VA(0)), 0x600d);
	if (!strict()) /* QEMU 7.2 takes the TLB entry of the load for this fetch */
		sfence_all();
	fault("S-mode never executes a user page", probe_jump, VA(0), CAUSE_FETCH_PAGE);
	csr_clear(sstatus, SSTATUS_SUM);
	fault("load without SUM again", probe_ld, VA(0), CAUSE_LOAD_PAGE);

	u64 text = VA(1) - (u64)user_start;
	user_run(text + (u64)user_load, VA(0) + PAGE, VA(0));
	expect("user load ends by ecall", h->trap.cause, CAUSE_ECALL_U);
	expect("user load", h->result, 0x600d);
	expect("user sepc", h->trap.epc, text + (u64)user_load + 4);
	user_run(text + (u64)user_illegal, VA(0) + PAGE, 0);
	expect("illegal instruction in U-mode: cause", h->trap.cause, CAUSE_ILLEGAL);
	expect("illegal instruction in U-mode: sepc", h->trap.epc, text + (u64)user_illegal);
	user_run(text + (u64)user_priv, VA(0) + PAGE, 0);
	expect("S-mode CSR in U-mode", h->trap.cause, CAUSE_ILLEGAL);
	user_run(text + (u64)user_load, VA(0) + PAGE, (u64)page0);
	expect("user load of an S-mode page: cause", h->trap.cause, CAUSE_LOAD_PAGE);
	expect("user load of an S-mode page: stval", h->trap.tval, (u64)page0);
	user_run(text + (u64)user_store, VA(0) + PAGE, VA(1));
	expect("user store to read-only text: cause", h->trap.cause, CAUSE_STORE_PAGE);
	expect("user store to read-only text: stval", h->trap.tval, VA(1));
	user_run((u64)user_ecall, VA(0) + PAGE, 0);
	expect("user fetch of an S-mode page", h->trap.cause, CAUSE_FETCH_PAGE);
	vm_map(1, 0);
}

static void superpages(void)
{
	u64 base = (u64)test_pages & ~((2UL << 20) - 1), off = (u64)page1 - base;

	page1[7] = 0x2222;
	vm_mid[1] = pte_of(base, PTE_RW);
	sfence_all();
	expect("2 MiB page", load("2 MiB page", TEST_VA2 + off + 56), 0x2222);
	vm_mid[1] = pte_of(base + PAGE, PTE_RW);
	sfence_all();
	fault("2 MiB page that is not aligned", probe_ld, TEST_VA2, CAUSE_LOAD_PAGE);
	vm_mid[1] = 0;
	vm_root[257] = pte_of((u64)page1 >> 30 << 30, PTE_RW);
	sfence_all();
	u64 va = TEST_VA + (1UL << 30) + ((u64)page1 & ((1UL << 30) - 1));
	expect("1 GiB page", load("1 GiB page", va + 56), 0x2222);
	vm_root[257] = pte_of(((u64)page1 >> 30 << 30) + (2UL << 20), PTE_RW);
	sfence_all();
	fault("1 GiB page that is not aligned", probe_ld, va, CAUSE_LOAD_PAGE);
	vm_root[257] = 0;
	sfence_all();
	fault("after unmapping", probe_ld, va, CAUSE_LOAD_PAGE);
}

/* A stale translation may be used until the sfence.vma and must not be after it. */
static void fences(void)
{
	page0[0] = 10;
	page1[0] = 11;
	for (u64 i = 0; i < 50; i++) {
		u64 *p = i & 1 ? page1 : page0;
		vm_leaf[2] = pte_of(p, PTE_RW);
		sfence_va(VA(2));
		expect("load after sfence.vma", load("load after sfence.vma", VA(2)), 10 + (i & 1));
	}
	vm_leaf[2] = pte_of(page0, PTE_V | PTE_R | PTE_A);
	sfence_va(VA(2));
	fault("store after the page became read-only", probe_sd, VA(2), CAUSE_STORE_PAGE);
}

/* Two address spaces alternate at the same address with no fence between, told apart by ASID. */
static void asids(void)
{
	u64 home = csr_read(satp), s = irq_save();

	csr_write(satp, home | 0xffffUL << 44);
	u64 widest = csr_read(satp) >> 44 & 0xffff;
	csr_write(satp, home);
	if (widest >= 2) {
		u64 a = 8UL << 60 | 1UL << 44 | (u64)vm_root >> 12, b = 8UL << 60 | 2UL << 44 | (u64)vm_root2 >> 12;
		vm_leaf[3] = pte_of(page0, PTE_RW);
		vm_leaf2[3] = pte_of(page1, PTE_RW);
		sfence_all();
		page0[3] = 100;
		page1[3] = 200;
		for (int i = 0; i < 50; i++) {
			csr_write(satp, a);
			u64 x = (*(volatile u64 *)(VA(3) + 24))++;
			csr_write(satp, b);
			u64 y = (*(volatile u64 *)(VA(3) + 24))++;
			csr_write(satp, home);
			expect("ASID 1", x, 100 + (u64)i);
			expect("ASID 2", y, 200 + (u64)i);
		}
	}
	/* A write with a mode that is not there changes nothing at all. */
	csr_write(satp, 15UL << 60 | 1234);
	expect("satp after a reserved mode", csr_read(satp), home);
	irq_restore(s);
	sfence_all();
}

/* Accesses over a page boundary: neighbours in virtual memory, strangers in physical memory. */
static void straddle(void)
{
	struct hart *h = this_hart();
	u64 va = VA(5) - 3;

	vm_map(4, pte_of(test_pages[2], PTE_RW));
	vm_map(5, pte_of(test_pages[0], PTE_RW));
	memcpy(test_pages[2] + PAGE - 3, "\x01\x02\x03", 3);
	memcpy(test_pages[0], "\x04\x05\x06\x07\x08", 5);
	bool works = !trap_try(probe_ld, va);
	if (works)
		expect("load over a page boundary", h->result, 0x0807060504030201);
	else
		expect("load over a page boundary: cause", h->trap.cause, CAUSE_LOAD_MISALIGNED);
	vm_map(5, 0);
	expect("load into an unmapped page traps", trap_try(probe_ld, va), 1);
	if (h->trap.cause != CAUSE_LOAD_MISALIGNED) {
		expect("load into an unmapped page: cause", h->trap.cause, CAUSE_LOAD_PAGE);
		expect("load into an unmapped page: stval", h->trap.tval >> 12, VA(5) >> 12);
	}
	expect("store into an unmapped page traps", trap_try(probe_sd, va), 1);
	if (h->trap.cause != CAUSE_STORE_MISALIGNED) {
		expect("store into an unmapped page: cause", h->trap.cause, CAUSE_STORE_PAGE);
		expect("store into an unmapped page: stval", h->trap.tval >> 12, VA(5) >> 12);
	}

	/* An instruction whose second half is not mapped: stval names the half, sepc the instruction. */
	memcpy(test_pages[2] + PAGE - 2, "\x13\x05", 2); /* low half of addi a0, zero, imm */
	vm_map(4, pte_of(test_pages[2], PTE_RX));
	fence_i();
	expect_trap("fetch over a page boundary", probe_jump, VA(5) - 2, CAUSE_FETCH_PAGE, VA(5), VA(5) - 2);
	vm_map(4, 0);

	/* Access faults carry the virtual address. */
	vm_map(6, pte_of(HOLE, PTE_RWX));
	expect_trap("mapped load from nowhere", probe_ld, VA(6) + 8, CAUSE_LOAD_ACCESS, VA(6) + 8, (u64)probe_ld);
	expect_trap("mapped store to nowhere", probe_sd, VA(6), CAUSE_STORE_ACCESS, VA(6), (u64)probe_sd);
	expect_trap("mapped fetch from nowhere", probe_jump, VA(6), CAUSE_FETCH_ACCESS, VA(6), VA(6));
	vm_map(6, 0);
}

const char *check_paging(void)
{
	memset(test_pages, 0, sizeof(test_pages));
	memset(vm_leaf, 0, sizeof(vm_leaf));
	vm_enable();
	expect("satp holds Sv39", csr_read(satp), 8UL << 60 | (u64)vm_root >> 12);
	if (!vm_on())
		return NULL;
	permissions();
	accessed_dirty();
	user_pages();
	superpages();
	fences();
	asids();
	straddle();
	return NULL;
}
