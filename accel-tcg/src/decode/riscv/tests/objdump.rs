//! Comparison with the disassembler of GNU binutils.

use std::io::Write;
use std::process::Command;

use super::super::*;
use super::Rng;

const OBJDUMP: &str = "riscv64-linux-gnu-objdump";

/// What the disassembler is told about the program.
const ARCH: &str =
    "rv64imafdc_zicsr_zifencei_zba_zbb_zbc_zbs_zfh_zawrs_zicbom_zicboz_zicbop_zihintpause_svinval";

/// Extensions that older binutils (before 2.42) print as data.
const NEWER: Extensions = Extensions::NONE
    .with(Extension::Zfa)
    .with(Extension::Zicond)
    .with(Extension::Zacas)
    .with(Extension::Zabha)
    .with(Extension::Zcb)
    .with(Extension::Zimop)
    .with(Extension::Zcmop)
    .with(Extension::Zihintntl)
    .with(Extension::Zicbop);

/// A relocatable ELF file with the code in `.text` and the architecture in `.riscv.attributes`.
fn elf(code: &[u8]) -> Vec<u8> {
    let mut attr = vec![5u8];
    attr.extend([ARCH.as_bytes(), &[0]].concat());
    let mut attributes = vec![b'A'];
    let sub = 5 + attr.len() as u32;
    attributes.extend((4 + 6 + sub).to_le_bytes());
    attributes.extend(b"riscv\0");
    attributes.push(1);
    attributes.extend(sub.to_le_bytes());
    attributes.extend(attr);
    let names = b"\0.text\0.riscv.attributes\0.shstrtab\0";

    let text_at = 64;
    let attributes_at = text_at + code.len();
    let names_at = attributes_at + attributes.len();
    let headers_at = (names_at + names.len()).next_multiple_of(8);
    let mut out = Vec::new();
    out.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    out.extend([1u16.to_le_bytes(), 243u16.to_le_bytes()].concat());
    out.extend(1u32.to_le_bytes());
    out.extend(
        [
            0u64.to_le_bytes(),
            0u64.to_le_bytes(),
            (headers_at as u64).to_le_bytes(),
        ]
        .concat(),
    );
    out.extend(5u32.to_le_bytes()); // RVC, double-float ABI
    for half in [64u16, 0, 0, 64, 4, 3] {
        out.extend(half.to_le_bytes());
    }
    out.extend(code);
    out.extend(&attributes);
    out.extend(names);
    out.resize(headers_at, 0);
    let mut section = |name: u32, kind: u32, flags: u64, at: usize, size: usize, align: u64| {
        out.extend([name.to_le_bytes(), kind.to_le_bytes()].concat());
        for v in [flags, 0, at as u64, size as u64, 0, align, 0] {
            out.extend(v.to_le_bytes());
        }
    };
    section(0, 0, 0, 0, 0, 0);
    section(1, 1, 6, text_at, code.len(), 2);
    section(7, 0x7000_0003, 0, attributes_at, attributes.len(), 1);
    section(25, 3, 0, names_at, names.len(), 1);
    out
}

