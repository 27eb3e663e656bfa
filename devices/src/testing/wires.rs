//! Recording far ends.

use crate::dma::{BusError, DmaTarget, Gpa, StreamId};
use crate::{IrqTarget, MsiMessage, MsiTarget, NotifyTarget};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One change of an interrupt line, as the target heard it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IrqEvent {
    /// The input.
    pub line: u32,
    /// Its new level.
    pub level: bool,
    /// Whether this came from restored state, that is without an edge.
    pub restored: bool,
}

#[derive(Default)]
struct IrqLog {
    levels: BTreeMap<u32, bool>,
    events: Vec<IrqEvent>,
}

/// An interrupt target that records levels and events.
#[derive(Default)]
pub struct TestIrq(Mutex<IrqLog>);

impl TestIrq {
    /// The level of `line`.
    pub fn level(&self, line: u32) -> bool {
        lock(&self.0).levels.get(&line).copied().unwrap_or(false)
    }

    /// The lines that are high.
    pub fn high(&self) -> Vec<u32> {
        lock(&self.0)
            .levels
            .iter()
            .filter(|(_, l)| **l)
            .map(|(n, _)| *n)
            .collect()
    }

    /// What was heard since the last call.
    pub fn take(&self) -> Vec<IrqEvent> {
        std::mem::take(&mut lock(&self.0).events)
    }

    fn record(&self, line: u32, level: bool, restored: bool) {
        let mut log = lock(&self.0);
        log.levels.insert(line, level);
        if log.events.len() < 1 << 16 {
            log.events.push(IrqEvent {
                line,
                level,
                restored,
            });
        }
    }
}

impl IrqTarget for TestIrq {
    fn set_irq(&self, line: u32, level: bool) {
        self.record(line, level, false);
    }
    fn restore_irq(&self, line: u32, level: bool) {
        self.record(line, level, true);
    }
}

/// An MSI target that records messages.
#[derive(Default)]
pub struct TestMsi(Mutex<Vec<(MsiMessage, StreamId)>>);

impl TestMsi {
    /// What was sent since the last call.
    pub fn take(&self) -> Vec<(MsiMessage, StreamId)> {
        std::mem::take(&mut *lock(&self.0))
    }
}

impl MsiTarget for TestMsi {
    fn send(&self, message: MsiMessage, source: StreamId) {
        let mut log = lock(&self.0);
        if log.len() < 1 << 16 {
            log.push((message, source));
        }
    }
}

/// A notification target that records tokens.
#[derive(Default)]
pub struct TestNotify(Mutex<Vec<u32>>, std::sync::Condvar);

impl TestNotify {
    /// The tokens notified since the last call.
    pub fn take(&self) -> Vec<u32> {
        std::mem::take(&mut *lock(&self.0))
    }

    /// Waits until something was notified, then takes it.
    pub fn wait(&self) -> Vec<u32> {
        let mut tokens = lock(&self.0);
        while tokens.is_empty() {
            tokens = self.1.wait(tokens).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::take(&mut *tokens)
    }
}

impl NotifyTarget for TestNotify {
    fn notify(&self, token: u32) {
        let mut tokens = lock(&self.0);
        if tokens.len() < 1 << 16 {
            tokens.push(token);
        }
        drop(tokens);
        self.1.notify_all();
    }
}

const CHUNK: u64 = 64;

/// Memory for DMA: sparse, answering the whole 64-bit space. Bytes never written come from a pool and are zero when
/// that is used up. Operations are counted against a budget, and what the device writes is recorded.
pub struct TestMemory(Mutex<MemoryState>);

#[derive(Clone)]
struct MemoryState {
    deny: bool,
    chunks: BTreeMap<u64, [u8; CHUNK as usize]>,
    pool: Vec<u8>,
    pool_at: usize,
    writes: Vec<(u64, Vec<u8>)>,
    bytes_left: u64,
    limited: bool,
    over_budget: bool,
    after_budget: u32,
}

/// How many operations a device may attempt after its budget is used up before the harness stops it by a panic: a
/// loop that ignores errors never ends by itself.
const PATIENCE: u32 = 10_000;

/// The text of the panic that stops a device which ignores its budget.
pub(crate) const RUNAWAY: &str = "device goes on with DMA after its budget is used up";

impl Default for TestMemory {
    fn default() -> Self {
        Self::with_pool(Vec::new(), false)
    }
}

impl MemoryState {
    fn new(pool: Vec<u8>, deny: bool) -> Self {
        Self {
            deny,
            chunks: BTreeMap::new(),
            pool,
            pool_at: 0,
            writes: Vec::new(),
            bytes_left: 0,
            limited: false,
            over_budget: false,
            after_budget: 0,
        }
    }

