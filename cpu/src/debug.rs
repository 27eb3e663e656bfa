//! What a debugger asks of a vCPU.

use ambidex_memory::Gpa;

/// Debugging of one vCPU that is not inside `run`. Breakpoints are invisible to the guest.
pub trait Debug {
    /// Stops before the instruction at `va` is executed.
    fn add_breakpoint(&mut self, va: u64) -> Result<(), DebugError>;

    /// Forgets a breakpoint; whether there was one.
    fn remove_breakpoint(&mut self, va: u64) -> bool;

    /// Stops at accesses to `len` bytes at `va`.
    fn add_watchpoint(&mut self, va: u64, len: u64, watch: Watch) -> Result<(), DebugError>;

    /// Forgets a watchpoint; whether there was one with the same address, length and kind.
    fn remove_watchpoint(&mut self, va: u64, len: u64, watch: Watch) -> bool;

    /// While on, `run` returns after every instruction or trap with [`DebugStop::Step`].
    fn set_single_step(&mut self, on: bool);

    /// Reads a register, little-endian, into the beginning of `out`; returns its length in bytes.
    fn read_reg(&mut self, reg: Reg, out: &mut [u8]) -> Result<usize, DebugError>;

    /// Writes a register; `value` is little-endian and has the register's length.
    fn write_reg(&mut self, reg: Reg, value: &[u8]) -> Result<(), DebugError>;

    /// Reads virtual memory as the current mode maps it, permissions set aside, without setting
    /// accessed or dirty bits. MMIO is not touched.
    fn read_mem(&mut self, va: u64, buf: &mut [u8]) -> Result<(), DebugError>;

    /// Writes virtual memory likewise; translated code there is discarded.
    fn write_mem(&mut self, va: u64, buf: &[u8]) -> Result<(), DebugError>;

    /// The physical address behind `va`, if it is mapped.
    fn translate(&mut self, va: u64) -> Option<Gpa>;
}

/// A register of any architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reg {
    /// The program counter.
    Pc,
    /// General register (`x0`… on RISC-V).
    General(u8),
    /// Floating-point register.
    Float(u8),
    /// Vector register.
    Vector(u8),
    /// Control or system register by its architectural number (the CSR address on RISC-V).
    System(u32),
    /// The privilege level as a number.
    Privilege,
}

/// Kinds of watched access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Watch {
    /// Loads.
    Read,
    /// Stores and atomics.
    Write,
    /// Both.
    Access,
}

impl Watch {
    /// Whether an access of this direction is watched.
    pub const fn covers(self, write: bool) -> bool {
        matches!(
            (self, write),
            (Watch::Access, _) | (Watch::Read, false) | (Watch::Write, true)
        )
    }
}

/// Why a vCPU stopped for the debugger. The program counter is that of the instruction to be
/// executed next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DebugStop {
    /// At a breakpoint.
    Breakpoint {
        /// Its address.
        pc: u64,
    },
    /// A watched access; the instruction has not taken effect.
    Watchpoint {
        /// The address accessed.
        va: u64,
        /// Whether it was written.
        write: bool,
    },
    /// One step done.
    Step,
}

/// Why a debugger's request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DebugError {
    /// No such register here.
    #[error("this CPU has no register {0:?}")]
    NoRegister(Reg),
    /// The register refuses to be written, or the value has the wrong length.
    #[error("register {0:?} cannot be written with this value")]
    BadValue(Reg),
    /// The buffer is too short.
    #[error("register {0:?} does not fit the buffer given")]
    Short(Reg),
    /// Memory cannot be reached.
    #[error("no memory at guest virtual address {va:#x}")]
    NoMemory {
        /// First address that failed.
        va: u64,
    },
    /// The accelerator has no more, or no such, breakpoints.
    #[error("the accelerator cannot place this breakpoint or watchpoint")]
    NoResource,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watch_directions() {
        assert!(Watch::Read.covers(false) && !Watch::Read.covers(true));
        assert!(!Watch::Write.covers(false) && Watch::Write.covers(true));
        assert!(Watch::Access.covers(false) && Watch::Access.covers(true));
    }
}
