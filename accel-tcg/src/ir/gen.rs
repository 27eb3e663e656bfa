//! Blocks made up from a string of bytes, for tests and fuzzing of what consumes IR.
//!
//! Equal bytes give equal blocks; every block is valid and obeys the rules of [`crate::sem`]: in each guest instruction at most one operation
//! that may fault, flags and register writes after it, and at most one jump at its end.

use super::Val;
use super::build::IrBuilder;
use crate::fp::{Format, Rounding};
use crate::sem::{
    Bin, Cond, Fence, FpBin, FpCmp, FpMinMax, HelperId, IntFormat, JumpKind, MemOp, Ops, Rmw,
    Round, Slot, Un, Width,
};

/// What the blocks may contain.
#[derive(Clone, Debug)]
pub struct GenConfig {
    /// Address of the block.
    pub pc: u64,
    /// Guest instructions at most.
    pub max_insns: usize,
    /// Slots to read and write; must not be empty.
    pub slots: Vec<Slot>,
    /// Start of the memory to access.
    pub mem_base: u64,
    /// Its size, a power of two. Accesses begin inside, but may reach beyond the end.
    pub mem_size: u64,
    /// Helpers are numbered below this; none if 0.
    pub helpers: u16,
    /// Include floating point.
    pub fp: bool,
    /// Include rounding by the dynamic direction.
    pub dynamic_rounding: bool,
}

/// All two-operand operations.
pub const BINS: [Bin; 25] = [
    Bin::Add,
    Bin::Sub,
    Bin::And,
    Bin::Or,
    Bin::Xor,
    Bin::AndNot,
    Bin::Shl,
    Bin::Shr,
    Bin::Sar,
    Bin::Ror,
    Bin::Rol,
    Bin::Mul,
    Bin::MulHiU,
    Bin::MulHiS,
    Bin::MulHiSU,
    Bin::DivU,
    Bin::DivS,
    Bin::RemU,
    Bin::RemS,
    Bin::MinS,
    Bin::MinU,
    Bin::MaxS,
    Bin::MaxU,
    Bin::ClMul,
    Bin::ClMulHi,
];

/// All one-operand operations.
pub const UNS: [Un; 8] = [
    Un::Not,
    Un::Neg,
    Un::Clz,
    Un::Ctz,
    Un::Popcnt,
    Un::Bswap,
    Un::RevBitsInBytes,
    Un::OrBytes,
];

/// All comparisons.
pub const CONDS: [Cond; 10] = [
    Cond::Eq,
    Cond::Ne,
    Cond::LtS,
    Cond::LeS,
    Cond::GtS,
    Cond::GeS,
    Cond::LtU,
    Cond::LeU,
    Cond::GtU,
    Cond::GeU,
];

/// All widths.
pub const WIDTHS: [Width; 4] = [Width::W8, Width::W16, Width::W32, Width::W64];

/// All read-modify-write operations.
pub const RMWS: [Rmw; 9] = [
    Rmw::Swap,
    Rmw::Add,
    Rmw::And,
    Rmw::Or,
    Rmw::Xor,
    Rmw::MinS,
    Rmw::MinU,
    Rmw::MaxS,
    Rmw::MaxU,
];

const FORMATS: [Format; 3] = [Format::F16, Format::F32, Format::F64];

/// Integers and floating-point encodings at which something changes.
pub const EDGES: [u64; 40] = [
    0,
    1,
    2,
    3,
    4,
    8,
    16,
    31,
    32,
    48,
    56,
    63,
    64,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_8000_0000,
    0xffff_ffff_7fff_ffff,
    u64::MAX,
    u64::MAX - 1,
    u64::MAX - 7,
    0xffff_ffff_3f80_0000,
    0xffff_ffff_7fc0_0000,
    0xffff_ffff_7f80_0001,
    0xffff_ffff_ffff_3c00,
    0x3ff0_0000_0000_0000,
    0x7ff0_0000_0000_0000,
    0x7ff0_0000_0000_0001,
    0x0000_0000_7f80_0000,
    0x0010_0000_0000_0000,
];

