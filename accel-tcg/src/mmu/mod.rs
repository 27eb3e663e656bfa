//! Guest virtual memory: the TLBs, the slow path behind them, and the host accesses in front.

pub mod bank;
pub mod host;
pub mod l2;

use std::collections::HashMap;
use std::sync::Arc;

use ambidex_cpu::CpuBus;
use ambidex_memory::{AddressSpace, BusError, FlatView, Gpa, RangeKind};

use crate::guest::{AccessKind, BankKey, Flush, Guest, ModeKey, PhysMem, Stop};
use crate::mmu::bank::{BankSet, FetchEntry, PhysPage, flag};
use crate::mmu::host::HostAddr;
use crate::mmu::l2::L2;
use crate::sem::{MemOp, Rmw, Width};

const PAGE: u64 = 4096;
const OFFSET_MASK: u64 = PAGE - 1;

/// The way to devices, with the instruction count that makes the clock exact.
#[derive(Clone, Copy)]
pub struct Io<'a> {
    /// The bus.
    pub bus: &'a dyn CpuBus,
    /// Who asks.
    pub cpu: u32,
    /// Instructions executed so far, if they are counted.
    pub insns: Option<u64>,
    /// Do not access devices: stop with [`Stop::Interpret`], so that the instruction is repeated where it can be followed by a look at interrupts.
    pub defer: bool,
}

impl<'a> Io<'a> {
    /// The bus, told of the instruction count.
    pub fn sync(&self) -> &'a dyn CpuBus {
        if let Some(n) = self.insns {
            self.bus.executed(self.cpu, n);
        }
        self.bus
    }
}

/// Where a virtual address leads.
#[derive(Clone, Copy)]
enum Place {
    /// Byte `offset` of the RAM block of range number `range` of the view.
    Ram {
        range: usize,
        offset: u64,
        host: HostAddr,
    },
    /// Not RAM, or ROM being written.
    Io(Gpa),
}

/// The memory side of one virtual CPU.
pub struct Mmu {
    space: Arc<AddressSpace>,
    view: Arc<FlatView>,
    /// Caches.
    pub banks: BankSet,
    l2: L2,
    xids: HashMap<(u64, PhysPage), u32>,
    next_xid: u32,
    epochs: u64,
    /// Refills of the TLBs, for statistics.
    pub refills: u64,
}

/// Walks page tables in the current view.
struct Tables<'a>(&'a FlatView);

impl Tables<'_> {
    fn find(&self, at: Gpa, size: u8) -> Result<(&ambidex_memory::FlatRange, u64), BusError> {
        let range = self.0.find(at).ok_or(BusError::Unmapped(at))?;
        let delta = at.0 - range.start.0;
        if delta + u64::from(size) > range.len {
            return Err(BusError::Unmapped(at));
        }
        Ok((range, range.offset + delta))
    }
}

impl PhysMem for Tables<'_> {
    fn load(&mut self, at: Gpa, size: u8) -> Result<u64, BusError> {
        let (range, offset) = self.find(at, size)?;
        match &range.kind {
            RangeKind::Ram(b) | RangeKind::Rom(b) | RangeKind::RomDevice(b, _) => {
                Ok(b.load(offset, size))
            }
            _ => Err(BusError::Denied(at)),
        }
    }

    fn compare_exchange(
        &mut self,
        at: Gpa,
        size: u8,
        old: u64,
        new: u64,
    ) -> Result<bool, BusError> {
        let (range, offset) = self.find(at, size)?;
        let RangeKind::Ram(b) = &range.kind else {
            return Err(BusError::ReadOnly(at));
        };
        if !at.0.is_multiple_of(u64::from(size)) {
            return Err(BusError::Denied(at));
        }
        let w = if size == 4 { Width::W32 } else { Width::W64 };
        let done = host::compare_exchange(ram_host(b, offset), w, old, new) == old & w.mask();
        b.note_write(offset, u64::from(size));
        Ok(done)
    }
}

