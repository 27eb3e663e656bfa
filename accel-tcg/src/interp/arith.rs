//! Integer operations on numbers, as [`crate::sem`] defines them. The IR's constant folder and interpreter use them too.

use crate::fp::Format;
use crate::sem::{Bin, Un, Width};

/// Sign-extends the low bits.
#[inline(always)]
pub fn sext(w: Width, v: u64) -> u64 {
    let sh = 64 - w.bits();
    (((v << sh) as i64) >> sh) as u64
}

/// Two-operand operation; the result is zero-extended.
#[inline(always)]
pub fn bin(op: Bin, w: Width, a: u64, b: u64) -> u64 {
    let bits = w.bits();
    let mask = w.mask();
    let count = (b as u32) & (bits - 1);
    let (ua, ub) = (a & mask, b & mask);
    let r = match op {
        Bin::Add => a.wrapping_add(b),
        Bin::Sub => a.wrapping_sub(b),
        Bin::And => a & b,
        Bin::Or => a | b,
        Bin::Xor => a ^ b,
        Bin::AndNot => a & !b,
        Bin::Shl => a << count,
        Bin::Shr => ua >> count,
        Bin::Sar => ((sext(w, a) as i64) >> count) as u64,
        Bin::Ror => ua >> count | ua << ((bits - count) & (bits - 1)),
        Bin::Rol => ua << count | ua >> ((bits - count) & (bits - 1)),
        Bin::Mul => a.wrapping_mul(b),
        Bin::MulHiU => ((u128::from(ua) * u128::from(ub)) >> bits) as u64,
        Bin::MulHiS => {
            ((i128::from(sext(w, a) as i64) * i128::from(sext(w, b) as i64)) >> bits) as u64
        }
        Bin::MulHiSU => ((i128::from(sext(w, a) as i64) * i128::from(ub)) >> bits) as u64,
        Bin::DivU => ua.checked_div(ub).unwrap_or(u64::MAX),
        Bin::RemU => ua.checked_rem(ub).unwrap_or(ua),
        Bin::DivS => {
            let (sa, sb) = (sext(w, a) as i64, sext(w, b) as i64);
            if sb == 0 {
                u64::MAX
            } else {
                sa.wrapping_div(sb) as u64
            }
        }
        Bin::RemS => {
            let (sa, sb) = (sext(w, a) as i64, sext(w, b) as i64);
            if sb == 0 {
                ua
            } else {
                sa.wrapping_rem(sb) as u64
            }
        }
        Bin::MinS => (sext(w, a) as i64).min(sext(w, b) as i64) as u64,
        Bin::MaxS => (sext(w, a) as i64).max(sext(w, b) as i64) as u64,
        Bin::MinU => ua.min(ub),
        Bin::MaxU => ua.max(ub),
        Bin::ClMul => clmul(ua, ub) as u64,
        Bin::ClMulHi => (clmul(ua, ub) >> bits) as u64,
    };
    r & mask
}

/// Carry-less product.
fn clmul(a: u64, b: u64) -> u128 {
    let mut r = 0;
    let mut rest = b;
    while rest != 0 {
        r ^= u128::from(a) << rest.trailing_zeros();
        rest &= rest - 1;
    }
    r
}

/// One-operand operation; the result is zero-extended.
#[inline(always)]
pub fn un(op: Un, w: Width, a: u64) -> u64 {
    let mask = w.mask();
    let u = a & mask;
    let r = match op {
        Un::Not => !a,
        Un::Neg => a.wrapping_neg(),
        Un::Clz => u64::from(u.leading_zeros() - (64 - w.bits())),
        Un::Ctz => u64::from(u.trailing_zeros().min(w.bits())),
        Un::Popcnt => u64::from(u.count_ones()),
        Un::Bswap => u.swap_bytes() >> (64 - w.bits()),
        Un::RevBitsInBytes => u.reverse_bits().swap_bytes(),
        Un::OrBytes => u64::from_le_bytes(u.to_le_bytes().map(|b| if b == 0 { 0 } else { 0xff })),
    };
    r & mask
}

/// Bits above a format.
pub fn above(f: Format) -> u64 {
    match f {
        Format::F16 => !0xffff,
        Format::F32 => !0xffff_ffff,
        Format::F64 => 0,
    }
}

/// RISC-V NaN unboxing (unprivileged ISA, "NaN boxing of narrower values").
#[inline]
pub fn unbox(f: Format, v: u64) -> u64 {
    let above = above(f);
    if v & above == above {
        v & !above
    } else {
        f.canonical_nan()
    }
}

/// RISC-V NaN boxing.
#[inline]
pub fn nan_box(f: Format, v: u64) -> u64 {
    v | above(f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn division_is_total() {
        let min = i64::MIN as u64;
        assert_eq!(bin(Bin::DivS, Width::W64, min, u64::MAX), min);
        assert_eq!(bin(Bin::RemS, Width::W64, min, u64::MAX), 0);
        assert_eq!(
            bin(Bin::DivS, Width::W32, 0x8000_0000, 0xffff_ffff),
            0x8000_0000
        );
        assert_eq!(bin(Bin::RemS, Width::W32, 0x8000_0000, 0xffff_ffff), 0);
        assert_eq!(bin(Bin::DivU, Width::W32, 7, 0), 0xffff_ffff);
        assert_eq!(bin(Bin::RemU, Width::W32, 0x1_0000_0007, 0), 7);
        assert_eq!(bin(Bin::DivS, Width::W32, 7, 0), 0xffff_ffff);
        assert_eq!(bin(Bin::RemS, Width::W32, 0xffff_fff9, 0), 0xffff_fff9);
    }

    #[test]
    fn narrow_results_are_zero_extended() {
        assert_eq!(bin(Bin::Add, Width::W32, u64::MAX, 2), 1);
        assert_eq!(bin(Bin::Sar, Width::W32, 0x8000_0000, 4), 0xf800_0000);
        assert_eq!(bin(Bin::Shl, Width::W32, 1, 33), 2);
        assert_eq!(bin(Bin::Rol, Width::W32, 0x8000_0001, 1), 3);
        assert_eq!(bin(Bin::Ror, Width::W64, 1, 0), 1);
        assert_eq!(bin(Bin::Ror, Width::W8, 0x181, 1), 0xc0);
        assert_eq!(bin(Bin::MulHiS, Width::W64, u64::MAX, u64::MAX), 0);
        assert_eq!(bin(Bin::MulHiSU, Width::W64, u64::MAX, u64::MAX), u64::MAX);
        assert_eq!(un(Un::Clz, Width::W32, 0xffff_ffff_0000_0001), 31);
        assert_eq!(un(Un::Ctz, Width::W32, 0xffff_ffff_0000_0000), 32);
        assert_eq!(un(Un::Bswap, Width::W32, 0x1122_3344), 0x4433_2211);
        assert_eq!(un(Un::RevBitsInBytes, Width::W64, 0x0102_0380), 0x8040_c001);
        assert_eq!(
            un(Un::OrBytes, Width::W64, 0x0100_0002_0000_0300),
            0xff00_00ff_0000_ff00
        );
    }

    #[test]
    fn carry_less_product() {
        assert_eq!(bin(Bin::ClMul, Width::W64, 3, 3), 5);
        assert_eq!(bin(Bin::ClMulHi, Width::W64, 1 << 63, 2), 1);
        assert_eq!(
            bin(Bin::ClMulHi, Width::W64, u64::MAX, u64::MAX),
            0x5555_5555_5555_5555
        );
    }
}
