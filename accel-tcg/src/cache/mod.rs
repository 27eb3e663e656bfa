//! Where translated code lives.

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub mod codebuf;
