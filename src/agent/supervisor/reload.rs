//! Changed files of the policy: when they are read, and what is recorded of it. And whether SIGHUP means that, or that
//! the terminal was closed.
//!
//! The files are read by a [`Worker`]. Invariant: the policy is made of what was read last. If a change cannot be read
//! in time, nobody is admitted any more until it is; what runs goes on, and so do open sessions.

use std::io;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::stdio::{stderr, stdin, stdout};
use rustix::termios::tcgetattr;

use super::policy_worker::{Answer, Task, Worker};
use super::watch::Watched;
use super::{Supervisor, limits, tokens};
use crate::agent::access::{Policy, PolicyFiles, PolicySource as _};
use crate::agent::audit::{Event, Record, key_changes};
use crate::agent::log;
use crate::net::Clock;
use crate::time::Instant;

/// Course of the reading of the files.
#[derive(Default)]
pub struct Reading {
    worker: Option<Worker>,
    /// True if the files are to be read once more after that.
    again: bool,
    /// Process that was killed because it did not answer, until it is gone.
    late: Option<i32>,
    /// Policy before nobody was admitted any more.
    before: Option<Arc<Policy>>,
}

/// Orders of the owner to load the files and the program again.
#[derive(Default)]
pub(super) struct Reloads {
    /// True if there is a new one.
    pub(super) ordered: bool,
    /// Number of replacements of the program that have failed.
    pub(super) failed: u64,
    /// Reason of the last failure.
    pub(super) reason: String,
}

impl Reading {
    /// True if the files are being read.
    pub const fn is_active(&self) -> bool {
        self.worker.is_some()
    }

    /// Returns the time until which they are to be read.
    pub fn deadline(&self) -> Option<Instant> {
        self.worker.as_ref().map(Worker::deadline)
    }
}

impl Supervisor {
    /// Schedules a load of changed files. A file that is being replaced is missing or empty for a moment, which
    /// must revoke no key.
    pub(super) fn check_files(&mut self) {
        let read = self.reading.is_active();
        let watch = self.watch.as_mut();
        if watch.is_some_and(|watch| watch.has_changed(read)) {
            let settled = Clock.now() + limits::SETTLED;
            self.reload.get_or_insert(settled);
        }
    }

    /// Begins to read the files of the policy, or to read them again.
    pub(super) fn read_policy(&mut self, now: Instant) {
        self.reload = None;
        if self.reading.is_active() {
            self.reading.again = true;
            return;
        }
        self.reading.again = false;
        let late = self.reading.late;
        self.reading.late = late.filter(|pid| self.predecessors.contains(pid));
        if self.reading.late.is_some() {
            // One process that hangs is enough.
            self.reload = Some(now + limits::POLICY_RETRY);
            return;
        }
        match self.start_worker(&Task::Read, now + limits::POLICY) {
            None => {}
            Some(Ok(worker)) => self.reading.worker = Some(worker),
            Some(Err(error)) => self.suspend_policy(now, &error.to_string()),
        }
    }

    /// Starts a worker. Returns `None` if there are no files.
    pub(super) fn start_worker(
        &mut self,
        task: &Task,
        until: Instant,
    ) -> Option<io::Result<Worker>> {
        let (sources, watch) = (self.policy.sources()?, self.watch.as_ref()?);
        let worker = Worker::start(
            self.own_program.as_ref(),
            sources,
            watch.descriptor(),
            task,
            until,
            &mut self.predecessors,
        );
        Some(worker.and_then(|worker| {
            worker.register(&self.registry, tokens::WORKER)?;
            Ok(worker)
        }))
    }

    /// Takes what was read, and reads what has changed.
    pub(super) fn on_policy(&mut self, now: Instant) {
        let answer = self
            .reading
            .worker
            .as_mut()
            .and_then(|worker| worker.poll(now));
        if let Some(answer) = answer {
            let worker = self.reading.worker.take();
            match answer {
                Ok(Answer::Read { files, watched }) => self.take_policy(now, *files, watched),
                Ok(Answer::Redeemed(_)) => {}
                Err(reason) => {
                    self.reading.late = worker.as_ref().and_then(Worker::pid);
                    self.suspend_policy(now, &reason);
                }
            }
        }
        if self.reload.is_some_and(|at| at <= now) {
            self.read_policy(now);
        }
        self.redeem(now);
    }

    fn take_policy(&mut self, now: Instant, files: PolicyFiles, watched: Watched) {
        if let Some(watch) = &mut self.watch {
            watch.set_targets(watched);
        }
        if files.are_unanswered() {
            return self.suspend(now, files);
        }
        let before = self.reading.before.take();
        let before = before.unwrap_or_else(|| self.policy.policy());
        let errors = self.policy.replace(files);
        self.enable_controllers();
        let after = self.policy.policy();
        for change in key_changes(&before, &after) {
            log::write_key_change(&change);
            let event = change.change.event();
            self.records
                .send(&Record::of_key(change.key, &change.name, event));
        }
        self.record_reload(errors);
        if self.reading.again {
            return self.read_policy(now);
        }
        self.answer_redeemed();
    }

    /// Admits nobody until the files are read, which they were not for a reason.
    fn suspend_policy(&mut self, now: Instant, reason: &str) {
        if let Some(files) = self.policy.files() {
            self.suspend(now, files.unanswered(reason));
        }
    }

    /// Takes files that are unanswered, and reads them again later.
    fn suspend(&mut self, now: Instant, files: PolicyFiles) {
        self.reload = Some(now + limits::POLICY_RETRY);
        self.reading.again = false;
        let policy = self.policy.policy();
        if policy.is_suspended() {
            return;
        }
        self.reading.before = Some(policy);
        let errors = self.policy.replace(files);
        self.record_reload(errors);
    }

    fn record_reload(&mut self, errors: usize) {
        self.tally.reloads += 1;
        let keys = self.policy.policy().members().count();
        log::write_reload(keys, errors);
        self.records
            .send(&Record::of_agent(Event::Reloaded { keys, errors }));
        self.send_policy();
    }
}

/// True if a standard stream is a terminal that was hung up.
pub(super) fn is_hung_up() -> bool {
    let (stdin, stdout, stderr) = (stdin(), stdout(), stderr());
    [stdin, stdout, stderr]
        .into_iter()
        .any(|stream| matches!(tcgetattr(stream), Err(Errno::IO)))
}
