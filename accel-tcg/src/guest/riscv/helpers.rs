//! The helper functions of RISC-V semantics, in the order of [`crate::sem::riscv::helper_id`].

use ambidex_cpu::Exit;
use ambidex_cpu::riscv::csr::{CsrEffect, CsrOp};
use ambidex_cpu::riscv::{Exception as Cpu, Priv, Trap};

use super::{Env, Riscv, exception};
use crate::engine::vcpu::VirtualMem;
use crate::guest::{AccessKind, Flush, Guest, Helper, HelperCx, Stop};
use crate::regs::NO_RESERVATION;
use crate::sem::Width;
use crate::sem::riscv::{helper_id as id, slots};

type Cx<'a, 'b> = &'b mut HelperCx<'a, Riscv>;
type Outcome = Result<u64, Stop>;

pub(super) const TABLE: &[Helper<Riscv>] = {
    const fn h(
        name: &'static str,
        run: fn(&mut HelperCx<'_, Riscv>, [u64; 4]) -> Outcome,
    ) -> Helper<Riscv> {
        Helper {
            name,
            run,
            pure: false,
        }
    }
    &[
        h("mark_fs_dirty", mark_fs_dirty),
        h("csr", csr_access),
        h("mret", mret),
        h("sret", sret),
        h("wfi", wfi),
        h("ebreak", ebreak),
        h("sfence_vma", sfence_vma),
        h("sfence_inval", sfence_inval),
        h("fence_i", fence_i),
        h("cbo", cbo),
        h("wrs", wrs),
        h("amocas_q", amocas_q),
    ]
};

const _: () = assert!(TABLE.len() == id::COUNT);

const PC: usize = slots::PC.0 as usize;
/// Bytes of a cache block.
const CACHE_BLOCK: u64 = 64;

fn trap(t: Trap, bits: u64) -> Stop {
    exception(t.with_insn(bits as u32)).into()
}

fn mark_fs_dirty(cx: Cx<'_, '_>, _: [u64; 4]) -> Outcome {
    cx.guest.hart.mark_fs_dirty();
    Err(Stop::Retry)
}

/// CSRs whose value depends on the clock or an instruction count; only for these is the clock read.
fn needs_clock(csr: u64) -> bool {
    matches!(csr, 0xc00..=0xc1f | 0xb00..=0xb1f | 0x14d | 0x144 | 0x344 | 0x320)
}

fn csr_access(cx: Cx<'_, '_>, [number, kind, operand, bits]: [u64; 4]) -> Outcome {
    let op = match kind {
        id::csr::WRITE | id::csr::WRITE_ONLY => CsrOp::Write(operand),
        id::csr::SET => CsrOp::Set(operand),
        id::csr::CLEAR => CsrOp::Clear(operand),
        _ => CsrOp::Read,
    };
    let (time, instructions) = if needs_clock(number) {
        let now = cx.bus().now();
        cx.guest.update_timer(now);
        // Without exact counting, cycles and instructions pass at one for each nanosecond.
        (cx.guest.ticks(now), cx.instructions.unwrap_or(now))
    } else {
        (0, 0)
    };
    let latched = cx.pins.take_latched();
    if latched != 0 {
        cx.guest.hart.latch(latched);
    }
    let mut env = Env {
        regs: cx.regs,
        time,
        instructions,
        pins: cx.pins.level(),
    };
    let (old, effect) = cx
        .guest
        .hart
        .csr_access(number as u16, op, &mut env)
        .map_err(|t| trap(t, bits))?;
    if effect.contains(CsrEffect::FLUSH_TLB) {
        cx.flush(Flush::All);
    }
    if effect.contains(CsrEffect::TRANSLATION) {
        // Reservations are of virtual addresses, which mean something else now.
        cx.reservation.addr = NO_RESERVATION;
    }
    if effect.contains(CsrEffect::TIMER) {
        cx.events.timer = true;
    }
    Ok(old)
}

fn mret(cx: Cx<'_, '_>, [bits, ..]: [u64; 4]) -> Outcome {
    cx.regs[PC] = cx.guest.hart.mret().map_err(|t| trap(t, bits))?;
    Err(Stop::Jumped)
}

fn sret(cx: Cx<'_, '_>, [bits, ..]: [u64; 4]) -> Outcome {
    cx.regs[PC] = cx.guest.hart.sret().map_err(|t| trap(t, bits))?;
    Err(Stop::Jumped)
}

fn wfi(cx: Cx<'_, '_>, [bits, ..]: [u64; 4]) -> Outcome {
    cx.guest.hart.wfi_allowed().map_err(|t| trap(t, bits))?;
    if cx.guest.wakes(cx.pins) {
        return Ok(0);
    }
    cx.guest.waiting = true;
    Err(Stop::Exit(Exit::Halt))
}

/// Semihosting (RISC-V Semihosting 1.0): `slli x0,x0,0x1f; ebreak; srai x0,x0,7`, all uncompressed.
fn is_semihosting(cx: Cx<'_, '_>, pc: u64) -> bool {
    let mut word = |at: u64| {
        let mut b = [0; 4];
        cx.mmu
            .fetch_bytes(cx.guest, at, &mut b)
            .ok()
            .map(|()| u32::from_le_bytes(b))
    };
    word(pc.wrapping_sub(4)) == Some(0x01f0_1013)
        && word(pc) == Some(0x0010_0073)
        && word(pc.wrapping_add(4)) == Some(0x4070_5013)
}

fn ebreak(cx: Cx<'_, '_>, [pc, ..]: [u64; 4]) -> Outcome {
    if cx.guest.semihosting && is_semihosting(cx, pc) {
        let (op, arg) = (cx.regs[10], cx.regs[11]);
        let (bus, cpu) = (cx.bus(), cx.cpu());
        let result = bus.semihost(cpu, op, arg, &mut VirtualMem(cx));
        cx.regs[10] = result;
        return Ok(0);
    }
    Err(exception(Trap::exception(Cpu::Breakpoint, pc)).into())
}

fn sfence_vma(cx: Cx<'_, '_>, [addr, asid, present, bits]: [u64; 4]) -> Outcome {
    cx.guest.hart.sfence_allowed().map_err(|t| trap(t, bits))?;
    let page = (present & 1 != 0).then_some(addr);
    let what = if present & 2 != 0 {
        let (mask, value) = Riscv::asid_filter(asid as u16);
        Flush::Banks { mask, value, page }
    } else {
        page.map_or(Flush::All, Flush::Page)
    };
    cx.flush(what);
    cx.reservation.addr = NO_RESERVATION;
    Ok(0)
}

fn sfence_inval(cx: Cx<'_, '_>, [bits, ..]: [u64; 4]) -> Outcome {
    cx.guest
        .hart
        .sfence_inval_allowed()
        .map_err(|t| trap(t, bits))?;
    Ok(0)
}

fn fence_i(cx: Cx<'_, '_>, _: [u64; 4]) -> Outcome {
    cx.events.instruction_fence = true;
    Ok(0)
}

fn cbo(cx: Cx<'_, '_>, [addr, kind, bits, _]: [u64; 4]) -> Outcome {
    let block = addr & !(CACHE_BLOCK - 1);
    match kind {
        id::cbo::ZERO => {
            cx.guest
                .hart
                .cbo_zero_allowed()
                .map_err(|t| trap(t, bits))?;
            // The exception reports the address in the register, not the block's.
            cx.probe(addr, 1, AccessKind::Write)?;
            for i in (0..CACHE_BLOCK).step_by(8) {
                cx.store(block + i, Width::W64, 0)?;
            }
        }
        id::cbo::INVAL => {
            cx.guest
                .hart
                .cbo_inval_allowed()
                .map_err(|t| trap(t, bits))?;
            manage(cx, addr)?;
        }
        _ => {
            cx.guest
                .hart
                .cbo_clean_flush_allowed()
                .map_err(|t| trap(t, bits))?;
            manage(cx, addr)?;
        }
    }
    Ok(0)
}

/// Cache-block management needs permission to load or to store (CMO extensions, "Traps"); caches are coherent here, so it does nothing more.
fn manage(cx: Cx<'_, '_>, addr: u64) -> Result<(), Stop> {
    if cx.probe(addr, 1, AccessKind::Read).is_ok() {
        return Ok(());
    }
    cx.probe(addr, 1, AccessKind::Write).map(|_| ())
}

fn wrs(cx: Cx<'_, '_>, [kind, bits, ..]: [u64; 4]) -> Outcome {
    // `wrs.nto` in a mode where `wfi` would trap does so too (Zawrs). A bounded wait of length zero is allowed.
    const TW: u64 = 1 << 21;
    if kind == 0 && cx.guest.hart.privilege() != Priv::Machine && cx.guest.hart.mstatus() & TW != 0
    {
        return Err(trap(Trap::illegal(bits as u32), bits));
    }
    std::thread::yield_now();
    Ok(0)
}

fn amocas_q(cx: Cx<'_, '_>, [addr, rd, rs2, _]: [u64; 4]) -> Outcome {
    if addr & 15 != 0 {
        return Err(cx.guest.misaligned(addr, AccessKind::Write).into());
    }
    let pair = |cx: &HelperCx<'_, Riscv>, r: u64| -> (u64, u64) {
        if r == 0 {
            (0, 0)
        } else {
            (cx.regs[r as usize & 31], cx.regs[(r as usize & 31) + 1])
        }
    };
    let expected = pair(cx, rd & 30);
    let new = pair(cx, rs2 & 30);
    cx.probe(addr, 16, AccessKind::Write)?;
    let old = cx.mmu.cas16(cx.guest, addr, expected, new)?;
    if rd & 30 != 0 {
        cx.regs[rd as usize & 30] = old.0;
        cx.regs[(rd as usize & 30) + 1] = old.1;
    }
    Ok(0)
}
