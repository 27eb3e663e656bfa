//! What the program says about a run, and about the host.

use ambidex_accel_tcg::Translator;
use ambidex_cpu::{Accelerator, Arch, Caps};
use std::fmt::Write as _;
use std::time::Duration;

/// The accelerators this program was built with, best first.
pub fn accelerators() -> Vec<Box<dyn Accelerator>> {
    vec![Box::new(Translator::new())]
}

/// `ambidex accel`.
pub fn capabilities() -> String {
    let mut out =
        String::from("Guests this host can run, the accelerator taken by default first:\n");
    for arch in Arch::ALL {
        let able: Vec<_> = accelerators()
            .into_iter()
            .filter_map(|a| a.caps(arch).map(|caps| (a.name(), caps)))
            .collect();
        if able.is_empty() {
            let _ = writeln!(out, "  {arch:8}  not yet");
        }
        for (name, caps) in able {
            let _ = writeln!(out, "  {arch:8}  {name}: {}", describe(&caps));
            if !caps.riscv.is_empty() {
                let _ = writeln!(
                    out,
                    "            extensions:{}",
                    caps.riscv.names().fold(String::new(), |s, n| s + " " + n)
                );
            }
        }
    }
    out.push_str(match translator_kind() {
        Tier::Compiles => {
            "The translator compiles to x86-64 code and interprets what runs seldom.\n"
        }
        Tier::Interprets => {
            "On this host's architecture the translator interprets only, which is slow.\n"
        }
    });
    out.push_str(&kvm());
    out
}

fn describe(caps: &Caps) -> String {
    let mut text = format!("up to {} CPUs", caps.max_vcpus);
    for (able, what) in [
        (caps.exact_budget, "exact instruction counts (-icount)"),
        (caps.firmware_host, "built-in firmware"),
        (caps.debug, "breakpoints and single step"),
        (caps.instrument, "instrumentation"),
    ] {
        if able {
            let _ = write!(text, ", {what}");
        }
    }
    text
}

enum Tier {
    Compiles,
    Interprets,
}

fn translator_kind() -> Tier {
    if cfg!(target_arch = "x86_64") {
        Tier::Compiles
    } else {
        Tier::Interprets
    }
}

fn kvm() -> String {
    match std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm")
    {
        Ok(_) => "/dev/kvm can be opened, but Ambidex does not use it yet.\n".into(),
        Err(e) => format!("/dev/kvm cannot be opened ({e}); Ambidex does not use it yet anyway.\n"),
    }
}

/// How a run went.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub accel: &'static str,
    pub cpus: usize,
    /// Guest instructions; 0 when they were not counted.
    pub instructions: u64,
    pub wall: Duration,
}

/// The last lines of the demo.
pub fn demo(run: &Run) -> String {
    let seconds = run.wall.as_secs_f64().max(1e-9);
    let counted = match run.instructions {
        0 => "not counted".to_owned(),
        n => format!("{} ({:.0} MIPS)", grouped(n), n as f64 / seconds / 1e6),
    };
    let harts = if run.cpus == 1 {
        "1 hart".to_owned()
    } else {
        format!("{} harts", run.cpus)
    };
    format!(
        "
guest instructions  {counted}
wall time           {seconds:.2} s
accelerator         {}, {harts}

What to try next:
  ambidex demo -smp 4 -append demo.shell      the same guest with 4 harts and a shell
  ambidex demo -accel tcg,tier=0              the same in the interpreter
  ambidex riscv64 -m 512 -kernel Image -initrd initrd.gz -append console=ttyS0      your own Linux
",
        run.accel
    )
}

/// A number with its digits in groups of three.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, d) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\'');
        }
        out.push(d);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1'234'567");
    }

    #[test]
    fn demo_says_what_it_measured() {
        let mut run = Run {
            accel: "tcg",
            cpus: 4,
            instructions: 3_000_000_000,
            wall: Duration::from_secs(2),
        };
        let text = demo(&run);
        assert!(
            text.contains("3'000'000'000 (1500 MIPS)")
                && text.contains("2.00 s")
                && text.contains("tcg, 4 harts"),
            "{text}"
        );
        run.instructions = 0;
        assert!(demo(&run).contains("not counted"));
    }

    #[test]
    fn capabilities_name_every_architecture() {
        let text = capabilities();
        assert!(Arch::ALL.iter().all(|a| text.contains(a.name())), "{text}");
        assert!(text.contains("riscv64   tcg: up to"), "{text}");
    }
}
