//! Rounding (IEEE 754-2019 clause 4.3) and the default handling of overflow, underflow and inexact (clauses 7.4 to 7.6).

use super::float::{Float, infinity, max_finite, signed_zero};
use super::sig::Sig;
use crate::fp::{Env, Flags, Rounding};

/// What to add below the last kept bit so that cutting off rounds the right way, ties of `Rne` aside: `half` is the
/// weight of the highest discarded bit and `mask` covers all of them.
#[inline(always)]
pub fn increment<S: Sig>(rounding: Rounding, sign: bool, half: S, mask: S) -> S {
    match rounding {
        Rounding::Rne | Rounding::Rmm => half,
        Rounding::Rdn if sign => mask,
        Rounding::Rup if !sign => mask,
        _ => S::ZERO,
    }
}

/// Cuts `discard` bits off `sig` (at least one), rounding. Returns the kept bits and whether that was inexact.
#[inline(always)]
pub fn round_off<S: Sig>(rounding: Rounding, sign: bool, sig: S, discard: u32) -> (S, bool) {
    let half = S::ONE << (discard - 1);
    let mask = (S::ONE << discard) - S::ONE;
    let lost = sig & mask;
    let mut kept = (sig + increment(rounding, sign, half, mask)) >> discard;
    if lost == half && rounding == Rounding::Rne {
        kept = kept & !S::ONE;
    }
    if rounding == Rounding::Odd {
        kept = kept | S::from_bool(lost != S::ZERO);
    }
    (kept, lost != S::ZERO)
}

/// Rounds a normalised, jammed significand to the format and encodes it.
#[inline(always)]
pub fn round_pack<F: Float>(env: &mut Env, sign: bool, exp: i32, sig: F::Sig) -> F::Sig {
    let word = F::Sig::BITS;
    debug_assert!(
        sig.leading_zeros() == 1,
        "round_pack wants a normalised significand"
    );
    let biased = exp + F::BIAS;
    if biased <= 0 {
        return round_pack_tiny::<F>(env, sign, biased, sig);
    }
    let (kept, inexact) = round_off(env.rounding, sign, sig, word - 1 - F::PREC);
    if biased >= F::EXP_MAX - 1 && (biased >= F::EXP_MAX || kept >> F::PREC != F::Sig::ZERO) {
        return overflow::<F>(env, sign);
    }
    env.flags.0 |= u8::from(inexact) * Flags::NX.0;
    F::pack(sign, biased, kept)
}

/// The part of [`round_pack`] for numbers below the smallest normal one, where `biased` is 0 or less.
#[cold]
fn round_pack_tiny<F: Float>(env: &mut Env, sign: bool, biased: i32, sig: F::Sig) -> F::Sig {
    let word = F::Sig::BITS;
    let discard = word - 1 - F::PREC;
    let half = F::Sig::ONE << (discard - 1);
    let mask = (F::Sig::ONE << discard) - F::Sig::ONE;
    // Clause 7.5: a number just below the smallest normal one is not tiny "after rounding" when it would have become
    // that one with an unbounded exponent range.
    let rounded = sig + increment(env.rounding, sign, half, mask);
    let tiny = !env.tininess_after || biased < 0 || rounded >> (word - 1) == F::Sig::ZERO;
    if tiny && env.ftz {
        env.flags |= if env.tininess_after {
            Flags::UF | Flags::NX
        } else {
            Flags::UF
        };
        return signed_zero::<F>(sign);
    }
    let (kept, inexact) = round_off(
        env.rounding,
        sign,
        sig.shr_jam((1 - biased) as u32),
        discard,
    );
    if inexact {
        env.flags |= if tiny {
            Flags::UF | Flags::NX
        } else {
            Flags::NX
        };
    }
    F::pack(sign, 1, kept)
}

/// Clause 7.4: what an overflow delivers depends on the rounding direction.
#[cold]
fn overflow<F: Float>(env: &mut Env, sign: bool) -> F::Sig {
    env.flags |= Flags::OF | Flags::NX;
    let to_infinity = match env.rounding {
        Rounding::Rne | Rounding::Rmm => true,
        Rounding::Rtz | Rounding::Odd => false,
        Rounding::Rdn => sign,
        Rounding::Rup => !sign,
    };
    if to_infinity {
        infinity::<F>(sign)
    } else {
        max_finite::<F>(sign)
    }
}

/// [`round_pack`] for a non-zero significand with its leading one anywhere; `exp` is the exponent of bit `W - 2`.
#[inline(always)]
pub fn normalize_round_pack<F: Float>(env: &mut Env, sign: bool, exp: i32, sig: F::Sig) -> F::Sig {
    let zeros = sig.leading_zeros();
    if zeros == 0 {
        return round_pack::<F>(env, sign, exp + 1, sig.shr_jam(1));
    }
    round_pack::<F>(env, sign, exp - (zeros as i32 - 1), sig << (zeros - 1))
}
