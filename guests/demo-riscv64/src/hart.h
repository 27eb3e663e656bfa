/* Offsets into `struct hart` and the trap frame, shared by C and assembly. */
#ifndef HART_H
#define HART_H

#define MAX_HARTS    8
#define STACK_SIZE   16384

#define HART_SCRATCH 0   /* sp of the interrupted code, for a moment */
#define HART_KSP     8   /* kernel sp to use on a trap from U-mode */
#define HART_CTX     16  /* ra, sp, s0..s11: where a caught trap goes back to */
#define HART_CATCH   128 /* non-zero: an exception in S-mode is expected */
#define HART_RESULT  136 /* a0 of the code under `trap_try` */
#define HART_STACK   144 /* top of this hart's stack */

#define HART_ID      152 /* hart id */
#define HART_STRAY   233 /* byte: came in by the wrong door */
#define HART_SIZE    256

#define FRAME_SIZE   288 /* x0..x31, sepc, sstatus, scause, stval */

#endif
