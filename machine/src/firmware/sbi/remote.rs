//! Chapters 7 and 8: interrupts and fences for other harts.

use super::{OK, Outcome, SSIP, Sbi, SbiError};
use ambidex_cpu::{CpuMask, Fence, FenceKind};

impl Sbi {
    /// 3.1: a mask counted from `base`, or all harts if that is all ones. Harts that do not exist are an error.
    fn mask(&self, mask: u64, base: u64) -> Result<CpuMask, SbiError> {
        if base == u64::MAX {
            return Ok(CpuMask::ALL);
        }
        let count = self.hub.cpus.len() as u64;
        let base = u32::try_from(base).map_err(|_| SbiError::InvalidParam)?;
        let highest = u64::from(base) + u64::from(63 - (mask | 1).leading_zeros());
        if mask != 0 && highest >= count || u64::from(base) >= count {
            return Err(SbiError::InvalidParam);
        }
        Ok(CpuMask::from_bits(base, mask))
    }

    pub(super) fn send_ipi(&self, mask: u64, base: u64) -> Outcome {
        let to = self.mask(mask, base)?;
        for cell in self.hub.cpus.iter().filter(|c| to.contains(c.index)) {
            cell.pins.pulse(SSIP);
        }
        OK
    }

    pub(super) fn remote_fence(&self, function: u64, a: &[u64; 6]) -> Outcome {
        let kind = match function {
            0 => FenceKind::Icache,
            1 | 2 => {
                let (start, mut len) = (a[2], a[3]);
                // 8: start and size 0, or size all ones, mean everything.
                if len == u64::MAX || start == 0 && len == 0 {
                    len = u64::MAX;
                } else if start.checked_add(len).is_none() {
                    return Err(SbiError::InvalidAddress);
                }
                let asid = if function == 1 {
                    None
                } else {
                    Some(u16::try_from(a[4]).map_err(|_| SbiError::InvalidParam)?)
                };
                FenceKind::Tlb {
                    asid,
                    start: if len == u64::MAX { 0 } else { start },
                    len,
                }
            }
            // 3 to 6 are for hypervisors; the harts have no H extension.
            _ => return Err(SbiError::NotSupported),
        };
        let to = self.mask(a[0], a[1])?;
        self.vm.broadcast(to, Fence { kind });
        OK
    }
}
