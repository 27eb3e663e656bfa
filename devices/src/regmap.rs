//! Declared registers: finds them by offset and merges or splits partial and wide accesses.

/// How a register answers writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Readable; writes are ignored.
    ReadOnly,
    /// Readable and writable.
    ReadWrite,
    /// Writable; reads as zero.
    WriteOnly,
    /// Writing 1 to a bit clears it.
    WriteOneToClear,
}

/// One register of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// Offset in the region.
    pub offset: u64,
    /// Width in bytes: 1, 2, 4 or 8.
    pub size: u8,
    /// How it answers writes.
    pub access: Access,
    /// Its value after reset.
    pub reset: u64,
}

impl Register {
    /// The part of an access of `size` bytes at `offset` that falls on this register: the shift of the register in the
    /// access (positive: register above the start of the access) and the mask of its bits touched.
    fn overlap(&self, offset: u64, size: u8) -> Option<(i64, u64)> {
        let end = offset.checked_add(size.into())?;
        let own_end = self.offset.checked_add(self.size.into())?;
        let (from, to) = (offset.max(self.offset), end.min(own_end));
        if from >= to {
            return None;
        }
        let bits = 8 * (to - from);
        let mask = if bits >= 64 {
            u64::MAX
        } else {
            (1 << bits) - 1
        };
        let shift = 8 * (self.offset as i64).checked_sub(offset as i64)?;
        Some((shift, mask << (8 * (from - self.offset))))
    }
}

fn shifted(value: u64, by: i64) -> u64 {
    let n = by.unsigned_abs() as u32;
    if by >= 0 {
        value.checked_shl(n).unwrap_or(0)
    } else {
        value.checked_shr(n).unwrap_or(0)
    }
}

/// What holds the values. Registers are named by their index in the map.
pub trait RegisterFile {
    /// The value of a register; side effects of reading happen here. Called once per access for each register touched.
    fn get(&mut self, register: usize) -> u64;

    /// The value of a register without side effects, to merge a partial write into.
    fn peek(&self, register: usize) -> u64;

    /// A register gets `value`. `touched` are the bits the access covered.
    fn set(&mut self, register: usize, value: u64, touched: u64);
}

/// A list of registers.
#[derive(Clone, Copy, Debug)]
pub struct RegisterMap(pub &'static [Register]);

impl RegisterMap {
    /// Reads `size` bytes at `offset`; bytes outside of all registers are zero.
    pub fn read(&self, file: &mut dyn RegisterFile, offset: u64, size: u8) -> u64 {
        let mut value = 0;
        for (n, r) in self.0.iter().enumerate() {
            if let Some((shift, mask)) = r
                .overlap(offset, size)
                .filter(|_| r.access != Access::WriteOnly)
            {
                value |= shifted(file.get(n) & mask, shift);
            }
        }
        value
    }

    /// Writes `size` bytes at `offset`; bytes outside of all writable registers are ignored.
    pub fn write(&self, file: &mut dyn RegisterFile, offset: u64, size: u8, value: u64) {
        for (n, r) in self.0.iter().enumerate() {
            let Some((shift, mask)) = r.overlap(offset, size) else {
                continue;
            };
            let new = shifted(value, -shift) & mask;
            match r.access {
                Access::ReadOnly => {}
                Access::ReadWrite | Access::WriteOnly => {
                    file.set(n, file.peek(n) & !mask | new, mask)
                }
                Access::WriteOneToClear => file.set(n, file.peek(n) & !new, mask),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: RegisterMap = RegisterMap(&[
        Register {
            offset: 0,
            size: 4,
            access: Access::ReadWrite,
            reset: 0x1234_5678,
        },
        Register {
            offset: 4,
            size: 2,
            access: Access::WriteOneToClear,
            reset: 0xffff,
        },
        Register {
            offset: 6,
            size: 1,
            access: Access::ReadOnly,
            reset: 0x5a,
        },
        Register {
            offset: 8,
            size: 8,
            access: Access::WriteOnly,
            reset: 0,
        },
    ]);

    struct File(Vec<u64>);
    impl RegisterFile for File {
        fn get(&mut self, n: usize) -> u64 {
            self.0[n]
        }
        fn peek(&self, n: usize) -> u64 {
            self.0[n]
        }
        fn set(&mut self, n: usize, value: u64, _: u64) {
            self.0[n] = value;
        }
    }

    #[test]
    fn partial_and_wide_accesses() {
        let mut f = File(MAP.0.iter().map(|r| r.reset).collect());
        assert_eq!(MAP.read(&mut f, 0, 8), 0x005a_ffff_1234_5678);
        assert_eq!(MAP.read(&mut f, 1, 1), 0x56);
        assert_eq!(MAP.read(&mut f, 2, 4), 0xffff_1234);
        MAP.write(&mut f, 1, 1, 0xab);
        assert_eq!(f.0[0], 0x1234_ab78);
        MAP.write(&mut f, 2, 4, 0x00f0_9999);
        assert_eq!((f.0[0], f.0[1]), (0x9999_ab78, 0xff0f));
        MAP.write(&mut f, 4, 4, u64::MAX);
        assert_eq!((f.0[1], f.0[2]), (0, 0x5a));
        MAP.write(&mut f, 12, 4, 0xdead_beef);
        assert_eq!((f.0[3], MAP.read(&mut f, 8, 8)), (0xdead_beef_0000_0000, 0));
        assert_eq!(MAP.read(&mut f, u64::MAX, 1), 0);
    }
}
