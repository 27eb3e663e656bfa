//! A machine-code emitter for x86-64.
//!
//! It knows encodings and nothing else: no register allocation, no checks whether the host has an instruction (see
//! [`cpuid`](super::cpuid)). Emission is a handful of shifts and two 8-byte stores into a buffer allocated once, so a
//! block compiler can call it for every host instruction without thinking about it. The module is ordinary
//! portable Rust without `unsafe`; only running the result needs an x86-64 host.
//!
//! - [`Asm`] holds the buffer and the labels of the block in work. One is kept per compiler and [`Asm::reset`] between blocks.
//! - Integer methods take a [`Width`] first, scalar floating point ones an [`Fp`]; conditions are [`Cond`]. The
//!   generic forms ([`Asm::alu_rr`], [`Asm::shift_ri`], …) take the operation as a value; the named forms are the same with a constant.
//! - Method names end in the operand kinds, destination first: `r` general register, `x` SSE register, `m` memory, `i` immediate.
//! - [`Mem`] is a memory operand. The shortest displacement and immediate are chosen on emission.
//! - Jumps inside a block go to a [`Label`]. Jumps to other code use addresses in the space of the *origin* given to `reset`
//!   ([`Asm::jmp_to`]); these methods return the offset of the 4-byte displacement so that it can be patched later.
//! - Nothing fails while emitting. A block too large for the buffer, a label never bound or a short jump that is too
//!   long is reported by [`Asm::finish`].
//!
//! ```
//! use ambidex_accel_tcg::jit::x64::{Asm, Cond, Gpr, Mem, Scale, Width};
//!
//! // sum of the rsi 64-bit words at rdi
//! let mut a = Asm::new(4096);
//! a.reset(0x1000); // where the block will live in the code cache
//! let (head, out) = (a.label(), a.label());
//! a.zero(Gpr::Rax); // clobbers flags; mov_ri does not
//! a.test_rr(Width::W64, Gpr::Rsi, Gpr::Rsi);
//! a.jcc(Cond::E, out);
//! a.bind(head);
//! a.add_rm(Width::W64, Gpr::Rax, Mem::indexed(Gpr::Rdi, Gpr::Rsi, Scale::X8, -8));
//! a.dec_r(Width::W64, Gpr::Rsi);
//! a.jcc(Cond::Ne, head);
//! a.bind(out);
//! let site = a.jmp_to(0x800); // leaves the block; `site` can be handed to CodeBuf::patch_rel32
//! assert_eq!(site, a.len() - 4);
//! let code: &[u8] = a.finish()?;
//! assert_eq!(code.len(), 26);
//! # Ok::<(), ambidex_accel_tcg::jit::x64::AsmError>(())
//! ```

mod asm;
mod avx;
mod bit;
mod ctl;
mod enc;
mod int;
mod label;
mod reg;
mod sse;
mod sys;
#[cfg(test)]
mod tests;

pub use asm::{Asm, AsmError};
pub use enc::{Mem, Scale};
pub use int::{Alu, Shift};
pub use label::Label;
pub use reg::{Cond, Fp, Gpr, Width, Xmm};
