//! What is said at the end: a line for a host, a count for a fleet, an exit status for both.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Report;
use super::show::Capture;
use crate::escape;
use crate::message::{Cause, Outcome, status};

/// How one host fared, for the count. In the order in which they are listed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fate {
    /// It returned 0, or was left running as asked.
    Ok,
    /// It returned something else, or could not be started.
    Failed,
    /// It was ended before it was done.
    Stopped,
    /// The agent did not let it run.
    Denied,
    /// What became of it is not known.
    Lost,
    /// The host could not be talked to.
    Unreachable,
    /// It was not begun.
    Skipped,
}

impl Fate {
    const ALL: [Self; 7] = [
        Self::Ok,
        Self::Failed,
        Self::Stopped,
        Self::Denied,
        Self::Lost,
        Self::Unreachable,
        Self::Skipped,
    ];

    /// Of an outcome; `None`: left running.
    #[must_use]
    pub const fn of(outcome: Option<Outcome>) -> Self {
        match outcome {
            None | Some(Outcome::Exited { code: 0 }) => Self::Ok,
            Some(Outcome::Exited { .. } | Outcome::SpawnFailed { .. }) => Self::Failed,
            Some(Outcome::Signaled { .. } | Outcome::TimedOut {} | Outcome::Canceled {}) => {
                Self::Stopped
            }
            Some(Outcome::Denied {} | Outcome::Busy {} | Outcome::Conflict {}) => Self::Denied,
            Some(Outcome::Lost {} | Outcome::Expired {} | Outcome::Unknown {}) => Self::Lost,
            Some(Outcome::Unreachable {}) => Self::Unreachable,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Denied => "denied",
            Self::Lost => "lost",
            Self::Unreachable => "unreachable",
            Self::Skipped => "skipped",
        }
    }
}

/// How a fleet fared.
#[derive(Clone, Default, Debug)]
pub struct Tally {
    hosts: Vec<(Fate, String)>,
}

impl Tally {
    /// Counts a host.
    pub fn add(&mut self, fate: Fate, label: &str) {
        self.hosts.push((fate, label.to_owned()));
    }

    /// `117 ok, 2 failed, 1 unreachable of 120 in 0.84s; failed: a, b; unreachable: c`
    #[must_use]
    pub fn line(&self, took: Duration) -> String {
        let of = |fate| {
            self.hosts
                .iter()
                .filter(move |host| host.0 == fate)
                .map(|host| host.1.as_str())
        };
        let counts: Vec<String> = Fate::ALL
            .into_iter()
            .filter(|&fate| fate == Fate::Ok || of(fate).next().is_some())
            .map(|fate| format!("{} {}", of(fate).count(), fate.name()))
            .collect();
        let mut line = format!(
            "{} of {} in {:.2}s",
            counts.join(", "),
            self.hosts.len(),
            took.as_secs_f64()
        );
        for fate in Fate::ALL.into_iter().skip(1) {
            let names: Vec<&str> = of(fate).collect();
            if !names.is_empty() {
                let _ = write!(line, "; {}: {}", fate.name(), names.join(", "));
            }
        }
        line
    }

    /// What `udpctl` exits with: the gravest that happened, and what is not known is graver than what
    /// went wrong.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        self.hosts
            .iter()
            .map(|(fate, _)| match fate {
                Fate::Ok => (0, status::SUCCESS),
                Fate::Failed => (1, status::SOME_FAILED),
                Fate::Stopped => (2, status::SOME_STOPPED),
                Fate::Denied | Fate::Lost | Fate::Unreachable => (3, status::SOME_UNKNOWN),
                Fate::Skipped => (4, status::INTERRUPTED),
            })
            .max()
            .map_or(0, |(_, status)| status)
    }
}

/// Whether output is missing that the agent no longer held.
fn missing(report: &Report) -> u64 {
    report.missing.iter().sum()
}

