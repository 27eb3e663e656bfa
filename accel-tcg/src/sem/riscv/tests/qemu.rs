//! Comparison with QEMU's user-mode emulation: random instructions, each on a table of operands, in one program made here byte by byte.

use std::io::Write;
use std::process::{Command, Stdio};

use super::hart::{Flow, Hart};
use crate::decode::riscv::{Extension, Extensions, Format, Insn, Op, Row, decode, rows};
use crate::sem::riscv::slots;

const QEMU: &str = "qemu-riscv64-static";

/// xorshift64*
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let v = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d);
        v.rotate_left(32)
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 11) as usize % n
    }
}

/// x10 to x13, f10 to f13 and `fcsr` before the instruction.
const INPUTS: usize = 9;
/// x10 to x13, f10 to f13, `fflags`, 32 bytes of memory after it.
const OUTPUTS: usize = 13;
/// Rows of operands.
const ROWS: usize = 48;
/// Where the program is loaded.
const BASE: u64 = 0x20_0000;
/// Register with the address of the 32 bytes.
const POINTER: u8 = 9;

/// Machine code of the frame around the instructions under test.
#[derive(Default)]
struct Code(Vec<u8>);

impl Code {
    fn word(&mut self, w: u32) {
        self.0.extend(w.to_le_bytes());
    }
    fn i(&mut self, opcode: u32, funct3: u32, rd: u8, rs1: u8, imm: i32) {
        self.word(
            opcode | u32::from(rd) << 7 | funct3 << 12 | u32::from(rs1) << 15 | (imm as u32) << 20,
        );
    }
    fn s(&mut self, opcode: u32, funct3: u32, rs2: u8, rs1: u8, imm: u32) {
        self.word(
            opcode
                | (imm & 31) << 7
                | funct3 << 12
                | u32::from(rs1) << 15
                | u32::from(rs2) << 20
                | (imm >> 5) << 25,
        );
    }
    fn ld(&mut self, rd: u8, rs1: u8, imm: usize) {
        self.i(0x03, 3, rd, rs1, imm as i32);
    }
    fn fld(&mut self, rd: u8, rs1: u8, imm: usize) {
        self.i(0x07, 3, rd, rs1, imm as i32);
    }
    fn sd(&mut self, rs2: u8, rs1: u8, imm: usize) {
        self.s(0x23, 3, rs2, rs1, imm as u32);
    }
    fn fsd(&mut self, rs2: u8, rs1: u8, imm: usize) {
        self.s(0x27, 3, rs2, rs1, imm as u32);
    }
    fn addi(&mut self, rd: u8, rs1: u8, imm: i32) {
        self.i(0x13, 0, rd, rs1, imm);
    }
    /// A positive constant of up to 30 bits.
    fn li(&mut self, rd: u8, value: u64) {
        let high = (value as u32).wrapping_add(0x800) & 0xffff_f000;
        self.word(0x37 | u32::from(rd) << 7 | high);
        self.addi(rd, rd, (value as u32).wrapping_sub(high) as i32);
    }
    /// A branch to an earlier place.
    fn back(&mut self, funct3: u32, rs1: u8, rs2: u8, to: usize) {
        let offset = (to as i64 - self.0.len() as i64) as u32;
        let imm = (offset >> 12 & 1) << 31
            | (offset >> 5 & 63) << 25
            | (offset >> 1 & 15) << 8
            | (offset >> 11 & 1) << 7;
        self.word(0x63 | funct3 << 12 | u32::from(rs1) << 15 | u32::from(rs2) << 20 | imm);
    }
}

struct Case {
    insn: Insn,
    pc: u64,
}

fn writes_memory_or_reads(f: Format) -> bool {
    matches!(
        f,
        Format::Load
            | Format::Store
            | Format::FLoad
            | Format::FStore
            | Format::Lr
            | Format::Amo
            | Format::Clw
            | Format::Cld
            | Format::Csw
            | Format::Csd
            | Format::Clb
            | Format::Clh
            | Format::Csb
            | Format::Csh
            | Format::Cfld
            | Format::Cfsd
    )
}

