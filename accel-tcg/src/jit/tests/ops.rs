//! Every operation on edge values, in the places that values may come from and go to.

use super::*;
use crate::fp::Format;
use crate::ir::r#gen::{BINS, CONDS, EDGES, RMWS, UNS, WIDTHS};
use crate::ir::{InsnInfo, Inst, Val};
use crate::sem::{Bin, FpBin, FpCmp, FpMinMax, IntFormat, Round, Width};

/// Where an operand comes from.
#[derive(Clone, Copy, Debug)]
enum Place {
    Reg(Slot),
    Const(u64),
    /// Computed, so that it sits in a scratch register.
    Computed(Slot),
    /// The low half of a slot as a boxed single.
    Unboxed(Slot),
}

const P0: Slot = PINNED[0];
const P1: Slot = PINNED[1];
const P2: Slot = PINNED[2];
const M0: Slot = Slot(20);
const M1: Slot = Slot(21);
const M2: Slot = Slot(22);

/// Assembles a block by hand.
#[derive(Default)]
pub(super) struct Make {
    insts: Vec<Inst>,
    insns: Vec<InsnInfo>,
}

impl Make {
    pub fn new() -> Make {
        let mut m = Make::default();
        m.insn();
        m
    }
    pub fn insn(&mut self) {
        let index = self.insns.len() as u16;
        self.insns.push(InsnInfo {
            offset: index * 4,
            len: 4,
        });
        self.insts.push(Inst::Insn { index });
    }
    pub fn push(&mut self, i: Inst) -> Val {
        self.insts.push(i);
        Val(self.insts.len() as u16 - 1)
    }
    fn from(&mut self, f: Place) -> Val {
        match f {
            Place::Reg(s) => self.push(Inst::Get(s)),
            Place::Const(k) => self.push(Inst::Imm(k)),
            Place::Computed(s) => {
                let a = self.push(Inst::Get(s));
                let k = self.push(Inst::Imm(0));
                self.push(Inst::Bin {
                    op: Bin::Xor,
                    w: Width::W64,
                    a,
                    b: k,
                })
            }
            Place::Unboxed(s) => {
                let a = self.push(Inst::Get(s));
                self.push(Inst::FpUnbox { f: Format::F32, a })
            }
        }
    }
    pub fn end(self, last: Inst) -> Block {
        let mut insts = self.insts;
        insts.push(last);
        Block {
            pc: 0x1000,
            insts,
            insns: self.insns,
        }
    }
}

fn places(k: u64) -> Vec<[Place; 2]> {
    use Place::{Computed, Const, Reg};
    vec![
        [Reg(P0), Reg(P1)],
        [Reg(P0), Reg(P0)],
        [Reg(P2), Reg(P0)],
        [Reg(M0), Reg(P1)],
        [Reg(P0), Reg(M1)],
        [Reg(M0), Reg(M1)],
        [Reg(M0), Reg(M0)],
        [Reg(P0), Const(k)],
        [Reg(M0), Const(k)],
        [Const(k), Reg(P0)],
        [Const(k), Reg(M1)],
        [Const(k), Const(k ^ 5)],
        [Computed(P0), Reg(P1)],
        [Reg(P0), Computed(M1)],
        [Computed(P0), Computed(M1)],
        [Computed(P0), Const(k)],
    ]
}

/// Runs blocks made by `f` from operands in all places, with results to several destinations, on random edge values.
fn binary(seed: u64, all: bool, f: &dyn Fn(&mut Make, Val, Val) -> Val, modes: &[ModeKey]) {
    let mut rng = Rng(seed | 1);
    for features in feature_sets() {
        let mut m = Machine::new(features, false);
        for &mode in modes {
            for (n, place) in places(EDGES[(rng.next() % 40) as usize])
                .into_iter()
                .enumerate()
            {
                for (k, dest) in [P0, P1, M2, PINNED[5]].into_iter().enumerate() {
                    if !all && (n + k + rng.next() as usize).is_multiple_of(2) {
                        continue;
                    }
                    let mut b = Make::new();
                    let (x, y) = (b.from(place[0]), b.from(place[1]));
                    let v = f(&mut b, x, y);
                    b.push(Inst::Set(dest, v));
                    // Keep an operand alive past the operation, at times.
                    if rng.next() & 1 == 0 {
                        b.push(Inst::Set(Slot(30), x));
                        b.push(Inst::Set(PINNED[6], y));
                    }
                    let block = b.end(Inst::Resync { next: 0x1004 });
                    let compiled = m.compile(&block, mode);
                    for _ in 0..4 {
                        let mut image = Image::new(&mut rng, 16);
                        if let Some(r) = mode.dynamic_rounding() {
                            image.state.slots[usize::from(FRM.0)] = r as u64;
                        }
                        m.check_compiled(&compiled, &block, &image, &[]);
                    }
                }
            }
        }
    }
}

