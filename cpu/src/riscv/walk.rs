//! Page-table walks: Bare, Sv39, Sv48, Sv57 with Svnapot, Svpbmt, Svade and Svadu
//! (Privileged, "Virtual Address Translation Process").
//!
//! [`walk`] is a pure function of a [`WalkConfig`], the address, and whatever [`WalkMem`] finds, so
//! that debuggers and tests can walk any memory.

use super::hart::Priv;
use super::trap::{Exception, Trap};
use ambidex_memory::Gpa;

/// What an access does. Atomics count as writes, as their faults are store faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Load.
    Read,
    /// Store or AMO.
    Write,
    /// Instruction fetch.
    Fetch,
}

impl Access {
    /// The permission needed.
    pub const fn perm(self) -> Perms {
        match self {
            Access::Read => Perms::READ,
            Access::Write => Perms::WRITE,
            Access::Fetch => Perms::EXEC,
        }
    }
}

bitflags::bitflags! {
    /// Read, write, execute; bit positions as in `pmpcfg`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Perms: u8 {
        /// Loads.
        const READ = 1;
        /// Stores and atomics.
        const WRITE = 2;
        /// Fetches.
        const EXEC = 4;
    }
}

/// Translation schemes by their number in `satp.MODE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AddressMode {
    /// No translation.
    Bare = 0,
    /// 39-bit virtual addresses, three levels.
    Sv39 = 8,
    /// 48-bit virtual addresses, four levels.
    Sv48 = 9,
    /// 57-bit virtual addresses, five levels.
    Sv57 = 10,
}

impl AddressMode {
    /// The scheme with this number.
    pub const fn from_bits(mode: u64) -> Option<AddressMode> {
        match mode {
            0 => Some(AddressMode::Bare),
            8 => Some(AddressMode::Sv39),
            9 => Some(AddressMode::Sv48),
            10 => Some(AddressMode::Sv57),
            _ => None,
        }
    }

    /// Levels of page tables.
    pub const fn levels(self) -> u32 {
        match self {
            AddressMode::Bare => 0,
            AddressMode::Sv39 => 3,
            AddressMode::Sv48 => 4,
            AddressMode::Sv57 => 5,
        }
    }

    /// Whether `va` has its unused high bits equal to its top used bit. Always so in Bare mode.
    pub const fn is_canonical(self, va: u64) -> bool {
        let levels = self.levels();
        if levels == 0 {
            return true;
        }
        let unused = 64 - (12 + 9 * levels);
        ((va as i64) << unused >> unused) as u64 == va
    }
}

/// Everything a walk depends on besides memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WalkConfig {
    /// Translation scheme; [`AddressMode::Bare`] in M-mode.
    pub mode: AddressMode,
    /// Physical address of the root page table.
    pub root: Gpa,
    /// Effective privilege of the access.
    pub privilege: Priv,
    /// `mstatus.SUM`.
    pub sum: bool,
    /// `mstatus.MXR`.
    pub mxr: bool,
    /// Svpbmt is implemented and `menvcfg.PBMTE` is set.
    pub pbmte: bool,
    /// Svadu is implemented and `menvcfg.ADUE` is set: accessed and dirty bits are updated by
    /// hardware. Otherwise a clear bit is a page fault (Svade).
    pub adue: bool,
    /// Svnapot is implemented.
    pub svnapot: bool,
}

impl WalkConfig {
    /// No translation, in M-mode.
    pub const BARE: WalkConfig = WalkConfig {
        mode: AddressMode::Bare,
        root: Gpa(0),
        privilege: Priv::Machine,
        sum: false,
        mxr: false,
        pbmte: false,
        adue: false,
        svnapot: false,
    };
}

/// Memory that holds page tables.
pub trait WalkMem {
    /// Loads the 8-byte entry at `at` (8-aligned), atomically.
    fn load_pte(&mut self, at: Gpa) -> Result<u64, PteFault>;

    /// Stores `new` at `at` if `expected` is still there, atomically; whether it was. Only called
    /// where [`WalkConfig::adue`] is set.
    fn cas_pte(&mut self, at: Gpa, expected: u64, new: u64) -> Result<bool, PteFault>;
}

/// A page-table entry lies outside memory, or memory protection forbids the access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("page-table entry cannot be accessed")]
pub struct PteFault;

/// Read-only walking through a closure.
impl<F: FnMut(Gpa) -> Option<u64>> WalkMem for F {
    fn load_pte(&mut self, at: Gpa) -> Result<u64, PteFault> {
        self(at).ok_or(PteFault)
    }

