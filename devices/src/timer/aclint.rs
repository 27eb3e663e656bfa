//! The RISC-V advanced core-local interruptor: MTIMER, MSWI and SSWI.
//!
//! Written from the RISC-V ACLINT specification 1.0-rc4: chapters 2 (MTIMER), 3 (MSWI) and 4 (SSWI). MSWI and MTIMER
//! are one region in the layout of the SiFive CLINT (1.1.1, backward compatibility): `msip` at 0x0, `mtimecmp` at
//! 0x4000, `mtime` at 0xbff8. SSWI is a second region.
//!
//! Not implemented: several MTIMER devices that share one `mtime`.

use crate::clock::time_of_tick;
use crate::{
    AccessSizes, Action, Clock, Device, IrqLine, Nanos, RegionSpec, ResetKind, RestoreError,
    Snapshot, Wiring,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The registers of the CLINT layout.
mod spec {
    pub const MSIP_END: u64 = 0x3ffc;
    pub const MTIMECMP: u64 = 0x4000;
    pub const MTIMECMP_END: u64 = 0xbff8;
    pub const MTIME: u64 = 0xbff8;
    pub const MTIME_END: u64 = 0xc000;
    pub const CLINT_LEN: u64 = 0x1_0000;
    pub const SSWI_LEN: u64 = 0x4000;
    /// Harts the map has room for.
    pub const MAX_HARTS: usize = 4095;
}
use spec::*;

/// Region number of `msip`, `mtimecmp` and `mtime`.
pub const CLINT: usize = 0;
/// Region number of `setssip`.
pub const SSWI: usize = 1;

/// The interrupt pins of one hart.
#[derive(Clone, Debug)]
pub struct HartLines {
    /// Machine timer interrupt.
    pub mtip: IrqLine,
    /// Machine software interrupt.
    pub msip: IrqLine,
    /// Supervisor software interrupt. It is pulsed: SSWI asks with an edge and the hart clears it.
    pub ssip: IrqLine,
}

/// What an ACLINT is built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AclintConfig {
    /// Ticks of `mtime` a second (devicetree `timebase-frequency`).
    pub timebase_hz: u64,
}

impl Default for AclintConfig {
    /// 10 MHz.
    fn default() -> Self {
        Self {
            timebase_hz: 10_000_000,
        }
    }
}

/// Reads `mtime` without locking the device: for the `time` CSR.
#[derive(Clone, Debug)]
pub struct MtimeReader {
    clock: Clock,
    hz: u64,
    /// What the guest added by writing `mtime`, modulo 2^64.
    delta: Arc<AtomicU64>,
}

impl MtimeReader {
    /// The value of `mtime` now.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.clock
            .ticks(self.hz)
            .wrapping_add(self.delta.load(Ordering::Acquire))
    }
}

/// Saved state of an [`Aclint`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    delta: u64,
    mtimecmp: Vec<u64>,
    msip: Vec<bool>,
    mtip: Vec<bool>,
}

/// MTIMER, MSWI and SSWI of all harts.
pub struct Aclint {
    time: MtimeReader,
    harts: Vec<HartLines>,
    regions: [RegionSpec; 2],
    mtimecmp: Vec<u64>,
}

impl Aclint {
    /// An ACLINT after reset; `harts[n]` are the pins of hart `n`, at most 4095. `wiring` gives the clock.
    #[must_use]
    pub fn new(wiring: &Wiring, config: AclintConfig, mut harts: Vec<HartLines>) -> Self {
        harts.truncate(MAX_HARTS);
        let sizes = AccessSizes { min: 4, max: 8 };
        Self {
            time: MtimeReader {
                clock: wiring.clock.clone(),
                hz: config.timebase_hz.max(1),
                delta: Arc::default(),
            },
            mtimecmp: vec![u64::MAX; harts.len()],
            harts,
            regions: [
                RegionSpec::mmio("clint", CLINT_LEN, sizes),
                RegionSpec::mmio("sswi", SSWI_LEN, AccessSizes::WORD32),
            ],
        }
    }

    /// A handle that reads `mtime`.
    #[must_use]
    pub fn mtime(&self) -> MtimeReader {
        self.time.clone()
    }

    /// 2.2: a timer interrupt is pending while `mtime` is not below `mtimecmp`.
    fn update(&self) {
        let now = self.time.now();
        for (hart, cmp) in self.harts.iter().zip(&self.mtimecmp) {
            hart.mtip.set(now >= *cmp);
        }
    }

