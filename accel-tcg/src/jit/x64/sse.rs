//! SSE: scalar floating point, conversions, moves, the packed forms a translator needs.
//!
//! Everything is SSE2 unless it says otherwise. Do not mix with 256-bit AVX code without `vzeroupper`.

use super::asm::Asm;
use super::enc::*;
use super::reg::*;

/// Mandatory prefix of a scalar operation.
#[inline(always)]
const fn fp(p: Fp) -> u8 {
    match p {
        Fp::S => 0xF3,
        Fp::D => 0xF2,
    }
}

/// Mandatory prefix of a packed or compare operation.
#[inline(always)]
const fn fp_packed(p: Fp) -> u8 {
    match p {
        Fp::S => 0,
        Fp::D => 0x66,
    }
}

/// Scalar operations in both precisions.
macro_rules! scalar {
    ($($name:literal $opc:literal $xx:ident $xm:ident;)*) => {
        impl Asm { $(
            #[doc = concat!("`", $name, "ss/sd d, s`.")]
            #[inline]
            pub fn $xx(&mut self, p: Fp, d: Xmm, s: Xmm) {
                self.rr(op0f($opc).p(fp(p)), SZ32, d as u8, s as u8, NO_IMM);
            }

            #[doc = concat!("`", $name, "ss/sd d, [m]`.")]
            #[inline]
            pub fn $xm(&mut self, p: Fp, d: Xmm, m: Mem) {
                self.rm(op0f($opc).p(fp(p)), SZ32, d as u8, m, NO_IMM);
            }
        )* }
    };
}

scalar! {
    "add" 0x58 adds_xx adds_xm;
    "mul" 0x59 muls_xx muls_xm;
    "sub" 0x5C subs_xx subs_xm;
    "min" 0x5D mins_xx mins_xm;
    "div" 0x5E divs_xx divs_xm;
    "max" 0x5F maxs_xx maxs_xm;
    "sqrt" 0x51 sqrts_xx sqrts_xm;
}

/// Packed operations with a fixed prefix and map.
macro_rules! packed {
    ($($name:literal $opc:expr, $xx:ident $xm:ident;)*) => {
        impl Asm { $(
            #[doc = concat!("`", $name, " d, s`.")]
            #[inline]
            pub fn $xx(&mut self, d: Xmm, s: Xmm) {
                self.rr($opc, SZ32, d as u8, s as u8, NO_IMM);
            }

            #[doc = concat!("`", $name, " d, [m]`.")]
            #[inline]
            pub fn $xm(&mut self, d: Xmm, m: Mem) {
                self.rm($opc, SZ32, d as u8, m, NO_IMM);
            }
        )* }
    };
}

packed! {
    "andps (m: 16-byte aligned)" op0f(0x54), andps_xx andps_xm;
    "andnps (m: 16-byte aligned; not d, and s)" op0f(0x55), andnps_xx andnps_xm;
    "orps (m: 16-byte aligned)" op0f(0x56), orps_xx orps_xm;
    "xorps (m: 16-byte aligned)" op0f(0x57), xorps_xx xorps_xm;
    "movaps (m: 16-byte aligned)" op0f(0x28), movaps_xx movaps_xm;
    "movups" op0f(0x10), movups_xx movups_xm;
    "movdqa (m: 16-byte aligned)" op0f(0x6F).p(0x66), movdqa_xx movdqa_xm;
    "movdqu" op0f(0x6F).p(0xF3), movdqu_xx movdqu_xm;
    "movq (64 bits, upper half cleared)" op0f(0x7E).p(0xF3), movq_xx movq_xm;
    "pcmpeqb" op0f(0x74).p(0x66), pcmpeqb_xx pcmpeqb_xm;
    "pcmpeqw" op0f(0x75).p(0x66), pcmpeqw_xx pcmpeqw_xm;
    "pcmpeqd" op0f(0x76).p(0x66), pcmpeqd_xx pcmpeqd_xm;
    "pcmpeqq (SSE4.1)" op38(0x29).p(0x66), pcmpeqq_xx pcmpeqq_xm;
    "pand" op0f(0xDB).p(0x66), pand_xx pand_xm;
    "pandn" op0f(0xDF).p(0x66), pandn_xx pandn_xm;
    "por" op0f(0xEB).p(0x66), por_xx por_xm;
    "pxor" op0f(0xEF).p(0x66), pxor_xx pxor_xm;
    "paddq" op0f(0xD4).p(0x66), paddq_xx paddq_xm;
    "punpcklqdq" op0f(0x6C).p(0x66), punpcklqdq_xx punpcklqdq_xm;
    "punpckldq" op0f(0x62).p(0x66), punpckldq_xx punpckldq_xm;
    "cvtss2sd" op0f(0x5A).p(0xF3), cvtss2sd_xx cvtss2sd_xm;
    "cvtsd2ss" op0f(0x5A).p(0xF2), cvtsd2ss_xx cvtsd2ss_xm;
}

