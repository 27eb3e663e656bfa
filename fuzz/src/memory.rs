//! The address space against models that look everything up the slow way.

use std::sync::{Arc, Mutex};

use ambidex_memory::{
    AddressSpace, Attrs, BusError, FlatRange, Gpa, MmioHandler, RamBlock, RamOptions, Region,
    ViewListener,
};

use crate::riscv_diff::program::Src;

const SPACE: u64 = 256;

/// A device that remembers nothing and answers with where it was asked.
struct Echo;

impl MmioHandler for Echo {
    fn read(&self, offset: u64, size: u8, _: Attrs) -> Result<u64, BusError> {
        Ok((0..u64::from(size)).fold(0, |v, i| v | ((offset + i) & 0xff) << (8 * i)))
    }
    fn write(&self, _: u64, _: u8, _: u64, _: Attrs) -> Result<(), BusError> {
        Ok(())
    }
}

enum Kind {
    Leaf,
    /// Offset, node, priority, in the order they were added.
    Container(Vec<(u64, usize, i32)>),
    Alias(usize, u64),
}

struct Node {
    region: Region,
    len: u64,
    enabled: bool,
    kind: Kind,
}

/// Which leaf, and which of its bytes, is at `at` of node `n`.
fn lookup(nodes: &[Node], n: usize, at: u64, fuel: &mut u32) -> Option<(usize, u64)> {
    let node = &nodes[n];
    *fuel = fuel.checked_sub(1)?;
    if !node.enabled || at >= node.len {
        return None;
    }
    match &node.kind {
        Kind::Leaf => Some((n, at)),
        Kind::Alias(target, offset) => lookup(nodes, *target, at + offset, fuel),
        Kind::Container(children) => {
            let mut order: Vec<_> = children.iter().enumerate().collect();
            order.sort_by_key(|(age, (_, _, priority))| std::cmp::Reverse((*priority, *age)));
            order.into_iter().find_map(|(_, &(offset, child, _))| {
                lookup(nodes, child, at.checked_sub(offset)?, fuel)
            })
        }
    }
}

/// Keeps the ranges it was told of.
#[derive(Default)]
struct Mirror(Mutex<Vec<FlatRange>>);

impl ViewListener for Mirror {
    fn removed(&self, range: &FlatRange) {
        let mut all = self.0.lock().expect("no panic so far");
        let at = all
            .iter()
            .position(|r| r.same(range))
            .expect("only known ranges are removed");
        all.swap_remove(at);
    }
    fn added(&self, range: &FlatRange) {
        self.0.lock().expect("no panic so far").push(range.clone());
    }
    fn committed(&self, _: u64) {}
}

/// Trees of regions that change.
pub fn address_space(data: &[u8]) {
    let src = &mut Src::new(data);
    let space = AddressSpace::new("memory", 64);
    let mirror = Arc::new(Mirror::default());
    space.subscribe(mirror.clone());
    let mut nodes = vec![Node {
        region: Region::container("0", SPACE),
        len: SPACE,
        enabled: true,
        kind: Kind::Container(vec![]),
    }];
    space
        .root()
        .add(0, &nodes[0].region, 0)
        .expect("an empty space has room");
    while !src.is_empty() && nodes.len() < 24 {
        let count = nodes.len();
        let name = format!("{count}");
        match src.below(12) {
            0..=2 => {
                let len = 1 + u64::from(src.u8()) % 80;
                nodes.push(Node {
                    region: Region::mmio(&name, len, Arc::new(Echo)),
                    len,
                    enabled: true,
                    kind: Kind::Leaf,
                });
            }
            3 => {
                let len = 1 + u64::from(src.u8()) % 200;
                nodes.push(Node {
                    region: Region::container(&name, len),
                    len,
                    enabled: true,
                    kind: Kind::Container(vec![]),
                });
            }
            4 => {
                let (n, offset, len) = (
                    src.u8() as usize % count,
                    u64::from(src.u8() % 100),
                    1 + u64::from(src.u8() % 120),
                );
                nodes.push(Node {
                    region: Region::alias(&name, &nodes[n].region, offset, len),
                    len,
                    enabled: true,
                    kind: Kind::Alias(n, offset),
                });
            }
            5..=8 => {
                let (p, c, offset, priority) = (
                    src.u8() as usize % count,
                    src.u8() as usize % count,
                    src.u8().into(),
                    src.below(5) as i32 - 2,
                );
                if nodes[p]
                    .region
                    .add(offset, &nodes[c].region, priority)
                    .is_ok()
                {
                    let Kind::Container(children) = &mut nodes[p].kind else {
                        panic!("added to what is no container")
                    };
                    assert!(children.iter().all(|x| x.1 != c), "added twice");
                    children.push((offset, c, priority));
                }
            }
            9 => {
                let (p, c) = (src.u8() as usize % count, src.u8() as usize % count);
                nodes[p].region.remove(&nodes[c].region);
                if let Kind::Container(children) = &mut nodes[p].kind {
                    children.retain(|x| x.1 != c);
                }
            }
            10 => {
                let n = src.u8() as usize % count;
                nodes[n].enabled = src.bool();
                nodes[n].region.set_enabled(nodes[n].enabled);
            }
            _ => {
                let (p, c, offset) = (
                    src.u8() as usize % count,
                    src.u8() as usize % count,
                    u64::from(src.u8()),
                );
                if nodes[p].region.move_to(&nodes[c].region, offset).is_ok() {
                    let Kind::Container(children) = &mut nodes[p].kind else {
                        panic!("moved in what is no container")
                    };
                    children
                        .iter_mut()
                        .find(|x| x.1 == c)
                        .expect("it was there")
                        .0 = offset;
                }
            }
        }
    }
    let view = space.view();
    assert!(
        view.ranges().windows(2).all(|p| p[0].last() < p[1].start),
        "ranges overlap"
    );
    for at in 0..SPACE + 8 {
        let want = lookup(&nodes, 0, at, &mut 1_000_000)
            .map(|(n, offset)| (nodes[n].region.name().to_string(), offset));
        let got = view
            .find(Gpa(at))
            .map(|r| (r.name.to_string(), r.offset_of(Gpa(at))));
        assert_eq!(got, want, "at {at:#x} of\n{}", space.dump());
        let byte = space.read(Gpa(at), 1, Attrs::cpu(0));
        assert_eq!(byte.ok(), want.map(|w| w.1 & 0xff), "read at {at:#x}");
    }
    let mut told = mirror.0.lock().expect("no panic so far").clone();
    told.sort_by_key(|r| r.start);
    assert_eq!(told.len(), view.ranges().len());
    assert!(
        told.iter().zip(view.ranges()).all(|(a, b)| a.same(b)),
        "a listener knows something else"
    );
}

