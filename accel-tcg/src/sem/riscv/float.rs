//! Floating point: F, D, Zfh, Zfa.
//!
//! An instruction that writes floating-point state (a register or, possibly, a flag) needs `mstatus.FS` = Dirty. The state of FS is part of
//! the mode a block is compiled for, so in Dirty mode, the usual one, nothing has to be done. In Clean mode such an instruction consists
//! only of a call of [`helper_id::MARK_FS_DIRTY`], which changes the mode and stops with Retry; then the instruction is executed again,
//! from a block for the new mode. The `resync` after the call is never reached; it tells the builder that the block ends here.

use super::mode::Fs;
use super::{Cx, helper_id, slots};
use crate::fp::{Format, Rounding};
use crate::sem::{Bin, FpBin, FpCmp, FpMinMax, IntFormat, MemOp, Ops, Round, Width};

/// Does what comes before any floating-point instruction; false if that is all that happens.
fn enter<O: Ops>(c: &mut Cx<'_, O>, writes: bool) -> Result<bool, O::Err> {
    match c.mode.fs {
        Fs::Off => {
            c.illegal()?;
            Ok(false)
        }
        Fs::Clean if writes => {
            c.o.call(helper_id::MARK_FS_DIRTY, &[])?;
            c.o.resync();
            Ok(false)
        }
        _ => Ok(true),
    }
}

/// The rounding mode, or none if it is reserved: then the instruction is illegal.
fn rounding<O: Ops>(c: &mut Cx<'_, O>) -> Result<Option<Round>, O::Err> {
    let fixed = match c.i.rm {
        0 => Rounding::Rne,
        1 => Rounding::Rtz,
        2 => Rounding::Rdn,
        3 => Rounding::Rup,
        4 => Rounding::Rmm,
        7 if c.mode.frm_valid => return Ok(Some(Round::Dynamic)),
        _ => {
            c.illegal()?;
            return Ok(None);
        }
    };
    Ok(Some(Round::Fixed(fixed)))
}

/// `enter` with `writes`, and `rounding`. An illegal rounding mode comes first: it must not make FS dirty.
fn enter_rounding<O: Ops>(c: &mut Cx<'_, O>) -> Result<Option<Round>, O::Err> {
    if c.mode.fs == Fs::Off {
        c.illegal()?;
        return Ok(None);
    }
    let Some(rm) = rounding(c)? else {
        return Ok(None);
    };
    Ok(if enter(c, true)? { Some(rm) } else { None })
}

/// Reads a register as a value of the format.
fn get<O: Ops>(c: &mut Cx<'_, O>, f: Format, n: u8) -> O::V {
    let v = c.o.get(slots::f(n));
    if f == Format::F64 {
        v
    } else {
        c.o.fp_unbox(f, v)
    }
}

/// Writes rd.
fn set<O: Ops>(c: &mut Cx<'_, O>, f: Format, v: O::V) {
    let v = if f == Format::F64 {
        v
    } else {
        c.o.fp_box(f, v)
    };
    c.o.set(slots::f(c.i.rd), v);
}

const fn width(f: Format) -> Width {
    match f {
        Format::F16 => Width::W16,
        Format::F32 => Width::W32,
        Format::F64 => Width::W64,
    }
}

pub(super) fn load<O: Ops>(c: &mut Cx<'_, O>, f: Format) -> Result<(), O::Err> {
    if !enter(c, true)? {
        return Ok(());
    }
    let addr = c.address();
    let v = c.o.load(MemOp::plain(width(f)), addr)?;
    set(c, f, v);
    Ok(())
}

/// Stores move bits: no check of the boxing.
pub(super) fn store<O: Ops>(c: &mut Cx<'_, O>, f: Format) -> Result<(), O::Err> {
    if !enter(c, false)? {
        return Ok(());
    }
    let addr = c.address();
    let v = c.o.get(slots::f(c.i.rs2));
    c.o.store(MemOp::plain(width(f)), addr, v)
}

pub(super) fn arith<O: Ops>(c: &mut Cx<'_, O>, f: Format, op: FpBin) -> Result<(), O::Err> {
    let Some(rm) = enter_rounding(c)? else {
        return Ok(());
    };
    let (a, b) = (get(c, f, c.i.rs1), get(c, f, c.i.rs2));
    let v = c.o.fp_bin(op, f, rm, a, b);
    set(c, f, v);
    Ok(())
}

pub(super) fn sqrt<O: Ops>(c: &mut Cx<'_, O>, f: Format) -> Result<(), O::Err> {
    let Some(rm) = enter_rounding(c)? else {
        return Ok(());
    };
    let a = get(c, f, c.i.rs1);
    let v = c.o.fp_sqrt(f, rm, a);
    set(c, f, v);
    Ok(())
}

pub(super) fn fma<O: Ops>(
    c: &mut Cx<'_, O>,
    f: Format,
    neg_product: bool,
    neg_addend: bool,
) -> Result<(), O::Err> {
    let Some(rm) = enter_rounding(c)? else {
        return Ok(());
    };
    let (a, b, d) = (get(c, f, c.i.rs1), get(c, f, c.i.rs2), get(c, f, c.i.rs3));
    let v = c.o.fp_fma(f, rm, neg_product, neg_addend, a, b, d);
    set(c, f, v);
    Ok(())
}

/// How sign injection makes the sign.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// That of rs2.
    Copy,
    /// The opposite of that of rs2.
    Negate,
    /// Both signs xored.
    Xor,
}

