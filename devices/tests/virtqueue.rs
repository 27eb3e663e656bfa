//! The split ring beside the one of the `virtio-queue` crate, on the same memory.

use ambidex_devices::testing::TestMemory;
use ambidex_devices::virtio::queue::{Ring, SplitRing};
use ambidex_devices::{Dma, StreamId};
use proptest::prelude::*;
use std::sync::Arc;
use virtio_queue::{Queue, QueueT};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

const DESC: u64 = 0x1000;
const AVAIL: u64 = 0x2000;
const USED: u64 = 0x3000;
const TABLES: u64 = 0x4000;
const LEN: u64 = 0x1_0000;

struct Both {
    theirs_memory: GuestMemoryMmap,
    theirs: Queue,
    ours_memory: Arc<TestMemory>,
    dma: Dma,
    ours: SplitRing,
    size: u16,
}

impl Both {
    fn new(size: u16, event_idx: bool) -> Self {
        let theirs_memory =
            GuestMemoryMmap::from_ranges(&[(GuestAddress(0), LEN as usize)]).unwrap();
        let mut theirs = Queue::new(size).unwrap();
        theirs.set_size(size);
        theirs.set_desc_table_address(Some(DESC as u32), Some(0));
        theirs.set_avail_ring_address(Some(AVAIL as u32), Some(0));
        theirs.set_used_ring_address(Some(USED as u32), Some(0));
        theirs.set_event_idx(event_idx);
        theirs.set_ready(true);
        let ours_memory = Arc::new(TestMemory::default());
        let dma = Dma::new(ours_memory.clone(), StreamId(0));
        let ours = SplitRing::new(size, [DESC, AVAIL, USED], event_idx, true).unwrap();
        Self {
            theirs_memory,
            theirs,
            ours_memory,
            dma,
            ours,
            size,
        }
    }

    fn poke(&self, at: u64, data: &[u8]) {
        self.theirs_memory
            .write_slice(data, GuestAddress(at))
            .unwrap();
        self.ours_memory.poke(at, data);
    }

    fn desc(&self, table: u64, index: u16, addr: u64, len: u32, flags: u16, next: u16) {
        let v = u128::from(addr)
            | u128::from(len) << 64
            | u128::from(flags) << 96
            | u128::from(next) << 112;
        self.poke(table + 16 * u64::from(index), &v.to_le_bytes());
    }

    fn used_ring(&self) -> (Vec<u8>, Vec<u8>) {
        // Without the flags, which differ: the other ring never asks for silence.
        let len = 2 + 8 * usize::from(self.size);
        let mut theirs = vec![0; len];
        self.theirs_memory
            .read_slice(&mut theirs, GuestAddress(USED + 2))
            .unwrap();
        (theirs, self.ours_memory.peek(USED + 2, len))
    }
}

#[derive(Clone, Debug)]
struct Shape {
    reads: u16,
    writes: u16,
    indirect: bool,
    written: u32,
    used_event: u16,
}

fn shape() -> impl Strategy<Value = Shape> {
    (0..3u16, 0..3u16, any::<bool>(), any::<u16>(), 0..64u16).prop_map(
        |(reads, writes, indirect, written, used_event)| Shape {
            reads: reads.max(u16::from(writes == 0)),
            writes,
            indirect,
            written: written.into(),
            used_event,
        },
    )
}

proptest! {
    /// Well-formed chains, one after the other until the indices have gone around several times.
    #[test]
    fn agrees_on_sound_rings(size in 2..5u32, event in any::<bool>(), shapes in prop::collection::vec(shape(), 1..60)) {
        let mut b = Both::new(1 << size, event);
        let mut next = 0;
        for (n, s) in shapes.iter().enumerate() {
            let parts = s.reads + s.writes;
            let head = next;
            let (table, mut at) = if s.indirect { (TABLES, 0) } else { (DESC, head) };
            for p in 0..parts {
                let flags = u16::from(p + 1 < parts) | if p >= s.reads { 2 } else { 0 };
                let after = if s.indirect { at + 1 } else { (at + 1) % b.size };
                b.desc(table, at, 0x8000 + u64::from(p), 16 + u32::from(p), flags, after);
                at = after;
            }
            if s.indirect {
                b.desc(DESC, head, TABLES, u32::from(parts) * 16, 4, 0);
            }
            next = (head + if s.indirect { 1 } else { parts }) % b.size;
            b.poke(AVAIL + 4 + 2 * (n as u64 % u64::from(b.size)), &head.to_le_bytes());
            b.poke(AVAIL + 2, &(n as u16 + 1).to_le_bytes());
            b.poke(AVAIL + 4 + 2 * u64::from(b.size), &s.used_event.to_le_bytes());

            let mine = b.ours.take(&b.dma).unwrap().unwrap();
            let chain = b.theirs.pop_descriptor_chain(&b.theirs_memory).unwrap();
            prop_assert_eq!(mine.head, chain.head_index());
            let expected: Vec<_> = chain.map(|d| (d.addr().0, d.len(), d.is_write_only())).collect();
            let got: Vec<_> = mine.readable.iter().map(|x| (x.addr, x.len, false))
                .chain(mine.writable.iter().map(|x| (x.addr, x.len, true))).collect();
            prop_assert_eq!(got, expected);

            b.ours.give(&b.dma, head, s.written).unwrap();
            b.theirs.add_used(&b.theirs_memory, head, s.written).unwrap();
            let (theirs, ours) = b.used_ring();
            prop_assert_eq!(ours, theirs);
            if event {
                let due = b.ours.interrupt_due(&b.dma).unwrap();
                prop_assert_eq!(due, b.theirs.needs_notification(&b.theirs_memory).unwrap());
            }
            prop_assert_eq!(b.ours.take(&b.dma).unwrap(), None);
        }
    }

    /// Any bytes as a ring: nothing panics or runs on, and a chain that is accepted is what the other ring sees.
    #[test]
    fn agrees_on_what_it_accepts(
        raw in prop::collection::vec((0..0x60u64, 0..40u32, 0..8u16, 0..9u16), 8),
        table in prop::collection::vec((0..0x60u64, 0..40u32, 0..4u16, 0..5u16), 4),
        heads in prop::collection::vec(0..9u16, 8),
    ) {
        let mut b = Both::new(8, false);
        for (n, (addr, len, flags, next)) in (0..).zip(&raw) {
            let (addr, len) = if flags & 4 != 0 { (TABLES, len / 8 * 16) } else { (0x8000 + addr, *len) };
            b.desc(DESC, n, addr, len, *flags, *next);
        }
        for (n, (addr, len, flags, next)) in (0..).zip(&table) {
            b.desc(TABLES, n, 0x8000 + addr, *len, *flags, *next);
        }
        for (n, h) in heads.iter().enumerate() {
            b.poke(AVAIL + 4 + 2 * n as u64, &h.to_le_bytes());
        }
        b.poke(AVAIL + 2, &8u16.to_le_bytes());
        for _ in 0..8 {
            let chain = b.theirs.pop_descriptor_chain(&b.theirs_memory).unwrap();
            let Ok(mine) = b.ours.take(&b.dma) else { break };
            let mine = mine.unwrap();
            prop_assert!(mine.readable.len() + mine.writable.len() <= 12);
            let expected: Vec<_> = chain.map(|d| (d.addr().0, d.len(), d.is_write_only())).collect();
            let got: Vec<_> = mine.readable.iter().map(|x| (x.addr, x.len, false))
                .chain(mine.writable.iter().map(|x| (x.addr, x.len, true))).collect();
            prop_assert_eq!(got, expected);
        }
    }
}
