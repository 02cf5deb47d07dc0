//! The guarantees to an application, checked against every event and command of a host.
//!
//! Streams come in order, without gaps, and not beyond the credit that was given; credit never
//! shrinks; what is delivered was written; a session that is over is not named again.

use std::collections::{HashMap, HashSet};

use udpagent::session::limits::{INITIAL_SESSION_CREDIT, INITIAL_STREAM_CREDIT};
use udpagent::session::{Command, Config, Event, SessionHandle, StreamEvent};
use udpagent::wire::{CallId, StreamId};

#[derive(Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "a ledger of what happened, not a state machine"
)]
struct Stream {
    received: u64,
    received_fin: bool,
    reset: bool,
    disposed: u64,
    written: u64,
    written_fin: bool,
    delivered: bool,
    limit: u64,
    consumed: u64,
}

#[derive(Default)]
struct Session {
    streams: HashMap<StreamId, Stream>,
    released: HashSet<CallId>,
    ended: HashSet<CallId>,
    unread: u64,
    opened: bool,
    confirmed: bool,
    silent: bool,
}

/// The checks for one incarnation of a host.
pub struct Contract {
    stream_window: u64,
    session_window: u64,
    sessions: HashMap<SessionHandle, Session>,
    over: HashSet<SessionHandle>,
    /// The most bytes that ever waited for the application in one session.
    pub most_unread: u64,
}

impl Contract {
    /// Creates the checks for an endpoint.
    pub fn new(config: &Config) -> Self {
        // Without further growth a small window stands for a test of its own.
        let fixed = config.max_stream_window <= config.stream_window;
        let growth = if fixed { 0 } else { config.window_growth };
        Self {
            stream_window: config.max_stream_window.max(INITIAL_STREAM_CREDIT),
            session_window: config.session_window.max(INITIAL_SESSION_CREDIT) + growth,
            sessions: HashMap::new(),
            over: HashSet::new(),
            most_unread: 0,
        }
    }

    /// Records a command of the application.
    pub fn on_command(&mut self, command: &Command) {
        match command {
            Command::Connect(connect) => {
                let fresh = !self.sessions.contains_key(&connect.session);
                assert!(
                    fresh && !self.over.contains(&connect.session),
                    "a session's number is used again"
                );
                let state = self.sessions.entry(connect.session).or_default();
                let stream = StreamId::new(CallId(0), udpagent::wire::Lane::Control);
                state.streams.entry(stream).or_default().written += connect.first.len() as u64;
            }
            Command::Write {
                session,
                stream,
                data,
                fin,
            } => {
                let Some(state) = self.sessions.get_mut(session) else {
                    return;
                };
                let stream = state.streams.entry(*stream).or_default();
                stream.written += data.len() as u64;
                stream.written_fin |= fin;
            }
            Command::Consumed {
                session,
                stream,
                bytes,
            } => {
                let Some(state) = self.sessions.get_mut(session) else {
                    return;
                };
                let lane = state.streams.entry(*stream).or_default();
                lane.disposed += bytes;
                assert!(lane.disposed <= lane.received, "consumed what never came");
                state.unread -= bytes;
            }
            Command::Release { session, call } => {
                if let Some(state) = self.sessions.get_mut(session) {
                    state.release(*call);
                }
            }
            Command::Reset { .. }
            | Command::Stop { .. }
            | Command::Watch { .. }
            | Command::FindDatagramSize { .. }
            | Command::Close { .. } => {}
        }
    }

    /// Checks an event of the endpoint.
    pub fn on_event(&mut self, event: &Event) {
        let Some(session) = session_of(event) else {
            return;
        };
        assert!(
            !self.over.contains(&session),
            "{event:?} names a session that is over"
        );
        if matches!(event, Event::Accepted { .. }) {
            assert!(
                self.sessions.insert(session, Session::default()).is_none(),
                "{session:?} is accepted twice"
            );
        }
        let state = self
            .sessions
            .get_mut(&session)
            .unwrap_or_else(|| panic!("{event:?} names an unknown session"));
        state.on_event(event, self.stream_window);
        assert!(
            state.unread <= self.session_window,
            "{} unread bytes in {session:?}",
            state.unread
        );
        self.most_unread = self.most_unread.max(state.unread);
        if matches!(event, Event::Closed { .. }) {
            self.sessions.remove(&session);
            self.over.insert(session);
        }
    }
}

