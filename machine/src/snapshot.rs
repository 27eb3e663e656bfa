//! Snapshots in a folder: `manifest` (text: versions, sections with lengths and checksums), `state.cbor` (CPUs, devices, clock), and one
//! sparse file per RAM block, page-aligned, that can be mapped.
//!
//! A snapshot restores into a machine built with the same options; disks are not part of it. Its files are untrusted: everything is checked,
//! and sizes are bounded by what the machine has. The checksums find accidents, not attacks.

use crate::error::MachineError;
use crate::hub::Power;
use crate::machine::Machine;
use crate::run;
use crate::wake::lock;
use ambidex_cpu::{CpuState, Nanos};
use ambidex_devices::{RestoreError, SavedState};
use ambidex_memory::RamBlock;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

/// Version of the format.
const VERSION: u32 = 1;
const MAX_MANIFEST: u64 = 1 << 16;
const MAX_STATE: u64 = 256 << 20;
const MAX_DEPTH: usize = 64;
/// RAM is read and written in pieces of this size.
const PIECE: usize = 1 << 20;
const PAGE: usize = 4096;
/// How long devices are waited for whose I/O is in flight.
const QUIESCE_ROUNDS: u32 = 3000;

/// Why a snapshot was refused or could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The host refused a file.
    #[error("{what} of the snapshot: {source}")]
    File {
        /// The file and what was done with it.
        what: String,
        /// The host's answer.
        source: io::Error,
    },
    /// It is no snapshot, or contradicts itself.
    #[error("the snapshot is damaged: {0}")]
    Damaged(String),
    /// It was made by a later version.
    #[error(
        "the snapshot has version {found}, this program knows up to {known}; restore it with a newer one"
    )]
    Version {
        /// The snapshot's.
        found: u32,
        /// The newest known.
        known: u32,
    },
    /// The machine was built with other options than the one that was saved.
    #[error(
        "the snapshot is of a machine with {found}, this one has {expected}; start it with the same options"
    )]
    Mismatch {
        /// What the snapshot has.
        found: String,
        /// What the machine has.
        expected: String,
    },
    /// A device refused its state.
    #[error("device {path}: {source}")]
    Device {
        /// The device.
        path: String,
        /// Why.
        source: RestoreError,
    },
    /// I/O in flight did not finish.
    #[error("device {0} does not finish its I/O, so the machine cannot be saved now; try again")]
    Busy(String),
}

/// Saved state of one CPU.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SavedCpu {
    pub(crate) state: CpuState,
    pub(crate) power: Power,
    #[serde(default)]
    pub(crate) latched: u64,
    #[serde(default)]
    pub(crate) waiting: bool,
    #[serde(default)]
    pub(crate) firmware_deadline: Option<Nanos>,
    #[serde(default)]
    pub(crate) firmware_pin: bool,
    #[serde(default)]
    pub(crate) compare: Option<u64>,
}

/// Saved state of one device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SavedDevice {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) state: SavedState,
}

/// The contents of `state.cbor`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SavedMachine {
    pub(crate) arch: String,
    pub(crate) board: String,
    pub(crate) now: Nanos,
    pub(crate) cpus: Vec<SavedCpu>,
    pub(crate) devices: BTreeMap<String, SavedDevice>,
    ram: BTreeMap<String, u64>,
}

/// A checksum over 64-bit words; order matters.
#[derive(Clone, Copy)]
pub(crate) struct Sum(pub(crate) u64);

impl Sum {
    fn new() -> Sum {
        Sum(0x9e37_79b9_7f4a_7c15)
    }

    fn word(&mut self, w: u64) {
        self.0 = (self.0 ^ w)
            .wrapping_mul(0xff51_afd7_ed55_8ccd)
            .rotate_left(29);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut w = [0; 8];
            w[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(w));
        }
        self.word(bytes.len() as u64);
    }

    /// The pages of a piece of RAM that are not zero.
    fn piece(&mut self, offset: u64, piece: &[u8]) {
        for (n, page) in piece.chunks(PAGE).enumerate() {
            if !is_zero(page) {
                self.word(offset + (n * PAGE) as u64);
                self.bytes(page);
            }
        }
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |a, b| a | b) == 0
}

fn file_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> SnapshotError {
    let what = what.into();
    move |source| SnapshotError::File { what, source }
}

