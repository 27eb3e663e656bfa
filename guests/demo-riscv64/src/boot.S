/*
 * Entry points, the trap vector, and the three places where control leaves the straight line:
 * trap_try, user_enter and resume_context.
 */
#include "hart.h"

/* The first 64 bytes are also a header of the RISC-V Linux `Image` format, so that a flat copy of this program
 * (objcopy -O binary) can be loaded wherever a kernel Image can. */
	.section .head, "ax"
	.globl _start
_start:
	.option push
	.option norvc
	j	boot                    /* code0 */
	.word	0                       /* code1 */
	.option pop
	.dword	0x200000                /* offset from the start of RAM */
	.dword	_image_size
	.dword	0                       /* flags: little endian */
	.word	2                       /* header version 0.2 */
	.word	0
	.dword	0
	.ascii	"RISCV\0\0\0"
	.ascii	"RSC\x05"
	.word	0

	.text
/* a0 = hart id, a1 = device tree, satp = 0 (Linux boot protocol). */
boot:
	csrw	sie, zero
	csrci	sstatus, 2
	la	t0, booted
	li	t1, 1
	amoswap.w.aqrl t1, t1, (t0)
	bnez	t1, stray
	la	t0, _bss_start
	la	t1, _bss_end
1:	sd	zero, 0(t0)
	addi	t0, t0, 8
	bltu	t0, t1, 1b
	la	tp, harts
	la	sp, stacks + STACK_SIZE
	sd	sp, HART_STACK(tp)
	la	t0, trap_entry
	csrw	stvec, t0
	csrw	sscratch, zero
	call	kmain
1:	wfi
	j	1b

/*
 * A second hart at the kernel's entry. OpenSBI 1.1 was seen to start a hart here instead of at the address of hart_start, in
 * one of some 150 boots with 4 harts on a busy host; a race between the two harts is the likely reason. Such a hart goes on
 * as if it had been sent to secondary_entry, and the `harts` check knows.
 */
stray:
	la	a1, harts
	li	t1, MAX_HARTS
1:	ld	t2, HART_ID(a1)
	beq	t2, a0, 2f
	addi	a1, a1, HART_SIZE
	addi	t1, t1, -1
	bnez	t1, 1b
3:	wfi
	j	3b
2:	li	t1, 1
	sb	t1, HART_STRAY(a1)
	j	secondary_entry

/* A hart started through HSM: a0 = hart id, a1 = its struct hart, satp = 0. */
	.globl	secondary_entry
	.balign	4
secondary_entry:
	csrw	sie, zero
	csrci	sstatus, 2
	mv	tp, a1
	ld	sp, HART_STACK(tp)
	la	t0, trap_entry
	csrw	stvec, t0
	csrw	sscratch, zero
	mv	a0, a1
	call	secondary_main

/* sscratch is 0 while S-mode runs and the struct hart while U-mode runs. */
	.balign	4
trap_entry:
	csrrw	tp, sscratch, tp
	bnez	tp, 1f
	csrr	tp, sscratch
	sd	sp, HART_SCRATCH(tp)
	addi	sp, sp, -FRAME_SIZE
	j	2f
1:	sd	sp, HART_SCRATCH(tp)
	ld	sp, HART_KSP(tp)
	addi	sp, sp, -FRAME_SIZE
2:
	.irp	r, 1,3,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	sd	x\r, 8*\r(sp)
	.endr
	csrrw	t0, sscratch, zero
	sd	t0, 8*4(sp)             /* tp of the interrupted code, in both cases */
	ld	t0, HART_SCRATCH(tp)
	sd	t0, 8*2(sp)
	csrr	t0, sepc
	csrr	t1, sstatus
	csrr	t2, scause
	csrr	t3, stval
	sd	t0, 256(sp)
	sd	t1, 264(sp)
	sd	t2, 272(sp)
	sd	t3, 280(sp)
	mv	a0, sp
	call	trap_handler
	ld	t0, 256(sp)
	ld	t1, 264(sp)
	csrw	sepc, t0
	csrw	sstatus, t1
	andi	t1, t1, 0x100           /* SPP */
	bnez	t1, 1f
	csrw	sscratch, tp
1:
	.irp	r, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	ld	x\r, 8*\r(sp)
	.endr
	ld	sp, 8*2(sp)
	sret

	.macro	context op
	\op	ra, HART_CTX + 0(tp)
	\op	sp, HART_CTX + 8(tp)
	\op	s0, HART_CTX + 16(tp)
	\op	s1, HART_CTX + 24(tp)
	\op	s2, HART_CTX + 32(tp)
	\op	s3, HART_CTX + 40(tp)
	\op	s4, HART_CTX + 48(tp)
	\op	s5, HART_CTX + 56(tp)
	\op	s6, HART_CTX + 64(tp)
	\op	s7, HART_CTX + 72(tp)
	\op	s8, HART_CTX + 80(tp)
	\op	s9, HART_CTX + 88(tp)
	\op	s10, HART_CTX + 96(tp)
	\op	s11, HART_CTX + 104(tp)
	.endm

	.globl	trap_try
trap_try:
	context	sd
	li	t0, 1
	sd	t0, HART_CATCH(tp)
	mv	t0, a0
	mv	a0, a1
	jalr	t0
	sd	zero, HART_CATCH(tp)
	sd	a0, HART_RESULT(tp)
	ld	ra, HART_CTX(tp)
	li	a0, 0
	ret

/* Interrupts are off here, or one would take the sscratch below for that of U-mode. */
	.globl	user_enter
user_enter:
	context	sd
	sd	sp, HART_KSP(tp)
	csrw	sepc, a0
	mv	sp, a1
	mv	a0, a2
	li	t0, 0x100
	csrc	sstatus, t0             /* SPP = U */
	li	t0, 0x20
	csrs	sstatus, t0             /* SPIE: interrupts on in U-mode */
	csrw	sscratch, tp
	sret

	.globl	resume_context
resume_context:
	mv	tp, a0
	mv	a0, a1
	context	ld
	ret

	.data
	.balign	4
	.globl	booted
booted:
	.word	0

	.section .noinit, "aw", @nobits
	.balign	16
	.globl	stacks
stacks:
	.space	STACK_SIZE * MAX_HARTS
