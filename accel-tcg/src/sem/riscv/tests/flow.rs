//! Jumps, exceptions, the floating-point unit's state, and what helpers are asked.

use super::hart::{Flow, Hart, Stop, user};
use super::{word, word_imm};
use crate::decode::riscv::{Op, decode};
use crate::sem::riscv::helper_id::{self, csr};
use crate::sem::riscv::{Fs, Mode, Privilege, slots};
use crate::sem::{Fence, HelperId, JumpKind};

#[test]
fn jumps_and_branches() {
    let mut h = Hart::new();
    h.set_x(1, 0x2001);
    h.set_x(10, 0x3000);
    let jump = |h: &mut Hart, w| h.step(w, 0x100);
    assert_eq!(
        jump(&mut h, 0x0100_006f),
        Ok(Flow::Jump(0x110, JumpKind::Plain))
    );
    assert_eq!(
        jump(&mut h, 0x0100_00ef),
        Ok(Flow::Jump(0x110, JumpKind::Call))
    );
    assert_eq!(h.x(1), 0x104);
    h.set_x(1, 0x2001);
    // The lowest bit of the target is cleared; the return address is read before the link is written.
    assert_eq!(
        jump(&mut h, word_imm(Op::Jalr, 0, 1, 0)),
        Ok(Flow::Jump(0x2000, JumpKind::Return))
    );
    assert_eq!(
        jump(&mut h, word_imm(Op::Jalr, 1, 1, 4)),
        Ok(Flow::Jump(0x2004, JumpKind::Call))
    );
    assert_eq!(h.x(1), 0x104);
    assert_eq!(
        jump(&mut h, word_imm(Op::Jalr, 0, 10, -4)),
        Ok(Flow::Jump(0x2ffc, JumpKind::Plain))
    );
    // c.jalr: the link is two bytes on.
    assert_eq!(jump(&mut h, 0x9502), Ok(Flow::Jump(0x3000, JumpKind::Call)));
    assert_eq!(h.x(1), 0x102);
    h.set_x(11, u64::MAX);
    for (op, taken) in [
        (Op::Beq, false),
        (Op::Bne, true),
        (Op::Blt, false),
        (Op::Bge, true),
        (Op::Bltu, true),
        (Op::Bgeu, false),
    ] {
        let expected = if taken {
            Flow::Jump(0x108, JumpKind::Plain)
        } else {
            Flow::Next
        };
        assert_eq!(jump(&mut h, word(op, 8, 10, 11)), Ok(expected), "{op:?}");
    }
    // Addresses wrap.
    assert_eq!(
        h.step(0xff9f_f06f, 4),
        Ok(Flow::Jump(u64::MAX - 3, JumpKind::Plain))
    );
    assert_eq!(h.step(0x0000_1597, 0xffff_ffff_ffff_f000), Ok(Flow::Next));
    assert_eq!(h.x(11), 0);
}

#[test]
fn fences() {
    let mut h = Hart::new();
    for w in [
        0x0ff0_000f,
        0x0330_000f,
        0x0220_000f,
        0x0310_000f,
        0x0120_000f,
        0x8330_000f,
        0x0100_000f,
        0x0000_000f,
    ] {
        assert_eq!(h.step(w, 0), Ok(Flow::Next));
    }
    use Fence::{AcquireRelease as A, Full as F};
    assert_eq!(h.fences, [F, F, A, A, F, A]);
}

#[test]
fn illegal_instructions_report_their_bits() {
    let mut h = Hart::new();
    assert_eq!(h.step(0xffff_ffff, 0), Err(Stop::Exception(2, 0xffff_ffff)));
    assert_eq!(h.step(0x1234_0000, 0), Err(Stop::Exception(2, 0)));
    assert_eq!(h.step(0x6101, 0), Err(Stop::Exception(2, 0x6101)));
    // Reserved rounding modes, and a reserved dynamic one.
    let fadd = word(Op::FaddD, 1, 2, 3);
    assert_eq!(
        h.step(fadd | 5 << 12, 0),
        Err(Stop::Exception(2, (fadd | 5 << 12).into()))
    );
    assert_eq!(h.step(fadd | 7 << 12, 0), Ok(Flow::Next));
    h.slots[usize::from(slots::FRM.0)] = 5;
    assert_eq!(
        h.step(fadd | 7 << 12, 0),
        Err(Stop::Exception(2, (fadd | 7 << 12).into()))
    );
    assert_eq!(h.step(fadd, 0), Ok(Flow::Next));
    // Odd pairs.
    assert!(h.step(word(Op::AmocasQ, 11, 10, 12), 0).is_err());
}

