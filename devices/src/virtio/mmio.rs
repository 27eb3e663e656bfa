//! The MMIO transport (section 4.2), modern and legacy.
//!
//! The legacy interface (section 4.2.4) is what `virtio-mmio` of other monitors presents unless told otherwise; it is
//! for little-endian guests. Not implemented: shared memory regions (their registers read all ones).

use super::device::VirtioDevice;
use super::features::{Features, Status};
use super::transport::{Frontend, FrontendState};
use crate::{AccessSizes, Action, Device, RegionSpec, ResetKind, RestoreError, Snapshot, Wiring};
use serde::{Deserialize, Serialize};

/// Register offsets (table in section 4.2.2; legacy ones in 4.2.4).
pub mod reg {
    #![allow(missing_docs)]
    pub const MAGIC_VALUE: u64 = 0x000;
    pub const VERSION: u64 = 0x004;
    pub const DEVICE_ID: u64 = 0x008;
    pub const VENDOR_ID: u64 = 0x00c;
    pub const DEVICE_FEATURES: u64 = 0x010;
    pub const DEVICE_FEATURES_SEL: u64 = 0x014;
    pub const DRIVER_FEATURES: u64 = 0x020;
    pub const DRIVER_FEATURES_SEL: u64 = 0x024;
    pub const GUEST_PAGE_SIZE: u64 = 0x028;
    pub const QUEUE_SEL: u64 = 0x030;
    pub const QUEUE_SIZE_MAX: u64 = 0x034;
    pub const QUEUE_SIZE: u64 = 0x038;
    pub const QUEUE_ALIGN: u64 = 0x03c;
    pub const QUEUE_PFN: u64 = 0x040;
    pub const QUEUE_READY: u64 = 0x044;
    pub const QUEUE_NOTIFY: u64 = 0x050;
    pub const INTERRUPT_STATUS: u64 = 0x060;
    pub const INTERRUPT_ACK: u64 = 0x064;
    pub const STATUS: u64 = 0x070;
    pub const QUEUE_DESC_LOW: u64 = 0x080;
    pub const QUEUE_DESC_HIGH: u64 = 0x084;
    pub const QUEUE_DRIVER_LOW: u64 = 0x090;
    pub const QUEUE_DRIVER_HIGH: u64 = 0x094;
    pub const QUEUE_DEVICE_LOW: u64 = 0x0a0;
    pub const QUEUE_DEVICE_HIGH: u64 = 0x0a4;
    pub const SHM_LEN_LOW: u64 = 0x0b0;
    pub const SHM_BASE_HIGH: u64 = 0x0bc;
    pub const QUEUE_RESET: u64 = 0x0c0;
    pub const CONFIG_GENERATION: u64 = 0x0fc;
    pub const CONFIG: u64 = 0x100;
}
use reg::*;

const MAGIC: u64 = 0x7472_6976;
/// Assigned to nobody; guests do not look at it.
const VENDOR: u64 = 0x5844_4d41;
/// Length of the register window.
pub const LEN: u64 = 0x200;

static REGIONS: [RegionSpec; 1] = [RegionSpec::mmio(
    "virtio-mmio",
    LEN,
    AccessSizes { min: 1, max: 4 },
)];

/// Which register interface the guest sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MmioVersion {
    /// Version 1: before virtio 1.0.
    Legacy,
    /// Version 2: virtio 1.0 and later.
    #[default]
    Modern,
}

/// Saved state of a [`VirtioMmio`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    legacy: bool,
    device_features_sel: u32,
    driver_features_sel: u32,
    queue_sel: u32,
    guest_page_size: u32,
    front: FrontendState,
}

/// A virtio device behind memory-mapped registers and one level-triggered interrupt.
pub struct VirtioMmio {
    w: Wiring,
    version: MmioVersion,
    front: Frontend,
    device_features_sel: u32,
    driver_features_sel: u32,
    queue_sel: u32,
    guest_page_size: u32,
}

