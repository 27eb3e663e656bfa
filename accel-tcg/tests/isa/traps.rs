//! Every exception that can be raised without translation: cause, `mepc`, `mtval`, mode before.

use super::asm::*;
use super::harness::*;

/// Nothing answers here.
const NOWHERE: u64 = 0x0180_0000;

#[test]
fn environment_calls_and_breakpoints() {
    check_both(&program(|a| {
        for (mode, cause) in [
            (Mode::U, cause::ECALL_U),
            (Mode::S, cause::ECALL_S),
            (Mode::M, cause::ECALL_M),
        ] {
            a.attempt(mode, Want::Trap(cause, 0), |a| {
                a.li(A7, 1);
                a.ecall();
            });
            a.attempt(mode, Want::TrapPc(cause::BREAKPOINT), |a| a.ebreak());
            // Compressed, at an address that is no multiple of four.
            a.attempt(mode, Want::TrapPc(cause::BREAKPOINT), |a| {
                a.align(4);
                a.h(1);
                a.h(0x9002);
            });
            a.align(4);
        }
    }));
}

#[test]
fn illegal_encodings_report_their_bits() {
    let words = [
        0xffff_ffff,           // a reserved length
        0x0000_0057,           // vector arithmetic without V
        0x0000_7003,           // load with funct3 7
        0x0000_4023,           // store with funct3 4
        0x0000_2063,           // branch with funct3 2
        0x0000_1067,           // jalr with funct3 1
        0x0400_0033,           // reserved funct7 of OP
        0x1000_0073,           // reserved SYSTEM
        0x0010_00f3,           // ebreak with a destination
        0x0000_4073,           // funct3 4 of SYSTEM that is no may-be-operation
        0xf140_1073,           // csrrw x0, mhartid, x0: a write, though to x0
        0xf140_e073,           // csrrsi x0, mhartid, 1
        0xf140_a073,           // csrrs x0, mhartid, x1
        0x5c00_2073,           // an unassigned CSR
        0x0200_0007 | 6 << 12, // vector load width
        0x0a00_5053,           // fadd.s, rounding mode 5
        0x1010_202f,           // lr.w with rs2
        0x0000_202f | 7 << 27, // unassigned AMO
        0x6010_1013 | 7 << 20, // unassigned unary bit manipulation
        0x4400_1013,           // reserved shift
    ];
    check_both(&program(|a| {
        for mode in [Mode::U, Mode::S, Mode::M] {
            for w in words {
                a.attempt(mode, Want::Trap(cause::ILLEGAL, u64::from(w)), |a| a.w(w));
            }
            for h in [
                0x0000u16, // defined illegal
                0x0004,    // c.addi4spn with 0
                0x4002,    // c.lwsp to x0
                0x6002,    // c.ldsp to x0
                0x2001,    // c.addiw to x0
                0x6201,    // c.lui with 0
                0x8002,    // c.jr to x0
                0x9c7d,    // reserved
            ] {
                a.attempt(mode, Want::Trap(cause::ILLEGAL, u64::from(h)), |a| {
                    a.align(4);
                    a.h(1);
                    a.h(h);
                });
                a.align(4);
            }
        }
        // Reads of read-only CSRs are fine.
        a.attempt(Mode::M, Want::Value(0), |a| a.csrr(T1, csr::MHARTID));
    }));
}

#[test]
fn privileged_instructions_below_their_mode() {
    check_both(&program(|a| {
        for w in [
            0x3020_0073u32, // mret
            0x1020_0073,    // sret
            0x1050_0073,    // wfi
            0x1200_0073,    // sfence.vma
            0x1600_0073,    // sinval.vma
            0x1000_2373,    // csrr t1, sstatus
            0x1800_2373,    // csrr t1, satp
            0x1400_1073,    // csrw sscratch, x0
        ] {
            a.attempt(Mode::U, Want::Trap(cause::ILLEGAL, u64::from(w)), |a| {
                a.w(w)
            });
        }
        // These too (Svinval); QEMU lets them pass.
        a.own = true;
        for w in [0x1800_0073u32, 0x1810_0073] {
            a.attempt(Mode::U, Want::Trap(cause::ILLEGAL, u64::from(w)), |a| {
                a.w(w)
            });
        }
        a.own = false;
        for w in [
            0x3020_0073u32, // mret
            0x3000_2373,    // csrr t1, mstatus
            0x3440_2373,    // csrr t1, mip
            0xf140_2373,    // csrr t1, mhartid
            0xb000_2373,    // csrr t1, mcycle
            0x3a00_2373,    // csrr t1, pmpcfg0
        ] {
            a.attempt(Mode::S, Want::Trap(cause::ILLEGAL, u64::from(w)), |a| {
                a.w(w)
            });
            a.attempt(Mode::U, Want::Trap(cause::ILLEGAL, u64::from(w)), |a| {
                a.w(w)
            });
        }
    }));
}

