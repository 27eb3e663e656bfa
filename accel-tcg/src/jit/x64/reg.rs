//! Registers, operand widths, conditions.

/// A general purpose register. Its width is chosen by the instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Gpr {
    Rax,
    Rcx,
    Rdx,
    Rbx,
    Rsp,
    Rbp,
    Rsi,
    Rdi,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
}

impl Gpr {
    /// All sixteen, in encoding order.
    pub const ALL: [Gpr; 16] = {
        use Gpr::*;
        [
            Rax, Rcx, Rdx, Rbx, Rsp, Rbp, Rsi, Rdi, R8, R9, R10, R11, R12, R13, R14, R15,
        ]
    };

    /// The register with this number (taken modulo 16).
    #[inline]
    pub const fn new(n: u8) -> Gpr {
        Gpr::ALL[(n & 15) as usize]
    }

    /// The number used in encodings, 0 to 15.
    #[inline]
    pub const fn num(self) -> u8 {
        self as u8
    }
}

/// An SSE/AVX register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Xmm {
    X0,
    X1,
    X2,
    X3,
    X4,
    X5,
    X6,
    X7,
    X8,
    X9,
    X10,
    X11,
    X12,
    X13,
    X14,
    X15,
}

impl Xmm {
    /// All sixteen, in encoding order.
    pub const ALL: [Xmm; 16] = {
        use Xmm::*;
        [
            X0, X1, X2, X3, X4, X5, X6, X7, X8, X9, X10, X11, X12, X13, X14, X15,
        ]
    };

    /// The register with this number (taken modulo 16).
    #[inline]
    pub const fn new(n: u8) -> Xmm {
        Xmm::ALL[(n & 15) as usize]
    }

    /// The number used in encodings, 0 to 15.
    #[inline]
    pub const fn num(self) -> u8 {
        self as u8
    }
}

/// Operand width of an integer instruction.
///
/// W8 always means the *low* byte (`spl`, `bpl`, `sil`, `dil` included); `ah` to `bh` cannot be named.
/// W32 writes clear bits 63:32 of the register, W8 and W16 writes leave the other bits alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Width {
    /// One byte.
    W8,
    /// Two bytes.
    W16,
    /// Four bytes.
    W32,
    /// Eight bytes.
    W64,
}

impl Width {
    /// Size in bytes: 1, 2, 4 or 8.
    #[inline]
    pub const fn bytes(self) -> usize {
        1 << self as usize
    }

    /// Size in bits: 8, 16, 32 or 64.
    #[inline]
    pub const fn bits(self) -> u32 {
        8 << self as u32
    }
}

/// Precision of a scalar floating point instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Fp {
    /// Single precision (`...ss`).
    S,
    /// Double precision (`...sd`).
    D,
}

/// Condition of `jcc`, `setcc` and `cmovcc`. The discriminant is the hardware's 4-bit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Cond {
    /// Overflow.
    O,
    /// No overflow.
    No,
    /// Below, unsigned (carry set).
    B,
    /// Above or equal, unsigned (carry clear).
    Ae,
    /// Equal (zero set).
    E,
    /// Not equal.
    Ne,
    /// Below or equal, unsigned.
    Be,
    /// Above, unsigned.
    A,
    /// Sign set.
    S,
    /// Sign clear.
    Ns,
    /// Parity even; after `ucomis` also: unordered.
    P,
    /// Parity odd; after `ucomis` also: ordered.
    Np,
    /// Less, signed.
    L,
    /// Greater or equal, signed.
    Ge,
    /// Less or equal, signed.
    Le,
    /// Greater, signed.
    G,
}

impl Cond {
    /// All sixteen, in encoding order.
    pub const ALL: [Cond; 16] = {
        use Cond::*;
        [O, No, B, Ae, E, Ne, Be, A, S, Ns, P, Np, L, Ge, Le, G]
    };

    /// The condition that holds exactly when this one does not.
    #[inline]
    pub const fn invert(self) -> Cond {
        Cond::ALL[(self as usize) ^ 1]
    }
}