/// The line on stderr about one host: `web3:7000: timed out; request 0123…`, without the program's name.
#[must_use]
pub fn line(label: &str, report: &Report) -> String {
    let mut line = format!("{label}: ");
    match report.outcome {
        Some(outcome) => {
            let _ = write!(line, "{outcome}");
        }
        None => line.push_str("left running"),
    }
    if let Some(cause) = report.cause.filter(|&cause| !is_said(cause)) {
        let _ = write!(line, ": {}", cause.words());
    }
    if let Some(note) = &report.note {
        let _ = write!(line, ": {}", escape::line(note.as_bytes(), 256));
    }
    if missing(report) > 0 {
        let _ = write!(
            line,
            ", {} bytes of output are no longer held",
            missing(report)
        );
    }
    let _ = write!(line, "; request {}", report.id);
    line
}

/// The line on stderr about output that comes after the result, if some may.
#[must_use]
pub fn left_out(label: &str, report: &Report) -> Option<String> {
    // Of a command that was left running the outcome says it.
    let ended = report.outcome.is_some_and(Outcome::has_run);
    (report.streams_open && ended).then(|| {
        format!(
            "{label}: a process that the command left behind still holds its output open; \
             output written later is not shown"
        )
    })
}

/// Whether the outcome says it already.
const fn is_said(cause: Cause) -> bool {
    matches!(cause, Cause::Requested | Cause::Timeout)
}

/// Whether a host's result is worth a line although nobody asked for one.
#[must_use]
pub fn is_worth_a_line(report: &Report) -> bool {
    !matches!(report.outcome, None | Some(Outcome::Exited { .. })) || missing(report) > 0
}

/// What `udpctl` exits with for one host.
#[must_use]
pub fn exit_status(report: &Report) -> u8 {
    match report.outcome {
        _ if missing(report) > 0 => status::OURS,
        Some(outcome) => outcome.exit_status(),
        None => 0,
    }
}

/// The JSON object of one host.
#[must_use]
pub fn object(label: &str, report: &Report, captured: &[Capture; 2], took: Duration) -> Value {
    let [stdout, stderr] = captured;
    let mut object = json!({
        "v": crate::message::VERSION,
        "host": label,
        "id": report.id,
        "outcome": report.outcome,
        "stdout": output(stdout),
        "stderr": output(stderr),
        "streams_open": report.streams_open,
        "seconds": (took.as_secs_f64() * 1000.0).round() / 1000.0,
    });
    if missing(report) > 0 {
        object["missing"] = json!({"stdout": report.missing[0], "stderr": report.missing[1]});
    }
    if let Some(cause) = report.cause {
        object["cause"] = json!(cause);
    }
    if let Some(note) = &report.note {
        object["note"] = json!(escape::line(note.as_bytes(), 256));
    }
    object
}

