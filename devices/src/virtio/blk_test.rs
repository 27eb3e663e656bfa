use super::blk::spec::*;
use super::fake::Driver;
use super::mmio::reg::*;
use super::mmio_test::{HOT, ready_input};
use super::*;
use crate::block::*;
use crate::testing::{TestHost, contract, fuzz};
use crate::{Device, DynDevice, Notifier, Wiring};
use std::sync::{Arc, Mutex};

const HDR: u64 = 0x8000_0000;
const DATA: u64 = 0x9000_0000;
const STAT: u64 = 0xa000_0000;

fn disk(sectors: usize) -> MemoryDisk {
    MemoryDisk::new((0..sectors * 512).map(|n| (n / 512) as u8).collect())
}

fn blk(storage: impl Storage + 'static) -> Blk {
    let options = BlkOptions {
        serial: "disk-of-the-test".into(),
        ..BlkOptions::default()
    };
    Blk::new(Box::new(SyncBackend::new(storage)), options)
}

fn header(d: &Driver, at: u64, kind: u32, sector: u64) {
    let v = u128::from(kind) | u128::from(sector) << 64;
    d.wires.memory.poke(at, &v.to_le_bytes());
}

/// Runs one request and returns status and used length.
fn request(d: &mut Driver, kind: u32, sector: u64, data: &[(u64, u32)]) -> (u8, u32) {
    header(d, HDR, kind, sector);
    d.wires.memory.poke(STAT, &[0xee]);
    let reads = matches!(kind, T_IN | T_GET_ID);
    let mut parts = vec![(HDR, 16, false)];
    parts.extend(data.iter().map(|(a, l)| (*a, *l, reads)));
    parts.push((STAT, 1, true));
    let head = d.add(0, &parts);
    d.kick(0);
    let (id, len) = d.used(0).expect("completed");
    assert_eq!(id, u32::from(head));
    (d.wires.memory.peek(STAT, 1)[0], len)
}

#[test]
fn reads_and_writes() {
    let m = disk(64);
    let mut d = Driver::ready(blk(m.clone()), 0);
    assert_eq!(
        request(&mut d, T_IN, 3, &[(DATA, 700), (DATA + 700, 324)]),
        (S_OK, 1025)
    );
    let read = d.wires.memory.peek(DATA, 1024);
    assert_eq!((read[0], read[511], read[512], read[1023]), (3, 3, 4, 4));
    d.wires.memory.poke(DATA, &[0xab; 512]);
    assert_eq!(request(&mut d, T_OUT, 63, &[(DATA, 512)]), (S_OK, 1));
    assert_eq!(m.contents()[63 * 512..], [0xab; 512]);
    assert_eq!(request(&mut d, T_FLUSH, 0, &[]), (S_OK, 1));
    assert_eq!(request(&mut d, T_GET_ID, 0, &[(DATA, 20)]), (S_OK, 21));
    assert_eq!(d.wires.memory.peek(DATA, 20), b"disk-of-the-test\0\0\0\0");
    // Several requests in one notification.
    for n in 0..4u64 {
        header(&d, HDR + 16 * n, T_IN, n);
        d.add(
            0,
            &[
                (HDR + 16 * n, 16, false),
                (DATA + 512 * n, 512, true),
                (STAT + n, 1, true),
            ],
        );
    }
    d.kick(0);
    assert_eq!(std::iter::from_fn(|| d.used(0)).count(), 4);
    assert_eq!(d.wires.memory.peek(DATA + 512 * 3, 1), [3]);
}

#[test]
fn bad_requests_fail_alone() {
    let mut d = Driver::ready(blk(disk(8)), 0);
    assert_eq!(request(&mut d, T_IN, 7, &[(DATA, 1024)]).0, S_IOERR);
    assert_eq!(request(&mut d, T_IN, u64::MAX, &[(DATA, 512)]).0, S_IOERR);
    assert_eq!(request(&mut d, T_IN, 1 << 55, &[(DATA, 512)]).0, S_IOERR);
    assert_eq!(request(&mut d, T_OUT, 0, &[(DATA, 100)]).0, S_IOERR);
    assert_eq!(request(&mut d, 99, 0, &[]), (S_UNSUPP, 1));
    // No room for a status; a header that is cut; an address outside of memory.
    d.add(0, &[(HDR, 16, false)]);
    d.add(0, &[(HDR, 7, false), (STAT, 1, true)]);
    header(&d, HDR, T_IN, 0);
    d.add(
        0,
        &[
            (HDR, 16, false),
            (u64::MAX - 100, 512, true),
            (STAT, 1, true),
        ],
    );
    d.kick(0);
    let ends: Vec<u32> = std::iter::from_fn(|| d.used(0)).map(|u| u.1).collect();
    assert_eq!(ends, [0, 1, 0]);
    assert_eq!(d.wires.memory.peek(STAT, 1), [S_IOERR]);
    assert_eq!(d.r(STATUS), 15);
    assert_eq!(request(&mut d, T_IN, 0, &[(DATA, 512)]).0, S_OK);
}

