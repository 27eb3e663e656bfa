//! Interrupt inputs of a vCPU, and how it is made to look at them.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

/// Makes a running vCPU return to its loop. Implemented by accelerators.
pub trait Kick: Send + Sync {
    /// Async-signal-safe, cheap, never blocks. A kick while the vCPU is outside `run` is kept
    /// until it enters.
    fn kick(&self);
}

/// A cloneable handle on a [`Kick`].
#[derive(Clone)]
pub struct Kicker(Arc<dyn Kick>);

impl Kicker {
    /// Wraps `kick`.
    pub fn new(kick: Arc<dyn Kick>) -> Kicker {
        Kicker(kick)
    }

    /// Makes [`crate::Vcpu::run`] return, or look at its inputs.
    pub fn kick(&self) {
        self.0.kick();
    }
}

impl fmt::Debug for Kicker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kicker")
    }
}

/// The interrupt input word of one vCPU: 64 lines, each a level, plus pulses latched until the
/// processor takes them.
///
/// RISC-V: the line number is the bit number in `mip` (1 SSIP, 3 MSIP, 5 STIP, 7 MTIP, 9 SEIP,
/// 11 MEIP). Clones drive the same inputs.
#[derive(Clone, Default)]
pub struct Pins(Arc<Inner>);

#[derive(Default)]
struct Inner {
    level: AtomicU64,
    latched: AtomicU64,
    kickers: RwLock<Vec<Kicker>>,
}

impl Pins {
    /// 64 inactive lines and nobody to kick.
    pub fn new() -> Pins {
        Pins::default()
    }

    /// Adds somebody to kick at each transition to active; kicked at once if a line is active now.
    pub fn attach(&self, kicker: Kicker) {
        let mut kickers = self.0.kickers.write().unwrap_or_else(|e| e.into_inner());
        kickers.push(kicker.clone());
        drop(kickers);
        if self.level() | self.latched() != 0 {
            kicker.kick();
        }
    }

    /// Drives `line` (0–63; higher numbers are ignored).
    pub fn set(&self, line: u32, active: bool) {
        let Some(bit) = 1u64.checked_shl(line) else {
            return;
        };
        if active {
            if self.0.level.fetch_or(bit, Ordering::AcqRel) & bit == 0 {
                self.kick();
            }
        } else {
            self.0.level.fetch_and(!bit, Ordering::AcqRel);
        }
    }

    /// Pulses `line`: it stays latched until the processor takes it.
    pub fn pulse(&self, line: u32) {
        let Some(bit) = 1u64.checked_shl(line) else {
            return;
        };
        if self.0.latched.fetch_or(bit, Ordering::AcqRel) & bit == 0 {
            self.kick();
        }
    }

    /// The levels now.
    pub fn level(&self) -> u64 {
        self.0.level.load(Ordering::Acquire)
    }

    /// Pulses not yet taken.
    pub fn latched(&self) -> u64 {
        self.0.latched.load(Ordering::Acquire)
    }

    /// Takes the latched pulses; for the processor.
    pub fn take_latched(&self) -> u64 {
        // The common case must not write to a shared line.
        if self.latched() == 0 {
            0
        } else {
            self.0.latched.swap(0, Ordering::AcqRel)
        }
    }

    fn kick(&self) {
        for k in self
            .0
            .kickers
            .read()
            .unwrap_or_else(|e| e.into_inner())
            .iter()
        {
            k.kick();
        }
    }
}

impl fmt::Debug for Pins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Pins {{ level: {:#x}, latched: {:#x} }}",
            self.level(),
            self.latched()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Count(AtomicUsize);
    impl Kick for Count {
        fn kick(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn kicks_at_transitions_only() {
        let (pins, count) = (Pins::new(), Arc::new(Count::default()));
        pins.attach(Kicker::new(count.clone()));
        let kicks = || count.0.load(Ordering::Relaxed);
        pins.set(9, true);
        pins.set(9, true);
        assert_eq!((pins.level(), kicks()), (1 << 9, 1));
        pins.set(9, false);
        assert_eq!((pins.level(), kicks()), (0, 1));
        pins.clone().pulse(1);
        pins.pulse(1);
        assert_eq!((pins.latched(), kicks()), (2, 2));
        assert_eq!((pins.take_latched(), pins.take_latched()), (2, 0));
        pins.set(64, true);
        pins.pulse(200);
        assert_eq!((pins.level(), pins.latched(), kicks()), (0, 0, 2));
    }

    #[test]
    fn late_kicker_learns_of_an_active_line() {
        let (pins, count) = (Pins::new(), Arc::new(Count::default()));
        pins.set(3, true);
        pins.attach(Kicker::new(count.clone()));
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }
}
