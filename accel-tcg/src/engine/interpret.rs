//! Tier 0: blocks and single instructions executed by the interpreter.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ambidex_cpu::{DebugStop, Exit};

use super::blocks::BlockId;
use super::core::{Core, Next};
use crate::guest::{Decoded, Guest, ModeKey, Stop};
use crate::interp::{Flow, Interp};

impl<G: Guest> Core<G> {
    /// Interprets a block.
    pub(super) fn interpret(&mut self, id: BlockId, mode: ModeKey) -> Next {
        let Some(block) = self.blocks.get_mut(id) else {
            return Next::Outer;
        };
        if block.insns.is_empty() {
            // Compiled, but to be interpreted: decode again without keeping it.
            let pc = block.key.va;
            return self.lone_insn(mode, pc);
        }
        let insns = std::mem::take(&mut block.insns);
        if self.hooks.blocks() {
            let pc = self.pc();
            self.hooks.enter_block(self.index, pc, insns.len() as u32);
        }
        let next = self.interpret_insns(&insns, mode);
        if let Some(block) = self.blocks.get_mut(id)
            && block.code.is_none()
        {
            block.insns = insns;
        }
        next
    }

    pub(super) fn interpret_insns(&mut self, insns: &[(G::Insn, u8)], mode: ModeKey) -> Next {
        let counting = self.counting();
        let base = self.executed();
        let limit = if self.budget.is_some() {
            self.fuel().max(0) as usize
        } else {
            usize::MAX
        };
        let mut done = 0usize;
        let mut outcome: Result<Flow, Stop> = Ok(Flow::Next);
        let mut pc = self.pc();
        let cell = Arc::clone(&self.cell);
        let exit_request = cell.exit_request();
        self.with_cx(None, |cx| {
            for (insn, len) in insns.iter().take(limit) {
                let here = base + done as u64;
                cx.io.insns = counting.then_some(here);
                cx.instructions = counting.then_some(here);
                let mut interp = Interp {
                    cx,
                    flow: Flow::Next,
                };
                let result = G::exec(&mut interp, insn, pc, mode);
                let flow = interp.flow;
                match result {
                    Ok(()) => {
                        done += 1;
                        match flow {
                            Flow::Next => {
                                pc = pc.wrapping_add(u64::from(*len));
                                // Exact runs see interrupts after the very instruction that caused them.
                                if counting && exit_request.load(Ordering::Relaxed) != 0 {
                                    break;
                                }
                            }
                            Flow::Resync => {
                                pc = pc.wrapping_add(u64::from(*len));
                                outcome = Ok(Flow::Resync);
                                break;
                            }
                            Flow::Jump(to) => {
                                pc = to;
                                outcome = Ok(flow);
                                break;
                            }
                        }
                    }
                    Err(stop) => {
                        if matches!(stop, Stop::Exit(_)) {
                            done += 1;
                            pc = pc.wrapping_add(u64::from(*len));
                        }
                        done += usize::from(stop == Stop::Jumped);
                        outcome = Err(stop);
                        break;
                    }
                }
                cx.regs[usize::from(G::PC.0)] = pc;
            }
            if !matches!(outcome, Err(Stop::Jumped)) {
                cx.regs[usize::from(G::PC.0)] = pc;
            }
        });
        self.stats.interpreted += done as u64;
        self.ctx().fuel -= done as i64;
        match outcome {
            Ok(Flow::Resync) => Next::Outer,
            Ok(_) if self.budget.is_some() && self.fuel() <= 0 => Next::Outer,
            Ok(_) => Next::Inner,
            Err(Stop::Exit(exit)) => Next::Exit(exit),
            Err(stop) => self.stopped(stop, pc, 0),
        }
    }

    /// Executes the one instruction at `pc` without keeping anything: it crosses pages, lies in memory that cannot be cached, or is being stepped.
    pub(super) fn lone_insn(&mut self, mode: ModeKey, pc: u64) -> Next {
        let mut bytes = [0u8; 16];
        let mut have = 0usize;
        loop {
            match self.guest.decode(mode, &bytes[..have]) {
                Decoded::Insn(insn, len) => return self.interpret_insns(&[(insn, len)], mode),
                Decoded::More(n) => {
                    let n = usize::from(n).clamp(have + 1, bytes.len());
                    let at = pc.wrapping_add(have as u64);
                    if let Err(stop) =
                        self.mmu
                            .fetch_bytes(&mut self.guest, at, &mut bytes[have..n])
                    {
                        return self.stopped(stop, pc, 0);
                    }
                    have = n;
                }
            }
        }
    }

    pub(super) fn debug_step(&mut self, mode: ModeKey, pc: u64) -> Next {
        if self.resume_at.take() != Some(pc) && self.breakpoints.contains(&pc) {
            self.resume_at = Some(pc);
            return Next::Exit(Exit::Debug(DebugStop::Breakpoint { pc }));
        }
        let next = self.lone_insn(mode, pc);
        match next {
            Next::Inner | Next::Outer if self.single_step => {
                let pc = self.pc();
                self.resume_at = Some(pc);
                Next::Exit(Exit::Debug(DebugStop::Step))
            }
            Next::Inner => Next::Outer,
            other => other,
        }
    }
}
