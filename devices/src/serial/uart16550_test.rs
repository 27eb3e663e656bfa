use super::*;
use crate::TestWires;
use crate::testing::{TestChar, contract, fuzz};
use crate::{DynDevice, TimeSource};

fn uart(config: UartConfig) -> (Uart16550, TestWires, TestChar) {
    let (w, wires) = Wiring::test();
    let line = TestChar::default();
    (
        Uart16550::new(w, config, Box::new(line.clone())),
        wires,
        line,
    )
}

fn plain() -> (Uart16550, TestWires, TestChar) {
    uart(UartConfig::default())
}

impl Uart16550 {
    fn get(&mut self, r: u64) -> u8 {
        self.read(0, r, 1) as u8
    }
    fn put(&mut self, r: u64, v: u8) {
        let _ = self.write(0, r, 1, v.into());
    }
}

#[test]
fn reset_values_of_table_i() {
    let (mut u, _, _) = plain();
    assert_eq!(
        (u.get(IER), u.get(IIR_FCR), u.get(LCR), u.get(MCR)),
        (0, 1, 0, 0)
    );
    assert_eq!(u.get(LSR), LSR_THRE | LSR_TEMT);
    assert_eq!(u.get(MSR), MSR_CTS | MSR_DSR | MSR_DCD);
}

#[test]
fn sends_at_once_and_raises_thre() {
    let (mut u, wires, line) = plain();
    for b in b"hello" {
        assert_ne!(u.get(LSR) & LSR_THRE, 0);
        u.put(RBR_THR, *b);
    }
    assert_eq!(line.take_output(), b"hello");
    assert!(!wires.irq.level(0), "not enabled");
    u.put(IER, IER_THRE);
    assert!(wires.irq.level(0));
    assert_eq!(u.get(IIR_FCR), IIR_THRE);
    assert!(
        !wires.irq.level(0),
        "reading IIR takes the transmitter interrupt away"
    );
    assert_eq!(u.get(IIR_FCR), IIR_NONE);
    u.put(RBR_THR, b'x');
    assert!(wires.irq.level(0));
    u.put(IER, 0);
    assert!(!wires.irq.level(0));
}

#[test]
fn full_back_end_stalls_without_loss() {
    let (mut u, wires, line) = plain();
    u.put(IIR_FCR, FCR_ENABLE);
    u.put(IER, IER_THRE);
    line.set_room(Some(2));
    for b in 0..17 {
        u.put(RBR_THR, b);
    }
    assert_eq!(line.take_output(), [0, 1]);
    assert_eq!(u.get(LSR) & (LSR_THRE | LSR_TEMT), 0);
    assert!(!wires.irq.level(0));
    line.set_room(Some(3));
    u.event(0);
    assert_eq!(line.take_output(), [2, 3, 4]);
    line.set_room(None);
    u.event(0);
    assert_eq!(line.take_output(), (5..17).collect::<Vec<u8>>());
    assert!(wires.irq.level(0));
    assert_eq!(u.get(LSR), LSR_THRE | LSR_TEMT);
}

#[test]
fn receives_in_order_beyond_the_fifo() {
    for fcr in [0, FCR_ENABLE] {
        let (mut u, _, line) = plain();
        u.put(IIR_FCR, fcr);
        let text: Vec<u8> = (0..100).collect();
        line.push(&text);
        u.event(0);
        let mut got = Vec::new();
        while u.get(LSR) & LSR_DR != 0 {
            got.push(u.get(RBR_THR));
        }
        assert_eq!(got, text);
        assert_eq!(u.get(LSR) & LSR_OE, 0);
    }
}