/// A random instruction of this line that uses the registers of the frame only.
fn instruction(row: &Row, rng: &mut Rng) -> Option<Insn> {
    let memory = writes_memory_or_reads(row.format);
    for _ in 0..20_000 {
        let mut fill = rng.next() as u32;
        if row.pattern.bits == 32 {
            let zero = matches!(
                row.format,
                Format::R | Format::I | Format::R2 | Format::Shift
            ) && rng.below(8) == 0;
            let mut reg = |at: u32| {
                let n = if zero && rng.below(2) == 0 {
                    0
                } else {
                    10 + rng.below(4) as u32
                };
                fill = fill & !(31 << at) | n << at;
            };
            if row.format != Format::Store && row.format != Format::FStore {
                reg(7);
            }
            reg(15);
            if matches!(
                row.format,
                Format::R
                    | Format::Store
                    | Format::FStore
                    | Format::Amo
                    | Format::FmaRm
                    | Format::FffRm
                    | Format::Fff
                    | Format::Xff
            ) {
                reg(20);
            }
            if row.format == Format::FmaRm {
                reg(27);
            }
            if memory {
                fill = fill & !(31 << 15) | u32::from(POINTER) << 15;
            }
            if matches!(row.format, Format::Load | Format::FLoad) {
                fill = fill & 0x000f_ffff | (rng.below(25) as u32) << 20;
            }
            if matches!(row.format, Format::Store | Format::FStore) {
                fill = fill & !(127 << 25 | 31 << 7) | (rng.below(25) as u32) << 7;
            }
        }
        let i = decode(row.pattern.fill(fill));
        let own = |n: u8| n == 0 || (10..14).contains(&n);
        let fits = if memory {
            i.rs1 == POINTER && (0..=24).contains(&i.imm)
        } else {
            own(i.rs1)
        };
        let registers = i.len == 4 || own(i.rd) && own(i.rs2);
        let rounding = !row.format.has_rm() || !matches!(i.rm, 5 | 6);
        if i.op == row.op && fits && registers && rounding {
            return Some(i);
        }
    }
    None
}

fn usable(row: &Row, known: Extensions) -> bool {
    known.contains(row.needs.union(row.op.extension()))
        && !matches!(
            row.format,
            Format::None
                | Format::B
                | Format::J
                | Format::Fence
                | Format::Prefetch
                | Format::Cb
                | Format::Cj
                | Format::Cjr
                | Format::Cjalr
        )
        && !matches!(row.op, Op::Jalr | Op::Illegal | Op::AmocasQ)
}

/// Operands that are likely to be interesting.
fn operand(rng: &mut Rng) -> u64 {
    const EDGES: [u64; 12] = [
        0,
        1,
        2,
        u64::MAX,
        i64::MAX as u64,
        i64::MIN as u64,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_ffff,
        0xffff_ffff_8000_0000,
        0x0000_0001_0000_0000,
        0x0080_0080_ff00_7f01,
    ];
    match rng.below(4) {
        0 => EDGES[rng.below(EDGES.len())],
        1 => rng.next() >> rng.below(64),
        2 => EDGES[rng.below(EDGES.len())]
            .wrapping_add(rng.below(5) as u64)
            .wrapping_sub(2),
        _ => rng.next(),
    }
}

fn float(rng: &mut Rng) -> u64 {
    /// Bits of the exponent and of the fraction.
    const FORMATS: [(u32, u32); 3] = [(5, 10), (8, 23), (11, 52)];
    let (eb, fb) = FORMATS[rng.below(3)];
    let max = (1u64 << eb) - 1;
    let bias = max >> 1;
    let exponent = match rng.below(6) {
        0 => 0,
        1 => max,
        2 => max - 1 - rng.below(2) as u64,
        3 => 1 + rng.below(2) as u64,
        _ => bias - 3 + rng.below(70).min(eb as usize * 6) as u64,
    } & max;
    let fraction = match rng.below(5) {
        0 => 0,
        1 => 1 << (fb - 1),
        2 => 1,
        3 => (1 << fb) - 1,
        _ => rng.next() & ((1 << fb) - 1),
    };
    let v = (rng.next() & 1) << (eb + fb) | exponent << fb | fraction;
    let boxed = v | u64::MAX.checked_shl(eb + fb + 1).unwrap_or(0);
    if rng.below(20) == 0 { v } else { boxed }
}

