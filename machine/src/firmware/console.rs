//! The console firmware prints on: registers of a 16550, as firmware on real hardware would use them.

use ambidex_memory::{AddressSpace, Attrs, Gpa};
use std::sync::Arc;

/// A console for firmware calls. Never blocks.
pub trait DebugConsole: Send + Sync {
    /// Sends one byte if there is room for it.
    fn put(&self, byte: u8) -> bool;
    /// Takes one received byte.
    fn get(&self) -> Option<u8>;
}

const DATA: u64 = 0;
const LSR: u64 = 5;
const LSR_DATA_READY: u64 = 1 << 0;
const LSR_THR_EMPTY: u64 = 1 << 5;

/// A 16550 with byte registers.
pub struct UartConsole {
    space: Arc<AddressSpace>,
    base: Gpa,
}

impl UartConsole {
    /// The UART whose registers are at `base`.
    #[must_use]
    pub fn new(space: Arc<AddressSpace>, base: Gpa) -> UartConsole {
        UartConsole { space, base }
    }

    fn status(&self) -> u64 {
        self.space
            .read(Gpa(self.base.0 + LSR), 1, Attrs::cpu(0))
            .unwrap_or(0)
    }
}

impl DebugConsole for UartConsole {
    fn put(&self, byte: u8) -> bool {
        self.status() & LSR_THR_EMPTY != 0
            && self
                .space
                .write(Gpa(self.base.0 + DATA), 1, byte.into(), Attrs::cpu(0))
                .is_ok()
    }

    fn get(&self) -> Option<u8> {
        if self.status() & LSR_DATA_READY == 0 {
            return None;
        }
        self.space
            .read(Gpa(self.base.0 + DATA), 1, Attrs::cpu(0))
            .ok()
            .map(|b| b as u8)
    }
}

/// No console: output is dropped.
#[derive(Debug, Default)]
pub struct NoConsole;

impl DebugConsole for NoConsole {
    fn put(&self, _: u8) -> bool {
        true
    }

    fn get(&self) -> Option<u8> {
        None
    }
}
