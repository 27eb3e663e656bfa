//! Regions: the tree a board is described with.
//!
//! A [`Region`] is a handle; clones name the same region. Containers hold children at offsets, with priorities; an alias shows a window of
//! another region. The tree is only walked when it changes: see [`crate::FlatView`] for what accesses use.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::access::MmioHandler;
use crate::error::MemoryError;
use crate::ram::RamBlock;
use crate::space::AddressSpace;

/// What a region is.
pub(crate) enum Kind {
    Container,
    Ram(Arc<RamBlock>),
    Rom(Arc<RamBlock>),
    RomDevice(Arc<RamBlock>, Arc<dyn MmioHandler>),
    Mmio(Arc<dyn MmioHandler>),
    Alias(Region, u64),
    Reserved,
}

#[derive(Clone)]
pub(crate) struct Child {
    pub(crate) offset: u64,
    pub(crate) region: Region,
    pub(crate) priority: i32,
}

pub(crate) struct State {
    pub(crate) enabled: bool,
    pub(crate) direct: bool,
    /// Highest priority first; among equals the one added last.
    pub(crate) children: Vec<Child>,
    /// Containers that hold this region and aliases of it.
    users: Vec<Weak<Inner>>,
    /// The address space of which this is the root.
    space: Option<Weak<AddressSpace>>,
}

pub(crate) struct Inner {
    pub(crate) name: Arc<str>,
    /// The root of a 64-bit space is 2^64 bytes long, hence the wide type.
    pub(crate) len: u128,
    pub(crate) kind: Kind,
    state: Mutex<State>,
}

/// A piece of address space: RAM, registers, or a container of other regions. A cheap handle.
#[derive(Clone)]
pub struct Region(pub(crate) Arc<Inner>);

impl Region {
    fn make(name: &str, len: u128, kind: Kind, space: Option<Weak<AddressSpace>>) -> Region {
        let state = State {
            enabled: true,
            direct: true,
            children: Vec::new(),
            users: Vec::new(),
            space,
        };
        Region(Arc::new(Inner {
            name: name.into(),
            len,
            kind,
            state: Mutex::new(state),
        }))
    }

    /// An empty container: children show through where they are, and lower-priority siblings of the container everywhere else.
    #[must_use]
    pub fn container(name: &str, len: u64) -> Region {
        Region::make(name, len.into(), Kind::Container, None)
    }

    pub(crate) fn root(name: &str, bits: u32, space: Weak<AddressSpace>) -> Region {
        Region::make(name, 1 << bits, Kind::Container, Some(space))
    }

    /// RAM, of the block's name and length.
    #[must_use]
    pub fn ram(block: Arc<RamBlock>) -> Region {
        let name = block.name().to_string();
        Region::make(&name, block.len().into(), Kind::Ram(block), None)
    }

    /// ROM: read like RAM, written by loaders and debuggers only.
    #[must_use]
    pub fn rom(block: Arc<RamBlock>) -> Region {
        let name = block.name().to_string();
        Region::make(&name, block.len().into(), Kind::Rom(block), None)
    }

    /// Device registers.
    #[must_use]
    pub fn mmio(name: &str, len: u64, handler: Arc<dyn MmioHandler>) -> Region {
        Region::make(name, len.into(), Kind::Mmio(handler), None)
    }

    /// Memory that is read directly and written through a handler, like NOR flash. With [`set_direct`](Self::set_direct)`(false)` reads go to
    /// the handler too. The handler itself stores into the block. Loaders and debuggers write the block directly.
    #[must_use]
    pub fn rom_device(block: Arc<RamBlock>, handler: Arc<dyn MmioHandler>) -> Region {
        let name = block.name().to_string();
        Region::make(
            &name,
            block.len().into(),
            Kind::RomDevice(block, handler),
            None,
        )
    }

    /// A window on `len` bytes of `target` from `offset`. What lies outside the target is a hole.
    #[must_use]
    pub fn alias(name: &str, target: &Region, offset: u64, len: u64) -> Region {
        let alias = Region::make(name, len.into(), Kind::Alias(target.clone(), offset), None);
        target.state().users.push(Arc::downgrade(&alias.0));
        alias
    }

    /// A range that reads as all ones and ignores writes.
    #[must_use]
    pub fn reserved(name: &str, len: u64) -> Region {
        Region::make(name, len.into(), Kind::Reserved, None)
    }

