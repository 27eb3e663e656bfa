//! A back end that takes everything and says nothing.

use super::CharBackend;
use crate::Notifier;

/// Drops output, has no input.
#[derive(Debug, Default)]
pub struct NullBackend;

impl CharBackend for NullBackend {
    fn write(&mut self, data: &[u8]) -> usize {
        data.len()
    }

    fn read(&mut self, _buf: &mut [u8]) -> usize {
        0
    }

    fn attach(&mut self, _notifier: Notifier, _token: u32) {}

    fn connected(&self) -> bool {
        false
    }
}
