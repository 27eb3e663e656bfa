mod flow;
mod hart;
mod manual;
mod qemu;

use crate::decode::riscv::{Op, rows};

/// An instruction word: operand fields put where 32-bit formats have them.
fn word(op: Op, rd: u8, rs1: u8, rs2: u8) -> u32 {
    let row = rows()
        .find(|r| r.op == op && r.pattern.bits == 32)
        .expect("a 32-bit instruction");
    row.pattern
        .fill(u32::from(rd) << 7 | u32::from(rs1) << 15 | u32::from(rs2) << 20)
}

/// The same with a 12-bit immediate.
fn word_imm(op: Op, rd: u8, rs1: u8, imm: i32) -> u32 {
    word(op, rd, rs1, 0) | (imm as u32) << 20
}