    /// The 64-bit register at `offset` (a multiple of 8), if there is one.
    fn read64(&self, offset: u64) -> u64 {
        match offset {
            0..MSIP_END => (0..2).fold(0, |v, half| {
                v | self.read_msip(offset + 4 * half) << (32 * half)
            }),
            MTIMECMP..MTIMECMP_END => self
                .mtimecmp
                .get(((offset - MTIMECMP) / 8) as usize)
                .copied()
                .unwrap_or(0),
            MTIME..MTIME_END => self.time.now(),
            _ => 0,
        }
    }

    fn write64(&mut self, offset: u64, value: u64) {
        match offset {
            MTIMECMP..MTIMECMP_END => {
                if let Some(cmp) = self.mtimecmp.get_mut(((offset - MTIMECMP) / 8) as usize) {
                    *cmp = value;
                }
            }
            MTIME..MTIME_END => {
                let ticks = self.time.clock.ticks(self.time.hz);
                self.time
                    .delta
                    .store(value.wrapping_sub(ticks), Ordering::Release);
            }
            _ => {}
        }
    }

    fn read_msip(&self, offset: u64) -> u64 {
        self.harts
            .get((offset / 4) as usize)
            .map_or(0, |h| h.msip.level().into())
    }

    fn write_msip(&self, offset: u64, value: u64) {
        if let Some(hart) = self.harts.get((offset / 4) as usize) {
            hart.msip.set(value & 1 != 0);
        }
    }
}

impl Device for Aclint {
    fn regions(&self) -> &[RegionSpec] {
        &self.regions
    }

    fn read(&mut self, region: usize, offset: u64, size: u8) -> u64 {
        self.update();
        match (region, size) {
            (CLINT, 8) => self.read64(offset & !7),
            (CLINT, 4) => self.read64(offset & !7) >> (8 * (offset & 4)) & 0xffff_ffff,
            // SSWI registers read as zero (4.1).
            _ => 0,
        }
    }

    fn write(&mut self, region: usize, offset: u64, size: u8, value: u64) -> Action {
        match (region, size) {
            (CLINT, 4 | 8) if offset < MSIP_END => {
                self.write_msip(offset & !3, value);
                if size == 8 {
                    self.write_msip((offset & !7) + 4, value >> 32);
                }
            }
            (CLINT, 8) => self.write64(offset & !7, value),
            (CLINT, 4) => {
                let shift = 8 * (offset & 4);
                let old = self.read64(offset & !7);
                self.write64(
                    offset & !7,
                    old & !(0xffff_ffff << shift) | (value & 0xffff_ffff) << shift,
                );
            }
            (SSWI, 4) if value & 1 != 0 => {
                if let Some(hart) = self.harts.get((offset / 4) as usize) {
                    hart.ssip.pulse();
                }
            }
            _ => {}
        }
        self.update();
        Action::None
    }

    /// `mtime` is 0 after a cold reset and goes on through a warm one. `mtimecmp` is undefined by the specification; here
    /// it is out of reach.
    fn reset(&mut self, kind: ResetKind) {
        if kind == ResetKind::Cold {
            let ticks = self.time.clock.ticks(self.time.hz);
            self.time
                .delta
                .store(0u64.wrapping_sub(ticks), Ordering::Release);
        }
        self.mtimecmp.fill(u64::MAX);
        for hart in &self.harts {
            hart.msip.set(false);
            hart.ssip.set(false);
            hart.mtip.set(false);
        }
    }

    fn deadline(&self) -> Option<Nanos> {
        let (hz, now) = (self.time.hz, self.time.now());
        let ticks = self.time.clock.ticks(hz);
        // A line that does not show yet what is due needs a tick at once.
        let late = self
            .harts
            .iter()
            .zip(&self.mtimecmp)
            .any(|(h, cmp)| now >= *cmp && !h.mtip.level());
        if late {
            return Some(self.time.clock.now());
        }
        let first = self
            .mtimecmp
            .iter()
            .filter(|cmp| **cmp > now && **cmp != u64::MAX)
            .min()?;
        time_of_tick(ticks.checked_add(first - now)?, hz)
    }

    fn tick(&mut self) {
        self.update();
    }
}

impl Snapshot for Aclint {
    const ID: &'static str = "aclint";
    const VERSION: u32 = 1;
    type State = State;

