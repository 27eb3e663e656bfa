//! Watching guest code run ([`ambidex_cpu::Instrument`]).
//!
//! Block and edge hooks become a call at the head of each block when it is translated. Memory hooks keep the vCPU in the interpreter for as long as they
//! are set, since compiled accesses do not report themselves.

use std::sync::Arc;

use ambidex_cpu::{HookSet, Hooks, Instrument};

use super::core::Core;
use super::vcpu::TcgVcpu;
use crate::guest::Guest;
use crate::sem::HelperId;

/// The helper number of the call at a block's head.
pub const BLOCK_HOOK: HelperId = HelperId(u16::MAX);

/// Hooks of one vCPU.
#[derive(Clone, Default)]
pub struct HookState {
    hooks: Option<Arc<dyn Hooks>>,
    wanted: HookSet,
    last: u64,
}

impl HookState {
    /// Blocks are to be announced.
    pub fn blocks(&self) -> bool {
        self.hooks.is_some() && self.wanted.intersects(HookSet::BLOCK | HookSet::EDGE)
    }

    /// Accesses are to be announced.
    pub fn memory(&self) -> Option<&Arc<dyn Hooks>> {
        self.hooks
            .as_ref()
            .filter(|_| self.wanted.contains(HookSet::MEMORY))
    }

    /// Announces that a block begins.
    pub fn enter_block(&mut self, cpu: u32, pc: u64, insns: u32) {
        let Some(hooks) = &self.hooks else { return };
        if self.wanted.contains(HookSet::EDGE) {
            hooks.edge(cpu, self.last, pc);
        }
        if self.wanted.contains(HookSet::BLOCK) {
            hooks.block(cpu, pc, insns);
        }
        self.last = pc;
    }
}

impl<G: Guest> Core<G> {
    pub(super) fn set_hooks(&mut self, hooks: Option<Arc<dyn Hooks>>, wanted: HookSet) {
        self.hooks = HookState {
            hooks,
            wanted,
            last: 0,
        };
        // Blocks translated before know nothing of the hooks.
        self.forget_all_code();
    }
}

impl<G: Guest> Instrument for TcgVcpu<G> {
    fn set_hooks(&mut self, hooks: Arc<dyn Hooks>, wanted: HookSet) {
        self.core.set_hooks(Some(hooks), wanted);
    }

    fn clear_hooks(&mut self) {
        self.core.set_hooks(None, HookSet::empty());
    }
}
