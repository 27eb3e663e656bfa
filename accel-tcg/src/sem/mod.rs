//! The vocabulary in which guest instructions are written down, once.
//!
//! A guest's semantics are one generic function `exec<O: Ops>(o, insn, ...)`. The interpreter implements [`Ops`] by computing,
//! the IR builder implements it by recording; the two can only differ in what happens to the recording afterwards.
//!
//! Rules for semantics:
//! - A value ([`Ops::V`]) is opaque: Rust-level decisions may depend only on decoded fields and on the mode the block was
//!   compiled for, never on guest data. Data-dependent choices use [`Ops::select`], [`Ops::branch`] or a helper.
//! - Within one instruction: read registers, compute, do what may fault, and only then write registers. An instruction that
//!   faults must have changed nothing.
//! - At most one of [`Ops::jump`], [`Ops::branch`], [`Ops::jump_reg`], [`Ops::resync`], [`Ops::raise`] is called, and last.
//!
//! All values are 64 bits wide. Operations of a narrower [`Width`] use the low bits of their operands and return the result
//! **zero-extended**; semantics that want a sign extension ask for it with [`Ops::ext`].

pub mod riscv;

use crate::fp::{Format, Rounding};

/// Index of a guest register in the register file ([`crate::regs::Context::slots`]). Each guest numbers its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot(pub u8);

/// Operand width of an integer operation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Width {
    /// 8 bits.
    W8 = 0,
    /// 16 bits.
    W16 = 1,
    /// 32 bits.
    W32 = 2,
    /// 64 bits.
    W64 = 3,
}

impl Width {
    /// Number of bits.
    pub const fn bits(self) -> u32 {
        8 << self as u32
    }
    /// Number of bytes.
    pub const fn bytes(self) -> u8 {
        1 << self as u8
    }
    /// All ones in this width.
    pub const fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits())
    }
}

/// Two-operand integer operations. Shift and rotate counts are taken modulo the width.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Bin {
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Bitwise and.
    And,
    /// Bitwise or.
    Or,
    /// Bitwise exclusive or.
    Xor,
    /// First operand and the complement of the second.
    AndNot,
    /// Shift left.
    Shl,
    /// Logical shift right.
    Shr,
    /// Arithmetic shift right.
    Sar,
    /// Rotate right.
    Ror,
    /// Rotate left.
    Rol,
    /// Low half of the product.
    Mul,
    /// High half of the unsigned product.
    MulHiU,
    /// High half of the signed product.
    MulHiS,
    /// High half of signed (first) times unsigned (second).
    MulHiSU,
    /// Unsigned quotient; all ones when the divisor is zero.
    DivU,
    /// Signed quotient; all ones when the divisor is zero, the dividend on overflow.
    DivS,
    /// Unsigned remainder; the dividend when the divisor is zero.
    RemU,
    /// Signed remainder; the dividend when the divisor is zero, zero on overflow.
    RemS,
    /// Smaller, signed.
    MinS,
    /// Smaller, unsigned.
    MinU,
    /// Larger, signed.
    MaxS,
    /// Larger, unsigned.
    MaxU,
    /// Low half of the carry-less product.
    ClMul,
    /// High half of the carry-less product.
    ClMulHi,
}

/// One-operand integer operations.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Un {
    /// Complement.
    Not,
    /// Two's complement.
    Neg,
    /// Leading zeros; the width for zero.
    Clz,
    /// Trailing zeros; the width for zero.
    Ctz,
    /// Number of ones.
    Popcnt,
    /// Bytes reversed.
    Bswap,
    /// Bits of each byte reversed.
    RevBitsInBytes,
    /// Each byte becomes 0xff if it was not zero.
    OrBytes,
}

/// A comparison of two integers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Cond {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Signed less than.
    LtS,
    /// Signed less or equal.
    LeS,
    /// Signed greater than.
    GtS,
    /// Signed greater or equal.
    GeS,
    /// Unsigned less than.
    LtU,
    /// Unsigned less or equal.
    LeU,
    /// Unsigned greater than.
    GtU,
    /// Unsigned greater or equal.
    GeU,
}

