//! Streams with a MAX_STREAM_DATA, RESET or STOP frame to send.
//!
//! Invariant: each stream is in the queue at most once, so that a peer that prevents sending cannot make
//! it grow.

use std::collections::VecDeque;

use crate::wire::StreamId;

/// Queue of streams with frames to send.
#[derive(Default, Debug)]
pub(super) struct PendingFrames(VecDeque<StreamId>);

impl PendingFrames {
    /// Adds a stream, unless it is in the queue. The queue is short, so a linear search costs less than a set.
    pub(super) fn add(&mut self, stream: StreamId) {
        if !self.0.contains(&stream) {
            self.0.push_back(stream);
        }
    }

    /// Returns the first stream.
    pub(super) fn front(&self) -> Option<&StreamId> {
        self.0.front()
    }

    /// Removes the first stream.
    pub(super) fn pop_front(&mut self) {
        self.0.pop_front();
    }

    /// Returns true if no stream is in the queue.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
