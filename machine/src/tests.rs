//! The machine as a whole, on fake vCPUs.

use crate::fake::{Core, FakeAccel, Script, builder};
use crate::firmware::sbi::eid;
use crate::machine::Until;
use crate::{Bios, Builder, ExitReason, MachineError};
use ambidex_cpu::{CpuBus, Exit, Timing};
use ambidex_devices::ResetKind;
use ambidex_memory::{Attrs, Gpa};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

const TEST: Gpa = Gpa(0x10_0000);
const UART: Gpa = Gpa(0x1000_0000);
const MTIMECMP0: Gpa = Gpa(0x200_4000);
const SSIP: u64 = 1 << 1;
const OFF: ExitReason = ExitReason::PowerOff { code: 0 };

fn script(f: impl FnMut(&mut Core, &dyn CpuBus) -> Exit + Send + 'static) -> Script {
    Box::new(f)
}

fn power_off(bus: &dyn CpuBus) -> Exit {
    bus.write(0, TEST, 4, 0x5555).unwrap();
    Exit::Halt
}

#[test]
fn the_finisher_ends_the_run_with_its_code() {
    let accel = FakeAccel::new(vec![script(|_, bus| {
        bus.write(0, TEST, 4, 0x0007_3333).unwrap();
        Exit::Halt
    })]);
    let mut m = builder(1).build(&accel).unwrap();
    assert_eq!(m.run().unwrap(), ExitReason::PowerOff { code: 7 });
    assert_eq!(m.exit_reason(), Some(&ExitReason::PowerOff { code: 7 }));
    assert_eq!(m.cpu_report(0).unwrap().mmio_writes, 1);
}

/// Two harts wake each other through IPIs, in lock step: one lost wake-up and this test never ends.
fn ping_pong(timing: Timing) {
    const ROUNDS: u64 = 3000;
    let rounds = Arc::new(AtomicU64::new(0));
    let counted = rounds.clone();
    let mut begun = false;
    let first = script(move |core, bus| {
        if core.execute(bus, 10) {
            return Exit::Budget;
        }
        if !begun {
            begun = true;
            assert_eq!(core.sbi(bus, eid::HSM, 0, &[1, 0x8020_0000, 77]).0, 0);
            assert_eq!(core.sbi(bus, eid::HSM, 0, &[1, 0x8020_0000, 77]).0, -6);
            // The other may be off still; an interrupt sent now is not for it, so wait for its first.
            return Exit::Halt;
        }
        if core.pins.take_latched() & SSIP != 0 {
            if counted.fetch_add(1, Ordering::SeqCst) == ROUNDS {
                return power_off(bus);
            }
            core.sbi(bus, eid::IPI, 0, &[1, 1]);
        }
        Exit::Halt
    });
    let mut woken = false;
    let second = script(move |core, bus| {
        if core.execute(bus, 10) {
            return Exit::Budget;
        }
        if !woken {
            woken = true;
            assert_eq!(
                (core.state.pc, core.state.x[10], core.state.x[11]),
                (0x8020_0000, 1, 77)
            );
            core.sbi(bus, eid::IPI, 0, &[1, 0]);
        } else if core.pins.take_latched() & SSIP != 0 {
            core.sbi(bus, eid::IPI, 0, &[1, 0]);
        }
        Exit::Halt
    });
    let mut m = builder(2)
        .timing(timing)
        .build(&FakeAccel::new(vec![first, second]))
        .unwrap();
    assert_eq!(m.run().unwrap(), OFF);
    assert_eq!(rounds.load(Ordering::SeqCst), ROUNDS + 1);
}

#[test]
fn no_interrupt_is_lost_between_threads() {
    ping_pong(Timing::Real);
}

#[test]
fn no_interrupt_is_lost_deterministically() {
    ping_pong(Timing::Instructions { shift: 3 });
}

#[test]
fn a_cpu_deadline_wakes_a_halted_cpu() {
    let mut at = None;
    let accel = FakeAccel::new(vec![script(move |_, bus| {
        let now = bus.now();
        let deadline = *at.get_or_insert(now + 2_000_000);
        if now >= deadline {
            return power_off(bus);
        }
        bus.set_deadline(0, Some(deadline));
        Exit::Halt
    })]);
    assert_eq!(builder(1).build(&accel).unwrap().run().unwrap(), OFF);
}

