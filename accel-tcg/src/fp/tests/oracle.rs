//! Every operation, format and rounding direction against `rustc_apfloat`: result and flags.
//!
//! `rustc_apfloat` judges exceptions by the *delivered* result: underflow when that is subnormal, overflow when it is
//! infinite. IEEE 754-2019 clauses 7.4 and 7.5 go by what rounding with an unbounded exponent range would give, which
//! differs when the smallest normal or the largest finite number is delivered. [`Expected::new`] decides those cases by
//! doing the operation once more on operands scaled away from the end of the exponent range.

use proptest::prelude::*;
use rustc_apfloat::ieee::{BFloat, Double, Half, Quad, Single};
use rustc_apfloat::{Float as ApFloat, FloatConvert, Round, Status, StatusAnd};

use super::*;
use crate::fp::soft::nan::{default_nan, is_nan, is_snan};
use crate::fp::soft::{arith, convert, fma};
use crate::fp::{Flags, NanRule};

fn ap_round(rounding: Rounding) -> Round {
    match rounding {
        Rounding::Rne => Round::NearestTiesToEven,
        Rounding::Rtz => Round::TowardZero,
        Rounding::Rdn => Round::TowardNegative,
        Rounding::Rup => Round::TowardPositive,
        Rounding::Rmm => Round::NearestTiesToAway,
        Rounding::Odd => unreachable!("rustc_apfloat has no rounding to odd"),
    }
}

fn ap_flags(status: Status) -> Flags {
    let mut flags = Flags::default();
    for (bit, flag) in [
        (Status::INVALID_OP, Flags::NV),
        (Status::DIV_BY_ZERO, Flags::DZ),
        (Status::OVERFLOW, Flags::OF),
        (Status::UNDERFLOW, Flags::UF),
        (Status::INEXACT, Flags::NX),
    ] {
        if status.contains(bit) {
            flags |= flag;
        }
    }
    flags
}

/// How far the tininess check moves operands, as a power of two.
fn scale<F: Float>() -> i32 {
    if F::EXP_BITS == 5 { 8 } else { 64 }
}

#[derive(Debug, PartialEq, Eq)]
struct Expected {
    bits: u128,
    flags: Flags,
}

impl Expected {
    /// `scaled` is the same operation with a result `2^k` times as large, for a `k` it is given.
    fn new<F: Float, T: ApFloat>(result: StatusAnd<T>, scaled: impl FnOnce(i32) -> T) -> Self {
        let StatusAnd { status, value } = result;
        let mut flags = ap_flags(status);
        if value.is_nan() {
            return Self {
                bits: to_u128(default_nan::<F>(NanRule::Canonical)),
                flags,
            };
        }
        if value.is_smallest_normalized() && flags.contains(Flags::NX) {
            let limit = T::smallest_normalized().scalbn(scale::<F>());
            if scaled(scale::<F>()).abs() < limit {
                flags |= Flags::UF;
            }
        } else if value.is_largest()
            && flags.contains(Flags::NX)
            && scaled(-2).abs() > value.abs().scalbn(-2)
        {
            flags |= Flags::OF;
        }
        Self {
            bits: value.to_bits(),
            flags,
        }
    }
}

#[track_caller]
fn check<F: Float>(
    what: &str,
    rounding: Rounding,
    operands: &[F::Sig],
    expected: &Expected,
    run: impl FnOnce(&mut Env) -> F::Sig,
) {
    let mut env = Env::riscv(rounding);
    let bits = to_u128(run(&mut env));
    let got = Expected {
        bits,
        flags: env.flags,
    };
    assert!(
        got == *expected,
        "{what} {rounding:?} {operands:x?}: got {got:x?}, want {expected:x?}"
    );
}

/// Scales the operand that stays normal.
fn scale_one<T: ApFloat>(a: T, b: T, k: i32) -> (T, T) {
    if (a.abs() < b.abs()) == (k > 0) {
        (a.scalbn(k), b)
    } else {
        (a, b.scalbn(k))
    }
}

