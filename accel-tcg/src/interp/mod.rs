//! Tier 0: guest instructions executed directly by [`Ops`] on values that are numbers.
//!
//! It is the reference for the compiler, runs cold code, single steps, instructions that cross pages, and the exact tail of an instruction
//! budget.

use crate::fp::op::{FpEnv, FpOp, rounding};
use crate::fp::{Format, Rounding};
use crate::guest::{Exception, Guest, HelperCx, Stop};
use crate::mmu::host;
use crate::regs::NO_RESERVATION;
use crate::sem::{
    Bin, Cond, Fence, FpBin, FpCmp, FpMinMax, HelperId, IntFormat, JumpKind, MemOp, Ops, Rmw,
    Round, Slot, Un, Width,
};

pub mod arith;

/// How an instruction left the program counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// The next instruction follows.
    Next,
    /// Control goes to this address.
    Jump(u64),
    /// The next instruction follows after a fresh look at the mode.
    Resync,
}

/// Executes instructions on the state it borrows.
pub struct Interp<'a, 'b, G: Guest> {
    /// State and engine.
    pub cx: &'b mut HelperCx<'a, G>,
    /// What the last instruction did to the program counter.
    pub flow: Flow,
}

impl<G: Guest> Interp<'_, '_, G> {
    fn fp(&mut self, op: FpOp, a: u64, b: u64, c: u64) -> u64 {
        let dynamic = rounding(self.cx.regs[usize::from(G::FRM.0)]).unwrap_or(Rounding::Rne);
        let (v, flags) = op.eval(
            FpEnv {
                dynamic,
                nan: G::NAN_RULE,
            },
            a,
            b,
            c,
        );
        self.cx.regs[usize::from(G::FFLAGS.0)] |= u64::from(flags.0);
        v
    }
}

fn extend(m: MemOp, v: u64) -> u64 {
    if m.sign { arith::sext(m.size, v) } else { v }
}

impl<G: Guest> Ops for Interp<'_, '_, G> {
    type V = u64;
    type Err = Stop;

    #[inline(always)]
    fn imm(&mut self, value: u64) -> u64 {
        value
    }
    #[inline(always)]
    fn get(&mut self, slot: Slot) -> u64 {
        self.cx.regs[usize::from(slot.0)]
    }
    #[inline(always)]
    fn set(&mut self, slot: Slot, value: u64) {
        self.cx.regs[usize::from(slot.0)] = value;
    }
    #[inline(always)]
    fn bin(&mut self, op: Bin, w: Width, a: u64, b: u64) -> u64 {
        arith::bin(op, w, a, b)
    }
    #[inline(always)]
    fn un(&mut self, op: Un, w: Width, a: u64) -> u64 {
        arith::un(op, w, a)
    }
    #[inline(always)]
    fn ext(&mut self, signed: bool, from: Width, a: u64) -> u64 {
        if signed {
            arith::sext(from, a)
        } else {
            a & from.mask()
        }
    }
    #[inline(always)]
    fn cmp(&mut self, c: Cond, w: Width, a: u64, b: u64) -> u64 {
        u64::from(c.holds(w, a, b))
    }
    #[inline(always)]
    fn select(&mut self, c: Cond, w: Width, a: u64, b: u64, t: u64, f: u64) -> u64 {
        if c.holds(w, a, b) { t } else { f }
    }

    #[inline(always)]
    fn load(&mut self, m: MemOp, addr: u64) -> Result<u64, Stop> {
        if m.aligned && addr & u64::from(m.size.bytes() - 1) != 0 {
            return Err(self
                .cx
                .guest
                .misaligned(addr, crate::guest::AccessKind::Read)
                .into());
        }
        let v = self.cx.mmu.load(self.cx.guest, self.cx.io, addr, m.size)?;
        self.cx.observe(addr, m.size, false, v);
        Ok(extend(m, v))
    }
    #[inline(always)]
    fn store(&mut self, m: MemOp, addr: u64, value: u64) -> Result<(), Stop> {
        if m.aligned && addr & u64::from(m.size.bytes() - 1) != 0 {
            return Err(self
                .cx
                .guest
                .misaligned(addr, crate::guest::AccessKind::Write)
                .into());
        }
        self.cx
            .mmu
            .store(self.cx.guest, self.cx.io, addr, m.size, value)?;
        self.cx.observe(addr, m.size, true, value & m.size.mask());
        Ok(())
    }
    fn rmw(&mut self, op: Rmw, m: MemOp, addr: u64, value: u64) -> Result<u64, Stop> {
        let old = self.cx.mmu.rmw(self.cx.guest, addr, m, op, value)?;
        self.cx
            .observe(addr, m.size, true, host::combine(op, m.size, old, value));
        Ok(extend(m, old))
    }
    fn cas(&mut self, m: MemOp, addr: u64, expected: u64, new: u64) -> Result<u64, Stop> {
        let old = self
            .cx
            .mmu
            .cas(self.cx.guest, addr, m, expected & m.size.mask(), new)?;
        let now = if old == expected & m.size.mask() {
            new & m.size.mask()
        } else {
            old
        };
        self.cx.observe(addr, m.size, true, now);
        Ok(extend(m, old))
    }
    fn load_reserved(&mut self, m: MemOp, addr: u64) -> Result<u64, Stop> {
        let v = self.cx.mmu.load_aligned(self.cx.guest, addr, m.size)?;
        self.cx.reservation.addr = addr;
        self.cx.reservation.value = v;
        self.cx.observe(addr, m.size, false, v);
        Ok(extend(m, v))
    }
    fn store_conditional(&mut self, m: MemOp, addr: u64, value: u64) -> Result<u64, Stop> {
        if addr & u64::from(m.size.bytes() - 1) != 0 {
            return Err(self
                .cx
                .guest
                .misaligned(addr, crate::guest::AccessKind::Write)
                .into());
        }
        let reserved = self.cx.reservation.addr == addr;
        if !reserved {
            // A store-conditional that fails may still fault; checking keeps both tiers alike.
            self.cx.mmu.probe(
                self.cx.guest,
                addr,
                u64::from(m.size.bytes()),
                crate::guest::AccessKind::Write,
            )?;
            self.cx.reservation.addr = NO_RESERVATION;
            return Ok(1);
        }
        let expected = self.cx.reservation.value & m.size.mask();
        let old = self.cx.mmu.cas(self.cx.guest, addr, m, expected, value)?;
        self.cx.reservation.addr = NO_RESERVATION;
        if old == expected {
            self.cx.observe(addr, m.size, true, value & m.size.mask());
        }
        Ok(u64::from(old != expected))
    }
    fn fence(&mut self, kind: Fence) {
        if kind == Fence::Full {
            host::full_fence();
        }
    }

