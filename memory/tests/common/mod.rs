//! What the integration tests share.

use std::sync::Arc;

use ambidex_memory::{Backing, RamBlock, RamOptions};

/// A block on the heap, so that the tests run the same with every set of features.
pub fn heap(name: &str, len: u64) -> Arc<RamBlock> {
    let opt = RamOptions {
        backing: Backing::Heap,
        ..RamOptions::default()
    };
    RamBlock::new(name, len, &opt).unwrap()
}