fn check_binary<F: Float, T: ApFloat>(a: F::Sig, b: F::Sig) {
    let (x, y) = (T::from_bits(to_u128(a)), T::from_bits(to_u128(b)));
    for rounding in ROUNDINGS {
        let r = ap_round(rounding);
        let expected =
            Expected::new::<F, T>(x.add_r(y, r), |k| x.scalbn(k).add_r(y.scalbn(k), r).value);
        check::<F>("add", rounding, &[a, b], &expected, |env| {
            arith::add::<F>(env, a, b, false)
        });
        let expected =
            Expected::new::<F, T>(x.sub_r(y, r), |k| x.scalbn(k).sub_r(y.scalbn(k), r).value);
        check::<F>("sub", rounding, &[a, b], &expected, |env| {
            arith::add::<F>(env, a, b, true)
        });
        let expected = Expected::new::<F, T>(x.mul_r(y, r), |k| {
            let (x, y) = scale_one(x, y, k);
            x.mul_r(y, r).value
        });
        check::<F>("mul", rounding, &[a, b], &expected, |env| {
            arith::mul::<F>(env, a, b)
        });
        let expected = Expected::new::<F, T>(x.div_r(y, r), |k| {
            if (x.ilogb() <= 0) == (k > 0) {
                x.scalbn(k).div_r(y, r).value
            } else {
                x.div_r(y.scalbn(-k), r).value
            }
        });
        check::<F>("div", rounding, &[a, b], &expected, |env| {
            arith::div::<F>(env, a, b)
        });
    }
    // Rounding to odd: what rounding towards zero gives, with the last bit set when that was inexact.
    for op in [arith::mul::<F>, arith::div::<F>, |env: &mut Env, a, b| {
        arith::add::<F>(env, a, b, false)
    }] {
        let (mut odd, mut zero) = (Env::riscv(Rounding::Odd), Env::riscv(Rounding::Rtz));
        let (got, cut) = (op(&mut odd, a, b), op(&mut zero, a, b));
        let inexact = F::Sig::from_bool(zero.flags.contains(Flags::NX));
        assert_eq!(
            (got, odd.flags),
            (cut | inexact, zero.flags),
            "odd {a:x?} {b:x?}"
        );
    }
}

fn check_fma<F: Float, T: ApFloat>(a: F::Sig, b: F::Sig, c: F::Sig) {
    let [x, y, z] = [a, b, c].map(|bits| T::from_bits(to_u128(bits)));
    let any_nan = x.is_nan() || y.is_nan() || z.is_nan();
    let invalid = [a, b, c].into_iter().any(is_snan::<F>)
        || (x.is_zero() && y.is_infinite())
        || (x.is_infinite() && y.is_zero());
    for rounding in ROUNDINGS {
        let r = ap_round(rounding);
        for (negate_product, negate_addend) in
            [(false, false), (false, true), (true, false), (true, true)]
        {
            let x = if negate_product { -x } else { x };
            let z = if negate_addend { -z } else { z };
            let expected = if any_nan {
                let flags = if invalid { Flags::NV } else { Flags::default() };
                Expected {
                    bits: to_u128(default_nan::<F>(NanRule::Canonical)),
                    flags,
                }
            } else {
                Expected::new::<F, T>(x.mul_add_r(y, z, r), |k| {
                    let (x, y) = scale_one(x, y, k);
                    x.mul_add_r(y, z.scalbn(k), r).value
                })
            };
            check::<F>("mul_add", rounding, &[a, b, c], &expected, |env| {
                fma::mul_add::<F>(env, [a, b, c], negate_product, negate_addend)
            });
        }
    }
}

