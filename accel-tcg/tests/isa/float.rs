//! The floating-point unit in running code: its state field, rounding, flags, half precision, Zfa.

use super::asm::*;
use super::harness::*;

const FADD_D: u32 = 0x01;
const FDIV_D: u32 = 0x0d;
const DYN: u32 = 7;
const SD: u64 = 1 << 63;

fn fs(a: &mut Asm, v: u64) {
    a.csr_clear(csr::MSTATUS, st::FS);
    a.csr_set(csr::MSTATUS, v << 13);
}

fn fmv_d_x(a: &mut Asm, fd: R, rs: R) {
    a.fp(0x79, 0, fd, rs, 0);
}
fn fmv_x_d(a: &mut Asm, rd: R, fs: R) {
    a.fp(0x71, 0, rd, fs, 0);
}
fn load_d(a: &mut Asm, fd: R, v: f64) {
    a.li(T0, v.to_bits());
    fmv_d_x(a, fd, T0);
}

#[test]
fn off_makes_everything_illegal() {
    check_both(&program(|a| {
        fs(a, 0);
        a.li(A0, RAM + DATA);
        for w in [
            0x0005_3087u32,        // fld f1, 0(a0)
            0x0015_3027,           // fsd f1, 0(a0)
            0x0210_f0d3,           // fadd.d
            0xe200_8553,           // fmv.x.d a0, f1
            0x0000_2373 | 1 << 20, // csrr t1, fflags
            0x0020_2373,           // frm
            0x0030_2373,           // fcsr
            0xf200_00d3 | 1 << 20, // fli.d
        ] {
            a.attempt(Mode::M, Want::Trap(cause::ILLEGAL, u64::from(w)), |a| {
                a.w(w)
            });
        }
        a.attempt(Mode::M, Want::Trap(cause::ILLEGAL, 0x2108), |a| {
            a.align(4);
            a.h(0x2108); // c.fld f10, 0(a0)
        });
        a.align(4);
        a.expect_csr_bits(csr::MSTATUS, SD | st::FS, 0);
        fs(a, 3);
    }));
}

#[test]
fn writes_make_the_state_dirty_and_reads_do_not() {
    check_both(&program(|a| {
        a.li(A0, RAM + DATA);
        load_d(a, 1, 1.5);
        let dirty = SD | st::FS;
        for initial in [1u64, 2] {
            let clean = initial << 13;
            // Stores, moves to integer registers and reads of CSRs leave it alone.
            fs(a, initial);
            a.fsd(1, A0, 0);
            fmv_x_d(a, A1, 1);
            a.csrr(A1, csr::FCSR);
            a.expect_csr_bits(csr::MSTATUS, dirty, clean);
            a.expect_csr_bits(csr::SSTATUS, dirty, clean);
            // A load.
            a.fld(2, A0, 0);
            a.expect_csr_bits(csr::MSTATUS, dirty, dirty);
            fs(a, initial);
            a.fp(FADD_D, DYN, 3, 1, 1);
            a.expect_csr_bits(csr::MSTATUS, dirty, dirty);
            fs(a, initial);
            a.csrwi(csr::FRM, 0);
            a.expect_csr_bits(csr::MSTATUS, dirty, dirty);
            fs(a, initial);
            a.csrwi(csr::FFLAGS, 0);
            a.expect_csr_bits(csr::MSTATUS, dirty, dirty);
            // A load that faults writes nothing and dirties nothing that a retry would not.
            fs(a, initial);
            a.fp(0x51, 2, A1, 1, 1); // feq.d, a comparison that raises no flag
            a.expect(A1, 1);
        }
        fmv_x_d(a, A1, 2);
        a.expect(A1, 1.5f64.to_bits());
        fmv_x_d(a, A1, 3);
        a.expect(A1, 3f64.to_bits());
        a.li(A1, 0);
        fs(a, 3);
    }));
}

