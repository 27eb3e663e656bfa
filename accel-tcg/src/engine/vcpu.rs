//! [`ambidex_cpu::Vcpu`] for the engine.

use std::sync::Arc;

use ambidex_cpu::{
    AccelError, CpuBus, CpuState, Debug, DebugError, Exit, Kicker, Pins, Reg, Vcpu, VcpuStats,
    Watch,
};
use ambidex_memory::Gpa;

use super::core::Core;
use crate::guest::{AccessKind, Flush, Guest, Stop};
use crate::regs::NO_RESERVATION;
use crate::sem::Width;

/// A virtual CPU of the translator.
pub struct TcgVcpu<G: Guest> {
    pub(super) core: Box<Core<G>>,
}

impl<G: Guest> TcgVcpu<G> {
    pub(super) fn new(core: Core<G>) -> TcgVcpu<G> {
        TcgVcpu {
            core: Box::new(core),
        }
    }
}

impl<G: Guest> Drop for TcgVcpu<G> {
    fn drop(&mut self) {
        self.core.shared.leave(self.core.index);
    }
}

impl<G: Guest> Vcpu for TcgVcpu<G> {
    fn run(&mut self, bus: &dyn CpuBus) -> Result<Exit, AccelError> {
        Ok(self.core.run(bus))
    }

    fn kicker(&self) -> Kicker {
        Kicker::new(Arc::clone(&self.core.kick) as _)
    }

    fn pins(&self) -> Pins {
        self.core.pins.clone()
    }

    fn save(&mut self) -> Result<CpuState, AccelError> {
        let core = &mut self.core;
        let regs = core.ctx().slots;
        let count = core.tuning.count.then(|| core.executed());
        Ok(core.guest.save(&regs, count))
    }

    fn restore(&mut self, state: &CpuState) -> Result<(), AccelError> {
        let core = &mut *self.core;
        let mut regs = core.ctx().slots;
        let count = core.tuning.count.then(|| core.executed());
        core.guest.restore(&mut regs, state, count)?;
        let ctx = core.ctx();
        ctx.slots = regs;
        ctx.reservation.addr = NO_RESERVATION;
        core.mmu.flush(Flush::All);
        core.events.timer = true;
        Ok(())
    }

    fn reset(&mut self) {
        let core = &mut *self.core;
        let mut regs = core.ctx().slots;
        core.guest.reset(&mut regs);
        let ctx = core.ctx();
        ctx.slots = regs;
        ctx.reservation.addr = NO_RESERVATION;
        core.mmu.flush(Flush::All);
        core.events.timer = true;
    }

    fn set_budget(&mut self, insns: Option<u64>) {
        self.core.budget = insns;
    }

    fn executed(&self) -> u64 {
        self.core.executed()
    }

    fn stats(&self) -> VcpuStats {
        let mut s = self.core.stats;
        s.walks = self.core.mmu.refills;
        s
    }

    fn debug(&mut self) -> Option<&mut dyn Debug> {
        Some(self)
    }

    fn instrument(&mut self) -> Option<&mut dyn ambidex_cpu::Instrument> {
        Some(self)
    }
}

impl<G: Guest> TcgVcpu<G> {
    /// Translates for the debugger: like a load, or a fetch, in the CPU's current mode.
    fn physical(&mut self, va: u64) -> Option<Gpa> {
        let core = &mut *self.core;
        [AccessKind::Read, AccessKind::Fetch, AccessKind::Write]
            .into_iter()
            .find_map(|kind| core.mmu.peek(&mut core.guest, va, kind))
    }

    fn each_page(
        &mut self,
        va: u64,
        len: usize,
        mut f: impl FnMut(
            &ambidex_memory::AddressSpace,
            Gpa,
            std::ops::Range<usize>,
        ) -> Result<(), ambidex_memory::BusError>,
    ) -> Result<(), DebugError> {
        let mut done = 0;
        while done < len {
            let at = va.wrapping_add(done as u64);
            let n = ((4096 - (at & 0xfff)) as usize).min(len - done);
            let gpa = self.physical(at).ok_or(DebugError::NoMemory { va: at })?;
            f(self.core.mmu.space(), gpa, done..done + n)
                .map_err(|_| DebugError::NoMemory { va: at })?;
            done += n;
        }
        Ok(())
    }
}

