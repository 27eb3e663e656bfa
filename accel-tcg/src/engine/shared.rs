//! What the virtual CPUs of one machine share: who has translated code from which page, and the mail they send each other.
//!
//! Each vCPU has its own translations, used and changed by its own thread alone, so linking and invalidating need no locks and code is never
//! patched while it runs. The price is that hot kernel code is translated once for each vCPU; the gain is that nothing in the fast paths is
//! shared.
//!
//! A store to a page that holds translated code must be noticed. When a vCPU translates from a page nobody had code on, the page becomes
//! *watched*: stores by anyone then take the slow path, which tells the owners. But other vCPUs may still have the page in their store TLB as
//! an ordinary one, and could write to it unnoticed until they have dropped that entry. So they are asked to ([`Mail::Protect`]), and each answers
//! with [`Mail::Verify`] once it has; the translator then compares its code with memory again. A guest that changes code and then tells another
//! CPU so can only do the telling after it has handled the mail, because mail is handled before control leaves the vCPU for a device or firmware.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock, Weak};

use ambidex_cpu::{CpuMask, Fence};
use ambidex_memory::{RamBlock, WriteWatcher};

use crate::mmu::bank::PhysPage;
use crate::regs::ContextCell;

/// A request to a vCPU.
#[derive(Clone, Debug)]
pub enum Mail {
    /// Bytes of a page with code were written.
    Written {
        /// The page.
        page: PhysPage,
        /// 64-byte lines touched.
        lines: u64,
    },
    /// Take the fast path away from stores to this page, at this host address, then tell `from`.
    Protect {
        /// The page.
        page: PhysPage,
        /// Its host address.
        host: u64,
        /// Who asks.
        from: u32,
    },
    /// Somebody could have written to this page unnoticed until now.
    Verify(PhysPage),
    /// A fence on behalf of another CPU's firmware call.
    Fence(Fence),
}

/// One vCPU as the others see it.
pub struct Peer {
    /// Number.
    pub index: u32,
    /// To interrupt its compiled code.
    pub cell: Arc<ContextCell>,
    mail: Mutex<Vec<Mail>>,
    has_mail: AtomicBool,
    /// It executes guest code, or may do so without looking at its mail first.
    busy: AtomicBool,
}

impl Peer {
    /// A vCPU at rest.
    pub fn new(index: u32, cell: Arc<ContextCell>) -> Peer {
        Peer {
            index,
            cell,
            mail: Mutex::new(Vec::new()),
            has_mail: AtomicBool::new(false),
            busy: AtomicBool::new(false),
        }
    }

    /// Sends a request.
    pub fn post(&self, mail: Mail) {
        self.mail
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .push(mail);
        self.has_mail.store(true, Ordering::SeqCst);
        self.cell.request_exit();
    }

    /// Takes all requests.
    pub fn collect(&self) -> Vec<Mail> {
        if !self.has_mail.load(Ordering::SeqCst) {
            return Vec::new();
        }
        let mut mail = self.mail.lock().unwrap_or_else(|e| e.into_inner());
        self.has_mail.store(false, Ordering::SeqCst);
        std::mem::take(&mut *mail)
    }

    /// There is mail.
    #[inline]
    pub fn has_mail(&self) -> bool {
        self.has_mail.load(Ordering::SeqCst)
    }

    /// Says whether the vCPU may execute guest code without collecting mail first.
    pub fn set_busy(&self, busy: bool) {
        self.busy.store(busy, Ordering::SeqCst);
    }

    /// It may still execute guest code without having collected its mail.
    fn unsettled(&self) -> bool {
        self.busy.load(Ordering::SeqCst) && self.has_mail.load(Ordering::SeqCst)
    }

