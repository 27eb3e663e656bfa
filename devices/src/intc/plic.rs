//! The RISC-V platform-level interrupt controller.
//!
//! Written from the RISC-V Platform-Level Interrupt Controller Specification 1.0.0: chapter 3 (memory map), 4
//! (priorities), 5 (pending bits), 6 (enables), 7 (thresholds), 8 (claim), 9 (completion) and 1.2 (gateways), with
//! level-triggered gateways for all sources.
//!
//! Not implemented: edge-triggered gateways.
//!
//! # Locking
//!
//! Other devices raise lines while the controller itself may be locked by a CPU that claims. All state is therefore in
//! [`PlicInputs`], behind a mutex of its own that is held only while a register or a line changes, and while the outputs
//! are set, so that a CPU sees them change in order. Outputs lead to CPU pins, which never call back.

use crate::{
    AccessSizes, Action, Device, IrqLine, IrqTarget, RegionSpec, ResetKind, RestoreError, Snapshot,
};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The memory map of chapter 3.
mod spec {
    pub const PRIORITY_END: u64 = 0x1000;
    pub const PENDING: u64 = 0x1000;
    pub const PENDING_END: u64 = 0x1080;
    pub const ENABLE: u64 = 0x2000;
    pub const ENABLE_STRIDE: u64 = 0x80;
    pub const ENABLE_END: u64 = 0x1f_2000;
    pub const CONTEXT: u64 = 0x20_0000;
    pub const CONTEXT_STRIDE: u64 = 0x1000;
    pub const THRESHOLD: u64 = 0;
    pub const CLAIM: u64 = 4;
    /// Contexts the map has room for.
    pub const MAX_CONTEXTS: u32 = 15_872;
    /// Interrupt sources, 0 meaning none.
    pub const MAX_SOURCES: u32 = 1024;
}
use spec::*;

const WORDS: usize = 32;

/// What a PLIC is built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlicConfig {
    /// Number of sources, including the source 0 that does not exist: 2 to 1024.
    pub sources: u32,
    /// The highest priority: a power of two minus one. Priorities and thresholds are held in so many bits.
    pub max_priority: u32,
}

impl Default for PlicConfig {
    /// 96 sources and priorities 0 to 7, as on common virtual boards.
    fn default() -> Self {
        Self {
            sources: 96,
            max_priority: 7,
        }
    }
}

/// Saved state of a [`Plic`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    priority: Vec<u32>,
    /// Levels of the sources.
    level: Vec<u32>,
    pending: Vec<u32>,
    /// Claimed and not completed: the gateway is closed.
    claimed: Vec<u32>,
    contexts: Vec<Context>,
}

/// Registers of one context (a hart's privilege mode).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Context {
    enable: Vec<u32>,
    threshold: u32,
}

fn bit(words: &[u32], n: u32) -> bool {
    words
        .get(n as usize / 32)
        .is_some_and(|w| w >> (n % 32) & 1 != 0)
}

fn set_bit(words: &mut [u32], n: u32, to: bool) {
    if let Some(w) = words.get_mut(n as usize / 32) {
        *w = *w & !(1 << (n % 32)) | u32::from(to) << (n % 32);
    }
}

struct Core {
    config: PlicConfig,
    outputs: Vec<IrqLine>,
    s: State,
}

impl Core {
    fn initial(config: PlicConfig, contexts: usize) -> State {
        State {
            priority: vec![0; config.sources as usize],
            level: vec![0; WORDS],
            pending: vec![0; WORDS],
            claimed: vec![0; WORDS],
            contexts: vec![
                Context {
                    enable: vec![0; WORDS],
                    threshold: 0
                };
                contexts
            ],
        }
    }

