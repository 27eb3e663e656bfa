//! Write watches: who made something (translated code) from a page's contents is called when the page is written.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use super::RamBlock;

/// How many watchers with a mark of their own a block can have at a time.
pub const MAX_WATCHERS: usize = 7;

const ANY: u16 = 1 << 15;
const WATCHED: u16 = 0xff00;

/// Told of writes to watched pages.
pub trait WriteWatcher: Send + Sync {
    /// `len` bytes at `off` of `block`, all in one page, have just been written, by the calling thread. May call back into the block,
    /// [`unwatch`](RamBlock::unwatch) included. Called on whatever thread wrote: it must not wait for a vCPU.
    fn written(&self, block: &RamBlock, off: u64, len: u64);
}

/// Names a registered watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WatcherId(u32);

impl WatcherId {
    /// The page-word bit of watcher `n`. Watchers beyond the seventh have none and share the general one.
    fn bit(self) -> u16 {
        if (self.0 as usize) < MAX_WATCHERS {
            1 << (8 + self.0)
        } else {
            ANY
        }
    }
}

type List = Vec<(WatcherId, Weak<dyn WriteWatcher>)>;

#[derive(Default)]
pub(super) struct Watchers(RwLock<Arc<List>>);

impl Watchers {
    /// Calls the watchers that `bits` of a page's word stand for.
    pub(super) fn tell(&self, block: &RamBlock, bits: u16, off: u64, len: u64) {
        // Not called under the lock: a watcher may add and remove watchers.
        let list = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        for (id, watcher) in list.iter() {
            if bits & (ANY | id.bit()) != 0
                && let Some(watcher) = watcher.upgrade()
            {
                watcher.written(block, off, len);
            }
        }
    }
}

impl RamBlock {
    /// Registers a watcher. Several may be registered; each is told of writes to pages marked by [`watch`](Self::watch), and to pages
    /// marked for it by [`watch_for`](Self::watch_for).
    pub fn set_watcher(&self, w: Weak<dyn WriteWatcher>) -> WatcherId {
        let mut list = self
            .watchers
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let list = Arc::make_mut(&mut list);
        // The lowest number not in use.
        let id = (0..)
            .map(WatcherId)
            .find(|id| list.iter().all(|(other, _)| other != id))
            .unwrap_or(WatcherId(u32::MAX));
        list.push((id, w));
        id
    }

    /// Removes a watcher and the marks made for it alone. Calls to it that are under way on other threads may still finish.
    pub fn remove_watcher(&self, id: WatcherId) {
        {
            let mut list = self
                .watchers
                .0
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            Arc::make_mut(&mut list).retain(|(other, _)| *other != id);
        }
        if id.bit() != ANY {
            for page in 0..self.pages() {
                if self.tracker.get(page) & id.bit() != 0 {
                    self.tracker.clear(page, id.bit());
                }
            }
        }
    }

    /// Marks a page: all watchers are told of writes to it, until [`unwatch`](Self::unwatch). Marks do not count. Mark first, read the
    /// contents second: then no write goes unnoticed.
    pub fn watch(&self, page: u64) {
        self.mark_watched(page, ANY);
    }

    /// Takes the general mark off a page. Where several translators share a block, each should rather use
    /// [`watch_for`](Self::watch_for), lest one takes the mark from under the other.
    pub fn unwatch(&self, page: u64) {
        self.tracker.clear(page, ANY);
    }

    /// Marks a page for one watcher: it alone is told, and other watchers cannot take the mark away. Watchers beyond the seventh of a block
    /// share the general mark.
    pub fn watch_for(&self, id: WatcherId, page: u64) {
        self.mark_watched(page, id.bit());
    }

    /// Takes one watcher's mark off a page. Watchers beyond the seventh leave the shared mark: they are told more than they need.
    pub fn unwatch_for(&self, id: WatcherId, page: u64) {
        if id.bit() != ANY {
            self.tracker.clear(page, id.bit());
        }
    }

    /// Whether a page is marked, for any watcher.
    #[must_use]
    pub fn is_watched(&self, page: u64) -> bool {
        self.tracker.get(page) & WATCHED != 0
    }

    fn mark_watched(&self, page: u64, bit: u16) {
        match self.tracker.set(page, bit) {
            Some(0) => self.tracker.bump(),
            // It needed notes before, so no write TLB has it; but the contents are still to be read after the mark.
            Some(_) => std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst),
            None => {}
        }
    }
}

