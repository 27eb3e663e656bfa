//! VEX-encoded scalar forms (three operands, no merge dependency on the destination), FMA3, F16C.
//!
//! All need AVX; the FMA and half-precision forms need FMA and F16C besides.

use super::asm::Asm;
use super::enc::*;
use super::reg::*;

/// Implied prefix of a scalar operation.
#[inline(always)]
const fn pp(p: Fp) -> u8 {
    match p {
        Fp::S => 2,
        Fp::D => 3,
    }
}

/// Scalar three-operand operations in both precisions.
macro_rules! vscalar {
    ($($name:literal $opc:literal $xxx:ident $xxm:ident;)*) => {
        impl Asm { $(
            #[doc = concat!("`", $name, "ss/sd d, a, b`; the upper elements come from `a`.")]
            #[inline]
            pub fn $xxx(&mut self, p: Fp, d: Xmm, a: Xmm, b: Xmm) {
                self.vrr(vex(pp(p), 1, 0, $opc), d as u8, a as u8, b as u8, NO_IMM);
            }

            #[doc = concat!("`", $name, "ss/sd d, a, [m]`.")]
            #[inline]
            pub fn $xxm(&mut self, p: Fp, d: Xmm, a: Xmm, m: Mem) {
                self.vrm(vex(pp(p), 1, 0, $opc), d as u8, a as u8, m, NO_IMM);
            }
        )* }
    };
}

vscalar! {
    "vadd" 0x58 vadds_xxx vadds_xxm;
    "vmul" 0x59 vmuls_xxx vmuls_xxm;
    "vsub" 0x5C vsubs_xxx vsubs_xxm;
    "vmin" 0x5D vmins_xxx vmins_xxm;
    "vdiv" 0x5E vdivs_xxx vdivs_xxm;
    "vmax" 0x5F vmaxs_xxx vmaxs_xxm;
    "vsqrt" 0x51 vsqrts_xxx vsqrts_xxm;
}

/// Packed three-operand operations, 128 bits.
macro_rules! vpacked {
    ($($name:literal $pp:literal $opc:literal $xxx:ident $xxm:ident;)*) => {
        impl Asm { $(
            #[doc = concat!("`", $name, " d, a, b` (128 bits).")]
            #[inline]
            pub fn $xxx(&mut self, d: Xmm, a: Xmm, b: Xmm) {
                self.vrr(vex($pp, 1, 0, $opc), d as u8, a as u8, b as u8, NO_IMM);
            }

            #[doc = concat!("`", $name, " d, a, [m]` (128 bits, any alignment).")]
            #[inline]
            pub fn $xxm(&mut self, d: Xmm, a: Xmm, m: Mem) {
                self.vrm(vex($pp, 1, 0, $opc), d as u8, a as u8, m, NO_IMM);
            }
        )* }
    };
}

vpacked! {
    "vandps" 0 0x54 vandps_xxx vandps_xxm;
    "vandnps" 0 0x55 vandnps_xxx vandnps_xxm;
    "vorps" 0 0x56 vorps_xxx vorps_xxm;
    "vxorps" 0 0x57 vxorps_xxx vxorps_xxm;
}

/// Fused multiply-add; operand order in the name: 213 is `d = a*d + b`, 231 is `d = a*b + d`.
macro_rules! fma {
    ($($name:literal $calc:literal $opc:literal $xxx:ident $xxm:ident;)*) => {
        impl Asm { $(
            #[doc = concat!("`", $name, "ss/sd d, a, b`: ", $calc, ". Needs FMA.")]
            #[inline]
            pub fn $xxx(&mut self, p: Fp, d: Xmm, a: Xmm, b: Xmm) {
                self.vrr(vex(1, 2, p as u8, $opc), d as u8, a as u8, b as u8, NO_IMM);
            }

            #[doc = concat!("`", $name, "ss/sd d, a, [m]`: ", $calc, ". Needs FMA.")]
            #[inline]
            pub fn $xxm(&mut self, p: Fp, d: Xmm, a: Xmm, m: Mem) {
                self.vrm(vex(1, 2, p as u8, $opc), d as u8, a as u8, m, NO_IMM);
            }
        )* }
    };
}

fma! {
    "vfmadd132" "`d = d*b + a`" 0x99 vfmadd132s_xxx vfmadd132s_xxm;
    "vfmsub132" "`d = d*b - a`" 0x9B vfmsub132s_xxx vfmsub132s_xxm;
    "vfnmadd132" "`d = -(d*b) + a`" 0x9D vfnmadd132s_xxx vfnmadd132s_xxm;
    "vfnmsub132" "`d = -(d*b) - a`" 0x9F vfnmsub132s_xxx vfnmsub132s_xxm;
    "vfmadd213" "`d = a*d + b`" 0xA9 vfmadd213s_xxx vfmadd213s_xxm;
    "vfmsub213" "`d = a*d - b`" 0xAB vfmsub213s_xxx vfmsub213s_xxm;
    "vfnmadd213" "`d = -(a*d) + b`" 0xAD vfnmadd213s_xxx vfnmadd213s_xxm;
    "vfnmsub213" "`d = -(a*d) - b`" 0xAF vfnmsub213s_xxx vfnmsub213s_xxm;
    "vfmadd231" "`d = a*b + d`" 0xB9 vfmadd231s_xxx vfmadd231s_xxm;
    "vfmsub231" "`d = a*b - d`" 0xBB vfmsub231s_xxx vfmsub231s_xxm;
    "vfnmadd231" "`d = -(a*b) + d`" 0xBD vfnmadd231s_xxx vfnmadd231s_xxm;
    "vfnmsub231" "`d = -(a*b) - d`" 0xBF vfnmsub231s_xxx vfnmsub231s_xxm;
}

