//! Code that changes under the hart that runs it.

use super::asm::*;
use super::harness::*;
use super::pages::*;

/// `addi a0, a0, n`
fn add(n: i32) -> u32 {
    (n as u32 & 0xfff) << 20 | A0 << 15 | A0 << 7 | 0x13
}

#[test]
fn a_block_may_change_itself() {
    // The instruction behind the store, in the very block that stores; the fence stands between.
    check_both(&program(|a| {
        a.li(A0, 0);
        a.li(S1, 20);
        a.la(A1, "patch");
        a.li(A2, u64::from(add(0)));
        a.li(A3, 1 << 20);
        a.label("loop");
        a.sw(A2, A1, 0);
        a.fence_i();
        a.label("patch");
        a.w(0xffff_ffff);
        a.add(A2, A2, A3);
        a.addi(S1, S1, -1);
        a.bne(S1, 0, "loop");
        a.expect(A0, 190);
    }));
}

#[test]
fn every_kind_of_store_invalidates() {
    check_both(&program(|a| {
        a.li(A0, 0);
        a.la(A1, "f");
        let call = |a: &mut Asm| {
            a.li(A4, 4);
            let l = a.fresh();
            a.label(&l);
            a.jal(RA, "f");
            a.addi(A4, A4, -1);
            a.bne(A4, 0, &l);
        };
        call(a);
        let mut sum = 4;
        for (i, kind) in (0..8).enumerate() {
            let n = 10 + i as i32;
            a.li(A2, u64::from(add(n)));
            match kind {
                0 => a.sw(A2, A1, 0),
                // By halves and bytes.
                1 => {
                    a.srli(A3, A2, 16);
                    a.sh(A3, A1, 2);
                }
                2 => {
                    a.srli(A3, A2, 24);
                    a.sb(A3, A1, 3);
                    a.srli(A3, A2, 16);
                    a.sb(A3, A1, 2);
                }
                3 => a.amo(1, 2, 0, A1, A2),
                4 => {
                    a.lr(2, A3, A1);
                    a.sc(2, A3, A1, A2);
                    a.expect(A3, 0);
                }
                5 => {
                    a.lw(A3, A1, 0);
                    a.amo(5, 2, A3, A1, A2);
                }
                6 => {
                    a.fp(0x78, 0, 1, A2, 0); // fmv.w.x
                    a.fsw(1, A1, 0);
                }
                // 16 bytes at once: the function and what follows it.
                _ => {
                    a.ld(S2, A1, 0);
                    a.ld(S3, A1, 8);
                    a.srli(S4, S2, 32);
                    a.slli(S4, S4, 32);
                    a.li(A5, u64::from(add(n)));
                    a.or(S4, S4, A5);
                    a.mv(S5, S3);
                    a.amo(5, 4, S2, A1, S4);
                }
            }
            a.fence_i();
            call(a);
            sum += 4 * n;
        }
        a.expect(A0, sum as u64);
        // A cache block of zeros: the function becomes illegal.
        a.cbo(4, A1);
        a.fence_i();
        let f = RAM + 0xf00;
        a.attempt(Mode::M, Want::TrapAt(cause::ILLEGAL, f, 0), |a| {
            a.jal(RA, "f")
        });
        a.j("end");
        a.org(0xf00);
        a.label("f");
        a.w(add(1));
        a.ret();
        a.quad(0);
        a.org(0x1000);
        a.label("end");
    }));
}

#[test]
fn code_is_changed_through_another_mapping() {
    check_both(&program(|a| {
        let mut t = Tables::new(0, 3);
        let (run, alias) = (0x1_0000u64, 0x20_3000u64);
        t.map(run, 0, pte(RAM + DATA, RX));
        t.map(alias, 0, pte(RAM + DATA, RW));
        // And a second place to run it from.
        t.map(0x5000, 0, pte(RAM + DATA, RX));
        let mut f = Asm::new_at(0);
        f.w(add(1));
        f.ret();
        a.data.push((DATA + 0x40, f.bytes));
        translate(a, &t, 0);
        a.li(A0, 0);
        a.li(A1, alias);
        a.li(A2, u64::from(add(0)));
        a.li(A3, 1 << 20);
        a.li(A4, run);
        a.li(A5, 0x5000);
        a.li(S1, 30);
        a.attempt(Mode::S, Want::Done, |a| {
            a.label("loop");
            a.jalr(RA, A4, 0x40);
            a.jalr(RA, A5, 0x40);
            a.sw(A2, A1, 0x40);
            a.add(A2, A2, A3);
            a.fence_i();
            a.addi(S1, S1, -1);
            a.bne(S1, 0, "loop");
        });
        // 1, 0, 1, 2 … 28, each twice.
        a.expect(A0, 2 * (1 + 28 * 29 / 2));
        a.csrwi(csr::SATP, 0);
        t.place(a);
    }));
}

#[test]
fn data_beside_code_may_be_written_without_harm() {
    check_both(&program(|a| {
        // A counter in the same cache line as the loop that increments it.
        a.li(S1, 300);
        a.la(A1, "counter");
        a.li(A0, 0);
        a.j("loop");
        a.align(8);
        a.label("counter");
        a.quad(0);
        a.label("loop");
        a.ld(A2, A1, 0);
        a.addi(A2, A2, 3);
        a.sd(A2, A1, 0);
        a.add(A0, A0, A2);
        a.addi(S1, S1, -1);
        a.bne(S1, 0, "loop");
        a.expect(A2, 900);
        a.expect(A0, 3 * 300 * 301 / 2);
    }));
}

#[test]
fn a_jump_target_in_the_middle_of_a_block_or_an_instruction() {
    check_both(&program(|a| {
        // The same bytes read from two offsets: 0x00150513 is addi a0, a0, 1; its upper half 0x0015 is c.addi with a zero immediate.
        a.li(A0, 0);
        a.la(A1, "x");
        a.li(S1, 6);
        a.label("loop");
        a.jalr(RA, A1, 0);
        a.jalr(RA, A1, 2);
        a.jalr(RA, A1, 4);
        a.addi(S1, S1, -1);
        a.bne(S1, 0, "loop");
        a.expect(A0, 6 * (2 + 1 + 1));
        a.j("end");
        a.label("x");
        a.w(0x0015_0513);
        a.w(0x0015_0513);
        a.ret();
        a.label("end");
    }));
}

#[test]
fn the_bottom_of_the_address_space_wraps() {
    // Control falls from the last page to the first: an access fault, or here a page fault, at address 0.
    check_both(&program(|a| {
        let mut t = Tables::new(0, 3);
        let last = u64::MAX - 0xfff;
        t.map(last, 0, pte(RAM + DATA, RX));
        let mut f = Asm::new_at(0);
        f.addi(A0, A0, 1);
        f.addi(A0, A0, 1);
        a.data.push((DATA + 0xff8, f.bytes));
        translate(a, &t, 0);
        a.li(A5, u64::MAX - 7);
        a.li(A0, 0);
        for _ in 0..3 {
            a.attempt(Mode::S, Want::TrapAt(cause::FETCH_PAGE, 0, 0), |a| {
                a.jalr(RA, A5, 0)
            });
        }
        a.expect(A0, 6);
        a.csrwi(csr::SATP, 0);
        t.place(a);
    }));
}
