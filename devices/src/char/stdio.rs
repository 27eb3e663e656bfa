//! The terminal the program runs in, in raw mode, with an escape key.
//!
//! Ctrl-A x asks to quit, Ctrl-A c for the monitor, Ctrl-A h prints the keys, Ctrl-A Ctrl-A and Ctrl-A a send Ctrl-A. Other
//! keys after Ctrl-A are dropped.
//!
//! Dropping the back end restores the terminal. A program that ends otherwise (`std::process::exit`, a fatal signal it
//! handles, a panic hook) calls [`restore_terminal`].

use super::CharBackend;
use super::stream::{Ends, Filter, Peer, StreamBackend};
use crate::Notifier;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

/// The terminal's settings from before raw mode.
static SAVED: Mutex<Option<Termios>> = Mutex::new(None);

const ESCAPE: u8 = 1;
const HELP: &[u8] =
    b"\r\nCtrl-A x  quit\r\nCtrl-A c  monitor\r\nCtrl-A a  send Ctrl-A\r\nCtrl-A h  this help\r\n";

/// What the user asks for with the escape key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// End the program.
    Quit,
    /// Open the monitor.
    Monitor,
    /// Show the keys.
    Help,
}

/// Puts the terminal back as it was before [`open`]. Does nothing if it is not in raw mode.
pub fn restore_terminal() {
    let saved = SAVED.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(termios) = saved {
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &termios);
    }
}

fn make_raw() -> io::Result<()> {
    let stdin = io::stdin();
    if !isatty(&stdin) {
        return Ok(());
    }
    let before = tcgetattr(&stdin)?;
    let mut raw = before.clone();
    raw.make_raw();
    // What the program itself prints keeps its line ends.
    raw.output_modes = before.output_modes;
    SAVED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get_or_insert(before);
    tcsetattr(&stdin, OptionalActions::Now, &raw)?;
    Ok(())
}

/// Splits typed bytes into those for the device and requests.
#[derive(Debug, Default)]
struct Escapes {
    escaped: bool,
}

impl Escapes {
    fn filter(&mut self, data: &[u8], mut ask: impl FnMut(Request)) -> Vec<u8> {
        let mut out = Vec::with_capacity(data.len());
        for &byte in data {
            if !std::mem::replace(&mut self.escaped, false) {
                if byte == ESCAPE {
                    self.escaped = true;
                } else {
                    out.push(byte);
                }
                continue;
            }
            match byte {
                b'x' => ask(Request::Quit),
                b'c' => ask(Request::Monitor),
                b'h' | b'?' => ask(Request::Help),
                b'a' | ESCAPE => out.push(ESCAPE),
                _ => {}
            }
        }
        out
    }
}

/// Standard input and output.
pub struct StdioBackend(StreamBackend);

impl Drop for StdioBackend {
    fn drop(&mut self) {
        restore_terminal();
    }
}

/// Takes standard input and output over. If input is a terminal it is put into raw mode. `ask` is called, on the back
/// end's thread, for [`Request::Quit`] and [`Request::Monitor`].
///
/// # Errors
/// The terminal cannot be set up, or the host has no threads or descriptors left.
pub fn open(ask: impl FnMut(Request) + Send + 'static) -> io::Result<StdioBackend> {
    let ends = Ends {
        input: Some(io::stdin().as_fd().try_clone_to_owned()?),
        output: Some(io::stdout().as_fd().try_clone_to_owned()?),
    };
    let (mut escapes, mut ask) = (Escapes::default(), ask);
    let filter: Filter = Box::new(move |data| {
        escapes.filter(data, |request| match request {
            Request::Help => drop(io::stderr().write_all(HELP)),
            other => ask(other),
        })
    });
    make_raw()?;
    // A terminal only: input from a file or pipe is data throughout.
    let filter = isatty(io::stdin()).then_some(filter);
    match StreamBackend::new(Peer::Fixed(ends), filter) {
        Ok(stream) => Ok(StdioBackend(stream)),
        Err(e) => {
            restore_terminal();
            Err(e)
        }
    }
}

impl CharBackend for StdioBackend {
    fn write(&mut self, data: &[u8]) -> usize {
        self.0.write(data)
    }
    fn read(&mut self, buf: &mut [u8]) -> usize {
        self.0.read(buf)
    }
    fn attach(&mut self, notifier: Notifier, token: u32) {
        self.0.attach(notifier, token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_key() {
        let mut e = Escapes::default();
        let mut asked = Vec::new();
        assert_eq!(e.filter(b"ab\x01", |r| asked.push(r)), b"ab");
        assert_eq!(
            e.filter(b"xc\x01a\x01\x01\x01c\x01z\x01h!", |r| asked.push(r)),
            b"c\x01\x01!"
        );
        assert_eq!(asked, [Request::Quit, Request::Monitor, Request::Help]);
    }
}
