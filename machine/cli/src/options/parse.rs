//! The command line as a whole.

use super::suggest::nearest;
use super::table::{ABSENT, Effect, SPECS, find};
use super::{
    Board, CharSpec, Command, DeviceOption, DriveUse, Firmware, Options, SerialSpec, Stop, help,
    stop,
};
use ambidex_cpu::Arch;
use std::path::Path;

/// What `program`, as it was called, is asked to do by `args`.
pub fn command(program: &str, args: &[String]) -> Result<Command, Stop> {
    let name = Path::new(program)
        .file_name()
        .and_then(|n| n.to_str())
        .unwrap_or(program);
    if let Some(arch) = name.strip_prefix("qemu-system-") {
        return machine(architecture(arch)?, args);
    }
    let Some((first, rest)) = args.split_first() else {
        return demo(&[]);
    };
    match first.as_str() {
        "demo" => demo(rest),
        "accel" => match rest.first().map(String::as_str) {
            None => Ok(Command::Accel),
            Some(extra) => stop(format!(
                "'ambidex accel' takes nothing more, but there is '{extra}'."
            )),
        },
        "-h" | "-help" | "--help" | "-?" | "help" => Ok(Command::Print(help::program())),
        "-version" | "--version" | "-V" | "version" => Ok(Command::Print(help::version())),
        word if word.starts_with('-') => {
            let option = word.trim_start_matches('-');
            match find(option.split('=').next().unwrap_or(option), Arch::Riscv64) {
                Some(_) => stop(format!(
                    "say first which kind of guest: ambidex riscv64 {}",
                    args.join(" ")
                )),
                None => stop(format!(
                    "unknown option {word}; 'ambidex --help' lists what there is."
                )),
            }
        }
        word => machine(architecture(word)?, rest),
    }
}

fn architecture(word: &str) -> Result<Arch, Stop> {
    match word.parse::<Arch>() {
        Ok(arch) if help::ARCHS.contains(&arch) => Ok(arch),
        Ok(arch) => stop(format!(
            "{arch} guests cannot be run yet; those that can: {}.",
            help::ARCHS.map(Arch::name).join(", ")
        )),
        Err(_) => {
            let known = help::ARCHS
                .map(Arch::name)
                .into_iter()
                .chain(["accel", "demo", "help"]);
            match nearest(word, known) {
                Some(meant) => stop(format!("unknown command '{word}': did you mean '{meant}'?")),
                None => stop(format!(
                    "unknown command '{word}'; 'ambidex --help' lists what there is."
                )),
            }
        }
    }
}

fn demo(args: &[String]) -> Result<Command, Stop> {
    let options = match options(Arch::Riscv64, args)? {
        Ok(options) => options,
        Err(print) => return Ok(Command::Print(print)),
    };
    if options.kernel.is_some()
        || options.firmware != Firmware::Default
        || options.board != Board::Virt
    {
        return stop(
            "the demo is a kernel of its own for the virt board; to run another use 'ambidex riscv64'.",
        );
    }
    consistent(&options)?;
    Ok(Command::Demo(Box::new(options)))
}

fn machine(arch: Arch, args: &[String]) -> Result<Command, Stop> {
    let options = match options(arch, args)? {
        Ok(options) => options,
        Err(print) => return Ok(Command::Print(print)),
    };
    let flash = options.drives.iter().any(|d| d.attach == DriveUse::Pflash);
    let something = options.kernel.is_some()
        || flash
        || !options.loaders.is_empty()
        || options.dump_dtb.is_some();
    if !something && !matches!(options.firmware, Firmware::File(_)) {
        return stop(
            "there is nothing to run: give -kernel FILE or -bios FILE, or run 'ambidex demo'.",
        );
    }
    for (given, name) in [
        (options.initrd.is_some(), "-initrd"),
        (options.append.is_some(), "-append"),
    ] {
        if given && options.kernel.is_none() {
            return stop(format!("{name} needs a -kernel that it is for."));
        }
    }
    consistent(&options)?;
    Ok(Command::Run(Box::new(options)))
}

