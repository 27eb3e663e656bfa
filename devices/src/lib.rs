//! Device models as synchronous state machines, reusable in any virtual machine monitor, with their host back ends.
//!
//! A [`Device`] is a plain struct that answers register reads and writes. It is built from one [`Wiring`] of cheap
//! handles (interrupt line, MSI sink, DMA view, VM clock, notifier), owns no threads, file descriptors or event loops,
//! and knows no hypervisor. Time is pulled: a device publishes a [`Device::deadline`] and is told to
//! [`Device::tick`]. Effects on the whole board are returned as an [`Action`].
//!
//! Back ends ([`char`](mod@char), [`block`]) own the threads and talk to devices through [`char::CharBackend`] and
//! [`block::BlockBackend`].
//!
//! Every device that is also [`Snapshot`] is a [`DynDevice`] and can be put through the contract tests and the fuzz
//! harness of [`testing`].
//!
//! # Trust
//!
//! The guest is not trusted, nor is saved state. Neither may make a device panic, loop or allocate without bound.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

pub mod block;
pub mod char;
pub mod clock;
pub mod device;
pub mod dma;
pub mod flash;
pub mod fwcfg;
pub mod intc;
pub mod irq;
pub mod misc;
pub mod regmap;
pub mod rtc;
pub mod serial;
pub mod snapshot;
pub mod testing;
pub mod timer;
pub mod virtio;
pub mod wiring;

pub use clock::{
    Clock, HostWallClock, ManualClock, ManualWallClock, RealTime, TimeSource, WallClock,
};
pub use device::{AccessSizes, Action, Device, Nanos, RegionKind, RegionSpec, ResetKind};
pub use dma::{BusError, Dma, DmaTarget, Gpa, StreamId};
pub use irq::{IrqLine, IrqTarget, MsiMessage, MsiSink, MsiTarget};
pub use snapshot::{DynDevice, RestoreError, SavedState, Snapshot};
pub use wiring::{Notifier, NotifyTarget, TestWires, Wiring};

/// The examples of the README, so that they are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
