//! From bytes to a program.

use ambidex_accel_tcg::decode::riscv::{Format, Op, arbitrary, decode, length, row};
use ambidex_cpu::riscv::Fcsr;

use super::asm::*;
use super::image::{self, ALIAS, ALIAS_TABLE, CODE_END, DATA, FUNCTIONS, RAM_TABLES, Setup};
use super::machine::{DEVICE, RAM};

/// A source of choices. When the bytes are used up every choice is the first.
pub struct Src<'a> {
    data: &'a [u8],
}

impl<'a> Src<'a> {
    pub fn new(data: &'a [u8]) -> Src<'a> {
        Src { data }
    }
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }
    pub fn u8(&mut self) -> u8 {
        match self.data.split_first() {
            Some((&b, rest)) => {
                self.data = rest;
                b
            }
            None => 0,
        }
    }
    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes([self.u8(), self.u8(), self.u8(), self.u8()])
    }
    pub fn u64(&mut self) -> u64 {
        u64::from(self.u32()) | u64::from(self.u32()) << 32
    }
    pub fn bool(&mut self) -> bool {
        self.u8() & 1 != 0
    }
    /// Below `n`, which is at most 256.
    pub fn below(&mut self, n: u32) -> u32 {
        (u32::from(self.u8()) * n) >> 8
    }
    /// True once in `n` times; false when there are no more bytes.
    pub fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == n - 1
    }
    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u32) as usize]
    }
}

/// What happens between two runs.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Event {
    None,
    /// The clock moves on by so many ns.
    Time(u64),
    /// An interrupt input changes.
    Pin(u32, bool),
}

/// A program and how to run it.
pub struct Program {
    pub ram: Vec<u8>,
    pub x: [u64; 32],
    pub f: [u64; 32],
    pub fcsr: Fcsr,
    /// Pieces to run it in: instructions, and what happens before.
    pub slices: Vec<(u64, Event)>,
    /// It does not look at counters, so that it can be run without counting.
    pub countless: bool,
}

/// Registers that random instructions leave alone: return address, bases for loads and stores, loop counter, odd address.
const RESERVED: [u32; 6] = [RA, 2, 8, 9, LOOP, ODD];
const BASES: [u32; 3] = [2, 8, 9];
const RA: u32 = 1;
const LOOP: u32 = 27;
const ODD: u32 = 31;
const TMP: u32 = 30;
const TMP2: u32 = 29;

const INTERESTING: [u64; 16] = [
    0,
    1,
    u64::MAX,
    i64::MIN as u64,
    i64::MAX as u64,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0xffff_ffff_8000_0000,
    0x1_0000_0000,
    63,
    64,
    0x8000_0000_8000_0000,
    0x0123_4567_89ab_cdef,
    0xff00_ff00_ff00_ff00,
    0x7f,
];

fn integer(src: &mut Src<'_>) -> u64 {
    match src.below(4) {
        0 => src.pick(&INTERESTING),
        1 => src.u8() as i8 as u64,
        2 => 1u64
            .rotate_left(src.below(64))
            .wrapping_sub(src.u8().into()),
        _ => src.u64(),
    }
}

/// A number in a format of `e` exponent and `m` fraction bits, with a bent for the extremes.
fn float(src: &mut Src<'_>, e: u32, m: u32) -> u64 {
    let sign = u64::from(src.u8() & 1);
    let bias = (1u64 << (e - 1)) - 1;
    let exponent = match src.below(8) {
        0 => 0,
        1 => (1 << e) - 1,
        2 => bias,
        3 => bias + u64::from(m) - u64::from(src.below(4)),
        4 => 1 + u64::from(src.below(3)),
        5 => bias + 30 + u64::from(src.below(36)),
        6 => (1 << e) - 2,
        _ => u64::from(src.u32()),
    } & ((1 << e) - 1);
    let fraction = match src.below(5) {
        0 => 0,
        1 => 1 << (m - 1),
        2 => u64::MAX,
        3 => 1,
        _ => src.u64(),
    } & ((1 << m) - 1);
    sign << (e + m) | exponent << m | fraction
}

fn any_float(src: &mut Src<'_>) -> u64 {
    match src.below(8) {
        0..=2 => float(src, 11, 52),
        3..=4 => float(src, 8, 23) | 0xffff_ffff << 32,
        5 => float(src, 5, 10) | 0xffff_ffff_ffff << 16,
        // Not boxed.
        6 => float(src, 8, 23),
        _ => src.u64(),
    }
}

