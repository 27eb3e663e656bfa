//! A disk that fails when told to: for tests.

use super::{BlockError, Storage};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A way to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Input/output error; nothing is done.
    Io,
    /// No space left; nothing is done.
    NoSpace,
    /// The first half is done, then an error.
    Short,
}

/// Says which operations of a [`Faulty`] storage fail. A clone is the same plan.
#[derive(Clone, Default)]
pub struct FaultPlan(Arc<Mutex<VecDeque<Option<Fault>>>>);

impl FaultPlan {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Option<Fault>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends what happens to the next operation that is not planned yet; `None` lets it succeed. Operations beyond
    /// the plan succeed.
    pub fn then(&self, fault: Option<Fault>) {
        self.lock().push_back(fault);
    }

    /// How many operations are planned and have not happened yet.
    #[must_use]
    pub fn left(&self) -> usize {
        self.lock().len()
    }

    fn next(&self) -> Option<Fault> {
        self.lock().pop_front().flatten()
    }
}

/// A storage around another that fails as planned.
pub struct Faulty<S> {
    inner: S,
    plan: FaultPlan,
}

impl<S: Storage> Faulty<S> {
    /// `inner`, failing as `plan` says.
    #[must_use]
    pub fn new(inner: S, plan: FaultPlan) -> Self {
        Self { inner, plan }
    }

    fn run(
        &self,
        half: impl FnOnce() -> Result<(), BlockError>,
        all: impl FnOnce() -> Result<(), BlockError>,
    ) -> Result<(), BlockError> {
        match self.plan.next() {
            None => all(),
            Some(Fault::Io) => Err(BlockError::Host("input/output error".into())),
            Some(Fault::NoSpace) => Err(BlockError::Host("no space left on device".into())),
            Some(Fault::Short) => {
                half()?;
                Err(BlockError::Host("the transfer ended early".into()))
            }
        }
    }
}

impl<S: Storage> Storage for Faulty<S> {
    fn len(&self) -> u64 {
        self.inner.len()
    }

    fn read_only(&self) -> bool {
        self.inner.read_only()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), BlockError> {
        self.run(|| Ok(()), || self.inner.read_at(offset, buf))
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), BlockError> {
        let half = data.get(..data.len() / 2).unwrap_or_default();
        self.run(
            || self.inner.write_at(offset, half),
            || self.inner.write_at(offset, data),
        )
    }

    fn flush(&self) -> Result<(), BlockError> {
        self.run(|| Ok(()), || self.inner.flush())
    }

    fn discard(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        self.run(
            || self.inner.discard(offset, len / 2),
            || self.inner.discard(offset, len),
        )
    }

    fn write_zeroes(&self, offset: u64, len: u64, unmap: bool) -> Result<(), BlockError> {
        self.run(
            || self.inner.write_zeroes(offset, len / 2, unmap),
            || self.inner.write_zeroes(offset, len, unmap),
        )
    }
}
