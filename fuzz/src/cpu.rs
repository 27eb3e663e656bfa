//! Decoder, semantics, and whole programs.

use ambidex_accel_tcg::Translator;
use ambidex_accel_tcg::decode::riscv::{Extensions, arbitrary, decode, decode_enabled, length, row};
use ambidex_accel_tcg::guest::riscv::Riscv;
use ambidex_accel_tcg::guest::{Decoded, Guest, ModeKey};
use ambidex_accel_tcg::ir::build::IrBuilder;
use ambidex_accel_tcg::ir::verify::verify;
use ambidex_accel_tcg::sem::riscv::{Mode, Privilege};

use crate::riscv_diff::compare;
use crate::riscv_diff::machine::Machine;
use crate::riscv_diff::program::{Event, Program, Src};

/// A builder set up for RISC-V.
pub fn builder() -> IrBuilder {
    let mut b = IrBuilder::default();
    b.set_pure(|h| Riscv::HELPERS.get(usize::from(h.0)).is_some_and(|h| h.pure));
    b.set_fp_slots(Riscv::FFLAGS, Riscv::FRM);
    b
}

fn mode(byte: u8, frm: u8) -> ModeKey {
    let privilege = [Privilege::U, Privilege::S, Privilege::M, Privilege::M][usize::from(byte & 3)];
    ModeKey(Mode::new(privilege, byte >> 2 & 3, u64::from(frm & 7)).to_bits())
}

/// Every word can be decoded, listed, and recorded as valid IR.
pub fn riscv_decode(data: &[u8]) {
    let mut b = builder();
    for step in data.chunks_exact(8) {
        let word = u32::from_le_bytes([step[0], step[1], step[2], step[3]]);
        for word in [word, arbitrary(word, u32::from_le_bytes([step[4], step[5], step[6], step[7]]))] {
            let i = decode(word);
            assert_eq!(i.len, length(word));
            assert!(i.rd < 32 && i.rs1 < 32 && i.rs2 < 32 && i.rs3 < 32 && i.rm < 8, "{i:?}");
            assert_eq!(decode(i.bits), i, "the kept bits are the instruction");
            let _ = (i.disassemble(u64::MAX), row(word), i.extension());
            let few = decode_enabled(word, Extensions(Extensions::ALL.0 & u64::from_le_bytes([step[7], step[6], step[5], step[4], step[3], 0, 0, 0])));
            assert_eq!(few.len, i.len, "the length does not depend on extensions");
            for i in [i, few] {
                let pc = u64::from(word) << 1;
                b.begin(pc);
                b.start_insn(0, i.len);
                let Ok(()) = Riscv::exec(&mut b, &i, pc, mode(step[4], step[5]));
                b.finish(pc.wrapping_add(u64::from(i.len)));
                if let Err(e) = verify(b.block()) {
                    panic!("{word:#x} {}: {e}\n{}", i.disassemble(pc), b.block());
                }
            }
        }
    }
}

/// Blocks of anything, recorded as the compiler does.
pub fn riscv_blocks(data: &[u8]) {
    let Some((&[m, frm], code)) = data.split_first_chunk::<2>() else { return };
    let mode = mode(m, frm);
    let mut b = builder();
    let pc = u64::MAX - 63;
    b.begin(pc);
    let mut at = 0usize;
    while at + 4 <= code.len() && !b.ended() && !b.full() && at < 0xff00 {
        let word = u32::from_le_bytes([code[at], code[at + 1], code[at + 2], code[at + 3]]);
        let i = decode(word);
        b.start_insn(at as u16, i.len);
        let Ok(()) = Riscv::exec(&mut b, &i, pc.wrapping_add(at as u64), mode);
        at += usize::from(i.len);
        if b.branched_back() {
            break;
        }
    }
    b.finish(pc.wrapping_add(at as u64));
    if let Err(e) = verify(b.block()) {
        panic!("{e}\n{}", b.block());
    }
    let _ = (b.block().to_string(), Decoded::<()>::More(0));
}

/// Random programs in the interpreter and compiled. The first byte says how compiled.
pub fn riscv_diff(data: &[u8]) {
    let Some((&how, rest)) = data.split_first() else { return };
    let ways = compare::ways().len();
    compare::check_all(rest, |n| n == usize::from(how) % ways);
}

/// Raw bytes as code, with raw registers: nothing panics, and a budget holds.
pub fn riscv_run(data: &[u8]) {
    let mut p = Program::new(&data[..data.len().min(64)]);
    let code = data.get(64..).unwrap_or(&[]);
    let at = 0x4000;
    let n = code.len().min(0x4000);
    p.ram[at..at + n].copy_from_slice(&code[..n]);
    // The program's own start-up code leads there with one more return.
    let mut src = Src::new(data);
    p.x.iter_mut().skip(1).for_each(|x| *x = [0x8000_4000 + u64::from(src.u8()), 0x8000_9000, u64::from(src.u8()), u64::MAX][src.below(4) as usize]);
    for t in [compare::reference(), Translator::new().compile_after(1).count_instructions(true).code_bytes(1 << 20)] {
        let mut m = Machine::new(&t, &p);
        let before = m.cpu.executed();
        let mut s = m.state();
        s.pc = 0x8000_4000;
        m.cpu.restore(&s.into()).expect("a state saved with another pc is valid");
        m.run(Some(2000), Event::None);
        assert!(m.cpu.executed() - before <= 2000, "{} instructions on a budget of 2000", m.cpu.executed() - before);
        let s = m.state();
        m.cpu.restore(&s.clone().into()).expect("what was saved can be restored");
        assert_eq!(m.state(), s, "restored and saved again");
    }
}
