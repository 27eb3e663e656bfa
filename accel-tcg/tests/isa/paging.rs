//! Translation: Sv39, Sv48, Sv57, the extensions of page-table entries, and when caches must forget.

use super::asm::*;
use super::harness::*;
use super::pages::*;

const VA: u64 = 0x1_0000;

/// Stores a page-table entry from the program, in M-mode; uses [`T5`] and [`T6`].
fn set_pte(a: &mut Asm, at: u64, entry: u64) {
    a.li(T5, at);
    a.li(T6, entry);
    a.sd(T6, T5, 0);
}

fn read(a: &mut Asm, mode: Mode, va: u64, want: Want) {
    a.li(A0, va);
    a.attempt(mode, want, |a| a.ld(T1, A0, 0));
}
fn write(a: &mut Asm, mode: Mode, va: u64, want: Want) {
    a.li(A0, va);
    a.attempt(mode, want, |a| a.sd(A0, A0, 0));
}
fn numbers(a: &mut Asm, n: u64) {
    for i in 0..n {
        a.data
            .push((DATA + i * 0x1000, (0x100 + i).to_le_bytes().to_vec()));
    }
}

#[test]
fn all_schemes_translate_and_check_canonical_addresses() {
    for levels in [3, 4, 5] {
        let bits = 12 + 9 * levels;
        check_both(&program(|a| {
            let mut t = Tables::new(0, levels);
            let high = (1u64 << (bits - 1)).wrapping_neg(); // the first negative address
            t.map(VA, 0, pte(RAM + DATA, RW));
            t.map(high, 0, pte(RAM + DATA + 0x1000, RW));
            t.map(0x4020_0000, 1, pte(RAM + DATA, RW));
            numbers(a, 2);
            translate(a, &t, 7);
            read(a, Mode::S, VA, Want::Value(0x100));
            read(a, Mode::S, high, Want::Value(0x101));
            // A 2 MiB page.
            read(a, Mode::S, 0x4020_1000, Want::Value(0x101));
            let hole = 1u64 << (bits - 1);
            read(a, Mode::S, hole, Want::Trap(cause::LOAD_PAGE, hole));
            write(
                a,
                Mode::S,
                high & !(1 << 63),
                Want::Trap(cause::STORE_PAGE, high & !(1 << 63)),
            );
            a.li(A0, hole + 2);
            a.attempt(
                Mode::S,
                Want::TrapAt(cause::FETCH_PAGE, hole + 2, hole + 2),
                |a| a.jalr(RA, A0, 0),
            );
            a.expect_csr(csr::SATP, t.satp(7));
            a.csrwi(csr::SATP, 0);
            t.place(a);
        }));
    }
}

#[test]
fn accessed_and_dirty_bits_fault_without_svadu_and_are_set_with_it() {
    check_both(&program(|a| {
        let mut t = Tables::new(0, 3);
        let mut place = |page: u64, flags| {
            t.map(
                VA + page * 0x1000,
                0,
                pte(RAM + DATA + page * 0x1000, flags),
            )
        };
        let clean = V | RD | WR | EX;
        let at = [
            place(0, clean),
            place(1, clean | A),
            place(2, clean),
            place(3, clean | A | D),
            place(4, clean | A),
        ];
        numbers(a, 4);
        a.data
            .push((DATA + 0x2000, 0x8082u64.to_le_bytes().to_vec()));
        translate(a, &t, 0);
        let page = |n: u64| VA + n * 0x1000;
        read(a, Mode::S, page(0), Want::Trap(cause::LOAD_PAGE, page(0)));
        write(a, Mode::S, page(0), Want::Trap(cause::STORE_PAGE, page(0)));
        a.li(A0, page(2));
        a.attempt(
            Mode::S,
            Want::TrapAt(cause::FETCH_PAGE, page(2), page(2)),
            |a| a.jalr(RA, A0, 0),
        );
        read(a, Mode::S, page(1), Want::Value(0x101));
        write(a, Mode::S, page(1), Want::Trap(cause::STORE_PAGE, page(1)));
        a.expect_mem(at[0], pte(RAM + DATA, clean));
        a.expect_mem(at[1], pte(RAM + DATA + 0x1000, clean | A));
        a.csr_li(csr::MENVCFG, 1 << 61);
        a.sfence_vma(0, 0);
        read(a, Mode::S, page(0), Want::Value(0x100));
        a.expect_mem(at[0], pte(RAM + DATA, clean | A));
        // After the load is cached the first store has to walk again.
        write(a, Mode::S, page(0), Want::Done);
        a.expect_mem(at[0], pte(RAM + DATA, clean | A | D));
        a.li(A0, page(2));
        a.attempt(Mode::S, Want::Done, |a| a.jalr(RA, A0, 0));
        a.expect_mem(at[2], pte(RAM + DATA + 0x2000, clean | A));
        // An atomic is a store, also when it changes nothing.
        a.li(A0, page(4));
        a.attempt(Mode::S, Want::Value(0), |a| {
            a.ld(T1, A0, 0);
            a.amo(8, 3, T1, A0, 0);
        });
        a.expect_mem(at[4], pte(RAM + DATA + 0x4000, clean | A | D));
        a.csrwi(csr::MENVCFG, 0);
        a.csrwi(csr::SATP, 0);
        t.place(a);
    }));
}

