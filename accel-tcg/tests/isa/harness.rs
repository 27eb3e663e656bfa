//! Runs the programs: prologue, trap handler and end around them, a machine with a timer and software interrupts below.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use ambidex_accel_tcg::Translator;
use ambidex_accel_tcg::guest::riscv::Riscv;
use ambidex_cpu::{Accelerator, CpuBus, CpuModel, Exit, Nanos, Pins, Vcpu, Vm, VmConfig, riscv};
use ambidex_memory::{AddressSpace, BusError, Gpa, RamBlock, RamOptions, Region};

use super::asm::*;

/// Sets this interrupt line of hart 0 (for these tests only).
pub const RAISE: u64 = 0x1100_0000;
/// Clears it.
pub const LOWER: u64 = 0x1100_0008;
/// Software interrupts, one word for each hart, as on QEMU's `virt`.
pub const MSIP: u64 = 0x0200_0000;
const UART: u64 = 0x1000_0000;
const FINISHER: u64 = 0x10_0000;

/// The program in its frame: starts in M-mode with traps recorded, PMP open, the floating-point unit on.
pub fn program(body: impl FnOnce(&mut Asm)) -> Asm {
    let mut a = Asm::new();
    a.la(T0, "mtrap");
    a.csrw(csr::MTVEC, T0);
    a.li(T0, u64::MAX);
    a.csrw(csr::PMPADDR0, T0);
    a.csr_li(csr::PMPCFG0, 0x1f);
    a.csrwi(csr::MIE, 0);
    // QEMU starts with some extensions enabled.
    a.csrwi(csr::MENVCFG, 0);
    a.csr_li(csr::MSTATUS, st::FS);
    a.csrwi(csr::FCSR, 0);
    a.li(S0, RAM + RESULTS);
    body(&mut a);
    a.csr_li(csr::MSTATUS, 0);
    a.j("dump");

    // Records cause, mepc, mtval and the mode before; goes on at s10 in M-mode.
    a.align(4);
    a.label("mtrap");
    a.csrr(T5, csr::MCAUSE);
    a.addi(T6, T5, -8);
    a.sltiu(T6, T6, 4);
    a.beq(T6, 0, "record");
    a.addi(T6, A7, -0x77);
    a.beq(T6, 0, "success");
    a.addi(T6, A7, -0x78);
    a.bne(T6, 0, "record");
    // A way back to M-mode: s10 may be of the user's alias.
    a.slli(S10, S10, 34);
    a.srli(S10, S10, 34);
    a.li(T5, RAM);
    a.or(S10, S10, T5);
    a.jalr(0, S10, 0);
    a.label("success");
    a.li(T5, u64::MAX);
    a.sd(T5, S0, 0);
    a.sd(T1, S0, 8);
    a.sd(0, S0, 16);
    a.sd(0, S0, 24);
    a.j("recorded");
    a.label("record");
    a.sd(T5, S0, 0);
    a.csrr(T5, csr::MEPC);
    a.sd(T5, S0, 8);
    a.csrr(T5, csr::MTVAL);
    a.sd(T5, S0, 16);
    a.csrr(T5, csr::MSTATUS);
    a.srli(T5, T5, 11);
    a.andi(T5, T5, 3);
    a.sd(T5, S0, 24);
    a.label("recorded");
    a.addi(S0, S0, 32);
    a.jalr(0, S10, 0);

    // Prints the results, a line of sixteen digits for each, and switches off.
    a.label("dump");
    a.csrwi(csr::MIE, 0);
    a.li(A0, UART);
    a.li(A1, RAM + RESULTS);
    a.label("dump.next");
    a.bgeu(A1, S0, "dump.end");
    a.ld(A2, A1, 0);
    a.addi(A1, A1, 8);
    a.li(A3, 16);
    a.label("dump.digit");
    a.srli(A4, A2, 60);
    a.slli(A2, A2, 4);
    a.addi(A4, A4, 48);
    a.li(A5, 58);
    a.blt(A4, A5, "dump.put");
    a.addi(A4, A4, 39);
    a.label("dump.put");
    a.label("dump.wait");
    a.lbu(A5, A0, 5);
    a.andi(A5, A5, 0x20);
    a.beq(A5, 0, "dump.wait");
    a.sb(A4, A0, 0);
    a.addi(A3, A3, -1);
    a.bne(A3, 0, "dump.digit");
    a.li(A4, 10);
    a.sb(A4, A0, 0);
    a.j("dump.next");
    a.label("dump.end");
    a.li(A4, 46);
    a.sb(A4, A0, 0);
    a.li(A4, 10);
    a.sb(A4, A0, 0);
    a.li(A0, FINISHER);
    a.li(A1, 0x5555);
    a.sw(A1, A0, 0);
    a.label("off");
    a.wfi();
    a.j("off");
    a.finish();
    assert!(a.bytes.len() as u64 <= RESULTS, "the program is too long");
    a
}

