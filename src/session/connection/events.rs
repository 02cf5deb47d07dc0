//! Events of a session in order: those of the session itself, then those of its streams.
//!
//! A session that has ended returns only the events from before its end.

use super::{Session, State};
use crate::session::event::{Event, StreamEvent};
use crate::wire::CallId;

impl Session {
    /// Moves the events of the streams to the queue of the session, before its end.
    pub(in crate::session) fn take_stream_events(&mut self) {
        while let Some(event) = self.streams.poll_event() {
            let event = self.stream_event(event);
            self.events.push_back(event);
        }
    }

    /// Removes the stream events of a call, also those from before the session's end.
    pub(in crate::session) fn discard_events(&mut self, call: CallId) {
        self.events.retain(|event| match event {
            Event::Stream { event, .. } => event.call() != call,
            Event::Connected { .. }
            | Event::Accepted { .. }
            | Event::Silent { .. }
            | Event::Heard { .. }
            | Event::Moved { .. }
            | Event::InitSeen { .. }
            | Event::Closed { .. } => true,
        });
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
        Event::Stream {
            session: self.id,
            event,
        }
    }
}
