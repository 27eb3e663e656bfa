//! Random trees of regions, flattened, against a model that asks for every byte who is on top.

mod common;

use std::sync::{Arc, Mutex};

use ambidex_memory::{
    AddressSpace, Attrs, BusError, FlatRange, Gpa, MmioHandler, RangeKind, Region, ViewListener,
};
use common::heap;
use proptest::prelude::*;

/// The space is this long in the model; the address space itself has 64 bits, the rest stays empty.
const SPACE: u64 = 256;

struct Tag;
impl MmioHandler for Tag {
    fn read(&self, _: u64, _: u8, _: Attrs) -> Result<u64, BusError> {
        Ok(0)
    }
    fn write(&self, _: u64, _: u8, _: u64, _: Attrs) -> Result<(), BusError> {
        Ok(())
    }
}

/// The model of a region: what the test did to it.
struct Node {
    region: Region,
    len: u64,
    enabled: bool,
    kind: NodeKind,
}

enum NodeKind {
    Leaf,
    /// (offset, node, priority), in the order they were added.
    Container(Vec<(u64, usize, i32)>),
    Alias(usize, u64),
}

#[derive(Clone, Debug)]
enum Op {
    Leaf(u64),
    Container(u64),
    Alias(usize, u64, u64),
    Add(usize, usize, u64, i32),
    Remove(usize, usize),
    Enable(usize, bool),
    Move(usize, usize, u64),
}

fn op() -> impl Strategy<Value = Op> {
    let node = 0usize..20;
    prop_oneof![
        3 => (1u64..80).prop_map(Op::Leaf),
        2 => (1u64..200).prop_map(Op::Container),
        2 => (node.clone(), 0u64..100, 1u64..120).prop_map(|(n, o, l)| Op::Alias(n, o, l)),
        8 => (node.clone(), node.clone(), 0u64..200, -2i32..3).prop_map(|(p, c, o, pr)| Op::Add(p, c, o, pr)),
        1 => (node.clone(), node.clone()).prop_map(|(p, c)| Op::Remove(p, c)),
        2 => (node.clone(), any::<bool>()).prop_map(|(n, e)| Op::Enable(n, e)),
        1 => (node.clone(), node, 0u64..200).prop_map(|(p, c, o)| Op::Move(p, c, o)),
    ]
}

/// Which leaf is at `at` of node `n`, and at which of its bytes.
fn lookup(nodes: &[Node], n: usize, at: u64, fuel: &mut u32) -> Option<(usize, u64)> {
    let node = &nodes[n];
    *fuel = fuel.checked_sub(1)?;
    if !node.enabled || at >= node.len {
        return None;
    }
    match &node.kind {
        NodeKind::Leaf => Some((n, at)),
        NodeKind::Alias(target, offset) => lookup(nodes, *target, at + offset, fuel),
        NodeKind::Container(children) => {
            let mut order: Vec<_> = children.iter().enumerate().collect();
            order.sort_by_key(|(age, (_, _, priority))| std::cmp::Reverse((*priority, *age)));
            order.into_iter().find_map(|(_, &(offset, child, _))| {
                lookup(nodes, child, at.checked_sub(offset)?, fuel)
            })
        }
    }
}

/// Keeps the ranges it was told of, and complains about nonsense.
#[derive(Default)]
struct Mirror {
    ranges: Mutex<Vec<FlatRange>>,
    generation: Mutex<u64>,
}

impl ViewListener for Mirror {
    fn removed(&self, range: &FlatRange) {
        let mut ranges = self.ranges.lock().unwrap();
        let i = ranges
            .iter()
            .position(|r| r.same(range))
            .expect("an unknown range was removed");
        ranges.swap_remove(i);
    }
    fn added(&self, range: &FlatRange) {
        let mut ranges = self.ranges.lock().unwrap();
        assert!(
            ranges
                .iter()
                .all(|r| r.last() < range.start || range.last() < r.start),
            "ranges overlap"
        );
        ranges.push(range.clone());
    }
    fn committed(&self, generation: u64) {
        *self.generation.lock().unwrap() = generation;
    }
}

