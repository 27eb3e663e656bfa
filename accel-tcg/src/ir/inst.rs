//! Properties of single instructions.

use super::{Inst, Val};
use crate::fp::op::FpOp;

/// The values an instruction uses.
#[derive(Clone, Copy, Debug)]
pub struct Operands {
    vals: [Val; 4],
    len: u8,
}

impl Operands {
    fn new<const N: usize>(list: [Val; N]) -> Operands {
        let mut vals = [Val(0); 4];
        vals[..N].copy_from_slice(&list);
        Operands { vals, len: N as u8 }
    }
}

impl core::ops::Deref for Operands {
    type Target = [Val];
    #[inline]
    fn deref(&self) -> &[Val] {
        &self.vals[..usize::from(self.len)]
    }
}

impl Inst {
    /// The values used, in the order of the fields. One value may occur twice. A call without arguments still names one.
    #[inline]
    pub fn operands(&self) -> Operands {
        match *self {
            Inst::Insn { .. }
            | Inst::Nop
            | Inst::Imm(_)
            | Inst::Get(_)
            | Inst::Fence(_)
            | Inst::Jump { .. }
            | Inst::Resync { .. } => Operands::new([]),
            Inst::Set(_, a)
            | Inst::Un { a, .. }
            | Inst::Ext { a, .. }
            | Inst::Load { addr: a, .. }
            | Inst::LoadReserved { addr: a, .. }
            | Inst::FpUnbox { a, .. }
            | Inst::FpBox { a, .. }
            | Inst::FpSqrt { a, .. }
            | Inst::FpToInt { a, .. }
            | Inst::FpFromInt { a, .. }
            | Inst::FpConvert { a, .. }
            | Inst::FpRound { a, .. }
            | Inst::FpClassify { a, .. }
            | Inst::FpToIntMod { a }
            | Inst::JumpReg { target: a, .. }
            | Inst::Raise { value: a, .. } => Operands::new([a]),
            Inst::Bin { a, b, .. }
            | Inst::Cmp { a, b, .. }
            | Inst::Store {
                addr: a, value: b, ..
            }
            | Inst::Rmw {
                addr: a, value: b, ..
            }
            | Inst::StoreConditional {
                addr: a, value: b, ..
            }
            | Inst::FpBin { a, b, .. }
            | Inst::FpCmp { a, b, .. }
            | Inst::FpMinMax { a, b, .. }
            | Inst::Branch { a, b, .. } => Operands::new([a, b]),
            Inst::Cas {
                addr: a,
                expected: b,
                new: c,
                ..
            }
            | Inst::FpFma { a, b, c, .. } => Operands::new([a, b, c]),
            Inst::Select { a, b, t, f, .. } => Operands::new([a, b, t, f]),
            Inst::Call { n, args, .. } => Operands {
                vals: args,
                len: n.clamp(1, 4),
            },
        }
    }

    /// Whether the instruction is a value that others may use.
    #[inline]
    pub fn produces(&self) -> bool {
        !matches!(
            self,
            Inst::Insn { .. }
                | Inst::Nop
                | Inst::Set(..)
                | Inst::Store { .. }
                | Inst::Fence(_)
                | Inst::Branch { .. }
                | Inst::Jump { .. }
                | Inst::JumpReg { .. }
                | Inst::Resync { .. }
                | Inst::Raise { .. }
        )
    }

    /// Whether the instruction does nothing but produce its value.
    #[inline]
    pub fn is_pure(&self) -> bool {
        matches!(
            self,
            Inst::Imm(_)
                | Inst::Get(_)
                | Inst::Bin { .. }
                | Inst::Un { .. }
                | Inst::Ext { .. }
                | Inst::Cmp { .. }
                | Inst::Select { .. }
                | Inst::FpUnbox { .. }
                | Inst::FpBox { .. }
                | Inst::FpClassify { .. }
        )
    }

    /// Whether the block ends here.
    #[inline]
    pub fn is_terminator(&self) -> bool {
        matches!(
            self,
            Inst::Jump { .. } | Inst::JumpReg { .. } | Inst::Resync { .. } | Inst::Raise { .. }
        )
    }

    /// The arithmetic of a floating-point instruction (not of [`Inst::FpBox`] and [`Inst::FpUnbox`], which are moves) and its operands;
    /// unused ones repeat the first.
    pub fn fp_op(&self) -> Option<(FpOp, [Val; 3])> {
        Some(match *self {
            Inst::FpBin { op, f, rm, a, b } => (FpOp::Bin { op, f, rm }, [a, b, a]),
            Inst::FpSqrt { f, rm, a } => (FpOp::Sqrt { f, rm }, [a; 3]),
            Inst::FpFma {
                f,
                rm,
                neg_product,
                neg_addend,
                a,
                b,
                c,
            } => (
                FpOp::Fma {
                    f,
                    rm,
                    neg_product,
                    neg_addend,
                },
                [a, b, c],
            ),
            Inst::FpCmp {
                c,
                f,
                signaling,
                a,
                b,
            } => (FpOp::Cmp { c, f, signaling }, [a, b, a]),
            Inst::FpMinMax { op, f, a, b } => (FpOp::MinMax { op, f }, [a, b, a]),
            Inst::FpToInt { f, rm, to, a } => (FpOp::ToInt { f, rm, to }, [a; 3]),
            Inst::FpFromInt { f, rm, from, a } => (FpOp::FromInt { f, rm, from }, [a; 3]),
            Inst::FpConvert { from, to, rm, a } => (FpOp::Convert { from, to, rm }, [a; 3]),
            Inst::FpRound { f, rm, exact, a } => (FpOp::Round { f, rm, exact }, [a; 3]),
            Inst::FpClassify { f, a } => (FpOp::Classify { f }, [a; 3]),
            Inst::FpToIntMod { a } => (FpOp::ToIntMod, [a; 3]),
            _ => return None,
        })
    }
}
