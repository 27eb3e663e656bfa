//! The generic fuzz harness: bytes become actions on a device and, from some point on, on a restored twin that has to
//! behave the same.
//!
//! # Input format
//!
//! `flags:u8 pool_len:u16`, then the actions, then the last `pool_len` bytes (modulo what is left), which answer DMA
//! reads of memory nobody has written. Bit 0 of `flags` makes all DMA fail. Integers are little endian; an action that
//! is cut short ends the run. [`Encoder`] writes this.
//!
//! | first byte | action | then |
//! | --- | --- | --- |
//! | 0..=99 | write | region, offset, size byte, value |
//! | 100..=169 | read | region, offset, size byte |
//! | 170..=184 | let time pass | u16 ns |
//! | 185..=209 | jump to the deadline and tick | |
//! | 210..=217 | let time pass | u32 in units of 1024 ns |
//! | 218..=227 | store to guest memory | u32 address, u8 length, bytes |
//! | 228..=233 | type to a character back end | u8 which, u8 length & 31, bytes |
//! | 234..=235 | change the room of a character back end | u8 which, u8 bytes (255: unlimited) |
//! | 236..=240 | drive an interrupt input | u8 line, u8 level |
//! | 241..=242 | spurious event | u8 token |
//! | 243..=245 | reset | u8 (odd: cold) |
//! | 246..=249 | restore damaged state into a third device | u8 n, then 1 + n & 7 times (u16 which, u8 how): with n below 128 a number of the state changes, otherwise a byte of its encoding |
//! | 250..=251 | restore raw bytes into a third device | u8 length, bytes |
//! | 252..=255 | replace the twin by one restored from the present state | |
//!
//! An offset is a byte that says which form (modulo 4: 0 an index byte into [`TestHost::hot`], 1 u8, 2 u16, 3 u32), then
//! the number, taken modulo the region's length and aligned down. A size byte's low 2 bits choose the width among those
//! the region allows; bits 4 and 5 say how a value follows: 1 as one byte, 2 as a bit number, otherwise in full.

use super::{IrqEvent, TestHost, TestMemory};
use crate::{
    Action, DynDevice, MsiMessage, Nanos, ResetKind, SavedState, StreamId, TestWires, TimeSource,
    Wiring,
};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What the harness found wrong with a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How many actions had been done.
    pub step: usize,
    /// What is wrong.
    pub what: What,
}

/// Kinds of [`Finding`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// The device panicked.
    Panic(String),
    /// One action caused more DMA than the budget: probably a loop the guest controls.
    DmaBudget,
    /// The restored twin does not do the same. The text says in what and shows both.
    Diverged(String),
    /// Restoring raised an edge on a line.
    EdgeOnRestore(u32),
    /// The device refused the state it had saved.
    Refused(String),
    /// A line is high after a reset.
    HighAfterReset(Vec<u32>),
    /// A tick at the deadline left a deadline that is not later.
    StuckDeadline(Nanos),
    /// A read returned bits beyond its width.
    WideRead(u64),
    /// The device never gets quiescent.
    NeverQuiet,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Action {}: {:?}", self.step, self.what)
    }
}

impl std::error::Error for Finding {}

/// Runs `data` on a device without back ends.
///
/// # Errors
/// What is wrong with the device.
pub fn run<D: DynDevice>(data: &[u8], make: impl Fn(Wiring) -> D) -> Result<(), Finding> {
    run_with(data, |w, _| make(w))
}

/// Runs `data` on a device whose back ends come from the [`TestHost`].
///
/// # Errors
/// What is wrong with the device.
pub fn run_with<D: DynDevice>(
    data: &[u8],
    make: impl Fn(Wiring, &TestHost) -> D,
) -> Result<(), Finding> {
    let step = std::cell::Cell::new(0);
    let outcome = catch_unwind(AssertUnwindSafe(|| Run::new(data, &make, &step).go()));
    let what = match outcome {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(what)) => what,
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
                .unwrap_or_default();
            if text == super::wires::RUNAWAY {
                What::DmaBudget
            } else {
                What::Panic(text)
            }
        }
    };
    Err(Finding {
        step: step.get(),
        what,
    })
}

