//! IEEE 754 arithmetic in software.
//!
//! The interpreter computes all guest floating point with this module, and compiled code calls it for what the host's
//! FPU cannot do: other rounding directions, exact status flags, binary16, NaN rules that differ. It knows no guest, only
//! the choices IEEE 754-2019 leaves open, which an [`Env`] spells out: rounding direction (clause 4.3), which NaN comes
//! out (clause 6.2), tininess before or after rounding (clause 7.5), and the flushing of subnormals that x86 and Arm
//! have beside the standard. Exceptions are handled the default way of clause 7: a result is delivered and a flag is
//! accumulated.
//!
//! RISC-V names, from its unprivileged specification: the flags and [`Rounding`] are laid out as `fflags` and `frm`
//! (chapter "F", section "Floating-Point Control and Status Register"); [`to_int`] saturates and [`classify`] answers as
//! F and D define; [`minimum`], [`maximum`], [`round_to_integral`], [`fcvtmod_w_d`] and [`fli`] are what "Zfa" needs;
//! [`Format::F16`] is for "Zfh".
//!
//! Operands and results are raw encodings in the low bits of a `u64`. Bits above the format are ignored in operands and
//! zero in results: NaN boxing is the caller's business.
//!
//! ```
//! use ambidex_accel_tcg::fp::{self, Env, Flags, Format, Rounding};
//! let mut env = Env::riscv(Rounding::Rup);
//! let third = fp::div(&mut env, Format::F64, 1f64.to_bits(), 3f64.to_bits());
//! assert_eq!(third, (1f64 / 3.0).to_bits() + 1);
//! assert_eq!(env.flags, Flags::NX);
//! ```

pub mod op;
mod soft;
#[cfg(test)]
mod tests;

use core::ops::{BitOr, BitOrAssign};

use soft::compare::MinMaxNan;
use soft::float::{F16, F32, F64, Float};
use soft::{arith, compare as relation, convert as conversion, fma, nan};

/// A rounding direction (IEEE 754-2019 clause 4.3). The values are those of RISC-V's `frm`.
#[repr(u8)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// To nearest, ties to even (`roundTiesToEven`).
    #[default]
    Rne = 0,
    /// Towards zero (`roundTowardZero`).
    Rtz = 1,
    /// Down (`roundTowardNegative`).
    Rdn = 2,
    /// Up (`roundTowardPositive`).
    Rup = 3,
    /// To nearest, ties away from zero (`roundTiesToAway`).
    Rmm = 4,
    /// To odd: an inexact result is the neighbour with an odd significand. Not in IEEE 754; Arm and Power have it.
    Odd = 6,
}

impl Rounding {
    /// The direction an `frm` or `rm` field of RISC-V names; `None` for reserved values and for "dynamic" (7).
    pub const fn from_riscv(field: u8) -> Option<Self> {
        Some(match field {
            0 => Self::Rne,
            1 => Self::Rtz,
            2 => Self::Rdn,
            3 => Self::Rup,
            4 => Self::Rmm,
            _ => return None,
        })
    }
}

/// A set of exception flags (IEEE 754-2019 clause 7); the low five bits are RISC-V's `fflags`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u8);

impl Flags {
    /// Inexact.
    pub const NX: Self = Self(1);
    /// Underflow: tiny and inexact.
    pub const UF: Self = Self(2);
    /// Overflow.
    pub const OF: Self = Self(4);
    /// Division by zero.
    pub const DZ: Self = Self(8);
    /// Invalid operation.
    pub const NV: Self = Self(16);
    /// A subnormal operand. Raised only under x86 and Arm NaN rules: with [`NanRule::X86Sse`] for one that was used
    /// (`MXCSR.DE`), with the Arm ones for one that was flushed (`FPSR.IDC`). x86 does not raise it beside an invalid
    /// operation or a NaN operand; that priority is the caller's to apply.
    pub const ID: Self = Self(32);

