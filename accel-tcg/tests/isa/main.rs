//! The privileged and unprivileged architecture at the level of the whole engine: programs made from the manuals that check themselves, run in
//! every way the engine has, and on QEMU where it is there.

#[path = "../common/mod.rs"]
mod common;

mod asm;
mod atomics;
mod code;
mod control;
mod counters;
mod crossing;
mod ext;
mod float;
mod harness;
mod interrupts;
mod modes;
mod pages;
mod paging;
mod pmp;
mod qemu;
mod threads;
mod traps;
