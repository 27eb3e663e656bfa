//! Loads, stores and atomics: the data TLB is looked up inline, everything else is a slow path at the end of the block.

use super::super::thunks::ctx_mem;
use super::super::x64::{Alu, Cond as X, Gpr, Label, Mem, Scale, Width as W};
use super::cold::{Cold, Slow};
use super::regalloc::{Dst, Src, bit, is_scratch};
use super::{Gen, xw};
use crate::ir::Val;
use crate::mmu::bank::{OFF_TLB_R, OFF_TLB_W, TLB_BITS};
use crate::regs::{Context, Reservation};
use crate::sem::{Fence, MemOp, Rmw, Width};
use std::mem::offset_of;

const PAGE_MASK: i32 = -4096;
/// Mask of `va >> 8` that leaves the offset of a TLB entry.
const INDEX_MASK: i32 = ((1 << TLB_BITS) - 1) << 4;

const RESERVED_ADDR: Mem =
    ctx_mem(offset_of!(Context, reservation) + offset_of!(Reservation, addr));
const RESERVED_VALUE: Mem =
    ctx_mem(offset_of!(Context, reservation) + offset_of!(Reservation, value));

/// Which TLB, and what about alignment.
#[derive(Clone, Copy)]
struct Probe {
    base: Gpr,
    disp: i32,
    size: Width,
    aligned: bool,
    write: bool,
}

