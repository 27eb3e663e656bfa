use super::*;
use proptest::prelude::*;
use std::io::Write as _;
use std::process::{Command, Stdio};

fn sample() -> Fdt {
    let mut fdt = Fdt {
        reserved: vec![(0x1000, 0x2000)],
        boot_cpu: 1,
        ..Fdt::default()
    };
    fdt.root
        .set_cells("#address-cells", &[2])
        .set_strings("compatible", &["a,b", "c"])
        .set_flag("flag")
        .set("odd", [1, 2, 3, 4, 5]);
    let child = fdt.root.child_mut("soc");
    child.set_u64s("reg", &[0x1_0000_0000, 8]);
    child.add(Node::new("uart@10")).set_string("status", "okay");
    fdt.root.child_mut("chosen");
    fdt
}

#[test]
fn a_tree_survives_the_round_trip() {
    let fdt = sample();
    let bytes = fdt.to_bytes();
    assert_eq!(Fdt::from_bytes(&bytes), Ok(fdt.clone()));
    let mut longer = bytes.clone();
    longer.extend([0xff; 9]);
    assert_eq!(Fdt::from_bytes(&longer), Ok(fdt.clone()));
    assert_eq!(
        fdt.node("/soc/uart@10").unwrap().string("status"),
        Some("okay")
    );
    assert_eq!(fdt.node("/").unwrap().u32("#address-cells"), Some(2));
    assert!(fdt.node("/soc/none").is_none());
}