#[test]
fn trigger_levels_and_time_out() {
    for (fcr, level) in [(0x01, 1), (0x41, 4), (0x81, 8), (0xc1, 14)] {
        let (mut u, wires, line) = plain();
        u.put(IIR_FCR, fcr);
        u.put(IER, IER_RDA);
        for n in 1..=16 {
            line.push(&[n]);
            u.event(0);
            assert_eq!(wires.irq.level(0), n >= level, "trigger {level} at {n}");
        }
        assert_eq!(u.get(IIR_FCR), IIR_FIFOS | IIR_RDA);
        for _ in level..=16 {
            u.get(RBR_THR);
        }
        if level == 1 {
            assert_eq!(u.deadline(), None);
            continue;
        }
        assert!(!wires.irq.level(0), "below the trigger");
        // 8 bits are not set: 5 data bits, 1 start, 1 stop; divisor 12; 4 characters.
        let due = 4 * (7 * 16 * 12 * 1_000_000_000 / 3_686_400);
        assert_eq!(u.deadline(), Some(due));
        wires.clock.advance_to(due - 1);
        u.tick();
        assert!(!wires.irq.level(0));
        wires.clock.advance_to(due);
        u.tick();
        assert_eq!(u.get(IIR_FCR), IIR_FIFOS | IIR_TIMEOUT);
        u.get(RBR_THR);
        assert!(!wires.irq.level(0), "a read ends the time-out");
    }
}

#[test]
fn interrupts_come_in_the_order_of_table_iv() {
    let (mut u, wires, line) = plain();
    u.put(MCR, MCR_LOOP);
    u.get(MSR);
    u.put(IER, 0x0f);
    u.put(MCR, MCR_LOOP | MCR_RTS);
    u.put(RBR_THR, 1);
    u.put(RBR_THR, 2);
    assert_eq!(u.get(IIR_FCR), IIR_LINE);
    assert_eq!(u.get(LSR) & 0x1f, LSR_OE | LSR_DR);
    assert_eq!(u.get(IIR_FCR), IIR_RDA);
    assert_eq!(
        u.get(RBR_THR),
        2,
        "without FIFOs the newer character survives an overrun"
    );
    assert_eq!(u.get(IIR_FCR), IIR_THRE);
    assert_eq!(u.get(IIR_FCR), IIR_MODEM);
    assert_eq!(u.get(MSR), MSR_CTS | 1);
    assert_eq!(u.get(IIR_FCR), IIR_NONE);
    assert!(!wires.irq.level(0));
    assert!(
        line.take_output().is_empty(),
        "loopback leaves the line idle"
    );
}

#[test]
fn overrun_with_fifos_keeps_the_older() {
    let (mut u, _, _) = plain();
    u.put(IIR_FCR, FCR_ENABLE);
    u.put(MCR, MCR_LOOP);
    for b in 0..20 {
        u.put(RBR_THR, b);
    }
    assert_eq!(u.get(LSR) & (LSR_OE | LSR_DR), LSR_OE | LSR_DR);
    assert_eq!(u.get(LSR) & LSR_OE, 0, "reading LSR clears OE");
    let got: Vec<u8> = (0..16).map(|_| u.get(RBR_THR)).collect();
    assert_eq!(got, (0..16).collect::<Vec<u8>>());
    assert_eq!(u.get(LSR) & LSR_DR, 0);
}

#[test]
fn break_shows_when_it_reaches_the_top() {
    let (mut u, wires, line) = plain();
    u.put(IIR_FCR, FCR_ENABLE);
    u.put(IER, IER_LINE);
    line.push(b"a");
    line.push_break();
    u.event(0);
    assert!(!wires.irq.level(0));
    assert_eq!(u.get(LSR), LSR_DR | LSR_THRE | LSR_TEMT | LSR_FIFO_ERROR);
    assert_eq!(u.get(RBR_THR), b'a');
    assert!(wires.irq.level(0));
    assert_eq!(
        u.get(LSR) & (LSR_BI | LSR_FIFO_ERROR),
        LSR_BI | LSR_FIFO_ERROR
    );
    assert_eq!(u.get(LSR) & (LSR_BI | LSR_FIFO_ERROR), 0);
    assert_eq!(u.get(RBR_THR), 0);
    u.put(LCR, LCR_BREAK);
    assert!(line.sent_break());
    u.put(LCR, 0);
    assert!(!line.sent_break());
}

