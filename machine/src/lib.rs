#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod assembly;
pub mod boards;
pub mod builder;
mod bus;
pub mod clock;
pub mod console;
pub mod device_slot;
pub mod error;
pub mod fdt;
pub mod firmware;
mod host;
mod hub;
pub mod irq;
pub mod loader;
pub mod machine;
pub mod prelude;
mod run;
pub mod semihosting;
pub mod snapshot;
mod summary;
mod timers;
mod vcpu_thread;
pub mod wake;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

pub use assembly::{Assembly, Start};
pub use boards::Board;
pub use builder::{Bios, Builder, Source};
pub use error::MachineError;
pub use hub::{ExitReason, Power};
pub use machine::{Control, Machine, Until};
