//! The last messages of the chat, for members that join later.
//!
//! Not the file that they are in, which is the supervisor's. Plain text and answers of bots are not kept, because
//! they could push out what members have said. Invariant: there are at most as many messages of a room as configured, at most
//! [`limits::CHAT_HISTORY_BYTES`] bytes of them, and [`limits::CHAT_HISTORY_TOTAL`] bytes of all rooms; each is one that was said, or its beginning with the number of missing bytes.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::agent::limits;
use crate::message::limits::MEMBER_NAME;
use crate::message::{RequestId, RoomName, key_of_member};

/// Bytes that a message takes beside its name and text.
const OVERHEAD: usize = 64;

/// A message that was said before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Earlier {
    /// Time in milliseconds at which it was said, by a clock that its owner knows.
    pub at: u64,
    /// Room; `None` is the default room.
    #[serde(default)]
    pub room: Option<RoomName>,
    /// Name of the member.
    pub from: String,
    /// The message, not escaped.
    pub text: String,
    /// True if it describes an action of the member.
    #[serde(default)]
    pub action: bool,
    /// Position in its room: one more than that of the message before. The first one has the time of the room's history
    /// in its upper half, in seconds since 1970, so that positions grow even if a history is lost.
    #[serde(default)]
    pub position: u64,
    /// Id that its controller gave it.
    #[serde(default)]
    pub id: Option<MessageId>,
}

/// Id of a message that a controller says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MessageId {
    /// Id of the membership.
    pub member: RequestId,
    /// Number of the message in it.
    pub number: u64,
}

impl Earlier {
    /// Returns a message at position 0 and without an id, whose name and text are cut to their bounds.
    #[must_use]
    pub fn new(at: u64, room: Option<RoomName>, from: &str, text: &str) -> Self {
        Self {
            at,
            room,
            from: beginning(from, MEMBER_NAME).to_owned(),
            text: cut(text),
            action: false,
            position: 0,
            id: None,
        }
    }

    /// Returns the message with another time, cut to its bounds.
    #[must_use]
    pub fn bounded(self, at: u64) -> Self {
        Self {
            action: self.action,
            position: self.position,
            id: self.id,
            ..Self::new(at, self.room, &self.from, &self.text)
        }
    }

    /// Returns a mark that the messages of a room before it are forgotten, for others who keep them.
    #[must_use]
    pub const fn forgotten(at: u64, room: RoomName) -> Self {
        Self {
            at,
            room: Some(room),
            from: String::new(),
            text: String::new(),
            action: false,
            position: 0,
            id: None,
        }
    }

    /// True if it is such a mark. Every member has a name.
    #[must_use]
    pub const fn is_forgotten(&self) -> bool {
        self.room.is_some() && self.from.is_empty() && self.text.is_empty()
    }

    fn size(&self) -> usize {
        let room = self.room.as_ref().map_or(0, |room| room.as_str().len());
        room + self.from.len() + self.text.len() + OVERHEAD
    }
}

/// Cuts a long text and appends the number of missing bytes.
fn cut(text: &str) -> String {
    if text.len() <= limits::CHAT_HISTORY_TEXT {
        return text.to_owned();
    }
    // The number has at most twenty digits.
    let kept = beginning(text, limits::CHAT_HISTORY_TEXT - " [+ bytes]".len() - 20);
    format!("{kept} [+{} bytes]", text.len() - kept.len())
}

/// Returns the beginning of a text, whole characters of at most `most` bytes.
pub(super) fn beginning(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// A history on its way to another process.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct SavedHistory {
    /// Largest number of messages of a room.
    pub most: usize,
    /// Time in milliseconds since 1970.
    pub now: u64,
    /// The messages, those of a room oldest first. Their times are their ages.
    pub earlier: Vec<Earlier>,
}

/// The last messages of each room.
#[derive(Clone, Default, Debug)]
pub struct History {
    most: usize,
    /// Rooms that have messages.
    rooms: Vec<RoomHistory>,
    bytes: usize,
}

/// The last messages of a room, oldest first.
#[derive(Clone, Debug)]
struct RoomHistory {
    room: Option<RoomName>,
    entries: VecDeque<Earlier>,
    bytes: usize,
}

impl RoomHistory {
    /// Name of the key whose message is the oldest one.
    fn key(&self) -> &str {
        let oldest = self.entries.front();
        oldest.map_or("", |oldest| key_of_member(&oldest.from))
    }

    /// Removes the oldest message. Returns its size.
    fn pop(&mut self) -> usize {
        let size = self.entries.pop_front().map_or(0, |oldest| oldest.size());
        self.bytes -= size;
        size
    }
}

