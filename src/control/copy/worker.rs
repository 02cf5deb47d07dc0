//! Thread that reads and writes the files of all hosts.
//!
//! Invariant: it works for one host for a bounded time and waits for nothing but file systems, so that each host gets its
//! turn, whatever another one sends.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded, unbounded};

use super::host_copy::HostCopy;
use super::totals::Totals;
use super::{CopyConfig, FailedItem, HostResult, Plan};
use crate::control::exec::{Attempt, Exchange, ExchangeEvent, ExchangeRequest, Meter};
use crate::control::limits;
use crate::copy::{self, Fault, Library, Pulled, Side, Violation};
use crate::escape;
use crate::message::limits::NOTE;

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
    if let (true, Some(sources)) = (config.is_watched, config.plan.sources()) {
        let meter = Arc::clone(&meter);
        let thread = std::thread::Builder::new().name("total".into());
        // Without a thread, no total is shown.
        let _ = thread.spawn(move || {
            let bytes = copy::total(&sources);
            meter.set_total(bytes.saturating_mul(config.hosts as u64));
        });
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
    /// Numbers of bytes that the hosts have announced, if a person watches a copy from them.
    totals: Option<Totals>,
    library: Rc<Library>,
    /// Copies in progress.
    copies: HashMap<Attempt, HostCopy>,
    /// Copies with work to do, in the order of their turns.
    turns: VecDeque<Attempt>,
    results: Vec<HostResult>,
    /// Bytes for further failed items of all hosts in the results.
    listed: usize,
    /// Items of this machine that were named, as they fail for every host.
    named: HashSet<Vec<u8>>,
}

impl Worker {
    fn new(config: CopyConfig, events: Sender<ExchangeEvent>, meter: Arc<Meter>) -> Self {
        let chunks = match config.hosts {
            ..=1 => copy::limits::CHUNKS,
            _ => copy::limits::CHUNKS_SHARED,
        };
        Self {
            totals: (config.is_watched && config.plan.sources().is_none())
                .then(|| Totals::new(config.hosts)),
            plan: config.plan,
            events,
            meter,
            library: Rc::new(Library::new(chunks)),
            copies: HashMap::new(),
            turns: VecDeque::new(),
            results: vec![HostResult::default(); config.hosts],
            listed: if config.is_listed {
                limits::COPY_ITEMS
            } else {
                0
            },
            named: HashSet::new(),
        }
    }

    /// Answers requests until the run has ended, and works for the hosts in turn meanwhile.
    fn run(mut self, requests: &Receiver<ExchangeRequest>) -> Vec<HostResult> {
        loop {
            let request = if self.turns.is_empty() {
                requests.recv().map_err(|_| TryRecvError::Disconnected)
            } else {
                requests.try_recv()
            };
            match request {
                Ok(request) => self.on_request(request),
                // A turn takes longer than a request: one is taken only when no request waits.
                Err(TryRecvError::Empty) => {
                    if let Some(attempt) = self.turns.pop_front() {
                        self.turn(attempt);
                    }
                }
                Err(TryRecvError::Disconnected) => break,
            }
        }
        let attempts: Vec<Attempt> = self.copies.keys().copied().collect();
        for attempt in attempts {
            self.end(attempt);
        }
        self.results
    }

    fn on_request(&mut self, request: ExchangeRequest) {
        match request {
            ExchangeRequest::Begin { attempt, index } => self.begin(attempt, index),
            ExchangeRequest::Wanted(attempt) => {
                if let Some(copy) = self.copies.get_mut(&attempt) {
                    copy.is_wanted = true;
                    self.queue(attempt);
                }
            }
            ExchangeRequest::Output(attempt, bytes) => match self.copies.get_mut(&attempt) {
                Some(copy) => {
                    copy.push(bytes);
                    self.queue(attempt);
                }
                None => self.tell(ExchangeEvent::Taken(attempt, bytes.len() as u64)),
            },
            ExchangeRequest::Ended(attempt) => self.end(attempt),
        }
    }

