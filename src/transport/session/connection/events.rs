//! Events of a session in order: those of the session itself, then those of its streams.
//!
//! A session that has ended returns only the events from before its end. Invariant: the events that nobody has taken
//! are bounded, because a newer one of the same kind takes the place of the older.

use super::{Path, Session, State};
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
            | Event::Confirmed { .. }
            | Event::Silent { .. }
            | Event::Heard { .. }
            | Event::DatagramSize { .. }
            | Event::Moved { .. }
            | Event::InitSeen { .. }
            | Event::Closed { .. } => true,
        });
    }

    /// Reports that an authentic datagram has come after a silence, unless the silence was not taken yet.
    pub(in crate::session) fn push_heard(&mut self) {
        let is_silent = |event: &Event| matches!(event, Event::Silent { .. });
        if let Some(index) = self.events.iter().rposition(is_silent) {
            self.events.remove(index);
        } else {
            self.events.push_back(Event::Heard { session: self.id });
        }
    }

    /// Reports a new path, in place of one that was not taken yet.
    pub(in crate::session) fn push_moved(&mut self, path: Path) {
        let earlier = self.events.iter_mut().find_map(|event| match event {
            Event::Moved { path, .. } => Some(path),
            Event::Connected { .. }
            | Event::Accepted { .. }
            | Event::Confirmed { .. }
            | Event::Stream { .. }
            | Event::Silent { .. }
            | Event::Heard { .. }
            | Event::DatagramSize { .. }
            | Event::InitSeen { .. }
            | Event::Closed { .. } => None,
        });
        if let Some(earlier) = earlier {
            *earlier = path;
        } else {
            let session = self.id;
            self.events.push_back(Event::Moved { session, path });
        }
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
