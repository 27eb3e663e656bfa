//! What CSRs hold after writes.

use super::*;
use ambidex_cpu::riscv::csr::addr;
use ambidex_cpu::riscv::status::*;
use ambidex_cpu::riscv::{CsrEffect, CsrOp};

const PATTERNS: [u64; 6] = [
    u64::MAX,
    0,
    0xaaaa_aaaa_aaaa_aaaa,
    0x5555_5555_5555_5555,
    0x0123_4567_89ab_cdef,
    0x8000_0000_0000_0001,
];

/// Registers that are a set of writable bits among zeros: address and mask for `max`.
const MASKED: &[(u16, u64)] = &[
    (addr::MEDELEG, 0xb3ff),
    (addr::MIDELEG, 0x2222),
    (addr::MIE, 0x2aaa),
    (addr::MCOUNTEREN, 0xffff_ffff),
    (addr::SCOUNTEREN, 0xffff_ffff),
    (addr::MCOUNTINHIBIT, 5),
    (addr::MSCRATCH, u64::MAX),
    (addr::SSCRATCH, u64::MAX),
    (addr::MEPC, !1),
    (addr::SEPC, !1),
    (addr::MCAUSE, u64::MAX),
    (addr::SCAUSE, u64::MAX),
    (addr::MTVAL, u64::MAX),
    (addr::STVAL, u64::MAX),
    (addr::MIP, 0x2222),
    (addr::STIMECMP, u64::MAX),
    (addr::MSTATEEN0, 3 << 62),
    (addr::MSTATEEN0 + 1, 1 << 63),
    (addr::MSTATEEN0 + 2, 1 << 63),
    (addr::MSTATEEN3, 1 << 63),
    (addr::SSTATEEN0, 0),
    (addr::SSTATEEN3, 0),
    (addr::MHPMEVENT3, 0),
    (addr::MHPMEVENT31, 0),
    (addr::MHPMCOUNTER3, 0),
    (addr::MHPMCOUNTER31, 0),
    (addr::PMPADDR0, (1 << 54) - 1),
    (addr::PMPADDR0 + 15, (1 << 54) - 1),
    (addr::PMPADDR0 + 16, 0),
    (addr::PMPADDR63, 0),
    (0x3a4, 0),
];

#[test]
fn masked_registers() {
    for &(csr, mask) in MASKED {
        let mut h = hart("max");
        for first in PATTERNS {
            for second in PATTERNS {
                poke(&mut h, csr, first);
                poke(&mut h, csr, second);
                assert_eq!(peek(&h, csr), second & mask, "{csr:#x} {second:#x}");
            }
        }
    }
    let mut h = hart("rv64");
    poke(&mut h, addr::MIDELEG, u64::MAX);
    assert_eq!(
        peek(&h, addr::MIDELEG),
        0x222,
        "no overflow interrupt without Sscofpmf"
    );
}

#[test]
fn set_and_clear_combine_with_the_old_value() {
    let mut h = hart("max");
    poke(&mut h, addr::MSCRATCH, 0xf0);
    let env = &mut Env::default();
    assert_eq!(
        h.csr_access(addr::MSCRATCH, CsrOp::Set(0x0f), env)
            .unwrap()
            .0,
        0xf0
    );
    assert_eq!(
        h.csr_access(addr::MSCRATCH, CsrOp::Clear(0x81), env)
            .unwrap()
            .0,
        0xff
    );
    assert_eq!(
        h.csr_access(addr::MSCRATCH, CsrOp::Read, env).unwrap().0,
        0x7e
    );
}

#[test]
fn mstatus() {
    let writable = SIE | MIE | SPIE | MPIE | SPP | FS | MPRV | SUM | MXR | TVM | TW | TSR;
    for value in PATTERNS {
        for mpp in 0..4u64 {
            let mut h = hart("max");
            poke(&mut h, addr::MSTATUS, value & !MPP | mpp << MPP_SHIFT);
            let legal = if mpp == 2 { 0 } else { mpp };
            let mut expect = value & writable | legal << MPP_SHIFT | UXL_64 | SXL_64;
            if value & FS == FS {
                expect |= SD;
            }
            assert_eq!(peek(&h, addr::MSTATUS), expect);
        }
    }
}