/// Page tables that are only looked at: updates of accessed and dirty bits are claimed to succeed, and dropped.
struct ReadOnly<'a>(Tables<'a>);

impl PhysMem for ReadOnly<'_> {
    fn load(&mut self, at: Gpa, size: u8) -> Result<u64, BusError> {
        self.0.load(at, size)
    }
    fn compare_exchange(
        &mut self,
        _at: Gpa,
        _size: u8,
        _old: u64,
        _new: u64,
    ) -> Result<bool, BusError> {
        Ok(true)
    }
}

#[expect(
    unsafe_code,
    reason = "turns an offset in a RAM block into a host address"
)]
fn ram_host(block: &ambidex_memory::RamBlock, offset: u64) -> HostAddr {
    debug_assert!(offset < block.len());
    // SAFETY: the offset lies in the block (ranges of a view never exceed their blocks), whose mapping is page-aligned and lives as long as
    // the block; the view, replaced only between accesses, keeps the block alive.
    unsafe { HostAddr::new(block.host_ptr() as u64 + offset) }
}

#[expect(unsafe_code, reason = "a TLB entry vouches for its page")]
#[inline(always)]
fn tlb_host(addr: u64) -> HostAddr {
    // SAFETY: entries are filled from the current view and all banks are flushed before the view is replaced, so the page is mapped.
    unsafe { HostAddr::new(addr) }
}

impl Mmu {
    /// Caches over an address space.
    pub fn new(space: Arc<AddressSpace>) -> Mmu {
        let view = space.view();
        Mmu {
            space,
            view,
            banks: BankSet::new(32),
            l2: L2::new(),
            xids: HashMap::new(),
            next_xid: 1,
            epochs: 0,
            refills: 0,
        }
    }

    /// The address space.
    pub fn space(&self) -> &AddressSpace {
        &self.space
    }

    /// Translates without touching any cache, for debuggers.
    pub fn peek<G: Guest>(&mut self, guest: &mut G, va: u64, kind: AccessKind) -> Option<Gpa> {
        let view = Arc::clone(&self.view);
        guest
            .translate(va, 1, kind, &mut ReadOnly(Tables(&view)))
            .ok()
            .map(|t| t.gpa)
    }

    /// The view in use.
    pub fn view(&self) -> &Arc<FlatView> {
        &self.view
    }

    /// Follows changes of the address space and of what its RAM blocks log. Returns true if physical addresses may mean something else now.
    pub fn refresh(&mut self) -> bool {
        let mut changed = false;
        if self.space.generation() != self.view.generation() {
            self.flush(Flush::All);
            self.view = self.space.view();
            self.xids.clear();
            changed = true;
        }
        let epochs = self
            .view
            .ranges()
            .iter()
            .fold(0u64, |sum, r| match &r.kind {
                RangeKind::Ram(b) => sum.wrapping_add(b.tracking_epoch()),
                _ => sum,
            });
        if epochs != self.epochs {
            self.epochs = epochs;
            self.banks.iter_mut().for_each(|b| b.drop_stores());
        }
        changed
    }

    /// Chooses the bank.
    #[inline]
    pub fn select(&mut self, key: BankKey, mode: ModeKey) {
        self.banks.select(key, mode);
    }

    /// Forgets translations.
    pub fn flush(&mut self, what: Flush) {
        match what {
            Flush::Page(va) | Flush::Banks { page: Some(va), .. } => self.l2.flush_page(va),
            _ => {}
        }
        match what {
            Flush::All => self.banks.iter_mut().for_each(|b| b.flush()),
            Flush::Page(va) => self.banks.iter_mut().for_each(|b| b.flush_page(va)),
            Flush::Banks { mask, value, page } => {
                for b in self.banks.iter_mut() {
                    if b.key.0[0] & mask[0] == value[0] && b.key.0[1] & mask[1] == value[1] {
                        match page {
                            Some(va) => b.flush_page(va),
                            None => b.flush(),
                        }
                    }
                }
            }
        }
    }

