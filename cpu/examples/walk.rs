//! Builds an Sv39 page table in a `Vec`, then walks it the way a hart and a debugger would.

use ambidex_cpu::riscv::walk::{PTE_A, PTE_R, PTE_U, PTE_V, PTE_W, PTE_X};
use ambidex_cpu::riscv::{Access, AddressMode, Priv, SliceMem, WalkConfig, probe, walk};
use ambidex_memory::Gpa;

/// Where the tables live in guest-physical memory.
const BASE: u64 = 0x8000_0000;

fn main() {
    let mut ram = vec![0u8; 3 * 4096];
    let mut set = |page: usize, index: usize, pte: u64| {
        let at = page * 4096 + index * 8;
        ram[at..at + 8].copy_from_slice(&pte.to_le_bytes());
    };
    let table = |page: u64| ((BASE >> 12) + page) << 10 | PTE_V;
    let leaf = |gpa: u64, flags: u64| gpa >> 12 << 10 | PTE_V | flags;
    set(0, 0, table(1));
    set(0, 2, leaf(0x8000_0000, PTE_R | PTE_X | PTE_A)); // a 1 GiB page
    set(1, 0, table(2));
    set(1, 1, leaf(0x9020_0000, PTE_R | PTE_W | PTE_U)); // a 2 MiB page, not accessed yet
    set(2, 7, leaf(0x9000_5000, PTE_X | PTE_A)); // a 4 KiB page, execute-only

    let cfg = WalkConfig {
        mode: AddressMode::Sv39,
        root: Gpa(BASE),
        privilege: Priv::Supervisor,
        adue: true,
        ..WalkConfig::BARE
    };
    let user = WalkConfig {
        privilege: Priv::User,
        ..cfg
    };
    let mut mem = SliceMem {
        base: Gpa(BASE),
        bytes: &mut ram,
    };
    for (who, cfg) in [("S", cfg), ("U", user)] {
        for va in [0x8012_3456, 0x7abc, 0x20_0010, 0x40_0000, 1 << 38] {
            for access in [Access::Fetch, Access::Read, Access::Write] {
                match walk(&cfg, va, access, &mut mem) {
                    Ok(m) => println!(
                        "{who} {access:?} {va:#x} -> {:#x}, {} KiB page",
                        m.gpa.0,
                        1u64 << (m.page_shift - 10)
                    ),
                    Err(trap) => println!("{who} {access:?} {va:#x} -> {trap}"),
                }
            }
        }
    }
    let seen = probe(&cfg, 0x7abc, &mut mem).expect("mapped");
    println!(
        "a debugger sees {:#x} at 0x7abc, permissions {:?}",
        seen.gpa.0, seen.perms
    );
}
