//! Privileged state of a hart.

use super::ext::Ext;
use super::interrupt;
use super::model::Model;
use super::pmp::{Pmp, PmpPage};
use super::status;
use super::trap::{Exception, Trap};
use super::walk::{Access, AddressMode, Mapping, PteFault, WalkConfig, WalkMem, walk};
use crate::StateError;
use ambidex_memory::Gpa;
use serde::{Deserialize, Serialize};

/// Privilege levels by their encoding in `xPP`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[repr(u8)]
pub enum Priv {
    /// U-mode.
    User = 0,
    /// S-mode.
    Supervisor = 1,
    /// M-mode.
    #[default]
    Machine = 3,
}

impl Priv {
    /// The level with this 2-bit encoding (higher bits ignored); `None` for the reserved 2.
    #[inline]
    pub const fn from_bits(bits: u64) -> Option<Priv> {
        match bits & 3 {
            0 => Some(Priv::User),
            1 => Some(Priv::Supervisor),
            3 => Some(Priv::Machine),
            _ => None,
        }
    }
}

/// Privileged state of a hart: mode and CSRs. Methods never allocate.
///
/// Serialisation: every field but the model has a default, so that older states load; values are
/// checked by [`super::State::validate`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hart {
    pub(crate) model: Model,
    #[serde(default)]
    pub(crate) hartid: u64,
    #[serde(default)]
    pub(crate) privilege: Priv,
    /// Without `SD`, which is computed.
    #[serde(default)]
    pub(crate) mstatus: u64,
    #[serde(default)]
    pub(crate) medeleg: u64,
    #[serde(default)]
    pub(crate) mideleg: u64,
    #[serde(default)]
    pub(crate) mie: u64,
    /// Only the bits software (or a pulse) set; pins come in from outside.
    #[serde(default)]
    pub(crate) mip: u64,
    #[serde(default)]
    pub(crate) mtvec: u64,
    #[serde(default)]
    pub(crate) mscratch: u64,
    #[serde(default)]
    pub(crate) mepc: u64,
    #[serde(default)]
    pub(crate) mcause: u64,
    #[serde(default)]
    pub(crate) mtval: u64,
    #[serde(default)]
    pub(crate) mcounteren: u64,
    #[serde(default)]
    pub(crate) mcountinhibit: u64,
    #[serde(default)]
    pub(crate) menvcfg: u64,
    #[serde(default)]
    pub(crate) stvec: u64,
    #[serde(default)]
    pub(crate) sscratch: u64,
    #[serde(default)]
    pub(crate) sepc: u64,
    #[serde(default)]
    pub(crate) scause: u64,
    #[serde(default)]
    pub(crate) stval: u64,
    #[serde(default)]
    pub(crate) scounteren: u64,
    #[serde(default)]
    pub(crate) senvcfg: u64,
    #[serde(default)]
    pub(crate) satp: u64,
    #[serde(default = "never")]
    pub(crate) stimecmp: u64,
    #[serde(default)]
    pub(crate) mstateen: [u64; 4],
    #[serde(default)]
    pub(crate) sstateen: [u64; 4],
    /// `mcycle`: while inhibited its value, otherwise what is added to the environment's count.
    #[serde(default)]
    pub(crate) mcycle: u64,
    /// `minstret`, likewise.
    #[serde(default)]
    pub(crate) minstret: u64,
    #[serde(default)]
    pub(crate) pmp: Pmp,
    /// `time >= stimecmp` as of the last comparison.
    #[serde(default)]
    pub(crate) timer_fired: bool,
}

fn never() -> u64 {
    u64::MAX
}

/// What translations depend on, compact and hashable: two equal keys translate alike for the same
/// page tables. Chooses TLB banks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TranslationKey {
    /// `satp`, or 0 where neither fetches nor data accesses are translated.
    pub satp: u64,
    /// Bits 1:0 privilege of fetches, 3:2 of data accesses (`MPRV` included), 4 SUM, 5 MXR,
    /// 6 PBMTE, 7 ADUE (those that cannot matter are 0), 63:32 generation of the PMP.
    pub bits: u64,
}

