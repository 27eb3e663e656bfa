//! A driver for tests: sets a device up through its registers and writes rings by hand.

use super::mmio::reg::*;
use super::{MmioVersion, VirtioDevice, VirtioMmio};
use crate::{Device, Notifier, TestWires, Wiring};

pub(super) struct FakeQueue {
    pub(super) index: u32,
    pub(super) size: u16,
    pub(super) base: u64,
    next_desc: u16,
    pub(super) avail: u16,
    pub(super) seen: u16,
}

/// A part of a request: address, length, whether the device writes it.
pub(super) type Part = (u64, u32, bool);

impl FakeQueue {
    pub(super) fn areas(&self) -> [u64; 3] {
        [self.base, self.base + 0x4000, self.base + 0x8000]
    }

    /// Writes a chain and makes it available; returns its head.
    pub(super) fn add(&mut self, w: &TestWires, parts: &[Part]) -> u16 {
        let head = self.next_desc;
        for (n, (addr, len, write)) in parts.iter().enumerate() {
            let more = n + 1 < parts.len();
            let index = self.next_desc;
            self.next_desc = (self.next_desc + 1) % self.size;
            let flags = u16::from(more) | u16::from(*write) << 1;
            self.desc(w, index, *addr, *len, flags, self.next_desc);
        }
        self.make_available(w, head);
        head
    }

    pub(super) fn desc(
        &self,
        w: &TestWires,
        index: u16,
        addr: u64,
        len: u32,
        flags: u16,
        next: u16,
    ) {
        let v = u128::from(addr)
            | u128::from(len) << 64
            | u128::from(flags) << 96
            | u128::from(next) << 112;
        w.memory
            .poke(self.base + 16 * u64::from(index), &v.to_le_bytes());
    }

    pub(super) fn make_available(&mut self, w: &TestWires, head: u16) {
        let avail = self.areas()[1];
        let slot = u64::from(self.avail % self.size);
        w.memory.poke(avail + 4 + 2 * slot, &head.to_le_bytes());
        self.avail = self.avail.wrapping_add(1);
        w.memory.poke(avail + 2, &self.avail.to_le_bytes());
    }

    /// The next used element: head and length.
    pub(super) fn used(&mut self, w: &TestWires) -> Option<(u32, u32)> {
        let used = self.areas()[2];
        let index = u16::from_le_bytes(w.memory.peek(used + 2, 2).try_into().unwrap());
        if index == self.seen {
            return None;
        }
        let slot = u64::from(self.seen % self.size);
        let e = u64::from_le_bytes(w.memory.peek(used + 4 + 8 * slot, 8).try_into().unwrap());
        self.seen = self.seen.wrapping_add(1);
        Some((e as u32, (e >> 32) as u32))
    }
}

pub(super) struct Driver {
    pub(super) dev: VirtioMmio,
    pub(super) wires: TestWires,
    pub(super) queues: Vec<FakeQueue>,
}

impl Driver {
    /// A device that no driver has touched.
    pub(super) fn idle(device: impl VirtioDevice + 'static) -> Self {
        let (w, wires) = Wiring::test();
        Self {
            dev: VirtioMmio::new(w, MmioVersion::Modern, Box::new(device)),
            wires,
            queues: Vec::new(),
        }
    }

    /// A device that is ready, with these features besides `VERSION_1`.
    pub(super) fn ready(device: impl VirtioDevice + 'static, features: u64) -> Self {
        let mut d = Self::idle(device);
        d.start(features);
        d
    }

    pub(super) fn r(&mut self, at: u64) -> u32 {
        self.dev.read(0, at, 4) as u32
    }

    pub(super) fn w(&mut self, at: u64, value: u32) {
        let _ = self.dev.write(0, at, 4, value.into());
    }

    pub(super) fn offered(&mut self) -> u64 {
        self.w(DEVICE_FEATURES_SEL, 0);
        let low = self.r(DEVICE_FEATURES);
        self.w(DEVICE_FEATURES_SEL, 1);
        u64::from(self.r(DEVICE_FEATURES)) << 32 | u64::from(low)
    }

