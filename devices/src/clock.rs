//! VM time and wall-clock time.

use crate::Nanos;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A source of VM time: nanoseconds that never go back and stand still while the machine is paused.
pub trait TimeSource: Send + Sync {
    /// The time now.
    fn now(&self) -> Nanos;
}

/// A device's handle on VM time.
#[derive(Clone)]
pub struct Clock(Arc<dyn TimeSource>);

impl Clock {
    /// A clock that reads `source`.
    #[must_use]
    pub fn new(source: Arc<dyn TimeSource>) -> Self {
        Self(source)
    }

    /// The VM time now.
    #[must_use]
    pub fn now(&self) -> Nanos {
        self.0.now()
    }

    /// Whole ticks of a counter of `hz` that have passed since VM time 0, modulo 2^64.
    #[must_use]
    pub fn ticks(&self, hz: u64) -> u64 {
        ticks_at(self.now(), hz)
    }
}

/// Ticks of a counter of `hz` at VM time `now`, rounded down, modulo 2^64.
#[must_use]
pub fn ticks_at(now: Nanos, hz: u64) -> u64 {
    (u128::from(now) * u128::from(hz) / 1_000_000_000) as u64
}

/// The first VM time at which a counter of `hz` that counts from VM time 0 has reached `ticks`; `None` if that lies
/// beyond 2^64 ns (584 years).
#[must_use]
pub fn time_of_tick(ticks: u64, hz: u64) -> Option<Nanos> {
    let at = (u128::from(ticks) * 1_000_000_000).div_ceil(u128::from(hz.max(1)));
    u64::try_from(at).ok()
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({} ns)", self.now())
    }
}

/// VM time that moves only when told to: for tests, fuzzing and deterministic runs. A clone is the same clock.
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that stands at 0.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The handle for devices.
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock::new(Arc::new(self.clone()))
    }

    /// Moves on by `by` nanoseconds, stopping at the last representable time.
    pub fn advance(&self, by: Nanos) {
        let now = self.0.load(Ordering::Acquire);
        self.0.store(now.saturating_add(by), Ordering::Release);
    }

    /// Moves to `at`, unless the clock is later already.
    pub fn advance_to(&self, at: Nanos) {
        self.0.fetch_max(at, Ordering::AcqRel);
    }
}

impl TimeSource for ManualClock {
    fn now(&self) -> Nanos {
        self.0.load(Ordering::Acquire)
    }
}

/// A source of real time.
pub trait RealTime: Send + Sync {
    /// Nanoseconds since 1970-01-01 00:00 UTC.
    fn unix_nanos(&self) -> u64;
}

/// A real-time clock chip's handle on real time.
#[derive(Clone)]
pub struct WallClock(Arc<dyn RealTime>);

impl WallClock {
    /// A wall clock that reads `source`.
    #[must_use]
    pub fn new(source: Arc<dyn RealTime>) -> Self {
        Self(source)
    }

    /// The host's real time.
    #[must_use]
    pub fn host() -> Self {
        Self::new(Arc::new(HostWallClock))
    }

    /// Real time that is `base` (Unix nanoseconds) at VM time 0 and runs with VM time: for deterministic runs.
    #[must_use]
    pub fn from_clock(clock: Clock, base: u64) -> Self {
        struct Derived(Clock, u64);
        impl RealTime for Derived {
            fn unix_nanos(&self) -> u64 {
                self.1.saturating_add(self.0.now())
            }
        }
        Self::new(Arc::new(Derived(clock, base)))
    }

    /// Nanoseconds since 1970-01-01 00:00 UTC.
    #[must_use]
    pub fn unix_nanos(&self) -> u64 {
        self.0.unix_nanos()
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WallClock({} ns)", self.unix_nanos())
    }
}

/// The host's real time.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostWallClock;

impl RealTime for HostWallClock {
    fn unix_nanos(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// Real time that moves only when told to. A clone is the same clock.
#[derive(Clone, Debug, Default)]
pub struct ManualWallClock(Arc<AtomicU64>);

impl ManualWallClock {
    /// A clock that stands at `unix_nanos`.
    #[must_use]
    pub fn new(unix_nanos: u64) -> Self {
        Self(Arc::new(AtomicU64::new(unix_nanos)))
    }

    /// The handle for devices.
    #[must_use]
    pub fn wall_clock(&self) -> WallClock {
        WallClock::new(Arc::new(self.clone()))
    }

    /// Jumps to `unix_nanos`, backwards too.
    pub fn set(&self, unix_nanos: u64) {
        self.0.store(unix_nanos, Ordering::Release);
    }
}

impl RealTime for ManualWallClock {
    fn unix_nanos(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn manual_clock_never_goes_back() {
        let m = ManualClock::new();
        let c = m.clock();
        m.advance(7);
        m.advance_to(5);
        assert_eq!(c.now(), 7);
        m.advance(u64::MAX);
        assert_eq!(c.now(), u64::MAX);
    }

    proptest! {
        #[test]
        fn time_of_tick_is_the_first_moment(ticks in 0..1u64 << 40, hz in 1..3_000_000_000u64) {
            if let Some(at) = time_of_tick(ticks, hz) {
                prop_assert!(ticks_at(at, hz) >= ticks);
                prop_assert!(at == 0 || ticks_at(at - 1, hz) < ticks);
            }
        }
    }
}
