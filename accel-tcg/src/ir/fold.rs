//! What the builder computes instead of recording: constants, identities, decided comparisons, displacements.

use super::build::IrBuilder;
use super::{Inst, Val};
use crate::interp::arith;
use crate::sem::{Bin, Cond, Ops, Un, Width};

impl IrBuilder {
    /// Folds a two-operand operation; `None` if it must be recorded, with these operands.
    pub(super) fn fold_bin(
        &mut self,
        op: &mut Bin,
        w: Width,
        a: &mut Val,
        b: &mut Val,
    ) -> Option<Val> {
        let mask = w.mask();
        let (ka, kb) = (self.constant(*a), self.constant(*b));
        if let (Some(x), Some(y)) = (ka, kb) {
            return Some(self.imm(arith::bin(*op, w, x, y)));
        }
        if let Some(k) = ka {
            if commutes(*op) {
                core::mem::swap(a, b);
                return self.fold_bin_const(op, w, *a, b, k & mask);
            }
            return match (*op, k & mask) {
                (Bin::Sub, 0) => Some(self.un(Un::Neg, w, *b)),
                (
                    Bin::Shl
                    | Bin::Shr
                    | Bin::Sar
                    | Bin::Ror
                    | Bin::Rol
                    | Bin::RemU
                    | Bin::RemS
                    | Bin::AndNot,
                    0,
                ) => Some(self.imm(0)),
                (Bin::AndNot, m) if m == mask => Some(self.un(Un::Not, w, *b)),
                (Bin::Sar | Bin::Ror | Bin::Rol, m) if m == mask => Some(self.imm(mask)),
                _ => None,
            };
        }
        if let Some(k) = kb {
            return self.fold_bin_const(op, w, *a, b, k & mask);
        }
        if a == b {
            return match *op {
                Bin::Sub | Bin::Xor | Bin::AndNot | Bin::RemU | Bin::RemS => Some(self.imm(0)),
                Bin::And | Bin::Or | Bin::MinS | Bin::MinU | Bin::MaxS | Bin::MaxU => {
                    Some(self.bits(w, *a))
                }
                _ => None,
            };
        }
        None
    }

    /// The same with the constant `k`, already cut to the width, on the right.
    fn fold_bin_const(
        &mut self,
        op: &mut Bin,
        w: Width,
        a: Val,
        b: &mut Val,
        k: u64,
    ) -> Option<Val> {
        let mask = w.mask();
        let power = k.is_power_of_two().then(|| u64::from(k.trailing_zeros()));
        match *op {
            Bin::Sub if k != 0 => {
                *op = Bin::Add;
                *b = self.imm(arith::sext(w, k.wrapping_neg()));
            }
            Bin::AndNot => {
                *op = Bin::And;
                let k = !k & mask;
                *b = self.imm(k);
                return self.fold_bin_const(op, w, a, b, k);
            }
            Bin::Shl | Bin::Shr | Bin::Sar | Bin::Ror | Bin::Rol => {
                let count = k & u64::from(w.bits() - 1);
                if count == 0 {
                    return Some(self.bits(w, a));
                }
                if matches!(op, Bin::Shr | Bin::Sar) {
                    return self.fold_shift_pair(*op == Bin::Sar, w, a, count);
                }
            }
            Bin::Mul => match power {
                Some(0) => return Some(self.bits(w, a)),
                Some(n) => {
                    *op = Bin::Shl;
                    *b = self.imm(n);
                }
                None if k == 0 => return Some(self.imm(0)),
                None => {}
            },
            Bin::DivU => match power {
                Some(0) => return Some(self.bits(w, a)),
                Some(n) => {
                    *op = Bin::Shr;
                    *b = self.imm(n);
                }
                None if k == 0 => return Some(self.imm(mask)),
                None => {}
            },
            Bin::RemU => match power {
                Some(_) => {
                    let k = k - 1;
                    *op = Bin::And;
                    *b = self.imm(k);
                    return self.fold_bin_const(op, w, a, b, k);
                }
                None if k == 0 => return Some(self.bits(w, a)),
                None => {}
            },
            Bin::And => {
                if k == 0 {
                    return Some(self.imm(0));
                }
                let from = match k {
                    _ if k == mask => w,
                    0xff => Width::W8,
                    0xffff => Width::W16,
                    0xffff_ffff => Width::W32,
                    _ => {
                        let zero = u32::from(self.fact(a).zero);
                        let possible = if zero == 64 {
                            u64::MAX
                        } else {
                            !(u64::MAX << zero)
                        };
                        return (possible & !k == 0).then_some(a);
                    }
                };
                return Some(self.ext(false, from, a));
            }
            _ if k == 0 => match op {
                Bin::Add | Bin::Sub | Bin::Or | Bin::Xor | Bin::MaxU | Bin::RemS => {
                    return Some(self.bits(w, a));
                }
                Bin::MulHiU
                | Bin::MulHiS
                | Bin::MulHiSU
                | Bin::MinU
                | Bin::ClMul
                | Bin::ClMulHi => {
                    return Some(self.imm(0));
                }
                Bin::DivS => return Some(self.imm(mask)),
                _ => {}
            },
            _ if k == mask => match op {
                Bin::Or | Bin::MaxU => return Some(self.imm(mask)),
                Bin::Xor => return Some(self.un(Un::Not, w, a)),
                Bin::MinU => return Some(self.bits(w, a)),
                _ => {}
            },
            _ if k == 1 => match op {
                Bin::DivS | Bin::ClMul => return Some(self.bits(w, a)),
                Bin::RemS | Bin::MulHiU | Bin::ClMulHi => return Some(self.imm(0)),
                _ => {}
            },
            _ => {}
        }
        None
    }

