use super::fake::{Driver, Echo};
use super::mmio::reg::*;
use super::*;
use crate::testing::{contract, fuzz};
use crate::{Device, DynDevice, ResetKind, Wiring};

fn idle() -> Driver {
    Driver::idle(Echo::new(&[16, 8]))
}

#[test]
fn identity_registers() {
    let mut d = idle();
    assert_eq!(
        (d.r(MAGIC_VALUE), d.r(VERSION), d.r(DEVICE_ID)),
        (0x7472_6976, 2, 63)
    );
    assert_eq!(
        d.r(SHM_LEN_LOW) & d.r(SHM_LEN_LOW + 4) & d.r(0xb8) & d.r(SHM_BASE_HIGH),
        u32::MAX
    );
    d.w(QUEUE_SEL, 1);
    assert_eq!(d.r(QUEUE_SIZE_MAX), 8);
    d.w(QUEUE_SEL, 2);
    assert_eq!(d.r(QUEUE_SIZE_MAX), 0);
    assert_eq!(
        d.dev.read(0, 0, 1),
        0,
        "control registers take 32-bit accesses only"
    );
}

#[test]
fn features_are_negotiated() {
    let mut d = idle();
    assert_eq!(d.offered(), 1 << 3 | 1 << 28 | 1 << 29 | 1 << 32 | 1 << 40);
    d.w(DEVICE_FEATURES_SEL, 2);
    assert_eq!(d.r(DEVICE_FEATURES), 0);
    d.w(STATUS, 3);
    // Without VERSION_1, then with a bit that is not offered.
    for (word, bits) in [(0, 1 << 3), (1, 1 | 1 << 9)] {
        d.w(DRIVER_FEATURES_SEL, word);
        d.w(DRIVER_FEATURES, bits);
        d.w(STATUS, 11);
        assert_eq!(d.r(STATUS), 3);
    }
    d.w(STATUS, 15);
    assert_eq!(d.r(STATUS), 3, "neither accepted nor ready");
    d.w(DRIVER_FEATURES, 1);
    d.w(STATUS, 11);
    assert_eq!(d.r(STATUS), 11);
    d.w(DRIVER_FEATURES, 0xffff);
    d.w(STATUS, 1);
    assert_eq!(d.r(STATUS), 11, "bits stay set, features are fixed");
    d.w(STATUS, 0x4f);
    assert_eq!(d.r(STATUS), 15, "the driver cannot set DEVICE_NEEDS_RESET");
    d.w(STATUS, 0);
    assert_eq!(d.r(STATUS), 0);
}

#[test]
fn echoes_and_interrupts() {
    let mut d = Driver::ready(Echo::new(&[16]), 0);
    d.wires.memory.poke(0x8000_0000, b"hello");
    let head = d.add(
        0,
        &[
            (0x8000_0000, 5, false),
            (0x9000_0000, 3, true),
            (0x9000_1000, 9, true),
        ],
    );
    assert_eq!(d.used(0), None, "not notified yet");
    d.kick(0);
    assert_eq!(d.used(0), Some((head.into(), 5)));
    assert_eq!(d.wires.memory.peek(0x9000_0000, 3), b"hel");
    assert_eq!(d.wires.memory.peek(0x9000_1000, 3), b"lo\0");
    assert!(d.irq());
    assert_eq!(d.ack(), 1);
    assert!(!d.irq());
    // NO_INTERRUPT.
    d.wires
        .memory
        .poke(d.queues[0].areas()[1], &1u16.to_le_bytes());
    d.add(0, &[(0x8000_0000, 1, false)]);
    d.kick(0);
    assert!(d.used(0).is_some() && !d.irq());
}

#[test]
fn event_index_suppresses_interrupts() {
    let mut d = Driver::ready(Echo::new(&[16]), 1 << 29);
    let used_event = d.queues[0].areas()[1] + 4 + 2 * 16;
    d.wires.memory.poke(used_event, &2u16.to_le_bytes());
    let mut raised = Vec::new();
    for _ in 0..5 {
        d.add(0, &[(0x8000_0000, 1, false)]);
        d.kick(0);
        raised.push(d.ack());
    }
    assert_eq!(raised, [0, 0, 1, 0, 0], "only the entry with index 2");
    let avail_event = d.wires.memory.peek(d.queues[0].areas()[2] + 4 + 8 * 16, 2);
    assert_eq!(avail_event, 5u16.to_le_bytes(), "asks for the next buffer");
}

