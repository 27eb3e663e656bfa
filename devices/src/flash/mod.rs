//! Parallel NOR flash with the Common Flash Interface.
