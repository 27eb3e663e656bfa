//! What each option does with its argument.

use super::list::{Kind, List, Values, key, number, size, split};
use super::suggest::nearest;
use super::{
    Board, CharSpec, DeviceOption, Drive, DriveUse, Firmware, Loader, Options, Port, SerialSpec,
    Stop, help, stop,
};
use ambidex_cpu::CpuModel;
use std::path::PathBuf;

type Done = Result<(), Stop>;

/// A sentence that names those there are, and the one that was probably meant.
fn unknown<T>(option: &str, what: &str, word: &str, known: &[&str]) -> Result<T, Stop> {
    match nearest(word, known.iter().copied()) {
        Some(k) => stop(format!(
            "{option}: unknown {what} '{word}': did you mean '{k}'?"
        )),
        None => stop(format!(
            "{option}: unknown {what} '{word}': it can be {}",
            known.join(", ")
        )),
    }
}

fn file(option: &str, text: &str) -> Result<PathBuf, Stop> {
    if text.is_empty() {
        stop(format!("{option} needs the name of a file."))
    } else {
        Ok(PathBuf::from(text))
    }
}

pub fn kernel(o: &mut Options, text: &str) -> Done {
    o.kernel = Some(file("-kernel", text)?);
    Ok(())
}

pub fn initrd(o: &mut Options, text: &str) -> Done {
    o.initrd = Some(file("-initrd", text)?);
    Ok(())
}

pub fn append(o: &mut Options, text: &str) -> Done {
    o.append = Some(text.to_owned());
    Ok(())
}

pub fn dtb(o: &mut Options, text: &str) -> Done {
    o.dtb = Some(file("-dtb", text)?);
    Ok(())
}

pub fn bios(o: &mut Options, text: &str) -> Done {
    o.firmware = match text {
        "none" => Firmware::None,
        "default" => Firmware::Default,
        _ => Firmware::File(file("-bios", text)?),
    };
    Ok(())
}

static MACHINE: List = List {
    option: "-machine",
    first: Some("type"),
    keys: &[
        key(
            "type",
            Kind::Choice(&["virt", "spike"]),
            "virt: QEMU's virt board; spike: RAM and HTIF, for test programs",
        ),
        key(
            "dumpdtb",
            Kind::File,
            "write the device tree here and do not run",
        ),
        key("accel", Kind::Choice(&["tcg", "kvm"]), "the same as -accel"),
        key(
            "aclint",
            Kind::Switch,
            "only 'off': the interruptor is a CLINT",
        ),
        key(
            "aia",
            Kind::Choice(&["none"]),
            "only 'none': the interrupt controller is a PLIC",
        ),
        key(
            "acpi",
            Kind::Switch,
            "only 'off': the guest gets a device tree",
        ),
        key("signature", Kind::File, "spike: the same as -signature"),
        key(
            "signature-granularity",
            Kind::Choice(&["1", "2", "4", "8", "16"]),
            "spike: the same as -signature-granularity",
        ),
    ],
};

pub fn machine(o: &mut Options, text: &str) -> Done {
    let v = MACHINE.parse(text)?;
    match v.text("type") {
        Some("spike") => o.board = Board::Spike,
        Some(_) => o.board = Board::Virt,
        None => {}
    }
    if let Some(n) = v.text("signature-granularity") {
        signature_granularity(o, n)?;
    }
    o.signature = v.file("signature").or(o.signature.take());
    o.dump_dtb = v.file("dumpdtb").or(o.dump_dtb.take());
    for absent in ["aclint", "acpi"] {
        if v.switch(absent) == Some(true) {
            return stop(format!(
                "-machine: this board has no {absent}; leave '{absent}' off."
            ));
        }
    }
    if v.text("accel") == Some("kvm") {
        return no_kvm(o);
    }
    Ok(())
}

fn no_kvm(o: &Options) -> Done {
    stop(format!(
        "-accel kvm: KVM cannot run {} guests on this host; leave -accel out, or use -accel tcg.",
        o.arch
    ))
}

