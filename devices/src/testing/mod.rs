//! Far ends of a device's wiring for tests, the contract tests and the fuzz harness.
//!
//! Everything here is for test code; it panics freely.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod wires;

pub use wires::{IrqEvent, TestIrq, TestMemory, TestMsi, TestNotify};
