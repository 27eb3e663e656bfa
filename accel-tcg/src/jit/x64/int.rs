//! Integer moves, arithmetic and logic.

use super::asm::Asm;
use super::enc::*;
use super::reg::*;

/// The eight two-operand operations that share one encoding scheme. The discriminant is the ModRM `/n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Alu {
    /// Add.
    Add,
    /// Or.
    Or,
    /// Add with carry.
    Adc,
    /// Subtract with borrow.
    Sbb,
    /// And.
    And,
    /// Subtract.
    Sub,
    /// Exclusive or.
    Xor,
    /// Compare: subtract, keep only the flags.
    Cmp,
}

impl Alu {
    /// All eight, in encoding order.
    pub const ALL: [Alu; 8] = [
        Alu::Add,
        Alu::Or,
        Alu::Adc,
        Alu::Sbb,
        Alu::And,
        Alu::Sub,
        Alu::Xor,
        Alu::Cmp,
    ];
}

/// Shifts and rotates. The discriminant is the ModRM `/n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Shift {
    /// Rotate left.
    Rol = 0,
    /// Rotate right.
    Ror = 1,
    /// Rotate left through carry.
    Rcl = 2,
    /// Rotate right through carry.
    Rcr = 3,
    /// Shift left.
    Shl = 4,
    /// Shift right, zeros in.
    Shr = 5,
    /// Shift right, sign in.
    Sar = 7,
}

impl Shift {
    /// All seven.
    pub const ALL: [Shift; 7] = [
        Shift::Rol,
        Shift::Ror,
        Shift::Rcl,
        Shift::Rcr,
        Shift::Shl,
        Shift::Shr,
        Shift::Sar,
    ];
}

/// Methods named after each ALU operation, for constant operations in hand-written sequences.
macro_rules! alu_named {
    ($($name:literal $op:ident $rr:ident $ri:ident $rm:ident $mr:ident $mi:ident;)*) => {
        impl Asm { $(
            #[doc = concat!("`", $name, " r, r`.")]
            #[inline]
            pub fn $rr(&mut self, w: Width, d: Gpr, s: Gpr) {
                self.alu_rr(Alu::$op, w, d, s);
            }

            #[doc = concat!("`", $name, " r, imm`; the immediate is sign-extended, shortest form.")]
            #[inline]
            pub fn $ri(&mut self, w: Width, d: Gpr, v: i32) {
                self.alu_ri(Alu::$op, w, d, v);
            }

            #[doc = concat!("`", $name, " r, [m]`.")]
            #[inline]
            pub fn $rm(&mut self, w: Width, d: Gpr, m: Mem) {
                self.alu_rm(Alu::$op, w, d, m);
            }

            #[doc = concat!("`", $name, " [m], r`.")]
            #[inline]
            pub fn $mr(&mut self, w: Width, m: Mem, s: Gpr) {
                self.alu_mr(Alu::$op, w, m, s);
            }

            #[doc = concat!("`", $name, " [m], imm`; the immediate is sign-extended, shortest form.")]
            #[inline]
            pub fn $mi(&mut self, w: Width, m: Mem, v: i32) {
                self.alu_mi(Alu::$op, w, m, v);
            }
        )* }
    };
}

alu_named! {
    "add" Add add_rr add_ri add_rm add_mr add_mi;
    "or" Or or_rr or_ri or_rm or_mr or_mi;
    "adc" Adc adc_rr adc_ri adc_rm adc_mr adc_mi;
    "sbb" Sbb sbb_rr sbb_ri sbb_rm sbb_mr sbb_mi;
    "and" And and_rr and_ri and_rm and_mr and_mi;
    "sub" Sub sub_rr sub_ri sub_rm sub_mr sub_mi;
    "xor" Xor xor_rr xor_ri xor_rm xor_mr xor_mi;
    "cmp" Cmp cmp_rr cmp_ri cmp_rm cmp_mr cmp_mi;
}

