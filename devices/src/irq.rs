//! Interrupt lines and message-signalled interrupts.

use crate::dma::StreamId;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

/// Something that has interrupt inputs: an interrupt controller or a CPU.
///
/// Implementations take their own lock only and never call a device.
pub trait IrqTarget: Send + Sync {
    /// Input `line` changed to `level`.
    fn set_irq(&self, line: u32, level: bool);

    /// Input `line` is at `level` because saved state was restored. No edge is seen.
    fn restore_irq(&self, line: u32, level: bool) {
        self.set_irq(line, level);
    }
}

/// One wire into a target, driven by one or more sources.
struct Wire {
    target: Option<Arc<dyn IrqTarget>>,
    number: u32,
    /// Sources that are high. Held while the target is told, so that it sees changes in order.
    high: Mutex<u32>,
}

impl Wire {
    fn tell(&self, level: bool, restored: bool) {
        if let Some(target) = &self.target {
            if restored {
                target.restore_irq(self.number, level);
            } else {
                target.set_irq(self.number, level);
            }
        }
    }
}

struct Source {
    wire: Arc<Wire>,
    level: AtomicBool,
}

impl Drop for Source {
    fn drop(&mut self) {
        change(self, false, false);
    }
}

fn change(source: &Source, level: bool, restored: bool) {
    let mut high = source
        .wire
        .high
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let before = *high > 0;
    if source.level.swap(level, Ordering::AcqRel) != level {
        *high = if level {
            high.saturating_add(1)
        } else {
            high.saturating_sub(1)
        };
    }
    let after = *high > 0;
    if before != after || restored {
        source.wire.tell(after, restored);
    }
}

/// An interrupt output of a device, connected to an input of an [`IrqTarget`].
///
/// A clone is the same source. Several sources on one wire ([`IrqLine::share`]) are OR-ed, as level-triggered lines on
/// a PCI bus are. When the last handle of a source is dropped, its level falls.
#[derive(Clone)]
pub struct IrqLine(Arc<Source>);

impl IrqLine {
    /// A line into input `number` of `target`, low.
    #[must_use]
    pub fn new(target: Arc<dyn IrqTarget>, number: u32) -> Self {
        Self::on(Arc::new(Wire {
            target: Some(target),
            number,
            high: Mutex::new(0),
        }))
    }

    /// A line that leads nowhere.
    #[must_use]
    pub fn detached() -> Self {
        Self::on(Arc::new(Wire {
            target: None,
            number: 0,
            high: Mutex::new(0),
        }))
    }

    fn on(wire: Arc<Wire>) -> Self {
        Self(Arc::new(Source {
            wire,
            level: AtomicBool::new(false),
        }))
    }

    /// `n` further sources on the same wire: the target sees it high while any source, this one included, is high.
    #[must_use]
    pub fn share(&self, n: usize) -> Vec<Self> {
        (0..n).map(|_| Self::on(self.0.wire.clone())).collect()
    }

    /// A line into input `number + n` of the same target, for devices with several outputs.
    #[must_use]
    pub fn sibling(&self, n: u32) -> Self {
        match &self.0.wire.target {
            Some(target) => Self::new(target.clone(), self.0.wire.number.wrapping_add(n)),
            None => Self::detached(),
        }
    }

    /// Drives the line. Nothing happens if it is at `level` already.
    pub fn set(&self, level: bool) {
        if self.0.level.load(Ordering::Acquire) != level {
            change(&self.0, level, false);
        }
    }

    /// Raises and lowers the line: one edge. A line that is high falls.
    pub fn pulse(&self) {
        self.set(true);
        self.set(false);
    }

    /// Sets the level without an edge. For [`Snapshot::restore`](crate::Snapshot::restore).
    pub fn set_restored(&self, level: bool) {
        change(&self.0, level, true);
    }

    /// The level this source drives.
    #[must_use]
    pub fn level(&self) -> bool {
        self.0.level.load(Ordering::Acquire)
    }

    /// The target's input number.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.0.wire.number
    }
}

impl fmt::Debug for IrqLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IrqLine")
            .field("number", &self.0.wire.number)
            .field("attached", &self.0.wire.target.is_some())
            .field("level", &self.level())
            .finish()
    }
}

/// A message-signalled interrupt: a 32-bit write to an address that an interrupt controller decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MsiMessage {
    /// The address written.
    pub address: u64,
    /// The value written.
    pub data: u32,
}

/// Receives message-signalled interrupts.
pub trait MsiTarget: Send + Sync {
    /// Device `source` sent `message`.
    fn send(&self, message: MsiMessage, source: StreamId);
}

/// Where a device sends its message-signalled interrupts.
#[derive(Clone)]
pub struct MsiSink(Option<(Arc<dyn MsiTarget>, StreamId)>);

impl MsiSink {
    /// A sink for the device that is `source` on the bus.
    #[must_use]
    pub fn new(target: Arc<dyn MsiTarget>, source: StreamId) -> Self {
        Self(Some((target, source)))
    }

    /// A sink that loses everything.
    #[must_use]
    pub fn detached() -> Self {
        Self(None)
    }

    /// Sends `message`.
    pub fn send(&self, message: MsiMessage) {
        if let Some((target, source)) = &self.0 {
            target.send(message, *source);
        }
    }
}

impl fmt::Debug for MsiSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MsiSink")
            .field(&self.0.as_ref().map(|(_, s)| s.0))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Log(Mutex<Vec<(u32, bool, bool)>>);
    impl IrqTarget for Log {
        fn set_irq(&self, line: u32, level: bool) {
            self.0.lock().unwrap().push((line, level, false));
        }
        fn restore_irq(&self, line: u32, level: bool) {
            self.0.lock().unwrap().push((line, level, true));
        }
    }
    impl Log {
        fn take(&self) -> Vec<(u32, bool, bool)> {
            std::mem::take(&mut *self.0.lock().unwrap())
        }
    }

    #[test]
    fn target_hears_changes_only() {
        let log = Arc::new(Log::default());
        let line = IrqLine::new(log.clone(), 5);
        line.set(false);
        assert!(log.take().is_empty());
        line.set(true);
        line.clone().set(true);
        assert_eq!(log.take(), [(5, true, false)]);
        line.pulse();
        assert_eq!(log.take(), [(5, false, false)]);
        line.pulse();
        assert_eq!(log.take(), [(5, true, false), (5, false, false)]);
    }

    #[test]
    fn shared_sources_are_ored() {
        let log = Arc::new(Log::default());
        let a = IrqLine::new(log.clone(), 1);
        let mut more = a.share(2);
        a.set(true);
        more[0].set(true);
        assert_eq!(log.take(), [(1, true, false)]);
        a.set(false);
        assert!(!a.level() && log.take().is_empty());
        drop(more.remove(0));
        assert_eq!(
            log.take(),
            [(1, false, false)],
            "a source that goes away lets go of the wire"
        );
    }

    #[test]
    fn restored_level_makes_no_edge_and_keeps_the_or() {
        let log = Arc::new(Log::default());
        let a = IrqLine::new(log.clone(), 1);
        let b = a.share(1).remove(0);
        b.set_restored(true);
        a.set_restored(false);
        assert_eq!(log.take(), [(1, true, true), (1, true, true)]);
        b.set(false);
        assert_eq!(log.take(), [(1, false, false)]);
    }
}
