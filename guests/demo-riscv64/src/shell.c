/* A shell of a few words on the console. */
#include "demo.h"

static int next_key(void)
{
	int c;
	while ((c = console_getc()) < 0)
		console_wait();
	return c;
}

static void read_line(char *line, size_t room)
{
	size_t n = 0;

	for (;;) {
		int c = next_key();
		if (c == '\r' || c == '\n') {
			print("\n");
			break;
		}
		if (c == 0x7f || c == 8) {
			if (n)
				n--, print("\b \b");
		} else if (c == 0x15 || c == 3) { /* ^U, ^C: start again */
			for (; n; n--)
				print("\b \b");
		} else if (c >= ' ' && c < 0x7f && n + 1 < room) {
			line[n++] = (char)c;
			console_putc((char)c);
		}
	}
	line[n] = 0;
}

static void help(void)
{
	print("help            this list\n"
	      "devices         what the device tree names\n"
	      "check           all checks\n"
	      "bench [N]       the benchmark, N times over\n"
	      "mem ADDR [N]    N 64-bit words of memory (a fault is reported)\n"
	      "time            the time counter\n"
	      "harts           harts and their state\n"
	      "echo TEXT       says TEXT\n"
	      "trap            an illegal instruction, caught\n"
	      "panic           an exception that is not\n"
	      "reboot, poweroff\n");
}

static void mem(const char *arg)
{
	u64 at, n = 4;

	if (!parse_number(arg, &at)) {
		print("mem needs an address, such as 0x80200000\n");
		return;
	}
	while (*arg && *arg != ' ')
		arg++;
	if (*arg && !parse_number(arg + 1, &n))
		n = 4;
	for (at &= ~7UL; n && n <= 512; n--, at += 8) {
		if (trap_try(probe_ld, at)) {
			print("0x%lx: exception %lu, stval 0x%lx\n", at, this_hart()->trap.cause, this_hart()->trap.tval);
			return;
		}
		print("0x%016lx: 0x%016lx\n", at, this_hart()->result);
	}
}

static void list_harts(void)
{
	static const char *const states[] = { "started", "stopped", "starting", "stopping", "suspended" };

	for (int i = 0; i < machine.hart_count; i++) {
		struct sbiret r = sbi(SBI_HSM, 2, harts[i].id, 0, 0, 0, 0);
		print("hart %lu: %s, %lu timer, %lu software, %lu external interrupts\n", harts[i].id,
		      r.error == 0 && r.value < COUNT(states) ? states[r.value] : "?", harts[i].timer_irqs,
		      harts[i].soft_irqs, harts[i].ext_irqs);
	}
}

/* The text behind a command word, or null if the line is another command. */
static const char *argument(const char *line, const char *word)
{
	size_t n = strlen(word);
	if (!starts_with(line, word) || (line[n] && line[n] != ' '))
		return NULL;
	return line[n] ? line + n + 1 : line + n;
}

void shell(void)
{
	char line[128];
	const char *arg;

	print("demo shell; `help` lists the commands\n");
	for (;;) {
		print("demo> ");
		read_line(line, sizeof(line));
		if (!line[0]) {
			continue;
		} else if (argument(line, "help")) {
			help();
		} else if (argument(line, "devices")) {
			machine_print();
		} else if (argument(line, "check")) {
			int failed = run_checks();
			print("%d of %d checks failed\n", failed, checks_run);
		} else if ((arg = argument(line, "bench"))) {
			u64 n = 1;
			bench(*arg && parse_number(arg, &n) && n ? n : 1);
		} else if ((arg = argument(line, "mem"))) {
			mem(arg);
		} else if (argument(line, "time")) {
			u64 t = rdtime();
			print("time %lu, %lu.%03lu s\n", t, t / machine.timebase, t % machine.timebase * 1000 / machine.timebase);
		} else if (argument(line, "harts")) {
			list_harts();
		} else if ((arg = argument(line, "echo"))) {
			print("%s\n", arg);
		} else if (argument(line, "trap")) {
			trap_try(probe_ones, 0);
			print("scause %lu stval 0x%lx sepc 0x%lx\n", this_hart()->trap.cause, this_hart()->trap.tval,
			      this_hart()->trap.epc);
		} else if (argument(line, "panic")) {
			asm volatile("unimp");
		} else if (argument(line, "reboot")) {
			system_reset(RESET_COLD, REASON_NONE);
		} else if (argument(line, "poweroff")) {
			system_reset(RESET_SHUTDOWN, REASON_NONE);
		} else {
			print("no such command; `help` lists them\n");
		}
	}
}
