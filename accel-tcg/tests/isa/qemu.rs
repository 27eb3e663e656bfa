//! The same programs under QEMU's system emulation, as a separate process.
//!
//! QEMU is `$AMBIDEX_QEMU`, or `qemu-system-riscv64` on the path or in the cache of `tests/guests`; it has to be version 10 or newer.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use super::asm::Asm;
use super::harness::{compare, image};

fn version(program: &PathBuf) -> Option<u32> {
    let out = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(out.stdout).ok()?;
    text.split("version ")
        .nth(1)?
        .split('.')
        .next()?
        .parse()
        .ok()
}

fn program() -> Option<&'static PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            let mut all: Vec<PathBuf> = std::env::var_os("AMBIDEX_QEMU")
                .map(PathBuf::from)
                .into_iter()
                .collect();
            if all.is_empty() {
                all.push("qemu-system-riscv64".into());
                let cache = std::env::var_os("AMBIDEX_CACHE").map(PathBuf::from);
                let home =
                    std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".cache/ambidex"));
                all.extend(
                    cache
                        .into_iter()
                        .chain(home)
                        .map(|c| c.join("qemu/qemu-system-riscv64")),
                );
            }
            let found = all
                .into_iter()
                .find(|p| version(p).is_some_and(|v| v >= 10));
            if found.is_none() {
                eprintln!(
                    "skipped: no QEMU 10 to compare with; run tests/guests/qemu or set AMBIDEX_QEMU"
                );
            }
            found
        })
        .as_ref()
}

/// Runs a program on QEMU and compares what it says.
pub fn check(a: &Asm) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let Some(qemu) = program() else { return };
    let end = image(a)
        .map(|(at, b)| at as usize + b.len())
        .max()
        .unwrap_or(0);
    let mut flat = vec![0; end];
    for (at, b) in image(a) {
        flat[at as usize..at as usize + b.len()].copy_from_slice(&b);
    }
    let n = NUMBER.fetch_add(1, Ordering::SeqCst);
    let path = std::env::temp_dir().join(format!("ambidex-isa-{}-{n}.bin", std::process::id()));
    std::fs::write(&path, &flat).unwrap();
    let mut child = Command::new(qemu)
        .args([
            "-M",
            "virt",
            "-cpu",
            "max,v=off,h=off,pmp=on,zama16b=off,ssdbltrp=off,smdbltrp=off",
            "-m",
            "64",
            "-display",
            "none",
            "-serial",
            "stdio",
            "-monitor",
            "none",
            "-bios",
        ])
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let (send, receive) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = stdout.read_to_string(&mut text);
        let _ = send.send(text);
    });
    // A program that QEMU runs differently may never end.
    let text = receive.recv_timeout(Duration::from_secs(60));
    if text.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().unwrap();
    reader.join().unwrap();
    let _ = std::fs::remove_file(&path);
    let text = text.unwrap_or_else(|_| "(no end)".to_owned());
    assert!(status.success(), "QEMU failed: {status}\n{text}");
    compare(a, &text, "QEMU", true);
}