    /// The pending, enabled source of the highest priority, the lowest number among equals (chapter 4), if its
    /// priority is above `threshold`.
    fn best(&self, context: &Context, threshold: u32) -> u32 {
        let (mut best, mut best_priority) = (0, threshold);
        for (n, (p, e)) in self.s.pending.iter().zip(&context.enable).enumerate() {
            let mut ready = p & e;
            while ready != 0 {
                let source = n as u32 * 32 + ready.trailing_zeros();
                let priority = self.s.priority.get(source as usize).copied().unwrap_or(0);
                if priority > best_priority {
                    (best, best_priority) = (source, priority);
                }
                ready &= ready - 1;
            }
        }
        best
    }

    fn outputs(&self) -> impl Iterator<Item = (&IrqLine, bool)> {
        self.outputs
            .iter()
            .zip(&self.s.contexts)
            .map(|(line, c)| (line, self.best(c, c.threshold) != 0))
    }

    fn update(&self) {
        for (line, level) in self.outputs() {
            line.set(level);
        }
    }

    fn exists(&self, source: u32) -> bool {
        source > 0 && source < self.config.sources
    }

    fn set_level(&mut self, source: u32, level: bool) {
        if !self.exists(source) {
            return;
        }
        set_bit(&mut self.s.level, source, level);
        // 1.2: once the gateway has forwarded a request, lowering the level does not take it back.
        if level && !bit(&self.s.claimed, source) && !bit(&self.s.pending, source) {
            set_bit(&mut self.s.pending, source, true);
            self.update();
        }
    }

    fn claim(&mut self, context: usize) -> u32 {
        let Some(c) = self.s.contexts.get(context) else {
            return 0;
        };
        // Chapter 8: a claim is not affected by the threshold.
        let source = self.best(c, 0);
        if source != 0 {
            set_bit(&mut self.s.pending, source, false);
            set_bit(&mut self.s.claimed, source, true);
            self.update();
        }
        source
    }

    fn complete(&mut self, context: usize, source: u32) {
        // Chapter 9: a completion of a source that is not enabled for the context is ignored.
        let enabled = self
            .s
            .contexts
            .get(context)
            .is_some_and(|c| bit(&c.enable, source));
        if self.exists(source) && enabled && bit(&self.s.claimed, source) {
            set_bit(&mut self.s.claimed, source, false);
            let level = bit(&self.s.level, source);
            self.set_level(source, level);
        }
    }

    /// The sources of word `n` that exist.
    fn mask(&self, n: usize) -> u32 {
        let first = n as u32 * 32;
        let mut mask = match self.config.sources.saturating_sub(first) {
            0 => 0,
            count @ 1..32 => (1 << count) - 1,
            _ => u32::MAX,
        };
        if n == 0 {
            mask &= !1;
        }
        mask
    }

    fn read(&mut self, at: u64) -> u32 {
        let word = |words: &[u32], n: u64| words.get(n as usize).copied().unwrap_or(0);
        match at {
            0..PRIORITY_END => word(&self.s.priority, at / 4),
            PENDING..PENDING_END => word(&self.s.pending, (at - PENDING) / 4),
            ENABLE..ENABLE_END => {
                let at = at - ENABLE;
                let context = self.s.contexts.get((at / ENABLE_STRIDE) as usize);
                context.map_or(0, |c| word(&c.enable, at % ENABLE_STRIDE / 4))
            }
            CONTEXT.. => {
                let context = ((at - CONTEXT) / CONTEXT_STRIDE) as usize;
                match at % CONTEXT_STRIDE {
                    THRESHOLD => self.s.contexts.get(context).map_or(0, |c| c.threshold),
                    CLAIM => self.claim(context),
                    _ => 0,
                }
            }
            _ => 0,
        }
    }

    fn write(&mut self, at: u64, value: u32) {
        let max = self.config.max_priority;
        match at {
            4..PRIORITY_END => {
                if let Some(p) = self.s.priority.get_mut((at / 4) as usize) {
                    *p = value & max;
                }
            }
            ENABLE..ENABLE_END => {
                let n = (at - ENABLE) % ENABLE_STRIDE / 4;
                let mask = self.mask(n as usize);
                let context = self
                    .s
                    .contexts
                    .get_mut(((at - ENABLE) / ENABLE_STRIDE) as usize);
                if let Some(word) = context.and_then(|c| c.enable.get_mut(n as usize)) {
                    *word = value & mask;
                }
            }
            CONTEXT.. => {
                let context = ((at - CONTEXT) / CONTEXT_STRIDE) as usize;
                match at % CONTEXT_STRIDE {
                    THRESHOLD => {
                        if let Some(c) = self.s.contexts.get_mut(context) {
                            c.threshold = value & max;
                        }
                    }
                    CLAIM => self.complete(context, value),
                    _ => {}
                }
            }
            _ => {}
        }
        self.update();
    }
}

