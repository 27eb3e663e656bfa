//! Jumps, labels, calls, stack, conditions, system instructions, buffer limits.

use super::*;
use iced_x86::Mnemonic::*;

const JCC: [Mnemonic; 16] = [
    Jo, Jno, Jb, Jae, Je, Jne, Jbe, Ja, Js, Jns, Jp, Jnp, Jl, Jge, Jle, Jg,
];
const SETCC: [Mnemonic; 16] = [
    Seto, Setno, Setb, Setae, Sete, Setne, Setbe, Seta, Sets, Setns, Setp, Setnp, Setl, Setge,
    Setle, Setg,
];
const CMOVCC: [Mnemonic; 16] = [
    Cmovo, Cmovno, Cmovb, Cmovae, Cmove, Cmovne, Cmovbe, Cmova, Cmovs, Cmovns, Cmovp, Cmovnp,
    Cmovl, Cmovge, Cmovle, Cmovg,
];
const CODES: [iced_x86::ConditionCode; 16] = {
    use iced_x86::ConditionCode::*;
    [o, no, b, ae, e, ne, be, a, s, ns, p, np, l, ge, le, g]
};

#[test]
fn conditions() {
    let mut c = Check::new();
    for (n, cond) in Cond::ALL.into_iter().enumerate() {
        for a in Gpr::ALL {
            c.one(SETCC[n], &[r(Width::W8, a)], |s| s.setcc_r(cond, a));
            for b in Gpr::ALL {
                for &w in WIDE {
                    c.one(CMOVCC[n], &[r(w, a), r(w, b)], |s| s.cmov_rr(cond, w, a, b));
                }
            }
        }
        c.each_shape(|c, m| {
            let (w, a) = (WIDE[c.turn % 3], c.gpr());
            c.one(SETCC[n], &[O::M(m, 1)], |s| s.setcc_m(cond, m.mem()));
            c.one(CMOVCC[n], &[r(w, a), O::M(m, w.bytes())], |s| {
                s.cmov_rm(cond, w, a, m.mem())
            });
        });
        for rel in [0, 1, -1, 127, -128] {
            let target = O::T(ORIGIN.wrapping_add(2).wrapping_add(rel as i64 as u64));
            let i = c.one(JCC[n], &[target], |s| s.jcc_rel8(cond, rel));
            assert_eq!(i.condition_code(), CODES[n]);
            // Inverting flips the condition the decoder sees.
            let i = c.one(JCC[n ^ 1], &[target], |s| s.jcc_rel8(cond.invert(), rel));
            assert_eq!(i.condition_code(), CODES[n ^ 1]);
        }
        for rel in [0, -1, 128, i32::MIN, i32::MAX] {
            let target = O::T(ORIGIN.wrapping_add(6).wrapping_add(rel as i64 as u64));
            c.one(JCC[n], &[target], |s| assert_eq!(s.jcc_rel32(cond, rel), 2));
        }
        c.one(JCC[n], &[O::T(ORIGIN - 0x1234)], |s| {
            assert_eq!(s.jcc_to(cond, ORIGIN - 0x1234), 2)
        });
    }
}

#[test]
fn jumps_and_calls() {
    let mut c = Check::new();
    for rel in [0, 1, -1, 127, -128] {
        let target = O::T(ORIGIN.wrapping_add(2).wrapping_add(rel as i64 as u64));
        c.one(Jmp, &[target], |s| s.jmp_rel8(rel));
    }
    for rel in [0, -1, 128, i32::MIN, i32::MAX] {
        let target = O::T(ORIGIN.wrapping_add(5).wrapping_add(rel as i64 as u64));
        c.one(Jmp, &[target], |s| assert_eq!(s.jmp_rel32(rel), 1));
        c.one(Call, &[target], |s| assert_eq!(s.call_rel32(rel), 1));
    }
    for target in [0, ORIGIN, ORIGIN + 0x7FFF_0000, ORIGIN - 1] {
        c.one(Jmp, &[O::T(target)], |s| assert_eq!(s.jmp_to(target), 1));
        c.one(Call, &[O::T(target)], |s| assert_eq!(s.call_to(target), 1));
    }
    for a in Gpr::ALL {
        let ops = [r(Width::W64, a)];
        c.one(Jmp, &ops, |s| s.jmp_r(a));
        c.one(Call, &ops, |s| s.call_r(a));
        c.one(Push, &ops, |s| s.push_r(a));
        c.one(Pop, &ops, |s| s.pop_r(a));
    }
    c.each_shape(|c, m| {
        let ops = [O::M(m, 8)];
        c.one(Jmp, &ops, |s| s.jmp_m(m.mem()));
        c.one(Call, &ops, |s| s.call_m(m.mem()));
        c.one(Push, &ops, |s| s.push_m(m.mem()));
        c.one(Pop, &ops, |s| s.pop_m(m.mem()));
    });
    for &v in IMMS {
        c.one(Push, &[O::I(i64::from(v), 64)], |s| s.push_i(v));
    }
}

