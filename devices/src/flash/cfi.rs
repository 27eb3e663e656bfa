//! NOR flash of the Intel command set (CFI algorithm 0x0001): two 16-bit chips side by side on a 32-bit bus.
//!
//! Written from JEDEC JESD68.01 (the query table) and the command set as drivers use it: read array, status,
//! identifiers and query; word and buffered program; block erase; block lock bits. Both chips always get the same
//! command, so one state machine serves both, and status, identifiers and query appear in both halves of a word.
//!
//! The contents are a [`RamBlock`], so that the CPU can run code from the flash. While [`FlashMode::direct`] is true,
//! reads may go to the block without asking the device; a write that changes that returns [`Action::Remap`], and the
//! machine then looks at the mode, as it does after a reset or a restore. The contents are saved with the machine's
//! memory, not with the device.
//!
//! Operations complete at once. Not implemented: suspend and resume, protection registers, interrupts (there are none).

use crate::block::{BlockError, Storage};
use crate::{AccessSizes, Action, Device, RegionSpec, ResetKind, RestoreError, Snapshot};
use ambidex_memory::RamBlock;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of the bus.
const BANK: u64 = 4;
/// Write buffer of both chips together, in bytes.
const BUFFER: u64 = 2048;

mod spec {
    pub const READ_ARRAY: u8 = 0xff;
    pub const READ_STATUS: u8 = 0x70;
    pub const CLEAR_STATUS: u8 = 0x50;
    pub const READ_ID: u8 = 0x90;
    pub const QUERY: u8 = 0x98;
    pub const PROGRAM: u8 = 0x40;
    pub const PROGRAM_ALT: u8 = 0x10;
    pub const BUFFERED: u8 = 0xe8;
    pub const ERASE: u8 = 0x20;
    pub const LOCK: u8 = 0x60;
    pub const CONFIRM: u8 = 0xd0;
    pub const LOCK_SET: u8 = 0x01;
    pub const LOCK_DOWN: u8 = 0x2f;

    pub const SR_READY: u8 = 0x80;
    pub const SR_ERASE: u8 = 0x20;
    pub const SR_PROGRAM: u8 = 0x10;
    pub const SR_LOCKED: u8 = 0x02;

    pub const MANUFACTURER: u16 = 0x89;
    pub const DEVICE: u16 = 0x18;
}
use spec::*;

/// Why a flash cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlashError {
    /// The sizes do not fit the interface.
    #[error(
        "A flash of {len:#x} bytes with blocks of {block:#x} cannot be described; use powers of 2, blocks of 4 KiB to 16 MiB and at most 65536 of them"
    )]
    Size {
        /// Bytes of the flash.
        len: u64,
        /// Bytes of an erase block.
        block: u64,
    },
    /// The image is longer than the flash.
    #[error(
        "The flash image is {image:#x} bytes long, the flash only {len:#x}; use a smaller image"
    )]
    Image {
        /// Bytes of the image.
        image: u64,
        /// Bytes of the flash.
        len: u64,
    },
    /// The image cannot be read.
    #[error("The flash image cannot be read: {0}")]
    Read(#[from] BlockError),
}

/// How a [`CfiFlash`] is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlashOptions {
    /// Bytes of an erase block (of both chips together).
    pub block: u64,
    /// Refuse to program and erase.
    pub read_only: bool,
}

impl Default for FlashOptions {
    fn default() -> Self {
        Self {
            block: 256 << 10,
            read_only: false,
        }
    }
}

/// Tells whether reads may bypass the device. A clone is the same one.
#[derive(Clone, Debug)]
pub struct FlashMode(Arc<AtomicBool>);

impl FlashMode {
    /// Whether reads show the contents.
    #[must_use]
    pub fn direct(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What reads show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum View {
    #[default]
    Array,
    Status,
    Id,
    Query,
}

/// What the next write means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Expect {
    #[default]
    Command,
    ProgramData,
    EraseConfirm,
    LockCommand,
    Count,
    BufferData,
    BufferConfirm,
}

/// Saved state of a [`CfiFlash`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    view: View,
    expect: Expect,
    status: u8,
    /// Blocks that are locked.
    locked: Vec<u32>,
    /// Start of the aligned part of the flash the write buffer covers.
    window: u64,
    /// Data collected: offset, width and value.
    buffer: Vec<(u64, u8, u64)>,
    /// Bytes still to come.
    missing: u64,
}

