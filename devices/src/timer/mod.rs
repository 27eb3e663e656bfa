//! Timers.

pub mod aclint;

pub use aclint::{Aclint, AclintConfig, HartLines, MtimeReader};