    /// Waits until all mail posted so far is handled, or will be before the vCPU executes guest code again.
    fn settle(&self) {
        let mut spins = 0u32;
        while self.unsettled() {
            spins += 1;
            if spins.is_multiple_of(64) {
                std::thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
    }
}

/// Lines and owners of a page with code.
#[derive(Default)]
struct CodePage {
    /// Lines with code of each vCPU that has any.
    owners: Vec<(u32, u64)>,
}

/// Shared by the vCPUs of a machine.
#[derive(Default)]
pub struct Shared {
    peers: RwLock<Vec<Arc<Peer>>>,
    pages: RwLock<HashMap<PhysPage, CodePage>>,
    blocks: Mutex<Vec<Weak<RamBlock>>>,
}

impl Shared {
    /// Adds a vCPU.
    pub fn join(&self, peer: Arc<Peer>) {
        let mut peers = self.peers.write().unwrap_or_else(|e| e.into_inner());
        peers.retain(|p| p.index != peer.index);
        peers.push(peer);
    }

    /// Removes a vCPU.
    pub fn leave(&self, index: u32) {
        self.peers
            .write()
            .unwrap_or_else(|e| e.into_inner())
            .retain(|p| p.index != index);
        let mut pages = self.pages.write().unwrap_or_else(|e| e.into_inner());
        pages.retain(|_, page| {
            page.owners.retain(|o| o.0 != index);
            !page.owners.is_empty()
        });
    }

    fn with_peers<R>(&self, f: impl FnOnce(&[Arc<Peer>]) -> R) -> R {
        f(&self.peers.read().unwrap_or_else(|e| e.into_inner()))
    }

    /// Sends to one vCPU.
    pub fn post(&self, to: u32, mail: Mail) {
        self.with_peers(|peers| {
            if let Some(p) = peers.iter().find(|p| p.index == to) {
                p.post(mail);
            }
        });
    }

    /// Does a fence on a set of vCPUs; returns when it has taken effect on all.
    pub fn broadcast(&self, cpus: CpuMask, fence: Fence) {
        self.with_peers(|peers| {
            let targets = || peers.iter().filter(|p| cpus.contains(p.index));
            targets().for_each(|p| p.post(Mail::Fence(fence)));
            targets().for_each(|p| p.settle());
        });
    }

    /// There is one vCPU only.
    pub fn alone(&self) -> bool {
        self.with_peers(|peers| peers.len() < 2)
    }

    /// Waits until every vCPU but `index` has handled the mail posted so far, or will before it executes guest code again; meanwhile does
    /// `own` for the caller's.
    pub fn settle_others(&self, index: u32, mut own: impl FnMut()) {
        let others: Vec<Arc<Peer>> =
            self.with_peers(|peers| peers.iter().filter(|p| p.index != index).cloned().collect());
        for p in others {
            while p.unsettled() {
                own();
                std::thread::yield_now();
            }
        }
    }

    /// Makes sure the watcher is registered with a block.
    pub fn adopt(self: &Arc<Self>, block: &Arc<RamBlock>) {
        let mut blocks = self.blocks.lock().unwrap_or_else(|e| e.into_inner());
        if !blocks
            .iter()
            .any(|b| std::ptr::eq(b.as_ptr(), Arc::as_ptr(block)))
        {
            let weak: Weak<dyn WriteWatcher> = Arc::downgrade(self) as Weak<dyn WriteWatcher>;
            block.set_watcher(weak);
            blocks.push(Arc::downgrade(block));
        }
    }

    /// Says which lines of a page a vCPU has code from (none: it gives the page up). `host` is the page's host address.
    pub fn set_lines(&self, cpu: u32, block: &RamBlock, page: PhysPage, host: u64, lines: u64) {
        let mut pages = self.pages.write().unwrap_or_else(|e| e.into_inner());
        if lines == 0 {
            if let Some(entry) = pages.get_mut(&page) {
                entry.owners.retain(|o| o.0 != cpu);
                if entry.owners.is_empty() {
                    pages.remove(&page);
                    block.unwatch(page.page());
                }
            }
            return;
        }
        let fresh = !pages.contains_key(&page);
        let entry = pages.entry(page).or_default();
        match entry.owners.iter_mut().find(|o| o.0 == cpu) {
            Some(o) => o.1 = lines,
            None => entry.owners.push((cpu, lines)),
        }
        if fresh {
            block.watch(page.page());
            self.with_peers(|peers| {
                for p in peers.iter().filter(|p| p.index != cpu) {
                    p.post(Mail::Protect {
                        page,
                        host,
                        from: cpu,
                    });
                }
            });
        }
    }
}

/// The 64-byte lines that a range of bytes within a page touches.
pub fn lines_of(first: u64, len: u64) -> u64 {
    if len == 0 {
        return 0;
    }
    let a = (first & 0xfff) >> 6;
    let b = ((first & 0xfff) + len - 1).min(0xfff) >> 6;
    (u64::MAX >> (63 - b)) & (u64::MAX << a)
}

impl WriteWatcher for Shared {
    fn written(&self, block: &RamBlock, off: u64, len: u64) {
        if len == 0 {
            return;
        }
        let pages = self.pages.read().unwrap_or_else(|e| e.into_inner());
        let (first, last) = (off / 4096, (off + len - 1) / 4096);
        for page in first..=last {
            let id = PhysPage::new(block.id(), page);
            let Some(entry) = pages.get(&id) else {
                continue;
            };
            let from = off.max(page * 4096);
            let to = (off + len).min((page + 1) * 4096);
            let lines = lines_of(from & 0xfff, to - from);
            for &(cpu, have) in &entry.owners {
                if have & lines != 0 {
                    self.post(cpu, Mail::Written { page: id, lines });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        assert_eq!(lines_of(0, 1), 1);
        assert_eq!(lines_of(63, 2), 3);
        assert_eq!(lines_of(0, 4096), u64::MAX);
        assert_eq!(lines_of(4032, 64), 1 << 63);
        assert_eq!(lines_of(100, 0), 0);
        assert_eq!(lines_of(0x1fc0, 0x1000), 1 << 63);
    }

    #[test]
    fn mail_interrupts_and_is_taken_once() {
        let cell = Arc::new(ContextCell::new());
        let p = Peer::new(3, Arc::clone(&cell));
        assert!(p.collect().is_empty());
        p.post(Mail::Verify(PhysPage::new(0, 1)));
        assert!(p.has_mail());
        assert_eq!(p.collect().len(), 1);
        assert!(!p.has_mail() && p.collect().is_empty());
    }
}
