//! A back end in memory: the host program holds the other end.

use super::CharBackend;
use super::ring::Ring;
use crate::Notifier;
use std::sync::{Arc, Mutex, PoisonError};

struct Shared {
    input: Mutex<Ring>,
    output: Mutex<Ring>,
    attached: Mutex<(Notifier, u32)>,
}

/// The device's end.
pub struct MemoryBackend(Arc<Shared>);

/// The host program's end. A clone is the same one.
#[derive(Clone)]
pub struct MemoryPeer(Arc<Shared>);

/// A back end and its other end. Each direction holds up to `capacity` bytes.
#[must_use]
pub fn pair(capacity: usize) -> (MemoryBackend, MemoryPeer) {
    let shared = Arc::new(Shared {
        input: Mutex::new(Ring::new(capacity)),
        output: Mutex::new(Ring::new(capacity)),
        attached: Mutex::default(),
    });
    (MemoryBackend(shared.clone()), MemoryPeer(shared))
}

fn lock<T>(m: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn notify(&self) {
        let (notifier, token) = lock(&self.attached).clone();
        notifier.notify(token);
    }
}

impl MemoryPeer {
    /// Sends to the device; returns how many bytes there was room for.
    #[must_use = "what did not fit has to be sent again"]
    pub fn send(&self, data: &[u8]) -> usize {
        let n = lock(&self.0.input).push(data);
        self.0.notify();
        n
    }

    /// Takes everything the device has written so far.
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        let mut output = lock(&self.0.output);
        let was_full = output.room() == 0;
        let data = output.take_all();
        drop(output);
        if was_full {
            self.0.notify();
        }
        data
    }
}

impl CharBackend for MemoryBackend {
    fn write(&mut self, data: &[u8]) -> usize {
        lock(&self.0.output).push(data)
    }

    fn read(&mut self, buf: &mut [u8]) -> usize {
        lock(&self.0.input).pop(buf)
    }

    fn attach(&mut self, notifier: Notifier, token: u32) {
        *lock(&self.0.attached) = (notifier, token);
        if !lock(&self.0.input).is_empty() {
            self.0.notify();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_pressure_loses_nothing() {
        let (w, wires) = crate::Wiring::test();
        let (mut back, peer) = pair(4);
        back.attach(w.backend, 3);
        assert_eq!(back.write(b"abcdef"), 4);
        assert_eq!(peer.take(), b"abcd");
        assert_eq!(wires.notify.take(), [3], "room again");
        assert_eq!(back.write(b"ef"), 2);
        assert_eq!(peer.send(b"12345"), 4);
        let mut buf = [0; 3];
        assert_eq!((back.read(&mut buf), &buf), (3, b"123"));
        assert_eq!(peer.take(), b"ef");
    }
}
