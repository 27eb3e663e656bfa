//! Who may access which CSR.

use super::*;
use ambidex_cpu::riscv::csr::addr;
use ambidex_cpu::riscv::status;
use ambidex_cpu::riscv::{CsrOp, Trap};

/// Every CSR of the `max` model: first and last address, least privilege, read-only.
/// Transcribed from the specification's tables, not from the code.
const TABLE: &[(u16, u16, Priv, bool)] = &[
    (0x001, 0x003, Priv::User, false),
    (0xc00, 0xc1f, Priv::User, true),
    (0x100, 0x100, Priv::Supervisor, false),
    (0x104, 0x106, Priv::Supervisor, false),
    (0x10a, 0x10a, Priv::Supervisor, false),
    (0x10c, 0x10f, Priv::Supervisor, false),
    (0x140, 0x144, Priv::Supervisor, false),
    (0x14d, 0x14d, Priv::Supervisor, false),
    (0x180, 0x180, Priv::Supervisor, false),
    (0xda0, 0xda0, Priv::Supervisor, true),
    (0xf11, 0xf15, Priv::Machine, true),
    (0x300, 0x306, Priv::Machine, false),
    (0x30a, 0x30a, Priv::Machine, false),
    (0x30c, 0x30f, Priv::Machine, false),
    (0x320, 0x320, Priv::Machine, false),
    (0x323, 0x33f, Priv::Machine, false),
    (0x340, 0x344, Priv::Machine, false),
    (0x3a0, 0x3a0, Priv::Machine, false),
    (0x3a2, 0x3a2, Priv::Machine, false),
    (0x3a4, 0x3a4, Priv::Machine, false),
    (0x3a6, 0x3a6, Priv::Machine, false),
    (0x3a8, 0x3a8, Priv::Machine, false),
    (0x3aa, 0x3aa, Priv::Machine, false),
    (0x3ac, 0x3ac, Priv::Machine, false),
    (0x3ae, 0x3ae, Priv::Machine, false),
    (0x3b0, 0x3ef, Priv::Machine, false),
    (0xb00, 0xb00, Priv::Machine, false),
    (0xb02, 0xb1f, Priv::Machine, false),
];

/// `max` with everything M-mode can grant granted.
fn open_hart() -> Hart {
    let mut h = hart("max");
    poke(&mut h, addr::MSTATUS, status::FS);
    for csr in [
        addr::MCOUNTEREN,
        addr::SCOUNTEREN,
        addr::MENVCFG,
        addr::SENVCFG,
    ] {
        poke(&mut h, csr, u64::MAX);
    }
    for csr in addr::MSTATEEN0..=addr::MSTATEEN3 {
        poke(&mut h, csr, u64::MAX);
    }
    h
}

#[test]
fn every_address_in_every_mode() {
    for csr in 0..0x1000u16 {
        let rule = TABLE.iter().find(|r| (r.0..=r.1).contains(&csr));
        for mode in MODES {
            let mut h = open_hart();
            h.set_privilege(mode);
            let readable = rule.is_some_and(|r| mode >= r.2);
            let writable = rule.is_some_and(|r| mode >= r.2 && !r.3);
            let read = h.csr_read(csr, &mut Env::default());
            assert_eq!(read.is_ok(), readable, "read {csr:#x} in {mode:?}");
            for op in [CsrOp::Write(0), CsrOp::Set(0), CsrOp::Clear(0)] {
                let mut h = h.clone();
                let done = h.csr_access(csr, op, &mut Env::default());
                assert_eq!(done.is_ok(), writable, "{op:?} {csr:#x} in {mode:?}");
                if let Err(trap) = done {
                    assert_eq!(trap, Trap::illegal(0));
                }
            }
            let only_read = h.csr_access(csr, CsrOp::Read, &mut Env::default());
            assert_eq!(only_read.is_ok(), readable);
        }
    }
}

#[test]
fn absent_extensions_take_their_registers_along() {
    let exists = |model: &str, csr: u16| hart(model).csr_peek(csr, &mut Env::default()).is_some();
    for (off, csr) in [
        ("max,sstc=off", addr::STIMECMP),
        ("max,sscofpmf=off", addr::SCOUNTOVF),
        ("max,smstateen=off", addr::MSTATEEN0),
        ("max,smstateen=off,ssstateen=off", addr::SSTATEEN0),
        ("max,zicntr=off", addr::CYCLE),
        ("max,sscofpmf=off,zihpm=off", addr::HPMCOUNTER3),
        ("max,pmp=off", addr::PMPCFG0),
        ("max,pmp=off", addr::PMPADDR0),
    ] {
        assert!(exists("max", csr) && !exists(off, csr), "{off} {csr:#x}");
    }
    assert!(exists("max,zicntr=off", addr::MCYCLE));
    let integer = Model::named("rv64")
        .unwrap()
        .restrict("sifive-u54".parse::<Model>().unwrap().extensions() - ambidex_cpu::riscv::Ext::F);
    let h = Hart::new(integer, 0);
    assert_eq!(h.csr_peek(addr::FCSR, &mut Env::default()), None);
}