fn apply(nodes: &mut Vec<Node>, op: &Op) {
    let count = nodes.len();
    let new = |region, len, kind| Node {
        region,
        len,
        enabled: true,
        kind,
    };
    match *op {
        Op::Leaf(len) => {
            let region = Region::mmio(&format!("{count}"), len, Arc::new(Tag));
            nodes.push(new(region, len, NodeKind::Leaf));
        }
        Op::Container(len) => {
            nodes.push(new(
                Region::container(&format!("{count}"), len),
                len,
                NodeKind::Container(Vec::new()),
            ));
        }
        Op::Alias(n, offset, len) => {
            let n = n % count;
            let region = Region::alias(&format!("{count}"), &nodes[n].region, offset, len);
            nodes.push(new(region, len, NodeKind::Alias(n, offset)));
        }
        Op::Add(p, c, offset, priority) => {
            let (p, c) = (p % count, c % count);
            // The library says whether it is legal: no overlong child, no cycle, not twice.
            if nodes[p]
                .region
                .clone()
                .add(offset, &nodes[c].region, priority)
                .is_ok()
            {
                let NodeKind::Container(children) = &mut nodes[p].kind else {
                    panic!("no container")
                };
                assert!(children.iter().all(|x| x.1 != c));
                children.push((offset, c, priority));
            }
        }
        Op::Remove(p, c) => {
            let (p, c) = (p % count, c % count);
            nodes[p].region.remove(&nodes[c].region);
            if let NodeKind::Container(children) = &mut nodes[p].kind {
                children.retain(|x| x.1 != c);
            }
        }
        Op::Enable(n, enabled) => {
            let n = n % count;
            nodes[n].region.set_enabled(enabled);
            nodes[n].enabled = enabled;
        }
        Op::Move(p, c, offset) => {
            let (p, c) = (p % count, c % count);
            if nodes[p].region.move_to(&nodes[c].region, offset).is_ok() {
                let NodeKind::Container(children) = &mut nodes[p].kind else {
                    panic!("no container")
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

fn check(space: &AddressSpace, nodes: &[Node]) -> Result<(), TestCaseError> {
    let view = space.view();
    for pair in view.ranges().windows(2) {
        prop_assert!(pair[0].last() < pair[1].start);
    }
    for at in 0..SPACE + 8 {
        let want = lookup(nodes, 0, at, &mut 100_000)
            .map(|(n, offset)| (nodes[n].region.name().to_string(), offset));
        let got = view
            .find(Gpa(at))
            .map(|r| (r.name.to_string(), r.offset_of(Gpa(at))));
        prop_assert_eq!(got, want, "at {:#x} of\n{}", at, space.dump());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 200 }))]

    #[test]
    fn flattening_matches_the_model(ops in prop::collection::vec(op(), 1..60), batch in any::<bool>()) {
        let space = AddressSpace::new("memory", 64);
        let mirror = Arc::new(Mirror::default());
        space.subscribe(mirror.clone());
        let mut nodes = vec![Node { region: Region::container("0", SPACE), len: SPACE, enabled: true, kind: NodeKind::Container(Vec::new()) }];
        space.root().add(0, &nodes[0].region, 0).unwrap();
        {
            let _all = batch.then(|| space.transaction());
            for op in &ops {
                apply(&mut nodes, op);
                if batch {
                    prop_assert_eq!(space.generation(), 0);
                } else {
                    check(&space, &nodes)?;
                }
            }
        }
        check(&space, &nodes)?;
        // A listener from the start and one from the end know the same.
        let late = Arc::new(Mirror::default());
        space.subscribe(late.clone());
        for m in [mirror, late] {
            let mut told = m.ranges.lock().unwrap().clone();
            told.sort_by_key(|r| r.start);
            prop_assert_eq!(told.len(), space.view().ranges().len());
            prop_assert!(told.iter().zip(space.view().ranges()).all(|(a, b)| a.same(b)));
            prop_assert_eq!(*m.generation.lock().unwrap(), space.generation());
        }
    }
}

#[test]
fn the_ends_of_a_64_bit_space() {
    let space = AddressSpace::new("memory", 64);
    let top = Region::mmio("top", 0x1000, Arc::new(Tag));
    space.root().add(u64::MAX - 0xfff, &top, 0).unwrap();
    let all = Region::reserved("all", u64::MAX);
    space.root().add(0, &all, -1).unwrap();
    let view = space.view();
    assert_eq!(view.ranges().len(), 2);
    assert_eq!(view.find(Gpa(u64::MAX)).unwrap().last(), Gpa(u64::MAX));
    assert_eq!(view.find(Gpa(0)).unwrap().len, u64::MAX - 0xfff);
    assert_eq!(space.read(Gpa(u64::MAX - 7), 8, Attrs::cpu(0)), Ok(0));
    assert_eq!(
        space.read(Gpa(u64::MAX - 6), 8, Attrs::cpu(0)),
        Err(BusError::Unmapped(Gpa(u64::MAX - 6)))
    );
    assert!(
        space
            .root()
            .add(u64::MAX, &Region::reserved("over", 2), 0)
            .is_err()
    );
}

#[test]
fn a_port_space_ends_at_its_width() {
    let space = AddressSpace::new("io", 16);
    space
        .root()
        .add(0xfff0, &Region::mmio("ports", 16, Arc::new(Tag)), 0)
        .unwrap();
    assert!(
        space
            .root()
            .add(0xfff8, &Region::reserved("over", 16), 0)
            .is_err()
    );
    assert_eq!(space.read(Gpa(0xfffe), 2, Attrs::cpu(0)), Ok(0));
    assert_eq!(
        space.read(Gpa(0xffff), 2, Attrs::cpu(0)),
        Err(BusError::Unmapped(Gpa(0xffff)))
    );
    assert_eq!(
        space.read(Gpa(0x1_0000), 1, Attrs::cpu(0)),
        Err(BusError::Unmapped(Gpa(0x1_0000)))
    );
}

#[test]
fn neighbouring_pieces_of_one_block_are_one_range() {
    let space = AddressSpace::new("memory", 64);
    let ram = Region::ram(heap("ram", 0x4000));
    space
        .root()
        .add(0, &Region::alias("low", &ram, 0, 0x1000), 0)
        .unwrap();
    space
        .root()
        .add(0x1000, &Region::alias("high", &ram, 0x1000, 0x9000), 0)
        .unwrap();
    assert_eq!(space.view().ranges().len(), 1);
    assert_eq!(
        space.view().ranges()[0].len,
        0x4000,
        "an alias shows no more than there is"
    );
    space
        .root()
        .add(0x2000, &Region::reserved("hole", 0x800), 1)
        .unwrap();
    let view = space.view();
    assert_eq!(
        view.ranges()
            .iter()
            .map(|r| (r.start.0, r.len, r.offset))
            .collect::<Vec<_>>(),
        [(0, 0x2000, 0), (0x2000, 0x800, 0), (0x2800, 0x1800, 0x2800)]
    );
}

#[test]
fn commits_without_effect_are_none() {
    let space = AddressSpace::new("memory", 64);
    let hidden = Region::reserved("hidden", 0x100);
    space
        .root()
        .add(0, &Region::ram(heap("ram", 0x1000)), 1)
        .unwrap();
    let generation = space.generation();
    assert_eq!(generation, 1);
    space.root().add(0x200, &hidden, 0).unwrap();
    space.root().move_to(&hidden, 0x300).unwrap();
    hidden.set_enabled(false);
    assert_eq!(space.generation(), generation);
    let old = space.view();
    space.root().remove(&hidden);
    {
        let _outer = space.transaction();
        let _inner = space.transaction();
        hidden.set_enabled(true);
        space.root().add(0x2000, &hidden, 0).unwrap();
        space
            .root()
            .add(0x3000, &Region::reserved("other", 1), 0)
            .unwrap();
        assert_eq!(space.generation(), generation);
    }
    assert_eq!(space.generation(), generation + 1);
    assert_eq!(
        (old.ranges().len(), space.view().ranges().len()),
        (1, 3),
        "an old view stays as it was"
    );
}

#[test]
fn one_region_in_two_spaces() {
    let (a, b) = (AddressSpace::new("a", 64), AddressSpace::new("b", 64));
    let shared = Region::container("shared", 0x1000);
    a.root().add(0, &shared, 0).unwrap();
    b.root()
        .add(0x5000, &Region::alias("window", &shared, 0x10, 0x10), 0)
        .unwrap();
    let leaf = Region::reserved("leaf", 0x20);
    shared.add(0, &leaf, 0).unwrap();
    assert_eq!(a.view().find(Gpa(0x1f)).unwrap().start, Gpa(0));
    let r = b.view().find(Gpa(0x5000)).unwrap().clone();
    assert_eq!((r.len, r.offset), (0x10, 0x10));
    leaf.set_enabled(false);
    assert!(a.view().ranges().is_empty() && b.view().ranges().is_empty());
}

#[test]
fn unsubscribed_listeners_hear_nothing() {
    let space = AddressSpace::new("memory", 64);
    let mirror = Arc::new(Mirror::default());
    let id = space.subscribe(mirror.clone());
    space.unsubscribe(id);
    space.root().add(0, &Region::reserved("r", 1), 0).unwrap();
    assert!(mirror.ranges.lock().unwrap().is_empty());
}

#[test]
fn a_rom_device_changes_what_reads_hit() {
    let space = AddressSpace::new("memory", 64);
    let flash = Region::rom_device(heap("flash", 0x1000), Arc::new(Tag));
    space.root().add(0, &flash, 0).unwrap();
    assert!(matches!(
        space.view().ranges()[0].kind,
        RangeKind::RomDevice(..)
    ));
    let generation = space.generation();
    flash.set_direct(false);
    assert!(matches!(space.view().ranges()[0].kind, RangeKind::Mmio(_)));
    assert!(space.generation() > generation);
}

/// Threads move regions about while others read; nobody sees a view that is neither old nor new.
#[test]
fn changes_under_readers() {
    let rounds = if cfg!(miri) { 20 } else { 2000 };
    let space = AddressSpace::new("memory", 64);
    let (ram, bar) = (heap("ram", 0x1000), Region::reserved("bar", 0x1000));
    ram.fill(0, 0x1000, 0x55).unwrap();
    space.root().add(0, &Region::ram(ram), 0).unwrap();
    space.root().add(0x10000, &bar, 0).unwrap();
    std::thread::scope(|s| {
        let mover = s.spawn(|| {
            for i in 0..rounds {
                space
                    .root()
                    .move_to(&bar, 0x10000 + (i % 2) * 0x10000)
                    .unwrap();
            }
        });
        let mut last = 0;
        while !mover.is_finished() {
            let generation = space.generation();
            let view = space.view();
            assert!(view.generation() >= generation && generation >= last);
            last = generation;
            assert_eq!(view.ranges().len(), 2);
            assert_eq!(space.read(Gpa(0x800), 4, Attrs::cpu(0)), Ok(0x5555_5555));
        }
    });
}
