//! Supervisor-level CSRs (Privileged, "Supervisor-Level ISA"; Sstc).

use super::super::ext::Ext;
use super::super::hart::{Hart, Priv};
use super::super::interrupt::{LCOFIP, SSIP};
use super::super::status::*;
use super::super::walk::AddressMode;
use super::machine::legal_tvec;
use super::{CsrEffect, CsrEnv, addr};

/// Fields of `mstatus` that are visible in `sstatus`.
const SSTATUS: u64 = SIE | SPIE | UBE | SPP | VS | FS | XS | SUM | MXR | UXL | SD;

impl Hart {
    pub(super) fn read_supervisor(&self, csr: u16, env: &dyn CsrEnv) -> Option<u64> {
        if !self.has_s() {
            return None;
        }
        Some(match csr {
            addr::SSTATUS => self.mstatus() & SSTATUS,
            addr::SIE => self.mie & self.mideleg,
            addr::STVEC => self.stvec,
            addr::SCOUNTEREN => self.scounteren,
            addr::SENVCFG => self.senvcfg,
            addr::SSTATEEN0..=addr::SSTATEEN3 if self.model.has(Ext::SMSTATEEN) => 0,
            addr::SSTATEEN0..=addr::SSTATEEN3 if self.model.has(Ext::SSSTATEEN) => 0,
            addr::SSCRATCH => self.sscratch,
            addr::SEPC => self.sepc,
            addr::SCAUSE => self.scause,
            addr::STVAL => self.stval,
            addr::SIP => self.fresh_mip(env) & self.mideleg,
            addr::STIMECMP if self.model.has(Ext::SSTC) => self.stimecmp,
            addr::SATP => self.satp,
            _ => return None,
        })
    }

    pub(super) fn read_supervisor_readonly(&self, csr: u16) -> Option<u64> {
        (csr == addr::SCOUNTOVF && self.model.has(Ext::SSCOFPMF)).then_some(0)
    }

    pub(super) fn write_supervisor(
        &mut self,
        csr: u16,
        value: u64,
        env: &mut dyn CsrEnv,
    ) -> CsrEffect {
        match csr {
            addr::SSTATUS => {
                let mask = self.mstatus_mask() & SSTATUS;
                let new = self.mstatus & !mask | value & mask;
                return self.replace_status(new);
            }
            addr::SIE => {
                self.mie = self.mie & !self.mideleg | value & self.mideleg;
                return CsrEffect::INTERRUPTS;
            }
            addr::SIP => {
                // SEIP and STIP are read-only here.
                self.write_mip(value, self.mideleg & (SSIP | LCOFIP));
                return CsrEffect::INTERRUPTS;
            }
            addr::STVEC => self.stvec = legal_tvec(self.stvec, value),
            addr::SCOUNTEREN => self.scounteren = value & self.counteren_mask(),
            addr::SENVCFG => self.senvcfg = self.legal_senvcfg(value),
            addr::SSCRATCH => self.sscratch = value,
            addr::SEPC => self.sepc = value & self.epc_mask(),
            addr::SCAUSE => self.scause = value,
            addr::STVAL => self.stval = value,
            addr::STIMECMP => {
                self.stimecmp = value;
                self.update_timer(env.time());
                return CsrEffect::INTERRUPTS | CsrEffect::TIMER;
            }
            addr::SATP => return self.write_satp(value),
            _ => {}
        }
        CsrEffect::NONE
    }

    /// The value `satp` takes when `value` is written, or `None` where its mode is not supported
    /// and the write has no effect at all.
    pub(super) fn legal_satp(&self, value: u64) -> Option<u64> {
        let need = match AddressMode::from_bits(value >> 60)? {
            AddressMode::Bare => Ext::S,
            AddressMode::Sv39 => Ext::SV39,
            AddressMode::Sv48 => Ext::SV48,
            AddressMode::Sv57 => Ext::SV57,
        };
        if !self.model.has(need) {
            return None;
        }
        if !self.model.has(Ext::SV39) {
            return Some(0); // only Bare exists: nothing to hold
        }
        let asid = ((1 << self.model.asid_bits()) - 1) << 44;
        Some(value & (0xf << 60 | asid | ((1 << 44) - 1)))
    }

    fn write_satp(&mut self, value: u64) -> CsrEffect {
        match self.legal_satp(value) {
            Some(new) if new != self.satp => {
                self.satp = new;
                CsrEffect::TRANSLATION
            }
            _ => CsrEffect::NONE,
        }
    }

    /// `stimecmp` below M-mode: M-mode must have enabled Sstc and the `time` counter.
    pub(super) fn stimecmp_allowed(&self) -> bool {
        self.privilege == Priv::Machine || self.stce() && self.mcounteren & super::counters::TM != 0
    }
}
