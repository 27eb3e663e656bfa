//! Every form is emitted with every register, memory shape and immediate size that is encoded differently, decoded by an independent
//! decoder (iced-x86) and compared with what was meant.

mod bit;
mod ctl;
mod float;
mod int;

use super::*;
use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

/// Where the decoded code pretends to live.
const ORIGIN: u64 = 0x4000_0000;

/// All widths.
const ALL: &[Width] = &[Width::W8, Width::W16, Width::W32, Width::W64];
/// All but bytes.
const WIDE: &[Width] = &[Width::W16, Width::W32, Width::W64];
/// What VEX, `bswap` and conversions have.
const LONG: &[Width] = &[Width::W32, Width::W64];

type Rr = fn(&mut Asm, Width, Gpr, Gpr);
type Rm = fn(&mut Asm, Width, Gpr, Mem);
type Mr = fn(&mut Asm, Width, Mem, Gpr);
type Ri = fn(&mut Asm, Width, Gpr, i32);
type Mi = fn(&mut Asm, Width, Mem, i32);
type R = fn(&mut Asm, Width, Gpr);
type M = fn(&mut Asm, Width, Mem);

/// A memory operand as meant, independent of [`Mem`]'s own representation.
#[derive(Clone, Copy, Debug)]
struct Want {
    base: Option<Gpr>,
    index: Option<(Gpr, Scale)>,
    disp: i32,
    rip: bool,
}

impl Want {
    fn mem(self) -> Mem {
        match (self.base, self.index) {
            _ if self.rip => Mem::rip(self.disp),
            (Some(b), Some((i, s))) => Mem::indexed(b, i, s, self.disp),
            (Some(b), None) => Mem::new(b, self.disp),
            (None, Some((i, s))) => Mem::scaled(i, s, self.disp),
            (None, None) => Mem::abs(self.disp),
        }
    }
}

const SCALES: [Scale; 4] = [Scale::X1, Scale::X2, Scale::X4, Scale::X8];

/// All memory shapes: each base, each index, each scale, each displacement size at its borders.
fn shapes() -> Vec<Want> {
    let mut v = Vec::new();
    let plain = Want {
        base: None,
        index: None,
        disp: 0,
        rip: false,
    };
    for base in Gpr::ALL {
        for disp in [
            0,
            1,
            -1,
            8,
            127,
            -128,
            128,
            -129,
            0x1234_5678,
            i32::MIN,
            i32::MAX,
        ] {
            v.push(Want {
                base: Some(base),
                disp,
                ..plain
            });
        }
    }
    let mut turn = 0;
    for index in Gpr::ALL.into_iter().filter(|&r| r != Gpr::Rsp) {
        for base in Gpr::ALL {
            for disp in [0, -8, 0x1000] {
                turn += 1;
                v.push(Want {
                    base: Some(base),
                    index: Some((index, SCALES[turn % 4])),
                    disp,
                    rip: false,
                });
            }
        }
        for scale in SCALES {
            for disp in [0, 8, -0x1000] {
                v.push(Want {
                    base: None,
                    index: Some((index, scale)),
                    disp,
                    rip: false,
                });
            }
        }
    }
    for disp in [0, 8, 0x1000, -0x1000, i32::MAX] {
        v.push(Want { disp, ..plain });
        v.push(Want {
            disp,
            rip: true,
            ..plain
        });
    }
    v
}

/// An operand as meant.
#[derive(Clone, Copy, Debug)]
enum O {
    R(Register),
    /// Memory and the size of the access, bytes; 0 if the instruction makes none.
    M(Want, usize),
    /// Immediate, compared in this many bits.
    I(i64, u32),
    /// Target of a direct branch.
    T(u64),
}

/// The decoder's name of a general register.
fn g(w: Width, r: Gpr) -> Register {
    use Register::*;
    let n = r.num() as u32;
    match w {
        Width::W8 => [
            AL, CL, DL, BL, SPL, BPL, SIL, DIL, R8L, R9L, R10L, R11L, R12L, R13L, R14L, R15L,
        ][n as usize],
        Width::W16 => AX + n,
        Width::W32 => EAX + n,
        Width::W64 => RAX + n,
    }
}

fn r(w: Width, r: Gpr) -> O {
    O::R(g(w, r))
}

