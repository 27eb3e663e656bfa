//! Flat views: what the tree of regions comes to, as a sorted list of ranges that do not overlap.

use std::fmt;
use std::sync::Arc;

use crate::access::{self, MmioHandler, mask};
use crate::attrs::Attrs;
use crate::error::BusError;
use crate::gpa::Gpa;
use crate::ram::RamBlock;
use crate::region::{Kind, MAX_DEPTH, Region};

/// What is behind a range.
#[derive(Clone)]
pub enum RangeKind {
    /// RAM.
    Ram(Arc<RamBlock>),
    /// Memory that only loaders and debuggers write.
    Rom(Arc<RamBlock>),
    /// Memory that is read directly and written through the handler. (While reads go to the handler too it is [`Mmio`](Self::Mmio).)
    RomDevice(Arc<RamBlock>, Arc<dyn MmioHandler>),
    /// Device registers.
    Mmio(Arc<dyn MmioHandler>),
    /// Reads all ones, ignores writes.
    Reserved,
}

impl RangeKind {
    /// Whether the same thing is behind both.
    #[must_use]
    pub fn same(&self, other: &RangeKind) -> bool {
        match (self, other) {
            (RangeKind::Ram(a), RangeKind::Ram(b)) | (RangeKind::Rom(a), RangeKind::Rom(b)) => {
                Arc::ptr_eq(a, b)
            }
            (RangeKind::RomDevice(a, h), RangeKind::RomDevice(b, i)) => {
                Arc::ptr_eq(a, b) && Arc::ptr_eq(h, i)
            }
            (RangeKind::Mmio(a), RangeKind::Mmio(b)) => Arc::ptr_eq(a, b),
            (RangeKind::Reserved, RangeKind::Reserved) => true,
            _ => false,
        }
    }

    /// The block that reads hit, if they hit one.
    #[must_use]
    pub fn block(&self) -> Option<&Arc<RamBlock>> {
        match self {
            RangeKind::Ram(b) | RangeKind::Rom(b) | RangeKind::RomDevice(b, _) => Some(b),
            _ => None,
        }
    }
}

impl fmt::Debug for RangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RangeKind::Ram(_) => "ram",
            RangeKind::Rom(_) => "rom",
            RangeKind::RomDevice(..) => "rom-device",
            RangeKind::Mmio(_) => "mmio",
            RangeKind::Reserved => "reserved",
        })
    }
}

/// A range of addresses with one thing behind it.
#[derive(Clone, Debug)]
pub struct FlatRange {
    /// Its first address.
    pub start: Gpa,
    /// Bytes in it; never zero, and `start + len - 1` does not overflow.
    pub len: u64,
    /// What is behind it.
    pub kind: RangeKind,
    /// The offset of its first byte in the block, or for the handler.
    pub offset: u64,
    /// The name of the region it comes from.
    pub name: Arc<str>,
}

impl FlatRange {
    /// Its last address.
    #[must_use]
    pub fn last(&self) -> Gpa {
        Gpa(self.start.0 + (self.len - 1))
    }

    /// Whether `at` is in it.
    #[must_use]
    pub fn contains(&self, at: Gpa) -> bool {
        at.0.wrapping_sub(self.start.0) < self.len
    }

    /// The offset of `at`, which must be in it, in the block or for the handler.
    #[must_use]
    pub fn offset_of(&self, at: Gpa) -> u64 {
        self.offset.wrapping_add(at.0.wrapping_sub(self.start.0))
    }

    /// Whether both are the same piece of the same thing at the same place.
    #[must_use]
    pub fn same(&self, other: &FlatRange) -> bool {
        self.start == other.start
            && self.len == other.len
            && self.offset == other.offset
            && self.kind.same(&other.kind)
            && self.name == other.name
    }

    /// Bytes from `at`, which must be in it, to its end.
    fn left(&self, at: Gpa) -> u64 {
        self.len - at.0.wrapping_sub(self.start.0)
    }

    /// Whether a write would be taken.
    fn check_write(&self, at: Gpa, attrs: Attrs) -> Result<(), BusError> {
        match self.kind {
            RangeKind::Rom(_) if !attrs.may_write_rom() => Err(BusError::ReadOnly(at)),
            _ => Ok(()),
        }
    }