/// Stores of a whole or partial SSE register.
macro_rules! store {
    ($($name:literal $opc:expr, $mx:ident;)*) => {
        impl Asm { $(
            #[doc = concat!("`", $name, " [m], s`.")]
            #[inline]
            pub fn $mx(&mut self, m: Mem, s: Xmm) {
                self.rm($opc, SZ32, s as u8, m, NO_IMM);
            }
        )* }
    };
}

store! {
    "movaps (16-byte aligned)" op0f(0x29), movaps_mx;
    "movups" op0f(0x11), movups_mx;
    "movdqa (16-byte aligned)" op0f(0x7F).p(0x66), movdqa_mx;
    "movdqu" op0f(0x7F).p(0xF3), movdqu_mx;
    "movq (64 bits)" op0f(0xD6).p(0x66), movq_mx;
    "movd (32 bits)" op0f(0x7E).p(0x66), movd_mx;
}

/// Immediate shifts of packed integers.
macro_rules! pshift {
    ($($name:literal $opc:literal $n:literal $xi:ident;)*) => {
        impl Asm { $(
            #[doc = concat!("`", $name, " x, imm`.")]
            #[inline]
            pub fn $xi(&mut self, x: Xmm, n: u8) {
                self.rr(op0f($opc).p(0x66), SZ32, $n, x as u8, imm8(n));
            }
        )* }
    };
}

pshift! {
    "psrld" 0x72 2 psrld_xi;
    "pslld" 0x72 6 pslld_xi;
    "psrlq" 0x73 2 psrlq_xi;
    "psllq" 0x73 6 psllq_xi;
    "psrldq (count in bytes)" 0x73 3 psrldq_xi;
    "pslldq (count in bytes)" 0x73 7 pslldq_xi;
}

impl Asm {
    /// `movd x, r32`; bits 127:32 are cleared.
    #[inline]
    pub fn movd_xr(&mut self, d: Xmm, s: Gpr) {
        self.rr(op0f(0x6E).p(0x66), SZ32, d as u8, s as u8, NO_IMM);
    }

    /// `movd r32, x`; bits 63:32 of the register are cleared.
    #[inline]
    pub fn movd_rx(&mut self, d: Gpr, s: Xmm) {
        self.rr(op0f(0x7E).p(0x66), SZ32, s as u8, d as u8, NO_IMM);
    }

    /// `movd x, [m32]`; bits 127:32 are cleared.
    #[inline]
    pub fn movd_xm(&mut self, d: Xmm, m: Mem) {
        self.rm(op0f(0x6E).p(0x66), SZ32, d as u8, m, NO_IMM);
    }

    /// `movq x, r64`; bits 127:64 are cleared.
    #[inline]
    pub fn movq_xr(&mut self, d: Xmm, s: Gpr) {
        self.rr(op0f(0x6E).p(0x66), SZ64, d as u8, s as u8, NO_IMM);
    }

