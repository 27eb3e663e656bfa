//! Executable memory: one memfd mapped twice, writable here and executable there.
//!
//! No page is ever writable and executable at once through one address (W^X), and no `mprotect` call is needed to add or
//! patch code. The buffer is divided into equal *slabs* that are filled one after the other by bump allocation. When the last
//! one is full the oldest is emptied and reused, and the owner is told which range of offsets died.
//!
//! All places are byte *offsets* from the start of the buffer, valid for both views.
//!
//! # Concurrency
//! A `CodeBuf` belongs to one vCPU thread: the thread that runs its code is the only one that writes to it (all writers take
//! `&mut self`). Code is therefore never changed while it is being executed, and a patch needs no particular alignment and no
//! atomicity. On x86-64 the instruction caches are kept coherent with stores by physical address, so a store through the write view is seen by
//! the next entry into the code, which is an indirect branch of the same thread. (Intel SDM volume 3, "Handling Self- and
//! Cross-Modifying Code", guarantees this without a serialising instruction only when store and fetch use one linear
//! address; no processor is known that makes the difference.) Another architecture needs cache maintenance in `write` and `patch_rel32`.
//!
//! # Tests
//! miri can neither create a memfd nor run machine code, so this module cannot be checked with it; its tests run natively.

use std::io;
use std::ops::Range;
use std::ptr::NonNull;
use thiserror::Error;

/// Size of a slab unless the buffer is too small for several: 1 MiB.
pub const SLAB: usize = 1 << 20;
/// Largest buffer: every rel32 must reach every place.
pub const MAX: usize = 1 << 30;
/// Alignment of each allocation, bytes.
pub const ALIGN: usize = 16;

const PAGE: usize = 4096;

/// Why there is no code buffer, or no room in it.
#[derive(Debug, Error)]
pub enum CodeBufError {
    /// The size is zero or above [`MAX`].
    #[error("a code buffer of {bytes} bytes is not possible; choose between 1 and {MAX} bytes")]
    Size {
        /// What was asked for.
        bytes: usize,
    },
    /// The operating system refused.
    #[error(
        "cannot {what} for a code buffer of {bytes} bytes: {source}; allow executable memfd mappings or choose a smaller buffer"
    )]
    Os {
        /// The step that failed.
        what: &'static str,
        /// Size of the buffer.
        bytes: usize,
        /// The system's answer.
        source: io::Error,
    },
    /// One block is larger than a slab.
    #[error(
        "{len} bytes of code do not fit into a slab of {slab} bytes; translate fewer guest instructions at once"
    )]
    TooLong {
        /// Length of the code.
        len: usize,
        /// Length of a slab.
        slab: usize,
    },
    /// An offset outside the buffer.
    #[error("code buffer offset {offset:#x} + {len} is outside the {size:#x} bytes of the buffer")]
    Range {
        /// Start.
        offset: usize,
        /// Length.
        len: usize,
        /// Size of the buffer.
        size: usize,
    },
}

/// One mapping of the memfd.
#[derive(Debug)]
struct View {
    ptr: NonNull<u8>,
    len: usize,
}

impl View {
    fn map(fd: i32, len: usize, prot: i32) -> io::Result<View> {
        // SAFETY: a fresh mapping at an address of the kernel's choice touches no existing memory; the arguments are plain
        // values and the result is checked.
        let p = unsafe { libc::mmap(std::ptr::null_mut(), len, prot, libc::MAP_SHARED, fd, 0) };
        if p == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(p.cast())
            .map(|ptr| View { ptr, len })
            .ok_or_else(|| io::Error::other("mapping at address zero"))
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: `ptr` and `len` are those of the mapping made in `map`, which nobody else unmaps; no reference into it outlives
        // the owning `CodeBuf`, because references are only made inside its methods.
        unsafe { libc::munmap(self.ptr.as_ptr().cast(), self.len) };
    }
}

/// A part of the buffer that is filled and emptied as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slab {
    /// Offset of its first byte.
    pub start: usize,
    /// Its length, bytes.
    pub len: usize,
    /// The buffer's [`CodeBuf::generation`] when it was last emptied; 0: never used.
    pub generation: u64,
}

impl Slab {
    /// The offsets it covers.
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.len
    }
}

/// Executable memory for one vCPU thread; see the [module](self).
#[derive(Debug)]
pub struct CodeBuf {
    rw: View,
    rx: View,
    slabs: Vec<Slab>,
    /// Index of the slab being filled.
    current: usize,
    /// Next free offset in it.
    next: usize,
    generation: u64,
}

