//! The options: names, arguments, help, architectures, and what each does.

use super::values;
use super::{Options, Stop};
use ambidex_cpu::Arch;

/// The part of the help an option stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Guest,
    Machine,
    Storage,
    Console,
    Run,
    Debug,
}

impl Group {
    pub const ALL: [(Group, &'static str); 6] = [
        (Group::Guest, "What to run"),
        (Group::Machine, "The machine"),
        (Group::Storage, "Disks and devices"),
        (Group::Console, "Serial lines and consoles"),
        (Group::Run, "How to run"),
        (Group::Debug, "Looking inside"),
    ];
}

/// What an option does with its argument.
#[derive(Clone, Copy)]
pub enum Effect {
    /// It takes none.
    Flag(fn(&mut Options)),
    /// It takes one, which the help calls so.
    Value(&'static str, fn(&mut Options, &str) -> Result<(), Stop>),
}

/// An option.
pub struct Spec {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub effect: Effect,
    pub group: Group,
    /// Empty: every one.
    pub archs: &'static [Arch],
    pub help: &'static str,
}

impl Spec {
    /// Whether guests of `arch` have it.
    pub fn applies_to(&self, arch: Arch) -> bool {
        self.archs.is_empty() || self.archs.contains(&arch)
    }
}

const fn value(
    name: &'static str,
    aliases: &'static [&'static str],
    argument: &'static str,
    group: Group,
    apply: fn(&mut Options, &str) -> Result<(), Stop>,
    help: &'static str,
) -> Spec {
    Spec {
        name,
        aliases,
        effect: Effect::Value(argument, apply),
        group,
        archs: &[],
        help,
    }
}

const fn flag(
    name: &'static str,
    group: Group,
    apply: fn(&mut Options),
    help: &'static str,
) -> Spec {
    Spec {
        name,
        aliases: &[],
        effect: Effect::Flag(apply),
        group,
        archs: &[],
        help,
    }
}

const fn only(archs: &'static [Arch], spec: Spec) -> Spec {
    Spec { archs, ..spec }
}

const RISCV: &[Arch] = &[Arch::Riscv64];

/// Every option.
pub static SPECS: &[Spec] = &[
    value(
        "kernel",
        &[],
        "FILE",
        Group::Guest,
        values::kernel,
        "kernel: Linux Image (also compressed), ELF, or raw binary",
    ),
    value(
        "initrd",
        &[],
        "FILE",
        Group::Guest,
        values::initrd,
        "initial RAM disk for the kernel",
    ),
    value(
        "append",
        &[],
        "TEXT",
        Group::Guest,
        values::append,
        "the kernel's command line",
    ),
    value(
        "dtb",
        &[],
        "FILE",
        Group::Guest,
        values::dtb,
        "this device tree instead of the generated one",
    ),
    value(
        "bios",
        &[],
        "FILE|default|none",
        Group::Guest,
        values::bios,
        "firmware run in M-mode; default: the built-in SBI; none: the kernel runs in M-mode",
    ),
    value(
        "machine",
        &["M"],
        "BOARD[,KEY=VALUE]",
        Group::Machine,
        values::machine,
        "the board; '-M help' lists boards and keys",
    ),
    value(
        "cpu",
        &[],
        "MODEL[,+EXT][,EXT=off]",
        Group::Machine,
        values::cpu,
        "the processor; '-cpu help' lists models and extensions",
    ),
    value(
        "smp",
        &[],
        "N",
        Group::Machine,
        values::smp,
        "number of harts (1)",
    ),
    value(
        "m",
        &["memory"],
        "SIZE",
        Group::Machine,
        values::memory,
        "RAM, in MiB unless a suffix K, M, G or T says otherwise",
    ),
    value(
        "drive",
        &[],
        "KEY=VALUE,...",
        Group::Storage,
        values::drive,
        "a disk image: file=disk.img,format=raw[,if=virtio|none|pflash][,id=ID][,readonly=on]",
    ),
    value(
        "device",
        &[],
        "NAME[,KEY=VALUE]",
        Group::Storage,
        values::device,
        "a device; '-device help' lists them, '-device NAME,help' their keys",
    ),
    value(
        "pflash",
        &[],
        "FILE",
        Group::Storage,
        values::pflash,
        "the same as -drive if=pflash,format=raw,file=FILE",
    ),
    value(
        "nic",
        &[],
        "none",
        Group::Storage,
        values::no_network,
        "no network, which is all there is so far",
    ),
    value(
        "net",
        &[],
        "none",
        Group::Storage,
        values::no_network,
        "the same",
    ),
    value(
        "serial",
        &[],
        "WHERE",
        Group::Console,
        values::serial,
        "a serial line: stdio, mon:stdio, null, file:FILE, pty, unix:PATH, tcp:HOST:PORT or chardev:ID",
    ),
    value(
        "chardev",
        &[],
        "KIND,id=ID,...",
        Group::Console,
        values::chardev,
        "a host end for consoles; '-chardev help' lists kinds, '-chardev KIND,help' their keys",
    ),
    value(
        "monitor",
        &[],
        "none",
        Group::Console,
        values::monitor,
        "no monitor, which is all there is so far",
    ),
    value(
        "display",
        &[],
        "none",
        Group::Console,
        values::display,
        "no screen, which is all there is so far",
    ),
    flag(
        "nographic",
        Group::Console,
        |_| {},
        "console on standard input and output, which is so anyway",
    ),
    value(
        "accel",
        &[],
        "tcg[,KEY=VALUE]",
        Group::Run,
        values::accel,
        "what executes the guest; '-accel help' lists keys",
    ),
    value(
        "icount",
        &[],
        "shift=N|auto",
        Group::Run,
        values::icount,
        "guest time follows the instruction count: 2^N ns for each; runs become repeatable",
    ),
    flag(
        "no-reboot",
        Group::Run,
        |o| o.no_reboot = true,
        "end when the guest resets the machine",
    ),
    flag(
        "no-shutdown",
        Group::Run,
        |o| o.no_shutdown = true,
        "stay when the guest powers off, until told to quit",
    ),
    flag(
        "semihosting",
        Group::Run,
        |o| o.semihosting = true,
        "the guest may use the host's files and console by semihosting calls",
    ),
    value(
        "semihosting-config",
        &[],
        "KEY=VALUE,...",
        Group::Run,
        values::semihosting,
        "the same, with the guest's arguments; 'help' lists keys",
    ),
    only(
        RISCV,
        value(
            "signature",
            &[],
            "FILE",
            Group::Run,
            values::signature,
            "spike board: write the memory between begin_signature and end_signature here",
        ),
    ),
    only(
        RISCV,
        value(
            "signature-granularity",
            &[],
            "N",
            Group::Run,
            values::signature_granularity,
            "bytes in a line of the signature (16)",
        ),
    ),
    value(
        "dump-state",
        &[],
        "FILE",
        Group::Debug,
        values::dump_state,
        "at the end write registers, devices and a checksum of RAM here, to be compared",
    ),
    value(
        "d",
        &[],
        "ITEM,...",
        Group::Debug,
        values::log_items,
        "log these; '-d help' lists them",
    ),
    value(
        "D",
        &[],
        "FILE",
        Group::Debug,
        values::log_file,
        "log to this file rather than standard error",
    ),
];

/// Options of QEMU that are known and not there, with what to do instead.
pub static ABSENT: &[(&str, &str)] = &[
    (
        "S",
        "there is no debugger interface or monitor yet that could start a stopped machine",
    ),
    ("s", "there is no debugger interface yet"),
    ("gdb", "there is no debugger interface yet"),
    ("qmp", "there is no machine protocol yet"),
    ("mon", "there is no monitor yet"),
    (
        "snapshot",
        "writes go to the image; use a copy of it, or readonly=on",
    ),
    ("loadvm", "there are no snapshots yet"),
    (
        "enable-kvm",
        "a riscv64 guest runs under the translator: -accel tcg, which is the default",
    ),
    ("hda", "use -drive file=FILE,format=raw,if=virtio"),
    (
        "cdrom",
        "use -drive file=FILE,format=raw,if=virtio,readonly=on",
    ),
    ("blockdev", "use -drive"),
    ("netdev", "there is no network yet"),
    ("vnc", "there is no screen yet"),
    ("vga", "there is no screen yet"),
    ("usb", "there is no USB yet"),
    ("object", "there are no such objects yet"),
    ("virtfs", "there are no shared folders yet"),
    (
        "daemonize",
        "run it in the background with '&' or a service manager",
    ),
    ("pidfile", "the shell's $! is the process id"),
    ("plugin", "there are no plug-ins"),
    ("singlestep", "use -accel tcg,tier=0"),
    ("accelerator", "use -accel"),
];

/// The option called `name`.
pub fn find(name: &str, arch: Arch) -> Option<&'static Spec> {
    SPECS
        .iter()
        .find(|s| s.applies_to(arch) && (s.name == name || s.aliases.contains(&name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique() {
        let mut seen = HashSet::new();
        let present = SPECS
            .iter()
            .flat_map(|s| std::iter::once(&s.name).chain(s.aliases));
        assert!(
            present
                .chain(ABSENT.iter().map(|(n, _)| n))
                .all(|n| seen.insert(n))
        );
    }
}