impl<G: Guest> Debug for TcgVcpu<G> {
    fn add_breakpoint(&mut self, va: u64) -> Result<(), DebugError> {
        if !self.core.breakpoints.contains(&va) {
            self.core.breakpoints.push(va);
        }
        Ok(())
    }

    fn remove_breakpoint(&mut self, va: u64) -> bool {
        let before = self.core.breakpoints.len();
        self.core.breakpoints.retain(|&b| b != va);
        self.core.breakpoints.len() != before
    }

    fn add_watchpoint(&mut self, _va: u64, _len: u64, _watch: Watch) -> Result<(), DebugError> {
        Err(DebugError::NoResource)
    }

    fn remove_watchpoint(&mut self, _va: u64, _len: u64, _watch: Watch) -> bool {
        false
    }

    fn set_single_step(&mut self, on: bool) {
        self.core.single_step = on;
    }

    fn read_reg(&mut self, reg: Reg, out: &mut [u8]) -> Result<usize, DebugError> {
        let core = &mut *self.core;
        let regs = core.ctx().slots;
        let value = core
            .guest
            .read_reg(&regs, reg)
            .ok_or(DebugError::NoRegister(reg))?;
        let bytes = value.to_le_bytes();
        out.get_mut(..8)
            .ok_or(DebugError::Short(reg))?
            .copy_from_slice(&bytes);
        Ok(8)
    }

    fn write_reg(&mut self, reg: Reg, value: &[u8]) -> Result<(), DebugError> {
        let bytes: [u8; 8] = value.try_into().map_err(|_| DebugError::BadValue(reg))?;
        let core = &mut *self.core;
        let mut regs = core.ctx().slots;
        if !core
            .guest
            .write_reg(&mut regs, reg, u64::from_le_bytes(bytes))
        {
            return Err(DebugError::NoRegister(reg));
        }
        core.ctx().slots = regs;
        Ok(())
    }

    fn read_mem(&mut self, va: u64, buf: &mut [u8]) -> Result<(), DebugError> {
        let len = buf.len();
        self.each_page(va, len, |space, gpa, range| {
            space.read_bytes(gpa, &mut buf[range], ambidex_memory::Attrs::DEBUG)
        })
    }

    fn write_mem(&mut self, va: u64, buf: &[u8]) -> Result<(), DebugError> {
        self.each_page(va, buf.len(), |space, gpa, range| {
            space.write_bytes(gpa, &buf[range], ambidex_memory::Attrs::DEBUG)
        })
    }

    fn translate(&mut self, va: u64) -> Option<Gpa> {
        self.physical(va)
    }
}

/// Guest virtual memory for firmware and semihosting calls, with the checks of the calling CPU's mode.
pub struct VirtualMem<'a, 'b, G: Guest>(pub &'b mut crate::guest::HelperCx<'a, G>);

impl<G: Guest> ambidex_cpu::GuestMem for VirtualMem<'_, '_, G> {
    fn read(&mut self, va: u64, buf: &mut [u8]) -> Result<(), ambidex_cpu::MemFault> {
        for (i, b) in buf.iter_mut().enumerate() {
            let at = va.wrapping_add(i as u64);
            *b = self
                .0
                .load(at, Width::W8)
                .map_err(|_: Stop| ambidex_cpu::MemFault { va: at })? as u8;
        }
        Ok(())
    }

    fn write(&mut self, va: u64, buf: &[u8]) -> Result<(), ambidex_cpu::MemFault> {
        for (i, b) in buf.iter().enumerate() {
            let at = va.wrapping_add(i as u64);
            self.0
                .store(at, Width::W8, u64::from(*b))
                .map_err(|_: Stop| ambidex_cpu::MemFault { va: at })?;
        }
        Ok(())
    }
}
