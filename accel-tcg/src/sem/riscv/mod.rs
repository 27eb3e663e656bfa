//! What RISC-V instructions do, in the vocabulary of [`crate::sem`].
//!
//! [`exec`] is one flat list from operations to the functions of this module's parts, so that a line in a decoder table without semantics
//! does not compile. Registers are numbered as [`slots`] says, helpers as [`helper_id`] does.
//!
//! `misa.C` cannot be switched off: all jump targets are even and therefore aligned, so no instruction raises an instruction-address
//! misalignment.

mod atomic;
mod bitmanip;
mod float;
pub mod helper_id;
mod int;
pub mod mode;
pub mod slots;
mod system;

#[cfg(test)]
mod tests;

pub use mode::{Fs, Mode, Privilege};

use crate::decode::riscv::{Insn, Op};
use crate::fp::Format::{F16, F32, F64};
use crate::sem::{Bin, Cond, Fence, FpBin, FpCmp, FpMinMax, MemOp, Ops, Rmw, Un, Width};

/// Cause of the illegal-instruction exception; its value is the instruction word.
pub const ILLEGAL: u64 = 2;
/// Cause of an environment call from U-mode; the privilege level is added.
const ECALL_FROM_U: u64 = 8;

/// What the semantics of one instruction work on.
struct Cx<'a, O: Ops> {
    o: &'a mut O,
    i: &'a Insn,
    pc: u64,
    mode: Mode,
}

impl<O: Ops> Cx<'_, O> {
    /// Integer register; x0 is zero.
    fn x(&mut self, n: u8) -> O::V {
        if n == 0 {
            self.o.imm(0)
        } else {
            self.o.get(slots::x(n))
        }
    }
    fn rs1(&mut self) -> O::V {
        self.x(self.i.rs1)
    }
    fn rs2(&mut self) -> O::V {
        self.x(self.i.rs2)
    }
    /// Writes rd, unless it is x0.
    fn set_x(&mut self, v: O::V) {
        if self.i.rd != 0 {
            self.o.set(slots::x(self.i.rd), v);
        }
    }
    fn imm(&mut self) -> O::V {
        self.o.imm(self.i.imm as u64)
    }
    fn bits(&mut self) -> O::V {
        self.o.imm(self.i.bits.into())
    }
    /// `rs1 + imm`
    fn address(&mut self) -> O::V {
        let base = self.rs1();
        if self.i.imm == 0 {
            return base;
        }
        let offset = self.imm();
        if self.i.rs1 == 0 {
            offset
        } else {
            self.o.bin(Bin::Add, Width::W64, base, offset)
        }
    }
    /// Address of the next instruction.
    fn next(&self) -> u64 {
        self.pc.wrapping_add(self.i.len.into())
    }
    fn illegal(&mut self) -> Result<(), O::Err> {
        let bits = self.bits();
        self.o.raise(ILLEGAL, bits)
    }
}

