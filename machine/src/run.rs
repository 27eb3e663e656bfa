//! The machine's loop: one round of vCPUs from start to stop, in real time or deterministically.

use crate::bus::Bus;
use crate::device_slot::DeviceSlot;
use crate::error::MachineError;
use crate::hub::{ExitReason, Hub, Request};
use crate::timers::NEVER;
use crate::vcpu_thread::{self, Next};
use crate::wake::lock;
use ambidex_cpu::{Nanos, Vcpu};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Instructions a CPU executes before the next one's turn in a deterministic run.
const QUANTUM: u64 = 50_000;

/// After this the loop kicks CPUs again that have not left; a correct accelerator never needs it.
const PATIENCE: Duration = Duration::from_millis(200);

/// Delivers events and does what is due at the present time. Returns the first deadline left.
pub(crate) fn serve(bus: &Bus, devices: &[Arc<DeviceSlot>]) -> Nanos {
    let hub = &*bus.hub;
    for (device, token) in hub.events.take() {
        if let Some(slot) = devices.get(device as usize) {
            slot.event(token);
        }
    }
    let now = hub.clock.now();
    for slot in devices {
        slot.tick_if_due(now);
    }
    for cell in &hub.cpus {
        if cell.firmware_deadline.expire(now)
            && let Some(firmware) = &bus.firmware
        {
            firmware.timer_expired(cell.index);
        }
        if cell.deadline.expire(now) {
            cell.kick();
        }
    }
    if hub.until.expire(now) {
        hub.request(Request::Exit(ExitReason::Until));
    }
    first_deadline(hub, devices)
}

fn first_deadline(hub: &Hub, devices: &[Arc<DeviceSlot>]) -> Nanos {
    let cpus = hub.cpus.iter().map(|c| c.first_deadline());
    let devices = devices.iter().map(|d| d.deadline());
    cpus.chain(devices).fold(hub.until.get(), Nanos::min)
}

/// Runs every vCPU on its own thread until a request stops them.
pub(crate) fn real_time(
    vcpus: &mut [Box<dyn Vcpu>],
    bus: &Bus,
    devices: &[Arc<DeviceSlot>],
) -> Result<(), MachineError> {
    let hub = &*bus.hub;
    let running = AtomicUsize::new(vcpus.len());
    let failure: Mutex<Option<MachineError>> = Mutex::new(None);
    let mut lost = Ok(());
    hub.clock.start();
    std::thread::scope(|scope| {
        for (vcpu, cell) in vcpus.iter_mut().zip(&hub.cpus) {
            let (running, failure) = (&running, &failure);
            let spawned = std::thread::Builder::new()
                .name(format!("vcpu{}", cell.index))
                .spawn_scoped(scope, move || {
                    let _leaving = Leaving {
                        hub,
                        running,
                        cpu: cell.index,
                    };
                    if let Err(e) = vcpu_thread::run(&mut **vcpu, cell, bus) {
                        lock(failure).get_or_insert(e);
                        hub.request(Request::Exit(ExitReason::Fault {
                            cpu: cell.index,
                            reason: "the accelerator failed".into(),
                        }));
                    }
                });
            if let Err(source) = spawned {
                running.fetch_sub(1, Ordering::SeqCst);
                lost = Err(MachineError::Host {
                    what: "a thread for a vCPU cannot be started".into(),
                    source,
                });
                hub.request(Request::Exit(ExitReason::Paused));
            }
        }
        while !hub.stopping() {
            hub.bell.clear();
            hub.alarm.disarm();
            let first = serve(bus, devices);
            hub.alarm.arm(first);
            // Somebody may have set an earlier deadline before the alarm was armed.
            let first = first.min(first_deadline(hub, devices));
            if hub.stopping() {
                break;
            }
            match first {
                NEVER => hub.bell.wait(),
                at => hub
                    .bell
                    .wait_for(Duration::from_nanos(at.saturating_sub(hub.clock.now()))),
            }
        }
        // Threads are waited for at the end of the scope; until then deferred accesses and fences may need the others to leave.
        loop {
            hub.bell.clear();
            if running.load(Ordering::SeqCst) == 0 {
                break;
            }
            hub.kick_all();
            hub.bell.wait_for(PATIENCE);
        }
    });
    hub.clock.stop();
    hub.alarm.disarm();
    lost?;
    match failure
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
    {
        Some(e) => Err(e),
        None => Ok(()),
    }
}

/// Tells the loop that a vCPU thread has left, also when it panicked.
struct Leaving<'a> {
    hub: &'a Hub,
    running: &'a AtomicUsize,
    cpu: u32,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.hub.request(Request::Exit(ExitReason::Fault {
                cpu: self.cpu,
                reason: "its thread panicked".into(),
            }));
        }
        self.running.fetch_sub(1, Ordering::SeqCst);
        self.hub.bell.set();
    }
}

/// Runs the vCPUs in turn on this thread; time is the sum of the instructions executed. Everything the guest can see follows from the machine
/// and what its back ends deliver, and events are delivered between slices only.
pub(crate) fn deterministic(
    vcpus: &mut [Box<dyn Vcpu>],
    waiting: &mut [bool],
    bus: &Bus,
    devices: &[Arc<DeviceSlot>],
) -> Result<(), MachineError> {
    let hub = &*bus.hub;
    let shift = hub.clock.shift().unwrap_or(0);
    while !hub.stopping() {
        hub.bell.clear();
        let mut ran = false;
        for ((vcpu, cell), waits) in vcpus.iter_mut().zip(&hub.cpus).zip(waiting.iter_mut()) {
            hub.alarm.disarm();
            let first = serve(bus, devices);
            if hub.stopping() {
                break;
            }
            if *waits && !cell.wake.is_set() {
                continue;
            }
            cell.wake.clear();
            ran = true;
            let mut next = vcpu_thread::settle(&mut **vcpu, cell)?;
            if next == Next::Run {
                let left = first.saturating_sub(hub.clock.now());
                let budget = left.div_ceil(1 << shift).clamp(1, QUANTUM);
                hub.clock.begin_slice(vcpu.executed());
                vcpu.set_budget(Some(budget));
                // A deadline set during the slice that falls into it ends it.
                let end = hub.clock.now().saturating_add(budget << shift);
                hub.alarm.set_running(Some(cell.kicker.clone()));
                hub.alarm.arm(end);
                let exit = vcpu.run(bus);
                hub.alarm.disarm();
                hub.alarm.set_running(None);
                hub.clock.executed(vcpu.executed());
                next = vcpu_thread::finish(exit?, cell, hub);
            }
            *waits = next == Next::Wait;
        }
        if ran || hub.stopping() {
            continue;
        }
        // All CPUs wait: time jumps to the next thing that happens, or only a back end can make one happen.
        match first_deadline(hub, devices) {
            NEVER => hub.bell.wait(),
            at => hub.clock.skip_to(at),
        }
    }
    Ok(())
}
