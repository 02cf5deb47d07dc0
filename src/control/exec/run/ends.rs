//! Ends of hosts and of the run: lines, records, gathered output, and the states of requests in the journal.

use std::collections::HashMap;
use std::time::Duration;

use super::super::job_log::LogEntry;
use super::super::plan::Failure;
use super::super::show::Style;
use super::super::{Goal, HostFileError, Output, Report, Verbosity, summary, tally};
use super::Run;
use crate::control::fleet::Stop;
use crate::control::journal::State;
use crate::control::stdio::Chunk;
use crate::escape;
use crate::message::{Fate, Outcome};
use crate::net;

impl Run<'_> {
    /// Returns the line about a host's end, without its name, if one is due.
    pub(super) fn line_of_end(&self, report: &Report) -> Option<String> {
        let is_verbose = self.settings.verbosity == Verbosity::Verbose;
        let is_due = summary::is_worth_a_line(report)
            || is_verbose
            || self.is_fleet() && Fate::of(report.outcome) != Fate::Ok;
        is_due.then(|| {
            if self.is_fleet() {
                summary::words(report, is_verbose || summary::is_open(report))
            } else {
                summary::words_of_one(report)
            }
        })
    }

    /// Writes the line of a host's end to the log.
    fn log(&mut self, index: usize, report: &Report, took: Duration, sent: u64) {
        let task = &self.tasks[index];
        let Some(log) = &mut self.job_log else { return };
        let written = log.write(LogEntry {
            index,
            host: &task.label,
            took,
            sent,
            request: &task.request,
            report,
        });
        if let Err(error) = written {
            let path = log.path().to_owned();
            self.job_log = None;
            self.file_failed(HostFileError { path, error });
        }
    }

    /// Handles the end of a host, to which `sent` bytes of input were sent. `line` is about it, without its name.
    pub(super) fn ended(
        &mut self,
        index: usize,
        report: Report,
        (took, sent): (Duration, u64),
        line: Option<String>,
    ) {
        self.log(index, &report, took, sent);
        let label = self.tasks[index].label.clone();
        let fate = Fate::of(report.outcome);
        let sent = Output::ALL.map(|output| {
            let index = output as usize;
            report.lengths[index].saturating_sub(report.missing[index])
        });
        if let Err(error) = self.files.end(&label, sent) {
            self.file_failed(error);
        }
        let slot = self.slot(index);
        if let Style::Json(_) = self.settings.style {
            let captured = self.show.take_captured(slot);
            let object = summary::object(&label, &report, Some(&captured), took);
            if self.exchange.is_some() {
                // The other side completes it.
                self.finish.objects.push((index, object));
            } else {
                self.print(format!("{}\n", escape::json(&object.to_string())));
            }
        } else if let Some(record) = self.show.exit(&label, fate, || {
            summary::object(&label, &report, None, took)
        }) {
            self.print(record);
        } else if self.settings.goal == Goal::Detach && report.outcome.is_none() {
            self.print(if self.is_fleet() {
                format!("{label}: {}\n", report.id)
            } else {
                format!("{}\n", report.id)
            });
        }
        for line in summary::notices(&label, &report) {
            self.say(&line);
        }
        self.say_end(index, line);
        #[cfg(feature = "cli")]
        self.show.end(slot, &label, words(report.outcome));
        let status = report.outcome.map_or(0, Outcome::exit_status);
        self.finish.largest_status = self.finish.largest_status.max(status);
        self.fates[index] = Some(fate);
        self.finish.report = Some(report);
        self.on_rule(index, fate == Fate::Ok);
    }

    /// Says how a host has ended, at once or together with others.
    fn say_end(&mut self, index: usize, line: Option<String>) {
        let Some(line) = line else { return };
        if self.settings.style.is_gathered() {
            self.ends.push((index, line));
        } else {
            self.say(&format!("{}: {line}", self.tasks[index].label));
        }
    }

    /// Lets the rules of the run decide after the end of a host.
    fn on_rule(&mut self, index: usize, is_ok: bool) {
        if self.schedule.ended(index, is_ok, net::Clock.now())
            && let Some(stop) = self.schedule.stopped()
        {
            if stop == Stop::FailFast {
                self.cancel_all();
            }
            let rest = match self.schedule.waiting().count() {
                0 => String::new(),
                1 => "; 1 host not begun".to_owned(),
                waiting => format!("; {waiting} hosts not begun"),
            };
            self.say(&format!("stopping: {}{rest}", stop.words()));
        }
        if self.schedule.asks() && self.is_unattended {
            self.schedule.answer(false, net::Clock.now());
            self.say("the canary is ok, and nobody is there to ask whether to go on");
        } else if self.schedule.asks() {
            let waiting = self.schedule.waiting().count();
            self.say(&format!(
                "the canary is ok; go on with the other {waiting} hosts? [y/N]"
            ));
        }
    }

    /// Queues what was gathered, and the ends that are named together, once no host is left.
    pub(super) fn conclude(&mut self) {
        if std::mem::replace(&mut self.is_concluded, true) {
            return;
        }
        if let Some(clear) = self.progress.end() {
            let chunk = Chunk {
                tag: None,
                data: clear,
            };
            let _ = self.streams[Output::Stderr as usize].push(chunk);
        }
        #[cfg(feature = "cli")]
        for text in self.show.take_gathered() {
            self.print(text);
        }
        let mut ends: Vec<(String, Vec<usize>)> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        self.ends.sort_unstable();
        for (index, words) in std::mem::take(&mut self.ends) {
            let place = *known.entry(words.clone()).or_insert(ends.len());
            if place == ends.len() {
                ends.push((words, Vec::new()));
            }
            ends[place].1.push(index);
        }
        for (words, hosts) in ends {
            let label = |index: usize| self.tasks[index].label.clone();
            let labels: Vec<String> = hosts.into_iter().map(label).collect();
            self.say(&format!("{}: {words}", tally::names(&labels)));
        }
        for index in self.schedule.waiting().collect::<Vec<_>>() {
            if self.attempts[index].0 > 0 {
                // It was asked, and may have the request although it did not answer.
                self.fates[index] = Some(Fate::Unreachable);
                continue;
            }
            let task = &self.tasks[index];
            let report = Report::new(task.request.id(), None);
            let label = task.label.clone();
            let object = || summary::object(&label, &report, None, Duration::ZERO);
            if let Some(record) = self.show.exit(&label, Fate::Skipped, object) {
                self.print(record);
            }
            self.write_state(index, State::Void);
        }
    }

    /// Records the state of a request in the journal. A request that the agent may have a result of stays open.
    pub(super) fn settle(&mut self, index: usize, report: &Report) {
        let running = self.running[index].as_ref();
        let may_be_there = running.is_some_and(|running| running.job.may_be_there());
        // Without a ticket, an attachment is not sent before the agent has answered.
        let may_be_there = may_be_there || report.accepted || self.attempts[index].0 > 0;
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
        if let Some(recorder) = &mut self.recorder {
            recorder.live().settle(index, state);
        }
    }

    /// Handles a file that cannot be written.
    pub(super) fn file_failed(&mut self, error: HostFileError) {
        if self.finish.failure.is_none() {
            self.stop_for(Failure::File(error));
        }
        for index in 0..self.running.len() {
            for output in Output::ALL {
                self.broken(index, output);
            }
        }
    }
}

/// Returns an outcome in words, by which hosts are grouped.
#[cfg(feature = "cli")]
fn words(outcome: Option<Outcome>) -> String {
    outcome.map_or_else(String::new, |outcome| outcome.to_string())
}