/// Writes a block into the builder, from [`IrBuilder::begin`] to [`IrBuilder::finish`].
pub fn generate(cfg: &GenConfig, bytes: &[u8], builder: &mut IrBuilder) {
    let mut g = Gen {
        cfg,
        bytes: bytes.iter(),
        o: builder,
        pool: Vec::new(),
    };
    g.o.begin(cfg.pc);
    let mut offset = 0u16;
    for _ in 0..cfg.max_insns.max(1) {
        let len = if g.byte() & 1 == 0 { 4 } else { 2 };
        g.o.start_insn(offset, len);
        let pc = cfg.pc.wrapping_add(u64::from(offset));
        offset += u16::from(len);
        g.insn(pc);
        if g.o.ended() || g.o.full() || g.bytes.len() == 0 || offset > 0xfff0 {
            break;
        }
    }
    g.o.finish(cfg.pc.wrapping_add(u64::from(offset)));
}

/// Makes a constant: mostly one of [`EDGES`], or what eight bytes say.
pub fn constant(choice: u8, word: u64) -> u64 {
    match choice {
        0..160 => EDGES[usize::from(choice) % EDGES.len()],
        160..200 => word & 0xff,
        200..230 => ((word & 0xfff) as i64 - 0x800) as u64,
        _ => word,
    }
}

struct Gen<'a, 'b> {
    cfg: &'a GenConfig,
    bytes: core::slice::Iter<'b, u8>,
    o: &'a mut IrBuilder,
    /// Values of the current instruction.
    pool: Vec<Val>,
}