impl Asm {
    /// `vmovss/vmovsd d, a, b`: low element of `b`, the rest of `a`.
    #[inline]
    pub fn vmovs_xxx(&mut self, p: Fp, d: Xmm, a: Xmm, b: Xmm) {
        self.vrr(vex(pp(p), 1, 0, 0x10), d as u8, a as u8, b as u8, NO_IMM);
    }

    /// `vmovss/vmovsd d, [m]`; the rest of the register is cleared.
    #[inline]
    pub fn vmovs_xm(&mut self, p: Fp, d: Xmm, m: Mem) {
        self.vrm(vex(pp(p), 1, 0, 0x10), d as u8, 0, m, NO_IMM);
    }

    /// `vmovss/vmovsd [m], s`.
    #[inline]
    pub fn vmovs_mx(&mut self, p: Fp, m: Mem, s: Xmm) {
        self.vrm(vex(pp(p), 1, 0, 0x11), s as u8, 0, m, NO_IMM);
    }

    /// `vmovaps d, s` (128 bits).
    #[inline]
    pub fn vmovaps_xx(&mut self, d: Xmm, s: Xmm) {
        self.vrr(vex(0, 1, 0, 0x28), d as u8, 0, s as u8, NO_IMM);
    }

    /// `vucomiss/vucomisd a, b`.
    #[inline]
    pub fn vucomis_xx(&mut self, p: Fp, a: Xmm, b: Xmm) {
        self.vrr(vex(p as u8, 1, 0, 0x2E), a as u8, 0, b as u8, NO_IMM);
    }

    /// `vcvtsi2ss/sd d, a, r` from a signed `w` (W32, W64) integer; the upper elements come from `a`.
    #[inline]
    pub fn vcvtsi2s_xxr(&mut self, p: Fp, w: Width, d: Xmm, a: Xmm, s: Gpr) {
        debug_assert!(w >= Width::W32);
        self.vrr(
            vex(pp(p), 1, (w == Width::W64) as u8, 0x2A),
            d as u8,
            a as u8,
            s as u8,
            NO_IMM,
        );
    }

    /// `vcvtss2sd d, a, b`; the upper element comes from `a`.
    #[inline]
    pub fn vcvtss2sd_xxx(&mut self, d: Xmm, a: Xmm, b: Xmm) {
        self.vrr(vex(2, 1, 0, 0x5A), d as u8, a as u8, b as u8, NO_IMM);
    }

    /// `vcvtsd2ss d, a, b`; the upper elements come from `a`.
    #[inline]
    pub fn vcvtsd2ss_xxx(&mut self, d: Xmm, a: Xmm, b: Xmm) {
        self.vrr(vex(3, 1, 0, 0x5A), d as u8, a as u8, b as u8, NO_IMM);
    }

    /// `vroundss/vroundsd d, a, b, mode`; mode as for `rounds_xxi`.
    #[inline]
    pub fn vrounds_xxxi(&mut self, p: Fp, d: Xmm, a: Xmm, b: Xmm, mode: u8) {
        self.vrr(
            vex(1, 3, 0, 0x0A | p as u8),
            d as u8,
            a as u8,
            b as u8,
            imm8(mode),
        );
    }

    /// `vcvtph2ps d, s`: four halves (64 bits) to four singles. Needs F16C.
    #[inline]
    pub fn vcvtph2ps_xx(&mut self, d: Xmm, s: Xmm) {
        self.vrr(vex(1, 2, 0, 0x13), d as u8, 0, s as u8, NO_IMM);
    }

    /// `vcvtph2ps d, [m64]`. Needs F16C.
    #[inline]
    pub fn vcvtph2ps_xm(&mut self, d: Xmm, m: Mem) {
        self.vrm(vex(1, 2, 0, 0x13), d as u8, 0, m, NO_IMM);
    }

    /// `vcvtps2ph d, s, mode`: four singles to four halves; mode 0 to 3 as for `rounds_xxi`, 4 as MXCSR. Needs F16C.
    #[inline]
    pub fn vcvtps2ph_xxi(&mut self, d: Xmm, s: Xmm, mode: u8) {
        self.vrr(vex(1, 3, 0, 0x1D), s as u8, 0, d as u8, imm8(mode));
    }

    /// `vcvtps2ph [m64], s, mode`. Needs F16C.
    #[inline]
    pub fn vcvtps2ph_mxi(&mut self, m: Mem, s: Xmm, mode: u8) {
        self.vrm(vex(1, 3, 0, 0x1D), s as u8, 0, m, imm8(mode));
    }

    /// `vzeroupper`: clears the upper halves of all vector registers, before SSE code runs again.
    #[inline]
    pub fn vzeroupper(&mut self) {
        self.data(&[0xC5, 0xF8, 0x77]);
    }
}
