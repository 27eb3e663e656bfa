//! What guests define beside IEEE 754: NaN results, flushing, saturation, RISC-V's own instructions.

use super::*;
use crate::fp::{self, Flags, NanRule, Relation};

const F: Format = Format::F32;
const QNAN: u64 = 0x7fc0_1234;
const SNAN: u64 = 0xff80_5678;
const INF: u64 = 0x7f80_0000;
const ONE: u64 = 0x3f80_0000;
const MIN_SUB: u64 = 1;
const MIN_NORMAL: u64 = 0x0080_0000;

fn with_rule(nan: NanRule) -> Env {
    Env { nan, ..nearest() }
}

#[test]
fn nan_operands_follow_the_rule() {
    use NanRule::*;
    let quieted = SNAN | 0x40_0000;
    for (rule, a, b, want) in [
        (Canonical, QNAN, SNAN, 0x7fc0_0000),
        (X86Sse, QNAN, SNAN, QNAN),
        (X86Sse, SNAN, QNAN, quieted),
        (X86Sse, ONE, SNAN, quieted),
        (Arm, QNAN, SNAN, quieted),
        (Arm, SNAN, QNAN, quieted),
        (ArmDefault, QNAN, SNAN, 0x7fc0_0000),
    ] {
        for op in [fp::add, fp::sub, fp::mul, fp::div, fp::minimum] {
            let mut env = with_rule(rule);
            assert_eq!(op(&mut env, F, a, b), want, "{rule:?} {a:#x} {b:#x}");
            assert_eq!(env.flags, Flags::NV);
        }
    }
    let mut env = with_rule(Arm);
    assert_eq!(
        (fp::add(&mut env, F, ONE, QNAN), env.flags),
        (QNAN, Flags::default())
    );
}

#[test]
fn invalid_operations_make_the_default_nan() {
    for (rule, want) in [
        (NanRule::Canonical, 0x7fc0_0000),
        (NanRule::X86Sse, 0xffc0_0000),
        (NanRule::Arm, 0x7fc0_0000),
        (NanRule::ArmDefault, 0x7fc0_0000),
    ] {
        const MINUS: u64 = 1 << 31;
        for op in [
            |env: &mut Env| fp::sub(env, F, INF, INF),
            |env: &mut Env| fp::mul(env, F, INF, 0),
            |env: &mut Env| fp::div(env, F, 0, 0),
            |env: &mut Env| fp::div(env, F, INF, INF),
            |env: &mut Env| fp::sqrt(env, F, ONE | MINUS),
            |env: &mut Env| fp::mul_add(env, F, INF, ONE, INF, false, true),
            |env: &mut Env| fp::mul_add(env, F, INF, 0, ONE, false, false),
        ] {
            let mut env = with_rule(rule);
            assert_eq!((op(&mut env), env.flags), (want, Flags::NV), "{rule:?}");
        }
    }
}

#[test]
fn fused_multiply_add_orders_nans_as_the_guest_does() {
    let run = |rule, a, b, c, negate: bool| {
        let mut env = with_rule(rule);
        (fp::mul_add(&mut env, F, a, b, c, negate, negate), env.flags)
    };
    let other = 0x7fc0_0042;
    assert_eq!(
        run(NanRule::X86Sse, QNAN, ONE, other, false),
        (QNAN, Flags::default())
    );
    assert_eq!(
        run(NanRule::Arm, QNAN, ONE, other, false),
        (other, Flags::default())
    );
    assert_eq!(
        run(NanRule::Arm, QNAN, ONE, ONE, true),
        (QNAN | 1 << 31, Flags::default())
    );
    assert_eq!(
        run(NanRule::X86Sse, QNAN, ONE, ONE, true),
        (QNAN, Flags::default())
    );
    // inf * 0 + qNaN
    assert_eq!(
        run(NanRule::Canonical, INF, 0, QNAN, false),
        (0x7fc0_0000, Flags::NV)
    );
    assert_eq!(
        run(NanRule::X86Sse, INF, 0, QNAN, false),
        (QNAN, Flags::default())
    );
    assert_eq!(
        run(NanRule::Arm, 0, INF, QNAN, false),
        (0x7fc0_0000, Flags::NV)
    );
    assert_eq!(
        run(NanRule::Arm, 0, INF, SNAN, false),
        (SNAN | 0x40_0000, Flags::NV)
    );
}

