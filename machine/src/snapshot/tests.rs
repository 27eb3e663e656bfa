use super::*;
use crate::fake::{FakeAccel, builder, sbi};
use crate::firmware::sbi::eid;
use ambidex_cpu::{CpuBus, CpuState, Timing};
use ambidex_memory::{Attrs, Gpa};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Folder(std::env::temp_dir().join(format!(
            "ambidex-snapshot-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        )))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn machine(cpus: u32) -> Machine {
    builder(cpus)
        .cpu_model("rv64,sstc=off")
        .unwrap()
        .timing(Timing::Instructions { shift: 0 })
        .build(&FakeAccel::idle())
        .unwrap()
}

/// A machine with something different from reset in each part.
fn lived() -> Machine {
    let mut m = machine(2);
    m.bus.hub.clock.set(12_345_678);
    let space = m.memory().clone();
    space
        .write(Gpa(0x8123_4560), 8, 0x1122_3344_5566_7788, Attrs::cpu(0))
        .unwrap();
    space.write(Gpa(0x83ff_fff8), 8, 9, Attrs::cpu(0)).unwrap();
    for (at, size, value) in [
        (0x200_4000, 8, 999_999_999),
        (0x1000_0001, 1, 5),
        (0xc00_0028, 4, 3),
        (0xc00_2000, 4, 1 << 10),
    ] {
        m.bus.write(0, Gpa(at), size, value).unwrap();
    }
    assert_eq!(sbi(&m.bus, 0, eid::HSM, 0, &[1, 0x8020_0000, 5]).0, 0);
    assert_eq!(sbi(&m.bus, 0, eid::TIME, 0, &[500_000]).0, 0);
    m.bus.hub.cpus[1].pins.pulse(1);
    let CpuState::Riscv64(mut s) = m.vcpus[0].save().unwrap() else {
        unreachable!()
    };
    s.x[5] = 0xabcd;
    m.vcpus[0].restore(&CpuState::Riscv64(s)).unwrap();
    m
}

fn encoded(m: &mut Machine) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(&m.collect().unwrap(), &mut bytes).unwrap();
    bytes
}

#[test]
fn a_restored_machine_is_the_same() {
    let folder = Folder::new();
    let mut m = lived();
    m.save(&folder.0).unwrap();
    let mut other = machine(2);
    // Something the snapshot has to undo.
    other
        .memory()
        .write(Gpa(0x8300_0000), 8, 7, Attrs::cpu(0))
        .unwrap();
    other.restore(&folder.0).unwrap();
    assert_eq!(encoded(&mut m), encoded(&mut other));
    for (a, b) in m.ram.iter().zip(&other.ram) {
        for at in [0x123_4560, 0x3ff_fff8, 0x300_0000, 0x20_0000, 0] {
            assert_eq!(a.load(at, 8), b.load(at, 8), "{at:#x}");
        }
    }
    assert_eq!(other.bus.hub.cpus[1].pins.latched(), 2);
    assert_eq!(other.clock().now(), 12_345_678);
    // And once more over an existing one.
    other.save(&folder.0).unwrap();
    m.restore(&folder.0).unwrap();
    let sparse =
        std::os::unix::fs::MetadataExt::blocks(&fs::metadata(folder.0.join("ram0.raw")).unwrap());
    assert!(
        sparse * 512 < 8 << 20,
        "64 MiB of mostly zeroes take {sparse} blocks"
    );
}

#[test]
fn other_machines_refuse_it() {
    let folder = Folder::new();
    lived().save(&folder.0).unwrap();
    let refused = |mut m: Machine| m.restore(&folder.0).unwrap_err().to_string();
    assert!(refused(machine(1)).contains("CPUs: 2"));
    let small = builder(2)
        .ram(32 << 20)
        .timing(Timing::Instructions { shift: 0 })
        .build(&FakeAccel::idle())
        .unwrap();
    assert!(refused(small).contains("RAM"));
    let extra = builder(2)
        .device("extra", 0x5000_0000, None, |_| {
            Box::new(ambidex_devices::misc::TestFinisher::new())
        })
        .build(&FakeAccel::idle());
    assert!(refused(extra.unwrap()).contains("devices"));
    let model = builder(2)
        .cpu_model("sifive-u54")
        .unwrap()
        .build(&FakeAccel::idle())
        .unwrap();
    assert!(refused(model).contains("-cpu"));
}

#[test]
fn damage_is_found() {
    let folder = Folder::new();
    lived().save(&folder.0).unwrap();
    let mut m = machine(2);
    let mut refuse = |file: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let path = folder.0.join(file);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        change(&mut bad);
        fs::write(&path, bad).unwrap();
        let result = m.restore(&folder.0);
        fs::write(&path, good).unwrap();
        result.expect_err(file).to_string()
    };
    assert!(refuse("manifest", &|b| b[0] = b'x').contains("manifest"));
    assert!(refuse("manifest", &|b| b[17] = b'9').contains("version 9"));
    assert!(refuse("manifest", &|b| b.truncate(60)).contains("section"));
    assert!(refuse("state.cbor", &|b| b[100] ^= 1).contains("checksum"));
    assert!(refuse("state.cbor", &|b| b.truncate(100)).contains("as long as"));
    assert!(refuse("ram0.raw", &|b| b[0x123_4560] ^= 1).contains("checksum"));
    assert!(refuse("ram0.raw", &|b| b.truncate(4096)).contains("length"));
    m.restore(&folder.0).unwrap();
    fs::remove_file(folder.0.join("ram0.raw")).unwrap();
    assert!(
        m.restore(&folder.0)
            .unwrap_err()
            .to_string()
            .contains("ram0.raw")
    );
}

#[test]
fn hostile_state_never_panics() {
    use proptest::prelude::*;
    let folder = Folder::new();
    let mut m = lived();
    m.save(&folder.0).unwrap();
    let good = fs::read(folder.0.join("state.cbor")).unwrap();
    let rest: String = fs::read_to_string(folder.0.join("manifest"))
        .unwrap()
        .lines()
        .filter(|l| !l.contains("state.cbor"))
        .map(|l| format!("{l}\n"))
        .collect();
    let target = std::cell::RefCell::new(machine(2));
    // The RAM is not read when the state is refused, and small enough when it is not.
    proptest!(ProptestConfig::with_cases(40), |(changes in prop::collection::vec((0..good.len(), any::<u8>()), 1..4))| {
        let mut bad = good.clone();
        for (at, byte) in changes {
            bad[at] = byte;
        }
        let mut sum = Sum::new();
        sum.bytes(&bad);
        fs::write(folder.0.join("state.cbor"), &bad).unwrap();
        fs::write(folder.0.join("manifest"), format!("{rest}section state.cbor {} {:016x}\n", bad.len(), sum.0)).unwrap();
        let _ = target.borrow_mut().restore(&folder.0);
    });
}
