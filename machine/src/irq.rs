//! Interrupt lines into CPUs: [`IrqTarget`] over [`Pins`].

use ambidex_cpu::Pins;
use ambidex_devices::{IrqLine, IrqTarget};
use std::sync::Arc;

/// The interrupt inputs of one CPU as an [`IrqTarget`]. The line number is the pin number.
pub struct PinTarget {
    pins: Pins,
    /// Pins that latch a rising edge instead of following the level.
    latching: u64,
}

impl PinTarget {
    /// A target for `pins`; pins in the mask `latching` latch edges.
    #[must_use]
    pub fn new(pins: Pins, latching: u64) -> Arc<PinTarget> {
        Arc::new(PinTarget { pins, latching })
    }

    /// A line into pin `number`.
    #[must_use]
    pub fn line(self: &Arc<Self>, number: u32) -> IrqLine {
        IrqLine::new(self.clone(), number)
    }

    fn latches(&self, line: u32) -> bool {
        line < 64 && self.latching >> line & 1 != 0
    }
}

impl IrqTarget for PinTarget {
    fn set_irq(&self, line: u32, level: bool) {
        if !self.latches(line) {
            self.pins.set(line, level);
        } else if level {
            self.pins.pulse(line);
        }
    }

    /// A latched pin's state is saved with the CPU, so restoring a level does nothing to it.
    fn restore_irq(&self, line: u32, level: bool) {
        if !self.latches(line) {
            self.pins.set(line, level);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_edges() {
        let pins = Pins::new();
        let target = PinTarget::new(pins.clone(), 1 << 1);
        let (edge, level) = (target.line(1), target.line(9));
        edge.pulse();
        level.set(true);
        assert_eq!((pins.level(), pins.take_latched()), (1 << 9, 1 << 1));
        edge.set_restored(true);
        level.set(false);
        assert_eq!((pins.level(), pins.take_latched()), (0, 0));
        level.set_restored(true);
        assert_eq!(pins.level(), 1 << 9);
    }
}
