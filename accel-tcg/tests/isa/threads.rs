//! Two harts, and a device, that change code under each other. Who waits does so with `wrs.sto`, which lets the other thread run.

use ambidex_cpu::{Exit, Vcpu};
use ambidex_memory::{Attrs, Gpa};

use super::asm::*;
use super::harness::*;

const FLAG: u64 = RAM + DATA;
const DONE: u64 = RAM + DATA + 0x100;
const CODE: u64 = RAM + DATA + 0x1000;

/// Starts the second hart at `"second"`; both have the usual frame.
fn both(m: &Machine, who: &str) {
    let mut first = m.cpu(0);
    let mut second = m.cpu(1);
    let kick = second.kicker();
    std::thread::scope(|s| {
        let run = s.spawn(move || {
            loop {
                match second.run(&m.bus).unwrap() {
                    Exit::Kicked => return,
                    Exit::Halt => std::thread::yield_now(),
                    other => panic!("{who}: second hart: {other:?}"),
                }
            }
        });
        m.go(&mut *first, who);
        while !run.is_finished() {
            kick.kick();
            std::thread::yield_now();
        }
        run.join().unwrap();
    });
}

fn split(a: &mut Asm) {
    a.csrr(T0, csr::MHARTID);
    a.bne(T0, 0, "second");
}

#[test]
fn code_modified_by_another_hart_is_seen_after_the_interrupt_and_the_fence() {
    let rounds = 200;
    let a = program(|a| {
        split(a);
        // Writer: new code each round, on one of 32 pages; a software interrupt tells the other; it answers.
        a.li(A0, FLAG);
        a.li(A1, DONE);
        a.li(S1, 1);
        a.li(S2, rounds);
        a.li(S3, CODE);
        a.li(S4, MSIP + 4);
        a.label("round");
        // addi a0, x0, n; ret
        a.slli(T0, S1, 20);
        a.ori(T0, T0, 0x513);
        a.andi(T1, S1, 31);
        a.slli(T1, T1, 12);
        a.add(T1, T1, S3);
        a.sw(T0, T1, 0);
        a.fence();
        a.sd(S1, A0, 0);
        a.li(T0, 1);
        a.sw(T0, S4, 0);
        a.label("answer");
        a.wrs_sto();
        a.ld(T0, A1, 0);
        a.bne(T0, S1, "answer");
        a.addi(S1, S1, 1);
        a.blt(S1, S2, "round");
        a.expect(S1, rounds);
        a.ld(T0, A1, 8);
        a.expect(T0, 0);
        a.j("end");
        // Reader: runs all of the code all the time, and in the handler what has just changed.
        a.label("second");
        a.la(T0, "ipi");
        a.csrw(csr::MTVEC, T0);
        a.li(S3, CODE);
        a.li(S4, MSIP + 4);
        a.li(A2, FLAG);
        a.li(A3, DONE);
        a.li(S5, 0);
        a.csr_li(csr::MIE, 8);
        a.csr_set(csr::MSTATUS, st::MIE);
        a.label("work");
        a.addi(S5, S5, 1);
        a.andi(T1, S5, 31);
        a.slli(T1, T1, 12);
        a.add(T1, T1, S3);
        a.jalr(RA, T1, 0);
        a.j("work");
        a.align(4);
        a.label("ipi");
        a.mv(S1, RA);
        a.sw(0, S4, 0);
        a.fence_i();
        a.ld(A4, A2, 0);
        a.andi(T2, A4, 31);
        a.slli(T2, T2, 12);
        a.add(T2, T2, S3);
        a.jalr(RA, T2, 0);
        // What the code says must be the number of the round (its low bits), or it was stale.
        a.slli(A5, A4, 52);
        a.slli(A0, A0, 52);
        a.beq(A0, A5, "good");
        a.sd(A4, A3, 8);
        a.label("good");
        a.fence();
        a.sd(A4, A3, 0);
        a.mv(RA, S1);
        a.mret();
        a.label("end");
        for i in 0..32u64 {
            a.data.push((
                DATA + 0x1000 + i * 0x1000,
                [0x13u32.to_le_bytes(), 0x8067u32.to_le_bytes()].concat(),
            ));
        }
    });
    for (who, t) in super::common::ways() {
        let m = Machine::new(&t, &a);
        both(&m, who);
        compare(&a, &m.out(), who, false);
    }
}