/// The program: an ELF file with one segment. Input and output tables follow the code.
fn program(insns: &[Insn], inputs: &[[u64; INPUTS]]) -> (Vec<u8>, Vec<Case>, u64) {
    let header = 64 + 56;
    // The size of the code has to be known for the addresses of the tables; it does not depend on them.
    let build = |table: u64, buffer: u64, out: u64| {
        let mut c = Code::default();
        let mut cases = Vec::new();
        c.li(20, table);
        c.li(21, table + (inputs.len() * INPUTS * 8) as u64);
        c.li(22, out);
        c.addi(6, 22, 0);
        c.li(POINTER, buffer);
        for &insn in insns {
            if c.0.len() % 4 != 0 {
                c.0.extend([0x01, 0x00]); // c.nop
            }
            c.addi(5, 20, 0);
            let start = c.0.len();
            // No reservation from earlier on.
            c.word(0x1800_202f | u32::from(POINTER) << 15);
            for n in 0..4u8 {
                c.ld(10 + n, 5, usize::from(n) * 8);
                c.sd(10 + n, POINTER, usize::from(n) * 8);
                c.fld(10 + n, 5, 32 + usize::from(n) * 8);
            }
            c.ld(15, 5, 64);
            c.i(0x73, 1, 0, 15, 3); // csrw fcsr, x15
            cases.push(Case {
                insn,
                pc: BASE + (header + c.0.len()) as u64,
            });
            c.0.extend(&insn.bits.to_le_bytes()[..usize::from(insn.len)]);
            c.i(0x73, 2, 15, 0, 1); // csrr x15, fflags
            for n in 0..4u8 {
                c.sd(10 + n, 6, usize::from(n) * 8);
                c.fsd(10 + n, 6, 32 + usize::from(n) * 8);
            }
            c.sd(15, 6, 64);
            for n in 0..4 {
                c.ld(15, POINTER, n * 8);
                c.sd(15, 6, 72 + n * 8);
            }
            c.addi(6, 6, OUTPUTS as i32 * 8);
            c.addi(5, 5, INPUTS as i32 * 8);
            c.back(6, 5, 21, start); // bltu x5, x21
        }
        if c.0.len() % 4 != 0 {
            c.0.extend([0x01, 0x00]);
        }
        // while x22 < x6 { x22 += write(1, x22, x6 - x22) }; exit(0)
        let again = c.0.len();
        c.addi(10, 0, 1);
        c.addi(11, 22, 0);
        c.word(0x4163_0633); // sub x12, x6, x22
        c.addi(17, 0, 64);
        c.word(0x73);
        c.word(0x00ab_0b33); // add x22, x22, x10
        c.back(6, 22, 6, again);
        c.addi(10, 0, 0);
        c.addi(17, 0, 93);
        c.word(0x73);
        (c.0, cases)
    };
    let size = build(0, 0, 0).0.len();
    let table = (BASE + (header + size) as u64).next_multiple_of(64);
    let buffer = table + (inputs.len() * INPUTS * 8) as u64;
    let buffer = buffer.next_multiple_of(64);
    let out = buffer + 64;
    let (code, cases) = build(table, buffer, out);
    assert_eq!(code.len(), size);

    let mut elf = Vec::new();
    elf.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    elf.extend([2u16.to_le_bytes(), 243u16.to_le_bytes()].concat());
    elf.extend(1u32.to_le_bytes());
    for v in [BASE + header as u64, 64, 0] {
        elf.extend(v.to_le_bytes());
    }
    elf.extend(5u32.to_le_bytes());
    for half in [64u16, 56, 1, 64, 0, 0] {
        elf.extend(half.to_le_bytes());
    }
    elf.extend([1u32.to_le_bytes(), 7u32.to_le_bytes()].concat());
    let file = buffer - BASE;
    let memory = out - BASE + (insns.len() * inputs.len() * OUTPUTS * 8) as u64;
    for v in [0, BASE, BASE, file, memory, 4096] {
        elf.extend(v.to_le_bytes());
    }
    elf.extend(code);
    elf.resize((table - BASE) as usize, 0);
    for v in inputs.iter().flatten() {
        elf.extend(v.to_le_bytes());
    }
    elf.resize(file as usize, 0);
    (elf, cases, buffer)
}

/// What this QEMU has of our extensions, and the CPU model that has them.
fn known() -> Option<(Extensions, &'static str)> {
    let out = Command::new(QEMU).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let mut numbers = text
        .split("version ")
        .nth(1)?
        .split('.')
        .map(|n| n.parse::<u32>().unwrap_or(0));
    let version = (numbers.next()?, numbers.next()?);
    use Extension as E;
    let mut known = Extensions::NONE;
    for e in [
        E::I,
        E::M,
        E::Zalrsc,
        E::Zaamo,
        E::F,
        E::D,
        E::Zca,
        E::Zcd,
        E::Zba,
        E::Zbb,
        E::Zbc,
        E::Zbs,
        E::Zfhmin,
        E::Zfh,
    ] {
        known = known.with(e);
    }
    if version >= (8, 2) {
        known = known.with(E::Zicond).with(E::Zfa).with(E::Zcb);
    }
    if version >= (9, 2) {
        known = known
            .with(E::Zacas)
            .with(E::Zabha)
            .with(E::Zimop)
            .with(E::Zcmop);
    }
    let model = if version < (8, 1) {
        "rv64,Zfh=true"
    } else {
        "max"
    };
    Some((known, model))
}

