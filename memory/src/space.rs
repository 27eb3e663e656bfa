//! Address spaces: a tree of regions and its present flat view.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use crate::attrs::Attrs;
use crate::error::BusError;
use crate::flat::{FlatRange, FlatView};
use crate::gpa::Gpa;
use crate::region::Region;

/// Told how the flat view changes: an accelerator that maintains memory slots, for example.
///
/// Called while the change is being committed, with the new view already in place. It may access the space, but must not change regions or
/// subscriptions, which would wait for itself.
pub trait ViewListener: Send + Sync {
    /// A range is gone. All removals come before all additions.
    fn removed(&self, range: &FlatRange);
    /// A range is new.
    fn added(&self, range: &FlatRange);
    /// All changes up to this generation have been told.
    fn committed(&self, generation: u64);
}

/// Names a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SubscriptionId(u64);

#[derive(Default)]
struct Pending {
    /// Transactions open.
    depth: u32,
    /// The tree changed under them.
    changed: bool,
}

#[derive(Default)]
struct Listeners {
    next: u64,
    list: Vec<(SubscriptionId, Arc<dyn ViewListener>)>,
}

/// A guest-physical address space (or an x86 port space): what CPUs and devices access.
pub struct AddressSpace {
    name: String,
    bits: u32,
    root: Region,
    me: Weak<AddressSpace>,
    view: RwLock<Arc<FlatView>>,
    generation: AtomicU64,
    pending: Mutex<Pending>,
    /// Held while a change is committed and told.
    listeners: Mutex<Listeners>,
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AddressSpace {
    /// An empty space whose addresses have `bits` bits: 64, or 16 for x86 ports. (Clamped to 1 to 64.)
    #[must_use]
    pub fn new(name: &str, bits: u32) -> Arc<AddressSpace> {
        let bits = bits.clamp(1, 64);
        Arc::new_cyclic(|me| {
            let root = Region::root(name, bits, me.clone());
            let view = RwLock::new(Arc::new(FlatView::build(&root, bits, 0)));
            AddressSpace {
                name: name.into(),
                bits,
                root,
                me: me.clone(),
                view,
                generation: AtomicU64::new(0),
                pending: Mutex::default(),
                listeners: Mutex::default(),
            }
        })
    }

    /// The name given to it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bits in its addresses.
    #[must_use]
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// The container everything else goes into.
    #[must_use]
    pub fn root(&self) -> &Region {
        &self.root
    }

    pub(crate) fn handle(&self) -> Weak<AddressSpace> {
        self.me.clone()
    }

    /// The present flat view. It never changes; a later commit puts another in its place.
    #[must_use]
    pub fn view(&self) -> Arc<FlatView> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Grows with every commit that changed the flat view. A view with this generation or a later one is what [`view`](Self::view) returns
    /// from now on.
    #[must_use]
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Begins a batch of changes: the tree is flattened once, when the last open transaction is dropped, and listeners are told then.
    pub fn transaction(&self) -> Transaction<'_> {
        lock(&self.pending).depth += 1;
        Transaction { space: self }
    }

    /// Called by regions after a change.
    pub(crate) fn tree_changed(&self) {
        {
            let mut pending = lock(&self.pending);
            if pending.depth > 0 {
                pending.changed = true;
                return;
            }
        }
        self.commit();
    }