/// RAM and ROM of odd lengths side by side: accesses of all sizes against an array of bytes.
pub fn memory_access(data: &[u8]) {
    const BASE: u64 = 0x1000;
    let src = &mut Src::new(data);
    let space = AddressSpace::new("memory", 64);
    let blocks = [0x2000u64, 0x1000]
        .map(|len| RamBlock::new("ram", len, &RamOptions::default()).expect("a little memory"));
    let rom = src.bool();
    let second = if rom {
        Region::rom(Arc::clone(&blocks[1]))
    } else {
        Region::ram(Arc::clone(&blocks[1]))
    };
    space
        .root()
        .add(BASE, &Region::ram(Arc::clone(&blocks[0])), 0)
        .expect("free");
    space.root().add(BASE + 0x2000, &second, 0).expect("free");
    let mut model = vec![0u8; 0x3000];
    while !src.is_empty() {
        let at = match src.below(4) {
            0 => BASE.wrapping_sub(src.below(16).into()),
            1 => BASE + 0x2000 - u64::from(src.below(16)),
            2 => BASE + 0x3000 - u64::from(src.below(16)),
            _ => BASE + u64::from(src.u32()) % 0x3000,
        };
        let kind = src.u8();
        let len = if kind & 8 != 0 {
            u64::from(src.u8())
        } else {
            1 << (kind & 3)
        };
        let inside = at >= BASE && at + len <= BASE + 0x3000;
        let writable = inside && (!rom || at + len <= BASE + 0x2000);
        let range = || (at - BASE) as usize..(at - BASE + len) as usize;
        let attrs = Attrs::cpu(0);
        let value = src.u64();
        match (kind & 4 != 0, kind & 8 != 0) {
            (false, false) => {
                let want = inside.then(|| {
                    model[range()]
                        .iter()
                        .rev()
                        .fold(0, |v, &b| v << 8 | u64::from(b))
                });
                assert_eq!(
                    space.read(Gpa(at), len as u8, attrs).ok(),
                    want,
                    "read of {len} at {at:#x}"
                );
            }
            (true, false) => {
                let done = space.write(Gpa(at), len as u8, value, attrs).is_ok();
                if writable {
                    assert!(done, "write of {len} at {at:#x}");
                    model[range()].copy_from_slice(&value.to_le_bytes()[..len as usize]);
                }
            }
            (false, true) => {
                let mut got = vec![0; len as usize];
                let done = space.read_bytes(Gpa(at), &mut got, attrs).is_ok();
                assert_eq!(done, inside || len == 0, "read of {len} bytes at {at:#x}");
                assert!(!done || len == 0 || got == model[range()]);
            }
            (true, true) => {
                let bytes: Vec<u8> = value
                    .to_le_bytes()
                    .into_iter()
                    .cycle()
                    .take(len as usize)
                    .collect();
                let done = space.write_bytes(Gpa(at), &bytes, attrs).is_ok();
                if writable {
                    assert!(done, "write of {len} bytes at {at:#x}");
                    model[range()].copy_from_slice(&bytes);
                }
            }
        }
        // What a write that reaches into ROM or beyond the end has done is open; ask.
        if !writable && kind & 4 != 0 {
            for (block, start) in blocks.iter().zip([0usize, 0x2000]) {
                let len = block.len() as usize;
                let mut now = vec![0; len];
                block.read(0, &mut now).expect("all of it");
                if rom && start != 0 {
                    assert_eq!(now, model[start..start + len], "ROM was written");
                }
                model[start..start + len].copy_from_slice(&now);
            }
        }
    }
}
