//! Compiled blocks against the IR interpreter.
#![expect(
    unsafe_code,
    reason = "the runtime functions get raw pointers from compiled code"
)]

mod flow;
mod ops;
mod random;

use super::cpuid::HostFeatures;
use super::{Compiled, ExitKind, Jit, JitConfig, Pair, RuntimeFns};
use crate::fp::op::{FpEnv, FpOp, rounding};
use crate::fp::{NanRule, Rounding};
use crate::guest::{AccessKind, BankKey, ModeKey};
use crate::interp::arith::sext;
use crate::ir::Block;
use crate::ir::interp::{FpSlots, IrExit, IrMem, IrState, Window, rmw as rmw_op, run};
use crate::mmu::bank::Bank;
use crate::regs::{Context, NO_RESERVATION};
use crate::sem::{HelperId, MemOp, Rmw, Slot};

pub(super) const PC: Slot = Slot(64);
pub(super) const FFLAGS: Slot = Slot(65);
pub(super) const FRM: Slot = Slot(66);
pub(super) const PINNED: [Slot; 10] = [
    Slot(2),
    Slot(1),
    Slot(10),
    Slot(11),
    Slot(12),
    Slot(13),
    Slot(14),
    Slot(15),
    Slot(8),
    Slot(159),
];
pub(super) const BASE: u64 = 0x8000_0000;
pub(super) const RNE: ModeKey = ModeKey(ModeKey::RNE);
/// The mode of each rounding direction, and the one in which it is not known.
pub(super) const MODES: [ModeKey; 6] = [
    RNE,
    ModeKey(1 << ModeKey::ROUNDING_SHIFT),
    ModeKey(2 << ModeKey::ROUNDING_SHIFT),
    ModeKey(3 << ModeKey::ROUNDING_SHIFT),
    ModeKey(4 << ModeKey::ROUNDING_SHIFT),
    ModeKey(0),
];

pub(super) struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| (self.next() >> 56) as u8).collect()
    }
}

pub(super) fn pure(h: HelperId) -> bool {
    h.0 == 1
}

/// What the helpers of the tests do; the second one is pure.
fn helper(h: HelperId, a: [u64; 4], state: &mut IrState) -> Option<u64> {
    let sum = a.iter().enumerate().fold(u64::from(h.0), |acc, (k, x)| {
        acc.rotate_left(7) ^ x.wrapping_mul(k as u64 * 2 + 3)
    });
    match h.0 {
        1 => Some(sum),
        0 => {
            for s in [2usize, 12, 3, 5] {
                state.slots[s] = state.slots[s].wrapping_add(sum);
            }
            Some(state.slots[usize::from(FFLAGS.0)])
        }
        2 if a[0] & 3 == 3 => None,
        2 => Some(state.slots[10] ^ state.slots[4]),
        _ => {
            state.slots[usize::from(FFLAGS.0)] = sum & 31;
            Some(sum)
        }
    }
}

/// What the runtime functions work on.
struct Runtime {
    window: Window,
    stop: Option<IrExit>,
    /// Whether the last floating-point call in Rust left something in MXCSR that must not reach the guest.
    noise: f64,
    nan: NanRule,
}

impl Runtime {
    fn of<'a>(ctx: *mut Context) -> (&'a mut Context, &'a mut Runtime) {
        // SAFETY: the machine that entered compiled code set `owner` and borrows neither while it runs.
        unsafe { (&mut *ctx, &mut *((*ctx).owner as *mut Runtime)) }
    }
    /// Does floating point as Rust code may: inexact and invalid.
    fn make_noise(&mut self) {
        self.noise = std::hint::black_box(self.noise) / 3.0
            + std::hint::black_box(f64::MAX) * std::hint::black_box(2.0);
    }
    fn stop(&mut self, exit: IrExit) -> Pair {
        self.stop = Some(exit);
        Pair {
            value: 0xdead_beef,
            status: 1,
        }
    }
    fn fault(&mut self, addr: u64, write: bool, misaligned: bool) -> Pair {
        self.stop(IrExit::Fault {
            insn: 0,
            addr,
            write,
            misaligned,
        })
    }
    fn access(
        &mut self,
        va: u64,
        m: MemOp,
        write: bool,
        f: impl FnOnce(&mut Window) -> Option<u64>,
    ) -> Pair {
        self.make_noise();
        if m.aligned && va & u64::from(m.size.bytes() - 1) != 0 {
            return self.fault(va, write, true);
        }
        match f(&mut self.window) {
            Some(v) => Pair {
                value: if m.sign { sext(m.size, v) } else { v },
                status: 0,
            },
            None => self.fault(va, write, false),
        }
    }
}