impl Cond {
    /// The comparison that holds exactly when this one does not.
    pub const fn inverse(self) -> Cond {
        match self {
            Cond::Eq => Cond::Ne,
            Cond::Ne => Cond::Eq,
            Cond::LtS => Cond::GeS,
            Cond::LeS => Cond::GtS,
            Cond::GtS => Cond::LeS,
            Cond::GeS => Cond::LtS,
            Cond::LtU => Cond::GeU,
            Cond::LeU => Cond::GtU,
            Cond::GtU => Cond::LeU,
            Cond::GeU => Cond::LtU,
        }
    }

    /// The comparison that gives the same answer with the operands exchanged.
    pub const fn swapped(self) -> Cond {
        match self {
            Cond::Eq => Cond::Eq,
            Cond::Ne => Cond::Ne,
            Cond::LtS => Cond::GtS,
            Cond::LeS => Cond::GeS,
            Cond::GtS => Cond::LtS,
            Cond::GeS => Cond::LeS,
            Cond::LtU => Cond::GtU,
            Cond::LeU => Cond::GeU,
            Cond::GtU => Cond::LtU,
            Cond::GeU => Cond::LeU,
        }
    }

    /// The answer for two values of the given width.
    pub const fn holds(self, w: Width, a: u64, b: u64) -> bool {
        let sh = 64 - w.bits();
        let (ua, ub) = (a << sh, b << sh);
        let (sa, sb) = (ua as i64, ub as i64);
        match self {
            Cond::Eq => ua == ub,
            Cond::Ne => ua != ub,
            Cond::LtS => sa < sb,
            Cond::LeS => sa <= sb,
            Cond::GtS => sa > sb,
            Cond::GeS => sa >= sb,
            Cond::LtU => ua < ub,
            Cond::LeU => ua <= ub,
            Cond::GtU => ua > ub,
            Cond::GeU => ua >= ub,
        }
    }
}

/// How a memory access is done.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MemOp {
    /// Access size.
    pub size: Width,
    /// Loads: sign-extend the value to 64 bits (otherwise zero-extend).
    pub sign: bool,
    /// The address must be a multiple of the size, otherwise the guest gets its misaligned-access exception.
    pub aligned: bool,
    /// The access is ordered before later ones (acquire).
    pub acquire: bool,
    /// The access is ordered after earlier ones (release).
    pub release: bool,
}

impl MemOp {
    /// A plain access of this size: zero-extended, any alignment, no ordering.
    pub const fn plain(size: Width) -> MemOp {
        MemOp {
            size,
            sign: false,
            aligned: false,
            acquire: false,
            release: false,
        }
    }
    /// The same, sign-extended.
    pub const fn signed(size: Width) -> MemOp {
        MemOp {
            sign: true,
            ..MemOp::plain(size)
        }
    }
}

/// Read-modify-write operations on memory; each returns the old value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Rmw {
    /// Store the operand.
    Swap,
    /// Add.
    Add,
    /// And.
    And,
    /// Or.
    Or,
    /// Exclusive or.
    Xor,
    /// Signed minimum.
    MinS,
    /// Unsigned minimum.
    MinU,
    /// Signed maximum.
    MaxS,
    /// Unsigned maximum.
    MaxU,
}

/// Two-operand floating-point arithmetic.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum FpBin {
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Product.
    Mul,
    /// Quotient.
    Div,
}

/// Minimum and maximum, by NaN rule.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum FpMinMax {
    /// IEEE 754-2019 minimumNumber (RISC-V `fmin`).
    MinNumber,
    /// IEEE 754-2019 maximumNumber (RISC-V `fmax`).
    MaxNumber,
    /// IEEE 754-2019 minimum (RISC-V `fminm`).
    Minimum,
    /// IEEE 754-2019 maximum (RISC-V `fmaxm`).
    Maximum,
}

/// Floating-point comparison.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum FpCmp {
    /// Equal.
    Eq,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
}

/// Where the rounding direction of an operation comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Round {
    /// The instruction names it.
    Fixed(Rounding),
    /// The guest's rounding-mode register, which the block was compiled for if it is [`Rounding::Rne`]
    /// (see [`crate::guest::ModeKey::dynamic_is_rne`]), and is read at run time otherwise.
    Dynamic,
}

