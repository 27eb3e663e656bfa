//! Scans, counts, swaps, bit tests, BMI.

use super::*;

type Rrr = fn(&mut Asm, Width, Gpr, Gpr, Gpr);

#[test]
fn scans() {
    type Row = (Mnemonic, Rr, Rm);
    let table: &[Row] = &[
        (Mnemonic::Bsf, Asm::bsf_rr, Asm::bsf_rm),
        (Mnemonic::Bsr, Asm::bsr_rr, Asm::bsr_rm),
        (Mnemonic::Tzcnt, Asm::tzcnt_rr, Asm::tzcnt_rm),
        (Mnemonic::Lzcnt, Asm::lzcnt_rr, Asm::lzcnt_rm),
        (Mnemonic::Popcnt, Asm::popcnt_rr, Asm::popcnt_rm),
    ];
    let mut c = Check::new();
    for &(what, rr, rm) in table {
        c.rr(what, WIDE, rr);
        c.rm(what, WIDE, rm);
    }
}

#[test]
fn swaps() {
    let mut c = Check::new();
    c.r(Mnemonic::Bswap, LONG, Asm::bswap);
    c.rm(Mnemonic::Movbe, WIDE, Asm::movbe_rm);
    c.mr(Mnemonic::Movbe, WIDE, Asm::movbe_mr);
}

#[test]
fn bit_tests() {
    type Row = (
        Mnemonic,
        Rr,
        fn(&mut Asm, Width, Gpr, u8),
        fn(&mut Asm, Width, Mem, u8),
    );
    let table: &[Row] = &[
        (Mnemonic::Bt, Asm::bt_rr, Asm::bt_ri, Asm::bt_mi),
        (Mnemonic::Bts, Asm::bts_rr, Asm::bts_ri, Asm::bts_mi),
        (Mnemonic::Btr, Asm::btr_rr, Asm::btr_ri, Asm::btr_mi),
        (Mnemonic::Btc, Asm::btc_rr, Asm::btc_ri, Asm::btc_mi),
    ];
    let mut c = Check::new();
    for &(what, rr, ri, mi) in table {
        c.rr(what, WIDE, rr);
        for &w in WIDE {
            for a in Gpr::ALL {
                c.one(what, &[r(w, a), O::I(13, 8)], |s| ri(s, w, a, 13));
            }
            c.each_shape(|c, m| {
                c.one(what, &[O::M(m, w.bytes()), O::I(63, 8)], |s| {
                    mi(s, w, m.mem(), 63)
                });
            });
        }
    }
}

/// Three registers in all combinations.
fn rrr(c: &mut Check, what: Mnemonic, f: Rrr) {
    for &w in LONG {
        for d in Gpr::ALL {
            for a in Gpr::ALL {
                for b in Gpr::ALL {
                    c.one(what, &[r(w, d), r(w, a), r(w, b)], |s| f(s, w, d, a, b));
                }
            }
        }
    }
}

#[test]
fn bmi_with_count_last() {
    type Row = (Mnemonic, Rrr, fn(&mut Asm, Width, Gpr, Mem, Gpr));
    let table: &[Row] = &[
        (Mnemonic::Shlx, Asm::shlx_rrr, Asm::shlx_rmr),
        (Mnemonic::Sarx, Asm::sarx_rrr, Asm::sarx_rmr),
        (Mnemonic::Shrx, Asm::shrx_rrr, Asm::shrx_rmr),
        (Mnemonic::Bextr, Asm::bextr_rrr, Asm::bextr_rmr),
        (Mnemonic::Bzhi, Asm::bzhi_rrr, Asm::bzhi_rmr),
    ];
    let mut c = Check::new();
    for &(what, f, rmr) in table {
        rrr(&mut c, what, f);
        for &w in LONG {
            c.each_shape(|c, m| {
                let (d, n) = (c.gpr(), c.gpr());
                c.one(what, &[r(w, d), O::M(m, w.bytes()), r(w, n)], |s| {
                    rmr(s, w, d, m.mem(), n)
                });
            });
        }
    }
}

#[test]
fn bmi_with_source_last() {
    type Row = (Mnemonic, Rrr, fn(&mut Asm, Width, Gpr, Gpr, Mem));
    let table: &[Row] = &[
        (Mnemonic::Andn, Asm::andn_rrr, Asm::andn_rrm),
        (Mnemonic::Mulx, Asm::mulx_rrr, Asm::mulx_rrm),
        (Mnemonic::Pdep, Asm::pdep_rrr, Asm::pdep_rrm),
        (Mnemonic::Pext, Asm::pext_rrr, Asm::pext_rrm),
    ];
    let mut c = Check::new();
    for &(what, f, rrm) in table {
        rrr(&mut c, what, f);
        for &w in LONG {
            c.each_shape(|c, m| {
                let (d, a) = (c.gpr(), c.gpr());
                c.one(what, &[r(w, d), r(w, a), O::M(m, w.bytes())], |s| {
                    rrm(s, w, d, a, m.mem())
                });
            });
        }
    }
}

#[test]
fn bmi_lowest_bit_and_rorx() {
    type Row = (Mnemonic, Rr, Rm);
    let table: &[Row] = &[
        (Mnemonic::Blsr, Asm::blsr_rr, Asm::blsr_rm),
        (Mnemonic::Blsmsk, Asm::blsmsk_rr, Asm::blsmsk_rm),
        (Mnemonic::Blsi, Asm::blsi_rr, Asm::blsi_rm),
    ];
    let mut c = Check::new();
    for &(what, rr, rm) in table {
        c.rr(what, LONG, rr);
        c.rm(what, LONG, rm);
    }
    for &w in LONG {
        for d in Gpr::ALL {
            for a in Gpr::ALL {
                c.one(Mnemonic::Rorx, &[r(w, d), r(w, a), O::I(17, 8)], |s| {
                    s.rorx_rri(w, d, a, 17)
                });
            }
        }
        c.each_shape(|c, m| {
            let d = c.gpr();
            c.one(
                Mnemonic::Rorx,
                &[r(w, d), O::M(m, w.bytes()), O::I(17, 8)],
                |s| s.rorx_rmi(w, d, m.mem(), 17),
            );
        });
    }
}