/// A flash.
pub struct CfiFlash {
    regions: [RegionSpec; 1],
    contents: Arc<RamBlock>,
    backing: Option<Box<dyn Storage>>,
    options: FlashOptions,
    query: Vec<u8>,
    mode: FlashMode,
    s: State,
}

impl CfiFlash {
    /// A flash whose contents are `contents`. An image in `backing` is loaded into it, and what the guest programs and
    /// erases is written through.
    ///
    /// # Errors
    /// The sizes cannot be described, or the image does not fit or cannot be read.
    pub fn new(
        options: FlashOptions,
        contents: Arc<RamBlock>,
        backing: Option<Box<dyn Storage>>,
    ) -> Result<Self, FlashError> {
        let (len, block) = (contents.len(), options.block);
        let sound = len.is_power_of_two()
            && block.is_power_of_two()
            && (4096..=16 << 20).contains(&block)
            && block <= len
            && len / block <= 1 << 16;
        if !sound {
            return Err(FlashError::Size { len, block });
        }
        if let Some(image) = &backing {
            if image.len() > len {
                return Err(FlashError::Image {
                    image: image.len(),
                    len,
                });
            }
            let mut piece = vec![0; 64 << 10];
            let mut at = 0;
            while at < image.len() {
                let n = (image.len() - at).min(piece.len() as u64);
                let part = piece.get_mut(..n as usize).unwrap_or_default();
                image.read_at(at, part)?;
                let _ = contents.write(at, part);
                at += n;
            }
        }
        let any = RegionSpec::mmio("flash", len, AccessSizes::ANY);
        Ok(Self {
            regions: [any],
            query: query_table(len, block),
            contents,
            backing,
            options,
            mode: FlashMode(Arc::new(AtomicBool::new(true))),
            s: State::default(),
        })
    }

    /// The handle that says whether reads may bypass the device.
    #[must_use]
    pub fn mode(&self) -> FlashMode {
        self.mode.clone()
    }

    fn view(&mut self, view: View) {
        self.s.view = view;
        self.mode.0.store(view == View::Array, Ordering::Release);
    }

    fn block_of(&self, offset: u64) -> u32 {
        (offset / self.options.block) as u32
    }

    fn locked(&self, offset: u64) -> bool {
        self.options.read_only || self.s.locked.binary_search(&self.block_of(offset)).is_ok()
    }

    fn set_lock(&mut self, offset: u64, lock: bool) {
        let block = self.block_of(offset);
        match (self.s.locked.binary_search(&block), lock) {
            (Err(at), true) => self.s.locked.insert(at, block),
            (Ok(at), false) => {
                self.s.locked.remove(at);
            }
            _ => {}
        }
    }

    /// Writes `len` bytes at `offset` of the contents through to the image. The image may be shorter than the flash.
    fn write_through(&self, offset: u64, len: u64) -> bool {
        let Some(image) = &self.backing else {
            return true;
        };
        let len = len.min(image.len().saturating_sub(offset));
        let mut data = vec![0; len as usize];
        if len == 0 || self.contents.read(offset, &mut data).is_err() {
            return true;
        }
        let done = image.write_at(offset, &data);
        if let Err(e) = &done {
            log::warn!("The flash image cannot be written: {e}");
        }
        done.is_ok()
    }

    /// Programming clears bits; only erasing sets them.
    fn program(&mut self, offset: u64, size: u8, value: u64) -> bool {
        let old = self.contents.load(offset, size);
        self.contents.store(offset, size, old & value);
        self.write_through(offset, size.into())
    }

    fn program_all(&mut self, parts: Vec<(u64, u8, u64)>) {
        let locked = parts.iter().any(|(at, ..)| self.locked(*at));
        if locked {
            self.s.status |= SR_PROGRAM | SR_LOCKED;
            return;
        }
        for (at, size, value) in parts {
            if !self.program(at, size, value) {
                self.s.status |= SR_PROGRAM;
            }
        }
    }