static ACCEL: List = List {
    option: "-accel",
    first: Some("name"),
    keys: &[
        key("name", Kind::Choice(&["tcg", "kvm"]), "tcg: the translator"),
        key(
            "tier",
            Kind::Number(0, 1),
            "0: interpret everything; 1: compile what runs more than once (the default)",
        ),
        key(
            "count",
            Kind::Switch,
            "count instructions exactly, which costs a little",
        ),
        key(
            "code-size",
            Kind::Size(1 << 20),
            "room for each hart's compiled code, in MiB unless there is a suffix",
        ),
        key("tb-size", Kind::Size(1 << 20), "the same, as QEMU calls it"),
        key(
            "compile-after",
            Kind::Number(1, u32::MAX as u64),
            "interpret a block this many times before it is compiled",
        ),
        key(
            "thread",
            Kind::Choice(&["multi"]),
            "only 'multi': each hart has a thread",
        ),
    ],
};

/// Smallest and largest code buffer.
const CODE_SIZE: std::ops::RangeInclusive<u64> = 1 << 20..=1 << 30;

pub fn accel(o: &mut Options, text: &str) -> Done {
    let v = ACCEL.parse(text)?;
    if v.text("name") == Some("kvm") {
        return no_kvm(o);
    }
    o.accel.tier = v.number("tier").map(|n| n as u8).or(o.accel.tier);
    o.accel.count = v.switch("count").unwrap_or(o.accel.count);
    o.accel.compile_after = v
        .number("compile-after")
        .map(|n| n as u32)
        .or(o.accel.compile_after);
    if let Some(bytes) = v.number("code-size").or(v.number("tb-size")) {
        if !CODE_SIZE.contains(&bytes) {
            return stop("-accel: the room for compiled code has to be between 1M and 1G.");
        }
        o.accel.code_size = Some(bytes);
    }
    Ok(())
}

pub fn cpu(o: &mut Options, text: &str) -> Done {
    if text.split(',').any(|w| w == "help" || w == "?") {
        return Err(Stop::Help(help::cpus(o.arch)));
    }
    match CpuModel::parse(o.arch, text) {
        Ok(_) => o.cpu = Some(text.to_owned()),
        Err(e) => return stop(format!("-cpu: {e}. '-cpu help' lists what there is.")),
    }
    Ok(())
}

static SMP: List = List {
    option: "-smp",
    first: Some("cpus"),
    keys: &[
        key("cpus", Kind::Number(1, 512), "number of harts"),
        key(
            "maxcpus",
            Kind::Number(1, 512),
            "the same number: harts cannot be added later",
        ),
        key(
            "sockets",
            Kind::Number(1, 512),
            "sockets × cores × threads has to be the number of harts",
        ),
        key("cores", Kind::Number(1, 512), "likewise"),
        key("threads", Kind::Number(1, 512), "likewise"),
    ],
};

pub fn smp(o: &mut Options, text: &str) -> Done {
    let v = SMP.parse(text)?;
    let shape = ["sockets", "cores", "threads"].map(|k| v.number(k));
    let product: u64 = shape.iter().map(|n| n.unwrap_or(1)).product();
    let cpus = v.number("cpus").unwrap_or(product);
    if shape.iter().any(Option::is_some) && product != cpus {
        return stop(format!(
            "-smp: sockets × cores × threads is {product}, but there are {cpus} harts."
        ));
    }
    if v.number("maxcpus").is_some_and(|max| max != cpus) {
        return stop(format!(
            "-smp: harts cannot be added later; leave 'maxcpus' out, or make it {cpus}."
        ));
    }
    match u32::try_from(cpus) {
        Ok(n) if n <= 512 => o.cpus = n,
        _ => return stop(format!("-smp: {cpus} harts are too many.")),
    }
    Ok(())
}

static MEMORY: List = List {
    option: "-m",
    first: Some("size"),
    keys: &[key(
        "size",
        Kind::Size(1 << 20),
        "RAM, in MiB unless there is a suffix",
    )],
};

