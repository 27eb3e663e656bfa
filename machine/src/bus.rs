//! The bus a running CPU sees: [`CpuBus`] over the machine's address space, clock, timers and firmware.

use crate::firmware::Firmware;
use crate::hub::{Hub, count};
use crate::semihosting::Semihosting;
use ambidex_cpu::{CpuBus, FirmwareCall, FirmwareResult, GuestMem, Nanos};
use ambidex_memory::{AddressSpace, Attrs, BusError, Gpa};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// The bus of one machine, shared by its CPUs.
pub(crate) struct Bus {
    pub(crate) space: Arc<AddressSpace>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) firmware: Option<Arc<dyn Firmware>>,
    pub(crate) semihosting: Option<Arc<Semihosting>>,
}

impl Bus {
    fn count(&self, cpu: u32, counter: impl FnOnce(&crate::hub::CpuCell) -> &AtomicU64) {
        if let Some(cell) = self.hub.cpus.get(cpu as usize) {
            count(counter(cell));
        }
    }

    fn noted<T>(&self, cpu: u32, result: Result<T, BusError>) -> Result<T, BusError> {
        if let Err(e) = &result {
            log::debug!(target: "guest_errors", "CPU {cpu}: {e}");
            self.count(cpu, |c| &c.bus_errors);
        }
        result
    }
}

impl CpuBus for Bus {
    fn read(&self, cpu: u32, at: Gpa, size: u8) -> Result<u64, BusError> {
        self.count(cpu, |c| &c.mmio_reads);
        self.noted(cpu, self.space.read(at, size, Attrs::cpu(cpu)))
    }

    fn write(&self, cpu: u32, at: Gpa, size: u8, value: u64) -> Result<(), BusError> {
        self.count(cpu, |c| &c.mmio_writes);
        self.noted(cpu, self.space.write(at, size, value, Attrs::cpu(cpu)))
    }

    fn now(&self) -> Nanos {
        self.hub.clock.now()
    }

    fn set_deadline(&self, cpu: u32, at: Option<Nanos>) {
        if let Some(cell) = self.hub.cpus.get(cpu as usize) {
            cell.deadline.set(at);
        }
    }

    fn executed(&self, _cpu: u32, insns: u64) {
        self.hub.clock.executed(insns);
    }

    fn firmware_call(&self, cpu: u32, call: &mut FirmwareCall) -> FirmwareResult {
        self.count(cpu, |c| &c.firmware_calls);
        match &self.firmware {
            Some(firmware) => firmware.call(cpu, call),
            None => FirmwareResult::Trap,
        }
    }

    fn semihost(&self, _cpu: u32, op: u64, arg: u64, mem: &mut dyn GuestMem) -> u64 {
        match &self.semihosting {
            Some(semihosting) => semihosting.call(op, arg, mem),
            None => u64::MAX,
        }
    }
}
