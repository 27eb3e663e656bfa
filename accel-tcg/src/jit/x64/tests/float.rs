//! SSE, AVX scalar, FMA, F16C.

use super::*;
use iced_x86::Mnemonic::*;

const BOTH: [Fp; 2] = [Fp::S, Fp::D];

/// Size of a scalar, bytes.
fn size(p: Fp) -> usize {
    match p {
        Fp::S => 4,
        Fp::D => 8,
    }
}

fn im(v: u8) -> O {
    O::I(i64::from(v), 8)
}

type Sxx = fn(&mut Asm, Fp, Xmm, Xmm);
type Sxm = fn(&mut Asm, Fp, Xmm, Mem);
type Sxxx = fn(&mut Asm, Fp, Xmm, Xmm, Xmm);
type Sxxm = fn(&mut Asm, Fp, Xmm, Xmm, Mem);

/// Calls `f` with all pairs.
fn pairs(mut f: impl FnMut(Xmm, Xmm)) {
    for a in Xmm::ALL {
        for b in Xmm::ALL {
            f(a, b);
        }
    }
}

/// Calls `f` with all triples.
fn triples(mut f: impl FnMut(Xmm, Xmm, Xmm)) {
    for d in Xmm::ALL {
        pairs(|a, b| f(d, a, b));
    }
}

#[test]
fn scalar() {
    let table: &[([Mnemonic; 2], Sxx, Sxm)] = &[
        ([Addss, Addsd], Asm::adds_xx, Asm::adds_xm),
        ([Mulss, Mulsd], Asm::muls_xx, Asm::muls_xm),
        ([Subss, Subsd], Asm::subs_xx, Asm::subs_xm),
        ([Minss, Minsd], Asm::mins_xx, Asm::mins_xm),
        ([Divss, Divsd], Asm::divs_xx, Asm::divs_xm),
        ([Maxss, Maxsd], Asm::maxs_xx, Asm::maxs_xm),
        ([Sqrtss, Sqrtsd], Asm::sqrts_xx, Asm::sqrts_xm),
        ([Ucomiss, Ucomisd], Asm::ucomis_xx, Asm::ucomis_xm),
        ([Comiss, Comisd], Asm::comis_xx, Asm::comis_xm),
        ([Movss, Movsd], Asm::movs_xx, Asm::movs_xm),
    ];
    let mut c = Check::new();
    for &(what, xx, xm) in table {
        for p in BOTH {
            let what = what[p as usize];
            pairs(|a, b| {
                c.one(what, &[x(a), x(b)], |s| xx(s, p, a, b));
            });
            c.each_shape(|c, m| {
                let a = c.xmm();
                c.one(what, &[x(a), O::M(m, size(p))], |s| xm(s, p, a, m.mem()));
            });
        }
    }
}

