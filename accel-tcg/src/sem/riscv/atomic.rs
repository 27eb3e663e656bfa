//! Atomics. All of them need natural alignment here.

use super::{Cx, helper_id};
use crate::sem::{MemOp, Ops, Rmw, Width};

/// The access that the instruction describes; results are sign-extended.
fn access<O: Ops>(c: &Cx<'_, O>, size: Width) -> MemOp {
    MemOp {
        size,
        sign: true,
        aligned: true,
        acquire: c.i.imm & 2 != 0,
        release: c.i.imm & 1 != 0,
    }
}

/// `amo*`
pub(super) fn amo<O: Ops>(c: &mut Cx<'_, O>, op: Rmw, size: Width) -> Result<(), O::Err> {
    let (addr, value) = (c.rs1(), c.rs2());
    let m = access(c, size);
    let old = c.o.rmw(op, m, addr, value)?;
    c.set_x(old);
    Ok(())
}

/// `lr`
pub(super) fn lr<O: Ops>(c: &mut Cx<'_, O>, size: Width) -> Result<(), O::Err> {
    let addr = c.rs1();
    let m = access(c, size);
    let v = c.o.load_reserved(m, addr)?;
    c.set_x(v);
    Ok(())
}

/// `sc`
pub(super) fn sc<O: Ops>(c: &mut Cx<'_, O>, size: Width) -> Result<(), O::Err> {
    let (addr, value) = (c.rs1(), c.rs2());
    let m = access(c, size);
    let failed = c.o.store_conditional(m, addr, value)?;
    c.set_x(failed);
    Ok(())
}

/// `amocas` up to 64 bits
pub(super) fn amocas<O: Ops>(c: &mut Cx<'_, O>, size: Width) -> Result<(), O::Err> {
    let (addr, new) = (c.rs1(), c.rs2());
    let expected = c.x(c.i.rd);
    let m = access(c, size);
    let old = c.o.cas(m, addr, expected, new)?;
    c.set_x(old);
    Ok(())
}

/// `amocas.q`, on register pairs; odd numbers are reserved.
pub(super) fn amocas_q<O: Ops>(c: &mut Cx<'_, O>) -> Result<(), O::Err> {
    if (c.i.rd | c.i.rs2) & 1 != 0 {
        return c.illegal();
    }
    let addr = c.rs1();
    let rd = c.o.imm(c.i.rd.into());
    let rs2 = c.o.imm(c.i.rs2.into());
    let order = c.o.imm(c.i.imm as u64);
    c.o.call(helper_id::AMOCAS_Q, &[addr, rd, rs2, order])?;
    Ok(())
}
