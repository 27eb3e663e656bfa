/* Everything the parts of the demo kernel know of each other. */
#ifndef DEMO_H
#define DEMO_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hart.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef unsigned long u64;
typedef signed long i64;

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define PAGE 4096UL

/* ---- CSRs (privileged spec, chapters 2 and 4) ---- */

#define csr_read(csr) ({ u64 v_; asm volatile("csrr %0, " #csr : "=r"(v_) :: "memory"); v_; })
#define csr_write(csr, val) asm volatile("csrw " #csr ", %0" :: "rK"((u64)(val)) : "memory")
#define csr_set(csr, val) asm volatile("csrs " #csr ", %0" :: "rK"((u64)(val)) : "memory")
#define csr_clear(csr, val) asm volatile("csrc " #csr ", %0" :: "rK"((u64)(val)) : "memory")
#define csr_swap(csr, val) ({ u64 v_; asm volatile("csrrw %0, " #csr ", %1" : "=r"(v_) : "rK"((u64)(val)) : "memory"); v_; })

#define SSTATUS_SIE  (1UL << 1)
#define SSTATUS_SPIE (1UL << 5)
#define SSTATUS_SPP  (1UL << 8)
#define SSTATUS_FS   (3UL << 13)
#define SSTATUS_SUM  (1UL << 18)
#define SSTATUS_MXR  (1UL << 19)
#define SSTATUS_SD   (1UL << 63)

#define IRQ_SOFT  1
#define IRQ_TIMER 5
#define IRQ_EXT   9

enum cause {
	CAUSE_FETCH_MISALIGNED = 0, CAUSE_FETCH_ACCESS = 1, CAUSE_ILLEGAL = 2, CAUSE_BREAKPOINT = 3,
	CAUSE_LOAD_MISALIGNED = 4, CAUSE_LOAD_ACCESS = 5, CAUSE_STORE_MISALIGNED = 6, CAUSE_STORE_ACCESS = 7,
	CAUSE_ECALL_U = 8, CAUSE_FETCH_PAGE = 12, CAUSE_LOAD_PAGE = 13, CAUSE_STORE_PAGE = 15,
};

static inline u64 rdtime(void) { u64 t; asm volatile("rdtime %0" : "=r"(t) :: "memory"); return t; }
static inline u64 irq_save(void) { u64 s; asm volatile("csrrci %0, sstatus, 2" : "=r"(s) :: "memory"); return s & SSTATUS_SIE; }
static inline void irq_restore(u64 s) { csr_set(sstatus, s & SSTATUS_SIE); }
static inline void fence_i(void) { asm volatile("fence.i" ::: "memory"); }
static inline void sfence_all(void) { asm volatile("sfence.vma" ::: "memory"); }
static inline void sfence_va(u64 va) { asm volatile("sfence.vma %0, zero" :: "r"(va) : "memory"); }

#define mmio8(addr)  (*(volatile u8 *)(addr))
#define mmio32(addr) (*(volatile u32 *)(addr))

/* ---- harts ---- */

struct trap { u64 cause, tval, epc, status; };

struct hart {
	u64 scratch, ksp, ctx[14], catch, result, stack; /* offsets in hart.h */
	u64 id;                 /* hart id */
	i64 plic_context;       /* S-mode context in the PLIC, -1 if none */
	struct trap trap;       /* the last exception */
	volatile u64 timer_irqs, soft_irqs, ext_irqs;
	volatile u64 timer_at;  /* `time` when the last timer interrupt came */
	bool timer_sstc;        /* the timer in use is stimecmp, not SBI TIME */
	volatile bool stray;    /* started by HSM, but at the address of the kernel (see boot.S) */
	volatile u64 phase;     /* where a secondary hart is in its test */
	volatile u64 seen;      /* what it read there */
};

struct frame { u64 x[32], epc, status, cause, tval; };

extern struct hart harts[MAX_HARTS];
extern u32 booted; /* boot.S: a hart has entered the kernel */
static inline struct hart *this_hart(void) { struct hart *h; asm volatile("mv %0, tp" : "=r"(h)); return h; }

/* boot.S: run fn(arg); 1 if it trapped (see this_hart()->trap), 0 if it returned (->result). */
u64 trap_try(const void *fn, u64 arg);
/* boot.S: enter U-mode; returns when U-mode traps. Use user_run(). */
u64 user_enter(u64 entry, u64 sp, u64 arg);
_Noreturn void resume_context(struct hart *h, u64 value);
void secondary_entry(void);

/* Runs U-mode code until it takes an exception; this_hart()->trap tells which, ->result is its a0. */
void user_run(u64 entry, u64 sp, u64 arg);
void trap_init(void);
void timer_set(u64 deadline);
_Noreturn void secondary_main(struct hart *h);

/* ---- printing ---- */

