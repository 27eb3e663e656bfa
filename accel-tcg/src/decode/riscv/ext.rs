//! Extensions, the unit in which instructions are switched on and off.

macro_rules! extensions {
    ($($(#[$doc:meta])* $name:ident $text:literal)*) => {
        /// An extension of the RISC-V instruction set.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Extension { $($(#[$doc])* $name,)* }

        impl Extension {
            /// All of them.
            pub const ALL: &'static [Extension] = &[$(Extension::$name),*];
            /// Name as in an ISA string (`"zba"`).
            pub const fn name(self) -> &'static str {
                match self { $(Extension::$name => $text,)* }
            }
        }
    };
}

extensions! {
    /// Base integer instructions, RV64I.
    I "i"
    /// Multiplication and division.
    M "m"
    /// Load-reserved and store-conditional.
    Zalrsc "zalrsc"
    /// Atomic memory operations.
    Zaamo "zaamo"
    /// Single precision.
    F "f"
    /// Double precision.
    D "d"
    /// Compressed instructions, those without floating point.
    Zca "zca"
    /// Compressed loads and stores of doubles.
    Zcd "zcd"
    /// More compressed instructions.
    Zcb "zcb"
    /// CSR instructions.
    Zicsr "zicsr"
    /// Instruction-fetch fence.
    Zifencei "zifencei"
    /// Address generation.
    Zba "zba"
    /// Basic bit manipulation.
    Zbb "zbb"
    /// Carry-less multiplication.
    Zbc "zbc"
    /// Single-bit instructions.
    Zbs "zbs"
    /// Conditional zero.
    Zicond "zicond"
    /// Half precision: loads, stores, moves and conversions to and from other formats.
    Zfhmin "zfhmin"
    /// Half precision, the rest.
    Zfh "zfh"
    /// Additional floating-point instructions.
    Zfa "zfa"
    /// Wait on a reservation set.
    Zawrs "zawrs"
    /// Compare-and-swap.
    Zacas "zacas"
    /// Atomics on bytes and half-words.
    Zabha "zabha"
    /// Cache-block management.
    Zicbom "zicbom"
    /// Cache-block zero.
    Zicboz "zicboz"
    /// Cache-block prefetch hints.
    Zicbop "zicbop"
    /// Pause hint.
    Zihintpause "zihintpause"
    /// Non-temporal locality hints.
    Zihintntl "zihintntl"
    /// May-be operations.
    Zimop "zimop"
    /// Compressed may-be operations.
    Zcmop "zcmop"
    /// Fine-grained address-translation cache invalidation.
    Svinval "svinval"
    /// Supervisor instructions.
    S "s"
    /// Machine-mode instructions.
    Machine "machine"
}

/// A set of extensions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Extensions(pub u64);

impl Extensions {
    /// The empty set.
    pub const NONE: Extensions = Extensions(0);
    /// Every extension known here.
    pub const ALL: Extensions = Extensions((1 << Extension::ALL.len()) - 1);

    /// The set with one more.
    pub const fn with(self, e: Extension) -> Extensions {
        Extensions(self.0 | 1 << e as u8)
    }
    /// The set without one.
    pub const fn without(self, e: Extension) -> Extensions {
        Extensions(self.0 & !(1 << e as u8))
    }
    /// Both sets together.
    pub const fn union(self, other: Extensions) -> Extensions {
        Extensions(self.0 | other.0)
    }
    /// True if this set has all of the other.
    pub const fn contains(self, other: Extensions) -> bool {
        other.0 & !self.0 == 0
    }
    /// True if the extension is in the set.
    pub const fn has(self, e: Extension) -> bool {
        self.0 >> (e as u8) & 1 != 0
    }
    /// The members.
    pub fn iter(self) -> impl Iterator<Item = Extension> {
        Extension::ALL.iter().copied().filter(move |&e| self.has(e))
    }
}
