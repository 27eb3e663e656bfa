use super::console::spec::*;
use super::fake::Driver;
use super::mmio::reg::*;
use super::mmio_test::{HOT, ready_input};
use super::*;
use crate::testing::{TestChar, TestHost, contract, fuzz};
use crate::{DynDevice, Wiring};

fn console(chars: &[TestChar]) -> Console {
    let ports = chars
        .iter()
        .enumerate()
        .map(|(n, c)| match n {
            0 => Port::console(Box::new(c.clone())),
            _ => Port::channel(&format!("port{n}"), Box::new(c.clone())),
        })
        .collect();
    let size = ConsoleSize::default();
    size.set(80, 25);
    Console::new(ports, size)
}

#[test]
fn plain_console() {
    let c = TestChar::default();
    let mut d = Driver::ready(console(std::slice::from_ref(&c)), F_SIZE);
    assert_eq!(d.queues.len(), 2);
    assert_eq!(d.r(CONFIG), 25 << 16 | 80);
    d.wires.memory.poke(0x8000, b"hello");
    d.add(1, &[(0x8000, 2, false), (0x8002, 3, false)]);
    d.kick(1);
    assert_eq!(
        (c.take_output(), d.used(1)),
        (b"hello".to_vec(), Some((0, 0)))
    );
    // Input before there are buffers waits, and nothing is lost when a buffer is short.
    c.push(b"typed");
    d.deliver();
    assert_eq!(c.unread(), 5);
    d.add(0, &[(0x9000, 3, true)]);
    d.kick(0);
    assert_eq!(
        (d.used(0), d.wires.memory.peek(0x9000, 3)),
        (Some((0, 3)), b"typ".to_vec())
    );
    d.add(0, &[(0x9000, 30, true)]);
    d.kick(0);
    assert_eq!(d.used(0), Some((1, 2)));
    d.add(0, &[(0x9000, 30, true)]);
    d.kick(0);
    assert_eq!(d.used(0), None);
    c.push(b"x");
    d.deliver();
    assert_eq!(d.used(0), Some((2, 1)));
}

#[test]
fn output_waits_for_room() {
    let c = TestChar::default();
    c.set_room(Some(3));
    let mut d = Driver::ready(console(std::slice::from_ref(&c)), 0);
    d.wires.memory.poke(0x8000, b"abcdefgh");
    d.add(1, &[(0x8000, 5, false)]);
    d.add(1, &[(0x8005, 3, false)]);
    d.kick(1);
    assert_eq!((c.take_output(), d.used(1)), (b"abc".to_vec(), None));
    // The rest survives a move to another device.
    let saved = d.dev.save_bytes();
    let dev = console(std::slice::from_ref(&c));
    d.dev = VirtioMmio::new(d.wires.wiring(), MmioVersion::Modern, Box::new(dev));
    d.dev.restore_bytes(&saved).unwrap();
    c.set_room(None);
    d.deliver();
    assert_eq!(c.take_output(), b"defgh");
    assert_eq!((d.used(1), d.used(1)), (Some((0, 0)), Some((1, 0))));
}

#[test]
fn emergency_write_needs_no_driver() {
    let c = TestChar::default();
    let mut d = Driver::idle(console(std::slice::from_ref(&c)));
    d.w(CONFIG + 8, 0x1234_5621);
    assert_eq!(c.take_output(), b"!");
}

/// Sends a control message and returns what comes back.
fn control(d: &mut Driver, id: u32, event: u16, value: u16) -> Vec<(u32, u16, u16, Vec<u8>)> {
    let m = u64::from(id) | u64::from(event) << 32 | u64::from(value) << 48;
    d.wires.memory.poke(0x7000, &m.to_le_bytes());
    d.add(3, &[(0x7000, 8, false)]);
    d.kick(3);
    assert!(d.used(3).is_some());
    replies(d)
}

/// Gives buffers to the control receive queue until it has nothing more to say.
fn replies(d: &mut Driver) -> Vec<(u32, u16, u16, Vec<u8>)> {
    let mut all = Vec::new();
    loop {
        if d.queues[2].avail == d.queues[2].seen {
            d.add(2, &[(0x6000, 64, true)]);
            d.kick(2);
        }
        let Some((_, len)) = d.used(2) else {
            return all;
        };
        let raw = d.wires.memory.peek(0x6000, len as usize);
        let v = u64::from_le_bytes(raw[..8].try_into().unwrap());
        all.push((
            v as u32,
            (v >> 32) as u16,
            (v >> 48) as u16,
            raw[8..].to_vec(),
        ));
    }
}

