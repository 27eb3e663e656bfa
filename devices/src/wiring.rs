//! The handles a device is built from.

use crate::dma::{Dma, StreamId};
use crate::testing::{TestIrq, TestMemory, TestMsi, TestNotify};
use crate::{Clock, IrqLine, ManualClock, MsiSink};
use std::fmt;
use std::sync::Arc;

/// Receives notifications of back ends. The machine's implementation wakes its loop, which calls
/// [`Device::event`](crate::Device::event) under the device's lock.
pub trait NotifyTarget: Send + Sync {
    /// The back end attached with `token` made progress. Called from any thread; must not block or call the device.
    fn notify(&self, token: u32);
}

/// How a back end tells its device that it made progress. Works from any thread and never calls the device itself.
#[derive(Clone, Default)]
pub struct Notifier(Option<Arc<dyn NotifyTarget>>);

impl Notifier {
    /// A notifier that tells `target`.
    #[must_use]
    pub fn new(target: Arc<dyn NotifyTarget>) -> Self {
        Self(Some(target))
    }

    /// A notifier that tells nobody.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Asks for `device.event(token)`.
    pub fn notify(&self, token: u32) {
        if let Some(target) = &self.0 {
            target.notify(token);
        }
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Notifier({})",
            if self.0.is_some() { "attached" } else { "none" }
        )
    }
}

/// Everything a device reaches outside itself, as cheap handles. None of them calls back into the device.
#[derive(Clone)]
pub struct Wiring {
    /// The device's interrupt output. Devices with several take further lines by name.
    pub irq: IrqLine,
    /// Where message-signalled interrupts go.
    pub msi: MsiSink,
    /// The device's view of guest memory.
    pub dma: Dma,
    /// VM time.
    pub clock: Clock,
    /// How the device's back ends announce progress.
    pub backend: Notifier,
}

impl Wiring {
    /// Wiring that leads nowhere: no interrupts, no memory, time stands still at 0.
    #[must_use]
    pub fn detached() -> Self {
        Self {
            irq: IrqLine::detached(),
            msi: MsiSink::detached(),
            dma: Dma::none(),
            clock: ManualClock::new().clock(),
            backend: Notifier::none(),
        }
    }

    /// Wiring whose far ends a test holds.
    #[must_use]
    pub fn test() -> (Self, TestWires) {
        let wires = TestWires::default();
        (wires.wiring(), wires)
    }
}

/// The far ends of [`Wiring::test`]. A clone is the same set.
#[derive(Clone, Default)]
pub struct TestWires {
    /// Records levels and edges; [`Wiring::irq`] is its input 0 and siblings are 1, 2 and so on.
    pub irq: Arc<TestIrq>,
    /// Records messages.
    pub msi: Arc<TestMsi>,
    /// Sparse memory, zero at first, that records what the device writes.
    pub memory: Arc<TestMemory>,
    /// VM time.
    pub clock: ManualClock,
    /// Records notifications.
    pub notify: Arc<TestNotify>,
}

impl TestWires {
    /// New handles to the same far ends.
    #[must_use]
    pub fn wiring(&self) -> Wiring {
        Wiring {
            irq: IrqLine::new(self.irq.clone(), 0),
            msi: MsiSink::new(self.msi.clone(), StreamId(0)),
            dma: Dma::new(self.memory.clone(), StreamId(0)),
            clock: self.clock.clock(),
            backend: Notifier::new(self.notify.clone()),
        }
    }
}
