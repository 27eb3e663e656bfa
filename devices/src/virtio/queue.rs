//! Virtqueues: the split ring (sections 2.6 and 2.7), device side.
//!
//! Everything in the ring is written by the guest and is read exactly once: a descriptor is copied before it is looked
//! at, and a [`Chain`] holds the copies. A chain is refused, and the device then needs a reset, if it loops, has more
//! descriptors than allowed, describes more than 4 GiB, puts a readable buffer behind a writable one, or uses indirect
//! tables in a way section 2.7.5.3 forbids.
//!
//! Not implemented: the packed ring. It will be a second [`Ring`].

use crate::dma::{BusError, Dma};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{Ordering, fence};

/// Largest size of a split ring (section 2.7).
pub const MAX_QUEUE_SIZE: u16 = 32768;

/// Most descriptors in an indirect table. Linux makes chains longer than the queue, so that is not the limit.
pub const MAX_INDIRECT: u32 = 1024;

const DESC_NEXT: u16 = 1;
const DESC_WRITE: u16 = 2;
const DESC_INDIRECT: u16 = 4;
const AVAIL_NO_INTERRUPT: u16 = 1;
const USED_NO_NOTIFY: u16 = 1;

/// What the guest did wrong with a ring. The device needs a reset afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The ring, an indirect table or a buffer is not in memory.
    #[error("The ring or a buffer cannot be reached: {0}")]
    Bus(#[from] BusError),
    /// The driver made more buffers available than the ring holds.
    #[error("The available index is {index} entries ahead in a ring of {size}")]
    AvailableIndex {
        /// How far it is ahead.
        index: u16,
        /// The ring's size.
        size: u16,
    },
    /// A head or next index is not below the table's size.
    #[error("Descriptor {index} is outside the table of {size}")]
    Index {
        /// The index.
        index: u16,
        /// The table's size.
        size: u32,
    },
    /// The chain loops or is longer than allowed.
    #[error("A descriptor chain loops or is too long")]
    TooLong,
    /// The buffers of a chain exceed 2^32 bytes.
    #[error("A descriptor chain describes more than 4 GiB")]
    TooLarge,
    /// A readable buffer follows a writable one.
    #[error("A readable buffer follows a writable one")]
    Order,
    /// Indirect tables were not negotiated, nest, are chained on, or have a wrong length.
    #[error("An indirect descriptor is not allowed or malformed")]
    Indirect,
    /// The ring's size or the alignment of one of its parts is wrong.
    #[error("The queue's size or addresses are not valid")]
    Layout,
}

/// A part of a chain, in guest memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buffer {
    /// Guest address.
    #[serde(default)]
    pub addr: u64,
    /// Bytes.
    #[serde(default)]
    pub len: u32,
}

/// A descriptor chain, copied from the ring.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Chain {
    /// The head descriptor's index, which names the chain to the driver.
    pub head: u16,
    /// What the device may read.
    pub readable: Vec<Buffer>,
    /// What the device may write.
    pub writable: Vec<Buffer>,
}

fn total(of: &[Buffer]) -> u64 {
    of.iter().map(|b| u64::from(b.len)).sum()
}

/// Calls `f` with the address and range in the data of each part of `[offset, offset + len)` of the buffers.
fn each_part(
    of: &[Buffer],
    offset: u64,
    len: usize,
    mut f: impl FnMut(u64, std::ops::Range<usize>) -> Result<(), BusError>,
) -> Result<(), BusError> {
    let (mut skip, mut done) = (offset, 0usize);
    for b in of {
        if done == len {
            break;
        }
        let here = u64::from(b.len);
        if skip >= here {
            skip -= here;
            continue;
        }
        let n = usize::try_from(here - skip)
            .unwrap_or(usize::MAX)
            .min(len - done);
        f(b.addr.wrapping_add(skip), done..done + n)?;
        skip = 0;
        done += n;
    }
    if done == len {
        Ok(())
    } else {
        Err(BusError::Budget)
    }
}

impl Chain {
    /// Bytes the device may read.
    #[must_use]
    pub fn readable_len(&self) -> u64 {
        total(&self.readable)
    }

    /// Bytes the device may write.
    #[must_use]
    pub fn writable_len(&self) -> u64 {
        total(&self.writable)
    }