    /// The name given to it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Bytes it covers (`u64::MAX` for the root of a 64-bit space).
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "an extent, not a collection")]
    pub fn len(&self) -> u64 {
        u64::try_from(self.0.len).unwrap_or(u64::MAX)
    }

    /// The block behind RAM, ROM and ROM device regions.
    #[must_use]
    pub fn block(&self) -> Option<&Arc<RamBlock>> {
        match &self.0.kind {
            Kind::Ram(block) | Kind::Rom(block) | Kind::RomDevice(block, _) => Some(block),
            _ => None,
        }
    }

    /// Whether two handles name the same region.
    #[must_use]
    pub fn same(&self, other: &Region) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts `child` into this container. Where children overlap the higher priority shows, and among equals the one added last.
    ///
    /// # Errors
    /// This is no container, the child reaches beyond its end, is in it already, or contains it.
    pub fn add(&self, offset: u64, child: &Region, priority: i32) -> Result<(), MemoryError> {
        let (parent_name, child_name) = (|| self.name().to_string(), || child.name().to_string());
        if !matches!(self.0.kind, Kind::Container) {
            return Err(MemoryError::NotContainer {
                parent: parent_name(),
                child: child_name(),
            });
        }
        self.check_fit(child, offset)?;
        if child.reaches(self) {
            return Err(MemoryError::Cycle {
                parent: parent_name(),
                child: child_name(),
            });
        }
        {
            let mut state = self.state();
            if state.children.iter().any(|c| c.region.same(child)) {
                return Err(MemoryError::AlreadyMapped {
                    parent: parent_name(),
                    child: child_name(),
                });
            }
            let at = state.children.partition_point(|c| c.priority > priority);
            state.children.insert(
                at,
                Child {
                    offset,
                    region: child.clone(),
                    priority,
                },
            );
        }
        child.state().users.push(Arc::downgrade(&self.0));
        self.changed();
        Ok(())
    }

    /// Takes `child` out of this container; it may be added again, here or elsewhere. Nothing happens if it is not in it.
    pub fn remove(&self, child: &Region) {
        {
            let mut state = self.state();
            let before = state.children.len();
            state.children.retain(|c| !c.region.same(child));
            if state.children.len() == before {
                return;
            }
        }
        child
            .state()
            .users
            .retain(|u| !std::ptr::eq(u.as_ptr(), Arc::as_ptr(&self.0)));
        self.changed();
    }

    /// Moves `child` to another offset of this container.
    ///
    /// # Errors
    /// It is not in this container, or would not fit.
    pub fn move_to(&self, child: &Region, offset: u64) -> Result<(), MemoryError> {
        self.check_fit(child, offset)?;
        {
            let mut state = self.state();
            let Some(c) = state.children.iter_mut().find(|c| c.region.same(child)) else {
                return Err(MemoryError::NotMapped {
                    parent: self.name().into(),
                    child: child.name().into(),
                });
            };
            if c.offset == offset {
                return Ok(());
            }
            c.offset = offset;
        }
        self.changed();
        Ok(())
    }

    /// Hides the region (and all aliases of it) or shows it. Regions start enabled.
    pub fn set_enabled(&self, enabled: bool) {
        if std::mem::replace(&mut self.state().enabled, enabled) != enabled {
            self.changed();
        }
    }

    /// Whether it is enabled.
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.state().enabled
    }

    /// For a ROM device: whether reads hit the memory (true at first) or the handler. Without meaning for other regions.
    pub fn set_direct(&self, direct: bool) {
        if std::mem::replace(&mut self.state().direct, direct) != direct {
            self.changed();
        }
    }

    fn check_fit(&self, child: &Region, offset: u64) -> Result<(), MemoryError> {
        if u128::from(offset) + child.0.len > self.0.len {
            return Err(MemoryError::DoesNotFit {
                parent: self.name().into(),
                child: child.name().into(),
                offset,
                len: child.len(),
            });
        }
        Ok(())
    }

    /// Whether `other` is this region or is found below it.
    fn reaches(&self, other: &Region) -> bool {
        let mut todo = vec![self.clone()];
        let mut seen: Vec<*const Inner> = Vec::new();
        while let Some(region) = todo.pop() {
            if region.same(other) {
                return true;
            }
            if seen.contains(&Arc::as_ptr(&region.0)) {
                continue;
            }
            seen.push(Arc::as_ptr(&region.0));
            if let Kind::Alias(target, _) = &region.0.kind {
                todo.push(target.clone());
            }
            todo.extend(region.state().children.iter().map(|c| c.region.clone()));
        }
        false
    }

    /// Tells every address space that shows this region. No lock is held while one is told.
    fn changed(&self) {
        let mut todo = vec![Arc::clone(&self.0)];
        let mut seen: Vec<*const Inner> = Vec::new();
        while let Some(inner) = todo.pop() {
            if seen.contains(&Arc::as_ptr(&inner)) {
                continue;
            }
            seen.push(Arc::as_ptr(&inner));
            let space = {
                let mut state = inner.state.lock().unwrap_or_else(PoisonError::into_inner);
                state.users.retain(|u| u.strong_count() > 0);
                todo.extend(state.users.iter().filter_map(Weak::upgrade));
                state.space.as_ref().and_then(Weak::upgrade)
            };
            if let Some(space) = space {
                space.tree_changed();
            }
        }
    }

    /// Appends this region and what is below it to a printout.
    pub(crate) fn describe(&self, out: &mut String, start: u128, priority: i32, depth: usize) {
        use fmt::Write as _;
        if depth > MAX_DEPTH {
            return;
        }
        let (enabled, children) = {
            let state = self.state();
            (state.enabled, state.children.clone())
        };
        let what = match &self.0.kind {
            Kind::Container => "container".to_string(),
            Kind::Ram(_) => "ram".into(),
            Kind::Rom(_) => "rom".into(),
            Kind::RomDevice(..) => "rom-device".into(),
            Kind::Mmio(_) => "mmio".into(),
            Kind::Reserved => "reserved".into(),
            Kind::Alias(target, offset) => format!("alias of {} at {offset:#x}", target.name()),
        };
        let last = (start + self.0.len).saturating_sub(1);
        let off = if enabled { "" } else { " [disabled]" };
        let _ = writeln!(
            out,
            "{:indent$}{start:016x}-{last:016x} (prio {priority}, {what}): {}{off}",
            "",
            self.name(),
            indent = depth * 2
        );
        let mut children = children;
        children.sort_by_key(|c| c.offset);
        for c in children {
            c.region
                .describe(out, start + u128::from(c.offset), c.priority, depth + 1);
        }
    }
}

