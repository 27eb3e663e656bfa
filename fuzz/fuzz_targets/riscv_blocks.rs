#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ambidex_fuzz::target::riscv_blocks(data));