#[test]
fn packed_and_stores() {
    type Row = (
        Mnemonic,
        usize,
        fn(&mut Asm, Xmm, Xmm),
        fn(&mut Asm, Xmm, Mem),
    );
    let table: &[Row] = &[
        (Andps, 16, Asm::andps_xx, Asm::andps_xm),
        (Andnps, 16, Asm::andnps_xx, Asm::andnps_xm),
        (Orps, 16, Asm::orps_xx, Asm::orps_xm),
        (Xorps, 16, Asm::xorps_xx, Asm::xorps_xm),
        (Movaps, 16, Asm::movaps_xx, Asm::movaps_xm),
        (Movups, 16, Asm::movups_xx, Asm::movups_xm),
        (Movdqa, 16, Asm::movdqa_xx, Asm::movdqa_xm),
        (Movdqu, 16, Asm::movdqu_xx, Asm::movdqu_xm),
        (Movq, 8, Asm::movq_xx, Asm::movq_xm),
        (Pcmpeqb, 16, Asm::pcmpeqb_xx, Asm::pcmpeqb_xm),
        (Pcmpeqw, 16, Asm::pcmpeqw_xx, Asm::pcmpeqw_xm),
        (Pcmpeqd, 16, Asm::pcmpeqd_xx, Asm::pcmpeqd_xm),
        (Pcmpeqq, 16, Asm::pcmpeqq_xx, Asm::pcmpeqq_xm),
        (Pand, 16, Asm::pand_xx, Asm::pand_xm),
        (Pandn, 16, Asm::pandn_xx, Asm::pandn_xm),
        (Por, 16, Asm::por_xx, Asm::por_xm),
        (Pxor, 16, Asm::pxor_xx, Asm::pxor_xm),
        (Paddq, 16, Asm::paddq_xx, Asm::paddq_xm),
        (Punpcklqdq, 16, Asm::punpcklqdq_xx, Asm::punpcklqdq_xm),
        (Punpckldq, 16, Asm::punpckldq_xx, Asm::punpckldq_xm),
        (Cvtss2sd, 4, Asm::cvtss2sd_xx, Asm::cvtss2sd_xm),
        (Cvtsd2ss, 8, Asm::cvtsd2ss_xx, Asm::cvtsd2ss_xm),
    ];
    let mut c = Check::new();
    for &(what, bytes, xx, xm) in table {
        pairs(|a, b| {
            c.one(what, &[x(a), x(b)], |s| xx(s, a, b));
        });
        c.each_shape(|c, m| {
            let a = c.xmm();
            c.one(what, &[x(a), O::M(m, bytes)], |s| xm(s, a, m.mem()));
        });
    }
    type Store = (Mnemonic, usize, fn(&mut Asm, Mem, Xmm));
    let stores: &[Store] = &[
        (Movaps, 16, Asm::movaps_mx),
        (Movups, 16, Asm::movups_mx),
        (Movdqa, 16, Asm::movdqa_mx),
        (Movdqu, 16, Asm::movdqu_mx),
        (Movq, 8, Asm::movq_mx),
        (Movd, 4, Asm::movd_mx),
    ];
    c.each_shape(|c, m| {
        let a = c.xmm();
        for &(what, bytes, f) in stores {
            c.one(what, &[O::M(m, bytes), x(a)], |s| f(s, m.mem(), a));
        }
        c.one(Movss, &[O::M(m, 4), x(a)], |s| s.movs_mx(Fp::S, m.mem(), a));
        c.one(Movsd, &[O::M(m, 8), x(a)], |s| s.movs_mx(Fp::D, m.mem(), a));
        c.one(Vmovss, &[O::M(m, 4), x(a)], |s| {
            s.vmovs_mx(Fp::S, m.mem(), a)
        });
        c.one(Vmovsd, &[O::M(m, 8), x(a)], |s| {
            s.vmovs_mx(Fp::D, m.mem(), a)
        });
        c.one(Vmovss, &[x(a), O::M(m, 4)], |s| {
            s.vmovs_xm(Fp::S, a, m.mem())
        });
        c.one(Vmovsd, &[x(a), O::M(m, 8)], |s| {
            s.vmovs_xm(Fp::D, a, m.mem())
        });
        c.one(Movd, &[x(a), O::M(m, 4)], |s| s.movd_xm(a, m.mem()));
    });
}

#[test]
fn between_register_files() {
    use Width::{W32, W64};
    let mut c = Check::new();
    for a in Xmm::ALL {
        for b in Gpr::ALL {
            c.one(Movd, &[x(a), r(W32, b)], |s| s.movd_xr(a, b));
            c.one(Movd, &[r(W32, b), x(a)], |s| s.movd_rx(b, a));
            c.one(Movq, &[x(a), r(W64, b)], |s| s.movq_xr(a, b));
            c.one(Movq, &[r(W64, b), x(a)], |s| s.movq_rx(b, a));
            c.one(Pinsrd, &[x(a), r(W32, b), im(3)], |s| {
                s.pinsr_xri(W32, a, b, 3)
            });
            c.one(Pinsrq, &[x(a), r(W64, b), im(1)], |s| {
                s.pinsr_xri(W64, a, b, 1)
            });
            c.one(Pextrd, &[r(W32, b), x(a), im(3)], |s| {
                s.pextr_rxi(W32, b, a, 3)
            });
            c.one(Pextrq, &[r(W64, b), x(a), im(1)], |s| {
                s.pextr_rxi(W64, b, a, 1)
            });
            c.one(Movmskps, &[r(W32, b), x(a)], |s| s.movmskp_rx(Fp::S, b, a));
            c.one(Movmskpd, &[r(W32, b), x(a)], |s| s.movmskp_rx(Fp::D, b, a));
            c.one(Pmovmskb, &[r(W32, b), x(a)], |s| s.pmovmskb_rx(b, a));
            for &w in LONG {
                for p in BOTH {
                    let k = p as usize;
                    c.one([Cvtsi2ss, Cvtsi2sd][k], &[x(a), r(w, b)], |s| {
                        s.cvtsi2s_xr(p, w, a, b)
                    });
                    c.one([Cvtss2si, Cvtsd2si][k], &[r(w, b), x(a)], |s| {
                        s.cvts2si_rx(p, w, b, a)
                    });
                    c.one([Cvttss2si, Cvttsd2si][k], &[r(w, b), x(a)], |s| {
                        s.cvtts2si_rx(p, w, b, a)
                    });
                    for e in Xmm::ALL {
                        let ops = [x(e), x(a), r(w, b)];
                        c.one([Vcvtsi2ss, Vcvtsi2sd][k], &ops, |s| {
                            s.vcvtsi2s_xxr(p, w, e, a, b)
                        });
                    }
                }
            }
        }
    }
    for &w in LONG {
        for p in BOTH {
            let k = p as usize;
            c.each_shape(|c, m| {
                let (a, b) = (c.xmm(), c.gpr());
                c.one([Cvtsi2ss, Cvtsi2sd][k], &[x(a), O::M(m, w.bytes())], |s| {
                    s.cvtsi2s_xm(p, w, a, m.mem())
                });
                c.one([Cvtss2si, Cvtsd2si][k], &[r(w, b), O::M(m, size(p))], |s| {
                    s.cvts2si_rm(p, w, b, m.mem())
                });
                c.one(
                    [Cvttss2si, Cvttsd2si][k],
                    &[r(w, b), O::M(m, size(p))],
                    |s| s.cvtts2si_rm(p, w, b, m.mem()),
                );
            });
        }
    }
}

