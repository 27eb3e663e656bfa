//! The `spike` board: RAM, CLINT and the host-target interface, for bare programs such as `riscv-tests` and compliance suites.
//!
//! | address | what |
//! | --- | --- |
//! | `0x1000` | mask ROM: reset vector |
//! | `0x200_0000` | CLINT |
//! | symbols `tohost`, `fromhost` of the program | HTIF |
//! | `0x8000_0000` | RAM |
//!
//! The program is an ELF file, entered in M-mode on all harts with `a0` the hart and `a1` the device tree.

use super::Board;
use super::riscv_fdt::{self, Chosen, Phandles, SOFT, TIMER};
use crate::assembly::{Assembly, Start};
use crate::builder::Bios;
use crate::error::MachineError;
use crate::fdt::{Fdt, Node};
use crate::loader::Image;
use ambidex_cpu::Arch;
use ambidex_devices::misc::Htif;
use ambidex_devices::timer::{Aclint, AclintConfig, HartLines};
use ambidex_memory::Region;

const MROM: u64 = 0x1000;
const CLINT: u64 = 0x200_0000;
const DRAM: u64 = 0x8000_0000;
const TIMEBASE_HZ: u64 = 10_000_000;

/// The board.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spike;

fn device_tree(a: &Assembly) -> Result<Vec<u8>, MachineError> {
    let mut fdt = Fdt::default();
    let mut phandles = Phandles::new();
    let (cpus, harts) = riscv_fdt::cpus(&a.riscv_model()?, a.cpus(), TIMEBASE_HZ, &mut phandles);
    let mut soc = Node::new("soc");
    soc.set_cells("#address-cells", &[2])
        .set_cells("#size-cells", &[2])
        .set_string("compatible", "simple-bus")
        .set_flag("ranges");
    let mut clint = Node::new(format!("clint@{CLINT:x}"));
    clint
        .set_u64s("reg", &[CLINT, 0x1_0000])
        .set_strings("compatible", &["sifive,clint0", "riscv,clint0"])
        .set_cells(
            "interrupts-extended",
            &riscv_fdt::interrupts_of(&harts, &[SOFT, TIMER]),
        );
    soc.add(clint);
    fdt.root
        .set_cells("#address-cells", &[2])
        .set_cells("#size-cells", &[2])
        .set_string("compatible", "ucbbar,spike-bare")
        .set_string("model", "ucbbar,spike-bare,ambidex");
    fdt.root.add(cpus);
    fdt.root.add(soc);
    fdt.root
        .child_mut("htif")
        .set_string("compatible", "ucb,htif0");
    riscv_fdt::set_memory(&mut fdt, DRAM, a.config.ram);
    let stdout = Some("/htif".to_owned());
    Chosen {
        cmdline: a.config.cmdline.clone(),
        stdout,
        ..Chosen::default()
    }
    .apply(&mut fdt);
    Ok(fdt.to_bytes())
}

impl Board for Spike {
    fn name(&self) -> &'static str {
        "spike"
    }

    fn description(&self) -> &'static str {
        "RISC-V board with a host-target interface, for bare programs"
    }

    fn arch(&self) -> Arch {
        Arch::Riscv64
    }

    fn max_cpus(&self) -> u32 {
        8
    }

    fn ram_range(&self) -> (u64, u64) {
        (1 << 20, 1 << 40)
    }

    fn default_model(&self) -> &'static str {
        "rv64"
    }

    fn default_bios(&self) -> Bios {
        Bios::None
    }

    fn timebase_hz(&self) -> u64 {
        TIMEBASE_HZ
    }

    fn populate(&self, a: &mut Assembly) -> Result<(), MachineError> {
        a.add_rom("mrom", MROM, 0xf000)?;
        a.add_ram("ram", DRAM, a.config.ram)?;
        let harts: Vec<HartLines> = (0..a.cpus())
            .filter_map(|n| a.cpu_pins(n, 1 << 1))
            .map(|p| HartLines {
                mtip: p.line(7),
                msip: p.line(3),
                ssip: p.line(1),
            })
            .collect();
        a.add_device("clint", &[CLINT], None, |w| {
            Ok(Box::new(Aclint::new(
                &w,
                AclintConfig {
                    timebase_hz: TIMEBASE_HZ,
                },
                harts,
            )))
        })?;
        Ok(())
    }

    fn boot(&self, a: &mut Assembly) -> Result<(), MachineError> {
        let source = match (std::mem::take(&mut a.config.bios), a.config.kernel.take()) {
            (Some(Bios::Builtin), _) => {
                return Err(MachineError::config(
                    "the spike board has no built-in firmware: leave out -bios, or give a file",
                ));
            }
            (Some(Bios::File(_)), Some(_)) => {
                return Err(MachineError::config(
                    "the spike board takes one program: give -kernel or -bios, not both",
                ));
            }
            (Some(Bios::File(program)), None) | (_, Some(program)) => program,
            _ => {
                return Err(MachineError::config(
                    "there is nothing to run: give an ELF program with -kernel",
                ));
            }
        };
        let name = source.name("program");
        let image = Image::open(&name, source.read("program")?, a.config.ram)?;
        if let Image::Elf(elf) = &image
            && (elf.machine != 243 || !elf.is_64)
        {
            return Err(MachineError::config(format!(
                "{name} is not for 64-bit RISC-V (ELF machine {})",
                elf.machine
            )));
        }
        let (entry, _) = a.load_image(&name, &image, DRAM)?;
        let symbol = |name: &str| {
            image
                .symbols()
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, at)| *at)
        };
        if let Some(to_host) = symbol("tohost") {
            let back_end = a.serial(0);
            let regions =
                a.add_device("htif", &[], None, |w| Ok(Box::new(Htif::new(w, back_end))))?;
            let from_host = symbol("fromhost");
            if let Some(htif) = regions.first() {
                // The two words are wherever the program has them, on top of its RAM.
                let root = a.space.root();
                root.add(to_host, &Region::alias("tohost", htif, 0, 8), 1)?;
                if let Some(at) = from_host {
                    root.add(at, &Region::alias("fromhost", htif, 8, 8), 1)?;
                }
            }
        }
        let fdt = device_tree(a)?;
        let fdt_at = (DRAM + a.config.ram - fdt.len() as u64) & !0xfff;
        a.load_bytes("the device tree", fdt_at, fdt.clone())?;
        a.fdt = Some(fdt);
        a.load_bytes(
            "the reset vector",
            MROM,
            super::riscv_virt::reset_vector(entry, fdt_at, 0),
        )?;
        a.starts.fill(Start::Reset { pc: MROM });
        Ok(())
    }
}
