//! Compiling guest code to host machine code.

pub mod cpuid;
pub mod x64;
