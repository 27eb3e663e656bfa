//! What all parts of a running machine share: CPU cells, requests to stop, events of back ends, the bell of the machine's loop.

use crate::clock::VmClock;
use crate::host::Events;
use crate::timers::{Alarm, Deadline};
use crate::wake::{WakeToken, lock};
use ambidex_cpu::{DebugStop, Kicker, Nanos, Pins};
use ambidex_devices::{Action, ResetKind};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Why a machine stopped running.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitReason {
    /// The guest switched the machine off. `code` is what it reported, 0 meaning success.
    PowerOff {
        /// The exit code.
        code: u32,
    },
    /// The guest asked for a reset, and the machine was built not to reboot.
    Reset,
    /// The guest said that it has panicked.
    Panicked,
    /// [`crate::Control::pause`] was called.
    Paused,
    /// What [`crate::Machine::run_until`] waited for has happened.
    Until,
    /// A breakpoint, watchpoint or single step.
    Debug {
        /// The CPU.
        cpu: u32,
        /// What happened.
        stop: DebugStop,
    },
    /// A CPU cannot go on.
    Fault {
        /// The CPU.
        cpu: u32,
        /// Why.
        reason: String,
    },
}

/// What somebody wants the machine to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Reset(ResetKind),
    Exit(ExitReason),
}

impl Request {
    /// A later request only replaces an earlier one of lower rank.
    fn rank(&self) -> u8 {
        match self {
            Request::Exit(ExitReason::Paused | ExitReason::Until) => 0,
            Request::Exit(ExitReason::Debug { .. }) => 1,
            Request::Reset(_) => 2,
            Request::Exit(_) => 3,
        }
    }
}

/// Whether a CPU runs, as firmware sees it (SBI HSM, PSCI).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Power {
    /// Off, until somebody starts it.
    Stopped,
    /// To be started at `pc` in the mode firmware hands over in.
    Starting {
        /// Where.
        pc: u64,
        /// The opaque second argument.
        opaque: u64,
    },
    /// Runs, or waits for an interrupt.
    Started,
    /// Suspended until an interrupt comes; then goes on after the call.
    Suspended,
    /// Suspended until an interrupt comes; then goes on at `pc` with registers lost.
    SuspendedLosing {
        /// Where.
        pc: u64,
        /// The opaque second argument.
        opaque: u64,
    },
}

/// What other threads may touch of one CPU.
pub(crate) struct CpuCell {
    pub(crate) index: u32,
    pub(crate) kicker: Kicker,
    pub(crate) pins: Pins,
    /// Set by everything a waiting CPU has to wake up for.
    pub(crate) wake: Arc<WakeToken>,
    pub(crate) power: Mutex<Power>,
    /// The CPU's own timer.
    pub(crate) deadline: Deadline,
    /// The timer that firmware keeps for the CPU.
    pub(crate) firmware_deadline: Deadline,
    /// A value for the CPU's own compare register, written by firmware on its behalf before it goes on.
    pub(crate) compare: Mutex<Option<u64>>,
    pub(crate) mmio_reads: AtomicU64,
    pub(crate) mmio_writes: AtomicU64,
    pub(crate) bus_errors: AtomicU64,
    pub(crate) firmware_calls: AtomicU64,
    pub(crate) halts: AtomicU64,
}

impl CpuCell {
    pub(crate) fn new(index: u32, kicker: Kicker, pins: Pins, alarm: &Arc<Alarm>) -> CpuCell {
        let wake = Arc::new(WakeToken::default());
        pins.attach(Kicker::new(wake.clone()));
        CpuCell {
            index,
            kicker,
            pins,
            wake,
            power: Mutex::new(Power::Started),
            deadline: Deadline::new(alarm.clone()),
            firmware_deadline: Deadline::new(alarm.clone()),
            compare: Mutex::new(None),
            mmio_reads: AtomicU64::new(0),
            mmio_writes: AtomicU64::new(0),
            bus_errors: AtomicU64::new(0),
            firmware_calls: AtomicU64::new(0),
            halts: AtomicU64::new(0),
        }
    }

    pub(crate) fn power(&self) -> Power {
        *lock(&self.power)
    }

    pub(crate) fn set_power(&self, power: Power) {
        *lock(&self.power) = power;
    }

    /// Makes a running or waiting CPU come back to its loop.
    pub(crate) fn kick(&self) {
        self.wake.set();
        self.kicker.kick();
    }

    /// The first deadline of this CPU.
    pub(crate) fn first_deadline(&self) -> Nanos {
        self.deadline.get().min(self.firmware_deadline.get())
    }
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// See the module.
pub(crate) struct Hub {
    pub(crate) clock: Arc<VmClock>,
    /// Rung for the machine's loop.
    pub(crate) bell: Arc<WakeToken>,
    pub(crate) alarm: Arc<Alarm>,
    pub(crate) events: Arc<Events>,
    pub(crate) cpus: Vec<CpuCell>,
    /// VM time at which `run_until` is over.
    pub(crate) until: Deadline,
    request: Mutex<Option<Request>>,
    /// A request waits: CPUs leave their loops.
    stopping: AtomicBool,
}

impl Hub {
    pub(crate) fn new(
        clock: Arc<VmClock>,
        cpus: impl FnOnce(&Arc<Alarm>) -> Vec<CpuCell>,
    ) -> Arc<Hub> {
        let bell = Arc::new(WakeToken::default());
        let alarm = Alarm::new(bell.clone());
        Arc::new(Hub {
            clock,
            events: Arc::new(Events::new(bell.clone())),
            cpus: cpus(&alarm),
            until: Deadline::new(alarm.clone()),
            bell,
            alarm,
            request: Mutex::new(None),
            stopping: AtomicBool::new(false),
        })
    }

    /// Asks for something and brings every CPU back to its loop.
    pub(crate) fn request(&self, request: Request) {
        {
            let mut slot = lock(&self.request);
            if slot.as_ref().is_none_or(|old| old.rank() < request.rank()) {
                *slot = Some(request);
            }
            self.stopping.store(true, Ordering::SeqCst);
        }
        self.kick_all();
        self.bell.set();
    }

    pub(crate) fn kick_all(&self) {
        self.cpus.iter().for_each(CpuCell::kick);
    }

    /// Whether CPUs have to leave their loops.
    pub(crate) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Takes the request that made CPUs leave. Called when all have left.
    pub(crate) fn take_request(&self) -> Option<Request> {
        let mut slot = lock(&self.request);
        self.stopping.store(false, Ordering::SeqCst);
        slot.take()
    }

    /// Carries out what a device returned. The device is unlocked.
    pub(crate) fn act(&self, path: &str, action: Action) {
        match action {
            Action::None => {}
            Action::Reset(kind) => self.request(Request::Reset(kind)),
            Action::PowerOff { code } => self.request(Request::Exit(ExitReason::PowerOff { code })),
            Action::Panicked => self.request(Request::Exit(ExitReason::Panicked)),
            Action::Remap => log::debug!("{path}: a request to remap reached the machine"),
            Action::Defer => log::debug!("{path}: a deferred access reached the machine"),
        }
    }
}
