/* Time, timer interrupts and the counters. */
#include "demo.h"

static u64 soon(void) { return machine.timebase / 500 + 1; } /* 2 ms */

static void one_timer(const char *what)
{
	struct hart *h = this_hart();
	u64 s = irq_save(), before = h->timer_irqs;

	/* Nothing before the deadline, something after it, taken as soon as interrupts are on. */
	timer_set(-1UL);
	csr_set(sie, 1UL << IRQ_TIMER);
	expect("no timer is pending", csr_read(sip) >> IRQ_TIMER & 1, 0);
	u64 deadline = rdtime() + soon(), end = deadline + 5 * machine.timebase;
	timer_set(deadline);
	while (!(csr_read(sip) >> IRQ_TIMER & 1) && rdtime() < end)
		;
	expect("STIP not before the deadline", rdtime() >= deadline, 1);
	expect("STIP becomes pending", csr_read(sip) >> IRQ_TIMER & 1, 1);
	expect("no interrupt while SIE is clear", h->timer_irqs, before);
	csr_set(sstatus, SSTATUS_SIE);
	csr_clear(sstatus, SSTATUS_SIE);
	expect("the pending interrupt is taken", h->timer_irqs, before + 1);
	expect("a new deadline clears STIP", csr_read(sip) >> IRQ_TIMER & 1, 0);

	/* wfi sleeps until the next. */
	deadline = rdtime() + soon();
	timer_set(deadline);
	while (h->timer_irqs == before + 1 && rdtime() < end) {
		asm volatile("wfi" ::: "memory");
		csr_set(sstatus, SSTATUS_SIE);
		csr_clear(sstatus, SSTATUS_SIE);
	}
	expect(what, h->timer_irqs, before + 2);
	expect("not early", h->timer_at >= deadline, 1);

	/* A deadline in the past is due at once. */
	timer_set(1);
	for (end = rdtime() + 5 * machine.timebase; !(csr_read(sip) >> IRQ_TIMER & 1) && rdtime() < end;)
		;
	csr_set(sstatus, SSTATUS_SIE);
	csr_clear(sstatus, SSTATUS_SIE);
	expect("a deadline in the past", h->timer_irqs, before + 3);
	irq_restore(s);
}

const char *check_timers(void)
{
	struct hart *h = this_hart();
	u64 last = rdtime(), start = last;
	bool back = false;

	for (int i = 0; i < 1000; i++) {
		u64 t = rdtime();
		back |= t < last;
		last = t;
	}
	expect("time never goes back", back, 0);
	for (u64 i = 0; i < 2000000000 && last == start; i++)
		last = rdtime();
	expect("time goes on", last > start, 1);

	h->timer_sstc = false;
	one_timer("SBI timer");
	if (isa_has("sstc")) {
		/* The firmware may keep stimecmp to itself (menvcfg.STCE). */
		if (trap_try(probe_stimecmp, -1UL) == 0) {
			h->timer_sstc = true;
			one_timer("stimecmp timer");
			h->timer_sstc = false;
			timer_set(-1UL);
		} else {
			expect("stimecmp: cause", h->trap.cause, CAUSE_ILLEGAL);
		}
	}
	return NULL;
}

const char *check_counters(void)
{
	struct hart *h = this_hart();
	u64 a, b;

	expect("rdtime by trap_try", trap_try(probe_time, 0), 0);
	if (trap_try(probe_cycle, 0)) {
		expect("rdcycle: cause", h->trap.cause, CAUSE_ILLEGAL);
	} else {
		a = h->result;
		trap_try(probe_cycle, 0);
		expect("cycle goes on", h->result >= a, 1);
	}
	if (trap_try(probe_instret, 0)) {
		expect("rdinstret: cause", h->trap.cause, CAUSE_ILLEGAL);
		return "instret is not allowed here";
	}
	u64 s = irq_save();
	a = h->result;
	asm volatile("li t0, 1000\n1: addi t0, t0, -1\nbnez t0, 1b" ::: "t0");
	trap_try(probe_instret, 0);
	b = h->result;
	irq_restore(s);
	/* Machines without instruction counting may show host ticks here; those only have to go on. */
	expect("instret goes on", b > a, 1);
	return NULL;
}
