//! Banks: everything that is cached for one translation regime, so that a change of address space or privilege is a change of one pointer.
//!
//! Compiled code reaches the arrays at the front of a [`Bank`] through `r14`; their layout is part of its convention.

use std::mem::offset_of;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::guest::{AccessKind, BankKey, ModeKey};

/// Log2 of the entries of each data TLB.
pub const TLB_BITS: u32 = 10;
/// Log2 of the entries of the jump cache.
pub const JC_BITS: u32 = 11;
/// Log2 of the entries of the execution-id table.
pub const XID_BITS: u32 = 9;
/// Log2 of the entries of the fetch TLB, which only Rust code uses.
const FETCH_BITS: u32 = 8;

/// Low bits of [`TlbEntry::tag`]: any bit set keeps compiled code out of the entry. Compiled code compares the tag with the page address and,
/// where an access must be aligned, the low bits of the address, so no flag may lie where those are (bits 3 to 0).
pub mod flag {
    /// Stores must be noted (page holds translated code, or is clean for somebody who logs changes).
    pub const NOTE: u64 = 1 << 10;
    /// The entry is empty.
    pub const EMPTY: u64 = 1 << 11;
    const _: () = assert!((NOTE | EMPTY) & 15 == 0);
}

/// One page of a data TLB.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct TlbEntry {
    /// Virtual address of the page, flags in the low twelve bits.
    pub tag: u64,
    /// Host address minus virtual address.
    pub addend: u64,
}

impl TlbEntry {
    /// Matches nothing.
    pub const EMPTY: TlbEntry = TlbEntry {
        tag: flag::EMPTY,
        addend: 0,
    };
}

/// One target of the jump cache.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct JumpEntry {
    /// Guest virtual address.
    pub va: u64,
    /// Host address of its code.
    pub host: u64,
}

impl JumpEntry {
    /// Matches no guest address ([`u64::MAX`] is no instruction address).
    pub const EMPTY: JumpEntry = JumpEntry {
        va: u64::MAX,
        host: 0,
    };
}

/// Identity of a physical page of RAM: block number and page number within it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct PhysPage(pub u64);

impl PhysPage {
    /// Matches no page.
    pub const NONE: PhysPage = PhysPage(u64::MAX);
    /// Names a page.
    pub fn new(block: u32, page: u64) -> PhysPage {
        PhysPage(u64::from(block) << 40 | page)
    }
    /// Page number within the block.
    pub fn page(self) -> u64 {
        self.0 & ((1 << 40) - 1)
    }
    /// Number of the block.
    pub fn block(self) -> u32 {
        (self.0 >> 40) as u32
    }
}

/// One page of the fetch TLB.
#[derive(Clone, Copy, Debug)]
pub struct FetchEntry {
    /// Virtual address of the page, or [`u64::MAX`].
    pub va: u64,
    /// The page of RAM behind it.
    pub phys: PhysPage,
    /// Its host address.
    pub host: u64,
    /// Execution id of this (virtual page, physical page) pair.
    pub xid: u32,
}

impl FetchEntry {
    const EMPTY: FetchEntry = FetchEntry {
        va: u64::MAX,
        phys: PhysPage::NONE,
        host: 0,
        xid: 0,
    };
}

/// Caches of one translation regime.
#[repr(C, align(64))]
pub struct Bank {
    /// Loads.
    pub tlb_r: [TlbEntry; 1 << TLB_BITS],
    /// Stores.
    pub tlb_w: [TlbEntry; 1 << TLB_BITS],
    /// Indirect jump targets.
    pub jc: [JumpEntry; 1 << JC_BITS],
    /// Execution ids by virtual page; 0 is none.
    pub xid: [u32; 1 << XID_BITS],
    fetch: [FetchEntry; 1 << FETCH_BITS],
    /// The regime.
    pub key: BankKey,
    /// The mode of the CPU for which it is used: the jump cache is looked up by address alone, so it can hold code of one mode only.
    pub mode: ModeKey,
    /// Changes with every complete flush; names this bank's entries in the second-level TLB.
    pub generation: u64,
    /// For choosing the bank to reuse.
    pub last_use: u64,
    /// Nothing was put in since the last complete flush.
    empty: bool,
    /// Blocks that hold all pages that were filled from entries covering more than 4 KiB: first address and mask. A flush of one address in such
    /// a block must forget whatever came from the same entry.
    large: [(u64, u64); LARGE],
    /// Pages (by the low bits of their numbers) that may have entries in the jump cache, so that flushing a data page does not search it.
    jump_pages: [u64; 64],
}