#[test]
fn reserved_entries_fault() {
    check_both(&program(|a| {
        let mut t = Tables::new(0, 3);
        let cases = [
            0,                   // not valid
            RD | WR | A | D,     // not valid, though the rest is good
            V | WR | A | D,      // write without read
            V | WR | EX | A | D, // the same
            RW | 1 << 54,        // reserved
            RW | 1 << 60,        // reserved
            RW | 3 << 61,        // reserved memory type
            RW | 1 << 61,        // memory type while PBMTE is 0
            V,                   // a pointer at the last level
        ];
        for (i, flags) in cases.iter().enumerate() {
            t.map(VA + i as u64 * 0x1000, 0, pte(RAM + DATA, *flags));
        }
        // A misaligned 2 MiB page, a misaligned 1 GiB page, pointers with bits that leaves have.
        t.map(0x0020_0000, 1, pte(RAM + DATA + 0x1000, RW));
        t.map(0x1_4000_0000, 2, pte(RAM + DATA, RW));
        for (i, bit) in [A, D, U, 1 << 61, N].into_iter().enumerate() {
            t.map(
                0x0040_0000 + i as u64 * 0x20_0000,
                1,
                pte(RAM + DATA, V | bit),
            );
        }
        translate(a, &t, 0);
        let mut all: Vec<u64> = (0..cases.len() as u64).map(|i| VA + i * 0x1000).collect();
        all.extend([0x0020_0000, 0x1_4000_0000]);
        all.extend((0..5).map(|i| 0x0040_0000 + i * 0x20_0000));
        for va in all {
            read(a, Mode::S, va + 8, Want::Trap(cause::LOAD_PAGE, va + 8));
            write(a, Mode::S, va, Want::Trap(cause::STORE_PAGE, va));
        }
        a.csrwi(csr::SATP, 0);
        t.place(a);
    }));
}

#[test]
fn tables_outside_memory_are_access_faults() {
    check_both(&program(|a| {
        let mut t = Tables::new(0, 3);
        t.map(0x0020_0000, 1, pte(0x0180_0000, V));
        translate(a, &t, 0);
        read(
            a,
            Mode::S,
            0x0020_0000,
            Want::Trap(cause::LOAD_ACCESS, 0x0020_0000),
        );
        write(
            a,
            Mode::S,
            0x0020_0000,
            Want::Trap(cause::STORE_ACCESS, 0x0020_0000),
        );
        a.li(A0, 0x0020_0000);
        a.attempt(
            Mode::S,
            Want::TrapAt(cause::FETCH_ACCESS, 0x0020_0000, 0x0020_0000),
            |a| a.jalr(RA, A0, 0),
        );
        a.csrwi(csr::SATP, 0);
        t.place(a);
    }));
}