__attribute__((format(printf, 1, 2))) void print(const char *fmt, ...);
_Noreturn void panic(const char *why);
void *memset(void *dst, int c, size_t n);
void *memcpy(void *dst, const void *src, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
bool starts_with(const char *s, const char *prefix);
bool parse_number(const char *s, u64 *out);

/* ---- SBI ---- */

struct sbiret { i64 error; u64 value; };
struct sbiret sbi(u64 ext, u64 fid, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4);
bool sbi_has(u64 ext);
_Noreturn void system_reset(u32 type, u32 reason);

#define SBI_BASE   0x10UL
#define SBI_TIME   0x54494d45UL
#define SBI_IPI    0x735049UL
#define SBI_RFENCE 0x52464e43UL
#define SBI_HSM    0x48534dUL
#define SBI_SRST   0x53525354UL
#define SBI_DBCN   0x4442434eUL
enum { RESET_SHUTDOWN, RESET_COLD, RESET_WARM };
enum { REASON_NONE, REASON_FAILURE };

/* ---- device tree (fdt.c) ---- */

#define MAX_NODES 256
struct dt_node {
	const char *name;
	u32 props;   /* offset of its first token in the structure block */
	int parent;  /* index, -1 for the root */
	u32 ac, sc;  /* #address-cells and #size-cells that hold for its `reg` */
};
extern struct dt_node dt_nodes[MAX_NODES];
extern int dt_count;
const char *fdt_init(u64 pa); /* null, or what is wrong with the tree */
const void *dt_prop(int node, const char *name, u32 *len);
const char *dt_string(int node, const char *name);
bool dt_u32(int node, const char *name, u32 index, u32 *out);
bool dt_reg(int node, u32 index, u64 *base, u64 *size);
bool dt_compatible(int node, const char *what);
int dt_find(const char *path_component, int parent);

/* ---- the machine, as the device tree tells it (machine.c) ---- */

#define MAX_VIRTIO 16
struct virtio_slot { u64 base; u32 irq, version, id; };
struct machine {
	const char *model, *isa, *bootargs;
	u64 ram_base, ram_size, timebase;
	int hart_count;
	u64 uart, plic, rtc;
	u32 uart_irq, uart_shift, plic_sources;
	int virtio_count;
	struct virtio_slot virtio[MAX_VIRTIO];
};
extern struct machine machine;
void machine_discover(void);
void machine_print(void);
bool isa_has(const char *ext);
bool option(const char *name, const char **value);

/* ---- console.c, plic.c ---- */

void console_use_uart(void);
void console_putc(char c);
int console_getc(void);        /* -1 when nothing has come */
void console_wait(void);       /* sleep until something may have come */
void uart_interrupt(void);
extern volatile u64 uart_tx_irqs;
void plic_init(void);
void plic_enable(u32 irq, bool on);
void plic_interrupt(void);

/* ---- paging (vm.c) ---- */

#define PTE_V 0x01UL
#define PTE_R 0x02UL
#define PTE_W 0x04UL
#define PTE_X 0x08UL
#define PTE_U 0x10UL
#define PTE_G 0x20UL
#define PTE_A 0x40UL
#define PTE_D 0x80UL
#define PTE_RW (PTE_V | PTE_R | PTE_W | PTE_A | PTE_D)
#define PTE_RX (PTE_V | PTE_R | PTE_X | PTE_A | PTE_D)
#define PTE_RWX (PTE_RW | PTE_X)
#define pte_of(pa, flags) (((u64)(pa) >> 12 << 10) | (flags))

#define TEST_VA  0xffffffc000000000UL /* first address of the upper half of Sv39 */
#define TEST_VA2 (TEST_VA + (2UL << 20)) /* slot for a 2 MiB page */
#define HOLE     0xfc0000000UL        /* no device and no RAM here */

extern u64 vm_root[512], vm_root2[512], vm_leaf[512], vm_leaf2[512], vm_mid[512];
extern u8 test_pages[4][PAGE];
void vm_enable(void);          /* satp of this hart: Sv39 over vm_root */
bool vm_on(void);
void vm_map(u64 page, u64 pte); /* TEST_VA + page * 4096, then a full sfence.vma */

/* ---- checks ---- */

void expect(const char *what, u64 got, u64 want);
void expect_trap(const char *what, const void *fn, u64 arg, u64 cause, u64 tval, u64 epc);
bool strict(void);
u64 amo_cause(u64 cause);
int run_checks(void); /* failed checks */
extern int checks_run;

/* Each returns null when it ran, or why it was skipped. */
const char *check_fdt(void), *check_sbi(void), *check_traps(void), *check_paging(void), *check_timers(void),
	*check_counters(void), *check_ipi(void), *check_harts(void), *check_integer(void), *check_atomics(void),
	*check_bitmanip(void), *check_float(void), *check_code(void), *check_fencei(void), *check_uart(void),
	*check_rtc(void), *check_virtio(void);

int bench(u64 scale); /* wrong results */
void shell(void);

/* Routines of one instruction each, the first, in probes.S. */
extern const char probe_lb[], probe_ld[], probe_sd[], probe_amo[], probe_ebreak[], probe_c_ebreak[], probe_zero[],
	probe_ones[], probe_mcsr[], probe_rocsr[], probe_jump[], probe_fp[], probe_instret[], probe_cycle[], probe_time[],
	probe_stimecmp[], probe_lr[], probe_mret[];
extern const char user_start[], user_end[], user_ecall[], user_illegal[], user_ebreak[], user_load[], user_store[],
	user_priv[], user_spin[];

#endif