pub fn memory(o: &mut Options, text: &str) -> Done {
    match MEMORY.parse(text)?.number("size") {
        Some(0) | None => stop("-m: a machine needs some memory."),
        Some(n) if n % 4096 != 0 => stop(format!(
            "-m: {n} bytes are no whole number of pages of 4 KiB."
        )),
        Some(n) => {
            o.memory = Some(n);
            Ok(())
        }
    }
}

static DRIVE: List = List {
    option: "-drive",
    first: None,
    keys: &[
        key("file", Kind::File, "the image"),
        key("format", Kind::Choice(&["raw"]), "the image's format"),
        key(
            "if",
            Kind::Choice(&["virtio", "none", "pflash"]),
            "how it is attached; none: by a -device that names it",
        ),
        key("id", Kind::Text, "its name"),
        key("readonly", Kind::Switch, "refuse writes"),
        key("serial", Kind::Text, "the serial number the guest sees"),
        key("unit", Kind::Number(0, 1), "which flash"),
        key("index", Kind::Number(0, 1), "the same"),
        key(
            "cache",
            Kind::Text,
            "accepted for QEMU's sake; a flush always reaches the host's disk",
        ),
        key("aio", Kind::Text, "accepted for QEMU's sake"),
        key("discard", Kind::Text, "accepted for QEMU's sake"),
        key("media", Kind::Choice(&["disk"]), "only 'disk'"),
    ],
};

pub fn drive(o: &mut Options, text: &str) -> Done {
    let v = DRIVE.parse(text)?;
    let Some(file) = v.file("file") else {
        return stop("-drive: it needs file=FILE.");
    };
    let attach = match v.text("if") {
        Some("none") => DriveUse::None,
        Some("pflash") => DriveUse::Pflash,
        _ => DriveUse::Virtio,
    };
    let id = match v.text("id") {
        Some(id) => id.to_owned(),
        None => format!("drive{}", o.drives.len()),
    };
    if o.drives.iter().any(|d| d.id == id) {
        return stop(format!("-drive: there are two drives called '{id}'."));
    }
    let unit = v
        .number("unit")
        .or(v.number("index"))
        .filter(|_| attach == DriveUse::Pflash)
        .map(|n| n as u32);
    o.drives.push(Drive {
        id,
        file,
        attach,
        read_only: v.switch("readonly").unwrap_or(false),
        serial: v.text("serial").map(str::to_owned),
        unit,
    });
    Ok(())
}

pub fn pflash(o: &mut Options, text: &str) -> Done {
    drive(
        o,
        &format!("if=pflash,format=raw,file={}", text.replace(',', ",,")),
    )
}

const PORT_KEYS: &[super::list::Key] = &[
    key("chardev", Kind::Text, "the -chardev it is connected to"),
    key("name", Kind::Text, "the name the guest sees"),
    key("id", Kind::Text, "accepted"),
    key(
        "bus",
        Kind::Text,
        "accepted: ports belong to the last virtio-serial-device",
    ),
    key(
        "nr",
        Kind::Number(0, 30),
        "accepted: ports are numbered in order",
    ),
];

