//! TCP and Unix sockets, either side. Bytes only, no telnet negotiation.
//!
//! A server takes one client at a time; the next may connect when it has gone. Output while nobody is connected is
//! dropped.

use super::stream::{Ends, Peer, StreamBackend};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

fn fixed(input: OwnedFd, output: OwnedFd) -> io::Result<StreamBackend> {
    StreamBackend::new(
        Peer::Fixed(Ends {
            input: Some(input),
            output: Some(output),
        }),
        None,
    )
}

/// Listens on a TCP address. Port 0 chooses one; the address in use is returned.
///
/// # Errors
/// The address cannot be bound.
pub fn tcp_listen(at: impl ToSocketAddrs) -> io::Result<(StreamBackend, SocketAddr)> {
    let listener = TcpListener::bind(at)?;
    listener.set_nonblocking(true)?;
    let at = listener.local_addr()?;
    Ok((
        StreamBackend::new(Peer::Listener(listener.into()), None)?,
        at,
    ))
}

/// Connects to a TCP address.
///
/// # Errors
/// Nobody answers.
pub fn tcp_connect(to: impl ToSocketAddrs) -> io::Result<StreamBackend> {
    let stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    fixed(stream.try_clone()?.into(), stream.into())
}

/// Listens on a Unix socket. The path must not exist; a socket nobody listens on is replaced.
///
/// # Errors
/// The path cannot be bound.
pub fn unix_listen(path: &Path) -> io::Result<StreamBackend> {
    let listener = match UnixListener::bind(path) {
        Err(e)
            if e.kind() == io::ErrorKind::AddrInUse
                && UnixStream::connect(path)
                    .is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused) =>
        {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        other => other?,
    };
    listener.set_nonblocking(true)?;
    StreamBackend::new(Peer::Listener(listener.into()), None)
}

/// Connects to a Unix socket.
///
/// # Errors
/// Nobody listens.
pub fn unix_connect(path: &Path) -> io::Result<StreamBackend> {
    let stream = UnixStream::connect(path)?;
    stream.set_nonblocking(true)?;
    fixed(stream.try_clone()?.into(), stream.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::char::CharBackend;
    use crate::{TestWires, Wiring};
    use std::io::{Read, Write};

    fn read_exact(back: &mut dyn CharBackend, wires: &TestWires, len: usize) -> Vec<u8> {
        let mut got = Vec::new();
        let mut buf = [0; 100];
        while got.len() < len {
            match back.read(&mut buf) {
                0 => drop(wires.notify.wait()),
                n => got.extend(&buf[..n]),
            }
        }
        got
    }

    fn until(wires: &TestWires, done: impl Fn() -> bool) {
        while !done() {
            wires.notify.wait();
        }
    }

    #[test]
    fn server_serves_one_client_after_another() {
        let (w, wires) = Wiring::test();
        let (mut back, at) = tcp_listen(("127.0.0.1", 0)).unwrap();
        back.attach(w.backend, 0);
        for round in 0..2u8 {
            let mut client = TcpStream::connect(at).unwrap();
            until(&wires, || back.connected());
            client.write_all(&[round; 3000]).unwrap();
            assert_eq!(read_exact(&mut back, &wires, 3000), [round; 3000]);
            assert_eq!(back.write(b"to you"), 6);
            let mut buf = [0; 6];
            client.read_exact(&mut buf).unwrap();
            assert_eq!(&buf, b"to you");
            drop(client);
            until(&wires, || !back.connected());
            assert_eq!(back.write(b"nobody"), 6);
        }
    }

    #[test]
    fn slow_reader_gets_every_byte() {
        let path = std::env::temp_dir().join(format!("ambidex-sock-{}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let (w, wires) = Wiring::test();
        let mut back = unix_connect(&path).unwrap();
        back.attach(w.backend, 0);
        let (mut peer, _) = listener.accept().unwrap();
        std::fs::remove_file(&path).unwrap();
        let text: Vec<u8> = (0..2_000_000u32).map(|n| (n / 3) as u8).collect();
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).unwrap();
            all
        });
        let mut sent = 0;
        while sent < text.len() {
            match back.write(&text[sent..]) {
                0 => drop(wires.notify.wait()),
                n => sent += n,
            }
        }
        drop(back);
        assert!(reader.join().unwrap() == text);
    }
}
