//! Links, exits, fuel.

use super::ops::Make;
use super::*;
use crate::ir::{Inst, Val};
use crate::sem::{Bin, Cond, JumpKind, Width};
use std::sync::atomic::Ordering;

const A: Slot = PINNED[0];
const M: Slot = Slot(20);

/// `A += 1; if A < limit goto target; goto out`, two guest instructions at 0x1000.
fn counting_block(limit: u64, target: u64, out: u64) -> Block {
    let mut b = Make::new();
    let (x, one) = (b.push(Inst::Get(A)), b.push(Inst::Imm(1)));
    let sum = b.push(Inst::Bin {
        op: Bin::Add,
        w: Width::W64,
        a: x,
        b: one,
    });
    b.push(Inst::Set(A, sum));
    b.insn();
    let (x, k) = (b.push(Inst::Get(A)), b.push(Inst::Imm(limit)));
    b.push(Inst::Branch {
        c: Cond::LtU,
        w: Width::W64,
        a: x,
        b: k,
        target,
    });
    b.end(Inst::Jump {
        target: out,
        kind: JumpKind::Plain,
    })
}

fn zero_image() -> Image {
    Image {
        state: IrState::default(),
        mem: Window {
            base: BASE,
            bytes: vec![0; 16],
        },
    }
}

fn slot(i: &Image, s: Slot) -> u64 {
    i.state.slots[usize::from(s.0)]
}

fn stub_of(c: &Compiled, target: u64) -> u32 {
    c.links.iter().find(|l| l.target == target).unwrap().stub
}

#[test]
fn a_loop_linked_to_itself_runs_to_its_end() {
    for features in feature_sets() {
        for count in [false, true] {
            let mut m = Machine::new(features, count);
            m.ctx.fuel = 1_000_000;
            let c = m.compile(&counting_block(1000, 0x1000, 0x1008), RNE);
            assert!(c.links.iter().all(|l| l.cross_page.is_none()));
            let mut image = zero_image();
            let back = c.links.iter().find(|l| l.target == 0x1000).unwrap().clone();
            assert_eq!(
                m.enter(c.entry, &mut image, &[]).0,
                ExitKind::Link { stub: back.stub }
            );
            assert_eq!(slot(&image, A), 1);
            assert_eq!(slot(&image, PC), 0x1000);
            m.jit.link(&back, c.entry, 0);
            assert_eq!(
                m.enter(c.entry, &mut image, &[]).0,
                ExitKind::Link {
                    stub: stub_of(&c, 0x1008)
                }
            );
            assert_eq!((slot(&image, A), slot(&image, PC)), (1000, 0x1008));
            m.jit.unlink(&back);
            image.state.slots[usize::from(A.0)] = 0;
            assert_eq!(
                m.enter(c.entry, &mut image, &[]).0,
                ExitKind::Link { stub: back.stub }
            );
            assert_eq!(slot(&image, A), 1);
            if count {
                assert_eq!(m.ctx.fuel, 1_000_000 - 2 * 1001);
            }
        }
    }
}

#[test]
fn requests_are_seen_on_backward_jumps_only() {
    for count in [false, true] {
        let mut m = Machine::new(HostFeatures::detect(), count);
        m.ctx.fuel = 1000;
        let c = m.compile(&counting_block(1000, 0x1000, 0x1008), RNE);
        let back = c.links.iter().find(|l| l.target == 0x1000).unwrap().clone();
        m.jit.link(&back, c.entry, 0);
        m.ctx.exit_request.store(1, Ordering::Relaxed);
        let mut image = zero_image();
        assert_eq!(m.enter(c.entry, &mut image, &[]).0, ExitKind::Request);
        assert_eq!((slot(&image, A), slot(&image, PC)), (1, 0x1000));
        // The branch is not taken: nothing to see.
        image.state.slots[usize::from(A.0)] = 999;
        assert_eq!(
            m.enter(c.entry, &mut image, &[]).0,
            ExitKind::Link {
                stub: stub_of(&c, 0x1008)
            }
        );
        if count {
            assert_eq!(m.ctx.fuel, 1000 - 4);
        }
        // A branch forward does not look.
        let c = m.compile(&counting_block(1000, 0x1040, 0x1008), RNE);
        image.state.slots[usize::from(A.0)] = 0;
        assert_eq!(
            m.enter(c.entry, &mut image, &[]).0,
            ExitKind::Link {
                stub: stub_of(&c, 0x1040)
            }
        );
    }
}