/// The interrupt inputs of a [`Plic`]: line `n` is source `n`. Lines 0 and beyond the last source lead nowhere.
pub struct PlicInputs(Mutex<Core>);

impl PlicInputs {
    fn lock(&self) -> MutexGuard<'_, Core> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IrqTarget for PlicInputs {
    fn set_irq(&self, line: u32, level: bool) {
        self.lock().set_level(line, level);
    }

    /// Notes the level. Whether it became a request is part of the controller's own state.
    fn restore_irq(&self, line: u32, level: bool) {
        let mut core = self.lock();
        if core.exists(line) {
            set_bit(&mut core.s.level, line, level);
        }
    }
}

/// A platform-level interrupt controller.
pub struct Plic {
    inputs: Arc<PlicInputs>,
    regions: [RegionSpec; 1],
}

impl Plic {
    /// A controller after reset. `outputs[n]` is the interrupt pin of context `n`; at most 15872 are used.
    #[must_use]
    pub fn new(config: PlicConfig, mut outputs: Vec<IrqLine>) -> Self {
        outputs.truncate(MAX_CONTEXTS as usize);
        let config = PlicConfig {
            sources: config.sources.clamp(2, MAX_SOURCES),
            max_priority: config.max_priority.max(1),
        };
        let len = CONTEXT + CONTEXT_STRIDE * outputs.len().max(1) as u64;
        let s = Core::initial(config, outputs.len());
        Self {
            inputs: Arc::new(PlicInputs(Mutex::new(Core { config, outputs, s }))),
            // Boards reserve a power of two and the registers beyond read as zero.
            regions: [RegionSpec::mmio(
                "plic",
                len.next_power_of_two(),
                AccessSizes::WORD32,
            )],
        }
    }

    /// The inputs, to build [`IrqLine`]s into.
    #[must_use]
    pub fn inputs(&self) -> Arc<PlicInputs> {
        self.inputs.clone()
    }
}

impl Device for Plic {
    fn regions(&self) -> &[RegionSpec] {
        &self.regions
    }

    fn read(&mut self, _region: usize, offset: u64, size: u8) -> u64 {
        if size != 4 || !offset.is_multiple_of(4) {
            return 0;
        }
        self.inputs.lock().read(offset).into()
    }

    fn write(&mut self, _region: usize, offset: u64, size: u8, value: u64) -> Action {
        if size == 4 && offset.is_multiple_of(4) {
            self.inputs.lock().write(offset, value as u32);
        }
        Action::None
    }

    /// The levels of the inputs belong to the devices that drive them and stay; with all sources disabled the outputs
    /// are low all the same.
    fn reset(&mut self, _kind: ResetKind) {
        let mut core = self.inputs.lock();
        let level = std::mem::take(&mut core.s.level);
        core.s = Core::initial(core.config, core.outputs.len());
        // A source that is high asks again at once.
        core.s.pending.clone_from(&level);
        core.s.level = level;
        core.update();
    }
}

impl Snapshot for Plic {
    const ID: &'static str = "plic";
    const VERSION: u32 = 1;
    type State = State;

    fn save(&self) -> State {
        self.inputs.lock().s.clone()
    }

