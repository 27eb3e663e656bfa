//! The compiler as its owner sees it: code buffer, linking, entering.

use super::cpuid::HostFeatures;
use super::seam::{CompileError, Compiled, ExitKind, LinkSite, RuntimeFns};
use super::t1::Buffers;
use super::thunks::{self, Thunks};
use super::x64::{Asm, AsmError};
use super::{entry, t1};
use crate::cache::codebuf::{CodeBuf, CodeBufError};
use crate::fp::NanRule;
use crate::guest::ModeKey;
use crate::ir::Block;
use crate::regs::{Context, SLOTS};
use crate::sem::{HelperId, Slot};
use std::ops::Range;
use thiserror::Error;

/// Longest host code of one block, in bytes.
const MAX_BLOCK: usize = 64 << 10;

/// What the compiler must know about host, guest and engine.
#[derive(Clone, Debug)]
pub struct JitConfig {
    /// Size of the code buffer, in bytes.
    pub bytes: usize,
    /// Host instructions to use.
    pub features: HostFeatures,
    /// What compiled code calls.
    pub fns: RuntimeFns,
    /// Registers kept in host registers.
    pub pinned: [Slot; 10],
    /// The program counter.
    pub pc: Slot,
    /// Accumulated floating-point flags.
    pub fflags: Slot,
    /// Dynamic rounding direction.
    pub frm: Slot,
    /// NaN rule of arithmetic.
    pub nan: NanRule,
    /// Count instructions in [`Context::fuel`].
    pub count: bool,
    /// Whether a helper reads and writes no register slot and cannot stop.
    pub pure: fn(HelperId) -> bool,
}

/// Why there is no compiler.
#[derive(Debug, Error)]
pub enum JitError {
    /// No executable memory.
    #[error(transparent)]
    CodeBuf(#[from] CodeBufError),
    /// The common code does not fit.
    #[error(
        "the common code of the translator does not fit into a code buffer of {bytes} bytes; choose a larger one"
    )]
    TooSmall {
        /// Size asked for.
        bytes: usize,
    },
    /// The common code cannot be generated.
    #[error("cannot generate the common code of the translator: {0}")]
    Asm(#[from] AsmError),
    /// A slot that does not exist.
    #[error("guest register slot {slot} is outside the register file of {SLOTS} slots")]
    Slot {
        /// Its number.
        slot: u8,
    },
}

/// The compiler of one virtual CPU, with the code it made.
#[derive(Debug)]
pub struct Jit {
    code: CodeBuf,
    asm: Asm,
    buffers: Buffers,
    thunks: Thunks,
    cfg: JitConfig,
}

impl Jit {
    /// A compiler with an empty code buffer.
    ///
    /// # Errors
    /// See [`JitError`].
    pub fn new(cfg: JitConfig) -> Result<Jit, JitError> {
        for s in cfg.pinned.iter().chain([&cfg.pc, &cfg.fflags, &cfg.frm]) {
            if usize::from(s.0) >= SLOTS {
                return Err(JitError::Slot { slot: s.0 });
            }
        }
        let mut code = CodeBuf::new(cfg.bytes)?;
        let (bytes, thunks) = thunks::generate(&cfg, 0)?;
        let at = code
            .reserve(bytes.len())
            .ok_or(JitError::TooSmall { bytes: cfg.bytes })?;
        code.write(at, &bytes)?;
        let capacity = MAX_BLOCK.min(code.slab().len);
        Ok(Jit {
            code,
            asm: Asm::new(capacity),
            buffers: Buffers::new(&cfg),
            thunks,
            cfg,
        })
    }

    /// Compiles a block and puts its code into the current slab.
    ///
    /// # Errors
    /// [`CompileError::Full`] if the slab has no room: [`Jit::evict`], then try again.
    pub fn compile(&mut self, ir: &Block, mode: ModeKey) -> Result<Compiled, CompileError> {
        let origin = self.code.next_offset();
        self.asm.reset(origin as u64);
        let (links, side) = t1::compile(
            &mut self.asm,
            &mut self.buffers,
            &self.cfg,
            &self.thunks,
            ir,
            mode,
        )?;
        let bytes = self.asm.finish().map_err(|_| CompileError::Unsupported)?;
        match self.code.append(bytes) {
            Ok(Some(at)) => {
                debug_assert_eq!(at, origin);
                Ok(Compiled {
                    entry: at as u32,
                    end: (at + bytes.len()) as u32,
                    links,
                    side,
                })
            }
            Ok(None) => Err(CompileError::Full),
            Err(_) => Err(CompileError::Unsupported),
        }
    }

    /// Empties the oldest slab; returns the offsets that hold no code any more.
    pub fn evict(&mut self) -> Range<u32> {
        let r = self.code.next_slab();
        r.start as u32..r.end as u32
    }

    /// Lets a link go straight to the code of its target, which is valid where the target's page has execution id `xid` (only looked at by
    /// links to other pages).
    pub fn link(&mut self, link: &LinkSite, entry: u32, xid: u32) {
        if let Some(at) = link.cross_page {
            self.write(at, xid);
        }
        self.patch(link.site, entry);
    }

    /// Lets a link go to its exit stub again.
    pub fn unlink(&mut self, link: &LinkSite) {
        if let Some(at) = link.cross_page {
            self.write(at, u32::MAX);
        }
        self.patch(link.site, link.stub);
    }

    fn write(&mut self, at: u32, word: u32) {
        let ok = self.code.write(at as usize, &word.to_le_bytes());
        debug_assert!(ok.is_ok());
    }

    fn patch(&mut self, site: u32, target: u32) {
        let ok = self.code.patch_rel32(site as usize, target as usize);
        debug_assert!(ok.is_ok());
    }

    /// The address at which the code at an offset can be entered.
    #[inline]
    pub fn host_address(&self, entry: u32) -> u64 {
        self.code.rx_base() as u64 + u64::from(entry)
    }

    /// The offset of an address in the code buffer, `None` for any other address.
    #[inline]
    pub fn code_offset(&self, host: u64) -> Option<u32> {
        self.code.rx_to_offset(host as *const u8).map(|x| x as u32)
    }

    /// The bytes of the code in a range of offsets.
    pub fn code_bytes(&self, range: Range<u32>) -> Vec<u8> {
        let mut bytes = vec![0; range.len()];
        match self.code.read(range.start as usize, &mut bytes) {
            Ok(()) => bytes,
            Err(_) => Vec::new(),
        }
    }

    /// Runs compiled code until it leaves.
    ///
    /// This is the engine's gate and safe by contract: `ctx` points to a live [`Context`] that no reference borrows, with
    /// [`Context::bank`] set to the address of the current bank and [`Context::owner`] to what the runtime functions expect; `host` is
    /// [`Jit::host_address`] of a block that was not evicted since.
    #[inline]
    #[expect(unsafe_code, reason = "entering compiled code")]
    #[expect(
        clippy::not_unsafe_ptr_arg_deref,
        reason = "the documented contract of the gate"
    )]
    pub fn enter(&self, ctx: *mut Context, host: u64) -> ExitKind {
        let thunk = self.code.rx_base().wrapping_add(self.thunks.enter as usize);
        debug_assert!(self.code_offset(host).is_some());
        // SAFETY: the thunk was generated by `new` and lies in the reserved part of the buffer; the rest is the documented contract.
        unsafe { entry::enter(thunk, ctx, host) }
    }
}
