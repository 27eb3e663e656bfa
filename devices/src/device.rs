//! The contract every device model keeps.

/// Nanoseconds, of VM time unless something else is said.
pub type Nanos = u64;

/// The address space a region lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegionKind {
    /// Memory-mapped registers.
    Mmio,
    /// x86 port I/O.
    Pio,
}

/// Access widths in bytes a region takes. The bus splits or merges guest accesses to them before the device sees one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AccessSizes {
    /// Narrowest access: 1, 2, 4 or 8.
    pub min: u8,
    /// Widest access: 1, 2, 4 or 8, not below `min`.
    pub max: u8,
}

impl AccessSizes {
    /// 1 to 8 bytes.
    pub const ANY: Self = Self { min: 1, max: 8 };
    /// Bytes only.
    pub const BYTE: Self = Self { min: 1, max: 1 };
    /// 32-bit words only.
    pub const WORD32: Self = Self { min: 4, max: 4 };

    /// Whether an access of `size` bytes may reach the device.
    #[must_use]
    pub fn allows(self, size: u8) -> bool {
        size.is_power_of_two() && size >= self.min && size <= self.max
    }

    /// The widths allowed, narrowest first.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        [1, 2, 4, 8].into_iter().filter(move |&s| self.allows(s))
    }
}

/// One window of registers of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionSpec {
    /// Where the region can be mapped.
    pub kind: RegionKind,
    /// Short name for listings, such as `uart`.
    pub name: &'static str,
    /// Length in bytes.
    pub len: u64,
    /// Access widths the device understands.
    pub sizes: AccessSizes,
}

impl RegionSpec {
    /// A memory-mapped region.
    #[must_use]
    pub const fn mmio(name: &'static str, len: u64, sizes: AccessSizes) -> Self {
        Self {
            kind: RegionKind::Mmio,
            name,
            len,
            sizes,
        }
    }

    /// A port region.
    #[must_use]
    pub const fn pio(name: &'static str, len: u64, sizes: AccessSizes) -> Self {
        Self {
            kind: RegionKind::Pio,
            name,
            len,
            sizes,
        }
    }
}

/// What kind of reset a device goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResetKind {
    /// Power-on: everything returns to its initial value.
    Cold,
    /// The machine restarts without losing power: battery-backed and similar state survives.
    Warm,
}

/// What the machine has to do after a register write, once the device is unlocked.
#[must_use = "the machine has to carry the action out"]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    #[default]
    None,
    /// The device's regions moved or were switched on or off.
    Remap,
    /// Reset the machine.
    Reset(ResetKind),
    /// Switch the machine off. `code` is what the guest reported, 0 meaning success.
    PowerOff {
        /// The guest's exit code.
        code: u32,
    },
    /// The guest said that it has panicked.
    Panicked,
    /// The access cannot be completed yet; the initiator repeats it after the device's next event.
    Defer,
}

/// A device model: a synchronous state machine behind registers.
///
/// The machine keeps each device under a lock and is the only caller. Nothing a device reaches through its
/// [`Wiring`](crate::Wiring) calls back into it.
///
/// Accesses arrive with `offset + size <= regions()[region].len`, `offset` a multiple of `size` and `size` allowed by the
/// region. A model must nevertheless not panic on any other combination: it reads 0 and ignores the write.
pub trait Device: Send {
    /// The register windows. The number and order never change; `read` and `write` name them by index.
    fn regions(&self) -> &[RegionSpec];

    /// A read of `size` bytes; the value is in the low bits and the others are zero.
    fn read(&mut self, region: usize, offset: u64, size: u8) -> u64;

    /// A write of the low `size` bytes of `value`.
    fn write(&mut self, region: usize, offset: u64, size: u8, value: u64) -> Action;

    /// Returns to the reset state. Legal at any time, also with I/O in flight. Interrupt lines are low afterwards.
    fn reset(&mut self, kind: ResetKind);

    /// The VM time at which [`tick`](Self::tick) has to be called, if any. It may lie in the past, meaning at once.
    fn deadline(&self) -> Option<Nanos> {
        None
    }

    /// Called when the deadline is reached; harmless at any other time. The deadline has moved on afterwards.
    fn tick(&mut self) {}

    /// A back end made progress (input arrived, output space became free, I/O completed). `token` is what the device
    /// passed when it attached the back end. Spurious calls are harmless.
    fn event(&mut self, token: u32) {
        let _ = token;
    }

    /// Whether no I/O is in flight. The machine calls this, and delivers events, until it is true before it saves.
    fn quiesce(&mut self) -> bool {
        true
    }
}