#[test]
fn several_ports() {
    let chars = [
        TestChar::default(),
        TestChar::default(),
        TestChar::default(),
    ];
    let mut d = Driver::ready(console(&chars), F_MULTIPORT | F_SIZE);
    assert_eq!((d.queues.len(), d.r(CONFIG + 4)), (8, 3));
    let added = control(&mut d, 0, DEVICE_READY, 1);
    assert_eq!(
        added,
        (0..3)
            .map(|n| (n, DEVICE_ADD, 0, vec![]))
            .collect::<Vec<_>>()
    );
    let zero = control(&mut d, 0, PORT_READY, 1);
    assert_eq!(
        zero,
        [
            (0, CONSOLE_PORT, 1, vec![]),
            (0, RESIZE, 0, vec![80, 0, 25, 0]),
            (0, PORT_OPEN, 1, vec![])
        ]
    );
    let two = control(&mut d, 2, PORT_READY, 1);
    assert_eq!(
        two,
        [
            (2, PORT_NAME, 1, b"port2".to_vec()),
            (2, PORT_OPEN, 1, vec![])
        ]
    );
    assert_eq!(control(&mut d, 77, PORT_READY, 1), []);
    // Input waits until the guest opens the port. Port 2 has queues 6 and 7.
    chars[2].push(b"in");
    d.add(6, &[(0x9000, 8, true)]);
    d.kick(6);
    assert_eq!((d.used(6), chars[2].unread()), (None, 2));
    control(&mut d, 2, PORT_OPEN, 1);
    assert_eq!(d.used(6), Some((0, 2)));
    d.wires.memory.poke(0x8000, b"out");
    d.add(7, &[(0x8000, 3, false)]);
    d.kick(7);
    assert_eq!(chars[2].take_output(), b"out");
}

#[test]
fn size_changes_are_announced() {
    let c = TestChar::default();
    let dev = console(std::slice::from_ref(&c));
    let size = dev.size();
    let mut d = Driver::ready(dev, F_SIZE);
    size.set(132, 43);
    d.deliver();
    assert_eq!(d.ack(), 2);
    assert_eq!(d.r(CONFIG), 43 << 16 | 132);
}

#[test]
fn entropy() {
    let run = || {
        let mut d = Driver::ready(Rng::new(Box::new(SeededEntropy::new(7))), 0);
        d.add(0, &[(0x9000, 5, true), (0xa000, 11, true)]);
        d.add(0, &[(0xb000, 1 << 20, true)]);
        d.kick(0);
        assert_eq!((d.used(0), d.used(0)), (Some((0, 16)), Some((2, 65536))));
        [
            d.wires.memory.peek(0x9000, 5),
            d.wires.memory.peek(0xa000, 11),
        ]
        .concat()
    };
    assert_eq!(run(), run(), "reproducible");
    assert!(run().iter().any(|b| *b != 0));
    let mut d = Driver::ready(Rng::new(Box::new(HostEntropy::open().unwrap())), 0);
    d.add(0, &[(0x9000, 64, true)]);
    d.kick(0);
    assert!(d.wires.memory.peek(0x9000, 64).iter().any(|b| *b != 0));
}

#[test]
fn contract_and_fuzz() {
    let consoles = |w: Wiring, h: &TestHost| {
        h.hot(&HOT);
        h.dma_budget(512 << 20);
        let dev = console(&[h.char(), h.char()]);
        VirtioMmio::new(w, MmioVersion::Modern, Box::new(dev))
    };
    contract::check_with(consoles);
    assert_eq!(fuzz::blind(200, 500, consoles), Ok(()));
    let rng = |w: Wiring, h: &TestHost| {
        h.hot(&HOT);
        h.dma_budget(512 << 20);
        VirtioMmio::new(
            w,
            MmioVersion::Modern,
            Box::new(Rng::new(Box::new(SeededEntropy::new(3)))),
        )
    };
    contract::check_with(rng);
    for seed in 0..600 {
        let features = [0, 1 << 28, 1 << 29, 2 | 1 << 29][seed as usize % 4];
        assert_eq!(
            fuzz::run_with(&ready_input(features, seed), consoles),
            Ok(()),
            "{seed}"
        );
        assert_eq!(
            fuzz::run_with(&ready_input(features & !2, seed), rng),
            Ok(()),
            "{seed}"
        );
    }
}
