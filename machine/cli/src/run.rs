//! From the description of a machine to its end.

use crate::backends::{self, Quit};
use crate::logger;
use crate::options::{
    Board as BoardName, CharSpec, DeviceOption, Drive, DriveUse, Firmware, Loader, Options,
    SerialSpec,
};
use crate::terminal::{self, Caught, Stopper};
use ambidex_accel_tcg::Translator;
use ambidex_cpu::riscv;
use ambidex_devices::virtio::{
    Blk, BlkOptions, Console, ConsoleSize, EntropySource, HostEntropy, Port, Rng, SeededEntropy,
};
use ambidex_machine::prelude::*;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

/// What the guest's random numbers start from when runs are to be repeatable.
const SEED: u64 = 0x616d_6269_6465_7874;

/// Runs the machine. Returns the exit status.
pub fn run(options: &Options) -> Result<u8, String> {
    let mut session = Session::open(options, None)?;
    if session.machine.is_none() {
        return Ok(0);
    }
    let reason = session.run()?;
    let signature = match (&options.signature, &session.machine) {
        (Some(path), Some(machine)) => {
            write_signature(machine, path, options.signature_granularity)
        }
        _ => Ok(()),
    };
    let dumped = match (&options.dump_state, &mut session.machine) {
        (Some(path), Some(machine)) => machine.summary().map_err(sentence).and_then(|text| {
            std::fs::write(path, text)
                .map_err(|e| format!("-dump-state: {} cannot be written: {e}.", path.display()))
        }),
        _ => Ok(()),
    };
    let status = status_of(&reason, session.close());
    signature.and(dumped).and(status)
}

/// Says, to everyone who waits, that the user wants to quit.
#[derive(Default)]
struct Wish {
    quit: Mutex<bool>,
    changed: Condvar,
}

impl Wish {
    fn set(&self) {
        *self.quit.lock().unwrap_or_else(|e| e.into_inner()) = true;
        self.changed.notify_all();
    }

    fn wait(&self) {
        let quit = self.quit.lock().unwrap_or_else(|e| e.into_inner());
        drop(self.changed.wait_while(quit, |quit| !*quit));
    }
}

/// A machine and what can stop it.
pub struct Session {
    /// `None`: nothing is left to do.
    pub machine: Option<Machine>,
    stopper: Stopper,
    wish: Arc<Wish>,
    caught: Caught,
    no_shutdown: bool,
}

impl Session {
    /// Builds the machine, with `kernel` in place of the one `options` name.
    pub fn open(options: &Options, kernel: Option<Source>) -> Result<Session, String> {
        logger::start(&options.logs, options.log_file.as_deref())?;
        let stopper = Stopper::default();
        let caught =
            terminal::guard(&stopper).map_err(|e| format!("signals cannot be handled: {e}."))?;
        let wish = Arc::new(Wish::default());
        let quit: Quit = {
            let (stopper, wish) = (stopper.clone(), wish.clone());
            Arc::new(move || {
                wish.set();
                if let Some(stop) = &*stopper.lock().unwrap_or_else(|e| e.into_inner()) {
                    stop();
                }
            })
        };
        let accelerator = translator(options);
        check_extensions(options, &accelerator)?;
        let machine = builder(options, kernel, &quit)?
            .build(&accelerator)
            .map_err(sentence)?;
        if options.semihosting {
            machine.console().set_sink(Box::new(|text| {
                let mut out = std::io::stdout().lock();
                // A reader that is gone must not end the guest.
                let _ = out.write_all(text).and_then(|()| out.flush());
            }));
        }
        let mut session = Session {
            machine: Some(machine),
            stopper,
            wish,
            caught,
            no_shutdown: options.no_shutdown,
        };
        if let (Some(path), Some(machine)) = (
            &options.dump_dtb,
            session.machine.take_if(|_| options.dump_dtb.is_some()),
        ) {
            let tree = machine
                .device_tree()
                .ok_or("-machine dumpdtb: this board has no device tree.")?;
            std::fs::write(path, tree).map_err(|e| {
                format!(
                    "-machine dumpdtb: {} cannot be written: {e}.",
                    path.display()
                )
            })?;
        }
        Ok(session)
    }

    /// Runs the machine to its end.
    pub fn run(&mut self) -> Result<ExitReason, String> {
        let Some(machine) = &mut self.machine else {
            return Ok(ExitReason::Paused);
        };
        let (control, wish) = (machine.control(), self.wish.clone());
        *self.stopper.lock().unwrap_or_else(|e| e.into_inner()) = Some(Box::new(move || {
            wish.set();
            control.pause();
        }));
        // Asked for before there was a machine to stop.
        if *self.wish.quit.lock().unwrap_or_else(|e| e.into_inner()) {
            return Ok(ExitReason::Paused);
        }
        let reason = machine.run().map_err(sentence)?;
        if self.no_shutdown && matches!(reason, ExitReason::PowerOff { .. }) {
            self.wish.wait();
        }
        Ok(reason)
    }

