/* Software interrupts, and harts started and stopped through HSM that share counters, a lock and a page. */
#include "demo.h"

enum { HSM_START, HSM_STOP, HSM_STATUS };
enum { STARTED = 0, STOPPED = 1 };
enum { ROUNDS = 20000 };
enum { PHASE_OFF, PHASE_READY, PHASE_COUNTED, PHASE_READ, PHASE_READ2 };

static u64 amo_count, lrsc_count, lock_word, plain_count, max_seen;
static u64 *const page0 = (u64 *)test_pages[0], *const page1 = (u64 *)test_pages[1];

/*
 * Waiting is done asleep, woken by a timer here and by IPIs there: a machine that runs its harts in turn (QEMU's -icount)
 * would give a spinning hart a very long turn. Gives up after 20 s of guest time.
 */
static bool wait_until(volatile u64 *word, u64 want)
{
	u64 s = irq_save(), end = rdtime() + 20 * machine.timebase;

	csr_set(sie, 1UL << IRQ_TIMER);
	while (*word != want && rdtime() < end) {
		timer_set(rdtime() + machine.timebase / 10000);
		asm volatile("wfi" ::: "memory");
	}
	timer_set(-1UL);
	irq_restore(s);
	asm volatile("fence rw, rw" ::: "memory");
	return *word == want;
}

/* The secondary's side: the next IPI, with its count in soft_irqs. */
static void wait_ipi(struct hart *h, u64 nth)
{
	while (h->soft_irqs < nth) {
		asm volatile("wfi" ::: "memory");
		csr_set(sstatus, SSTATUS_SIE);
		csr_clear(sstatus, SSTATUS_SIE);
	}
}

static void reach(struct hart *h, u64 phase)
{
	asm volatile("fence rw, rw" ::: "memory");
	h->phase = phase;
}

static void contend(u64 me)
{
	for (int i = 0; i < ROUNDS; i++) {
		u64 t, f;
		asm volatile("amoadd.d zero, %1, (%0)" :: "r"(&amo_count), "r"(1UL) : "memory");
		asm volatile("1: lr.d %0, (%2)\n addi %0, %0, 1\n sc.d %1, %0, (%2)\n bnez %1, 1b"
			     : "=&r"(t), "=&r"(f) : "r"(&lrsc_count) : "memory");
		asm volatile("1: amoswap.w.aq %0, %2, (%1)\n bnez %0, 1b" : "=&r"(t) : "r"(&lock_word), "r"(1UL) : "memory");
		plain_count++; /* not atomic: the lock has to hold */
		asm volatile("amoswap.w.rl zero, zero, (%0)" :: "r"(&lock_word) : "memory");
		asm volatile("amomaxu.d zero, %1, (%0)" :: "r"(&max_seen), "r"(me * ROUNDS + (u64)i) : "memory");
	}
}

_Noreturn void secondary_main(struct hart *h)
{
	volatile u64 *page = (volatile u64 *)(TEST_VA + 2 * PAGE);

	csr_write(satp, 8UL << 60 | (u64)vm_root >> 12);
	sfence_all();
	h->soft_irqs = 0;
	csr_write(sie, 1UL << IRQ_SOFT);
	reach(h, PHASE_READY);
	wait_ipi(h, 1);
	contend((u64)(h - harts));
	reach(h, PHASE_COUNTED);

	/* A page that is moved under our feet; the second read follows a remote fence. */
	wait_ipi(h, 2);
	h->seen = *page;
	reach(h, PHASE_READ);
	wait_ipi(h, 3);
	h->seen = *page;
	reach(h, PHASE_READ2);
	sbi(SBI_HSM, HSM_STOP, 0, 0, 0, 0, 0);
	panic("hart_stop came back");
}

/* IPIs to all others, by each form of the mask in turn: one call each, one for all, base -1. */
static void wake_others(int form)
{
	u64 mask = 0;

	for (int i = 1; i < machine.hart_count; i++) {
		if (form == 0 || harts[i].id > 63)
			expect("send_ipi to one", (u64)sbi(SBI_IPI, 0, 1, harts[i].id, 0, 0, 0).error, 0);
		else
			mask |= 1UL << harts[i].id;
	}
	if (form == 1 && mask)
		expect("send_ipi to several", (u64)sbi(SBI_IPI, 0, mask, 0, 0, 0, 0).error, 0);
	if (form == 2 && mask) { /* this hart gets one too */
		expect("send_ipi to all", (u64)sbi(SBI_IPI, 0, 0, -1UL, 0, 0, 0).error, 0);
		csr_clear(sip, 1UL << IRQ_SOFT);
	}
}

static void all_reach(u64 phase, const char *what)
{
	for (int i = 1; i < machine.hart_count; i++)
		expect(what, wait_until(&harts[i].phase, phase), 1);
}

