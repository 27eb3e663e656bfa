//! How long translation takes: decodes, records and compiles straight-line stretches of a RISC-V program again and again, without running it.
//!
//! `cargo run --release -p ambidex-accel-tcg --example translate FILE` takes a static RISC-V ELF file (without one, a small built-in sequence) and prints
//! nanoseconds of host time for each guest instruction, by stage.

use std::time::{Duration, Instant};

use ambidex_accel_tcg::decode::riscv::{Insn, decode};
use ambidex_accel_tcg::guest::riscv::Riscv;
use ambidex_accel_tcg::guest::{Guest, InsnFlow, ModeKey};
use ambidex_accel_tcg::ir::build::IrBuilder;
use ambidex_accel_tcg::jit::cpuid::HostFeatures;
use ambidex_accel_tcg::jit::{CompileError, Jit, JitConfig, RuntimeFns};
use ambidex_accel_tcg::sem::riscv::{Mode, Privilege};

/// The bytes of the executable segments.
fn text(file: &[u8]) -> Option<Vec<u8>> {
    let u16_at = |at: usize| {
        Some(usize::from(u16::from_le_bytes(
            file.get(at..at + 2)?.try_into().ok()?,
        )))
    };
    let u64_at =
        |at: usize| Some(u64::from_le_bytes(file.get(at..at + 8)?.try_into().ok()?) as usize);
    if file.get(..5)? != b"\x7fELF\x02" || u16_at(18)? != 243 {
        return None;
    }
    let (start, size, count) = (u64_at(32)?, u16_at(54)?, u16_at(56)?);
    let mut all = Vec::new();
    for n in 0..count {
        let at = start + n * size;
        // PT_LOAD with the execute flag.
        if file.get(at..at + 8)?[0] == 1 && file[at + 4] & 1 != 0 {
            all.extend_from_slice(file.get(u64_at(at + 8)?..)?.get(..u64_at(at + 32)?)?);
        }
    }
    Some(all)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let code = match std::env::args().nth(1) {
        Some(path) => text(&std::fs::read(&path)?).ok_or("not a static RISC-V program")?,
        None => [0x00a5_8533u32, 0x0085_3503, 0x00a5_b823, 0xfff5_0513]
            .iter()
            .flat_map(|w| w.to_le_bytes())
            .collect::<Vec<_>>()
            .repeat(4096),
    };
    let unused = 8;
    let fns = RuntimeFns {
        load: unused,
        store: unused,
        rmw: unused,
        cas: unused,
        load_reserved: unused,
        store_conditional: unused,
        call: unused,
        fp: unused,
        raise: unused,
    };
    let mut jit = Jit::new(JitConfig {
        bytes: 64 << 20,
        features: HostFeatures::detect(),
        fns,
        pinned: Riscv::PINNED,
        pc: Riscv::PC,
        fflags: Riscv::FFLAGS,
        frm: Riscv::FRM,
        nan: Riscv::NAN_RULE,
        count: false,
        pure: |_| false,
    })?;
    let mut builder = IrBuilder::default();
    builder.set_fp_slots(Riscv::FFLAGS, Riscv::FRM);
    let mode = ModeKey(Mode::new(Privilege::U, 3, 0).to_bits());

    let (mut decoding, mut recording, mut compiling) =
        (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let (mut insns, mut bytes, mut at) = (0u64, 0u64, 0usize);
    let mut block: Vec<Insn> = Vec::new();
    while insns < 2_000_000 {
        if at + 4 > code.len() {
            at = 0;
        }
        let pc = 0x1_0000 + at as u64;
        let start = Instant::now();
        block.clear();
        while block.len() < 64 && at + 4 <= code.len() {
            let insn = decode(u32::from_le_bytes([
                code[at],
                code[at + 1],
                code[at + 2],
                code[at + 3],
            ]));
            at += usize::from(insn.len);
            block.push(insn);
            if Riscv::flow(&insn) == InsnFlow::End {
                break;
            }
        }
        decoding += start.elapsed();
        let start = Instant::now();
        builder.begin(pc);
        let mut offset = 0;
        for insn in &block {
            if builder.ended() || builder.full() {
                break;
            }
            builder.start_insn(offset, insn.len);
            let Ok(()) = Riscv::exec(&mut builder, insn, pc + u64::from(offset), mode);
            offset += u16::from(insn.len);
            insns += 1;
        }
        builder.finish(pc + u64::from(offset));
        recording += start.elapsed();
        let start = Instant::now();
        match jit.compile(builder.block(), mode) {
            Ok(c) => bytes += u64::from(c.end - c.entry),
            Err(CompileError::Full) => {
                jit.evict();
            }
            Err(_) => {}
        }
        compiling += start.elapsed();
    }
    let each = |d: Duration| d.as_nanos() as f64 / insns as f64;
    println!(
        "{insns} guest instructions, {:.1} bytes of host code for each",
        bytes as f64 / insns as f64
    );
    println!(
        "decode {:.0} ns, record and optimise {:.0} ns, compile {:.0} ns, together {:.0} ns an instruction",
        each(decoding),
        each(recording),
        each(compiling),
        each(decoding + recording + compiling)
    );
    Ok(())
}
