//! A job: one command, from its acceptance until it is forgotten.
//!
//! ```text
//!             running               ended, or not to be killed
//!   Starting ────────► Running ──────────────────────────────► Ended
//!       └── refused, or failed ─────────────────────────────────►
//! ```
//!
//! Not the calls that refer to it: [`Attachment`] names the attached one.

use std::time::Duration;

use super::output_buffer::OutputBuffer;
use super::processes::{Digest, Exit, Output, Started};
use super::screen::Screen;
use super::stdin::Stdin;
use crate::agent::access::{Controller, RunningCommand};
use crate::agent::limits;
use crate::agent::outbox::CallRef;
use crate::message::signal::MAX_SIGNAL;
use crate::message::{Cause, JobState, JobView, OnDisconnect, OsText, Outcome, Reply, RequestId};
use crate::time::Instant;

/// Phase of a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Entered in the table; its process is on its way.
    Starting,
    /// The process runs, or its outputs are read to their end.
    Running,
    /// The job has its result.
    Ended {
        /// Outcome.
        outcome: Outcome,
        /// True if a process still held an output open.
        streams_open: bool,
        /// True while its process still runs, because it could not be killed.
        still_running: bool,
    },
}

/// First bytes of the outputs that an attached call receives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begin {
    /// At these offsets; `None` for the first byte that no controller has consumed.
    At([Option<u64>; 2]),
    /// As for the first call: what is held of a result that is kept, or the first bytes that no controller has
    /// consumed.
    Held,
}

/// The call that is attached to a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attachment {
    /// The call.
    pub call: CallRef,
    /// Offsets of the outputs at which its lanes begin.
    pub begin: [u64; 2],
    /// True if its control lane was delivered to the last line.
    pub delivered: bool,
    /// True if the controller ended the control lane while the job was running.
    pub ended_early: bool,
}

/// A job.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "independent facts, each named"
)]
pub struct Job {
    /// Id that its controller has chosen.
    pub request: RequestId,
    /// Controller that has requested it.
    pub owner: Controller,
    /// Hash of the request.
    pub digest: [u8; 32],
    /// Facts by which it is authorised again when the policy has changed.
    pub command: Option<RunningCommand>,
    /// Beginning of argv, for lists.
    pub argv: Vec<OsText>,
    /// Time of its acceptance.
    pub accepted: Instant,
    /// Its process, once it was started.
    pub started: Option<Started>,
    /// Phase.
    pub state: State,
    /// Reason why the agent ends it, if it does. Takes precedence over the exit status.
    pub cause: Option<Cause>,
    /// Signals that wait for the start of the process, one bit each.
    pub signals: u64,
    /// Deadline, and its cause.
    pub deadline: Option<(Instant, Cause)>,
    /// Silence of its controller after which it is ended.
    pub lease: Duration,
    /// Treatment when the lease has expired.
    pub on_disconnect: OnDisconnect,
    /// True if its result is kept after it was collected, because its user has chosen its id.
    pub retain: bool,
    /// True if its output stays held for a repeat after its controller has written it: it was to be retained from the
    /// beginning, so that the supervisor has room for it.
    pub keeps_output: bool,
    /// Time since which its controller is silent or gone.
    pub absent: Option<Instant>,
    /// The attached call.
    pub attached: Option<Attachment>,
    /// True if it was requested at the prompt and another controller has attached to it.
    pub taken_from_prompt: bool,
    /// True if its result was collected while its process could not be killed.
    pub collected: bool,
    /// Calls that wait for its end.
    pub waiters: Vec<CallRef>,
    /// Its stdin.
    pub stdin: Stdin,
    /// Its stdout and stderr.
    pub outputs: [OutputBuffer; 2],
    /// True if it has a terminal.
    pub terminal: bool,
    /// Emulation of its terminal.
    pub screen: Option<Screen>,
    /// Offset of stdout at which a later agent can begin to emulate: that of the kept picture, or 0.
    pub picture: u64,
    /// True if the size of the terminal has changed since then.
    pub resized: bool,
    /// Time of its end, or of the last reading of its result.
    pub last_used: Instant,
}

/// Action that is due at a deadline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// The deadline of the command, with its cause.
    Deadline(Cause),
    /// The lease has expired.
    Lease,
    /// The result was not collected in time.
    Stale,
}

impl Job {
    /// Returns an output.
    pub const fn output(&mut self, output: Output) -> &mut OutputBuffer {
        &mut self.outputs[output as usize]
    }

    /// Returns true if it has no result yet.
    pub const fn is_running(&self) -> bool {
        matches!(self.state, State::Starting | State::Running)
    }

