//! Far ends of a device's wiring for tests, the contract tests and the fuzz harness.
//!
//! * [`contract::check`] puts a device through what every device has to keep.
//! * [`fuzz::run`] interprets bytes as a sequence of actions on a device and on a twin restored from its saved state,
//!   and reports where they differ. A cargo-fuzz target is one line over it; [`fuzz::blind`] runs pseudo-random inputs
//!   in a unit test; [`fuzz::Encoder`] writes inputs by hand.
//!
//! Everything here is for test code; it panics freely.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

pub mod contract;
pub mod fuzz;
mod host;
#[cfg(test)]
mod seeded;
mod wires;

pub use host::{TestChar, TestHost};
pub use wires::{IrqEvent, TestIrq, TestMemory, TestMsi, TestNotify};
