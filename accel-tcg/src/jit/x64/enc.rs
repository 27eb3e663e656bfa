//! The encoding core: prefixes, REX, VEX, ModRM, SIB, displacement and immediate (Intel SDM volume 2, chapter 2).
//!
//! An instruction is composed in two 64-bit values: the *head* (prefixes up to and including SIB, at most 8 bytes for every form
//! used here) and the *tail* (displacement and immediate, at most 8 bytes). Both are stored whole and the position advances by
//! the true length, so emission has no loop and no branch on the length.

use super::asm::Asm;
use super::label::Label;
use super::reg::{Gpr, Width};

/// Index scale of a memory operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Scale {
    /// Index times 1.
    X1,
    /// Index times 2.
    X2,
    /// Index times 4.
    X4,
    /// Index times 8.
    X8,
}

const NO_INDEX: u8 = 4;
const BASE_NONE: u8 = 0x10;
const BASE_RIP: u8 = 0x20;
const BASE_LABEL: u8 = 0x30;

/// A memory operand: `[base + index*scale + disp]`, `[index*scale + disp32]`, `[rip + disp]` or `[rip + label]`.
///
/// The shortest displacement is chosen when it is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mem {
    base: u8,
    index: u8,
    scale: u8,
    disp: i32,
}

impl Mem {
    /// `[base + disp]`.
    #[inline]
    pub const fn new(base: Gpr, disp: i32) -> Mem {
        Mem {
            base: base as u8,
            index: NO_INDEX,
            scale: 0,
            disp,
        }
    }

    /// `[base + index*scale + disp]`. Panics if `index` is `rsp`, which the hardware cannot express.
    #[inline]
    pub const fn indexed(base: Gpr, index: Gpr, scale: Scale, disp: i32) -> Mem {
        assert!(
            !matches!(index, Gpr::Rsp),
            "rsp cannot be an index register"
        );
        Mem {
            base: base as u8,
            index: index as u8,
            scale: scale as u8,
            disp,
        }
    }

    /// `[index*scale + disp]` without a base. Panics if `index` is `rsp`.
    #[inline]
    pub const fn scaled(index: Gpr, scale: Scale, disp: i32) -> Mem {
        assert!(
            !matches!(index, Gpr::Rsp),
            "rsp cannot be an index register"
        );
        Mem {
            base: BASE_NONE,
            index: index as u8,
            scale: scale as u8,
            disp,
        }
    }

    /// `[disp]`, an address in the lowest or highest 2 GiB.
    #[inline]
    pub const fn abs(disp: i32) -> Mem {
        Mem {
            base: BASE_NONE,
            index: NO_INDEX,
            scale: 0,
            disp,
        }
    }

    /// `[rip + disp]`; `disp` counts from the end of the instruction.
    #[inline]
    pub const fn rip(disp: i32) -> Mem {
        Mem {
            base: BASE_RIP,
            index: NO_INDEX,
            scale: 0,
            disp,
        }
    }

    /// The bytes at `label` in the code being assembled (for constants placed behind a block).
    #[inline]
    pub const fn label(label: Label) -> Mem {
        Mem {
            base: BASE_LABEL,
            index: NO_INDEX,
            scale: 0,
            disp: label.0 as i32,
        }
    }

    /// The same operand `delta` bytes further. Wraps at 32 bits; not for label operands.
    #[inline]
    pub const fn offset(self, delta: i32) -> Mem {
        assert!(self.base != BASE_LABEL, "a label operand has no offset");
        Mem {
            disp: self.disp.wrapping_add(delta),
            ..self
        }
    }

    /// The displacement, bytes.
    #[inline]
    pub const fn disp(self) -> i32 {
        self.disp
    }
}

/// An opcode: optional legacy prefixes, escape bytes, opcode byte.
#[derive(Clone, Copy)]
pub(super) struct Opc {
    /// Escape and opcode bytes, first byte lowest.
    bytes: u32,
    /// How many bytes.
    len: u8,
    /// Mandatory prefix 66, F2, F3 or none (0).
    pfx: u8,
    /// Emit F0 first.
    lock: bool,
}

