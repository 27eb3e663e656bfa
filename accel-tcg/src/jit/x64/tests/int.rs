//! Integer moves, arithmetic, logic, shifts, atomics.

use super::*;

#[test]
fn alu_named() {
    type Row = (Mnemonic, Rr, Ri, Rm, Mr, Mi);
    let table: &[Row] = &[
        (
            Mnemonic::Add,
            Asm::add_rr,
            Asm::add_ri,
            Asm::add_rm,
            Asm::add_mr,
            Asm::add_mi,
        ),
        (
            Mnemonic::Or,
            Asm::or_rr,
            Asm::or_ri,
            Asm::or_rm,
            Asm::or_mr,
            Asm::or_mi,
        ),
        (
            Mnemonic::Adc,
            Asm::adc_rr,
            Asm::adc_ri,
            Asm::adc_rm,
            Asm::adc_mr,
            Asm::adc_mi,
        ),
        (
            Mnemonic::Sbb,
            Asm::sbb_rr,
            Asm::sbb_ri,
            Asm::sbb_rm,
            Asm::sbb_mr,
            Asm::sbb_mi,
        ),
        (
            Mnemonic::And,
            Asm::and_rr,
            Asm::and_ri,
            Asm::and_rm,
            Asm::and_mr,
            Asm::and_mi,
        ),
        (
            Mnemonic::Sub,
            Asm::sub_rr,
            Asm::sub_ri,
            Asm::sub_rm,
            Asm::sub_mr,
            Asm::sub_mi,
        ),
        (
            Mnemonic::Xor,
            Asm::xor_rr,
            Asm::xor_ri,
            Asm::xor_rm,
            Asm::xor_mr,
            Asm::xor_mi,
        ),
        (
            Mnemonic::Cmp,
            Asm::cmp_rr,
            Asm::cmp_ri,
            Asm::cmp_rm,
            Asm::cmp_mr,
            Asm::cmp_mi,
        ),
    ];
    let mut c = Check::new();
    for &(what, rr, ri, rm, mr, mi) in table {
        c.rr(what, ALL, rr);
        c.ri(what, ALL, ri);
        c.rm(what, ALL, rm);
        c.mr(what, ALL, mr);
        c.mi(what, ALL, mi);
    }
}

const ALU: [Mnemonic; 8] = [
    Mnemonic::Add,
    Mnemonic::Or,
    Mnemonic::Adc,
    Mnemonic::Sbb,
    Mnemonic::And,
    Mnemonic::Sub,
    Mnemonic::Xor,
    Mnemonic::Cmp,
];

#[test]
fn alu_by_value_and_locked() {
    let mut c = Check::new();
    for (o, what) in Alu::ALL.into_iter().zip(ALU) {
        for &w in ALL {
            c.each_shape(|c, m| {
                let a = c.gpr();
                let b = c.gpr();
                let v = IMMS[a.num() as usize % IMMS.len()];
                let (me, im) = (O::M(m, w.bytes()), O::I(fit(w, v), w.bits()));
                c.one(what, &[r(w, a), r(w, b)], |s| s.alu_rr(o, w, a, b));
                c.one(what, &[r(w, a), im], |s| s.alu_ri(o, w, a, v));
                c.one(what, &[r(w, a), me], |s| s.alu_rm(o, w, a, m.mem()));
                c.one(what, &[me, r(w, a)], |s| s.alu_mr(o, w, m.mem(), a));
                c.one(what, &[me, im], |s| s.alu_mi(o, w, m.mem(), v));
                if o != Alu::Cmp {
                    let i = c.one(what, &[me, r(w, a)], |s| s.lock_alu_mr(o, w, m.mem(), a));
                    assert!(i.has_lock_prefix());
                    let i = c.one(what, &[me, im], |s| s.lock_alu_mi(o, w, m.mem(), v));
                    assert!(i.has_lock_prefix());
                }
            });
        }
    }
}

