//! Saving, restoring, refusing.

use super::*;
use ambidex_cpu::riscv::csr::addr;
use ambidex_cpu::riscv::{Access, Fcsr, Reservation, State};
use ambidex_cpu::{CpuState, StateError};
use ciborium::Value;

fn cbor<T: serde::Serialize>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    ciborium::into_writer(value, &mut out).unwrap();
    out
}

fn busy(model: Model) -> State {
    let mut s = State::new(model, 3, 0x8000_0000);
    s.x[5] = 7;
    s.f[31] = u64::MAX << 32;
    s.fcsr = Fcsr { fflags: 5, frm: 7 };
    s.reservation = Some(Reservation {
        gpa: 0x8000_0008,
        size: 8,
        value: 1,
    });
    s.waiting = true;
    for csr in 0..0x1000 {
        s.hart
            .csr_poke(csr, 0x8123_4567_89ab_cdef, &mut Env::default());
    }
    s
}

#[test]
fn round_trip_and_validity() {
    for name in Model::names() {
        let model: Model = name.parse().unwrap();
        let state = busy(model);
        assert_eq!(
            state.validate(&model),
            Ok(()),
            "what software wrote is valid"
        );
        let saved = CpuState::from(state.clone());
        let back: CpuState = ciborium::from_reader(&cbor(&saved)[..]).unwrap();
        // The generation of the PMP starts anew; nothing else may differ.
        let CpuState::Riscv64(back) = back else {
            unreachable!()
        };
        assert_eq!(cbor(&*back), cbor(&state));
        assert_eq!(back.validate(&model), Ok(()));
        assert_eq!(saved.pc(), 0x8000_0000);
    }
}

#[test]
fn any_software_written_state_is_valid() {
    for pattern in [u64::MAX, 0, 0x5555_5555_5555_5555, 0xaaaa_aaaa_aaaa_aaaa] {
        for text in [
            "max",
            "rv64,mmu=off",
            "sifive-u54,mmu=off,s=off",
            "sifive-u54,mmu=off,s=off,u=off",
            "max,pmp=off",
        ] {
            let model: Model = text.parse().unwrap();
            let mut s = State::new(model, 0, 0);
            for csr in 0..0x1000 {
                s.hart.csr_poke(csr, pattern, &mut Env::default());
            }
            assert_eq!(s.validate(&model), Ok(()), "{text} {pattern:#x}");
        }
    }
}

/// Replaces one field in the saved form.
fn with(state: &State, path: &[&str], value: Value) -> State {
    fn set(node: &mut Value, path: &[&str], value: Value) {
        let map = node.as_map_mut().unwrap();
        let entry = map
            .iter_mut()
            .find(|e| e.0.as_text() == Some(path[0]))
            .unwrap();
        if path.len() == 1 {
            entry.1 = value
        } else {
            set(&mut entry.1, &path[1..], value)
        }
    }
    let mut tree: Value = ciborium::from_reader(&cbor(state)[..]).unwrap();
    set(&mut tree, path, value);
    ciborium::from_reader(&cbor(&tree)[..]).unwrap()
}

