//! Results that the manual's text gives, corner cases above all.

use super::hart::{Flow, Hart, Stop};
use super::{word, word_imm};
use crate::decode::riscv::Op;
use crate::sem::riscv::slots;

const MIN: u64 = 1 << 63;
const MAX: u64 = MIN - 1;
const MIN_W: u64 = 0xffff_ffff_8000_0000;
const M1: u64 = u64::MAX;

/// `rd` after `op rd, rs1, rs2`, with all three registers different and with rd = rs1 and rd = rs2.
fn binary(op: Op, a: u64, b: u64) -> u64 {
    let results = [12, 10, 11].map(|rd| {
        let mut h = Hart::new();
        h.set_x(10, a);
        h.set_x(11, b);
        assert_eq!(h.step(word(op, rd, 10, 11), 0), Ok(Flow::Next));
        h.x(rd)
    });
    assert!(
        results[0] == results[1] && results[0] == results[2],
        "{op:?}: {results:x?}"
    );
    results[0]
}

#[test]
fn register_instructions() {
    let cases: &[(Op, u64, u64, u64)] = &[
        (Op::Add, M1, 1, 0),
        (Op::Sub, 0, 1, M1),
        (Op::Sll, 1, 64 + 63, MIN),
        (Op::Srl, MIN, 63, 1),
        (Op::Sra, MIN, 63, M1),
        (Op::Slt, MIN, 0, 1),
        (Op::Sltu, MIN, 0, 0),
        (Op::Addw, 0x7fff_ffff, 1, MIN_W),
        (Op::Subw, 0, 1, M1),
        (Op::Sllw, 1, 31, MIN_W),
        (Op::Sllw, 1, 32, 1),
        (Op::Srlw, MIN_W, 0, MIN_W),
        (Op::Srlw, M1, 4, 0x0fff_ffff),
        (Op::Sraw, 0x8000_0000, 31, M1),
        // "Semantics for division by zero and division overflow"
        (Op::Div, 7, 0, M1),
        (Op::Divu, 7, 0, M1),
        (Op::Rem, 7, 0, 7),
        (Op::Remu, 7, 0, 7),
        (Op::Div, MIN, M1, MIN),
        (Op::Rem, MIN, M1, 0),
        (Op::Div, -7i64 as u64, 2, -3i64 as u64),
        (Op::Rem, -7i64 as u64, 2, M1),
        (Op::Divw, 7, 1 << 32, M1),
        (Op::Divuw, 7, 0, M1),
        (Op::Remw, MIN_W, 0, MIN_W),
        (Op::Remuw, 0x8000_0000, 0, MIN_W),
        (Op::Divw, MIN_W, M1, MIN_W),
        (Op::Remw, MIN_W, M1, 0),
        (Op::Mulh, MIN, MIN, 1 << 62),
        (Op::Mulhsu, M1, M1, M1),
        (Op::Mulhu, M1, M1, M1 - 1),
        (Op::Mulw, 0x1_0000, 0x8000, MIN_W),
        (Op::AddUw, 0xffff_ffff_0000_0001, 1, 2),
        (Op::Sh3add, 1, 2, 10),
        (Op::Sh2addUw, M1, 0, 0x3_ffff_fffc),
        (Op::Andn, 0xff, 0x0f, 0xf0),
        (Op::Orn, 0, M1 - 1, 1),
        (Op::Xnor, 5, 5, M1),
        (Op::Min, MIN, 1, MIN),
        (Op::Minu, MIN, 1, 1),
        (Op::Max, MIN, 1, 1),
        (Op::Maxu, MIN, 1, MIN),
        (Op::Rol, MIN, 1, 1),
        (Op::Ror, 1, 65, MIN),
        (Op::Rolw, 0x4000_0000, 1, MIN_W),
        (Op::Rorw, 1, 33, MIN_W),
        (Op::Clmul, 3, 3, 5),
        (Op::Clmulh, MIN, 2, 1),
        (Op::Clmulr, MIN, 1, 1),
        (Op::Clmulr, MIN, MIN, MIN),
        (Op::Bset, 0, 65, 2),
        (Op::Bclr, M1, 63, MAX),
        (Op::Binv, 1, 64, 0),
        (Op::Bext, MIN, 63, 1),
        (Op::CzeroEqz, 9, 0, 0),
        (Op::CzeroEqz, 9, 1, 9),
        (Op::CzeroNez, 9, 0, 9),
        (Op::CzeroNez, 9, MIN, 0),
        (Op::MopRr, 9, 9, 0),
    ];
    for &(op, a, b, expected) in cases {
        let got = binary(op, a, b);
        assert_eq!(got, expected, "{op:?} {a:#x}, {b:#x} gives {got:#x}");
    }
}

