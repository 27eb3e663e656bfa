//! `fflags`, `frm`, `fcsr` (Unprivileged, "F"). They live with the execution engine.

use super::super::hart::Hart;
use super::{CsrEffect, CsrEnv, addr};

impl Hart {
    pub(super) fn read_float(&self, csr: u16, env: &dyn CsrEnv) -> Option<u64> {
        if !self.model.has(super::Ext::F) {
            return None;
        }
        let (fflags, frm) = (u64::from(env.fflags() & 31), u64::from(env.frm() & 7));
        match csr {
            addr::FFLAGS => Some(fflags),
            addr::FRM => Some(frm),
            addr::FCSR => Some(frm << 5 | fflags),
            _ => None,
        }
    }

    pub(super) fn write_float(&mut self, csr: u16, value: u64, env: &mut dyn CsrEnv) -> CsrEffect {
        if csr != addr::FRM {
            env.set_fflags(value as u8 & 31);
        }
        match csr {
            addr::FRM => env.set_frm(value as u8 & 7),
            addr::FCSR => env.set_frm((value >> 5) as u8 & 7),
            _ => {}
        }
        // Only a debugger gets here while FS is off; it must not switch the unit on.
        if self.fs_on() && self.mark_fs_dirty() {
            CsrEffect::MODE
        } else {
            CsrEffect::NONE
        }
    }
}
