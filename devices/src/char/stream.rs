//! The thread behind back ends that are file descriptors.
//!
//! One thread per back end polls the input (while there is room for it), the output (while there is something to
//! write), a listening socket (while nobody is connected) and a wake pipe. Input waits in the kernel while the ring is
//! full, so nothing is lost.

use super::CharBackend;
use super::ring::Ring;
use crate::Notifier;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read, write};
use rustix::pipe::{PipeFlags, pipe_with};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Bytes held in each direction.
const CAPACITY: usize = 64 << 10;
/// Largest single transfer. Within what a pipe or terminal that polls writable takes without blocking.
const CHUNK: usize = 512;
/// How long, at a time, dropping a back end waits for a slow reader of the last output.
const LAST_WORDS: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};
/// How often a pseudo-terminal that nobody has open is looked at: there is no event for opening it.
const REOPEN: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// Looks at input before the device gets it. Returns what is for the device.
pub(super) type Filter = Box<dyn FnMut(&[u8]) -> Vec<u8> + Send>;

/// A connected pair of descriptors; they may be the same file.
pub(super) struct Ends {
    pub(super) input: Option<OwnedFd>,
    pub(super) output: Option<OwnedFd>,
}

/// Where connections come from.
pub(super) enum Peer {
    /// There is one for good.
    Fixed(Ends),
    /// Whoever connects, one at a time.
    Listener(OwnedFd),
    /// A pseudo-terminal's master side: hung up while nobody has the other side open.
    Pty(Ends),
}

struct State {
    input: Ring,
    output: Ring,
    /// The device was refused room or input ended up unannounced.
    refused: bool,
    connected: bool,
    closing: bool,
    notifier: Notifier,
    token: u32,
}

struct Shared {
    state: Mutex<State>,
    wake: OwnedFd,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // A full pipe wakes just as well.
        let _ = write(&self.wake, &[0]);
    }

    fn notify(&self) {
        let (notifier, token) = {
            let s = self.lock();
            (s.notifier.clone(), s.token)
        };
        notifier.notify(token);
    }
}

/// A back end over file descriptors.
pub struct StreamBackend {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl StreamBackend {
    pub(super) fn new(peer: Peer, filter: Option<Filter>) -> io::Result<Self> {
        let (wait, wake) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                input: Ring::new(CAPACITY),
                output: Ring::new(CAPACITY),
                refused: false,
                connected: matches!(peer, Peer::Fixed(_)),
                closing: false,
                notifier: Notifier::none(),
                token: 0,
            }),
            wake,
        });
        let mut worker = Worker {
            shared: shared.clone(),
            wait,
            peer,
            client: None,
            filter,
            held: Vec::new(),
        };
        let thread = std::thread::Builder::new()
            .name("char".into())
            .spawn(move || worker.run())?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }
}

impl CharBackend for StreamBackend {
    fn write(&mut self, data: &[u8]) -> usize {
        let mut s = self.shared.lock();
        if !s.connected {
            return data.len();
        }
        let idle = s.output.is_empty();
        let n = s.output.push(data);
        s.refused |= n < data.len();
        drop(s);
        if idle && n > 0 {
            self.shared.wake();
        }
        n
    }

    fn read(&mut self, buf: &mut [u8]) -> usize {
        let mut s = self.shared.lock();
        let full = s.input.room() < CAPACITY / 2;
        let n = s.input.pop(buf);
        drop(s);
        if full && n > 0 {
            self.shared.wake();
        }
        n
    }

    fn attach(&mut self, notifier: Notifier, token: u32) {
        let mut s = self.shared.lock();
        s.notifier = notifier;
        s.token = token;
        let waiting = !s.input.is_empty();
        drop(s);
        if waiting {
            self.shared.notify();
        }
    }

    fn connected(&self) -> bool {
        self.shared.lock().connected
    }
}

impl Drop for StreamBackend {
    /// Writes out what the device has written, as long as the other end keeps taking it.
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Worker {
    shared: Arc<Shared>,
    wait: OwnedFd,
    peer: Peer,
    client: Option<Ends>,
    filter: Option<Filter>,
    /// Input read and filtered that the ring has no room for yet.
    held: Vec<u8>,
}

#[derive(Default)]
struct Ready {
    input: bool,
    output: bool,
    accept: bool,
    hung_up: bool,
}

impl Worker {
    fn run(&mut self) {
        loop {
            let (want_in, want_out, closing) = {
                let mut s = self.shared.lock();
                let n = s.input.push(&self.held);
                self.held.drain(..n);
                (
                    self.held.is_empty() && s.input.room() >= CHUNK,
                    !s.output.is_empty(),
                    s.closing,
                )
            };
            if closing && !want_out {
                return;
            }
            let Some(ready) = self.wait(want_in && !closing, want_out, closing) else {
                return;
            };
            let mut progress = false;
            if ready.accept {
                progress |= self.accept();
            }
            if ready.input {
                progress |= self.receive();
            }
            if ready.output {
                progress |= self.send();
            }
            progress |= self.hang_up(ready.hung_up);
            if progress {
                self.shared.notify();
            }
        }
    }

    fn ends(&self) -> Option<&Ends> {
        match &self.peer {
            Peer::Fixed(ends) | Peer::Pty(ends) => Some(ends),
            Peer::Listener(_) => self.client.as_ref(),
        }
    }

