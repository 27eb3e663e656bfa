//! Encodings, and a buffer of code that grows by half-words.

pub const MSTATUS: u32 = 0x300;
pub const MEDELEG: u32 = 0x302;
pub const MIDELEG: u32 = 0x303;
pub const MIE: u32 = 0x304;
pub const MTVEC: u32 = 0x305;
pub const MCOUNTEREN: u32 = 0x306;
pub const MENVCFG: u32 = 0x30a;
pub const MSCRATCH: u32 = 0x340;
pub const MEPC: u32 = 0x341;
pub const MCAUSE: u32 = 0x342;
pub const SSTATUS: u32 = 0x100;
pub const SIE: u32 = 0x104;
pub const STVEC: u32 = 0x105;
pub const SSCRATCH: u32 = 0x140;
pub const SEPC: u32 = 0x141;
pub const SCAUSE: u32 = 0x142;
pub const SATP: u32 = 0x180;

pub const ECALL: u32 = 0x73;
pub const EBREAK: u32 = 0x0010_0073;
pub const WFI: u32 = 0x1050_0073;
pub const MRET: u32 = 0x3020_0073;
pub const SRET: u32 = 0x1020_0073;
pub const FENCE_I: u32 = 0x100f;
pub const NOP: u32 = 0x13;

pub const fn r(op: u32, f3: u32, f7: u32, rd: u32, rs1: u32, rs2: u32) -> u32 {
    f7 << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 | rd << 7 | op
}
pub const fn i(op: u32, f3: u32, rd: u32, rs1: u32, imm: i32) -> u32 {
    (imm as u32 & 0xfff) << 20 | rs1 << 15 | f3 << 12 | rd << 7 | op
}
pub const fn addi(rd: u32, rs1: u32, imm: i32) -> u32 {
    i(0x13, 0, rd, rs1, imm)
}
pub const fn addiw(rd: u32, rs1: u32, imm: i32) -> u32 {
    i(0x1b, 0, rd, rs1, imm)
}
pub const fn andi(rd: u32, rs1: u32, imm: i32) -> u32 {
    i(0x13, 7, rd, rs1, imm)
}
pub const fn sltiu(rd: u32, rs1: u32, imm: i32) -> u32 {
    i(0x13, 3, rd, rs1, imm)
}
pub const fn slli(rd: u32, rs1: u32, by: i32) -> u32 {
    i(0x13, 1, rd, rs1, by)
}
pub const fn srli(rd: u32, rs1: u32, by: i32) -> u32 {
    i(0x13, 5, rd, rs1, by)
}
pub const fn add(rd: u32, a: u32, b: u32) -> u32 {
    r(0x33, 0, 0, rd, a, b)
}
pub const fn xor(rd: u32, a: u32, b: u32) -> u32 {
    r(0x33, 4, 0, rd, a, b)
}
pub const fn lui(rd: u32, imm20: u32) -> u32 {
    imm20 << 12 | rd << 7 | 0x37
}
pub const fn auipc(rd: u32, imm20: u32) -> u32 {
    imm20 << 12 | rd << 7 | 0x17
}
pub const fn lhu(rd: u32, rs1: u32, imm: i32) -> u32 {
    i(0x03, 5, rd, rs1, imm)
}
pub const fn lw(rd: u32, rs1: u32, imm: i32) -> u32 {
    i(0x03, 2, rd, rs1, imm)
}
pub const fn ld(rd: u32, rs1: u32, imm: i32) -> u32 {
    i(0x03, 3, rd, rs1, imm)
}
pub const fn store(f3: u32, rs2: u32, rs1: u32, imm: i32) -> u32 {
    let m = imm as u32;
    (m >> 5 & 0x7f) << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 | (m & 31) << 7 | 0x23
}
pub const fn branch(f3: u32, a: u32, b: u32, off: i32) -> u32 {
    let m = off as u32;
    (m >> 12 & 1) << 31 | (m >> 5 & 0x3f) << 25 | b << 20 | a << 15 | f3 << 12 | (m >> 1 & 15) << 8 | (m >> 11 & 1) << 7 | 0x63
}
pub const fn jal(rd: u32, off: i32) -> u32 {
    let m = off as u32;
    (m >> 20 & 1) << 31 | (m >> 1 & 0x3ff) << 21 | (m >> 11 & 1) << 20 | (m >> 12 & 0xff) << 12 | rd << 7 | 0x6f
}
pub const fn jalr(rd: u32, rs1: u32, imm: i32) -> u32 {
    i(0x67, 0, rd, rs1, imm)
}
/// `c.j` within ±2 KiB.
pub const fn c_j(off: i32) -> u16 {
    let m = off as u32;
    (0xa001
        | (m >> 11 & 1) << 12
        | (m >> 4 & 1) << 11
        | (m >> 8 & 3) << 9
        | (m >> 10 & 1) << 8
        | (m >> 6 & 1) << 7
        | (m >> 7 & 1) << 6
        | (m >> 1 & 7) << 3
        | (m >> 5 & 1) << 2) as u16
}
/// `c.beqz` (or `c.bnez`) of x8 to x15, within ±256 bytes.
pub const fn c_bz(not: bool, rs1: u32, off: i32) -> u16 {
    let m = off as u32;
    (if not { 0xe001 } else { 0xc001 } | (m >> 8 & 1) << 12 | (m >> 3 & 3) << 10 | (rs1 & 7) << 7 | (m >> 6 & 3) << 5 | (m >> 1 & 3) << 3 | (m >> 5 & 1) << 2)
        as u16
}
/// A CSR instruction: `f3` 1 write, 2 set, 3 clear; 5 to 7 with an immediate in `rs1`.
pub const fn csr(f3: u32, rd: u32, number: u32, rs1: u32) -> u32 {
    number << 20 | rs1 << 15 | f3 << 12 | rd << 7 | 0x73
}
pub const fn csrw(number: u32, rs1: u32) -> u32 {
    csr(1, 0, number, rs1)
}
pub const fn csrr(rd: u32, number: u32) -> u32 {
    csr(2, rd, number, 0)
}