#[test]
fn svnapot_and_svpbmt() {
    check_both(&program(|a| {
        let mut t = Tables::new(0, 3);
        // 64 KiB with N: the low four bits of the page number are 1000.
        let block = RAM + DATA + 0x8000;
        for i in 0..16 {
            t.map(0x2_0000 + i * 0x1000, 0, pte(block, RW | N));
        }
        // Other patterns are reserved, and so is N above the last level.
        t.map(0x4_0000, 0, pte(RAM + DATA + 0x4000, RW | N));
        t.map(0x0020_0000, 1, pte(RAM + 0x20_0000, RW | N));
        t.map(0x5_0000, 0, pte(RAM + DATA + 0x1000, RW | 1 << 61));
        t.map(0x5_1000, 0, pte(RAM + DATA + 0x2000, RW | 2 << 61));
        numbers(a, 16);
        translate(a, &t, 0);
        for i in [0u64, 3, 8, 15] {
            read(a, Mode::S, 0x2_0000 + i * 0x1000, Want::Value(0x100 + i));
        }
        for va in [0x4_0000, 0x0020_0000, 0x5_0000, 0x5_1000] {
            read(a, Mode::S, va, Want::Trap(cause::LOAD_PAGE, va));
        }
        a.csr_li(csr::MENVCFG, 1 << 62);
        a.sfence_vma(0, 0);
        read(a, Mode::S, 0x5_0000, Want::Value(0x101));
        read(a, Mode::S, 0x5_1000, Want::Value(0x102));
        a.csrwi(csr::MENVCFG, 0);
        a.csrwi(csr::SATP, 0);
        t.place(a);
    }));
}

#[test]
fn fences_make_changes_visible() {
    check_both(&program(|a| {
        let mut t = Tables::new(0, 3);
        let at = t.map(VA, 0, pte(RAM + DATA, RW));
        numbers(a, 4);
        translate(a, &t, 3);
        let mut n = 0;
        // Each kind of fence that covers the page, from M-mode and from S-mode.
        for mode in [Mode::M, Mode::S] {
            for kind in 0..6 {
                read(a, Mode::S, VA, Want::Value(0x100 + n % 4));
                n += 1;
                set_pte(a, at, pte(RAM + DATA + n % 4 * 0x1000, RW));
                a.li(A0, VA + 0x123);
                a.li(A1, 3);
                a.attempt(mode, Want::Done, |a| match kind {
                    0 => a.sfence_vma(0, 0),
                    1 => a.sfence_vma(A0, 0),
                    2 => a.sfence_vma(0, A1),
                    3 => a.sfence_vma(A0, A1),
                    4 => {
                        a.sfence_w_inval();
                        a.sinval_vma(A0, 0);
                        a.sfence_inval_ir();
                    }
                    _ => {
                        a.sfence_w_inval();
                        a.sinval_vma(A0, A1);
                        a.sfence_inval_ir();
                    }
                });
            }
        }
        // Global mappings: only a fence for all address spaces counts.
        set_pte(a, at, pte(RAM + DATA, RW | G));
        a.sfence_vma(0, 0);
        read(a, Mode::S, VA, Want::Value(0x100));
        set_pte(a, at, pte(RAM + DATA + 0x1000, RW | G));
        a.li(A0, VA);
        a.sfence_vma(A0, 0);
        read(a, Mode::S, VA, Want::Value(0x101));
        // Taking rights away and giving them.
        set_pte(a, at, pte(RAM + DATA, V | RD | A | D));
        a.sfence_vma(A0, 0);
        write(a, Mode::S, VA, Want::Trap(cause::STORE_PAGE, VA));
        set_pte(a, at, pte(RAM + DATA + 0x3000, RW));
        a.li(A0, VA);
        a.sfence_vma(A0, 0);
        write(a, Mode::S, VA, Want::Done);
        a.expect_mem(RAM + DATA + 0x3000, VA);
        a.csrwi(csr::SATP, 0);
        t.place(a);
    }));
}

