//! What a session tells the application, in order: what happened to it, then what its streams have.
//!
//! Nothing is told of a session that is over but what came before its end.

use super::{Session, State};
use crate::session::event::Event;
use crate::session::streams::StreamEvent;
use crate::wire::CallId;

impl Session {
    pub(in crate::session) fn take_stream_events(&mut self) {
        while let Some(event) = self.streams.poll_event() {
            let event = self.stream_event(event);
            self.events.push_back(event);
        }
    }

    /// Nothing more is told of the streams of a call, not even what came before the session's end.
    pub(in crate::session) fn discard_events(&mut self, call: CallId) {
        self.events
            .retain(|event| event.stream().is_none_or(|stream| stream.call() != call));
    }

    pub(in crate::session) fn poll_event(&mut self) -> Option<Event> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        if self.is_gone() || matches!(self.state, State::Closing { .. }) {
            return None;
        }
        self.streams
            .poll_event()
            .map(|event| self.stream_event(event))
    }

    pub(in crate::session) fn has_events(&self) -> bool {
        !self.events.is_empty() || (self.is_established() && self.streams.has_events())
    }

    fn stream_event(&self, event: StreamEvent) -> Event {
        let session = self.id;
        match event {
            StreamEvent::Data {
                stream,
                offset,
                data,
                fin,
            } => Event::Data {
                session,
                stream,
                offset,
                data,
                fin,
            },
            StreamEvent::Writable {
                stream,
                consumed,
                limit,
            } => Event::Writable {
                session,
                stream,
                consumed,
                limit,
            },
            StreamEvent::Delivered { stream } => Event::Delivered { session, stream },
            StreamEvent::Reset { stream, code } => Event::Reset {
                session,
                stream,
                code,
            },
            StreamEvent::Stopped { stream, code } => Event::Stopped {
                session,
                stream,
                code,
            },
            StreamEvent::CallEnded { call } => Event::CallEnded { session, call },
        }
    }
}
