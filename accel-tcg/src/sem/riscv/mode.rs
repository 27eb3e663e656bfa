//! The part of the hart's mode that semantics depend on, packed into the engine's mode key.

/// Privilege level.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum Privilege {
    /// User.
    U = 0,
    /// Supervisor.
    S = 1,
    /// Machine.
    #[default]
    M = 3,
}

/// State of the floating-point unit, `mstatus.FS`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(u8)]
pub enum Fs {
    /// Off: floating-point instructions are illegal.
    #[default]
    Off = 0,
    /// Initial or Clean: a write must mark it dirty first.
    Clean = 2,
    /// Dirty.
    Dirty = 3,
}

/// What a block is compiled for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Mode {
    /// Privilege level.
    pub privilege: Privilege,
    /// Floating-point unit.
    pub fs: Fs,
    /// `frm` holds a valid rounding mode (0 to 4).
    pub frm_valid: bool,
    /// `frm`, if it is valid; 0 otherwise.
    pub frm: u8,
}

impl Mode {
    /// Bit set when `frm` is 5, 6 or 7.
    const FRM_INVALID: u32 = 1 << 4;
    /// The engine's bits for the rounding mode: the same as `ModeKey::RNE` and `ModeKey::ROUNDING_SHIFT`.
    const RNE: u32 = 1 << 31;
    const ROUNDING_SHIFT: u32 = 28;

    /// From the hart's state: privilege, `mstatus.FS` (0 to 3) and `frm`.
    pub const fn new(privilege: Privilege, fs: u8, frm: u64) -> Mode {
        let fs = match fs & 3 {
            0 => Fs::Off,
            3 => Fs::Dirty,
            _ => Fs::Clean,
        };
        Mode {
            privilege,
            fs,
            frm_valid: frm < 5,
            frm: if frm < 5 { frm as u8 } else { 0 },
        }
    }

    /// As bits of a mode key: privilege in bits 1 to 0, FS in 3 to 2, bit 4 when `frm` is invalid, bit 31 when it is
    /// round-to-nearest-even, else its number in bits 30 to 28. The others are zero.
    pub const fn to_bits(self) -> u32 {
        self.privilege as u32
            | (self.fs as u32) << 2
            | if self.frm_valid { 0 } else { Self::FRM_INVALID }
            | match (self.frm_valid, self.frm) {
                (false, _) => 0,
                (true, 0) => Self::RNE,
                (true, frm) => (frm as u32) << Self::ROUNDING_SHIFT,
            }
    }

    /// From the bits of a mode key; those not ours are ignored.
    pub const fn from_bits(bits: u32) -> Mode {
        Mode {
            privilege: match bits & 3 {
                0 => Privilege::U,
                1 => Privilege::S,
                _ => Privilege::M,
            },
            fs: match bits >> 2 & 3 {
                0 => Fs::Off,
                3 => Fs::Dirty,
                _ => Fs::Clean,
            },
            frm_valid: bits & Self::FRM_INVALID == 0,
            frm: if bits & Self::RNE != 0 {
                0
            } else {
                (bits >> Self::ROUNDING_SHIFT & 7) as u8
            },
        }
    }
}
