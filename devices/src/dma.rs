//! A device's view of guest memory, from `ambidex-memory`.

use std::fmt;
use std::sync::Arc;

/// A guest-physical address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gpa(pub u64);

/// A device's identity on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamId(pub u32);

/// Why an access failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// Nothing there.
    #[error("Nothing is mapped at {0:?}")]
    Unmapped(Gpa),
    /// Not allowed.
    #[error("Access to {0:?} is denied")]
    Denied(Gpa),
    /// Too much traffic in one access.
    #[error("The DMA budget is used up")]
    Budget,
}

/// Memory for DMA.
pub trait DmaTarget: Send + Sync {
    /// Reads.
    fn read(&self, at: Gpa, buf: &mut [u8], id: StreamId) -> Result<(), BusError>;
    /// Writes.
    fn write(&self, at: Gpa, data: &[u8], id: StreamId) -> Result<(), BusError>;
}

/// A device's view of guest memory.
#[derive(Clone)]
pub struct Dma(Option<Arc<dyn DmaTarget>>, StreamId);

impl fmt::Debug for Dma {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dma({})", self.1.0)
    }
}

macro_rules! ints {
    ($($read:ident $write:ident $t:ty),*) => {$(
        /// Reads a little-endian integer.
        pub fn $read(&self, at: u64) -> Result<$t, BusError> {
            let mut b = [0; size_of::<$t>()];
            self.read_bytes(at, &mut b)?;
            Ok(<$t>::from_le_bytes(b))
        }
        /// Writes a little-endian integer.
        pub fn $write(&self, at: u64, value: $t) -> Result<(), BusError> {
            self.write_bytes(at, &value.to_le_bytes())
        }
    )*};
}

impl Dma {
    /// A view of `target` for device `id`.
    #[must_use]
    pub fn new(target: Arc<dyn DmaTarget>, id: StreamId) -> Self {
        Self(Some(target), id)
    }
    /// Everything denied.
    #[must_use]
    pub fn none() -> Self {
        Self(None, StreamId(0))
    }
    /// Reads bytes.
    pub fn read_bytes(&self, at: u64, buf: &mut [u8]) -> Result<(), BusError> {
        self.0
            .as_ref()
            .ok_or(BusError::Denied(Gpa(at)))?
            .read(Gpa(at), buf, self.1)
    }
    /// Writes bytes.
    pub fn write_bytes(&self, at: u64, data: &[u8]) -> Result<(), BusError> {
        self.0
            .as_ref()
            .ok_or(BusError::Denied(Gpa(at)))?
            .write(Gpa(at), data, self.1)
    }
    ints!(read_u8 write_u8 u8, read_u16 write_u16 u16, read_u32 write_u32 u32, read_u64 write_u64 u64);
}