/// One-byte opcode.
#[inline(always)]
pub(super) const fn op(o: u8) -> Opc {
    Opc {
        bytes: o as u32,
        len: 1,
        pfx: 0,
        lock: false,
    }
}

/// Opcode in the 0F map.
#[inline(always)]
pub(super) const fn op0f(o: u8) -> Opc {
    Opc {
        bytes: 0x0F | (o as u32) << 8,
        len: 2,
        pfx: 0,
        lock: false,
    }
}

/// Opcode in the 0F 38 map.
#[inline(always)]
pub(super) const fn op38(o: u8) -> Opc {
    Opc {
        bytes: 0x380F | (o as u32) << 16,
        len: 3,
        pfx: 0,
        lock: false,
    }
}

/// Opcode in the 0F 3A map.
#[inline(always)]
pub(super) const fn op3a(o: u8) -> Opc {
    Opc {
        bytes: 0x3A0F | (o as u32) << 16,
        len: 3,
        pfx: 0,
        lock: false,
    }
}

impl Opc {
    /// With mandatory prefix `p` (0 for none).
    #[inline(always)]
    pub(super) const fn p(self, p: u8) -> Opc {
        Opc { pfx: p, ..self }
    }

    /// With the LOCK prefix.
    #[inline(always)]
    pub(super) const fn lock(self) -> Opc {
        Opc { lock: true, ..self }
    }

    /// The opcode `n` higher (one-byte opcodes only).
    #[inline(always)]
    pub(super) const fn plus(self, n: u32) -> Opc {
        Opc {
            bytes: self.bytes + n,
            ..self
        }
    }

    /// The opcode one higher unless the width is a byte: the usual pairing of byte and full-size forms.
    #[inline(always)]
    pub(super) const fn sized(self, w: Width) -> Opc {
        let inc = (!matches!(w, Width::W8)) as u32;
        Opc {
            bytes: self.bytes + (inc << ((self.len - 1) * 8)),
            ..self
        }
    }
}

/// An immediate: value and length in bytes.
#[derive(Clone, Copy)]
pub(super) struct Imm(pub u64, pub u8);

/// No immediate.
pub(super) const NO_IMM: Imm = Imm(0, 0);

/// One byte of immediate.
#[inline(always)]
pub(super) const fn imm8(v: u8) -> Imm {
    Imm(v as u64, 1)
}

/// Immediate of an instruction of width `w`: 1, 2 or 4 bytes (4 for W64, sign-extended by the CPU).
#[inline(always)]
pub(super) const fn imm_for(w: Width, v: i32) -> Imm {
    match w {
        Width::W8 => Imm(v as u8 as u64, 1),
        Width::W16 => Imm(v as u16 as u64, 2),
        _ => Imm(v as u32 as u64, 4),
    }
}

/// Width bits of an encoding: operand-size prefix, REX.W, and REX forced so that 4 to 7 name `spl` to `dil`.
#[derive(Clone, Copy)]
pub(super) struct Size {
    osz: bool,
    w: u8,
    force: bool,
}

/// Neither prefix nor REX.W (SSE forms, 32-bit forms).
pub(super) const SZ32: Size = Size {
    osz: false,
    w: 0,
    force: false,
};
/// REX.W.
pub(super) const SZ64: Size = Size {
    osz: false,
    w: 8,
    force: false,
};

/// For operations whose registers are not byte registers (or that have none).
#[inline(always)]
pub(super) const fn sz(w: Width) -> Size {
    Size {
        osz: matches!(w, Width::W16),
        w: if matches!(w, Width::W64) { 8 } else { 0 },
        force: false,
    }
}

/// For operations that name register `r` at width `w`.
#[inline(always)]
pub(super) const fn sz_r(w: Width, r: Gpr) -> Size {
    Size {
        force: matches!(w, Width::W8) && r as u8 >= 4,
        ..sz(w)
    }
}

