//! A device's view of guest memory, from `ambidex-memory`: re-exported so that a device crate needs one dependency.

pub use ambidex_memory::{BusError, Dma, DmaGate, DmaTarget, Gpa, StreamId};
