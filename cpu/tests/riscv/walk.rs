//! The walker against an independent one, and corner cases by hand.

use ambidex_cpu::riscv::{
    Access, AddressMode, Exception, Mapping, Pbmt, Perms, Priv, PteFault, SliceMem, Trap,
    WalkConfig, WalkMem, probe, walk,
};
use ambidex_memory::Gpa;
use proptest::prelude::*;

const V: u64 = 1;
const R: u64 = 2;
const W: u64 = 4;
const X: u64 = 8;
const U: u64 = 16;
const G: u64 = 32;
const A: u64 = 64;
const D: u64 = 128;
const N: u64 = 1 << 63;

const TABLES: u64 = 8;
const ACCESSES: [Access; 3] = [Access::Read, Access::Write, Access::Fetch];

/// A memory of page tables: TABLES pages from address 0.
fn ram(entries: &[(u64, u64, u64)]) -> Vec<u8> {
    let mut bytes = vec![0; (TABLES * 4096) as usize];
    for &(page, index, pte) in entries {
        let at = (page * 4096 + index * 8) as usize;
        bytes[at..at + 8].copy_from_slice(&pte.to_le_bytes());
    }
    bytes
}

fn cfg(mode: AddressMode) -> WalkConfig {
    WalkConfig {
        mode,
        privilege: Priv::Supervisor,
        ..WalkConfig::BARE
    }
}

fn run(c: &WalkConfig, bytes: &mut [u8], va: u64, access: Access) -> Result<Mapping, Trap> {
    walk(
        c,
        va,
        access,
        &mut SliceMem {
            base: Gpa(0),
            bytes,
        },
    )
}

// ---- an independent walker: fields as slices of a bit string, recursion, outcome by exception

fn bits(value: u64, hi: u32, lo: u32) -> u64 {
    (u128::from(value) >> lo & ((1u128 << (hi - lo + 1)) - 1)) as u64
}

fn naive(
    c: &WalkConfig,
    mem: &mut [u8],
    va: u64,
    access: Access,
) -> Result<(u64, u32, bool, Pbmt), Exception> {
    let (pf, af) = match access {
        Access::Fetch => (Exception::FetchPage, Exception::FetchAccess),
        Access::Read => (Exception::LoadPage, Exception::LoadAccess),
        Access::Write => (Exception::StorePage, Exception::StoreAccess),
    };
    let va_bits = match c.mode {
        AddressMode::Bare => return Ok((va, 12, false, Pbmt::Pma)),
        AddressMode::Sv39 => 39,
        AddressMode::Sv48 => 48,
        AddressMode::Sv57 => 57,
    };
    let sign = bits(va, va_bits - 1, va_bits - 1);
    if bits(va, 63, va_bits)
        != if sign == 1 {
            (1u64 << (64 - va_bits)) - 1
        } else {
            0
        }
    {
        return Err(pf);
    }
    let levels = (va_bits - 12) / 9;
    naive_level(c, mem, va, access, c.root.0, levels - 1, false, (pf, af))
}

