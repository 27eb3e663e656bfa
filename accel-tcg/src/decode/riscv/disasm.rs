//! Assembly language, as `objdump -M no-aliases` writes it.

use super::format::Format;
use super::{Insn, Op, row};

/// ABI names of the integer registers.
pub const X_NAMES: [&str; 32] = [
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4",
    "a5", "a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4",
    "t5", "t6",
];

/// ABI names of the floating-point registers.
pub const F_NAMES: [&str; 32] = [
    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0", "fa1", "fa2",
    "fa3", "fa4", "fa5", "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9",
    "fs10", "fs11", "ft8", "ft9", "ft10", "ft11",
];

/// Constants of `fli`, as assemblers write them.
const FLI: [&str; 32] = [
    "-1.0",
    "min",
    "1.52587890625e-05",
    "3.0517578125e-05",
    "0.00390625",
    "0.0078125",
    "0.0625",
    "0.125",
    "0.25",
    "0.3125",
    "0.375",
    "0.4375",
    "0.5",
    "0.625",
    "0.75",
    "0.875",
    "1.0",
    "1.25",
    "1.5",
    "1.75",
    "2.0",
    "2.5",
    "3.0",
    "4.0",
    "8.0",
    "16.0",
    "128.0",
    "256.0",
    "32768.0",
    "65536.0",
    "inf",
    "nan",
];

/// CSRs that occur in common software.
const CSRS: &[(u16, &str)] = &[
    (0x001, "fflags"),
    (0x002, "frm"),
    (0x003, "fcsr"),
    (0x015, "seed"),
    (0xc00, "cycle"),
    (0xc01, "time"),
    (0xc02, "instret"),
    (0x100, "sstatus"),
    (0x104, "sie"),
    (0x105, "stvec"),
    (0x106, "scounteren"),
    (0x10a, "senvcfg"),
    (0x140, "sscratch"),
    (0x141, "sepc"),
    (0x142, "scause"),
    (0x143, "stval"),
    (0x144, "sip"),
    (0x14d, "stimecmp"),
    (0x180, "satp"),
    (0x300, "mstatus"),
    (0x301, "misa"),
    (0x302, "medeleg"),
    (0x303, "mideleg"),
    (0x304, "mie"),
    (0x305, "mtvec"),
    (0x306, "mcounteren"),
    (0x30a, "menvcfg"),
    (0x320, "mcountinhibit"),
    (0x340, "mscratch"),
    (0x341, "mepc"),
    (0x342, "mcause"),
    (0x343, "mtval"),
    (0x344, "mip"),
    (0x3a0, "pmpcfg0"),
    (0x3a2, "pmpcfg2"),
    (0x3b0, "pmpaddr0"),
    (0x3b1, "pmpaddr1"),
    (0x3b2, "pmpaddr2"),
    (0x3b3, "pmpaddr3"),
    (0xb00, "mcycle"),
    (0xb02, "minstret"),
    (0xf11, "mvendorid"),
    (0xf12, "marchid"),
    (0xf13, "mimpid"),
    (0xf14, "mhartid"),
    (0xf15, "mconfigptr"),
];

fn csr(number: i32) -> String {
    match CSRS.iter().find(|c| i32::from(c.0) == number) {
        Some(c) => c.1.to_owned(),
        None => format!("{number:#x}"),
    }
}

/// The set of accesses of a fence.
fn access(bits: i32) -> String {
    let s: String = "iorw"
        .chars()
        .enumerate()
        .filter(|(n, _)| bits >> (3 - n) & 1 != 0)
        .map(|(_, c)| c)
        .collect();
    if s.is_empty() {
        "unknown".to_owned()
    } else {
        s
    }
}