pub(super) fn sign_inject<O: Ops>(c: &mut Cx<'_, O>, f: Format, how: Sign) -> Result<(), O::Err> {
    if !enter(c, true)? {
        return Ok(());
    }
    const W: Width = Width::W64;
    let a = get(c, f, c.i.rs1);
    let sign = c.o.imm(1 << (width(f).bits() - 1));
    let v = if c.i.rs1 == c.i.rs2 {
        // The usual pseudo-instructions `fmv`, `fneg`, `fabs`.
        match how {
            Sign::Copy => a,
            Sign::Negate => c.o.bin(Bin::Xor, W, a, sign),
            Sign::Xor => c.o.bin(Bin::AndNot, W, a, sign),
        }
    } else {
        let b = get(c, f, c.i.rs2);
        let from_b = if how == Sign::Negate {
            c.o.bin(Bin::AndNot, W, sign, b)
        } else {
            c.o.bin(Bin::And, W, b, sign)
        };
        if how == Sign::Xor {
            c.o.bin(Bin::Xor, W, a, from_b)
        } else {
            let magnitude = c.o.bin(Bin::AndNot, W, a, sign);
            c.o.bin(Bin::Or, W, magnitude, from_b)
        }
    };
    set(c, f, v);
    Ok(())
}

pub(super) fn minmax<O: Ops>(c: &mut Cx<'_, O>, f: Format, op: FpMinMax) -> Result<(), O::Err> {
    if !enter(c, true)? {
        return Ok(());
    }
    let (a, b) = (get(c, f, c.i.rs1), get(c, f, c.i.rs2));
    let v = c.o.fp_minmax(op, f, a, b);
    set(c, f, v);
    Ok(())
}

/// Comparisons write an integer register, but may set the invalid flag.
pub(super) fn compare<O: Ops>(
    c: &mut Cx<'_, O>,
    f: Format,
    op: FpCmp,
    signaling: bool,
) -> Result<(), O::Err> {
    if !enter(c, true)? {
        return Ok(());
    }
    let (a, b) = (get(c, f, c.i.rs1), get(c, f, c.i.rs2));
    let v = c.o.fp_cmp(op, f, signaling, a, b);
    c.set_x(v);
    Ok(())
}

pub(super) fn classify<O: Ops>(c: &mut Cx<'_, O>, f: Format) -> Result<(), O::Err> {
    if !enter(c, false)? {
        return Ok(());
    }
    let a = get(c, f, c.i.rs1);
    let v = c.o.fp_classify(f, a);
    c.set_x(v);
    Ok(())
}

pub(super) fn to_int<O: Ops>(
    c: &mut Cx<'_, O>,
    f: Format,
    width: Width,
    signed: bool,
) -> Result<(), O::Err> {
    let Some(rm) = enter_rounding(c)? else {
        return Ok(());
    };
    let a = get(c, f, c.i.rs1);
    let v = c.o.fp_to_int(f, rm, IntFormat { width, signed }, a);
    c.set_x(v);
    Ok(())
}

pub(super) fn from_int<O: Ops>(
    c: &mut Cx<'_, O>,
    f: Format,
    width: Width,
    signed: bool,
) -> Result<(), O::Err> {
    let Some(rm) = enter_rounding(c)? else {
        return Ok(());
    };
    let a = c.rs1();
    let v = c.o.fp_from_int(f, rm, IntFormat { width, signed }, a);
    set(c, f, v);
    Ok(())
}

pub(super) fn convert<O: Ops>(c: &mut Cx<'_, O>, to: Format, from: Format) -> Result<(), O::Err> {
    let Some(rm) = enter_rounding(c)? else {
        return Ok(());
    };
    let a = get(c, from, c.i.rs1);
    let v = c.o.fp_convert(from, to, rm, a);
    set(c, to, v);
    Ok(())
}

/// `fmv.x.*`: the low bits, whatever the boxing, sign-extended
pub(super) fn move_to_int<O: Ops>(c: &mut Cx<'_, O>, f: Format) -> Result<(), O::Err> {
    if !enter(c, false)? {
        return Ok(());
    }
    let v = c.o.get(slots::f(c.i.rs1));
    let v = if f == Format::F64 {
        v
    } else {
        c.o.ext(true, width(f), v)
    };
    c.set_x(v);
    Ok(())
}

/// `fmv.*.x`
pub(super) fn move_from_int<O: Ops>(c: &mut Cx<'_, O>, f: Format) -> Result<(), O::Err> {
    if !enter(c, true)? {
        return Ok(());
    }
    let v = c.rs1();
    set(c, f, v);
    Ok(())
}

pub(super) fn round<O: Ops>(c: &mut Cx<'_, O>, f: Format, exact: bool) -> Result<(), O::Err> {
    let Some(rm) = enter_rounding(c)? else {
        return Ok(());
    };
    let a = get(c, f, c.i.rs1);
    let v = c.o.fp_round(f, rm, exact, a);
    set(c, f, v);
    Ok(())
}

/// `fcvtmod.w.d`
pub(super) fn to_int_mod<O: Ops>(c: &mut Cx<'_, O>) -> Result<(), O::Err> {
    if !enter(c, true)? {
        return Ok(());
    }
    let a = get(c, Format::F64, c.i.rs1);
    let v = c.o.fp_to_int_mod(a);
    c.set_x(v);
    Ok(())
}

/// `fli`
pub(super) fn load_constant<O: Ops>(c: &mut Cx<'_, O>, f: Format) -> Result<(), O::Err> {
    if !enter(c, true)? {
        return Ok(());
    }
    let v = c.o.imm(crate::fp::fli(f, c.i.rs1));
    set(c, f, v);
    Ok(())
}
