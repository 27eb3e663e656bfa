//! The 16550A UART.
//!
//! Written from the National Semiconductor PC16550D data sheet (June 1995), sections 8.1 to 8.8 (registers) and 8.11
//! (FIFO operation), and the devicetree binding `ns16550a` for register spacing.
//!
//! Complete: both FIFOs, trigger levels, receive time-out, interrupt priorities, line errors and break, loopback,
//! modem status with deltas, divisor latch, scratch. The back end's input waits outside while the receive FIFO is full,
//! as if the other end kept to hardware flow control, so that nothing is lost; overruns happen in loopback only. When
//! the back end is full, the transmitter stalls and THRE stays clear.
//!
//! Not implemented: the DMA mode pins (FCR bit 3 is stored and has no effect), framing and parity errors of the line (a
//! back end delivers whole characters), OUT2 as interrupt gate (a PC board matter), word lengths below 8 do not mask data.
//!
//! Transmission takes no time unless [`UartConfig::pace_tx`] is set.

use crate::char::CharBackend;
use crate::{
    AccessSizes, Action, Device, Nanos, RegionSpec, ResetKind, RestoreError, Snapshot, Wiring,
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Register numbers and bits: PC16550D table II.
mod spec {
    pub const RBR_THR: u64 = 0;
    pub const IER: u64 = 1;
    pub const IIR_FCR: u64 = 2;
    pub const LCR: u64 = 3;
    pub const MCR: u64 = 4;
    pub const LSR: u64 = 5;
    pub const MSR: u64 = 6;
    pub const SCR: u64 = 7;

    pub const IER_RDA: u8 = 1 << 0;
    pub const IER_THRE: u8 = 1 << 1;
    pub const IER_LINE: u8 = 1 << 2;
    pub const IER_MODEM: u8 = 1 << 3;

    pub const IIR_NONE: u8 = 0x01;
    pub const IIR_LINE: u8 = 0x06;
    pub const IIR_RDA: u8 = 0x04;
    pub const IIR_TIMEOUT: u8 = 0x0c;
    pub const IIR_THRE: u8 = 0x02;
    pub const IIR_MODEM: u8 = 0x00;
    pub const IIR_FIFOS: u8 = 0xc0;

    pub const FCR_ENABLE: u8 = 1 << 0;
    pub const FCR_CLEAR_RX: u8 = 1 << 1;
    pub const FCR_CLEAR_TX: u8 = 1 << 2;

    pub const LCR_STOP: u8 = 1 << 2;
    pub const LCR_PARITY: u8 = 1 << 3;
    pub const LCR_BREAK: u8 = 1 << 6;
    pub const LCR_DLAB: u8 = 1 << 7;

    pub const MCR_DTR: u8 = 1 << 0;
    pub const MCR_RTS: u8 = 1 << 1;
    pub const MCR_OUT1: u8 = 1 << 2;
    pub const MCR_OUT2: u8 = 1 << 3;
    pub const MCR_LOOP: u8 = 1 << 4;

    pub const LSR_DR: u8 = 1 << 0;
    pub const LSR_OE: u8 = 1 << 1;
    pub const LSR_PE: u8 = 1 << 2;
    pub const LSR_FE: u8 = 1 << 3;
    pub const LSR_BI: u8 = 1 << 4;
    pub const LSR_THRE: u8 = 1 << 5;
    pub const LSR_TEMT: u8 = 1 << 6;
    pub const LSR_FIFO_ERROR: u8 = 1 << 7;
    /// Errors that belong to one character.
    pub const CHAR_ERRORS: u8 = LSR_PE | LSR_FE | LSR_BI;

    pub const MSR_TERI: u8 = 1 << 2;
    pub const MSR_CTS: u8 = 1 << 4;
    pub const MSR_DSR: u8 = 1 << 5;
    pub const MSR_RI: u8 = 1 << 6;
    pub const MSR_DCD: u8 = 1 << 7;
}
use spec::*;

const FIFO: usize = 16;
/// The divisor after power-on: 9600 baud at the usual 1.8432 MHz. The data sheet leaves it undefined.
const DIVISOR: u16 = 12;
const TOKEN: u32 = 0;

/// How a UART is integrated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UartConfig {
    /// Registers are `1 << reg_shift` bytes apart (devicetree `reg-shift`); at most 4.
    pub reg_shift: u8,
    /// Widest access in bytes (devicetree `reg-io-width`): 1, 2 or 4. Only the lowest byte carries data.
    pub io_width: u8,
    /// The input clock in Hz, from which the divisor makes 16 times the bit rate.
    pub clock_hz: u32,
    /// Whether a transmitted character takes as long as on a wire. Otherwise it is gone at once.
    pub pace_tx: bool,
}

