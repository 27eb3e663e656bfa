//! Fields of `mstatus` and `sstatus` (Privileged 3.1.6, "Machine Status").

/// Supervisor interrupt enable.
pub const SIE: u64 = 1 << 1;
/// Machine interrupt enable.
pub const MIE: u64 = 1 << 3;
/// `SIE` before the last trap into S-mode.
pub const SPIE: u64 = 1 << 5;
/// User accesses are big-endian; read-only zero here.
pub const UBE: u64 = 1 << 6;
/// `MIE` before the last trap into M-mode.
pub const MPIE: u64 = 1 << 7;
/// Mode before the last trap into S-mode.
pub const SPP: u64 = 1 << 8;
/// Vector state, 2 bits.
pub const VS: u64 = 3 << VS_SHIFT;
/// Position of [`VS`].
pub const VS_SHIFT: u32 = 9;
/// Mode before the last trap into M-mode, 2 bits.
pub const MPP: u64 = 3 << MPP_SHIFT;
/// Position of [`MPP`].
pub const MPP_SHIFT: u32 = 11;
/// Floating-point state, 2 bits.
pub const FS: u64 = 3 << FS_SHIFT;
/// Position of [`FS`].
pub const FS_SHIFT: u32 = 13;
/// State of other extensions, 2 bits; read-only zero here.
pub const XS: u64 = 3 << 15;
/// Loads and stores use the mode in `MPP`.
pub const MPRV: u64 = 1 << 17;
/// S-mode may access user pages.
pub const SUM: u64 = 1 << 18;
/// Executable pages may be read.
pub const MXR: u64 = 1 << 19;
/// Trap virtual memory management in S-mode.
pub const TVM: u64 = 1 << 20;
/// `wfi` below M-mode traps.
pub const TW: u64 = 1 << 21;
/// `sret` in S-mode traps.
pub const TSR: u64 = 1 << 22;
/// XLEN in U-mode, fixed at 2 (64 bits).
pub const UXL: u64 = 3 << 32;
/// [`UXL`] = 64 bits.
pub const UXL_64: u64 = 2 << 32;
/// XLEN in S-mode, fixed at 2 (64 bits).
pub const SXL: u64 = 3 << 34;
/// [`SXL`] = 64 bits.
pub const SXL_64: u64 = 2 << 34;
/// Some extension's state is dirty: read-only summary of `FS`, `VS`, `XS`.
pub const SD: u64 = 1 << 63;

/// State field: off; instructions that use it are illegal.
pub const OFF: u64 = 0;
/// State field: initial.
pub const INITIAL: u64 = 1;
/// State field: clean.
pub const CLEAN: u64 = 2;
/// State field: dirty.
pub const DIRTY: u64 = 3;
