/*
 * The console: SBI DBCN or the legacy SBI console until the device tree has named a 16550, then that, with received
 * bytes brought by interrupt through the PLIC.
 */
#include "demo.h"

enum { RBR = 0, THR = 0, IER = 1, IIR = 2, FCR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCR = 7 };
enum { LSR_DR = 1, LSR_THRE = 0x20, LSR_TEMT = 0x40, IER_RDA = 1, IER_THRE = 2 };

static enum { NONE, LEGACY, DBCN, UART } via;
static u8 ring[256];
static volatile u32 ring_head, ring_tail;
volatile u64 uart_tx_irqs;

static volatile u8 *reg(u32 r) { return (volatile u8 *)(machine.uart + ((u64)r << machine.uart_shift)); }

static void raw_putc(char c)
{
	if (via == NONE)
		via = sbi_has(SBI_DBCN) ? DBCN : LEGACY;
	if (via == UART) {
		while (!(*reg(LSR) & LSR_THRE))
			;
		*reg(THR) = (u8)c;
	} else if (via == DBCN) {
		sbi(SBI_DBCN, 2, (u8)c, 0, 0, 0, 0);
	} else {
		sbi(1, 0, (u8)c, 0, 0, 0, 0);
	}
}

void console_putc(char c)
{
	if (c == '\n')
		raw_putc('\r');
	raw_putc(c);
}

static void drain(void)
{
	for (int i = 0; i < 64 && *reg(LSR) & LSR_DR; i++) {
		u8 c = *reg(RBR);
		if (ring_head - ring_tail < sizeof(ring))
			ring[ring_head++ % sizeof(ring)] = c;
	}
}

/* Called with interrupts off. */
void uart_interrupt(void)
{
	for (int i = 0; i < 8; i++) {
		u8 iir = *reg(IIR);
		if (iir & 1)
			return;
		if ((iir & 0xe) == 2) { /* transmitter empty: one is enough */
			uart_tx_irqs++;
			*reg(IER) = IER_RDA;
		} else if ((iir & 0xe) == 6) {
			(void)*reg(LSR);
		} else if ((iir & 0xe) == 0) {
			(void)*reg(MSR);
		} else {
			drain();
		}
	}
}

void console_use_uart(void)
{
	if (!machine.uart)
		return;
	*reg(IER) = 0;
	*reg(FCR) = 7;  /* FIFOs on and empty, interrupt at one byte */
	*reg(LCR) = 3;  /* 8 bits, no parity; the speed stays as it is */
	*reg(MCR) = 8 | 3;  /* OUT2 gates the interrupt on some machines */
	via = UART;
	if (!machine.plic || harts[0].plic_context < 0)
		return;
	plic_init();
	plic_enable(machine.uart_irq, true);
	*reg(IER) = IER_RDA;
	csr_set(sie, 1UL << IRQ_EXT);
}

int console_getc(void)
{
	if (via != UART) {
		u8 c;
		if (via == DBCN) {
			struct sbiret r = sbi(SBI_DBCN, 1, 1, (u64)&c, 0, 0, 0);
			return r.error == 0 && r.value == 1 ? c : -1;
		}
		i64 got = sbi(2, 0, 0, 0, 0, 0, 0).error;
		return got >= 0 ? (int)(u8)got : -1;
	}
	u64 s = irq_save();
	int c = -1;
	if (!machine.plic)
		drain();
	if (ring_head != ring_tail)
		c = ring[ring_tail++ % sizeof(ring)];
	irq_restore(s);
	return c;
}

/* wfi looks at what is pending even with interrupts off, so none can slip in between the test and the sleep. */
void console_wait(void)
{
	if (via != UART || !machine.plic)
		return;
	u64 s = irq_save();
	if (ring_head == ring_tail)
		asm volatile("wfi" ::: "memory");
	irq_restore(s);
}

const char *check_uart(void)
{
	if (via != UART || !machine.plic || harts[0].plic_context < 0)
		return "no ns16550a with a PLIC";
	while (!(*reg(LSR) & LSR_TEMT))
		;
	*reg(SCR) = 0x5a;
	expect("scratch register", *reg(SCR), 0x5a);
	expect("FIFOs are on", *reg(IIR) >> 6, 3);
	expect("divisor latch is hidden", *reg(LCR) & 0x80, 0);

	/* The empty transmitter asks for an interrupt as soon as it may. */
	u64 tx = uart_tx_irqs, ext = this_hart()->ext_irqs, end = rdtime() + 5 * machine.timebase;
	*reg(IER) = IER_RDA | IER_THRE;
	while (uart_tx_irqs == tx && rdtime() < end)
		;
	expect("transmitter interrupts", uart_tx_irqs - tx, 1);
	expect("external interrupts taken", this_hart()->ext_irqs > ext, 1);
	*reg(IER) = IER_RDA;

	/* With the source disabled at the PLIC it must stay away. */
	plic_enable(machine.uart_irq, false);
	tx = uart_tx_irqs;
	*reg(IER) = IER_RDA | IER_THRE;
	for (end = rdtime() + machine.timebase / 1000; rdtime() < end;)
		;
	expect("interrupts from a disabled source", uart_tx_irqs - tx, 0);
	*reg(IER) = IER_RDA;
	plic_enable(machine.uart_irq, true);
	return NULL;
}
