//! Raw disk images: a file or host block device whose bytes are the disk's.
//!
//! The image is locked against other writers with `flock`. Not implemented: `O_DIRECT`, images that grow.

use super::{BlockError, Storage};
use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Sector size images are multiples of.
const SECTOR: u64 = 512;

/// How to open an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawOptions {
    /// Refuse writes. Several readers can have an image open.
    pub read_only: bool,
    /// Do not lock. Two machines that write the same image destroy it.
    pub unlocked: bool,
}

/// Why an image cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// It cannot be opened.
    #[error("Cannot open disk image '{}': {source}; check the path and its permissions{}", path.display(), if *writing { ", or attach it read-only" } else { "" })]
    Open {
        /// The file.
        path: PathBuf,
        /// Whether it was to be written.
        writing: bool,
        /// The host's reason.
        source: io::Error,
    },
    /// It is a directory or the like.
    #[error("'{}' is no disk image: give a regular file or a block device", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
    },
    /// Its size makes no disk.
    #[error("Disk image '{}' is {len} bytes long, which is not a multiple of 512 above 0; extend it, for instance with: truncate -s %512 '{}'", path.display(), path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        len: u64,
    },
    /// Somebody else uses it.
    #[error("Disk image '{}' is in use by another process{}; stop that one first", path.display(), if *writing { "" } else { ", which writes to it" })]
    Locked {
        /// The file.
        path: PathBuf,
        /// Whether it was to be written.
        writing: bool,
    },
    /// The host refused something else.
    #[error("Cannot {what} disk image '{}': {source}", path.display())]
    Host {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The host's reason.
        source: io::Error,
    },
}

/// A raw image.
#[derive(Debug)]
pub struct RawFile {
    file: File,
    len: u64,
    read_only: bool,
}

impl RawFile {
    /// Opens the image at `path`.
    ///
    /// # Errors
    /// Any [`ImageError`].
    pub fn open(path: impl AsRef<Path>, options: RawOptions) -> Result<Self, ImageError> {
        let path = path.as_ref();
        let writing = !options.read_only;
        let host = |what| {
            move |source| ImageError::Host {
                what,
                path: path.to_owned(),
                source,
            }
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(writing)
            .open(path)
            .map_err(|source| {
                if source.kind() == io::ErrorKind::IsADirectory {
                    ImageError::Kind {
                        path: path.to_owned(),
                    }
                } else {
                    ImageError::Open {
                        path: path.to_owned(),
                        writing,
                        source,
                    }
                }
            })?;
        let meta = file.metadata().map_err(host("examine"))?;
        use std::os::unix::fs::FileTypeExt;
        let kind = meta.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Err(ImageError::Kind {
                path: path.to_owned(),
            });
        }
        if !options.unlocked {
            let how = if writing {
                FlockOperation::NonBlockingLockExclusive
            } else {
                FlockOperation::NonBlockingLockShared
            };
            match flock(&file, how) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => {
                    return Err(ImageError::Locked {
                        path: path.to_owned(),
                        writing,
                    });
                }
                Err(e) => return Err(host("lock")(e.into())),
            }
        }
        // A block device's metadata has no length.
        let len = file.seek(SeekFrom::End(0)).map_err(host("measure"))?;
        if len == 0 || !len.is_multiple_of(SECTOR) {
            return Err(ImageError::Length {
                path: path.to_owned(),
                len,
            });
        }
        Ok(Self {
            file,
            len,
            read_only: options.read_only,
        })
    }
}

fn failed(e: impl Into<io::Error>) -> BlockError {
    BlockError::Host(e.into().to_string())
}

/// The host's file system cannot do it.
fn unsupported(e: Errno) -> bool {
    matches!(
        e,
        Errno::OPNOTSUPP | Errno::NOSYS | Errno::NODEV | Errno::INVAL
    )
}