#[test]
fn nan_payloads_survive_conversion_where_the_rule_keeps_them() {
    let widened = 0x7ff8_0246_8000_0000;
    let mut env = with_rule(NanRule::Arm);
    assert_eq!(fp::convert(&mut env, F, Format::F64, QNAN), widened);
    assert_eq!(fp::convert(&mut env, Format::F64, F, widened), QNAN);
    assert_eq!(
        fp::convert(&mut env, Format::F64, Format::F16, 0xfff8_0000_0000_0001),
        0xfe00
    );
    assert!(env.flags.is_empty());
    assert_eq!(fp::convert(&mut env, F, F, SNAN), SNAN | 0x40_0000);
    assert_eq!(env.flags, Flags::NV);
    assert_eq!(
        fp::convert(&mut nearest(), F, Format::F64, QNAN),
        Format::F64.canonical_nan()
    );
}

#[test]
fn minimum_and_maximum_treat_nans_three_ways() {
    let canonical = F.canonical_nan();
    type Op = fn(&mut Env, Format, u64, u64) -> u64;
    let number: [Op; 2] = [fp::minimum_number, fp::maximum_number];
    let nan: [Op; 2] = [fp::minimum, fp::maximum];
    let old: [Op; 2] = [fp::min_num, fp::max_num];
    for (ops, quiet, signalling) in [
        (number, ONE, ONE),
        (nan, canonical, canonical),
        (old, ONE, canonical),
    ] {
        for op in ops {
            for (operand, want, flags) in [
                (QNAN, quiet, Flags::default()),
                (SNAN, signalling, Flags::NV),
            ] {
                for (a, b) in [(ONE, operand), (operand, ONE)] {
                    let mut env = nearest();
                    assert_eq!((op(&mut env, F, a, b), env.flags), (want, flags));
                }
                let mut env = nearest();
                assert_eq!(
                    (op(&mut env, F, QNAN, operand), env.flags),
                    (canonical, flags)
                );
            }
        }
        let (minus_zero, mut env) = (1 << 31, nearest());
        for (a, b) in [(0, minus_zero), (minus_zero, 0)] {
            assert_eq!(
                (ops[0](&mut env, F, a, b), ops[1](&mut env, F, a, b)),
                (minus_zero, 0)
            );
        }
        assert!(env.flags.is_empty());
    }
}

#[test]
fn comparison_raises_invalid_for_the_right_nans() {
    for (a, signaling, flags) in [
        (QNAN, false, Flags::default()),
        (QNAN, true, Flags::NV),
        (SNAN, false, Flags::NV),
        (SNAN, true, Flags::NV),
    ] {
        for (a, b) in [(a, ONE), (ONE, a)] {
            let mut env = nearest();
            assert_eq!(
                fp::compare(&mut env, F, a, b, signaling),
                Relation::Unordered
            );
            assert_eq!(env.flags, flags, "{a:#x} {signaling}");
        }
    }
}