#[test]
fn fresh_code_is_never_stale_after_a_flag_and_a_fence() {
    // The reader meets each page for the first time at about the moment it is written.
    let pages = 150u64;
    let a = program(|a| {
        split(a);
        a.li(A0, FLAG);
        a.li(A1, DONE);
        a.li(S3, CODE);
        a.li(S2, pages);
        a.li(S1, 0);
        a.li(T2, 0x0010_0513); // addi a0, x0, 1
        // The writer's store TLB knows the pages already.
        a.label("touch");
        a.slli(T1, S1, 12);
        a.add(T1, T1, S3);
        a.sd(0, T1, 64);
        a.addi(S1, S1, 1);
        a.blt(S1, S2, "touch");
        a.li(S1, 0);
        a.label("round");
        a.slli(T1, S1, 12);
        a.add(T1, T1, S3);
        // Wait until the reader is about to run the page.
        a.label("ready");
        a.wrs_sto();
        a.ld(T0, A1, 0);
        a.bne(T0, S1, "ready");
        a.sw(T2, T1, 0);
        a.fence();
        a.addi(S1, S1, 1);
        a.sd(S1, A0, 0);
        a.blt(S1, S2, "round");
        a.label("last");
        a.wrs_sto();
        a.ld(T0, A1, 0);
        a.bne(T0, S1, "last");
        a.ld(T0, A1, 8);
        a.expect(T0, 0);
        a.j("end");
        a.label("second");
        a.li(S3, CODE);
        a.li(A2, FLAG);
        a.li(A3, DONE);
        a.li(S1, 0);
        a.li(S2, pages);
        a.label("next");
        a.slli(T1, S1, 12);
        a.add(T1, T1, S3);
        a.fence();
        a.sd(S1, A3, 0);
        // Old or new, nobody knows yet.
        a.jalr(RA, T1, 0);
        a.label("see");
        a.wrs_sto();
        a.ld(T0, A2, 0);
        a.bge(S1, T0, "see");
        a.fence();
        a.fence_i();
        a.jalr(RA, T1, 0);
        a.addi(S1, S1, 1);
        a.bne(A0, 0, "fine");
        a.sd(S1, A3, 8);
        a.label("fine");
        a.blt(S1, S2, "next");
        a.fence();
        a.sd(S1, A3, 0);
        a.label("rest");
        a.wfi();
        a.j("rest");
        a.label("end");
        for i in 0..pages {
            a.data.push((
                DATA + 0x1000 + i * 0x1000,
                [0x0000_0513u32.to_le_bytes(), 0x8067u32.to_le_bytes()].concat(),
            ));
        }
    });
    for (who, t) in super::common::ways() {
        let m = Machine::new(&t, &a);
        both(&m, who);
        compare(&a, &m.out(), who, false);
    }
}

