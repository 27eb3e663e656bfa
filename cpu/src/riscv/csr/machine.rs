//! Machine-level CSRs (Privileged 3.1).

use super::super::ext::Ext;
use super::super::hart::{Hart, Priv};
use super::super::interrupt::{self, LCOFIP, SEIP, SSIP, STIP};
use super::super::status::*;
use super::{CsrEffect, CsrEnv, addr};

impl Hart {
    pub(super) fn read_machine(&self, csr: u16, env: &dyn CsrEnv) -> Option<u64> {
        let (s, u) = (self.has_s(), self.model.has(Ext::U));
        Some(match csr {
            addr::MSTATUS => self.mstatus(),
            addr::MISA => self.model.misa(),
            addr::MEDELEG if s => self.medeleg,
            addr::MIDELEG if s => self.mideleg,
            addr::MIE => self.mie,
            addr::MTVEC => self.mtvec,
            addr::MCOUNTEREN if u => self.mcounteren,
            addr::MENVCFG if u => self.menvcfg,
            addr::MSTATEEN0..=addr::MSTATEEN3 if self.model.has(Ext::SMSTATEEN) => {
                self.mstateen[usize::from(csr & 3)]
            }
            addr::MCOUNTINHIBIT => self.mcountinhibit,
            addr::MHPMEVENT3..=addr::MHPMEVENT31 => 0,
            addr::MSCRATCH => self.mscratch,
            addr::MEPC => self.mepc,
            addr::MCAUSE => self.mcause,
            addr::MTVAL => self.mtval,
            addr::MIP => self.fresh_mip(env),
            _ => return None,
        })
    }

    pub(super) fn read_machine_id(&self, csr: u16) -> Option<u64> {
        let (vendor, arch, imp) = self.model.ids();
        match csr {
            addr::MVENDORID => Some(vendor),
            addr::MARCHID => Some(arch),
            addr::MIMPID => Some(imp),
            addr::MHARTID => Some(self.hartid),
            addr::MCONFIGPTR => Some(0),
            _ => None,
        }
    }

    /// `tselect`, `tdata1` and the rest of Sdtrig do not exist, so that they raise an
    /// illegal-instruction exception: firmware finds out by trying, and kernels ask firmware. Debug
    /// mode's registers (0x7b0 up) exist for debuggers only.
    pub(super) fn read_trigger(&self, _csr: u16) -> Option<u64> {
        None
    }

    pub(super) fn write_machine(
        &mut self,
        csr: u16,
        value: u64,
        env: &mut dyn CsrEnv,
    ) -> CsrEffect {
        match csr {
            addr::MSTATUS => return self.write_mstatus(value),
            addr::MEDELEG => self.medeleg = value & self.medeleg_mask(),
            addr::MIDELEG => {
                self.mideleg = value & self.mideleg_mask();
                return CsrEffect::INTERRUPTS;
            }
            addr::MIE => {
                self.mie = value & self.mip_lines();
                return CsrEffect::INTERRUPTS;
            }
            addr::MIP => {
                self.write_mip(value, self.mip_writable());
                return CsrEffect::INTERRUPTS;
            }
            addr::MTVEC => self.mtvec = legal_tvec(self.mtvec, value),
            addr::MCOUNTEREN => self.mcounteren = value & self.counteren_mask(),
            addr::MENVCFG => return self.write_menvcfg(value, env),
            addr::MSTATEEN0..=addr::MSTATEEN3 => {
                let i = usize::from(csr & 3);
                self.mstateen[i] = value & self.mstateen_mask()[i];
            }
            addr::MCOUNTINHIBIT => self.write_mcountinhibit(value, env),
            addr::MSCRATCH => self.mscratch = value,
            addr::MEPC => self.mepc = value & self.epc_mask(),
            addr::MCAUSE => self.mcause = value,
            addr::MTVAL => self.mtval = value,
            // misa is WARL and fixed; event selectors are read-only zero.
            _ => {}
        }
        CsrEffect::NONE
    }

    /// Bits of `mstatus` that can be written, `MPP` apart.
    pub(super) fn mstatus_mask(&self) -> u64 {
        let mut mask = MIE | MPIE;
        let has = |ext| self.model.has(ext);
        if has(Ext::U) {
            mask |= MPRV | TW;
        }
        if has(Ext::S) {
            mask |= SIE | SPIE | SPP | TSR;
        }
        if has(Ext::SV39) {
            mask |= SUM | MXR | TVM;
        }
        if has(Ext::F) {
            mask |= FS;
        }
        if has(Ext::V) {
            mask |= VS;
        }
        mask
    }

    fn write_mstatus(&mut self, value: u64) -> CsrEffect {
        let mask = self.mstatus_mask();
        let mut new = self.mstatus & !mask | value & mask;
        // MPP is WARL: a mode that does not exist becomes the least privileged one.
        let mpp = Priv::from_bits(value >> MPP_SHIFT)
            .filter(|&p| self.has_mode(p))
            .unwrap_or(self.least_privilege());
        new = new & !MPP | (mpp as u64) << MPP_SHIFT;
        self.replace_status(new)
    }

    /// Stores a legal `mstatus` and says what that changes.
    pub(super) fn replace_status(&mut self, new: u64) -> CsrEffect {
        let changed = self.mstatus ^ new;
        self.mstatus = new;
        let mut effect = CsrEffect::NONE;
        if changed & (MIE | SIE) != 0 {
            effect |= CsrEffect::INTERRUPTS;
        }
        if changed & (FS | VS) != 0 {
            effect |= CsrEffect::MODE;
        }
        if changed & (MPRV | SUM | MXR) != 0 || new & MPRV != 0 && changed & MPP != 0 {
            effect |= CsrEffect::TRANSLATION;
        }
        effect
    }

    fn mip_writable(&self) -> u64 {
        let s = if self.has_s() { SSIP | SEIP } else { 0 };
        // With Sstc enabled STIP is read-only.
        let stip = if self.has_s() && !self.stce() {
            STIP
        } else {
            0
        };
        s | stip | self.mideleg_mask() & LCOFIP
    }

    pub(super) fn write_mip(&mut self, value: u64, writable: u64) {
        self.mip = self.mip & !writable | value & writable;
    }

    /// `mip` with the timer compared now.
    pub(super) fn fresh_mip(&self, env: &dyn CsrEnv) -> u64 {
        let mip = self.mip(env.pins());
        if self.stce() && env.time() >= self.stimecmp {
            mip | interrupt::STIP
        } else {
            mip
        }
    }

    fn write_menvcfg(&mut self, value: u64, env: &dyn CsrEnv) -> CsrEffect {
        use super::envcfg::{ADUE, PBMTE, STCE};
        let new = self.legal_menvcfg(value);
        let changed = self.menvcfg ^ new;
        self.menvcfg = new;
        let mut effect = CsrEffect::NONE;
        if changed & (ADUE | PBMTE) != 0 {
            effect |= CsrEffect::TRANSLATION;
        }
        if changed & STCE != 0 {
            self.update_timer(env.time());
            effect |= CsrEffect::INTERRUPTS | CsrEffect::TIMER;
        }
        effect
    }
}

/// `mtvec` and `stvec` are WARL: modes 2 and 3 are reserved, and writing them changes nothing.
pub(super) fn legal_tvec(old: u64, value: u64) -> u64 {
    if value & 2 == 0 { value } else { old }
}
