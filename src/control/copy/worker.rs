//! Thread that reads and writes the files of all hosts.
//!
//! Invariant: it answers requests in their order and waits for nothing else, so that each host gets its turn.

use std::collections::{HashMap, HashSet};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::host_copy::HostCopy;
use super::{CopyConfig, HostResult, Plan, total};
use crate::control::exec::{Attempt, Exchange, ExchangeEvent, ExchangeRequest, Meter};
use crate::control::limits;
use crate::copy::{Fault, Library, Side, Violation, limits as copy};
use crate::escape;

/// The thread.
#[derive(Debug)]
pub struct CopyThread(Receiver<Vec<HostResult>>);

impl CopyThread {
    /// Waits for its end, after the run has dropped its [`Exchange`], and returns the results of the tasks in their order.
    /// `None` if it has not ended `within` a time, as while a file system does not answer.
    ///
    /// # Panics
    /// If the thread has panicked, which ends the program anyway.
    #[must_use]
    pub fn results(self, within: Option<Duration>) -> Option<Vec<HostResult>> {
        match within {
            Some(time) => self.0.recv_timeout(time).ok(),
            None => Some(self.0.recv().expect("a panic ends the program")),
        }
    }
}

/// Starts the thread.
pub(super) fn start(config: CopyConfig) -> io::Result<(Exchange, CopyThread)> {
    let (to_worker, requests) = unbounded();
    let (events, from_worker) = unbounded();
    let meter = Arc::new(Meter::default());
    if let (true, Plan::Send { paths, .. }) = (config.is_watched, &config.plan) {
        total::start(paths.clone(), config.hosts, Arc::clone(&meter));
    }
    let exchange = Exchange {
        requests: to_worker,
        events: from_worker,
        meter: Arc::clone(&meter),
    };
    let thread = std::thread::Builder::new().name("files".into());
    let (results, ended) = bounded(1);
    thread.spawn(move || {
        // Nobody waits for the results of a run that was left.
        let _ = results.send(Worker::new(config, events, meter).run(&requests));
    })?;
    Ok((exchange, CopyThread(ended)))
}

struct Worker {
    plan: Plan,
    events: Sender<ExchangeEvent>,
    meter: Arc<Meter>,
    library: Rc<Library>,
    /// Copies in progress.
    copies: HashMap<Attempt, HostCopy>,
    results: Vec<HostResult>,
    /// Items of this machine that were named, as they fail for every host.
    named: HashSet<Vec<u8>>,
}

impl Worker {
    fn new(config: CopyConfig, events: Sender<ExchangeEvent>, meter: Arc<Meter>) -> Self {
        let chunks = match config.hosts {
            ..=1 => copy::CHUNKS,
            _ => copy::CHUNKS_SHARED,
        };
        Self {
            plan: config.plan,
            events,
            meter,
            library: Rc::new(Library::new(chunks)),
            copies: HashMap::new(),
            results: vec![HostResult::default(); config.hosts],
            named: HashSet::new(),
        }
    }

    /// Answers requests until the run has ended.
    fn run(mut self, requests: &Receiver<ExchangeRequest>) -> Vec<HostResult> {
        while let Ok(request) = requests.recv() {
            match request {
                ExchangeRequest::Begin { attempt, index } => self.begin(attempt, index),
                ExchangeRequest::Wanted(attempt) => {
                    if let Some(copy) = self.copies.get_mut(&attempt) {
                        copy.is_wanted = true;
                    }
                    self.give(attempt);
                }
                ExchangeRequest::Output(attempt, bytes) => {
                    self.take(attempt, &bytes);
                    let taken = ExchangeEvent::Taken(attempt, bytes.len() as u64);
                    self.tell(taken);
                    self.give(attempt);
                }
                ExchangeRequest::Ended(attempt) => {
                    if let Some(copy) = self.copies.remove(&attempt) {
                        let index = copy.index;
                        self.results[index] = copy.end();
                    }
                }
            }
        }
        for copy in self.copies.into_values() {
            let index = copy.index;
            self.results[index] = copy.end();
        }
        self.results
    }

    fn tell(&self, event: ExchangeEvent) {
        // A run that has ended needs no answer.
        let _ = self.events.send(event);
    }

    fn begin(&mut self, attempt: Attempt, index: usize) {
        match HostCopy::begin(&self.plan, index, &self.library) {
            Ok(copy) => {
                self.copies.insert(attempt, copy);
            }
            Err((path, fault)) => {
                let line = format!("{}: {fault}", shown(&path));
                self.tell(ExchangeEvent::Note(None, line));
                self.tell(ExchangeEvent::Failed(attempt));
            }
        }
    }

    /// Gives a host the next bytes, if it wants some and there are any.
    fn give(&mut self, attempt: Attempt) {
        let Some(copy) = self.copies.get_mut(&attempt) else {
            return;
        };
        if !copy.is_wanted {
            return;
        }
        let bytes = copy.pull();
        copy.is_wanted = bytes.is_none();
        self.report(attempt);
        if let Some(bytes) = bytes {
            self.tell(ExchangeEvent::Input(attempt, bytes));
        }
    }

    fn take(&mut self, attempt: Attempt, bytes: &[u8]) {
        let Some(copy) = self.copies.get_mut(&attempt) else {
            return;
        };
        let index = copy.index;
        if let Err(Violation(words)) = copy.push(bytes) {
            let line = format!("the agent does not follow the copy protocol: {words}");
            self.tell(ExchangeEvent::Note(Some(index), line));
            self.tell(ExchangeEvent::Failed(attempt));
        }
        self.report(attempt);
    }

    /// Names the items of a copy that have failed, and counts its progress.
    fn report(&mut self, attempt: Attempt) {
        let Some(copy) = self.copies.get_mut(&attempt) else {
            return;
        };
        self.meter.add(copy.take_progress());
        let mut notes = Vec::new();
        while let Some(report) = copy.next_report() {
            let is_new = !copy.is_shared(report.side) || self.named.insert(report.path.clone());
            if is_new {
                let about = (report.side == Side::There).then_some(copy.index);
                notes.push((about, line(&report.path, report.fault)));
            }
        }
        for (about, line) in notes {
            self.tell(ExchangeEvent::Note(about, line));
        }
    }
}

fn line(path: &[u8], fault: Fault) -> String {
    format!("{}: {fault}", shown(path))
}

fn shown(path: &[u8]) -> String {
    escape::line(path, limits::NOTE).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_does_not_end_is_waited_for_only_so_long() {
        let (results, ended) = bounded(1);
        let within = Some(Duration::ZERO);
        assert_eq!(CopyThread(ended.clone()).results(within), None);
        results.send(vec![HostResult::default()]).unwrap();
        let results = CopyThread(ended).results(within);
        assert_eq!(results, Some(vec![HostResult::default()]));
    }
}
