//! Deadlines of CPUs and firmware, and the alarm that wakes the machine's loop for the first of all deadlines.
//!
//! Device deadlines live with the devices ([`crate::device_slot`]); they share the alarm.

use ambidex_cpu::{Kicker, Nanos};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::wake::{WakeToken, lock};

/// No deadline.
pub(crate) const NEVER: Nanos = Nanos::MAX;

/// Wakes the machine's loop when a deadline appears that is earlier than the one it waits for.
///
/// The loop arms the alarm with the first deadline it found and looks at all deadlines once more. Whoever sets a deadline stores it and then
/// looks at the alarm. One of the two sees the other (all in the order of `SeqCst`), so no deadline is overslept.
pub(crate) struct Alarm {
    bell: Arc<WakeToken>,
    armed: AtomicU64,
    /// Deterministic runs: whoever runs now, to be interrupted so that its slice can be cut.
    running: Mutex<Option<Kicker>>,
}

impl Alarm {
    pub(crate) fn new(bell: Arc<WakeToken>) -> Arc<Alarm> {
        Arc::new(Alarm {
            bell,
            armed: AtomicU64::new(0),
            running: Mutex::new(None),
        })
    }

    /// The loop will not look before `at`.
    pub(crate) fn arm(&self, at: Nanos) {
        self.armed.store(at, Ordering::SeqCst);
    }

    /// The loop is awake and will look at all deadlines.
    pub(crate) fn disarm(&self) {
        self.arm(0);
    }

    /// Names who runs in a deterministic slice.
    pub(crate) fn set_running(&self, kicker: Option<Kicker>) {
        *lock(&self.running) = kicker;
    }

    /// A deadline `at` has been stored.
    pub(crate) fn note(&self, at: Nanos) {
        if at < self.armed.load(Ordering::SeqCst) {
            self.bell.set();
            if let Some(kicker) = &*lock(&self.running) {
                kicker.kick();
            }
        }
    }
}

/// One deadline that can be set from any thread.
pub(crate) struct Deadline {
    at: AtomicU64,
    alarm: Arc<Alarm>,
}

impl Deadline {
    pub(crate) fn new(alarm: Arc<Alarm>) -> Deadline {
        Deadline {
            at: AtomicU64::new(NEVER),
            alarm,
        }
    }

    /// Sets or clears it.
    pub(crate) fn set(&self, at: Option<Nanos>) {
        let at = at.unwrap_or(NEVER);
        if self.at.load(Ordering::Relaxed) != at {
            self.at.store(at, Ordering::SeqCst);
            self.alarm.note(at);
        }
    }

    pub(crate) fn get(&self) -> Nanos {
        self.at.load(Ordering::SeqCst)
    }

    /// If it is reached at `now`, clears it and says so. A deadline set meanwhile stays.
    pub(crate) fn expire(&self, now: Nanos) -> bool {
        let at = self.get();
        at != NEVER
            && at <= now
            && self
                .at
                .compare_exchange(at, NEVER, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_earlier_deadline_rings() {
        let bell = Arc::new(WakeToken::default());
        let alarm = Alarm::new(bell.clone());
        let (a, b) = (Deadline::new(alarm.clone()), Deadline::new(alarm.clone()));
        a.set(Some(100));
        assert!(!bell.is_set(), "the loop is awake");
        alarm.arm(a.get().min(b.get()));
        b.set(Some(200));
        assert!(!bell.is_set());
        b.set(Some(50));
        assert!(bell.is_set());
        assert!(!b.expire(49) && b.expire(50) && !b.expire(51));
        a.set(None);
        assert!(!a.expire(NEVER) && a.get() == NEVER);
    }
}
