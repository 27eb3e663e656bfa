//! Extension names and what they depend on.

/// How an extension shows up in descriptions of the hart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// In the ISA string and the extension list.
    Isa,
    /// Not an ISA name in the device tree: modes, translation schemes, PMP.
    Internal,
}
use Kind::{Internal, Isa};

macro_rules! extensions {
    ($($(#[doc = $doc:literal])* $bit:literal $id:ident $name:literal $kind:ident [$($dep:ident)*];)*) => {
        bitflags::bitflags! {
            /// A set of extensions. Bit positions are not stable; saved states use names.
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
            pub struct Ext: u128 {
                $($(#[doc = $doc])* const $id = 1 << $bit;)*
            }
        }
        /// Every extension in the order of the ISA string.
        const TABLE: &[(Ext, &str, Kind, Ext)] = &[
            $((Ext::$id, $name, $kind, Ext::empty()$(.union(Ext::$dep))*),)*
        ];
    };
}

extensions! {
    /// Base integer instructions.
    0 I "i" Isa [];
    /// Multiplication and division.
    1 M "m" Isa [];
    /// Atomics.
    2 A "a" Isa [ZAAMO ZALRSC];
    /// Single-precision floating point.
    3 F "f" Isa [ZICSR];
    /// Double-precision floating point.
    4 D "d" Isa [F];
    /// Compressed instructions.
    5 C "c" Isa [ZCA];
    /// Vector.
    6 V "v" Isa [D];
    /// Hypervisor.
    7 H "h" Isa [S SV39];
    /// Cache-block management.
    10 ZICBOM "zicbom" Isa [];
    /// Cache-block prefetch.
    11 ZICBOP "zicbop" Isa [];
    /// Cache-block zero.
    12 ZICBOZ "zicboz" Isa [];
    /// Main memory supports misaligned loads and stores.
    13 ZICCLSM "zicclsm" Isa [];
    /// Base counters and timers.
    14 ZICNTR "zicntr" Isa [ZICSR];
    /// Integer conditional operations.
    15 ZICOND "zicond" Isa [];
    /// CSR instructions.
    16 ZICSR "zicsr" Isa [];
    /// `fence.i`.
    17 ZIFENCEI "zifencei" Isa [];
    /// Non-temporal hints.
    18 ZIHINTNTL "zihintntl" Isa [];
    /// `pause`.
    19 ZIHINTPAUSE "zihintpause" Isa [];
    /// Hardware performance counters.
    20 ZIHPM "zihpm" Isa [ZICSR];
    /// May-be-operations.
    21 ZIMOP "zimop" Isa [];
    /// Multiplication alone.
    22 ZMMUL "zmmul" Isa [];
    /// Reservation sets of at most 64 bytes.
    23 ZA64RS "za64rs" Isa [];
    /// Atomic memory operations.
    24 ZAAMO "zaamo" Isa [];
    /// Byte and halfword atomics.
    25 ZABHA "zabha" Isa [ZAAMO];
    /// Compare and swap.
    26 ZACAS "zacas" Isa [ZAAMO];
    /// Load-reserved and store-conditional.
    27 ZALRSC "zalrsc" Isa [];
    /// Misaligned atomics within 16 bytes.
    28 ZAMA16B "zama16b" Isa [];
    /// Waiting on a reservation.
    29 ZAWRS "zawrs" Isa [ZALRSC];
    /// Additional floating point.
    30 ZFA "zfa" Isa [F];
    /// Half precision.
    31 ZFH "zfh" Isa [ZFHMIN];
    /// Half precision, conversions only.
    32 ZFHMIN "zfhmin" Isa [F];
    /// Compressed instructions without floating point.
    33 ZCA "zca" Isa [];
    /// More compressed instructions.
    34 ZCB "zcb" Isa [ZCA];
    /// Compressed double-precision loads and stores.
    35 ZCD "zcd" Isa [ZCA D];
    /// Compressed may-be-operations.
    36 ZCMOP "zcmop" Isa [ZCA ZIMOP];
    /// Address generation.
    37 ZBA "zba" Isa [];
    /// Basic bit manipulation.
    38 ZBB "zbb" Isa [];
    /// Carry-less multiplication.
    39 ZBC "zbc" Isa [];
    /// Bit manipulation for cryptography.
    40 ZBKB "zbkb" Isa [];
    /// Carry-less multiplication for cryptography.
    41 ZBKC "zbkc" Isa [];
    /// Crossbar permutation.
    42 ZBKX "zbkx" Isa [];
    /// Single-bit instructions.
    43 ZBS "zbs" Isa [];
    /// AES decryption.
    44 ZKND "zknd" Isa [];
    /// AES encryption.
    45 ZKNE "zkne" Isa [];
    /// SHA-2.
    46 ZKNH "zknh" Isa [];
    /// SM4.
    47 ZKSED "zksed" Isa [];
    /// SM3.
    48 ZKSH "zksh" Isa [];
    /// Data-independent execution latency.
    49 ZKT "zkt" Isa [];
    /// Total store ordering.
    50 ZTSO "ztso" Isa [];
    /// State-enable CSRs.
    60 SMSTATEEN "smstateen" Isa [ZICSR];
    /// State-enable CSRs, S-mode part.
    61 SSSTATEEN "ssstateen" Isa [];
    /// Counter overflow. The counters here never count, so none ever overflows.
    62 SSCOFPMF "sscofpmf" Isa [ZIHPM];
    /// `stimecmp`.
    63 SSTC "sstc" Isa [S];
    /// A clear accessed or dirty bit faults. Always so unless `menvcfg.ADUE` is set; listed beside
    /// Svadu it tells supervisors that firmware starts them that way.
    69 SVADE "svade" Isa [SV39];
    /// Accessed and dirty bits updated by hardware, on demand.
    64 SVADU "svadu" Isa [SV39];
    /// Fine-grained translation invalidation.
    65 SVINVAL "svinval" Isa [S];
    /// NAPOT translation contiguity.
    66 SVNAPOT "svnapot" Isa [SV39];
    /// Page-based memory types.
    67 SVPBMT "svpbmt" Isa [SV39];
    /// Newly valid entries become visible without a fence.
    68 SVVPTC "svvptc" Isa [SV39];
    /// User mode.
    80 U "u" Internal [];
    /// Supervisor mode.
    81 S "s" Internal [U];
    /// 39-bit virtual addresses.
    82 SV39 "sv39" Internal [S];
    /// 48-bit virtual addresses.
    83 SV48 "sv48" Internal [SV39];
    /// 57-bit virtual addresses.
    84 SV57 "sv57" Internal [SV48];
    /// Physical memory protection.
    85 PMP "pmp" Internal [];
}

/// Names that stand for several extensions.
const GROUPS: &[(&str, Ext)] = &[
    (
        "g",
        Ext::I
            .union(Ext::M)
            .union(Ext::A)
            .union(Ext::F)
            .union(Ext::D)
            .union(Ext::ZIFENCEI),
    ),
    ("b", Ext::ZBA.union(Ext::ZBB).union(Ext::ZBS)),
    ("mmu", Ext::SV39),
    (
        "zkn",
        Ext::ZBKB
            .union(Ext::ZBKC)
            .union(Ext::ZBKX)
            .union(Ext::ZKND)
            .union(Ext::ZKNE)
            .union(Ext::ZKNH),
    ),
    (
        "zks",
        Ext::ZBKB
            .union(Ext::ZBKC)
            .union(Ext::ZBKX)
            .union(Ext::ZKSED)
            .union(Ext::ZKSH),
    ),
];

impl Ext {
    /// The extension, or group of extensions, called `name` (any case).
    pub fn by_name(name: &str) -> Option<Ext> {
        let name = name.to_ascii_lowercase();
        let single = TABLE.iter().find(|e| e.1 == name).map(|e| e.0);
        single.or_else(|| GROUPS.iter().find(|g| g.0 == name).map(|g| g.1))
    }

    /// The set with everything it depends on.
    pub fn with_dependencies(mut self) -> Ext {
        loop {
            let mut next = self;
            for &(ext, _, _, needs) in TABLE {
                if next.contains(ext) {
                    next |= needs;
                }
            }
            if next.contains(Ext::C | Ext::D) {
                next |= Ext::ZCD;
            }
            if next == self {
                return self;
            }
            self = next;
        }
    }

    /// The set without `gone` and without everything that depends on it.
    pub(crate) fn without(mut self, gone: Ext) -> Ext {
        self -= gone;
        loop {
            let mut next = self;
            for &(ext, _, _, needs) in TABLE {
                if !next.contains(needs) {
                    next -= ext;
                }
            }
            if next == self {
                return self;
            }
            self = next;
        }
    }

    /// A member and what it depends on that is not a member, by name.
    pub(crate) fn missing(self) -> Option<(&'static str, String)> {
        TABLE
            .iter()
            .filter(|e| self.contains(e.0))
            .find_map(|&(_, name, _, needs)| {
                let absent = needs - self;
                (!absent.is_empty())
                    .then(|| (name, absent.names().collect::<Vec<_>>().join("` and `")))
            })
    }

    /// Names of the members in the order of the ISA string, modes and schemes last.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        TABLE
            .iter()
            .filter(move |e| self.contains(e.0))
            .map(|e| e.1)
    }

    /// Names of the members that belong into an ISA string.
    pub fn isa_names(self) -> impl Iterator<Item = &'static str> {
        TABLE
            .iter()
            .filter(move |e| e.2 == Kind::Isa && self.contains(e.0))
            .map(|e| e.1)
    }
}
