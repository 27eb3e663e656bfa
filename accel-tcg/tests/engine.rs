//! The engine end to end on hand-assembled programs, each run in every way the engine can run it.

mod common;

use ambidex_cpu::Exit;
use common::{Bare, RAM, asm::*, state, ways};

/// Runs a program that ends in `wfi`, and hands its final state to a check.
fn each(words: &[u32], check: impl Fn(&str, &ambidex_cpu::riscv::State, &Bare)) {
    for (name, t) in ways() {
        let m = Bare::new(&t);
        let mut cpu = m.boot(words);
        assert_eq!(m.run(&mut *cpu), Exit::Halt, "{name}");
        check(name, &state(&mut *cpu), &m);
    }
}

#[test]
fn a_loop_counts() {
    each(
        &[
            addi(5, 0, 1000),
            addi(6, 0, 0),
            add(6, 6, 5),
            addi(5, 5, -1),
            bne(5, 0, -8),
            WFI,
        ],
        |name, s, _| {
            assert_eq!((s.x[5], s.x[6], s.pc), (0, 500_500, RAM + 24), "{name}");
        },
    );
}

#[test]
fn instructions_are_counted_from_zero() {
    for (name, t) in ways() {
        let m = Bare::new(&t.count_instructions(true));
        let mut cpu = m.boot(&[addi(5, 0, 1), addi(5, 5, 1), WFI]);
        assert_eq!(cpu.executed(), 0, "{name}");
        assert_eq!(m.run(&mut *cpu), Exit::Halt, "{name}");
        assert_eq!(cpu.executed(), 3, "{name}");
    }
}

#[test]
fn calls_and_returns_go_through_the_jump_cache() {
    // a0 += 3, a hundred times, through a function on another page.
    let mut words = vec![
        addi(9, 0, 100),
        jal(1, 0x1000 - 4),
        addi(9, 9, -1),
        bne(9, 0, -8),
        WFI,
    ];
    words.resize(0x400, 0);
    words.extend([addi(10, 10, 3), jalr(0, 1, 0)]);
    each(&words, |name, s, _| {
        assert_eq!((s.x[10], s.x[9]), (300, 0), "{name}")
    });
}

#[test]
fn loads_stores_and_devices() {
    let words = [
        lui(7, 0x80001),
        i(0x13, 1, 7, 7, 32),
        i(0x13, 5, 7, 7, 32),
        addi(5, 0, -2),
        sd(5, 7, 8),
        ld(6, 7, 8),
        i(0x03, 4, 28, 7, 9),
        // Across a page: 0x80001ffd.
        lui(8, 1),
        add(8, 8, 7),
        sd(5, 8, -3),
        ld(29, 8, -3),
        lui(10, 0x10000),
        addi(11, 0, 65),
        sw(11, 10, 0),
        i(0x03, 4, 12, 10, 0),
        WFI,
    ];
    each(&words, |name, s, m| {
        assert_eq!(
            (s.x[6], s.x[28], s.x[29], s.x[12]),
            (u64::MAX - 1, 0xff, u64::MAX - 1, 0x5a),
            "{name}"
        );
        assert_eq!(*m.bus.out.lock().unwrap(), b"A", "{name}");
    });
}

#[test]
fn faults_are_precise() {
    // mtvec = 0x80000100; a load from nowhere after two register writes.
    let mut words = vec![
        lui(7, 0x80000),
        i(0x13, 1, 7, 7, 32),
        i(0x13, 5, 7, 7, 32),
        addi(7, 7, 0x100),
        csrrw(0, 0x305, 7),
        addi(5, 0, 11),
        addi(6, 0, 22),
        ld(5, 0, 16),
        addi(6, 0, 33),
    ];
    words.resize(64, 0);
    words.extend([
        csrrs(10, 0x342, 0),
        csrrs(11, 0x343, 0),
        csrrs(12, 0x341, 0),
        WFI,
    ]);
    each(&words, |name, s, _| {
        assert_eq!((s.x[5], s.x[6]), (11, 22), "{name}");
        assert_eq!((s.x[10], s.x[11], s.x[12]), (5, 16, RAM + 28), "{name}");
    });
}

#[test]
fn code_may_change_itself() {
    // The instruction at +0x40 becomes `addi a0, a0, 5` after having run as `addi a0, a0, 1` fifty times.
    let mut words = vec![
        addi(9, 0, 50),
        jal(1, 0x40 - 4),
        addi(9, 9, -1),
        bne(9, 0, -8),
        lui(7, 0x80000),
        i(0x13, 1, 7, 7, 32),
        i(0x13, 5, 7, 7, 32),
        i(0x03, 2, 6, 7, 0x80),
        sw(6, 7, 0x40),
        FENCE_I,
        addi(9, 0, 50),
        jal(1, 0x40 - 44),
        addi(9, 9, -1),
        bne(9, 0, -8),
        WFI,
        0,
        addi(10, 10, 1),
        jalr(0, 1, 0),
    ];
    words.resize(32, 0);
    words.push(addi(10, 10, 5));
    each(&words, |name, s, _| assert_eq!(s.x[10], 50 + 250, "{name}"));
}