    fn erase(&mut self, offset: u64) {
        let start = offset & !(self.options.block - 1);
        if self.locked(start) {
            self.s.status |= SR_ERASE | SR_LOCKED;
            return;
        }
        // Inside, since blocks divide the length.
        let _ = self.contents.fill(start, self.options.block, 0xff);
        if !self.write_through(start, self.options.block) {
            self.s.status |= SR_ERASE;
        }
    }

    /// The sequence of commands was wrong: both error bits.
    fn confused(&mut self) {
        self.s.status |= SR_ERASE | SR_PROGRAM;
        self.s.buffer.clear();
        self.s.missing = 0;
        self.s.expect = Expect::Command;
        self.view(View::Status);
    }

    fn command(&mut self, command: u8) {
        let (expect, view) = match command {
            READ_STATUS => (Expect::Command, View::Status),
            CLEAR_STATUS => {
                self.s.status = 0;
                (Expect::Command, self.s.view)
            }
            READ_ID => (Expect::Command, View::Id),
            QUERY => (Expect::Command, View::Query),
            PROGRAM | PROGRAM_ALT => (Expect::ProgramData, View::Status),
            BUFFERED => (Expect::Count, View::Status),
            ERASE => (Expect::EraseConfirm, View::Status),
            LOCK => (Expect::LockCommand, View::Status),
            // Also what is not known: drivers reset a chip of unknown kind with several commands.
            _ => (Expect::Command, View::Array),
        };
        self.s.expect = expect;
        self.view(view);
    }

    fn buffer_data(&mut self, offset: u64, size: u8, value: u64) {
        if offset & !(BUFFER - 1) != self.s.window {
            return self.confused();
        }
        self.s.buffer.push((offset, size, value));
        self.s.missing = self.s.missing.saturating_sub(size.into());
        if self.s.missing == 0 {
            self.s.expect = Expect::BufferConfirm;
        }
    }

    fn step(&mut self, offset: u64, size: u8, value: u64) {
        let command = value as u8;
        match self.s.expect {
            Expect::Command => self.command(command),
            Expect::ProgramData => {
                self.s.expect = Expect::Command;
                self.program_all(vec![(offset, size, value)]);
            }
            Expect::EraseConfirm if command == CONFIRM => {
                self.s.expect = Expect::Command;
                self.erase(offset);
            }
            Expect::LockCommand if matches!(command, LOCK_SET | LOCK_DOWN | CONFIRM) => {
                self.s.expect = Expect::Command;
                self.set_lock(offset, command != CONFIRM);
            }
            Expect::Count => {
                let words = (value & 0xffff) + 1;
                if words * BANK > BUFFER {
                    return self.confused();
                }
                self.s.missing = words * BANK;
                self.s.window = offset & !(BUFFER - 1);
                self.s.buffer.clear();
                self.s.expect = Expect::BufferData;
            }
            Expect::BufferData => self.buffer_data(offset, size, value),
            Expect::BufferConfirm if command == CONFIRM => {
                self.s.expect = Expect::Command;
                let parts = std::mem::take(&mut self.s.buffer);
                self.program_all(parts);
            }
            // Read array takes a driver out of every state.
            _ if command == READ_ARRAY => {
                self.s.buffer.clear();
                self.command(command);
            }
            _ => self.confused(),
        }
    }

    /// The value both chips show in the 32-bit word at `offset`.
    fn word(&self, offset: u64) -> u32 {
        let index = offset / BANK;
        let v: u16 = match self.s.view {
            View::Array => return self.contents.load(offset & !(BANK - 1), 4) as u32,
            View::Status => (self.s.status | SR_READY).into(),
            View::Query => self
                .query
                .get(usize::try_from(index).unwrap_or(usize::MAX))
                .copied()
                .unwrap_or(0)
                .into(),
            View::Id => match index % (self.options.block / BANK) {
                0 => MANUFACTURER,
                1 => DEVICE,
                2 => self.locked(offset).into(),
                _ => 0,
            },
        };
        u32::from(v) << 16 | u32::from(v)
    }
}

