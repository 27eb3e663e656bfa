//! The store of guest basic blocks of one vCPU: decoded for the interpreter, compiled, linked, indexed by page for invalidation.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use crate::guest::ModeKey;
use crate::jit::{Compiled, LinkSite};
use crate::mmu::bank::PhysPage;

/// Identity of a block in the store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct BlockId(u32);

/// What makes two blocks the same: where the code is, where it runs, and in which mode.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Key {
    /// Page of RAM.
    pub phys: PhysPage,
    /// Virtual address.
    pub va: u64,
    /// Mode.
    pub mode: ModeKey,
}

/// Compiled form of a block.
pub struct Code {
    /// What the compiler produced.
    pub compiled: Compiled,
    /// Blocks linked from here, by index in `compiled.links`.
    pub out: Vec<Option<BlockId>>,
    /// Offsets of guest instructions from the block's start, by index.
    pub offsets: Vec<u16>,
    /// Length of the last instruction.
    pub last_len: u8,
}

impl Code {
    /// Index of the guest instruction a host return address belongs to.
    pub fn insn_at(&self, host: u32) -> Option<u16> {
        let side = &self.compiled.side;
        let i = side.partition_point(|s| s.0 < host);
        side.get(i).filter(|s| s.0 == host).map(|s| s.1)
    }

    /// Offset and length of a guest instruction.
    pub fn insn(&self, index: u16) -> (u64, u64) {
        let i = usize::from(index);
        let start = u64::from(self.offsets[i]);
        let len = self
            .offsets
            .get(i + 1)
            .map_or(u64::from(self.last_len), |&next| u64::from(next) - start);
        (start, len)
    }
}

/// A block.
pub struct Block<I> {
    /// Identity.
    pub key: Key,
    /// Decoded instructions with their lengths; empty once compiled (decoded again if ever needed).
    pub insns: Box<[(I, u8)]>,
    /// Bytes of guest code it was made from.
    pub len: u32,
    /// Hash of those bytes.
    pub hash: u64,
    /// Times it was interpreted.
    pub runs: u32,
    /// Compiled form.
    pub code: Option<Code>,
    /// Links of other blocks that lead here: (block, index of the link).
    pub incoming: Vec<(BlockId, u16)>,
    /// Compilation was tried and refused.
    pub uncompilable: bool,
}

/// A cheap hash for keys that are already well spread.
#[derive(Default)]
pub struct MixHasher(u64);

impl Hasher for MixHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }
    fn write_u32(&mut self, i: u32) {
        self.write_u64(u64::from(i));
    }
    fn write_u64(&mut self, i: u64) {
        let x = (self.0.rotate_left(26) ^ i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = x ^ (x >> 32);
    }
}

type Fast = BuildHasherDefault<MixHasher>;

/// The blocks with code on one page.
#[derive(Default)]
struct PageBlocks {
    blocks: Vec<BlockId>,
    lines: u64,
}

/// The store.
pub struct Blocks<I> {
    slots: Vec<Option<Block<I>>>,
    free: Vec<u32>,
    index: HashMap<Key, BlockId, Fast>,
    pages: HashMap<PhysPage, PageBlocks, Fast>,
    /// Start of compiled code to block.
    code: BTreeMap<u32, BlockId>,
    /// Exit stub to (block, link).
    stubs: HashMap<u32, (BlockId, u16), Fast>,
}

impl<I> Default for Blocks<I> {
    fn default() -> Self {
        Blocks {
            slots: Vec::new(),
            free: Vec::new(),
            index: HashMap::default(),
            pages: HashMap::default(),
            code: BTreeMap::new(),
            stubs: HashMap::default(),
        }
    }
}

/// A link that was cut because its target went away.
pub struct Cut {
    /// The link.
    pub link: LinkSite,
}

impl<I> Blocks<I> {
    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Finds a block.
    #[inline]
    pub fn find(&self, key: &Key) -> Option<BlockId> {
        self.index.get(key).copied()
    }

    /// The block; it must be live.
    #[inline]
    pub fn get(&self, id: BlockId) -> Option<&Block<I>> {
        self.slots.get(id.0 as usize)?.as_ref()
    }

    /// The block, to change.
    #[inline]
    pub fn get_mut(&mut self, id: BlockId) -> Option<&mut Block<I>> {
        self.slots.get_mut(id.0 as usize)?.as_mut()
    }

    /// Adds a block.
    pub fn insert(&mut self, block: Block<I>) -> BlockId {
        let key = block.key;
        let id = match self.free.pop() {
            Some(i) => {
                self.slots[i as usize] = Some(block);
                BlockId(i)
            }
            None => {
                self.slots.push(Some(block));
                BlockId((self.slots.len() - 1) as u32)
            }
        };
        self.index.insert(key, id);
        self.pages.entry(key.phys).or_default().blocks.push(id);
        id
    }

    /// Lines of a page with code.
    pub fn lines(&self, page: PhysPage) -> u64 {
        self.pages.get(&page).map_or(0, |p| p.lines)
    }

    /// Adds lines to what a page is known to hold; true if that is news.
    pub fn add_lines(&mut self, page: PhysPage, lines: u64) -> bool {
        let p = self.pages.entry(page).or_default();
        let news = lines & !p.lines != 0;
        p.lines |= lines;
        news
    }

