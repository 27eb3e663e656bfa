/* The list of checks, and what they report with. */
#include "demo.h"

static const struct { const char *name; const char *(*run)(void); } checks[] = {
	{ "fdt", check_fdt }, { "sbi", check_sbi }, { "traps", check_traps }, { "paging", check_paging },
	{ "timers", check_timers }, { "counters", check_counters }, { "ipi", check_ipi }, { "harts", check_harts },
	{ "integer", check_integer }, { "atomics", check_atomics }, { "bitmanip", check_bitmanip },
	{ "float", check_float }, { "code", check_code }, { "fence.i", check_fencei }, { "uart", check_uart },
	{ "rtc", check_rtc }, { "virtio", check_virtio },
};

static const char *current = "?";
static int wrong;
int checks_run;

/* demo.strict asks for what the specification says even where QEMU 7.2, with which this kernel must also pass, errs. */
bool strict(void) { return option("demo.strict", NULL); }

/*
 * An AMO raises store/AMO exceptions only (A extension, "Zaamo"). QEMU 7.2 with one hart splits it into a load and a store
 * and reports the load; unless told to be strict, a load cause counts as the store cause next to it.
 */
u64 amo_cause(u64 cause)
{
	if (!strict() && (cause == CAUSE_LOAD_MISALIGNED || cause == CAUSE_LOAD_ACCESS || cause == CAUSE_LOAD_PAGE))
		return cause + 2;
	return cause;
}

/* Notes one comparison; says what was wrong with it, for the first few of a check. */
void expect(const char *what, u64 got, u64 want)
{
	if (got == want)
		return;
	if (wrong++ < 8)
		print("\n  FAIL %s: %s: got 0x%lx, want 0x%lx", current, what, got, want);
}

void expect_trap(const char *what, const void *fn, u64 arg, u64 cause, u64 tval, u64 epc)
{
	struct trap *t = &this_hart()->trap;
	int before = wrong;

	if (!trap_try(fn, arg)) {
		expect(what, 0, 1);
		return;
	}
	expect(what, t->cause, cause);
	expect(what, t->tval, tval);
	expect(what, t->epc, epc);
	if (wrong != before && wrong < 8)
		print("\n       (scause %lu stval 0x%lx sepc 0x%lx)", t->cause, t->tval, t->epc);
}

int run_checks(void)
{
	int failed = 0;

	checks_run = 0;
	for (size_t i = 0; i < COUNT(checks); i++) {
		current = checks[i].name;
		wrong = 0;
		print("check %s ... ", current);
		const char *skipped = checks[i].run();
		checks_run++;
		if (wrong) {
			print("\ncheck %s ... FAIL (%d wrong)\n", current, wrong);
			failed++;
		} else if (skipped) {
			print("skipped (%s)\n", skipped);
		} else {
			print("ok\n");
		}
	}
	return failed;
}