impl TranslationKey {
    /// Privilege of data accesses.
    pub const fn data_privilege(self) -> Priv {
        match Priv::from_bits(self.bits >> 2) {
            Some(p) => p,
            None => Priv::Machine,
        }
    }

    /// A well-mixed 64-bit digest (two different keys may share it).
    pub const fn digest(self) -> u64 {
        let x = (self.satp ^ self.bits.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (x ^ x >> 32)
            .wrapping_add(self.bits)
            .wrapping_mul(0xd6e8_feb8_6659_fd93)
    }
}

impl Hart {
    /// A hart out of reset (Privileged 3.4): M-mode, interrupts and `MPRV` off, PMP off, `mcause` 0.
    pub fn new(model: Model, hartid: u64) -> Hart {
        let mut mstatus = 0;
        if model.has(Ext::U) {
            mstatus |= status::UXL_64;
        } else {
            mstatus |= status::MPP;
        }
        if model.has(Ext::S) {
            mstatus |= status::SXL_64;
        }
        Hart {
            model,
            hartid,
            privilege: Priv::Machine,
            mstatus,
            medeleg: 0,
            mideleg: 0,
            mie: 0,
            mip: 0,
            mtvec: 0,
            mscratch: 0,
            mepc: 0,
            mcause: 0,
            mtval: 0,
            mcounteren: 0,
            mcountinhibit: 0,
            menvcfg: 0,
            stvec: 0,
            sscratch: 0,
            sepc: 0,
            scause: 0,
            stval: 0,
            scounteren: 0,
            senvcfg: 0,
            satp: 0,
            stimecmp: u64::MAX,
            mstateen: [0; 4],
            sstateen: [0; 4],
            mcycle: 0,
            minstret: 0,
            pmp: Pmp::new(model.pmp_entries()),
            timer_fired: false,
        }
    }

    /// Back to reset, keeping model and id.
    pub fn reset(&mut self) {
        let generation = self.pmp.generation();
        *self = Hart::new(self.model, self.hartid);
        self.pmp.supersede(generation);
    }

