//! Every function against a machine of fake vCPUs.

use super::eid;
use crate::fake::{idle, sbi};
use crate::hub::{ExitReason, Power, Request};
use crate::machine::Machine;
use crate::wake::lock;
use ambidex_cpu::{CpuBus, CpuMask, Exit, FenceKind, FirmwareCall, FirmwareResult};
use ambidex_devices::ResetKind;
use ambidex_memory::{Attrs, Gpa};

const RAM: u64 = 0x8000_0000;
const NO_SSTC: &str = "rv64,sstc=off";

fn call(m: &Machine, cpu: u32, extension: u64, function: u64, args: &[u64]) -> (i64, u64) {
    let (error, value, result) = sbi(&m.bus, cpu, extension, function, args);
    assert_eq!(result, FirmwareResult::Return);
    (error, value)
}

#[test]
fn base() {
    let (m, _) = idle(1, "sifive-u54");
    let base = |f, a| call(&m, 0, eid::BASE, f, &[a]);
    assert_eq!(base(0, 0), (0, 2 << 24));
    assert_eq!((base(4, 0), base(5, 0)), ((0, 0x489), (0, 1)));
    for extension in [
        eid::BASE,
        eid::TIME,
        eid::IPI,
        eid::RFENCE,
        eid::HSM,
        eid::SRST,
        eid::DBCN,
        0,
        8,
    ] {
        assert_eq!(base(3, extension), (0, 1), "{extension:#x}");
    }
    for absent in [0x504d55, 0x5355_5350, 0xbeef, 9] {
        assert_eq!(base(3, absent), (0, 0), "{absent:#x}");
    }
    assert_eq!(base(77, 0), (-2, 0));
    assert_eq!(call(&m, 0, 0xbeef, 0, &[]), (-2, 0));
}

#[test]
fn timer_without_sstc_drives_the_pin() {
    let (m, _) = idle(2, NO_SSTC);
    let cell = &m.bus.hub.cpus[1];
    assert_eq!(call(&m, 1, eid::TIME, 0, &[1000]), (0, 0));
    assert_eq!(cell.firmware_deadline.get(), 100_000);
    assert_eq!(cell.pins.level(), 0);
    m.bus.firmware.as_ref().unwrap().timer_expired(1);
    assert_eq!(cell.pins.level(), 1 << 5);
    assert_eq!(call(&m, 1, eid::TIME, 0, &[u64::MAX]), (0, 0));
    assert_eq!(
        (cell.pins.level(), cell.firmware_deadline.get()),
        (0, u64::MAX)
    );
    assert_eq!(call(&m, 1, eid::TIME, 0, &[0]), (0, 0));
    assert_eq!(cell.pins.level(), 1 << 5, "due at once");
    assert_eq!(call(&m, 1, eid::LEGACY_SET_TIMER, 0, &[u64::MAX]).0, 0);
    assert_eq!(cell.pins.level(), 0);
    assert_eq!(call(&m, 1, eid::TIME, 1, &[0]), (-2, 0));
}

#[test]
fn timer_with_sstc_writes_the_register() {
    let (mut m, _) = idle(1, "rv64");
    let (error, _, result) = sbi(&m.bus, 0, eid::TIME, 0, &[0x1234]);
    assert_eq!((error, result), (0, FirmwareResult::Exit(Exit::Kicked)));
    crate::vcpu_thread::settle(&mut *m.vcpus[0], &m.bus.hub.cpus[0]).unwrap();
    let ambidex_cpu::CpuState::Riscv64(state) = m.vcpus[0].save().unwrap() else {
        unreachable!()
    };
    assert_eq!(state.hart.time_deadline(), Some(0x1234));
}

