//! Operand formats: where operands are in the word, and how assembly language writes them.

use super::Insn;
use super::table::Op;

/// Operand format of a line of the tables. The names of 32-bit formats follow the manual or tell the kinds of registers: `X` integer,
/// `F` floating point, `Rm` followed by a rounding mode.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(
    missing_docs,
    reason = "the names are explained above, their operands in `disasm`"
)]
pub enum Format {
    None,
    R,
    R2,
    I,
    Shift,
    Load,
    Store,
    FLoad,
    FStore,
    B,
    U,
    J,
    Fence,
    Csr,
    CsrI,
    Lr,
    Amo,
    FmaRm,
    FffRm,
    FfRm,
    Fff,
    Xff,
    XfRm,
    FxRm,
    Xf,
    Fx,
    Fli,
    Ss,
    Mem,
    Prefetch,
    MopR,
    MopRr,
    // Compressed.
    Ci,
    Cli,
    Clui,
    Ci16sp,
    Ciw,
    Clw,
    Cld,
    Csw,
    Csd,
    Clb,
    Clh,
    Csb,
    Csh,
    Cfld,
    Cfsd,
    Clwsp,
    Cldsp,
    Cfldsp,
    Cswsp,
    Csdsp,
    Cfsdsp,
    CshiftL,
    CshiftR,
    Candi,
    Ca,
    Cmv,
    Cadd,
    Cjr,
    Cjalr,
    Cj,
    Cb,
    Cunary,
    Czextb,
    Czextw,
    Cnot,
    Cmop,
}

impl Format {
    /// True if the format has a rounding-mode field.
    pub const fn has_rm(self) -> bool {
        matches!(
            self,
            Format::FmaRm | Format::FffRm | Format::FfRm | Format::XfRm | Format::FxRm
        )
    }
}

/// Bits `lo..=hi`.
const fn field(w: u32, hi: u32, lo: u32) -> u32 {
    (w >> lo) & (u32::MAX >> (31 - (hi - lo)))
}

/// Sign extension from `bits` bits.
const fn sext(v: u32, bits: u32) -> i32 {
    ((v << (32 - bits)) as i32) >> (32 - bits)
}

/// Operands of a 32-bit instruction. Register numbers are always those of the standard fields, whether or not they are operands.
#[inline]
pub(super) fn extract32(op: Op, format: Format, w: u32) -> Insn {
    let imm = match format {
        Format::I | Format::Load | Format::FLoad => w as i32 >> 20,
        Format::Store | Format::FStore => (w as i32 >> 25) << 5 | field(w, 11, 7) as i32,
        Format::Prefetch => (w as i32 >> 25) << 5,
        Format::B => {
            let v = field(w, 31, 31) << 12
                | field(w, 7, 7) << 11
                | field(w, 30, 25) << 5
                | field(w, 11, 8) << 1;
            sext(v, 13)
        }
        Format::U => (w & 0xffff_f000) as i32,
        Format::J => {
            let v = field(w, 31, 31) << 20
                | field(w, 19, 12) << 12
                | field(w, 20, 20) << 11
                | field(w, 30, 21) << 1;
            sext(v, 21)
        }
        Format::Shift => field(w, 25, 20) as i32,
        Format::Fence | Format::Csr | Format::CsrI => field(w, 31, 20) as i32,
        Format::Lr | Format::Amo => field(w, 26, 25) as i32,
        _ => 0,
    };
    Insn {
        op,
        rd: field(w, 11, 7) as u8,
        rs1: field(w, 19, 15) as u8,
        rs2: field(w, 24, 20) as u8,
        rs3: field(w, 31, 27) as u8,
        rm: field(w, 14, 12) as u8,
        len: 4,
        imm,
        bits: w,
    }
}