#[allow(clippy::too_many_arguments)]
fn naive_level(
    c: &WalkConfig,
    mem: &mut [u8],
    va: u64,
    access: Access,
    table: u64,
    i: u32,
    global: bool,
    (pf, af): (Exception, Exception),
) -> Result<(u64, u32, bool, Pbmt), Exception> {
    let lo = 12 + 9 * i;
    let at = table + 8 * bits(va, lo + 8, lo);
    if at + 8 > mem.len() as u64 {
        return Err(af);
    }
    let slot = at as usize..at as usize + 8;
    let pte = u64::from_le_bytes(mem[slot.clone()].try_into().unwrap());
    let has = |b: u64| pte & b != 0;
    let (ppn, pbmt, reserved) = (bits(pte, 53, 10), bits(pte, 62, 61), bits(pte, 60, 54));
    if !has(V) || has(W) && !has(R) || reserved != 0 {
        return Err(pf);
    }
    if pbmt == 3 || pbmt != 0 && !c.pbmte || has(N) && !c.svnapot {
        return Err(pf);
    }
    let global = global || has(G);
    if !has(R) && !has(X) {
        if has(A) || has(D) || has(U) || has(N) || pbmt != 0 || i == 0 {
            return Err(pf);
        }
        return naive_level(c, mem, va, access, ppn * 4096, i - 1, global, (pf, af));
    }
    let u = c.privilege == Priv::User;
    let may = match access {
        Access::Read => has(R) || has(X) && c.mxr,
        Access::Write => has(W),
        Access::Fetch => has(X),
    };
    if !may || u != has(U) && (u || !c.sum || access == Access::Fetch) {
        return Err(pf);
    }
    if i > 0 && bits(ppn, 9 * i - 1, 0) != 0 {
        return Err(pf);
    }
    if has(N) && (i > 0 || bits(ppn, 3, 0) != 8) {
        return Err(pf);
    }
    let mut updated = pte | A;
    if access == Access::Write {
        updated |= D;
    }
    if updated != pte {
        if !c.adue {
            return Err(pf);
        }
        mem[slot].copy_from_slice(&updated.to_le_bytes());
    }
    let shift = if has(N) { 16 } else { 12 + 9 * i };
    let base = ppn * 4096;
    let gpa = if has(N) {
        base - 0x8000 + bits(va, 15, 0)
    } else {
        base + bits(va, shift - 1, 0)
    };
    let kind = [Pbmt::Pma, Pbmt::Nc, Pbmt::Io][pbmt as usize];
    Ok((gpa, shift, global, kind))
}

fn pte() -> impl Strategy<Value = u64> {
    let ppn = prop_oneof![
        6 => 0..TABLES,
        1 => Just(8u64),
        1 => (0u64..4).prop_map(|n| n << 9),
        1 => (0u64..4).prop_map(|n| n << 18),
        1 => (0u64..4).prop_map(|n| n << 27),
        1 => any::<u64>().prop_map(|n| n & ((1 << 44) - 1)),
    ];
    // Pointers, good leaves, and anything at all.
    let flags = prop_oneof![
        6 => Just(V),
        1 => Just(V | G),
        3 => (0u64..256).prop_map(|f| f | V | R | A),
        2 => 0u64..256,
    ];
    let high = prop_oneof![
        12 => Just(0u64),
        2 => Just(N),
        2 => (0u64..4).prop_map(|p| p << 61),
        1 => (0u64..128).prop_map(|r| r << 54),
    ];
    (ppn, flags, high).prop_map(|(p, f, h)| p << 10 | f | h)
}

/// A leaf that is mostly in order: level it is meant for, how its page number ends, flags.
fn leaf() -> impl Strategy<Value = (u32, u64)> {
    let flags = (0u64..128).prop_map(|f| f << 1 | V);
    let high = prop_oneof![
        6 => Just(0u64),
        3 => Just(N),
        2 => (0u64..4).prop_map(|p| p << 61),
        1 => (0u64..7).prop_map(|r| 1 << (54 + r)),
    ];
    let low = prop_oneof![8 => Just(0u64), 1 => (0u32..36).prop_map(|b| 1 << b)];
    (0u32..5, any::<u64>(), low, flags, high).prop_map(|(level, ppn, low, flags, high)| {
        // NAPOT leaves get the only page number they may have.
        let end = if high == N && level == 0 { 8 } else { 0 };
        let aligned = ppn >> (9 * level).max(4) << (9 * level).max(4) | end | low;
        (level, (aligned & ((1 << 44) - 1)) << 10 | flags | high)
    })
}

