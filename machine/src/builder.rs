//! Putting a machine together.

use crate::assembly::{Assembly, Start};
use crate::boards::Board;
use crate::bus::Bus;
use crate::clock::VmClock;
use crate::console::Console;
use crate::error::MachineError;
use crate::hub::{CpuCell, Hub};
use crate::loader::{Image, Layout};
use crate::machine::Machine;
use crate::semihosting::{Semihosting, SemihostingConfig};
use ambidex_cpu::{Accelerator, CpuModel, FirmwareCalls, Timing, Vcpu, Vm, VmConfig};
use ambidex_devices::block::{BlockBackend, Storage};
use ambidex_devices::char::CharBackend;
use ambidex_devices::virtio::VirtioDevice;
use ambidex_devices::{DynDevice, Wiring};
use ambidex_memory::AddressSpace;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the bytes of a kernel, firmware or other file come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file of the host, read when the machine is built.
    Path(PathBuf),
    /// Bytes at hand.
    Bytes(Vec<u8>),
}

impl Source {
    /// Its name in messages.
    #[must_use]
    pub fn name(&self, what: &str) -> String {
        match self {
            Source::Path(p) => format!("{what} {}", p.display()),
            Source::Bytes(_) => what.to_owned(),
        }
    }

    /// The bytes.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(self, what: &str) -> Result<Vec<u8>, MachineError> {
        match self {
            Source::Path(p) => std::fs::read(&p).map_err(|source| MachineError::Host {
                what: format!("cannot read the {what} {}", p.display()),
                source,
            }),
            Source::Bytes(b) => Ok(b),
        }
    }
}

impl From<&str> for Source {
    fn from(path: &str) -> Source {
        Source::Path(path.into())
    }
}
impl From<String> for Source {
    fn from(path: String) -> Source {
        Source::Path(path.into())
    }
}
impl From<&Path> for Source {
    fn from(path: &Path) -> Source {
        Source::Path(path.into())
    }
}
impl From<PathBuf> for Source {
    fn from(path: PathBuf) -> Source {
        Source::Path(path)
    }
}
impl From<Vec<u8>> for Source {
    fn from(bytes: Vec<u8>) -> Source {
        Source::Bytes(bytes)
    }
}

/// The firmware below the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Bios {
    /// The firmware built into this crate (SBI on RISC-V).
    #[default]
    Builtin,
    /// None: the kernel is entered as the processor comes out of reset.
    None,
    /// The guest's own, such as OpenSBI or U-Boot.
    File(Source),
}

/// What a flash bank begins with.
pub enum FlashImage {
    /// These bytes, which are not changed.
    Contents(Source),
    /// What is in here; changes are written back.
    Storage(Box<dyn Storage>),
}

/// Something put into memory beside firmware and kernel.
pub(crate) struct Load {
    pub(crate) source: Source,
    pub(crate) at: Option<u64>,
    pub(crate) raw: bool,
    pub(crate) cpu: Option<u32>,
}

impl Load {
    /// Puts it there.
    fn place(self, a: &mut Assembly) -> Result<(), MachineError> {
        let name = self.source.name("loader file");
        let data = self.source.read("loader file")?;
        let entry = match (self.raw, self.at) {
            (true, Some(at)) => {
                a.load_bytes(&name, at, data)?;
                at
            }
            (_, at) => {
                let image = Image::open(&name, data, a.config.ram)?;
                if at.is_none() && !matches!(image, Image::Elf(_)) {
                    return Err(MachineError::config(format!(
                        "{name} is no ELF image and so has no address of its own; give it one"
                    )));
                }
                a.load_image(&name, &image, at.unwrap_or(0))?.0
            }
        };
        self.cpu.map_or(Ok(()), |cpu| start_at(a, cpu, entry))
    }
}

/// Makes CPU `cpu` come out of reset at `pc`.
fn start_at(a: &mut Assembly, cpu: u32, pc: u64) -> Result<(), MachineError> {
    let cpus = a.cpus();
    let start = a.starts.get_mut(cpu as usize).ok_or_else(|| {
        MachineError::config(format!(
            "CPU {cpu} is to start at {pc:#x}, and the machine has {cpus}; CPUs are counted from 0"
        ))
    })?;
    *start = Start::Reset { pc };
    Ok(())
}

