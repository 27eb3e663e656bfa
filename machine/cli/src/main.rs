//! The `ambidex` program: runs virtual machines described on its command line.

#![forbid(unsafe_code)]

mod backends;
mod demo;
mod logger;
mod options;
mod report;
mod run;
mod terminal;

use options::{Command, Stop};
use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = Vec::new();
    for arg in std::env::args_os() {
        match arg.into_string() {
            Ok(arg) => args.push(arg),
            Err(arg) => {
                return refuse(&format!(
                    "the argument '{}' is not UTF-8; rename the file.",
                    arg.display()
                ));
            }
        }
    }
    let program = if args.is_empty() {
        "ambidex".to_owned()
    } else {
        args.remove(0)
    };
    let ended = match options::command(&program, &args) {
        Ok(Command::Print(text)) | Err(Stop::Help(text)) => return print(&text),
        Ok(Command::Accel) => return print(&report::capabilities()),
        Ok(Command::Run(options)) => run::run(&options),
        Ok(Command::Demo(options)) => demo::run(&options),
        Err(Stop::Error(sentence)) => return refuse(&sentence),
    };
    log::logger().flush();
    match ended {
        Ok(status) => ExitCode::from(status),
        Err(sentence) => refuse(&sentence),
    }
}

/// Prints what was asked for. A reader that has seen enough (`| head`) is no error.
fn print(text: &str) -> ExitCode {
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

/// One sentence and exit status 1.
fn refuse(sentence: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "ambidex: {}", sentence.trim_end());
    ExitCode::FAILURE
}
