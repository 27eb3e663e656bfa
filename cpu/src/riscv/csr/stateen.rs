//! `mstateen0`–`3`, `sstateen0`–`3` (Smstateen, Ssstateen). The only state here they guard is
//! `senvcfg` and each other; custom state, AIA, `jvt` and the like do not exist.

use super::super::ext::Ext;
use super::super::hart::{Hart, Priv};
use super::addr;

/// `mstateen0.ENVCFG`: access to `senvcfg`.
const ENVCFG: u64 = 1 << 62;
/// `mstateenN.SE`: access to `sstateenN`.
const SE: u64 = 1 << 63;

impl Hart {
    /// Bits of the `mstateen` registers that can be set.
    pub(in crate::riscv) fn mstateen_mask(&self) -> [u64; 4] {
        if self.model.has(Ext::SMSTATEEN) {
            let se = if self.has_s() { SE } else { 0 };
            let envcfg = if self.model.has(Ext::U) { ENVCFG } else { 0 };
            [envcfg | se, se, se, se]
        } else {
            [0; 4]
        }
    }

    pub(super) fn stateen_allowed(&self, csr: u16) -> bool {
        if self.privilege == Priv::Machine || !self.model.has(Ext::SMSTATEEN) {
            return true;
        }
        match csr {
            addr::SENVCFG => self.mstateen[0] & ENVCFG != 0,
            _ => self.mstateen[usize::from(csr & 3)] & SE != 0,
        }
    }
}
