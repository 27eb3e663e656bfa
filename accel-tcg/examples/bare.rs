//! The translator without a machine: RAM, one hart, and a bus of twenty lines.
//!
//! `cargo run --release -p ambidex-accel-tcg --example bare [tier]` sums the numbers from 1 to 100 million in guest code and says how fast.

use std::sync::Arc;
use std::time::Instant;

use ambidex_accel_tcg::Translator;
use ambidex_cpu::{Accelerator, CpuBus, CpuState, Nanos, VmConfig, riscv};
use ambidex_memory::{AddressSpace, BusError, Gpa, RamBlock, RamOptions, Region};

struct NoDevices(Instant);

impl CpuBus for NoDevices {
    fn read(&self, _cpu: u32, at: Gpa, _size: u8) -> Result<u64, BusError> {
        Err(BusError::Unmapped(at))
    }
    fn write(&self, _cpu: u32, at: Gpa, _size: u8, _value: u64) -> Result<(), BusError> {
        Err(BusError::Unmapped(at))
    }
    fn now(&self) -> Nanos {
        self.0.elapsed().as_nanos() as u64
    }
    fn set_deadline(&self, _cpu: u32, _at: Option<Nanos>) {}
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let interpret = std::env::args().nth(1).as_deref() == Some("0");
    let program: [u32; 6] = [
        0x05f5_e2b7, // lui   t0, 0x5f5e
        0x1002_8293, // addi  t0, t0, 256      100_000_000
        0x0055_0533, // add   a0, a0, t0
        0xfff2_8293, // addi  t0, t0, -1
        0xfe02_9ce3, // bne   t0, zero, -8
        0x1050_0073, // wfi
    ];
    let ram = RamBlock::new("ram", 1 << 20, &RamOptions::default())?;
    for (i, word) in program.iter().enumerate() {
        ram.write(4 * i as u64, &word.to_le_bytes())?;
    }
    let space = AddressSpace::new("bare", 64);
    space
        .root()
        .add(0x8000_0000, &Region::ram(Arc::clone(&ram)), 0)?;

    let model: riscv::Model = "rv64".parse()?;
    let vm = Translator::new()
        .interpret_only(interpret)
        .create_vm(&VmConfig::new(model.into()), space)?;
    let mut cpu = vm.create_vcpu(0)?;
    cpu.restore(&riscv::State::new("rv64".parse()?, 0, 0x8000_0000).into())?;

    let start = Instant::now();
    let exit = cpu.run(&NoDevices(start))?;
    let took = start.elapsed();
    let CpuState::Riscv64(state) = cpu.save()? else {
        return Err("not a RISC-V state".into());
    };
    println!("{exit:?}: the sum is {}", state.x[10]);
    println!(
        "{:.0} million instructions a second",
        300.0 / took.as_secs_f64()
    );
    Ok(())
}
