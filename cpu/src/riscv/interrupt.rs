//! Interrupts: `mip`, `mie`, delegation and priority (Privileged 3.1.9).

use super::hart::{Hart, Priv};
use super::status;

/// Interrupts by their bit number in `mip` and code in `mcause`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum Interrupt {
    /// Supervisor software.
    SupervisorSoftware = 1,
    /// Machine software.
    MachineSoftware = 3,
    /// Supervisor timer.
    SupervisorTimer = 5,
    /// Machine timer.
    MachineTimer = 7,
    /// Supervisor external.
    SupervisorExternal = 9,
    /// Machine external.
    MachineExternal = 11,
    /// Local counter overflow (Sscofpmf).
    CounterOverflow = 13,
}

/// `mip`/`mie` bit of the supervisor software interrupt.
pub const SSIP: u64 = 1 << 1;
/// `mip`/`mie` bit of the machine software interrupt.
pub const MSIP: u64 = 1 << 3;
/// `mip`/`mie` bit of the supervisor timer interrupt.
pub const STIP: u64 = 1 << 5;
/// `mip`/`mie` bit of the machine timer interrupt.
pub const MTIP: u64 = 1 << 7;
/// `mip`/`mie` bit of the supervisor external interrupt.
pub const SEIP: u64 = 1 << 9;
/// `mip`/`mie` bit of the machine external interrupt.
pub const MEIP: u64 = 1 << 11;
/// `mip`/`mie` bit of the counter-overflow interrupt.
pub const LCOFIP: u64 = 1 << 13;

/// Interrupts that belong to S-mode: those `mideleg` can delegate.
pub const SUPERVISOR: u64 = SSIP | STIP | SEIP;
/// Interrupts that always belong to M-mode.
pub const MACHINE: u64 = MSIP | MTIP | MEIP;

/// Interrupts in decreasing priority when several are destined for the same mode.
pub const PRIORITY: [Interrupt; 7] = [
    Interrupt::MachineExternal,
    Interrupt::MachineSoftware,
    Interrupt::MachineTimer,
    Interrupt::SupervisorExternal,
    Interrupt::SupervisorSoftware,
    Interrupt::SupervisorTimer,
    Interrupt::CounterOverflow,
];

impl Hart {
    /// `mip` as software sees it: its own bits, the input pins, and the Sstc comparison as of the
    /// last [`Hart::update_timer`].
    pub fn mip(&self, pins: u64) -> u64 {
        let sstc = self.stce();
        // With Sstc enabled STIP is the comparison alone; neither software nor a pin drives it.
        let gate = if sstc { !STIP } else { !0 };
        let timer = if sstc && self.timer_fired { STIP } else { 0 };
        (self.mip | pins) & gate & self.mip_lines() | timer
    }

    /// The `mip` bits that exist on this hart.
    pub(crate) fn mip_lines(&self) -> u64 {
        self.mideleg_mask() | MACHINE
    }

    /// The interrupt to be taken now, if any, given the levels of the input pins.
    ///
    /// Call at instruction boundaries after [`crate::riscv::CsrEffect::INTERRUPTS`] and after
    /// kicks (with [`Hart::update_timer`] before it when the Sstc deadline may have passed).
    pub fn pending_interrupt(&self, pins: u64) -> Option<Interrupt> {
        let pending = self.mip(pins) & self.mie;
        if pending == 0 {
            return None;
        }
        let m_enabled = self.privilege < Priv::Machine || self.mstatus & status::MIE != 0;
        let s_enabled = self.privilege < Priv::Supervisor
            || self.privilege == Priv::Supervisor && self.mstatus & status::SIE != 0;
        // All interrupts destined for M-mode come before any destined for S-mode.
        let mut ready = if m_enabled {
            pending & !self.mideleg
        } else {
            0
        };
        if ready == 0 && s_enabled {
            ready = pending & self.mideleg;
        }
        if ready == 0 {
            return None;
        }
        PRIORITY.into_iter().find(|&i| ready >> (i as u8) & 1 == 1)
    }

    /// Whether a `wfi` in progress ends: some interrupt is pending and enabled in `mie`, whatever
    /// `mstatus` and delegation say (Privileged 3.3.3).
    pub fn wakes(&self, pins: u64) -> bool {
        self.mip(pins) & self.mie != 0
    }

    /// Takes pulses from [`crate::Pins::take_latched`]: SSIP becomes pending until software clears
    /// it. The other lines of a hart are levels and ignore pulses.
    pub fn latch(&mut self, lines: u64) {
        if self.has_s() {
            self.mip |= lines & SSIP;
        }
    }

    /// Compares `time` with `stimecmp` (Sstc). Call when the deadline may have passed, before
    /// [`Hart::pending_interrupt`]; cheap.
    pub fn update_timer(&mut self, time: u64) {
        self.timer_fired = time >= self.stimecmp;
    }

    /// The value of `time` at which the supervisor timer fires: `stimecmp` while Sstc is enabled
    /// and the timer has not fired yet as of the last [`Hart::update_timer`]. All ones, which
    /// software uses for "never", is no deadline.
    pub fn time_deadline(&self) -> Option<u64> {
        (self.stce() && !self.timer_fired && self.stimecmp != u64::MAX).then_some(self.stimecmp)
    }
}
