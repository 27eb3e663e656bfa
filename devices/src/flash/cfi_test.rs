use super::*;
use crate::block::{MemoryDisk, Storage};
use crate::testing::{contract, fuzz};
use crate::{Action, Device, DynDevice, ResetKind};
use ambidex_memory::{Backing, RamBlock, RamOptions};
use std::sync::Arc;

const LEN: u64 = 1 << 20;
const BLOCK: u64 = 64 << 10;

fn ram(len: u64) -> Arc<RamBlock> {
    let o = RamOptions {
        backing: Backing::Heap,
        ..RamOptions::default()
    };
    RamBlock::new("flash", len, &o).unwrap()
}

fn options() -> FlashOptions {
    FlashOptions {
        block: BLOCK,
        ..FlashOptions::default()
    }
}

fn flash() -> CfiFlash {
    CfiFlash::new(options(), ram(LEN), None).unwrap()
}

fn w(f: &mut CfiFlash, at: u64, v: u32) {
    let _ = f.write(0, at, 4, v.into());
}

fn r(f: &mut CfiFlash, at: u64) -> u32 {
    f.read(0, at, 4) as u32
}

#[test]
fn describes_itself() {
    let mut f = flash();
    w(&mut f, 0x55 * 4, 0x0098_0098);
    let text: Vec<u32> = (0x10..0x13).map(|n| r(&mut f, n * 4)).collect();
    assert_eq!(text, [0x51_0051, 0x52_0052, 0x59_0059]);
    let byte = |f: &mut CfiFlash, n: u64| (r(f, n * 4) & 0xff) as u64;
    assert_eq!(byte(&mut f, 0x13), 1);
    assert_eq!(2 << byte(&mut f, 0x27), LEN, "two chips");
    let blocks = (byte(&mut f, 0x2d) | byte(&mut f, 0x2e) << 8) + 1;
    let size = (byte(&mut f, 0x2f) | byte(&mut f, 0x30) << 8) * 256 * 2;
    assert_eq!((blocks, size), (LEN / BLOCK, BLOCK));
    let ext = byte(&mut f, 0x15);
    assert_eq!(
        (byte(&mut f, ext), byte(&mut f, ext + 1)),
        (b'P'.into(), b'R'.into())
    );
    assert_eq!(f.read(0, 0x10 * 4 + 2, 2), 0x51, "halves");
    assert_eq!(f.read(0, 0x10 * 4, 8), 0x0052_0052_0051_0051);
    w(&mut f, 0, 0x0090_0090);
    assert_eq!((r(&mut f, 0), r(&mut f, 8)), (0x89_0089, 0));
}

#[test]
fn erases_and_programs() {
    let mut f = flash();
    let mode = f.mode();
    assert!(mode.direct());
    assert_eq!(f.write(0, BLOCK, 4, 0x20_0020), Action::Remap);
    assert!(!mode.direct());
    assert_eq!(f.write(0, BLOCK, 4, 0xd0_00d0), Action::None);
    assert_eq!(r(&mut f, BLOCK), 0x80_0080);
    w(&mut f, BLOCK + 8, 0x40_0040);
    w(&mut f, BLOCK + 8, 0x1234_5678);
    w(&mut f, BLOCK + 8, 0x40_0040);
    w(&mut f, BLOCK + 8, 0xff00_ffff);
    assert_eq!(f.write(0, 0, 4, 0xff_00ff), Action::Remap);
    assert!(mode.direct());
    assert_eq!(
        (r(&mut f, BLOCK), r(&mut f, BLOCK + 8)),
        (u32::MAX, 0x1200_5678),
        "bits only clear"
    );
    assert_eq!(r(&mut f, BLOCK - 4), 0, "the block before is untouched");
    // Buffered: three words.
    w(&mut f, BLOCK + 0x100, 0xe8_00e8);
    assert_eq!(r(&mut f, BLOCK) & 0x80, 0x80);
    w(&mut f, BLOCK + 0x100, 2);
    for n in 0..3 {
        w(&mut f, BLOCK + 0x100 + 4 * n, 0x1111 * (n as u32 + 1));
    }
    w(&mut f, BLOCK + 0x100, 0xd0_00d0);
    assert_eq!(r(&mut f, 0), 0x80_0080);
    w(&mut f, 0, 0xff);
    assert_eq!(
        (r(&mut f, BLOCK + 0x100), r(&mut f, BLOCK + 0x108)),
        (0x1111, 0x3333)
    );
}

