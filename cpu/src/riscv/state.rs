//! The complete state of a hart, as saved and restored.

use super::hart::{Hart, Priv};
use super::model::Model;
use crate::StateError;
use serde::{Deserialize, Serialize};

/// Newest version of [`State`] written and understood.
pub const VERSION: u32 = 1;

/// Everything software can observe of one hart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Version of this layout; see [`VERSION`].
    pub version: u32,
    /// Integer registers; `x[0]` is 0.
    pub x: [u64; 32],
    /// Floating-point registers; narrower values are NaN-boxed.
    #[serde(default)]
    pub f: [u64; 32],
    /// Address of the next instruction.
    pub pc: u64,
    /// Floating-point control and status.
    #[serde(default)]
    pub fcsr: Fcsr,
    /// Privileged state.
    pub hart: Hart,
    /// The reservation of the last `lr`, if it still stands.
    #[serde(default)]
    pub reservation: Option<Reservation>,
    /// The hart sits in `wfi`; `pc` is behind it.
    #[serde(default)]
    pub waiting: bool,
}

/// `fcsr` in its two parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Fcsr {
    /// Accrued exceptions, 5 bits.
    pub fflags: u8,
    /// Rounding mode, 3 bits; reserved modes can be held.
    pub frm: u8,
}

/// What an `lr` reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// Physical address.
    pub gpa: u64,
    /// Bytes: 4 or 8.
    pub size: u8,
    /// The value loaded.
    pub value: u64,
}

impl State {
    /// A hart just out of reset: M-mode at `pc`, registers zero.
    pub fn new(model: Model, hartid: u64, pc: u64) -> State {
        State {
            version: VERSION,
            x: [0; 32],
            f: [0; 32],
            pc,
            fcsr: Fcsr::default(),
            hart: Hart::new(model, hartid),
            reservation: None,
            waiting: false,
        }
    }

    /// A hart as SBI firmware hands it to a kernel: S-mode at `pc`, translation off, interrupts
    /// disabled, `a0` the hart id and `a1` opaque (device-tree address); everything but `ecall`
    /// from S-mode delegated. For boards whose firmware is the host.
    pub fn supervisor_start(model: Model, hartid: u64, pc: u64, opaque: u64) -> State {
        let mut state = State::new(model, hartid, pc);
        state.hart.hand_over();
        state.x[10] = hartid;
        state.x[11] = opaque;
        state
    }

    /// The current privilege.
    pub fn privilege(&self) -> Priv {
        self.hart.privilege()
    }

    /// Whether a hart of `model` can be in this state; the first field that cannot hold its value
    /// is named.
    pub fn validate(&self, model: &Model) -> Result<(), StateError> {
        if self.version > VERSION || self.version == 0 {
            return Err(StateError::Version {
                found: self.version,
                known: VERSION,
            });
        }
        let bad = |register, value| Err(StateError::Value { register, value });
        if self.x[0] != 0 {
            return bad("x0", self.x[0]);
        }
        if self.fcsr.fflags > 31 {
            return bad("fflags", self.fcsr.fflags.into());
        }
        if self.fcsr.frm > 7 {
            return bad("frm", self.fcsr.frm.into());
        }
        if let Some(r) = self.reservation
            && (!matches!(r.size, 4 | 8) || r.gpa % u64::from(r.size) != 0)
        {
            return bad("reservation", r.gpa);
        }
        self.hart.validate(model)?;
        if self.pc & !self.hart.epc_mask() != 0 {
            return bad("pc", self.pc);
        }
        Ok(())
    }
}
