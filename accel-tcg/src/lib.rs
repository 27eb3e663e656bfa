//! accel-tcg
