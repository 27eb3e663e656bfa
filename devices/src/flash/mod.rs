//! Parallel NOR flash with the Common Flash Interface.

pub mod cfi;
#[cfg(test)]
mod cfi_test;

pub use cfi::{CfiFlash, FlashError, FlashMode, FlashOptions};
