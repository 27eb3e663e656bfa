//! The fixed parts of a program's memory: trap handlers, start-up code, page tables.
//!
//! | page of RAM | holds |
//! | --- | --- |
//! | 0 | start-up code |
//! | 1 | M-mode trap handler, its save area at 0x800 |
//! | 2 | S-mode trap handler, its save area at 0x800 |
//! | 4 to 7 | functions, then the program |
//! | 8 to 11 | data |
//! | 16 to 23 | page tables: roots for S and U, their tables for RAM, the table of aliases |
//!
//! In S- and U-mode RAM is mapped at its own address (code belongs to the user in U's tables only), and again at [`ALIAS`] with odd rights.

use super::asm::*;
use super::machine::RAM;
use super::program::Src;

/// Bytes of RAM.
pub const SIZE: u64 = 0x2_0000;
pub const M_HANDLER: u64 = RAM + 0x1000;
pub const S_HANDLER: u64 = RAM + 0x2000;
pub const FUNCTIONS: u64 = RAM + 0x4000;
pub const CODE_END: u64 = RAM + 0x8000;
pub const DATA: u64 = RAM + 0x8000;
pub const DATA_END: u64 = RAM + 0xc000;
/// Where the second mapping begins; its first 32 pages are those of RAM, the next 32 are odd ones.
pub const ALIAS: u64 = 0x4000_0000;
/// Page-table entries of the aliases.
pub const ALIAS_TABLE: u64 = RAM + 0x1_7000;
/// Page-table entries of RAM in S-mode's and U-mode's tables.
pub const RAM_TABLES: [u64; 2] = [RAM + 0x1_4000, RAM + 0x1_5000];
/// Traps after which a handler gives up.
const LIMIT: i32 = 60;

const SAVE: i32 = 0x800;
const T0: u32 = 5;
const T1: u32 = 6;
const T6: u32 = 31;

/// What the fixed parts are to be like.
pub struct Setup {
    /// `satp` for U-mode and for S-mode.
    pub satp: [u64; 2],
    pub medeleg: u64,
    pub mideleg: u64,
    pub mstatus: u64,
    pub menvcfg: u64,
    pub privilege: u32,
    pub entry: u64,
}

impl Setup {
    pub fn new(src: &mut Src<'_>, entry: u64) -> Setup {
        let paged = |src: &mut Src<'_>, asid: u64, root: u64| if src.one_in(5) { 0 } else { 8 << 60 | asid << 44 | root >> 12 };
        Setup {
            satp: [paged(src, 2, RAM + 0x1_1000), paged(src, 1, RAM + 0x1_0000)],
            medeleg: if src.bool() { 0xb1ff } else { 0 },
            mideleg: if src.bool() { 0xffff } else { 0 },
            // FS; SUM and MXR.
            mstatus: u64::from(src.below(8).min(3)) << 13 | u64::from(src.below(4)) << 18,
            // All of it; what is not there is ignored.
            menvcfg: if src.one_in(4) { src.u64() } else { u64::MAX },
            privilege: [3, 1, 0, 3][src.below(4) as usize],
            entry,
        }
    }
}

fn save_area(c: &mut Code) {
    c.words(&[store(3, T0, T6, 0), store(3, T1, T6, 8)]);
    c.words(&[ld(T1, T6, 24), addi(T1, T1, 1), store(3, T1, T6, 24), addi(T0, 0, LIMIT)]);
}

/// Skips the instruction at the address in a CSR.
fn skip(c: &mut Code, epc: u32) {
    c.words(&[csrr(T1, epc), lhu(T0, T1, 0), andi(T0, T0, 3), addi(T0, T0, -3), sltiu(T0, T0, 1), slli(T0, T0, 1)]);
    c.words(&[addi(T0, T0, 2), add(T1, T1, T0), csrw(epc, T1)]);
}

/// A jump to be aimed later.
fn later(c: &mut Code) -> i32 {
    c.word(NOP);
    c.here() - 4
}

fn aim(c: &mut Code, from: i32, make: impl Fn(i32) -> u32) {
    let off = c.here() - from;
    c.set_word(from, make(off));
}