#[test]
fn mstatus_without_modes_and_units() {
    let all = |model| {
        let mut h = hart(model);
        poke(&mut h, addr::MSTATUS, u64::MAX);
        peek(&h, addr::MSTATUS)
    };
    let no_vm = all("sifive-u54,mmu=off");
    assert_eq!(no_vm & (SUM | MXR | TVM), 0);
    assert_ne!(no_vm & TSR, 0);
    let u_only = all("sifive-u54,mmu=off,s=off");
    assert_eq!(u_only & (SIE | SPIE | SPP | SUM | MXR | TVM | TSR | SXL), 0);
    assert_eq!(u_only & (TW | MPRV | UXL), TW | MPRV | UXL_64);
    let m_only = all("sifive-u54,mmu=off,s=off,u=off");
    assert_eq!(m_only, MIE | MPIE | MPP | FS | SD);
    let mut h = hart("sifive-u54,mmu=off,s=off,u=off");
    poke(&mut h, addr::MSTATUS, 0);
    assert_eq!(peek(&h, addr::MSTATUS), MPP, "MPP can only hold M");
    let mut h = hart("sifive-u54,mmu=off,s=off");
    poke(&mut h, addr::MSTATUS, 1 << MPP_SHIFT);
    assert_eq!(peek(&h, addr::MSTATUS) & MPP, 0, "S does not exist: U");
    assert_eq!(all("sifive-u54,d=off,f=off") & (FS | SD), 0);
}

#[test]
fn sstatus_is_a_window() {
    let window = SIE | SPIE | SPP | FS | SUM | MXR | UXL | SD;
    for m in PATTERNS {
        for s in PATTERNS {
            let mut h = hart("max");
            poke(&mut h, addr::MSTATUS, m);
            let before = peek(&h, addr::MSTATUS);
            assert_eq!(peek(&h, addr::SSTATUS), before & window);
            poke(&mut h, addr::SSTATUS, s);
            let after = peek(&h, addr::MSTATUS);
            let writable = window & !(UXL | SD);
            assert_eq!(after & !SD, (before & !writable | s & writable) & !SD);
            assert_eq!(after & SD != 0, s & FS == FS);
        }
    }
}

#[test]
fn status_effects() {
    let mut h = hart("max");
    let env = &mut Env::default();
    let mut step = |value| h.csr_write(addr::MSTATUS, value, env).unwrap();
    assert_eq!(step(0), CsrEffect::NONE);
    assert_eq!(step(MIE), CsrEffect::INTERRUPTS);
    assert_eq!(step(MIE | FS), CsrEffect::MODE);
    assert_eq!(step(MIE | FS | SUM), CsrEffect::TRANSLATION);
    assert_eq!(step(MIE | FS | SUM | MPP), CsrEffect::NONE);
    assert_eq!(step(MIE | FS | SUM | MPP | MPRV), CsrEffect::TRANSLATION);
    assert_eq!(step(MIE | FS | SUM | MPRV), CsrEffect::TRANSLATION);
    assert_eq!(
        step(0),
        CsrEffect::TRANSLATION | CsrEffect::MODE | CsrEffect::INTERRUPTS
    );
}

#[test]
fn trap_vectors() {
    for csr in [addr::MTVEC, addr::STVEC] {
        let mut h = hart("max");
        poke(&mut h, csr, 0x8000_0000);
        assert_eq!(peek(&h, csr), 0x8000_0000);
        for reserved in [0x9000_0002, 0x9000_0003] {
            poke(&mut h, csr, reserved);
            assert_eq!(peek(&h, csr), 0x8000_0000);
        }
        poke(&mut h, csr, !2);
        assert_eq!(peek(&h, csr), !2);
    }
}

#[test]
fn misa_is_fixed() {
    for (model, letters) in [
        ("rv64", "abcdfimsu"),
        ("sifive-u54", "acdfimsu"),
        ("max,zbs=off", "acdfimsu"),
    ] {
        let mut h = hart(model);
        let expect = letters.bytes().fold(2 << 62, |m, l| m | 1 << (l - b'a'));
        assert_eq!(peek(&h, addr::MISA), expect, "{model}");
        poke(&mut h, addr::MISA, 0);
        assert_eq!(peek(&h, addr::MISA), expect);
    }
}

#[test]
fn identity() {
    let h = hart("sifive-u54");
    assert_eq!(peek(&h, addr::MVENDORID), 0x489);
    assert_eq!(peek(&h, addr::MHARTID), 5);
    assert_eq!(peek(&h, addr::MCONFIGPTR), 0);
    assert_eq!(peek(&hart("spike"), addr::MARCHID), 5);
    assert_eq!(
        hart("rv64").csr_poke(addr::MHARTID, 1, &mut Env::default()),
        None
    );
}

