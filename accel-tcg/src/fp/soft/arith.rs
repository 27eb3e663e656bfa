//! Addition, multiplication, division and square root (IEEE 754-2019 clause 5.4.1; exceptions in clause 7, signs of
//! zero in clause 6.3).

use super::float::{Class, Float, Unpacked, infinity, signed_zero, unpack};
use super::nan::{invalid, propagate};
use super::round::{normalize_round_pack, round_pack};
use super::sig::Sig;
use crate::fp::{Env, Flags, Rounding};

/// Whether every operand is finite and not zero.
#[inline(always)]
fn all_finite<S>(a: &Unpacked<S>, b: &Unpacked<S>) -> bool {
    (a.class as u8 | b.class as u8) == 0
}

/// The sign of an exact zero sum of operands with different signs.
#[inline(always)]
pub fn cancelled_sign(env: &Env) -> bool {
    env.rounding == Rounding::Rdn
}

/// `a + b`, or `a - b` with `subtract`.
#[inline(always)]
pub fn add<F: Float>(env: &mut Env, a_bits: F::Sig, b_bits: F::Sig, subtract: bool) -> F::Sig {
    let a = unpack::<F>(env, a_bits);
    let mut b = unpack::<F>(env, b_bits);
    b.sign ^= subtract;
    if !all_finite(&a, &b) {
        return add_special::<F>(env, a, b, a_bits, b_bits);
    }
    let (big, small) = if a.exp >= b.exp { (a, b) } else { (b, a) };
    let aligned = small.sig.shr_jam((big.exp - small.exp) as u32);
    if a.sign == b.sign {
        let sum = big.sig + aligned;
        let carry = (sum >> (F::Sig::BITS - 1)).low_u32();
        return round_pack::<F>(env, a.sign, big.exp + carry as i32, sum.shr_jam(carry));
    }
    // Only operands of equal exponent can leave a negative difference, and then nothing was jammed.
    let (sign, rest) = if big.sig >= aligned {
        (big.sign, big.sig - aligned)
    } else {
        (!big.sign, aligned - big.sig)
    };
    if rest == F::Sig::ZERO {
        return signed_zero::<F>(cancelled_sign(env));
    }
    normalize_round_pack::<F>(env, sign, big.exp, rest)
}

#[cold]
fn add_special<F: Float>(
    env: &mut Env,
    a: Unpacked<F::Sig>,
    b: Unpacked<F::Sig>,
    a_bits: F::Sig,
    b_bits: F::Sig,
) -> F::Sig {
    match (a.class, b.class) {
        (Class::Nan, _) | (_, Class::Nan) => propagate::<F>(env, &[a_bits, b_bits]),
        (Class::Inf, Class::Inf) if a.sign != b.sign => invalid::<F>(env),
        (Class::Inf, _) => infinity::<F>(a.sign),
        (_, Class::Inf) => infinity::<F>(b.sign),
        (Class::Zero, Class::Zero) if a.sign == b.sign => signed_zero::<F>(a.sign),
        (Class::Zero, Class::Zero) => signed_zero::<F>(cancelled_sign(env)),
        (Class::Zero, _) => round_pack::<F>(env, b.sign, b.exp, b.sig),
        _ => round_pack::<F>(env, a.sign, a.exp, a.sig),
    }
}

/// `a * b`.
#[inline(always)]
pub fn mul<F: Float>(env: &mut Env, a_bits: F::Sig, b_bits: F::Sig) -> F::Sig {
    let a = unpack::<F>(env, a_bits);
    let b = unpack::<F>(env, b_bits);
    let sign = a.sign ^ b.sign;
    if !all_finite(&a, &b) {
        return match (a.class, b.class) {
            (Class::Nan, _) | (_, Class::Nan) => propagate::<F>(env, &[a_bits, b_bits]),
            (Class::Inf, Class::Zero) | (Class::Zero, Class::Inf) => invalid::<F>(env),
            (Class::Inf, _) | (_, Class::Inf) => infinity::<F>(sign),
            _ => signed_zero::<F>(sign),
        };
    }
    let word = F::Sig::BITS;
    let (high, low) = a.sig.mul_wide(b.sig);
    // The product of two numbers in [1, 2) is in [1, 4): two bits up puts its leading one in bit W - 2 or W - 1.
    let sig = (high << 2) | (low >> (word - 2)) | F::Sig::from_bool(low << 2 != F::Sig::ZERO);
    let carry = (sig >> (word - 1)).low_u32();
    round_pack::<F>(env, sign, a.exp + b.exp + carry as i32, sig.shr_jam(carry))
}

/// `a / b`.
#[inline(always)]
pub fn div<F: Float>(env: &mut Env, a_bits: F::Sig, b_bits: F::Sig) -> F::Sig {
    let a = unpack::<F>(env, a_bits);
    let b = unpack::<F>(env, b_bits);
    let sign = a.sign ^ b.sign;
    if !all_finite(&a, &b) {
        return match (a.class, b.class) {
            (Class::Nan, _) | (_, Class::Nan) => propagate::<F>(env, &[a_bits, b_bits]),
            (Class::Inf, Class::Inf) | (Class::Zero, Class::Zero) => invalid::<F>(env),
            (Class::Inf, _) => infinity::<F>(sign),
            (_, Class::Zero) => {
                env.flags |= Flags::DZ;
                infinity::<F>(sign)
            }
            _ => signed_zero::<F>(sign),
        };
    }
    let (quotient, rest) = a.sig.div_frac(b.sig);
    // In (1/2, 2): the leading one is in bit W - 3 or W - 2.
    let short = quotient.leading_zeros() - 1;
    round_pack::<F>(
        env,
        sign,
        a.exp - b.exp - short as i32,
        (quotient << short) | F::Sig::from_bool(rest),
    )
}

/// The square root.
#[inline(always)]
pub fn sqrt<F: Float>(env: &mut Env, bits: F::Sig) -> F::Sig {
    let a = unpack::<F>(env, bits);
    match a.class {
        Class::Nan => propagate::<F>(env, &[bits]),
        Class::Zero => signed_zero::<F>(a.sign),
        _ if a.sign => invalid::<F>(env),
        Class::Inf => infinity::<F>(false),
        Class::Finite => {
            let (root, rest) = a.sig.sqrt_frac(a.exp & 1 != 0);
            round_pack::<F>(env, false, a.exp >> 1, root | F::Sig::from_bool(rest))
        }
    }
}