/// A word of a valid instruction that neither jumps nor accesses memory, privileged state or reserved registers.
fn plain_word(src: &mut Src<'_>) -> u32 {
    for _ in 0..8 {
        let w = arbitrary(src.u32(), src.u32());
        if let Some(w) = tame(src, w).filter(|&w| {
            length(w) == 4 && !accesses_memory(w) && w & 0x7f != 0x73 && w & 0x7f != 0x0f
        }) {
            return w;
        }
    }
    addi(10, 10, 1)
}

fn accesses_memory(w: u32) -> bool {
    use Format::*;
    let i = decode(w);
    i.op != Op::Jalr
        && row(w).is_some_and(|r| {
            matches!(
                r.format,
                Load | Store
                    | FLoad
                    | FStore
                    | Lr
                    | Amo
                    | Mem
                    | Clw
                    | Cld
                    | Csw
                    | Csd
                    | Clb
                    | Clh
                    | Csb
                    | Csh
                    | Cfld
                    | Cfsd
                    | Clwsp
                    | Cldsp
                    | Cfldsp
                    | Cswsp
                    | Csdsp
                    | Cfsdsp
            )
        })
}

/// Makes a random instruction harmless to the structure of the program; `None` if that cannot be.
fn tame(src: &mut Src<'_>, w: u32) -> Option<u32> {
    use Op::*;
    let i = decode(w);
    if matches!(
        i.op,
        Jal | Jalr
            | Beq
            | Bne
            | Blt
            | Bge
            | Bltu
            | Bgeu
            | Mret
            | Sret
            | Wfi
            | Csrrw
            | Csrrs
            | Csrrc
            | Csrrwi
            | Csrrsi
            | Csrrci
            | Illegal
    ) {
        return None;
    }
    let memory = accesses_memory(w);
    let format = row(w)?.format;
    let mut w = w;
    if i.len == 2 {
        use Format::*;
        // Stack-pointer forms have their base already.
        if memory && !matches!(format, Clwsp | Cldsp | Cfldsp | Cswsp | Csdsp | Cfsdsp) {
            w = w & !(7 << 7) | src.below(2) << 7;
        }
        let float = matches!(format, Cfld | Cfldsp);
        return (float || !RESERVED.contains(&i.rd.into()) || i.rd == 0).then_some(w);
    }
    if memory {
        let base = if src.one_in(24) {
            ODD
        } else {
            src.pick(&BASES)
        };
        // The odd base never holds an address of code: without a fence the effect of a store there is open.
        w = w & !(31 << 15) | base << 15;
    }
    let writes = !matches!(
        format,
        Format::Store
            | Format::FStore
            | Format::Fence
            | Format::Ss
            | Format::Mem
            | Format::Prefetch
            | Format::None
    );
    let rd = u32::from(i.rd);
    if writes && (RESERVED.contains(&rd) || i.op == AmocasQ && RESERVED.contains(&(rd | 1))) {
        w = w & !(31 << 7) | src.pick(&[10, 12, 14, 16, 20, 22]) << 7;
    }
    Some(w)
}

struct Gen<'s, 'd> {
    src: &'s mut Src<'d>,
    c: Code,
    functions: Vec<u64>,
    countless: bool,
    in_function: bool,
    looping: bool,
}

/// CSRs that may be accessed at random, with any value.
const FREE: &[u32] = &[
    1, 2, 3, 1, 2, 3, SSCRATCH, SEPC, SCAUSE, 0x143, MSCRATCH, MEPC, MCAUSE, 0x343, SIE, 0x144,
    MIE, 0x344, MIDELEG, 0x301, MENVCFG, 0x10a, 0x106, MCOUNTEREN, 0x320, 0xc01, 0x14d, 0xf11,
    0xf12, 0xf13, 0xf14, 0x5a8, 0x7a0, 0x30c, 0x10c, 0xda0, 0x3a1, 0x3b9, 0x747,
];
/// Those with counters.
const COUNTERS: &[u32] = &[0xc00, 0xc02, 0xc03, 0xb00, 0xb02, 0xb03, 0x323];