#[test]
fn integer_operations() {
    for (i, op) in BINS.into_iter().enumerate() {
        for w in WIDTHS {
            binary(
                i as u64 * 77 + w as u64,
                w >= Width::W32,
                &|m, a, b| m.push(Inst::Bin { op, w, a, b }),
                &[RNE],
            );
            if w == Width::W32 {
                let f = |m: &mut Make, a, b| {
                    let v = m.push(Inst::Bin { op, w, a, b });
                    m.push(Inst::Ext {
                        signed: true,
                        from: w,
                        a: v,
                    })
                };
                binary(i as u64 * 77 + 9, false, &f, &[RNE]);
            }
        }
    }
    for (i, op) in UNS.into_iter().enumerate() {
        for w in WIDTHS {
            binary(
                i as u64 * 33 + w as u64,
                false,
                &|m, a, _| m.push(Inst::Un { op, w, a }),
                &[RNE],
            );
        }
    }
    for from in WIDTHS {
        for signed in [false, true] {
            binary(
                from as u64,
                true,
                &|m, a, _| m.push(Inst::Ext { signed, from, a }),
                &[RNE],
            );
        }
    }
}

#[test]
fn comparisons_and_selections() {
    for (i, c) in CONDS.into_iter().enumerate() {
        for w in WIDTHS {
            binary(
                i as u64 * 55 + w as u64,
                false,
                &|m, a, b| m.push(Inst::Cmp { c, w, a, b }),
                &[RNE],
            );
            binary(
                i as u64 * 56 + w as u64,
                false,
                &|m, a, b| {
                    m.push(Inst::Select {
                        c,
                        w,
                        a,
                        b,
                        t: a,
                        f: b,
                    })
                },
                &[RNE],
            );
            let f = |m: &mut Make, a, b| {
                let (t, f) = (m.push(Inst::Get(M0)), m.push(Inst::Get(P1)));
                m.push(Inst::Select { c, w, a, b, t, f })
            };
            binary(i as u64 * 57 + w as u64, false, &f, &[RNE]);
        }
    }
}

/// Encodings that matter to floating point, boxed or not.
fn fp_image(rng: &mut Rng, f: Format) -> Image {
    let mut image = Image::new(rng, 16);
    for s in image.state.slots.iter_mut() {
        *s = match f {
            Format::F64 => {
                let edges = [
                    0,
                    1 << 63,
                    0x3ff0_0000_0000_0000,
                    0xbff0_0000_0000_0000,
                    0x3fe0_0000_0000_0000,
                    0xbfe8_0000_0000_0000,
                    0x7ff0_0000_0000_0000,
                    0xfff0_0000_0000_0000,
                    0x7ff8_0000_0000_0000,
                    0xfff8_0000_0000_0001,
                    0x7ff0_0000_0000_0001,
                    0x0010_0000_0000_0000,
                    0x000f_ffff_ffff_ffff,
                    1,
                    0x7fef_ffff_ffff_ffff,
                    0x41df_ffff_ffc0_0000,
                    0x41e0_0000_0000_0000,
                    0xc1e0_0000_0000_0000,
                    0xc1e0_0000_0020_0000,
                    0x41ef_ffff_ffe0_0000,
                    0x41ef_ffff_fff0_0000,
                    0x41f0_0000_0000_0000,
                    0x43e0_0000_0000_0000,
                    0xc3e0_0000_0000_0000,
                    0x43f0_0000_0000_0000,
                    0x3690_0000_0000_0000,
                    0x47ef_ffff_f000_0000,
                    0x380f_ffff_f000_0000,
                ];
                match rng.next() % 4 {
                    0 => rng.next(),
                    1 => 0x3fe0_0000_0000_0000 | rng.next() >> 10,
                    _ => edges[rng.next() as usize % edges.len()],
                }
            }
            _ => {
                let edges = [
                    0,
                    0x8000_0000,
                    0x3f80_0000,
                    0xbf80_0000,
                    0x3f00_0000,
                    0xbf40_0000,
                    0x7f80_0000,
                    0xff80_0000,
                    0x7fc0_0000,
                    0xffc0_0001,
                    0x7f80_0001,
                    0x0080_0000,
                    0x007f_ffff,
                    1,
                    0x7f7f_ffff,
                    0x4eff_ffff,
                    0x4f00_0000,
                    0xcf00_0000,
                    0x4f7f_ffff,
                    0x4f80_0000,
                    0x5f00_0000,
                    0xdf00_0000,
                    0x5f80_0000u64,
                ];
                let low = match rng.next() % 4 {
                    0 => rng.next() >> 32,
                    1 => 0x3f00_0000 | rng.next() >> 40,
                    _ => edges[rng.next() as usize % edges.len()],
                };
                let high = if rng.next().is_multiple_of(8) {
                    rng.next() << 32
                } else {
                    u64::MAX << 32
                };
                high | low
            }
        };
    }
    image.state.slots[usize::from(FFLAGS.0)] = rng.next() & 31;
    image.state.slots[usize::from(FRM.0)] = 0;
    image
}