#[test]
fn with_immediate() {
    let mut c = Check::new();
    pairs(|a, b| {
        c.one(Pshufd, &[x(a), x(b), im(0x4E)], |s| {
            s.pshufd_xxi(a, b, 0x4E)
        });
        c.one(Pclmulqdq, &[x(a), x(b), im(0x11)], |s| {
            s.pclmulqdq_xxi(a, b, 0x11)
        });
        c.one(Roundss, &[x(a), x(b), im(9)], |s| {
            s.rounds_xxi(Fp::S, a, b, 9)
        });
        c.one(Roundsd, &[x(a), x(b), im(3)], |s| {
            s.rounds_xxi(Fp::D, a, b, 3)
        });
    });
    c.each_shape(|c, m| {
        let a = c.xmm();
        c.one(Pclmulqdq, &[x(a), O::M(m, 16), im(0x10)], |s| {
            s.pclmulqdq_xmi(a, m.mem(), 0x10)
        });
        c.one(Roundss, &[x(a), O::M(m, 4), im(1)], |s| {
            s.rounds_xmi(Fp::S, a, m.mem(), 1)
        });
        c.one(Roundsd, &[x(a), O::M(m, 8), im(2)], |s| {
            s.rounds_xmi(Fp::D, a, m.mem(), 2)
        });
    });
    type Row = (Mnemonic, fn(&mut Asm, Xmm, u8));
    let table: &[Row] = &[
        (Psrld, Asm::psrld_xi),
        (Pslld, Asm::pslld_xi),
        (Psrlq, Asm::psrlq_xi),
        (Psllq, Asm::psllq_xi),
        (Psrldq, Asm::psrldq_xi),
        (Pslldq, Asm::pslldq_xi),
    ];
    for &(what, f) in table {
        for a in Xmm::ALL {
            c.one(what, &[x(a), im(5)], |s| f(s, a, 5));
        }
    }
}

