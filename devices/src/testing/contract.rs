//! What every device has to keep, checked by driving it through [`Device`] only.

use super::TestHost;
use crate::{Action, Device, DynDevice, ResetKind, RestoreError, SavedState, TestWires, Wiring};

/// Puts a device without back ends through the contract.
///
/// # Panics
/// If the device breaks it; the message says where.
pub fn check<D: DynDevice>(make: impl Fn(Wiring) -> D) {
    check_with(|w, _| make(w));
}

/// Puts a device through the contract; back ends come from the [`TestHost`].
///
/// # Panics
/// If the device breaks it; the message says where.
pub fn check_with<D: DynDevice>(make: impl Fn(Wiring, &TestHost) -> D) {
    let build = || {
        let (wiring, wires) = Wiring::test();
        let host = TestHost::default();
        let device = make(wiring, &host);
        wires.memory.set_budget(Some(host.budget()));
        (device, wires, host)
    };
    regions(&build().0);
    let (mut d, wires, host) = build();
    assert_eq!(wires.irq.high(), [0; 0], "a new device holds a line high");
    let fresh = d.save_bytes();

    any_access(&mut d, &wires, &host);
    reset(&mut d, &wires, ResetKind::Warm);
    for pattern in [u64::MAX, 0x5555_5555_5555_5555, 1, 0] {
        scribble(&mut d, &wires, &host, pattern);
        deadlines(&mut d, &wires);
    }
    reset(&mut d, &wires, ResetKind::Cold);

    // Cold reset forgets everything: compare with a new device at the same time 0.
    let (mut d, wires, host) = build();
    for pattern in [u64::MAX, 0x1234_5678_9abc_def0, 1] {
        scribble(&mut d, &wires, &host, pattern);
        twin(&d, &wires, &host, &make);
        wires.memory.set_budget(Some(host.budget()));
    }
    d.reset(ResetKind::Cold);
    let again = d.save_bytes();
    assert!(
        again == fresh,
        "state after a cold reset differs from that of a new device:\n{}\n{}",
        show(&again),
        show(&fresh)
    );
    damaged(&mut d);
}

fn show(s: &SavedState) -> String {
    format!(
        "{:?}",
        crate::snapshot::decode::<ciborium::Value>("any", &s.bytes)
    )
}

fn regions(d: &impl Device) {
    assert!(!d.regions().is_empty(), "a device has at least one region");
    for r in d.regions() {
        assert!(r.len > 0, "region {} is empty", r.name);
        let s = r.sizes;
        assert!(
            s.min.is_power_of_two() && s.max.is_power_of_two() && s.min <= s.max && s.max <= 8,
            "region {} has access sizes {s:?}",
            r.name
        );
    }
}

/// Offsets to visit: all of a small region; of a large one both ends, the hot ones and powers of two.
fn offsets(len: u64, host: &TestHost) -> Vec<u64> {
    if len <= 0x400 {
        return (0..len).collect();
    }
    let mut all: Vec<u64> = (0..0x100).chain(len - 0x100..len).collect();
    all.extend(
        (8..63)
            .map(|n| 1u64 << n)
            .flat_map(|p| [p - 8, p - 4, p, p + 4])
            .filter(|o| *o < len),
    );
    all.extend(host.hot_offsets().into_iter().filter(|o| *o < len));
    all.sort_unstable();
    all.dedup();
    all
}

fn any_access(d: &mut impl Device, wires: &TestWires, host: &TestHost) {
    for (index, r) in d.regions().to_vec().iter().enumerate() {
        for at in offsets(r.len, host) {
            for size in [1u8, 2, 4, 8] {
                wires.memory.set_budget(Some(host.budget()));
                let legal = r.sizes.allows(size)
                    && at.is_multiple_of(u64::from(size))
                    && at + u64::from(size) <= r.len;
                let v = d.read(index, at, size);
                assert!(
                    !legal || size == 8 || v >> (8 * u32::from(size)) == 0,
                    "read of {size} bytes at {at:#x} of {} returned {v:#x}",
                    r.name
                );
                let _ = d.write(index, at, size, u64::MAX);
                let _ = d.write(index, at, size, 0);
            }
        }
    }
    // Outside of everything.
    for (region, at, size) in [
        (0, u64::MAX, 1),
        (0, u64::MAX - 7, 8),
        (usize::MAX, 0, 4),
        (0, 1 << 40, 4),
        (0, 0, 0),
        (0, 0, 255),
    ] {
        let _ = d.read(region, at, size);
        let _ = d.write(region, at, size, u64::MAX);
    }
    d.event(0);
    d.event(u32::MAX);
    d.tick();
}

