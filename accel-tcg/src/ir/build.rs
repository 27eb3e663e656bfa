//! Records guest semantics as a [`Block`], simplifying on the way.
//!
//! What is folded: constants; algebraic identities; extensions of values known to be extended already; reads of registers whose value is
//! known from earlier in the block; additions of constants into the displacement of memory accesses; comparisons and branches that are
//! decided. A fold that would keep an old value alive beside a newer one is done only within one guest instruction, because the older one
//! usually sits in a register that the newer one takes over.

use core::convert::Infallible;

use super::fact::Fact;
use super::opt::{GuestFacts, Optimiser, UseInfo};
use super::{Block, InsnInfo, Inst, Val};
use crate::fp::Format;
use crate::interp::arith;
use crate::sem::{
    Bin, Cond, Fence, FpBin, FpCmp, FpMinMax, HelperId, IntFormat, JumpKind, MemOp, Ops, Rmw,
    Round, Slot, Un, Width,
};

/// Marks an empty entry where an index is expected.
const NONE: u16 = u16::MAX;

/// A block must have room for this many more instructions when a guest instruction is started.
const RESERVE: usize = 400;

/// The recorder.
#[derive(Clone, Debug)]
pub struct IrBuilder {
    /// Simplify while recording (default). Off, the block is exactly what the semantics asked for.
    pub folding: bool,
    /// Let [`IrBuilder::finish`] run the backward pass (default).
    pub optimising: bool,
    guest: GuestFacts,
    block: Block,
    /// One for each instruction (while folding).
    pub(super) facts: Vec<Fact>,
    /// The value each slot holds, [`NONE`] if not known.
    current: [u16; 256],
    /// Constants seen lately, by some of their bits.
    consts: [u16; 32],
    /// Index of the mark of the current guest instruction.
    insn: u16,
    /// Number of instructions up to and including the terminator, 0 without.
    end: usize,
    branched_back: bool,
    opt: Optimiser,
}

impl Default for IrBuilder {
    fn default() -> Self {
        IrBuilder {
            folding: true,
            optimising: true,
            guest: GuestFacts::default(),
            block: Block::default(),
            facts: Vec::new(),
            current: [NONE; 256],
            consts: [NONE; 32],
            insn: 0,
            end: 0,
            branched_back: false,
            opt: Optimiser::default(),
        }
    }
}

impl IrBuilder {
    /// Tells which helpers are pure. Without, none is.
    pub fn set_pure(&mut self, pure: fn(HelperId) -> bool) {
        self.guest.pure = pure;
    }

    /// Tells where floating-point flags and the dynamic rounding direction live. Without, a floating-point operation is taken to use every
    /// slot.
    pub fn set_fp_slots(&mut self, fflags: Slot, frm: Slot) {
        self.guest.fflags = Some(fflags);
        self.guest.frm = Some(frm);
    }

    /// What is known of the guest.
    pub fn guest_facts(&self) -> &GuestFacts {
        &self.guest
    }

    /// Starts a new block at virtual address `pc`.
    pub fn begin(&mut self, pc: u64) {
        self.block.pc = pc;
        self.block.insts.clear();
        self.block.insns.clear();
        self.facts.clear();
        self.current = [NONE; 256];
        self.consts = [NONE; 32];
        self.insn = 0;
        self.end = 0;
        self.branched_back = false;
    }

    /// Starts the next guest instruction, `offset` bytes into the block and `len` bytes long.
    pub fn start_insn(&mut self, offset: u16, len: u8) {
        debug_assert!(!self.full(), "a block longer than its index type");
        let index = self.block.insns.len() as u16;
        self.block.insns.push(InsnInfo { offset, len });
        self.insn = self.push(Inst::Insn { index }, Fact::NONE).0;
        self.branched_back = false;
    }

    /// The last instruction never continues with the next one.
    pub fn ended(&self) -> bool {
        self.end != 0
    }

    /// The last instruction may branch to itself or to what lies before.
    pub fn branched_back(&self) -> bool {
        self.branched_back
    }

    /// There may be no room for another guest instruction.
    pub fn full(&self) -> bool {
        self.block.insts.len() + RESERVE > usize::from(NONE)
    }

    /// Completes the block. `next_pc` is where it continues if no instruction has ended it.
    pub fn finish(&mut self, next_pc: u64) {
        if self.end == 0 {
            self.terminate(Inst::Jump {
                target: next_pc,
                kind: JumpKind::Plain,
            });
        }
        self.drop_rest();
        if self.optimising {
            self.opt.run(&mut self.block, &self.guest);
        }
    }