    /// Reads 1 to 8 bytes, all in the range.
    fn read(&self, at: Gpa, size: u8, attrs: Attrs) -> Result<u64, BusError> {
        match &self.kind {
            RangeKind::Ram(b) | RangeKind::Rom(b) | RangeKind::RomDevice(b, _) => {
                Ok(b.load(self.offset_of(at), size))
            }
            RangeKind::Mmio(h) => access::read(&**h, self.offset_of(at), size, attrs),
            RangeKind::Reserved => Ok(mask(size.into())),
        }
    }

    /// Writes 1 to 8 bytes, all in the range.
    fn write(&self, at: Gpa, size: u8, value: u64, attrs: Attrs) -> Result<(), BusError> {
        let offset = self.offset_of(at);
        match &self.kind {
            RangeKind::Ram(b) => b.store(offset, size, value),
            RangeKind::Rom(b) | RangeKind::RomDevice(b, _) if attrs.may_write_rom() => {
                b.store(offset, size, value)
            }
            RangeKind::Rom(_) => return Err(BusError::ReadOnly(at)),
            RangeKind::RomDevice(_, h) | RangeKind::Mmio(h) => {
                return access::write(&**h, offset, size, value & mask(size.into()), attrs);
            }
            RangeKind::Reserved => {}
        }
        Ok(())
    }
}

/// An immutable picture of an address space. Initiators that access it often keep one and ask [`crate::AddressSpace::generation`]
/// whether it is still the present one.
pub struct FlatView {
    generation: u64,
    bits: u32,
    /// The start addresses alone, dense, for the search.
    starts: Box<[u64]>,
    ranges: Box<[FlatRange]>,
}

impl FlatView {
    /// Flattens a tree. `bits` is the width of its addresses.
    pub(crate) fn build(root: &Region, bits: u32, generation: u64) -> FlatView {
        let mut ranges = Vec::new();
        render(&mut ranges, root, 0, 0..1 << bits, 0);
        let ranges = merge(ranges);
        FlatView {
            generation,
            bits,
            starts: ranges.iter().map(|r| r.start.0).collect(),
            ranges: ranges.into(),
        }
    }

    /// The generation of the address space it pictures.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// All ranges, ascending.
    #[must_use]
    pub fn ranges(&self) -> &[FlatRange] {
        &self.ranges
    }

    /// The range an address is in.
    #[must_use]
    #[inline]
    pub fn find(&self, at: Gpa) -> Option<&FlatRange> {
        let after = self.starts.partition_point(|&start| start <= at.0);
        self.ranges
            .get(after.wrapping_sub(1))
            .filter(|r| r.contains(at))
    }

    /// The last address of an access of `len` bytes, if it does not leave the space.
    fn last(&self, at: Gpa, len: u64) -> Result<u64, BusError> {
        let top = u64::MAX >> (64 - self.bits.clamp(1, 64));
        at.0.checked_add(len - 1)
            .filter(|&last| last <= top)
            .ok_or(BusError::Unmapped(at))
    }

    /// Calls `f` for each piece of `len` (not zero) bytes at `at` that is in one range, with its position and length. The first pass
    /// checks that all of it is mapped and passes `check`, so that an access is made whole or not at all, as far as ranges can tell.
    fn pieces(
        &self,
        at: Gpa,
        len: u64,
        check: impl Fn(&FlatRange, Gpa) -> Result<(), BusError>,
        mut f: impl FnMut(&FlatRange, Gpa, u64, u64) -> Result<(), BusError>,
    ) -> Result<(), BusError> {
        self.last(at, len)?;
        let first = self.find(at).ok_or(BusError::Unmapped(at))?;
        check(first, at)?;
        if first.left(at) >= len {
            return f(first, at, 0, len);
        }
        let mut done = first.left(at);
        while done < len {
            let here = Gpa(at.0 + done);
            let range = self.find(here).ok_or(BusError::Unmapped(here))?;
            check(range, here)?;
            done += range.left(here).min(len - done);
        }
        done = 0;
        while done < len {
            let here = Gpa(at.0 + done);
            let range = self.find(here).ok_or(BusError::Unmapped(here))?;
            let n = range.left(here).min(len - done);
            f(range, here, done, n)?;
            done += n;
        }
        Ok(())
    }

