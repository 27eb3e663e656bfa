//! Virtio devices over MMIO, the split ring, flash and fw_cfg.

use std::sync::Arc;

use ambidex_devices::block::{BlockError, MemoryDisk, Storage, SyncBackend};
use ambidex_devices::flash::{CfiFlash, FlashOptions};
use ambidex_devices::fwcfg::{FwCfg, FwCfgItems};
use ambidex_devices::testing::{TestHost, TestMemory, fuzz};
use ambidex_devices::virtio::queue::{MAX_INDIRECT, Ring, SplitRing};
use ambidex_devices::virtio::{
    Blk, BlkOptions, Console, ConsoleSize, MmioVersion, Port, Rng, SeededEntropy, VirtioDevice,
    VirtioMmio,
};
use ambidex_devices::{Dma, StreamId, Wiring};
use ambidex_memory::{RamBlock, RamOptions};

use crate::device::run;

/// Registers worth hitting often: status, queue set-up, notification, the first words of the configuration.
const HOT: [u64; 20] = [
    0x70, 0x50, 0x44, 0x30, 0x20, 0x24, 0x70, 0x50, 0x64, 0x60, 0x38, 0x80, 0x90, 0xa0, 0xc0, 0x28,
    0x40, 0x3c, 0x100, 0x108,
];

fn over_mmio(
    data: &[u8],
    version: MmioVersion,
    device: impl Fn(&TestHost) -> Box<dyn VirtioDevice>,
) {
    run(data, |w: Wiring, host: &TestHost| {
        host.hot(&HOT);
        host.dma_budget(512 << 20);
        VirtioMmio::new(w, version, device(host))
    });
}

/// A disk that takes every write and forgets it: contents are not part of a device's state, so a twin must find the same.
struct Sieve;

impl Storage for Sieve {
    fn len(&self) -> u64 {
        64 * 512
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), BlockError> {
        assert!(
            offset + buf.len() as u64 <= self.len(),
            "read beyond the end"
        );
        buf.iter_mut()
            .enumerate()
            .for_each(|(n, b)| *b = (((offset + n as u64) * 37) >> 3) as u8);
        Ok(())
    }
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), BlockError> {
        assert!(
            offset + data.len() as u64 <= self.len(),
            "write beyond the end"
        );
        Ok(())
    }
    fn flush(&self) -> Result<(), BlockError> {
        Ok(())
    }
    fn discard(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        assert!(
            offset.checked_add(len).is_some_and(|end| end <= self.len()),
            "discard beyond the end"
        );
        Ok(())
    }
    fn write_zeroes(&self, offset: u64, len: u64, _: bool) -> Result<(), BlockError> {
        assert!(
            offset.checked_add(len).is_some_and(|end| end <= self.len()),
            "zeroes beyond the end"
        );
        Ok(())
    }
}

fn blk(storage: impl Storage + 'static) -> Box<dyn VirtioDevice> {
    let options = BlkOptions {
        queues: 2,
        queue_size: 8,
        size_max: Some(4096),
        ..BlkOptions::default()
    };
    Box::new(Blk::new(Box::new(SyncBackend::new(storage)), options))
}

fn console(host: &TestHost) -> Box<dyn VirtioDevice> {
    let ports = vec![
        Port::console(Box::new(host.char())),
        Port::channel("channel", Box::new(host.char())),
    ];
    let size = ConsoleSize::default();
    size.set(80, 25);
    Box::new(Console::new(ports, size))
}

/// Block device.
pub fn virtio_blk(data: &[u8]) {
    over_mmio(data, MmioVersion::Modern, |_| blk(Sieve));
}

/// Block device, legacy registers.
pub fn virtio_blk_legacy(data: &[u8]) {
    over_mmio(data, MmioVersion::Legacy, |_| blk(Sieve));
}

/// Block device with a disk that may not be written.
pub fn virtio_blk_read_only(data: &[u8]) {
    over_mmio(data, MmioVersion::Modern, |_| {
        blk(MemoryDisk::new(vec![0x5a; 64 * 512]).read_only())
    });
}

/// Entropy device.
pub fn virtio_rng(data: &[u8]) {
    over_mmio(data, MmioVersion::Modern, |_| {
        Box::new(Rng::new(Box::new(SeededEntropy::new(3))))
    });
}

/// Console with two ports.
pub fn virtio_console(data: &[u8]) {
    over_mmio(data, MmioVersion::Modern, console);
}

/// The same, legacy registers.
pub fn virtio_console_legacy(data: &[u8]) {
    over_mmio(data, MmioVersion::Legacy, console);
}

/// Flash. Its contents are no state either: all devices of a run share them, and doing the same twice changes nothing.
pub fn cfi_flash(data: &[u8]) {
    let block = RamBlock::new("flash", 8192, &RamOptions::default()).expect("a little memory");
    let options = FlashOptions {
        block: 4096,
        ..FlashOptions::default()
    };
    run(data, |_, host| {
        host.hot(&[0, 4, 0x40, 4096]);
        CfiFlash::new(options, Arc::clone(&block), None).expect("the options fit the block")
    });
}

/// Firmware configuration.
pub fn fw_cfg(data: &[u8]) {
    run(data, |w, host| {
        host.hot(&[0, 8, 0x10, 0x14]);
        let items = FwCfgItems::new()
            .cpus(2, 8)
            .file("opt/b", b"second".to_vec())
            .and_then(|i| i.writable_file("etc/w", vec![0; 8]));
        FwCfg::new(w, items.expect("the names are good and differ"))
    });
}

/// Addresses and lengths.
type Buffers = Vec<(u64, u32)>;