impl Gen<'_, '_> {
    fn random(&mut self) {
        for _ in 0..4 {
            let w = arbitrary(self.src.u32(), self.src.u32());
            if let Some(w) = tame(self.src, w) {
                if length(w) == 2 {
                    self.c.half(w as u16)
                } else {
                    self.c.word(w)
                }
                return;
            }
        }
        self.c.half(0x0505);
    }

    /// A base register gets an address in the data pages or their aliases.
    fn base(&mut self) {
        let rd = self.src.pick(&BASES);
        let page = 1 + u64::from(self.src.below(3));
        let inside = match self.src.below(4) {
            // Near the start or the end of a page.
            0 => 0,
            1 => 0u64.wrapping_sub(self.src.below(16).into()),
            2 => u64::from(self.src.u8()) << 4,
            _ => u64::from(self.src.u32()) & 0xfff,
        };
        // A short way from a page boundary, inside the four pages with every 12-bit offset.
        let offset = (page << 12).wrapping_add(inside).clamp(0x800, 0x37ff);
        let start = match self.src.below(5) {
            0..=2 => DATA,
            3 => ALIAS + (DATA - RAM),
            _ => ALIAS + 0x2_0000 + (u64::from(self.src.below(7)) << 12),
        };
        self.c.li(rd, start + offset);
    }

    fn odd(&mut self) {
        let weird = [
            0,
            2,
            7,
            DEVICE,
            DEVICE + 4,
            DEVICE + 0xff9,
            0x2000_0000,
            RAM + 0x10_0000,
            u64::MAX - 3,
            1 << 63,
            1 << 38,
            ALIAS + 0x2_7000,
            ALIAS + 0x2_8000,
        ];
        let value = self.src.pick(&weird);
        self.c.li(ODD, value);
        let f3 = self.src.below(4);
        match self.src.below(3) {
            0 => self.c.word(store(f3, 10, ODD, 4)),
            1 => self.c.word(i(0x03, f3, 10, ODD, 0)),
            _ => {}
        }
    }

    fn csr(&mut self) {
        let list = if !self.countless && self.src.one_in(3) {
            COUNTERS
        } else {
            FREE
        };
        let number = self.src.pick(list);
        let rd = self.src.pick(&[0, 10, 11, 5, 16, 28]);
        let kind = 1 + self.src.below(3);
        match self.src.below(4) {
            0 => self
                .c
                .word(csr(kind + 4, rd, number, self.src.u8() as u32 & 31)),
            1 => self.c.word(csrr(rd, number)),
            2 => {
                let v = integer(self.src);
                self.c.li(TMP, v);
                self.c.word(csr(kind, rd, number, TMP));
            }
            _ => {
                let rs = self.src.u8() as u32 & 31;
                self.c.word(csr(kind, rd, number, rs));
            }
        }
    }

    /// Status bits that programs may play with: not TVM, which would keep a fence from happening.
    fn status(&mut self) {
        let bits = [
            1 << 1,
            1 << 3,
            1 << 5,
            1 << 7,
            1 << 8,
            3 << 11,
            1 << 11,
            1 << 13,
            1 << 14,
            3 << 13,
            1 << 17,
            1 << 18,
            1 << 19,
            1 << 21,
            1 << 22,
        ];
        let bits = self.src.pick(&bits) | self.src.pick(&bits);
        self.c.li(TMP, bits);
        let number = self.src.pick(&[MSTATUS, SSTATUS]);
        let kind = 2 + self.src.below(2);
        self.c
            .word(csr(kind, self.src.pick(&[0, 0, 12]), number, TMP));
    }

    /// `ecall`, which goes on in the mode that a7 names.
    fn mode(&mut self) {
        let to = self.src.below(4) as i32;
        self.c.words(&[addi(17, 0, to), ECALL]);
    }

    /// A return from a trap that goes on behind itself.
    fn xret(&mut self) {
        let (epc, ret) = self.src.pick(&[(MEPC, MRET), (SEPC, SRET)]);
        self.c
            .words(&[auipc(TMP, 0), addi(TMP, TMP, 16), csrw(epc, TMP), ret]);
    }