/// Runs `inputs` pseudo-random inputs of `len` bytes, the same ones each time.
///
/// # Errors
/// The number of the input and what it found.
pub fn blind<D: DynDevice>(
    inputs: u64,
    len: usize,
    make: impl Fn(Wiring, &TestHost) -> D,
) -> Result<(), (u64, Finding)> {
    for n in 0..inputs {
        run_with(&pseudo_random(n, len), &make).map_err(|finding| (n, finding))?;
    }
    Ok(())
}

/// `len` bytes that depend on `seed` only (SplitMix64).
#[must_use]
pub fn pseudo_random(seed: u64, len: usize) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x2545_f491_4f6c_dd1d);
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = x;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        out.extend((z ^ (z >> 31)).to_le_bytes());
    }
    out.truncate(len);
    // A quarter of the input answers DMA, in every other input; seldom does DMA fail altogether.
    if let Some(head) = out.first_chunk_mut::<3>() {
        head[0] = u8::from(seed % 16 == 15);
        let pool = if seed.is_multiple_of(2) {
            len as u16 / 4
        } else {
            0
        };
        head[1..].copy_from_slice(&pool.to_le_bytes());
    }
    out
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }
    fn uint(&mut self, n: usize) -> Option<u64> {
        let mut b = [0; 8];
        b[..n].copy_from_slice(self.take(n)?);
        Some(u64::from_le_bytes(b))
    }
    fn u8(&mut self) -> Option<u8> {
        self.uint(1).map(|v| v as u8)
    }
}

struct Side<D> {
    device: D,
    wires: TestWires,
    host: TestHost,
}

/// Everything of an action that can be seen from outside.
#[derive(Debug, PartialEq)]
struct Seen {
    value: u64,
    action: Action,
    edges: Vec<IrqEvent>,
    high: Vec<u32>,
    msi: Vec<(MsiMessage, StreamId)>,
    writes: Vec<(u64, Vec<u8>)>,
    deadline: Option<Nanos>,
    output: Vec<(Vec<u8>, bool)>,
}

impl<D: DynDevice> Side<D> {
    /// Carries out an action, then delivers the events it caused.
    fn act(&mut self, f: impl FnOnce(&mut Self) -> (u64, Action)) -> Result<Seen, What> {
        self.wires.memory.set_budget(Some(self.host.budget()));
        let (value, action) = f(self);
        self.deliver();
        if self.wires.memory.over_budget() {
            return Err(What::DmaBudget);
        }
        Ok(Seen {
            value,
            action,
            edges: self
                .wires
                .irq
                .take()
                .into_iter()
                .filter(|e| !e.restored)
                .collect(),
            high: self.wires.irq.high(),
            msi: self.wires.msi.take(),
            writes: self.wires.memory.take_writes(),
            deadline: self.device.deadline(),
            output: self
                .host
                .chars()
                .iter()
                .map(|c| (c.take_output(), c.sent_break()))
                .collect(),
        })
    }

    fn deliver(&mut self) {
        // Bounded: a device that notifies itself for ever is caught by the twin or not at all, but does not hang us.
        for _ in 0..64 {
            let tokens = self.wires.notify.take();
            if tokens.is_empty() {
                break;
            }
            for t in tokens {
                self.device.event(t);
            }
        }
    }
}

struct Run<'a, D, M> {
    input: Input<'a>,
    make: &'a M,
    step: &'a std::cell::Cell<usize>,
    first: Side<D>,
    twin: Option<Side<D>>,
    /// Levels the harness drives into the device under test.
    driven: [bool; 256],
}