#[test]
fn read_only_disks_refuse_writes() {
    let m = disk(8);
    let mut d = Driver::ready(blk(m.read_only()), F_RO);
    assert_eq!(d.offered() & (F_DISCARD | F_WRITE_ZEROES | F_RO), F_RO);
    assert_eq!(request(&mut d, T_OUT, 0, &[(DATA, 512)]).0, S_IOERR);
    assert_eq!(request(&mut d, T_DISCARD, 0, &[(DATA, 16)]).0, S_IOERR);
    assert_eq!(m.contents(), disk(8).contents());
}

fn range(sector: u64, sectors: u32, flags: u32) -> [u8; 16] {
    (u128::from(sector) | u128::from(sectors) << 64 | u128::from(flags) << 96).to_le_bytes()
}

#[test]
fn discard_and_write_zeroes() {
    let m = disk(64);
    let mut d = Driver::ready(blk(m.clone()), F_DISCARD | F_WRITE_ZEROES);
    d.wires
        .memory
        .poke(DATA, &[range(8, 2, 1), range(20, 1, 0)].concat());
    assert_eq!(request(&mut d, T_WRITE_ZEROES, 0, &[(DATA, 32)]).0, S_OK);
    let c = m.contents();
    for (sector, zero) in [
        (7, false),
        (8, true),
        (9, true),
        (10, false),
        (20, true),
        (21, false),
    ] {
        assert_eq!(
            c[sector * 512..][..512].iter().all(|b| *b == 0),
            zero,
            "{sector}"
        );
    }
    for (range, status) in [
        (range(63, 2, 0), S_IOERR),
        (range(0, 1, 1), S_UNSUPP),
        (range(0, 1, 0), S_OK),
        (range(u64::MAX, 1, 0), S_IOERR),
    ] {
        d.wires.memory.poke(DATA, &range);
        assert_eq!(request(&mut d, T_DISCARD, 0, &[(DATA, 16)]).0, status);
    }
    assert_eq!(request(&mut d, T_DISCARD, 0, &[(DATA, 15)]).0, S_IOERR);
    assert_eq!(request(&mut d, T_DISCARD, 0, &[]).0, S_IOERR);
}

#[test]
fn large_requests_go_in_pieces() {
    let m = disk(16384);
    let mut d = Driver::ready(blk(m.clone()), 0);
    assert_eq!(
        request(&mut d, T_IN, 0, &[(DATA, 8 << 20)]),
        (S_OK, (8 << 20) + 1)
    );
    assert_eq!(
        d.wires.memory.peek(DATA + (8 << 20) - 1, 1),
        [(16383 & 0xff) as u8]
    );
    d.wires.memory.poke(DATA, &vec![0x5a; 3 << 20]);
    assert_eq!(request(&mut d, T_OUT, 1, &[(DATA, 3 << 20)]), (S_OK, 1));
    let c = m.contents();
    assert!(c[512..][..3 << 20].iter().all(|b| *b == 0x5a) && c[511] == 0);
}

#[test]
fn configuration_space() {
    let options = BlkOptions {
        queues: 4,
        block_size: 4096,
        size_max: Some(65536),
        ..BlkOptions::default()
    };
    let mut d = Driver::idle(Blk::new(Box::new(SyncBackend::new(disk(64))), options));
    assert_eq!((d.r(CONFIG), d.r(CONFIG + 4)), (64, 0));
    assert_eq!(
        (d.r(CONFIG + 8), d.r(CONFIG + 12), d.r(CONFIG + 20)),
        (65536, 254, 4096)
    );
    assert_eq!(d.dev.read(0, CONFIG + 34, 2), 4);
    assert_eq!(d.r(CONFIG + 0xfc), 0);
    d.start(F_MQ | F_CONFIG_WCE | F_FLUSH | F_SIZE_MAX);
    assert_eq!(d.queues.len(), 4);
    header(&d, HDR, T_IN, 5);
    d.add(3, &[(HDR, 16, false), (DATA, 512, true), (STAT, 1, true)]);
    d.kick(3);
    assert!(d.used(3).is_some());
    assert_eq!(d.wires.memory.peek(DATA, 1), [5]);
}

