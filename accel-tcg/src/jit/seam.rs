//! What the engine and the compiler say to each other.

/// A direct jump out of a block that can be linked to the code of its target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkSite {
    /// Guest virtual address it goes to.
    pub target: u64,
    /// Where the rel32 of the jump lies, as an offset in the code buffer.
    pub site: u32,
    /// The exit stub it goes to while not linked.
    pub stub: u32,
    /// For a jump to another page: where the imm32 lies that is compared with the page's execution id.
    pub cross_page: Option<u32>,
}

/// A compiled block. Offsets are in the code buffer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Compiled {
    /// First instruction.
    pub entry: u32,
    /// End of its code.
    pub end: u32,
    /// Its links.
    pub links: Vec<LinkSite>,
    /// Host return address of every call out, with the index of the guest instruction it belongs to; ascending.
    pub side: Vec<(u32, u16)>,
}

/// Why a block was not compiled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CompileError {
    /// The current slab of the code buffer is full; evict the oldest and try again.
    Full,
    /// The block is one that the compiler does not take.
    Unsupported,
}

/// How compiled code came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExitKind {
    /// Through the exit stub of a link; the PC slot is set to its target.
    Link {
        /// [`LinkSite::stub`].
        stub: u32,
    },
    /// The PC slot holds the target of an indirect jump.
    Lookup,
    /// [`crate::regs::Context::exit_request`] was seen; the PC slot is set.
    Request,
    /// The fuel does not last for the block at the PC slot.
    Fuel,
    /// The PC slot is set; mode, mapping and interrupts need a fresh look.
    Resync,
    /// A runtime function asked to leave and knows why. The PC slot is not up to date.
    Stopped,
}

/// What a runtime function returns: in `rax` and `rdx`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Pair {
    /// Result.
    pub value: u64,
    /// 0: go on. Anything else: leave compiled code at once with [`ExitKind::Stopped`].
    pub status: u64,
}

/// Addresses of the functions compiled code calls, all `extern "sysv64"` and returning [`Pair`]; the first argument is the
/// [`crate::regs::Context`].
#[derive(Clone, Copy, Debug)]
pub struct RuntimeFns {
    /// `(va, MemOp::pack())`, the value extended as the description says.
    pub load: usize,
    /// `(va, MemOp::pack(), value)`.
    pub store: usize,
    /// `(va, MemOp::pack() | (Rmw as u64) << 32, value)`.
    pub rmw: usize,
    /// `(va, MemOp::pack(), expected, new)`.
    pub cas: usize,
    /// `(va, MemOp::pack())`.
    pub load_reserved: usize,
    /// `(va, MemOp::pack(), value)`.
    pub store_conditional: usize,
    /// `(helper, a, b, c, d)`; the PC slot is set by compiled code before, unless the helper is pure.
    pub call: usize,
    /// `(FpOp::pack(), a, b, c)`: touches no register but the flag slot, never asks to leave.
    pub fp: usize,
    /// `(cause, value)`; the PC slot is set by compiled code before. Always asks to leave.
    pub raise: usize,
}