/// Changes one number or truth value of encoded state: damage that still decodes and so reaches the validation.
fn change_leaf(saved: &mut SavedState, which: usize, how: u8) {
    use ciborium::Value;
    fn leaves<'v>(v: &'v mut Value, out: &mut Vec<&'v mut Value>) {
        match v {
            Value::Array(all) => all.iter_mut().for_each(|v| leaves(v, out)),
            Value::Map(all) => all.iter_mut().for_each(|(_, v)| leaves(v, out)),
            Value::Integer(_) | Value::Bool(_) | Value::Null => out.push(v),
            _ => {}
        }
    }
    let Ok(mut value) = crate::snapshot::decode::<Value>("any", &saved.bytes) else {
        return;
    };
    let mut all = Vec::new();
    leaves(&mut value, &mut all);
    let n = all.len().max(1);
    if let Some(leaf) = all.get_mut(which % n) {
        **leaf = match (&**leaf, how % 8) {
            (Value::Bool(b), _) => Value::Bool(!b),
            (_, 0) => Value::from(u64::MAX),
            (_, 1) => Value::from(u32::MAX),
            (_, 2) => Value::from(1u64 << (how / 8)),
            (_, 3) => Value::Null,
            _ => Value::from(how),
        };
    }
    let mut bytes = Vec::new();
    if ciborium::into_writer(&value, &mut bytes).is_ok() {
        saved.bytes = bytes;
    }
}

enum End {
    Input,
    Found(What),
}

impl From<What> for End {
    fn from(what: What) -> Self {
        Self::Found(what)
    }
}

impl<'a, D: DynDevice, M: Fn(Wiring, &TestHost) -> D> Run<'a, D, M> {
    fn new(data: &'a [u8], make: &'a M, step: &'a std::cell::Cell<usize>) -> Self {
        let mut input = Input(data);
        let flags = input.u8().unwrap_or(0);
        let pool_len = input.uint(2).unwrap_or(0) as usize;
        let pool_len = pool_len % (input.0.len() + 1);
        let (actions, pool) = input.0.split_at(input.0.len() - pool_len);
        let wires = TestWires {
            memory: Arc::new(TestMemory::with_pool(pool.to_vec(), flags & 1 != 0)),
            ..TestWires::default()
        };
        let host = TestHost::default();
        let device = make(wires.wiring(), &host);
        Self {
            input: Input(actions),
            make,
            step,
            first: Side {
                device,
                wires,
                host,
            },
            twin: None,
            driven: [false; 256],
        }
    }

    fn go(mut self) -> Result<(), What> {
        loop {
            match self.one() {
                Ok(()) => self.step.set(self.step.get() + 1),
                Err(End::Input) => return Ok(()),
                Err(End::Found(what)) => return Err(what),
            }
        }
    }

    fn both(&mut self, f: impl Fn(&mut Side<D>) -> (u64, Action)) -> Result<Seen, End> {
        let seen = self.first.act(&f)?;
        if let Some(twin) = &mut self.twin {
            let other = twin.act(&f)?;
            if seen != other {
                return Err(What::Diverged(format!("{seen:?} and restored {other:?}")).into());
            }
        }
        Ok(seen)
    }

    fn one(&mut self) -> Result<(), End> {
        let op = self.input.u8().ok_or(End::Input)?;
        match op {
            0..=99 => {
                let (region, at, size, form) = self.register()?;
                let value = self.value(size, form)?;
                self.both(|s| (0, s.device.write(region, at, size, value)))?;
            }
            100..=169 => {
                let (region, at, size, _) = self.register()?;
                let seen = self.both(|s| (s.device.read(region, at, size), Action::None))?;
                if size < 8 && seen.value >> (8 * u32::from(size)) != 0 {
                    return Err(What::WideRead(seen.value).into());
                }
            }
            170..=184 => {
                let by = self.input.uint(2).ok_or(End::Input)?;
                self.pass(by)?;
            }
            185..=209 => self.jump_to_deadline()?,
            210..=217 => {
                let by = self.input.uint(4).ok_or(End::Input)? << 10;
                self.pass(by)?;
            }
            218..=227 => {
                let at = self.input.uint(4).ok_or(End::Input)?;
                let len = self.input.u8().ok_or(End::Input)?;
                let data = self.input.take(len.into()).ok_or(End::Input)?;
                self.both(|s| {
                    s.wires.memory.poke(at, data);
                    (0, Action::None)
                })?;
            }
            228..=235 => self.char_action(op >= 234)?,
            236..=240 => {
                let line = self.input.u8().ok_or(End::Input)?;
                let level = self.input.u8().ok_or(End::Input)? & 1 != 0;
                self.driven[usize::from(line)] = level;
                self.both(|s| {
                    s.host
                        .inputs()
                        .iter()
                        .for_each(|t| t.set_irq(line.into(), level));
                    (0, Action::None)
                })?;
            }
            241..=242 => {
                let token = self.input.u8().ok_or(End::Input)?;
                self.both(|s| {
                    s.device.event(token.into());
                    (0, Action::None)
                })?;
            }
            243..=245 => {
                let kind = if self.input.u8().ok_or(End::Input)? & 1 != 0 {
                    ResetKind::Cold
                } else {
                    ResetKind::Warm
                };
                let mut high = Vec::new();
                self.first.device.reset(kind);
                high.append(&mut self.first.wires.irq.high());
                if !high.is_empty() {
                    return Err(What::HighAfterReset(high).into());
                }
                if let Some(t) = &mut self.twin {
                    t.device.reset(kind);
                }
                self.both(|_| (0, Action::None))?;
            }
            246..=251 => self.damage(op >= 250)?,
            252..=255 => self.fork()?,
        }
        Ok(())
    }

