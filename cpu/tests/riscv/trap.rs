//! Trap entry and return.

use super::*;
use ambidex_cpu::riscv::csr::addr;
use ambidex_cpu::riscv::status::*;
use ambidex_cpu::riscv::{Access, AddressMode, Cause, Exception, Interrupt, Trap};

const EXCEPTIONS: [Exception; 14] = [
    Exception::FetchMisaligned,
    Exception::FetchAccess,
    Exception::IllegalInstruction,
    Exception::Breakpoint,
    Exception::LoadMisaligned,
    Exception::LoadAccess,
    Exception::StoreMisaligned,
    Exception::StoreAccess,
    Exception::EcallUser,
    Exception::EcallSupervisor,
    Exception::EcallMachine,
    Exception::FetchPage,
    Exception::LoadPage,
    Exception::StorePage,
];
const INTERRUPTS: [Interrupt; 7] = [
    Interrupt::SupervisorSoftware,
    Interrupt::MachineSoftware,
    Interrupt::SupervisorTimer,
    Interrupt::MachineTimer,
    Interrupt::SupervisorExternal,
    Interrupt::MachineExternal,
    Interrupt::CounterOverflow,
];

#[test]
fn entry_matrix() {
    let traps = EXCEPTIONS
        .into_iter()
        .map(|e| Trap::exception(e, 0xdead_beef))
        .chain(INTERRUPTS.into_iter().map(Trap::interrupt));
    for trap in traps {
        for mode in MODES {
            for delegated in [false, true] {
                for vectored in [0, 1] {
                    for enables in 0..4u64 {
                        entry_case(trap, mode, delegated, vectored, enables);
                    }
                }
            }
        }
    }
}

fn entry_case(trap: Trap, mode: Priv, delegated: bool, vectored: u64, enables: u64) {
    let mut h = hart("max");
    let all = if delegated { u64::MAX } else { 0 };
    poke(&mut h, addr::MEDELEG, all);
    poke(&mut h, addr::MIDELEG, all);
    poke(&mut h, addr::MTVEC, 0x8000_1000 | vectored);
    poke(&mut h, addr::STVEC, 0xffff_ffc0_0000_2000 | vectored);
    let (sie, mie) = (enables & 1, enables >> 1);
    // MPRV and the like must survive.
    let keep = MPRV | SUM | MXR | TVM | FS;
    poke(&mut h, addr::MSTATUS, (sie * SIE) | (mie * MIE) | keep);
    h.set_privilege(mode);
    let pc = 0x1234_5678;
    let target = h.trap_enter(trap, pc);

    let (code, interrupt, delegable) = match trap.cause {
        Cause::Exception(e) => (e as u64, false, e != Exception::EcallMachine),
        Cause::Interrupt(i) => (i as u64, true, !matches!(i as u8, 3 | 7 | 11)),
    };
    let to_s = delegated && delegable && mode != Priv::Machine;
    let offset = if interrupt && vectored == 1 {
        4 * code
    } else {
        0
    };
    let cause = code | u64::from(interrupt) << 63;
    let s = peek(&h, addr::MSTATUS);
    assert_eq!(s & keep, keep);
    if to_s {
        assert_eq!(target, 0xffff_ffc0_0000_2000 + offset);
        assert_eq!(h.privilege(), Priv::Supervisor);
        assert_eq!(peek(&h, addr::SEPC), pc);
        assert_eq!(peek(&h, addr::SCAUSE), cause);
        assert_eq!(peek(&h, addr::STVAL), trap.tval);
        assert_eq!(peek(&h, addr::MEPC), 0);
        assert_eq!(s & SIE, 0);
        assert_eq!(s & SPIE != 0, sie == 1);
        assert_eq!(s & SPP != 0, mode == Priv::Supervisor);
        assert_eq!(s & MIE != 0, mie == 1);
    } else {
        assert_eq!(target, 0x8000_1000 + offset);
        assert_eq!(h.privilege(), Priv::Machine);
        assert_eq!(peek(&h, addr::MEPC), pc);
        assert_eq!(peek(&h, addr::MCAUSE), cause);
        assert_eq!(peek(&h, addr::MTVAL), trap.tval);
        assert_eq!(peek(&h, addr::SEPC), 0);
        assert_eq!(s & MIE, 0);
        assert_eq!(s & MPIE != 0, mie == 1);
        assert_eq!((s & MPP) >> MPP_SHIFT, mode as u64);
        assert_eq!(s & SIE != 0, sie == 1);
    }
}

#[test]
fn mret_matrix() {
    for to in MODES {
        for pie in [0, MPIE] {
            for mprv in [0, MPRV] {
                let mut h = hart("max");
                poke(&mut h, addr::MEPC, 0x8000_0002);
                poke(&mut h, addr::MSTATUS, (to as u64) << MPP_SHIFT | pie | mprv);
                assert_eq!(h.mret(), Ok(0x8000_0002));
                assert_eq!(h.privilege(), to);
                let s = peek(&h, addr::MSTATUS);
                assert_eq!(s & MIE != 0, pie != 0);
                assert_ne!(s & MPIE, 0);
                assert_eq!(s & MPP, 0);
                assert_eq!(s & MPRV != 0, mprv != 0 && to == Priv::Machine);
            }
        }
    }
    for mode in [Priv::User, Priv::Supervisor] {
        let mut h = hart("max");
        h.set_privilege(mode);
        assert_eq!(h.mret(), Err(Trap::illegal(0)));
        assert_eq!(h.privilege(), mode);
    }
    let mut h = hart("sifive-u54,mmu=off,s=off,u=off");
    assert!(h.mret().is_ok());
    assert_eq!(
        peek(&h, addr::MSTATUS) & MPP,
        MPP,
        "M is the least privileged mode there"
    );
}

