//! The replacement of the program by the one that is in its place now, with all jobs.
//!
//! The order: the trial; the end of the front; its last messages; the execution. If a step fails, the program goes on
//! with a new front. Invariant: a replacement that fails costs nothing but a front.

use std::fs::File;
use std::io::{self, BufWriter, Seek as _};
use std::os::fd::{AsRawFd as _, OwnedFd};

use mio::Interest;
use mio::unix::SourceFd;
use rustix::fs::{MemfdFlags, memfd_create};

use super::{Phase, Run};
use crate::agent::access::PolicySource as _;
use crate::agent::service_manager::State as ServiceState;
use crate::agent::supervisor::handover::{FileIdentity, State, Trial, VARIABLE};
use crate::agent::supervisor::{limits, tokens};
use crate::net::Clock;
use crate::process::{Cgroups, Successor, replace};
use crate::time::Instant;

/// Course of a replacement.
#[derive(Debug)]
pub(super) enum Replacement {
    /// The new program is tried, at the latest until this time.
    Trying(Trial, Instant),
    /// The front is ended, and the program is executed.
    Executing {
        /// File that was tried.
        tried: FileIdentity,
        /// Time at which a front that has not ended is killed.
        kill: Instant,
        /// Time at which the replacement is given up.
        until: Instant,
    },
}

impl Run {
    /// Starts to replace the program, unless the agent is a part of one or ends. A trial in progress is begun anew.
    pub(super) fn start_replacement(&mut self, now: Instant) {
        if self.is_executing() {
            return;
        }
        if self.phase != Phase::Working || self.program.is_none() {
            return self.give_replacement_up(now, "the agent ends");
        }
        self.replacement = None;
        match self.try_program() {
            Ok(trial) => self.replacement = Some(Replacement::Trying(trial, now + limits::TRIAL)),
            Err(error) => self.give_replacement_up(now, &error.to_string()),
        }
    }

    fn try_program(&mut self) -> io::Result<Trial> {
        let state = file(&self.state())?;
        let program = self.program.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let own = self.supervisor.own_program.as_ref();
        let own = own.ok_or(io::ErrorKind::NotFound)?;
        let trial = Trial::start(own, program, state, &mut self.supervisor.predecessors)?;
        let (fd, interest) = (trial.raw_fd(), Interest::READABLE);
        let registry = self.supervisor.registry();
        registry.register(&mut SourceFd(&fd), tokens::TRIAL, interest)?;
        Ok(trial)
    }

    /// Lets the service manager keep descriptors.
    pub(super) fn open_store(&mut self) {
        if let Some(process) = &self.process {
            self.supervisor.open_store(&process.bound(), self.activated);
        }
    }

    /// Advances a replacement.
    pub(super) fn on_replacement(&mut self, now: Instant) {
        match &mut self.replacement {
            None => {}
            Some(Replacement::Trying(trial, until)) => match trial.poll() {
                None if *until <= now => self.give_replacement_up(now, "it does not answer"),
                None => {}
                Some(Err(reason)) => self.give_replacement_up(now, &reason),
                // The front is dismissed when nothing is left to wait for.
                Some(Ok(_)) if self.supervisor.reading.is_active() => {}
                Some(Ok(_)) if self.supervisor.policy.policy().is_suspended() => {
                    self.give_replacement_up(now, "the files of the keys cannot be read");
                }
                Some(Ok(tried)) => {
                    self.replacement = Some(Replacement::Executing {
                        tried,
                        kill: now + limits::FRONT_LEAVES,
                        until: now + limits::EXECUTE,
                    });
                    self.supervisor.dismiss_front();
                }
            },
            // The last messages of the front are processed first, and the starts among them that wait for a record.
            Some(Replacement::Executing { tried, kill, until }) => {
                let (tried, kill, until) = (*tried, *kill, *until);
                // What has changed meanwhile is recorded by the program that has seen it.
                if self.supervisor.reload.is_some() {
                    self.supervisor.read_policy(now);
                }
                if self.supervisor.policy.policy().is_suspended() {
                    return self.give_replacement_up(now, "the files of the policy cannot be read");
                }
                let is_stored = !self.supervisor.close_store(now);
                let is_quiet = self.supervisor.front.is_none() && !is_stored;
                // The next program reads the file of the chat.
                let is_written = is_quiet && self.supervisor.end_chat_writer(now);
                if is_written && self.supervisor.can_be_replaced() {
                    self.execute(now, tried);
                } else if until <= now {
                    self.give_replacement_up(now, "the old program is not ready in time");
                } else if kill <= now
                    && let Some(process) = &mut self.process
                {
                    process.end();
                }
            }
        }
    }

    /// Returns the next deadline of a replacement.
    pub(super) fn replacement_deadline(&self) -> Option<Instant> {
        match &self.replacement {
            Some(Replacement::Trying(_, until)) => Some(*until),
            Some(Replacement::Executing { kill, until, .. }) => {
                let kill = Some(*kill).filter(|&kill| kill > Clock.now());
                Some(kill.map_or(*until, |kill| kill.min(*until)))
            }
            None => None,
        }
    }

    /// True if an agent that was told to end may begin to: a front serves, and the controllers have come back to it. A
    /// replacement in progress is not completed.
    pub(super) fn may_stop(&mut self, now: Instant) -> bool {
        if let Some(Replacement::Trying(..)) = self.replacement {
            self.replacement = None;
        }
        self.stop.get_or_insert(now);
        self.process.is_none() || self.stop_deadline().is_none_or(|at| at <= now)
    }

    /// Returns the time at which an agent that was told to end begins to at the latest.
    pub(super) fn stop_deadline(&self) -> Option<Instant> {
        let latest = self.stop? + limits::STOP;
        let back = self.supervisor.controllers_back();
        let back = back.filter(|_| self.replacement.is_none());
        Some(back.map_or(latest, |back| back.min(latest)))
    }

    /// True if no front is to be started.
    pub(super) const fn is_executing(&self) -> bool {
        matches!(self.replacement, Some(Replacement::Executing { .. }))
    }

    /// Executes the program. Returns only on failure.
    fn execute(&mut self, now: Instant, tried: FileIdentity) {
        let error = match self.hand_over(tried) {
            Ok(error) | Err(error) => error,
        };
        self.give_replacement_up(now, &error.to_string());
    }

    fn hand_over(&mut self, tried: FileIdentity) -> io::Result<io::Error> {
        while self.supervisor.cgroups.as_mut().is_some_and(Cgroups::tidy) {}
        let program = self.program.as_ref().ok_or(io::ErrorKind::NotFound)?;
        if program.file()? != tried {
            return Err(io::Error::other("its file has changed since it was tried"));
        }
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
        self.supervisor.terminal.forget_unread();
        let is_stopped = || self.signals.stop() || self.signals.is_interrupted();
        let is_wanted = || self.phase == Phase::Working && !is_stopped();
        Ok(replace(&successor, is_wanted))
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
        if self.phase == Phase::Working {
            self.open_store();
            self.service_manager.notify(now, ServiceState::Ready);
        }
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
    let mut file = File::from(memfd_create("udpagent-state", MemfdFlags::CLOEXEC)?);
    state.write(BufWriter::new(&file))?;
    file.rewind()?;
    Ok(file.into())
}
