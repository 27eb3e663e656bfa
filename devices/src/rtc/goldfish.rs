//! The Goldfish real-time clock.
//!
//! Written from the register description of the Goldfish virtual hardware guide ("RTC") and the devicetree binding
//! `google,goldfish-rtc`: Unix time in nanoseconds, one alarm, one interrupt.
//!
//! The time starts at the host's real time and follows VM time from there, so that it stands still while the machine
//! does. Nothing of the guide is left out.

use crate::{
    AccessSizes, Action, Device, Nanos, RegionSpec, ResetKind, RestoreError, Snapshot, WallClock,
    Wiring,
};
use serde::{Deserialize, Serialize};

mod spec {
    pub const TIME_LOW: u64 = 0x00;
    pub const TIME_HIGH: u64 = 0x04;
    pub const ALARM_LOW: u64 = 0x08;
    pub const ALARM_HIGH: u64 = 0x0c;
    pub const IRQ_ENABLED: u64 = 0x10;
    pub const CLEAR_ALARM: u64 = 0x14;
    pub const ALARM_STATUS: u64 = 0x18;
    pub const CLEAR_INTERRUPT: u64 = 0x1c;
}
use spec::*;

static REGIONS: [RegionSpec; 1] = [RegionSpec::mmio("rtc", 0x1000, AccessSizes::WORD32)];

/// Saved state of a [`GoldfishRtc`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// Unix time at VM time 0, modulo 2^64 ns.
    offset: u64,
    /// The high half of the time when the low half was read.
    time_high: u32,
    alarm: u64,
    armed: bool,
    pending: bool,
    enabled: bool,
}

/// A Goldfish RTC.
pub struct GoldfishRtc {
    w: Wiring,
    wall: WallClock,
    s: State,
}

impl GoldfishRtc {
    /// An RTC that shows the time of `wall`.
    #[must_use]
    pub fn new(w: Wiring, wall: WallClock) -> Self {
        let mut rtc = Self {
            w,
            wall,
            s: State::default(),
        };
        rtc.synchronise();
        rtc
    }

    fn synchronise(&mut self) {
        self.s.offset = self.wall.unix_nanos().wrapping_sub(self.w.clock.now());
    }

    fn now(&self) -> u64 {
        self.w.clock.now().wrapping_add(self.s.offset)
    }

    fn set_now(&mut self, time: u64) {
        self.s.offset = time.wrapping_sub(self.w.clock.now());
    }

    fn update(&mut self) {
        if self.s.armed && self.now() >= self.s.alarm {
            self.s.armed = false;
            self.s.pending = true;
        }
        self.w.irq.set(self.s.pending && self.s.enabled);
    }
}

fn low(of: u64, new: u64) -> u64 {
    of & !0xffff_ffff | new & 0xffff_ffff
}

fn high(of: u64, new: u64) -> u64 {
    of & 0xffff_ffff | new << 32
}

impl Device for GoldfishRtc {
    fn regions(&self) -> &[RegionSpec] {
        &REGIONS
    }

    fn read(&mut self, _region: usize, offset: u64, size: u8) -> u64 {
        if size != 4 {
            return 0;
        }
        self.update();
        match offset {
            // Reading the low half latches the high half, so that the pair is consistent.
            TIME_LOW => {
                let now = self.now();
                self.s.time_high = (now >> 32) as u32;
                now & 0xffff_ffff
            }
            TIME_HIGH => self.s.time_high.into(),
            ALARM_LOW => self.s.alarm & 0xffff_ffff,
            ALARM_HIGH => self.s.alarm >> 32,
            IRQ_ENABLED => self.s.enabled.into(),
            ALARM_STATUS => self.s.armed.into(),
            _ => 0,
        }
    }

    fn write(&mut self, _region: usize, offset: u64, size: u8, value: u64) -> Action {
        if size != 4 {
            return Action::None;
        }
        match offset {
            TIME_LOW => self.set_now(low(self.now(), value)),
            TIME_HIGH => self.set_now(high(self.now(), value)),
            // Writing the low half arms the alarm; drivers write the high half first.
            ALARM_LOW => {
                self.s.alarm = low(self.s.alarm, value);
                self.s.armed = true;
            }
            ALARM_HIGH => self.s.alarm = high(self.s.alarm, value),
            IRQ_ENABLED => self.s.enabled = value & 1 != 0,
            CLEAR_ALARM => self.s.armed = false,
            CLEAR_INTERRUPT => self.s.pending = false,
            _ => {}
        }
        self.update();
        Action::None
    }

