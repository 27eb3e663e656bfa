//! Blocks of both backings against plain byte vectors.

use proptest::prelude::*;

use super::*;

fn options() -> Vec<RamOptions> {
    let base = RamOptions::default();
    let mut all = vec![RamOptions {
        backing: Backing::Heap,
        ..base.clone()
    }];
    if cfg!(feature = "mmap") && !cfg!(miri) {
        all.push(base.clone());
        all.push(RamOptions {
            shared: false,
            huge_pages: true,
            ..base
        });
    }
    all
}

#[test]
fn a_new_block_is_zero_and_page_aligned() {
    for opt in options() {
        let b = RamBlock::new("r", 3 * PAGE_SIZE, &opt).unwrap();
        assert_eq!((b.name(), b.len(), b.pages()), ("r", 3 * PAGE_SIZE, 3));
        assert_eq!(b.host_ptr().addr() % 4096, 0);
        assert!(b.is_zero(0, b.len()));
        assert!(!b.is_zero(1, b.len()), "not all inside");
        b.store(2 * PAGE_SIZE + 9, 1, 1);
        assert!(!b.is_zero(0, b.len()) && b.is_zero(0, 2 * PAGE_SIZE + 9));
        let other = RamBlock::new("r", PAGE_SIZE, &opt).unwrap();
        assert_ne!(b.id(), other.id());
    }
}

#[test]
fn bad_requests_are_explained() {
    for opt in options() {
        for len in [0, 1, 4095, 4097] {
            assert!(matches!(
                RamBlock::new("r", len, &opt),
                Err(MemoryError::BadLength { .. })
            ));
        }
        let e = RamBlock::new("ram", 1 << 60, &opt).unwrap_err().to_string();
        assert_eq!(
            e,
            "cannot reserve 1024 PiB for RAM block 'ram': Cannot allocate memory; use a smaller -m"
        );
        assert!(RamBlock::new("ram", !4095, &opt).is_err());
    }
}

#[cfg(not(feature = "mmap"))]
#[test]
fn no_memfd_without_the_feature() {
    let opt = RamOptions {
        backing: Backing::Memfd,
        ..RamOptions::default()
    };
    assert!(matches!(
        RamBlock::new("r", 4096, &opt),
        Err(MemoryError::NoBacking { .. })
    ));
}

#[cfg(all(feature = "mmap", not(miri)))]
#[test]
fn a_shared_block_is_its_file() {
    use std::os::unix::fs::{FileExt, MetadataExt};
    let b = RamBlock::new("r", 64 << 20, &RamOptions::default()).unwrap();
    let (file, at) = b.file().unwrap();
    b.write(5000, b"hello").unwrap();
    let mut buf = [0; 5];
    file.read_exact_at(&mut buf, at + 5000).unwrap();
    assert_eq!(&buf, b"hello");
    assert!(
        file.metadata().unwrap().blocks() * 512 < 4 << 20,
        "populated lazily"
    );
    assert!(b.is_zero(8192, b.len() - 8192));
    assert!(
        file.metadata().unwrap().blocks() * 512 < 4 << 20,
        "asking for zeros populates nothing"
    );
    b.discard(0, b.len()).unwrap();
    assert_eq!(file.metadata().unwrap().blocks(), 0);
    let private = RamBlock::new(
        "r",
        4096,
        &RamOptions {
            shared: false,
            ..RamOptions::default()
        },
    )
    .unwrap();
    assert!(private.file().is_none());
}

#[test]
fn discard_zeroes_exactly_and_is_noted() {
    for opt in options() {
        let b = RamBlock::new("r", 8 * PAGE_SIZE, &opt).unwrap();
        b.fill(0, b.len(), 0xff).unwrap();
        let d = b.dirty_register();
        b.discard(PAGE_SIZE - 3, 3 * PAGE_SIZE).unwrap();
        assert_eq!(d.take(), [0, 1, 2, 3]);
        assert!(b.is_zero(PAGE_SIZE - 3, 3 * PAGE_SIZE));
        assert_eq!(
            (b.load(PAGE_SIZE - 4, 1), b.load(4 * PAGE_SIZE - 3, 1)),
            (0xff, 0xff)
        );
        b.discard(5 * PAGE_SIZE + 1, 6).unwrap();
        assert_eq!(b.load(5 * PAGE_SIZE, 8), 0xff00_0000_0000_00ff);
        assert!(b.discard(8 * PAGE_SIZE - 1, 2).is_err());
    }
}

