//! A device's view of memory.
//!
//! A [`Dma`] handle carries the device's identity, its bus-master gate, a budget and perhaps an IOMMU. It reaches memory and nothing
//! else: an access to device registers is denied. So a device can never re-enter itself or another through DMA.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::attrs::StreamId;
use crate::error::BusError;
use crate::gpa::Gpa;
use crate::ram::RamBlock;
use crate::space::AddressSpace;

/// What DMA goes to: an [`AddressSpace`], a bare [`RamBlock`] (addresses are offsets; for tests), or a fuzzer's stand-in.
pub trait DmaTarget: Send + Sync {
    /// Reads bytes.
    ///
    /// # Errors
    /// Not all of it is memory; then nothing was read.
    fn read(&self, at: Gpa, buf: &mut [u8], id: StreamId) -> Result<(), BusError>;

    /// Writes bytes.
    ///
    /// # Errors
    /// Not all of it is writable memory; then nothing was written.
    fn write(&self, at: Gpa, buf: &[u8], id: StreamId) -> Result<(), BusError>;

    /// Reads a little-endian number of 1, 2, 4 or 8 bytes. Memory shared with running CPUs does it single-copy atomically, with acquire
    /// ordering, if it is naturally aligned.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn load(&self, at: Gpa, size: u8, id: StreamId) -> Result<u64, BusError> {
        let mut buf = [0; 8];
        self.read(at, &mut buf[..size.min(8).into()], id)?;
        Ok(u64::from_le_bytes(buf))
    }

    /// Writes a little-endian number of 1, 2, 4 or 8 bytes. Memory shared with running CPUs does it single-copy atomically, with release
    /// ordering, if it is naturally aligned.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn store(&self, at: Gpa, size: u8, value: u64, id: StreamId) -> Result<(), BusError> {
        self.write(at, &value.to_le_bytes()[..size.min(8).into()], id)
    }
}

impl DmaTarget for AddressSpace {
    fn read(&self, at: Gpa, buf: &mut [u8], _: StreamId) -> Result<(), BusError> {
        let view = self.view();
        view.memory(at, buf.len() as u64, false, |block, off, done, n| {
            // Inside, since ranges lie inside their blocks.
            let _ = block.read(off, &mut buf[done as usize..(done + n) as usize]);
        })
    }

    fn write(&self, at: Gpa, buf: &[u8], _: StreamId) -> Result<(), BusError> {
        let view = self.view();
        view.memory(at, buf.len() as u64, true, |block, off, done, n| {
            let _ = block.write(off, &buf[done as usize..(done + n) as usize]);
        })
    }

    fn load(&self, at: Gpa, size: u8, _: StreamId) -> Result<u64, BusError> {
        let mut value = 0;
        self.view()
            .memory(at, size.min(8).into(), false, |block, off, done, n| {
                value |= block.load_acquire(off, n as u8) << (done * 8);
            })?;
        Ok(value)
    }

    fn store(&self, at: Gpa, size: u8, value: u64, _: StreamId) -> Result<(), BusError> {
        self.view()
            .memory(at, size.min(8).into(), true, |block, off, done, n| {
                block.store_release(off, n as u8, value >> (done * 8));
            })
    }
}

impl DmaTarget for RamBlock {
    fn read(&self, at: Gpa, buf: &mut [u8], _: StreamId) -> Result<(), BusError> {
        RamBlock::read(self, at.0, buf)
    }

    fn write(&self, at: Gpa, buf: &[u8], _: StreamId) -> Result<(), BusError> {
        RamBlock::write(self, at.0, buf)
    }
}

/// An address translation between a device and memory.
pub trait Iommu: Send + Sync {
    /// Translates `iova` for an access of `len` bytes: where it lies, and for how many bytes from there the translation is contiguous (at
    /// least one; more than `len` is fine).
    ///
    /// # Errors
    /// A translation fault, usually [`BusError::Denied`].
    fn translate(
        &self,
        iova: u64,
        len: u64,
        write: bool,
        id: StreamId,
    ) -> Result<(Gpa, u64), BusError>;
}

