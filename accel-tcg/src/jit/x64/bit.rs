//! Bit manipulation: scans, counts, byte swaps, bit tests, BMI1 and BMI2.

use super::asm::Asm;
use super::enc::*;
use super::reg::*;

/// Two-operand forms of the 0F map (not W8): prefix, opcode.
macro_rules! scan {
    ($($name:literal $pfx:literal $opc:literal $rr:ident $rm:ident $note:literal;)*) => {
        impl Asm { $(
            #[doc = concat!("`", $name, " d, s` (not W8). ", $note)]
            #[inline]
            pub fn $rr(&mut self, w: Width, d: Gpr, s: Gpr) {
                debug_assert!(w != Width::W8);
                self.rr(op0f($opc).p($pfx), sz(w), d as u8, s as u8, NO_IMM);
            }

            #[doc = concat!("`", $name, " d, [m]` (not W8). ", $note)]
            #[inline]
            pub fn $rm(&mut self, w: Width, d: Gpr, m: Mem) {
                debug_assert!(w != Width::W8);
                self.rm(op0f($opc).p($pfx), sz(w), d as u8, m, NO_IMM);
            }
        )* }
    };
}

scan! {
    "bsf" 0 0xBC bsf_rr bsf_rm "A zero source sets ZF and leaves `d` as it was on all known CPUs; do not rely on it.";
    "bsr" 0 0xBD bsr_rr bsr_rm "As for `bsf`, a zero source gives no result.";
    "tzcnt" 0xF3 0xBC tzcnt_rr tzcnt_rm "Needs BMI1, runs as `bsf` without.";
    "lzcnt" 0xF3 0xBD lzcnt_rr lzcnt_rm "Needs LZCNT, runs as `bsr` without.";
    "popcnt" 0xF3 0xB8 popcnt_rr popcnt_rm "Needs POPCNT.";
}

/// Bit tests (not W8).
macro_rules! bit_test {
    ($($name:literal $opc:literal $n:literal $rr:ident $ri:ident $mi:ident;)*) => {
        impl Asm { $(
            #[doc = concat!("`", $name, " r, r` (not W8); the bit number is taken modulo the width.")]
            #[inline]
            pub fn $rr(&mut self, w: Width, r: Gpr, bit: Gpr) {
                debug_assert!(w != Width::W8);
                self.rr(op0f($opc), sz(w), bit as u8, r as u8, NO_IMM);
            }

            #[doc = concat!("`", $name, " r, imm` (not W8).")]
            #[inline]
            pub fn $ri(&mut self, w: Width, r: Gpr, bit: u8) {
                debug_assert!(w != Width::W8);
                self.rr(op0f(0xBA), sz(w), $n, r as u8, imm8(bit));
            }

            #[doc = concat!("`", $name, " [m], imm` (not W8).")]
            #[inline]
            pub fn $mi(&mut self, w: Width, m: Mem, bit: u8) {
                debug_assert!(w != Width::W8);
                self.rm(op0f(0xBA), sz(w), $n, m, imm8(bit));
            }
        )* }
    };
}

bit_test! {
    "bt" 0xA3 4 bt_rr bt_ri bt_mi;
    "bts" 0xAB 5 bts_rr bts_ri bts_mi;
    "btr" 0xB3 6 btr_rr btr_ri btr_mi;
    "btc" 0xBB 7 btc_rr btc_ri btc_mi;
}

/// VEX forms `d, s, n` with the *last* operand in vvvv (W32, W64).
macro_rules! vex_count {
    ($($name:literal $pp:literal $opc:literal $rrr:ident $rmr:ident $need:literal;)*) => {
        impl Asm { $(
            #[doc = concat!("`", $name, " d, s, n` (W32, W64), flags per SDM. Needs ", $need, ".")]
            #[inline]
            pub fn $rrr(&mut self, w: Width, d: Gpr, s: Gpr, n: Gpr) {
                self.vrr(vex($pp, 2, vw(w), $opc), d as u8, n as u8, s as u8, NO_IMM);
            }

            #[doc = concat!("`", $name, " d, [m], n` (W32, W64). Needs ", $need, ".")]
            #[inline]
            pub fn $rmr(&mut self, w: Width, d: Gpr, m: Mem, n: Gpr) {
                self.vrm(vex($pp, 2, vw(w), $opc), d as u8, n as u8, m, NO_IMM);
            }
        )* }
    };
}

vex_count! {
    "shlx" 1 0xF7 shlx_rrr shlx_rmr "BMI2";
    "sarx" 2 0xF7 sarx_rrr sarx_rmr "BMI2";
    "shrx" 3 0xF7 shrx_rrr shrx_rmr "BMI2";
    "bextr" 0 0xF7 bextr_rrr bextr_rmr "BMI1";
    "bzhi" 0 0xF5 bzhi_rrr bzhi_rmr "BMI2";
}

