//! Semantics carried out on plain numbers, for tests: one hart without privileged state, a little memory, helpers that only take notes.

use crate::decode::riscv::{Insn, decode};
use crate::fp::{self, Env, Format, Relation, Rounding};
use crate::sem::riscv::{Mode, Privilege, exec, slots};
use crate::sem::{
    Bin, Cond, Fence, FpBin, FpCmp, FpMinMax, HelperId, IntFormat, JumpKind, MemOp, Ops, Rmw,
    Round, Slot, Un, Width,
};

/// Why an instruction ended early.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    Exception(u64, u64),
    Retry,
}

/// Where execution goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    Next,
    Jump(u64, JumpKind),
    Resync,
}

pub struct Hart {
    pub slots: [u64; 160],
    pub base: u64,
    pub memory: Vec<u8>,
    pub flow: Flow,
    pub calls: Vec<(HelperId, Vec<u64>)>,
    pub reply: Result<u64, Stop>,
    pub fences: Vec<Fence>,
    pub orders: Vec<MemOp>,
    reservation: Option<u64>,
}

/// User mode, floating point dirty, rounding to nearest.
pub fn user() -> Mode {
    Mode::new(Privilege::U, 3, 0)
}

impl Hart {
    pub fn new() -> Hart {
        Hart {
            slots: [0; 160],
            base: 0x1000,
            memory: vec![0; 64],
            flow: Flow::Next,
            calls: Vec::new(),
            reply: Ok(0),
            fences: Vec::new(),
            orders: Vec::new(),
            reservation: None,
        }
    }

    pub fn x(&self, n: u8) -> u64 {
        self.slots[usize::from(n)]
    }
    pub fn set_x(&mut self, n: u8, v: u64) {
        self.slots[usize::from(n)] = v;
    }

    /// Performs an instruction; the mode follows `frm`.
    pub fn step(&mut self, word: u32, pc: u64) -> Result<Flow, Stop> {
        let frm = self.slots[usize::from(slots::FRM.0)];
        self.step_in(&decode(word), pc, Mode::new(Privilege::U, 3, frm))
    }

    pub fn step_in(&mut self, insn: &Insn, pc: u64, mode: Mode) -> Result<Flow, Stop> {
        self.flow = Flow::Next;
        exec(self, insn, pc, mode).map(|()| self.flow)
    }

    fn end(&mut self, flow: Flow) {
        assert_eq!(self.flow, Flow::Next, "an instruction may end only once");
        self.flow = flow;
    }

    fn at(&self, m: MemOp, addr: u64, store: bool) -> Result<usize, Stop> {
        if m.aligned && !addr.is_multiple_of(m.size.bytes().into()) {
            return Err(Stop::Exception(if store { 6 } else { 4 }, addr));
        }
        let offset = addr.wrapping_sub(self.base);
        if offset
            .checked_add(m.size.bytes().into())
            .is_none_or(|end| end > self.memory.len() as u64)
        {
            return Err(Stop::Exception(if store { 7 } else { 5 }, addr));
        }
        Ok(offset as usize)
    }

    fn read(&self, m: MemOp, at: usize) -> u64 {
        let mut bytes = [0; 8];
        let n = usize::from(m.size.bytes());
        bytes[..n].copy_from_slice(&self.memory[at..at + n]);
        extend(m.sign, m.size, u64::from_le_bytes(bytes))
    }

    fn write(&mut self, m: MemOp, at: usize, value: u64) {
        let n = usize::from(m.size.bytes());
        self.memory[at..at + n].copy_from_slice(&value.to_le_bytes()[..n]);
    }

    /// A floating-point operation with the guest's environment.
    fn fp<T>(&mut self, rm: Round, f: impl FnOnce(&mut Env) -> T) -> T {
        let rounding = match rm {
            Round::Fixed(r) => r,
            Round::Dynamic => Rounding::from_riscv(self.slots[usize::from(slots::FRM.0)] as u8)
                .expect("a valid mode"),
        };
        let mut env = Env::riscv(rounding);
        let v = f(&mut env);
        self.slots[usize::from(slots::FFLAGS.0)] |= u64::from(env.flags.0);
        v
    }
}

fn extend(signed: bool, from: Width, v: u64) -> u64 {
    let shift = 64 - from.bits();
    if signed {
        (((v << shift) as i64) >> shift) as u64
    } else {
        v << shift >> shift
    }
}

fn clmul(a: u64, b: u64) -> u128 {
    (0..64)
        .filter(|n| b >> n & 1 != 0)
        .fold(0, |sum, n| sum ^ (u128::from(a) << n))
}