#[test]
fn a_fence_for_one_address_in_a_superpage_covers_all_of_it() {
    check_both(&program(|a| {
        let mut t = Tables::new(0, 3);
        let va = 0x0020_0000;
        let at = t.map(va, 1, pte(RAM + DATA, RWX));
        let big = 0x1_4000_0000;
        let at_big = t.map(big, 2, pte(RAM, RW));
        // Two versions, 2 MiB apart.
        for i in [0u64, 1, 2, 511] {
            a.data
                .push((DATA + i * 0x1000, (0x100 + i).to_le_bytes().to_vec()));
            a.data.push((
                DATA + 0x20_0000 + i * 0x1000,
                (0x200 + i).to_le_bytes().to_vec(),
            ));
        }
        translate(a, &t, 3);
        for (asid, first) in [(false, 0x100), (true, 0x200), (false, 0x100)] {
            for i in [0u64, 1, 2, 511] {
                read(a, Mode::S, va + i * 0x1000, Want::Value(first + i));
            }
            let other = if first == 0x100 { 0x20_0000 } else { 0 };
            set_pte(a, at, pte(RAM + DATA + other, RWX));
            a.li(A0, va + 0x2000);
            a.li(A1, 3);
            a.sfence_vma(A0, if asid { A1 } else { X0 });
        }
        for i in [0u64, 1, 2, 511] {
            read(a, Mode::S, va + i * 0x1000, Want::Value(0x200 + i));
        }
        // Stores and fetches, too.
        write(a, Mode::S, va + 0x1ff_ff8, Want::Done);
        set_pte(a, at, pte(RAM + DATA, V | RD | A));
        a.li(A0, va);
        a.sfence_vma(A0, 0);
        write(
            a,
            Mode::S,
            va + 0x1ff_ff8,
            Want::Trap(cause::STORE_PAGE, va + 0x1ff_ff8),
        );
        read(a, Mode::S, big + DATA + 0x1000, Want::Value(0x101));
        read(a, Mode::S, big + DATA + 0x2000, Want::Value(0x102));
        set_pte(a, at_big, 0);
        a.li(A0, big);
        a.sfence_vma(A0, 0);
        read(
            a,
            Mode::S,
            big + DATA + 0x1000,
            Want::Trap(cause::LOAD_PAGE, big + DATA + 0x1000),
        );
        a.csrwi(csr::SATP, 0);
        t.place(a);
    }));
}

/// Code at a virtual address whose page depends on the address space: returns a constant in `a0`, calling a function on the next page.
fn two_spaces(a: &mut Asm, levels: u32, global: u64) -> (Tables, Tables) {
    let mut spaces = Vec::new();
    for (i, value) in [(0u64, 11), (1, 22)] {
        let mut t = Tables::new(i, levels);
        let pa = DATA + i * 0x1_0000;
        t.map(VA, 0, pte(RAM + pa, RX | RD));
        t.map(VA + 0x1000, 0, pte(RAM + pa + 0x1000, RX | RD | global));
        let mut f = Asm::new_at(VA);
        f.mv(S2, RA);
        f.li(A0, value);
        f.li(A1, 5);
        f.label("loop");
        f.jal(RA, "far");
        f.addi(A1, A1, -1);
        f.bne(A1, 0, "loop");
        f.mv(RA, S2);
        f.ret();
        f.bytes.resize(0x1000, 0);
        f.label("far");
        f.addi(A0, A0, value as i32);
        f.ret();
        f.finish();
        a.data.push((pa, f.bytes));
        spaces.push(t);
    }
    let second = spaces.pop().unwrap();
    (spaces.pop().unwrap(), second)
}

#[test]
fn two_address_spaces_with_different_code_at_the_same_address() {
    for levels in [3, 5] {
        check_both(&program(|a| {
            let (one, two) = two_spaces(a, levels, 0);
            a.user_alias = USER;
            a.li(S3, one.satp(1));
            a.li(S4, two.satp(2));
            a.li(S5, 40);
            a.li(A4, 0);
            a.li(A5, VA);
            a.sfence_vma(0, 0);
            a.csrw(csr::SATP, S3);
            a.enter(Mode::S);
            // Back and forth without a fence: the identifiers differ.
            a.label("again");
            a.csrw(csr::SATP, S3);
            a.jalr(RA, A5, 0);
            a.slli(A4, A4, 1);
            a.add(A4, A4, A0);
            a.csrw(csr::SATP, S4);
            a.jalr(RA, A5, 0);
            a.slli(A4, A4, 1);
            a.xor(A4, A4, A0);
            a.addi(S5, S5, -1);
            a.bne(S5, 0, "again");
            a.leave();
            let mut sum = 0u64;
            for _ in 0..40 {
                sum = (sum << 1).wrapping_add(66);
                sum = (sum << 1) ^ 132;
            }
            a.expect(A4, sum);
            a.csrwi(csr::SATP, 0);
            one.place(a);
            two.place(a);
        }));
    }
}