#[test]
fn links_to_other_pages_check_the_execution_id() {
    for (target, out) in [(0x5000, 0x1008), (0x1000, 0x5000), (0x800, 0x1008)] {
        let mut m = Machine::new(HostFeatures::detect(), false);
        let c = m.compile(&counting_block(10, target, out), RNE);
        let there = c
            .links
            .iter()
            .find(|l| l.target & !0xfff != 0x1000)
            .unwrap()
            .clone();
        assert!(there.cross_page.is_some());
        // What it leads to.
        let mut b = Make::new();
        let k = b.push(Inst::Imm(77));
        b.push(Inst::Set(M, k));
        let d = m.compile(&b.end(Inst::Resync { next: 0x9000 }), RNE);
        let mut image = zero_image();
        image.state.slots[usize::from(A.0)] = if there.target == out { 100 } else { 0 };
        let start = image.clone();
        m.jit.link(&there, d.entry, 42);
        for (xid, follows) in [(0, false), (42, true), (41, false), (42, true)] {
            let mut image = start.clone();
            // `enter` flushes the bank, so that the id is put in by hand.
            let exit = m.enter_with(c.entry, &mut image, |bank| {
                bank.renew_xid(there.target, xid)
            });
            if follows {
                assert_eq!(exit, ExitKind::Resync);
                assert_eq!((slot(&image, M), slot(&image, PC)), (77, 0x9000));
            } else {
                assert_eq!(exit, ExitKind::Link { stub: there.stub });
                assert_eq!((slot(&image, M), slot(&image, PC)), (0, there.target));
            }
        }
        m.jit.unlink(&there);
        for xid in [0, 42, u32::MAX] {
            let mut image = start.clone();
            let exit = m.enter_with(c.entry, &mut image, |bank| {
                bank.renew_xid(there.target, xid)
            });
            assert_eq!(exit, ExitKind::Link { stub: there.stub });
        }
    }
}

#[test]
fn indirect_jumps_use_the_jump_cache() {
    for features in feature_sets() {
        for from in [A, M] {
            let mut m = Machine::new(features, false);
            let mut b = Make::new();
            let t = b.push(Inst::Get(from));
            let c = m.compile(
                &b.end(Inst::JumpReg {
                    target: t,
                    kind: JumpKind::Return,
                }),
                RNE,
            );
            let mut b = Make::new();
            let k = b.push(Inst::Imm(5));
            b.push(Inst::Set(Slot(21), k));
            let d = m.compile(&b.end(Inst::Resync { next: 0x9000 }), RNE);
            let mut image = zero_image();
            let target = 0x7fff_1234_5672;
            image.state.slots[usize::from(from.0)] = target;
            let start = image.clone();
            assert_eq!(m.enter(c.entry, &mut image, &[]).0, ExitKind::Lookup);
            assert_eq!(slot(&image, PC), target);
            let host = m.jit.host_address(d.entry);
            let mut image = start.clone();
            assert_eq!(
                m.enter_with(c.entry, &mut image, |b| b.put_jump(target, host)),
                ExitKind::Resync
            );
            assert_eq!(slot(&image, Slot(21)), 5);
            // Another target in the same place of the cache.
            let mut image = start.clone();
            assert_eq!(
                m.enter_with(c.entry, &mut image, |b| b.put_jump(target ^ 1 << 40, host)),
                ExitKind::Lookup
            );
            m.ctx.exit_request.store(1, Ordering::Relaxed);
            let mut image = start.clone();
            assert_eq!(
                m.enter_with(c.entry, &mut image, |b| b.put_jump(target, host)),
                ExitKind::Request
            );
            assert_eq!((slot(&image, PC), slot(&image, Slot(21))), (target, 0));
        }
    }
}

