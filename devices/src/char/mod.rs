//! Character back ends: where the bytes of serial ports and consoles come from and go to.
//!
//! A back end owns its threads. A reader thread puts input into a bounded [`ring::Ring`], waits while that is full (so
//! nothing is lost), and notifies the device.

use crate::Notifier;

pub mod file;
pub mod memory;
pub mod null;
pub mod pty;
pub mod ring;
pub mod socket;
pub mod stdio;
pub mod stream;

/// A source and sink of bytes, polled by a device and announcing progress through a [`Notifier`].
pub trait CharBackend: Send {
    /// Takes bytes from the front of `data` and returns how many. Fewer than all means full: the notifier fires when
    /// there is room again. A back end with nobody at the other end takes and drops everything.
    fn write(&mut self, data: &[u8]) -> usize;

    /// Moves input into `buf` and returns how many bytes. 0 means none for now: the notifier fires when there is more.
    fn read(&mut self, buf: &mut [u8]) -> usize;

    /// Names whom to notify, with which token. Fires at once if input waits. A later call replaces an earlier one.
    fn attach(&mut self, notifier: Notifier, token: u32);

    /// The device starts or ends sending a break condition.
    fn set_break(&mut self, on: bool) {
        let _ = on;
    }

    /// Whether the other end sent a break since the last call.
    fn take_break(&mut self) -> bool {
        false
    }

    /// Whether somebody is at the other end. Drives carrier detect where a device has it.
    fn connected(&self) -> bool {
        true
    }
}
