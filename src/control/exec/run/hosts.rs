//! Hosts of a run: their beginning as the window allows, the actions of their jobs, and their ends.

use std::time::{Duration, Instant};

use super::super::show::{Offset, Shown, Style};
use super::super::summary::{self, Fate};
use super::super::{Action, Config, Goal, JobRequest, Output, RemoteJob, Report, Verbosity};
use super::{Run, Running};
use crate::control::contact::Contact;
use crate::control::journal::State;
use crate::control::limits;
use crate::control::stdio::Chunk;
use crate::message::Outcome;
use crate::net;
use crate::session::Ticket;
use crate::time::micros;

impl Run<'_> {
    /// Begins tasks until [`limits::WINDOW`] hosts are in progress.
    pub(super) fn begin_some(&mut self) {
        while self.active < limits::WINDOW && self.next < self.tasks.len() {
            let index = self.next;
            self.next += 1;
            let slot = self.slot(index);
            if self.finish.interruption.is_some() {
                let label = self.tasks[index].label.clone();
                self.finish.tally.add(Fate::Skipped, &label);
                self.write_state(index, State::Void);
                continue;
            }
            match &self.tasks[index].host {
                Ok(host) => {
                    let job = RemoteJob::new(Config {
                        slot,
                        request: self.tasks[index].request.clone(),
                        goal: self.settings.goal,
                        agent: host.agent,
                        paths: host.paths.clone(),
                        ticket: host.ticket,
                        begun: net::Clock.now(),
                        contact_timeout: self.settings.contact_timeout,
                        retry_for: self.settings.retry_for,
                    });
                    self.running[index] = Some(Box::new(Running {
                        job,
                        began: Instant::now(),
                        learned: None,
                    }));
                    self.active += 1;
                    self.ready.insert(slot);
                }
                Err(error) => {
                    let report = Report {
                        id: self.tasks[index].request.id(),
                        outcome: Some(Outcome::Unreachable {}),
                        accepted: false,
                        lengths: [0, 0],
                        missing: [0, 0],
                        streams_open: false,
                        cause: None,
                        still_running: false,
                        pid: None,
                        home: None,
                        note: Some(error.to_string()),
                    };
                    let line = format!("{}: {error}", self.tasks[index].label);
                    self.finish.ticket = None;
                    self.ended(index, report, Duration::ZERO, Some(line));
                }
            }
        }
    }

    /// Takes all actions of the jobs that are ready.
    pub(super) fn act(&mut self) {
        while let Some(slot) = self.ready.pop_first() {
            while let Some(action) = self.job(slot).and_then(RemoteJob::poll) {
                self.take(slot, action);
            }
        }
    }

    pub(super) fn take(&mut self, slot: u32, action: Action) {
        let index = self.index(slot);
        match action {
            Action::Command(command) => self.client.send(command),
            Action::Output(output, from, data) => {
                if let Some(console) = &mut self.console {
                    console.on_output(&data);
                }
                let label = &self.tasks[index].label;
                match self
                    .show
                    .on_output(slot, label, Offset { output, from }, data)
                {
                    Shown::Chunk(chunk) => self.push(output, chunk),
                    Shown::Held => {}
                    Shown::Kept(bytes) => self.written(slot, output, bytes),
                }
            }
            Action::Gap(output, from, bytes) => self.report_gap(index, output, from, bytes),
            Action::Learned(ticket) => {
                if let Some(running) = &mut self.running[index] {
                    running.learned = Some(ticket);
                }
            }
            Action::Answered(address) => {
                if self.settings.verbosity == Verbosity::Verbose {
                    let label = &self.tasks[index].label;
                    self.say(&format!("{label}: answered at {address}"));
                }
            }
            Action::Accepted { terminal, places } => {
                if let Some(journal) = &mut self.journal {
                    journal.place(index, (!terminal).then_some(places));
                }
                if terminal {
                    self.enter_raw(slot);
                }
            }
            Action::Screen(data) => self.paint(data),
            Action::Flush => self.flush(slot),
            Action::Ended(mut report) => {
                if let (Some(Outcome::SpawnFailed { step, .. }), None, JobRequest::Exec(exec)) =
                    (report.outcome, &report.note, &self.tasks[index].request)
                {
                    report.note = Some(summary::unstarted(exec, step));
                }
                self.flush(slot);
                self.restore();
                self.settle(index, &report);
                let running = self.running[index]
                    .take()
                    .expect("a job that has just reported is in progress");
                self.active -= 1;
                self.learn(index, running.learned);
                self.finish.ticket = running.learned;
                let line = (summary::is_worth_a_line(&report)
                    || self.settings.verbosity == Verbosity::Verbose
                    || self.is_fleet() && Fate::of(report.outcome) != Fate::Ok)
                    .then(|| {
                        let label = &self.tasks[index].label;
                        if self.is_fleet() {
                            summary::line(label, &report)
                        } else {
                            summary::line_of_one(label, &report)
                        }
                    });
                self.ended(index, report, running.began.elapsed(), line);
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
                    if let Some(job) = self.job(slot) {
                        job.on_event(event);
                        self.ready.insert(slot);
                    }
                }
            }
            net::Event::Failed { address, error } => self.say(&format!("{address}: {error}")),
            net::Event::Plain { .. }
            | net::Event::Suppressed { .. }
            | net::Event::Counted { .. } => {}
        }
    }

    /// Records the state of a request in the journal. A request that the agent may have a result of stays open.
    fn settle(&mut self, index: usize, report: &Report) {
        let running = self.running[index].as_ref();
        let may_be_there = running.is_some_and(|running| running.job.may_be_there());
        let state = if may_be_there {
            report.outcome.map_or(State::Open, State::of)
        } else {
            State::Void
        };
        if state != State::Open {
            self.write_state(index, state);
        }
    }

    pub(super) fn write_state(&mut self, index: usize, state: State) {
        if let Some(journal) = &mut self.journal {
            journal.settle(index, state);
        }
    }

    pub(super) fn learn(&self, index: usize, learned: Option<Ticket>) {
        if let (Some(ticket), Ok(host), Some(resolver)) =
            (learned, &self.tasks[index].host, self.resolver)
            && host.ticket.is_none_or(|known| is_news(&known, &ticket))
        {
            resolver.learn(&host.agent, &ticket);
        }
    }

    pub(super) fn ended(
        &mut self,
        index: usize,
        report: Report,
        took: Duration,
        line: Option<String>,
    ) {
        let label = self.tasks[index].label.clone();
        if let Style::Json(_) = self.settings.style {
            let captured = self.show.take_captured(self.slot(index));
            let mut object = summary::object(&label, &report, &captured, took).to_string();
            object.push('\n');
            let data = object.into();
            let _ = self.streams[Output::Stdout as usize].push(Chunk { tag: None, data });
        } else if self.settings.goal == Goal::Detach && report.outcome.is_none() {
            let data = if self.is_fleet() {
                format!("{label}: {}\n", report.id)
            } else {
                format!("{}\n", report.id)
            };
            let _ = self.streams[Output::Stdout as usize].push(Chunk {
                tag: None,
                data: data.into(),
            });
        }
        let notices = summary::notices(&label, &report).into_iter();
        for line in notices.chain(line) {
            self.say(&line);
        }
        self.finish.tally.add(Fate::of(report.outcome), &label);
        self.finish.report = Some(report);
    }
}