/// Opens and closes a device's way to memory: a PCI function's bus-master enable. Clones work the same gate.
#[derive(Clone, Debug)]
pub struct DmaGate(Arc<AtomicBool>);

impl DmaGate {
    /// Opens or closes it.
    pub fn set(&self, open: bool) {
        self.0.store(open, Ordering::Release);
    }

    /// Whether it is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A budget that has no end.
const UNLIMITED: u64 = u64::MAX;

/// A device's view of memory. Clones share the gates and the budget.
#[derive(Clone)]
pub struct Dma {
    target: Option<Arc<dyn DmaTarget>>,
    id: StreamId,
    gates: Vec<DmaGate>,
    budget: Arc<AtomicU64>,
    iommu: Option<Arc<dyn Iommu>>,
}

impl Dma {
    /// A view of `target` for the device `id`, with no gate, no budget and no translation.
    #[must_use]
    pub fn new(target: Arc<dyn DmaTarget>, id: StreamId) -> Dma {
        Dma {
            target: Some(target),
            id,
            gates: Vec::new(),
            budget: Arc::new(AtomicU64::new(UNLIMITED)),
            iommu: None,
        }
    }

    /// A view of nothing: every access is denied.
    #[must_use]
    pub fn none() -> Dma {
        let budget = Arc::new(AtomicU64::new(UNLIMITED));
        Dma {
            target: None,
            id: StreamId::default(),
            gates: Vec::new(),
            budget,
            iommu: None,
        }
    }

    /// The same view behind one more gate, which is closed at first, as bus mastering is after a reset.
    #[must_use]
    pub fn gated(&self) -> (Dma, DmaGate) {
        let gate = DmaGate(Arc::new(AtomicBool::new(false)));
        let mut dma = self.clone();
        dma.gates.push(gate.clone());
        (dma, gate)
    }

    /// The same view through an address translation (instead of the one it had).
    #[must_use]
    pub fn with_translation(&self, iommu: Arc<dyn Iommu>) -> Dma {
        Dma {
            iommu: Some(iommu),
            ..self.clone()
        }
    }

    /// The same view for another device, with a budget of its own.
    #[must_use]
    pub fn with_id(&self, id: StreamId) -> Dma {
        let budget = Arc::new(AtomicU64::new(self.budget.load(Ordering::Relaxed)));
        Dma {
            id,
            budget,
            ..self.clone()
        }
    }

    /// The device's identity.
    #[must_use]
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// Sets how many bytes may still be moved, by this view and all its clones; `None` is no limit. An access that would exceed it fails with
    /// [`BusError::Budget`] and moves nothing.
    pub fn set_budget(&self, bytes: Option<u64>) {
        self.budget
            .store(bytes.unwrap_or(UNLIMITED), Ordering::Relaxed);
    }

    /// The bytes left, if there is a limit.
    #[must_use]
    pub fn budget(&self) -> Option<u64> {
        Some(self.budget.load(Ordering::Relaxed)).filter(|&left| left != UNLIMITED)
    }

    /// Checks gates and budget for an access of `len` bytes.
    fn enter(&self, at: u64, len: u64) -> Result<&dyn DmaTarget, BusError> {
        let target = self.target.as_deref().ok_or(BusError::Denied(Gpa(at)))?;
        if !self.gates.iter().all(DmaGate::is_open) {
            return Err(BusError::Denied(Gpa(at)));
        }
        if self.budget.load(Ordering::Relaxed) != UNLIMITED {
            let spend = |left| {
                if left == UNLIMITED {
                    Some(left)
                } else {
                    u64::checked_sub(left, len)
                }
            };
            self.budget
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend)
                .map_err(|_| BusError::Budget)?;
        }
        Ok(target)
    }

