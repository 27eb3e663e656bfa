//! A device in its place: behind a lock, on the bus, with its deadline.

use crate::hub::Hub;
use crate::timers::Deadline;
use crate::wake::lock;
use ambidex_cpu::Nanos;
use ambidex_devices::flash::FlashMode;
use ambidex_devices::{
    Action, Device, DynDevice, RegionKind, RegionSpec, ResetKind, RestoreError, SavedState,
    Snapshot,
};
use ambidex_memory::{AccessSizes, Attrs, BusError, MmioHandler, RamBlock, Region};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How often one access may be deferred before it is given up: a device that never gets ready must not hold a CPU for ever.
const MAX_DEFERRALS: u32 = 1000;

/// One device of a machine.
pub struct DeviceSlot {
    path: String,
    device: Mutex<Box<dyn DynDevice>>,
    deadline: Deadline,
    hub: Arc<Hub>,
    /// Events delivered so far; deferred accesses wait for the next one.
    delivered: Mutex<u64>,
    delivery: Condvar,
    /// Of a flash: its region, and whether reads may go to the memory behind it.
    direct: Mutex<Option<(Region, FlashMode)>>,
    accesses: AtomicU64,
}

impl DeviceSlot {
    pub(crate) fn new(path: &str, device: Box<dyn DynDevice>, hub: Arc<Hub>) -> Arc<DeviceSlot> {
        let slot = Arc::new(DeviceSlot {
            path: path.to_owned(),
            device: Mutex::new(device),
            deadline: Deadline::new(hub.alarm.clone()),
            hub,
            delivered: Mutex::new(0),
            delivery: Condvar::new(),
            direct: Mutex::default(),
            accesses: AtomicU64::new(0),
        });
        slot.with(|_| ());
        slot
    }

    /// The name that finds the device's state in a snapshot.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Register accesses so far.
    #[must_use]
    pub fn accesses(&self) -> u64 {
        self.accesses.load(Ordering::Relaxed)
    }

