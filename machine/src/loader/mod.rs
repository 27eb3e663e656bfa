//! Loading kernels, firmware and initial RAM disks.
//!
//! Files are untrusted: sizes are bounded before memory is taken, and what does not fit, overlaps or is cut off is an error that says so.

pub mod compressed;
pub mod elf;
pub mod image;
pub mod place;

pub use elf::Elf;
pub use image::Image;
pub use place::{Blob, Layout};

/// Why something could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file contradicts itself or is cut off.
    #[error("{file} is no usable {format}: {what}")]
    Damaged {
        /// What it was given as.
        file: String,
        /// The format recognised.
        format: &'static str,
        /// What is wrong.
        what: String,
    },
    /// It is larger than can be loaded.
    #[error(
        "{file} is larger than {limit} bytes when unpacked; give the machine more RAM with -m, or use a smaller file"
    )]
    TooLarge {
        /// What it was given as.
        file: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// Its place is no RAM or ROM.
    #[error(
        "{file} has to be at {at:#x}..{end:#x}, where the board has no memory; give the machine more RAM with -m, or link it elsewhere"
    )]
    NoMemory {
        /// What it was given as.
        file: String,
        /// First address.
        at: u64,
        /// One past the last address.
        end: u64,
    },
    /// Two things need the same place.
    #[error(
        "{a} and {b} overlap at {at:#x}; give the machine more RAM with -m, or link one of them elsewhere"
    )]
    Overlap {
        /// The one.
        a: String,
        /// The other.
        b: String,
        /// Where they begin to overlap.
        at: u64,
    },
}

impl LoadError {
    pub(crate) fn damaged(file: &str, format: &'static str, what: impl Into<String>) -> LoadError {
        LoadError::Damaged {
            file: file.to_owned(),
            format,
            what: what.into(),
        }
    }
}

pub(crate) fn le(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(size)?)?;
    Some(field.iter().rev().fold(0, |v, b| v << 8 | u64::from(*b)))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::elf as tests_elf;