#[test]
fn without_operands() {
    type Row = (Mnemonic, fn(&mut Asm));
    let table: &[Row] = &[
        (Ret, Asm::ret),
        (Pause, Asm::pause),
        (Int3, Asm::int3),
        (Ud2, Asm::ud2),
        (Cld, Asm::cld),
        (Clc, Asm::clc),
        (Stc, Asm::stc),
        (Cmc, Asm::cmc),
        (Pushfq, Asm::pushfq),
        (Popfq, Asm::popfq),
        (Lahf, Asm::lahf),
        (Sahf, Asm::sahf),
        (Rdtsc, Asm::rdtsc),
        (Mfence, Asm::mfence),
        (Lfence, Asm::lfence),
        (Sfence, Asm::sfence),
        (Vzeroupper, Asm::vzeroupper),
    ];
    let mut c = Check::new();
    for &(what, f) in table {
        c.plain(what, f);
    }
    c.each_shape(|c, m| {
        c.one(Ldmxcsr, &[O::M(m, 4)], |s| s.ldmxcsr(m.mem()));
        c.one(Stmxcsr, &[O::M(m, 4)], |s| s.stmxcsr(m.mem()));
    });
}

/// Decodes a whole block.
fn decode(code: &[u8]) -> Vec<Instruction> {
    Decoder::with_ip(64, code, ORIGIN, DecoderOptions::NONE)
        .into_iter()
        .collect()
}

#[test]
fn no_operations_fill_any_length() {
    let mut a = Asm::new(256);
    for len in 0..100 {
        a.reset(ORIGIN);
        a.nop(len);
        let code = a.finish().unwrap();
        assert_eq!(code.len(), len);
        let seen = decode(code);
        assert!(seen.iter().all(|i| i.mnemonic() == Nop));
        assert_eq!(seen.len(), len.div_ceil(9));
    }
    for at in 0..40 {
        a.reset(ORIGIN + at);
        a.int3();
        a.align(16);
        assert_eq!(a.address() % 16, 0);
        assert!(a.len() <= 16);
    }
}

/// A block with `gap` bytes between a jump and its label, in both directions.
#[test]
fn labels_reach_over_any_distance() {
    let mut a = Asm::new(1 << 17);
    for gap in [
        0, 1, 100, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 130, 1000, 40_000,
    ] {
        a.reset(ORIGIN);
        let (back, ahead) = (a.label(), a.label());
        assert_eq!(a.offset_of(back), None);
        a.bind(back);
        a.nop(gap);
        a.jmp(back);
        a.jcc(Cond::Ne, back);
        a.call(back);
        a.jmp(ahead);
        a.jcc(Cond::E, ahead);
        a.call(ahead);
        a.nop(gap);
        a.bind(ahead);
        let end = a.offset_of(ahead).unwrap() as u64;
        a.ret();
        assert_eq!(a.offset_of(back), Some(0));
        let seen = decode(a.finish().unwrap());
        let branches: Vec<_> = seen
            .iter()
            .filter(|i| i.op_count() == 1 && i.op0_kind() == OpKind::NearBranch64)
            .collect();
        assert_eq!(branches.len(), 6);
        assert!(branches[..3].iter().all(|i| i.near_branch64() == ORIGIN));
        assert!(
            branches[3..]
                .iter()
                .all(|i| i.near_branch64() == ORIGIN + end)
        );
        assert_eq!(
            branches[0].len(),
            if gap <= 126 { 2 } else { 5 },
            "gap {gap}"
        );
    }
}

