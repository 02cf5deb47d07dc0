//! The replacement of the program by the one that is in its place now, with all jobs.
//!
//! The order: the trial; the end of the front; its last messages; the execution. If a step fails, the program goes on
//! with a new front. Invariant: a replacement that fails costs nothing but a front.

use std::io::{self, Seek as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};

use mio::Interest;
use mio::unix::SourceFd;
use rustix::fs::{MemfdFlags, memfd_create};

use super::{Phase, Run};
use crate::agent::service_manager::State as ServiceState;
use crate::agent::supervisor::handover::{State, Trial, VARIABLE};
use crate::agent::supervisor::{limits, tokens};
use crate::process::{Successor, replace};
use crate::time::Instant;

/// Course of a replacement.
#[derive(Debug)]
pub(super) enum Replacement {
    /// The new program is tried, at the latest until this time.
    Trying(Trial, Instant),
    /// The front is ended, and the program is executed.
    Executing,
}

impl Run {
    /// Starts to replace the program, unless the agent is a part of one or ends.
    pub(super) fn start_replacement(&mut self, now: Instant) {
        if self.replacement.is_some() {
            return;
        }
        if self.phase != Phase::Working || self.program.is_none() {
            return self.give_replacement_up(now, "the agent ends");
        }
        match self.try_program() {
            Ok(trial) => self.replacement = Some(Replacement::Trying(trial, now + limits::TRIAL)),
            Err(error) => self.give_replacement_up(now, &error.to_string()),
        }
    }

    fn try_program(&self) -> io::Result<Trial> {
        let program = self.program.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let trial = Trial::start(program, file(&self.state())?)?;
        let (fd, interest) = (trial.raw_fd(), Interest::READABLE);
        let registry = self.supervisor.registry();
        registry.register(&mut SourceFd(&fd), tokens::TRIAL, interest)?;
        Ok(trial)
    }

    /// Advances a replacement.
    pub(super) fn on_replacement(&mut self, now: Instant) {
        match &mut self.replacement {
            None => {}
            Some(Replacement::Trying(trial, until)) => match trial.poll() {
                None if *until <= now => self.give_replacement_up(now, "it does not answer"),
                None => {}
                Some(Err(reason)) => self.give_replacement_up(now, &reason),
                Some(Ok(())) => {
                    self.replacement = Some(Replacement::Executing);
                    if let Some(process) = &mut self.process {
                        process.end();
                    }
                }
            },
            // The last messages of the front are processed first, and the starts among them that wait for a record.
            Some(Replacement::Executing) => {
                let is_quiet = self.supervisor.front.is_none();
                if is_quiet && self.supervisor.can_be_replaced() {
                    self.execute(now);
                }
            }
        }
    }

    /// Returns the deadline of a trial.
    pub(super) fn replacement_deadline(&self) -> Option<Instant> {
        match self.replacement {
            Some(Replacement::Trying(_, until)) => Some(until),
            Some(Replacement::Executing) | None => None,
        }
    }

    /// True if no front is to be started.
    pub(super) const fn is_executing(&self) -> bool {
        matches!(self.replacement, Some(Replacement::Executing))
    }

    /// Executes the program. Returns only on failure.
    fn execute(&mut self, now: Instant) {
        let error = match self.hand_over() {
            Ok(error) | Err(error) => error,
        };
        self.give_replacement_up(now, &error.to_string());
    }

    fn hand_over(&self) -> io::Result<io::Error> {
        let program = self.program.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let state = self.state();
        let file = file(&state)?;
        let mut kept = state.descriptors();
        kept.push(file.as_raw_fd());
        let value = format!("{}:{}", std::process::id(), file.as_raw_fd());
        let successor = Successor {
            program: &program.path,
            args: &program.args,
            variable: (VARIABLE, &value),
            kept: &kept,
        };
        Ok(replace(&successor, || !self.signals.stop()))
    }

    fn give_replacement_up(&mut self, now: Instant, reason: &str) {
        self.replacement = None;
        tracing::error!(
            event = "not_replaced",
            "the program is not replaced: {reason}"
        );
        let reloads = &mut self.supervisor.reloads;
        reloads.failed += 1;
        reason.clone_into(&mut reloads.reason);
        self.service_manager.notify(now, ServiceState::Ready);
    }

    fn state(&self) -> State {
        let Some(process) = &self.process else {
            return self.supervisor.state(Vec::new(), self.activated);
        };
        let mut state = self.supervisor.state(process.sockets(), self.activated);
        state.helpers.extend(process.pid());
        state
    }
}

/// Returns a file in memory with the text of a state.
fn file(state: &State) -> io::Result<OwnedFd> {
    let mut file = std::fs::File::from(memfd_create("udpagent-state", MemfdFlags::CLOEXEC)?);
    file.write_all(&state.to_text()?)?;
    file.rewind()?;
    Ok(file.into())
}
