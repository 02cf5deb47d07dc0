//! The history of a running chat: its delivery to a member that joins, and what is new in it for the supervisor.
//!
//! Invariant: what is new takes no more memory than the history, however long nobody takes it.

use super::history::{Earlier, History, SavedHistory};
use super::member::Weight;
use super::{CallRef, Chat, Outbox};
use crate::message::{Reply, RoomName};
use crate::time::Instant;

/// The history, and its new messages.
#[derive(Default, Debug)]
pub(super) struct KeptMessages {
    /// Times are in milliseconds of the clock of this process, behind `offset`.
    all: History,
    /// Messages that were not taken yet.
    new: History,
    /// Age in milliseconds that a message may have had at time 0 of the clock.
    offset: u64,
}

impl KeptMessages {
    pub(super) fn add(&mut self, now: Instant, room: Option<&RoomName>, from: &str, text: &str) {
        let entry = Earlier::new(self.at(now), room.cloned(), from, text);
        self.all.push(entry.clone());
        self.new.push(entry);
    }

    /// Returns the rooms that have messages, with the time of the last one.
    pub(super) fn rooms(&self) -> impl Iterator<Item = (Option<&RoomName>, u64)> {
        self.all.rooms()
    }

    /// Forgets the messages of a room.
    pub(super) fn remove(&mut self, room: &RoomName) {
        self.all.remove(Some(room));
    }

    fn at(&self, now: Instant) -> u64 {
        (now.as_micros() / 1000).saturating_add(self.offset)
    }
}

impl Chat {
    /// Takes the history of an earlier agent. Without it, no messages are kept.
    pub fn restore_history(&mut self, now: Instant, history: SavedHistory) {
        let oldest = history.earlier.iter().map(|earlier| earlier.at).max();
        let mut kept = KeptMessages {
            all: History::new(history.most),
            new: History::new(history.most),
            // No sum of times overflows, whatever a damaged file says.
            offset: oldest.unwrap_or(0).min(u64::MAX / 2),
        };
        let at = kept.at(now);
        for Earlier {
            at: age,
            room,
            from,
            text,
        } in history.earlier
        {
            let at = at.saturating_sub(age);
            kept.all.push(Earlier::new(at, room, &from, &text));
        }
        self.history = kept;
    }

    /// Returns the next message that the history has got since the last call.
    pub fn poll_history(&mut self) -> Option<Earlier> {
        self.history.new.pop()
    }

    /// Sends the last messages to a member that has just joined.
    pub(super) fn send_history(
        &mut self,
        now: Instant,
        to: CallRef,
        count: u32,
        outbox: &mut Outbox,
    ) {
        let Some(index) = self.index_of(to) else {
            return;
        };
        let at = self.history.at(now);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let room = self.members[index].room.as_ref();
        let all: Vec<_> = self.history.all.last(room, count).cloned().collect();
        for earlier in all {
            let said = Reply::Said {
                from: earlier.from,
                text: earlier.text,
                unverified: false,
                age_ms: Some(at.saturating_sub(earlier.at)),
                room: earlier.room,
                // Answers of bots are not kept.
                bot: false,
            };
            // A message can always be dropped to make space, so the member is not too slow for it.
            let _ = self.members[index].send(Weight::News, &said, outbox);
        }
    }
}
