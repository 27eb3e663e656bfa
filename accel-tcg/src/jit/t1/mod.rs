//! The block compiler: one backward pass for uses and hints, one forward pass that allocates and emits.

mod bits;
mod call;
mod cold;
mod compare;
mod flow;
mod fp;
mod int;
mod mem;
mod plan;
mod regalloc;

use super::link::JitConfig;
use super::seam::{CompileError, LinkSite};
use super::thunks::{PINNED, Thunks, ctx_mem};
use super::x64::{Asm, Cond as X86Cond, Width as W};
use crate::guest::ModeKey;
use crate::ir::{Block, Inst, Val};
use crate::regs::{Context, SLOTS};
use crate::sem::{Slot, Width};
use cold::Cold;
use plan::Info;
use std::mem::offset_of;

/// No value, no register.
pub(super) const NONE: u16 = u16::MAX;
/// No place, in byte-sized fields.
pub(super) const NO: u8 = u8::MAX;

/// The stack frame of compiled code: offsets from `rsp`.
pub(super) mod frame {
    /// Number of spill words, at the bottom of the frame.
    pub const SPILLS: usize = 64;
    /// A word for whoever needs one at once.
    pub const TMP: i32 = SPILLS as i32 * 8;
    /// Another.
    pub const TMP2: i32 = TMP + 8;
    const ARGS: i32 = TMP2 + 8;
    /// Words that keep general registers during a slow path.
    pub const SAVE_GPR: i32 = ARGS + 5 * 8;
    /// Words that keep SSE registers during a slow path.
    pub const SAVE_XMM: i32 = SAVE_GPR + 3 * 8;
    /// Size: with six pushes and the return address it keeps the stack 16-byte aligned.
    pub const SIZE: i32 = (SAVE_XMM + 16 * 8 + 15) / 16 * 16 + 8;

    /// Argument `k` of a runtime function, after the context.
    pub const fn arg(k: usize) -> i32 {
        ARGS + k as i32 * 8
    }
}

/// Lists that live from block to block to save allocations.
#[derive(Debug)]
pub(super) struct Buffers {
    info: Vec<Info>,
    cold: Vec<Cold>,
    /// Pinned register index by slot, [`NO`] for slots in memory.
    pin_of: [u8; SLOTS],
}

impl Buffers {
    pub(super) fn new(cfg: &JitConfig) -> Buffers {
        let mut pin_of = [NO; SLOTS];
        for (k, s) in cfg.pinned.iter().enumerate() {
            pin_of[usize::from(s.0)] = k as u8;
        }
        Buffers {
            info: Vec::new(),
            cold: Vec::new(),
            pin_of,
        }
    }
}

/// State of the forward pass.
struct Gen<'a> {
    a: &'a mut Asm,
    cfg: &'a JitConfig,
    thunks: &'a Thunks,
    ir: &'a Block,
    insts: &'a [Inst],
    info: &'a mut Vec<Info>,
    cold: &'a mut Vec<Cold>,
    pin_of: &'a [u8; SLOTS],
    mode: ModeKey,
    links: Vec<LinkSite>,
    side: Vec<(u32, u16)>,
    /// Value in each general register.
    reg_val: [u16; 16],
    /// Value in each SSE register.
    xmm_val: [u16; 16],
    /// Value that equals the memory of each slot.
    slot_val: [u16; SLOTS],
    /// Value in each spill word.
    spill_val: [u16; frame::SPILLS],
    /// General registers not to be touched while an operation is put together.
    locked: u16,
    /// The same for SSE registers.
    locked_x: u16,
    /// The instruction in work.
    i: u16,
    /// Guest instruction in work.
    insn: u16,
    /// MXCSR has no sticky flag that is not in the flag slot.
    flags_synced: bool,
    /// Something cannot be compiled.
    failed: bool,
}

/// The links of a block, and its table of return addresses.
type Tables = (Vec<LinkSite>, Vec<(u32, u16)>);

/// Compiles into `a`.
pub(super) fn compile(
    a: &mut Asm,
    b: &mut Buffers,
    cfg: &JitConfig,
    thunks: &Thunks,
    ir: &Block,
    mode: ModeKey,
) -> Result<Tables, CompileError> {
    if ir.insts.len() >= usize::from(NONE) || ir.insns.len() >= usize::from(NONE) {
        return Err(CompileError::Unsupported);
    }
    let calls = plan::plan(&ir.insts, &mut b.info, &b.pin_of);
    b.cold.clear();
    let mut g = Gen {
        a,
        cfg,
        thunks,
        ir,
        insts: &ir.insts,
        info: &mut b.info,
        cold: &mut b.cold,
        pin_of: &b.pin_of,
        mode,
        links: Vec::with_capacity(2),
        side: Vec::with_capacity(calls),
        reg_val: [NONE; 16],
        xmm_val: [NONE; 16],
        slot_val: [NONE; SLOTS],
        spill_val: [NONE; frame::SPILLS],
        locked: 0,
        locked_x: 0,
        i: 0,
        insn: 0,
        flags_synced: false,
        failed: false,
    };
    g.block();
    if g.failed {
        return Err(CompileError::Unsupported);
    }
    Ok((g.links, g.side))
}

/// The emitter's name for a width.
const fn xw(w: Width) -> W {
    match w {
        Width::W8 => W::W8,
        Width::W16 => W::W16,
        Width::W32 => W::W32,
        Width::W64 => W::W64,
    }
}

