//! Instruction decoders, written as tables of bit patterns.

pub mod pattern;
pub mod riscv;
