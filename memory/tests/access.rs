//! Accesses of every size at every place of a space with every kind of range, against a plain byte vector.

mod common;

use std::sync::{Arc, Mutex};

use ambidex_memory::{
    AccessSizes, AddressSpace, Attrs, BusError, Dma, Gpa, MmioHandler, RamBlock, Region, StreamId,
};
use common::heap;
use proptest::prelude::*;

const CPU: Attrs = Attrs::cpu(0);

/// Registers that behave like memory, of any access sizes.
struct Bank {
    bytes: Mutex<Vec<u8>>,
    sizes: AccessSizes,
    last: Mutex<Option<Attrs>>,
}

impl Bank {
    fn new(len: usize, sizes: AccessSizes) -> Arc<Bank> {
        Arc::new(Bank {
            bytes: Mutex::new(vec![0; len]),
            sizes,
            last: Mutex::default(),
        })
    }
}

impl MmioHandler for Bank {
    fn read(&self, offset: u64, size: u8, attrs: Attrs) -> Result<u64, BusError> {
        assert!(offset.is_multiple_of(size.into()));
        *self.last.lock().unwrap() = Some(attrs);
        let mut v = [0; 8];
        v[..size.into()]
            .copy_from_slice(&self.bytes.lock().unwrap()[offset as usize..][..size.into()]);
        Ok(u64::from_le_bytes(v))
    }
    fn write(&self, offset: u64, size: u8, value: u64, attrs: Attrs) -> Result<(), BusError> {
        assert!(offset.is_multiple_of(size.into()));
        *self.last.lock().unwrap() = Some(attrs);
        self.bytes.lock().unwrap()[offset as usize..][..size.into()]
            .copy_from_slice(&value.to_le_bytes()[..size.into()]);
        Ok(())
    }
    fn access_sizes(&self) -> AccessSizes {
        self.sizes
    }
}

/// 0x0000 RAM, 0x1000 registers, 0x1040 a second bank (32-bit), 0x1080 RAM seen through an alias, 0x1880 a hole up to 0x2000, then ROM.
const HOLE: std::ops::Range<usize> = 0x1880..0x2000;
const ROM: std::ops::Range<usize> = 0x2000..0x3000;
const END: usize = 0x3000;

fn space() -> (Arc<AddressSpace>, Arc<RamBlock>) {
    let space = AddressSpace::new("memory", 64);
    let root = space.root();
    let other = heap("other", 0x1000);
    root.add(0, &Region::ram(heap("ram", 0x1000)), 0).unwrap();
    root.add(
        0x1000,
        &Region::mmio("any", 0x40, Bank::new(0x40, AccessSizes::ANY)),
        0,
    )
    .unwrap();
    root.add(
        0x1040,
        &Region::mmio("words", 0x40, Bank::new(0x40, AccessSizes::WORD32)),
        0,
    )
    .unwrap();
    root.add(
        0x1080,
        &Region::alias("window", &Region::ram(other.clone()), 0x800, 0x800),
        0,
    )
    .unwrap();
    root.add(0x2000, &Region::rom(heap("rom", 0x1000)), 0)
        .unwrap();
    (space, other)
}

/// What an access of `len` bytes at `at` should say.
fn verdict(at: usize, len: usize, write: bool, loader: bool) -> Result<(), BusError> {
    if len > 0 && at + len > END && at < END {
        // The first bad byte in ascending order decides; ROM comes before the end.
        if write && !loader && at + len > ROM.start {
            let first = (at..at + len)
                .find(|a| HOLE.contains(a) || ROM.contains(a))
                .unwrap();
            return Err(if HOLE.contains(&first) {
                BusError::Unmapped(Gpa(first as u64))
            } else {
                BusError::ReadOnly(Gpa(first as u64))
            });
        }
    }
    for a in at..at + len {
        if HOLE.contains(&a) || a >= END {
            return Err(BusError::Unmapped(Gpa(a as u64)));
        }
        if write && !loader && ROM.contains(&a) {
            return Err(BusError::ReadOnly(Gpa(a as u64)));
        }
    }
    Ok(())
}