/// Operands of a compressed instruction, as those of the operation it stands for.
#[inline]
pub(super) fn extract16(op: Op, format: Format, w: u32) -> Insn {
    let full = field(w, 11, 7) as u8;
    let second = field(w, 6, 2) as u8;
    let short1 = 8 + field(w, 9, 7) as u8;
    let short2 = 8 + field(w, 4, 2) as u8;
    let imm6 = sext(field(w, 12, 12) << 5 | field(w, 6, 2), 6);
    let uimm6 = imm6 & 63;
    let word = (field(w, 12, 10) << 3 | field(w, 6, 6) << 2 | field(w, 5, 5) << 6) as i32;
    let double = (field(w, 12, 10) << 3 | field(w, 6, 5) << 6) as i32;
    let (rd, rs1, rs2, imm) = match format {
        Format::Ci | Format::CshiftL => (
            full,
            full,
            0,
            if format == Format::Ci { imm6 } else { uimm6 },
        ),
        Format::Cli => (full, 0, 0, imm6),
        Format::Clui => (full, 0, 0, imm6 << 12),
        Format::Ci16sp => {
            let v = field(w, 12, 12) << 9
                | field(w, 6, 6) << 4
                | field(w, 5, 5) << 6
                | field(w, 4, 3) << 7
                | field(w, 2, 2) << 5;
            (2, 2, 0, sext(v, 10))
        }
        Format::Ciw => {
            let v = field(w, 12, 11) << 4
                | field(w, 10, 7) << 6
                | field(w, 6, 6) << 2
                | field(w, 5, 5) << 3;
            (short2, 2, 0, v as i32)
        }
        Format::Clw => (short2, short1, 0, word),
        Format::Cld | Format::Cfld => (short2, short1, 0, double),
        Format::Csw => (0, short1, short2, word),
        Format::Csd | Format::Cfsd => (0, short1, short2, double),
        Format::Clb => (
            short2,
            short1,
            0,
            (field(w, 5, 5) << 1 | field(w, 6, 6)) as i32,
        ),
        Format::Csb => (
            0,
            short1,
            short2,
            (field(w, 5, 5) << 1 | field(w, 6, 6)) as i32,
        ),
        Format::Clh => (short2, short1, 0, (field(w, 5, 5) << 1) as i32),
        Format::Csh => (0, short1, short2, (field(w, 5, 5) << 1) as i32),
        Format::Clwsp => (
            full,
            2,
            0,
            (field(w, 12, 12) << 5 | field(w, 6, 4) << 2 | field(w, 3, 2) << 6) as i32,
        ),
        Format::Cldsp | Format::Cfldsp => (
            full,
            2,
            0,
            (field(w, 12, 12) << 5 | field(w, 6, 5) << 3 | field(w, 4, 2) << 6) as i32,
        ),
        Format::Cswsp => (
            0,
            2,
            second,
            (field(w, 12, 9) << 2 | field(w, 8, 7) << 6) as i32,
        ),
        Format::Csdsp | Format::Cfsdsp => (
            0,
            2,
            second,
            (field(w, 12, 10) << 3 | field(w, 9, 7) << 6) as i32,
        ),
        Format::CshiftR => (short1, short1, 0, uimm6),
        Format::Candi => (short1, short1, 0, imm6),
        Format::Ca => (short1, short1, short2, 0),
        Format::Cmv => (full, 0, second, 0),
        Format::Cadd => (full, full, second, 0),
        Format::Cjr => (0, full, 0, 0),
        Format::Cjalr => (1, full, 0, 0),
        Format::Cj => {
            let v = field(w, 12, 12) << 11
                | field(w, 11, 11) << 4
                | field(w, 10, 9) << 8
                | field(w, 8, 8) << 10
                | field(w, 7, 7) << 6
                | field(w, 6, 6) << 7
                | field(w, 5, 3) << 1
                | field(w, 2, 2) << 5;
            (0, 0, 0, sext(v, 12))
        }
        Format::Cb => {
            let v = field(w, 12, 12) << 8
                | field(w, 11, 10) << 3
                | field(w, 6, 5) << 6
                | field(w, 4, 3) << 1
                | field(w, 2, 2) << 5;
            (0, short1, 0, sext(v, 9))
        }
        Format::Cunary | Format::Czextw => (short1, short1, 0, 0),
        Format::Czextb => (short1, short1, 0, 0xff),
        Format::Cnot => (short1, short1, 0, -1),
        _ => (0, 0, 0, 0),
    };
    Insn {
        op,
        rd,
        rs1,
        rs2,
        rs3: 0,
        rm: 0,
        len: 2,
        imm,
        bits: w & 0xffff,
    }
}