    /// Reads `size` (1 to 8) bytes, little-endian. An access that straddles ranges is split at their borders, ascending.
    ///
    /// # Errors
    /// [`BusError::Unmapped`] if any byte is, [`BusError::Unaligned`] for another size, or what a handler says.
    pub fn read(&self, at: Gpa, size: u8, attrs: Attrs) -> Result<u64, BusError> {
        if size == 0 || size > 8 {
            return Err(BusError::Unaligned(at));
        }
        if let Some(range) = self.find(at)
            && range.left(at) >= size.into()
        {
            return range.read(at, size, attrs);
        }
        let mut value = 0;
        self.pieces(
            at,
            size.into(),
            |_, _| Ok(()),
            |range, here, done, n| {
                value |= range.read(here, n as u8, attrs)? << (done * 8);
                Ok(())
            },
        )?;
        Ok(value)
    }

    /// Writes the low `size` (1 to 8) bytes of `value`, little-endian. An access that straddles ranges is split at their borders, ascending.
    ///
    /// # Errors
    /// [`BusError::Unmapped`] or [`BusError::ReadOnly`] if any byte is, and then nothing was written; [`BusError::Unaligned`] for another
    /// size, or what a handler says.
    pub fn write(&self, at: Gpa, size: u8, value: u64, attrs: Attrs) -> Result<(), BusError> {
        if size == 0 || size > 8 {
            return Err(BusError::Unaligned(at));
        }
        if let Some(range) = self.find(at)
            && range.left(at) >= size.into()
        {
            return range.write(at, size, value, attrs);
        }
        self.pieces(
            at,
            size.into(),
            |range, here| range.check_write(here, attrs),
            |range, here, done, n| range.write(here, n as u8, value >> (done * 8), attrs),
        )
    }

    /// Reads any number of bytes: memory by bulk copy, registers by aligned accesses of up to 8 bytes.
    ///
    /// # Errors
    /// As [`read`](Self::read); the buffer may be partly filled if a handler refuses.
    pub fn read_bytes(&self, at: Gpa, buf: &mut [u8], attrs: Attrs) -> Result<(), BusError> {
        if buf.is_empty() {
            return Ok(());
        }
        self.pieces(
            at,
            buf.len() as u64,
            |_, _| Ok(()),
            |range, here, done, n| {
                let part = &mut buf[done as usize..(done + n) as usize];
                if let Some(block) = range.kind.block() {
                    return block
                        .read(range.offset_of(here), part)
                        .map_err(|_| BusError::Unmapped(here));
                }
                let mut i = 0;
                while i < part.len() {
                    let here = Gpa(here.0 + i as u64);
                    let size = chunk(range.offset_of(here), part.len() - i);
                    let value = range.read(here, size as u8, attrs)?;
                    part[i..i + size].copy_from_slice(&value.to_le_bytes()[..size]);
                    i += size;
                }
                Ok(())
            },
        )
    }

    /// Writes any number of bytes: memory by bulk copy, registers by aligned accesses of up to 8 bytes.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_bytes(&self, at: Gpa, buf: &[u8], attrs: Attrs) -> Result<(), BusError> {
        if buf.is_empty() {
            return Ok(());
        }
        self.pieces(
            at,
            buf.len() as u64,
            |range, here| range.check_write(here, attrs),
            |range, here, done, n| {
                let part = &buf[done as usize..(done + n) as usize];
                match &range.kind {
                    RangeKind::Reserved => return Ok(()),
                    RangeKind::Ram(b) => {
                        return b
                            .write(range.offset_of(here), part)
                            .map_err(|_| BusError::Unmapped(here));
                    }
                    RangeKind::Rom(b) | RangeKind::RomDevice(b, _) if attrs.may_write_rom() => {
                        return b
                            .write(range.offset_of(here), part)
                            .map_err(|_| BusError::Unmapped(here));
                    }
                    _ => {}
                }
                let mut i = 0;
                while i < part.len() {
                    let here = Gpa(here.0 + i as u64);
                    let size = chunk(range.offset_of(here), part.len() - i);
                    let mut value = [0; 8];
                    value[..size].copy_from_slice(&part[i..i + size]);
                    range.write(here, size as u8, u64::from_le_bytes(value), attrs)?;
                    i += size;
                }
                Ok(())
            },
        )
    }

    /// Visits `len` bytes as pieces of blocks, for DMA: `f(block, offset in it, position, length)`.
    pub(crate) fn memory(
        &self,
        at: Gpa,
        len: u64,
        write: bool,
        mut f: impl FnMut(&RamBlock, u64, u64, u64),
    ) -> Result<(), BusError> {
        if len == 0 {
            return Ok(());
        }
        let check = |range: &FlatRange, here: Gpa| match (&range.kind, write) {
            (RangeKind::Ram(_), _) | (RangeKind::Rom(_) | RangeKind::RomDevice(..), false) => {
                Ok(())
            }
            (RangeKind::Rom(_), true) => Err(BusError::ReadOnly(here)),
            _ => Err(BusError::Denied(here)),
        };
        self.pieces(at, len, check, |range, here, done, n| {
            if let Some(block) = range.kind.block() {
                f(block, range.offset_of(here), done, n);
            }
            Ok(())
        })
    }
}

