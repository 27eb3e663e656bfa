//! CPU models: named extension sets, changed with `+ext`, `-ext`, `ext=on`, `ext=off`.

use super::ext::Ext;
use crate::{Arch, ModelError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A RISC-V CPU model. A small value: every [`super::Hart`] carries its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Saved", try_from = "Saved")]
pub struct Model {
    base: &'static Base,
    extensions: Ext,
}

/// What a named model starts from.
#[derive(Debug, PartialEq, Eq)]
struct Base {
    name: &'static str,
    extensions: Ext,
    vendor: u64,
    arch: u64,
    imp: u64,
    pmp_entries: u8,
    asid_bits: u8,
}

const GC: Ext = Ext::I
    .union(Ext::M)
    .union(Ext::ZMMUL)
    .union(Ext::A)
    .union(Ext::ZAAMO)
    .union(Ext::ZALRSC)
    .union(Ext::F)
    .union(Ext::D)
    .union(Ext::C)
    .union(Ext::ZCA)
    .union(Ext::ZCD)
    .union(Ext::ZICSR)
    .union(Ext::ZIFENCEI)
    .union(Ext::ZICNTR)
    .union(Ext::ZIHPM)
    .union(Ext::U)
    .union(Ext::S)
    .union(Ext::SV39)
    .union(Ext::PMP);

const RV64: Ext = GC
    .union(Ext::ZBA)
    .union(Ext::ZBB)
    .union(Ext::ZBC)
    .union(Ext::ZBS)
    .union(Ext::ZFA)
    .union(Ext::ZAWRS)
    .union(Ext::ZICBOM)
    .union(Ext::ZICBOP)
    .union(Ext::ZICBOZ)
    .union(Ext::ZICCLSM)
    .union(Ext::ZIHINTNTL)
    .union(Ext::ZIHINTPAUSE)
    .union(Ext::SSTC)
    .union(Ext::SVADU)
    .union(Ext::SVVPTC)
    .union(Ext::SV48)
    .union(Ext::SV57);

const RVA22S64: Ext = GC
    .union(Ext::ZICCLSM)
    .union(Ext::ZA64RS)
    .union(Ext::ZIHINTPAUSE)
    .union(Ext::ZBA)
    .union(Ext::ZBB)
    .union(Ext::ZBS)
    .union(Ext::ZICBOM)
    .union(Ext::ZICBOP)
    .union(Ext::ZICBOZ)
    .union(Ext::ZFHMIN)
    .union(Ext::ZKT)
    .union(Ext::SVADE)
    .union(Ext::SVPBMT)
    .union(Ext::SVINVAL)
    .union(Ext::SVNAPOT)
    .union(Ext::SSTC);

const MAX: Ext = RV64
    .union(RVA22S64)
    .difference(Ext::SVADE)
    .union(Ext::ZAMA16B)
    .union(Ext::ZICOND)
    .union(Ext::ZIMOP)
    .union(Ext::ZCMOP)
    .union(Ext::ZCB)
    .union(Ext::ZABHA)
    .union(Ext::ZACAS)
    .union(Ext::ZFH)
    .union(Ext::ZBKB)
    .union(Ext::ZBKC)
    .union(Ext::ZBKX)
    .union(Ext::ZKND)
    .union(Ext::ZKNE)
    .union(Ext::ZKNH)
    .union(Ext::ZKSED)
    .union(Ext::ZKSH)
    .union(Ext::SMSTATEEN)
    .union(Ext::SSSTATEEN)
    .union(Ext::SSCOFPMF);

/// The models. Vendor id 0 says "not a commercial implementation", architecture id 0 "not
/// registered"; `sifive-u54` has SiFive's JEDEC number and the id of its core series, since
/// firmware selects errata by them.
static MODELS: [Base; 5] = [
    Base {
        name: "rv64",
        extensions: RV64,
        vendor: 0,
        arch: 0,
        imp: 0,
        pmp_entries: 16,
        asid_bits: 16,
    },
    Base {
        name: "max",
        extensions: MAX,
        vendor: 0,
        arch: 0,
        imp: 0,
        pmp_entries: 16,
        asid_bits: 16,
    },
    Base {
        name: "rva22s64",
        extensions: RVA22S64,
        vendor: 0,
        arch: 0,
        imp: 0,
        pmp_entries: 16,
        asid_bits: 16,
    },
    Base {
        name: "sifive-u54",
        extensions: GC,
        vendor: 0x489,
        arch: 1,
        imp: 0,
        pmp_entries: 8,
        asid_bits: 0,
    },
    Base {
        name: "spike",
        extensions: GC.union(Ext::SV48),
        vendor: 0,
        arch: 5,
        imp: 0,
        pmp_entries: 16,
        asid_bits: 16,
    },
];

/// How a model is saved.
#[derive(Serialize, Deserialize)]
struct Saved {
    name: String,
    extensions: Vec<String>,
}

impl From<Model> for Saved {
    fn from(m: Model) -> Saved {
        Saved {
            name: m.name().to_owned(),
            extensions: m.extensions.names().map(str::to_owned).collect(),
        }
    }
}

impl TryFrom<Saved> for Model {
    type Error = ModelError;

    fn try_from(saved: Saved) -> Result<Model, ModelError> {
        let mut extensions = Ext::empty();
        for name in &saved.extensions {
            extensions |= feature(name)?;
        }
        Model::named(&saved.name)?.with_extensions(extensions)
    }
}

fn feature(name: &str) -> Result<Ext, ModelError> {
    Ext::by_name(name).ok_or_else(|| ModelError::UnknownFeature {
        arch: Arch::Riscv64,
        name: name.to_owned(),
    })
}

impl Default for Model {
    fn default() -> Model {
        Model {
            base: &MODELS[0],
            extensions: MODELS[0].extensions,
        }
    }
}

impl Model {
    /// Names of all models.
    pub fn names() -> impl Iterator<Item = &'static str> {
        MODELS.iter().map(|m| m.name)
    }

    /// The model called `name`.
    pub fn named(name: &str) -> Result<Model, ModelError> {
        MODELS
            .iter()
            .find(|m| m.name == name)
            .map(|base| Model {
                base,
                extensions: base.extensions,
            })
            .ok_or_else(|| ModelError::UnknownModel {
                arch: Arch::Riscv64,
                name: name.to_owned(),
                known: Model::names().collect::<Vec<_>>().join(", "),
            })
    }

    /// The same model with another set of extensions. They must have what they depend on, and
    /// those without which nothing runs (`i`, `zicsr`) must be there.
    pub fn with_extensions(self, extensions: Ext) -> Result<Model, ModelError> {
        if !extensions.contains(Ext::I | Ext::ZICSR) {
            return Err(ModelError::Missing {
                feature: self.name().to_owned(),
                needs: "i` and `zicsr".to_owned(),
            });
        }
        if let Some((feature, needs)) = extensions.missing() {
            return Err(ModelError::Missing {
                feature: feature.to_owned(),
                needs,
            });
        }
        if let absent = extensions & (Ext::V | Ext::H)
            && !absent.is_empty()
        {
            return Err(ModelError::Unsupported(
                absent.names().collect::<Vec<_>>().join(", "),
            ));
        }
        Ok(Model { extensions, ..self })
    }

    /// The model without what is not in `supported`, and without what depends on that.
    pub fn restrict(self, supported: Ext) -> Model {
        let extensions = self.extensions.without(self.extensions - supported);
        Model { extensions, ..self }
    }

    /// An error naming the extensions that are not in `supported`, if there are any.
    pub fn require(self, supported: Ext) -> Result<(), ModelError> {
        let absent = self.extensions - supported;
        if absent.is_empty() {
            Ok(())
        } else {
            Err(ModelError::Unsupported(
                absent.names().collect::<Vec<_>>().join(", "),
            ))
        }
    }

    /// The name of the model it started from.
    pub fn name(&self) -> &'static str {
        self.base.name
    }

    /// Its extensions.
    #[inline]
    pub fn extensions(&self) -> Ext {
        self.extensions
    }

    /// Whether all of `ext` are there.
    #[inline]
    pub fn has(&self, ext: Ext) -> bool {
        self.extensions.contains(ext)
    }

    /// `mvendorid`, `marchid`, `mimpid`.
    pub fn ids(&self) -> (u64, u64, u64) {
        (self.base.vendor, self.base.arch, self.base.imp)
    }

    /// PMP entries, 0 to 16.
    pub fn pmp_entries(&self) -> usize {
        if self.has(Ext::PMP) {
            self.base.pmp_entries.into()
        } else {
            0
        }
    }

    /// Width of an address-space identifier, 0 to 16.
    pub fn asid_bits(&self) -> u32 {
        self.base.asid_bits.into()
    }

    /// `misa`: 64-bit, and the extensions that have a letter.
    pub fn misa(&self) -> u64 {
        let mut misa = 2 << 62;
        let letters = [
            (Ext::A, b'a'),
            (Ext::ZBA.union(Ext::ZBB).union(Ext::ZBS), b'b'),
            (Ext::C, b'c'),
            (Ext::D, b'd'),
            (Ext::F, b'f'),
            (Ext::H, b'h'),
            (Ext::I, b'i'),
            (Ext::M, b'm'),
            (Ext::S, b's'),
            (Ext::U, b'u'),
            (Ext::V, b'v'),
        ];
        for (ext, letter) in letters {
            if self.has(ext) {
                misa |= 1 << (letter - b'a');
            }
        }
        misa
    }

    /// The device tree's `riscv,isa`, such as `rv64imafdc_zicsr_zifencei`.
    pub fn isa_string(&self) -> String {
        let mut isa = String::from("rv64");
        for name in self.extensions.isa_names() {
            if name.len() > 1 {
                isa.push('_');
            }
            isa.push_str(name);
        }
        isa
    }

    /// The device tree's `riscv,isa-extensions`.
    pub fn isa_extensions(&self) -> Vec<&'static str> {
        self.extensions.isa_names().collect()
    }

    /// The device tree's `mmu-type`, or `None` without translation.
    pub fn mmu_type(&self) -> Option<&'static str> {
        [
            (Ext::SV57, "riscv,sv57"),
            (Ext::SV48, "riscv,sv48"),
            (Ext::SV39, "riscv,sv39"),
        ]
        .into_iter()
        .find(|s| self.has(s.0))
        .map(|s| s.1)
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.isa_string())
    }
}

