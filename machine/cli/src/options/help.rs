//! Help, generated from the tables.

use super::table::{Effect, Group, SPECS, Spec};
use super::values::{CHARDEVS, DEVICES, LOGS};
use ambidex_cpu::{Arch, riscv};
use std::fmt::Write as _;

/// Architectures whose machines can be run.
pub const ARCHS: [Arch; 1] = [Arch::Riscv64];

/// Widest left column.
const COLUMN: usize = 30;
/// Where lines are broken.
const WIDTH: usize = 100;

/// `--version`.
pub fn version() -> String {
    format!("ambidex {}\n", env!("CARGO_PKG_VERSION"))
}

/// `--help`.
pub fn program() -> String {
    let archs = ARCHS.map(Arch::name).join(", ");
    let mut out = format!(
        "Ambidex {} runs virtual machines.

usage:
  ambidex                      run the built-in demo guest and say how fast it was
  ambidex demo [OPTION...]     the same, with the options of its machine changed
  ambidex ARCH [OPTION...]     run a machine; ARCH: {archs}
  ambidex accel                say what this host can run
  ambidex ARCH --help          the options of that machine
  ambidex --version

Called as qemu-system-ARCH, for example through a link, it takes the architecture from its name.
",
        env!("CARGO_PKG_VERSION")
    );
    for arch in ARCHS {
        let _ = write!(
            out,
            "\nOptions of {arch} machines. One dash or two; spelled as in QEMU where QEMU has them.\n"
        );
        out.push_str(&options(arch));
    }
    out.push_str(KEYS);
    out.push_str(EXAMPLES);
    out
}

/// `ARCH --help`.
pub fn machine(arch: Arch) -> String {
    format!(
        "usage: ambidex {arch} [OPTION...]\n{}{KEYS}{EXAMPLES}",
        options(arch)
    )
}

const KEYS: &str = "
On a terminal, Ctrl-A x quits, Ctrl-A h lists the other keys, and everything else goes to the guest. The exit status is the
guest's where it gives one, 1 after an error, and 128 + N when signal N ended the program.
";

const EXAMPLES: &str = "
examples:
  ambidex riscv64 -m 1G -smp 2 -kernel Image -initrd initrd.gz -append console=ttyS0
  ambidex riscv64 -kernel Image -append 'console=ttyS0 root=/dev/vda' -drive file=disk.img,format=raw,if=virtio
  ambidex riscv64 -bios fw_jump.bin -kernel u-boot.bin
  ambidex demo -smp 4 -append demo.shell
";

fn options(arch: Arch) -> String {
    let mut out = String::new();
    for (group, title) in Group::ALL {
        let specs: Vec<&Spec> = SPECS
            .iter()
            .filter(|s| s.group == group && s.applies_to(arch))
            .collect();
        if specs.is_empty() {
            continue;
        }
        let _ = write!(out, "\n{title}:\n");
        for spec in specs {
            let names: Vec<String> = spec
                .aliases
                .iter()
                .chain([&spec.name])
                .map(|n| format!("-{n}"))
                .collect();
            let left = match spec.effect {
                Effect::Flag(_) => names.join(", "),
                Effect::Value(argument, _) => format!("{} {argument}", names.join(", ")),
            };
            row(&mut out, &left, spec.help);
        }
    }
    out
}

/// A line of two columns, the right one broken between words.
fn row(out: &mut String, left: &str, right: &str) {
    let _ = write!(out, "  {left:COLUMN$}");
    if left.chars().count() > COLUMN {
        let _ = write!(out, "\n  {:COLUMN$}", "");
    }
    let mut at = COLUMN + 2;
    for word in right.split(' ') {
        if at + 1 + word.chars().count() > WIDTH {
            let _ = write!(out, "\n  {:COLUMN$}", "");
            at = COLUMN + 2;
        }
        let _ = write!(out, " {word}");
        at += 1 + word.chars().count();
    }
    out.push('\n');
}

/// `-cpu help`.
pub fn cpus(arch: Arch) -> String {
    let mut out = format!("Processor models for {arch}:\n");
    for name in riscv::Model::names() {
        if let Ok(model) = riscv::Model::named(name) {
            row(&mut out, name, &model.isa_string());
        }
    }
    out.push_str("\nExtensions, each switched by +EXT, -EXT, EXT=on or EXT=off after the model:\n");
    wrap(&mut out, riscv::Ext::all().names());
    out
}

fn wrap<'a>(out: &mut String, words: impl Iterator<Item = &'a str>) {
    let mut at = WIDTH;
    for word in words {
        if at + 1 + word.len() > WIDTH {
            out.push_str(if at == WIDTH { " " } else { "\n " });
            at = 1;
        }
        let _ = write!(out, " {word}");
        at += 1 + word.len();
    }
    out.push('\n');
}

/// `-device help`.
pub fn devices() -> String {
    let mut out = String::from("Devices ('-device NAME,help' lists the keys of one):\n");
    DEVICES
        .iter()
        .for_each(|(name, what, _)| row(&mut out, name, what));
    out
}

/// `-chardev help`.
pub fn chardevs() -> String {
    let mut out =
        String::from("Kinds of character device ('-chardev KIND,help' lists the keys of one):\n");
    CHARDEVS
        .iter()
        .for_each(|(name, what, _)| row(&mut out, name, what));
    out
}

/// `-d help`.
pub fn logs() -> String {
    let mut out = String::from("What can be logged, separated by commas:\n");
    LOGS.iter()
        .for_each(|(name, what)| row(&mut out, name, what));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_in_the_help() {
        let help = program();
        for spec in SPECS {
            assert!(help.contains(&format!("-{}", spec.name)), "{}", spec.name);
        }
    }

    #[test]
    fn lines_are_not_too_wide() {
        for text in [
            program(),
            machine(Arch::Riscv64),
            cpus(Arch::Riscv64),
            devices(),
            chardevs(),
            logs(),
        ] {
            for line in text.lines() {
                let limit = if line.contains("ambidex riscv64") || line.contains("rv64") {
                    400
                } else {
                    125
                };
                assert!(line.chars().count() <= limit, "{line}");
            }
        }
    }

    #[test]
    fn models_and_extensions_are_listed() {
        let help = cpus(Arch::Riscv64);
        for word in ["rv64", "sifive-u54", "zbb", "sv57"] {
            assert!(help.split_whitespace().any(|w| w == word), "{word}");
        }
    }
}
