//! Messages that wait for the command of a bot.
//!
//! Not the decision which of them may run. Invariants: no room has more than [`limits::WAITING`] of them, and all rooms together
//! no more than [`limits::WAITING_IN_ALL`]; one is left out only if its room or all rooms are full, and then of the room
//! and the key with most of them; rooms take turns, and in each room keys do.

use std::collections::VecDeque;

use super::limits;
use crate::message::RoomName;

/// Message for the command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Room that it was said in, and that the answer goes to; `None` is the default room.
    pub room: Option<RoomName>,
    /// Line of JSON.
    pub json: Vec<u8>,
}

/// Messages that wait, by room in the order of their turns.
#[derive(Default, Debug)]
pub(super) struct Waiting {
    rooms: VecDeque<RoomQueue>,
    count: usize,
}

/// Messages of a room, by the names of their keys in the order of their turns. No queue is empty.
#[derive(Debug)]
struct RoomQueue {
    room: Option<RoomName>,
    keys: VecDeque<(String, VecDeque<Vec<u8>>)>,
    count: usize,
}

/// The next message to run.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Next {
    pub(super) room: Option<RoomName>,
    pub(super) key: String,
    pub(super) json: Vec<u8>,
}

impl Waiting {
    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// Adds a message. Returns false if one is left out: this one or another.
    pub(super) fn push(&mut self, key: &str, Message { room, json }: Message) -> bool {
        let own = self.rooms.iter().position(|queue| queue.room == room);
        let of_room = own.map_or(0, |own| self.rooms[own].count);
        let room_is_full = of_room >= limits::WAITING;
        let is_full = room_is_full || self.count >= limits::WAITING_IN_ALL;
        if is_full {
            let has_place = !room_is_full && self.drop_of_fullest(of_room)
                || own.is_some_and(|own| self.rooms[own].drop_of_other(key));
            if !has_place {
                return false;
            }
            self.count -= 1;
        }
        self.count += 1;
        if let Some(own) = own {
            self.rooms[own].push(key, json);
        } else {
            let mut queue = RoomQueue {
                room,
                keys: VecDeque::new(),
                count: 0,
            };
            queue.push(key, json);
            self.rooms.push_back(queue);
        }
        !is_full
    }

    /// Drops a message of the room with most of them. Returns false if a room with `count` would have more afterwards.
    fn drop_of_fullest(&mut self, count: usize) -> bool {
        let fullest = self.rooms.iter_mut().max_by_key(|queue| queue.count);
        match fullest {
            // It keeps at least one.
            Some(queue) if queue.count > count + 1 => queue.drop_newest(),
            _ => return false,
        }
        true
    }

    /// Takes the first message in turn that `may_run`, given its room and its key.
    pub(super) fn pop(
        &mut self,
        may_run: impl Fn(Option<&RoomName>, &str) -> bool,
    ) -> Option<Next> {
        let mut found = None;
        for (at, queue) in self.rooms.iter().enumerate() {
            let mut keys = queue.keys.iter();
            if let Some(key) = keys.position(|(key, _)| may_run(queue.room.as_ref(), key)) {
                found = Some((at, key));
                break;
            }
        }
        let (at, key) = found?;
        let mut queue = self.rooms.remove(at)?;
        let (key, json) = queue.pop(key)?;
        self.count -= 1;
        let room = queue.room.clone();
        if queue.count > 0 {
            self.rooms.push_back(queue);
        }
        Some(Next { room, key, json })
    }
}

impl RoomQueue {
    fn push(&mut self, key: &str, json: Vec<u8>) {
        self.count += 1;
        match self.keys.iter_mut().find(|(name, _)| name == key) {
            Some((_, queue)) => queue.push_back(json),
            None => self.keys.push_back((key.to_owned(), [json].into())),
        }
    }

    fn pop(&mut self, at: usize) -> Option<(String, Vec<u8>)> {
        let (key, mut queue) = self.keys.remove(at)?;
        let json = queue.pop_front()?;
        self.count -= 1;
        if !queue.is_empty() {
            self.keys.push_back((key.clone(), queue));
        }
        Some((key, json))
    }

    /// Drops the newest message of the key that has most. Returns false if that is `key`, or if `key` would have more afterwards.
    fn drop_of_other(&mut self, key: &str) -> bool {
        let own = self.keys.iter().find(|(name, _)| name == key);
        let of_own = own.map_or(0, |(_, queue)| queue.len());
        let most = self.keys.iter().map(|(_, queue)| queue.len()).max();
        let gives_way = most.is_some_and(|most| most > of_own + 1);
        if gives_way {
            self.drop_newest();
        }
        gives_way
    }