#[test]
fn satp_refuses_unsupported_modes() {
    for (model, best) in [
        ("max", 10),
        ("max,sv57=off", 9),
        ("sifive-u54", 8),
        ("rv64,mmu=off", 0),
    ] {
        for mode in 0..16u64 {
            let mut h = hart(model);
            let ones = (1 << 60) - 1;
            poke(&mut h, addr::SATP, mode << 60 | ones);
            let supported = mode == 0 || mode >= 8 && mode <= best;
            let asid = if model == "sifive-u54" {
                0
            } else {
                0xffff << 44
            };
            let expect = if supported && best != 0 {
                mode << 60 | asid | ((1 << 44) - 1)
            } else {
                0
            };
            assert_eq!(peek(&h, addr::SATP), expect, "{model} mode {mode}");
        }
    }
    // An unsupported mode leaves the whole register alone.
    let mut h = hart("rva22s64");
    let good = 8 << 60 | 7 << 44 | 0x80123;
    let effect = |h: &mut Hart, v| h.csr_write(addr::SATP, v, &mut Env::default()).unwrap();
    assert_eq!(effect(&mut h, good), CsrEffect::TRANSLATION);
    assert_eq!(effect(&mut h, 10 << 60 | 1), CsrEffect::NONE);
    assert_eq!(h.satp(), good);
    assert_eq!(effect(&mut h, good), CsrEffect::NONE);
}

#[test]
fn environment_configuration() {
    let all = |model, csr| {
        let mut h = hart(model);
        poke(&mut h, csr, u64::MAX);
        peek(&h, csr)
    };
    assert_eq!(all("max", addr::MENVCFG), 7 << 61 | 0xf1);
    assert_eq!(all("max", addr::SENVCFG), 0xf1);
    assert_eq!(all("max,svadu=off", addr::MENVCFG), 6 << 61 | 0xf1);
    assert_eq!(all("max,svpbmt=off", addr::MENVCFG), 5 << 61 | 0xf1);
    assert_eq!(all("max,sstc=off", addr::MENVCFG), 3 << 61 | 0xf1);
    assert_eq!(all("max,zicbom=off", addr::SENVCFG), 0x81);
    assert_eq!(all("max,zicboz=off", addr::SENVCFG), 0x71);
    assert_eq!(all("sifive-u54", addr::MENVCFG), 1);
    let mut h = hart("max");
    poke(&mut h, addr::MENVCFG, 2 << 4);
    assert_eq!(peek(&h, addr::MENVCFG), 0, "CBIE = 2 is reserved");
}

#[test]
fn pmp_configuration_bytes() {
    for byte in 0..=255u64 {
        let mut h = hart("max");
        poke(&mut h, addr::PMPCFG0 + 2, byte << 24);
        let mut legal = byte & 0x9f;
        if legal & 3 == 2 {
            legal &= !7;
        }
        assert_eq!(peek(&h, addr::PMPCFG0 + 2), legal << 24);
        // Locked means locked, and a locked TOR entry guards the address below it.
        poke(&mut h, addr::PMPCFG0 + 2, 0);
        poke(&mut h, addr::PMPADDR0 + 11, 5);
        poke(&mut h, addr::PMPADDR0 + 10, 5);
        let locked = byte & 0x80 != 0;
        assert_eq!(peek(&h, addr::PMPCFG0 + 2) != 0, locked);
        assert_eq!(peek(&h, addr::PMPADDR0 + 11), if locked { 0 } else { 5 });
        let tor = byte >> 3 & 3 == 1;
        assert_eq!(
            peek(&h, addr::PMPADDR0 + 10),
            if locked && tor { 0 } else { 5 }
        );
    }
    // Eight entries only: the second register reads zero.
    let mut h = hart("sifive-u54");
    poke(&mut h, addr::PMPCFG0, u64::MAX);
    poke(&mut h, addr::PMPCFG0 + 2, u64::MAX);
    assert_eq!(peek(&h, addr::PMPCFG0), 0x9f9f_9f9f_9f9f_9f9f);
    assert_eq!(peek(&h, addr::PMPCFG0 + 2), 0);
}

#[test]
fn floating_point_control() {
    for csr in [addr::FFLAGS, addr::FRM, addr::FCSR] {
        let mut h = hart("max");
        let env = &mut Env {
            fflags: 0x15,
            frm: 2,
            ..Env::default()
        };
        poke(&mut h, addr::MSTATUS, INITIAL << FS_SHIFT);
        let before = h.csr_access(csr, CsrOp::Read, env).unwrap();
        let value = match csr {
            addr::FFLAGS => 0x15,
            addr::FRM => 2,
            _ => 0x55,
        };
        assert_eq!(before, (value, CsrEffect::NONE));
        assert_eq!(h.mode_bits() >> 2 & 3, 1, "reading does not dirty");
        assert_eq!(h.csr_write(csr, u64::MAX, env).unwrap(), CsrEffect::MODE);
        assert_eq!(h.mode_bits() >> 2 & 3, 3);
        assert_eq!(h.csr_write(csr, u64::MAX, env).unwrap(), CsrEffect::NONE);
        let expect = match csr {
            addr::FFLAGS => (31, 2),
            addr::FRM => (0x15, 7),
            _ => (31, 7),
        };
        assert_eq!((env.fflags, env.frm), expect);
        assert_ne!(peek(&h, addr::MSTATUS) & SD, 0);
    }
}