#[test]
fn interrupts_go_to_the_harts_of_the_mask() {
    let (m, _) = idle(4, "rv64");
    let got = || {
        m.bus
            .hub
            .cpus
            .iter()
            .map(|c| c.pins.take_latched() >> 1 & 1)
            .collect::<Vec<_>>()
    };
    assert_eq!(call(&m, 0, eid::IPI, 0, &[0b101, 1]), (0, 0));
    assert_eq!(got(), [0, 1, 0, 1]);
    assert_eq!(call(&m, 0, eid::IPI, 0, &[0, u64::MAX]), (0, 0));
    assert_eq!(got(), [1, 1, 1, 1]);
    for bad in [
        [0b1_0000, 0],
        [1, 4],
        [1, 1 << 40],
        [u64::MAX, 0],
        [u64::MAX, u64::MAX - 1],
    ] {
        assert_eq!(call(&m, 0, eid::IPI, 0, &bad), (-3, 0), "{bad:x?}");
    }
    assert_eq!(got(), [0, 0, 0, 0]);
    assert_eq!(call(&m, 0, eid::LEGACY_SEND_IPI, 0, &[0]).0, 0);
    assert_eq!(got(), [1, 1, 1, 1]);
    assert_eq!(call(&m, 0, eid::LEGACY_CLEAR_IPI, 0, &[]).0, 0);
}

#[test]
fn fences_reach_the_vm() {
    let (m, fences) = idle(4, "rv64");
    let last = || {
        let (mask, fence) = fences.lock().unwrap().pop().unwrap();
        (mask, fence.kind)
    };
    let all = FenceKind::Tlb {
        asid: None,
        start: 0,
        len: u64::MAX,
    };
    assert_eq!(call(&m, 0, eid::RFENCE, 0, &[0b11, 2]), (0, 0));
    assert_eq!(last(), (CpuMask::from_bits(2, 0b11), FenceKind::Icache));
    assert_eq!(call(&m, 0, eid::RFENCE, 1, &[1, 0, 0x1000, 0x2000]), (0, 0));
    assert_eq!(
        last(),
        (
            CpuMask::one(0),
            FenceKind::Tlb {
                asid: None,
                start: 0x1000,
                len: 0x2000
            }
        )
    );
    assert_eq!(call(&m, 0, eid::RFENCE, 1, &[0, u64::MAX, 0, 0]), (0, 0));
    assert_eq!(last(), (CpuMask::ALL, all));
    assert_eq!(
        call(&m, 0, eid::RFENCE, 1, &[0, u64::MAX, 5, u64::MAX]),
        (0, 0)
    );
    assert_eq!(last(), (CpuMask::ALL, all));
    assert_eq!(
        call(&m, 0, eid::RFENCE, 2, &[1, 3, 0x1000, 0x1000, 9]),
        (0, 0)
    );
    assert_eq!(
        last().1,
        FenceKind::Tlb {
            asid: Some(9),
            start: 0x1000,
            len: 0x1000
        }
    );
    assert_eq!(call(&m, 0, eid::RFENCE, 1, &[1, 0, u64::MAX, 2]), (-5, 0));
    assert_eq!(call(&m, 0, eid::RFENCE, 0, &[1, 9]), (-3, 0));
    for hypervisor in 3..7 {
        assert_eq!(call(&m, 0, eid::RFENCE, hypervisor, &[1, 0]), (-2, 0));
    }
    assert_eq!(
        call(&m, 0, eid::LEGACY_SFENCE, 0, &[0, 0x1000, 0x1000]).0,
        0
    );
    assert_eq!(
        last(),
        (
            CpuMask::ALL,
            FenceKind::Tlb {
                asid: None,
                start: 0x1000,
                len: 0x1000
            }
        )
    );
    assert_eq!(
        call(&m, 0, eid::LEGACY_SFENCE_ASID, 0, &[0, 0x1000, 0x1000, 3]).0,
        0
    );
    assert_eq!(
        last().1,
        FenceKind::Tlb {
            asid: Some(3),
            start: 0x1000,
            len: 0x1000
        }
    );
    assert_eq!(call(&m, 0, eid::LEGACY_FENCE_I, 0, &[0]).0, 0);
    assert_eq!(last().1, FenceKind::Icache);
    assert!(fences.lock().unwrap().is_empty());
}

