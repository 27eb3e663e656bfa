//! `menvcfg`, `senvcfg` (Privileged 3.1.18) and the cache-block rules they set (CMO 4.3).

use super::super::ext::Ext;
use super::super::hart::{Hart, Priv};
use super::super::trap::Trap;

/// Fences of I/O imply memory.
pub const FIOM: u64 = 1;
/// `cbo.inval` behaviour, 2 bits: 0 illegal, 1 flush, 3 invalidate.
pub const CBIE: u64 = 3 << 4;
/// `cbo.clean` and `cbo.flush` are allowed.
pub const CBCFE: u64 = 1 << 6;
/// `cbo.zero` is allowed.
pub const CBZE: u64 = 1 << 7;
/// Hardware updates accessed and dirty bits (Svadu).
pub const ADUE: u64 = 1 << 61;
/// Page-based memory types (Svpbmt).
pub const PBMTE: u64 = 1 << 62;
/// `stimecmp` (Sstc).
pub const STCE: u64 = 1 << 63;

/// What `cbo.inval` does where it is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CboInval {
    /// Writes the block back first.
    Flush,
    /// Drops the block.
    Invalidate,
}

impl Hart {
    fn senvcfg_mask(&self) -> u64 {
        let mut mask = FIOM;
        if self.model.has(Ext::ZICBOM) {
            mask |= CBIE | CBCFE;
        }
        if self.model.has(Ext::ZICBOZ) {
            mask |= CBZE;
        }
        mask
    }

    /// Bits of `menvcfg` that can be set.
    pub(in crate::riscv) fn menvcfg_mask(&self) -> u64 {
        let mut mask = self.senvcfg_mask();
        for (ext, bit) in [(Ext::SVADU, ADUE), (Ext::SVPBMT, PBMTE), (Ext::SSTC, STCE)] {
            if self.model.has(ext) {
                mask |= bit;
            }
        }
        mask
    }

    pub(super) fn legal_menvcfg(&self, value: u64) -> u64 {
        legal_cbie(value & self.menvcfg_mask())
    }

    pub(super) fn legal_senvcfg(&self, value: u64) -> u64 {
        legal_cbie(value & self.senvcfg_mask())
    }

    /// `bit`s that `menvcfg` and `senvcfg` both grant to the current mode; each level has its say
    /// about the levels below it.
    fn env_allows(&self, bits: u64) -> u64 {
        let mut allowed = bits;
        if self.privilege != Priv::Machine {
            allowed &= self.menvcfg;
        }
        if self.privilege == Priv::User && self.has_s() {
            allowed &= self.senvcfg;
        }
        allowed
    }

    /// Whether `cbo.zero` may be executed.
    pub fn cbo_zero_allowed(&self) -> Result<(), Trap> {
        let ok = self.model.has(Ext::ZICBOZ) && self.env_allows(CBZE) != 0;
        if ok { Ok(()) } else { Err(Trap::illegal(0)) }
    }

    /// Whether `cbo.clean` and `cbo.flush` may be executed.
    pub fn cbo_clean_flush_allowed(&self) -> Result<(), Trap> {
        let ok = self.model.has(Ext::ZICBOM) && self.env_allows(CBCFE) != 0;
        if ok { Ok(()) } else { Err(Trap::illegal(0)) }
    }

    /// What `cbo.inval` does here, or its trap. Any level that says "flush" turns it into one.
    pub fn cbo_inval_allowed(&self) -> Result<CboInval, Trap> {
        if !self.model.has(Ext::ZICBOM) {
            return Err(Trap::illegal(0));
        }
        // 0 is illegal, 1 flush, 3 invalidate; 2 cannot be held, so the minimum is the AND.
        match self.env_allows(CBIE) >> 4 {
            3 => Ok(CboInval::Invalidate),
            1 => Ok(CboInval::Flush),
            _ => Err(Trap::illegal(0)),
        }
    }
}

/// `CBIE` = 2 is reserved; it becomes 0.
fn legal_cbie(value: u64) -> u64 {
    if value & CBIE == 2 << 4 {
        value & !CBIE
    } else {
        value
    }
}
