//! Conclusion of a run: the summary of several hosts, their record for the next run, and the exit status.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;
use serde_json::{Map, Value};

use super::ExecArgs;
use crate::cli::ctl::context::{note, print};
use crate::cli::ctl::unanswered::Unanswered;
use crate::control::exec::summary::{self, Fate, Tally};
use crate::control::exec::{Failure, Finish, Interruption, STDOUT};
use crate::control::fleet::{Class, LastRun, Stop};
use crate::message::VERSION;
use crate::message::status::{self, UDPCTL_FAILURE};

/// Last record of a run for programs.
#[derive(Serialize)]
struct Record {
    v: u32,
    r#type: &'static str,
    hosts: usize,
    /// Number of hosts of each class of outcomes.
    #[serde(flatten)]
    counts: Map<String, Value>,
    seconds: f64,
    status: u8,
}

/// Conclusion of a run over hosts.
pub(super) struct Conclusion<'a> {
    args: &'a ExecArgs,
    labels: &'a [String],
    /// Hosts beyond the limit of the command line.
    skipped: &'a [String],
}

impl<'a> Conclusion<'a> {
    pub(super) const fn new(
        args: &'a ExecArgs,
        labels: &'a [String],
        skipped: &'a [String],
    ) -> Self {
        Self {
            args,
            labels,
            skipped,
        }
    }

    /// Prints the summary, writes lists and record, and returns the exit status.
    pub(super) fn of(&self, finish: &Finish, record: Option<&Path>) -> Result<u8> {
        let is_one = self.labels.len() + self.skipped.len() == 1;
        let (mut tally, mut last) = (Tally::default(), LastRun::default());
        let fates = std::iter::zip(self.labels, finish.fates.iter().copied());
        let skipped = self.skipped.iter().map(|label| (label, Fate::Skipped));
        for (rank, (label, fate)) in fates.chain(skipped).enumerate() {
            tally.add(fate, rank, label);
            last.add(Class::of(fate), label);
        }
        let mut status = if is_one {
            conclude_one(finish)
        } else {
            status_of_several(finish, &tally, self.args.fleet.max_status)
        };
        if let Err(error) = self.args.output.write_lists(&last) {
            note(&format!("udpctl: {error:#}"));
            status = if is_one {
                UDPCTL_FAILURE
            } else {
                status::INTERNAL
            };
        }
        if is_one && !self.args.output.jsonl {
            explain(&self.labels[0], finish);
            return Ok(status);
        }
        if let (false, Some(path)) = (is_one, record)
            && let Err(error) = last.store(path)
        {
            note(&format!(
                "udpctl: the run is not recorded for --rerun: {error}"
            ));
        }
        if finish.interruption == Some(Interruption::BrokenPipe) {
            return Ok(status);
        }
        let is_stdout_broken = matches!(
            &finish.failure,
            Some(Failure::Stream { name, .. }) if *name == STDOUT
        );
        if self.args.output.jsonl && !is_stdout_broken {
            self.print_record(finish, &tally, status)?;
        }
        if !is_one {
            let mut lines = tally.lines(finish.took);
            if !finish.incomplete.is_empty() {
                let names = summary::names(&finish.incomplete);
                lines.push(format!("incomplete files: {names}"));
            }
            note(&lines.join("\n"));
        }
        Ok(status)
    }

    fn print_record(&self, finish: &Finish, tally: &Tally, status: u8) -> Result<()> {
        let mut counts = Map::new();
        for fate in Fate::ALL {
            counts.insert(fate.key().to_owned(), tally.count(fate).into());
        }
        let record = Record {
            v: VERSION,
            r#type: "summary",
            hosts: self.labels.len() + self.skipped.len(),
            counts,
            seconds: (finish.took.as_secs_f64() * 1000.0).round() / 1000.0,
            status,
        };
        print(&format!("{}\n", serde_json::to_string(&record)?))
    }
}

/// Prints the summary of several hosts and returns the exit status of a run.
pub fn conclude(labels: &[String], finish: &Finish) -> u8 {
    if labels.len() == 1 {
        return conclude_one(finish);
    }
    let mut tally = Tally::default();
    for (rank, (label, fate)) in std::iter::zip(labels, &finish.fates).enumerate() {
        tally.add(*fate, rank, label);
    }
    if finish.interruption != Some(Interruption::BrokenPipe) {
        note(&tally.lines(finish.took).join("\n"));
    }
    status_of_several(finish, &tally, false)
}

fn status_of_several(finish: &Finish, tally: &Tally, max_status: bool) -> u8 {
    match finish.interruption {
        Some(Interruption::Signal(signal)) => return status::interrupted(signal),
        Some(Interruption::BrokenPipe) => return status::BROKEN_PIPE,
        Some(Interruption::Left) => return status::INTERRUPTED,
        Some(Interruption::Failed) => return status::INTERNAL,
        None => {}
    }
    if max_status {
        return finish.largest_status;
    }
    let is_limited = match finish.stopped {
        Some(Stop::Canary | Stop::Declined | Stop::Errors(_) | Stop::FailFast) => true,
        Some(Stop::Interrupted) | None => false,
    };
    if is_limited {
        status::LIMITED
    } else {
        tally.exit_status_without(Fate::Skipped)
    }
}

/// Explains to a person why the only host may not have answered.
pub fn explain(label: &str, finish: &Finish) {
    if let (None, Some(is_met), Some(report)) =
        (finish.interruption, finish.unanswered, &finish.report)
    {
        let is_refused = report.is_refused;
        let unanswered = Unanswered {
            label,
            is_met,
            is_refused,
        };
        unanswered.explain();
    }
}

/// Returns the exit status of a run with one target.
pub fn conclude_one(finish: &Finish) -> u8 {
    match (finish.interruption, &finish.report) {
        (None, Some(report)) => summary::exit_status(report),
        (Some(Interruption::Signal(signal)), Some(report)) => {
            summary::exit_status_after(signal, report)
        }
        (Some(Interruption::Signal(signal)), None) => status::interrupted(signal),
        (Some(Interruption::BrokenPipe), _) => status::BROKEN_PIPE,
        (Some(Interruption::Left | Interruption::Failed), _) | (None, None) => UDPCTL_FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use signal_hook::consts::SIGINT;

    use super::*;
    use crate::control::exec::Report;
    use crate::message::{Outcome, RequestId};

    #[test]
    fn the_status_after_an_interruption_is_the_signals_only_if_it_ended_the_command() {
        let finish = |interruption, outcome| Finish {
            report: Some(Report {
                accepted: true,
                ..Report::new(RequestId([0; 16]), outcome)
            }),
            interruption,
            ..Finish::default()
        };
        let interrupted = Some(Interruption::Signal(SIGINT));
        let canceled = Some(Outcome::Canceled {});
        for (interruption, outcome, status) in [
            (None, canceled, 255),
            (interrupted, canceled, 130),
            (interrupted, Some(Outcome::Exited { code: 7 }), 7),
            (interrupted, Some(Outcome::Lost {}), 255),
            (interrupted, None, 0),
            (Some(Interruption::BrokenPipe), canceled, 141),
            (Some(Interruption::Left), None, 255),
        ] {
            assert_eq!(conclude_one(&finish(interruption, outcome)), status);
        }
    }
}
