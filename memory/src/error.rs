//! Errors: of the bus (what a guest access can meet) and of set-up (what a board author can get wrong).

use crate::gpa::Gpa;

/// Why an access on a bus failed. What the guest sees of it (a fault, all ones, nothing) is the initiator's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BusError {
    /// Nothing is mapped there.
    #[error("nothing is mapped at {0}")]
    Unmapped(Gpa),
    /// A store into ROM.
    #[error("{0} is read-only")]
    ReadOnly(Gpa),
    /// The access is not allowed: DMA to a device register, bus mastering off, an IOMMU fault, or the device refused it.
    #[error("access to {0} is denied")]
    Denied(Gpa),
    /// The size or alignment cannot be served there.
    #[error("the size or alignment of the access to {0} is not supported")]
    Unaligned(Gpa),
    /// The DMA budget of this piece of work is used up.
    #[error("the DMA budget is used up")]
    Budget,
}

/// Why memory could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The host gave no memory of that size.
    #[error("cannot reserve {} for RAM block '{name}': {reason}; use a smaller -m", size_text(*len))]
    Reserve {
        /// The block's name.
        name: String,
        /// Bytes asked for.
        len: u64,
        /// The host's reason.
        reason: String,
    },
    /// A RAM block's length must be a multiple of the page size, and not zero.
    #[error("RAM block '{name}' cannot be {len:#x} bytes long: use a multiple of 4096, not zero")]
    BadLength {
        /// The block's name.
        name: String,
        /// Bytes asked for.
        len: u64,
    },
    /// This build has no such backing.
    #[error(
        "RAM block '{name}' asks for a memfd mapping, but this build has none: use the heap backing, or build with the feature `mmap` on Linux"
    )]
    NoBacking {
        /// The block's name.
        name: String,
    },
    /// All slots for dirty-page clients of a block are taken.
    #[error("RAM block '{0}' already has 8 dirty-page clients: drop one first")]
    TooManyDirtyClients(String),
    /// Only containers take children.
    #[error("cannot put '{child}' into '{parent}', which is no container: use Region::container")]
    NotContainer {
        /// The would-be parent.
        parent: String,
        /// The would-be child.
        child: String,
    },
    /// The child does not fit.
    #[error(
        "'{child}' ({len:#x} bytes at {offset:#x}) does not fit into '{parent}': lower the offset or enlarge the container"
    )]
    DoesNotFit {
        /// The container.
        parent: String,
        /// The child.
        child: String,
        /// Where it was to go.
        offset: u64,
        /// The child's length.
        len: u64,
    },
    /// The child is in that container already.
    #[error("'{child}' is already in '{parent}': move it, or add an alias of it")]
    AlreadyMapped {
        /// The container.
        parent: String,
        /// The child.
        child: String,
    },
    /// The child is not in that container.
    #[error("'{child}' is not in '{parent}': add it first")]
    NotMapped {
        /// The container.
        parent: String,
        /// The child.
        child: String,
    },
    /// A region would contain itself.
    #[error("cannot put '{child}' into '{parent}': the region would contain itself")]
    Cycle {
        /// The container.
        parent: String,
        /// The child.
        child: String,
    },
}

/// `len` in the largest unit that divides it.
pub(crate) fn size_text(len: u64) -> String {
    for (shift, unit) in [
        (50, "PiB"),
        (40, "TiB"),
        (30, "GiB"),
        (20, "MiB"),
        (10, "KiB"),
    ] {
        if len != 0 && len.trailing_zeros() >= shift {
            return format!("{} {unit}", len >> shift);
        }
    }
    format!("{len} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sentences_with_a_remedy() {
        let e = MemoryError::Reserve {
            name: "ram".into(),
            len: 1 << 40,
            reason: "Cannot allocate memory".into(),
        };
        assert_eq!(
            e.to_string(),
            "cannot reserve 1 TiB for RAM block 'ram': Cannot allocate memory; use a smaller -m"
        );
        assert_eq!(
            BusError::Unmapped(Gpa(0x1000)).to_string(),
            "nothing is mapped at 0x1000"
        );
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!(size_text(64 << 20), "64 MiB");
        assert_eq!(size_text(4097), "4097 bytes");
        assert_eq!(size_text(12 << 10), "12 KiB");
        assert_eq!(size_text(0), "0 bytes");
    }
}
