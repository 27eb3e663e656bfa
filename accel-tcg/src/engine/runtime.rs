//! The functions compiled code calls: the slow paths of memory, helpers, exceptions, software floating point.
//!
//! Each gets the [`Context`], finds the engine through it, and either returns a result with status 0 or notes a [`Stop`] and returns status 1, upon
//! which compiled code leaves at once.
#![expect(
    unsafe_code,
    reason = "the engine is found through a raw pointer that went through compiled code"
)]

use super::core::Core;
use super::hooks::BLOCK_HOOK;
use crate::fp::Rounding;
use crate::fp::op::{FpEnv, FpOp, rounding};
use crate::guest::{AccessKind, Exception, Guest, Stop};
use crate::interp::arith::sext;
use crate::jit::{Pair, RuntimeFns};
use crate::regs::{Context, NO_RESERVATION};
use crate::sem::{MemOp, Rmw};

/// The functions for a guest.
pub fn runtime_fns<G: Guest>() -> RuntimeFns {
    RuntimeFns {
        load: load::<G> as *const () as usize,
        store: store::<G> as *const () as usize,
        rmw: rmw::<G> as *const () as usize,
        cas: cas::<G> as *const () as usize,
        load_reserved: load_reserved::<G> as *const () as usize,
        store_conditional: store_conditional::<G> as *const () as usize,
        call: call::<G> as *const () as usize,
        fp: fp::<G> as *const () as usize,
        raise: raise::<G> as *const () as usize,
    }
}

const fn good(value: u64) -> Pair {
    Pair { value, status: 0 }
}

/// The engine behind a context.
///
/// # Safety
/// Called from a runtime function, that is from compiled code that the engine entered and waits for.
unsafe fn core<'a, G: Guest>(ctx: *mut Context) -> &'a mut Core<G> {
    // SAFETY: `Core::enter` stored its own address just before it entered compiled code, and does not touch itself until that returns.
    unsafe { &mut *((*ctx).owner as *mut Core<G>) }
}

fn settle<G: Guest>(core: &mut Core<G>, result: Result<u64, Stop>) -> Pair {
    match result {
        Ok(value) => good(value),
        Err(stop) => {
            core.stop = Some(stop);
            Pair {
                value: 0,
                status: 1,
            }
        }
    }
}

fn extend(m: MemOp, v: u64) -> u64 {
    if m.sign { sext(m.size, v) } else { v }
}

/// A misaligned access that the instruction does not allow.
fn alignment<G: Guest>(core: &Core<G>, m: MemOp, va: u64, kind: AccessKind) -> Result<(), Stop> {
    if m.aligned && va & u64::from(m.size.bytes() - 1) != 0 {
        return Err(core.guest.misaligned(va, kind).into());
    }
    Ok(())
}