    /// Forgets what was recorded behind the end.
    fn drop_rest(&mut self) {
        let dropped = self.block.insts[self.end..]
            .iter()
            .filter(|i| matches!(i, Inst::Insn { .. }))
            .count();
        self.block.insns.truncate(self.block.insns.len() - dropped);
        self.block.insts.truncate(self.end);
    }

    /// The block so far.
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// Uses in the finished block (if it was optimised).
    pub fn uses(&self) -> &UseInfo {
        self.opt.uses()
    }

    #[inline]
    fn push(&mut self, inst: Inst, fact: Fact) -> Val {
        let v = Val(self.block.insts.len() as u16);
        self.block.insts.push(inst);
        if self.folding {
            self.facts.push(fact);
        }
        v
    }

    fn terminate(&mut self, inst: Inst) {
        self.push(inst, Fact::NONE);
        if self.end == 0 {
            self.end = self.block.insts.len();
        }
    }

    /// Address of the current instruction and of the one behind it.
    fn here(&self) -> (u64, u64) {
        let info = self
            .block
            .insns
            .last()
            .copied()
            .unwrap_or(InsnInfo { offset: 0, len: 0 });
        let pc = self.block.pc.wrapping_add(u64::from(info.offset));
        (pc, pc.wrapping_add(u64::from(info.len)))
    }

    #[inline]
    pub(super) fn inst(&self, v: Val) -> Inst {
        self.block.insts[usize::from(v.0)]
    }

    #[inline]
    pub(super) fn fact(&self, v: Val) -> Fact {
        self.facts[usize::from(v.0)]
    }

    #[inline]
    pub(super) fn constant(&self, v: Val) -> Option<u64> {
        match self.inst(v) {
            Inst::Imm(k) => Some(k),
            _ => None,
        }
    }

    /// Whether the value was computed by the current guest instruction.
    #[inline]
    pub(super) fn local(&self, v: Val) -> bool {
        v.0 > self.insn
    }

    pub(super) fn bits(&mut self, w: Width, v: Val) -> Val {
        self.ext(false, w, v)
    }

    /// A floating-point operation that may raise flags.
    fn fp(&mut self, inst: Inst, result: Fact) -> Val {
        match self.guest.fflags {
            Some(s) => self.current[usize::from(s.0)] = NONE,
            None => self.current = [NONE; 256],
        }
        self.push(inst, result)
    }
}

fn format_width(f: Format) -> Width {
    match f {
        Format::F16 => Width::W16,
        Format::F32 => Width::W32,
        Format::F64 => Width::W64,
    }
}

impl Ops for IrBuilder {
    type V = Val;
    type Err = Infallible;

    fn imm(&mut self, value: u64) -> Val {
        if !self.folding {
            return self.push(Inst::Imm(value), Fact::NONE);
        }
        let at = (value ^ value >> 5 ^ value >> 32) as usize & 31;
        let seen = self.consts[at];
        if seen != NONE && self.inst(Val(seen)) == Inst::Imm(value) {
            return Val(seen);
        }
        let v = self.push(Inst::Imm(value), Fact::of(value));
        self.consts[at] = v.0;
        v
    }

    fn get(&mut self, slot: Slot) -> Val {
        let known = self.current[usize::from(slot.0)];
        if self.folding && known != NONE {
            return Val(known);
        }
        let v = self.push(Inst::Get(slot), Fact::NONE);
        self.current[usize::from(slot.0)] = v.0;
        v
    }

    fn set(&mut self, slot: Slot, value: Val) {
        if self.folding && self.current[usize::from(slot.0)] == value.0 {
            return;
        }
        self.push(Inst::Set(slot, value), Fact::NONE);
        self.current[usize::from(slot.0)] = value.0;
    }

    fn bin(&mut self, mut op: Bin, w: Width, mut a: Val, mut b: Val) -> Val {
        if !self.folding {
            return self.push(Inst::Bin { op, w, a, b }, Fact::NONE);
        }
        if let Some(v) = self.fold_bin(&mut op, w, &mut a, &mut b) {
            return v;
        }
        let fact = Fact::bin(op, w, self.fact(a), self.fact(b), self.constant(b));
        self.push(Inst::Bin { op, w, a, b }, fact)
    }

    fn un(&mut self, op: Un, w: Width, a: Val) -> Val {
        if self.folding {
            if let Some(k) = self.constant(a) {
                return self.imm(arith::un(op, w, k));
            }
            if let (
                Un::Not | Un::Neg,
                Inst::Un {
                    op: inner,
                    w: iw,
                    a: x,
                },
            ) = (op, self.inst(a))
                && inner == op
                && iw == w
            {
                return self.bits(w, x);
            }
        }
        let fact = match op {
            Un::Clz | Un::Ctz | Un::Popcnt => Fact::zeros(7),
            _ => Fact::zeros(w.bits()),
        };
        self.push(Inst::Un { op, w, a }, fact)
    }

