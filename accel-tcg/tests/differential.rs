//! Compiled code against the interpreter, on random programs.

mod riscv_diff;

use ambidex_cpu::Exit;
use riscv_diff::compare::{self, check_all, reference};
use riscv_diff::machine::Machine;
use riscv_diff::program::{Event, Program};

/// SplitMix64.
fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x2545_f491_4f6c_dd1d);
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = x;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        out.extend((z ^ z >> 31).to_le_bytes());
    }
    out.truncate(len);
    out
}

fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str, or: u64| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(or);
    let first = number("AMBIDEX_DIFF_FIRST", 0);
    first..first + number("AMBIDEX_DIFF_COUNT", 1500)
}

/// Each program in one way; the ways take turns. `AMBIDEX_DIFF_FIRST` and `AMBIDEX_DIFF_COUNT` choose the programs.
#[test]
fn compiled_code_does_what_the_interpreter_does() {
    for seed in seeds() {
        let data = bytes(seed, 600 + (seed as usize % 7) * 300);
        let ways = compare::ways().len();
        let result = std::panic::catch_unwind(|| check_all(&data, |n| n == seed as usize % ways));
        assert!(result.is_ok(), "program {seed}");
    }
}

/// The programs are worth running: they get far, and into every mode.
#[test]
fn programs_reach_what_they_should() {
    let (mut halted, mut insns, mut traps, mut device) = (0, 0, 0, 0);
    let mut modes = std::collections::BTreeMap::new();
    for seed in 0..100 {
        let p = Program::new(&bytes(seed, 1200));
        let o = compare::run(&reference(), &p, compare::length(&p));
        halted += usize::from(o.exit == Exit::Halt);
        insns += o.executed;
        traps += u32::from(o.ram[0x1818]);
        device += usize::from(!o.log.is_empty());
        for k in [200, 400, 800] {
            *modes.entry(compare::run(&reference(), &p, k).state.privilege() as u8).or_insert(0) += 1;
        }
    }
    println!("{halted} halted, {insns} instructions, {traps} traps, {device} with the device, modes {modes:?}");
    assert!(halted > 50 && insns > 30_000 && device > 3 && modes.len() == 3);
}

/// The comparison sees a difference in one register.
#[test]
fn a_difference_is_found() {
    let p = Program::new(&bytes(3, 1200));
    let mut other = Program::new(&bytes(3, 1200));
    other.x[20] ^= 1;
    let (a, b) = (compare::run(&reference(), &p, 20), compare::run(&reference(), &other, 20));
    assert!(compare::differences(&a, &b).starts_with("  x20: "));
}

/// Most of the instructions of a compiling run are not interpreted.
#[test]
fn most_is_compiled() {
    let (mut interpreted, mut executed, mut blocks) = (0, 0, 0);
    for seed in 0..60 {
        let p = Program::new(&bytes(seed, 1200));
        let mut m = Machine::new(&compare::ways()[0].translator, &p);
        m.run(Some(compare::length(&p)), Event::None);
        let stats = m.cpu.stats();
        interpreted += stats.interpreted;
        executed += m.cpu.executed();
        blocks += stats.blocks;
    }
    println!("{interpreted} of {executed} interpreted, {blocks} blocks");
    assert!(interpreted * 4 < executed && blocks > 1000 || !cfg!(target_arch = "x86_64"));
}
