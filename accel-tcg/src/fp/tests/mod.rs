//! Tests. `oracle` compares every operation with `rustc_apfloat`, `host` with the host's own arithmetic, `guest` pins
//! down what guests define beside IEEE 754.

mod guest;
mod host;
mod oracle;

use super::soft::float::{F16, F32, F64, Float};
use super::soft::sig::Sig;
use super::{Env, Format, Rounding};

/// The rounding directions IEEE 754 knows.
const ROUNDINGS: [Rounding; 5] = [
    Rounding::Rne,
    Rounding::Rtz,
    Rounding::Rdn,
    Rounding::Rup,
    Rounding::Rmm,
];

const FORMATS: [Format; 3] = [Format::F16, Format::F32, Format::F64];

/// binary128, which no guest uses yet: it exercises the 128-bit word.
#[derive(Clone, Copy, Debug)]
struct F128;

impl Float for F128 {
    type Sig = u128;
    const EXP_BITS: u32 = 15;
    const PREC: u32 = 113;
}

/// bfloat16: binary32's range, eight bits of precision.
#[derive(Clone, Copy, Debug)]
struct Bf16;

impl Float for Bf16 {
    type Sig = u64;
    const EXP_BITS: u32 = 8;
    const PREC: u32 = 8;
}

fn to_u128<S: Sig>(bits: S) -> u128 {
    bits.to_top() >> (128 - S::BITS)
}

fn from_u128<S: Sig>(bits: u128) -> S {
    S::from_top(bits << (128 - S::BITS))
}

/// SplitMix64: numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// An encoding of `F`, biased towards exponents that interact and fractions with long runs.
    fn encoding<F: Float>(&mut self) -> F::Sig {
        let frac = (u128::from(self.next()) << 64) | u128::from(self.next());
        let frac = match self.next() % 4 {
            0 => frac & u128::MAX << (self.next() % 128),
            1 => frac | u128::MAX >> (self.next() % 128),
            _ => frac,
        } & ((1 << F::FRAC_BITS) - 1);
        let max = F::EXP_MAX as u64;
        let exp = match self.next() % 8 {
            0 => self.next() % (F::PREC as u64 + 3),
            1 => max - self.next() % 5,
            2..=4 => F::BIAS as u64 - F::PREC as u64 + self.next() % (2 * F::PREC as u64),
            // Half the smallest exponent: products come out around the smallest normal number.
            5 => (F::BIAS as u64) / 2 - 2 + self.next() % 6,
            _ => self.next() % (max + 1),
        };
        let exp = exp.min(max);
        from_u128::<F::Sig>(
            (u128::from(self.next() & 1) << (F::BITS - 1))
                | (u128::from(exp) << F::FRAC_BITS)
                | frac,
        )
    }
}

/// Encodings around everything that is special about a format.
fn edges<F: Float>() -> Vec<F::Sig> {
    let (bias, max, prec) = (F::BIAS, F::EXP_MAX, F::PREC as i32);
    let ones = (1u128 << F::FRAC_BITS) - 1;
    let half = 1u128 << (F::FRAC_BITS - 1);
    let mut exps = vec![
        0,
        1,
        2,
        prec,
        bias - prec - 1,
        bias - prec,
        bias - 2,
        bias - 1,
        bias,
        bias + 1,
    ];
    exps.extend([
        bias + prec - 2,
        bias + prec - 1,
        bias + prec,
        bias + 31,
        bias + 63,
        bias + 64,
    ]);
    exps.extend([bias / 2, bias / 2 + 1, max - 2, max - 1, max]);
    let mut list = Vec::new();
    for exp in exps.into_iter().filter(|exp| (0..=max).contains(exp)) {
        for frac in [0, 1, half - 1, half, half + 1, ones - 1, ones] {
            for sign in [0, 1] {
                list.push((sign << (F::BITS - 1)) | ((exp as u128) << F::FRAC_BITS) | frac);
            }
        }
    }
    list.sort_unstable();
    list.dedup();
    list.into_iter().map(from_u128::<F::Sig>).collect()
}

/// [`edges`] for a format chosen by value.
fn edges_of(f: Format) -> Vec<u64> {
    match f {
        Format::F16 => edges::<F16>(),
        Format::F32 => edges::<F32>(),
        Format::F64 => edges::<F64>(),
    }
}

fn nearest() -> Env {
    Env::riscv(Rounding::Rne)
}