/// Counts flushes.
#[derive(Clone)]
struct Flushes(MemoryDisk, Arc<Mutex<u32>>);
impl Storage for Flushes {
    fn len(&self) -> u64 {
        self.0.len()
    }
    fn read_at(&self, o: u64, b: &mut [u8]) -> Result<(), BlockError> {
        self.0.read_at(o, b)
    }
    fn write_at(&self, o: u64, b: &[u8]) -> Result<(), BlockError> {
        self.0.write_at(o, b)
    }
    fn flush(&self) -> Result<(), BlockError> {
        *self.1.lock().unwrap() += 1;
        Ok(())
    }
    fn discard(&self, _: u64, _: u64) -> Result<(), BlockError> {
        Ok(())
    }
    fn write_zeroes(&self, o: u64, l: u64, u: bool) -> Result<(), BlockError> {
        self.0.write_zeroes(o, l, u)
    }
}

#[test]
fn cache_modes() {
    let run = |features, writeback: Option<u8>| {
        let s = Flushes(disk(8), Arc::default());
        let mut d = Driver::ready(blk(s.clone()), features);
        if let Some(w) = writeback {
            let _ = d.dev.write(0, CONFIG + 32, 1, w.into());
            assert_eq!(d.dev.read(0, CONFIG + 32, 1), u64::from(w));
        }
        assert_eq!(request(&mut d, T_OUT, 0, &[(DATA, 512)]), (S_OK, 1));
        *s.1.lock().unwrap()
    };
    assert_eq!(run(F_FLUSH, None), 0, "writeback");
    assert_eq!(run(0, None), 1, "a driver that cannot flush");
    assert_eq!(run(F_FLUSH | F_CONFIG_WCE, Some(1)), 0);
    assert_eq!(run(F_FLUSH | F_CONFIG_WCE, Some(0)), 1);
}

#[test]
fn host_errors_become_io_errors() {
    let plan = FaultPlan::default();
    let m = disk(8);
    let mut d = Driver::ready(blk(Faulty::new(m.clone(), plan.clone())), F_FLUSH);
    for fault in [Fault::Io, Fault::NoSpace, Fault::Short] {
        plan.then(Some(fault));
        assert_eq!(request(&mut d, T_OUT, 0, &[(DATA, 512)]), (S_IOERR, 1));
        plan.then(Some(fault));
        assert_eq!(request(&mut d, T_IN, 0, &[(DATA, 512)]), (S_IOERR, 0));
        plan.then(Some(fault));
        assert_eq!(request(&mut d, T_FLUSH, 0, &[]), (S_IOERR, 1));
    }
    assert_eq!(request(&mut d, T_OUT, 0, &[(DATA, 512)]), (S_OK, 1));
}

/// A back end whose requests a test completes by hand.
#[derive(Clone, Default)]
struct Manual(Arc<Mutex<ManualState>>);
#[derive(Default)]
struct ManualState {
    requests: Vec<BlockRequest>,
    done: Vec<Completion>,
    notifier: Notifier,
}
impl Manual {
    fn waiting(&self) -> usize {
        self.0.lock().unwrap().requests.len()
    }
    /// Completes request `n` of those waiting with a sector of `fill`.
    fn complete(&self, n: usize, fill: u8) {
        let mut s = self.0.lock().unwrap();
        let r = s.requests.remove(n);
        let data = match r.op {
            BlockOp::Read { len, .. } => vec![fill; len as usize],
            _ => Vec::new(),
        };
        s.done.push(Completion {
            id: r.id,
            result: Ok(data),
        });
        s.notifier.notify(0);
    }
}
impl BlockBackend for Manual {
    fn len(&self) -> u64 {
        1 << 20
    }
    fn read_only(&self) -> bool {
        false
    }
    fn max_in_flight(&self) -> usize {
        3
    }
    fn submit(&mut self, r: BlockRequest) {
        self.0.lock().unwrap().requests.push(r);
    }
    fn poll(&mut self) -> Option<Completion> {
        let mut s = self.0.lock().unwrap();
        if s.done.is_empty() {
            None
        } else {
            Some(s.done.remove(0))
        }
    }
    fn attach(&mut self, notifier: Notifier, _: u32) {
        self.0.lock().unwrap().notifier = notifier;
    }
}

fn manual() -> (Driver, Manual) {
    let m = Manual::default();
    let d = Driver::ready(Blk::new(Box::new(m.clone()), BlkOptions::default()), 0);
    (d, m)
}

fn add_reads(d: &mut Driver, n: u64) -> Vec<u16> {
    (0..n)
        .map(|n| {
            header(d, HDR + 16 * n, T_IN, n);
            d.add(
                0,
                &[
                    (HDR + 16 * n, 16, false),
                    (DATA + 512 * n, 512, true),
                    (STAT + n, 1, true),
                ],
            )
        })
        .collect()
}

#[test]
fn bounded_and_out_of_order() {
    let (mut d, m) = manual();
    let heads = add_reads(&mut d, 5);
    d.kick(0);
    assert_eq!(m.waiting(), 3, "no more than the back end takes");
    assert!(!d.dev.quiesce());
    m.complete(2, 7);
    d.deliver();
    assert_eq!(d.used(0), Some((heads[2].into(), 513)));
    assert_eq!(m.waiting(), 3, "the next one follows");
    for _ in 0..4 {
        m.complete(0, 9);
        d.deliver();
    }
    assert_eq!(std::iter::from_fn(|| d.used(0)).count(), 4);
    assert!(d.dev.quiesce());
}

