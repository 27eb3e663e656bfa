#![allow(missing_docs)]
use super::*;
use crate::fp::NanRule;
use crate::guest::ModeKey;
use crate::sem::*;
pub struct JitConfig {
    pub bytes: usize,
    pub features: cpuid::HostFeatures,
    pub fns: RuntimeFns,
    pub pinned: [Slot; 10],
    pub pc: Slot,
    pub fflags: Slot,
    pub frm: Slot,
    pub nan: NanRule,
    pub count: bool,
    pub pure: fn(HelperId) -> bool,
}
pub struct Jit;
impl Jit {
    pub fn new(_: JitConfig) -> Result<Jit, String> {
        Ok(Jit)
    }
    pub fn compile(&mut self, _: &crate::ir::Block, _: ModeKey) -> Result<Compiled, CompileError> {
        Err(CompileError::Unsupported)
    }
    pub fn evict(&mut self) -> std::ops::Range<u32> {
        0..0
    }
    pub fn link(&mut self, _: &LinkSite, _: u32, _: u32) {}
    pub fn unlink(&mut self, _: &LinkSite) {}
    pub fn host_address(&self, e: u32) -> u64 {
        e.into()
    }
    pub fn code_offset(&self, _: u64) -> Option<u32> {
        None
    }
    pub fn enter(&self, _: *mut crate::regs::Context, _: u64) -> ExitKind {
        ExitKind::Resync
    }
}