extern "sysv64" fn load(ctx: *mut Context, va: u64, desc: u64) -> Pair {
    let m = MemOp::unpack(desc);
    Runtime::of(ctx)
        .1
        .access(va, m, false, |w| w.load(va, m.size).ok())
}
extern "sysv64" fn store(ctx: *mut Context, va: u64, desc: u64, value: u64) -> Pair {
    let m = MemOp::unpack(desc);
    Runtime::of(ctx)
        .1
        .access(va, m, true, |w| w.store(va, m.size, value).ok().map(|()| 0))
}
extern "sysv64" fn rmw(ctx: *mut Context, va: u64, desc: u64, value: u64) -> Pair {
    let m = MemOp {
        aligned: true,
        ..MemOp::unpack(desc)
    };
    let op = Rmw::from_index(desc >> 32).unwrap();
    Runtime::of(ctx).1.access(va, m, true, |w| {
        let old = w.load(va, m.size).ok()?;
        w.store(va, m.size, rmw_op(op, m.size, old, value)).ok()?;
        Some(old)
    })
}
fn swap(w: &mut Window, va: u64, m: MemOp, expected: u64, new: u64) -> Option<u64> {
    let old = w.load(va, m.size).ok()?;
    if old == expected & m.size.mask() {
        w.store(va, m.size, new).ok()?;
    }
    Some(old)
}
extern "sysv64" fn cas(ctx: *mut Context, va: u64, desc: u64, expected: u64, new: u64) -> Pair {
    let m = MemOp {
        aligned: true,
        ..MemOp::unpack(desc)
    };
    Runtime::of(ctx)
        .1
        .access(va, m, true, |w| swap(w, va, m, expected, new))
}
extern "sysv64" fn load_reserved(ctx: *mut Context, va: u64, desc: u64) -> Pair {
    let m = MemOp {
        aligned: true,
        ..MemOp::unpack(desc)
    };
    let (c, rt) = Runtime::of(ctx);
    rt.access(va, m, false, |w| {
        let v = w.load(va, m.size).ok()?;
        c.reservation.addr = va;
        c.reservation.value = v;
        Some(v)
    })
}
extern "sysv64" fn store_conditional(ctx: *mut Context, va: u64, desc: u64, value: u64) -> Pair {
    let m = MemOp {
        aligned: true,
        sign: false,
        ..MemOp::unpack(desc)
    };
    let (c, rt) = Runtime::of(ctx);
    rt.access(va, m, true, |w| {
        w.probe_store(va, m.size).ok()?;
        let seen = std::mem::replace(&mut c.reservation.addr, NO_RESERVATION);
        if seen != va {
            return Some(1);
        }
        let expected = c.reservation.value & m.size.mask();
        Some(u64::from(swap(w, va, m, expected, value)? != expected))
    })
}
extern "sysv64" fn call(ctx: *mut Context, h: u64, a: u64, b: u64, c: u64, d: u64) -> Pair {
    let (cx, rt) = Runtime::of(ctx);
    rt.make_noise();
    let mut state = IrState {
        slots: cx.slots,
        reservation: None,
    };
    match helper(HelperId(h as u16), [a, b, c, d], &mut state) {
        Some(value) => {
            // A pure helper may not touch registers, and finds some of them elsewhere.
            if !pure(HelperId(h as u16)) {
                cx.slots = state.slots;
            }
            Pair { value, status: 0 }
        }
        None => rt.stop(IrExit::Stopped { insn: 0 }),
    }
}
extern "sysv64" fn fp(ctx: *mut Context, op: u64, a: u64, b: u64, c: u64) -> Pair {
    let (cx, rt) = Runtime::of(ctx);
    let dynamic = rounding(cx.slots[usize::from(FRM.0)]).unwrap_or(Rounding::Rne);
    let (value, flags) = FpOp::unpack(op).unwrap().eval(
        FpEnv {
            dynamic,
            nan: rt.nan,
        },
        a,
        b,
        c,
    );
    cx.slots[usize::from(FFLAGS.0)] |= u64::from(flags.0);
    Pair { value, status: 0 }
}
extern "sysv64" fn raise(ctx: *mut Context, cause: u64, value: u64) -> Pair {
    let (cx, rt) = Runtime::of(ctx);
    let pc = cx.slots[usize::from(PC.0)];
    rt.stop(IrExit::Raise { cause, value, pc })
}

