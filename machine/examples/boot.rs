//! Boots a kernel on the translator, with the terminal as its serial port.
//!
//! `cargo run --release -p ambidex-machine --example boot -- Image [-initrd FILE] [-append TEXT] [-m MIB] [-smp N] [-bios FILE|none]
//! [-cpu MODEL] [-M virt|spike] [-icount SHIFT] [-interpret] [-no-reboot] [-stats]`

use ambidex_accel_tcg::Translator;
use ambidex_devices::char::CharBackend;
use ambidex_machine::boards;
use ambidex_machine::prelude::*;
use std::io::Write;
use std::process::ExitCode;

/// Standard output as a back end without input.
struct Out;

impl CharBackend for Out {
    fn write(&mut self, data: &[u8]) -> usize {
        let mut out = std::io::stdout().lock();
        // A closed terminal must not stop the guest.
        let _ = out.write_all(data).and_then(|()| out.flush());
        data.len()
    }

    fn read(&mut self, _: &mut [u8]) -> usize {
        0
    }

    fn attach(&mut self, _: Notifier, _: u32) {}
}

fn run() -> Result<ExitCode, MachineError> {
    let mut args = std::env::args().skip(1);
    let (mut kernel, mut initrd, mut append, mut model) =
        (None, None, String::new(), "rv64".to_owned());
    let (mut ram, mut cpus, mut bios, mut board) = (512u64, 1, None, "virt".to_owned());
    let (mut shift, mut interpret, mut no_reboot, mut stats) = (None, false, false, false);
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
            "-interpret" => interpret = true,
            "-no-reboot" => no_reboot = true,
            "-stats" => stats = true,
            _ => kernel = Some(arg),
        }
    }
    let mut builder = Builder::with_board(boards::by_name(Arch::Riscv64, &board)?)
        .ram(ram << 20)
        .cpus(cpus)
        .cpu_model(&model)?
        .cmdline(&append)
        .no_reboot(no_reboot)
        .serial(Box::new(Out));
    if let Some(kernel) = kernel {
        builder = builder.kernel(kernel);
    }
    if let Some(initrd) = initrd {
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
    let mut machine = builder.build(&Translator::new().interpret_only(interpret))?;
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
