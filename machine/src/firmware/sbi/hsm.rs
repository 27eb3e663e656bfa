//! Chapter 9: hart state management.

use super::{Done, OK, Outcome, Sbi, SbiError};
use crate::hub::Power;
use crate::wake::lock;
use ambidex_cpu::{Exit, FirmwareResult};
use ambidex_memory::Gpa;

const STARTED: u64 = 0;
const STOPPED: u64 = 1;
const START_PENDING: u64 = 2;
const SUSPENDED: u64 = 4;

/// Suspend types (table of `sbi_hart_suspend`).
const RETENTIVE: u64 = 0;
const NON_RETENTIVE: u64 = 0x8000_0000;

impl Sbi {
    pub(super) fn hart_state(&self, cpu: u32, function: u64, a: &[u64; 6]) -> Outcome {
        match function {
            0 => self.start(a[0], a[1], a[2]),
            1 => self.stop(cpu),
            2 => self.status(a[0]),
            // The type is a 32-bit parameter.
            3 => self.suspend(cpu, a[0] & 0xffff_ffff, a[1], a[2]),
            _ => Err(SbiError::NotSupported),
        }
    }

    /// Whether a hart could fetch its first instruction there.
    fn executable(&self, at: u64) -> bool {
        at & 1 == 0
            && self
                .space
                .view()
                .find(Gpa(at))
                .is_some_and(|r| r.kind.block().is_some())
    }

    fn start(&self, hart: u64, pc: u64, opaque: u64) -> Outcome {
        let cell = self.cpu(hart)?;
        let mut power = lock(&cell.power);
        match *power {
            Power::Stopped => {}
            _ => return Err(SbiError::AlreadyAvailable),
        }
        if !self.executable(pc) {
            return Err(SbiError::InvalidAddress);
        }
        *power = Power::Starting { pc, opaque };
        drop(power);
        cell.kick();
        OK
    }

    fn stop(&self, cpu: u32) -> Outcome {
        let cell = self.cpu(cpu.into())?;
        cell.firmware_deadline.set(None);
        cell.deadline.set(None);
        cell.set_power(Power::Stopped);
        Ok(Done::Then(FirmwareResult::Exit(Exit::Kicked)))
    }

    fn status(&self, hart: u64) -> Outcome {
        Ok(Done::Value(match self.cpu(hart)?.power() {
            Power::Stopped => STOPPED,
            Power::Starting { .. } => START_PENDING,
            Power::Started => STARTED,
            Power::Suspended | Power::SuspendedLosing { .. } => SUSPENDED,
        }))
    }

    fn suspend(&self, cpu: u32, kind: u64, pc: u64, opaque: u64) -> Outcome {
        let cell = self.cpu(cpu.into())?;
        match kind {
            RETENTIVE => {
                cell.set_power(Power::Suspended);
                Ok(Done::Then(FirmwareResult::Wait))
            }
            NON_RETENTIVE => {
                if !self.executable(pc) {
                    return Err(SbiError::InvalidAddress);
                }
                cell.set_power(Power::SuspendedLosing { pc, opaque });
                Ok(Done::Then(FirmwareResult::Exit(Exit::Halt)))
            }
            // Platform-specific types: this platform has none. Everything else is reserved.
            0x1000_0000..=0x7fff_ffff | 0x9000_0000..=0xffff_ffff => Err(SbiError::NotSupported),
            _ => Err(SbiError::InvalidParam),
        }
    }
}
