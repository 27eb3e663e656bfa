//! Base integer instructions: arithmetic, loads and stores, jumps and branches.

use super::Cx;
use crate::sem::{Bin, Cond, Fence, JumpKind, MemOp, Ops, Un, Width};

/// Result of a 32-bit operation: sign-extended.
pub(super) fn set_w<O: Ops>(c: &mut Cx<'_, O>, v: O::V) {
    let v = c.o.ext(true, Width::W32, v);
    c.set_x(v);
}

/// `rd = rs1 op rs2`
pub(super) fn reg<O: Ops>(c: &mut Cx<'_, O>, op: Bin) -> Result<(), O::Err> {
    let (a, b) = (c.rs1(), c.rs2());
    let v = c.o.bin(op, Width::W64, a, b);
    c.set_x(v);
    Ok(())
}

/// `rd = rs1 op imm`
pub(super) fn imm<O: Ops>(c: &mut Cx<'_, O>, op: Bin) -> Result<(), O::Err> {
    let a = c.rs1();
    // `li`, `mv` and `nop` are common enough to be spared an addition.
    let v = match (op, c.i.rs1, c.i.imm) {
        (Bin::Add, 0, _) => c.imm(),
        (Bin::Add, _, 0) => a,
        _ => {
            let b = c.imm();
            c.o.bin(op, Width::W64, a, b)
        }
    };
    c.set_x(v);
    Ok(())
}

/// 32-bit `rd = rs1 op rs2`
pub(super) fn reg_w<O: Ops>(c: &mut Cx<'_, O>, op: Bin) -> Result<(), O::Err> {
    let (a, b) = (c.rs1(), c.rs2());
    let v = c.o.bin(op, Width::W32, a, b);
    set_w(c, v);
    Ok(())
}

/// 32-bit `rd = rs1 op imm`
pub(super) fn imm_w<O: Ops>(c: &mut Cx<'_, O>, op: Bin) -> Result<(), O::Err> {
    let a = c.rs1();
    let v = if c.i.imm == 0 {
        a
    } else {
        let b = c.imm();
        c.o.bin(op, Width::W32, a, b)
    };
    set_w(c, v);
    Ok(())
}

/// `rd = op rs1`
pub(super) fn unary<O: Ops>(c: &mut Cx<'_, O>, op: Un, w: Width) -> Result<(), O::Err> {
    let a = c.rs1();
    let v = c.o.un(op, w, a);
    c.set_x(v);
    Ok(())
}

/// `rd` = the low bits of `rs1`, extended
pub(super) fn extend<O: Ops>(c: &mut Cx<'_, O>, signed: bool, from: Width) -> Result<(), O::Err> {
    let a = c.rs1();
    let v = c.o.ext(signed, from, a);
    c.set_x(v);
    Ok(())
}

/// `rd = rs1 cond rs2`
pub(super) fn set_if<O: Ops>(c: &mut Cx<'_, O>, cond: Cond) -> Result<(), O::Err> {
    let (a, b) = (c.rs1(), c.rs2());
    let v = c.o.cmp(cond, Width::W64, a, b);
    c.set_x(v);
    Ok(())
}

/// `rd = rs1 cond imm`
pub(super) fn set_if_imm<O: Ops>(c: &mut Cx<'_, O>, cond: Cond) -> Result<(), O::Err> {
    let a = c.rs1();
    let b = c.imm();
    let v = c.o.cmp(cond, Width::W64, a, b);
    c.set_x(v);
    Ok(())
}

/// `lui`, `auipc`
pub(super) fn upper<O: Ops>(c: &mut Cx<'_, O>, base: u64) -> Result<(), O::Err> {
    let v = c.o.imm(base.wrapping_add(c.i.imm as u64));
    c.set_x(v);
    Ok(())
}

/// Loads. A load to x0 still accesses memory.
pub(super) fn load<O: Ops>(c: &mut Cx<'_, O>, m: MemOp) -> Result<(), O::Err> {
    let addr = c.address();
    let v = c.o.load(m, addr)?;
    c.set_x(v);
    Ok(())
}

/// Stores.
pub(super) fn store<O: Ops>(c: &mut Cx<'_, O>, size: Width) -> Result<(), O::Err> {
    let addr = c.address();
    let v = c.rs2();
    c.o.store(MemOp::plain(size), addr, v)
}

/// Conditional branches. Targets are even, and with compressed instructions every even address is aligned.
pub(super) fn branch<O: Ops>(c: &mut Cx<'_, O>, cond: Cond) -> Result<(), O::Err> {
    let (a, b) = (c.rs1(), c.rs2());
    let target = c.pc.wrapping_add(c.i.imm as u64);
    c.o.branch(cond, Width::W64, a, b, target);
    Ok(())
}

/// x1 and x5 are the link registers of the calling convention (unprivileged manual, "Unconditional Jumps").
const fn is_link(n: u8) -> bool {
    n == 1 || n == 5
}

pub(super) fn jal<O: Ops>(c: &mut Cx<'_, O>) -> Result<(), O::Err> {
    let link = c.o.imm(c.next());
    c.set_x(link);
    let kind = if is_link(c.i.rd) {
        JumpKind::Call
    } else {
        JumpKind::Plain
    };
    c.o.jump(c.pc.wrapping_add(c.i.imm as u64), kind);
    Ok(())
}

pub(super) fn jalr<O: Ops>(c: &mut Cx<'_, O>) -> Result<(), O::Err> {
    let target = c.address();
    let mask = c.o.imm(!1);
    let target = c.o.bin(Bin::And, Width::W64, target, mask);
    let link = c.o.imm(c.next());
    c.set_x(link);
    let kind = match (is_link(c.i.rd), is_link(c.i.rs1)) {
        (true, _) => JumpKind::Call,
        (false, true) => JumpKind::Return,
        (false, false) => JumpKind::Plain,
    };
    c.o.jump_reg(target, kind);
    Ok(())
}

/// `fence`: only a fence that orders earlier writes before later reads needs the full one.
pub(super) fn fence<O: Ops>(c: &mut Cx<'_, O>) -> Result<(), O::Err> {
    const READ: i32 = 0b1010; // i, r
    const WRITE: i32 = 0b0101; // o, w
    let (pred, succ) = (c.i.imm >> 4 & 15, c.i.imm & 15);
    if pred == 0 || succ == 0 {
        return Ok(());
    }
    let full = pred & WRITE != 0 && succ & READ != 0;
    c.o.fence(if full {
        Fence::Full
    } else {
        Fence::AcquireRelease
    });
    Ok(())
}

/// `czero.eqz`, `czero.nez`: zero if rs2 compares so with zero.
pub(super) fn czero<O: Ops>(c: &mut Cx<'_, O>, cond: Cond) -> Result<(), O::Err> {
    let (a, b) = (c.rs1(), c.rs2());
    let zero = c.o.imm(0);
    let v = c.o.select(cond, Width::W64, b, zero, zero, a);
    c.set_x(v);
    Ok(())
}

/// May-be operations write zero.
pub(super) fn mop<O: Ops>(c: &mut Cx<'_, O>) -> Result<(), O::Err> {
    let v = c.o.imm(0);
    c.set_x(v);
    Ok(())
}
