//! Command on one host: its settings, its run and its report.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::never;

use super::{Client, Error, Host};
use crate::control::console::Escape;
use crate::control::exec::{
    ATTACH, Failure, Finish, Fleet, Goal, HostFileError, JobRequest, Settings, Style, Surroundings,
    Task, TaskHost, TerminalMode, Verbosity, run,
};
use crate::control::limits;
use crate::control::stdio::{Sink, Streams};
use crate::message::{self, OsText, Outcome, RequestId};

/// Command to run on a host; made by [`Client::exec`].
pub struct Exec<'a> {
    client: &'a mut Client,
    host: Host,
    request: message::Exec,
    contact_timeout: Duration,
    retry_for: Duration,
    stdin: Option<Box<dyn Read + Send>>,
    stdout: Option<Sink>,
    stderr: Option<Sink>,
}

/// Result of a command that has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Request id.
    pub id: RequestId,
    /// End of the command: [`Outcome::Exited`], [`Outcome::Signaled`], [`Outcome::TimedOut`] or
    /// [`Outcome::Canceled`].
    pub outcome: Outcome,
    /// Its whole standard output; empty if it went to a writer.
    pub stdout: Vec<u8>,
    /// Its whole standard error; empty if it went to a writer.
    pub stderr: Vec<u8>,
    /// True if a process that the command left behind still held an output open.
    pub streams_open: bool,
    /// True if the process still runs, because it could not be killed.
    pub still_running: bool,
}

impl Report {
    /// Returns true if the command exited with status 0.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.outcome.is_success()
    }

    /// Returns the status with which `udpctl exec` would exit: that of the command, 128 and the number of its signal,
    /// 124 after a timeout.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        self.outcome.exit_status()
    }
}

impl<'a> Exec<'a> {
    pub(super) fn new(client: &'a mut Client, host: &Host, argv: Vec<OsString>) -> Self {
        let id = RequestId(client.rng.bytes());
        let argv = argv.into_iter().map(OsText::from).collect();
        Self {
            client,
            host: host.clone(),
            request: message::Exec::new(id, argv),
            contact_timeout: limits::CONTACT_TIMEOUT,
            retry_for: limits::RETRY_FOR,
            stdin: None,
            stdout: None,
            stderr: None,
        }
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        let variable = (OsText::from(name.into()), OsText::from(value.into()));
        self.request.env.push(variable);
        self
    }

    /// Sets the working directory. Default: the user's home directory.
    #[must_use]
    pub fn cwd(mut self, directory: impl Into<PathBuf>) -> Self {
        self.request.cwd = Some(OsText::from(directory.into().into_os_string()));
        self
    }

    /// Has the agent end the command after this time, whatever happens to the network. Default: none.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.request.timeout_ms = Some(millis(timeout));
        self
    }

    /// Gives up an agent that does not answer within this time. Default: 10 s.
    #[must_use]
    pub const fn contact_timeout(mut self, timeout: Duration) -> Self {
        self.contact_timeout = timeout;
        self
    }

    /// Retries an agent that falls silent for this time. The agent ends the command when it has not heard of this side
    /// for as long. Default: 60 s.
    #[must_use]
    pub fn retry_for(mut self, time: Duration) -> Self {
        self.retry_for = time;
        self.request.lease_ms = Some(millis(time));
        self
    }

    /// Sets the standard input. It is read on a thread of its own, which lives until a read that is in progress at the
    /// end of the command returns. Default: none.
    #[must_use]
    pub fn stdin(mut self, reader: impl Read + Send + 'static) -> Self {
        self.stdin = Some(Box::new(reader));
        self.request.stdin = true;
        self
    }

    /// Writes standard output to `writer` as it arrives. Default: it is collected in the report, up to 64 MiB.
    #[must_use]
    pub fn stdout(mut self, writer: impl Write + Send + 'static) -> Self {
        self.stdout = Some(Sink::writer(writer));
        self
    }

    /// Writes standard error to `writer` as it arrives. Default: it is collected in the report, up to 64 MiB.
    #[must_use]
    pub fn stderr(mut self, writer: impl Write + Send + 'static) -> Self {
        self.stderr = Some(Sink::writer(writer));
        self
    }

    /// Runs the command and waits for its end.
    ///
    /// # Errors
    /// [`Error::NoResult`] if the agent did not answer, did not start the command, or its result is not known;
    /// [`Error::OutputLost`], [`Error::OutputTooLong`] or [`Error::Stream`] if an output is not whole.
    pub fn run(self) -> Result<Report, Error> {
        let (stdout, stderr) = (Capture::default(), Capture::default());
        let captures = [stdout.clone(), stderr.clone()];
        let task = Task {
            label: self.host.label().to_owned(),
            host: TaskHost::Found(Ok(self.client.known(&self.host))),
            request: JobRequest::Exec(self.request),
        };
        let settings = Settings {
            goal: Goal::Result,
            contact_timeout: self.contact_timeout,
            retry_for: self.retry_for,
            style: Style::Plain,
            stdin: self.stdin.is_some(),
            terminal_mode: TerminalMode::Apart,
            escape: Escape::default(),
            way_back: ATTACH,
            forward: Vec::new(),
            verbosity: Verbosity::Silent,
            fleet: Fleet::default(),
        };
        let streams = Streams {
            stdin: self.stdin,
            stdout: self.stdout.unwrap_or_else(|| Sink::writer(stdout)),
            stderr: self.stderr.unwrap_or_else(|| Sink::writer(stderr)),
        };
        let signals = never();
        let surroundings = Surroundings::new(&self.client.network, streams, &signals);
        let finish = run(vec![task], settings, surroundings);
        self.client.learn(&self.host, finish.ticket);
        report(finish, &captures)
    }
}