impl VirtioMmio {
    /// Puts `device` behind registers.
    #[must_use]
    pub fn new(w: Wiring, version: MmioVersion, device: Box<dyn VirtioDevice>) -> Self {
        let front = Frontend::new(
            device,
            w.dma.clone(),
            w.backend.clone(),
            version == MmioVersion::Legacy,
        );
        Self {
            w,
            version,
            front,
            device_features_sel: 0,
            driver_features_sel: 0,
            queue_sel: 0,
            guest_page_size: 0,
        }
    }

    fn legacy(&self) -> bool {
        self.version == MmioVersion::Legacy
    }

    fn update(&self) {
        self.w.irq.set(self.front.isr() != 0);
    }

    /// The driver resets the device: selectors keep their values.
    fn write_status(&mut self, value: u64) {
        self.front.set_status(value as u8);
        if value as u8 == 0 {
            self.guest_page_size = 0;
        }
    }

    fn read_register(&self, offset: u64) -> u64 {
        let queue = self.front.queue(self.queue_sel);
        match offset {
            MAGIC_VALUE => MAGIC,
            VERSION if self.legacy() => 1,
            VERSION => 2,
            DEVICE_ID => self.front.device_id().into(),
            VENDOR_ID => VENDOR,
            DEVICE_FEATURES => match self.device_features_sel {
                n @ 0..=1 => self.front.offered().bits() >> (32 * n) & 0xffff_ffff,
                _ => 0,
            },
            QUEUE_SIZE_MAX => queue.map_or(0, |q| q.max().into()),
            QUEUE_PFN if self.legacy() => queue.filter(|q| q.ready()).map_or(0, |q| q.pfn.into()),
            QUEUE_READY if !self.legacy() => queue.is_some_and(|q| q.ready()).into(),
            INTERRUPT_STATUS => self.front.isr().into(),
            STATUS => self.front.status().bits().into(),
            SHM_LEN_LOW..=SHM_BASE_HIGH if !self.legacy() => 0xffff_ffff,
            CONFIG_GENERATION if !self.legacy() => self.front.generation().into(),
            // Also QUEUE_RESET, since a queue is reset at once.
            _ => 0,
        }
    }

    fn write_register(&mut self, offset: u64, value: u64) {
        let word = value as u32;
        let sel = self.queue_sel;
        match offset {
            DEVICE_FEATURES_SEL => self.device_features_sel = word,
            DRIVER_FEATURES => self.front.accept(self.driver_features_sel, word),
            DRIVER_FEATURES_SEL => self.driver_features_sel = word,
            QUEUE_SEL => self.queue_sel = word,
            QUEUE_SIZE => {
                if let Some(q) = self.front.queue_setup(sel) {
                    // What does not fit is kept as 0, which is never valid.
                    q.size = u16::try_from(word).unwrap_or(0);
                }
            }
            QUEUE_NOTIFY => self.front.notify(word & 0xffff),
            INTERRUPT_ACK => self.front.acknowledge(word as u8),
            STATUS => self.write_status(value),
            _ if self.legacy() => self.write_legacy(offset, word),
            _ => self.write_modern(offset, word),
        }
    }

    fn write_modern(&mut self, offset: u64, word: u32) {
        let sel = self.queue_sel;
        match offset {
            QUEUE_READY if word == 1 => self.front.enable_queue(sel),
            QUEUE_READY if word == 0 => self.front.disable_queue(sel),
            QUEUE_RESET if word == 1 && self.front.accepted().contains(Features::RING_RESET) => {
                self.front.reset_queue(sel);
            }
            QUEUE_DESC_LOW | QUEUE_DESC_HIGH | QUEUE_DRIVER_LOW | QUEUE_DRIVER_HIGH
            | QUEUE_DEVICE_LOW | QUEUE_DEVICE_HIGH => {
                let area = (offset - QUEUE_DESC_LOW) / 0x10;
                let shift = 8 * (offset & 4) as u32;
                if let Some(q) = self.front.queue_setup(sel)
                    && let Some(a) = q.areas.get_mut(area as usize)
                {
                    *a = *a & !(0xffff_ffff << shift) | u64::from(word) << shift;
                }
            }
            _ => {}
        }
    }