#[test]
fn the_clint_wakes_a_halted_cpu() {
    let mut armed = false;
    let accel = FakeAccel::new(vec![script(move |core, bus| {
        if core.pins.level() & 1 << 7 != 0 {
            return power_off(bus);
        }
        if !armed {
            armed = true;
            bus.write(0, MTIMECMP0, 8, bus.now() / 100 + 20_000)
                .unwrap();
        }
        Exit::Halt
    })]);
    assert_eq!(builder(1).build(&accel).unwrap().run().unwrap(), OFF);
}

#[test]
fn virtual_time_is_exact_and_idle_time_is_skipped() {
    // An hour of idling takes no time; each wake-up comes at the very tick.
    let seen = Arc::new(Mutex::new(Vec::new()));
    let times = seen.clone();
    let mut n = 0;
    let accel = FakeAccel::new(vec![script(move |core, bus| {
        if core.execute(bus, 100) {
            return Exit::Budget;
        }
        if core.pins.level() & 1 << 7 == 0 && n > 0 {
            return Exit::Halt;
        }
        times.lock().unwrap().push(bus.now());
        n += 1;
        if n == 4 {
            return power_off(bus);
        }
        bus.write(0, MTIMECMP0, 8, n * 36_000_000_000).unwrap();
        Exit::Halt
    })]);
    let mut m = builder(1)
        .timing(Timing::Instructions { shift: 0 })
        .build(&accel)
        .unwrap();
    assert_eq!(m.run().unwrap(), OFF);
    let hour = 3_600_000_000_000;
    assert_eq!(
        *seen.lock().unwrap(),
        [100, hour + 100, 2 * hour + 100, 3 * hour + 100]
    );
}

#[test]
fn a_deadline_set_inside_a_slice_ends_it() {
    let mut phase = 0;
    let accel = FakeAccel::new(vec![script(move |core, bus| {
        loop {
            match phase {
                0 => {
                    core.execute(bus, 10);
                    bus.write(0, MTIMECMP0, 8, 1).unwrap();
                    phase = 1;
                    assert!(core.kicked(), "the slice has to be cut");
                    return Exit::Kicked;
                }
                _ if core.pins.level() & 1 << 7 != 0 => {
                    assert_eq!(bus.now(), 100, "one tick of 10 MHz");
                    return power_off(bus);
                }
                _ => {
                    if core.execute(bus, 1) {
                        return Exit::Budget;
                    }
                }
            }
        }
    })]);
    let mut m = builder(1)
        .timing(Timing::Instructions { shift: 0 })
        .build(&accel)
        .unwrap();
    assert_eq!(m.run().unwrap(), OFF);
}

#[test]
fn deterministic_runs_are_equal() {
    let trace = || {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let scripts = (0..3).map(|cpu| {
            let seen = seen.clone();
            let mut left = 40 + cpu;
            script(move |core, bus| {
                seen.lock()
                    .unwrap()
                    .push((core.index, core.executed, bus.now()));
                if cpu == 0 && left == 40 {
                    for other in [1, 2] {
                        core.sbi(bus, eid::HSM, 0, &[other, 0x8020_0000, 0]);
                    }
                }
                left -= 1;
                if left == 0 {
                    return power_off(bus);
                }
                if core.execute(bus, 7_777 * (cpu + 1)) {
                    Exit::Budget
                } else {
                    Exit::Kicked
                }
            })
        });
        let accel = FakeAccel::new(scripts.collect());
        let mut m = builder(3)
            .timing(Timing::Instructions { shift: 2 })
            .build(&accel)
            .unwrap();
        assert_eq!(m.run().unwrap(), OFF);
        let trace = seen.lock().unwrap().clone();
        (trace, m.clock().now(), m.device_tree().unwrap().to_vec())
    };
    assert_eq!(trace(), trace());
}

