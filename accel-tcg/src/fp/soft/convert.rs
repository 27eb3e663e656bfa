//! Conversions: between formats and with integers (IEEE 754-2019 clauses 5.4.1, 5.4.2 and 5.8), and rounding to an
//! integer in the same format (clauses 5.3.1 and 5.9).

use super::float::{Class, F64, Float, infinity, signed_zero, unpack};
use super::nan::{default_nan, is_snan, propagate, quiet_bit};
use super::round::{normalize_round_pack, round_off, round_pack};
use super::sig::Sig;
use crate::fp::{Env, Flags, NanRule, Rounding};

/// Converts between formats.
#[inline(always)]
pub fn convert<From: Float, To: Float>(env: &mut Env, bits: From::Sig) -> To::Sig {
    let a = unpack::<From>(env, bits);
    match a.class {
        Class::Finite => round_pack::<To>(env, a.sign, a.exp, To::Sig::from_top(a.sig.to_top())),
        Class::Zero => signed_zero::<To>(a.sign),
        Class::Inf => infinity::<To>(a.sign),
        Class::Nan => convert_nan::<From, To>(env, bits, a.sign),
    }
}

/// A NaN keeps its sign and the high bits of its payload, where the rule keeps NaNs at all.
#[cold]
fn convert_nan<From: Float, To: Float>(env: &mut Env, bits: From::Sig, sign: bool) -> To::Sig {
    if is_snan::<From>(bits) {
        env.flags |= Flags::NV;
    }
    match env.nan {
        NanRule::Canonical | NanRule::ArmDefault => default_nan::<To>(env.nan),
        NanRule::X86Sse | NanRule::Arm => {
            let (_, _, frac) = From::fields(bits);
            let top = frac.to_top() << (From::Sig::BITS - From::FRAC_BITS);
            // Cut off, not jammed: a payload is not a number.
            let payload = To::Sig::from_top(top) >> (To::Sig::BITS - To::FRAC_BITS);
            infinity::<To>(sign) | payload | quiet_bit::<To>()
        }
    }
}

/// Rounds the magnitude of a finite number, given as for [`Unpacked`](super::float::Unpacked), to an integer. Returns
/// it and whether that was inexact; `None` from 2^64 on.
#[inline(always)]
fn integer_magnitude<S: Sig>(
    rounding: Rounding,
    sign: bool,
    exp: i32,
    sig: S,
) -> Option<(u64, bool)> {
    if exp > 63 {
        return None;
    }
    // Fixed point: 64 integer bits, 64 fraction bits.
    let top = sig.to_top();
    let fixed = if exp == 63 {
        top << 1
    } else {
        top.shr_jam((62 - exp) as u32)
    };
    let (whole, fraction) = ((fixed >> 64) as u64, fixed as u64);
    const HALF: u64 = 1 << 63;
    let up = match rounding {
        Rounding::Rne => fraction > HALF || (fraction == HALF && whole & 1 != 0),
        Rounding::Rmm => fraction >= HALF,
        Rounding::Rtz => false,
        Rounding::Rdn => sign && fraction != 0,
        Rounding::Rup => !sign && fraction != 0,
        Rounding::Odd => whole & 1 == 0 && fraction != 0,
    };
    Some((whole.checked_add(u64::from(up))?, fraction != 0))
}

/// Sign-extends the low `bits` bits.
#[inline(always)]
fn sign_extend(value: u64, bits: u32) -> u64 {
    let unused = 64 - bits;
    (((value << unused) as i64) >> unused) as u64
}

/// Converts to an integer of `bits` bits, saturating.
#[inline(always)]
pub fn to_int<F: Float>(env: &mut Env, a_bits: F::Sig, bits: u32, signed: bool) -> u64 {
    let a = unpack::<F>(env, a_bits);
    let all_ones = u64::MAX >> (64 - bits);
    // The largest magnitude that fits, for the sign at hand. A NaN counts as positive.
    let negative = a.sign && a.class != Class::Nan;
    let limit = match (signed, negative) {
        (true, false) => all_ones >> 1,
        (true, true) => (all_ones >> 1) + 1,
        (false, false) => all_ones,
        (false, true) => 0,
    };
    let rounded = match a.class {
        Class::Zero => return 0,
        Class::Finite => integer_magnitude(env.rounding, a.sign, a.exp, a.sig),
        _ => None,
    };
    let magnitude = match rounded {
        Some((magnitude, inexact)) if magnitude <= limit => {
            env.flags.0 |= u8::from(inexact) * Flags::NX.0;
            magnitude
        }
        _ => {
            env.flags |= Flags::NV;
            limit
        }
    };
    sign_extend(
        if negative {
            magnitude.wrapping_neg()
        } else {
            magnitude
        },
        bits,
    )
}

/// FCVTMOD.W.D (RISC-V Zfa): the low 32 bits of the integer part, sign-extended, flags as for FCVT.W.D.
pub fn fcvtmod_w_d(env: &mut Env, bits: u64) -> u64 {
    let saved = env.rounding;
    env.rounding = Rounding::Rtz;
    to_int::<F64>(env, bits, 32, true);
    env.rounding = saved;
    let a = unpack::<F64>(env, bits);
    // Bit 62 of `sig` weighs 2^exp; from 2^(62 + 32) on, the low 32 bits are all zero.
    if a.class != Class::Finite || !(0..62 + 32).contains(&a.exp) {
        return 0;
    }
    let whole = if a.exp <= 62 {
        a.sig >> (62 - a.exp)
    } else {
        a.sig << (a.exp - 62)
    };
    sign_extend(if a.sign { whole.wrapping_neg() } else { whole }, 32)
}

/// Converts from an integer of `bits` bits.
#[inline(always)]
pub fn from_int<F: Float>(env: &mut Env, value: u64, bits: u32, signed: bool) -> F::Sig {
    let extended = sign_extend(value, bits);
    let sign = signed && (extended as i64) < 0;
    let magnitude = match (signed, sign) {
        (false, _) => value & (u64::MAX >> (64 - bits)),
        (true, false) => extended,
        (true, true) => extended.wrapping_neg(),
    };
    if magnitude == 0 {
        return F::Sig::ZERO;
    }
    let zeros = magnitude.leading_zeros();
    let top = u128::from(magnitude << zeros) << 63;
    round_pack::<F>(env, sign, 63 - zeros as i32, F::Sig::from_top(top))
}

/// Rounds to an integer in the same format; inexact raises NX when `exact`.
#[inline(always)]
pub fn round_to_integral<F: Float>(env: &mut Env, bits: F::Sig, exact: bool) -> F::Sig {
    let a = unpack::<F>(env, bits);
    match a.class {
        Class::Nan => return propagate::<F>(env, &[bits]),
        Class::Zero => return signed_zero::<F>(a.sign),
        Class::Finite if a.exp < F::FRAC_BITS as i32 => {}
        _ => return bits,
    }
    // Everything below 1/2 rounds alike: make it a fraction with its leading one no further up than half of half.
    let (exp, sig) = if a.exp < -1 {
        (-1, a.sig.shr_jam((-1 - a.exp) as u32))
    } else {
        (a.exp, a.sig)
    };
    let fraction_bits = (F::Sig::BITS as i32 - 2 - exp) as u32;
    let (whole, inexact) = round_off(env.rounding, a.sign, sig, fraction_bits);
    if inexact && exact {
        env.flags |= Flags::NX;
    }
    if whole == F::Sig::ZERO {
        return signed_zero::<F>(a.sign);
    }
    // An integer of at most PREC bits: exact.
    normalize_round_pack::<F>(env, a.sign, exp, whole << fraction_bits)
}
