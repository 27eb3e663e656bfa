//! Checks that a block obeys the rules of [`crate::ir`].

use thiserror::Error;

use super::{Block, Inst, Val};
use crate::regs::SLOTS;
use crate::sem::{IntFormat, MemOp, Slot, Width};

/// What is wrong with a block. `at` is an index in [`Block::insts`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum VerifyError {
    /// More instructions than [`Val`] can number.
    #[error("the block has {0} operations, more than a value number can name")]
    TooLong(usize),
    /// A value is used at or before its definition, or its number is out of range.
    #[error("operation {at} uses v{} before it is defined", .value.0)]
    Undefined {
        /// The user.
        at: usize,
        /// The value.
        value: Val,
    },
    /// Something that is no value is used as one.
    #[error("operation {at} uses v{}, which produces no value", .value.0)]
    NoValue {
        /// The user.
        at: usize,
        /// The operand.
        value: Val,
    },
    /// A slot outside the register file.
    #[error("operation {at} names slot {}, but there are only {SLOTS}", .slot.0)]
    BadSlot {
        /// Where.
        at: usize,
        /// The slot.
        slot: Slot,
    },
    /// The block has no terminator at its end.
    #[error("the block does not end with a jump, a resynchronisation or an exception")]
    Unterminated,
    /// A terminator before the end.
    #[error("operation {at} ends the block, but others follow")]
    EarlyEnd {
        /// Where.
        at: usize,
    },
    /// Marks of guest instructions are not 0, 1, 2 and so on, or the first one is not at the start.
    #[error("operation {at} is out of step with the guest instructions: number {expected} was due")]
    BadMark {
        /// Where.
        at: usize,
        /// The number that should have been there.
        expected: usize,
    },
    /// Guest instructions without a mark.
    #[error("the block lists {listed} guest instructions and marks {marked}")]
    MissingMark {
        /// Length of [`Block::insns`].
        listed: usize,
        /// Number of marks.
        marked: usize,
    },
    /// A guest instruction of no length, or one that does not lie behind its predecessor.
    #[error("guest instruction {index} has no length or overlaps its predecessor")]
    BadInsn {
        /// Its number.
        index: usize,
    },
    /// A size that the operation does not have.
    #[error("operation {at} does not exist for operands of {} bits", .width.bits())]
    BadWidth {
        /// Where.
        at: usize,
        /// The size.
        width: Width,
    },
    /// A call with more than four arguments.
    #[error("operation {at} calls a helper with {n} arguments; four is the limit")]
    TooManyArguments {
        /// Where.
        at: usize,
        /// How many.
        n: u8,
    },
}