    fn save(&self) -> State {
        State {
            delta: self.time.delta.load(Ordering::Acquire),
            mtimecmp: self.mtimecmp.clone(),
            msip: self.harts.iter().map(|h| h.msip.level()).collect(),
            mtip: self.harts.iter().map(|h| h.mtip.level()).collect(),
        }
    }

    fn restore(&mut self, s: State, _version: u32) -> Result<(), RestoreError> {
        let harts = self.harts.len();
        if [s.mtimecmp.len(), s.msip.len(), s.mtip.len()] != [harts; 3] {
            return Err(RestoreError::invalid(
                "the ACLINT has another number of harts",
            ));
        }
        self.time.delta.store(s.delta, Ordering::Release);
        for ((hart, msip), mtip) in self.harts.iter().zip(s.msip).zip(s.mtip) {
            hart.msip.set_restored(msip);
            hart.mtip.set_restored(mtip);
        }
        self.mtimecmp = s.mtimecmp;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TestWires;
    use crate::testing::{TestHost, contract, fuzz};

    fn make(w: Wiring, host: &TestHost) -> Aclint {
        host.hot(&[
            0, 4, 8, 0x4000, 0x4004, 0x4008, 0x400c, 0x4010, 0xbff0, 0xbff8, 0xbffc, 0xc000,
        ]);
        let lines = (0..2).map(|n| HartLines {
            mtip: w.irq.sibling(3 * n),
            msip: w.irq.sibling(3 * n + 1),
            ssip: w.irq.sibling(3 * n + 2),
        });
        Aclint::new(&w, AclintConfig::default(), lines.collect())
    }

    fn aclint() -> (Aclint, TestWires) {
        let (w, wires) = Wiring::test();
        (make(w, &TestHost::default()), wires)
    }

    #[test]
    fn timer_fires_when_mtime_reaches_mtimecmp() {
        let (mut a, wires) = aclint();
        assert_eq!(a.deadline(), None);
        let _ = a.write(CLINT, 0x4008, 8, 50);
        assert_eq!(a.deadline(), Some(5000), "50 ticks of 100 ns");
        wires.clock.advance_to(4999);
        a.tick();
        assert_eq!((a.read(CLINT, 0xbff8, 8), wires.irq.high()), (49, vec![]));
        wires.clock.advance_to(5000);
        a.tick();
        assert_eq!(wires.irq.high(), [3]);
        assert_eq!(a.deadline(), None);
        let _ = a.write(CLINT, 0x400c, 4, 1);
        assert_eq!(wires.irq.high(), [0; 0], "writing mtimecmp lowers the line");
        assert_eq!(a.read(CLINT, 0x4008, 8), 1 << 32 | 50);
        assert_eq!(a.deadline(), Some(((1 << 32) + 50) * 100));
    }

    #[test]
    fn mtime_is_writable_and_moves_on() {
        let (mut a, wires) = aclint();
        wires.clock.advance(1000);
        let _ = a.write(CLINT, 0xbff8, 8, u64::MAX - 5);
        wires.clock.advance(300);
        assert_eq!(a.read(CLINT, 0xbff8, 8), u64::MAX - 2);
        assert_eq!(a.mtime().now(), u64::MAX - 2);
        let _ = a.write(CLINT, 0xbffc, 4, 0);
        assert_eq!(a.read(CLINT, 0xbff8, 8), 0xffff_fffd);
        let _ = a.write(CLINT, 0x4000, 8, 0xffff_ffff);
        assert_eq!(a.deadline(), Some(1500));
        a.reset(ResetKind::Cold);
        assert_eq!(a.read(CLINT, 0xbff8, 8), 0);
    }

    #[test]
    fn software_interrupts() {
        let (mut a, wires) = aclint();
        let _ = a.write(CLINT, 4, 4, 0xffff_ffff);
        assert_eq!(wires.irq.high(), [4]);
        assert_eq!((a.read(CLINT, 4, 4), a.read(CLINT, 0, 8)), (1, 1 << 32));
        let _ = a.write(CLINT, 4, 4, 2);
        assert_eq!(wires.irq.high(), [0; 0]);
        wires.irq.take();
        let _ = a.write(SSWI, 4, 4, 1);
        let levels: Vec<_> = wires.irq.take().iter().map(|e| (e.line, e.level)).collect();
        assert_eq!(levels, [(5, true), (5, false)]);
        assert_eq!(a.read(SSWI, 4, 4), 0);
    }

    #[test]
    fn contract_and_fuzz() {
        contract::check_with(make);
        assert_eq!(fuzz::blind(400, 400, make), Ok(()));
    }
}