#[test]
fn access_faults_are_precise() {
    check_both(&program(|a| {
        a.li(A0, NOWHERE + 5);
        a.li(T1, 0x1234);
        for mode in [Mode::U, Mode::S, Mode::M] {
            a.attempt(mode, Want::Trap(cause::LOAD_ACCESS, NOWHERE + 8), |a| {
                a.ld(T1, A0, 3)
            });
            a.attempt(mode, Want::Trap(cause::STORE_ACCESS, NOWHERE + 7), |a| {
                a.sb(T1, A0, 2)
            });
            a.attempt(mode, Want::Trap(cause::LOAD_ACCESS, NOWHERE + 8), |a| {
                a.addi(A1, A0, 3);
                a.lr(3, T1, A1);
            });
            a.attempt(mode, Want::Trap(cause::STORE_ACCESS, NOWHERE + 8), |a| {
                a.addi(A1, A0, 3);
                a.amo(0, 3, T1, A1, T1);
            });
            a.attempt(
                mode,
                Want::TrapAt(cause::FETCH_ACCESS, NOWHERE + 4, NOWHERE + 4),
                // Bit 0 of the target is dropped.
                |a| a.jalr(T2, A0, 0),
            );
        }
        // No destination was written, the link register was.
        a.expect(T1, 0x1234);
        a.la(A1, "link");
        a.attempt(
            Mode::M,
            Want::TrapAt(cause::FETCH_ACCESS, NOWHERE + 4, NOWHERE + 4),
            |a| {
                a.jalr(T2, A0, 0);
                a.label("link");
            },
        );
        a.sub(T2, T2, A1);
        a.expect(T2, 0);
    }));
}

#[test]
fn a_compressed_load_faults_where_it_stands() {
    check_both(&program(|a| {
        a.li(A1, NOWHERE);
        a.li(A0, 7);
        a.attempt(Mode::M, Want::Trap(cause::LOAD_ACCESS, NOWHERE), |a| {
            a.align(4);
            a.h(1);
            a.h(0x6188); // c.ld a0, 0(a1)
        });
        a.align(4);
        a.expect(A0, 7);
        a.attempt(Mode::M, Want::Trap(cause::STORE_ACCESS, NOWHERE), |a| {
            a.align(4);
            a.h(0xc188); // c.sw a0, 0(a1)
        });
        a.align(4);
    }));
}

#[test]
fn misaligned_accesses_work_and_misaligned_atomics_trap() {
    check_both(&program(|a| {
        let at = RAM + DATA;
        a.li(A0, at);
        a.li(T2, 0x1122_3344_5566_7788);
        a.sd(T2, A0, 0);
        a.sd(T2, A0, 8);
        a.attempt(Mode::S, Want::Value(0x8811_2233_4455_6677), |a| {
            a.ld(T1, A0, 1)
        });
        a.attempt(Mode::U, Want::Value(0x7788_1122), |a| a.lw(T1, A0, 6));
        a.attempt(Mode::U, Want::Value(0xffff_ffff_ffff_8811), |a| {
            a.lh(T1, A0, 7)
        });
        a.sh(0, A0, 7);
        a.expect_mem(at, 0x0022_3344_5566_7788);
        a.expect_mem(at + 8, 0x1122_3344_5566_7700);
        for (width, off) in [(2, 2), (3, 4), (3, 1)] {
            a.addi(A1, A0, off);
            let tval = at + off as u64;
            a.attempt(Mode::U, Want::Trap(cause::STORE_MISALIGNED, tval), |a| {
                a.amo(0, width, T1, A1, T2)
            });
            a.attempt(Mode::U, Want::Trap(cause::LOAD_MISALIGNED, tval), |a| {
                a.lr(width, T1, A1)
            });
        }
        a.expect_mem(at, 0x0022_3344_5566_7788);
    }));
}

#[test]
fn trap_values_of_jumps_that_wrap_and_of_x0() {
    check_both(&program(|a| {
        a.li(T1, 3);
        // A load to x0 is still a load.
        a.li(A0, NOWHERE);
        a.attempt(Mode::M, Want::Trap(cause::LOAD_ACCESS, NOWHERE), |a| {
            a.lw(0, A0, 0)
        });
        a.li(A0, u64::MAX - 7);
        a.attempt(Mode::M, Want::Trap(cause::LOAD_ACCESS, u64::MAX - 7), |a| {
            a.ld(T1, A0, 0)
        });
        a.attempt(Mode::M, Want::Trap(cause::STORE_ACCESS, 8), |a| {
            a.sd(T1, 0, 8)
        });
        a.expect(T1, 3);
    }));
}
