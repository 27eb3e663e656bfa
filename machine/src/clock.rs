//! The VM clock: what guest time follows.
//!
//! All guest-visible time (the `time` CSR, `mtime`, real-time clocks, device timers) derives from it. It stands still while the machine
//! is paused and never goes back.

use ambidex_cpu::{Nanos, Timing};
use ambidex_devices::{Clock, TimeSource};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Set in the state word while the clock stands.
const STANDS: u64 = 1 << 63;
const MASK: u64 = STANDS - 1;

/// VM time in nanoseconds, 63 bits (292 years).
pub struct VmClock {
    timing: Timing,
    origin: Instant,
    /// Real time. Standing: `STANDS` and the time. Running: what is added to the time since `origin`, modulo 2^63.
    /// One word, so that a reader never sees half a change.
    word: AtomicU64,
    /// Instruction time: the time now.
    counted: AtomicU64,
    /// Instruction time: the time, and the running CPU's count, when its slice began.
    slice_time: AtomicU64,
    slice_insns: AtomicU64,
}

impl VmClock {
    /// A clock that stands at 0.
    #[must_use]
    pub fn new(timing: Timing) -> Arc<VmClock> {
        Arc::new(VmClock {
            timing,
            origin: Instant::now(),
            word: AtomicU64::new(STANDS),
            counted: AtomicU64::new(0),
            slice_time: AtomicU64::new(0),
            slice_insns: AtomicU64::new(0),
        })
    }

    /// What it follows.
    #[must_use]
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// Binary logarithm of the nanoseconds an instruction takes, if it counts instructions.
    #[must_use]
    pub fn shift(&self) -> Option<u8> {
        match self.timing {
            Timing::Instructions { shift } => Some(shift.min(30)),
            Timing::Real => None,
        }
    }

    fn since_origin(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64 & MASK
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Nanos {
        if self.shift().is_some() {
            return self.counted.load(Ordering::Acquire);
        }
        let word = self.word.load(Ordering::Acquire);
        if word & STANDS != 0 {
            word & MASK
        } else {
            self.since_origin().wrapping_add(word) & MASK
        }
    }

    /// Whether time goes on by itself.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.shift().is_none() && self.word.load(Ordering::Acquire) & STANDS == 0
    }

    /// Lets a real-time clock run. Called by one thread at a time, as are the other methods that change it.
    pub(crate) fn start(&self) {
        let word = self.word.load(Ordering::Acquire);
        if self.shift().is_none() && word & STANDS != 0 {
            let add = (word & MASK).wrapping_sub(self.since_origin()) & MASK;
            self.word.store(add, Ordering::Release);
        }
    }

    /// Stops a real-time clock.
    pub(crate) fn stop(&self) {
        if self.shift().is_none() {
            self.word.store(self.now() | STANDS, Ordering::Release);
        }
    }

    /// Puts a standing clock to `now`.
    pub(crate) fn set(&self, now: Nanos) {
        self.word.store(now & MASK | STANDS, Ordering::Release);
        self.counted.store(now & MASK, Ordering::Release);
    }

    /// Instruction time: a CPU that has executed `insns` in all begins a slice.
    pub(crate) fn begin_slice(&self, insns: u64) {
        self.slice_time.store(self.now(), Ordering::Release);
        self.slice_insns.store(insns, Ordering::Release);
    }

    /// Instruction time: the CPU whose slice it is has executed `insns` in all.
    pub(crate) fn executed(&self, insns: u64) {
        if let Some(shift) = self.shift() {
            let done = insns.saturating_sub(self.slice_insns.load(Ordering::Acquire));
            let passed = done.checked_mul(1 << shift).unwrap_or(MASK);
            let now = self
                .slice_time
                .load(Ordering::Acquire)
                .saturating_add(passed);
            self.counted.fetch_max(now.min(MASK), Ordering::AcqRel);
        }
    }

    /// Instruction time: all CPUs wait; time jumps to `at` unless it is later already.
    pub(crate) fn skip_to(&self, at: Nanos) {
        if self.shift().is_some() {
            self.counted.fetch_max(at.min(MASK), Ordering::AcqRel);
        }
    }

    /// The handle for devices.
    #[must_use]
    pub fn handle(self: &Arc<Self>) -> Clock {
        Clock::new(self.clone())
    }
}

impl TimeSource for VmClock {
    fn now(&self) -> Nanos {
        VmClock::now(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_time_stands_and_runs() {
        let c = VmClock::new(Timing::Real);
        assert_eq!(c.now(), 0);
        c.set(1_000_000_000_000);
        c.start();
        let a = c.now();
        assert!(a >= 1_000_000_000_000);
        // Time moves without sleeping: the host clock has a finite resolution but does move.
        while c.now() == a {
            std::hint::spin_loop();
        }
        c.stop();
        let b = c.now();
        assert!(b > a);
        assert_eq!(c.now(), b);
        assert!(!c.runs());
        c.start();
        assert!(c.now() >= b);
    }

    #[test]
    fn instruction_time_follows_the_count() {
        let c = VmClock::new(Timing::Instructions { shift: 3 });
        c.begin_slice(100);
        c.executed(110);
        assert_eq!(c.now(), 80);
        c.executed(105);
        assert_eq!(c.now(), 80, "never back");
        c.skip_to(1000);
        c.begin_slice(7);
        c.executed(8);
        assert_eq!(c.now(), 1008);
        c.executed(u64::MAX);
        assert!(c.now() <= MASK);
        c.start();
        assert!(!c.runs());
    }
}
