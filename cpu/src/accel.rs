//! What runs guests: [`Accelerator`] makes a [`Vm`], a [`Vm`] makes [`Vcpu`]s.

use crate::bus::{CpuMask, Fence};
use crate::{Arch, CpuModel, ModelError, StateError, Vcpu, riscv};
use ambidex_memory::AddressSpace;
use std::sync::Arc;

/// Something able to run guests.
pub trait Accelerator: Send + Sync {
    /// A short name for command lines and messages, such as `tcg`.
    fn name(&self) -> &'static str;

    /// What this accelerator can do for guests of `arch`, or `None` when it cannot run them here.
    fn caps(&self, arch: Arch) -> Option<Caps>;

    /// Makes a VM whose guest-physical memory is `space`.
    fn create_vm(
        &self,
        cfg: &VmConfig,
        space: Arc<AddressSpace>,
    ) -> Result<Box<dyn Vm>, AccelError>;
}

/// What an accelerator offers for one architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caps {
    /// Largest number of vCPUs in one VM.
    pub max_vcpus: u32,
    /// [`Vcpu::set_budget`] and [`Timing::Instructions`] are honoured exactly.
    pub exact_budget: bool,
    /// [`Vcpu::debug`] answers.
    pub debug: bool,
    /// [`Vcpu::instrument`] answers.
    pub instrument: bool,
    /// [`FirmwareCalls::Host`] is honoured.
    pub firmware_host: bool,
    /// RISC-V extensions whose instructions can be executed (empty for other architectures).
    /// A model is cut down to these with [`riscv::Model::restrict`].
    pub riscv: riscv::Ext,
}

impl Caps {
    /// Caps with `max_vcpus` and nothing else.
    pub fn new(max_vcpus: u32) -> Caps {
        Caps {
            max_vcpus,
            exact_budget: false,
            debug: false,
            instrument: false,
            firmware_host: false,
            riscv: riscv::Ext::empty(),
        }
    }
}

/// Who answers the guest's firmware calls (SBI, PSCI).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum FirmwareCalls {
    /// The guest's own firmware: the call traps as the architecture says.
    #[default]
    None,
    /// The host: the call goes to [`crate::CpuBus::firmware_call`], and the guest has no firmware.
    Host,
}

/// What guest time follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Timing {
    /// The VM clock, which follows the host's.
    #[default]
    Real,
    /// The instruction count: one instruction is `1 << shift` nanoseconds. Deterministic.
    Instructions {
        /// Binary logarithm of the nanoseconds an instruction takes.
        shift: u8,
    },
}

/// What a VM is made from. Fixed for its life.
#[derive(Clone)]
#[non_exhaustive]
pub struct VmConfig {
    /// Guest architecture; agrees with `model`.
    pub arch: Arch,
    /// The processor shown to the guest.
    pub model: CpuModel,
    /// The port space of x86 guests.
    pub ports: Option<Arc<AddressSpace>>,
    /// Who answers firmware calls.
    pub firmware: FirmwareCalls,
    /// The semihosting instruction sequence goes to [`crate::CpuBus::semihost`].
    pub semihosting: bool,
    /// Frequency of the guest's counter (`time` on RISC-V), in hertz.
    pub timebase_hz: u64,
    /// What guest time follows.
    pub timing: Timing,
}

impl VmConfig {
    /// A configuration for `model` with the rest at its defaults: no ports, guest firmware, no
    /// semihosting, a 10 MHz timebase, real time.
    pub fn new(model: CpuModel) -> VmConfig {
        VmConfig {
            arch: model.arch(),
            model,
            ports: None,
            firmware: FirmwareCalls::None,
            semihosting: false,
            timebase_hz: 10_000_000,
            timing: Timing::Real,
        }
    }
}

/// A virtual machine as an accelerator sees it: memory and vCPUs.
pub trait Vm: Send + Sync {
    /// Makes vCPU `index` (0, 1, …; the hart id on RISC-V), in its reset state.
    fn create_vcpu(&self, index: u32) -> Result<Box<dyn Vcpu>, AccelError>;

    /// Makes `fence` hold on every vCPU in `cpus` before it executes its next instruction, and
    /// returns once that is certain (a vCPU outside `run` counts as fenced). For host firmware
    /// (SBI remote fences); callable from inside [`crate::CpuBus::firmware_call`].
    fn broadcast(&self, cpus: CpuMask, fence: Fence) {
        let _ = (cpus, fence);
    }

    /// Shortcuts such as in-kernel event notification; always revocable.
    fn offload(&self) -> Option<&dyn Offload> {
        None
    }

    /// An interrupt controller hosted by the accelerator.
    fn kernel_irqchip(&self) -> Option<&dyn KernelIrqchip> {
        None
    }
}

/// Accelerator-side shortcuts that can be taken away at any time.
pub trait Offload: Send + Sync {
    /// Takes every shortcut away and waits until none is in use.
    fn withdraw(&self);
}

/// An interrupt controller inside the accelerator.
pub trait KernelIrqchip: Send + Sync {
    /// Drives input `line`.
    fn set_line(&self, line: u32, level: bool);
}

/// Why an accelerator could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccelError {
    /// The architecture cannot be run here.
    #[error(
        "the {accel} accelerator cannot run {arch} guests on this host; choose another with -accel"
    )]
    Arch {
        /// The accelerator's name.
        accel: &'static str,
        /// The architecture asked for.
        arch: Arch,
    },
    /// The CPU model was refused.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A saved state was refused.
    #[error(transparent)]
    State(#[from] StateError),
    /// Something was asked for that this accelerator does not have.
    #[error("the {accel} accelerator has no support for {what}")]
    Unsupported {
        /// The accelerator's name.
        accel: &'static str,
        /// What was asked for.
        what: String,
    },
    /// More vCPUs than the accelerator allows, or the same one twice.
    #[error("vCPU {index} cannot be created: {reason}")]
    Vcpu {
        /// The index asked for.
        index: u32,
        /// Why not.
        reason: String,
    },
    /// The host refused a resource.
    #[error("{what}: {source}")]
    Host {
        /// What was being done.
        what: String,
        /// The host's answer.
        source: std::io::Error,
    },
}
