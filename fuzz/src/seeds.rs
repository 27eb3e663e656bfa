//! Makes the seeds in `seeds/`: inputs that reach where blind ones hardly do. `smoke --write-seeds` calls [`all`].

use ambidex_devices::AccessSizes;
use ambidex_devices::ResetKind;
use ambidex_devices::testing::fuzz::{Encoder, pseudo_random};

use crate::riscv_diff::machine::Machine;
use crate::riscv_diff::program::{Event, Program};

/// `(target, name, bytes)` of every seed.
pub fn all() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut out = Vec::new();
    devices(&mut out);
    states(&mut out);
    for n in 0..5u8 {
        let mut data = vec![n];
        data.extend(pseudo_random(u64::from(n) + 100, 900));
        out.push(("riscv_diff", format!("random-{n}"), data));
    }
    let hello: Vec<u8> = [0x0000_0297u32, 0x0012_8293, 0x0002_b303, 0x3050_9073, 0x1050_0073].iter().flat_map(|w| w.to_le_bytes()).collect();
    out.push(("riscv_run", "five-words".into(), [vec![0; 64], hello.clone()].concat()));
    out.push(("riscv_blocks", "five-words".into(), [vec![0x0f, 0], hello].concat()));
    out.push(("ir_optimiser", "random".into(), pseudo_random(7, 400)));
    out.push(("address_space", "random".into(), pseudo_random(8, 200)));
    out.push(("memory_access", "random".into(), pseudo_random(9, 200)));
    out.push(("register_map", "random".into(), pseudo_random(10, 100)));
    out.push(("riscv_decode", "random".into(), pseudo_random(11, 16)));
    let special = [0u64, 1, 0x10_0000_0000_0000, 0x7fef_ffff_ffff_ffff, 0x7ff0_0000_0000_0001, 0x80_0000, 0x7f7f_ffff, 0x7f80_0001];
    for (n, &a) in special.iter().enumerate() {
        let b = special[(n * 3 + 1) % special.len()];
        out.push(("fp_host", format!("special-{n}"), [vec![n as u8 * 2 + (n > 4) as u8], a.to_le_bytes().to_vec(), b.to_le_bytes().to_vec(), a.to_le_bytes().to_vec()].concat()));
    }
    out
}

fn devices(out: &mut Vec<(&'static str, String, Vec<u8>)>) {
    let byte = AccessSizes { min: 1, max: 1 };
    let word = AccessSizes::WORD32;
    let uart = |shift: u32, sizes: AccessSizes| {
        let w = |e: Encoder, r: u32, v: u64| e.write(0, r << shift, sizes.min, sizes, v);
        let mut e = Encoder::new();
        // FIFO with trigger 8, all interrupts, data, a twin half-way, break and loopback.
        for (r, v) in [(3, 0x83), (0, 1), (1, 0), (3, 3), (2, 0x87), (1, 0xf), (4, 0xb), (0, 65), (0, 66)] {
            e = w(e, r, v);
        }
        e = e.type_in(0, b"hello, world").twin().deadline();
        for r in [2, 0, 0, 5, 6, 2] {
            e = e.read(0, r << shift, sizes.min, sizes);
        }
        e = w(e, 4, 0x1f);
        e = w(e, 0, 67).twin().deadline().read(0, 5 << shift, sizes.min, sizes);
        w(e, 3, 0x43).room(0, 0).reset(ResetKind::Warm).finish()
    };
    out.push(("uart16550", "session".into(), uart(0, byte)));
    out.push(("uart16550_paced", "session".into(), uart(0, byte)));
    out.push(("uart16550_word", "session".into(), uart(2, word)));
    let plic = Encoder::new()
        .write(0, 0x2000, 4, word, u64::from(u32::MAX))
        .write(0, 0x14, 4, word, 3)
        .write(0, 0x1c, 4, word, 7)
        .irq(5, true)
        .irq(7, true)
        .twin()
        .read(0, 0x20_0004, 4, word)
        .twin()
        .irq(5, false)
        .irq(5, true)
        .write(0, 0x20_0004, 4, word, 7)
        .write(0, 0x20_0000, 4, word, 3)
        .read(0, 0x20_0004, 4, word);
    out.push(("plic", "claim".into(), plic.finish()));
    let wide = AccessSizes { min: 4, max: 8 };
    let aclint = Encoder::new()
        .write(0, 0, 4, wide, 1)
        .write(0, 0x4000, 8, wide, 1000)
        .twin()
        .deadline()
        .write(0, 0x4004, 4, wide, 5)
        .write(0, 0xbff8, 8, wide, 1 << 40)
        .twin()
        .pass(500)
        .read(0, 0xbff8, 8, wide)
        .write(0, 0xc000, 4, wide, 1);
    out.push(("aclint", "timer".into(), aclint.finish()));
    let rtc = Encoder::new()
        .read(0, 0, 4, word)
        .twin()
        .read(0, 4, 4, word)
        .write(0, 0x10, 4, word, 1)
        .write(0, 0xc, 4, word, 0x1800_0000)
        .write(0, 8, 4, word, 1000)
        .twin()
        .deadline()
        .read(0, 0x18, 4, word)
        .write(0, 0x1c, 4, word, 1);
    out.push(("goldfish_rtc", "alarm".into(), rtc.finish()));
    let sizes = AccessSizes { min: 4, max: 8 };
    let htif = Encoder::new()
        .room(0, 0)
        .write(0, 0, 8, sizes, 0x0101 << 48 | 65)
        .twin()
        .room(0, 255)
        .read(0, 8, 8, sizes)
        .write(0, 0, 8, sizes, 0x0100 << 48)
        .type_in(0, b"k")
        .read(0, 8, 8, sizes)
        .memory(0x100, &[64u64, 1, 0x100, 20].map(u64::to_le_bytes).concat())
        .room(0, 3)
        .write(0, 0, 8, sizes, 0x100)
        .twin()
        .room(0, 255)
        .read(0, 0, 8, sizes);
    out.push(("htif", "requests".into(), htif.finish()));
    out.push(("syscon", "off".into(), Encoder::new().write(0, 0, 4, AccessSizes { min: 2, max: 4 }, 0x5555).write(0, 0, 4, AccessSizes { min: 2, max: 4 }, 0x7777).finish()));
}

fn states(out: &mut Vec<(&'static str, String, Vec<u8>)>) {
    for n in 0..2u64 {
        let p = Program::new(&pseudo_random(n, 700));
        let mut m = Machine::new(&crate::riscv_diff::compare::reference(), &p);
        m.run(Some(300), Event::None);
        let mut bytes = Vec::new();
        let state: ambidex_cpu::CpuState = m.state().into();
        ciborium::into_writer(&state, &mut bytes).expect("a vector takes everything");
        out.push(("cpu_state", format!("after-300-{n}"), bytes));
    }
    for which in 0..5u8 {
        let mut bytes = vec![which];
        bytes.extend(crate::state::fresh(which).save_bytes().bytes);
        out.push(("device_state", format!("fresh-{which}"), bytes));
    }
}