fn place() -> impl Strategy<Value = usize> {
    prop_oneof![
        0usize..END + 16,
        prop::sample::select(vec![0x1000usize, 0x1040, 0x1080, 0x1880, 0x2000, 0x3000])
            .prop_flat_map(|b| b - 12..b + 12),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 128 }))]

    #[test]
    fn behaves_like_a_vec(ops in prop::collection::vec((place(), 1u8..=8, any::<u64>(), 0u8..5, 0usize..300), 1..60)) {
        let (space, _) = space();
        let mut model = vec![0u8; END];
        for (at, size, value, what, len) in ops {
            let gpa = Gpa(at as u64);
            let n = usize::from(size);
            match what {
                0 => {
                    let got = space.read(gpa, size, CPU);
                    prop_assert_eq!(got.map(|_| ()), verdict(at, n, false, false));
                    if let Ok(v) = got {
                        let mut want = [0; 8];
                        want[..n].copy_from_slice(&model[at..at + n]);
                        prop_assert_eq!(v, u64::from_le_bytes(want), "at {:#x} size {}", at, size);
                    }
                }
                1 => {
                    let done = space.write(gpa, size, value, CPU);
                    prop_assert_eq!(done, verdict(at, n, true, false));
                    if done.is_ok() {
                        model[at..at + n].copy_from_slice(&value.to_le_bytes()[..n]);
                    }
                }
                2 => {
                    let mut buf = vec![0xcc; len];
                    let done = space.read_bytes(gpa, &mut buf, CPU);
                    prop_assert_eq!(done, verdict(at, len, false, false));
                    if done.is_ok() && len > 0 {
                        prop_assert_eq!(&buf, &model[at..at + len]);
                    }
                }
                _ => {
                    let buf: Vec<u8> = (0..len).map(|i| (value as usize + i * 7) as u8).collect();
                    let loader = what == 4;
                    let done = if loader { space.load_rom(gpa, &buf) } else { space.write_bytes(gpa, &buf, CPU) };
                    prop_assert_eq!(done, verdict(at, len, true, loader));
                    if done.is_ok() && len > 0 {
                        model[at..at + len].copy_from_slice(&buf);
                    }
                }
            }
        }
        // Nothing else was touched, whichever way one looks.
        for part in [0..HOLE.start, ROM] {
            let mut all = vec![0; part.len()];
            space.read_bytes(Gpa(part.start as u64), &mut all, Attrs::DEBUG).unwrap();
            prop_assert_eq!(&all, &model[part]);
        }
    }
}

#[test]
fn every_size_at_every_border() {
    let (space, _) = space();
    for border in [0x1000u64, 0x1040, 0x1080] {
        for size in 1..=8u8 {
            for at in border - 9..border + 2 {
                let value = 0x8899_aabb_ccdd_eeff ^ at;
                space.write(Gpa(at), size, value, CPU).unwrap();
                let mask = u64::MAX >> (64 - u32::from(size) * 8);
                assert_eq!(
                    space.read(Gpa(at), size, CPU),
                    Ok(value & mask),
                    "{size} bytes at {at:#x}"
                );
            }
        }
    }
    assert_eq!(space.read(Gpa(0), 0, CPU), Err(BusError::Unaligned(Gpa(0))));
    assert_eq!(
        space.write(Gpa(0), 9, 0, CPU),
        Err(BusError::Unaligned(Gpa(0)))
    );
}

#[test]
fn a_failing_write_across_ranges_writes_nothing() {
    let (space, _) = space();
    assert_eq!(
        space.write(Gpa(0x187c), 8, u64::MAX, CPU),
        Err(BusError::Unmapped(Gpa(0x1880)))
    );
    assert_eq!(space.read(Gpa(0x187c), 4, CPU), Ok(0));
}

