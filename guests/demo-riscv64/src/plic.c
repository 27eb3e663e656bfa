/* The platform-level interrupt controller (RISC-V PLIC specification 1.0), S-mode context of the boot hart. */
#include "demo.h"

static u64 context(void) { return (u64)harts[0].plic_context; }
static u64 enable_word(u32 irq) { return machine.plic + 0x2000 + 0x80 * context() + 4 * (irq / 32); }
static u64 threshold(void) { return machine.plic + 0x200000 + 0x1000 * context(); }
static u64 claim(void) { return threshold() + 4; }

void plic_init(void)
{
	for (u32 irq = 0; irq <= machine.plic_sources && irq < 1024; irq += 32)
		mmio32(enable_word(irq)) = 0;
	mmio32(threshold()) = 0;
}

void plic_enable(u32 irq, bool on)
{
	if (!irq || irq > 1023)
		return;
	u64 s = irq_save();
	u32 bit = 1u << (irq % 32), old = mmio32(enable_word(irq));
	mmio32(machine.plic + 4 * irq) = 1;
	mmio32(enable_word(irq)) = on ? old | bit : old & ~bit;
	irq_restore(s);
}

void plic_interrupt(void)
{
	u32 irq = mmio32(claim());

	if (!irq)
		return;
	if (irq == machine.uart_irq)
		uart_interrupt();
	else
		plic_enable(irq, false); /* nobody's: it would come for ever */
	mmio32(claim()) = irq;
}