    /// Gives a host its turn behind those that wait for theirs.
    fn queue(&mut self, attempt: Attempt) {
        let copy = self.copies.get_mut(&attempt);
        if copy.is_some_and(|copy| !std::mem::replace(&mut copy.is_queued, true)) {
            self.turns.push_back(attempt);
        }
    }

    /// Works for a host for a bounded time.
    fn turn(&mut self, attempt: Attempt) {
        let Some(copy) = self.copies.get_mut(&attempt) else {
            return;
        };
        copy.is_queued = false;
        let mut worked = 0;
        while worked < limits::COPY_TURN {
            match self.work(attempt) {
                Some(bytes) if bytes > 0 => worked += bytes,
                Some(_) | None => break,
            }
        }
        self.taken(attempt, worked);
        self.give(attempt);
        if self.copies.get(&attempt).is_some_and(HostCopy::has_work) {
            self.queue(attempt);
        }
    }

    /// Ends a copy. What has arrived is still worked off, except what takes long.
    fn end(&mut self, attempt: Attempt) {
        let mut worked = 0;
        while self.copies.get(&attempt).is_some_and(HostCopy::has_work)
            && let Some(bytes) = self.work(attempt)
        {
            worked += bytes;
        }
        self.taken(attempt, worked);
        if let Some(copy) = self.copies.remove(&attempt) {
            let index = copy.index;
            if let Some(totals) = &mut self.totals {
                totals.end(index);
            }
            self.results[index] = copy.end();
        }
    }

    fn tell(&self, event: ExchangeEvent) {
        // A run that has ended needs no answer.
        let _ = self.events.send(event);
    }

