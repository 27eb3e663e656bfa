//! The part of a virtual CPU that compiled code touches directly, in a layout it can address.

use std::sync::atomic::AtomicU32;

/// Number of 64-bit register slots; every guest maps its registers into them.
pub const SLOTS: usize = 160;

/// Register `r15` of compiled code points at this slot, so that slots 0 to 31 are in reach of an 8-bit displacement.
pub const BASE_SLOT: usize = 16;

/// State shared between Rust and compiled code, one per virtual CPU, at a fixed address while the vCPU lives.
#[repr(C, align(64))]
pub struct Context {
    /// Guest registers; what each one is, the guest's module says.
    pub slots: [u64; SLOTS],
    /// Non-zero asks compiled code to leave at its next block boundary. Set by other threads, cleared by the run loop.
    pub exit_request: AtomicU32,
    /// The host's MXCSR as compiled code runs it: default masks, sticky flags accumulate.
    pub mxcsr: u32,
    /// Instructions left before compiled code must leave (counted only if the engine counts); may go below zero by less than one block,
    /// in which case the block was not started.
    pub fuel: i64,
    /// Address of the reservation made by the last load-reserved, [`NO_RESERVATION`] if none.
    pub reservation_addr: u64,
    /// The value it loaded.
    pub reservation_value: u64,
    /// The bank in use (`r14` of compiled code).
    pub bank: usize,
    /// The engine that owns this context, for thunks called from compiled code.
    pub owner: usize,
    /// Scratch words of the exit protocol, see `jit::entry`.
    pub exit_payload: [u64; 4],
}

/// [`Context::reservation_addr`] when there is no reservation (no aligned address looks like this).
pub const NO_RESERVATION: u64 = u64::MAX;