    /// Whether all flags of `other` are in this set.
    #[inline(always)]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether no flag is set.
    #[inline(always)]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Flags {
    type Output = Self;
    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    #[inline(always)]
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// Which bit pattern an invalid operation or a NaN operand produces (IEEE 754-2019 clause 6.2.3 leaves it open).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NanRule {
    /// RISC-V: always the canonical NaN, which is positive, quiet and otherwise zero.
    Canonical,
    /// x86 SSE: the first operand that is a NaN, quieted; the default NaN is negative.
    X86Sse,
    /// Arm with `FPCR.DN` = 0: the first signalling NaN, else the first quiet one; the default NaN is positive. A fused
    /// multiply-add considers its addend first.
    Arm,
    /// Arm with `FPCR.DN` = 1: always the default NaN.
    ArmDefault,
}

/// The floating-point environment of one guest CPU: attributes in, flags out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Env {
    /// Rounding direction.
    pub rounding: Rounding,
    /// Which NaN comes out.
    pub nan: NanRule,
    /// Whether tininess is detected after rounding (RISC-V, x86) rather than before (Arm).
    pub tininess_after: bool,
    /// Whether tiny results become zero. That raises UF, and NX as well when `tininess_after` (x86 does, Arm does not).
    pub ftz: bool,
    /// Whether subnormal operands are read as zero.
    pub daz: bool,
    /// Flags raised so far. Operations only ever add to it.
    pub flags: Flags,
}

impl Env {
    /// RISC-V's environment, no flags raised.
    pub const fn riscv(rounding: Rounding) -> Self {
        let (nan, flags) = (NanRule::Canonical, Flags(0));
        Self {
            rounding,
            nan,
            tininess_after: true,
            ftz: false,
            daz: false,
            flags,
        }
    }
}

/// A binary interchange format (IEEE 754-2019 clause 3.6).
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// binary16, half precision.
    F16,
    /// binary32, single precision.
    F32,
    /// binary64, double precision.
    F64,
}

impl Format {
    /// Width of an encoding in bits.
    pub const fn bits(self) -> u32 {
        match self {
            Self::F16 => F16::BITS,
            Self::F32 => F32::BITS,
            Self::F64 => F64::BITS,
        }
    }

    /// RISC-V's canonical NaN.
    pub const fn canonical_nan(self) -> u64 {
        match self {
            Self::F16 => 0x7e00,
            Self::F32 => 0x7fc0_0000,
            Self::F64 => 0x7ff8_0000_0000_0000,
        }
    }

    /// Drops what is above the encoding.
    #[inline(always)]
    const fn trim(self, bits: u64) -> u64 {
        bits & (u64::MAX >> (64 - self.bits()))
    }
}

/// How one number stands to another (IEEE 754-2019 clause 5.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// The first is smaller.
    Less,
    /// They are equal; zeros are, whatever their signs.
    Equal,
    /// The first is larger.
    Greater,
    /// One or both are NaN.
    Unordered,
}

/// Evaluates `$call` with `$float` standing for the type of the format `$format`.
macro_rules! with_format {
    ($format:expr, $float:ident => $call:expr) => {
        match $format {
            Format::F16 => {
                type $float = F16;
                $call
            }
            Format::F32 => {
                type $float = F32;
                $call
            }
            Format::F64 => {
                type $float = F64;
                $call
            }
        }
    };
}

/// `a + b` (clause 5.4.1, `addition`).
pub fn add(env: &mut Env, f: Format, a: u64, b: u64) -> u64 {
    with_format!(f, F => arith::add::<F>(env, f.trim(a), f.trim(b), false))
}

/// `a - b` (clause 5.4.1, `subtraction`).
pub fn sub(env: &mut Env, f: Format, a: u64, b: u64) -> u64 {
    with_format!(f, F => arith::add::<F>(env, f.trim(a), f.trim(b), true))
}

