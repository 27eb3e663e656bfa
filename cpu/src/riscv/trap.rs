//! Traps: causes, delegation, entry.

use super::hart::{Hart, Priv};
use super::interrupt::Interrupt;
use super::status;
use super::walk::Access;
use std::fmt;

/// Synchronous exceptions by their code in `mcause` (Privileged, table "Machine cause register
/// values after trap").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum Exception {
    /// Instruction address misaligned.
    FetchMisaligned = 0,
    /// Instruction access fault.
    FetchAccess = 1,
    /// Illegal instruction.
    IllegalInstruction = 2,
    /// Breakpoint.
    Breakpoint = 3,
    /// Load address misaligned.
    LoadMisaligned = 4,
    /// Load access fault.
    LoadAccess = 5,
    /// Store or AMO address misaligned.
    StoreMisaligned = 6,
    /// Store or AMO access fault.
    StoreAccess = 7,
    /// Environment call from U-mode.
    EcallUser = 8,
    /// Environment call from S-mode.
    EcallSupervisor = 9,
    /// Environment call from M-mode.
    EcallMachine = 11,
    /// Instruction page fault.
    FetchPage = 12,
    /// Load page fault.
    LoadPage = 13,
    /// Store or AMO page fault.
    StorePage = 15,
    /// Software check (control-flow integrity).
    SoftwareCheck = 18,
    /// Hardware error.
    HardwareError = 19,
}

impl Exception {
    /// The access-fault exception of an access.
    pub const fn access_fault(access: Access) -> Exception {
        match access {
            Access::Fetch => Exception::FetchAccess,
            Access::Read => Exception::LoadAccess,
            Access::Write => Exception::StoreAccess,
        }
    }

    /// The page-fault exception of an access.
    pub const fn page_fault(access: Access) -> Exception {
        match access {
            Access::Fetch => Exception::FetchPage,
            Access::Read => Exception::LoadPage,
            Access::Write => Exception::StorePage,
        }
    }

    /// The misaligned-address exception of an access.
    pub const fn misaligned(access: Access) -> Exception {
        match access {
            Access::Fetch => Exception::FetchMisaligned,
            Access::Read => Exception::LoadMisaligned,
            Access::Write => Exception::StoreMisaligned,
        }
    }

    /// The exception an `ecall` in `privilege` raises.
    pub const fn ecall(privilege: Priv) -> Exception {
        match privilege {
            Priv::User => Exception::EcallUser,
            Priv::Supervisor => Exception::EcallSupervisor,
            Priv::Machine => Exception::EcallMachine,
        }
    }
}

/// What `mcause`/`scause` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// A synchronous exception.
    Exception(Exception),
    /// An interrupt.
    Interrupt(Interrupt),
}

impl Cause {
    /// The value of `mcause` or `scause`.
    pub const fn bits(self) -> u64 {
        match self {
            Cause::Exception(e) => e as u64,
            Cause::Interrupt(i) => 1 << 63 | i as u64,
        }
    }
}

/// A trap to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Trap {
    /// Why.
    pub cause: Cause,
    /// What `mtval`/`stval` will hold.
    pub tval: u64,
}

impl Trap {
    /// An exception with its trap value.
    pub const fn exception(e: Exception, tval: u64) -> Trap {
        Trap {
            cause: Cause::Exception(e),
            tval,
        }
    }

    /// An illegal-instruction exception; `insn` is the encoding (16 or 32 bits). Functions of this
    /// crate that do not know the instruction return 0 there: see [`Trap::with_insn`].
    pub const fn illegal(insn: u32) -> Trap {
        Trap::exception(Exception::IllegalInstruction, insn as u64)
    }

    /// Puts the encoding of the instruction into an illegal-instruction trap; leaves others alone.
    pub const fn with_insn(self, insn: u32) -> Trap {
        match self.cause {
            Cause::Exception(Exception::IllegalInstruction) => Trap::illegal(insn),
            _ => self,
        }
    }

    /// An interrupt.
    pub const fn interrupt(i: Interrupt) -> Trap {
        Trap {
            cause: Cause::Interrupt(i),
            tval: 0,
        }
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Cause::Exception(e) => write!(f, "exception {e:?} (tval {:#x})", self.tval),
            Cause::Interrupt(i) => write!(f, "interrupt {i:?}"),
        }
    }
}

impl Hart {
    /// The mode `cause` would be taken in from the current one: M unless delegated, and never a
    /// less privileged one than the current.
    pub fn trap_target(&self, cause: Cause) -> Priv {
        let delegated = match cause {
            Cause::Exception(e) => self.medeleg >> (e as u8) & 1 == 1,
            Cause::Interrupt(i) => self.mideleg >> (i as u8) & 1 == 1,
        };
        if delegated && self.privilege != Priv::Machine {
            Priv::Supervisor
        } else {
            Priv::Machine
        }
    }

    /// Enters the handler for `trap` taken at `pc` and returns the handler's address.
    ///
    /// Updates `xepc`, `xcause`, `xtval` and the `xPP`/`xPIE`/`xIE` stack, and changes the
    /// privilege. The caller must re-choose translation banks and block keys afterwards.
    pub fn trap_enter(&mut self, trap: Trap, pc: u64) -> u64 {
        let cause = trap.cause.bits();
        let from = self.privilege;
        let s = self.mstatus;
        let tvec = if self.trap_target(trap.cause) == Priv::Supervisor {
            self.sepc = pc & self.epc_mask();
            self.scause = cause;
            self.stval = trap.tval;
            let mut new = s & !(status::SPP | status::SPIE | status::SIE);
            if s & status::SIE != 0 {
                new |= status::SPIE;
            }
            if from == Priv::Supervisor {
                new |= status::SPP;
            }
            self.mstatus = new;
            self.privilege = Priv::Supervisor;
            self.stvec
        } else {
            self.mepc = pc & self.epc_mask();
            self.mcause = cause;
            self.mtval = trap.tval;
            let mut new = s & !(status::MPP | status::MPIE | status::MIE);
            if s & status::MIE != 0 {
                new |= status::MPIE;
            }
            self.mstatus = new | (from as u64) << status::MPP_SHIFT;
            self.privilege = Priv::Machine;
            self.mtvec
        };
        let base = tvec & !3;
        match trap.cause {
            Cause::Interrupt(i) if tvec & 1 == 1 => base.wrapping_add(4 * i as u64),
            _ => base,
        }
    }
}
