//! Delegation, vectored handlers, returns, and what `mstatus` allows.

use super::asm::*;
use super::harness::*;
use super::pages::*;

/// A supervisor handler that records as the machine's does, with 16 added to the mode before, and goes on at `s10` in S-mode.
pub fn supervisor_handler(a: &mut Asm) {
    a.j("strap.end");
    a.align(4);
    a.label("strap");
    a.csrr(T5, csr::SCAUSE);
    a.sd(T5, S0, 0);
    a.csrr(T5, csr::SEPC);
    a.sd(T5, S0, 8);
    a.csrr(T5, csr::STVAL);
    a.sd(T5, S0, 16);
    a.csrr(T5, csr::SSTATUS);
    a.srli(T5, T5, 8);
    a.andi(T5, T5, 1);
    a.ori(T5, T5, 16);
    a.sd(T5, S0, 24);
    a.addi(S0, S0, 32);
    a.jalr(0, S10, 0);
    a.label("strap.end");
    a.la(T0, "strap");
    a.csrw(csr::STVEC, T0);
}

#[test]
fn delegated_exceptions_go_to_the_supervisor() {
    check_both(&program(|a| {
        supervisor_handler(a);
        a.csr_li(csr::MEDELEG, 1 << 2 | 1 << 3 | 1 << 8);
        for mode in [Mode::U, Mode::S] {
            let next = a.fresh();
            a.la(S10, &next);
            a.enter(mode);
            let at = a.pc();
            a.w(0xffff_ffff);
            a.label(&next);
            // Now in S-mode, with interrupts off and the old mode in SPP.
            a.leave();
            a.recorded(&[2, at, 0xffff_ffff, 16 + mode as u64]);
        }
        // In M-mode it is M-mode's in spite of that.
        a.attempt(Mode::M, Want::Trap(cause::ILLEGAL, 0xffff_ffff), |a| {
            a.w(0xffff_ffff)
        });
        // What is not delegated goes to M-mode from everywhere.
        a.attempt(Mode::S, Want::Trap(cause::ECALL_S, 0), |a| {
            a.li(A7, 0);
            a.ecall();
        });
        // ecall from M and reserved causes cannot be delegated.
        a.csr_li(csr::MEDELEG, u64::MAX);
        a.csrr(T1, csr::MEDELEG);
        a.li(T2, 1 << 11 | 1 << 14 | 1 << 17);
        a.and(T1, T1, T2);
        a.expect(T1, 0);
        a.csrwi(csr::MEDELEG, 0);
    }));
}

#[test]
fn returns_restore_the_stack_of_modes() {
    check_both(&program(|a| {
        // mret to U with MPIE set: MIE comes on, MPIE set, MPP becomes U, MPRV is dropped.
        a.csr_clear(csr::MSTATUS, st::MPP | st::MIE);
        a.csr_set(csr::MSTATUS, st::MPIE | st::MPRV);
        a.la(S10, "back");
        a.la(T0, "user");
        a.csrw(csr::MEPC, T0);
        a.mret();
        a.label("user");
        a.li(A7, 0x78);
        a.ecall();
        a.label("back");
        // The ecall saved MIE (on) in MPIE.
        a.expect_csr_bits(
            csr::MSTATUS,
            st::MPIE | st::MIE | st::MPP | st::MPRV,
            st::MPIE,
        );
        // mret to M keeps MPRV.
        a.csr_set(csr::MSTATUS, st::MPP | st::MPRV);
        a.csr_clear(csr::MSTATUS, st::MPIE);
        a.la(T0, "same");
        a.csrw(csr::MEPC, T0);
        a.mret();
        a.label("same");
        a.expect_csr_bits(
            csr::MSTATUS,
            st::MPIE | st::MIE | st::MPP | st::MPRV,
            st::MPIE | st::MPRV,
        );
        a.csr_clear(csr::MSTATUS, st::MPRV);
        // sret from M-mode to S-mode.
        a.csr_set(csr::MSTATUS, st::SPP | st::SPIE);
        a.la(T0, "super");
        a.csrw(csr::SEPC, T0);
        a.sret();
        a.label("super");
        a.csrr(A0, csr::SSTATUS);
        a.leave();
        a.li(T2, st::SPP | st::SPIE | st::SIE);
        a.and(A0, A0, T2);
        a.expect(A0, st::SPIE | st::SIE);
        // The low bit of an exception program counter does not exist.
        a.csr_li(csr::MEPC, 0x1003);
        a.csrr(T1, csr::MEPC);
        // QEMU keeps it.
        a.expect_own(T1, 0x1002);
        a.csr_li(csr::SEPC, u64::MAX);
        a.csrr(T1, csr::SEPC);
        a.expect_own(T1, u64::MAX - 1);
    }));
}

