//! The built-in supervisor firmware: RISC-V Supervisor Binary Interface 2.0.
//!
//! | extension | functions | chapter |
//! | --- | --- | --- |
//! | Base | all | 4 |
//! | legacy | 0 to 8 | 5 |
//! | TIME, IPI ("sPI"), RFENCE | all; the hypervisor fences are not supported | 6, 7, 8 |
//! | HSM | all | 9 |
//! | SRST | all | 10 |
//! | DBCN | all | 12 |
//!
//! Absent: PMU, SUSP, CPPC, NACL, STA, and what later versions add.
//!
//! Legacy calls name harts by a mask in virtual memory. Firmware on the host does not see that; they go to all harts, which the
//! specification's users cannot tell from spurious interrupts and fences.

mod hsm;
mod power;
mod remote;

use super::{DebugConsole, Firmware};
use crate::hub::{CpuCell, Hub, Power};
use ambidex_cpu::riscv::{Ext, Model};
use ambidex_cpu::{FirmwareCall, FirmwareResult, Vm};
use ambidex_devices::clock::time_of_tick;
use ambidex_memory::{AddressSpace, Gpa};
use std::sync::Arc;

/// Extension identifiers (chapters 4 to 12).
pub mod eid {
    #![expect(missing_docs, reason = "the specification's names")]
    pub const LEGACY_SET_TIMER: u64 = 0;
    pub const LEGACY_PUTCHAR: u64 = 1;
    pub const LEGACY_GETCHAR: u64 = 2;
    pub const LEGACY_CLEAR_IPI: u64 = 3;
    pub const LEGACY_SEND_IPI: u64 = 4;
    pub const LEGACY_FENCE_I: u64 = 5;
    pub const LEGACY_SFENCE: u64 = 6;
    pub const LEGACY_SFENCE_ASID: u64 = 7;
    pub const LEGACY_SHUTDOWN: u64 = 8;
    pub const BASE: u64 = 0x10;
    pub const TIME: u64 = 0x5449_4d45;
    pub const IPI: u64 = 0x0073_5049;
    pub const RFENCE: u64 = 0x5246_4e43;
    pub const HSM: u64 = 0x0048_534d;
    pub const SRST: u64 = 0x5352_5354;
    pub const DBCN: u64 = 0x4442_434e;
}

/// Error codes (chapter 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i64)]
#[expect(missing_docs, reason = "the specification's names")]
pub enum SbiError {
    Failed = -1,
    NotSupported = -2,
    InvalidParam = -3,
    Denied = -4,
    InvalidAddress = -5,
    AlreadyAvailable = -6,
    AlreadyStarted = -7,
    AlreadyStopped = -8,
    NoShmem = -9,
}

/// What a function ends with.
enum Done {
    /// Returns this value.
    Value(u64),
    /// Returns success and then does not simply go on.
    Then(FirmwareResult),
}

type Outcome = Result<Done, SbiError>;
const OK: Outcome = Ok(Done::Value(0));

/// `SBI_SPEC_VERSION`: 2.0.
const SPEC_VERSION: u64 = 2 << 24;
/// Implementation ids below 10 are assigned to others; this one is not registered.
const IMPL_ID: u64 = 0x414d_4258;
const IMPL_VERSION: u64 = 1;

const SSIP: u32 = 1;
const STIP: u32 = 5;

/// Longest console transfer of one call, in bytes; longer ones are done in part, as the specification allows.
const MAX_TRANSFER: u64 = 4096;
/// How often a blocking console function tries before the byte is given up.
const PATIENCE: u32 = 200_000;

/// The built-in SBI implementation.
pub struct Sbi {
    hub: Arc<Hub>,
    vm: Arc<dyn Vm>,
    space: Arc<AddressSpace>,
    console: Box<dyn DebugConsole>,
    model: Model,
    timebase_hz: u64,
}

impl Sbi {
    pub(crate) fn new(
        hub: Arc<Hub>,
        vm: Arc<dyn Vm>,
        space: Arc<AddressSpace>,
        console: Box<dyn DebugConsole>,
        model: Model,
        timebase_hz: u64,
    ) -> Arc<Sbi> {
        Arc::new(Sbi {
            hub,
            vm,
            space,
            console,
            model,
            timebase_hz,
        })
    }

