//! Dirty pages of a whole address space.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::flat::FlatView;
use crate::ram::{DirtyClient, RamBlock};
use crate::space::AddressSpace;

/// Records which pages of an address space's memory are written, ROM and flash included. One log is one dirty client of each block. Blocks
/// that come into the space later are found by the next [`take`](Self::take), all dirty at first; blocks that leave stay recorded.
pub struct DirtyLog {
    space: Weak<AddressSpace>,
    state: Mutex<State>,
}

struct State {
    generation: u64,
    clients: Vec<DirtyClient>,
}

impl State {
    fn add(&mut self, view: &FlatView, all_dirty: bool) {
        for range in view.ranges() {
            if let Some(block) = range.kind.block()
                && !self.clients.iter().any(|c| Arc::ptr_eq(c.block(), block))
            {
                let client = block.dirty_register();
                if all_dirty {
                    client.mark_all();
                }
                self.clients.push(client);
            }
        }
        self.generation = view.generation();
    }
}

impl DirtyLog {
    /// Starts with all pages clean.
    ///
    /// # Panics
    /// If a block has 8 dirty-page clients already.
    #[must_use]
    pub fn start(space: &AddressSpace) -> DirtyLog {
        let mut state = State {
            generation: 0,
            clients: Vec::new(),
        };
        state.add(&space.view(), false);
        DirtyLog {
            space: space.handle(),
            state: Mutex::new(state),
        }
    }

    /// The dirty pages of each block that has any, ascending; they are clean afterwards. Writers with write TLBs have to be brought to a
    /// stop, or to the new epochs, before the pages are copied: see [`RamBlock::tracking_epoch`].
    ///
    /// # Panics
    /// If a block that is new in the space has 8 dirty-page clients already.
    #[must_use = "the pages are clean afterwards"]
    pub fn take(&self) -> Vec<(Arc<RamBlock>, Vec<u64>)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(space) = self.space.upgrade()
            && space.generation() != state.generation
        {
            state.add(&space.view(), true);
        }
        let taken = state
            .clients
            .iter()
            .map(|c| (Arc::clone(c.block()), c.take()));
        taken.filter(|(_, pages)| !pages.is_empty()).collect()
    }

    /// How many pages are dirty in the blocks known so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.clients.iter().map(DirtyClient::count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attrs, Backing, Gpa, PAGE_SIZE, RamOptions, Region};

    #[test]
    fn covers_all_blocks_old_and_new() {
        let opt = RamOptions {
            backing: Backing::Heap,
            ..RamOptions::default()
        };
        let [a, b] = ["a", "b"].map(|name| RamBlock::new(name, 4 * PAGE_SIZE, &opt).unwrap());
        let space = AddressSpace::new("memory", 64);
        space.root().add(0, &Region::ram(a.clone()), 0).unwrap();
        space.write(Gpa(0), 4, 1, Attrs::cpu(0)).unwrap();
        let log = DirtyLog::start(&space);
        assert!(log.take().is_empty());
        space
            .write(Gpa(PAGE_SIZE - 1), 2, 1, Attrs::cpu(0))
            .unwrap();
        assert_eq!(log.count(), 2);
        let taken = log.take();
        assert_eq!(taken.len(), 1);
        assert!(Arc::ptr_eq(&taken[0].0, &a));
        assert_eq!(taken[0].1, [0, 1]);
        space
            .root()
            .add(0x10000, &Region::ram(b.clone()), 0)
            .unwrap();
        let taken = log.take();
        assert_eq!(
            taken
                .iter()
                .map(|(r, p)| (r.id(), p.clone()))
                .collect::<Vec<_>>(),
            [(b.id(), vec![0, 1, 2, 3])]
        );
        space.load_rom(Gpa(0x10000), &[1]).unwrap();
        assert_eq!(log.take()[0].1, [0]);
    }
}
