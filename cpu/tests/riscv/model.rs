//! Models and their spellings.

use ambidex_cpu::riscv::{Ext, Model};
use ambidex_cpu::{Arch, CpuModel, ModelError};

fn model(text: &str) -> Model {
    text.parse().unwrap()
}

#[test]
fn every_named_model_is_consistent() {
    for name in Model::names() {
        let m = model(name);
        assert_eq!(m.name(), name);
        assert_eq!(m.with_extensions(m.extensions()), Ok(m), "{name}");
        assert!(
            m.isa_string().starts_with("rv64imafdc_"),
            "{}",
            m.isa_string()
        );
        let list = m.isa_extensions();
        let joined: Vec<_> = m.isa_string()[10..]
            .split('_')
            .skip(1)
            .map(str::to_owned)
            .collect();
        assert_eq!(list[6..], joined);
        assert!(
            list.iter()
                .all(|n| Ext::by_name(n).is_some() && !n.starts_with("sv4"))
        );
    }
}

#[test]
fn strings_for_the_device_tree() {
    let m = model("sifive-u54");
    assert_eq!(
        m.isa_string(),
        "rv64imafdc_zicntr_zicsr_zifencei_zihpm_zmmul_zaamo_zalrsc_zca_zcd"
    );
    assert_eq!(m.mmu_type(), Some("riscv,sv39"));
    assert_eq!(model("rv64").mmu_type(), Some("riscv,sv57"));
    assert_eq!(model("rv64,sv57=off").mmu_type(), Some("riscv,sv48"));
    assert_eq!(model("rv64,mmu=off").mmu_type(), None);
}

#[test]
fn spellings() {
    let base = model("sifive-u54");
    for text in ["+zbb", "zbb=on", "zbb=true", "zbb", "+ZBB", " zbb=on "] {
        assert_eq!(
            model(&format!("sifive-u54,{text}")).extensions(),
            base.extensions() | Ext::ZBB
        );
    }
    let rv64 = model("rv64");
    for text in ["-zbb", "zbb=off", "zbb=false"] {
        assert_eq!(
            model(&format!("rv64,{text}")).extensions(),
            rv64.extensions() - Ext::ZBB
        );
    }
    assert_eq!(model("rv64,zbb=off,+zbb"), rv64);
    let b = model("sifive-u54,+b").extensions() - base.extensions();
    assert_eq!(b, Ext::ZBA | Ext::ZBB | Ext::ZBS);
}

#[test]
fn dependencies() {
    let m = model("sifive-u54,c=off,+zcb");
    assert!(m.has(Ext::ZCA | Ext::ZCB) && !m.has(Ext::C) && !m.has(Ext::ZCD));
    assert!(model("sifive-u54,+sv57").has(Ext::SV48));
    assert!(model("sifive-u54,+zfh").has(Ext::ZFHMIN));
    let error = "sifive-u54,f=off".parse::<Model>().unwrap_err();
    assert_eq!(
        error,
        ModelError::Missing {
            feature: "d".into(),
            needs: "f".into()
        }
    );
    assert!(error.to_string().contains("+f"));
    assert!("rv64,s=off".parse::<Model>().is_err());
    assert!("rv64,zicsr=off".parse::<Model>().is_err());
    let no_vm = model("rva22s64,mmu=off");
    assert!(!no_vm.has(Ext::SV39) && !no_vm.has(Ext::SVPBMT) && no_vm.has(Ext::S));
}

#[test]
fn errors_name_the_thing() {
    for (text, word) in [
        ("pdp11", "pdp11"),
        ("rv64,+zqq", "zqq"),
        ("rv64,zbb=maybe", "zbb=maybe"),
        ("", "rv64"),
    ] {
        let message = text.parse::<Model>().unwrap_err().to_string();
        assert!(message.contains(word), "{message}");
    }
    assert!(matches!(
        "rv64,+v".parse::<Model>(),
        Err(ModelError::Unsupported(_))
    ));
    assert!(matches!(
        "rv64,+h".parse::<Model>(),
        Err(ModelError::Unsupported(_))
    ));
    assert!(CpuModel::parse(Arch::Ppc64, "power9").is_err());
    let m = CpuModel::parse(Arch::Riscv64, "rv64,+zicond").unwrap();
    assert_eq!(m.arch(), Arch::Riscv64);
}

#[test]
fn restricting_to_what_an_accelerator_has() {
    let m = model("max");
    let supported = Ext::all() - Ext::ZFHMIN - Ext::F;
    let r = m.restrict(supported);
    for gone in [Ext::F, Ext::D, Ext::ZFH, Ext::ZCD, Ext::ZFA] {
        assert!(!r.has(gone));
    }
    assert!(r.has(Ext::C | Ext::ZBA) && r.require(supported).is_ok());
    assert_eq!(r.with_extensions(r.extensions()), Ok(r));
    assert!(
        m.require(supported)
            .unwrap_err()
            .to_string()
            .contains("zfhmin")
    );
}
