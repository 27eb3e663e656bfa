use super::*;
use crate::fake::idle;
use ambidex_cpu::MemFault;

/// Memory from address 0 on.
struct Mem(Vec<u8>);

impl GuestMem for Mem {
    fn read(&mut self, va: u64, buf: &mut [u8]) -> Result<(), MemFault> {
        let end = va
            .checked_add(buf.len() as u64)
            .filter(|e| *e <= self.0.len() as u64)
            .ok_or(MemFault { va })?;
        buf.copy_from_slice(&self.0[va as usize..end as usize]);
        Ok(())
    }

    fn write(&mut self, va: u64, buf: &[u8]) -> Result<(), MemFault> {
        let end = va
            .checked_add(buf.len() as u64)
            .filter(|e| *e <= self.0.len() as u64)
            .ok_or(MemFault { va })?;
        self.0[va as usize..end as usize].copy_from_slice(buf);
        Ok(())
    }
}

struct Test {
    s: Arc<Semihosting>,
    mem: Mem,
    hub: Arc<Hub>,
}

impl Test {
    fn new(config: SemihostingConfig) -> Test {
        let (m, _) = idle(1, "rv64");
        let hub = m.bus.hub.clone();
        Test {
            s: Semihosting::new(config, hub.clone(), Console::default()),
            mem: Mem(vec![0; 0x4000]),
            hub,
        }
    }

    /// A call with a block of words.
    fn call(&mut self, op: u64, words: &[u64]) -> u64 {
        for (n, w) in words.iter().enumerate() {
            self.mem.write(8 * n as u64, &w.to_le_bytes()).unwrap();
        }
        self.s.call(op, 0, &mut self.mem)
    }

    fn open(&mut self, name: &str, mode: u64) -> u64 {
        self.mem.write(0x100, name.as_bytes()).unwrap();
        self.call(1, &[0x100, mode, name.len() as u64])
    }
}

#[test]
fn the_console() {
    let mut t = Test::new(SemihostingConfig {
        cmdline: "prog arg".into(),
        ..Default::default()
    });
    t.mem.write(0x200, b"hello\0world").unwrap();
    assert_eq!(t.s.call(4, 0x200, &mut t.mem), 0);
    assert_eq!(t.s.call(3, 0x206, &mut t.mem), 0);
    let out = t.open(":tt", 4);
    assert_eq!(t.call(5, &[out, 0x207, 4]), 0);
    assert_eq!(t.s.console.text(), "helloworld");
    assert_eq!(t.call(9, &[out]), 1);
    t.s.console.send(b"ab");
    assert_eq!(t.call(7, &[]), u64::from(b'a'));
    let input = t.open(":tt", 0);
    assert_eq!(t.call(6, &[input, 0x300, 5]), 4, "four bytes not read");
    assert_eq!(t.mem.0[0x300], b'b');
    assert_eq!(t.call(2, &[out]), 0);
    assert_eq!(t.call(2, &[out]), FAILED);
    assert_eq!(t.call(0x13, &[]), EBADF);
    assert_eq!(t.call(0x15, &[0x400, 100]), 0);
    assert_eq!(&t.mem.0[0x400..0x409], b"prog arg\0");
    assert_eq!(t.mem.0[8], 8, "the length goes back");
    assert_eq!(t.call(0x15, &[0x400, 3]), FAILED);
    let f = t.open(":semihosting-features", 0);
    assert_eq!((t.call(0x0c, &[f]), t.call(6, &[f, 0x500, 5])), (5, 0));
    assert_eq!(&t.mem.0[0x500..0x504], b"SHFB");
    assert_eq!(t.call(0x99, &[]), FAILED);
}

#[test]
fn exit_codes() {
    for (op, words, code) in [
        (0x18, [APPLICATION_EXIT, 3], 3),
        (0x20, [APPLICATION_EXIT, 0], 0),
        (0x20, [0x20023, 0], 1),
    ] {
        let mut t = Test::new(SemihostingConfig::default());
        t.call(op, &words);
        assert_eq!(
            t.hub.take_request(),
            Some(Request::Exit(ExitReason::PowerOff { code }))
        );
    }
}

#[test]
fn files_stay_in_their_folder() {
    let base = std::env::temp_dir().join(format!("ambidex-semihosting-{}", std::process::id()));
    let folder = base.join("shared");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(base.join("secret"), "s").unwrap();
    std::fs::write(folder.join("data"), "12345").unwrap();
    std::os::unix::fs::symlink(base.join("secret"), folder.join("link")).unwrap();
    let mut none = Test::new(SemihostingConfig::default());
    assert_eq!(none.open("data", 0), FAILED);
    assert_eq!(none.call(0x13, &[]), EACCES);
    let mut t = Test::new(SemihostingConfig {
        files: Some(folder.clone()),
        ..Default::default()
    });
    for outside in ["../secret", "/etc/passwd", "link", "a/../../secret"] {
        assert_eq!(t.open(outside, 0), FAILED, "{outside}");
    }
    for writes in 2..12 {
        assert_eq!(t.open("data", writes), FAILED, "mode {writes}");
    }
    let f = t.open("data", 0);
    assert_eq!(
        (
            t.call(0x0c, &[f]),
            t.call(0x0a, &[f, 2]),
            t.call(6, &[f, 0x200, 10])
        ),
        (5, 0, 7)
    );
    assert_eq!(&t.mem.0[0x200..0x203], b"345");
    assert_eq!(t.call(5, &[f, 0x200, 1]), FAILED);
    let mut w = Test::new(SemihostingConfig {
        files: Some(folder.clone()),
        writable: true,
        ..Default::default()
    });
    let f = w.open("new", 4);
    w.mem.write(0x200, b"out").unwrap();
    assert_eq!((w.call(5, &[f, 0x200, 3]), w.call(2, &[f])), (0, 0));
    assert_eq!(std::fs::read(folder.join("new")).unwrap(), b"out");
    w.mem.write(0x100, b"new").unwrap();
    assert_eq!(w.call(0x0e, &[0x100, 3]), 0);
    assert!(!folder.join("new").exists());
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn any_call_is_answered() {
    use proptest::prelude::*;
    let config = SemihostingConfig::default();
    let hub = Test::new(config.clone()).hub;
    let word = prop_oneof![0..0x4000u64, any::<u64>(), Just(u64::MAX), 0..4u64];
    proptest!(|(ops in prop::collection::vec((0..0x40u64, prop::array::uniform4(word)), 1..20))| {
        let mut t = Test { s: Semihosting::new(config.clone(), hub.clone(), Console::default()), mem: Mem(vec![0; 0x4000]), hub: hub.clone() };
        for (op, words) in ops {
            t.call(op, &words);
            t.s.call(op, words[0], &mut t.mem);
        }
    });
}
