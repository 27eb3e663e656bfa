//! Accesses and instructions that lie on two pages: which half faults, and that nothing is done by halves.

use super::asm::*;
use super::harness::*;
use super::pages::*;

const VA: u64 = 0x1_0000;
const SECOND: u64 = VA + 0x1000;

fn boundary(a: &mut Asm, second: u64) -> Tables {
    let mut t = Tables::new(0, 3);
    t.map(VA, 0, pte(RAM + DATA, RWX));
    t.map(SECOND, 0, pte(RAM + DATA + 0x5000, second));
    a.data.push((
        DATA + 0xff8,
        0x1122_3344_5566_7788u64.to_le_bytes().to_vec(),
    ));
    a.data.push((
        DATA + 0x5000,
        0x99aa_bbcc_ddee_ff00u64.to_le_bytes().to_vec(),
    ));
    t
}

#[test]
fn loads_and_stores_join_pages_that_are_apart_in_memory() {
    check_both(&program(|a| {
        let t = boundary(a, RW);
        translate(a, &t, 0);
        a.li(A0, SECOND - 3);
        a.attempt(Mode::S, Want::Value(0xddee_ff00_1122_3333), |a| {
            a.ld(T1, A0, 0);
            a.slli(T1, T1, 8);
            a.ori(T1, T1, 0x33);
        });
        a.attempt(Mode::S, Want::Value(0x0011_2233), |a| a.lw(T1, A0, 0));
        a.li(A1, 0x0102_0304_0506_0708);
        a.attempt(Mode::S, Want::Done, |a| a.sd(A1, A0, 0));
        a.expect_mem(RAM + DATA + 0xff8, 0x0607_0844_5566_7788);
        a.expect_mem(RAM + DATA + 0x5000, 0x99aa_bb01_0203_0405);
        a.csrwi(csr::SATP, 0);
        t.place(a);
    }));
}

#[test]
fn a_fault_in_either_half_reports_that_half_and_does_nothing() {
    // The second page: missing, read-only, not dirty.
    for (second, load_faults) in [(0, true), (V | RD | A | D, false), (V | RD | WR | A, false)] {
        check_both(&program(|a| {
            let t = boundary(a, second);
            translate(a, &t, 0);
            a.li(T1, 0x77);
            a.li(A1, 0x0102_0304_0506_0708);
            for off in 1..8 {
                a.li(A0, SECOND - off);
                // The address reported is that of the part that faults.
                if load_faults {
                    a.attempt(Mode::S, Want::Trap(cause::LOAD_PAGE, SECOND), |a| {
                        a.ld(T1, A0, 0)
                    });
                }
                a.attempt(Mode::S, Want::Trap(cause::STORE_PAGE, SECOND), |a| {
                    a.sd(A1, A0, 0)
                });
            }
            a.expect(T1, 0x77);
            a.expect_mem(RAM + DATA + 0xff8, 0x1122_3344_5566_7788);
            a.expect_mem(RAM + DATA + 0x5000, 0x99aa_bbcc_ddee_ff00);
            a.csrwi(csr::SATP, 0);
            t.place(a);
        }));
    }
    check_both(&program(|a| {
        // The first page missing: its own address.
        let mut t = Tables::new(0, 3);
        t.map(SECOND, 0, pte(RAM + DATA + 0x5000, RW));
        translate(a, &t, 0);
        a.li(A0, SECOND - 3);
        a.li(T1, 0x77);
        a.attempt(Mode::S, Want::Trap(cause::LOAD_PAGE, SECOND - 3), |a| {
            a.ld(T1, A0, 0)
        });
        a.attempt(Mode::S, Want::Trap(cause::STORE_PAGE, SECOND - 3), |a| {
            a.sd(A0, A0, 0)
        });
        a.expect(T1, 0x77);
        a.expect_mem(RAM + DATA + 0x5000, 0);
        a.csrwi(csr::SATP, 0);
        t.place(a);
    }));
}

#[test]
fn half_a_store_to_a_device_that_is_not_there() {
    check(&program(|a| {
        // RAM ends, nothing follows.
        let end = RAM + (16 << 20);
        a.li(A0, end - 4);
        a.li(T1, 0x55);
        a.attempt(Mode::M, Want::Trap(cause::LOAD_ACCESS, end), |a| {
            a.ld(T1, A0, 0)
        });
        a.expect(T1, 0x55);
    }));
}

/// `addi a0, a0, 1` whose second half is on another page, then `ret`.
fn split_code(a: &mut Asm) {
    let mut f = Asm::new_at(0);
    f.addi(A0, A0, 1);
    f.ret();
    let bytes = f.bytes;
    a.data.push((DATA + 0xffe, bytes[..2].to_vec()));
    a.data.push((DATA + 0x5000, bytes[2..].to_vec()));
}

