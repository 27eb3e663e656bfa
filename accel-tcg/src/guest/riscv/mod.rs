//! 64-bit RISC-V for the engine: joins the decoder, the semantics and the hart of `ambidex-cpu`.

mod helpers;

use ambidex_cpu::riscv::csr::CsrEnv;
use ambidex_cpu::riscv::walk::{PteFault, WalkMem};
use ambidex_cpu::riscv::{
    self, Access, Cause, Exception as Cpu, Ext, Hart, Perms, PmpPage, State, Trap,
};
use ambidex_cpu::{
    AccelError, Arch, CpuModel, CpuState, Exit, FirmwareCall, FirmwareCalls, FirmwareResult, Pins,
    Reg, StateError, VmConfig,
};
use ambidex_memory::Gpa;

use super::{
    AccessKind, BankKey, Decoded, Exception, Guest, Helper, HelperCx, InsnFlow, ModeKey, PhysMem,
    Translation,
};
use crate::decode::riscv::{Extension, Extensions, Insn, Op, decode_enabled, length};
use crate::fp::NanRule;
use crate::regs::SLOTS;
use crate::sem::riscv::{Mode, Privilege, exec, slots};
use crate::sem::{Ops, Slot};

/// A hart and what the engine needs beside it.
pub struct Riscv {
    hart: Hart,
    enabled: Extensions,
    firmware: FirmwareCalls,
    semihosting: bool,
    timebase_hz: u64,
    /// VM time in ns of the last comparison, for the time CSR of code that does not run.
    now: u64,
    waiting: bool,
}

impl Riscv {
    /// Extensions this engine executes.
    pub fn supported() -> Ext {
        // Scalar cryptography is not written yet; V and H come later.
        let lacking = Ext::V
            | Ext::H
            | Ext::ZAMA16B
            | Ext::ZBKB
            | Ext::ZBKC
            | Ext::ZBKX
            | Ext::ZKND
            | Ext::ZKNE
            | Ext::ZKNH
            | Ext::ZKSED
            | Ext::ZKSH
            | Ext::ZKT
            | Ext::ZTSO;
        Ext::all() - lacking
    }

    fn extensions(model: &riscv::Model) -> Extensions {
        Extension::ALL.iter().fold(Extensions::NONE, |set, &e| {
            let on = match e {
                Extension::Machine => true,
                Extension::M => model.has(Ext::M) || model.has(Ext::ZMMUL),
                other => Ext::by_name(other.name()).is_some_and(|x| model.extensions().contains(x)),
            };
            if on { set.with(e) } else { set }
        })
    }

    /// Ticks of the `time` counter at a VM time in ns.
    fn ticks(&self, now: u64) -> u64 {
        (u128::from(now) * u128::from(self.timebase_hz) / 1_000_000_000) as u64
    }

    /// First VM time in ns at which the `time` counter has reached a value.
    fn when(&self, ticks: u64) -> Option<u64> {
        let ns = (u128::from(ticks) * 1_000_000_000).div_ceil(u128::from(self.timebase_hz));
        u64::try_from(ns).ok()
    }

    fn load_state(&mut self, regs: &mut [u64; SLOTS], s: &State) {
        self.hart = s.hart.clone();
        self.waiting = s.waiting;
        for i in 0..32u8 {
            regs[usize::from(slots::x(i).0)] = s.x[usize::from(i)];
            regs[usize::from(slots::f(i).0)] = s.f[usize::from(i)];
        }
        regs[usize::from(slots::PC.0)] = s.pc;
        regs[usize::from(slots::FFLAGS.0)] = u64::from(s.fcsr.fflags);
        regs[usize::from(slots::FRM.0)] = u64::from(s.fcsr.frm);
    }
}

/// The walker's view of the engine's memory.
struct Walk<'a>(&'a mut dyn PhysMem);

impl WalkMem for Walk<'_> {
    fn load_pte(&mut self, at: Gpa) -> Result<u64, PteFault> {
        self.0.load(at, 8).map_err(|_| PteFault)
    }
    fn cas_pte(&mut self, at: Gpa, expected: u64, new: u64) -> Result<bool, PteFault> {
        self.0
            .compare_exchange(at, 8, expected, new)
            .map_err(|_| PteFault)
    }
}

/// What CSR instructions see of the engine.
struct Env<'a> {
    regs: &'a mut [u64; SLOTS],
    time: u64,
    instructions: u64,
    pins: u64,
}