    /// Lets go of the machine: consoles say their last words and the terminal is restored. Returns the signal that ended it.
    pub fn close(self) -> Option<i32> {
        drop(self.machine);
        self.caught.signal()
    }
}

/// The exit status for the way a machine ended.
pub fn status_of(reason: &ExitReason, signal: Option<i32>) -> Result<u8, String> {
    if let Some(signal) = signal {
        return Ok(128u8.saturating_add(u8::try_from(signal).unwrap_or(u8::MAX)));
    }
    match reason {
        ExitReason::PowerOff { code: 0 }
        | ExitReason::Reset
        | ExitReason::Paused
        | ExitReason::Until => Ok(0),
        // A failure must not look like success, whatever its number is.
        ExitReason::PowerOff { code } => Ok(u8::try_from(*code).unwrap_or(1)),
        ExitReason::Panicked => Err("the guest says that it has panicked.".into()),
        ExitReason::Fault { cpu, reason } => Err(format!("hart {cpu} cannot go on: {reason}")),
        other => Err(format!("the machine stopped: {other:?}")),
    }
}

fn sentence(e: MachineError) -> String {
    let text = e.to_string();
    if text.ends_with('.') {
        text
    } else {
        text + "."
    }
}

fn translator(options: &Options) -> Translator {
    let a = &options.accel;
    let mut translator = Translator::new()
        .interpret_only(a.tier == Some(0))
        .count_instructions(a.count);
    if let Some(bytes) = a.code_size {
        translator = translator.code_bytes(usize::try_from(bytes).unwrap_or(usize::MAX));
    }
    if let Some(runs) = a.compile_after {
        translator = translator.compile_after(runs);
    }
    translator
}

/// Extensions a model has but the accelerator does not are left out; those asked for by name are not, silently.
fn check_extensions(options: &Options, accelerator: &dyn Accelerator) -> Result<(), String> {
    let Some(text) = &options.cpu else {
        return Ok(());
    };
    let (Ok(CpuModel::Riscv64(asked)), Some(caps)) = (
        CpuModel::parse(options.arch, text),
        accelerator.caps(options.arch),
    ) else {
        return Ok(());
    };
    let base = riscv::Model::named(asked.name()).map_or(riscv::Ext::empty(), |m| m.extensions());
    let missing = asked.extensions().difference(base).difference(caps.riscv);
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.names().collect();
    Err(format!(
        "-cpu: the {} accelerator does not have the extension(s) {}; leave them out.",
        accelerator.name(),
        names.join(", ")
    ))
}

fn builder(o: &Options, kernel: Option<Source>, quit: &Quit) -> Result<Builder, String> {
    let mut b = match o.board {
        BoardName::Virt => Builder::new(RiscvVirt),
        BoardName::Spike => Builder::new(Spike),
    };
    b = b.cpus(o.cpus).no_reboot(o.no_reboot);
    if let Some(bytes) = o.memory {
        b = b.ram(bytes);
    }
    if let Some(model) = &o.cpu {
        b = b.cpu_model(model).map_err(sentence)?;
    }
    if let Some(shift) = o.icount {
        b = b.timing(Timing::Instructions { shift }).seed(SEED);
    }
    b = match &o.firmware {
        Firmware::Default => b,
        Firmware::None => b.bios(Bios::None),
        Firmware::File(path) => b.bios(Bios::File(path.clone().into())),
    };
    if let Some(kernel) = kernel.or_else(|| o.kernel.clone().map(Source::Path)) {
        b = b.kernel(kernel);
    }
    if let Some(initrd) = &o.initrd {
        b = b.initrd(initrd.clone());
    }
    if let Some(text) = &o.append {
        b = b.cmdline(text);
    }
    if let Some(dtb) = &o.dtb {
        b = b.dtb(dtb.clone());
    }
    if o.semihosting {
        b = b.semihosting(SemihostingConfig {
            files: Some(".".into()),
            writable: true,
            cmdline: o.semihosting_args.join(" "),
        });
    }
    for loader in &o.loaders {
        b = match loader {
            Loader::File {
                file,
                addr,
                cpu,
                raw,
            } => b.load(file.clone(), *addr, *raw, *cpu),
            Loader::Data { addr, data, len } => {
                let mut bytes = data.to_le_bytes().to_vec();
                bytes.truncate((*len).into());
                b.load(bytes, Some(*addr), true, None)
            }
            Loader::Start { addr, cpu } => b.start_cpu(*cpu, *addr),
        };
    }
    devices(serials(b, o, quit)?, o, quit)
}

fn serials(mut b: Builder, o: &Options, quit: &Quit) -> Result<Builder, String> {
    if o.serials.is_empty() {
        return Ok(b.serial(backends::open(&CharSpec::Stdio, "-serial", quit)?));
    }
    for serial in &o.serials {
        b = b.serial(match serial {
            SerialSpec::Own(spec) => backends::open(spec, "-serial", quit)?,
            SerialSpec::Chardev(id) => chardev(o, id, quit)?,
        });
    }
    Ok(b)
}

