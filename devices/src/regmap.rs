//! Declared registers: finds them by offset, merges and splits partial accesses.