impl Default for UartConfig {
    /// Byte registers next to each other, 3.6864 MHz, transmission without delay.
    fn default() -> Self {
        Self {
            reg_shift: 0,
            io_width: 1,
            clock_hz: 3_686_400,
            pace_tx: false,
        }
    }
}

/// A 16550A with a character back end.
pub struct Uart16550 {
    w: Wiring,
    backend: Box<dyn CharBackend>,
    config: UartConfig,
    regions: [RegionSpec; 1],
    s: State,
}

/// Saved state of a [`Uart16550`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    ier: u8,
    fcr: u8,
    lcr: u8,
    mcr: u8,
    scr: u8,
    divisor: u16,
    /// LSR bits that stay until LSR is read: OE and the errors of the character on top.
    lsr_latched: u8,
    msr: u8,
    /// Received characters with their errors, oldest first.
    rx: VecDeque<(u8, u8)>,
    /// Characters that wait for the shift register.
    tx: VecDeque<u8>,
    /// The transmitter shift register.
    shift: Option<u8>,
    /// When the shift register is empty, if transmission is paced.
    shift_done: Option<Nanos>,
    /// The transmitter-empty interrupt is pending.
    thre_pending: bool,
    /// When the receive time-out falls due.
    timeout_at: Option<Nanos>,
    /// The receive time-out has come.
    timeout: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            ier: 0,
            fcr: 0,
            lcr: 0,
            mcr: 0,
            scr: 0,
            divisor: DIVISOR,
            lsr_latched: 0,
            msr: MSR_CTS | MSR_DSR | MSR_DCD,
            rx: VecDeque::new(),
            tx: VecDeque::new(),
            shift: None,
            shift_done: None,
            thre_pending: false,
            timeout_at: None,
            timeout: false,
        }
    }
}

impl Uart16550 {
    /// A UART after power-on, talking to `backend`.
    #[must_use]
    pub fn new(w: Wiring, config: UartConfig, mut backend: Box<dyn CharBackend>) -> Self {
        let config = UartConfig {
            reg_shift: config.reg_shift.min(4),
            ..config
        };
        let max = match config.io_width {
            0 | 1 => 1,
            2 | 3 => 2,
            _ => 4,
        };
        backend.attach(w.backend.clone(), TOKEN);
        Self {
            w,
            backend,
            config,
            regions: [RegionSpec::mmio(
                "uart",
                8 << config.reg_shift,
                AccessSizes { min: 1, max },
            )],
            s: State::default(),
        }
    }

    fn fifos(&self) -> bool {
        self.s.fcr & FCR_ENABLE != 0
    }

    fn depth(&self) -> usize {
        if self.fifos() { FIFO } else { 1 }
    }

    fn trigger(&self) -> usize {
        match (self.fifos(), self.s.fcr >> 6) {
            (false, _) | (true, 0) => 1,
            (true, 1) => 4,
            (true, 2) => 8,
            (true, _) => 14,
        }
    }

    fn looped(&self) -> bool {
        self.s.mcr & MCR_LOOP != 0
    }

    /// Nanoseconds one character takes on the wire (8.1, line control register).
    fn char_time(&self) -> Nanos {
        let lcr = self.s.lcr;
        let bits = 1
            + 5
            + u64::from(lcr & 3)
            + u64::from(lcr & LCR_PARITY != 0)
            + 1
            + u64::from(lcr & LCR_STOP != 0);
        // A divisor of 0 stops the baud generator; 65536 keeps time finite.
        let divisor = if self.s.divisor == 0 {
            1 << 16
        } else {
            u64::from(self.s.divisor)
        };
        bits * 16 * divisor * 1_000_000_000 / u64::from(self.config.clock_hz.max(1))
    }