impl Gen<'_> {
    /// The address in a pinned register or `rax`, and `rcx` and `rdx` free. All three are locked.
    fn address(&mut self, addr: Val) -> Gpr {
        let v = self.rep(addr);
        let base = match self.in_gpr(v) {
            Some(r) if !is_scratch(r) || r == Gpr::Rax => r,
            _ => {
                self.locked |= bit(Gpr::Rax);
                self.evict(Gpr::Rax);
                self.into(Gpr::Rax, v);
                self.define(v, Gpr::Rax);
                Gpr::Rax
            }
        };
        self.locked |= bit(base);
        self.evict_lock(&[Gpr::Rcx, Gpr::Rdx]);
        base
    }

    /// Looks the address up; falls through with the addend in `rcx`, goes to the returned label otherwise. Changes `rdx`.
    fn probe(&mut self, p: Probe) -> Label {
        let last = i32::from(p.size.bytes()) - 1;
        let slow = self.a.label();
        let bmi2 = self.cfg.features.bmi2;
        let Some(end) = p.disp.checked_add(last) else {
            self.failed = true;
            return slow;
        };
        if p.aligned || last == 0 {
            if p.disp == 0 {
                self.a.mov_rr(W::W64, Gpr::Rdx, p.base);
            } else {
                self.a.lea(W::W64, Gpr::Rdx, Mem::new(p.base, p.disp));
            }
            let from = if p.disp == 0 { p.base } else { Gpr::Rdx };
            if bmi2 {
                self.a.rorx_rri(W::W32, Gpr::Rcx, from, 8);
            } else {
                self.a.mov_rr(W::W32, Gpr::Rcx, from);
                self.a.shr_ri(W::W32, Gpr::Rcx, 8);
            }
            self.a.and_ri(W::W32, Gpr::Rcx, INDEX_MASK);
            self.a.and_ri(W::W64, Gpr::Rdx, PAGE_MASK | last);
        } else {
            if p.disp == 0 && bmi2 {
                self.a.rorx_rri(W::W32, Gpr::Rcx, p.base, 8);
            } else {
                if p.disp == 0 {
                    self.a.mov_rr(W::W32, Gpr::Rcx, p.base);
                } else {
                    self.a.lea(W::W32, Gpr::Rcx, Mem::new(p.base, p.disp));
                }
                self.a.shr_ri(W::W32, Gpr::Rcx, 8);
            }
            self.a.lea(W::W64, Gpr::Rdx, Mem::new(p.base, end));
            self.a.and_ri(W::W32, Gpr::Rcx, INDEX_MASK);
            self.a.and_ri(W::W64, Gpr::Rdx, PAGE_MASK);
        }
        let table = if p.write { OFF_TLB_W } else { OFF_TLB_R } as i32;
        let entry = Mem::indexed(Gpr::R14, Gpr::Rcx, Scale::X1, table);
        self.a.cmp_rm(W::W64, Gpr::Rdx, entry);
        self.a.jcc(X::Ne, slow);
        self.a.mov_rm(W::W64, Gpr::Rcx, entry.offset(8));
        slow
    }

    fn slow(&mut self, s: Slow, entry: Label, back: Label) {
        self.a.bind(back);
        self.cold.push(Cold::Mem {
            slow: s,
            entry,
            back,
            insn: self.insn,
        });
    }

    pub(super) fn load(&mut self, v: u16, m: MemOp, addr: Val, disp: i32) {
        let base = self.address(addr);
        let to_xmm = self.info[usize::from(v)].want_xmm
            && (m.size == Width::W64 || m.size == Width::W32 && !m.sign);
        self.locked &= !(bit(Gpr::Rcx) | bit(Gpr::Rdx));
        let dst = if to_xmm {
            Dst::Xmm(self.alloc_x())
        } else {
            Dst::Gpr(self.dest(v, Some(base)))
        };
        let saves = self.cold_saves();
        let entry = self.probe(Probe {
            base,
            disp,
            size: m.size,
            aligned: m.aligned,
            write: false,
        });
        let at = Mem::indexed(base, Gpr::Rcx, Scale::X1, disp);
        match dst {
            Dst::Gpr(d) => self.load_extended(m, d, at),
            Dst::Xmm(x) if m.size == Width::W64 => self.a.movq_xm(x, at),
            Dst::Xmm(x) => self.a.movd_xm(x, at),
            Dst::None => {}
        }
        let back = self.a.label();
        let s = Slow {
            thunk: self.thunks.load,
            base,
            disp,
            desc: m.pack(),
            values: [None, None],
            dst,
            saves,
        };
        self.slow(s, entry, back);
        self.define_dst(v, dst);
    }

    fn load_extended(&mut self, m: MemOp, d: Gpr, at: Mem) {
        if m.sign && m.size != Width::W64 {
            self.a.movsx_rm(W::W64, xw(m.size), d, at);
        } else {
            self.a.movzx_rm(xw(m.size), d, at);
        }
    }

    /// Extends what an atomic operation left in `r` into `d`.
    fn extend_reg(&mut self, m: MemOp, d: Gpr, r: Gpr) {
        if m.sign && m.size != Width::W64 {
            self.a.movsx_rr(W::W64, xw(m.size), d, r);
        } else if d != r || m.size != Width::W64 {
            self.a.movzx_rr(xw(m.size), d, r);
        }
    }

    pub(super) fn store(&mut self, m: MemOp, addr: Val, value: Val, disp: i32) {
        let rv = self.rep(value);
        if self.info[usize::from(rv)].lazy != super::NONE
            && self.in_mem(rv).is_none()
            && self.in_gpr(rv).is_none()
        {
            self.stable(rv);
            self.locked = 0;
        }
        let base = self.address(addr);
        let src = if let Some(k) = self.imm(rv) {
            Src::Imm(k)
        } else if let Some(r) = self.in_gpr(rv) {
            Src::Gpr(r)
        } else if let Some(x) = self.in_xmm(rv).filter(|_| m.size >= Width::W32) {
            Src::Xmm(x)
        } else if let Some(mem) = self.in_mem(rv) {
            Src::Mem(mem)
        } else {
            // In an SSE register only.
            self.stable(rv)
        };
        let saves = self.cold_saves();
        let entry = self.probe(Probe {
            base,
            disp,
            size: m.size,
            aligned: m.aligned,
            write: true,
        });
        let at = Mem::indexed(base, Gpr::Rcx, Scale::X1, disp);
        let w = xw(m.size);
        match src {
            Src::Gpr(r) => self.a.mov_mr(w, at, r),
            Src::Xmm(x) if m.size == Width::W64 => self.a.movq_mx(at, x),
            Src::Xmm(x) => self.a.movd_mx(at, x),
            Src::Imm(k) => match i32::try_from(crate::interp::arith::sext(m.size, k) as i64) {
                Ok(k) => self.a.mov_mi(w, at, k),
                Err(_) => {
                    self.a.mov_ri(W::W64, Gpr::Rdx, k as i64);
                    self.a.mov_mr(w, at, Gpr::Rdx);
                }
            },
            Src::Mem(from) => {
                self.a.movzx_rm(w, Gpr::Rdx, from);
                self.a.mov_mr(w, at, Gpr::Rdx);
            }
        }
        let back = self.a.label();
        let s = Slow {
            thunk: self.thunks.store,
            base,
            disp,
            desc: m.pack(),
            values: [Some(src), None],
            dst: Dst::None,
            saves,
        };
        self.slow(s, entry, back);
    }

    /// Prepares an atomic access: the operands in places that need no scratch register, the address in a pinned register or `rax`, all
    /// scratch registers free but for that.
    fn atomic(&mut self, addr: Val, a: Val, b: Val) -> (Gpr, Src, Src) {
        let (va, vb) = (self.rep(a), self.rep(b));
        let sa = self.stable(va);
        self.locked = 0;
        let sb = self.stable(vb);
        self.locked = 0;
        let base = self.address(addr);
        // `rax` will be overwritten: what is in it needs another home if it lives on.
        if base == Gpr::Rax {
            let v = self.rep(addr);
            if self.live_after(v) && self.dies_only_here(v) {
                self.stable(v);
            }
            self.locked |= bit(Gpr::Rax);
        } else {
            self.evict_lock(&[Gpr::Rax]);
        }
        (base, sa, sb)
    }

    /// The only home of the value is a scratch register.
    fn dies_only_here(&self, v: u16) -> bool {
        self.in_gpr(v).is_none_or(is_scratch)
            && self.in_mem(v).is_none()
            && self.in_xmm(v).is_none()
            && self.imm(v).is_none()
    }

    fn forget_scratch(&mut self) {
        for r in [Gpr::Rax, Gpr::Rcx, Gpr::Rdx] {
            let v = self.reg_val[r as usize];
            if v != super::NONE {
                self.info[usize::from(v)].gprs &= !bit(r);
                self.reg_val[r as usize] = super::NONE;
            }
        }
    }

    /// Where the result of an atomic operation goes; it is computed in `from`.
    fn atomic_dst(&mut self, v: u16, from: Gpr) -> Gpr {
        match self.hinted(v) {
            Some(p) => {
                self.define(v, p);
                p
            }
            None => {
                self.define(v, from);
                from
            }
        }
    }

    pub(super) fn rmw(&mut self, v: u16, op: Rmw, m: MemOp, addr: Val, value: Val) {
        let (base, src, _) = self.atomic(addr, value, value);
        self.forget_scratch();
        let saves = (0, self.cold_saves().1);
        let entry = self.probe(Probe {
            base,
            disp: 0,
            size: m.size,
            aligned: true,
            write: true,
        });
        let w = xw(m.size);
        let unused = self.info[usize::from(v)].uses == 0;
        let at = Mem::indexed(base, Gpr::Rcx, Scale::X1, 0);
        let back = self.a.label();
        let alu = match op {
            Rmw::And => Some(Alu::And),
            Rmw::Or => Some(Alu::Or),
            Rmw::Xor => Some(Alu::Xor),
            _ => None,
        };
        let desc = m.pack() | (op as u64) << 32;
        let from = match (op, alu) {
            (Rmw::Swap, _) => {
                self.mov_src(Gpr::Rdx, src);
                self.a.xchg_mr(w, at, Gpr::Rdx);
                Gpr::Rdx
            }
            (Rmw::Add, _) => {
                self.mov_src(Gpr::Rdx, src);
                self.a.lock_xadd_mr(w, at, Gpr::Rdx);
                Gpr::Rdx
            }
            (_, Some(alu)) if unused => {
                self.mov_src(Gpr::Rdx, src);
                self.a.lock_alu_mr(alu, w, at, Gpr::Rdx);
                Gpr::Rdx
            }
            _ => {
                self.rmw_loop(op, alu, m, at, src);
                Gpr::Rax
            }
        };
        let (pinned_src, base_src) = (src, base);
        let dst = if unused {
            Dst::None
        } else {
            let d = self.atomic_dst(v, from);
            self.extend_reg(m, d, from);
            Dst::Gpr(d)
        };
        let s = Slow {
            thunk: self.thunks.rmw,
            base: base_src,
            disp: 0,
            desc,
            values: [Some(pinned_src), None],
            dst,
            saves,
        };
        self.slow(s, entry, back);
    }

    /// Reads, computes and compares-and-swaps until nobody came between; the old value is left in `rax`.
    fn rmw_loop(&mut self, op: Rmw, alu: Option<Alu>, m: MemOp, at: Mem, src: Src) {
        let w = xw(m.size);
        let wide = if m.size == Width::W64 { W::W64 } else { W::W32 };
        self.a.lea(W::W64, Gpr::Rcx, at);
        let place = Mem::new(Gpr::Rcx, 0);
        self.a.movzx_rm(w, Gpr::Rax, place);
        let head = self.a.here();
        self.mov_src(Gpr::Rdx, src);
        match (alu, op) {
            (Some(alu), _) => self.a.alu_rr(alu, wide, Gpr::Rdx, Gpr::Rax),
            (None, op) => {
                let c = match op {
                    Rmw::MinS => X::L,
                    Rmw::MinU => X::B,
                    Rmw::MaxS => X::G,
                    _ => X::A,
                };
                self.a.cmp_rr(w, Gpr::Rax, Gpr::Rdx);
                self.a.cmov_rr(c, wide, Gpr::Rdx, Gpr::Rax);
            }
        }
        self.a.lock_cmpxchg_mr(w, place, Gpr::Rdx);
        self.a.jcc(X::Ne, head);
    }

    pub(super) fn cas(&mut self, v: u16, m: MemOp, addr: Val, expected: Val, new: Val) {
        let (base, se, sn) = self.atomic(addr, expected, new);
        self.forget_scratch();
        let saves = (0, self.cold_saves().1);
        let entry = self.probe(Probe {
            base,
            disp: 0,
            size: m.size,
            aligned: true,
            write: true,
        });
        self.a
            .lea(W::W64, Gpr::Rcx, Mem::indexed(base, Gpr::Rcx, Scale::X1, 0));
        self.mov_src(Gpr::Rax, se);
        self.mov_src(Gpr::Rdx, sn);
        self.a
            .lock_cmpxchg_mr(xw(m.size), Mem::new(Gpr::Rcx, 0), Gpr::Rdx);
        let dst = if self.info[usize::from(v)].uses == 0 {
            Dst::None
        } else {
            let d = self.atomic_dst(v, Gpr::Rax);
            self.extend_reg(m, d, Gpr::Rax);
            Dst::Gpr(d)
        };
        let back = self.a.label();
        let s = Slow {
            thunk: self.thunks.cas,
            base,
            disp: 0,
            desc: m.pack(),
            values: [Some(se), Some(sn)],
            dst,
            saves,
        };
        self.slow(s, entry, back);
    }

    pub(super) fn load_reserved(&mut self, v: u16, m: MemOp, addr: Val) {
        let base = self.address(addr);
        self.evict_others(base);
        let saves = (0, self.cold_saves().1);
        let entry = self.probe(Probe {
            base,
            disp: 0,
            size: m.size,
            aligned: true,
            write: false,
        });
        self.a.movzx_rm(
            xw(m.size),
            Gpr::Rdx,
            Mem::indexed(base, Gpr::Rcx, Scale::X1, 0),
        );
        self.a.mov_mr(W::W64, RESERVED_ADDR, base);
        self.a.mov_mr(W::W64, RESERVED_VALUE, Gpr::Rdx);
        let dst = if self.info[usize::from(v)].uses == 0 {
            Dst::None
        } else {
            let d = self.atomic_dst(v, Gpr::Rdx);
            if m.sign && m.size != Width::W64 {
                self.a.movsx_rr(W::W64, xw(m.size), d, Gpr::Rdx);
            } else if d != Gpr::Rdx {
                self.a.mov_rr(W::W64, d, Gpr::Rdx);
            }
            Dst::Gpr(d)
        };
        let back = self.a.label();
        let s = Slow {
            thunk: self.thunks.load_reserved,
            base,
            disp: 0,
            desc: m.pack(),
            values: [None, None],
            dst,
            saves,
        };
        self.slow(s, entry, back);
    }

    /// Frees the scratch registers around an address in `base`, which keeps it for the rest of the instruction.
    fn evict_others(&mut self, base: Gpr) {
        if base == Gpr::Rax {
            let v = self.reg_val[Gpr::Rax as usize];
            if v != super::NONE && self.live_after(v) && self.dies_only_here(v) {
                self.stable(v);
            }
        } else {
            self.evict_lock(&[Gpr::Rax]);
        }
        self.forget_scratch();
    }

    pub(super) fn store_conditional(&mut self, v: u16, m: MemOp, addr: Val, value: Val) {
        let (base, src, _) = self.atomic(addr, value, value);
        self.forget_scratch();
        let saves = (0, self.cold_saves().1);
        let slow = self.a.label();
        self.a.cmp_mr(W::W64, RESERVED_ADDR, base);
        self.a.jcc(X::Ne, slow);
        let miss = self.probe(Probe {
            base,
            disp: 0,
            size: m.size,
            aligned: true,
            write: true,
        });
        self.a
            .lea(W::W64, Gpr::Rcx, Mem::indexed(base, Gpr::Rcx, Scale::X1, 0));
        self.a.mov_rm(W::W64, Gpr::Rax, RESERVED_VALUE);
        self.mov_src(Gpr::Rdx, src);
        self.a
            .lock_cmpxchg_mr(xw(m.size), Mem::new(Gpr::Rcx, 0), Gpr::Rdx);
        self.a.mov_mi(W::W64, RESERVED_ADDR, -1);
        self.a.setcc_r(X::Ne, Gpr::Rdx);
        let dst = if self.info[usize::from(v)].uses == 0 {
            Dst::None
        } else {
            let d = self.atomic_dst(v, Gpr::Rdx);
            self.a.movzx_rr(W::W8, d, Gpr::Rdx);
            Dst::Gpr(d)
        };
        let back = self.a.label();
        let s = Slow {
            thunk: self.thunks.store_conditional,
            base,
            disp: 0,
            desc: m.pack(),
            values: [Some(src), None],
            dst,
            saves,
        };
        self.cold.push(Cold::Join {
            entry: miss,
            to: slow,
        });
        self.slow(s, slow, back);
    }

    pub(super) fn fence(&mut self, kind: Fence) {
        match kind {
            Fence::Local | Fence::AcquireRelease => {}
            Fence::Full => {
                self.a
                    .lock_alu_mi(Alu::Or, W::W32, Mem::new(Gpr::Rsp, super::frame::TMP), 0)
            }
        }
    }
}
