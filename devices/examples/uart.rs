//! A UART driven by hand: what a virtual machine monitor does when its guest touches the registers.

use ambidex_devices::char::memory;
use ambidex_devices::serial::{Uart16550, UartConfig};
use ambidex_devices::{Device, DynDevice, Wiring};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `Wiring::test` gives handles whose far ends we hold; a monitor makes its own from its interrupt controller and clock.
    let (wiring, wires) = Wiring::test();
    let (backend, terminal) = memory::pair(4096);
    let mut uart = Uart16550::new(wiring, UartConfig::default(), Box::new(backend));

    // The guest prints: it writes the transmit register (0) while LSR (5) says there is room.
    for byte in b"Hello from the guest\n" {
        while uart.read(0, 5, 1) & 0x20 == 0 {}
        let _ = uart.write(0, 0, 1, u64::from(*byte));
    }
    print!("{}", String::from_utf8_lossy(&terminal.take()));

    // The guest enables the receive interrupt (IER, 1), and somebody types.
    let _ = uart.write(0, 1, 1, 1);
    let sent = terminal.send(b"k");
    for token in wires.notify.take() {
        uart.event(token);
    }
    println!(
        "{sent} key typed, interrupt line is {}",
        if wires.irq.level(0) { "high" } else { "low" }
    );

    // Save the device with the key still unread, and go on in another one.
    let saved = uart.save_bytes();
    let (wiring, _wires) = Wiring::test();
    let mut other = Uart16550::new(wiring, UartConfig::default(), Box::new(memory::pair(16).0));
    other.restore_bytes(&saved)?;
    println!(
        "{} bytes of state; the restored device reads {:?}",
        saved.bytes.len(),
        other.read(0, 0, 1) as u8 as char
    );
    Ok(())
}
