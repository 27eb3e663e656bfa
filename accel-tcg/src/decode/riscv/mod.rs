//! RISC-V, RV64: decoder, disassembler and generator of encodings, all from one set of tables.
//!
//! | extension | table |
//! | --- | --- |
//! | I, Zihintpause, Zihintntl | `i.rs` |
//! | M | `m.rs` |
//! | A, Zacas, Zabha, Zawrs | `a.rs` |
//! | F, D; Zfh; Zfa | `fd.rs`, `zfh.rs`, `zfa.rs` |
//! | C, Zcb, Zcmop | `c.rs` |
//! | Zba, Zbb, Zbc, Zbs, Zicond | `zb.rs` |
//! | Zicsr, Zifencei, privileged, Svinval, Zicbom, Zicboz, Zicbop, Zimop | `system.rs` |
//!
//! Where encodings overlap, the line with more fixed bits decides. Which extensions a CPU has is decided by the caller
//! ([`decode_enabled`]).

use super::pattern;

mod ext;

/// The set of extensions in brackets.
macro_rules! needs {
    ([$($ext:ident)+]) => {
        $crate::decode::riscv::Extensions::NONE$(.with($crate::decode::riscv::Extension::$ext))+
    };
}

#[macro_use]
mod i;
#[macro_use]
mod m;
#[macro_use]
mod a;
#[macro_use]
mod fd;
#[macro_use]
mod zfh;
#[macro_use]
mod zfa;
#[macro_use]
mod zb;
#[macro_use]
mod system;

mod c;
mod disasm;
mod format;
mod index;
mod table;

#[cfg(test)]
mod tests;

pub use disasm::{F_NAMES, X_NAMES};
pub use ext::{Extension, Extensions};
pub use format::Format;
pub use table::{Op, Row};

/// A decoded instruction.
///
/// Fields that the operation has no use for hold whatever bits are at their place in the word.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Insn {
    /// Operation.
    pub op: Op,
    /// Destination register.
    pub rd: u8,
    /// First source register, or the immediate of `csrrwi` and its like.
    pub rs1: u8,
    /// Second source register.
    pub rs2: u8,
    /// Third source register.
    pub rs3: u8,
    /// Rounding mode as encoded: 0 to 4, 7 for dynamic, 5 and 6 reserved.
    pub rm: u8,
    /// Length in bytes, 2 or 4.
    pub len: u8,
    /// Immediate, sign- or zero-extended as the operation wants it; shift amount; CSR number; `fm`, `pred` and `succ` of a fence;
    /// for atomics bit 0 is `rl` and bit 1 is `aq`.
    pub imm: i32,
    /// The instruction word; upper half zero when the length is 2.
    pub bits: u32,
}

const _: () = assert!(size_of::<Insn>() == 16);

impl Insn {
    /// Something that is no instruction.
    pub const fn illegal(bits: u32) -> Insn {
        let (len, bits) = if length(bits) == 2 {
            (2, bits & 0xffff)
        } else {
            (4, bits)
        };
        Insn {
            op: Op::Illegal,
            rd: 0,
            rs1: 0,
            rs2: 0,
            rs3: 0,
            rm: 0,
            len,
            imm: bits as i32,
            bits,
        }
    }

    /// Extensions that must all be there for this encoding.
    pub fn extension(&self) -> Extensions {
        let encoding = match self.len {
            2 => row(self.bits).map_or(Extensions::NONE, |r| r.needs),
            _ => Extensions::NONE,
        };
        encoding.union(self.op.extension())
    }

    /// The instruction in assembly language without pseudo-instructions, at virtual address `pc`.
    pub fn disassemble(&self, pc: u64) -> String {
        disasm::disassemble(self, pc)
    }
}

/// Length in bytes of the instruction that begins with these bits, 2 or 4. The formats for longer ones are not in use and count as
/// (illegal) instructions of 4 bytes.
pub const fn length(bits: u32) -> u8 {
    if bits & 3 == 3 { 4 } else { 2 }
}

/// Decodes with all extensions on. Of a compressed instruction only the low 16 bits are looked at.
#[inline]
pub fn decode(bits: u32) -> Insn {
    decode_enabled(bits, Extensions::ALL)
}

/// Decodes; encodings that need more than the given extensions are what they are without: hints or illegal.
#[inline]
pub fn decode_enabled(bits: u32, enabled: Extensions) -> Insn {
    match index::find(bits, enabled) {
        Some(r) if r.op == Op::Illegal => Insn::illegal(bits),
        Some(r) if r.pattern.bits == 16 => format::extract16(r.op, r.format, bits & 0xffff),
        Some(r) => format::extract32(r.op, r.format, bits),
        None => Insn::illegal(bits),
    }
}

/// The line of the tables that an instruction word belongs to. Lines for reserved encodings have no name.
pub fn row(bits: u32) -> Option<&'static Row> {
    index::find(bits, Extensions::ALL)
}

/// All lines, 32-bit and compressed.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    table::ROWS.iter().chain(c::ROWS)
}

/// A valid instruction word: `choice` picks a line of the tables, `fill` its operands. Reserved rounding modes do not occur.
pub fn arbitrary(choice: u32, fill: u32) -> u32 {
    let n = table::ROWS.len() + c::ROWS.len();
    let at = choice as usize % n;
    let row = table::ROWS
        .get(at)
        .unwrap_or_else(|| &c::ROWS[at - table::ROWS.len()]);
    let mut word = row.pattern.fill(fill);
    if row.format.has_rm() && matches!(word >> 12 & 7, 5 | 6) {
        word |= 7 << 12;
    }
    match decode(word).op {
        // A reserved corner of a compressed format.
        Op::Illegal => 0x0001,
        _ => word,
    }
}