    /// Sleeps until something can be done. `None` if nothing ever can, or the other end does not take the last words.
    fn wait(&self, want_in: bool, want_out: bool, closing: bool) -> Option<Ready> {
        let pty = matches!(self.peer, Peer::Pty(_));
        let away = pty && !self.shared.lock().connected;
        let mut fds = vec![PollFd::new(&self.wait, PollFlags::IN)];
        let ends = self.ends();
        let mut at = [None; 3];
        if let Some(fd) = ends
            .and_then(|e| e.input.as_ref())
            .filter(|_| want_in && !away)
        {
            at[0] = Some(fds.len());
            fds.push(PollFd::new(fd, PollFlags::IN));
        }
        if let Some(fd) = ends
            .and_then(|e| e.output.as_ref())
            .filter(|_| want_out && !away)
        {
            at[1] = Some(fds.len());
            fds.push(PollFd::new(fd, PollFlags::OUT));
        }
        if let (Peer::Listener(fd), None) = (&self.peer, &self.client) {
            at[2] = Some(fds.len());
            fds.push(PollFd::new(fd, PollFlags::IN));
        }
        if closing && at[1].is_none() {
            return None;
        }
        let timeout = if closing {
            Some(&LAST_WORDS)
        } else if away {
            Some(&REOPEN)
        } else {
            None
        };
        match poll(&mut fds, timeout) {
            Ok(0) if closing => return None,
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => {
                log::error!("A character back end stops, poll failed: {e}");
                return None;
            }
        }
        let flags = |n: usize| {
            at.get(n)
                .copied()
                .flatten()
                .and_then(|i| fds.get(i))
                .map_or(PollFlags::empty(), PollFd::revents)
        };
        let ready = Ready {
            input: !flags(0).is_empty(),
            output: !flags(1).is_empty(),
            accept: flags(2).contains(PollFlags::IN),
            hung_up: false,
        };
        let mut buf = [0; 64];
        while matches!(read(&self.wait, &mut buf), Ok(64)) {}
        let hung_up = pty && self.pty_hung_up();
        Some(Ready { hung_up, ..ready })
    }

    fn pty_hung_up(&self) -> bool {
        let Some(fd) = self.ends().and_then(|e| e.input.as_ref()) else {
            return false;
        };
        let mut one = [PollFd::new(fd, PollFlags::IN)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut one, Some(&now)).is_ok()
            && one.iter().any(|p| {
                p.revents().contains(PollFlags::HUP) && !p.revents().contains(PollFlags::IN)
            })
    }

    fn accept(&mut self) -> bool {
        let Peer::Listener(listener) = &self.peer else {
            return false;
        };
        use rustix::net::{SocketFlags, accept_with};
        match accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
            .and_then(|fd| Ok((rustix::io::fcntl_dupfd_cloexec(&fd, 0)?, fd)))
        {
            Ok((input, output)) => {
                self.client = Some(Ends {
                    input: Some(input),
                    output: Some(output),
                });
                self.shared.lock().connected = true;
                true
            }
            Err(_) => false,
        }
    }

    fn receive(&mut self) -> bool {
        let mut buf = [0; CHUNK];
        let Some(fd) = self.ends().and_then(|e| e.input.as_ref()) else {
            return false;
        };
        match read(fd, &mut buf) {
            Ok(0) => self.lost(true),
            Ok(n) => {
                let data = buf.get(..n).unwrap_or_default();
                self.held = match &mut self.filter {
                    Some(filter) => filter(data),
                    None => data.to_vec(),
                };
                let mut s = self.shared.lock();
                let n = s.input.push(&self.held);
                drop(s);
                self.held.drain(..n);
                n > 0
            }
            Err(Errno::AGAIN | Errno::INTR) => false,
            Err(_) => self.lost(true),
        }
    }

    fn send(&mut self) -> bool {
        let mut buf = [0; CHUNK];
        let n = self.shared.lock().output.peek(&mut buf);
        let Some(fd) = self.ends().and_then(|e| e.output.as_ref()) else {
            return false;
        };
        match write(fd, buf.get(..n).unwrap_or_default()) {
            Ok(n) => {
                let mut s = self.shared.lock();
                s.output.skip(n);
                // Announce room when half is free, not for each byte.
                let tell = s.refused && s.output.room() >= CAPACITY / 2;
                s.refused &= !tell;
                tell
            }
            Err(Errno::AGAIN | Errno::INTR) => false,
            Err(_) => self.lost(false),
        }
    }

    /// The other end is gone (`input`: it sends no more; otherwise it takes no more). Returns whether that changes anything.
    fn lost(&mut self, input: bool) -> bool {
        match &mut self.peer {
            Peer::Fixed(ends) => {
                if input {
                    ends.input = None;
                    // A file or terminal that ended may still be written to.
                    if ends.output.is_some() {
                        return false;
                    }
                } else {
                    ends.output = None;
                }
            }
            Peer::Listener(_) => self.client = None,
            Peer::Pty(_) => {}
        }
        self.disconnect()
    }

    fn disconnect(&self) -> bool {
        let mut s = self.shared.lock();
        s.connected = false;
        s.refused = false;
        let _ = s.output.take_all();
        true
    }

    fn hang_up(&self, now: bool) -> bool {
        if !matches!(self.peer, Peer::Pty(_)) || self.shared.lock().connected != now {
            return false;
        }
        if now {
            return self.disconnect();
        }
        self.shared.lock().connected = true;
        true
    }
}