/// The inner error is a text to print.
fn options(arch: Arch, args: &[String]) -> Result<Result<Options, String>, Stop> {
    let mut options = Options::new(arch);
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let Some(name) = arg
            .strip_prefix("--")
            .or_else(|| arg.strip_prefix('-'))
            .filter(|n| !n.is_empty())
        else {
            return stop(format!(
                "'{arg}' is no option. Disk images are given by -drive file={arg},format=raw,if=virtio"
            ));
        };
        match name {
            "h" | "help" | "?" => return Ok(Err(help::machine(arch))),
            "version" => return Ok(Err(help::version())),
            _ => {}
        }
        // `--smp=4` for those who are used to it; no name of an option has '=' in it.
        let (name, attached) = name
            .split_once('=')
            .map_or((name, None), |(n, v)| (n, Some(v)));
        let Some(spec) = find(name, arch) else {
            return Err(Stop::Error(unknown(name, arch)));
        };
        match (spec.effect, attached) {
            (Effect::Flag(_), Some(_)) => return stop(format!("-{name} takes no value.")),
            (Effect::Flag(set), None) => set(&mut options),
            (Effect::Value(argument, set), attached) => {
                let Some(value) = attached.or_else(|| rest.next().map(String::as_str)) else {
                    return stop(format!("-{name} needs a value: -{name} {argument}"));
                };
                match set(&mut options, value) {
                    Err(Stop::Help(text)) => return Ok(Err(text)),
                    other => other?,
                }
            }
        }
    }
    Ok(Ok(options))
}

fn unknown(name: &str, arch: Arch) -> String {
    if let Some((_, instead)) = ABSENT.iter().find(|(n, _)| *n == name) {
        return format!("-{name} is an option of QEMU that is not here: {instead}.");
    }
    let known = SPECS
        .iter()
        .filter(|s| s.applies_to(arch))
        .flat_map(|s| s.aliases.iter().chain([&s.name]).copied());
    match nearest(name, known) {
        Some(meant) => format!("unknown option -{name}: did you mean -{meant}?"),
        None => format!("unknown option -{name}; 'ambidex {arch} --help' lists what there is."),
    }
}

/// Whether what was said about different things fits together.
fn consistent(o: &Options) -> Result<(), Stop> {
    if o.signature.is_some() && o.board != Board::Spike {
        return stop("-signature is for test programs on the spike board; add -M spike.");
    }
    if o.board == Board::Spike && (!o.drives.is_empty() || !o.devices.is_empty()) {
        return stop("the spike board has neither disks nor virtio devices; use -M virt.");
    }
    let mut taken: Vec<&str> = o
        .drives
        .iter()
        .filter(|d| d.attach != DriveUse::None)
        .map(|d| d.id.as_str())
        .collect();
    for device in &o.devices {
        if let DeviceOption::Blk { drive, .. } = device {
            if !o.drives.iter().any(|d| d.id == *drive) {
                return stop(format!(
                    "-device virtio-blk-device: there is no -drive with id={drive}."
                ));
            }
            if taken.contains(&drive.as_str()) {
                return stop(format!(
                    "the drive '{drive}' is attached twice; a -drive for a -device has if=none."
                ));
            }
            taken.push(drive);
        }
    }
    if o.drives
        .iter()
        .filter(|d| d.attach == DriveUse::Pflash)
        .count()
        > 2
    {
        return stop("the board has two flash memories, and there are more -drive if=pflash.");
    }

    let mut ends: Vec<&str> = Vec::new();
    let mut stdio = o.serials.is_empty() as usize;
    let ports = o.devices.iter().flat_map(|d| match d {
        DeviceOption::Console { ports } => ports.as_slice(),
        _ => &[],
    });
    let named = ports.map(|p| p.chardev.as_str());
    let serials = o.serials.iter().filter_map(|s| match s {
        SerialSpec::Chardev(id) => Some(id.as_str()),
        SerialSpec::Own(_) => None,
    });
    for id in named.chain(serials) {
        let Some((_, spec)) = o.chardevs.iter().find(|(i, _)| i == id) else {
            return stop(format!("there is no -chardev with id={id}."));
        };
        if ends.contains(&id) {
            return stop(format!("the -chardev '{id}' is used twice."));
        }
        stdio += usize::from(*spec == CharSpec::Stdio);
        ends.push(id);
    }
    stdio += o
        .serials
        .iter()
        .filter(|s| **s == SerialSpec::Own(CharSpec::Stdio))
        .count();
    if stdio > 1 {
        return stop(
            "standard input and output are used twice; send one of the consoles elsewhere, for instance -serial null.",
        );
    }
    Ok(())
}

#[cfg(test)]
#[path = "parse_test.rs"]
mod tests;