#[test]
fn code_written_by_a_device_is_seen_after_the_fence() {
    let rounds = 100u64;
    let a = program(|a| {
        // Spins until the code says the next number; each number comes from outside.
        a.li(A1, CODE);
        a.li(S1, 1);
        a.li(S2, rounds);
        a.li(A3, DONE);
        a.label("spin");
        a.wrs_sto();
        a.fence_i();
        a.jalr(RA, A1, 0);
        a.bne(A0, S1, "spin");
        a.sd(S1, A3, 0);
        a.addi(S1, S1, 1);
        a.blt(S1, S2, "spin");
        a.expect(S1, rounds);
        a.data.push((
            DATA + 0x1000,
            [0x513u32.to_le_bytes(), 0x8067u32.to_le_bytes()].concat(),
        ));
    });
    for (who, t) in super::common::ways() {
        let m = Machine::new(&t, &a);
        let mut cpu = m.cpu(0);
        std::thread::scope(|s| {
            let m = &m;
            s.spawn(move || {
                for n in 1..rounds {
                    let insn = (n as u32) << 20 | 0x513;
                    m.space
                        .write_bytes(Gpa(CODE), &insn.to_le_bytes(), Attrs::DEBUG)
                        .unwrap();
                    // The guest's answer; a word that is not written by halves.
                    while m.ram.load(DONE - RAM, 8) != n {
                        std::thread::yield_now();
                    }
                }
            });
            m.go(&mut *cpu, who);
        });
        compare(&a, &m.out(), who, false);
    }
}

#[test]
fn atomics_of_two_harts_add_up() {
    let n = 1000;
    let a = program(|a| {
        split(a);
        a.label("both");
        a.li(A0, FLAG);
        a.li(S1, n);
        a.label("loop");
        a.li(T0, 1);
        a.amo(0, 3, 0, A0, T0);
        a.label("retry");
        a.lr(2, T1, A0);
        a.addi(T1, T1, 1);
        a.sc(2, T2, A0, T1);
        a.bne(T2, 0, "retry");
        // Compare-and-swap of the neighbour.
        a.addi(A1, A0, 8);
        a.label("again");
        a.ld(T1, A1, 0);
        a.mv(T2, T1);
        a.addi(T3, T1, 1);
        a.amo(5, 3, T2, A1, T3);
        a.bne(T2, T1, "again");
        a.addi(S1, S1, -1);
        a.bne(S1, 0, "loop");
        a.li(A2, DONE);
        a.amo(0, 3, 0, A2, T0);
        a.csrr(T0, csr::MHARTID);
        a.bne(T0, 0, "rest");
        a.li(T1, 2);
        a.label("wait");
        a.wrs_sto();
        a.ld(T0, A2, 0);
        a.bne(T0, T1, "wait");
        a.expect_mem(FLAG, 4 * n);
        a.expect_mem(FLAG + 8, 2 * n);
        a.j("end");
        a.label("second");
        a.j("both");
        a.label("rest");
        a.wfi();
        a.j("rest");
        a.label("end");
    });
    for (who, t) in super::common::ways() {
        let m = Machine::new(&t, &a);
        both(&m, who);
        compare(&a, &m.out(), who, false);
    }
}

#[test]
fn store_conditional_fails_after_another_harts_store() {
    // The order is forced from outside, by budgets.
    let a = program(|a| {
        split(a);
        a.li(A0, FLAG);
        a.lr(3, A1, A0);
        a.label("stop");
        a.sc(3, A2, A0, A0);
        a.expect(A1, 0);
        a.expect(A2, 1);
        a.expect_mem(FLAG, 5);
        a.j("end");
        a.label("second");
        a.li(A0, FLAG);
        a.li(T1, 5);
        a.sd(T1, A0, 0);
        a.label("rest");
        a.wfi();
        a.j("rest");
        a.label("end");
    });
    let (who, t) = super::common::ways().remove(0);
    let m = Machine::new(&t, &a);
    let (mut first, mut second) = (m.cpu(0), m.cpu(1));
    let stop = a.at("stop");
    while state_pc(&mut *first) != stop {
        first.set_budget(Some(1));
        assert_eq!(first.run(&m.bus).unwrap(), Exit::Budget);
    }
    assert_eq!(second.run(&m.bus).unwrap(), Exit::Halt);
    first.set_budget(None);
    m.go(&mut *first, who);
    compare(&a, &m.out(), who, false);
}

fn state_pc(cpu: &mut dyn Vcpu) -> u64 {
    super::common::state(cpu).pc
}
