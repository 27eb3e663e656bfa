//! The host's ends of consoles and disks.

use crate::options::{CharSpec, Drive, Options};
use ambidex_devices::block::raw::{RawFile, RawOptions};
use ambidex_devices::block::sync::SyncBackend;
use ambidex_devices::block::worker::WorkerBackend;
use ambidex_devices::block::{BlockBackend, Storage};
use ambidex_devices::char::null::NullBackend;
use ambidex_devices::char::{CharBackend, file, pty, socket, stdio};
use std::sync::Arc;

/// Threads and requests in flight of a disk.
const DISK_THREADS: usize = 4;
const DISK_DEPTH: usize = 128;

/// Called when the user asks to quit.
pub type Quit = Arc<dyn Fn() + Send + Sync>;

/// Opens the host's end `spec` for `user`, such as `-serial`.
pub fn open(spec: &CharSpec, user: &str, quit: &Quit) -> Result<Box<dyn CharBackend>, String> {
    let failed = |what: String| move |e: std::io::Error| format!("{user}: {what}: {e}.");
    Ok(match spec {
        CharSpec::Null => Box::new(NullBackend),
        CharSpec::Stdio => {
            let quit = quit.clone();
            let ask = move |request| match request {
                stdio::Request::Quit => quit(),
                stdio::Request::Monitor => {
                    eprintln!("\r\nambidex: there is no monitor yet; Ctrl-A x quits.\r")
                }
                stdio::Request::Help => {}
            };
            Box::new(stdio::open(ask).map_err(failed("the terminal cannot be used".into()))?)
        }
        CharSpec::File { output, input } => {
            Box::new(file::open(output, input.as_deref()).map_err(failed(format!(
                "the file {} cannot be opened",
                output.display()
            )))?)
        }
        CharSpec::Pty => {
            let (back_end, path) =
                pty::open().map_err(failed("there is no pseudo-terminal".into()))?;
            eprintln!("ambidex: {user} is on {}", path.display());
            Box::new(back_end)
        }
        CharSpec::Unix {
            path, server: true, ..
        } => Box::new(socket::unix_listen(path).map_err(failed(format!(
            "the socket {} cannot be made",
            path.display()
        )))?),
        CharSpec::Unix { path, .. } => {
            Box::new(socket::unix_connect(path).map_err(failed(format!(
                "nobody answers on the socket {} (add server=on to listen)",
                path.display()
            )))?)
        }
        CharSpec::Tcp {
            host,
            port,
            server: true,
            ..
        } => {
            let host = if host.is_empty() { "0.0.0.0" } else { host };
            let (back_end, at) = socket::tcp_listen((bare(host), *port))
                .map_err(failed(format!("cannot listen on {host}:{port}")))?;
            if *port == 0 {
                eprintln!("ambidex: {user} is on {at}");
            }
            Box::new(back_end)
        }
        CharSpec::Tcp { host, port, .. } => {
            let host = if host.is_empty() { "localhost" } else { host };
            Box::new(
                socket::tcp_connect((bare(host), *port)).map_err(failed(format!(
                    "nobody answers on {host}:{port} (add server=on to listen)"
                )))?,
            )
        }
    })
}

/// An IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host)
}

/// Opens the image behind a flash bank.
pub fn flash(drive: &Drive) -> Result<Box<dyn Storage>, String> {
    let options = RawOptions {
        read_only: drive.read_only,
        ..RawOptions::default()
    };
    match RawFile::open(&drive.file, options) {
        Ok(image) => Ok(Box::new(image)),
        Err(e) => Err(format!("-drive: {e}.")),
    }
}

/// Opens a disk image.
pub fn disk(
    drive: &Drive,
    read_only: bool,
    options: &Options,
) -> Result<Box<dyn BlockBackend>, String> {
    let image = RawFile::open(
        &drive.file,
        RawOptions {
            read_only: drive.read_only || read_only,
            ..RawOptions::default()
        },
    )
    .map_err(|e| format!("-drive: {e}."))?;
    if options.icount.is_some() {
        // Requests that complete at once complete at the same instruction in every run.
        return Ok(Box::new(SyncBackend::new(image)));
    }
    match WorkerBackend::new(image, DISK_THREADS, DISK_DEPTH) {
        Ok(back_end) => Ok(Box::new(back_end)),
        Err(e) => Err(format!(
            "-drive: there are no threads for {}: {e}.",
            drive.file.display()
        )),
    }
}
