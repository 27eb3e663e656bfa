//! One virtual CPU: its state, its translations, and the loop that chooses what to run next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ambidex_cpu::{CpuBus, DebugStop, Exit, FenceKind, Kick, Pins, VcpuStats};

use super::blocks::{Block, BlockId, Blocks, Code, Key, hash_bytes};
use super::hooks::{BLOCK_HOOK, HookState};
use super::shared::{Mail, Peer, Shared, lines_of};
use crate::guest::{BankKey, Decoded, Events, Flush, Guest, HelperCx, InsnFlow, ModeKey, Stop};
use crate::interp::{Flow, Interp};
use crate::ir::build::IrBuilder;
use crate::jit::{CompileError, ExitKind, Jit};
use crate::mmu::bank::{FetchEntry, PhysPage};
use crate::mmu::{Io, Mmu};
use crate::regs::{Context, ContextCell, NO_RESERVATION};
use crate::sem::Ops;

/// Longest block the interpreter decodes at once, in instructions.
const T0_BLOCK: usize = 32;
/// Longest block the compiler takes, in instructions.
const T1_BLOCK: usize = 64;
/// Under a budget, exceptions without an instruction in between after which `run` is left.
const BARREN: u32 = 1024;
/// Pages newly with code after which an instruction fence is made in any case.
const FRESH_PAGES: usize = 1024;
/// Fuel when nothing limits it.
const UNLIMITED: i64 = i64::MAX / 2;

/// How a vCPU is to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Compile blocks interpreted this many times; `None` interprets everything.
    pub compile_after: Option<u32>,
    /// Size of the code buffer, in bytes.
    pub code_bytes: usize,
    /// Count instructions exactly in compiled code.
    pub count: bool,
}

/// Wakes the engine.
pub struct CoreKick {
    /// Context to interrupt.
    pub cell: Arc<ContextCell>,
    /// Leave `run`, too.
    pub leave: AtomicBool,
}

impl Kick for CoreKick {
    fn kick(&self) {
        self.leave.store(true, Ordering::SeqCst);
        self.cell.request_exit();
    }
}

/// Makes the engine look at its pins, without leaving `run`.
pub struct PinKick(pub Arc<ContextCell>);

impl Kick for PinKick {
    fn kick(&self) {
        self.0.request_exit();
    }
}

/// One virtual CPU.
pub struct Core<G: Guest> {
    pub(super) cell: Arc<ContextCell>,
    pub(super) guest: G,
    pub(super) mmu: Mmu,
    pub(super) pins: Pins,
    pub(super) index: u32,
    pub(super) kick: Arc<CoreKick>,
    pub(super) shared: Arc<Shared>,
    pub(super) peer: Arc<Peer>,
    pub(super) blocks: Blocks<G::Insn>,
    pub(super) jit: Option<Jit>,
    pub(super) tuning: Tuning,
    pub(super) events: Events,
    /// Pages that this vCPU has begun to take code from since the last instruction fence, while there were other vCPUs.
    pub(super) fresh: Vec<PhysPage>,
    /// Why compiled code stopped, set by runtime functions.
    pub(super) stop: Option<Stop>,
    /// Budget handed out by the machine that is not yet in the fuel word.
    pub(super) budget: Option<u64>,
    /// Instructions retired before the fuel word was last filled, and what it was filled with.
    pub(super) retired: u64,
    pub(super) filled: i64,
    /// Exceptions taken since the instruction count last moved, and where it was.
    barren: (u32, u64),
    pub(super) breakpoints: Vec<u64>,
    pub(super) single_step: bool,
    /// Do not stop at a breakpoint on the first instruction after a resume.
    pub(super) resume_at: Option<u64>,
    pub(super) stats: VcpuStats,
    builder: IrBuilder,
    pub(super) hooks: HookState,
    bus: Option<BusPtr>,
    scratch: Vec<(G::Insn, u8)>,
}

/// The bus of the current `run`, for functions called from compiled code.
#[derive(Clone, Copy)]
struct BusPtr(*const (dyn CpuBus + 'static));

#[expect(
    unsafe_code,
    reason = "a core moves between threads only outside `run`, when no bus is set"
)]
// SAFETY: the pointer is only set while `run` is on the stack of the thread that set it.
unsafe impl Send for BusPtr {}

/// What the inner loop wants next.
enum Next {
    /// Look at requests, mode and interrupts first.
    Outer,
    /// Straight on at the PC slot.
    Inner,
    /// Leave.
    Exit(Exit),
}