    /// `movq r64, x`.
    #[inline]
    pub fn movq_rx(&mut self, d: Gpr, s: Xmm) {
        self.rr(op0f(0x7E).p(0x66), SZ64, s as u8, d as u8, NO_IMM);
    }

    /// `movss/movsd x, x`: replaces the low element only. To copy a register use `movaps_xx`.
    #[inline]
    pub fn movs_xx(&mut self, p: Fp, d: Xmm, s: Xmm) {
        self.rr(op0f(0x10).p(fp(p)), SZ32, d as u8, s as u8, NO_IMM);
    }

    /// `movss/movsd x, [m]`; the rest of the register is cleared.
    #[inline]
    pub fn movs_xm(&mut self, p: Fp, d: Xmm, m: Mem) {
        self.rm(op0f(0x10).p(fp(p)), SZ32, d as u8, m, NO_IMM);
    }

    /// `movss/movsd [m], x`.
    #[inline]
    pub fn movs_mx(&mut self, p: Fp, m: Mem, s: Xmm) {
        self.rm(op0f(0x11).p(fp(p)), SZ32, s as u8, m, NO_IMM);
    }

    /// `ucomiss/ucomisd a, b`: ZF, PF, CF; unordered sets all three; only a signalling NaN raises invalid.
    #[inline]
    pub fn ucomis_xx(&mut self, p: Fp, a: Xmm, b: Xmm) {
        self.rr(op0f(0x2E).p(fp_packed(p)), SZ32, a as u8, b as u8, NO_IMM);
    }

    /// `ucomiss/ucomisd a, [m]`.
    #[inline]
    pub fn ucomis_xm(&mut self, p: Fp, a: Xmm, m: Mem) {
        self.rm(op0f(0x2E).p(fp_packed(p)), SZ32, a as u8, m, NO_IMM);
    }

    /// `comiss/comisd a, b`: as `ucomis`, but every NaN raises invalid.
    #[inline]
    pub fn comis_xx(&mut self, p: Fp, a: Xmm, b: Xmm) {
        self.rr(op0f(0x2F).p(fp_packed(p)), SZ32, a as u8, b as u8, NO_IMM);
    }

    /// `comiss/comisd a, [m]`.
    #[inline]
    pub fn comis_xm(&mut self, p: Fp, a: Xmm, m: Mem) {
        self.rm(op0f(0x2F).p(fp_packed(p)), SZ32, a as u8, m, NO_IMM);
    }

    /// `cvtsi2ss/sd x, r` from a signed `w` (W32, W64) integer; merges into the low element, so clear `d` first to
    /// break the dependency.
    #[inline]
    pub fn cvtsi2s_xr(&mut self, p: Fp, w: Width, d: Xmm, s: Gpr) {
        debug_assert!(w >= Width::W32);
        self.rr(op0f(0x2A).p(fp(p)), sz(w), d as u8, s as u8, NO_IMM);
    }

    /// `cvtsi2ss/sd x, [m]` from a signed `w` (W32, W64) integer.
    #[inline]
    pub fn cvtsi2s_xm(&mut self, p: Fp, w: Width, d: Xmm, m: Mem) {
        debug_assert!(w >= Width::W32);
        self.rm(op0f(0x2A).p(fp(p)), sz(w), d as u8, m, NO_IMM);
    }

    /// `cvtss/sd2si r, x` to a signed `w` (W32, W64) integer, rounding as MXCSR says.
    #[inline]
    pub fn cvts2si_rx(&mut self, p: Fp, w: Width, d: Gpr, s: Xmm) {
        debug_assert!(w >= Width::W32);
        self.rr(op0f(0x2D).p(fp(p)), sz(w), d as u8, s as u8, NO_IMM);
    }

    /// `cvtss/sd2si r, [m]`, rounding as MXCSR says.
    #[inline]
    pub fn cvts2si_rm(&mut self, p: Fp, w: Width, d: Gpr, m: Mem) {
        debug_assert!(w >= Width::W32);
        self.rm(op0f(0x2D).p(fp(p)), sz(w), d as u8, m, NO_IMM);
    }

