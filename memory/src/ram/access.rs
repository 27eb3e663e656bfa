//! Byte access to memory that a guest may be writing at the same moment.
//!
//! A plain `memcpy` from or to guest RAM would be a data race, so every access here is a relaxed (or stronger) atomic of the
//! largest naturally aligned size that fits: 8-byte words in the middle of a copy, smaller ones at its ends. The words compile to
//! plain moves, so a bulk copy runs at 8 bytes a load or store, which keeps up with any disk or network.
//!
//! The guest may touch the same bytes with another size. No language-level memory model covers that; hosts do (the words are
//! accessed by single instructions), and every byte read is one that somebody wrote.
#![allow(
    unsafe_code,
    reason = "the one place that dereferences guest memory; everything is bounds-checked here"
)]

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

/// The bytes of a mapping that lives as long as its owner keeps it.
pub(super) struct Bytes {
    ptr: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory is only accessed through atomics, from any thread.
unsafe impl Send for Bytes {}
// SAFETY: as above.
unsafe impl Sync for Bytes {}

/// Loads `n` (1, 2, 4 or 8) bytes as a little-endian number.
///
/// # Safety
/// `p` must be valid for atomic reads of `n` bytes and aligned to `n`.
unsafe fn load_at(p: *mut u8, n: usize, order: Ordering) -> u64 {
    // SAFETY: the caller promises validity and alignment; `AtomicN` has the layout of the integer.
    unsafe {
        match n {
            1 => AtomicU8::from_ptr(p).load(order).into(),
            2 => u16::from_le(AtomicU16::from_ptr(p.cast()).load(order)).into(),
            4 => u32::from_le(AtomicU32::from_ptr(p.cast()).load(order)).into(),
            _ => u64::from_le(AtomicU64::from_ptr(p.cast()).load(order)),
        }
    }
}

/// Stores the low `n` (1, 2, 4 or 8) bytes of `v`, little-endian.
///
/// # Safety
/// `p` must be valid for atomic writes of `n` bytes and aligned to `n`.
#[allow(
    clippy::cast_possible_truncation,
    reason = "the low bytes are what is stored"
)]
unsafe fn store_at(p: *mut u8, n: usize, v: u64, order: Ordering) {
    // SAFETY: as in `load_at`.
    unsafe {
        match n {
            1 => AtomicU8::from_ptr(p).store(v as u8, order),
            2 => AtomicU16::from_ptr(p.cast()).store((v as u16).to_le(), order),
            4 => AtomicU32::from_ptr(p.cast()).store((v as u32).to_le(), order),
            _ => AtomicU64::from_ptr(p.cast()).store(v.to_le(), order),
        }
    }
}

/// The largest of 1, 2, 4 and 8 that `p` is aligned to and that `left` allows.
fn step(p: *mut u8, left: usize) -> usize {
    let aligned = 1usize << (p.addr() | 8).trailing_zeros();
    let fits = 1usize << left.min(8).ilog2();
    aligned.min(fits)
}

impl Bytes {
    /// # Safety
    /// `ptr..ptr + len` must stay mapped readable and writable for as long as the value is used, and be accessed by atomics
    /// (or by a guest) only.
    pub(super) unsafe fn new(ptr: NonNull<u8>, len: usize) -> Bytes {
        Bytes { ptr, len }
    }

    pub(super) fn ptr(&self) -> *mut u8 {
        self.ptr.as_ptr()
    }

    /// The address of `off`, if `n` bytes from there lie inside.
    fn at(&self, off: u64, n: usize) -> Option<*mut u8> {
        let off = usize::try_from(off).ok()?;
        if off.checked_add(n)? > self.len {
            return None;
        }
        // SAFETY: `off <= len`, so the address is inside the mapping or one past its end.
        Some(unsafe { self.ptr.as_ptr().add(off) })
    }

    /// Copies out; false (and nothing done) if the range is not inside.
    pub(super) fn read(&self, off: u64, buf: &mut [u8]) -> bool {
        let Some(p) = self.at(off, buf.len()) else {
            return false;
        };
        let mut i = 0;
        while i < buf.len() {
            // SAFETY: `i < buf.len()`, which lies inside the mapping.
            let q = unsafe { p.add(i) };
            let n = step(q, buf.len() - i);
            if n == 8 {
                let words = buf[i..].chunks_exact_mut(8);
                let done = words.len() * 8;
                for (k, word) in words.enumerate() {
                    // SAFETY: `q` is 8-aligned and this word lies inside the mapping, as `buf` does.
                    let v =
                        unsafe { AtomicU64::from_ptr(q.add(k * 8).cast()).load(Ordering::Relaxed) };
                    word.copy_from_slice(&v.to_ne_bytes());
                }
                i += done;
            } else {
                // SAFETY: `step` chose an aligned size that fits.
                let v = unsafe { load_at(q, n, Ordering::Relaxed) };
                buf[i..i + n].copy_from_slice(&v.to_le_bytes()[..n]);
                i += n;
            }
        }
        true
    }

