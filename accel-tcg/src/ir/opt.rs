//! One backward pass over a finished block: removes values nobody uses and register writes nobody can see, and counts uses.

use super::{Block, Inst};
use crate::sem::{HelperId, Round, Slot};

/// What the IR must know of the guest beyond [`crate::sem`].
#[derive(Clone, Copy, Debug)]
pub struct GuestFacts {
    /// Slot in which floating-point operations accumulate flags; unknown means that it may be any.
    pub fflags: Option<Slot>,
    /// Slot with the dynamic rounding direction; unknown means that it may be any.
    pub frm: Option<Slot>,
    /// Whether a helper is pure ([`crate::ir`] and the guest's helper table): it neither reads nor writes slots and cannot stop.
    pub pure: fn(HelperId) -> bool,
}

impl Default for GuestFacts {
    fn default() -> Self {
        GuestFacts {
            fflags: None,
            frm: None,
            pure: |_| false,
        }
    }
}

/// How often, and where last, each value of a block is used. Indexed by value.
#[derive(Clone, Debug, Default)]
pub struct UseInfo {
    /// Index of the last instruction that uses the value; its own index if there is none.
    pub last_use: Vec<u16>,
    /// Number of operands that are this value.
    pub uses: Vec<u16>,
}

impl UseInfo {
    fn reset(&mut self, n: usize) {
        self.uses.clear();
        self.uses.resize(n, 0);
        self.last_use.clear();
        self.last_use.extend(0..n as u16);
    }

    /// `inst`, number `i`, uses its operands. Must be called for instructions in descending order.
    #[inline]
    fn note(&mut self, i: usize, inst: &Inst) {
        for v in inst.operands().iter() {
            let v = usize::from(v.0);
            if self.uses[v] == 0 {
                self.last_use[v] = i as u16;
            }
            self.uses[v] = self.uses[v].saturating_add(1);
        }
    }

    /// Counts the uses in a block without changing it.
    pub fn compute(&mut self, block: &Block) {
        self.reset(block.insts.len());
        for (i, inst) in block.insts.iter().enumerate().rev() {
            self.note(i, inst);
        }
    }
}

/// The pass with its buffers.
#[derive(Clone, Debug)]
pub struct Optimiser {
    info: UseInfo,
    /// `round` in the entry of a slot: a later write makes earlier ones invisible.
    written: [u32; 256],
    round: u32,
}

impl Default for Optimiser {
    fn default() -> Self {
        Optimiser {
            info: UseInfo::default(),
            written: [0; 256],
            round: 0,
        }
    }
}

impl Optimiser {
    /// Uses after the last run.
    pub fn uses(&self) -> &UseInfo {
        &self.info
    }

    /// Replaces instructions that have no effect by [`Inst::Nop`].
    pub fn run(&mut self, block: &mut Block, guest: &GuestFacts) {
        self.info.reset(block.insts.len());
        self.forget();
        for i in (0..block.insts.len()).rev() {
            let inst = block.insts[i];
            match inst {
                _ if inst.is_pure() => {
                    if self.info.uses[i] == 0 {
                        block.insts[i] = Inst::Nop;
                        continue;
                    }
                    if let Inst::Get(slot) = inst {
                        self.observe(slot);
                    }
                }
                Inst::Set(slot, _) => {
                    let seen = &mut self.written[usize::from(slot.0)];
                    if *seen == self.round {
                        block.insts[i] = Inst::Nop;
                        continue;
                    }
                    *seen = self.round;
                }
                Inst::Insn { .. } | Inst::Nop | Inst::Fence(_) => {}
                Inst::Call { h, .. } if (guest.pure)(h) => {}
                _ => match inst.fp_op() {
                    Some(_) => {
                        self.observe_or_all(guest.fflags);
                        if reads_frm(&inst) {
                            self.observe_or_all(guest.frm);
                        }
                    }
                    // May fault, stop or leave: everything is visible.
                    None => self.forget(),
                },
            }
            self.info.note(i, &inst);
        }
    }

    fn forget(&mut self) {
        self.round = match self.round.checked_add(1) {
            Some(r) => r,
            None => {
                self.written = [0; 256];
                1
            }
        };
    }

    fn observe(&mut self, slot: Slot) {
        self.written[usize::from(slot.0)] = 0;
    }

    fn observe_or_all(&mut self, slot: Option<Slot>) {
        match slot {
            Some(s) => self.observe(s),
            None => self.forget(),
        }
    }
}

fn reads_frm(inst: &Inst) -> bool {
    matches!(
        inst,
        Inst::FpBin {
            rm: Round::Dynamic,
            ..
        } | Inst::FpSqrt {
            rm: Round::Dynamic,
            ..
        } | Inst::FpFma {
            rm: Round::Dynamic,
            ..
        } | Inst::FpToInt {
            rm: Round::Dynamic,
            ..
        } | Inst::FpFromInt {
            rm: Round::Dynamic,
            ..
        } | Inst::FpConvert {
            rm: Round::Dynamic,
            ..
        } | Inst::FpRound {
            rm: Round::Dynamic,
            ..
        }
    )
}
