//! Fuzz targets: one function each, which takes bytes and panics when something is wrong.
//!
//! The same functions serve libFuzzer (`fuzz_targets/`, a line each) and the `smoke` program, which needs no special compiler. [`TARGETS`]
//! lists them.

pub mod cpu;
pub mod device;
pub mod fp;
pub mod ir;
pub mod memory;
pub mod seeds;
pub mod state;

#[path = "../../accel-tcg/tests/riscv_diff/mod.rs"]
pub mod riscv_diff;

/// A target by name.
#[derive(Clone, Copy)]
pub struct Target {
    /// Name, also of its file in `fuzz_targets` and its folders in `seeds` and `corpus`.
    pub name: &'static str,
    /// The function.
    pub run: fn(&[u8]),
    /// Longest input that is of use.
    pub max_len: usize,
}

macro_rules! targets {
    ($($name:ident = $function:path, $max:literal;)*) => {
        /// All targets.
        pub const TARGETS: &[Target] = &[$(Target { name: stringify!($name), run: $function, max_len: $max }),*];
        /// The functions under the names of the targets.
        pub mod target {
            $(pub use $function as $name;)*
        }
    };
}

targets! {
    aclint = crate::device::aclint, 600;
    address_space = crate::memory::address_space, 400;
    cpu_state = crate::state::cpu_state, 4096;
    device_state = crate::state::device_state, 1024;
    fp_host = crate::fp::fp_host, 25;
    goldfish_rtc = crate::device::goldfish_rtc, 400;
    htif = crate::device::htif, 600;
    ir_optimiser = crate::ir::ir_optimiser, 600;
    memory_access = crate::memory::memory_access, 400;
    plic = crate::device::plic, 600;
    register_map = crate::device::register_map, 200;
    riscv_blocks = crate::cpu::riscv_blocks, 260;
    riscv_decode = crate::cpu::riscv_decode, 16;
    riscv_diff = crate::cpu::riscv_diff, 3000;
    riscv_run = crate::cpu::riscv_run, 2000;
    syscon = crate::device::syscon, 200;
    uart16550 = crate::device::uart16550, 600;
    uart16550_paced = crate::device::uart16550_paced, 600;
    uart16550_word = crate::device::uart16550_word, 600;
}