    /// Recomputes the lines of a page from its blocks.
    pub fn recount_lines(&mut self, page: PhysPage) -> u64 {
        let Some(p) = self.pages.get(&page) else {
            return 0;
        };
        let lines = p
            .blocks
            .iter()
            .filter_map(|&id| self.get(id))
            .fold(0, |acc, b| {
                acc | super::shared::lines_of(b.key.va, u64::from(b.len))
            });
        if lines == 0 {
            self.pages.remove(&page);
        } else if let Some(p) = self.pages.get_mut(&page) {
            p.lines = lines;
        }
        lines
    }

    /// Blocks with code on these lines of a page.
    pub fn on_lines(&self, page: PhysPage, lines: u64) -> Vec<BlockId> {
        let Some(p) = self.pages.get(&page) else {
            return Vec::new();
        };
        let hit = |id: &BlockId| {
            self.get(*id)
                .is_some_and(|b| super::shared::lines_of(b.key.va, u64::from(b.len)) & lines != 0)
        };
        p.blocks.iter().copied().filter(hit).collect()
    }

    /// Notes the compiled form of a block.
    pub fn set_code(&mut self, id: BlockId, code: Code) {
        self.code.insert(code.compiled.entry, id);
        for (i, link) in code.compiled.links.iter().enumerate() {
            self.stubs.insert(link.stub, (id, i as u16));
        }
        if let Some(b) = self.get_mut(id) {
            b.insns = Box::new([]);
            b.code = Some(code);
        }
    }

    /// The link behind an exit stub.
    pub fn link_at(&self, stub: u32) -> Option<(BlockId, u16)> {
        self.stubs.get(&stub).copied()
    }

    /// The block whose compiled code contains an offset.
    pub fn containing(&self, host: u32) -> Option<&Block<I>> {
        let (_, &id) = self.code.range(..=host).next_back()?;
        self.get(id)
            .filter(|b| b.code.as_ref().is_some_and(|c| host <= c.compiled.end))
    }

    /// Blocks whose compiled code starts in a range of the buffer.
    pub fn compiled_in(&self, range: std::ops::Range<u32>) -> Vec<BlockId> {
        self.code.range(range).map(|(_, &id)| id).collect()
    }

    /// Notes that link `index` of `from` now leads to `to`.
    pub fn connect(&mut self, from: BlockId, index: u16, to: BlockId) {
        if let Some(c) = self.get_mut(from).and_then(|b| b.code.as_mut()) {
            c.out[usize::from(index)] = Some(to);
        }
        if let Some(b) = self.get_mut(to) {
            b.incoming.push((from, index));
        }
    }

    /// Takes the compiled form from a block; returns the links of others that must be cut, and its guest address.
    pub fn drop_code(&mut self, id: BlockId) -> Vec<Cut> {
        let Some(block) = self.get_mut(id) else {
            return Vec::new();
        };
        let Some(code) = block.code.take() else {
            return Vec::new();
        };
        block.runs = 0;
        let incoming = std::mem::take(&mut block.incoming);
        self.code.remove(&code.compiled.entry);
        for link in &code.compiled.links {
            self.stubs.remove(&link.stub);
        }
        for to in code.out.iter().flatten() {
            if let Some(b) = self.get_mut(*to) {
                b.incoming.retain(|&(from, _)| from != id);
            }
        }
        let mut cuts = Vec::new();
        for (from, index) in incoming {
            if from == id {
                continue;
            }
            if let Some(c) = self.get_mut(from).and_then(|b| b.code.as_mut()) {
                c.out[usize::from(index)] = None;
                cuts.push(Cut {
                    link: c.compiled.links[usize::from(index)].clone(),
                });
            }
        }
        cuts
    }

    /// Removes a block altogether (after [`Blocks::drop_code`]).
    pub fn remove(&mut self, id: BlockId) -> Option<Block<I>> {
        let block = self.slots.get_mut(id.0 as usize)?.take()?;
        debug_assert!(block.code.is_none());
        self.index.remove(&block.key);
        if let Some(p) = self.pages.get_mut(&block.key.phys) {
            p.blocks.retain(|&b| b != id);
        }
        self.free.push(id.0);
        Some(block)
    }

    /// All blocks.
    pub fn ids(&self) -> Vec<BlockId> {
        self.index.values().copied().collect()
    }

    /// All pages with blocks.
    pub fn all_pages(&self) -> Vec<PhysPage> {
        self.pages.keys().copied().collect()
    }
}

/// Hash of guest code, to tell whether it changed.
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut h = MixHasher(bytes.len() as u64);
    h.write(bytes);
    h.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(va: u64, len: u32) -> Block<()> {
        Block {
            key: Key {
                phys: PhysPage::new(0, va >> 12),
                va,
                mode: ModeKey(0),
            },
            insns: Box::new([]),
            len,
            hash: 0,
            runs: 0,
            code: None,
            incoming: Vec::new(),
            uncompilable: false,
        }
    }

    #[test]
    fn blocks_are_found_by_line() {
        let mut s = Blocks::default();
        let a = s.insert(block(0x1000, 64));
        let b = s.insert(block(0x1040, 4));
        let page = PhysPage::new(0, 1);
        s.add_lines(page, 3);
        assert_eq!(s.on_lines(page, 1), [a]);
        assert_eq!(s.on_lines(page, 2), [b]);
        assert!(s.on_lines(page, 4).is_empty());
        s.remove(a);
        assert_eq!(s.recount_lines(page), 2);
        s.remove(b);
        assert_eq!(s.recount_lines(page), 0);
        assert!(s.is_empty());
    }
}