    fn register(&mut self) -> Result<(usize, u64, u8, u8), End> {
        let regions = self.first.device.regions();
        let index = usize::from(self.input.u8().ok_or(End::Input)?) % regions.len();
        let spec = regions[index].clone();
        let form = self.input.u8().ok_or(End::Input)?;
        let offset = match form % 4 {
            0 => {
                let n = usize::from(self.input.u8().ok_or(End::Input)?);
                let hot = self.first.host.hot_offsets();
                if hot.is_empty() {
                    n as u64
                } else {
                    hot[n % hot.len()]
                }
            }
            1 => self.input.uint(1).ok_or(End::Input)?,
            2 => self.input.uint(2).ok_or(End::Input)?,
            _ => self.input.uint(4).ok_or(End::Input)?,
        };
        let how = self.input.u8().ok_or(End::Input)?;
        let sizes: Vec<u8> = spec
            .sizes
            .iter()
            .filter(|s| u64::from(*s) <= spec.len)
            .collect();
        let size = sizes[usize::from(how & 3) % sizes.len()];
        let offset = offset % (spec.len - u64::from(size) + 1);
        Ok((
            index,
            offset / u64::from(size) * u64::from(size),
            size,
            how >> 4 & 3,
        ))
    }

    fn value(&mut self, size: u8, form: u8) -> Result<u64, End> {
        let bits = 8 * u32::from(size);
        let value = match form {
            1 => self.input.uint(1),
            2 => self.input.uint(1).map(|n| 1 << (n as u32 % bits)),
            _ => self.input.uint(size.into()),
        };
        value.ok_or(End::Input)
    }

    fn pass(&mut self, by: u64) -> Result<(), End> {
        // The twin reads the same clock.
        self.first.wires.clock.advance(by);
        if self
            .first
            .device
            .deadline()
            .is_some_and(|d| d <= self.first.wires.clock.now())
        {
            self.tick()?;
        }
        Ok(())
    }

    fn jump_to_deadline(&mut self) -> Result<(), End> {
        if let Some(at) = self.first.device.deadline() {
            self.first.wires.clock.advance_to(at);
        }
        self.tick()
    }

    fn tick(&mut self) -> Result<(), End> {
        let seen = self.both(|s| {
            s.device.tick();
            (0, Action::None)
        })?;
        let now = self.first.wires.clock.now();
        match seen.deadline {
            Some(next) if next <= now && now != u64::MAX => Err(What::StuckDeadline(next).into()),
            _ => Ok(()),
        }
    }

    fn char_action(&mut self, room: bool) -> Result<(), End> {
        let which = usize::from(self.input.u8().ok_or(End::Input)?);
        let n = self.input.u8().ok_or(End::Input)?;
        let data = if room {
            &[][..]
        } else {
            self.input.take(usize::from(n & 31)).ok_or(End::Input)?
        };
        self.both(|s| {
            let chars = s.host.chars();
            if let Some(c) = chars.get(which % chars.len().max(1)) {
                match (room, n) {
                    (true, 255) => c.set_room(None),
                    (true, _) => c.set_room(Some(n.into())),
                    (false, 0x80..) => c.push_break(),
                    (false, _) => c.push(data),
                }
            }
            (0, Action::None)
        })?;
        Ok(())
    }

