//! Runs block requests inside `submit`: for deterministic runs.

use super::{BlockBackend, BlockRequest, Completion, Storage, execute};
use crate::Notifier;
use std::collections::VecDeque;

/// A back end that completes every request before `submit` returns. It never notifies.
pub struct SyncBackend {
    storage: Box<dyn Storage>,
    done: VecDeque<Completion>,
}

impl SyncBackend {
    /// Runs requests on `storage`.
    #[must_use]
    pub fn new(storage: impl Storage + 'static) -> Self {
        Self {
            storage: Box::new(storage),
            done: VecDeque::new(),
        }
    }
}

impl BlockBackend for SyncBackend {
    fn len(&self) -> u64 {
        self.storage.len()
    }

    fn read_only(&self) -> bool {
        self.storage.read_only()
    }

    fn submit(&mut self, request: BlockRequest) {
        let result = execute(&*self.storage, request.op);
        self.done.push_back(Completion {
            id: request.id,
            result,
        });
    }

    fn poll(&mut self) -> Option<Completion> {
        self.done.pop_front()
    }

    fn attach(&mut self, _notifier: Notifier, _token: u32) {}
}
