//! Fused multiply-add (IEEE 754-2019 clause 5.4.1): one rounding at the end.

use super::arith::cancelled_sign;
use super::float::{Class, Float, infinity, signed_zero, unpack};
use super::nan::{invalid, is_snan, propagate};
use super::round::{normalize_round_pack, round_pack};
use super::sig::Sig;
use crate::fp::{Env, Flags, NanRule};

/// A double-width significand; a normalised one has its leading one in the second bit from the top.
#[derive(Clone, Copy)]
struct Wide<S> {
    high: S,
    low: S,
}

impl<S: Sig> Wide<S> {
    #[inline(always)]
    fn shl(self, count: u32) -> Self {
        match count {
            0 => self,
            n if n < S::BITS => Self {
                high: (self.high << n) | (self.low >> (S::BITS - n)),
                low: self.low << n,
            },
            n => Self {
                high: self.low << (n - S::BITS),
                low: S::ZERO,
            },
        }
    }

    #[inline(always)]
    fn shr_jam(self, count: u32) -> Self {
        match count {
            0 => self,
            n if n < S::BITS => {
                let low = (self.high << (S::BITS - n)) | self.low.shr_jam(n);
                Self {
                    high: self.high >> n,
                    low,
                }
            }
            n => {
                let low = self.high.shr_jam(n - S::BITS) | S::from_bool(self.low != S::ZERO);
                Self { high: S::ZERO, low }
            }
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        let (low, carry) = self.low.carrying_add(other.low);
        Self {
            high: self.high + other.high + S::from_bool(carry),
            low,
        }
    }

    /// `self - other`, where `other` is not the larger.
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        let (low, borrow) = self.low.borrowing_sub(other.low);
        Self {
            high: self.high - other.high - S::from_bool(borrow),
            low,
        }
    }

    #[inline(always)]
    fn leading_zeros(self) -> u32 {
        if self.high == S::ZERO {
            S::BITS + self.low.leading_zeros()
        } else {
            self.high.leading_zeros()
        }
    }

    /// The high word, with the low one jammed into it.
    #[inline(always)]
    fn jam(self) -> S {
        self.high | S::from_bool(self.low != S::ZERO)
    }
}

/// `±(a * b) ± c`.
#[inline(always)]
pub fn mul_add<F: Float>(
    env: &mut Env,
    operands: [F::Sig; 3],
    negate_product: bool,
    negate_addend: bool,
) -> F::Sig {
    let [a_bits, b_bits, c_bits] = operands;
    let a = unpack::<F>(env, a_bits);
    let b = unpack::<F>(env, b_bits);
    let c = unpack::<F>(env, c_bits);
    let product_sign = a.sign ^ b.sign ^ negate_product;
    let c_sign = c.sign ^ negate_addend;

    if (a.class as u8 | b.class as u8 | c.class as u8) != 0 {
        let invalid_product = matches!(
            (a.class, b.class),
            (Class::Inf, Class::Zero) | (Class::Zero, Class::Inf)
        );
        if [a.class, b.class, c.class].contains(&Class::Nan) {
            return nan_operand::<F>(
                env,
                operands,
                invalid_product,
                negate_product,
                negate_addend,
            );
        }
        let product_inf = a.class == Class::Inf || b.class == Class::Inf;
        if invalid_product || (product_inf && c.class == Class::Inf && product_sign != c_sign) {
            return invalid::<F>(env);
        }
        if product_inf {
            return infinity::<F>(product_sign);
        }
        if c.class == Class::Inf {
            return infinity::<F>(c_sign);
        }
        if a.class == Class::Zero || b.class == Class::Zero {
            if c.class == Class::Finite {
                return round_pack::<F>(env, c_sign, c.exp, c.sig);
            }
            let sign = if product_sign == c_sign {
                c_sign
            } else {
                cancelled_sign(env)
            };
            return signed_zero::<F>(sign);
        }
    }

    let (high, low) = a.sig.mul_wide(b.sig);
    // The product is in [1, 4), so its leading one is the third or fourth bit from the top of the pair.
    let short = high.leading_zeros() - 1;
    let product = Wide { high, low }.shl(short);
    let product_exp = a.exp + b.exp + 2 - short as i32;
    if c.class == Class::Zero {
        return round_pack::<F>(env, product_sign, product_exp, product.jam());
    }
    let addend = Wide {
        high: c.sig,
        low: F::Sig::ZERO,
    };

    // Jamming is exact enough: where a bit is lost, the exponents differ by two or more (a product leaves room for one
    // shift, an addend for W), and then cancellation costs one leading bit at most.
    let distance = product_exp - c.exp;
    let (exp, product, addend) = if distance >= 0 {
        (product_exp, product, addend.shr_jam(distance as u32))
    } else {
        (c.exp, product.shr_jam(distance.unsigned_abs()), addend)
    };
    if product_sign == c_sign {
        let sum = product.add(addend);
        return normalize_round_pack::<F>(env, c_sign, exp, sum.jam());
    }
    let (sign, rest) = if (product.high, product.low) >= (addend.high, addend.low) {
        (product_sign, product.sub(addend))
    } else {
        (c_sign, addend.sub(product))
    };
    if rest.high == F::Sig::ZERO && rest.low == F::Sig::ZERO {
        return signed_zero::<F>(cancelled_sign(env));
    }
    let shift = rest.leading_zeros() - 1;
    round_pack::<F>(env, sign, exp - shift as i32, rest.shl(shift).jam())
}

/// Clause 7.2 c) leaves open whether `0 * inf + qNaN` is invalid, so this differs between guests, as does the order of
/// preference among the operands.
#[cold]
fn nan_operand<F: Float>(
    env: &mut Env,
    [a, b, c]: [F::Sig; 3],
    invalid_product: bool,
    negate_product: bool,
    negate_addend: bool,
) -> F::Sig {
    match env.nan {
        NanRule::X86Sse => propagate::<F>(env, &[a, b, c]),
        // RISC-V: "the FMA instructions must set the invalid flag when the multiplicands are inf and zero, even when
        // the addend is a quiet NaN".
        NanRule::Canonical => {
            if invalid_product {
                env.flags |= Flags::NV;
            }
            propagate::<F>(env, &[a, b, c])
        }
        // FPMulAdd negates operands before it looks at NaNs, considers the addend first, and answers an invalid
        // product with the default NaN unless the addend is signalling.
        NanRule::Arm | NanRule::ArmDefault => {
            if invalid_product && !is_snan::<F>(c) {
                return invalid::<F>(env);
            }
            let a = a ^ signed_zero::<F>(negate_product);
            let c = c ^ signed_zero::<F>(negate_addend);
            propagate::<F>(env, &[c, a, b])
        }
    }
}
