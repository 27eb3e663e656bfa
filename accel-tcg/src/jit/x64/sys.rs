//! Locked read-modify-write, fences, flags, MXCSR and other system odds and ends.

use super::asm::Asm;
use super::enc::*;
use super::int::Alu;
use super::reg::*;

/// Instructions without operands.
macro_rules! plain {
    ($($fn:ident $doc:literal $opc:expr;)*) => {
        impl Asm { $(
            #[doc = $doc]
            #[inline]
            pub fn $fn(&mut self) {
                self.bare($opc, SZ32, 0, NO_IMM);
            }
        )* }
    };
}

plain! {
    pause "`pause`: hint of a spin loop." op(0x90).p(0xF3);
    int3 "`int3`: breakpoint trap." op(0xCC);
    ud2 "`ud2`: invalid opcode trap." op0f(0x0B);
    cld "`cld`: string instructions count up (the ABI's state)." op(0xFC);
    clc "`clc`: clears carry." op(0xF8);
    stc "`stc`: sets carry." op(0xF9);
    cmc "`cmc`: inverts carry." op(0xF5);
    pushfq "`pushfq`: pushes RFLAGS." op(0x9C);
    popfq "`popfq`: pops RFLAGS (slow)." op(0x9D);
    lahf "`lahf`: SF, ZF, AF, PF, CF into `ah`." op(0x9F);
    sahf "`sahf`: `ah` into SF, ZF, AF, PF, CF." op(0x9E);
    rdtsc "`rdtsc`: time stamp counter into `edx:eax`." op0f(0x31);
}

impl Asm {
    /// `mfence`: orders all loads and stores.
    #[inline]
    pub fn mfence(&mut self) {
        self.rr(op0f(0xAE), SZ32, 6, 0, NO_IMM);
    }

    /// `lfence`: waits until all earlier instructions have completed.
    #[inline]
    pub fn lfence(&mut self) {
        self.rr(op0f(0xAE), SZ32, 5, 0, NO_IMM);
    }

    /// `sfence`: orders stores.
    #[inline]
    pub fn sfence(&mut self) {
        self.rr(op0f(0xAE), SZ32, 7, 0, NO_IMM);
    }

    /// `ldmxcsr [m32]`.
    #[inline]
    pub fn ldmxcsr(&mut self, m: Mem) {
        self.rm(op0f(0xAE), SZ32, 2, m, NO_IMM);
    }

    /// `stmxcsr [m32]`.
    #[inline]
    pub fn stmxcsr(&mut self, m: Mem) {
        self.rm(op0f(0xAE), SZ32, 3, m, NO_IMM);
    }

    /// `lock op [m], r` for any [`Alu`] operation except `cmp`.
    #[inline]
    pub fn lock_alu_mr(&mut self, o: Alu, w: Width, m: Mem, s: Gpr) {
        debug_assert!(o != Alu::Cmp);
        self.rm(
            op((o as u8) << 3).sized(w).lock(),
            sz_r(w, s),
            s as u8,
            m,
            NO_IMM,
        );
    }

    /// `lock op [m], imm` for any [`Alu`] operation except `cmp`; the immediate is sign-extended.
    #[inline]
    pub fn lock_alu_mi(&mut self, o: Alu, w: Width, m: Mem, v: i32) {
        debug_assert!(o != Alu::Cmp);
        self.alu_mi_with(op(0x80).lock(), o, w, m, v);
    }

    /// `lock xadd [m], r`: atomically adds `r` to memory and returns the old value in `r`.
    #[inline]
    pub fn lock_xadd_mr(&mut self, w: Width, m: Mem, r: Gpr) {
        self.rm(op0f(0xC0).sized(w).lock(), sz_r(w, r), r as u8, m, NO_IMM);
    }

    /// `lock cmpxchg [m], r`: if `rax` equals memory, stores `r` and sets ZF; else loads memory into `rax`.
    #[inline]
    pub fn lock_cmpxchg_mr(&mut self, w: Width, m: Mem, r: Gpr) {
        self.rm(op0f(0xB0).sized(w).lock(), sz_r(w, r), r as u8, m, NO_IMM);
    }

    /// `lock cmpxchg8b [m64]`: compares with `edx:eax`, stores `ecx:ebx`.
    #[inline]
    pub fn lock_cmpxchg8b(&mut self, m: Mem) {
        self.rm(op0f(0xC7).lock(), SZ32, 1, m, NO_IMM);
    }

    /// `lock cmpxchg16b [m128]`: compares with `rdx:rax`, stores `rcx:rbx`. Needs CMPXCHG16B and 16-byte alignment.
    #[inline]
    pub fn lock_cmpxchg16b(&mut self, m: Mem) {
        self.rm(op0f(0xC7).lock(), SZ64, 1, m, NO_IMM);
    }
}
