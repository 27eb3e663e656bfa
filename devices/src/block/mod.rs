//! Block back ends: where the sectors of disks come from and go to.
//!
//! A device sees a [`BlockBackend`], which runs requests. What holds the bytes is a [`Storage`]: [`RawFile`],
//! [`MemoryDisk`], or [`Faulty`] around another. Two back ends run requests on a storage: [`SyncBackend`] completes them
//! inside [`BlockBackend::submit`], for deterministic runs, and [`WorkerBackend`] has a bounded queue and threads.

use crate::Notifier;

pub mod faulty;
pub mod memory;
pub mod raw;
pub mod sync;
pub mod worker;

pub use faulty::{Fault, FaultPlan, Faulty};
pub use memory::MemoryDisk;
pub use raw::{ImageError, RawFile, RawOptions};
pub use sync::SyncBackend;
pub use worker::WorkerBackend;

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

    /// Requests the back end takes at a time; further ones fail with [`BlockError::Busy`].
    fn max_in_flight(&self) -> usize {
        64
    }

    /// Starts a request. Each submitted request yields exactly one [`Completion`], in any order; failures too.
    fn submit(&mut self, request: BlockRequest);

    /// Takes a finished request, if there is one.
    fn poll(&mut self) -> Option<Completion>;

    /// Names whom to notify of completions, with which token. A later call replaces an earlier one.
    fn attach(&mut self, notifier: Notifier, token: u32);
}

/// What holds the bytes of a disk. Operations are synchronous and may come from several threads at once; they are
/// within the length.
pub trait Storage: Send + Sync {
    /// Length in bytes. It does not change.
    fn len(&self) -> u64;

    /// Whether the length is 0.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether writes are refused.
    fn read_only(&self) -> bool {
        false
    }

    /// Fills `buf` from `offset`.
    ///
    /// # Errors
    /// The host failed, or there are fewer bytes than there were.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), BlockError>;

    /// Writes all of `data` at `offset`.
    ///
    /// # Errors
    /// The host failed.
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), BlockError>;

    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// The host failed.
    fn flush(&self) -> Result<(), BlockError>;

    /// Gives space back, if that is possible.
    ///
    /// # Errors
    /// The host failed.
    fn discard(&self, offset: u64, len: u64) -> Result<(), BlockError>;

    /// Makes the range read as zero, and gives its space back if `unmap` and possible.
    ///
    /// # Errors
    /// The host failed.
    fn write_zeroes(&self, offset: u64, len: u64, unmap: bool) -> Result<(), BlockError>;
}

/// Longest read that is served: more means that somebody forgot to split.
const MAX_READ: u64 = 64 << 20;

/// Runs one request on a storage.
fn execute(storage: &dyn Storage, op: BlockOp) -> Result<Vec<u8>, BlockError> {
    let (offset, len, writes) = match &op {
        BlockOp::Read { offset, len } => (*offset, *len, false),
        BlockOp::Write { offset, data } => (*offset, data.len() as u64, true),
        BlockOp::Flush => (0, 0, false),
        BlockOp::Discard { offset, len } | BlockOp::WriteZeroes { offset, len, .. } => {
            (*offset, *len, true)
        }
    };
    let disk_len = storage.len();
    if offset.checked_add(len).is_none_or(|end| end > disk_len) {
        return Err(BlockError::OutOfRange {
            offset,
            len,
            disk_len,
        });
    }
    if writes && storage.read_only() {
        return Err(BlockError::ReadOnly);
    }
    match op {
        BlockOp::Read { .. } if len > MAX_READ => return Err(BlockError::Unsupported),
        BlockOp::Read { .. } => {
            let mut buf = vec![0; len as usize];
            storage.read_at(offset, &mut buf)?;
            return Ok(buf);
        }
        BlockOp::Write { data, .. } => storage.write_at(offset, &data)?,
        BlockOp::Flush => storage.flush()?,
        BlockOp::Discard { .. } => storage.discard(offset, len)?,
        BlockOp::WriteZeroes { unmap, .. } => storage.write_zeroes(offset, len, unmap)?,
    }
    Ok(Vec::new())
}
