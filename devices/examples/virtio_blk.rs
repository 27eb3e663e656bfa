//! A virtio disk driven by hand: what a virtual machine monitor needs around the device, and what a guest's driver does.

use ambidex_devices::block::{MemoryDisk, SyncBackend};
use ambidex_devices::virtio::mmio::reg::*;
use ambidex_devices::virtio::{Blk, BlkOptions, MmioVersion, VirtioMmio};
use ambidex_devices::{Device, Dma, IrqLine, ManualClock, MsiSink, Notifier, StreamId, Wiring};
use ambidex_memory::{Backing, RamBlock, RamOptions};

const DESC: u64 = 0x1000;
const AVAIL: u64 = 0x2000;
const USED: u64 = 0x3000;
const HEADER: u64 = 0x4000;
const DATA: u64 = 0x5000;
const STATUS_BYTE: u64 = 0x6000;

fn set(disk: &mut VirtioMmio, register: u64, value: u32) {
    let _ = disk.write(0, register, 4, value.into());
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The monitor: 64 KiB of guest memory and a disk of 8 sectors that says something.
    let options = RamOptions {
        backing: Backing::Heap,
        ..RamOptions::default()
    };
    let ram = RamBlock::new("ram", 0x1_0000, &options)?;
    let mut image = vec![0; 8 * 512];
    image[512..][..24].copy_from_slice(b"Hello from sector number");
    let wiring = Wiring {
        irq: IrqLine::detached(),
        msi: MsiSink::detached(),
        dma: Dma::new(ram.clone(), StreamId(0)),
        clock: ManualClock::new().clock(),
        backend: Notifier::none(),
    };
    let backend = SyncBackend::new(MemoryDisk::new(image));
    let blk = Blk::new(Box::new(backend), BlkOptions::default());
    let mut disk = VirtioMmio::new(wiring, MmioVersion::Modern, Box::new(blk));

    // The driver: find the device, negotiate, set up queue 0 with 4 entries.
    assert_eq!(disk.read(0, MAGIC_VALUE, 4), 0x7472_6976);
    println!("{} sectors", disk.read(0, CONFIG, 4));
    set(&mut disk, STATUS, 3);
    set(&mut disk, DRIVER_FEATURES_SEL, 1);
    set(&mut disk, DRIVER_FEATURES, 1);
    set(&mut disk, STATUS, 11);
    set(&mut disk, QUEUE_SIZE, 4);
    set(&mut disk, QUEUE_DESC_LOW, DESC as u32);
    set(&mut disk, QUEUE_DRIVER_LOW, AVAIL as u32);
    set(&mut disk, QUEUE_DEVICE_LOW, USED as u32);
    set(&mut disk, QUEUE_READY, 1);
    set(&mut disk, STATUS, 15);

    // A read of sector 1 in three descriptors: header, data, status. Flags: 1 there is a next one, 2 the device writes.
    ram.write(HEADER, &(1u128 << 64).to_le_bytes())?;
    for (n, (addr, len, flags)) in [(HEADER, 16, 1), (DATA, 512, 1 | 2), (STATUS_BYTE, 1, 2)]
        .into_iter()
        .enumerate()
    {
        let n = n as u128;
        let descriptor = u128::from(addr) | len << 64 | flags << 96 | (n + 1) << 112;
        ram.write(DESC + 16 * n as u64, &descriptor.to_le_bytes())?;
    }
    // Ring entry 0 is descriptor 0; then the index becomes 1, and the device hears of it.
    ram.store(AVAIL + 4, 2, 0);
    ram.store(AVAIL + 2, 2, 1);
    set(&mut disk, QUEUE_NOTIFY, 0);

    // The back end is synchronous: the request is done already.
    assert_eq!(ram.load(USED + 2, 2), 1, "one buffer is used");
    assert_eq!(ram.load(STATUS_BYTE, 1), 0, "and its status is good");
    let mut text = [0; 24];
    ram.read(DATA, &mut text)?;
    println!("{} 1", String::from_utf8_lossy(&text));
    println!("interrupt status {}", disk.read(0, INTERRUPT_STATUS, 4));
    set(&mut disk, INTERRUPT_ACK, 1);
    Ok(())
}
