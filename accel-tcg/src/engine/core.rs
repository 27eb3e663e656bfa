//! One virtual CPU: its state, its translations, and the loop that chooses what to run next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ambidex_cpu::{CpuBus, Exit, Kick, Pins, VcpuStats};

use super::blocks::{Blocks, Key};
use super::hooks::HookState;
use super::shared::{Peer, Shared};
use crate::guest::{BankKey, Events, Guest, HelperCx, ModeKey, Stop};
use crate::ir::build::IrBuilder;
use crate::jit::Jit;
use crate::mmu::bank::PhysPage;
use crate::mmu::{Io, Mmu};
use crate::regs::{Context, ContextCell, NO_RESERVATION};

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
    pub(super) barren: (u32, u64),
    pub(super) breakpoints: Vec<u64>,
    pub(super) single_step: bool,
    /// Do not stop at a breakpoint on the first instruction after a resume.
    pub(super) resume_at: Option<u64>,
    pub(super) stats: VcpuStats,
    pub(super) builder: IrBuilder,
    pub(super) hooks: HookState,
    bus: Option<BusPtr>,
    pub(super) scratch: Vec<(G::Insn, u8)>,
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
pub(super) enum Next {
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
    pub(super) fn fuel(&self) -> i64 {
        // SAFETY: as in `ctx`; a plain read by the owning thread.
        unsafe { (*self.cell.as_ptr()).fuel }
    }

    pub(super) fn fill(&mut self, amount: i64) {
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

    pub(super) fn counting(&self) -> bool {
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
}