/// An integer type for conversions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct IntFormat {
    /// [`Width::W32`] or [`Width::W64`].
    pub width: Width,
    /// Two's complement.
    pub signed: bool,
}

/// Memory ordering asked for by a fence instruction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Fence {
    /// Only the order of this CPU's own accesses as seen by itself: nothing to emit on any host.
    Local,
    /// Everything before, ordered with everything after, except a store followed by a load (x86 hosts: nothing to emit).
    AcquireRelease,
    /// Store-to-load too.
    Full,
}

/// Why a jump happens, as far as the instruction tells; only a hint for prediction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum JumpKind {
    /// Nothing known.
    Plain,
    /// A call: the link register was written.
    Call,
    /// A return.
    Return,
}

/// Number of a guest helper function, an index in [`crate::guest::Guest::HELPERS`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct HelperId(pub u16);

/// What guest semantics may ask for. See the module's rules.
///
/// Floating-point values are raw bits in the low part of a value. All floating-point operations accumulate exception flags in the
/// guest's flag slot ([`crate::guest::Guest::FFLAGS`]) and follow the guest's NaN rule ([`crate::guest::Guest::NAN_RULE`]).
pub trait Ops {
    /// A 64-bit value.
    type V: Copy;
    /// How execution of an instruction ends early. The builder never produces one.
    type Err;

    /// A constant.
    fn imm(&mut self, value: u64) -> Self::V;
    /// Reads a guest register.
    fn get(&mut self, slot: Slot) -> Self::V;
    /// Writes a guest register.
    fn set(&mut self, slot: Slot, value: Self::V);
    /// Two-operand integer operation.
    fn bin(&mut self, op: Bin, w: Width, a: Self::V, b: Self::V) -> Self::V;
    /// One-operand integer operation.
    fn un(&mut self, op: Un, w: Width, a: Self::V) -> Self::V;
    /// Extends the low `from` bits to 64, with sign or zeros.
    fn ext(&mut self, signed: bool, from: Width, a: Self::V) -> Self::V;
    /// 1 if the comparison holds, else 0.
    fn cmp(&mut self, c: Cond, w: Width, a: Self::V, b: Self::V) -> Self::V;
    /// `t` if the comparison of `a` and `b` holds, else `f`.
    fn select(
        &mut self,
        c: Cond,
        w: Width,
        a: Self::V,
        b: Self::V,
        t: Self::V,
        f: Self::V,
    ) -> Self::V;

    /// Loads from guest virtual memory.
    fn load(&mut self, m: MemOp, addr: Self::V) -> Result<Self::V, Self::Err>;
    /// Stores to guest virtual memory.
    fn store(&mut self, m: MemOp, addr: Self::V, value: Self::V) -> Result<(), Self::Err>;
    /// Atomic read-modify-write; returns the old value, extended as `m.sign` says.
    fn rmw(
        &mut self,
        op: Rmw,
        m: MemOp,
        addr: Self::V,
        value: Self::V,
    ) -> Result<Self::V, Self::Err>;
    /// Atomic compare-and-swap; returns the old value, extended as `m.sign` says. Only the low `m.size` bits of `expected` count.
    fn cas(
        &mut self,
        m: MemOp,
        addr: Self::V,
        expected: Self::V,
        new: Self::V,
    ) -> Result<Self::V, Self::Err>;
    /// Loads and registers a reservation (load-reserved, load-exclusive).
    fn load_reserved(&mut self, m: MemOp, addr: Self::V) -> Result<Self::V, Self::Err>;
    /// Stores if the reservation still holds; returns 0 when stored, 1 when not. The reservation is gone either way.
    fn store_conditional(
        &mut self,
        m: MemOp,
        addr: Self::V,
        value: Self::V,
    ) -> Result<Self::V, Self::Err>;
    /// Memory fence.
    fn fence(&mut self, kind: Fence);