/// Offset of [`Bank::tlb_r`].
pub const OFF_TLB_R: usize = offset_of!(Bank, tlb_r);
/// Offset of [`Bank::tlb_w`].
pub const OFF_TLB_W: usize = offset_of!(Bank, tlb_w);
/// Offset of [`Bank::jc`].
pub const OFF_JC: usize = offset_of!(Bank, jc);
/// Offset of [`Bank::xid`].
pub const OFF_XID: usize = offset_of!(Bank, xid);

const PAGE_MASK: u64 = !0xfff;

fn next_generation() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
/// Blocks of large pages told apart.
const LARGE: usize = 4;
/// Log2 of the smallest such block.
const LARGE_SHIFT: u8 = 30;
/// Holds no address (an address under a mask never has bits outside it).
const NO_LARGE: (u64, u64) = (1, 0);

impl Bank {
    /// An empty bank.
    pub fn new(key: BankKey) -> Box<Bank> {
        Box::new(Bank {
            tlb_r: [TlbEntry::EMPTY; 1 << TLB_BITS],
            tlb_w: [TlbEntry::EMPTY; 1 << TLB_BITS],
            jc: [JumpEntry::EMPTY; 1 << JC_BITS],
            xid: [0; 1 << XID_BITS],
            fetch: [FetchEntry::EMPTY; 1 << FETCH_BITS],
            key,
            mode: ModeKey::default(),
            generation: next_generation(),
            last_use: 0,
            empty: true,
            large: [NO_LARGE; LARGE],
            jump_pages: [0; 64],
        })
    }

    /// Index of a virtual address in the data TLBs.
    #[inline(always)]
    pub fn tlb_index(va: u64) -> usize {
        (va >> 12) as usize & ((1 << TLB_BITS) - 1)
    }

    /// Index in the jump cache.
    #[inline(always)]
    pub fn jc_index(va: u64) -> usize {
        (va >> 1) as usize & ((1 << JC_BITS) - 1)
    }

    /// Index in the execution-id table.
    #[inline(always)]
    pub fn xid_index(va: u64) -> usize {
        (va >> 12) as usize & ((1 << XID_BITS) - 1)
    }

    /// The data TLB for a kind of access.
    #[inline(always)]
    pub fn tlb(&mut self, kind: AccessKind) -> &mut [TlbEntry; 1 << TLB_BITS] {
        if matches!(kind, AccessKind::Write) {
            &mut self.tlb_w
        } else {
            &mut self.tlb_r
        }
    }

    /// Finds a page in the fetch TLB.
    #[inline]
    pub fn find_fetch(&self, va: u64) -> Option<&FetchEntry> {
        let e = &self.fetch[(va >> 12) as usize & ((1 << FETCH_BITS) - 1)];
        (e.va == va & PAGE_MASK).then_some(e)
    }

    /// Fills the fetch TLB and the execution-id table.
    pub fn put_fetch(&mut self, e: FetchEntry) {
        self.empty = false;
        self.xid[Bank::xid_index(e.va)] = e.xid;
        self.fetch[(e.va >> 12) as usize & ((1 << FETCH_BITS) - 1)] = e;
    }

    /// Makes a page's execution id current again (another page may share its place in the table).
    #[inline]
    pub fn renew_xid(&mut self, va: u64, xid: u32) {
        self.xid[Bank::xid_index(va)] = xid;
    }

    /// Fills a data TLB.
    #[inline]
    pub fn put(&mut self, kind: AccessKind, va: u64, flags: u64, host_page: u64) {
        self.empty = false;
        let page = va & PAGE_MASK;
        self.tlb(kind)[Bank::tlb_index(va)] = TlbEntry {
            tag: page | flags,
            addend: host_page.wrapping_sub(page),
        };
    }

    /// Fills the jump cache.
    #[inline]
    pub fn put_jump(&mut self, va: u64, host: u64) {
        self.empty = false;
        self.jump_pages[(va >> 18) as usize & 63] |= 1 << ((va >> 12) & 63);
        self.jc[Bank::jc_index(va)] = JumpEntry { va, host };
    }

    /// Forgets one jump target.
    pub fn drop_jump(&mut self, va: u64) {
        let e = &mut self.jc[Bank::jc_index(va)];
        if e.va == va {
            *e = JumpEntry::EMPTY;
        }
    }

    /// Forgets all jump targets.
    pub fn drop_jumps(&mut self) {
        self.jc.fill(JumpEntry::EMPTY);
        self.jump_pages.fill(0);
    }