    /// The time of day survives a warm reset; a cold one takes it from the host again.
    fn reset(&mut self, kind: ResetKind) {
        self.s = State {
            offset: self.s.offset,
            ..State::default()
        };
        if kind == ResetKind::Cold {
            self.synchronise();
        }
        self.update();
    }

    fn deadline(&self) -> Option<Nanos> {
        if !self.s.armed {
            return None;
        }
        let vm = self.w.clock.now();
        vm.checked_add(self.s.alarm.saturating_sub(self.now()))
    }

    fn tick(&mut self) {
        self.update();
    }
}

impl Snapshot for GoldfishRtc {
    const ID: &'static str = "goldfish-rtc";
    const VERSION: u32 = 1;
    type State = State;

    fn save(&self) -> State {
        self.s.clone()
    }

    fn restore(&mut self, s: State, _version: u32) -> Result<(), RestoreError> {
        self.w.irq.set_restored(s.pending && s.enabled);
        self.s = s;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{contract, fuzz};
    use crate::{ManualWallClock, TestWires};

    const START: u64 = 1_700_000_000_123_456_789;

    fn rtc() -> (GoldfishRtc, TestWires) {
        let (w, wires) = Wiring::test();
        (
            GoldfishRtc::new(w, ManualWallClock::new(START).wall_clock()),
            wires,
        )
    }

    fn time(r: &mut GoldfishRtc) -> u64 {
        r.read(0, TIME_LOW, 4) | r.read(0, TIME_HIGH, 4) << 32
    }

    #[test]
    fn shows_and_takes_the_time() {
        let (mut r, wires) = rtc();
        assert_eq!(time(&mut r), START);
        r.read(0, TIME_LOW, 4);
        wires.clock.advance(1 << 33);
        assert_eq!(r.read(0, TIME_HIGH, 4), START >> 32, "latched");
        assert_eq!(time(&mut r), START + (1 << 33));
        let _ = r.write(0, TIME_HIGH, 4, 7);
        let _ = r.write(0, TIME_LOW, 4, 9);
        wires.clock.advance(1);
        assert_eq!(time(&mut r), 7 << 32 | 10);
        r.reset(ResetKind::Warm);
        assert_eq!(time(&mut r), 7 << 32 | 10);
    }

    #[test]
    fn alarm_interrupts_once() {
        let (mut r, wires) = rtc();
        let at = START + 1000;
        let _ = r.write(0, IRQ_ENABLED, 4, 1);
        let _ = r.write(0, ALARM_HIGH, 4, at >> 32);
        let _ = r.write(0, ALARM_LOW, 4, at & 0xffff_ffff);
        assert_eq!((r.read(0, ALARM_STATUS, 4), r.deadline()), (1, Some(1000)));
        wires.clock.advance(1000);
        r.tick();
        assert!(wires.irq.level(0));
        assert_eq!((r.read(0, ALARM_STATUS, 4), r.deadline()), (0, None));
        let _ = r.write(0, CLEAR_INTERRUPT, 4, 0);
        assert!(!wires.irq.level(0));
        let _ = r.write(0, ALARM_LOW, 4, 0);
        assert!(wires.irq.level(0), "an alarm in the past is due at once");
        let _ = r.write(0, IRQ_ENABLED, 4, 0);
        assert!(!wires.irq.level(0));
    }

    #[test]
    fn cleared_alarm_stays_silent() {
        let (mut r, wires) = rtc();
        let _ = r.write(0, IRQ_ENABLED, 4, 1);
        let _ = r.write(0, ALARM_HIGH, 4, u64::from(u32::MAX));
        let _ = r.write(0, ALARM_LOW, 4, 0);
        let _ = r.write(0, CLEAR_ALARM, 4, 0);
        wires.clock.advance(u64::MAX - START);
        r.tick();
        assert!(!wires.irq.level(0) && r.deadline().is_none());
    }

    #[test]
    fn contract_and_fuzz() {
        let make = |w, h: &crate::testing::TestHost| {
            h.hot(&[0, 4, 8, 0xc, 0x10, 0x14, 0x18, 0x1c]);
            GoldfishRtc::new(w, h.wall.wall_clock())
        };
        contract::check_with(make);
        assert_eq!(fuzz::blind(1000, 400, make), Ok(()));
        // The latched half of the time is state.
        let word = AccessSizes::WORD32;
        let seed = fuzz::Encoder::new()
            .read(0, 0, 4, word)
            .twin()
            .read(0, 4, 4, word)
            .finish();
        assert_eq!(fuzz::run_with(&seed, make), Ok(()));
    }
}