    /// Walks, fills the TLB, and says where the address leads.
    fn resolve<G: Guest>(
        &mut self,
        guest: &mut G,
        va: u64,
        len: u8,
        kind: AccessKind,
    ) -> Result<Place, Stop> {
        let bank = self.banks.current();
        if let Some(e) = self.l2.find(bank.generation, va, kind) {
            let view = &self.view;
            let range = &view.ranges()[e.range as usize];
            let note = match &range.kind {
                RangeKind::Ram(b) if kind == AccessKind::Write && b.needs_note(e.offset / PAGE) => {
                    flag::NOTE
                }
                _ => 0,
            };
            bank.put(kind, va, note, e.host_page);
            return Ok(Place::Ram {
                range: e.range as usize,
                offset: e.offset + (va & OFFSET_MASK),
                host: tlb_host(e.host_page + (va & OFFSET_MASK)),
            });
        }
        self.refills += 1;
        let view = Arc::clone(&self.view);
        let t = guest.translate(va, len, kind, &mut Tables(&view))?;
        let Some(range) = view.find(t.gpa) else {
            return Ok(Place::Io(t.gpa));
        };
        let (block, writable) = match &range.kind {
            RangeKind::Ram(b) => (b, true),
            RangeKind::Rom(b) | RangeKind::RomDevice(b, _) => (b, false),
            _ => return Ok(Place::Io(t.gpa)),
        };
        if kind == AccessKind::Write && !writable {
            return Ok(Place::Io(t.gpa));
        }
        let delta = t.gpa.0 - range.start.0;
        let offset = range.offset + delta;
        let index = view.ranges().partition_point(|r| r.start.0 <= t.gpa.0) - 1;
        let place = Place::Ram {
            range: index,
            offset,
            host: ram_host(block, offset),
        };
        let in_page = t.gpa.0 & OFFSET_MASK;
        let whole = delta >= in_page
            && delta - in_page + PAGE <= range.len
            && offset >= in_page
            && (offset - in_page).is_multiple_of(PAGE);
        if t.fragile || !whole || t.page_shift < 12 {
            return Ok(place);
        }
        let host_page = block.host_ptr() as u64 + (offset - in_page);
        let bank = self.banks.current();
        bank.note_large(va, t.page_shift);
        self.l2.put(
            bank.generation,
            va,
            kind,
            host_page,
            index as u32,
            offset - in_page,
        );
        if kind == AccessKind::Write {
            let note = if block.needs_note((offset - in_page) / PAGE) {
                flag::NOTE
            } else {
                0
            };
            bank.put(AccessKind::Write, va, note, host_page);
            if t.read {
                bank.put(AccessKind::Read, va, 0, host_page);
            }
        } else if kind == AccessKind::Read {
            bank.put(AccessKind::Read, va, 0, host_page);
        }
        Ok(place)
    }

    /// Loads `w` bytes, zero-extended.
    #[inline(always)]
    pub fn load<G: Guest>(
        &mut self,
        guest: &mut G,
        io: Io<'_>,
        va: u64,
        w: Width,
    ) -> Result<u64, Stop> {
        let e = self.banks.current().tlb_r[bank::Bank::tlb_index(va)];
        let last = va.wrapping_add(u64::from(w.bytes()) - 1);
        if e.tag == va & !OFFSET_MASK && e.tag == last & !OFFSET_MASK {
            return Ok(host::load(tlb_host(va.wrapping_add(e.addend)), w));
        }
        self.load_slow(guest, io, va, w)
    }