impl Storage for RawFile {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), BlockError> {
        // A file that was cut short yields an error, not zeroes.
        self.file.read_exact_at(buf, offset).map_err(failed)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), BlockError> {
        // Writing behind the end would silently make the file longer again, with holes in it.
        if self
            .file
            .metadata()
            .is_ok_and(|m| m.is_file() && m.len() < offset.saturating_add(data.len() as u64))
        {
            return Err(BlockError::Host("the image was cut short".into()));
        }
        self.file.write_all_at(data, offset).map_err(failed)
    }

    fn flush(&self) -> Result<(), BlockError> {
        self.file.sync_data().map_err(failed)
    }

    fn discard(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        if len == 0 {
            return Ok(());
        }
        let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match fallocate(&self.file, how, offset, len) {
            // Only advice.
            Err(e) if unsupported(e) => Ok(()),
            other => other.map_err(failed),
        }
    }

    fn write_zeroes(&self, offset: u64, len: u64, unmap: bool) -> Result<(), BlockError> {
        if len == 0 {
            return Ok(());
        }
        let how = if unmap {
            FallocateFlags::PUNCH_HOLE
        } else {
            FallocateFlags::ZERO_RANGE
        };
        match fallocate(&self.file, how | FallocateFlags::KEEP_SIZE, offset, len) {
            Err(e) if unsupported(e) => {}
            other => return other.map_err(failed),
        }
        let zeroes = [0; 64 << 10];
        let mut done = 0;
        while done < len {
            let n = (len - done).min(zeroes.len() as u64);
            let part = zeroes.get(..n as usize).unwrap_or_default();
            self.write_at(offset + done, part)?;
            done += n;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    struct Temp(PathBuf);
    impl Temp {
        fn new(name: &str, contents: &[u8]) -> Self {
            let dir = std::env::temp_dir();
            let path = dir.join(format!("ambidex-raw-{}-{name}", std::process::id()));
            fs::write(&path, contents).unwrap();
            Self(path)
        }
    }
    impl Drop for Temp {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    const READ_ONLY: RawOptions = RawOptions {
        read_only: true,
        unlocked: false,
    };

    #[test]
    fn reads_writes_and_makes_holes() {
        let t = Temp::new("rw", &[1; 8192]);
        let f = RawFile::open(&t.0, RawOptions::default()).unwrap();
        assert_eq!((f.len(), f.read_only()), (8192, false));
        f.write_at(512, &[2; 512]).unwrap();
        f.write_zeroes(1024, 512, true).unwrap();
        f.write_zeroes(2048, 512, false).unwrap();
        f.discard(4096, 4096).unwrap();
        f.discard(0, 0).unwrap();
        f.flush().unwrap();
        let c = fs::read(&t.0).unwrap();
        assert_eq!(c.len(), 8192);
        let at = [0, 512, 1023, 1024, 1535, 1536, 2047, 2048, 2560].map(|n: usize| c[n]);
        assert_eq!(at, [1, 2, 2, 0, 0, 1, 1, 0, 1]);
        let mut b = [0; 512];
        f.read_at(512, &mut b).unwrap();
        assert_eq!(b, [2; 512]);
    }

    #[test]
    fn a_file_that_shrinks_yields_errors() {
        let t = Temp::new("shrink", &[1; 4096]);
        let f = RawFile::open(&t.0, RawOptions::default()).unwrap();
        fs::OpenOptions::new()
            .write(true)
            .open(&t.0)
            .unwrap()
            .set_len(1024)
            .unwrap();
        let mut b = [0; 512];
        assert!(f.read_at(512, &mut b).is_ok());
        assert!(matches!(f.read_at(1024, &mut b), Err(BlockError::Host(_))));
        assert!(matches!(f.write_at(1024, &b), Err(BlockError::Host(_))));
    }

    #[test]
    fn what_cannot_be_opened_is_said() {
        let text = |p: &Path, o| RawFile::open(p, o).unwrap_err().to_string();
        let missing = text(Path::new("/nonexistent/disk.img"), READ_ONLY);
        assert!(
            missing.contains("'/nonexistent/disk.img'") && missing.contains("check the path"),
            "{missing}"
        );
        let odd = Temp::new("odd", &[0; 700]);
        assert!(text(&odd.0, READ_ONLY).contains("700 bytes long, which is not a multiple of 512"));
        let empty = Temp::new("empty", &[]);
        assert!(text(&empty.0, READ_ONLY).contains("0 bytes long"));
        assert!(text(&std::env::temp_dir(), READ_ONLY).contains("is no disk image"));
        assert!(text(&std::env::temp_dir(), RawOptions::default()).contains("is no disk image"));
    }

    #[test]
    fn two_writers_are_refused() {
        let t = Temp::new("lock", &[0; 512]);
        let first = RawFile::open(&t.0, RawOptions::default()).unwrap();
        for o in [RawOptions::default(), READ_ONLY] {
            let e = RawFile::open(&t.0, o).unwrap_err();
            assert!(
                e.to_string().contains("is in use by another process"),
                "{e}"
            );
        }
        drop(first);
        let _reader = RawFile::open(&t.0, READ_ONLY).unwrap();
        let _another = RawFile::open(&t.0, READ_ONLY).unwrap();
        assert!(matches!(
            RawFile::open(&t.0, RawOptions::default()),
            Err(ImageError::Locked { .. })
        ));
    }
}
