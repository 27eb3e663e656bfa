//! The backward pass: how long values live, and which pinned register they are on their way to.

use super::super::thunks::PINNED;
use super::{NO, NONE};
use crate::fp::Format;
use crate::ir::{Inst, Val};
use crate::regs::SLOTS;
use crate::sem::Width;

/// What is known about a value, and where it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Info {
    /// Last instruction that uses it.
    pub last: u16,
    /// How many do, saturating.
    pub uses: u16,
    /// The value that stands for it: an equal one that was there before, or itself.
    pub rep: u16,
    /// General registers that hold it.
    pub gprs: u16,
    /// NaN boxing put off until the value is stored: what is boxed.
    pub lazy: u16,
    /// A slot whose memory holds it.
    pub slot: u8,
    /// The spill word that holds it.
    pub spill: u8,
    /// The SSE register that holds it.
    pub xmm: u8,
    /// Number of the pinned host register that it should be computed in.
    pub hint: u8,
    /// Some use wants it in an SSE register.
    pub want_xmm: bool,
    /// Some use is not a `Set`.
    pub other_use: bool,
}

/// Calls `f` for every operand.
pub(super) fn operands(inst: &Inst, mut f: impl FnMut(Val)) {
    match *inst {
        Inst::Insn { .. }
        | Inst::Nop
        | Inst::Imm(_)
        | Inst::Get(_)
        | Inst::Fence(_)
        | Inst::Jump { .. }
        | Inst::Resync { .. } => {}
        Inst::Set(_, a)
        | Inst::Un { a, .. }
        | Inst::Ext { a, .. }
        | Inst::Load { addr: a, .. }
        | Inst::LoadReserved { addr: a, .. }
        | Inst::FpUnbox { a, .. }
        | Inst::FpBox { a, .. }
        | Inst::FpSqrt { a, .. }
        | Inst::FpToInt { a, .. }
        | Inst::FpFromInt { a, .. }
        | Inst::FpConvert { a, .. }
        | Inst::FpRound { a, .. }
        | Inst::FpClassify { a, .. }
        | Inst::FpToIntMod { a }
        | Inst::JumpReg { target: a, .. }
        | Inst::Raise { value: a, .. } => f(a),
        Inst::Bin { a, b, .. }
        | Inst::Cmp { a, b, .. }
        | Inst::Store {
            addr: a, value: b, ..
        }
        | Inst::Rmw {
            addr: a, value: b, ..
        }
        | Inst::StoreConditional {
            addr: a, value: b, ..
        }
        | Inst::FpBin { a, b, .. }
        | Inst::FpCmp { a, b, .. }
        | Inst::FpMinMax { a, b, .. }
        | Inst::Branch { a, b, .. } => {
            f(a);
            f(b);
        }
        Inst::Cas {
            addr: a,
            expected: b,
            new: c,
            ..
        }
        | Inst::FpFma { a, b, c, .. } => {
            f(a);
            f(b);
            f(c);
        }
        Inst::Select { a, b, t, f: e, .. } => {
            f(a);
            f(b);
            f(t);
            f(e);
        }
        Inst::Call { n, args, .. } => args.iter().take(usize::from(n)).for_each(|&a| f(a)),
    }
}

/// Operands that SSE instructions read.
fn in_xmm(inst: &Inst) -> bool {
    match *inst {
        Inst::FpBin { f, .. }
        | Inst::FpSqrt { f, .. }
        | Inst::FpFma { f, .. }
        | Inst::FpCmp { f, .. }
        | Inst::FpMinMax { f, .. } => f != Format::F16,
        Inst::FpToInt { f, .. } => f != Format::F16,
        Inst::FpConvert { from, to, .. } => from != Format::F16 && to != Format::F16,
        _ => false,
    }
}

/// The guest may see its registers here, so none may have been written ahead of time.
fn observes(inst: &Inst) -> bool {
    matches!(
        inst,
        Inst::Load { .. }
            | Inst::Store { .. }
            | Inst::Rmw { .. }
            | Inst::Cas { .. }
            | Inst::LoadReserved { .. }
            | Inst::StoreConditional { .. }
            | Inst::Call { .. }
            | Inst::Branch { .. }
            | Inst::Jump { .. }
            | Inst::JumpReg { .. }
            | Inst::Resync { .. }
            | Inst::Raise { .. }
    )
}