#[test]
fn sie_and_sip_are_windows() {
    let mut h = hart("max");
    poke(&mut h, addr::MIE, u64::MAX);
    assert_eq!(peek(&h, addr::SIE), 0);
    poke(&mut h, addr::MIDELEG, 0x202);
    assert_eq!(peek(&h, addr::SIE), 0x202);
    poke(&mut h, addr::SIE, 0);
    assert_eq!(peek(&h, addr::MIE), 0x2aaa & !0x202);
    poke(&mut h, addr::MIP, u64::MAX);
    assert_eq!(peek(&h, addr::SIP), 0x202);
    poke(&mut h, addr::SIP, 0);
    assert_eq!(
        peek(&h, addr::MIP),
        0x2220,
        "of these only SSIP is writable in sip"
    );
}

#[test]
fn seip_is_software_or_pin() {
    let mut h = hart("max");
    let env = &mut Env {
        pins: 1 << 9,
        ..Env::default()
    };
    // csrrs reads the pin but must not latch it.
    let (old, _) = h.csr_access(addr::MIP, CsrOp::Set(1 << 1), env).unwrap();
    assert_eq!(old, 1 << 9);
    env.pins = 0;
    assert_eq!(h.csr_read(addr::MIP, env), Ok(2));
    h.csr_access(addr::MIP, CsrOp::Set(1 << 9), env).unwrap();
    assert_eq!(h.csr_read(addr::MIP, env), Ok(0x202));
    h.csr_access(addr::MIP, CsrOp::Clear(2), env).unwrap();
    assert_eq!(h.csr_read(addr::MIP, env), Ok(0x200));
    env.pins = 1 << 9;
    h.csr_access(addr::MIP, CsrOp::Clear(1 << 9), env).unwrap();
    assert_eq!(
        h.csr_read(addr::MIP, env),
        Ok(0x200),
        "the pin still drives it"
    );
}

#[test]
fn machine_lines_are_pins() {
    let mut h = hart("max");
    let env = &mut Env {
        pins: 0x888,
        ..Env::default()
    };
    assert_eq!(h.csr_read(addr::MIP, env), Ok(0x888));
    h.csr_write(addr::MIP, 0, env).unwrap();
    assert_eq!(h.csr_read(addr::MIP, env), Ok(0x888));
    env.pins = !0x2aaa;
    assert_eq!(h.csr_read(addr::MIP, env), Ok(0), "lines that do not exist");
}

#[test]
fn counters() {
    let mut h = hart("max");
    let env = &mut Env {
        cycle: 1000,
        instret: 100,
        time: 77,
        ..Env::default()
    };
    assert_eq!(h.csr_read(addr::MCYCLE, env), Ok(1000));
    assert_eq!(h.csr_read(addr::TIME, env), Ok(77));
    h.csr_write(addr::MINSTRET, 5, env).unwrap();
    env.instret += 1; // the write itself
    assert_eq!(h.csr_read(addr::INSTRET, env), Ok(5));
    h.csr_write(addr::MCYCLE, u64::MAX, env).unwrap();
    env.cycle += 3;
    assert_eq!(h.csr_read(addr::CYCLE, env), Ok(2), "wraps");

    h.csr_write(addr::MCOUNTINHIBIT, 5, env).unwrap();
    env.cycle += 50;
    env.instret += 50;
    assert_eq!(h.csr_read(addr::MCYCLE, env), Ok(2));
    assert_eq!(h.csr_read(addr::MINSTRET, env), Ok(6));
    h.csr_write(addr::MINSTRET, 40, env).unwrap();
    assert_eq!(h.csr_read(addr::MINSTRET, env), Ok(40));
    h.csr_write(addr::MCOUNTINHIBIT, 0, env).unwrap();
    env.cycle += 1;
    env.instret += 1;
    assert_eq!(h.csr_read(addr::MCYCLE, env), Ok(3));
    assert_eq!(h.csr_read(addr::MINSTRET, env), Ok(40));

    // Saved and restored on an engine whose counts are elsewhere.
    h.counters_to_absolute(env.cycle, env.instret);
    h.counters_from_absolute(9, 8);
    let other = &mut Env {
        cycle: 10,
        instret: 10,
        ..Env::default()
    };
    assert_eq!(h.csr_read(addr::MCYCLE, other), Ok(4));
    assert_eq!(h.csr_read(addr::MINSTRET, other), Ok(42));
}