    /// Returns true if its process runs, also if that could not be killed and the result is known.
    pub const fn has_process(&self) -> bool {
        match self.state {
            State::Starting | State::Running => true,
            State::Ended { still_running, .. } => still_running,
        }
    }

    /// Keeps a signal, 1 to 64, for the start of the process.
    pub const fn hold_signal(&mut self, signal: i32) {
        self.signals |= 1 << ((signal - 1) & 63);
    }

    /// Takes the kept signals, in ascending order.
    pub fn take_signals(&mut self) -> Vec<i32> {
        let held = std::mem::take(&mut self.signals);
        let is_held = |signal: &i32| held & (1 << ((signal - 1) & 63)) != 0;
        (1..=MAX_SIGNAL).filter(is_held).collect()
    }

    /// Returns the part of the hash of its request that is kept after it.
    pub fn short_digest(&self) -> Digest {
        std::array::from_fn(|index| self.digest[index])
    }

    /// Returns the offset below which no byte of an output is needed any more. While no controller is attached, a
    /// terminal keeps only its last output, so that the command does not block: for a controller that attaches again
    /// at its offset; any other gets the screen.
    pub fn releasable(&self, output: Output) -> u64 {
        let held = &self.outputs[output as usize];
        let mut offset = held.consumed();
        if self.keeps_output {
            offset = offset.saturating_sub(limits::RETAINED_OUTPUT);
        }
        if output == Output::Out && self.terminal && self.attached.is_none() {
            offset = offset.max(held.end().saturating_sub(limits::SCROLLBACK));
        }
        if output == Output::Out && self.screen.is_some() {
            offset = offset.min(self.picture);
        }
        offset
    }

    /// Number of cells of its emulation.
    pub fn cells(&self) -> u64 {
        self.screen.as_ref().map_or(0, Screen::cells)
    }

    /// Cost of its held output, in bytes.
    pub fn held(&self) -> u64 {
        let painted = self.screen.as_ref().map_or(0, Screen::cost);
        self.outputs[0].held() + self.outputs[1].held() + painted
    }

    /// Returns the next deadline and the action due at it.
    pub fn due(&self) -> Option<(Instant, Due)> {
        match self.state {
            State::Starting | State::Running if self.cause.is_some() => None,
            State::Starting | State::Running => {
                let deadline = self.deadline.map(|(at, cause)| (at, Due::Deadline(cause)));
                let lease = match self.on_disconnect {
                    OnDisconnect::Keep => None,
                    OnDisconnect::Kill => self.absent.map(|at| (at + self.lease, Due::Lease)),
                };
                deadline.into_iter().chain(lease).min_by_key(|due| due.0)
            }
            State::Ended { still_running, .. } => {
                let stale = (self.last_used + limits::RETENTION, Due::Stale);
                (!still_running).then_some(stale)
            }
        }
    }

    /// Returns the outcome for an exit status, `None` if its process does not end. The cause takes precedence over a
    /// known status.
    pub const fn outcome(&self, exit: Option<Exit>) -> Outcome {
        match (self.cause, exit) {
            (_, Some(Exit::Unknown)) => Outcome::Lost {},
            (Some(Cause::Timeout | Cause::Runtime), _) => Outcome::TimedOut {},
            (Some(_), _) | (None, None) => Outcome::Canceled {},
            (None, Some(Exit::Code(code))) => Outcome::Exited { code },
            (None, Some(Exit::Signal { signal, core })) => Outcome::Signaled { signal, core },
        }
    }

    /// Returns the result, if it has ended.
    pub const fn exit(&self) -> Option<Reply> {
        match self.state {
            State::Ended {
                outcome,
                streams_open,
                still_running,
            } => Some(Reply::Exit {
                outcome,
                stdout: self.outputs[0].end(),
                stderr: self.outputs[1].end(),
                streams_open,
                cause: self.cause,
                still_running,
            }),
            State::Starting | State::Running => None,
        }
    }

    /// Returns its entry in a list.
    pub fn view(&self, now: Instant) -> JobView {
        JobView {
            id: self.request,
            argv: self.argv.clone(),
            age_ms: u64::try_from(now.since(self.accepted).as_millis()).unwrap_or(u64::MAX),
            state: match self.state {
                State::Ended { outcome, .. } => JobState::Ended(outcome),
                State::Starting | State::Running => JobState::Running {},
            },
            stdout: self.outputs[0].end(),
            stderr: self.outputs[1].end(),
            still_running: !self.is_running() && self.has_process(),
            key: None,
            name: None,
        }
    }
}
