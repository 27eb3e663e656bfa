//! Floating-point operations as values: one description shared by the interpreter, the IR interpreter and the software path of compiled
//! code, so that all three compute by the same function.

use super::{Env, Flags, Format, NanRule, Relation, Rounding};
use crate::sem::{FpBin, FpCmp, FpMinMax, IntFormat, Round, Width};

/// An operation on up to three operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "operands are named as in the methods of `Ops`")]
pub enum FpOp {
    Bin {
        op: FpBin,
        f: Format,
        rm: Round,
    },
    Sqrt {
        f: Format,
        rm: Round,
    },
    Fma {
        f: Format,
        rm: Round,
        neg_product: bool,
        neg_addend: bool,
    },
    Cmp {
        c: FpCmp,
        f: Format,
        signaling: bool,
    },
    MinMax {
        op: FpMinMax,
        f: Format,
    },
    ToInt {
        f: Format,
        rm: Round,
        to: IntFormat,
    },
    FromInt {
        f: Format,
        rm: Round,
        from: IntFormat,
    },
    Convert {
        from: Format,
        to: Format,
        rm: Round,
    },
    Round {
        f: Format,
        rm: Round,
        exact: bool,
    },
    Classify {
        f: Format,
    },
    ToIntMod,
}

/// The guest's floating-point environment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FpEnv {
    /// What dynamic rounding means now.
    pub dynamic: Rounding,
    /// NaN rule.
    pub nan: NanRule,
}

impl FpOp {
    /// Computes the result and the exception flags raised.
    pub fn eval(self, env: FpEnv, a: u64, b: u64, c: u64) -> (u64, Flags) {
        let with = |rm: Round| Env {
            nan: env.nan,
            ..Env::riscv(match rm {
                Round::Fixed(r) => r,
                Round::Dynamic => env.dynamic,
            })
        };
        let any = || with(Round::Fixed(Rounding::Rne));
        let mut e;
        let value = match self {
            FpOp::Bin { op, f, rm } => {
                e = with(rm);
                match op {
                    FpBin::Add => super::add(&mut e, f, a, b),
                    FpBin::Sub => super::sub(&mut e, f, a, b),
                    FpBin::Mul => super::mul(&mut e, f, a, b),
                    FpBin::Div => super::div(&mut e, f, a, b),
                }
            }
            FpOp::Sqrt { f, rm } => {
                e = with(rm);
                super::sqrt(&mut e, f, a)
            }
            FpOp::Fma {
                f,
                rm,
                neg_product,
                neg_addend,
            } => {
                e = with(rm);
                super::mul_add(&mut e, f, a, b, c, neg_product, neg_addend)
            }
            FpOp::Cmp { c, f, signaling } => {
                e = any();
                let r = super::compare(&mut e, f, a, b, signaling);
                u64::from(match c {
                    FpCmp::Eq => r == Relation::Equal,
                    FpCmp::Lt => r == Relation::Less,
                    FpCmp::Le => matches!(r, Relation::Less | Relation::Equal),
                })
            }
            FpOp::MinMax { op, f } => {
                e = any();
                match op {
                    FpMinMax::MinNumber => super::minimum_number(&mut e, f, a, b),
                    FpMinMax::MaxNumber => super::maximum_number(&mut e, f, a, b),
                    FpMinMax::Minimum => super::minimum(&mut e, f, a, b),
                    FpMinMax::Maximum => super::maximum(&mut e, f, a, b),
                }
            }
            FpOp::ToInt { f, rm, to } => {
                e = with(rm);
                super::to_int(&mut e, f, a, to.width.bits(), to.signed)
            }
            FpOp::FromInt { f, rm, from } => {
                e = with(rm);
                super::from_int(&mut e, f, a, from.width.bits(), from.signed)
            }
            FpOp::Convert { from, to, rm } => {
                e = with(rm);
                super::convert(&mut e, from, to, a)
            }
            FpOp::Round { f, rm, exact } => {
                e = with(rm);
                super::round_to_integral(&mut e, f, a, exact)
            }
            FpOp::Classify { f } => {
                e = any();
                u64::from(super::classify(f, a))
            }
            FpOp::ToIntMod => {
                e = any();
                super::fcvtmod_w_d(&mut e, a)
            }
        };
        (value, e.flags)
    }

    /// One word that [`FpOp::unpack`] turns back into the operation.
    pub fn pack(self) -> u64 {
        let word = |kind: u64, fields: [u64; 5]| {
            fields.iter().rev().fold(0, |acc, x| acc << 4 | x) << 8 | kind
        };
        match self {
            FpOp::Bin { op, f, rm } => word(0, [op as u64, f as u64, pack_round(rm), 0, 0]),
            FpOp::Sqrt { f, rm } => word(1, [f as u64, pack_round(rm), 0, 0, 0]),
            FpOp::Fma {
                f,
                rm,
                neg_product,
                neg_addend,
            } => word(
                2,
                [
                    f as u64,
                    pack_round(rm),
                    u64::from(neg_product),
                    u64::from(neg_addend),
                    0,
                ],
            ),
            FpOp::Cmp { c, f, signaling } => {
                word(3, [c as u64, f as u64, u64::from(signaling), 0, 0])
            }
            FpOp::MinMax { op, f } => word(4, [op as u64, f as u64, 0, 0, 0]),
            FpOp::ToInt { f, rm, to } => word(
                5,
                [
                    f as u64,
                    pack_round(rm),
                    to.width as u64,
                    u64::from(to.signed),
                    0,
                ],
            ),
            FpOp::FromInt { f, rm, from } => word(
                6,
                [
                    f as u64,
                    pack_round(rm),
                    from.width as u64,
                    u64::from(from.signed),
                    0,
                ],
            ),
            FpOp::Convert { from, to, rm } => {
                word(7, [from as u64, to as u64, pack_round(rm), 0, 0])
            }
            FpOp::Round { f, rm, exact } => {
                word(8, [f as u64, pack_round(rm), u64::from(exact), 0, 0])
            }
            FpOp::Classify { f } => word(9, [f as u64, 0, 0, 0, 0]),
            FpOp::ToIntMod => 10,
        }
    }

