//! Feature and status bits that belong to no device type (sections 2.1, 2.2 and 6).

use bitflags::bitflags;

bitflags! {
    /// Feature bits. The names are those of section 6; device types add theirs in bits 0 to 23 and 50 to 63 and
    /// convert with [`bits`](Self::bits) and [`from_bits_retain`](Self::from_bits_retain).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Features: u64 {
        /// Legacy: the device accepts any layout of a request's parts in descriptors.
        const ANY_LAYOUT = 1 << 27;
        /// Descriptors may point to tables of descriptors.
        const INDIRECT_DESC = 1 << 28;
        /// `used_event` and `avail_event` say when to notify.
        const EVENT_IDX = 1 << 29;
        /// The modern interface.
        const VERSION_1 = 1 << 32;
        /// Addresses go through the platform's IOMMU.
        const ACCESS_PLATFORM = 1 << 33;
        /// Packed rings.
        const RING_PACKED = 1 << 34;
        /// Buffers are used in the order in which they were made available.
        const IN_ORDER = 1 << 35;
        /// Notifications carry the ring's state.
        const NOTIFICATION_DATA = 1 << 38;
        /// Queues can be reset one by one.
        const RING_RESET = 1 << 40;
        /// Others, of device types.
        const _ = !0;
    }
}

impl Features {
    /// A device type's own bits.
    #[must_use]
    pub const fn device(bits: u64) -> Self {
        Self::from_bits_retain(bits)
    }

    /// Whether any bit of `bits` is set.
    #[must_use]
    pub const fn has(self, bits: u64) -> bool {
        self.bits() & bits != 0
    }
}

bitflags! {
    /// Device status (section 2.1).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Status: u8 {
        /// The guest has noticed the device.
        const ACKNOWLEDGE = 1;
        /// The guest has a driver for it.
        const DRIVER = 2;
        /// The driver is ready.
        const DRIVER_OK = 4;
        /// Features are negotiated.
        const FEATURES_OK = 8;
        /// The device met an error that it cannot recover from.
        const DEVICE_NEEDS_RESET = 64;
        /// The guest gave up.
        const FAILED = 128;
    }
}
