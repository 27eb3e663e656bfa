//! Cache-block operations, conditional and may-be operations, hints, state enables.

use super::asm::*;
use super::harness::*;
use super::pages::*;

const AT: u64 = RAM + DATA;

fn word(kind: u32, addr: R) -> u64 {
    u64::from(kind << 20 | addr << 15 | 2 << 12 | 0x0f)
}

#[test]
fn cache_block_operations_need_their_permission() {
    check_both(&program(|a| {
        a.csr_li(csr::MSTATEEN0, u64::MAX);
        a.li(A0, AT + 5);
        for (m, s) in [
            (0u64, 0u64),
            (0xf1, 0),
            (0, 0xf1),
            (0xf1, 0xf1),
            (0x40, 0x40),
            (0x80, 0x80),
            (0x10, 0x30),
            (0x30, 0x10),
        ] {
            a.csr_li(csr::MENVCFG, m);
            a.csr_li(csr::SENVCFG, s);
            for kind in [0u32, 1, 2, 4] {
                let need = match kind {
                    0 => 0x30,
                    4 => 0x80,
                    _ => 0x40,
                };
                for (mode, ok) in [
                    (Mode::M, true),
                    (Mode::S, m & need != 0),
                    (Mode::U, m & need != 0 && s & need != 0),
                ] {
                    let want = if ok {
                        Want::Done
                    } else {
                        Want::Trap(cause::ILLEGAL, word(kind, A0))
                    };
                    a.attempt(mode, want, |a| a.cbo(kind, A0));
                }
            }
        }
        // CBIE 2 is reserved and cannot be held.
        a.csr_li(csr::MENVCFG, 0);
        a.csr_li(csr::MENVCFG, 0x20);
        a.csrr(T1, csr::MENVCFG);
        a.andi(T1, T1, 0x30);
        a.addi(T1, T1, -0x20);
        a.sltiu(T1, T1, 1);
        // QEMU keeps it.
        a.expect_own(T1, 0);
        a.csrwi(csr::MENVCFG, 0);
        a.csrwi(csr::SENVCFG, 0);
    }));
}

#[test]
fn cache_block_operations_are_translated() {
    check_both(&program(|a| {
        let mut t = Tables::new(0, 3);
        let (rw, ro, missing, xo) = (0x1_0000u64, 0x1_1000u64, 0x1_2000u64, 0x1_3000u64);
        t.map(rw, 0, pte(AT, RW));
        t.map(ro, 0, pte(AT + 0x1000, V | RD | A | D));
        t.map(xo, 0, pte(AT + 0x1000, V | EX | A | D));
        a.data.push((DATA, vec![0x5a; 0x1000]));
        translate(a, &t, 0);
        a.csr_li(csr::MENVCFG, 0xf0);
        a.li(A0, rw + 0x7f);
        a.attempt(Mode::S, Want::Done, |a| a.cbo(4, A0));
        a.expect_mem(AT + 0x38, 0x5a5a_5a5a_5a5a_5a5a);
        a.expect_mem(AT + 0x40, 0);
        a.expect_mem(AT + 0x78, 0);
        a.expect_mem(AT + 0x80, 0x5a5a_5a5a_5a5a_5a5a);
        // The trap value is the address in the register (CMO, "Traps"); QEMU reports the block's. Zeroing is a store; management wants any right but execution.
        a.li(A1, ro + 0x7f);
        a.attempt(Mode::S, Want::OwnTval(cause::STORE_PAGE, ro + 0x7f), |a| {
            a.cbo(4, A1)
        });
        a.attempt(Mode::S, Want::Done, |a| a.cbo(2, A1));
        a.attempt(Mode::S, Want::Done, |a| a.cbo(1, A1));
        a.li(A2, missing + 1);
        for kind in [0, 1, 2, 4] {
            a.attempt(
                Mode::S,
                Want::OwnTval(cause::STORE_PAGE, missing + 1),
                |a| a.cbo(kind, A2),
            );
        }
        a.li(A2, xo);
        a.attempt(Mode::S, Want::Trap(cause::STORE_PAGE, xo), |a| a.cbo(4, A2));
        // Prefetches never trap.
        a.li(A2, missing);
        for kind in [0u32, 1, 3] {
            a.attempt(Mode::S, Want::Done, |a| {
                a.w(kind << 20 | A2 << 15 | 6 << 12 | 0x13)
            });
        }
        a.csrwi(csr::MENVCFG, 0);
        a.csrwi(csr::SATP, 0);
        t.place(a);
    }));
}

#[test]
fn conditional_zero() {
    check_both(&program(|a| {
        for (v, c) in [(7u64, 0u64), (7, 1), (u64::MAX, 1 << 63), (0, 5)] {
            a.li(A0, v);
            a.li(A1, c);
            a.czero_eqz(A2, A0, A1);
            a.expect(A2, if c == 0 { 0 } else { v });
            a.czero_nez(A2, A0, A1);
            a.expect(A2, if c != 0 { 0 } else { v });
        }
    }));
}

#[test]
fn may_be_operations_write_zero_or_nothing() {
    check_both(&program(|a| {
        for w in [
            0x81c0_4073u32 | A1 << 7 | A0 << 15,         // mop.r.0
            0xcdf0_4073 | A1 << 7 | A0 << 15,            // mop.r.31
            0x8200_4073 | A1 << 7 | A0 << 15 | A2 << 20, // mop.rr.0
            0xce00_4073 | A1 << 7 | A0 << 15 | A2 << 20, // mop.rr.7
        ] {
            a.li(A1, 55);
            a.attempt(Mode::U, Want::Value(0), |a| {
                a.w(w);
                a.mv(T1, A1);
            });
        }
        // c.mop.1 to c.mop.15 write nothing.
        a.li(A0, 3);
        for n in (1..16).step_by(2) {
            a.h(0x6001 | n << 7);
            a.h(1);
        }
        a.expect(A0, 3);
    }));
}

#[test]
fn hints_do_nothing() {
    check_both(&program(|a| {
        a.li(A0, 3);
        for w in [
            0x0100_000fu32, // pause
            0x0020_0033,    // ntl.p1
            0x0030_0033,
            0x0040_0033,
            0x0050_0033,
            0x0000_0037, // lui x0
            0x0ff0_000f, // fence
            0x8330_000f, // fence.tso
            0x4000_5013, // srai x0, x0, 0
        ] {
            a.attempt(Mode::U, Want::Done, |a| a.w(w));
        }
        a.expect(A0, 3);
    }));
}

#[test]
fn state_enables_guard_senvcfg() {
    check_both(&program(|a| {
        let w = csr::SENVCFG << 20 | 2 << 12 | T1 << 7 | 0x73;
        a.csr_li(csr::MSTATEEN0, 0);
        a.attempt(Mode::S, Want::Trap(cause::ILLEGAL, u64::from(w)), |a| {
            a.w(w)
        });
        a.attempt(Mode::M, Want::Value(0), |a| a.w(w));
        a.csr_li(csr::MSTATEEN0, 1 << 62);
        a.attempt(Mode::S, Want::Value(0), |a| a.w(w));
        a.attempt(Mode::U, Want::Trap(cause::ILLEGAL, u64::from(w)), |a| {
            a.w(w)
        });
        a.csr_li(csr::MSTATEEN0, u64::MAX);
    }));
}