    #[inline]
    fn fp_unbox(&mut self, f: Format, v: u64) -> u64 {
        arith::unbox(f, v)
    }
    #[inline]
    fn fp_box(&mut self, f: Format, v: u64) -> u64 {
        arith::nan_box(f, v)
    }
    fn fp_bin(&mut self, op: FpBin, f: Format, rm: Round, a: u64, b: u64) -> u64 {
        self.fp(FpOp::Bin { op, f, rm }, a, b, 0)
    }
    fn fp_sqrt(&mut self, f: Format, rm: Round, a: u64) -> u64 {
        self.fp(FpOp::Sqrt { f, rm }, a, 0, 0)
    }
    fn fp_fma(
        &mut self,
        f: Format,
        rm: Round,
        neg_product: bool,
        neg_addend: bool,
        a: u64,
        b: u64,
        c: u64,
    ) -> u64 {
        self.fp(
            FpOp::Fma {
                f,
                rm,
                neg_product,
                neg_addend,
            },
            a,
            b,
            c,
        )
    }
    fn fp_cmp(&mut self, c: FpCmp, f: Format, signaling: bool, a: u64, b: u64) -> u64 {
        self.fp(FpOp::Cmp { c, f, signaling }, a, b, 0)
    }
    fn fp_minmax(&mut self, op: FpMinMax, f: Format, a: u64, b: u64) -> u64 {
        self.fp(FpOp::MinMax { op, f }, a, b, 0)
    }
    fn fp_to_int(&mut self, f: Format, rm: Round, to: IntFormat, a: u64) -> u64 {
        self.fp(FpOp::ToInt { f, rm, to }, a, 0, 0)
    }
    fn fp_from_int(&mut self, f: Format, rm: Round, from: IntFormat, a: u64) -> u64 {
        self.fp(FpOp::FromInt { f, rm, from }, a, 0, 0)
    }
    fn fp_convert(&mut self, from: Format, to: Format, rm: Round, a: u64) -> u64 {
        self.fp(FpOp::Convert { from, to, rm }, a, 0, 0)
    }
    fn fp_round(&mut self, f: Format, rm: Round, exact: bool, a: u64) -> u64 {
        self.fp(FpOp::Round { f, rm, exact }, a, 0, 0)
    }
    fn fp_classify(&mut self, f: Format, a: u64) -> u64 {
        self.fp(FpOp::Classify { f }, a, 0, 0)
    }
    fn fp_to_int_mod(&mut self, a: u64) -> u64 {
        self.fp(FpOp::ToIntMod, a, 0, 0)
    }

    fn call(&mut self, h: HelperId, args: &[u64]) -> Result<u64, Stop> {
        let mut full = [0; 4];
        full[..args.len()].copy_from_slice(args);
        (G::helper(h).run)(self.cx, full)
    }

    #[inline(always)]
    fn jump(&mut self, target: u64, _kind: JumpKind) {
        self.flow = Flow::Jump(target);
    }
    #[inline(always)]
    fn branch(&mut self, c: Cond, w: Width, a: u64, b: u64, target: u64) {
        if c.holds(w, a, b) {
            self.flow = Flow::Jump(target);
        }
    }
    #[inline(always)]
    fn jump_reg(&mut self, target: u64, _kind: JumpKind) {
        self.flow = Flow::Jump(target);
    }
    #[inline(always)]
    fn resync(&mut self) {
        self.flow = Flow::Resync;
    }
    fn raise(&mut self, cause: u64, value: u64) -> Result<(), Stop> {
        Err(Stop::Exception(Exception { cause, value }))
    }
}