/// Methods named after each shift.
macro_rules! shift_named {
    ($($name:literal $op:ident $ri:ident $rcl:ident;)*) => {
        impl Asm { $(
            #[doc = concat!("`", $name, " r, imm`.")]
            #[inline]
            pub fn $ri(&mut self, w: Width, r: Gpr, n: u8) {
                self.shift_ri(Shift::$op, w, r, n);
            }

            #[doc = concat!("`", $name, " r, cl`.")]
            #[inline]
            pub fn $rcl(&mut self, w: Width, r: Gpr) {
                self.shift_rcl(Shift::$op, w, r);
            }
        )* }
    };
}

shift_named! {
    "rol" Rol rol_ri rol_rcl;
    "ror" Ror ror_ri ror_rcl;
    "rcl" Rcl rcl_ri rcl_rcl;
    "rcr" Rcr rcr_ri rcr_rcl;
    "shl" Shl shl_ri shl_rcl;
    "shr" Shr shr_ri shr_rcl;
    "sar" Sar sar_ri sar_rcl;
}

/// One-operand operations: F6/F7 or FE/FF with `/n`.
macro_rules! unary {
    ($($name:literal $opc:literal $n:literal $r:ident $m:ident;)*) => {
        impl Asm { $(
            #[doc = concat!("`", $name, " r`.")]
            #[inline]
            pub fn $r(&mut self, w: Width, r: Gpr) {
                self.rr(op($opc).sized(w), sz_r(w, r), $n, r as u8, NO_IMM);
            }

            #[doc = concat!("`", $name, " [m]`.")]
            #[inline]
            pub fn $m(&mut self, w: Width, m: Mem) {
                self.rm(op($opc).sized(w), sz(w), $n, m, NO_IMM);
            }
        )* }
    };
}

unary! {
    "not" 0xF6 2 not_r not_m;
    "neg" 0xF6 3 neg_r neg_m;
    "mul" 0xF6 4 mul_r mul_m;
    "imul" 0xF6 5 imul_r imul_m;
    "div" 0xF6 6 div_r div_m;
    "idiv" 0xF6 7 idiv_r idiv_m;
    "inc" 0xFE 0 inc_r inc_m;
    "dec" 0xFE 1 dec_r dec_m;
}

impl Asm {
    /// Any [`Alu`] operation, `r, r`.
    #[inline]
    pub fn alu_rr(&mut self, o: Alu, w: Width, d: Gpr, s: Gpr) {
        self.rr(
            op((o as u8) << 3).sized(w),
            sz_rr(w, d, s),
            s as u8,
            d as u8,
            NO_IMM,
        );
    }

    /// Any [`Alu`] operation, `r, imm`; the immediate is sign-extended from the width (at most 32 bits), shortest form.
    #[inline]
    pub fn alu_ri(&mut self, o: Alu, w: Width, d: Gpr, v: i32) {
        let short = v == i32::from(v as i8);
        if d == Gpr::Rax && (w == Width::W8 || !short) {
            self.bare(op((o as u8) << 3 | 4).sized(w), sz(w), 0, imm_for(w, v));
        } else if w == Width::W8 {
            self.rr(op(0x80), sz_r(w, d), o as u8, d as u8, imm8(v as u8));
        } else if short {
            self.rr(op(0x83), sz(w), o as u8, d as u8, imm8(v as u8));
        } else {
            self.rr(op(0x81), sz(w), o as u8, d as u8, imm_for(w, v));
        }
    }

    /// Any [`Alu`] operation, `r, [m]`.
    #[inline]
    pub fn alu_rm(&mut self, o: Alu, w: Width, d: Gpr, m: Mem) {
        self.rm(
            op((o as u8) << 3 | 2).sized(w),
            sz_r(w, d),
            d as u8,
            m,
            NO_IMM,
        );
    }

    /// Any [`Alu`] operation, `[m], r`.
    #[inline]
    pub fn alu_mr(&mut self, o: Alu, w: Width, m: Mem, s: Gpr) {
        self.rm(op((o as u8) << 3).sized(w), sz_r(w, s), s as u8, m, NO_IMM);
    }

    /// Any [`Alu`] operation, `[m], imm`; the immediate is sign-extended, shortest form.
    #[inline]
    pub fn alu_mi(&mut self, o: Alu, w: Width, m: Mem, v: i32) {
        self.alu_mi_with(op(0x80), o, w, m, v);
    }

