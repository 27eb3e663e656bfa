//! Saving and restoring device state.
//!
//! A device declares its state as a type of its own and never sees bytes. The bytes are CBOR maps, so that a newer
//! version can add fields: put `#[serde(default)]` on every field; unknown fields are skipped.

use crate::Device;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Longest encoded state of one device that is accepted, in bytes. Bulk contents (flash, disks) are not device state.
pub const MAX_STATE_BYTES: usize = 16 << 20;

/// Deepest nesting accepted in encoded state.
const MAX_DEPTH: usize = 32;

/// Why saved state was refused. The device is in its reset state or in the state it had before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// Written by a newer version of the model.
    #[error(
        "State of {id} has version {found}, this build knows up to {known}; restore it with a newer build"
    )]
    Version {
        /// The device's identifier.
        id: &'static str,
        /// The version in the saved state.
        found: u32,
        /// The newest version known.
        known: u32,
    },
    /// Larger than [`MAX_STATE_BYTES`].
    #[error(
        "State of {id} is {len} bytes long, more than any {id} writes; the snapshot is damaged"
    )]
    TooLarge {
        /// The device's identifier.
        id: &'static str,
        /// The length found.
        len: usize,
    },
    /// Not the encoding of the device's state.
    #[error("State of {id} cannot be decoded ({reason}); the snapshot is damaged")]
    Malformed {
        /// The device's identifier.
        id: &'static str,
        /// What the decoder found.
        reason: String,
    },
    /// Well-formed, but no device is ever in this state or the device is configured differently.
    #[error(
        "State does not fit the device: {0}; restore it into a machine with the same configuration"
    )]
    Invalid(String),
}

impl RestoreError {
    /// An [`Invalid`](Self::Invalid) error.
    pub fn invalid(why: impl Into<String>) -> Self {
        Self::Invalid(why.into())
    }
}

/// A device whose state can be saved.
pub trait Snapshot {
    /// Name of the kind of device, such as `uart16550`. Never changes.
    const ID: &'static str;
    /// Version of `State`. Grows when a field changes its meaning.
    const VERSION: u32;
    /// The state. Each field carries `#[serde(default)]`.
    type State: Serialize + DeserializeOwned;

    /// The present state, complete: a device that restores it behaves the same from there on.
    fn save(&self) -> Self::State;

    /// Takes over `state`, written by `version` (not above [`VERSION`](Self::VERSION)) of the model.
    ///
    /// The state is untrusted: everything that indexes or bounds something is checked. Lines are set with
    /// [`IrqLine::set_restored`](crate::IrqLine::set_restored); no edge is raised and no back end is asked for data.
    ///
    /// # Errors
    /// [`RestoreError::Invalid`] if no device can be in that state.
    fn restore(&mut self, state: Self::State, version: u32) -> Result<(), RestoreError>;
}

/// The encoded state of one device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedState {
    /// [`Snapshot::VERSION`] of the writer.
    #[serde(default)]
    pub version: u32,
    /// The state in CBOR.
    #[serde(default)]
    pub bytes: Vec<u8>,
}

/// A device with its state type erased: what the machine holds. Implemented for everything that is [`Device`] and
/// [`Snapshot`].
pub trait DynDevice: Device {
    /// [`Snapshot::ID`].
    fn id(&self) -> &'static str;

    /// The present state, encoded.
    fn save_bytes(&self) -> SavedState;

    /// Takes over encoded state.
    ///
    /// # Errors
    /// Any [`RestoreError`]: the bytes are untrusted.
    fn restore_bytes(&mut self, saved: &SavedState) -> Result<(), RestoreError>;
}

impl<T: Device + Snapshot> DynDevice for T {
    fn id(&self) -> &'static str {
        T::ID
    }

    fn save_bytes(&self) -> SavedState {
        let mut bytes = Vec::new();
        if let Err(e) = ciborium::into_writer(&self.save(), &mut bytes) {
            // A Vec takes everything; only a state type that serde cannot represent ends here, and then the
            // contract tests, which decode what was saved, fail.
            log::error!("State of {} cannot be encoded: {e}", T::ID);
            bytes.clear();
        }
        SavedState {
            version: T::VERSION,
            bytes,
        }
    }

    fn restore_bytes(&mut self, saved: &SavedState) -> Result<(), RestoreError> {
        let id = T::ID;
        if saved.version > T::VERSION {
            return Err(RestoreError::Version {
                id,
                found: saved.version,
                known: T::VERSION,
            });
        }
        let state = decode(id, &saved.bytes)?;
        self.restore(state, saved.version)
    }
}

/// Decodes untrusted CBOR of at most [`MAX_STATE_BYTES`], nested at most 32 deep, with nothing behind it.
///
/// # Errors
/// [`RestoreError::TooLarge`] or [`RestoreError::Malformed`].
pub fn decode<S: DeserializeOwned>(id: &'static str, bytes: &[u8]) -> Result<S, RestoreError> {
    if bytes.len() > MAX_STATE_BYTES {
        return Err(RestoreError::TooLarge {
            id,
            len: bytes.len(),
        });
    }
    let mut rest = bytes;
    let state =
        ciborium::de::from_reader_with_recursion_limit(&mut rest, MAX_DEPTH).map_err(|e| {
            RestoreError::Malformed {
                id,
                reason: e.to_string(),
            }
        })?;
    if !rest.is_empty() {
        return Err(RestoreError::Malformed {
            id,
            reason: format!("{} bytes too many", rest.len()),
        });
    }
    Ok(state)
}