/// Performs the instruction `insn` at virtual address `pc`.
#[inline]
pub fn exec<O: Ops>(o: &mut O, insn: &Insn, pc: u64, mode: Mode) -> Result<(), O::Err> {
    use Width::{W8, W16, W32, W64};
    let c = &mut Cx {
        o,
        i: insn,
        pc,
        mode,
    };
    match insn.op {
        Op::Illegal => c.illegal(),

        // I
        Op::Lui => int::upper(c, 0),
        Op::Auipc => int::upper(c, pc),
        Op::Jal => int::jal(c),
        Op::Jalr => int::jalr(c),
        Op::Beq => int::branch(c, Cond::Eq),
        Op::Bne => int::branch(c, Cond::Ne),
        Op::Blt => int::branch(c, Cond::LtS),
        Op::Bge => int::branch(c, Cond::GeS),
        Op::Bltu => int::branch(c, Cond::LtU),
        Op::Bgeu => int::branch(c, Cond::GeU),
        Op::Lb => int::load(c, MemOp::signed(W8)),
        Op::Lh => int::load(c, MemOp::signed(W16)),
        Op::Lw => int::load(c, MemOp::signed(W32)),
        Op::Ld => int::load(c, MemOp::plain(W64)),
        Op::Lbu => int::load(c, MemOp::plain(W8)),
        Op::Lhu => int::load(c, MemOp::plain(W16)),
        Op::Lwu => int::load(c, MemOp::plain(W32)),
        Op::Sb => int::store(c, W8),
        Op::Sh => int::store(c, W16),
        Op::Sw => int::store(c, W32),
        Op::Sd => int::store(c, W64),
        Op::Addi => int::imm(c, Bin::Add),
        Op::Xori => int::imm(c, Bin::Xor),
        Op::Ori => int::imm(c, Bin::Or),
        Op::Andi => int::imm(c, Bin::And),
        Op::Slli => int::imm(c, Bin::Shl),
        Op::Srli => int::imm(c, Bin::Shr),
        Op::Srai => int::imm(c, Bin::Sar),
        Op::Slti => int::set_if_imm(c, Cond::LtS),
        Op::Sltiu => int::set_if_imm(c, Cond::LtU),
        Op::Slt => int::set_if(c, Cond::LtS),
        Op::Sltu => int::set_if(c, Cond::LtU),
        Op::Add => int::reg(c, Bin::Add),
        Op::Sub => int::reg(c, Bin::Sub),
        Op::Xor => int::reg(c, Bin::Xor),
        Op::Or => int::reg(c, Bin::Or),
        Op::And => int::reg(c, Bin::And),
        Op::Sll => int::reg(c, Bin::Shl),
        Op::Srl => int::reg(c, Bin::Shr),
        Op::Sra => int::reg(c, Bin::Sar),
        Op::Addiw => int::imm_w(c, Bin::Add),
        Op::Slliw => int::imm_w(c, Bin::Shl),
        Op::Srliw => int::imm_w(c, Bin::Shr),
        Op::Sraiw => int::imm_w(c, Bin::Sar),
        Op::Addw => int::reg_w(c, Bin::Add),
        Op::Subw => int::reg_w(c, Bin::Sub),
        Op::Sllw => int::reg_w(c, Bin::Shl),
        Op::Srlw => int::reg_w(c, Bin::Shr),
        Op::Sraw => int::reg_w(c, Bin::Sar),
        Op::Fence => int::fence(c),
        Op::FenceTso => {
            c.o.fence(Fence::AcquireRelease);
            Ok(())
        }
        Op::Ecall => system::ecall(c),
        Op::Ebreak => system::ebreak(c),
        Op::Pause
        | Op::NtlP1
        | Op::NtlPall
        | Op::NtlS1
        | Op::NtlAll
        | Op::PrefetchI
        | Op::PrefetchR
        | Op::PrefetchW
        | Op::CMop => Ok(()),
        Op::MopR | Op::MopRr => int::mop(c),

        // M
        Op::Mul => int::reg(c, Bin::Mul),
        Op::Mulh => int::reg(c, Bin::MulHiS),
        Op::Mulhsu => int::reg(c, Bin::MulHiSU),
        Op::Mulhu => int::reg(c, Bin::MulHiU),
        Op::Div => int::reg(c, Bin::DivS),
        Op::Divu => int::reg(c, Bin::DivU),
        Op::Rem => int::reg(c, Bin::RemS),
        Op::Remu => int::reg(c, Bin::RemU),
        Op::Mulw => int::reg_w(c, Bin::Mul),
        Op::Divw => int::reg_w(c, Bin::DivS),
        Op::Divuw => int::reg_w(c, Bin::DivU),
        Op::Remw => int::reg_w(c, Bin::RemS),
        Op::Remuw => int::reg_w(c, Bin::RemU),

        // A
        Op::LrW => atomic::lr(c, W32),
        Op::ScW => atomic::sc(c, W32),
        Op::LrD => atomic::lr(c, W64),
        Op::ScD => atomic::sc(c, W64),
        Op::AmoSwapB => atomic::amo(c, Rmw::Swap, W8),
        Op::AmoAddB => atomic::amo(c, Rmw::Add, W8),
        Op::AmoXorB => atomic::amo(c, Rmw::Xor, W8),
        Op::AmoAndB => atomic::amo(c, Rmw::And, W8),
        Op::AmoOrB => atomic::amo(c, Rmw::Or, W8),
        Op::AmoMinB => atomic::amo(c, Rmw::MinS, W8),
        Op::AmoMaxB => atomic::amo(c, Rmw::MaxS, W8),
        Op::AmoMinuB => atomic::amo(c, Rmw::MinU, W8),
        Op::AmoMaxuB => atomic::amo(c, Rmw::MaxU, W8),
        Op::AmocasB => atomic::amocas(c, W8),
        Op::AmoSwapH => atomic::amo(c, Rmw::Swap, W16),
        Op::AmoAddH => atomic::amo(c, Rmw::Add, W16),
        Op::AmoXorH => atomic::amo(c, Rmw::Xor, W16),
        Op::AmoAndH => atomic::amo(c, Rmw::And, W16),
        Op::AmoOrH => atomic::amo(c, Rmw::Or, W16),
        Op::AmoMinH => atomic::amo(c, Rmw::MinS, W16),
        Op::AmoMaxH => atomic::amo(c, Rmw::MaxS, W16),
        Op::AmoMinuH => atomic::amo(c, Rmw::MinU, W16),
        Op::AmoMaxuH => atomic::amo(c, Rmw::MaxU, W16),
        Op::AmocasH => atomic::amocas(c, W16),
        Op::AmoSwapW => atomic::amo(c, Rmw::Swap, W32),
        Op::AmoAddW => atomic::amo(c, Rmw::Add, W32),
        Op::AmoXorW => atomic::amo(c, Rmw::Xor, W32),
        Op::AmoAndW => atomic::amo(c, Rmw::And, W32),
        Op::AmoOrW => atomic::amo(c, Rmw::Or, W32),
        Op::AmoMinW => atomic::amo(c, Rmw::MinS, W32),
        Op::AmoMaxW => atomic::amo(c, Rmw::MaxS, W32),
        Op::AmoMinuW => atomic::amo(c, Rmw::MinU, W32),
        Op::AmoMaxuW => atomic::amo(c, Rmw::MaxU, W32),
        Op::AmocasW => atomic::amocas(c, W32),
        Op::AmoSwapD => atomic::amo(c, Rmw::Swap, W64),
        Op::AmoAddD => atomic::amo(c, Rmw::Add, W64),
        Op::AmoXorD => atomic::amo(c, Rmw::Xor, W64),
        Op::AmoAndD => atomic::amo(c, Rmw::And, W64),
        Op::AmoOrD => atomic::amo(c, Rmw::Or, W64),
        Op::AmoMinD => atomic::amo(c, Rmw::MinS, W64),
        Op::AmoMaxD => atomic::amo(c, Rmw::MaxS, W64),
        Op::AmoMinuD => atomic::amo(c, Rmw::MinU, W64),
        Op::AmoMaxuD => atomic::amo(c, Rmw::MaxU, W64),
        Op::AmocasD => atomic::amocas(c, W64),
        Op::AmocasQ => atomic::amocas_q(c),
        Op::WrsNto => system::wrs(c, 0),
        Op::WrsSto => system::wrs(c, 1),

        // Zba, Zbb, Zbc, Zbs, Zicond
        Op::Andn => int::reg(c, Bin::AndNot),
        Op::Max => int::reg(c, Bin::MaxS),
        Op::Maxu => int::reg(c, Bin::MaxU),
        Op::Min => int::reg(c, Bin::MinS),
        Op::Minu => int::reg(c, Bin::MinU),
        Op::Rol => int::reg(c, Bin::Rol),
        Op::Ror => int::reg(c, Bin::Ror),
        Op::Clmul => int::reg(c, Bin::ClMul),
        Op::Clmulh => int::reg(c, Bin::ClMulHi),
        Op::Clmulr => bitmanip::clmulr(c),
        Op::Rori => int::imm(c, Bin::Ror),
        Op::Rolw => int::reg_w(c, Bin::Rol),
        Op::Rorw => int::reg_w(c, Bin::Ror),
        Op::Roriw => int::imm_w(c, Bin::Ror),
        Op::Orn => bitmanip::with_not(c, Bin::Or),
        Op::Xnor => bitmanip::with_not(c, Bin::Xor),
        Op::AddUw => bitmanip::shift_add(c, 0, true),
        Op::Sh1add => bitmanip::shift_add(c, 1, false),
        Op::Sh1addUw => bitmanip::shift_add(c, 1, true),
        Op::Sh2add => bitmanip::shift_add(c, 2, false),
        Op::Sh2addUw => bitmanip::shift_add(c, 2, true),
        Op::Sh3add => bitmanip::shift_add(c, 3, false),
        Op::Sh3addUw => bitmanip::shift_add(c, 3, true),
        Op::SlliUw => bitmanip::slli_uw(c),
        Op::Clz => int::unary(c, Un::Clz, W64),
        Op::Ctz => int::unary(c, Un::Ctz, W64),
        Op::Cpop => int::unary(c, Un::Popcnt, W64),
        Op::Clzw => int::unary(c, Un::Clz, W32),
        Op::Ctzw => int::unary(c, Un::Ctz, W32),
        Op::Cpopw => int::unary(c, Un::Popcnt, W32),
        Op::OrcB => int::unary(c, Un::OrBytes, W64),
        Op::Rev8 => int::unary(c, Un::Bswap, W64),
        Op::SextB => int::extend(c, true, W8),
        Op::SextH => int::extend(c, true, W16),
        Op::ZextH => int::extend(c, false, W16),
        Op::Bclr => bitmanip::single_bit(c, Bin::AndNot, false),
        Op::Bclri => bitmanip::single_bit(c, Bin::AndNot, true),
        Op::Binv => bitmanip::single_bit(c, Bin::Xor, false),
        Op::Binvi => bitmanip::single_bit(c, Bin::Xor, true),
        Op::Bset => bitmanip::single_bit(c, Bin::Or, false),
        Op::Bseti => bitmanip::single_bit(c, Bin::Or, true),
        Op::Bext => bitmanip::bext(c, false),
        Op::Bexti => bitmanip::bext(c, true),
        Op::CzeroEqz => int::czero(c, Cond::Eq),
        Op::CzeroNez => int::czero(c, Cond::Ne),

        // F
        Op::Flw => float::load(c, F32),
        Op::Fsw => float::store(c, F32),
        Op::FmvXW => float::move_to_int(c, F32),
        Op::FmvWX => float::move_from_int(c, F32),
        Op::FmaddS => float::fma(c, F32, false, false),
        Op::FmsubS => float::fma(c, F32, false, true),
        Op::FnmsubS => float::fma(c, F32, true, false),
        Op::FnmaddS => float::fma(c, F32, true, true),
        Op::FaddS => float::arith(c, F32, FpBin::Add),
        Op::FsubS => float::arith(c, F32, FpBin::Sub),
        Op::FmulS => float::arith(c, F32, FpBin::Mul),
        Op::FdivS => float::arith(c, F32, FpBin::Div),
        Op::FsqrtS => float::sqrt(c, F32),
        Op::FsgnjS => float::sign_inject(c, F32, float::Sign::Copy),
        Op::FsgnjnS => float::sign_inject(c, F32, float::Sign::Negate),
        Op::FsgnjxS => float::sign_inject(c, F32, float::Sign::Xor),
        Op::FminS => float::minmax(c, F32, FpMinMax::MinNumber),
        Op::FmaxS => float::minmax(c, F32, FpMinMax::MaxNumber),
        Op::FminmS => float::minmax(c, F32, FpMinMax::Minimum),
        Op::FmaxmS => float::minmax(c, F32, FpMinMax::Maximum),
        Op::FleS => float::compare(c, F32, FpCmp::Le, true),
        Op::FltS => float::compare(c, F32, FpCmp::Lt, true),
        Op::FeqS => float::compare(c, F32, FpCmp::Eq, false),
        Op::FleqS => float::compare(c, F32, FpCmp::Le, false),
        Op::FltqS => float::compare(c, F32, FpCmp::Lt, false),
        Op::FclassS => float::classify(c, F32),
        Op::FcvtWS => float::to_int(c, F32, W32, true),
        Op::FcvtSW => float::from_int(c, F32, W32, true),
        Op::FcvtWuS => float::to_int(c, F32, W32, false),
        Op::FcvtSWu => float::from_int(c, F32, W32, false),
        Op::FcvtLS => float::to_int(c, F32, W64, true),
        Op::FcvtSL => float::from_int(c, F32, W64, true),
        Op::FcvtLuS => float::to_int(c, F32, W64, false),
        Op::FcvtSLu => float::from_int(c, F32, W64, false),
        Op::FroundS => float::round(c, F32, false),
        Op::FroundnxS => float::round(c, F32, true),
        Op::FliS => float::load_constant(c, F32),

        // D
        Op::Fld => float::load(c, F64),
        Op::Fsd => float::store(c, F64),
        Op::FmvXD => float::move_to_int(c, F64),
        Op::FmvDX => float::move_from_int(c, F64),
        Op::FmaddD => float::fma(c, F64, false, false),
        Op::FmsubD => float::fma(c, F64, false, true),
        Op::FnmsubD => float::fma(c, F64, true, false),
        Op::FnmaddD => float::fma(c, F64, true, true),
        Op::FaddD => float::arith(c, F64, FpBin::Add),
        Op::FsubD => float::arith(c, F64, FpBin::Sub),
        Op::FmulD => float::arith(c, F64, FpBin::Mul),
        Op::FdivD => float::arith(c, F64, FpBin::Div),
        Op::FsqrtD => float::sqrt(c, F64),
        Op::FsgnjD => float::sign_inject(c, F64, float::Sign::Copy),
        Op::FsgnjnD => float::sign_inject(c, F64, float::Sign::Negate),
        Op::FsgnjxD => float::sign_inject(c, F64, float::Sign::Xor),
        Op::FminD => float::minmax(c, F64, FpMinMax::MinNumber),
        Op::FmaxD => float::minmax(c, F64, FpMinMax::MaxNumber),
        Op::FminmD => float::minmax(c, F64, FpMinMax::Minimum),
        Op::FmaxmD => float::minmax(c, F64, FpMinMax::Maximum),
        Op::FleD => float::compare(c, F64, FpCmp::Le, true),
        Op::FltD => float::compare(c, F64, FpCmp::Lt, true),
        Op::FeqD => float::compare(c, F64, FpCmp::Eq, false),
        Op::FleqD => float::compare(c, F64, FpCmp::Le, false),
        Op::FltqD => float::compare(c, F64, FpCmp::Lt, false),
        Op::FclassD => float::classify(c, F64),
        Op::FcvtWD => float::to_int(c, F64, W32, true),
        Op::FcvtDW => float::from_int(c, F64, W32, true),
        Op::FcvtWuD => float::to_int(c, F64, W32, false),
        Op::FcvtDWu => float::from_int(c, F64, W32, false),
        Op::FcvtLD => float::to_int(c, F64, W64, true),
        Op::FcvtDL => float::from_int(c, F64, W64, true),
        Op::FcvtLuD => float::to_int(c, F64, W64, false),
        Op::FcvtDLu => float::from_int(c, F64, W64, false),
        Op::FroundD => float::round(c, F64, false),
        Op::FroundnxD => float::round(c, F64, true),
        Op::FliD => float::load_constant(c, F64),

        // Zfh
        Op::Flh => float::load(c, F16),
        Op::Fsh => float::store(c, F16),
        Op::FmvXH => float::move_to_int(c, F16),
        Op::FmvHX => float::move_from_int(c, F16),
        Op::FmaddH => float::fma(c, F16, false, false),
        Op::FmsubH => float::fma(c, F16, false, true),
        Op::FnmsubH => float::fma(c, F16, true, false),
        Op::FnmaddH => float::fma(c, F16, true, true),
        Op::FaddH => float::arith(c, F16, FpBin::Add),
        Op::FsubH => float::arith(c, F16, FpBin::Sub),
        Op::FmulH => float::arith(c, F16, FpBin::Mul),
        Op::FdivH => float::arith(c, F16, FpBin::Div),
        Op::FsqrtH => float::sqrt(c, F16),
        Op::FsgnjH => float::sign_inject(c, F16, float::Sign::Copy),
        Op::FsgnjnH => float::sign_inject(c, F16, float::Sign::Negate),
        Op::FsgnjxH => float::sign_inject(c, F16, float::Sign::Xor),
        Op::FminH => float::minmax(c, F16, FpMinMax::MinNumber),
        Op::FmaxH => float::minmax(c, F16, FpMinMax::MaxNumber),
        Op::FminmH => float::minmax(c, F16, FpMinMax::Minimum),
        Op::FmaxmH => float::minmax(c, F16, FpMinMax::Maximum),
        Op::FleH => float::compare(c, F16, FpCmp::Le, true),
        Op::FltH => float::compare(c, F16, FpCmp::Lt, true),
        Op::FeqH => float::compare(c, F16, FpCmp::Eq, false),
        Op::FleqH => float::compare(c, F16, FpCmp::Le, false),
        Op::FltqH => float::compare(c, F16, FpCmp::Lt, false),
        Op::FclassH => float::classify(c, F16),
        Op::FcvtWH => float::to_int(c, F16, W32, true),
        Op::FcvtHW => float::from_int(c, F16, W32, true),
        Op::FcvtWuH => float::to_int(c, F16, W32, false),
        Op::FcvtHWu => float::from_int(c, F16, W32, false),
        Op::FcvtLH => float::to_int(c, F16, W64, true),
        Op::FcvtHL => float::from_int(c, F16, W64, true),
        Op::FcvtLuH => float::to_int(c, F16, W64, false),
        Op::FcvtHLu => float::from_int(c, F16, W64, false),
        Op::FroundH => float::round(c, F16, false),
        Op::FroundnxH => float::round(c, F16, true),
        Op::FliH => float::load_constant(c, F16),
        Op::FcvtSD => float::convert(c, F32, F64),
        Op::FcvtDS => float::convert(c, F64, F32),
        Op::FcvtSH => float::convert(c, F32, F16),
        Op::FcvtHS => float::convert(c, F16, F32),
        Op::FcvtDH => float::convert(c, F64, F16),
        Op::FcvtHD => float::convert(c, F16, F64),
        Op::FcvtmodWD => float::to_int_mod(c),

        // Zicsr, privileged, fences, cache blocks
        Op::Csrrw => system::csr(c, helper_id::csr::WRITE, false),
        Op::Csrrwi => system::csr(c, helper_id::csr::WRITE, true),
        Op::Csrrs => system::csr(c, helper_id::csr::SET, false),
        Op::Csrrsi => system::csr(c, helper_id::csr::SET, true),
        Op::Csrrc => system::csr(c, helper_id::csr::CLEAR, false),
        Op::Csrrci => system::csr(c, helper_id::csr::CLEAR, true),
        Op::FenceI => system::fence_i(c),
        Op::Mret => system::with_bits(c, helper_id::MRET),
        Op::Sret => system::with_bits(c, helper_id::SRET),
        Op::Wfi => system::with_bits(c, helper_id::WFI),
        Op::SfenceVma | Op::SinvalVma => system::sfence_vma(c),
        Op::SfenceWInval | Op::SfenceInvalIr => system::with_bits(c, helper_id::SFENCE_INVAL),
        Op::CboInval | Op::CboClean | Op::CboFlush | Op::CboZero => system::cbo(c),
    }
}