impl Size {
    /// Also names register `r` at width `w`.
    #[inline(always)]
    pub(super) const fn also(self, w: Width, r: Gpr) -> Size {
        Size {
            force: self.force || (matches!(w, Width::W8) && r as u8 >= 4),
            ..self
        }
    }
}

/// For operations that name registers `a` and `b` at width `w`.
#[inline(always)]
pub(super) const fn sz_rr(w: Width, a: Gpr, b: Gpr) -> Size {
    Size {
        force: matches!(w, Width::W8) && (a as u8 >= 4 || b as u8 >= 4),
        ..sz(w)
    }
}

/// The bytes of an instruction up to and including SIB.
#[derive(Clone, Copy)]
struct Head {
    v: u64,
    bits: u32,
}

impl Head {
    #[inline(always)]
    fn push(&mut self, b: u8) {
        self.v |= u64::from(b) << self.bits;
        self.bits += 8;
    }

    #[inline(always)]
    fn push_if(&mut self, yes: bool, b: u8) {
        let m = u64::from(yes);
        self.v |= (u64::from(b) * m) << self.bits;
        self.bits += (m as u32) * 8;
    }

    /// Prefixes, REX and opcode.
    #[inline(always)]
    fn legacy(o: Opc, s: Size, rex: u8) -> Head {
        let mut h = Head { v: 0, bits: 0 };
        h.push_if(o.lock, 0xF0);
        h.push_if(s.osz, 0x66);
        h.push_if(o.pfx != 0, o.pfx);
        let rex = rex | s.w;
        h.push_if(rex != 0 || s.force, 0x40 | rex);
        h.v |= u64::from(o.bytes) << h.bits;
        h.bits += u32::from(o.len) * 8;
        h
    }

    /// VEX prefix and opcode; `rxb` holds the *uninverted* R, X, B bits as REX does.
    #[inline(always)]
    fn vex(v: Vex, rxb: u8, vvvv: u8) -> Head {
        let mut h = Head { v: 0, bits: 0 };
        let r = (!rxb & 4) << 5;
        let low = (!vvvv & 15) << 3 | (v.l as u8) << 2 | v.pp;
        if v.map == 1 && v.w == 0 && rxb & 3 == 0 {
            h.push(0xC5);
            h.push(r | low);
        } else {
            h.push(0xC4);
            h.push(r | (!rxb & 2) << 5 | (!rxb & 1) << 5 | v.map);
            h.push(v.w << 7 | low);
        }
        h.push(v.op);
        h
    }
}

/// A VEX-encoded opcode.
#[derive(Clone, Copy)]
pub(super) struct Vex {
    /// Implied prefix: 0 none, 1 66, 2 F3, 3 F2.
    pub pp: u8,
    /// Opcode map: 1 0F, 2 0F38, 3 0F3A.
    pub map: u8,
    /// VEX.W.
    pub w: u8,
    /// 256-bit.
    pub l: bool,
    /// Opcode byte.
    pub op: u8,
}

/// 128-bit or scalar VEX opcode.
#[inline(always)]
pub(super) const fn vex(pp: u8, map: u8, w: u8, op: u8) -> Vex {
    Vex {
        pp,
        map,
        w,
        l: false,
        op,
    }
}

impl Asm {
    /// Stores one composed instruction.
    #[inline(always)]
    fn put(&mut self, h: Head, tail: u64, tail_len: usize) {
        let n = (h.bits / 8) as usize;
        let Some(win) = self.buf.get_mut(self.pos..self.pos + 16) else {
            self.overflow = true;
            return;
        };
        win[..8].copy_from_slice(&h.v.to_le_bytes());
        let n = n.min(8);
        win[n..n + 8].copy_from_slice(&tail.to_le_bytes());
        self.pos += n + tail_len;
    }