/// The square root, by squaring it exactly in binary128.
fn check_sqrt<F: Float<Sig = u64>, T: ApFloat + FloatConvert<Quad>>(a: u64) {
    let exactly = |x: T| -> Quad { x.convert(&mut false).value };
    let square = |x: T| (exactly(x) * exactly(x)).value;
    let x = T::from_bits(a.into());
    for rounding in ROUNDINGS {
        let mut env = Env::riscv(rounding);
        let bits = arith::sqrt::<F>(&mut env, a);
        let root = T::from_bits(bits.into());
        let what = format!("sqrt {rounding:?} {a:#x}: {bits:#x} {:?}", env.flags);
        if x.is_zero() {
            assert_eq!((bits, env.flags), (a, Flags::default()), "{what}");
        } else if x.is_nan() || x.is_negative() {
            let invalid = !x.is_nan() || x.is_signaling();
            let flags = if invalid { Flags::NV } else { Flags::default() };
            assert_eq!(
                (bits, env.flags),
                (default_nan::<F>(NanRule::Canonical), flags),
                "{what}"
            );
        } else if x.is_infinite() {
            assert_eq!((bits, env.flags), (a, Flags::default()), "{what}");
        } else {
            let want = exactly(x);
            let exact = square(root) == want;
            assert_eq!(
                env.flags,
                if exact { Flags::default() } else { Flags::NX },
                "{what}"
            );
            let (below, above) = (
                T::from_bits(u128::from(bits) - 1),
                T::from_bits(u128::from(bits) + 1),
            );
            match rounding {
                _ if exact => {}
                Rounding::Rtz | Rounding::Rdn => {
                    assert!(square(root) < want && want < square(above), "{what}")
                }
                Rounding::Rup => assert!(square(below) < want && want < square(root), "{what}"),
                // Half a unit away: a midpoint has one bit more, and its square 108 bits at most.
                _ => {
                    let half = Quad::from_bits(0x3ffe << 112);
                    let mid = |n: T| ((exactly(root) + exactly(n)).value * half).value;
                    let squared = |q: Quad| (q * q).value;
                    assert!(
                        squared(mid(below)) < want && want < squared(mid(above)),
                        "{what}"
                    );
                }
            }
        }
    }
}

fn check_unary<F: Float, T: ApFloat>(a: F::Sig) {
    let x = T::from_bits(to_u128(a));
    let canonical = to_u128(default_nan::<F>(NanRule::Canonical));
    for rounding in ROUNDINGS {
        let r = ap_round(rounding);
        let nan_flags = if x.is_signaling() {
            Flags::NV
        } else {
            Flags::default()
        };
        let value = x.round_to_integral(r).value;
        for exact in [false, true] {
            let expected = if x.is_nan() {
                Expected {
                    bits: canonical,
                    flags: nan_flags,
                }
            } else {
                let flags = if exact && value != x {
                    Flags::NX
                } else {
                    Flags::default()
                };
                Expected {
                    bits: value.to_bits(),
                    flags,
                }
            };
            check::<F>("round", rounding, &[a], &expected, |env| {
                convert::round_to_integral::<F>(env, a, exact)
            });
        }
        for bits in [8, 32, 64] {
            for signed in [false, true] {
                let mut exact = false;
                let got = if signed {
                    x.to_i128_r(bits as usize, r, &mut exact)
                } else {
                    x.to_u128_r(bits as usize, r, &mut exact)
                        .map(|value| value as i128)
                };
                let value = if x.is_nan() {
                    i128::from(u64::MAX >> (64 - bits)) >> u32::from(signed)
                } else {
                    got.value
                };
                let value = ((value << (128 - bits)) >> (128 - bits)) as u64;
                let mut env = Env::riscv(rounding);
                let mine = convert::to_int::<F>(&mut env, a, bits, signed);
                assert_eq!(
                    (mine, env.flags),
                    (value, ap_flags(got.status)),
                    "to_int {rounding:?} {a:x?} {bits} {signed}"
                );
            }
        }
    }
}

fn check_from_int<F: Float, T: ApFloat>(value: u64)
where
    Quad: FloatConvert<T>,
{
    for rounding in ROUNDINGS {
        let r = ap_round(rounding);
        for (bits, signed, wide) in [
            (32, true, i128::from(value as i32)),
            (32, false, i128::from(value as u32)),
            (64, true, i128::from(value as i64)),
            (64, false, i128::from(value)),
        ] {
            let expected = Expected::new::<F, T>(T::from_i128_r(wide, r), |k| {
                let exact: Quad = Quad::from_i128(wide).value;
                exact.scalbn(k).convert_r(r, &mut false).value
            });
            check::<F>("from_int", rounding, &[], &expected, |env| {
                convert::from_int::<F>(env, value, bits, signed)
            });
        }
    }
}