impl CsrEnv for Env<'_> {
    fn time(&self) -> u64 {
        self.time
    }
    fn cycle(&self) -> u64 {
        self.instructions
    }
    fn instret(&self) -> u64 {
        self.instructions
    }
    fn pins(&self) -> u64 {
        self.pins
    }
    fn fflags(&self) -> u8 {
        self.regs[usize::from(slots::FFLAGS.0)] as u8
    }
    fn set_fflags(&mut self, fflags: u8) {
        self.regs[usize::from(slots::FFLAGS.0)] = u64::from(fflags);
    }
    fn frm(&self) -> u8 {
        self.regs[usize::from(slots::FRM.0)] as u8
    }
    fn set_frm(&mut self, frm: u8) {
        self.regs[usize::from(slots::FRM.0)] = u64::from(frm);
    }
}

fn access(kind: AccessKind) -> Access {
    match kind {
        AccessKind::Read => Access::Read,
        AccessKind::Write => Access::Write,
        AccessKind::Fetch => Access::Fetch,
    }
}

fn exception(t: Trap) -> Exception {
    Exception {
        cause: t.cause.bits(),
        value: t.tval,
    }
}

fn cpu_exception(cause: u64) -> Cpu {
    match cause {
        0 => Cpu::FetchMisaligned,
        1 => Cpu::FetchAccess,
        3 => Cpu::Breakpoint,
        4 => Cpu::LoadMisaligned,
        5 => Cpu::LoadAccess,
        6 => Cpu::StoreMisaligned,
        7 => Cpu::StoreAccess,
        8 => Cpu::EcallUser,
        9 => Cpu::EcallSupervisor,
        11 => Cpu::EcallMachine,
        12 => Cpu::FetchPage,
        13 => Cpu::LoadPage,
        15 => Cpu::StorePage,
        18 => Cpu::SoftwareCheck,
        19 => Cpu::HardwareError,
        _ => Cpu::IllegalInstruction,
    }
}

impl Riscv {
    /// Enters the trap handler, and logs that under the target `int`.
    fn enter(&mut self, regs: &mut [u64; SLOTS], trap: Trap) {
        let pc = &mut regs[usize::from(slots::PC.0)];
        let from = *pc;
        *pc = self.hart.trap_enter(trap, from);
        log::debug!(
            target: "int",
            "hart {}: {:?}, pc {from:#x}, tval {:#x}, handler {:#x} in {:?} mode",
            self.hart.hartid(),
            trap.cause,
            trap.tval,
            *pc,
            self.hart.privilege()
        );
    }
}

impl Guest for Riscv {
    const ARCH: Arch = Arch::Riscv64;
    const PC: Slot = slots::PC;
    const FFLAGS: Slot = slots::FFLAGS;
    const FRM: Slot = slots::FRM;
    const NAN_RULE: NanRule = NanRule::Canonical;
    // sp ra a0-a5 s0 a7-free t0: the registers compilers use most.
    const PINNED: [Slot; 10] = [
        slots::x(2),
        slots::x(1),
        slots::x(10),
        slots::x(11),
        slots::x(12),
        slots::x(13),
        slots::x(14),
        slots::x(15),
        slots::x(8),
        slots::x(9),
    ];
    const MAX_INSN: u8 = 4;
    const HELPERS: &'static [Helper<Riscv>] = helpers::TABLE;
    type Insn = Insn;

    fn new(cfg: &VmConfig, index: u32, regs: &mut [u64; SLOTS]) -> Result<Riscv, AccelError> {
        let CpuModel::Riscv64(model) = &cfg.model else {
            return Err(AccelError::Arch {
                accel: "tcg",
                arch: cfg.model.arch(),
            });
        };
        let model = model.restrict(Riscv::supported());
        let mut guest = Riscv {
            enabled: Riscv::extensions(&model),
            hart: Hart::new(model, u64::from(index)),
            firmware: cfg.firmware,
            semihosting: cfg.semihosting,
            timebase_hz: cfg.timebase_hz.max(1),
            now: 0,
            waiting: false,
        };
        guest.reset(regs);
        Ok(guest)
    }

    fn reset(&mut self, regs: &mut [u64; SLOTS]) {
        self.hart.reset();
        self.waiting = false;
        regs.fill(0);
    }

    #[inline]
    fn decode(&self, _mode: ModeKey, bytes: &[u8]) -> Decoded<Insn> {
        match *bytes {
            [] | [_] => Decoded::More(2),
            [a, b, ..] if length(u32::from(a)) == 2 => Decoded::Insn(
                decode_enabled(u32::from(u16::from_le_bytes([a, b])), self.enabled),
                2,
            ),
            [a, b, c, d, ..] => Decoded::Insn(
                decode_enabled(u32::from_le_bytes([a, b, c, d]), self.enabled),
                4,
            ),
            _ => Decoded::More(4),
        }
    }