#[test]
fn sret_matrix() {
    for from in MODES {
        for spp in [0, SPP] {
            for pie in [0, SPIE] {
                for tsr in [0, TSR] {
                    let mut h = hart("max");
                    poke(&mut h, addr::SEPC, 0x4001);
                    poke(&mut h, addr::MSTATUS, spp | pie | tsr | MPRV);
                    h.set_privilege(from);
                    let allowed = match from {
                        Priv::User => false,
                        Priv::Supervisor => tsr == 0,
                        Priv::Machine => true,
                    };
                    let before = h.clone();
                    let result = h.sret();
                    if !allowed {
                        assert_eq!(result, Err(Trap::illegal(0)));
                        assert_eq!(h, before);
                        continue;
                    }
                    assert_eq!(result, Ok(0x4000));
                    let to = if spp != 0 {
                        Priv::Supervisor
                    } else {
                        Priv::User
                    };
                    assert_eq!(h.privilege(), to);
                    let s = peek(&h, addr::MSTATUS);
                    assert_eq!(s & SIE != 0, pie != 0);
                    assert_ne!(s & SPIE, 0);
                    assert_eq!(s & (SPP | MPRV), 0);
                }
            }
        }
    }
    assert!(hart("sifive-u54,mmu=off,s=off").sret().is_err());
}

#[test]
fn round_trip_restores_mode_and_enable() {
    for mode in [Priv::User, Priv::Supervisor] {
        for on in [0, SIE] {
            let mut h = hart("max");
            poke(&mut h, addr::MEDELEG, u64::MAX);
            poke(&mut h, addr::MSTATUS, on);
            h.set_privilege(mode);
            h.trap_enter(Trap::exception(Exception::LoadPage, 8), 0x40);
            assert_eq!(h.sret(), Ok(0x40));
            assert_eq!(h.privilege(), mode);
            assert_eq!(peek(&h, addr::MSTATUS) & SIE, on);
        }
    }
}

#[test]
fn wfi_rules() {
    for tw in [0, TW] {
        for mode in MODES {
            let mut h = hart("max");
            poke(&mut h, addr::MSTATUS, tw);
            h.set_privilege(mode);
            let allowed = match mode {
                Priv::Machine => true,
                Priv::Supervisor => tw == 0,
                Priv::User => false,
            };
            assert_eq!(h.wfi_allowed().is_ok(), allowed);
        }
    }
    let mut h = hart("sifive-u54,mmu=off,s=off");
    h.set_privilege(Priv::User);
    assert!(h.wfi_allowed().is_ok());
    poke(&mut h, addr::MSTATUS, TW);
    assert!(h.wfi_allowed().is_err());
}

#[test]
fn mprv_changes_data_accesses_only() {
    let mut h = hart("max");
    poke(&mut h, addr::SATP, 8 << 60 | 0x80000);
    poke(&mut h, addr::MSTATUS, MPRV | 1 << MPP_SHIFT | SUM);
    assert_eq!(h.translation(Access::Fetch).mode, AddressMode::Bare);
    for access in [Access::Read, Access::Write] {
        let cfg = h.translation(access);
        assert_eq!(
            (cfg.mode, cfg.privilege, cfg.sum),
            (AddressMode::Sv39, Priv::Supervisor, true)
        );
        assert_eq!(cfg.root.0, 0x8000_0000);
    }
    poke(&mut h, addr::MSTATUS, MPRV | MPP);
    assert_eq!(h.translation(Access::Read).mode, AddressMode::Bare);
}

#[test]
fn translation_keys_differ_where_translations_do() {
    let key = |satp: u64, status: u64, env: u64, mode: Priv| {
        let mut h = hart("max");
        poke(&mut h, addr::SATP, satp);
        poke(&mut h, addr::MSTATUS, status);
        poke(&mut h, addr::MENVCFG, env);
        h.set_privilege(mode);
        h.translation_key()
    };
    let on = 8 << 60 | 5;
    let base = key(on, 0, 0, Priv::Supervisor);
    for other in [
        key(on + 1, 0, 0, Priv::Supervisor),
        key(on | 1 << 44, 0, 0, Priv::Supervisor),
        key(on, SUM, 0, Priv::Supervisor),
        key(on, MXR, 0, Priv::Supervisor),
        key(on, MPRV, 0, Priv::Supervisor),
        key(on, 0, 1 << 62, Priv::Supervisor),
        key(on, 0, 1 << 61, Priv::Supervisor),
        key(on, 0, 0, Priv::User),
        key(on, 0, 0, Priv::Machine),
        key(0, 0, 0, Priv::Supervisor),
    ] {
        assert_ne!(base, other);
        assert_ne!(base.digest(), other.digest());
    }
    // What cannot matter makes no difference.
    let m = key(0, 0, 0, Priv::Machine);
    assert_eq!(m, key(on, SUM | MXR, 3 << 61, Priv::Machine));
    assert_eq!(key(on, 0, 0, Priv::User), key(on, SUM, 0, Priv::User));
    let mut h = hart("max");
    let before = h.translation_key();
    poke(&mut h, addr::PMPADDR0, 4);
    assert_ne!(before, h.translation_key());
    h.reset();
    assert_ne!(before, h.translation_key(), "generations are not reused");
}
