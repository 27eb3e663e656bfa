//! Saved processor state.

use crate::{Arch, riscv};
use serde::{Deserialize, Serialize};

/// The complete architectural state of one vCPU, independent of the accelerator that saved it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum CpuState {
    /// 64-bit RISC-V.
    Riscv64(Box<riscv::State>),
}

impl CpuState {
    /// Whose state it is.
    pub fn arch(&self) -> Arch {
        match self {
            CpuState::Riscv64(_) => Arch::Riscv64,
        }
    }

    /// The program counter.
    pub fn pc(&self) -> u64 {
        match self {
            CpuState::Riscv64(s) => s.pc,
        }
    }
}

impl From<riscv::State> for CpuState {
    fn from(state: riscv::State) -> CpuState {
        CpuState::Riscv64(Box::new(state))
    }
}

/// Why a saved state cannot be restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// It is of another architecture.
    #[error(
        "the saved CPU state is for {found}, this vCPU is {expected}: restore it on a {found} machine"
    )]
    Arch {
        /// This vCPU's.
        expected: Arch,
        /// The state's.
        found: Arch,
    },
    /// It was written by a newer version.
    #[error(
        "the saved CPU state has version {found}, this program knows up to {known}: use a newer one"
    )]
    Version {
        /// The state's.
        found: u32,
        /// The newest known here.
        known: u32,
    },
    /// It was saved with another CPU model.
    #[error(
        "the saved CPU state was made with CPU features `{found}`, this vCPU has `{expected}`: start the machine with the same -cpu"
    )]
    Model {
        /// This vCPU's ISA string.
        expected: String,
        /// The state's.
        found: String,
    },
    /// A register holds a value it can never hold.
    #[error("the saved CPU state is damaged: {register} cannot hold {value:#x}")]
    Value {
        /// The register.
        register: &'static str,
        /// What was found.
        value: u64,
    },
}