fn config() -> impl Strategy<Value = WalkConfig> {
    let mode = prop_oneof![
        1 => Just(AddressMode::Bare),
        8 => Just(AddressMode::Sv39),
        8 => Just(AddressMode::Sv48),
        8 => Just(AddressMode::Sv57),
    ];
    let root = prop_oneof![9 => Just(0), 1 => 0..=TABLES];
    let who = prop::sample::select(vec![Priv::User, Priv::Supervisor]);
    (mode, who, any::<[bool; 5]>(), root).prop_map(
        |(mode, privilege, [sum, mxr, pbmte, adue, svnapot], root)| WalkConfig {
            mode,
            root: Gpa(root * 4096),
            privilege,
            sum,
            mxr,
            pbmte,
            adue,
            svnapot,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6000))]
    #[test]
    fn agrees_with_the_naive_walker(
        c in config(),
        entries in prop::collection::vec(pte(), TABLES as usize * 4),
        vpns in any::<[u8; 5]>(),
        low in 0u64..4096,
        flip in prop_oneof![8 => Just(0u64), 1 => (0u32..64).prop_map(|b| 1 << b)],
        (level, end) in leaf(),
        pointer_flip in prop_oneof![8 => Just(0u64), 1 => (0u32..64).prop_map(|b| 1 << b)],
    ) {
        // Indices 0, 1, 2 and 511 in every table, and addresses made of them.
        let index = |n: u8| [0u64, 1, 2, 511][usize::from(n & 3)];
        let mut list: Vec<_> = entries
            .iter()
            .enumerate()
            .map(|(n, &e)| (n as u64 / 4, index(n as u8), e))
            .collect();
        let mut va = low;
        for (level, &n) in vpns.iter().enumerate() {
            va |= index(n) << (12 + 9 * level);
        }
        let used = 12 + 9 * c.mode.levels();
        va = ((va as i64) << (64 - used) >> (64 - used)) as u64 ^ flip;
        // Among the random entries, a path from page 0 down to the leaf.
        let levels = c.mode.levels();
        let at = |depth: u32| va >> (12 + 9 * (levels - 1 - depth)) & 0x1ff;
        let depth = levels.saturating_sub(1 + level);
        for d in 0..depth {
            let flip = if d == 0 { pointer_flip } else { 0 };
            list.push((d.into(), at(d), ((u64::from(d) + 1) << 10 | V) ^ flip));
        }
        if levels > 0 {
            list.push((depth.into(), at(depth), end));
        }
        for access in ACCESSES {
            let (mut left, mut right) = (ram(&list), ram(&list));
            let got = run(&c, &mut left, va, access);
            let want = naive(&c, &mut right, va, access);
            let short = got.map(|m| (m.gpa.0, m.page_shift, m.global, m.pbmt));
            prop_assert_eq!(short, want.map_err(|e| Trap::exception(e, va)));
            prop_assert_eq!(&left, &right, "accessed and dirty bits");
            let Ok(m) = got else { continue };
            // The permissions are those other accesses find, dirty bits apart.
            for other in ACCESSES {
                let again = naive(&WalkConfig { adue: true, ..c }, &mut right.clone(), va, other);
                prop_assert_eq!(m.perms.contains(other.perm()), again.is_ok());
                if other == Access::Write {
                    let dirty = naive(&WalkConfig { adue: false, ..c }, &mut right.clone(), va, other);
                    prop_assert_eq!(m.writable_now, dirty.is_ok());
                }
            }
            let seen = probe(&c, va, &mut SliceMem { base: Gpa(0), bytes: &mut left });
            prop_assert_eq!(seen.map(|m| m.gpa), Some(m.gpa));
        }
    }

    #[test]
    fn canonical_addresses(va in any::<u64>()) {
        for (mode, top) in [(AddressMode::Sv39, 38), (AddressMode::Sv48, 47), (AddressMode::Sv57, 56)] {
            let high = va >> top;
            prop_assert_eq!(mode.is_canonical(va), high == 0 || high == u64::MAX >> top);
            prop_assert!(mode.is_canonical(((va as i64) << (63 - top) >> (63 - top)) as u64));
        }
        prop_assert!(AddressMode::Bare.is_canonical(va));
    }
}

// ---- by hand

/// Sv39: page 0 → page 1 → page 2, whose entry 3 is `leaf`; virtual page 3.
fn three_levels(leaf: u64) -> Vec<u8> {
    ram(&[(0, 0, 1 << 10 | V), (1, 0, 2 << 10 | V), (2, 3, leaf)])
}

