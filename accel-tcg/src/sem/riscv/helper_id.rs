//! Helpers that RISC-V semantics call. The guest provides the functions, in this order, as its helper table.
//!
//! Every helper may stop with an exception; [`ILLEGAL`](super::ILLEGAL) with the instruction's bits as value is the answer to missing
//! privilege, which is why most get those bits. What a helper does not say to return is ignored.
//!
//! Stopping with *Retry* means that the instruction has had no effect and is executed again after a fresh look at the mode; with *Jumped*, that it is
//! complete and has put the address of the next one into the PC slot.

use crate::sem::HelperId;

/// `()`. Sets `mstatus.FS` to Dirty, then stops with Retry: the instruction runs again as one of a block compiled for FS = Dirty.
pub const MARK_FS_DIRTY: HelperId = HelperId(0);
/// `(number, kind, operand, bits) -> old value`. Accesses a CSR, `kind` being one of [`csr`]. The old value is 0 for [`csr::WRITE_ONLY`].
/// A write to `fflags`, `frm` or `fcsr` sets FS to Dirty; any access to them when FS is Off is illegal.
pub const CSR_ACCESS: HelperId = HelperId(1);
/// `(bits)`. Does `mret`: new privilege, and the PC slot set to `mepc`. Stops with Jumped.
pub const MRET: HelperId = HelperId(2);
/// `(bits)`. Does `sret`: as [`MRET`] with `sepc`.
pub const SRET: HelperId = HelperId(3);
/// `(bits)`. Waits for an interrupt, normally by stopping with an exit; returning continues at once.
pub const WFI: HelperId = HelperId(4);
/// `(pc)`. Breakpoint at this address: an exception, or a semihosting or debugger call, in which case it returns or exits.
pub const EBREAK: HelperId = HelperId(5);
/// `(rs1 value, rs2 value, present, bits)`. `sfence.vma` and `sinval.vma`; bit 0 of `present` is set if an address is given (rs1 is not
/// x0), bit 1 if an address-space identifier is (rs2 is not x0).
pub const SFENCE_VMA: HelperId = HelperId(6);
/// `(bits)`. `sfence.w.inval` (0x18000073) and `sfence.inval.ir` (0x18100073): checks privilege, nothing else if [`SFENCE_VMA`] acts at
/// once.
pub const SFENCE_INVAL: HelperId = HelperId(7);
/// `()`. `fence.i`: later fetches see earlier stores.
pub const FENCE_I: HelperId = HelperId(8);
/// `(address, kind, bits)`. Cache-block operation on the block that holds the address, `kind` being one of [`cbo`].
pub const CBO: HelperId = HelperId(9);
/// `(kind, bits)`. `wrs.nto` (kind 0) and `wrs.sto` (kind 1): may wait as long as the reservation holds and no interrupt is pending.
pub const WRS: HelperId = HelperId(10);
/// `(address, rd, rs2, aq << 1 | rl)`. `amocas.q`. The helper reads and writes the register slots: expected and old value are
/// {rd + 1, rd}, the new one is {rs2 + 1, rs2}, a pair that starts at x0 reads as zero and is not written. Both numbers are even. The
/// address may be misaligned (an exception).
pub const AMOCAS_Q: HelperId = HelperId(11);
/// Number of helpers.
pub const COUNT: usize = 12;

/// Kinds of [`CSR_ACCESS`].
pub mod csr {
    /// `csrrw`: read, then write the operand.
    pub const WRITE: u64 = 0;
    /// `csrrs`: read, then set the bits of the operand.
    pub const SET: u64 = 1;
    /// `csrrc`: read, then clear the bits of the operand.
    pub const CLEAR: u64 = 2;
    /// `csrrs` and `csrrc` from x0: read without writing, allowed on read-only registers.
    pub const READ: u64 = 3;
    /// `csrrw` to x0: write without reading.
    pub const WRITE_ONLY: u64 = 4;
}

/// Kinds of [`CBO`], as encoded in the instruction.
pub mod cbo {
    /// Invalidate.
    pub const INVAL: u64 = 0;
    /// Clean.
    pub const CLEAN: u64 = 1;
    /// Flush.
    pub const FLUSH: u64 = 2;
    /// Write zeros.
    pub const ZERO: u64 = 4;
}
