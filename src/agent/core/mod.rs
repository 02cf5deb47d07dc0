//! The sans-IO agent: sessions and their calls, each handed to its room.
//!
//! Session events, the doings of processes and the time go in; commands for the session machine, notes
//! for the log and the next deadline come out. No socket, no file, no clock: the simulator runs a
//! whole agent with pretended [`Processes`] and [`Policy`]. **After every call that changes something,
//! drain [`poll_command`](Service::poll_command) and [`poll_note`](Service::poll_note), then sleep until
//! [`poll_timeout`](Service::poll_timeout).** Spurious calls are harmless.
//!
//! Invariant: the first line of a call chooses its room, and nothing else of the call is acted on before.

mod dispatch;
mod session_state;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use super::access::policy_source::Policy;
use super::audit::Audit;
use super::chat::Chat;
use super::chat::ReplyTemplate;
use super::jobs::{self, Exit, JobId, Jobs, Output, Processes};
use super::limits;
use super::note::Note;
use super::outbox::Outbox;
use crate::message::CloseCode;
use crate::session::{Command, SessionHandle};
use crate::time::Instant;
use session_state::SessionState;

/// How a service is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// The agent's name, as `pong` and chat show it.
    pub name: String,
    /// How it runs commands.
    pub jobs: jobs::Config,
    /// What plain text is answered with; `None`: it is not.
    pub reply: Option<ReplyTemplate>,
}

/// How far the agent is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// At work.
    Working,
    /// Jobs are being ended, until then at the latest.
    Ending(Instant),
    /// Controllers are being told, until then at the latest.
    Parting(Instant),
    /// All sessions are closed.
    Over,
}

/// The agent without its surroundings.
pub struct Service<P, D = Box<dyn Policy>> {
    name: String,
    policy: D,
    sessions: HashMap<SessionHandle, SessionState>,
    jobs: Jobs<P>,
    chat: Chat,
    outbox: Outbox,
    notes: VecDeque<Note>,
    phase: Phase,
}

impl<P: Processes, D: Policy> Service<P, D> {
    /// A service without sessions, which puts what happens to commands on record in `audit`. `now` is when the
    /// agent began: requests older than that are not known.
    #[must_use]
    pub fn new(
        config: Config,
        policy: D,
        processes: P,
        audit: Box<dyn Audit + Send>,
        now: Instant,
    ) -> Self {
        let chat = Chat::new(config.name.clone(), config.reply);
        Self {
            name: config.name,
            policy,
            sessions: HashMap::new(),
            jobs: Jobs::new(config.jobs, processes, audit, now),
            chat,
            outbox: Outbox::default(),
            notes: VecDeque::new(),
            phase: Phase::Working,
        }
    }

    /// The system's side, to find out what has happened there.
    pub const fn processes(&mut self) -> &mut P {
        self.jobs.processes()
    }

    /// The chat room, with what it says going into the outbox: for what comes from the terminal and from
    /// plain-text peers.
    pub const fn chat(&mut self) -> (&mut Chat, &mut Outbox) {
        (&mut self.chat, &mut self.outbox)
    }

    /// A process has written, within the room it was given.
    pub fn on_output(&mut self, now: Instant, job: JobId, output: Output, data: Bytes) {
        self.jobs
            .on_output(now, job, output, data, &mut self.outbox);
    }

    /// No more will come of this output.
    pub fn on_eof(&mut self, now: Instant, job: JobId, output: Output) {
        self.jobs.on_eof(now, job, output, &mut self.outbox);
        self.proceed(now);
    }

    /// So many more bytes were written to the pipe.
    pub fn on_stdin_written(&mut self, job: JobId, bytes: u64) {
        self.jobs.on_stdin_written(job, bytes, &mut self.outbox);
    }

    /// The process reads no more: what was not written is gone.
    pub fn on_stdin_closed(&mut self, job: JobId) {
        self.jobs.close_stdin(job, &mut self.outbox);
    }

    /// The leader has ended. Output may still follow.
    pub fn on_exit(&mut self, now: Instant, job: JobId, exit: Exit) {
        self.jobs.on_exit(now, job, exit, &mut self.outbox);
        self.proceed(now);
    }

    /// The answers of the policy may have changed: keys that are no longer known lose their sessions
    /// and their jobs.
    pub fn on_directory_changed(&mut self, now: Instant) {
        let policy = &self.policy;
        self.jobs.end_unless(|key| policy.name(key, None).is_some());
        let mut revoked = Vec::new();
        for (&session, state) in &mut self.sessions {
            let member = &mut state.member;
            let name = policy.name(&member.key, Some(member.remote));
            // One that has only shown its invitation yet is not in the files.
            if name.is_none() && member.name.is_some() {
                revoked.push(session);
            }
            member.name = name;
        }
        for session in revoked {
            self.close(
                now,
                session,
                CloseCode::Revoked,
                "this key may no longer connect",
            );
        }
    }

    /// The agent is to end: takes no more commands, ends all that run (or lets go of them, if it is set up
    /// so), and when they are over, or at the latest after their grace, tells their controllers and closes all
    /// sessions. Then [`is_over`](Self::is_over).
    pub fn shut_down(&mut self, now: Instant) {
        if self.phase == Phase::Working {
            self.phase = Phase::Ending(now + limits::SHUTDOWN);
            self.jobs.shut_down(now, &mut self.outbox);
            self.proceed(now);
        }
    }

    /// Whether a shutdown is complete: every session was told.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// Time has passed. Harmless when nothing is due.
    pub fn on_timeout(&mut self, now: Instant) {
        self.jobs.on_timeout(now, &mut self.outbox);
        match self.phase {
            Phase::Ending(at) if at <= now => {
                self.jobs.kill_all();
                self.phase = Phase::Parting(now + limits::FAREWELL);
            }
            Phase::Parting(at) if at <= now => self.close_all(now),
            _ => self.proceed(now),
        }
    }

    /// When [`on_timeout`](Self::on_timeout) should be called at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let phase = match self.phase {
            Phase::Ending(at) | Phase::Parting(at) => Some(at),
            Phase::Working | Phase::Over => None,
        };
        self.jobs.poll_timeout().into_iter().chain(phase).min()
    }

    /// The next command for the session machine.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.outbox.pop()
    }

    /// The next note for the log.
    pub fn poll_note(&mut self) -> Option<Note> {
        self.notes.pop_front().or_else(|| self.jobs.poll_note())
    }

    /// Takes the next step of a shutdown if its time has come.
    fn proceed(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Ending(_)) && self.jobs.running() == 0 {
            self.phase = Phase::Parting(now + limits::FAREWELL);
        }
        if matches!(self.phase, Phase::Parting(_)) && self.jobs.all_told() {
            self.close_all(now);
        }
    }

    fn close_all(&mut self, now: Instant) {
        self.phase = Phase::Over;
        let all: Vec<SessionHandle> = self.sessions.keys().copied().collect();
        for session in all {
            self.close(now, session, CloseCode::Shutdown, "the agent ends");
        }
    }
}