fn ours(case: &Case, input: &[u64; INPUTS], buffer: u64) -> [u64; OUTPUTS] {
    let mut h = Hart::new();
    h.base = buffer;
    h.memory = input[..4].iter().flat_map(|v| v.to_le_bytes()).collect();
    h.set_x(POINTER, buffer);
    for n in 0..4 {
        h.slots[10 + n] = input[n];
        h.slots[32 + 10 + n] = input[4 + n];
    }
    h.slots[usize::from(slots::FRM.0)] = input[8] >> 5;
    assert_eq!(
        h.step(case.insn.bits, case.pc),
        Ok(Flow::Next),
        "{}",
        case.insn.disassemble(case.pc)
    );
    let mut out = [0; OUTPUTS];
    for n in 0..4 {
        out[n] = h.slots[10 + n];
        out[4 + n] = h.slots[32 + 10 + n];
        out[9 + n] = u64::from_le_bytes(h.memory[n * 8..][..8].try_into().expect("eight bytes"));
    }
    out[8] = h.slots[usize::from(slots::FFLAGS.0)];
    out
}

#[test]
fn agrees_with_qemu() {
    let Some((known, model)) = known() else {
        println!(
            "skipped: {QEMU} is not installed (package qemu-user-static) or does not tell its version"
        );
        return;
    };
    let mut rng = Rng(0x00c0_ffee_1234_5678);
    let mut insns = Vec::new();
    // QEMU 7.2's `ctzw` counts on into the upper half when the lower one is zero; ask only versions known to be newer.
    let trusted = |r: &Row| r.op != Op::Ctzw || known.has(Extension::Zacas);
    for row in rows().filter(|r| usable(r, known) && trusted(r)) {
        let each = if row.format.has_rm() { 12 } else { 5 };
        for _ in 0..each {
            insns.extend(instruction(row, &mut rng));
        }
    }
    let inputs: Vec<[u64; INPUTS]> = (0..ROWS)
        .map(|n| {
            std::array::from_fn(|at| match at {
                0..4 => operand(&mut rng),
                8 => (n as u64 % 5) << 5,
                _ => float(&mut rng),
            })
        })
        .collect();
    let (elf, cases, buffer) = program(&insns, &inputs);

    let path = std::env::temp_dir().join(format!("ambidex-qemu-{}", std::process::id()));
    {
        use std::os::unix::fs::OpenOptionsExt;
        let mut f = std::fs::OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o700)
            .open(&path)
            .expect("create the program");
        f.write_all(&elf).expect("write the program");
    }
    let out = Command::new(QEMU)
        .args(["-cpu", model])
        .arg(&path)
        .stdin(Stdio::null())
        .output()
        .expect("run the program");
    std::fs::remove_file(&path).expect("remove the program");
    let expected = cases.len() * ROWS * OUTPUTS * 8;
    assert!(
        out.status.success(),
        "{:?} {}",
        out.status,
        String::from_utf8_lossy(&out.stderr)
    );
    assert_eq!(out.stdout.len(), expected);

    let mut results = out.stdout.chunks_exact(OUTPUTS * 8);
    let (mut wrong, mut lines) = (0, Vec::new());
    for case in &cases {
        for input in &inputs {
            let theirs = results.next().expect("a result for every case");
            let theirs: [u64; OUTPUTS] = std::array::from_fn(|n| {
                u64::from_le_bytes(theirs[n * 8..][..8].try_into().expect("eight bytes"))
            });
            let ours = ours(case, input, buffer);
            if ours != theirs {
                wrong += 1;
                let text = case.insn.disassemble(case.pc).replace('\t', " ");
                if lines.len() < 40 && !lines.iter().any(|l: &String| l.starts_with(&text)) {
                    lines.push(format!(
                        "{text}\n  in     {input:x?}\n  ours   {ours:x?}\n  theirs {theirs:x?}"
                    ));
                }
            }
        }
    }
    println!(
        "{} instructions, {} executions",
        cases.len(),
        cases.len() * ROWS
    );
    assert_eq!(wrong, 0, "executions differ:\n{}", lines.join("\n"));
}