#[test]
fn here_is_a_bound_label() {
    let mut a = Asm::new(64);
    a.reset(ORIGIN);
    a.ret();
    let l = a.here();
    assert_eq!(a.offset_of(l), Some(1));
    a.jmp(l);
    assert_eq!(decode(a.finish().unwrap())[1].near_branch64(), ORIGIN + 1);
}

#[test]
fn short_jumps_reach_127_bytes_and_no_more() {
    let mut a = Asm::new(512);
    for gap in [0, 1, 127, 128, 300] {
        for cond in [None, Some(Cond::G)] {
            a.reset(ORIGIN);
            let l = a.label();
            match cond {
                None => a.jmp_short(l),
                Some(c) => a.jcc_short(c, l),
            }
            a.nop(gap);
            a.bind(l);
            a.ret();
            match a.finish() {
                Ok(code) => {
                    assert!(gap <= 127);
                    assert_eq!(decode(code)[0].near_branch64(), ORIGIN + 2 + gap as u64);
                }
                Err(e) => {
                    assert!(gap > 127);
                    assert_eq!(
                        e,
                        AsmError::ShortJump {
                            at: 1,
                            distance: gap as i64
                        }
                    );
                }
            }
        }
    }
}

/// A `[rip + label]` operand counts from the end of the instruction, behind the immediate.
#[test]
fn constants_behind_the_block() {
    let mut a = Asm::new(256);
    a.reset(ORIGIN);
    let (one, two) = (a.label(), a.label());
    a.movs_xm(Fp::D, Xmm::X9, Mem::label(one));
    a.cmp_mi(Width::W64, Mem::label(two), 5);
    a.cmp_mi(Width::W64, Mem::label(two), 500);
    a.mov_mi(Width::W16, Mem::label(two), 500);
    a.lea(Width::W64, Gpr::R10, Mem::label(one));
    a.vadds_xxm(Fp::S, Xmm::X1, Xmm::X2, Mem::label(two));
    a.ret();
    a.align(8);
    a.bind(one);
    a.data(&1.0f64.to_le_bytes());
    a.bind(two);
    a.data(&[0; 8]);
    let at = [
        a.offset_of(one).unwrap() as u64 + ORIGIN,
        a.offset_of(two).unwrap() as u64 + ORIGIN,
    ];
    let seen = decode(a.finish().unwrap());
    let got: Vec<_> = seen[..6]
        .iter()
        .map(|i| i.ip_rel_memory_address())
        .collect();
    assert_eq!(got, [at[0], at[1], at[1], at[1], at[0], at[1]]);
}

#[test]
fn errors_are_reported_at_the_end() {
    let mut a = Asm::new(64);
    a.reset(0);
    let l = a.label();
    a.jmp(l);
    assert_eq!(a.finish(), Err(AsmError::UnboundLabel { label: 0 }));

    a.reset(0);
    a.jmp_to((1 << 31) + 5);
    assert_eq!(
        a.finish(),
        Err(AsmError::TooFar {
            from: 5,
            target: 0x8000_0005
        })
    );
    a.reset(0);
    a.jmp_to((1 << 31) + 4);
    assert!(a.finish().is_ok());
    a.reset(1 << 40);
    a.call_to(0);
    assert!(matches!(a.finish(), Err(AsmError::TooFar { .. })));

    // An error does not outlive `reset`.
    a.reset(0);
    assert!(a.is_empty());
    a.ret();
    assert_eq!(a.finish(), Ok(&[0xC3][..]));
}

#[test]
fn a_full_buffer_is_an_error_and_never_a_panic() {
    for capacity in 0..40 {
        let mut a = Asm::new(capacity);
        assert_eq!(a.capacity(), capacity);
        for len in 0..60usize {
            a.reset(0);
            for _ in 0..len {
                a.ret();
            }
            assert_eq!(a.overflowed(), len > capacity);
            assert_eq!(a.finish().is_ok(), len <= capacity, "{len} in {capacity}");
        }
        // All kinds of emission after the overflow are harmless.
        let l = a.label();
        for _ in 0..20 {
            a.movabs(Gpr::Rax, 1);
            a.jmp_short(l);
            a.jmp(l);
            a.jmp_to(0);
            a.mov_mi(Width::W64, Mem::label(l), 1);
            a.data(&[0; 33]);
            a.nop(1000);
            a.align(64);
            a.vzeroupper();
        }
        a.bind(l);
        assert_eq!(a.finish(), Err(AsmError::Overflow { capacity }));
    }
}
