//! An accelerator for tests whose vCPUs run closures instead of guest code.

use crate::boards::RiscvVirt;
use crate::builder::Builder;
use crate::machine::Machine;
use ambidex_cpu::riscv::{self, Ext};
use ambidex_cpu::*;
use ambidex_memory::AddressSpace;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// What a fake vCPU does each time it is run.
pub(crate) type Script = Box<dyn FnMut(&mut Core, &dyn CpuBus) -> Exit + Send>;

/// A fake vCPU's state, for its script.
pub(crate) struct Core {
    pub(crate) index: u32,
    pub(crate) pins: Pins,
    pub(crate) state: riscv::State,
    pub(crate) executed: u64,
    pub(crate) budget: Option<u64>,
    pub(crate) kicked: Arc<KickFlag>,
}

#[derive(Default)]
pub(crate) struct KickFlag(AtomicBool);

impl Kick for KickFlag {
    fn kick(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Core {
    pub(crate) fn kicked(&self) -> bool {
        self.kicked.0.load(Ordering::SeqCst)
    }

    /// "Executes" up to `n` instructions, and says whether the budget is spent.
    pub(crate) fn execute(&mut self, bus: &dyn CpuBus, n: u64) -> bool {
        let n = self.budget.map_or(n, |b| b.min(n));
        self.executed += n;
        if let Some(b) = &mut self.budget {
            *b -= n;
        }
        bus.executed(self.index, self.executed);
        self.budget == Some(0)
    }

    /// A firmware call that has to succeed; the value.
    pub(crate) fn sbi(
        &self,
        bus: &dyn CpuBus,
        extension: u64,
        function: u64,
        args: &[u64],
    ) -> (i64, u64, FirmwareResult) {
        sbi(bus, self.index, extension, function, args)
    }
}

pub(crate) fn sbi(
    bus: &dyn CpuBus,
    cpu: u32,
    extension: u64,
    function: u64,
    args: &[u64],
) -> (i64, u64, FirmwareResult) {
    let mut call = FirmwareCall::default();
    call.regs[..args.len()].copy_from_slice(args);
    call.regs[6] = function;
    call.regs[7] = extension;
    let result = bus.firmware_call(cpu, &mut call);
    (call.regs[0] as i64, call.regs[1], result)
}

struct FakeVcpu {
    core: Core,
    script: Script,
}

impl Vcpu for FakeVcpu {
    fn run(&mut self, bus: &dyn CpuBus) -> Result<Exit, AccelError> {
        if self.core.kicked.0.swap(false, Ordering::SeqCst) {
            return Ok(Exit::Kicked);
        }
        if self.core.budget == Some(0) {
            return Ok(Exit::Budget);
        }
        Ok((self.script)(&mut self.core, bus))
    }

    fn kicker(&self) -> Kicker {
        Kicker::new(self.core.kicked.clone())
    }

    fn pins(&self) -> Pins {
        self.core.pins.clone()
    }

    fn save(&mut self) -> Result<CpuState, AccelError> {
        Ok(self.core.state.clone().into())
    }

    fn restore(&mut self, state: &CpuState) -> Result<(), AccelError> {
        let CpuState::Riscv64(s) = state else {
            unreachable!("only RISC-V states are made here")
        };
        s.validate(self.core.state.hart.model())?;
        self.core.state = (**s).clone();
        Ok(())
    }

    fn reset(&mut self) {
        self.core.state = riscv::State::new(
            *self.core.state.hart.model(),
            self.core.index.into(),
            0x1000,
        );
    }

    fn set_budget(&mut self, insns: Option<u64>) {
        self.core.budget = insns;
    }

    fn executed(&self) -> u64 {
        self.core.executed
    }
}

/// What remote fences asked for.
pub(crate) type Fences = Arc<Mutex<Vec<(CpuMask, Fence)>>>;

pub(crate) struct FakeAccel {
    scripts: Mutex<Vec<Option<Script>>>,
    pub(crate) fences: Fences,
}

struct FakeVm {
    model: riscv::Model,
    scripts: Mutex<Vec<Option<Script>>>,
    fences: Fences,
}

impl FakeAccel {
    /// One script for each vCPU; those without one halt at once.
    pub(crate) fn new(scripts: Vec<Script>) -> FakeAccel {
        FakeAccel {
            scripts: Mutex::new(scripts.into_iter().map(Some).collect()),
            fences: Fences::default(),
        }
    }

    /// vCPUs that do nothing.
    pub(crate) fn idle() -> FakeAccel {
        FakeAccel::new(Vec::new())
    }
}

impl Accelerator for FakeAccel {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn caps(&self, arch: Arch) -> Option<Caps> {
        let mut caps = Caps::new(16);
        caps.exact_budget = true;
        caps.firmware_host = true;
        caps.riscv = Ext::all();
        (arch == Arch::Riscv64).then_some(caps)
    }

    fn create_vm(&self, cfg: &VmConfig, _: Arc<AddressSpace>) -> Result<Box<dyn Vm>, AccelError> {
        let CpuModel::Riscv64(model) = cfg.model else {
            unreachable!("the only architecture")
        };
        let scripts = std::mem::take(&mut *self.scripts.lock().unwrap());
        Ok(Box::new(FakeVm {
            model,
            scripts: Mutex::new(scripts),
            fences: self.fences.clone(),
        }))
    }
}

impl Vm for FakeVm {
    fn create_vcpu(&self, index: u32) -> Result<Box<dyn Vcpu>, AccelError> {
        let script = self
            .scripts
            .lock()
            .unwrap()
            .get_mut(index as usize)
            .and_then(Option::take);
        Ok(Box::new(FakeVcpu {
            core: Core {
                index,
                pins: Pins::new(),
                state: riscv::State::new(self.model, index.into(), 0x1000),
                executed: 0,
                budget: None,
                kicked: Arc::default(),
            },
            script: script.unwrap_or_else(|| Box::new(|_, _| Exit::Halt)),
        }))
    }

    fn broadcast(&self, cpus: CpuMask, fence: Fence) {
        self.fences.lock().unwrap().push((cpus, fence));
    }
}

/// A `virt` machine with a small raw kernel and built-in firmware.
pub(crate) fn builder(cpus: u32) -> Builder {
    Builder::new(RiscvVirt)
        .ram(64 << 20)
        .cpus(cpus)
        .seed(1)
        .kernel(vec![0x13, 0, 0, 0])
}

/// Such a machine whose vCPUs do nothing, with `features` added to or taken from `rv64`.
pub(crate) fn idle(cpus: u32, model: &str) -> (Machine, Fences) {
    let accel = FakeAccel::idle();
    let machine = builder(cpus)
        .cpu_model(model)
        .unwrap()
        .build(&accel)
        .unwrap();
    (machine, accel.fences)
}