/// VEX forms `d, a, b` with the *middle* operand in vvvv (W32, W64).
macro_rules! vex_mid {
    ($($name:literal $pp:literal $opc:literal $rrr:ident $rrm:ident $need:literal;)*) => {
        impl Asm { $(
            #[doc = concat!("`", $name, " d, a, b` (W32, W64). Needs ", $need, ".")]
            #[inline]
            pub fn $rrr(&mut self, w: Width, d: Gpr, a: Gpr, b: Gpr) {
                self.vrr(vex($pp, 2, vw(w), $opc), d as u8, a as u8, b as u8, NO_IMM);
            }

            #[doc = concat!("`", $name, " d, a, [m]` (W32, W64). Needs ", $need, ".")]
            #[inline]
            pub fn $rrm(&mut self, w: Width, d: Gpr, a: Gpr, m: Mem) {
                self.vrm(vex($pp, 2, vw(w), $opc), d as u8, a as u8, m, NO_IMM);
            }
        )* }
    };
}

vex_mid! {
    "andn" 0 0xF2 andn_rrr andn_rrm "BMI1; computes `!a & b`";
    "mulx" 3 0xF6 mulx_rrr mulx_rrm "BMI2; `d` gets the high and `a` the low half of `rdx * b`, flags kept";
    "pdep" 3 0xF5 pdep_rrr pdep_rrm "BMI2";
    "pext" 2 0xF5 pext_rrr pext_rrm "BMI2";
}

/// VEX group 17: destination in vvvv, operation in ModRM.
macro_rules! vex_low {
    ($($name:literal $n:literal $rr:ident $rm:ident;)*) => {
        impl Asm { $(
            #[doc = concat!("`", $name, " d, s` (W32, W64). Needs BMI1.")]
            #[inline]
            pub fn $rr(&mut self, w: Width, d: Gpr, s: Gpr) {
                self.vrr(vex(0, 2, vw(w), 0xF3), $n, d as u8, s as u8, NO_IMM);
            }

            #[doc = concat!("`", $name, " d, [m]` (W32, W64). Needs BMI1.")]
            #[inline]
            pub fn $rm(&mut self, w: Width, d: Gpr, m: Mem) {
                self.vrm(vex(0, 2, vw(w), 0xF3), $n, d as u8, m, NO_IMM);
            }
        )* }
    };
}

vex_low! {
    "blsr" 1 blsr_rr blsr_rm;
    "blsmsk" 2 blsmsk_rr blsmsk_rm;
    "blsi" 3 blsi_rr blsi_rm;
}

impl Asm {
    /// `rorx d, s, imm` (W32, W64), flags kept. Needs BMI2.
    #[inline]
    pub fn rorx_rri(&mut self, w: Width, d: Gpr, s: Gpr, n: u8) {
        self.vrr(vex(3, 3, vw(w), 0xF0), d as u8, 0, s as u8, imm8(n));
    }

    /// `rorx d, [m], imm` (W32, W64), flags kept. Needs BMI2.
    #[inline]
    pub fn rorx_rmi(&mut self, w: Width, d: Gpr, m: Mem, n: u8) {
        self.vrm(vex(3, 3, vw(w), 0xF0), d as u8, 0, m, imm8(n));
    }

    /// `bswap r` (W32, W64; the 16-bit form is undefined, use a rotate by 8).
    #[inline]
    pub fn bswap(&mut self, w: Width, r: Gpr) {
        debug_assert!(w >= Width::W32);
        self.plus_r(0xC8, true, sz(w), r as u8, NO_IMM);
    }

    /// `movbe r, [m]` (not W8): byte-swapped load. Needs MOVBE.
    #[inline]
    pub fn movbe_rm(&mut self, w: Width, d: Gpr, m: Mem) {
        debug_assert!(w != Width::W8);
        self.rm(op38(0xF0), sz(w), d as u8, m, NO_IMM);
    }

    /// `movbe [m], r` (not W8): byte-swapped store. Needs MOVBE.
    #[inline]
    pub fn movbe_mr(&mut self, w: Width, m: Mem, s: Gpr) {
        debug_assert!(w != Width::W8);
        self.rm(op38(0xF1), sz(w), s as u8, m, NO_IMM);
    }
}

/// VEX.W for a 32- or 64-bit operation.
#[inline(always)]
fn vw(w: Width) -> u8 {
    debug_assert!(w >= Width::W32);
    (w == Width::W64) as u8
}