#[test]
fn immediate_and_unary_instructions() {
    let cases: &[(Op, u64, i32, u64)] = &[
        (Op::Addi, 5, -6, M1),
        (Op::Slti, 0, -1, 0),
        (Op::Sltiu, 0, -1, 1),
        (Op::Xori, 5, -1, !5),
        (Op::Addiw, 0x7fff_ffff, 1, MIN_W),
        (Op::Addiw, 0x1_8000_0000, 0, MIN_W),
        (Op::Slli, 1, 63, MIN),
        (Op::Srai, MIN, 63, M1),
        (Op::Slliw, 1, 31, MIN_W),
        (Op::Srliw, M1, 0, M1),
        (Op::SlliUw, M1, 4, 0xf_ffff_fff0),
        (Op::Rori, 1, 1, MIN),
        (Op::Roriw, 1, 1, MIN_W),
        (Op::Bseti, 0, 63, MIN),
        (Op::Bexti, MIN, 63, 1),
        (Op::Clz, 0, 0, 64),
        (Op::Clzw, 0, 0, 32),
        (Op::Ctz, 0, 0, 64),
        (Op::Ctzw, 1 << 32, 0, 32),
        (Op::Cpopw, M1, 0, 32),
        (Op::SextB, 0x80, 0, -128i64 as u64),
        (Op::ZextH, M1, 0, 0xffff),
        (Op::OrcB, 0x0100_0000_0000_8000, 0, 0xff00_0000_0000_ff00),
        (Op::Rev8, 0x0102_0304_0506_0708, 0, 0x0807_0605_0403_0201),
        (Op::MopR, 77, 0, 0),
    ];
    for &(op, a, imm, expected) in cases {
        let mut h = Hart::new();
        h.set_x(10, a);
        let w = word_imm(op, 12, 10, imm);
        assert_eq!(h.step(w, 0), Ok(Flow::Next));
        assert_eq!(h.x(12), expected, "{op:?} {a:#x}, {imm}");
    }
}

#[test]
fn x0_stays_zero() {
    let mut h = Hart::new();
    h.set_x(10, 5);
    // The test hart refuses any access to slot 0.
    for op in [Op::Add, Op::Mul, Op::Sh1add, Op::Bset, Op::CzeroEqz] {
        assert_eq!(h.step(word(op, 0, 10, 10), 0), Ok(Flow::Next));
        assert_eq!(h.step(word(op, 11, 0, 0), 0), Ok(Flow::Next));
    }
    assert_eq!(h.x(0), 0);
}

#[test]
fn loads_and_stores_may_be_misaligned_and_change_nothing_when_they_fail() {
    let mut h = Hart::new();
    h.memory[..9].copy_from_slice(&[0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88]);
    h.set_x(10, 0x1000);
    for (op, expected) in [
        (Op::Lb, 0xffff_ffff_ffff_ff81),
        (Op::Lbu, 0x81),
        (Op::Lh, 0xffff_ffff_ffff_8281),
        (Op::Lhu, 0x8281),
        (Op::Lw, 0xffff_ffff_8483_8281),
        (Op::Lwu, 0x8483_8281),
        (Op::Ld, 0x8887_8685_8483_8281),
    ] {
        assert_eq!(h.step(word_imm(op, 11, 10, 1), 0), Ok(Flow::Next));
        assert_eq!(h.x(11), expected, "{op:?}");
    }
    h.set_x(11, 0x1122_3344_5566_7788);
    assert_eq!(h.step(word(Op::Sw, 3, 10, 11), 0), Ok(Flow::Next));
    assert_eq!(h.memory[2..8], [0x82, 0x88, 0x77, 0x66, 0x55, 0x87]);
    assert_eq!(
        h.step(word_imm(Op::Ld, 10, 10, 60), 0),
        Err(Stop::Exception(5, 0x103c))
    );
    assert_eq!(h.x(10), 0x1000);
    // A load to x0 has its exceptions.
    assert_eq!(
        h.step(word_imm(Op::Lb, 0, 10, -1), 0),
        Err(Stop::Exception(5, 0xfff))
    );
}

