//! The Berkeley host-target interface: `tohost` and `fromhost`.
//!
//! HTIF has no written specification; this follows what programs for the RISC-V proxy kernel and `riscv-tests` do.
//! `tohost` is at offset 0 and `fromhost` at 8. A word holds a device in bits 63..56, a command in 55..48 and a payload.
//!
//! * Device 0, command 0, payload bit 0 set: exit with code `payload >> 1`.
//! * Device 0, command 0, otherwise: the payload is the address of eight 64-bit words that hold a system call's number
//!   and arguments. `exit` (93) and `write` (64, to descriptors 1 and 2) are known, others return `-ENOSYS`; the result
//!   goes to the first word and `fromhost` becomes 1.
//! * Device 1, command 0: wait for a character; it comes in `fromhost` with bit 8 set. Command 1: print one.
//!
//! `tohost` reads as zero when the request is finished. A request written before that is ignored. 32-bit writes take
//! effect with the high half.
//!
//! Not implemented: other system calls, the block device, device enumeration (command 255).

use crate::char::CharBackend;
use crate::{AccessSizes, Action, Device, RegionSpec, ResetKind, RestoreError, Snapshot, Wiring};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

static REGIONS: [RegionSpec; 1] = [RegionSpec::mmio("htif", 16, AccessSizes { min: 4, max: 8 })];

const SYS_WRITE: u64 = 64;
const SYS_EXIT: u64 = 93;
const ENOSYS: u64 = 38;
const EBADF: u64 = 9;
const EFAULT: u64 = 14;
/// Most bytes one `write` call moves; the caller sees a short count.
const MAX_WRITE: u64 = 16 << 10;
const TOKEN: u32 = 0;

/// Saved state of an [`Htif`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    tohost: u64,
    fromhost: u64,
    /// Bytes on their way to the back end. The request they belong to is finished when they are gone.
    out: VecDeque<u8>,
    /// What `fromhost` becomes when `out` is empty.
    answer: Option<u64>,
    /// A character is asked for.
    getchar: bool,
}

/// A host-target interface with a console.
pub struct Htif {
    w: Wiring,
    backend: Box<dyn CharBackend>,
    s: State,
}

impl Htif {
    /// An interface whose console is `backend`.
    #[must_use]
    pub fn new(w: Wiring, mut backend: Box<dyn CharBackend>) -> Self {
        backend.attach(w.backend.clone(), TOKEN);
        Self {
            w,
            backend,
            s: State::default(),
        }
    }

    fn busy(&self) -> bool {
        self.s.answer.is_some() || self.s.getchar
    }

    fn request(&mut self) -> Action {
        if self.busy() {
            return Action::None;
        }
        let payload = self.s.tohost & 0xffff_ffff_ffff;
        match (self.s.tohost >> 56, self.s.tohost >> 48 & 0xff) {
            (0, 0) if payload == 0 => {}
            (0, 0) if payload & 1 != 0 => {
                self.s.tohost = 0;
                return Action::PowerOff {
                    code: (payload >> 1) as u32,
                };
            }
            (0, 0) => return self.system_call(payload),
            (1, 0) => self.s.getchar = true,
            (1, 1) => {
                self.s.out.push_back(payload as u8);
                self.s.answer = Some(0x0101 << 48);
            }
            _ => self.s.tohost = 0,
        }
        self.progress();
        Action::None
    }

    fn system_call(&mut self, at: u64) -> Action {
        // The block is read once: the guest may change it meanwhile.
        let mut block = [0; 32];
        let mut result = EFAULT.wrapping_neg();
        if self.w.dma.read_bytes(at, &mut block).is_ok() {
            let word = |n: usize| {
                block
                    .chunks_exact(8)
                    .nth(n)
                    .and_then(|b| b.try_into().ok())
                    .map_or(0, u64::from_le_bytes)
            };
            match word(0) {
                SYS_EXIT => {
                    self.s.tohost = 0;
                    return Action::PowerOff {
                        code: word(1) as u32,
                    };
                }
                SYS_WRITE if matches!(word(1), 1 | 2) => {
                    let mut data = vec![0; word(3).min(MAX_WRITE) as usize];
                    if self.w.dma.read_bytes(word(2), &mut data).is_ok() {
                        result = data.len() as u64;
                        self.s.out.extend(data);
                    }
                }
                SYS_WRITE => result = EBADF.wrapping_neg(),
                _ => result = ENOSYS.wrapping_neg(),
            }
        }
        // If the block cannot be written the guest waits for nothing: it gave a bad address.
        let _ = self.w.dma.write_u64(at, result);
        self.s.answer = Some(1);
        self.progress();
        Action::None
    }

    fn progress(&mut self) {
        while !self.s.out.is_empty() {
            let n = self.backend.write(self.s.out.as_slices().0);
            if n == 0 {
                return;
            }
            self.s.out.drain(..n.min(self.s.out.len()));
        }
        if let Some(answer) = self.s.answer.take() {
            self.s.fromhost = answer;
            self.s.tohost = 0;
        }
        if self.s.getchar {
            let mut byte = [0];
            if self.backend.read(&mut byte) != 0 {
                self.s.getchar = false;
                self.s.tohost = 0;
                self.s.fromhost = 0x0100 << 48 | 0x100 | u64::from(byte[0]);
            }
        }
    }
}

impl Device for Htif {
    fn regions(&self) -> &[RegionSpec] {
        &REGIONS
    }

    fn read(&mut self, _region: usize, offset: u64, size: u8) -> u64 {
        let word = match offset & !7 {
            0 => self.s.tohost,
            8 => self.s.fromhost,
            _ => 0,
        };
        match size {
            8 => word,
            4 => word >> (8 * (offset & 4)) & 0xffff_ffff,
            _ => 0,
        }
    }