#[test]
fn many_rounds_wrap_the_indices() {
    for features in [0, 1 << 29] {
        let mut d = Driver::ready(Echo::new(&[4]), features);
        for n in 0..70_000u32 {
            let head = d.add(0, &[(0x8000_0000, 1, false)]);
            if n % 3 == 0 || d.queues[0].avail.wrapping_sub(d.queues[0].seen) == 4 {
                d.kick(0);
                let mut last = None;
                while let Some(u) = d.used(0) {
                    last = Some(u.0);
                }
                assert_eq!(last, Some(head.into()), "round {n}");
            }
        }
        assert_eq!(d.r(STATUS), 15);
    }
}

#[test]
fn broken_rings_need_a_reset() {
    type Break = fn(&mut Driver);
    let breaks: [(&str, Break); 9] = [
        ("available index", |d| {
            let at = d.queues[0].areas()[1] + 2;
            d.wires.memory.poke(at, &17u16.to_le_bytes());
        }),
        ("head", |d| {
            let q = &mut d.queues[0];
            q.make_available(&d.wires, 16);
        }),
        ("loop", |d| {
            let q = &mut d.queues[0];
            q.desc(&d.wires, 0, 0, 1, 1, 0);
            q.make_available(&d.wires, 0);
        }),
        ("next", |d| {
            let q = &mut d.queues[0];
            q.desc(&d.wires, 0, 0, 1, 1, 99);
            q.make_available(&d.wires, 0);
        }),
        ("order", |d| {
            d.add(0, &[(0, 1, true), (0, 1, false)]);
        }),
        ("indirect and next", |d| {
            let q = &mut d.queues[0];
            q.desc(&d.wires, 0, 0, 16, 5, 0);
            q.make_available(&d.wires, 0);
        }),
        ("indirect length", |d| {
            let q = &mut d.queues[0];
            q.desc(&d.wires, 0, 0, 24, 4, 0);
            q.make_available(&d.wires, 0);
        }),
        ("nested indirect", |d| {
            let q = &mut d.queues[0];
            q.desc(&d.wires, 0, q.base, 16, 4, 0);
            q.make_available(&d.wires, 0);
        }),
        ("4 GiB", |d| {
            d.add(0, &[(0, u32::MAX, false), (0, 2, false)]);
        }),
    ];
    for (name, f) in breaks {
        let mut d = Driver::ready(Echo::new(&[16]), 1 << 28);
        f(&mut d);
        d.kick(0);
        assert_eq!(d.r(STATUS), 15 | 64, "{name}");
        assert_eq!(d.r(INTERRUPT_STATUS), 2, "{name}");
        assert_eq!(d.used(0), None, "{name}");
        d.start(0);
        assert!(!d.irq());
        d.add(0, &[(0, 1, false)]);
        d.kick(0);
        assert!(d.used(0).is_some(), "works again after a reset: {name}");
    }
}

#[test]
fn indirect_tables() {
    let mut d = Driver::ready(Echo::new(&[16]), 1 << 28);
    d.wires.memory.poke(0x8000_0000, b"xyz");
    // One direct descriptor, then a table of 40, more than the ring has.
    let table: Vec<u8> = (0..40u128)
        .flat_map(|n| {
            let flags = if n == 39 { 2 } else { 3 };
            ((0x9000_0000 + n) | 1 << 64 | flags << 96 | (n + 1) << 112).to_le_bytes()
        })
        .collect();
    d.wires.memory.poke(0x7000_0000, &table);
    let q = &mut d.queues[0];
    q.desc(&d.wires, 3, 0x8000_0000, 3, 1, 9);
    q.desc(&d.wires, 9, 0x7000_0000, 640, 4, 0);
    q.make_available(&d.wires, 3);
    d.kick(0);
    assert_eq!(d.used(0), Some((3, 3)));
    assert_eq!(d.wires.memory.peek(0x9000_0000, 4), b"xyz\0");
}

#[test]
fn configuration_changes_are_announced() {
    let mut d = Driver::ready(Echo::new(&[16]), 0);
    let before = d.r(CONFIG_GENERATION);
    d.dev.event(7);
    assert_ne!(d.r(CONFIG_GENERATION), before);
    assert_eq!(d.ack(), 2);
}

#[test]
fn one_queue_is_reset() {
    let mut d = Driver::ready(Echo::new(&[16, 16]), 1 << 40);
    d.add(0, &[(0, 1, false)]);
    d.kick(0);
    d.w(QUEUE_SEL, 0);
    d.w(QUEUE_RESET, 1);
    assert_eq!((d.r(QUEUE_RESET), d.r(QUEUE_READY)), (0, 0));
    d.w(QUEUE_SEL, 1);
    assert_eq!(d.r(QUEUE_READY), 1, "the other goes on");
    let base = d.queues[0].base;
    d.wires.memory.poke(base, &[0; 0xa000]);
    let mut q = d.queues.remove(0);
    (q.avail, q.seen) = (0, 0);
    d.enable(&q);
    d.queues.insert(0, q);
    d.add(0, &[(0, 1, false)]);
    d.kick(0);
    assert!(d.used(0).is_some());
}