#[test]
fn budgets_are_exact() {
    for (name, t) in ways() {
        let m = Bare::new(&t);
        let mut cpu = m.boot(&[addi(5, 5, 1), addi(6, 6, 1), addi(7, 7, 1), jal(0, -12)]);
        let mut total = 0;
        for budget in [1, 2, 3, 5, 1000, 7, 100_001] {
            cpu.set_budget(Some(budget));
            assert_eq!(m.run(&mut *cpu), Exit::Budget, "{name}");
            total += budget;
            let s = state(&mut *cpu);
            assert_eq!(
                s.x[5] + s.x[6] + s.x[7] + (s.x[5] - u64::from(s.pc != RAM)),
                total,
                "{name} after {total}"
            );
        }
    }
}

#[test]
fn a_kick_leaves_the_run() {
    for (name, t) in ways() {
        let m = Bare::new(&t);
        let mut cpu = m.boot(&[jal(0, 0)]);
        let kicker = cpu.kicker();
        std::thread::scope(|s| {
            let bus = &m.bus;
            let run = s.spawn(move || cpu.run(bus).unwrap());
            while !run.is_finished() {
                kicker.kick();
                std::thread::yield_now();
            }
            assert_eq!(run.join().unwrap(), Exit::Kicked, "{name}");
        });
    }
}

#[test]
fn interrupts_are_taken() {
    // mie.MEIE, mstatus.MIE, then an endless loop; the handler at 0x100 ends in wfi.
    let mut words = vec![
        lui(7, 0x80000),
        i(0x13, 1, 7, 7, 32),
        i(0x13, 5, 7, 7, 32),
        addi(7, 7, 0x100),
        csrrw(0, 0x305, 7),
        lui(5, 1),
        addi(5, 5, -2048),
        csrrw(0, 0x304, 5),
        addi(6, 0, 8),
        csrrs(0, 0x300, 6),
        addi(9, 9, 1),
        jal(0, -4),
    ];
    words.resize(64, 0);
    words.extend([csrrs(10, 0x342, 0), csrrw(0, 0x304, 0), WFI]);
    for (name, t) in ways() {
        let m = Bare::new(&t);
        let mut cpu = m.boot(&words);
        let pins = cpu.pins();
        let s = std::thread::scope(|s| {
            let bus = &m.bus;
            let run = s.spawn(move || {
                assert_eq!(cpu.run(bus).unwrap(), Exit::Halt);
                state(&mut *cpu)
            });
            pins.set(11, true);
            run.join().unwrap()
        });
        assert_eq!(s.x[10], 1 << 63 | 11, "{name}");
    }
}

#[test]
fn hooks_see_blocks_edges_and_accesses() {
    use ambidex_cpu::{HookSet, Hooks, MemoryAccess};
    use std::sync::{Arc, Mutex};

    #[derive(Default)]
    struct Log {
        blocks: Mutex<Vec<u64>>,
        accesses: Mutex<Vec<(u64, bool, u64)>>,
    }
    impl Hooks for Log {
        fn block(&self, _cpu: u32, pc: u64, _insns: u32) {
            self.blocks.lock().unwrap().push(pc - RAM);
        }
        fn memory(&self, _cpu: u32, a: &MemoryAccess) {
            self.accesses
                .lock()
                .unwrap()
                .push((a.va - RAM, a.write, a.value));
        }
    }
    let words = [
        lui(7, 0x80000),
        i(0x13, 1, 7, 7, 32),
        i(0x13, 5, 7, 7, 32),
        addi(5, 0, 3),
        sd(5, 7, 0x100),
        addi(5, 5, -1),
        bne(5, 0, -8),
        WFI,
    ];
    for (name, t) in ways() {
        let m = Bare::new(&t);
        let mut cpu = m.boot(&words);
        let log = Arc::new(Log::default());
        cpu.instrument()
            .unwrap()
            .set_hooks(Arc::clone(&log) as _, HookSet::BLOCK);
        assert_eq!(m.run(&mut *cpu), Exit::Halt, "{name}");
        let blocks = log.blocks.lock().unwrap().clone();
        assert_eq!(
            blocks.iter().filter(|&&pc| pc == 16).count(),
            2,
            "{name}: {blocks:?}"
        );

        let mut cpu = m.boot(&words);
        let log = Arc::new(Log::default());
        cpu.instrument()
            .unwrap()
            .set_hooks(Arc::clone(&log) as _, HookSet::MEMORY);
        assert_eq!(m.run(&mut *cpu), Exit::Halt, "{name}");
        assert_eq!(
            *log.accesses.lock().unwrap(),
            [(0x100, true, 3), (0x100, true, 2), (0x100, true, 1)],
            "{name}"
        );
    }
}
