//! The controller's side of the copy to or from one host.

use std::rc::Rc;

use bytes::Bytes;

use super::{HostResult, Plan};
use crate::copy::{
    Destination, Fault, Library, Receiver, Report, Scope, Sender, Side, Sources, Violation,
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
    /// True if the host takes input.
    pub(super) is_wanted: bool,
    /// Bytes that were reported as done.
    reported: u64,
    is_broken: bool,
}

impl HostCopy {
    /// Begins the copy of a task.
    ///
    /// # Errors
    /// If the destination cannot be opened: its path, and why.
    pub(super) fn begin(
        plan: &Plan,
        index: usize,
        library: &Rc<Library>,
    ) -> Result<Self, (Vec<u8>, Fault)> {
        let engine = match plan {
            Plan::Send { paths, recursive } => {
                let sources = Sources {
                    paths: paths.clone(),
                    scope: Scope::Everywhere,
                    recursive: *recursive,
                };
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
                let receiver = Receiver::open(&destination, *preserve)
                    .map_err(|fault| (to.path.as_os_str().as_encoded_bytes().to_vec(), fault))?;
                Engine::Receiver(Box::new(receiver.with_requested(requested.clone())))
            }
        };
        Ok(Self {
            index,
            engine,
            is_wanted: false,
            reported: 0,
            is_broken: false,
        })
    }

    /// Returns the next bytes for the host, if there are any.
    pub(super) fn pull(&mut self) -> Option<Bytes> {
        match &mut self.engine {
            Engine::Sender(sender) => sender.pull(),
            Engine::Receiver(receiver) => receiver.has_replies().then(|| receiver.take_replies()),
        }
    }

    /// Takes bytes of the host. Those behind a violation are passed over.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        if self.is_broken {
            return Ok(());
        }
        let pushed = match &mut self.engine {
            Engine::Sender(sender) => sender.push(bytes),
            Engine::Receiver(receiver) => receiver.push(bytes),
        };
        self.is_broken = pushed.is_err();
        pushed
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
        let (is_complete, counts) = match &mut self.engine {
            Engine::Sender(sender) => (sender.is_complete(), sender.result()),
            Engine::Receiver(receiver) => {
                receiver.leave();
                (receiver.is_complete(), Some(receiver.counts()))
            }
        };
        HostResult {
            is_complete: is_complete && !self.is_broken,
            counts: counts.unwrap_or_default(),
        }
    }
}
