//! The default rounding direction against the host's own arithmetic, through the public functions.

use super::*;
use crate::fp;
use crate::fp::soft::nan::is_nan;

/// A host result, with every NaN taken for the canonical one.
fn canonical64(value: f64) -> u64 {
    if value.is_nan() {
        Format::F64.canonical_nan()
    } else {
        value.to_bits()
    }
}

fn canonical32(value: f32) -> u64 {
    if value.is_nan() {
        Format::F32.canonical_nan()
    } else {
        value.to_bits().into()
    }
}

#[test]
fn doubles_compute_as_on_the_host() {
    let mut random = Random(20);
    for _ in 0..200_000 {
        let (a, b, c) = (
            random.encoding::<F64>(),
            random.encoding::<F64>(),
            random.encoding::<F64>(),
        );
        let [x, y, z] = [a, b, c].map(f64::from_bits);
        let (env, f) = (&mut nearest(), Format::F64);
        assert_eq!(fp::add(env, f, a, b), canonical64(x + y), "{x:e} + {y:e}");
        assert_eq!(fp::sub(env, f, a, b), canonical64(x - y), "{x:e} - {y:e}");
        assert_eq!(fp::mul(env, f, a, b), canonical64(x * y), "{x:e} * {y:e}");
        assert_eq!(fp::div(env, f, a, b), canonical64(x / y), "{x:e} / {y:e}");
        assert_eq!(fp::sqrt(env, f, a), canonical64(x.sqrt()), "sqrt {x:e}");
        assert_eq!(
            fp::mul_add(env, f, a, b, c, false, false),
            canonical64(x.mul_add(y, z)),
            "{x:e} {y:e} {z:e}"
        );
        assert_eq!(
            fp::mul_add(env, f, a, b, c, true, false),
            canonical64((-x).mul_add(y, z))
        );
        assert_eq!(
            fp::mul_add(env, f, a, b, c, false, true),
            canonical64(x.mul_add(y, -z))
        );
        assert_eq!(
            fp::convert(env, f, Format::F32, a),
            canonical32(x as f32),
            "{x:e} as f32"
        );
        assert_eq!(
            fp::round_to_integral(env, f, a, true),
            canonical64(x.round_ties_even()),
            "{x:e}"
        );
        for (rounding, want) in [
            (Rounding::Rtz, x.trunc()),
            (Rounding::Rdn, x.floor()),
            (Rounding::Rup, x.ceil()),
            (Rounding::Rmm, x.round()),
        ] {
            assert_eq!(
                fp::round_to_integral(&mut Env::riscv(rounding), f, a, false),
                canonical64(want),
                "{x:e}"
            );
        }
        if !x.is_nan() {
            let env = &mut Env::riscv(Rounding::Rtz);
            assert_eq!(fp::to_int(env, f, a, 32, true), x as i32 as u64, "{x:e}");
            assert_eq!(
                fp::to_int(env, f, a, 32, false),
                x as u32 as i32 as u64,
                "{x:e}"
            );
            assert_eq!(fp::to_int(env, f, a, 64, true), x as i64 as u64, "{x:e}");
            assert_eq!(fp::to_int(env, f, a, 64, false), x as u64, "{x:e}");
        }
        assert_eq!(
            fp::from_int(env, f, a, 64, true),
            (a as i64 as f64).to_bits()
        );
        assert_eq!(fp::from_int(env, f, a, 64, false), (a as f64).to_bits());
        assert_eq!(
            fp::from_int(env, f, a, 32, true),
            f64::from(a as i32).to_bits()
        );
        assert_eq!(
            fp::from_int(env, Format::F32, a, 64, false),
            u64::from((a as f32).to_bits())
        );
    }
}

#[test]
fn singles_compute_as_on_the_host() {
    let mut random = Random(21);
    for _ in 0..200_000 {
        let (a, b, c) = (
            random.encoding::<F32>(),
            random.encoding::<F32>(),
            random.encoding::<F32>(),
        );
        let [x, y, z] = [a, b, c].map(|bits| f32::from_bits(bits as u32));
        let (env, f) = (&mut nearest(), Format::F32);
        assert_eq!(fp::add(env, f, a, b), canonical32(x + y), "{x:e} + {y:e}");
        assert_eq!(fp::sub(env, f, a, b), canonical32(x - y), "{x:e} - {y:e}");
        assert_eq!(fp::mul(env, f, a, b), canonical32(x * y), "{x:e} * {y:e}");
        assert_eq!(fp::div(env, f, a, b), canonical32(x / y), "{x:e} / {y:e}");
        assert_eq!(fp::sqrt(env, f, a), canonical32(x.sqrt()), "sqrt {x:e}");
        assert_eq!(
            fp::mul_add(env, f, a, b, c, true, true),
            canonical32((-x).mul_add(y, -z)),
            "{x:e} {y:e} {z:e}"
        );
        assert_eq!(
            fp::convert(env, f, Format::F64, a),
            canonical64(f64::from(x)),
            "{x:e}"
        );
    }
}

#[test]
fn comparisons_order_as_on_the_host() {
    use crate::fp::Relation;
    let edges = edges_of(Format::F64);
    for &a in &edges {
        for &b in &edges {
            let want = match f64::from_bits(a).partial_cmp(&f64::from_bits(b)) {
                None => Relation::Unordered,
                Some(core::cmp::Ordering::Less) => Relation::Less,
                Some(core::cmp::Ordering::Equal) => Relation::Equal,
                Some(core::cmp::Ordering::Greater) => Relation::Greater,
            };
            assert_eq!(
                fp::compare(&mut nearest(), Format::F64, a, b, false),
                want,
                "{a:#x} {b:#x}"
            );
            if !is_nan::<F64>(a) && !is_nan::<F64>(b) {
                let least = fp::minimum_number(&mut nearest(), Format::F64, a, b);
                let most = fp::maximum_number(&mut nearest(), Format::F64, a, b);
                let (x, y) = (f64::from_bits(a), f64::from_bits(b));
                let (low, high) = if x.total_cmp(&y).is_le() {
                    (a, b)
                } else {
                    (b, a)
                };
                assert_eq!((least, most), (low, high), "{a:#x} {b:#x}");
            }
        }
    }
}
