//! Watching guest code run: hooks inserted where code is translated.

use std::sync::Arc;

bitflags::bitflags! {
    /// Which hooks are wanted; what is not asked for costs nothing.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct HookSet: u32 {
        /// [`Hooks::block`].
        const BLOCK = 1;
        /// [`Hooks::edge`].
        const EDGE = 2;
        /// [`Hooks::memory`].
        const MEMORY = 4;
    }
}

/// Receives events on the thread of the vCPU, in program order. Must be quick and must not call
/// back into the vCPU.
pub trait Hooks: Send + Sync {
    /// Execution enters a straight run of at most `insns` instructions at `pc`.
    fn block(&self, cpu: u32, pc: u64, insns: u32) {
        let _ = (cpu, pc, insns);
    }

    /// Control went from the instruction at `from` to `to` by a branch, jump, trap or return.
    fn edge(&self, cpu: u32, from: u64, to: u64) {
        let _ = (cpu, from, to);
    }

    /// A data access took place.
    fn memory(&self, cpu: u32, access: &MemoryAccess) {
        let _ = (cpu, access);
    }
}

/// One data access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryAccess {
    /// Address of the instruction.
    pub pc: u64,
    /// Virtual address accessed.
    pub va: u64,
    /// Bytes.
    pub size: u8,
    /// Stores and atomics.
    pub write: bool,
    /// The value, where the access is of at most 8 bytes.
    pub value: u64,
}

/// The instrumentation side of a vCPU.
pub trait Instrument {
    /// Sets what is called and for what; replaces what was set before. Code translated earlier is
    /// translated again as it is reached.
    fn set_hooks(&mut self, hooks: Arc<dyn Hooks>, wanted: HookSet);

    /// Removes every hook.
    fn clear_hooks(&mut self);
}
