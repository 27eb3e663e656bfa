//! A small assembler with labels, and the framework of self-checking programs on top of it.
//!
//! A program is a list of *checks*. Each writes doublewords to the result area in memory and says at the same time what they must be, so that the
//! expectation stands beside the instruction it is about. The same image runs on the engine and, where it can, on QEMU.

#![allow(dead_code, reason = "an assembler has more than today's tests need")]

use std::collections::HashMap;
use std::panic::Location;

pub type R = u32;
pub const X0: R = 0;
pub const RA: R = 1;
pub const SP: R = 2;
pub const T0: R = 5;
pub const T1: R = 6;
pub const T2: R = 7;
/// Where the next result goes.
pub const S0: R = 8;
pub const S1: R = 9;
pub const A0: R = 10;
pub const A1: R = 11;
pub const A2: R = 12;
pub const A3: R = 13;
pub const A4: R = 14;
pub const A5: R = 15;
pub const A6: R = 16;
pub const A7: R = 17;
pub const S2: R = 18;
pub const S3: R = 19;
pub const S4: R = 20;
pub const S5: R = 21;
/// Where the trap handler continues, in M-mode.
pub const S10: R = 26;
pub const T3: R = 28;
pub const T4: R = 29;
/// Used by the handler.
pub const T5: R = 30;
pub const T6: R = 31;

pub const RAM: u64 = 0x8000_0000;
/// Offset of the results in RAM.
pub const RESULTS: u64 = 0x10_0000;
/// Offset of the page tables.
pub const TABLES: u64 = 0x20_0000;
/// Offset of free memory.
pub const DATA: u64 = 0x40_0000;
/// Distance from an address in RAM to its user-mode alias in the page tables of [`super::pages`].
pub const USER: u64 = 0x4000_0000;

pub mod csr {
    pub const FFLAGS: u32 = 0x001;
    pub const FRM: u32 = 0x002;
    pub const FCSR: u32 = 0x003;
    pub const CYCLE: u32 = 0xc00;
    pub const TIME: u32 = 0xc01;
    pub const INSTRET: u32 = 0xc02;
    pub const SSTATUS: u32 = 0x100;
    pub const SIE: u32 = 0x104;
    pub const STVEC: u32 = 0x105;
    pub const SCOUNTEREN: u32 = 0x106;
    pub const SENVCFG: u32 = 0x10a;
    pub const SSCRATCH: u32 = 0x140;
    pub const SEPC: u32 = 0x141;
    pub const SCAUSE: u32 = 0x142;
    pub const STVAL: u32 = 0x143;
    pub const SIP: u32 = 0x144;
    pub const STIMECMP: u32 = 0x14d;
    pub const SATP: u32 = 0x180;
    pub const MSTATUS: u32 = 0x300;
    pub const MISA: u32 = 0x301;
    pub const MEDELEG: u32 = 0x302;
    pub const MIDELEG: u32 = 0x303;
    pub const MIE: u32 = 0x304;
    pub const MTVEC: u32 = 0x305;
    pub const MCOUNTEREN: u32 = 0x306;
    pub const MENVCFG: u32 = 0x30a;
    pub const MSTATEEN0: u32 = 0x30c;
    pub const MCOUNTINHIBIT: u32 = 0x320;
    pub const MSCRATCH: u32 = 0x340;
    pub const MEPC: u32 = 0x341;
    pub const MCAUSE: u32 = 0x342;
    pub const MTVAL: u32 = 0x343;
    pub const MIP: u32 = 0x344;
    pub const PMPCFG0: u32 = 0x3a0;
    pub const PMPADDR0: u32 = 0x3b0;
    pub const MCYCLE: u32 = 0xb00;
    pub const MINSTRET: u32 = 0xb02;
    pub const MVENDORID: u32 = 0xf11;
    pub const MHARTID: u32 = 0xf14;
}