impl<G: Guest> Core<G> {
    /// For plain loads and stores, which leave devices to the interpreter where counts are exact.
    fn with_io<R>(
        &mut self,
        count: Option<u64>,
        f: impl FnOnce(&mut crate::guest::HelperCx<'_, G>) -> R,
    ) -> R {
        let defer = self.tuning.count;
        self.with_cx(count, |cx| {
            cx.io.defer = defer;
            f(cx)
        })
    }

    /// Instruction count at the call out that is under way, if anybody counts.
    fn count_at_call(&mut self) -> Option<u64> {
        if !self.tuning.count {
            return None;
        }
        let host = self.ctx().exit_payload[3];
        Some(self.executed_at_host(host))
    }
}

extern "sysv64" fn load<G: Guest>(ctx: *mut Context, va: u64, desc: u64) -> Pair {
    // SAFETY: this is a runtime function.
    let core = unsafe { core::<G>(ctx) };
    let m = MemOp::unpack(desc);
    let count = core.count_at_call();
    let r = alignment(core, m, va, AccessKind::Read)
        .and_then(|()| core.with_io(count, |cx| cx.mmu.load(cx.guest, cx.io, va, m.size)))
        .map(|v| extend(m, v));
    settle(core, r)
}

extern "sysv64" fn store<G: Guest>(ctx: *mut Context, va: u64, desc: u64, value: u64) -> Pair {
    // SAFETY: this is a runtime function.
    let core = unsafe { core::<G>(ctx) };
    let m = MemOp::unpack(desc);
    let count = core.count_at_call();
    let r = alignment(core, m, va, AccessKind::Write)
        .and_then(|()| core.with_io(count, |cx| cx.mmu.store(cx.guest, cx.io, va, m.size, value)))
        .map(|()| 0);
    settle(core, r)
}

extern "sysv64" fn rmw<G: Guest>(ctx: *mut Context, va: u64, desc: u64, value: u64) -> Pair {
    // SAFETY: this is a runtime function.
    let core = unsafe { core::<G>(ctx) };
    let m = MemOp::unpack(desc);
    let Some(op) = Rmw::from_index(desc >> 32) else {
        return settle(core, Err(Stop::Retry));
    };
    let r = core
        .with_cx(None, |cx| cx.mmu.rmw(cx.guest, va, m, op, value))
        .map(|v| extend(m, v));
    settle(core, r)
}

extern "sysv64" fn cas<G: Guest>(
    ctx: *mut Context,
    va: u64,
    desc: u64,
    expected: u64,
    new: u64,
) -> Pair {
    // SAFETY: this is a runtime function.
    let core = unsafe { core::<G>(ctx) };
    let m = MemOp::unpack(desc);
    let expected = expected & m.size.mask();
    let r = core
        .with_cx(None, |cx| cx.mmu.cas(cx.guest, va, m, expected, new))
        .map(|v| extend(m, v));
    settle(core, r)
}

extern "sysv64" fn load_reserved<G: Guest>(ctx: *mut Context, va: u64, desc: u64) -> Pair {
    // SAFETY: this is a runtime function.
    let core = unsafe { core::<G>(ctx) };
    let m = MemOp::unpack(desc);
    let r = core.with_cx(None, |cx| {
        let v = cx.mmu.load_aligned(cx.guest, va, m.size)?;
        cx.reservation.addr = va;
        cx.reservation.value = v;
        Ok(extend(m, v))
    });
    settle(core, r)
}

extern "sysv64" fn store_conditional<G: Guest>(
    ctx: *mut Context,
    va: u64,
    desc: u64,
    value: u64,
) -> Pair {
    // SAFETY: this is a runtime function.
    let core = unsafe { core::<G>(ctx) };
    let m = MemOp {
        aligned: true,
        ..MemOp::unpack(desc)
    };
    let r = alignment(core, m, va, AccessKind::Write).and_then(|()| {
        core.with_cx(None, |cx| {
            if cx.reservation.addr != va {
                cx.mmu
                    .probe(cx.guest, va, u64::from(m.size.bytes()), AccessKind::Write)?;
                cx.reservation.addr = NO_RESERVATION;
                return Ok(1);
            }
            let expected = cx.reservation.value & m.size.mask();
            let old = cx.mmu.cas(cx.guest, va, m, expected, value)?;
            cx.reservation.addr = NO_RESERVATION;
            Ok(u64::from(old != expected))
        })
    });
    settle(core, r)
}

extern "sysv64" fn call<G: Guest>(
    ctx: *mut Context,
    helper: u64,
    a: u64,
    b: u64,
    c: u64,
    d: u64,
) -> Pair {
    // SAFETY: this is a runtime function.
    let core = unsafe { core::<G>(ctx) };
    let count = core.count_at_call();
    if helper == u64::from(BLOCK_HOOK.0) {
        let host = core.ctx().exit_payload[3];
        core.announce(a, host);
        return good(0);
    }
    let Some(h) = G::HELPERS.get(helper as usize) else {
        return settle(core, Err(Stop::Retry));
    };
    let r = core.with_cx(count, |cx| (h.run)(cx, [a, b, c, d]));
    settle(core, r)
}

extern "sysv64" fn raise<G: Guest>(ctx: *mut Context, cause: u64, value: u64) -> Pair {
    // SAFETY: this is a runtime function.
    let core = unsafe { core::<G>(ctx) };
    settle(core, Err(Stop::Exception(Exception { cause, value })))
}

extern "sysv64" fn fp<G: Guest>(ctx: *mut Context, op: u64, a: u64, b: u64, c: u64) -> Pair {
    // SAFETY: compiled code passes its own context, which is not otherwise borrowed while it runs.
    let slots = unsafe { &mut (*ctx).slots };
    let Some(op) = FpOp::unpack(op) else {
        return good(0);
    };
    let dynamic = rounding(slots[usize::from(G::FRM.0)]).unwrap_or(Rounding::Rne);
    let (value, flags) = op.eval(
        FpEnv {
            dynamic,
            nan: G::NAN_RULE,
        },
        a,
        b,
        c,
    );
    slots[usize::from(G::FFLAGS.0)] |= u64::from(flags.0);
    good(value)
}