#[test]
fn immediates_are_as_short_as_possible() {
    let mut c = Check::new();
    let mut len = |f: fn(&mut Asm)| {
        c.asm.reset(0);
        f(&mut c.asm);
        c.asm.len()
    };
    use Gpr::*;
    use Width::*;
    assert_eq!(len(|s| s.add_ri(W64, Rcx, 127)), 4);
    assert_eq!(len(|s| s.add_ri(W64, Rcx, 128)), 7);
    assert_eq!(len(|s| s.add_ri(W64, Rax, 128)), 6);
    assert_eq!(len(|s| s.add_ri(W32, Rax, -1)), 3);
    assert_eq!(len(|s| s.add_ri(W8, Rax, -1)), 2);
    assert_eq!(len(|s| s.mov_ri(W64, Rcx, 0)), 5);
    assert_eq!(len(|s| s.mov_ri(W64, R9, 0xFFFF_FFFF)), 6);
    assert_eq!(len(|s| s.mov_ri(W64, Rcx, -1)), 7);
    assert_eq!(len(|s| s.mov_ri(W64, Rcx, 1 << 32)), 10);
    assert_eq!(len(|s| s.movabs(Rcx, 0)), 10);
    assert_eq!(len(|s| s.zero(Rcx)), 2);
    assert_eq!(len(|s| s.zero(R8)), 3);
    assert_eq!(len(|s| s.shl_ri(W64, Rcx, 1)), 3);
    assert_eq!(len(|s| s.imul_rri(W64, Rcx, Rcx, 100)), 4);
    assert_eq!(len(|s| s.imul_rri(W64, Rcx, Rcx, 1000)), 7);
    assert_eq!(len(|s| s.push_i(-128)), 2);
    // VEX takes its two-byte form where it can.
    assert_eq!(len(|s| s.vadds_xxx(Fp::D, Xmm::X8, Xmm::X9, Xmm::X7)), 4);
    assert_eq!(len(|s| s.vadds_xxx(Fp::D, Xmm::X8, Xmm::X9, Xmm::X8)), 5);
}

#[test]
fn moves() {
    let mut c = Check::new();
    c.rr(Mnemonic::Mov, ALL, Asm::mov_rr);
    c.rm(Mnemonic::Mov, ALL, Asm::mov_rm);
    c.mr(Mnemonic::Mov, ALL, Asm::mov_mr);
    c.mi(Mnemonic::Mov, ALL, Asm::mov_mi);
    let values = [
        0,
        1,
        -1,
        0x7F,
        0x80,
        0x7FFF_FFFF,
        0x8000_0000,
        0xFFFF_FFFF,
        0x1_0000_0000,
        i64::MIN,
        i64::MAX,
        -0x8000_0000,
        -0x8000_0001,
    ];
    for d in Gpr::ALL {
        for v in values {
            for &w in ALL {
                // A W64 value without high bits is moved as 32 bits, which clears the rest.
                let seen = if w == Width::W64 && v == v & 0xFFFF_FFFF {
                    Width::W32
                } else {
                    w
                };
                c.one(Mnemonic::Mov, &[r(seen, d), O::I(v, seen.bits())], |s| {
                    s.mov_ri(w, d, v)
                });
            }
            c.one(Mnemonic::Mov, &[r(Width::W64, d), O::I(v, 64)], |s| {
                s.movabs(d, v as u64)
            });
        }
        c.one(Mnemonic::Xor, &[r(Width::W32, d), r(Width::W32, d)], |s| {
            s.zero(d)
        });
    }
    c.rr(Mnemonic::Xchg, ALL, Asm::xchg_rr);
    c.mr(Mnemonic::Xchg, ALL, Asm::xchg_mr);
    for &w in WIDE {
        c.each_shape(|c, m| {
            let a = c.gpr();
            c.one(Mnemonic::Lea, &[r(w, a), O::M(m, 0)], |s| {
                s.lea(w, a, m.mem())
            });
        });
    }
}