/// Emits an operation on up to three operands; tells whether its result is in the format and to be boxed.
type FpEmit<'a> = &'a dyn Fn(&mut Make, [Val; 3]) -> (Val, bool);

/// Runs a floating-point operation on up to three operands.
fn float(seed: u64, f: Format, to: Format, op: FpEmit) {
    use Place::{Const, Reg as S, Unboxed};
    let mut rng = Rng(seed * 2 + 1);
    for mut features in feature_sets() {
        for fma in [true, false] {
            features.fma &= fma;
            let mut m = Machine::new(features, false);
            for place in 0..6 {
                for dest in [M2, P0, M0] {
                    let mut b = Make::new();
                    let wrap = |s: Slot, raw: bool| {
                        if f == Format::F32 && !raw {
                            Unboxed(s)
                        } else {
                            S(s)
                        }
                    };
                    let froms = match place {
                        0 => [wrap(M0, false), wrap(M1, false), wrap(M2, false)],
                        1 => [wrap(P0, false), wrap(M0, false), wrap(M0, false)],
                        2 => [wrap(M0, true), wrap(M1, true), wrap(P2, true)],
                        3 => [wrap(P0, true), wrap(P0, true), wrap(P1, true)],
                        4 => [
                            Const(0x3f80_0000),
                            wrap(M1, false),
                            Const(0xffff_ffff_ffff_ffff),
                        ],
                        _ => [wrap(M1, false), Const(0), wrap(M1, true)],
                    };
                    let vals = froms.map(|f| b.from(f));
                    let (v, boxes) = op(&mut b, vals);
                    let r = if boxes && to == Format::F32 {
                        b.push(Inst::FpBox { f: to, a: v })
                    } else {
                        v
                    };
                    b.push(Inst::Set(dest, r));
                    // Again, with the result: registers hold something now.
                    let (v, boxes) = op(
                        &mut b,
                        [vals[0], vals[1], if f == to { v } else { vals[2] }],
                    );
                    let r = if boxes {
                        b.push(Inst::FpBox { f: to, a: v })
                    } else {
                        v
                    };
                    b.push(Inst::Set(Slot(25), r));
                    let block = b.end(Inst::Resync { next: 0x1004 });
                    let mode = MODES[(rng.next() % 6) as usize];
                    let compiled = m.compile(&block, mode);
                    for _ in 0..40 {
                        let mut image = fp_image(&mut rng, f);
                        if let Some(r) = mode.dynamic_rounding() {
                            image.state.slots[usize::from(FRM.0)] = r as u64;
                        }
                        m.check_compiled(&compiled, &block, &image, &[]);
                    }
                }
            }
        }
    }
}

fn rounds() -> [Round; 5] {
    [
        Round::Dynamic,
        Round::Fixed(Rounding::Rne),
        Round::Fixed(Rounding::Rdn),
        Round::Fixed(Rounding::Rtz),
        Round::Fixed(Rounding::Rup),
    ]
}

