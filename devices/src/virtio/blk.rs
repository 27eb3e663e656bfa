//! The block device (section 5.2).
//!
//! Requests are parsed in the order of the queue and run concurrently through a [`BlockBackend`]; they complete in any
//! order. A request larger than 1 MiB goes to the back end in pieces, so that the memory it takes is bounded however
//! large it is. At most [`BlockBackend::max_in_flight`] requests run; others wait in the ring.
//!
//! A reset forgets the requests in flight. New ones wait until the forgotten ones have ended, so that a late write can
//! not overtake a newer one.
//!
//! Not implemented: geometry, SCSI commands and barriers of the legacy interface, lifetime, secure erase, zones.

use super::device::{DeviceState, Io, VirtioDevice};
use super::features::Features;
use super::queue::Chain;
use crate::block::{BlockBackend, BlockError, BlockOp, BlockRequest, Completion};
use crate::{Notifier, RestoreError};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Numbers of section 5.2.
pub mod spec {
    #![allow(missing_docs)]
    pub const F_SIZE_MAX: u64 = 1 << 1;
    pub const F_SEG_MAX: u64 = 1 << 2;
    pub const F_RO: u64 = 1 << 5;
    pub const F_BLK_SIZE: u64 = 1 << 6;
    pub const F_FLUSH: u64 = 1 << 9;
    pub const F_TOPOLOGY: u64 = 1 << 10;
    pub const F_CONFIG_WCE: u64 = 1 << 11;
    pub const F_MQ: u64 = 1 << 12;
    pub const F_DISCARD: u64 = 1 << 13;
    pub const F_WRITE_ZEROES: u64 = 1 << 14;

    pub const T_IN: u32 = 0;
    pub const T_OUT: u32 = 1;
    pub const T_FLUSH: u32 = 4;
    pub const T_GET_ID: u32 = 8;
    pub const T_DISCARD: u32 = 11;
    pub const T_WRITE_ZEROES: u32 = 13;

    pub const S_OK: u8 = 0;
    pub const S_IOERR: u8 = 1;
    pub const S_UNSUPP: u8 = 2;

    pub const SECTOR: u64 = 512;
    /// Offset of `writeback` in the configuration space.
    pub const CONFIG_WRITEBACK: u64 = 32;
}
use spec::*;

const HEADER: u64 = 16;
const RANGE: u64 = 16;
const ID_LEN: usize = 20;
/// Largest piece of a request that goes to the back end at once.
const PIECE: u64 = 1 << 20;
/// Ranges in one discard or write-zeroes request.
const MAX_RANGES: u64 = 32;
/// Sectors in one such range: 2 GiB to discard, 32 MiB to zero, which may mean writing.
const MAX_DISCARD: u32 = 1 << 22;
const MAX_ZEROES: u32 = 1 << 16;

/// How a [`Blk`] presents itself.
#[derive(Clone, Debug)]
pub struct BlkOptions {
    /// Request queues, 1 to 64.
    pub queues: u16,
    /// Largest queue size, a power of 2.
    pub queue_size: u16,
    /// Logical block size in bytes: a power of 2 from 512.
    pub block_size: u32,
    /// Logical blocks in a physical block, as a power of 2.
    pub physical_block_exp: u8,
    /// Smallest efficient request in logical blocks.
    pub min_io_blocks: u16,
    /// Best request in logical blocks; 0 for no preference.
    pub opt_io_blocks: u32,
    /// Largest buffer of a request in bytes, if there is to be a limit.
    pub size_max: Option<u32>,
    /// The disk's identification: up to 20 bytes of ASCII.
    pub serial: String,
    /// Whether the cache starts in writeback mode (drivers flush) rather than writethrough.
    pub writeback: bool,
    /// Whether discard and write zeroes are offered.
    pub discard: bool,
}

