//! A toy timer with seeded faults, which proves that the harness finds each kind.

use super::contract;
use super::fuzz::{Encoder, What, blind, run};
use crate::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Fault {
    None,
    LineLostOnRestore,
    FieldNotSaved,
    ResetLeavesLine,
    DeadlineNotSaved,
    EndlessDma,
    PanicOnOffset,
    EdgeOnRestore,
    StuckDeadline,
    AcceptsAnyIndex,
    ResetForgetsField,
}

const SIZES: AccessSizes = AccessSizes { min: 2, max: 4 };
static REGIONS: [RegionSpec; 1] = [RegionSpec::mmio("toy", 0x20, SIZES)];

/// 0x0 LOAD (ns), 0x4 STATUS (w1c), 0x8 CHAIN (address of a list of next pointers; walked, last address kept),
/// 0xc SCRATCH, 0x10 slot index, 0x14 slot.
struct Toy {
    w: Wiring,
    s: State,
    slots: [u32; 4],
    fault: Fault,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct State {
    #[serde(default)]
    at: Option<u64>,
    #[serde(default)]
    expired: bool,
    #[serde(default)]
    last: u64,
    #[serde(default)]
    scratch: u32,
    #[serde(default)]
    index: u32,
}

impl Toy {
    fn new(w: Wiring, fault: Fault) -> Self {
        Self {
            w,
            s: State::default(),
            slots: [1, 2, 3, 4],
            fault,
        }
    }

    fn walk(&mut self, mut at: u64) {
        let limit = if self.fault == Fault::EndlessDma {
            u64::MAX
        } else {
            64
        };
        for _ in 0..limit {
            match self.w.dma.read_u16(at) {
                Ok(0) => break,
                Ok(next) => at = next.into(),
                Err(_) if self.fault == Fault::EndlessDma => {}
                Err(_) => break,
            }
        }
        self.s.last = at;
    }
}

impl Device for Toy {
    fn regions(&self) -> &[RegionSpec] {
        &REGIONS
    }
    fn read(&mut self, _: usize, offset: u64, size: u8) -> u64 {
        let v = match offset {
            4 => self.s.expired.into(),
            8 => self.s.last,
            0xc => self.s.scratch.into(),
            0x14 => self.slots[self.s.index as usize].into(),
            _ => 0,
        };
        v & if size == 2 { 0xffff } else { 0xffff_ffff }
    }
    fn write(&mut self, _: usize, offset: u64, _: u8, value: u64) -> Action {
        match offset {
            0 => self.s.at = Some(self.w.clock.now().saturating_add(value)),
            4 if value & 1 != 0 => {
                self.s.expired = false;
                self.w.irq.set(false);
            }
            8 => self.walk(value),
            0xc => self.s.scratch = value as u32,
            0xe => assert_ne!(self.fault, Fault::PanicOnOffset, "seeded"),
            0x10 => self.s.index = value as u32 & 3,
            _ => {}
        }
        Action::None
    }
    fn reset(&mut self, _: ResetKind) {
        let scratch = self.s.scratch;
        self.s = State::default();
        if self.fault == Fault::ResetForgetsField {
            self.s.scratch = scratch;
        }
        if self.fault != Fault::ResetLeavesLine {
            self.w.irq.set(false);
        }
    }
    fn deadline(&self) -> Option<Nanos> {
        self.s.at
    }
    fn tick(&mut self) {
        if self.s.at.is_some_and(|t| t <= self.w.clock.now()) {
            if self.fault != Fault::StuckDeadline {
                self.s.at = None;
            }
            self.s.expired = true;
            self.w.irq.set(true);
        }
    }
}

impl Snapshot for Toy {
    const ID: &'static str = "toy";
    const VERSION: u32 = 1;
    type State = State;
    fn save(&self) -> State {
        let mut s = self.s.clone();
        match self.fault {
            Fault::FieldNotSaved => s.scratch = 0,
            Fault::DeadlineNotSaved => s.at = None,
            _ => {}
        }
        s
    }
    fn restore(&mut self, s: State, _: u32) -> Result<(), RestoreError> {
        if s.index > 3 && self.fault != Fault::AcceptsAnyIndex {
            return Err(RestoreError::invalid("slot index above 3"));
        }
        match self.fault {
            Fault::LineLostOnRestore => {}
            Fault::EdgeOnRestore => self.w.irq.set(s.expired),
            _ => self.w.irq.set_restored(s.expired),
        }
        self.s = s;
        Ok(())
    }
}

const INPUTS: u64 = 4000;

fn found(fault: Fault) -> What {
    blind(INPUTS, 400, |w, _| Toy::new(w, fault))
        .expect_err("not found")
        .1
        .what
}

#[test]
fn sound_device_passes() {
    contract::check(|w| Toy::new(w, Fault::None));
    assert_eq!(blind(400, 400, |w, _| Toy::new(w, Fault::None)), Ok(()));
}

#[test]
fn state_faults_are_found() {
    for fault in [
        Fault::LineLostOnRestore,
        Fault::FieldNotSaved,
        Fault::DeadlineNotSaved,
    ] {
        assert!(matches!(found(fault), What::Diverged(_)), "{fault:?}");
    }
    assert_eq!(found(Fault::EdgeOnRestore), What::EdgeOnRestore(0));
}

#[test]
fn behaviour_faults_are_found() {
    assert_eq!(found(Fault::ResetLeavesLine), What::HighAfterReset(vec![0]));
    assert_eq!(found(Fault::EndlessDma), What::DmaBudget);
    assert!(matches!(found(Fault::PanicOnOffset), What::Panic(m) if m.contains("seeded")));
    assert!(matches!(
        found(Fault::StuckDeadline),
        What::StuckDeadline(_)
    ));
    assert!(matches!(found(Fault::AcceptsAnyIndex), What::Panic(m) if m.contains("out of bounds")));
}

#[test]
#[should_panic(expected = "state after a cold reset")]
fn contract_finds_a_field_that_survives_reset() {
    contract::check(|w| Toy::new(w, Fault::ResetForgetsField));
}

#[test]
fn encoded_input_does_what_it_says() {
    let seed = || {
        Encoder::new()
            .write(0, 0, 4, SIZES, 100)
            .deadline()
            .read(0, 4, 4, SIZES)
            .twin()
            .reset(ResetKind::Warm)
    };
    assert_eq!(run(&seed().finish(), |w| Toy::new(w, Fault::None)), Ok(()));
    let lost = run(&seed().finish(), |w| Toy::new(w, Fault::LineLostOnRestore)).unwrap_err();
    assert_eq!(lost.step, 3, "the twin is compared as soon as it is made");
    let kept = run(&seed().finish(), |w| Toy::new(w, Fault::ResetLeavesLine)).unwrap_err();
    assert_eq!((kept.step, kept.what), (4, What::HighAfterReset(vec![0])));
    // A list that points to itself, from memory nobody wrote.
    let cycle = Encoder::new()
        .pool(&[0x10, 0])
        .write(0, 8, 4, SIZES, 0)
        .memory(0x10, &[0x10, 0])
        .write(0, 8, 2, SIZES, 0x10);
    assert_eq!(
        run(&cycle.clone().finish(), |w| Toy::new(w, Fault::None)),
        Ok(())
    );
    let endless = run(&cycle.finish(), |w| Toy::new(w, Fault::EndlessDma)).unwrap_err();
    assert_eq!((endless.step, endless.what), (2, What::DmaBudget));
}
