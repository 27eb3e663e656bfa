//! The console device (section 5.3): one or more ports, each on a character back end.
//!
//! With one unnamed port the device is a plain console; otherwise it offers `MULTIPORT` and names its ports over the
//! control queues. A port that the guest has not opened keeps its input in the back end. Output that a back end has no
//! room for stays in the queue.
//!
//! Not implemented: adding and removing ports at run time, big-endian guests on the legacy interface.

use super::device::{DeviceState, Io, VirtioDevice};
use super::features::Features;
use super::queue::Chain;
use crate::char::CharBackend;
use crate::{Notifier, RestoreError};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Numbers of section 5.3.
pub mod spec {
    #![allow(missing_docs)]
    pub const F_SIZE: u64 = 1 << 0;
    pub const F_MULTIPORT: u64 = 1 << 1;
    pub const F_EMERG_WRITE: u64 = 1 << 2;
    pub const DEVICE_READY: u16 = 0;
    pub const DEVICE_ADD: u16 = 1;
    pub const PORT_READY: u16 = 3;
    pub const CONSOLE_PORT: u16 = 4;
    pub const RESIZE: u16 = 5;
    pub const PORT_OPEN: u16 = 6;
    pub const PORT_NAME: u16 = 7;
    /// Offset of `emerg_wr` in the configuration space.
    pub const CONFIG_EMERG_WR: u64 = 8;
}
use spec::*;

const CONTROL_RX: u16 = 2;
const CONTROL_TX: u16 = 3;
/// Most ports of a device.
pub const MAX_PORTS: usize = 31;
/// Control messages waiting for the guest's buffers. A driver that reads them never has more than a few per port.
const MAX_MESSAGES: usize = 512;
/// Bytes moved at once.
const PIECE: usize = 4096;
/// The token of a change of size; ports use their index.
const SIZE_TOKEN: u32 = 1 << 16;
/// Longest name of a port, in bytes.
const MAX_NAME: usize = 64;

/// A port of a [`Console`].
pub struct Port {
    backend: Box<dyn CharBackend>,
    name: String,
    console: bool,
    s: PortState,
}

impl Port {
    /// A port the guest uses as a console (`/dev/hvc0` and so on).
    #[must_use]
    pub fn console(backend: Box<dyn CharBackend>) -> Self {
        Self {
            backend,
            name: String::new(),
            console: true,
            s: PortState::default(),
        }
    }