/// The devices of `-device`.
pub static DEVICES: &[(&str, &str, List)] = &[
    (
        "virtio-blk-device",
        "a disk",
        List {
            option: "-device virtio-blk-device",
            first: None,
            keys: &[
                key("drive", Kind::Text, "the id of a -drive with if=none"),
                key("serial", Kind::Text, "the serial number the guest sees"),
                key(
                    "num-queues",
                    Kind::Number(1, 16),
                    "number of request queues",
                ),
                key("read-only", Kind::Switch, "refuse writes"),
                key("id", Kind::Text, "accepted"),
                key(
                    "bus",
                    Kind::Text,
                    "accepted: devices take the next free slot",
                ),
            ],
        },
    ),
    (
        "virtio-rng-device",
        "random numbers from the host",
        List {
            option: "-device virtio-rng-device",
            first: None,
            keys: &[
                key("id", Kind::Text, "accepted"),
                key(
                    "bus",
                    Kind::Text,
                    "accepted: devices take the next free slot",
                ),
            ],
        },
    ),
    (
        "virtio-serial-device",
        "a console device that ports are added to",
        List {
            option: "-device virtio-serial-device",
            first: None,
            keys: &[
                key("id", Kind::Text, "accepted"),
                key(
                    "max_ports",
                    Kind::Number(1, 31),
                    "accepted: there are as many ports as are added",
                ),
                key(
                    "bus",
                    Kind::Text,
                    "accepted: devices take the next free slot",
                ),
            ],
        },
    ),
    (
        "virtconsole",
        "a console (/dev/hvc0) on the last virtio-serial-device",
        List {
            option: "-device virtconsole",
            first: None,
            keys: PORT_KEYS,
        },
    ),
    (
        "virtserialport",
        "a plain channel on the last virtio-serial-device",
        List {
            option: "-device virtserialport",
            first: None,
            keys: PORT_KEYS,
        },
    ),
    (
        "loader",
        "puts a file or a value into memory, or starts a hart somewhere",
        List {
            option: "-device loader",
            first: None,
            keys: &[
                key("file", Kind::File, "an ELF image, or anything with addr="),
                key(
                    "addr",
                    Kind::Number(0, u64::MAX),
                    "where to put it, or where to start",
                ),
                key(
                    "cpu-num",
                    Kind::Number(0, 511),
                    "the hart that starts there",
                ),
                key("data", Kind::Number(0, u64::MAX), "a value"),
                key("data-len", Kind::Number(1, 8), "its bytes"),
                key(
                    "force-raw",
                    Kind::Switch,
                    "the file's bytes as they are, also those of an ELF image",
                ),
            ],
        },
    ),
];

pub fn device(o: &mut Options, text: &str) -> Done {
    let name = split(text).swap_remove(0);
    if name == "help" || name == "?" {
        return Err(Stop::Help(help::devices()));
    }
    let Some((_, _, list)) = DEVICES.iter().find(|(n, ..)| *n == name) else {
        if let Some(mmio) = name.strip_suffix("-pci").map(|n| format!("{n}-device"))
            && DEVICES.iter().any(|(n, ..)| *n == mmio)
        {
            return stop(format!(
                "-device: the board has no PCI yet; use {mmio} instead of {name}."
            ));
        }
        return unknown("-device", "device", &name, &DEVICES.map_names());
    };
    let v = match text.split_once(',') {
        Some((_, rest)) => list.parse(rest)?,
        None => Values::default(),
    };
    match name.as_str() {
        "virtio-blk-device" => {
            let Some(drive) = v.text("drive") else {
                return stop(
                    "-device virtio-blk-device needs drive=ID, the id of a -drive with if=none.",
                );
            };
            o.devices.push(DeviceOption::Blk {
                drive: drive.to_owned(),
                serial: v.text("serial").map(str::to_owned),
                queues: v.number("num-queues").map(|n| n as u16),
                read_only: v.switch("read-only"),
            });
        }
        "virtio-rng-device" => o.devices.push(DeviceOption::Rng),
        "virtio-serial-device" => o.devices.push(DeviceOption::Console { ports: Vec::new() }),
        "loader" => o.loaders.push(loader(&v)?),
        port => {
            let Some(chardev) = v.text("chardev") else {
                return stop(format!(
                    "-device {port} needs chardev=ID, the id of a -chardev."
                ));
            };
            let last = o.devices.iter_mut().rev().find_map(|d| match d {
                DeviceOption::Console { ports } => Some(ports),
                _ => None,
            });
            let Some(ports) = last else {
                return stop(format!(
                    "-device {port} needs a -device virtio-serial-device before it."
                ));
            };
            ports.push(Port {
                chardev: chardev.to_owned(),
                name: v.text("name").map(str::to_owned),
                console: port == "virtconsole",
            });
        }
    }
    Ok(())
}

trait Names {
    fn map_names(&self) -> Vec<&'static str>;
}

impl Names for [(&'static str, &'static str, List)] {
    fn map_names(&self) -> Vec<&'static str> {
        self.iter().map(|(n, ..)| *n).collect()
    }
}

