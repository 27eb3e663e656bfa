//! Chapter 10: system reset.

use super::{Done, Outcome, Sbi, SbiError};
use crate::hub::{ExitReason, Request};
use ambidex_cpu::{Exit, FirmwareResult};
use ambidex_devices::ResetKind;

const SHUTDOWN: u64 = 0;
const COLD_REBOOT: u64 = 1;
const WARM_REBOOT: u64 = 2;

impl Sbi {
    /// Reason 1, a system failure, becomes exit code 1 of a shutdown.
    pub(super) fn system_reset(&self, kind: u64, reason: u64) -> Outcome {
        let (kind, reason) = (kind & 0xffff_ffff, reason & 0xffff_ffff);
        // 2 to 0xdfffffff are reserved, above that reasons are the platform's.
        if (2..0xe000_0000).contains(&reason) {
            return Err(SbiError::InvalidParam);
        }
        let request = match kind {
            SHUTDOWN => Request::Exit(ExitReason::PowerOff {
                code: (reason != 0).into(),
            }),
            COLD_REBOOT => Request::Reset(ResetKind::Cold),
            WARM_REBOOT => Request::Reset(ResetKind::Warm),
            0xf000_0000..=0xffff_ffff => return Err(SbiError::NotSupported),
            _ => return Err(SbiError::InvalidParam),
        };
        self.hub.request(request);
        // The machine does the rest; this CPU only has to leave.
        Ok(Done::Then(FirmwareResult::Exit(Exit::Kicked)))
    }
}
