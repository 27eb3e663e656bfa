//! Pending, masking, delegation, priority, Sstc.

use super::*;
use ambidex_cpu::riscv::csr::addr;
use ambidex_cpu::riscv::status::*;
use ambidex_cpu::riscv::{CsrEffect, Interrupt};

/// Bits by decreasing priority, from the specification.
const ORDER: [u32; 7] = [11, 3, 7, 9, 1, 5, 13];

/// What the specification says, spelled out.
fn expected(mode: Priv, status: u64, pending: u64, enabled: u64, deleg: u64) -> Option<u32> {
    let global_m = mode < Priv::Machine || status & MIE != 0;
    let global_s = mode < Priv::Supervisor || mode == Priv::Supervisor && status & SIE != 0;
    let pick = |set: u64| ORDER.into_iter().find(|&b| set >> b & 1 == 1);
    let (m, s) = (pending & enabled & !deleg, pending & enabled & deleg);
    pick(m)
        .filter(|_| global_m)
        .or_else(|| pick(s).filter(|_| global_s))
}

#[test]
fn every_combination() {
    // Spreads 7 bits over the seven lines.
    let spread = |n: u64| {
        ORDER
            .iter()
            .enumerate()
            .fold(0, |v, (i, &b)| v | (n >> i & 1) << b)
    };
    let delegable = 0x2222;
    for mode in MODES {
        for ie in 0..4 {
            let status = [0, SIE, MIE, SIE | MIE][ie as usize];
            for deleg in
                (0..16u64).map(|n| n & 1 | (n >> 1 & 1) << 4 | (n >> 2 & 1) << 8 | (n >> 3) << 12)
            {
                let deleg = deleg << 1; // bits 1, 5, 9, 13
                assert_eq!(deleg & !delegable, 0);
                let mut h = hart("max");
                poke(&mut h, addr::MSTATUS, status);
                poke(&mut h, addr::MIDELEG, deleg);
                h.set_privilege(mode);
                for enabled in [spread(0x7f), spread(0x55), spread(0x2a), 0] {
                    poke(&mut h, addr::MIE, enabled);
                    for pending in (0..128).map(spread) {
                        let got = h.pending_interrupt(pending).map(|i| i as u32);
                        let want = expected(mode, status, pending, enabled, deleg);
                        assert_eq!(
                            got, want,
                            "{mode:?} {status:#x} {pending:#x} {enabled:#x} {deleg:#x}"
                        );
                        assert_eq!(h.wakes(pending), pending & enabled != 0);
                    }
                }
            }
        }
    }
}

#[test]
fn software_bits_and_pulses() {
    let mut h = hart("max");
    poke(&mut h, addr::MSTATUS, MIE);
    poke(&mut h, addr::MIE, u64::MAX);
    assert_eq!(h.pending_interrupt(0), None);
    h.latch(u64::MAX);
    assert_eq!(h.mip(0), 2, "only SSIP is edge-driven");
    assert_eq!(h.pending_interrupt(0), Some(Interrupt::SupervisorSoftware));
    poke(&mut h, addr::MIP, 0);
    assert_eq!(h.pending_interrupt(0), None, "software clears it");
}

#[test]
fn sstc() {
    let mut h = hart("max");
    let env = &mut Env {
        time: 100,
        ..Env::default()
    };
    poke(&mut h, addr::MIE, u64::MAX);
    poke(&mut h, addr::MIDELEG, u64::MAX);
    poke(&mut h, addr::MSTATUS, SIE);
    poke(&mut h, addr::MCOUNTEREN, 2);
    let stip = 1 << 5;

    // Disabled: software and the pin drive STIP, stimecmp does nothing.
    h.csr_write(addr::STIMECMP, 50, env).unwrap();
    assert_eq!(
        (h.csr_read(addr::MIP, env), h.time_deadline()),
        (Ok(0), None)
    );
    h.csr_write(addr::MIP, stip, env).unwrap();
    assert_eq!(h.csr_read(addr::MIP, env), Ok(stip));

    // Enabled: the comparison alone.
    let effect = h.csr_write(addr::MENVCFG, 1 << 63, env).unwrap();
    assert!(effect.contains(CsrEffect::TIMER | CsrEffect::INTERRUPTS));
    h.set_privilege(Priv::Supervisor);
    assert_eq!(h.pending_interrupt(0), Some(Interrupt::SupervisorTimer));
    let effect = h.csr_write(addr::STIMECMP, 200, env).unwrap();
    assert!(effect.contains(CsrEffect::TIMER | CsrEffect::INTERRUPTS));
    assert_eq!(h.csr_read(addr::SIP, env), Ok(0));
    assert_eq!(
        (h.pending_interrupt(stip), h.time_deadline()),
        (None, Some(200))
    );
    env.time = 200;
    assert_eq!(h.csr_read(addr::SIP, env), Ok(stip), "reads compare anew");
    h.update_timer(199);
    assert_eq!(h.pending_interrupt(0), None);
    h.update_timer(200);
    assert_eq!(h.pending_interrupt(0), Some(Interrupt::SupervisorTimer));
    assert_eq!(h.time_deadline(), None, "already fired");
    h.csr_write(addr::STIMECMP, u64::MAX, env).unwrap();
    assert_eq!((h.pending_interrupt(0), h.time_deadline()), (None, None));

    // Read-only in mip meanwhile; what software wrote before comes back afterwards.
    h.set_privilege(Priv::Machine);
    h.csr_write(addr::MIP, 0, env).unwrap();
    h.csr_write(addr::MENVCFG, 0, env).unwrap();
    assert_eq!(h.csr_read(addr::MIP, env), Ok(stip));
}

#[test]
fn no_supervisor_lines_without_s_mode() {
    let mut h = hart("sifive-u54,mmu=off,s=off");
    poke(&mut h, addr::MIE, u64::MAX);
    assert_eq!(peek(&h, addr::MIE), 0x888);
    h.latch(2);
    assert_eq!(h.mip(u64::MAX), 0x888);
}