#[test]
fn errors_name_what_is_wrong() {
    let bytes = sample().to_bytes();
    assert_eq!(Fdt::from_bytes(b"hello"), Err(FdtError::Magic));
    let mut old = bytes.clone();
    old[23] = 3;
    assert_eq!(
        Fdt::from_bytes(&old),
        Err(FdtError::Version {
            version: 3,
            compatible: 16
        })
    );
    let mut huge = bytes.clone();
    huge[4] = 0x7f;
    assert!(matches!(Fdt::from_bytes(&huge), Err(FdtError::TooBig(_))));
    for cut in 0..bytes.len() {
        assert!(Fdt::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    let mut deep = Fdt::default();
    let mut node = Node::new("n");
    for _ in 0..MAX_DEPTH {
        let mut outer = Node::new("n");
        outer.add(node);
        node = outer;
    }
    deep.root.add(node);
    assert!(matches!(
        Fdt::from_bytes(&deep.to_bytes()),
        Err(FdtError::TooBig(_))
    ));
}

/// Source text with formatting, number format and phandle-independent differences taken out: one property or node a line.
fn lines(source: &str) -> Vec<String> {
    source
        .lines()
        .map(|l| l.trim().replace("\\0", "\", \""))
        .filter(|l| !l.is_empty())
        .collect()
}

#[test]
fn dtc_reads_the_generated_trees() {
    let (machine, _) = crate::fake::idle(2, "rv64");
    let generated = machine.device_tree().unwrap().to_vec();
    for bytes in [sample().to_bytes(), generated] {
        let dtc = Command::new("dtc")
            .args(["-q", "-I", "dtb", "-O", "dts", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut dtc = match dtc {
            Ok(dtc) => dtc,
            Err(e) => {
                eprintln!("skipped: dtc cannot be run ({e}); install device-tree-compiler");
                return;
            }
        };
        dtc.stdin.take().unwrap().write_all(&bytes).unwrap();
        let out = dtc.wait_with_output().unwrap();
        assert!(out.status.success());
        let theirs = String::from_utf8(out.stdout).unwrap();
        let fdt = Fdt::from_bytes(&bytes).unwrap();
        // Names of nodes and properties in order, which is what both print alike.
        let names = |text: &str| -> Vec<String> {
            lines(text)
                .iter()
                .filter(|l| !l.starts_with('/') || l.starts_with("/ "))
                .map(|l| {
                    l.split([' ', '=', ';'])
                        .next()
                        .unwrap_or_default()
                        .to_owned()
                        + if l.ends_with('{') { " {" } else { "" }
                })
                .collect()
        };
        assert_eq!(names(&fdt.to_source()), names(&theirs));
    }
}

#[test]
fn the_virt_tree_has_what_kernels_look_for() {
    let (machine, _) = crate::fake::idle(3, "rv64");
    let fdt = Fdt::from_bytes(machine.device_tree().unwrap()).unwrap();
    let node = |path: &str| {
        fdt.node(path)
            .unwrap_or_else(|| panic!("{path} is missing"))
    };
    assert_eq!(node("/cpus").u32("timebase-frequency"), Some(10_000_000));
    for cpu in 0..3 {
        let cpu = node(&format!("/cpus/cpu@{cpu}"));
        assert!(cpu.string("riscv,isa").unwrap().starts_with("rv64imafdc"));
        assert_eq!(cpu.string("mmu-type"), Some("riscv,sv57"));
        assert!(
            cpu.child("interrupt-controller")
                .unwrap()
                .u32("phandle")
                .is_some()
        );
    }
    let plic = node("/soc/plic@c000000");
    assert_eq!(plic.prop("interrupts-extended").unwrap().len(), 3 * 2 * 8);
    let uart = node("/soc/serial@10000000");
    assert_eq!(uart.u32("interrupt-parent"), plic.u32("phandle"));
    assert_eq!(uart.u32("interrupts"), Some(10));
    assert_eq!(
        node("/poweroff").u32("regmap"),
        node("/soc/test@100000").u32("phandle")
    );
    assert_eq!(
        node("/chosen").string("stdout-path"),
        Some("/soc/serial@10000000")
    );
    assert_eq!(node("/chosen").prop("rng-seed").unwrap().len(), 32);
    assert_eq!(
        node("/memory@80000000").prop("reg").unwrap()[8..],
        (64u64 << 20).to_be_bytes()
    );
    for n in 1..=8 {
        assert_eq!(
            node(&format!("/soc/virtio_mmio@1000{n}000")).u32("interrupts"),
            Some(n)
        );
    }
}

#[test]
fn a_given_tree_is_filled_in() {
    let mut given = Fdt::default();
    given.root.child_mut("memory@0").set_u64s("reg", &[0, 1]);
    given
        .root
        .child_mut("chosen")
        .set_string("bootargs", "old")
        .set_string("stdout-path", "/mine")
        .set_u64s("linux,initrd-start", &[5]);
    let accel = crate::fake::FakeAccel::idle();
    let machine = crate::fake::builder(1)
        .dtb(given.to_bytes())
        .cmdline("new")
        .initrd(vec![1; 5000])
        .build(&accel)
        .unwrap();
    let fdt = Fdt::from_bytes(machine.device_tree().unwrap()).unwrap();
    let chosen = fdt.node("/chosen").unwrap();
    assert_eq!(
        (chosen.string("bootargs"), chosen.string("stdout-path")),
        (Some("new"), Some("/mine"))
    );
    let at = |name: &str| u64::from_be_bytes(chosen.prop(name).unwrap().try_into().unwrap());
    assert_eq!(at("linux,initrd-end") - at("linux,initrd-start"), 5000);
    assert!(fdt.node("/memory@0").is_none() && fdt.node("/memory@80000000").is_some());
}

fn trees() -> impl Strategy<Value = Node> {
    let prop = ("[a-z,#-]{1,12}", prop::collection::vec(any::<u8>(), 0..20))
        .prop_map(|(name, value)| Prop { name, value });
    let leaf =
        ("[a-z@0-9]{1,12}", prop::collection::vec(prop, 0..5)).prop_map(|(name, props)| Node {
            name,
            props,
            children: Vec::new(),
        });
    leaf.prop_recursive(4, 30, 5, |inner| {
        ("[a-z]{1,8}", prop::collection::vec(inner, 0..5)).prop_map(|(name, children)| Node {
            name,
            children,
            props: Vec::new(),
        })
    })
}

proptest! {
    #[test]
    fn any_tree_survives_the_round_trip(mut root in trees()) {
        root.name.clear();
        let fdt = Fdt { root, ..Fdt::default() };
        prop_assert_eq!(Fdt::from_bytes(&fdt.to_bytes()), Ok(fdt));
    }

    #[test]
    fn damage_never_panics(at in 0usize..400, byte: u8, more in prop::collection::vec((0usize..400, any::<u8>()), 0..4)) {
        let mut bytes = sample().to_bytes();
        for (at, byte) in more.into_iter().chain([(at, byte)]) {
            if let Some(b) = bytes.get_mut(at) {
                *b = byte;
            }
        }
        if let Ok(fdt) = Fdt::from_bytes(&bytes) {
            let _ = fdt.to_source();
            let _ = fdt.to_bytes();
        }
    }

    #[test]
    fn noise_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Fdt::from_bytes(&bytes);
        if bytes.len() >= 4 {
            bytes[..4].copy_from_slice(&MAGIC.to_be_bytes());
            let _ = Fdt::from_bytes(&bytes);
        }
    }
}
