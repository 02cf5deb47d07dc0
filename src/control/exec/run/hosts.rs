//! Hosts of a run: their beginning as the schedule and the window allow, and the actions of their jobs.

use std::time::{Duration, Instant};

use super::super::exchange::ExchangeRequest;
use super::super::plan::TaskHost;
use super::super::show::{Offset, Shown};
use super::super::summary;
use super::super::{Action, Config, JobRequest, Output, RemoteJob, Report, Verbosity};
use super::{Run, Running};
use crate::control::contact::Contact;
use crate::control::host_resolver::{Host, HostError, Resolved};
use crate::control::limits;
use crate::message::Outcome;
use crate::net::{self, Refusal};
use crate::session::Ticket;
use crate::time;

impl Run<'_> {
    /// Begins hosts as long as there is one to begin and a place for it. Returns true if one has begun.
    pub(super) fn begin_some(&mut self) -> bool {
        let mut has_begun = false;
        let now = net::Clock.now();
        while !self.is_backlogged()
            && self.window.has_room(now)
            && let Some(index) = self.schedule.next(now)
        {
            self.begin(index, now);
            has_begun = true;
        }
        has_begun
    }

    /// Returns true while so much waits to be written that no further host begins.
    pub(super) fn is_backlogged(&self) -> bool {
        !self.held.is_empty() || !self.has_room(Output::Stdout)
    }

    fn begin(&mut self, index: usize, now: time::Instant) {
        let request = self.request(index, now);
        let task = &self.tasks[index];
        let host = match &task.host {
            TaskHost::Found(Ok(host)) => host,
            TaskHost::Found(Err(error)) => {
                let mut report = Report::new(request.id(), Some(Outcome::Unreachable {}));
                report.note = Some(error.to_string());
                let line = error.to_string();
                self.finish.ticket = None;
                return self.ended(index, report, (Duration::ZERO, 0), Some(line));
            }
            TaskHost::Named(_) => unreachable!("a host that is not known is not ready"),
        };
        let (attempt, _) = self.attempts[index];
        let further = u32::try_from(self.tasks.len()).expect("Client::reserve has counted them");
        let slot = self.slot(index) + attempt * further;
        let job = RemoteJob::new(Config {
            slot,
            request,
            goal: self.settings.goal,
            agent: host.agent,
            paths: host.paths.clone(),
            ticket: host.ticket,
            begun: now,
            contact_timeout: self.settings.contact_timeout,
            retry_for: self.settings.retry_for,
        });
        if self.attempts[index].1.is_none() && self.is_fleet() {
            self.reporters.add(&host.paths);
        }
        self.attempts[index].1.get_or_insert(now);
        self.running[index] = Some(Box::new(Running {
            job,
            slot,
            began: Instant::now(),
            learned: None,
            sent: 0,
            is_asked: false,
            stalled: None,
            is_held: false,
            is_kept: false,
        }));
        self.active += 1;
        self.tell(ExchangeRequest::Begin {
            attempt: slot,
            index,
        });
        self.window.begin(now, slot);
        self.ready.insert(index);
    }

    /// Returns the request of a task. In a further attempt it has an age, as the host may have it from one before.
    fn request(&self, index: usize, now: time::Instant) -> JobRequest {
        let mut request = self.tasks[index].request.clone();
        if let (JobRequest::Exec(exec), (1.., Some(first))) = (&mut request, self.attempts[index]) {
            let age = u64::try_from(now.since(first).as_millis()).unwrap_or(u64::MAX);
            exec.age_ms = exec.age_ms.max(age.saturating_add(1));
        }
        request
    }

    /// Handles the addresses of a name that was looked up.
    pub(super) fn found(&mut self, index: usize, addresses: Resolved) {
        let TaskHost::Named(target) = &self.tasks[index].host else {
            return;
        };
        let host = match self.resolver {
            Some(resolver) => resolver.host(target, addresses, self.client),
            None => Err(HostError::NoResolver),
        };
        let host = host.and_then(|host| {
            let task = &mut self.tasks[index];
            match &mut self.recorder {
                Some(recorder) => recorder
                    .add(index, task, &host)
                    .map_err(HostError::Journal)
                    .map(|()| host),
                None => Ok(host),
            }
        });
        self.tasks[index].host = TaskHost::Found(host);
        self.schedule.ready(index);
    }

    /// Takes the actions of the jobs that are ready. Output for which there is no room waits with its job, and so does
    /// what follows it there, but no command; such jobs take turns.
    pub(super) fn act(&mut self) {
        self.take_turns();
        while let Some(index) = self.ready.pop_first() {
            self.act_for(index);
        }
    }

    /// Gives each host whose actions wait a turn if there is room for its output, before hosts with news take it. Those
    /// without a turn keep their places.
    fn take_turns(&mut self) {
        let mut place = 0;
        for _ in 0..self.held.len() {
            if !Output::ALL.iter().any(|&output| self.has_room(output)) {
                return;
            }
            let index = self.held[place];
            let running = self.running[index].as_mut();
            let output = running.and_then(|running| running.job.next_output());
            if output.is_some_and(|output| !self.has_room(output)) {
                place += 1;
                continue;
            }
            self.held.remove(place);
            if let Some(running) = &mut self.running[index] {
                running.is_held = false;
                self.act_for(index);
            }
        }
    }

    fn act_for(&mut self, index: usize) {
        loop {
            let room = Output::ALL.map(|output| self.has_room(output));
            let Some(running) = &mut self.running[index] else {
                return;
            };
            let output = running.job.next_output();
            let waits = running.is_held || output.is_some_and(|output| !room[output as usize]);
            let action = if waits {
                running.job.poll_command()
            } else {
                running.job.poll()
            };
            let Some(action) = action else {
                if waits && !std::mem::replace(&mut running.is_held, true) {
                    self.held.push_back(index);
                }
                return;
            };
            self.take(index, action);
        }
    }

    /// Returns true if more output of hosts may be queued for an output.
    fn has_room(&self, output: Output) -> bool {
        self.streams[output as usize].queued() < limits::BACKLOG
    }

    fn take(&mut self, index: usize, action: Action) {
        match action {
            Action::Command(command) => self.client.send(command),
            Action::Output(output, from, data) => {
                if let Some(console) = &mut self.terminal.console {
                    console.on_output(&data);
                }
                self.take_output(index, Offset { output, from }, data);
            }
            Action::Gap(output, from, bytes) => self.report_gap(index, output, from, bytes),
            Action::Learned(ticket) => {
                if let Some(running) = &mut self.running[index] {
                    running.learned = Some(ticket);
                    self.window.answered(running.slot);
                }
            }
            Action::Answered(address) => {
                if self.settings.verbosity == Verbosity::Verbose {
                    let label = &self.tasks[index].label;
                    self.say(&format!("{label}: answered at {address}"));
                }
            }
            Action::Accepted {
                terminal,
                kept,
                places,
            } => {
                if let Some(running) = &mut self.running[index] {
                    running.is_kept = kept;
                }
                if let Some(recorder) = &mut self.recorder {
                    recorder.live().place(index, (!terminal).then_some(places));
                }
                if let Some(on_accepted) = self.on_accepted.take() {
                    on_accepted();
                }
                if terminal {
                    self.enter_raw(index);
                }
                let task = &self.tasks[index];
                if let Some(record) = self.show.start(&task.label, task.request.id()) {
                    self.print(record);
                }
            }
            Action::Screen(data) => self.repaint(data),
            Action::Flush => self.flush(index),
            Action::Ended(report) => self.on_ended(index, report),
        }
    }

    fn take_output(&mut self, index: usize, place: Offset, data: bytes::Bytes) {
        let (slot, output) = (self.slot(index), place.output);
        if output == Output::Stderr && !self.is_fleet() {
            keep_end(&mut self.finish.stderr_end, &data, limits::STDERR_END);
        }
        let Some(data) = self.pass_on(index, output, data) else {
            return;
        };
        let label = &self.tasks[index].label;
        match self.files.write(label, output, &data) {
            Ok(false) => {}
            Ok(true) => return self.written(slot, output, data.len() as u64),
            Err(error) => return self.file_failed(error),
        }
        match self.show.on_output(slot, label, place, data) {
            Shown::Chunk(chunk) => self.push(output, chunk),
            Shown::Held => {}
            Shown::Kept(bytes) => self.written(slot, output, bytes),
        }
    }

    fn on_ended(&mut self, index: usize, mut report: Report) {
        summary::note_unstarted(&mut report, &self.tasks[index].request);
        self.flush(index);
        let has_kept = self.has_kept();
        self.restore();
        if let Some(running) = &self.running[index] {
            self.tell(ExchangeRequest::Ended(running.slot));
        }
        if self.is_retried(index, &report) {
            return self.retry(index);
        }
        self.settle(index, &report);
        let running = self.running[index]
            .take()
            .expect("a job that has just reported is in progress");
        self.active -= 1;
        self.window.ended(running.slot);
        self.learn(index, running.learned);
        self.finish.ticket = running.learned;
        let is_met = |host: &Host| host.ticket.is_some();
        let is_unanswered = report.outcome == Some(Outcome::Unreachable {});
        self.finish.unanswered = is_unanswered.then(|| {
            let host = self.tasks[index].host.found();
            host.is_some_and(is_met)
        });
        let line = self.line_of_end(&report);
        let took = running.began.elapsed();
        let is_lost = report.outcome == Some(Outcome::Lost {});
        self.ended(index, report, (took, running.sent), line);
        if has_kept && is_lost {
            let way_back = self.way_back(index);
            self.say(&format!("{}: {way_back}", self.tasks[index].label));
        }
    }

    /// Returns true if one more attempt is made to reach a host. The request has the same id, so it starts nothing twice.
    fn is_retried(&self, index: usize, report: &Report) -> bool {
        report.outcome == Some(Outcome::Unreachable {})
            && self.attempts[index].0 < self.settings.fleet.retries
            && !self.schedule.has_stop()
    }

    fn retry(&mut self, index: usize) {
        if let Some(running) = self.running[index].take() {
            self.active -= 1;
            self.window.ended(running.slot);
            self.attempts[index].0 += 1;
            self.schedule.again(index);
            if self.settings.verbosity == Verbosity::Verbose {
                let label = &self.tasks[index].label;
                self.say(&format!("{label}: no answer; trying again"));
            }
        }
    }

    /// Names missing output on stderr. The line is written before the output behind the gap, also if both go to one
    /// terminal.
    fn report_gap(&mut self, index: usize, output: Output, from: u64, bytes: u64) {
        let name = ["stdout", "stderr"][output as usize];
        let line = format!(
            "{}: {bytes} bytes of {name} ({from} to {}) are no longer held; request {}",
            self.tasks[index].label,
            from + bytes,
            self.tasks[index].request.id()
        );
        self.say(&line);
        self.stdout_waits = true;
    }

    pub(super) fn on_event(&mut self, event: net::Event) {
        self.client.taken();
        match event {
            net::Event::Session(event) => {
                if let Some(session) = event.session() {
                    let slot = Contact::slot_of(session);
                    let index = self.index(slot);
                    if let Some(running) = self.running[index].as_mut()
                        && running.slot == slot
                    {
                        running.job.on_event(event);
                        self.ready.insert(index);
                    }
                }
            }
            net::Event::Refused(refusal) => self.on_refused(refusal),
            net::Event::Failed { address, error } => self.say(&format!("{address}: {error}")),
            net::Event::Plain { .. }
            | net::Event::Suppressed { .. }
            | net::Event::Counted { .. } => {}
        }
    }

    /// Says that a host is not reached, once also if it is tried again; of several, the end of each says so. A report names
    /// an address without its port, so it is passed over if there are several agents.
    fn on_refused(&mut self, refusal: Refusal) {
        if self.is_fleet() {
            if self.reporters.is_of_one(refusal) {
                for running in self.running.iter_mut().flatten() {
                    running.job.on_refused_among(refusal);
                }
            }
            return;
        }
        for index in 0..self.running.len() {
            if let Some(words) = self.job(index).and_then(|job| job.on_refused(refusal))
                && self.attempts[index].0 == 0
            {
                self.say(&format!("{}: {words}", self.tasks[index].label));
            }
        }
    }

    fn learn(&self, index: usize, learned: Option<Ticket>) {
        if let (Some(ticket), Some(host), Some(resolver)) =
            (learned, self.tasks[index].host.found(), self.resolver)
        {
            resolver.learn(&host.agent, &ticket);
        }
    }
}

/// Appends bytes to the end of an output, of which at most `limit` are kept.
fn keep_end(end: &mut Vec<u8>, data: &[u8], limit: usize) {
    let data = &data[data.len().saturating_sub(limit)..];
    let surplus = (end.len() + data.len()).saturating_sub(limit);
    end.drain(..surplus);
    end.extend_from_slice(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_output_is_kept_up_to_its_limit() {
        let mut end = Vec::new();
        for (data, kept) in [
            ("ab", "ab"),
            ("cd", "abcd"),
            ("ef", "cdef"),
            ("12345", "2345"),
        ] {
            keep_end(&mut end, data.as_bytes(), 4);
            assert_eq!(end, kept.as_bytes());
        }
    }
}