#[test]
fn extensions() {
    use Width::*;
    let mut c = Check::new();
    let zero = [
        (W8, W32, Mnemonic::Movzx),
        (W16, W32, Mnemonic::Movzx),
        (W32, W32, Mnemonic::Mov),
        (W64, W64, Mnemonic::Mov),
    ];
    for (sw, dw, what) in zero {
        for d in Gpr::ALL {
            for a in Gpr::ALL {
                c.one(what, &[r(dw, d), r(sw, a)], |s| s.movzx_rr(sw, d, a));
            }
        }
        c.each_shape(|c, m| {
            let d = c.gpr();
            c.one(what, &[r(dw, d), O::M(m, sw.bytes())], |s| {
                s.movzx_rm(sw, d, m.mem())
            });
        });
    }
    let sign = [
        (W8, W16),
        (W8, W32),
        (W8, W64),
        (W16, W32),
        (W16, W64),
        (W32, W64),
    ];
    for (sw, dw) in sign {
        let what = if sw == W32 {
            Mnemonic::Movsxd
        } else {
            Mnemonic::Movsx
        };
        for d in Gpr::ALL {
            for a in Gpr::ALL {
                c.one(what, &[r(dw, d), r(sw, a)], |s| s.movsx_rr(dw, sw, d, a));
            }
        }
        c.each_shape(|c, m| {
            let d = c.gpr();
            c.one(what, &[r(dw, d), O::M(m, sw.bytes())], |s| {
                s.movsx_rm(dw, sw, d, m.mem())
            });
        });
    }
}

#[test]
fn unary() {
    type Row = (Mnemonic, R, M);
    let table: &[Row] = &[
        (Mnemonic::Not, Asm::not_r, Asm::not_m),
        (Mnemonic::Neg, Asm::neg_r, Asm::neg_m),
        (Mnemonic::Mul, Asm::mul_r, Asm::mul_m),
        (Mnemonic::Imul, Asm::imul_r, Asm::imul_m),
        (Mnemonic::Div, Asm::div_r, Asm::div_m),
        (Mnemonic::Idiv, Asm::idiv_r, Asm::idiv_m),
        (Mnemonic::Inc, Asm::inc_r, Asm::inc_m),
        (Mnemonic::Dec, Asm::dec_r, Asm::dec_m),
    ];
    let mut c = Check::new();
    for &(what, f, g) in table {
        c.r(what, ALL, f);
        c.m(what, ALL, g);
    }
}

#[test]
fn test_and_multiply() {
    let mut c = Check::new();
    c.rr(Mnemonic::Test, ALL, Asm::test_rr);
    c.ri(Mnemonic::Test, ALL, Asm::test_ri);
    c.mr(Mnemonic::Test, ALL, Asm::test_mr);
    c.mi(Mnemonic::Test, ALL, Asm::test_mi);
    c.rr(Mnemonic::Imul, WIDE, Asm::imul_rr);
    c.rm(Mnemonic::Imul, WIDE, Asm::imul_rm);
    for &w in WIDE {
        for d in Gpr::ALL {
            for a in Gpr::ALL {
                for &v in IMMS {
                    let im = O::I(fit(w, v), w.bits());
                    c.one(Mnemonic::Imul, &[r(w, d), r(w, a), im], |s| {
                        s.imul_rri(w, d, a, v)
                    });
                }
            }
        }
        c.each_shape(|c, m| {
            let (d, n) = (c.gpr(), c.next());
            let v = IMMS[n % IMMS.len()];
            let ops = [r(w, d), O::M(m, w.bytes()), O::I(fit(w, v), w.bits())];
            c.one(Mnemonic::Imul, &ops, |s| s.imul_rmi(w, d, m.mem(), v));
        });
    }
    c.plain(Mnemonic::Cdq, Asm::cdq);
    c.plain(Mnemonic::Cqo, Asm::cqo);
}

