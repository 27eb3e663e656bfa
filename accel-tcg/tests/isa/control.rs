//! What the machine does to a running hart: budgets, kicks, saving and restoring, breakpoints, steps, hooks.

use std::sync::{Arc, Mutex};

use ambidex_accel_tcg::Translator;
use ambidex_cpu::{DebugStop, Exit, HookSet, Hooks, MemoryAccess, Reg, Vcpu, riscv};

use super::asm::*;
use super::common::{state, ways};
use super::harness::*;
use super::pages::*;

/// Traps, modes, translation, atomics, floating point, code that changes: some hundred instructions.
fn busy() -> Asm {
    program(|a| {
        let mut t = Tables::new(0, 3);
        t.map(0x1_0000, 0, pte(RAM + DATA, RW));
        translate(a, &t, 1);
        a.li(A0, 0x1_0ffc);
        a.attempt(Mode::S, Want::Trap(cause::LOAD_PAGE, 0x1_1000), |a| {
            a.ld(T1, A0, 0)
        });
        a.attempt(Mode::U, Want::Trap(cause::ECALL_U, 0), |a| {
            a.li(A7, 0);
            a.ecall();
        });
        a.li(A1, 6);
        a.label("loop");
        a.attempt_in_loop();
        a.addi(A1, A1, -1);
        a.bne(A1, 0, "loop");
        a.la(A2, "patch");
        a.li(A3, 0x0070_0513); // addi a0, x0, 7
        a.sw(A3, A2, 0);
        a.fence_i();
        a.label("patch");
        a.w(0x0010_0513);
        a.expect(A0, 7);
        a.li(T0, 3);
        a.fp(0x69, 7, 1, T0, 2); // fcvt.d.l
        a.fp(0x0d, 7, 2, 1, 1);
        a.fp(0x71, 0, A4, 2, 0);
        a.expect(A4, 1f64.to_bits());
        a.csr_set(csr::MIP, 2);
        a.csrwi(csr::MIE, 2);
        a.la(S10, "taken");
        a.csrsi(csr::MSTATUS, 8);
        a.label("pc");
        a.nop();
        a.label("taken");
        let pc = a.at("pc");
        a.recorded(&[1 << 63 | 1, pc, 0, 3]);
        a.csrwi(csr::MIE, 0);
        a.csr_clear(csr::MIP, 2);
        a.csrwi(csr::SATP, 0);
        t.place(a);
    })
}

impl Asm {
    /// A load through the user's mapping that faults, and an atomic addition, without recording.
    fn attempt_in_loop(&mut self) {
        let next = self.fresh();
        self.la(S10, &next);
        self.enter(Mode::S);
        self.li(T0, 0x1_0008);
        self.li(T2, 2);
        self.amo(0, 3, T1, T0, T2);
        self.li(A7, 0x78);
        self.ecall();
        self.label(&next);
    }
}

/// Everything but what time passes in.
fn timeless(mut s: riscv::State) -> riscv::State {
    s.hart.counters_from_absolute(0, 0);
    s
}

fn start(m: &Machine) -> Box<dyn Vcpu> {
    m.cpu(0)
}

#[test]
fn budgets_are_exact_at_every_count() {
    let a = busy();
    // The reference: one instruction at a time.
    let reference = {
        let m = Machine::new(&Translator::new().interpret_only(true), &a);
        let mut cpu = start(&m);
        (0..200)
            .map(|_| {
                cpu.set_budget(Some(1));
                assert_eq!(cpu.run(&m.bus).unwrap(), Exit::Budget);
                let s = state(&mut *cpu);
                (s.pc, s.x, s.privilege())
            })
            .collect::<Vec<_>>()
    };
    for (who, t) in ways() {
        for n in 1..=200u64 {
            let m = Machine::new(&t, &a);
            let mut cpu = start(&m);
            cpu.set_budget(Some(n));
            assert_eq!(cpu.run(&m.bus).unwrap(), Exit::Budget, "{who} {n}");
            assert_eq!(cpu.executed(), n, "{who}");
            let s = state(&mut *cpu);
            assert_eq!(
                (s.pc, s.x, s.privilege()),
                reference[n as usize - 1],
                "{who} after {n}"
            );
            // Spent is spent.
            assert_eq!(cpu.run(&m.bus).unwrap(), Exit::Budget, "{who} {n}");
            assert_eq!(cpu.executed(), n, "{who}");
        }
    }
}

