//! The `virt` board for RISC-V: the memory map and device tree of the machine of that name in QEMU, on which distribution kernels, OpenSBI
//! and U-Boot run unmodified.
//!
//! | address | what | interrupt |
//! | --- | --- | --- |
//! | `0x1000` | mask ROM: reset vector | |
//! | `0x10_0000` | SiFive test finisher | |
//! | `0x10_1000` | Goldfish RTC | 11 |
//! | `0x200_0000` | CLINT | |
//! | `0xc00_0000` | PLIC, 95 sources | |
//! | `0x1000_0000` | UART 16550A | 10 |
//! | `0x1000_1000` … `0x1000_8000` | 8 virtio-mmio slots | 1 … 8 |
//! | `0x1010_0000` | fw_cfg | |
//! | `0x2000_0000` | two 32 MiB flash banks | |
//! | `0x3000_0000`, `0x4000_0000`, `0x300_0000` | PCIe ECAM, windows (reserved) | |
//! | `0x8000_0000` | RAM | |
//!
//! Devices are entries of a table: where, which interrupt, how to make them, how to describe them.

use super::Board;
use super::riscv_fdt::{self, Chosen, EXTERNAL_M, EXTERNAL_S, Phandles, SOFT, TIMER};
use crate::assembly::{Assembly, Start};
use crate::builder::Bios;
use crate::error::MachineError;
use crate::fdt::{Fdt, Node};
use crate::firmware::UartConsole;
use crate::loader::{Elf, Image};
use ambidex_cpu::Arch;
use ambidex_devices::fwcfg::{FwCfg, FwCfgItems};
use ambidex_devices::intc::{Plic, PlicConfig};
use ambidex_devices::misc::TestFinisher;
use ambidex_devices::rtc::GoldfishRtc;
use ambidex_devices::serial::{Uart16550, UartConfig};
use ambidex_devices::timer::{Aclint, AclintConfig, HartLines};
use ambidex_devices::virtio::{Blk, BlkOptions, MmioVersion, VirtioDevice, VirtioMmio};
use ambidex_memory::{AccessSizes, Attrs, BusError, Gpa, MmioHandler, Region};
use std::sync::Arc;

const MROM: u64 = 0x1000;
const MROM_LEN: u64 = 0xf000;
const UART: u64 = 0x1000_0000;
const VIRTIO: u64 = 0x1000_1000;
const VIRTIO_SLOTS: u64 = 8;
const FW_CFG: u64 = 0x1010_0000;
const FLASH: u64 = 0x2000_0000;
const FLASH_BANK: u64 = 32 * MIB;
const FLASH_BANKS: usize = 2;
const DRAM: u64 = 0x8000_0000;
const TIMEBASE_HZ: u64 = 10_000_000;
const MIB: u64 = 1 << 20;
/// The device tree stays below this address, which all kernels can reach.
const FDT_LIMIT: u64 = 0xc000_0000;
const RISCV: u16 = 243;

const SSIP: u32 = 1;
const MSIP: u32 = 3;
const MTIP: u32 = 7;
const SEIP: u32 = 9;
const MEIP: u32 = 11;

/// The board.
#[derive(Clone, Copy, Debug, Default)]
pub struct RiscvVirt;

/// What nodes refer to.
struct Handles {
    harts: Vec<u32>,
    plic: u32,
    test: u32,
}

/// A place for a device.
struct Entry {
    name: &'static str,
    base: u64,
    len: u64,
    irq: Option<u32>,
    /// Adds the device.
    install: fn(&Entry, &mut Assembly) -> Result<(), MachineError>,
    /// Fills in its node under `/soc`; `reg` and interrupts are there already.
    describe: Option<fn(&Entry, &Handles, &mut Node)>,
    /// The node's name without the address.
    node: &'static str,
}