/// `a * b` (clause 5.4.1, `multiplication`).
pub fn mul(env: &mut Env, f: Format, a: u64, b: u64) -> u64 {
    with_format!(f, F => arith::mul::<F>(env, f.trim(a), f.trim(b)))
}

/// `a / b` (clause 5.4.1, `division`).
pub fn div(env: &mut Env, f: Format, a: u64, b: u64) -> u64 {
    with_format!(f, F => arith::div::<F>(env, f.trim(a), f.trim(b)))
}

/// The square root of `a` (clause 5.4.1, `squareRoot`).
pub fn sqrt(env: &mut Env, f: Format, a: u64) -> u64 {
    with_format!(f, F => arith::sqrt::<F>(env, f.trim(a)))
}

/// `±(a * b) ± c` with one rounding (clause 5.4.1, `fusedMultiplyAdd`).
///
/// RISC-V's FMADD negates nothing, FMSUB the addend, FNMSUB the product, FNMADD both.
pub fn mul_add(
    env: &mut Env,
    f: Format,
    a: u64,
    b: u64,
    c: u64,
    negate_product: bool,
    negate_addend: bool,
) -> u64 {
    let operands = [f.trim(a), f.trim(b), f.trim(c)];
    with_format!(f, F => fma::mul_add::<F>(env, operands, negate_product, negate_addend))
}

/// Compares (clauses 5.6.1 and 5.11). A quiet NaN raises NV when `signaling` (RISC-V FLT and FLE); a signalling NaN
/// raises it in any case (FEQ, FLTQ, FLEQ).
pub fn compare(env: &mut Env, f: Format, a: u64, b: u64, signaling: bool) -> Relation {
    with_format!(f, F => relation::compare::<F>(env, f.trim(a), f.trim(b), signaling))
}

fn min_max(env: &mut Env, f: Format, a: u64, b: u64, max: bool, rule: MinMaxNan) -> u64 {
    with_format!(f, F => relation::min_max::<F>(env, f.trim(a), f.trim(b), max, rule))
}

/// The smaller number, a NaN losing to any number (clause 9.6, `minimumNumber`): RISC-V FMIN.
pub fn minimum_number(env: &mut Env, f: Format, a: u64, b: u64) -> u64 {
    min_max(env, f, a, b, false, MinMaxNan::Number)
}

/// The larger number, a NaN losing to any number (clause 9.6, `maximumNumber`): RISC-V FMAX.
pub fn maximum_number(env: &mut Env, f: Format, a: u64, b: u64) -> u64 {
    min_max(env, f, a, b, true, MinMaxNan::Number)
}

/// The smaller operand, a NaN winning (clause 9.6, `minimum`): RISC-V FMINM.
pub fn minimum(env: &mut Env, f: Format, a: u64, b: u64) -> u64 {
    min_max(env, f, a, b, false, MinMaxNan::Nan)
}

/// The larger operand, a NaN winning (clause 9.6, `maximum`): RISC-V FMAXM.
pub fn maximum(env: &mut Env, f: Format, a: u64, b: u64) -> u64 {
    min_max(env, f, a, b, true, MinMaxNan::Nan)
}

/// The smaller number; a quiet NaN loses, a signalling one wins (IEEE 754-2008 clause 5.3.1, `minNum`).
pub fn min_num(env: &mut Env, f: Format, a: u64, b: u64) -> u64 {
    min_max(env, f, a, b, false, MinMaxNan::Num2008)
}

/// The larger number; a quiet NaN loses, a signalling one wins (IEEE 754-2008 clause 5.3.1, `maxNum`).
pub fn max_num(env: &mut Env, f: Format, a: u64, b: u64) -> u64 {
    min_max(env, f, a, b, true, MinMaxNan::Num2008)
}