#[test]
fn tvm_tw_and_tsr_trap_in_supervisor_mode() {
    check_both(&program(|a| {
        let traps = |w: u32| Want::Trap(cause::ILLEGAL, u64::from(w));
        a.csr_set(csr::MSTATUS, st::TVM);
        for w in [0x1800_2373u32, 0x1800_1073, 0x1200_0073, 0x1600_0073] {
            a.attempt(Mode::S, traps(w), |a| a.w(w));
        }
        // Svinval's other two do not care.
        a.attempt(Mode::S, Want::Done, |a| {
            a.sfence_w_inval();
            a.sfence_inval_ir();
        });
        a.attempt(Mode::M, Want::Done, |a| {
            a.sfence_vma(0, 0);
            a.csrr(T1, csr::SATP);
        });
        a.csr_clear(csr::MSTATUS, st::TVM);
        a.attempt(Mode::S, Want::Done, |a| {
            a.sfence_vma(0, 0);
            a.sinval_vma(0, 0);
        });
        a.csr_set(csr::MSTATUS, st::TSR);
        a.attempt(Mode::S, traps(0x1020_0073), |a| a.sret());
        a.csr_clear(csr::MSTATUS, st::TSR);
        a.csr_set(csr::MSTATUS, st::TW);
        a.attempt(Mode::S, traps(0x1050_0073), |a| a.wfi());
        a.attempt(Mode::S, Want::OwnTval(cause::ILLEGAL, 0x00d0_0073), |a| {
            a.wrs_nto()
        });
        a.attempt(Mode::S, Want::Done, |a| a.wrs_sto());
        a.csr_clear(csr::MSTATUS, st::TW);
    }));
}

#[test]
fn mprv_lends_the_rights_of_another_mode() {
    check_both(&program(|a| {
        let mut t = Tables::new(0, 3);
        let (user, own, exec) = (0x1_0000, 0x1_1000, 0x1_2000);
        t.map(user, 0, pte(RAM + DATA, RW | U));
        t.map(own, 0, pte(RAM + DATA + 0x1000, RW));
        t.map(exec, 0, pte(RAM + DATA + 0x2000, V | EX | A));
        a.data.push((DATA, 0x11u64.to_le_bytes().to_vec()));
        a.data.push((DATA + 0x1000, 0x22u64.to_le_bytes().to_vec()));
        a.data.push((DATA + 0x2000, 0x33u64.to_le_bytes().to_vec()));
        a.csr_li(csr::SATP, t.satp(1));
        a.sfence_vma(0, 0);
        // One access under MPRV. The destination keeps its value if it faults; the handler is a place just behind.
        let load = |a: &mut Asm, mpp: u64, va: u64, extra: u64, want: Result<u64, u64>| {
            a.li(A0, 0x99);
            a.li(T2, va);
            let (l, after) = (a.fresh(), a.fresh());
            a.la(T0, &l);
            a.csrw(csr::MTVEC, T0);
            a.csr_clear(csr::MSTATUS, st::MPP | st::SUM | st::MXR);
            a.csr_set(csr::MSTATUS, mpp << 11 | st::MPRV | extra);
            a.csrwi(csr::MCAUSE, 0);
            a.ld(A0, T2, 0);
            a.j(&after);
            a.align(4);
            a.label(&l);
            a.label(&after);
            a.csr_clear(csr::MSTATUS, st::MPRV);
            a.la(T0, "mtrap");
            a.csrw(csr::MTVEC, T0);
            match want {
                Ok(v) => a.expect(A0, v),
                Err(_) => a.expect(A0, 0x99),
            }
            a.expect_csr(csr::MCAUSE, want.err().unwrap_or(0));
        };
        let page = Err(cause::LOAD_PAGE);
        load(a, 0, user, 0, Ok(0x11));
        load(a, 0, own, 0, page);
        load(a, 1, own, 0, Ok(0x22));
        load(a, 1, user, 0, page);
        load(a, 1, user, st::SUM, Ok(0x11));
        load(a, 1, exec, 0, page);
        load(a, 1, exec, st::MXR, Ok(0x33));
        load(a, 3, own, 0, Err(cause::LOAD_ACCESS));
        load(a, 1, RAM + DATA, 0, Ok(0x11));
        a.csrwi(csr::SATP, 0);
        t.place(a);
    }));
}

