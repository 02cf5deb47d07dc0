//! The controller's side of the copy to or from one host.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;

use super::{FailedItem, HostResult, Plan};
use crate::copy::{
    Destination, Library, OpenError, Pulled, Receiver, Report, Scope, Sender, Side, Violation,
};

/// Side of a copy.
#[derive(Debug)]
enum Engine {
    Sender(Box<Sender>),
    Receiver(Box<Receiver>),
}

/// Copy to or from one host.
#[derive(Debug)]
pub(super) struct HostCopy {
    /// The task.
    pub(super) index: usize,
    engine: Engine,
    /// Bytes of the host that are not worked off.
    inbox: VecDeque<Bytes>,
    /// Bytes of the first of them that were taken.
    taken: usize,
    /// True if the host takes input.
    pub(super) is_wanted: bool,
    /// True if it has its turn.
    pub(super) is_queued: bool,
    /// Items that were not copied, for the result.
    pub(super) failed: Vec<FailedItem>,
    /// Bytes that were reported as done.
    reported: u64,
    is_broken: bool,
}

impl HostCopy {
    /// Begins the copy of a task. `is_counted`: a host that sends is asked for the number of bytes.
    ///
    /// # Errors
    /// If the destination cannot be opened.
    pub(super) fn begin(
        plan: &Plan,
        index: usize,
        library: &Rc<Library>,
        is_counted: bool,
    ) -> Result<Self, OpenError> {
        let engine = match plan {
            Plan::Send { .. } => {
                let sources = plan.sources().expect("of a copy to hosts");
                Engine::Sender(Box::new(Sender::new(sources, Rc::clone(library))))
            }
            Plan::Receive {
                destinations,
                preserve,
                requested,
            } => {
                let to = &destinations[index];
                let destination = Destination {
                    scope: &Scope::Everywhere,
                    path: &to.path,
                    is_directory: to.is_directory,
                };
                let receiver = Receiver::open(&destination, *preserve)?;
                let mut receiver = receiver.with_requested(requested.clone());
                if is_counted {
                    receiver = receiver.with_total();
                }
                Engine::Receiver(Box::new(receiver))
            }
        };
        Ok(Self {
            index,
            engine,
            inbox: VecDeque::new(),
            taken: 0,
            is_wanted: false,
            is_queued: false,
            failed: Vec::new(),
            reported: 0,
            is_broken: false,
        })
    }

    /// Returns the next bytes for the host.
    pub(super) fn pull(&mut self) -> Pulled {
        match &mut self.engine {
            Engine::Sender(sender) => sender.pull(),
            Engine::Receiver(receiver) if receiver.has_replies() => {
                Pulled::Bytes(receiver.take_replies())
            }
            Engine::Receiver(_) => Pulled::Nothing,
        }
    }

    /// Takes bytes of the host, to be worked off.
    pub(super) fn push(&mut self, bytes: Bytes) {
        self.inbox.push_back(bytes);
    }

    /// Returns true if there are bytes to work off.
    pub(super) fn has_work(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// Works for a bounded time. Returns the number of bytes that are worked off; `None` if more time is needed for the next
    /// ones. Those behind a violation are passed over.
    pub(super) fn work(&mut self) -> Result<Option<u64>, Violation> {
        let Some(bytes) = self.inbox.front() else {
            return Ok(Some(0));
        };
        let mut rest = &bytes[self.taken..];
        let pushed = match &mut self.engine {
            _ if self.is_broken => Ok(true),
            Engine::Sender(sender) => sender.push(rest).map(|()| true),
            Engine::Receiver(receiver) => receiver.push(&mut rest),
        };
        match pushed {
            Ok(true) => {
                self.taken = 0;
                let bytes = self.inbox.pop_front();
                Ok(bytes.map(|bytes| bytes.len() as u64))
            }
            Ok(false) => {
                self.taken = bytes.len() - rest.len();
                Ok(None)
            }
            Err(violation) => {
                self.is_broken = true;
                Err(violation)
            }
        }
    }

    /// Takes the next report.
    pub(super) fn next_report(&mut self) -> Option<Report> {
        match &mut self.engine {
            Engine::Sender(sender) => sender.next_report(),
            Engine::Receiver(receiver) => receiver.next_report(),
        }
    }

    /// Returns true if what a report is about is on this machine, the same for every host.
    pub(super) const fn is_shared(&self, side: Side) -> bool {
        match (&self.engine, side) {
            (Engine::Sender(_), Side::Here) => true,
            (Engine::Sender(_), Side::There) | (Engine::Receiver(_), _) => false,
        }
    }

    /// Returns the number of bytes of all files, if the host has announced it.
    pub(super) const fn total(&self) -> Option<u64> {
        match &self.engine {
            Engine::Sender(_) => None,
            Engine::Receiver(receiver) => receiver.total(),
        }
    }

    /// Returns the bytes that were done since it was asked last.
    pub(super) fn take_progress(&mut self) -> u64 {
        let progress = match &self.engine {
            Engine::Sender(sender) => sender.progress(),
            Engine::Receiver(receiver) => receiver.progress(),
        };
        progress.saturating_sub(std::mem::replace(&mut self.reported, progress))
    }

    /// Ends the copy.
    pub(super) fn end(mut self) -> HostResult {
        let (is_complete, counts, failures) = match &mut self.engine {
            Engine::Sender(sender) => {
                let counts = sender.result().unwrap_or_default();
                (sender.is_complete(), counts, sender.failures())
            }
            Engine::Receiver(receiver) => {
                receiver.leave();
                let counts = receiver.counts();
                (receiver.is_complete(), counts, receiver.failures())
            }
        };
        HostResult {
            is_complete: is_complete && !self.is_broken,
            counts,
            failures,
            failed: self.failed,
        }
    }
}
