//! Semihosting: a program without an operating system uses the host's console, clock and, if allowed, files.
//!
//! Written from the "RISC-V Semihosting" specification 0.4 and the operation numbers and parameter blocks of Arm's "Semihosting for AArch32
//! and AArch64" 2.0, which it refers to, for 64-bit words.
//!
//! Not implemented: SYS_SYSTEM, SYS_RENAME (both fail), SYS_TMPNAM (fails).

use crate::console::Console;
use crate::hub::{ExitReason, Hub, Request};
use crate::wake::lock;
use ambidex_cpu::GuestMem;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};

/// What semihosting calls may do.
#[derive(Clone, Debug, Default)]
pub struct SemihostingConfig {
    /// Folder whose files, and no others, can be opened. None: no files at all.
    pub files: Option<PathBuf>,
    /// Whether files in it may be written and made.
    pub writable: bool,
    /// The command line the program gets.
    pub cmdline: String,
}

const FAILED: u64 = u64::MAX;
/// Longest transfer of one call, in bytes; the result tells the program what is left.
const MAX_TRANSFER: u64 = 1 << 20;
const MAX_STRING: usize = 64 << 10;
const MAX_FILES: usize = 64;
const ENOENT: u64 = 2;
const EBADF: u64 = 9;
const EFAULT: u64 = 14;
const EACCES: u64 = 13;
const ENOSYS: u64 = 38;
const EIO: u64 = 5;
/// SYS_EXIT's reason of a normal end, ADP_Stopped_ApplicationExit.
const APPLICATION_EXIT: u64 = 0x20026;

enum Handle {
    ConsoleIn,
    ConsoleOut,
    File(File),
    /// `:semihosting-features` with the read position.
    Features(u64),
}

/// Magic, and: SYS_EXIT_EXTENDED and console output separate from errors (specification chapter on `:semihosting-features`).
const FEATURES: [u8; 5] = [b'S', b'H', b'F', b'B', 0b11];

#[derive(Default)]
struct State {
    handles: BTreeMap<u64, Handle>,
    errno: u64,
}

/// Answers semihosting calls.
pub(crate) struct Semihosting {
    config: SemihostingConfig,
    hub: Arc<Hub>,
    console: Console,
    state: Mutex<State>,
}

fn word(mem: &mut dyn GuestMem, at: u64, n: u64) -> Result<u64, u64> {
    let mut b = [0; 8];
    mem.read(at.wrapping_add(8 * n), &mut b)
        .map_err(|_| EFAULT)?;
    Ok(u64::from_le_bytes(b))
}

impl Semihosting {
    pub(crate) fn new(
        config: SemihostingConfig,
        hub: Arc<Hub>,
        console: Console,
    ) -> Arc<Semihosting> {
        Arc::new(Semihosting {
            config,
            hub,
            console,
            state: Mutex::default(),
        })
    }

    /// One call: operation, parameter (a value or the address of a block of words), and the caller's memory.
    pub(crate) fn call(&self, op: u64, arg: u64, mem: &mut dyn GuestMem) -> u64 {
        let mut state = lock(&self.state);
        match self.dispatch(&mut state, op, arg, mem) {
            Ok(value) => value,
            Err(errno) => {
                state.errno = errno;
                FAILED
            }
        }
    }