    fn spend(&mut self, at: u64, len: usize) -> Result<(), BusError> {
        if at.checked_add(len as u64).is_none() {
            return Err(BusError::Unmapped(Gpa(at)));
        }
        if self.deny && !self.limited {
            return Err(BusError::Denied(Gpa(at)));
        }
        if !self.limited {
            return Ok(());
        }
        // An operation costs something even if it moves nothing.
        match self.bytes_left.checked_sub(len as u64 + 8) {
            Some(left) => {
                self.bytes_left = left;
                if self.deny {
                    Err(BusError::Denied(Gpa(at)))
                } else {
                    Ok(())
                }
            }
            None => {
                self.over_budget = true;
                self.after_budget += 1;
                assert!(self.after_budget < PATIENCE, "{RUNAWAY}");
                Err(BusError::Budget)
            }
        }
    }

    fn chunk(&mut self, index: u64) -> &mut [u8; CHUNK as usize] {
        let (pool, pool_at) = (&self.pool, &mut self.pool_at);
        self.chunks.entry(index).or_insert_with(|| {
            let mut chunk = [0; CHUNK as usize];
            let n = pool.len().saturating_sub(*pool_at).min(chunk.len());
            chunk[..n].copy_from_slice(&pool[*pool_at..*pool_at + n]);
            *pool_at += n;
            chunk
        })
    }

    fn each(&mut self, at: u64, len: usize, mut f: impl FnMut(&mut [u8], std::ops::Range<usize>)) {
        let mut done = 0;
        while done < len {
            let here = at + done as u64;
            let start = (here % CHUNK) as usize;
            let n = (CHUNK as usize - start).min(len - done);
            f(
                &mut self.chunk(here / CHUNK)[start..start + n],
                done..done + n,
            );
            done += n;
        }
    }
}

impl MemoryState {
    /// As [`Self::each`] for reading: where nothing was written and the pool is used up there are zeros, which take no memory to read.
    fn view(&mut self, at: u64, buf: &mut [u8]) {
        let mut done = 0;
        while done < buf.len() {
            let here = at + done as u64;
            let start = (here % CHUNK) as usize;
            let n = (CHUNK as usize - start).min(buf.len() - done);
            let part = &mut buf[done..done + n];
            if self.pool_at < self.pool.len() || self.chunks.contains_key(&(here / CHUNK)) {
                part.copy_from_slice(&self.chunk(here / CHUNK)[start..start + n]);
            } else {
                part.fill(0);
            }
            done += n;
        }
    }
}

impl TestMemory {
    /// Memory whose unwritten bytes come from `pool`; with `deny`, every operation of the device fails.
    #[must_use]
    pub fn with_pool(pool: Vec<u8>, deny: bool) -> Self {
        Self(Mutex::new(MemoryState::new(pool, deny)))
    }

    /// Memory with the same contents and an empty log.
    pub(crate) fn duplicate(&self) -> Self {
        let mut state = lock(&self.0).clone();
        state.writes.clear();
        Self(Mutex::new(state))
    }

    /// Reads as the test, not as the device.
    pub fn peek(&self, at: u64, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        lock(&self.0).view(at, &mut out);
        out
    }

    /// Writes as the test, not as the device: not recorded.
    pub fn poke(&self, at: u64, data: &[u8]) {
        if at.checked_add(data.len() as u64).is_some() {
            lock(&self.0).each(at, data.len(), |m, r| m.copy_from_slice(&data[r]));
        }
    }

    /// What the device wrote since the last call, in order.
    pub fn take_writes(&self) -> Vec<(u64, Vec<u8>)> {
        std::mem::take(&mut lock(&self.0).writes)
    }

    /// Allows `bytes` of traffic from here on (each operation costs 8 more); further operations fail.
    pub fn set_budget(&self, bytes: Option<u64>) {
        let mut s = lock(&self.0);
        s.limited = bytes.is_some();
        s.bytes_left = bytes.unwrap_or(0);
        s.over_budget = false;
        s.after_budget = 0;
    }

    /// Whether the budget was exceeded since it was set.
    pub fn over_budget(&self) -> bool {
        lock(&self.0).over_budget
    }
}

impl DmaTarget for TestMemory {
    fn read(&self, at: Gpa, buf: &mut [u8], _: StreamId) -> Result<(), BusError> {
        let mut s = lock(&self.0);
        s.spend(at.0, buf.len())?;
        s.view(at.0, buf);
        Ok(())
    }

    fn write(&self, at: Gpa, data: &[u8], _: StreamId) -> Result<(), BusError> {
        let mut s = lock(&self.0);
        s.spend(at.0, data.len())?;
        s.each(at.0, data.len(), |m, r| m.copy_from_slice(&data[r]));
        s.writes.push((at.0, data.to_vec()));
        Ok(())
    }
}
