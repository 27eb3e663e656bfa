//! Where values are.
//!
//! A value may have several homes at once: registers, the memory of a slot, a spill word, or being a constant. The lists by
//! value ([`super::plan::Info`]) and by place say the same; a value that is still needed always has at least one home.

use super::super::thunks::slot_mem;
use super::super::x64::{Gpr, Mem, Width as W, Xmm};
use super::{Gen, NO, NONE};
use crate::ir::{Inst, Val};
use crate::sem::{Slot, Width};

/// Registers for values that belong to no pinned slot, best first.
pub(super) const SCRATCH: [Gpr; 3] = [Gpr::Rax, Gpr::Rdx, Gpr::Rcx];
const SCRATCH_MASK: u16 = 1 << Gpr::Rax as u16 | 1 << Gpr::Rdx as u16 | 1 << Gpr::Rcx as u16;

/// The second operand of an integer instruction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Opnd {
    Reg(Gpr),
    Mem(Mem),
    Imm(i32),
}

/// A place that stays as it is while scratch registers are used.
#[derive(Clone, Copy, Debug)]
pub(super) enum Src {
    Gpr(Gpr),
    Xmm(Xmm),
    Mem(Mem),
    Imm(u64),
}

/// Where a result goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dst {
    Gpr(Gpr),
    Xmm(Xmm),
    None,
}

pub(super) const fn bit(r: Gpr) -> u16 {
    1 << r as u16
}

pub(super) const fn is_scratch(r: Gpr) -> bool {
    SCRATCH_MASK & bit(r) != 0
}

pub(super) const fn spill_mem(k: u8) -> Mem {
    Mem::new(Gpr::Rsp, k as i32 * 8)
}

