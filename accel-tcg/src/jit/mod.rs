//! Compiling guest code to host machine code.

pub mod cpuid;
pub mod seam;
mod stub;
pub mod x64;

pub use seam::{CompileError, Compiled, ExitKind, LinkSite, Pair, RuntimeFns};
pub use stub::{Jit, JitConfig};
