//! RAM in a host mapping: a memfd when it is to be shared, anonymous memory otherwise. Both are reserved without commitment
//! (`MAP_NORESERVE`) and populated by the host on first touch.
#![allow(
    unsafe_code,
    reason = "memfd_create, madvise, fallocate and lseek have no safe wrapper here"
)]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr::NonNull;

use vm_memory::FileOffset;
use vm_memory::mmap::{MmapRegion, MmapRegionBuilder, MmapRegionError};

use super::access::Bytes;

/// A mapping and, if it is shared, the memfd under it.
pub(super) struct Mapping {
    region: MmapRegion,
}

fn memfd(name: &str) -> io::Result<File> {
    let name: Vec<u8> = name
        .bytes()
        .filter(|&b| b != 0)
        .take(200)
        .chain([0])
        .collect();
    // SAFETY: `name` ends in its only NUL.
    let fd = unsafe { libc::memfd_create(name.as_ptr().cast(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a fresh descriptor nobody else owns.
    Ok(unsafe { File::from_raw_fd(fd) })
}

impl Mapping {
    /// Maps `len` zero bytes and returns their accessor too, which must not outlive the mapping.
    pub(super) fn new(
        name: &str,
        len: usize,
        shared: bool,
        huge_pages: bool,
    ) -> io::Result<(Mapping, Bytes)> {
        let builder =
            MmapRegionBuilder::<()>::new(len).with_mmap_prot(libc::PROT_READ | libc::PROT_WRITE);
        let builder = if shared {
            let file = memfd(name)?;
            file.set_len(len as u64)?;
            builder
                .with_file_offset(FileOffset::new(file, 0))
                .with_mmap_flags(libc::MAP_SHARED | libc::MAP_NORESERVE)
        } else {
            builder.with_mmap_flags(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE)
        };
        let region = builder.build().map_err(|e| match e {
            MmapRegionError::Mmap(e) => e,
            other => io::Error::other(other.to_string()),
        })?;
        let start = NonNull::new(region.as_ptr())
            .ok_or_else(|| io::Error::other("mapped at address zero"))?;
        if huge_pages {
            // Advice only: a host without huge pages serves small ones.
            // SAFETY: the range is exactly the fresh mapping.
            unsafe { libc::madvise(start.as_ptr().cast(), len, libc::MADV_HUGEPAGE) };
        }
        // SAFETY: mapped readable and writable until `region` is dropped; the caller keeps it alive.
        let bytes = unsafe { Bytes::new(start, len) };
        Ok((Mapping { region }, bytes))
    }

    /// The memfd under a shared mapping.
    pub(super) fn file(&self) -> Option<&File> {
        self.region.file_offset().map(FileOffset::file)
    }

    /// Gives whole pages back to the host; they read as zero afterwards. The range must be page-aligned; one that is not inside is refused.
    pub(super) fn discard(&self, off: u64, len: u64) -> io::Result<()> {
        let (start, n) = match (usize::try_from(off), usize::try_from(len)) {
            (Ok(start), Ok(n))
                if start
                    .checked_add(n)
                    .is_some_and(|end| end <= self.region.size()) =>
            {
                (start, n)
            }
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let status = if let (Some(file), Ok(off), Ok(len)) =
            (self.file(), i64::try_from(off), i64::try_from(len))
        {
            let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
            // SAFETY: a plain system call on our own descriptor; the mapping stays valid and reads zero.
            unsafe { libc::fallocate(file.as_raw_fd(), mode, off, len) }
        } else {
            // SAFETY: the range was checked to be inside our own anonymous mapping, which reads zero afterwards.
            unsafe {
                libc::madvise(
                    self.region.as_ptr().add(start).cast(),
                    n,
                    libc::MADV_DONTNEED,
                )
            }
        };
        if status == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// The first offset at or after `off` that may hold data, so that a scan need not populate holes. `None`: only holes follow.
    pub(super) fn next_data(&self, off: u64) -> Option<u64> {
        let (Some(file), Ok(at)) = (self.file(), i64::try_from(off)) else {
            return Some(off);
        };
        // SAFETY: a plain system call on our own descriptor, whose file position nothing else uses.
        let found = unsafe { libc::lseek(file.as_raw_fd(), at, libc::SEEK_DATA) };
        match u64::try_from(found) {
            Ok(at) => Some(at),
            Err(_) if io::Error::last_os_error().raw_os_error() == Some(libc::ENXIO) => None,
            Err(_) => Some(off),
        }
    }
}
