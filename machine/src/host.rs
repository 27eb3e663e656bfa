//! Events of back ends: from any host thread to the machine's loop, which then calls the device under its lock.

use crate::wake::{WakeToken, lock};
use ambidex_devices::{Notifier, NotifyTarget};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// Events not yet delivered. Each (device, token) is held once, so the set is bounded by what devices attach.
pub(crate) struct Events {
    waiting: Mutex<BTreeSet<(u32, u32)>>,
    bell: Arc<WakeToken>,
}

impl Events {
    pub(crate) fn new(bell: Arc<WakeToken>) -> Events {
        Events {
            waiting: Mutex::default(),
            bell,
        }
    }

    pub(crate) fn post(&self, device: u32, token: u32) {
        if lock(&self.waiting).insert((device, token)) {
            self.bell.set();
        }
    }

    /// Takes all events, by device number.
    pub(crate) fn take(&self) -> BTreeSet<(u32, u32)> {
        std::mem::take(&mut *lock(&self.waiting))
    }

    /// The notifier of device number `device`.
    pub(crate) fn notifier(self: &Arc<Self>, device: u32) -> Notifier {
        Notifier::new(Arc::new(Target {
            events: self.clone(),
            device,
        }))
    }
}

struct Target {
    events: Arc<Events>,
    device: u32,
}

impl NotifyTarget for Target {
    fn notify(&self, token: u32) {
        self.events.post(self.device, token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_merged_and_ring_the_bell() {
        let bell = Arc::new(WakeToken::default());
        let events = Arc::new(Events::new(bell.clone()));
        let n = events.notifier(3);
        n.notify(7);
        n.notify(7);
        events.notifier(1).notify(0);
        assert!(bell.is_set());
        assert_eq!(
            events.take().into_iter().collect::<Vec<_>>(),
            [(1, 0), (3, 7)]
        );
        assert!(events.take().is_empty());
    }
}
