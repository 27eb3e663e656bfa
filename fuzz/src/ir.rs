//! Simplified IR against plain IR.

use ambidex_accel_tcg::fp::NanRule;
use ambidex_accel_tcg::ir::Block;
use ambidex_accel_tcg::ir::build::IrBuilder;
use ambidex_accel_tcg::ir::r#gen::{GenConfig, constant, generate};
use ambidex_accel_tcg::ir::interp::{FpSlots, IrExit, IrState, Window, run};
use ambidex_accel_tcg::ir::verify::verify;
use ambidex_accel_tcg::sem::{HelperId, Slot};

const FFLAGS: Slot = Slot(65);
const FRM: Slot = Slot(66);
const BASE: u64 = 0x8000_0000;

#[derive(PartialEq, Debug)]
struct Seen {
    exit: IrExit,
    state: IrState,
    mem: Window,
    calls: Vec<(u16, [u64; 4])>,
}

fn execute(block: &Block, state: &IrState, mem: &Window) -> Seen {
    let (mut state, mut mem, mut calls) = (state.clone(), mem.clone(), Vec::new());
    let fp = FpSlots { fflags: FFLAGS, frm: FRM, nan: NanRule::Canonical };
    let exit = run(block, &mut state, &mut mem, fp, &mut |h, args, state| {
        calls.push((h.0, args));
        match h.0 {
            // Reads and writes registers.
            0 => {
                let old = state.slots[1];
                state.slots[1] = args[0];
                state.slots[2] ^= args[1];
                Some(old)
            }
            // The pure one.
            1 => Some(args.iter().fold(0, |acc, a| acc ^ a.rotate_left(7))),
            2 if args[0] & 1 == 1 => None,
            _ => Some(args[0]),
        }
    });
    Seen { exit, state, mem, calls }
}

fn builder(folding: bool, optimising: bool, slots_known: bool) -> IrBuilder {
    let mut b = IrBuilder::default();
    b.folding = folding;
    b.optimising = optimising;
    b.set_pure(|h: HelperId| h.0 == 1);
    if slots_known {
        b.set_fp_slots(FFLAGS, FRM);
    }
    b
}

/// 48 bytes of registers and memory, the rest a block: as recorded and as simplified it must do the same.
pub fn ir_optimiser(data: &[u8]) {
    let Some((head, code)) = data.split_at_checked(48) else { return };
    let mut slots: Vec<Slot> = (0..if head[0] & 1 == 0 { 3 } else { 10 }).map(Slot).collect();
    slots.extend([Slot(159), FFLAGS, FRM]);
    let cfg = GenConfig { pc: 0x1000, max_insns: 24, slots, mem_base: BASE, mem_size: 64, helpers: 4, fp: true, dynamic_rounding: true };
    let mut state = IrState::default();
    for (n, s) in state.slots.iter_mut().enumerate() {
        let at = n * 7 % 40;
        let word = u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
        *s = constant(head[n % 48].wrapping_add(n as u8), word.rotate_left(n as u32));
    }
    state.slots[65] = 0;
    state.slots[66] &= 7;
    if head[0] & 6 == 0 {
        state.reservation = Some((BASE + u64::from(head[1] & 0x38), 0));
    }
    let mem = Window { base: BASE, bytes: head.iter().copied().cycle().take(64).collect() };
    let mut plain = builder(false, false, true);
    generate(&cfg, code, &mut plain);
    verify(plain.block()).unwrap_or_else(|e| panic!("{e}\n{}", plain.block()));
    let want = execute(plain.block(), &state, &mem);
    for (folding, optimising, known) in [(false, true, true), (true, false, true), (true, true, true), (true, true, false), (false, true, false)] {
        let mut b = builder(folding, optimising, known);
        generate(&cfg, code, &mut b);
        verify(b.block()).unwrap_or_else(|e| panic!("{e}\n{}", b.block()));
        let mut got = execute(b.block(), &state, &mem);
        if let (IrExit::JumpReg(x), IrExit::Jump(y)) = (want.exit, got.exit)
            && x == y
        {
            got.exit = want.exit;
        }
        assert_eq!(want, got, "recorded:\n{}\nsimplified:\n{}", plain.block(), b.block());
    }
}
