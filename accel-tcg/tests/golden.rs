//! Host instructions emitted for representative guest sequences, compared with a file that is kept under review: code quality that gets worse
//! fails here, and what gets better is recorded by running with `AMBIDEX_UPDATE_GOLDEN=1`.
//!
//! Counted is the hot path: from the block's entry to the jump that leaves it, slow paths excluded.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ambidex_accel_tcg::decode::riscv::decode;
use ambidex_accel_tcg::guest::riscv::Riscv;
use ambidex_accel_tcg::guest::{Guest, ModeKey};
use ambidex_accel_tcg::ir::build::IrBuilder;
use ambidex_accel_tcg::jit::cpuid::HostFeatures;
use ambidex_accel_tcg::jit::{Jit, JitConfig, RuntimeFns};
use ambidex_accel_tcg::sem::riscv::{Mode, Privilege};
use common::asm::*;

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/golden/host-instructions.txt"
);
const PC: u64 = 0x8000_0000;

fn features() -> HostFeatures {
    let mut f = HostFeatures::baseline();
    f.bmi1 = true;
    f.bmi2 = true;
    f.lzcnt = true;
    f.popcnt = true;
    f.avx = true;
    f.fma = true;
    f.sse41 = true;
    f
}

/// Double-precision operation with dynamic rounding.
const fn fp(f7: u32, rd: u32, a: u32, b: u32) -> u32 {
    r(0x53, 7, f7, rd, a, b)
}

fn sequences() -> Vec<(&'static str, Vec<u32>)> {
    let (a0, a1, a2, a3, t0, t1, t2, sp) = (10, 11, 12, 13, 5, 6, 7, 2);
    vec![
        ("add, pinned", vec![add(a0, a1, a2)]),
        ("add into itself, pinned", vec![add(a0, a0, a1)]),
        ("add, unpinned", vec![add(t0, t1, t2)]),
        ("addi, pinned", vec![addi(a0, a1, 8)]),
        ("addw, pinned", vec![r(0x3b, 0, 0, a0, a1, a2)]),
        ("slli, pinned", vec![i(0x13, 1, a0, a1, 3)]),
        ("sll, pinned", vec![r(0x33, 1, 0, a0, a1, a2)]),
        ("sltu, pinned", vec![r(0x33, 3, 0, a0, a1, a2)]),
        ("mul, pinned", vec![r(0x33, 0, 1, a0, a1, a2)]),
        ("mulhu, pinned", vec![r(0x33, 3, 1, a0, a1, a2)]),
        ("div, pinned", vec![r(0x33, 4, 1, a0, a1, a2)]),
        ("eight additions", vec![add(a0, a0, a1); 8]),
        ("ld, pinned", vec![ld(a0, a1, 16)]),
        ("ld, unpinned", vec![ld(t0, t1, 16)]),
        ("lbu, pinned", vec![i(0x03, 4, a0, a1, 0)]),
        ("sd, pinned", vec![sd(a0, a1, 16)]),
        ("sw, unpinned", vec![sw(t0, t1, 16)]),
        ("two loads, one base", vec![ld(a0, sp, 0), ld(a1, sp, 8)]),
        (
            "prologue",
            vec![
                addi(sp, sp, -32),
                sd(1, sp, 24),
                sd(8, sp, 16),
                sd(9, sp, 8),
            ],
        ),
        (
            "count down and branch",
            vec![addi(a0, a0, -1), bne(a0, 0, 64)],
        ),
        ("compare and branch", vec![branch(6, a0, a1, 64)]),
        ("amoadd.d", vec![r(0x2f, 3, 0, a0, a1, a2)]),
        (
            "lr.d and sc.d",
            vec![r(0x2f, 3, 0x08, a0, a1, 0), r(0x2f, 3, 0x0c, a3, a1, a2)],
        ),
        ("fadd.d", vec![fp(1, 0, 1, 2)]),
        (
            "fmul.d and fadd.d, dependent",
            vec![fp(9, 0, 1, 2), fp(1, 3, 3, 0)],
        ),
        ("fadd.s", vec![fp(0, 0, 1, 2)]),
        (
            "fmadd.d",
            vec![3 << 27 | 1 << 25 | 2 << 20 | 1 << 15 | 7 << 12 | 0x43],
        ),
        (
            "fld and fsd",
            vec![
                i(0x07, 3, 1, a0, 0),
                1 << 20 | 10 << 15 | 3 << 12 | 8 << 7 | 0x27,
            ],
        ),
        ("feq.d", vec![r(0x53, 2, 0x51, a0, 1, 2)]),
        ("csrr", vec![csrrs(a0, 0x140, 0)]),
    ]
}

fn jit() -> Jit {
    // Nothing is run, so the functions need not exist.
    let fns = RuntimeFns {
        load: 8,
        store: 8,
        rmw: 8,
        cas: 8,
        load_reserved: 8,
        store_conditional: 8,
        call: 8,
        fp: 8,
        raise: 8,
    };
    Jit::new(JitConfig {
        bytes: 1 << 20,
        features: features(),
        fns,
        pinned: Riscv::PINNED,
        pc: Riscv::PC,
        fflags: Riscv::FFLAGS,
        frm: Riscv::FRM,
        nan: Riscv::NAN_RULE,
        count: false,
        pure: |_| false,
    })
    .unwrap()
}

fn host_instructions(jit: &mut Jit, builder: &mut IrBuilder, words: &[u32]) -> usize {
    let mode = ModeKey(Mode::new(Privilege::U, 3, 0).to_bits());
    builder.begin(PC);
    for (n, &word) in words.iter().enumerate() {
        builder.start_insn(4 * n as u16, 4);
        let Ok(()) = Riscv::exec(builder, &decode(word), PC + 4 * n as u64, mode);
    }
    builder.finish(PC + 4 * words.len() as u64);
    let code = jit.compile(builder.block(), mode).unwrap();
    // The hot path ends with the last link's jump.
    let end = code.links.last().expect("the block goes on somewhere").site + 4;
    let bytes = jit.code_bytes(code.entry..end);
    iced_x86::Decoder::new(64, &bytes, 0).iter().count()
}

#[test]
fn host_instructions_are_as_recorded() {
    let (mut jit, mut builder) = (jit(), IrBuilder::default());
    builder.set_fp_slots(Riscv::FFLAGS, Riscv::FRM);
    let now: BTreeMap<_, _> = sequences()
        .into_iter()
        .map(|(name, words)| (name, host_instructions(&mut jit, &mut builder, &words)))
        .collect();
    let mut text =
        String::from("# Host instructions on the hot path of guest sequences; see golden.rs.\n");
    for (name, n) in &now {
        writeln!(text, "{n:4}  {name}").unwrap();
    }
    if std::env::var_os("AMBIDEX_UPDATE_GOLDEN").is_some() {
        std::fs::write(FILE, &text).unwrap();
        return;
    }
    let recorded = std::fs::read_to_string(FILE).unwrap();
    assert_eq!(
        text, recorded,
        "the emitted code changed; if that is meant, run this test with AMBIDEX_UPDATE_GOLDEN=1 and commit the file"
    );
}
