//! A minimal machine: RAM at 0x8000_0000, a console byte at 0x1000_0000, power-off at 0x10_0000.
#![allow(dead_code, reason = "not every test uses everything")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ambidex_accel_tcg::Translator;
use ambidex_cpu::{Accelerator, CpuBus, CpuModel, Exit, Nanos, Vcpu, Vm, VmConfig, riscv};
use ambidex_memory::{AddressSpace, BusError, Gpa, RamBlock, RamOptions, Region};

pub const RAM: u64 = 0x8000_0000;

#[derive(Default)]
pub struct Bus {
    pub out: Mutex<Vec<u8>>,
    pub off: AtomicU64,
    pub clock: AtomicU64,
    pub insns: AtomicU64,
}

impl CpuBus for Bus {
    fn read(&self, _: u32, at: Gpa, _: u8) -> Result<u64, BusError> {
        match at.0 {
            0x1000_0000 => Ok(0x5a),
            _ => Err(BusError::Unmapped(at)),
        }
    }
    fn write(&self, _: u32, at: Gpa, _: u8, value: u64) -> Result<(), BusError> {
        match at.0 {
            0x1000_0000 => self.out.lock().unwrap().push(value as u8),
            0x10_0000 => self.off.store(value, Ordering::SeqCst),
            _ => return Err(BusError::Unmapped(at)),
        }
        Ok(())
    }
    fn now(&self) -> Nanos {
        self.clock.fetch_add(1000, Ordering::SeqCst)
    }
    fn set_deadline(&self, _: u32, _: Option<Nanos>) {}
    fn executed(&self, _: u32, insns: u64) {
        self.insns.store(insns, Ordering::SeqCst);
    }
}

pub struct Bare {
    pub ram: Arc<RamBlock>,
    pub space: Arc<AddressSpace>,
    pub vm: Box<dyn Vm>,
    pub bus: Bus,
}

impl Bare {
    pub fn new(t: &Translator) -> Bare {
        let ram = RamBlock::new("ram", 16 << 20, &RamOptions::default()).unwrap();
        let space = AddressSpace::new("bare", 64);
        space
            .root()
            .add(RAM, &Region::ram(Arc::clone(&ram)), 0)
            .unwrap();
        let cfg = VmConfig::new(CpuModel::Riscv64(
            riscv::Model::named("max")
                .unwrap()
                .restrict(ambidex_accel_tcg::guest::riscv::Riscv::supported()),
        ));
        let vm = t.create_vm(&cfg, Arc::clone(&space)).unwrap();
        Bare {
            ram,
            space,
            vm,
            bus: Bus::default(),
        }
    }

    /// A vCPU in M-mode at the start of RAM, which holds these words.
    pub fn boot(&self, words: &[u32]) -> Box<dyn Vcpu> {
        for (i, w) in words.iter().enumerate() {
            self.ram.write(i as u64 * 4, &w.to_le_bytes()).unwrap();
        }
        let mut cpu = self.vm.create_vcpu(0).unwrap();
        let model = riscv::Model::named("max")
            .unwrap()
            .restrict(ambidex_accel_tcg::guest::riscv::Riscv::supported());
        cpu.restore(&riscv::State::new(model, 0, RAM).into())
            .unwrap();
        cpu
    }

    pub fn run(&self, cpu: &mut dyn Vcpu) -> Exit {
        cpu.run(&self.bus).unwrap()
    }
}

pub fn state(cpu: &mut dyn Vcpu) -> riscv::State {
    match cpu.save().unwrap() {
        ambidex_cpu::CpuState::Riscv64(s) => *s,
        _ => unreachable!(),
    }
}

/// The ways to run that must agree.
pub fn ways() -> Vec<(&'static str, Translator)> {
    vec![
        ("interpreter", Translator::new().interpret_only(true)),
        ("compiled", Translator::new().compile_after(1)),
        (
            "compiled, counting",
            Translator::new().compile_after(1).count_instructions(true),
        ),
        ("mixed", Translator::new().compile_after(3)),
    ]
}

pub mod asm {
    //! Just enough encodings.
    pub const fn r(op: u32, f3: u32, f7: u32, rd: u32, rs1: u32, rs2: u32) -> u32 {
        f7 << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 | rd << 7 | op
    }
    pub const fn i(op: u32, f3: u32, rd: u32, rs1: u32, imm: i32) -> u32 {
        (imm as u32 & 0xfff) << 20 | rs1 << 15 | f3 << 12 | rd << 7 | op
    }
    pub const fn addi(rd: u32, rs1: u32, imm: i32) -> u32 {
        i(0x13, 0, rd, rs1, imm)
    }
    pub const fn lui(rd: u32, imm20: u32) -> u32 {
        imm20 << 12 | rd << 7 | 0x37
    }
    pub const fn add(rd: u32, a: u32, b: u32) -> u32 {
        r(0x33, 0, 0, rd, a, b)
    }
    pub const fn ld(rd: u32, rs1: u32, imm: i32) -> u32 {
        i(0x03, 3, rd, rs1, imm)
    }
    pub const fn sw(rs2: u32, rs1: u32, imm: i32) -> u32 {
        s(2, rs2, rs1, imm)
    }
    pub const fn sd(rs2: u32, rs1: u32, imm: i32) -> u32 {
        s(3, rs2, rs1, imm)
    }
    const fn s(f3: u32, rs2: u32, rs1: u32, imm: i32) -> u32 {
        let m = imm as u32;
        (m >> 5 & 0x7f) << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 | (m & 31) << 7 | 0x23
    }
    pub const fn branch(f3: u32, a: u32, b: u32, off: i32) -> u32 {
        let m = off as u32;
        (m >> 12 & 1) << 31
            | (m >> 5 & 0x3f) << 25
            | b << 20
            | a << 15
            | f3 << 12
            | (m >> 1 & 15) << 8
            | (m >> 11 & 1) << 7
            | 0x63
    }
    pub const fn bne(a: u32, b: u32, off: i32) -> u32 {
        branch(1, a, b, off)
    }
    pub const fn jal(rd: u32, off: i32) -> u32 {
        let m = off as u32;
        (m >> 20 & 1) << 31
            | (m >> 1 & 0x3ff) << 21
            | (m >> 11 & 1) << 20
            | (m >> 12 & 0xff) << 12
            | rd << 7
            | 0x6f
    }
    pub const fn jalr(rd: u32, rs1: u32, imm: i32) -> u32 {
        i(0x67, 0, rd, rs1, imm)
    }
    pub const fn csrrw(rd: u32, csr: u32, rs1: u32) -> u32 {
        csr << 20 | rs1 << 15 | 1 << 12 | rd << 7 | 0x73
    }
    pub const fn csrrs(rd: u32, csr: u32, rs1: u32) -> u32 {
        csr << 20 | rs1 << 15 | 2 << 12 | rd << 7 | 0x73
    }
    pub const ECALL: u32 = 0x73;
    pub const WFI: u32 = 0x1050_0073;
    pub const MRET: u32 = 0x3020_0073;
    pub const FENCE_I: u32 = 0x100f;
}