fn damaged(what: impl Into<String>) -> SnapshotError {
    SnapshotError::Damaged(what.into())
}

fn ram_file(n: usize) -> String {
    format!("ram{n}.raw")
}

impl Machine {
    /// Saves the machine, which must not be running, into the folder `at`, which is made if it is not there. A snapshot already there is
    /// replaced; it is complete only once its manifest is written, which happens last.
    ///
    /// # Errors
    /// A file cannot be written, or a device's I/O does not finish.
    pub fn save(&mut self, at: &Path) -> Result<(), MachineError> {
        self.quiesce()?;
        fs::create_dir_all(at).map_err(file_error("making the folder"))?;
        let manifest_path = at.join("manifest");
        match fs::remove_file(&manifest_path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(file_error("replacing the manifest")(e).into());
            }
            _ => {}
        }
        let mut manifest = format!(
            "ambidex-snapshot {VERSION}\nwriter {}\nmachine {} {}\n",
            env!("CARGO_PKG_VERSION"),
            self.arch,
            self.board
        );
        let state = self.collect()?;
        let mut bytes = Vec::new();
        ciborium::into_writer(&state, &mut bytes)
            .map_err(|e| damaged(format!("the state cannot be encoded ({e})")))?;
        let mut sum = Sum::new();
        sum.bytes(&bytes);
        fs::write(at.join("state.cbor"), &bytes).map_err(file_error("writing state.cbor"))?;
        let _ = writeln!(
            manifest,
            "section state.cbor {} {:016x}",
            bytes.len(),
            sum.0
        );
        for (n, block) in self.ram.iter().enumerate() {
            let name = ram_file(n);
            let sum =
                save_ram(&at.join(&name), block).map_err(file_error(format!("writing {name}")))?;
            let _ = writeln!(manifest, "section {name} {} {:016x}", block.len(), sum.0);
        }
        fs::write(manifest_path, manifest).map_err(file_error("writing the manifest"))?;
        Ok(())
    }

    /// Waits until no device has I/O in flight, delivering its completions.
    pub(crate) fn quiesce(&mut self) -> Result<(), SnapshotError> {
        for round in 0.. {
            self.bus.hub.bell.clear();
            run::serve(&self.bus, &self.devices);
            match self.devices.iter().find(|d| !d.with(|d| d.quiesce())) {
                None => break,
                Some(d) if round >= QUIESCE_ROUNDS => {
                    return Err(SnapshotError::Busy(d.path().to_owned()));
                }
                Some(_) => self.bus.hub.bell.wait_for(Duration::from_millis(10)),
            }
        }
        Ok(())
    }

    pub(crate) fn collect(&mut self) -> Result<SavedMachine, MachineError> {
        let mut cpus = Vec::new();
        for ((vcpu, cell), waiting) in self
            .vcpus
            .iter_mut()
            .zip(&self.bus.hub.cpus)
            .zip(&self.waiting)
        {
            let at = cell.firmware_deadline.get();
            cpus.push(SavedCpu {
                state: vcpu.save()?,
                power: cell.power(),
                latched: cell.pins.latched(),
                waiting: *waiting,
                firmware_deadline: (at != crate::timers::NEVER).then_some(at),
                firmware_pin: self.bus.firmware.is_some() && cell.pins.level() >> 5 & 1 != 0,
                compare: *lock(&cell.compare),
            });
        }
        let devices = self.devices.iter().map(|d| {
            (
                d.path().to_owned(),
                d.with(|d| SavedDevice {
                    id: d.id().to_owned(),
                    state: d.save_bytes(),
                }),
            )
        });
        Ok(SavedMachine {
            arch: self.arch.to_string(),
            board: self.board.to_owned(),
            now: self.bus.hub.clock.now(),
            cpus,
            devices: devices.collect(),
            ram: self
                .ram
                .iter()
                .map(|b| (b.name().to_owned(), b.len()))
                .collect(),
        })
    }

    /// Takes over a snapshot. The machine must not be running, and was built with the same options as the one saved.
    ///
    /// # Errors
    /// The snapshot is damaged or of another machine. What is wrong with manifest, state or lengths is found before anything is changed; if
    /// an error comes later the machine is in no useful state and has to be reset.
    pub fn restore(&mut self, at: &Path) -> Result<(), MachineError> {
        let manifest = read_manifest(&at.join("manifest"))?;
        let section = |name: &str| {
            manifest
                .get(name)
                .copied()
                .ok_or_else(|| damaged(format!("the manifest has no section {name}")))
        };
        let (len, sum) = section("state.cbor")?;
        let bytes = read_file(&at.join("state.cbor"), "state.cbor", len)?;
        let mut found = Sum::new();
        found.bytes(&bytes);
        if found.0 != sum {
            return Err(damaged("the checksum of state.cbor is wrong").into());
        }
        let saved: SavedMachine =
            ciborium::de::from_reader_with_recursion_limit(&bytes[..], MAX_DEPTH)
                .map_err(|e| damaged(format!("state.cbor cannot be decoded ({e})")))?;
        self.check(&saved)?;
        for (n, block) in self.ram.iter().enumerate() {
            let (len, _) = section(&ram_file(n))?;
            if len != block.len() {
                return Err(damaged(format!("{} has the wrong length", ram_file(n))).into());
            }
        }
        for (n, block) in self.ram.iter().enumerate() {
            let name = ram_file(n);
            let found = restore_ram(&at.join(&name), block)
                .map_err(file_error(format!("reading {name}")))?;
            if found.0 != section(&name)?.1 {
                return Err(damaged(format!("the checksum of {name} is wrong")).into());
            }
        }
        self.take_over(saved)
    }

    fn check(&self, saved: &SavedMachine) -> Result<(), SnapshotError> {
        let same = |what: &str, found: String, expected: String| {
            if found == expected {
                Ok(())
            } else {
                Err(SnapshotError::Mismatch {
                    found: format!("{what} {found}"),
                    expected: format!("{what} {expected}"),
                })
            }
        };
        same(
            "machine",
            format!("{} {}", saved.arch, saved.board),
            format!("{} {}", self.arch, self.board),
        )?;
        same(
            "CPUs:",
            saved.cpus.len().to_string(),
            self.vcpus.len().to_string(),
        )?;
        let ram: BTreeMap<String, u64> = self
            .ram
            .iter()
            .map(|b| (b.name().to_owned(), b.len()))
            .collect();
        same("RAM", format!("{:?}", saved.ram), format!("{ram:?}"))?;
        let list = |devices: Vec<(String, String)>| {
            devices
                .iter()
                .map(|(p, i)| format!("{p}={i}"))
                .collect::<Vec<_>>()
                .join(",")
        };
        let mut expected: Vec<(String, String)> = self
            .devices
            .iter()
            .map(|d| (d.path().to_owned(), d.with(|d| d.id().to_owned())))
            .collect();
        expected.sort();
        let found = saved
            .devices
            .iter()
            .map(|(p, d)| (p.clone(), d.id.clone()))
            .collect();
        same("devices", list(found), list(expected))?;
        if saved.now >= 1 << 63 {
            return Err(damaged("its time is beyond the clock's range"));
        }
        Ok(())
    }

    fn take_over(&mut self, saved: SavedMachine) -> Result<(), MachineError> {
        self.bus.hub.clock.set(saved.now);
        if let Some(firmware) = &self.bus.firmware {
            firmware.reset();
        }
        for slot in &self.devices {
            if let Some(d) = saved.devices.get(slot.path()) {
                slot.with(|device| device.restore_bytes(&d.state))
                    .map_err(|source| SnapshotError::Device {
                        path: slot.path().to_owned(),
                        source,
                    })?;
            }
        }
        let cells = self.bus.hub.cpus.iter();
        for (((vcpu, cell), waiting), s) in self
            .vcpus
            .iter_mut()
            .zip(cells)
            .zip(&mut self.waiting)
            .zip(saved.cpus)
        {
            vcpu.restore(&s.state)?;
            vcpu.set_budget(None);
            cell.set_power(s.power);
            *waiting = s.waiting;
            cell.pins.take_latched();
            for line in (0..64).filter(|l| s.latched >> l & 1 != 0) {
                cell.pins.pulse(line);
            }
            if self.bus.firmware.is_some() {
                cell.pins.set(5, s.firmware_pin);
            }
            cell.deadline.set(None);
            cell.firmware_deadline.set(s.firmware_deadline);
            *lock(&cell.compare) = s.compare;
            // Everybody looks at everything once; a CPU that has nothing to do waits again.
            cell.wake.set();
        }
        Ok(())
    }
}