    /// Translates, and returns how many of `len` bytes can be moved in one go.
    fn translate(
        &self,
        iommu: &dyn Iommu,
        at: u64,
        len: u64,
        write: bool,
    ) -> Result<(Gpa, u64), BusError> {
        let (gpa, contiguous) = iommu.translate(at, len, write, self.id)?;
        // None at all would never end.
        if contiguous == 0 {
            Err(BusError::Denied(Gpa(at)))
        } else {
            Ok((gpa, contiguous.min(len)))
        }
    }

    /// Reads bytes. Naturally aligned pieces of up to 8 bytes are read in one go each.
    ///
    /// # Errors
    /// [`BusError::Denied`] if the gate is closed or the address is not memory, [`BusError::Unmapped`], [`BusError::Budget`], or what the
    /// IOMMU says. Nothing was read, unless the IOMMU fails in the middle.
    pub fn read_bytes(&self, at: u64, buf: &mut [u8]) -> Result<(), BusError> {
        let target = self.enter(at, buf.len() as u64)?;
        let Some(iommu) = &self.iommu else {
            return target.read(Gpa(at), buf, self.id);
        };
        let (mut at, mut rest) = (at, buf);
        while !rest.is_empty() {
            let (gpa, n) = self.translate(&**iommu, at, rest.len() as u64, false)?;
            let (part, after) = rest.split_at_mut(n as usize);
            target.read(gpa, part, self.id)?;
            at = at.wrapping_add(n);
            rest = after;
        }
        Ok(())
    }

    /// Writes bytes. Naturally aligned pieces of up to 8 bytes are written in one go each.
    ///
    /// # Errors
    /// As [`read_bytes`](Self::read_bytes), and [`BusError::ReadOnly`] for ROM.
    pub fn write_bytes(&self, at: u64, buf: &[u8]) -> Result<(), BusError> {
        let target = self.enter(at, buf.len() as u64)?;
        let Some(iommu) = &self.iommu else {
            return target.write(Gpa(at), buf, self.id);
        };
        let (mut at, mut rest) = (at, buf);
        while !rest.is_empty() {
            let (gpa, n) = self.translate(&**iommu, at, rest.len() as u64, true)?;
            let (part, after) = rest.split_at(n as usize);
            target.write(gpa, part, self.id)?;
            at = at.wrapping_add(n);
            rest = after;
        }
        Ok(())
    }

    fn load(&self, at: u64, size: u8) -> Result<u64, BusError> {
        let Some(iommu) = &self.iommu else {
            return self.enter(at, size.into())?.load(Gpa(at), size, self.id);
        };
        let (gpa, n) = self.translate(&**iommu, at, size.into(), false)?;
        if n == u64::from(size) {
            return self.enter(at, n)?.load(gpa, size, self.id);
        }
        let mut buf = [0; 8];
        self.read_bytes(at, &mut buf[..size.into()])?;
        Ok(u64::from_le_bytes(buf))
    }

    fn store(&self, at: u64, size: u8, value: u64) -> Result<(), BusError> {
        let Some(iommu) = &self.iommu else {
            return self
                .enter(at, size.into())?
                .store(Gpa(at), size, value, self.id);
        };
        let (gpa, n) = self.translate(&**iommu, at, size.into(), true)?;
        if n == u64::from(size) {
            return self.enter(at, n)?.store(gpa, size, value, self.id);
        }
        self.write_bytes(at, &value.to_le_bytes()[..size.into()])
    }
}