    /// Forgets everything.
    pub fn flush(&mut self) {
        if self.empty {
            return;
        }
        self.tlb_r.fill(TlbEntry::EMPTY);
        self.tlb_w.fill(TlbEntry::EMPTY);
        self.drop_jumps();
        self.xid.fill(0);
        self.fetch.fill(FetchEntry::EMPTY);
        self.large = [NO_LARGE; LARGE];
        self.empty = true;
        self.generation = next_generation();
    }

    /// Records that the translation of `va` comes from an entry for `1 << shift` bytes. To be called before it is put in.
    pub fn note_large(&mut self, va: u64, shift: u8) {
        if shift <= 12 {
            return;
        }
        self.empty = false;
        if self.large.iter().any(|&(first, mask)| va & mask == first) {
            return;
        }
        let mask = u64::MAX << shift.clamp(LARGE_SHIFT, 63);
        let mut new = (va & mask, mask);
        if let Some(free) = self.large.iter_mut().find(|l| **l == NO_LARGE) {
            *free = new;
            return;
        }
        // Join the two blocks that are closest, the new one among them.
        let join = |a: (u64, u64), b: (u64, u64)| {
            let differ = 64 - (a.0 ^ b.0).leading_zeros();
            let mask = a.1 & b.1 & u64::MAX.checked_shl(differ).unwrap_or(0);
            (a.0 & mask, mask)
        };
        let mut best = (0, LARGE);
        let mut best_mask = 0;
        for i in 0..LARGE {
            for j in i + 1..=LARGE {
                let other = if j == LARGE { new } else { self.large[j] };
                let mask = join(self.large[i], other).1;
                if mask > best_mask {
                    (best, best_mask) = ((i, j), mask);
                }
            }
        }
        let (i, j) = best;
        if j < LARGE {
            std::mem::swap(&mut self.large[j], &mut new);
        }
        self.large[i] = join(self.large[i], new);
    }

    /// Forgets one page.
    pub fn flush_page(&mut self, va: u64) {
        if self.empty {
            return;
        }
        if self.large.iter().any(|&(first, mask)| va & mask == first) {
            return self.flush();
        }
        let page = va & PAGE_MASK;
        let i = Bank::tlb_index(va);
        if self.tlb_r[i].tag & PAGE_MASK == page {
            self.tlb_r[i] = TlbEntry::EMPTY;
        }
        if self.tlb_w[i].tag & PAGE_MASK == page {
            self.tlb_w[i] = TlbEntry::EMPTY;
        }
        let f = (va >> 12) as usize & ((1 << FETCH_BITS) - 1);
        if self.fetch[f].va == page {
            self.fetch[f] = FetchEntry::EMPTY;
        }
        // The table does not say which page an id is for; losing another page's id only costs a look-up.
        self.xid[Bank::xid_index(va)] = 0;
        if self.jump_pages[(va >> 18) as usize & 63] >> ((va >> 12) & 63) & 1 != 0 {
            for e in self.jc.iter_mut().filter(|e| e.va & PAGE_MASK == page) {
                *e = JumpEntry::EMPTY;
            }
        }
    }

    /// Takes the fast path away from stores to a host page.
    pub fn protect_host_page(&mut self, host_page: u64) {
        if self.empty {
            return;
        }
        for e in self.tlb_w.iter_mut() {
            if e.tag & 0xfff == 0 && e.tag.wrapping_add(e.addend) == host_page {
                e.tag |= flag::NOTE;
            }
        }
    }

    /// Empties the store TLB.
    pub fn drop_stores(&mut self) {
        if !self.empty {
            self.tlb_w.fill(TlbEntry::EMPTY);
        }
    }

    /// Bank is empty.
    pub fn is_empty(&self) -> bool {
        self.empty
    }
}

/// The banks of one virtual CPU.
pub struct BankSet {
    banks: Vec<Box<Bank>>,
    /// Keys of `banks`, close together for searching.
    keys: Vec<(BankKey, ModeKey)>,
    current: usize,
    clock: u64,
    limit: usize,
}

impl BankSet {
    /// At most `limit` banks, each of about 80 KiB, allocated as they are needed.
    pub fn new(limit: usize) -> BankSet {
        let first = Bank::new(BankKey::default());
        BankSet {
            keys: vec![(first.key, first.mode)],
            banks: vec![first],
            current: 0,
            clock: 0,
            limit: limit.max(1),
        }
    }

    /// Makes the bank for a regime and mode current, reusing the one unused for longest if there is none.
    #[inline]
    pub fn select(&mut self, key: BankKey, mode: ModeKey) {
        if self.keys[self.current] != (key, mode) {
            self.select_other(key, mode);
        }
    }

