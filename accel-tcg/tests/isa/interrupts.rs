//! Interrupts: pins, software bits, priority, delegation, vectors, `wfi`, Sstc.

use super::asm::*;
use super::harness::*;
use super::modes::supervisor_handler;

/// Drives a line of this hart from the program.
fn line(a: &mut Asm, n: u64, on: bool) {
    a.li(T0, if on { RAISE } else { LOWER });
    a.li(T1, n);
    a.sd(T1, T0, 0);
}

/// A vectored machine handler: records the number of the entry and the cause, clears `mie`, and goes on at `s10`.
fn vectors(a: &mut Asm, name: &str) {
    let end = format!("{name}.end");
    a.j(&end);
    a.align(64);
    a.label(name);
    for i in 0..16 {
        a.j(&format!("{name}.{i}"));
    }
    for i in 0..16 {
        a.label(&format!("{name}.{i}"));
        a.li(T5, i);
        a.j(&format!("{name}.common"));
    }
    a.label(&format!("{name}.common"));
    a.sd(T5, S0, 0);
    a.csrr(T5, csr::MCAUSE);
    a.sd(T5, S0, 8);
    a.addi(S0, S0, 16);
    a.csrwi(csr::MIE, 0);
    a.jalr(0, S10, 0);
    a.label(&end);
}

#[test]
fn priority_and_vectors() {
    let mut a = program(|a| {
        a.own = true;
        vectors(a, "vec");
        a.la(T0, "vec");
        a.addi(T0, T0, 1);
        a.csrw(csr::MTVEC, T0);
        // All at once; each in turn is the most urgent of those left.
        let order = [11u64, 3, 7, 9, 1, 5];
        for n in [3, 7, 9, 11] {
            line(a, n, true);
        }
        a.csr_set(csr::MIP, 1 << 1 | 1 << 5);
        for (i, n) in order.iter().enumerate() {
            let next = a.fresh();
            a.la(S10, &next);
            let left: u64 = order[i..].iter().map(|n| 1 << n).sum();
            a.csr_li(csr::MIE, left);
            a.csr_set(csr::MSTATUS, st::MIE);
            a.label(&format!("never{i}"));
            a.j(&format!("never{i}"));
            a.label(&next);
            a.recorded(&[*n, 1 << 63 | n]);
            a.expect_csr_bits(
                csr::MSTATUS,
                st::MIE | st::MPIE | st::MPP,
                st::MPIE | st::MPP,
            );
        }
        // An exception goes to entry 0.
        a.la(S10, "after");
        a.ebreak();
        a.label("after");
        a.recorded(&[0, 3]);
        for n in [3, 7, 9, 11] {
            line(a, n, false);
        }
        a.la(T0, "mtrap");
        a.csrw(csr::MTVEC, T0);
    });
    a.own = true;
    check(&a);
}

#[test]
fn the_instruction_that_enables_is_the_last_before_the_handler() {
    check_both(&program(|a| {
        a.csrwi(csr::MIDELEG, 0);
        a.csr_set(csr::MIP, 1 << 1);
        a.csr_li(csr::MIE, 1 << 1);
        a.la(S10, "after");
        a.li(A0, 0);
        a.csrsi(csr::MSTATUS, 8);
        a.label("next");
        a.addi(A0, A0, 1);
        a.addi(A0, A0, 1);
        a.label("after");
        let next = a.at("next");
        a.recorded(&[1 << 63 | 1, next, 0, 3]);
        a.expect(A0, 0);
        // Through mie instead, and through mip.
        a.csrwi(csr::MIE, 0);
        a.csr_set(csr::MSTATUS, st::MIE);
        a.la(S10, "after2");
        a.csrsi(csr::MIE, 2);
        a.label("next2");
        a.addi(A0, A0, 1);
        a.label("after2");
        let next = a.at("next2");
        a.recorded(&[1 << 63 | 1, next, 0, 3]);
        a.csrci(csr::MIP, 2);
        a.csr_set(csr::MSTATUS, st::MIE);
        a.la(S10, "after3");
        a.csrsi(csr::MIP, 2);
        a.label("next3");
        a.addi(A0, A0, 1);
        a.label("after3");
        let next = a.at("next3");
        a.recorded(&[1 << 63 | 1, next, 0, 3]);
        a.expect(A0, 0);
        a.csrci(csr::MIP, 2);
        a.csrwi(csr::MIE, 0);
    }));
}

