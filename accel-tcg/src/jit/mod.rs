//! Compiling guest code to host machine code.
//!
//! [`Jit`] is the compiler with its code buffer: [`Jit::compile`] turns an [`ir::Block`](crate::ir::Block) into host code in one pass,
//! [`Jit::link`] joins blocks, [`Jit::enter`] runs them. The rules that compiled code and the engine keep towards each other:
//!
//! - `r15` points at [`Context::slots`](crate::regs::Context::slots)`[BASE_SLOT]`, `r14` at the current
//!   [`Bank`](crate::mmu::bank::Bank), `rsp` at a fixed frame; `rax`, `rcx`, `rdx` and all SSE registers are free inside a block.
//! - Ten host registers hold the guest's pinned registers at every block edge and every point that may fault; all other guest
//!   registers are in their slots. So the guest state is exact wherever a runtime function is called, and only the program
//!   counter must be found, from the host return address.
//! - MXCSR is the default one; its sticky flags are part of the guest's flag slot until the next exit or non-pure helper call.

pub mod cpuid;
mod entry;
mod link;
pub mod seam;
mod t1;
mod thunks;
pub mod x64;

pub use link::{Jit, JitConfig, JitError};
pub use seam::{CompileError, Compiled, ExitKind, LinkSite, Pair, RuntimeFns};
#[cfg(all(test, target_arch = "x86_64", target_os = "linux"))]
mod tests;
