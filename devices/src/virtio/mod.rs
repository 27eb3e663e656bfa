//! Virtio devices (Virtual I/O Device specification 1.3) and their MMIO transport.
//!
//! A device type ([`Blk`], [`Rng`], [`Console`]) implements [`VirtioDevice`]; a transport ([`VirtioMmio`]) puts it
//! behind registers. What transports share (status, features, queues, interrupts) is [`transport::Frontend`].
//!
//! ```text
//! guest ── registers ── VirtioMmio ── Frontend ── Virtqueue (split ring) ── Dma
//!                                        │
//!                                   VirtioDevice ── back end
//! ```
//!
//! Not implemented: the packed ring (the seam for it is [`queue::Ring`]), `IN_ORDER`, `NOTIFICATION_DATA`, shared
//! memory regions, the administration queue, and big-endian guests on the legacy interface.

pub mod blk;
pub mod console;
pub mod device;
pub mod features;
pub mod mmio;
pub mod queue;
pub mod rng;
pub mod transport;

#[cfg(test)]
mod blk_test;
#[cfg(test)]
mod console_test;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod mmio_test;

pub use blk::{Blk, BlkOptions};
pub use console::{Console, ConsoleSize, Port};
pub use device::{DeviceState, Io, VirtioDevice};
pub use features::{Features, Status};
pub use mmio::{MmioVersion, VirtioMmio};
pub use queue::{Chain, QueueError};
pub use rng::{EntropySource, HostEntropy, Rng, SeededEntropy};
