//! A machine that has been built: running, stopping, resetting, looking inside.

use crate::assembly::Start;
use crate::bus::Bus;
use crate::console::Console;
use crate::device_slot::DeviceSlot;
use crate::error::MachineError;
use crate::hub::{ExitReason, Hub, Request};
use crate::loader::Blob;
use crate::{clock::VmClock, run};
use ambidex_cpu::riscv;
use ambidex_cpu::{Arch, CpuModel, CpuState, Nanos, Vcpu, VcpuStats, Vm};
use ambidex_devices::ResetKind;
use ambidex_memory::{AddressSpace, Gpa, RamBlock};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What [`Machine::run_until`] waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Until {
    /// The console prints this text (since the machine was built or the last match).
    Prints(String),
    /// VM time reaches this many nanoseconds.
    Time(Nanos),
}

/// A machine. Made by [`crate::Builder`]; owned by the thread that runs it. Other threads use its [`Control`].
pub struct Machine {
    pub(crate) board: &'static str,
    pub(crate) arch: Arch,
    pub(crate) model: CpuModel,
    pub(crate) vcpus: Vec<Box<dyn Vcpu>>,
    /// Deterministic runs: which CPUs wait for their token.
    pub(crate) waiting: Vec<bool>,
    pub(crate) bus: Bus,
    pub(crate) devices: Vec<Arc<DeviceSlot>>,
    /// RAM blocks by name, in the order of their addresses.
    pub(crate) ram: Vec<Arc<RamBlock>>,
    pub(crate) blobs: Vec<Blob>,
    pub(crate) starts: Vec<Start>,
    pub(crate) console: Console,
    pub(crate) symbols: Vec<(String, u64)>,
    pub(crate) fdt: Option<Vec<u8>>,
    pub(crate) no_reboot: bool,
    pub(crate) exited: Option<ExitReason>,
    /// Last, since everything else may refer to it.
    pub(crate) _vm: Arc<dyn Vm>,
}

/// A handle on a machine for other threads: pause it, switch it off, reset it. Cheap to clone.
#[derive(Clone)]
pub struct Control(Arc<Hub>);

impl Control {
    /// Makes [`Machine::run`] return with [`ExitReason::Paused`].
    pub fn pause(&self) {
        self.0.request(Request::Exit(ExitReason::Paused));
    }

    /// Switches the machine off, as if the plug were pulled.
    pub fn power_off(&self) {
        self.0
            .request(Request::Exit(ExitReason::PowerOff { code: 0 }));
    }

    /// Resets the machine, as its reset button would.
    pub fn reset(&self) {
        self.0.request(Request::Reset(ResetKind::Warm));
    }

    /// VM time in nanoseconds.
    #[must_use]
    pub fn now(&self) -> Nanos {
        self.0.clock.now()
    }
}

/// Counters of one CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CpuReport {
    /// The accelerator's counters.
    pub vcpu: VcpuStats,
    /// Instructions executed, as far as the accelerator counts them.
    pub executed: u64,
    /// Reads of device registers.
    pub mmio_reads: u64,
    /// Writes of device registers.
    pub mmio_writes: u64,
    /// Accesses to nothing.
    pub bus_errors: u64,
    /// Firmware calls.
    pub firmware_calls: u64,
    /// Times it waited for an interrupt.
    pub halts: u64,
}

impl Machine {
    /// Runs until the machine is switched off, paused or cannot go on. Resets happen inside, unless it was built with
    /// [`crate::Builder::no_reboot`]. After [`ExitReason::Paused`] and [`ExitReason::Until`] it can be run on.
    ///
    /// # Errors
    /// The accelerator or the host failed.
    pub fn run(&mut self) -> Result<ExitReason, MachineError> {
        loop {
            let deterministic = self.bus.hub.clock.shift().is_some();
            let result = if deterministic {
                run::deterministic(&mut self.vcpus, &mut self.waiting, &self.bus, &self.devices)
            } else {
                run::real_time(&mut self.vcpus, &self.bus, &self.devices)
            };
            let request = self.bus.hub.take_request();
            result?;
            match request {
                Some(Request::Reset(_)) if self.no_reboot => {
                    return Ok(self.exit(ExitReason::Reset));
                }
                Some(Request::Reset(kind)) => self.reset(kind)?,
                Some(Request::Exit(reason)) => return Ok(self.exit(reason)),
                None => {}
            }
        }
    }