#[test]
fn floating_point_state() {
    let fadd = decode(word(Op::FaddD, 1, 2, 3));
    let fsd = decode(word(Op::Fsd, 8, 10, 3));
    let c_fld = decode(0x2108);
    let mut h = Hart::new();
    h.set_x(10, 0x1000);
    let off = Mode::new(Privilege::U, 0, 0);
    for i in [fadd, fsd, c_fld] {
        assert_eq!(
            h.step_in(&i, 0, off),
            Err(Stop::Exception(2, i.bits.into()))
        );
    }
    // Clean: reading is free, a write asks for Dirty and is done again.
    let clean = Mode::new(Privilege::U, 2, 0);
    assert_eq!(clean.fs, Fs::Clean);
    assert_eq!(h.step_in(&fsd, 0, clean), Ok(Flow::Next));
    h.reply = Err(Stop::Retry);
    h.slots[32 + 10] = 77;
    for i in [fadd, c_fld] {
        h.calls.clear();
        assert_eq!(h.step_in(&i, 0, clean), Err(Stop::Retry));
        assert_eq!(h.calls, [(helper_id::MARK_FS_DIRTY, vec![])]);
    }
    assert_eq!(h.slots[32 + 10], 77);
    // Seen by a recorder, whose calls do not stop, the block ends.
    h.reply = Ok(0);
    assert_eq!(h.step_in(&fadd, 0, clean), Ok(Flow::Resync));
    // An illegal rounding mode does not make anything dirty.
    h.calls.clear();
    assert!(h.step_in(&decode(fadd.bits | 6 << 12), 0, clean).is_err());
    assert_eq!(h.calls, []);
}

#[test]
fn csr_accesses() {
    let mut h = Hart::new();
    h.reply = Ok(0x55);
    h.set_x(11, 9);
    let run = |h: &mut Hart, op: Op, number: u32, rd: u8, rs1: u8| {
        h.calls.clear();
        let w = word(op, rd, rs1, 0) | number << 20;
        let flow = h.step(w, 0).expect("no exception");
        let (id, args) = h.calls.pop().expect("one call");
        assert_eq!(
            (id, args[0], args[3]),
            (helper_id::CSR_ACCESS, number.into(), w.into())
        );
        (args[1], args[2], flow, h.x(12))
    };
    assert_eq!(
        run(&mut h, Op::Csrrw, 0x100, 12, 11),
        (csr::WRITE, 9, Flow::Resync, 0x55)
    );
    h.set_x(12, 0);
    assert_eq!(
        run(&mut h, Op::Csrrw, 0x100, 0, 11),
        (csr::WRITE_ONLY, 9, Flow::Resync, 0)
    );
    assert_eq!(
        run(&mut h, Op::Csrrs, 0xc01, 12, 0),
        (csr::READ, 0, Flow::Next, 0x55)
    );
    assert_eq!(
        run(&mut h, Op::Csrrci, 0x100, 12, 0),
        (csr::READ, 0, Flow::Next, 0x55)
    );
    assert_eq!(
        run(&mut h, Op::Csrrci, 0x100, 12, 2),
        (csr::CLEAR, 2, Flow::Resync, 0x55)
    );
    assert_eq!(
        run(&mut h, Op::Csrrsi, 0x104, 12, 31),
        (csr::SET, 31, Flow::Resync, 0x55)
    );
    assert_eq!(
        run(&mut h, Op::Csrrwi, 0x300, 12, 0),
        (csr::WRITE, 0, Flow::Resync, 0x55)
    );
    // Without influence on the mode.
    assert_eq!(run(&mut h, Op::Csrrw, 0x140, 12, 11).2, Flow::Next);
    let w = decode(word(Op::Csrrw, 0, 11, 0) | 1 << 20);
    assert_eq!(
        h.step_in(&w, 0, Mode::new(Privilege::U, 1, 0)),
        Ok(Flow::Resync)
    );
}

