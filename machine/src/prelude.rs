//! Everything a user plugs together or plugs into: `use ambidex_machine::prelude::*`.

pub use crate::assembly::{Assembly, Start};
pub use crate::boards::{Board, RiscvVirt, Spike};
pub use crate::builder::{Bios, Builder, Source};
pub use crate::clock::VmClock;
pub use crate::console::Console;
pub use crate::error::MachineError;
pub use crate::fdt::{Fdt, Node};
pub use crate::firmware::{DebugConsole, Firmware};
pub use crate::hub::ExitReason;
pub use crate::machine::{Control, CpuReport, Machine, Until};
pub use crate::semihosting::SemihostingConfig;
pub use ambidex_cpu::{
    AccelError, Accelerator, Arch, Caps, CpuBus, CpuModel, CpuState, Debug, Exit, FirmwareCalls,
    HookSet, Hooks, Instrument, Kicker, Pins, Timing, Vcpu, VcpuStats, Vm, VmConfig,
};
pub use ambidex_devices::block::BlockBackend;
pub use ambidex_devices::char::CharBackend;
pub use ambidex_devices::virtio::VirtioDevice;
pub use ambidex_devices::{
    Action, Clock, Device, DynDevice, IrqLine, IrqTarget, MsiSink, Nanos, Notifier, RealTime,
    RegionKind, RegionSpec, ResetKind, Snapshot, TimeSource, WallClock, Wiring,
};
pub use ambidex_memory::{
    AccessSizes, AddressSpace, Attrs, BusError, Dma, DmaTarget, Gpa, Initiator, Iommu, MmioHandler,
    RamBlock, RamOptions, Region, StreamId, ViewListener, WriteWatcher,
};