/// Makes a device from its wiring.
pub type MakeDevice = Box<dyn FnOnce(Wiring) -> Box<dyn DynDevice> + Send>;

/// A device placed by the user.
pub(crate) struct Extra {
    pub(crate) path: String,
    pub(crate) base: u64,
    pub(crate) irq: Option<u32>,
    pub(crate) make: MakeDevice,
}

/// What the user asked for; the board takes from it what it has a place for.
#[derive(Default)]
pub struct Config {
    /// Bytes of RAM.
    pub ram: u64,
    /// The kernel.
    pub kernel: Option<Source>,
    /// The initial RAM disk.
    pub initrd: Option<Source>,
    /// The kernel's command line.
    pub cmdline: String,
    /// The firmware; always there once the board sees it.
    pub bios: Option<Bios>,
    /// A device tree instead of the generated one.
    pub dtb: Option<Source>,
    /// Back ends of serial ports.
    pub serials: Vec<Option<Box<dyn CharBackend>>>,
    /// Disks, in the order of their names in the guest.
    pub drives: Vec<Box<dyn BlockBackend>>,
    /// Further virtio devices; the board has the transport.
    pub virtio: Vec<Box<dyn VirtioDevice>>,
    /// Contents of flash banks, those without being empty.
    pub flash: Vec<Option<FlashImage>>,
    /// The first flash bank has contents, and so is what runs if there is no kernel; set by the board.
    pub flash_boots: bool,
    /// Seed for the guest's random numbers; the host's randomness if there is none and the machine is not deterministic.
    pub seed: Option<u64>,
}

/// Builds a [`Machine`]. Options not given have the board's defaults.
pub struct Builder {
    board: Box<dyn Board>,
    config: Config,
    cpus: u32,
    model: Option<CpuModel>,
    timing: Timing,
    semihosting: Option<SemihostingConfig>,
    no_reboot: bool,
    extras: Vec<Extra>,
    loads: Vec<Load>,
    start_pcs: Vec<(u32, u64)>,
}

impl Builder {
    /// A machine on `board` with one CPU and 128 MiB of RAM.
    #[must_use]
    pub fn new(board: impl Board + 'static) -> Builder {
        Builder::with_board(Box::new(board))
    }

    /// As [`new`](Self::new), for a board chosen at run time.
    #[must_use]
    pub fn with_board(board: Box<dyn Board>) -> Builder {
        Builder {
            board,
            config: Config {
                ram: 128 << 20,
                ..Config::default()
            },
            cpus: 1,
            model: None,
            timing: Timing::Real,
            semihosting: None,
            no_reboot: false,
            extras: Vec::new(),
            loads: Vec::new(),
            start_pcs: Vec::new(),
        }
    }

    /// Bytes of RAM.
    #[must_use]
    pub fn ram(mut self, bytes: u64) -> Builder {
        self.config.ram = bytes;
        self
    }

    /// Number of CPUs.
    #[must_use]
    pub fn cpus(mut self, n: u32) -> Builder {
        self.cpus = n;
        self
    }

    /// The CPU model, such as `rv64,+zbb`. Extensions the accelerator does not have are taken away.
    ///
    /// # Errors
    /// There is no such model or feature.
    pub fn cpu_model(mut self, text: &str) -> Result<Builder, MachineError> {
        self.model = Some(CpuModel::parse(self.board.arch(), text)?);
        Ok(self)
    }

    /// The kernel: a path, or bytes.
    #[must_use]
    pub fn kernel(mut self, kernel: impl Into<Source>) -> Builder {
        self.config.kernel = Some(kernel.into());
        self
    }

    /// The initial RAM disk.
    #[must_use]
    pub fn initrd(mut self, initrd: impl Into<Source>) -> Builder {
        self.config.initrd = Some(initrd.into());
        self
    }

    /// The kernel's command line.
    #[must_use]
    pub fn cmdline(mut self, text: &str) -> Builder {
        self.config.cmdline = text.to_owned();
        self
    }

