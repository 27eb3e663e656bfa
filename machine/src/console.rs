//! The host's side of the first serial port: what was printed, typing, waiting for text.

use crate::wake::lock;
use ambidex_devices::Notifier;
use ambidex_devices::char::CharBackend;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// Output kept for [`Console::text`].
const KEPT: usize = 1 << 20;

type Found = Box<dyn FnOnce() + Send>;
/// Takes a copy of what is printed.
pub type Sink = Box<dyn FnMut(&[u8]) + Send>;

#[derive(Default)]
struct Shared {
    /// The last output.
    output: VecDeque<u8>,
    /// How much of the end of `output` has not been searched yet.
    fresh: usize,
    wanted: Option<(String, Found)>,
    typed: VecDeque<u8>,
    attached: (Notifier, u32),
}

impl Shared {
    fn record(&mut self, data: &[u8]) -> Option<Found> {
        self.output.extend(data);
        self.fresh += data.len();
        let over = self.output.len().saturating_sub(KEPT);
        self.output.drain(..over);
        self.search()
    }

    /// Looks for the wanted text in what was not searched yet, and consumes it.
    fn search(&mut self) -> Option<Found> {
        let (text, _) = self.wanted.as_ref()?;
        let needle = text.as_bytes();
        let start = self.output.len() - self.fresh.min(self.output.len());
        let haystack = &self.output.make_contiguous()[start..];
        if needle.is_empty() {
            return self.wanted.take().map(|w| w.1);
        }
        match haystack.windows(needle.len()).position(|w| w == needle) {
            Some(at) => {
                self.fresh = haystack.len() - at - needle.len();
                self.wanted.take().map(|w| w.1)
            }
            None => {
                // A beginning of the text may be at the end.
                self.fresh = self.fresh.min(needle.len() - 1);
                None
            }
        }
    }
}

/// The host's side of a machine's first serial port, whatever back end it has. A clone is the same console.
#[derive(Clone, Default)]
pub struct Console(Arc<Mutex<Shared>>, Arc<Mutex<Option<Sink>>>);

impl Console {
    /// The last output, up to 1 MiB, with bytes that are no UTF-8 replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(lock(&self.0).output.make_contiguous()).into_owned()
    }

    /// Types `bytes`: the guest receives them before further input of the back end.
    pub fn send(&self, bytes: &[u8]) {
        let (notifier, token) = {
            let mut s = lock(&self.0);
            s.typed.extend(bytes);
            s.attached.clone()
        };
        notifier.notify(token);
    }

    /// Records output that does not come through a serial port, and passes it to the back end of the console.
    pub(crate) fn print(&self, data: &[u8]) {
        let found = lock(&self.0).record(data);
        if let Some(found) = found {
            found();
        }
        if let Some(sink) = &mut *lock(&self.1) {
            sink(data);
        }
    }

    /// Takes one typed byte.
    pub(crate) fn take_typed(&self) -> Option<u8> {
        lock(&self.0).typed.pop_front()
    }

    /// Names who else gets what is printed other than through the serial port (semihosting), such as standard output.
    pub fn set_sink(&self, sink: Sink) {
        *lock(&self.1) = Some(sink);
    }

    /// Calls back once `text` is printed. True if it already was and has not been consumed by an earlier match (the call back is then dropped).
    pub(crate) fn expect(&self, wanted: Option<(String, Found)>) -> bool {
        let mut s = lock(&self.0);
        s.wanted = wanted;
        s.search().is_some()
    }

    /// A back end that records what goes through `inner`.
    #[must_use]
    pub fn tap(&self, inner: Box<dyn CharBackend>) -> Box<dyn CharBackend> {
        Box::new(Tap {
            inner,
            console: self.clone(),
        })
    }
}

struct Tap {
    inner: Box<dyn CharBackend>,
    console: Console,
}

impl CharBackend for Tap {
    fn write(&mut self, data: &[u8]) -> usize {
        let n = self.inner.write(data).min(data.len());
        let found = lock(&self.console.0).record(&data[..n]);
        if let Some(found) = found {
            found();
        }
        n
    }

    fn read(&mut self, buf: &mut [u8]) -> usize {
        let mut s = lock(&self.console.0);
        if s.typed.is_empty() {
            drop(s);
            return self.inner.read(buf);
        }
        let n = s.typed.len().min(buf.len());
        for (to, from) in buf.iter_mut().zip(s.typed.drain(..n)) {
            *to = from;
        }
        n
    }

    fn attach(&mut self, notifier: Notifier, token: u32) {
        lock(&self.console.0).attached = (notifier.clone(), token);
        self.inner.attach(notifier, token);
    }

    fn set_break(&mut self, on: bool) {
        self.inner.set_break(on);
    }

    fn take_break(&mut self) -> bool {
        self.inner.take_break()
    }

    fn connected(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ambidex_devices::char::null::NullBackend;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn text_is_found_once_and_across_writes() {
        let console = Console::default();
        let mut tap = console.tap(Box::new(NullBackend));
        let hits = Arc::new(AtomicUsize::new(0));
        let want = |text: &str| {
            let hits = hits.clone();
            console.expect(Some((
                text.to_owned(),
                Box::new(move || {
                    hits.fetch_add(1, Ordering::Relaxed);
                }),
            )))
        };
        assert!(!want("login:"));
        tap.write(b"debian log");
        tap.write(b"in: x");
        assert_eq!(hits.load(Ordering::Relaxed), 1);
        assert!(!want("login:"), "already consumed");
        assert!(want("x"), "printed behind it");
        assert_eq!(console.text(), "debian login: x");
        console.send(b"root\n");
        let mut buf = [0; 3];
        assert_eq!((tap.read(&mut buf), &buf), (3, b"roo"));
        assert_eq!((tap.read(&mut buf), &buf[..2]), (2, &b"t\n"[..]));
        assert_eq!(tap.read(&mut buf), 0);
    }
}
