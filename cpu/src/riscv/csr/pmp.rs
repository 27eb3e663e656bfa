//! `pmpcfg0`–`pmpcfg14` (even ones, as RV64 has them) and `pmpaddr0`–`pmpaddr63`
//! (Privileged 3.7.1).

use super::super::hart::Hart;
use super::{CsrEffect, addr};

/// Entries the architecture gives addresses to.
const ARCHITECTURAL: usize = 64;

/// First of the eight entries a configuration register holds. Odd registers do not exist on RV64.
fn cfg_entries(csr: u16) -> Option<usize> {
    let n = usize::from(csr.checked_sub(addr::PMPCFG0)?);
    (csr <= addr::PMPCFG15 && n.is_multiple_of(2)).then_some(n * 4)
}

impl Hart {
    /// With any entry implemented all addresses exist, those of absent entries reading zero.
    pub(super) fn read_pmp(&self, csr: u16) -> Option<u64> {
        if self.pmp.entries() == 0 {
            return None;
        }
        if csr >= addr::PMPADDR0 {
            let i = usize::from(csr - addr::PMPADDR0);
            return (i < ARCHITECTURAL).then(|| self.pmp.addr(i));
        }
        let first = cfg_entries(csr)?;
        Some(
            (0..8)
                .rev()
                .fold(0, |v, i| v << 8 | u64::from(self.pmp.cfg(first + i))),
        )
    }

    pub(super) fn write_pmp(&mut self, csr: u16, value: u64) -> CsrEffect {
        let before = self.pmp.generation();
        if csr >= addr::PMPADDR0 {
            self.pmp.set_addr(usize::from(csr - addr::PMPADDR0), value);
        } else if let Some(first) = cfg_entries(csr) {
            for (i, byte) in value.to_le_bytes().into_iter().enumerate() {
                self.pmp.set_cfg(first + i, byte);
            }
        }
        if self.pmp.generation() == before {
            CsrEffect::NONE
        } else {
            CsrEffect::TRANSLATION
        }
    }
}
