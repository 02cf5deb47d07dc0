//! A job: one command, from its acceptance until it is forgotten.
//!
//! ```text
//!             spawn                on_exit                  both outputs at their end,
//!   Accepted ───────► Running ────────────────► Draining ──or idle for 100 ms, or 2 s──► Ended
//!       └──── failed ────────────────────────────────────────────────────────────────────►
//! ```
//!
//! Not the calls that refer to it: [`Attachment`] names the attached one.

use std::time::Duration;

use super::output_buffer::{Flow, OutputBuffer};
use super::processes::{Exit, Force, Output, Pid};
use super::screen::Screen;
use super::stdin::Stdin;
use crate::agent::access::{Controller, RunningCommand};
use crate::agent::limits;
use crate::agent::outbox::CallRef;
use crate::message::{Cause, JobState, JobView, OnDisconnect, OsText, Outcome, Reply, RequestId};
use crate::time::Instant;

/// Phase of a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Entered in the table, not yet started.
    Accepted,
    /// The process runs.
    Running,
    /// The leader has ended; its pipes may hold more output.
    Draining {
        /// Exit status of the leader.
        exit: Exit,
        /// Time of its end.
        since: Instant,
        /// Time of the last output.
        active: Instant,
    },
    /// The job has ended.
    Ended {
        /// Outcome.
        outcome: Outcome,
        /// True if a process still held an output open.
        streams_open: bool,
    },
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
pub struct Job {
    /// Id that its controller has chosen.
    pub request: RequestId,
    /// Controller that has requested it.
    pub owner: Controller,
    /// Hash of the request.
    pub digest: [u8; 32],
    /// Facts by which it is authorised again when the policy has changed.
    pub command: RunningCommand,
    /// Beginning of argv, for lists.
    pub argv: Vec<OsText>,
    /// Time of its acceptance.
    pub accepted: Instant,
    /// Process id of the leader.
    pub pid: Option<Pid>,
    /// Phase.
    pub state: State,
    /// Reason why the agent ends it, if it does. Takes precedence over the exit status.
    pub cause: Option<Cause>,
    /// Force with which the rest of its tree is ended after its leader, because a signal has asked for its
    /// end.
    pub pending_force: Option<Force>,
    /// Deadline, and its cause.
    pub deadline: Option<(Instant, Cause)>,
    /// Silence of its controller after which it is ended.
    pub lease: Duration,
    /// Treatment when the lease has expired.
    pub on_disconnect: OnDisconnect,
    /// Time since which its controller is silent or gone.
    pub absent: Option<Instant>,
    /// The attached call.
    pub attached: Option<Attachment>,
    /// Calls that wait for its end.
    pub waiters: Vec<CallRef>,
    /// Its stdin.
    pub stdin: Stdin,
    /// Its stdout and stderr.
    pub outputs: [OutputBuffer; 2],
    /// Screen of its terminal, if it has one.
    pub screen: Option<Screen>,
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
    /// The time for late output is over.
    Drained,
    /// The result was not collected in time.
    Stale,
}

impl Job {
    /// Returns an output.
    pub const fn output(&mut self, output: Output) -> &mut OutputBuffer {
        &mut self.outputs[output as usize]
    }

    /// Returns true if it counts as running.
    pub const fn is_running(&self) -> bool {
        !matches!(self.state, State::Ended { .. })
    }

    /// Cost of its held output, in bytes.
    pub fn held(&self) -> u64 {
        let painted = self.screen.as_ref().map_or(0, Screen::cost);
        self.outputs[0].cost() + self.outputs[1].cost() + painted
    }

    /// Number of bytes of an output that may be read now.
    pub fn read_limit(&self, output: Output) -> u64 {
        let extra = match self.state {
            State::Draining { .. } => limits::LANE_AT_EXIT,
            State::Accepted | State::Running | State::Ended { .. } => 0,
        };
        self.outputs[output as usize].read_limit(extra)
    }

    /// Drops old terminal output while no controller is attached, so that the command does not block. The
    /// last output is kept for a controller that attaches again at its offset, the screen for any other.
    pub fn trim_scrollback(&mut self) {
        if self.screen.is_some() && self.attached.is_none() {
            let held = &mut self.outputs[Output::Out as usize];
            held.release(held.end().saturating_sub(limits::SCROLLBACK));
        }
    }

    /// Returns true if both outputs are at their end.
    pub fn is_drained(&self) -> bool {
        self.outputs.iter().all(|held| held.flow() != Flow::Open)
    }

    /// Returns the next deadline and the action due at it.
    pub fn due(&self) -> Option<(Instant, Due)> {
        match self.state {
            State::Accepted => None,
            State::Running if self.cause.is_some() => None,
            State::Running => {
                let deadline = self.deadline.map(|(at, cause)| (at, Due::Deadline(cause)));
                let lease = match self.on_disconnect {
                    OnDisconnect::Keep => None,
                    OnDisconnect::Kill => self.absent.map(|at| (at + self.lease, Due::Lease)),
                };
                deadline.into_iter().chain(lease).min_by_key(|due| due.0)
            }
            State::Draining { since, active, .. } => {
                let at = (since + limits::DRAIN).min(active + limits::DRAIN_IDLE);
                Some((at, Due::Drained))
            }
            State::Ended { .. } => Some((self.last_used + limits::RETENTION, Due::Stale)),
        }
    }

    /// Returns the outcome for an exit status. The cause takes precedence.
    pub const fn outcome(&self, exit: Exit) -> Outcome {
        match (self.cause, exit) {
            (Some(Cause::Timeout | Cause::Runtime), _) => Outcome::TimedOut {},
            (Some(_), _) => Outcome::Canceled {},
            (None, Exit::Code(code)) => Outcome::Exited { code },
            (None, Exit::Signal { signal, core }) => Outcome::Signaled { signal, core },
        }
    }

    /// Returns the result, if it has ended.
    pub const fn exit(&self) -> Option<Reply> {
        match self.state {
            State::Ended {
                outcome,
                streams_open,
            } => Some(Reply::Exit {
                outcome,
                stdout: self.outputs[0].end(),
                stderr: self.outputs[1].end(),
                streams_open,
                cause: self.cause,
            }),
            State::Accepted | State::Running | State::Draining { .. } => None,
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
                State::Accepted | State::Running | State::Draining { .. } => JobState::Running {},
            },
            stdout: self.outputs[0].end(),
            stderr: self.outputs[1].end(),
        }
    }
}
