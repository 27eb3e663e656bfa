//! RAM on the process heap: what miri, fuzzers and hosts without memfd use.
#![allow(unsafe_code, reason = "allocates zeroed memory without touching it")]

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU16;

use super::access::Bytes;
use crate::gpa::PAGE_SIZE;

/// A zeroed, page-aligned allocation.
pub(super) struct HeapMap {
    base: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the value only owns the allocation; access goes through `Bytes`, which is atomic.
unsafe impl Send for HeapMap {}
// SAFETY: as above.
unsafe impl Sync for HeapMap {}

impl HeapMap {
    /// Allocates `len` bytes and returns their accessor too, which must not outlive the map.
    pub(super) fn new(len: usize) -> Option<(HeapMap, Bytes)> {
        let page = usize::try_from(PAGE_SIZE).ok()?;
        // The allocator is asked for a small alignment and the page alignment is made by hand, because only then does it take
        // large zeroed blocks straight from the host, untouched; it would clear over-aligned ones byte by byte.
        let layout = Layout::from_size_align(len.checked_add(page)?, 8).ok()?;
        // SAFETY: the layout is not empty.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        let pad = base.as_ptr().addr().wrapping_neg() & (page - 1);
        // SAFETY: `pad < page`, and `len + page` bytes were allocated.
        let start = unsafe { base.add(pad) };
        // SAFETY: `pad + len` is inside the allocation; the caller keeps the map alive.
        let bytes = unsafe { Bytes::new(start, len) };
        Some((HeapMap { base, layout }, bytes))
    }
}

impl Drop for HeapMap {
    fn drop(&mut self) {
        // SAFETY: allocated by `new` with this layout, freed once.
        unsafe { dealloc(self.base.as_ptr(), self.layout) }
    }
}

/// `n` zeroed counters, left to the host to populate on first touch.
pub(super) fn zeroed_u16(n: usize) -> Option<Box<[AtomicU16]>> {
    if n == 0 {
        return Some(Box::default());
    }
    let layout = Layout::array::<AtomicU16>(n).ok()?;
    // SAFETY: the layout is not empty.
    let p = NonNull::new(unsafe { alloc_zeroed(layout) })?;
    // SAFETY: `n` zeroed `AtomicU16` of the layout a box of that slice has; zero is a valid value.
    Some(unsafe {
        Box::from_raw(std::ptr::slice_from_raw_parts_mut(
            p.as_ptr().cast::<AtomicU16>(),
            n,
        ))
    })
}
