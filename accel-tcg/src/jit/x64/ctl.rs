//! Jumps, calls, stack.

use super::asm::Asm;
use super::enc::*;
use super::label::{Label, UNBOUND};
use super::reg::*;

impl Asm {
    /// `jmp rel8`; the displacement counts from the end of the instruction.
    #[inline]
    pub fn jmp_rel8(&mut self, rel: i8) {
        self.bare(op(0xEB), SZ32, 0, imm8(rel as u8));
    }

    /// `jmp rel32`; returns the offset of its displacement field, for patching.
    #[inline]
    pub fn jmp_rel32(&mut self, rel: i32) -> usize {
        self.rel32(op(0xE9), rel)
    }

    /// `jcc rel8`.
    #[inline]
    pub fn jcc_rel8(&mut self, c: Cond, rel: i8) {
        self.bare(op(0x70 | c as u8), SZ32, 0, imm8(rel as u8));
    }

    /// `jcc rel32`; returns the offset of its displacement field, for patching.
    #[inline]
    pub fn jcc_rel32(&mut self, c: Cond, rel: i32) -> usize {
        self.rel32(op0f(0x80 | c as u8), rel)
    }

    /// `call rel32`; returns the offset of its displacement field, for patching.
    #[inline]
    pub fn call_rel32(&mut self, rel: i32) -> usize {
        self.rel32(op(0xE8), rel)
    }

    /// `jmp label`: short if the label is bound behind us and near, else rel32.
    #[inline]
    pub fn jmp(&mut self, l: Label) {
        match self.near_back(l) {
            Some(rel) => self.jmp_rel8(rel),
            None => {
                let site = self.jmp_rel32(0);
                self.fixup_at(site, l, 0);
            }
        }
    }

    /// `jmp label`, always two bytes; the block fails to assemble if the label is further than 127 bytes.
    #[inline]
    pub fn jmp_short(&mut self, l: Label) {
        self.jmp_rel8(0);
        self.fixup_short(l);
    }

    /// `jcc label`: short if the label is bound behind us and near, else rel32.
    #[inline]
    pub fn jcc(&mut self, c: Cond, l: Label) {
        match self.near_back(l) {
            Some(rel) => self.jcc_rel8(c, rel),
            None => {
                let site = self.jcc_rel32(c, 0);
                self.fixup_at(site, l, 0);
            }
        }
    }

    /// `jcc label`, always two bytes; the block fails to assemble if the label is further than 127 bytes.
    #[inline]
    pub fn jcc_short(&mut self, c: Cond, l: Label) {
        self.jcc_rel8(c, 0);
        self.fixup_short(l);
    }

    /// `call label`.
    #[inline]
    pub fn call(&mut self, l: Label) {
        let site = self.call_rel32(0);
        self.fixup_at(site, l, 0);
    }

    /// `jmp` to an address outside the block (same space as `reset`'s origin), always rel32; returns the field's offset.
    #[inline]
    pub fn jmp_to(&mut self, target: u64) -> usize {
        let rel = self.rel_to(target, 5);
        self.jmp_rel32(rel)
    }

    /// `jcc` to an address outside the block, always rel32; returns the field's offset.
    #[inline]
    pub fn jcc_to(&mut self, c: Cond, target: u64) -> usize {
        let rel = self.rel_to(target, 6);
        self.jcc_rel32(c, rel)
    }

    /// `call` of an address outside the block, always rel32; returns the field's offset.
    #[inline]
    pub fn call_to(&mut self, target: u64) -> usize {
        let rel = self.rel_to(target, 5);
        self.call_rel32(rel)
    }

    /// `jmp r64`.
    #[inline]
    pub fn jmp_r(&mut self, r: Gpr) {
        self.rr(op(0xFF), SZ32, 4, r as u8, NO_IMM);
    }

    /// `jmp [m64]`.
    #[inline]
    pub fn jmp_m(&mut self, m: Mem) {
        self.rm(op(0xFF), SZ32, 4, m, NO_IMM);
    }