    /// The immediate group with its first opcode given, so that LOCK can be added.
    #[inline]
    pub(super) fn alu_mi_with(&mut self, first: Opc, o: Alu, w: Width, m: Mem, v: i32) {
        if w == Width::W8 {
            self.rm(first, sz(w), o as u8, m, imm8(v as u8));
        } else if v == i32::from(v as i8) {
            self.rm(first.plus(3), sz(w), o as u8, m, imm8(v as u8));
        } else {
            self.rm(first.plus(1), sz(w), o as u8, m, imm_for(w, v));
        }
    }

    /// `mov r, r`. The W32 form clears bits 63:32, also when source and destination are the same.
    #[inline]
    pub fn mov_rr(&mut self, w: Width, d: Gpr, s: Gpr) {
        self.rr(op(0x88).sized(w), sz_rr(w, d, s), s as u8, d as u8, NO_IMM);
    }

    /// `mov r, imm`, flags untouched. W64: shortest of `mov r32, imm32`, sign-extended imm32 and `movabs`.
    #[inline]
    pub fn mov_ri(&mut self, w: Width, d: Gpr, v: i64) {
        match w {
            Width::W8 => self.plus_r(0xB0, false, sz_r(w, d), d as u8, imm8(v as u8)),
            Width::W16 => self.plus_r(0xB8, false, sz(w), d as u8, Imm(v as u16 as u64, 2)),
            Width::W32 => self.plus_r(0xB8, false, SZ32, d as u8, Imm(v as u32 as u64, 4)),
            Width::W64 if v == i64::from(v as u32) => {
                self.plus_r(0xB8, false, SZ32, d as u8, Imm(v as u32 as u64, 4));
            }
            Width::W64 if v == i64::from(v as i32) => {
                self.rr(op(0xC7), SZ64, 0, d as u8, Imm(v as u32 as u64, 4));
            }
            Width::W64 => self.movabs(d, v as u64),
        }
    }

    /// `mov r64, imm64`, always ten bytes, so that the immediate (the last eight) can be patched.
    #[inline]
    pub fn movabs(&mut self, d: Gpr, v: u64) {
        self.plus_r(0xB8, false, SZ64, d as u8, Imm(v, 8));
    }

    /// `xor r32, r32`: the shortest zero. **Clobbers the flags.**
    #[inline]
    pub fn zero(&mut self, d: Gpr) {
        self.alu_rr(Alu::Xor, Width::W32, d, d);
    }

    /// `mov r, [m]`.
    #[inline]
    pub fn mov_rm(&mut self, w: Width, d: Gpr, m: Mem) {
        self.rm(op(0x8A).sized(w), sz_r(w, d), d as u8, m, NO_IMM);
    }

    /// `mov [m], r`.
    #[inline]
    pub fn mov_mr(&mut self, w: Width, m: Mem, s: Gpr) {
        self.rm(op(0x88).sized(w), sz_r(w, s), s as u8, m, NO_IMM);
    }

    /// `mov [m], imm`; for W64 the 32-bit immediate is sign-extended.
    #[inline]
    pub fn mov_mi(&mut self, w: Width, m: Mem, v: i32) {
        self.rm(op(0xC6).sized(w), sz(w), 0, m, imm_for(w, v));
    }

    /// Zero-extends the `sw` wide low part of `s` into all 64 bits of `d` (`movzx r32, r8/r16` or `mov r32, r32`; W64: `mov`).
    #[inline]
    pub fn movzx_rr(&mut self, sw: Width, d: Gpr, s: Gpr) {
        match sw {
            Width::W8 => self.rr(op0f(0xB6), sz_r(Width::W8, s), d as u8, s as u8, NO_IMM),
            Width::W16 => self.rr(op0f(0xB7), SZ32, d as u8, s as u8, NO_IMM),
            _ => self.mov_rr(sw, d, s),
        }
    }

