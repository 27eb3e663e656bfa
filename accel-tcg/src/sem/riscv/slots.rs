//! Where RISC-V registers live in the register file ([`crate::regs::Context::slots`]).

use crate::sem::Slot;

/// Integer register `n`; `x(0)` exists only to hold the place: it is neither read nor written.
pub const fn x(n: u8) -> Slot {
    Slot(n & 31)
}

/// Floating-point register `n`, 64 bits, narrower values NaN-boxed.
pub const fn f(n: u8) -> Slot {
    Slot(32 + (n & 31))
}

/// Program counter.
pub const PC: Slot = Slot(64);
/// `fflags`: bits NX, UF, OF, DZ, NV from bit 0.
pub const FFLAGS: Slot = Slot(65);
/// `frm`, as written by the guest: values 5 to 7 are invalid.
pub const FRM: Slot = Slot(66);
/// Number of slots in use.
pub const COUNT: usize = 67;

/// Name of a slot, for listings.
pub fn name(slot: Slot) -> String {
    use crate::decode::riscv::{F_NAMES, X_NAMES};
    match slot.0 {
        n @ 0..=31 => X_NAMES[usize::from(n)].to_owned(),
        n @ 32..=63 => F_NAMES[usize::from(n) - 32].to_owned(),
        64 => "pc".to_owned(),
        65 => "fflags".to_owned(),
        66 => "frm".to_owned(),
        n => format!("slot{n}"),
    }
}