    // Receiver

    fn receive(&mut self, data: u8, errors: u8) {
        if self.s.rx.len() >= self.depth() {
            // 8.4: with FIFOs the character in the shift register is lost, without them the one in RBR.
            self.s.lsr_latched |= LSR_OE;
            if self.fifos() {
                return;
            }
            self.s.rx.clear();
        }
        self.s.rx.push_back((data, errors));
        if self.s.rx.len() == 1 {
            self.reveal_errors();
        }
        self.restart_timeout();
    }

    /// The errors of a character show in LSR when it comes to the top of the FIFO.
    fn reveal_errors(&mut self) {
        if let Some((_, errors)) = self.s.rx.front() {
            self.s.lsr_latched |= errors & CHAR_ERRORS;
        }
    }

    fn restart_timeout(&mut self) {
        // 8.11: four character times since the last character arrived or was read.
        self.s.timeout = false;
        self.s.timeout_at = (self.fifos() && !self.s.rx.is_empty()).then(|| {
            self.w
                .clock
                .now()
                .saturating_add(self.char_time().saturating_mul(4))
        });
    }

    fn poll_backend(&mut self) {
        if self.looped() {
            return;
        }
        let mut buf = [0; FIFO];
        while let Some(room) = self.depth().checked_sub(self.s.rx.len()).filter(|r| *r > 0) {
            let n = self.backend.read(buf.get_mut(..room).unwrap_or_default());
            for byte in buf.iter().take(n.min(room)) {
                self.receive(*byte, 0);
            }
            if n == 0 {
                break;
            }
        }
        if self.s.rx.len() < self.depth() && self.backend.take_break() {
            self.receive(0, LSR_BI);
        }
    }

    fn read_rbr(&mut self) -> u8 {
        let byte = self.s.rx.pop_front().map_or(0, |(b, _)| b);
        self.reveal_errors();
        self.restart_timeout();
        self.poll_backend();
        byte
    }

    // Transmitter

    fn write_thr(&mut self, byte: u8) {
        self.s.thre_pending = false;
        if self.s.tx.len() < self.depth() {
            self.s.tx.push_back(byte);
        }
        self.transmit();
    }

    /// Moves characters from the FIFO through the shift register until time or the back end stops it.
    fn transmit(&mut self) {
        loop {
            if self.s.shift.is_none() {
                let Some(byte) = self.s.tx.pop_front() else {
                    return;
                };
                self.s.shift = Some(byte);
                self.s.shift_done = self
                    .config
                    .pace_tx
                    .then(|| self.w.clock.now().saturating_add(self.char_time()));
                if self.s.tx.is_empty() {
                    self.s.thre_pending = true;
                }
            }
            if self.s.shift_done.is_some_and(|t| t > self.w.clock.now()) {
                return;
            }
            let Some(byte) = self.s.shift else { return };
            if self.looped() {
                self.receive(byte, 0);
            } else if self.backend.write(&[byte]) == 0 {
                self.s.shift_done = None;
                return;
            }
            self.s.shift = None;
            self.s.shift_done = None;
        }
    }

    // Modem

    fn modem_inputs(&self) -> u8 {
        let mcr = self.s.mcr;
        if self.looped() {
            let wire = |from: u8, to: u8| if mcr & from != 0 { to } else { 0 };
            wire(MCR_RTS, MSR_CTS)
                | wire(MCR_DTR, MSR_DSR)
                | wire(MCR_OUT1, MSR_RI)
                | wire(MCR_OUT2, MSR_DCD)
        } else if self.backend.connected() {
            MSR_CTS | MSR_DSR | MSR_DCD
        } else {
            0
        }
    }

    fn update_modem(&mut self) {
        let now = self.modem_inputs();
        let changed = (self.s.msr ^ now) & 0xf0;
        let mut deltas = changed >> 4;
        // TERI is set by the trailing edge of RI only.
        if now & MSR_RI != 0 {
            deltas &= !MSR_TERI;
        }
        self.s.msr = now | (self.s.msr & 0x0f) | deltas;
    }

    // Interrupts