/// Checks a block.
///
/// # Errors
/// The first violation found.
pub fn verify(block: &Block) -> Result<(), VerifyError> {
    let n = block.insts.len();
    if n > usize::from(u16::MAX) {
        return Err(VerifyError::TooLong(n));
    }
    if !block.insts.last().is_some_and(Inst::is_terminator) {
        return Err(VerifyError::Unterminated);
    }
    let mut marked = 0;
    for (at, inst) in block.insts.iter().enumerate() {
        match *inst {
            Inst::Insn { index } => {
                if usize::from(index) != marked {
                    return Err(VerifyError::BadMark {
                        at,
                        expected: marked,
                    });
                }
                marked += 1;
            }
            _ if marked == 0 => return Err(VerifyError::BadMark { at, expected: 0 }),
            _ if inst.is_terminator() && at + 1 != n => return Err(VerifyError::EarlyEnd { at }),
            Inst::Get(slot) | Inst::Set(slot, _) if usize::from(slot.0) >= SLOTS => {
                return Err(VerifyError::BadSlot { at, slot });
            }
            Inst::LoadReserved {
                m: MemOp { size, .. },
                ..
            }
            | Inst::StoreConditional {
                m: MemOp { size, .. },
                ..
            }
            | Inst::FpToInt {
                to: IntFormat { width: size, .. },
                ..
            }
            | Inst::FpFromInt {
                from: IntFormat { width: size, .. },
                ..
            } if size < Width::W32 => {
                return Err(VerifyError::BadWidth { at, width: size });
            }
            Inst::Call { n, .. } if n > 4 => return Err(VerifyError::TooManyArguments { at, n }),
            _ => {}
        }
        for &value in inst.operands().iter() {
            match block.insts[..at].get(usize::from(value.0)) {
                None => return Err(VerifyError::Undefined { at, value }),
                Some(def) if !def.produces() => return Err(VerifyError::NoValue { at, value }),
                Some(_) => {}
            }
        }
    }
    if marked != block.insns.len() {
        return Err(VerifyError::MissingMark {
            listed: block.insns.len(),
            marked,
        });
    }
    let mut end = 0;
    for (index, insn) in block.insns.iter().enumerate() {
        if insn.len == 0 || u32::from(insn.offset) < end {
            return Err(VerifyError::BadInsn { index });
        }
        end = u32::from(insn.offset) + u32::from(insn.len);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::InsnInfo;
    use crate::sem::{Bin, HelperId, JumpKind};

    fn block(insts: &[Inst]) -> Block {
        let mut all = vec![Inst::Insn { index: 0 }];
        all.extend_from_slice(insts);
        Block {
            pc: 0x1000,
            insts: all,
            insns: vec![InsnInfo { offset: 0, len: 4 }],
        }
    }

    const JUMP: Inst = Inst::Jump {
        target: 0,
        kind: JumpKind::Plain,
    };

    fn sum(a: u16, b: u16) -> Inst {
        Inst::Bin {
            op: Bin::Add,
            w: Width::W64,
            a: Val(a),
            b: Val(b),
        }
    }

    #[test]
    fn good() {
        assert_eq!(
            verify(&block(&[
                Inst::Imm(1),
                sum(1, 1),
                Inst::Set(Slot(159), Val(2)),
                JUMP
            ])),
            Ok(())
        );
        assert_eq!(verify(&block(&[Inst::Nop, JUMP])), Ok(()));
    }

    #[test]
    fn bad() {
        use VerifyError as E;
        let m = MemOp::plain(Width::W16);
        let v = Val;
        assert_eq!(verify(&Block::default()), Err(E::Unterminated));
        assert_eq!(verify(&block(&[])), Err(E::Unterminated));
        assert_eq!(
            verify(&block(&[sum(1, 1), JUMP])),
            Err(E::Undefined { at: 1, value: v(1) })
        );
        assert_eq!(
            verify(&block(&[Inst::Imm(0), sum(1, 3), Inst::Imm(0), JUMP])),
            Err(E::Undefined { at: 2, value: v(3) })
        );
        assert_eq!(
            verify(&block(&[Inst::Imm(0), sum(0, 1), JUMP])),
            Err(E::NoValue { at: 2, value: v(0) })
        );
        assert_eq!(
            verify(&block(&[Inst::Nop, sum(1, 1), JUMP])),
            Err(E::NoValue { at: 2, value: v(1) })
        );
        assert_eq!(
            verify(&block(&[Inst::Get(Slot(160)), JUMP])),
            Err(E::BadSlot {
                at: 1,
                slot: Slot(160)
            })
        );
        assert_eq!(verify(&block(&[JUMP, JUMP])), Err(E::EarlyEnd { at: 1 }));
        assert_eq!(
            verify(&block(&[Inst::Insn { index: 2 }, JUMP])),
            Err(E::BadMark { at: 1, expected: 1 })
        );
        assert_eq!(
            verify(&block(&[Inst::Insn { index: 1 }, JUMP])),
            Err(E::MissingMark {
                listed: 1,
                marked: 2
            })
        );
        assert_eq!(
            verify(&block(&[
                Inst::Imm(0),
                Inst::LoadReserved { m, addr: v(1) },
                JUMP
            ])),
            Err(E::BadWidth {
                at: 2,
                width: Width::W16
            })
        );
        assert_eq!(
            verify(&block(&[
                Inst::Imm(0),
                Inst::Call {
                    h: HelperId(0),
                    n: 5,
                    args: [v(1); 4]
                },
                JUMP
            ])),
            Err(E::TooManyArguments { at: 2, n: 5 })
        );
        let mut unmarked = block(&[JUMP]);
        unmarked.insts[0] = Inst::Imm(1);
        assert_eq!(verify(&unmarked), Err(E::BadMark { at: 0, expected: 0 }));
        let mut empty = block(&[JUMP]);
        empty.insns[0].len = 0;
        assert_eq!(verify(&empty), Err(E::BadInsn { index: 0 }));
        let mut overlap = block(&[Inst::Insn { index: 1 }, JUMP]);
        overlap.insns.push(InsnInfo { offset: 2, len: 4 });
        assert_eq!(verify(&overlap), Err(E::BadInsn { index: 1 }));
        let mut long = block(&[JUMP]);
        long.insts.splice(1..1, vec![Inst::Nop; 70_000]);
        assert_eq!(verify(&long), Err(E::TooLong(70_002)));
    }
}