    /// A port for programs, with a name (`/dev/virtio-ports/NAME`) of at most 64 bytes.
    #[must_use]
    pub fn channel(name: &str, backend: Box<dyn CharBackend>) -> Self {
        let mut end = name.len().min(MAX_NAME);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        Self {
            backend,
            name: name.get(..end).unwrap_or_default().to_owned(),
            console: false,
            s: PortState::default(),
        }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct PortState {
    guest_ready: bool,
    guest_open: bool,
    /// What the guest was told about the other end.
    host_open: bool,
    /// Output that the back end had no room for, and how much of it is written.
    output: Option<Chain>,
    written: u64,
    /// A buffer that waits for input.
    input: Option<Chain>,
    /// The guest had no buffer for input: it notifies when it has.
    starved: bool,
}

#[derive(Default)]
struct SizeShared {
    size: (u16, u16),
    notifier: Notifier,
}

/// Sets the size of the first console, in characters. A clone is the same one.
#[derive(Clone, Default)]
pub struct ConsoleSize(Arc<Mutex<SizeShared>>);

impl ConsoleSize {
    /// Tells the guest, if it wants to know.
    pub fn set(&self, columns: u16, rows: u16) {
        let notifier = {
            let mut s = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            s.size = (columns, rows);
            s.notifier.clone()
        };
        notifier.notify(SIZE_TOKEN);
    }

    fn get(&self) -> (u16, u16) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).size
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct State {
    ports: Vec<PortState>,
    messages: Vec<Vec<u8>>,
    shown: (u16, u16),
}

/// A console device.
pub struct Console {
    ports: Vec<Port>,
    size: ConsoleSize,
    shown: (u16, u16),
    messages: VecDeque<Vec<u8>>,
    queue_sizes: Vec<u16>,
    multiport: bool,
}

fn rx(port: usize) -> u16 {
    if port == 0 { 0 } else { 2 * port as u16 + 2 }
}

fn tx(port: usize) -> u16 {
    rx(port) + 1
}

impl Console {
    /// A device with the given ports, at most [`MAX_PORTS`]. The first is always a console.
    #[must_use]
    pub fn new(mut ports: Vec<Port>, size: ConsoleSize) -> Self {
        ports.truncate(MAX_PORTS);
        if let Some(first) = ports.first_mut() {
            first.console = true;
        }
        let multiport = ports.len() > 1 || ports.iter().any(|p| !p.name.is_empty());
        let queues = if multiport { 2 * ports.len() + 2 } else { 2 };
        Self {
            shown: size.get(),
            ports,
            size,
            messages: VecDeque::new(),
            queue_sizes: vec![64; queues],
            multiport,
        }
    }

    /// The handle that changes the size of the first console.
    #[must_use]
    pub fn size(&self) -> ConsoleSize {
        self.size.clone()
    }

    fn open(&self, io: &Io<'_>, port: usize) -> bool {
        !io.features().has(F_MULTIPORT) || self.ports.get(port).is_some_and(|p| p.s.guest_open)
    }

    fn send(&mut self, id: usize, event: u16, value: u16, rest: &[u8]) {
        if self.messages.len() >= MAX_MESSAGES {
            log::debug!(target: "guest_errors", "virtio-console: the driver does not read control messages");
            return;
        }
        let mut m = (id as u32).to_le_bytes().to_vec();
        m.extend(event.to_le_bytes());
        m.extend(value.to_le_bytes());
        m.extend(rest);
        self.messages.push_back(m);
    }

    /// Moves control messages into the guest's buffers. One that does not fit is cut, which the length tells.
    fn deliver(&mut self, io: &mut Io<'_>) {
        while !self.messages.is_empty() {
            let Some(chain) = io.pop(CONTROL_RX) else {
                return;
            };
            let Some(m) = self.messages.pop_front() else {
                return;
            };
            let n = m
                .len()
                .min(usize::try_from(chain.writable_len()).unwrap_or(usize::MAX));
            let data = m.get(..n).unwrap_or_default();
            let written = io.write(&chain, 0, data).map_or(0, |()| n as u64);
            io.push(CONTROL_RX, &chain, written);
        }
    }

    fn control(&mut self, io: &mut Io<'_>) {
        while let Some(chain) = io.pop(CONTROL_TX) {
            let mut raw = [0; 8];
            let ok = io.read(&chain, 0, &mut raw).is_ok();
            io.push(CONTROL_TX, &chain, 0);
            if ok {
                let v = u64::from_le_bytes(raw);
                self.message(io, v as u32 as usize, (v >> 32) as u16, (v >> 48) as u16);
            }
        }
        self.deliver(io);
    }

    fn message(&mut self, io: &mut Io<'_>, id: usize, event: u16, value: u16) {
        match event {
            DEVICE_READY if value == 1 => {
                for n in 0..self.ports.len() {
                    self.send(n, DEVICE_ADD, 0, &[]);
                }
            }
            PORT_READY if value == 1 => {
                let Some(p) = self.ports.get_mut(id) else {
                    return;
                };
                p.s.guest_ready = true;
                p.s.host_open = p.backend.connected();
                let (console, name, connected) = (p.console, p.name.clone(), p.s.host_open);
                if console {
                    self.send(id, CONSOLE_PORT, 1, &[]);
                }
                if id == 0 && self.shown != (0, 0) {
                    self.send_size();
                }
                if !name.is_empty() {
                    self.send(id, PORT_NAME, 1, name.as_bytes());
                }
                if connected {
                    self.send(id, PORT_OPEN, 1, &[]);
                }
            }
            PORT_OPEN => {
                if let Some(p) = self.ports.get_mut(id) {
                    p.s.guest_open = value != 0;
                    p.s.starved = false;
                    self.input(io, id);
                }
            }
            _ => {}
        }
    }

    fn send_size(&mut self) {
        let (columns, rows) = self.shown;
        // The specification lists columns first.
        let mut rest = columns.to_le_bytes().to_vec();
        rest.extend(rows.to_le_bytes());
        self.send(0, RESIZE, 0, &rest);
    }

    /// Moves input into the guest's buffers. Input is taken from the back end only when there is a place for it.
    fn input(&mut self, io: &mut Io<'_>, port: usize) {
        if !self.open(io, port) {
            return;
        }
        let Some(p) = self.ports.get_mut(port) else {
            return;
        };
        let queue = rx(port);
        while !p.s.starved && !io.exhausted() {
            let Some(chain) = p.s.input.take().or_else(|| io.pop(queue)) else {
                p.s.starved = !io.exhausted();
                return;
            };
            let mut buf = [0; PIECE];
            let room = usize::try_from(chain.writable_len()).unwrap_or(PIECE);
            let place = buf.get_mut(..room.min(PIECE)).unwrap_or_default();
            let n = p.backend.read(place);
            if n == 0 && room > 0 {
                p.s.input = Some(chain);
                return;
            }
            let data = buf.get(..n).unwrap_or_default();
            let written = io.write(&chain, 0, data).map_or(0, |()| n as u64);
            io.push(queue, &chain, written);
        }
    }

    /// Moves output from the guest's buffers to the back end.
    fn output(&mut self, io: &mut Io<'_>, port: usize) {
        let Some(p) = self.ports.get_mut(port) else {
            return;
        };
        let queue = tx(port);
        while let Some(chain) = p.s.output.take().or_else(|| io.pop(queue)) {
            let total = chain.readable_len();
            while p.s.written < total {
                let mut buf = [0; PIECE];
                let n = usize::try_from(total - p.s.written).unwrap_or(PIECE);
                let piece = buf.get_mut(..n.min(PIECE)).unwrap_or_default();
                if io.exhausted() {
                    p.s.output = Some(chain);
                    return;
                }
                if io.read(&chain, p.s.written, piece).is_err() {
                    break;
                }
                let taken = p.backend.write(piece).min(piece.len());
                p.s.written += taken as u64;
                if taken < piece.len() {
                    p.s.output = Some(chain);
                    return;
                }
            }
            p.s.written = 0;
            io.push(queue, &chain, 0);
        }
    }

    fn clear(&mut self) {
        for p in &mut self.ports {
            p.s = PortState::default();
        }
        self.messages.clear();
        self.shown = self.size.get();
    }

    /// The port and direction (`true` for input) of a queue that is none of the control queues.
    fn port_of(&self, queue: u16) -> Option<(usize, bool)> {
        let port = match queue {
            0 | 1 => 0,
            CONTROL_RX | CONTROL_TX => return None,
            _ => usize::from(queue) / 2 - 1,
        };
        Some((port, queue.is_multiple_of(2)))
    }
}

impl VirtioDevice for Console {
    fn device_id(&self) -> u32 {
        3
    }

    fn features(&self) -> Features {
        let multiport = if self.multiport { F_MULTIPORT } else { 0 };
        let size = if self.shown == (0, 0) { 0 } else { F_SIZE };
        Features::device(size | F_EMERG_WRITE | multiport)
    }

    fn queue_sizes(&self) -> &[u16] {
        &self.queue_sizes
    }

    fn attach(&mut self, notifier: &Notifier) {
        for (n, p) in self.ports.iter_mut().enumerate() {
            p.backend.attach(notifier.clone(), n as u32);
        }
        self.size
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .notifier = notifier.clone();
    }

    fn config_read(&self, _features: Features, offset: u64, buf: &mut [u8]) {
        let mut config = Vec::with_capacity(12);
        config.extend(self.shown.0.to_le_bytes());
        config.extend(self.shown.1.to_le_bytes());
        config.extend((self.ports.len() as u32).to_le_bytes());
        config.extend([0; 4]);
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        for (to, from) in buf.iter_mut().zip(config.iter().skip(from)) {
            *to = *from;
        }
    }

    /// Emergency output works without a driver; what the back end has no room for is lost.
    fn config_write(&mut self, _features: Features, offset: u64, data: &[u8]) {
        if let (CONFIG_EMERG_WR, [byte, ..], Some(p)) = (offset, data, self.ports.first_mut()) {
            let _ = p.backend.write(&[*byte]);
        }
    }

    fn reset(&mut self) {
        self.clear();
    }

    fn queue_reset(&mut self, queue: u16) {
        let Some((port, input)) = self.port_of(queue) else {
            return;
        };
        if let Some(p) = self.ports.get_mut(port) {
            if input {
                p.s.input = None;
                p.s.starved = false;
            } else {
                p.s.output = None;
                p.s.written = 0;
            }
        }
    }

    fn queue_notified(&mut self, io: &mut Io<'_>, queue: u16) {
        match self.port_of(queue) {
            None if queue == CONTROL_RX => self.deliver(io),
            None => self.control(io),
            Some((port, true)) => {
                if let Some(p) = self.ports.get_mut(port) {
                    p.s.starved = false;
                }
                self.input(io, port);
            }
            Some((port, false)) => self.output(io, port),
        }
    }

    fn event(&mut self, io: &mut Io<'_>, token: u32) {
        if token == SIZE_TOKEN {
            let now = self.size.get();
            if now != self.shown {
                self.shown = now;
                if io.features().has(F_SIZE) {
                    io.config_changed();
                }
                if io.features().has(F_MULTIPORT) && self.ports.iter().any(|p| p.s.guest_ready) {
                    self.send_size();
                    self.deliver(io);
                }
            }
            return;
        }
        let port = token as usize;
        let Some(p) = self.ports.get_mut(port) else {
            return;
        };
        let connected = p.backend.connected();
        if p.s.guest_ready && p.s.host_open != connected {
            p.s.host_open = connected;
            self.send(port, PORT_OPEN, connected.into(), &[]);
            self.deliver(io);
        }
        self.input(io, port);
        if self.ports.get(port).is_some_and(|p| p.s.output.is_some()) {
            self.output(io, port);
        }
    }

    fn idle_event(&mut self, token: u32) {
        if token == SIZE_TOKEN {
            self.shown = self.size.get();
        }
    }

    fn save(&self) -> DeviceState {
        DeviceState::new(&State {
            ports: self.ports.iter().map(|p| p.s.clone()).collect(),
            messages: self.messages.iter().cloned().collect(),
            shown: self.shown,
        })
    }

    fn restore(&mut self, state: DeviceState) -> Result<(), RestoreError> {
        let s: State = state.get()?;
        if s.ports.len() != self.ports.len() && !s.ports.is_empty() {
            return Err(RestoreError::invalid(
                "virtio-console: another number of ports",
            ));
        }
        if s.messages.len() > MAX_MESSAGES || s.messages.iter().any(|m| m.len() > 8 + MAX_NAME) {
            return Err(RestoreError::invalid("virtio-console: too many messages"));
        }
        for (p, s) in self.ports.iter_mut().zip(s.ports) {
            p.s = s;
        }
        self.messages = s.messages.into();
        self.shown = s.shown;
        Ok(())
    }
}
