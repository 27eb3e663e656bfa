//! Bit manipulation: one-operand operations and carry-less products.

use super::super::x64::{Cond as X, Gpr, Mem, Width as W};
use super::int::{at_least_32, is_narrow};
use super::regalloc::SCRATCH;
use super::{Gen, frame, xw};
use crate::ir::Val;
use crate::sem::{Bin, Un, Width};

const TMP: Mem = Mem::new(Gpr::Rsp, frame::TMP);

impl Gen<'_> {
    pub(super) fn clmul(&mut self, v: u16, op: Bin, w: Width, a: Val, b: Val) {
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
    pub(super) fn take(&mut self, d: Gpr, v: u16, was: Option<Gpr>) {
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

    fn load_rax_extended(&mut self, w: Width, ra: u16) {
        let p = self.stable(ra);
        self.locked = 0;
        self.evict_lock(&SCRATCH);
        self.mov_src(Gpr::Rax, p);
        if w != Width::W64 {
            self.a.movzx_rr(xw(w), Gpr::Rax, Gpr::Rax);
        }
    }

    fn popcnt_slow(&mut self, v: u16, w: Width, ra: u16) {
        self.load_rax_extended(w, ra);
        for (n, mask) in [
            (1, 0x5555_5555_5555_5555u64),
            (2, 0x3333_3333_3333_3333),
            (4, 0x0f0f_0f0f_0f0f_0f0f),
        ] {
            self.halves(n, mask);
            self.a.add_rr(W::W64, Gpr::Rax, Gpr::Rdx);
        }
        self.a.mov_ri(W::W64, Gpr::Rcx, 0x0101_0101_0101_0101);
        self.a.imul_rr(W::W64, Gpr::Rax, Gpr::Rcx);
        self.a.shr_ri(W::W64, Gpr::Rax, 56);
        self.deliver(v, Gpr::Rax);
    }

    fn rev_bits(&mut self, v: u16, w: Width, ra: u16) {
        self.load_rax_extended(w, ra);
        for (n, mask) in [
            (1, 0x5555_5555_5555_5555u64),
            (2, 0x3333_3333_3333_3333),
            (4, 0x0f0f_0f0f_0f0f_0f0f),
        ] {
            self.halves(n, mask);
            self.a.shl_ri(W::W64, Gpr::Rax, n);
            self.a.or_rr(W::W64, Gpr::Rax, Gpr::Rdx);
        }
        self.deliver(v, Gpr::Rax);
    }
}
