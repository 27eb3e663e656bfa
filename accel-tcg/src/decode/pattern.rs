//! Bit patterns as they stand in instruction set manuals: `"0000000 ..... ..... 000 ..... 0110011"`.
//!
//! `0` and `1` are fixed bits, `.` is an operand bit, most significant first; spaces only group. Patterns are parsed at compile time, so
//! a malformed one does not build.

/// A set of instruction words: those `w` with `w & mask == value`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pattern {
    /// Fixed bits.
    pub mask: u32,
    /// Their values.
    pub value: u32,
    /// Length of the instruction in bits, 16 or 32.
    pub bits: u8,
}

impl Pattern {
    /// Parses the textual form. Meant for constants: panics, that is fails to compile, unless there are exactly 16 or 32 places.
    pub const fn parse(text: &str) -> Pattern {
        let text = text.as_bytes();
        let (mut mask, mut value, mut bits) = (0u32, 0u32, 0u8);
        let mut i = 0;
        while i < text.len() {
            let (m, v) = match text[i] {
                b'0' => (1, 0),
                b'1' => (1, 1),
                b'.' => (0, 0),
                b' ' => {
                    i += 1;
                    continue;
                }
                _ => panic!("a pattern consists of 0, 1, dots and spaces"),
            };
            assert!(bits < 32, "a pattern has more than 32 places");
            mask = mask << 1 | m;
            value = value << 1 | v;
            bits += 1;
            i += 1;
        }
        assert!(
            bits == 16 || bits == 32,
            "a pattern must have 16 or 32 places"
        );
        Pattern { mask, value, bits }
    }

    /// True if the word is in the set.
    pub const fn matches(&self, word: u32) -> bool {
        word & self.mask == self.value
    }

    /// Number of fixed bits: of two patterns that match, the one with more decides.
    pub const fn specificity(&self) -> u32 {
        self.mask.count_ones()
    }

    /// A member of the set, with operand bits taken from `fill`.
    pub const fn fill(&self, fill: u32) -> u32 {
        let all = if self.bits == 16 { 0xffff } else { u32::MAX };
        self.value | (fill & !self.mask & all)
    }

    /// The words that both match, if any.
    pub const fn intersection(&self, other: &Pattern) -> Option<Pattern> {
        if self.bits != other.bits || (self.value ^ other.value) & self.mask & other.mask != 0 {
            return None;
        }
        Some(Pattern {
            mask: self.mask | other.mask,
            value: self.value | other.value,
            bits: self.bits,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_keeps_order_and_length() {
        let p = Pattern::parse("1010 .... .... 0001");
        assert_eq!(
            p,
            Pattern {
                mask: 0xf00f,
                value: 0xa001,
                bits: 16
            }
        );
        assert!(p.matches(0xab31) && !p.matches(0xab30));
        assert_eq!(p.specificity(), 8);
        assert_eq!(p.fill(0xffff_ffff), 0xaff1);
    }

    #[test]
    fn intersection_joins_fixed_bits() {
        let a = Pattern::parse("1010 .... .... 0001");
        let b = Pattern::parse(".... 0000 .... 0001");
        assert_eq!(
            a.intersection(&b),
            Some(Pattern::parse("1010 0000 .... 0001"))
        );
        assert_eq!(a.intersection(&Pattern::parse("1011 .... .... ....")), None);
    }
}