#[test]
fn a_saved_state_goes_on_in_another_cpu() {
    let a = busy();
    for (who, t) in ways() {
        for n in (1..400u64).step_by(7) {
            let m = Machine::new(&t, &a);
            let mut cpu = start(&m);
            cpu.set_budget(Some(n));
            assert_eq!(cpu.run(&m.bus).unwrap(), Exit::Budget, "{who}");
            let saved = cpu.save().unwrap();
            drop(cpu);
            let mut cpu = m.cpu(0);
            cpu.restore(&saved).unwrap();
            let again = cpu.save().unwrap();
            let (ambidex_cpu::CpuState::Riscv64(x), ambidex_cpu::CpuState::Riscv64(y)) =
                (saved, again)
            else {
                unreachable!()
            };
            assert_eq!(timeless(*x).x, timeless(*y).x, "{who} at {n}");
            m.go(&mut *cpu, who);
            compare(&a, &m.out(), who, false);
        }
    }
}

#[test]
fn kicks_change_nothing() {
    let a = busy();
    for (who, t) in ways() {
        for _ in 0..10 {
            let m = Machine::new(&t, &a);
            let mut cpu = start(&m);
            let kicker = cpu.kicker();
            let off = std::sync::atomic::AtomicBool::new(false);
            std::thread::scope(|s| {
                let off = &off;
                s.spawn(move || {
                    while !off.load(std::sync::atomic::Ordering::SeqCst) {
                        kicker.kick();
                        std::thread::yield_now();
                    }
                });
                let mut kicks = 0u64;
                loop {
                    match cpu.run(&m.bus).unwrap() {
                        Exit::Kicked => kicks += 1,
                        Exit::Halt if !m.resume(who) => break,
                        Exit::Halt => {}
                        other => panic!("{who}: {other:?} after {kicks} kicks"),
                    }
                }
                off.store(true, std::sync::atomic::Ordering::SeqCst);
            });
            compare(&a, &m.out(), who, false);
        }
    }
}

#[test]
fn a_kick_from_before_is_kept() {
    let a = busy();
    for (who, t) in ways() {
        let m = Machine::new(&t, &a);
        let mut cpu = start(&m);
        cpu.kicker().kick();
        assert_eq!(cpu.run(&m.bus).unwrap(), Exit::Kicked, "{who}");
        m.go(&mut *cpu, who);
    }
}

#[test]
fn single_steps_visit_every_instruction() {
    let a = busy();
    let mut traces = Vec::new();
    for (who, t) in ways() {
        let m = Machine::new(&t, &a);
        let mut cpu = start(&m);
        cpu.debug().unwrap().set_single_step(true);
        let mut trace = Vec::new();
        for _ in 0..300 {
            assert_eq!(
                cpu.run(&m.bus).unwrap(),
                Exit::Debug(DebugStop::Step),
                "{who}"
            );
            let mut pc = [0; 8];
            cpu.debug().unwrap().read_reg(Reg::Pc, &mut pc).unwrap();
            trace.push(u64::from_le_bytes(pc));
        }
        // Entry to the handler is a step of its own: the ecall never runs past.
        assert!(trace.contains(&a.at("mtrap")), "{who}");
        traces.push(trace);
        cpu.debug().unwrap().set_single_step(false);
        m.go(&mut *cpu, who);
        compare(&a, &m.out(), who, false);
    }
    assert!(traces.windows(2).all(|w| w[0] == w[1]));
}