#[test]
fn writes_through_aliases_are_tracked_in_the_block() {
    let (space, other) = space();
    let dirty = other.dirty_register();
    space.write(Gpa(0x107e), 4, u64::MAX, CPU).unwrap();
    assert_eq!(dirty.take(), [0]);
    assert_eq!(other.load(0x800, 2), 0xffff);
    Dma::new(space, StreamId(1))
        .write_bytes(0x1100, &[1])
        .unwrap();
    assert_eq!(dirty.take(), [0]);
}

#[test]
fn handlers_see_the_initiator() {
    let space = AddressSpace::new("memory", 64);
    let bank = Bank::new(16, AccessSizes::ANY);
    space
        .root()
        .add(0x100, &Region::mmio("bank", 16, bank.clone()), 0)
        .unwrap();
    let attrs = Attrs {
        secure: true,
        ..Attrs::cpu(3)
    };
    space.write(Gpa(0x100), 4, 1, attrs).unwrap();
    assert_eq!(*bank.last.lock().unwrap(), Some(attrs));
    space
        .read(Gpa(0x100), 4, Attrs::device(StreamId(9)))
        .unwrap();
    assert_eq!(*bank.last.lock().unwrap(), Some(Attrs::device(StreamId(9))));
}

#[test]
fn reserved_reads_ones_and_swallows_writes() {
    let space = AddressSpace::new("memory", 64);
    space
        .root()
        .add(0, &Region::reserved("r", 0x10), 0)
        .unwrap();
    space.write(Gpa(0), 8, 0, CPU).unwrap();
    space.write_bytes(Gpa(3), &[0; 13], CPU).unwrap();
    assert_eq!(space.read(Gpa(0), 2, CPU), Ok(0xffff));
    let mut buf = [0; 16];
    space.read_bytes(Gpa(0), &mut buf, CPU).unwrap();
    assert_eq!(buf, [0xff; 16]);
    assert!(Dma::new(space, StreamId(0)).read_u8(0).is_err());
}

#[test]
fn flash_reads_memory_and_writes_registers() {
    let space = AddressSpace::new("memory", 64);
    let (block, bank) = (heap("flash", 0x1000), Bank::new(0x1000, AccessSizes::ANY));
    let flash = Region::rom_device(block.clone(), bank.clone());
    space.root().add(0, &flash, 0).unwrap();
    space.load_rom(Gpa(0), &[1, 2, 3, 4]).unwrap();
    assert_eq!(space.read(Gpa(0), 4, CPU), Ok(0x0403_0201));
    space.write(Gpa(0), 1, 0x70, CPU).unwrap();
    space.write_bytes(Gpa(5), &[0x10, 0x11], CPU).unwrap();
    assert_eq!(
        block.load(0, 8),
        0x0403_0201,
        "the handler decides what to store"
    );
    assert_eq!(
        bank.bytes.lock().unwrap()[..8],
        [0x70, 0, 0, 0, 0, 0x10, 0x11, 0]
    );
    flash.set_direct(false);
    assert_eq!(space.read(Gpa(0), 1, CPU), Ok(0x70));
}

#[test]
fn the_dump_names_everything() {
    let (space, _) = space();
    let hidden = Region::reserved("hidden", 0x10);
    hidden.set_enabled(false);
    space.root().add(0x8000, &hidden, 7).unwrap();
    let dump = space.dump();
    for line in [
        "address space: memory",
        "0000000000001080-000000000000187f (prio 0, alias of other at 0x800): window",
        "0000000000008000-000000000000800f (prio 7, reserved): hidden [disabled]",
        "0000000000001080-000000000000187f (ram): other @800",
        "0000000000002000-0000000000002fff (rom): rom @0",
    ] {
        assert!(dump.contains(line), "{line:?} is not in\n{dump}");
    }
}