pub(super) fn config(features: HostFeatures, count: bool) -> JitConfig {
    JitConfig {
        bytes: 4 << 20,
        features,
        fns: RuntimeFns {
            load: load as *const () as usize,
            store: store as *const () as usize,
            rmw: rmw as *const () as usize,
            cas: cas as *const () as usize,
            load_reserved: load_reserved as *const () as usize,
            store_conditional: store_conditional as *const () as usize,
            call: call as *const () as usize,
            fp: fp as *const () as usize,
            raise: raise as *const () as usize,
        },
        pinned: PINNED,
        pc: PC,
        fflags: FFLAGS,
        frm: FRM,
        nan: NanRule::Canonical,
        count,
        pure,
    }
}

/// Guest state before or after a block.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Image {
    pub state: IrState,
    pub mem: Window,
}

impl Image {
    pub fn new(rng: &mut Rng, mem: usize) -> Image {
        let mut state = IrState::default();
        for s in state.slots.iter_mut() {
            let (choice, word) = ((rng.next() >> 56) as u8, rng.next());
            *s = crate::ir::r#gen::constant(choice, word);
        }
        state.slots[usize::from(FFLAGS.0)] &= 31;
        state.slots[usize::from(FRM.0)] %= 5;
        Image {
            state,
            mem: Window {
                base: BASE,
                bytes: rng.bytes(mem),
            },
        }
    }
}

/// A compiler with everything around it to run a block.
pub(super) struct Machine {
    pub jit: Jit,
    pub ctx: Box<Context>,
    pub bank: Box<Bank>,
}

impl Machine {
    pub fn new(features: HostFeatures, count: bool) -> Machine {
        Machine {
            jit: Jit::new(config(features, count)).unwrap(),
            ctx: Box::new(Context::new()),
            bank: Bank::new(BankKey::default()),
        }
    }

