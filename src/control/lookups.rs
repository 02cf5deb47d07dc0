//! Names of a run being looked up, beside the run: a slow name delays neither the other hosts nor an interruption.
//!
//! The system's resolver blocks its thread for as long as it likes, so each name has a time limit here, and a thread
//! that exceeds it is replaced by another. Not the meaning of an address, which is the
//! [`HostResolver`](super::host_resolver::HostResolver)'s. Invariant: each name has one result.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::host_resolver::Resolved;
use super::limits;
use crate::net::{ResolveError, Target};

/// Step of a lookup, by the number of the name.
#[derive(Debug)]
enum Step {
    Begun,
    Done(Resolved),
}

/// Report of a thread.
#[derive(Debug)]
pub struct LookupEvent {
    index: usize,
    step: Step,
}

/// Names being looked up.
pub struct Lookups {
    names: Arc<[(usize, Target)]>,
    /// First name that no thread has taken.
    next: Arc<AtomicUsize>,
    sender: Sender<LookupEvent>,
    events: Receiver<LookupEvent>,
    limit: Duration,
    threads: usize,
    /// Names in progress, by the time at which each began.
    begun: BTreeMap<(Instant, usize), usize>,
    done: HashSet<usize>,
}

impl Lookups {
    /// Begins to look up the names, each with the number under which its result is reported. One that takes longer than
    /// `limit` is given up.
    #[must_use]
    pub fn start(names: Vec<(usize, Target)>, limit: Duration) -> Self {
        let (sender, events) = unbounded();
        let mut lookups = Self {
            names: names.into(),
            next: Arc::default(),
            sender,
            events,
            limit,
            threads: 0,
            begun: BTreeMap::new(),
            done: HashSet::new(),
        };
        for _ in 0..lookups.names.len().min(limits::RESOLVERS) {
            lookups.start_thread();
        }
        if lookups.threads == 0 {
            lookups.look_up_here();
        }
        lookups
    }

    /// Looks all names up without a thread, as the system has none to give.
    fn look_up_here(&self) {
        for (index, target) in self.names.iter() {
            let event = LookupEvent {
                index: *index,
                step: Step::Done(target.resolve()),
            };
            // The receiver is held by the same value.
            let _ = self.sender.send(event);
        }
    }

    fn start_thread(&mut self) {
        if self.threads == limits::RESOLVERS_MOST {
            return;
        }
        let (names, next) = (Arc::clone(&self.names), Arc::clone(&self.next));
        let sender = self.sender.clone();
        let work = move || {
            while let Some((index, target)) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                let report = |step| {
                    sender.send(LookupEvent {
                        index: *index,
                        step,
                    })
                };
                if report(Step::Begun).is_err() || report(Step::Done(target.resolve())).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("resolver".into());
        // Without a thread more, the names wait for those that there are.
        self.threads += usize::from(thread.spawn(work).is_ok());
    }

    /// Returns the channel of reports. Each one received must be passed to [`Lookups::on_event`].
    #[must_use]
    pub const fn events(&self) -> &Receiver<LookupEvent> {
        &self.events
    }

    /// Handles a report. Returns the number of a name, and its addresses.
    pub fn on_event(&mut self, event: LookupEvent, now: Instant) -> Option<(usize, Resolved)> {
        let LookupEvent { index, step } = event;
        match step {
            Step::Begun => {
                self.begun.insert((now, index), index);
                None
            }
            Step::Done(resolved) => {
                self.begun.retain(|_, other| *other != index);
                self.done.insert(index).then_some((index, resolved))
            }
        }
    }

    /// Returns the time of the next call of [`Lookups::overdue`].
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let ((begun, _), _) = self.begun.first_key_value()?;
        Some(*begun + self.limit)
    }

    /// Gives up a name whose time is over. Its thread is replaced.
    pub fn overdue(&mut self, now: Instant) -> Option<(usize, Resolved)> {
        let entry = self.begun.first_entry()?;
        if entry.key().0 + self.limit > now {
            return None;
        }
        let index = entry.remove();
        self.done.insert(index);
        self.start_thread();
        let name = self.names.iter().find(|(other, _)| *other == index);
        let error = ResolveError {
            host: name.map_or_else(String::new, |(_, target)| target.name().to_owned()),
            error: Some(io::ErrorKind::TimedOut.into()),
        };
        Some((index, Err(error)))
    }
}