impl Session {
    fn release(&mut self, call: CallId) {
        self.released.insert(call);
        let mut freed = 0;
        self.streams.retain(|id, stream| {
            let gone = id.call() == call;
            if gone {
                freed += stream.received - stream.disposed;
            }
            !gone
        });
        self.unread -= freed;
    }

    fn on_event(&mut self, event: &Event, window: u64) {
        if let Some(call) = call_of(event) {
            assert!(
                !self.released.contains(&call),
                "{event:?} names a call that was released"
            );
        }
        match event {
            Event::Accepted { .. } | Event::Connected { .. } => {
                assert!(!self.opened, "{event:?} comes twice");
                self.opened = true;
            }
            Event::Stream { event, .. } => self.on_stream(event, window),
            Event::Silent { .. } => {
                assert!(!self.silent, "silent twice");
                self.silent = true;
            }
            Event::Heard { .. } => {
                assert!(self.silent, "heard without silence");
                self.silent = false;
            }
            Event::Confirmed { .. } => {
                assert!(!self.confirmed, "confirmed twice");
                self.confirmed = true;
            }
            Event::DatagramSize { .. }
            | Event::Moved { .. }
            | Event::InitSeen { .. }
            | Event::Closed { .. } => {}
        }
    }

    fn on_stream(&mut self, event: &StreamEvent, window: u64) {
        match event {
            StreamEvent::Data {
                stream,
                offset,
                data,
                fin,
            } => {
                let lane = self.streams.entry(*stream).or_default();
                assert!(self.opened, "data before the session is open");
                assert_eq!(*offset, lane.received, "a gap or an overlap in {stream:?}");
                assert!(!lane.received_fin && !lane.reset, "{event:?} after the end");
                lane.received += data.len() as u64;
                lane.received_fin = *fin;
                self.unread += data.len() as u64;
                let unread = lane.received - lane.disposed;
                assert!(unread <= window, "{unread} unread bytes in {stream:?}");
            }
            StreamEvent::Writable {
                stream,
                consumed,
                limit,
            } => self
                .streams
                .entry(*stream)
                .or_default()
                .on_credit(*consumed, *limit),
            StreamEvent::Delivered { stream } => {
                let lane = self.streams.entry(*stream).or_default();
                assert!(
                    lane.written_fin && !lane.delivered,
                    "{event:?} before the end was written, or twice"
                );
                lane.delivered = true;
            }
            StreamEvent::Reset { stream, .. } => {
                let lane = self.streams.entry(*stream).or_default();
                assert!(!lane.reset, "{event:?} comes twice");
                lane.reset = true;
            }
            StreamEvent::CallEnded { call, .. } => {
                assert!(self.ended.insert(*call), "{event:?} comes twice");
            }
            StreamEvent::Stopped { .. } => {}
        }
    }
}

impl Stream {
    fn on_credit(&mut self, consumed: u64, limit: u64) {
        assert!(
            limit >= self.limit,
            "credit shrinks to {limit} from {}",
            self.limit
        );
        assert!(
            consumed >= self.consumed,
            "consumption shrinks to {consumed} from {}",
            self.consumed
        );
        assert!(
            consumed <= self.written,
            "{consumed} bytes consumed of {} written",
            self.written
        );
        (self.limit, self.consumed) = (limit, consumed);
    }
}

/// The session that an event names.
pub fn session_of(event: &Event) -> Option<SessionHandle> {
    match event {
        Event::Connected { session, .. }
        | Event::Accepted { session, .. }
        | Event::Confirmed { session }
        | Event::Stream { session, .. }
        | Event::Silent { session }
        | Event::Heard { session }
        | Event::DatagramSize { session, .. }
        | Event::Moved { session, .. }
        | Event::Closed { session, .. } => Some(*session),
        Event::InitSeen { .. } => None,
    }
}

fn call_of(event: &Event) -> Option<CallId> {
    match event {
        Event::Stream {
            event: StreamEvent::CallEnded { .. },
            ..
        } => None,
        Event::Stream { event, .. } => Some(event.call()),
        _ => None,
    }
}
