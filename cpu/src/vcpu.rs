//! One virtual processor.

use crate::{AccelError, CpuBus, CpuState, Debug, DebugStop, Instrument, Kicker, Pins};

/// One virtual processor. Owned by the thread that runs it; what other threads need (interrupting
/// it, driving its inputs) they get as [`Kicker`] and [`Pins`].
pub trait Vcpu: Send {
    /// Runs guest code until something has to be dealt with outside.
    ///
    /// Returns at an instruction boundary. A kick that arrives before `run` is entered makes it
    /// return [`Exit::Kicked`] without executing more than it must.
    fn run(&mut self, bus: &dyn CpuBus) -> Result<Exit, AccelError>;

    /// A handle that makes [`Vcpu::run`] return soon. `Send + Sync`, async-signal-safe.
    fn kicker(&self) -> Kicker;

    /// The interrupt inputs.
    fn pins(&self) -> Pins;

    /// The complete architectural state, half-done I/O completed first.
    fn save(&mut self) -> Result<CpuState, AccelError>;

    /// Replaces the architectural state. On error the old state stays.
    fn restore(&mut self, state: &CpuState) -> Result<(), AccelError>;

    /// Puts the processor into its reset state. Interrupt inputs keep their levels.
    fn reset(&mut self);

    /// Limits the next instructions: after exactly `insns` of them `run` returns
    /// [`Exit::Budget`]. `None` lifts the limit. The budget counts down across calls of `run`.
    fn set_budget(&mut self, insns: Option<u64>);

    /// Instructions executed since creation. Exact under a budget or in instruction-count timing;
    /// otherwise it may be approximate, or 0.
    fn executed(&self) -> u64;

    /// Counters for people who tune.
    fn stats(&self) -> VcpuStats {
        VcpuStats::default()
    }

    /// The debugger's interface, where there is one.
    fn debug(&mut self) -> Option<&mut dyn Debug> {
        None
    }

    /// The instrumentation interface, where there is one.
    fn instrument(&mut self) -> Option<&mut dyn Instrument> {
        None
    }
}

/// Why [`Vcpu::run`] returned.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// The processor waits for an interrupt; run it again once a pin is active or its deadline is
    /// reached (either kicks).
    Halt,
    /// Somebody kicked.
    Kicked,
    /// The instruction budget is spent.
    Budget,
    /// A breakpoint, watchpoint or single step.
    Debug(DebugStop),
    /// The guest asked for a reset of the machine.
    Reset,
    /// The guest asked for power off.
    Shutdown,
    /// The guest cannot go on; the text says why.
    Fault(String),
}

/// Counters of one vCPU. All since creation; those an accelerator does not keep stay 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VcpuStats {
    /// Calls of the bus for MMIO and ports.
    pub mmio: u64,
    /// Exceptions and interrupts taken.
    pub traps: u64,
    /// Page walks.
    pub walks: u64,
    /// Blocks translated.
    pub blocks: u64,
    /// Guest instructions translated.
    pub translated: u64,
    /// Instructions run by the interpreter.
    pub interpreted: u64,
    /// Blocks discarded because their code was written.
    pub invalidated: u64,
}
