//! RAM blocks: one contiguous piece of host memory each, with change tracking.
//!
//! Everything takes `&self`. vCPUs, device threads and the debugger access a block at the same time; each access is made of atomics
//! (see [`RamBlock::read`]), so races between them have the outcomes hardware gives them and no worse.

mod access;
mod dirty;
mod heap;
#[cfg(feature = "mmap")]
mod mmap;
mod watch;

use std::fmt;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use crate::error::{BusError, MemoryError};
use crate::gpa::{Gpa, PAGE_SIZE};
use access::Bytes;
use dirty::PageTracker;
pub use dirty::{DirtyClient, MAX_DIRTY_CLIENTS};
use heap::HeapMap;
use watch::Watchers;
pub use watch::{MAX_WATCHERS, WatcherId, WriteWatcher};

/// Where a block's bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// A host mapping: a memfd if [`RamOptions::shared`], anonymous memory if not. Needs the feature `mmap`.
    Memfd,
    /// The process heap.
    Heap,
}

/// How to make a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RamOptions {
    /// Whether other processes can map it (see [`RamBlock::file`]).
    pub shared: bool,
    /// Ask the host for transparent huge pages. Advice: it is no error if the host has none.
    pub huge_pages: bool,
    /// Where the bytes come from.
    pub backing: Backing,
}

impl Default for RamOptions {
    /// A shared memfd with the feature `mmap`, the heap without it; no huge pages.
    fn default() -> RamOptions {
        let backing = if cfg!(feature = "mmap") {
            Backing::Memfd
        } else {
            Backing::Heap
        };
        RamOptions {
            shared: true,
            huge_pages: false,
            backing,
        }
    }
}

/// Keeps the memory under [`Bytes`] alive.
enum Holder {
    #[cfg(feature = "mmap")]
    Mapping(mmap::Mapping),
    Heap(#[allow(dead_code, reason = "held for its Drop")] HeapMap),
}

/// A block of RAM (or the contents of a ROM): zeroed, contiguous in the host, populated on first touch. Offsets and lengths are bytes
/// from its start.
///
/// # Change tracking
///
/// Every page has flags. A page *needs a note* while it is watched (translated code was made from it) or clean for any dirty client;
/// then whoever writes it must call [`note_write`](Self::note_write) **after** the store. [`write`](Self::write),
/// [`store`](Self::store) and the other methods here do so themselves. A writer with its own shortcut to
/// [`host_ptr`](Self::host_ptr), such as compiled code, may store without a note to pages for which
/// [`needs_note`](Self::needs_note) was false, as long as [`tracking_epoch`](Self::tracking_epoch) has not grown since.
///
/// The order is what makes it sound: a writer stores, fences and then looks at the flags; a reader who wants to know what changed
/// sets the flags, fences and then reads. One of the two always sees the other.
pub struct RamBlock {
    bytes: Bytes,
    len: u64,
    tracker: PageTracker,
    watchers: Watchers,
    id: u32,
    name: Box<str>,
    holder: Holder,
}

static NEXT_ID: AtomicU32 = AtomicU32::new(1);

impl RamBlock {
    /// Makes a block of `len` zero bytes.
    ///
    /// # Errors
    /// `len` is zero or no multiple of 4096, the host refuses the memory, or the build lacks the backing.
    pub fn new(name: &str, len: u64, opt: &RamOptions) -> Result<Arc<RamBlock>, MemoryError> {
        if len == 0 || !len.is_multiple_of(PAGE_SIZE) {
            return Err(MemoryError::BadLength {
                name: name.into(),
                len,
            });
        }
        let reserve = |reason: String| MemoryError::Reserve {
            name: name.into(),
            len,
            reason,
        };
        let no_memory = || reserve("Cannot allocate memory".into());
        let host_len = usize::try_from(len)
            .ok()
            .filter(|&n| isize::try_from(n).is_ok())
            .ok_or_else(no_memory)?;
        let (holder, bytes) = match opt.backing {
            Backing::Heap => {
                let (map, bytes) = HeapMap::new(host_len).ok_or_else(no_memory)?;
                (Holder::Heap(map), bytes)
            }
            #[cfg(feature = "mmap")]
            Backing::Memfd => {
                let (map, bytes) = mmap::Mapping::new(name, host_len, opt.shared, opt.huge_pages)
                    .map_err(|e| reserve(host_text(&e)))?;
                (Holder::Mapping(map), bytes)
            }
            #[cfg(not(feature = "mmap"))]
            Backing::Memfd => return Err(MemoryError::NoBacking { name: name.into() }),
        };
        let pages = usize::try_from(len / PAGE_SIZE).map_err(|_| no_memory())?;
        Ok(Arc::new(RamBlock {
            bytes,
            len,
            tracker: PageTracker::new(pages).ok_or_else(no_memory)?,
            watchers: Watchers::default(),
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            name: name.into(),
            holder,
        }))
    }