/// Rounds to an integer in the same format (clauses 5.3.1 and 5.9). NX is raised for an inexact result when `exact`
/// (`roundToIntegralExact`, RISC-V FROUNDNX) and never otherwise (FROUND).
pub fn round_to_integral(env: &mut Env, f: Format, a: u64, exact: bool) -> u64 {
    with_format!(f, F => conversion::round_to_integral::<F>(env, f.trim(a), exact))
}

/// Converts to an integer of `bits` bits, 1 to 64 (clause 5.8, the variants that signal inexact).
///
/// As RISC-V has it, a number out of range gives the nearest end of the range and NaN the upper end, both with NV and
/// without NX; the result is sign-extended from `bits` even when it is unsigned.
pub fn to_int(env: &mut Env, f: Format, a: u64, bits: u32, signed: bool) -> u64 {
    with_format!(f, F => conversion::to_int::<F>(env, f.trim(a), bits, signed))
}

/// Converts from the integer in the low `bits` bits of `value`, 1 to 64 (clause 5.4.1, `convertFromInt`).
pub fn from_int(env: &mut Env, f: Format, value: u64, bits: u32, signed: bool) -> u64 {
    with_format!(f, F => conversion::from_int::<F>(env, value, bits, signed))
}

/// Converts between formats (clause 5.4.2, `convertFormat`). Equal formats quiet a signalling NaN.
pub fn convert(env: &mut Env, from: Format, to: Format, a: u64) -> u64 {
    let a = from.trim(a);
    with_format!(from, From => with_format!(to, To => conversion::convert::<From, To>(env, a)))
}

/// RISC-V FCVTMOD.W.D (Zfa): `a` rounded towards zero, modulo 2^32, sign-extended; 0 for infinities and NaN. The flags
/// are those of FCVT.W.D, so a number outside 32 bits raises NV.
pub fn fcvtmod_w_d(env: &mut Env, a: u64) -> u64 {
    conversion::fcvtmod_w_d(env, a)
}

/// The RISC-V FCLASS mask: bit 0 for -∞, 1 a negative normal, 2 a negative subnormal, 3 -0, 4 +0, 5 a positive
/// subnormal, 6 a positive normal, 7 +∞, 8 a signalling NaN, 9 a quiet NaN.
pub fn classify(f: Format, a: u64) -> u16 {
    with_format!(f, F => relation::classify::<F>(f.trim(a)))
}

/// Whether `a` is a NaN.
pub fn is_nan(f: Format, a: u64) -> bool {
    with_format!(f, F => nan::is_nan::<F>(f.trim(a)))
}

/// Whether `a` is a signalling NaN.
pub fn is_snan(f: Format, a: u64) -> bool {
    with_format!(f, F => nan::is_snan::<F>(f.trim(a)))
}

/// The constant RISC-V FLI (Zfa) loads for an `rs1` field of `index`; only its low five bits count.
///
/// Entry 1 is the smallest positive normal number of the format; entry 29 (2^16) is +∞ in binary16.
pub fn fli(f: Format, index: u8) -> u64 {
    const TABLE: [f64; 32] = [
        -1.0,
        0.0, // the smallest normal number, see below
        1.0 / 65536.0,
        1.0 / 32768.0,
        1.0 / 256.0,
        1.0 / 128.0,
        0.0625,
        0.125,
        0.25,
        0.3125,
        0.375,
        0.4375,
        0.5,
        0.625,
        0.75,
        0.875,
        1.0,
        1.25,
        1.5,
        1.75,
        2.0,
        2.5,
        3.0,
        4.0,
        8.0,
        16.0,
        128.0,
        256.0,
        32768.0,
        65536.0,
        f64::INFINITY,
        f64::NAN,
    ];
    match index & 31 {
        1 => with_format!(f, F => 1 << F::FRAC_BITS),
        n => convert(
            &mut Env::riscv(Rounding::Rne),
            Format::F64,
            f,
            TABLE[usize::from(n)].to_bits(),
        ),
    }
}
