//! A software CPU: guest instructions interpreted or translated to host machine code.
//!
//! See `ARCHITECTURE.md` of the workspace for the whole picture.

pub mod cache;
pub mod decode;
pub mod engine;
pub mod fp;
pub mod guest;
pub mod interp;
pub mod ir;
pub mod jit;
pub mod mmu;
pub mod regs;
pub mod sem;

pub use engine::Translator;