    /// Reads from `offset` in the readable part.
    ///
    /// # Errors
    /// A buffer is not in memory, or the chain is shorter ([`BusError::Budget`]).
    pub fn read(&self, dma: &Dma, offset: u64, buf: &mut [u8]) -> Result<(), BusError> {
        each_part(&self.readable, offset, buf.len(), |at, r| {
            dma.read_bytes(at, buf.get_mut(r).unwrap_or_default())
        })
    }

    /// Writes at `offset` in the writable part.
    ///
    /// # Errors
    /// A buffer is not in writable memory, or the chain is shorter ([`BusError::Budget`]).
    pub fn write(&self, dma: &Dma, offset: u64, data: &[u8]) -> Result<(), BusError> {
        each_part(&self.writable, offset, data.len(), |at, r| {
            dma.write_bytes(at, data.get(r).unwrap_or_default())
        })
    }
}

/// A ring format, device side.
pub trait Ring {
    /// Takes the next available chain. When there is none, the driver is asked to notify of the next one, and the ring
    /// was looked at once more after that.
    ///
    /// # Errors
    /// The guest broke the ring.
    fn take(&mut self, dma: &Dma) -> Result<Option<Chain>, QueueError>;

    /// Whether a chain is available.
    ///
    /// # Errors
    /// The guest broke the ring.
    fn available(&self, dma: &Dma) -> Result<bool, QueueError>;

    /// Gives a chain back after `written` bytes were written to its front.
    ///
    /// # Errors
    /// The ring is not in memory.
    fn give(&mut self, dma: &Dma, head: u16, written: u32) -> Result<(), QueueError>;

    /// Whether the driver wants an interrupt for what was given since the last call.
    ///
    /// # Errors
    /// The ring is not in memory.
    fn interrupt_due(&mut self, dma: &Dma) -> Result<bool, QueueError>;
}

/// A split ring. All of it is saved state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SplitRing {
    size: u16,
    desc: u64,
    avail: u64,
    used: u64,
    event_idx: bool,
    indirect: bool,
    next_avail: u16,
    next_used: u16,
    /// `next_used` when [`Ring::interrupt_due`] was last asked.
    asked: u16,
    /// Without `EVENT_IDX`: whether the driver was told not to notify.
    muted: bool,
    /// With `EVENT_IDX`: what `avail_event` was last set to.
    avail_event: u16,
}

struct Descriptor {
    addr: u64,
    len: u32,
    flags: u16,
    next: u16,
}

fn descriptor(dma: &Dma, table: u64, index: u16) -> Result<Descriptor, QueueError> {
    let mut raw = [0u8; 16];
    dma.read_bytes(table.wrapping_add(16 * u64::from(index)), &mut raw)?;
    let v = u128::from_le_bytes(raw);
    Ok(Descriptor {
        addr: v as u64,
        len: (v >> 64) as u32,
        flags: (v >> 96) as u16,
        next: (v >> 112) as u16,
    })
}

impl SplitRing {
    /// A ring of `size` entries with its three parts at the given guest addresses.
    ///
    /// # Errors
    /// [`QueueError::Layout`] if `size` is not a power of 2 from 1 to 32768, or a part is not aligned to 16, 2 and 4.
    pub fn new(
        size: u16,
        [desc, avail, used]: [u64; 3],
        event_idx: bool,
        indirect: bool,
    ) -> Result<Self, QueueError> {
        let ring = Self {
            size,
            desc,
            avail,
            used,
            event_idx,
            indirect,
            ..Self::default()
        };
        ring.check()?;
        Ok(ring)
    }

    /// The same check, for restored state.
    pub(crate) fn check(&self) -> Result<(), QueueError> {
        let ok = self.size.is_power_of_two()
            && self.size <= MAX_QUEUE_SIZE
            && self.desc.is_multiple_of(16)
            && self.avail.is_multiple_of(2)
            && self.used.is_multiple_of(4)
            && self.in_flight() <= self.size;
        if ok { Ok(()) } else { Err(QueueError::Layout) }
    }

    /// Entries.
    #[must_use]
    pub fn size(&self) -> u16 {
        self.size
    }

    /// Chains taken and not given back.
    #[must_use]
    pub fn in_flight(&self) -> u16 {
        self.next_avail.wrapping_sub(self.next_used)
    }

    fn slot(&self, index: u16) -> u64 {
        u64::from(index & self.size.wrapping_sub(1))
    }

    /// How many chains are available beyond those taken.
    fn ahead(&self, dma: &Dma) -> Result<u16, QueueError> {
        let ahead = dma
            .read_u16(self.avail.wrapping_add(2))?
            .wrapping_sub(self.next_avail);
        if u32::from(ahead) + u32::from(self.in_flight()) > u32::from(self.size) {
            return Err(QueueError::AvailableIndex {
                index: ahead,
                size: self.size,
            });
        }
        Ok(ahead)
    }