#[test]
fn float_arithmetic() {
    for f in [Format::F32, Format::F64] {
        for rm in rounds() {
            for op in [FpBin::Add, FpBin::Sub, FpBin::Mul, FpBin::Div] {
                float(op as u64, f, f, &|m, [a, b, _]| {
                    (m.push(Inst::FpBin { op, f, rm, a, b }), true)
                });
            }
            float(7, f, f, &|m, [a, ..]| {
                (m.push(Inst::FpSqrt { f, rm, a }), true)
            });
        }
        for (neg_product, neg_addend) in
            [(false, false), (false, true), (true, false), (true, true)]
        {
            let rm = Round::Dynamic;
            float(8, f, f, &|m, [a, b, c]| {
                (
                    m.push(Inst::FpFma {
                        f,
                        rm,
                        neg_product,
                        neg_addend,
                        a,
                        b,
                        c,
                    }),
                    true,
                )
            });
        }
        for op in [
            FpMinMax::MinNumber,
            FpMinMax::MaxNumber,
            FpMinMax::Minimum,
            FpMinMax::Maximum,
        ] {
            float(9, f, f, &|m, [a, b, _]| {
                (m.push(Inst::FpMinMax { op, f, a, b }), true)
            });
        }
    }
}

#[test]
fn float_comparisons_and_conversions() {
    for f in [Format::F32, Format::F64] {
        for c in [FpCmp::Eq, FpCmp::Lt, FpCmp::Le] {
            for signaling in [false, true] {
                float(3, f, Format::F64, &|m, [a, b, _]| {
                    (
                        m.push(Inst::FpCmp {
                            c,
                            f,
                            signaling,
                            a,
                            b,
                        }),
                        false,
                    )
                });
            }
        }
        let other = if f == Format::F32 {
            Format::F64
        } else {
            Format::F32
        };
        for rm in rounds() {
            for width in [Width::W32, Width::W64] {
                for signed in [false, true] {
                    let to = IntFormat { width, signed };
                    float(4, f, Format::F64, &|m, [a, ..]| {
                        (m.push(Inst::FpToInt { f, rm, to, a }), false)
                    });
                    let from = to;
                    binary(
                        5,
                        false,
                        &|m, a, _| m.push(Inst::FpFromInt { f, rm, from, a }),
                        &MODES,
                    );
                }
            }
            float(6, f, other, &|m, [a, ..]| {
                (
                    m.push(Inst::FpConvert {
                        from: f,
                        to: other,
                        rm,
                        a,
                    }),
                    true,
                )
            });
        }
        float(7, f, f, &|m, [a, ..]| {
            (
                m.push(Inst::FpRound {
                    f,
                    rm: Round::Dynamic,
                    exact: true,
                    a,
                }),
                true,
            )
        });
        float(8, f, Format::F64, &|m, [a, ..]| {
            (m.push(Inst::FpClassify { f, a }), false)
        });
    }
    float(9, Format::F64, Format::F64, &|m, [a, ..]| {
        (m.push(Inst::FpToIntMod { a }), false)
    });
}

