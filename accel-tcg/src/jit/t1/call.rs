//! Helper calls, exceptions and software floating point in line.

use super::super::x64::{Gpr, Mem, Width as W};
use super::regalloc::{bit, is_scratch};
use super::{Gen, frame};
use crate::fp::op::FpOp;
use crate::ir::Val;
use crate::sem::HelperId;

impl Gen<'_> {
    /// Stores a value as argument `k`.
    fn argument(&mut self, k: usize, v: u16) {
        let m = Mem::new(Gpr::Rsp, frame::arg(k));
        if let Some(r) = self.in_gpr(v) {
            self.a.mov_mr(W::W64, m, r);
        } else if let Some(x) = self.in_xmm(v) {
            self.a.movq_mx(m, x);
        } else if let Some(c) = self.imm_i32(v, crate::sem::Width::W64) {
            self.a.mov_mi(W::W64, m, c);
        } else {
            let r = self.gpr_of(v);
            self.a.mov_mr(W::W64, m, r);
            if is_scratch(r) {
                self.locked &= !bit(r);
            }
        }
    }

    fn argument_imm(&mut self, k: usize, v: u64) {
        let m = Mem::new(Gpr::Rsp, frame::arg(k));
        match i32::try_from(v as i64) {
            Ok(c) => self.a.mov_mi(W::W64, m, c),
            Err(_) => {
                let r = self.alloc();
                self.a.mov_ri(W::W64, r, v as i64);
                self.a.mov_mr(W::W64, m, r);
                self.locked &= !bit(r);
            }
        }
    }

    pub(super) fn call(&mut self, v: u16, h: HelperId, n: u8, args: [Val; 4]) {
        for (k, &a) in args.iter().enumerate() {
            if k < usize::from(n) {
                let a = self.rep(a);
                self.argument(k + 1, a);
            } else {
                self.argument_imm(k + 1, 0);
            }
        }
        self.argument_imm(0, u64::from(h.0));
        let pure = (self.cfg.pure)(h);
        self.flush(!pure);
        if pure {
            self.a.call_to(u64::from(self.thunks.call_pure));
        } else {
            self.set_pc(self.insn_pc());
            self.a.call_to(u64::from(self.thunks.call));
            self.note_call(self.insn);
        }
        if self.info[usize::from(v)].uses != 0 {
            self.locked = 0;
            self.deliver(v, Gpr::Rax);
        }
    }

    pub(super) fn raise(&mut self, cause: u64, value: Val) {
        let value = self.rep(value);
        self.argument(1, value);
        self.argument_imm(0, cause);
        self.set_pc(self.insn_pc());
        self.a.call_to(u64::from(self.thunks.raise));
        self.note_call(self.insn);
        // Never comes back.
        self.a.ud2();
    }

    /// A floating-point operation in software.
    pub(super) fn fp_soft(&mut self, v: u16, op: FpOp, args: &[Val]) {
        for (k, &a) in args.iter().enumerate() {
            let a = self.rep(a);
            self.argument(k + 1, a);
        }
        self.argument_imm(0, op.pack());
        self.flush(false);
        self.a.call_to(u64::from(self.thunks.fp));
        if self.info[usize::from(v)].uses != 0 {
            self.locked = 0;
            self.deliver(v, Gpr::Rax);
        }
    }
}