    fn ext(&mut self, signed: bool, from: Width, mut a: Val) -> Val {
        if !self.folding {
            return self.push(Inst::Ext { signed, from, a }, Fact::NONE);
        }
        let n = from.bits();
        if from == Width::W64 {
            return a;
        }
        if let Some(k) = self.constant(a) {
            return self.imm(if signed {
                arith::sext(from, k)
            } else {
                k & from.mask()
            });
        }
        // The inner one of two operations that both keep the low bits does not matter.
        loop {
            let fact = self.fact(a);
            let (zero, sign) = (u32::from(fact.zero), u32::from(fact.sign));
            if (!signed && zero <= n) || (signed && (sign <= n || zero < n)) {
                return a;
            }
            a = match self.inst(a) {
                Inst::Ext {
                    from: inner, a: x, ..
                } if inner >= from => x,
                Inst::FpBox { f, a: x } if f.bits() >= n => x,
                _ => break,
            };
        }
        self.push(Inst::Ext { signed, from, a }, Fact::loaded(from, signed))
    }

    fn cmp(&mut self, mut c: Cond, mut w: Width, mut a: Val, mut b: Val) -> Val {
        match self.fold_cond(&mut c, &mut w, &mut a, &mut b) {
            Some(holds) => self.imm(u64::from(holds)),
            None => self.push(Inst::Cmp { c, w, a, b }, Fact::zeros(1)),
        }
    }

    fn select(&mut self, mut c: Cond, mut w: Width, mut a: Val, mut b: Val, t: Val, f: Val) -> Val {
        if self.folding && t == f {
            return t;
        }
        match self.fold_cond(&mut c, &mut w, &mut a, &mut b) {
            Some(true) => t,
            Some(false) => f,
            None => {
                let fact = if self.folding {
                    self.fact(t).either(self.fact(f))
                } else {
                    Fact::NONE
                };
                self.push(Inst::Select { c, w, a, b, t, f }, fact)
            }
        }
    }

    fn load(&mut self, m: MemOp, addr: Val) -> Result<Val, Infallible> {
        let (addr, disp) = self.address(addr);
        Ok(self.push(Inst::Load { m, addr, disp }, Fact::loaded(m.size, m.sign)))
    }

    fn store(&mut self, m: MemOp, addr: Val, value: Val) -> Result<(), Infallible> {
        let (addr, disp) = self.address(addr);
        self.push(
            Inst::Store {
                m,
                addr,
                value,
                disp,
            },
            Fact::NONE,
        );
        Ok(())
    }

    fn rmw(&mut self, op: Rmw, m: MemOp, addr: Val, value: Val) -> Result<Val, Infallible> {
        Ok(self.push(
            Inst::Rmw { op, m, addr, value },
            Fact::loaded(m.size, m.sign),
        ))
    }

    fn cas(&mut self, m: MemOp, addr: Val, expected: Val, new: Val) -> Result<Val, Infallible> {
        Ok(self.push(
            Inst::Cas {
                m,
                addr,
                expected,
                new,
            },
            Fact::loaded(m.size, m.sign),
        ))
    }

    fn load_reserved(&mut self, m: MemOp, addr: Val) -> Result<Val, Infallible> {
        Ok(self.push(Inst::LoadReserved { m, addr }, Fact::loaded(m.size, m.sign)))
    }

    fn store_conditional(&mut self, m: MemOp, addr: Val, value: Val) -> Result<Val, Infallible> {
        Ok(self.push(Inst::StoreConditional { m, addr, value }, Fact::zeros(1)))
    }

    fn fence(&mut self, kind: Fence) {
        if !self.folding || kind != Fence::Local {
            self.push(Inst::Fence(kind), Fact::NONE);
        }
    }

    fn fp_unbox(&mut self, f: Format, a: Val) -> Val {
        if self.folding {
            if f == Format::F64 {
                return a;
            }
            if let Some(k) = self.constant(a) {
                return self.imm(arith::unbox(f, k));
            }
            if u32::from(self.fact(a).ones) <= f.bits() {
                return self.ext(false, format_width(f), a);
            }
        }
        self.push(Inst::FpUnbox { f, a }, Fact::zeros(f.bits()))
    }