macro_rules! numbers {
    ($($ty:ident: $read:ident, $read_be:ident, $write:ident, $write_be:ident;)*) => {
        impl Dma {
            $(
                #[doc = concat!("Reads a little-endian `", stringify!($ty), "`: with acquire ordering, and single-copy atomic if aligned.")]
                ///
                /// # Errors
                /// As [`read_bytes`](Self::read_bytes).
                pub fn $read(&self, at: u64) -> Result<$ty, BusError> {
                    Ok(self.load(at, size_of::<$ty>() as u8)? as $ty)
                }

                #[doc = concat!("Reads a big-endian `", stringify!($ty), "`: with acquire ordering, and single-copy atomic if aligned.")]
                ///
                /// # Errors
                /// As [`read_bytes`](Self::read_bytes).
                pub fn $read_be(&self, at: u64) -> Result<$ty, BusError> {
                    Ok(self.$read(at)?.swap_bytes())
                }

                #[doc = concat!("Writes a little-endian `", stringify!($ty), "`: with release ordering, and single-copy atomic if aligned.")]
                ///
                /// # Errors
                /// As [`write_bytes`](Self::write_bytes).
                pub fn $write(&self, at: u64, value: $ty) -> Result<(), BusError> {
                    self.store(at, size_of::<$ty>() as u8, u64::from(value))
                }

                #[doc = concat!("Writes a big-endian `", stringify!($ty), "`: with release ordering, and single-copy atomic if aligned.")]
                ///
                /// # Errors
                /// As [`write_bytes`](Self::write_bytes).
                pub fn $write_be(&self, at: u64, value: $ty) -> Result<(), BusError> {
                    self.$write(at, value.swap_bytes())
                }
            )*
        }
    };
}

numbers! {
    u8: read_u8, read_be_u8, write_u8, write_be_u8;
    u16: read_u16, read_be_u16, write_u16, write_be_u16;
    u32: read_u32, read_be_u32, write_u32, write_be_u32;
    u64: read_u64, read_be_u64, write_u64, write_be_u64;
}