    /// An instruction without ModRM: opcode (whose low bits may hold a register) and immediate.
    #[inline]
    pub(super) fn bare(&mut self, o: Opc, s: Size, rex_b: u8, i: Imm) {
        self.put(Head::legacy(o, s, rex_b), i.0, i.1 as usize);
    }

    /// Opcode + register in its low three bits.
    #[inline]
    pub(super) fn plus_r(&mut self, o: u8, map0f: bool, s: Size, r: u8, i: Imm) {
        let o = if map0f {
            op0f(o | (r & 7))
        } else {
            op(o | (r & 7))
        };
        self.bare(o, s, r >> 3, i);
    }

    /// ModRM with two registers.
    #[inline]
    pub(super) fn rr(&mut self, o: Opc, s: Size, reg: u8, rm: u8, i: Imm) {
        let mut h = Head::legacy(o, s, (reg >> 3) << 2 | rm >> 3);
        h.push(0xC0 | (reg & 7) << 3 | (rm & 7));
        self.put(h, i.0, i.1 as usize);
    }

    /// ModRM with a memory operand.
    #[inline]
    pub(super) fn rm(&mut self, o: Opc, s: Size, reg: u8, m: Mem, i: Imm) {
        let h = Head::legacy(o, s, (reg >> 3) << 2 | m.xb());
        self.finish_mem(h, reg, m, i);
    }

    /// VEX with three registers.
    #[inline]
    pub(super) fn vrr(&mut self, v: Vex, reg: u8, vvvv: u8, rm: u8, i: Imm) {
        let mut h = Head::vex(v, (reg >> 3) << 2 | rm >> 3, vvvv);
        h.push(0xC0 | (reg & 7) << 3 | (rm & 7));
        self.put(h, i.0, i.1 as usize);
    }

    /// VEX with two registers and a memory operand.
    #[inline]
    pub(super) fn vrm(&mut self, v: Vex, reg: u8, vvvv: u8, m: Mem, i: Imm) {
        let h = Head::vex(v, (reg >> 3) << 2 | m.xb(), vvvv);
        self.finish_mem(h, reg, m, i);
    }

    /// ModRM, SIB, displacement and immediate of a memory form.
    #[inline]
    fn finish_mem(&mut self, mut h: Head, reg: u8, m: Mem, i: Imm) {
        let r = (reg & 7) << 3;
        let sib = m.scale << 6 | (m.index & 7) << 3;
        let disp_len: usize;
        let mut disp = m.disp;
        if m.base < BASE_NONE {
            let b = m.base & 7;
            // mod 00 with base 5 (rbp, r13) means "no base", so those take a zero disp8.
            // Computed without branches: displacements are as good as random to the branch predictor.
            let some = u8::from(disp != 0) | u8::from(b == 5);
            let md = some * (2 - u8::from(disp == i32::from(disp as i8)));
            disp_len = (0x04_01_00u32 >> (md * 8) & 7) as usize;
            // rm 4 (rsp, r12) means "SIB follows".
            let need_sib = m.index != NO_INDEX || b == 4;
            h.push(md << 6 | r | if need_sib { 4 } else { b });
            h.push_if(need_sib, sib | b);
        } else {
            disp_len = 4;
            if m.base == BASE_NONE {
                h.push(r | 4);
                h.push(sib | 5);
            } else {
                h.push(r | 5);
                if m.base == BASE_LABEL {
                    let site = self.pos + (h.bits / 8) as usize;
                    self.fixup_at(site, Label(disp as u32), i.1);
                    disp = 0;
                }
            }
        }
        let mask = (1u64 << (disp_len * 8)) - 1;
        let tail = (u64::from(disp as u32) & mask) | i.0 << (disp_len * 8);
        self.put(h, tail, disp_len + i.1 as usize);
    }
}

impl Mem {
    /// The X and B bits of REX.
    #[inline(always)]
    fn xb(self) -> u8 {
        let b = if self.base < BASE_NONE {
            self.base >> 3
        } else {
            0
        };
        (self.index >> 3) << 1 | b
    }
}
