/* What happens from the first C line to power off. */
#include "demo.h"

extern u8 stacks[MAX_HARTS][STACK_SIZE];
void kmain(u64 hartid, u64 fdt);

void kmain(u64 hartid, u64 fdt)
{
	const char *value, *wrong;
	u64 scale = 1;

	for (int i = 0; i < MAX_HARTS; i++) {
		harts[i].stack = (u64)stacks[i] + STACK_SIZE;
		harts[i].plic_context = -1;
	}
	harts[0].id = hartid;
	print("\ndemo: a small riscv64 kernel that checks the machine under it\n");
	if ((wrong = fdt_init(fdt))) {
		print("device tree at 0x%lx: %s\n", fdt, wrong);
		panic("no device tree");
	}
	machine_discover();
	machine_print();
	console_use_uart();
	csr_set(sstatus, SSTATUS_SIE);

	int failed = run_checks();
	if (option("demo.loop", NULL)) {
		for (u64 round = 1;; round++) {
			print("demo: round %lu, %d of %d checks failed\n", round, failed, checks_run);
			if (failed)
				break;
			failed = run_checks();
		}
	}
	if (option("demo.fail", NULL)) {
		print("check demo.fail ... FAIL (asked for by bootargs)\n");
		failed++, checks_run++;
	}
	if (option("demo.bench", &value) && (!parse_number(value, &scale) || !scale))
		scale = 1;
	if (!option("demo.quick", NULL) && bench(scale)) {
		print("check bench ... FAIL (wrong result)\n");
		failed++, checks_run++;
	}
	if (failed)
		print("demo: %d of %d checks FAILED\n", failed, checks_run);
	else
		print("demo: all %d checks passed\n", checks_run);
	if (option("demo.shell", NULL))
		shell();
	system_reset(RESET_SHUTDOWN, failed ? REASON_FAILURE : REASON_NONE);
}