impl History {
    /// Returns an empty history of at most `most` messages of each room.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most: most.min(limits::MAX_CHAT_HISTORY),
            ..Self::default()
        }
    }

    /// Returns the largest number of messages of a room.
    #[must_use]
    pub const fn most(&self) -> usize {
        self.most
    }

    /// Adds a message. The oldest ones of its room give way, and those of the room that has the most bytes. Returns the
    /// message as it is kept, if it is.
    pub fn push(&mut self, entry: Earlier) -> Option<&Earlier> {
        if self.most == 0 {
            return None;
        }
        let room = entry.room.clone();
        let index = self.index_of(room.as_ref()).unwrap_or_else(|| {
            self.rooms.push(RoomHistory {
                room: room.clone(),
                entries: VecDeque::new(),
                bytes: 0,
            });
            self.rooms.len() - 1
        });
        let kept = &mut self.rooms[index];
        kept.bytes += entry.size();
        self.bytes += entry.size();
        kept.entries.push_back(entry);
        while kept.entries.len() > self.most || kept.bytes > limits::CHAT_HISTORY_BYTES {
            self.bytes -= kept.pop();
        }
        while self.bytes > limits::CHAT_HISTORY_TOTAL {
            let largest = self.rooms.iter_mut().max_by_key(|room| room.bytes)?;
            self.bytes -= largest.pop();
        }
        self.rooms.retain(|room| !room.entries.is_empty());
        // The default room is one more.
        if self.rooms.len() > limits::CHAT_ROOMS + 1 {
            let given_up = self.to_give_up(|other| Some(other) != room.as_ref())?;
            self.remove(Some(&given_up.clone()));
        }
        self.rooms[self.index_of(room.as_ref())?].entries.back()
    }

    /// Adds a message, or forgets the messages of a room before such a mark. Returns the entry as it is to be kept elsewhere, too, if
    /// it is.
    pub fn apply(&mut self, entry: Earlier) -> Option<Earlier> {
        if !entry.is_forgotten() {
            return self.push(entry).cloned();
        }
        self.remove(entry.room.as_ref());
        Some(entry)
    }

    /// Returns the room to forget of those that `may` be: of the key with most of them the one in which nothing was said for the
    /// longest time.
    pub fn to_give_up(&self, may: impl Fn(&RoomName) -> bool) -> Option<&RoomName> {
        let rooms = || {
            let rooms = self.rooms.iter();
            rooms.filter_map(|kept| Some((kept.room.as_ref().filter(|room| may(room))?, kept)))
        };
        let mut counts = HashMap::new();
        for (_, kept) in rooms() {
            *counts.entry(kept.key()).or_insert(0_usize) += 1;
        }
        let first = |kept: &RoomHistory| {
            let last = kept.entries.back().map_or(0, |entry| entry.at);
            (Reverse(counts[kept.key()]), last)
        };
        rooms()
            .min_by_key(|(_, kept)| first(kept))
            .map(|found| found.0)
    }

    /// Returns the rooms whose oldest message is of the same key as that of a room.
    pub fn of_key_of(&self, room: &RoomName) -> impl Iterator<Item = &RoomName> {
        let key = self
            .index_of(Some(room))
            .map(|index| self.rooms[index].key());
        let rooms = self.rooms.iter();
        let of_key = rooms.filter(move |kept| Some(kept.key()) == key);
        of_key.filter_map(|kept| kept.room.as_ref())
    }

    /// Removes a message, the oldest of its room.
    pub fn pop(&mut self) -> Option<Earlier> {
        let room = self.rooms.first_mut()?;
        let oldest = room.entries.pop_front()?;
        room.bytes -= oldest.size();
        self.bytes -= oldest.size();
        if room.entries.is_empty() {
            self.rooms.remove(0);
        }
        Some(oldest)
    }

    /// True if it has no messages.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }

    /// Forgets the messages of a room.
    pub fn remove(&mut self, room: Option<&RoomName>) {
        if let Some(index) = self.index_of(room) {
            self.bytes -= self.rooms.swap_remove(index).bytes;
        }
    }

    /// Returns the rooms that have messages, with the time of the last one.
    pub fn rooms(&self) -> impl Iterator<Item = (Option<&RoomName>, u64)> {
        let last = |room: &RoomHistory| room.entries.back().map_or(0, |entry| entry.at);
        self.rooms
            .iter()
            .map(move |room| (room.room.as_ref(), last(room)))
    }

    /// Returns the last `count` messages of a room, oldest first.
    pub fn last(&self, room: Option<&RoomName>, count: usize) -> impl Iterator<Item = &Earlier> {
        let kept = self.index_of(room).map(|index| &self.rooms[index].entries);
        kept.into_iter()
            .flat_map(move |entries| entries.iter().skip(entries.len().saturating_sub(count)))
    }

    /// Returns true if a controller has said a message before: it is kept, or only later ones of its membership are.
    #[must_use]
    pub fn has(&self, room: Option<&RoomName>, id: MessageId) -> bool {
        let of_member = self
            .last(room, usize::MAX)
            .filter_map(|entry| entry.id.filter(|kept| kept.member == id.member));
        let mut numbers = of_member.map(|kept| kept.number).peekable();
        let is_behind_all = numbers.peek().is_some_and(|oldest| id.number < *oldest);
        is_behind_all || numbers.any(|number| number == id.number)
    }

    /// Returns all messages, those of a room oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Earlier> {
        self.rooms.iter().flat_map(|room| &room.entries)
    }

    fn index_of(&self, room: Option<&RoomName>) -> Option<usize> {
        self.rooms
            .iter()
            .position(|kept| kept.room.as_ref() == room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(history: &History, room: Option<&RoomName>, count: usize) -> Vec<String> {
        let last = history.last(room, count);
        last.map(|entry| entry.text.clone()).collect()
    }

    #[test]
    fn a_history_keeps_the_last_messages_within_its_bounds() {
        let mut history = History::new(3);
        for number in 0..10 {
            history.push(Earlier::new(number, None, "ann", &number.to_string()));
        }
        assert_eq!(texts(&history, None, 9), ["7", "8", "9"]);
        assert_eq!(texts(&history, None, 2), ["8", "9"]);
        assert_eq!(texts(&history, None, 0), [""; 0]);

        let mut history = History::new(limits::MAX_CHAT_HISTORY);
        for number in 0..200 {
            let (from, text) = ("n".repeat(1000), "\u{e9}".repeat(8000));
            history.push(Earlier::new(number, None, &from, &text));
            assert!(history.bytes <= limits::CHAT_HISTORY_BYTES);
        }
        let last = history.last(None, 1).next().unwrap();
        assert!(last.from.len() <= MEMBER_NAME);
        assert!(last.text.len() <= limits::CHAT_HISTORY_TEXT, "{last:?}");
        let (said, missing) = last.text.rsplit_once(" [+").unwrap();
        assert_eq!(missing, format!("{} bytes]", 16_000 - said.len()));
        assert!(history.iter().count() > 10);
    }

    #[test]
    fn many_rooms_share_the_bytes_of_the_history_and_a_small_one_keeps_its_messages() {
        let room = |number: usize| Some(format!("room{number}").parse().unwrap());
        let mut history = History::new(limits::MAX_CHAT_HISTORY);
        history.push(Earlier::new(0, None, "ann", "hello"));
        for number in 0..2000 {
            let entry = Earlier::new(1, room(number % 40), "bob", &"x".repeat(4000));
            assert_eq!(history.push(entry.clone()), Some(&entry));
            assert!(history.bytes <= limits::CHAT_HISTORY_TOTAL);
            let sizes = history.iter().map(Earlier::size);
            assert_eq!(sizes.sum::<usize>(), history.bytes);
        }
        assert_eq!(texts(&history, None, 9), ["hello"]);
        assert_eq!(history.rooms().count(), 41);
        history.remove(room(7).as_ref());
        assert_eq!(texts(&history, room(7).as_ref(), 9), [""; 0]);
        while history.pop().is_some() {}
        assert_eq!((history.bytes, history.rooms().count()), (0, 0));
    }

    #[test]
    fn a_new_room_beyond_the_bound_pushes_out_the_one_with_the_oldest_last_message() {
        let room = |number: u64| Some(format!("room{number}").parse().unwrap());
        let mut history = History::new(10);
        history.push(Earlier::new(0, None, "ann", "default"));
        let rooms = limits::CHAT_ROOMS as u64;
        for number in 0..rooms {
            history.push(Earlier::new(number, room(number), "ann", "x"));
        }
        // Something new in the oldest one.
        history.push(Earlier::new(rooms, room(0), "ann", "new"));
        history.push(Earlier::new(rooms + 1, room(rooms), "ann", "x"));
        assert_eq!(history.rooms().count(), limits::CHAT_ROOMS + 1);
        assert_eq!(texts(&history, None, 9), ["default"]);
        assert_eq!(texts(&history, room(0).as_ref(), 9), ["x", "new"]);
        assert_eq!(texts(&history, room(1).as_ref(), 9), [""; 0]);
        let sizes = history.iter().map(Earlier::size);
        assert_eq!(sizes.sum::<usize>(), history.bytes);
    }

    #[test]
    fn a_message_with_an_id_is_known_even_when_only_later_ones_are_kept() {
        let [member, other] = [1, 2].map(|id| RequestId([id; 16]));
        let mut history = History::new(3);
        for number in [0, 1, 2, 4, 5] {
            history.push(Earlier {
                id: Some(MessageId { member, number }),
                ..Earlier::new(0, None, "ann", "x")
            });
        }
        let known = |member, number| history.has(None, MessageId { member, number });
        let numbers: Vec<_> = (0..8).filter(|&number| known(member, number)).collect();
        assert_eq!(numbers, [0, 1, 2, 4, 5]);
        assert!(!known(other, 0));
        assert!(!history.has(
            "room".parse().ok().as_ref(),
            MessageId { member, number: 0 }
        ));
    }

    #[test]
    fn a_history_of_no_messages_keeps_none() {
        let mut history = History::new(0);
        let entry = Earlier::new(0, None, "ann", "hello");
        assert_eq!(history.push(entry), None);
        assert_eq!(history.iter().count(), 0);
    }
}