    /// A left shift followed by a right shift of the same distance is an extension.
    fn fold_shift_pair(&mut self, signed: bool, w: Width, a: Val, count: u64) -> Option<Val> {
        let Inst::Bin {
            op: Bin::Shl,
            w: inner,
            a: x,
            b,
        } = self.inst(a)
        else {
            return None;
        };
        if w != Width::W64 || inner != Width::W64 || self.constant(b)? & 63 != count {
            return None;
        }
        let from = match count {
            32 => Width::W32,
            48 => Width::W16,
            56 => Width::W8,
            _ => return None,
        };
        Some(self.ext(signed, from, x))
    }

    /// Puts a constant on the right and decides what can be decided.
    pub(super) fn fold_cond(
        &mut self,
        c: &mut Cond,
        w: &mut Width,
        a: &mut Val,
        b: &mut Val,
    ) -> Option<bool> {
        if !self.folding {
            return None;
        }
        let (ka, kb) = (self.constant(*a), self.constant(*b));
        if let (Some(x), Some(y)) = (ka, kb) {
            return Some(c.holds(*w, x, y));
        }
        if a == b {
            return Some(c.holds(*w, 0, 0));
        }
        if ka.is_some() {
            core::mem::swap(a, b);
            *c = c.swapped();
        }
        let k = ka.or(kb)? & w.mask();
        match (*c, k) {
            (Cond::LtU, 0) => return Some(false),
            (Cond::GeU, 0) => return Some(true),
            (Cond::GtU, k) if k == w.mask() => return Some(false),
            (Cond::LeU, k) if k == w.mask() => return Some(true),
            (Cond::LeU, 0) => *c = Cond::Eq,
            (Cond::GtU, 0) => *c = Cond::Ne,
            (Cond::LtU, 1) => {
                *c = Cond::Eq;
                *b = self.imm(0);
            }
            (Cond::GeU, 1) => {
                *c = Cond::Ne;
                *b = self.imm(0);
            }
            _ => {}
        }
        // A test of a comparison of the same instruction is that comparison.
        if let (Cond::Eq | Cond::Ne, Some(0)) = (*c, self.constant(*b))
            && self.local(*a)
            && let Inst::Cmp {
                c: inner,
                w: iw,
                a: x,
                b: y,
            } = self.inst(*a)
        {
            *c = if *c == Cond::Ne {
                inner
            } else {
                inner.inverse()
            };
            (*w, *a, *b) = (iw, x, y);
        }
        None
    }

    /// Splits `x + constant` of the current instruction.
    pub(super) fn address(&mut self, addr: Val) -> (Val, i32) {
        if self.folding
            && self.local(addr)
            && let Inst::Bin {
                op: Bin::Add,
                w: Width::W64,
                a,
                b,
            } = self.inst(addr)
            && let Some(k) = self.constant(b)
            && let Ok(disp) = i32::try_from(k as i64)
        {
            return (a, disp);
        }
        (addr, 0)
    }
}

fn commutes(op: Bin) -> bool {
    matches!(
        op,
        Bin::Add
            | Bin::And
            | Bin::Or
            | Bin::Xor
            | Bin::Mul
            | Bin::MulHiU
            | Bin::MulHiS
            | Bin::MinS
            | Bin::MinU
            | Bin::MaxS
            | Bin::MaxU
            | Bin::ClMul
            | Bin::ClMulHi
    )
}
