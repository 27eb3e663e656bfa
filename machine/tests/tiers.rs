//! On a machine that counts instructions, whatever executes the guest leads to the same state, to the last register, device and byte of RAM.

use ambidex_accel_tcg::Translator;
use ambidex_cpu::{Timing, Vcpu};
use ambidex_machine::boards::RiscvVirt;
use ambidex_machine::{Builder, ExitReason, Machine, Until};

const DEMO: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../guests/demo-riscv64/demo.elf"
);

fn demo(translator: &Translator, harts: u32, cmdline: &str) -> Machine {
    Builder::new(RiscvVirt)
        .kernel(DEMO)
        .cmdline(cmdline)
        .cpus(harts)
        .timing(Timing::Instructions { shift: 3 })
        .build(translator)
        .expect("the demo guest loads")
}

/// What compilers are compared with the interpreter.
fn compilers() -> [(&'static str, Translator); 2] {
    [
        ("compiled at once", Translator::new().compile_after(1)),
        (
            "compiled when seen twice",
            Translator::new().compile_after(2),
        ),
    ]
}

/// Lines in which two texts differ, few enough to be read.
fn differences(a: &str, b: &str) -> String {
    let lines = a.lines().zip(b.lines()).filter(|(x, y)| x != y);
    let shown: Vec<String> = lines
        .take(20)
        .map(|(x, y)| format!("- {x}\n+ {y}"))
        .collect();
    shown.join("\n")
}

fn to_power_off(translator: &Translator, harts: u32) -> (String, String) {
    let mut machine = demo(translator, harts, "demo.quick");
    assert_eq!(
        machine.run().expect("the accelerator works"),
        ExitReason::PowerOff { code: 0 }
    );
    let output = machine.console().text();
    assert!(output.contains("checks passed"), "{output}");
    (output, machine.summary().expect("a stopped machine"))
}

fn same_end(harts: u32) {
    let reference = to_power_off(&Translator::new().interpret_only(true), harts);
    for (name, translator) in compilers() {
        let found = to_power_off(&translator, harts);
        assert!(
            reference == found,
            "{harts} harts, {name}:\n{}\n{}",
            differences(&reference.0, &found.0),
            differences(&reference.1, &found.1)
        );
    }
}

#[test]
fn one_hart_ends_the_same() {
    same_end(1);
}

#[test]
fn three_harts_end_the_same() {
    same_end(3);
}

/// Not only at the end: at points in time that are of no meaning to the guest.
#[test]
fn two_harts_are_the_same_on_the_way() {
    let mut machines: Vec<(&str, Machine)> =
        std::iter::once(("interpreted", Translator::new().interpret_only(true)))
            .chain(compilers())
            .map(|(name, t)| (name, demo(&t, 2, "demo.quick")))
            .collect();
    for at in (1..).map(|n| n * 7_654_321) {
        let mut first: Option<(ExitReason, String)> = None;
        for (name, machine) in &mut machines {
            let reason = machine.run_until(Until::Time(at)).expect("it runs");
            let now = (reason, machine.summary().expect("a stopped machine"));
            let reference = first.get_or_insert_with(|| now.clone());
            assert!(
                *reference == now,
                "{name}, at {at} ns: {:?} and {:?}\n{}",
                reference.0,
                now.0,
                differences(&reference.1, &now.1)
            );
        }
        if first.is_none_or(|(reason, _)| reason != ExitReason::Until) {
            return;
        }
    }
}

/// The comparison itself sees an instruction more or less.
#[test]
fn the_summary_tells_machines_apart() {
    let at = |ns| {
        let mut machine = demo(&Translator::new(), 1, "demo.quick");
        machine.run_until(Until::Time(ns)).expect("it runs");
        let executed = machine.vcpu(0).map_or(0, |v: &mut dyn Vcpu| v.executed());
        (executed, machine.summary().expect("a stopped machine"))
    };
    let (few, more) = (at(800_000), at(800_008));
    assert_eq!(few.0 + 1, more.0);
    assert_ne!(few.1, more.1);
}
