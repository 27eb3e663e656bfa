//! What a board works with while it is put together.

use crate::builder::{Config, FlashImage};
use crate::clock::VmClock;
use crate::console::Console;
use crate::device_slot::DeviceSlot;
use crate::error::MachineError;
use crate::firmware::Firmware;
use crate::hub::{Hub, Power};
use crate::irq::PinTarget;
use crate::loader::{Image, Layout};
use ambidex_cpu::riscv;
use ambidex_cpu::{CpuModel, CpuState, Vm};
use ambidex_devices::char::CharBackend;
use ambidex_devices::char::null::NullBackend;
use ambidex_devices::flash::{CfiFlash, FlashOptions};
use ambidex_devices::{
    Clock, Dma, DynDevice, IrqLine, IrqTarget, MsiSink, StreamId, WallClock, Wiring,
};
use ambidex_memory::{AddressSpace, RamBlock, RamOptions, Region};
use std::sync::Arc;

/// Unix time at VM time 0 of deterministic machines: 2020-01-01 00:00 UTC.
const FIXED_EPOCH: u64 = 1_577_836_800_000_000_000;

/// Where a CPU begins after a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// Off until firmware on the host starts it.
    Off,
    /// As the processor comes out of reset, at `pc`.
    Reset {
        /// Where.
        pc: u64,
    },
    /// As firmware hands over to a kernel.
    Kernel {
        /// Where.
        pc: u64,
        /// Second argument: the device tree's address.
        opaque: u64,
    },
}

impl Start {
    pub(crate) fn power(self) -> Power {
        match self {
            Start::Off => Power::Stopped,
            _ => Power::Started,
        }
    }

    pub(crate) fn state(self, model: &CpuModel, cpu: u32) -> Option<CpuState> {
        let CpuModel::Riscv64(model) = model else {
            return None;
        };
        match self {
            Start::Off => None,
            Start::Reset { pc } => Some(riscv::State::new(*model, cpu.into(), pc).into()),
            Start::Kernel { pc, opaque } => {
                Some(riscv::State::supervisor_start(*model, cpu.into(), pc, opaque).into())
            }
        }
    }
}

/// A machine being put together: what the user asked for, and what the board has added so far.
pub struct Assembly {
    /// What the user asked for.
    pub config: Config,
    /// The CPU model, without what the accelerator lacks.
    pub model: CpuModel,
    /// Guest-physical memory, empty at first.
    pub space: Arc<AddressSpace>,
    /// What is loaded at each reset.
    pub layout: Layout,
    /// Where each CPU begins; off unless the board says otherwise.
    pub starts: Vec<Start>,
    /// Symbols of the images loaded.
    pub symbols: Vec<(String, u64)>,
    /// The flattened device tree given to the guest.
    pub fdt: Option<Vec<u8>>,
    pub(crate) vm: Arc<dyn Vm>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) devices: Vec<Arc<DeviceSlot>>,
    pub(crate) ram: Vec<Arc<RamBlock>>,
    pub(crate) firmware: Option<Arc<dyn Firmware>>,
    pub(crate) console: Console,
    pub(crate) console_taken: bool,
    pub(crate) irq: Option<Arc<dyn IrqTarget>>,
}

impl Assembly {
    /// Number of CPUs.
    #[must_use]
    pub fn cpus(&self) -> u32 {
        self.hub.cpus.len() as u32
    }