/// What the engine calls out to.
#[derive(Default)]
pub struct Bus {
    pub out: Mutex<Vec<u8>>,
    pub off: AtomicU64,
    pub clock: AtomicU64,
    pub deadline: AtomicU64,
    pub pins: Mutex<Vec<Pins>>,
}

impl CpuBus for Bus {
    fn read(&self, _: u32, at: Gpa, _: u8) -> Result<u64, BusError> {
        match at.0 {
            0x1000_0005 => Ok(0x60),
            UART => Ok(0x5a),
            _ => Err(BusError::Unmapped(at)),
        }
    }
    fn write(&self, _: u32, at: Gpa, _: u8, value: u64) -> Result<(), BusError> {
        let pins = self.pins.lock().unwrap();
        match at.0 {
            UART => self.out.lock().unwrap().push(value as u8),
            FINISHER => self.off.store(value, Ordering::SeqCst),
            RAISE => pins[0].set(value as u32, true),
            LOWER => pins[0].set(value as u32, false),
            _ => match pins.get((at.0.wrapping_sub(MSIP) / 4) as usize) {
                Some(p) => p.set(3, value & 1 != 0),
                None => return Err(BusError::Unmapped(at)),
            },
        }
        Ok(())
    }
    fn now(&self) -> Nanos {
        self.clock.fetch_add(100, Ordering::SeqCst)
    }
    fn set_deadline(&self, _: u32, at: Option<Nanos>) {
        self.deadline
            .store(at.unwrap_or(u64::MAX), Ordering::SeqCst);
    }
}

pub struct Machine {
    pub ram: Arc<RamBlock>,
    pub space: Arc<AddressSpace>,
    pub vm: Box<dyn Vm>,
    pub bus: Bus,
}

pub fn model() -> riscv::Model {
    riscv::Model::named("max")
        .unwrap()
        .restrict(Riscv::supported())
}

impl Machine {
    pub fn new(t: &Translator, a: &Asm) -> Machine {
        let ram = RamBlock::new("ram", 16 << 20, &RamOptions::default()).unwrap();
        let space = AddressSpace::new("isa", 64);
        space
            .root()
            .add(RAM, &Region::ram(Arc::clone(&ram)), 0)
            .unwrap();
        let mut cfg = VmConfig::new(CpuModel::Riscv64(model()));
        cfg.timebase_hz = 1_000_000_000;
        let vm = t.create_vm(&cfg, Arc::clone(&space)).unwrap();
        let m = Machine {
            ram,
            space,
            vm,
            bus: Bus::default(),
        };
        m.load(a);
        m
    }

    pub fn load(&self, a: &Asm) {
        for (at, bytes) in image(a) {
            self.ram.write(at, &bytes).unwrap();
        }
    }