impl<G: Guest> Core<G> {
    /// A vCPU at reset.
    pub fn new(
        guest: G,
        cell: Arc<ContextCell>,
        mmu: Mmu,
        index: u32,
        shared: Arc<Shared>,
        jit: Option<Jit>,
        tuning: Tuning,
    ) -> Core<G> {
        let pins = Pins::new();
        pins.attach(ambidex_cpu::Kicker::new(Arc::new(PinKick(Arc::clone(
            &cell,
        )))));
        let peer = Arc::new(Peer::new(index, Arc::clone(&cell)));
        shared.join(Arc::clone(&peer));
        let mut builder = IrBuilder::default();
        builder.set_pure(|h| G::HELPERS.get(usize::from(h.0)).is_some_and(|h| h.pure));
        builder.set_fp_slots(G::FFLAGS, G::FRM);
        Core {
            kick: Arc::new(CoreKick {
                cell: Arc::clone(&cell),
                leave: AtomicBool::new(false),
            }),
            cell,
            guest,
            mmu,
            pins,
            index,
            shared,
            peer,
            blocks: Blocks::default(),
            jit,
            tuning,
            events: Events {
                instruction_fence: false,
                timer: true,
            },
            fresh: Vec::new(),
            stop: None,
            budget: None,
            retired: 0,
            filled: 0,
            barren: (0, 0),
            breakpoints: Vec::new(),
            single_step: false,
            resume_at: None,
            stats: VcpuStats::default(),
            builder,
            hooks: HookState::default(),
            bus: None,
            scratch: Vec::new(),
        }
    }