#[test]
fn memory_accesses() {
    let mut rng = Rng(99);
    for features in feature_sets() {
        let mut m = Machine::new(features, false);
        for size in WIDTHS {
            for (sign, aligned) in [(false, false), (true, false), (false, true), (true, true)] {
                let op = MemOp {
                    size,
                    sign,
                    aligned,
                    acquire: false,
                    release: false,
                };
                for (base, value, dest) in [
                    (P0, P1, P2),
                    (P0, M1, M2),
                    (M0, P0, P0),
                    (M0, M1, P1),
                    (P0, P0, P0),
                    (M0, M0, M0),
                ] {
                    for kind in 0..5 + RMWS.len() {
                        let mut b = Make::new();
                        let (x, y) = (b.from(Place::Reg(base)), b.from(Place::Computed(value)));
                        let live = b.from(Place::Computed(M2));
                        let disp = if kind < 2 {
                            (rng.next() % 64) as i32 - 32
                        } else {
                            0
                        };
                        let addr = if rng.next() & 1 == 0 {
                            b.push(Inst::Bin {
                                op: Bin::Or,
                                w: Width::W64,
                                a: x,
                                b: x,
                            })
                        } else {
                            x
                        };
                        let v = match kind {
                            0 => Some(b.push(Inst::Load { m: op, addr, disp })),
                            1 => {
                                b.push(Inst::Store {
                                    m: op,
                                    addr,
                                    value: y,
                                    disp,
                                });
                                None
                            }
                            2 if size < Width::W32 => continue,
                            3 if size < Width::W32 => continue,
                            2 => Some(b.push(Inst::LoadReserved { m: op, addr })),
                            3 => Some(b.push(Inst::StoreConditional {
                                m: op,
                                addr,
                                value: y,
                            })),
                            4 => {
                                let e = b.from(Place::Reg(Slot(23)));
                                Some(b.push(Inst::Cas {
                                    m: op,
                                    addr,
                                    expected: e,
                                    new: y,
                                }))
                            }
                            k => Some(b.push(Inst::Rmw {
                                op: RMWS[k - 5],
                                m: op,
                                addr,
                                value: y,
                            })),
                        };
                        if let Some(v) = v
                            && !rng.next().is_multiple_of(4)
                        {
                            b.push(Inst::Set(dest, v));
                        }
                        b.push(Inst::Set(Slot(31), live));
                        let block = b.end(Inst::Resync { next: 0x1004 });
                        let compiled = m.compile(&block, RNE);
                        for _ in 0..8 {
                            let mut image = Image::new(&mut rng, 3 * 4096);
                            // Around the middle of pages and their ends.
                            let at = match rng.next() % 4 {
                                0 => 0x1000 - 8 + rng.next() % 16,
                                1 => 0x3000 - 8 + rng.next() % 16,
                                2 => rng.next() % 0x3000,
                                _ => (rng.next() % 0x2ff8) & !7,
                            };
                            let at = if kind >= 2 && rng.next() & 3 != 0 {
                                at & !7
                            } else {
                                at
                            };
                            image.state.slots[usize::from(base.0)] = BASE + at;
                            if rng.next() & 1 == 0 {
                                let seen = image.mem.load(BASE + at, size).unwrap_or(0);
                                image.state.reservation =
                                    Some((BASE + at, seen ^ (rng.next() & 1)));
                                image.state.slots[23] = seen
                                    | if size == Width::W64 {
                                        0
                                    } else {
                                        rng.next() << size.bits()
                                    };
                            }
                            let mapped = [
                                (rng.next() & 3) as u8,
                                (rng.next() & 3) as u8,
                                (rng.next() & 3) as u8,
                            ];
                            m.check_compiled(&compiled, &block, &image, &mapped);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn many_live_values_are_spilled() {
    let mut rng = Rng(5);
    for features in feature_sets() {
        let mut m = Machine::new(features, false);
        for n in [4u64, 9, 30] {
            let mut b = Make::new();
            let vals: Vec<Val> = (0..n)
                .map(|k| {
                    let (x, y) = (
                        b.push(Inst::Get(PINNED[(k % 10) as usize])),
                        b.push(Inst::Get(Slot(20 + (k % 7) as u8))),
                    );
                    b.push(Inst::Bin {
                        op: BINS[(k % 5) as usize],
                        w: Width::W64,
                        a: x,
                        b: y,
                    })
                })
                .collect();
            // All of them survive a helper that changes registers, a division, and a software operation.
            let one = vals[0];
            let called = b.push(Inst::Call {
                h: HelperId(0),
                n: 2,
                args: [vals[1], vals[2], one, one],
            });
            let divided = b.push(Inst::Bin {
                op: Bin::DivU,
                w: Width::W64,
                a: called,
                b: vals[3],
            });
            let soft = b.push(Inst::FpClassify {
                f: Format::F16,
                a: divided,
            });
            let mut sum = soft;
            for &v in vals.iter().rev() {
                sum = b.push(Inst::Bin {
                    op: Bin::Add,
                    w: Width::W64,
                    a: sum,
                    b: v,
                });
            }
            b.push(Inst::Set(P0, sum));
            b.push(Inst::Set(M0, divided));
            let block = b.end(Inst::JumpReg {
                target: called,
                kind: crate::sem::JumpKind::Plain,
            });
            for _ in 0..20 {
                m.check(&block, RNE, &Image::new(&mut rng, 16), &[]);
            }
        }
    }
}