impl Gen<'_> {
    pub(super) fn live_after(&self, v: u16) -> bool {
        self.info[usize::from(v)].last > self.i
    }

    fn needed(&self, v: u16) -> bool {
        self.info[usize::from(v)].last >= self.i
    }

    fn has_home(&self, v: u16) -> bool {
        let x = &self.info[usize::from(v)];
        x.gprs != 0
            || x.xmm != NO
            || x.slot != NO
            || x.spill != NO
            || x.lazy != NONE
            || self.imm(v).is_some()
    }

    fn detach(&mut self, r: Gpr) -> u16 {
        let v = std::mem::replace(&mut self.reg_val[r as usize], NONE);
        if v != NONE {
            self.info[usize::from(v)].gprs &= !bit(r);
        }
        v
    }

    pub(super) fn detach_x(&mut self, x: Xmm) -> u16 {
        let v = std::mem::replace(&mut self.xmm_val[x as usize], NONE);
        if v != NONE {
            self.info[usize::from(v)].xmm = NO;
        }
        v
    }

    /// Says that a register now holds a value (and nothing else).
    pub(super) fn define(&mut self, v: u16, d: Gpr) {
        self.detach(d);
        self.reg_val[d as usize] = v;
        self.info[usize::from(v)].gprs |= bit(d);
    }

    pub(super) fn define_x(&mut self, v: u16, d: Xmm) {
        self.detach_x(d);
        let old = std::mem::replace(&mut self.info[usize::from(v)].xmm, d as u8);
        if old != NO {
            self.xmm_val[usize::from(old)] = NONE;
        }
        self.xmm_val[d as usize] = v;
    }

    pub(super) fn define_dst(&mut self, v: u16, d: Dst) {
        match d {
            Dst::Gpr(r) => self.define(v, r),
            Dst::Xmm(x) => self.define_x(v, x),
            Dst::None => {}
        }
    }

    /// `v` is the same value as `as_`, from now on.
    pub(super) fn alias(&mut self, v: u16, as_: u16) {
        let last = self.info[usize::from(v)].last;
        let want = self.info[usize::from(v)].want_xmm;
        let x = &mut self.info[usize::from(as_)];
        x.last = x.last.max(last);
        x.want_xmm |= want;
        let lazy = x.lazy;
        if lazy != NONE && !self.has_home(lazy) {
            // What was boxed is gone; the box itself was stored before.
            self.info[usize::from(as_)].lazy = NONE;
        } else if lazy != NONE {
            let y = &mut self.info[usize::from(lazy)];
            y.last = y.last.max(last);
        }
        self.info[usize::from(v)].rep = as_;
    }

    /// A spill word for `v`.
    fn new_spill(&mut self, v: u16) -> u8 {
        let found = self
            .spill_val
            .iter()
            .position(|&o| o == NONE || !self.needed(o));
        let Some(k) = found else {
            self.failed = true;
            return 0;
        };
        let old = std::mem::replace(&mut self.spill_val[k], v);
        if old != NONE {
            self.info[usize::from(old)].spill = NO;
        }
        self.info[usize::from(v)].spill = k as u8;
        k as u8
    }

    /// Makes sure that `v` outlives what is about to happen to register `r`, which holds it and was just detached.
    fn rescue(&mut self, v: u16, r: Gpr) {
        let free = SCRATCH
            .into_iter()
            .find(|&s| s != r && self.locked & bit(s) == 0 && self.reg_val[s as usize] == NONE);
        if let Some(s) = free {
            self.a.mov_rr(W::W64, s, r);
            self.define(v, s);
        } else {
            let k = self.new_spill(v);
            self.a.mov_mr(W::W64, spill_mem(k), r);
        }
    }

    /// Frees a register; a value that is needed, by this instruction or later, and is nowhere else is moved.
    pub(super) fn evict(&mut self, r: Gpr) {
        let v = self.detach(r);
        if v != NONE && self.needed(v) && !self.has_home(v) {
            self.rescue(v, r);
        }
    }

    /// Frees several registers and locks them.
    pub(super) fn evict_lock(&mut self, regs: &[Gpr]) {
        for &r in regs {
            self.locked |= bit(r);
        }
        for &r in regs {
            self.evict(r);
        }
    }

    /// A scratch register, free and locked.
    pub(super) fn alloc(&mut self) -> Gpr {
        let open = |g: &Self, r: Gpr| g.locked & bit(r) == 0;
        let pick = SCRATCH
            .into_iter()
            .find(|&r| open(self, r) && self.reg_val[r as usize] == NONE)
            .or_else(|| {
                SCRATCH
                    .into_iter()
                    .find(|&r| open(self, r) && !self.needed(self.reg_val[r as usize]))
            })
            .or_else(|| {
                SCRATCH.into_iter().find(|&r| {
                    open(self, r) && {
                        let x = &self.info[usize::from(self.reg_val[r as usize])];
                        x.gprs & !bit(r) != 0 || x.slot != NO || x.spill != NO
                    }
                })
            })
            .or_else(|| SCRATCH.into_iter().find(|&r| open(self, r)));
        let Some(r) = pick else {
            debug_assert!(self.failed, "no scratch register left at {}", self.i);
            self.failed = true;
            return Gpr::Rax;
        };
        self.evict(r);
        self.locked |= bit(r);
        r
    }

    /// The register to compute `v` in: the pinned one it will be set to if that may be overwritten, else the register of an operand that
    /// ends here (offered in `reuse`), else a free one. The operands' registers must still be read before it is written, or equal it.
    pub(super) fn dest(&mut self, v: u16, reuse: Option<Gpr>) -> Gpr {
        if let Some(p) = self.hinted(v) {
            self.detach(p);
            return p;
        }
        if let Some(r) = reuse
            && is_scratch(r)
            && self.dies(r)
        {
            self.detach(r);
            self.locked |= bit(r);
            return r;
        }
        self.alloc()
    }

    /// The value in `r` is not needed there after this instruction.
    pub(super) fn dies(&self, r: Gpr) -> bool {
        let o = self.reg_val[r as usize];
        if o == NONE || !self.live_after(o) {
            return true;
        }
        let x = &self.info[usize::from(o)];
        x.gprs & !bit(r) != 0
            || x.slot != NO
            || x.spill != NO
            || x.xmm != NO
            || self.imm(o).is_some()
    }

    /// The pinned register that `v` may be computed in.
    pub(super) fn hinted(&self, v: u16) -> Option<Gpr> {
        let h = self.info[usize::from(v)].hint;
        if h == NO {
            return None;
        }
        let p = Gpr::new(h);
        self.dies(p).then_some(p)
    }

    /// A register that holds the value, if any; pinned ones first.
    pub(super) fn in_gpr(&self, v: u16) -> Option<Gpr> {
        let m = self.info[usize::from(v)].gprs;
        let pinned = m & !SCRATCH_MASK;
        let m = if pinned != 0 { pinned } else { m };
        (m != 0).then(|| Gpr::new(m.trailing_zeros() as u8))
    }

    pub(super) fn in_xmm(&self, v: u16) -> Option<Xmm> {
        let x = self.info[usize::from(v)].xmm;
        (x != NO).then(|| Xmm::new(x))
    }

    /// Memory that holds the value, if any.
    pub(super) fn in_mem(&self, v: u16) -> Option<Mem> {
        let x = &self.info[usize::from(v)];
        if x.slot != NO {
            Some(slot_mem(Slot(x.slot)))
        } else if x.spill != NO {
            Some(spill_mem(x.spill))
        } else {
            None
        }
    }

    /// Copies a value into a register, which is not recorded. Flags are kept, except for boxed values.
    pub(super) fn into(&mut self, d: Gpr, v: u16) {
        if let Some(r) = self.in_gpr(v) {
            if r != d {
                self.a.mov_rr(W::W64, d, r);
            }
        } else if let Some(k) = self.imm(v) {
            self.a.mov_ri(W::W64, d, k as i64);
        } else if let Some(m) = self.in_mem(v) {
            self.a.mov_rm(W::W64, d, m);
        } else if let Some(x) = self.in_xmm(v) {
            self.a.movq_rx(d, x);
        } else if self.info[usize::from(v)].lazy != NONE {
            self.into(d, self.info[usize::from(v)].lazy);
            self.box_single_in(d);
        } else {
            debug_assert!(self.failed, "value {v} has no home at {}", self.i);
            self.failed = true;
        }
    }

    /// Sets the upper half of a register to ones.
    pub(super) fn box_single_in(&mut self, d: Gpr) {
        self.a.not_r(W::W32, d);
        self.a.not_r(W::W64, d);
    }

    /// The value in a register, which is locked.
    pub(super) fn gpr(&mut self, v: Val) -> Gpr {
        let v = self.rep(v);
        self.gpr_of(v)
    }

    pub(super) fn gpr_of(&mut self, v: u16) -> Gpr {
        let r = match self.in_gpr(v) {
            Some(r) => r,
            None => {
                let d = self.alloc();
                self.into(d, v);
                self.define(v, d);
                d
            }
        };
        self.locked |= bit(r);
        r
    }

    /// The value as the second operand of an instruction of width `w`.
    pub(super) fn operand(&mut self, v: Val, w: Width) -> Opnd {
        let v = self.rep(v);
        if let Some(k) = self.imm_i32(v, w) {
            return Opnd::Imm(k);
        }
        if self.in_gpr(v).is_none()
            && let Some(m) = self.in_mem(v)
        {
            return Opnd::Mem(m);
        }
        Opnd::Reg(self.gpr_of(v))
    }

    /// The constant, if it can be an immediate of an instruction of width `w`.
    pub(super) fn imm_i32(&self, v: u16, w: Width) -> Option<i32> {
        let k = crate::interp::arith::sext(w, self.imm(v)?) as i64;
        i32::try_from(k).ok()
    }

    /// As [`Gen::operand`], but no constant.
    pub(super) fn operand_rm(&mut self, v: Val, w: Width) -> Opnd {
        match self.operand(v, w) {
            Opnd::Imm(_) => Opnd::Reg(self.gpr(v)),
            o => o,
        }
    }

    /// A place for the value that no scratch register is needed for. Locks nothing.
    pub(super) fn stable(&mut self, v: u16) -> Src {
        if let Some(k) = self.imm(v) {
            return Src::Imm(k);
        }
        if let Some(r) = self.in_gpr(v)
            && !is_scratch(r)
        {
            return Src::Gpr(r);
        }
        if let Some(m) = self.in_mem(v) {
            return Src::Mem(m);
        }
        if self.in_gpr(v).is_none()
            && let Some(x) = self.in_xmm(v)
        {
            let k = self.new_spill(v);
            self.a.movq_mx(spill_mem(k), x);
            return Src::Mem(spill_mem(k));
        }
        let r = self.gpr_of(v);
        let k = self.new_spill(v);
        self.a.mov_mr(W::W64, spill_mem(k), r);
        Src::Mem(spill_mem(k))
    }

    /// Copies from a place.
    pub(super) fn mov_src(&mut self, d: Gpr, s: Src) {
        match s {
            Src::Gpr(r) if r == d => {}
            Src::Gpr(r) => self.a.mov_rr(W::W64, d, r),
            Src::Xmm(x) => self.a.movq_rx(d, x),
            Src::Mem(m) => self.a.mov_rm(W::W64, d, m),
            Src::Imm(k) => self.a.mov_ri(W::W64, d, k as i64),
        }
    }

    /// Reads a guest register.
    pub(super) fn get(&mut self, v: u16, s: Slot) {
        if let Some(p) = self.pin(s) {
            match self.reg_val[p as usize] {
                NONE => self.define(v, p),
                o => self.alias(v, o),
            }
            return;
        }
        if usize::from(s.0) >= self.slot_val.len() {
            self.failed = true;
            return;
        }
        if s == self.cfg.fflags {
            // The flags move on under this value: it is a copy.
            self.sync_flags();
            let d = self.dest(v, None);
            self.a.mov_rm(W::W64, d, slot_mem(s));
            self.define(v, d);
            return;
        }
        let i = usize::from(s.0);
        match self.slot_val[i] {
            NONE => {
                self.slot_val[i] = v;
                self.info[usize::from(v)].slot = s.0;
            }
            o => {
                let x = &mut self.info[usize::from(o)];
                if x.slot == NO {
                    x.slot = s.0;
                }
                self.alias(v, o);
            }
        }
    }

    /// Moves the sticky flags of MXCSR to the flag slot, unless none can have been raised since that was last done.
    fn sync_flags(&mut self) {
        if !self.flags_synced {
            self.a.call_to(u64::from(self.thunks.sync));
            self.flags_synced = true;
        }
    }

    /// Writes a guest register.
    pub(super) fn set(&mut self, s: Slot, v: Val) {
        let v = self.rep(v);
        if let Some(p) = self.pin(s) {
            self.set_pinned(p, v);
            return;
        }
        if usize::from(s.0) >= self.slot_val.len() {
            self.failed = true;
            return;
        }
        if s == self.cfg.fflags {
            self.sync_flags();
            self.store_slot(slot_mem(s), v);
            return;
        }
        let i = usize::from(s.0);
        let old = self.slot_val[i];
        if old == v {
            return;
        }
        if old != NONE {
            self.slot_val[i] = NONE;
            let boxed = self.info[usize::from(v)].lazy == old;
            let x = &mut self.info[usize::from(old)];
            if x.slot == s.0 {
                x.slot = NO;
                if (boxed || self.live_after(old)) && !self.has_home(old) {
                    self.info[usize::from(old)].slot = s.0;
                    self.gpr_of(old);
                    self.info[usize::from(old)].slot = NO;
                }
            }
        }
        self.store_slot(slot_mem(s), v);
        self.slot_val[i] = v;
        let x = &mut self.info[usize::from(v)];
        if x.slot == NO {
            x.slot = s.0;
        }
    }

    fn store_slot(&mut self, m: Mem, v: u16) {
        let lazy = self.info[usize::from(v)].lazy;
        if let Some(r) = self.in_gpr(v) {
            self.a.mov_mr(W::W64, m, r);
        } else if let Some(x) = self.in_xmm(v) {
            self.a.movq_mx(m, x);
        } else if let Some(k) = self.imm_i32(v, Width::W64) {
            self.a.mov_mi(W::W64, m, k);
        } else if lazy != NONE && self.in_mem(v).is_none() {
            if let Some(x) = self.in_xmm(lazy) {
                self.a.movd_mx(m, x);
            } else {
                let r = self.gpr_of(lazy);
                self.a.mov_mr(W::W32, m, r);
            }
            self.a.mov_mi(W::W32, m.offset(4), -1);
        } else {
            let r = self.gpr_of(v);
            self.a.mov_mr(W::W64, m, r);
        }
    }

    fn set_pinned(&mut self, p: Gpr, v: u16) {
        let old = self.reg_val[p as usize];
        if old == v {
            return;
        }
        self.locked |= bit(p);
        if old != NONE && self.live_after(old) {
            self.detach(p);
            if !self.has_home(old) {
                // `v` may be in a scratch register that must not be overwritten before it is copied.
                let mine = self.info[usize::from(v)].gprs;
                self.locked |= mine;
                self.rescue(old, p);
            }
        }
        self.into(p, v);
        self.define(v, p);
    }

    /// A free SSE register, locked.
    pub(super) fn alloc_x(&mut self) -> Xmm {
        let open = |g: &Self, x: Xmm| g.locked_x & 1 << x as u16 == 0;
        let pick = Xmm::ALL
            .into_iter()
            .find(|&x| open(self, x) && self.xmm_val[x as usize] == NONE)
            .or_else(|| {
                Xmm::ALL
                    .into_iter()
                    .find(|&x| open(self, x) && !self.needed(self.xmm_val[x as usize]))
            })
            .or_else(|| {
                Xmm::ALL.into_iter().find(|&x| {
                    open(self, x) && {
                        let o = &self.info[usize::from(self.xmm_val[x as usize])];
                        o.gprs != 0 || o.slot != NO || o.spill != NO
                    }
                })
            })
            .or_else(|| Xmm::ALL.into_iter().find(|&x| open(self, x)));
        let Some(x) = pick else {
            self.failed = true;
            return Xmm::X0;
        };
        let v = self.detach_x(x);
        if v != NONE && self.needed(v) && !self.has_home(v) {
            let k = self.new_spill(v);
            self.a.movq_mx(spill_mem(k), x);
        }
        self.locked_x |= 1 << x as u16;
        x
    }

    /// Saves what must survive a call of a function that may change every scratch and SSE register, and forgets what is in them. With
    /// `all`, the function may also change every guest register.
    pub(super) fn flush(&mut self, all: bool) {
        for r in SCRATCH {
            let v = self.detach(r);
            if v != NONE && self.live_after(v) && !self.survives(v, all) {
                let k = self.new_spill(v);
                self.a.mov_mr(W::W64, spill_mem(k), r);
            }
        }
        for x in Xmm::ALL {
            let v = self.detach_x(x);
            if v != NONE && self.live_after(v) && !self.survives(v, all) {
                let k = self.new_spill(v);
                self.a.movq_mx(spill_mem(k), x);
            }
        }
        if !all {
            return;
        }
        for r in super::PINNED {
            let v = self.detach(r);
            if v != NONE && self.live_after(v) && !self.survives(v, true) {
                let k = self.new_spill(v);
                self.a.mov_mr(W::W64, spill_mem(k), r);
            }
        }
        for i in 0..self.slot_val.len() {
            let v = std::mem::replace(&mut self.slot_val[i], NONE);
            if v == NONE || usize::from(self.info[usize::from(v)].slot) != i {
                continue;
            }
            if self.live_after(v) && !self.survives(v, true) {
                self.a.mov_rm(W::W64, Gpr::Rax, slot_mem(Slot(i as u8)));
                let k = self.new_spill(v);
                self.a.mov_mr(W::W64, spill_mem(k), Gpr::Rax);
            }
            self.info[usize::from(v)].slot = NO;
        }
    }

    /// The value has a home that such a call leaves alone.
    fn survives(&self, v: u16, all: bool) -> bool {
        let x = &self.info[usize::from(v)];
        x.spill != NO
            || self.imm(v).is_some()
            || x.lazy != NONE
            || !all && (x.slot != NO || x.gprs & !SCRATCH_MASK != 0)
    }

    /// Which scratch and SSE registers hold values that must survive a slow path in the middle of this instruction; what is not needed
    /// any more is forgotten.
    pub(super) fn cold_saves(&mut self) -> (u16, u16) {
        let (mut g, mut x) = (0, 0);
        for r in SCRATCH {
            let v = self.reg_val[r as usize];
            if v == NONE {
                continue;
            }
            if self.live_after(v) {
                g |= bit(r);
            } else {
                self.detach(r);
            }
        }
        for r in Xmm::ALL {
            let v = self.xmm_val[r as usize];
            if v == NONE {
                continue;
            }
            if self.live_after(v) {
                x |= 1 << r as u16;
            } else {
                self.detach_x(r);
            }
        }
        (g, x)
    }

    /// The instruction that defines a value.
    pub(super) fn def(&self, v: u16) -> &Inst {
        &self.insts[usize::from(v)]
    }
}