#[test]
fn out_of_range_is_harmless() {
    for opt in options() {
        let b = RamBlock::new("r", PAGE_SIZE, &opt).unwrap();
        b.fill(0, PAGE_SIZE, 1).unwrap();
        assert_eq!(b.load(PAGE_SIZE - 3, 4), 0);
        assert_eq!(b.load(u64::MAX, 8), 0);
        assert_eq!(b.load(0, 9), 0);
        b.store(PAGE_SIZE - 1, 2, 0);
        b.store(u64::MAX - 1, 8, 0);
        b.note_write(u64::MAX, 2);
        b.note_write(PAGE_SIZE + 5, 1);
        b.note_write(PAGE_SIZE - 1, 100);
        b.watch(7);
        assert_eq!(
            b.read(PAGE_SIZE - 1, &mut [0; 2]),
            Err(BusError::Unmapped(Gpa(PAGE_SIZE)))
        );
        assert!(b.write(u64::MAX, &[0; 2]).is_err());
        assert!(b.fill(1, PAGE_SIZE, 0).is_err());
        assert_eq!(
            b.compare_exchange(2, 4, 0, 0),
            Err(BusError::Unaligned(Gpa(2)))
        );
        assert_eq!(b.load(PAGE_SIZE - 8, 8), 0x0101_0101_0101_0101);
    }
}

#[test]
fn compare_and_exchange() {
    let b = RamBlock::new("r", PAGE_SIZE, &RamOptions::default()).unwrap();
    for size in [1u8, 2, 4, 8] {
        let mask = if size == 8 {
            u64::MAX
        } else {
            (1 << (size * 8)) - 1
        };
        b.store(8, 8, 0x8877_6655_4433_2211);
        let old = 0x8877_6655_4433_2211 & mask;
        assert_eq!(b.compare_exchange(8, size, old ^ 1, 0), Ok(Err(old)));
        assert_eq!(
            b.compare_exchange(8, size, old, 0xabab_abab_abab_abab & mask),
            Ok(Ok(old))
        );
        assert_eq!(
            b.load(8, 8),
            (0x8877_6655_4433_2211 & !mask) | (0xabab_abab_abab_abab & mask)
        );
    }
    assert_eq!(b.load(16, 8), 0);
}

#[test]
fn aligned_words_do_not_tear() {
    let b = RamBlock::new("r", PAGE_SIZE, &RamOptions::default()).unwrap();
    let rounds = if cfg!(miri) { 100 } else { 50_000 };
    std::thread::scope(|s| {
        s.spawn(|| {
            for i in 0..rounds {
                let v = if i % 2 == 0 { 0 } else { u64::MAX };
                b.store(64, 8, v);
            }
        });
        for _ in 0..rounds {
            let v = b.load(64, 8);
            assert!(v == 0 || v == u64::MAX, "{v:#x}");
        }
    });
}

#[derive(Clone, Debug)]
enum Op {
    Write(usize, Vec<u8>),
    Store(usize, u8, u64),
    Fill(usize, usize, u8),
    Read(usize, usize),
    Load(usize, u8),
}

fn op() -> impl Strategy<Value = Op> {
    let at = || 0usize..8192;
    prop_oneof![
        (at(), prop::collection::vec(any::<u8>(), 0..200)).prop_map(|(a, v)| Op::Write(a, v)),
        (at(), 1u8..=8, any::<u64>()).prop_map(|(a, s, v)| Op::Store(a, s, v)),
        (at(), 0usize..200, any::<u8>()).prop_map(|(a, n, v)| Op::Fill(a, n, v)),
        (at(), 0usize..200).prop_map(|(a, n)| Op::Read(a, n)),
        (at(), 1u8..=8).prop_map(|(a, s)| Op::Load(a, s)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 128 }))]

    #[test]
    fn behaves_like_a_vec(ops in prop::collection::vec(op(), 1..40)) {
        for opt in options() {
            let b = RamBlock::new("r", 8192, &opt).unwrap();
            let mut model = vec![0u8; 8192];
            for op in &ops {
                match op {
                    Op::Write(a, v) => {
                        let inside = a + v.len() <= 8192;
                        prop_assert_eq!(b.write(*a as u64, v).is_ok(), inside);
                        if inside {
                            model[*a..a + v.len()].copy_from_slice(v);
                        }
                    }
                    Op::Store(a, s, v) => {
                        b.store(*a as u64, *s, *v);
                        let n = usize::from(*s);
                        if a + n <= 8192 {
                            model[*a..a + n].copy_from_slice(&v.to_le_bytes()[..n]);
                        }
                    }
                    Op::Fill(a, n, v) => {
                        let inside = a + n <= 8192;
                        prop_assert_eq!(b.fill(*a as u64, *n as u64, *v).is_ok(), inside);
                        if inside {
                            model[*a..a + n].fill(*v);
                        }
                    }
                    Op::Read(a, n) => {
                        let mut buf = vec![0xcc; *n];
                        if b.read(*a as u64, &mut buf).is_ok() {
                            prop_assert_eq!(&buf, &model[*a..a + n]);
                            prop_assert_eq!(b.is_zero(*a as u64, *n as u64), buf.iter().all(|&x| x == 0));
                        } else {
                            prop_assert!(a + n > 8192);
                        }
                    }
                    Op::Load(a, s) => {
                        let n = usize::from(*s);
                        let mut want = [0; 8];
                        if a + n <= 8192 {
                            want[..n].copy_from_slice(&model[*a..a + n]);
                        }
                        prop_assert_eq!(b.load(*a as u64, *s), u64::from_le_bytes(want));
                        prop_assert_eq!(b.load_acquire(*a as u64, *s), u64::from_le_bytes(want));
                    }
                }
            }
        }
    }
}
