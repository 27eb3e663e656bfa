//! The SiFive test finisher: one register by which the guest ends or restarts the machine.
//!
//! Written from the devicetree bindings `sifive,test0`/`sifive,test1` and `syscon-poweroff`/`syscon-reboot`. The low
//! half of the word written at offset 0 is the command, the high half the exit code of a failure.

use crate::{AccessSizes, Action, Device, RegionSpec, ResetKind, RestoreError, Snapshot};
use serde::{Deserialize, Serialize};

/// Power off, reporting failure with the code in the high half.
pub const FAIL: u16 = 0x3333;
/// Power off, reporting success.
pub const PASS: u16 = 0x5555;
/// Restart.
pub const RESET: u16 = 0x7777;

static REGIONS: [RegionSpec; 1] = [RegionSpec::mmio(
    "test",
    0x1000,
    AccessSizes { min: 2, max: 4 },
)];

/// The test finisher. It has no state.
#[derive(Debug, Default)]
pub struct TestFinisher(());

impl TestFinisher {
    /// A finisher.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Device for TestFinisher {
    fn regions(&self) -> &[RegionSpec] {
        &REGIONS
    }

    fn read(&mut self, _region: usize, _offset: u64, _size: u8) -> u64 {
        0
    }

    /// A failure with code 0 is reported as code 1, so that it is never taken for success.
    fn write(&mut self, region: usize, offset: u64, size: u8, value: u64) -> Action {
        if (region, offset) != (0, 0) || !matches!(size, 2 | 4) {
            return Action::None;
        }
        match value as u16 {
            FAIL => Action::PowerOff {
                code: u32::from((value >> 16) as u16).max(1),
            },
            PASS => Action::PowerOff { code: 0 },
            RESET => Action::Reset(ResetKind::Warm),
            _ => Action::None,
        }
    }

    fn reset(&mut self, _kind: ResetKind) {}
}

/// Saved state of a [`TestFinisher`]: nothing.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct State {}

impl Snapshot for TestFinisher {
    const ID: &'static str = "sifive-test";
    const VERSION: u32 = 1;
    type State = State;

    fn save(&self) -> State {
        State {}
    }

    fn restore(&mut self, _: State, _version: u32) -> Result<(), RestoreError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{contract, fuzz};

    #[test]
    fn commands() {
        let mut t = TestFinisher::new();
        assert_eq!(t.write(0, 0, 4, 0x5555), Action::PowerOff { code: 0 });
        assert_eq!(t.write(0, 0, 4, 0x0007_3333), Action::PowerOff { code: 7 });
        assert_eq!(t.write(0, 0, 2, 0x3333), Action::PowerOff { code: 1 });
        assert_eq!(t.write(0, 0, 4, 0x7777), Action::Reset(ResetKind::Warm));
        assert_eq!(t.write(0, 4, 4, 0x5555), Action::None);
        assert_eq!(t.write(0, 0, 4, 0x1234), Action::None);
    }

    #[test]
    fn contract_and_fuzz() {
        contract::check(|_| TestFinisher::new());
        assert_eq!(fuzz::blind(100, 300, |_, _| TestFinisher::new()), Ok(()));
    }
}
