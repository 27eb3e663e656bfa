//! Real-time clocks.