/// The largest power of two up to 8 that `offset` is aligned to and that fits into `left` (not zero).
fn chunk(offset: u64, left: usize) -> usize {
    let aligned = 1usize << (offset | 8).trailing_zeros();
    aligned.min(1 << left.min(8).ilog2())
}

/// Fills what `region` covers inside `clip` and no earlier (higher) region has covered. `base` is where the region starts, which may lie before
/// the start of the space if it is seen through an alias.
fn render(
    out: &mut Vec<FlatRange>,
    region: &Region,
    base: i128,
    clip: std::ops::Range<i128>,
    depth: usize,
) {
    let inner = &region.0;
    let start = clip.start.max(base);
    let end = clip.end.min(base.saturating_add_unsigned(inner.len));
    if start >= end || depth > MAX_DEPTH {
        return;
    }
    // Cloned, so that no lock is held on the way down.
    let (direct, children) = {
        let state = region.state();
        if !state.enabled {
            return;
        }
        (state.direct, state.children.clone())
    };
    let kind = match &inner.kind {
        Kind::Container => {
            for c in children {
                render(
                    out,
                    &c.region,
                    base + i128::from(c.offset),
                    start..end,
                    depth + 1,
                );
            }
            return;
        }
        Kind::Alias(target, offset) => {
            return render(
                out,
                target,
                base - i128::from(*offset),
                start..end,
                depth + 1,
            );
        }
        Kind::Ram(b) => RangeKind::Ram(Arc::clone(b)),
        Kind::Rom(b) => RangeKind::Rom(Arc::clone(b)),
        Kind::RomDevice(b, h) if direct => RangeKind::RomDevice(Arc::clone(b), Arc::clone(h)),
        Kind::Mmio(h) | Kind::RomDevice(_, h) => RangeKind::Mmio(Arc::clone(h)),
        Kind::Reserved => RangeKind::Reserved,
    };
    // The space is at most 2^64 bytes, so starts and lengths of leaves fit their types.
    let mut i = out.partition_point(|r| i128::from(r.start.0) + i128::from(r.len) <= start);
    let mut at = start;
    while at < end {
        let next = out.get(i).map_or(end, |r| end.min(i128::from(r.start.0)));
        if at < next {
            let piece = FlatRange {
                start: Gpa(at as u64),
                len: (next - at) as u64,
                kind: kind.clone(),
                offset: (at - base) as u64,
                name: Arc::clone(&inner.name),
            };
            out.insert(i, piece);
            i += 1;
            at = next;
        }
        if at < end
            && let Some(r) = out.get(i)
        {
            at = i128::from(r.start.0) + i128::from(r.len);
            i += 1;
        }
    }
}

/// Joins neighbours that are one piece of the same thing.
fn merge(ranges: Vec<FlatRange>) -> Vec<FlatRange> {
    let mut out: Vec<FlatRange> = Vec::with_capacity(ranges.len());
    for r in ranges {
        if let Some(prev) = out.last_mut()
            && prev.start.0.checked_add(prev.len) == Some(r.start.0)
            && (prev.offset.wrapping_add(prev.len) == r.offset
                || matches!(r.kind, RangeKind::Reserved))
            && prev.kind.same(&r.kind)
            && prev.name == r.name
            && let Some(len) = prev.len.checked_add(r.len)
        {
            prev.len = len;
        } else {
            out.push(r);
        }
    }
    out
}

impl fmt::Debug for FlatView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlatView")
            .field("generation", &self.generation)
            .field("ranges", &self.ranges)
            .finish()
    }
}