    fn flow(insn: &Insn) -> InsnFlow {
        match insn.op {
            Op::Jal
            | Op::Jalr
            | Op::Ecall
            | Op::Ebreak
            | Op::Mret
            | Op::Sret
            | Op::Wfi
            | Op::FenceI
            | Op::SfenceVma
            | Op::Illegal => InsnFlow::End,
            Op::Beq | Op::Bne | Op::Blt | Op::Bge | Op::Bltu | Op::Bgeu => InsnFlow::Branch,
            _ => InsnFlow::Next,
        }
    }

    #[inline(always)]
    fn exec<O: Ops>(o: &mut O, insn: &Insn, pc: u64, mode: ModeKey) -> Result<(), O::Err> {
        exec(o, insn, pc, Mode::from_bits(mode.0))
    }

    fn disassemble(insn: &Insn, pc: u64) -> String {
        insn.disassemble(pc)
    }

    fn slot_name(slot: Slot) -> String {
        slots::name(slot)
    }

    fn mode_key(&self, regs: &[u64; SLOTS]) -> ModeKey {
        let bits = self.hart.mode_bits();
        let privilege = match bits & 3 {
            0 => Privilege::U,
            1 => Privilege::S,
            _ => Privilege::M,
        };
        ModeKey(
            Mode::new(
                privilege,
                (bits >> 2 & 3) as u8,
                regs[usize::from(slots::FRM.0)],
            )
            .to_bits(),
        )
    }

    fn bank_key(&self) -> BankKey {
        let k = self.hart.translation_key();
        BankKey([k.satp, k.bits])
    }

    fn translate(
        &mut self,
        va: u64,
        len: u8,
        kind: AccessKind,
        mem: &mut dyn PhysMem,
    ) -> Result<Translation, Exception> {
        let a = access(kind);
        let m = self
            .hart
            .translate(va, u64::from(len), a, &mut Walk(mem))
            .map_err(exception)?;
        let (mut perms, fragile) = match self.hart.pmp_page(m.gpa, a) {
            PmpPage::Uniform(p) => (p, false),
            PmpPage::Mixed => (Perms::all(), true),
        };
        perms &= m.perms;
        Ok(Translation {
            gpa: m.gpa,
            page_shift: m.page_shift as u8,
            read: perms.contains(Perms::READ),
            write: perms.contains(Perms::WRITE) && m.writable_now,
            exec: perms.contains(Perms::EXEC),
            fragile,
        })
    }

    fn bus_fault(&self, va: u64, kind: AccessKind) -> Exception {
        exception(Trap::exception(Cpu::access_fault(access(kind)), va))
    }

    fn misaligned(&self, va: u64, kind: AccessKind) -> Exception {
        let e = match kind {
            AccessKind::Read => Cpu::LoadMisaligned,
            AccessKind::Write => Cpu::StoreMisaligned,
            AccessKind::Fetch => Cpu::FetchMisaligned,
        };
        exception(Trap::exception(e, va))
    }

    fn intercepts(&self, e: Exception) -> bool {
        self.firmware == FirmwareCalls::Host && e.cause == Cpu::EcallSupervisor as u64
    }

