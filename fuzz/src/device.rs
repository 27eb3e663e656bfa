//! Devices in the generic harness, and the register map they are built with.

use ambidex_devices::intc::plic::{Plic, PlicConfig};
use ambidex_devices::misc::htif::Htif;
use ambidex_devices::misc::syscon::TestFinisher;
use ambidex_devices::regmap::{Access, Register, RegisterFile, RegisterMap};
use ambidex_devices::rtc::goldfish::GoldfishRtc;
use ambidex_devices::serial::uart16550::{Uart16550, UartConfig};
use ambidex_devices::testing::{TestHost, fuzz};
use ambidex_devices::timer::aclint::{Aclint, AclintConfig, HartLines};
use ambidex_devices::{DynDevice, Wiring};

fn run<D: DynDevice>(data: &[u8], make: impl Fn(Wiring, &TestHost) -> D) {
    if let Err(finding) = fuzz::run_with(data, make) {
        panic!("{finding}");
    }
}

/// A UART, byte registers next to each other.
pub fn make_uart(w: Wiring, host: &TestHost) -> Uart16550 {
    Uart16550::new(w, UartConfig::default(), Box::new(host.char()))
}

/// A PLIC with 40 sources and two contexts.
pub fn make_plic(w: Wiring, host: &TestHost) -> Plic {
    host.hot(&[0, 4, 8, 0x14, 0x1000, 0x1004, 0x2000, 0x2004, 0x2080, 0x20_0000, 0x20_0004, 0x20_1000, 0x20_1004]);
    let p = Plic::new(PlicConfig { sources: 40, max_priority: 7 }, vec![w.irq.sibling(0), w.irq.sibling(1)]);
    host.drives(p.inputs());
    p
}

/// An ACLINT for two harts.
pub fn make_aclint(w: Wiring, host: &TestHost) -> Aclint {
    host.hot(&[0, 4, 8, 0x4000, 0x4004, 0x4008, 0x400c, 0x4010, 0xbff0, 0xbff8, 0xbffc, 0xc000]);
    let lines = (0..2).map(|n| HartLines { mtip: w.irq.sibling(3 * n), msip: w.irq.sibling(3 * n + 1), ssip: w.irq.sibling(3 * n + 2) });
    Aclint::new(&w, AclintConfig::default(), lines.collect())
}

/// A goldfish RTC.
pub fn make_rtc(w: Wiring, host: &TestHost) -> GoldfishRtc {
    host.hot(&[0, 4, 8, 0xc, 0x10, 0x14, 0x18, 0x1c]);
    GoldfishRtc::new(w, host.wall.wall_clock())
}

/// An HTIF.
pub fn make_htif(w: Wiring, host: &TestHost) -> Htif {
    Htif::new(w, Box::new(host.char()))
}

/// 16550A UART.
pub fn uart16550(data: &[u8]) {
    run(data, make_uart);
}

/// The same with registers four bytes apart.
pub fn uart16550_word(data: &[u8]) {
    let config = UartConfig { reg_shift: 2, io_width: 4, ..UartConfig::default() };
    run(data, |w, host| Uart16550::new(w, config, Box::new(host.char())));
}

/// The same sending at line speed.
pub fn uart16550_paced(data: &[u8]) {
    let config = UartConfig { pace_tx: true, ..UartConfig::default() };
    run(data, |w, host| Uart16550::new(w, config, Box::new(host.char())));
}

/// Platform-level interrupt controller.
pub fn plic(data: &[u8]) {
    run(data, make_plic);
}

/// Timer and software interrupts.
pub fn aclint(data: &[u8]) {
    run(data, make_aclint);
}

/// Real-time clock.
pub fn goldfish_rtc(data: &[u8]) {
    run(data, make_rtc);
}

/// Power control.
pub fn syscon(data: &[u8]) {
    run(data, |_, _| TestFinisher::new());
}

/// Host-target interface.
pub fn htif(data: &[u8]) {
    run(data, make_htif);
}

static MAP: RegisterMap = RegisterMap(&[
    Register { offset: 0, size: 4, access: Access::ReadWrite, reset: 0 },
    Register { offset: 4, size: 4, access: Access::ReadOnly, reset: 0 },
    Register { offset: 8, size: 8, access: Access::ReadWrite, reset: 0 },
    Register { offset: 0x10, size: 1, access: Access::WriteOneToClear, reset: 0 },
    Register { offset: 0x11, size: 1, access: Access::WriteOnly, reset: 0 },
    Register { offset: 0x12, size: 2, access: Access::ReadWrite, reset: 0 },
    Register { offset: 0x18, size: 8, access: Access::WriteOneToClear, reset: 0 },
]);

struct File([u64; 7]);

impl RegisterFile for File {
    fn get(&mut self, n: usize) -> u64 {
        self.0[n]
    }
    fn peek(&self, n: usize) -> u64 {
        self.0[n]
    }
    fn set(&mut self, n: usize, value: u64, touched: u64) {
        let size = MAP.0[n].size;
        assert!(size == 8 || (value | touched) >> (8 * size) == 0, "register {n} gets more bits than it has");
        self.0[n] = value;
    }
}

/// A register map against the bytes its registers consist of.
pub fn register_map(data: &[u8]) {
    let mut file = File([0x1122_3344, 0x5566_7788, 0x99aa_bbcc_ddee_ff00, 0xff, 0, 0x1234, u64::MAX]);
    let mut bytes = [0u8; 0x20];
    let owner = |at: u64| MAP.0.iter().position(|r| (r.offset..r.offset + u64::from(r.size)).contains(&at));
    for (n, r) in MAP.0.iter().enumerate() {
        bytes[r.offset as usize..][..r.size.into()].copy_from_slice(&file.0[n].to_le_bytes()[..r.size.into()]);
    }
    for step in data.chunks_exact(10) {
        let offset = if step[0] == 0xff { u64::MAX - u64::from(step[1] & 7) } else { u64::from(step[0] & 0x3f) };
        let size = 1u8 << (step[1] & 3);
        let value = u64::from_le_bytes([step[2], step[3], step[4], step[5], step[6], step[7], step[8], step[9]]) & (u64::MAX >> (64 - 8 * u32::from(size)));
        if step[1] & 4 != 0 {
            MAP.write(&mut file, offset, size, value);
            for i in 0..u64::from(size) {
                let new = value.to_le_bytes()[i as usize];
                let Some(at) = offset.checked_add(i) else { continue };
                match owner(at).map(|n| MAP.0[n].access) {
                    Some(Access::ReadWrite | Access::WriteOnly) => bytes[at as usize] = new,
                    Some(Access::WriteOneToClear) => bytes[at as usize] &= !new,
                    _ => {}
                }
            }
        }
        let want = (0..u64::from(size)).fold(0, |v, i| {
            let at = offset.checked_add(i).filter(|&at| owner(at).is_some_and(|n| MAP.0[n].access != Access::WriteOnly));
            v | u64::from(at.map_or(0, |at| bytes[at as usize])) << (8 * i)
        });
        let end = offset.checked_add(size.into());
        assert_eq!(MAP.read(&mut file, offset, size), if end.is_some() { want } else { 0 }, "{size} bytes at {offset:#x}");
    }
}
