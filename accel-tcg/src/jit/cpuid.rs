//! What the host CPU offers beyond the x86-64 baseline (SSE2).

/// Optional host instructions the compiler may use. A `false` makes it emit the longer baseline sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct HostFeatures {
    /// `andn`, `blsr`, `blsi`, `blsmsk`, `bextr`, `tzcnt`.
    pub bmi1: bool,
    /// `shlx`, `shrx`, `sarx`, `rorx`, `mulx`, `bzhi`, `pdep`, `pext`.
    pub bmi2: bool,
    /// `lzcnt`. Without it the same bytes run as `bsr`.
    pub lzcnt: bool,
    /// `popcnt`.
    pub popcnt: bool,
    /// VEX-encoded scalar and 128-bit forms, with the operating system's consent (XCR0).
    pub avx: bool,
    /// 256-bit integer forms.
    pub avx2: bool,
    /// Fused multiply-add.
    pub fma: bool,
    /// `vcvtph2ps`, `vcvtps2ph`.
    pub f16c: bool,
    /// `roundss`, `roundsd`, `pcmpeqq`, `pinsrq`, `pextrq`.
    pub sse41: bool,
    /// `pclmulqdq`.
    pub pclmul: bool,
    /// `movbe`.
    pub movbe: bool,
    /// `cmpxchg16b`.
    pub cmpxchg16b: bool,
}

impl HostFeatures {
    /// What this host has; [`HostFeatures::baseline`] where the host is not x86-64.
    pub fn detect() -> HostFeatures {
        #[cfg(target_arch = "x86_64")]
        {
            use std::is_x86_feature_detected as has;
            HostFeatures {
                bmi1: has!("bmi1"),
                bmi2: has!("bmi2"),
                lzcnt: has!("lzcnt"),
                popcnt: has!("popcnt"),
                avx: has!("avx"),
                avx2: has!("avx2"),
                fma: has!("fma"),
                f16c: has!("f16c"),
                sse41: has!("sse4.1"),
                pclmul: has!("pclmulqdq"),
                movbe: has!("movbe"),
                cmpxchg16b: has!("cmpxchg16b"),
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        HostFeatures::baseline()
    }

    /// Nothing optional: what every x86-64 CPU has. Tests use it to force the fallback sequences.
    pub const fn baseline() -> HostFeatures {
        HostFeatures {
            bmi1: false,
            bmi2: false,
            lzcnt: false,
            popcnt: false,
            avx: false,
            avx2: false,
            fma: false,
            f16c: false,
            sse41: false,
            pclmul: false,
            movbe: false,
            cmpxchg16b: false,
        }
    }

    /// These features, but none that `other` lacks.
    pub const fn intersect(self, other: HostFeatures) -> HostFeatures {
        HostFeatures {
            bmi1: self.bmi1 && other.bmi1,
            bmi2: self.bmi2 && other.bmi2,
            lzcnt: self.lzcnt && other.lzcnt,
            popcnt: self.popcnt && other.popcnt,
            avx: self.avx && other.avx,
            avx2: self.avx2 && other.avx2,
            fma: self.fma && other.fma,
            f16c: self.f16c && other.f16c,
            sse41: self.sse41 && other.sse41,
            pclmul: self.pclmul && other.pclmul,
            movbe: self.movbe && other.movbe,
            cmpxchg16b: self.cmpxchg16b && other.cmpxchg16b,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detection_is_stable_and_consistent() {
        let f = HostFeatures::detect();
        assert_eq!(f, HostFeatures::detect());
        // FMA, F16C and AVX2 are VEX-encoded: none can be usable where AVX is not.
        assert!(f.avx || !(f.fma || f.f16c || f.avx2));
    }

    #[test]
    fn intersection_with_baseline_is_baseline() {
        assert_eq!(
            HostFeatures::detect().intersect(HostFeatures::baseline()),
            HostFeatures::baseline()
        );
        assert_eq!(
            HostFeatures::detect().intersect(HostFeatures::detect()),
            HostFeatures::detect()
        );
    }
}
