//! What a `fw_cfg` device offers.

use super::spec::*;
use std::collections::BTreeMap;

/// Longest file name, without the NUL behind it.
const MAX_NAME: usize = 55;
/// Most files.
const MAX_FILES: usize = 1024;

pub(super) struct Item {
    pub(super) data: Vec<u8>,
    pub(super) writable: bool,
}

/// Why an item was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FwCfgError {
    /// The name does not fit into the directory.
    #[error(
        "fw_cfg file '{0}' has a name that is empty or longer than 55 bytes; use a shorter one"
    )]
    Name(String),
    /// There is such a file already.
    #[error("fw_cfg file '{0}' is given twice; remove one")]
    Twice(String),
    /// The directory is full.
    #[error("fw_cfg file '{0}' is one too many; there can be 1024")]
    Full(String),
    /// The file is 4 GiB long or longer.
    #[error("fw_cfg file '{0}' is too long; files are shorter than 4 GiB")]
    TooLong(String),
}

/// The items of a [`FwCfg`](super::FwCfg): the signature and features to begin with.
#[derive(Default)]
pub struct FwCfgItems {
    numbered: BTreeMap<u16, Vec<u8>>,
    files: BTreeMap<String, Item>,
}

impl FwCfgItems {
    /// No further items.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An item with a number of its own, below 0x4000 and none of the directory's.
    #[must_use]
    pub fn item(mut self, key: u16, data: Vec<u8>) -> Self {
        self.numbered.insert(key & !0x4000, data);
        self
    }

    /// The number of CPUs present, and the most there can be.
    #[must_use]
    pub fn cpus(self, present: u16, max: u16) -> Self {
        self.item(NB_CPUS, present.to_le_bytes().to_vec())
            .item(MAX_CPUS, max.to_le_bytes().to_vec())
    }

    fn add(mut self, name: &str, data: Vec<u8>, writable: bool) -> Result<Self, FwCfgError> {
        let name = name.to_owned();
        if name.is_empty() || name.len() > MAX_NAME || name.contains('\0') {
            return Err(FwCfgError::Name(name));
        }
        if self.files.contains_key(&name) {
            return Err(FwCfgError::Twice(name));
        }
        if self.files.len() >= MAX_FILES {
            return Err(FwCfgError::Full(name));
        }
        if u32::try_from(data.len()).is_err() {
            return Err(FwCfgError::TooLong(name));
        }
        self.files.insert(name, Item { data, writable });
        Ok(self)
    }

    /// A file.
    ///
    /// # Errors
    /// The name or length does not fit, or there is such a file.
    pub fn file(self, name: &str, data: Vec<u8>) -> Result<Self, FwCfgError> {
        self.add(name, data, false)
    }

    /// A file that the guest can write by DMA. Its length is fixed.
    ///
    /// # Errors
    /// As [`file`](Self::file).
    pub fn writable_file(self, name: &str, data: Vec<u8>) -> Result<Self, FwCfgError> {
        self.add(name, data, true)
    }

    /// All items by key, the directory among them. Files are numbered in the order of their names.
    pub(super) fn finish(self) -> BTreeMap<u16, Item> {
        let fixed = |data| Item {
            data,
            writable: false,
        };
        let mut all: BTreeMap<u16, Item> = self
            .numbered
            .into_iter()
            .map(|(k, d)| (k, fixed(d)))
            .collect();
        let mut directory = (self.files.len() as u32).to_be_bytes().to_vec();
        for (key, (name, item)) in (FILE_FIRST..).zip(self.files) {
            directory.extend((item.data.len() as u32).to_be_bytes());
            directory.extend(key.to_be_bytes());
            directory.extend([0; 2]);
            directory.extend(name.bytes().chain(std::iter::repeat(0)).take(MAX_NAME + 1));
            all.insert(key, item);
        }
        all.insert(FILE_DIR, fixed(directory));
        all.insert(SIGNATURE, fixed(b"QEMU".to_vec()));
        // Bit 0: the interface as such; bit 1: DMA.
        all.insert(ID, fixed(vec![3, 0, 0, 0]));
        all
    }
}
