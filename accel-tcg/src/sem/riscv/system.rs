//! CSRs, privileged instructions, cache management.

use super::helper_id::{self, csr};
use super::mode::{Fs, Privilege};
use super::{Cx, ECALL_FROM_U, slots};
use crate::sem::{Bin, HelperId, Ops, Width};

/// CSRs whose value has no influence on mode, translation or interrupts: `sscratch`, `sepc`, `scause`, `stval`, `mscratch`, `mepc`,
/// `mcause`, `mtval`.
const INERT: [i32; 8] = [0x140, 0x141, 0x142, 0x143, 0x340, 0x341, 0x342, 0x343];
const FFLAGS: i32 = 0x001;
const FRM: i32 = 0x002;
const FCSR: i32 = 0x003;

/// `csrrw`, `csrrs`, `csrrc` and their immediate forms
pub(super) fn csr<O: Ops>(c: &mut Cx<'_, O>, kind: u64, immediate: bool) -> Result<(), O::Err> {
    // For an immediate form the field of rs1 is the operand, and the same rule holds: zero means no write.
    let kind = match kind {
        csr::WRITE if c.i.rd == 0 => csr::WRITE_ONLY,
        csr::SET | csr::CLEAR if c.i.rs1 == 0 => csr::READ,
        kind => kind,
    };
    let operand = if immediate {
        c.o.imm(c.i.rs1.into())
    } else {
        c.rs1()
    };
    if matches!(c.i.imm, FFLAGS | FRM | FCSR)
        && (c.mode.fs == Fs::Dirty || c.mode.fs == Fs::Clean && kind == csr::READ)
    {
        return fp_csr(c, kind, operand);
    }
    let number = c.o.imm(c.i.imm as u64);
    let k = c.o.imm(kind);
    let bits = c.bits();
    let old =
        c.o.call(helper_id::CSR_ACCESS, &[number, k, operand, bits])?;
    if kind != csr::WRITE_ONLY {
        c.set_x(old);
    }
    // Writing `fflags` changes FS unless it is Dirty already.
    let inert = INERT.contains(&c.i.imm) || c.i.imm == FFLAGS && c.mode.fs == Fs::Dirty;
    if kind != csr::READ && !inert {
        c.o.resync();
    }
    Ok(())
}

/// Access to `fflags`, `frm` or `fcsr` that changes nothing else.
fn fp_csr<O: Ops>(c: &mut Cx<'_, O>, kind: u64, operand: O::V) -> Result<(), O::Err> {
    const W: Width = Width::W64;
    let (flags, frm) = (c.i.imm != FRM, c.i.imm != FFLAGS);
    let mask = c.o.imm(match c.i.imm {
        FFLAGS => 0x1f,
        FRM => 7,
        _ => 0xff,
    });
    let old = match (flags, frm) {
        _ if kind == csr::WRITE_ONLY => None,
        (true, false) => Some(c.o.get(slots::FFLAGS)),
        (false, _) => Some(c.o.get(slots::FRM)),
        (true, true) => {
            let (flags, frm) = (c.o.get(slots::FFLAGS), c.o.get(slots::FRM));
            let five = c.o.imm(5);
            let frm = c.o.bin(Bin::Shl, W, frm, five);
            Some(c.o.bin(Bin::Or, W, flags, frm))
        }
    };
    let new = match (kind, old) {
        (csr::READ, _) => None,
        (csr::SET, Some(old)) => Some(c.o.bin(Bin::Or, W, old, operand)),
        (csr::CLEAR, Some(old)) => Some(c.o.bin(Bin::AndNot, W, old, operand)),
        _ => Some(operand),
    };
    if let Some(new) = new {
        let new = c.o.bin(Bin::And, W, new, mask);
        match (flags, frm) {
            (true, false) => c.o.set(slots::FFLAGS, new),
            (false, _) => c.o.set(slots::FRM, new),
            (true, true) => {
                let (low, five) = (c.o.imm(0x1f), c.o.imm(5));
                let flags = c.o.bin(Bin::And, W, new, low);
                c.o.set(slots::FFLAGS, flags);
                let frm = c.o.bin(Bin::Shr, W, new, five);
                c.o.set(slots::FRM, frm);
            }
        }
    }
    if let Some(old) = old {
        c.set_x(old);
    }
    // The rounding mode is part of the mode.
    if new.is_some() && frm {
        c.o.resync();
    }
    Ok(())
}

/// Calls a helper with the instruction's bits, then looks afresh at everything.
pub(super) fn with_bits<O: Ops>(c: &mut Cx<'_, O>, h: HelperId) -> Result<(), O::Err> {
    let bits = c.bits();
    c.o.call(h, &[bits])?;
    c.o.resync();
    Ok(())
}

/// Environment call: one cause for each privilege level.
pub(super) fn ecall<O: Ops>(c: &mut Cx<'_, O>) -> Result<(), O::Err> {
    let zero = c.o.imm(0);
    c.o.raise(ECALL_FROM_U + c.mode.privilege as u64, zero)
}

/// Breakpoint. Whether it is part of the semihosting sequence, the helper sees from the address.
pub(super) fn ebreak<O: Ops>(c: &mut Cx<'_, O>) -> Result<(), O::Err> {
    let pc = c.o.imm(c.pc);
    c.o.call(helper_id::EBREAK, &[pc])?;
    c.o.resync();
    Ok(())
}

/// `sfence.vma`, `sinval.vma`
pub(super) fn sfence_vma<O: Ops>(c: &mut Cx<'_, O>) -> Result<(), O::Err> {
    if c.mode.privilege == Privilege::U {
        return c.illegal();
    }
    let (addr, asid) = (c.rs1(), c.rs2());
    let present =
        c.o.imm(u64::from(c.i.rs1 != 0) | u64::from(c.i.rs2 != 0) << 1);
    let bits = c.bits();
    c.o.call(helper_id::SFENCE_VMA, &[addr, asid, present, bits])?;
    c.o.resync();
    Ok(())
}

/// `fence.i`
pub(super) fn fence_i<O: Ops>(c: &mut Cx<'_, O>) -> Result<(), O::Err> {
    c.o.call(helper_id::FENCE_I, &[])?;
    c.o.resync();
    Ok(())
}

/// `cbo.*`: the kind stands in the place of rs2.
pub(super) fn cbo<O: Ops>(c: &mut Cx<'_, O>) -> Result<(), O::Err> {
    let addr = c.rs1();
    let kind = c.o.imm(c.i.rs2.into());
    let bits = c.bits();
    c.o.call(helper_id::CBO, &[addr, kind, bits])?;
    Ok(())
}

/// `wrs.nto`, `wrs.sto`
pub(super) fn wrs<O: Ops>(c: &mut Cx<'_, O>, kind: u64) -> Result<(), O::Err> {
    let kind = c.o.imm(kind);
    let bits = c.bits();
    c.o.call(helper_id::WRS, &[kind, bits])?;
    c.o.resync();
    Ok(())
}
