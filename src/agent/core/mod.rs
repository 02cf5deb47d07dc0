//! The sans-IO agent: sessions and their calls, each dispatched to the module that serves it.
//!
//! Session events, process events and the time go in; commands for the session layer, notes for the log and the
//! next deadline come out. No socket, no file, no clock: the simulator runs a whole agent with simulated
//! [`Processes`] and its own [`PolicySource`]. **After every call that changes something,
//! drain [`poll_command`](Service::poll_command) and [`poll_note`](Service::poll_note), then sleep until
//! [`poll_timeout`](Service::poll_timeout).** Spurious calls are harmless.
//!
//! Invariant: the first line of a call determines its kind, and nothing else of the call is processed before.

mod dispatch;
mod first_request;
mod held_calls;
mod own_session;
mod pacing;
mod registration;
mod revocation;
mod session_state;
#[cfg(test)]
mod tests;

use crate::peer_addr::PeerAddr;
use std::collections::{HashMap, VecDeque};

use super::access::{Controller, Denied, PolicySource};
use super::audit::{Audit, Record};
use super::chat::Chat;
use super::chat::ReplyTemplate;
use super::jobs::{self, Digest, JobId, Jobs, Origin, Processes, Restored, Status};
use super::limits;
use super::note::Note;
use super::outbox::{CallRef, Outbox};
use crate::crypto::PublicKey;
use crate::message::{CloseCode, OsText, RequestId};
use crate::session::{Command, SessionHandle};
use crate::time::Instant;
use crate::wire::limits::INVITE;
use held_calls::HeldCalls;
pub use own_session::is_own;
pub use registration::Question;
use session_state::{CallKind, SessionState, Usage};

/// Configuration of a service.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name of the agent in `pong` and in the chat.
    pub name: String,
    /// Configuration of the jobs.
    pub jobs: jobs::Config,
    /// Template of replies to plain text; `None` for no replies.
    pub reply: Option<ReplyTemplate>,
}

/// Phase of the agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Accepts commands.
    Working,
    /// Ends its jobs, at the latest until this time.
    Ending(Instant),
    /// Delivers the results and the last messages of the chat, at the latest until this time.
    Delivering(Instant),
    /// All sessions are closed.
    Closed,
}

/// The agent without threads, sockets and files.
pub struct Service<P, S = Box<dyn PolicySource>> {
    name: String,
    policy: S,
    sessions: HashMap<SessionHandle, SessionState>,
    /// Memory that the sessions of each key use.
    usage: HashMap<PublicKey, Usage>,
    jobs: Jobs<P>,
    chat: Chat,
    outbox: Outbox,
    notes: VecDeque<Note>,
    /// Questions that were not taken yet.
    questions: VecDeque<Question>,
    /// Calls that wait for an answer, by number of the question.
    asking: HashMap<u64, (CallRef, Controller)>,
    next_question: u64,
    /// Sessions whose keys may no longer connect, and when they are closed at the latest; some may be gone.
    revoked: VecDeque<(Instant, SessionHandle)>,
    held: HeldCalls,
    phase: Phase,
}

impl<P: Processes, S: PolicySource> Service<P, S> {
    /// Returns a service without sessions. Events of commands are recorded in `audit`. Requests from before `origin`
    /// are unknown to it.
    #[must_use]
    pub fn new(
        config: Config,
        policy: S,
        processes: P,
        audit: Box<dyn Audit + Send>,
        origin: Origin,
    ) -> Self {
        let chat = Chat::new(config.name.clone(), config.reply);
        Self {
            name: config.name,
            policy,
            sessions: HashMap::new(),
            usage: HashMap::new(),
            jobs: Jobs::new(config.jobs, processes, audit, origin),
            chat,
            outbox: Outbox::default(),
            notes: VecDeque::new(),
            questions: VecDeque::new(),
            asking: HashMap::new(),
            next_question: 0,
            revoked: VecDeque::new(),
            held: HeldCalls::default(),
            phase: Phase::Working,
        }
    }

    /// Returns the processes, to poll their events.
    pub const fn processes(&mut self) -> &mut P {
        self.jobs.processes()
    }

    /// Returns the jobs that end with the agent, with the beginnings of their command lines, the oldest first.
    #[must_use]
    pub fn commands_ending_with_agent(&self) -> Vec<(JobId, &[OsText])> {
        self.jobs.ending_with_agent()
    }

    /// Returns the chat and the outbox for its replies, to pass typed lines and plain text to it.
    pub const fn chat(&mut self) -> (&mut Chat, &mut Outbox) {
        (&mut self.chat, &mut self.outbox)
    }

    /// Remembers the request of a job that was forgotten at `at`, under an earlier agent over the same supervisor; the
    /// oldest first.
    pub fn remember(&mut self, key: PublicKey, request: RequestId, digest: Digest, at: Instant) {
        self.jobs.remember(key, request, digest, at);
    }

    /// Notes that ids of a key that were entered at `horizon` or before are not remembered.
    pub fn set_horizon(&mut self, key: PublicKey, horizon: Instant) {
        self.jobs.set_horizon(key, horizon);
    }

    /// Enters a job of an earlier agent over the same supervisor, before the first event.
    pub fn restore(&mut self, now: Instant, job: Restored) {
        self.jobs.restore(now, job);
    }

    /// Processes the present state of a process.
    pub fn on_status(&mut self, now: Instant, job: JobId, status: Status) {
        self.jobs.on_status(now, job, status, &mut self.outbox);
        self.proceed(now);
    }