/// Exception codes.
pub mod cause {
    pub const FETCH_ACCESS: u64 = 1;
    pub const ILLEGAL: u64 = 2;
    pub const BREAKPOINT: u64 = 3;
    pub const LOAD_MISALIGNED: u64 = 4;
    pub const LOAD_ACCESS: u64 = 5;
    pub const STORE_MISALIGNED: u64 = 6;
    pub const STORE_ACCESS: u64 = 7;
    pub const ECALL_U: u64 = 8;
    pub const ECALL_S: u64 = 9;
    pub const ECALL_M: u64 = 11;
    pub const FETCH_PAGE: u64 = 12;
    pub const LOAD_PAGE: u64 = 13;
    pub const STORE_PAGE: u64 = 15;
}

/// Fields of `mstatus`.
pub mod st {
    pub const SIE: u64 = 1 << 1;
    pub const MIE: u64 = 1 << 3;
    pub const SPIE: u64 = 1 << 5;
    pub const MPIE: u64 = 1 << 7;
    pub const SPP: u64 = 1 << 8;
    pub const MPP: u64 = 3 << 11;
    pub const FS: u64 = 3 << 13;
    pub const MPRV: u64 = 1 << 17;
    pub const SUM: u64 = 1 << 18;
    pub const MXR: u64 = 1 << 19;
    pub const TVM: u64 = 1 << 20;
    pub const TW: u64 = 1 << 21;
    pub const TSR: u64 = 1 << 22;
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    U = 0,
    S = 1,
    M = 3,
}

/// What an attempt must come to.
#[derive(Clone, Copy, Debug)]
pub enum Want {
    /// It completes with this in [`T1`].
    Value(u64),
    /// It completes; [`T1`] does not matter.
    Done,
    /// Its last instruction raises this exception with this trap value.
    Trap(u64, u64),
    /// The same, but `mepc` is where the label stands (plus an offset) instead.
    TrapAt(u64, u64, u64),
    /// The same as `Trap`, but QEMU has another trap value, contrary to the manual or where the manual leaves it open.
    OwnTval(u64, u64),
    /// The trap value is the address of the instruction.
    TrapPc(u64),
}

#[derive(Clone, Debug)]
pub struct Expected {
    pub value: Option<u64>,
    /// Not compared with QEMU.
    pub own: bool,
    pub what: String,
    pub at: &'static Location<'static>,
}

#[derive(Clone)]
enum Fix {
    Branch,
    Jal,
    /// `auipc` and the instruction after it, an I-type.
    Pcrel,
    CJ,
    Quad,
}

/// A program under construction.
#[derive(Clone, Default)]
pub struct Asm {
    pub base: u64,
    pub bytes: Vec<u8>,
    labels: HashMap<String, u64>,
    fixes: Vec<(usize, Fix, String)>,
    /// Offset of the last instruction.
    last: usize,
    fresh: u32,
    pub expected: Vec<Expected>,
    /// Where the current mode's code runs: added to addresses below M-mode.
    pub user_alias: u64,
    /// Doublewords anywhere in RAM, by offset.
    pub data: Vec<(u64, Vec<u8>)>,
    /// QEMU is not asked about anything.
    pub own: bool,
}

const fn enc_i(op: u32, f3: u32, rd: R, rs1: R, imm: i32) -> u32 {
    (imm as u32 & 0xfff) << 20 | rs1 << 15 | f3 << 12 | rd << 7 | op
}
const fn enc_s(op: u32, f3: u32, rs1: R, rs2: R, imm: i32) -> u32 {
    let m = imm as u32;
    (m >> 5 & 0x7f) << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 | (m & 31) << 7 | op
}
const fn enc_r(op: u32, f3: u32, f7: u32, rd: R, rs1: R, rs2: R) -> u32 {
    f7 << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 | rd << 7 | op
}

