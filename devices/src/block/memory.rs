//! A disk in memory.

use super::{BlockError, Storage};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A disk in memory. A clone is the same disk.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    bytes: Arc<Mutex<Vec<u8>>>,
    len: u64,
    read_only: bool,
}

impl MemoryDisk {
    /// A disk with these contents.
    #[must_use]
    pub fn new(contents: Vec<u8>) -> Self {
        Self {
            len: contents.len() as u64,
            bytes: Arc::new(Mutex::new(contents)),
            read_only: false,
        }
    }

    /// The same disk, refusing writes.
    #[must_use]
    pub fn read_only(&self) -> Self {
        Self {
            read_only: true,
            ..self.clone()
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of the contents.
    #[must_use]
    pub fn contents(&self) -> Vec<u8> {
        self.lock().clone()
    }

    fn with(&self, offset: u64, len: u64, f: impl FnOnce(&mut [u8])) -> Result<(), BlockError> {
        let mut bytes = self.lock();
        let range = offset as usize..offset.saturating_add(len) as usize;
        match bytes.get_mut(range) {
            Some(part) => {
                f(part);
                Ok(())
            }
            None => Err(BlockError::OutOfRange {
                offset,
                len,
                disk_len: self.len,
            }),
        }
    }
}

impl Storage for MemoryDisk {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), BlockError> {
        self.with(offset, buf.len() as u64, |b| buf.copy_from_slice(b))
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), BlockError> {
        self.with(offset, data.len() as u64, |b| b.copy_from_slice(data))
    }

    fn flush(&self) -> Result<(), BlockError> {
        Ok(())
    }

    fn discard(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        self.write_zeroes(offset, len, true)
    }

    fn write_zeroes(&self, offset: u64, len: u64, _unmap: bool) -> Result<(), BlockError> {
        self.with(offset, len, |b| b.fill(0))
    }
}
