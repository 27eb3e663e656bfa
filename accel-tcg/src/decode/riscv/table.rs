//! The tables put together: the [`Op`] enumeration and the rows.

use super::ext::Extensions;
use super::format::Format;
use super::pattern::Pattern;

/// One line of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// What the instruction does.
    pub op: Op,
    /// Mnemonic, empty for reserved encodings.
    pub name: &'static str,
    /// Operands.
    pub format: Format,
    /// Encoding.
    pub pattern: Pattern,
    /// Extensions that must all be there for this encoding.
    pub needs: Extensions,
}

/// Passes the lines collected so far through the next table, and finally to `define`.
macro_rules! chain {
    ([] $($rows:tt)*) => { define! { $($rows)* } };
    ([$next:ident $($rest:ident)*] $($rows:tt)*) => { $next! { [$($rest)*] $($rows)* } };
}

macro_rules! define {
    ($($ext:tt { $($op:ident $name:literal $format:ident $pattern:literal)* })*) => {
        /// An operation. Compressed encodings have no operations of their own, but for [`Op::CMop`].
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u16)]
        pub enum Op {
            /// Reserved, unknown or switched off.
            Illegal,
            /// `c.mop.n`
            CMop,
            $($(#[doc = concat!("`", $name, "`")] $op,)*)*
        }

        /// The table of 32-bit instructions.
        pub static ROWS: &[Row] = &[$($(Row {
            op: Op::$op,
            name: $name,
            format: Format::$format,
            pattern: const { Pattern::parse($pattern) },
            needs: needs!($ext),
        },)*)*];

        impl Op {
            /// Mnemonic of the 32-bit form.
            pub const fn name(self) -> &'static str {
                match self {
                    Op::Illegal => "illegal",
                    Op::CMop => "c.mop",
                    $($(Op::$op => $name,)*)*
                }
            }

            /// Extensions that must all be there for the operation. A compressed encoding needs more: see
            /// [`super::Insn::extension`].
            pub const fn extension(self) -> Extensions {
                match self {
                    Op::Illegal => Extensions::NONE,
                    Op::CMop => needs!([Zcmop]),
                    $($(Op::$op => needs!($ext),)*)*
                }
            }
        }
    };
}

chain! { [rows_i rows_m rows_a rows_fd rows_zfh rows_zfa rows_zb rows_system] }