    fn cpu(&self, hart: u64) -> Result<&CpuCell, SbiError> {
        usize::try_from(hart)
            .ok()
            .and_then(|h| self.hub.cpus.get(h))
            .ok_or(SbiError::InvalidParam)
    }

    /// Whether the CPUs compare `time` themselves (Sstc). Then `stimecmp` alone makes STIP.
    fn has_sstc(&self) -> bool {
        self.model.has(Ext::SSTC)
    }

    fn base(&self, function: u64, arg: u64) -> Outcome {
        let (vendor, arch, imp) = self.model.ids();
        Ok(Done::Value(match function {
            0 => SPEC_VERSION,
            1 => IMPL_ID,
            2 => IMPL_VERSION,
            3 => self.probe(arg).into(),
            4 => vendor,
            5 => arch,
            6 => imp,
            _ => return Err(SbiError::NotSupported),
        }))
    }

    fn probe(&self, extension: u64) -> bool {
        matches!(
            extension,
            0..=8
                | eid::BASE
                | eid::TIME
                | eid::IPI
                | eid::RFENCE
                | eid::HSM
                | eid::SRST
                | eid::DBCN
        )
    }

    /// Chapter 6. Clears the pending timer interrupt and arms the next; all ones never comes.
    fn set_timer(&self, cpu: u32, ticks: u64) -> Outcome {
        let cell = self.cpu(cpu.into())?;
        if self.has_sstc() {
            *crate::wake::lock(&cell.compare) = Some(ticks);
            // The loop that runs the CPU writes the register before it goes on.
            return Ok(Done::Then(FirmwareResult::Exit(ambidex_cpu::Exit::Kicked)));
        }
        cell.pins.set(STIP, false);
        let at = time_of_tick(ticks, self.timebase_hz);
        cell.firmware_deadline.set(at);
        if at.is_some_and(|at| at <= self.hub.clock.now())
            && cell.firmware_deadline.expire(self.hub.clock.now())
        {
            cell.pins.set(STIP, true);
        }
        OK
    }

    /// Chapter 12. Physical memory, in part if the console is full.
    fn console_write(&self, len: u64, low: u64, high: u64) -> Outcome {
        let mut bytes = vec![0; len.min(MAX_TRANSFER) as usize];
        self.check_range(len, low, high)?;
        self.space
            .read_bytes(Gpa(low), &mut bytes, ambidex_memory::Attrs::LOADER)
            .map_err(|_| SbiError::InvalidParam)?;
        let sent = bytes.iter().take_while(|b| self.console.put(**b)).count();
        Ok(Done::Value(sent as u64))
    }

    fn console_read(&self, len: u64, low: u64, high: u64) -> Outcome {
        self.check_range(len, low, high)?;
        let mut count = 0;
        while count < len.min(MAX_TRANSFER) {
            let Some(byte) = self.console.get() else {
                break;
            };
            self.space
                .write(
                    Gpa(low + count),
                    1,
                    byte.into(),
                    ambidex_memory::Attrs::cpu(0),
                )
                .map_err(|_| SbiError::Failed)?;
            count += 1;
        }
        Ok(Done::Value(count))
    }

    /// 3.2: shared memory is RAM, all of it.
    fn check_range(&self, len: u64, low: u64, high: u64) -> Result<(), SbiError> {
        if len == 0 {
            return Ok(());
        }
        let last = low
            .checked_add(len - 1)
            .filter(|_| high == 0)
            .ok_or(SbiError::InvalidParam)?;
        let view = self.space.view();
        let mut at = low;
        loop {
            let range = view
                .find(Gpa(at))
                .filter(|r| r.kind.block().is_some())
                .ok_or(SbiError::InvalidParam)?;
            if range.last().0 >= last {
                return Ok(());
            }
            at = range.last().0 + 1;
        }
    }

    /// Sends a byte, waiting until there is room unless the machine is to stop.
    fn put_blocking(&self, byte: u8) -> bool {
        for _ in 0..PATIENCE {
            if self.console.put(byte) {
                return true;
            }
            if self.hub.stopping() {
                break;
            }
            std::thread::yield_now();
        }
        false
    }

