//! NaNs (IEEE 754-2019 clause 6.2) and the invalid-operation exception (clause 7.2).

use super::float::{Float, infinity};
use super::sig::Sig;
use crate::fp::{Env, Flags, NanRule};

/// The bit that tells a quiet NaN from a signalling one.
#[inline(always)]
pub fn quiet_bit<F: Float>() -> F::Sig {
    F::Sig::ONE << (F::FRAC_BITS - 1)
}

/// The NaN an operation makes up when no operand supplies one.
#[inline(always)]
pub fn default_nan<F: Float>(rule: NanRule) -> F::Sig {
    infinity::<F>(rule == NanRule::X86Sse) | quiet_bit::<F>()
}

/// Quiet or signalling NaN.
#[inline(always)]
pub fn is_nan<F: Float>(bits: F::Sig) -> bool {
    let (_, exp, frac) = F::fields(bits);
    exp == F::EXP_MAX && frac != F::Sig::ZERO
}

/// Signalling NaN.
#[inline(always)]
pub fn is_snan<F: Float>(bits: F::Sig) -> bool {
    is_nan::<F>(bits) && bits & quiet_bit::<F>() == F::Sig::ZERO
}

/// Raises NV and delivers the default NaN.
#[cold]
pub fn invalid<F: Float>(env: &mut Env) -> F::Sig {
    env.flags |= Flags::NV;
    default_nan::<F>(env.nan)
}

/// The result of an operation with a NaN among its operands, which are listed in order of preference.
#[cold]
pub fn propagate<F: Float>(env: &mut Env, operands: &[F::Sig]) -> F::Sig {
    let signalling = operands.iter().copied().find(|&bits| is_snan::<F>(bits));
    if signalling.is_some() {
        env.flags |= Flags::NV;
    }
    let first = operands.iter().copied().find(|&bits| is_nan::<F>(bits));
    let chosen = match env.nan {
        NanRule::Canonical | NanRule::ArmDefault => None,
        NanRule::X86Sse => first,
        NanRule::Arm => signalling.or(first),
    };
    chosen.map_or(default_nan::<F>(env.nan), |bits| bits | quiet_bit::<F>())
}