/// The board's devices, in the order in which they are made: the interrupt controller is before what it serves.
static DEVICES: &[Entry] = &[
    Entry {
        name: "plic",
        base: 0xc00_0000,
        len: 0x60_0000,
        irq: None,
        install: plic,
        describe: Some(describe_plic),
        node: "plic",
    },
    Entry {
        name: "clint",
        base: 0x200_0000,
        len: 0x1_0000,
        irq: None,
        install: clint,
        describe: Some(describe_clint),
        node: "clint",
    },
    Entry {
        name: "test",
        base: 0x10_0000,
        len: 0x1000,
        irq: None,
        install: test,
        describe: Some(describe_test),
        node: "test",
    },
    Entry {
        name: "rtc",
        base: 0x10_1000,
        len: 0x1000,
        irq: Some(11),
        install: rtc,
        describe: Some(describe_rtc),
        node: "rtc",
    },
    Entry {
        name: "uart0",
        base: UART,
        len: 0x100,
        irq: Some(10),
        install: uart,
        describe: Some(describe_uart),
        node: "serial",
    },
    Entry {
        name: "virtio",
        base: VIRTIO,
        len: 0x1000,
        irq: None,
        install: virtio,
        describe: None,
        node: "virtio_mmio",
    },
    Entry {
        name: "fw-cfg",
        base: FW_CFG,
        len: 0x18,
        irq: None,
        install: fw_cfg,
        describe: None,
        node: "fw-cfg",
    },
    Entry {
        name: "flash",
        base: FLASH,
        len: FLASH_BANK,
        irq: None,
        install: flash,
        describe: None,
        node: "flash",
    },
    Entry {
        name: "pcie-pio",
        base: 0x300_0000,
        len: 0x1_0000,
        irq: None,
        install: reserve,
        describe: None,
        node: "pci",
    },
    Entry {
        name: "pcie-ecam",
        base: 0x3000_0000,
        len: 0x1000_0000,
        irq: None,
        install: reserve,
        describe: None,
        node: "pci",
    },
    Entry {
        name: "pcie-mmio",
        base: 0x4000_0000,
        len: 0x4000_0000,
        irq: None,
        install: reserve,
        describe: None,
        node: "pci",
    },
];

/// Keeps a window free; accesses fault until something lives there.
fn reserve(_: &Entry, _: &mut Assembly) -> Result<(), MachineError> {
    Ok(())
}

fn plic(e: &Entry, a: &mut Assembly) -> Result<(), MachineError> {
    let mut outputs = Vec::new();
    for n in 0..a.cpus() {
        if let Some(pins) = a.cpu_pins(n, 0) {
            outputs.extend([pins.line(MEIP), pins.line(SEIP)]);
        }
    }
    let plic = Plic::new(
        PlicConfig {
            sources: 96,
            max_priority: 7,
        },
        outputs,
    );
    a.set_irq_target(plic.inputs());
    a.add_device(e.name, &[e.base], None, |_| Ok(Box::new(plic)))
        .map(drop)
}

fn clint(e: &Entry, a: &mut Assembly) -> Result<(), MachineError> {
    let harts: Vec<HartLines> = (0..a.cpus())
        .filter_map(|n| a.cpu_pins(n, 1 << SSIP))
        .map(|p| HartLines {
            mtip: p.line(MTIP),
            msip: p.line(MSIP),
            ssip: p.line(SSIP),
        })
        .collect();
    a.add_device(e.name, &[e.base], None, |w| {
        Ok(Box::new(Aclint::new(
            &w,
            AclintConfig {
                timebase_hz: TIMEBASE_HZ,
            },
            harts,
        )))
    })
    .map(drop)
}

fn test(e: &Entry, a: &mut Assembly) -> Result<(), MachineError> {
    a.add_device(e.name, &[e.base], None, |_| {
        Ok(Box::new(TestFinisher::new()))
    })
    .map(drop)
}

fn rtc(e: &Entry, a: &mut Assembly) -> Result<(), MachineError> {
    let wall = a.wall_clock();
    a.add_device(e.name, &[e.base], e.irq, |w| {
        Ok(Box::new(GoldfishRtc::new(w, wall)))
    })
    .map(drop)
}

fn uart(e: &Entry, a: &mut Assembly) -> Result<(), MachineError> {
    let back_end = a.serial(0);
    a.add_device(e.name, &[e.base], e.irq, |w| {
        Ok(Box::new(Uart16550::new(w, UartConfig::default(), back_end)))
    })
    .map(drop)
}

/// The virtio slots: disks first, then the other devices; the rest answer that nothing is there.
fn virtio(e: &Entry, a: &mut Assembly) -> Result<(), MachineError> {
    let disks = std::mem::take(&mut a.config.drives);
    let disks = disks
        .into_iter()
        .map(|d| Box::new(Blk::new(d, BlkOptions::default())) as Box<dyn VirtioDevice>);
    let devices: Vec<_> = disks.chain(std::mem::take(&mut a.config.virtio)).collect();
    if devices.len() as u64 > VIRTIO_SLOTS {
        return Err(MachineError::config(format!(
            "{} disks and other virtio devices were asked for, and the virt board has {VIRTIO_SLOTS} slots; remove some",
            devices.len()
        )));
    }
    let mut devices = devices.into_iter();
    for n in 0..VIRTIO_SLOTS {
        let base = e.base + n * e.len;
        match devices.next() {
            Some(device) => a
                .add_device(
                    &format!("{}{n}", e.name),
                    &[base],
                    Some(n as u32 + 1),
                    |w| Ok(Box::new(VirtioMmio::new(w, MmioVersion::Modern, device))),
                )
                .map(drop)?,
            None => a.space.root().add(
                base,
                &Region::mmio("virtio-empty", e.len, Arc::new(EmptySlot)),
                0,
            )?,
        }
    }
    Ok(())
}

fn fw_cfg(e: &Entry, a: &mut Assembly) -> Result<(), MachineError> {
    let cpus = u16::try_from(a.cpus()).unwrap_or(u16::MAX);
    let items = FwCfgItems::new().cpus(cpus, cpus);
    a.add_device(e.name, &[e.base], None, |w| {
        Ok(Box::new(FwCfg::new(w, items)))
    })
    .map(drop)
}

fn flash(e: &Entry, a: &mut Assembly) -> Result<(), MachineError> {
    let images = std::mem::take(&mut a.config.flash);
    if images.len() > FLASH_BANKS {
        return Err(MachineError::config(format!(
            "contents for {} flash banks were given, and the virt board has {FLASH_BANKS}; remove some",
            images.len()
        )));
    }
    a.config.flash_boots = images.first().is_some_and(Option::is_some);
    let mut images = images.into_iter();
    for n in 0..FLASH_BANKS {
        let at = e.base + n as u64 * e.len;
        a.add_flash(
            &format!("{}{n}", e.name),
            at,
            e.len,
            images.next().flatten(),
        )?;
    }
    Ok(())
}

/// A virtio-mmio slot without a device (virtio 1.3, 4.2.2: device id 0).
struct EmptySlot;

impl MmioHandler for EmptySlot {
    fn read(&self, offset: u64, _size: u8, _: Attrs) -> Result<u64, BusError> {
        Ok(match offset {
            0 => 0x7472_6976,
            4 => 2,
            0xc => 0x5844_4d41,
            _ => 0,
        })
    }

    fn write(&self, _: u64, _: u8, _: u64, _: Attrs) -> Result<(), BusError> {
        Ok(())
    }

    fn access_sizes(&self) -> AccessSizes {
        AccessSizes::WORD32
    }
}

fn describe_plic(_: &Entry, h: &Handles, node: &mut Node) {
    node.set_strings("compatible", &["sifive,plic-1.0.0", "riscv,plic0"])
        .set_cells(
            "interrupts-extended",
            &riscv_fdt::interrupts_of(&h.harts, &[EXTERNAL_M, EXTERNAL_S]),
        )
        .set_cells("riscv,ndev", &[95])
        .set_cells("#interrupt-cells", &[1])
        .set_cells("#address-cells", &[0])
        .set_flag("interrupt-controller")
        .set_cells("phandle", &[h.plic]);
}

fn describe_clint(_: &Entry, h: &Handles, node: &mut Node) {
    node.set_strings("compatible", &["sifive,clint0", "riscv,clint0"])
        .set_cells(
            "interrupts-extended",
            &riscv_fdt::interrupts_of(&h.harts, &[SOFT, TIMER]),
        );
}

fn describe_test(_: &Entry, h: &Handles, node: &mut Node) {
    node.set_strings("compatible", &["sifive,test1", "sifive,test0", "syscon"])
        .set_cells("phandle", &[h.test]);
}

fn describe_rtc(_: &Entry, _: &Handles, node: &mut Node) {
    node.set_string("compatible", "google,goldfish-rtc");
}

fn describe_uart(_: &Entry, _: &Handles, node: &mut Node) {
    node.set_string("compatible", "ns16550a")
        .set_cells("clock-frequency", &[UartConfig::default().clock_hz]);
}

/// A node under `/soc` with its registers and interrupt.
fn soc_node(name: &str, base: u64, len: u64, irq: Option<u32>, plic: u32) -> Node {
    let mut node = Node::new(format!("{name}@{base:x}"));
    node.set_u64s("reg", &[base, len]);
    if let Some(irq) = irq {
        node.set_cells("interrupts", &[irq])
            .set_cells("interrupt-parent", &[plic]);
    }
    node
}

fn generate(a: &Assembly) -> Result<Fdt, MachineError> {
    let model = a.riscv_model()?;
    let mut fdt = Fdt::default();
    let mut phandles = Phandles::new();
    let (cpus, harts) = riscv_fdt::cpus(&model, a.cpus(), TIMEBASE_HZ, &mut phandles);
    let handles = Handles {
        harts,
        plic: phandles.next(),
        test: phandles.next(),
    };
    let mut soc = Node::new("soc");
    soc.set_cells("#address-cells", &[2])
        .set_cells("#size-cells", &[2])
        .set_string("compatible", "simple-bus")
        .set_flag("ranges");
    for e in DEVICES {
        if let Some(describe) = e.describe {
            let mut node = soc_node(e.node, e.base, e.len, e.irq, handles.plic);
            describe(e, &handles, &mut node);
            soc.add(node);
        }
    }
    for n in 0..VIRTIO_SLOTS {
        let mut node = soc_node(
            "virtio_mmio",
            VIRTIO + n * 0x1000,
            0x1000,
            Some(n as u32 + 1),
            handles.plic,
        );
        node.set_string("compatible", "virtio,mmio");
        soc.add(node);
    }
    let root = &mut fdt.root;
    root.set_cells("#address-cells", &[2])
        .set_cells("#size-cells", &[2])
        .set_string("compatible", "riscv-virtio")
        .set_string("model", "riscv-virtio,ambidex");
    for (name, value) in [("poweroff", 0x5555), ("reboot", 0x7777)] {
        let mut node = Node::new(name);
        node.set_string("compatible", &format!("syscon-{name}"))
            .set_cells("value", &[value])
            .set_cells("offset", &[0])
            .set_cells("regmap", &[handles.test]);
        root.add(node);
    }
    let mut fw_cfg = Node::new(format!("fw-cfg@{FW_CFG:x}"));
    fw_cfg
        .set_string("compatible", "qemu,fw-cfg-mmio")
        .set_u64s("reg", &[FW_CFG, 0x18])
        .set_flag("dma-coherent");
    root.add(fw_cfg);
    let mut flash = Node::new(format!("flash@{FLASH:x}"));
    flash
        .set_string("compatible", "cfi-flash")
        .set_u64s("reg", &[FLASH, FLASH_BANK, FLASH + FLASH_BANK, FLASH_BANK])
        .set_cells("bank-width", &[4]);
    root.add(flash);
    root.add(cpus);
    let serial = format!("/soc/serial@{UART:x}");
    root.child_mut("aliases").set_string("serial0", &serial);
    root.child_mut("chosen").set_string("stdout-path", &serial);
    root.add(soc);
    Ok(fdt)
}

/// 32 bytes: from the seed if there is one or the machine has to be deterministic, otherwise from the host.
fn rng_seed(a: &Assembly) -> Vec<u8> {
    let fixed = a.config.seed.or(a.clock().shift().map(|_| 0));
    let mut bytes = vec![0; 32];
    if fixed.is_none()
        && let Ok(mut host) = std::fs::File::open("/dev/urandom")
        && std::io::Read::read_exact(&mut host, &mut bytes).is_ok()
    {
        return bytes;
    }
    // SplitMix64: spreads a small seed over all bits. Secrecy is not asked for here.
    let mut state = fixed.unwrap_or(0);
    for chunk in bytes.chunks_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        chunk.copy_from_slice(&(z ^ z >> 31).to_le_bytes());
    }
    bytes
}

/// The reset vector: `a0` the hart, `a1` the device tree, `a2` what OpenSBI's `fw_dynamic` wants to know about the next stage.
pub(super) fn reset_vector(start: u64, fdt: u64, kernel: u64) -> Vec<u8> {
    let code: [u32; 6] = [
        0x0000_0297, // auipc t0, 0
        0x0282_8613, // addi a2, t0, 40
        0xf140_2573, // csrr a0, mhartid
        0x0202_b583, // ld a1, 32(t0)
        0x0182_b283, // ld t0, 24(t0)
        0x0002_8067, // jr t0
    ];
    // The last six: magic "OSBI", version, next address, next mode (S), options, preferred boot hart.
    let data: [u64; 8] = [start, fdt, 0x4942_534f, 2, kernel, 1, 0, 0];
    code.iter()
        .flat_map(|w| w.to_le_bytes())
        .chain(data.iter().flat_map(|w| w.to_le_bytes()))
        .collect()
}

fn open(
    a: &Assembly,
    what: &str,
    source: crate::builder::Source,
) -> Result<(String, Image), MachineError> {
    let name = source.name(what);
    let image = Image::open(&name, source.read(what)?, a.config.ram)?;
    if let Image::Elf(Elf { machine, is_64, .. }) = &image
        && (*machine != RISCV || !is_64)
    {
        return Err(MachineError::config(format!(
            "{name} is not for 64-bit RISC-V (ELF machine {machine}); give one that is, or choose another -machine"
        )));
    }
    Ok((name, image))
}

impl Board for RiscvVirt {
    fn name(&self) -> &'static str {
        "virt"
    }

    fn description(&self) -> &'static str {
        "RISC-V VirtIO board"
    }

    fn arch(&self) -> Arch {
        Arch::Riscv64
    }

    fn max_cpus(&self) -> u32 {
        512
    }

    fn ram_range(&self) -> (u64, u64) {
        (MIB, 1 << 40)
    }

    fn default_model(&self) -> &'static str {
        "rv64"
    }

    fn timebase_hz(&self) -> u64 {
        TIMEBASE_HZ
    }

    fn populate(&self, a: &mut Assembly) -> Result<(), MachineError> {
        a.add_rom("mrom", MROM, MROM_LEN)?;
        a.add_ram("ram", DRAM, a.config.ram)?;
        for e in DEVICES {
            (e.install)(e, a)?;
        }
        Ok(())
    }

    fn boot(&self, a: &mut Assembly) -> Result<(), MachineError> {
        let end = DRAM + a.config.ram;
        // Firmware, and where the kernel goes: at the start of RAM without firmware in the guest's memory below it, else 2 MiB aligned behind.
        let mut firmware_start = None;
        let mut kernel_base = DRAM + 2 * MIB;
        match a.config.bios.take().unwrap_or_default() {
            Bios::Builtin => {}
            Bios::None => kernel_base = DRAM,
            Bios::File(source) => {
                let (name, image) = open(a, "firmware", source)?;
                let (entry, last) = a.load_image(&name, &image, DRAM)?;
                firmware_start = Some((entry, name));
                kernel_base = last.max(DRAM + 1).next_multiple_of(2 * MIB);
            }
        }
        let builtin = firmware_start.is_none() && kernel_base != DRAM;
        let mut kernel = None;
        let mut used = kernel_base;
        if let Some(source) = a.config.kernel.take() {
            let (name, image) = open(a, "kernel", source)?;
            let (entry, last) = a.load_image(&name, &image, kernel_base)?;
            kernel = Some(entry);
            used = last;
        } else if a.config.flash_boots {
            // Code in the first bank: firmware of its own with `-bios none`, else what the firmware starts.
            kernel = Some(FLASH);
        } else if builtin {
            return Err(MachineError::config(
                "there is nothing to run: give a kernel with -kernel, or firmware with -bios",
            ));
        } else if firmware_start.is_none() {
            return Err(MachineError::config(
                "there is nothing to run: -bios none needs a kernel with -kernel",
            ));
        }
        // The initial RAM disk is out of the way of a kernel that unpacks itself: half of RAM or 512 MiB behind it.
        let mut initrd = None;
        if let Some(source) = a.config.initrd.take() {
            let name = source.name("initial RAM disk");
            let data = source.read("initial RAM disk")?;
            if !data.is_empty() {
                let wished = (kernel_base + (a.config.ram / 2).min(512 * MIB))
                    .max(used)
                    .next_multiple_of(4096);
                // A large one in little RAM goes right behind the kernel instead.
                let room = end.min(FDT_LIMIT.max(end)).saturating_sub(wished);
                let at = if room > data.len() as u64 + 4 * MIB {
                    wished
                } else {
                    used.next_multiple_of(4096)
                };
                initrd = Some((at, at + data.len() as u64));
                a.load_bytes(&name, at, data)?;
            }
        }
        let mut fdt = match a.config.dtb.take() {
            Some(source) => Fdt::from_bytes(&source.read("device tree")?)?,
            None => generate(a)?,
        };
        riscv_fdt::set_memory(&mut fdt, DRAM, a.config.ram);
        let chosen = Chosen {
            cmdline: a.config.cmdline.clone(),
            initrd,
            stdout: None,
            seed: rng_seed(a),
        };
        chosen.apply(&mut fdt);
        let fdt = fdt.to_bytes();
        let fdt_at = (end.min(FDT_LIMIT) - (fdt.len() as u64).min(a.config.ram)) & !(2 * MIB - 1);
        let fdt_at = fdt_at.max(DRAM);
        a.load_bytes("the device tree", fdt_at, fdt.clone())?;
        a.fdt = Some(fdt);
        let start = match (&firmware_start, kernel) {
            (Some((entry, _)), _) => *entry,
            (None, Some(kernel)) => kernel,
            (None, None) => DRAM,
        };
        a.load_bytes(
            "the reset vector",
            MROM,
            reset_vector(start, fdt_at, kernel.unwrap_or(0)),
        )?;
        if builtin {
            let sbi = a.sbi(
                Box::new(UartConsole::new(a.space.clone(), Gpa(UART))),
                TIMEBASE_HZ,
            )?;
            a.set_firmware(sbi);
            // The other harts wait for the kernel to start them.
            a.starts[0] = Start::Kernel {
                pc: start,
                opaque: fdt_at,
            };
        } else {
            a.starts.fill(Start::Reset { pc: MROM });
        }
        Ok(())
    }
}
