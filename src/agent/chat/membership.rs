//! Members that join, leave, and join again after a lost session.
//!
//! Not their names, nor their rooms. Invariant: the other members of the room hear of both, once for a membership that is
//! continued. The agent's user comes to all rooms and leaves them at once.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::line::Line;
use super::member::{Member, Weight, Wishes};
use super::{Chat, name};
use crate::agent::limits;
use crate::agent::outbox::{CallRef, Outbox};
use crate::crypto::PublicKey;
use crate::message::{Reply, RoomName};
use crate::time::Instant;
use crate::wire::Lane;

impl Chat {
    /// Notes that the agent's user is at its terminal.
    pub fn on_user_came(&mut self, outbox: &mut Outbox) {
        if !std::mem::replace(&mut self.is_user_here, true) {
            self.announce_user(|name, room| Reply::Came { name, room }, outbox);
        }
    }

    /// Notes that the agent's user has left its terminal.
    pub fn on_user_left(&mut self, outbox: &mut Outbox) {
        if std::mem::take(&mut self.is_user_here) {
            self.announce_user(|name, room| Reply::Left { name, room }, outbox);
        }
    }

    /// Sends news about the agent's user to the members of all rooms.
    fn announce_user(&mut self, news: fn(String, Option<RoomName>) -> Reply, outbox: &mut Outbox) {
        let rooms = self.members.iter().map(|member| member.room.clone());
        for room in rooms.collect::<BTreeSet<_>>() {
            let reply = news(self.name.clone(), room.clone());
            self.broadcast(room.as_ref(), None, &reply, outbox);
        }
    }

    /// Notes that the controller has ended a call, or that its session is over. If the session
    /// still exists, the last reply is sent.
    pub fn on_gone(&mut self, _now: Instant, call: CallRef, outbox: &mut Outbox) {
        let Some(index) = self.index_of(call) else {
            return;
        };
        outbox.write(call, Lane::Control, Bytes::new(), true);
        self.remove(index, outbox);
    }

    /// Ends the calls of all members behind the last message, because the agent ends.
    pub fn end(&mut self, outbox: &mut Outbox) {
        for member in std::mem::take(&mut self.members) {
            let (name, room) = (member.name.clone(), member.room.clone());
            member.end(outbox);
            self.announce_left(name, room, outbox);
        }
    }

    /// Adds a member. Returns false if it was refused.
    pub(super) fn join(
        &mut self,
        now: Instant,
        call: CallRef,
        (key, known): (PublicKey, &str),
        wishes: Wishes<'_>,
        outbox: &mut Outbox,
    ) -> bool {
        let before = self.take_over(key, &wishes, outbox);
        let room = wishes.room.clone();
        if let Err(reason) = self.admit(now, key, room.as_ref()) {
            if let Some(before) = before {
                self.announce_left(before.name, before.room, outbox);
            }
            outbox.last_reply(call, &Reply::Unsupported { reason });
            return false;
        }
        let present = self.members.iter().filter(|member| member.room == room);
        let present: Vec<_> = present.map(|member| member.name.clone()).collect();
        let choose =
            |taken: &dyn Fn(&str) -> bool| name::choose(known, wishes.name, &self.name, taken);
        // The key may have another name now.
        let base = choose(&|_| false);
        let is_own = |name: &str| name.split('#').next() == Some(&base[..]);
        let continued = before.as_ref().map(|before| before.name.clone());
        let name = continued
            .filter(|name| is_own(name))
            .unwrap_or_else(|| choose(&|name| present.iter().any(|present| present == name)));
        let user = self.is_user_here.then(|| self.name.clone());
        let joined = Reply::Joined {
            name: name.clone(),
            members: user.into_iter().chain(present).collect(),
            room: room.clone(),
            position: self.history.is_kept().then(|| {
                let last = self.history.last_position(room.as_ref());
                last.unwrap_or(0)
            }),
        };
        let mut member = Member::new(call, key, name.clone(), wishes);
        // A receiver of one line is not too slow for it.
        let _ = member.send(Weight::Vital, &joined, outbox);
        let gone = before.as_ref().map(|before| before.name.clone());
        let is_continued = gone.as_ref() == Some(&name);
        if let Some(before) = before {
            before.hand_over(&mut member, outbox);
        }
        self.members.push(member);
        if is_continued {
            return true;
        }
        if let Some(gone) = gone {
            self.announce_left(gone, room.clone(), outbox);
        }
        let came = Reply::Came {
            name: name.clone(),
            room: room.clone(),
        };
        self.broadcast(room.as_ref(), Some(call), &came, outbox);
        self.show(Line::Came { name, room });
        true
    }

    /// Checks that there is room for another member of a key.
    fn admit(
        &mut self,
        now: Instant,
        key: PublicKey,
        room: Option<&RoomName>,
    ) -> Result<(), String> {
        let of_key = self.members.iter().filter(|member| member.key == key);
        if of_key.count() >= limits::CHAT_MEMBERS_PER_KEY {
            return Err("this key is in the chat too many times".into());
        }
        if self.members.len() >= limits::CHAT_MEMBERS {
            return Err("the chat is full".into());
        }
        room.map_or(Ok(()), |room| self.enter(now, key, room))
    }

    /// Removes the member whose session was lost for its controller, and whose membership it continues.
    fn take_over(
        &mut self,
        key: PublicKey,
        wishes: &Wishes<'_>,
        outbox: &mut Outbox,
    ) -> Option<Member> {
        let id = wishes.id?;
        let index = self.members.iter().position(|member| {
            member.key == key && member.id == Some(id) && member.room == wishes.room
        })?;
        let member = self.members.remove(index);
        outbox.release(member.call);
        Some(member)
    }

    pub(super) fn remove(&mut self, index: usize, outbox: &mut Outbox) {
        let Member { name, room, .. } = self.members.remove(index);
        self.announce_left(name, room, outbox);
    }

    fn announce_left(&mut self, name: String, room: Option<RoomName>, outbox: &mut Outbox) {
        let left = Reply::Left {
            name: name.clone(),
            room: room.clone(),
        };
        self.broadcast(room.as_ref(), None, &left, outbox);
        self.show(Line::Left { name, room });
    }
}