    fn lsr(&self) -> u8 {
        let mut lsr = self.s.lsr_latched;
        if !self.s.rx.is_empty() {
            lsr |= LSR_DR;
        }
        if self.fifos() && self.s.rx.iter().any(|(_, e)| *e != 0) {
            lsr |= LSR_FIFO_ERROR;
        }
        if self.s.tx.is_empty() && !self.stalled() {
            lsr |= LSR_THRE;
            if self.s.shift.is_none() {
                lsr |= LSR_TEMT;
            }
        }
        lsr
    }

    /// The back end refused the character in the shift register: a driver has to wait.
    fn stalled(&self) -> bool {
        self.s.shift.is_some() && self.s.shift_done.is_none()
    }

    /// The pending interrupt of the highest priority (table IV).
    fn pending(&self) -> u8 {
        let s = &self.s;
        if s.ier & IER_LINE != 0 && s.lsr_latched != 0 {
            IIR_LINE
        } else if s.ier & IER_RDA != 0 && s.rx.len() >= self.trigger() {
            IIR_RDA
        } else if s.ier & IER_RDA != 0 && s.timeout {
            IIR_TIMEOUT
        } else if s.ier & IER_THRE != 0 && s.thre_pending && !self.stalled() {
            IIR_THRE
        } else if s.ier & IER_MODEM != 0 && s.msr & 0x0f != 0 {
            IIR_MODEM
        } else {
            IIR_NONE
        }
    }

    fn catch_up(&mut self) {
        let now = self.w.clock.now();
        if self.s.timeout_at.is_some_and(|t| t <= now) {
            self.s.timeout_at = None;
            self.s.timeout = true;
        }
        self.transmit();
    }

    fn update(&self) {
        self.w.irq.set(self.pending() != IIR_NONE);
    }

    fn write_fcr(&mut self, value: u8) {
        if (value ^ self.s.fcr) & FCR_ENABLE != 0 {
            self.clear_rx();
            self.clear_tx();
        }
        if value & FCR_ENABLE == 0 {
            // The other bits are not programmed unless bit 0 is written as 1.
            self.s.fcr = 0;
            self.poll_backend();
            return;
        }
        if value & FCR_CLEAR_RX != 0 {
            self.clear_rx();
        }
        if value & FCR_CLEAR_TX != 0 {
            self.clear_tx();
        }
        self.s.fcr = value & !(FCR_CLEAR_RX | FCR_CLEAR_TX);
        self.poll_backend();
        self.restart_timeout();
    }

    fn clear_rx(&mut self) {
        self.s.rx.clear();
        self.s.timeout = false;
        self.s.timeout_at = None;
    }

    fn clear_tx(&mut self) {
        // The shift register is not cleared (8.6).
        if !self.s.tx.is_empty() {
            self.s.tx.clear();
            self.s.thre_pending = true;
        }
    }

    fn read_register(&mut self, register: u64) -> u8 {
        let dlab = self.s.lcr & LCR_DLAB != 0;
        match register {
            RBR_THR if dlab => self.s.divisor as u8,
            RBR_THR => self.read_rbr(),
            IER if dlab => (self.s.divisor >> 8) as u8,
            IER => self.s.ier,
            IIR_FCR => {
                let id = self.pending();
                if id == IIR_THRE {
                    self.s.thre_pending = false;
                }
                id | if self.fifos() { IIR_FIFOS } else { 0 }
            }
            LCR => self.s.lcr,
            MCR => self.s.mcr,
            LSR => {
                let lsr = self.lsr();
                self.s.lsr_latched = 0;
                // The error on top has been seen; those behind it keep LSR bit 7 set.
                if let Some((_, errors)) = self.s.rx.front_mut() {
                    *errors = 0;
                }
                lsr
            }
            MSR => {
                let msr = self.s.msr;
                self.s.msr &= 0xf0;
                msr
            }
            SCR => self.s.scr,
            _ => 0,
        }
    }

