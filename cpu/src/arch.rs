//! Guest architectures.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A guest architecture. A value, never a `cfg`: one process may hold machines of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// 64-bit RISC-V.
    Riscv64,
    /// Arm, 64-bit execution state.
    Aarch64,
    /// AMD64 / Intel 64, with its 16- and 32-bit modes.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit Power.
    Ppc64,
}

impl Arch {
    /// Every architecture the crates have a name for.
    pub const ALL: [Arch; 4] = [Arch::Riscv64, Arch::Aarch64, Arch::X86_64, Arch::Ppc64];

    /// The lower-case name, as in `qemu-system-<name>` and in snapshot manifests.
    pub const fn name(self) -> &'static str {
        match self {
            Arch::Riscv64 => "riscv64",
            Arch::Aarch64 => "aarch64",
            Arch::X86_64 => "x86_64",
            Arch::Ppc64 => "ppc64",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The name given is not that of an architecture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown architecture `{0}`: use riscv64, aarch64, x86_64 or ppc64")]
pub struct UnknownArch(pub String);

impl FromStr for Arch {
    type Err = UnknownArch;

    fn from_str(s: &str) -> Result<Self, UnknownArch> {
        match s.to_ascii_lowercase().as_str() {
            "riscv64" | "rv64" => Ok(Arch::Riscv64),
            "aarch64" | "arm64" => Ok(Arch::Aarch64),
            "x86_64" | "x86-64" | "amd64" => Ok(Arch::X86_64),
            "ppc64" => Ok(Arch::Ppc64),
            _ => Err(UnknownArch(s.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back() {
        for arch in Arch::ALL {
            assert_eq!(arch.to_string().parse(), Ok(arch));
        }
        assert_eq!("arm64".parse(), Ok(Arch::Aarch64));
        assert!(
            "mips"
                .parse::<Arch>()
                .unwrap_err()
                .to_string()
                .contains("mips")
        );
    }
}