/// A chain as the specification says (virtio 1.3, 2.7.5), without a thought for speed: `None` if the driver broke a rule.
fn walk(m: &TestMemory, size: u16, head: u16) -> Option<[Buffers; 2]> {
    let (mut readable, mut writable) = (vec![], vec![]);
    let (mut table, mut entries, mut index, mut indirect, mut seen) =
        (0x1000u64, u32::from(size), u32::from(head), false, 0);
    loop {
        if index >= entries || seen >= entries {
            return None;
        }
        seen += 1;
        let d = m.peek(table.wrapping_add(16 * u64::from(index)), 16);
        let v = u128::from_le_bytes(d.try_into().expect("sixteen bytes"));
        let (addr, len, flags, next) = (
            v as u64,
            (v >> 64) as u32,
            (v >> 96) as u16,
            (v >> 112) as u16,
        );
        if flags & 4 != 0 {
            if indirect || flags & 1 != 0 || len % 16 != 0 || len == 0 || len / 16 > MAX_INDIRECT {
                return None;
            }
            (table, entries, index, indirect, seen) = (addr, len / 16, 0, true, 0);
            continue;
        }
        match (flags & 2 != 0, writable.is_empty()) {
            (true, _) => writable.push((addr, len)),
            (false, true) => readable.push((addr, len)),
            (false, false) => return None,
        }
        if flags & 1 == 0 {
            let total: u64 = readable
                .iter()
                .chain(&writable)
                .map(|b| u64::from(b.1))
                .sum();
            return (total <= 1 << 32).then_some([readable, writable]);
        }
        index = next.into();
    }
}

/// The split ring on memory full of input against a simple walk.
pub fn virtqueue(data: &[u8]) {
    let Some((&[log, flags], rest)) = data.split_first_chunk::<2>() else {
        return;
    };
    let size = 1u16 << (log & 7);
    let m = Arc::new(TestMemory::with_pool(rest.to_vec(), false));
    m.poke(0x1000, rest);
    let dma = Dma::new(Arc::clone(&m) as _, StreamId(0));
    let mut ring = SplitRing::new(size, [0x1000, 0x2000, 0x3000], flags & 1 != 0, true)
        .expect("sizes and places are good");
    let heads: Vec<u8> = rest.iter().rev().copied().take(64).collect();
    m.poke(0x2000, &[0, 0]);
    m.poke(
        0x2002,
        &u16::from(heads.len() as u8).min(size).to_le_bytes(),
    );
    for (n, &h) in heads.iter().enumerate().take(size.into()) {
        m.poke(0x2004 + 2 * n as u64, &u16::from(h & 0x8f).to_le_bytes());
    }
    for n in 0..size.min(64) {
        let head = u16::from_le_bytes(
            m.peek(0x2004 + 2 * u64::from(n), 2)
                .try_into()
                .expect("two bytes"),
        );
        match ring.take(&dma) {
            Ok(Some(chain)) => {
                let want = walk(&m, size, head);
                let list = |b: &[ambidex_devices::virtio::queue::Buffer]| {
                    b.iter().map(|b| (b.addr, b.len)).collect::<Vec<_>>()
                };
                assert_eq!(
                    Some([list(&chain.readable), list(&chain.writable)]),
                    want,
                    "chain {head}"
                );
                if flags & 2 == 0 {
                    ring.give(&dma, chain.head, 1)
                        .expect("the used ring can be written");
                    let _ = ring.interrupt_due(&dma);
                }
            }
            Ok(None) => break,
            Err(e) => {
                assert!(walk(&m, size, head).is_none(), "chain {head} is good: {e}");
                break;
            }
        }
    }
}

/// Inputs that begin with a device that is ready and has chains.
pub fn ready_input(features: u32, seed: u64) -> Vec<u8> {
    use ambidex_devices::AccessSizes;
    const S: AccessSizes = AccessSizes { min: 1, max: 4 };
    let mut e = fuzz::Encoder::new();
    for (at, v) in [
        (0x70, 3),
        (0x24, 0),
        (0x20, u64::from(features)),
        (0x24, 1),
        (0x20, 1),
        (0x70, 11),
    ] {
        e = e.write(0, at, 4, S, v);
    }
    for q in 0..6u64 {
        let base = 0x1000 * (q + 1);
        for (at, v) in [
            (0x30, q),
            (0x38, 4),
            (0x80, base),
            (0x90, base + 0x100),
            (0xa0, base + 0x200),
            (0x44, 1),
        ] {
            e = e.write(0, at, 4, S, v);
        }
    }
    e = e.write(0, 0x70, 4, S, 15);
    let noise = fuzz::pseudo_random(seed, 400);
    let mut n = noise.iter().copied();
    let mut byte = || n.next().unwrap_or(0);
    for q in 0..6u32 {
        let base = 0x1000 * (q + 1);
        let mut table = Vec::new();
        for i in 0..4u8 {
            let len = [16u32, 512, 1, 1536, 8, 20][usize::from(byte() % 6)];
            let flags = [1u16, 3, 2, 0, 2, 4][usize::from(byte() % 6)];
            table.extend(u64::from(u16::from_le_bytes([byte() & 0xf0, byte()])).to_le_bytes());
            table.extend(len.to_le_bytes());
            table.extend(flags.to_le_bytes());
            table.extend(u16::from((i + 1) % 4).to_le_bytes());
        }
        e = e.memory(base, &table);
        let ring: Vec<u8> = [0u16, u16::from(byte() % 5), 0, 1, 2, 3]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        e = e.memory(base + 0x100, &ring);
        if byte() % 3 == 0 {
            e = e.twin();
        }
        e = e.write(0, 0x50, 4, S, q.into());
    }
    e.pool(&noise).twin().finish()
}
