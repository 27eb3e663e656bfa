//! The firmware configuration interface (`fw_cfg`): how firmware and kernels get tables, names and files from the
//! machine.
//!
//! Written from the interface's description in the kernel's and firmware's drivers: items are selected by a 16-bit key
//! and read as a stream of bytes, through a data register or by DMA. The MMIO layout: data at 0 (1 to 8 bytes), selector
//! at 8 (big endian), DMA address at 16 (big endian; the low half starts the transfer). The x86 port layout is not
//! implemented.

mod items;
#[cfg(test)]
mod tests;

pub use items::{FwCfgError, FwCfgItems};

use crate::dma::BusError;
use crate::{AccessSizes, Action, Device, RegionSpec, ResetKind, RestoreError, Snapshot, Wiring};
use items::Item;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Keys and registers.
pub mod spec {
    #![allow(missing_docs)]
    pub const DATA: u64 = 0;
    pub const SELECTOR: u64 = 8;
    pub const DMA: u64 = 16;
    pub const SIGNATURE: u16 = 0;
    pub const ID: u16 = 1;
    pub const NB_CPUS: u16 = 5;
    pub const MAX_CPUS: u16 = 0x0f;
    pub const FILE_DIR: u16 = 0x19;
    pub const FILE_FIRST: u16 = 0x20;
    pub const CTL_ERROR: u32 = 1;
    pub const CTL_READ: u32 = 2;
    pub const CTL_SKIP: u32 = 4;
    pub const CTL_SELECT: u32 = 8;
    pub const CTL_WRITE: u32 = 16;
}
use spec::*;

/// What the DMA register reads as.
const DMA_SIGNATURE: [u8; 8] = *b"QEMU CFG";
/// Bytes beyond the end of an item that one transfer may read, as zeroes.
const MAX_PADDING: u64 = 64 << 10;
const PIECE: usize = 4096;

static REGIONS: [RegionSpec; 1] = [RegionSpec::mmio("fw-cfg", 0x18, AccessSizes::ANY)];

/// Saved state of a [`FwCfg`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    key: u16,
    offset: u64,
    dma_high: u32,
    /// Contents of writable items by key, where the guest changed them.
    written: BTreeMap<u16, Vec<u8>>,
}

/// The device.
pub struct FwCfg {
    w: Wiring,
    items: BTreeMap<u16, Item>,
    s: State,
}

impl FwCfg {
    /// A device that offers `items`.
    #[must_use]
    pub fn new(w: Wiring, items: FwCfgItems) -> Self {
        Self {
            w,
            items: items.finish(),
            s: State::default(),
        }
    }

    fn select(&mut self, key: u16) {
        // Bit 14 once chose a write channel; it is ignored.
        self.s.key = key & !0x4000;
        self.s.offset = 0;
    }

    fn contents(&self) -> &[u8] {
        if let Some(changed) = self.s.written.get(&self.s.key) {
            return changed;
        }
        self.items.get(&self.s.key).map_or(&[], |i| &i.data)
    }

    /// The selected item from the present offset, and moves on. Behind its end there are zeroes.
    fn take(&mut self, buf: &mut [u8]) {
        buf.fill(0);
        let from = usize::try_from(self.s.offset).unwrap_or(usize::MAX);
        for (to, b) in buf.iter_mut().zip(self.contents().iter().skip(from)) {
            *to = *b;
        }
        self.s.offset = self.s.offset.saturating_add(buf.len() as u64);
    }

    fn left(&self) -> u64 {
        (self.contents().len() as u64).saturating_sub(self.s.offset)
    }

    fn dma_read(&mut self, mut at: u64, len: u64) -> Result<(), BusError> {
        if len.saturating_sub(self.left()) > MAX_PADDING {
            return Err(BusError::Budget);
        }
        let mut left = len;
        let mut buf = [0; PIECE];
        while left > 0 {
            let n = left.min(PIECE as u64);
            let part = buf.get_mut(..n as usize).unwrap_or_default();
            self.take(part);
            self.w.dma.write_bytes(at, part)?;
            at = at.wrapping_add(n);
            left -= n;
        }
        Ok(())
    }