/// JESD68.01: what the chips say about themselves. Sizes are of one chip.
fn query_table(len: u64, block: u64) -> Vec<u8> {
    let mut t = vec![0; 0x10];
    let blocks = (len / block - 1) as u16;
    let block_units = (block / 2 / 256) as u16;
    // Query string, command set 1 with its table at 0x31, no alternative.
    t.extend([b'Q', b'R', b'Y', 1, 0, 0x31, 0, 0, 0, 0, 0]);
    // Voltages (4.5 to 5.5 V, no programming voltage), then times as powers of 2 of µs and ms, and their maxima.
    t.extend([0x45, 0x55, 0, 0, 7, 7, 10, 0, 4, 4, 4, 0]);
    // Size, 16-bit interface, write buffer, one erase region.
    t.extend([(len / 2).trailing_zeros() as u8, 1, 0]);
    t.extend([(BUFFER / 2).trailing_zeros() as u8, 0, 1]);
    t.extend(blocks.to_le_bytes());
    t.extend(block_units.to_le_bytes());
    // The table of the command set: version 1.0; blocks can be locked one by one (bit 5); lock bits readable.
    t.extend(*b"PRI10");
    t.extend([0x20, 0, 0, 0, 0, 1, 0, 0x50, 0, 0]);
    t
}

impl Device for CfiFlash {
    fn regions(&self) -> &[RegionSpec] {
        &self.regions
    }

    fn read(&mut self, region: usize, offset: u64, size: u8) -> u64 {
        let end = offset.checked_add(size.into());
        let inside = end.is_some_and(|end| end <= self.contents.len());
        if region != 0 || !inside || !matches!(size, 1 | 2 | 4 | 8) {
            return 0;
        }
        if self.s.view == View::Array {
            return self.contents.load(offset, size);
        }
        let low = u64::from(self.word(offset));
        let high = u64::from(self.word(offset.wrapping_add(BANK)));
        let both = (u128::from(high) << 32 | u128::from(low)) >> (8 * (offset % BANK));
        both as u64 & u64::MAX >> (64 - 8 * u32::from(size))
    }

    fn write(&mut self, region: usize, offset: u64, size: u8, value: u64) -> Action {
        let end = offset.checked_add(size.into());
        let inside = end.is_some_and(|end| end <= self.contents.len());
        if region != 0 || !inside || !matches!(size, 1 | 2 | 4 | 8) {
            return Action::None;
        }
        let before = self.mode.direct();
        self.step(offset, size, value);
        if before == self.mode.direct() {
            Action::None
        } else {
            Action::Remap
        }
    }

    fn reset(&mut self, _kind: ResetKind) {
        self.s = State::default();
        self.view(View::Array);
    }

    fn quiesce(&mut self) -> bool {
        true
    }
}

impl Snapshot for CfiFlash {
    const ID: &'static str = "cfi-flash";
    const VERSION: u32 = 1;
    type State = State;

    fn save(&self) -> State {
        self.s.clone()
    }

    fn restore(&mut self, s: State, _version: u32) -> Result<(), RestoreError> {
        let len = self.contents.len();
        let blocks = (len / self.options.block) as u32;
        let sorted = s.locked.windows(2).all(|w| matches!(w, [a, b] if a < b));
        let fits = |(at, size, _): &(u64, u8, u64)| {
            matches!(size, 1 | 2 | 4 | 8)
                && at.checked_add((*size).into()).is_some_and(|end| end <= len)
        };
        if !sorted
            || s.locked.last().is_some_and(|b| *b >= blocks)
            || s.buffer.len() as u64 > BUFFER
            || s.missing > BUFFER
            || (s.expect == Expect::BufferData) != (s.missing > 0)
            || !s.buffer.iter().all(fits)
        {
            return Err(RestoreError::invalid("cfi-flash: a state that cannot be"));
        }
        let view = s.view;
        self.s = s;
        self.view(view);
        Ok(())
    }
}