pub(super) fn disassemble(i: &Insn, pc: u64) -> String {
    let illegal = || format!(".{}byte\t{:#x}", i.len, i.bits);
    if i.op == Op::Illegal {
        return illegal();
    }
    let Some(row) = row(i.bits) else {
        return illegal();
    };
    let x = |n: u8| X_NAMES[usize::from(n & 31)];
    let f = |n: u8| F_NAMES[usize::from(n & 31)];
    let (rd, rs1, rs2, imm) = (x(i.rd), x(i.rs1), x(i.rs2), i.imm);
    let (fd, fs1, fs2, fs3) = (f(i.rd), f(i.rs1), f(i.rs2), f(i.rs3));
    let target = pc.wrapping_add(imm as u64);
    let upper = (imm as u32) >> 12;
    let rm = [
        ",rne", ",rtz", ",rdn", ",rup", ",rmm", ",unknown", ",unknown", "",
    ][usize::from(i.rm & 7)];
    // Conversions that are always exact are written without a rounding mode when it is zero.
    let exact = matches!(
        i.op,
        Op::FcvtDS | Op::FcvtDH | Op::FcvtSH | Op::FcvtDW | Op::FcvtDWu
    );
    let rm = if exact && i.rm == 0 { "" } else { rm };
    let operands = match row.format {
        Format::None => String::new(),
        Format::R => format!("{rd},{rs1},{rs2}"),
        Format::R2 => format!("{rd},{rs1}"),
        Format::I => format!("{rd},{rs1},{imm}"),
        Format::Shift => format!("{rd},{rs1},{imm:#x}"),
        Format::Load
        | Format::Clw
        | Format::Cld
        | Format::Clb
        | Format::Clh
        | Format::Clwsp
        | Format::Cldsp => {
            format!("{rd},{imm}({rs1})")
        }
        Format::Store
        | Format::Csw
        | Format::Csd
        | Format::Csb
        | Format::Csh
        | Format::Cswsp
        | Format::Csdsp => {
            format!("{rs2},{imm}({rs1})")
        }
        Format::FLoad | Format::Cfld | Format::Cfldsp => format!("{fd},{imm}({rs1})"),
        Format::FStore | Format::Cfsd | Format::Cfsdsp => format!("{fs2},{imm}({rs1})"),
        Format::B => format!("{rs1},{rs2},{target:#x}"),
        Format::U => format!("{rd},{upper:#x}"),
        Format::J => format!("{rd},{target:#x}"),
        Format::Fence => format!("{},{}", access(imm >> 4), access(imm)),
        Format::Csr => format!("{rd},{},{rs1}", csr(imm)),
        Format::CsrI => format!("{rd},{},{}", csr(imm), i.rs1),
        Format::Lr => format!("{rd},({rs1})"),
        Format::Amo => format!("{rd},{rs2},({rs1})"),
        Format::FmaRm => format!("{fd},{fs1},{fs2},{fs3}{rm}"),
        Format::FffRm => format!("{fd},{fs1},{fs2}{rm}"),
        Format::FfRm => format!("{fd},{fs1}{rm}"),
        Format::Fff => format!("{fd},{fs1},{fs2}"),
        Format::Xff => format!("{rd},{fs1},{fs2}"),
        Format::XfRm => format!("{rd},{fs1}{rm}"),
        Format::FxRm => format!("{fd},{rs1}{rm}"),
        Format::Xf => format!("{rd},{fs1}"),
        Format::Fx => format!("{fd},{rs1}"),
        Format::Fli => format!("{fd},{}", FLI[usize::from(i.rs1 & 31)]),
        Format::Ss => format!("{rs1},{rs2}"),
        Format::Mem => format!("({rs1})"),
        Format::Prefetch => format!("{imm}({rs1})"),
        Format::MopR => format!("{rd},{rs1}"),
        Format::MopRr => format!("{rd},{rs1},{rs2}"),
        Format::Ci | Format::Cli | Format::Candi | Format::Ci16sp => format!("{rd},{imm}"),
        Format::Clui => format!("{rd},{:#x}", upper),
        Format::Ciw => format!("{rd},{rs1},{imm}"),
        Format::CshiftL | Format::CshiftR => format!("{rd},{imm:#x}"),
        Format::Ca | Format::Cmv | Format::Cadd => format!("{rd},{rs2}"),
        Format::Cjr | Format::Cjalr => rs1.to_owned(),
        Format::Cj => format!("{target:#x}"),
        Format::Cb => format!("{rs1},{target:#x}"),
        Format::Cunary | Format::Czextb | Format::Czextw | Format::Cnot => rd.to_owned(),
        Format::Cmop => String::new(),
    };
    let suffix = match (row.format, imm & 3) {
        (Format::Amo | Format::Lr, 1) => ".rl",
        (Format::Amo | Format::Lr, 2) => ".aq",
        (Format::Amo | Format::Lr, 3) => ".aqrl",
        _ => "",
    };
    let number = match row.format {
        Format::MopR => format!(
            ".{}",
            (i.bits >> 30 & 1) << 4 | (i.bits >> 26 & 3) << 2 | i.bits >> 20 & 3
        ),
        Format::MopRr => format!(".{}", i.bits >> 28 & 4 | i.bits >> 26 & 3),
        Format::Cmop => format!(".{}", i.bits >> 7 & 15),
        _ => String::new(),
    };
    let name = format!("{}{number}{suffix}", row.name);
    if operands.is_empty() {
        name
    } else {
        format!("{name}\t{operands}")
    }
}
