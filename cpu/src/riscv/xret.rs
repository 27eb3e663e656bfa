//! Returns from traps, and who may execute the privileged instructions (Privileged 3.3).

use super::hart::{Hart, Priv};
use super::status;
use super::trap::Trap;

impl Hart {
    /// `mret`. The new program counter; the privilege has changed. Traps below M-mode.
    pub fn mret(&mut self) -> Result<u64, Trap> {
        if self.privilege != Priv::Machine {
            return Err(Trap::illegal(0));
        }
        let s = self.mstatus;
        let to = Priv::from_bits(s >> status::MPP_SHIFT).unwrap_or(self.least_privilege());
        let mut new = s & !(status::MIE | status::MPP) | status::MPIE;
        if s & status::MPIE != 0 {
            new |= status::MIE;
        }
        if to != Priv::Machine {
            new &= !status::MPRV;
        }
        self.mstatus = new | (self.least_privilege() as u64) << status::MPP_SHIFT;
        self.privilege = to;
        Ok(self.mepc & self.epc_mask())
    }

    /// `sret`. Traps in U-mode, and in S-mode while `mstatus.TSR` is set.
    pub fn sret(&mut self) -> Result<u64, Trap> {
        let allowed = self.has_s()
            && match self.privilege {
                Priv::User => false,
                Priv::Supervisor => self.mstatus & status::TSR == 0,
                Priv::Machine => true,
            };
        if !allowed {
            return Err(Trap::illegal(0));
        }
        let s = self.mstatus;
        let to = if s & status::SPP != 0 {
            Priv::Supervisor
        } else {
            Priv::User
        };
        let mut new = s & !(status::SIE | status::SPP | status::MPRV) | status::SPIE;
        if s & status::SPIE != 0 {
            new |= status::SIE;
        }
        self.mstatus = new;
        self.privilege = to;
        Ok(self.sepc & self.epc_mask())
    }

    /// Whether `wfi` may wait here. Below M-mode it traps while `mstatus.TW` is set (the time limit
    /// is zero), and in U-mode always when there is an S-mode.
    pub fn wfi_allowed(&self) -> Result<(), Trap> {
        let ok = match self.privilege {
            Priv::Machine => true,
            Priv::Supervisor => self.mstatus & status::TW == 0,
            Priv::User => self.mstatus & status::TW == 0 && !self.has_s(),
        };
        if ok { Ok(()) } else { Err(Trap::illegal(0)) }
    }

    /// Whether `sfence.vma` and `sinval.vma` may be executed: S-mode without `mstatus.TVM`, or
    /// M-mode.
    pub fn sfence_allowed(&self) -> Result<(), Trap> {
        let ok = self.has_s()
            && match self.privilege {
                Priv::Machine => true,
                Priv::Supervisor => self.mstatus & status::TVM == 0,
                Priv::User => false,
            };
        if ok { Ok(()) } else { Err(Trap::illegal(0)) }
    }

    /// Whether `sfence.w.inval` and `sfence.inval.ir` may be executed: not in U-mode; `TVM` does
    /// not matter (Svinval).
    pub fn sfence_inval_allowed(&self) -> Result<(), Trap> {
        let ok = self.has_s() && self.privilege != Priv::User;
        if ok { Ok(()) } else { Err(Trap::illegal(0)) }
    }
}