    /// Loads `sw` wide and zero-extends into all 64 bits of `d`.
    #[inline]
    pub fn movzx_rm(&mut self, sw: Width, d: Gpr, m: Mem) {
        match sw {
            Width::W8 => self.rm(op0f(0xB6), SZ32, d as u8, m, NO_IMM),
            Width::W16 => self.rm(op0f(0xB7), SZ32, d as u8, m, NO_IMM),
            _ => self.mov_rm(sw, d, m),
        }
    }

    /// Sign-extends the `sw` wide low part of `s` to `dw` bits (`movsx`, `movsxd`). `dw` is wider than `sw`.
    #[inline]
    pub fn movsx_rr(&mut self, dw: Width, sw: Width, d: Gpr, s: Gpr) {
        debug_assert!(dw > sw);
        let o = movsx_op(sw);
        self.rr(o, sz(dw).also(sw, s), d as u8, s as u8, NO_IMM);
    }

    /// Loads `sw` wide and sign-extends to `dw` bits. `dw` is wider than `sw`.
    #[inline]
    pub fn movsx_rm(&mut self, dw: Width, sw: Width, d: Gpr, m: Mem) {
        debug_assert!(dw > sw);
        self.rm(movsx_op(sw), sz(dw), d as u8, m, NO_IMM);
    }

    /// `lea r, [m]` (not W8).
    #[inline]
    pub fn lea(&mut self, w: Width, d: Gpr, m: Mem) {
        debug_assert!(w != Width::W8);
        self.rm(op(0x8D), sz(w), d as u8, m, NO_IMM);
    }

    /// `test r, r`.
    #[inline]
    pub fn test_rr(&mut self, w: Width, a: Gpr, b: Gpr) {
        self.rr(op(0x84).sized(w), sz_rr(w, a, b), b as u8, a as u8, NO_IMM);
    }

    /// `test r, imm`; for W64 the 32-bit immediate is sign-extended. The width is kept as given.
    #[inline]
    pub fn test_ri(&mut self, w: Width, r: Gpr, v: i32) {
        if r == Gpr::Rax {
            self.bare(op(0xA8).sized(w), sz(w), 0, imm_for(w, v));
        } else {
            self.rr(op(0xF6).sized(w), sz_r(w, r), 0, r as u8, imm_for(w, v));
        }
    }

    /// `test [m], r`.
    #[inline]
    pub fn test_mr(&mut self, w: Width, m: Mem, r: Gpr) {
        self.rm(op(0x84).sized(w), sz_r(w, r), r as u8, m, NO_IMM);
    }

    /// `test [m], imm`; for W64 the 32-bit immediate is sign-extended.
    #[inline]
    pub fn test_mi(&mut self, w: Width, m: Mem, v: i32) {
        self.rm(op(0xF6).sized(w), sz(w), 0, m, imm_for(w, v));
    }

    /// Any [`Shift`] of a register by an immediate. The CPU takes the count modulo 64 (W64) or 32.
    #[inline]
    pub fn shift_ri(&mut self, o: Shift, w: Width, r: Gpr, n: u8) {
        if n == 1 {
            self.rr(op(0xD0).sized(w), sz_r(w, r), o as u8, r as u8, NO_IMM);
        } else {
            self.rr(op(0xC0).sized(w), sz_r(w, r), o as u8, r as u8, imm8(n));
        }
    }

    /// Any [`Shift`] of a register by `cl`.
    #[inline]
    pub fn shift_rcl(&mut self, o: Shift, w: Width, r: Gpr) {
        self.rr(op(0xD2).sized(w), sz_r(w, r), o as u8, r as u8, NO_IMM);
    }

    /// Any [`Shift`] of memory by an immediate.
    #[inline]
    pub fn shift_mi(&mut self, o: Shift, w: Width, m: Mem, n: u8) {
        if n == 1 {
            self.rm(op(0xD0).sized(w), sz(w), o as u8, m, NO_IMM);
        } else {
            self.rm(op(0xC0).sized(w), sz(w), o as u8, m, imm8(n));
        }
    }

    /// Any [`Shift`] of memory by `cl`.
    #[inline]
    pub fn shift_mcl(&mut self, o: Shift, w: Width, m: Mem) {
        self.rm(op(0xD2).sized(w), sz(w), o as u8, m, NO_IMM);
    }

