//! ambidex
fn main() {}