    /// Section 3.1.1.
    pub(super) fn start(&mut self, features: u64) {
        self.w(STATUS, 0);
        self.w(STATUS, 1);
        self.w(STATUS, 3);
        let features = features | 1 << 32;
        assert_eq!(self.offered() & features, features, "not offered");
        for word in 0..2 {
            self.w(DRIVER_FEATURES_SEL, word);
            self.w(DRIVER_FEATURES, (features >> (32 * word)) as u32);
        }
        self.w(STATUS, 11);
        assert_eq!(self.r(STATUS), 11, "features refused");
        self.queues.clear();
        for index in 0.. {
            self.w(QUEUE_SEL, index);
            let max = self.r(QUEUE_SIZE_MAX);
            if max == 0 {
                break;
            }
            let q = FakeQueue {
                index,
                size: max.min(16) as u16,
                base: 0x10_0000 * u64::from(index + 1),
                next_desc: 0,
                avail: 0,
                seen: 0,
            };
            self.wires.memory.poke(q.base, &[0; 0xa000]);
            self.enable(&q);
            self.queues.push(q);
        }
        self.w(STATUS, 15);
        assert_eq!(self.r(STATUS), 15);
    }

    pub(super) fn enable(&mut self, q: &FakeQueue) {
        self.w(QUEUE_SEL, q.index);
        self.w(QUEUE_SIZE, q.size.into());
        for (n, area) in q.areas().into_iter().enumerate() {
            let at = QUEUE_DESC_LOW + 0x10 * n as u64;
            self.w(at, area as u32);
            self.w(at + 4, (area >> 32) as u32);
        }
        self.w(QUEUE_READY, 1);
    }

    pub(super) fn add(&mut self, queue: usize, parts: &[Part]) -> u16 {
        self.queues[queue].add(&self.wires, parts)
    }

    pub(super) fn kick(&mut self, queue: usize) {
        self.w(QUEUE_NOTIFY, queue as u32);
        self.deliver();
    }

    /// Hands on what back ends have announced.
    pub(super) fn deliver(&mut self) {
        loop {
            let tokens = self.wires.notify.take();
            if tokens.is_empty() {
                return;
            }
            tokens.into_iter().for_each(|t| self.dev.event(t));
        }
    }

    pub(super) fn used(&mut self, queue: usize) -> Option<(u32, u32)> {
        self.queues[queue].used(&self.wires)
    }

    /// Used elements until there are `n`, waiting for worker threads.
    pub(super) fn wait_used(&mut self, queue: usize, n: usize) -> Vec<(u32, u32)> {
        let mut all = Vec::new();
        loop {
            while let Some(u) = self.used(queue) {
                all.push(u);
            }
            if all.len() >= n {
                return all;
            }
            for t in self.wires.notify.wait() {
                self.dev.event(t);
            }
        }
    }

    pub(super) fn irq(&self) -> bool {
        self.wires.irq.level(0)
    }

    pub(super) fn ack(&mut self) -> u32 {
        let causes = self.r(INTERRUPT_STATUS);
        self.w(INTERRUPT_ACK, causes);
        causes
    }
}

/// A device that gives every chain back at once.
pub(super) struct Echo {
    pub(super) sizes: Vec<u16>,
    pub(super) notifier: Notifier,
}

impl Echo {
    pub(super) fn new(sizes: &[u16]) -> Self {
        Self {
            sizes: sizes.to_vec(),
            notifier: Notifier::none(),
        }
    }
}

impl VirtioDevice for Echo {
    fn device_id(&self) -> u32 {
        63
    }
    fn features(&self) -> super::Features {
        super::Features::device(1 << 3)
    }
    fn queue_sizes(&self) -> &[u16] {
        &self.sizes
    }
    fn attach(&mut self, notifier: &Notifier) {
        self.notifier = notifier.clone();
    }
    fn reset(&mut self) {}
    fn queue_notified(&mut self, io: &mut super::Io<'_>, queue: u16) {
        while let Some(chain) = io.pop(queue) {
            let mut data = vec![0; chain.readable_len().min(4096) as usize];
            let n = (chain.writable_len() as usize).min(data.len());
            let ok =
                io.read(&chain, 0, &mut data).is_ok() && io.write(&chain, 0, &data[..n]).is_ok();
            io.push(queue, &chain, if ok { n as u64 } else { 0 });
        }
    }
    /// Token 7: the configuration changes.
    fn event(&mut self, io: &mut super::Io<'_>, token: u32) {
        if token == 7 {
            io.config_changed();
        }
    }
}