    /// Drops the newest message of the key that has most.
    fn drop_newest(&mut self) {
        let lengths = self.keys.iter().map(|(_, queue)| queue.len()).enumerate();
        let Some((at, length)) = lengths.max_by_key(|(_, length)| *length) else {
            return;
        };
        if length > 1 {
            self.keys[at].1.pop_back();
        } else {
            self.keys.remove(at);
        }
        self.count -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::key_of_member;

    fn push(waiting: &mut Waiting, room: Option<&str>, key: &str, json: &str) -> bool {
        let room = room.map(|room| room.parse().unwrap());
        let json = json.as_bytes().to_vec();
        waiting.push(key_of_member(key), Message { room, json })
    }

    fn pop(waiting: &mut Waiting) -> Option<String> {
        waiting.pop(|_, _| true).map(text)
    }

    fn text(next: Next) -> String {
        String::from_utf8(next.json).unwrap()
    }

    #[test]
    fn keys_take_turns_at_a_bot_and_none_keeps_the_messages_of_another_from_it() {
        let mut waiting = Waiting::default();
        let mut left_out = 0;
        let mut push = |key: &str, json: &str| {
            left_out += usize::from(!push(&mut waiting, None, key, json));
        };
        for number in 0..100 {
            let member = ["ann", "ann#2", "bob(ann)", "(ann)"][number % 4];
            push(member, &format!("ann{number}"));
        }
        for number in 0..100 {
            push("cy", &format!("cy{number}"));
        }
        push("dan", "dan0");
        assert_eq!(left_out, 201 - limits::WAITING);
        let all: Vec<_> = std::iter::from_fn(|| pop(&mut waiting)).collect();
        assert_eq!(all.len(), limits::WAITING);
        assert!(waiting.is_empty());
        assert_eq!(all[..5], ["ann0", "cy0", "dan0", "ann1", "cy1"]);
        let of = |key: &str| all.iter().filter(|one| one.starts_with(key)).count();
        assert_eq!(of("ann").abs_diff(of("cy")), 1, "{all:?}");
    }

    #[test]
    fn rooms_take_turns_at_a_bot_and_a_busy_one_does_not_delay_another() {
        let mut waiting = Waiting::default();
        for number in 0..3 {
            push(
                &mut waiting,
                Some("busy"),
                &format!("key{number}"),
                &format!("busy{number}"),
            );
        }
        push(&mut waiting, None, "ann", "hall0");
        push(&mut waiting, Some("quiet"), "ann", "quiet0");
        let is_quiet = |room: Option<&RoomName>| room.is_some_and(|room| room.as_str() == "quiet");
        // A room that may not run keeps its turn.
        let next = waiting.pop(|room, _| is_quiet(room));
        assert_eq!(next.map(text).as_deref(), Some("quiet0"));
        let next = waiting.pop(|_, key| key != "key0");
        assert_eq!(next.map(text).as_deref(), Some("busy1"));
        let all: Vec<_> = std::iter::from_fn(|| pop(&mut waiting)).collect();
        assert_eq!(all, ["hall0", "busy0", "busy2"]);
    }

    #[test]
    fn the_messages_of_all_rooms_are_bounded_and_the_fullest_room_gives_way() {
        let mut waiting = Waiting::default();
        let full = limits::WAITING_IN_ALL / limits::WAITING;
        let mut left_out = 0;
        for room in 0..full {
            for number in 0..limits::WAITING {
                let room = format!("room{room}");
                let all = push(&mut waiting, Some(&room), "ann", &number.to_string());
                left_out += usize::from(!all);
            }
        }
        assert_eq!((left_out, waiting.count), (0, limits::WAITING_IN_ALL));
        // Each new message displaces one, until the room has as many as the others have left.
        for number in 0..limits::WAITING {
            let key = format!("key{number}");
            assert!(!push(&mut waiting, Some("late"), &key, "late"));
            assert_eq!(waiting.count, limits::WAITING_IN_ALL);
        }
        let counts: Vec<_> = waiting.rooms.iter().map(|queue| queue.count).collect();
        assert_eq!(counts.iter().sum::<usize>(), limits::WAITING_IN_ALL);
        let (least, most) = (counts.iter().min(), counts.iter().max());
        assert!(most.unwrap() - least.unwrap() <= 1, "{counts:?}");
        for queue in &waiting.rooms {
            let lengths = queue.keys.iter().map(|(_, queue)| queue.len());
            assert_eq!(lengths.sum::<usize>(), queue.count);
            assert!(queue.keys.iter().all(|(_, queue)| !queue.is_empty()));
        }
    }
}