#[test]
fn shifts() {
    type Row = (Mnemonic, Shift, fn(&mut Asm, Width, Gpr, u8), R);
    let table: &[Row] = &[
        (Mnemonic::Rol, Shift::Rol, Asm::rol_ri, Asm::rol_rcl),
        (Mnemonic::Ror, Shift::Ror, Asm::ror_ri, Asm::ror_rcl),
        (Mnemonic::Rcl, Shift::Rcl, Asm::rcl_ri, Asm::rcl_rcl),
        (Mnemonic::Rcr, Shift::Rcr, Asm::rcr_ri, Asm::rcr_rcl),
        (Mnemonic::Shl, Shift::Shl, Asm::shl_ri, Asm::shl_rcl),
        (Mnemonic::Shr, Shift::Shr, Asm::shr_ri, Asm::shr_rcl),
        (Mnemonic::Sar, Shift::Sar, Asm::sar_ri, Asm::sar_rcl),
    ];
    assert_eq!(table.len(), Shift::ALL.len());
    let mut c = Check::new();
    let cl = O::R(Register::CL);
    for &(what, o, ri, rcl) in table {
        for &w in ALL {
            for a in Gpr::ALL {
                for n in [0, 1, 2, 7, 31, 63] {
                    let im = O::I(i64::from(n), 8);
                    c.one(what, &[r(w, a), im], |s| ri(s, w, a, n));
                    c.one(what, &[r(w, a), im], |s| s.shift_ri(o, w, a, n));
                }
                c.one(what, &[r(w, a), cl], |s| rcl(s, w, a));
                c.one(what, &[r(w, a), cl], |s| s.shift_rcl(o, w, a));
            }
            c.each_shape(|c, m| {
                let n = (c.next() % 8) as u8;
                let me = O::M(m, w.bytes());
                c.one(what, &[me, O::I(i64::from(n), 8)], |s| {
                    s.shift_mi(o, w, m.mem(), n)
                });
                c.one(what, &[me, cl], |s| s.shift_mcl(o, w, m.mem()));
            });
        }
    }
}

#[test]
fn double_shifts() {
    type Rri = fn(&mut Asm, Width, Gpr, Gpr, u8);
    let table: &[(Mnemonic, Rri, Rr)] = &[
        (Mnemonic::Shld, Asm::shld_rri, Asm::shld_rrcl),
        (Mnemonic::Shrd, Asm::shrd_rri, Asm::shrd_rrcl),
    ];
    let mut c = Check::new();
    for &(what, rri, rrcl) in table {
        for &w in WIDE {
            for d in Gpr::ALL {
                for a in Gpr::ALL {
                    c.one(what, &[r(w, d), r(w, a), O::I(13, 8)], |s| {
                        rri(s, w, d, a, 13)
                    });
                    c.one(what, &[r(w, d), r(w, a), O::R(Register::CL)], |s| {
                        rrcl(s, w, d, a)
                    });
                }
            }
        }
    }
}

#[test]
fn locked() {
    let mut c = Check::new();
    c.mr(Mnemonic::Xadd, ALL, Asm::lock_xadd_mr);
    c.mr(Mnemonic::Cmpxchg, ALL, Asm::lock_cmpxchg_mr);
    c.each_shape(|c, m| {
        let i = c.one(Mnemonic::Cmpxchg8b, &[O::M(m, 8)], |s| {
            s.lock_cmpxchg8b(m.mem())
        });
        assert!(i.has_lock_prefix());
        let i = c.one(Mnemonic::Cmpxchg16b, &[O::M(m, 16)], |s| {
            s.lock_cmpxchg16b(m.mem())
        });
        assert!(i.has_lock_prefix());
        let (w, a) = (ALL[c.turn % 4], c.gpr());
        let me = O::M(m, w.bytes());
        assert!(
            c.one(Mnemonic::Xadd, &[me, r(w, a)], |s| s.lock_xadd_mr(
                w,
                m.mem(),
                a
            ))
            .has_lock_prefix()
        );
        assert!(
            c.one(Mnemonic::Cmpxchg, &[me, r(w, a)], |s| s.lock_cmpxchg_mr(
                w,
                m.mem(),
                a
            ))
            .has_lock_prefix()
        );
    });
}

#[test]
#[should_panic(expected = "rsp cannot be an index")]
fn rsp_as_index_is_refused() {
    let _ = Mem::indexed(Gpr::Rax, Gpr::Rsp, Scale::X1, 0);
}

#[test]
fn offset_moves_the_operand() {
    assert_eq!(Mem::new(Gpr::Rbx, 8).offset(-16), Mem::new(Gpr::Rbx, -8));
    assert_eq!(Mem::new(Gpr::Rbx, 8).offset(4).disp(), 12);
}