static bool wait_stopped(u64 id)
{
	for (int i = 0; i < 100; i++) {
		if (sbi(SBI_HSM, HSM_STATUS, id, 0, 0, 0, 0).value == STOPPED)
			return true;
		u64 s = irq_save(); /* a nap */
		csr_set(sie, 1UL << IRQ_TIMER);
		timer_set(rdtime() + machine.timebase / 100);
		asm volatile("wfi" ::: "memory");
		timer_set(-1UL);
		irq_restore(s);
	}
	return false;
}

const char *check_harts(void)
{
	if (machine.hart_count < 2)
		return "one hart";
	expect("HSM is there", sbi_has(SBI_HSM), 1);
	expect("a hart that is not there", (u64)sbi(SBI_HSM, HSM_START, 0xfffff, (u64)secondary_entry, 0, 0, 0).error, (u64)-3);
	expect("the boot hart is started", sbi(SBI_HSM, HSM_STATUS, harts[0].id, 0, 0, 0, 0).value, STARTED);
	expect("starting it again", (u64)sbi(SBI_HSM, HSM_START, harts[0].id, (u64)secondary_entry, 0, 0, 0).error, (u64)-6);

	for (int round = 0; round < 2; round++) { /* twice: stopped harts can be started again */
		amo_count = lrsc_count = plain_count = max_seen = 0;
		page0[0] = 0xaaaa;
		page1[0] = 0xbbbb;
		vm_map(2, pte_of(page0, PTE_RW));
		u64 n = 1;
		for (int i = 1; i < machine.hart_count; i++) {
			struct hart *h = &harts[i];
			h->phase = PHASE_OFF;
			h->stray = false;
			expect("status before start", sbi(SBI_HSM, HSM_STATUS, h->id, 0, 0, 0, 0).value, STOPPED);
			i64 e = sbi(SBI_HSM, HSM_START, h->id, (u64)secondary_entry, (u64)h, 0, 0).error;
			expect("hart_start", (u64)e, 0);
			if (e)
				return NULL;
			n++;
		}
		all_reach(PHASE_READY, "a hart came up");
		for (int i = 1; strict() && i < machine.hart_count; i++)
			expect("a hart starts where it was told to", harts[i].stray, 0);
		wake_others(round);
		contend(0);
		all_reach(PHASE_COUNTED, "a hart came through the counting");
		expect("AMO counter", amo_count, n * ROUNDS);
		expect("LR/SC counter", lrsc_count, n * ROUNDS);
		expect("counter under a lock", plain_count, n * ROUNDS);
		expect("AMO maximum", max_seen, n * ROUNDS - 1);

		wake_others(2);
		all_reach(PHASE_READ, "a hart read the page");
		for (int i = 1; i < machine.hart_count; i++)
			expect("before the remote fence", harts[i].seen, 0xaaaa);
		vm_leaf[2] = pte_of(page1, PTE_RW);
		sfence_all();
		expect("remote_sfence_vma", (u64)sbi(SBI_RFENCE, 1, 0, -1UL, TEST_VA + 2 * PAGE, PAGE, 0).error, 0);
		wake_others(1 - round);
		all_reach(PHASE_READ2, "a hart read the page again");
		for (int i = 1; i < machine.hart_count; i++) {
			expect("after the remote fence", harts[i].seen, 0xbbbb);
			expect("hart stops", wait_stopped(harts[i].id), 1);
		}
	}
	return NULL;
}

const char *check_ipi(void)
{
	struct hart *h = this_hart();
	u64 s = irq_save(), before = h->soft_irqs;

	/* SSIP is writable from S-mode. */
	csr_clear(sip, 1UL << IRQ_SOFT);
	csr_set(sie, 1UL << IRQ_SOFT);
	csr_set(sip, 1UL << IRQ_SOFT);
	expect("SSIP is set", csr_read(sip) >> IRQ_SOFT & 1, 1);
	csr_set(sstatus, SSTATUS_SIE);
	csr_clear(sstatus, SSTATUS_SIE);
	expect("software interrupt", h->soft_irqs, before + 1);

	/* And by way of the firmware, to ourselves. */
	expect("send_ipi", (u64)sbi(SBI_IPI, 0, 1, h->id, 0, 0, 0).error, 0);
	for (u64 end = rdtime() + 5 * machine.timebase; h->soft_irqs == before + 1 && rdtime() < end;) {
		csr_set(sstatus, SSTATUS_SIE);
		csr_clear(sstatus, SSTATUS_SIE);
	}
	expect("IPI to this hart", h->soft_irqs, before + 2);
	csr_clear(sie, 1UL << IRQ_SOFT);
	irq_restore(s);
	return NULL;
}