    /// A vCPU at the start of the program, in M-mode.
    pub fn cpu(&self, index: u32) -> Box<dyn Vcpu> {
        let mut cpu = self.vm.create_vcpu(index).unwrap();
        let mut s = riscv::State::new(model(), u64::from(index), RAM);
        s.x[10] = u64::from(index);
        cpu.restore(&s.into()).unwrap();
        let mut pins = self.bus.pins.lock().unwrap();
        pins.truncate(index as usize);
        pins.push(cpu.pins());
        cpu
    }

    /// After a halt: moves the clock to the next deadline. False if the guest has switched off.
    pub fn resume(&self, who: &str) -> bool {
        if self.bus.off.load(Ordering::SeqCst) != 0 {
            return false;
        }
        let deadline = self.bus.deadline.load(Ordering::SeqCst);
        let pins = self.bus.pins.lock().unwrap();
        assert!(
            deadline != u64::MAX || pins.iter().any(|p| p.level() != 0),
            "{who}: the guest waits for nothing"
        );
        if deadline != u64::MAX {
            self.bus.clock.fetch_max(deadline, Ordering::SeqCst);
        }
        true
    }

    pub fn go(&self, cpu: &mut dyn Vcpu, who: &str) {
        let kicker = cpu.kicker();
        let (end, ended) = mpsc::channel::<()>();
        std::thread::scope(|s| {
            // A guest that never ends must not keep the tests from ending.
            s.spawn(move || {
                if ended.recv_timeout(Duration::from_secs(60))
                    == Err(mpsc::RecvTimeoutError::Timeout)
                {
                    kicker.kick();
                }
            });
            let end = end;
            self.until_off(cpu, who);
            drop(end);
        });
    }

    fn until_off(&self, cpu: &mut dyn Vcpu, who: &str) {
        let mut halts = 0;
        loop {
            match cpu.run(&self.bus).unwrap() {
                Exit::Halt if !self.resume(who) => return,
                Exit::Halt => halts += 1,
                other => panic!("{who}: unexpected {other:?}"),
            }
            assert!(halts < 1000, "{who}: the guest halts again and again");
        }
    }

    pub fn out(&self) -> String {
        String::from_utf8(self.bus.out.lock().unwrap().clone()).unwrap()
    }
}

/// Pieces of the image by offset in RAM.
pub fn image(a: &Asm) -> impl Iterator<Item = (u64, Vec<u8>)> {
    std::iter::once((0, a.bytes.clone())).chain(a.data.clone())
}

/// Compares a dump with what the program expects.
pub fn compare(a: &Asm, dump: &str, who: &str, peer: bool) {
    let lines: Vec<&str> = dump.lines().take_while(|l| *l != ".").collect();
    for (i, e) in a.expected.iter().enumerate() {
        let Some(line) = lines.get(i) else {
            panic!(
                "{who}: no result {i}, {} expected at {}:\n{dump}",
                e.what, e.at
            );
        };
        let got =
            u64::from_str_radix(line, 16).unwrap_or_else(|_| panic!("{who}: {line:?} in {dump}"));
        if let Some(want) = e.value
            && !(peer && e.own)
        {
            assert_eq!(
                got,
                want,
                "{who}: result {i}, {}: {got:#x} instead of {want:#x} at {}\n(results before: {:?})",
                e.what,
                e.at,
                &lines[i.saturating_sub(4)..i]
            );
        }
    }
    assert_eq!(
        lines.len(),
        a.expected.len(),
        "{who}: number of results\n{dump}"
    );
}

/// Runs a program in every way.
pub fn check(a: &Asm) {
    check_with(a, |_, _| {});
}

pub fn check_with(a: &Asm, and: impl Fn(&Machine, &mut dyn Vcpu)) {
    for (who, t) in super::common::ways() {
        let m = Machine::new(&t, a);
        let mut cpu = m.cpu(0);
        m.go(&mut *cpu, who);
        compare(a, &m.out(), who, false);
        and(&m, &mut *cpu);
    }
}

/// The same, and on QEMU.
pub fn check_both(a: &Asm) {
    check(a);
    super::qemu::check(a);
}
