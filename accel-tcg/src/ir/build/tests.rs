//! Folding, case by case. That it never changes the meaning is tested in `ir::tests`.

use super::*;

const W64: Width = Width::W64;
const W32: Width = Width::W32;

fn builder() -> IrBuilder {
    let mut b = IrBuilder::default();
    b.begin(0x1000);
    b.start_insn(0, 4);
    b
}

fn is_const(b: &IrBuilder, v: Val, k: u64) {
    assert_eq!(b.inst(v), Inst::Imm(k));
}

#[test]
fn reads_see_writes() {
    let mut b = builder();
    let x = b.get(Slot(1));
    assert_eq!(b.get(Slot(1)), x);
    let k = b.imm(7);
    b.set(Slot(1), k);
    assert_eq!(b.get(Slot(1)), k);
    assert_eq!(b.imm(7), k);
    let before = b.block().insts.len();
    b.set(Slot(1), k);
    assert_eq!(
        b.block().insts.len(),
        before,
        "a write of the value that is there"
    );
    let Ok(_) = b.call(HelperId(0), &[]);
    assert_ne!(b.get(Slot(1)), k, "the helper may have changed it");
}

#[test]
fn pure_helpers_and_flags() {
    let mut b = builder();
    b.set_pure(|h| h.0 == 1);
    b.set_fp_slots(Slot(100), Slot(101));
    let (x, flags) = (b.get(Slot(1)), b.get(Slot(100)));
    let Ok(_) = b.call(HelperId(1), &[x]);
    assert_eq!(b.get(Slot(1)), x);
    b.fp_bin(FpBin::Add, Format::F64, Round::Dynamic, x, x);
    assert_eq!(b.get(Slot(1)), x);
    assert_ne!(b.get(Slot(100)), flags);
}

#[test]
fn identities() {
    let mut b = builder();
    let x = b.get(Slot(1));
    let (zero, one, ones, eight) = (b.imm(0), b.imm(1), b.imm(u64::MAX), b.imm(8));
    for (op, k) in [
        (Bin::Add, zero),
        (Bin::Sub, zero),
        (Bin::Or, zero),
        (Bin::Xor, zero),
        (Bin::And, ones),
        (Bin::AndNot, zero),
        (Bin::Shl, zero),
        (Bin::Mul, one),
        (Bin::DivU, one),
        (Bin::DivS, one),
        (Bin::RemU, zero),
        (Bin::RemS, zero),
    ] {
        assert_eq!(b.bin(op, W64, x, k), x, "{op:?}");
    }
    for (op, k, r) in [
        (Bin::And, zero, 0),
        (Bin::Or, ones, u64::MAX),
        (Bin::Mul, zero, 0),
        (Bin::DivU, zero, u64::MAX),
        (Bin::RemU, one, 0),
        (Bin::AndNot, ones, 0),
    ] {
        let v = b.bin(op, W64, x, k);
        is_const(&b, v, r);
    }
    for op in [Bin::Sub, Bin::Xor, Bin::AndNot] {
        let v = b.bin(op, W64, x, x);
        is_const(&b, v, 0);
    }
    let three = b.imm(3);
    let v = b.bin(Bin::Mul, W64, eight, x);
    assert_eq!(
        b.inst(v),
        Inst::Bin {
            op: Bin::Shl,
            w: W64,
            a: x,
            b: three
        }
    );
    let v = b.bin(Bin::DivU, W64, x, eight);
    assert_eq!(
        b.inst(v),
        Inst::Bin {
            op: Bin::Shr,
            w: W64,
            a: x,
            b: three
        }
    );
    let v = b.bin(Bin::Sub, W64, x, eight);
    let minus = b.imm(-8i64 as u64);
    assert_eq!(
        b.inst(v),
        Inst::Bin {
            op: Bin::Add,
            w: W64,
            a: x,
            b: minus
        }
    );
    let v = b.bin(Bin::Add, W64, eight, x);
    assert_eq!(
        b.inst(v),
        Inst::Bin {
            op: Bin::Add,
            w: W64,
            a: x,
            b: eight
        }
    );
    let v = b.bin(Bin::Xor, W64, x, ones);
    assert_eq!(
        b.inst(v),
        Inst::Un {
            op: Un::Not,
            w: W64,
            a: x
        }
    );
    assert_eq!(b.un(Un::Not, W64, v), x);
    let v = b.bin(Bin::Add, W32, x, zero);
    assert_eq!(
        b.inst(v),
        Inst::Ext {
            signed: false,
            from: W32,
            a: x
        }
    );
    let v = b.bin(Bin::Add, W64, eight, eight);
    is_const(&b, v, 16);
}