fn read_file(path: &Path, name: &str, len: u64) -> Result<Vec<u8>, SnapshotError> {
    if len > MAX_STATE {
        return Err(damaged(format!("{name} is said to be {len} bytes long")));
    }
    let file = File::open(path).map_err(file_error(format!("opening {name}")))?;
    let mut bytes = Vec::new();
    file.take(len + 1)
        .read_to_end(&mut bytes)
        .map_err(file_error(format!("reading {name}")))?;
    if bytes.len() as u64 != len {
        return Err(damaged(format!(
            "{name} is not as long as the manifest says"
        )));
    }
    Ok(bytes)
}

/// Lengths and checksums of the sections.
fn read_manifest(path: &Path) -> Result<BTreeMap<String, (u64, u64)>, SnapshotError> {
    let mut text = String::new();
    let file = File::open(path).map_err(file_error("opening the manifest"))?;
    file.take(MAX_MANIFEST)
        .read_to_string(&mut text)
        .map_err(file_error("reading the manifest"))?;
    let mut lines = text.lines();
    let version = lines
        .next()
        .and_then(|l| l.strip_prefix("ambidex-snapshot "))
        .and_then(|v| v.parse::<u32>().ok())
        .ok_or_else(|| damaged("the manifest does not begin with `ambidex-snapshot`"))?;
    if version > VERSION {
        return Err(SnapshotError::Version {
            found: version,
            known: VERSION,
        });
    }
    let mut sections = BTreeMap::new();
    for line in lines.filter_map(|l| l.strip_prefix("section ")) {
        let mut fields = line.split(' ');
        let entry = (|| {
            let name = fields.next()?.to_owned();
            Some((
                name,
                (
                    fields.next()?.parse().ok()?,
                    u64::from_str_radix(fields.next()?, 16).ok()?,
                ),
            ))
        })();
        let (name, value) =
            entry.ok_or_else(|| damaged("a line of the manifest cannot be read"))?;
        sections.insert(name, value);
    }
    Ok(sections)
}

