//! Runs a program in two ways and finds the first instruction after which they differ.

use std::fmt::Write as _;

use ambidex_accel_tcg::Translator;
use ambidex_accel_tcg::decode::riscv::decode;
use ambidex_cpu::riscv::csr::CsrEnv;
use ambidex_cpu::{Exit, riscv};

use super::machine::{Machine, Outcome};
use super::program::{Event, Program};

/// A configuration to hold against the interpreter.
#[derive(Clone)]
pub struct Way {
    pub name: &'static str,
    pub translator: Translator,
    /// It counts instructions, so that it can be stopped anywhere.
    pub counts: bool,
}

/// What everything is compared with.
pub fn reference() -> Translator {
    Translator::new().interpret_only(true).count_instructions(true)
}

/// The configurations.
pub fn ways() -> Vec<Way> {
    let t = || Translator::new().code_bytes(1 << 20);
    let bare = ambidex_accel_tcg::jit::cpuid::HostFeatures::baseline();
    vec![
        Way { name: "compiled, counting", translator: t().compile_after(1).count_instructions(true), counts: true },
        Way { name: "mixed, counting", translator: t().compile_after(3).count_instructions(true), counts: true },
        Way { name: "plain host, counting", translator: t().compile_after(1).count_instructions(true).host_features(bare), counts: true },
        Way { name: "compiled", translator: t().compile_after(1), counts: false },
        Way { name: "mixed", translator: t().compile_after(2), counts: false },
    ]
}

struct NoEnv;

impl CsrEnv for NoEnv {
    fn time(&self) -> u64 {
        0
    }
    fn cycle(&self) -> u64 {
        0
    }
    fn instret(&self) -> u64 {
        0
    }
    fn pins(&self) -> u64 {
        0
    }
    fn fflags(&self) -> u8 {
        0
    }
    fn set_fflags(&mut self, _: u8) {}
    fn frm(&self) -> u8 {
        0
    }
    fn set_frm(&mut self, _: u8) {}
}

/// Runs a program in its slices, at most `limit` instructions of it, until it halts.
pub fn run(t: &Translator, p: &Program, limit: u64) -> Outcome {
    let mut m = Machine::new(t, p);
    let mut exit = Exit::Budget;
    let mut left = limit;
    for &(n, event) in &p.slices {
        let n = n.min(left);
        left -= n;
        exit = m.run(Some(n), event);
        if exit != Exit::Budget || left == 0 {
            break;
        }
    }
    m.outcome(exit)
}

fn uncounted(mut o: Outcome) -> Outcome {
    for counter in [0xb00, 0xb02] {
        o.state.hart.csr_poke(counter, 0, &mut NoEnv);
    }
    o.executed = 0;
    o
}

/// Instructions a program has in all its slices.
pub fn length(p: &Program) -> u64 {
    p.slices.iter().map(|s| s.0).sum()
}

/// Runs the program in this way and compares it with the reference; the error tells the first difference.
pub fn check(p: &Program, way: &Way, expected: &Outcome) -> Result<(), String> {
    let all = length(p);
    if way.counts {
        let got = run(&way.translator, p, all);
        return if got == *expected { Ok(()) } else { Err(locate(p, &way.translator, all)) };
    }
    if !p.countless || expected.exit != Exit::Halt {
        return Ok(());
    }
    let mut m = Machine::new(&way.translator, p);
    let exit = m.run(None, Event::None);
    let (a, b) = (uncounted(expected.clone()), uncounted(m.outcome(exit)));
    if a == b {
        return Ok(());
    }
    let mut text = format!("after the program ended:\n{}", differences(&a, &b));
    let counting = way.translator.clone().count_instructions(true);
    if run(&counting, p, all) != *expected {
        let _ = write!(text, "\nwith counting:\n{}", locate(p, &counting, all));
    }
    Err(text)
}

/// Checks every way that `which` selects; panics with a description of the first difference.
pub fn check_all(data: &[u8], which: impl Fn(usize) -> bool) {
    let p = Program::new(data);
    let expected = run(&reference(), &p, length(&p));
    for (n, way) in ways().iter().enumerate() {
        if which(n)
            && let Err(text) = check(&p, way, &expected)
        {
            panic!("`{}` is not like the interpreter: {text}", way.name);
        }
    }
}

fn locate(p: &Program, t: &Translator, all: u64) -> String {
    let differ = |k: u64| run(&reference(), p, k) != run(t, p, k);
    let (mut good, mut bad) = (0, all);
    while bad - good > 1 {
        let k = (good + bad) / 2;
        if differ(k) { bad = k } else { good = k }
    }
    let mut text = format!("first seen after {bad} instructions\n");
    for k in bad.saturating_sub(24)..bad {
        let mut m = Machine::new(&reference(), p);
        let mut left = k;
        for &(n, event) in &p.slices {
            m.run(Some(n.min(left)), event);
            left -= n.min(left);
            if left == 0 {
                break;
            }
        }
        let s = m.state();
        let mut bytes = [0; 4];
        let seen = m.cpu.debug().is_some_and(|d| d.read_mem(s.pc, &mut bytes).is_ok());
        let insn = if seen { decode(u32::from_le_bytes(bytes)).disassemble(s.pc) } else { "(no memory)".into() };
        let _ = writeln!(text, "  {k:5} {:?} {:#x}  {insn}", s.privilege(), s.pc);
    }
    let (a, b) = (run(&reference(), p, bad), run(t, p, bad));
    text + &differences(&a, &b)
}

/// The fields in which two outcomes differ, the interpreter's first.
pub fn differences(a: &Outcome, b: &Outcome) -> String {
    let mut t = String::new();
    let mut field = |name: String, x: &dyn std::fmt::Debug, y: &dyn std::fmt::Debug| {
        let (x, y) = (format!("{x:x?}"), format!("{y:x?}"));
        if x != y {
            let _ = writeln!(t, "  {name}: {x} / {y}");
        }
    };
    field("exit".into(), &a.exit, &b.exit);
    field("executed".into(), &a.executed, &b.executed);
    let (s, r): (&riscv::State, &riscv::State) = (&a.state, &b.state);
    field("pc".into(), &s.pc, &r.pc);
    for n in 0..32 {
        field(format!("x{n}"), &s.x[n], &r.x[n]);
        field(format!("f{n}"), &s.f[n], &r.f[n]);
    }
    field("fcsr".into(), &s.fcsr, &r.fcsr);
    // The model is in the debugging output of a hart, too; only what differs is shown.
    let (x, y) = (format!("{:x?}", s.hart), format!("{:x?}", r.hart));
    for (x, y) in x.split(", ").zip(y.split(", ")).filter(|(x, y)| x != y) {
        field("hart".into(), &x, &y);
    }
    field("waiting".into(), &s.waiting, &r.waiting);
    field("reservation".into(), &s.reservation, &r.reservation);
    field("device".into(), &a.log, &b.log);
    if let Some(n) = (0..a.ram.len()).find(|&n| a.ram[n] != b.ram[n]) {
        field(format!("RAM at {n:#x}"), &a.ram[n], &b.ram[n]);
    }
    let _ = writeln!(t, "  (fcsr {:x?}, mode {:?})", s.fcsr, s.privilege());
    t
}