#[test]
fn floating_point_csrs_are_registers_while_fs_is_dirty() {
    // Instruction, number, immediate; fcsr before, after, what rd gets; whether the mode may change.
    let cases = [
        (Op::Csrrwi, 0x001, 0x0a, 0xf5, 0xea, 0x15, false),
        (Op::Csrrsi, 0x001, 0x0a, 0xf5, 0xff, 0x15, false),
        (Op::Csrrci, 0x001, 0x11, 0xf5, 0xe4, 0x15, false),
        (Op::Csrrsi, 0x001, 0, 0xf5, 0xf5, 0x15, false),
        (Op::Csrrwi, 0x002, 0x1b, 0xf5, 0x75, 7, true),
        (Op::Csrrci, 0x002, 0x1b, 0xf5, 0x95, 7, true),
        (Op::Csrrsi, 0x002, 0x02, 0x25, 0x65, 1, true),
        (Op::Csrrsi, 0x002, 0, 0x65, 0x65, 3, false),
        (Op::Csrrwi, 0x003, 0x1f, 0xf5, 0x1f, 0xf5, true),
        (Op::Csrrci, 0x003, 0x05, 0xf5, 0xf0, 0xf5, true),
        (Op::Csrrsi, 0x003, 0, 0xb3, 0xb3, 0xb3, false),
    ];
    let set = |h: &mut Hart, fcsr: u64| {
        h.slots[usize::from(slots::FFLAGS.0)] = fcsr & 31;
        h.slots[usize::from(slots::FRM.0)] = fcsr >> 5;
    };
    for (op, number, imm, before, after, rd, leaves) in cases {
        for to in [0, 12] {
            let mut h = Hart::new();
            set(&mut h, before);
            let flow = if leaves { Flow::Resync } else { Flow::Next };
            assert_eq!(h.step(word(op, to, imm, 0) | number << 20, 0), Ok(flow));
            let fcsr =
                h.slots[usize::from(slots::FRM.0)] << 5 | h.slots[usize::from(slots::FFLAGS.0)];
            assert_eq!(fcsr, after, "{op:?} {number} {imm}");
            assert_eq!(h.x(12), if to == 0 { 0 } else { rd });
            assert_eq!(h.calls, []);
        }
    }
    // The operand is read before rd is written.
    let mut h = Hart::new();
    set(&mut h, 0x61);
    h.set_x(12, 0xffff_ffff_ffff_ff02);
    let swap = word(Op::Csrrw, 12, 12, 0) | 3 << 20;
    assert_eq!(h.step(swap, 0), Ok(Flow::Resync));
    assert_eq!(h.x(12), 0x61);
    assert_eq!(h.slots[usize::from(slots::FRM.0)], 0);
    assert_eq!(h.slots[usize::from(slots::FFLAGS.0)], 2);
    // Clean: reads only.
    let clean = Mode::new(Privilege::U, 2, 0);
    for (imm, calls) in [(0, 0), (1, 1)] {
        h.calls.clear();
        let i = decode(word(Op::Csrrsi, 12, imm, 0) | 1 << 20);
        assert!(h.step_in(&i, 0, clean).is_ok());
        assert_eq!(h.calls.len(), calls);
    }
}

#[test]
fn system_instructions() {
    let mut h = Hart::new();
    h.set_x(10, 0x1234);
    h.set_x(11, 7);
    for (privilege, cause) in [(Privilege::U, 8), (Privilege::S, 9), (Privilege::M, 11)] {
        assert_eq!(
            h.step_in(&decode(0x73), 0, Mode::new(privilege, 3, 0)),
            Err(Stop::Exception(cause, 0))
        );
    }
    let sfence = decode(word(Op::SfenceVma, 0, 10, 11));
    assert_eq!(
        h.step_in(&sfence, 0, user()),
        Err(Stop::Exception(2, sfence.bits.into()))
    );
    let supervisor = Mode::new(Privilege::S, 3, 0);
    let cases: &[(u32, HelperId, &[u64], Flow)] = &[
        (
            sfence.bits,
            helper_id::SFENCE_VMA,
            &[0x1234, 7, 3, sfence.bits as u64],
            Flow::Resync,
        ),
        (
            word(Op::SfenceVma, 0, 0, 11),
            helper_id::SFENCE_VMA,
            &[0, 7, 2, 0x12b0_0073],
            Flow::Resync,
        ),
        (0x3020_0073, helper_id::MRET, &[0x3020_0073], Flow::Resync),
        (0x1020_0073, helper_id::SRET, &[0x1020_0073], Flow::Resync),
        (0x1050_0073, helper_id::WFI, &[0x1050_0073], Flow::Resync),
        (0x0010_0073, helper_id::EBREAK, &[0x40], Flow::Resync),
        (0x9002, helper_id::EBREAK, &[0x40], Flow::Resync),
        (0x0000_100f, helper_id::FENCE_I, &[], Flow::Resync),
        (
            0x0045_200f,
            helper_id::CBO,
            &[0x1234, 4, 0x0045_200f],
            Flow::Next,
        ),
        (0x01d0_0073, helper_id::WRS, &[1, 0x01d0_0073], Flow::Resync),
        (
            0x2ac5_472f,
            helper_id::AMOCAS_Q,
            &[0x1234, 14, 12, 1],
            Flow::Next,
        ),
    ];
    for &(w, id, args, flow) in cases {
        h.calls.clear();
        assert_eq!(h.step_in(&decode(w), 0x40, supervisor), Ok(flow), "{w:#x}");
        assert_eq!(h.calls, [(id, args.to_vec())], "{w:#x}");
    }
    h.calls.clear();
    // Hints do nothing.
    for w in [0x0100_000f, 0x0020_0033, 0x0005_6013, 0x6081, 0x0001] {
        assert_eq!(h.step_in(&decode(w), 0, user()), Ok(Flow::Next));
    }
    assert_eq!(h.calls, []);
}

#[test]
fn modes_survive_packing() {
    for privilege in [Privilege::U, Privilege::S, Privilege::M] {
        for fs in 0..4 {
            for frm in 0..8 {
                let m = Mode::new(privilege, fs, frm);
                assert_eq!(Mode::from_bits(m.to_bits()), m);
                assert_eq!(m.to_bits() >> 31 != 0, frm == 0);
            }
        }
    }
}