#[test]
fn floating_point_needs_fs() {
    for mode in MODES {
        let mut h = open_hart();
        h.set_privilege(mode);
        assert!(h.csr_read(addr::FCSR, &mut Env::default()).is_ok());
        poke(&mut h, addr::MSTATUS, 0);
        for csr in [addr::FFLAGS, addr::FRM, addr::FCSR] {
            assert!(h.csr_read(csr, &mut Env::default()).is_err());
        }
    }
}

#[test]
fn tvm_guards_satp_in_s_mode_only() {
    let mut h = open_hart();
    poke(&mut h, addr::MSTATUS, status::TVM);
    assert!(h.csr_read(addr::SATP, &mut Env::default()).is_ok());
    h.set_privilege(Priv::Supervisor);
    assert!(h.csr_read(addr::SATP, &mut Env::default()).is_err());
    assert!(h.csr_write(addr::SATP, 0, &mut Env::default()).is_err());
    assert!(h.sfence_allowed().is_err() && h.sfence_inval_allowed().is_ok());
    poke(&mut h, addr::MSTATUS, 0);
    assert!(h.csr_read(addr::SATP, &mut Env::default()).is_ok() && h.sfence_allowed().is_ok());
    h.set_privilege(Priv::User);
    assert!(h.sfence_allowed().is_err() && h.sfence_inval_allowed().is_err());
}

#[test]
fn counters_need_every_mode_above() {
    for bit in 0..32u16 {
        for (m, s) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut h = open_hart();
            poke(&mut h, addr::MCOUNTEREN, u64::from(m) << bit);
            poke(&mut h, addr::SCOUNTEREN, u64::from(s) << bit);
            for mode in MODES {
                h.set_privilege(mode);
                let expect = match mode {
                    Priv::Machine => true,
                    Priv::Supervisor => m,
                    Priv::User => m && s,
                };
                let got = h.csr_read(addr::CYCLE + bit, &mut Env::default()).is_ok();
                assert_eq!(got, expect, "counter {bit} {mode:?} m={m} s={s}");
            }
        }
    }
}

#[test]
fn stimecmp_needs_stce_and_tm() {
    for (stce, tm) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut h = open_hart();
        poke(&mut h, addr::MENVCFG, u64::from(stce) << 63);
        poke(&mut h, addr::MCOUNTEREN, u64::from(tm) << 1);
        assert!(h.csr_write(addr::STIMECMP, 1, &mut Env::default()).is_ok());
        h.set_privilege(Priv::Supervisor);
        let got = h.csr_write(addr::STIMECMP, 1, &mut Env::default()).is_ok();
        assert_eq!(got, stce && tm);
    }
}

#[test]
fn stateen_guards_senvcfg_and_sstateen() {
    for i in 0..4u16 {
        let mut h = open_hart();
        poke(&mut h, addr::MSTATEEN0 + i, 0);
        h.set_privilege(Priv::Supervisor);
        for k in 0..4u16 {
            let got = h.csr_read(addr::SSTATEEN0 + k, &mut Env::default()).is_ok();
            assert_eq!(got, k != i);
        }
        assert_eq!(
            h.csr_read(addr::SENVCFG, &mut Env::default()).is_ok(),
            i != 0
        );
    }
    // Without the extension nothing guards senvcfg.
    let mut h = hart("rv64");
    h.set_privilege(Priv::Supervisor);
    assert!(h.csr_read(addr::SENVCFG, &mut Env::default()).is_ok());
}

#[test]
fn the_instruction_is_put_into_the_trap() {
    let mut h = hart("rv64");
    h.set_privilege(Priv::User);
    let trap = h
        .csr_read(addr::MSTATUS, &mut Env::default())
        .unwrap_err()
        .with_insn(0x3000_2573);
    assert_eq!(trap, Trap::illegal(0x3000_2573));
}

#[test]
fn cache_block_instructions() {
    use ambidex_cpu::riscv::csr::envcfg::{CBCFE, CBZE, CboInval};
    for m in [0u64, 1, 3] {
        for s in [0u64, 1, 3] {
            for mode in MODES {
                let mut h = hart("rv64");
                poke(
                    &mut h,
                    addr::MENVCFG,
                    m << 4 | if m != 0 { CBCFE | CBZE } else { 0 },
                );
                poke(
                    &mut h,
                    addr::SENVCFG,
                    s << 4 | if s != 0 { CBCFE | CBZE } else { 0 },
                );
                h.set_privilege(mode);
                let levels: &[u64] = match mode {
                    Priv::Machine => &[],
                    Priv::Supervisor => &[m],
                    Priv::User => &[m, s],
                };
                let allowed = levels.iter().all(|&l| l != 0);
                assert_eq!(h.cbo_zero_allowed().is_ok(), allowed);
                assert_eq!(h.cbo_clean_flush_allowed().is_ok(), allowed);
                let inval = if !allowed {
                    None
                } else if levels.contains(&1) {
                    Some(CboInval::Flush)
                } else {
                    Some(CboInval::Invalidate)
                };
                assert_eq!(h.cbo_inval_allowed().ok(), inval);
            }
        }
    }
    let h = hart("sifive-u54");
    assert!(h.cbo_zero_allowed().is_err() && h.cbo_inval_allowed().is_err());
}
