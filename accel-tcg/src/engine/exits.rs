//! Into compiled code and back out of it: exceptions, links, exact positions.

use std::sync::atomic::Ordering;

use ambidex_cpu::Exit;

use super::blocks::Key;
use super::core::{Core, Next};
use crate::guest::{Guest, ModeKey, Stop};
use crate::jit::ExitKind;
use crate::regs::NO_RESERVATION;

/// Under a budget, exceptions without an instruction in between after which `run` is left.
const BARREN: u32 = 1024;

impl<G: Guest> Core<G> {
    /// An instruction at `pc` did not complete; `len` is added if it did but wants to leave.
    pub(super) fn stopped(&mut self, stop: Stop, pc: u64, len: u64) -> Next {
        match stop {
            Stop::Exception(e) => {
                self.set_pc(pc);
                self.stats.traps += 1;
                if self.guest.intercepts(e) {
                    let count = self.counting().then(|| self.executed());
                    // Other CPUs need not wait for this one while it is with the firmware: it reads its mail before it goes on.
                    self.peer.set_busy(false);
                    let result = self.with_cx(count, |cx| G::intercept(cx, e));
                    self.peer.set_busy(true);
                    self.ctx().exit_request.store(1, Ordering::SeqCst);
                    match result {
                        Some(Some(exit)) => return Next::Exit(exit),
                        Some(None) => return Next::Outer,
                        None => {}
                    }
                }
                self.ctx().reservation.addr = NO_RESERVATION;
                #[expect(unsafe_code, reason = "see `ctx`")]
                // SAFETY: as in `ctx`; the guest is another field.
                let regs = unsafe { &mut (*self.cell.as_ptr()).slots };
                self.guest.take_exception(regs, e);
                if self.barren() {
                    Next::Exit(Exit::Kicked)
                } else {
                    Next::Outer
                }
            }
            // Compiled code has not kept the slot up to date.
            Stop::Retry | Stop::Interpret => {
                self.set_pc(pc);
                Next::Outer
            }
            Stop::Jumped => Next::Outer,
            Stop::Exit(exit) => {
                self.set_pc(pc.wrapping_add(len));
                Next::Exit(exit)
            }
        }
    }

    /// Notes an exception. A CPU whose trap handler cannot even be fetched completes no instruction, so no budget would ever bring it back: true
    /// now and then in that case.
    pub(super) fn barren(&mut self) -> bool {
        let now = self.executed();
        if self.budget.is_none() || self.barren.1 != now {
            self.barren = (0, now);
            return false;
        }
        self.barren.0 += 1;
        self.barren.0.is_multiple_of(BARREN)
    }

    /// Enters compiled code at a host address and deals with how it comes back.
    pub(super) fn enter(&mut self, mode: ModeKey, host: u64) -> Next {
        let this: *mut Core<G> = self;
        let ctx = self.cell.as_ptr();
        let bank = std::ptr::from_mut(self.mmu.banks.current()) as usize;
        let c = self.ctx();
        c.bank = bank;
        c.mxcsr = mode.mxcsr();
        c.owner = this as usize;
        let Some(jit) = &self.jit else {
            return Next::Outer;
        };
        let exit = jit.enter(ctx, host);
        match exit {
            ExitKind::Link { stub } => self.follow_link(mode, stub),
            ExitKind::Lookup => Next::Inner,
            ExitKind::Request | ExitKind::Resync => Next::Outer,
            ExitKind::Fuel => {
                let pc = self.pc();
                if self.fuel() <= 0 && self.budget.is_some() {
                    Next::Outer
                } else {
                    self.lone_insn(mode, pc)
                }
            }
            ExitKind::Stopped => {
                let at = self.ctx().exit_payload[3];
                let (pc, len) = self.insn_at_host(at).unwrap_or_else(|| (self.pc(), 0));
                let Some(stop) = self.stop.take() else {
                    return Next::Outer;
                };
                if self.tuning.count {
                    // The block was paid for as a whole.
                    let complete = matches!(stop, Stop::Exit(_) | Stop::Jumped);
                    let done = self.executed_at_host(at) + u64::from(complete);
                    let unused = self.executed().wrapping_sub(done);
                    self.ctx().fuel += unused as i64;
                }
                if stop == Stop::Interpret {
                    self.set_pc(pc);
                    return match self.lone_insn(mode, pc) {
                        Next::Inner => Next::Outer,
                        other => other,
                    };
                }
                self.stopped(stop, pc, len)
            }
        }
    }

    /// Address and length of the guest instruction that a host return address belongs to.
    pub(super) fn insn_at_host(&self, host: u64) -> Option<(u64, u64)> {
        let jit = self.jit.as_ref()?;
        let offset = jit.code_offset(host)?;
        let block = self.blocks.containing(offset)?;
        let code = block.code.as_ref()?;
        let (start, len) = code.insn(code.insn_at(offset)?);
        Some((block.key.va.wrapping_add(start), len))
    }

    /// Tells the hooks of the compiled block at `pc` that called out from this host address.
    pub(super) fn announce(&mut self, pc: u64, host: u64) {
        let insns = || {
            let offset = self.jit.as_ref()?.code_offset(host)?;
            Some(self.blocks.containing(offset)?.code.as_ref()?.offsets.len() as u32)
        };
        let insns = insns().unwrap_or(0);
        self.hooks.enter_block(self.index, pc, insns);
    }

    /// Instructions complete when compiled code called out from this host address (which counts the whole block at its start).
    pub(super) fn executed_at_host(&self, host: u64) -> u64 {
        let executed = self.executed();
        let ahead = || {
            let offset = self.jit.as_ref()?.code_offset(host)?;
            let code = self.blocks.containing(offset)?.code.as_ref()?;
            Some(code.offsets.len() as u64 - u64::from(code.insn_at(offset)?))
        };
        executed.wrapping_sub(ahead().unwrap_or(0))
    }

    /// A direct jump came out through its stub: link it if its target is compiled.
    pub(super) fn follow_link(&mut self, mode: ModeKey, stub: u32) -> Next {
        let Some((from, index)) = self.blocks.link_at(stub) else {
            return Next::Inner;
        };
        let pc = self.pc();
        let Ok(Some(page)) = self.mmu.fetch_page(&mut self.guest, pc) else {
            return Next::Inner;
        };
        self.mmu.banks.current().renew_xid(pc, page.xid);
        let key = Key {
            phys: page.phys,
            va: pc,
            mode,
        };
        let Some(to) = self.blocks.find(&key) else {
            return Next::Inner;
        };
        let Some(entry) = self.compiled(to, &page) else {
            return self.interpret(to, mode);
        };
        let Some(jit) = self.jit.as_mut() else {
            return Next::Outer;
        };
        // Compiling the target may have evicted the source.
        let site = self
            .blocks
            .get(from)
            .and_then(|b| b.code.as_ref())
            .and_then(|c| c.compiled.links.get(usize::from(index)));
        let host = jit.host_address(entry);
        if let Some(site) = site
            && site.stub == stub
            && site.target == pc
        {
            let known = self
                .blocks
                .get(from)
                .and_then(|b| b.code.as_ref())
                .and_then(|c| c.out[usize::from(index)]);
            if known != Some(to) {
                let site = site.clone();
                jit.link(&site, entry, page.xid);
                self.blocks.connect(from, index, to);
            }
        }
        self.enter(mode, host)
    }
}