fn restore(c: &mut Code, scratch: u32, ret: u32) {
    c.words(&[ld(T0, T6, 0), ld(T1, T6, 8), csrr(T6, scratch), ret]);
}

/// Points t6 at the save area from an instruction at the current place.
fn point(c: &mut Code) {
    let back = SAVE - c.here();
    c.word(auipc(T6, 0));
    c.word(addi(T6, T6, back - 0x400));
    c.word(addi(T6, T6, 0x400));
}

/// Skips what faulted; a failed fetch goes on at `ra`. `ecall` goes on in the mode that `a7` names.
fn m_handler() -> Code {
    let mut c = Code::new(M_HANDLER);
    // Loads and stores below are M-mode's own: no MPRV.
    c.words(&[csr(1, T6, MSCRATCH, T6), lui(T6, 0x20), csr(3, 0, MSTATUS, T6)]);
    point(&mut c);
    save_area(&mut c);
    let halt = later(&mut c);
    c.word(csrr(T0, MCAUSE));
    let interrupt = later(&mut c);
    let mut fetch = vec![];
    for cause in [0, 1, 12] {
        c.word(addi(T1, 0, cause));
        fetch.push(later(&mut c));
    }
    let mut call = vec![];
    for cause in [8, 9, 11] {
        c.word(addi(T1, 0, cause));
        call.push(later(&mut c));
    }
    skip(&mut c, MEPC);
    let out = c.here();
    restore(&mut c, MSCRATCH, MRET);
    aim(&mut c, interrupt, |o| branch(4, T0, 0, o));
    let back = out - c.here() - 4;
    c.words(&[csrw(MIE, 0), jal(0, back)]);
    fetch.into_iter().for_each(|f| aim(&mut c, f, |o| branch(0, T0, T1, o)));
    c.word(csrw(MEPC, 1));
    let regime = later(&mut c);
    call.into_iter().for_each(|f| aim(&mut c, f, |o| branch(0, T0, T1, o)));
    c.words(&[csrr(T1, MEPC), addi(T1, T1, 4), csrw(MEPC, T1)]);
    c.words(&[andi(T1, 17, 3), slli(T1, T1, 11), lui(T0, 2), addi(T0, T0, -2048), csr(3, 0, MSTATUS, T0), csr(2, 0, MSTATUS, T1)]);
    aim(&mut c, regime, |o| jal(0, o));
    c.words(&[csrr(T0, MSTATUS), srli(T0, T0, 11), andi(T0, T0, 3), ld(T1, T6, 32), branch(0, T0, 0, 8), ld(T1, T6, 40), csrw(SATP, T1)]);
    let back = out - c.here();
    c.word(jal(0, back));
    aim(&mut c, halt, |o| branch(7, T1, T0, o));
    c.words(&[WFI, jal(0, -4)]);
    c
}

fn s_handler() -> Code {
    let mut c = Code::new(S_HANDLER);
    // SUM: the instruction to skip may lie on a user page.
    c.words(&[csr(1, T6, SSCRATCH, T6), lui(T6, 0x40), csr(2, 0, SSTATUS, T6)]);
    point(&mut c);
    save_area(&mut c);
    let halt = later(&mut c);
    c.word(csrr(T0, SCAUSE));
    let interrupt = later(&mut c);
    let mut fetch = vec![];
    for cause in [0, 1, 12] {
        c.word(addi(T1, 0, cause));
        fetch.push(later(&mut c));
    }
    skip(&mut c, SEPC);
    let out = c.here();
    restore(&mut c, SSCRATCH, SRET);
    aim(&mut c, interrupt, |o| branch(4, T0, 0, o));
    let back = out - c.here() - 4;
    c.words(&[csrw(SIE, 0), jal(0, back)]);
    fetch.into_iter().for_each(|f| aim(&mut c, f, |o| branch(0, T0, T1, o)));
    let back = out - c.here() - 4;
    c.words(&[csrw(SEPC, 1), jal(0, back)]);
    aim(&mut c, halt, |o| branch(7, T1, T0, o));
    c.words(&[WFI, jal(0, -4)]);
    c
}

