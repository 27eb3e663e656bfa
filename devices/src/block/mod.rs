//! Block back ends: where the sectors of disks come from and go to.
//!
//! A back end owns its worker threads and bounds its queue. Deterministic back ends complete inside
//! [`BlockBackend::submit`].

use crate::Notifier;

pub mod memory;
pub mod raw;
pub mod sync;
pub mod worker;

/// What a request asks for. Offsets and lengths are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockOp {
    /// Read `len` bytes at `offset`.
    Read {
        /// Start.
        offset: u64,
        /// Length.
        len: u64,
    },
    /// Write `data` at `offset`.
    Write {
        /// Start.
        offset: u64,
        /// The bytes.
        data: Vec<u8>,
    },
    /// Make everything completed so far durable.
    Flush,
    /// The range's contents are no longer needed; they read as anything afterwards.
    Discard {
        /// Start.
        offset: u64,
        /// Length.
        len: u64,
    },
    /// The range reads as zero afterwards.
    WriteZeroes {
        /// Start.
        offset: u64,
        /// Length.
        len: u64,
        /// Whether the space may be given back.
        unmap: bool,
    },
}

/// A request to a block back end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRequest {
    /// The device's name for the request, returned in its [`Completion`].
    pub id: u64,
    /// What to do.
    pub op: BlockOp,
}

/// A request that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// [`BlockRequest::id`].
    pub id: u64,
    /// The bytes read, empty for other requests.
    pub result: Result<Vec<u8>, BlockError>,
}

/// Why a block request failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// The range does not lie within the disk.
    #[error("The range of {len} bytes at {offset:#x} is outside the disk of {disk_len} bytes")]
    OutOfRange {
        /// Start.
        offset: u64,
        /// Length.
        len: u64,
        /// The disk's length.
        disk_len: u64,
    },
    /// The disk cannot be written.
    #[error("The disk is read-only")]
    ReadOnly,
    /// The back end cannot do this.
    #[error("The disk image does not support this operation")]
    Unsupported,
    /// The queue of the back end is full; submit again after a completion.
    #[error("The disk's queue is full")]
    Busy,
    /// The host failed.
    #[error("The host could not do the disk operation: {0}")]
    Host(String),
}

/// A disk, seen from a device model.
pub trait BlockBackend: Send {
    /// Length in bytes.
    fn len(&self) -> u64;

    /// Whether the length is 0.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether writes are refused.
    fn read_only(&self) -> bool;

    /// Starts a request. Each submitted request yields exactly one [`Completion`], in any order; failures too.
    fn submit(&mut self, request: BlockRequest);

    /// Takes a finished request, if there is one.
    fn poll(&mut self) -> Option<Completion>;

    /// Names whom to notify of completions, with which token. A later call replaces an earlier one.
    fn attach(&mut self, notifier: Notifier, token: u32);
}