fn pieces(block: &RamBlock) -> impl Iterator<Item = (u64, usize)> {
    let len = block.len();
    (0..len)
        .step_by(PIECE)
        .map(move |at| (at, (len - at).min(PIECE as u64) as usize))
}

/// The checksum of a block's contents.
pub(crate) fn ram_sum(block: &RamBlock) -> io::Result<Sum> {
    let mut sum = Sum::new();
    let mut buf = vec![0; PIECE];
    for (at, len) in pieces(block) {
        if !block.is_zero(at, len as u64) {
            let piece = &mut buf[..len];
            block.read(at, piece).map_err(io::Error::other)?;
            sum.piece(at, piece);
        }
    }
    Ok(sum)
}

fn save_ram(path: &Path, block: &RamBlock) -> io::Result<Sum> {
    let mut file = File::create(path)?;
    file.set_len(block.len())?;
    let mut sum = Sum::new();
    let mut buf = vec![0; PIECE];
    for (at, len) in pieces(block) {
        if block.is_zero(at, len as u64) {
            continue;
        }
        let piece = &mut buf[..len];
        block.read(at, piece).map_err(io::Error::other)?;
        sum.piece(at, piece);
        for (n, page) in piece.chunks(PAGE).enumerate().filter(|(_, p)| !is_zero(p)) {
            file.seek(SeekFrom::Start(at + (n * PAGE) as u64))?;
            file.write_all(page)?;
        }
    }
    file.sync_all()?;
    Ok(sum)
}

fn restore_ram(path: &Path, block: &RamBlock) -> io::Result<Sum> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() != block.len() {
        return Err(io::Error::other("its length is not that of the RAM block"));
    }
    let mut sum = Sum::new();
    let mut buf = vec![0; PIECE];
    for (at, len) in pieces(block) {
        let piece = &mut buf[..len];
        file.read_exact(piece)?;
        sum.piece(at, piece);
        if !is_zero(piece) {
            block.write(at, piece).map_err(io::Error::other)?;
        } else if !block.is_zero(at, len as u64) {
            block.discard(at, len as u64).map_err(io::Error::other)?;
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests;
