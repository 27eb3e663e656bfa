use super::compressed::unpack;
use super::*;
use ambidex_memory::{AddressSpace, Attrs, Gpa, RamBlock, RamOptions, Region};
use proptest::prelude::*;
use std::io::Write;
use std::sync::Arc;

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    e.write_all(data).unwrap();
    e.finish().unwrap()
}

fn zstd(data: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(data, ruzstd::encoding::CompressionLevel::Fastest)
}

fn zboot(payload: &[u8], kind: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 64];
    out[..2].copy_from_slice(b"MZ");
    out[4..8].copy_from_slice(b"zimg");
    out[8..12].copy_from_slice(&64u32.to_le_bytes());
    out[12..16].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    out[24..24 + kind.len()].copy_from_slice(kind);
    out.extend(payload);
    out
}

#[test]
fn wrappers_come_off() {
    let data: Vec<u8> = (0..50_000u32).map(|i| ((i * i) >> 7) as u8 | 1).collect();
    for packed in [
        data.clone(),
        gzip(&data),
        zstd(&data),
        zboot(&gzip(&data), b"gzip"),
        zboot(&zstd(&data), b"zstd22"),
        gzip(&gzip(&data)),
    ] {
        assert_eq!(unpack("k", packed, 1 << 20).as_ref(), Ok(&data));
    }
}

#[test]
fn bombs_and_cuts_are_errors() {
    let zeroes = vec![0; 4 << 20];
    for packed in [gzip(&zeroes), zstd(&zeroes), zeroes.clone()] {
        assert_eq!(
            unpack("k", packed, 1 << 20),
            Err(LoadError::TooLarge {
                file: "k".into(),
                limit: 1 << 20
            })
        );
    }
    let data = vec![7; 100_000];
    for packed in [gzip(&data), zstd(&data), zboot(&gzip(&data), b"gzip")] {
        for cut in [packed.len() / 2, packed.len() - 1, 60] {
            if cut < packed.len() {
                assert!(
                    unpack("k", packed[..cut].to_vec(), 1 << 20).is_err(),
                    "cut at {cut} of {}",
                    packed.len()
                );
            }
        }
    }
    assert!(
        unpack("k", zboot(b"xxxx", b"lz4"), 1 << 20)
            .unwrap_err()
            .to_string()
            .contains("lz4")
    );
    assert!(Image::open("k", Vec::new(), 1 << 20).is_err());
}

/// A 64-bit executable with one segment at `at`, a bss, and the symbols `tohost` and `fromhost`.
pub(crate) fn elf(at: u64, code: &[u8], bss: u64) -> Vec<u8> {
    let mut out = vec![0; 64 + 56];
    let put = |out: &mut Vec<u8>, at: usize, size: usize, v: u64| {
        out[at..at + size].copy_from_slice(&v.to_le_bytes()[..size])
    };
    out[..6].copy_from_slice(b"\x7fELF\x02\x01");
    put(&mut out, 16, 2, 2);
    put(&mut out, 18, 2, 243);
    put(&mut out, 24, 8, at + 4);
    put(&mut out, 32, 8, 64);
    put(&mut out, 54, 2, 56);
    put(&mut out, 56, 2, 1);
    put(&mut out, 64, 4, 1);
    put(&mut out, 72, 8, 120);
    put(&mut out, 80, 8, at);
    put(&mut out, 88, 8, at);
    put(&mut out, 96, 8, code.len() as u64);
    put(&mut out, 104, 8, code.len() as u64 + bss);
    out.extend(code);
    let names = out.len();
    out.extend(b"\0tohost\0fromhost\0");
    let table = out.len();
    for (name, value) in [(1u32, at + 0x1000), (8, at + 0x1040)] {
        out.extend(name.to_le_bytes());
        out.extend([0; 4]);
        out.extend(value.to_le_bytes());
        out.extend([0; 8]);
    }
    let sections = out.len();
    out.extend([0; 2 * 64]);
    put(&mut out, sections + 4, 4, 3);
    put(&mut out, sections + 24, 8, names as u64);
    put(&mut out, sections + 32, 8, (table - names) as u64);
    put(&mut out, sections + 64 + 4, 4, 2);
    put(&mut out, sections + 64 + 24, 8, table as u64);
    put(&mut out, sections + 64 + 32, 8, 48);
    put(&mut out, 40, 8, sections as u64);
    put(&mut out, 58, 2, 64);
    put(&mut out, 60, 2, 2);
    out
}

#[test]
fn elf_files_are_read() {
    let bytes = elf(0x8000_0000, &[1, 2, 3, 4, 5, 6, 7, 8], 100);
    let elf = Elf::parse("k", &bytes, 1 << 20).unwrap();
    assert_eq!(
        (elf.machine, elf.is_64, elf.physical_entry()),
        (243, true, 0x8000_0004)
    );
    assert_eq!(
        elf.segments,
        [elf::Segment {
            at: 0x8000_0000,
            va: 0x8000_0000,
            data: vec![1, 2, 3, 4, 5, 6, 7, 8],
            size: 108
        }]
    );
    assert_eq!(
        (
            elf.symbol("tohost"),
            elf.symbol("fromhost"),
            elf.symbol("x")
        ),
        (Some(0x8000_1000), Some(0x8000_1040), None)
    );
    assert!(matches!(
        Elf::parse("k", &bytes, 107),
        Err(LoadError::TooLarge { .. })
    ));
    for cut in 0..128 {
        assert!(
            Elf::parse("k", &bytes[..cut], 1 << 20).is_err(),
            "cut at {cut}"
        );
    }
    // The symbols are behind what is loaded; without them the rest is still good.
    assert_eq!(Elf::parse("k", &bytes[..130], 1 << 20).unwrap().symbols, []);
}