    /// The context.
    #[expect(
        unsafe_code,
        reason = "the context is shared with compiled code through a raw pointer"
    )]
    #[inline(always)]
    pub(super) fn ctx(&mut self) -> &mut Context {
        // SAFETY: the cell outlives `self`, only this thread uses the non-atomic fields, and the borrow of `self` keeps Rust code from holding two
        // such references; compiled code does not run while one is held.
        unsafe { &mut *self.cell.as_ptr() }
    }

    pub(super) fn pc(&mut self) -> u64 {
        self.ctx().slots[usize::from(G::PC.0)]
    }

    pub(super) fn set_pc(&mut self, pc: u64) {
        self.ctx().slots[usize::from(G::PC.0)] = pc;
    }

    /// Instructions retired; exact where they are counted.
    pub fn executed(&self) -> u64 {
        // Other threads do not touch the fuel.
        let fuel = self.fuel();
        self.retired.wrapping_add((self.filled - fuel) as u64)
    }

    #[expect(unsafe_code, reason = "see `ctx`")]
    fn fuel(&self) -> i64 {
        // SAFETY: as in `ctx`; a plain read by the owning thread.
        unsafe { (*self.cell.as_ptr()).fuel }
    }

    fn fill(&mut self, amount: i64) {
        self.retired = self.executed();
        self.filled = amount;
        self.ctx().fuel = amount;
    }

    /// Splits the core into what one instruction works on. `insns` is the count of instructions already complete.
    #[expect(unsafe_code, reason = "the context lies outside the core")]
    pub(super) fn with_cx<R>(
        &mut self,
        insns: Option<u64>,
        f: impl FnOnce(&mut HelperCx<'_, G>) -> R,
    ) -> R {
        let Some(bus) = self.bus else {
            unreachable!("instructions are only executed inside `run`")
        };
        // SAFETY: set by `run` for as long as the reference it was made from is borrowed.
        let bus = unsafe { &*bus.0 };
        // SAFETY: as in `ctx`.
        let ctx = unsafe { &mut *self.cell.as_ptr() };
        let io = Io {
            bus,
            cpu: self.index,
            insns,
            defer: false,
        };
        let mut cx = HelperCx {
            guest: &mut self.guest,
            regs: &mut ctx.slots,
            reservation: &mut ctx.reservation,
            mmu: &mut self.mmu,
            io,
            pins: &self.pins,
            events: &mut self.events,
            hooks: self.hooks.memory().map(|h| &**h),
            instructions: insns,
        };
        f(&mut cx)
    }

    fn counting(&self) -> bool {
        self.tuning.count || self.budget.is_some()
    }

    /// Runs until something needs the machine.
    pub fn run(&mut self, bus: &dyn CpuBus) -> Exit {
        // The lifetime is erased for the time of this call; the guard takes the pointer away on every way out.
        let raw: *const dyn CpuBus = bus;
        #[expect(unsafe_code, reason = "erases the lifetime")]
        // SAFETY: only the lifetime changes, and the pointer is cleared below before `bus` ends.
        let raw: *const (dyn CpuBus + 'static) = unsafe { std::mem::transmute(raw) };
        self.bus = Some(BusPtr(raw));
        self.peer.set_busy(true);
        self.events.timer = true;
        let limit = self
            .budget
            .map_or(UNLIMITED, |b| b.min(UNLIMITED as u64) as i64);
        self.fill(limit);
        let exit = self.outer(bus);
        self.retired = self.executed();
        let left = self.fuel();
        self.filled = left;
        if let Some(b) = &mut self.budget {
            *b = left.max(0) as u64;
        }
        if self.counting() {
            bus.executed(self.index, self.retired);
        }
        self.peer.set_busy(false);
        self.bus = None;
        exit
    }

    fn outer(&mut self, bus: &dyn CpuBus) -> Exit {
        let mut first = true;
        loop {
            if first || self.ctx().exit_request.load(Ordering::Relaxed) != 0 {
                self.ctx().exit_request.store(0, Ordering::SeqCst);
                if self.kick.leave.swap(false, Ordering::SeqCst) {
                    return Exit::Kicked;
                }
                first = false;
                self.events.timer = true;
                if self.mmu.refresh() {
                    self.forget_all_code();
                }
                self.read_mail();
            }
            if self.events.timer {
                self.events.timer = false;
                if self.counting() {
                    bus.executed(self.index, self.executed());
                }
                self.guest.update_timer(bus.now());
                bus.set_deadline(self.index, self.guest.deadline());
                if self.ctx().exit_request.load(Ordering::Relaxed) != 0 {
                    continue;
                }
            }
            if self.events.instruction_fence {
                self.events.instruction_fence = false;
                self.instruction_fence();
            }
            if self.budget.is_some() && self.fuel() <= 0 {
                return Exit::Budget;
            }
            let pins = self.pins.clone();
            if self.guest.still_waits(&pins) {
                return Exit::Halt;
            }
            #[expect(unsafe_code, reason = "see `ctx`")]
            // SAFETY: as in `ctx`; the borrow of the guest is of another field.
            let ctx = unsafe { &mut *self.cell.as_ptr() };
            if self.guest.poll_interrupt(&mut ctx.slots, &pins) {
                ctx.reservation.addr = NO_RESERVATION;
                self.stats.traps += 1;
            }
            let mode = self.guest.mode_key(&ctx.slots);
            let bank: BankKey = self.guest.bank_key();
            self.mmu.select(bank, mode);
            loop {
                match self.step(mode) {
                    Next::Inner => {
                        if self.ctx().exit_request.load(Ordering::Relaxed) != 0 {
                            break;
                        }
                    }
                    Next::Outer => break,
                    Next::Exit(exit) => return exit,
                }
            }
        }
    }

    /// Runs one block, or a chain of compiled ones.
    fn step(&mut self, mode: ModeKey) -> Next {
        let pc = self.pc();
        if self.single_step || !self.breakpoints.is_empty() {
            return self.debug_step(mode, pc);
        }
        let use_jit = self.jit.is_some()
            && (self.tuning.count || self.budget.is_none())
            && self.hooks.memory().is_none();
        if use_jit {
            let e = self.mmu.banks.current().jc[crate::mmu::bank::Bank::jc_index(pc)];
            if e.va == pc {
                return self.enter(mode, e.host);
            }
        }
        let page = match self.mmu.fetch_page(&mut self.guest, pc) {
            Ok(Some(page)) => page,
            Ok(None) => return self.lone_insn(mode, pc),
            Err(stop) => return self.stopped(stop, pc, 0),
        };
        let key = Key {
            phys: page.phys,
            va: pc,
            mode,
        };
        let id = match self.blocks.find(&key) {
            Some(id) => id,
            None => match self.decode_block(&page, key) {
                Some(id) => id,
                None => return self.lone_insn(mode, pc),
            },
        };
        if use_jit && let Some(entry) = self.compiled(id, &page) {
            let Some(jit) = &self.jit else {
                return Next::Outer;
            };
            let host = jit.host_address(entry);
            let bank = self.mmu.banks.current();
            bank.put_jump(pc, host);
            bank.renew_xid(pc, page.xid);
            return self.enter(mode, host);
        }
        self.interpret(id, mode)
    }

    /// The compiled code of a block, compiling it if it is hot enough.
    fn compiled(&mut self, id: BlockId, page: &FetchEntry) -> Option<u32> {
        let threshold = self.tuning.compile_after?;
        let block = self.blocks.get_mut(id)?;
        if let Some(code) = &block.code {
            return Some(code.compiled.entry);
        }
        block.runs += 1;
        if block.runs < threshold || block.uncompilable {
            return None;
        }
        self.compile(id, page)
    }

    fn compile(&mut self, id: BlockId, page: &FetchEntry) -> Option<u32> {
        let key = self.blocks.get(id)?.key;
        let mut bytes = [0u8; 4096];
        let have = self.mmu.fetch_from(
            page,
            key.va,
            &mut bytes[..(T1_BLOCK * usize::from(G::MAX_INSN)).min(4096)],
        );
        let listing = log::log_enabled!(target: "in_asm", log::Level::Debug);
        if listing {
            log::debug!(target: "in_asm", "hart {}: a block at {:#x}", self.index, key.va);
        }
        self.builder.begin(key.va);
        let mut at = 0usize;
        let mut n = 0;
        while n < T1_BLOCK && !self.builder.ended() && !self.builder.full() {
            let Decoded::Insn(insn, len) = self.guest.decode(key.mode, &bytes[at..have]) else {
                break;
            };
            let pc = key.va.wrapping_add(at as u64);
            if listing {
                let text = G::disassemble(&insn, pc);
                log::debug!(target: "in_asm", "{pc:#018x}: {text}");
            }
            self.builder.start_insn(at as u16, len);
            if n == 0 && self.hooks.blocks() {
                let at = self.builder.imm(key.va);
                let Ok(_) = self.builder.call(BLOCK_HOOK, &[at]);
            }
            let Ok(()) = G::exec(&mut self.builder, &insn, pc, key.mode);
            at += usize::from(len);
            n += 1;
            if self.builder.branched_back() {
                break;
            }
        }
        if n == 0 {
            self.blocks.get_mut(id)?.uncompilable = true;
            return None;
        }
        self.builder.finish(key.va.wrapping_add(at as u64));
        let mut retried = false;
        let compiled = loop {
            let ir = self.builder.block();
            match self.jit.as_mut()?.compile(ir, key.mode) {
                Ok(c) => break c,
                Err(CompileError::Full) if !retried => {
                    retried = true;
                    let range = self.jit.as_mut()?.evict();
                    for dead in self.blocks.compiled_in(range) {
                        self.drop_code(dead);
                    }
                    self.mmu.banks.iter_mut().for_each(|b| b.drop_jumps());
                }
                Err(_) => {
                    self.blocks.get_mut(id)?.uncompilable = true;
                    return None;
                }
            }
        };
        let entry = compiled.entry;
        self.stats.blocks += 1;
        self.stats.translated += n as u64;
        let insns = &self.builder.block().insns;
        let code = Code {
            out: vec![None; compiled.links.len()],
            offsets: insns.iter().map(|i| i.offset).collect(),
            last_len: insns.last().map_or(0, |i| i.len),
            compiled,
        };
        let hash = hash_bytes(&bytes[..at]);
        let block = self.blocks.get_mut(id)?;
        block.len = at as u32;
        block.hash = hash;
        self.blocks.set_code(id, code);
        self.note_code(page, key.va, at as u64, hash);
        Some(entry)
    }

    /// Lets the world know that there is code on these bytes.
    fn note_code(&mut self, page: &FetchEntry, va: u64, len: u64, hash: u64) {
        let lines = lines_of(va, len);
        let first = self.blocks.lines(page.phys) == 0;
        if self.blocks.add_lines(page.phys, lines) {
            let all = self.blocks.lines(page.phys);
            let view = Arc::clone(self.mmu.view());
            let block = view.ranges().iter().find_map(|r| match &r.kind {
                ambidex_memory::RangeKind::Ram(b) if b.id() == page.phys.block() => Some(b),
                _ => None,
            });
            // Code in ROM cannot be written by anybody but a loader, which resets the machine.
            if let Some(block) = block {
                self.shared.adopt(block);
                self.shared
                    .set_lines(self.index, block, page.phys, page.host, all);
                if first && !self.shared.alone() {
                    self.fresh.push(page.phys);
                    self.events.instruction_fence |= self.fresh.len() >= FRESH_PAGES;
                }
                // Whoever wrote between the reading of these bytes and now had nobody to tell.
                let mut bytes = vec![0; len as usize];
                if self.mmu.fetch_from(page, va, &mut bytes) != bytes.len()
                    || hash_bytes(&bytes) != hash
                {
                    self.peer.post(Mail::Verify(page.phys));
                }
                if first {
                    self.mmu
                        .banks
                        .iter_mut()
                        .for_each(|b| b.protect_host_page(page.host));
                }
            }
        }
    }

    /// Decodes a block for the interpreter; `None` if not even one instruction lies whole in the page.
    fn decode_block(&mut self, page: &FetchEntry, key: Key) -> Option<BlockId> {
        let mut bytes = [0u8; 512];
        let want = (T0_BLOCK * usize::from(G::MAX_INSN)).min(bytes.len());
        let have = self.mmu.fetch_from(page, key.va, &mut bytes[..want]);
        self.scratch.clear();
        let mut at = 0usize;
        while self.scratch.len() < T0_BLOCK {
            let Decoded::Insn(insn, len) = self.guest.decode(key.mode, &bytes[at..have]) else {
                break;
            };
            self.scratch.push((insn, len));
            at += usize::from(len);
            if G::flow(&insn) != InsnFlow::Next {
                break;
            }
        }
        if self.scratch.is_empty() {
            return None;
        }
        let hash = hash_bytes(&bytes[..at]);
        let id = self.blocks.insert(Block {
            key,
            insns: self.scratch.as_slice().into(),
            len: at as u32,
            hash,
            runs: 0,
            code: None,
            incoming: Vec::new(),
            uncompilable: false,
        });
        self.note_code(page, key.va, at as u64, hash);
        Some(id)
    }

    /// Interprets a block.
    fn interpret(&mut self, id: BlockId, mode: ModeKey) -> Next {
        let Some(block) = self.blocks.get_mut(id) else {
            return Next::Outer;
        };
        if block.insns.is_empty() {
            // Compiled, but to be interpreted: decode again without keeping it.
            let pc = block.key.va;
            return self.lone_insn(mode, pc);
        }
        let insns = std::mem::take(&mut block.insns);
        if self.hooks.blocks() {
            let pc = self.pc();
            self.hooks.enter_block(self.index, pc, insns.len() as u32);
        }
        let next = self.interpret_insns(&insns, mode);
        if let Some(block) = self.blocks.get_mut(id)
            && block.code.is_none()
        {
            block.insns = insns;
        }
        next
    }

    fn interpret_insns(&mut self, insns: &[(G::Insn, u8)], mode: ModeKey) -> Next {
        let counting = self.counting();
        let base = self.executed();
        let limit = if self.budget.is_some() {
            self.fuel().max(0) as usize
        } else {
            usize::MAX
        };
        let mut done = 0usize;
        let mut outcome: Result<Flow, Stop> = Ok(Flow::Next);
        let mut pc = self.pc();
        let cell = Arc::clone(&self.cell);
        let exit_request = cell.exit_request();
        self.with_cx(None, |cx| {
            for (insn, len) in insns.iter().take(limit) {
                let here = base + done as u64;
                cx.io.insns = counting.then_some(here);
                cx.instructions = counting.then_some(here);
                let mut interp = Interp {
                    cx,
                    flow: Flow::Next,
                };
                let result = G::exec(&mut interp, insn, pc, mode);
                let flow = interp.flow;
                match result {
                    Ok(()) => {
                        done += 1;
                        match flow {
                            Flow::Next => {
                                pc = pc.wrapping_add(u64::from(*len));
                                // Exact runs see interrupts after the very instruction that caused them.
                                if counting && exit_request.load(Ordering::Relaxed) != 0 {
                                    break;
                                }
                            }
                            Flow::Resync => {
                                pc = pc.wrapping_add(u64::from(*len));
                                outcome = Ok(Flow::Resync);
                                break;
                            }
                            Flow::Jump(to) => {
                                pc = to;
                                outcome = Ok(flow);
                                break;
                            }
                        }
                    }
                    Err(stop) => {
                        if matches!(stop, Stop::Exit(_)) {
                            done += 1;
                            pc = pc.wrapping_add(u64::from(*len));
                        }
                        done += usize::from(stop == Stop::Jumped);
                        outcome = Err(stop);
                        break;
                    }
                }
                cx.regs[usize::from(G::PC.0)] = pc;
            }
            if !matches!(outcome, Err(Stop::Jumped)) {
                cx.regs[usize::from(G::PC.0)] = pc;
            }
        });
        self.stats.interpreted += done as u64;
        self.ctx().fuel -= done as i64;
        match outcome {
            Ok(Flow::Resync) => Next::Outer,
            Ok(_) if self.budget.is_some() && self.fuel() <= 0 => Next::Outer,
            Ok(_) => Next::Inner,
            Err(Stop::Exit(exit)) => Next::Exit(exit),
            Err(stop) => self.stopped(stop, pc, 0),
        }
    }

    /// Executes the one instruction at `pc` without keeping anything: it crosses pages, lies in memory that cannot be cached, or is being stepped.
    fn lone_insn(&mut self, mode: ModeKey, pc: u64) -> Next {
        let mut bytes = [0u8; 16];
        let mut have = 0usize;
        loop {
            match self.guest.decode(mode, &bytes[..have]) {
                Decoded::Insn(insn, len) => return self.interpret_insns(&[(insn, len)], mode),
                Decoded::More(n) => {
                    let n = usize::from(n).clamp(have + 1, bytes.len());
                    let at = pc.wrapping_add(have as u64);
                    if let Err(stop) =
                        self.mmu
                            .fetch_bytes(&mut self.guest, at, &mut bytes[have..n])
                    {
                        return self.stopped(stop, pc, 0);
                    }
                    have = n;
                }
            }
        }
    }

    fn debug_step(&mut self, mode: ModeKey, pc: u64) -> Next {
        if self.resume_at.take() != Some(pc) && self.breakpoints.contains(&pc) {
            self.resume_at = Some(pc);
            return Next::Exit(Exit::Debug(DebugStop::Breakpoint { pc }));
        }
        let next = self.lone_insn(mode, pc);
        match next {
            Next::Inner | Next::Outer if self.single_step => {
                let pc = self.pc();
                self.resume_at = Some(pc);
                Next::Exit(Exit::Debug(DebugStop::Step))
            }
            Next::Inner => Next::Outer,
            other => other,
        }
    }

    /// An instruction at `pc` did not complete; `len` is added if it did but wants to leave.
    fn stopped(&mut self, stop: Stop, pc: u64, len: u64) -> Next {
        match stop {
            Stop::Exception(e) => {
                self.set_pc(pc);
                self.stats.traps += 1;
                if self.guest.intercepts(e) {
                    let count = self.counting().then(|| self.executed());
                    // Other CPUs need not wait for this one while it is with the firmware: it reads its mail before it goes on.
                    self.peer.set_busy(false);
                    let result = self.with_cx(count, |cx| G::intercept(cx, e));
                    self.peer.set_busy(true);
                    self.ctx().exit_request.store(1, Ordering::SeqCst);
                    match result {
                        Some(Some(exit)) => return Next::Exit(exit),
                        Some(None) => return Next::Outer,
                        None => {}
                    }
                }
                self.ctx().reservation.addr = NO_RESERVATION;
                #[expect(unsafe_code, reason = "see `ctx`")]
                // SAFETY: as in `ctx`; the guest is another field.
                let regs = unsafe { &mut (*self.cell.as_ptr()).slots };
                self.guest.take_exception(regs, e);
                if self.barren() {
                    Next::Exit(Exit::Kicked)
                } else {
                    Next::Outer
                }
            }
            // Compiled code has not kept the slot up to date.
            Stop::Retry | Stop::Interpret => {
                self.set_pc(pc);
                Next::Outer
            }
            Stop::Jumped => Next::Outer,
            Stop::Exit(exit) => {
                self.set_pc(pc.wrapping_add(len));
                Next::Exit(exit)
            }
        }
    }

    /// Notes an exception. A CPU whose trap handler cannot even be fetched completes no instruction, so no budget would ever bring it back: true
    /// now and then in that case.
    fn barren(&mut self) -> bool {
        let now = self.executed();
        if self.budget.is_none() || self.barren.1 != now {
            self.barren = (0, now);
            return false;
        }
        self.barren.0 += 1;
        self.barren.0 % BARREN == 0
    }

    /// Enters compiled code at a host address and deals with how it comes back.
    fn enter(&mut self, mode: ModeKey, host: u64) -> Next {
        let this: *mut Core<G> = self;
        let ctx = self.cell.as_ptr();
        let bank = std::ptr::from_mut(self.mmu.banks.current()) as usize;
        let c = self.ctx();
        c.bank = bank;
        c.owner = this as usize;
        let Some(jit) = &self.jit else {
            return Next::Outer;
        };
        let exit = jit.enter(ctx, host);
        match exit {
            ExitKind::Link { stub } => self.follow_link(mode, stub),
            ExitKind::Lookup => Next::Inner,
            ExitKind::Request | ExitKind::Resync => Next::Outer,
            ExitKind::Fuel => {
                let pc = self.pc();
                if self.fuel() <= 0 && self.budget.is_some() {
                    Next::Outer
                } else {
                    self.lone_insn(mode, pc)
                }
            }
            ExitKind::Stopped => {
                let at = self.ctx().exit_payload[3];
                let (pc, len) = self.insn_at_host(at).unwrap_or_else(|| (self.pc(), 0));
                let Some(stop) = self.stop.take() else {
                    return Next::Outer;
                };
                if self.tuning.count {
                    // The block was paid for as a whole.
                    let complete = matches!(stop, Stop::Exit(_) | Stop::Jumped);
                    let done = self.executed_at_host(at) + u64::from(complete);
                    let unused = self.executed().wrapping_sub(done);
                    self.ctx().fuel += unused as i64;
                }
                if stop == Stop::Interpret {
                    self.set_pc(pc);
                    return match self.lone_insn(mode, pc) {
                        Next::Inner => Next::Outer,
                        other => other,
                    };
                }
                self.stopped(stop, pc, len)
            }
        }
    }

    /// Address and length of the guest instruction that a host return address belongs to.
    pub(super) fn insn_at_host(&self, host: u64) -> Option<(u64, u64)> {
        let jit = self.jit.as_ref()?;
        let offset = jit.code_offset(host)?;
        let block = self.blocks.containing(offset)?;
        let code = block.code.as_ref()?;
        let (start, len) = code.insn(code.insn_at(offset)?);
        Some((block.key.va.wrapping_add(start), len))
    }

    /// Tells the hooks of the compiled block at `pc` that called out from this host address.
    pub(super) fn announce(&mut self, pc: u64, host: u64) {
        let insns = || {
            let offset = self.jit.as_ref()?.code_offset(host)?;
            Some(self.blocks.containing(offset)?.code.as_ref()?.offsets.len() as u32)
        };
        let insns = insns().unwrap_or(0);
        self.hooks.enter_block(self.index, pc, insns);
    }

    /// Instructions complete when compiled code called out from this host address (which counts the whole block at its start).
    pub(super) fn executed_at_host(&self, host: u64) -> u64 {
        let executed = self.executed();
        let ahead = || {
            let offset = self.jit.as_ref()?.code_offset(host)?;
            let code = self.blocks.containing(offset)?.code.as_ref()?;
            Some(code.offsets.len() as u64 - u64::from(code.insn_at(offset)?))
        };
        executed.wrapping_sub(ahead().unwrap_or(0))
    }

    /// A direct jump came out through its stub: link it if its target is compiled.
    fn follow_link(&mut self, mode: ModeKey, stub: u32) -> Next {
        let Some((from, index)) = self.blocks.link_at(stub) else {
            return Next::Inner;
        };
        let pc = self.pc();
        let Ok(Some(page)) = self.mmu.fetch_page(&mut self.guest, pc) else {
            return Next::Inner;
        };
        self.mmu.banks.current().renew_xid(pc, page.xid);
        let key = Key {
            phys: page.phys,
            va: pc,
            mode,
        };
        let Some(to) = self.blocks.find(&key) else {
            return Next::Inner;
        };
        let Some(entry) = self.compiled_for_link(to, &page) else {
            return self.interpret(to, mode);
        };
        let Some(jit) = self.jit.as_mut() else {
            return Next::Outer;
        };
        // Compiling the target may have evicted the source.
        let site = self
            .blocks
            .get(from)
            .and_then(|b| b.code.as_ref())
            .and_then(|c| c.compiled.links.get(usize::from(index)));
        let host = jit.host_address(entry);
        if let Some(site) = site
            && site.stub == stub
            && site.target == pc
        {
            let known = self
                .blocks
                .get(from)
                .and_then(|b| b.code.as_ref())
                .and_then(|c| c.out[usize::from(index)]);
            if known != Some(to) {
                let site = site.clone();
                jit.link(&site, entry, page.xid);
                self.blocks.connect(from, index, to);
            }
        }
        self.enter(mode, host)
    }

    fn compiled_for_link(&mut self, id: BlockId, page: &FetchEntry) -> Option<u32> {
        self.compiled(id, page)
    }

    /// Takes compiled code away from a block and cuts what led there.
    fn drop_code(&mut self, id: BlockId) {
        let va = match self.blocks.get(id) {
            Some(b) => b.key.va,
            None => return,
        };
        let cuts = self.blocks.drop_code(id);
        if let Some(jit) = self.jit.as_mut() {
            for cut in &cuts {
                jit.unlink(&cut.link);
            }
        }
        self.mmu.banks.iter_mut().for_each(|b| b.drop_jump(va));
    }

    fn remove_block(&mut self, id: BlockId) {
        self.drop_code(id);
        self.blocks.remove(id);
        self.stats.invalidated += 1;
    }

    pub(super) fn forget_all_code(&mut self) {
        for id in self.blocks.ids() {
            self.remove_block(id);
        }
        for page in self.blocks.all_pages() {
            self.settle_page(page);
        }
    }

    /// Publishes which lines of a page still hold code.
    fn settle_page(&mut self, page: PhysPage) {
        let lines = self.blocks.recount_lines(page);
        let view = Arc::clone(self.mmu.view());
        for r in view.ranges() {
            if let ambidex_memory::RangeKind::Ram(b) = &r.kind
                && b.id() == page.block()
            {
                let host = b.host_ptr() as u64 + page.page() * 4096;
                self.shared.set_lines(self.index, b, page, host, lines);
                return;
            }
        }
    }

    /// Handles requests of other vCPUs and of the memory.
    pub(super) fn read_mail(&mut self) {
        for mail in self.peer.collect() {
            match mail {
                Mail::Written { page, lines } => {
                    for id in self.blocks.on_lines(page, lines) {
                        self.remove_block(id);
                    }
                    self.settle_page(page);
                }
                Mail::Protect { page, host, from } => {
                    self.mmu
                        .banks
                        .iter_mut()
                        .for_each(|b| b.protect_host_page(host));
                    self.shared.post(from, Mail::Verify(page));
                }
                Mail::Verify(page) => self.verify_page(page),
                Mail::Fence(fence) => match fence.kind {
                    FenceKind::Icache => self.events.instruction_fence = true,
                    FenceKind::Tlb { asid, start, len } => self.remote_flush(asid, start, len),
                    _ => self.mmu.flush(Flush::All),
                },
            }
        }
    }

    /// Makes later fetches see every store that came before. Stores to pages known to hold code have sent mail. A page that this vCPU has begun
    /// to take code from only lately may still have been written through another vCPU's store TLB, unnoticed until that one has handled its
    /// [`Mail::Protect`]: so that is waited for, and the page compared.
    fn instruction_fence(&mut self) {
        self.read_mail();
        if self.fresh.is_empty() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        // The others may be waiting for this one in the same way.
        shared.settle_others(self.index, || self.read_mail());
        for page in std::mem::take(&mut self.fresh) {
            self.verify_page(page);
        }
    }

    fn remote_flush(&mut self, asid: Option<u16>, start: u64, len: u64) {
        let (mask, value) = match asid {
            Some(a) => G::asid_filter(a),
            None => ([0, 0], [0, 0]),
        };
        // Beyond some pages, one flush is cheaper than many.
        if len == 0 || len == u64::MAX || len > 64 * 4096 {
            self.mmu.flush(Flush::Banks {
                mask,
                value,
                page: None,
            });
            return;
        }
        let first = start & !0xfff;
        let last = start.saturating_add(len - 1) & !0xfff;
        for page in (first..=last).step_by(4096) {
            self.mmu.flush(Flush::Banks {
                mask,
                value,
                page: Some(page),
            });
        }
    }

    /// Removes the blocks of a page whose bytes are not what they were made from.
    fn verify_page(&mut self, page: PhysPage) {
        let view = Arc::clone(self.mmu.view());
        let block = view.ranges().iter().find_map(|r| match &r.kind {
            ambidex_memory::RangeKind::Ram(b) if b.id() == page.block() => Some(b),
            _ => None,
        });
        let Some(ram) = block else { return };
        for id in self.blocks.on_lines(page, u64::MAX) {
            let Some(b) = self.blocks.get(id) else {
                continue;
            };
            let mut bytes = vec![0; b.len as usize];
            let off = page.page() * 4096 + (b.key.va & 0xfff);
            let same = ram.read(off, &mut bytes).is_ok() && hash_bytes(&bytes) == b.hash;
            if !same {
                self.remove_block(id);
            }
        }
        self.settle_page(page);
    }
}
