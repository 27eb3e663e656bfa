//! Random RISC-V programs, run in two ways that must agree.
//!
//! [`program`] turns bytes into a small machine image: trap handlers, page tables, data, and code made of random valid instructions between
//! structured pieces (loops, calls, mode changes, code that rewrites itself). [`compare`] runs it in the interpreter and under another
//! configuration of the translator, stops both after the same numbers of instructions, and compares everything software can see.
//! The fuzz targets include this module by path.
#![allow(dead_code, reason = "the tests and the fuzz targets each use their part")]

pub mod asm;
pub mod compare;
pub mod image;
pub mod machine;
pub mod program;