    fn fp_box(&mut self, f: Format, mut a: Val) -> Val {
        if self.folding {
            if f == Format::F64 {
                return a;
            }
            if let Some(k) = self.constant(a) {
                return self.imm(arith::nan_box(f, k));
            }
            while let Inst::Ext { from, a: x, .. } = self.inst(a)
                && from.bits() >= f.bits()
            {
                a = x;
            }
            if u32::from(self.fact(a).ones) <= f.bits() {
                return a;
            }
        }
        self.push(Inst::FpBox { f, a }, Fact::boxed(f.bits()))
    }

    fn fp_bin(&mut self, op: FpBin, f: Format, rm: Round, a: Val, b: Val) -> Val {
        self.fp(Inst::FpBin { op, f, rm, a, b }, Fact::zeros(f.bits()))
    }

    fn fp_sqrt(&mut self, f: Format, rm: Round, a: Val) -> Val {
        self.fp(Inst::FpSqrt { f, rm, a }, Fact::zeros(f.bits()))
    }

    fn fp_fma(
        &mut self,
        f: Format,
        rm: Round,
        neg_product: bool,
        neg_addend: bool,
        a: Val,
        b: Val,
        c: Val,
    ) -> Val {
        self.fp(
            Inst::FpFma {
                f,
                rm,
                neg_product,
                neg_addend,
                a,
                b,
                c,
            },
            Fact::zeros(f.bits()),
        )
    }

    fn fp_cmp(&mut self, c: FpCmp, f: Format, signaling: bool, a: Val, b: Val) -> Val {
        self.fp(
            Inst::FpCmp {
                c,
                f,
                signaling,
                a,
                b,
            },
            Fact::zeros(1),
        )
    }

    fn fp_minmax(&mut self, op: FpMinMax, f: Format, a: Val, b: Val) -> Val {
        self.fp(Inst::FpMinMax { op, f, a, b }, Fact::zeros(f.bits()))
    }

    fn fp_to_int(&mut self, f: Format, rm: Round, to: IntFormat, a: Val) -> Val {
        self.fp(
            Inst::FpToInt { f, rm, to, a },
            Fact::signed(to.width.bits()),
        )
    }

    fn fp_from_int(&mut self, f: Format, rm: Round, from: IntFormat, a: Val) -> Val {
        self.fp(Inst::FpFromInt { f, rm, from, a }, Fact::zeros(f.bits()))
    }

    fn fp_convert(&mut self, from: Format, to: Format, rm: Round, a: Val) -> Val {
        self.fp(Inst::FpConvert { from, to, rm, a }, Fact::zeros(to.bits()))
    }

    fn fp_round(&mut self, f: Format, rm: Round, exact: bool, a: Val) -> Val {
        self.fp(Inst::FpRound { f, rm, exact, a }, Fact::zeros(f.bits()))
    }

    fn fp_classify(&mut self, f: Format, a: Val) -> Val {
        self.push(Inst::FpClassify { f, a }, Fact::zeros(10))
    }

    fn fp_to_int_mod(&mut self, a: Val) -> Val {
        self.fp(Inst::FpToIntMod { a }, Fact::signed(32))
    }

    fn call(&mut self, h: HelperId, args: &[Val]) -> Result<Val, Infallible> {
        let n = args.len().min(4);
        let filler = match args.first() {
            Some(&v) => v,
            None => self.imm(0),
        };
        let mut all = [filler; 4];
        all[..n].copy_from_slice(&args[..n]);
        let v = self.push(
            Inst::Call {
                h,
                n: n as u8,
                args: all,
            },
            Fact::NONE,
        );
        if !(self.guest.pure)(h) {
            self.current = [NONE; 256];
        }
        Ok(v)
    }

    fn jump(&mut self, target: u64, kind: JumpKind) {
        self.terminate(Inst::Jump { target, kind });
    }

    fn branch(&mut self, mut c: Cond, mut w: Width, mut a: Val, mut b: Val, target: u64) {
        let (pc, _) = self.here();
        match self.fold_cond(&mut c, &mut w, &mut a, &mut b) {
            Some(true) => self.terminate(Inst::Jump {
                target,
                kind: JumpKind::Plain,
            }),
            Some(false) => {}
            None => {
                self.push(Inst::Branch { c, w, a, b, target }, Fact::NONE);
                self.branched_back = target <= pc;
            }
        }
    }

    fn jump_reg(&mut self, target: Val, kind: JumpKind) {
        match self.constant(target) {
            Some(k) if self.folding => self.terminate(Inst::Jump { target: k, kind }),
            _ => self.terminate(Inst::JumpReg { target, kind }),
        }
    }

    fn resync(&mut self) {
        let (_, next) = self.here();
        self.terminate(Inst::Resync { next });
    }

    fn raise(&mut self, cause: u64, value: Val) -> Result<(), Infallible> {
        self.terminate(Inst::Raise { cause, value });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