    /// The VM clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<VmClock> {
        &self.hub.clock
    }

    /// The handle on VM time for devices.
    #[must_use]
    pub fn clock_handle(&self) -> Clock {
        self.hub.clock.handle()
    }

    /// Real time for RTCs: the host's, or derived from VM time on a deterministic machine.
    #[must_use]
    pub fn wall_clock(&self) -> WallClock {
        if self.hub.clock.shift().is_some() {
            WallClock::from_clock(self.clock_handle(), FIXED_EPOCH)
        } else {
            WallClock::host()
        }
    }

    /// The RISC-V model.
    ///
    /// # Errors
    /// The machine is of another architecture.
    pub fn riscv_model(&self) -> Result<riscv::Model, MachineError> {
        match &self.model {
            CpuModel::Riscv64(m) => Ok(*m),
            _ => Err(MachineError::config("this board takes RISC-V CPUs")),
        }
    }

    /// Adds RAM that belongs to the guest and to snapshots.
    ///
    /// # Errors
    /// There is no such memory, or no place for it.
    pub fn add_ram(&mut self, name: &str, at: u64, len: u64) -> Result<(), MachineError> {
        let block = RamBlock::new(name, len, &RamOptions::default())?;
        self.space.root().add(at, &Region::ram(block.clone()), 0)?;
        self.ram.push(block);
        Ok(())
    }

    /// Adds ROM, to be filled through [`Assembly::layout`].
    ///
    /// # Errors
    /// There is no such memory, or no place for it.
    pub fn add_rom(&mut self, name: &str, at: u64, len: u64) -> Result<(), MachineError> {
        let block = RamBlock::new(name, len, &RamOptions::default())?;
        self.space.root().add(at, &Region::rom(block), 0)?;
        Ok(())
    }

    /// The interrupt inputs of CPU `n`; pins in the mask `latching` latch edges.
    #[must_use]
    pub fn cpu_pins(&self, n: u32, latching: u64) -> Option<Arc<PinTarget>> {
        self.hub
            .cpus
            .get(n as usize)
            .map(|c| PinTarget::new(c.pins.clone(), latching))
    }

    /// Names the controller whose inputs [`Assembly::add_device`] connects devices to.
    pub fn set_irq_target(&mut self, target: Arc<dyn IrqTarget>) {
        self.irq = Some(target);
    }

    /// The back end of serial port `n`, tapped for the machine's console if it is the first that is asked for.
    #[must_use]
    pub fn serial(&mut self, n: usize) -> Box<dyn CharBackend> {
        let back_end = self
            .config
            .serials
            .get_mut(n)
            .and_then(Option::take)
            .unwrap_or_else(|| Box::new(NullBackend));
        if self.console_taken {
            return back_end;
        }
        self.console_taken = true;
        self.console.tap(back_end)
    }

    /// Adds a device. `bases` are the addresses of its regions, in order; `irq` the input of the interrupt controller it drives.
    /// Returns all its regions; those without an address are for the caller to place.
    ///
    /// # Errors
    /// The device cannot be made, or there is no place for it.
    pub fn add_device(
        &mut self,
        path: &str,
        bases: &[u64],
        irq: Option<u32>,
        make: impl FnOnce(Wiring) -> Result<Box<dyn DynDevice>, MachineError>,
    ) -> Result<Vec<Region>, MachineError> {
        if self.devices.iter().any(|d| d.path() == path) {
            return Err(MachineError::config(format!(
                "there are two devices called {path}; give each its own name"
            )));
        }
        let number = self.devices.len() as u32;
        let irq = match (irq, &self.irq) {
            (Some(n), Some(target)) => IrqLine::new(target.clone(), n),
            _ => IrqLine::detached(),
        };
        let wiring = Wiring {
            irq,
            msi: MsiSink::detached(),
            dma: Dma::new(self.space.clone(), StreamId(number)),
            clock: self.clock_handle(),
            backend: self.hub.events.notifier(number),
        };
        let slot = DeviceSlot::new(path, make(wiring)?, self.hub.clone());
        let regions = slot.mmio_regions();
        for (region, at) in regions.iter().zip(bases) {
            self.space.root().add(*at, region, 0)?;
        }
        self.devices.push(slot);
        Ok(regions)
    }

    /// Adds a CFI flash of `len` bytes at `at`. Its contents are those of `image`, then zeroes; they belong to snapshots and survive resets.
    ///
    /// # Errors
    /// The image cannot be read or is too long, or there is no place for the flash.
    pub fn add_flash(
        &mut self,
        path: &str,
        at: u64,
        len: u64,
        image: Option<FlashImage>,
    ) -> Result<(), MachineError> {
        let block = RamBlock::new(path, len, &RamOptions::default())?;
        let too_long = |found: u64| {
            MachineError::config(format!(
                "the image for {path} is {found} bytes long, and the flash has {len}; use a shorter one"
            ))
        };
        let mut options = FlashOptions::default();
        let backing = match image {
            Some(FlashImage::Contents(source)) => {
                let bytes = source.read("flash image")?;
                block
                    .write(0, &bytes)
                    .map_err(|_| too_long(bytes.len() as u64))?;
                None
            }
            Some(FlashImage::Storage(storage)) => {
                options.read_only = storage.read_only();
                Some(storage)
            }
            None => None,
        };
        let flash = CfiFlash::new(options, block.clone(), backing)
            .map_err(|e| MachineError::config(format!("{path}: {e}")))?;
        let mode = flash.mode();
        self.add_device(path, &[], None, |_| Ok(Box::new(flash)))?;
        if let Some(slot) = self.devices.last() {
            let region = slot.rom_region(block.clone(), mode);
            self.space.root().add(at, &region, 0)?;
        }
        self.ram.push(block);
        Ok(())
    }

    /// Answers firmware calls with `firmware`.
    pub fn set_firmware(&mut self, firmware: Arc<dyn Firmware>) {
        self.firmware = Some(firmware);
    }

    /// The built-in SBI, printing on `console`.
    ///
    /// # Errors
    /// The machine is of another architecture.
    pub fn sbi(
        &self,
        console: Box<dyn crate::firmware::DebugConsole>,
        timebase_hz: u64,
    ) -> Result<Arc<crate::firmware::Sbi>, MachineError> {
        Ok(crate::firmware::Sbi::new(
            self.hub.clone(),
            self.vm.clone(),
            self.space.clone(),
            console,
            self.riscv_model()?,
            timebase_hz,
        ))
    }

    /// Places an image and keeps its symbols; see [`Layout::place_image`].
    ///
    /// # Errors
    /// It does not fit.
    pub fn load_image(
        &mut self,
        name: &str,
        image: &Image,
        base: u64,
    ) -> Result<(u64, u64), MachineError> {
        let placed = self.layout.place_image(&self.space, name, image, base)?;
        self.symbols.extend_from_slice(image.symbols());
        Ok(placed)
    }

    /// Places bytes.
    ///
    /// # Errors
    /// They do not fit.
    pub fn load_bytes(&mut self, name: &str, at: u64, data: Vec<u8>) -> Result<(), MachineError> {
        Ok(self.layout.place(&self.space, name, at, data, 0)?)
    }
}
