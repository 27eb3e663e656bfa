//! Counters: exact where instructions are counted, and who may read them.

use ambidex_accel_tcg::Translator;

use super::asm::*;
use super::harness::*;

#[test]
fn instructions_are_counted_exactly() {
    let a = program(|a| {
        a.own = true;
        a.csrwi(csr::MINSTRET, 0);
        a.csrr(A0, csr::MINSTRET);
        a.expect(A0, 0);
        // Three between the two reads, and the first read itself.
        a.csrr(A0, csr::MINSTRET);
        a.nop();
        a.nop();
        a.nop();
        a.csrr(A1, csr::MINSTRET);
        a.sub(A1, A1, A0);
        a.expect(A1, 4);
        // A loop: 2 + 100 * 2.
        a.csrr(A0, csr::MCYCLE);
        a.li(S1, 100);
        a.label("loop");
        a.addi(S1, S1, -1);
        a.bne(S1, 0, "loop");
        a.csrr(A1, csr::MCYCLE);
        a.sub(A1, A1, A0);
        a.expect(A1, 202);
        // A trap: the ebreak does not retire, mret does. csrr, csrr, addi, csrw, mret between.
        a.la(T0, "handler");
        a.csrw(csr::MTVEC, T0);
        a.csrr(A0, csr::MINSTRET);
        a.ebreak();
        a.csrr(A1, csr::MINSTRET);
        a.sub(A1, A1, A0);
        a.expect(A1, 1 + 4);
        // A load that faults does not retire either; nor does an ecall.
        a.csrr(A0, csr::MINSTRET);
        a.ld(A2, 0, 0);
        a.w(0x73);
        a.csrr(A1, csr::MINSTRET);
        a.sub(A1, A1, A0);
        a.expect(A1, 1 + 4 + 4);
        // sret counts.
        a.csr_set(csr::MSTATUS, st::SPP);
        a.la(T0, "super");
        a.csrw(csr::SEPC, T0);
        a.la(T1, "mtrap");
        a.csrr(A0, csr::MINSTRET);
        a.csrw(csr::MTVEC, T1);
        a.sret();
        a.label("super");
        a.leave();
        a.csrr(A1, csr::MINSTRET);
        a.sub(A1, A1, A0);
        // csrr, csrw, sret, la, la, li; the handler: csrr, addi, sltiu, beq, addi, beq, addi, bne, slli, srli, li, or, jalr.
        a.expect(A1, 3 + 3 + 14);
        // wfi with something pending counts as one.
        a.csr_set(csr::MIP, 2);
        a.csrwi(csr::MIE, 2);
        a.csrr(A0, csr::MINSTRET);
        a.wfi();
        a.csrr(A1, csr::MINSTRET);
        a.sub(A1, A1, A0);
        a.expect(A1, 2);
        a.csrwi(csr::MIE, 0);
        a.csr_clear(csr::MIP, 2);
        // Stopped, changed, started.
        a.csrwi(csr::MCOUNTINHIBIT, 5);
        a.csrr(A0, csr::MINSTRET);
        a.nop();
        a.csrr(A1, csr::MINSTRET);
        a.sub(A1, A1, A0);
        a.expect(A1, 0);
        a.csr_li(csr::MCYCLE, 1000);
        a.expect_csr(csr::MCYCLE, 1000);
        a.csrwi(csr::MCOUNTINHIBIT, 0);
        a.csrr(A1, csr::MCYCLE);
        a.sltiu(A1, A1, 1010);
        a.expect(A1, 1);
        // The first floating-point write after FS becomes clean executes once, though it is looked at twice.
        a.csr_clear(csr::MSTATUS, 1 << 13);
        a.csrr(A0, csr::MINSTRET);
        a.fp(0x01, 7, 1, 1, 1);
        a.fp(0x01, 7, 1, 1, 1);
        a.csrr(A1, csr::MINSTRET);
        a.sub(A1, A1, A0);
        a.expect(A1, 3);
        a.j("end");
        a.align(4);
        a.label("handler");
        a.csrr(T1, csr::MEPC);
        a.addi(T1, T1, 4);
        a.csrw(csr::MEPC, T1);
        a.mret();
        a.label("end");
    });
    for (who, t) in [
        ("interpreter", Translator::new().interpret_only(true)),
        ("compiled", Translator::new().compile_after(1)),
        ("mixed", Translator::new().compile_after(3)),
    ] {
        let m = Machine::new(&t.count_instructions(true), &a);
        let mut cpu = m.cpu(0);
        m.go(&mut *cpu, who);
        compare(&a, &m.out(), who, false);
    }
}

#[test]
fn every_mode_above_must_allow_reading() {
    check_both(&program(|a| {
        let counters = [csr::CYCLE, csr::TIME, csr::INSTRET];
        for (i, c) in counters.into_iter().enumerate() {
            let w = c << 20 | 2 << 12 | T1 << 7 | 0x73;
            let illegal = Want::Trap(cause::ILLEGAL, u64::from(w));
            for (m, s) in [
                (0u64, 0u64),
                (7, 0),
                (0, 7),
                (7, 7),
                (1 << i, 1 << i),
                (7 & !(1 << i), 7),
            ] {
                a.csr_li(csr::MCOUNTEREN, m);
                a.csr_li(csr::SCOUNTEREN, s);
                let (m, s) = (m >> i & 1 == 1, s >> i & 1 == 1);
                a.attempt(Mode::M, Want::Done, |a| a.w(w));
                a.attempt(Mode::S, if m { Want::Done } else { illegal }, |a| a.w(w));
                a.attempt(Mode::U, if m && s { Want::Done } else { illegal }, |a| {
                    a.w(w)
                });
            }
        }
        // Read-only in every mode.
        let w = csr::CYCLE << 20 | 1 << 12 | 0x73;
        a.attempt(Mode::M, Want::Trap(cause::ILLEGAL, u64::from(w)), |a| {
            a.w(w)
        });
    }));
}

#[test]
fn time_never_goes_backwards() {
    check(&program(|a| {
        a.csrr(A0, csr::TIME);
        a.li(S1, 100);
        a.li(A3, 0);
        a.label("loop");
        a.csrr(A1, csr::TIME);
        a.sltu(A2, A1, A0);
        a.add(A3, A3, A2);
        a.mv(A0, A1);
        a.addi(S1, S1, -1);
        a.bne(S1, 0, "loop");
        a.expect(A3, 0);
        a.sltu(A2, 0, A0);
        a.expect(A2, 1);
    }));
}