impl Gen<'_, '_> {
    fn byte(&mut self) -> u8 {
        self.bytes.next().copied().unwrap_or(0)
    }
    fn word(&mut self) -> u64 {
        (0..8).fold(0, |acc, _| acc << 8 | u64::from(self.byte()))
    }
    fn flag(&mut self) -> bool {
        self.byte() & 1 != 0
    }
    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[usize::from(self.byte()) % list.len()]
    }
    fn slot(&mut self) -> Slot {
        let i = usize::from(self.byte()) % self.cfg.slots.len();
        self.cfg.slots[i]
    }
    fn imm(&mut self) -> Val {
        let choice = self.byte();
        let word = if choice >= 160 { self.word() } else { 0 };
        self.o.imm(constant(choice, word))
    }
    /// A value: mostly from the instruction so far, else a register or a constant.
    fn val(&mut self) -> Val {
        let choice = self.byte();
        match choice {
            0..150 if !self.pool.is_empty() => self.pool[usize::from(choice) % self.pool.len()],
            0..210 => {
                let slot = self.slot();
                self.o.get(slot)
            }
            _ => self.imm(),
        }
    }
    fn width(&mut self) -> Width {
        self.pick(&[
            Width::W64,
            Width::W64,
            Width::W32,
            Width::W32,
            Width::W16,
            Width::W8,
        ])
    }
    fn format(&mut self) -> Format {
        self.pick(&FORMATS)
    }
    fn round(&mut self) -> Round {
        let list = [
            Rounding::Rne,
            Rounding::Rtz,
            Rounding::Rdn,
            Rounding::Rup,
            Rounding::Rmm,
        ];
        match self.byte() {
            b if b & 1 == 0 => Round::Fixed(Rounding::Rne),
            b if b & 2 == 0 && self.cfg.dynamic_rounding => Round::Dynamic,
            b => Round::Fixed(list[usize::from(b >> 2) % 5]),
        }
    }
    fn int(&mut self) -> IntFormat {
        IntFormat {
            width: self.pick(&[Width::W32, Width::W64]),
            signed: self.flag(),
        }
    }

    fn insn(&mut self, pc: u64) {
        self.pool.clear();
        for _ in 0..self.byte() % 4 {
            let v = self.integer();
            self.pool.push(v);
        }
        if self.byte().is_multiple_of(3) {
            let v = self.may_fault();
            self.pool.extend(v);
        }
        for _ in 0..self.byte() % 4 {
            let v = if self.cfg.fp && self.flag() {
                self.float()
            } else {
                self.integer()
            };
            self.pool.push(v);
        }
        for _ in 0..self.byte() % 3 {
            let (slot, v) = (self.slot(), self.val());
            self.o.set(slot, v);
        }
        if self.byte().is_multiple_of(6) {
            self.jump(pc);
        }
    }

    fn integer(&mut self) -> Val {
        match self.byte() % 16 {
            0..8 => {
                let (op, w, a, b) = (self.pick(&BINS), self.width(), self.val(), self.val());
                let v = self.o.bin(op, w, a, b);
                // As guests with sign-extended 32-bit results do.
                if w == Width::W32 && self.flag() {
                    self.o.ext(true, w, v)
                } else {
                    v
                }
            }
            8 => {
                let (op, w, a) = (self.pick(&UNS), self.width(), self.val());
                self.o.un(op, w, a)
            }
            9 | 10 => {
                let (signed, from, a) = (self.flag(), self.pick(&WIDTHS), self.val());
                self.o.ext(signed, from, a)
            }
            11 => {
                let (c, w, a, b) = self.cond();
                self.o.cmp(c, w, a, b)
            }
            12 => {
                let ((c, w, a, b), t, f) = (self.cond(), self.val(), self.val());
                self.o.select(c, w, a, b, t, f)
            }
            13 => {
                // Shift there and back.
                let (a, k, signed) = (self.val(), self.pick(&[32, 48, 56, 7]), self.flag());
                let k = self.o.imm(k);
                let v = self.o.bin(Bin::Shl, Width::W64, a, k);
                self.o
                    .bin(if signed { Bin::Sar } else { Bin::Shr }, Width::W64, v, k)
            }
            14 => {
                let (f, a) = (self.format(), self.val());
                if self.flag() {
                    self.o.fp_box(f, a)
                } else {
                    self.o.fp_unbox(f, a)
                }
            }
            _ => self.val(),
        }
    }

    fn cond(&mut self) -> (Cond, Width, Val, Val) {
        (self.pick(&CONDS), self.width(), self.val(), self.val())
    }

    fn mem_op(&mut self) -> MemOp {
        let bits = self.byte();
        MemOp {
            size: WIDTHS[usize::from(bits & 3)],
            sign: bits & 4 != 0,
            aligned: bits & 0x18 == 0x18,
            acquire: bits & 0x60 == 0x60,
            release: bits & 0xa0 == 0xa0,
        }
    }

    /// An address in the window; a multiple of the access size more often than not.
    fn address(&mut self, size: Width) -> Val {
        let (x, how) = (self.val(), self.byte());
        let mut mask = self.cfg.mem_size - 1;
        if how & 3 != 0 {
            mask &= !u64::from(size.bytes() - 1);
        }
        let mask = self.o.imm(mask);
        let low = self.o.bin(Bin::And, Width::W64, x, mask);
        let base = self.o.imm(self.cfg.mem_base);
        let at = self.o.bin(Bin::Add, Width::W64, low, base);
        if how & 0xc == 0 {
            let disp = self.o.imm(u64::from(how >> 4));
            return self.o.bin(Bin::Add, Width::W64, at, disp);
        }
        at
    }

    fn may_fault(&mut self) -> Option<Val> {
        let mut m = self.mem_op();
        let kind = self.byte() % 12;
        if matches!(kind, 8 | 9) && m.size < Width::W32 {
            m.size = Width::W32;
        }
        if kind == 11 {
            if self.cfg.helpers == 0 {
                return None;
            }
            let h = HelperId(u16::from(self.byte()) % self.cfg.helpers);
            let args: Vec<Val> = (0..self.byte() % 5).map(|_| self.val()).collect();
            let Ok(v) = self.o.call(h, &args);
            return Some(v);
        }
        if kind == 10 {
            let kind = self.pick(&[Fence::Local, Fence::AcquireRelease, Fence::Full]);
            self.o.fence(kind);
            return None;
        }
        let at = self.address(m.size);
        let v = match kind {
            0..3 => {
                let Ok(v) = self.o.load(m, at);
                v
            }
            3..6 => {
                let value = self.val();
                let Ok(()) = self.o.store(MemOp { sign: false, ..m }, at, value);
                return None;
            }
            6 => {
                let (op, value) = (self.pick(&RMWS), self.val());
                let Ok(v) = self.o.rmw(op, m, at, value);
                v
            }
            7 => {
                let (expected, new) = (self.val(), self.val());
                let Ok(v) = self.o.cas(m, at, expected, new);
                v
            }
            8 => {
                let Ok(v) = self.o.load_reserved(m, at);
                v
            }
            _ => {
                let value = self.val();
                let Ok(v) = self.o.store_conditional(m, at, value);
                v
            }
        };
        Some(v)
    }

    fn float(&mut self) -> Val {
        let (kind, f, rm) = (self.byte() % 14, self.format(), self.round());
        let raw = self.val();
        let a = if self.flag() {
            self.o.fp_unbox(f, raw)
        } else {
            raw
        };
        let v = match kind {
            0..3 => {
                let (op, b) = (
                    self.pick(&[FpBin::Add, FpBin::Sub, FpBin::Mul, FpBin::Div]),
                    self.val(),
                );
                self.o.fp_bin(op, f, rm, a, b)
            }
            3 => self.o.fp_sqrt(f, rm, a),
            4 | 5 => {
                let (b, c, p, s) = (self.val(), self.val(), self.flag(), self.flag());
                self.o.fp_fma(f, rm, p, s, a, b, c)
            }
            6 => {
                let (c, s, b) = (
                    self.pick(&[FpCmp::Eq, FpCmp::Lt, FpCmp::Le]),
                    self.flag(),
                    self.val(),
                );
                return self.o.fp_cmp(c, f, s, a, b);
            }
            7 => {
                let list = [
                    FpMinMax::MinNumber,
                    FpMinMax::MaxNumber,
                    FpMinMax::Minimum,
                    FpMinMax::Maximum,
                ];
                let (op, b) = (self.pick(&list), self.val());
                self.o.fp_minmax(op, f, a, b)
            }
            8 => {
                let to = self.int();
                return self.o.fp_to_int(f, rm, to, a);
            }
            9 => {
                let from = self.int();
                self.o.fp_from_int(f, rm, from, a)
            }
            10 => {
                let to = self.format();
                self.o.fp_convert(f, to, rm, a)
            }
            11 => {
                let exact = self.flag();
                self.o.fp_round(f, rm, exact, a)
            }
            12 => return self.o.fp_classify(f, a),
            _ => return self.o.fp_to_int_mod(a),
        };
        if self.flag() { self.o.fp_box(f, v) } else { v }
    }

    fn jump(&mut self, pc: u64) {
        let distance = ((self.byte() as i8) as i64 as u64).wrapping_mul(2);
        let target = pc.wrapping_add(distance);
        let kind = self.pick(&[JumpKind::Plain, JumpKind::Call, JumpKind::Return]);
        match self.byte() % 12 {
            0..8 => {
                let (c, w, a, b) = self.cond();
                self.o.branch(c, w, a, b, target);
            }
            8 => self.o.jump(target, kind),
            9 => {
                let v = self.val();
                self.o.jump_reg(v, kind);
            }
            10 => self.o.resync(),
            _ => {
                let (cause, v) = (u64::from(self.byte()), self.val());
                let Ok(()) = self.o.raise(cause, v);
            }
        }
    }
}