#[test]
fn harts_start_stop_and_suspend() {
    let (m, _) = idle(3, "rv64");
    let status = |hart| call(&m, 0, eid::HSM, 2, &[hart]);
    assert_eq!((status(0), status(1), status(3)), ((0, 0), (0, 1), (-3, 0)));
    assert_eq!(call(&m, 0, eid::HSM, 0, &[0, RAM, 0]), (-6, 0));
    assert_eq!(call(&m, 0, eid::HSM, 0, &[9, RAM, 0]), (-3, 0));
    assert_eq!(
        call(&m, 0, eid::HSM, 0, &[1, 0x10_0000, 0]),
        (-5, 0),
        "device registers"
    );
    assert_eq!(call(&m, 0, eid::HSM, 0, &[1, RAM + 1, 0]), (-5, 0));
    assert_eq!(call(&m, 0, eid::HSM, 0, &[1, RAM, 5]), (0, 0));
    assert_eq!(status(1), (0, 2));
    assert_eq!(
        m.bus.hub.cpus[1].power(),
        Power::Starting { pc: RAM, opaque: 5 }
    );
    assert_eq!(
        sbi(&m.bus, 0, eid::HSM, 1, &[]).2,
        FirmwareResult::Exit(Exit::Kicked)
    );
    assert_eq!(status(0), (0, 1));
    m.bus.hub.cpus[2].set_power(Power::Started);
    assert_eq!(sbi(&m.bus, 2, eid::HSM, 3, &[0]).2, FirmwareResult::Wait);
    assert_eq!(status(2), (0, 4));
    let result = sbi(&m.bus, 2, eid::HSM, 3, &[0x8000_0000, RAM, 7]).2;
    assert_eq!(result, FirmwareResult::Exit(Exit::Halt));
    assert_eq!(
        m.bus.hub.cpus[2].power(),
        Power::SuspendedLosing { pc: RAM, opaque: 7 }
    );
    m.bus.hub.cpus[2].set_power(Power::Started);
    assert_eq!(call(&m, 2, eid::HSM, 3, &[0x8000_0000, 0x10, 7]), (-5, 0));
    assert_eq!(call(&m, 2, eid::HSM, 3, &[1]), (-3, 0));
    assert_eq!(call(&m, 2, eid::HSM, 3, &[0x1000_0000]), (-2, 0));
    assert_eq!(call(&m, 2, eid::HSM, 9, &[]), (-2, 0));
}

#[test]
fn a_losing_suspend_resumes_at_its_address() {
    let (mut m, _) = idle(1, "rv64");
    sbi(&m.bus, 0, eid::HSM, 3, &[0x8000_0000, RAM + 64, 7]);
    crate::vcpu_thread::settle(&mut *m.vcpus[0], &m.bus.hub.cpus[0]).unwrap();
    assert_eq!(m.bus.hub.cpus[0].power(), Power::Started);
    let ambidex_cpu::CpuState::Riscv64(state) = m.vcpus[0].save().unwrap() else {
        unreachable!()
    };
    assert_eq!((state.pc, state.x[10], state.x[11]), (RAM + 64, 0, 7));
}

