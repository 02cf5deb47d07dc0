//! Dispatch of session events to jobs and chat.

use std::collections::BTreeMap;

use super::session_state::{Call, CallKind, Input, SessionState, Usage};
use super::{Service, authorize};
use crate::agent::access::{Controller, PolicySource};
use crate::agent::jobs::Processes;
use crate::agent::limits;
use crate::agent::note::Note;
use crate::agent::outbox::CallRef;
use crate::message::{CloseCode, LineError, Reply, Request, StreamCode};
use crate::peer_addr::PeerAddr;
use crate::session::{self, Closed, Command, Event, SessionHandle, StreamEvent};
use crate::time::Instant;
use crate::wire::limits::INVITE;
use crate::wire::{Lane, StreamId};

const fn call_ref(session: SessionHandle, stream: StreamId) -> CallRef {
    CallRef {
        session,
        call: stream.call(),
    }
}

impl<P: Processes, S: PolicySource> Service<P, S> {
    /// Processes an event of the session layer.
    pub fn on_session_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Accepted {
                session,
                key,
                remote,
                invite,
                ..
            } => {
                let name = None;
                self.on_accepted(now, session, Controller { key, name, remote }, invite);
            }
            Event::Confirmed { session } => {
                if let Some(state) = self.sessions.get_mut(&session) {
                    state.confirmed = true;
                }
            }
            Event::Stream { session, event } => {
                self.on_stream_event(now, session, event);
                self.count_usage(now, session);
                self.close_if_answered(now, session);
            }
            Event::Silent { session } => self.jobs.on_silent(now, session),
            Event::Heard { session } => self.jobs.on_heard(session),
            Event::Moved { session, path } => self.on_moved(now, session, path.remote),
            Event::Closed { session, reason } => self.on_closed(now, session, &reason),
            Event::Connected { .. } | Event::DatagramSize { .. } | Event::InitSeen { .. } => {}
        }
        self.proceed(now);
    }

    fn on_stream_event(&mut self, now: Instant, session: SessionHandle, event: StreamEvent) {
        match event {
            StreamEvent::Data {
                stream,
                offset,
                data,
                fin,
            } => {
                let call = call_ref(session, stream);
                match stream.lane() {
                    lane if self.is_revoked(session) => self.on_late_data(now, call, lane, fin),
                    Lane::Control => self.on_control(now, call, &data, fin),
                    Lane::Data => self.on_data_lane(call, Input { offset, data, fin }),
                    Lane::Stderr => {
                        let length = data.len() as u64;
                        self.outbox.consumed(call, Lane::Stderr, length);
                        self.outbox.stop(call, Lane::Stderr, StreamCode::Unwanted);
                    }
                }
            }
            StreamEvent::Writable {
                stream,
                consumed,
                limit,
            } => {
                let call = call_ref(session, stream);
                match stream.lane() {
                    Lane::Control => self.chat.on_consumed(call, consumed, &mut self.outbox),
                    lane @ (Lane::Data | Lane::Stderr) => {
                        self.jobs.on_consumed(now, call, lane, consumed, limit);
                    }
                }
            }
            StreamEvent::Delivered { stream } => match stream.lane() {
                Lane::Control => self.on_delivered(now, call_ref(session, stream)),
                Lane::Data | Lane::Stderr => {}
            },
            StreamEvent::Stopped { stream, .. } => {
                self.on_stopped(now, call_ref(session, stream), stream.lane());
            }
            StreamEvent::Reset { stream, code } => {
                let call = call_ref(session, stream);
                match stream.lane() {
                    Lane::Control => self.abandon(now, call),
                    Lane::Data => self.jobs.on_input_reset(call, code),
                    Lane::Stderr => {}
                }
            }
            StreamEvent::CallEnded { call } => {
                self.forget(now, CallRef { session, call });
            }
        }
    }

    fn on_stopped(&mut self, now: Instant, call: CallRef, lane: Lane) {
        match self.kind(call) {
            Some(CallKind::Jobs) => self.jobs.on_stopped(now, call, lane),
            Some(CallKind::Unopened | CallKind::Chat | CallKind::Answered)
                if lane == Lane::Control =>
            {
                self.abandon(now, call);
            }
            Some(CallKind::Unopened | CallKind::Chat | CallKind::Answered) | None => {}
        }
    }

    fn on_accepted(
        &mut self,
        now: Instant,
        session: SessionHandle,
        mut controller: Controller,
        invite: Option<[u8; INVITE]>,
    ) {
        // The session layer has authorised it, but the policy may have changed since.
        let from = Some(controller.remote);
        let name = authorize(&self.policy, &controller.key, from, invite.as_ref());
        let denied = name.is_err();
        controller.name = name.unwrap_or_default();
        self.notes.push_back(Note::Opened {
            session,
            controller: controller.clone(),
        });
        let state = SessionState {
            controller,
            opened: now,
            confirmed: false,
            revoked: false,
            invite,
            calls: BTreeMap::new(),
            counted: Usage::default(),
        };
        self.sessions.insert(session, state);
        if denied {
            self.close(now, session, CloseCode::Revoked, "this key may not connect");
        }
    }

    /// Authorises a session again, at another address of its controller.
    fn on_moved(&mut self, now: Instant, session: SessionHandle, remote: PeerAddr) {
        let Some(state) = self.sessions.get_mut(&session) else {
            return;
        };
        state.controller.remote = remote;
        let (key, invite) = (state.controller.key, state.invite);
        if self.policy.policy().is_suspended() {
            return;
        }
        if authorize(&self.policy, &key, Some(remote), invite.as_ref()).is_err() {
            let (code, reason) = (CloseCode::Revoked, "this key may not connect from there");
            self.close(now, session, code, reason);
        }
    }

    fn on_control(&mut self, now: Instant, call: CallRef, data: &[u8], fin: bool) {
        let Some(state) = self.sessions.get_mut(&call.session) else {
            return;
        };
        let open = state.calls.entry(call.call).or_default();
        open.lines.push(data);
        let length = data.len() as u64;
        if open.held.is_some() {
            open.unconsumed += length;
        } else {
            self.outbox.consumed(call, Lane::Control, length);
            self.take_lines(now, call);
        }
        let held = self.open_call(call).filter(|open| open.held.is_some());
        let fin = match held {
            Some(open) => {
                open.fin |= fin;
                false
            }
            None => fin,
        };
        let state = self.sessions.get(&call.session);
        if state.is_some_and(SessionState::is_overfull) {
            let code = CloseCode::Violation;
            self.close(now, call.session, code, "too many lines without end");
        } else if fin {
            self.on_fin(now, call);
        }
    }

    /// Processes the lines of a call until it is held. A line may end the call, or the session.
    pub(super) fn take_lines(&mut self, now: Instant, call: CallRef) {
        while let Some(open) = self.open_call(call).filter(|open| open.held.is_none())
            && let Some(line) = open.lines.next()
        {
            match line {
                Ok(request) if self.is_premature(call.session, &request) => {
                    self.on_malformed(now, call, "not as early data".into());
                }
                Ok(request) => {
                    if let Some(request) = self.pace(now, call, request) {
                        self.on_request(now, call, request);
                    }
                }
                Err(LineError::Malformed(reason)) => self.on_malformed(now, call, reason),
                Err(LineError::TooLong) => {
                    let code = CloseCode::Violation;
                    self.close(now, call.session, code, "a line is too long");
                }
            }
        }
    }

    /// Returns true if a request came as early data and may not: the datagram may be a copy.
    fn is_premature(&self, session: SessionHandle, request: &Request) -> bool {
        let state = self.sessions.get(&session);
        !request.may_be_early() && state.is_some_and(|state| !state.confirmed)
    }

    pub(super) fn on_request(&mut self, now: Instant, call: CallRef, request: Request) {
        match self.kind(call) {
            Some(CallKind::Unopened) => self.on_first(now, call, request),
            Some(CallKind::Jobs) => {
                let taken = self.open_call(call).map_or(0, |open| {
                    open.lines_taken = open.lines_taken.saturating_add(1);
                    open.lines_taken
                });
                if taken > limits::CALL_LINES {
                    let code = CloseCode::Violation;
                    self.close(now, call.session, code, "too many lines in a call");
                } else if let Some(state) = self.sessions.get(&call.session) {
                    let controller = state.controller.clone();
                    self.jobs
                        .on_line(call, &controller, &request, &mut self.outbox);
                }
            }
            Some(CallKind::Chat) => self.chat.on_line(now, call, request, &mut self.outbox),
            Some(CallKind::Answered) | None => {}
        }
    }

    /// Sends the only reply of a call.
    pub(super) fn answer(&mut self, call: CallRef, reply: &Reply) -> CallKind {
        self.outbox.last_reply(call, reply);
        CallKind::Answered
    }

    /// Answers a line that is not understood or not accepted, so that the controller learns it; a few times.
    fn on_malformed(&mut self, now: Instant, call: CallRef, reason: String) {
        let reply = Reply::Unsupported { reason };
        let Some(open) = self.open_call(call) else {
            return;
        };
        open.invalid_lines = open.invalid_lines.saturating_add(1);
        if open.invalid_lines > limits::INVALID_LINES {
            let (code, reason) = (CloseCode::Violation, "too many lines that are no requests");
            self.close(now, call.session, code, reason);
            return;
        }
        match open.kind {
            CallKind::Unopened => {
                open.kind = CallKind::Answered;
                self.outbox.last_reply(call, &reply);
            }
            CallKind::Jobs | CallKind::Chat => self.outbox.reply(call, &reply),
            CallKind::Answered => {}
        }
    }

    pub(super) fn on_data_lane(&mut self, call: CallRef, input: Input) {
        let Some(state) = self.sessions.get_mut(&call.session) else {
            return;
        };
        let open = state.calls.entry(call.call).or_default();
        match open.kind {
            CallKind::Unopened => open.early.push(input),
            CallKind::Jobs => {
                let Input { offset, data, fin } = input;
                self.jobs
                    .on_input(call, offset, data, fin, &mut self.outbox);
            }
            CallKind::Chat | CallKind::Answered => {
                let length = input.data.len() as u64;
                self.outbox.consumed(call, Lane::Data, length);
            }
        }
    }

    pub(super) fn on_fin(&mut self, now: Instant, call: CallRef) {
        match self.kind(call) {
            Some(CallKind::Unopened) => self.abandon(now, call),
            Some(CallKind::Jobs) => {
                if self.jobs.on_fin(now, call) {
                    self.abandon(now, call);
                }
            }
            Some(CallKind::Chat) => {
                self.chat.on_gone(now, call, &mut self.outbox);
                if let Some(open) = self.open_call(call) {
                    open.kind = CallKind::Answered;
                }
            }
            Some(CallKind::Answered) | None => {}
        }
    }

    /// Processes the delivery of the whole control lane.
    fn on_delivered(&mut self, now: Instant, call: CallRef) {
        let complete = match self.kind(call) {
            Some(CallKind::Jobs) => self.jobs.on_delivered(now, call),
            Some(CallKind::Answered | CallKind::Chat) => true,
            Some(CallKind::Unopened) | None => false,
        };
        if complete && let Some(state) = self.sessions.get_mut(&call.session) {
            state.calls.remove(&call.call);
            self.outbox.release(call);
        }
    }

    /// Abandons a call with all data in flight.
    pub(super) fn abandon(&mut self, now: Instant, call: CallRef) {
        self.forget(now, call);
        self.outbox.release(call);
    }

    /// Removes a call that is over.
    fn forget(&mut self, now: Instant, call: CallRef) {
        let Some(state) = self.sessions.get_mut(&call.session) else {
            return;
        };
        match state.calls.remove(&call.call).map(|call| call.kind) {
            Some(CallKind::Jobs) => self.jobs.on_gone(now, call),
            Some(CallKind::Chat) => self.chat.on_gone(now, call, &mut self.outbox),
            Some(CallKind::Unopened | CallKind::Answered) | None => {}
        }
    }

    /// Closes a session.
    pub(super) fn close(
        &mut self,
        now: Instant,
        session: SessionHandle,
        code: CloseCode,
        reason: &str,
    ) {
        // Before the ends of its calls, which would hide the reason where they arrive first.
        self.outbox.push(Command::Close {
            session,
            code: code as u64,
            reason: reason.into(),
        });
        self.on_closed(now, session, &Closed::Local);
    }

    fn on_closed(&mut self, now: Instant, session: SessionHandle, reason: &Closed) {
        let Some(state) = self.sessions.remove(&session) else {
            return;
        };
        self.replace_usage(&state.controller.key, state.counted, Usage::default());
        for (call, open) in state.calls {
            if open.kind == CallKind::Chat {
                let call = CallRef { session, call };
                self.chat.on_gone(now, call, &mut self.outbox);
            }
        }
        let heard = match reason {
            // An unconfirmed session is closed before the idle timeout.
            Closed::Lost => state.opened.max(now - session::limits::IDLE),
            Closed::Unreachable
            | Closed::Restarted
            | Closed::Reset
            | Closed::Full
            | Closed::ByPeer { .. }
            | Closed::KeyUsedUp
            | Closed::Violation(_)
            | Closed::Evicted
            | Closed::Denied
            | Closed::Local => now,
        };
        // A controller that needs nothing more closes the session instead of each call.
        let done = CloseCode::Done as u64;
        let satisfied = matches!(reason, Closed::ByPeer { code, .. } if *code == done);
        self.jobs.on_session_closed(now, session, heard, satisfied);
    }

    fn kind(&self, call: CallRef) -> Option<CallKind> {
        let state = self.sessions.get(&call.session)?;
        state.calls.get(&call.call).map(|call| call.kind)
    }

    pub(super) fn open_call(&mut self, call: CallRef) -> Option<&mut Call> {
        let state = self.sessions.get_mut(&call.session)?;
        state.calls.get_mut(&call.call)
    }
}