macro_rules! itype { ($($name:ident $op:literal $f3:literal;)*) => { $(
    pub fn $name(&mut self, rd: R, rs1: R, imm: i32) { self.w(enc_i($op, $f3, rd, rs1, imm)); }
)* } }
macro_rules! stype { ($($name:ident $op:literal $f3:literal;)*) => { $(
    /// Value, base, offset.
    pub fn $name(&mut self, rs2: R, rs1: R, imm: i32) { self.w(enc_s($op, $f3, rs1, rs2, imm)); }
)* } }
macro_rules! rtype { ($($name:ident $op:literal $f3:literal $f7:literal;)*) => { $(
    pub fn $name(&mut self, rd: R, rs1: R, rs2: R) { self.w(enc_r($op, $f3, $f7, rd, rs1, rs2)); }
)* } }
macro_rules! branches { ($($name:ident $f3:literal;)*) => { $(
    pub fn $name(&mut self, a: R, b: R, to: &str) {
        self.fix(Fix::Branch, to);
        self.w(enc_r(0x63, $f3, 0, 0, a, b));
    }
)* } }
macro_rules! plain { ($($name:ident $word:literal;)*) => { $(
    pub fn $name(&mut self) { self.w($word); }
)* } }

impl Asm {
    /// Code that will run at this address.
    pub fn new_at(base: u64) -> Asm {
        Asm {
            base,
            ..Asm::default()
        }
    }
    pub fn new() -> Asm {
        Asm::new_at(RAM)
    }

