//! Labels inside one block, and the displacements that wait for them.

use super::asm::{Asm, AsmError};

/// A place in the code being assembled. Belongs to the [`Asm`] that made it, until its next `reset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Label(pub(super) u32);

/// Position of a label that is not bound yet.
pub(super) const UNBOUND: u32 = u32::MAX;

/// Kind of a fixup: the displacement is one byte.
const SHORT: u8 = 0xFF;

/// A displacement field to be filled in when its label is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fixup {
    /// Offset of the field.
    site: u32,
    /// Number of the label.
    label: u32,
    /// [`SHORT`], or: a 4-byte field followed by this many bytes of immediate.
    kind: u8,
}

impl Asm {
    /// Makes a new label, not yet bound.
    #[inline]
    pub fn label(&mut self) -> Label {
        self.labels.push(UNBOUND);
        Label(self.labels.len() as u32 - 1)
    }

    /// Makes a new label bound here.
    #[inline]
    pub fn here(&mut self) -> Label {
        self.labels.push(self.pos as u32);
        Label(self.labels.len() as u32 - 1)
    }

    /// Binds `label` to the current position. Binding twice is a bug in the caller and panics in debug builds.
    #[inline]
    pub fn bind(&mut self, label: Label) {
        let slot = &mut self.labels[label.0 as usize];
        debug_assert_eq!(*slot, UNBOUND, "label bound twice");
        *slot = self.pos as u32;
    }

    /// Offset of a bound label from the start of the block.
    #[inline]
    pub fn offset_of(&self, label: Label) -> Option<usize> {
        match self.labels[label.0 as usize] {
            UNBOUND => None,
            at => Some(at as usize),
        }
    }

    /// Notes a 4-byte field at `site` with `after` bytes of immediate behind it.
    #[inline]
    pub(super) fn fixup_at(&mut self, site: usize, label: Label, after: u8) {
        self.fixups.push(Fixup {
            site: site as u32,
            label: label.0,
            kind: after,
        });
    }

    /// Notes the one-byte field that was just emitted.
    #[inline]
    pub(super) fn fixup_short(&mut self, label: Label) {
        self.fixups.push(Fixup {
            site: (self.pos as u32).wrapping_sub(1),
            label: label.0,
            kind: SHORT,
        });
    }

    /// Fills in all fields.
    pub(super) fn resolve(&mut self) -> Result<(), AsmError> {
        for f in self.fixups.drain(..) {
            let target = self.labels[f.label as usize];
            if target == UNBOUND {
                return Err(AsmError::UnboundLabel { label: f.label });
            }
            let site = f.site as usize;
            if f.kind == SHORT {
                let rel = i64::from(target) - (i64::from(f.site) + 1);
                let rel = i8::try_from(rel).map_err(|_| AsmError::ShortJump {
                    at: site,
                    distance: rel,
                })?;
                self.buf[site] = rel as u8;
            } else {
                let end = i64::from(f.site) + 4 + i64::from(f.kind);
                // Both ends lie in one buffer of less than 2 GiB.
                let rel = (i64::from(target) - end) as i32;
                self.buf[site..site + 4].copy_from_slice(&rel.to_le_bytes());
            }
        }
        Ok(())
    }
}