fn report(finish: Finish, captures: &[Capture; 2]) -> Result<Report, Error> {
    if captures.iter().any(Capture::is_too_long) {
        return Err(Error::OutputTooLong);
    }
    match finish.failure {
        Some(Failure::Stream { name, error }) => return Err(Error::Stream { name, error }),
        Some(Failure::File(HostFileError { error, .. })) => {
            return Err(Error::Stream {
                name: "a file",
                error,
            });
        }
        Some(Failure::Network | Failure::Exchange) => return Err(Error::NetworkEnded),
        None => {}
    }
    let report = finish.report.ok_or(Error::NetworkEnded)?;
    let outcome = report.outcome.unwrap_or(Outcome::Lost {});
    if !has_ended(outcome) {
        return Err(Error::NoResult {
            outcome,
            note: report.note,
            id: Some(report.id),
        });
    }
    let bytes = report.missing[0].saturating_add(report.missing[1]);
    if bytes > 0 {
        return Err(Error::OutputLost { outcome, bytes });
    }
    let [stdout, stderr] = captures.each_ref().map(Capture::take);
    Ok(Report {
        id: report.id,
        outcome,
        stdout,
        stderr,
        streams_open: report.streams_open,
        still_running: report.still_running,
    })
}

/// Returns true for the outcomes of a command that ran and has ended.
const fn has_ended(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Exited { .. }
        | Outcome::Signaled { .. }
        | Outcome::TimedOut {}
        | Outcome::Canceled {} => true,
        Outcome::SpawnFailed { .. }
        | Outcome::Denied {}
        | Outcome::Busy {}
        | Outcome::Conflict {}
        | Outcome::Expired {}
        | Outcome::Lost {}
        | Outcome::Unreachable {}
        | Outcome::Unknown {} => false,
    }
}

/// Collected output, at most [`limits::CAPTURE`] bytes.
#[derive(Clone, Default)]
struct Capture(Arc<Mutex<Captured>>);

#[derive(Default)]
struct Captured {
    bytes: Vec<u8>,
    too_long: bool,
}

impl Capture {
    fn is_too_long(&self) -> bool {
        let captured = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        captured.too_long
    }

    fn take(&self) -> Vec<u8> {
        let mut captured = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut captured.bytes)
    }
}

impl Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut captured = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if captured.bytes.len().saturating_add(bytes.len()) > limits::CAPTURE {
            captured.too_long = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        captured.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_beyond_the_capture_is_an_error_and_not_cut_off() {
        let mut capture = Capture::default();
        capture.write_all(&vec![0; limits::CAPTURE]).unwrap();
        assert!(!capture.is_too_long());
        capture.write_all(b"x").unwrap_err();
        assert!(capture.is_too_long());
    }

    #[test]
    fn only_outcomes_of_commands_that_ran_are_reports() {
        let ended: Vec<_> = message::outcome::ALL
            .into_iter()
            .filter(|&outcome| has_ended(outcome))
            .map(|outcome| outcome.row().name)
            .collect();
        assert_eq!(ended, ["exited", "signaled", "timed_out", "canceled"]);
    }
}