#[test]
fn damaged_states_are_refused() {
    let model: Model = "rv64".parse().unwrap();
    let good = busy(model);
    let bad: &[(&[&str], u64, &str)] = &[
        (&["pc"], 1, "pc"),
        (&["fcsr", "fflags"], 32, "fflags"),
        (&["fcsr", "frm"], 8, "frm"),
        (&["reservation", "size"], 3, "reservation"),
        (&["reservation", "gpa"], 4, "reservation"),
        (&["hart", "mstatus"], 0, "mstatus"),
        (&["hart", "mstatus"], 0xa_0000_1000, "mstatus"),
        (&["hart", "mideleg"], 8, "mideleg"),
        (&["hart", "medeleg"], 1 << 11, "medeleg"),
        (&["hart", "mie"], 1, "mie"),
        (&["hart", "mip"], 8, "mip"),
        (&["hart", "mtvec"], 2, "mtvec"),
        (&["hart", "sepc"], 1, "sepc"),
        (&["hart", "menvcfg"], 2, "menvcfg"),
        (&["hart", "senvcfg"], 2 << 4, "senvcfg"),
        (&["hart", "satp"], 11 << 60, "satp"),
    ];
    for &(path, value, name) in bad {
        let error = with(&good, path, Value::from(value))
            .validate(&model)
            .unwrap_err();
        assert!(
            matches!(error, StateError::Value { register, .. } if register == name),
            "{error}"
        );
    }
    let error = with(&good, &["version"], Value::from(99))
        .validate(&model)
        .unwrap_err();
    assert_eq!(
        error,
        StateError::Version {
            found: 99,
            known: 1
        }
    );
    let mut x0 = good.clone();
    x0.x[0] = 1;
    assert!(x0.validate(&model).is_err());
    let other = "max".parse().unwrap();
    assert!(matches!(
        good.validate(&other),
        Err(StateError::Model { .. })
    ));
    let pmp = with(&good, &["hart", "pmp", "entries"], Value::from(200));
    assert!(pmp.validate(&model).is_err());
    assert!(
        !pmp.hart
            .pmp()
            .check(ambidex_memory::Gpa(0), 8, Access::Read, Priv::User),
        "and does not panic"
    );
}

#[test]
fn unknown_fields_are_ignored_and_missing_ones_default() {
    let model: Model = "rv64".parse().unwrap();
    let mut tree: Value = ciborium::from_reader(&cbor(&State::new(model, 0, 4))[..]).unwrap();
    let map = tree.as_map_mut().unwrap();
    map.retain(|e| !matches!(e.0.as_text(), Some("fcsr" | "waiting" | "reservation")));
    map.push((Value::from("novelty"), Value::from(1)));
    let back: State = ciborium::from_reader(&cbor(&tree)[..]).unwrap();
    assert_eq!(back, State::new(model, 0, 4));
}

#[test]
fn host_firmware_hands_over() {
    let model: Model = "rv64".parse().unwrap();
    let s = State::supervisor_start(model, 2, 0x8020_0000, 0x8800_0000);
    assert_eq!(
        (s.privilege(), s.x[10], s.x[11]),
        (Priv::Supervisor, 2, 0x8800_0000)
    );
    assert_eq!(s.validate(&model), Ok(()));
    assert_eq!(
        peek(&s.hart, addr::MEDELEG),
        0xb1ff,
        "ecall from S-mode stays with the host"
    );
    assert_eq!(peek(&s.hart, addr::MIDELEG), 0x222);
    assert_eq!(peek(&s.hart, addr::SATP), 0);
    assert_ne!(
        peek(&s.hart, addr::MENVCFG) >> 61 & 1,
        0,
        "Svadu alone: hardware updates"
    );
    let mut h = s.hart.clone();
    assert!(h.csr_read(addr::TIME, &mut Env::default()).is_ok());
    assert!(h.csr_read(addr::STIMECMP, &mut Env::default()).is_ok());
    assert!(h.pmp().check(
        ambidex_memory::Gpa(0x8000_0000),
        8,
        Access::Fetch,
        Priv::User
    ));
    let both: Model = "rv64,+svade".parse().unwrap();
    let s = State::supervisor_start(both, 0, 0, 0);
    assert_eq!(
        peek(&s.hart, addr::MENVCFG) >> 61 & 1,
        0,
        "both listed: faults until asked"
    );
}

#[test]
fn reset_state() {
    let s = State::new("rv64".parse().unwrap(), 9, 0x1000);
    assert_eq!(
        (s.privilege(), s.pc, s.hart.hartid()),
        (Priv::Machine, 0x1000, 9)
    );
    assert_eq!(peek(&s.hart, addr::MSTATUS), 0xa_0000_0000);
    for csr in [
        addr::MIE,
        addr::MIP,
        addr::MCAUSE,
        addr::SATP,
        addr::PMPCFG0,
        addr::MENVCFG,
    ] {
        assert_eq!(peek(&s.hart, csr), 0);
    }
    let mut h = busy("rv64".parse().unwrap()).hart;
    h.reset();
    assert_eq!(cbor(&h), cbor(&Hart::new("rv64".parse().unwrap(), 3)));
}
