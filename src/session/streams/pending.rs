//! The streams that owe the peer a frame of their own: credit, an end, a wish for one.
//!
//! Invariant: each stands in it once, so that a peer who lets nothing leave cannot make it grow.

use std::collections::VecDeque;

use crate::wire::StreamId;

/// A queue of streams.
#[derive(Default, Debug)]
pub(super) struct PendingFrames(VecDeque<StreamId>);

impl PendingFrames {
    /// Adds a stream, unless it waits already. Few do at a time, so looking costs less than a set.
    pub(super) fn add(&mut self, stream: StreamId) {
        if !self.0.contains(&stream) {
            self.0.push_back(stream);
        }
    }

    /// The next one.
    pub(super) fn front(&self) -> Option<&StreamId> {
        self.0.front()
    }

    /// It owes nothing any more.
    pub(super) fn pop_front(&mut self) {
        self.0.pop_front();
    }

    /// Whether none waits.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