#[test]
fn modem_loopback_and_trailing_edge_of_ri() {
    let (mut u, _, _) = plain();
    u.put(MCR, MCR_LOOP);
    u.get(MSR);
    for (mcr, msr) in [(MCR_RTS, MSR_CTS), (MCR_DTR, MSR_DSR), (MCR_OUT2, MSR_DCD)] {
        u.put(MCR, MCR_LOOP | mcr);
        assert_eq!(u.get(MSR), msr | msr >> 4);
        assert_eq!(u.get(MSR), msr, "deltas clear when read");
        u.put(MCR, MCR_LOOP);
        assert_eq!(u.get(MSR), msr >> 4);
    }
    u.put(MCR, MCR_LOOP | MCR_OUT1);
    assert_eq!(u.get(MSR), MSR_RI, "the leading edge of RI makes no delta");
    u.put(MCR, MCR_LOOP);
    assert_eq!(u.get(MSR), MSR_TERI);
}

#[test]
fn divisor_latch_scratch_and_fcr() {
    let (mut u, _, line) = plain();
    u.put(LCR, LCR_DLAB | 3);
    u.put(RBR_THR, 0x34);
    u.put(IER, 0x12);
    assert_eq!((u.get(RBR_THR), u.get(IER)), (0x34, 0x12));
    u.put(LCR, 3);
    assert_eq!(u.get(IER), 0, "IER is behind DLAB");
    assert!(line.take_output().is_empty());
    u.put(SCR, 0xa5);
    u.reset(ResetKind::Warm);
    assert_eq!(u.get(SCR), 0xa5);
    u.put(IIR_FCR, 0xc0);
    assert_eq!(u.get(IIR_FCR), IIR_NONE, "bits beside bit 0 need bit 0");
    u.put(IIR_FCR, 0xc1);
    assert_eq!(u.get(IIR_FCR), IIR_FIFOS | IIR_NONE);
}

#[test]
fn register_spacing() {
    let (mut u, _, line) = uart(UartConfig {
        reg_shift: 2,
        io_width: 4,
        ..UartConfig::default()
    });
    assert_eq!(u.regions()[0].len, 32);
    assert_eq!(u.regions()[0].sizes, AccessSizes { min: 1, max: 4 });
    let _ = u.write(0, 0, 4, 0xffff_ff41);
    let _ = u.write(0, 1, 1, 0x42);
    assert_eq!(line.take_output(), b"A");
    assert_eq!(u.read(0, 5 << 2, 4), 0x60);
    assert_eq!(u.read(0, (5 << 2) + 1, 1), 0);
}

#[test]
fn paced_transmission_takes_wire_time() {
    let (mut u, wires, line) = uart(UartConfig {
        pace_tx: true,
        clock_hz: 1_843_200,
        ..UartConfig::default()
    });
    u.put(LCR, LCR_DLAB | 3);
    u.put(RBR_THR, 1);
    u.put(IER, 0);
    u.put(LCR, 3);
    u.put(IIR_FCR, FCR_ENABLE);
    u.put(RBR_THR, b'a');
    u.put(RBR_THR, b'b');
    assert_eq!(u.get(LSR) & (LSR_THRE | LSR_TEMT), 0);
    let one = 10 * 16 * 1_000_000_000 / 1_843_200;
    assert_eq!(u.deadline(), Some(one));
    wires.clock.advance_to(one);
    u.tick();
    assert_eq!(line.take_output(), b"a");
    assert_eq!(
        u.get(LSR) & (LSR_THRE | LSR_TEMT),
        LSR_THRE,
        "the last character is on the wire"
    );
    assert_eq!(u.deadline(), Some(wires.clock.now() + one));
    wires.clock.advance(one);
    u.tick();
    assert_eq!(line.take_output(), b"b");
    assert_eq!(u.deadline(), None);
}

#[test]
fn impossible_state_is_refused() {
    let (mut u, _, _) = plain();
    let mut s = u.save();
    s.rx = (0..17).map(|b| (b, 0)).collect();
    assert!(u.restore(s, 1).is_err());
    assert_eq!(DynDevice::id(&u), "uart16550");
}

#[test]
fn contract_and_fuzz() {
    for config in [
        UartConfig::default(),
        UartConfig {
            reg_shift: 2,
            io_width: 4,
            ..UartConfig::default()
        },
        UartConfig {
            pace_tx: true,
            ..UartConfig::default()
        },
    ] {
        contract::check_with(|w, host| Uart16550::new(w, config, Box::new(host.char())));
        assert_eq!(
            fuzz::blind(300, 400, |w, host| Uart16550::new(
                w,
                config,
                Box::new(host.char())
            )),
            Ok(())
        );
    }
}
