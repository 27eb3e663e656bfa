/* The trap handler: interrupts are counted and quenched, exceptions are either expected or the end. */
#include "demo.h"

struct hart harts[MAX_HARTS];

_Static_assert(offsetof(struct hart, ksp) == HART_KSP, "hart.h");
_Static_assert(offsetof(struct hart, ctx) == HART_CTX, "hart.h");
_Static_assert(offsetof(struct hart, catch) == HART_CATCH, "hart.h");
_Static_assert(offsetof(struct hart, result) == HART_RESULT, "hart.h");
_Static_assert(offsetof(struct hart, stack) == HART_STACK, "hart.h");
_Static_assert(offsetof(struct hart, id) == HART_ID, "hart.h");
_Static_assert(offsetof(struct hart, stray) == HART_STRAY, "hart.h");
_Static_assert(sizeof(struct hart) == HART_SIZE, "hart.h");
_Static_assert(sizeof(struct frame) == FRAME_SIZE, "hart.h");

void trap_handler(struct frame *f);

void timer_set(u64 deadline)
{
	if (this_hart()->timer_sstc)
		csr_write(0x14d, deadline); /* stimecmp */
	else
		sbi(SBI_TIME, 0, deadline, 0, 0, 0, 0);
}

static void interrupt(struct hart *h, u64 code)
{
	switch (code) {
	case IRQ_TIMER:
		h->timer_at = rdtime();
		timer_set(-1UL);
		h->timer_irqs++;
		break;
	case IRQ_SOFT:
		csr_clear(sip, 1UL << IRQ_SOFT);
		h->soft_irqs++;
		break;
	case IRQ_EXT:
		h->ext_irqs++;
		plic_interrupt();
		break;
	default:
		panic("interrupt of an unknown cause");
	}
}

void trap_handler(struct frame *f)
{
	struct hart *h = this_hart();

	if (f->cause >> 63) {
		interrupt(h, f->cause << 1 >> 1);
		return;
	}
	h->trap = (struct trap){ f->cause, f->tval, f->epc, f->status };
	if (!(f->status & SSTATUS_SPP)) {
		h->result = f->x[10];
		resume_context(h, 1);
	}
	if (h->catch) {
		h->catch = 0;
		if (f->status & SSTATUS_SPIE)
			csr_set(sstatus, SSTATUS_SIE);
		resume_context(h, 1);
	}
	print("\nunexpected exception on hart %lu: scause %lu stval 0x%lx sepc 0x%lx sstatus 0x%lx\n", h->id, f->cause,
	      f->tval, f->epc, f->status);
	for (int i = 1; i < 32; i++)
		print(" x%02d 0x%016lx%s", i, f->x[i], i % 4 == 0 || i == 31 ? "\n" : " ");
	panic("exception");
}

void user_run(u64 entry, u64 sp, u64 arg)
{
	u64 s = irq_save();
	user_enter(entry, sp, arg);
	irq_restore(s);
}

_Noreturn void panic(const char *why)
{
	irq_save();
	print("\nFAIL panic: %s\n", why);
	system_reset(RESET_SHUTDOWN, REASON_FAILURE);
}