    fn dispatch(&self, cpu: u32, extension: u64, function: u64, a: &[u64; 6]) -> Outcome {
        match (extension, function) {
            (eid::BASE, _) => self.base(function, a[0]),
            (eid::TIME, 0) => self.set_timer(cpu, a[0]),
            (eid::IPI, 0) => self.send_ipi(a[0], a[1]),
            (eid::RFENCE, _) => self.remote_fence(function, a),
            (eid::HSM, _) => self.hart_state(cpu, function, a),
            (eid::SRST, 0) => self.system_reset(a[0], a[1]),
            (eid::DBCN, 0) => self.console_write(a[0], a[1], a[2]),
            (eid::DBCN, 1) => self.console_read(a[0], a[1], a[2]),
            (eid::DBCN, 2) if self.put_blocking(a[0] as u8) => OK,
            (eid::DBCN, 2) => Err(SbiError::Failed),
            _ => {
                log::debug!(target: "unimp", "CPU {cpu}: SBI extension {extension:#x}, function {function}");
                Err(SbiError::NotSupported)
            }
        }
    }

    /// Chapter 5: the extension is the function, the result is `a0` alone.
    fn legacy(&self, cpu: u32, extension: u64, a: &[u64; 6]) -> Outcome {
        match extension {
            eid::LEGACY_SET_TIMER => self.set_timer(cpu, a[0]),
            eid::LEGACY_PUTCHAR if self.put_blocking(a[0] as u8) => OK,
            eid::LEGACY_PUTCHAR => Err(SbiError::Failed),
            eid::LEGACY_GETCHAR => Ok(Done::Value(self.console.get().map_or(u64::MAX, u64::from))),
            // Supervisor software clears its own `sip.SSIP`, and a latched pulse the hart has not taken is not shown anywhere.
            eid::LEGACY_CLEAR_IPI => OK,
            eid::LEGACY_SEND_IPI => self.send_ipi(0, u64::MAX),
            eid::LEGACY_FENCE_I => self.remote_fence(0, &[0, u64::MAX, 0, 0, 0, 0]),
            eid::LEGACY_SFENCE => self.remote_fence(1, &[0, u64::MAX, a[1], a[2], 0, 0]),
            eid::LEGACY_SFENCE_ASID => self.remote_fence(2, &[0, u64::MAX, a[1], a[2], a[3], 0]),
            eid::LEGACY_SHUTDOWN => self.system_reset(0, 0),
            _ => Err(SbiError::NotSupported),
        }
    }
}

impl Firmware for Sbi {
    fn name(&self) -> &'static str {
        "sbi"
    }

    fn call(&self, cpu: u32, call: &mut FirmwareCall) -> FirmwareResult {
        let [a0, a1, a2, a3, a4, a5, function, extension] = call.regs;
        let args = [a0, a1, a2, a3, a4, a5];
        if let Ok(cell) = self.cpu(cpu.into())
            && cell.power() == Power::Suspended
        {
            // A retentive suspend that ended at once: the CPU never came to its loop.
            cell.set_power(Power::Started);
        }
        let legacy = extension <= eid::LEGACY_SHUTDOWN;
        let outcome = if legacy {
            self.legacy(cpu, extension, &args)
        } else {
            self.dispatch(cpu, extension, function, &args)
        };
        let (error, value, result) = match outcome {
            Ok(Done::Value(value)) => (0, value, FirmwareResult::Return),
            Ok(Done::Then(result)) => (0, 0, result),
            Err(error) => (error as i64 as u64, 0, FirmwareResult::Return),
        };
        if legacy {
            call.regs[0] = if error == 0 { value } else { error };
        } else {
            call.regs[0] = error;
            call.regs[1] = value;
        }
        result
    }

    fn timer_expired(&self, cpu: u32) {
        if let Ok(cell) = self.cpu(cpu.into()) {
            cell.pins.set(STIP, true);
        }
    }

    fn reset(&self) {
        for cell in &self.hub.cpus {
            cell.firmware_deadline.set(None);
            cell.pins.set(STIP, false);
            cell.pins.take_latched();
        }
    }
}

#[cfg(test)]
mod tests;