#[test]
fn an_instruction_on_two_pages() {
    check_both(&program(|a| {
        let mut t = Tables::new(0, 3);
        t.map(VA, 0, pte(RAM + DATA, RWX));
        let at = t.map(SECOND, 0, pte(RAM + DATA + 0x5000, RWX));
        split_code(a);
        translate(a, &t, 0);
        a.li(A0, 0);
        a.li(A5, VA + 0xffe);
        let call = |a: &mut Asm, want| {
            a.attempt(Mode::S, want, |a| {
                a.li(A1, 5);
                let l = a.fresh();
                a.label(&l);
                a.jalr(RA, A5, 0);
                a.addi(A1, A1, -1);
                a.bne(A1, 0, &l);
            });
        };
        call(a, Want::Done);
        a.expect(A0, 5);
        // Take the second page away: mepc is the instruction, mtval the half that is missing.
        let fault = Want::TrapAt(cause::FETCH_PAGE, VA + 0xffe, SECOND);
        for flags in [0, RW, RWX | U, V | EX] {
            a.li(T5, at);
            a.li(T6, pte(RAM + DATA + 0x5000, flags));
            a.sd(T6, T5, 0);
            a.sfence_vma(0, 0);
            call(a, fault);
        }
        a.expect(A0, 5);
        // Put another one there: now it adds 33.
        let mut f = Asm::new_at(0);
        f.addi(A0, A0, 33);
        f.ret();
        a.data.push((DATA + 0x6000, f.bytes[2..].to_vec()));
        a.li(T5, at);
        a.li(T6, pte(RAM + DATA + 0x6000, RWX));
        a.sd(T6, T5, 0);
        a.sfence_vma(0, 0);
        call(a, Want::Done);
        a.expect(A0, 5 + 5 * 33);
        // A compressed instruction at the end of a page needs nothing of the next.
        a.li(T5, at);
        a.sd(0, T5, 0);
        a.sfence_vma(0, 0);
        a.li(T5, RAM + DATA + 0xffe);
        a.li(T6, 0x0505); // c.addi a0, 1
        a.sh(T6, T5, 0);
        a.fence_i();
        a.attempt(
            Mode::S,
            Want::TrapAt(cause::FETCH_PAGE, SECOND, SECOND),
            |a| a.jalr(RA, A5, 0),
        );
        a.expect(A0, 5 + 5 * 33 + 1);
        a.csrwi(csr::SATP, 0);
        t.place(a);
    }));
}

#[test]
fn straight_code_runs_into_a_missing_page() {
    check_both(&program(|a| {
        let mut t = Tables::new(0, 3);
        t.map(VA, 0, pte(RAM + DATA, RX));
        let mut f = Asm::new_at(VA);
        for _ in 0..0x400 {
            f.addi(A0, A0, 1);
        }
        a.data.push((DATA, f.bytes));
        translate(a, &t, 0);
        for _ in 0..4 {
            a.li(A0, 0);
            a.li(A5, VA + 0xf00);
            a.attempt(
                Mode::S,
                Want::TrapAt(cause::FETCH_PAGE, SECOND, SECOND),
                |a| a.jalr(0, A5, 0),
            );
            a.expect(A0, 64);
        }
        a.csrwi(csr::SATP, 0);
        t.place(a);
    }));
}

#[test]
fn a_faulting_load_in_a_hot_loop_keeps_the_registers_before_it() {
    check_both(&program(|a| {
        let mut t = Tables::new(0, 3);
        for i in 0..8 {
            t.map(VA + i * 0x1000, 0, pte(RAM + DATA + i * 0x1000, RW));
        }
        translate(a, &t, 0);
        // Walks over the pages until they end; all loop variables are exact at the fault.
        a.li(A0, VA);
        a.li(A1, 0);
        a.li(A2, 0);
        let end = VA + 8 * 0x1000;
        a.attempt(Mode::S, Want::TrapAt(cause::LOAD_PAGE, 0, end), |a| {
            a.label("walk");
            a.addi(A1, A1, 1);
            a.label("load");
            a.lw(A3, A0, 0);
            a.add(A2, A2, A1);
            a.addi(A0, A0, 512);
            a.j("walk");
        });
        let at = a.at("load");
        let n = a.expected.len();
        a.expected[n - 3].value = Some(at);
        a.expect(A1, 65);
        a.expect(A2, 64 * 65 / 2);
        a.expect(A0, end);
        a.csrwi(csr::SATP, 0);
        t.place(a);
    }));
}