fn check_convert<A: Float, B: Float, X: ApFloat + FloatConvert<Y>, Y: ApFloat>(a: A::Sig) {
    let x = X::from_bits(to_u128(a));
    for rounding in ROUNDINGS {
        let r = ap_round(rounding);
        let run = |env: &mut Env| convert::convert::<A, B>(env, a);
        let expected = if x.is_nan() {
            let flags = if x.is_signaling() {
                Flags::NV
            } else {
                Flags::default()
            };
            Expected {
                bits: to_u128(default_nan::<B>(NanRule::Canonical)),
                flags,
            }
        } else {
            Expected::new::<B, Y>(x.convert_r(r, &mut false), |k| {
                x.scalbn(k).convert_r(r, &mut false).value
            })
        };
        check::<B>(&format!("convert {a:x?}"), rounding, &[], &expected, run);
    }
}

fn binary_edges<F: Float, T: ApFloat>() {
    let edges = edges::<F>();
    for &a in &edges {
        for &b in &edges {
            check_binary::<F, T>(a, b);
        }
    }
    let mut random = Random(1);
    for _ in 0..20_000 {
        check_binary::<F, T>(random.encoding::<F>(), random.encoding::<F>());
    }
}

#[test]
fn binary_operations_agree_f16() {
    binary_edges::<F16, Half>();
}

#[test]
fn binary_operations_agree_f32() {
    binary_edges::<F32, Single>();
}

#[test]
fn binary_operations_agree_f64() {
    binary_edges::<F64, Double>();
}

#[test]
fn binary_operations_agree_in_formats_to_come() {
    let mut random = Random(2);
    for _ in 0..10_000 {
        check_binary::<Bf16, BFloat>(random.encoding::<Bf16>(), random.encoding::<Bf16>());
        check_binary::<F128, Quad>(random.encoding::<F128>(), random.encoding::<F128>());
    }
}

fn fma_edges<F: Float, T: ApFloat>(seed: u64) {
    let mut random = Random(seed);
    let edges = edges::<F>();
    let pick = |random: &mut Random| edges[random.next() as usize % edges.len()];
    for _ in 0..30_000 {
        let (a, b, c) = (pick(&mut random), pick(&mut random), pick(&mut random));
        check_fma::<F, T>(a, b, c);
    }
    for _ in 0..20_000 {
        let (a, b, c) = (
            random.encoding::<F>(),
            random.encoding::<F>(),
            random.encoding::<F>(),
        );
        check_fma::<F, T>(a, b, c);
        // An addend next to the negated product: deep cancellation.
        let product = arith::mul::<F>(&mut nearest(), a, b);
        if !is_nan::<F>(product) {
            check_fma::<F, T>(a, b, product ^ (F::Sig::ONE << (F::BITS - 1)));
            check_fma::<F, T>(a, b, product ^ (F::Sig::ONE << (F::BITS - 1)) ^ F::Sig::ONE);
        }
    }
}

#[test]
fn fused_multiply_add_agrees() {
    fma_edges::<F16, Half>(3);
    fma_edges::<F32, Single>(4);
    fma_edges::<F64, Double>(5);
}

#[test]
fn unary_operations_agree() {
    for a in 0..=0xffff {
        check_unary::<F16, Half>(a);
        check_sqrt::<F16, Half>(a);
        check_convert::<F16, F32, Half, Single>(a);
        check_convert::<F16, F64, Half, Double>(a);
    }
    let mut random = Random(6);
    let singles: Vec<u64> = edges::<F32>()
        .into_iter()
        .chain((0..20_000).map(|_| random.encoding::<F32>()))
        .collect();
    for a in singles {
        check_unary::<F32, Single>(a);
        check_sqrt::<F32, Single>(a);
        check_convert::<F32, F16, Single, Half>(a);
        check_convert::<F32, F64, Single, Double>(a);
    }
    let doubles: Vec<u64> = edges::<F64>()
        .into_iter()
        .chain((0..20_000).map(|_| random.encoding::<F64>()))
        .collect();
    for a in doubles {
        check_unary::<F64, Double>(a);
        check_sqrt::<F64, Double>(a);
        check_convert::<F64, F16, Double, Half>(a);
        check_convert::<F64, F32, Double, Single>(a);
    }
    for _ in 0..10_000 {
        let a = random.encoding::<F128>();
        check_unary::<F128, Quad>(a);
        check_convert::<F128, F64, Quad, Double>(a);
    }
}