    /// Authorises all sessions and running jobs again, after the policy has changed or something in it has
    /// expired. Jobs whose commands are denied are ended; sessions that are denied are closed, at once or when their
    /// controllers know how these jobs have ended. Both stay as they are while a change of the files cannot be read.
    pub fn on_policy_changed(&mut self, now: Instant) {
        let policy = &self.policy;
        if policy.policy().is_suspended() {
            // It admits nobody anew, and says nothing about those who are here.
            return;
        }
        let sessions = &self.sessions;
        let address_of = |session| Some(sessions.get(&session)?.controller.remote);
        self.jobs.end_denied(policy, address_of);
        let mut revoked = Vec::new();
        for (&session, state) in self.sessions.iter_mut().filter(|(_, state)| !state.revoked) {
            let controller = &mut state.controller;
            let from = Some(controller.remote);
            match authorize(policy, &controller.key, from, state.invite.as_ref()) {
                Ok(name) => controller.name = name,
                Err(_) => revoked.push(session),
            }
        }
        for session in revoked {
            self.revoke(now, session);
        }
    }

    /// Records an event that concerns no command.
    pub fn record(&mut self, record: &Record<'_>) {
        self.jobs.record_other(record);
    }

    /// Starts the shutdown: accepts no more commands and ends the running ones, or detaches them if so
    /// configured. After their end, or at the latest after their grace period, the results are delivered and all
    /// sessions are closed. Then [`is_closed`](Self::is_closed) returns true.
    pub fn shut_down(&mut self, now: Instant) {
        if self.phase == Phase::Working {
            self.phase = Phase::Ending(now + limits::SHUTDOWN);
            self.jobs.shut_down(now, &mut self.outbox);
            self.proceed(now);
        }
    }

    /// Returns true if the shutdown is complete: every session is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Processes all deadlines up to `now`. Harmless if none is due.
    pub fn on_timeout(&mut self, now: Instant) {
        self.jobs.on_timeout(now);
        self.close_overdue(now);
        self.release_held(now);
        match self.phase {
            Phase::Ending(at) if at <= now => {
                self.jobs.kill_all();
                self.deliver_last(now);
            }
            Phase::Delivering(at) if at <= now => self.close_all(now),
            Phase::Working | Phase::Ending(_) | Phase::Delivering(_) | Phase::Closed => {
                self.proceed(now);
            }
        }
    }

    /// Returns the time of the next call of [`on_timeout`](Self::on_timeout).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let phase = match self.phase {
            Phase::Ending(at) | Phase::Delivering(at) => Some(at),
            Phase::Working | Phase::Closed => None,
        };
        let revoked = self.revoked.front().map(|first| first.0);
        let held = self.held.poll_timeout();
        let jobs = self.jobs.poll_timeout().into_iter();
        jobs.chain(phase).chain(revoked).chain(held).min()
    }

    /// Returns the number of calls that are kept because their keys wait.
    #[cfg(test)]
    fn held_calls(&self) -> usize {
        self.held.len()
    }

    /// Returns the next command for the session layer.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.outbox.pop()
    }

    /// Returns the next note for the log.
    pub fn poll_note(&mut self) -> Option<Note> {
        self.notes.pop_front().or_else(|| self.jobs.poll_note())
    }

    /// Continues a shutdown if its next step is due.
    fn proceed(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Ending(_)) && self.jobs.unfinished() == 0 {
            self.deliver_last(now);
        }
        if self.is_delivering() && self.jobs.all_delivered() && self.is_chat_delivered() {
            self.close_all(now);
        }
    }

    /// Ends the chat: the last results and messages are on their way.
    fn deliver_last(&mut self, now: Instant) {
        self.phase = Phase::Delivering(now + limits::LAST_RESULTS);
        self.chat.end(&mut self.outbox);
    }

    const fn is_delivering(&self) -> bool {
        matches!(self.phase, Phase::Delivering(_))
    }

    /// Returns true if no call of the chat has something that was not received.
    fn is_chat_delivered(&self) -> bool {
        let mut calls = self
            .sessions
            .values()
            .flat_map(|state| state.calls.values());
        calls.all(|call| call.kind != CallKind::Chat)
    }

    /// Counts the memory that the calls of a session use for its key. Closes the session if it exceeds the bounds of
    /// the key.
    fn count_usage(&mut self, now: Instant, session: SessionHandle) {
        let Some(state) = self.sessions.get_mut(&session) else {
            return;
        };
        let (key, after) = (state.controller.key, state.usage());
        let before = std::mem::replace(&mut state.counted, after);
        let grows = after.calls > before.calls || after.unread > before.unread;
        self.replace_usage(&key, before, after);
        let usage = self.usage.get(&key).copied().unwrap_or_default();
        if grows && usage.is_too_much() {
            let (code, reason) = (CloseCode::Violation, "too many open calls of this key");
            self.close(now, session, code, reason);
        }
    }

    fn replace_usage(&mut self, key: &PublicKey, before: Usage, after: Usage) {
        let usage = self.usage.entry(*key).or_default();
        usage.replace(before, after);
        if *usage == Usage::default() {
            self.usage.remove(key);
        }
    }

    fn close_all(&mut self, now: Instant) {
        self.phase = Phase::Closed;
        let all: Vec<SessionHandle> = self.sessions.keys().copied().collect();
        for session in all {
            self.close(now, session, CloseCode::Shutdown, "the agent ends");
        }
    }
}

/// Authorises a session by the current policy. Returns the name of the key, or `None` if it is invited.
fn authorize(
    source: &impl PolicySource,
    key: &PublicKey,
    from: Option<PeerAddr>,
    invite: Option<&[u8; INVITE]>,
) -> Result<Option<String>, Denied> {
    let policy = source.policy();
    let admission = policy.authorize_session(key, from, invite, source.unix_now())?;
    Ok(admission.name().map(str::to_owned))
}
