//! Firmware that is part of the machine: answers the guest's firmware calls on the host.

pub mod console;
pub mod sbi;

pub use console::{DebugConsole, UartConsole};
pub use sbi::Sbi;

use ambidex_cpu::{FirmwareCall, FirmwareResult};

/// Answers firmware calls (SBI, PSCI).
pub trait Firmware: Send + Sync {
    /// A short name for listings.
    fn name(&self) -> &'static str;

    /// A call by `cpu`, on that CPU's thread.
    fn call(&self, cpu: u32, call: &mut FirmwareCall) -> FirmwareResult;

    /// The deadline firmware keeps for `cpu` is reached.
    fn timer_expired(&self, cpu: u32);

    /// The machine is reset.
    fn reset(&self);
}
