/*
 * Sv39 tables (privileged spec 4.3, 4.4): the lower 64 GiB identical to physical memory in 1 GiB pages, and two slots of
 * 2 MiB at TEST_VA for the checks. The second root differs in the test slots only and serves the ASID check.
 */
#include "demo.h"

#define TABLE __attribute__((aligned(4096)))
u64 vm_root[512] TABLE, vm_root2[512] TABLE, vm_mid[512] TABLE, vm_leaf[512] TABLE, vm_leaf2[512] TABLE;
static u64 mid2[512] TABLE;
u8 test_pages[4][PAGE] TABLE;

bool vm_on(void) { return csr_read(satp) >> 60 == 8; }

void vm_enable(void)
{
	for (u64 i = 0; i < 64; i++)
		vm_root[i] = vm_root2[i] = pte_of(i << 30, PTE_RWX | PTE_G);
	vm_root[256] = pte_of(vm_mid, PTE_V);
	vm_root2[256] = pte_of(mid2, PTE_V);
	vm_mid[0] = pte_of(vm_leaf, PTE_V);
	mid2[0] = pte_of(vm_leaf2, PTE_V);
	sfence_all();
	csr_write(satp, 8UL << 60 | (u64)vm_root >> 12);
	sfence_all();
}

void vm_map(u64 page, u64 pte)
{
	vm_leaf[page] = pte;
	sfence_all();
}