/// `NAME[,FEATURE]…` with features `+ext`, `-ext`, `ext=on`, `ext=off`, `ext=true`, `ext=false`,
/// or a bare `ext`.
/// Switching one on brings what it depends on.
impl FromStr for Model {
    type Err = ModelError;

    fn from_str(text: &str) -> Result<Model, ModelError> {
        let mut parts = text.split(',').map(str::trim);
        let model = Model::named(parts.next().unwrap_or_default())?;
        let mut set = model.extensions;
        for part in parts.filter(|p| !p.is_empty()) {
            let unknown = || ModelError::UnknownFeature {
                arch: Arch::Riscv64,
                name: part.to_owned(),
            };
            let (name, on) = if let Some(name) = part.strip_prefix('+') {
                (name, true)
            } else if let Some(name) = part.strip_prefix('-') {
                (name, false)
            } else if let Some((name, value)) = part.split_once('=') {
                match value {
                    "on" | "true" => (name, true),
                    "off" | "false" => (name, false),
                    _ => return Err(unknown()),
                }
            } else {
                (part, true)
            };
            let ext = Ext::by_name(name).ok_or_else(unknown)?;
            if on {
                set |= ext.with_dependencies();
            } else if name.eq_ignore_ascii_case("mmu") {
                set = set.without(Ext::SV39);
            } else {
                set -= ext;
                // Parts of a letter go with it; `c` and `d` together made `zcd`.
                if ext == Ext::C {
                    set -= Ext::ZCA | Ext::ZCD;
                } else if ext == Ext::D {
                    set -= Ext::ZCD;
                } else if ext == Ext::A {
                    set -= Ext::ZAAMO | Ext::ZALRSC;
                }
            }
        }
        if set.contains(Ext::C | Ext::D) {
            set |= Ext::ZCD;
        }
        model.with_extensions(set)
    }
}
