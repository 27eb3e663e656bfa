//! Boards: which devices a machine has and where.

pub mod riscv_fdt;
pub mod riscv_spike;
pub mod riscv_virt;

pub use riscv_spike::Spike;
pub use riscv_virt::RiscvVirt;

use crate::assembly::Assembly;
use crate::builder::Bios;
use crate::error::MachineError;
use ambidex_cpu::Arch;

/// A board: limits, defaults, and how it is put together.
pub trait Board: Send + Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// One line for listings.
    fn description(&self) -> &'static str;

    /// Its architecture.
    fn arch(&self) -> Arch;

    /// Most CPUs.
    fn max_cpus(&self) -> u32;

    /// Least and most bytes of RAM.
    fn ram_range(&self) -> (u64, u64);

    /// The CPU model used unless another is asked for.
    fn default_model(&self) -> &'static str;

    /// The firmware used unless another is asked for.
    fn default_bios(&self) -> Bios {
        Bios::Builtin
    }

    /// Frequency of the guest's counter in hertz.
    fn timebase_hz(&self) -> u64;

    /// Adds memory and devices.
    ///
    /// # Errors
    /// Something asked for has no place on the board.
    fn populate(&self, assembly: &mut Assembly) -> Result<(), MachineError>;

    /// Loads firmware, kernel and tables, and says where CPUs start. Memory and devices are in place.
    ///
    /// # Errors
    /// A file cannot be loaded.
    fn boot(&self, assembly: &mut Assembly) -> Result<(), MachineError>;
}

/// The boards for `arch`.
#[must_use]
pub fn all(arch: Arch) -> Vec<Box<dyn Board>> {
    match arch {
        Arch::Riscv64 => vec![Box::new(RiscvVirt), Box::new(Spike)],
        _ => Vec::new(),
    }
}

/// The board of `arch` called `name`.
///
/// # Errors
/// There is none; the message lists those there are.
pub fn by_name(arch: Arch, name: &str) -> Result<Box<dyn Board>, MachineError> {
    let boards = all(arch);
    let names: Vec<&str> = boards.iter().map(|b| b.name()).collect();
    let known = if names.is_empty() {
        "there are none yet".to_owned()
    } else {
        format!("use one of {}", names.join(", "))
    };
    boards
        .into_iter()
        .find(|b| b.name() == name)
        .ok_or_else(|| {
            MachineError::config(format!("there is no {arch} machine `{name}`: {known}"))
        })
}