#[test]
fn a_reset_starts_afresh_and_loads_again() {
    let mut runs = 0;
    let accel = FakeAccel::new(vec![script(move |core, bus| {
        runs += 1;
        assert_eq!(core.state.pc, 0x8020_0000);
        core.state.pc = 4;
        if runs == 3 {
            return power_off(bus);
        }
        bus.write(0, TEST, 4, 0x7777).unwrap();
        Exit::Halt
    })]);
    let mut m = builder(1).build(&accel).unwrap();
    let space = m.memory().clone();
    space
        .write(Gpa(0x8020_0000), 4, 0xdead_beef, Attrs::cpu(0))
        .unwrap();
    assert_eq!(m.run().unwrap(), OFF);
    assert_eq!(space.read(Gpa(0x8020_0000), 4, Attrs::cpu(0)), Ok(0x13));
    space.write(Gpa(0x8100_0000), 4, 1, Attrs::cpu(0)).unwrap();
    m.reset(ResetKind::Warm).unwrap();
    assert_eq!(space.read(Gpa(0x8100_0000), 4, Attrs::cpu(0)), Ok(1));
    m.reset(ResetKind::Cold).unwrap();
    assert_eq!(space.read(Gpa(0x8100_0000), 4, Attrs::cpu(0)), Ok(0));
    assert_eq!(space.read(Gpa(0x8020_0000), 4, Attrs::cpu(0)), Ok(0x13));
}

#[test]
fn no_reboot_returns() {
    let accel = FakeAccel::new(vec![script(|_, _| Exit::Reset)]);
    assert_eq!(
        builder(1)
            .no_reboot(true)
            .build(&accel)
            .unwrap()
            .run()
            .unwrap(),
        ExitReason::Reset
    );
}

#[test]
fn exits_of_cpus_end_the_run() {
    let accel = FakeAccel::new(vec![script(|_, _| Exit::Fault("it broke".into()))]);
    let reason = builder(2).build(&accel).unwrap().run().unwrap();
    assert_eq!(
        reason,
        ExitReason::Fault {
            cpu: 0,
            reason: "it broke".into()
        }
    );
    let accel = FakeAccel::new(vec![script(|_, _| Exit::Shutdown)]);
    assert_eq!(builder(1).build(&accel).unwrap().run().unwrap(), OFF);
}

#[test]
fn another_thread_pauses_spinning_and_halted_cpus() {
    for timing in [Timing::Real, Timing::Instructions { shift: 0 }] {
        let entered = Arc::new(AtomicU64::new(0));
        let inside = entered.clone();
        let accel = FakeAccel::new(vec![script(move |core, bus| {
            while !core.kicked() {
                inside.fetch_add(1, Ordering::SeqCst);
                if core.execute(bus, 1) {
                    return Exit::Budget;
                }
            }
            Exit::Kicked
        })]);
        let mut m = builder(2).timing(timing).build(&accel).unwrap();
        let control = m.control();
        for _ in 0..20 {
            let before = entered.load(Ordering::SeqCst);
            std::thread::scope(|s| {
                s.spawn(|| {
                    while entered.load(Ordering::SeqCst) == before {
                        std::thread::yield_now();
                    }
                    control.pause();
                });
                assert_eq!(m.run().unwrap(), ExitReason::Paused);
            });
            let stands = m.clock().now();
            assert_eq!(m.clock().now(), stands, "time stands still");
        }
        control.power_off();
        assert_eq!(m.run().unwrap(), OFF);
    }
}

#[test]
fn a_machine_of_halted_cpus_can_be_switched_off() {
    for timing in [Timing::Real, Timing::Instructions { shift: 0 }] {
        let mut m = builder(4).timing(timing).build(&FakeAccel::idle()).unwrap();
        let control = m.control();
        std::thread::scope(|s| {
            s.spawn(move || control.power_off());
            assert_eq!(m.run().unwrap(), OFF);
        });
    }
}

#[test]
fn run_until_text_and_time() {
    let mut text = "boot\nlogin: ".bytes();
    let accel = FakeAccel::new(vec![script(move |_, bus| match text.next() {
        Some(b) => {
            bus.write(0, UART, 1, b.into()).unwrap();
            Exit::Kicked
        }
        None if bus.read(0, Gpa(UART.0 + 5), 1).unwrap() & 1 != 0 => {
            assert_eq!(bus.read(0, UART, 1), Ok(u64::from(b'x')));
            power_off(bus)
        }
        None => Exit::Kicked,
    })]);
    let mut m = builder(1).build(&accel).unwrap();
    assert_eq!(
        m.run_until(Until::Prints("login:".into())).unwrap(),
        ExitReason::Until
    );
    assert!(m.console().text().starts_with("boot\nlogin:"));
    let at = m.clock().now() + 1_000_000;
    assert_eq!(m.run_until(Until::Time(at)).unwrap(), ExitReason::Until);
    assert!(m.clock().now() >= at);
    m.console().send(b"x");
    assert_eq!(m.run().unwrap(), OFF);
}

