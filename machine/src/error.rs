//! Errors: a sentence naming the thing and the remedy.

use crate::fdt::FdtError;
use crate::loader::LoadError;
use crate::snapshot::SnapshotError;
use ambidex_cpu::{AccelError, Arch, ModelError, StateError};
use ambidex_memory::MemoryError;

/// Why a machine could not be built, run, saved or restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MachineError {
    /// Guest memory could not be set up.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The accelerator refused.
    #[error(transparent)]
    Accel(#[from] AccelError),
    /// The CPU model was refused.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A CPU state was refused.
    #[error(transparent)]
    State(#[from] StateError),
    /// A kernel, firmware or initial RAM disk could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A device tree was refused or could not be made.
    #[error(transparent)]
    Fdt(#[from] FdtError),
    /// A snapshot was refused or could not be written.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The accelerator runs no guests of the board's architecture.
    #[error("the {accel} accelerator cannot run {arch} guests; choose another with -accel")]
    Arch {
        /// The accelerator's name.
        accel: &'static str,
        /// The board's architecture.
        arch: Arch,
    },
    /// Too many or too few CPUs.
    #[error("{asked} CPUs were asked for, but {limiter} takes 1 to {max}; use a smaller -smp")]
    Cpus {
        /// The number asked for.
        asked: u32,
        /// What sets the limit.
        limiter: String,
        /// The largest number.
        max: u32,
    },
    /// The amount of RAM does not suit the board.
    #[error(
        "{asked:#x} bytes of RAM do not suit {board}: use a multiple of 4096 from {min:#x} to {max:#x} with -m"
    )]
    Ram {
        /// Bytes asked for.
        asked: u64,
        /// The board.
        board: &'static str,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// Two or more options do not go together, or something was asked for that the board does not have.
    #[error("{0}")]
    Config(String),
    /// The host refused something.
    #[error("{what}: {source}")]
    Host {
        /// What was being done.
        what: String,
        /// The host's answer.
        source: std::io::Error,
    },
}

impl MachineError {
    pub(crate) fn config(text: impl Into<String>) -> MachineError {
        MachineError::Config(text.into())
    }
}
