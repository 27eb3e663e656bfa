//! Where log messages go, and which are wanted.
//!
//! Errors and warnings of the program itself are always shown. What the guest does wrong and the like is logged under the targets named in
//! [`crate::options::values::LOGS`], and shown for those that `-d` names only: a guest must not be able to fill somebody's disk unasked.

use crate::options::values::LOGS;
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;

struct Logger {
    items: Vec<&'static str>,
    out: Mutex<Box<dyn Write + Send>>,
}

impl Logger {
    fn wants(&self, target: &str, level: Level) -> bool {
        if LOGS.iter().any(|(name, _)| *name == target) {
            return self.items.contains(&target);
        }
        level <= Level::Warn || self.items.contains(&"trace")
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.wants(metadata.target(), metadata.level())
    }

    fn log(&self, record: &Record<'_>) {
        if !self.wants(record.target(), record.level()) {
            return;
        }
        let mut out = self.out.lock().unwrap_or_else(|e| e.into_inner());
        // A log that cannot be written must not end the guest.
        let _ = match record.level() {
            _ if LOGS.iter().any(|(name, _)| *name == record.target()) => {
                writeln!(out, "{}: {}", record.target(), record.args())
            }
            Level::Error => writeln!(out, "ambidex: error: {}", record.args()),
            Level::Warn => writeln!(out, "ambidex: warning: {}", record.args()),
            _ => writeln!(out, "{}: {}", record.target(), record.args()),
        };
    }

    fn flush(&self) {
        let _ = self.out.lock().unwrap_or_else(|e| e.into_inner()).flush();
    }
}

/// Starts logging `items` to `file`, or else to standard error.
pub fn start(items: &[&'static str], file: Option<&Path>) -> Result<(), String> {
    let out: Box<dyn Write + Send> = match file {
        None => Box::new(io::stderr()),
        Some(path) => match File::create(path) {
            Ok(file) => Box::new(io::BufWriter::new(file)),
            Err(e) => {
                return Err(format!(
                    "-D: the log file {} cannot be written: {e}.",
                    path.display()
                ));
            }
        },
    };
    let max = if items.is_empty() {
        LevelFilter::Warn
    } else {
        LevelFilter::Trace
    };
    if log::set_boxed_logger(Box::new(Logger {
        items: items.to_vec(),
        out: Mutex::new(out),
    }))
    .is_ok()
    {
        log::set_max_level(max);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guest_errors_are_shown_on_demand_only() {
        let logger = |items: &[&'static str]| Logger {
            items: items.to_vec(),
            out: Mutex::new(Box::new(io::sink())),
        };
        let quiet = logger(&[]);
        assert!(quiet.wants("ambidex_devices::char", Level::Warn));
        assert!(!quiet.wants("ambidex_devices::char", Level::Info));
        assert!(!quiet.wants("guest_errors", Level::Error));
        let asked = logger(&["guest_errors"]);
        assert!(asked.wants("guest_errors", Level::Debug));
        assert!(!asked.wants("unimp", Level::Error));
        assert!(logger(&["trace"]).wants("ambidex_machine", Level::Trace));
    }
}
