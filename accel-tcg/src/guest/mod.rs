//! What the engine needs to know about a guest architecture. One implementation per architecture; the engine, the interpreter and
//! the compiler are generic over it.

mod helper;
pub mod riscv;

pub use helper::{Events, HelperCx};

use ambidex_cpu::{AccelError, Arch, CpuState, Exit, Pins, Reg, VmConfig};
use ambidex_memory::{BusError, Gpa};

use crate::fp::{NanRule, Rounding};
use crate::regs::SLOTS;
use crate::sem::{HelperId, Ops, Slot};

/// The part of the CPU's mode that compiled code depends on. Two blocks compiled for different keys are different blocks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ModeKey(pub u32);

impl ModeKey {
    /// Set when the dynamic rounding direction is round-to-nearest-even, which compiled code may then assume.
    pub const RNE: u32 = 1 << 31;
    /// Where the number of the dynamic rounding direction ([`Rounding`]) stands if [`ModeKey::RNE`] is clear: three bits, 0 if it is not known.
    pub const ROUNDING_SHIFT: u32 = 28;

    /// The dynamic rounding direction, if compiled code may assume one.
    pub const fn dynamic_rounding(self) -> Option<Rounding> {
        if self.dynamic_is_rne() {
            return Some(Rounding::Rne);
        }
        match self.0 >> Self::ROUNDING_SHIFT & 7 {
            1 => Some(Rounding::Rtz),
            2 => Some(Rounding::Rdn),
            3 => Some(Rounding::Rup),
            4 => Some(Rounding::Rmm),
            _ => None,
        }
    }

    /// The rounding direction that MXCSR is set to while code for this mode runs: the dynamic one where the host has it.
    pub const fn host_rounding(self) -> Rounding {
        match self.dynamic_rounding() {
            Some(r @ (Rounding::Rtz | Rounding::Rdn | Rounding::Rup)) => r,
            _ => Rounding::Rne,
        }
    }

    /// What MXCSR is set to: everything masked, and [`ModeKey::host_rounding`].
    pub const fn mxcsr(self) -> u32 {
        0x1f80
            | match self.host_rounding() {
                Rounding::Rdn => 0x2000,
                Rounding::Rup => 0x4000,
                Rounding::Rtz => 0x6000,
                _ => 0,
            }
    }

    /// True if [`crate::sem::Round::Dynamic`] means round-to-nearest-even.
    pub const fn dynamic_is_rne(self) -> bool {
        self.0 & Self::RNE != 0
    }
}

/// Names one address-translation regime (address space, effective privileges, permission modifiers). Translations found under one key are
/// valid whenever the CPU is in a state with the same key, until flushed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct BankKey(pub [u64; 2]);

/// A guest exception.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exception {
    /// Architecture's number of the cause.
    pub cause: u64,
    /// The value that comes with it (RISC-V `tval`, x86 error code and so on).
    pub value: u64,
}

/// Why an instruction did not complete normally.
#[derive(Clone, PartialEq, Debug)]
pub enum Stop {
    /// The guest takes an exception; the instruction has had no effect.
    Exception(Exception),
    /// The instruction is complete; leave [`ambidex_cpu::Vcpu::run`] with this.
    Exit(Exit),
    /// The instruction is complete and has put the address of the next one into the PC slot; mode and mapping need a fresh look.
    Jumped,
    /// The instruction has had no effect and is to be tried again after a fresh look at mode and mapping.
    Retry,
    /// The instruction has had no effect and is to be done by the interpreter.
    Interpret,
}

impl From<Exception> for Stop {
    fn from(e: Exception) -> Stop {
        Stop::Exception(e)
    }
}

/// What an access wants to do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum AccessKind {
    /// Load.
    Read = 0,
    /// Store, or both.
    Write = 1,
    /// Instruction fetch.
    Fetch = 2,
}

/// Result of a page walk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Translation {
    /// Guest-physical address of the byte asked for.
    pub gpa: Gpa,
    /// Log2 of the size of the naturally aligned block that the page-table entry covers, at least 12: forgetting any address in it means
    /// forgetting all of it. Rights need be uniform over the 4 KiB around the address only.
    pub page_shift: u8,
    /// Loads are allowed.
    pub read: bool,
    /// Stores are allowed, and need no further update of the page table (the dirty bit is set).
    pub write: bool,
    /// Fetches are allowed.
    pub exec: bool,
    /// Rights are not uniform over the page: do not cache.
    pub fragile: bool,
}

/// Physical memory as the page walker sees it.
pub trait PhysMem {
    /// Reads an aligned page-table entry of 4 or 8 bytes.
    fn load(&mut self, at: Gpa, size: u8) -> Result<u64, BusError>;
    /// Replaces an aligned entry if it still has the old value; tells whether it did.
    fn compare_exchange(&mut self, at: Gpa, size: u8, old: u64, new: u64)
    -> Result<bool, BusError>;
}

/// Result of decoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decoded<I> {
    /// An instruction (illegal ones too: their semantics raise the exception) and its length in bytes.
    Insn(I, u8),
    /// At least this many bytes are needed to tell.
    More(u8),
}

/// Effect of an instruction on the flow of control.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InsnFlow {
    /// The next instruction in memory follows.
    Next,
    /// It may or may not follow.
    Branch,
    /// It does not follow, or only after a fresh look at the CPU's mode.
    End,
}

/// Which cached translations to forget.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flush {
    /// All.
    All,
    /// Those for the page around this virtual address, in every bank.
    Page(u64),
    /// Those of banks whose key matches: `(key & mask) == value`.
    Banks {
        /// Bits that count.
        mask: [u64; 2],
        /// Their value.
        value: [u64; 2],
        /// Only the page around this address.
        page: Option<u64>,
    },
}

