//! One command: from its acceptance to its being forgotten.
//!
//! ```text
//!             spawn                on_exit                  both outputs at their end,
//!   Accepted ───────► Running ────────────────► Draining ──or idle for 100 ms, or 2 s──► Ended
//!       └──── failed ────────────────────────────────────────────────────────────────────►
//! ```
//!
//! Not who asks for it: calls come and go, [`Attachment`] names the one that has it now.

use std::time::Duration;

use super::output_buffer::{Flow, OutputBuffer};
use super::processes::{Exit, Force, Output};
use super::screen::Screen;
use super::stdin::Stdin;
use crate::agent::access::policy_source::Member;
use crate::agent::limits;
use crate::agent::outbox::CallRef;
use crate::message::{Cause, JobState, JobView, OnDisconnect, OsText, Outcome, Reply, RequestId};
use crate::time::Instant;

/// Where a job is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Entered in the table, and not started yet.
    Accepted,
    /// The process runs.
    Running,
    /// Its leader is over, its pipes may hold more.
    Draining {
        /// How the leader ended.
        exit: Exit,
        /// When.
        since: Instant,
        /// When something last came.
        active: Instant,
    },
    /// It is over.
    Ended {
        /// How.
        outcome: Outcome,
        /// Something still held an output open.
        streams_open: bool,
    },
}

/// The call that has a job now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attachment {
    /// The call.
    pub call: CallRef,
    /// Offsets in the outputs that its lanes began with.
    pub begin: [u64; 2],
    /// Its machine has acknowledged the last line.
    pub told: bool,
    /// The controller ended the control lane while the job was running.
    pub ended_early: bool,
}

/// One command.
#[derive(Debug)]
pub struct Job {
    /// Its controller's name for it.
    pub request: RequestId,
    /// Whose it is, and where they came from.
    pub owner: Member,
    /// A hash of the whole request.
    pub digest: [u8; 32],
    /// As much of argv as is shown.
    pub argv: Vec<OsText>,
    /// When it was accepted.
    pub accepted: Instant,
    /// The leader's process id.
    pub pid: Option<i32>,
    /// Where it is.
    pub state: State,
    /// Why we end it, if we do: goes before what the process returned.
    pub cause: Option<Cause>,
    /// It was sent a signal that asks for its end: what is left of its tree when its leader is over is
    /// ended as well, with so much force.
    pub takes_along: Option<Force>,
    /// When it must be over, and what says so.
    pub deadline: Option<(Instant, Cause)>,
    /// How long its controller may be silent.
    pub lease: Duration,
    /// And what then.
    pub on_disconnect: OnDisconnect,
    /// Since when its controller is silent or gone.
    pub absent: Option<Instant>,
    /// Who has it.
    pub attached: Option<Attachment>,
    /// Who waits for its end.
    pub waiters: Vec<CallRef>,
    /// What it reads.
    pub stdin: Stdin,
    /// What it wrote to stdout and stderr.
    pub outputs: [OutputBuffer; 2],
    /// What its terminal shows, if it has one.
    pub screen: Option<Screen>,
    /// When it ended, or its result was last read from.
    pub fresh: Instant,
}

/// What the clock asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// The command's deadline, and what has set it.
    Deadline(Cause),
    /// The lease has run out.
    Lease,
    /// Enough was waited for late output.
    Drained,
    /// Nobody collected the result.
    Stale,
}

impl Job {
    /// One of its outputs.
    pub const fn output(&mut self, output: Output) -> &mut OutputBuffer {
        &mut self.outputs[output as usize]
    }

    /// Whether it takes one of the places for running jobs.
    pub const fn is_running(&self) -> bool {
        !matches!(self.state, State::Ended { .. })
    }

    /// What of its output is held.
    pub fn held(&self) -> u64 {
        let picture = self.screen.as_ref().map_or(0, Screen::cost);
        self.outputs[0].cost() + self.outputs[1].cost() + picture
    }

    /// How much more of an output may be read.
    pub fn room(&self, output: Output) -> u64 {
        let extra = match self.state {
            State::Draining { .. } => limits::LANE_AT_EXIT,
            _ => 0,
        };
        self.outputs[output as usize].room(extra)
    }

    /// Nobody is there to read what its terminal shows, and that must not stop it: only the end is kept,
    /// for a controller that comes back in time, and the picture for any other.
    pub fn let_scroll(&mut self) {
        if self.screen.is_some() && self.attached.is_none() {
            let held = &mut self.outputs[Output::Out as usize];
            held.release(held.end().saturating_sub(limits::SCROLLED));
        }
    }

    /// Whether neither output will bring more.
    pub fn is_dry(&self) -> bool {
        self.outputs.iter().all(|held| held.flow() != Flow::Open)
    }

    /// What the clock asks for next, and when.
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
            State::Ended { .. } => Some((self.fresh + limits::RETENTION, Due::Stale)),
        }
    }

    /// How it ended, with what we did to it going first.
    pub const fn outcome(&self, exit: Exit) -> Outcome {
        match (self.cause, exit) {
            (Some(Cause::Timeout | Cause::Runtime), _) => Outcome::TimedOut {},
            (Some(_), _) => Outcome::Canceled {},
            (None, Exit::Code(code)) => Outcome::Exited { code },
            (None, Exit::Signal { signal, core }) => Outcome::Signaled { signal, core },
        }
    }

    /// The line that says how it ended, if it has.
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
            _ => None,
        }
    }

    /// As it is shown in a list.
    pub fn view(&self, now: Instant) -> JobView {
        JobView {
            id: self.request,
            argv: self.argv.clone(),
            age_ms: u64::try_from(now.since(self.accepted).as_millis()).unwrap_or(u64::MAX),
            state: match self.state {
                State::Ended { outcome, .. } => JobState::Ended(outcome),
                _ => JobState::Running {},
            },
            stdout: self.outputs[0].end(),
            stderr: self.outputs[1].end(),
        }
    }
}
