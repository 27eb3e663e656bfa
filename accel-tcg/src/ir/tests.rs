//! Whether builder and optimiser keep the meaning, on many random blocks; and listings.

use super::build::IrBuilder;
use super::r#gen::{GenConfig, constant, generate};
use super::interp::{FpSlots, IrExit, IrState, Window, run};
use super::opt::UseInfo;
use super::verify::verify;
use super::{Block, Inst};
use crate::decode::riscv::{decode, length};
use crate::fp::{Format, NanRule};
use crate::guest::riscv::Riscv;
use crate::guest::{Guest, ModeKey};
use crate::sem::riscv::{Mode, Privilege};
use crate::sem::{Bin, Cond, FpBin, HelperId, JumpKind, MemOp, Ops, Round, Slot, Width};

const FFLAGS: Slot = Slot(65);
const FRM: Slot = Slot(66);
const BASE: u64 = 0x8000_0000;

/// xorshift64*.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| (self.next() >> 56) as u8).collect()
    }
}

fn config(dense: bool) -> GenConfig {
    let mut slots: Vec<Slot> = (0..if dense { 3 } else { 10 }).map(Slot).collect();
    slots.extend([Slot(159), FFLAGS, FRM]);
    GenConfig {
        pc: 0x1000,
        max_insns: 24,
        slots,
        mem_base: BASE,
        mem_size: 64,
        helpers: 4,
        fp: true,
        dynamic_rounding: true,
    }
}

fn pure(h: HelperId) -> bool {
    h.0 == 1
}

/// Everything one can see of an execution.
#[derive(PartialEq, Debug)]
struct Seen {
    exit: IrExit,
    state: IrState,
    mem: Window,
    calls: Vec<(u16, [u64; 4])>,
}

fn execute(block: &Block, state: &IrState, mem: &Window) -> Seen {
    let (mut state, mut mem, mut calls) = (state.clone(), mem.clone(), Vec::new());
    let fp = FpSlots {
        fflags: FFLAGS,
        frm: FRM,
        nan: NanRule::Canonical,
    };
    let exit = run(block, &mut state, &mut mem, fp, &mut |h, args, state| {
        calls.push((h.0, args));
        match h.0 {
            0 => {
                // Reads and writes registers.
                let old = state.slots[1];
                state.slots[1] = args[0];
                state.slots[2] ^= args[1];
                Some(old)
            }
            1 => Some(args.iter().fold(0, |acc, a| acc ^ a.rotate_left(7))),
            2 if args[0] & 1 == 1 => None,
            _ => Some(args[0]),
        }
    });
    Seen {
        exit,
        state,
        mem,
        calls,
    }
}

fn builder(folding: bool, optimising: bool, slots_known: bool) -> IrBuilder {
    let mut b = IrBuilder::default();
    b.folding = folding;
    b.optimising = optimising;
    b.set_pure(pure);
    if slots_known {
        b.set_fp_slots(FFLAGS, FRM);
    }
    b
}

#[test]
fn folding_and_optimising_keep_the_meaning() {
    let mut rng = Rng(0x1234_5678_9abc_def1);
    let mut plain = builder(false, false, true);
    let mut others = [
        builder(false, true, true),
        builder(true, false, true),
        builder(true, true, true),
        builder(true, true, false),
        builder(false, true, false),
    ];
    let (mut exits, mut before, mut after) = ([0; 6], 0, 0);
    for round in 0..6000 {
        let cfg = config(round % 2 == 0);
        let n = 20 + (rng.next() % 400) as usize;
        let bytes = rng.bytes(n);
        generate(&cfg, &bytes, &mut plain);
        verify(plain.block()).unwrap_or_else(|e| panic!("{e}\n{}", plain.block()));
        before += plain.block().insts.len();
        for b in &mut others {
            generate(&cfg, &bytes, b);
            verify(b.block()).unwrap_or_else(|e| panic!("{e}\n{}", b.block()));
            if b.optimising {
                let mut uses = UseInfo::default();
                uses.compute(b.block());
                assert_eq!(
                    (&uses.uses, &uses.last_use),
                    (&b.uses().uses, &b.uses().last_use)
                );
            }
        }
        after += others[2]
            .block()
            .insts
            .iter()
            .filter(|i| **i != Inst::Nop)
            .count();
        for _ in 0..4 {
            let mut state = IrState::default();
            for s in &mut state.slots {
                *s = constant((rng.next() >> 56) as u8, rng.next());
            }
            state.slots[usize::from(FFLAGS.0)] = 0;
            state.slots[usize::from(FRM.0)] &= 7;
            if rng.next() & 3 == 0 {
                state.reservation = Some((BASE + (rng.next() & 0x38), 0));
            }
            let mem = Window {
                base: BASE,
                bytes: rng.bytes(64),
            };
            let want = execute(plain.block(), &state, &mem);
            exits[match want.exit {
                IrExit::Jump(_) => 0,
                IrExit::JumpReg(_) => 1,
                IrExit::Resync(_) => 2,
                IrExit::Raise { .. } => 3,
                IrExit::Fault { .. } => 4,
                IrExit::Stopped { .. } => 5,
            }] += 1;
            for b in &others {
                let mut got = execute(b.block(), &state, &mem);
                if let (IrExit::JumpReg(a), IrExit::Jump(b)) = (want.exit, got.exit)
                    && a == b
                {
                    got.exit = want.exit;
                }
                assert_eq!(
                    want,
                    got,
                    "recorded:\n{}\nsimplified:\n{}",
                    plain.block(),
                    b.block()
                );
            }
        }
    }
    assert!(
        exits.iter().all(|&n| n > 100),
        "some exits hardly occur: {exits:?}"
    );
    assert!(
        after * 10 < before * 9,
        "{after} of {before} operations are left"
    );
}

