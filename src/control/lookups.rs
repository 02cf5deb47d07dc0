//! Names of a run being looked up, beside the run: a slow name delays neither the other hosts nor an interruption.
//!
//! The system's resolver blocks its thread for as long as it likes, so each name has a time limit here, and a thread
//! that exceeds it is replaced by another. Not the meaning of an address, which is the
//! [`HostResolver`](super::host_resolver::HostResolver)'s. Invariant: each name has one result.

use std::collections::{BTreeMap, HashMap};
use std::io;
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
    /// Names for the threads, which take them from the other end.
    names: Sender<(usize, Target)>,
    waiting: Receiver<(usize, Target)>,
    sender: Sender<LookupEvent>,
    events: Receiver<LookupEvent>,
    limit: Duration,
    threads: usize,
    /// Names in progress, by the time at which each began.
    begun: BTreeMap<(Instant, usize), usize>,
    /// Names without a result.
    open: HashMap<usize, String>,
}

impl Lookups {
    /// Begins to look up the names, each with the number under which its result is reported. One that takes longer than
    /// `limit` is given up.
    #[must_use]
    pub fn start(names: Vec<(usize, Target)>, limit: Duration) -> Self {
        let mut lookups = Self::new(limit);
        for (index, target) in names {
            lookups.add(index, target);
        }
        lookups
    }

    /// Creates lookups of no name yet.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        let (names, waiting) = unbounded();
        let (sender, events) = unbounded();
        Self {
            names,
            waiting,
            sender,
            events,
            limit,
            threads: 0,
            begun: BTreeMap::new(),
            open: HashMap::new(),
        }
    }

    /// Begins to look up one more name, with the number under which its result is reported.
    pub fn add(&mut self, index: usize, target: Target) {
        self.open.insert(index, target.name().to_owned());
        if self.threads < self.open.len().min(limits::RESOLVERS) {
            self.start_thread();
        }
        if self.threads == 0 {
            // The system has no thread to give. Both ends of the channels are held here.
            let step = Step::Done(target.resolve());
            let _ = self.sender.send(LookupEvent { index, step });
        } else {
            let _ = self.names.send((index, target));
        }
    }

    fn start_thread(&mut self) {
        if self.threads == limits::RESOLVERS_MOST {
            return;
        }
        let (names, sender) = (self.waiting.clone(), self.sender.clone());
        let work = move || {
            for (index, target) in names {
                let report = |step| sender.send(LookupEvent { index, step });
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
                self.open.remove(&index)?;
                Some((index, resolved))
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
        self.start_thread();
        let error = ResolveError {
            host: self.open.remove(&index).unwrap_or_default(),
            error: Some(io::ErrorKind::TimedOut.into()),
        };
        Some((index, Err(error)))
    }
}
