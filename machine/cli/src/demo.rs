//! The built-in guest.

use crate::options::Options;
use crate::report::{self, Run};
use crate::run::{Session, status_of};
use ambidex_machine::prelude::*;
use std::io::{IsTerminal as _, Write as _};
use std::time::Instant;

/// `guests/demo-riscv64`, built from its sources; `./check` compares.
static GUEST: &[u8] = include_bytes!("../../../guests/demo-riscv64/demo.elf");

/// Runs it and says how it went. Returns the exit status.
pub fn run(options: &Options) -> Result<u8, String> {
    let mut options = options.clone();
    options.accel.count = true;
    if std::io::stdin().is_terminal() && options.serials.is_empty() {
        eprintln!("Running the built-in demo guest; Ctrl-A x quits.");
    }
    let mut session = Session::open(&options, Some(Source::Bytes(GUEST.to_vec())))?;
    if session.machine.is_none() {
        return Ok(0);
    }
    let start = Instant::now();
    let reason = session.run()?;
    let wall = start.elapsed();
    let cpus = session.machine.as_ref().map_or(0, Machine::cpus);
    let instructions = session.machine.as_ref().map_or(0, |m| {
        (0..m.cpus())
            .filter_map(|n| m.cpu_report(n))
            .map(|r| r.executed)
            .sum()
    });
    // The console's last words come before ours, and on a restored terminal.
    let status = status_of(&reason, session.close());
    let report = report::demo(&Run {
        accel: "tcg",
        cpus,
        instructions,
        wall,
    });
    let _ = std::io::stdout().write_all(report.as_bytes());
    status
}
