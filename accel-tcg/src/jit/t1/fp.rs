//! Floating point: SSE where it gives the guest's results and flags, software elsewhere.
//!
//! Single-precision values are kept with bits above the low 32 clear, as the IR has them.

use super::super::x64::{Alu, Cond as X, Fp, Gpr, Mem, Width as W, Xmm};
use super::cold::Cold;
use super::plan::upper_clear;
use super::regalloc::{Dst, Src, bit};
use super::{Gen, NO, NONE, frame};
use crate::fp::op::FpOp;
use crate::fp::{Format, NanRule, Rounding};
use crate::ir::{Inst, Val};
use crate::sem::{FpBin, FpCmp, FpMinMax, IntFormat, Round, Width};

const TMP: Mem = Mem::new(Gpr::Rsp, frame::TMP);

/// The host's precision, if it has the format.
const fn precision(f: Format) -> Option<Fp> {
    match f {
        Format::F32 => Some(Fp::S),
        Format::F64 => Some(Fp::D),
        _ => None,
    }
}

impl Gen<'_> {
    /// The rounding direction, where it is known.
    fn rounding(&self, rm: Round) -> Option<Rounding> {
        match rm {
            Round::Fixed(r) => Some(r),
            Round::Dynamic => self.mode.dynamic_rounding(),
        }
    }

    /// Whether it is the one MXCSR is set to.
    fn native(&self, rm: Round) -> bool {
        self.rounding(rm) == Some(self.mode.host_rounding())
    }

    /// Whether arithmetic can be done by the host.
    fn hard(&self, f: Format) -> Option<Fp> {
        matches!(self.cfg.nan, NanRule::Canonical).then_some(())?;
        precision(f)
    }

    /// The value in an SSE register, locked; for singles only the low 32 bits are looked at.
    fn xmm(&mut self, v: Val, p: Fp) -> Xmm {
        let v = self.rep(v);
        let x = match self.in_xmm(v) {
            Some(x) => x,
            None => {
                let x = self.alloc_x();
                self.load_xmm(x, v, p);
                // A truncated copy is not the value.
                if p == Fp::D || upper_clear(self.def(v)) {
                    self.define_x(v, x);
                }
                x
            }
        };
        self.locked_x |= 1 << x as u16;
        x
    }

    /// Copies a value into `x`, cut to the precision.
    fn load_xmm(&mut self, x: Xmm, v: u16, p: Fp) {
        if let Some(s) = self.in_xmm(v) {
            if p == Fp::S && !upper_clear(self.def(v)) {
                self.a.xorps_xx(x, x);
                self.a.movs_xx(Fp::S, x, s);
            } else {
                self.a.movaps_xx(x, s);
            }
        } else if let Some(k) = self.imm(v) {
            self.imm_to_xmm(x, if p == Fp::S { k & 0xffff_ffff } else { k });
        } else if let Some(r) = self.in_gpr(v) {
            match p {
                Fp::S => self.a.movd_xr(x, r),
                Fp::D => self.a.movq_xr(x, r),
            }
        } else if let Some(m) = self.in_mem(v) {
            self.a.movs_xm(p, x, m);
        } else {
            let r = self.gpr_of(v);
            match p {
                Fp::S => self.a.movd_xr(x, r),
                Fp::D => self.a.movq_xr(x, r),
            }
        }
    }

    /// A register that starts as a copy of `a` and may be overwritten.
    fn start(&mut self, a: Val, p: Fp) -> Xmm {
        let v = self.rep(a);
        if let Some(x) = self.in_xmm(v)
            && self.locked_x & 1 << x as u16 == 0
            && (!self.live_after(v) || self.has_other_home(v))
            && (p == Fp::D || upper_clear(self.def(v)))
        {
            self.detach_x(x);
            self.locked_x |= 1 << x as u16;
            return x;
        }
        let x = self.alloc_x();
        self.load_xmm(x, v, p);
        x
    }

    fn has_other_home(&self, v: u16) -> bool {
        let x = &self.info[usize::from(v)];
        // A copy in memory costs a load later; worth keeping the register for if the value is used soon.
        x.gprs != 0 || x.spill != NO
    }

    /// The second operand: a register, or memory where the value has no other use.
    fn second(&mut self, b: Val, p: Fp) -> Src {
        let v = self.rep(b);
        if self.in_xmm(v).is_none()
            && !self.live_after(v)
            && self.imm(v).is_none()
            && let Some(m) = self.in_mem(v)
        {
            return Src::Mem(m);
        }
        Src::Xmm(self.xmm(b, p))
    }

    /// Replaces a NaN by the canonical one.
    fn canonical(&mut self, d: Xmm, p: Fp) {
        let (entry, back) = (self.a.label(), self.a.label());
        self.a.ucomis_xx(p, d, d);
        self.a.jcc(X::P, entry);
        self.a.bind(back);
        self.cold.push(Cold::Nan {
            entry,
            back,
            x: d,
            p,
        });
    }

    pub(super) fn fp_bin(&mut self, v: u16, op: FpBin, f: Format, rm: Round, a: Val, b: Val) {
        let Some(p) = self.hard(f).filter(|_| self.native(rm)) else {
            return self.fp_soft(v, FpOp::Bin { op, f, rm }, &[a, b]);
        };
        let s = self.second(b, p);
        let d = self.start(a, p);
        match (op, s) {
            (FpBin::Add, Src::Mem(m)) => self.a.adds_xm(p, d, m),
            (FpBin::Sub, Src::Mem(m)) => self.a.subs_xm(p, d, m),
            (FpBin::Mul, Src::Mem(m)) => self.a.muls_xm(p, d, m),
            (FpBin::Div, Src::Mem(m)) => self.a.divs_xm(p, d, m),
            (FpBin::Add, Src::Xmm(x)) => self.a.adds_xx(p, d, x),
            (FpBin::Sub, Src::Xmm(x)) => self.a.subs_xx(p, d, x),
            (FpBin::Mul, Src::Xmm(x)) => self.a.muls_xx(p, d, x),
            (FpBin::Div, Src::Xmm(x)) => self.a.divs_xx(p, d, x),
            _ => self.failed = true,
        }
        self.canonical(d, p);
        self.define_x(v, d);
    }

    pub(super) fn fp_sqrt(&mut self, v: u16, f: Format, rm: Round, a: Val) {
        let Some(p) = self.hard(f).filter(|_| self.native(rm)) else {
            return self.fp_soft(v, FpOp::Sqrt { f, rm }, &[a]);
        };
        let d = self.start(a, p);
        self.a.sqrts_xx(p, d, d);
        self.canonical(d, p);
        self.define_x(v, d);
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "an operation has this many operands"
    )]
    pub(super) fn fp_fma(
        &mut self,
        v: u16,
        f: Format,
        rm: Round,
        neg_product: bool,
        neg_addend: bool,
        a: Val,
        b: Val,
        c: Val,
    ) {
        let Some(p) = self
            .hard(f)
            .filter(|_| self.native(rm) && self.cfg.features.fma)
        else {
            return self.fp_soft(
                v,
                FpOp::Fma {
                    f,
                    rm,
                    neg_product,
                    neg_addend,
                },
                &[a, b, c],
            );
        };
        let (x, y) = (self.xmm(a, p), self.xmm(b, p));
        let d = self.start(c, p);
        match (neg_product, neg_addend) {
            (false, false) => self.a.vfmadd231s_xxx(p, d, x, y),
            (false, true) => self.a.vfmsub231s_xxx(p, d, x, y),
            (true, false) => self.a.vfnmadd231s_xxx(p, d, x, y),
            (true, true) => self.a.vfnmsub231s_xxx(p, d, x, y),
        }
        let (entry, back) = (self.a.label(), self.a.label());
        self.a.ucomis_xx(p, d, d);
        self.a.jcc(X::P, entry);
        self.a.bind(back);
        self.cold.push(Cold::FmaNan {
            entry,
            back,
            d,
            a: x,
            b: y,
            p,
        });
        self.define_x(v, d);
    }

    pub(super) fn fp_cmp(&mut self, v: u16, c: FpCmp, f: Format, signaling: bool, a: Val, b: Val) {
        let Some(p) = precision(f) else {
            return self.fp_soft(v, FpOp::Cmp { c, f, signaling }, &[a, b]);
        };
        // Less is "above" with the operands exchanged, so that unordered gives no.
        let (a, b) = if c == FpCmp::Eq { (a, b) } else { (b, a) };
        let s = self.second(b, p);
        let x = self.xmm(a, p);
        let d = self.dest(v, None);
        let extra = (c == FpCmp::Eq).then(|| self.alloc());
        if c != FpCmp::Eq {
            self.a.zero(d);
        }
        match (s, signaling) {
            (Src::Mem(m), true) => self.a.comis_xm(p, x, m),
            (Src::Mem(m), false) => self.a.ucomis_xm(p, x, m),
            (Src::Xmm(y), true) => self.a.comis_xx(p, x, y),
            (Src::Xmm(y), false) => self.a.ucomis_xx(p, x, y),
            _ => self.failed = true,
        }
        match (c, extra) {
            (FpCmp::Lt, _) => self.a.setcc_r(X::A, d),
            (FpCmp::Le, _) => self.a.setcc_r(X::Ae, d),
            (FpCmp::Eq, Some(t)) => {
                self.a.setcc_r(X::E, d);
                self.a.setcc_r(X::Np, t);
                self.a.and_rr(W::W32, d, t);
                self.a.movzx_rr(W::W8, d, d);
            }
            (FpCmp::Eq, None) => {}
        }
        self.define(v, d);
    }

    pub(super) fn fp_minmax(&mut self, v: u16, op: FpMinMax, f: Format, a: Val, b: Val) {
        let Some(p) = self.hard(f) else {
            return self.fp_soft(v, FpOp::MinMax { op, f }, &[a, b]);
        };
        let y = self.xmm(b, p);
        let d = self.start(a, p);
        let min = matches!(op, FpMinMax::MinNumber | FpMinMax::Minimum);
        let (saves, _) = self.cold_saves_x(d);
        let (nan, equal, back) = (self.a.label(), self.a.label(), self.a.label());
        self.a.ucomis_xx(p, d, y);
        self.a.jcc(X::P, nan);
        self.a.jcc(X::E, equal);
        if min {
            self.a.mins_xx(p, d, y);
        } else {
            self.a.maxs_xx(p, d, y);
        }
        self.a.bind(back);
        let word = FpOp::MinMax { op, f }.pack();
        let args = [Some(Src::Xmm(d)), Some(Src::Xmm(y)), None];
        self.cold.push(Cold::Fp {
            entry: nan,
            back,
            op: word,
            args,
            dst: Dst::Xmm(d),
            saves,
        });
        // Both zeros, perhaps of different sign, or the same number.
        let back_equal = self.a.here();
        self.cold.push(Cold::Equal {
            entry: equal,
            back: back_equal,
            d,
            b: y,
            min,
        });
        self.define_x(v, d);
    }

    /// Registers to keep in a slow path whose result is in `d`.
    fn cold_saves_x(&mut self, d: Xmm) -> ((u16, u16), ()) {
        let (g, x) = self.cold_saves();
        ((g, x & !(1 << d as u16)), ())
    }

    pub(super) fn fp_to_int(&mut self, v: u16, f: Format, rm: Round, to: IntFormat, a: Val) {
        let op = FpOp::ToInt { f, rm, to };
        let native = self.native(rm) && to.signed;
        // How `roundsd` names the direction, without raising inexact.
        let how = match self.rounding(rm) {
            Some(Rounding::Rne) => Some(8),
            Some(Rounding::Rdn) => Some(9),
            Some(Rounding::Rup) => Some(10),
            Some(Rounding::Rtz) => Some(11),
            _ => None,
        };
        let truncates = how == Some(11);
        let (Some(p), Some(how)) = (
            precision(f).filter(|_| truncates || native || self.cfg.features.sse41),
            how,
        ) else {
            return self.fp_soft(v, op, &[a]);
        };
        let x = self.xmm(a, p);
        // Rounded first, unless the conversion does it.
        let rounded = (!truncates && !native).then(|| {
            let y = self.alloc_x();
            self.a.rounds_xxi(p, y, x, how);
            y
        });
        let y = rounded.unwrap_or(x);
        let zero = (!to.signed).then(|| self.alloc_x());
        let d = self.dest(v, None);
        let probe = rounded.map(|_| {
            self.locked |= bit(d);
            self.alloc()
        });
        let (g, xs) = self.cold_saves();
        let saves = (g & !bit(d), xs);
        let (entry, back) = (self.a.label(), self.a.label());
        let w = if to.width == Width::W32 && to.signed {
            W::W32
        } else {
            W::W64
        };
        if let Some(z) = zero {
            // Out of range must be known before, because the conversion would raise inexact.
            let c = self.thunks.consts;
            let limit = if to.width == Width::W32 {
                c.two32
            } else {
                c.two63
            }[p as usize];
            self.a.xorps_xx(z, z);
            self.a.comis_xx(p, y, z);
            self.a.jcc(X::B, entry);
            self.a.comis_xm(p, y, Mem::rip(0));
            self.a.retarget_rip(u64::from(limit));
            self.a.jcc(X::Ae, entry);
            self.a.cvtts2si_rx(p, w, d, y);
        } else {
            if native && !truncates {
                self.a.cvts2si_rx(p, w, d, x);
            } else {
                self.a.cvtts2si_rx(p, w, d, y);
            }
            // The most negative number stands for anything out of range, with "invalid" raised; or for itself.
            self.a.cmp_ri(w, d, 1);
            self.a.jcc(X::O, entry);
        }
        if let Some(t) = probe {
            // Inexact if the value was no integer; it is in range, or next to it.
            self.a.cvtts2si_rx(p, W::W64, t, x);
        }
        if to.width == Width::W32 {
            self.a.movsx_rr(W::W64, W::W32, d, d);
        }
        self.a.bind(back);
        self.cold.push(Cold::Fp {
            entry,
            back,
            op: op.pack(),
            args: [Some(Src::Xmm(x)), None, None],
            dst: Dst::Gpr(d),
            saves,
        });
        self.define(v, d);
    }

    pub(super) fn fp_from_int(&mut self, v: u16, f: Format, rm: Round, from: IntFormat, a: Val) {
        let exact = f == Format::F64 && from.width == Width::W32;
        let op = FpOp::FromInt { f, rm, from };
        let Some(p) = precision(f).filter(|_| exact || self.native(rm)) else {
            return self.fp_soft(v, op, &[a]);
        };
        let r = self.gpr(a);
        let d = self.alloc_x();
        let mut slow = None;
        let (w, r) = match (from.width, from.signed) {
            (Width::W32, true) => (W::W32, r),
            (Width::W32, false) => {
                let t = self.alloc();
                self.a.mov_rr(W::W32, t, r);
                (W::W64, t)
            }
            (_, true) => (W::W64, r),
            (_, false) => {
                let saves = self.cold_saves();
                let (entry, back) = (self.a.label(), self.a.label());
                self.a.test_rr(W::W64, r, r);
                self.a.jcc(X::S, entry);
                slow = Some((entry, back, saves));
                (W::W64, r)
            }
        };
        self.a.xorps_xx(d, d);
        self.a.cvtsi2s_xr(p, w, d, r);
        if let Some((entry, back, saves)) = slow {
            self.a.bind(back);
            let args = [Some(Src::Gpr(r)), None, None];
            self.cold.push(Cold::Fp {
                entry,
                back,
                op: op.pack(),
                args,
                dst: Dst::Xmm(d),
                saves,
            });
        }
        self.define_x(v, d);
    }

    pub(super) fn fp_convert(&mut self, v: u16, from: Format, to: Format, rm: Round, a: Val) {
        let hard = self.hard(from).is_some() && self.hard(to).is_some();
        match (from, to) {
            (Format::F32, Format::F64) if hard => {
                let x = self.xmm(a, Fp::S);
                let d = self.alloc_x();
                self.a.xorps_xx(d, d);
                self.a.cvtss2sd_xx(d, x);
                self.canonical(d, Fp::D);
                self.define_x(v, d);
            }
            (Format::F64, Format::F32) if hard && self.native(rm) => {
                let x = self.xmm(a, Fp::D);
                let d = self.alloc_x();
                self.a.xorps_xx(d, d);
                self.a.cvtsd2ss_xx(d, x);
                self.canonical(d, Fp::S);
                self.define_x(v, d);
            }
            _ => self.fp_soft(v, FpOp::Convert { from, to, rm }, &[a]),
        }
    }

    pub(super) fn fp_unbox(&mut self, v: u16, f: Format, a: Val) {
        let ra = self.rep(a);
        match f {
            Format::F64 => return self.alias(v, ra),
            Format::F32 => {}
            _ => return self.unbox_half(v, ra),
        }
        // What was boxed in this block.
        if let Inst::FpBox {
            f: Format::F32,
            a: inner,
        } = *self.def(ra)
        {
            let x = self.rep(inner);
            if upper_clear(self.def(x))
                && (self.in_gpr(x).is_some()
                    || self.in_xmm(x).is_some()
                    || self.in_mem(x).is_some())
            {
                return self.alias(v, x);
            }
        }
        let mem = match self.in_mem(ra) {
            Some(m) => m,
            None => {
                let r = self.gpr_of(ra);
                self.a.mov_mr(W::W64, TMP, r);
                TMP
            }
        };
        let x = self.alloc_x();
        let (entry, back) = (self.a.label(), self.a.label());
        self.a.cmp_mi(W::W32, mem.offset(4), -1);
        self.a.movs_xm(Fp::S, x, mem);
        self.a.jcc(X::Ne, entry);
        self.a.bind(back);
        self.cold.push(Cold::Nan {
            entry,
            back,
            x,
            p: Fp::S,
        });
        self.define_x(v, x);
    }

    fn unbox_half(&mut self, v: u16, ra: u16) {
        let t = self.alloc();
        self.into(t, ra);
        let d = self.dest(v, None);
        let (entry, back) = (self.a.label(), self.a.label());
        self.a.movzx_rr(W::W16, d, t);
        self.a.alu_ri(Alu::Or, W::W64, t, 0xffff);
        self.a.cmp_ri(W::W64, t, -1);
        self.a.jcc(X::Ne, entry);
        self.a.bind(back);
        self.cold.push(Cold::Const {
            entry,
            back,
            d,
            value: Format::F16.canonical_nan(),
        });
        self.define(v, d);
    }

    pub(super) fn fp_box(&mut self, v: u16, f: Format, a: Val) {
        let ra = self.rep(a);
        match f {
            Format::F64 => self.alias(v, ra),
            Format::F32
                if !self.info[usize::from(v)].other_use
                    && self.imm(ra).is_none()
                    && self.info[usize::from(ra)].lazy == NONE =>
            {
                // Only stored: the upper half is written as a constant then.
                self.info[usize::from(v)].lazy = ra;
                let last = self.info[usize::from(v)].last;
                let x = &mut self.info[usize::from(ra)];
                x.last = x.last.max(last);
            }
            Format::F32 => {
                let reuse = self.in_gpr(ra);
                let d = self.dest(v, reuse);
                match reuse {
                    Some(r) if r == d => {}
                    Some(r) => self.a.mov_rr(W::W64, d, r),
                    None => self.into(d, ra),
                }
                self.box_single_in(d);
                self.define(v, d);
            }
            _ => {
                let reuse = self.in_gpr(ra);
                let d = self.dest(v, reuse);
                match reuse {
                    Some(r) if r == d => {}
                    Some(r) => self.a.mov_rr(W::W64, d, r),
                    None => self.into(d, ra),
                }
                self.a.or_ri(W::W64, d, -0x1_0000);
                self.define(v, d);
            }
        }
    }
}
