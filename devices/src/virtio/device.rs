//! What a device type implements, and what it reaches its queues through.

use super::features::Features;
use super::queue::{Chain, QueueError, Ring};
use super::transport::Virtqueue;
use crate::dma::{BusError, Dma};
use crate::{Notifier, RestoreError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A device type. The transport is the only caller.
///
/// Queues are served in [`queue_notified`](Self::queue_notified) and [`event`](Self::event), which get an [`Io`]. Both
/// are called only while the driver is ready (`DRIVER_OK`) and the device does not need a reset.
pub trait VirtioDevice: Send {
    /// The device type's number (section 5).
    fn device_id(&self) -> u32;

    /// The feature bits of the device type. The transport adds those of rings and transports.
    fn features(&self) -> Features;

    /// The largest size of each queue, by index. The number of queues never changes.
    fn queue_sizes(&self) -> &[u16];

    /// Names whom to notify of back-end progress. Called once, before anything else. Tokens below 2^31 are the
    /// device's; they come back in [`event`](Self::event).
    fn attach(&mut self, notifier: &Notifier) {
        let _ = notifier;
    }

    /// Whether the driver may choose these features together.
    fn accepts(&self, features: Features) -> bool {
        let _ = features;
        true
    }

    /// Reads the configuration space from `offset`. `buf` is zeroed; what lies behind the device's fields stays 0.
    fn config_read(&self, features: Features, offset: u64, buf: &mut [u8]) {
        let _ = (features, offset, buf);
    }

    /// Writes the configuration space. Legal at any time.
    fn config_write(&mut self, features: Features, offset: u64, data: &[u8]) {
        let _ = (features, offset, data);
    }

    /// The driver is ready: features and queues are final. Queues are notified right afterwards.
    fn activate(&mut self, io: &mut Io<'_>) {
        let _ = io;
    }

    /// Returns to the state before [`activate`](Self::activate). Completions of requests in flight are ignored from
    /// here on.
    fn reset(&mut self);

    /// The driver resets one queue (`RING_RESET`): its requests in flight are forgotten.
    fn queue_reset(&mut self, queue: u16) {
        let _ = queue;
    }

    /// The driver made buffers available.
    fn queue_notified(&mut self, io: &mut Io<'_>, queue: u16);

    /// A back end made progress.
    fn event(&mut self, io: &mut Io<'_>, token: u32) {
        let _ = (io, token);
    }

    /// A back end made progress while the driver is not ready.
    fn idle_event(&mut self, token: u32) {
        let _ = token;
    }

    /// Work was interrupted, because a call had done enough or because state was restored: go on with it. The transport
    /// notifies all queues right afterwards.
    fn resume(&mut self, io: &mut Io<'_>) {
        let _ = io;
    }

    /// Whether restored state needs a [`resume`](Self::resume).
    fn unfinished(&self) -> bool {
        false
    }

    /// Whether no I/O is in flight.
    fn quiesce(&mut self) -> bool {
        true
    }

    /// The state to save.
    fn save(&self) -> DeviceState {
        DeviceState::default()
    }

    /// Takes over saved state, which is untrusted.
    ///
    /// # Errors
    /// No device can be in that state.
    fn restore(&mut self, state: DeviceState) -> Result<(), RestoreError> {
        let _ = state;
        Ok(())
    }
}

/// State of a device type inside that of its transport: any value that serde can represent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeviceState(ciborium::Value);

impl Default for DeviceState {
    fn default() -> Self {
        Self(ciborium::Value::Map(Vec::new()))
    }
}

impl DeviceState {
    /// The state `of` represents.
    pub fn new<T: Serialize>(of: &T) -> Self {
        ciborium::Value::serialized(of).map_or_else(
            |e| {
                log::error!("State of a virtio device cannot be encoded: {e}");
                Self::default()
            },
            Self,
        )
    }

    /// The typed state.
    ///
    /// # Errors
    /// It is not of that type.
    pub fn get<T: DeserializeOwned>(&self) -> Result<T, RestoreError> {
        self.0
            .deserialized()
            .map_err(|e| RestoreError::invalid(format!("virtio device state: {e}")))
    }
}

/// What a call did besides writing memory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Effects {
    pub(crate) config_changed: bool,
    pub(crate) broken: Option<(u16, QueueError)>,
    pub(crate) resume: bool,
}

/// Chains one call may take before it has to make room for others.
const CHAINS: u32 = 1024;
/// Bytes one call may move before it has to make room for others.
const BYTES: u64 = 4 << 20;

/// A device type's way to its queues and to memory, for the length of one call.
pub struct Io<'a> {
    dma: &'a Dma,
    features: Features,
    queues: &'a mut [Virtqueue],
    effects: Effects,
    chains: u32,
    bytes: u64,
}