    /// Makes a device beside the one under test; nothing it does is compared.
    fn spare(&self) -> Side<D> {
        let wires = TestWires {
            clock: self.first.wires.clock.clone(),
            ..TestWires::default()
        };
        let host = self.first.host.fork();
        let device = (self.make)(wires.wiring(), &host);
        wires.memory.set_budget(Some(host.budget()));
        Side {
            device,
            wires,
            host,
        }
    }

    fn damage(&mut self, raw: bool) -> Result<(), End> {
        let mut saved = self.first.device.save_bytes();
        let n = self.input.u8().ok_or(End::Input)?;
        if raw {
            let bytes = self.input.take(n.into()).ok_or(End::Input)?.to_vec();
            saved = SavedState {
                version: saved.version,
                bytes,
            };
        } else {
            for _ in 0..=n & 7 {
                let at = usize::from(self.input.uint(2).ok_or(End::Input)? as u16);
                let v = self.input.u8().ok_or(End::Input)?;
                if n & 0x80 == 0 {
                    change_leaf(&mut saved, at, v);
                } else {
                    let len = saved.bytes.len().max(1);
                    if let Some(b) = saved.bytes.get_mut(at % len) {
                        *b = v;
                    }
                }
            }
        }
        let mut spare = self.spare();
        if spare.device.restore_bytes(&saved).is_ok() {
            // Whatever was accepted must be livable with. Reads come first: a write may repair what is wrong.
            let hot = spare.host.hot_offsets();
            let regions = spare.device.regions().to_vec();
            for write in [false, true] {
                for (index, r) in regions.iter().enumerate() {
                    let size = r.sizes.min;
                    let fits = |at: &u64| {
                        at.is_multiple_of(u64::from(size)) && at + u64::from(size) <= r.len
                    };
                    for at in (0..64).chain(hot.iter().copied()).filter(fits) {
                        spare.act(|s| {
                            if write {
                                (0, s.device.write(index, at, size, 1))
                            } else {
                                (s.device.read(index, at, size), Action::None)
                            }
                        })?;
                    }
                }
                // The clock is shared with the device under test and stays where it is: an early tick is legal.
                spare.act(|s| {
                    s.device.tick();
                    (0, Action::None)
                })?;
            }
            spare.device.reset(ResetKind::Cold);
            let high = spare.wires.irq.high();
            if !high.is_empty() {
                return Err(What::HighAfterReset(high).into());
            }
        }
        Ok(())
    }

    fn fork(&mut self) -> Result<(), End> {
        let mut rounds = 0;
        while !self.first.device.quiesce() {
            rounds += 1;
            if rounds > 1000 {
                return Err(What::NeverQuiet.into());
            }
            self.both(|_| (0, Action::None))?;
        }
        // A twin that has followed so far may not have drifted either.
        let saved = self.first.device.save_bytes();
        if let Some(twin) = &self.twin {
            let other = twin.device.save_bytes();
            if other != saved {
                return Err(
                    What::Diverged(format!("saved {saved:?} and restored {other:?}")).into(),
                );
            }
        }
        let wires = TestWires {
            clock: self.first.wires.clock.clone(),
            memory: Arc::new(self.first.wires.memory.duplicate()),
            ..TestWires::default()
        };
        let host = self.first.host.fork();
        let mut device = (self.make)(wires.wiring(), &host);
        device
            .restore_bytes(&saved)
            .map_err(|e| What::Refused(e.to_string()))?;
        // The devices that drive the inputs restore their lines too.
        for target in host.inputs() {
            for line in 0..=255u8 {
                if self.driven[usize::from(line)] {
                    target.restore_irq(line.into(), true);
                }
            }
        }
        if let Some(e) = wires.irq.take().iter().find(|e| !e.restored && e.level) {
            return Err(What::EdgeOnRestore(e.line).into());
        }
        // What the twin's back ends announce as they are attached reaches both, or one would be ahead of the other.
        let announced = wires.notify.take();
        self.twin = Some(Side {
            device,
            wires,
            host,
        });
        self.both(|s| {
            for &token in &announced {
                s.device.event(token);
            }
            (0, Action::None)
        })?;
        Ok(())
    }
}