    /// Section 2.7.2: descriptors, then the available ring, then the used ring at the next multiple of the alignment.
    fn write_legacy(&mut self, offset: u64, word: u32) {
        let (sel, page) = (self.queue_sel, u64::from(self.guest_page_size));
        match offset {
            GUEST_PAGE_SIZE => self.guest_page_size = word,
            QUEUE_ALIGN => {
                if let Some(q) = self.front.queue_setup(sel) {
                    q.align = word;
                }
            }
            QUEUE_PFN if word == 0 => {
                self.front.disable_queue(sel);
                if let Some(q) = self.front.queue_setup(sel) {
                    q.pfn = 0;
                }
            }
            QUEUE_PFN => {
                if let Some(q) = self.front.queue_setup(sel) {
                    let desc = u64::from(word).wrapping_mul(page);
                    let size = u64::from(q.size);
                    let avail = desc.wrapping_add(16 * size);
                    let align = u64::from(q.align.max(4)).next_power_of_two();
                    let used = avail.wrapping_add(2 * (3 + size) + align - 1) & !(align - 1);
                    q.pfn = word;
                    q.areas = [desc, avail, used];
                    self.front.enable_queue(sel);
                }
            }
            _ => {}
        }
    }

    /// Device status, for monitors and tests.
    #[must_use]
    pub fn status(&self) -> Status {
        self.front.status()
    }
}

impl Device for VirtioMmio {
    fn regions(&self) -> &[RegionSpec] {
        &REGIONS
    }

    fn read(&mut self, region: usize, offset: u64, size: u8) -> u64 {
        if region != 0 || !matches!(size, 1 | 2 | 4) || offset >= LEN {
            return 0;
        }
        if offset >= CONFIG {
            let mut buf = [0; 8];
            if let Some(part) = buf.get_mut(..size.into()) {
                self.front.config_read(offset - CONFIG, part);
            }
            return u64::from_le_bytes(buf);
        }
        if size == 4 {
            self.read_register(offset)
        } else {
            0
        }
    }

    fn write(&mut self, region: usize, offset: u64, size: u8, value: u64) -> Action {
        if region != 0 || !matches!(size, 1 | 2 | 4) || offset >= LEN {
            return Action::None;
        }
        if offset >= CONFIG {
            if let Some(data) = value.to_le_bytes().get(..size.into()) {
                self.front.config_write(offset - CONFIG, data);
            }
        } else if size == 4 {
            self.write_register(offset, value);
        }
        self.update();
        Action::None
    }

    fn reset(&mut self, _kind: ResetKind) {
        self.front.power_on();
        self.device_features_sel = 0;
        self.driver_features_sel = 0;
        self.queue_sel = 0;
        self.guest_page_size = 0;
        self.update();
    }

    fn event(&mut self, token: u32) {
        self.front.event(token);
        self.update();
    }

    fn quiesce(&mut self) -> bool {
        self.front.quiesce()
    }
}

impl Snapshot for VirtioMmio {
    const ID: &'static str = "virtio-mmio";
    const VERSION: u32 = 1;
    type State = State;

    fn save(&self) -> State {
        State {
            legacy: self.legacy(),
            device_features_sel: self.device_features_sel,
            driver_features_sel: self.driver_features_sel,
            queue_sel: self.queue_sel,
            guest_page_size: self.guest_page_size,
            front: self.front.save(),
        }
    }

    fn restore(&mut self, s: State, _version: u32) -> Result<(), RestoreError> {
        if s.legacy != self.legacy() {
            return Err(RestoreError::invalid("virtio-mmio: another version"));
        }
        self.front.restore(s.front)?;
        self.device_features_sel = s.device_features_sel;
        self.driver_features_sel = s.driver_features_sel;
        self.queue_sel = s.queue_sel;
        self.guest_page_size = s.guest_page_size;
        self.w.irq.set_restored(self.front.isr() != 0);
        Ok(())
    }
}