#[test]
fn fuel_is_counted_exactly() {
    // A side exit after one of three instructions.
    let block = |target| {
        let mut b = Make::new();
        let (x, k) = (b.push(Inst::Get(A)), b.push(Inst::Imm(7)));
        b.push(Inst::Branch {
            c: Cond::Eq,
            w: Width::W64,
            a: x,
            b: k,
            target,
        });
        b.insn();
        let one = b.push(Inst::Imm(1));
        b.push(Inst::Set(M, one));
        b.insn();
        b.end(Inst::Jump {
            target: 0x2000,
            kind: JumpKind::Plain,
        })
    };
    for target in [0x1000, 0x1080, 0x4000, 0x800] {
        let mut m = Machine::new(HostFeatures::detect(), true);
        let c = m.compile(&block(target), RNE);
        for (a, used) in [(7, 1), (8, 3)] {
            m.ctx.fuel = 10;
            let mut image = zero_image();
            image.state.slots[usize::from(A.0)] = a;
            let exit = m.enter(c.entry, &mut image, &[]).0;
            assert!(matches!(exit, ExitKind::Link { .. }));
            assert_eq!(m.ctx.fuel, 10 - used);
            assert_eq!(slot(&image, M), u64::from(a == 8));
        }
        for fuel in [3, 2, 0, -5] {
            m.ctx.fuel = fuel;
            let mut image = zero_image();
            let exit = m.enter(c.entry, &mut image, &[]).0;
            if fuel >= 3 {
                assert_eq!((exit == ExitKind::Fuel, m.ctx.fuel), (false, 0));
            } else {
                assert_eq!((exit, m.ctx.fuel), (ExitKind::Fuel, fuel));
                assert_eq!((slot(&image, M), slot(&image, PC)), (0, 0x1000));
            }
        }
    }
}

#[test]
fn raising_reports_the_instruction() {
    let mut m = Machine::new(HostFeatures::detect(), false);
    let mut b = Make::new();
    let k = b.push(Inst::Imm(0x1234_5678_9abc));
    b.push(Inst::Set(M, k));
    b.insn();
    let block = b.end(Inst::Raise { cause: 2, value: k });
    m.check(&block, RNE, &zero_image(), &[]);
}

#[test]
fn eviction_keeps_the_common_code_and_frees_the_oldest() {
    let mut m = Machine::new(HostFeatures::detect(), false);
    let block = counting_block(5, 0x1040, 0x1008);
    let mut evicted = 0;
    let mut last = None;
    while evicted < 9 {
        match m.jit.compile(&block, RNE) {
            Ok(c) => last = Some(c),
            Err(crate::jit::CompileError::Full) => {
                let dead = m.jit.evict();
                evicted += 1;
                if let Some(c) = &last
                    && evicted > 4
                {
                    assert!(!dead.contains(&c.entry));
                    assert!(!dead.is_empty());
                }
                let c = m.compile(&block, RNE);
                m.check_compiled(&c, &block, &zero_image(), &[]);
            }
            Err(e) => panic!("{e:?}"),
        }
    }
}

#[test]
fn too_many_values_are_refused_not_miscompiled() {
    let mut m = Machine::new(HostFeatures::detect(), false);
    let mut b = Make::new();
    let vals: Vec<Val> = (0..90)
        .map(|k| {
            let x = b.push(Inst::Get(A));
            let y = b.push(Inst::Imm(k + 1));
            b.push(Inst::Bin {
                op: Bin::Mul,
                w: Width::W64,
                a: x,
                b: y,
            })
        })
        .collect();
    let mut sum = vals[0];
    for &v in vals.iter().rev() {
        sum = b.push(Inst::Bin {
            op: Bin::Add,
            w: Width::W64,
            a: sum,
            b: v,
        });
    }
    b.push(Inst::Set(A, sum));
    let block = b.end(Inst::Resync { next: 0 });
    assert_eq!(
        m.jit.compile(&block, RNE),
        Err(crate::jit::CompileError::Unsupported)
    );
}

impl Machine {
    /// Enters at `entry` after the bank was filled by `fill`.
    fn enter_with(
        &mut self,
        entry: u32,
        image: &mut Image,
        fill: impl FnOnce(&mut Bank),
    ) -> ExitKind {
        self.bank.flush();
        fill(&mut self.bank);
        self.enter_as_is(entry, image).0
    }
}