/// Writes inputs for [`run`] by hand, for corpus seeds and regression tests.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    actions: Vec<u8>,
    pool: Vec<u8>,
    deny_dma: bool,
}

impl Encoder {
    /// An empty input.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn size_code(size: u8, allowed: &[u8]) -> u8 {
        allowed.iter().position(|s| *s == size).unwrap_or(0) as u8
    }

    fn put(mut self, parts: &[&[u8]]) -> Self {
        parts.iter().for_each(|p| self.actions.extend_from_slice(p));
        self
    }

    /// A register write. `sizes` are the widths the region allows.
    #[must_use]
    pub fn write(
        self,
        region: u8,
        offset: u32,
        size: u8,
        sizes: crate::AccessSizes,
        value: u64,
    ) -> Self {
        let allowed: Vec<u8> = sizes.iter().collect();
        self.put(&[
            &[0, region, 3],
            &offset.to_le_bytes(),
            &[Self::size_code(size, &allowed)],
            &value.to_le_bytes()[..size.into()],
        ])
    }

    /// A register read. `sizes` are the widths the region allows.
    #[must_use]
    pub fn read(self, region: u8, offset: u32, size: u8, sizes: crate::AccessSizes) -> Self {
        let allowed: Vec<u8> = sizes.iter().collect();
        self.put(&[
            &[100, region, 3],
            &offset.to_le_bytes(),
            &[Self::size_code(size, &allowed)],
        ])
    }

    /// Lets `ns` nanoseconds pass.
    #[must_use]
    pub fn pass(self, ns: u16) -> Self {
        self.put(&[&[170], &ns.to_le_bytes()])
    }

    /// Jumps to the deadline and ticks.
    #[must_use]
    pub fn deadline(self) -> Self {
        self.put(&[&[185]])
    }

    /// Stores to guest memory, at most 255 bytes at a time.
    #[must_use]
    pub fn memory(mut self, at: u32, data: &[u8]) -> Self {
        for (n, part) in data.chunks(255).enumerate() {
            let at = at.wrapping_add(255 * n as u32);
            self = self.put(&[&[218], &at.to_le_bytes(), &[part.len() as u8], part]);
        }
        self
    }

    /// Types to character back end `which`.
    #[must_use]
    pub fn type_in(mut self, which: u8, data: &[u8]) -> Self {
        for part in data.chunks(31) {
            self = self.put(&[&[228, which, part.len() as u8], part]);
        }
        self
    }

    /// Limits the room of character back end `which`; 255 is unlimited.
    #[must_use]
    pub fn room(self, which: u8, bytes: u8) -> Self {
        self.put(&[&[234, which, bytes]])
    }

    /// Drives an interrupt input.
    #[must_use]
    pub fn irq(self, line: u8, level: bool) -> Self {
        self.put(&[&[236, line, level.into()]])
    }

    /// A spurious event.
    #[must_use]
    pub fn event(self, token: u8) -> Self {
        self.put(&[&[241, token]])
    }

    /// A reset.
    #[must_use]
    pub fn reset(self, kind: ResetKind) -> Self {
        self.put(&[&[243, (kind == ResetKind::Cold).into()]])
    }

    /// Saves, and restores into a new twin.
    #[must_use]
    pub fn twin(self) -> Self {
        self.put(&[&[252]])
    }

    /// Bytes that answer DMA reads of memory nobody has written, 64 at a time.
    #[must_use]
    pub fn pool(mut self, data: &[u8]) -> Self {
        self.pool.extend_from_slice(data);
        self
    }

    /// Makes all DMA fail.
    #[must_use]
    pub fn deny_dma(mut self) -> Self {
        self.deny_dma = true;
        self
    }

    /// The input.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        let mut out = vec![self.deny_dma.into()];
        out.extend((self.pool.len().min(0xffff) as u16).to_le_bytes());
        out.extend(self.actions);
        out.extend(self.pool.into_iter().take(0xffff));
        out
    }
}