#[test]
fn bad_layouts_are_refused() {
    for (size, desc) in [
        (3, 0x1000),
        (32, 0x1000),
        (0, 0x1000),
        (70_000, 0x1000),
        (16, 0x1008),
    ] {
        let mut d = idle();
        d.w(STATUS, 3);
        d.w(QUEUE_SIZE, size);
        d.w(QUEUE_DESC_LOW, desc);
        d.w(QUEUE_READY, 1);
        assert_eq!(
            (d.r(QUEUE_READY), d.r(STATUS)),
            (0, 3 | 64),
            "{size} {desc:#x}"
        );
    }
}

#[test]
fn legacy_layout_works() {
    let (w, wires) = Wiring::test();
    let dev = VirtioMmio::new(w, MmioVersion::Legacy, Box::new(Echo::new(&[16])));
    let mut d = Driver {
        dev,
        wires,
        queues: Vec::new(),
    };
    assert_eq!(d.r(VERSION), 1);
    d.w(DEVICE_FEATURES_SEL, 1);
    assert_eq!(d.r(DEVICE_FEATURES), 0);
    d.w(DEVICE_FEATURES_SEL, 0);
    assert_eq!(d.r(DEVICE_FEATURES), 1 << 3 | 1 << 27 | 1 << 28 | 1 << 29);
    d.w(STATUS, 3);
    d.w(DRIVER_FEATURES, 1 << 3);
    d.w(GUEST_PAGE_SIZE, 4096);
    d.w(QUEUE_SIZE, 16);
    d.w(QUEUE_ALIGN, 4096);
    d.w(QUEUE_PFN, 0x80);
    assert_eq!(d.r(QUEUE_PFN), 0x80);
    // Descriptors at 0x80000, available ring at 0x80100, used ring at 0x81000; a buffer before DRIVER_OK.
    let desc = (0x9_0000u128 | 4 << 64).to_le_bytes();
    d.wires.memory.poke(0x8_0000, &desc);
    d.wires.memory.poke(0x8_0102, &1u16.to_le_bytes());
    d.w(QUEUE_NOTIFY, 0);
    d.w(STATUS, 7);
    assert_eq!(d.wires.memory.peek(0x8_1002, 2), 1u16.to_le_bytes());
    assert!(d.irq());
    d.w(QUEUE_PFN, 0);
    assert_eq!(d.r(QUEUE_PFN), 0);
}

#[test]
fn reset_lowers_the_line_and_forgets_queues() {
    let mut d = Driver::ready(Echo::new(&[16]), 0);
    d.add(0, &[(0, 1, false)]);
    d.kick(0);
    assert!(d.irq());
    d.dev.reset(ResetKind::Warm);
    assert!(!d.irq());
    assert_eq!((d.r(STATUS), d.r(QUEUE_READY)), (0, 0));
}

#[test]
fn state_moves_between_devices() {
    let mut d = Driver::ready(Echo::new(&[16]), 1 << 29);
    for _ in 0..3 {
        d.add(0, &[(0, 1, false)]);
        d.kick(0);
        d.used(0);
    }
    let saved = d.dev.save_bytes();
    d.dev = VirtioMmio::new(
        d.wires.wiring(),
        MmioVersion::Modern,
        Box::new(Echo::new(&[16])),
    );
    d.dev.restore_bytes(&saved).unwrap();
    let head = d.add(0, &[(0, 1, false)]);
    d.kick(0);
    assert_eq!(d.used(0), Some((head.into(), 0)));
    let mut other = idle().dev;
    assert!(
        other
            .restore_bytes(&saved)
            .unwrap_err()
            .to_string()
            .contains("number of queues")
    );
}

#[test]
fn contract_and_fuzz() {
    let make = |w, h: &crate::testing::TestHost| {
        h.hot(&HOT);
        h.dma_budget(512 << 20);
        VirtioMmio::new(w, MmioVersion::Modern, Box::new(Echo::new(&[8, 4])))
    };
    contract::check_with(make);
    assert_eq!(fuzz::blind(400, 600, make), Ok(()));
    let legacy = |w, h: &crate::testing::TestHost| {
        h.hot(&HOT);
        h.dma_budget(512 << 20);
        VirtioMmio::new(w, MmioVersion::Legacy, Box::new(Echo::new(&[8, 4])))
    };
    contract::check_with(legacy);
    assert_eq!(fuzz::blind(400, 600, legacy), Ok(()));
}

