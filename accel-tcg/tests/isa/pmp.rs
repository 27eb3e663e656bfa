//! Physical memory protection.

use super::asm::*;
use super::harness::*;
use super::pages::*;

const AT: u64 = RAM + DATA;

/// Sets entry `i`: configuration byte and address register. Uses [`T5`] and [`T6`].
fn entry(a: &mut Asm, i: u32, cfg: u64, addr: u64) {
    a.csr_li(csr::PMPADDR0 + i, addr);
    let shift = 8 * u64::from(i % 8);
    let reg = csr::PMPCFG0 + i / 8 * 2;
    a.csr_clear(reg, 0xff << shift);
    a.csr_set(reg, cfg << shift);
    a.sfence_vma(0, 0);
}

/// The entry that opens everything, last.
fn open(a: &mut Asm) {
    entry(a, 15, 0x1f, u64::MAX >> 10);
}

fn napot(base: u64, size: u64) -> u64 {
    base >> 2 | (size / 8 - 1)
}

fn load(a: &mut Asm, mode: Mode, va: u64, ok: bool) {
    a.li(A0, va);
    let want = if ok {
        Want::Done
    } else {
        Want::Trap(cause::LOAD_ACCESS, va)
    };
    a.attempt(mode, want, |a| a.ld(T1, A0, 0));
}
fn store(a: &mut Asm, mode: Mode, va: u64, ok: bool) {
    a.li(A0, va);
    let want = if ok {
        Want::Done
    } else {
        Want::Trap(cause::STORE_ACCESS, va)
    };
    a.attempt(mode, want, |a| a.sd(T1, A0, 0));
}

#[test]
fn napot_tor_and_na4_regions() {
    check_both(&program(|a| {
        open(a);
        entry(a, 0, 0x19, napot(AT, 0x1000)); // read-only page
        load(a, Mode::S, AT, true);
        load(a, Mode::U, AT + 0xff8, true);
        store(a, Mode::S, AT, false);
        store(a, Mode::S, AT + 0x1000, true);
        // M-mode is not affected by an entry that is not locked.
        store(a, Mode::M, AT, true);
        entry(a, 0, 0x1a & !2, napot(AT, 0x1000)); // nothing at all
        load(a, Mode::S, AT + 8, false);
        load(a, Mode::S, AT + 0x1000, true);
        // Top of range: entry 0 only bounds entry 1.
        entry(a, 0, 0, AT >> 2);
        entry(a, 1, 0x09, (AT + 0x2000) >> 2);
        load(a, Mode::U, AT + 0x1ff8, true);
        store(a, Mode::U, AT + 0x1ff8, false);
        store(a, Mode::U, AT + 0x2000, true);
        // Four bytes inside a page: the others are as before.
        entry(a, 1, 0, 0);
        entry(a, 0, 0x10, (AT + 0x100) >> 2);
        load(a, Mode::S, AT + 0xf8, true);
        load(a, Mode::S, AT + 0x100, false);
        load(a, Mode::S, AT + 0x108, true);
        store(a, Mode::S, AT + 0x108, true);
        // An access that only touches the region fails as a whole.
        a.li(A0, AT + 0xfe);
        a.li(T1, 0x44);
        a.attempt(Mode::S, Want::Trap(cause::LOAD_ACCESS, AT + 0xfe), |a| {
            a.lw(T1, A0, 0)
        });
        a.expect(T1, 0x44);
        a.attempt(Mode::S, Want::Done, |a| a.lh(T1, A0, 0));
        entry(a, 0, 0, 0);
    }));
}

#[test]
fn execution_is_checked() {
    check_both(&program(|a| {
        let mut f = Asm::new_at(0);
        for _ in 0..4 {
            f.addi(A1, A1, 1);
        }
        f.ret();
        a.data.push((DATA, f.bytes));
        open(a);
        a.li(A0, AT);
        a.li(A1, 0);
        a.attempt(Mode::S, Want::Done, |a| a.jalr(RA, A0, 0));
        entry(a, 0, 0x1b, napot(AT, 0x1000));
        a.attempt(Mode::S, Want::TrapAt(cause::FETCH_ACCESS, AT, AT), |a| {
            a.jalr(RA, A0, 0)
        });
        a.attempt(Mode::M, Want::Done, |a| a.jalr(RA, A0, 0));
        // A region inside the page: runs up to it.
        entry(a, 0, 0x18, napot(AT + 8, 8));
        a.attempt(
            Mode::S,
            Want::TrapAt(cause::FETCH_ACCESS, AT + 8, AT + 8),
            |a| a.jalr(RA, A0, 0),
        );
        a.expect(A1, 4 + 4 + 2);
        entry(a, 0, 0, 0);
        a.attempt(Mode::S, Want::Done, |a| a.jalr(RA, A0, 0));
        a.expect(A1, 14);
    }));
}