const PAGE: u64 = 0x3abc;

fn page_fault(access: Access) -> Result<Mapping, Trap> {
    Err(Trap::exception(Exception::page_fault(access), PAGE))
}

#[test]
fn three_level_page() {
    let m = run(
        &cfg(AddressMode::Sv39),
        &mut three_levels(0x80 << 10 | V | R | W | A),
        PAGE,
        Access::Read,
    );
    let m = m.unwrap();
    assert_eq!((m.gpa, m.page_shift), (Gpa(0x80abc), 12));
    assert_eq!(m.perms, Perms::READ | Perms::WRITE);
    assert!(!m.writable_now && !m.user && !m.global);
    let m = run(
        &cfg(AddressMode::Sv39),
        &mut three_levels(0x80 << 10 | V | R | W | A | D | G),
        PAGE,
        Access::Write,
    );
    assert!(m.is_ok_and(|m| m.writable_now && m.global));
}

#[test]
fn superpages_of_every_level() {
    for (mode, levels) in [
        (AddressMode::Sv39, 3),
        (AddressMode::Sv48, 4),
        (AddressMode::Sv57, 5),
    ] {
        for level in 0..levels {
            // The leaf sits where `level` tables remain below it.
            let depth = levels - 1 - level;
            let leaf = |ppn: u64| {
                let mut list: Vec<_> = (0..depth).map(|d| (d, 0, (d + 1) << 10 | V)).collect();
                list.push((depth, 0, ppn << 10 | V | R | A));
                ram(&list)
            };
            let shift = 12 + 9 * level as u32;
            let va = 0xabc;
            let m = run(&cfg(mode), &mut leaf(1 << (9 * level)), va, Access::Read).unwrap();
            assert_eq!((m.gpa.0, m.page_shift), (1 << shift | 0xabc, shift));
            if level > 0 {
                for bit in [0, 9 * level - 1] {
                    let bad = run(
                        &cfg(mode),
                        &mut leaf(1 << (9 * level) | 1 << bit),
                        va,
                        Access::Read,
                    );
                    assert_eq!(
                        bad,
                        Err(Trap::exception(Exception::LoadPage, va)),
                        "misaligned"
                    );
                }
            }
        }
    }
}

#[test]
fn reserved_encodings_fault() {
    let good = 0x80 << 10 | V | R | A;
    let all_on = WalkConfig {
        pbmte: true,
        svnapot: true,
        ..cfg(AddressMode::Sv39)
    };
    for leaf in [
        good & !V,
        0x80 << 10 | V | W | A,
        0x80 << 10 | V | W | X | A,
        good | 1 << 54,
        good | 1 << 60,
        good | 3 << 61,
        good | N,       // ppn[3:0] is not 8
        V | 0x80 << 10, // a pointer at the last level
    ] {
        assert_eq!(
            run(&all_on, &mut three_levels(leaf), PAGE, Access::Read),
            page_fault(Access::Read),
            "{leaf:#x}"
        );
    }
    for leaf in [good | 1 << 61, good | 2 << 61, good | 8 << 10 | N] {
        let off = cfg(AddressMode::Sv39);
        assert_eq!(
            run(&off, &mut three_levels(leaf), PAGE, Access::Read),
            page_fault(Access::Read)
        );
        assert!(run(&all_on, &mut three_levels(leaf), PAGE, Access::Read).is_ok());
    }
    for pointer in [A, D, U, N, 1 << 61, 1 << 54] {
        let good = 0x80 << 10 | V | R | A;
        let mut mem = ram(&[
            (0, 0, 1 << 10 | V | pointer),
            (1, 0, 2 << 10 | V),
            (2, 3, good),
        ]);
        assert_eq!(
            run(&all_on, &mut mem, PAGE, Access::Read),
            page_fault(Access::Read),
            "{pointer:#x}"
        );
    }
}