    /// The inverse of [`FpOp::pack`]; `None` for a word it does not produce.
    pub fn unpack(word: u64) -> Option<FpOp> {
        let x = |i: u32| (word >> (8 + 4 * i)) & 15;
        let flag = |i: u32| x(i) != 0;
        Some(match word & 0xff {
            0 => FpOp::Bin {
                op: match x(0) {
                    0 => FpBin::Add,
                    1 => FpBin::Sub,
                    2 => FpBin::Mul,
                    3 => FpBin::Div,
                    _ => return None,
                },
                f: format(x(1))?,
                rm: unpack_round(x(2))?,
            },
            1 => FpOp::Sqrt {
                f: format(x(0))?,
                rm: unpack_round(x(1))?,
            },
            2 => FpOp::Fma {
                f: format(x(0))?,
                rm: unpack_round(x(1))?,
                neg_product: flag(2),
                neg_addend: flag(3),
            },
            3 => FpOp::Cmp {
                c: match x(0) {
                    0 => FpCmp::Eq,
                    1 => FpCmp::Lt,
                    2 => FpCmp::Le,
                    _ => return None,
                },
                f: format(x(1))?,
                signaling: flag(2),
            },
            4 => FpOp::MinMax {
                op: match x(0) {
                    0 => FpMinMax::MinNumber,
                    1 => FpMinMax::MaxNumber,
                    2 => FpMinMax::Minimum,
                    3 => FpMinMax::Maximum,
                    _ => return None,
                },
                f: format(x(1))?,
            },
            5 => FpOp::ToInt {
                f: format(x(0))?,
                rm: unpack_round(x(1))?,
                to: int_format(x(2), flag(3))?,
            },
            6 => FpOp::FromInt {
                f: format(x(0))?,
                rm: unpack_round(x(1))?,
                from: int_format(x(2), flag(3))?,
            },
            7 => FpOp::Convert {
                from: format(x(0))?,
                to: format(x(1))?,
                rm: unpack_round(x(2))?,
            },
            8 => FpOp::Round {
                f: format(x(0))?,
                rm: unpack_round(x(1))?,
                exact: flag(2),
            },
            9 => FpOp::Classify { f: format(x(0))? },
            10 => FpOp::ToIntMod,
            _ => return None,
        })
    }
}

fn pack_round(rm: Round) -> u64 {
    match rm {
        Round::Fixed(r) => r as u64,
        Round::Dynamic => 7,
    }
}

fn unpack_round(x: u64) -> Option<Round> {
    Some(match x {
        7 => Round::Dynamic,
        _ => Round::Fixed(rounding(x)?),
    })
}

/// The rounding direction with this encoding.
pub fn rounding(x: u64) -> Option<Rounding> {
    Some(match x {
        0 => Rounding::Rne,
        1 => Rounding::Rtz,
        2 => Rounding::Rdn,
        3 => Rounding::Rup,
        4 => Rounding::Rmm,
        6 => Rounding::Odd,
        _ => return None,
    })
}

fn format(x: u64) -> Option<Format> {
    Some(match x {
        0 => Format::F16,
        1 => Format::F32,
        2 => Format::F64,
        _ => return None,
    })
}

fn int_format(width: u64, signed: bool) -> Option<IntFormat> {
    Some(IntFormat {
        width: match width {
            2 => Width::W32,
            3 => Width::W64,
            _ => return None,
        },
        signed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_round_trips() {
        let rounds = [
            Round::Dynamic,
            Round::Fixed(Rounding::Rmm),
            Round::Fixed(Rounding::Rne),
            Round::Fixed(Rounding::Odd),
        ];
        for f in [Format::F16, Format::F32, Format::F64] {
            for rm in rounds {
                for x in [false, true] {
                    let int = IntFormat {
                        width: if x { Width::W32 } else { Width::W64 },
                        signed: !x,
                    };
                    for op in [
                        FpOp::Bin {
                            op: FpBin::Div,
                            f,
                            rm,
                        },
                        FpOp::Sqrt { f, rm },
                        FpOp::Fma {
                            f,
                            rm,
                            neg_product: x,
                            neg_addend: !x,
                        },
                        FpOp::Cmp {
                            c: FpCmp::Le,
                            f,
                            signaling: x,
                        },
                        FpOp::MinMax {
                            op: FpMinMax::Maximum,
                            f,
                        },
                        FpOp::ToInt { f, rm, to: int },
                        FpOp::FromInt { f, rm, from: int },
                        FpOp::Convert {
                            from: f,
                            to: Format::F32,
                            rm,
                        },
                        FpOp::Round { f, rm, exact: x },
                        FpOp::Classify { f },
                        FpOp::ToIntMod,
                    ] {
                        assert_eq!(FpOp::unpack(op.pack()), Some(op));
                    }
                }
            }
        }
        assert_eq!(FpOp::unpack(0xff), None);
    }
}