#[test]
fn dynamic_rounding_follows_frm() {
    check_both(&program(|a| {
        load_d(a, 1, 1.0);
        load_d(a, 2, 3.0);
        load_d(a, 3, -1.0);
        let third = 1.0f64 / 3.0;
        let up = f64::from_bits(third.to_bits() + 1);
        // A loop whose body is one block, run under each direction in turn.
        for _ in 0..3 {
            for (rm, pos, neg) in [
                (0, third, -third),
                (1, third, -third),
                (2, third, -up),
                (3, up, -third),
                (4, third, -third),
            ] {
                a.csrwi(csr::FRM, rm);
                a.jal(RA, "divide");
                a.expect(A0, pos.to_bits());
                a.expect(A1, neg.to_bits());
                // A fixed direction does not care.
                a.fp(FDIV_D, 3, 4, 1, 2);
                fmv_x_d(a, A0, 4);
                a.expect(A0, up.to_bits());
            }
            for rm in [5, 6, 7] {
                a.csrwi(csr::FRM, rm);
                let w = FDIV_D << 25 | 2 << 20 | 1 << 15 | DYN << 12 | 4 << 7 | 0x53;
                a.attempt(Mode::M, Want::Trap(cause::ILLEGAL, u64::from(w)), |a| {
                    a.w(w)
                });
                // Without rounding it does not matter.
                a.attempt(Mode::M, Want::Value(1f64.to_bits()), |a| fmv_x_d(a, T1, 1));
                a.attempt(Mode::M, Want::Done, |a| a.fp(FDIV_D, 0, 4, 1, 2));
                a.expect_csr(csr::FRM, u64::from(rm));
            }
        }
        // Bits above the field do not exist.
        a.csr_li(csr::FCSR, u64::MAX);
        a.expect_csr(csr::FCSR, 0xff);
        a.csr_li(csr::FRM, 0x1234_5678);
        a.expect_csr(csr::FCSR, 0x1f);
        a.csrwi(csr::FCSR, 0);
        a.j("end");
        a.label("divide");
        a.fp(FDIV_D, DYN, 4, 1, 2);
        a.fp(FDIV_D, DYN, 5, 3, 2);
        fmv_x_d(a, A0, 4);
        fmv_x_d(a, A1, 5);
        a.ret();
        a.label("end");
    }));
}

#[test]
fn flags_accumulate_across_blocks_until_cleared() {
    check_both(&program(|a| {
        let (nx, uf, of, dz, nv) = (1, 2, 4, 8, 16);
        load_d(a, 1, 1.0);
        load_d(a, 2, 3.0);
        load_d(a, 0, 0.0);
        load_d(a, 6, f64::MAX);
        load_d(a, 7, f64::MIN_POSITIVE);
        a.csrwi(csr::FFLAGS, 0);
        a.fp(FADD_D, DYN, 4, 1, 1);
        a.expect_csr(csr::FFLAGS, 0);
        a.fp(FDIV_D, DYN, 4, 1, 2);
        a.expect_csr(csr::FFLAGS, nx);
        a.jal(RA, "by_zero");
        a.expect_csr(csr::FFLAGS, nx | dz);
        a.fp(FDIV_D, DYN, 4, 0, 0);
        a.expect_csr(csr::FFLAGS, nx | dz | nv);
        a.fp(FADD_D, DYN, 4, 6, 6);
        a.fp(FDIV_D, DYN, 4, 7, 2);
        a.expect_csr(csr::FCSR, nx | dz | nv | of | uf);
        // Clear one, keep the others.
        a.csrci(csr::FFLAGS, 8);
        a.expect_csr(csr::FFLAGS, nx | nv | of | uf);
        a.csrwi(csr::FFLAGS, 0);
        // Many times in a loop; integer work in between.
        a.li(S1, 50);
        a.label("loop");
        a.fp(FADD_D, DYN, 4, 1, 1);
        a.addi(S1, S1, -1);
        a.bne(S1, 0, "loop");
        a.expect_csr(csr::FFLAGS, 0);
        a.fp(FDIV_D, DYN, 4, 1, 2);
        a.label("loop2");
        a.fp(FADD_D, DYN, 5, 1, 1);
        a.addi(S1, S1, 1);
        a.slti(A0, S1, 20);
        a.bne(A0, 0, "loop2");
        a.expect_csr(csr::FFLAGS, nx);
        // An exception does not lose them.
        a.csrwi(csr::FFLAGS, 0);
        a.attempt(Mode::U, Want::TrapPc(cause::BREAKPOINT), |a| {
            a.fp(FDIV_D, DYN, 4, 1, 0);
            a.ebreak();
        });
        a.expect_csr(csr::FFLAGS, dz);
        a.j("end");
        a.label("by_zero");
        a.fp(FDIV_D, DYN, 4, 1, 0);
        a.ret();
        a.label("end");
    }));
}