fn bin(op: Bin, w: Width, a: u64, b: u64) -> u64 {
    let bits = w.bits();
    let (ua, ub) = (a & w.mask(), b & w.mask());
    let (sa, sb) = (extend(true, w, a) as i64, extend(true, w, b) as i64);
    let (wa, wb) = (i128::from(sa), i128::from(sb));
    let n = b as u32 % bits;
    let v = match op {
        Bin::Add => a.wrapping_add(b),
        Bin::Sub => a.wrapping_sub(b),
        Bin::And => a & b,
        Bin::Or => a | b,
        Bin::Xor => a ^ b,
        Bin::AndNot => a & !b,
        Bin::Shl => ua << n,
        Bin::Shr => ua >> n,
        Bin::Sar => (sa >> n) as u64,
        Bin::Ror => ua >> n | if n == 0 { 0 } else { ua << (bits - n) },
        Bin::Rol => ua << n | if n == 0 { 0 } else { ua >> (bits - n) },
        Bin::Mul => a.wrapping_mul(b),
        Bin::MulHiU => ((u128::from(ua) * u128::from(ub)) >> bits) as u64,
        Bin::MulHiS => ((wa * wb) >> bits) as u64,
        Bin::MulHiSU => ((wa * i128::from(ub)) >> bits) as u64,
        Bin::DivU => ua.checked_div(ub).unwrap_or(u64::MAX),
        Bin::DivS if sb == 0 => u64::MAX,
        Bin::DivS => (wa / wb) as u64,
        Bin::RemU => ua.checked_rem(ub).unwrap_or(ua),
        Bin::RemS if sb == 0 => a,
        Bin::RemS => (wa % wb) as u64,
        Bin::MinS => sa.min(sb) as u64,
        Bin::MinU => ua.min(ub),
        Bin::MaxS => sa.max(sb) as u64,
        Bin::MaxU => ua.max(ub),
        Bin::ClMul => clmul(ua, ub) as u64,
        Bin::ClMulHi => (clmul(ua, ub) >> bits) as u64,
    };
    v & w.mask()
}

impl Ops for Hart {
    type V = u64;
    type Err = Stop;

