//! The arithmetic itself, generic over the format.
//!
//! Everything here works on one shape of operand, [`float::Unpacked`]: a sign, an unbiased exponent and a significand
//! with its leading one in the second bit from the top of a machine word. An operation computes a result in that shape
//! that is exact apart from its lowest bit, which is set when anything non-zero was cut off below it ("sticky", or
//! "jammed"). [`round::round_pack`] then rounds once, as IEEE 754-2019 clause 4.3 wants, and is the only place that
//! decides overflow, underflow and inexact.
//!
//! A format is a type that implements [`float::Float`]. Its word ([`sig::Sig`]) has to be at least four bits wider than
//! the precision: `u64` does for every format up to binary64, `u128` for the 80-bit and 128-bit ones.

pub mod arith;
pub mod compare;
pub mod convert;
pub mod float;
pub mod fma;
pub mod nan;
pub mod round;
pub mod sig;
