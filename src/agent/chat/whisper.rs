//! Private messages: from a member to one other member of its room, or to the agent's user.
//!
//! Not end-to-end encrypted: the agent reads them, as all messages. Invariant: nobody but the receiver gets one, not another
//! session of its key, no plain-text peer, no bot, not the history, the log and the audit.

use super::history::beginning;
use super::line::Line;
use super::member::Weight;
use super::{Chat, check_length};
use crate::agent::outbox::Outbox;
use crate::message::Reply;
use crate::message::limits::MEMBER_NAME;

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
        if to == self.name {
            self.show(Line::Whispered { from, text, room });
            return Ok(1);
        }
        let mut members = self.members.iter();
        let is_meant = members.position(|member| member.room == room && member.name == to);
        let Some(receiver) = is_meant else {
            let to = beginning(to, MEMBER_NAME);
            return Err(format!("nobody here is named {to}"));
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
        let _ = receiver.send(Weight::News, &whispered, outbox);
        Ok(1)
    }

    /// Passes a private message of the agent's user on to the members of a name: one, or one in each of several rooms, all of
    /// the same key. Returns their number.
    ///
    /// # Errors
    /// Reason why nobody gets it.
    pub fn on_typed_private(
        &mut self,
        to: &str,
        text: &str,
        outbox: &mut Outbox,
    ) -> Result<u32, String> {
        check_length(text)?;
        let mut receivers = 0;
        let mut refusal = format!("nobody here is named {}", beginning(to, MEMBER_NAME));
        for receiver in &mut self.members {
            if receiver.name != to {
                continue;
            }
            if !receiver.whispers {
                refusal = does_not_show(to);
                continue;
            }
            let whispered = Reply::Whispered {
                from: self.name.clone(),
                text: text.to_owned(),
                room: receiver.room.clone(),
            };
            let _ = receiver.send(Weight::News, &whispered, outbox);
            receivers += 1;
        }
        if receivers == 0 {
            return Err(refusal);
        }
        Ok(receivers)
    }
}

fn does_not_show(to: &str) -> String {
    format!("the program of {to} does not show private messages")
}