#[test]
fn extensions() {
    let mut b = builder();
    let x = b.get(Slot(1));
    let Ok(byte) = b.load(MemOp::plain(Width::W8), x);
    let Ok(word) = b.load(MemOp::signed(W32), x);
    assert_eq!(b.ext(false, Width::W8, byte), byte);
    assert_eq!(b.ext(true, Width::W16, byte), byte);
    assert_eq!(b.ext(true, W32, word), word);
    let unsigned = b.ext(false, W32, word);
    assert_eq!(
        b.inst(unsigned),
        Inst::Ext {
            signed: false,
            from: W32,
            a: word
        }
    );
    let again = b.ext(true, W32, unsigned);
    assert_eq!(again, word);
    let mask = b.imm(0xffff_ffff);
    let v = b.bin(Bin::And, W64, x, mask);
    assert_eq!(
        b.inst(v),
        Inst::Ext {
            signed: false,
            from: W32,
            a: x
        }
    );
    assert_eq!(b.bin(Bin::And, W64, byte, mask), byte);
    let k = b.imm(32);
    let up = b.bin(Bin::Shl, W64, x, k);
    let v = b.bin(Bin::Sar, W64, up, k);
    assert_eq!(
        b.inst(v),
        Inst::Ext {
            signed: true,
            from: W32,
            a: x
        }
    );
    let sum = b.bin(Bin::Add, W32, x, word);
    assert_eq!(b.ext(false, W32, sum), sum);
}

#[test]
fn comparisons() {
    let mut b = builder();
    let (x, zero, one) = (b.get(Slot(1)), b.imm(0), b.imm(1));
    let v = b.cmp(Cond::LtU, W64, zero, x);
    assert_eq!(
        b.inst(v),
        Inst::Cmp {
            c: Cond::Ne,
            w: W64,
            a: x,
            b: zero
        }
    );
    let v = b.cmp(Cond::LtU, W64, x, one);
    assert_eq!(
        b.inst(v),
        Inst::Cmp {
            c: Cond::Eq,
            w: W64,
            a: x,
            b: zero
        }
    );
    let v = b.cmp(Cond::LtU, W64, x, zero);
    is_const(&b, v, 0);
    let v = b.cmp(Cond::LeS, W64, x, x);
    is_const(&b, v, 1);
    let y = b.get(Slot(2));
    let less = b.cmp(Cond::LtS, W32, x, y);
    let v = b.select(Cond::Eq, W64, less, zero, x, y);
    assert_eq!(
        b.inst(v),
        Inst::Select {
            c: Cond::GeS,
            w: W32,
            a: x,
            b: y,
            t: x,
            f: y
        }
    );
    assert_eq!(b.select(Cond::LtS, W64, x, y, one, one), one);
    assert_eq!(b.select(Cond::LtS, W64, zero, one, x, y), x);
}

