//! The way out of a running vCPU: [`CpuBus`].

use crate::{Exit, Nanos};
use ambidex_memory::{BusError, Gpa};

/// What a vCPU needs from its machine while it runs; passed into [`crate::Vcpu::run`].
///
/// RAM is not here: accelerators reach it directly through the `AddressSpace`. Every method may be
/// called from several vCPU threads at once.
pub trait CpuBus: Sync {
    /// Reads `size` (1, 2, 4, 8) bytes of MMIO.
    fn read(&self, cpu: u32, at: Gpa, size: u8) -> Result<u64, BusError>;

    /// Writes `size` (1, 2, 4, 8) bytes of MMIO.
    fn write(&self, cpu: u32, at: Gpa, size: u8, value: u64) -> Result<(), BusError>;

    /// Reads an x86 I/O port. No port answers: all ones.
    fn port_in(&self, cpu: u32, port: u16, size: u8) -> u64 {
        let _ = (cpu, port);
        if size >= 8 {
            u64::MAX
        } else {
            (1 << (8 * u32::from(size))) - 1
        }
    }

    /// Writes an x86 I/O port.
    fn port_out(&self, cpu: u32, port: u16, size: u8, value: u64) {
        let _ = (cpu, port, size, value);
    }

    /// The VM clock.
    fn now(&self) -> Nanos;

    /// When the CPU's own timer (`stimecmp`, generic timer, LAPIC) will next matter. The machine
    /// kicks the vCPU then. `None` cancels.
    fn set_deadline(&self, cpu: u32, at: Option<Nanos>);

    /// Instruction-count timing: `insns` executed in all so far. Called before every other call,
    /// so that the clock is exact.
    fn executed(&self, cpu: u32, insns: u64) {
        let _ = (cpu, insns);
    }

    /// A firmware call under [`crate::FirmwareCalls::Host`].
    fn firmware_call(&self, cpu: u32, call: &mut FirmwareCall) -> FirmwareResult {
        let _ = (cpu, call);
        FirmwareResult::Trap
    }

    /// A semihosting call: operation, argument, and the caller's view of virtual memory.
    /// Returns what the guest finds in the result register.
    fn semihost(&self, cpu: u32, op: u64, arg: u64, mem: &mut dyn GuestMem) -> u64 {
        let _ = (cpu, op, arg, mem);
        u64::MAX
    }

    /// Acknowledges an external interrupt and returns its vector (x86).
    fn ack_irq(&self, cpu: u32) -> Option<u8> {
        let _ = cpu;
        None
    }

    /// End of interrupt (x86).
    fn eoi(&self, cpu: u32, vector: u8) {
        let _ = (cpu, vector);
    }
}

/// Registers of a firmware call. RISC-V: `a0`…`a7`; Arm: `x0`…`x7`. Results go back the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FirmwareCall {
    /// Argument registers in, result registers out.
    pub regs: [u64; 8],
}

/// What becomes of the caller of a firmware call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FirmwareResult {
    /// Goes on after the call with the registers in [`FirmwareCall::regs`].
    Return,
    /// Like `Return`, then waits for an interrupt (retentive suspend).
    Wait,
    /// `run` returns with this. The call is over and its registers are in place: when the vCPU is
    /// run again it goes on after the call, unless its state has been replaced.
    Exit(Exit),
    /// The processor starts anew in the mode firmware hands over in (non-retentive suspend).
    /// RISC-V: [`crate::riscv::State::supervisor_start`].
    Restart {
        /// Where.
        pc: u64,
        /// First argument register (the hart id on RISC-V).
        arg0: u64,
        /// Second argument register (opaque).
        arg1: u64,
    },
    /// Nobody handles it: the call traps as the architecture says.
    Trap,
}

/// A set of vCPUs in the shape firmware interfaces use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuMask {
    base: u32,
    bits: u64,
    all: bool,
}

impl CpuMask {
    /// Every vCPU.
    pub const ALL: CpuMask = CpuMask {
        base: 0,
        bits: 0,
        all: true,
    };

    /// Only `cpu`.
    pub const fn one(cpu: u32) -> CpuMask {
        CpuMask {
            base: cpu,
            bits: 1,
            all: false,
        }
    }

    /// Those vCPUs `base + i` for which bit `i` of `bits` is set.
    pub const fn from_bits(base: u32, bits: u64) -> CpuMask {
        CpuMask {
            base,
            bits,
            all: false,
        }
    }

    /// Whether `cpu` is in the set.
    pub const fn contains(self, cpu: u32) -> bool {
        self.all
            || (cpu >= self.base && cpu - self.base < 64 && self.bits >> (cpu - self.base) & 1 == 1)
    }
}

/// A fence another CPU asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// What is fenced.
    pub kind: FenceKind,
}

/// Kinds of [`Fence`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FenceKind {
    /// Instruction fetches see earlier stores (`fence.i`).
    Icache,
    /// Address translations are read anew (`sfence.vma`).
    Tlb {
        /// Only this address space; `None` for all, global mappings included.
        asid: Option<u16>,
        /// First virtual address.
        start: u64,
        /// Length in bytes; `u64::MAX` for everything.
        len: u64,
    },
}

/// A guest's memory through the eyes of one CPU: virtual addresses, current mode.
pub trait GuestMem {
    /// Reads all of `buf`, or fails without a side effect on the guest.
    fn read(&mut self, va: u64, buf: &mut [u8]) -> Result<(), MemFault>;

    /// Writes all of `buf`. On failure an initial part may have been written.
    fn write(&mut self, va: u64, buf: &[u8]) -> Result<(), MemFault>;
}

/// A virtual address could not be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("guest virtual address {va:#x} cannot be accessed")]
pub struct MemFault {
    /// The first address that failed.
    pub va: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks() {
        let m = CpuMask::from_bits(10, 0b101);
        let set: Vec<u32> = (0..200).filter(|&c| m.contains(c)).collect();
        assert_eq!(set, [10, 12]);
        assert!(CpuMask::ALL.contains(u32::MAX));
        assert!(CpuMask::one(7).contains(7) && !CpuMask::one(7).contains(8));
        assert!(CpuMask::from_bits(u32::MAX, 1).contains(u32::MAX));
    }
}
