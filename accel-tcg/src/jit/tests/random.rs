//! Random blocks.

use super::*;
use crate::ir::build::IrBuilder;
use crate::ir::r#gen::{GenConfig, generate};

fn gen_config(rng: &mut Rng, known_rounding: bool) -> GenConfig {
    // Few slots make values meet; the mix of pinned and unpinned ones changes.
    let n = 2 + (rng.next() % 10) as usize;
    let mut slots: Vec<Slot> = (0..n)
        .map(|_| {
            if rng.next() & 1 == 0 {
                PINNED[(rng.next() % 10) as usize]
            } else {
                Slot(16 + (rng.next() % 8) as u8)
            }
        })
        .collect();
    if rng.next().is_multiple_of(4) {
        slots.push(FFLAGS);
    }
    if rng.next().is_multiple_of(4) && !known_rounding {
        slots.push(FRM);
    }
    GenConfig {
        pc: 0x1_0ff0,
        max_insns: 1 + (rng.next() % 24) as usize,
        slots,
        mem_base: BASE,
        mem_size: 4096,
        helpers: if rng.next() & 1 == 0 { 4 } else { 0 },
        fp: !rng.next().is_multiple_of(3),
        dynamic_rounding: true,
    }
}

/// Instructions are counted if bit 1 of the seed is set.
fn blocks(features: HostFeatures, seed: u64, count: usize) {
    let mut rng = Rng(seed);
    let mut m = Machine::new(features, seed & 2 != 0);
    m.ctx.fuel = i64::MAX / 2;
    for _ in 0..count {
        let mode = MODES[(rng.next() % 6) as usize];
        let cfg = gen_config(&mut rng, mode.dynamic_rounding().is_some());
        let n = 40 + (rng.next() % 900) as usize;
        let bytes = rng.bytes(n);
        let how = rng.next();
        let mut b = IrBuilder::default();
        b.folding = how & 1 != 0;
        b.optimising = how & 3 != 0;
        b.set_pure(pure);
        b.set_fp_slots(FFLAGS, FRM);
        generate(&cfg, &bytes, &mut b);
        let compiled = m.compile(b.block(), mode);
        for _ in 0..3 {
            // The last page is only partly there, so that accesses may reach beyond the end.
            let mut image = Image::new(&mut rng, 4096);
            if let Some(r) = mode.dynamic_rounding() {
                image.state.slots[usize::from(FRM.0)] = r as u64;
            }
            if rng.next() & 1 == 0 {
                image.state.reservation = Some((BASE + (rng.next() & 0xff8), rng.next()));
            }
            let mapped = [(rng.next() & 3) as u8];
            m.check_compiled(&compiled, b.block(), &image, &mapped);
        }
    }
}

#[test]
fn random_blocks_with_the_hosts_features() {
    blocks(HostFeatures::detect(), 0x1234_5678_9abc_def1, 6000);
}

#[test]
fn random_blocks_with_fewer_features_counted() {
    let features = HostFeatures {
        fma: false,
        bmi2: false,
        ..HostFeatures::detect()
    };
    blocks(features, 0x1357_9bdf_0246_8ac2, 4000);
}

#[test]
fn random_blocks_with_the_baseline() {
    blocks(HostFeatures::baseline(), 0x0fed_cba9_8765_4321, 6000);
}