    #[cold]
    #[inline(never)]
    fn load_slow<G: Guest>(
        &mut self,
        guest: &mut G,
        io: Io<'_>,
        va: u64,
        w: Width,
    ) -> Result<u64, Stop> {
        let size = w.bytes();
        if (va & OFFSET_MASK) + u64::from(size) > PAGE {
            // Two pages: both must be readable before either side has an effect.
            let split = PAGE - (va & OFFSET_MASK);
            self.resolve(guest, va, split as u8, AccessKind::Read)?;
            self.resolve(
                guest,
                va.wrapping_add(split),
                size - split as u8,
                AccessKind::Read,
            )?;
            let mut value = 0;
            for i in 0..u64::from(size) {
                value |= self.load_slow(guest, io, va.wrapping_add(i), Width::W8)? << (8 * i);
            }
            return Ok(value);
        }
        match self.resolve(guest, va, size, AccessKind::Read)? {
            Place::Ram { host, .. } => Ok(host::load(host, w)),
            Place::Io(_) if io.defer => Err(Stop::Interpret),
            Place::Io(gpa) => io
                .sync()
                .read(io.cpu, gpa, size)
                .map(|v| v & w.mask())
                .map_err(|_| guest.bus_fault(va, AccessKind::Read).into()),
        }
    }

    /// Stores `w` bytes.
    #[inline(always)]
    pub fn store<G: Guest>(
        &mut self,
        guest: &mut G,
        io: Io<'_>,
        va: u64,
        w: Width,
        v: u64,
    ) -> Result<(), Stop> {
        let e = self.banks.current().tlb_w[bank::Bank::tlb_index(va)];
        let last = va.wrapping_add(u64::from(w.bytes()) - 1);
        if e.tag == va & !OFFSET_MASK && e.tag == last & !OFFSET_MASK {
            host::store(tlb_host(va.wrapping_add(e.addend)), w, v);
            return Ok(());
        }
        self.store_slow(guest, io, va, w, v)
    }

    #[cold]
    #[inline(never)]
    fn store_slow<G: Guest>(
        &mut self,
        guest: &mut G,
        io: Io<'_>,
        va: u64,
        w: Width,
        v: u64,
    ) -> Result<(), Stop> {
        let size = w.bytes();
        if (va & OFFSET_MASK) + u64::from(size) > PAGE {
            let split = PAGE - (va & OFFSET_MASK);
            self.resolve(guest, va, split as u8, AccessKind::Write)?;
            self.resolve(
                guest,
                va.wrapping_add(split),
                size - split as u8,
                AccessKind::Write,
            )?;
            for i in 0..u64::from(size) {
                self.store_slow(guest, io, va.wrapping_add(i), Width::W8, v >> (8 * i))?;
            }
            return Ok(());
        }
        match self.resolve(guest, va, size, AccessKind::Write)? {
            Place::Ram {
                range,
                offset,
                host,
            } => {
                host::store(host, w, v);
                self.note(va, range, offset, size);
                Ok(())
            }
            Place::Io(_) if io.defer => Err(Stop::Interpret),
            Place::Io(gpa) => io
                .sync()
                .write(io.cpu, gpa, size, v & w.mask())
                .map_err(|_| guest.bus_fault(va, AccessKind::Write).into()),
        }
    }

    /// Tells the RAM block of a store, and lets later ones go the fast way if nobody needs to hear of them.
    fn note(&mut self, va: u64, range: usize, offset: u64, size: u8) {
        let RangeKind::Ram(block) = &self.view.ranges()[range].kind else {
            return;
        };
        let page = offset / PAGE;
        // The store must be visible before the question is asked: whoever begins to watch the page reads it again afterwards.
        host::full_fence();
        if block.needs_note(page) {
            block.note_write(offset, u64::from(size));
            if !block.needs_note(page) {
                let e = &mut self.banks.current().tlb_w[bank::Bank::tlb_index(va)];
                if e.tag & !OFFSET_MASK == va & !OFFSET_MASK && e.tag & flag::EMPTY == 0 {
                    e.tag &= !flag::NOTE;
                }
            }
        }
    }