/// Comments, symbols and spaces that do not matter removed; addresses without `0x`.
fn tidy(text: &str) -> String {
    let text = text
        .split(" #")
        .next()
        .unwrap_or_default()
        .split(" <")
        .next()
        .unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn same(i: &Insn, ours: &str, theirs: &str) -> bool {
    if ours == theirs {
        return true;
    }
    if i.op == Op::Illegal {
        // All zeros has a name; an adjustment by zero is reserved; the hypervisor extension is not ours.
        return theirs == "c.unimp" || theirs == "c.addi16sp sp,0" || theirs.starts_with('h');
    }
    let Some(row) = row(i.bits) else { return false };
    // Not all CSR names are in our list.
    if matches!(row.format, Format::Csr | Format::CsrI) {
        let cut = |s: &str| {
            s.split(',')
                .enumerate()
                .filter(|(n, _)| *n != 1)
                .map(|(_, t)| t.to_owned())
                .collect::<Vec<_>>()
        };
        return ours.contains(",0x") && cut(ours) == cut(theirs);
    }
    let strip = |s: &str| s.replace("0x", "");
    let data = theirs.starts_with(".4byte");
    match i.op {
        // Unused fields are to be ignored; binutils wants zeros there.
        Op::Fence | Op::FenceI | Op::FenceTso if data => {
            return i.bits & 0x000f_8f80 != 0 || i.op == Op::FenceI || i.imm >> 8 != 0;
        }
        // Exact conversions: the rounding mode is to be ignored.
        Op::FcvtDS | Op::FcvtSH | Op::FcvtDH | Op::FcvtDW | Op::FcvtDWu if data => {
            return i.rm != 0;
        }
        Op::NtlP1 | Op::NtlPall | Op::NtlS1 | Op::NtlAll => return theirs.contains("add zero"),
        Op::PrefetchI | Op::PrefetchR | Op::PrefetchW => return theirs.starts_with("ori zero"),
        // A hint with a name of its own in 128-bit code.
        Op::Slli | Op::Srli | Op::Srai if i.len == 2 && i.imm == 0 => {
            return theirs.contains("64 ");
        }
        _ => {}
    }
    match row.format {
        // Addresses are printed with or without a prefix.
        Format::B | Format::J | Format::Cb | Format::Cj => strip(ours) == strip(theirs),
        _ => {
            theirs.starts_with(".2byte")
                || theirs.starts_with(".4byte") && i.extension().0 & NEWER.0 != 0
        }
    }
}

#[test]
fn agrees_with_objdump() {
    if Command::new(OBJDUMP).arg("--version").output().is_err() {
        println!("skipped: {OBJDUMP} is not installed (package binutils-riscv64-linux-gnu)");
        return;
    }
    let mut rng = Rng(0xfeed_f00d);
    let mut words: Vec<u32> = (0..40_000)
        .map(|_| arbitrary(rng.next(), rng.next()))
        .collect();
    words.extend((0..0x1_0000).filter(|w| w & 3 != 3));
    words.extend((0..20_000).map(|_| rng.next() | 3));
    // Longer formats would swallow what follows.
    words.retain(|w| w & 3 != 3 || w & 0x1f != 0x1f);
    let mut code = Vec::new();
    for w in &words {
        code.extend(&w.to_le_bytes()[..usize::from(length(*w))]);
    }
    let path = std::env::temp_dir().join(format!("ambidex-objdump-{}.o", std::process::id()));
    std::fs::File::create(&path)
        .and_then(|mut f| f.write_all(&elf(&code)))
        .expect("write the object file");
    let out = Command::new(OBJDUMP)
        .args(["-d", "-z", "-M", "no-aliases"])
        .arg(&path)
        .output()
        .expect("run objdump");
    std::fs::remove_file(&path).expect("remove the object file");
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let listing = String::from_utf8_lossy(&out.stdout);

    let (mut pc, mut compared, mut wrong) = (0u64, 0, Vec::new());
    let mut lines = listing
        .lines()
        .filter(|l| l.starts_with(' ') && l.contains(":\t"));
    for &w in &words {
        let i = decode(w);
        let line = lines.next().expect("a line for every instruction");
        let mut parts = line.splitn(3, '\t');
        let address = parts
            .next()
            .unwrap_or_default()
            .trim()
            .trim_end_matches(':');
        assert_eq!(u64::from_str_radix(address, 16), Ok(pc), "{line}");
        let theirs = tidy(parts.nth(1).unwrap_or_default());
        let ours = tidy(&i.disassemble(pc));
        if same(&i, &ours, &theirs) {
            compared += 1;
        } else {
            wrong.push(format!("{w:08x}: ours `{ours}`, theirs `{theirs}`"));
        }
        pc += u64::from(i.len);
    }
    println!("{compared} instructions agree");
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong
            .iter()
            .take(60)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n")
    );
}