    fn call(&mut self) {
        if self.functions.is_empty() {
            return self.random();
        }
        let to = self.src.below(self.functions.len() as u32) as usize;
        let off = (self.functions[to] as i64 - self.c.pc() as i64) as i32;
        if self.src.bool() {
            self.c.word(jal(RA, off));
        } else {
            let high = (off as u32).wrapping_add(0x800) >> 12;
            let low = off - (high << 12) as i32;
            self.c
                .words(&[auipc(TMP, high & 0xfffff), jalr(RA, TMP, low)]);
        }
    }

    /// An indirect jump to one of two places.
    fn select(&mut self) {
        let by = self.src.pick(&[5, 10, 11, 12, 16, 20]);
        let link = self.src.pick(&[0, 0, 5]);
        self.c.words(&[
            auipc(TMP, 0),
            andi(TMP2, by, 4),
            add(TMP, TMP, TMP2),
            jalr(link, TMP, 16),
            jal(0, 8),
            NOP,
        ]);
    }

    fn wild_jump(&mut self) {
        self.odd();
        let low = self.src.u8() as i8 as i32;
        // The handler goes on at ra.
        self.c.word(jalr(RA, ODD, low));
    }

    fn skip_ahead(&mut self, depth: u32) {
        let (a, b) = (self.src.u8() as u32 & 31, self.src.u8() as u32 & 31);
        let f3 = self.src.pick(&[0, 1, 4, 5, 6, 7]);
        let form = self.src.below(4);
        let from = self.c.here();
        self.c.half(0x0001);
        if form != 3 {
            self.c.half(0x0001);
        }
        let n = 1 + self.src.below(4);
        self.ops(n, depth + 1);
        let off = self.c.here() - from;
        match form {
            3 if off < 256 => self.c.halves[from as usize / 2] = c_bz(a & 1 != 0, a, off),
            3 => self.c.halves[from as usize / 2] = c_j(off.min(2046)),
            2 if f3 == 0 => self.c.set_word(from, jal([0, 5][b as usize & 1], off)),
            _ => self.c.set_word(from, branch(f3, a, b, off.min(4094))),
        }
    }

    fn repeat(&mut self, depth: u32) {
        if self.looping {
            return self.random();
        }
        self.looping = true;
        let times = 1 + self.src.below(12) as i32;
        self.c.word(addi(LOOP, 0, times));
        let top = self.c.here();
        let n = 1 + self.src.below(6);
        self.ops(n, depth + 1);
        self.c.word(addi(LOOP, LOOP, -1));
        let off = top - self.c.here();
        if off > -4096 {
            self.c.word(branch(1, LOOP, 0, off));
        }
        self.looping = false;
    }

    /// Replaces an instruction by another, back and forth.
    fn rewrite(&mut self) {
        let (one, other) = (plain_word(self.src), plain_word(self.src));
        let at = self.c.here();
        self.c.word(auipc(TMP, 0));
        if self.src.one_in(3) {
            self.c.li(TMP2, ALIAS.wrapping_sub(RAM));
            self.c.word(add(TMP, TMP, TMP2));
        }
        self.c.li(TMP2, u64::from(one ^ other));
        let load = self.c.here();
        self.c.words(&[NOP, xor(28, 28, TMP2), NOP, FENCE_I]);
        let gap = if self.src.one_in(3) {
            self.src.below(20) * 2
        } else {
            0
        };
        for _ in 0..gap / 2 {
            self.c.half(0x0001);
        }
        let d = self.c.here() - at;
        self.c.set_word(load, lw(28, TMP, d));
        self.c.set_word(load + 8, store(2, 28, TMP, d));
        self.c.word(one);
    }

    /// Gives a data page or an alias other rights.
    fn remap(&mut self) {
        let page = self.src.below(4);
        let rights = image::data_rights(self.src);
        let pfn = (DATA >> 12)
            + u64::from(if self.src.one_in(4) {
                self.src.below(4)
            } else {
                page
            });
        let n = ((DATA - RAM) >> 12) + u64::from(page);
        let (table, entry) = self.src.pick(&[
            (RAM_TABLES[0], n),
            (RAM_TABLES[1], n),
            (ALIAS_TABLE, n),
            (ALIAS_TABLE, 32 + n),
        ]);
        self.c.li(TMP, table + entry * 8);
        self.c.li(TMP2, pfn << 10 | rights);
        self.c.word(store(3, TMP2, TMP, 0));
        if self.src.bool() {
            self.c.word(0x1200_0073);
        } else {
            let va = if table == ALIAS_TABLE { ALIAS } else { RAM } + (entry << 12);
            self.c.li(TMP, va);
            self.c.word(0x1200_0073 | TMP << 15);
        }
    }

