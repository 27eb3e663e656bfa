//! What all transports share: status, features, queues and interrupt causes (sections 2 and 3.1).

use super::device::{DeviceState, Io, VirtioDevice};
use super::features::{Features, Status};
use super::queue::{QueueError, Ring, SplitRing};
use crate::dma::Dma;
use crate::{Notifier, RestoreError};
use serde::{Deserialize, Serialize};

/// The event token of the transport itself: interrupted work goes on. Device types use tokens below.
pub const RESUME: u32 = 1 << 31;

/// Interrupt cause: a buffer was used.
pub const ISR_QUEUE: u8 = 1;
/// Interrupt cause: the configuration changed.
pub const ISR_CONFIG: u8 = 2;

/// Most queues of a device.
const MAX_QUEUES: usize = 1024;

/// A queue as the driver sets it up, and the ring once it is ready. All of it but the maximum is saved state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Virtqueue {
    /// Largest size, from the device type.
    #[serde(skip)]
    max: u16,
    /// Size the driver chose.
    pub size: u16,
    /// Descriptor, driver and device areas.
    pub areas: [u64; 3],
    /// Legacy: alignment of the used ring.
    pub align: u32,
    /// Legacy: page number.
    pub pfn: u32,
    ring: Option<SplitRing>,
    #[serde(skip)]
    pub(crate) used_some: bool,
}

impl Virtqueue {
    fn new(max: u16) -> Self {
        Self {
            max,
            size: max,
            ..Self::default()
        }
    }

    /// Largest size.
    #[must_use]
    pub fn max(&self) -> u16 {
        self.max
    }

    /// Whether the queue is in use.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.ring.is_some()
    }

    pub(crate) fn ring(&self) -> Option<&impl Ring> {
        self.ring.as_ref()
    }

    pub(crate) fn ring_mut(&mut self) -> Option<&mut impl Ring> {
        self.ring.as_mut()
    }
}

/// Saved state of a [`Frontend`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FrontendState {
    device_id: u32,
    status: u8,
    accepted: u64,
    isr: u8,
    generation: u32,
    queues: Vec<Virtqueue>,
    resume: bool,
    device: DeviceState,
}

/// A device type with its queues: everything between the registers of a transport and the device type.
pub struct Frontend {
    device: Box<dyn VirtioDevice>,
    dma: Dma,
    notifier: Notifier,
    legacy: bool,
    queues: Vec<Virtqueue>,
    status: Status,
    accepted: Features,
    isr: u8,
    generation: u32,
    /// Interrupted work is to go on at the next [`RESUME`].
    resume: bool,
}

impl Frontend {
    /// A front end for `device`. With `legacy`, the guest sees the interface before virtio 1.0.
    #[must_use]
    pub fn new(
        mut device: Box<dyn VirtioDevice>,
        dma: Dma,
        notifier: Notifier,
        legacy: bool,
    ) -> Self {
        device.attach(&notifier);
        let queues = device
            .queue_sizes()
            .iter()
            .take(MAX_QUEUES)
            .map(|max| Virtqueue::new(*max))
            .collect();
        Self {
            device,
            dma,
            notifier,
            legacy,
            queues,
            status: Status::empty(),
            accepted: Features::empty(),
            isr: 0,
            generation: 0,
            resume: false,
        }
    }

    /// The device type's number.
    #[must_use]
    pub fn device_id(&self) -> u32 {
        self.device.device_id()
    }

    /// The features offered.
    #[must_use]
    pub fn offered(&self) -> Features {
        let ring = Features::INDIRECT_DESC | Features::EVENT_IDX;
        let all = self.device.features() | ring;
        if self.legacy {
            Features::device((all | Features::ANY_LAYOUT).bits() & 0xffff_ffff)
        } else {
            all | Features::VERSION_1 | Features::RING_RESET
        }
    }

    /// The features the driver chose so far.
    #[must_use]
    pub fn accepted(&self) -> Features {
        self.accepted
    }

    /// Sets 32 bits of the driver's features: `word` 0 or 1. Ignored once they are negotiated.
    pub fn accept(&mut self, word: u32, bits: u32) {
        let fixed = if self.legacy {
            Status::DRIVER_OK
        } else {
            Status::FEATURES_OK
        };
        if word > 1 || self.status.contains(fixed) {
            return;
        }
        let shift = 32 * word;
        let rest = self.accepted.bits() & !(0xffff_ffff << shift);
        let mut new = Features::device(rest | u64::from(bits) << shift);
        if self.legacy {
            // There is no way to refuse.
            new &= self.offered();
        }
        self.accepted = new;
    }