    fn dma_write(&mut self, at: u64, len: u64) -> Result<(), BusError> {
        let (key, offset) = (self.s.key, self.s.offset);
        let item = self.items.get(&key).filter(|i| i.writable);
        let item = item.ok_or(BusError::Budget)?;
        if len > self.left() {
            return Err(BusError::Budget);
        }
        let mut data = vec![0; len as usize];
        self.w.dma.read_bytes(at, &mut data)?;
        let contents = self
            .s
            .written
            .entry(key)
            .or_insert_with(|| item.data.clone());
        let place = contents.iter_mut().skip(offset as usize);
        for (to, b) in place.zip(data) {
            *to = b;
        }
        self.s.offset = offset.saturating_add(len);
        Ok(())
    }

    /// Carries out the command at `at`: control, length and address, big endian; writes the control word back.
    fn dma(&mut self, at: u64) {
        let mut raw = [0; 16];
        if self.w.dma.read_bytes(at, &mut raw).is_err() {
            return;
        }
        let v = u128::from_be_bytes(raw);
        let (control, len, address) = ((v >> 96) as u32, u64::from((v >> 64) as u32), v as u64);
        if control & CTL_SELECT != 0 {
            self.select((control >> 16) as u16);
        }
        let result = if control & CTL_READ != 0 {
            self.dma_read(address, len)
        } else if control & CTL_WRITE != 0 {
            self.dma_write(address, len)
        } else {
            if control & CTL_SKIP != 0 {
                self.s.offset = self.s.offset.saturating_add(len);
            }
            Ok(())
        };
        let answer = if result.is_ok() { 0 } else { CTL_ERROR };
        let _ = self.w.dma.write_bytes(at, &answer.to_be_bytes());
    }
}

impl Device for FwCfg {
    fn regions(&self) -> &[RegionSpec] {
        &REGIONS
    }

    fn read(&mut self, region: usize, offset: u64, size: u8) -> u64 {
        let mut buf = [0; 8];
        let Some(part) = buf.get_mut(..size.into()) else {
            return 0;
        };
        match (region, offset) {
            (0, DATA..SELECTOR) => self.take(part),
            (0, DMA..0x18) => {
                let from = (offset - DMA) as usize;
                for (to, b) in part.iter_mut().zip(DMA_SIGNATURE.iter().skip(from)) {
                    *to = *b;
                }
            }
            _ => {}
        }
        u64::from_le_bytes(buf)
    }

    fn write(&mut self, region: usize, offset: u64, size: u8, value: u64) -> Action {
        match (region, offset, size) {
            (0, SELECTOR, 2) => self.select((value as u16).swap_bytes()),
            (0, DMA, 8) => self.dma(value.swap_bytes()),
            (0, DMA, 4) => self.s.dma_high = (value as u32).swap_bytes(),
            (0, 0x14, 4) => {
                let low = (value as u32).swap_bytes();
                let high = std::mem::take(&mut self.s.dma_high);
                self.dma(u64::from(high) << 32 | u64::from(low));
            }
            _ => {}
        }
        Action::None
    }

    fn reset(&mut self, _kind: ResetKind) {
        self.s = State::default();
    }
}

impl Snapshot for FwCfg {
    const ID: &'static str = "fw-cfg";
    const VERSION: u32 = 1;
    type State = State;

    fn save(&self) -> State {
        self.s.clone()
    }

    fn restore(&mut self, s: State, _version: u32) -> Result<(), RestoreError> {
        for (key, data) in &s.written {
            let known = self.items.get(key).filter(|i| i.writable);
            if known.is_none_or(|i| i.data.len() != data.len()) {
                return Err(RestoreError::invalid(format!(
                    "fw-cfg: item {key:#x} is not writable or has another length"
                )));
            }
        }
        self.s = s;
        Ok(())
    }
}