fn scribble(d: &mut impl Device, wires: &TestWires, host: &TestHost, pattern: u64) {
    for (index, r) in d.regions().to_vec().iter().enumerate() {
        for at in offsets(r.len, host) {
            for size in r
                .sizes
                .iter()
                .filter(|s| at.is_multiple_of(u64::from(*s)) && at + u64::from(*s) <= r.len)
            {
                wires.memory.set_budget(Some(host.budget()));
                let value = if size == 8 {
                    pattern
                } else {
                    pattern & ((1 << (8 * u32::from(size))) - 1)
                };
                if !matches!(d.write(index, at, size, value), Action::None) {
                    break;
                }
            }
        }
    }
}

fn reset(d: &mut impl DynDevice, wires: &TestWires, kind: ResetKind) {
    d.reset(kind);
    assert_eq!(
        wires.irq.high(),
        [0; 0],
        "a line is high after a {kind:?} reset"
    );
    let once = d.save_bytes();
    d.reset(kind);
    assert!(
        d.save_bytes() == once,
        "a second {kind:?} reset changes the state again"
    );
}

fn deadlines(d: &mut impl Device, wires: &TestWires) {
    for _ in 0..50 {
        let Some(at) = d.deadline() else { return };
        wires.clock.advance_to(at);
        d.tick();
        let now = crate::TimeSource::now(&wires.clock);
        assert!(
            d.deadline().is_none_or(|next| next > now),
            "tick at {now} left the deadline at {:?}",
            d.deadline()
        );
        if now == u64::MAX {
            return;
        }
    }
}

fn twin<D: DynDevice>(
    d: &D,
    wires: &TestWires,
    host: &TestHost,
    make: &impl Fn(Wiring, &TestHost) -> D,
) {
    let saved = d.save_bytes();
    let (wiring, other) = Wiring::test();
    let mut wiring = wiring;
    wiring.clock = wires.clock.clock();
    let mut twin = make(wiring, &host.fork());
    twin.restore_bytes(&saved)
        .expect("a device refuses its own saved state");
    assert!(
        other.irq.take().iter().all(|e| e.restored || !e.level),
        "restoring raised an edge"
    );
    assert_eq!(
        other.irq.high(),
        wires.irq.high(),
        "restored interrupt levels differ"
    );
    assert_eq!(twin.deadline(), d.deadline(), "restored deadline differs");
    assert!(
        twin.save_bytes() == saved,
        "restored state differs:\n{}\n{}",
        show(&twin.save_bytes()),
        show(&saved)
    );
}

fn damaged(d: &mut impl DynDevice) {
    let saved = d.save_bytes();
    for len in 0..saved.bytes.len() {
        let cut = SavedState {
            version: saved.version,
            bytes: saved.bytes[..len].to_vec(),
        };
        assert!(
            d.restore_bytes(&cut).is_err(),
            "state cut to {len} bytes was accepted"
        );
    }
    let mut longer = saved.clone();
    longer.bytes.push(0);
    assert!(
        d.restore_bytes(&longer).is_err(),
        "state with a byte behind it was accepted"
    );
    let newer = SavedState {
        version: saved.version + 1,
        bytes: saved.bytes.clone(),
    };
    assert!(
        matches!(d.restore_bytes(&newer), Err(RestoreError::Version { .. })),
        "state of a newer version was accepted"
    );
    assert_eq!(
        d.restore_bytes(&saved),
        Ok(()),
        "a device refuses its own saved state"
    );
}