    fn select_other(&mut self, key: BankKey, mode: ModeKey) {
        self.clock += 1;
        self.current = match self.keys.iter().position(|k| *k == (key, mode)) {
            Some(i) => i,
            None => {
                let i = if self.banks.len() < self.limit {
                    self.banks.push(Bank::new(key));
                    self.keys.push((key, mode));
                    self.banks.len() - 1
                } else {
                    (0..self.banks.len())
                        .min_by_key(|&i| self.banks[i].last_use)
                        .unwrap_or(0)
                };
                let bank = &mut self.banks[i];
                bank.flush();
                bank.key = key;
                bank.mode = mode;
                self.keys[i] = (key, mode);
                i
            }
        };
        self.banks[self.current].last_use = self.clock;
    }

    /// The current bank.
    #[inline(always)]
    pub fn current(&mut self) -> &mut Bank {
        &mut self.banks[self.current]
    }

    /// All banks.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Bank> {
        self.banks.iter_mut().map(|b| &mut **b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banks_keep_their_contents_across_switches() {
        let mut set = BankSet::new(2);
        let (a, b, c) = (BankKey([1, 0]), BankKey([2, 0]), BankKey([3, 0]));
        set.select(a, ModeKey(0));
        set.current().put(AccessKind::Read, 0x4000, 0, 0x7000_0000);
        set.select(b, ModeKey(0));
        assert!(set.current().is_empty());
        set.current().put(AccessKind::Read, 0x4000, 0, 0x8000_0000);
        set.select(a, ModeKey(0));
        let e = set.current().tlb_r[Bank::tlb_index(0x4000)];
        assert_eq!((e.tag, e.tag.wrapping_add(e.addend)), (0x4000, 0x7000_0000));
        // A third regime takes the place of the one unused for longest.
        set.select(c, ModeKey(0));
        assert!(set.current().is_empty());
        set.select(a, ModeKey(0));
        assert!(!set.current().is_empty());
    }

    #[test]
    fn protecting_a_host_page_only_hits_its_stores() {
        let mut bank = Bank::new(BankKey::default());
        bank.put(AccessKind::Write, 0x1000, 0, 0xaaaa_0000);
        bank.put(AccessKind::Write, 0x2000, 0, 0xbbbb_0000);
        bank.put(AccessKind::Read, 0x1000, 0, 0xaaaa_0000);
        bank.protect_host_page(0xaaaa_0000);
        assert_eq!(bank.tlb_w[1].tag, 0x1000 | flag::NOTE);
        assert_eq!(bank.tlb_w[2].tag, 0x2000);
        assert_eq!(bank.tlb_r[1].tag, 0x1000);
    }

    #[test]
    fn flushing_part_of_a_large_page_drops_all_of_it() {
        let mut bank = Bank::new(BankKey::default());
        let high = 0xffff_ffc0_0000_0000;
        let fill = |bank: &mut Bank| {
            for i in 0..8u64 {
                bank.note_large(high + (i << 33), 21);
            }
            bank.note_large(0x20_0000, 21);
            bank.put(AccessKind::Read, 0x20_1000, 0, 0x7000_0000);
            bank.put(AccessKind::Read, 0x7f00_0000_3000, 0, 0x7000_0000);
        };
        let has = |bank: &Bank, va: u64| bank.tlb_r[Bank::tlb_index(va)].tag == va;
        fill(&mut bank);
        // Small pages elsewhere go alone.
        bank.flush_page(0x7f00_0000_3000);
        assert!(!has(&bank, 0x7f00_0000_3000) && has(&bank, 0x20_1000));
        for va in [0x20_0000, 0x3f_ffff, high + (7 << 33) + 0x1000] {
            fill(&mut bank);
            bank.flush_page(va);
            assert!(!has(&bank, 0x20_1000), "{va:#x}");
        }
    }

    #[test]
    fn flushing_a_page_drops_its_jump_targets() {
        let mut bank = Bank::new(BankKey::default());
        bank.put_jump(0x5008, 1);
        bank.put_jump(0x6010, 2);
        bank.put_fetch(FetchEntry {
            va: 0x5000,
            phys: PhysPage::new(1, 5),
            host: 0,
            xid: 9,
        });
        bank.flush_page(0x5ffe);
        assert!(bank.find_fetch(0x5000).is_none());
        assert_eq!(bank.xid[Bank::xid_index(0x5000)], 0);
        assert_eq!(bank.jc[Bank::jc_index(0x5008)].va, u64::MAX);
        assert_eq!(bank.jc[Bank::jc_index(0x6010)].host, 2);
    }
}
