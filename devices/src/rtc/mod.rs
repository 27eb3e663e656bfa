//! Real-time clocks.

pub mod goldfish;

pub use goldfish::GoldfishRtc;