#[test]
fn atomics() {
    let mut h = Hart::new();
    let set = |h: &mut Hart, v: u64| h.memory[..8].copy_from_slice(&v.to_le_bytes());
    let get = |h: &Hart| u64::from_le_bytes(h.memory[..8].try_into().expect("eight bytes"));
    h.set_x(10, 0x1000);
    for (op, old, operand, rd, new) in [
        (
            Op::AmoAddW,
            0xdead_beef_ffff_ffff,
            2,
            M1,
            0xdead_beef_0000_0001,
        ),
        (Op::AmoSwapD, 5, 6, 5, 6),
        (Op::AmoMinW, 0x8000_0000, 1, MIN_W, 0x8000_0000),
        (Op::AmoMinuW, 0x8000_0000, 1, MIN_W, 1),
        (Op::AmoMaxD, MIN, 1, MIN, 1),
        (Op::AmoMaxuD, MIN, 1, MIN, MIN),
        (Op::AmoXorD, 3, 1, 3, 2),
        (Op::AmoAddB, 0x1ff, 1, M1, 0x100),
        (Op::AmoOrH, 0x1_8000, 1, 0xffff_ffff_ffff_8000, 0x1_8001),
    ] {
        set(&mut h, old);
        h.set_x(11, operand);
        assert_eq!(h.step(word(op, 12, 10, 11), 0), Ok(Flow::Next));
        assert_eq!((h.x(12), get(&h)), (rd, new), "{op:?}");
    }
    // Compare and swap: only the low bits of rd count.
    set(&mut h, 0x7_ffff_fff0);
    h.set_x(11, 9);
    h.set_x(12, 0x1_ffff_fff0);
    assert_eq!(h.step(word(Op::AmocasW, 12, 10, 11), 0), Ok(Flow::Next));
    assert_eq!((h.x(12), get(&h)), (0xffff_ffff_ffff_fff0, 0x7_0000_0009));
    h.set_x(12, 1);
    assert_eq!(h.step(word(Op::AmocasD, 12, 10, 11), 0), Ok(Flow::Next));
    assert_eq!((h.x(12), get(&h)), (0x7_0000_0009, 0x7_0000_0009));
    // Load-reserved, store-conditional.
    assert_eq!(h.step(word(Op::ScD, 12, 10, 11), 0), Ok(Flow::Next));
    assert_eq!(h.x(12), 1);
    for (result, memory) in [(0, 9), (1, 9)] {
        if result == 0 {
            assert_eq!(h.step(word(Op::LrD, 13, 10, 0), 0), Ok(Flow::Next));
        }
        assert_eq!(h.step(word(Op::ScD, 12, 10, 11), 0), Ok(Flow::Next));
        assert_eq!((h.x(12), get(&h)), (result, memory));
    }
    // Alignment and ordering bits.
    h.set_x(10, 0x1002);
    assert_eq!(
        h.step(word(Op::AmoAddW, 12, 10, 11), 0),
        Err(Stop::Exception(6, 0x1002))
    );
    assert_eq!(
        h.step(word(Op::LrW, 12, 10, 0), 0),
        Err(Stop::Exception(4, 0x1002))
    );
    h.set_x(10, 0x1000);
    h.orders.clear();
    for order in 0..4u32 {
        assert_eq!(
            h.step(word(Op::AmoAddW, 12, 10, 11) | order << 25, 0),
            Ok(Flow::Next)
        );
    }
    let seen: Vec<_> = h.orders.iter().map(|m| (m.acquire, m.release)).collect();
    assert_eq!(
        seen,
        [(false, false), (false, true), (true, false), (true, true)]
    );
}