fn x(x: Xmm) -> O {
    O::R(Register::XMM0 + x.num() as u32)
}

/// Immediates around the borders of each size.
const IMMS: &[i32] = &[
    0,
    1,
    -1,
    127,
    -128,
    128,
    -129,
    255,
    0x7FFF,
    -0x8000,
    0x8000,
    0x1234_5678,
    i32::MAX,
    i32::MIN,
];

/// An assembler, the memory shapes and a counter that makes the register of memory forms go round.
struct Check {
    asm: Asm,
    shapes: Vec<Want>,
    turn: usize,
}

impl Check {
    fn new() -> Check {
        Check {
            asm: Asm::new(256),
            shapes: shapes(),
            turn: 0,
        }
    }

    /// Emits one instruction, decodes it, compares.
    #[track_caller]
    fn one(&mut self, what: Mnemonic, ops: &[O], emit: impl FnOnce(&mut Asm)) -> Instruction {
        self.asm.reset(ORIGIN);
        emit(&mut self.asm);
        let code = self.asm.finish().unwrap();
        let mut d = Decoder::with_ip(64, code, ORIGIN, DecoderOptions::NONE);
        let i = d.decode();
        let shown = || format!("{code:02x?} = {i}; meant {what:?} {ops:?}");
        assert!(!i.is_invalid(), "{}", shown());
        assert_eq!(i.len(), code.len(), "{}", shown());
        assert_eq!(i.mnemonic(), what, "{}", shown());
        assert_eq!(i.op_count() as usize, ops.len(), "{}", shown());
        for (n, &o) in ops.iter().enumerate() {
            let n = n as u32;
            let kind = i.op_kind(n);
            let ok = match o {
                O::R(reg) => kind == OpKind::Register && i.op_register(n) == reg,
                O::T(t) => kind == OpKind::NearBranch64 && i.near_branch64() == t,
                O::I(v, bits) => {
                    let mask = u64::MAX >> (64 - bits);
                    i.try_immediate(n)
                        .is_ok_and(|got| got & mask == v as u64 & mask)
                }
                O::M(m, size) => {
                    kind == OpKind::Memory && same_memory(&i, m) && size_fits(&i, size)
                }
            };
            assert!(ok, "operand {n}: {}", shown());
        }
        i
    }

    /// The next register, so that all occur with many shapes.
    fn next(&mut self) -> usize {
        self.turn += 1;
        // 5 and 16 have no common divisor, and the list of shapes is not a multiple of 16 long.
        self.turn * 5 % 16
    }

    fn gpr(&mut self) -> Gpr {
        Gpr::new(self.next() as u8)
    }

    fn xmm(&mut self) -> Xmm {
        Xmm::new(self.next() as u8)
    }

    /// Calls `f` with each memory shape.
    fn each_shape(&mut self, mut f: impl FnMut(&mut Check, Want)) {
        let shapes = std::mem::take(&mut self.shapes);
        for &m in &shapes {
            f(self, m);
        }
        self.shapes = shapes;
    }

    fn rr(&mut self, what: Mnemonic, ws: &[Width], f: Rr) {
        for &w in ws {
            for a in Gpr::ALL {
                for b in Gpr::ALL {
                    self.one(what, &[r(w, a), r(w, b)], |s| f(s, w, a, b));
                }
            }
        }
    }

    fn rm(&mut self, what: Mnemonic, ws: &[Width], f: Rm) {
        for &w in ws {
            self.each_shape(|c, m| {
                let a = c.gpr();
                c.one(what, &[r(w, a), O::M(m, w.bytes())], |s| {
                    f(s, w, a, m.mem())
                });
            });
        }
    }

    fn mr(&mut self, what: Mnemonic, ws: &[Width], f: Mr) {
        for &w in ws {
            self.each_shape(|c, m| {
                let a = c.gpr();
                c.one(what, &[O::M(m, w.bytes()), r(w, a)], |s| {
                    f(s, w, m.mem(), a)
                });
            });
        }
    }

    fn ri(&mut self, what: Mnemonic, ws: &[Width], f: Ri) {
        for &w in ws {
            for a in Gpr::ALL {
                for &v in IMMS {
                    self.one(what, &[r(w, a), O::I(fit(w, v), w.bits())], |s| {
                        f(s, w, a, v)
                    });
                }
            }
        }
    }