impl<'a> Io<'a> {
    pub(crate) fn new(dma: &'a Dma, features: Features, queues: &'a mut [Virtqueue]) -> Self {
        Self {
            dma,
            features,
            queues,
            effects: Effects::default(),
            chains: CHAINS,
            bytes: BYTES,
        }
    }

    pub(crate) fn finish(self) -> Effects {
        self.effects
    }

    /// The negotiated features.
    #[must_use]
    pub fn features(&self) -> Features {
        self.features
    }

    /// The number of queues.
    #[must_use]
    pub fn queue_count(&self) -> u16 {
        self.queues.len() as u16
    }

    fn broke(&mut self, queue: u16, error: QueueError) {
        if self.effects.broken.is_none() {
            self.effects.broken = Some((queue, error));
        }
    }

    /// Marks the device as needing a reset: the driver broke the device type's protocol on `queue`.
    pub fn fail(&mut self, queue: u16, error: QueueError) {
        self.broke(queue, error);
    }

    /// Whether this call has done enough. The transport calls [`VirtioDevice::resume`] soon if anybody asked.
    pub fn exhausted(&mut self) -> bool {
        let done = self.chains == 0 || self.bytes == 0;
        self.effects.resume |= done;
        done
    }

    /// Whether `queue` has a chain to take.
    pub fn available(&mut self, queue: u16) -> bool {
        if self.effects.broken.is_some() {
            return false;
        }
        let Some(ring) = self.queues.get(usize::from(queue)).and_then(|q| q.ring()) else {
            return false;
        };
        match ring.available(self.dma) {
            Ok(any) => any,
            Err(e) => {
                self.broke(queue, e);
                false
            }
        }
    }

    /// Takes the next chain of `queue`. `None` if there is none, the queue is not ready, the device needs a reset or
    /// the call has done enough.
    pub fn pop(&mut self, queue: u16) -> Option<Chain> {
        if self.effects.broken.is_some() || self.exhausted() {
            return None;
        }
        let ring = self.queues.get_mut(usize::from(queue))?.ring_mut()?;
        match ring.take(self.dma) {
            Ok(chain) => {
                self.chains -= u32::from(chain.is_some());
                chain
            }
            Err(e) => {
                self.broke(queue, e);
                None
            }
        }
    }

    /// Gives `chain` back after its first `written` bytes were written.
    pub fn push(&mut self, queue: u16, chain: &Chain, written: u64) {
        if self.effects.broken.is_some() {
            return;
        }
        let Some(q) = self.queues.get_mut(usize::from(queue)) else {
            return;
        };
        let Some(ring) = q.ring_mut() else { return };
        let result = ring.give(self.dma, chain.head, written.min(u32::MAX.into()) as u32);
        q.used_some = true;
        if let Err(e) = result {
            self.broke(queue, e);
        }
    }

    /// Reads from `offset` of the readable part of `chain`.
    ///
    /// # Errors
    /// As [`Chain::read`].
    pub fn read(&mut self, chain: &Chain, offset: u64, buf: &mut [u8]) -> Result<(), BusError> {
        self.bytes = self.bytes.saturating_sub(buf.len() as u64);
        chain.read(self.dma, offset, buf)
    }

    /// Writes at `offset` of the writable part of `chain`.
    ///
    /// # Errors
    /// As [`Chain::write`].
    pub fn write(&mut self, chain: &Chain, offset: u64, data: &[u8]) -> Result<(), BusError> {
        self.bytes = self.bytes.saturating_sub(data.len() as u64);
        chain.write(self.dma, offset, data)
    }

    /// The configuration space changed: the driver is told.
    pub fn config_changed(&mut self) {
        self.effects.config_changed = true;
    }
}
