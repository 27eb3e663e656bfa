//! What the translator makes of a piece of a static riscv64 program: guest code, IR, host code.
//!
//! `cargo run -p ambidex-accel-tcg --example disasm -- PROGRAM ADDRESS [HOST.bin]` compiles the block at the hexadecimal virtual address
//! (without arguments, a loop of three instructions) and, with a third argument, writes the host code to that file (`objdump -D -b binary -m i386:x86-64 -M intel HOST.bin`).

use ambidex_accel_tcg::decode::riscv::{Extensions, Insn, decode_enabled, length};
use ambidex_accel_tcg::fp::NanRule;
use ambidex_accel_tcg::guest::riscv::Riscv;
use ambidex_accel_tcg::guest::{Guest, ModeKey};
use ambidex_accel_tcg::ir::build::IrBuilder;
use ambidex_accel_tcg::jit::cpuid::HostFeatures;
use ambidex_accel_tcg::jit::{Jit, JitConfig, RuntimeFns};
use ambidex_accel_tcg::sem::riscv::Mode;

/// Little-endian number of `n` bytes.
fn number(b: &[u8], at: usize, n: usize) -> Option<usize> {
    let b = b.get(at..at + n)?;
    Some(b.iter().rev().fold(0, |acc, &x| acc << 8 | usize::from(x)))
}

/// The bytes of a 64-bit ELF file from a virtual address to the end of its segment.
fn segment(elf: &[u8], va: usize) -> Option<&[u8]> {
    let (table, size, count) = (
        number(elf, 32, 8)?,
        number(elf, 54, 2)?,
        number(elf, 56, 2)?,
    );
    (0..count).find_map(|k| {
        let at = table + k * size;
        let (kind, offset, start, len) = (
            number(elf, at, 4)?,
            number(elf, at + 8, 8)?,
            number(elf, at + 16, 8)?,
            number(elf, at + 32, 8)?,
        );
        (kind == 1 && va >= start && va < start + len)
            .then(|| elf.get(offset + (va - start)..offset + len))?
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    // ld a0, 16(sp); add a0, a0, a1; bnez a0, -8
    const SAMPLE: [u8; 12] = [
        0x03, 0x35, 0x01, 0x01, 0x33, 0x05, 0xb5, 0x00, 0xe3, 0x1c, 0x05, 0xfe,
    ];
    let elf;
    let (code, va, rest) = match args.as_slice() {
        [] | [_] => (&SAMPLE[..], 0x1_0000, &[][..]),
        [_, program, address, rest @ ..] => {
            elf = std::fs::read(program)?;
            let va = usize::from_str_radix(address.trim_start_matches("0x"), 16)?;
            let code = segment(&elf, va).ok_or("no segment of the program has this address")?;
            (code, va, rest)
        }
        _ => return Err("usage: disasm [PROGRAM ADDRESS [HOST.bin]]".into()),
    };
    let mode = ModeKey(Mode::new(ambidex_accel_tcg::sem::riscv::Privilege::U, 3, 0).to_bits());

    let mut builder = IrBuilder::default();
    builder.set_pure(|h| Riscv::HELPERS.get(usize::from(h.0)).is_some_and(|h| h.pure));
    builder.set_fp_slots(Riscv::FFLAGS, Riscv::FRM);
    builder.begin(va as u64);
    let mut at = 0;
    while !builder.ended() && !builder.full() && at < 256 {
        let Some(word) = number(code, at, 2) else {
            break;
        };
        let len = usize::from(length(word as u32));
        let Some(word) = number(code, at, len) else {
            break;
        };
        let pc = (va + at) as u64;
        let insn: Insn = decode_enabled(word as u32, Extensions::ALL);
        println!("{pc:x}  {}", insn.disassemble(pc));
        builder.start_insn(at as u16, len as u8);
        let Ok(()) = Riscv::exec(&mut builder, &insn, pc, mode);
        at += len;
        if builder.branched_back() {
            break;
        }
    }
    builder.finish((va + at) as u64);
    println!("\n{}", builder.block().listing(Riscv::slot_name));

    let mut jit = Jit::new(JitConfig {
        bytes: 1 << 20,
        features: HostFeatures::detect(),
        // Nothing is run.
        fns: RuntimeFns {
            load: 1,
            store: 1,
            rmw: 1,
            cas: 1,
            load_reserved: 1,
            store_conditional: 1,
            call: 1,
            fp: 1,
            raise: 1,
        },
        pinned: Riscv::PINNED,
        pc: Riscv::PC,
        fflags: Riscv::FFLAGS,
        frm: Riscv::FRM,
        nan: NanRule::Canonical,
        count: false,
        pure: |h| Riscv::HELPERS.get(usize::from(h.0)).is_some_and(|h| h.pure),
    })?;
    let compiled = jit
        .compile(builder.block(), mode)
        .map_err(|e| format!("{e:?}"))?;
    let bytes = jit.code_bytes(compiled.entry..compiled.end);
    println!("{} bytes of host code for {at} of guest code", bytes.len());
    if let [file, ..] = rest {
        std::fs::write(file, bytes)?;
    }
    Ok(())
}
