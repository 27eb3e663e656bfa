//! A machine's state as text, to be compared: two machines that did the same have the same text, and `diff` shows where they part.

use crate::error::MachineError;
use crate::machine::Machine;
use crate::snapshot::{Sum, ram_sum};
use ambidex_cpu::CpuState;
use std::fmt::Write as _;

impl Machine {
    /// Everything a snapshot would hold, in lines: VM time; registers, power and instruction count of each CPU; the state of each device; a
    /// checksum of each RAM block. The machine must not be running.
    ///
    /// # Errors
    /// A device's I/O does not finish, or the accelerator or the host failed.
    pub fn summary(&mut self) -> Result<String, MachineError> {
        self.quiesce()?;
        let saved = self.collect()?;
        let mut out = format!(
            "machine {} {}\ntime {}\n",
            saved.arch, saved.board, saved.now
        );
        for (n, cpu) in saved.cpus.iter().enumerate() {
            let executed = self.vcpus.get(n).map_or(0, |v| v.executed());
            let _ = writeln!(out, "cpu {n} executed {executed}");
            let _ = writeln!(
                out,
                "cpu {n} power {:?} waiting {} latched {:#x} firmware {:?} {} {:?}",
                cpu.power,
                cpu.waiting,
                cpu.latched,
                cpu.firmware_deadline,
                cpu.firmware_pin,
                cpu.compare
            );
            let registers = match &cpu.state {
                CpuState::Riscv64(s) => format!("{s:#?}"),
                other => format!("{other:#?}"),
            };
            for line in registers.lines() {
                let _ = writeln!(out, "cpu {n} {line}");
            }
        }
        for (path, device) in &saved.devices {
            let _ = writeln!(out, "device {path} {} {:?}", device.id, device.state);
        }
        for block in &self.ram {
            let Sum(sum) = ram_sum(block).map_err(|source| MachineError::Host {
                what: format!("cannot read the RAM block {}", block.name()),
                source,
            })?;
            let _ = writeln!(out, "ram {} {} {sum:016x}", block.name(), block.len());
        }
        Ok(out)
    }
}