/// Returns true if a ticket is worth storing: the agent has restarted, or a clock or the round-trip time differs.
fn is_news(known: &Ticket, learned: &Ticket) -> bool {
    let (least, most) = (known.rtt.min(learned.rtt), known.rtt.max(learned.rtt));
    known.epoch != learned.epoch
        || known.offset.abs_diff(learned.offset) > micros(limits::TICKET_DRIFT)
        || most > 2 * least && most > least + limits::TICKET_RTT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_stored_anew_only_if_it_differs_enough_to_matter() {
        let ticket = |epoch, offset, rtt| Ticket {
            epoch,
            offset,
            rtt: Duration::from_millis(rtt),
        };
        let known = ticket(1, 0, 20);
        for (learned, stored) in [
            (known, false),
            (ticket(2, 0, 20), true),
            (ticket(1, 1_999_999, 20), false),
            (ticket(1, -2_000_001, 20), true),
            (ticket(1, 0, 40), false),
            (ticket(1, 0, 41), true),
            (ticket(1, 0, 10), false),
            (ticket(1, 0, 9), true),
        ] {
            assert_eq!(is_news(&known, &learned), stored, "{learned:?}");
        }
        // On a fast network the load of the machine changes it several times over.
        assert!(!is_news(&ticket(1, 0, 1), &ticket(1, 0, 11)));
        assert!(is_news(&ticket(1, 0, 1), &ticket(1, 0, 12)));
    }
}