fn loader(v: &Values) -> Result<Loader, Stop> {
    let (addr, cpu) = (v.number("addr"), v.number("cpu-num").map(|n| n as u32));
    if let Some(file) = v.file("file") {
        let raw = v.switch("force-raw").unwrap_or(false);
        if raw && addr.is_none() {
            return stop("-device loader: force-raw needs addr=, the address where the file goes.");
        }
        return Ok(Loader::File {
            file,
            addr,
            cpu,
            raw,
        });
    }
    let Some(addr) = addr else {
        return stop("-device loader needs file=, or addr= with data= or cpu-num=.");
    };
    match (v.number("data"), v.number("data-len"), cpu) {
        (Some(data), Some(len), _) => Ok(Loader::Data {
            addr,
            data,
            len: len as u8,
        }),
        (Some(_), None, _) => stop("-device loader: data= needs data-len=, its number of bytes."),
        (None, _, Some(cpu)) => Ok(Loader::Start { addr, cpu }),
        (None, _, None) => stop("-device loader: addr= needs file=, data= or cpu-num=."),
    }
}

/// Parses `PATH[,server=on][,wait=off]` and the like.
const SOCKET_KEYS: &[super::list::Key] = &[
    key("server", Kind::Switch, "listen, rather than connect"),
    key(
        "wait",
        Kind::Choice(&["off"]),
        "only 'off': the guest starts at once",
    ),
    key("nowait", Kind::Switch, "the same as wait=off"),
    key("nodelay", Kind::Switch, "accepted"),
];

/// Whether to listen.
fn socket_tail(option: &'static str, rest: Option<&str>) -> Result<bool, Stop> {
    let Some(rest) = rest else { return Ok(false) };
    let v = List {
        option,
        first: None,
        keys: SOCKET_KEYS,
    }
    .parse(rest)?;
    Ok(v.switch("server").unwrap_or(false))
}

fn port(option: &str, text: &str) -> Result<u16, Stop> {
    match number(text).and_then(|n| u16::try_from(n).ok()) {
        Some(n) => Ok(n),
        None => stop(format!("{option}: '{text}' is no port number.")),
    }
}

/// Where a serial line goes, as `-serial` says it.
fn host_end(option: &'static str, text: &str) -> Result<CharSpec, Stop> {
    const KNOWN: [&str; 8] = [
        "stdio",
        "mon:stdio",
        "null",
        "none",
        "pty",
        "file:",
        "unix:",
        "tcp:",
    ];
    let (kind, rest) = text
        .split_once(':')
        .map_or((text, None), |(k, r)| (k, Some(r)));
    match (kind, rest) {
        ("stdio", None) => Ok(CharSpec::Stdio),
        ("mon", Some(rest)) => host_end(option, rest),
        ("null" | "none", None) => Ok(CharSpec::Null),
        ("pty", None) => Ok(CharSpec::Pty),
        ("file", Some(path)) => Ok(CharSpec::File {
            output: file(option, path)?,
            input: None,
        }),
        ("unix", Some(rest)) => {
            let (path, tail) = rest
                .split_once(',')
                .map_or((rest, None), |(p, t)| (p, Some(t)));
            let server = socket_tail(option, tail)?;
            Ok(CharSpec::Unix {
                path: file(option, path)?,
                server,
            })
        }
        ("tcp", Some(rest)) => {
            let (at, tail) = rest
                .split_once(',')
                .map_or((rest, None), |(p, t)| (p, Some(t)));
            let server = socket_tail(option, tail)?;
            let Some((host, number)) = at.rsplit_once(':') else {
                return stop(format!("{option}: '{at}' is no HOST:PORT."));
            };
            Ok(CharSpec::Tcp {
                host: host.to_owned(),
                port: port(option, number)?,
                server,
            })
        }
        ("vc" | "telnet" | "udp" | "pipe" | "msmouse" | "braille", _) => stop(format!(
            "{option}: there is no '{kind}' yet; it can be {}",
            KNOWN.join(", ")
        )),
        _ => unknown(option, "host end", text, &KNOWN),
    }
}