#[test]
fn napot() {
    let c = WalkConfig {
        svnapot: true,
        ..cfg(AddressMode::Sv39)
    };
    // 64 KiB at 0x120000: pages 0x120..0x12f, entry encoding 0x128.
    let m = run(
        &c,
        &mut three_levels(0x128 << 10 | V | R | A | N),
        PAGE,
        Access::Read,
    )
    .unwrap();
    assert_eq!((m.gpa, m.page_shift), (Gpa(0x123abc), 16));
    for low in [0, 1, 4, 9, 0xc] {
        let leaf = (0x120 | low) << 10 | V | R | A | N;
        assert_eq!(
            run(&c, &mut three_levels(leaf), PAGE, Access::Read),
            page_fault(Access::Read)
        );
    }
    let mut mem = ram(&[(0, 0, 1 << 10 | V), (1, 0, 0x208 << 10 | V | R | A | N)]);
    assert_eq!(
        run(&c, &mut mem, PAGE, Access::Read),
        page_fault(Access::Read),
        "not on superpages"
    );
}

#[test]
fn memory_types() {
    let c = WalkConfig {
        pbmte: true,
        ..cfg(AddressMode::Sv39)
    };
    for (bits, kind) in [(0, Pbmt::Pma), (1, Pbmt::Nc), (2, Pbmt::Io)] {
        let m = run(
            &c,
            &mut three_levels(0x80 << 10 | V | R | A | bits << 61),
            PAGE,
            Access::Read,
        );
        assert_eq!(m.unwrap().pbmt, kind);
    }
}

#[test]
fn user_pages_and_sum_and_mxr() {
    let perms = |privilege, sum, mxr, leaf: u64| {
        let c = WalkConfig {
            privilege,
            sum,
            mxr,
            ..cfg(AddressMode::Sv39)
        };
        let allowed = ACCESSES
            .into_iter()
            .filter(|&a| run(&c, &mut three_levels(leaf), PAGE, a).is_ok());
        allowed.fold(Perms::empty(), |p, a| p | a.perm())
    };
    let rwx = 0x80 << 10 | V | R | W | X | A | D;
    let data = Perms::READ | Perms::WRITE;
    assert_eq!(perms(Priv::User, false, false, rwx), Perms::empty());
    assert_eq!(perms(Priv::User, false, false, rwx | U), Perms::all());
    assert_eq!(perms(Priv::Supervisor, false, false, rwx), Perms::all());
    assert_eq!(
        perms(Priv::Supervisor, false, false, rwx | U),
        Perms::empty()
    );
    assert_eq!(
        perms(Priv::Supervisor, true, false, rwx | U),
        data,
        "never fetches user pages"
    );
    let x = 0x80 << 10 | V | X | A;
    assert_eq!(perms(Priv::Supervisor, false, false, x), Perms::EXEC);
    assert_eq!(
        perms(Priv::Supervisor, false, true, x),
        Perms::EXEC | Perms::READ
    );
    assert_eq!(perms(Priv::Supervisor, false, true, x | U), Perms::empty());
    assert_eq!(perms(Priv::Supervisor, true, true, x | U), Perms::READ);
}

#[test]
fn svade_faults_and_svadu_updates() {
    let leaf = 0x80 << 10 | V | R | W | X;
    let stored = |mem: &[u8]| u64::from_le_bytes(mem[0x2018..0x2020].try_into().unwrap());
    for access in ACCESSES {
        let mut mem = three_levels(leaf);
        assert_eq!(
            run(&cfg(AddressMode::Sv39), &mut mem, PAGE, access),
            page_fault(access)
        );
        assert_eq!(stored(&mem), leaf);
        let hw = WalkConfig {
            adue: true,
            ..cfg(AddressMode::Sv39)
        };
        let m = run(&hw, &mut mem, PAGE, access).unwrap();
        let expect = if access == Access::Write { A | D } else { A };
        assert_eq!(stored(&mem), leaf | expect);
        assert_eq!(m.writable_now, access == Access::Write);
        // Nothing is written where the access is not allowed, nor by a debugger.
        let mut mem = three_levels(leaf);
        let user = WalkConfig {
            privilege: Priv::User,
            ..hw
        };
        assert_eq!(run(&user, &mut mem, PAGE, access), page_fault(access));
        probe(
            &hw,
            PAGE,
            &mut SliceMem {
                base: Gpa(0),
                bytes: &mut mem,
            },
        )
        .unwrap();
        assert_eq!(stored(&mem), leaf);
    }
    let mut mem = three_levels(leaf | A);
    assert_eq!(
        run(&cfg(AddressMode::Sv39), &mut mem, PAGE, Access::Write),
        page_fault(Access::Write)
    );
    assert!(run(&cfg(AddressMode::Sv39), &mut mem, PAGE, Access::Read).is_ok());
}

