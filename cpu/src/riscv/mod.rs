//! 64-bit RISC-V: everything a hart is, without executing anything.
//!
//! | module | what | specification |
//! | --- | --- | --- |
//! | [`state`] | the complete register file, saved and restored | |
//! | [`hart`] | privileged state: mode, CSRs, reset | Privileged, Machine- and Supervisor-Level ISA |
//! | [`csr`] | CSR addresses, access rules, WARL behaviour | Privileged, "CSRs" |
//! | [`trap`] | causes, trap entry, delegation | Privileged 3.1.7–3.1.9, 3.1.15 |
//! | [`interrupt`] | pending interrupts and their priority | Privileged 3.1.9, Sstc |
//! | [`xret`] | `mret`, `sret`, `wfi`, `sfence.vma` rules | Privileged 3.3 |
//! | [`mod@walk`] | page-table walks, a pure function | Privileged, "Supervisor-Level ISA" |
//! | [`pmp`] | physical memory protection | Privileged 3.7 |
//! | [`model`] | extension sets, named models, device-tree strings | |
//!
//! The execution engine keeps `x`, `f`, `pc`, `fflags`, `frm` where it likes and calls [`Hart`] for
//! CSR instructions, traps and returns; what it must supply (time, counters, `fcsr`, input pins)
//! it gives through [`CsrEnv`].

pub mod csr;
pub mod ext;
pub mod hart;
pub mod interrupt;
pub mod model;
pub mod pmp;
pub mod state;
pub mod status;
pub mod trap;
pub mod walk;
pub mod xret;

pub use csr::{CsrEffect, CsrEnv, CsrOp};
pub use ext::Ext;
pub use hart::{Hart, Priv, TranslationKey};
pub use interrupt::Interrupt;
pub use model::Model;
pub use pmp::{Pmp, PmpPage};
pub use state::{Fcsr, Reservation, State};
pub use trap::{Cause, Exception, Trap};
pub use walk::{
    Access, AddressMode, Mapping, Pbmt, Perms, PteFault, SliceMem, WalkConfig, WalkMem, probe, walk,
};