pub fn serial(o: &mut Options, text: &str) -> Done {
    o.serials.push(match text.strip_prefix("chardev:") {
        Some(id) => SerialSpec::Chardev(id.to_owned()),
        None => SerialSpec::Own(host_end("-serial", text)?),
    });
    Ok(())
}

/// The kinds of `-chardev`.
pub static CHARDEVS: &[(&str, &str, List)] = &[
    (
        "stdio",
        "standard input and output",
        List {
            option: "-chardev stdio",
            first: None,
            keys: &[
                key("id", Kind::Text, "its name"),
                key("mux", Kind::Switch, "accepted"),
                key(
                    "signal",
                    Kind::Switch,
                    "accepted: Ctrl-C always goes to the guest, Ctrl-A x quits",
                ),
            ],
        },
    ),
    (
        "null",
        "nothing",
        List {
            option: "-chardev null",
            first: None,
            keys: &[key("id", Kind::Text, "its name")],
        },
    ),
    (
        "file",
        "a file",
        List {
            option: "-chardev file",
            first: None,
            keys: &[
                key("id", Kind::Text, "its name"),
                key("path", Kind::File, "where output goes"),
                key("input-path", Kind::File, "where input comes from"),
            ],
        },
    ),
    (
        "pty",
        "a pseudo-terminal, whose name is printed",
        List {
            option: "-chardev pty",
            first: None,
            keys: &[key("id", Kind::Text, "its name")],
        },
    ),
    (
        "socket",
        "a Unix or TCP socket",
        List {
            option: "-chardev socket",
            first: None,
            keys: &[
                key("id", Kind::Text, "its name"),
                key("path", Kind::File, "a Unix socket"),
                key("host", Kind::Text, "a TCP socket's host (localhost)"),
                key("port", Kind::Number(0, 65535), "a TCP socket's port"),
                key("server", Kind::Switch, "listen, rather than connect"),
                key(
                    "wait",
                    Kind::Choice(&["off"]),
                    "only 'off': the guest starts at once",
                ),
                key("nodelay", Kind::Switch, "accepted"),
            ],
        },
    ),
];

pub fn chardev(o: &mut Options, text: &str) -> Done {
    let kind = split(text).swap_remove(0);
    if kind == "help" || kind == "?" {
        return Err(Stop::Help(help::chardevs()));
    }
    let Some((_, _, list)) = CHARDEVS.iter().find(|(n, ..)| *n == kind) else {
        return unknown("-chardev", "kind", &kind, &CHARDEVS.map_names());
    };
    let v = match text.split_once(',') {
        Some((_, rest)) => list.parse(rest)?,
        None => Values::default(),
    };
    let Some(id) = v.text("id").filter(|i| !i.is_empty()) else {
        return stop(format!("-chardev {kind} needs id=NAME."));
    };
    if o.chardevs.iter().any(|(i, _)| i == id) {
        return stop(format!("-chardev: there are two called '{id}'."));
    }
    let server = v.switch("server").unwrap_or(false);
    let spec = match kind.as_str() {
        "stdio" => CharSpec::Stdio,
        "null" => CharSpec::Null,
        "pty" => CharSpec::Pty,
        "file" => match v.file("path") {
            Some(output) => CharSpec::File {
                output,
                input: v.file("input-path"),
            },
            None => return stop("-chardev file needs path=FILE."),
        },
        _ => match (v.file("path"), v.number("port")) {
            (Some(path), None) => CharSpec::Unix { path, server },
            (None, Some(port)) => CharSpec::Tcp {
                host: v.text("host").unwrap_or("localhost").to_owned(),
                port: port as u16,
                server,
            },
            _ => return stop("-chardev socket needs either path=FILE or port=N."),
        },
    };
    o.chardevs.push((id.to_owned(), spec));
    Ok(())
}

fn only_none(option: &str, what: &str, text: &str) -> Done {
    match text {
        "none" => Ok(()),
        _ => stop(format!(
            "{option}: there is no {what} yet; it can be 'none' only, which is what happens without {option}."
        )),
    }
}

