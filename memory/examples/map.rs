//! 64 MiB of RAM, a tiny device and a boot ROM; prints the map.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ambidex_memory::{
    AccessSizes, AddressSpace, Attrs, BusError, Gpa, MmioHandler, RamBlock, RamOptions, Region,
};

/// Counts the reads of its one 32-bit register.
#[derive(Default)]
struct Counter(AtomicU64);

impl MmioHandler for Counter {
    fn read(&self, _offset: u64, _size: u8, _attrs: Attrs) -> Result<u64, BusError> {
        Ok(self.0.fetch_add(1, Ordering::Relaxed))
    }
    fn write(&self, _offset: u64, _size: u8, value: u64, _attrs: Attrs) -> Result<(), BusError> {
        self.0.store(value, Ordering::Relaxed);
        Ok(())
    }
    fn access_sizes(&self) -> AccessSizes {
        AccessSizes::WORD32
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let space = AddressSpace::new("memory", 64);
    let ram = Region::ram(RamBlock::new("ram", 64 << 20, &RamOptions::default())?);
    {
        // One commit for all of it.
        let _batch = space.transaction();
        space.root().add(0x8000_0000, &ram, 0)?;
        space.root().add(
            0x1000,
            &Region::rom(RamBlock::new("boot", 0x1000, &RamOptions::default())?),
            0,
        )?;
        space.root().add(
            0x1000_0000,
            &Region::mmio("counter", 4, Arc::new(Counter::default())),
            0,
        )?;
        // The same RAM again, uncached as it were.
        space.root().add(
            0x10_0000_0000,
            &Region::alias("ram-high", &ram, 0, ram.len()),
            0,
        )?;
    }
    space.load_rom(Gpa(0x1000), b"boot code")?;

    let cpu = Attrs::cpu(0);
    space.write(Gpa(0x1000_0000), 4, 7, cpu)?;
    println!(
        "counter: {}, then {}",
        space.read(Gpa(0x1000_0000), 4, cpu)?,
        space.read(Gpa(0x1000_0000), 4, cpu)?
    );
    space.write(Gpa(0x8000_0000), 8, 0x1234, cpu)?;
    println!(
        "through the alias: {:#x}",
        space.read(Gpa(0x10_0000_0000), 8, cpu)?
    );
    match space.write(Gpa(0x1000), 1, 0, cpu) {
        Err(e) => println!("a CPU's store to the ROM: {e}"),
        Ok(()) => println!("the ROM took a store"),
    }
    print!("{}", space.dump());
    Ok(())
}