    fn dispatch(
        &self,
        s: &mut State,
        op: u64,
        arg: u64,
        mem: &mut dyn GuestMem,
    ) -> Result<u64, u64> {
        match op & 0xffff_ffff {
            0x01 => self.open(s, arg, mem),
            0x02 => s
                .handles
                .remove(&word(mem, arg, 0)?)
                .map(|_| 0)
                .ok_or(EBADF),
            0x03 => {
                let mut b = [0];
                mem.read(arg, &mut b).map_err(|_| EFAULT)?;
                self.console.print(&b);
                Ok(0)
            }
            0x04 => self.write0(arg, mem),
            0x05 => self.write(s, arg, mem),
            0x06 => self.read(s, arg, mem),
            // SYS_READC does not wait: there is nobody to wake a host thread that holds a CPU. 0 bytes typed reads as end of file.
            0x07 => Ok(self.console.take_typed().map_or(FAILED, u64::from)),
            // SYS_ISERROR: 0 for success values.
            0x08 => Ok((word(mem, arg, 0)? as i64).is_negative().into()),
            0x09 => match s.handles.get(&word(mem, arg, 0)?).ok_or(EBADF)? {
                Handle::ConsoleIn | Handle::ConsoleOut => Ok(1),
                _ => Ok(0),
            },
            0x0a => self.seek(s, word(mem, arg, 0)?, word(mem, arg, 1)?),
            0x0c => match s.handles.get(&word(mem, arg, 0)?).ok_or(EBADF)? {
                Handle::File(f) => f.metadata().map(|m| m.len()).map_err(|_| EIO),
                Handle::Features(_) => Ok(FEATURES.len() as u64),
                _ => Ok(0),
            },
            0x0e => self.remove(arg, mem),
            // SYS_CLOCK: hundredths of a second since the start. SYS_TIME: seconds since 1970.
            0x10 => Ok(self.hub.clock.now() / 10_000_000),
            0x11 => Ok(match self.hub.clock.shift() {
                Some(_) => self.hub.clock.now() / 1_000_000_000,
                None => std::time::UNIX_EPOCH.elapsed().map_or(0, |d| d.as_secs()),
            }),
            0x13 => Ok(s.errno),
            0x15 => self.command_line(arg, mem),
            // SYS_HEAPINFO: nothing is known; programs then use what they were linked for.
            0x16 => {
                let block = word(mem, arg, 0)?;
                mem.write(block, &[0; 32]).map(|()| 0).map_err(|_| EFAULT)
            }
            0x18 | 0x20 => {
                let (reason, code) = (word(mem, arg, 0)?, word(mem, arg, 1)?);
                let code = if reason == APPLICATION_EXIT {
                    code as u32
                } else {
                    1
                };
                self.hub
                    .request(Request::Exit(ExitReason::PowerOff { code }));
                Ok(0)
            }
            0x30 => mem
                .write(arg, &self.hub.clock.now().to_le_bytes())
                .map(|()| 0)
                .map_err(|_| EFAULT),
            0x31 => Ok(1_000_000_000),
            _ => Err(ENOSYS),
        }
    }

    fn text(&self, at: u64, len: u64, mem: &mut dyn GuestMem) -> Result<String, u64> {
        let mut bytes = vec![
            0;
            usize::try_from(len)
                .ok()
                .filter(|l| *l <= MAX_STRING)
                .ok_or(EFAULT)?
        ];
        mem.read(at, &mut bytes).map_err(|_| EFAULT)?;
        String::from_utf8(bytes).map_err(|_| ENOENT)
    }

    /// The host's path for a guest's: below the allowed folder, without `..` and without symbolic links that lead out of it.
    fn host_path(&self, name: &str) -> Result<PathBuf, u64> {
        let folder = self
            .config
            .files
            .as_ref()
            .ok_or(EACCES)?
            .canonicalize()
            .map_err(|_| ENOENT)?;
        let mut path = folder.clone();
        for part in Path::new(name).components() {
            match part {
                Component::Normal(p) => path.push(p),
                Component::CurDir => {}
                _ => return Err(EACCES),
            }
        }
        let parent = path
            .parent()
            .ok_or(EACCES)?
            .canonicalize()
            .map_err(|_| ENOENT)?;
        let link = path
            .symlink_metadata()
            .is_ok_and(|m| m.file_type().is_symlink());
        if !parent.starts_with(&folder) || link {
            Err(EACCES)
        } else {
            Ok(path)
        }
    }

    fn open(&self, s: &mut State, arg: u64, mem: &mut dyn GuestMem) -> Result<u64, u64> {
        let (at, mode, len) = (word(mem, arg, 0)?, word(mem, arg, 1)?, word(mem, arg, 2)?);
        let name = self.text(at, len, mem)?;
        if s.handles.len() >= MAX_FILES || mode > 11 {
            return Err(EACCES);
        }
        // Modes are fopen's, in threes: r, r+, w, w+, a, a+, each with b.
        let (kind, plus) = (mode / 4, mode / 2 % 2 == 1);
        let handle = match (&*name, kind) {
            (":tt", 0) => Handle::ConsoleIn,
            (":tt", _) => Handle::ConsoleOut,
            (":semihosting-features", 0) => Handle::Features(0),
            _ => {
                let writes = kind != 0 || plus;
                if writes && !self.config.writable {
                    return Err(EACCES);
                }
                let mut options = OpenOptions::new();
                options.read(kind == 0 || plus).create(kind != 0);
                match kind {
                    0 => options.write(plus),
                    1 => options.write(true).truncate(true),
                    _ => options.append(true),
                };
                Handle::File(options.open(self.host_path(&name)?).map_err(|_| ENOENT)?)
            }
        };
        let free = (1..).find(|n| !s.handles.contains_key(n)).unwrap_or(1);
        s.handles.insert(free, handle);
        Ok(free)
    }