    /// RISC-V NaN boxing, reading side: the value if all bits above the format are ones, else the canonical NaN of the format.
    fn fp_unbox(&mut self, f: Format, v: Self::V) -> Self::V;
    /// RISC-V NaN boxing, writing side: all bits above the format set.
    fn fp_box(&mut self, f: Format, v: Self::V) -> Self::V;
    /// Addition, subtraction, multiplication, division.
    fn fp_bin(&mut self, op: FpBin, f: Format, rm: Round, a: Self::V, b: Self::V) -> Self::V;
    /// Square root.
    fn fp_sqrt(&mut self, f: Format, rm: Round, a: Self::V) -> Self::V;
    /// Fused `±(a*b) ± c`.
    #[expect(
        clippy::too_many_arguments,
        reason = "an instruction has this many operands"
    )]
    fn fp_fma(
        &mut self,
        f: Format,
        rm: Round,
        neg_product: bool,
        neg_addend: bool,
        a: Self::V,
        b: Self::V,
        c: Self::V,
    ) -> Self::V;
    /// Comparison, 0 or 1. Quiet NaNs are invalid only if `signaling`.
    fn fp_cmp(&mut self, c: FpCmp, f: Format, signaling: bool, a: Self::V, b: Self::V) -> Self::V;
    /// Minimum and maximum.
    fn fp_minmax(&mut self, op: FpMinMax, f: Format, a: Self::V, b: Self::V) -> Self::V;
    /// To an integer: saturating, NaN as the largest; 32-bit results are sign-extended.
    fn fp_to_int(&mut self, f: Format, rm: Round, to: IntFormat, a: Self::V) -> Self::V;
    /// From an integer.
    fn fp_from_int(&mut self, f: Format, rm: Round, from: IntFormat, a: Self::V) -> Self::V;
    /// Between formats.
    fn fp_convert(&mut self, from: Format, to: Format, rm: Round, a: Self::V) -> Self::V;
    /// To an integral value in the same format; `exact` raises inexact when it changed.
    fn fp_round(&mut self, f: Format, rm: Round, exact: bool, a: Self::V) -> Self::V;
    /// RISC-V `fclass` mask.
    fn fp_classify(&mut self, f: Format, a: Self::V) -> Self::V;
    /// RISC-V `fcvtmod.w.d`.
    fn fp_to_int_mod(&mut self, a: Self::V) -> Self::V;

    /// Calls a guest helper with up to four arguments (missing ones are zero).
    fn call(&mut self, h: HelperId, args: &[Self::V]) -> Result<Self::V, Self::Err>;

    /// Ends the instruction by a direct jump to a virtual address.
    fn jump(&mut self, target: u64, kind: JumpKind);
    /// Ends the instruction by a jump to `target` if the comparison holds, otherwise the next instruction follows.
    fn branch(&mut self, c: Cond, w: Width, a: Self::V, b: Self::V, target: u64);
    /// Ends the instruction by an indirect jump.
    fn jump_reg(&mut self, target: Self::V, kind: JumpKind);
    /// Ends the instruction normally, but the next one must be fetched afresh: mode, address space or code may have changed.
    fn resync(&mut self);
    /// Ends the instruction by the guest exception `cause` with its value (RISC-V `tval`).
    fn raise(&mut self, cause: u64, value: Self::V) -> Result<(), Self::Err>;
}

impl MemOp {
    /// One word that [`MemOp::unpack`] turns back.
    pub const fn pack(self) -> u64 {
        self.size as u64
            | (self.sign as u64) << 2
            | (self.aligned as u64) << 3
            | (self.acquire as u64) << 4
            | (self.release as u64) << 5
    }

    /// The inverse of [`MemOp::pack`]; only its bits count.
    pub const fn unpack(word: u64) -> MemOp {
        MemOp {
            size: match word & 3 {
                0 => Width::W8,
                1 => Width::W16,
                2 => Width::W32,
                _ => Width::W64,
            },
            sign: word & 4 != 0,
            aligned: word & 8 != 0,
            acquire: word & 16 != 0,
            release: word & 32 != 0,
        }
    }
}

impl Rmw {
    /// The operation with this discriminant.
    pub const fn from_index(i: u64) -> Option<Rmw> {
        Some(match i {
            0 => Rmw::Swap,
            1 => Rmw::Add,
            2 => Rmw::And,
            3 => Rmw::Or,
            4 => Rmw::Xor,
            5 => Rmw::MinS,
            6 => Rmw::MinU,
            7 => Rmw::MaxS,
            8 => Rmw::MaxU,
            _ => return None,
        })
    }
}
