//! Snapshots of a real guest: what is restored goes on as if nothing had happened.

use ambidex_accel_tcg::Translator;
use ambidex_cpu::Timing;
use ambidex_machine::boards::RiscvVirt;
use ambidex_machine::{Builder, ExitReason, Machine, Until};
use std::path::PathBuf;

const DEMO: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../guests/demo-riscv64/demo.elf"
);

fn demo(harts: u32, timing: Timing) -> Machine {
    Builder::new(RiscvVirt)
        .kernel(DEMO)
        .cmdline("demo.quick")
        .cpus(harts)
        .timing(timing)
        .build(&Translator::new())
        .expect("the demo guest loads")
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        Folder(std::env::temp_dir().join(format!("ambidex-{name}-{}", std::process::id())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const OFF: ExitReason = ExitReason::PowerOff { code: 0 };

/// The summary without what is not part of a snapshot: how much this very machine has executed, and how often its PMP was reprogrammed.
fn state(machine: &mut Machine) -> String {
    let text = machine.summary().expect("a stopped machine");
    let lines = text
        .lines()
        .filter(|l| !l.contains(" executed ") && !l.contains(" generation: "));
    lines.map(|l| l.to_owned() + "\n").collect()
}

fn same(a: &str, b: &str) {
    let lines = a.lines().zip(b.lines()).filter(|(x, y)| x != y);
    let shown: Vec<String> = lines
        .take(20)
        .map(|(x, y)| format!("- {x}\n+ {y}"))
        .collect();
    assert!(a == b, "{}", shown.join("\n"));
}

#[test]
fn a_restored_guest_ends_as_the_other_does() {
    let counted = Timing::Instructions { shift: 3 };
    let mut whole = demo(1, counted);
    assert_eq!(whole.run().expect("it runs"), OFF);
    let (end, output) = (whole.clock().now(), whole.console().text());
    let folder = Folder::new("counted");
    for part in 1..5 {
        let mut first = demo(1, counted);
        let at = Until::Time(end / 5 * part + 4321);
        assert_eq!(first.run_until(at).expect("it runs"), ExitReason::Until);
        first.save(&folder.0).expect("it can be saved");
        let printed = first.console().text();
        let saved = state(&mut first);
        drop(first);
        let mut second = demo(1, counted);
        second.restore(&folder.0).expect("it can be restored");
        same(&saved, &state(&mut second));
        assert_eq!(second.run().expect("it runs"), OFF);
        assert_eq!(printed + &second.console().text(), output, "part {part}");
        same(&state(&mut whole), &state(&mut second));
    }
}

#[test]
fn harts_in_real_time_go_on_after_a_restore() {
    let folder = Folder::new("real");
    for text in ["check paging", "check atomics", "check float"] {
        let mut first = demo(3, Timing::Real);
        let found = first.run_until(Until::Prints(text.into()));
        if found.expect("it runs") != ExitReason::Until {
            panic!(
                "the demo does not print {text:?}: {}",
                first.console().text()
            );
        }
        first.save(&folder.0).expect("it can be saved");
        drop(first);
        let mut second = demo(3, Timing::Real);
        second.restore(&folder.0).expect("it can be restored");
        assert_eq!(second.run().expect("it runs"), OFF);
        let output = second.console().text();
        assert!(output.contains("checks passed"), "{output}");
    }
}

#[test]
fn a_pause_is_not_noticed() {
    let counted = Timing::Instructions { shift: 3 };
    let mut whole = demo(1, counted);
    assert_eq!(whole.run().expect("it runs"), OFF);
    let end = whole.clock().now();
    for part in 1..5 {
        let mut paused = demo(1, counted);
        let at = Until::Time(end / 5 * part + 4321);
        assert_eq!(paused.run_until(at).expect("it runs"), ExitReason::Until);
        assert_eq!(paused.run().expect("it runs"), OFF);
        same(&state(&mut whole), &state(&mut paused));
    }
}