    fn write0(&self, mut at: u64, mem: &mut dyn GuestMem) -> Result<u64, u64> {
        let mut text = Vec::new();
        while text.len() < MAX_STRING {
            let mut b = [0];
            mem.read(at, &mut b).map_err(|_| EFAULT)?;
            if b[0] == 0 {
                break;
            }
            text.push(b[0]);
            at = at.wrapping_add(1);
        }
        self.console.print(&text);
        Ok(0)
    }

    /// Result: bytes not written.
    fn write(&self, s: &mut State, arg: u64, mem: &mut dyn GuestMem) -> Result<u64, u64> {
        let (handle, at, len) = (word(mem, arg, 0)?, word(mem, arg, 1)?, word(mem, arg, 2)?);
        let mut data = vec![0; len.min(MAX_TRANSFER) as usize];
        mem.read(at, &mut data).map_err(|_| EFAULT)?;
        match s.handles.get_mut(&handle).ok_or(EBADF)? {
            Handle::ConsoleOut => self.console.print(&data),
            Handle::File(f) => f.write_all(&data).map_err(|_| EIO)?,
            _ => return Err(EBADF),
        }
        Ok(len - data.len() as u64)
    }

    /// Result: bytes not read.
    fn read(&self, s: &mut State, arg: u64, mem: &mut dyn GuestMem) -> Result<u64, u64> {
        let (handle, at, len) = (word(mem, arg, 0)?, word(mem, arg, 1)?, word(mem, arg, 2)?);
        let mut data = vec![0; len.min(MAX_TRANSFER) as usize];
        let n = match s.handles.get_mut(&handle).ok_or(EBADF)? {
            Handle::ConsoleIn => {
                let mut n = 0;
                while n < data.len()
                    && let Some(b) = self.console.take_typed()
                {
                    data[n] = b;
                    n += 1;
                }
                n
            }
            Handle::File(f) => f.read(&mut data).map_err(|_| EIO)?,
            Handle::Features(position) => {
                let rest = &FEATURES[(*position).min(FEATURES.len() as u64) as usize..];
                let n = rest.len().min(data.len());
                data[..n].copy_from_slice(&rest[..n]);
                *position += n as u64;
                n
            }
            Handle::ConsoleOut => return Err(EBADF),
        };
        mem.write(at, &data[..n]).map_err(|_| EFAULT)?;
        Ok(len - n as u64)
    }

    fn seek(&self, s: &mut State, handle: u64, to: u64) -> Result<u64, u64> {
        match s.handles.get_mut(&handle).ok_or(EBADF)? {
            Handle::File(f) => f.seek(SeekFrom::Start(to)).map(|_| 0).map_err(|_| EIO),
            Handle::Features(position) => {
                *position = to;
                Ok(0)
            }
            _ => Err(EBADF),
        }
    }

    fn remove(&self, arg: u64, mem: &mut dyn GuestMem) -> Result<u64, u64> {
        let (at, len) = (word(mem, arg, 0)?, word(mem, arg, 1)?);
        let name = self.text(at, len, mem)?;
        if !self.config.writable {
            return Err(EACCES);
        }
        std::fs::remove_file(self.host_path(&name)?)
            .map(|()| 0)
            .map_err(|_| ENOENT)
    }

    fn command_line(&self, arg: u64, mem: &mut dyn GuestMem) -> Result<u64, u64> {
        let (at, room) = (word(mem, arg, 0)?, word(mem, arg, 1)?);
        let mut text = self.config.cmdline.clone().into_bytes();
        text.push(0);
        if text.len() as u64 > room {
            return Err(EFAULT);
        }
        mem.write(at, &text).map_err(|_| EFAULT)?;
        mem.write(arg.wrapping_add(8), &(text.len() as u64 - 1).to_le_bytes())
            .map(|()| 0)
            .map_err(|_| EFAULT)
    }
}

#[cfg(test)]
mod tests;