#[test]
fn sum_mxr_and_user_pages() {
    check_both(&program(|a| {
        let mut t = Tables::new(0, 3);
        let (user, own, exec, uexec) = (0x1_0000, 0x1_1000, 0x1_2000, 0x1_3000);
        t.map(user, 0, pte(RAM + DATA, RW | U));
        t.map(own, 0, pte(RAM + DATA + 0x1000, RW));
        t.map(exec, 0, pte(RAM + DATA + 0x2000, V | EX | A));
        t.map(uexec, 0, pte(RAM + DATA + 0x3000, RWX | U));
        for (i, v) in [0x11u64, 0x22, 0x33].into_iter().enumerate() {
            a.data
                .push((DATA + i as u64 * 0x1000, v.to_le_bytes().to_vec()));
        }
        // A function there that returns.
        a.data
            .push((DATA + 0x3000, 0x8082u64.to_le_bytes().to_vec()));
        translate(a, &t, 1);
        let read = |a: &mut Asm, mode, va: u64, want| {
            a.li(A0, va);
            a.attempt(mode, want, |a| a.ld(T1, A0, 0));
        };
        let fault = |va| Want::Trap(cause::LOAD_PAGE, va);
        read(a, Mode::U, user, Want::Value(0x11));
        read(a, Mode::U, own, fault(own));
        read(a, Mode::U, exec, fault(exec));
        read(a, Mode::S, user, fault(user));
        read(a, Mode::S, own, Want::Value(0x22));
        read(a, Mode::S, exec, fault(exec));
        a.csr_set(csr::MSTATUS, st::SUM);
        read(a, Mode::S, user, Want::Value(0x11));
        read(a, Mode::U, own, fault(own));
        // SUM never lets S-mode execute user pages.
        a.li(A0, uexec);
        a.attempt(
            Mode::S,
            Want::TrapAt(cause::FETCH_PAGE, uexec, uexec),
            |a| a.jalr(RA, A0, 0),
        );
        a.attempt(Mode::U, Want::Done, |a| a.jalr(RA, A0, 0));
        a.csr_clear(csr::MSTATUS, st::SUM);
        a.csr_set(csr::MSTATUS, st::MXR);
        read(a, Mode::S, exec, Want::Value(0x33));
        read(a, Mode::S, user, fault(user));
        a.li(A0, exec);
        a.attempt(Mode::S, Want::Trap(cause::STORE_PAGE, exec), |a| {
            a.sd(0, A0, 0)
        });
        a.csr_clear(csr::MSTATUS, st::MXR);
        read(a, Mode::S, exec, fault(exec));
        t.place(a);
    }));
}

#[test]
fn status_fields_hold_only_what_exists() {
    check_both(&program(|a| {
        // MPP = 2 is reserved.
        a.csr_set(csr::MSTATUS, st::MPP);
        a.csr_clear(csr::MSTATUS, 1 << 11);
        a.csrr(T1, csr::MSTATUS);
        a.srli(T1, T1, 11);
        a.andi(T1, T1, 3);
        a.addi(T1, T1, -2);
        a.sltiu(T1, T1, 1);
        a.expect(T1, 0);
        // UXL and SXL are 2; UBE, SBE, MBE are little-endian.
        a.csr_li(csr::MSTATUS, st::FS);
        a.expect_csr_bits(csr::MSTATUS, 0xf << 32, 0xa << 32);
        // sstatus is a window on mstatus.
        a.csr_set(
            csr::SSTATUS,
            st::SUM | st::MPRV | st::TW | st::SIE | st::MIE,
        );
        a.expect_csr_bits(
            csr::MSTATUS,
            st::SUM | st::MPRV | st::TW | st::SIE | st::MIE,
            st::SUM | st::SIE,
        );
        a.csr_clear(csr::SSTATUS, st::SUM | st::SIE);
        // Reserved modes of tvec.
        a.csrr(A0, csr::STVEC);
        a.csr_li(csr::STVEC, 0x8000_0000);
        a.csr_li(csr::STVEC, 0x8000_1002);
        a.expect_csr_bits(csr::STVEC, 2, 0);
        a.csrw(csr::STVEC, A0);
        // satp with a reserved mode is not written at all.
        a.csr_li(csr::SATP, 0);
        a.csr_li(csr::SATP, 5 << 60 | 0x1234);
        a.expect_csr(csr::SATP, 0);
        a.csr_li(csr::MIE, u64::MAX);
        a.expect_csr_bits(csr::MIE, 0xaaa, 0xaaa);
        a.csrwi(csr::MIE, 0);
        a.csr_li(csr::MIDELEG, u64::MAX);
        a.expect_csr_bits(csr::MIDELEG, 0xaaa, 0x222);
        a.csrwi(csr::MIDELEG, 0);
    }));
}