#[test]
fn system_reset() {
    let request = |args: &[u64]| {
        let (m, _) = idle(1, "rv64");
        let (error, _, result) = sbi(&m.bus, 0, eid::SRST, 0, args);
        if error == 0 {
            assert_eq!(result, FirmwareResult::Exit(Exit::Kicked));
        }
        (error, m.bus.hub.take_request())
    };
    let off = |code| Some(Request::Exit(ExitReason::PowerOff { code }));
    assert_eq!(request(&[0, 0]), (0, off(0)));
    assert_eq!(request(&[0, 1]), (0, off(1)));
    assert_eq!(request(&[1, 0]), (0, Some(Request::Reset(ResetKind::Cold))));
    assert_eq!(request(&[2, 0]), (0, Some(Request::Reset(ResetKind::Warm))));
    assert_eq!(request(&[3, 0]), (-3, None));
    assert_eq!(request(&[0, 2]), (-3, None));
    assert_eq!(request(&[0xf000_0000, 0]), (-2, None));
    let (m, _) = idle(1, "rv64");
    sbi(&m.bus, 0, eid::LEGACY_SHUTDOWN, 0, &[]);
    assert_eq!(m.bus.hub.take_request(), off(0));
}

#[test]
fn console() {
    let (m, _) = idle(1, "rv64");
    m.memory()
        .write_bytes(Gpa(RAM + 0xffe), b"hello", Attrs::cpu(0))
        .unwrap();
    assert_eq!(call(&m, 0, eid::DBCN, 0, &[5, RAM + 0xffe, 0]), (0, 5));
    assert_eq!(call(&m, 0, eid::DBCN, 2, &[0x121]), (0, 0));
    assert_eq!(call(&m, 0, eid::LEGACY_PUTCHAR, 0, &[u64::from(b'?')]).0, 0);
    assert_eq!(m.console().text(), "hello!?");
    for bad in [
        [1, RAM, 1],
        [1, 0x1000_0000, 0],
        [2, RAM + (64 << 20) - 1, 0],
        [u64::MAX, RAM, 0],
        [2, u64::MAX, 0],
    ] {
        assert_eq!(call(&m, 0, eid::DBCN, 0, &bad), (-3, 0), "{bad:x?}");
        assert_eq!(call(&m, 0, eid::DBCN, 1, &bad), (-3, 0), "{bad:x?}");
    }
    assert_eq!(call(&m, 0, eid::DBCN, 1, &[8, RAM, 0]), (0, 0));
    m.console().send(b"abc");
    crate::run::serve(&m.bus, &m.devices);
    // Whatever size the FIFO has after reset: all bytes come, in order.
    let mut got = Vec::new();
    for _ in 0..3 {
        let (error, n) = call(&m, 0, eid::DBCN, 1, &[1, RAM, 0]);
        assert_eq!((error, n), (0, 1));
        got.push(m.memory().read(Gpa(RAM), 1, Attrs::cpu(0)).unwrap() as u8);
        crate::run::serve(&m.bus, &m.devices);
    }
    assert_eq!(got, b"abc");
    let mut getchar = FirmwareCall {
        regs: [0, 55, 0, 0, 0, 0, 0, eid::LEGACY_GETCHAR],
    };
    assert_eq!(m.bus.firmware_call(0, &mut getchar), FirmwareResult::Return);
    assert_eq!(
        getchar.regs[..2],
        [u64::MAX, 55],
        "legacy calls leave a1 alone"
    );
}

#[test]
fn any_call_is_answered() {
    use proptest::prelude::*;
    let (m, _) = idle(3, "rv64");
    let extensions = [
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        eid::BASE,
        eid::TIME,
        eid::IPI,
        eid::RFENCE,
        eid::HSM,
        eid::SRST,
        eid::DBCN,
    ];
    let word = prop_oneof![
        any::<u64>(),
        0..16u64,
        RAM..RAM + 0x100,
        Just(u64::MAX),
        (0..64u32).prop_map(|b| 1 << b)
    ];
    proptest!(|(e in 0..extensions.len(), f in 0..8u64, args in prop::array::uniform5(word), cpu in 0..4u32)| {
        for c in &m.bus.hub.cpus {
            c.set_power(Power::Started);
        }
        *lock(&m.bus.hub.cpus[0].compare) = None;
        sbi(&m.bus, cpu, extensions[e], f, &args);
        m.bus.hub.take_request();
    });
}
