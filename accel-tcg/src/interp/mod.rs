//! Tier 0: guest instructions executed directly by [`crate::sem::Ops`] on values that are numbers.

pub mod arith;
