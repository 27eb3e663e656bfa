//! The host side of a device under test: back ends and inputs a harness drives.

use crate::char::CharBackend;
use crate::{IrqTarget, ManualWallClock, Notifier};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Clone, Default)]
pub(crate) struct CharState {
    input: VecDeque<u8>,
    output: Vec<u8>,
    room: Option<usize>,
    breaks: u32,
    sent_break: bool,
}

#[derive(Default)]
struct CharInner {
    state: CharState,
    notifier: Notifier,
    token: u32,
}

/// A character back end a test holds the other end of. A clone is the same one.
#[derive(Clone, Default)]
pub struct TestChar(Arc<Mutex<CharInner>>);

impl TestChar {
    fn lock(&self) -> MutexGuard<'_, CharInner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notify(&self) {
        let (notifier, token) = {
            let inner = self.lock();
            (inner.notifier.clone(), inner.token)
        };
        notifier.notify(token);
    }

    /// Types `data` to the device.
    pub fn push(&self, data: &[u8]) {
        self.lock().state.input.extend(data);
        self.notify();
    }

    /// Sends a break to the device.
    pub fn push_break(&self) {
        self.lock().state.breaks += 1;
        self.notify();
    }

    /// Accepts `room` bytes from here on, or everything.
    pub fn set_room(&self, room: Option<usize>) {
        self.lock().state.room = room;
        self.notify();
    }

    /// What the device wrote since the last call.
    pub fn take_output(&self) -> Vec<u8> {
        std::mem::take(&mut self.lock().state.output)
    }

    /// Input the device has not read yet.
    pub fn unread(&self) -> usize {
        self.lock().state.input.len()
    }

    /// Whether the device is sending a break.
    pub fn sent_break(&self) -> bool {
        self.lock().state.sent_break
    }
}

impl CharBackend for TestChar {
    fn write(&mut self, data: &[u8]) -> usize {
        let s = &mut self.lock().state;
        let n = data.len().min(s.room.unwrap_or(usize::MAX));
        s.output.extend(&data[..n]);
        s.room = s.room.map(|r| r - n);
        n
    }

    fn read(&mut self, buf: &mut [u8]) -> usize {
        let s = &mut self.lock().state;
        let n = buf.len().min(s.input.len());
        for (b, v) in buf.iter_mut().zip(s.input.drain(..n)) {
            *b = v;
        }
        n
    }

    fn attach(&mut self, notifier: Notifier, token: u32) {
        let waiting = {
            let mut inner = self.lock();
            inner.notifier = notifier;
            inner.token = token;
            !inner.state.input.is_empty()
        };
        if waiting {
            self.notify();
        }
    }

    fn set_break(&mut self, on: bool) {
        self.lock().state.sent_break = on;
    }

    fn take_break(&mut self) -> bool {
        let s = &mut self.lock().state;
        let broke = s.breaks > 0;
        s.breaks = s.breaks.saturating_sub(1);
        broke
    }
}

#[derive(Default)]
struct HostInner {
    chars: Vec<TestChar>,
    prepared: VecDeque<CharState>,
    inputs: Vec<Arc<dyn IrqTarget>>,
    hot: Vec<u64>,
    dma_budget: Option<u64>,
}

/// What the code that makes a device under test takes its back ends from, so that the harness can drive them and give
/// a restored twin equal ones.
#[derive(Clone)]
pub struct TestHost {
    inner: Arc<Mutex<HostInner>>,
    /// Real time for RTCs: stands at 2001-09-09 01:46:40 UTC.
    pub wall: ManualWallClock,
}

impl Default for TestHost {
    fn default() -> Self {
        Self {
            inner: Arc::default(),
            wall: ManualWallClock::new(1_000_000_000_000_000_000),
        }
    }
}

impl TestHost {
    fn lock(&self) -> MutexGuard<'_, HostInner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A host whose back ends start with the contents that those of `other` have now.
    pub(crate) fn fork(&self) -> Self {
        let prepared = self
            .chars()
            .iter()
            .map(|c| c.lock().state.clone())
            .collect();
        let host = Self {
            inner: Arc::default(),
            wall: self.wall.clone(),
        };
        host.lock().prepared = prepared;
        host
    }

    /// A new character back end. The harness types to it, limits its room and compares what the device writes.
    pub fn char(&self) -> TestChar {
        let mut inner = self.lock();
        let char = TestChar::default();
        if let Some(state) = inner.prepared.pop_front() {
            char.lock().state = state;
        }
        inner.chars.push(char.clone());
        char
    }

    /// Inputs of an interrupt controller under test: the harness drives them.
    pub fn drives(&self, target: Arc<dyn IrqTarget>) {
        self.lock().inputs.push(target);
    }

    /// Register offsets worth hitting often: for regions whose registers are far apart.
    pub fn hot(&self, offsets: &[u64]) {
        self.lock().hot.extend(offsets);
    }

    /// Bytes of DMA one action may cause, each operation costing 8 more. The default is 1 MiB.
    pub fn dma_budget(&self, bytes: u64) {
        self.lock().dma_budget = Some(bytes);
    }

    pub(crate) fn chars(&self) -> Vec<TestChar> {
        self.lock().chars.clone()
    }

    pub(crate) fn inputs(&self) -> Vec<Arc<dyn IrqTarget>> {
        self.lock().inputs.clone()
    }

    pub(crate) fn hot_offsets(&self) -> Vec<u64> {
        self.lock().hot.clone()
    }

    pub(crate) fn budget(&self) -> u64 {
        self.lock().dma_budget.unwrap_or(1 << 20)
    }
}