pub fn no_network(_: &mut Options, text: &str) -> Done {
    only_none("-nic", "network", text)
}

pub fn monitor(_: &mut Options, text: &str) -> Done {
    match text {
        "null" => Ok(()),
        _ => only_none("-monitor", "monitor", text),
    }
}

pub fn display(_: &mut Options, text: &str) -> Done {
    only_none("-display", "screen", text)
}

static ICOUNT: List = List {
    option: "-icount",
    first: Some("shift"),
    keys: &[
        key(
            "shift",
            Kind::Text,
            "an instruction takes 2^N ns, N from 0 to 10; auto means 3",
        ),
        key("sleep", Kind::Switch, "accepted: idle time is skipped"),
        key("align", Kind::Switch, "only 'off'"),
    ],
};

pub fn icount(o: &mut Options, text: &str) -> Done {
    let v = ICOUNT.parse(text)?;
    if v.switch("align") == Some(true) {
        return stop("-icount: guest time is never aligned with the host's; leave 'align' off.");
    }
    o.icount = Some(match v.text("shift") {
        Some("auto") | None => 3,
        Some(n) => match number(n) {
            Some(n @ 0..=10) => n as u8,
            _ => {
                return stop(format!(
                    "-icount: '{n}' is no shift: it has to be a number from 0 to 10, or auto."
                ));
            }
        },
    });
    Ok(())
}

static SEMIHOSTING: List = List {
    option: "-semihosting-config",
    first: Some("enable"),
    keys: &[
        key("enable", Kind::Switch, "whether the guest may use it (on)"),
        key(
            "target",
            Kind::Choice(&["native", "auto"]),
            "whose files: the host's",
        ),
        key("userspace", Kind::Switch, "accepted"),
        key(
            "arg",
            Kind::Text,
            "an argument of the guest's command line; may be repeated",
        ),
    ],
};

pub fn semihosting(o: &mut Options, text: &str) -> Done {
    let v = SEMIHOSTING.parse(text)?;
    o.semihosting = v.switch("enable").unwrap_or(true);
    o.semihosting_args.extend(
        split(text)
            .iter()
            .filter_map(|p| p.strip_prefix("arg="))
            .map(str::to_owned),
    );
    Ok(())
}

pub fn signature(o: &mut Options, text: &str) -> Done {
    o.signature = Some(file("-signature", text)?);
    Ok(())
}

pub fn dump_state(o: &mut Options, text: &str) -> Done {
    o.dump_state = Some(file("-dump-state", text)?);
    Ok(())
}

pub fn signature_granularity(o: &mut Options, text: &str) -> Done {
    match size(text, 1) {
        Some(n @ (1 | 2 | 4 | 8 | 16)) => {
            o.signature_granularity = n as u32;
            Ok(())
        }
        _ => stop(format!(
            "-signature-granularity: '{text}' is not 1, 2, 4, 8 or 16."
        )),
    }
}

/// What `-d` can log.
pub static LOGS: &[(&str, &str)] = &[
    ("int", "every trap and interrupt that a hart takes"),
    ("in_asm", "guest code, as it is compiled"),
    (
        "guest_errors",
        "what the guest does wrong, such as accesses to registers that are not there",
    ),
    ("unimp", "what the guest asks for and Ambidex does not have"),
    ("trace", "everything Ambidex says about itself"),
];

pub fn log_items(o: &mut Options, text: &str) -> Done {
    for item in split(text) {
        if item == "help" || item == "?" {
            return Err(Stop::Help(help::logs()));
        }
        match LOGS.iter().find(|(n, _)| *n == item) {
            Some((name, _)) => o.logs.push(name),
            None => {
                return unknown(
                    "-d",
                    "item",
                    &item,
                    &LOGS.iter().map(|(n, _)| *n).collect::<Vec<_>>(),
                );
            }
        }
    }
    Ok(())
}

pub fn log_file(o: &mut Options, text: &str) -> Done {
    o.log_file = Some(file("-D", text)?);
    Ok(())
}