    fn restore(&mut self, mut s: State, _version: u32) -> Result<(), RestoreError> {
        let mut core = self.inputs.lock();
        let fits = s.priority.len() == core.config.sources as usize
            && [&s.level, &s.pending, &s.claimed]
                .into_iter()
                .chain(s.contexts.iter().map(|c| &c.enable))
                .all(|w| w.len() == WORDS)
            && s.contexts.len() == core.outputs.len();
        if !fits {
            return Err(RestoreError::invalid(
                "the PLIC has other numbers of sources or contexts",
            ));
        }
        let max = core.config.max_priority;
        s.priority
            .iter_mut()
            .chain(s.contexts.iter_mut().map(|c| &mut c.threshold))
            .for_each(|p| *p &= max);
        let words = [&mut s.level, &mut s.pending, &mut s.claimed];
        for words in words
            .into_iter()
            .chain(s.contexts.iter_mut().map(|c| &mut c.enable))
        {
            words
                .iter_mut()
                .enumerate()
                .for_each(|(n, w)| *w &= core.mask(n));
        }
        core.s = s;
        for (line, level) in core.outputs() {
            line.set_restored(level);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestIrq, contract, fuzz};
    use crate::{TestWires, Wiring};

    const HOT: [u64; 14] = [
        0x4, 0x8, 0x28, 0x1000, 0x1004, 0x2000, 0x2004, 0x2080, 0x2084, 0x20_0000, 0x20_0004,
        0x20_1000, 0x20_1004, 0x2f_fffc,
    ];

    fn plic(contexts: u32) -> (Plic, Arc<PlicInputs>, Arc<TestIrq>) {
        let wires = TestWires::default();
        let w = wires.wiring();
        let p = Plic::new(
            PlicConfig::default(),
            (0..contexts).map(|n| w.irq.sibling(n)).collect(),
        );
        let inputs = p.inputs();
        (p, inputs, wires.irq)
    }

    fn get(p: &mut Plic, at: u64) -> u32 {
        p.read(0, at, 4) as u32
    }
    fn put(p: &mut Plic, at: u64, v: u32) {
        let _ = p.write(0, at, 4, v.into());
    }

    #[test]
    fn claims_the_highest_priority_then_the_lowest_number() {
        let (mut p, lines, cpu) = plic(1);
        put(&mut p, 0x2000, u32::MAX);
        assert_eq!(get(&mut p, 0x2000), u32::MAX - 1, "source 0 does not exist");
        for (source, priority) in [(3, 1), (5, 7), (9, 7), (10, 0)] {
            put(&mut p, 4 * source, priority);
            lines.set_irq(source as u32, true);
        }
        assert!(cpu.level(0));
        assert_eq!(get(&mut p, 0x1000), 1 << 3 | 1 << 5 | 1 << 9 | 1 << 10);
        let claimed: Vec<u32> = (0..4).map(|_| get(&mut p, 0x20_0004)).collect();
        assert_eq!(claimed, [5, 9, 3, 0], "priority 0 never interrupts");
        assert!(!cpu.level(0));
    }

    #[test]
    fn threshold_masks_the_output_but_not_the_claim() {
        let (mut p, lines, cpu) = plic(1);
        put(&mut p, 0x2000, 1 << 4);
        put(&mut p, 4 * 4, 3);
        put(&mut p, 0x20_0000, 3);
        lines.set_irq(4, true);
        assert!(!cpu.level(0), "strictly above the threshold only");
        put(&mut p, 0x20_0000, 2);
        assert!(cpu.level(0));
        put(&mut p, 0x20_0000, 7);
        assert_eq!(get(&mut p, 0x20_0004), 4);
        put(&mut p, 0x20_0000, 0xffff_fff9);
        assert_eq!(get(&mut p, 0x20_0000), 1, "WARL");
    }

    #[test]
    fn a_level_asks_again_after_completion() {
        let (mut p, lines, cpu) = plic(2);
        put(&mut p, 0x2000, 1 << 4);
        put(&mut p, 0x2080, 1 << 4);
        put(&mut p, 4 * 4, 1);
        lines.set_irq(4, true);
        assert_eq!(cpu.high(), [0, 1]);
        assert_eq!(get(&mut p, 0x20_1004), 4);
        assert_eq!(cpu.high(), [0; 0]);
        assert_eq!(
            get(&mut p, 0x20_0004),
            0,
            "another context finds it claimed"
        );
        lines.set_irq(4, false);
        lines.set_irq(4, true);
        assert_eq!(cpu.high(), [0; 0], "the gateway is closed");
        put(&mut p, 0x20_0004, 5);
        assert_eq!(cpu.high(), [0; 0]);
        put(&mut p, 0x20_0004, 4);
        assert_eq!(
            cpu.high(),
            [0, 1],
            "any context that enables it may complete"
        );
        lines.set_irq(4, false);
        assert_eq!(cpu.high(), [0, 1], "a forwarded request stays");
        assert_eq!(get(&mut p, 0x20_0004), 4);
        put(&mut p, 0x20_0004, 4);
        assert_eq!(cpu.high(), [0; 0]);
    }

    #[test]
    fn completion_needs_the_source_enabled() {
        let (mut p, lines, cpu) = plic(1);
        put(&mut p, 0x2000, 1 << 4);
        put(&mut p, 4 * 4, 1);
        lines.set_irq(4, true);
        assert_eq!(get(&mut p, 0x20_0004), 4);
        put(&mut p, 0x2000, 0);
        put(&mut p, 0x20_0004, 4);
        put(&mut p, 0x2000, 1 << 4);
        assert!(!cpu.level(0));
        put(&mut p, 0x20_0004, 4);
        assert!(cpu.level(0));
    }

    #[test]
    fn lines_change_while_the_device_is_in_use() {
        // Devices on other threads raise lines while a CPU claims and completes: none is lost. A line that is still high at its
        // completion is rightly claimed again, as often as that happens; once all are low it comes to an end.
        let (mut p, lines, _) = plic(1);
        for word in 0..3 {
            put(&mut p, 0x2000 + 4 * word, u32::MAX);
        }
        (1..96).for_each(|n| put(&mut p, 4 * n, 1));
        std::thread::scope(|scope| {
            for part in 0..3 {
                let lines = lines.clone();
                scope.spawn(move || {
                    for n in 1..96u32 {
                        if n % 3 == part {
                            lines.set_irq(n, true);
                            lines.set_irq(n, false);
                        }
                    }
                });
            }
            let mut seen = vec![0; 96];
            while seen[1..].contains(&0) {
                let n = get(&mut p, 0x20_0004);
                if n != 0 {
                    seen[n as usize] += 1;
                    put(&mut p, 0x20_0004, n);
                }
            }
        });
        let mut claim = || {
            let n = get(&mut p, 0x20_0004);
            put(&mut p, 0x20_0004, n);
            n
        };
        assert!((0..96).any(|_| claim() == 0));
        assert_eq!(claim(), 0);
    }

    #[test]
    fn other_shapes_are_refused() {
        let (p, ..) = plic(2);
        let (mut other, ..) = plic(3);
        assert!(other.restore(p.save(), 1).is_err());
    }

    #[test]
    fn contract_and_fuzz() {
        let make = |w: Wiring, host: &crate::testing::TestHost| {
            host.hot(&HOT);
            let p = Plic::new(
                PlicConfig {
                    sources: 40,
                    max_priority: 7,
                },
                vec![w.irq.sibling(0), w.irq.sibling(1)],
            );
            host.drives(p.inputs());
            p
        };
        contract::check_with(make);
        assert_eq!(fuzz::blind(1000, 400, make), Ok(()));
        // Claimed, restored, completed while the level is still high.
        let word = AccessSizes::WORD32;
        let seed = fuzz::Encoder::new()
            .write(0, 0x2000, 4, word, u64::from(u32::MAX))
            .write(0, 0x14, 4, word, 3)
            .irq(5, true)
            .twin()
            .read(0, 0x20_0004, 4, word)
            .twin()
            .irq(5, true)
            .read(0, 0x20_0004, 4, word)
            .write(0, 0x20_0004, 4, word, 5)
            .read(0, 0x20_0004, 4, word);
        assert_eq!(fuzz::run_with(&seed.finish(), make), Ok(()));
    }
}
