//! PMP against a byte-wise model.

use super::*;
use ambidex_cpu::riscv::csr::addr;
use ambidex_cpu::riscv::{Access, Exception, Perms, Pmp, PmpPage, SliceMem, Trap};
use ambidex_memory::Gpa;
use proptest::prelude::*;

const ACCESSES: [Access; 3] = [Access::Read, Access::Write, Access::Fetch];

/// Whether entry `i` matches the byte at `at`: the prose of the specification, bit by bit.
fn matches(entries: &[(u8, u64)], i: usize, at: u64) -> bool {
    let (cfg, pmpaddr) = entries[i];
    let word = u128::from(at >> 2);
    let pmpaddr = u128::from(pmpaddr);
    match cfg >> 3 & 3 {
        0 => false,
        1 => {
            let low = if i == 0 {
                0
            } else {
                u128::from(entries[i - 1].1)
            };
            low <= word && word < pmpaddr
        }
        2 => word == pmpaddr,
        _ => {
            let mut low_ones = 0;
            while pmpaddr >> low_ones & 1 == 1 {
                low_ones += 1;
            }
            word >> (low_ones + 1) == pmpaddr >> (low_ones + 1)
        }
    }
}

fn naive(entries: &[(u8, u64)], at: u64, len: u64, access: Access, mode: Priv) -> bool {
    let bit = match access {
        Access::Read => 1,
        Access::Write => 2,
        Access::Fetch => 4,
    };
    for i in 0..entries.len() {
        let hits = (at..at + len).filter(|&b| matches(entries, i, b)).count() as u64;
        if hits == 0 {
            continue;
        }
        let cfg = entries[i].0;
        let free = mode == Priv::Machine && cfg & 0x80 == 0;
        return hits == len && (free || cfg & bit != 0);
    }
    mode == Priv::Machine || entries.is_empty()
}

fn entry() -> impl Strategy<Value = (u8, u64)> {
    // Low addresses so that entries overlap, now and then all ones.
    let addr = prop_oneof![
        8 => 0u64..0x60,
        4 => 0x3f0u64..0x820,
        1 => Just((1u64 << 54) - 1),
        1 => any::<u64>().prop_map(|a| a >> 10),
    ];
    (any::<u8>(), addr)
}

proptest! {
    #[test]
    fn as_the_prose_says(
        wanted in prop::collection::vec(entry(), 0..=16),
        at in prop_oneof![0u64..0x200, 0xf80u64..0x2080, any::<u64>().prop_map(|a| a >> 8)],
        len in prop::sample::select(vec![1u64, 2, 4, 8, 16]),
    ) {
        let mut pmp = Pmp::new(wanted.len());
        // Upwards, addresses first, so that locking hinders nothing.
        for (i, &(_, a)) in wanted.iter().enumerate() {
            pmp.set_addr(i, a);
        }
        for (i, &(c, _)) in wanted.iter().enumerate() {
            pmp.set_cfg(i, c);
        }
        let held: Vec<_> = (0..wanted.len()).map(|i| (pmp.cfg(i), pmp.addr(i))).collect();
        for (h, w) in held.iter().zip(&wanted) {
            prop_assert_eq!(h.1, w.1);
        }
        for mode in MODES {
            let mut perms = Perms::empty();
            for access in ACCESSES {
                let want = naive(&held, at, len, access, mode);
                prop_assert_eq!(pmp.check(Gpa(at), len, access, mode), want);
                if naive(&held, at & !0xfff, 4096, access, mode) {
                    perms |= access.perm();
                }
            }
            // A uniform page answers for every access in it.
            match pmp.page(Gpa(at), mode) {
                PmpPage::Uniform(p) => {
                    prop_assert_eq!(p, perms);
                    if at & 0xfff <= 0x1000 - len {
                        for access in ACCESSES {
                            let want = naive(&held, at, len, access, mode);
                            prop_assert_eq!(p.contains(access.perm()), want);
                        }
                    }
                }
                PmpPage::Mixed => prop_assert_eq!(perms, Perms::empty()),
            }
        }
    }
}