#[test]
fn reset_forgets_requests_in_flight() {
    let (mut d, m) = manual();
    add_reads(&mut d, 2);
    d.kick(0);
    d.start(0);
    d.wires.memory.take_writes();
    let heads = add_reads(&mut d, 1);
    d.kick(0);
    assert_eq!(m.waiting(), 2, "new requests wait for the forgotten ones");
    m.complete(0, 1);
    d.deliver();
    m.complete(0, 1);
    d.deliver();
    assert_eq!(d.used(0), None);
    assert_eq!(d.wires.memory.peek(DATA, 1), [0], "late data goes nowhere");
    assert_eq!(m.waiting(), 1);
    m.complete(0, 5);
    d.deliver();
    assert_eq!(d.used(0), Some((heads[0].into(), 513)));
    assert_eq!(d.wires.memory.peek(DATA, 1), [5]);
    // Completions while no driver is there.
    add_reads(&mut d, 1);
    d.kick(0);
    d.w(STATUS, 0);
    assert!(!d.dev.quiesce());
    m.complete(0, 1);
    d.deliver();
    assert!(d.dev.quiesce());
}

#[test]
fn requests_in_flight_are_saved_and_run_again() {
    let (mut d, _m) = manual();
    let heads = add_reads(&mut d, 3);
    d.kick(0);
    let saved = d.dev.save_bytes();
    let m = Manual::default();
    let blk = Blk::new(Box::new(m.clone()), BlkOptions::default());
    d.dev = VirtioMmio::new(d.wires.wiring(), MmioVersion::Modern, Box::new(blk));
    d.dev.restore_bytes(&saved).unwrap();
    assert_eq!(m.waiting(), 0, "restoring does no I/O");
    d.deliver();
    assert_eq!(m.waiting(), 3);
    for n in 0..3 {
        m.complete(0, 40 + n);
        d.deliver();
    }
    let used: Vec<_> = std::iter::from_fn(|| d.used(0))
        .map(|u| u.0 as u16)
        .collect();
    assert_eq!(used, heads);
    assert_eq!(d.wires.memory.peek(DATA + 1024, 1), [42]);
}

#[test]
fn worker_threads_complete_everything() {
    let m = disk(256);
    let backend = WorkerBackend::new(m.clone(), 3, 4).unwrap();
    let mut d = Driver::ready(Blk::new(Box::new(backend), BlkOptions::default()), 0);
    for round in 0..40u64 {
        for n in 0..5 {
            header(&d, HDR + 16 * n, T_OUT, round * 5 + n);
            d.wires
                .memory
                .poke(DATA + 512 * n, &[(round * 5 + n) as u8 ^ 0xff; 512]);
            d.add(
                0,
                &[
                    (HDR + 16 * n, 16, false),
                    (DATA + 512 * n, 512, false),
                    (STAT + n, 1, true),
                ],
            );
        }
        d.w(QUEUE_NOTIFY, 0);
        assert_eq!(d.wait_used(0, 5).len(), 5);
        assert_eq!(d.wires.memory.peek(STAT, 5), [0; 5]);
    }
    let c = m.contents();
    for n in 0..200 {
        assert_eq!(c[n * 512], n as u8 ^ 0xff);
    }
}

#[test]
fn contract_and_fuzz() {
    let plan = FaultPlan::default();
    let planned = 1 << 20;
    (0..planned).for_each(|_| plan.then(None));
    let make = |w: Wiring, h: &TestHost| {
        h.hot(&HOT);
        h.dma_budget(512 << 20);
        let options = BlkOptions {
            queues: 2,
            queue_size: 8,
            size_max: Some(4096),
            ..BlkOptions::default()
        };
        // The disk is not part of the saved state: it stays as it is.
        let blk = Blk::new(
            Box::new(SyncBackend::new(Faulty::new(
                disk(64).read_only(),
                plan.clone(),
            ))),
            options,
        );
        VirtioMmio::new(w, MmioVersion::Modern, Box::new(blk))
    };
    contract::check_with(make);
    assert_eq!(fuzz::blind(200, 500, make), Ok(()));
    for seed in 0..600 {
        let features = [0, 1 << 28, 1 << 29, 3 << 28][seed as usize % 4];
        assert_eq!(
            fuzz::run_with(&ready_input(features, seed), make),
            Ok(()),
            "{seed}"
        );
    }
    let done = planned - plan.left();
    assert!(
        done > 100,
        "only {done} of the inputs' requests reached the disk"
    );
}
