//! Saved states, which are untrusted.

use ambidex_cpu::CpuState;
use ambidex_devices::testing::TestHost;
use ambidex_devices::{DynDevice, SavedState, Wiring};

use crate::device::{make_aclint, make_htif, make_plic, make_rtc, make_uart};
use crate::riscv_diff::compare::reference;
use crate::riscv_diff::machine::Machine;
use crate::riscv_diff::program::{Event, Program};

/// CBOR of a vCPU's state: refused, or restored, run, and saved.
pub fn cpu_state(data: &[u8]) {
    let Ok(state) = ciborium::de::from_reader_with_recursion_limit::<CpuState, _>(data, 32) else { return };
    let p = Program::new(&[]);
    let mut m = Machine::new(&reference(), &p);
    if let Err(e) = m.cpu.restore(&state) {
        let _ = e.to_string();
        return;
    }
    m.run(Some(200), Event::None);
    let saved = m.state();
    m.cpu.restore(&saved.clone().into()).expect("what was saved can be restored");
    assert_eq!(m.state(), saved, "restored and saved again");
}

/// CBOR of a device's state into a device: refused, or taken, and then it is what is saved. The first byte chooses the device.
pub fn device_state(data: &[u8]) {
    let Some((&which, bytes)) = data.split_first() else { return };
    let mut d = fresh(which);
    let before = d.save_bytes();
    let saved = SavedState { version: before.version, bytes: bytes.to_vec() };
    match d.restore_bytes(&saved) {
        Err(e) => {
            let _ = e.to_string();
            assert_eq!(d.save_bytes(), before, "a refused state leaves the device alone");
        }
        Ok(()) => {
            let taken = d.save_bytes();
            d.restore_bytes(&taken).expect("what was saved can be restored");
            assert_eq!(d.save_bytes(), taken);
            d.tick();
            for (n, r) in d.regions().to_vec().iter().enumerate() {
                let size = r.sizes.min;
                let at = u64::from(which) * u64::from(size) % r.len;
                let at = at / u64::from(size) * u64::from(size);
                let value = d.read(n, at, size);
                let _ = d.write(n, at, size, value);
            }
        }
    }
}

/// A device at reset, by number.
pub fn fresh(which: u8) -> Box<dyn DynDevice> {
    let host = TestHost::default();
    let (w, _wires) = Wiring::test();
    match which % 5 {
        0 => Box::new(make_uart(w, &host)),
        1 => Box::new(make_plic(w, &host)),
        2 => Box::new(make_aclint(w, &host)),
        3 => Box::new(make_rtc(w, &host)),
        _ => Box::new(make_htif(w, &host)),
    }
}
