//! Members that join, leave, and join again after a lost session.
//!
//! Not their names, nor their rooms. Invariant: the other members of the room hear of both, once for a membership that is
//! continued.

use bytes::Bytes;

use super::line::Line;
use super::member::{Member, Wishes};
use super::{Chat, name, unsupported};
use crate::agent::limits;
use crate::agent::outbox::{CallRef, Outbox};
use crate::crypto::PublicKey;
use crate::message::Reply;
use crate::time::Instant;
use crate::wire::Lane;

impl Chat {
    /// Notes that the controller has ended a call, or that its session is over. If the session
    /// still exists, the last reply is sent.
    pub fn on_gone(&mut self, _now: Instant, call: CallRef, outbox: &mut Outbox) {
        let Some(index) = self.index_of(call) else {
            return;
        };
        outbox.write(call, Lane::Control, Bytes::new(), true);
        self.remove(index, outbox);
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
        let continued = self.take_over(key, &wishes, outbox);
        let room = wishes.room.clone();
        let of_key = self.members.iter().filter(|member| member.key == key);
        if of_key.count() >= limits::CHAT_MEMBERS_PER_KEY {
            outbox.last_reply(call, &unsupported("this key is in the chat too many times"));
            return false;
        }
        if self.members.len() >= limits::CHAT_MEMBERS {
            outbox.last_reply(call, &unsupported("the chat is full"));
            return false;
        }
        if let Some(room) = &room
            && let Err(reason) = self.enter(now, key, room)
        {
            outbox.last_reply(call, &Reply::Unsupported { reason });
            return false;
        }
        let present = self.members.iter().filter(|member| member.room == room);
        let present: Vec<_> = present.map(|member| member.name.clone()).collect();
        let is_continued = continued.is_some();
        let name = continued.unwrap_or_else(|| {
            name::choose(known, wishes.name, &self.name, |name| {
                present.iter().any(|present| present == name)
            })
        });
        let joined = Reply::Joined {
            name: name.clone(),
            members: present,
            room: room.clone(),
            position: self.history.last_position(room.as_ref()),
        };
        let member = Member::new(call, key, name.clone(), wishes);
        self.members.push(member);
        self.send_vital(call, &joined, outbox);
        if is_continued {
            return true;
        }
        let came = Reply::Came {
            name: name.clone(),
            room: room.clone(),
        };
        self.broadcast(room.as_ref(), Some(call), &came, outbox);
        self.show(Line::Came { name, room });
        true
    }

    /// Removes the member whose session was lost for its controller, and whose membership it continues. Returns its name.
    fn take_over(
        &mut self,
        key: PublicKey,
        wishes: &Wishes<'_>,
        outbox: &mut Outbox,
    ) -> Option<String> {
        let id = wishes.id?;
        let index = self.members.iter().position(|member| {
            member.key == key && member.id == Some(id) && member.room == wishes.room
        })?;
        let member = self.members.remove(index);
        outbox.release(member.call);
        Some(member.name)
    }

    pub(super) fn remove(&mut self, index: usize, outbox: &mut Outbox) {
        let Member { name, room, .. } = self.members.remove(index);
        let left = Reply::Left {
            name: name.clone(),
            room: room.clone(),
        };
        self.broadcast(room.as_ref(), None, &left, outbox);
        self.show(Line::Left { name, room });
    }
}