// SAFETY: the two mappings are plain memory owned by this value alone; nothing in it is tied to the creating thread. All writes go
// through `&mut self`.
unsafe impl Send for CodeBuf {}

impl CodeBuf {
    /// A buffer of `bytes` (rounded up to whole pages and slabs), in slabs of [`SLAB`] bytes, or in quarters if it is smaller than four slabs.
    ///
    /// # Errors
    /// [`CodeBufError::Size`], or [`CodeBufError::Os`] if the system denies the memfd or one of its mappings.
    /// There is no fallback to memory that is writable and executable at once.
    pub fn new(bytes: usize) -> Result<CodeBuf, CodeBufError> {
        let slab = if bytes >= 4 * SLAB {
            SLAB
        } else {
            bytes.div_ceil(4).next_multiple_of(PAGE)
        };
        CodeBuf::with_slabs(bytes, slab)
    }

    /// As [`CodeBuf::new`] with slabs of `slab` bytes (rounded up to whole pages).
    ///
    /// # Errors
    /// As for [`CodeBuf::new`].
    pub fn with_slabs(bytes: usize, slab: usize) -> Result<CodeBuf, CodeBufError> {
        if bytes == 0 || bytes > MAX || slab == 0 || slab > MAX {
            return Err(CodeBufError::Size { bytes });
        }
        let slab = slab.next_multiple_of(PAGE);
        let size = bytes.next_multiple_of(slab);
        let fail = |what| {
            move |source| CodeBufError::Os {
                what,
                bytes: size,
                source,
            }
        };

        // SAFETY: the name is a NUL-terminated constant; the call has no other pointer arguments.
        let raw = unsafe { libc::memfd_create(c"ambidex-code".as_ptr(), libc::MFD_CLOEXEC) };
        if raw < 0 {
            return Err(fail("create a memfd")(io::Error::last_os_error()));
        }
        // SAFETY: `raw` was just returned by the kernel and is owned by nobody else.
        let file: std::fs::File = unsafe { std::os::fd::FromRawFd::from_raw_fd(raw) };
        file.set_len(size as u64).map_err(fail("reserve memory"))?;
        let rw = View::map(raw, size, libc::PROT_READ | libc::PROT_WRITE)
            .map_err(fail("map the write view"))?;
        let rx = View::map(raw, size, libc::PROT_READ | libc::PROT_EXEC)
            .map_err(fail("map the execute view"))?;
        // The mappings keep the memory; the descriptor is closed when `file` goes.

        let slabs = (0..size / slab)
            .map(|i| Slab {
                start: i * slab,
                len: slab,
                generation: 0,
            })
            .collect::<Vec<_>>();
        let mut buf = CodeBuf {
            rw,
            rx,
            slabs,
            current: 0,
            next: 0,
            generation: 1,
        };
        buf.slabs[0].generation = 1;
        Ok(buf)
    }

    /// Size of the buffer, bytes.
    #[inline]
    pub fn size(&self) -> usize {
        self.rx.len
    }

    /// The slab being filled.
    #[inline]
    pub fn slab(&self) -> Slab {
        self.slabs[self.current]
    }

    /// All slabs, by offset.
    pub fn slabs(&self) -> &[Slab] {
        &self.slabs
    }

    /// Counts the slabs started so far, from 1.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Offset at which the next allocation starts, if it fits into the current slab.
    #[inline]
    pub fn next_offset(&self) -> usize {
        self.next
    }

    /// Bytes left in the current slab.
    #[inline]
    pub fn room(&self) -> usize {
        let s = self.slab();
        s.start + s.len - self.next
    }

    /// Takes `len` bytes of the current slab and returns their offset, a multiple of [`ALIGN`]; `None` if they do not fit.
    /// Then call [`CodeBuf::next_slab`].
    #[inline]
    pub fn alloc(&mut self, len: usize) -> Option<usize> {
        if len > self.room() {
            return None;
        }
        let at = self.next;
        let end = self.slab().start + self.slab().len;
        self.next = (at + len).next_multiple_of(ALIGN).min(end);
        Some(at)
    }