    /// What SBI firmware sets up before it enters a kernel: S-mode, all delegated, PMP open,
    /// counters and optional extensions enabled for S-mode.
    pub(crate) fn hand_over(&mut self) {
        self.privilege = if self.has_s() {
            Priv::Supervisor
        } else {
            Priv::Machine
        };
        self.medeleg = self.medeleg_mask() & !(1 << Exception::EcallSupervisor as u8);
        self.mideleg = self.mideleg_mask();
        self.mcounteren = self.counteren_mask();
        // Kernels expect programs to be able to read the basic counters (`time` in the vDSO).
        self.scounteren = self.counteren_mask() & 7;
        self.menvcfg = self.menvcfg_mask();
        if self.model.has(Ext::SVADE) {
            // Both schemes listed: software asks for hardware updates when it wants them.
            self.menvcfg &= !super::csr::envcfg::ADUE;
        }
        if self.model.has(Ext::SMSTATEEN) {
            self.mstateen = self.mstateen_mask();
        }
        self.pmp.open();
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// `mhartid`.
    pub fn hartid(&self) -> u64 {
        self.hartid
    }

    /// The current privilege.
    #[inline]
    pub fn privilege(&self) -> Priv {
        self.privilege
    }

    /// Changes the privilege behind the guest's back; for debuggers and boot code. False where the
    /// hart has no such mode.
    pub fn set_privilege(&mut self, privilege: Priv) -> bool {
        let ok = self.has_mode(privilege);
        if ok {
            self.privilege = privilege;
        }
        ok
    }

    /// `mstatus` as read, `SD` included.
    #[inline]
    pub fn mstatus(&self) -> u64 {
        let dirty =
            self.mstatus & status::FS == status::FS || self.mstatus & status::VS == status::VS;
        self.mstatus | if dirty { status::SD } else { 0 }
    }

    /// `satp`.
    #[inline]
    pub fn satp(&self) -> u64 {
        self.satp
    }

    /// Physical memory protection.
    pub fn pmp(&self) -> &Pmp {
        &self.pmp
    }

    /// Whether floating-point instructions are legal (`FS` is not off).
    #[inline]
    pub fn fs_on(&self) -> bool {
        self.mstatus & status::FS != 0
    }

    /// Records a change of floating-point state; returns whether `FS` changed by that (which
    /// changes [`Hart::mode_bits`]).
    #[inline]
    pub fn mark_fs_dirty(&mut self) -> bool {
        let changed = self.mstatus & status::FS != status::FS;
        self.mstatus |= status::FS;
        changed
    }

    /// What compiled code may depend on besides translation: bits 1:0 privilege, 3:2 `FS`,
    /// 5:4 `VS`. Part of a block's key.
    #[inline]
    pub fn mode_bits(&self) -> u32 {
        let fs = (self.mstatus & status::FS) >> status::FS_SHIFT;
        let vs = (self.mstatus & status::VS) >> status::VS_SHIFT;
        self.privilege as u32 | (fs as u32) << 2 | (vs as u32) << 4
    }

    /// Privilege an access is made with: `MPP` for data accesses while `MPRV` is set.
    #[inline]
    pub fn effective_privilege(&self, access: Access) -> Priv {
        if access != Access::Fetch && self.mstatus & status::MPRV != 0 {
            Priv::from_bits(self.mstatus >> status::MPP_SHIFT).unwrap_or(Priv::User)
        } else {
            self.privilege
        }
    }

    /// How addresses of `access` are translated now.
    pub fn translation(&self, access: Access) -> WalkConfig {
        let privilege = self.effective_privilege(access);
        let mode = if privilege == Priv::Machine {
            AddressMode::Bare
        } else {
            AddressMode::from_bits(self.satp >> 60).unwrap_or(AddressMode::Bare)
        };
        WalkConfig {
            mode,
            root: Gpa((self.satp & ((1 << 44) - 1)) << 12),
            privilege,
            sum: self.mstatus & status::SUM != 0,
            mxr: self.mstatus & status::MXR != 0,
            pbmte: self.menvcfg & super::csr::envcfg::PBMTE != 0,
            adue: self.menvcfg & super::csr::envcfg::ADUE != 0,
            svnapot: self.model.has(Ext::SVNAPOT),
        }
    }

    /// The key of the present translations.
    pub fn translation_key(&self) -> TranslationKey {
        use super::csr::envcfg::{ADUE, PBMTE};
        let fetch = self.effective_privilege(Access::Fetch);
        let data = self.effective_privilege(Access::Read);
        let mut bits = fetch as u64 | (data as u64) << 2 | u64::from(self.pmp.generation()) << 32;
        let mut satp = 0;
        if (fetch != Priv::Machine || data != Priv::Machine) && self.satp >> 60 != 0 {
            satp = self.satp;
            let flag = |on: bool, bit: u32| u64::from(on) << bit;
            if data != Priv::Machine {
                bits |= flag(
                    data == Priv::Supervisor && self.mstatus & status::SUM != 0,
                    4,
                );
                bits |= flag(self.mstatus & status::MXR != 0, 5);
            }
            bits |= flag(self.menvcfg & PBMTE != 0, 6) | flag(self.menvcfg & ADUE != 0, 7);
        }
        TranslationKey { satp, bits }
    }

    /// Translates `va` as this hart does now, PMP included: of the page-table accesses and of the
    /// `len` bytes accessed (which must not cross a page). With [`Pmp::page`] the caller learns
    /// whether the result holds for the rest of the page.
    pub fn translate(
        &self,
        va: u64,
        len: u64,
        access: Access,
        mem: &mut dyn WalkMem,
    ) -> Result<Mapping, Trap> {
        let cfg = self.translation(access);
        let mut guarded = Guarded {
            pmp: &self.pmp,
            mem,
        };
        let mapping = walk(&cfg, va, access, &mut guarded)?;
        if self.pmp.check(mapping.gpa, len, access, cfg.privilege) {
            Ok(mapping)
        } else {
            Err(Trap::exception(Exception::access_fault(access), va))
        }
    }

    /// What the PMP says about the page at `at` for accesses made now.
    pub fn pmp_page(&self, at: Gpa, access: Access) -> PmpPage {
        self.pmp.page(at, self.effective_privilege(access))
    }

    pub(crate) fn has_s(&self) -> bool {
        self.model.has(Ext::S)
    }

    pub(crate) fn has_mode(&self, privilege: Priv) -> bool {
        match privilege {
            Priv::User => self.model.has(Ext::U),
            Priv::Supervisor => self.has_s(),
            Priv::Machine => true,
        }
    }

    pub(crate) fn least_privilege(&self) -> Priv {
        if self.model.has(Ext::U) {
            Priv::User
        } else {
            Priv::Machine
        }
    }

    /// Bits an exception program counter can hold: instructions are aligned to 2 bytes with
    /// compressed instructions, else 4.
    #[inline]
    pub(crate) fn epc_mask(&self) -> u64 {
        if self.model.has(Ext::ZCA) { !1 } else { !3 }
    }

    /// Exceptions that can be delegated: all defined ones but `ecall` from M-mode, which S-mode
    /// can never see, and what cannot happen here (double traps, software checks).
    pub(crate) fn medeleg_mask(&self) -> u64 {
        if self.has_s() { 0xb3ff } else { 0 }
    }

    /// Interrupts that can be delegated, which are also the S-mode bits of `mip` and `mie`.
    #[inline]
    pub(crate) fn mideleg_mask(&self) -> u64 {
        let base = if self.has_s() {
            interrupt::SUPERVISOR
        } else {
            0
        };
        base | if self.model.has(Ext::SSCOFPMF) {
            interrupt::LCOFIP
        } else {
            0
        }
    }

    /// Whether S-mode's timer is `stimecmp` (Sstc enabled through `menvcfg.STCE`).
    #[inline]
    pub(crate) fn stce(&self) -> bool {
        self.menvcfg & super::csr::envcfg::STCE != 0
    }

    pub(crate) fn validate(&self, model: &Model) -> Result<(), StateError> {
        if self.model != *model {
            return Err(StateError::Model {
                expected: model.to_string(),
                found: self.model.to_string(),
            });
        }
        let check = |ok: bool, register: &'static str, value: u64| {
            if ok {
                Ok(())
            } else {
                Err(StateError::Value { register, value })
            }
        };
        check(
            self.has_mode(self.privilege),
            "privilege",
            self.privilege as u64,
        )?;
        self.validate_csrs(&check)?;
        check(self.pmp.is_valid(self.model.pmp_entries()), "pmp", 0)
    }
}

/// Page-table memory behind the PMP: walks are made with S-mode privilege (Privileged 3.7.2).
struct Guarded<'a> {
    pmp: &'a Pmp,
    mem: &'a mut dyn WalkMem,
}

impl WalkMem for Guarded<'_> {
    fn load_pte(&mut self, at: Gpa) -> Result<u64, PteFault> {
        if self.pmp.check(at, 8, Access::Read, Priv::Supervisor) {
            self.mem.load_pte(at)
        } else {
            Err(PteFault)
        }
    }

    fn cas_pte(&mut self, at: Gpa, expected: u64, new: u64) -> Result<bool, PteFault> {
        if self.pmp.check(at, 8, Access::Write, Priv::Supervisor) {
            self.mem.cas_pte(at, expected, new)
        } else {
            Err(PteFault)
        }
    }
}