impl fmt::Debug for Watchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watchers")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::gpa::PAGE_SIZE;
    use crate::ram::{Backing, RamOptions};

    #[derive(Default)]
    struct Log {
        seen: Mutex<Vec<(u64, u64)>>,
        unwatch: bool,
    }

    impl Log {
        fn take(&self) -> Vec<(u64, u64)> {
            std::mem::take(&mut self.seen.lock().unwrap())
        }
    }

    impl WriteWatcher for Log {
        fn written(&self, block: &RamBlock, off: u64, len: u64) {
            self.seen.lock().unwrap().push((off, len));
            if self.unwatch {
                block.unwatch(off / PAGE_SIZE);
            }
        }
    }

    fn block() -> Arc<RamBlock> {
        let opt = RamOptions {
            backing: Backing::Heap,
            ..RamOptions::default()
        };
        RamBlock::new("t", 8 * PAGE_SIZE, &opt).unwrap()
    }

    fn weak(log: &Arc<Log>) -> Weak<dyn WriteWatcher> {
        let w: Weak<Log> = Arc::downgrade(log);
        w
    }

    #[test]
    fn told_of_watched_pages_only_and_of_the_part_in_them() {
        let (b, log) = (block(), Arc::new(Log::default()));
        b.set_watcher(weak(&log));
        b.watch(1);
        b.watch(3);
        b.store(0, 8, 1);
        b.store(2 * PAGE_SIZE, 1, 1);
        assert_eq!(log.take(), []);
        b.write(PAGE_SIZE - 4, &vec![7; 3 * PAGE_SIZE as usize])
            .unwrap();
        assert_eq!(
            log.take(),
            [(PAGE_SIZE, PAGE_SIZE), (3 * PAGE_SIZE, PAGE_SIZE - 4)]
        );
        b.store(PAGE_SIZE + 6, 2, 0);
        assert_eq!(log.take(), [(PAGE_SIZE + 6, 2)]);
        assert!(b.compare_exchange(PAGE_SIZE, 8, 1, 2).unwrap().is_err());
        assert_eq!(log.take(), [], "a failed exchange writes nothing");
        b.unwatch(1);
        b.store(PAGE_SIZE, 1, 0);
        assert_eq!(log.take(), []);
        assert!(!b.needs_note(1) && b.needs_note(3));
    }

    #[test]
    fn a_watcher_may_unwatch_and_may_die() {
        let (b, log) = (
            block(),
            Arc::new(Log {
                unwatch: true,
                ..Log::default()
            }),
        );
        b.set_watcher(weak(&log));
        b.watch(2);
        b.fill(0, b.len(), 1).unwrap();
        b.fill(0, b.len(), 2).unwrap();
        assert_eq!(log.take(), [(2 * PAGE_SIZE, PAGE_SIZE)]);
        b.watch(2);
        drop(log);
        b.store(2 * PAGE_SIZE, 1, 1);
    }

    #[test]
    fn marks_of_one_watcher_are_its_own() {
        let b = block();
        let logs: Vec<Arc<Log>> = (0..9).map(|_| Arc::default()).collect();
        let ids: Vec<_> = logs.iter().map(|l| b.set_watcher(weak(l))).collect();
        b.watch_for(ids[0], 1);
        b.watch_for(ids[1], 1);
        b.unwatch_for(ids[0], 1);
        b.unwatch(1);
        b.store(PAGE_SIZE, 1, 1);
        assert_eq!(logs[0].take(), []);
        assert_eq!(logs[1].take(), [(PAGE_SIZE, 1)]);
        // The ninth has no bit of its own: all are told, none misses anything.
        b.watch_for(ids[8], 2);
        b.unwatch_for(ids[7], 2);
        b.store(2 * PAGE_SIZE, 1, 1);
        for log in &logs {
            assert_eq!(log.take(), [(2 * PAGE_SIZE, 1)]);
        }
        b.remove_watcher(ids[1]);
        assert!(!b.is_watched(1));
        b.store(PAGE_SIZE, 1, 1);
        assert_eq!(logs[1].take(), []);
        assert_eq!(b.set_watcher(weak(&logs[1])), ids[1], "numbers are reused");
    }

    #[test]
    fn watching_begins_an_epoch_only_when_a_page_turns_slow() {
        let b = block();
        let e = b.tracking_epoch();
        b.watch(0);
        assert_eq!(b.tracking_epoch(), e + 1);
        b.watch(0);
        b.watch(99);
        assert_eq!(b.tracking_epoch(), e + 1);
    }

    #[test]
    fn watch_and_dirty_do_not_disturb_each_other() {
        let (b, log) = (block(), Arc::new(Log::default()));
        b.set_watcher(weak(&log));
        let d = b.dirty_register();
        b.watch(1);
        b.store(PAGE_SIZE, 1, 1);
        assert_eq!((log.take(), d.take()), (vec![(PAGE_SIZE, 1)], vec![1]));
        b.unwatch(1);
        b.store(PAGE_SIZE, 1, 1);
        assert_eq!((log.take(), d.take()), (vec![], vec![1]));
    }
}
