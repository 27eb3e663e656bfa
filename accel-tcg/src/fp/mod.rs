//! Floating point (types only so far).

/// Rounding direction; the discriminants are RISC-V `frm` encodings.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(u8)]
pub enum Rounding {
    /// To nearest, ties to even.
    #[default]
    Rne = 0,
    /// Towards zero.
    Rtz = 1,
    /// Downwards.
    Rdn = 2,
    /// Upwards.
    Rup = 3,
    /// To nearest, ties to larger magnitude.
    Rmm = 4,
    /// To odd.
    Odd = 6,
}

/// Floating-point format.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Format {
    /// binary16.
    F16,
    /// binary32.
    F32,
    /// binary64.
    F64,
}

/// Which bit pattern an invalid operation or NaN operand produces.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NanRule {
    /// RISC-V: always the canonical quiet NaN.
    Canonical,
    /// x86 SSE.
    X86Sse,
    /// Arm propagation.
    Arm,
    /// Arm default NaN.
    ArmDefault,
}
