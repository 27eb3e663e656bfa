//! Who makes an access, and how.

/// A device's identity on the bus: a PCI requester id, an SMMU stream id, or any number the board chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StreamId(pub u32);

/// The party an access comes from. The same address can mean different things to different initiators:
/// a CPU's store to `0xfee0_0000` reaches its local APIC, a device's store there is an MSI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Initiator {
    /// The vCPU of this index.
    Cpu(u32),
    /// A device, by DMA.
    Device(StreamId),
    /// A debugger: may write ROM, as it has to plant breakpoints there.
    Debugger,
    /// A firmware or kernel loader: may write ROM.
    Loader,
}

/// Attributes that travel with every access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attrs {
    /// Who makes the access.
    pub initiator: Initiator,
    /// Arm's secure bit (`AxPROT[1]` clear). False everywhere else.
    pub secure: bool,
}

impl Attrs {
    /// A debugger's access.
    pub const DEBUG: Attrs = Attrs {
        initiator: Initiator::Debugger,
        secure: false,
    };
    /// A loader's access.
    pub const LOADER: Attrs = Attrs {
        initiator: Initiator::Loader,
        secure: false,
    };

    /// An ordinary access of vCPU `index`.
    #[must_use]
    pub const fn cpu(index: u32) -> Attrs {
        Attrs {
            initiator: Initiator::Cpu(index),
            secure: false,
        }
    }

    /// An ordinary access of a device.
    #[must_use]
    pub const fn device(id: StreamId) -> Attrs {
        Attrs {
            initiator: Initiator::Device(id),
            secure: false,
        }
    }

    /// Whether the initiator may store into ROM (loaders and debuggers).
    #[must_use]
    pub const fn may_write_rom(self) -> bool {
        matches!(self.initiator, Initiator::Loader | Initiator::Debugger)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loader_and_debugger_write_rom() {
        assert!(Attrs::LOADER.may_write_rom() && Attrs::DEBUG.may_write_rom());
        assert!(!Attrs::cpu(0).may_write_rom() && !Attrs::device(StreamId(1)).may_write_rom());
    }
}
