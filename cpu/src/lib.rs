//! Guest CPUs as data, and the traits an accelerator implements.
//!
//! This crate executes nothing. It says what a processor *is*: register files, privileged state,
//! control and status registers, page-table walks, interrupt priorities ([`riscv`]), and how the
//! rest of a machine talks to something that does execute: [`Accelerator`], [`Vm`], [`Vcpu`] and
//! the [`CpuBus`] passed into [`Vcpu::run`].
//!
//! Everything chosen at run time is object-safe; a dynamic call is paid per exit, never per
//! instruction. The guest architecture is a value ([`Arch`]), never a `cfg`.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod accel;
pub mod arch;
pub mod bus;
pub mod debug;
pub mod instrument;
pub mod model;
pub mod pins;
pub mod riscv;
pub mod state;
pub mod vcpu;

pub use accel::{AccelError, Accelerator, Caps, FirmwareCalls, Timing, Vm, VmConfig};
pub use arch::Arch;
pub use bus::{
    CpuBus, CpuMask, Fence, FenceKind, FirmwareCall, FirmwareResult, GuestMem, MemFault,
};
pub use debug::{Debug, DebugError, DebugStop, Reg, Watch};
pub use instrument::{HookSet, Hooks, Instrument, MemoryAccess};
pub use model::{CpuModel, ModelError};
pub use pins::{Kick, Kicker, Pins};
pub use state::{CpuState, StateError};
pub use vcpu::{Exit, Vcpu, VcpuStats};

// The code in the README is compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// A point in, or a length of, guest time, in nanoseconds of the VM clock.
pub type Nanos = u64;
