//! Boots a kernel on the translator: `boot KERNEL [INITRD] [COMMAND LINE]`.
use ambidex_accel_tcg::Translator;
use ambidex_devices::char::stdio;
use ambidex_machine::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let kernel = args.next().ok_or("usage: boot KERNEL [INITRD] [COMMAND LINE]")?;
    let mut builder = Builder::new(RiscvVirt).ram(512 << 20).cpus(std::env::var("SMP").map_or(1, |s| s.parse().unwrap_or(1))).kernel(std::path::PathBuf::from(kernel));
    if let Some(initrd) = args.next().filter(|s| !s.is_empty()) {
        builder = builder.initrd(std::path::PathBuf::from(initrd));
    }
    let cmdline = args.next().unwrap_or_else(|| "console=ttyS0".into());
    let tier0 = std::env::var("TIER").as_deref() == Ok("0");
    let after = std::env::var("AFTER").map_or(2, |s| s.parse().unwrap_or(2));
    let tcg = Translator::new().interpret_only(tier0).compile_after(after);
    let mut machine = builder.cmdline(&cmdline).serial(Box::new(stdio::open(Box::new(|_| {}))?)).build(&tcg)?;
    let start = std::time::Instant::now();
    let reason = machine.run()?;
    for n in 0..machine.cpus() {
        if let Some(v) = machine.vcpu(n) {
            eprintln!("{n}: {:?}", v.stats());
        }
    }
    eprintln!("{reason:?} after {:?}", start.elapsed());
    Ok(())
}
