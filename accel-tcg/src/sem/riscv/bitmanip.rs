//! Bit manipulation that is more than one operation.

use super::Cx;
use crate::sem::{Bin, Ops, Un, Width};

const W: Width = Width::W64;

/// `rd = rs2 + (rs1 << shift)`; with `word`, rs1 is zero-extended from 32 bits first.
pub(super) fn shift_add<O: Ops>(c: &mut Cx<'_, O>, shift: u64, word: bool) -> Result<(), O::Err> {
    let (mut a, b) = (c.rs1(), c.rs2());
    if word {
        a = c.o.ext(false, Width::W32, a);
    }
    if shift != 0 {
        let n = c.o.imm(shift);
        a = c.o.bin(Bin::Shl, W, a, n);
    }
    // `zext.w` is `add.uw` with x0.
    let v = if c.i.rs2 == 0 {
        a
    } else {
        c.o.bin(Bin::Add, W, a, b)
    };
    c.set_x(v);
    Ok(())
}

/// `slli.uw`
pub(super) fn slli_uw<O: Ops>(c: &mut Cx<'_, O>) -> Result<(), O::Err> {
    let a = c.rs1();
    let a = c.o.ext(false, Width::W32, a);
    let n = c.imm();
    let v = c.o.bin(Bin::Shl, W, a, n);
    c.set_x(v);
    Ok(())
}

/// `orn`, `xnor`: `rs1 op !rs2`
pub(super) fn with_not<O: Ops>(c: &mut Cx<'_, O>, op: Bin) -> Result<(), O::Err> {
    let (a, b) = (c.rs1(), c.rs2());
    let b = c.o.un(Un::Not, W, b);
    let v = c.o.bin(op, W, a, b);
    c.set_x(v);
    Ok(())
}

/// `clmulr`: bits 126 to 63 of the carry-less product.
pub(super) fn clmulr<O: Ops>(c: &mut Cx<'_, O>) -> Result<(), O::Err> {
    let (a, b) = (c.rs1(), c.rs2());
    let high = c.o.bin(Bin::ClMulHi, W, a, b);
    let low = c.o.bin(Bin::ClMul, W, a, b);
    let (one, sixty_three) = (c.o.imm(1), c.o.imm(63));
    let high = c.o.bin(Bin::Shl, W, high, one);
    let low = c.o.bin(Bin::Shr, W, low, sixty_three);
    let v = c.o.bin(Bin::Or, W, high, low);
    c.set_x(v);
    Ok(())
}

/// The mask for one bit, its number being in rs2 or the immediate.
fn bit<O: Ops>(c: &mut Cx<'_, O>, immediate: bool) -> O::V {
    if immediate {
        return c.o.imm(1 << (c.i.imm & 63));
    }
    let one = c.o.imm(1);
    let n = c.rs2();
    c.o.bin(Bin::Shl, W, one, n)
}

/// `bclr`, `binv`, `bset` and their immediate forms
pub(super) fn single_bit<O: Ops>(
    c: &mut Cx<'_, O>,
    op: Bin,
    immediate: bool,
) -> Result<(), O::Err> {
    let a = c.rs1();
    let b = bit(c, immediate);
    let v = c.o.bin(op, W, a, b);
    c.set_x(v);
    Ok(())
}

/// `bext`, `bexti`
pub(super) fn bext<O: Ops>(c: &mut Cx<'_, O>, immediate: bool) -> Result<(), O::Err> {
    let a = c.rs1();
    let n = if immediate { c.imm() } else { c.rs2() };
    let one = c.o.imm(1);
    let v = c.o.bin(Bin::Shr, W, a, n);
    let v = c.o.bin(Bin::And, W, v, one);
    c.set_x(v);
    Ok(())
}
