//! Private messages: from a member to one other member of its room, or to the agent's user.
//!
//! Not end-to-end encrypted: the agent reads them, as all messages. Invariants: nobody but the receiver gets one, not another
//! session of its key, no plain-text peer, no bot, not the history, the log and the audit; one to the agent's user is shown only
//! while the user is at its terminal, as output without a user may go to a journal.

use super::history::beginning;
use super::line::Line;
use super::member::{Member, Weight};
use super::{Chat, check_length};
use crate::agent::outbox::Outbox;
use crate::message::limits::MEMBER_NAME;
use crate::message::{Reply, RoomName};

impl Chat {
    /// Passes a private message of a member on. Returns the number of receivers, which is 1.
    ///
    /// # Errors
    /// Reason why nobody gets it.
    pub(super) fn whisper(
        &mut self,
        sender: usize,
        to: &str,
        text: String,
        outbox: &mut Outbox,
    ) -> Result<u32, String> {
        check_length(&text)?;
        let (from, room) = (
            self.members[sender].name.clone(),
            self.members[sender].room.clone(),
        );
        if self.is_user_here && to == self.name {
            self.show(Line::Whispered { from, text, room });
            return Ok(1);
        }
        let mut members = self.members.iter();
        let is_meant = members.position(|member| member.room == room && member.name == to);
        let Some(receiver) = is_meant else {
            return Err(self.nobody(room.as_ref(), to));
        };
        if receiver == sender {
            return Err(format!("{to} is your own name"));
        }
        let receiver = &mut self.members[receiver];
        if !receiver.whispers {
            return Err(does_not_show(to));
        }
        let whispered = Reply::Whispered { from, text, room };
        // A message can always be dropped to make space, so that nobody can make another member too slow.
        let _ = receiver.send(Weight::Private, &whispered, outbox);
        Ok(1)
    }

    /// Passes a private message of the agent's user on to the member of a name, in a room or else in the only one where there
    /// is one.
    ///
    /// # Errors
    /// Reason why nobody gets it.
    pub fn on_typed_private(
        &mut self,
        (room, to): (Option<&str>, &str),
        text: &str,
        outbox: &mut Outbox,
    ) -> Result<(), String> {
        check_length(text)?;
        let is_meant = |member: &Member| {
            let its_room = member.room.as_ref().map(RoomName::as_str);
            member.name == to && (room.is_none() || room == its_room)
        };
        let members = self.members.iter().enumerate();
        let mut meant = members.filter(|(_, member)| is_meant(member));
        let Some((index, _)) = meant.next() else {
            let is_in = |member: &&Member| {
                let its_room = member.room.as_ref().map(RoomName::as_str);
                room.is_none() || room == its_room
            };
            let there = self.members.iter().filter(is_in);
            return Err(refusal(to, there.map(|member| &member.name[..])));
        };
        if meant.next().is_some() {
            return Err(format!(
                "\"{to}\" is in several rooms; write the room before it, as /who does"
            ));
        }
        let receiver = &mut self.members[index];
        if !receiver.whispers {
            return Err(does_not_show(to));
        }
        let whispered = Reply::Whispered {
            from: self.name.clone(),
            text: text.to_owned(),
            room: receiver.room.clone(),
        };
        let _ = receiver.send(Weight::Private, &whispered, outbox);
        Ok(())
    }

    /// Returns the refusal of a name that no member of a room has, with the one that may be meant.
    fn nobody(&self, room: Option<&RoomName>, to: &str) -> String {
        let members = self.members.iter();
        let there = members.filter(|member| member.room.as_ref() == room);
        let names = there.map(|member| &member.name[..]);
        let user = self.is_user_here.then_some(&self.name[..]);
        refusal(to, names.chain(user))
    }
}

/// Returns the refusal of a name that is not among `names`, with the only one of them that differs from it in the case of
/// letters, or goes on with the name of a key or the number of a session. One name in several rooms counts once.
fn refusal<'a>(to: &str, names: impl Iterator<Item = &'a str>) -> String {
    let to = beginning(to, MEMBER_NAME);
    let wanted = to.to_lowercase();
    let is_near = |name: &&str| {
        let name = name.to_lowercase();
        let rest = name.strip_prefix(&wanted);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['(', '#']))
    };
    let mut near: Vec<_> = names.filter(is_near).collect();
    // The same letters are nearer than others.
    if near.iter().any(|name| name.starts_with(to)) {
        near.retain(|name| name.starts_with(to));
    }
    near.sort_unstable();
    near.dedup();
    match near[..] {
        [name] if !to.is_empty() => {
            format!("nobody here is named \"{to}\"; did you mean \"{name}\"?")
        }
        _ => format!("nobody here is named \"{to}\""),
    }
}

fn does_not_show(to: &str) -> String {
    format!("the program of \"{to}\" does not show private messages")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_nobody_has_is_answered_with_the_only_one_that_is_near() {
        let members = [
            "hall", "bob", "Zoe(ann)", "zed", "zed#2", "MAX", "max(ann)", "bob",
        ];
        let suggested = |to: &str| {
            let words = refusal(to, members.into_iter());
            let name = words.split_once("; did you mean ");
            name.map(|(_, name)| name.to_owned())
        };
        for (to, name) in [
            ("BOB", "\"bob\"?"),
            ("Hall", "\"hall\"?"),
            ("zoe", "\"Zoe(ann)\"?"),
            ("Zoe", "\"Zoe(ann)\"?"),
            ("ZOE(Ann)", "\"Zoe(ann)\"?"),
            ("max", "\"max(ann)\"?"),
        ] {
            assert_eq!(suggested(to).as_deref(), Some(name), "{to}");
        }
        for to in ["bo", "bobby", "", "ZED", "Max", "b\u{1b}"] {
            assert_eq!(suggested(to), None, "{to}");
        }
    }
}
