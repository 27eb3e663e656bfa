#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod access;
mod attrs;
mod dirtylog;
mod dma;
mod error;
mod flat;
mod gpa;
mod ram;
mod region;
mod space;

pub use access::{AccessSizes, MmioHandler};
pub use attrs::{Attrs, Initiator, StreamId};
pub use dirtylog::DirtyLog;
pub use dma::{Dma, DmaGate, DmaTarget, Iommu};
pub use error::{BusError, MemoryError};
pub use flat::{FlatRange, FlatView, RangeKind};
pub use gpa::{Gpa, PAGE_SIZE};
pub use ram::{
    Backing, DirtyClient, MAX_DIRTY_CLIENTS, MAX_WATCHERS, RamBlock, RamOptions, WatcherId,
    WriteWatcher,
};
pub use region::Region;
pub use space::{AddressSpace, SubscriptionId, Transaction, ViewListener};