#[test]
fn floating_point_corners() {
    let boxed = |v: u32| 0xffff_ffff_0000_0000 | u64::from(v);
    let one = boxed(0x3f80_0000);
    let nan = boxed(0x7fc0_0000);
    let snan = boxed(0x7f80_0001);
    // (operation, rs1, rs2, rd, flags) in single precision
    let cases: &[(Op, u64, u64, u64, u64)] = &[
        (Op::FsgnjS, one, boxed(0x8000_0000), boxed(0xbf80_0000), 0),
        (Op::FsgnjnS, one, one, boxed(0xbf80_0000), 0),
        (Op::FsgnjxS, boxed(0xbf80_0000), boxed(0xbf80_0000), one, 0),
        // Not boxed: the canonical NaN.
        (Op::FsgnjS, 0x3f80_0000, one, nan, 0),
        (Op::FminS, snan, one, one, 16),
        (Op::FmaxS, nan, nan, nan, 0),
        (Op::FminmS, nan, one, nan, 0),
        (Op::FmaxmS, boxed(0x8000_0000), boxed(0), boxed(0), 0),
        (Op::FdivS, one, boxed(0), boxed(0x7f80_0000), 8),
        (Op::FaddS, snan, one, nan, 16),
    ];
    for &(op, a, b, expected, flags) in cases {
        let mut h = Hart::new();
        h.slots[42] = a;
        h.slots[43] = b;
        assert_eq!(h.step(word(op, 12, 10, 11), 0), Ok(Flow::Next));
        assert_eq!(
            (h.slots[44], h.slots[usize::from(slots::FFLAGS.0)]),
            (expected, flags),
            "{op:?} {a:#x} {b:#x}"
        );
    }
    let to_x: &[(Op, u64, u64, u64, u64)] = &[
        (Op::FeqS, nan, one, 0, 0),
        (Op::FleS, nan, one, 0, 16),
        (Op::FltS, one, nan, 0, 16),
        (Op::FleqS, nan, one, 0, 0),
        (Op::FltqS, snan, one, 0, 16),
        (Op::FclassS, snan, 0, 1 << 8, 0),
        (Op::FclassS, 0, 0, 1 << 9, 0),
        (
            Op::FmvXW,
            0x1234_5678_9abc_def0,
            0,
            0xffff_ffff_9abc_def0,
            0,
        ),
        (Op::FcvtWuS, boxed(0xbf80_0000), 0, 0, 16),
        (Op::FcvtWuS, boxed(0x4f80_0000), 0, M1, 16),
        (Op::FcvtWuS, boxed(0x4f00_0000), 0, MIN_W, 0),
        (Op::FcvtWS, nan, 0, 0x7fff_ffff, 16),
        (Op::FcvtmodWD, 0x41f0_0000_0010_0000, 0, 1, 16),
        (Op::FcvtmodWD, 0x7ff0_0000_0000_0000, 0, 0, 16),
    ];
    for &(op, a, b, expected, flags) in to_x {
        let mut h = Hart::new();
        h.slots[42] = a;
        h.slots[43] = b;
        // The second field is fixed for the unary ones.
        let fill = word(op, 12, 10, if b == 0 { 0 } else { 11 });
        assert_eq!(h.step(fill, 0), Ok(Flow::Next));
        assert_eq!(
            (h.x(12), h.slots[usize::from(slots::FFLAGS.0)]),
            (expected, flags),
            "{op:?} {a:#x} {b:#x}"
        );
    }
}

#[test]
fn zfa_constants_and_rounding() {
    let mut h = Hart::new();
    for (op, index, expected) in [
        (Op::FliS, 0, 0xffff_ffff_bf80_0000),
        (Op::FliS, 1, 0xffff_ffff_0080_0000),
        (Op::FliD, 29, 65536f64.to_bits()),
        (Op::FliD, 31, 0x7ff8_0000_0000_0000),
        (Op::FliH, 2, 0xffff_ffff_ffff_0100),
        (Op::FliH, 29, 0xffff_ffff_ffff_7c00),
    ] {
        assert_eq!(h.step(word(op, 12, index, 0), 0), Ok(Flow::Next));
        assert_eq!(h.slots[44], expected, "{op:?} {index}");
    }
    h.slots[42] = 2.5f64.to_bits();
    for (op, rm, expected, flags) in [
        (Op::FroundD, 0, 2.0f64, 0),
        (Op::FroundD, 4, 3.0, 0),
        (Op::FroundnxD, 1, 2.0, 1),
        (Op::FroundnxD, 3, 3.0, 1),
    ] {
        h.slots[usize::from(slots::FFLAGS.0)] = 0;
        assert_eq!(h.step(word(op, 12, 10, 0) | rm << 12, 0), Ok(Flow::Next));
        assert_eq!(
            (h.slots[44], h.slots[usize::from(slots::FFLAGS.0)]),
            (expected.to_bits(), flags),
            "{op:?} {rm}"
        );
    }
}