/// Registers worth hitting often.
pub(super) const HOT: [u64; 24] = [
    STATUS,
    QUEUE_NOTIFY,
    QUEUE_READY,
    QUEUE_SEL,
    DRIVER_FEATURES,
    DRIVER_FEATURES_SEL,
    STATUS,
    QUEUE_NOTIFY,
    INTERRUPT_ACK,
    INTERRUPT_STATUS,
    QUEUE_SIZE,
    QUEUE_DESC_LOW,
    QUEUE_DRIVER_LOW,
    QUEUE_DEVICE_LOW,
    QUEUE_RESET,
    GUEST_PAGE_SIZE,
    QUEUE_PFN,
    QUEUE_ALIGN,
    CONFIG,
    CONFIG + 8,
    CONFIG + 32,
    CONFIG_GENERATION,
    STATUS,
    QUEUE_NOTIFY,
];

/// Fuzz inputs that begin with a device that is ready and has a chain, so that blind mutation gets somewhere.
pub(super) fn ready_input(features: u32, seed: u64) -> Vec<u8> {
    use crate::AccessSizes;
    const S: AccessSizes = AccessSizes { min: 1, max: 4 };
    let mut e = fuzz::Encoder::new();
    let mut put = |at: u64, v: u64| {
        e = std::mem::take(&mut e).write(0, at as u32, 4, S, v);
    };
    put(STATUS, 3);
    put(DRIVER_FEATURES_SEL, 0);
    put(DRIVER_FEATURES, features.into());
    put(DRIVER_FEATURES_SEL, 1);
    put(DRIVER_FEATURES, 1);
    put(STATUS, 11);
    for q in 0..6 {
        put(QUEUE_SEL, q);
        put(QUEUE_SIZE, 4);
        put(QUEUE_DESC_LOW, 0x1000 * (q + 1));
        put(QUEUE_DRIVER_LOW, 0x1000 * (q + 1) + 0x100);
        put(QUEUE_DEVICE_LOW, 0x1000 * (q + 1) + 0x200);
        put(QUEUE_READY, 1);
    }
    // The rings are empty when the device becomes ready; otherwise they would hold noise.
    for q in 0..6 {
        e = std::mem::take(&mut e).memory(0x1000 * (q + 1) + 0x100, &[0; 14]);
    }
    e = std::mem::take(&mut e).write(0, STATUS as u32, 4, S, 15);
    let noise = fuzz::pseudo_random(seed, 400);
    // Each queue has a disk request (which suits the other devices too), and every other one something wrong with it.
    let mut n = noise.iter().copied();
    let mut byte = || n.next().unwrap_or(0);
    for q in 0..6u32 {
        let base = 0x1000 * (q + 1);
        let (header, data, status) = (0x8000 + base, 0x2_0000 + base, 0x4_0000 + base);
        let kind = [0u32, 0, 1, 4, 8, 11, 13][usize::from(byte() % 7)];
        let direction = if matches!(kind, 0 | 8) { 3 } else { 1 };
        let len = [512u32, 1536, 16, 20][usize::from(byte() % 4)];
        let len = if kind < 4 { len / 512 * 512 } else { len };
        let mut table: [(u32, u32, u16, u16); 4] = [
            (header, 16, 1, 1),
            (data, len, direction, 2),
            (status, 1, 2, 0),
            (header, 24, 0, 0),
        ];
        if byte() % 2 == 0 {
            let d = &mut table[usize::from(byte() % 3)];
            match byte() % 4 {
                0 => d.0 = u32::from(byte()) << 8,
                1 => d.1 = byte().into(),
                2 => d.2 = u16::from(byte() % 8),
                _ => d.3 = u16::from(byte() % 6),
            }
        }
        let table: Vec<u8> = table
            .iter()
            .flat_map(|(addr, len, flags, next)| {
                let v = u128::from(*addr) | u128::from(*len) << 64;
                (v | u128::from(*flags) << 96 | u128::from(*next) << 112).to_le_bytes()
            })
            .collect();
        e = std::mem::take(&mut e).memory(base, &table);
        let request = u128::from(kind) | u128::from(byte() % 70) << 64;
        e = std::mem::take(&mut e).memory(header, &request.to_le_bytes());
        let ring: Vec<u8> = [0u16, u16::from(1 + byte() % 4), 0, 0, 3, 0, 0]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        e = std::mem::take(&mut e).memory(base + 0x100, &ring);
        if byte() % 3 == 0 {
            e = std::mem::take(&mut e).twin();
        }
        e = std::mem::take(&mut e).write(0, QUEUE_NOTIFY as u32, 4, S, q.into());
    }
    let mut input = std::mem::take(&mut e).pool(&noise).twin().finish();
    // More actions, before the pool at the end.
    let at = input.len() - noise.len();
    let more = fuzz::pseudo_random(seed ^ 0xabcd, 300);
    input.splice(at..at, more[3..].iter().copied());
    input
}