#[test]
fn table() {
    let nothing = Pmp::new(16);
    assert!(nothing.check(Gpa(0), 8, Access::Read, Priv::Machine));
    assert!(!nothing.check(Gpa(0), 8, Access::Read, Priv::Supervisor));
    assert!(Pmp::new(0).check(Gpa(0), 8, Access::Read, Priv::User));

    // Everything through the last entry, as firmware sets it up.
    let mut open = Pmp::new(16);
    open.set_addr(15, u64::MAX);
    open.set_cfg(15, 0x1f);
    for at in [0, 0x8000_0000, (1 << 56) - 8] {
        assert!(open.check(Gpa(at), 8, Access::Fetch, Priv::User));
    }
    assert_eq!(
        open.page(Gpa(0x1234), Priv::User),
        PmpPage::Uniform(Perms::all())
    );

    // A hole for M-mode's firmware in front of it, 128 KiB at 2 GiB.
    open.set_addr(0, (0x8000_0000 | 0xffff) >> 2);
    open.set_cfg(0, 0x18);
    let read = |p: &Pmp, at, mode| p.check(Gpa(at), 8, Access::Read, mode);
    assert!(!read(&open, 0x8000_0000, Priv::Supervisor));
    assert!(!read(&open, 0x8001_fff8, Priv::Supervisor));
    assert!(read(&open, 0x8002_0000, Priv::Supervisor));
    assert!(!read(&open, 0x8001_fffc, Priv::Supervisor), "straddles");
    assert!(
        !read(&open, 0x8001_fffc, Priv::Machine),
        "partial matches fail in M-mode too"
    );
    assert!(read(&open, 0x8000_0000, Priv::Machine));
    open.set_cfg(0, 0x98);
    assert!(!read(&open, 0x8000_0000, Priv::Machine), "locked");
    assert!(!open.check(Gpa(u64::MAX), 8, Access::Read, Priv::Machine));
}

#[test]
fn guards_page_tables_and_results() {
    let mut ram = vec![0u8; 0x4000];
    // Root at 0x1000, a 1 GiB identity leaf.
    ram[0x1000..0x1008].copy_from_slice(&0xcfu64.to_le_bytes());
    let mut h = hart("rv64");
    poke(&mut h, addr::SATP, 8 << 60 | 1);
    poke(&mut h, addr::PMPADDR0, 0x1000 >> 2);
    poke(&mut h, addr::PMPADDR0 + 1, 0x2000 >> 2);
    poke(&mut h, addr::PMPADDR0 + 2, 0x3000 >> 2);
    let mut go = |cfg: u64, va: u64, access: Access| {
        poke(&mut h, addr::PMPCFG0, cfg);
        h.set_privilege(Priv::Supervisor);
        h.translate(
            va,
            8,
            access,
            &mut SliceMem {
                base: Gpa(0),
                bytes: &mut ram,
            },
        )
        .map(|m| m.gpa.0)
    };
    let (none, r, rw) = (8u64, 9u64, 11u64);
    let cfg = |a: u64, b: u64, c: u64| a | b << 8 | c << 16;
    assert_eq!(go(cfg(r, r, rw), 0x2008, Access::Write), Ok(0x2008));
    let fault = |e, va| Err(Trap::exception(e, va));
    assert_eq!(
        go(cfg(r, r, r), 0x2008, Access::Write),
        fault(Exception::StoreAccess, 0x2008)
    );
    assert_eq!(go(cfg(r, r, r), 0x2008, Access::Read), Ok(0x2008));
    assert_eq!(
        go(cfg(r, none, rw), 0x2008, Access::Read),
        fault(Exception::LoadAccess, 0x2008)
    );
    assert_eq!(
        go(cfg(r, r, none), 0x2008, Access::Read),
        fault(Exception::LoadAccess, 0x2008)
    );
    assert_eq!(
        go(cfg(r, r, rw), 0x2008, Access::Fetch),
        fault(Exception::FetchAccess, 0x2008)
    );
}
