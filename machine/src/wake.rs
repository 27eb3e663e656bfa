//! A wake-up that is never lost.

use ambidex_cpu::Kick;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Locks `m`; a thread that panicked while it held the lock is reported elsewhere.
pub(crate) fn lock<T: ?Sized>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A token one thread waits for and any thread sets. It stays set until it is cleared, so the waiting side clears it, looks at everything
/// that could be to do, and only then waits: what happened in between has set it again.
#[derive(Default)]
pub struct WakeToken {
    set: AtomicBool,
    lock: Mutex<()>,
    changed: Condvar,
}

impl WakeToken {
    /// Sets the token and wakes the waiting thread.
    pub fn set(&self) {
        if !self.set.swap(true, Ordering::SeqCst) {
            // The waiter looks at the flag under this lock, so it either sees it or is already waiting.
            drop(lock(&self.lock));
            self.changed.notify_all();
        }
    }

    /// Whether it is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.set.load(Ordering::SeqCst)
    }

    /// Takes it away.
    pub fn clear(&self) {
        self.set.store(false, Ordering::SeqCst);
    }

    /// Waits until it is set.
    pub fn wait(&self) {
        let mut guard = lock(&self.lock);
        while !self.is_set() {
            guard = self
                .changed
                .wait(guard)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until it is set or `limit` has passed.
    pub fn wait_for(&self, limit: Duration) {
        let guard = lock(&self.lock);
        let waits = self
            .changed
            .wait_timeout_while(guard, limit, |()| !self.is_set());
        drop(waits);
    }
}

impl Kick for WakeToken {
    fn kick(&self) {
        self.set();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    /// Every item posted before a `set` is seen by the waiter: it would hang on the first lost wake-up.
    #[test]
    fn no_wake_up_is_lost() {
        const N: u64 = 20_000;
        let token = Arc::new(WakeToken::default());
        let posted = Arc::new(AtomicU64::new(0));
        let taken = Arc::new(AtomicU64::new(0));
        std::thread::scope(|s| {
            s.spawn(|| {
                for i in 1..=N {
                    posted.store(i, Ordering::SeqCst);
                    token.set();
                    // In lock step, so that the waiter waits nearly every time.
                    while taken.load(Ordering::SeqCst) < i {
                        std::thread::yield_now();
                    }
                }
            });
            loop {
                token.clear();
                let seen = posted.load(Ordering::SeqCst);
                taken.store(seen, Ordering::SeqCst);
                if seen == N {
                    break;
                }
                token.wait();
            }
        });
    }

    #[test]
    fn waits_end() {
        let token = WakeToken::default();
        token.wait_for(Duration::from_micros(1));
        assert!(!token.is_set());
        token.set();
        token.wait();
        token.wait_for(Duration::from_secs(3600));
        token.clear();
        assert!(!token.is_set());
    }
}