#[test]
fn errors_show_in_the_status() {
    let mut f = flash();
    // Lock, then program and erase.
    w(&mut f, 0, 0x60_0060);
    w(&mut f, 0, 0x01_0001);
    w(&mut f, 0, 0x90_0090);
    assert_eq!((r(&mut f, 8), r(&mut f, BLOCK + 8)), (0x1_0001, 0));
    w(&mut f, 0, 0x40_0040);
    w(&mut f, 0, 0);
    assert_eq!(r(&mut f, 0) & 0xff, 0x92);
    w(&mut f, 0, 0x50_0050);
    w(&mut f, 0, 0x20_0020);
    w(&mut f, 0, 0xd0_00d0);
    assert_eq!(r(&mut f, 0) & 0xff, 0xa2);
    w(&mut f, 0, 0x50_0050);
    w(&mut f, 0, 0x60_0060);
    w(&mut f, 0, 0xd0_00d0);
    w(&mut f, 0, 0x20_0020);
    w(&mut f, 0, 0xd0_00d0);
    assert_eq!(r(&mut f, 0) & 0xff, 0x80);
    // A wrong confirmation, a buffer that is too long, data outside of the buffer's window.
    for writes in [
        &[(0, 0x20), (0, 0x12)][..],
        &[(0, 0xe8), (0, 512)],
        &[(0, 0xe8), (0, 3), (0, 1), (2048, 1)],
    ] {
        writes.iter().for_each(|(at, v)| w(&mut f, *at, *v));
        assert_eq!(r(&mut f, 0) & 0xff, 0xb0);
        w(&mut f, 0, 0x50);
    }
    let mut rom = CfiFlash::new(
        FlashOptions {
            read_only: true,
            ..options()
        },
        ram(LEN),
        None,
    )
    .unwrap();
    w(&mut rom, 0, 0x20);
    w(&mut rom, 0, 0xd0);
    w(&mut rom, 0, 0xff);
    assert_eq!(r(&mut rom, 0), 0);
}

#[test]
fn image_is_loaded_and_written_through() {
    let image = MemoryDisk::new(vec![7; 2 * BLOCK as usize]);
    let mut f = CfiFlash::new(options(), ram(LEN), Some(Box::new(image.clone()))).unwrap();
    assert_eq!((r(&mut f, BLOCK), r(&mut f, 2 * BLOCK)), (0x0707_0707, 0));
    for at in [BLOCK, 5 * BLOCK] {
        w(&mut f, at, 0x20);
        w(&mut f, at, 0xd0);
        w(&mut f, at, 0x40);
        w(&mut f, at, 0x55);
    }
    let c = image.contents();
    assert_eq!(
        (
            c[BLOCK as usize - 1],
            c[BLOCK as usize],
            c[BLOCK as usize + 1]
        ),
        (7, 0x55, 0)
    );
    assert_eq!(c[BLOCK as usize + 4], 0xff);
    assert_eq!(image.len(), 2 * BLOCK);
    let big: Option<Box<dyn Storage>> = Some(Box::new(MemoryDisk::new(vec![0; 2 << 20])));
    let e = CfiFlash::new(options(), ram(LEN), big).err().unwrap();
    assert!(e.to_string().contains("use a smaller image"));
}

#[test]
fn saved_in_the_middle_of_a_buffer() {
    let block = ram(LEN);
    let mut f = CfiFlash::new(options(), block.clone(), None).unwrap();
    w(&mut f, 0, 0x20);
    w(&mut f, 0, 0xd0);
    for (at, v) in [(0, 0xe8), (0, 1), (0, 0xaaaa)] {
        w(&mut f, at, v);
    }
    let saved = f.save_bytes();
    let mut g = CfiFlash::new(options(), block, None).unwrap();
    g.restore_bytes(&saved).unwrap();
    assert!(!g.mode().direct());
    w(&mut g, 4, 0xbbbb);
    w(&mut g, 0, 0xd0);
    g.reset(ResetKind::Warm);
    assert!(g.mode().direct());
    assert_eq!(
        r(&mut g, 0) as u64 | (r(&mut g, 4) as u64) << 32,
        0xbbbb_0000_aaaa
    );
}

#[test]
fn contract_and_fuzz() {
    // Contents are not device state: all devices of a run share them, and doing the same twice changes nothing.
    let block = ram(8192);
    let small = FlashOptions {
        block: 4096,
        ..FlashOptions::default()
    };
    let make = |_: crate::Wiring| CfiFlash::new(small, block.clone(), None).unwrap();
    contract::check(make);
    let hot = |w, h: &crate::testing::TestHost| {
        h.hot(&[0, 4, 0x40, 4096]);
        make(w)
    };
    assert_eq!(fuzz::blind(300, 500, hot), Ok(()));
}