    /// The firmware; the board's default unless given.
    #[must_use]
    pub fn bios(mut self, bios: Bios) -> Builder {
        self.config.bios = Some(bios);
        self
    }

    /// A device tree instead of the generated one. `/chosen` and `/memory` are filled in.
    #[must_use]
    pub fn dtb(mut self, dtb: impl Into<Source>) -> Builder {
        self.config.dtb = Some(dtb.into());
        self
    }

    /// The back end of the next serial port.
    #[must_use]
    pub fn serial(mut self, back_end: Box<dyn CharBackend>) -> Builder {
        self.config.serials.push(Some(back_end));
        self
    }

    /// A disk.
    #[must_use]
    pub fn drive(mut self, back_end: Box<dyn BlockBackend>) -> Builder {
        self.config.drives.push(back_end);
        self
    }

    /// A virtio device. Disks given with [`drive`](Self::drive) take the first slots.
    #[must_use]
    pub fn virtio(mut self, device: Box<dyn VirtioDevice>) -> Builder {
        self.config.virtio.push(device);
        self
    }

    /// The contents of the next flash bank. What the guest writes is lost at the end.
    #[must_use]
    pub fn flash(mut self, image: impl Into<Source>) -> Builder {
        let image = FlashImage::Contents(image.into());
        self.config.flash.push(Some(image));
        self
    }

    /// What holds the contents of flash bank `n`, below 16. What the guest writes is written there.
    #[must_use]
    pub fn flash_bank(mut self, n: usize, storage: Box<dyn Storage>) -> Builder {
        let n = n.min(15);
        if self.config.flash.len() <= n {
            self.config.flash.resize_with(n + 1, || None);
        }
        self.config.flash[n] = Some(FlashImage::Storage(storage));
        self
    }

    /// Puts a file into memory beside firmware and kernel, at each reset: an ELF image at its own addresses, anything else, and all if `raw`, at
    /// `at`. With `cpu`, that CPU comes out of reset at the file's entry.
    #[must_use]
    pub fn load(
        mut self,
        file: impl Into<Source>,
        at: Option<u64>,
        raw: bool,
        cpu: Option<u32>,
    ) -> Builder {
        self.loads.push(Load {
            source: file.into(),
            at,
            raw,
            cpu,
        });
        self
    }

    /// Makes CPU `cpu` come out of reset at `pc`, whatever the board would do with it.
    #[must_use]
    pub fn start_cpu(mut self, cpu: u32, pc: u64) -> Builder {
        self.start_pcs.push((cpu, pc));
        self
    }

    /// A memory-mapped device of one region at `base`, on input `irq` of the board's interrupt controller.
    #[must_use]
    pub fn device(
        mut self,
        path: &str,
        base: u64,
        irq: Option<u32>,
        make: impl FnOnce(Wiring) -> Box<dyn DynDevice> + Send + 'static,
    ) -> Builder {
        self.extras.push(Extra {
            path: path.to_owned(),
            base,
            irq,
            make: Box::new(make),
        });
        self
    }

    /// What guest time follows. [`Timing::Instructions`] makes runs deterministic.
    #[must_use]
    pub fn timing(mut self, timing: Timing) -> Builder {
        self.timing = timing;
        self
    }

