//! What is rarely executed, placed behind the block's main path.

use super::super::thunks::{ctx_mem, slot_mem};
use super::super::x64::{Cond as X, Fp, Gpr, Label, Mem, Width as W, Xmm};
use super::regalloc::{Dst, Opnd, SCRATCH, Src, bit};
use super::{Gen, frame};
use crate::regs::Context;
use crate::sem::{Cond, Width};
use std::mem::offset_of;

/// A call of a memory function in place of an inline access.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slow {
    pub thunk: u32,
    pub base: Gpr,
    pub disp: i32,
    pub desc: u64,
    pub values: [Option<Src>; 2],
    pub dst: Dst,
    /// General and SSE registers to keep.
    pub saves: (u16, u16),
}

/// A piece of code out of line.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cold {
    /// Slow memory access.
    Mem {
        slow: Slow,
        entry: Label,
        back: Label,
        insn: u16,
    },
    /// Software floating point on values in registers.
    Fp {
        entry: Label,
        back: Label,
        op: u64,
        args: [Option<Src>; 3],
        dst: Dst,
        saves: (u16, u16),
    },
    /// The canonical NaN replaces whatever NaN came out.
    Nan {
        entry: Label,
        back: Label,
        x: Xmm,
        p: Fp,
    },
    /// The same for a fused operation `d = a*b + c`, which must be invalid for infinity times zero.
    FmaNan {
        entry: Label,
        back: Label,
        d: Xmm,
        a: Xmm,
        b: Xmm,
        p: Fp,
    },
    /// Minimum or maximum of equal numbers.
    Equal {
        entry: Label,
        back: Label,
        d: Xmm,
        b: Xmm,
        min: bool,
    },
    /// A constant instead of the value.
    Const {
        entry: Label,
        back: Label,
        d: Gpr,
        value: u64,
    },
    /// Divisor zero or -1.
    Div {
        entry: Label,
        back: Label,
        w: W,
        signed: bool,
        rem: bool,
    },
    /// Another way to the same place.
    Join { entry: Label, to: Label },
    /// Fuel ran out before the block.
    Fuel { entry: Label, insns: i32 },
    /// Exit to the engine because it asked.
    Request { entry: Label, target: u64 },
    /// The same, but only if the branch is taken.
    RequestIf {
        entry: Label,
        back: Label,
        target: u64,
        c: Cond,
        w: Width,
        first: Opnd,
        second: Opnd,
    },
    /// The same for an indirect jump.
    RequestReg { entry: Label, target: Gpr },
    /// Indirect jump to an address that is not in the jump cache.
    Lookup { entry: Label, target: Gpr },
    /// A taken branch that needs more than a jump.
    Taken {
        entry: Label,
        target: u64,
        refund: i32,
        backward: bool,
    },
    /// Exit stub of link number `link`.
    Stub { entry: Label, link: usize },
}

const TMP: Mem = Mem::new(Gpr::Rsp, frame::TMP);
const TMP2: Mem = Mem::new(Gpr::Rsp, frame::TMP2);

