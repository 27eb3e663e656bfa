//! Running one vCPU: the loop of its thread, and a slice of it in a deterministic run.
//!
//! # Waiting
//!
//! A CPU that halts waits for its [`crate::wake::WakeToken`]. The token is cleared before the CPU looks at its state and runs, so whatever
//! happens from then on (a pin becoming active, its deadline, a request to stop, a start by another CPU) is still there when it wants to wait.

use crate::bus::Bus;
use crate::error::MachineError;
use crate::hub::{CpuCell, ExitReason, Hub, Power, Request, count};
use crate::wake::lock;
use ambidex_cpu::riscv::{self, csr};
use ambidex_cpu::{CpuState, Exit, Vcpu};
use ambidex_devices::ResetKind;

/// What a CPU does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Goes on at once.
    Run,
    /// Waits for its token.
    Wait,
}

/// Runs `vcpu` until a request makes it leave.
pub(crate) fn run(vcpu: &mut dyn Vcpu, cell: &CpuCell, bus: &Bus) -> Result<(), MachineError> {
    let hub = &*bus.hub;
    loop {
        cell.wake.clear();
        let mut next = settle(vcpu, cell)?;
        if hub.stopping() {
            return Ok(());
        }
        if next == Next::Run {
            next = finish(vcpu.run(bus)?, cell, hub);
        }
        if next == Next::Wait {
            count(&cell.halts);
            cell.wake.wait();
        }
    }
}

/// Before a CPU runs: applies what firmware decided about it.
pub(crate) fn settle(vcpu: &mut dyn Vcpu, cell: &CpuCell) -> Result<Next, MachineError> {
    let power = {
        let mut power = lock(&cell.power);
        let was = *power;
        if was != Power::Stopped {
            *power = Power::Started;
        }
        was
    };
    match power {
        Power::Stopped => return Ok(Next::Wait),
        Power::Started | Power::Suspended => {}
        Power::Starting { pc, opaque } => {
            let CpuState::Riscv64(old) = vcpu.save()? else {
                return Err(MachineError::config(
                    "only RISC-V CPUs have supervisor firmware on the host",
                ));
            };
            let start =
                riscv::State::supervisor_start(*old.hart.model(), cell.index.into(), pc, opaque);
            // Interrupts that other harts sent before the hart was started are not for it.
            cell.pins.take_latched();
            vcpu.restore(&start.into())?;
        }
        Power::SuspendedLosing { pc, opaque } => change(vcpu, |state, env| {
            state.hart.set_privilege(riscv::Priv::Supervisor);
            let sstatus = state.hart.csr_peek(csr::addr::SSTATUS, env).unwrap_or(0);
            state.hart.csr_poke(csr::addr::SSTATUS, sstatus & !2, env);
            state.hart.csr_poke(csr::addr::SATP, 0, env);
            state.pc = pc;
            state.x[10] = cell.index.into();
            state.x[11] = opaque;
            state.waiting = false;
        })?,
    }
    let compare = lock(&cell.compare).take();
    if let Some(compare) = compare {
        change(vcpu, |state, env| {
            state.hart.csr_poke(csr::addr::STIMECMP, compare, env);
        })?;
    }
    Ok(Next::Run)
}

/// Changes the state of a RISC-V CPU that does not run.
fn change(
    vcpu: &mut dyn Vcpu,
    f: impl FnOnce(&mut riscv::State, &mut dyn riscv::csr::CsrEnv),
) -> Result<(), MachineError> {
    let CpuState::Riscv64(mut state) = vcpu.save()? else {
        return Err(MachineError::config(
            "only RISC-V CPUs have supervisor firmware on the host",
        ));
    };
    f(&mut state, &mut Outside);
    vcpu.restore(&CpuState::Riscv64(state))?;
    Ok(())
}

/// A CSR environment for writes from outside, where no counter or flag is involved.
struct Outside;

impl riscv::csr::CsrEnv for Outside {
    fn time(&self) -> u64 {
        0
    }
    fn cycle(&self) -> u64 {
        0
    }
    fn instret(&self) -> u64 {
        0
    }
    fn pins(&self) -> u64 {
        0
    }
    fn fflags(&self) -> u8 {
        0
    }
    fn set_fflags(&mut self, _: u8) {}
    fn frm(&self) -> u8 {
        0
    }
    fn set_frm(&mut self, _: u8) {}
}

/// What follows from the way a CPU left [`Vcpu::run`].
pub(crate) fn finish(exit: Exit, cell: &CpuCell, hub: &Hub) -> Next {
    let cpu = cell.index;
    match exit {
        // A non-retentive suspend with an interrupt already there: nothing would set the token.
        Exit::Halt
            if matches!(cell.power(), Power::SuspendedLosing { .. })
                && cell.pins.level() | cell.pins.latched() != 0 =>
        {
            return Next::Run;
        }
        Exit::Halt => return Next::Wait,
        Exit::Kicked | Exit::Budget => {}
        Exit::Reset => hub.request(Request::Reset(ResetKind::Warm)),
        Exit::Shutdown => hub.request(Request::Exit(ExitReason::PowerOff { code: 0 })),
        Exit::Debug(stop) => hub.request(Request::Exit(ExitReason::Debug { cpu, stop })),
        Exit::Fault(reason) => hub.request(Request::Exit(ExitReason::Fault { cpu, reason })),
        other => hub.request(Request::Exit(ExitReason::Fault {
            cpu,
            reason: format!("unexpected exit {other:?}"),
        })),
    }
    Next::Run
}