    /// Calls `f` with the device locked, and takes over its new deadline.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut dyn DynDevice) -> R) -> R {
        let mut device = lock(&self.device);
        let result = f(&mut **device);
        self.deadline.set(device.deadline());
        result
    }

    pub(crate) fn deadline(&self) -> Nanos {
        self.deadline.get()
    }

    /// Lets the device act if its deadline is reached.
    pub(crate) fn tick_if_due(&self, now: Nanos) {
        if self.deadline.expire(now) {
            self.with(|d| d.tick());
        }
    }

    pub(crate) fn event(&self, token: u32) {
        self.with(|d| d.event(token));
        *lock(&self.delivered) += 1;
        self.delivery.notify_all();
    }

    pub(crate) fn reset(&self, kind: ResetKind) {
        self.with(|d| d.reset(kind));
        self.remap();
    }

    /// Takes over the state in `saved`.
    pub(crate) fn restore(&self, saved: &SavedState) -> Result<(), RestoreError> {
        self.with(|d| d.restore_bytes(saved))?;
        self.remap();
        Ok(())
    }

    /// The region of a flash over its `contents`, to be placed on the bus.
    pub(crate) fn rom_region(self: &Arc<Self>, contents: Arc<RamBlock>, mode: FlashMode) -> Region {
        let sizes = AccessSizes {
            min: 1,
            max: 8,
            unaligned: false,
        };
        let window = Window {
            slot: self.clone(),
            index: 0,
            sizes,
        };
        let region = Region::rom_device(contents, Arc::new(window));
        *lock(&self.direct) = Some((region.clone(), mode));
        region
    }

    /// Whether `block` is what this device keeps while the power is off.
    pub(crate) fn keeps(&self, block: &RamBlock) -> bool {
        lock(&self.direct)
            .as_ref()
            .and_then(|(region, _)| region.block().map(|b| b.id()))
            == Some(block.id())
    }

    /// Lets reads go to the memory or to the device, as the device wants them.
    fn remap(&self) {
        if let Some((region, mode)) = &*lock(&self.direct) {
            region.set_direct(mode.direct());
        }
    }

    /// Drops the device, and with it its back ends: they flush their output and put the terminal back. What is left answers nothing. A device
    /// holds views of the memory that its registers are in, so without this neither would ever be freed.
    pub(crate) fn retire(&self) {
        let device = std::mem::replace(&mut *lock(&self.device), Box::new(Gone));
        drop(device);
    }

    /// The regions of the device as handlers for the address space.
    pub(crate) fn mmio_regions(self: &Arc<Self>) -> Vec<Region> {
        let specs: Vec<RegionSpec> = self.with(|d| d.regions().to_vec());
        specs
            .iter()
            .enumerate()
            .map(|(index, spec)| {
                debug_assert_eq!(
                    spec.kind,
                    RegionKind::Mmio,
                    "port regions go to the port space"
                );
                let sizes = AccessSizes {
                    min: spec.sizes.min,
                    max: spec.sizes.max,
                    unaligned: false,
                };
                Region::mmio(
                    &self.path,
                    spec.len,
                    Arc::new(Window {
                        slot: self.clone(),
                        index,
                        sizes,
                    }),
                )
            })
            .collect()
    }

    fn write(&self, region: usize, offset: u64, size: u8, value: u64) {
        for _ in 0..MAX_DEFERRALS {
            let before = *lock(&self.delivered);
            match self.with(|d| d.write(region, offset, size, value)) {
                Action::Remap => {
                    self.remap();
                    // CPUs look at the new map before they take more code from it.
                    return self.hub.kick_all();
                }
                Action::Defer if !self.hub.stopping() => self.wait_for_event(before),
                action => return self.hub.act(&self.path, action),
            }
        }
        log::warn!(
            "{}: a write to {offset:#x} was deferred too often and is dropped",
            self.path
        );
    }

    /// Waits until an event was delivered after `before`.
    fn wait_for_event(&self, before: u64) {
        let guard = lock(&self.delivered);
        // Bounded, so that a CPU notices a request to stop; the access is then repeated and may be deferred again.
        let waited = self
            .delivery
            .wait_timeout_while(guard, Duration::from_millis(10), |n| *n == before)
            .unwrap_or_else(PoisonError::into_inner);
        drop(waited);
    }
}

/// One region of a device on the bus.
struct Window {
    slot: Arc<DeviceSlot>,
    index: usize,
    sizes: AccessSizes,
}

impl MmioHandler for Window {
    fn read(&self, offset: u64, size: u8, _attrs: Attrs) -> Result<u64, BusError> {
        self.slot.accesses.fetch_add(1, Ordering::Relaxed);
        Ok(self.slot.with(|d| d.read(self.index, offset, size)))
    }

    fn write(&self, offset: u64, size: u8, value: u64, _attrs: Attrs) -> Result<(), BusError> {
        self.slot.accesses.fetch_add(1, Ordering::Relaxed);
        self.slot.write(self.index, offset, size, value);
        Ok(())
    }

    fn access_sizes(&self) -> AccessSizes {
        self.sizes
    }
}

/// The place of a device after its machine's end.
struct Gone;

impl Device for Gone {
    fn regions(&self) -> &[RegionSpec] {
        &[]
    }

    fn read(&mut self, _region: usize, _offset: u64, _size: u8) -> u64 {
        0
    }

    fn write(&mut self, _region: usize, _offset: u64, _size: u8, _value: u64) -> Action {
        Action::None
    }

    fn reset(&mut self, _kind: ResetKind) {}
}

impl Snapshot for Gone {
    const ID: &'static str = "gone";
    const VERSION: u32 = 1;
    type State = ();

    fn save(&self) {}

    fn restore(&mut self, _state: (), _version: u32) -> Result<(), RestoreError> {
        Ok(())
    }
}