/// Memory in which another hart changes the entry just before each of the first updates.
struct Racing {
    bytes: Vec<u8>,
    changes: Vec<u64>,
    tries: u32,
}

impl WalkMem for Racing {
    fn load_pte(&mut self, at: Gpa) -> Result<u64, PteFault> {
        SliceMem {
            base: Gpa(0),
            bytes: &mut self.bytes,
        }
        .load_pte(at)
    }

    fn cas_pte(&mut self, at: Gpa, expected: u64, new: u64) -> Result<bool, PteFault> {
        self.tries += 1;
        if let Some(pte) = self.changes.pop() {
            self.bytes[at.0 as usize..][..8].copy_from_slice(&pte.to_le_bytes());
        }
        SliceMem {
            base: Gpa(0),
            bytes: &mut self.bytes,
        }
        .cas_pte(at, expected, new)
    }
}

#[test]
fn lost_races_look_again() {
    let leaf = 0x80 << 10 | V | R | W;
    let hw = WalkConfig {
        adue: true,
        ..cfg(AddressMode::Sv39)
    };
    let race = |changes: Vec<u64>| {
        let mut mem = Racing {
            bytes: three_levels(leaf),
            changes,
            tries: 0,
        };
        (walk(&hw, PAGE, Access::Write, &mut mem), mem.tries)
    };
    let (m, tries) = race(vec![0x90 << 10 | V | R | W | A]);
    assert_eq!(
        (m.unwrap().gpa, tries),
        (Gpa(0x90abc), 2),
        "the new mapping counts"
    );
    assert_eq!(
        race(vec![0]),
        (page_fault(Access::Write), 1),
        "unmapped meanwhile"
    );
    assert_eq!(
        race(vec![0x80 << 10 | V | R]),
        (page_fault(Access::Write), 1)
    );
    let (m, tries) = race(vec![0x80 << 10 | V | R | W | A | D]);
    assert!(m.is_ok() && tries == 1, "the other hart did it for us");
    // A writer that never lets go costs a bounded number of tries.
    let endless = (0..100_000u64).map(|n| n << 10 | V | R | W).collect();
    let (m, tries) = race(endless);
    assert_eq!(m, page_fault(Access::Write));
    assert!(tries <= 1000);
}

#[test]
fn tables_outside_memory_are_access_faults() {
    let far = 0xffff_ffff << 10 | V;
    let mut mem = ram(&[(0, 0, far)]);
    for access in ACCESSES {
        let got = run(&cfg(AddressMode::Sv39), &mut mem, PAGE, access);
        assert_eq!(
            got,
            Err(Trap::exception(Exception::access_fault(access), PAGE))
        );
    }
    // An update that memory refuses likewise.
    let hw = WalkConfig {
        adue: true,
        ..cfg(AddressMode::Sv39)
    };
    let mut read_only = |_: Gpa| Some(V | R | W);
    let got = walk(&hw, 0xabc, Access::Write, &mut read_only);
    assert_eq!(got, Err(Trap::exception(Exception::StoreAccess, 0xabc)));
}

#[test]
fn the_largest_physical_address() {
    let ppn = (1 << 44) - 1;
    let m = run(
        &cfg(AddressMode::Sv39),
        &mut three_levels(ppn << 10 | V | R | A),
        PAGE,
        Access::Read,
    );
    assert_eq!(m.unwrap().gpa, Gpa((1 << 56) - 4096 + 0xabc));
}
