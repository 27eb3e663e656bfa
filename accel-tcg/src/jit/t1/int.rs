//! Integer operations.

use super::super::x64::{Alu, Cond as X, Gpr, Mem, Scale, Shift, Width as W, Xmm};
use super::cold::Cold;
use super::regalloc::{Opnd, SCRATCH, Src, bit, is_scratch};
use super::{Gen, frame, xw};
use crate::ir::Val;
use crate::sem::{Bin, Cond, Un, Width};

/// The host's condition after comparing two values.
pub(super) const fn xcond(c: Cond) -> X {
    match c {
        Cond::Eq => X::E,
        Cond::Ne => X::Ne,
        Cond::LtS => X::L,
        Cond::LeS => X::Le,
        Cond::GtS => X::G,
        Cond::GeS => X::Ge,
        Cond::LtU => X::B,
        Cond::LeU => X::Be,
        Cond::GtU => X::A,
        Cond::GeU => X::Ae,
    }
}

const TMP: Mem = Mem::new(Gpr::Rsp, frame::TMP);

/// Width at which narrow operations are computed.
const fn at_least_32(w: Width) -> W {
    match w {
        Width::W64 => W::W64,
        _ => W::W32,
    }
}

const fn is_narrow(w: Width) -> bool {
    matches!(w, Width::W8 | Width::W16)
}

