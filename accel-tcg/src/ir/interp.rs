//! The meaning of the IR, executed plainly: what optimiser and compiler are tested against.

use super::{Block, Inst};
use crate::fp::op::{FpEnv, rounding};
use crate::fp::{NanRule, Rounding};
use crate::interp::arith;
use crate::regs::SLOTS;
use crate::sem::{HelperId, MemOp, Rmw, Slot, Width};

/// Registers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IrState {
    /// Guest registers.
    pub slots: [u64; SLOTS],
    /// Address and value of the reservation, if there is one.
    pub reservation: Option<(u64, u64)>,
}

impl Default for IrState {
    fn default() -> Self {
        IrState {
            slots: [0; SLOTS],
            reservation: None,
        }
    }
}

/// An address that cannot be accessed this way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadAddress;

/// Guest memory. Accesses are little-endian and all or nothing.
pub trait IrMem {
    /// Loads, zero-extended.
    fn load(&mut self, addr: u64, size: Width) -> Result<u64, BadAddress>;
    /// Stores the low bits.
    fn store(&mut self, addr: u64, size: Width, value: u64) -> Result<(), BadAddress>;
    /// Checks that a store would succeed.
    fn probe_store(&mut self, addr: u64, size: Width) -> Result<(), BadAddress>;
}

/// Where floating point finds its state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FpSlots {
    /// Slot that accumulates flags.
    pub fflags: Slot,
    /// Slot with the dynamic rounding direction; a reserved value counts as round-to-nearest-even.
    pub frm: Slot,
    /// NaN rule.
    pub nan: NanRule,
}

/// How execution left the block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IrExit {
    /// A direct jump or taken branch to this address.
    Jump(u64),
    /// An indirect jump.
    JumpReg(u64),
    /// Continue here after a fresh look.
    Resync(u64),
    /// A guest exception asked for by the instruction.
    Raise {
        /// Its cause.
        cause: u64,
        /// Its value.
        value: u64,
        /// Address of the instruction.
        pc: u64,
    },
    /// A memory access failed.
    Fault {
        /// Number of the guest instruction.
        insn: u16,
        /// Address accessed.
        addr: u64,
        /// Not a plain load.
        write: bool,
        /// It failed because the address is no multiple of the size.
        misaligned: bool,
    },
    /// A helper stopped.
    Stopped {
        /// Number of the guest instruction.
        insn: u16,
    },
}

/// Helper functions: number, arguments (missing ones are zero), registers. `None` stops.
pub type Helpers<'a> = &'a mut dyn FnMut(HelperId, [u64; 4], &mut IrState) -> Option<u64>;

