//! Control and status registers: addresses, who may access them, what they hold.
//!
//! Rules common to all (Privileged 2.1): address bits 11:10 equal to 3 make a register read-only,
//! bits 9:8 give the least privilege. The rest is in the modules by topic. Registers this hart does
//! not have raise illegal-instruction exceptions.

pub mod addr;
mod counters;
pub mod envcfg;
mod float;
mod machine;
mod pmp;
mod stateen;
mod supervisor;
mod validate;

use super::ext::Ext;
use super::hart::{Hart, Priv};
use super::status;
use super::trap::Trap;

/// What CSR instructions need from the execution engine.
pub trait CsrEnv {
    /// The `time` counter, in ticks of the timebase.
    fn time(&self) -> u64;

    /// Cycles since some fixed point; monotonic. May equal [`CsrEnv::instret`].
    fn cycle(&self) -> u64;

    /// Instructions retired since some fixed point, without the one being executed.
    fn instret(&self) -> u64;

    /// Levels of the input pins ([`crate::Pins::level`]).
    fn pins(&self) -> u64;

    /// `fflags`, 5 bits.
    fn fflags(&self) -> u8;

    /// Replaces `fflags`.
    fn set_fflags(&mut self, fflags: u8);

    /// `frm`, 3 bits.
    fn frm(&self) -> u8;

    /// Replaces `frm`.
    fn set_frm(&mut self, frm: u8);
}

/// What a CSR instruction does to the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsrOp {
    /// `csrrs`/`csrrc` with `x0` or immediate 0: no write at all.
    Read,
    /// `csrrw`.
    Write(u64),
    /// `csrrs` with another register, even if it holds 0.
    Set(u64),
    /// `csrrc` likewise.
    Clear(u64),
}

bitflags::bitflags! {
    /// What the execution engine must do after a CSR was written, before the next instruction.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct CsrEffect: u32 {
        /// [`Hart::translation_key`] may have changed: choose banks again.
        const TRANSLATION = 1;
        /// Cached translations are void, whatever bank they are in.
        const FLUSH_TLB = 2;
        /// An interrupt may have become pending or enabled: ask [`Hart::pending_interrupt`].
        const INTERRUPTS = 4;
        /// [`Hart::mode_bits`] may have changed.
        const MODE = 8;
        /// [`Hart::time_deadline`] may have changed.
        const TIMER = 16;
    }
}

impl CsrEffect {
    /// Nothing to do.
    pub const NONE: CsrEffect = CsrEffect::empty();
}

impl Hart {
    /// Reads a CSR as an instruction in the current mode would. The trap of a failure is an
    /// illegal instruction without the instruction: see [`Trap::with_insn`].
    pub fn csr_read(&mut self, csr: u16, env: &mut dyn CsrEnv) -> Result<u64, Trap> {
        self.check_access(csr, false)?;
        self.read(csr, env).ok_or(Trap::illegal(0))
    }

    /// Writes a CSR as `csrrw` in the current mode would.
    pub fn csr_write(
        &mut self,
        csr: u16,
        value: u64,
        env: &mut dyn CsrEnv,
    ) -> Result<CsrEffect, Trap> {
        self.csr_access(csr, CsrOp::Write(value), env).map(|r| r.1)
    }

    /// One CSR instruction: the old value, and what changed. Sets and clears act on what software
    /// wrote where that differs from what it reads (`mip.SEIP`, Privileged 3.1.9).
    pub fn csr_access(
        &mut self,
        csr: u16,
        op: CsrOp,
        env: &mut dyn CsrEnv,
    ) -> Result<(u64, CsrEffect), Trap> {
        let write = op != CsrOp::Read;
        self.check_access(csr, write)?;
        let old = self.read(csr, env).ok_or(Trap::illegal(0))?;
        let effect = match op {
            CsrOp::Read => CsrEffect::NONE,
            CsrOp::Write(value) => self.write(csr, value, env),
            CsrOp::Set(mask) => {
                let base = self.rmw_base(csr, old);
                self.write(csr, base | mask, env)
            }
            CsrOp::Clear(mask) => {
                let base = self.rmw_base(csr, old);
                self.write(csr, base & !mask, env)
            }
        };
        Ok((old, effect))
    }

    /// Reads a CSR from outside: no access rule applies. `None` where the hart has no such
    /// register.
    pub fn csr_peek(&self, csr: u16, env: &mut dyn CsrEnv) -> Option<u64> {
        self.read(csr, env)
    }

    /// Writes a CSR from outside, legalised as for software. `None` where the hart has no such
    /// register or it is read-only.
    pub fn csr_poke(&mut self, csr: u16, value: u64, env: &mut dyn CsrEnv) -> Option<CsrEffect> {
        if csr >> 10 == 3 {
            return None;
        }
        self.read(csr, env)?;
        Some(self.write(csr, value, env))
    }

    /// Privilege and enable rules, without asking whether the register exists.
    fn check_access(&self, csr: u16, write: bool) -> Result<(), Trap> {
        let illegal = Err(Trap::illegal(0));
        if write && csr >> 10 == 3 || (self.privilege as u16) < (csr >> 8 & 3) {
            return illegal;
        }
        let allowed = match csr {
            addr::FFLAGS..=addr::FCSR => self.model.has(Ext::F) && self.fs_on(),
            addr::CYCLE..=addr::HPMCOUNTER31 => self.counter_allowed(csr),
            addr::SATP => self.privilege == Priv::Machine || self.mstatus & status::TVM == 0,
            addr::STIMECMP => self.stimecmp_allowed(),
            addr::SENVCFG | addr::SSTATEEN0..=addr::SSTATEEN3 => self.stateen_allowed(csr),
            _ => true,
        };
        if allowed { Ok(()) } else { illegal }
    }

    fn read(&self, csr: u16, env: &dyn CsrEnv) -> Option<u64> {
        match csr >> 8 & 0xf {
            0x0 => self.read_float(csr, env),
            0x1 => self.read_supervisor(csr, env),
            0xc => self.read_user_counter(csr, env),
            0xd => self.read_supervisor_readonly(csr),
            0x3 if csr >= addr::PMPCFG0 => self.read_pmp(csr),
            0x3 => self.read_machine(csr, env),
            0x7 => self.read_trigger(csr),
            0xb => self.read_machine_counter(csr, env),
            0xf => self.read_machine_id(csr),
            _ => None,
        }
    }

    /// Writes an existing register that may be written.
    fn write(&mut self, csr: u16, value: u64, env: &mut dyn CsrEnv) -> CsrEffect {
        match csr >> 8 & 0xf {
            0x0 => self.write_float(csr, value, env),
            0x1 => self.write_supervisor(csr, value, env),
            0x3 if csr >= addr::PMPCFG0 => self.write_pmp(csr, value),
            0x3 => self.write_machine(csr, value, env),
            0xb => self.write_machine_counter(csr, value, env),
            _ => CsrEffect::NONE,
        }
    }

    fn rmw_base(&self, csr: u16, old: u64) -> u64 {
        match csr {
            addr::MIP => self.mip,
            addr::SIP => self.mip & self.mideleg,
            _ => old,
        }
    }
}