    /// `cvttss/sd2si r, x` to a signed `w` (W32, W64) integer, towards zero; out of range gives the most negative one.
    #[inline]
    pub fn cvtts2si_rx(&mut self, p: Fp, w: Width, d: Gpr, s: Xmm) {
        debug_assert!(w >= Width::W32);
        self.rr(op0f(0x2C).p(fp(p)), sz(w), d as u8, s as u8, NO_IMM);
    }

    /// `cvttss/sd2si r, [m]`, towards zero.
    #[inline]
    pub fn cvtts2si_rm(&mut self, p: Fp, w: Width, d: Gpr, m: Mem) {
        debug_assert!(w >= Width::W32);
        self.rm(op0f(0x2C).p(fp(p)), sz(w), d as u8, m, NO_IMM);
    }

    /// `roundss/roundsd d, s, mode` (SSE4.1). Mode: 0 nearest even, 1 down, 2 up, 3 to zero, 4 as MXCSR; + 8: no inexact.
    #[inline]
    pub fn rounds_xxi(&mut self, p: Fp, d: Xmm, s: Xmm, mode: u8) {
        self.rr(
            op3a(0x0A | p as u8).p(0x66),
            SZ32,
            d as u8,
            s as u8,
            imm8(mode),
        );
    }

    /// `roundss/roundsd d, [m], mode` (SSE4.1).
    #[inline]
    pub fn rounds_xmi(&mut self, p: Fp, d: Xmm, m: Mem, mode: u8) {
        self.rm(op3a(0x0A | p as u8).p(0x66), SZ32, d as u8, m, imm8(mode));
    }

    /// `pshufd d, s, order`.
    #[inline]
    pub fn pshufd_xxi(&mut self, d: Xmm, s: Xmm, order: u8) {
        self.rr(op0f(0x70).p(0x66), SZ32, d as u8, s as u8, imm8(order));
    }

    /// `pclmulqdq d, s, which` (PCLMULQDQ); bit 0 of `which` picks the half of `d`, bit 4 that of `s`.
    #[inline]
    pub fn pclmulqdq_xxi(&mut self, d: Xmm, s: Xmm, which: u8) {
        self.rr(op3a(0x44).p(0x66), SZ32, d as u8, s as u8, imm8(which));
    }

    /// `pclmulqdq d, [m], which` (PCLMULQDQ, 16-byte aligned).
    #[inline]
    pub fn pclmulqdq_xmi(&mut self, d: Xmm, m: Mem, which: u8) {
        self.rm(op3a(0x44).p(0x66), SZ32, d as u8, m, imm8(which));
    }

    /// `pinsrd/pinsrq x, r, lane` (SSE4.1; W32, W64).
    #[inline]
    pub fn pinsr_xri(&mut self, w: Width, d: Xmm, s: Gpr, lane: u8) {
        debug_assert!(w >= Width::W32);
        self.rr(op3a(0x22).p(0x66), sz(w), d as u8, s as u8, imm8(lane));
    }

    /// `pextrd/pextrq r, x, lane` (SSE4.1; W32, W64).
    #[inline]
    pub fn pextr_rxi(&mut self, w: Width, d: Gpr, s: Xmm, lane: u8) {
        debug_assert!(w >= Width::W32);
        self.rr(op3a(0x16).p(0x66), sz(w), s as u8, d as u8, imm8(lane));
    }

    /// `movmskps/movmskpd r32, x`: the sign bits.
    #[inline]
    pub fn movmskp_rx(&mut self, p: Fp, d: Gpr, s: Xmm) {
        self.rr(op0f(0x50).p(fp_packed(p)), SZ32, d as u8, s as u8, NO_IMM);
    }

    /// `pmovmskb r32, x`: the sign bit of each byte.
    #[inline]
    pub fn pmovmskb_rx(&mut self, d: Gpr, s: Xmm) {
        self.rr(op0f(0xD7).p(0x66), SZ32, d as u8, s as u8, NO_IMM);
    }
}