    fn cas_pte(&mut self, _: Gpa, _: u64, _: u64) -> Result<bool, PteFault> {
        Err(PteFault)
    }
}

/// A stretch of bytes as memory, little-endian; for tools and tests.
#[derive(Debug)]
pub struct SliceMem<'a> {
    /// Address of the first byte.
    pub base: Gpa,
    /// The bytes.
    pub bytes: &'a mut [u8],
}

impl SliceMem<'_> {
    fn entry(&mut self, at: Gpa) -> Option<&mut [u8]> {
        let start = usize::try_from(at.0.checked_sub(self.base.0)?).ok()?;
        self.bytes.get_mut(start..start.checked_add(8)?)
    }
}

impl WalkMem for SliceMem<'_> {
    fn load_pte(&mut self, at: Gpa) -> Result<u64, PteFault> {
        let bytes = self.entry(at).ok_or(PteFault)?;
        Ok(bytes.iter().rev().fold(0, |v, &b| v << 8 | u64::from(b)))
    }

    fn cas_pte(&mut self, at: Gpa, expected: u64, new: u64) -> Result<bool, PteFault> {
        if self.load_pte(at)? != expected {
            return Ok(false);
        }
        self.entry(at)
            .ok_or(PteFault)?
            .copy_from_slice(&new.to_le_bytes());
        Ok(true)
    }
}

/// Page-based memory type (Svpbmt).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Pbmt {
    /// As the physical memory attributes say.
    #[default]
    Pma,
    /// Non-cacheable, idempotent, weakly ordered.
    Nc,
    /// Non-cacheable, strongly ordered I/O.
    Io,
}

/// A successful translation, true of the whole page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mapping {
    /// Physical address of the byte asked for.
    pub gpa: Gpa,
    /// Binary logarithm of the page's size: 12, 16 (NAPOT), 21, 30, 39, 48. 12 in Bare mode.
    pub page_shift: u32,
    /// What the configuration (privilege, SUM, MXR included) allows on this page. A write may
    /// need another walk for the dirty bit: see `writable_now`.
    pub perms: Perms,
    /// The page belongs to U-mode.
    pub user: bool,
    /// The mapping exists in every address space.
    pub global: bool,
    /// Memory type.
    pub pbmt: Pbmt,
    /// Writes are allowed and the dirty bit is set already, so that they need no further walk.
    pub writable_now: bool,
}

/// Page-table entry: valid.
pub const PTE_V: u64 = 1 << 0;
/// Page-table entry: readable.
pub const PTE_R: u64 = 1 << 1;
/// Page-table entry: writable.
pub const PTE_W: u64 = 1 << 2;
/// Page-table entry: executable.
pub const PTE_X: u64 = 1 << 3;
/// Page-table entry: user page.
pub const PTE_U: u64 = 1 << 4;
/// Page-table entry: global.
pub const PTE_G: u64 = 1 << 5;
/// Page-table entry: accessed.
pub const PTE_A: u64 = 1 << 6;
/// Page-table entry: dirty.
pub const PTE_D: u64 = 1 << 7;
/// Page-table entry: physical page number, 44 bits.
pub const PTE_PPN: u64 = ((1 << 44) - 1) << 10;
/// Page-table entry: reserved bits 60:54.
pub const PTE_RESERVED: u64 = 0x7f << 54;
/// Page-table entry: memory type (Svpbmt).
pub const PTE_PBMT: u64 = 3 << 61;
/// Page-table entry: naturally aligned power-of-two range (Svnapot).
pub const PTE_N: u64 = 1 << 63;

/// How often an accessed/dirty update that lost against another writer is tried again before the
/// walk gives up with a page fault. Each loss means that somebody else made progress.
const CAS_TRIES: u32 = 256;

/// Translates `va` for `access`.
///
/// A page fault or access fault comes back as the trap to raise, with `va` as its trap value.
/// Physical memory protection is the caller's: of page-table accesses through `mem`, of the
/// result with [`super::Pmp`].
pub fn walk(
    cfg: &WalkConfig,
    va: u64,
    access: Access,
    mem: &mut dyn WalkMem,
) -> Result<Mapping, Trap> {
    translate(cfg, va, Some(access), mem).map_err(|fail| {
        Trap::exception(
            match fail {
                Fail::Page => Exception::page_fault(access),
                Fail::Access => Exception::access_fault(access),
            },
            va,
        )
    })
}

/// Translates `va` without checking permissions or changing memory; for debuggers.
pub fn probe(cfg: &WalkConfig, va: u64, mem: &mut dyn WalkMem) -> Option<Mapping> {
    translate(cfg, va, None, mem).ok()
}

