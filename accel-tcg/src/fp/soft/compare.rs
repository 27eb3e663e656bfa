//! Comparison (IEEE 754-2019 clauses 5.6.1 and 5.11), minimum and maximum (clause 9.6, and 5.3.1 of the 2008 edition),
//! classification (clause 5.7.2).

use super::float::{Float, is_negative, squash_input};
use super::nan::{is_nan, is_snan, propagate, quiet_bit};
use super::sig::Sig;
use crate::fp::{Env, Flags, Relation};

/// Whether `a` is below `b`, with -0 below +0; no NaNs.
#[inline(always)]
fn total_less<F: Float>(a: F::Sig, b: F::Sig) -> bool {
    match (is_negative::<F>(a), is_negative::<F>(b)) {
        (false, false) => a < b,
        (true, true) => b < a,
        (a_negative, _) => a_negative,
    }
}

/// How `a` stands to `b`. A quiet NaN raises NV when `signaling`, a signalling one always.
#[inline(always)]
pub fn compare<F: Float>(env: &mut Env, a: F::Sig, b: F::Sig, signaling: bool) -> Relation {
    let a = squash_input::<F>(env, a);
    let b = squash_input::<F>(env, b);
    if is_nan::<F>(a) || is_nan::<F>(b) {
        if signaling || is_snan::<F>(a) || is_snan::<F>(b) {
            env.flags |= Flags::NV;
        }
        return Relation::Unordered;
    }
    let magnitudes = (a | b) & !(F::Sig::ONE << (F::BITS - 1));
    if a == b || magnitudes == F::Sig::ZERO {
        Relation::Equal
    } else if total_less::<F>(a, b) {
        Relation::Less
    } else {
        Relation::Greater
    }
}

/// What minimum and maximum do about a NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinMaxNan {
    /// The other operand wins over any NaN (`minimumNumber`, 754-2019).
    Number,
    /// A NaN wins (`minimum`, 754-2019).
    Nan,
    /// The other operand wins over a quiet NaN, a signalling one wins (`minNum`, 754-2008).
    Num2008,
}

/// The smaller operand, or the larger with `max`; -0 is below +0.
#[inline(always)]
pub fn min_max<F: Float>(
    env: &mut Env,
    a: F::Sig,
    b: F::Sig,
    max: bool,
    rule: MinMaxNan,
) -> F::Sig {
    let a = squash_input::<F>(env, a);
    let b = squash_input::<F>(env, b);
    let (a_nan, b_nan) = (is_nan::<F>(a), is_nan::<F>(b));
    if !(a_nan || b_nan) {
        return if total_less::<F>(a, b) != max { a } else { b };
    }
    let signalling = is_snan::<F>(a) || is_snan::<F>(b);
    let nan_wins = match rule {
        MinMaxNan::Number => false,
        MinMaxNan::Nan => true,
        MinMaxNan::Num2008 => signalling,
    };
    if nan_wins || (a_nan && b_nan) {
        return propagate::<F>(env, &[a, b]);
    }
    if signalling {
        env.flags |= Flags::NV;
    }
    if a_nan { b } else { a }
}

/// The mask of the RISC-V FCLASS instructions (F extension, "Single-Precision Floating-Point Classify Instruction").
#[inline(always)]
pub fn classify<F: Float>(bits: F::Sig) -> u16 {
    let (sign, exp, frac) = F::fields(bits);
    let zero = frac == F::Sig::ZERO;
    let magnitude = match exp {
        0 if zero => 0,
        0 => 1,
        e if e != F::EXP_MAX => 2,
        _ if zero => 3,
        _ => {
            return if bits & quiet_bit::<F>() == F::Sig::ZERO {
                1 << 8
            } else {
                1 << 9
            };
        }
    };
    if sign {
        1 << (3 - magnitude)
    } else {
        1 << (4 + magnitude)
    }
}
