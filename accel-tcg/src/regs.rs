//! The part of a virtual CPU that compiled code touches directly, in a layout it can address.

#![expect(unsafe_code, reason = "the register file is shared with compiled code")]

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, Ordering};

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
    /// The reservation of the last load-reserved.
    pub reservation: Reservation,
    /// The bank in use (`r14` of compiled code).
    pub bank: usize,
    /// The engine that owns this context, for thunks called from compiled code.
    pub owner: usize,
    /// Scratch words of the exit protocol, see `jit::entry`.
    pub exit_payload: [u64; 4],
}

/// What a load-reserved leaves for the store-conditional.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Reservation {
    /// Virtual address, [`NO_RESERVATION`] if none.
    pub addr: u64,
    /// The value loaded, zero-extended.
    pub value: u64,
}

/// [`Reservation::addr`] when there is no reservation (no aligned address looks like this).
pub const NO_RESERVATION: u64 = u64::MAX;

impl Context {
    /// A context with all registers zero.
    pub fn new() -> Context {
        Context {
            slots: [0; SLOTS],
            exit_request: AtomicU32::new(0),
            mxcsr: 0x1f80,
            fuel: 0,
            reservation: Reservation {
                addr: NO_RESERVATION,
                value: 0,
            },
            bank: 0,
            owner: 0,
            exit_payload: [0; 4],
        }
    }
}

impl Default for Context {
    fn default() -> Self {
        Context::new()
    }
}

/// A [`Context`] that compiled code and other threads can reach: only the vCPU's own thread touches anything but
/// [`Context::exit_request`].
pub struct ContextCell(UnsafeCell<Context>);

// SAFETY: other threads use `request_exit` alone, which touches one atomic field; the rest belongs to the thread that runs the vCPU, and a
// vCPU is driven through `&mut`.
unsafe impl Sync for ContextCell {}
// SAFETY: the addresses in the context are only meaningful to the engine that owns it and moves with it.
unsafe impl Send for ContextCell {}

impl ContextCell {
    /// A fresh context.
    pub fn new() -> ContextCell {
        ContextCell(UnsafeCell::new(Context::new()))
    }

    /// Asks compiled code to leave at the next block boundary.
    pub fn request_exit(&self) {
        self.exit_request().store(1, Ordering::Release);
    }

    /// The word that asks compiled code to leave.
    pub fn exit_request(&self) -> &AtomicU32 {
        // SAFETY: the pointer is valid while `self` is; a shared reference to the atomic field alone.
        unsafe { &(*self.0.get()).exit_request }
    }

    /// The context's address, for compiled code and the owning engine.
    pub fn as_ptr(&self) -> *mut Context {
        self.0.get()
    }
}

impl Default for ContextCell {
    fn default() -> Self {
        ContextCell::new()
    }
}