    /// Takes `len` bytes out of the first slab for good: no eviction ever touches them. Only before anything else is
    /// allocated; `None` if something was, or if less than half of the slab would remain.
    pub fn reserve(&mut self, len: usize) -> Option<usize> {
        let s = &mut self.slabs[0];
        let take = len.next_multiple_of(ALIGN);
        if self.generation != 1 || self.next != s.start || take > s.len / 2 {
            return None;
        }
        let at = s.start;
        s.start += take;
        s.len -= take;
        self.next = s.start;
        Some(at)
    }

    /// Starts the oldest slab (a never used one first). The returned offsets held code until now: before anything is
    /// allocated the owner must forget all blocks in there and unlink all jumps into it. Empty if the slab was never used.
    ///
    /// With a single slab this empties the buffer.
    pub fn next_slab(&mut self) -> Range<usize> {
        let n = self.slabs.len();
        // Slabs are started in turn, so the oldest is the one after the current.
        self.current = (self.current + 1) % n;
        self.generation += 1;
        let s = &mut self.slabs[self.current];
        let dead = if s.generation == 0 {
            s.start..s.start
        } else {
            s.range()
        };
        s.generation = self.generation;
        self.next = s.start;
        dead
    }

    /// Copies `code` into the current slab and returns its offset, or `None` if the slab is full.
    ///
    /// # Errors
    /// [`CodeBufError::TooLong`] if no slab could ever hold it.
    pub fn append(&mut self, code: &[u8]) -> Result<Option<usize>, CodeBufError> {
        let slab = self.slab().len;
        if code.len() > slab {
            return Err(CodeBufError::TooLong {
                len: code.len(),
                slab,
            });
        }
        let Some(at) = self.alloc(code.len()) else {
            return Ok(None);
        };
        self.write(at, code)?;
        Ok(Some(at))
    }

