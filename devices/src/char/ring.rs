//! A bounded queue of bytes.

use std::collections::VecDeque;

/// A queue that takes no more than its capacity.
#[derive(Debug)]
pub struct Ring {
    bytes: VecDeque<u8>,
    capacity: usize,
}

impl Ring {
    /// A queue for `capacity` bytes, at least one.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            bytes: VecDeque::new(),
            capacity: capacity.max(1),
        }
    }

    /// Takes bytes from the front of `data` and returns how many.
    pub fn push(&mut self, data: &[u8]) -> usize {
        let n = data.len().min(self.room());
        self.bytes.extend(data.iter().take(n));
        n
    }

    /// Moves the oldest bytes into `buf` and returns how many.
    pub fn pop(&mut self, buf: &mut [u8]) -> usize {
        let n = self.peek(buf);
        self.bytes.drain(..n);
        n
    }

    /// Copies the oldest bytes into `buf` and returns how many.
    pub fn peek(&self, buf: &mut [u8]) -> usize {
        buf.iter_mut()
            .zip(&self.bytes)
            .map(|(to, from)| *to = *from)
            .count()
    }

    /// Removes the `n` oldest bytes.
    pub fn skip(&mut self, n: usize) {
        self.bytes.drain(..n.min(self.bytes.len()));
    }

    /// Removes and returns everything.
    pub fn take_all(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes).into()
    }

    /// How many bytes fit.
    #[must_use]
    pub fn room(&self) -> usize {
        self.capacity.saturating_sub(self.bytes.len())
    }

    /// Whether nothing is queued.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}
