/* Calls into the firmware (RISC-V SBI specification 2.0). */
#include "demo.h"

struct sbiret sbi(u64 ext, u64 fid, u64 arg0, u64 arg1, u64 arg2, u64 arg3, u64 arg4)
{
	register u64 a0 asm("a0") = arg0;
	register u64 a1 asm("a1") = arg1;
	register u64 a2 asm("a2") = arg2;
	register u64 a3 asm("a3") = arg3;
	register u64 a4 asm("a4") = arg4;
	register u64 a6 asm("a6") = fid;
	register u64 a7 asm("a7") = ext;

	asm volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a3), "r"(a4), "r"(a6), "r"(a7) : "memory");
	return (struct sbiret){ (i64)a0, a1 };
}

bool sbi_has(u64 ext)
{
	struct sbiret r = sbi(SBI_BASE, 3, ext, 0, 0, 0, 0);
	return r.error == 0 && r.value != 0;
}

_Noreturn void system_reset(u32 type, u32 reason)
{
	irq_save();
	booted = 0; /* should the image not be loaded anew */
	sbi(SBI_SRST, 0, type, reason, 0, 0, 0);
	sbi(8, 0, 0, 0, 0, 0, 0); /* legacy shutdown */
	for (;;)
		asm volatile("wfi");
}

const char *check_sbi(void)
{
	struct sbiret v = sbi(SBI_BASE, 0, 0, 0, 0, 0, 0);

	expect("get_spec_version error", (u64)v.error, 0);
	expect("spec version is 0.2 or later", v.value >= 2 && v.value < 0x80000000UL, 1);
	expect("base is there", sbi_has(SBI_BASE), 1);
	expect("an unknown extension is not there", sbi_has(0x0beef), 0);
	expect("call to an unknown extension", (u64)sbi(0x0beef, 0, 0, 0, 0, 0, 0).error, (u64)-2);
	expect("call to an unknown function", (u64)sbi(SBI_BASE, 77, 0, 0, 0, 0, 0).error, (u64)-2);
	expect("TIME is there", sbi_has(SBI_TIME), 1);
	expect("SRST is there", sbi_has(SBI_SRST), 1);
	return NULL;
}