enum Fail {
    Page,
    Access,
}

impl From<PteFault> for Fail {
    fn from(_: PteFault) -> Fail {
        Fail::Access
    }
}

fn translate(
    cfg: &WalkConfig,
    va: u64,
    access: Option<Access>,
    mem: &mut dyn WalkMem,
) -> Result<Mapping, Fail> {
    if cfg.mode == AddressMode::Bare {
        return Ok(Mapping {
            gpa: Gpa(va),
            page_shift: 12,
            perms: Perms::all(),
            user: false,
            global: false,
            pbmt: Pbmt::Pma,
            writable_now: true,
        });
    }
    if !cfg.mode.is_canonical(va) {
        return Err(Fail::Page);
    }
    let mut table = cfg.root.0;
    let mut global = false;
    let mut tries = 0;
    let mut level = cfg.mode.levels() - 1;
    loop {
        let at = Gpa(table + (va >> (12 + 9 * level) & 0x1ff) * 8);
        let pte = mem.load_pte(at)?;
        check_encoding(cfg, pte)?;
        global |= pte & PTE_G != 0;
        if pte & (PTE_R | PTE_X) == 0 {
            // A pointer: A, D, U, PBMT and N are reserved here.
            if level == 0 || pte & (PTE_A | PTE_D | PTE_U | PTE_PBMT | PTE_N) != 0 {
                return Err(Fail::Page);
            }
            table = (pte & PTE_PPN) >> 10 << 12;
            level -= 1;
            continue;
        }

        let ppn = (pte & PTE_PPN) >> 10;
        let mut page_shift = 12 + 9 * level;
        let mut page = ppn << 12;
        if pte & PTE_N != 0 {
            // 64 KiB is the only size defined.
            if level != 0 || ppn & 0xf != 0b1000 {
                return Err(Fail::Page);
            }
            page_shift = 16;
            page &= !0xffff;
        }
        let offset = (1u64 << page_shift) - 1;
        if page & offset != 0 {
            return Err(Fail::Page); // misaligned superpage
        }
        let perms = permissions(cfg, pte);
        let mut now = pte;
        if let Some(access) = access {
            if !perms.contains(access.perm()) {
                return Err(Fail::Page);
            }
            let need = if access == Access::Write {
                PTE_A | PTE_D
            } else {
                PTE_A
            };
            if pte & need != need {
                if !cfg.adue {
                    return Err(Fail::Page);
                }
                now = pte | need;
                if !mem.cas_pte(at, pte, now)? {
                    tries += 1;
                    if tries == CAS_TRIES {
                        return Err(Fail::Page);
                    }
                    continue; // read this entry again; all above it still hold
                }
            }
        }
        return Ok(Mapping {
            gpa: Gpa(page | va & offset),
            page_shift,
            perms,
            user: pte & PTE_U != 0,
            global,
            pbmt: match (pte & PTE_PBMT) >> 61 {
                1 => Pbmt::Nc,
                2 => Pbmt::Io,
                _ => Pbmt::Pma,
            },
            writable_now: perms.contains(Perms::WRITE) && now & PTE_D != 0,
        });
    }
}

/// Step 3 of the walk: the entry is valid and has nothing reserved in it.
fn check_encoding(cfg: &WalkConfig, pte: u64) -> Result<(), Fail> {
    let mut reserved = PTE_RESERVED;
    if !cfg.svnapot {
        reserved |= PTE_N;
    }
    if !cfg.pbmte {
        reserved |= PTE_PBMT;
    }
    let bad = pte & PTE_V == 0
        || pte & (PTE_R | PTE_W) == PTE_W
        || pte & reserved != 0
        || pte & PTE_PBMT == PTE_PBMT;
    if bad { Err(Fail::Page) } else { Ok(()) }
}

/// What a leaf allows under the configuration.
fn permissions(cfg: &WalkConfig, pte: u64) -> Perms {
    let mut perms = Perms::empty();
    if pte & PTE_R != 0 || cfg.mxr && pte & PTE_X != 0 {
        perms |= Perms::READ;
    }
    if pte & PTE_W != 0 {
        perms |= Perms::WRITE;
    }
    if pte & PTE_X != 0 {
        perms |= Perms::EXEC;
    }
    match (cfg.privilege, pte & PTE_U != 0) {
        (Priv::User, false) => Perms::empty(),
        (Priv::User, true) | (_, false) => perms,
        (_, true) if cfg.sum => perms - Perms::EXEC,
        (_, true) => Perms::empty(),
    }
}