    fn write(&mut self, _region: usize, offset: u64, size: u8, value: u64) -> Action {
        if offset > 15 || !matches!(size, 4 | 8) || offset & !7 == 0 && self.busy() {
            return Action::None;
        }
        let word = if offset & !7 == 0 {
            &mut self.s.tohost
        } else {
            &mut self.s.fromhost
        };
        *word = match (size, offset & 4) {
            (8, _) => value,
            (_, 0) => *word & !0xffff_ffff | value & 0xffff_ffff,
            _ => *word & 0xffff_ffff | value << 32,
        };
        if offset & !7 == 0 && (size == 8 || offset & 4 != 0) {
            self.request()
        } else {
            Action::None
        }
    }

    fn reset(&mut self, _kind: ResetKind) {
        self.s = State::default();
    }

    fn event(&mut self, _token: u32) {
        self.progress();
    }
}

impl Snapshot for Htif {
    const ID: &'static str = "htif";
    const VERSION: u32 = 1;
    type State = State;

    fn save(&self) -> State {
        self.s.clone()
    }

    fn restore(&mut self, s: State, _version: u32) -> Result<(), RestoreError> {
        if s.out.len() as u64 > MAX_WRITE {
            return Err(RestoreError::invalid(
                "HTIF holds more output than one request makes",
            ));
        }
        if s.out.is_empty() == s.answer.is_some() || s.answer.is_some() && s.getchar {
            return Err(RestoreError::invalid(
                "HTIF's requests contradict each other",
            ));
        }
        self.s = s;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TestWires;
    use crate::testing::{TestChar, contract, fuzz};

    fn htif() -> (Htif, TestWires, TestChar) {
        let (w, wires) = Wiring::test();
        let console = TestChar::default();
        (Htif::new(w, Box::new(console.clone())), wires, console)
    }

    #[test]
    fn exit_codes() {
        let (mut h, _, _) = htif();
        assert_eq!(h.write(0, 0, 8, 1), Action::PowerOff { code: 0 });
        assert_eq!(h.write(0, 0, 8, 7 << 1 | 1), Action::PowerOff { code: 7 });
        assert_eq!(h.write(0, 0, 4, 3), Action::None, "waits for the high half");
        assert_eq!(h.write(0, 4, 4, 0), Action::PowerOff { code: 1 });
    }

    #[test]
    fn console() {
        let (mut h, _, console) = htif();
        console.set_room(Some(0));
        let _ = h.write(0, 0, 8, 0x0101 << 48 | u64::from(b'A'));
        assert_ne!(h.read(0, 0, 8), 0, "busy while the back end is full");
        let _ = h.write(0, 0, 8, 0x0101 << 48 | u64::from(b'B'));
        console.set_room(None);
        h.event(0);
        assert_eq!((h.read(0, 0, 8), h.read(0, 8, 8)), (0, 0x0101 << 48));
        assert_eq!(console.take_output(), b"A");
        let _ = h.write(0, 8, 8, 0);
        let _ = h.write(0, 0, 8, 0x0100 << 48);
        assert_eq!(h.read(0, 8, 8), 0);
        console.push(b"z");
        h.event(0);
        assert_eq!(
            (h.read(0, 0, 8), h.read(0, 8, 8)),
            (0, 0x0100 << 48 | 0x17a)
        );
    }

    #[test]
    fn system_calls() {
        let (mut h, wires, console) = htif();
        let call = |words: [u64; 4]| {
            wires
                .memory
                .poke(0x1000, &words.map(u64::to_le_bytes).concat())
        };
        let result = || u64::from_le_bytes(wires.memory.peek(0x1000, 8).try_into().unwrap());
        wires.memory.poke(0x2000, b"hello");
        call([SYS_WRITE, 1, 0x2000, 5]);
        let _ = h.write(0, 0, 8, 0x1000);
        assert_eq!((console.take_output(), result()), (b"hello".to_vec(), 5));
        assert_eq!((h.read(0, 0, 8), h.read(0, 8, 8)), (0, 1));
        call([SYS_WRITE, 1, 0x2000, u64::MAX]);
        let _ = h.write(0, 0, 8, 0x1000);
        assert_eq!(result(), MAX_WRITE);
        call([12345, 0, 0, 0]);
        let _ = h.write(0, 0, 8, 0x1000);
        assert_eq!(result() as i64, -38);
        call([SYS_EXIT, 3, 0, 0]);
        assert_eq!(h.write(0, 0, 8, 0x1000), Action::PowerOff { code: 3 });
    }

    #[test]
    fn contract_and_fuzz() {
        let make = |w, h: &crate::testing::TestHost| Htif::new(w, Box::new(h.char()));
        contract::check_with(make);
        assert_eq!(fuzz::blind(400, 400, make), Ok(()));
        // Requests are too rare in blind input: a twin in the middle of each.
        let sizes = REGIONS[0].sizes;
        let seed = fuzz::Encoder::new()
            .room(0, 0)
            .write(0, 0, 8, sizes, 0x0101 << 48 | 65)
            .twin()
            .room(0, 255)
            .read(0, 8, 8, sizes)
            .write(0, 0, 8, sizes, 0x0100 << 48)
            .twin()
            .type_in(0, b"k")
            .read(0, 8, 8, sizes)
            .memory(0x100, &[64, 1, 0x100, 20].map(u64::to_le_bytes).concat())
            .room(0, 3)
            .write(0, 0, 8, sizes, 0x100)
            .twin()
            .room(0, 255)
            .read(0, 0, 8, sizes);
        assert_eq!(fuzz::run_with(&seed.finish(), make), Ok(()));
    }
}
