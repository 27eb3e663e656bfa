//! What is known about the bits of a value without knowing the value.

use crate::sem::{Bin, Width};

/// Known bits at the top of a value. 64 in a field means that it tells nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fact {
    /// Bits from here up are zeros.
    pub zero: u8,
    /// Bits from here up are copies of the bit below (at least 1).
    pub sign: u8,
    /// Bits from here up are ones.
    pub ones: u8,
}

impl Fact {
    pub const NONE: Fact = Fact {
        zero: 64,
        sign: 64,
        ones: 64,
    };

    pub fn of(k: u64) -> Fact {
        let signs = k.leading_zeros().max(k.leading_ones());
        Fact {
            zero: (64 - k.leading_zeros()) as u8,
            sign: (65 - signs) as u8,
            ones: (64 - k.leading_ones()) as u8,
        }
    }

    /// Zeros from this bit up.
    pub fn zeros(bits: u32) -> Fact {
        let zero = bits.min(64) as u8;
        Fact {
            zero,
            sign: (zero + 1).min(64),
            ones: 64,
        }
    }

    /// A sign extension of this many bits.
    pub fn signed(bits: u32) -> Fact {
        Fact {
            sign: bits.clamp(1, 64) as u8,
            ..Fact::NONE
        }
    }

    pub fn boxed(bits: u32) -> Fact {
        Fact {
            zero: 64,
            sign: (bits + 1).min(64) as u8,
            ones: bits.min(64) as u8,
        }
    }

    /// A value as it comes from memory.
    pub fn loaded(size: Width, sign: bool) -> Fact {
        if sign {
            Fact::signed(size.bits())
        } else {
            Fact::zeros(size.bits())
        }
    }

    /// One of two values.
    pub fn either(self, o: Fact) -> Fact {
        Fact {
            zero: self.zero.max(o.zero),
            sign: self.sign.max(o.sign),
            ones: self.ones.max(o.ones),
        }
    }

    /// Of the result of [`Bin`]; `k` is the second operand if it is constant.
    pub fn bin(op: Bin, w: Width, a: Fact, b: Fact, k: Option<u64>) -> Fact {
        let narrow = Fact::zeros(w.bits());
        let with_zeros = |z: u8| {
            let z = z.min(narrow.zero);
            let sign = if w == Width::W64 && matches!(op, Bin::And | Bin::Or | Bin::Xor) {
                a.sign.max(b.sign)
            } else {
                64
            };
            Fact {
                zero: z,
                sign: sign.min((z + 1).min(64)),
                ones: 64,
            }
        };
        match op {
            Bin::And => with_zeros(a.zero.min(b.zero)),
            Bin::Or | Bin::Xor | Bin::MaxU => with_zeros(a.zero.max(b.zero)),
            Bin::AndNot | Bin::RemU => with_zeros(a.zero),
            Bin::MinU => with_zeros(if w == Width::W64 {
                a.zero.min(b.zero)
            } else {
                64
            }),
            Bin::Shr => match k {
                Some(k) => {
                    let count = (k as u32) & (w.bits() - 1);
                    Fact::zeros(u32::from(a.zero.min(narrow.zero)).saturating_sub(count))
                }
                None => with_zeros(a.zero),
            },
            Bin::Sar if w == Width::W64 => match k {
                Some(k) => Fact::signed(u32::from(a.sign).saturating_sub(k as u32 & 63)),
                None => Fact::signed(u32::from(a.sign)),
            },
            _ => narrow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants() {
        assert_eq!(
            Fact::of(0),
            Fact {
                zero: 0,
                sign: 1,
                ones: 64
            }
        );
        assert_eq!(
            Fact::of(u64::MAX),
            Fact {
                zero: 64,
                sign: 1,
                ones: 0
            }
        );
        assert_eq!(
            Fact::of(0x80),
            Fact {
                zero: 8,
                sign: 9,
                ones: 64
            }
        );
        assert_eq!(
            Fact::of(0xffff_ffff_8000_0000),
            Fact {
                zero: 64,
                sign: 32,
                ones: 31
            }
        );
        assert_eq!(
            Fact::of(i64::MIN as u64),
            Fact {
                zero: 64,
                sign: 64,
                ones: 63
            }
        );
    }
}