fn chardev(o: &Options, id: &str, quit: &Quit) -> Result<Box<dyn CharBackend>, String> {
    match o.chardevs.iter().find(|(i, _)| i == id) {
        Some((_, spec)) => backends::open(spec, &format!("-chardev {id}"), quit),
        None => Err(format!("there is no -chardev with id={id}.")),
    }
}

fn devices(mut b: Builder, o: &Options, quit: &Quit) -> Result<Builder, String> {
    for drive in &o.drives {
        match drive.attach {
            DriveUse::Virtio => b = blk(b, o, drive, None, 1, false)?,
            DriveUse::None | DriveUse::Pflash => {}
        }
    }
    // Those without a unit take the banks that are left.
    let flash = |d: &&Drive| d.attach == DriveUse::Pflash;
    let mut free = (0u32..).filter(|n| !o.drives.iter().filter(flash).any(|d| d.unit == Some(*n)));
    for drive in o.drives.iter().filter(flash) {
        let unit = drive.unit.or_else(|| free.next()).unwrap_or(0);
        b = b.flash_bank(unit as usize, backends::flash(drive)?);
    }
    for device in &o.devices {
        b = match device {
            DeviceOption::Rng => {
                let source: Box<dyn EntropySource> = match o.icount {
                    Some(_) => Box::new(SeededEntropy::new(SEED)),
                    None => Box::new(HostEntropy::open().map_err(|e| {
                        format!("-device virtio-rng-device: the host has no random numbers: {e}.")
                    })?),
                };
                b.virtio(Box::new(Rng::new(source)))
            }
            DeviceOption::Console { ports } => {
                let mut opened = Vec::new();
                for p in ports {
                    let back_end = chardev(o, &p.chardev, quit)?;
                    opened.push(match &p.name {
                        _ if p.console => Port::console(back_end),
                        name => Port::channel(name.as_deref().unwrap_or(&p.chardev), back_end),
                    });
                }
                b.virtio(Box::new(Console::new(opened, ConsoleSize::default())))
            }
            DeviceOption::Blk {
                drive,
                serial,
                queues,
                read_only,
            } => {
                let drive = o
                    .drives
                    .iter()
                    .find(|d| d.id == *drive)
                    .ok_or_else(|| format!("there is no -drive with id={drive}."))?;
                blk(
                    b,
                    o,
                    drive,
                    serial.as_deref(),
                    queues.unwrap_or(1),
                    read_only.unwrap_or(false),
                )?
            }
        };
    }
    Ok(b)
}

fn blk(
    b: Builder,
    o: &Options,
    drive: &Drive,
    serial: Option<&str>,
    queues: u16,
    read_only: bool,
) -> Result<Builder, String> {
    let back_end = backends::disk(drive, read_only, o)?;
    let serial = serial
        .or(drive.serial.as_deref())
        .unwrap_or_default()
        .to_owned();
    let options = BlkOptions {
        queues,
        serial,
        ..BlkOptions::default()
    };
    Ok(b.virtio(Box::new(Blk::new(back_end, options))))
}

/// Writes the signature in lines of `granularity` bytes, the last filled up with zeroes, each with its most significant byte first.
fn write_signature(machine: &Machine, path: &Path, granularity: u32) -> Result<(), String> {
    let words = machine.signature().map_err(sentence)?;
    std::fs::write(path, lines_of(&words, granularity as usize))
        .map_err(|e| format!("-signature: {} cannot be written: {e}.", path.display()))
}

fn lines_of(words: &str, granularity: usize) -> String {
    let bytes: Vec<u8> = words
        .lines()
        .filter_map(|w| u32::from_str_radix(w, 16).ok())
        .flat_map(u32::to_le_bytes)
        .collect();
    let mut out = String::new();
    for line in bytes.chunks(granularity.max(1)) {
        for n in (0..granularity).rev() {
            out.push_str(&format!("{:02x}", line.get(n).copied().unwrap_or(0)));
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        let off = |code| ExitReason::PowerOff { code };
        assert_eq!(status_of(&off(0), None), Ok(0));
        assert_eq!(status_of(&off(7), None), Ok(7));
        assert_eq!(status_of(&off(256), None), Ok(1));
        assert_eq!(status_of(&ExitReason::Reset, None), Ok(0));
        assert_eq!(status_of(&ExitReason::Paused, Some(15)), Ok(143));
        assert!(
            status_of(
                &ExitReason::Fault {
                    cpu: 1,
                    reason: "lost".into()
                },
                None
            )
            .is_err_and(|e| e.contains("hart 1") && e.contains("lost"))
        );
    }

    #[test]
    fn signature_lines() {
        let words = "33221100\n77665544\n00000088\n";
        assert_eq!(lines_of(words, 4), words);
        assert_eq!(lines_of(words, 8), "7766554433221100\n0000000000000088\n");
        assert_eq!(lines_of(words, 2), "1100\n3322\n5544\n7766\n0088\n0000\n");
    }
}