impl Gen<'_> {
    /// Zero-extends a narrow result in place.
    fn narrow(&mut self, w: Width, d: Gpr) {
        if is_narrow(w) {
            self.a.movzx_rr(xw(w), d, d);
        }
    }

    fn alu(&mut self, op: Alu, w: W, d: Gpr, b: Opnd) {
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
        if self.imm_i32(self.rep(a), w).is_some() || self.in_gpr(self.rep(a)).is_none() && self.in_gpr(self.rep(b)).is_some() {
            std::mem::swap(&mut a, &mut b);
            if self.imm_i32(self.rep(a), w).is_some() {
                std::mem::swap(&mut a, &mut b);
            }
        }
        if op == Bin::And && matches!(self.operand_mask(b, w), Some(0xff | 0xffff)) {
            let from = if self.operand_mask(b, w) == Some(0xff) { Width::W8 } else { Width::W16 };
            return self.ext(v, false, from, a);
        }
        let o = self.operand(b, w);
        let ra = self.rep(a);
        // A first operand in memory is loaded straight into the destination.
        let from = match (self.in_gpr(ra), self.in_mem(ra)) {
            (None, Some(m)) if !self.live_after(ra) || self.info[usize::from(ra)].slot != super::NO => Src::Mem(m),
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
            (Src::Gpr(r), Opnd::Reg(s)) if op == Bin::Add => self.a.lea(ww, d, Mem::indexed(r, s, Scale::X1, 0)),
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
        let reuse = if let Src::Gpr(r) = from { Some(r) } else { None };
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
            (Src::Gpr(r), Opnd::Imm(k)) if r != d && k != i32::MIN => self.a.lea(ww, d, Mem::new(r, -k)),
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
                let n = if op == Bin::Ror { n } else { w.bits() as u8 - n };
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
            self.cold.push(Cold::Div { entry, back, w: ww, signed, rem });
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
        self.choose(v, c, w, a, b, a, b);
        // Narrow operands may have anything above their width.
        if w != Width::W64
            && let Some(d) = self.in_gpr(v)
        {
            self.a.movzx_rr(xw(w), d, d);
        }
    }

    fn clmul(&mut self, v: u16, op: Bin, w: Width, a: Val, b: Val) {
        let (ra, rb) = (self.rep(a), self.rep(b));
        let hi = op == Bin::ClMulHi;
        if self.cfg.features.pclmul && w == Width::W64 {
            let (x, y) = (self.alloc_x(), self.alloc_x());
            let r = self.gpr_of(ra);
            self.a.movq_xr(x, r);
            let r = self.gpr_of(rb);
            self.a.movq_xr(y, r);
            self.a.pclmulqdq_xxi(x, y, 0);
            if hi {
                self.a.psrldq_xi(x, 8);
            }
            let d = self.dest(v, None);
            self.a.movq_rx(d, x);
            return self.define(v, d);
        }
        let (pa, pb) = (self.stable(ra), self.stable(rb));
        self.locked = 0;
        self.evict_lock(&SCRATCH);
        for (d, p) in [(Gpr::Rax, pa), (Gpr::Rcx, pb)] {
            self.mov_src(d, p);
            if w != Width::W64 {
                self.a.movzx_rr(xw(w), d, d);
            }
        }
        self.a.zero(Gpr::Rdx);
        if hi && w == Width::W64 {
            // From the lowest bit up, what falls out to the right is not wanted.
            self.a.mov_mi(W::W32, TMP, 64);
            let head = self.a.here();
            let skip = self.a.label();
            self.a.shr_ri(W::W64, Gpr::Rcx, 1);
            self.a.jcc_short(X::Ae, skip);
            self.a.xor_rr(W::W64, Gpr::Rdx, Gpr::Rax);
            self.a.bind(skip);
            self.a.shr_ri(W::W64, Gpr::Rdx, 1);
            self.a.dec_m(W::W32, TMP);
            self.a.jcc(X::Ne, head);
        } else {
            let head = self.a.here();
            let skip = self.a.label();
            self.a.shr_ri(W::W64, Gpr::Rcx, 1);
            self.a.jcc_short(X::Ae, skip);
            self.a.xor_rr(W::W64, Gpr::Rdx, Gpr::Rax);
            self.a.bind(skip);
            self.a.add_rr(W::W64, Gpr::Rax, Gpr::Rax);
            self.a.test_rr(W::W64, Gpr::Rcx, Gpr::Rcx);
            self.a.jcc(X::Ne, head);
            if hi {
                self.a.shr_ri(W::W64, Gpr::Rdx, w.bits() as u8);
            }
            if w != Width::W64 {
                self.a.movzx_rr(xw(w), Gpr::Rdx, Gpr::Rdx);
            }
        }
        self.deliver(v, Gpr::Rdx);
    }

    pub(super) fn un(&mut self, v: u16, op: Un, w: Width, a: Val) {
        let ww = at_least_32(w);
        let ra = self.rep(a);
        let f = self.cfg.features;
        match op {
            Un::Not | Un::Neg => {
                let reuse = self.in_gpr(ra);
                let d = self.dest(v, reuse);
                self.take(d, ra, reuse);
                if op == Un::Not {
                    self.a.not_r(ww, d);
                } else {
                    self.a.neg_r(ww, d);
                }
                self.narrow(w, d);
                self.define(v, d);
            }
            Un::Bswap => {
                let reuse = self.in_gpr(ra);
                let d = self.dest(v, reuse);
                self.take(d, ra, reuse);
                match w {
                    Width::W32 | Width::W64 => self.a.bswap(ww, d),
                    Width::W16 => self.a.rol_ri(W::W16, d, 8),
                    Width::W8 => {}
                }
                self.narrow(w, d);
                self.define(v, d);
            }
            Un::OrBytes => {
                let (x, y) = (self.alloc_x(), self.alloc_x());
                let r = self.gpr_of(ra);
                self.a.movq_xr(x, r);
                self.a.pxor_xx(y, y);
                self.a.pcmpeqb_xx(x, y);
                self.a.pcmpeqb_xx(x, y);
                let d = self.dest(v, Some(r));
                self.a.movq_rx(d, x);
                if w != Width::W64 {
                    self.a.movzx_rr(xw(w), d, d);
                }
                self.define(v, d);
            }
            Un::Popcnt if f.popcnt => {
                let r = self.gpr_of(ra);
                let d = self.dest(v, Some(r));
                if is_narrow(w) {
                    self.a.movzx_rr(xw(w), d, r);
                    self.a.popcnt_rr(W::W32, d, d);
                } else {
                    self.a.popcnt_rr(ww, d, r);
                }
                self.define(v, d);
            }
            Un::Clz | Un::Ctz => self.count_zeros(v, op, w, ra),
            Un::Popcnt => self.popcnt_slow(v, w, ra),
            Un::RevBitsInBytes => self.rev_bits(v, w, ra),
        }
    }

    /// Copies a value into `d`, from the register it was in before `d` was chosen.
    fn take(&mut self, d: Gpr, v: u16, was: Option<Gpr>) {
        match was {
            Some(r) if r == d => {}
            Some(r) => self.a.mov_rr(W::W64, d, r),
            None => self.into(d, v),
        }
    }

    fn count_zeros(&mut self, v: u16, op: Un, w: Width, ra: u16) {
        let ww = at_least_32(w);
        let f = self.cfg.features;
        let r = self.gpr_of(ra);
        // Separate registers: the baseline instructions leave their destination alone when there is no bit.
        let d = self.alloc();
        let bits = w.bits() as i32;
        let mut s = r;
        if is_narrow(w) {
            self.a.movzx_rr(xw(w), d, r);
            if op == Un::Ctz {
                self.a.or_ri(W::W32, d, 1 << bits);
            }
            s = d;
        }
        match op {
            Un::Clz if f.lzcnt => {
                self.a.lzcnt_rr(ww, d, s);
                if is_narrow(w) {
                    self.a.sub_ri(W::W32, d, 32 - bits);
                }
            }
            Un::Clz => {
                let wide = ww.bits() as i32;
                let t = self.alloc();
                self.a.mov_ri(W::W32, t, i64::from(2 * wide - 1));
                self.a.bsr_rr(ww, d, s);
                self.a.cmov_rr(X::E, W::W32, d, t);
                self.a.xor_ri(W::W32, d, wide - 1);
                if is_narrow(w) {
                    self.a.sub_ri(W::W32, d, 32 - bits);
                }
            }
            _ if f.bmi1 => self.a.tzcnt_rr(ww, d, s),
            _ => {
                let t = self.alloc();
                self.a.mov_ri(W::W32, t, i64::from(bits));
                self.a.bsf_rr(ww, d, s);
                self.a.cmov_rr(X::E, W::W32, d, t);
            }
        }
        self.deliver(v, d);
    }

    /// `x = (x >> n & mask) op (x & mask)` and the like, with `rax` as `x`, `rcx` for the mask, `rdx` for the other half.
    fn halves(&mut self, n: u8, mask: u64) {
        self.a.mov_rr(W::W64, Gpr::Rdx, Gpr::Rax);
        self.a.shr_ri(W::W64, Gpr::Rdx, n);
        self.a.mov_ri(W::W64, Gpr::Rcx, mask as i64);
        self.a.and_rr(W::W64, Gpr::Rdx, Gpr::Rcx);
        self.a.and_rr(W::W64, Gpr::Rax, Gpr::Rcx);
    }

    fn into_rax_extended(&mut self, w: Width, ra: u16) {
        let p = self.stable(ra);
        self.locked = 0;
        self.evict_lock(&SCRATCH);
        self.mov_src(Gpr::Rax, p);
        if w != Width::W64 {
            self.a.movzx_rr(xw(w), Gpr::Rax, Gpr::Rax);
        }
    }

    fn popcnt_slow(&mut self, v: u16, w: Width, ra: u16) {
        self.into_rax_extended(w, ra);
        for (n, mask) in [(1, 0x5555_5555_5555_5555u64), (2, 0x3333_3333_3333_3333), (4, 0x0f0f_0f0f_0f0f_0f0f)] {
            self.halves(n, mask);
            self.a.add_rr(W::W64, Gpr::Rax, Gpr::Rdx);
        }
        self.a.mov_ri(W::W64, Gpr::Rcx, 0x0101_0101_0101_0101);
        self.a.imul_rr(W::W64, Gpr::Rax, Gpr::Rcx);
        self.a.shr_ri(W::W64, Gpr::Rax, 56);
        self.deliver(v, Gpr::Rax);
    }

    fn rev_bits(&mut self, v: u16, w: Width, ra: u16) {
        self.into_rax_extended(w, ra);
        for (n, mask) in [(1, 0x5555_5555_5555_5555u64), (2, 0x3333_3333_3333_3333), (4, 0x0f0f_0f0f_0f0f_0f0f)] {
            self.halves(n, mask);
            self.a.shl_ri(W::W64, Gpr::Rax, n);
            self.a.or_rr(W::W64, Gpr::Rax, Gpr::Rdx);
        }
        self.deliver(v, Gpr::Rax);
    }

    pub(super) fn ext(&mut self, v: u16, signed: bool, from: Width, a: Val) {
        let ra = self.rep(a);
        if from == Width::W64 || !signed && from == Width::W32 && super::plan::upper_clear(self.def(ra)) {
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

    /// Compares; returns the host condition and unlocks the operands.
    pub(super) fn compare(&mut self, c: Cond, w: Width, a: Val, b: Val) -> X {
        let (c, first, second) = self.compare_operands(c, w, a, b);
        self.emit_compare(w, first, second);
        self.locked = 0;
        xcond(c)
    }

    /// Brings the operands of a comparison into a form that one instruction can compare, possibly exchanged.
    pub(super) fn compare_operands(&mut self, c: Cond, w: Width, a: Val, b: Val) -> (Cond, Opnd, Opnd) {
        let (mut c, mut a, mut b) = (c, a, b);
        let imm_a = self.imm(self.rep(a)).is_some();
        let mem_a = self.in_gpr(self.rep(a)).is_none();
        let reg_b = self.in_gpr(self.rep(b)).is_some();
        if imm_a && self.imm(self.rep(b)).is_none() || mem_a && reg_b && self.imm(self.rep(b)).is_none() {
            std::mem::swap(&mut a, &mut b);
            c = c.swapped();
        }
        let second = self.operand(b, w);
        let first = match second {
            Opnd::Mem(_) => Opnd::Reg(self.gpr(a)),
            _ => self.operand_rm(a, w),
        };
        (c, first, second)
    }

    pub(super) fn emit_compare(&mut self, w: Width, first: Opnd, second: Opnd) {
        let ww = xw(w);
        match (first, second) {
            (Opnd::Reg(r), Opnd::Imm(0)) => self.a.test_rr(ww, r, r),
            (Opnd::Reg(r), o) => self.alu(Alu::Cmp, ww, r, o),
            (Opnd::Mem(m), Opnd::Imm(k)) => self.a.cmp_mi(ww, m, k),
            (Opnd::Mem(m), Opnd::Reg(r)) => self.a.cmp_mr(ww, m, r),
            _ => self.failed = true,
        }
    }

    pub(super) fn cmp(&mut self, v: u16, c: Cond, w: Width, a: Val, b: Val) {
        let (c, first, second) = self.compare_operands(c, w, a, b);
        let reads = |r: Gpr| matches!(first, Opnd::Reg(x) if x == r) || matches!(second, Opnd::Reg(x) if x == r);
        // Clearing the register first is cheaper, where it is not an operand.
        let d = self.dest(v, None);
        if reads(d) {
            self.emit_compare(w, first, second);
            self.a.setcc_r(xcond(c), d);
            self.a.movzx_rr(W::W8, d, d);
        } else {
            self.a.zero(d);
            self.emit_compare(w, first, second);
            self.a.setcc_r(xcond(c), d);
        }
        self.define(v, d);
    }

    #[expect(clippy::too_many_arguments, reason = "a selection has this many operands")]
    pub(super) fn select(&mut self, v: u16, c: Cond, w: Width, a: Val, b: Val, t: Val, f: Val) {
        self.choose(v, c, w, a, b, t, f);
    }

    #[expect(clippy::too_many_arguments, reason = "a selection has this many operands")]
    fn choose(&mut self, v: u16, c: Cond, w: Width, a: Val, b: Val, t: Val, f: Val) {
        // Boxed values are made with instructions that change flags: do that first.
        for x in [t, f] {
            let x = self.rep(x);
            if self.info[usize::from(x)].lazy != super::NONE && self.in_gpr(x).is_none() && self.in_mem(x).is_none() {
                self.stable(x);
                self.locked = 0;
            }
        }
        let cc = self.compare(c, w, a, b);
        // From here to the end only moves, which keep the flags.
        let t_opnd = self.operand_rm(t, Width::W64);
        let rf = self.rep(f);
        let f_reg = self.in_gpr(rf);
        if let Some(r) = f_reg {
            self.locked |= bit(r);
        }
        let d = self.dest(v, f_reg);
        match t_opnd {
            Opnd::Reg(r) if r == d => {
                // The destination holds the other choice.
                match f_reg {
                    Some(s) => self.a.cmov_rr(cc.invert(), W::W64, d, s),
                    None => {
                        if let Some(m) = self.in_mem(rf) {
                            self.a.cmov_rm(cc.invert(), W::W64, d, m);
                        } else {
                            let s = self.gpr_of(rf);
                            self.a.cmov_rr(cc.invert(), W::W64, d, s);
                        }
                    }
                }
            }
            _ => {
                self.take(d, rf, f_reg);
                match t_opnd {
                    Opnd::Reg(r) => self.a.cmov_rr(cc, W::W64, d, r),
                    Opnd::Mem(m) => self.a.cmov_rm(cc, W::W64, d, m),
                    Opnd::Imm(_) => {}
                }
            }
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
