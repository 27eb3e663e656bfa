//! A software CPU: guest instructions interpreted or translated to host machine code.
//!
//! See `ARCHITECTURE.md` of the workspace for the whole picture.

pub mod cache;
pub mod decode;
pub mod fp;
pub mod ir;
pub mod jit;
pub mod regs;
pub mod sem;