    /// `call r64`.
    #[inline]
    pub fn call_r(&mut self, r: Gpr) {
        self.rr(op(0xFF), SZ32, 2, r as u8, NO_IMM);
    }

    /// `call [m64]`.
    #[inline]
    pub fn call_m(&mut self, m: Mem) {
        self.rm(op(0xFF), SZ32, 2, m, NO_IMM);
    }

    /// `ret`.
    #[inline]
    pub fn ret(&mut self) {
        self.bare(op(0xC3), SZ32, 0, NO_IMM);
    }

    /// `push r64`.
    #[inline]
    pub fn push_r(&mut self, r: Gpr) {
        self.plus_r(0x50, false, SZ32, r as u8, NO_IMM);
    }

    /// `pop r64`.
    #[inline]
    pub fn pop_r(&mut self, r: Gpr) {
        self.plus_r(0x58, false, SZ32, r as u8, NO_IMM);
    }

    /// `push imm`, sign-extended to 64 bits.
    #[inline]
    pub fn push_i(&mut self, v: i32) {
        if v == i32::from(v as i8) {
            self.bare(op(0x6A), SZ32, 0, imm8(v as u8));
        } else {
            self.bare(op(0x68), SZ32, 0, Imm(v as u32 as u64, 4));
        }
    }

    /// `push [m64]`.
    #[inline]
    pub fn push_m(&mut self, m: Mem) {
        self.rm(op(0xFF), SZ32, 6, m, NO_IMM);
    }

    /// `pop [m64]`.
    #[inline]
    pub fn pop_m(&mut self, m: Mem) {
        self.rm(op(0x8F), SZ32, 0, m, NO_IMM);
    }

    /// `setcc r8`; the upper bits of the register keep their value.
    #[inline]
    pub fn setcc_r(&mut self, c: Cond, r: Gpr) {
        self.rr(op0f(0x90 | c as u8), sz_r(Width::W8, r), 0, r as u8, NO_IMM);
    }

    /// `setcc [m8]`.
    #[inline]
    pub fn setcc_m(&mut self, c: Cond, m: Mem) {
        self.rm(op0f(0x90 | c as u8), SZ32, 0, m, NO_IMM);
    }

    /// `cmovcc r, r` (not W8). The W32 form clears bits 63:32 whether or not it moves.
    #[inline]
    pub fn cmov_rr(&mut self, c: Cond, w: Width, d: Gpr, s: Gpr) {
        debug_assert!(w != Width::W8);
        self.rr(op0f(0x40 | c as u8), sz(w), d as u8, s as u8, NO_IMM);
    }

    /// `cmovcc r, [m]` (not W8); the load happens whatever the condition.
    #[inline]
    pub fn cmov_rm(&mut self, c: Cond, w: Width, d: Gpr, m: Mem) {
        debug_assert!(w != Width::W8);
        self.rm(op0f(0x40 | c as u8), sz(w), d as u8, m, NO_IMM);
    }

    #[inline]
    fn rel32(&mut self, o: Opc, rel: i32) -> usize {
        self.bare(o, SZ32, 0, Imm(rel as u32 as u64, 4));
        // After an overflow nothing was emitted and the offset is never used, but it must not wrap.
        self.pos.saturating_sub(4)
    }

    /// The displacement of a two-byte jump back to `l`, if it is bound and near.
    #[inline]
    fn near_back(&self, l: Label) -> Option<i8> {
        let at = self.labels[l.0 as usize];
        if at == UNBOUND {
            return None;
        }
        i8::try_from(i64::from(at) - (self.pos as i64 + 2)).ok()
    }

    /// The displacement of a jump of `len` bytes emitted here.
    #[inline]
    fn rel_to(&mut self, target: u64, len: u64) -> i32 {
        let from = self.address().wrapping_add(len);
        let rel = target.wrapping_sub(from) as i64;
        if rel != i64::from(rel as i32) {
            self.too_far.get_or_insert((from, target));
        }
        rel as i32
    }
}
