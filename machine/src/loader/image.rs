//! What a kernel or firmware file is: ELF, a Linux `Image` for RISC-V, or raw bytes.

use super::compressed::unpack;
use super::{Elf, LoadError, le};

/// A kernel or firmware file, unpacked and recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Image {
    /// An ELF executable.
    Elf(Elf),
    /// A Linux kernel image (Linux `Documentation/arch/riscv/boot-image-header.rst`).
    Linux {
        /// Where it wants to be, counted from a 2 MiB boundary.
        text_offset: u64,
        /// Bytes it needs in memory, at least those of `data`.
        size: u64,
        /// The image.
        data: Vec<u8>,
    },
    /// Anything else, entered at its first byte.
    Raw(Vec<u8>),
}

impl Image {
    /// Unpacks and recognises `data`, which may take up to `limit` bytes of memory.
    ///
    /// # Errors
    /// It is damaged or too large.
    pub fn open(file: &str, data: Vec<u8>, limit: u64) -> Result<Image, LoadError> {
        let data = unpack(file, data, limit)?;
        if data.is_empty() {
            return Err(LoadError::damaged(file, "image", "it is empty"));
        }
        if Elf::is(&data) {
            return Ok(Image::Elf(Elf::parse(file, &data, limit)?));
        }
        if data.get(0x38..0x3c) == Some(b"RSC\x05") {
            let header = |at| le(&data, at, 8).unwrap_or(0);
            let (text_offset, size, flags) = (header(8), header(16), header(24));
            if flags & 1 != 0 {
                return Err(LoadError::damaged(file, "Linux image", "it is big-endian"));
            }
            if size > limit || text_offset > limit {
                return Err(LoadError::TooLarge {
                    file: file.to_owned(),
                    limit,
                });
            }
            let size = size.max(data.len() as u64);
            return Ok(Image::Linux {
                text_offset,
                size,
                data,
            });
        }
        Ok(Image::Raw(data))
    }

    /// The symbols, if it has any.
    #[must_use]
    pub fn symbols(&self) -> &[(String, u64)] {
        match self {
            Image::Elf(elf) => &elf.symbols,
            _ => &[],
        }
    }
}