/// A helper function of a guest.
pub struct Helper<G: Guest> {
    /// Name for listings.
    pub name: &'static str,
    /// The function.
    pub run: fn(&mut HelperCx<'_, G>, [u64; 4]) -> Result<u64, Stop>,
    /// Reads no register slot but its arguments, writes none, cannot stop: compiled code may keep registers in place around it.
    pub pure: bool,
}

/// A guest architecture.
pub trait Guest: Sized + Send + 'static {
    /// Which.
    const ARCH: Arch;
    /// Where the program counter lives. Compiled code keeps it up to date only at exits.
    const PC: Slot;
    /// Accumulated floating-point exception flags, in the layout of [`crate::fp::Flags`].
    const FFLAGS: Slot;
    /// Dynamic rounding direction, a value of [`crate::fp::Rounding`]; semantics check it for validity before they ask for
    /// [`crate::sem::Round::Dynamic`] (through the mode key or a helper).
    const FRM: Slot;
    /// NaN rule of arithmetic.
    const NAN_RULE: NanRule;
    /// The ten registers kept in host registers across blocks, most used first.
    const PINNED: [Slot; 10];
    /// Longest instruction, in bytes.
    const MAX_INSN: u8;
    /// Helper functions, indexed by [`HelperId`].
    const HELPERS: &'static [Helper<Self>];
    /// A decoded instruction, 16 bytes or less.
    type Insn: Copy + core::fmt::Debug + Send;

    /// A CPU as the configuration describes it, at reset.
    fn new(cfg: &VmConfig, index: u32, regs: &mut [u64; SLOTS]) -> Result<Self, AccelError>;
    /// Back to the reset state.
    fn reset(&mut self, regs: &mut [u64; SLOTS]);
    /// Decodes the instruction at the start of `bytes`.
    fn decode(&self, mode: ModeKey, bytes: &[u8]) -> Decoded<Self::Insn>;
    /// What the instruction does to the flow of control, so that decoding ahead stops where it should.
    fn flow(insn: &Self::Insn) -> InsnFlow;
    /// Performs one instruction at virtual address `pc`.
    fn exec<O: Ops>(o: &mut O, insn: &Self::Insn, pc: u64, mode: ModeKey) -> Result<(), O::Err>;
    /// The instruction in assembly language.
    fn disassemble(insn: &Self::Insn, pc: u64) -> String;
    /// Name of a slot.
    fn slot_name(slot: Slot) -> String;

    /// Mode that compiled code depends on.
    fn mode_key(&self, regs: &[u64; SLOTS]) -> ModeKey;
    /// Translation regime in force.
    fn bank_key(&self) -> BankKey;
    /// Translates a virtual address for an access of `len` bytes that does not cross a page. Pure but for updates of accessed and dirty bits.
    fn translate(
        &mut self,
        va: u64,
        len: u8,
        kind: AccessKind,
        mem: &mut dyn PhysMem,
    ) -> Result<Translation, Exception>;
    /// The exception for a failed bus access at virtual address `va`.
    fn bus_fault(&self, va: u64, kind: AccessKind) -> Exception;
    /// The exception for a misaligned access.
    fn misaligned(&self, va: u64, kind: AccessKind) -> Exception;
    /// Offers an exception to the machine before the guest takes it: firmware calls that the host answers. The PC slot holds the address of the
    /// instruction; `Some` means that it is dealt with, the PC slot moved on, and `run` is to be left if there is an exit.
    fn intercept(cx: &mut HelperCx<'_, Self>, e: Exception) -> Option<Option<Exit>>;
    /// True for exceptions that [`Guest::intercept`] wants to see.
    fn intercepts(&self, e: Exception) -> bool;
    /// Takes an exception raised by the instruction at the PC slot: updates state and PC.
    fn take_exception(&mut self, regs: &mut [u64; SLOTS], e: Exception);
    /// Compares the CPU's own timers with the VM clock (in ns).
    fn update_timer(&mut self, now: u64);
    /// Takes the most urgent enabled interrupt, if any; tells whether it did. Called at every block boundary that reaches the engine, so it
    /// must be quick when there is nothing to do.
    fn poll_interrupt(&mut self, regs: &mut [u64; SLOTS], pins: &Pins) -> bool;
    /// A waiting CPU must wake: some interrupt is pending and locally enabled, whether or not it can be taken.
    fn wakes(&mut self, pins: &Pins) -> bool;
    /// Whether the CPU still waits for the interrupt it has halted for. Returning to a halted CPU is not a reason to go on.
    fn still_waits(&mut self, pins: &Pins) -> bool;
    /// VM time in ns at which the CPU's own timer will raise an interrupt.
    fn deadline(&self) -> Option<u64>;
    /// Mask and value for [`Flush::Banks`] that select one address-space identifier.
    fn asid_filter(asid: u16) -> ([u64; 2], [u64; 2]);
    /// Architectural state; `count` is the number of instructions executed so far, if they are counted.
    fn save(&self, regs: &[u64; SLOTS], count: Option<u64>) -> CpuState;
    /// Takes over architectural state.
    fn restore(
        &mut self,
        regs: &mut [u64; SLOTS],
        state: &CpuState,
        count: Option<u64>,
    ) -> Result<(), AccelError>;
    /// A register for the debugger.
    fn read_reg(&mut self, regs: &[u64; SLOTS], reg: Reg) -> Option<u64>;
    /// Changes a register for the debugger; false if there is no such register.
    fn write_reg(&mut self, regs: &mut [u64; SLOTS], reg: Reg, value: u64) -> bool;
    /// Helper by number.
    fn helper(id: HelperId) -> &'static Helper<Self> {
        &Self::HELPERS[id.0 as usize]
    }
}
