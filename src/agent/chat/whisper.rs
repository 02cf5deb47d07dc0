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
            return Err(format!(
                "the program of {to} does not show private messages"
            ));
        }
        let whispered = Reply::Whispered { from, text, room };
        // A message can always be dropped to make space, so that nobody can make another member too slow.
        let _ = receiver.send(Weight::News, &whispered, outbox);
        Ok(1)
    }
}
