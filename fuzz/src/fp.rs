//! Software floating point against the host's.

use ambidex_accel_tcg::fp::{self, Env, Flags, Format, Rounding};

/// Operation, and two or three operands of 64 bits.
pub fn fp_host(data: &[u8]) {
    let Some((&op, rest)) = data.split_first() else { return };
    let mut words = rest.chunks_exact(8).map(|w| u64::from_le_bytes([w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]]));
    let [a, b, c] = [0; 3].map(|_| words.next().unwrap_or(0x3ff0_0000_0000_0000));
    let f = if op & 1 == 0 { Format::F64 } else { Format::F32 };
    let (a, b, c) = if f == Format::F32 { (a & 0xffff_ffff, b & 0xffff_ffff, c & 0xffff_ffff) } else { (a, b, c) };
    let env = &mut Env::riscv(Rounding::Rne);
    let which = op >> 1 & 7;
    let got = match which {
        0 => fp::add(env, f, a, b),
        1 => fp::sub(env, f, a, b),
        2 => fp::mul(env, f, a, b),
        3 => fp::div(env, f, a, b),
        4 => fp::sqrt(env, f, a),
        5 => fp::mul_add(env, f, a, b, c, false, false),
        6 => fp::convert(env, f, if f == Format::F64 { Format::F32 } else { Format::F64 }, a),
        _ => fp::round_to_integral(env, f, a, true),
    };
    let (want, to) = match f {
        Format::F64 => {
            let [x, y, z] = [a, b, c].map(f64::from_bits);
            match which {
                0 => ((x + y).to_bits(), f),
                1 => ((x - y).to_bits(), f),
                2 => ((x * y).to_bits(), f),
                3 => ((x / y).to_bits(), f),
                4 => (x.sqrt().to_bits(), f),
                5 => (x.mul_add(y, z).to_bits(), f),
                6 => (u64::from((x as f32).to_bits()), Format::F32),
                _ => (x.round_ties_even().to_bits(), f),
            }
        }
        _ => {
            let [x, y, z] = [a, b, c].map(|v| f32::from_bits(v as u32));
            let w = |v: f32| (u64::from(v.to_bits()), f);
            match which {
                0 => w(x + y),
                1 => w(x - y),
                2 => w(x * y),
                3 => w(x / y),
                4 => w(x.sqrt()),
                5 => w(x.mul_add(y, z)),
                6 => (f64::from(x).to_bits(), Format::F64),
                _ => w(x.round_ties_even()),
            }
        }
    };
    let want = if fp::is_nan(to, want) { to.canonical_nan() } else { want };
    assert_eq!(got, want, "operation {which} in {f:?} of {a:#x} {b:#x} {c:#x}");
    if let Some(flags) = host::flags(which, f, a, b) {
        assert_eq!(env.flags, flags, "flags of operation {which} in {f:?} of {a:#x} {b:#x}");
    }
}

#[cfg(target_arch = "x86_64")]
mod host {
    use super::{Flags, Format};
    use std::arch::asm;

    macro_rules! measure {
        ($insn:literal, $ty:ty, $a:expr, $b:expr) => {{
            let clean: u32 = 0x1f80;
            let mut after: u32 = 0;
            let mut x: $ty = $a;
            let y: $ty = $b;
            // SAFETY: MXCSR is saved and put back; all exceptions stay masked, so nothing traps.
            unsafe {
                asm!(
                    "stmxcsr [{old}]", "ldmxcsr [{clean}]", concat!($insn, " {x}, {y}"), "stmxcsr [{after}]", "ldmxcsr [{old}]",
                    old = in(reg) &mut 0u32, clean = in(reg) &clean, after = in(reg) &mut after, x = inout(xmm_reg) x, y = in(xmm_reg) y,
                );
            }
            let _ = &mut x;
            after
        }};
    }

    /// The flags the host raises, in our order; nothing for operations it has no instruction for.
    pub fn flags(which: u8, f: Format, a: u64, b: u64) -> Option<Flags> {
        let csr = if f == Format::F64 {
            let (x, y) = (f64::from_bits(a), f64::from_bits(b));
            match which {
                0 => measure!("addsd", f64, x, y),
                1 => measure!("subsd", f64, x, y),
                2 => measure!("mulsd", f64, x, y),
                3 => measure!("divsd", f64, x, y),
                4 => measure!("sqrtsd", f64, x, x),
                6 => measure!("cvtsd2ss", f64, x, x),
                _ => return None,
            }
        } else {
            let (x, y) = (f32::from_bits(a as u32), f32::from_bits(b as u32));
            match which {
                0 => measure!("addss", f32, x, y),
                1 => measure!("subss", f32, x, y),
                2 => measure!("mulss", f32, x, y),
                3 => measure!("divss", f32, x, y),
                4 => measure!("sqrtss", f32, x, x),
                6 => measure!("cvtss2sd", f32, x, x),
                _ => return None,
            }
        };
        // Host: IE DE ZE OE UE PE from bit 0. Ours, as in RISC-V: NX UF OF DZ NV.
        let bit = |n: u32| (csr >> n & 1) as u8;
        Some(Flags(bit(5) | bit(4) << 1 | bit(3) << 2 | bit(2) << 3 | bit(0) << 4))
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod host {
    pub fn flags(_: u8, _: super::Format, _: u64, _: u64) -> Option<super::Flags> {
        None
    }
}