#[test]
fn subnormals_are_flushed_on_request() {
    // Result: smallest normal number halved, exact, so without flushing no flag at all.
    let half = 0x3f00_0000;
    let mut env = nearest();
    assert_eq!(
        (fp::mul(&mut env, F, MIN_NORMAL, half), env.flags),
        (MIN_NORMAL >> 1, Flags::default())
    );
    let mut env = Env {
        ftz: true,
        ..with_rule(NanRule::X86Sse)
    };
    assert_eq!(fp::mul(&mut env, F, MIN_NORMAL | 1 << 31, half), 1 << 31);
    assert_eq!(env.flags, Flags::UF | Flags::NX);
    let mut env = Env {
        ftz: true,
        tininess_after: false,
        ..with_rule(NanRule::Arm)
    };
    assert_eq!(
        (fp::mul(&mut env, F, MIN_NORMAL, half), env.flags),
        (0, Flags::UF)
    );

    let mut env = Env {
        daz: true,
        ..with_rule(NanRule::Arm)
    };
    assert_eq!(
        (fp::div(&mut env, F, ONE, MIN_SUB), env.flags),
        (INF, Flags::DZ | Flags::ID)
    );
    let mut env = Env {
        daz: true,
        ..with_rule(NanRule::X86Sse)
    };
    assert_eq!(
        fp::compare(&mut env, F, MIN_SUB | 1 << 31, MIN_SUB, false),
        Relation::Equal
    );
    assert_eq!(fp::add(&mut env, F, MIN_SUB, ONE), ONE);
    assert!(env.flags.is_empty());
    env.daz = false;
    assert_eq!(
        (fp::add(&mut env, F, MIN_SUB, MIN_SUB), env.flags),
        (2, Flags::ID)
    );
    // RISC-V has no such flag.
    let mut env = nearest();
    assert_eq!(
        (fp::add(&mut env, F, MIN_SUB, MIN_SUB), env.flags),
        (2, Flags::default())
    );
}

#[test]
fn integers_saturate_and_sign_extend() {
    for (a, bits, signed, want) in [
        (f64::NAN, 32, true, i32::MAX as u64),
        (-f64::NAN, 32, false, u64::MAX),
        (-f64::NAN, 64, true, i64::MAX as u64),
        (f64::INFINITY, 64, false, u64::MAX),
        (f64::NEG_INFINITY, 32, true, i32::MIN as i64 as u64),
        (f64::NEG_INFINITY, 64, false, 0),
        (-1.0, 32, false, 0),
        (2147483648.0, 32, true, i32::MAX as u64),
        (4294967296.0, 32, false, u64::MAX),
        (9223372036854775808.0, 64, true, i64::MAX as u64),
        (18446744073709551616.0, 64, false, u64::MAX),
    ] {
        let mut env = nearest();
        assert_eq!(
            fp::to_int(&mut env, Format::F64, a.to_bits(), bits, signed),
            want,
            "{a} {bits} {signed}"
        );
        assert_eq!(env.flags, Flags::NV, "{a}");
    }
    for (a, want, flags) in [
        (4294967295.0, u64::MAX, Flags::default()),
        (2147483648.0, i32::MIN as i64 as u64, Flags::default()),
        (-0.9, 0, Flags::NX),
        (-0.0, 0, Flags::default()),
    ] {
        let mut env = Env::riscv(Rounding::Rtz);
        assert_eq!(
            (
                fp::to_int(&mut env, Format::F64, f64::to_bits(a), 32, false),
                env.flags
            ),
            (want, flags),
            "{a}"
        );
    }
}

#[test]
fn fcvtmod_wraps() {
    for (a, want, flags) in [
        (1.75, 1, Flags::NX),
        (-1.75, -1, Flags::NX),
        (2147483647.0, 2147483647, Flags::default()),
        (2147483648.0, -2147483648, Flags::NV),
        (-2147483648.5, -2147483648, Flags::NX),
        (4294967297.5, 1, Flags::NV),
        (-4294967297.0, -1, Flags::NV),
        (f64::from_bits(0x4370_0000_0000_0001), 1 << 4, Flags::NV),
        (
            f64::from_bits(0x4370_0000_0000_0001) * 134217728.0,
            1 << 31,
            Flags::NV,
        ),
        (1e300, 0, Flags::NV),
        (f64::INFINITY, 0, Flags::NV),
        (f64::NAN, 0, Flags::NV),
        (1e-320, 0, Flags::NX),
        (-0.0, 0, Flags::default()),
    ] {
        let mut env = Env::riscv(Rounding::Rup);
        assert_eq!(
            fp::fcvtmod_w_d(&mut env, a.to_bits()),
            i64::from(want) as u64,
            "{a:e}"
        );
        assert_eq!(env.flags, flags, "{a:e}");
        assert_eq!(env.rounding, Rounding::Rup);
    }
    let mut random = Random(30);
    for _ in 0..50_000 {
        let a = random.encoding::<F64>();
        let x = f64::from_bits(a).trunc();
        let want = if x.abs() < 1e38 {
            x as i128 as i32 as u64
        } else {
            0
        };
        assert_eq!(fp::fcvtmod_w_d(&mut nearest(), a), want, "{x:e}");
    }
}