/// Executes a block, which must be valid ([`super::verify`]).
///
/// # Panics
/// If the block is not valid.
pub fn run(
    block: &Block,
    state: &mut IrState,
    mem: &mut dyn IrMem,
    fp: FpSlots,
    call: Helpers<'_>,
) -> IrExit {
    let mut values = vec![0u64; block.insts.len()];
    let mut insn = 0;
    for (i, inst) in block.insts.iter().enumerate() {
        let val = |v: super::Val| values[usize::from(v.0)];
        let result = match *inst {
            Inst::Insn { index } => {
                insn = index;
                0
            }
            Inst::Nop | Inst::Fence(_) => 0,
            Inst::Imm(k) => k,
            Inst::Get(s) => state.slots[usize::from(s.0)],
            Inst::Set(s, v) => {
                state.slots[usize::from(s.0)] = val(v);
                0
            }
            Inst::Bin { op, w, a, b } => arith::bin(op, w, val(a), val(b)),
            Inst::Un { op, w, a } => arith::un(op, w, val(a)),
            Inst::Ext { signed, from, a } => {
                if signed {
                    arith::sext(from, val(a))
                } else {
                    val(a) & from.mask()
                }
            }
            Inst::Cmp { c, w, a, b } => u64::from(c.holds(w, val(a), val(b))),
            Inst::Select { c, w, a, b, t, f } => {
                val(if c.holds(w, val(a), val(b)) { t } else { f })
            }
            Inst::FpUnbox { f, a } => arith::unbox(f, val(a)),
            Inst::FpBox { f, a } => arith::nan_box(f, val(a)),
            Inst::Branch { c, w, a, b, target } => {
                if c.holds(w, val(a), val(b)) {
                    return IrExit::Jump(target);
                }
                0
            }
            Inst::Jump { target, .. } => return IrExit::Jump(target),
            Inst::JumpReg { target, .. } => return IrExit::JumpReg(val(target)),
            Inst::Resync { next } => return IrExit::Resync(next),
            Inst::Raise { cause, value } => {
                let offset = block.insns[usize::from(insn)].offset;
                return IrExit::Raise {
                    cause,
                    value: val(value),
                    pc: block.pc.wrapping_add(u64::from(offset)),
                };
            }
            Inst::Call { h, n, args } => {
                let mut full = [0; 4];
                for (to, &from) in full.iter_mut().zip(&args[..usize::from(n)]) {
                    *to = val(from);
                }
                match call(h, full, state) {
                    Some(v) => v,
                    None => return IrExit::Stopped { insn },
                }
            }
            Inst::Load { .. }
            | Inst::Store { .. }
            | Inst::Rmw { .. }
            | Inst::Cas { .. }
            | Inst::LoadReserved { .. }
            | Inst::StoreConditional { .. } => {
                match (Access { state, mem, insn }).run(inst, &val) {
                    Ok(v) => v,
                    Err(exit) => return exit,
                }
            }
            _ => {
                let (op, [a, b, c]) = inst.fp_op().expect("the rest is floating-point arithmetic");
                let dynamic = rounding(state.slots[usize::from(fp.frm.0)]).unwrap_or(Rounding::Rne);
                let (v, flags) = op.eval(
                    FpEnv {
                        dynamic,
                        nan: fp.nan,
                    },
                    val(a),
                    val(b),
                    val(c),
                );
                state.slots[usize::from(fp.fflags.0)] |= u64::from(flags.0);
                v
            }
        };
        values[i] = result;
    }
    panic!("the block does not end");
}

/// Memory operations of one guest instruction.
struct Access<'a> {
    state: &'a mut IrState,
    mem: &'a mut dyn IrMem,
    insn: u16,
}

