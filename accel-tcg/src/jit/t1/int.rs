//! Integer operations.

use super::super::x64::{Alu, Cond as X, Gpr, Mem, Scale, Shift, Width as W, Xmm};
use super::cold::Cold;
use super::regalloc::{Opnd, SCRATCH, Src, bit, is_scratch};
use super::{Gen, xw};
use crate::ir::Val;
use crate::sem::{Bin, Cond, Width};

/// Width at which narrow operations are computed.
pub(super) const fn at_least_32(w: Width) -> W {
    match w {
        Width::W64 => W::W64,
        _ => W::W32,
    }
}

pub(super) const fn is_narrow(w: Width) -> bool {
    matches!(w, Width::W8 | Width::W16)
}

impl Gen<'_> {
    /// Zero-extends a narrow result in place.
    pub(super) fn narrow(&mut self, w: Width, d: Gpr) {
        if is_narrow(w) {
            self.a.movzx_rr(xw(w), d, d);
        }
    }

    pub(super) fn alu(&mut self, op: Alu, w: W, d: Gpr, b: Opnd) {
        match b {
            Opnd::Reg(r) => self.a.alu_rr(op, w, d, r),
            Opnd::Mem(m) => self.a.alu_rm(op, w, d, m),
            Opnd::Imm(k) => self.a.alu_ri(op, w, d, k),
        }
    }

    pub(super) fn bin(&mut self, v: u16, op: Bin, w: Width, a: Val, b: Val) {
        match op {
            Bin::Add | Bin::And | Bin::Or | Bin::Xor => self.commutative(v, op, w, a, b),
            Bin::Sub => self.sub(v, w, a, b),
            Bin::AndNot => self.and_not(v, w, a, b),
            Bin::Mul => self.mul(v, w, a, b),
            Bin::Shl | Bin::Shr | Bin::Sar | Bin::Ror | Bin::Rol => self.shift(v, op, w, a, b),
            Bin::MulHiU | Bin::MulHiS | Bin::MulHiSU => self.mul_hi(v, op, w, a, b),
            Bin::DivU | Bin::DivS | Bin::RemU | Bin::RemS => self.div(v, op, w, a, b),
            Bin::MinS | Bin::MinU | Bin::MaxS | Bin::MaxU => self.min_max(v, op, w, a, b),
            Bin::ClMul | Bin::ClMulHi => self.clmul(v, op, w, a, b),
        }
    }

    fn commutative(&mut self, v: u16, op: Bin, w: Width, a: Val, b: Val) {
        let ww = at_least_32(w);
        let (mut a, mut b) = (a, b);
        // The constant goes second; otherwise one that is in a register goes first.
        if self.imm_i32(self.rep(a), w).is_some()
            || self.in_gpr(self.rep(a)).is_none() && self.in_gpr(self.rep(b)).is_some()
        {
            std::mem::swap(&mut a, &mut b);
            if self.imm_i32(self.rep(a), w).is_some() {
                std::mem::swap(&mut a, &mut b);
            }
        }
        if op == Bin::And && matches!(self.operand_mask(b, w), Some(0xff | 0xffff)) {
            let from = if self.operand_mask(b, w) == Some(0xff) {
                Width::W8
            } else {
                Width::W16
            };
            return self.ext(v, false, from, a);
        }
        let o = self.operand(b, w);
        let ra = self.rep(a);
        // A first operand in memory is loaded straight into the destination.
        let from = match (self.in_gpr(ra), self.in_mem(ra)) {
            (None, Some(m))
                if !self.live_after(ra) || self.info[usize::from(ra)].slot != super::NO =>
            {
                Src::Mem(m)
            }
            _ => Src::Gpr(self.gpr_of(ra)),
        };
        let reuse = match from {
            Src::Gpr(r) if is_scratch(r) && self.dies(r) => Some(r),
            _ => match o {
                Opnd::Reg(r) => Some(r),
                _ => None,
            },
        };
        let d = self.dest(v, reuse);
        let x = match op {
            Bin::Add => Alu::Add,
            Bin::And => Alu::And,
            Bin::Or => Alu::Or,
            _ => Alu::Xor,
        };
        match (from, o) {
            (Src::Gpr(r), _) if r == d => self.alu(x, ww, d, o),
            (_, Opnd::Reg(s)) if s == d => match from {
                Src::Mem(m) => self.a.alu_rm(x, ww, d, m),
                Src::Gpr(r) => self.a.alu_rr(x, ww, d, r),
                _ => {}
            },
            (Src::Gpr(r), Opnd::Reg(s)) if op == Bin::Add => {
                self.a.lea(ww, d, Mem::indexed(r, s, Scale::X1, 0))
            }
            (Src::Gpr(r), Opnd::Imm(k)) if op == Bin::Add => self.a.lea(ww, d, Mem::new(r, k)),
            _ => {
                match from {
                    Src::Mem(m) => self.a.mov_rm(ww, d, m),
                    Src::Gpr(r) => self.a.mov_rr(ww, d, r),
                    _ => {}
                }
                self.alu(x, ww, d, o);
            }
        }
        self.narrow(w, d);
        self.define(v, d);
    }

    /// The constant as a mask of its width.
    fn operand_mask(&self, b: Val, w: Width) -> Option<u64> {
        self.imm(self.rep(b)).map(|k| k & w.mask())
    }

    fn sub(&mut self, v: u16, w: Width, a: Val, b: Val) {
        let ww = at_least_32(w);
        let o = self.operand(b, w);
        let ra = self.rep(a);
        if self.imm(ra) == Some(0) {
            let d = self.dest(v, if let Opnd::Reg(r) = o { Some(r) } else { None });
            self.load_opnd(ww, d, o);
            self.a.neg_r(ww, d);
            self.narrow(w, d);
            return self.define(v, d);
        }
        let from = match (self.in_gpr(ra), self.in_mem(ra)) {
            (None, Some(m)) => Src::Mem(m),
            _ => Src::Gpr(self.gpr_of(ra)),
        };
        let reuse = if let Src::Gpr(r) = from {
            Some(r)
        } else {
            None
        };
        let d = self.dest(v, reuse);
        match (from, o) {
            (Src::Gpr(r), Opnd::Reg(s)) if s == d && r != d => {
                self.a.neg_r(ww, d);
                self.a.add_rr(ww, d, r);
            }
            (Src::Mem(m), Opnd::Reg(s)) if s == d => {
                self.a.neg_r(ww, d);
                self.a.add_rm(ww, d, m);
            }
            (Src::Gpr(r), Opnd::Imm(k)) if r != d && k != i32::MIN => {
                self.a.lea(ww, d, Mem::new(r, -k))
            }
            _ => {
                match from {
                    Src::Gpr(r) if r != d => self.a.mov_rr(ww, d, r),
                    Src::Mem(m) => self.a.mov_rm(ww, d, m),
                    _ => {}
                }
                self.alu(Alu::Sub, ww, d, o);
            }
        }
        self.narrow(w, d);
        self.define(v, d);
    }

    fn load_opnd(&mut self, w: W, d: Gpr, o: Opnd) {
        match o {
            Opnd::Reg(r) if r == d => {}
            Opnd::Reg(r) => self.a.mov_rr(w, d, r),
            Opnd::Mem(m) => self.a.mov_rm(w, d, m),
            Opnd::Imm(k) => self.a.mov_ri(w, d, i64::from(k)),
        }
    }

    fn and_not(&mut self, v: u16, w: Width, a: Val, b: Val) {
        let ww = at_least_32(w);
        let rb = self.gpr(b);
        let o = self.operand(a, w);
        if self.cfg.features.bmi1 {
            match o {
                Opnd::Reg(r) => {
                    let d = self.dest(v, Some(rb));
                    self.a.andn_rrr(ww, d, rb, r);
                    self.narrow(w, d);
                    return self.define(v, d);
                }
                Opnd::Mem(m) => {
                    let d = self.dest(v, Some(rb));
                    self.a.andn_rrm(ww, d, rb, m);
                    self.narrow(w, d);
                    return self.define(v, d);
                }
                Opnd::Imm(_) => {}
            }
        }
        let d = self.dest(v, Some(rb));
        if let Opnd::Reg(r) = o
            && r == d
            && r != rb
        {
            // a & !b = !(!a | b)
            self.a.not_r(ww, d);
            self.a.or_rr(ww, d, rb);
            self.a.not_r(ww, d);
        } else if let Opnd::Reg(r) = o
            && r == d
        {
            self.a.zero(d);
        } else {
            if d != rb {
                self.a.mov_rr(ww, d, rb);
            }
            self.a.not_r(ww, d);
            self.alu(Alu::And, ww, d, o);
        }
        self.narrow(w, d);
        self.define(v, d);
    }

    fn mul(&mut self, v: u16, w: Width, a: Val, b: Val) {
        let ww = at_least_32(w);
        let (mut a, mut b) = (a, b);
        if self.imm_i32(self.rep(a), w).is_some() {
            std::mem::swap(&mut a, &mut b);
        }
        let o = self.operand(b, w);
        if let Opnd::Imm(k) = o {
            match self.operand_rm(a, w) {
                Opnd::Reg(r) => {
                    let d = self.dest(v, Some(r));
                    self.a.imul_rri(ww, d, r, k);
                    self.narrow(w, d);
                    self.define(v, d);
                }
                Opnd::Mem(m) => {
                    let d = self.dest(v, None);
                    self.a.imul_rmi(ww, d, m, k);
                    self.narrow(w, d);
                    self.define(v, d);
                }
                Opnd::Imm(_) => self.failed = true,
            }
            return;
        }
        let r = self.gpr(a);
        let d = self.dest(v, Some(r));
        match o {
            Opnd::Reg(s) if s == d => self.a.imul_rr(ww, d, r),
            Opnd::Reg(s) => {
                if d != r {
                    self.a.mov_rr(ww, d, r);
                }
                self.a.imul_rr(ww, d, s);
            }
            Opnd::Mem(m) => {
                if d != r {
                    self.a.mov_rr(ww, d, r);
                }
                self.a.imul_rm(ww, d, m);
            }
            Opnd::Imm(_) => {}
        }
        self.narrow(w, d);
        self.define(v, d);
    }

    fn shift(&mut self, v: u16, op: Bin, w: Width, a: Val, b: Val) {
        let ww = at_least_32(w);
        let ra = self.rep(a);
        let kind = match op {
            Bin::Shl => Shift::Shl,
            Bin::Shr => Shift::Shr,
            Bin::Sar => Shift::Sar,
            Bin::Ror => Shift::Ror,
            _ => Shift::Rol,
        };
        let rotate = matches!(op, Bin::Ror | Bin::Rol);
        let shift_width = if rotate { xw(w) } else { ww };
        if let Some(k) = self.imm(self.rep(b)) {
            let n = (k as u32 & (w.bits() - 1)) as u8;
            let bmi2 = self.cfg.features.bmi2;
            if rotate && !is_narrow(w) && bmi2 && n != 0 {
                let n = if op == Bin::Ror {
                    n
                } else {
                    w.bits() as u8 - n
                };
                match self.operand_rm(a, w) {
                    Opnd::Reg(r) => {
                        let d = self.dest(v, Some(r));
                        self.a.rorx_rri(ww, d, r, n);
                        return self.define(v, d);
                    }
                    Opnd::Mem(m) => {
                        let d = self.dest(v, None);
                        self.a.rorx_rmi(ww, d, m, n);
                        return self.define(v, d);
                    }
                    Opnd::Imm(_) => {}
                }
            }
            let reuse = self.in_gpr(ra);
            if let Some(r) = reuse {
                self.locked |= bit(r);
            }
            let d = self.dest(v, reuse);
            self.shift_source(op, w, d, ra, reuse);
            if n != 0 {
                self.a.shift_ri(kind, shift_width, d, n);
            } else if w == Width::W32 {
                self.a.mov_rr(W::W32, d, d);
            }
            self.narrow(w, d);
            return self.define(v, d);
        }
        if self.cfg.features.bmi2 && !rotate && !is_narrow(w) {
            let n = self.gpr(b);
            match self.operand_rm(a, w) {
                Opnd::Reg(r) => {
                    let d = self.dest(v, Some(r));
                    match op {
                        Bin::Shl => self.a.shlx_rrr(ww, d, r, n),
                        Bin::Shr => self.a.shrx_rrr(ww, d, r, n),
                        _ => self.a.sarx_rrr(ww, d, r, n),
                    }
                    self.define(v, d);
                }
                Opnd::Mem(m) => {
                    let d = self.dest(v, Some(n));
                    match op {
                        Bin::Shl => self.a.shlx_rmr(ww, d, m, n),
                        Bin::Shr => self.a.shrx_rmr(ww, d, m, n),
                        _ => self.a.sarx_rmr(ww, d, m, n),
                    }
                    self.define(v, d);
                }
                Opnd::Imm(_) => {}
            }
            return;
        }
        self.evict_lock(&[Gpr::Rcx]);
        let rb = self.rep(b);
        self.into(Gpr::Rcx, rb);
        if is_narrow(w) && !rotate {
            self.a.and_ri(W::W32, Gpr::Rcx, w.bits() as i32 - 1);
        }
        let reuse = self.in_gpr(ra);
        if let Some(r) = reuse {
            self.locked |= bit(r);
        }
        let d = self.dest(v, reuse);
        self.shift_source(op, w, d, ra, reuse);
        self.a.shift_rcl(kind, shift_width, d);
        // A 32-bit shift by zero leaves the upper half alone.
        if w == Width::W32 {
            self.a.mov_rr(W::W32, d, d);
        }
        self.narrow(w, d);
        self.define(v, d);
    }

    /// Puts the first operand of a shift into `d`; `home` is where it was before `d` was chosen.
    fn shift_source(&mut self, op: Bin, w: Width, d: Gpr, a: u16, home: Option<Gpr>) {
        let widen = is_narrow(w) && matches!(op, Bin::Shr | Bin::Sar);
        let r = match home {
            Some(r) => r,
            None => {
                self.into(d, a);
                d
            }
        };
        if widen && op == Bin::Sar {
            self.a.movsx_rr(W::W32, xw(w), d, r);
        } else if widen {
            self.a.movzx_rr(xw(w), d, r);
        } else if r != d {
            self.a.mov_rr(at_least_32(w), d, r);
        }
    }

    /// Moves the result from a fixed register to where it is wanted and records it.
    pub(super) fn deliver(&mut self, v: u16, r: Gpr) {
        match self.hinted(v) {
            Some(p) => {
                self.a.mov_rr(W::W64, p, r);
                self.define(v, p);
            }
            None => self.define(v, r),
        }
    }

    fn mul_hi(&mut self, v: u16, op: Bin, w: Width, a: Val, b: Val) {
        let (ra, rb) = (self.rep(a), self.rep(b));
        if w != Width::W64 {
            let (sa, sb) = (op != Bin::MulHiU, op == Bin::MulHiS);
            let (pa, pb) = (self.stable(ra), self.stable(rb));
            self.locked = 0;
            self.evict_lock(&[Gpr::Rax, Gpr::Rdx]);
            for (d, p, s) in [(Gpr::Rax, pa, sa), (Gpr::Rdx, pb, sb)] {
                self.mov_src(d, p);
                if s {
                    self.a.movsx_rr(W::W64, xw(w), d, d);
                } else {
                    self.a.movzx_rr(xw(w), d, d);
                }
            }
            self.a.imul_rr(W::W64, Gpr::Rax, Gpr::Rdx);
            self.a.shr_ri(W::W64, Gpr::Rax, w.bits() as u8);
            if w == Width::W32 {
                self.a.mov_rr(W::W32, Gpr::Rax, Gpr::Rax);
            }
            self.narrow(w, Gpr::Rax);
            return self.deliver(v, Gpr::Rax);
        }
        let (pa, pb) = (self.stable(ra), self.stable(rb));
        self.locked = 0;
        self.evict_lock(&SCRATCH);
        self.mov_src(Gpr::Rax, pa);
        let pb = match pb {
            Src::Imm(k) => {
                self.a.mov_ri(W::W64, Gpr::Rcx, k as i64);
                Src::Gpr(Gpr::Rcx)
            }
            p => p,
        };
        match (pb, op) {
            (Src::Gpr(r), Bin::MulHiS) => self.a.imul_r(W::W64, r),
            (Src::Gpr(r), _) => self.a.mul_r(W::W64, r),
            (Src::Mem(m), Bin::MulHiS) => self.a.imul_m(W::W64, m),
            (Src::Mem(m), _) => self.a.mul_m(W::W64, m),
            _ => self.failed = true,
        }
        if op == Bin::MulHiSU {
            // The unsigned product counts a negative first operand 2^64 too high.
            self.mov_src(Gpr::Rax, pa);
            self.a.sar_ri(W::W64, Gpr::Rax, 63);
            match pb {
                Src::Gpr(r) => self.a.and_rr(W::W64, Gpr::Rax, r),
                Src::Mem(m) => self.a.and_rm(W::W64, Gpr::Rax, m),
                _ => {}
            }
            self.a.sub_rr(W::W64, Gpr::Rdx, Gpr::Rax);
        }
        self.deliver(v, Gpr::Rdx);
    }

    fn div(&mut self, v: u16, op: Bin, w: Width, a: Val, b: Val) {
        let signed = matches!(op, Bin::DivS | Bin::RemS);
        let rem = matches!(op, Bin::RemU | Bin::RemS);
        let ww = at_least_32(w);
        let (ra, rb) = (self.rep(a), self.rep(b));
        let (pa, pb) = (self.stable(ra), self.stable(rb));
        self.locked = 0;
        self.evict_lock(&SCRATCH);
        for (d, p) in [(Gpr::Rax, pa), (Gpr::Rcx, pb)] {
            self.mov_src(d, p);
            if is_narrow(w) {
                if signed {
                    self.a.movsx_rr(W::W32, xw(w), d, d);
                } else {
                    self.a.movzx_rr(xw(w), d, d);
                }
            }
        }
        let (entry, back) = (self.a.label(), self.a.label());
        let known = self.imm(rb).map(|k| crate::interp::arith::sext(w, k));
        let guard = match known {
            Some(k) => k == 0 || signed && k == u64::MAX,
            None => true,
        };
        if signed {
            if guard {
                // Zero and -1 are special.
                self.a.lea(ww, Gpr::Rdx, Mem::new(Gpr::Rcx, 1));
                self.a.cmp_ri(ww, Gpr::Rdx, 1);
                self.a.jcc(X::Be, entry);
            }
            if ww == W::W64 {
                self.a.cqo();
            } else {
                self.a.cdq();
            }
            self.a.idiv_r(ww, Gpr::Rcx);
        } else {
            if guard {
                self.a.test_rr(ww, Gpr::Rcx, Gpr::Rcx);
                self.a.jcc(X::E, entry);
            }
            self.a.zero(Gpr::Rdx);
            self.a.div_r(ww, Gpr::Rcx);
        }
        self.a.bind(back);
        if guard {
            self.cold.push(Cold::Div {
                entry,
                back,
                w: ww,
                signed,
                rem,
            });
        } else {
            self.a.bind(entry);
        }
        let r = if rem { Gpr::Rdx } else { Gpr::Rax };
        self.narrow(w, r);
        self.deliver(v, r);
    }

    fn min_max(&mut self, v: u16, op: Bin, w: Width, a: Val, b: Val) {
        let c = match op {
            Bin::MinS => Cond::LtS,
            Bin::MinU => Cond::LtU,
            Bin::MaxS => Cond::GtS,
            _ => Cond::GtU,
        };
        self.select(v, c, w, a, b, a, b);
        // Narrow operands may have anything above their width.
        if w != Width::W64
            && let Some(d) = self.in_gpr(v)
        {
            self.a.movzx_rr(xw(w), d, d);
        }
    }

    pub(super) fn ext(&mut self, v: u16, signed: bool, from: Width, a: Val) {
        let ra = self.rep(a);
        if from == Width::W64
            || !signed && from == Width::W32 && super::plan::upper_clear(self.def(ra))
        {
            return self.alias(v, ra);
        }
        if self.in_gpr(ra).is_none()
            && let Some(m) = self.in_mem(ra)
        {
            let d = self.dest(v, None);
            if signed {
                self.a.movsx_rm(W::W64, xw(from), d, m);
            } else {
                self.a.movzx_rm(xw(from), d, m);
            }
            return self.define(v, d);
        }
        let r = self.gpr_of(ra);
        let d = self.dest(v, Some(r));
        if signed {
            self.a.movsx_rr(W::W64, xw(from), d, r);
        } else {
            self.a.movzx_rr(xw(from), d, r);
        }
        self.define(v, d);
    }

    /// An SSE register copy of constant bits, through a general register.
    pub(super) fn imm_to_xmm(&mut self, x: Xmm, k: u64) {
        if k == 0 {
            self.a.pxor_xx(x, x);
            return;
        }
        let r = self.alloc();
        self.a.mov_ri(W::W64, r, k as i64);
        self.a.movq_xr(x, r);
        self.locked &= !bit(r);
    }
}
