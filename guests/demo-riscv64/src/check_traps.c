/* Exceptions: cause, stval, sepc and sstatus of each, from S-mode and from U-mode. */
#include "demo.h"

static u8 user_stack[256] __attribute__((aligned(16)));
static u64 buffer[4];

/* stval of illegal instructions and breakpoints may be 0 or say more (privileged spec 4.1.9). */
static void expect_tval_or_zero(const char *what, u64 allowed)
{
	u64 tval = this_hart()->trap.tval;
	if (tval != 0)
		expect(what, tval, allowed);
}

static void illegal(const char *what, const char *code, u64 bits)
{
	expect(what, trap_try(code, 0), 1);
	expect(what, this_hart()->trap.cause, CAUSE_ILLEGAL);
	expect(what, this_hart()->trap.epc, (u64)code);
	expect_tval_or_zero(what, bits);
}

/* An access that is not aligned either works, here or by the firmware's help, or traps with its address. */
static void misaligned(void)
{
	struct hart *h = this_hart();
	u64 at = (u64)buffer + 3;

	buffer[0] = 0x1122334455667788;
	buffer[1] = 0x99aabbccddeeff00;
	if (trap_try(probe_ld, at)) {
		expect("misaligned load: cause", h->trap.cause, CAUSE_LOAD_MISALIGNED);
		expect("misaligned load: stval", h->trap.tval, at);
	} else {
		expect("misaligned load: value", h->result, 0xeeff001122334455);
	}
	if (trap_try(probe_sd, at)) {
		expect("misaligned store: cause", h->trap.cause, CAUSE_STORE_MISALIGNED);
		expect("misaligned store: stval", h->trap.tval, at);
	} else {
		expect("misaligned store: low", buffer[0], at << 24 | 0x667788);
		expect("misaligned store: high", buffer[1], (0x99aabbccddeeff00 >> 24 << 24) | at >> 40);
	}
	/* AMOs and LR must not be split: misaligned or access fault (A extension, "Zalrsc" and "Zaamo"). */
	at = (u64)buffer + 4;
	expect("misaligned AMO traps", trap_try(probe_amo, at), 1);
	u64 cause = amo_cause(h->trap.cause);
	expect("misaligned AMO: cause", cause == CAUSE_STORE_MISALIGNED || cause == CAUSE_STORE_ACCESS, 1);
	expect("misaligned AMO: stval", h->trap.tval, at);
	expect("misaligned AMO: sepc", h->trap.epc, (u64)probe_amo);
	expect("misaligned LR traps", trap_try(probe_lr, at), 1);
	expect("misaligned LR: cause", h->trap.cause == CAUSE_LOAD_MISALIGNED || h->trap.cause == CAUSE_LOAD_ACCESS, 1);
	expect("misaligned LR: stval", h->trap.tval, at);
}

static void from_user(const char *what, const char *code, u64 arg, u64 cause, bool tval_known, u64 tval)
{
	struct hart *h = this_hart();

	h->trap.cause = 99;
	user_run((u64)code, (u64)user_stack + sizeof(user_stack), arg);
	expect(what, h->trap.cause, cause);
	expect(what, h->trap.epc, (u64)code);
	expect(what, h->trap.status & SSTATUS_SPP, 0);
	if (tval_known)
		expect(what, h->trap.tval, tval);
}

