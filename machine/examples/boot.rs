//! Boots a kernel on the translator, with the terminal as its serial port.
//!
//! `boot [KERNEL [INITRD] [COMMAND LINE]] [-m MIB] [-smp N] [-bios FILE|none] [-cpu MODEL] [-M virt|spike] [-icount SHIFT]
//! [-tier0] [-after RUNS] [-no-reboot] [-stats]`
//!
//! `SMP`, `TIER=0` and `AFTER` in the environment do what the options do.

use ambidex_accel_tcg::Translator;
use ambidex_devices::char::stdio;
use ambidex_machine::boards;
use ambidex_machine::prelude::*;
use std::process::ExitCode;

fn number(variable: &str) -> Option<u32> {
    std::env::var(variable).ok()?.parse().ok()
}

fn run() -> Result<ExitCode, MachineError> {
    let mut args = std::env::args().skip(1);
    let (mut kernel, mut initrd, mut append, mut model) =
        (None, None, "console=ttyS0".to_owned(), "rv64".to_owned());
    let (mut ram, mut cpus, mut bios, mut board) =
        (512u64, number("SMP").unwrap_or(1), None, "virt".to_owned());
    let (mut shift, mut interpret, mut no_reboot, mut stats) =
        (None, number("TIER") == Some(0), false, false);
    let mut after = number("AFTER").unwrap_or(2);
    let wrong = |what: &str| {
        MachineError::Config(format!(
            "{what} needs a value; see the top of examples/boot.rs"
        ))
    };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| wrong(&arg));
        match &*arg {
            "-initrd" => initrd = Some(value()?),
            "-append" => append = value()?,
            "-m" => ram = value()?.parse().map_err(|_| wrong("-m"))?,
            "-smp" => cpus = value()?.parse().map_err(|_| wrong("-smp"))?,
            "-bios" => bios = Some(value()?),
            "-cpu" => model = value()?,
            "-M" => board = value()?,
            "-icount" => shift = Some(value()?.parse().map_err(|_| wrong("-icount"))?),
            "-tier0" => interpret = true,
            "-after" => after = value()?.parse().map_err(|_| wrong("-after"))?,
            "-no-reboot" => no_reboot = true,
            "-stats" => stats = true,
            _ if kernel.is_none() => kernel = Some(arg),
            _ if initrd.is_none() => initrd = Some(arg),
            _ => append = arg,
        }
    }
    let console = stdio::open(Box::new(|_| {})).map_err(|source| MachineError::Host {
        what: "the terminal cannot be used".into(),
        source,
    })?;
    let console: Box<dyn CharBackend> = Box::new(console);
    let mut builder = Builder::with_board(boards::by_name(Arch::Riscv64, &board)?)
        .ram(ram << 20)
        .cpus(cpus)
        .cpu_model(&model)?
        .cmdline(&append)
        .no_reboot(no_reboot)
        .serial(console);
    // Without a kernel, the demo guest of this repository.
    let demo = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../guests/demo-riscv64/demo.elf"
    );
    builder = builder.kernel(kernel.as_deref().unwrap_or(demo));
    if let Some(initrd) = initrd.filter(|i| !i.is_empty()) {
        builder = builder.initrd(initrd);
    }
    match bios.as_deref() {
        Some("none") => builder = builder.bios(Bios::None),
        Some(path) => builder = builder.bios(Bios::File(path.into())),
        None => {}
    }
    if let Some(shift) = shift {
        builder = builder.timing(Timing::Instructions { shift });
    }
    let mut machine = builder.build(
        &Translator::new()
            .interpret_only(interpret)
            .compile_after(after),
    )?;
    let begun = std::time::Instant::now();
    let reason = machine.run()?;
    eprintln!(
        "{reason:?} after {:.2} s, VM time {:.2} s",
        begun.elapsed().as_secs_f64(),
        machine.clock().now() as f64 / 1e9
    );
    if stats {
        eprintln!("{}", machine.dump());
    }
    Ok(match reason {
        ExitReason::PowerOff { code } => ExitCode::from(code.min(255) as u8),
        ExitReason::Reset => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn main() -> ExitCode {
    run().unwrap_or_else(|e| {
        eprintln!("boot: {e}");
        ExitCode::FAILURE
    })
}