    /// Copies in; false (and nothing done) if the range is not inside.
    pub(super) fn write(&self, off: u64, buf: &[u8]) -> bool {
        let Some(p) = self.at(off, buf.len()) else {
            return false;
        };
        let mut i = 0;
        while i < buf.len() {
            // SAFETY: `i < buf.len()`, which lies inside the mapping.
            let q = unsafe { p.add(i) };
            let n = step(q, buf.len() - i);
            if n == 8 {
                let (words, _) = buf[i..].as_chunks::<8>();
                for (k, word) in words.iter().enumerate() {
                    // SAFETY: `q` is 8-aligned and this word lies inside the mapping, as `buf` does.
                    let a = unsafe { AtomicU64::from_ptr(q.add(k * 8).cast()) };
                    a.store(u64::from_ne_bytes(*word), Ordering::Relaxed);
                }
                i += words.len() * 8;
            } else {
                let mut v = [0; 8];
                v[..n].copy_from_slice(&buf[i..i + n]);
                // SAFETY: `step` chose an aligned size that fits.
                unsafe { store_at(q, n, u64::from_le_bytes(v), Ordering::Relaxed) };
                i += n;
            }
        }
        true
    }

    /// Sets `n` bytes; false (and nothing done) if the range is not inside.
    pub(super) fn fill(&self, off: u64, n: u64, byte: u8) -> bool {
        let Ok(n) = usize::try_from(n) else {
            return false;
        };
        let Some(p) = self.at(off, n) else {
            return false;
        };
        let v = u64::from_ne_bytes([byte; 8]);
        let mut i = 0;
        while i < n {
            // SAFETY: `i < n`, which lies inside; `step` chooses an aligned size that fits.
            unsafe {
                let q = p.add(i);
                let s = step(q, n - i);
                store_at(q, s, v, Ordering::Relaxed);
                i += s;
            }
        }
        true
    }

    /// Whether `n` bytes are all zero; false if the range is not inside.
    pub(super) fn is_zero(&self, off: u64, n: u64) -> bool {
        let Ok(n) = usize::try_from(n) else {
            return false;
        };
        let Some(p) = self.at(off, n) else {
            return false;
        };
        let mut i = 0;
        while i < n {
            // SAFETY: `i < n`, which lies inside; `step` chooses an aligned size that fits.
            unsafe {
                let q = p.add(i);
                let s = step(q, n - i);
                if load_at(q, s, Ordering::Relaxed) != 0 {
                    return false;
                }
                i += s;
            }
        }
        true
    }

    /// Loads 1 to 8 bytes, little-endian; one atomic if the size is a power of two and the address aligned to it.
    pub(super) fn load(&self, off: u64, size: u8, order: Ordering) -> Option<u64> {
        let n = usize::from(size);
        if n == 0 || n > 8 {
            return None;
        }
        let p = self.at(off, n)?;
        if n.is_power_of_two() && p.addr() & (n - 1) == 0 {
            // SAFETY: inside, and aligned.
            return Some(unsafe { load_at(p, n, order) });
        }
        let mut buf = [0; 8];
        self.read(off, &mut buf[..n]);
        if order == Ordering::Acquire {
            std::sync::atomic::fence(Ordering::Acquire);
        }
        Some(u64::from_le_bytes(buf))
    }

    /// Stores 1 to 8 bytes, little-endian; one atomic if the size is a power of two and the address aligned to it.
    pub(super) fn store(&self, off: u64, size: u8, v: u64, order: Ordering) -> bool {
        let n = usize::from(size);
        if n == 0 || n > 8 {
            return false;
        }
        let Some(p) = self.at(off, n) else {
            return false;
        };
        if n.is_power_of_two() && p.addr() & (n - 1) == 0 {
            // SAFETY: inside, and aligned.
            unsafe { store_at(p, n, v, order) };
            return true;
        }
        if order == Ordering::Release {
            std::sync::atomic::fence(Ordering::Release);
        }
        self.write(off, &v.to_le_bytes()[..n])
    }

    /// Sequentially consistent compare and exchange of a naturally aligned 1, 2, 4 or 8 bytes. `None` if it is not aligned or inside.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the low bytes are what is compared and stored"
    )]
    pub(super) fn compare_exchange(
        &self,
        off: u64,
        size: u8,
        old: u64,
        new: u64,
    ) -> Option<Result<u64, u64>> {
        fn widen<T: Into<u64>>(r: Result<T, T>) -> Result<u64, u64> {
            r.map(Into::into).map_err(Into::into)
        }
        const SC: Ordering = Ordering::SeqCst;
        let n = usize::from(size);
        if !matches!(n, 1 | 2 | 4 | 8) {
            return None;
        }
        let p = self.at(off, n)?;
        if p.addr() & (n - 1) != 0 {
            return None;
        }
        // SAFETY: inside, and aligned.
        Some(unsafe {
            match n {
                1 => widen(AtomicU8::from_ptr(p).compare_exchange(old as u8, new as u8, SC, SC)),
                2 => widen(
                    AtomicU16::from_ptr(p.cast())
                        .compare_exchange((old as u16).to_le(), (new as u16).to_le(), SC, SC)
                        .map(u16::from_le)
                        .map_err(u16::from_le),
                ),
                4 => widen(
                    AtomicU32::from_ptr(p.cast())
                        .compare_exchange((old as u32).to_le(), (new as u32).to_le(), SC, SC)
                        .map(u32::from_le)
                        .map_err(u32::from_le),
                ),
                _ => AtomicU64::from_ptr(p.cast())
                    .compare_exchange(old.to_le(), new.to_le(), SC, SC)
                    .map(u64::from_le)
                    .map_err(u64::from_le),
            }
        })
    }
}
