//! The second-level TLB: one for all banks, behind the direct-mapped ones that compiled code looks into.
//!
//! An entry belongs to a *generation* of a bank; flushing the bank gives it a new one, which makes its old entries worthless without touching
//! them. Only whole pages of RAM or ROM are kept.

use crate::guest::AccessKind;

const SETS: usize = 1024;
const WAYS: usize = 4;

/// A cached translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct L2Entry {
    generation: u64,
    /// Virtual page, with the kind of access in its low bits.
    tag: u64,
    /// Host address of the page.
    pub host_page: u64,
    /// Index of its range in the view.
    pub range: u32,
    /// Offset of the page in the RAM block.
    pub offset: u64,
}

const EMPTY: L2Entry = L2Entry {
    generation: 0,
    tag: u64::MAX,
    host_page: 0,
    range: 0,
    offset: 0,
};

/// The cache.
pub struct L2 {
    sets: Box<[[L2Entry; WAYS]]>,
    victim: u8,
}

impl Default for L2 {
    fn default() -> Self {
        L2::new()
    }
}

fn tag(va: u64, kind: AccessKind) -> u64 {
    va & !0xfff | kind as u64
}

fn set(va: u64) -> usize {
    ((va >> 12) ^ (va >> 22)) as usize & (SETS - 1)
}

impl L2 {
    /// An empty one.
    pub fn new() -> L2 {
        L2 {
            sets: vec![[EMPTY; WAYS]; SETS].into_boxed_slice(),
            victim: 0,
        }
    }

    /// Finds a translation.
    #[inline]
    pub fn find(&self, generation: u64, va: u64, kind: AccessKind) -> Option<L2Entry> {
        let tag = tag(va, kind);
        self.sets[set(va)]
            .iter()
            .find(|e| e.tag == tag && e.generation == generation)
            .copied()
    }

    /// Adds a translation.
    pub fn put(
        &mut self,
        generation: u64,
        va: u64,
        kind: AccessKind,
        host_page: u64,
        range: u32,
        offset: u64,
    ) {
        let new = L2Entry {
            generation,
            tag: tag(va, kind),
            host_page,
            range,
            offset,
        };
        let ways = &mut self.sets[set(va)];
        let same = ways
            .iter()
            .position(|e| e.tag == new.tag && e.generation == generation);
        let way = same.unwrap_or_else(|| {
            self.victim = self.victim.wrapping_add(1);
            usize::from(self.victim) % WAYS
        });
        ways[way] = new;
    }

    /// Forgets a page in every bank.
    pub fn flush_page(&mut self, va: u64) {
        let page = va & !0xfff;
        for e in &mut self.sets[set(va)] {
            if e.tag & !0xfff == page {
                *e = EMPTY;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_and_pages() {
        let mut l2 = L2::new();
        l2.put(1, 0x1234, AccessKind::Read, 0x7000, 0, 0x1000);
        assert_eq!(
            l2.find(1, 0x1fff, AccessKind::Read).map(|e| e.host_page),
            Some(0x7000)
        );
        assert!(l2.find(1, 0x1000, AccessKind::Write).is_none());
        assert!(l2.find(2, 0x1000, AccessKind::Read).is_none());
        l2.put(2, 0x1000, AccessKind::Read, 0x9000, 0, 0x3000);
        l2.flush_page(0x1008);
        assert!(l2.find(1, 0x1000, AccessKind::Read).is_none());
        assert!(l2.find(2, 0x1000, AccessKind::Read).is_none());
    }

    #[test]
    fn a_full_set_keeps_working() {
        let mut l2 = L2::new();
        for g in 0..100 {
            l2.put(g, 0x5000, AccessKind::Write, g << 12, 0, 0);
            assert_eq!(
                l2.find(g, 0x5000, AccessKind::Write).map(|e| e.host_page),
                Some(g << 12)
            );
        }
    }
}
