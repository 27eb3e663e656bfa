//! ambidex
#![forbid(unsafe_code)]
mod options;
fn main() { let a: Vec<String> = std::env::args().collect(); println!("{:?}", options::command(&a[0], &a[1..])); }