/// Machine mode, floating point on, rounding to nearest.
fn machine_mode() -> ModeKey {
    ModeKey(Mode::new(Privilege::M, 3, 0).to_bits())
}

/// Straight-line code of random RISC-V instructions, most of them with few registers.
fn riscv_block(rng: &mut Rng, builders: &mut [IrBuilder]) {
    const OPCODES: [u32; 16] = [
        0x03, 0x07, 0x0f, 0x13, 0x13, 0x17, 0x1b, 0x23, 0x27, 0x2f, 0x33, 0x33, 0x3b, 0x37, 0x53,
        0x63,
    ];
    let mode = machine_mode();
    let mut insns = Vec::new();
    while insns.len() < 24 {
        let mut word = rng.next() as u32;
        if word & 3 == 3 || rng.next() & 1 == 0 {
            word = word & !0x7f | OPCODES[(rng.next() >> 60) as usize];
            if rng.next() & 3 != 0 {
                // Registers 8 to 11, and function fields that mean something more often.
                word = word & !(0x1c << 7 | 0x1c << 15 | 0x1c << 20) | (8 << 7 | 8 << 15 | 8 << 20);
                word &= [!0, 0x01ff_ffff, 0x41ff_ffff, 0x03ff_ffff][(rng.next() >> 62) as usize];
            }
        }
        insns.push((decode(word), length(word)));
    }
    for b in builders {
        b.begin(0x1000);
        let mut at = 0;
        for (insn, len) in &insns {
            b.start_insn(at, *len);
            let Ok(()) = Riscv::exec(b, insn, 0x1000 + u64::from(at), mode);
            at += u16::from(*len);
            if b.ended() {
                break;
            }
        }
        b.finish(0x1000 + u64::from(at));
    }
}

#[test]
fn riscv_instructions_keep_their_meaning() {
    let mut rng = Rng(0x0dd0_beef_1357_9bdf);
    let mut builders = [(false, false), (true, true)].map(|(folding, optimising)| {
        let mut b = IrBuilder::default();
        b.folding = folding;
        b.optimising = optimising;
        b.set_pure(|h| Riscv::HELPERS.get(usize::from(h.0)).is_some_and(|h| h.pure));
        b.set_fp_slots(Riscv::FFLAGS, Riscv::FRM);
        b
    });
    let (mut before, mut after) = (0, 0);
    for _ in 0..4000 {
        riscv_block(&mut rng, &mut builders);
        for b in &builders {
            verify(b.block())
                .unwrap_or_else(|e| panic!("{e}\n{}", b.block().listing(Riscv::slot_name)));
        }
        let [plain, folded] = &builders;
        before += plain.block().insts.len();
        after += folded
            .block()
            .insts
            .iter()
            .filter(|i| **i != Inst::Nop)
            .count();
        let mut state = IrState::default();
        for s in &mut state.slots {
            *s = match rng.next() & 3 {
                0 => constant((rng.next() >> 56) as u8, rng.next()),
                1 => BASE + (rng.next() & 0x38),
                2 => 0xffff_ffff_0000_0000 | rng.next() >> 32,
                _ => rng.next(),
            };
        }
        state.slots[usize::from(Riscv::FFLAGS.0)] = 0;
        state.slots[usize::from(Riscv::FRM.0)] &= 7;
        // A window wide enough for most displacements.
        let mem = Window {
            base: BASE - 0x1000,
            bytes: rng.bytes(0x2000),
        };
        let fp = FpSlots {
            fflags: Riscv::FFLAGS,
            frm: Riscv::FRM,
            nan: Riscv::NAN_RULE,
        };
        let [want, got] = [plain, folded].map(|b| {
            let (mut state, mut mem, mut calls) = (state.clone(), mem.clone(), Vec::new());
            let exit = run(
                b.block(),
                &mut state,
                &mut mem,
                fp,
                &mut |h, args, state| {
                    calls.push((h, args));
                    if !Riscv::HELPERS[usize::from(h.0)].pure {
                        state.slots[8] = state.slots[9].wrapping_add(args[0]);
                    }
                    Some(
                        args.iter()
                            .fold(u64::from(h.0), |acc, a| acc.rotate_left(3) ^ a),
                    )
                },
            );
            (state, mem, calls, exit)
        });
        let same_exit = match (want.3, got.3) {
            (IrExit::JumpReg(a), IrExit::Jump(b)) => a == b,
            (a, b) => a == b,
        };
        let same = same_exit && want.0 == got.0 && want.1 == got.1 && want.2 == got.2;
        assert!(
            same,
            "recorded, {:?}:\n{}\nsimplified, {:?}:\n{}",
            want.3,
            plain.block().listing(Riscv::slot_name),
            got.3,
            folded.block().listing(Riscv::slot_name)
        );
    }
    assert!(
        after * 10 < before * 9,
        "{after} of {before} operations are left"
    );
}