    pub fn compile(&mut self, block: &Block, mode: ModeKey) -> Compiled {
        /// Shows what was being compiled when the compiler panics.
        struct Show<'a>(&'a Block);
        impl Drop for Show<'_> {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    eprintln!("{}", self.0.listing(|s| format!("s{}", s.0)));
                }
            }
        }
        let _show = Show(block);
        self.ctx.mxcsr = mode.mxcsr();
        match self.jit.compile(block, mode) {
            Ok(c) => c,
            Err(super::CompileError::Full) => {
                self.jit.evict();
                self.jit.compile(block, mode).unwrap()
            }
            Err(e) => panic!("{e:?}: {block:?}"),
        }
    }

    /// Runs compiled code on an image; the pages in `mapped` (bit 0 loads, bit 1 stores, per page) are in the TLB.
    pub fn enter(
        &mut self,
        entry: u32,
        image: &mut Image,
        mapped: &[u8],
    ) -> (ExitKind, Option<IrExit>) {
        self.bank.flush();
        let host = image.mem.bytes.as_mut_ptr() as u64;
        for (k, m) in mapped.iter().enumerate() {
            let page = k as u64 * 4096;
            if *m & 1 != 0 {
                self.bank.put(AccessKind::Read, BASE + page, 0, host + page);
            }
            if *m & 2 != 0 {
                self.bank
                    .put(AccessKind::Write, BASE + page, 0, host + page);
            }
        }
        self.enter_as_is(entry, image)
    }

    /// The same with the bank as it is.
    pub fn enter_as_is(&mut self, entry: u32, image: &mut Image) -> (ExitKind, Option<IrExit>) {
        let mut rt = Runtime {
            window: std::mem::replace(
                &mut image.mem,
                Window {
                    base: 0,
                    bytes: Vec::new(),
                },
            ),
            stop: None,
            noise: 1.0,
            nan: NanRule::Canonical,
        };
        self.ctx.slots = image.state.slots;
        let (addr, value) = image.state.reservation.unwrap_or((NO_RESERVATION, 0));
        self.ctx.reservation.addr = addr;
        self.ctx.reservation.value = value;
        self.ctx.bank = std::ptr::from_mut(&mut *self.bank) as usize;
        let ctx = std::ptr::from_mut(&mut *self.ctx);
        let rt_ptr = &raw mut rt;
        self.ctx.owner = rt_ptr as usize;
        let exit = self.jit.enter(ctx, self.jit.host_address(entry));
        // SAFETY: compiled code is left; the pointer was made from the local above.
        let rt = unsafe { &mut *rt_ptr };
        image.state.slots = self.ctx.slots;
        let r = self.ctx.reservation;
        image.state.reservation = (r.addr != NO_RESERVATION).then_some((r.addr, r.value));
        image.mem = std::mem::replace(
            &mut rt.window,
            Window {
                base: 0,
                bytes: Vec::new(),
            },
        );
        (exit, rt.stop.take())
    }

    /// The exit in the terms of the IR interpreter.
    pub fn translate(
        &self,
        c: &Compiled,
        exit: ExitKind,
        stop: Option<IrExit>,
        image: &Image,
    ) -> IrExit {
        let pc = image.state.slots[usize::from(PC.0)];
        let insn = || {
            let at = self.jit.code_offset(self.ctx.exit_payload[3]).unwrap();
            c.side
                .iter()
                .find(|s| s.0 == at)
                .expect("a call without side entry")
                .1
        };
        match (exit, stop) {
            (ExitKind::Link { stub }, None) => {
                let l = c
                    .links
                    .iter()
                    .find(|l| l.stub == stub)
                    .expect("an exit through an unknown stub");
                assert_eq!(l.target, pc);
                IrExit::Jump(pc)
            }
            (ExitKind::Lookup, None) => IrExit::JumpReg(pc),
            (ExitKind::Resync, None) => IrExit::Resync(pc),
            (
                ExitKind::Stopped,
                Some(IrExit::Fault {
                    addr,
                    write,
                    misaligned,
                    ..
                }),
            ) => IrExit::Fault {
                insn: insn(),
                addr,
                write,
                misaligned,
            },
            (ExitKind::Stopped, Some(IrExit::Stopped { .. })) => IrExit::Stopped { insn: insn() },
            (ExitKind::Stopped, Some(raise)) => raise,
            other => panic!("unexpected exit {other:?}"),
        }
    }

    /// Compiles a block, runs it both ways from the same state, and compares everything.
    pub fn check(&mut self, block: &Block, mode: ModeKey, image: &Image, mapped: &[u8]) {
        let compiled = self.compile(block, mode);
        self.check_compiled(&compiled, block, image, mapped);
    }

    pub fn check_compiled(
        &mut self,
        compiled: &Compiled,
        block: &Block,
        image: &Image,
        mapped: &[u8],
    ) {
        assert!(compiled.side.is_sorted(), "side table out of order");
        let mut want = image.clone();
        let fp = FpSlots {
            fflags: FFLAGS,
            frm: FRM,
            nan: NanRule::Canonical,
        };
        let expected = run(block, &mut want.state, &mut want.mem, fp, &mut helper);
        if expected == IrExit::JumpReg(u64::MAX) {
            // The mark of an empty entry of the jump cache: no instruction can be there.
            return;
        }
        let mut got = image.clone();
        let (exit, stop) = self.enter(compiled.entry, &mut got, mapped);
        let seen = self.translate(compiled, exit, stop, &got);
        // The program counter is set only at exits.
        got.state.slots[usize::from(PC.0)] = want.state.slots[usize::from(PC.0)];
        if seen != expected || got != want {
            let slots: Vec<String> = (0..want.state.slots.len())
                .filter(|&i| want.state.slots[i] != got.state.slots[i])
                .map(|i| {
                    format!(
                        "slot {i}: was {:#x} want {:#x} got {:#x}",
                        image.state.slots[i], want.state.slots[i], got.state.slots[i]
                    )
                })
                .collect();
            let mem: Vec<usize> = (0..want.mem.bytes.len())
                .filter(|&i| want.mem.bytes[i] != got.mem.bytes[i])
                .collect();
            panic!(
                "{}\n{}\nexit want {expected:?} got {seen:?}\n{slots:#?}\nmemory differs at {mem:x?}; reservation want {:?} got {:?}",
                block.listing(|s| format!("s{}", s.0)),
                self.disassemble(compiled),
                want.state.reservation,
                got.state.reservation,
            );
        }
    }

    pub fn disassemble(&self, c: &Compiled) -> String {
        use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter};
        let bytes = self.jit.code_bytes(c.entry..c.end);
        let mut text = String::new();
        let mut f = IntelFormatter::new();
        for i in Decoder::with_ip(64, &bytes, u64::from(c.entry), DecoderOptions::NONE).iter() {
            let mut line = String::new();
            f.format(&i, &mut line);
            text += &format!("{:6x}  {line}\n", i.ip());
        }
        text
    }
}

/// The feature sets to test with.
pub(super) fn feature_sets() -> [HostFeatures; 2] {
    [HostFeatures::detect(), HostFeatures::baseline()]
}
