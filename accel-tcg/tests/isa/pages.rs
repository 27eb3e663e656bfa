//! Page tables built beside a program.
//!
//! All of them map RAM where it is for S-mode, and again at [`USER`] above that for U-mode, so that the program itself runs in every mode.

use std::collections::BTreeMap;

use super::asm::*;

pub const V: u64 = 1;
pub const RD: u64 = 2;
pub const WR: u64 = 4;
pub const EX: u64 = 8;
pub const U: u64 = 16;
pub const G: u64 = 32;
pub const A: u64 = 64;
pub const D: u64 = 128;
pub const N: u64 = 1 << 63;
/// Readable, writable, nothing to be updated.
pub const RW: u64 = V | RD | WR | A | D;
pub const RWX: u64 = RW | EX;
pub const RX: u64 = V | RD | EX | A;

/// A page-table entry for a physical address.
pub const fn pte(pa: u64, flags: u64) -> u64 {
    pa >> 12 << 10 | flags
}

pub struct Tables {
    base: u64,
    levels: u32,
    next: u64,
    entries: BTreeMap<u64, u64>,
}

impl Tables {
    /// `slot` keeps several apart; `levels` is 3, 4 or 5.
    pub fn new(slot: u64, levels: u32) -> Tables {
        let base = RAM + TABLES + slot * 0x1_0000;
        let mut t = Tables {
            base,
            levels,
            next: base + 0x1000,
            entries: BTreeMap::new(),
        };
        t.map(RAM, 2, pte(RAM, RWX));
        t.map(RAM + USER, 2, pte(RAM, RWX | U));
        t
    }

    /// The address of the entry for `va` at a level (0 is that of 4 KiB pages); makes the tables above it.
    pub fn entry(&mut self, va: u64, level: u32) -> u64 {
        let mut table = self.base;
        for l in (level..self.levels).rev() {
            let at = table + (va >> (12 + 9 * l) & 0x1ff) * 8;
            if l == level {
                return at;
            }
            let next = self.next;
            let e = self.entries.entry(at).or_insert_with(|| pte(next, V));
            assert_eq!(*e & (RD | EX), 0, "a leaf is in the way at {va:#x}");
            table = *e >> 10 << 12;
            if table == next {
                self.next += 0x1000;
            }
        }
        unreachable!()
    }

    pub fn map(&mut self, va: u64, level: u32, entry: u64) -> u64 {
        let at = self.entry(va, level);
        self.entries.insert(at, entry);
        at
    }

    pub fn satp(&self, asid: u64) -> u64 {
        u64::from(self.levels + 5) << 60 | asid << 44 | self.base >> 12
    }

    /// Puts the tables into the program's image.
    pub fn place(self, a: &mut Asm) {
        for (at, e) in self.entries {
            a.data.push((at - RAM, e.to_le_bytes().to_vec()));
        }
    }
}

/// Turns translation on with these tables (M-mode is not affected).
pub fn translate(a: &mut Asm, t: &Tables, asid: u64) {
    a.csr_li(csr::SATP, t.satp(asid));
    a.sfence_vma(0, 0);
    a.user_alias = USER;
}