/// Fills `info` for a block; returns how many operations may call out, about.
pub(super) fn plan(insts: &[Inst], info: &mut Vec<Info>, pin_of: &[u8; SLOTS]) -> usize {
    info.clear();
    info.extend((0..insts.len()).map(|i| Info {
        last: 0,
        uses: 0,
        rep: i as u16,
        gprs: 0,
        lazy: NONE,
        slot: NO,
        spill: NO,
        xmm: NO,
        hint: NO,
        want_xmm: false,
        other_use: false,
    }));
    // The value that the next `Set` of each pinned register writes, as long as nothing in between minds.
    let mut pending = [NONE; PINNED.len()];
    let drop_hint = |info: &mut Vec<Info>, pending: &mut [u16; PINNED.len()], k: usize| {
        let v = std::mem::replace(&mut pending[k], NONE);
        if v != NONE && info[usize::from(v)].hint == PINNED[k] as u8 {
            info[usize::from(v)].hint = NO;
        }
    };
    let mut calls = 0;
    for (i, inst) in insts.iter().enumerate().rev() {
        let mine = info[i].hint;
        let mine = (mine != NO).then(|| PINNED.iter().position(|&r| r as u8 == mine).unwrap_or(0));
        if let Some(k) = mine {
            pending[k] = NONE;
        }
        if observes(inst) {
            calls += 1;
            for k in 0..PINNED.len() {
                drop_hint(info, &mut pending, k);
            }
        }
        let is_set = matches!(inst, Inst::Set(..));
        let want = in_xmm(inst);
        operands(inst, |v| {
            let x = &mut info[usize::from(v.0)];
            x.uses = x.uses.saturating_add(1);
            x.last = x.last.max(i as u16);
            x.want_xmm |= want;
            x.other_use |= !is_set;
        });
        match *inst {
            Inst::Get(s) => {
                if let Some(&k) = pin_of.get(usize::from(s.0))
                    && k != NO
                {
                    drop_hint(info, &mut pending, usize::from(k));
                }
            }
            Inst::Set(s, v) => {
                if let Some(&k) = pin_of.get(usize::from(s.0))
                    && k != NO
                {
                    let k = usize::from(k);
                    drop_hint(info, &mut pending, k);
                    pending[k] = v.0;
                    info[usize::from(v.0)].hint = PINNED[k] as u8;
                }
            }
            // The first operand goes the same way if it ends here.
            Inst::Bin { a, .. } | Inst::Un { a, .. } | Inst::Ext { a, .. } => {
                let x = &mut info[usize::from(a.0)];
                if let Some(k) = mine
                    && x.uses == 1
                    && x.hint == NO
                    && !matches!(insts[usize::from(a.0)], Inst::Get(_) | Inst::Imm(_))
                {
                    x.hint = PINNED[k] as u8;
                    pending[k] = a.0;
                }
            }
            _ => {}
        }
    }
    calls
}

/// Whether all bits above the low 32 of a value are known to be zero.
pub(super) fn upper_clear(inst: &Inst) -> bool {
    match *inst {
        Inst::Imm(x) => x >> 32 == 0,
        Inst::Bin { w, .. } | Inst::Un { w, .. } => w != Width::W64,
        Inst::Ext { signed, from, .. } => !signed && from != Width::W64,
        Inst::Cmp { .. }
        | Inst::FpCmp { .. }
        | Inst::FpClassify { .. }
        | Inst::StoreConditional { .. } => true,
        Inst::Load { m, .. } => m.size != Width::W64 && !m.sign,
        Inst::FpUnbox { f, .. }
        | Inst::FpBin { f, .. }
        | Inst::FpSqrt { f, .. }
        | Inst::FpFma { f, .. }
        | Inst::FpMinMax { f, .. }
        | Inst::FpFromInt { f, .. }
        | Inst::FpRound { f, .. } => f != Format::F64,
        Inst::FpConvert { to, .. } => to != Format::F64,
        _ => false,
    }
}
