//! Physical memory protection (Privileged 3.7).

use super::hart::Priv;
use super::walk::{Access, Perms};
use ambidex_memory::Gpa;
use serde::{Deserialize, Serialize};

/// Most entries a hart here has.
pub const MAX_ENTRIES: usize = 16;

/// `pmpcfg` bit: readable.
pub const R: u8 = 1;
/// `pmpcfg` bit: writable.
pub const W: u8 = 2;
/// `pmpcfg` bit: executable.
pub const X: u8 = 4;
/// `pmpcfg` field: address matching.
pub const A: u8 = 3 << 3;
/// [`A`]: top of range.
pub const TOR: u8 = 1 << 3;
/// [`A`]: four bytes.
pub const NA4: u8 = 2 << 3;
/// [`A`]: naturally aligned power of two.
pub const NAPOT: u8 = 3 << 3;
/// `pmpcfg` bit: locked, and enforced in M-mode.
pub const L: u8 = 1 << 7;

/// Bits of `pmpaddr`: address bits 55:2.
const ADDR_MASK: u64 = (1 << 54) - 1;

/// The PMP unit of one hart. Granularity is 4 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pmp {
    entries: u8,
    cfg: [u8; MAX_ENTRIES],
    addr: [u64; MAX_ENTRIES],
    #[serde(skip)]
    generation: u32,
}

/// What the PMP says about one 4 KiB page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PmpPage {
    /// The same for every byte.
    Uniform(Perms),
    /// It differs within the page: each access has to be checked with [`Pmp::check`].
    Mixed,
}

impl Default for Pmp {
    fn default() -> Pmp {
        Pmp::new(MAX_ENTRIES)
    }
}

impl Pmp {
    /// A unit with `entries` (at most 16) entries, all off.
    pub fn new(entries: usize) -> Pmp {
        Pmp {
            entries: entries.min(MAX_ENTRIES) as u8,
            cfg: [0; MAX_ENTRIES],
            addr: [0; MAX_ENTRIES],
            generation: 0,
        }
    }

    /// How many entries there are.
    pub fn entries(&self) -> usize {
        usize::from(self.entries).min(MAX_ENTRIES)
    }

    /// Changes with every change of an entry; part of the translation key.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Makes this unit's generation differ from `old` and all before it.
    pub(crate) fn supersede(&mut self, old: u32) {
        self.generation = old.wrapping_add(1);
    }

    /// Configuration byte of entry `i`; 0 where there is none.
    pub fn cfg(&self, i: usize) -> u8 {
        if i < self.entries() { self.cfg[i] } else { 0 }
    }

    /// `pmpaddr` of entry `i`; 0 where there is none.
    pub fn addr(&self, i: usize) -> u64 {
        if i < self.entries() { self.addr[i] } else { 0 }
    }

    /// Writes a configuration byte as software may: locked entries keep theirs, the reserved
    /// combination W without R becomes no access at all, bits 6:5 read zero. Returns whether
    /// anything changed.
    pub fn set_cfg(&mut self, i: usize, value: u8) -> bool {
        if i >= self.entries() || self.cfg[i] & L != 0 {
            return false;
        }
        let mut new = value & (L | A | X | W | R);
        if new & (W | R) == W {
            // Reserved without Smepmp, WARL: no access at all is the cautious legal value.
            new &= !(R | W | X);
        }
        let changed = self.cfg[i] != new;
        self.cfg[i] = new;
        self.generation = self.generation.wrapping_add(u32::from(changed));
        changed
    }

    /// Writes `pmpaddr` as software may: ignored where the entry is locked or is the lower bound
    /// of a locked top-of-range entry. Returns whether anything changed.
    pub fn set_addr(&mut self, i: usize, value: u64) -> bool {
        if i >= self.entries() || self.cfg[i] & L != 0 {
            return false;
        }
        if i + 1 < self.entries() && self.cfg[i + 1] & (L | A) == L | TOR {
            return false;
        }
        let new = value & ADDR_MASK;
        let changed = self.addr[i] != new;
        self.addr[i] = new;
        self.generation = self.generation.wrapping_add(u32::from(changed));
        changed
    }

    /// Lets S- and U-mode reach everything through the last entry; what host firmware sets up.
    pub fn open(&mut self) {
        if let Some(last) = self.entries().checked_sub(1) {
            self.cfg[last] = NAPOT | X | W | R;
            self.addr[last] = ADDR_MASK;
            self.generation = self.generation.wrapping_add(1);
        }
    }

    /// First and last byte entry `i` covers.
    fn range(&self, i: usize) -> Option<(u64, u64)> {
        let addr = self.addr[i];
        match self.cfg[i] & A {
            TOR => {
                let low = if i == 0 { 0 } else { self.addr[i - 1] };
                (low < addr).then(|| (low << 2, (addr << 2) - 1))
            }
            NA4 => Some((addr << 2, addr << 2 | 3)),
            NAPOT => {
                let mask = (2u64 << addr.trailing_ones()) - 1;
                Some(((addr & !mask) << 2, (addr | mask) << 2 | 3))
            }
            _ => None,
        }
    }

    fn entry_perms(&self, i: usize, privilege: Priv) -> Perms {
        let cfg = self.cfg[i];
        if privilege == Priv::Machine && cfg & L == 0 {
            Perms::all()
        } else {
            // R, W, X have the same positions in both.
            Perms::from_bits_truncate(cfg & (R | W | X))
        }
    }

    fn default_perms(&self, privilege: Priv) -> Perms {
        if privilege == Priv::Machine || self.entries == 0 {
            Perms::all()
        } else {
            Perms::empty()
        }
    }

    /// Whether `len` (at least 1) bytes at `at` may be accessed in `privilege`. The entry with the
    /// lowest number that matches any byte decides, and must match all of them.
    pub fn check(&self, at: Gpa, len: u64, access: Access, privilege: Priv) -> bool {
        let first = at.0;
        let Some(last) = first.checked_add(len.max(1) - 1) else {
            return false;
        };
        self.decide(first, last, privilege)
            .is_some_and(|p| p.contains(access.perm()))
    }

    /// What holds for all of the 4 KiB page that contains `at`.
    pub fn page(&self, at: Gpa, privilege: Priv) -> PmpPage {
        let first = at.0 & !0xfff;
        // Several entries with equal permissions may share a page: only whole coverage by one
        // entry counts as uniform, since an access across their border fails.
        match self.decide(first, first | 0xfff, privilege) {
            Some(perms) => PmpPage::Uniform(perms),
            None => PmpPage::Mixed,
        }
    }

    /// Permissions when one entry, or none, matches `first..=last` as a whole.
    fn decide(&self, first: u64, last: u64, privilege: Priv) -> Option<Perms> {
        for i in 0..self.entries() {
            if let Some((low, high)) = self.range(i) {
                if last < low || high < first {
                    continue;
                }
                let whole = low <= first && last <= high;
                return whole.then(|| self.entry_perms(i, privilege));
            }
        }
        Some(self.default_perms(privilege))
    }

    /// Whether the values could have come from software on a unit with `entries` entries.
    pub(crate) fn is_valid(&self, entries: usize) -> bool {
        self.entries() == entries
            && usize::from(self.entries) == entries
            && self.cfg.iter().all(|c| c & 0x60 == 0 && c & (W | R) != W)
            && self.addr.iter().all(|a| a & !ADDR_MASK == 0)
            && (entries..MAX_ENTRIES).all(|i| self.cfg[i] == 0 && self.addr[i] == 0)
    }
}