impl fmt::Debug for Dma {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dma")
            .field("id", &self.id)
            .field("gates", &self.gates)
            .field("budget", &self.budget())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attrs, Backing, MmioHandler, RamOptions, Region};

    struct Registers;
    impl MmioHandler for Registers {
        fn read(&self, _: u64, _: u8, _: Attrs) -> Result<u64, BusError> {
            panic!("DMA reached a register");
        }
        fn write(&self, _: u64, _: u8, _: u64, _: Attrs) -> Result<(), BusError> {
            panic!("DMA reached a register");
        }
    }

    fn ram(name: &str) -> Arc<RamBlock> {
        let opt = RamOptions {
            backing: Backing::Heap,
            ..RamOptions::default()
        };
        RamBlock::new(name, 0x4000, &opt).unwrap()
    }

    /// RAM at 0, ROM at 0x4000, registers at 0x8000, RAM again at 0x9000.
    fn space() -> Arc<AddressSpace> {
        let space = AddressSpace::new("memory", 64);
        let root = space.root();
        root.add(0, &Region::ram(ram("ram")), 0).unwrap();
        root.add(0x4000, &Region::rom(ram("rom")), 0).unwrap();
        root.add(
            0x8000,
            &Region::mmio("registers", 0x1000, Arc::new(Registers)),
            0,
        )
        .unwrap();
        root.add(0x9000, &Region::ram(ram("high")), 0).unwrap();
        space
    }

    #[test]
    fn memory_only_and_all_or_nothing() {
        let space = space();
        let dma = Dma::new(space.clone(), StreamId(8));
        space.load_rom(Gpa(0x4000), &[0xaa; 4]).unwrap();
        dma.write_u32(0x3ffc, 0x1122_3344).unwrap();
        assert_eq!(
            dma.read_u64(0x3ffc),
            Ok(0xaaaa_aaaa_1122_3344),
            "RAM and ROM in one read"
        );
        assert_eq!(
            dma.write_bytes(0x3ff8, &[9; 16]),
            Err(BusError::ReadOnly(Gpa(0x4000)))
        );
        assert_eq!(
            dma.read_u64(0x3ff8),
            Ok(0x1122_3344_0000_0000),
            "nothing was written"
        );
        assert_eq!(dma.read_u8(0x8000), Err(BusError::Denied(Gpa(0x8000))));
        assert_eq!(dma.write_u64(0x8ffc, 0), Err(BusError::Denied(Gpa(0x8ffc))));
        let mut buf = [0; 0x2000];
        assert_eq!(
            dma.read_bytes(0x7000, &mut buf),
            Err(BusError::Denied(Gpa(0x8000)))
        );
        assert_eq!(dma.read_u8(0xd000), Err(BusError::Unmapped(Gpa(0xd000))));
        assert_eq!(
            dma.read_u16(u64::MAX),
            Err(BusError::Unmapped(Gpa(u64::MAX)))
        );
        assert_eq!(dma.read_bytes(0x8000, &mut []), Ok(()));
    }

    #[test]
    fn byte_orders() {
        let dma = Dma::new(ram("ram"), StreamId(0));
        dma.write_be_u32(0, 0x0102_0304).unwrap();
        assert_eq!(dma.read_u32(0), Ok(0x0403_0201));
        assert_eq!(dma.read_be_u16(1), Ok(0x0203));
        dma.write_u16(0x101, 0xbeef).unwrap();
        assert_eq!(
            (dma.read_u8(0x101), dma.read_u8(0x102)),
            (Ok(0xef), Ok(0xbe))
        );
        dma.write_be_u64(0x200, 1).unwrap();
        assert_eq!(dma.read_u64(0x200), Ok(1 << 56));
    }

    #[test]
    fn gates_budgets_and_nothing() {
        let dma = Dma::new(ram("ram"), StreamId(0));
        let (gated, gate) = dma.gated();
        assert_eq!(gated.read_u8(5), Err(BusError::Denied(Gpa(5))));
        gate.set(true);
        assert_eq!(gated.clone().read_u8(5), Ok(0));
        let (twice, inner) = gated.gated();
        inner.set(true);
        gate.set(false);
        assert_eq!(twice.write_u8(5, 1), Err(BusError::Denied(Gpa(5))));
        assert_eq!(dma.read_u8(5), Ok(0), "the ungated view is not concerned");

        dma.set_budget(Some(10));
        assert_eq!(dma.clone().write_bytes(0, &[1; 8]), Ok(()));
        assert_eq!(dma.write_u32(0, 7), Err(BusError::Budget));
        assert_eq!(dma.budget(), Some(2));
        assert_eq!(dma.read_u16(0), Ok(0x0101));
        assert_eq!(dma.read_u8(0), Err(BusError::Budget));
        dma.set_budget(None);
        assert_eq!(dma.read_u8(0), Ok(1));
        assert_eq!(Dma::none().read_u8(0), Err(BusError::Denied(Gpa(0))));
    }

    /// Swaps neighbouring 16-byte granules; writes to the first 64 bytes fault.
    struct Swap;
    impl Iommu for Swap {
        fn translate(
            &self,
            iova: u64,
            _: u64,
            write: bool,
            id: StreamId,
        ) -> Result<(Gpa, u64), BusError> {
            assert_eq!(id, StreamId(3));
            if write && iova < 64 {
                return Err(BusError::Denied(Gpa(iova)));
            }
            if iova >= 0x1000 {
                return Ok((Gpa(0), 0));
            }
            Ok((Gpa(iova ^ 16), 16 - iova % 16))
        }
    }

    #[test]
    fn translation_piece_by_piece() {
        let block = ram("ram");
        let dma = Dma::new(block.clone(), StreamId(3)).with_translation(Arc::new(Swap));
        let data: Vec<u8> = (0..48).collect();
        dma.write_bytes(72, &data).unwrap();
        let mut back = [0; 48];
        dma.read_bytes(72, &mut back).unwrap();
        assert_eq!(back[..], data);
        let mut raw = [0; 16];
        RamBlock::read(&block, 64, &mut raw).unwrap();
        assert_eq!(raw[..], data[8..24], "the granule at 80 lies at 64");
        dma.write_u32(94, 0x0403_0201).unwrap();
        assert_eq!(dma.read_u32(94), Ok(0x0403_0201));
        assert_eq!(dma.write_u8(3, 1), Err(BusError::Denied(Gpa(3))));
        assert_eq!(dma.read_u8(0x1000), Err(BusError::Denied(Gpa(0x1000))));
    }
}