impl Gen<'_> {
    fn block(&mut self) {
        if self.cfg.count {
            let n = self.ir.insns.len() as i32;
            let entry = self.a.label();
            self.a.sub_mi(W::W64, ctx_mem(offset_of!(Context, fuel)), n);
            self.a.jcc(X86Cond::S, entry);
            self.cold.push(Cold::Fuel { entry, insns: n });
        }
        for i in 0..self.insts.len() {
            self.i = i as u16;
            self.locked = 0;
            self.locked_x = 0;
            self.inst(self.insts[i]);
            self.flags_synced &= self.insts[i].fp_op().is_none();
            if self.failed || self.a.overflowed() {
                self.failed = true;
                return;
            }
        }
        self.emit_cold();
    }

    fn inst(&mut self, inst: Inst) {
        let v = self.i;
        let unused = self.info[usize::from(v)].uses == 0;
        match inst {
            Inst::Insn { index } => self.insn = index,
            Inst::Nop | Inst::Imm(_) => {}
            Inst::Get(s) => self.get(v, s),
            Inst::Set(s, x) => self.set(s, x),
            // No effect but the value.
            Inst::Bin { .. }
            | Inst::Un { .. }
            | Inst::Ext { .. }
            | Inst::Cmp { .. }
            | Inst::Select { .. }
                if unused => {}
            Inst::FpUnbox { .. } | Inst::FpBox { .. } | Inst::FpClassify { .. } if unused => {}
            Inst::Bin { op, w, a, b } => self.bin(v, op, w, a, b),
            Inst::Un { op, w, a } => self.un(v, op, w, a),
            Inst::Ext { signed, from, a } => self.ext(v, signed, from, a),
            Inst::Cmp { c, w, a, b } => self.cmp(v, c, w, a, b),
            Inst::Select { c, w, a, b, t, f } => self.select(v, c, w, a, b, t, f),
            Inst::Load { m, addr, disp } => self.load(v, m, addr, disp),
            Inst::Store {
                m,
                addr,
                value,
                disp,
            } => self.store(m, addr, value, disp),
            Inst::Rmw { op, m, addr, value } => self.rmw(v, op, m, addr, value),
            Inst::Cas {
                m,
                addr,
                expected,
                new,
            } => self.cas(v, m, addr, expected, new),
            Inst::LoadReserved { m, addr } => self.load_reserved(v, m, addr),
            Inst::StoreConditional { m, addr, value } => self.store_conditional(v, m, addr, value),
            Inst::Fence(kind) => self.fence(kind),
            Inst::FpUnbox { f, a } => self.fp_unbox(v, f, a),
            Inst::FpBox { f, a } => self.fp_box(v, f, a),
            Inst::FpBin { op, f, rm, a, b } => self.fp_bin(v, op, f, rm, a, b),
            Inst::FpSqrt { f, rm, a } => self.fp_sqrt(v, f, rm, a),
            Inst::FpFma {
                f,
                rm,
                neg_product,
                neg_addend,
                a,
                b,
                c,
            } => self.fp_fma(v, f, rm, neg_product, neg_addend, a, b, c),
            Inst::FpCmp {
                c,
                f,
                signaling,
                a,
                b,
            } => self.fp_cmp(v, c, f, signaling, a, b),
            Inst::FpMinMax { op, f, a, b } => self.fp_minmax(v, op, f, a, b),
            Inst::FpToInt { f, rm, to, a } => self.fp_to_int(v, f, rm, to, a),
            Inst::FpFromInt { f, rm, from, a } => self.fp_from_int(v, f, rm, from, a),
            Inst::FpConvert { from, to, rm, a } => self.fp_convert(v, from, to, rm, a),
            Inst::FpRound { f, rm, exact, a } => {
                self.fp_soft(v, crate::fp::op::FpOp::Round { f, rm, exact }, &[a]);
            }
            Inst::FpClassify { f, a } => self.fp_soft(v, crate::fp::op::FpOp::Classify { f }, &[a]),
            Inst::FpToIntMod { a } => self.fp_soft(v, crate::fp::op::FpOp::ToIntMod, &[a]),
            Inst::Call { h, n, args } => self.call(v, h, n, args),
            Inst::Branch { c, w, a, b, target } => self.branch(c, w, a, b, target),
            Inst::Jump { target, .. } => self.jump(target),
            Inst::JumpReg { target, .. } => self.jump_reg(target),
            Inst::Resync { next } => self.resync(next),
            Inst::Raise { cause, value } => self.raise(cause, value),
        }
    }

    /// Address of the guest instruction in work.
    fn insn_pc(&self) -> u64 {
        let offset = self
            .ir
            .insns
            .get(usize::from(self.insn))
            .map_or(0, |x| x.offset);
        self.ir.pc.wrapping_add(u64::from(offset))
    }

    /// The value that stands for `v`.
    fn rep(&self, v: Val) -> u16 {
        self.info[usize::from(v.0)].rep
    }

    /// The value of a constant.
    fn imm(&self, v: u16) -> Option<u64> {
        match self.insts[usize::from(v)] {
            Inst::Imm(x) => Some(x),
            _ => None,
        }
    }

    /// Pinned host register of a slot.
    fn pin(&self, s: Slot) -> Option<super::x64::Gpr> {
        match self.pin_of.get(usize::from(s.0)) {
            Some(&k) if k != NO => Some(PINNED[usize::from(k)]),
            _ => None,
        }
    }
}