/// Numbers around the smallest normal one and around overflow, which random exponents seldom hit.
#[test]
fn narrowing_agrees_at_the_ends_of_the_range() {
    let mut random = Random(7);
    for _ in 0..20_000 {
        let frac = random.encoding::<F64>() & ((1 << 52) - 1);
        let sign = random.next() << 63;
        for exp in [
            -151, -150, -127, -126, -26, -25, -24, -16, -15, -14, 15, 16, 127, 128,
        ] {
            let a = sign | ((exp + 1023) as u64) << 52 | frac;
            check_convert::<F64, F32, Double, Single>(a);
            check_convert::<F64, F16, Double, Half>(a);
        }
    }
}

#[test]
fn integers_convert() {
    let mut random = Random(8);
    let mut values = vec![0, u64::MAX];
    values.extend((0..64).flat_map(|n| [1u64 << n, (1 << n) - 1, (1 << n) + 1, !(1 << n)]));
    values.extend((0..20_000).map(|_| {
        let shift = random.next() % 64;
        random.next() >> shift
    }));
    for value in values {
        check_from_int::<F16, Half>(value);
        check_from_int::<F32, Single>(value);
        check_from_int::<F64, Double>(value);
        check_from_int::<F128, Quad>(value);
    }
}

/// Rounding to odd in binary128 and then in any direction to binary64 is one rounding, so both must agree.
#[test]
fn binary128_square_root_agrees_with_binary64() {
    let mut random = Random(9);
    for _ in 0..10_000 {
        let a = random.encoding::<F64>();
        for rounding in ROUNDINGS {
            let mut direct = Env::riscv(rounding);
            let want = arith::sqrt::<F64>(&mut direct, a);
            let mut env = Env::riscv(Rounding::Odd);
            let wide = convert::convert::<F64, F128>(&mut env, a);
            let root = arith::sqrt::<F128>(&mut env, wide);
            env.rounding = rounding;
            let got = convert::convert::<F128, F64>(&mut env, root);
            assert_eq!(
                (got, env.flags),
                (want, direct.flags),
                "{rounding:?} {a:#x}"
            );
        }
    }
}

/// Before-rounding tininess: underflow whenever the exact product is below the smallest normal number.
#[test]
fn tininess_before_rounding() {
    let mut random = Random(10);
    let mut differs = 0;
    for _ in 0..200_000 {
        let (a, b) = (random.encoding::<F16>(), random.encoding::<F16>());
        let half = |bits: u64| Half::from_bits(bits.into());
        let [x, y]: [Double; 2] = [half(a), half(b)].map(|h| h.convert(&mut false).value);
        let limit: Double = Half::smallest_normalized().convert(&mut false).value;
        let tiny = (x * y).value.abs() < limit;
        for rounding in ROUNDINGS {
            let mut env = Env {
                tininess_after: false,
                ..Env::riscv(rounding)
            };
            let mut after = Env::riscv(rounding);
            let bits = arith::mul::<F16>(&mut env, a, b);
            assert_eq!(bits, arith::mul::<F16>(&mut after, a, b));
            let inexact = env.flags.contains(Flags::NX);
            assert_eq!(
                env.flags.contains(Flags::UF),
                tiny && inexact,
                "{rounding:?} {a:#x} {b:#x}"
            );
            differs += u32::from(env.flags != after.flags);
        }
    }
    assert!(differs > 0, "no case told the two rules apart");
}

proptest! {
    #[test]
    fn any_doubles_agree(a: u64, b: u64, c: u64) {
        check_binary::<F64, Double>(a, b);
        check_fma::<F64, Double>(a, b, c);
        check_unary::<F64, Double>(a);
        check_from_int::<F64, Double>(a);
    }

    #[test]
    fn any_singles_agree(a: u32, b: u32, c: u32) {
        let (a, b, c) = (a.into(), b.into(), c.into());
        check_binary::<F32, Single>(a, b);
        check_fma::<F32, Single>(a, b, c);
        check_unary::<F32, Single>(a);
    }
}