impl Gen<'_> {
    /// Emits everything out of line. Pieces may add further pieces.
    pub(super) fn emit_cold(&mut self) {
        let mut k = 0;
        while k < self.cold.len() {
            let c = self.cold[k];
            k += 1;
            if self.a.overflowed() {
                self.failed = true;
                return;
            }
            self.emit_one(c);
        }
    }

    fn arg(&mut self, k: usize, s: Src) {
        let m = Mem::new(Gpr::Rsp, frame::arg(k));
        match s {
            Src::Gpr(r) => self.a.mov_mr(W::W64, m, r),
            Src::Xmm(x) => self.a.movq_mx(m, x),
            Src::Imm(v) => match i32::try_from(v as i64) {
                Ok(v) => self.a.mov_mi(W::W64, m, v),
                Err(_) => {
                    self.a.mov_ri(W::W64, Gpr::Rdx, v as i64);
                    self.a.mov_mr(W::W64, m, Gpr::Rdx);
                }
            },
            Src::Mem(from) => {
                self.a.mov_rm(W::W64, Gpr::Rdx, from);
                self.a.mov_mr(W::W64, m, Gpr::Rdx);
            }
        }
    }

    fn save(&mut self, saves: (u16, u16)) {
        for (k, r) in SCRATCH.into_iter().enumerate() {
            if saves.0 & bit(r) != 0 {
                self.a.mov_mr(
                    W::W64,
                    Mem::new(Gpr::Rsp, frame::SAVE_GPR + 8 * k as i32),
                    r,
                );
            }
        }
        for x in Xmm::ALL {
            if saves.1 & 1 << x as u16 != 0 {
                self.a
                    .movq_mx(Mem::new(Gpr::Rsp, frame::SAVE_XMM + 8 * x as i32), x);
            }
        }
    }

    fn restore(&mut self, saves: (u16, u16)) {
        for (k, r) in SCRATCH.into_iter().enumerate() {
            if saves.0 & bit(r) != 0 {
                self.a.mov_rm(
                    W::W64,
                    r,
                    Mem::new(Gpr::Rsp, frame::SAVE_GPR + 8 * k as i32),
                );
            }
        }
        for x in Xmm::ALL {
            if saves.1 & 1 << x as u16 != 0 {
                self.a
                    .movq_xm(x, Mem::new(Gpr::Rsp, frame::SAVE_XMM + 8 * x as i32));
            }
        }
    }

    /// `rax` to where the result belongs.
    fn result(&mut self, d: Dst) {
        match d {
            Dst::Gpr(Gpr::Rax) | Dst::None => {}
            Dst::Gpr(r) => self.a.mov_rr(W::W64, r, Gpr::Rax),
            Dst::Xmm(x) => self.a.movq_xr(x, Gpr::Rax),
        }
    }

    /// Notes the return address of the call just emitted.
    pub(super) fn note_call(&mut self, insn: u16) {
        self.side.push((self.a.address() as u32, insn));
    }

    /// Sets the PC slot. Changes `rax` if the address is wide.
    pub(super) fn set_pc(&mut self, pc: u64) {
        let m = slot_mem(self.cfg.pc);
        match i32::try_from(pc as i64) {
            Ok(k) => self.a.mov_mi(W::W64, m, k),
            Err(_) => {
                self.a.mov_ri(W::W64, Gpr::Rax, pc as i64);
                self.a.mov_mr(W::W64, m, Gpr::Rax);
            }
        }
    }

    fn load_const(&mut self, p: Fp, x: Xmm, at: u32) {
        self.a.movs_xm(p, x, Mem::rip(0));
        self.a.retarget_rip(u64::from(at));
    }

    fn emit_one(&mut self, c: Cold) {
        match c {
            Cold::Mem {
                slow,
                entry,
                back,
                insn,
            } => {
                self.a.bind(entry);
                self.save(slow.saves);
                if slow.disp == 0 {
                    self.arg(0, Src::Gpr(slow.base));
                } else {
                    self.a.lea(W::W64, Gpr::Rdx, Mem::new(slow.base, slow.disp));
                    self.arg(0, Src::Gpr(Gpr::Rdx));
                }
                for (k, s) in slow.values.into_iter().enumerate() {
                    if let Some(s) = s {
                        self.arg(2 + k, s);
                    }
                }
                self.arg(1, Src::Imm(slow.desc));
                self.a.call_to(u64::from(slow.thunk));
                self.note_call(insn);
                self.result(slow.dst);
                self.restore(slow.saves);
                self.a.jmp(back);
            }
            Cold::Fp {
                entry,
                back,
                op,
                args,
                dst,
                saves,
            } => {
                self.a.bind(entry);
                self.save(saves);
                // Operands first: the constant may need a register.
                for (k, s) in args.into_iter().enumerate() {
                    if let Some(s) = s {
                        self.arg(1 + k, s);
                    }
                }
                self.arg(0, Src::Imm(op));
                self.a.call_to(u64::from(self.thunks.fp));
                self.result(dst);
                self.restore(saves);
                self.a.jmp(back);
            }
            Cold::Nan { entry, back, x, p } => {
                self.a.bind(entry);
                self.load_nan(p, x);
                self.a.jmp(back);
            }
            Cold::FmaNan {
                entry,
                back,
                d,
                a,
                b,
                p,
            } => {
                self.a.bind(entry);
                // The product alone tells; of its flags only "invalid" is taken over.
                let valid = self.a.label();
                self.a.stmxcsr(TMP);
                self.a.movaps_xx(d, a);
                self.a.muls_xx(p, d, b);
                self.a.stmxcsr(TMP2);
                self.a.test_mi(W::W32, TMP2, 1);
                self.a.jcc_short(X::E, valid);
                self.a.or_mi(W::W32, TMP, 1);
                self.a.bind(valid);
                self.a.ldmxcsr(TMP);
                self.load_nan(p, d);
                self.a.jmp(back);
            }
            Cold::Equal {
                entry,
                back,
                d,
                b,
                min,
            } => {
                self.a.bind(entry);
                if min {
                    self.a.orps_xx(d, b);
                } else {
                    self.a.andps_xx(d, b);
                }
                self.a.jmp(back);
            }
            Cold::Const {
                entry,
                back,
                d,
                value,
            } => {
                self.a.bind(entry);
                self.a.mov_ri(W::W64, d, value as i64);
                self.a.jmp(back);
            }
            Cold::Div {
                entry,
                back,
                w,
                signed,
                rem,
            } => {
                self.a.bind(entry);
                match (signed, rem) {
                    (true, false) => {
                        self.a.neg_r(w, Gpr::Rax);
                        self.a.test_rr(w, Gpr::Rcx, Gpr::Rcx);
                        self.a.jcc(X::Ne, back);
                        self.a.mov_ri(w, Gpr::Rax, -1);
                    }
                    (true, true) => {
                        self.a.mov_rr(w, Gpr::Rdx, Gpr::Rax);
                        self.a.test_rr(w, Gpr::Rcx, Gpr::Rcx);
                        self.a.jcc(X::E, back);
                        self.a.zero(Gpr::Rdx);
                    }
                    (false, false) => self.a.mov_ri(w, Gpr::Rax, -1),
                    (false, true) => self.a.mov_rr(w, Gpr::Rdx, Gpr::Rax),
                }
                self.a.jmp(back);
            }
            Cold::Join { entry, to } => {
                self.a.bind(entry);
                self.a.jmp(to);
            }
            Cold::Fuel { entry, insns } => {
                self.a.bind(entry);
                self.a
                    .add_mi(W::W64, ctx_mem(offset_of!(Context, fuel)), insns);
                self.set_pc(self.ir.pc);
                self.a.jmp_to(u64::from(self.thunks.exit_fuel));
            }
            Cold::Request { entry, target } => {
                self.a.bind(entry);
                self.set_pc(target);
                self.a.jmp_to(u64::from(self.thunks.exit_request));
            }
            Cold::RequestIf {
                entry,
                back,
                target,
                c,
                w,
                first,
                second,
            } => {
                self.a.bind(entry);
                self.emit_compare(w, first, second);
                self.a.jcc(super::compare::xcond(c.inverse()), back);
                self.set_pc(target);
                self.a.jmp_to(u64::from(self.thunks.exit_request));
            }
            Cold::RequestReg { entry, target } => {
                self.a.bind(entry);
                self.a.mov_mr(W::W64, slot_mem(self.cfg.pc), target);
                self.a.jmp_to(u64::from(self.thunks.exit_request));
            }
            Cold::Lookup { entry, target } => {
                self.a.bind(entry);
                self.a.mov_mr(W::W64, slot_mem(self.cfg.pc), target);
                self.a.jmp_to(u64::from(self.thunks.exit_lookup));
            }
            Cold::Taken {
                entry,
                target,
                refund,
                backward,
            } => {
                self.a.bind(entry);
                if refund != 0 {
                    self.a
                        .add_mi(W::W64, ctx_mem(offset_of!(Context, fuel)), refund);
                }
                self.leave_to(target, backward);
            }
            Cold::Stub { entry, link } => {
                self.a.bind(entry);
                let at = self.a.address() as u32;
                self.links[link].stub = at;
                self.set_pc(self.links[link].target);
                self.a.mov_ri(W::W32, Gpr::Rax, i64::from(at));
                self.a.jmp_to(u64::from(self.thunks.exit_link));
            }
        }
    }

    fn load_nan(&mut self, p: Fp, x: Xmm) {
        let c = self.thunks.consts;
        let at = if p == Fp::D { c.nan64 } else { c.nan32 };
        self.load_const(p, x, at);
    }
}