    fn commit(&self) {
        // The tree is read under this lock, so of two changes at a time the commit that comes last has seen both.
        let listeners = lock(&self.listeners);
        let old = self.view();
        let new = Arc::new(FlatView::build(&self.root, self.bits, old.generation() + 1));
        let gone: Vec<_> = missing(old.ranges(), new.ranges()).collect();
        let come: Vec<_> = missing(new.ranges(), old.ranges()).collect();
        if gone.is_empty() && come.is_empty() {
            return;
        }
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&new);
        self.generation.store(new.generation(), Ordering::Release);
        for (_, l) in &listeners.list {
            gone.iter().for_each(|r| l.removed(r));
            come.iter().for_each(|r| l.added(r));
            l.committed(new.generation());
        }
    }

    /// Subscribes to changes. The listener is told of the present ranges before this returns.
    pub fn subscribe(&self, listener: Arc<dyn ViewListener>) -> SubscriptionId {
        let mut listeners = lock(&self.listeners);
        let view = self.view();
        view.ranges().iter().for_each(|r| listener.added(r));
        listener.committed(view.generation());
        let id = SubscriptionId(listeners.next);
        listeners.next += 1;
        listeners.list.push((id, listener));
        id
    }

    /// Ends a subscription, without telling the listener of removals.
    pub fn unsubscribe(&self, id: SubscriptionId) {
        lock(&self.listeners).list.retain(|(other, _)| *other != id);
    }

    /// Reads `size` (1 to 8) bytes, little-endian: see [`FlatView::read`].
    ///
    /// # Errors
    /// As [`FlatView::read`].
    pub fn read(&self, at: Gpa, size: u8, attrs: Attrs) -> Result<u64, BusError> {
        self.view().read(at, size, attrs)
    }

    /// Writes the low `size` (1 to 8) bytes of `value`, little-endian: see [`FlatView::write`].
    ///
    /// # Errors
    /// As [`FlatView::write`].
    pub fn write(&self, at: Gpa, size: u8, value: u64, attrs: Attrs) -> Result<(), BusError> {
        self.view().write(at, size, value, attrs)
    }

    /// Reads any number of bytes: see [`FlatView::read_bytes`].
    ///
    /// # Errors
    /// As [`FlatView::read_bytes`].
    pub fn read_bytes(&self, at: Gpa, buf: &mut [u8], attrs: Attrs) -> Result<(), BusError> {
        self.view().read_bytes(at, buf, attrs)
    }

    /// Writes any number of bytes: see [`FlatView::write_bytes`].
    ///
    /// # Errors
    /// As [`FlatView::write_bytes`].
    pub fn write_bytes(&self, at: Gpa, buf: &[u8], attrs: Attrs) -> Result<(), BusError> {
        self.view().write_bytes(at, buf, attrs)
    }

    /// Writes bytes as a loader: into ROM as well as RAM.
    ///
    /// # Errors
    /// As [`FlatView::write_bytes`].
    pub fn load_rom(&self, at: Gpa, bytes: &[u8]) -> Result<(), BusError> {
        self.write_bytes(at, bytes, Attrs::LOADER)
    }

    /// The tree and the flat view, for people.
    #[must_use]
    pub fn dump(&self) -> String {
        let mut out = format!("address space: {}\n", self.name);
        self.root.describe(&mut out, 0, 0, 1);
        let view = self.view();
        let _ = writeln!(out, "flat view {}:", view.generation());
        for r in view.ranges() {
            let _ = writeln!(
                out,
                "  {:016x}-{:016x} ({:?}): {} @{:x}",
                r.start,
                r.last(),
                r.kind,
                r.name,
                r.offset
            );
        }
        out
    }
}

/// The ranges of `of` that `from` lacks. Both are sorted by start, and starts are unique.
fn missing<'a>(of: &'a [FlatRange], from: &'a [FlatRange]) -> impl Iterator<Item = &'a FlatRange> {
    of.iter().filter(|r| {
        from.binary_search_by_key(&r.start, |f| f.start)
            .ok()
            .is_none_or(|i| !from[i].same(r))
    })
}

impl fmt::Debug for AddressSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddressSpace")
            .field("name", &self.name)
            .field("generation", &self.generation())
            .finish_non_exhaustive()
    }
}

/// An open batch of changes; commits when dropped. Made by [`AddressSpace::transaction`].
#[must_use = "dropping it ends the transaction"]
pub struct Transaction<'a> {
    space: &'a AddressSpace,
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        let commit = {
            let mut pending = lock(&self.space.pending);
            pending.depth -= 1;
            pending.depth == 0 && std::mem::take(&mut pending.changed)
        };
        if commit {
            self.space.commit();
        }
    }
}