    fn ops(&mut self, n: u32, depth: u32) {
        for _ in 0..n {
            if self.src.is_empty() || !self.in_function && self.c.pc() > CODE_END - 0x400 {
                return;
            }
            match self.src.u8() {
                0..=159 => self.random(),
                160..=171 => self.base(),
                172..=174 => self.odd(),
                175..=186 => self.csr(),
                187..=191 => self.status(),
                192..=197 => {
                    // frm, often a valid one.
                    let v = self.src.u8() as u32 & 7;
                    self.c.word(csr(5, 0, 2, v));
                }
                198..=203 => {
                    let rd = self.src.pick(&[10, 11, 5, 16, 20, 13]);
                    let v = integer(self.src);
                    self.c.li(rd, v);
                }
                // Those left change the flow of control or are too long for a function.
                _ if self.in_function || depth > 2 => self.random(),
                204..=210 => self.mode(),
                211..=213 => self.xret(),
                214..=221 => self.call(),
                222..=226 => self.select(),
                227 => self.wild_jump(),
                228..=239 => self.skip_ahead(depth),
                240..=247 => self.repeat(depth),
                248..=252 => self.rewrite(),
                253..=254 => self.remap(),
                _ => self
                    .c
                    .word(self.src.pick(&[EBREAK, FENCE_I, 0, u32::MAX, ECALL])),
            }
        }
    }
}

impl Program {
    /// The program that these bytes stand for.
    pub fn new(data: &[u8]) -> Program {
        let mut src = Src::new(data);
        let src = &mut src;
        let countless = src.bool();
        let mut x = [0; 32];
        x.iter_mut()
            .skip(1)
            .for_each(|r| *r = if src.bool() { integer(src) } else { 0 });
        x[2] = DATA + 0x1800;
        x[8] = DATA + 0x2000;
        x[9] = DATA + 0xff8;
        x[LOOP as usize] = 0;
        x[ODD as usize] = 0;
        let mut f = [0; 32];
        f.iter_mut()
            .for_each(|r| *r = if src.below(4) != 0 { any_float(src) } else { 0 });
        let fcsr = Fcsr {
            fflags: src.u8() & 31,
            frm: if src.bool() { src.u8() & 7 } else { 0 },
        };
        let start = FUNCTIONS + 0x1000 + u64::from(src.u8()) * 2 - 256;
        let setup = Setup::new(src, start);
        let mut ram = image::build(src, &setup);
        let mut slices = vec![];
        if !countless {
            for _ in 0..src.below(6) {
                let n = match src.below(3) {
                    0 => u64::from(src.u8() & 15),
                    1 => u64::from(src.u8()),
                    _ => 1,
                };
                let event = match src.below(4) {
                    0 => Event::Time(u64::from(src.u32())),
                    1 => Event::Pin(src.pick(&[3, 7, 9, 11, 1, 5]), src.bool()),
                    _ => Event::None,
                };
                slices.push((if slices.is_empty() { 60 + n } else { n }, event));
            }
        }
        slices.push((6000, Event::None));

        let mut g = Gen {
            src,
            c: Code::new(FUNCTIONS),
            functions: vec![],
            countless,
            in_function: true,
            looping: false,
        };
        for _ in 0..g.src.below(4) {
            g.functions.push(g.c.pc());
            let n = g.src.below(6);
            g.ops(n, 0);
            if g.src.bool() {
                g.c.half(0x8082)
            } else {
                g.c.word(jalr(0, RA, 0))
            }
        }
        let functions = g.c.bytes();
        g.c = Code::new(start);
        g.in_function = false;
        g.ops(u32::MAX, 0);
        g.c.words(&[addi(17, 0, 3), ECALL, csrw(MIE, 0), WFI, jal(0, -4)]);
        let main = g.c.bytes();
        ram[(FUNCTIONS - RAM) as usize..][..functions.len()].copy_from_slice(&functions);
        ram[(start - RAM) as usize..][..main.len()].copy_from_slice(&main);
        Program {
            ram,
            x,
            f,
            fcsr,
            slices,
            countless,
        }
    }
}
