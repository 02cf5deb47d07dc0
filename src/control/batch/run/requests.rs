//! Requests of a batch that are in progress: their beginnings, the actions of their jobs, and their records.

use std::time::{Duration, Instant};

use super::super::output;
use super::super::ready::Pending;
use super::super::recorders::Entry;
use super::{Batch, Running, key};
use crate::control::contact::Contact;
use crate::control::exec::summary;
use crate::control::exec::{
    Action, Config, Goal, JobRequest, Offset, RemoteJob, Report, Shown, Task, TaskHost,
};
use crate::control::host_resolver::{Host, HostError};
use crate::control::journal::State;
use crate::control::limits;
use crate::message::{Fate, Outcome};
use crate::net;

impl Batch<'_> {
    /// Begins requests as long as there is one to begin and a place for it.
    pub(super) fn begin_some(&mut self) {
        let now = net::Clock.now();
        while self.has_room()
            && self.window.has_room(now)
            && let Some((pending, found)) = self.intake.begin(now)
        {
            match found {
                Ok(host) => self.begin(pending, host),
                Err(error) => self.fail(&pending, &error),
            }
        }
    }

    /// Ends a request whose host cannot be contacted.
    fn fail(&mut self, pending: &Pending, error: &HostError) {
        let mut report = Report::new(pending.member.id, Some(Outcome::Unreachable {}));
        report.note = Some(error.to_string());
        self.record(pending, Fate::Unreachable, &report, None, Duration::ZERO);
    }

    fn begin(&mut self, pending: Pending, host: Host) {
        let mut exec = pending.request.exec.clone();
        exec.id = pending.member.id;
        exec.user.clone_from(&pending.member.user);
        let is_given = exec.retain;
        let mut task = Task {
            label: pending.member.target.label().to_owned(),
            host: TaskHost::Found(Ok(host.clone())),
            request: JobRequest::Exec(exec),
        };
        let entry = match self.recorders.add(&mut task, &host) {
            Ok(entry) => Some(entry),
            Err(error) if is_given => {
                return self.fail(&pending, &HostError::Journal(error));
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_unrecorded, true) {
                    self.say(&format!(
                        "requests are not recorded in the journal: {error}"
                    ));
                }
                None
            }
        };
        self.start(pending, task, host, entry);
    }

    fn start(&mut self, pending: Pending, task: Task, host: Host, entry: Option<Entry>) {
        let slot = self.client.reserve(1);
        let now = net::Clock.now();
        let job = RemoteJob::new(Config {
            slot,
            request: task.request.clone(),
            goal: Goal::Result,
            agent: host.agent,
            paths: host.paths,
            ticket: host.ticket,
            begun: now,
            contact_timeout: self.settings.contact_timeout,
            retry_for: self.settings.retry_for,
        });
        let running = Running {
            job,
            input: pending.request.stdin.clone(),
            pending,
            task,
            entry,
            began: Instant::now(),
            learned: None,
        };
        self.running.insert(slot, running);
        self.window.begin(now, slot);
        self.active.insert(slot);
    }

    /// Writes the records of requests that do not begin after a stop, as far as the reader takes them.
    pub(super) fn skip_some(&mut self) {
        while self.has_room()
            && let Some(pending) = self.intake.skip()
        {
            let report = Report::new(pending.member.id, None);
            self.record(&pending, Fate::Skipped, &report, None, Duration::ZERO);
        }
    }

    pub(super) fn on_event(&mut self, event: net::Event) {
        self.client.taken();
        match event {
            net::Event::Session(event) => {
                if let Some(slot) = event.session().map(Contact::slot_of)
                    && let Some(running) = self.running.get_mut(&slot)
                {
                    running.job.on_event(event);
                    self.active.insert(slot);
                }
            }
            net::Event::Failed { address, error } => self.say(&format!("{address}: {error}")),
            net::Event::Refused(_)
            | net::Event::Plain { .. }
            | net::Event::Suppressed { .. }
            | net::Event::Counted { .. } => {}
        }
    }

    /// Takes all actions of the jobs that may have some.
    pub(super) fn act(&mut self) {
        while let Some(slot) = self.active.pop_first() {
            while let Some(running) = self.running.get_mut(&slot) {
                running.feed();
                let Some(action) = running.job.poll() else {
                    break;
                };
                self.on_action(slot, action);
            }
        }
    }

    fn on_action(&mut self, slot: u32, action: Action) {
        match action {
            Action::Command(command) => self.client.send(command),
            Action::Output(output, from, data) => {
                let Some(running) = self.running.get_mut(&slot) else {
                    return;
                };
                let (label, place) = (&running.task.label, Offset { output, from });
                if let Shown::Kept(bytes) = self.show.on_output(slot, label, place, data) {
                    running.job.on_written(output, bytes);
                }
            }
            Action::Learned(ticket) => {
                if let Some(running) = self.running.get_mut(&slot) {
                    running.learned = Some(ticket);
                    self.window.answered(slot);
                    if let Some(host) = running.task.host.found() {
                        let time = running.began.elapsed();
                        self.intake.on_answer(&running.pending, host, Some(time));
                    }
                }
            }
            Action::Accepted { places, .. } => {
                if let Some(entry) = self.running.get(&slot).and_then(|running| running.entry) {
                    self.recorders.accepted(entry, places);
                }
            }
            Action::Ended(report) => self.on_ended(slot, report),
            // The report and its record name what is missing.
            Action::Gap(..) | Action::Answered(_) | Action::Screen(_) | Action::Flush => {}
        }
    }

    fn on_ended(&mut self, slot: u32, mut report: Report) {
        let Some(running) = self.running.remove(&slot) else {
            return;
        };
        summary::note_unstarted(&mut report, &running.task.request);
        self.window.ended(slot);
        if let Some(host) = running.task.host.found() {
            self.intake.on_answer(&running.pending, host, None);
        }
        if let (Some(ticket), Some(host)) = (&running.learned, running.task.host.found()) {
            self.resolver.learn(&host.agent, ticket);
        }
        let state = if running.job.may_be_there() {
            report.outcome.map_or(State::Open, State::of)
        } else {
            State::Void
        };
        self.settle(running.entry, state);
        for line in summary::notices(&running.task.label, &report) {
            self.say(&line);
        }
        let (fate, took) = (Fate::of(report.outcome), running.began.elapsed());
        self.record(&running.pending, fate, &report, Some(slot), took);
    }

    /// Records the state of a request in the journal.
    pub(super) fn settle(&mut self, entry: Option<Entry>, state: State) {
        if let Some(entry) = entry {
            self.recorders.ended(entry, state);
        }
    }

    /// Queues the record of a request that has ended or was not begun, and counts it. `slot` is that of its outputs.
    pub(super) fn record(
        &mut self,
        pending: &Pending,
        fate: Fate,
        report: &Report,
        slot: Option<u32>,
        took: Duration,
    ) {
        let label = pending.member.target.label();
        let captured = slot.map(|slot| self.show.take_captured(slot));
        let object = summary::object(label, report, captured.as_ref(), took);
        self.finish.tally.add(fate, pending.rank, label);
        self.intake.ended(pending.line);
        if pending.request.exec.retain {
            self.given.remove(&key(&pending.member));
        }
        self.print(output::exit(pending, fate, object));
    }
}

impl Running {
    /// Passes input to the job as far as it takes some.
    fn feed(&mut self) {
        while self.pending.request.exec.stdin && self.job.wants_stdin() {
            let length = self.input.len().min(limits::STDIN_CHUNK);
            let chunk = self.input.split_to(length);
            self.job.on_stdin(chunk, self.input.is_empty());
        }
    }
}
