//! The machine the programs run on: a little RAM, one device, a clock that only the test moves.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ambidex_accel_tcg::Translator;
use ambidex_accel_tcg::guest::riscv::Riscv;
use ambidex_cpu::{Accelerator, CpuBus, CpuModel, CpuState, Exit, Nanos, Vcpu, Vm, VmConfig, riscv};
use ambidex_memory::{AddressSpace, BusError, Gpa, RamBlock, RamOptions, Region};

use super::image::SIZE;
use super::program::{Event, Program};

/// Where RAM is.
pub const RAM: u64 = 0x8000_0000;
/// A device of one page that logs writes and counts reads.
pub const DEVICE: u64 = 0x1000_0000;

#[derive(Default)]
pub struct Bus {
    pub log: Mutex<Vec<(u64, u8, u64)>>,
    pub clock: AtomicU64,
}

impl CpuBus for Bus {
    fn read(&self, _: u32, at: Gpa, size: u8) -> Result<u64, BusError> {
        if at.0 & !0xfff != DEVICE {
            return Err(BusError::Unmapped(at));
        }
        let mut log = self.log.lock().unwrap();
        log.push((at.0 | 1 << 63, size, 0));
        let value = (log.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Ok(if size == 8 { value } else { value & ((1 << (8 * size)) - 1) })
    }
    fn write(&self, _: u32, at: Gpa, size: u8, value: u64) -> Result<(), BusError> {
        if at.0 & !0xfff != DEVICE {
            return Err(BusError::Unmapped(at));
        }
        self.log.lock().unwrap().push((at.0, size, value));
        Ok(())
    }
    fn now(&self) -> Nanos {
        self.clock.load(Ordering::Relaxed)
    }
    fn set_deadline(&self, _: u32, _: Option<Nanos>) {}
    fn executed(&self, _: u32, _: u64) {}
}

/// The CPU model of all programs: everything the translator has.
pub fn model() -> riscv::Model {
    riscv::Model::named("max").unwrap().restrict(Riscv::supported())
}

pub struct Machine {
    pub ram: Arc<RamBlock>,
    pub bus: Bus,
    pub cpu: Box<dyn Vcpu>,
    _vm: Box<dyn Vm>,
}

/// What two runs of a program must agree in.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    pub exit: Exit,
    pub state: riscv::State,
    pub executed: u64,
    pub ram: Vec<u8>,
    pub log: Vec<(u64, u8, u64)>,
}

impl Machine {
    /// A machine with the program loaded.
    pub fn new(t: &Translator, p: &Program) -> Machine {
        let ram = RamBlock::new("ram", SIZE, &RamOptions::default()).unwrap();
        ram.write(0, &p.ram).unwrap();
        let space = AddressSpace::new("bare", 64);
        space.root().add(RAM, &Region::ram(Arc::clone(&ram)), 0).unwrap();
        let vm = t.create_vm(&VmConfig::new(CpuModel::Riscv64(model())), Arc::clone(&space)).unwrap();
        let mut cpu = vm.create_vcpu(0).unwrap();
        let mut s = riscv::State::new(model(), 0, RAM);
        s.x = p.x;
        s.f = p.f;
        s.fcsr = p.fcsr;
        cpu.restore(&s.into()).unwrap();
        let bus = Bus::default();
        bus.clock.store(1 << 20, Ordering::Relaxed);
        Machine { ram, bus, cpu, _vm: vm }
    }

    /// Runs for so many instructions (without end, if `None`), after the event.
    pub fn run(&mut self, insns: Option<u64>, event: Event) -> Exit {
        match event {
            Event::None => {}
            Event::Time(ns) => {
                self.bus.clock.fetch_add(ns, Ordering::Relaxed);
            }
            Event::Pin(n, level) => self.cpu.pins().set(n, level),
        }
        self.cpu.set_budget(insns);
        // Pins and mail may make it return early.
        loop {
            match self.cpu.run(&self.bus).unwrap() {
                Exit::Kicked => {}
                exit => return exit,
            }
        }
    }

    pub fn state(&mut self) -> riscv::State {
        match self.cpu.save().unwrap() {
            CpuState::Riscv64(s) => *s,
            _ => unreachable!("the machine is RISC-V"),
        }
    }

    pub fn outcome(&mut self, exit: Exit) -> Outcome {
        let mut ram = vec![0; SIZE as usize];
        self.ram.read(0, &mut ram).unwrap();
        Outcome { exit, state: self.state(), executed: self.cpu.executed(), ram, log: self.bus.log.lock().unwrap().clone() }
    }
}