    pub fn pc(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    /// A 32-bit instruction.
    pub fn w(&mut self, word: u32) {
        self.last = self.bytes.len();
        self.bytes.extend(word.to_le_bytes());
    }
    /// A 16-bit instruction.
    pub fn h(&mut self, half: u16) {
        self.last = self.bytes.len();
        self.bytes.extend(half.to_le_bytes());
    }
    pub fn quad(&mut self, v: u64) {
        self.bytes.extend(v.to_le_bytes());
    }
    pub fn quad_of(&mut self, label: &str) {
        self.fix(Fix::Quad, label);
        self.quad(0);
    }
    /// Fills with `nop` up to a multiple of `n`.
    pub fn align(&mut self, n: usize) {
        if self.bytes.len() % 4 == 2 {
            self.h(1);
        }
        while !self.bytes.len().is_multiple_of(n) {
            self.w(0x13);
        }
    }
    /// Goes on at this offset from the start of RAM.
    pub fn org(&mut self, offset: u64) {
        assert!(self.bytes.len() as u64 <= offset, "org goes backwards");
        self.bytes.resize(offset as usize, 0);
    }

    pub fn label(&mut self, name: &str) {
        let old = self.labels.insert(name.to_owned(), self.pc());
        assert!(old.is_none(), "label {name} twice");
    }
    pub fn fresh(&mut self) -> String {
        self.fresh += 1;
        format!(".{}", self.fresh)
    }
    fn fix(&mut self, f: Fix, to: &str) {
        self.fixes.push((self.bytes.len(), f, to.to_owned()));
    }
    pub fn at(&self, label: &str) -> u64 {
        *self
            .labels
            .get(label)
            .unwrap_or_else(|| panic!("no label {label}"))
    }

    itype! {
        addi 0x13 0; slti 0x13 2; sltiu 0x13 3; xori 0x13 4; ori 0x13 6; andi 0x13 7; addiw 0x1b 0;
        lb 0x03 0; lh 0x03 1; lw 0x03 2; ld 0x03 3; lbu 0x03 4; lhu 0x03 5; lwu 0x03 6; jalr 0x67 0;
        flh 0x07 1; flw 0x07 2; fld 0x07 3;
    }
    stype! { sb 0x23 0; sh 0x23 1; sw 0x23 2; sd 0x23 3; fsh 0x27 1; fsw 0x27 2; fsd 0x27 3; }
    rtype! {
        add 0x33 0 0; sltu 0x33 3 0; sub 0x33 0 0x20; sll 0x33 1 0; xor 0x33 4 0; or 0x33 6 0; and 0x33 7 0;
        mul 0x33 0 1; div 0x33 4 1; czero_eqz 0x33 5 7; czero_nez 0x33 7 7;
    }
    branches! { beq 0; bne 1; blt 4; bge 5; bltu 6; bgeu 7; }
    plain! {
        ecall 0x0000_0073; ebreak 0x0010_0073; sret 0x1020_0073; mret 0x3020_0073; wfi 0x1050_0073;
        fence_i 0x0000_100f; fence 0x0ff0_000f; wrs_nto 0x00d0_0073; wrs_sto 0x01d0_0073; nop 0x13;
        sfence_w_inval 0x1800_0073; sfence_inval_ir 0x1810_0073;
    }
    pub fn slli(&mut self, rd: R, rs1: R, n: i32) {
        self.w(enc_i(0x13, 1, rd, rs1, n));
    }
    pub fn srli(&mut self, rd: R, rs1: R, n: i32) {
        self.w(enc_i(0x13, 5, rd, rs1, n));
    }
    pub fn sfence_vma(&mut self, va: R, asid: R) {
        self.w(enc_r(0x73, 0, 9, 0, va, asid));
    }
    pub fn sinval_vma(&mut self, va: R, asid: R) {
        self.w(enc_r(0x73, 0, 11, 0, va, asid));
    }
    pub fn lui(&mut self, rd: R, imm20: u32) {
        self.w(imm20 << 12 | rd << 7 | 0x37);
    }
    pub fn mv(&mut self, rd: R, rs: R) {
        self.addi(rd, rs, 0);
    }
    pub fn csrrw(&mut self, rd: R, csr: u32, rs1: R) {
        self.w(enc_i(0x73, 1, rd, rs1, csr as i32));
    }
    pub fn csrrs(&mut self, rd: R, csr: u32, rs1: R) {
        self.w(enc_i(0x73, 2, rd, rs1, csr as i32));
    }
    pub fn csrrc(&mut self, rd: R, csr: u32, rs1: R) {
        self.w(enc_i(0x73, 3, rd, rs1, csr as i32));
    }
    pub fn csrwi(&mut self, csr: u32, imm: u32) {
        self.w(enc_i(0x73, 5, 0, imm, csr as i32));
    }
    pub fn csrsi(&mut self, csr: u32, imm: u32) {
        self.w(enc_i(0x73, 6, 0, imm, csr as i32));
    }
    pub fn csrci(&mut self, csr: u32, imm: u32) {
        self.w(enc_i(0x73, 7, 0, imm, csr as i32));
    }
    pub fn csrr(&mut self, rd: R, csr: u32) {
        self.csrrs(rd, csr, 0);
    }
    pub fn csrw(&mut self, csr: u32, rs: R) {
        self.csrrw(0, csr, rs);
    }
    /// Writes a constant; uses [`T6`].
    pub fn csr_li(&mut self, csr: u32, v: u64) {
        self.li(T6, v);
        self.csrw(csr, T6);
    }
    pub fn csr_set(&mut self, csr: u32, v: u64) {
        self.li(T6, v);
        self.csrrs(0, csr, T6);
    }
    pub fn csr_clear(&mut self, csr: u32, v: u64) {
        self.li(T6, v);
        self.csrrc(0, csr, T6);
    }
    /// Atomics: `funct5`, width (0 to 4, log2 of bytes).
    pub fn amo(&mut self, f5: u32, width: u32, rd: R, addr: R, v: R) {
        self.w(enc_r(0x2f, width, f5 << 2, rd, addr, v));
    }
    pub fn lr(&mut self, width: u32, rd: R, addr: R) {
        self.amo(2, width, rd, addr, 0);
    }
    pub fn sc(&mut self, width: u32, rd: R, addr: R, v: R) {
        self.amo(3, width, rd, addr, v);
    }
    /// `cbo.*`: 0 inval, 1 clean, 2 flush, 4 zero.
    pub fn cbo(&mut self, kind: u32, addr: R) {
        self.w(kind << 20 | addr << 15 | 2 << 12 | 0x0f);
    }
    /// OP-FP: `funct7`, rm or funct3, rs2.
    pub fn fp(&mut self, f7: u32, f3: u32, rd: R, rs1: R, rs2: R) {
        self.w(enc_r(0x53, f3, f7, rd, rs1, rs2));
    }
    pub fn j(&mut self, to: &str) {
        self.jal(0, to);
    }
    pub fn jal(&mut self, rd: R, to: &str) {
        self.fix(Fix::Jal, to);
        self.w(rd << 7 | 0x6f);
    }
    pub fn c_j(&mut self, to: &str) {
        self.fix(Fix::CJ, to);
        self.h(0xa001);
    }
    pub fn ret(&mut self) {
        self.jalr(0, RA, 0);
    }
    /// The address of a label, relative to where the code runs.
    pub fn la(&mut self, rd: R, label: &str) {
        self.fix(Fix::Pcrel, label);
        self.w(rd << 7 | 0x17);
        self.addi(rd, rd, 0);
    }
    /// Any constant.
    pub fn li(&mut self, rd: R, v: u64) {
        let v = v as i64;
        if (-2048..2048).contains(&v) {
            self.addi(rd, 0, v as i32);
        } else if i64::from(v as i32) == v {
            let low = (v as i32) << 20 >> 20;
            self.lui(rd, (v as i32).wrapping_sub(low) as u32 >> 12);
            if low != 0 {
                self.addiw(rd, rd, low);
            }
        } else {
            let low = (v << 52) >> 52;
            let rest = v.wrapping_sub(low);
            let shift = rest.trailing_zeros().max(12);
            self.li(rd, (rest >> shift) as u64);
            self.slli(rd, rd, shift as i32);
            if low != 0 {
                self.addi(rd, rd, low as i32);
            }
        }
    }

    fn push(&mut self, value: Option<u64>, own: bool, what: &str, at: &'static Location<'static>) {
        self.expected.push(Expected {
            value,
            own: own || self.own,
            what: what.to_owned(),
            at,
        });
    }

    /// Records a register, which must hold this.
    #[track_caller]
    pub fn expect(&mut self, reg: R, value: u64) {
        self.sd(reg, S0, 0);
        self.addi(S0, S0, 8);
        self.push(Some(value), false, "register", Location::caller());
    }
    /// The same where QEMU has another opinion.
    #[track_caller]
    pub fn expect_own(&mut self, reg: R, value: u64) {
        self.sd(reg, S0, 0);
        self.addi(S0, S0, 8);
        self.push(Some(value), true, "register", Location::caller());
    }
    /// The same for a CSR; uses [`T6`].
    #[track_caller]
    pub fn expect_csr(&mut self, csr: u32, value: u64) {
        self.csrr(T6, csr);
        self.sd(T6, S0, 0);
        self.addi(S0, S0, 8);
        self.push(Some(value), false, "CSR", Location::caller());
    }
    /// The bits of a CSR under a mask; uses [`T5`] and [`T6`].
    #[track_caller]
    pub fn expect_csr_bits(&mut self, csr: u32, mask: u64, value: u64) {
        self.csrr(T6, csr);
        self.li(T5, mask);
        self.and(T6, T6, T5);
        self.sd(T6, S0, 0);
        self.addi(S0, S0, 8);
        self.push(Some(value), false, "CSR bits", Location::caller());
    }
    /// The doubleword at a physical address; M-mode. Uses [`T5`] and [`T6`].
    #[track_caller]
    pub fn expect_mem(&mut self, at: u64, value: u64) {
        self.li(T5, at);
        self.ld(T6, T5, 0);
        self.sd(T6, S0, 0);
        self.addi(S0, S0, 8);
        self.push(Some(value), false, "memory", Location::caller());
    }

    /// Goes on in another mode, from M-mode. Uses [`T5`] and [`T6`]. Interrupts come on if `MPIE` says so.
    pub fn enter(&mut self, mode: Mode) {
        if mode == Mode::M {
            return;
        }
        let next = self.fresh();
        self.la(T6, &next);
        if mode == Mode::U && self.user_alias != 0 {
            self.li(T5, self.user_alias);
            self.add(T6, T6, T5);
        }
        self.csrw(csr::MEPC, T6);
        self.csr_clear(csr::MSTATUS, st::MPP);
        if mode == Mode::S {
            self.csr_set(csr::MSTATUS, 1 << 11);
        }
        self.mret();
        self.label(&next);
    }

    /// Back to M-mode from any mode through the trap handler, which keeps all registers but [`T5`], [`T6`], [`S10`] and [`A7`].
    pub fn leave(&mut self) {
        let next = self.fresh();
        self.la(S10, &next);
        // The user alias is not an address for M-mode.
        self.li(A7, 0x78);
        self.ecall();
        self.label(&next);
    }

    /// From M-mode, does something in `mode`, and comes back. Records four doublewords: cause, mepc, mtval, mode of the trap, or all ones, [`T1`],
    /// 0, 0.
    #[track_caller]
    pub fn attempt(&mut self, mode: Mode, want: Want, body: impl FnOnce(&mut Asm)) {
        let at = Location::caller();
        let after = self.fresh();
        self.la(S10, &after);
        self.enter(mode);
        body(self);
        let alias = if mode == Mode::U { self.user_alias } else { 0 };
        let epc = self.base + self.last as u64 + alias;
        self.li(A7, 0x77);
        self.ecall();
        self.label(&after);
        let own = matches!(want, Want::OwnTval(..));
        let (cause, epc, tval, m) = match want {
            Want::Value(v) => (u64::MAX, Some(v), 0, 0),
            Want::Done => (u64::MAX, None, 0, 0),
            Want::OwnTval(c, t) => (c, Some(epc), t, mode as u64),
            Want::Trap(c, t) => (c, Some(epc), t, mode as u64),
            Want::TrapAt(c, e, t) => (c, Some(e), t, mode as u64),
            Want::TrapPc(c) => (c, Some(epc), epc, mode as u64),
        };
        self.push(Some(cause), false, "cause of the trap", at);
        self.push(epc, false, "mepc (or value)", at);
        self.push(Some(tval), own, "mtval", at);
        self.push(Some(m), false, "mode before the trap", at);
    }

    /// Doublewords that a handler of the program's own has recorded.
    #[track_caller]
    pub fn recorded(&mut self, values: &[u64]) {
        for &v in values {
            self.push(Some(v), false, "recorded by a handler", Location::caller());
        }
    }

    /// Resolves everything.
    pub fn finish(&mut self) {
        for (at, fix, label) in std::mem::take(&mut self.fixes) {
            let target = self.at(&label);
            let off = target.wrapping_sub(self.base + at as u64) as i64;
            let m = off as u32;
            let mut word = |i: usize, or: u32| {
                let b: [u8; 4] = self.bytes[i..i + 4].try_into().unwrap();
                self.bytes[i..i + 4].copy_from_slice(&(u32::from_le_bytes(b) | or).to_le_bytes());
            };
            match fix {
                Fix::Branch => {
                    assert!((-4096..4096).contains(&off), "branch to {label} too far");
                    word(
                        at,
                        (m >> 12 & 1) << 31
                            | (m >> 5 & 0x3f) << 25
                            | (m >> 1 & 15) << 8
                            | (m >> 11 & 1) << 7,
                    );
                }
                Fix::Jal => word(
                    at,
                    (m >> 20 & 1) << 31
                        | (m >> 1 & 0x3ff) << 21
                        | (m >> 11 & 1) << 20
                        | (m >> 12 & 0xff) << 12,
                ),
                Fix::Pcrel => {
                    word(at, m.wrapping_add(0x800) & 0xffff_f000);
                    word(at + 4, (m & 0xfff) << 20);
                }
                Fix::CJ => {
                    assert!((-2048..2048).contains(&off), "c.j to {label} too far");
                    let b = |n: u32, to: u32| ((m >> n & 1) << to) as u16;
                    let imm = b(11, 12)
                        | b(4, 11)
                        | b(9, 10)
                        | b(8, 9)
                        | b(10, 8)
                        | b(6, 7)
                        | b(7, 6)
                        | b(3, 5)
                        | b(2, 4)
                        | b(1, 3)
                        | b(5, 2);
                    let old = u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]]);
                    self.bytes[at..at + 2].copy_from_slice(&(old | imm).to_le_bytes());
                }
                Fix::Quad => self.bytes[at..at + 8].copy_from_slice(&target.to_le_bytes()),
            }
        }
    }
}
