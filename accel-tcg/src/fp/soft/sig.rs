//! The word a significand lives in.

use core::fmt::Debug;
use core::ops::{Add, BitAnd, BitOr, BitXor, Not, Shl, Shr, Sub};

/// An unsigned word that holds significands and raw encodings.
///
/// With `W = BITS`, a *normalised* significand has its leading one in bit `W - 2`, so it stands for a number in
/// `[1, 2)` with `W - 2` fraction bits, and a sum of two of them still fits.
pub trait Sig:
    Copy
    + Ord
    + Debug
    + Add<Output = Self>
    + Sub<Output = Self>
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + BitXor<Output = Self>
    + Not<Output = Self>
    + Shl<u32, Output = Self>
    + Shr<u32, Output = Self>
{
    /// Width in bits.
    const BITS: u32;
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;

    /// Zero bits above the leading one.
    fn leading_zeros(self) -> u32;
    /// 0 or 1.
    fn from_bool(bit: bool) -> Self;
    /// Zero-extends.
    fn from_u32(value: u32) -> Self;
    /// The low 32 bits.
    fn low_u32(self) -> u32;
    /// Moves a word to the top of 128 bits, so that a normalised significand stays one.
    fn to_top(self) -> u128;
    /// The reverse of [`Sig::to_top`]; bits that do not fit are jammed.
    fn from_top(top: u128) -> Self;
    /// Sum and carry.
    fn carrying_add(self, other: Self) -> (Self, bool);
    /// Difference and borrow.
    fn borrowing_sub(self, other: Self) -> (Self, bool);
    /// The double-width product, high word first.
    fn mul_wide(self, other: Self) -> (Self, Self);
    /// `self / divisor` with `W - 2` fraction bits, for normalised operands, and whether anything remained.
    fn div_frac(self, divisor: Self) -> (Self, bool);
    /// The square root of `self` (or of twice `self`), for a normalised operand: normalised, good to at least `W - 4`
    /// bits, and whether anything remained.
    fn sqrt_frac(self, twice: bool) -> (Self, bool);

    /// Shifts right by any amount; the lowest bit becomes 1 when a one was shifted out.
    #[inline(always)]
    fn shr_jam(self, count: u32) -> Self {
        let count = count.min(Self::BITS - 1);
        let lost = self & ((Self::ONE << count) - Self::ONE);
        (self >> count) | Self::from_bool(lost != Self::ZERO)
    }
}

impl Sig for u64 {
    const BITS: u32 = 64;
    const ZERO: Self = 0;
    const ONE: Self = 1;

    #[inline(always)]
    fn leading_zeros(self) -> u32 {
        self.leading_zeros()
    }
    #[inline(always)]
    fn from_bool(bit: bool) -> Self {
        bit.into()
    }
    #[inline(always)]
    fn from_u32(value: u32) -> Self {
        value.into()
    }
    #[inline(always)]
    fn low_u32(self) -> u32 {
        self as u32
    }
    #[inline(always)]
    fn to_top(self) -> u128 {
        u128::from(self) << 64
    }
    #[inline(always)]
    fn from_top(top: u128) -> Self {
        (top >> 64) as u64 | u64::from(top as u64 != 0)
    }
    #[inline(always)]
    fn carrying_add(self, other: Self) -> (Self, bool) {
        self.overflowing_add(other)
    }
    #[inline(always)]
    fn borrowing_sub(self, other: Self) -> (Self, bool) {
        self.overflowing_sub(other)
    }
    #[inline(always)]
    fn mul_wide(self, other: Self) -> (Self, Self) {
        let product = u128::from(self) * u128::from(other);
        ((product >> 64) as u64, product as u64)
    }
    #[inline(always)]
    fn div_frac(self, divisor: Self) -> (Self, bool) {
        let dividend = u128::from(self) << 62;
        let quotient = (dividend / u128::from(divisor)) as u64;
        (
            quotient,
            u128::from(quotient) * u128::from(divisor) != dividend,
        )
    }
    #[inline(always)]
    fn sqrt_frac(self, twice: bool) -> (Self, bool) {
        let radicand = u128::from(self) << (62 + u32::from(twice));
        let root = radicand.isqrt();
        (root as u64, root * root != radicand)
    }
}

impl Sig for u128 {
    const BITS: u32 = 128;
    const ZERO: Self = 0;
    const ONE: Self = 1;

    #[inline(always)]
    fn leading_zeros(self) -> u32 {
        self.leading_zeros()
    }
    #[inline(always)]
    fn from_bool(bit: bool) -> Self {
        bit.into()
    }
    #[inline(always)]
    fn from_u32(value: u32) -> Self {
        value.into()
    }
    #[inline(always)]
    fn low_u32(self) -> u32 {
        self as u32
    }
    #[inline(always)]
    fn to_top(self) -> u128 {
        self
    }
    #[inline(always)]
    fn from_top(top: u128) -> Self {
        top
    }
    #[inline(always)]
    fn carrying_add(self, other: Self) -> (Self, bool) {
        self.overflowing_add(other)
    }
    #[inline(always)]
    fn borrowing_sub(self, other: Self) -> (Self, bool) {
        self.overflowing_sub(other)
    }
    fn mul_wide(self, other: Self) -> (Self, Self) {
        const LOW: u128 = u64::MAX as u128;
        let (a1, a0) = (self >> 64, self & LOW);
        let (b1, b0) = (other >> 64, other & LOW);
        let low = a0 * b0;
        // Each partial product is at most (2^64 - 1)^2, which leaves room for two 64-bit addends.
        let mid = a1 * b0 + (low >> 64);
        let mid2 = a0 * b1 + (mid & LOW);
        (
            a1 * b1 + (mid >> 64) + (mid2 >> 64),
            (mid2 << 64) | (low & LOW),
        )
    }
    fn div_frac(self, divisor: Self) -> (Self, bool) {
        // One quotient bit a step: the integer bit, then 126 fraction bits. The remainder stays below 2 * divisor.
        let (mut rest, mut quotient) = (self, 0u128);
        for _ in 0..127 {
            quotient <<= 1;
            if rest >= divisor {
                rest -= divisor;
                quotient |= 1;
            }
            rest <<= 1;
        }
        (quotient, rest != 0)
    }
    fn sqrt_frac(self, twice: bool) -> (Self, bool) {
        // Four bits of headroom: `twice_root` and `rest` reach eight times the leading bit's weight. The bits shifted
        // out are below any format's precision.
        let mut rest = self.shr_jam(3 - u32::from(twice));
        let (mut root, mut twice_root) = (0u128, 0u128);
        let mut bit = 1u128 << 123;
        while bit != 0 {
            let trial = twice_root + bit;
            if trial <= rest {
                rest -= trial;
                twice_root = trial + bit;
                root += bit;
            }
            rest <<= 1;
            bit >>= 1;
        }
        (root << 3, rest != 0)
    }
}
