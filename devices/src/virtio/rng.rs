//! The entropy device (section 5.4).
//!
//! Each request is filled from an [`EntropySource`] up to 64 KiB. Nothing of the section is left out.

use super::device::{DeviceState, Io, VirtioDevice};
use super::features::Features;
use crate::RestoreError;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Read;

/// Most bytes given for one buffer; the driver sees the length.
const MAX_REQUEST: u64 = 64 << 10;
const PIECE: usize = 4096;

/// Where random bytes come from.
pub trait EntropySource: Send {
    /// Fills `buf`. A source that cannot returns `false`; the request then yields nothing.
    fn fill(&mut self, buf: &mut [u8]) -> bool;

    /// The state of a source that is reproducible.
    fn save(&self) -> Option<u64> {
        None
    }

    /// Takes over the state of a reproducible source.
    fn restore(&mut self, state: u64) {
        let _ = state;
    }
}

/// The host's random number generator.
#[derive(Debug)]
pub struct HostEntropy(File);

impl HostEntropy {
    /// Opens the host's generator.
    ///
    /// # Errors
    /// `/dev/urandom` cannot be opened.
    pub fn open() -> std::io::Result<Self> {
        File::open("/dev/urandom").map(Self)
    }
}

impl EntropySource for HostEntropy {
    fn fill(&mut self, buf: &mut [u8]) -> bool {
        self.0.read_exact(buf).is_ok()
    }
}

/// The same bytes for the same seed (SplitMix64): for deterministic runs. Not for secrets.
#[derive(Clone, Debug)]
pub struct SeededEntropy(u64);

impl SeededEntropy {
    /// A source that starts from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }
}

impl EntropySource for SeededEntropy {
    fn fill(&mut self, buf: &mut [u8]) -> bool {
        for part in buf.chunks_mut(8) {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            for (to, from) in part.iter_mut().zip((z ^ (z >> 31)).to_le_bytes()) {
                *to = from;
            }
        }
        true
    }

    fn save(&self) -> Option<u64> {
        Some(self.0)
    }

    fn restore(&mut self, state: u64) {
        self.0 = state;
    }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct State {
    source: Option<u64>,
}

/// An entropy device.
pub struct Rng {
    source: Box<dyn EntropySource>,
    initial: Option<u64>,
}

impl Rng {
    /// A device that hands out bytes of `source`.
    #[must_use]
    pub fn new(source: Box<dyn EntropySource>) -> Self {
        let initial = source.save();
        Self { source, initial }
    }
}

impl VirtioDevice for Rng {
    fn device_id(&self) -> u32 {
        4
    }

    fn features(&self) -> Features {
        Features::empty()
    }

    fn queue_sizes(&self) -> &[u16] {
        &[64]
    }

    /// A reproducible source starts over, so that a reset machine runs the same way again.
    fn reset(&mut self) {
        if let Some(state) = self.initial {
            self.source.restore(state);
        }
    }

    fn queue_notified(&mut self, io: &mut Io<'_>, queue: u16) {
        while let Some(chain) = io.pop(queue) {
            let want = chain.writable_len().min(MAX_REQUEST);
            let mut done = 0;
            let mut buf = [0; PIECE];
            while done < want {
                let n = usize::try_from(want - done).unwrap_or(PIECE).min(PIECE);
                let Some(part) = buf.get_mut(..n) else { break };
                if !self.source.fill(part) || io.write(&chain, done, part).is_err() {
                    break;
                }
                done += n as u64;
            }
            io.push(queue, &chain, done);
        }
    }

    fn save(&self) -> DeviceState {
        DeviceState::new(&State {
            source: self.source.save(),
        })
    }

    fn restore(&mut self, state: DeviceState) -> Result<(), RestoreError> {
        if let Some(source) = state.get::<State>()?.source {
            self.source.restore(source);
        }
        Ok(())
    }
}
