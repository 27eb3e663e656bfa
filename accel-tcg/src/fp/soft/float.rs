//! Formats (IEEE 754-2019 clause 3.4) and unpacking.

use super::sig::Sig;
use crate::fp::{Env, Flags, NanRule};

/// A binary interchange format, as IEEE 754-2019 clause 3.4 lays it out: sign, biased exponent, trailing significand.
///
/// Formats with an explicit integer bit override [`Float::pack`] and [`Float::fields`].
pub trait Float: Copy {
    /// The word for raw encodings and for significands; at least `PREC + 4` bits wide.
    type Sig: Sig;
    /// Width of the exponent field.
    const EXP_BITS: u32;
    /// Precision *p*, the integer bit included.
    const PREC: u32;

    /// Width of the trailing significand field.
    const FRAC_BITS: u32 = Self::PREC - 1;
    /// Width of the encoding.
    const BITS: u32 = 1 + Self::EXP_BITS + Self::FRAC_BITS;
    /// *emax*, which is also the bias.
    const BIAS: i32 = (1 << (Self::EXP_BITS - 1)) - 1;
    /// The exponent field of infinities and NaNs.
    const EXP_MAX: i32 = (1 << Self::EXP_BITS) - 1;

    /// Puts an encoding together. `exp` is the biased exponent, at least 1; `sig` has its integer bit in bit
    /// `FRAC_BITS`. A `sig` below that, with `exp` 1, is subnormal; a `sig` of `2^PREC`, left by a carry, is right too.
    #[inline(always)]
    fn pack(sign: bool, exp: i32, sig: Self::Sig) -> Self::Sig {
        // The integer bit, where set, adds the one that was taken off the exponent.
        signed_zero::<Self>(sign)
            | ((Self::Sig::from_u32((exp - 1) as u32) << Self::FRAC_BITS) + sig)
    }

    /// Takes an encoding apart: sign, biased exponent, trailing significand.
    #[inline(always)]
    fn fields(bits: Self::Sig) -> (bool, i32, Self::Sig) {
        let exp = (bits >> Self::FRAC_BITS).low_u32() & (Self::EXP_MAX as u32);
        let frac = bits & ((Self::Sig::ONE << Self::FRAC_BITS) - Self::Sig::ONE);
        (is_negative::<Self>(bits), exp as i32, frac)
    }
}

/// binary16.
#[derive(Clone, Copy, Debug)]
pub struct F16;
/// binary32.
#[derive(Clone, Copy, Debug)]
pub struct F32;
/// binary64.
#[derive(Clone, Copy, Debug)]
pub struct F64;

impl Float for F16 {
    type Sig = u64;
    const EXP_BITS: u32 = 5;
    const PREC: u32 = 11;
}

impl Float for F32 {
    type Sig = u64;
    const EXP_BITS: u32 = 8;
    const PREC: u32 = 24;
}

impl Float for F64 {
    type Sig = u64;
    const EXP_BITS: u32 = 11;
    const PREC: u32 = 53;
}

/// What kind of datum an encoding is. `Finite` means finite and not zero.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A normal or subnormal number.
    Finite = 0,
    /// A zero.
    Zero = 1,
    /// An infinity.
    Inf = 2,
    /// A quiet or signalling NaN.
    Nan = 4,
}

/// An operand taken apart. `exp` (unbiased) and `sig` (normalised) mean something for [`Class::Finite`] only.
#[derive(Clone, Copy, Debug)]
pub struct Unpacked<S> {
    /// Kind of datum.
    pub class: Class,
    /// Sign bit.
    pub sign: bool,
    /// Unbiased exponent of the leading one.
    pub exp: i32,
    /// Significand, leading one in bit `W - 2`.
    pub sig: S,
}

/// The sign bit.
#[inline(always)]
pub fn is_negative<F: Float>(bits: F::Sig) -> bool {
    (bits >> (F::BITS - 1)).low_u32() & 1 != 0
}

/// A zero of the given sign.
#[inline(always)]
pub fn signed_zero<F: Float>(sign: bool) -> F::Sig {
    F::Sig::from_bool(sign) << (F::BITS - 1)
}

/// An infinity of the given sign.
#[inline(always)]
pub fn infinity<F: Float>(sign: bool) -> F::Sig {
    F::pack(sign, F::EXP_MAX, F::Sig::ONE << F::FRAC_BITS)
}

/// The largest finite number of the given sign.
#[inline(always)]
pub fn max_finite<F: Float>(sign: bool) -> F::Sig {
    F::pack(sign, F::EXP_MAX - 1, (F::Sig::ONE << F::PREC) - F::Sig::ONE)
}

/// Takes an encoding apart, treating a subnormal as zero when the environment says so.
#[inline(always)]
pub fn unpack<F: Float>(env: &mut Env, bits: F::Sig) -> Unpacked<F::Sig> {
    let (sign, biased, frac) = F::fields(bits);
    let lead = F::Sig::BITS - 2;
    if biased != 0 && biased != F::EXP_MAX {
        let sig = (frac << (lead - F::FRAC_BITS)) | (F::Sig::ONE << lead);
        return Unpacked {
            class: Class::Finite,
            sign,
            exp: biased - F::BIAS,
            sig,
        };
    }
    unpack_special::<F>(env, sign, biased, frac)
}

fn unpack_special<F: Float>(
    env: &mut Env,
    sign: bool,
    biased: i32,
    frac: F::Sig,
) -> Unpacked<F::Sig> {
    let zero = F::Sig::ZERO;
    let special = |class| Unpacked {
        class,
        sign,
        exp: 0,
        sig: zero,
    };
    if biased != 0 {
        return special(if frac == zero { Class::Inf } else { Class::Nan });
    }
    if frac == zero || note_subnormal(env) {
        return special(Class::Zero);
    }
    let shift = frac.leading_zeros() - 1;
    let exp = (F::Sig::BITS - 2) as i32 - shift as i32 + (1 - F::BIAS - F::FRAC_BITS as i32);
    Unpacked {
        class: Class::Finite,
        sign,
        exp,
        sig: frac << shift,
    }
}

/// Called for a subnormal operand: raises [`Flags::ID`] as the guest family does, and tells whether to read it as zero.
fn note_subnormal(env: &mut Env) -> bool {
    let raises = match env.nan {
        NanRule::Canonical => false,
        // MXCSR.DE is raised by a denormal that is used, FPSR.IDC by one that is flushed.
        NanRule::X86Sse => !env.daz,
        NanRule::Arm | NanRule::ArmDefault => env.daz,
    };
    if raises {
        env.flags |= Flags::ID;
    }
    env.daz
}

/// Replaces a subnormal by a zero of its sign when the environment says so, for operations that work on encodings.
#[inline(always)]
pub fn squash_input<F: Float>(env: &mut Env, bits: F::Sig) -> F::Sig {
    let (sign, biased, frac) = F::fields(bits);
    if biased == 0 && frac != F::Sig::ZERO && note_subnormal(env) {
        signed_zero::<F>(sign)
    } else {
        bits
    }
}
