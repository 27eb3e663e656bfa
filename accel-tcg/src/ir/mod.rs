//! The intermediate representation: what one guest basic block does, as a linear list of operations on 64-bit values.
//!
//! An instruction that produces a value *is* the value: [`Val`] is an index in [`Block::insts`]. Every value is defined before its
//! uses. Guest registers are read and written by [`Inst::Get`] and [`Inst::Set`]; a `Get` sees the latest `Set` before it.
//! [`Inst::Insn`] marks where a guest instruction begins: everything up to the next mark belongs to it, and an exception raised there
//! reports its address, with all earlier `Set`s done and none of its own (the builder's input obeys the rules in [`crate::sem`]).
//!
//! Flow: [`Inst::Branch`] leaves the block when its condition holds and continues in the list otherwise. The list ends with exactly one of
//! `Jump`, `JumpReg`, `Resync` or `Raise`.

pub mod build;
mod fact;
mod fold;
pub mod r#gen;
mod inst;
pub mod interp;
pub mod opt;
pub mod print;
pub mod verify;

use crate::fp::Format;
use crate::sem::{
    Bin, Cond, Fence, FpBin, FpCmp, FpMinMax, HelperId, IntFormat, JumpKind, MemOp, Rmw, Round,
    Slot, Un, Width,
};

/// A value: the index of the instruction that produces it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Val(pub u16);

/// One operation. The meaning of each is that of the method of [`crate::sem::Ops`] with the same name.
#[derive(Clone, Copy, PartialEq, Debug)]
#[expect(missing_docs, reason = "operands are named as in the methods of `Ops`")]
pub enum Inst {
    /// Start of guest instruction number `index` of the block (see [`Block::insns`]).
    Insn {
        index: u16,
    },
    /// Removed by the optimiser.
    Nop,
    Imm(u64),
    Get(Slot),
    Set(Slot, Val),
    Bin {
        op: Bin,
        w: Width,
        a: Val,
        b: Val,
    },
    Un {
        op: Un,
        w: Width,
        a: Val,
    },
    Ext {
        signed: bool,
        from: Width,
        a: Val,
    },
    Cmp {
        c: Cond,
        w: Width,
        a: Val,
        b: Val,
    },
    Select {
        c: Cond,
        w: Width,
        a: Val,
        b: Val,
        t: Val,
        f: Val,
    },
    /// The address is `addr + disp`.
    Load {
        m: MemOp,
        addr: Val,
        disp: i32,
    },
    /// The address is `addr + disp`.
    Store {
        m: MemOp,
        addr: Val,
        value: Val,
        disp: i32,
    },
    Rmw {
        op: Rmw,
        m: MemOp,
        addr: Val,
        value: Val,
    },
    Cas {
        m: MemOp,
        addr: Val,
        expected: Val,
        new: Val,
    },
    LoadReserved {
        m: MemOp,
        addr: Val,
    },
    StoreConditional {
        m: MemOp,
        addr: Val,
        value: Val,
    },
    Fence(Fence),
    FpUnbox {
        f: Format,
        a: Val,
    },
    FpBox {
        f: Format,
        a: Val,
    },
    FpBin {
        op: FpBin,
        f: Format,
        rm: Round,
        a: Val,
        b: Val,
    },
    FpSqrt {
        f: Format,
        rm: Round,
        a: Val,
    },
    FpFma {
        f: Format,
        rm: Round,
        neg_product: bool,
        neg_addend: bool,
        a: Val,
        b: Val,
        c: Val,
    },
    FpCmp {
        c: FpCmp,
        f: Format,
        signaling: bool,
        a: Val,
        b: Val,
    },
    FpMinMax {
        op: FpMinMax,
        f: Format,
        a: Val,
        b: Val,
    },
    FpToInt {
        f: Format,
        rm: Round,
        to: IntFormat,
        a: Val,
    },
    FpFromInt {
        f: Format,
        rm: Round,
        from: IntFormat,
        a: Val,
    },
    FpConvert {
        from: Format,
        to: Format,
        rm: Round,
        a: Val,
    },
    FpRound {
        f: Format,
        rm: Round,
        exact: bool,
        a: Val,
    },
    FpClassify {
        f: Format,
        a: Val,
    },
    FpToIntMod {
        a: Val,
    },
    /// Unused arguments repeat the first value or refer to any constant; `n` tells how many count.
    Call {
        h: HelperId,
        n: u8,
        args: [Val; 4],
    },
    Branch {
        c: Cond,
        w: Width,
        a: Val,
        b: Val,
        target: u64,
    },
    Jump {
        target: u64,
        kind: JumpKind,
    },
    JumpReg {
        target: Val,
        kind: JumpKind,
    },
    /// Continue at `next` after a fresh look at mode, mapping and interrupts.
    Resync {
        next: u64,
    },
    Raise {
        cause: u64,
        value: Val,
    },
}

/// A guest instruction in a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InsnInfo {
    /// Offset of its address from [`Block::pc`], in bytes.
    pub offset: u16,
    /// Its length in bytes.
    pub len: u8,
}

/// A guest basic block.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Block {
    /// Virtual address of the first instruction.
    pub pc: u64,
    /// Operations.
    pub insts: Vec<Inst>,
    /// Guest instructions, in order.
    pub insns: Vec<InsnInfo>,
}

const _: () = assert!(size_of::<Inst>() == 16);

#[cfg(test)]
mod tests;