    fn imm(&mut self, value: u64) -> u64 {
        value
    }
    fn get(&mut self, slot: Slot) -> u64 {
        assert_ne!(slot.0, 0, "x0 is not a slot");
        self.slots[usize::from(slot.0)]
    }
    fn set(&mut self, slot: Slot, value: u64) {
        assert_ne!(slot.0, 0, "x0 is not a slot");
        self.slots[usize::from(slot.0)] = value;
    }
    fn bin(&mut self, op: Bin, w: Width, a: u64, b: u64) -> u64 {
        bin(op, w, a, b)
    }
    fn un(&mut self, op: Un, w: Width, a: u64) -> u64 {
        let v = a & w.mask();
        let bytes = |f: fn(u8) -> u8| u64::from_le_bytes(v.to_le_bytes().map(f));
        w.mask()
            & match op {
                Un::Not => !v,
                Un::Neg => v.wrapping_neg(),
                Un::Clz => u64::from(v.leading_zeros() - (64 - w.bits())),
                Un::Ctz => u64::from(v.trailing_zeros().min(w.bits())),
                Un::Popcnt => u64::from(v.count_ones()),
                Un::Bswap => v.swap_bytes() >> (64 - w.bits()),
                Un::RevBitsInBytes => bytes(u8::reverse_bits),
                Un::OrBytes => bytes(|b| if b == 0 { 0 } else { 0xff }),
            }
    }
    fn ext(&mut self, signed: bool, from: Width, a: u64) -> u64 {
        extend(signed, from, a)
    }
    fn cmp(&mut self, c: Cond, w: Width, a: u64, b: u64) -> u64 {
        c.holds(w, a, b).into()
    }
    fn select(&mut self, c: Cond, w: Width, a: u64, b: u64, t: u64, f: u64) -> u64 {
        if c.holds(w, a, b) { t } else { f }
    }
    fn load(&mut self, m: MemOp, addr: u64) -> Result<u64, Stop> {
        let at = self.at(m, addr, false)?;
        Ok(self.read(m, at))
    }
    fn store(&mut self, m: MemOp, addr: u64, value: u64) -> Result<(), Stop> {
        let at = self.at(m, addr, true)?;
        self.write(m, at, value);
        Ok(())
    }
    fn rmw(&mut self, op: Rmw, m: MemOp, addr: u64, value: u64) -> Result<u64, Stop> {
        let at = self.at(m, addr, true)?;
        let old = self.read(m, at);
        let op = match op {
            Rmw::Swap => None,
            Rmw::Add => Some(Bin::Add),
            Rmw::And => Some(Bin::And),
            Rmw::Or => Some(Bin::Or),
            Rmw::Xor => Some(Bin::Xor),
            Rmw::MinS => Some(Bin::MinS),
            Rmw::MinU => Some(Bin::MinU),
            Rmw::MaxS => Some(Bin::MaxS),
            Rmw::MaxU => Some(Bin::MaxU),
        };
        self.write(m, at, op.map_or(value, |op| bin(op, m.size, old, value)));
        self.orders.push(m);
        Ok(old)
    }
    fn cas(&mut self, m: MemOp, addr: u64, expected: u64, new: u64) -> Result<u64, Stop> {
        let at = self.at(m, addr, true)?;
        let old = self.read(m, at);
        if (old ^ expected) & m.size.mask() == 0 {
            self.write(m, at, new);
        }
        self.orders.push(m);
        Ok(old)
    }
    fn load_reserved(&mut self, m: MemOp, addr: u64) -> Result<u64, Stop> {
        let at = self.at(m, addr, false)?;
        self.reservation = Some(addr);
        self.orders.push(m);
        Ok(self.read(m, at))
    }
    fn store_conditional(&mut self, m: MemOp, addr: u64, value: u64) -> Result<u64, Stop> {
        let at = self.at(m, addr, true)?;
        self.orders.push(m);
        if self.reservation.take() != Some(addr) {
            return Ok(1);
        }
        self.write(m, at, value);
        Ok(0)
    }
    fn fence(&mut self, kind: Fence) {
        self.fences.push(kind);
    }
    fn fp_unbox(&mut self, f: Format, v: u64) -> u64 {
        let mask = u64::MAX >> (64 - f.bits());
        if v | mask == u64::MAX {
            v & mask
        } else {
            f.canonical_nan()
        }
    }
    fn fp_box(&mut self, f: Format, v: u64) -> u64 {
        v | !(u64::MAX >> (64 - f.bits()))
    }
    fn fp_bin(&mut self, op: FpBin, f: Format, rm: Round, a: u64, b: u64) -> u64 {
        self.fp(rm, |e| match op {
            FpBin::Add => fp::add(e, f, a, b),
            FpBin::Sub => fp::sub(e, f, a, b),
            FpBin::Mul => fp::mul(e, f, a, b),
            FpBin::Div => fp::div(e, f, a, b),
        })
    }
    fn fp_sqrt(&mut self, f: Format, rm: Round, a: u64) -> u64 {
        self.fp(rm, |e| fp::sqrt(e, f, a))
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
        self.fp(rm, |e| fp::mul_add(e, f, a, b, c, neg_product, neg_addend))
    }
    fn fp_cmp(&mut self, c: FpCmp, f: Format, signaling: bool, a: u64, b: u64) -> u64 {
        let r = self.fp(Round::Fixed(Rounding::Rne), |e| {
            fp::compare(e, f, a, b, signaling)
        });
        u64::from(match c {
            FpCmp::Eq => r == Relation::Equal,
            FpCmp::Lt => r == Relation::Less,
            FpCmp::Le => matches!(r, Relation::Less | Relation::Equal),
        })
    }
    fn fp_minmax(&mut self, op: FpMinMax, f: Format, a: u64, b: u64) -> u64 {
        self.fp(Round::Fixed(Rounding::Rne), |e| match op {
            FpMinMax::MinNumber => fp::minimum_number(e, f, a, b),
            FpMinMax::MaxNumber => fp::maximum_number(e, f, a, b),
            FpMinMax::Minimum => fp::minimum(e, f, a, b),
            FpMinMax::Maximum => fp::maximum(e, f, a, b),
        })
    }
    fn fp_to_int(&mut self, f: Format, rm: Round, to: IntFormat, a: u64) -> u64 {
        self.fp(rm, |e| fp::to_int(e, f, a, to.width.bits(), to.signed))
    }
    fn fp_from_int(&mut self, f: Format, rm: Round, from: IntFormat, a: u64) -> u64 {
        self.fp(rm, |e| {
            fp::from_int(e, f, a, from.width.bits(), from.signed)
        })
    }
    fn fp_convert(&mut self, from: Format, to: Format, rm: Round, a: u64) -> u64 {
        self.fp(rm, |e| fp::convert(e, from, to, a))
    }
    fn fp_round(&mut self, f: Format, rm: Round, exact: bool, a: u64) -> u64 {
        self.fp(rm, |e| fp::round_to_integral(e, f, a, exact))
    }
    fn fp_classify(&mut self, f: Format, a: u64) -> u64 {
        fp::classify(f, a).into()
    }
    fn fp_to_int_mod(&mut self, a: u64) -> u64 {
        self.fp(Round::Fixed(Rounding::Rtz), |e| fp::fcvtmod_w_d(e, a))
    }
    fn call(&mut self, h: HelperId, args: &[u64]) -> Result<u64, Stop> {
        self.calls.push((h, args.to_vec()));
        self.reply
    }
    fn jump(&mut self, target: u64, kind: JumpKind) {
        self.end(Flow::Jump(target, kind));
    }
    fn branch(&mut self, c: Cond, w: Width, a: u64, b: u64, target: u64) {
        if c.holds(w, a, b) {
            self.end(Flow::Jump(target, JumpKind::Plain));
        }
    }
    fn jump_reg(&mut self, target: u64, kind: JumpKind) {
        self.end(Flow::Jump(target, kind));
    }
    fn resync(&mut self) {
        self.end(Flow::Resync);
    }
    fn raise(&mut self, cause: u64, value: u64) -> Result<(), Stop> {
        Err(Stop::Exception(cause, value))
    }
}