    /// The name given to it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes in the block.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a block is never empty")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Pages in the block.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.len / PAGE_SIZE
    }

    /// Where the block lies in this process, for as long as it lives. Who accesses it directly takes the duties described at
    /// [change tracking](Self#change-tracking), and must use atomics or volatile accesses.
    #[must_use]
    pub fn host_ptr(&self) -> *mut u8 {
        self.bytes.ptr()
    }

    /// The file under a shared mapping and the offset in it where the block starts, for vhost-user and the like.
    #[must_use]
    pub fn file(&self) -> Option<(&File, u64)> {
        match &self.holder {
            #[cfg(feature = "mmap")]
            Holder::Mapping(map) => map.file().map(|f| (f, 0)),
            Holder::Heap(_) => None,
        }
    }

    /// A number no other block of this process has.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    fn check(&self, off: u64, len: u64) -> Result<(), BusError> {
        match off.checked_add(len) {
            Some(end) if end <= self.len => Ok(()),
            _ => Err(BusError::Unmapped(Gpa(off.max(self.len)))),
        }
    }

    /// Copies out of the block. Naturally aligned pieces of up to 8 bytes are each read in one go, in ascending order but without
    /// ordering towards other threads; the copy runs at a word a load.
    ///
    /// # Errors
    /// [`BusError::Unmapped`] (with an offset in place of the address) if the range is not inside; then nothing was read.
    pub fn read(&self, off: u64, buf: &mut [u8]) -> Result<(), BusError> {
        if self.bytes.read(off, buf) {
            Ok(())
        } else {
            Err(BusError::Unmapped(Gpa(off.max(self.len))))
        }
    }

    /// Copies into the block and notes the write. Naturally aligned pieces of up to 8 bytes are each written in one go.
    ///
    /// # Errors
    /// [`BusError::Unmapped`] (with an offset in place of the address) if the range is not inside; then nothing was written.
    pub fn write(&self, off: u64, buf: &[u8]) -> Result<(), BusError> {
        if !self.bytes.write(off, buf) {
            return Err(BusError::Unmapped(Gpa(off.max(self.len))));
        }
        self.note_write(off, buf.len() as u64);
        Ok(())
    }

    /// Loads `size` (1 to 8) bytes, little-endian. Sizes 1, 2, 4 and 8 at their natural alignment are single-copy atomic. Out of range
    /// it is 0.
    #[must_use]
    #[inline]
    pub fn load(&self, off: u64, size: u8) -> u64 {
        self.bytes.load(off, size, Ordering::Relaxed).unwrap_or(0)
    }

    /// [`load`](Self::load) with acquire ordering.
    #[must_use]
    #[inline]
    pub fn load_acquire(&self, off: u64, size: u8) -> u64 {
        self.bytes.load(off, size, Ordering::Acquire).unwrap_or(0)
    }

    /// Stores the low `size` (1 to 8) bytes of `v`, little-endian, and notes the write. Sizes 1, 2, 4 and 8 at their natural alignment
    /// are single-copy atomic. Out of range nothing happens.
    #[inline]
    pub fn store(&self, off: u64, size: u8, v: u64) {
        if self.bytes.store(off, size, v, Ordering::Relaxed) {
            self.note_write(off, size.into());
        }
    }

    /// [`store`](Self::store) with release ordering.
    #[inline]
    pub fn store_release(&self, off: u64, size: u8, v: u64) {
        if self.bytes.store(off, size, v, Ordering::Release) {
            self.note_write(off, size.into());
        }
    }

    /// [`store`](Self::store) without the note: for writers that know the page needs none (see
    /// [change tracking](Self#change-tracking)) and want to save the fence.
    #[inline]
    pub fn store_unnoted(&self, off: u64, size: u8, v: u64) {
        self.bytes.store(off, size, v, Ordering::Relaxed);
    }

    /// Compares and exchanges a naturally aligned 1, 2, 4 or 8 bytes, sequentially consistent, and notes the write if there was one.
    /// `Ok(Ok(old))` if it took place, `Ok(Err(found))` if the value was another.
    ///
    /// # Errors
    /// Out of range, not aligned, or another size.
    pub fn compare_exchange(
        &self,
        off: u64,
        size: u8,
        old: u64,
        new: u64,
    ) -> Result<Result<u64, u64>, BusError> {
        self.check(off, size.into())?;
        let done = self
            .bytes
            .compare_exchange(off, size, old, new)
            .ok_or(BusError::Unaligned(Gpa(off)))?;
        if done.is_ok() {
            self.note_write(off, size.into());
        }
        Ok(done)
    }

    /// Sets `len` bytes to `byte` and notes the write.
    ///
    /// # Errors
    /// [`BusError::Unmapped`] if the range is not inside.
    pub fn fill(&self, off: u64, len: u64, byte: u8) -> Result<(), BusError> {
        self.check(off, len)?;
        self.bytes.fill(off, len, byte);
        self.note_write(off, len);
        Ok(())
    }

    /// Whether `len` bytes from `off` are all zero. Pages the host never populated are not populated by asking, where it can tell.
    /// False if the range is not inside.
    #[must_use]
    pub fn is_zero(&self, off: u64, len: u64) -> bool {
        if self.check(off, len).is_err() {
            return false;
        }
        #[cfg(feature = "mmap")]
        if let Holder::Mapping(map) = &self.holder {
            // Looked up anew every 2 MiB, so that holes are skipped without a system call a page.
            const STRIDE: u64 = 2 << 20;
            let end = off + len;
            let mut at = off;
            while at < end {
                at = match map.next_data(at) {
                    Some(data) if data < end => data.max(at),
                    _ => return true,
                };
                let n = (end - at).min(STRIDE);
                if !self.bytes.is_zero(at, n) {
                    return false;
                }
                at += n;
            }
            return true;
        }
        self.bytes.is_zero(off, len)
    }

    /// Zeroes `len` bytes and gives the whole pages among them back to the host. Notes the write.
    ///
    /// # Errors
    /// [`BusError::Unmapped`] if the range is not inside.
    pub fn discard(&self, off: u64, len: u64) -> Result<(), BusError> {
        self.check(off, len)?;
        #[cfg(feature = "mmap")]
        if let Holder::Mapping(map) = &self.holder {
            let first = off.next_multiple_of(PAGE_SIZE);
            let last = (off + len) & !(PAGE_SIZE - 1);
            if first < last && map.discard(first, last - first).is_ok() {
                self.bytes.fill(off, first - off, 0);
                self.bytes.fill(last, off + len - last, 0);
                self.note_write(off, len);
                return Ok(());
            }
        }
        // Pages that are zero already are only read: on a lazily populated heap that costs no memory.
        let mut at = off;
        while at < off + len {
            let n = (PAGE_SIZE - at % PAGE_SIZE).min(off + len - at);
            if !self.bytes.is_zero(at, n) {
                self.bytes.fill(at, n, 0);
            }
            at += n;
        }
        self.note_write(off, len);
        Ok(())
    }

    /// Tells change tracking that `len` bytes at `off` **have been** written: makes their pages dirty for every client, and calls the
    /// watchers of watched pages. One fence and one load a page when there is nothing to tell; never takes a lock then.
    #[inline]
    pub fn note_write(&self, off: u64, len: u64) {
        fence(Ordering::SeqCst);
        let Some(last) = off
            .checked_add(len)
            .and_then(|end| end.min(self.len).checked_sub(1))
        else {
            return;
        };
        if len == 0 || off > last {
            return;
        }
        for page in off / PAGE_SIZE..=last / PAGE_SIZE {
            if self.tracker.needs_note(page) {
                self.note_page(page, off, last);
            }
        }
    }

    #[cold]
    fn note_page(&self, page: u64, first: u64, last: u64) {
        let watchers = self.tracker.written(page);
        if watchers != 0 {
            let start = first.max(page * PAGE_SIZE);
            let end = last.min(page * PAGE_SIZE + (PAGE_SIZE - 1));
            self.watchers.tell(self, watchers, start, end - start + 1);
        }
    }

    /// Whether a write to `page` has to be noted: it is watched, or clean for some dirty client. One relaxed load. Out of range: true.
    #[must_use]
    #[inline]
    pub fn needs_note(&self, page: u64) -> bool {
        self.tracker.needs_note(page)
    }

    /// Grows whenever pages that needed no note begin to need one. Whoever remembers answers of [`needs_note`](Self::needs_note) (write
    /// TLBs) must ask again after it grew.
    #[must_use]
    #[inline]
    pub fn tracking_epoch(&self) -> u64 {
        self.tracker.epoch()
    }

    /// Registers a dirty-page client, to which all pages are clean at first. Dropping it unregisters.
    ///
    /// # Panics
    /// If 8 clients exist. Who cannot know uses [`try_dirty_register`](Self::try_dirty_register).
    #[must_use]
    pub fn dirty_register(self: &Arc<Self>) -> DirtyClient {
        match self.try_dirty_register() {
            Ok(client) => client,
            Err(e) => panic!("{e}"),
        }
    }

    /// Registers a dirty-page client.
    ///
    /// # Errors
    /// [`MemoryError::TooManyDirtyClients`] if 8 exist.
    pub fn try_dirty_register(self: &Arc<Self>) -> Result<DirtyClient, MemoryError> {
        DirtyClient::register(self)
            .ok_or_else(|| MemoryError::TooManyDirtyClients(self.name.to_string()))
    }
}

/// The host's words for an error, without Rust's "(os error 12)".
#[cfg(feature = "mmap")]
fn host_text(e: &std::io::Error) -> String {
    let text = e.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_string()
}

impl fmt::Debug for RamBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RamBlock")
            .field("name", &self.name)
            .field("len", &self.len)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