    /// A naturally aligned place in RAM for an atomic access.
    fn atomic_place<G: Guest>(
        &mut self,
        guest: &mut G,
        va: u64,
        w: Width,
        kind: AccessKind,
    ) -> Result<(HostAddr, Option<(usize, u64)>), Stop> {
        if va & (u64::from(w.bytes()) - 1) != 0 {
            return Err(guest.misaligned(va, kind).into());
        }
        let e = self.banks.current().tlb(kind)[bank::Bank::tlb_index(va)];
        if e.tag == va & !OFFSET_MASK {
            return Ok((tlb_host(va.wrapping_add(e.addend)), None));
        }
        match self.resolve(guest, va, w.bytes(), kind)? {
            Place::Ram {
                range,
                offset,
                host,
            } => Ok((host, Some((range, offset)))),
            Place::Io(_) => Err(guest.bus_fault(va, kind).into()),
        }
    }

    /// Atomic read-modify-write; returns the old value, zero-extended.
    pub fn rmw<G: Guest>(
        &mut self,
        guest: &mut G,
        va: u64,
        m: MemOp,
        op: Rmw,
        v: u64,
    ) -> Result<u64, Stop> {
        let (host, note) = self.atomic_place(guest, va, m.size, AccessKind::Write)?;
        let old = host::rmw(host, m.size, op, v);
        if let Some((range, offset)) = note {
            self.note(va, range, offset, m.size.bytes());
        }
        Ok(old)
    }

    /// Compare-and-swap; returns the old value, zero-extended.
    pub fn cas<G: Guest>(
        &mut self,
        guest: &mut G,
        va: u64,
        m: MemOp,
        expected: u64,
        new: u64,
    ) -> Result<u64, Stop> {
        let (host, note) = self.atomic_place(guest, va, m.size, AccessKind::Write)?;
        let old = host::compare_exchange(host, m.size, expected, new);
        if let Some((range, offset)) = note {
            self.note(va, range, offset, m.size.bytes());
        }
        Ok(old)
    }

    /// Compare-and-swap of 16 aligned bytes (low half first); returns the old value.
    pub fn cas16<G: Guest>(
        &mut self,
        guest: &mut G,
        va: u64,
        expected: (u64, u64),
        new: (u64, u64),
    ) -> Result<(u64, u64), Stop> {
        let (host, note) = self.atomic_place(guest, va, Width::W64, AccessKind::Write)?;
        let old = host::compare_exchange16(host, expected, new);
        if let Some((range, offset)) = note {
            self.note(va, range, offset, 16);
        }
        Ok(old)
    }

    /// The load of a load-reserved: aligned and in RAM; zero-extended.
    pub fn load_aligned<G: Guest>(
        &mut self,
        guest: &mut G,
        va: u64,
        w: Width,
    ) -> Result<u64, Stop> {
        let (host, _) = self.atomic_place(guest, va, w, AccessKind::Read)?;
        Ok(host::load(host, w))
    }

    /// Checks an access of `len` bytes without doing it; returns how many of them lie in the first page.
    pub fn probe<G: Guest>(
        &mut self,
        guest: &mut G,
        va: u64,
        len: u64,
        kind: AccessKind,
    ) -> Result<u64, Stop> {
        let here = (PAGE - (va & OFFSET_MASK)).min(len);
        let e = self.banks.current().tlb(kind)[bank::Bank::tlb_index(va)];
        if e.tag & !OFFSET_MASK != va & !OFFSET_MASK || e.tag & flag::EMPTY != 0 {
            self.resolve(guest, va, here.min(255) as u8, kind)?;
        }
        Ok(here)
    }

