//! Counters (Privileged 3.1.10–3.1.12, Zicntr, Zihpm). `mcycle` and `minstret` count;
//! the performance counters and their selectors are read-only zero, which is legal.

use super::super::ext::Ext;
use super::super::hart::{Hart, Priv};
use super::{CsrEffect, CsrEnv, addr};

/// `mcountinhibit`, `mcounteren` bit of the cycle counter.
const CY: u64 = 1;
/// `mcountinhibit`, `mcounteren` bit of the retired-instruction counter.
const IR: u64 = 4;
/// `mcounteren` bit of `time`.
pub(super) const TM: u64 = 2;
/// Counters that can be inhibited; the others do not count.
pub(super) const INHIBITABLE: u64 = CY | IR;

impl Hart {
    /// Bits of `mcounteren` and `scounteren` that can be set.
    pub(in crate::riscv) fn counteren_mask(&self) -> u64 {
        let base = if self.model.has(Ext::ZICNTR) {
            CY | TM | IR
        } else {
            0
        };
        base | if self.model.has(Ext::ZIHPM) {
            0xffff_fff8
        } else {
            0
        }
    }

    /// Whether the current mode may read an unprivileged counter: every mode above must have
    /// enabled it.
    pub(super) fn counter_allowed(&self, csr: u16) -> bool {
        let bit = 1 << (csr & 31);
        let mut enabled = bit;
        if self.privilege != Priv::Machine {
            enabled &= self.mcounteren;
        }
        if self.privilege == Priv::User && self.has_s() {
            enabled &= self.scounteren;
        }
        enabled != 0
    }

    fn cycle_value(&self, env: &dyn CsrEnv) -> u64 {
        let count = if self.mcountinhibit & CY != 0 {
            0
        } else {
            env.cycle()
        };
        self.mcycle.wrapping_add(count)
    }

    fn instret_value(&self, env: &dyn CsrEnv) -> u64 {
        let count = if self.mcountinhibit & IR != 0 {
            0
        } else {
            env.instret()
        };
        self.minstret.wrapping_add(count)
    }

    pub(super) fn read_user_counter(&self, csr: u16, env: &dyn CsrEnv) -> Option<u64> {
        let zicntr = self.model.has(Ext::ZICNTR);
        match csr {
            addr::CYCLE if zicntr => Some(self.cycle_value(env)),
            addr::TIME if zicntr => Some(env.time()),
            addr::INSTRET if zicntr => Some(self.instret_value(env)),
            addr::HPMCOUNTER3..=addr::HPMCOUNTER31 if self.model.has(Ext::ZIHPM) => Some(0),
            _ => None,
        }
    }

    pub(super) fn read_machine_counter(&self, csr: u16, env: &dyn CsrEnv) -> Option<u64> {
        match csr {
            addr::MCYCLE => Some(self.cycle_value(env)),
            addr::MINSTRET => Some(self.instret_value(env)),
            addr::MHPMCOUNTER3..=addr::MHPMCOUNTER31 => Some(0),
            _ => None,
        }
    }

    /// A value written is what the next instruction reads, since the write replaces the
    /// increment the writing instruction would have made.
    pub(super) fn write_machine_counter(
        &mut self,
        csr: u16,
        value: u64,
        env: &dyn CsrEnv,
    ) -> CsrEffect {
        match csr {
            addr::MCYCLE => {
                let base = if self.mcountinhibit & CY != 0 {
                    0
                } else {
                    env.cycle()
                };
                self.mcycle = value.wrapping_sub(base);
            }
            addr::MINSTRET => {
                let base = if self.mcountinhibit & IR != 0 {
                    0
                } else {
                    env.instret().wrapping_add(1)
                };
                self.minstret = value.wrapping_sub(base);
            }
            _ => {}
        }
        CsrEffect::NONE
    }

    /// Stopping and starting keeps the values. The writing instruction itself still counts as
    /// retired when it stops the counter, and does not when it starts it.
    pub(super) fn write_mcountinhibit(&mut self, value: u64, env: &dyn CsrEnv) {
        let new = value & INHIBITABLE;
        let changed = new ^ self.mcountinhibit;
        if changed & CY != 0 {
            let count = env.cycle();
            self.mcycle = if new & CY != 0 {
                self.mcycle.wrapping_add(count)
            } else {
                self.mcycle.wrapping_sub(count)
            };
        }
        if changed & IR != 0 {
            let count = env.instret().wrapping_add(1);
            self.minstret = if new & IR != 0 {
                self.minstret.wrapping_add(count)
            } else {
                self.minstret.wrapping_sub(count)
            };
        }
        self.mcountinhibit = new;
    }

    /// Turns the counters into absolute values, given the engine's present counts. Call on the
    /// copy of the hart that goes into a saved [`super::super::State`], whose counters mean what
    /// software would read.
    pub fn counters_to_absolute(&mut self, cycle: u64, instret: u64) {
        if self.mcountinhibit & CY == 0 {
            self.mcycle = self.mcycle.wrapping_add(cycle);
        }
        if self.mcountinhibit & IR == 0 {
            self.minstret = self.minstret.wrapping_add(instret);
        }
    }

    /// The reverse, for restoring: afterwards the counters go on from the saved values.
    pub fn counters_from_absolute(&mut self, cycle: u64, instret: u64) {
        if self.mcountinhibit & CY == 0 {
            self.mcycle = self.mcycle.wrapping_sub(cycle);
        }
        if self.mcountinhibit & IR == 0 {
            self.minstret = self.minstret.wrapping_sub(instret);
        }
    }
}
