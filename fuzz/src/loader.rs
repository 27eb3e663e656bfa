//! Files a machine boots from, which are untrusted.

use ambidex_machine::fdt::Fdt;
use ambidex_machine::loader::{Elf, Image};

/// Most memory an image may take here.
const LIMIT: u64 = 1 << 20;

/// Kernels and firmware of every kind, packed or not: refused with a sentence, or within bounds.
pub fn kernel_image(data: &[u8]) {
    match Image::open("the input", data.to_vec(), LIMIT) {
        Err(e) => assert!(!e.to_string().is_empty()),
        Ok(image) => {
            for (name, _) in image.symbols() {
                assert!(name.len() <= data.len().max(LIMIT as usize));
            }
            match image {
                Image::Elf(elf) => check(&elf),
                Image::Linux { size, data, .. } => {
                    assert!(size <= LIMIT && data.len() as u64 <= LIMIT)
                }
                Image::Raw(data) => assert!(data.len() as u64 <= LIMIT),
            }
        }
    }
}

/// ELF files.
pub fn elf(data: &[u8]) {
    if let Ok(elf) = Elf::parse("the input", data, LIMIT) {
        check(&elf);
    }
}

fn check(elf: &Elf) {
    let _ = (elf.physical_entry(), elf.symbol("tohost"));
}

/// Flattened device trees: what is read can be written, and is then read as the same.
pub fn fdt(data: &[u8]) {
    let Ok(tree) = Fdt::from_bytes(data) else {
        return;
    };
    let _ = tree.to_source();
    let again = tree.to_bytes();
    match Fdt::from_bytes(&again) {
        Ok(second) => assert!(
            second == tree,
            "written and read again it is another tree:\n{}\n{}",
            tree.to_source(),
            second.to_source()
        ),
        // Bounds may be passed by writing it without sharing strings.
        Err(e) => assert!(
            again.len() > 1 << 20,
            "written, it cannot be read: {e}\n{}",
            tree.to_source()
        ),
    }
}
