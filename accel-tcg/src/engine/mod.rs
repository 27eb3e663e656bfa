//! The engine: runs guest code of any architecture that implements [`Guest`], interpreted or compiled.

pub mod blocks;
mod coherence;
pub mod core;
mod exits;
pub mod hooks;
mod interpret;
pub mod runtime;
pub mod shared;
mod translate;
pub mod vcpu;

use std::sync::Arc;

use ambidex_cpu::{
    AccelError, Accelerator, Arch, Caps, CpuMask, Fence, Timing, Vcpu, Vm, VmConfig,
};
use ambidex_memory::AddressSpace;

use self::core::{Core, Tuning};
use self::shared::Shared;
use self::vcpu::TcgVcpu;
use crate::guest::Guest;
use crate::guest::riscv::Riscv;
use crate::jit::cpuid::HostFeatures;
use crate::jit::{Jit, JitConfig};
use crate::mmu::Mmu;
use crate::regs::ContextCell;

/// The translator as an accelerator.
///
/// ```
/// use ambidex_accel_tcg::Translator;
/// use ambidex_cpu::{Accelerator, Arch};
///
/// let tcg = Translator::new().interpret_only(true);
/// assert!(tcg.caps(Arch::Riscv64).is_some());
/// ```
#[derive(Clone, Debug)]
pub struct Translator {
    compile_after: u32,
    interpret_only: bool,
    count: bool,
    code_bytes: usize,
    features: HostFeatures,
}

impl Default for Translator {
    fn default() -> Self {
        Translator::new()
    }
}

impl Translator {
    /// The translator with its default settings.
    pub fn new() -> Translator {
        Translator {
            compile_after: 2,
            interpret_only: false,
            count: false,
            code_bytes: 32 << 20,
            features: HostFeatures::detect(),
        }
    }

    /// Runs everything in the interpreter (tier 0).
    pub fn interpret_only(mut self, on: bool) -> Translator {
        self.interpret_only = on;
        self
    }

    /// Counts guest instructions exactly, which costs a little; implied by [`Timing::Instructions`].
    pub fn count_instructions(mut self, on: bool) -> Translator {
        self.count = on;
        self
    }

    /// Interprets a block this many times before it is compiled; at least 1.
    pub fn compile_after(mut self, runs: u32) -> Translator {
        self.compile_after = runs.max(1);
        self
    }

    /// Size of each vCPU's code buffer in bytes.
    pub fn code_bytes(mut self, bytes: usize) -> Translator {
        self.code_bytes = bytes;
        self
    }

    /// Compiles for these host features rather than those found.
    pub fn host_features(mut self, features: HostFeatures) -> Translator {
        self.features = features;
        self
    }

    fn can_compile(&self) -> bool {
        !self.interpret_only && cfg!(target_arch = "x86_64")
    }
}

impl Accelerator for Translator {
    fn name(&self) -> &'static str {
        "tcg"
    }

    fn caps(&self, arch: Arch) -> Option<Caps> {
        if arch != Arch::Riscv64 {
            return None;
        }
        let mut caps = Caps::new(64);
        caps.exact_budget = true;
        caps.debug = true;
        caps.instrument = true;
        caps.firmware_host = true;
        caps.riscv = Riscv::supported();
        Some(caps)
    }

    fn create_vm(
        &self,
        cfg: &VmConfig,
        space: Arc<AddressSpace>,
    ) -> Result<Box<dyn Vm>, AccelError> {
        if cfg.arch != Arch::Riscv64 {
            return Err(AccelError::Arch {
                accel: "tcg",
                arch: cfg.arch,
            });
        }
        Ok(Box::new(TcgVm {
            translator: self.clone(),
            cfg: cfg.clone(),
            space,
            shared: Arc::new(Shared::default()),
        }))
    }
}

struct TcgVm {
    translator: Translator,
    cfg: VmConfig,
    space: Arc<AddressSpace>,
    shared: Arc<Shared>,
}

impl TcgVm {
    fn vcpu<G: Guest>(&self, index: u32) -> Result<Box<dyn Vcpu>, AccelError> {
        let t = &self.translator;
        let count = t.count || matches!(self.cfg.timing, Timing::Instructions { .. });
        let cell = Arc::new(ContextCell::new());
        let mut slots = [0; crate::regs::SLOTS];
        let guest = G::new(&self.cfg, index, &mut slots)?;
        let jit = if t.can_compile() {
            let jit = Jit::new(JitConfig {
                bytes: t.code_bytes,
                features: t.features,
                fns: runtime::runtime_fns::<G>(),
                pinned: G::PINNED,
                pc: G::PC,
                fflags: G::FFLAGS,
                frm: G::FRM,
                nan: G::NAN_RULE,
                count,
                pure: |h| G::HELPERS.get(usize::from(h.0)).is_some_and(|h| h.pure),
            })
            .map_err(|e| AccelError::Vcpu {
                index,
                reason: e.to_string(),
            })?;
            Some(jit)
        } else {
            None
        };
        let tuning = Tuning {
            compile_after: jit.is_some().then_some(t.compile_after),
            code_bytes: t.code_bytes,
            count,
        };
        let mmu = Mmu::new(Arc::clone(&self.space));
        let mut core = Core::<G>::new(
            guest,
            cell,
            mmu,
            index,
            Arc::clone(&self.shared),
            jit,
            tuning,
        );
        core.ctx().slots = slots;
        Ok(Box::new(TcgVcpu::new(core)))
    }
}

impl Vm for TcgVm {
    fn create_vcpu(&self, index: u32) -> Result<Box<dyn Vcpu>, AccelError> {
        match self.cfg.arch {
            Arch::Riscv64 => self.vcpu::<Riscv>(index),
            arch => Err(AccelError::Arch { accel: "tcg", arch }),
        }
    }

    fn broadcast(&self, cpus: CpuMask, fence: Fence) {
        self.shared.broadcast(cpus, fence);
    }
}