    /// Seed of the random numbers the board gives the guest.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Builder {
        self.config.seed = Some(seed);
        self
    }

    /// Allows semihosting calls.
    #[must_use]
    pub fn semihosting(mut self, config: SemihostingConfig) -> Builder {
        self.semihosting = Some(config);
        self
    }

    /// Ends the run with [`crate::ExitReason::Reset`] instead of rebooting.
    #[must_use]
    pub fn no_reboot(mut self, on: bool) -> Builder {
        self.no_reboot = on;
        self
    }

    /// Builds the machine on `accelerator`.
    ///
    /// # Errors
    /// An option does not suit the board or the accelerator, or a file cannot be loaded; the message names it.
    pub fn build(self, accelerator: &dyn Accelerator) -> Result<Machine, MachineError> {
        let Builder {
            board,
            mut config,
            cpus,
            model,
            timing,
            semihosting,
            no_reboot,
            extras,
            loads,
            start_pcs,
        } = self;
        let arch = board.arch();
        let caps = accelerator.caps(arch).ok_or(MachineError::Arch {
            accel: accelerator.name(),
            arch,
        })?;
        for (limiter, max) in [
            (format!("the board {}", board.name()), board.max_cpus()),
            (
                format!("the {} accelerator", accelerator.name()),
                caps.max_vcpus,
            ),
        ] {
            if cpus == 0 || cpus > max {
                return Err(MachineError::Cpus {
                    asked: cpus,
                    limiter,
                    max,
                });
            }
        }
        let (min, max) = board.ram_range();
        if config.ram < min || config.ram > max || config.ram % 4096 != 0 {
            return Err(MachineError::Ram {
                asked: config.ram,
                board: board.name(),
                min,
                max,
            });
        }
        if matches!(timing, Timing::Instructions { .. }) && !caps.exact_budget {
            return Err(MachineError::config(format!(
                "the {} accelerator cannot count instructions; leave out -icount or choose another with -accel",
                accelerator.name()
            )));
        }
        let host_firmware =
            *config.bios.get_or_insert_with(|| board.default_bios()) == Bios::Builtin;
        if host_firmware && !caps.firmware_host {
            return Err(MachineError::config(format!(
                "the {} accelerator has no built-in firmware calls; give the machine firmware with -bios",
                accelerator.name()
            )));
        }
        let model = match model {
            Some(m) => m,
            None => CpuModel::parse(arch, board.default_model())?,
        };
        let model = match model {
            CpuModel::Riscv64(m) => CpuModel::Riscv64(m.restrict(caps.riscv)),
            other => other,
        };
        let mut vm_config = VmConfig::new(model.clone());
        vm_config.firmware = if host_firmware {
            FirmwareCalls::Host
        } else {
            FirmwareCalls::None
        };
        vm_config.semihosting = semihosting.is_some();
        vm_config.timebase_hz = board.timebase_hz();
        vm_config.timing = timing;
        let space = AddressSpace::new("memory", 64);
        let vm: Arc<dyn Vm> = accelerator.create_vm(&vm_config, space.clone())?.into();
        let vcpus: Vec<Box<dyn Vcpu>> = (0..cpus)
            .map(|n| vm.create_vcpu(n))
            .collect::<Result<_, _>>()?;
        let hub = Hub::new(VmClock::new(timing), |alarm| {
            vcpus
                .iter()
                .zip(0..)
                .map(|(v, n)| CpuCell::new(n, v.kicker(), v.pins(), alarm))
                .collect()
        });
        let mut assembly = Assembly {
            config,
            model,
            space,
            layout: Layout::default(),
            starts: vec![Start::Off; cpus as usize],
            symbols: Vec::new(),
            fdt: None,
            vm: vm.clone(),
            hub: hub.clone(),
            devices: Vec::new(),
            ram: Vec::new(),
            firmware: None,
            console: Console::default(),
            console_taken: false,
            irq: None,
        };
        {
            let space = assembly.space.clone();
            // One flattening for the whole board.
            let _batch = space.transaction();
            board.populate(&mut assembly)?;
            for extra in extras {
                assembly.add_device(&extra.path, &[extra.base], extra.irq, |w| {
                    Ok((extra.make)(w))
                })?;
            }
        }
        board.boot(&mut assembly)?;
        for load in loads {
            load.place(&mut assembly)?;
        }
        for (cpu, pc) in start_pcs {
            start_at(&mut assembly, cpu, pc)?;
        }
        let semihosting =
            semihosting.map(|c| Semihosting::new(c, hub.clone(), assembly.console.clone()));
        let mut machine = Machine {
            board: board.name(),
            arch,
            model: assembly.model,
            waiting: vec![false; vcpus.len()],
            vcpus,
            bus: Bus {
                space: assembly.space,
                hub,
                firmware: assembly.firmware,
                semihosting,
            },
            devices: assembly.devices,
            ram: assembly.ram,
            blobs: assembly.layout.into_blobs(),
            starts: assembly.starts,
            console: assembly.console,
            symbols: assembly.symbols,
            fdt: assembly.fdt,
            no_reboot,
            exited: None,
            _vm: vm,
        };
        machine.load()?;
        Ok(machine)
    }
}