    fn intercept(cx: &mut HelperCx<'_, Self>, _e: Exception) -> Option<Option<Exit>> {
        let mut call = FirmwareCall::default();
        for (i, r) in call.regs.iter_mut().enumerate() {
            *r = cx.regs[10 + i];
        }
        let result = cx.bus().firmware_call(cx.io.cpu, &mut call);
        let finish = |cx: &mut HelperCx<'_, Self>| {
            for (i, r) in call.regs.iter().enumerate() {
                cx.regs[10 + i] = *r;
            }
            let pc = usize::from(slots::PC.0);
            cx.regs[pc] = cx.regs[pc].wrapping_add(4);
        };
        match result {
            FirmwareResult::Return => {
                finish(cx);
                Some(None)
            }
            FirmwareResult::Wait => {
                finish(cx);
                if cx.guest.wakes(cx.pins) {
                    return Some(None);
                }
                cx.guest.waiting = true;
                Some(Some(Exit::Halt))
            }
            FirmwareResult::Exit(exit) => {
                finish(cx);
                Some(Some(exit))
            }
            FirmwareResult::Restart { pc, arg0, arg1 } => {
                let model = *cx.guest.hart.model();
                let mut s = State::supervisor_start(model, cx.guest.hart.hartid(), pc, arg1);
                s.x[10] = arg0;
                cx.guest.load_state(cx.regs, &s);
                Some(None)
            }
            _ => None,
        }
    }

    fn take_exception(&mut self, regs: &mut [u64; SLOTS], e: Exception) {
        let trap = Trap {
            cause: Cause::Exception(cpu_exception(e.cause)),
            tval: e.value,
        };
        self.enter(regs, trap);
    }

    fn update_timer(&mut self, now: u64) {
        self.now = now;
        self.hart.update_timer(self.ticks(now));
    }

    #[inline]
    fn poll_interrupt(&mut self, regs: &mut [u64; SLOTS], pins: &Pins) -> bool {
        let latched = pins.take_latched();
        if latched != 0 {
            self.hart.latch(latched);
        }
        let Some(i) = self.hart.pending_interrupt(pins.level()) else {
            return false;
        };
        let trap = Trap {
            cause: Cause::Interrupt(i),
            tval: 0,
        };
        self.enter(regs, trap);
        true
    }

    fn wakes(&mut self, pins: &Pins) -> bool {
        self.hart.latch(pins.take_latched());
        self.hart.wakes(pins.level())
    }

    fn still_waits(&mut self, pins: &Pins) -> bool {
        self.waiting = self.waiting && !self.wakes(pins);
        self.waiting
    }

    fn deadline(&self) -> Option<u64> {
        self.hart
            .time_deadline()
            .filter(|&t| t != u64::MAX)
            .and_then(|t| self.when(t))
    }

    fn asid_filter(asid: u16) -> ([u64; 2], [u64; 2]) {
        ([0xffff << 44, 0], [u64::from(asid) << 44, 0])
    }

    fn save(&self, regs: &[u64; SLOTS], count: Option<u64>) -> CpuState {
        let mut s = State::new(
            *self.hart.model(),
            self.hart.hartid(),
            regs[usize::from(slots::PC.0)],
        );
        for i in 1..32u8 {
            s.x[usize::from(i)] = regs[usize::from(slots::x(i).0)];
        }
        for i in 0..32u8 {
            s.f[usize::from(i)] = regs[usize::from(slots::f(i).0)];
        }
        s.fcsr.fflags = regs[usize::from(slots::FFLAGS.0)] as u8;
        s.fcsr.frm = regs[usize::from(slots::FRM.0)] as u8;
        s.hart = self.hart.clone();
        let count = count.unwrap_or(self.now);
        s.hart.counters_to_absolute(count, count);
        s.waiting = self.waiting;
        s.into()
    }

    fn restore(
        &mut self,
        regs: &mut [u64; SLOTS],
        state: &CpuState,
        count: Option<u64>,
    ) -> Result<(), AccelError> {
        let CpuState::Riscv64(s) = state else {
            return Err(StateError::Arch {
                expected: Arch::Riscv64,
                found: state.arch(),
            }
            .into());
        };
        s.validate(self.hart.model())?;
        self.load_state(regs, s);
        let count = count.unwrap_or(self.now);
        self.hart.counters_from_absolute(count, count);
        Ok(())
    }

    fn read_reg(&mut self, regs: &[u64; SLOTS], reg: Reg) -> Option<u64> {
        Some(match reg {
            Reg::Pc => regs[usize::from(slots::PC.0)],
            Reg::General(n @ 0..32) => regs[usize::from(n)],
            Reg::Float(n @ 0..32) => regs[usize::from(slots::f(n).0)],
            Reg::Privilege => self.hart.privilege() as u64,
            Reg::System(n @ 0..4096) => {
                let mut regs = *regs;
                let mut env = Env {
                    regs: &mut regs,
                    time: self.ticks(self.now),
                    instructions: 0,
                    pins: 0,
                };
                self.hart.csr_peek(n as u16, &mut env)?
            }
            _ => return None,
        })
    }

    fn write_reg(&mut self, regs: &mut [u64; SLOTS], reg: Reg, value: u64) -> bool {
        match reg {
            Reg::Pc => regs[usize::from(slots::PC.0)] = value & !1,
            Reg::General(0) => {}
            Reg::General(n @ 1..32) => regs[usize::from(n)] = value,
            Reg::Float(n @ 0..32) => regs[usize::from(slots::f(n).0)] = value,
            Reg::Privilege => {
                return riscv::Priv::from_bits(value).is_some_and(|p| self.hart.set_privilege(p));
            }
            Reg::System(n @ 0..4096) => {
                let mut env = Env {
                    time: self.ticks(self.now),
                    instructions: 0,
                    pins: 0,
                    regs,
                };
                return self.hart.csr_poke(n as u16, value, &mut env).is_some();
            }
            _ => return false,
        }
        true
    }
}