fn start(s: &Setup) -> Code {
    let mut c = Code::new(RAM);
    let set = |c: &mut Code, number: u32, value: u64| {
        c.li(T6, value);
        c.word(csrw(number, T6));
    };
    set(&mut c, MTVEC, M_HANDLER);
    set(&mut c, STVEC, S_HANDLER);
    set(&mut c, MEDELEG, s.medeleg);
    set(&mut c, MIDELEG, s.mideleg);
    // PMP entry 7 allows everything.
    set(&mut c, 0x3b7, u64::MAX);
    set(&mut c, 0x3a0, 0x1f << 56);
    set(&mut c, MCOUNTEREN, u64::MAX);
    set(&mut c, 0x106, u64::MAX);
    set(&mut c, MENVCFG, s.menvcfg);
    set(&mut c, 0x10a, s.menvcfg);
    set(&mut c, 0x30c, u64::MAX);
    set(&mut c, 0x10c, u64::MAX);
    set(&mut c, SATP, s.satp[usize::from(s.privilege != 0)]);
    set(&mut c, MSTATUS, s.mstatus | u64::from(s.privilege) << 11);
    set(&mut c, MEPC, s.entry);
    c.li(T6, 0);
    c.word(MRET);
    c
}

/// All of RAM but the program.
pub fn build(src: &mut Src<'_>, s: &Setup) -> Vec<u8> {
    let mut ram = vec![0u8; SIZE as usize];
    let mut put = |at: u64, bytes: &[u8]| ram[(at - RAM) as usize..][..bytes.len()].copy_from_slice(bytes);
    for c in [start(s), m_handler(), s_handler()] {
        put(c.at, &c.bytes());
    }
    put(M_HANDLER + SAVE as u64 + 32, &s.satp[0].to_le_bytes());
    put(M_HANDLER + SAVE as u64 + 40, &s.satp[1].to_le_bytes());
    for at in (DATA..DATA_END).step_by(8) {
        let h = (at ^ 0x9e37).wrapping_mul(0x2545_f491_4f6c_dd1d);
        put(at, &(h ^ h >> 29).to_le_bytes());
    }
    let link = |pa: u64| (pa >> 12 << 10 | 1).to_le_bytes();
    for (root, middle, table, alias) in [(0x10, 0x12, 0x14, 0x16), (0x11, 0x13, 0x15, 0x16)] {
        let page = |n: u64| RAM + n * 0x1000;
        put(page(root) + 2 * 8, &link(page(middle)));
        put(page(root) + 8, &link(page(alias)));
        put(page(middle), &link(page(table)));
    }
    put(RAM + 0x1_6000, &link(ALIAS_TABLE));
    const U: u64 = 1 << 4;
    const AD: u64 = 3 << 6;
    for n in 0..32u64 {
        let pfn = (RAM >> 12) + n;
        let ours = if (4..8).contains(&n) { U } else { 0 };
        let mut rights = [0xf | AD, 0xf | AD | ours];
        if (8..12).contains(&n) {
            for r in &mut rights {
                *r = data_rights(src);
            }
        }
        for (table, rights) in RAM_TABLES.into_iter().zip(rights) {
            put(table + n * 8, &(pfn << 10 | rights).to_le_bytes());
        }
        put(ALIAS_TABLE + n * 8, &(pfn << 10 | 7 | AD | if src.bool() { U } else { 0 }).to_le_bytes());
        // Odd aliases: of data pages mostly, one of a device, one of nothing.
        let to = match n {
            7 => 0x1_0000,
            8 => 0x2_0000,
            _ => (DATA >> 12) + u64::from(src.below(4)),
        };
        put(ALIAS_TABLE + (32 + n) * 8, &(to << 10 | data_rights(src)).to_le_bytes());
    }
    ram
}

/// Flags of a page-table entry: usually all rights, sometimes something else, now and then something reserved.
pub fn data_rights(src: &mut Src<'_>) -> u64 {
    match src.below(8) {
        0..=3 => 0xd7 | u64::from(src.below(2)) << 3,
        4 => 0xc7,
        5 => 0x17,
        6 => u64::from(src.u8()) | 1,
        _ => 0xc1 | u64::from(src.below(8)) << 1 | u64::from(src.below(8)) << 61,
    }
}
