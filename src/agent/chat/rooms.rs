//! The rooms of a chat.
//!
//! There is no table of them: a room other than the default room exists while it has a member or a history. Invariants: no
//! two rooms have names that look alike; there are at most [`limits::CHAT_ROOMS`], a key is in at most
//! [`limits::CHAT_ROOMS_PER_KEY`], and has begun at most as many that have only a history.

use std::collections::BTreeSet;

use super::{Chat, Earlier};
use crate::agent::access::look_alike;
use crate::agent::limits;
use crate::crypto::PublicKey;
use crate::message::RoomName;
use crate::time::Instant;

impl Chat {
    /// Returns the rooms and names of all members.
    pub fn members(&self) -> impl Iterator<Item = (Option<&RoomName>, &str)> {
        let members = self.members.iter();
        members.map(|member| (member.room.as_ref(), &member.name[..]))
    }

    /// Checks that a room exists.
    pub(super) fn check_exists(&self, room: Option<&RoomName>) -> Result<(), String> {
        match room {
            Some(name) if !self.rooms().contains(name) => Err(format!("there is no room {name}")),
            Some(_) | None => Ok(()),
        }
    }

    /// Checks that a key may enter a room, and makes place for it if it is new.
    pub(super) fn enter(
        &mut self,
        now: Instant,
        key: PublicKey,
        room: &RoomName,
    ) -> Result<(), String> {
        let of_key = self.members.iter().filter(|member| member.key == key);
        let of_key: BTreeSet<_> = of_key.filter_map(|member| member.room.as_ref()).collect();
        if !of_key.contains(room) && of_key.len() >= limits::CHAT_ROOMS_PER_KEY {
            return Err("this key is in too many rooms".into());
        }
        let rooms = self.rooms();
        if rooms.contains(room) {
            return Ok(());
        }
        let like = |other: &&&RoomName| look_alike(other.as_str(), room.as_str());
        if let Some(other) = rooms.iter().find(like) {
            return Err(format!("there is a room {other}, whose name looks alike"));
        }
        if rooms.len() < limits::CHAT_ROOMS {
            return Ok(());
        }
        let occupied = self.occupied().cloned().collect();
        if self.history.give_up_room(now, &occupied) {
            Ok(())
        } else {
            Err("there are too many rooms".into())
        }
    }

    /// Keeps a message of a member. Returns its position, if it is kept.
    pub(super) fn keep(&mut self, now: Instant, said: Earlier) -> Option<u64> {
        let room = said.room.clone();
        let position = self.history.add(now, said);
        if let Some(room) = &room {
            let occupied = self.occupied().cloned().collect();
            self.history.bound_rooms(now, room, &occupied);
        }
        position
    }

    fn rooms(&self) -> BTreeSet<&RoomName> {
        let with_history = self.history.rooms().filter_map(|(room, _)| room);
        self.occupied().chain(with_history).collect()
    }

    /// Rooms of the members.
    fn occupied(&self) -> impl Iterator<Item = &RoomName> {
        self.members
            .iter()
            .filter_map(|member| member.room.as_ref())
    }
}