#[test]
fn one_identifier_for_two_spaces_needs_a_fence() {
    check_both(&program(|a| {
        let (one, two) = two_spaces(a, 3, 0);
        a.user_alias = USER;
        a.li(S3, one.satp(9));
        a.li(S4, two.satp(9));
        a.li(A5, VA);
        a.csrw(csr::SATP, S3);
        a.sfence_vma(0, 0);
        for (space, want) in [(S3, 66), (S4, 132), (S3, 66), (S4, 132)] {
            a.csrw(csr::SATP, space);
            a.li(A1, 9);
            a.sfence_vma(0, A1);
            a.attempt(Mode::S, Want::Value(want), |a| {
                a.jalr(RA, A5, 0);
                a.mv(T1, A0);
            });
        }
        a.csrwi(csr::SATP, 0);
        one.place(a);
        two.place(a);
    }));
}

#[test]
fn code_that_is_remapped_is_fetched_anew_after_the_fence() {
    check_both(&program(|a| {
        let mut t = Tables::new(0, 3);
        let at = t.map(VA, 0, pte(RAM + DATA, RX));
        for i in 0..2u64 {
            let mut f = Asm::default();
            f.addi(A0, A0, 1 + 99 * i as i32);
            f.ret();
            a.data.push((DATA + i * 0x1000, f.bytes));
        }
        translate(a, &t, 0);
        a.li(A0, 0);
        a.li(A5, VA);
        for i in 0..6u64 {
            a.attempt(Mode::S, Want::Done, |a| {
                for _ in 0..5 {
                    a.jalr(RA, A5, 0);
                }
            });
            set_pte(a, at, pte(RAM + DATA + (i + 1) % 2 * 0x1000, RX));
            if i % 2 == 0 {
                a.sfence_vma(A5, 0);
            } else {
                a.sfence_vma(0, 0);
            }
        }
        a.expect(A0, 3 * 5 * 101);
        // Execution is taken away.
        set_pte(a, at, pte(RAM + DATA, V | RD | A));
        a.sfence_vma(A5, 0);
        a.attempt(Mode::S, Want::TrapAt(cause::FETCH_PAGE, VA, VA), |a| {
            a.jalr(RA, A5, 0)
        });
        a.csrwi(csr::SATP, 0);
        t.place(a);
    }));
}

#[test]
fn many_address_spaces_are_kept_apart() {
    // More than there are banks.
    check_both(&program(|a| {
        let mut all = Vec::new();
        for i in 0..24 {
            let mut t = Tables::new(i, 3);
            t.map(VA, 0, pte(RAM + DATA + i * 0x1000, RW));
            all.push(t);
        }
        numbers(a, 24);
        a.user_alias = USER;
        a.csrwi(csr::SATP, 0);
        a.sfence_vma(0, 0);
        for round in 0..3u64 {
            for (i, t) in all.iter().enumerate() {
                a.csr_li(csr::SATP, t.satp(100 + i as u64));
                a.li(A0, VA);
                a.attempt(
                    Mode::S,
                    Want::Value(0x100 + i as u64 + round * 0x1000),
                    |a| {
                        a.ld(T1, A0, 0);
                        a.li(A1, 0x1000);
                        a.add(A1, A1, T1);
                        a.sd(A1, A0, 0);
                    },
                );
            }
        }
        a.csrwi(csr::SATP, 0);
        all.into_iter().for_each(|t| t.place(a));
    }));
}