#[test]
fn invisible_writes_go() {
    let mut b = builder(true, true, true);
    b.begin(0);
    b.start_insn(0, 4);
    let (x, k) = (b.get(Slot(1)), b.imm(32));
    let up = b.bin(Bin::Shl, Width::W64, x, k);
    b.set(Slot(2), up);
    b.start_insn(4, 4);
    let up = b.get(Slot(2));
    let v = b.bin(Bin::Shr, Width::W64, up, k);
    b.set(Slot(2), v);
    b.start_insn(8, 4);
    let Ok(loaded) = b.load(MemOp::plain(Width::W64), v);
    b.set(Slot(2), loaded);
    b.start_insn(12, 4);
    b.branch(Cond::Eq, Width::W64, loaded, x, 0x100);
    b.start_insn(16, 4);
    b.set(Slot(2), x);
    b.finish(20);
    let sets: Vec<Inst> = b
        .block()
        .insts
        .iter()
        .copied()
        .filter(|i| matches!(i, Inst::Set(..)))
        .collect();
    assert_eq!(
        sets,
        [
            Inst::Set(Slot(2), v),
            Inst::Set(Slot(2), loaded),
            Inst::Set(Slot(2), x)
        ]
    );
    assert!(
        !b.block()
            .insts
            .iter()
            .any(|i| matches!(i, Inst::Bin { .. } | Inst::Imm(_))),
        "{}",
        b.block()
    );
    assert_eq!(b.uses().uses[usize::from(x.0)], 3);
}

#[test]
fn listing() {
    let mut b = builder(true, true, true);
    b.begin(0x8000_0000);
    b.start_insn(0, 4);
    let (sp, k) = (b.get(Slot(2)), b.imm(-16i64 as u64));
    let at = b.bin(Bin::Add, Width::W64, sp, k);
    let Ok(v) = b.load(MemOp::signed(Width::W32), at);
    let sum = b.bin(Bin::Add, Width::W32, v, sp);
    let sum = b.ext(true, Width::W32, sum);
    b.set(Slot(3), sum);
    b.start_insn(4, 2);
    let x = b.get(Slot(33));
    let x = b.fp_unbox(Format::F32, x);
    let r = b.fp_bin(FpBin::Div, Format::F32, Round::Dynamic, x, x);
    let r = b.fp_box(Format::F32, r);
    b.set(Slot(33), r);
    b.start_insn(6, 4);
    let Ok(c) = b.call(HelperId(3), &[sum, sp]);
    b.branch(Cond::LtU, Width::W64, c, sp, 0x8000_0000);
    b.finish(0x8000_000a);
    assert_eq!(
        b.block().listing(|s| format!("x{}", s.0)).to_string(),
        "0x80000000:
  v1 = get x2
  v4 = load.w32s [v1-0x10]
  v5 = add.w32 v4, v1
  v6 = sext.w32 v5
  set x3, v6
0x80000004:
  v9 = get x33
  v10 = unbox.f32 v9
  v11 = fdiv.f32.dyn v10, v10
  v12 = box.f32 v11
  set x33, v12
0x80000006:
  v15 = call h3(v6, v1)
  branch.ltu.w64 v15, v1, 0x80000000
  jump 0x8000000a
"
    );
    let mut none = Block::default();
    none.insts.push(Inst::Jump {
        target: 16,
        kind: JumpKind::Return,
    });
    assert_eq!(none.to_string(), "  jump.return 0x10\n");
}