const char *check_traps(void)
{
	struct hart *h = this_hart();

	illegal("16-bit zero", probe_zero, 0);
	illegal("all ones", probe_ones, 0xffffffff);
	illegal("M-mode CSR", probe_mcsr, 0x34002573);
	illegal("write of a read-only CSR", probe_rocsr, 0xc0151073);
	illegal("mret", probe_mret, 0x30200073);

	expect("ebreak traps", trap_try(probe_ebreak, 0), 1);
	expect("ebreak: cause", h->trap.cause, CAUSE_BREAKPOINT);
	expect("ebreak: sepc", h->trap.epc, (u64)probe_ebreak);
	expect_tval_or_zero("ebreak: stval", (u64)probe_ebreak);
	expect("c.ebreak traps", trap_try(probe_c_ebreak, 0), 1);
	expect("c.ebreak: cause", h->trap.cause, CAUSE_BREAKPOINT);
	expect("c.ebreak: sepc", h->trap.epc, (u64)probe_c_ebreak);

	/* What a trap saves of sstatus: SPP is S, SPIE is the old SIE. */
	u64 s = irq_save();
	trap_try(probe_ebreak, 0);
	expect("SPP, SPIE, SIE with interrupts off", h->trap.status & 0x122, SSTATUS_SPP);
	csr_set(sstatus, SSTATUS_SIE);
	trap_try(probe_ebreak, 0);
	expect("SPP, SPIE, SIE with interrupts on", h->trap.status & 0x122, SSTATUS_SPP | SSTATUS_SPIE);
	csr_clear(sstatus, SSTATUS_SIE);
	irq_restore(s);

	misaligned();

	expect_trap("load from nowhere", probe_ld, HOLE, CAUSE_LOAD_ACCESS, HOLE, (u64)probe_ld);
	expect_trap("store to nowhere", probe_sd, HOLE + 8, CAUSE_STORE_ACCESS, HOLE + 8, (u64)probe_sd);
	expect("AMO on nowhere traps", trap_try(probe_amo, HOLE + 16), 1);
	expect("AMO on nowhere: cause", amo_cause(h->trap.cause), CAUSE_STORE_ACCESS);
	expect("AMO on nowhere: stval", h->trap.tval, HOLE + 16);
	expect("AMO on nowhere: sepc", h->trap.epc, (u64)probe_amo);
	expect_trap("fetch from nowhere", probe_jump, HOLE, CAUSE_FETCH_ACCESS, HOLE, HOLE);
	/* With C, jalr clears bit 0 and no target is misaligned. */
	expect("odd jump target", trap_try(probe_jump, HOLE + 1), 1);
	expect("odd jump target: sepc", h->trap.epc, HOLE);

	/* sscratch, sepc and stvec as registers. */
	s = irq_save();
	csr_write(sepc, (u64)probe_ld + 1);
	if (strict()) /* QEMU 7.2 keeps the bit */
		expect("sepc bit 0", csr_read(sepc), (u64)probe_ld);
	u64 v = csr_swap(scause, 0x8000000000000005);
	expect("scause holds an interrupt code", csr_read(scause), 0x8000000000000005);
	csr_write(scause, v);
	v = csr_swap(stval, 0x123456789abcdef0);
	expect("stval holds 64 bits", csr_read(stval), 0x123456789abcdef0);
	irq_restore(s);

	/* U-mode with translation off is bound by nothing but PMP; with it on, these pages belong to S-mode. */
	if (vm_on())
		return NULL;
	from_user("ecall from U-mode", user_ecall, 0, CAUSE_ECALL_U, true, 0);
	from_user("illegal instruction in U-mode", user_illegal, 0, CAUSE_ILLEGAL, false, 0);
	expect_tval_or_zero("illegal instruction in U-mode: stval", 0xffffffff);
	from_user("ebreak in U-mode", user_ebreak, 0, CAUSE_BREAKPOINT, false, 0);
	from_user("S-mode CSR in U-mode", user_priv, 0, CAUSE_ILLEGAL, false, 0);
	from_user("load from nowhere in U-mode", user_load, HOLE, CAUSE_LOAD_ACCESS, true, HOLE);
	from_user("store to nowhere in U-mode", user_store, HOLE, CAUSE_STORE_ACCESS, true, HOLE);

	/* User code spins on the count of timer interrupts: one has to come out of U-mode, and U-mode has to go on. */
	h->timer_irqs = 0;
	csr_set(sie, 1UL << IRQ_TIMER);
	timer_set(rdtime() + machine.timebase / 1000);
	user_run((u64)user_spin, (u64)user_stack + sizeof(user_stack), (u64)&h->timer_irqs);
	expect("U-mode saw the timer interrupt", h->result, 1);
	expect("and ended by ecall", h->trap.cause, CAUSE_ECALL_U);
	return NULL;
}