impl Default for BlkOptions {
    fn default() -> Self {
        Self {
            queues: 1,
            queue_size: 256,
            block_size: 512,
            physical_block_exp: 3,
            min_io_blocks: 1,
            opt_io_blocks: 0,
            size_max: None,
            serial: String::new(),
            writeback: true,
            discard: true,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Range {
    offset: u64,
    len: u64,
    unmap: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    #[default]
    Flush,
    Read,
    Write,
    Discard(Vec<Range>),
    Zero(Vec<Range>),
}

/// A request that has been taken from its queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Pending {
    queue: u16,
    chain: Chain,
    kind: Kind,
    /// Bytes on the disk.
    offset: u64,
    /// Bytes, or number of ranges.
    total: u64,
    /// Of `total`.
    done: u64,
    /// The data is written and the flush of writethrough mode follows.
    flushing: bool,
    /// With the back end now.
    #[serde(skip)]
    submitted: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct State {
    writeback: bool,
    pending: Vec<Pending>,
}

/// A disk.
pub struct Blk {
    backend: Box<dyn BlockBackend>,
    options: BlkOptions,
    queue_sizes: Vec<u16>,
    capacity: u64,
    max_in_flight: usize,
    writeback: bool,
    next_id: u64,
    pending: BTreeMap<u64, Pending>,
    /// Requests forgotten by a reset that the back end has not completed yet.
    stale: BTreeSet<u64>,
    /// A queue was not served because of `stale` or too many requests in flight.
    blocked: bool,
}

enum Start {
    Run(Pending),
    /// Ends at once, with this many bytes of data written.
    End(u8, u64),
}

impl Blk {
    /// A disk with the contents of `backend`. Options out of range are brought into it.
    #[must_use]
    pub fn new(backend: Box<dyn BlockBackend>, mut options: BlkOptions) -> Self {
        options.queues = options.queues.clamp(1, 64);
        options.queue_size = options.queue_size.clamp(4, 1024).next_power_of_two();
        options.block_size = options.block_size.clamp(512, 1 << 20).next_power_of_two();
        Self {
            queue_sizes: vec![options.queue_size; options.queues.into()],
            capacity: backend.len() / SECTOR * SECTOR,
            max_in_flight: backend.max_in_flight().max(1),
            writeback: options.writeback,
            next_id: 0,
            pending: BTreeMap::new(),
            stale: BTreeSet::new(),
            blocked: false,
            backend,
            options,
        }
    }

    /// Whether a write need not be durable when it completes: not unless the driver can flush and left writeback on.
    fn writes_back(&self, features: Features) -> bool {
        features.has(F_FLUSH) && (self.writeback || !features.has(F_CONFIG_WCE))
    }

    fn config(&self, features: Features) -> Vec<u8> {
        let o = &self.options;
        let mut c = Vec::with_capacity(60);
        c.extend((self.capacity / SECTOR).to_le_bytes());
        c.extend(o.size_max.unwrap_or(0).to_le_bytes());
        // Header and status take two descriptors.
        c.extend((u32::from(o.queue_size) - 2).min(254).to_le_bytes());
        c.extend([0; 4]);
        c.extend(o.block_size.to_le_bytes());
        c.extend([o.physical_block_exp, 0]);
        c.extend(o.min_io_blocks.to_le_bytes());
        c.extend(o.opt_io_blocks.to_le_bytes());
        let writeback = if features.has(F_CONFIG_WCE) {
            self.writes_back(features)
        } else {
            self.writeback
        };
        c.extend([u8::from(writeback), 0]);
        c.extend(o.queues.to_le_bytes());
        if o.discard && !self.backend.read_only() {
            c.extend(MAX_DISCARD.to_le_bytes());
            c.extend((MAX_RANGES as u32).to_le_bytes());
            c.extend((o.block_size / SECTOR as u32).to_le_bytes());
            c.extend(MAX_ZEROES.to_le_bytes());
            c.extend((MAX_RANGES as u32).to_le_bytes());
            c.extend([1, 0, 0, 0]);
        }
        c
    }

    fn inside(&self, offset: u64, len: u64) -> bool {
        offset
            .checked_add(len)
            .is_some_and(|end| end <= self.capacity)
    }

    fn ranges(&self, io: &mut Io<'_>, chain: &Chain, zero: bool) -> Result<Vec<Range>, u8> {
        let len = chain.readable_len().saturating_sub(HEADER);
        if len == 0 || !len.is_multiple_of(RANGE) || len / RANGE > MAX_RANGES {
            return Err(S_IOERR);
        }
        let mut out = Vec::new();
        for n in 0..len / RANGE {
            let mut raw = [0; RANGE as usize];
            io.read(chain, HEADER + n * RANGE, &mut raw)
                .map_err(|_| S_IOERR)?;
            let v = u128::from_le_bytes(raw);
            let (sector, sectors, flags) = (v as u64, (v >> 64) as u32, (v >> 96) as u32);
            if flags & !u32::from(zero) != 0 {
                return Err(S_UNSUPP);
            }
            let range = Range {
                offset: sector.checked_mul(SECTOR).ok_or(S_IOERR)?,
                len: u64::from(sectors) * SECTOR,
                unmap: flags & 1 != 0,
            };
            let limit = if zero { MAX_ZEROES } else { MAX_DISCARD };
            if sectors > limit || !self.inside(range.offset, range.len) {
                return Err(S_IOERR);
            }
            out.push(range);
        }
        Ok(out)
    }

    /// Reads a request's header and decides. The header is read once.
    fn parse(&self, io: &mut Io<'_>, queue: u16, chain: &Chain) -> Start {
        let mut header = [0; HEADER as usize];
        if io.read(chain, 0, &mut header).is_err() {
            return Start::End(S_IOERR, 0);
        }
        let v = u128::from_le_bytes(header);
        let (kind, sector) = (v as u32, (v >> 64) as u64);
        let room = chain.writable_len().saturating_sub(1);
        let data = chain.readable_len().saturating_sub(HEADER);
        let run = |kind, offset, total| {
            Start::Run(Pending {
                queue,
                chain: chain.clone(),
                kind,
                offset,
                total,
                ..Pending::default()
            })
        };
        let writable = !self.backend.read_only();
        match kind {
            T_IN | T_OUT => {
                let total = if kind == T_IN { room } else { data };
                let Some(offset) = sector.checked_mul(SECTOR) else {
                    return Start::End(S_IOERR, 0);
                };
                let ok = total.is_multiple_of(SECTOR)
                    && self.inside(offset, total)
                    && (kind == T_IN || writable);
                match (ok, total) {
                    (false, _) => Start::End(S_IOERR, 0),
                    (true, 0) => Start::End(S_OK, 0),
                    _ if kind == T_IN => run(Kind::Read, offset, total),
                    _ => run(Kind::Write, offset, total),
                }
            }
            T_FLUSH => run(Kind::Flush, 0, 1),
            T_GET_ID => {
                let mut id = [0; ID_LEN];
                for (to, from) in id.iter_mut().zip(self.options.serial.bytes()) {
                    *to = from;
                }
                let n = room.min(ID_LEN as u64);
                match io.write(chain, 0, id.get(..n as usize).unwrap_or_default()) {
                    Ok(()) => Start::End(S_OK, n),
                    Err(_) => Start::End(S_IOERR, 0),
                }
            }
            T_DISCARD | T_WRITE_ZEROES if !self.options.discard => Start::End(S_UNSUPP, 0),
            T_DISCARD | T_WRITE_ZEROES if !writable => Start::End(S_IOERR, 0),
            T_DISCARD | T_WRITE_ZEROES => {
                let zero = kind == T_WRITE_ZEROES;
                match self.ranges(io, chain, zero) {
                    Err(status) => Start::End(status, 0),
                    Ok(ranges) => {
                        let total = ranges.len() as u64;
                        let kind = if zero {
                            Kind::Zero(ranges)
                        } else {
                            Kind::Discard(ranges)
                        };
                        run(kind, 0, total)
                    }
                }
            }
            _ => Start::End(S_UNSUPP, 0),
        }
    }

    /// Writes the status, which is the last writable byte, and gives the chain back.
    fn complete(io: &mut Io<'_>, queue: u16, chain: &Chain, status: u8, data: u64) {
        let at = chain.writable_len();
        let mut written = data;
        // Without room for a status there is nothing to say.
        if let Some(last) = at.checked_sub(1)
            && io.write(chain, last, &[status]).is_ok()
            && data == last
        {
            written = at;
        }
        io.push(queue, chain, written);
    }

    fn end(io: &mut Io<'_>, p: &Pending, status: u8) {
        let data = if p.kind == Kind::Read { p.done } else { 0 };
        Self::complete(io, p.queue, &p.chain, status, data);
    }

    /// Submits the next piece of a request, or ends it.
    fn step(&mut self, io: &mut Io<'_>, id: u64) {
        let Some(p) = self.pending.get_mut(&id) else {
            return;
        };
        let op = if p.flushing {
            Some(BlockOp::Flush)
        } else {
            let (offset, len) = (
                p.offset.saturating_add(p.done),
                p.total.saturating_sub(p.done).min(PIECE),
            );
            match &p.kind {
                Kind::Flush => Some(BlockOp::Flush),
                Kind::Read => Some(BlockOp::Read { offset, len }),
                Kind::Write => {
                    let mut data = vec![0; len as usize];
                    let read = io.read(&p.chain, HEADER.saturating_add(p.done), &mut data);
                    read.ok().map(|()| BlockOp::Write { offset, data })
                }
                Kind::Discard(r) => r.get(p.done as usize).map(|r| BlockOp::Discard {
                    offset: r.offset,
                    len: r.len,
                }),
                Kind::Zero(r) => r.get(p.done as usize).map(|r| BlockOp::WriteZeroes {
                    offset: r.offset,
                    len: r.len,
                    unmap: r.unmap,
                }),
            }
        };
        match op {
            Some(op) => {
                p.submitted = true;
                self.backend.submit(BlockRequest { id, op });
            }
            None => {
                if let Some(p) = self.pending.remove(&id) {
                    Self::end(io, &p, S_IOERR);
                }
            }
        }
    }

    /// A piece of a request is done. Returns whether the request goes on.
    fn advance(&mut self, io: &mut Io<'_>, c: Completion) -> Option<u64> {
        let write_through = !self.writes_back(io.features());
        let p = self.pending.get_mut(&c.id)?;
        p.submitted = false;
        let result = c.result.map_err(|e| {
            log::debug!(target: "guest_errors", "virtio-blk: a request failed: {e}");
            if e == BlockError::Unsupported {
                S_UNSUPP
            } else {
                S_IOERR
            }
        });
        let status = match result {
            Err(status) => status,
            Ok(_) if p.flushing => S_OK,
            Ok(data) => {
                let step = match &p.kind {
                    Kind::Flush | Kind::Discard(_) | Kind::Zero(_) => 1,
                    Kind::Read | Kind::Write => p.total.saturating_sub(p.done).min(PIECE),
                };
                let stored = p.kind != Kind::Read
                    || data.len() as u64 == step && io.write(&p.chain, p.done, &data).is_ok();
                if stored {
                    p.done = p.done.saturating_add(step);
                    if p.done < p.total {
                        return Some(c.id);
                    }
                    if write_through && matches!(p.kind, Kind::Write | Kind::Zero(_)) {
                        p.flushing = true;
                        return Some(c.id);
                    }
                    S_OK
                } else {
                    S_IOERR
                }
            }
        };
        if let Some(p) = self.pending.remove(&c.id) {
            Self::end(io, &p, status);
        }
        None
    }

    /// Takes what the back end has completed, and goes on with it.
    fn collect(&mut self, io: &mut Io<'_>) {
        while let Some(c) = self.backend.poll() {
            if self.stale.remove(&c.id) {
                continue;
            }
            if let Some(id) = self.advance(io, c)
                // Otherwise `resume` finds it.
                && !io.exhausted()
            {
                self.step(io, id);
            }
        }
    }

    fn full(&self) -> bool {
        self.pending.len() >= self.max_in_flight
    }

    fn serve(&mut self, io: &mut Io<'_>, queue: u16) {
        loop {
            if !self.stale.is_empty() || self.full() {
                self.blocked = true;
                return;
            }
            let Some(chain) = io.pop(queue) else { return };
            match self.parse(io, queue, &chain) {
                Start::End(status, data) => Self::complete(io, queue, &chain, status, data),
                Start::Run(p) => {
                    let id = self.next_id;
                    self.next_id = id.wrapping_add(1);
                    self.pending.insert(id, p);
                    self.step(io, id);
                    self.collect(io);
                }
            }
        }
    }

    fn forget(&mut self, queue: Option<u16>) {
        let stale = &mut self.stale;
        self.pending.retain(|id, p| {
            if queue.is_some_and(|q| q != p.queue) {
                return true;
            }
            if p.submitted {
                stale.insert(*id);
            }
            false
        });
    }

    fn drop_stale(&mut self) {
        while let Some(c) = self.backend.poll() {
            self.stale.remove(&c.id);
        }
    }
}

impl VirtioDevice for Blk {
    fn device_id(&self) -> u32 {
        2
    }

    fn features(&self) -> Features {
        let mut f = F_SEG_MAX | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY | F_CONFIG_WCE;
        let read_only = self.backend.read_only();
        for (on, bit) in [
            (self.options.size_max.is_some(), F_SIZE_MAX),
            (read_only, F_RO),
            (self.options.queues > 1, F_MQ),
            (
                self.options.discard && !read_only,
                F_DISCARD | F_WRITE_ZEROES,
            ),
        ] {
            if on {
                f |= bit;
            }
        }
        Features::device(f)
    }

    fn queue_sizes(&self) -> &[u16] {
        &self.queue_sizes
    }

    fn attach(&mut self, notifier: &Notifier) {
        self.backend.attach(notifier.clone(), 0);
    }

    fn config_read(&self, features: Features, offset: u64, buf: &mut [u8]) {
        let config = self.config(features);
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        for (to, from) in buf.iter_mut().zip(config.iter().skip(from)) {
            *to = *from;
        }
    }

    fn config_write(&mut self, features: Features, offset: u64, data: &[u8]) {
        if let (CONFIG_WRITEBACK, [value, ..]) = (offset, data)
            && features.has(F_CONFIG_WCE)
        {
            self.writeback = *value != 0;
        }
    }

    fn reset(&mut self) {
        self.forget(None);
        self.blocked = false;
        self.writeback = self.options.writeback;
    }

    fn queue_reset(&mut self, queue: u16) {
        self.forget(Some(queue));
    }

    fn queue_notified(&mut self, io: &mut Io<'_>, queue: u16) {
        self.serve(io, queue);
    }

    fn event(&mut self, io: &mut Io<'_>, _token: u32) {
        self.collect(io);
        if std::mem::take(&mut self.blocked) {
            for queue in 0..io.queue_count() {
                self.serve(io, queue);
            }
        }
    }

    fn idle_event(&mut self, _token: u32) {
        self.drop_stale();
    }

    fn resume(&mut self, io: &mut Io<'_>) {
        self.blocked = false;
        let waiting: Vec<u64> = self
            .pending
            .iter()
            .filter(|(_, p)| !p.submitted)
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            if io.exhausted() {
                return;
            }
            self.step(io, id);
        }
        self.collect(io);
    }

    fn unfinished(&self) -> bool {
        !self.pending.is_empty() || self.blocked
    }

    fn quiesce(&mut self) -> bool {
        // What is not with the back end is saved and goes on after a restore.
        self.stale.is_empty() && self.pending.values().all(|p| !p.submitted)
    }

    fn save(&self) -> DeviceState {
        DeviceState::new(&State {
            writeback: self.writeback,
            pending: self.pending.values().cloned().collect(),
        })
    }

    fn restore(&mut self, state: DeviceState) -> Result<(), RestoreError> {
        let s: State = state.get()?;
        if s.pending.len() > self.max_in_flight.max(1024) {
            return Err(RestoreError::invalid(
                "virtio-blk: too many requests in flight",
            ));
        }
        for p in &s.pending {
            let known = match &p.kind {
                Kind::Flush => p.total == 1,
                Kind::Read => self.inside(p.offset, p.total) && p.total < p.chain.writable_len(),
                Kind::Write => {
                    self.inside(p.offset, p.total)
                        && p.total.saturating_add(HEADER) <= p.chain.readable_len()
                }
                Kind::Discard(r) | Kind::Zero(r) => {
                    p.total == r.len() as u64
                        && p.total <= MAX_RANGES
                        && r.iter().all(|r| self.inside(r.offset, r.len))
                }
            };
            let parts = p.chain.readable.len() + p.chain.writable.len();
            if !known || p.queue >= self.options.queues || p.done > p.total || parts > 1 << 16 {
                return Err(RestoreError::invalid(
                    "virtio-blk: a request that cannot be",
                ));
            }
        }
        self.writeback = s.writeback;
        for p in s.pending {
            self.pending.insert(self.next_id, p);
            self.next_id = self.next_id.wrapping_add(1);
        }
        Ok(())
    }
}