#[test]
fn breakpoints_stop_before_the_instruction() {
    let a = busy();
    for (who, t) in ways() {
        let m = Machine::new(&t, &a);
        let mut cpu = start(&m);
        let at = a.at("loop");
        let patch = a.at("patch");
        cpu.debug().unwrap().add_breakpoint(at).unwrap();
        cpu.debug().unwrap().add_breakpoint(patch).unwrap();
        for left in (1..=6).rev() {
            assert_eq!(
                cpu.run(&m.bus).unwrap(),
                Exit::Debug(DebugStop::Breakpoint { pc: at }),
                "{who}"
            );
            let s = state(&mut *cpu);
            assert_eq!((s.pc, s.x[11]), (at, left), "{who}");
        }
        assert_eq!(
            cpu.run(&m.bus).unwrap(),
            Exit::Debug(DebugStop::Breakpoint { pc: patch }),
            "{who}"
        );
        // The debugger changes a register, looks at memory and writes code.
        let d = cpu.debug().unwrap();
        let mut word = [0; 4];
        d.read_mem(patch, &mut word).unwrap();
        assert_eq!(u32::from_le_bytes(word), 0x0070_0513, "{who}");
        d.write_reg(Reg::General(19), &42u64.to_le_bytes()).unwrap();
        assert!(d.remove_breakpoint(at) && d.remove_breakpoint(patch) && !d.remove_breakpoint(at));
        m.go(&mut *cpu, who);
        assert_eq!(state(&mut *cpu).x[19], 42, "{who}");
        compare(&a, &m.out(), who, false);
    }
}

#[test]
fn code_written_by_the_debugger_runs() {
    let a = program(|a| {
        a.li(A1, 20);
        a.li(A0, 0);
        a.label("loop");
        a.label("f");
        a.addi(A0, A0, 1);
        a.addi(A1, A1, -1);
        a.bne(A1, 0, "loop");
        a.label("end");
        a.expect(A0, 10 + 10 * 5);
    });
    for (who, t) in ways() {
        let m = Machine::new(&t, &a);
        let mut cpu = start(&m);
        let f = a.at("f");
        while state(&mut *cpu).x[11] != 10 || state(&mut *cpu).pc != f {
            cpu.set_budget(Some(1));
            cpu.run(&m.bus).unwrap();
        }
        cpu.set_budget(None);
        cpu.debug()
            .unwrap()
            .write_mem(f, &0x0055_0513u32.to_le_bytes())
            .unwrap();
        m.go(&mut *cpu, who);
        compare(&a, &m.out(), who, false);
    }
}

#[derive(Default)]
struct Log {
    blocks: Mutex<Vec<u64>>,
    accesses: Mutex<Vec<MemoryAccess>>,
}

impl Hooks for Log {
    fn block(&self, _: u32, pc: u64, _: u32) {
        self.blocks.lock().unwrap().push(pc);
    }
    fn memory(&self, _: u32, a: &MemoryAccess) {
        self.accesses.lock().unwrap().push(*a);
    }
}

#[test]
fn hooks_see_atomics_and_only_what_happened() {
    let at = RAM + DATA;
    let a = program(|a| {
        let nowhere = 0x0180_0000;
        a.li(A0, at);
        a.li(A1, 7);
        a.li(A2, nowhere);
        a.label("first");
        a.sd(A1, A0, 0);
        a.amo(0, 3, A3, A0, A1);
        a.lr(3, A3, A0);
        a.sc(3, A4, A0, A1);
        a.sc(3, A4, A0, A1);
        a.li(A3, 7);
        a.amo(5, 3, A3, A0, A2);
        a.lhu(A5, A0, 2);
        a.attempt(Mode::M, Want::Trap(cause::LOAD_ACCESS, nowhere), |a| {
            a.ld(A5, A2, 0)
        });
    });
    for (who, t) in ways() {
        let m = Machine::new(&t, &a);
        let mut cpu = start(&m);
        let log = Arc::new(Log::default());
        cpu.instrument()
            .unwrap()
            .set_hooks(Arc::clone(&log) as _, HookSet::MEMORY | HookSet::BLOCK);
        m.go(&mut *cpu, who);
        compare(&a, &m.out(), who, false);
        let seen: Vec<_> = log
            .accesses
            .lock()
            .unwrap()
            .iter()
            .filter(|x| (at..at + 8).contains(&x.va) || x.va == 0x0180_0000)
            .map(|x| (x.va - at, x.size, x.write, x.value))
            .collect();
        assert_eq!(
            seen,
            [
                (0, 8, true, 7),
                (0, 8, true, 14),
                (0, 8, false, 14),
                (0, 8, true, 7),
                (0, 8, true, 0x0180_0000),
                (2, 2, false, 0x0180),
            ],
            "{who}"
        );
        assert!(log.blocks.lock().unwrap().contains(&a.at("mtrap")), "{who}");
    }
}
