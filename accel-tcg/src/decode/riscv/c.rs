//! Compressed instructions (unprivileged manual, "C", "Zcb", "Zcmop").
//!
//! One line is one instruction: mnemonic, operand format, the operation it stands for, encoding. Reserved encodings are lines without a
//! mnemonic; hints need no lines, since what they stand for has no effect.

use super::format::Format;
use super::pattern::Pattern;
use super::table::{Op, Row};

macro_rules! rows16 {
    ($($ext:tt { $($name:literal $format:ident $op:ident $pattern:literal)* })*) => {
        &[$($(Row {
            op: Op::$op,
            name: $name,
            format: Format::$format,
            pattern: const { Pattern::parse($pattern) },
            needs: needs!($ext),
        },)*)*]
    };
}

/// The table.
pub static ROWS: &[Row] = rows16! {
    [Zca] {
        "c.addi4spn"  Ciw      Addi     "000 ........ ... 00"
        ""            None     Illegal  "000 00000000 ... 00"
        "c.lw"        Clw      Lw       "010 ... ... .. ... 00"
        "c.ld"        Cld      Ld       "011 ... ... .. ... 00"
        "c.sw"        Csw      Sw       "110 ... ... .. ... 00"
        "c.sd"        Csd      Sd       "111 ... ... .. ... 00"
        "c.addi"      Ci       Addi     "000 . ..... ..... 01"
        "c.addiw"     Ci       Addiw    "001 . ..... ..... 01"
        ""            None     Illegal  "001 . 00000 ..... 01"
        "c.li"        Cli      Addi     "010 . ..... ..... 01"
        "c.lui"       Clui     Lui      "011 . ..... ..... 01"
        ""            None     Illegal  "011 0 ..... 00000 01"
        "c.addi16sp"  Ci16sp   Addi     "011 . 00010 ..... 01"
        ""            None     Illegal  "011 0 00010 00000 01"
        "c.srli"      CshiftR  Srli     "100 . 00 ... ..... 01"
        "c.srai"      CshiftR  Srai     "100 . 01 ... ..... 01"
        "c.andi"      Candi    Andi     "100 . 10 ... ..... 01"
        "c.sub"       Ca       Sub      "100 0 11 ... 00 ... 01"
        "c.xor"       Ca       Xor      "100 0 11 ... 01 ... 01"
        "c.or"        Ca       Or       "100 0 11 ... 10 ... 01"
        "c.and"       Ca       And      "100 0 11 ... 11 ... 01"
        "c.subw"      Ca       Subw     "100 1 11 ... 00 ... 01"
        "c.addw"      Ca       Addw     "100 1 11 ... 01 ... 01"
        "c.j"         Cj       Jal      "101 ........... 01"
        "c.beqz"      Cb       Beq      "110 ... ... ..... 01"
        "c.bnez"      Cb       Bne      "111 ... ... ..... 01"
        "c.slli"      CshiftL  Slli     "000 . ..... ..... 10"
        "c.lwsp"      Clwsp    Lw       "010 . ..... ..... 10"
        ""            None     Illegal  "010 . 00000 ..... 10"
        "c.ldsp"      Cldsp    Ld       "011 . ..... ..... 10"
        ""            None     Illegal  "011 . 00000 ..... 10"
        "c.mv"        Cmv      Add      "100 0 ..... ..... 10"
        "c.jr"        Cjr      Jalr     "100 0 ..... 00000 10"
        ""            None     Illegal  "100 0 00000 00000 10"
        "c.add"       Cadd     Add      "100 1 ..... ..... 10"
        "c.jalr"      Cjalr    Jalr     "100 1 ..... 00000 10"
        "c.ebreak"    None     Ebreak   "100 1 00000 00000 10"
        "c.swsp"      Cswsp    Sw       "110 ...... ..... 10"
        "c.sdsp"      Csdsp    Sd       "111 ...... ..... 10"
    }
    [Zcd] {
        "c.fld"       Cfld     Fld      "001 ... ... .. ... 00"
        "c.fsd"       Cfsd     Fsd      "101 ... ... .. ... 00"
        "c.fldsp"     Cfldsp   Fld      "001 . ..... ..... 10"
        "c.fsdsp"     Cfsdsp   Fsd      "101 ...... ..... 10"
    }
    [Zcb] {
        "c.lbu"       Clb      Lbu      "100 000 ... .. ... 00"
        "c.lhu"       Clh      Lhu      "100 001 ... 0. ... 00"
        "c.lh"        Clh      Lh       "100 001 ... 1. ... 00"
        "c.sb"        Csb      Sb       "100 010 ... .. ... 00"
        "c.sh"        Csh      Sh       "100 011 ... 0. ... 00"
        "c.mul"       Ca       Mul      "100 1 11 ... 10 ... 01"
        "c.zext.b"    Czextb   Andi     "100 111 ... 11 000 01"
        "c.sext.b"    Cunary   SextB    "100 111 ... 11 001 01"
        "c.zext.h"    Cunary   ZextH    "100 111 ... 11 010 01"
        "c.sext.h"    Cunary   SextH    "100 111 ... 11 011 01"
        "c.zext.w"    Czextw   AddUw    "100 111 ... 11 100 01"
        "c.not"       Cnot     Xori     "100 111 ... 11 101 01"
    }
    [Zcmop] {
        "c.mop"       Cmop     CMop     "011 0 0...1 00000 01"
    }
    [Zihintntl] {
        "c.ntl.p1"    None     NtlP1    "100 1 00000 00010 10"
        "c.ntl.pall"  None     NtlPall  "100 1 00000 00011 10"
        "c.ntl.s1"    None     NtlS1    "100 1 00000 00100 10"
        "c.ntl.all"   None     NtlAll   "100 1 00000 00101 10"
    }
};
