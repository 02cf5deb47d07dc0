//! The history of a running chat: its delivery to a member that joins, and what is new in it for the supervisor.
//!
//! Invariant: what is new takes no more memory than the history, however long nobody takes it.

use std::collections::BTreeSet;

use super::history::{Earlier, History, MessageId, SavedHistory};
use super::member::Weight;
use super::{CallRef, Chat, Outbox};
use crate::agent::limits;
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
    /// Time at which the history was taken, and the same in milliseconds since 1970.
    taken: (Instant, u64),
}

/// Bits of a position that count the messages of a history.
const COUNT_BITS: u32 = 32;

impl KeptMessages {
    /// Adds a message, whose time and position are set. Returns the position, if it is kept.
    pub(super) fn add(&mut self, now: Instant, said: Earlier) -> Option<u64> {
        let position = match self.last_position(said.room.as_ref()) {
            // What an earlier front has said and not passed on has positions behind the last one that is known.
            Some(last) => last
                .saturating_add(1)
                .max(self.first_position(self.taken.0)),
            None => self.first_position(now),
        };
        let entry = Earlier {
            position,
            ..said.bounded(self.at(now))
        };
        self.all.push(entry.clone())?;
        self.new.push(entry);
        Some(position)
    }

    /// Returns true if a message was said before.
    pub(super) fn has(&self, room: Option<&RoomName>, id: MessageId) -> bool {
        self.all.has(room, id)
    }

    /// Returns true if messages are kept.
    pub(super) const fn is_kept(&self) -> bool {
        self.all.most() > 0
    }

    /// Returns the position of the last message of a room.
    pub(super) fn last_position(&self, room: Option<&RoomName>) -> Option<u64> {
        let last = self.all.last(room, 1).next();
        last.map(|last| last.position)
    }

    /// Returns the position of the first message of a history that begins now.
    fn first_position(&self, now: Instant) -> u64 {
        let (taken, unix_ms) = self.taken;
        let seconds = (unix_ms / 1000).saturating_add(now.since(taken).as_secs());
        seconds.clamp(1, u64::from(u32::MAX)) << COUNT_BITS
    }

    /// Returns the last `count` messages of a room behind a position, and the number of those behind it that are not
    /// among them, as far as that is known.
    fn behind(
        &self,
        room: Option<&RoomName>,
        count: u32,
        after: Option<u64>,
    ) -> (u64, Vec<Earlier>) {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let last = self.last_position(room);
        if let (Some(after), Some(last)) = (after, last)
            && after > last
            && after >> COUNT_BITS == last >> COUNT_BITS
        {
            return (0, Vec::new());
        }
        // Another position that is not reached yet is of another history.
        let after = after.filter(|after| Some(*after) <= last);
        let all = self.all.last(room, count);
        let all = all.filter(|entry| after.is_none_or(|after| entry.position > after));
        let all: Vec<_> = all.cloned().collect();
        let missing = match (after, all.first()) {
            (Some(after), Some(oldest)) => {
                let first = oldest.position >> COUNT_BITS << COUNT_BITS;
                oldest.position - after.saturating_add(1).max(first)
            }
            (None, _) | (_, None) => 0,
        };
        (missing, all)
    }

    #[cfg(test)]
    pub(super) const fn all(&self) -> &History {
        &self.all
    }

    /// Returns the rooms that have messages, with the time of the last one.
    pub(super) fn rooms(&self) -> impl Iterator<Item = (Option<&RoomName>, u64)> {
        self.all.rooms()
    }

    /// Forgets the messages of a room, here and in the file of the supervisor.
    fn remove(&mut self, now: Instant, room: RoomName) {
        self.all.remove(Some(&room));
        self.new.remove(Some(&room));
        self.new.push(Earlier::forgotten(self.at(now), room));
    }

    /// Forgets the messages of a room that has no members, if there is one: of the key with most such rooms the oldest one.
    pub(super) fn give_up_room(&mut self, now: Instant, occupied: &BTreeSet<RoomName>) -> bool {
        let may = |room: &RoomName| !occupied.contains(room);
        let room = self.all.to_give_up(may).cloned();
        room.map(|room| self.remove(now, room)).is_some()
    }

    /// Forgets the oldest rooms without members of the key of a room, as far as that has too many.
    pub(super) fn bound_rooms(
        &mut self,
        now: Instant,
        room: &RoomName,
        occupied: &BTreeSet<RoomName>,
    ) {
        let of_key: BTreeSet<_> = self.all.of_key_of(room).cloned().collect();
        let surplus = of_key.len().saturating_sub(limits::CHAT_ROOMS_PER_KEY);
        for _ in 0..surplus {
            let may = |other: &RoomName| of_key.contains(other) && !occupied.contains(other);
            let Some(room) = self.all.to_give_up(may).cloned() else {
                return;
            };
            self.remove(now, room);
        }
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
            taken: (now, history.now),
        };
        let at = kept.at(now);
        for entry in history.earlier {
            // Positions grow, whatever a damaged file says.
            let last = kept.last_position(entry.room.as_ref());
            let next = last.map_or(1, |last| last.saturating_add(1));
            let at = at.saturating_sub(entry.at);
            kept.all.push(Earlier {
                position: entry.position.max(next),
                ..entry.bounded(at)
            });
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
        (count, after): (u32, Option<u64>),
        outbox: &mut Outbox,
    ) {
        let Some(index) = self.index_of(to) else {
            return;
        };
        let at = self.history.at(now);
        let room = self.members[index].room.as_ref();
        let (missing, all) = self.history.behind(room, count, after);
        self.members[index].miss(missing);
        let own = self.members[index].id;
        let is_own = |id: MessageId| Some(id.member) == own;
        for earlier in all {
            if earlier.id.is_some_and(is_own) {
                continue;
            }
            let said = Reply::Said {
                from: earlier.from,
                text: earlier.text,
                unverified: false,
                cut: None,
                age_ms: Some(at.saturating_sub(earlier.at)),
                room: earlier.room,
                // Answers of bots are not kept.
                bot: false,
                action: earlier.action,
                position: Some(earlier.position),
            };
            // A message can always be dropped to make space, so the member is not too slow for it.
            let _ = self.members[index].send(Weight::News, &said, outbox);
        }
    }
}
