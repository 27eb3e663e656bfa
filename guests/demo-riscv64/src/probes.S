/*
 * Code under test. The address of each routine is the address of the one instruction that matters, so a check can
 * say exactly what sepc has to be. The argument is in a0.
 */
	.macro	probe name
	.balign	4
	.globl	\name
\name:
	.endm

	.text
	.option	norvc
	probe	probe_lb
	lb	a0, 0(a0)
	ret
	probe	probe_ld
	ld	a0, 0(a0)
	ret
	probe	probe_sd
	sd	a0, 0(a0)
	ret
	probe	probe_amo
	amoadd.d a0, a0, (a0)
	ret
	probe	probe_lr
	lr.d	a0, (a0)
	ret
	probe	probe_ebreak
	ebreak
	ret
	.option	rvc
	probe	probe_c_ebreak
	c.ebreak
	ret
	.option	norvc
	probe	probe_zero
	.half	0, 0                    /* defined illegal, 16 bit */
	ret
	probe	probe_ones
	.word	0xffffffff              /* defined illegal */
	ret
	probe	probe_mcsr
	csrr	a0, mscratch            /* needs M-mode */
	ret
	probe	probe_rocsr
	csrw	time, a0                /* read only */
	ret
	probe	probe_mret
	mret
	ret
	probe	probe_jump
	jr	a0
	probe	probe_fp
	.option	push
	.option	arch, +d
	fadd.d	ft0, ft0, ft0
	.option	pop
	ret
	probe	probe_instret
	rdinstret a0
	ret
	probe	probe_cycle
	rdcycle	a0
	ret
	probe	probe_time
	rdtime	a0
	ret
	probe	probe_stimecmp
	csrw	0x14d, a0
	ret

/* U-mode code: one page, mapped for U where paging is on. */
	.section .user, "ax"
	.option	norvc
	.balign	4096
	.globl	user_start, user_end
user_start:
	probe	user_ecall
	ecall
	probe	user_illegal
	.word	0xffffffff
	probe	user_ebreak
	ebreak
	probe	user_priv
	csrr	a0, sstatus             /* needs S-mode */
	probe	user_load
	ld	a0, 0(a0)
	ecall
	probe	user_store
	sd	a0, 0(a0)
	ecall
	/* Spins until the word at a0 is not zero, for interrupts out of U-mode. */
	probe	user_spin
	ld	a1, 0(a0)
	beqz	a1, user_spin
	mv	a0, a1
	ecall
	.balign	4096
user_end:
