//! Device-tree nodes that RISC-V boards have in common.
//!
//! Bindings: `riscv/cpus.yaml`, `riscv/extensions.yaml`, `timer/sifive,clint.yaml`, `interrupt-controller/sifive,plic-1.0.0.yaml`,
//! and chapter 3 of the Devicetree Specification.

use crate::fdt::{Fdt, Node};
use ambidex_cpu::riscv::{Ext, Model};

/// Interrupts of a hart as its local controller numbers them (`scause`).
pub(crate) const SOFT: u32 = 3;
pub(crate) const TIMER: u32 = 7;
pub(crate) const EXTERNAL_S: u32 = 9;
pub(crate) const EXTERNAL_M: u32 = 11;

/// What the operating system is told in `/chosen`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chosen {
    pub(crate) cmdline: String,
    pub(crate) initrd: Option<(u64, u64)>,
    pub(crate) stdout: Option<String>,
    pub(crate) seed: Vec<u8>,
}

impl Chosen {
    /// Fills in `/chosen`. What the tree already says about the console and the command line stays unless something else was asked for.
    pub(crate) fn apply(&self, fdt: &mut Fdt) {
        let chosen = fdt.root.child_mut("chosen");
        if !self.cmdline.is_empty() {
            chosen.set_string("bootargs", &self.cmdline);
        }
        if let Some(path) = &self.stdout
            && chosen.prop("stdout-path").is_none()
        {
            chosen.set_string("stdout-path", path);
        }
        if !self.seed.is_empty() {
            chosen.set("rng-seed", self.seed.clone());
        }
        chosen.remove("linux,initrd-start");
        chosen.remove("linux,initrd-end");
        if let Some((start, end)) = self.initrd {
            chosen.set_u64s("linux,initrd-start", &[start]);
            chosen.set_u64s("linux,initrd-end", &[end]);
        }
    }
}

/// Replaces the memory nodes by one for `len` bytes at `at`.
pub(crate) fn set_memory(fdt: &mut Fdt, at: u64, len: u64) {
    fdt.root
        .children
        .retain(|c| c.name != "memory" && !c.name.starts_with("memory@"));
    let mut memory = Node::new(format!("memory@{at:x}"));
    memory
        .set_string("device_type", "memory")
        .set_u64s("reg", &[at, len]);
    let before = fdt
        .root
        .children
        .iter()
        .position(|c| c.name == "cpus")
        .unwrap_or(fdt.root.children.len());
    fdt.root.children.insert(before, memory);
}

/// Numbers handed out to nodes that others refer to.
#[derive(Debug)]
pub(crate) struct Phandles(u32);

impl Phandles {
    pub(crate) fn new() -> Phandles {
        Phandles(0)
    }

    pub(crate) fn next(&mut self) -> u32 {
        self.0 += 1;
        self.0
    }
}

/// `/cpus`, and the phandles of the harts' interrupt controllers.
pub(crate) fn cpus(
    model: &Model,
    count: u32,
    timebase_hz: u64,
    phandles: &mut Phandles,
) -> (Node, Vec<u32>) {
    let mut cpus = Node::new("cpus");
    cpus.set_cells("#address-cells", &[1])
        .set_cells("#size-cells", &[0])
        .set_cells("timebase-frequency", &[timebase_hz as u32]);
    let mut controllers = Vec::new();
    let mut cluster = Node::new("cluster0");
    for n in 0..count {
        let (cpu_handle, controller) = (phandles.next(), phandles.next());
        controllers.push(controller);
        let mut cpu = Node::new(format!("cpu@{n:x}"));
        cpu.set_cells("phandle", &[cpu_handle])
            .set_string("device_type", "cpu")
            .set_cells("reg", &[n])
            .set_string("status", "okay")
            .set_string("compatible", "riscv");
        for (ext, name) in [
            (Ext::ZICBOM, "riscv,cbom-block-size"),
            (Ext::ZICBOP, "riscv,cbop-block-size"),
            (Ext::ZICBOZ, "riscv,cboz-block-size"),
        ] {
            if model.has(ext) {
                cpu.set_cells(name, &[64]);
            }
        }
        cpu.set_string("riscv,isa-base", "rv64i")
            .set_strings("riscv,isa-extensions", &model.isa_extensions())
            .set_string("riscv,isa", &model.isa_string());
        if let Some(mmu) = model.mmu_type() {
            cpu.set_string("mmu-type", mmu);
        }
        let mut local = Node::new("interrupt-controller");
        local
            .set_cells("#interrupt-cells", &[1])
            .set_flag("interrupt-controller")
            .set_string("compatible", "riscv,cpu-intc")
            .set_cells("phandle", &[controller]);
        cpu.add(local);
        cpus.add(cpu);
        let mut core = Node::new(format!("core{n}"));
        core.set_cells("cpu", &[cpu_handle]);
        cluster.add(core);
    }
    let mut map = Node::new("cpu-map");
    map.add(cluster);
    cpus.add(map);
    (cpus, controllers)
}

/// `interrupts-extended`: the given local interrupts of every hart.
pub(crate) fn interrupts_of(controllers: &[u32], interrupts: &[u32]) -> Vec<u32> {
    controllers
        .iter()
        .flat_map(|c| interrupts.iter().flat_map(|i| [*c, *i]))
        .collect()
}
