//! The processor shown to the guest.

use crate::{Arch, riscv};

/// A CPU model of some architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CpuModel {
    /// 64-bit RISC-V.
    Riscv64(riscv::Model),
}

impl CpuModel {
    /// Its architecture.
    pub fn arch(&self) -> Arch {
        match self {
            CpuModel::Riscv64(_) => Arch::Riscv64,
        }
    }

    /// Parses the value of a `-cpu` option, such as `rv64,+zbb,sv57=off`, for `arch`.
    pub fn parse(arch: Arch, text: &str) -> Result<CpuModel, ModelError> {
        match arch {
            Arch::Riscv64 => Ok(CpuModel::Riscv64(text.parse()?)),
            _ => Err(ModelError::NoModels(arch)),
        }
    }
}

impl From<riscv::Model> for CpuModel {
    fn from(model: riscv::Model) -> CpuModel {
        CpuModel::Riscv64(model)
    }
}

/// Why a CPU model was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// No models for this architecture.
    #[error("there are no CPU models for {0} yet")]
    NoModels(Arch),
    /// Not the name of a model.
    #[error("unknown {arch} CPU model `{name}`: use one of {known}")]
    UnknownModel {
        /// The architecture.
        arch: Arch,
        /// The name given.
        name: String,
        /// Those there are.
        known: String,
    },
    /// Not the name of a feature.
    #[error(
        "unknown {arch} CPU feature `{name}`; write features as `+zbb`, `-zbb`, `zbb=on` or `zbb=off`"
    )]
    UnknownFeature {
        /// The architecture.
        arch: Arch,
        /// The name given.
        name: String,
    },
    /// A combination that cannot exist.
    #[error("CPU feature `{feature}` needs `{needs}`: add `+{needs}` or remove `{feature}`")]
    Missing {
        /// The feature asked for.
        feature: String,
        /// What it depends on.
        needs: String,
    },
    /// The accelerator cannot execute these.
    #[error(
        "the accelerator does not implement CPU feature(s) {0}; switch them off with `<feature>=off`"
    )]
    Unsupported(String),
}