#[test]
fn interrupts_of_lower_modes_are_enabled_in_user_mode_whatever_sie_says() {
    check_both(&program(|a| {
        supervisor_handler(a);
        a.csr_li(csr::MIDELEG, 0x222);
        a.csr_li(csr::MIE, 0x2);
        // In M-mode a delegated interrupt is not taken, whatever MIE says.
        a.csr_set(csr::MIP, 2);
        a.csr_set(csr::MSTATUS, st::MIE);
        a.nop();
        a.csr_clear(csr::MSTATUS, st::MIE);
        // In S-mode with SIE off neither.
        a.csr_clear(csr::MSTATUS, st::MPIE | st::SIE);
        a.attempt(Mode::S, Want::Value(0x202), |a| {
            a.csrr(T1, csr::SIP);
            a.csrr(T2, csr::SIE);
            a.ori(T1, T1, 0x200);
        });
        // With SIE on at once.
        a.csr_clear(csr::MSTATUS, st::MPIE);
        a.la(S10, "one");
        a.enter(Mode::S);
        a.csrsi(csr::SSTATUS, 2);
        a.label("pc1");
        a.nop();
        a.label("one");
        let pc = a.at("pc1");
        a.recorded(&[1 << 63 | 1, pc, 0, 17]);
        // In U-mode always: before its first instruction.
        a.leave();
        a.csr_clear(csr::MSTATUS, st::MPIE | st::SIE | st::SPIE);
        a.la(S10, "two");
        a.enter(Mode::U);
        a.label("pc2");
        a.nop();
        a.label("two");
        let pc = a.at("pc2");
        a.recorded(&[1 << 63 | 1, pc, 0, 16]);
        // The supervisor may clear it.
        a.csrci(csr::SIP, 2);
        a.csrr(A0, csr::SIP);
        a.leave();
        a.expect(A0, 0);
        a.expect_csr_bits(csr::MIP, 2, 0);
        a.csrwi(csr::MIE, 0);
        a.csrwi(csr::MIDELEG, 0);
    }));
}

#[test]
fn sie_and_sip_show_only_what_is_delegated() {
    check_both(&program(|a| {
        a.csr_li(csr::MIE, 0xaaa);
        a.csr_li(csr::MIDELEG, 0x200);
        a.expect_csr_bits(csr::SIE, 0xaaa, 0x200);
        a.csr_li(csr::SIE, 0);
        a.expect_csr_bits(csr::MIE, 0xaaa, 0x8aa);
        a.csr_set(csr::MIP, 0x222);
        a.expect_csr_bits(csr::SIP, 0xaaa, 0x200);
        // SEIP and STIP are read-only for the supervisor.
        a.csr_li(csr::MIDELEG, 0x222);
        a.csrwi(csr::SIP, 0);
        a.expect_csr_bits(csr::SIP, 0xaaa, 0x220);
        a.csr_clear(csr::MIP, 0x222);
        a.expect_csr_bits(csr::SIP, 0xaaa, 0);
        a.csrwi(csr::MIE, 0);
        a.csrwi(csr::MIDELEG, 0);
    }));
}

#[test]
fn software_and_pins_share_seip() {
    check(&program(|a| {
        // Reading mip shows both; a set or clear does not copy the pin into the software bit (3.1.9).
        line(a, 9, true);
        a.csrsi(csr::MIP, 2);
        a.expect_csr_bits(csr::MIP, 0x202, 0x202);
        line(a, 9, false);
        a.expect_csr_bits(csr::MIP, 0x202, 0x002);
        a.csr_clear(csr::MIP, 2);
    }));
}

#[test]
fn a_waiting_hart_wakes_for_what_is_enabled_even_if_masked() {
    check(&program(|a| {
        // Already pending and enabled in mie, MIE off: wfi does nothing.
        line(a, 11, true);
        a.csr_li(csr::MIE, 1 << 11);
        a.wfi();
        a.li(A0, 1);
        a.expect(A0, 1);
        // MIE on: the handler returns behind the wfi, here taken before it.
        a.la(S10, "woken");
        a.csr_set(csr::MSTATUS, st::MIE);
        a.label("at");
        a.wfi();
        a.label("woken");
        let at = a.at("at");
        a.recorded(&[1 << 63 | 11, at, 0, 3]);
        line(a, 11, false);
        a.csrwi(csr::MIE, 0);
    }));
}