    /// Device status.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// Interrupt causes pending.
    #[must_use]
    pub fn isr(&self) -> u8 {
        self.isr
    }

    /// Takes interrupt causes back.
    pub fn acknowledge(&mut self, causes: u8) {
        self.isr &= !causes;
    }

    /// Version of the configuration space.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The driver writes the status: 0 resets, otherwise bits are added.
    pub fn set_status(&mut self, value: u8) {
        if value == 0 {
            self.reset();
            return;
        }
        let asked = Status::from_bits_truncate(value).difference(Status::DEVICE_NEEDS_RESET);
        let mut new = asked.difference(self.status);
        if new.contains(Status::FEATURES_OK) && !self.legacy {
            let f = self.accepted;
            let ok = self.offered().contains(f)
                && f.contains(Features::VERSION_1)
                && self.device.accepts(f);
            if !ok {
                log::debug!(target: "guest_errors", "virtio: the driver's features {f:?} are refused");
                new.remove(Status::FEATURES_OK);
            }
        }
        let negotiated = self.legacy || (self.status | new).contains(Status::FEATURES_OK);
        if !negotiated {
            new.remove(Status::DRIVER_OK);
        }
        self.status |= new;
        if new.contains(Status::DRIVER_OK) {
            self.run(|device, io| {
                device.activate(io);
                for q in 0..io.queue_count() {
                    device.queue_notified(io, q);
                }
            });
        }
    }

    /// Returns to the state after power-on.
    pub fn reset(&mut self) {
        self.device.reset();
        for q in &mut self.queues {
            *q = Virtqueue::new(q.max);
        }
        self.status = Status::empty();
        self.accepted = Features::empty();
        self.isr = 0;
        self.resume = false;
    }

    /// Returns to the state of a new device.
    pub fn power_on(&mut self) {
        self.reset();
        self.generation = 0;
    }

    /// A queue by index.
    #[must_use]
    pub fn queue(&self, index: u32) -> Option<&Virtqueue> {
        self.queues.get(usize::try_from(index).ok()?)
    }

    /// A queue to set up; `None` too while it is in use.
    pub fn queue_setup(&mut self, index: u32) -> Option<&mut Virtqueue> {
        let q = self.queues.get_mut(usize::try_from(index).ok()?)?;
        if q.ready() { None } else { Some(q) }
    }

    /// Starts using a queue with what was set up. If that is not valid, the device needs a reset.
    pub fn enable_queue(&mut self, index: u32) {
        let (event, indirect) = (
            self.accepted.contains(Features::EVENT_IDX),
            self.accepted.contains(Features::INDIRECT_DESC),
        );
        let Some(q) = self.queue_setup(index) else {
            return;
        };
        let ring = if q.size <= q.max {
            SplitRing::new(q.size, q.areas, event, indirect)
        } else {
            Err(QueueError::Layout)
        };
        match ring {
            Ok(ring) => q.ring = Some(ring),
            Err(e) => self.broken(index as u16, e),
        }
    }

    /// Stops using a queue: requests in flight are forgotten.
    pub fn disable_queue(&mut self, index: u32) {
        let Some(q) = self.queues.get_mut(index as usize) else {
            return;
        };
        if q.ring.take().is_some() {
            self.device.queue_reset(index as u16);
        }
    }

    /// Stops using a queue and forgets how it was set up (`RING_RESET`).
    pub fn reset_queue(&mut self, index: u32) {
        self.disable_queue(index);
        if let Some(q) = self.queues.get_mut(index as usize) {
            *q = Virtqueue::new(q.max);
        }
    }

    /// The driver made buffers available in a queue.
    pub fn notify(&mut self, index: u32) {
        if self.queue(index).is_some_and(Virtqueue::ready) && self.live() {
            self.run(|device, io| device.queue_notified(io, index as u16));
        }
    }

    /// A back end made progress, or interrupted work goes on.
    pub fn event(&mut self, token: u32) {
        if !self.live() {
            self.device.idle_event(token);
        } else if token != RESUME {
            self.run(|device, io| device.event(io, token));
        } else if std::mem::take(&mut self.resume) {
            self.run(|device, io| {
                device.resume(io);
                for q in 0..io.queue_count() {
                    device.queue_notified(io, q);
                }
            });
        }
    }

