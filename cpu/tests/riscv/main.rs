//! The riscv64 part against the privileged specification.

use ambidex_cpu::riscv::{CsrEnv, Hart, Model, Priv};

mod access;
mod interrupt;
mod model;
mod pmp;
mod state;
mod trap;
mod walk;
mod warl;

/// A settable environment.
#[derive(Default)]
struct Env {
    time: u64,
    cycle: u64,
    instret: u64,
    pins: u64,
    fflags: u8,
    frm: u8,
}

impl CsrEnv for Env {
    fn time(&self) -> u64 {
        self.time
    }
    fn cycle(&self) -> u64 {
        self.cycle
    }
    fn instret(&self) -> u64 {
        self.instret
    }
    fn pins(&self) -> u64 {
        self.pins
    }
    fn fflags(&self) -> u8 {
        self.fflags
    }
    fn set_fflags(&mut self, fflags: u8) {
        self.fflags = fflags;
    }
    fn frm(&self) -> u8 {
        self.frm
    }
    fn set_frm(&mut self, frm: u8) {
        self.frm = frm;
    }
}

const MODES: [Priv; 3] = [Priv::User, Priv::Supervisor, Priv::Machine];

fn hart(model: &str) -> Hart {
    Hart::new(model.parse::<Model>().unwrap(), 5)
}

/// Writes in M-mode whatever the present mode.
fn poke(h: &mut Hart, csr: u16, value: u64) {
    h.csr_poke(csr, value, &mut Env::default()).unwrap();
}

fn peek(h: &Hart, csr: u16) -> u64 {
    h.csr_peek(csr, &mut Env::default()).unwrap()
}