#[test]
fn half_precision_boxes_and_stores() {
    check_both(&program(|a| {
        a.li(A0, RAM + DATA);
        a.li(A1, 0x1122_3344_5566_3c00); // 1.0 in the low half
        a.sd(A1, A0, 0);
        a.flh(1, A0, 0);
        fmv_x_d(a, A2, 1);
        a.expect(A2, 0xffff_ffff_ffff_3c00);
        a.fp(0x02, DYN, 2, 1, 1); // fadd.h
        a.fsh(2, A0, 2);
        a.expect_mem(RAM + DATA, 0x1122_3344_4000_3c00);
        a.fp(0x20, DYN, 3, 2, 2); // fcvt.s.h
        a.fsw(3, A0, 4);
        a.expect_mem(RAM + DATA, 0x4000_0000_4000_3c00);
        // What is not boxed counts as a NaN.
        fmv_d_x(a, 4, A1);
        a.fp(0x02, DYN, 5, 4, 1);
        a.fp(0x72, 0, A3, 5, 0); // fmv.x.h
        a.expect(A3, 0x7e00);
        a.fp(0x72, 0, A3, 4, 0);
        a.expect(A3, 0x3c00);
        a.fp(0x70, 0, A3, 4, 0); // fmv.x.w
        a.expect(A3, 0x5566_3c00);
    }));
}

#[test]
fn additional_instructions() {
    check_both(&program(|a| {
        // fli.d, fli.s
        for (n, v) in [(0, -1.0f64), (16, 1.0), (24, 8.0), (30, f64::INFINITY)] {
            a.fp(0x79, 0, 1, n, 1);
            fmv_x_d(a, A0, 1);
            a.expect(A0, v.to_bits());
        }
        // fround.d and froundnx.d: the second is inexact.
        load_d(a, 1, 2.5);
        a.csrwi(csr::FFLAGS, 0);
        a.fp(0x21, DYN, 2, 1, 4);
        fmv_x_d(a, A0, 2);
        a.expect(A0, 2f64.to_bits());
        a.expect_csr(csr::FFLAGS, 0);
        a.fp(0x21, 3, 2, 1, 5);
        fmv_x_d(a, A0, 2);
        a.expect(A0, 3f64.to_bits());
        a.expect_csr(csr::FFLAGS, 1);
        // fcvtmod.w.d
        load_d(a, 1, 4294967298.0);
        a.fp(0x61, 1, A0, 1, 8);
        a.expect(A0, 2);
        // fleq.d with a quiet NaN raises nothing, fle.d does.
        a.csrwi(csr::FFLAGS, 0);
        load_d(a, 1, f64::NAN);
        load_d(a, 2, 1.0);
        a.fp(0x51, 4, A0, 1, 2);
        a.expect(A0, 0);
        a.expect_csr(csr::FFLAGS, 0);
        a.fp(0x51, 0, A0, 1, 2);
        a.expect(A0, 0);
        a.expect_csr(csr::FFLAGS, 16);
        // fminm.d gives NaN, fmin.d the number.
        a.fp(0x15, 2, 3, 1, 2);
        fmv_x_d(a, A0, 3);
        a.expect(A0, 0x7ff8_0000_0000_0000);
        a.fp(0x15, 0, 3, 1, 2);
        fmv_x_d(a, A0, 3);
        a.expect(A0, 1f64.to_bits());
        a.csrwi(csr::FCSR, 0);
    }));
}
