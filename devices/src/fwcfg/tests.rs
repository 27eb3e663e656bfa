use super::*;
use crate::testing::{TestHost, contract, fuzz};
use crate::{DynDevice, TestWires};

fn items() -> FwCfgItems {
    FwCfgItems::new()
        .cpus(2, 8)
        .file("opt/b", b"second".to_vec())
        .and_then(|i| i.file("etc/a", b"first".to_vec()))
        .and_then(|i| i.writable_file("etc/w", vec![0; 8]))
        .unwrap()
}

fn device() -> (FwCfg, TestWires) {
    let (w, wires) = Wiring::test();
    (FwCfg::new(w, items()), wires)
}

fn select(d: &mut FwCfg, key: u16) {
    let _ = d.write(0, SELECTOR, 2, key.swap_bytes().into());
}

fn bytes(d: &mut FwCfg, n: usize) -> Vec<u8> {
    (0..n).map(|_| d.read(0, DATA, 1) as u8).collect()
}

#[test]
fn streams_items() {
    let (mut d, _) = device();
    assert_eq!(bytes(&mut d, 6), b"QEMU\0\0");
    select(&mut d, ID);
    assert_eq!(d.read(0, DATA, 4), 3);
    select(&mut d, NB_CPUS);
    assert_eq!(d.read(0, DATA, 2), 2);
    select(&mut d, 0x1234);
    assert_eq!(d.read(0, DATA, 8), 0);
    assert_eq!(d.read(0, DMA, 8).to_le_bytes(), *b"QEMU CFG");
}

/// The key and size of a file, found as a driver does.
fn find(d: &mut FwCfg, name: &str) -> (u16, u32) {
    select(d, FILE_DIR);
    let count = u32::from_be_bytes(bytes(d, 4).try_into().unwrap());
    for _ in 0..count {
        let e = bytes(d, 64);
        let end = e[8..].iter().position(|b| *b == 0).unwrap();
        if e[8..8 + end] == *name.as_bytes() {
            let size = u32::from_be_bytes(e[..4].try_into().unwrap());
            return (u16::from_be_bytes([e[4], e[5]]), size);
        }
    }
    panic!("no file {name}");
}

#[test]
fn files_are_listed() {
    let (mut d, _) = device();
    let (key, size) = find(&mut d, "opt/b");
    select(&mut d, key);
    assert_eq!((size, bytes(&mut d, 7)), (6, b"second\0".to_vec()));
}

/// Runs a command and returns the control word.
fn command(d: &mut FwCfg, w: &TestWires, control: u32, len: u32, address: u64) -> u32 {
    let v = u128::from(control) << 96 | u128::from(len) << 64 | u128::from(address);
    w.memory.poke(0x1_0000_1000, &v.to_be_bytes());
    let _ = d.write(0, DMA, 4, 1u32.swap_bytes().into());
    let _ = d.write(0, DMA + 4, 4, 0x1000u32.swap_bytes().into());
    u32::from_be_bytes(w.memory.peek(0x1_0000_1000, 4).try_into().unwrap())
}

#[test]
fn dma_reads_skips_and_writes() {
    let (mut d, w) = device();
    let (key, _) = find(&mut d, "opt/b");
    let sel = u32::from(key) << 16 | CTL_SELECT;
    assert_eq!(command(&mut d, &w, sel | CTL_READ, 3, 0x2000), 0);
    assert_eq!(w.memory.peek(0x2000, 4), b"sec\0");
    assert_eq!(command(&mut d, &w, CTL_SKIP, 1, 0), 0);
    w.memory.poke(0x2000, &[0xff; 8]);
    assert_eq!(command(&mut d, &w, CTL_READ, 6, 0x2000), 0);
    assert_eq!(w.memory.peek(0x2000, 7), b"nd\0\0\0\0\xff");
    // Too much padding, a file that is not writable, an address that is none.
    assert_eq!(command(&mut d, &w, CTL_READ, u32::MAX, 0x2000), CTL_ERROR);
    assert_eq!(command(&mut d, &w, sel | CTL_WRITE, 1, 0x2000), CTL_ERROR);
    assert_eq!(command(&mut d, &w, sel | CTL_READ, 6, u64::MAX), CTL_ERROR);
    let (key, _) = find(&mut d, "etc/w");
    let sel = u32::from(key) << 16 | CTL_SELECT;
    w.memory.poke(0x3000, b"guest");
    assert_eq!(command(&mut d, &w, sel | CTL_SKIP, 2, 0), 0);
    assert_eq!(command(&mut d, &w, CTL_WRITE, 5, 0x3000), 0);
    assert_eq!(
        command(&mut d, &w, CTL_WRITE, 2, 0x3000),
        CTL_ERROR,
        "behind the end"
    );
    let saved = d.save_bytes();
    let (mut d, _) = device();
    d.restore_bytes(&saved).unwrap();
    select(&mut d, key);
    assert_eq!(bytes(&mut d, 8), b"\0\0guest\0");
    d.reset(ResetKind::Cold);
    select(&mut d, key);
    assert_eq!(bytes(&mut d, 8), [0; 8]);
}

#[test]
fn bad_files_are_refused_with_a_sentence() {
    let e = items().file("etc/a", vec![]).err().unwrap();
    assert_eq!(
        e.to_string(),
        "fw_cfg file 'etc/a' is given twice; remove one"
    );
    assert!(matches!(
        items().file(&"x".repeat(56), vec![]),
        Err(FwCfgError::Name(_))
    ));
    assert!(items().file(&"x".repeat(55), vec![]).is_ok());
}

#[test]
fn contract_and_fuzz() {
    let make = |w, h: &TestHost| {
        h.hot(&[DATA, SELECTOR, DMA, 0x14]);
        FwCfg::new(w, items())
    };
    contract::check_with(make);
    assert_eq!(fuzz::blind(300, 500, make), Ok(()));
}