#[test]
fn classes_have_their_bits() {
    for f in FORMATS {
        let sign = 1 << (f.bits() - 1);
        let one = fp::from_int(&mut nearest(), f, 1, 64, false);
        let infinity = f.canonical_nan() & (f.canonical_nan() << 1);
        for (bits, class) in [
            (infinity | sign, 0),
            (one | sign, 1),
            (1 | sign, 2),
            (sign, 3),
            (0, 4),
            (1, 5),
            (one, 6),
            (infinity, 7),
            (infinity | 1, 8),
            (infinity | 1 | sign, 8),
            (f.canonical_nan(), 9),
        ] {
            assert_eq!(fp::classify(f, bits), 1 << class, "{f:?} {bits:#x}");
            assert_eq!(fp::is_nan(f, bits), class >= 8);
            assert_eq!(fp::is_snan(f, bits), class == 8);
        }
    }
}

#[test]
fn load_immediate_table() {
    assert_eq!(fp::fli(Format::F64, 0), (-1f64).to_bits());
    assert_eq!(fp::fli(Format::F64, 1), f64::MIN_POSITIVE.to_bits());
    assert_eq!(
        fp::fli(Format::F32, 1),
        u64::from(f32::MIN_POSITIVE.to_bits())
    );
    assert_eq!(fp::fli(Format::F16, 1), 0x0400);
    assert_eq!(fp::fli(Format::F16, 2), 0x0100);
    assert_eq!(fp::fli(Format::F16, 29), 0x7c00);
    assert_eq!(fp::fli(Format::F32, 29), u64::from(65536f32.to_bits()));
    assert_eq!(fp::fli(Format::F64, 16), 1f64.to_bits());
    for f in FORMATS {
        assert_eq!(fp::fli(f, 31), f.canonical_nan());
        assert_eq!(fp::fli(f, 32 + 16), fp::fli(f, 16));
        // Rising from entry 1 on: 2^-16 is below the smallest normal number of binary16 only.
        for n in if f == Format::F16 { 2..29 } else { 1..30 } {
            let relation = fp::compare(&mut nearest(), f, fp::fli(f, n), fp::fli(f, n + 1), true);
            assert_eq!(relation, Relation::Less, "{f:?} {n}");
        }
    }
}

#[test]
fn bits_above_the_format_do_not_matter() {
    let boxed = |bits: u64| bits | 0xffff_ffff_0000_0000;
    let mut env = nearest();
    assert_eq!(fp::add(&mut env, F, boxed(ONE), boxed(ONE)), 0x4000_0000);
    assert_eq!(fp::minimum(&mut env, F, boxed(ONE), boxed(INF)), ONE);
    assert_eq!(fp::classify(F, boxed(0)), 1 << 4);
    assert_eq!(
        fp::mul_add(&mut env, F, boxed(ONE), ONE, boxed(0), false, false),
        ONE
    );
}

#[test]
fn rounding_fields() {
    for (field, rounding) in ROUNDINGS.into_iter().enumerate() {
        assert_eq!(Rounding::from_riscv(field as u8), Some(rounding));
        assert_eq!(rounding as usize, field);
    }
    assert!((5..=u8::MAX).all(|field| Rounding::from_riscv(field).is_none()));
}
