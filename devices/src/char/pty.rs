//! A pseudo-terminal: a terminal program on the host opens its other side.
//!
//! Output while nobody has it open is dropped.

use super::stream::{Ends, Peer, StreamBackend};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Makes a pseudo-terminal and returns the path to open.
///
/// # Errors
/// The host has no pseudo-terminals, threads or descriptors left.
pub fn open() -> io::Result<(StreamBackend, PathBuf)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let path = PathBuf::from(std::ffi::OsStr::from_bytes(
        ptsname(&master, Vec::new())?.as_bytes(),
    ));
    {
        // Opened and closed once: from here on the master reads as hung up while nobody has it open.
        let noctty = rustix::fs::OFlags::NOCTTY.bits() as i32;
        let other = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(noctty)
            .open(&path)?;
        let mut termios = tcgetattr(&other)?;
        termios.make_raw();
        tcsetattr(&other, OptionalActions::Now, &termios)?;
    }
    rustix::io::ioctl_fionbio(&master, true)?;
    let input = Some(master.try_clone()?);
    let stream = StreamBackend::new(
        Peer::Pty(Ends {
            input,
            output: Some(master),
        }),
        None,
    )?;
    Ok((stream, path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Wiring;
    use crate::char::CharBackend;
    use std::io::{Read, Write};

    #[test]
    fn both_directions_and_reopening() {
        let (w, wires) = Wiring::test();
        let (mut back, path) = open().unwrap();
        back.attach(w.backend, 0);
        assert_eq!(back.write(b"nobody"), 6);
        for _ in 0..2 {
            let mut terminal = OpenOptions::new()
                .read(true)
                .write(true)
                .open(&path)
                .unwrap();
            while !back.connected() {
                wires.notify.wait();
            }
            assert_eq!(back.write(b"a\nb\x03"), 4);
            let mut buf = [0; 4];
            terminal.read_exact(&mut buf).unwrap();
            assert_eq!(&buf, b"a\nb\x03", "raw");
            terminal.write_all(b"typed\x03").unwrap();
            let (mut got, mut buf) = (Vec::<u8>::new(), [0; 16]);
            while got.len() < 6 {
                match back.read(&mut buf) {
                    0 => drop(wires.notify.wait()),
                    n => got.extend(&buf[..n]),
                }
            }
            assert_eq!(got, b"typed\x03");
            drop(terminal);
            while back.connected() {
                wires.notify.wait();
            }
        }
    }
}