    /// Writes `bytes` at `offset`.
    ///
    /// # Errors
    /// [`CodeBufError::Range`]; nothing is written then.
    #[inline]
    pub fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), CodeBufError> {
        self.check(offset, bytes.len())?;
        // SAFETY: `check` keeps the destination inside the RW mapping, which is at least as long as `size()`, is writable,
        // and is disjoint from `bytes`: no reference into a view is ever handed out.
        unsafe {
            std::ptr::copy_nonoverlapping(
                bytes.as_ptr(),
                self.rw.ptr.as_ptr().add(offset),
                bytes.len(),
            )
        };
        Ok(())
    }

    /// Copies the bytes at `offset` out, for tests, disassembly and checksums.
    ///
    /// # Errors
    /// [`CodeBufError::Range`].
    pub fn read(&self, offset: usize, to: &mut [u8]) -> Result<(), CodeBufError> {
        self.check(offset, to.len())?;
        // SAFETY: as in `write`, with the direction turned round.
        unsafe {
            std::ptr::copy_nonoverlapping(
                self.rw.ptr.as_ptr().add(offset),
                to.as_mut_ptr(),
                to.len(),
            )
        };
        Ok(())
    }

    /// Makes the rel32 field at `site` lead to `target`: one 4-byte store, aligned or not. The field must be the last of its instruction.
    ///
    /// # Errors
    /// [`CodeBufError::Range`] if the field or the target is outside the buffer; nothing is changed then.
    #[inline]
    pub fn patch_rel32(&mut self, site: usize, target: usize) -> Result<(), CodeBufError> {
        self.check(site, 4)?;
        self.check(target, 0)?;
        // Both are below MAX, so the difference fits.
        let rel = (target as i64 - (site as i64 + 4)) as i32;
        // SAFETY: `check` keeps the four bytes inside the RW mapping; the store is declared unaligned. The code is not running: the
        // thread that executes it is the one that holds `&mut self`.
        unsafe {
            self.rw
                .ptr
                .as_ptr()
                .add(site)
                .cast::<i32>()
                .write_unaligned(rel.to_le())
        };
        Ok(())
    }

    /// Address of `offset` in the execute view. Calling it is up to the caller and unsafe.
    ///
    /// # Errors
    /// [`CodeBufError::Range`].
    #[inline]
    pub fn rx_ptr(&self, offset: usize) -> Result<*const u8, CodeBufError> {
        self.check(offset, 0)?;
        Ok(self.rx.ptr.as_ptr().cast_const().wrapping_add(offset))
    }

    /// Start of the execute view; an offset is added to it.
    #[inline]
    pub fn rx_base(&self) -> *const u8 {
        self.rx.ptr.as_ptr()
    }

    /// The offset of an address in the execute view, `None` if it is somewhere else.
    #[inline]
    pub fn rx_to_offset(&self, ptr: *const u8) -> Option<usize> {
        let at = (ptr as usize).wrapping_sub(self.rx.ptr.as_ptr() as usize);
        (at < self.size()).then_some(at)
    }

    #[inline]
    fn check(&self, offset: usize, len: usize) -> Result<(), CodeBufError> {
        let size = self.rw.len;
        if offset > size || len > size - offset {
            return Err(CodeBufError::Range { offset, len, size });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_sizes_are_refused() {
        for bytes in [0, MAX + 1, usize::MAX] {
            let e = CodeBuf::new(bytes).unwrap_err();
            assert!(matches!(e, CodeBufError::Size { .. }), "{e}");
            assert!(e.to_string().contains("choose between"));
        }
        assert!(CodeBuf::with_slabs(4096, 0).is_err());
    }

    #[test]
    fn slabs_cover_the_buffer() {
        for bytes in [1, 4096, 4097, 100_000, 4 * SLAB - 1, 4 * SLAB, 5 * SLAB + 3] {
            let b = CodeBuf::new(bytes).unwrap();
            assert!(b.size() >= bytes);
            let mut at = 0;
            for s in b.slabs() {
                assert_eq!(s.start, at);
                at += s.len;
            }
            assert_eq!(at, b.size());
        }
    }

    #[test]
    fn the_views_share_memory_and_differ_in_address() {
        let mut b = CodeBuf::new(1 << 16).unwrap();
        b.write(100, &[1, 2, 3]).unwrap();
        let mut got = [0; 3];
        b.read(100, &mut got).unwrap();
        assert_eq!(got, [1, 2, 3]);
        let p = b.rx_ptr(100).unwrap();
        assert_eq!(b.rx_to_offset(p), Some(100));
        assert_eq!(b.rx_to_offset(b.rx_base().wrapping_add(b.size())), None);
        assert_eq!(b.rx_to_offset(b.rx_base().wrapping_sub(1)), None);
        assert_eq!(b.rx_to_offset(std::ptr::null()), None);
        // SAFETY: the execute view is readable and three bytes were written there.
        assert_eq!(unsafe { std::slice::from_raw_parts(p, 3) }, [1, 2, 3]);
        assert_ne!(b.rx.ptr, b.rw.ptr);
    }

    /// The permissions the kernel reports for the mapping that holds `addr`.
    fn permissions(addr: usize) -> String {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines()
            .find_map(|l| {
                let (range, rest) = l.split_once(' ')?;
                let (lo, hi) = range.split_once('-')?;
                let lo = usize::from_str_radix(lo, 16).ok()?;
                let hi = usize::from_str_radix(hi, 16).ok()?;
                (lo..hi).contains(&addr).then(|| rest[..4].to_string())
            })
            .unwrap()
    }

    #[test]
    fn no_view_is_writable_and_executable() {
        let b = CodeBuf::new(1 << 16).unwrap();
        assert_eq!(permissions(b.rw.ptr.as_ptr() as usize), "rw-s");
        assert_eq!(permissions(b.rx.ptr.as_ptr() as usize), "r-xs");
    }

    #[test]
    fn outside_offsets_are_refused() {
        let mut b = CodeBuf::new(1 << 16).unwrap();
        let n = b.size();
        assert!(b.write(n - 1, &[0]).is_ok());
        assert!(b.write(n, &[]).is_ok());
        assert!(b.write(n, &[0]).is_err());
        assert!(b.write(n - 1, &[0, 0]).is_err());
        assert!(b.write(usize::MAX, &[0]).is_err());
        assert!(b.read(usize::MAX, &mut [0]).is_err());
        assert!(b.patch_rel32(n - 4, 0).is_ok());
        assert!(b.patch_rel32(n - 3, 0).is_err());
        assert!(b.patch_rel32(0, n + 1).is_err());
        assert!(b.rx_ptr(n + 1).is_err());
    }

    #[test]
    fn slabs_are_used_in_turn_and_the_oldest_dies() {
        let mut b = CodeBuf::with_slabs(3 * PAGE, PAGE).unwrap();
        let mut dead = Vec::new();
        for round in 0..7u64 {
            assert_eq!(b.slab().start, (round as usize % 3) * PAGE);
            assert_eq!(b.slab().generation, round + 1);
            assert_eq!(b.alloc(PAGE - 8), Some(b.slab().start));
            assert_eq!(b.alloc(9), None, "the slab is full");
            assert_eq!(
                b.alloc(0),
                Some(b.slab().range().end),
                "nothing always fits"
            );
            dead.push(b.next_slab());
            assert!(b.slabs().iter().all(|s| s.generation <= b.generation()));
        }
        assert!(dead[0].is_empty() && dead[1].is_empty());
        assert_eq!(
            dead[2..],
            [
                0..PAGE,
                PAGE..2 * PAGE,
                2 * PAGE..3 * PAGE,
                0..PAGE,
                PAGE..2 * PAGE
            ]
        );
    }

    #[test]
    fn a_single_slab_empties_itself() {
        let mut b = CodeBuf::with_slabs(PAGE, PAGE).unwrap();
        assert_eq!(b.append(&[0xC3; 100]).unwrap(), Some(0));
        assert_eq!(b.append(&[0xC3; 10]).unwrap(), Some(112));
        assert_eq!(b.next_slab(), 0..PAGE);
        assert_eq!(b.append(&[0xC3]).unwrap(), Some(0));
    }

    #[test]
    fn a_block_longer_than_a_slab_is_an_error() {
        let mut b = CodeBuf::with_slabs(2 * PAGE, PAGE).unwrap();
        assert!(matches!(
            b.append(&vec![0; PAGE + 1]),
            Err(CodeBufError::TooLong { .. })
        ));
        assert_eq!(b.append(&vec![0; PAGE]).unwrap(), Some(0));
        assert_eq!(b.append(&[0]).unwrap(), None);
        assert_eq!(b.next_slab(), PAGE..PAGE);
        assert_eq!(b.append(&[0]).unwrap(), Some(PAGE));
    }

    #[cfg(target_arch = "x86_64")]
    mod run {
        use super::*;
        use crate::jit::x64::{Asm, Gpr, Width};

        fn call(b: &CodeBuf, offset: usize) -> u64 {
            let p = b.rx_ptr(offset).unwrap();
            // SAFETY: the tests put a complete function at `offset` that follows the System V convention, takes nothing and
            // returns a u64 in rax.
            let f: extern "sysv64" fn() -> u64 = unsafe { std::mem::transmute(p) };
            f()
        }

        fn constant(a: &mut Asm, v: i64) -> &[u8] {
            a.reset(0);
            a.mov_ri(Width::W64, Gpr::Rax, v);
            a.ret();
            a.finish().unwrap()
        }

        #[test]
        fn written_code_runs_and_patched_code_runs_differently() {
            let mut b = CodeBuf::new(1 << 16).unwrap();
            let mut a = Asm::new(256);
            let f = b.append(constant(&mut a, 42)).unwrap().unwrap();
            assert_eq!(call(&b, f), 42);
            b.write(f + 1, &43u32.to_le_bytes()).unwrap();
            assert_eq!(call(&b, f), 43);
        }

        #[test]
        fn a_patched_jump_goes_elsewhere() {
            let mut b = CodeBuf::new(1 << 16).unwrap();
            let mut a = Asm::new(256);
            let one = b.append(constant(&mut a, 1)).unwrap().unwrap();
            b.next_slab();
            let two = b.append(constant(&mut a, -2)).unwrap().unwrap();
            a.reset(b.next_offset() as u64);
            let site = a.jmp_to(one as u64);
            let f = b.append(a.finish().unwrap()).unwrap().unwrap();
            for _ in 0..100 {
                assert_eq!(call(&b, f), 1);
                b.patch_rel32(f + site, two).unwrap();
                assert_eq!(call(&b, f) as i64, -2);
                b.patch_rel32(f + site, one).unwrap();
            }
        }

        #[test]
        fn a_recycled_slab_runs_its_new_code() {
            let mut b = CodeBuf::with_slabs(2 * PAGE, PAGE).unwrap();
            let mut a = Asm::new(256);
            for i in 0..20 {
                let f = b.append(constant(&mut a, i)).unwrap().unwrap();
                assert_eq!(call(&b, f), i as u64);
                b.next_slab();
            }
        }

        #[test]
        fn a_buffer_may_move_to_another_thread() {
            let mut b = CodeBuf::new(1 << 16).unwrap();
            let f = b.append(constant(&mut Asm::new(64), 7)).unwrap().unwrap();
            assert_eq!(std::thread::spawn(move || call(&b, f)).join().unwrap(), 7);
        }
    }
}