    /// Asks for a notification of the next chain. Returns whether that needed telling.
    fn listen(&mut self, dma: &Dma) -> Result<bool, QueueError> {
        if self.event_idx {
            if self.avail_event == self.next_avail {
                return Ok(false);
            }
            let at = self.used.wrapping_add(4 + 8 * u64::from(self.size));
            dma.write_u16(at, self.next_avail)?;
            self.avail_event = self.next_avail;
        } else {
            if !self.muted {
                return Ok(false);
            }
            dma.write_u16(self.used, 0)?;
            self.muted = false;
        }
        // The driver writes the index, then reads what was just written.
        fence(Ordering::SeqCst);
        Ok(true)
    }

    fn chain(&self, dma: &Dma, head: u16) -> Result<Chain, QueueError> {
        let mut chain = Chain {
            head,
            ..Chain::default()
        };
        let (mut table, mut entries, mut left) =
            (self.desc, u32::from(self.size), u32::from(self.size));
        let (mut index, mut nested, mut bytes) = (head, false, 0u64);
        loop {
            if u32::from(index) >= entries {
                return Err(QueueError::Index {
                    index,
                    size: entries,
                });
            }
            left = left.checked_sub(1).ok_or(QueueError::TooLong)?;
            let d = descriptor(dma, table, index)?;
            if d.flags & DESC_INDIRECT != 0 {
                entries = d.len / 16;
                if !self.indirect
                    || nested
                    || d.flags & DESC_NEXT != 0
                    || !d.len.is_multiple_of(16)
                    || entries == 0
                    || entries > MAX_INDIRECT
                {
                    return Err(QueueError::Indirect);
                }
                (table, left, index, nested) = (d.addr, entries, 0, true);
                continue;
            }
            bytes += u64::from(d.len);
            if bytes > 1 << 32 {
                return Err(QueueError::TooLarge);
            }
            let buffer = Buffer {
                addr: d.addr,
                len: d.len,
            };
            if d.flags & DESC_WRITE != 0 {
                chain.writable.push(buffer);
            } else if chain.writable.is_empty() {
                chain.readable.push(buffer);
            } else {
                return Err(QueueError::Order);
            }
            if d.flags & DESC_NEXT == 0 {
                return Ok(chain);
            }
            index = d.next;
        }
    }
}

impl Ring for SplitRing {
    fn take(&mut self, dma: &Dma) -> Result<Option<Chain>, QueueError> {
        if self.ahead(dma)? == 0 && !(self.listen(dma)? && self.ahead(dma)? > 0) {
            return Ok(None);
        }
        if !self.event_idx && !self.muted {
            dma.write_u16(self.used, USED_NO_NOTIFY)?;
            self.muted = true;
        }
        let at = self.avail.wrapping_add(4 + 2 * self.slot(self.next_avail));
        let head = dma.read_u16(at)?;
        let chain = self.chain(dma, head)?;
        self.next_avail = self.next_avail.wrapping_add(1);
        Ok(Some(chain))
    }

    fn available(&self, dma: &Dma) -> Result<bool, QueueError> {
        Ok(self.ahead(dma)? > 0)
    }

    fn give(&mut self, dma: &Dma, head: u16, written: u32) -> Result<(), QueueError> {
        let at = self.used.wrapping_add(4 + 8 * self.slot(self.next_used));
        let element = u64::from(head) | u64::from(written) << 32;
        dma.write_bytes(at, &element.to_le_bytes())?;
        self.next_used = self.next_used.wrapping_add(1);
        // A release store: the element is visible before the index.
        dma.write_u16(self.used.wrapping_add(2), self.next_used)?;
        Ok(())
    }

    fn interrupt_due(&mut self, dma: &Dma) -> Result<bool, QueueError> {
        // The driver writes used_event or its flags, then reads the index.
        fence(Ordering::SeqCst);
        if !self.event_idx {
            return Ok(dma.read_u16(self.avail)? & AVAIL_NO_INTERRUPT == 0);
        }
        let event = dma.read_u16(self.avail.wrapping_add(4 + 2 * u64::from(self.size)))?;
        let (old, new) = (self.asked, self.next_used);
        self.asked = new;
        // Section 2.7.7.2: the event index lies among the entries given since.
        Ok(new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old))
    }
}
