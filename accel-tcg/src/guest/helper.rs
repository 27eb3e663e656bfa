//! What a guest's helper functions work on.

use ambidex_cpu::{CpuBus, Hooks, MemoryAccess, Pins};

use super::{AccessKind, Flush, Guest, Stop};
use crate::mmu::{Io, Mmu};
use crate::regs::{Reservation, SLOTS};
use crate::sem::Width;

/// Things a helper did that concern the engine beyond the instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// Earlier stores must be visible to fetches.
    pub instruction_fence: bool,
    /// The CPU's own timer was set: compare it with the clock, and publish its deadline.
    pub timer: bool,
}

/// State and engine, borrowed for the time of one instruction.
pub struct HelperCx<'a, G: Guest> {
    /// Privileged state.
    pub guest: &'a mut G,
    /// Register slots. The PC slot holds the address of the instruction itself.
    pub regs: &'a mut [u64; SLOTS],
    /// Reservation of load-reserved.
    pub reservation: &'a mut Reservation,
    /// Memory.
    pub mmu: &'a mut Mmu,
    /// Devices, clock, firmware.
    pub io: Io<'a>,
    /// Interrupt inputs.
    pub pins: &'a Pins,
    /// Consequences for the engine.
    pub events: &'a mut Events,
    /// Who wants to hear of loads and stores.
    pub hooks: Option<&'a dyn Hooks>,
    /// Instructions executed so far by this CPU, if the engine counts.
    pub instructions: Option<u64>,
}

impl<'a, G: Guest> HelperCx<'a, G> {
    /// Number of this CPU.
    pub fn cpu(&self) -> u32 {
        self.io.cpu
    }
    /// The bus, with the clock exact.
    pub fn bus(&self) -> &'a dyn CpuBus {
        self.io.sync()
    }
    /// Tells the hooks of an access by the running instruction.
    #[inline(always)]
    pub fn observe(&self, va: u64, w: Width, write: bool, value: u64) {
        if let Some(hooks) = self.hooks {
            let pc = self.regs[usize::from(G::PC.0)];
            hooks.memory(
                self.io.cpu,
                &MemoryAccess {
                    pc,
                    va,
                    size: w.bytes(),
                    write,
                    value,
                },
            );
        }
    }
    /// Forgets translations on this CPU.
    pub fn flush(&mut self, what: Flush) {
        self.mmu.flush(what);
    }
    /// Loads from guest virtual memory, zero-extended.
    pub fn load(&mut self, va: u64, w: Width) -> Result<u64, Stop> {
        self.mmu.load(self.guest, self.io, va, w)
    }
    /// Stores to guest virtual memory; all or nothing.
    pub fn store(&mut self, va: u64, w: Width, value: u64) -> Result<(), Stop> {
        self.mmu.store(self.guest, self.io, va, w, value)
    }
    /// Checks that `len` bytes may be accessed this way; returns how many of them are in the first page. Only that page is checked.
    pub fn probe(&mut self, va: u64, len: u64, kind: AccessKind) -> Result<u64, Stop> {
        self.mmu.probe(self.guest, va, len, kind)
    }
}