impl Access<'_> {
    fn run(&mut self, inst: &Inst, val: &dyn Fn(super::Val) -> u64) -> Result<u64, IrExit> {
        let insn = self.insn;
        let fault = |addr, write| {
            move |BadAddress| IrExit::Fault {
                insn,
                addr,
                write,
                misaligned: false,
            }
        };
        let aligned = |m: MemOp, addr: u64, write| {
            if addr & u64::from(m.size.bytes() - 1) == 0 {
                Ok(())
            } else {
                Err(IrExit::Fault {
                    insn,
                    addr,
                    write,
                    misaligned: true,
                })
            }
        };
        let extend = |m: MemOp, v| if m.sign { arith::sext(m.size, v) } else { v };
        match *inst {
            Inst::Load { m, addr, disp } => {
                let at = val(addr).wrapping_add(disp as u64);
                if m.aligned {
                    aligned(m, at, false)?;
                }
                Ok(extend(
                    m,
                    self.mem.load(at, m.size).map_err(fault(at, false))?,
                ))
            }
            Inst::Store {
                m,
                addr,
                value,
                disp,
            } => {
                let at = val(addr).wrapping_add(disp as u64);
                if m.aligned {
                    aligned(m, at, true)?;
                }
                self.mem
                    .store(at, m.size, val(value))
                    .map_err(fault(at, true))?;
                Ok(0)
            }
            Inst::Rmw { op, m, addr, value } => {
                let at = val(addr);
                aligned(m, at, true)?;
                self.mem.probe_store(at, m.size).map_err(fault(at, true))?;
                let old = self.mem.load(at, m.size).map_err(fault(at, true))?;
                let new = rmw(op, m.size, old, val(value));
                self.mem.store(at, m.size, new).map_err(fault(at, true))?;
                Ok(extend(m, old))
            }
            Inst::Cas {
                m,
                addr,
                expected,
                new,
            } => {
                let at = val(addr);
                aligned(m, at, true)?;
                let (old, _) = self
                    .compare_and_swap(at, m.size, val(expected), val(new))
                    .map_err(fault(at, true))?;
                Ok(extend(m, old))
            }
            Inst::LoadReserved { m, addr } => {
                let at = val(addr);
                aligned(m, at, false)?;
                let v = self.mem.load(at, m.size).map_err(fault(at, false))?;
                self.state.reservation = Some((at, v));
                Ok(extend(m, v))
            }
            Inst::StoreConditional { m, addr, value } => {
                let at = val(addr);
                aligned(m, at, true)?;
                let stored = match self.state.reservation {
                    Some((reserved, seen)) if reserved == at => {
                        self.compare_and_swap(at, m.size, seen, val(value))
                            .map_err(fault(at, true))?
                            .1
                    }
                    _ => {
                        self.mem.probe_store(at, m.size).map_err(fault(at, true))?;
                        false
                    }
                };
                self.state.reservation = None;
                Ok(u64::from(!stored))
            }
            _ => Ok(0),
        }
    }

    /// The old value, and whether it was the expected one.
    fn compare_and_swap(
        &mut self,
        at: u64,
        size: Width,
        expected: u64,
        new: u64,
    ) -> Result<(u64, bool), BadAddress> {
        self.mem.probe_store(at, size)?;
        let old = self.mem.load(at, size)?;
        let same = old == expected & size.mask();
        if same {
            self.mem.store(at, size, new)?;
        }
        Ok((old, same))
    }
}

/// The new value of a read-modify-write operation; only the low bits count.
pub fn rmw(op: Rmw, w: Width, old: u64, operand: u64) -> u64 {
    use crate::sem::Bin;
    let bin = match op {
        Rmw::Swap => return operand & w.mask(),
        Rmw::Add => Bin::Add,
        Rmw::And => Bin::And,
        Rmw::Or => Bin::Or,
        Rmw::Xor => Bin::Xor,
        Rmw::MinS => Bin::MinS,
        Rmw::MinU => Bin::MinU,
        Rmw::MaxS => Bin::MaxS,
        Rmw::MaxU => Bin::MaxU,
    };
    arith::bin(bin, w, old, operand)
}

/// Memory that is one range of bytes; everything else is a bad address. For tests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window {
    /// Address of the first byte.
    pub base: u64,
    /// Contents.
    pub bytes: Vec<u8>,
}

impl Window {
    fn range(&self, addr: u64, size: Width) -> Result<core::ops::Range<usize>, BadAddress> {
        let from = usize::try_from(addr.wrapping_sub(self.base)).map_err(|_| BadAddress)?;
        let to = from
            .checked_add(usize::from(size.bytes()))
            .ok_or(BadAddress)?;
        if to <= self.bytes.len() {
            Ok(from..to)
        } else {
            Err(BadAddress)
        }
    }
}

impl IrMem for Window {
    fn load(&mut self, addr: u64, size: Width) -> Result<u64, BadAddress> {
        let range = self.range(addr, size)?;
        let mut word = [0; 8];
        word[..range.len()].copy_from_slice(&self.bytes[range]);
        Ok(u64::from_le_bytes(word))
    }
    fn store(&mut self, addr: u64, size: Width, value: u64) -> Result<(), BadAddress> {
        let range = self.range(addr, size)?;
        let len = range.len();
        self.bytes[range].copy_from_slice(&value.to_le_bytes()[..len]);
        Ok(())
    }
    fn probe_store(&mut self, addr: u64, size: Width) -> Result<(), BadAddress> {
        self.range(addr, size).map(drop)
    }
}