    /// `shld d, s, imm`: shifts `d` left, filling from the top of `s` (not W8).
    #[inline]
    pub fn shld_rri(&mut self, w: Width, d: Gpr, s: Gpr, n: u8) {
        debug_assert!(w != Width::W8);
        self.rr(op0f(0xA4), sz(w), s as u8, d as u8, imm8(n));
    }

    /// `shld d, s, cl` (not W8).
    #[inline]
    pub fn shld_rrcl(&mut self, w: Width, d: Gpr, s: Gpr) {
        debug_assert!(w != Width::W8);
        self.rr(op0f(0xA5), sz(w), s as u8, d as u8, NO_IMM);
    }

    /// `shrd d, s, imm`: shifts `d` right, filling from the bottom of `s` (not W8).
    #[inline]
    pub fn shrd_rri(&mut self, w: Width, d: Gpr, s: Gpr, n: u8) {
        debug_assert!(w != Width::W8);
        self.rr(op0f(0xAC), sz(w), s as u8, d as u8, imm8(n));
    }

    /// `shrd d, s, cl` (not W8).
    #[inline]
    pub fn shrd_rrcl(&mut self, w: Width, d: Gpr, s: Gpr) {
        debug_assert!(w != Width::W8);
        self.rr(op0f(0xAD), sz(w), s as u8, d as u8, NO_IMM);
    }

    /// `imul d, s` (not W8).
    #[inline]
    pub fn imul_rr(&mut self, w: Width, d: Gpr, s: Gpr) {
        debug_assert!(w != Width::W8);
        self.rr(op0f(0xAF), sz(w), d as u8, s as u8, NO_IMM);
    }

    /// `imul d, [m]` (not W8).
    #[inline]
    pub fn imul_rm(&mut self, w: Width, d: Gpr, m: Mem) {
        debug_assert!(w != Width::W8);
        self.rm(op0f(0xAF), sz(w), d as u8, m, NO_IMM);
    }

    /// `imul d, s, imm` (not W8), shortest immediate.
    #[inline]
    pub fn imul_rri(&mut self, w: Width, d: Gpr, s: Gpr, v: i32) {
        debug_assert!(w != Width::W8);
        if v == i32::from(v as i8) {
            self.rr(op(0x6B), sz(w), d as u8, s as u8, imm8(v as u8));
        } else {
            self.rr(op(0x69), sz(w), d as u8, s as u8, imm_for(w, v));
        }
    }

    /// `imul d, [m], imm` (not W8), shortest immediate.
    #[inline]
    pub fn imul_rmi(&mut self, w: Width, d: Gpr, m: Mem, v: i32) {
        debug_assert!(w != Width::W8);
        if v == i32::from(v as i8) {
            self.rm(op(0x6B), sz(w), d as u8, m, imm8(v as u8));
        } else {
            self.rm(op(0x69), sz(w), d as u8, m, imm_for(w, v));
        }
    }

    /// `cdq`: sign of `eax` into `edx`.
    #[inline]
    pub fn cdq(&mut self) {
        self.bare(op(0x99), SZ32, 0, NO_IMM);
    }

    /// `cqo`: sign of `rax` into `rdx`.
    #[inline]
    pub fn cqo(&mut self) {
        self.bare(op(0x99), SZ64, 0, NO_IMM);
    }

    /// `xchg r, r`.
    #[inline]
    pub fn xchg_rr(&mut self, w: Width, a: Gpr, b: Gpr) {
        self.rr(op(0x86).sized(w), sz_rr(w, a, b), b as u8, a as u8, NO_IMM);
    }

    /// `xchg [m], r`, which is atomic without a prefix.
    #[inline]
    pub fn xchg_mr(&mut self, w: Width, m: Mem, r: Gpr) {
        self.rm(op(0x86).sized(w), sz_r(w, r), r as u8, m, NO_IMM);
    }
}

/// Opcode of a sign extension from `sw`.
#[inline(always)]
const fn movsx_op(sw: Width) -> Opc {
    match sw {
        Width::W8 => op0f(0xBE),
        Width::W16 => op0f(0xBF),
        _ => op(0x63),
    }
}