    fn begin(&mut self, attempt: Attempt, index: usize) {
        match HostCopy::begin(&self.plan, index, &self.library, self.totals.is_some()) {
            Ok(copy) => {
                self.copies.insert(attempt, copy);
            }
            Err(error) => {
                let line = line(error.path.as_os_str().as_encoded_bytes(), error.fault);
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
        let pulled = copy.pull();
        copy.is_wanted = !matches!(pulled, Pulled::Bytes(_));
        self.report(attempt);
        match pulled {
            Pulled::Bytes(bytes) => self.tell(ExchangeEvent::Input(attempt, bytes)),
            Pulled::Busy => self.queue(attempt),
            Pulled::Nothing => {}
        }
    }

    /// Reports bytes of a host that are worked off: once for all of a turn, as each report wakes the run. Behind the reports on
    /// items, as the run may end once all is taken.
    fn taken(&self, attempt: Attempt, bytes: u64) {
        if bytes > 0 {
            self.tell(ExchangeEvent::Taken(attempt, bytes));
        }
    }

    /// Works on the next bytes of a host. Returns their number; `None` if more time is needed.
    fn work(&mut self, attempt: Attempt) -> Option<u64> {
        let copy = self.copies.get_mut(&attempt)?;
        let (index, worked) = (copy.index, copy.work());
        if let Err(Violation(words)) = worked {
            let line = format!("the agent does not follow the copy protocol: {words}");
            self.tell(ExchangeEvent::Note(Some(index), line));
            self.tell(ExchangeEvent::Failed(attempt));
        }
        self.report(attempt);
        worked.unwrap_or(Some(0))
    }

    /// Names the items of a copy that have failed, and counts its progress.
    fn report(&mut self, attempt: Attempt) {
        let Some(copy) = self.copies.get_mut(&attempt) else {
            return;
        };
        self.meter.add(copy.take_progress());
        if let (Some(totals), Some(bytes)) = (&mut self.totals, copy.total()) {
            totals.announce(copy.index, bytes);
            self.meter.set_total(totals.sum().unwrap_or(0));
        }
        let mut notes = Vec::new();
        while let Some(report) = copy.next_report() {
            if let Some(left) = self
                .listed
                .checked_sub(report.path.len() + limits::COPY_ITEM)
            {
                self.listed = left;
                copy.failed.push(FailedItem {
                    path: report.path.clone(),
                    is_here: report.side == Side::Here,
                    words: report.fault.to_string(),
                });
            }
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
    escape::line(path, NOTE).into_owned()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::ReceiveTo;
    use super::*;
    use crate::copy::{Requested, Scope, Sources};

    #[test]
    fn a_thread_that_does_not_end_is_waited_for_only_so_long() {
        let (results, ended) = bounded(1);
        let within = Some(Duration::ZERO);
        assert_eq!(CopyThread(ended.clone()).results(within), None);
        results.send(vec![HostResult::default()]).unwrap();
        let results = CopyThread(ended).results(within);
        assert_eq!(results, Some(vec![HostResult::default()]));
    }

    /// Frames of a file of almost 2^63 zeros, up to its only hole.
    fn endless() -> Bytes {
        let mut stream = vec![1, 0, 0, 1, 1];
        stream.extend([5, 0, 0, 25]);
        stream.extend([0; 16]);
        let length = (u64::MAX / 2).to_be_bytes();
        stream.extend(length);
        stream.push(b'f');
        stream.extend([7, 0, 0, 8]);
        stream.extend(length);
        stream.into()
    }

    #[test]
    fn a_hole_of_one_host_does_not_hold_up_the_copy_from_another() {
        let temporary = tempfile::tempdir().unwrap();
        let at = |path: &str| temporary.path().join(path);
        let content = vec![b'x'; 3_000_000];
        std::fs::write(at("f"), &content).unwrap();
        let destinations = ["a", "b"].map(|name| {
            std::fs::create_dir(at(name)).unwrap();
            ReceiveTo {
                path: at(name),
                is_directory: true,
            }
        });
        let (exchange, thread) = start(CopyConfig {
            plan: Plan::Receive {
                destinations: destinations.into(),
                preserve: false,
                requested: Requested::of(&["f".into()], false),
            },
            hosts: 2,
            is_watched: false,
            is_listed: false,
        })
        .unwrap();
        let tell = |request| exchange.requests.send(request).unwrap();
        let (hostile, honest) = (7, 8);
        for (attempt, index) in [(hostile, 0), (honest, 1)] {
            tell(ExchangeRequest::Begin { attempt, index });
            tell(ExchangeRequest::Wanted(attempt));
        }
        tell(ExchangeRequest::Output(hostile, endless()));
        let sources = Sources {
            paths: vec![at("f")],
            scope: Scope::Everywhere,
            recursive: false,
        };
        let mut sender = copy::Sender::new(sources, Rc::new(Library::new(1)));
        let mut sent = 0;
        while let Pulled::Bytes(bytes) = sender.pull() {
            sent += bytes.len() as u64;
            tell(ExchangeRequest::Output(honest, bytes));
        }
        while sent > 0 || !sender.is_done() {
            let within = Duration::from_secs(60);
            match exchange.events.recv_timeout(within).unwrap() {
                ExchangeEvent::Taken(attempt, bytes) => {
                    assert_eq!(attempt, honest, "the hole is not worked off");
                    sent -= bytes;
                }
                ExchangeEvent::Input(attempt, bytes) => {
                    assert_eq!(attempt, honest);
                    sender.push(&bytes).unwrap();
                }
                event => panic!("{event:?}"),
            }
        }
        assert!(sender.is_complete());
        tell(ExchangeRequest::Ended(honest));
        // Nor does it hold up the end.
        tell(ExchangeRequest::Ended(hostile));
        drop(exchange);
        let results = thread.results(Some(Duration::from_secs(60))).unwrap();
        let results: Vec<_> = results.iter().map(|result| result.is_complete).collect();
        assert_eq!(results, [false, true]);
        assert!(std::fs::read(at("b/f")).unwrap() == content);
    }
}
