//! Ending well: the terminal is put back as it was on every way out.
//!
//! The ways out are: the machine ends and its back ends are dropped; a panic (the hook here); SIGINT, SIGTERM, SIGHUP and SIGQUIT (the
//! thread here), after which the exit status is 128 and the signal's number, as shells have it.

use ambidex_devices::char::stdio::restore_terminal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// How long the machine has, after a signal, to come to a stop.
const PATIENCE: Duration = Duration::from_secs(5);

/// The signal that ended the run; 0: none.
#[derive(Clone, Default)]
pub struct Caught(Arc<AtomicI32>);

impl Caught {
    /// Its number, if there was one.
    pub fn signal(&self) -> Option<i32> {
        Some(self.0.load(Ordering::SeqCst)).filter(|n| *n != 0)
    }
}

/// What ends a machine; set once it runs.
pub type Stopper = Arc<Mutex<Option<Box<dyn Fn() + Send>>>>;

/// Installs the panic hook and the signal handlers. On a first signal `stopper` is called, if there is one yet, and the program is expected to
/// end by itself; on a second, or when that takes too long, it ends on the spot.
pub fn guard(stopper: &Stopper) -> io::Result<Caught> {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        restore_terminal();
        before(info);
    }));

    let caught = Caught::default();
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT])?;
    let (seen, stopper) = (caught.clone(), stopper.clone());
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                let again = seen.0.swap(signal, Ordering::SeqCst) != 0;
                let stop = stopper.lock().unwrap_or_else(|e| e.into_inner());
                match &*stop {
                    Some(stop) if !again => stop(),
                    _ => leave(signal),
                }
                drop(stop);
                // Nobody ever notifies: this is a time limit that the end of the program cuts short.
                let _ = std::thread::Builder::new()
                    .name("patience".into())
                    .spawn(move || {
                        let never = Mutex::new(());
                        if let Ok(held) = never.lock() {
                            let _ = Condvar::new().wait_timeout_while(held, PATIENCE, |()| true);
                        }
                        leave(signal);
                    });
            }
        })?;
    Ok(caught)
}

fn leave(signal: i32) -> ! {
    restore_terminal();
    log::logger().flush();
    std::process::exit(128 + signal)
}