#[test]
fn displacements() {
    let mut b = builder();
    let (x, eight) = (b.get(Slot(1)), b.imm(-8i64 as u64));
    let at = b.bin(Bin::Add, W64, x, eight);
    let m = MemOp::plain(W64);
    let Ok(v) = b.load(m, at);
    assert_eq!(
        b.inst(v),
        Inst::Load {
            m,
            addr: x,
            disp: -8
        }
    );
    let far = b.imm(1 << 31);
    let at = b.bin(Bin::Add, W64, x, far);
    let Ok(v) = b.load(m, at);
    assert_eq!(
        b.inst(v),
        Inst::Load {
            m,
            addr: at,
            disp: 0
        }
    );
    // The sum is a register of its own: using it frees the old one.
    let sum = b.bin(Bin::Add, W64, x, eight);
    b.set(Slot(1), sum);
    b.start_insn(4, 4);
    let Ok(v) = b.load(m, sum);
    assert_eq!(
        b.inst(v),
        Inst::Load {
            m,
            addr: sum,
            disp: 0
        }
    );
}

#[test]
fn nan_boxes() {
    let mut b = builder();
    let x = b.get(Slot(40));
    let single = b.fp_unbox(Format::F32, x);
    assert_eq!(
        b.inst(single),
        Inst::FpUnbox {
            f: Format::F32,
            a: x
        }
    );
    let sum = b.fp_bin(FpBin::Add, Format::F32, Round::Dynamic, single, single);
    let boxed = b.fp_box(Format::F32, sum);
    b.set(Slot(40), boxed);
    b.start_insn(4, 4);
    let v = b.get(Slot(40));
    assert_eq!(b.fp_unbox(Format::F32, v), sum);
    assert_eq!(b.fp_box(Format::F32, v), v);
    assert_eq!(b.fp_box(Format::F64, v), v);
    let half = b.fp_unbox(Format::F16, v);
    assert_eq!(
        b.inst(half),
        Inst::FpUnbox {
            f: Format::F16,
            a: boxed
        }
    );
    let Ok(word) = b.load(MemOp::plain(W32), x);
    let loaded = b.fp_box(Format::F32, word);
    assert_eq!(b.fp_unbox(Format::F32, loaded), word);
}

#[test]
fn ends_of_blocks() {
    let mut b = builder();
    let (x, one) = (b.get(Slot(1)), b.imm(1));
    b.branch(Cond::Eq, W64, x, one, 0x1100);
    assert!(!b.ended() && !b.branched_back());
    b.start_insn(4, 4);
    b.branch(Cond::Eq, W64, x, one, 0x1004);
    assert!(!b.ended() && b.branched_back());
    b.start_insn(8, 4);
    assert!(!b.branched_back());
    b.branch(Cond::Ne, W64, one, one, 0x1004);
    assert!(!b.ended() && !b.branched_back());
    b.finish(0x100c);
    assert_eq!(
        b.block().insts.last(),
        Some(&Inst::Jump {
            target: 0x100c,
            kind: JumpKind::Plain
        })
    );

    let mut b = builder();
    let one = b.imm(1);
    b.branch(Cond::Eq, W64, one, one, 0x40);
    assert!(b.ended());
    b.start_insn(4, 4);
    b.finish(0x1008);
    assert_eq!(
        b.block().insts.last(),
        Some(&Inst::Jump {
            target: 0x40,
            kind: JumpKind::Plain
        })
    );
    assert_eq!(b.block().insns.len(), 1);

    let mut b = builder();
    let to = b.imm(0x2000);
    b.jump_reg(to, JumpKind::Call);
    b.finish(0x1004);
    assert_eq!(
        b.block().insts.last(),
        Some(&Inst::Jump {
            target: 0x2000,
            kind: JumpKind::Call
        })
    );

    let mut b = builder();
    b.start_insn(4, 2);
    b.resync();
    b.finish(0x1006);
    assert_eq!(b.block().insts.last(), Some(&Inst::Resync { next: 0x1006 }));
}

#[test]
fn room() {
    let mut b = builder();
    assert!(!b.full());
    let mut x = b.get(Slot(0));
    while !b.full() {
        x = b.un(Un::Bswap, W64, x);
    }
    let left = usize::from(u16::MAX) - b.block().insts.len();
    assert!((395..=400).contains(&left), "{left}");
}
