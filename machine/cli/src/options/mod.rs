//! The command line: what can be said on it, and what was said.
//!
//! Spelling follows QEMU where QEMU has the option. [`table::SPECS`] lists the options; parsing, suggestions and help follow from it.

pub mod help;
pub mod list;
pub mod parse;
pub mod suggest;
pub mod table;
pub mod values;

use ambidex_cpu::Arch;
use std::path::PathBuf;

pub use parse::command;

/// Why a command line leads to no machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It is wrong; a sentence that says how.
    Error(String),
    /// It asks for this text.
    Help(String),
}

/// A refusal.
pub(crate) fn stop<T>(sentence: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Error(sentence.into()))
}

/// What the program is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Run a machine.
    Run(Box<Options>),
    /// Run the built-in guest, then say how it went.
    Demo(Box<Options>),
    /// Say what this host can run.
    Accel,
    /// Print this.
    Print(String),
}

/// A machine, as described on the command line.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    pub arch: Arch,
    pub board: Board,
    /// Write the device tree here and do not run.
    pub dump_dtb: Option<PathBuf>,
    /// The model, checked, as it was written.
    pub cpu: Option<String>,
    pub accel: Accel,
    /// Bytes of RAM; `None` leaves it to the board.
    pub memory: Option<u64>,
    pub cpus: u32,
    pub firmware: Firmware,
    pub kernel: Option<PathBuf>,
    pub initrd: Option<PathBuf>,
    pub append: Option<String>,
    pub dtb: Option<PathBuf>,
    pub drives: Vec<Drive>,
    pub devices: Vec<DeviceOption>,
    pub loaders: Vec<Loader>,
    pub chardevs: Vec<(String, CharSpec)>,
    /// Serial lines in order; empty: the first on standard input and output.
    pub serials: Vec<SerialSpec>,
    pub logs: Vec<&'static str>,
    pub log_file: Option<PathBuf>,
    /// An instruction takes `1 << shift` nanoseconds of guest time.
    pub icount: Option<u8>,
    pub semihosting: bool,
    pub semihosting_args: Vec<String>,
    /// Where the spike board writes the signature.
    pub signature: Option<PathBuf>,
    /// Where the machine's state is written at the end.
    pub dump_state: Option<PathBuf>,
    /// Bytes in a line of the signature.
    pub signature_granularity: u32,
    /// End where the guest resets.
    pub no_reboot: bool,
    /// Stay, stopped, where the guest powers off.
    pub no_shutdown: bool,
}

impl Options {
    /// A machine about which nothing was said.
    pub fn new(arch: Arch) -> Options {
        Options {
            arch,
            board: Board::Virt,
            dump_dtb: None,
            cpu: None,
            accel: Accel::default(),
            memory: None,
            cpus: 1,
            firmware: Firmware::Default,
            kernel: None,
            initrd: None,
            append: None,
            dtb: None,
            drives: Vec::new(),
            devices: Vec::new(),
            loaders: Vec::new(),
            chardevs: Vec::new(),
            serials: Vec::new(),
            logs: Vec::new(),
            log_file: None,
            icount: None,
            semihosting: false,
            semihosting_args: Vec::new(),
            signature: None,
            dump_state: None,
            signature_granularity: 16,
            no_reboot: false,
            no_shutdown: false,
        }
    }
}

/// Which board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Board {
    /// QEMU's `virt`.
    Virt,
    /// The board of the RISC-V simulator spike: RAM and HTIF.
    Spike,
}

/// Which firmware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// `-bios` was not given, or `-bios default`: the built-in SBI under a kernel.
    Default,
    /// `-bios none`: the kernel starts in M-mode.
    None,
    /// This file, in M-mode.
    File(PathBuf),
}

/// Settings of the accelerator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accel {
    /// 0: interpret only.
    pub tier: Option<u8>,
    pub count: bool,
    /// Bytes of each vCPU's code buffer.
    pub code_size: Option<u64>,
    pub compile_after: Option<u32>,
}

/// How a drive is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriveUse {
    /// A virtio-blk device of its own.
    Virtio,
    /// By a `-device` that names it.
    None,
    /// Flash memory of the board.
    Pflash,
}

/// A disk image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drive {
    pub id: String,
    pub file: PathBuf,
    pub attach: DriveUse,
    pub read_only: bool,
    pub serial: Option<String>,
    /// Which flash.
    pub unit: Option<u32>,
}

/// A device that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceOption {
    Blk {
        drive: String,
        serial: Option<String>,
        queues: Option<u16>,
        read_only: Option<bool>,
    },
    Rng,
    Console {
        ports: Vec<Port>,
    },
}

/// A port of a virtio console device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    pub chardev: String,
    pub name: Option<String>,
    /// A console rather than a plain channel.
    pub console: bool,
}

/// Bytes put into memory before the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loader {
    /// A file: an ELF image at its own addresses, or anything at `addr`; `cpu` starts at its entry or at `addr`.
    File {
        file: PathBuf,
        addr: Option<u64>,
        cpu: Option<u32>,
        raw: bool,
    },
    /// `len` bytes of `data`, little endian.
    Data { addr: u64, data: u64, len: u8 },
    /// `cpu` starts at `addr`.
    Start { addr: u64, cpu: u32 },
}

/// The host's end of a serial line or console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CharSpec {
    Stdio,
    Null,
    /// Output to `output`, input from `input`.
    File {
        output: PathBuf,
        input: Option<PathBuf>,
    },
    Pty,
    Unix {
        path: PathBuf,
        server: bool,
    },
    Tcp {
        host: String,
        port: u16,
        server: bool,
    },
}

/// A serial line's host end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SerialSpec {
    Own(CharSpec),
    /// One declared by `-chardev`.
    Chardev(String),
}