#[test]
fn a_panic_in_a_vcpu_thread_does_not_hang_the_machine() {
    let accel = FakeAccel::new(vec![script(|_, _| panic!("on purpose"))]);
    let mut m = builder(2).build(&accel).unwrap();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| m.run()));
    assert!(result.is_err(), "a scope hands the panic on");
}

#[test]
fn mistakes_of_the_user_are_sentences() {
    let accel = FakeAccel::idle();
    let text = |b: Builder| match b.build(&accel) {
        Err(e) => e.to_string(),
        Ok(_) => panic!("it was built"),
    };
    let new = || Builder::new(crate::boards::RiscvVirt);
    assert!(text(new()).contains("-kernel"));
    assert!(text(new().bios(Bios::None)).contains("-kernel"));
    assert!(text(builder(17)).contains("-smp"));
    assert!(text(builder(0)).contains("-smp"));
    assert!(text(builder(1).ram(4097)).contains("-m"));
    assert!(text(builder(1).kernel("/nonexistent/kernel")).contains("/nonexistent/kernel"));
    assert!(text(builder(1).initrd(vec![1; 70 << 20])).contains("-m"));
    assert!(text(builder(1).dtb(vec![0; 64])).contains("d00dfeed"));
    assert!(matches!(
        builder(1).cpu_model("rv64,+nonsense"),
        Err(MachineError::Model(_))
    ));
    assert!(crate::boards::by_name(ambidex_cpu::Arch::Riscv64, "pc").is_err());
}

#[test]
fn the_dump_names_everything() {
    let (mut m, _) = crate::fake::idle(2, "rv64");
    let text = m.dump();
    for part in [
        "virt",
        "cpu 1: Stopped",
        "device uart0",
        "device plic",
        "mrom",
        "pc 0000000080200000",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn a_machine_lets_go_of_its_back_ends_and_memory() {
    struct Watched(#[expect(dead_code, reason = "counts")] std::sync::Arc<()>);
    impl ambidex_devices::char::CharBackend for Watched {
        fn write(&mut self, data: &[u8]) -> usize {
            data.len()
        }
        fn read(&mut self, _: &mut [u8]) -> usize {
            0
        }
        fn attach(&mut self, _: ambidex_devices::Notifier, _: u32) {}
    }
    let held = std::sync::Arc::new(());
    let machine = builder(1)
        .serial(Box::new(Watched(held.clone())))
        .build(&FakeAccel::idle())
        .unwrap();
    let ram = std::sync::Arc::downgrade(&machine.ram()[0]);
    assert_eq!(std::sync::Arc::strong_count(&held), 2);
    drop(machine);
    assert_eq!(std::sync::Arc::strong_count(&held), 1);
    assert!(ram.upgrade().is_none(), "guest memory is still held");
}

/// A bare program's words to and from the host are where its symbols say, and its signature is read between its symbols.
#[test]
fn the_spike_board_ends_with_the_programs_code() {
    let mut phase = 0;
    let accel = FakeAccel::new(vec![script(move |core, bus| {
        assert_eq!(core.state.pc, 0x1000);
        phase += 1;
        match phase {
            1 => bus
                .write(
                    0,
                    Gpa(0x8000_1000),
                    8,
                    0x0101_0000_0000_0000 | u64::from(b'A'),
                )
                .unwrap(),
            2 => {
                assert_eq!(bus.read(0, Gpa(0x8000_1040), 8), Ok(0x0101 << 48));
                bus.write(0, Gpa(0x8000_1000), 8, 5 << 1 | 1).unwrap();
            }
            _ => return Exit::Halt,
        }
        Exit::Kicked
    })]);
    let program = crate::loader::tests_elf(0x8000_0000, &[0x13, 0, 0, 0, 0x13, 0, 0, 0], 0);
    let mut m = Builder::new(crate::boards::Spike)
        .ram(16 << 20)
        .kernel(program)
        .build(&accel)
        .unwrap();
    assert_eq!(m.run().unwrap(), ExitReason::PowerOff { code: 5 });
    assert_eq!(m.console().text(), "A");
    assert!(
        m.signature()
            .unwrap_err()
            .to_string()
            .contains("begin_signature")
    );
}
