//! Which pages changed, for several independent askers.
//!
//! One 16-bit word a page is the whole truth: bits 0 to 7 say "clean for dirty client i", bits 8 to 14 "watched by watcher i", bit 15
//! "watched by all". A page needs a note exactly while its word is not zero, and a write turns all clean bits off in one atomic step,
//! so clients cannot disagree with the fast check.
//!
//! Beside it each client has a bitmap with one bit per 64 pages, "there may be dirty pages here", so that taking the dirty pages of a large
//! and mostly clean block costs in proportion to the dirty ones. A writer clears the page's bit first and sets the group's bit second; a
//! taker clears the group's bit first and reads the pages second. A write that falls between is found by the next take.

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU64, Ordering, fence};
use std::sync::{Arc, OnceLock};

use super::RamBlock;
use super::heap::zeroed_u16;

/// How many dirty-page clients a block can have at a time.
pub const MAX_DIRTY_CLIENTS: usize = 8;

const CLEAN: u16 = 0x00ff;
const GROUP: u64 = 64;

/// The page words and what goes with them.
pub(super) struct PageTracker {
    pages: Box<[AtomicU16]>,
    epoch: AtomicU64,
    /// Which client slots are taken.
    taken: AtomicU8,
    /// Group bitmaps, made on a slot's first use and kept for the next client.
    groups: [OnceLock<Box<[AtomicU64]>>; MAX_DIRTY_CLIENTS],
}

impl PageTracker {
    pub(super) fn new(pages: usize) -> Option<PageTracker> {
        Some(PageTracker {
            pages: zeroed_u16(pages)?,
            epoch: AtomicU64::new(0),
            taken: AtomicU8::new(0),
            groups: [const { OnceLock::new() }; MAX_DIRTY_CLIENTS],
        })
    }

    fn word(&self, page: u64) -> Option<&AtomicU16> {
        self.pages.get(usize::try_from(page).ok()?)
    }