    fn mi(&mut self, what: Mnemonic, ws: &[Width], f: Mi) {
        for &w in ws {
            self.each_shape(|c, m| {
                let n = c.next();
                let v = IMMS[n % IMMS.len()];
                c.one(
                    what,
                    &[O::M(m, w.bytes()), O::I(fit(w, v), w.bits())],
                    |s| f(s, w, m.mem(), v),
                );
            });
        }
    }

    fn r(&mut self, what: Mnemonic, ws: &[Width], f: R) {
        for &w in ws {
            for a in Gpr::ALL {
                self.one(what, &[r(w, a)], |s| f(s, w, a));
            }
        }
    }

    fn m(&mut self, what: Mnemonic, ws: &[Width], f: M) {
        for &w in ws {
            self.each_shape(|c, m| {
                c.one(what, &[O::M(m, w.bytes())], |s| f(s, w, m.mem()));
            });
        }
    }

    fn plain(&mut self, what: Mnemonic, f: fn(&mut Asm)) {
        self.one(what, &[], f);
    }
}

/// The value an immediate of width `w` has after truncation, sign-extended.
fn fit(w: Width, v: i32) -> i64 {
    match w {
        Width::W8 => i64::from(v as i8),
        Width::W16 => i64::from(v as i16),
        _ => i64::from(v),
    }
}

/// Compares a decoded memory operand with what was meant, including that the displacement is as short as possible.
fn same_memory(i: &Instruction, m: Want) -> bool {
    if m.rip {
        let target = i.next_ip().wrapping_add(m.disp as i64 as u64);
        return i.is_ip_rel_memory_operand() && i.ip_rel_memory_address() == target;
    }
    let base = m.base.map_or(Register::None, |b| g(Width::W64, b));
    let index = m.index.map_or(Register::None, |(x, _)| g(Width::W64, x));
    let scale = m.index.map_or(1, |(_, s)| 1 << s as u32);
    let bytes = match m.base {
        None => 8, // the decoder's way to say "disp32, sign-extended to an address"
        Some(b) if m.disp == 0 && !matches!(b, Gpr::Rbp | Gpr::R13) => 0,
        Some(_) if i8::try_from(m.disp).is_ok() => 1,
        Some(_) => 8,
    };
    i.memory_base() == base
        && i.memory_index() == index
        && i.memory_index_scale() == scale
        && i.memory_displacement64() == m.disp as i64 as u64
        && (i.memory_displ_size() == bytes || bytes == 8 && i.memory_displ_size() >= 4)
        && i.segment_prefix() == Register::None
}

fn size_fits(i: &Instruction, size: usize) -> bool {
    size == 0 || i.memory_size().size() == size
}

/// Each method with operands in its name must occur in these tests.
#[test]
fn no_form_is_forgotten() {
    let sources = [
        include_str!("../int.rs"),
        include_str!("../bit.rs"),
        include_str!("../ctl.rs"),
        include_str!("../sys.rs"),
        include_str!("../sse.rs"),
        include_str!("../avx.rs"),
    ];
    let tests = [
        include_str!("int.rs"),
        include_str!("bit.rs"),
        include_str!("ctl.rs"),
        include_str!("float.rs"),
    ];
    let words = |s: &'static str| s.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let used: std::collections::HashSet<&str> = tests.iter().flat_map(|s| words(s)).collect();
    let mut forms = 0;
    for s in sources {
        // Public functions, and the names handed to the macros that make them (encoder internals look alike).
        let plain = s.split("pub fn ").skip(1).filter_map(|t| words(t).next());
        let made = words(s).filter(|t| {
            t.rsplit_once('_').is_some_and(|(_, k)| {
                !k.is_empty() && (k == "rcl" || k.chars().all(|c| "rxmi".contains(c)))
            })
        });
        for name in plain
            .chain(made)
            .filter(|n| !n.is_empty() && !n.starts_with("sz_") && *n != "plus_r")
        {
            forms += 1;
            assert!(used.contains(name), "{name} has no test");
        }
    }
    assert!(forms > 300, "only {forms} forms found");
}
