//! Words of a report for people.
//!
//! Not the host or the program, which stand before them. Invariant: what a peer wrote is escaped.

use std::fmt::Write as _;

use super::Report;
use crate::escape;
use crate::message::limits::NOTE;
use crate::message::{Cause, Held, Outcome};

/// Returns the number of bytes of output that the agent no longer held.
#[must_use]
pub fn missing(report: &Report) -> u64 {
    report.missing.iter().sum()
}

/// Returns the outcome, and with the request id if it is wanted.
#[must_use]
pub fn words(report: &Report, with_id: bool) -> String {
    let words = match report.outcome {
        None => "left running".to_owned(),
        // The session has ended between the request and its acceptance.
        Some(Outcome::Lost {}) if !report.accepted => {
            "lost: sent, but it is not known whether it was accepted".to_owned()
        }
        Some(outcome) => outcome.to_string(),
    };
    described(&words, report, with_id)
}

/// Returns true if the user can do more with the request, as to attach to its command: it may still run, or its result
/// or a part of its output is not known.
#[must_use]
pub fn is_open(report: &Report) -> bool {
    let is_unknown = |outcome: Outcome| {
        outcome.row().held == Held::Unknown && outcome != Outcome::Unreachable {}
    };
    report.outcome.is_none_or(is_unknown) || report.still_running || missing(report) > 0
}

/// Returns words for the outcome with what the report adds to it.
#[must_use]
pub fn described(words: &str, report: &Report, with_id: bool) -> String {
    let mut line = words.to_owned();
    if let Some(cause) = report.cause.filter(|&cause| !is_implied(cause)) {
        let _ = write!(line, ": {}", cause.words());
    }
    if let Some(note) = &report.note {
        let _ = write!(line, ": {}", escape::line(note.as_bytes(), NOTE));
    }
    if missing(report) > 0 {
        let _ = write!(
            line,
            ", {} bytes of output are no longer held",
            missing(report)
        );
    }
    if with_id {
        let _ = write!(line, "; request {}", report.id);
    }
    line
}

/// Returns the lines on stderr about what neither the outcome nor the output shows.
#[must_use]
pub fn notices(label: &str, report: &Report) -> Vec<String> {
    let notices = [
        home(label, report),
        left_out(label, report),
        survivor(label, report),
    ];
    notices.into_iter().flatten().collect()
}

/// Returns the line on stderr about output that may come after the result.
fn left_out(label: &str, report: &Report) -> Option<String> {
    // Of a command that was left running, or could not be killed, another line says it.
    let ended = report
        .outcome
        .is_some_and(|outcome| outcome.row().held == Held::Result);
    (report.streams_open && ended && !report.still_running).then(|| {
        format!(
            "{label}: a process that the command left behind still holds its output open; \
             output written later is not shown"
        )
    })
}

/// Returns the line on stderr about a command that survives its result.
fn survivor(label: &str, report: &Report) -> Option<String> {
    let pid = report
        .pid
        .map_or_else(String::new, |pid| format!(" (pid {pid})"));
    report
        .still_running
        .then(|| format!("{label}: the command could not be killed and still runs{pid}"))
}

/// Returns the line on stderr about a home directory that could not be entered.
fn home(label: &str, report: &Report) -> Option<String> {
    let errno = report.home?;
    let error = std::io::Error::from_raw_os_error(errno);
    Some(format!(
        "{label}: cannot enter the home directory: {error}; the command runs in /"
    ))
}

/// Returns true if the outcome itself says the cause.
const fn is_implied(cause: Cause) -> bool {
    match cause {
        Cause::Requested | Cause::Timeout => true,
        Cause::Runtime
        | Cause::Output
        | Cause::Lease
        | Cause::Revoked
        | Cause::Shutdown
        | Cause::Terminal
        | Cause::Script
        | Cause::User
        | Cause::Variables
        | Cause::Directory
        | Cause::CopyFrom
        | Cause::CopyTo
        | Cause::Forward
        | Cause::Other => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::RequestId;

    #[test]
    fn output_that_comes_after_the_result_is_named() {
        let id = RequestId([0xab; 16]);
        let mut report = Report::new(id, Some(Outcome::Exited { code: 0 }));
        assert_eq!(left_out("h", &report), None);
        report.streams_open = true;
        let line = left_out("h", &report).unwrap();
        assert!(line.starts_with("h: a process that the command left behind"));
        report.outcome = Some(Outcome::Lost {});
        assert_eq!(left_out("h", &report), None, "it is the command itself");
    }
}