#[test]
fn the_supervisor_timer_follows_the_clock() {
    check(&program(|a| {
        supervisor_handler(a);
        a.csr_li(csr::MIDELEG, 0x222);
        a.csr_li(csr::MCOUNTEREN, 2);
        a.csr_li(csr::MENVCFG, 1 << 63);
        a.csr_li(csr::STIMECMP, u64::MAX);
        a.csr_li(csr::MIE, 0x20);
        a.expect_csr_bits(csr::MIP, 0x20, 0);
        // STIP is the comparison, and nothing but.
        a.csr_set(csr::MIP, 0x20);
        a.expect_csr_bits(csr::MIP, 0x20, 0);
        a.csr_li(csr::STIMECMP, 0);
        a.expect_csr_bits(csr::MIP, 0x20, 0x20);
        a.csr_li(csr::STIMECMP, u64::MAX);
        a.expect_csr_bits(csr::MIP, 0x20, 0);
        // A supervisor that waits for the time to come.
        a.csr_clear(csr::MSTATUS, st::MPIE | st::SIE);
        a.enter(Mode::S);
        a.csrr(A0, csr::TIME);
        a.li(T0, 1_000_000);
        a.add(A0, A0, T0);
        a.csrw(csr::STIMECMP, A0);
        a.csrr(A1, csr::SIP);
        a.wfi();
        a.csrr(A2, csr::TIME);
        a.csrr(A3, csr::SIP);
        // Taken once enabled; gone when the comparison is moved.
        a.la(S10, "fired");
        a.csrsi(csr::SSTATUS, 2);
        a.label("pc");
        a.nop();
        a.nop();
        a.label("fired");
        let pc = a.at("pc");
        a.recorded(&[1 << 63 | 5, pc, 0, 17]);
        a.li(T0, u64::MAX);
        a.csrw(csr::STIMECMP, T0);
        a.csrr(A4, csr::SIP);
        a.leave();
        a.sltu(A2, A2, A0);
        a.expect(A2, 0);
        a.expect(A1, 0);
        a.expect(A3, 0x20);
        a.expect(A4, 0);
        // Without STCE or the counter's permission the register does not exist for the supervisor.
        a.csrwi(csr::MCOUNTEREN, 0);
        a.attempt(Mode::S, Want::Trap(cause::ILLEGAL, 0x14d0_2373), |a| {
            a.csrr(T1, csr::STIMECMP)
        });
        a.csr_li(csr::MCOUNTEREN, 2);
        a.csrwi(csr::MENVCFG, 0);
        a.attempt(Mode::S, Want::Trap(cause::ILLEGAL, 0x14d0_2373), |a| {
            a.csrr(T1, csr::STIMECMP)
        });
        a.csrwi(csr::MIE, 0);
    }));
}

#[test]
fn an_endless_loop_is_left_when_the_timer_fires() {
    // Nothing but the deadline's kick interrupts this.
    let a = program(|a| {
        a.csr_li(csr::MCOUNTEREN, 2);
        a.csr_li(csr::MENVCFG, 1 << 63);
        a.csr_li(csr::STIMECMP, 1_000_000_000);
        a.csr_li(csr::MIE, 0x20);
        a.la(S10, "fired");
        a.csr_set(csr::MSTATUS, st::MIE);
        a.label("spin");
        a.j("spin");
        a.label("fired");
        let pc = a.at("spin");
        a.recorded(&[1 << 63 | 5, pc, 0, 3]);
        a.csrwi(csr::MENVCFG, 0);
    });
    for (who, t) in super::common::ways() {
        let m = Machine::new(&t, &a);
        let mut cpu = m.cpu(0);
        let kicker = cpu.kicker();
        std::thread::scope(|s| {
            let m = &m;
            let run = s.spawn(move || {
                assert_eq!(cpu.run(&m.bus).unwrap(), ambidex_cpu::Exit::Kicked, "{who}");
                m.go(&mut *cpu, who);
            });
            // The machine's part: wait for the deadline to be published, let it pass, kick.
            use std::sync::atomic::Ordering::SeqCst;
            while m.bus.deadline.load(SeqCst) != 1_000_000_000 {
                std::thread::yield_now();
            }
            m.bus.clock.store(1_000_000_000, SeqCst);
            kicker.kick();
            run.join().unwrap();
        });
        compare(&a, &m.out(), who, false);
    }
}

#[test]
fn nested_handlers() {
    check_both(&program(|a| {
        // Inside the handler of a software interrupt another, of higher priority, is let in; both return.
        a.j("start");
        a.align(4);
        a.label("outer");
        a.csrr(T3, csr::MEPC);
        a.csrr(T4, csr::MCAUSE);
        a.csrci(csr::MIP, 2);
        a.la(T0, "inner");
        a.csrw(csr::MTVEC, T0);
        a.csr_set(csr::MIP, 0x200);
        a.csr_set(csr::MSTATUS, st::MIE);
        a.csr_clear(csr::MSTATUS, st::MIE);
        a.csrw(csr::MEPC, T3);
        a.csr_set(csr::MSTATUS, st::MPIE | st::MPP);
        a.addi(A0, A0, 1);
        a.mret();
        a.align(4);
        a.label("inner");
        a.csrr(A1, csr::MCAUSE);
        a.csr_clear(csr::MIP, 0x200);
        a.addi(A0, A0, 16);
        a.mret();
        a.label("start");
        a.li(A0, 0);
        a.la(T0, "outer");
        a.csrw(csr::MTVEC, T0);
        a.csr_li(csr::MIE, 0x202);
        a.csrsi(csr::MIP, 2);
        a.csr_set(csr::MSTATUS, st::MIE);
        a.csr_clear(csr::MSTATUS, st::MIE);
        a.expect(A0, 17);
        a.expect(T4, 1 << 63 | 1);
        a.expect(A1, 1 << 63 | 9);
        a.csrwi(csr::MIE, 0);
        a.la(T0, "mtrap");
        a.csrw(csr::MTVEC, T0);
    }));
}
