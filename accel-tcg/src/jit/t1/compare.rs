//! Comparisons and what is chosen by them.

use super::super::x64::{Alu, Cond as X, Gpr, Width as W};
use super::regalloc::{Opnd, bit};
use super::{Gen, xw};
use crate::ir::Val;
use crate::sem::{Cond, Width};

/// The host's condition after comparing two values.
pub(super) const fn xcond(c: Cond) -> X {
    match c {
        Cond::Eq => X::E,
        Cond::Ne => X::Ne,
        Cond::LtS => X::L,
        Cond::LeS => X::Le,
        Cond::GtS => X::G,
        Cond::GeS => X::Ge,
        Cond::LtU => X::B,
        Cond::LeU => X::Be,
        Cond::GtU => X::A,
        Cond::GeU => X::Ae,
    }
}

impl Gen<'_> {
    /// Compares; returns the host condition and unlocks the operands.
    pub(super) fn compare(&mut self, c: Cond, w: Width, a: Val, b: Val) -> X {
        let (c, first, second) = self.compare_operands(c, w, a, b);
        self.emit_compare(w, first, second);
        self.locked = 0;
        xcond(c)
    }

    /// Brings the operands of a comparison into a form that one instruction can compare, possibly exchanged.
    pub(super) fn compare_operands(
        &mut self,
        c: Cond,
        w: Width,
        a: Val,
        b: Val,
    ) -> (Cond, Opnd, Opnd) {
        let (mut c, mut a, mut b) = (c, a, b);
        let imm_a = self.imm(self.rep(a)).is_some();
        let mem_a = self.in_gpr(self.rep(a)).is_none();
        let reg_b = self.in_gpr(self.rep(b)).is_some();
        if imm_a && self.imm(self.rep(b)).is_none()
            || mem_a && reg_b && self.imm(self.rep(b)).is_none()
        {
            std::mem::swap(&mut a, &mut b);
            c = c.swapped();
        }
        let second = self.operand(b, w);
        let first = match second {
            Opnd::Mem(_) => Opnd::Reg(self.gpr(a)),
            _ => self.operand_rm(a, w),
        };
        (c, first, second)
    }

    pub(super) fn emit_compare(&mut self, w: Width, first: Opnd, second: Opnd) {
        let ww = xw(w);
        match (first, second) {
            (Opnd::Reg(r), Opnd::Imm(0)) => self.a.test_rr(ww, r, r),
            (Opnd::Reg(r), o) => self.alu(Alu::Cmp, ww, r, o),
            (Opnd::Mem(m), Opnd::Imm(k)) => self.a.cmp_mi(ww, m, k),
            (Opnd::Mem(m), Opnd::Reg(r)) => self.a.cmp_mr(ww, m, r),
            _ => self.failed = true,
        }
    }

    pub(super) fn cmp(&mut self, v: u16, c: Cond, w: Width, a: Val, b: Val) {
        let (c, first, second) = self.compare_operands(c, w, a, b);
        let reads = |r: Gpr| {
            matches!(first, Opnd::Reg(x) if x == r) || matches!(second, Opnd::Reg(x) if x == r)
        };
        // Clearing the register first is cheaper, where it is not an operand.
        let d = self.dest(v, None);
        if reads(d) {
            self.emit_compare(w, first, second);
            self.a.setcc_r(xcond(c), d);
            self.a.movzx_rr(W::W8, d, d);
        } else {
            self.a.zero(d);
            self.emit_compare(w, first, second);
            self.a.setcc_r(xcond(c), d);
        }
        self.define(v, d);
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "a selection has this many operands"
    )]
    pub(super) fn select(&mut self, v: u16, c: Cond, w: Width, a: Val, b: Val, t: Val, f: Val) {
        // Boxed values are made with instructions that change flags: do that first.
        for x in [t, f] {
            let x = self.rep(x);
            if self.info[usize::from(x)].lazy != super::NONE
                && self.in_gpr(x).is_none()
                && self.in_mem(x).is_none()
            {
                self.stable(x);
                self.locked = 0;
            }
        }
        let cc = self.compare(c, w, a, b);
        // From here to the end only moves, which keep the flags.
        let t_opnd = self.operand_rm(t, Width::W64);
        let rf = self.rep(f);
        let f_reg = self.in_gpr(rf);
        if let Some(r) = f_reg {
            self.locked |= bit(r);
        }
        let d = self.dest(v, f_reg);
        match t_opnd {
            Opnd::Reg(r) if r == d => {
                // The destination holds the other choice.
                match f_reg {
                    Some(s) => self.a.cmov_rr(cc.invert(), W::W64, d, s),
                    None => {
                        if let Some(m) = self.in_mem(rf) {
                            self.a.cmov_rm(cc.invert(), W::W64, d, m);
                        } else {
                            let s = self.gpr_of(rf);
                            self.a.cmov_rr(cc.invert(), W::W64, d, s);
                        }
                    }
                }
            }
            _ => {
                self.take(d, rf, f_reg);
                match t_opnd {
                    Opnd::Reg(r) => self.a.cmov_rr(cc, W::W64, d, r),
                    Opnd::Mem(m) => self.a.cmov_rm(cc, W::W64, d, m),
                    Opnd::Imm(_) => {}
                }
            }
        }
        self.define(v, d);
    }
}
