//! Device registers: the handler trait, and fitting accesses to the sizes a handler takes.

use crate::attrs::Attrs;
use crate::error::BusError;

/// The access sizes a handler takes. Other accesses are split or widened before they reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessSizes {
    /// Smallest size in bytes: 1, 2, 4 or 8. A narrower read reads this many bytes and picks from them; a narrower write reads them, puts the
    /// bytes in and writes them back. Devices where that is wrong take 1.
    pub min: u8,
    /// Largest size in bytes: 1, 2, 4 or 8. A wider access becomes several, ascending.
    pub max: u8,
    /// Whether accesses need not be aligned to their size. Without it they are split into aligned ones.
    pub unaligned: bool,
}

impl AccessSizes {
    /// 1 to 8 bytes, aligned.
    pub const ANY: AccessSizes = AccessSizes {
        min: 1,
        max: 8,
        unaligned: false,
    };
    /// Bytes only.
    pub const BYTE: AccessSizes = AccessSizes {
        min: 1,
        max: 1,
        unaligned: false,
    };
    /// 32-bit words only.
    pub const WORD32: AccessSizes = AccessSizes {
        min: 4,
        max: 4,
        unaligned: false,
    };
    /// 1 to 4 bytes, aligned.
    pub const UP_TO_32: AccessSizes = AccessSizes {
        min: 1,
        max: 4,
        unaligned: false,
    };
}

impl Default for AccessSizes {
    fn default() -> AccessSizes {
        AccessSizes::ANY
    }
}

/// A device's registers as the address space sees them. Sizes are 1, 2, 4 or 8; values are in the low bytes, little-endian. The space has
/// already split or widened accesses to the sizes declared.
pub trait MmioHandler: Send + Sync {
    /// Reads `size` bytes at `offset` from the region's start.
    ///
    /// # Errors
    /// The device refuses the access.
    fn read(&self, offset: u64, size: u8, attrs: Attrs) -> Result<u64, BusError>;

    /// Writes `size` bytes at `offset` from the region's start. The bits of `value` above them are zero.
    ///
    /// # Errors
    /// The device refuses the access.
    fn write(&self, offset: u64, size: u8, value: u64, attrs: Attrs) -> Result<(), BusError>;

    /// The access sizes it takes.
    fn access_sizes(&self) -> AccessSizes {
        AccessSizes::ANY
    }
}

/// The low `size` (0 to 8) bytes set.
pub(crate) fn mask(size: u64) -> u64 {
    if size >= 8 {
        u64::MAX
    } else {
        (1 << (size * 8)) - 1
    }
}

/// The part of an access that one call of the handler serves.
struct Piece {
    /// Where the handler is called.
    at: u64,
    /// The size it is called with.
    size: u8,
    /// How far the bytes wanted lie inside that call's bytes.
    skip: u64,
    /// How many bytes of the access this serves.
    take: u64,
}

/// The first piece of an access of `left` bytes at `at`.
fn piece(sizes: AccessSizes, at: u64, left: u64) -> Piece {
    let min = u64::from(sizes.min.clamp(1, 8)).next_power_of_two();
    let max = u64::from(sizes.max.clamp(1, 8))
        .next_power_of_two()
        .max(min);
    let fits = 1u64 << left.min(max).ilog2();
    let size = if sizes.unaligned || at == 0 {
        fits
    } else {
        fits.min(1 << at.trailing_zeros().min(3))
    };
    if size >= min {
        return Piece {
            at,
            size: size as u8,
            skip: 0,
            take: size,
        };
    }
    // Too narrow: the aligned word around it.
    let base = at & !(min - 1);
    let skip = at - base;
    Piece {
        at: base,
        size: min as u8,
        skip,
        take: left.min(min - skip),
    }
}

/// Reads 1 to 8 bytes.
pub(crate) fn read(
    h: &dyn MmioHandler,
    offset: u64,
    size: u8,
    attrs: Attrs,
) -> Result<u64, BusError> {
    let sizes = h.access_sizes();
    let len = u64::from(size);
    let mut value = 0;
    let mut done = 0;
    while done < len {
        let p = piece(sizes, offset.wrapping_add(done), len - done);
        let got = h.read(p.at, p.size, attrs)? & mask(p.size.into());
        value |= (got >> (p.skip * 8) & mask(p.take)) << (done * 8);
        done += p.take;
    }
    Ok(value)
}