    /// Reads the configuration space.
    pub fn config_read(&self, offset: u64, buf: &mut [u8]) {
        self.device.config_read(self.accepted, offset, buf);
    }

    /// Writes the configuration space.
    pub fn config_write(&mut self, offset: u64, data: &[u8]) {
        self.device.config_write(self.accepted, offset, data);
    }

    /// Whether no I/O is in flight.
    pub fn quiesce(&mut self) -> bool {
        self.device.quiesce()
    }

    fn live(&self) -> bool {
        self.status.contains(Status::DRIVER_OK) && !self.status.contains(Status::DEVICE_NEEDS_RESET)
    }

    fn run(&mut self, f: impl FnOnce(&mut dyn VirtioDevice, &mut Io<'_>)) {
        if !self.live() {
            return;
        }
        let mut io = Io::new(&self.dma, self.accepted, &mut self.queues);
        f(&mut *self.device, &mut io);
        let effects = io.finish();
        let mut broken = effects.broken;
        for (n, q) in self.queues.iter_mut().enumerate() {
            if !std::mem::take(&mut q.used_some) {
                continue;
            }
            match q.ring_mut().map(|r| r.interrupt_due(&self.dma)) {
                Some(Ok(true)) => self.isr |= ISR_QUEUE,
                Some(Err(e)) => broken = broken.or(Some((n as u16, e))),
                _ => {}
            }
        }
        if effects.config_changed {
            self.generation = self.generation.wrapping_add(1);
            self.isr |= ISR_CONFIG;
        }
        if let Some((queue, error)) = broken {
            self.broken(queue, error);
        } else if effects.resume {
            self.resume = true;
            self.notifier.notify(RESUME);
        }
    }

    /// Section 2.1.2: the status says so, and a driver that is ready is interrupted.
    fn broken(&mut self, queue: u16, error: QueueError) {
        log::debug!(
            target: "guest_errors",
            "virtio device type {} needs a reset, queue {queue}: {error}",
            self.device_id()
        );
        self.status |= Status::DEVICE_NEEDS_RESET;
        if self.status.contains(Status::DRIVER_OK) {
            self.isr |= ISR_CONFIG;
        }
    }

    /// The state to save.
    #[must_use]
    pub fn save(&self) -> FrontendState {
        FrontendState {
            device_id: self.device_id(),
            status: self.status.bits(),
            accepted: self.accepted.bits(),
            isr: self.isr,
            generation: self.generation,
            queues: self.queues.clone(),
            resume: self.resume || self.device.unfinished(),
            device: self.device.save(),
        }
    }

    /// Takes over saved state.
    ///
    /// # Errors
    /// It is of another device type, or no device can be in that state.
    pub fn restore(&mut self, s: FrontendState) -> Result<(), RestoreError> {
        let bad = |what: &str| Err(RestoreError::invalid(format!("virtio: {what}")));
        if s.device_id != self.device_id() {
            return bad("another device type");
        }
        if s.queues.len() != self.queues.len() {
            return bad("another number of queues");
        }
        let accepted = Features::device(s.accepted);
        let Some(status) = Status::from_bits(s.status) else {
            return bad("undefined status bits");
        };
        if s.isr & !(ISR_QUEUE | ISR_CONFIG) != 0 {
            return bad("undefined interrupt causes");
        }
        let negotiated = self.legacy || status.contains(Status::FEATURES_OK);
        if negotiated && !self.offered().contains(accepted) {
            return bad("features that this device does not have");
        }
        if status.contains(Status::DRIVER_OK) && !negotiated {
            return bad("ready without features");
        }
        let mut queues = s.queues;
        for (q, mine) in queues.iter_mut().zip(&self.queues) {
            q.max = mine.max;
            if let Some(ring) = &q.ring
                && (ring.check().is_err() || ring.size() > mine.max)
            {
                return bad("a ring that cannot be");
            }
        }
        self.device.reset();
        self.device.restore(s.device)?;
        self.queues = queues;
        self.status = status;
        self.accepted = accepted;
        self.isr = s.isr;
        self.generation = s.generation;
        self.resume = s.resume;
        if self.resume {
            self.notifier.notify(RESUME);
        }
        Ok(())
    }
}