/// `{"bytes": 3, "text": "hi\n"}`, with `b64` in the place of `text` where it is not UTF-8, and
/// `"kept"` where only a beginning is there.
fn output(capture: &Capture) -> Value {
    let mut value = match std::str::from_utf8(&capture.kept) {
        Ok(text) => json!({"bytes": capture.length, "text": text}),
        Err(_) => json!({"bytes": capture.length, "b64": STANDARD.encode(&capture.kept)}),
    };
    if (capture.kept.len() as u64) < capture.length {
        value["kept"] = json!(capture.kept.len());
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::RequestId;

    fn report(outcome: Option<Outcome>) -> Report {
        Report {
            id: RequestId([0xab; 16]),
            outcome,
            accepted: true,
            lengths: [0, 0],
            missing: [0, 0],
            streams_open: false,
            cause: None,
            note: None,
        }
    }

    #[test]
    fn a_fleet_is_counted_and_the_others_named() {
        let mut tally = Tally::default();
        tally.add(Fate::Unreachable, "c");
        for _ in 0..117 {
            tally.add(Fate::Ok, "x");
        }
        tally.add(Fate::Failed, "a");
        tally.add(Fate::Failed, "b");
        assert_eq!(
            tally.line(Duration::from_millis(842)),
            "117 ok, 2 failed, 1 unreachable of 120 in 0.84s; failed: a, b; unreachable: c"
        );
        assert_eq!(tally.exit_status(), 4);
    }

    #[test]
    fn the_gravest_fate_decides_the_exit_status() {
        for (fates, status) in [
            (&[Fate::Ok][..], 0),
            (&[Fate::Ok, Fate::Failed], 5),
            (&[Fate::Stopped, Fate::Failed], 3),
            (&[Fate::Stopped, Fate::Denied, Fate::Failed], 4),
            (&[Fate::Skipped, Fate::Lost], 130),
        ] {
            let mut tally = Tally::default();
            for &fate in fates {
                tally.add(fate, "h");
            }
            assert_eq!(tally.exit_status(), status, "{fates:?}");
        }
    }

    #[test]
    fn a_line_names_host_outcome_and_request() {
        let mut lost = report(Some(Outcome::Lost {}));
        lost.note = Some("bye\x1b".into());
        assert_eq!(
            line("web3:7000", &lost),
            "web3:7000: lost: accepted, then no answer: bye\\u{1b}; request abababababababababababababababab"
        );
    }

    #[test]
    fn a_line_says_why_the_agent_ended_it_where_the_outcome_does_not() {
        let mut report = report(Some(Outcome::Canceled {}));
        report.cause = Some(Cause::Lease);
        assert!(line("h", &report).starts_with(
            "h: canceled: its controller was silent for longer than the lease; request "
        ));
        report.cause = Some(Cause::Requested);
        assert!(line("h", &report).starts_with("h: canceled; request "));
        report.outcome = Some(Outcome::TimedOut {});
        report.cause = Some(Cause::Timeout);
        assert!(line("h", &report).starts_with("h: timed out; request "));
        report.cause = Some(Cause::Runtime);
        assert!(
            line("h", &report)
                .starts_with("h: timed out: the agent lets no command run for longer")
        );
        let captured = [Capture::default(), Capture::default()];
        let object = object("h", &report, &captured, Duration::ZERO);
        assert_eq!(object["cause"], json!("runtime"));
    }

    #[test]
    fn output_that_comes_after_the_result_is_named() {
        let mut report = report(Some(Outcome::Exited { code: 0 }));
        assert_eq!(left_out("h", &report), None);
        report.streams_open = true;
        let line = left_out("h", &report).unwrap();
        assert!(line.starts_with("h: a process that the command left behind"));
        assert_eq!((exit_status(&report), is_worth_a_line(&report)), (0, false));
        report.outcome = Some(Outcome::Lost {});
        assert_eq!(left_out("h", &report), None, "it is the command itself");
    }

    #[test]
    fn a_result_with_a_gap_is_no_success() {
        let mut report = report(Some(Outcome::Exited { code: 0 }));
        assert!(!is_worth_a_line(&report));
        assert_eq!(exit_status(&report), 0);
        report.missing = [10, 0];
        assert!(is_worth_a_line(&report));
        assert_eq!(exit_status(&report), 255);
    }

    #[test]
    fn json_never_conflates() {
        let captured = [
            Capture {
                kept: b"hi\n".to_vec(),
                length: 3,
            },
            Capture {
                kept: vec![0xff],
                length: 9,
            },
        ];
        let took = Duration::from_millis(12);
        let object = object(
            "h",
            &report(Some(Outcome::Exited { code: 3 })),
            &captured,
            took,
        );
        assert_eq!(object["outcome"], json!({"exited": {"code": 3}}));
        assert_eq!(object["stdout"], json!({"bytes": 3, "text": "hi\n"}));
        assert_eq!(
            object["stderr"],
            json!({"bytes": 9, "b64": "/w==", "kept": 1})
        );
        assert_eq!(object["seconds"], json!(0.012));
    }
}