/// Writes 1 to 8 bytes.
pub(crate) fn write(
    h: &dyn MmioHandler,
    offset: u64,
    size: u8,
    value: u64,
    attrs: Attrs,
) -> Result<(), BusError> {
    let sizes = h.access_sizes();
    let len = u64::from(size);
    let mut done = 0;
    while done < len {
        let p = piece(sizes, offset.wrapping_add(done), len - done);
        let mut v = value >> (done * 8) & mask(p.take);
        if p.take < u64::from(p.size) {
            let keep = h.read(p.at, p.size, attrs)? & mask(p.size.into());
            v = keep & !(mask(p.take) << (p.skip * 8)) | v << (p.skip * 8);
        }
        h.write(p.at, p.size, v, attrs)?;
        done += p.take;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use proptest::prelude::*;

    use super::*;

    /// 32 bytes of registers that refuse what they did not declare, and a log of the calls.
    struct Strict {
        sizes: AccessSizes,
        bytes: Mutex<[u8; 32]>,
        calls: Mutex<Vec<(char, u64, u8)>>,
    }

    impl Strict {
        fn new(sizes: AccessSizes) -> Strict {
            let bytes = std::array::from_fn(|i| 0x40 + i as u8);
            Strict {
                sizes,
                bytes: Mutex::new(bytes),
                calls: Mutex::default(),
            }
        }

        fn called(&self, kind: char, offset: u64, size: u8) {
            assert!(
                size.is_power_of_two() && (self.sizes.min..=self.sizes.max).contains(&size),
                "size {size}"
            );
            assert!(
                self.sizes.unaligned || offset.is_multiple_of(size.into()),
                "{offset} {size}"
            );
            self.calls.lock().unwrap().push((kind, offset, size));
        }
    }

    impl MmioHandler for Strict {
        fn read(&self, offset: u64, size: u8, _: Attrs) -> Result<u64, BusError> {
            self.called('r', offset, size);
            let mut v = [0xee; 8];
            v[..size.into()]
                .copy_from_slice(&self.bytes.lock().unwrap()[offset as usize..][..size.into()]);
            Ok(u64::from_le_bytes(v))
        }
        fn write(&self, offset: u64, size: u8, value: u64, _: Attrs) -> Result<(), BusError> {
            self.called('w', offset, size);
            assert_eq!(value & !mask(size.into()), 0);
            self.bytes.lock().unwrap()[offset as usize..][..size.into()]
                .copy_from_slice(&value.to_le_bytes()[..size.into()]);
            Ok(())
        }
        fn access_sizes(&self) -> AccessSizes {
            self.sizes
        }
    }

    #[test]
    fn splits_and_widens() {
        let s = Strict::new(AccessSizes::WORD32);
        assert_eq!(read(&s, 6, 1, Attrs::cpu(0)), Ok(0x46));
        assert_eq!(read(&s, 8, 8, Attrs::cpu(0)), Ok(0x4f4e_4d4c_4b4a_4948));
        assert_eq!(read(&s, 3, 2, Attrs::cpu(0)), Ok(0x4443));
        assert_eq!(
            *s.calls.lock().unwrap(),
            [
                ('r', 4, 4),
                ('r', 8, 4),
                ('r', 12, 4),
                ('r', 0, 4),
                ('r', 4, 4)
            ]
        );
        s.calls.lock().unwrap().clear();
        write(&s, 5, 1, 0x99, Attrs::cpu(0)).unwrap();
        assert_eq!(*s.calls.lock().unwrap(), [('r', 4, 4), ('w', 4, 4)]);
        assert_eq!(s.bytes.lock().unwrap()[4..8], [0x44, 0x99, 0x46, 0x47]);
    }

    #[test]
    fn what_fits_passes_unchanged() {
        let s = Strict::new(AccessSizes::ANY);
        for size in [1, 2, 4, 8] {
            read(&s, 8, size, Attrs::cpu(0)).unwrap();
        }
        assert_eq!(
            *s.calls.lock().unwrap(),
            [('r', 8, 1), ('r', 8, 2), ('r', 8, 4), ('r', 8, 8)]
        );
        let s = Strict::new(AccessSizes {
            min: 1,
            max: 8,
            unaligned: true,
        });
        read(&s, 3, 4, Attrs::cpu(0)).unwrap();
        assert_eq!(*s.calls.lock().unwrap(), [('r', 3, 4)]);
    }

    proptest! {
        #[test]
        fn behaves_like_bytes(min in 0u32..4, more in 0u32..4, unaligned: bool, ops in prop::collection::vec((0u64..24, 1u8..=8, any::<u64>(), any::<bool>()), 1..20)) {
            let sizes = AccessSizes { min: 1 << min, max: 1 << (min + more).min(3), unaligned };
            let s = Strict::new(sizes);
            let mut model = *s.bytes.lock().unwrap();
            for (at, size, value, is_write) in ops {
                let range = at as usize..at as usize + usize::from(size);
                if is_write {
                    write(&s, at, size, value, Attrs::cpu(0)).unwrap();
                    model[range].copy_from_slice(&value.to_le_bytes()[..size.into()]);
                } else {
                    let got = read(&s, at, size, Attrs::cpu(0)).unwrap();
                    prop_assert_eq!(&got.to_le_bytes()[..size.into()], &model[range]);
                    prop_assert_eq!(got & !mask(size.into()), 0);
                }
            }
            prop_assert_eq!(*s.bytes.lock().unwrap(), model);
        }
    }
}