    /// The page behind an instruction address, or `None` if it is not RAM or ROM (fetch it with [`Mmu::fetch_bytes`]).
    #[inline]
    pub fn fetch_page<G: Guest>(
        &mut self,
        guest: &mut G,
        va: u64,
    ) -> Result<Option<FetchEntry>, Stop> {
        if let Some(e) = self.banks.current().find_fetch(va) {
            return Ok(Some(*e));
        }
        self.fetch_slow(guest, va)
    }

    #[cold]
    fn fetch_slow<G: Guest>(&mut self, guest: &mut G, va: u64) -> Result<Option<FetchEntry>, Stop> {
        let view = Arc::clone(&self.view);
        let t = guest.translate(va, 2, AccessKind::Fetch, &mut Tables(&view))?;
        let Some(range) = view.find(t.gpa) else {
            return Err(guest.bus_fault(va, AccessKind::Fetch).into());
        };
        let (RangeKind::Ram(block) | RangeKind::Rom(block) | RangeKind::RomDevice(block, _)) =
            &range.kind
        else {
            return Err(guest.bus_fault(va, AccessKind::Fetch).into());
        };
        let in_page = t.gpa.0 & OFFSET_MASK;
        let delta = t.gpa.0 - range.start.0;
        let offset = range.offset + delta;
        if t.fragile
            || delta < in_page
            || delta - in_page + PAGE > range.len
            || offset < in_page
            || !(offset - in_page).is_multiple_of(PAGE)
        {
            return Ok(None);
        }
        let page = va & !OFFSET_MASK;
        let phys = PhysPage::new(block.id(), (offset - in_page) / PAGE);
        let xid = match self.xids.get(&(page, phys)) {
            Some(&id) => id,
            None => {
                let id = self.next_xid;
                // After four thousand million pages the numbers start again; ids of links long dead may then be met a second time.
                self.next_xid = self
                    .next_xid
                    .checked_add(1)
                    .filter(|&n| n != u32::MAX)
                    .unwrap_or(1);
                if self.xids.len() >= 1 << 20 {
                    self.xids.clear();
                }
                self.xids.insert((page, phys), id);
                id
            }
        };
        let e = FetchEntry {
            va: page,
            phys,
            host: block.host_ptr() as u64 + (offset - in_page),
            xid,
        };
        let bank = self.banks.current();
        bank.note_large(va, t.page_shift);
        bank.put_fetch(e);
        Ok(Some(e))
    }

    /// The bytes of a page of code from `va` to its end, at most `buf.len()`; returns how many.
    pub fn fetch_from(&self, e: &FetchEntry, va: u64, buf: &mut [u8]) -> usize {
        let n = (PAGE - (va & OFFSET_MASK)).min(buf.len() as u64) as usize;
        host::copy_out(tlb_host(e.host + (va & OFFSET_MASK)), &mut buf[..n]);
        n
    }

    /// One byte range of an instruction, for pages that cannot be cached and instructions that cross pages.
    pub fn fetch_bytes<G: Guest>(
        &mut self,
        guest: &mut G,
        va: u64,
        buf: &mut [u8],
    ) -> Result<(), Stop> {
        let mut done = 0;
        while done < buf.len() {
            let at = va.wrapping_add(done as u64);
            let n = (PAGE - (at & OFFSET_MASK)).min((buf.len() - done) as u64) as usize;
            match self.fetch_page(guest, at)? {
                Some(e) => host::copy_out(
                    tlb_host(e.host + (at & OFFSET_MASK)),
                    &mut buf[done..done + n],
                ),
                None => {
                    let view = Arc::clone(&self.view);
                    let t = guest.translate(at, n as u8, AccessKind::Fetch, &mut Tables(&view))?;
                    for (i, b) in buf[done..done + n].iter_mut().enumerate() {
                        let gpa = Gpa(t.gpa.0 + i as u64);
                        *b = Tables(&view)
                            .load(gpa, 1)
                            .map_err(|_| guest.bus_fault(at, AccessKind::Fetch))?
                            as u8;
                    }
                }
            }
            done += n;
        }
        Ok(())
    }
}