#[test]
fn linux_images_are_recognised() {
    let mut data = vec![0; 0x1000];
    data[8..16].copy_from_slice(&0x20_0000u64.to_le_bytes());
    data[16..24].copy_from_slice(&0x3000u64.to_le_bytes());
    data[0x38..0x3c].copy_from_slice(b"RSC\x05");
    assert_eq!(
        Image::open("k", gzip(&data), 1 << 20),
        Err(LoadError::TooLarge {
            file: "k".into(),
            limit: 1 << 20
        })
    );
    let Ok(Image::Linux {
        text_offset, size, ..
    }) = Image::open("k", gzip(&data), 4 << 20)
    else {
        panic!()
    };
    assert_eq!((text_offset, size), (0x20_0000, 0x3000));
    data[24] = 1;
    assert!(Image::open("k", data.clone(), 4 << 20).is_err());
    data[0x38] = 0;
    assert!(matches!(Image::open("k", data, 4 << 20), Ok(Image::Raw(_))));
}

fn space() -> Arc<AddressSpace> {
    let space = AddressSpace::new("t", 64);
    let block = RamBlock::new("ram", 1 << 20, &RamOptions::default()).unwrap();
    space
        .root()
        .add(0x8000_0000, &Region::ram(block), 0)
        .unwrap();
    space
}

#[test]
fn places_do_not_overlap() {
    let space = space();
    let mut layout = Layout::default();
    let mut place =
        |name: &str, at, len: usize, size| layout.place(&space, name, at, vec![9; len], size);
    place("a", 0x8000_0000, 0x100, 0x200).unwrap();
    assert_eq!(
        place("b", 0x8000_01ff, 1, 0),
        Err(LoadError::Overlap {
            a: "a".into(),
            b: "b".into(),
            at: 0x8000_01ff
        })
    );
    place("c", 0x8000_0200, 1, 0).unwrap();
    place("d", 0x800f_ffff, 1, 0).unwrap();
    for (at, len, size) in [
        (0x800f_f000, 0x1001, 0),
        (0x7fff_ffff, 2, 0),
        (0x1000, 1, 0),
        (u64::MAX, 2, 0),
        (0x8000_1000, 1, u64::MAX),
    ] {
        assert!(
            matches!(place("e", at, len, size), Err(LoadError::NoMemory { .. })),
            "{at:#x}"
        );
    }
    space
        .write(Gpa(0x8000_0100), 8, u64::MAX, Attrs::cpu(0))
        .unwrap();
    for blob in layout.into_blobs() {
        blob.load(&space).unwrap();
    }
    assert_eq!(
        space.read(Gpa(0x8000_00fc), 8, Attrs::cpu(0)),
        Ok(0x0909_0909),
        "what is behind the contents is zeroed"
    );
}

#[test]
fn boards_place_kernel_initrd_and_tree() {
    let accel = crate::fake::FakeAccel::idle();
    let build = |ram: u64, kernel: Vec<u8>, initrd: usize| {
        crate::Builder::new(crate::boards::RiscvVirt)
            .ram(ram)
            .kernel(kernel)
            .initrd(vec![0xaa; initrd])
            .build(&accel)
    };
    let places = |m: &crate::Machine| m.blobs.iter().map(|b| (b.at, b.end())).collect::<Vec<_>>();
    let m = build(512 << 20, elf(0x8020_0000, &[0x13, 0, 0, 0], 0), 1000).unwrap();
    assert_eq!(m.symbol("tohost"), Some(0x8020_1000));
    let p = places(&m);
    assert_eq!(p[0].0, 0x8020_0000);
    assert_eq!(p[1].0, 0x9020_0000, "half of RAM behind the kernel");
    assert_eq!(p[2].0 % (2 << 20), 0);
    assert!(p[2].1 <= 0xa000_0000 && p[2].0 >= 0x9fc0_0000);
    let m = build(2 << 30, vec![0x13, 0, 0, 0], 1000).unwrap();
    assert!(places(&m)[2].1 <= 0xc000_0000, "the tree stays below 3 GiB");
    let m = build(32 << 20, vec![0x13, 0, 0, 0], 20 << 20).unwrap();
    assert_eq!(
        places(&m)[1].0,
        0x8020_1000,
        "a large one goes right behind the kernel"
    );
    assert!(matches!(
        build(32 << 20, vec![0x13, 0, 0, 0], 29 << 20),
        Err(crate::MachineError::Load(_))
    ));
    assert!(
        build(16 << 20, elf(0x4000_0000, &[0; 8], 0), 0)
            .unwrap_err()
            .to_string()
            .contains("0x40000000")
    );
    let mut other = elf(0x8020_0000, &[0; 8], 0);
    other[18] = 183;
    assert!(
        build(16 << 20, other, 0)
            .unwrap_err()
            .to_string()
            .contains("183")
    );
}

proptest! {
    #[test]
    fn damaged_files_never_panic(
        which in 0usize..6,
        changes in prop::collection::vec((0usize..400, any::<u8>()), 1..6),
        cut in 0usize..500,
    ) {
        let plain = elf(0x8000_0000, &[1; 64], 32);
        let mut bytes = match which {
            0 | 1 => plain,
            2 => gzip(&plain),
            3 => zstd(&plain),
            4 => zboot(&gzip(&plain), b"gzip"),
            _ => { let mut d = vec![0; 128]; d[0x38..0x3c].copy_from_slice(b"RSC\x05"); d }
        };
        for (at, byte) in changes {
            if let Some(b) = bytes.get_mut(at) { *b = byte; }
        }
        if which % 2 == 1 { bytes.truncate(cut); }
        if let Ok(image) = Image::open("k", bytes, 1 << 20) {
            let _ = Layout::default().place_image(&space(), "k", &image, 0x8000_0000);
        }
    }
}