    fn exit(&mut self, reason: ExitReason) -> ExitReason {
        self.bus.hub.until.set(None);
        self.console.expect(None);
        self.exited = Some(reason.clone());
        reason
    }

    /// Runs until `condition` holds, or the machine stops for another reason.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_until(&mut self, condition: Until) -> Result<ExitReason, MachineError> {
        match condition {
            Until::Prints(text) => {
                let hub = self.bus.hub.clone();
                let found = move || hub.request(Request::Exit(ExitReason::Until));
                if self.console.expect(Some((text, Box::new(found)))) {
                    self.console.expect(None);
                    return Ok(ExitReason::Until);
                }
            }
            Until::Time(at) => self.bus.hub.until.set(Some(at)),
        }
        self.run()
    }

    /// Resets CPUs and devices and loads firmware and kernel again. A cold reset also clears RAM.
    ///
    /// # Errors
    /// An image no longer fits, or the accelerator refused the start state.
    pub fn reset(&mut self, kind: ResetKind) -> Result<(), MachineError> {
        for slot in &self.devices {
            slot.reset(kind);
        }
        if let Some(firmware) = &self.bus.firmware {
            firmware.reset();
        }
        if kind == ResetKind::Cold {
            let kept = |b: &RamBlock| self.devices.iter().any(|d| d.keeps(b));
            for block in self.ram.iter().filter(|b| !kept(b)) {
                block.discard(0, block.len()).map_err(|e| {
                    MachineError::config(format!("RAM block {}: {e}", block.name()))
                })?;
            }
        }
        self.load()
    }

    /// Loads the images and puts the CPUs where the board starts them.
    pub(crate) fn load(&mut self) -> Result<(), MachineError> {
        for blob in &self.blobs {
            blob.load(&self.bus.space)?;
        }
        self.waiting.fill(false);
        for ((vcpu, cell), start) in self
            .vcpus
            .iter_mut()
            .zip(&self.bus.hub.cpus)
            .zip(&self.starts)
        {
            vcpu.reset();
            vcpu.set_budget(None);
            cell.deadline.set(None);
            cell.firmware_deadline.set(None);
            *crate::wake::lock(&cell.compare) = None;
            cell.pins.take_latched();
            cell.wake.set();
            cell.set_power(start.power());
            if let Some(state) = start.state(&self.model, cell.index) {
                vcpu.restore(&state)?;
            }
        }
        Ok(())
    }

    /// A handle for other threads.
    #[must_use]
    pub fn control(&self) -> Control {
        Control(self.bus.hub.clone())
    }

    /// The first serial port, from the host's side.
    #[must_use]
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// Guest-physical memory.
    #[must_use]
    pub fn memory(&self) -> &Arc<AddressSpace> {
        &self.bus.space
    }

    /// RAM blocks, those that a snapshot holds.
    #[must_use]
    pub fn ram(&self) -> &[Arc<RamBlock>] {
        &self.ram
    }

    /// The VM clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<VmClock> {
        &self.bus.hub.clock
    }

    /// The board's name.
    #[must_use]
    pub fn board(&self) -> &'static str {
        self.board
    }

    /// The CPU model after what the accelerator lacks was taken away.
    #[must_use]
    pub fn cpu_model(&self) -> &CpuModel {
        &self.model
    }

    /// Number of CPUs.
    #[must_use]
    pub fn cpus(&self) -> usize {
        self.vcpus.len()
    }

    /// CPU `n`, for debuggers and instrumentation, while the machine does not run.
    pub fn vcpu(&mut self, n: usize) -> Option<&mut dyn Vcpu> {
        match self.vcpus.get_mut(n) {
            Some(v) => Some(&mut **v),
            None => None,
        }
    }

    /// The devices.
    #[must_use]
    pub fn devices(&self) -> &[Arc<DeviceSlot>] {
        &self.devices
    }

    /// The flattened device tree given to the guest.
    #[must_use]
    pub fn device_tree(&self) -> Option<&[u8]> {
        self.fdt.as_deref()
    }

    /// Why [`run`](Self::run) last returned.
    #[must_use]
    pub fn exit_reason(&self) -> Option<&ExitReason> {
        self.exited.as_ref()
    }

    /// The address of a symbol of the images that were loaded from ELF files.
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<u64> {
        self.symbols
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, at)| *at)
    }

    /// Counters of CPU `n`.
    #[must_use]
    pub fn cpu_report(&self, n: usize) -> Option<CpuReport> {
        let (vcpu, cell) = (self.vcpus.get(n)?, self.bus.hub.cpus.get(n)?);
        Some(CpuReport {
            vcpu: vcpu.stats(),
            executed: vcpu.executed(),
            mmio_reads: cell.mmio_reads.load(Ordering::Relaxed),
            mmio_writes: cell.mmio_writes.load(Ordering::Relaxed),
            bus_errors: cell.bus_errors.load(Ordering::Relaxed),
            firmware_calls: cell.firmware_calls.load(Ordering::Relaxed),
            halts: cell.halts.load(Ordering::Relaxed),
        })
    }

    /// The signature that compliance programs leave: the 32-bit words between the symbols `begin_signature` and `end_signature`, one line of
    /// eight hexadecimal digits each.
    ///
    /// # Errors
    /// The symbols are not there or do not enclose memory.
    pub fn signature(&self) -> Result<String, MachineError> {
        let find = |name| {
            self.symbol(name).ok_or_else(|| {
                MachineError::config(format!(
                    "the image has no symbol {name}, so there is no signature to write"
                ))
            })
        };
        let (from, to) = (find("begin_signature")?, find("end_signature")?);
        let bad = || {
            MachineError::config(
                "begin_signature and end_signature do not enclose up to 16 MiB of RAM",
            )
        };
        let len = to
            .checked_sub(from)
            .filter(|l| *l <= 16 << 20)
            .ok_or_else(bad)?;
        let mut bytes = vec![0; len as usize];
        self.bus
            .space
            .read_bytes(Gpa(from), &mut bytes, ambidex_memory::Attrs::DEBUG)
            .map_err(|_| bad())?;
        let mut text = String::new();
        for w in bytes.chunks_exact(4) {
            let word = w.iter().rev().fold(0u32, |v, b| v << 8 | u32::from(*b));
            let _ = writeln!(text, "{word:08x}");
        }
        Ok(text)
    }

    /// Everything worth knowing when a machine misbehaves, as text. Only while it does not run.
    pub fn dump(&mut self) -> String {
        let mut out = format!(
            "{} ({}), {} CPU(s) {:?}, VM time {} ns\n",
            self.board,
            self.arch,
            self.vcpus.len(),
            self.model,
            self.bus.hub.clock.now()
        );
        for n in 0..self.vcpus.len() {
            let report = self.cpu_report(n).unwrap_or_default();
            let power = self.bus.hub.cpus[n].power();
            let _ = writeln!(
                out,
                "cpu {n}: {power:?}, pins {:?}\n  {report:?}",
                self.bus.hub.cpus[n].pins
            );
            match self.vcpus[n].save() {
                Ok(CpuState::Riscv64(s)) => dump_riscv(&mut out, &s),
                Ok(_) => {}
                Err(e) => {
                    let _ = writeln!(out, "  {e}");
                }
            }
        }
        for d in &self.devices {
            let deadline = match d.deadline() {
                crate::timers::NEVER => "none".to_owned(),
                at => format!("{at} ns"),
            };
            let _ = writeln!(
                out,
                "device {}: {} accesses, deadline {deadline}",
                d.path(),
                d.accesses()
            );
        }
        out.push_str(&self.bus.space.dump());
        out
    }
}

fn dump_riscv(out: &mut String, s: &riscv::State) {
    let _ = writeln!(
        out,
        "  pc {:016x}  mode {:?}  waiting {}",
        s.pc,
        s.privilege(),
        s.waiting
    );
    for (n, row) in s.x.chunks(4).enumerate() {
        let _ = write!(out, "  x{:<2}", n * 4);
        for v in row {
            let _ = write!(out, " {v:016x}");
        }
        let _ = writeln!(out);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.devices.iter().for_each(|slot| slot.retire());
    }
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Machine({}, {} CPUs)", self.board, self.vcpus.len())
    }
}