#[test]
fn avx_scalar_and_fma() {
    let table: &[([Mnemonic; 2], Sxxx, Sxxm)] = &[
        ([Vaddss, Vaddsd], Asm::vadds_xxx, Asm::vadds_xxm),
        ([Vmulss, Vmulsd], Asm::vmuls_xxx, Asm::vmuls_xxm),
        ([Vsubss, Vsubsd], Asm::vsubs_xxx, Asm::vsubs_xxm),
        ([Vminss, Vminsd], Asm::vmins_xxx, Asm::vmins_xxm),
        ([Vdivss, Vdivsd], Asm::vdivs_xxx, Asm::vdivs_xxm),
        ([Vmaxss, Vmaxsd], Asm::vmaxs_xxx, Asm::vmaxs_xxm),
        ([Vsqrtss, Vsqrtsd], Asm::vsqrts_xxx, Asm::vsqrts_xxm),
        (
            [Vfmadd132ss, Vfmadd132sd],
            Asm::vfmadd132s_xxx,
            Asm::vfmadd132s_xxm,
        ),
        (
            [Vfmsub132ss, Vfmsub132sd],
            Asm::vfmsub132s_xxx,
            Asm::vfmsub132s_xxm,
        ),
        (
            [Vfnmadd132ss, Vfnmadd132sd],
            Asm::vfnmadd132s_xxx,
            Asm::vfnmadd132s_xxm,
        ),
        (
            [Vfnmsub132ss, Vfnmsub132sd],
            Asm::vfnmsub132s_xxx,
            Asm::vfnmsub132s_xxm,
        ),
        (
            [Vfmadd213ss, Vfmadd213sd],
            Asm::vfmadd213s_xxx,
            Asm::vfmadd213s_xxm,
        ),
        (
            [Vfmsub213ss, Vfmsub213sd],
            Asm::vfmsub213s_xxx,
            Asm::vfmsub213s_xxm,
        ),
        (
            [Vfnmadd213ss, Vfnmadd213sd],
            Asm::vfnmadd213s_xxx,
            Asm::vfnmadd213s_xxm,
        ),
        (
            [Vfnmsub213ss, Vfnmsub213sd],
            Asm::vfnmsub213s_xxx,
            Asm::vfnmsub213s_xxm,
        ),
        (
            [Vfmadd231ss, Vfmadd231sd],
            Asm::vfmadd231s_xxx,
            Asm::vfmadd231s_xxm,
        ),
        (
            [Vfmsub231ss, Vfmsub231sd],
            Asm::vfmsub231s_xxx,
            Asm::vfmsub231s_xxm,
        ),
        (
            [Vfnmadd231ss, Vfnmadd231sd],
            Asm::vfnmadd231s_xxx,
            Asm::vfnmadd231s_xxm,
        ),
        (
            [Vfnmsub231ss, Vfnmsub231sd],
            Asm::vfnmsub231s_xxx,
            Asm::vfnmsub231s_xxm,
        ),
    ];
    let mut c = Check::new();
    for &(what, xxx, xxm) in table {
        for p in BOTH {
            let what = what[p as usize];
            triples(|d, a, b| {
                c.one(what, &[x(d), x(a), x(b)], |s| xxx(s, p, d, a, b));
            });
            c.each_shape(|c, m| {
                let (d, a) = (c.xmm(), c.xmm());
                c.one(what, &[x(d), x(a), O::M(m, size(p))], |s| {
                    xxm(s, p, d, a, m.mem())
                });
            });
        }
    }
}

#[test]
fn avx_packed_and_conversions() {
    type Row = (
        Mnemonic,
        fn(&mut Asm, Xmm, Xmm, Xmm),
        fn(&mut Asm, Xmm, Xmm, Mem),
    );
    let table: &[Row] = &[
        (Vandps, Asm::vandps_xxx, Asm::vandps_xxm),
        (Vandnps, Asm::vandnps_xxx, Asm::vandnps_xxm),
        (Vorps, Asm::vorps_xxx, Asm::vorps_xxm),
        (Vxorps, Asm::vxorps_xxx, Asm::vxorps_xxm),
    ];
    let mut c = Check::new();
    for &(what, xxx, xxm) in table {
        triples(|d, a, b| {
            c.one(what, &[x(d), x(a), x(b)], |s| xxx(s, d, a, b));
        });
        c.each_shape(|c, m| {
            let (d, a) = (c.xmm(), c.xmm());
            c.one(what, &[x(d), x(a), O::M(m, 16)], |s| xxm(s, d, a, m.mem()));
        });
    }
    triples(|d, a, b| {
        let ops = [x(d), x(a), x(b)];
        c.one(Vmovss, &ops, |s| s.vmovs_xxx(Fp::S, d, a, b));
        c.one(Vmovsd, &ops, |s| s.vmovs_xxx(Fp::D, d, a, b));
        c.one(Vcvtss2sd, &ops, |s| s.vcvtss2sd_xxx(d, a, b));
        c.one(Vcvtsd2ss, &ops, |s| s.vcvtsd2ss_xxx(d, a, b));
        let ops = [x(d), x(a), x(b), im(11)];
        c.one(Vroundss, &ops, |s| s.vrounds_xxxi(Fp::S, d, a, b, 11));
        c.one(Vroundsd, &ops, |s| s.vrounds_xxxi(Fp::D, d, a, b, 11));
    });
    pairs(|a, b| {
        let ops = [x(a), x(b)];
        c.one(Vmovaps, &ops, |s| s.vmovaps_xx(a, b));
        c.one(Vucomiss, &ops, |s| s.vucomis_xx(Fp::S, a, b));
        c.one(Vucomisd, &ops, |s| s.vucomis_xx(Fp::D, a, b));
        c.one(Vcvtph2ps, &ops, |s| s.vcvtph2ps_xx(a, b));
        c.one(Vcvtps2ph, &[x(a), x(b), im(4)], |s| {
            s.vcvtps2ph_xxi(a, b, 4)
        });
    });
    c.each_shape(|c, m| {
        let a = c.xmm();
        c.one(Vcvtph2ps, &[x(a), O::M(m, 8)], |s| {
            s.vcvtph2ps_xm(a, m.mem())
        });
        c.one(Vcvtps2ph, &[O::M(m, 8), x(a), im(0)], |s| {
            s.vcvtps2ph_mxi(m.mem(), a, 0)
        });
    });
}