/// Code at an address.
pub struct Code {
    pub at: u64,
    pub halves: Vec<u16>,
}

impl Code {
    pub fn new(at: u64) -> Code {
        Code { at, halves: Vec::new() }
    }

    /// Offset of the next instruction.
    pub fn here(&self) -> i32 {
        self.halves.len() as i32 * 2
    }

    pub fn pc(&self) -> u64 {
        self.at + self.here() as u64
    }

    pub fn half(&mut self, h: u16) {
        self.halves.push(h);
    }

    pub fn word(&mut self, w: u32) {
        self.halves.extend([w as u16, (w >> 16) as u16]);
    }

    pub fn words(&mut self, list: &[u32]) {
        list.iter().for_each(|&w| self.word(w));
    }

    pub fn set_word(&mut self, offset: i32, w: u32) {
        self.halves[offset as usize / 2] = w as u16;
        self.halves[offset as usize / 2 + 1] = (w >> 16) as u16;
    }

    /// Loads a constant, in one to eight instructions.
    pub fn li(&mut self, rd: u32, value: u64) {
        let v = value as i64;
        let low = ((v as i32) << 20) >> 20;
        if v == i64::from(v as i32) {
            let high = (v as u32).wrapping_sub(low as u32) >> 12;
            if high == 0 {
                self.word(addi(rd, 0, low));
                return;
            }
            self.word(lui(rd, high & 0xfffff));
            if low != 0 {
                self.word(addiw(rd, rd, low));
            }
            return;
        }
        self.li(rd, (v.wrapping_sub(i64::from(low)) >> 12) as u64);
        self.word(slli(rd, rd, 12));
        if low != 0 {
            self.word(addi(rd, rd, low));
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.halves.iter().flat_map(|h| h.to_le_bytes()).collect()
    }
}
