//! Branches, jumps and other ends of a block.

use super::super::seam::LinkSite;
use super::super::thunks::ctx_mem;
use super::super::x64::{Cond as X, Gpr, Label, Mem, Scale, Width as W};
use super::Gen;
use super::cold::Cold;
use super::compare::xcond;
use super::regalloc::bit;
use crate::ir::Val;
use crate::mmu::bank::{Bank, JC_BITS, OFF_JC, OFF_XID};
use crate::regs::Context;
use crate::sem::{Cond, Width};
use std::mem::offset_of;

const EXIT_REQUEST: Mem = ctx_mem(offset_of!(Context, exit_request));
const PAGE_MASK: u64 = !0xfff;

impl Gen<'_> {
    /// Whether the engine's links may go to `target` without a check of its page.
    fn same_page(&self, target: u64) -> bool {
        target & PAGE_MASK == self.ir.pc & PAGE_MASK
    }

    fn backward(&self, target: u64) -> bool {
        target <= self.insn_pc()
    }

    /// Fuel to give back when leaving after the instruction in work.
    fn refund(&self) -> i32 {
        if self.cfg.count {
            self.ir.insns.len() as i32 - i32::from(self.insn) - 1
        } else {
            0
        }
    }

    /// Notes a link whose rel32 was just emitted; its stub follows behind the block.
    fn add_link(&mut self, target: u64, stub: Label, cross_page: Option<u32>) {
        let site = (self.a.address() as u32).wrapping_sub(4);
        self.cold.push(Cold::Stub {
            entry: stub,
            link: self.links.len(),
        });
        self.links.push(LinkSite {
            target,
            site,
            stub: 0,
            cross_page,
        });
    }

    /// Goes to a direct target.
    pub(super) fn leave_to(&mut self, target: u64, backward: bool) {
        if backward {
            let entry = self.a.label();
            self.a.cmp_mi(W::W32, EXIT_REQUEST, 0);
            self.a.jcc(X::Ne, entry);
            self.cold.push(Cold::Request { entry, target });
        }
        let stub = self.a.label();
        let cross_page = if self.same_page(target) {
            None
        } else {
            let xid = OFF_XID + Bank::xid_index(target) * 4;
            // While unlinked both ways lead to the stub, so any number that needs 32 bits will do.
            self.a
                .cmp_mi(W::W32, Mem::new(Gpr::R14, xid as i32), i32::MAX);
            let at = (self.a.address() as u32).wrapping_sub(4);
            self.a.jcc(X::Ne, stub);
            Some(at)
        };
        self.a.jmp(stub);
        self.add_link(target, stub, cross_page);
    }

    pub(super) fn branch(&mut self, c: Cond, w: Width, a: Val, b: Val, target: u64) {
        let refund = self.refund();
        let backward = self.backward(target);
        let (c, first, second) = self.compare_operands(c, w, a, b);
        if refund == 0 && self.same_page(target) {
            if backward {
                // The request is looked at first, so that the loop has one taken branch; only the slow side asks whether it is taken.
                let (entry, back) = (self.a.label(), self.a.label());
                self.a.cmp_mi(W::W32, EXIT_REQUEST, 0);
                self.a.jcc(X::Ne, entry);
                self.emit_compare(w, first, second);
                let stub = self.a.label();
                self.a.jcc(xcond(c), stub);
                self.add_link(target, stub, None);
                self.a.bind(back);
                self.cold.push(Cold::RequestIf {
                    entry,
                    back,
                    target,
                    c,
                    w,
                    first,
                    second,
                });
            } else {
                self.emit_compare(w, first, second);
                let stub = self.a.label();
                self.a.jcc(xcond(c), stub);
                self.add_link(target, stub, None);
            }
            return;
        }
        self.emit_compare(w, first, second);
        if backward {
            // A loop: keep the taken path in line.
            let over = self.a.label();
            self.a.jcc(xcond(c.inverse()), over);
            if refund != 0 {
                self.a
                    .add_mi(W::W64, ctx_mem(offset_of!(Context, fuel)), refund);
            }
            self.leave_to(target, true);
            self.a.bind(over);
        } else {
            let entry = self.a.label();
            self.a.jcc(xcond(c), entry);
            self.cold.push(Cold::Taken {
                entry,
                target,
                refund,
                backward: false,
            });
        }
    }

    pub(super) fn jump(&mut self, target: u64) {
        let backward = self.backward(target);
        self.leave_to(target, backward);
    }

    pub(super) fn jump_reg(&mut self, target: Val) {
        // `rcx` is the index; nothing else is alive here.
        let v = self.rep(target);
        let r = match self.in_gpr(v) {
            Some(r) if r != Gpr::Rcx => r,
            _ => {
                self.into(Gpr::Rax, v);
                Gpr::Rax
            }
        };
        self.locked |= bit(r);
        if self.cfg.features.bmi2 {
            self.a.rorx_rri(W::W32, Gpr::Rcx, r, 29);
        } else {
            self.a.mov_rr(W::W32, Gpr::Rcx, r);
            self.a.shl_ri(W::W32, Gpr::Rcx, 3);
        }
        self.a.and_ri(W::W32, Gpr::Rcx, ((1 << JC_BITS) - 1) << 4);
        let entry = Mem::indexed(Gpr::R14, Gpr::Rcx, Scale::X1, OFF_JC as i32);
        let (miss, request) = (self.a.label(), self.a.label());
        self.a.cmp_mr(W::W64, entry, r);
        self.a.jcc(X::Ne, miss);
        self.a.cmp_mi(W::W32, EXIT_REQUEST, 0);
        self.a.jcc(X::Ne, request);
        self.a.jmp_m(entry.offset(8));
        self.cold.push(Cold::Lookup {
            entry: miss,
            target: r,
        });
        self.cold.push(Cold::RequestReg {
            entry: request,
            target: r,
        });
    }

    pub(super) fn resync(&mut self, next: u64) {
        self.set_pc(next);
        self.a.jmp_to(u64::from(self.thunks.exit_resync));
    }
}
