//! Runs block requests on worker threads.
//!
//! A flush covers the writes that had completed when it was submitted. Requests in flight at the same time may run in
//! any order, as virtio and the other disk interfaces allow.

use super::{BlockBackend, BlockError, BlockRequest, Completion, Storage, execute};
use crate::Notifier;
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

#[derive(Default)]
struct Queue {
    requests: VecDeque<BlockRequest>,
    done: VecDeque<Completion>,
    /// Submitted and not yet polled.
    in_flight: usize,
    closing: bool,
    notifier: Notifier,
    token: u32,
}

struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    storage: Box<dyn Storage>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, mut q: MutexGuard<'_, Queue>, completion: Completion) {
        q.done.push_back(completion);
        let (notifier, token) = (q.notifier.clone(), q.token);
        drop(q);
        notifier.notify(token);
    }

    fn run(&self) {
        loop {
            let mut q = self.lock();
            let request = loop {
                if let Some(r) = q.requests.pop_front() {
                    break r;
                }
                if q.closing {
                    return;
                }
                q = self.work.wait(q).unwrap_or_else(PoisonError::into_inner);
            };
            drop(q);
            let id = request.id;
            // Whatever happens, the device is owed a completion.
            let result = catch_unwind(AssertUnwindSafe(|| execute(&*self.storage, request.op)))
                .unwrap_or_else(|_| Err(BlockError::Host("the disk's code panicked".into())));
            self.finish(self.lock(), Completion { id, result });
        }
    }
}

/// A back end with threads. Dropping it ends what was submitted first.
pub struct WorkerBackend {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    depth: usize,
}

impl WorkerBackend {
    /// Runs requests on `storage` with `threads` threads (1 to 64), at most `depth` (1 to 1024) in flight.
    ///
    /// # Errors
    /// The host cannot start a thread.
    pub fn new(storage: impl Storage + 'static, threads: usize, depth: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            work: Condvar::new(),
            storage: Box::new(storage),
        });
        let mut backend = Self {
            shared,
            threads: Vec::new(),
            depth: depth.clamp(1, 1024),
        };
        for _ in 0..threads.clamp(1, 64) {
            let shared = backend.shared.clone();
            let thread = std::thread::Builder::new()
                .name("block".into())
                .spawn(move || shared.run())?;
            backend.threads.push(thread);
        }
        Ok(backend)
    }
}

impl Drop for WorkerBackend {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.work.notify_all();
        for t in self.threads.drain(..) {
            let _ = t.join();
        }
    }
}

impl BlockBackend for WorkerBackend {
    fn len(&self) -> u64 {
        self.shared.storage.len()
    }

    fn read_only(&self) -> bool {
        self.shared.storage.read_only()
    }

    fn max_in_flight(&self) -> usize {
        self.depth
    }

    fn submit(&mut self, request: BlockRequest) {
        let mut q = self.shared.lock();
        q.in_flight += 1;
        if q.in_flight > self.depth {
            let id = request.id;
            let result = Err(BlockError::Busy);
            self.shared.finish(q, Completion { id, result });
            return;
        }
        q.requests.push_back(request);
        drop(q);
        self.shared.work.notify_one();
    }

    fn poll(&mut self) -> Option<Completion> {
        let mut q = self.shared.lock();
        let c = q.done.pop_front()?;
        q.in_flight = q.in_flight.saturating_sub(1);
        Some(c)
    }

    fn attach(&mut self, notifier: Notifier, token: u32) {
        let mut q = self.shared.lock();
        q.notifier = notifier;
        q.token = token;
    }
}