    fn write_register(&mut self, register: u64, value: u8) {
        let dlab = self.s.lcr & LCR_DLAB != 0;
        match register {
            RBR_THR if dlab => self.s.divisor = self.s.divisor & 0xff00 | u16::from(value),
            RBR_THR => self.write_thr(value),
            IER if dlab => self.s.divisor = self.s.divisor & 0xff | u16::from(value) << 8,
            IER => {
                let raised = value & !self.s.ier;
                self.s.ier = value & 0x0f;
                // Enabling the interrupt while the transmitter is empty raises it at once.
                if raised & IER_THRE != 0 && self.s.tx.is_empty() {
                    self.s.thre_pending = true;
                }
            }
            IIR_FCR => self.write_fcr(value),
            LCR => {
                let break_changed = (self.s.lcr ^ value) & LCR_BREAK != 0;
                self.s.lcr = value;
                if break_changed {
                    let on = value & LCR_BREAK != 0;
                    if !self.looped() {
                        self.backend.set_break(on);
                    } else if on {
                        self.receive(0, LSR_BI);
                    }
                }
            }
            MCR => {
                self.s.mcr = value & 0x1f;
                self.update_modem();
                self.poll_backend();
            }
            MSR => {}
            SCR => self.s.scr = value,
            _ => {}
        }
    }

    /// The register at `offset`, if one starts there.
    fn register(&self, offset: u64) -> Option<u64> {
        let shift = u32::from(self.config.reg_shift);
        let number = offset >> shift;
        (number < 8 && number << shift == offset).then_some(number)
    }
}

impl Device for Uart16550 {
    fn regions(&self) -> &[RegionSpec] {
        &self.regions
    }

    fn read(&mut self, _region: usize, offset: u64, _size: u8) -> u64 {
        let Some(register) = self.register(offset) else {
            return 0;
        };
        self.catch_up();
        let value = self.read_register(register);
        self.update();
        value.into()
    }

    fn write(&mut self, _region: usize, offset: u64, _size: u8, value: u64) -> Action {
        if let Some(register) = self.register(offset) {
            self.catch_up();
            self.write_register(register, value as u8);
            self.update();
        }
        Action::None
    }

    fn reset(&mut self, kind: ResetKind) {
        if self.s.lcr & LCR_BREAK != 0 {
            self.backend.set_break(false);
        }
        // 8.0: master reset leaves the scratch register and the divisor latch alone.
        let (scr, divisor) = (self.s.scr, self.s.divisor);
        self.s = State::default();
        if kind == ResetKind::Warm {
            self.s.scr = scr;
            self.s.divisor = divisor;
        }
        self.s.msr = self.modem_inputs();
        // Input that waited for room does not announce itself again.
        self.poll_backend();
        self.update();
    }

    fn deadline(&self) -> Option<Nanos> {
        // A time-out nobody is interrupted by is found at the next access.
        let timeout = self.s.timeout_at.filter(|_| self.s.ier & IER_RDA != 0);
        [timeout, self.s.shift_done].into_iter().flatten().min()
    }

    fn tick(&mut self) {
        self.catch_up();
        self.update();
    }

    fn event(&mut self, _token: u32) {
        self.catch_up();
        if !self.looped() {
            self.update_modem();
        }
        self.poll_backend();
        self.update();
    }
}

impl Snapshot for Uart16550 {
    const ID: &'static str = "uart16550";
    const VERSION: u32 = 1;
    type State = State;

    fn save(&self) -> State {
        let mut s = self.s.clone();
        // While nobody asked for the interrupt, a time-out that has passed is only noticed at the next access; the state says so already.
        if s.timeout_at.is_some_and(|t| t <= self.w.clock.now()) {
            s.timeout_at = None;
            s.timeout = true;
        }
        s
    }

    fn restore(&mut self, s: State, _version: u32) -> Result<(), RestoreError> {
        if s.rx.len() > FIFO || s.tx.len() > FIFO {
            return Err(RestoreError::invalid(
                "a UART FIFO holds more than 16 characters",
            ));
        }
        if s.shift_done.is_some() && s.shift.is_none() {
            return Err(RestoreError::invalid(
                "the UART sends with an empty shift register",
            ));
        }
        self.s = State {
            ier: s.ier & 0x0f,
            mcr: s.mcr & 0x1f,
            lsr_latched: s.lsr_latched & 0x1e,
            ..s
        };
        self.w.irq.set_restored(self.pending() != IIR_NONE);
        Ok(())
    }
}

#[cfg(test)]
#[path = "uart16550_test.rs"]
mod tests;
