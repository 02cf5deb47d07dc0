//! End of a run: a line or a JSON object for a host, and the exit status for one.
//!
//! Sans-IO. Not the meaning of outcomes, which comes from the table in `message`, nor the count of several hosts, which
//! is the [`Tally`].

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::show::Capture;
pub use super::tally::{Tally, names};
use super::{JobRequest, Report};
use crate::control::contact::no_answer;
use crate::escape;
pub use crate::message::Fate;
use crate::message::limits::NOTE;
use crate::message::report::{described, missing};
pub use crate::message::report::{is_open, notices, words};
use crate::message::{AfterSignal, Exec, Outcome, Reported, StartStep, status};

/// Returns the line on stderr about one host, as in `web3:7000: timed out; request 0123…`, without the program's
/// name.
#[must_use]
pub fn line(label: &str, report: &Report) -> String {
    format!("{label}: {}", words(report, true))
}

/// Returns the same about the only host, with the likely reasons if it does not answer.
#[must_use]
pub fn words_of_one(report: &Report) -> String {
    match report.outcome {
        Some(Outcome::Unreachable {}) => described(no_answer(report.is_refused), report, true),
        Some(_) | None => words(report, true),
    }
}

/// Characters with which a program's name looks like a line for a shell.
const SHELL: &[char] = &[
    ' ', '\t', '\n', '|', '&', ';', '<', '>', '(', ')', '$', '`', '"', '\'', '*', '?', '=', '~',
];

/// Adds the directory or program to the report on a command that could not be started, unless it has a note.
pub fn note_unstarted(report: &mut Report, request: &JobRequest) {
    if let (Some(Outcome::SpawnFailed { step, .. }), None, JobRequest::Exec(exec)) =
        (report.outcome, &report.note, request)
    {
        report.note = Some(unstarted(exec, step));
    }
}

/// Returns the directory that could not be entered, or the program that could not be started, quoted as for a shell, and
/// a hint if the program's name looks like a whole command line: no program splits argv into words.
fn unstarted(exec: &Exec, step: StartStep) -> String {
    if let (StartStep::Directory, Some(cwd)) = (step, &exec.cwd) {
        return escape::shell_word(&cwd.as_os_str().to_string_lossy()).into_owned();
    }
    let name = exec
        .argv
        .first()
        .map_or("".into(), |word| word.as_os_str().to_string_lossy());
    let quoted = escape::shell_word(&name);
    if exec.script.is_some() {
        format!("the interpreter of {quoted}")
    } else if name.contains(SHELL) {
        format!("{quoted}; to have a shell run it, use --shell")
    } else {
        quoted.into_owned()
    }
}

/// Returns true if a host's result needs a line on stderr although the user did not ask for one: neither the
/// output nor the exit status shows the whole result.
#[must_use]
pub fn is_worth_a_line(report: &Report) -> bool {
    let is_reported = |outcome: Outcome| outcome.row().reported == Reported::Always;
    report.outcome.is_some_and(is_reported) || missing(report) > 0
}

/// Returns the exit status of `udpctl` with one target: that of the outcome, unless output is missing.
#[must_use]
pub fn exit_status(report: &Report) -> u8 {
    if missing(report) > 0 {
        return status::UDPCTL_FAILURE;
    }
    report.outcome.map_or(status::SUCCESS, Outcome::exit_status)
}

/// Returns the exit status of `udpctl` with one target after a signal interrupted the run: that of the signal if
/// the interruption brought the outcome about, and that of the outcome otherwise.
#[must_use]
pub fn exit_status_after(signal: i32, report: &Report) -> u8 {
    match report.outcome.map(|outcome| outcome.row().after_signal) {
        Some(AfterSignal::Signal) => status::interrupted(signal),
        Some(AfterSignal::Outcome) | None => exit_status(report),
    }
}

/// Returns the JSON object of one host. Without captured outputs it has their lengths alone.
#[must_use]
pub fn object(
    label: &str,
    report: &Report,
    captured: Option<&[Capture; 2]>,
    took: Duration,
) -> Value {
    let outputs = match captured {
        Some(captured) => captured.each_ref().map(output),
        None => report.lengths.map(|length| json!({"bytes": length})),
    };
    let [stdout, stderr] = outputs;
    let mut object = json!({
        "v": crate::message::VERSION,
        "host": label,
        "id": report.id,
        "outcome": report.outcome,
        "stdout": stdout,
        "stderr": stderr,
        "streams_open": report.streams_open,
        "seconds": (took.as_secs_f64() * 1000.0).round() / 1000.0,
    });
    if missing(report) > 0 {
        object["missing"] = json!({"stdout": report.missing[0], "stderr": report.missing[1]});
    }
    if let Some(cause) = report.cause {
        object["cause"] = json!(cause);
    }
    if report.still_running {
        object["still_running"] = json!(true);
    }
    if let Some(note) = &report.note {
        object["note"] = json!(escape::line(note.as_bytes(), NOTE));
    }
    object
}

/// Returns `{"bytes": 3, "text": "hi\n"}`, with `b64` instead of `text` if the output is not UTF-8, and with
/// `"kept"` if only its beginning is there.
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
    use crate::message::{Cause, RequestId};

    fn report(outcome: Option<Outcome>) -> Report {
        Report {
            accepted: true,
            ..Report::new(RequestId([0xab; 16]), outcome)
        }
    }

    #[test]
    fn a_line_names_host_outcome_and_request() {
        let mut lost = report(Some(Outcome::Lost {}));
        lost.note = Some("bye\x1b".into());
        assert_eq!(
            line("web3:7000", &lost),
            "web3:7000: lost: accepted, but its result is not known: bye\\u{1b}; request abababababababababababababababab"
        );
    }

    #[test]
    fn a_request_that_is_lost_before_it_was_accepted_is_not_called_accepted() {
        let mut lost = report(Some(Outcome::Lost {}));
        lost.accepted = false;
        lost.note = Some("a line is too long".into());
        assert_eq!(
            line("web3:7000", &lost),
            "web3:7000: lost: sent, but it is not known whether it was accepted: a line is too long; request \
             abababababababababababababababab"
        );
    }

    #[test]
    fn a_line_gives_the_cause_unless_the_outcome_implies_it() {
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
        let object = object("h", &report, Some(&captured), Duration::ZERO);
        assert_eq!(object["cause"], json!("runtime"));
    }

    #[test]
    fn a_program_that_looks_like_a_shell_line_points_to_the_shell_option() {
        let step = StartStep::Program;
        let name = |argv: &str| unstarted(&Exec::new(RequestId([0; 16]), vec![argv.into()]), step);
        assert_eq!(name("/no/such"), "/no/such");
        assert_eq!(
            name("ls | wc"),
            "'ls | wc'; to have a shell run it, use --shell"
        );
        let mut exec = Exec::new(RequestId([0; 16]), vec!["deploy.sh".into()]);
        exec.script = Some("#!/no/such".into());
        assert_eq!(unstarted(&exec, step), "the interpreter of deploy.sh");
        exec.cwd = Some("/no where".into());
        assert_eq!(unstarted(&exec, StartStep::Directory), "'/no where'");
    }

    #[test]
    fn a_result_with_missing_output_is_no_success() {
        let mut report = report(Some(Outcome::Exited { code: 0 }));
        assert!(!is_worth_a_line(&report));
        assert_eq!(exit_status(&report), 0);
        report.missing = [10, 0];
        assert!(is_worth_a_line(&report));
        assert_eq!(exit_status(&report), 255);
    }

    #[test]
    fn json_keeps_outcome_and_both_outputs_apart() {
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
            Some(&captured),
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