    pub(super) fn needs_note(&self, page: u64) -> bool {
        self.word(page)
            .is_none_or(|w| w.load(Ordering::Relaxed) != 0)
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Sets bits of a page's word; returns what it was. The caller calls [`bump`](Self::bump) if it was zero.
    pub(super) fn set(&self, page: u64, bits: u16) -> Option<u16> {
        Some(self.word(page)?.fetch_or(bits, Ordering::SeqCst))
    }

    /// Clears bits of a page's word.
    pub(super) fn clear(&self, page: u64, bits: u16) {
        if let Some(w) = self.word(page) {
            w.fetch_and(!bits, Ordering::SeqCst);
        }
    }

    /// A page's word; zero out of range.
    pub(super) fn get(&self, page: u64) -> u16 {
        self.word(page).map_or(0, |w| w.load(Ordering::SeqCst))
    }

    /// Begins a new epoch. What follows in program order (reading the pages' contents) is ordered after the bits set before.
    pub(super) fn bump(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Makes a page dirty for every client; returns its watch bits.
    pub(super) fn written(&self, page: u64) -> u16 {
        let Some(w) = self.word(page) else { return 0 };
        let seen = w.load(Ordering::Relaxed);
        if seen & CLEAN == 0 {
            return seen;
        }
        let old = w.fetch_and(!CLEAN, Ordering::SeqCst);
        for slot in 0..MAX_DIRTY_CLIENTS {
            if old & (1 << slot) != 0 {
                self.mark_group(slot, page);
            }
        }
        old & !CLEAN
    }

    fn mark_group(&self, slot: usize, page: u64) {
        let group = page / GROUP;
        if let Some(word) = self.groups[slot]
            .get()
            .and_then(|g| g.get((group / 64) as usize))
        {
            word.fetch_or(1 << (group % 64), Ordering::SeqCst);
        }
    }

    fn take_slot(&self) -> Option<usize> {
        let mut taken = self.taken.load(Ordering::Relaxed);
        loop {
            let slot = taken.trailing_ones() as usize;
            if slot >= MAX_DIRTY_CLIENTS {
                return None;
            }
            match self.taken.compare_exchange_weak(
                taken,
                taken | 1 << slot,
                Ordering::SeqCst,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(slot),
                Err(now) => taken = now,
            }
        }
    }

    /// Visits a client's dirty pages in ascending order, making them clean if `clean`.
    fn visit(&self, slot: usize, clean: bool, mut found: impl FnMut(u64)) {
        let bit = 1u16 << slot;
        let Some(groups) = self.groups[slot].get() else {
            return;
        };
        let mut fast_page_became_slow = false;
        for (i, word) in groups.iter().enumerate() {
            if word.load(Ordering::SeqCst) == 0 {
                continue;
            }
            let mut bits = if clean {
                word.swap(0, Ordering::SeqCst)
            } else {
                word.load(Ordering::SeqCst)
            };
            while bits != 0 {
                let group = i as u64 * 64 + u64::from(bits.trailing_zeros());
                bits &= bits - 1;
                let end = ((group + 1) * GROUP).min(self.pages.len() as u64);
                for page in group * GROUP..end {
                    if self.get(page) & bit != 0 {
                        continue;
                    }
                    if clean {
                        fast_page_became_slow |= self.set(page, bit) == Some(0);
                    }
                    found(page);
                }
            }
        }
        if clean {
            if fast_page_became_slow {
                self.epoch.fetch_add(1, Ordering::SeqCst);
            }
            fence(Ordering::SeqCst);
        }
    }
}

/// One asker's view of which pages of a block were written. Clients are independent of each other. Pages are numbers from the block's start.
///
/// To copy changing RAM: [`take`](Self::take), let the writers with write TLBs see the new
/// [`tracking_epoch`](RamBlock::tracking_epoch), then copy the pages. A write that comes after the copy makes its page dirty again.
pub struct DirtyClient {
    block: Arc<RamBlock>,
    slot: usize,
}

impl DirtyClient {
    pub(super) fn register(block: &Arc<RamBlock>) -> Option<DirtyClient> {
        let t = &block.tracker;
        let slot = t.take_slot()?;
        let groups = block.pages().div_ceil(GROUP).div_ceil(64) as usize;
        let words = t.groups[slot].get_or_init(|| (0..groups).map(|_| AtomicU64::new(0)).collect());
        for word in words {
            word.store(0, Ordering::SeqCst);
        }
        for w in &t.pages {
            w.fetch_or(1 << slot, Ordering::SeqCst);
        }
        t.bump();
        Some(DirtyClient {
            block: Arc::clone(block),
            slot,
        })
    }

    /// The block it is about.
    #[must_use]
    pub fn block(&self) -> &Arc<RamBlock> {
        &self.block
    }

    /// The dirty pages, ascending; they are clean afterwards.
    #[must_use = "the pages are clean afterwards; use clear() to forget them"]
    pub fn take(&self) -> Vec<u64> {
        let mut pages = Vec::new();
        self.block.tracker.visit(self.slot, true, |p| pages.push(p));
        pages
    }

    /// The dirty pages, ascending; they stay dirty.
    #[must_use]
    pub fn peek(&self) -> Vec<u64> {
        let mut pages = Vec::new();
        self.block
            .tracker
            .visit(self.slot, false, |p| pages.push(p));
        pages
    }

    /// How many pages are dirty.
    #[must_use]
    pub fn count(&self) -> u64 {
        let mut n = 0;
        self.block.tracker.visit(self.slot, false, |_| n += 1);
        n
    }

    /// Makes a page dirty for this client alone. Out of range nothing happens.
    pub fn mark(&self, page: u64) {
        self.block.tracker.clear(page, 1 << self.slot);
        self.block.tracker.mark_group(self.slot, page);
    }

    /// Makes all pages dirty for this client alone.
    pub fn mark_all(&self) {
        for page in 0..self.block.pages() {
            self.mark(page);
        }
    }

    /// Makes all pages clean for this client.
    pub fn clear(&self) {
        self.block.tracker.visit(self.slot, true, |_| {});
    }
}

impl Drop for DirtyClient {
    fn drop(&mut self) {
        let t = &self.block.tracker;
        for w in &t.pages {
            w.fetch_and(!(1 << self.slot), Ordering::SeqCst);
        }
        t.taken.fetch_and(!(1 << self.slot), Ordering::SeqCst);
    }
}

impl fmt::Debug for DirtyClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirtyClient")
            .field("block", &self.block.name())
            .field("slot", &self.slot)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::gpa::PAGE_SIZE;
    use crate::ram::{Backing, RamOptions};

    fn block(pages: u64) -> Arc<RamBlock> {
        let opt = RamOptions {
            backing: Backing::Heap,
            ..RamOptions::default()
        };
        RamBlock::new("t", pages * PAGE_SIZE, &opt).unwrap()
    }

    #[test]
    fn clients_are_independent() {
        let b = block(200);
        let a = b.dirty_register();
        b.store(70 * PAGE_SIZE, 8, 1);
        let c = b.dirty_register();
        b.write(130 * PAGE_SIZE - 1, &[1, 2]).unwrap();
        assert_eq!(a.peek(), [70, 129, 130]);
        assert_eq!(a.count(), 3);
        assert_eq!(a.take(), [70, 129, 130]);
        assert_eq!(a.take(), [0u64; 0]);
        assert_eq!(c.peek(), [129, 130]);
        b.store(0, 1, 1);
        c.clear();
        assert_eq!(c.count(), 0);
        assert_eq!(a.take(), [0]);
        c.mark(199);
        c.mark(200);
        assert_eq!(c.take(), [199]);
        assert_eq!(a.count(), 0);
        c.mark_all();
        assert_eq!(c.take(), (0..200).collect::<Vec<_>>());
    }

    #[test]
    fn needs_note_until_dirty_for_all() {
        let b = block(3);
        assert!(!b.needs_note(1));
        let a = b.dirty_register();
        let c = b.dirty_register();
        assert!(b.needs_note(1));
        a.mark(1);
        assert!(b.needs_note(1), "still clean for the other");
        b.note_write(PAGE_SIZE, 1);
        assert!(!b.needs_note(1));
        assert!(b.needs_note(0) && b.needs_note(2));
        assert!(b.needs_note(3), "out of range is the slow path's affair");
        drop((a, c));
        assert!(!b.needs_note(0));
    }

    #[test]
    fn epoch_grows_when_pages_turn_slow() {
        let b = block(3);
        let e0 = b.tracking_epoch();
        let a = b.dirty_register();
        let e1 = b.tracking_epoch();
        assert!(e1 > e0);
        assert_eq!(a.take(), [0u64; 0]);
        assert_eq!(b.tracking_epoch(), e1, "nothing turned slow");
        b.store(0, 4, 9);
        assert_eq!(b.tracking_epoch(), e1);
        assert_eq!(a.take(), [0]);
        assert!(b.tracking_epoch() > e1);
    }

    #[test]
    fn slots_are_limited_and_reused() {
        let b = block(1);
        let mut all: Vec<_> = (0..MAX_DIRTY_CLIENTS).map(|_| b.dirty_register()).collect();
        assert!(b.try_dirty_register().is_err());
        b.store(0, 1, 1);
        all.remove(3);
        let again = b.dirty_register();
        assert_eq!(again.take(), [0u64; 0], "a new client starts clean");
        assert_eq!(all[3].take(), [0]);
    }

    #[test]
    fn unregistering_forgets_watches_of_nobody() {
        let b = block(2);
        b.watch(1);
        drop(b.dirty_register());
        assert!(b.is_watched(1) && b.needs_note(1) && !b.needs_note(0));
    }

    /// Writers store ever larger numbers; a copier takes the dirty pages and copies them. After everyone stopped and a last round, the copy
    /// must equal the block: no write may be lost between two rounds.
    #[test]
    fn no_write_is_lost_under_concurrency() {
        const PAGES: u64 = 130;
        const WRITES: u64 = if cfg!(miri) { 200 } else { 60_000 };
        let b = block(PAGES);
        let client = b.dirty_register();
        let mut copy = vec![0u64; PAGES as usize];
        let round = |copy: &mut Vec<u64>| {
            for page in client.take() {
                copy[page as usize] = b.load(page * PAGE_SIZE + 8, 8);
            }
        };
        thread::scope(|s| {
            let writers: Vec<_> = (0..2u64)
                .map(|t| {
                    let b = &b;
                    s.spawn(move || {
                        for i in 1..=WRITES {
                            let page = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
                            // Each writer owns every second page, so that the last value is known.
                            let page = (page % (PAGES / 2)) * 2 + t;
                            b.store(page * PAGE_SIZE + 8, 8, i);
                        }
                    })
                })
                .collect();
            while !writers.iter().all(thread::ScopedJoinHandle::is_finished) {
                round(&mut copy);
            }
        });
        round(&mut copy);
        for page in 0..PAGES {
            assert_eq!(
                copy[page as usize],
                b.load(page * PAGE_SIZE + 8, 8),
                "page {page}"
            );
        }
        assert!(copy.iter().filter(|&&v| v != 0).count() > 100 || cfg!(miri));
    }
}
