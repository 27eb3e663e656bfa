//! Guest-physical addresses.

use std::fmt;

/// Bytes in a page: the unit of change tracking and of RAM block lengths.
pub const PAGE_SIZE: u64 = 4096;

/// A guest-physical address (or a port number, in an x86 port space).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Gpa(pub u64);

impl Gpa {
    /// The address `bytes` further on, or `None` past the end of the 64-bit space.
    #[must_use]
    pub const fn checked_add(self, bytes: u64) -> Option<Gpa> {
        match self.0.checked_add(bytes) {
            Some(at) => Some(Gpa(at)),
            None => None,
        }
    }

    /// How many bytes this address lies past `base`, or `None` if it lies before it.
    #[must_use]
    pub const fn offset_from(self, base: Gpa) -> Option<u64> {
        self.0.checked_sub(base.0)
    }

    /// The start of the page this address is in.
    #[must_use]
    pub const fn page_base(self) -> Gpa {
        Gpa(self.0 & !(PAGE_SIZE - 1))
    }
}

impl fmt::Debug for Gpa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Display for Gpa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::LowerHex for Gpa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0, f)
    }
}

impl From<u64> for Gpa {
    fn from(at: u64) -> Gpa {
        Gpa(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_stops_at_the_ends() {
        assert_eq!(Gpa(4).checked_add(5), Some(Gpa(9)));
        assert_eq!(Gpa(u64::MAX).checked_add(1), None);
        assert_eq!(Gpa(9).offset_from(Gpa(4)), Some(5));
        assert_eq!(Gpa(4).offset_from(Gpa(9)), None);
        assert_eq!(Gpa(0x1fff).page_base(), Gpa(0x1000));
    }

    #[test]
    fn prints_as_hexadecimal() {
        assert_eq!(
            format!("{:?} {}", Gpa(0x8000_0000), Gpa(16)),
            "0x80000000 0x10"
        );
    }
}
