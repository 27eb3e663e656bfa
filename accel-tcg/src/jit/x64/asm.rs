//! The assembler: a fixed scratch buffer, a position, labels.

use super::label::Fixup;
use thiserror::Error;

/// Why a block could not be assembled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AsmError {
    /// The code did not fit.
    #[error(
        "the block does not fit into the {capacity} byte code buffer; translate fewer guest instructions at once"
    )]
    Overflow {
        /// Size of the buffer, bytes.
        capacity: usize,
    },
    /// A label was used and never bound.
    #[error("label {label} is used but never bound")]
    UnboundLabel {
        /// Number of the label in order of creation.
        label: u32,
    },
    /// A short jump does not reach its label.
    #[error(
        "the short jump at offset {at} would have to reach {distance} bytes; use the near form"
    )]
    ShortJump {
        /// Offset of its displacement byte.
        at: usize,
        /// The distance, bytes.
        distance: i64,
    },
    /// A jump to an address outside the block is longer than 32 bits allow.
    #[error(
        "code at {from:#x} cannot reach {target:#x}: more than 2 GiB apart; keep the code cache below that"
    )]
    TooFar {
        /// Address of the end of the jump.
        from: u64,
        /// Where it should go.
        target: u64,
    },
}

/// Room that must be free for any instruction to be emitted; see [`Asm::new`].
pub(super) const SLACK: usize = 16;

/// An x86-64 assembler writing to its own buffer, which is reused for block after block.
///
/// Methods are named after the instruction, followed by its operand kinds: `r` general register, `x` SSE register, `m` memory,
/// `i` immediate; destination first. No method fails: a block that outgrows the buffer is reported by [`Asm::finish`].
#[derive(Debug)]
pub struct Asm {
    pub(super) buf: Box<[u8]>,
    pub(super) pos: usize,
    pub(super) overflow: bool,
    pub(super) origin: u64,
    pub(super) too_far: Option<(u64, u64)>,
    pub(super) labels: Vec<u32>,
    pub(super) fixups: Vec<Fixup>,
}

impl Asm {
    /// An assembler for blocks of up to `capacity` bytes (at most 1 GiB; the only allocation apart from growing label lists).
    pub fn new(capacity: usize) -> Asm {
        let capacity = capacity.min(1 << 30);
        Asm {
            buf: vec![0; capacity + SLACK].into_boxed_slice(),
            pos: 0,
            overflow: false,
            origin: 0,
            too_far: None,
            labels: Vec::with_capacity(64),
            fixups: Vec::with_capacity(64),
        }
    }

    /// Starts a new block that will be placed at address (or code cache offset) `origin`; forgets code, labels and errors.
    #[inline]
    pub fn reset(&mut self, origin: u64) {
        self.pos = 0;
        self.overflow = false;
        self.origin = origin;
        self.too_far = None;
        self.labels.clear();
        self.fixups.clear();
    }

    /// Resolves the labels and returns the code of the block.
    ///
    /// # Errors
    /// Any [`AsmError`]. The code must then be thrown away.
    pub fn finish(&mut self) -> Result<&[u8], AsmError> {
        let capacity = self.buf.len() - SLACK;
        if self.overflow || self.pos > capacity {
            return Err(AsmError::Overflow { capacity });
        }
        if let Some((from, target)) = self.too_far {
            return Err(AsmError::TooFar { from, target });
        }
        self.resolve()?;
        Ok(&self.buf[..self.pos])
    }

    /// Bytes emitted since `reset`.
    #[inline]
    pub fn len(&self) -> usize {
        self.pos
    }

    /// True if nothing has been emitted since `reset`.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.pos == 0
    }

    /// The address of the next instruction: `origin + len`.
    #[inline]
    pub fn address(&self) -> u64 {
        self.origin.wrapping_add(self.pos as u64)
    }

    /// Largest block that fits, bytes.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.buf.len() - SLACK
    }

    /// True once the block has outgrown the buffer; further code is dropped. Lets a compiler give up early.
    #[inline]
    pub fn overflowed(&self) -> bool {
        self.overflow || self.pos > self.buf.len() - SLACK
    }

    /// Points the `[rip + disp]` operand of the instruction just emitted, which must not end in an immediate, at an address in
    /// the space of the origin.
    pub fn retarget_rip(&mut self, target: u64) {
        let from = self.address();
        let rel = target.wrapping_sub(from) as i64;
        if rel != i64::from(rel as i32) {
            self.too_far.get_or_insert((from, target));
        }
        if let Some(at) = self.pos.checked_sub(4) {
            self.buf[at..self.pos].copy_from_slice(&(rel as i32).to_le_bytes());
        }
    }

    /// Emits `bytes` as they are.
    pub fn data(&mut self, bytes: &[u8]) {
        match self.buf.get_mut(self.pos..self.pos + bytes.len()) {
            Some(to) => {
                to.copy_from_slice(bytes);
                self.pos += bytes.len();
            }
            None => self.overflow = true,
        }
    }

    /// Emits `len` bytes of no-operation in as few instructions as possible (Intel SDM volume 2, NOP, recommended sequences).
    pub fn nop(&mut self, mut len: usize) {
        const NOPS: [&[u8]; 9] = [
            &[0x90],
            &[0x66, 0x90],
            &[0x0F, 0x1F, 0x00],
            &[0x0F, 0x1F, 0x40, 0x00],
            &[0x0F, 0x1F, 0x44, 0x00, 0x00],
            &[0x66, 0x0F, 0x1F, 0x44, 0x00, 0x00],
            &[0x0F, 0x1F, 0x80, 0x00, 0x00, 0x00, 0x00],
            &[0x0F, 0x1F, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
            &[0x66, 0x0F, 0x1F, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
        ];
        while len > 0 && !self.overflowed() {
            let n = len.min(NOPS.len());
            self.data(NOPS[n - 1]);
            len -= n;
        }
    }

    /// Pads with no-operations until the address is a multiple of `to` (a power of two).
    pub fn align(&mut self, to: usize) {
        debug_assert!(to.is_power_of_two());
        let n = (self.address() as usize).wrapping_neg() & (to - 1);
        self.nop(n);
    }
}
