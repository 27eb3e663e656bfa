//! Keeping translations true to memory and to other CPUs: mail, fences, dropped blocks.

use std::sync::Arc;

use ambidex_cpu::FenceKind;

use super::blocks::{BlockId, hash_bytes};
use super::core::Core;
use super::shared::Mail;
use crate::guest::{Flush, Guest};
use crate::mmu::bank::PhysPage;

impl<G: Guest> Core<G> {
    /// Takes compiled code away from a block and cuts what led there.
    pub(super) fn drop_code(&mut self, id: BlockId) {
        let va = match self.blocks.get(id) {
            Some(b) => b.key.va,
            None => return,
        };
        let cuts = self.blocks.drop_code(id);
        if let Some(jit) = self.jit.as_mut() {
            for cut in &cuts {
                jit.unlink(&cut.link);
            }
        }
        self.mmu.banks.iter_mut().for_each(|b| b.drop_jump(va));
    }

    pub(super) fn remove_block(&mut self, id: BlockId) {
        self.drop_code(id);
        self.blocks.remove(id);
        self.stats.invalidated += 1;
    }

    pub(super) fn forget_all_code(&mut self) {
        for id in self.blocks.ids() {
            self.remove_block(id);
        }
        for page in self.blocks.all_pages() {
            self.settle_page(page);
        }
    }

    /// Publishes which lines of a page still hold code.
    pub(super) fn settle_page(&mut self, page: PhysPage) {
        let lines = self.blocks.recount_lines(page);
        let view = Arc::clone(self.mmu.view());
        for r in view.ranges() {
            if let ambidex_memory::RangeKind::Ram(b) = &r.kind
                && b.id() == page.block()
            {
                let host = b.host_ptr() as u64 + page.page() * 4096;
                self.shared.set_lines(self.index, b, page, host, lines);
                return;
            }
        }
    }

    /// Handles requests of other vCPUs and of the memory.
    pub(super) fn read_mail(&mut self) {
        for mail in self.peer.collect() {
            match mail {
                Mail::Written { page, lines } => {
                    for id in self.blocks.on_lines(page, lines) {
                        self.remove_block(id);
                    }
                    self.settle_page(page);
                }
                Mail::Protect { page, host, from } => {
                    self.mmu
                        .banks
                        .iter_mut()
                        .for_each(|b| b.protect_host_page(host));
                    self.shared.post(from, Mail::Verify(page));
                }
                Mail::Verify(page) => self.verify_page(page),
                Mail::Fence(fence) => match fence.kind {
                    FenceKind::Icache => self.events.instruction_fence = true,
                    FenceKind::Tlb { asid, start, len } => self.remote_flush(asid, start, len),
                    _ => self.mmu.flush(Flush::All),
                },
            }
        }
    }

    /// Makes later fetches see every store that came before. Stores to pages known to hold code have sent mail. A page that this vCPU has begun
    /// to take code from only lately may still have been written through another vCPU's store TLB, unnoticed until that one has handled its
    /// [`Mail::Protect`]: so that is waited for, and the page compared.
    pub(super) fn instruction_fence(&mut self) {
        self.read_mail();
        if self.fresh.is_empty() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        // The others may be waiting for this one in the same way.
        shared.settle_others(self.index, || self.read_mail());
        for page in std::mem::take(&mut self.fresh) {
            self.verify_page(page);
        }
    }

    pub(super) fn remote_flush(&mut self, asid: Option<u16>, start: u64, len: u64) {
        let (mask, value) = match asid {
            Some(a) => G::asid_filter(a),
            None => ([0, 0], [0, 0]),
        };
        // Beyond some pages, one flush is cheaper than many.
        if len == 0 || len == u64::MAX || len > 64 * 4096 {
            self.mmu.flush(Flush::Banks {
                mask,
                value,
                page: None,
            });
            return;
        }
        let first = start & !0xfff;
        let last = start.saturating_add(len - 1) & !0xfff;
        for page in (first..=last).step_by(4096) {
            self.mmu.flush(Flush::Banks {
                mask,
                value,
                page: Some(page),
            });
        }
    }

    /// Removes the blocks of a page whose bytes are not what they were made from.
    pub(super) fn verify_page(&mut self, page: PhysPage) {
        let view = Arc::clone(self.mmu.view());
        let block = view.ranges().iter().find_map(|r| match &r.kind {
            ambidex_memory::RangeKind::Ram(b) if b.id() == page.block() => Some(b),
            _ => None,
        });
        let Some(ram) = block else { return };
        for id in self.blocks.on_lines(page, u64::MAX) {
            let Some(b) = self.blocks.get(id) else {
                continue;
            };
            let mut bytes = vec![0; b.len as usize];
            let off = page.page() * 4096 + (b.key.va & 0xfff);
            let same = ram.read(off, &mut bytes).is_ok() && hash_bytes(&bytes) == b.hash;
            if !same {
                self.remove_block(id);
            }
        }
        self.settle_page(page);
    }
}