#[test]
fn locked_entries_bind_machine_mode_and_cannot_be_changed() {
    check_both(&program(|a| {
        open(a);
        load(a, Mode::M, AT, true);
        entry(a, 0, 0x99, napot(AT, 0x1000)); // locked, read-only
        load(a, Mode::M, AT, true);
        store(a, Mode::M, AT, false);
        store(a, Mode::M, AT + 0x1000, true);
        entry(a, 0, 0x1f, napot(AT + 0x1000, 0x1000));
        a.expect_csr(csr::PMPADDR0, napot(AT, 0x1000));
        a.expect_csr_bits(csr::PMPCFG0, 0xff, 0x99);
        store(a, Mode::M, AT, false);
        // A locked top-of-range entry locks the address below it, too.
        a.csr_li(csr::PMPADDR0 + 3, (AT + 0x3000) >> 2);
        entry(a, 4, 0x88 | 1, (AT + 0x4000) >> 2);
        a.csr_li(csr::PMPADDR0 + 3, 0);
        a.expect_csr(csr::PMPADDR0 + 3, (AT + 0x3000) >> 2);
        store(a, Mode::M, AT + 0x3000, false);
        store(a, Mode::M, AT + 0x2000, true);
    }));
}

#[test]
fn entries_hold_only_legal_values() {
    check_both(&program(|a| {
        open(a);
        a.csr_li(csr::PMPADDR0, u64::MAX);
        a.csrr(T1, csr::PMPADDR0);
        // QEMU keeps the ten high bits, which the manual wants to be zero.
        a.expect_own(T1, u64::MAX >> 10);
        a.csrwi(csr::PMPADDR0, 0);
        // Bits 5 and 6 of a configuration do not exist.
        entry(a, 0, 0x61, 0);
        a.csrr(T1, csr::PMPCFG0);
        a.andi(T1, T1, 0xff);
        a.expect_own(T1, 0x01);
        a.csr_clear(csr::PMPCFG0, 0xff);
        // Odd configuration registers do not exist with 64 bits.
        let w = (csr::PMPCFG0 + 1) << 20 | 2 << 12 | T1 << 7 | 0x73;
        a.attempt(Mode::M, Want::Trap(cause::ILLEGAL, u64::from(w)), |a| {
            a.w(w)
        });
    }));
}

#[test]
fn page_tables_are_protected_and_translated_accesses_checked() {
    check_both(&program(|a| {
        let mut t = Tables::new(0, 3);
        let va = 0x1_0000;
        t.map(va, 0, pte(AT, RWX));
        let leaf = t.entry(va, 0) & !0xfff;
        open(a);
        translate(a, &t, 0);
        load(a, Mode::S, va, true);
        // The result of the translation.
        entry(a, 0, 0x18, napot(AT, 0x1000));
        load(a, Mode::S, va, false);
        store(a, Mode::U, RAM + DATA + USER, false);
        // The table on the way, also for what comes from another mode.
        entry(a, 0, 0x18, napot(leaf, 0x1000));
        load(a, Mode::S, va, false);
        a.li(A0, va + 2);
        a.attempt(
            Mode::S,
            Want::TrapAt(cause::FETCH_ACCESS, va + 2, va + 2),
            |a| a.jalr(RA, A0, 0),
        );
        // Readable is enough, until hardware has to set a bit.
        entry(a, 0, 0x19, napot(leaf, 0x1000));
        load(a, Mode::S, va, true);
        store(a, Mode::S, va, true);
        entry(a, 0, 0, 0);
        a.csrwi(csr::SATP, 0);
        t.place(a);
    }));
}

#[test]
fn mprv_uses_the_rights_of_the_other_mode() {
    check_both(&program(|a| {
        open(a);
        entry(a, 0, 0x18, napot(AT, 0x1000));
        for (mpp, ok) in [(0u64, false), (1, false), (3, true)] {
            let (l, after) = (a.fresh(), a.fresh());
            a.li(A0, 0x5a);
            a.li(T2, AT);
            a.la(T0, &l);
            a.csrw(csr::MTVEC, T0);
            a.csrwi(csr::MCAUSE, 0);
            a.csr_clear(csr::MSTATUS, st::MPP);
            a.csr_set(csr::MSTATUS, mpp << 11 | st::MPRV);
            a.lbu(A0, T2, 0);
            a.j(&after);
            a.align(4);
            a.label(&l);
            a.label(&after);
            a.csr_clear(csr::MSTATUS, st::MPRV);
            a.la(T0, "mtrap");
            a.csrw(csr::MTVEC, T0);
            a.expect(A0, if ok { 0 } else { 0x5a });
            a.expect_csr(csr::MCAUSE, if ok { 0 } else { cause::LOAD_ACCESS });
        }
        entry(a, 0, 0, 0);
    }));
}
