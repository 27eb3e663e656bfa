//! Where things go in memory, and that they do not overlap.

use super::{Image, LoadError};
use ambidex_memory::{AddressSpace, Attrs, Gpa};
use std::sync::Arc;

/// Bytes that are loaded at each reset.
#[derive(Clone, Debug)]
pub struct Blob {
    /// What it is, for messages.
    pub name: String,
    /// Physical address.
    pub at: u64,
    /// Contents; up to `size` follow zeroes.
    pub data: Arc<[u8]>,
    /// Bytes it occupies.
    pub size: u64,
}

impl Blob {
    /// One past its last address.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.at.saturating_add(self.size)
    }

    fn no_memory(&self) -> LoadError {
        LoadError::NoMemory {
            file: self.name.clone(),
            at: self.at,
            end: self.end(),
        }
    }

    /// Whether all of it lies in RAM or ROM.
    fn check(&self, space: &AddressSpace) -> Result<(), LoadError> {
        let view = space.view();
        let mut at = self.at;
        while at < self.end() {
            let range = view
                .find(Gpa(at))
                .filter(|r| r.kind.block().is_some())
                .ok_or_else(|| self.no_memory())?;
            match range.last().0.checked_add(1) {
                Some(next) => at = next,
                None => break,
            }
        }
        Ok(())
    }

    /// Writes it.
    ///
    /// # Errors
    /// There is no memory in its place.
    pub fn load(&self, space: &AddressSpace) -> Result<(), LoadError> {
        space
            .load_rom(Gpa(self.at), &self.data)
            .map_err(|_| self.no_memory())?;
        // The part without contents (bss) is zero at every reset, not only at the first.
        let mut at = self.at + self.data.len() as u64;
        let zeroes = [0; 4096];
        while at < self.end() {
            let n = (self.end() - at).min(4096);
            space
                .write_bytes(Gpa(at), &zeroes[..n as usize], Attrs::LOADER)
                .map_err(|_| self.no_memory())?;
            at += n;
        }
        Ok(())
    }
}

/// What has been placed so far.
#[derive(Debug, Default)]
pub struct Layout {
    blobs: Vec<Blob>,
}

impl Layout {
    /// Places `data` followed by zeroes up to `size` at `at`.
    ///
    /// # Errors
    /// There is no memory, or something else is there.
    pub fn place(
        &mut self,
        space: &AddressSpace,
        name: &str,
        at: u64,
        data: impl Into<Arc<[u8]>>,
        size: u64,
    ) -> Result<(), LoadError> {
        let data = data.into();
        let blob = Blob {
            name: name.to_owned(),
            at,
            size: size.max(data.len() as u64),
            data,
        };
        if blob.at.checked_add(blob.size).is_none() {
            return Err(blob.no_memory());
        }
        blob.check(space)?;
        if let Some(other) = self
            .blobs
            .iter()
            .find(|o| o.at < blob.end() && blob.at < o.end())
        {
            return Err(LoadError::Overlap {
                a: other.name.clone(),
                b: blob.name,
                at: other.at.max(blob.at),
            });
        }
        self.blobs.push(blob);
        Ok(())
    }

    /// Places an image: an ELF file where it is linked, a Linux image at its offset from `base`, anything else at `base`.
    /// Returns its entry point and one past its last address.
    ///
    /// # Errors
    /// As [`place`](Self::place).
    pub fn place_image(
        &mut self,
        space: &AddressSpace,
        name: &str,
        image: &Image,
        base: u64,
    ) -> Result<(u64, u64), LoadError> {
        match image {
            Image::Elf(elf) => {
                let mut end = 0;
                for s in &elf.segments {
                    self.place(space, name, s.at, &s.data[..], s.size)?;
                    end = end.max(s.at + s.size);
                }
                Ok((elf.physical_entry(), end))
            }
            // The offset is from the start of RAM; boards hand over RAM's start plus what firmware takes, which is a multiple of it.
            Image::Linux { size, data, .. } => {
                self.place(space, name, base, &data[..], *size)?;
                Ok((base, base + size))
            }
            Image::Raw(data) => {
                self.place(space, name, base, &data[..], 0)?;
                Ok((base, base + data.len() as u64))
            }
        }
    }

    /// The highest address in use below `limit`, or `start` if there is none.
    #[must_use]
    pub fn end_below(&self, start: u64, limit: u64) -> u64 {
        self.blobs
            .iter()
            .filter(|b| b.at >= start && b.at < limit)
            .map(Blob::end)
            .max()
            .unwrap_or(start)
    }

    /// What was placed.
    #[must_use]
    pub fn blobs(&self) -> &[Blob] {
        &self.blobs
    }

    /// All of it, to be loaded at each reset.
    #[must_use]
    pub fn into_blobs(self) -> Vec<Blob> {
        self.blobs
    }
}