/// How deep containers and aliases may nest. Deeper parts do not show; it only bounds recursion.
pub(crate) const MAX_DEPTH: usize = 64;

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Region({}, {:#x})", self.0.name, self.0.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_errors() {
        let parent = Region::container("parent", 0x1000);
        let child = Region::container("child", 0x100);
        let leaf = Region::reserved("leaf", 0x10);
        assert!(matches!(
            leaf.add(0, &child, 0),
            Err(MemoryError::NotContainer { .. })
        ));
        assert!(matches!(
            parent.add(0xf01, &child, 0),
            Err(MemoryError::DoesNotFit { .. })
        ));
        assert!(matches!(
            parent.add(u64::MAX, &child, 0),
            Err(MemoryError::DoesNotFit { .. })
        ));
        assert!(matches!(
            parent.move_to(&child, 0),
            Err(MemoryError::NotMapped { .. })
        ));
        parent.add(0xf00, &child, 0).unwrap();
        assert!(matches!(
            parent.add(0, &child, 0),
            Err(MemoryError::AlreadyMapped { .. })
        ));
        assert!(matches!(
            parent.add(0, &parent, 0),
            Err(MemoryError::Cycle { .. })
        ));
        let window = Region::alias("window", &parent, 0, 0x10);
        assert!(matches!(
            child.add(0, &window, 0),
            Err(MemoryError::Cycle { .. })
        ));
        let e = parent.move_to(&child, 0xf80).unwrap_err().to_string();
        assert_eq!(
            e,
            "'child' (0x100 bytes at 0xf80) does not fit into 'parent': lower the offset or enlarge the container"
        );
        parent.remove(&child);
        parent.remove(&child);
        parent.add(0, &child, 0).unwrap();
    }

    #[test]
    fn children_are_kept_by_priority_and_recency() {
        let parent = Region::container("parent", 0x1000);
        for (name, priority) in [("a", 0), ("b", 5), ("c", 0), ("d", -1), ("e", 5)] {
            parent.add(0, &Region::reserved(name, 1), priority).unwrap();
        }
        let order: Vec<_> = parent
            .state()
            .children
            .iter()
            .map(|c| c.region.name().to_string())
            .collect();
        assert_eq!(order, ["e", "b", "c", "a", "d"]);
    }
}
