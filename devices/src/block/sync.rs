//! Synchronous file access, completing inside `submit`: for deterministic runs.
