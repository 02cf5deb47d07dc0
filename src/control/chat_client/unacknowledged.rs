//! Messages of a chat that have no receipt, and their kinds.
//!
//! Invariant: one is sent again, after the loss of a session, as it was sent first; a private message is not sent again.

use std::borrow::Cow;

use super::{Action, ChatClient, End};
use crate::control::limits;
use crate::message::Request;

/// Kind of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Text of a person, or of a program that writes on its own account.
    Text,
    /// Answer of a bot, which no bot answers.
    Answer,
    /// Description of an action of the user.
    Action,
    /// Text for one member of the room, or for the agent's user.
    Private {
        /// Name of the receiver.
        to: String,
    },
}

impl Kind {
    /// Returns the line that a person types to send a text.
    #[must_use]
    pub fn typed<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self {
            Self::Text | Self::Answer => Cow::Borrowed(text),
            Self::Action => format!("/me {text}").into(),
            Self::Private { to } => format!("/msg {to} {text}").into(),
        }
    }
}

/// A message without a receipt.
#[derive(Clone, Debug)]
pub(super) struct Unacknowledged {
    pub(super) number: u64,
    pub(super) text: String,
    pub(super) kind: Kind,
}

impl Unacknowledged {
    /// Number of its bytes.
    pub(super) fn size(&self) -> usize {
        match &self.kind {
            Kind::Private { to } => to.len() + self.text.len(),
            Kind::Text | Kind::Answer | Kind::Action => self.text.len(),
        }
    }

    /// Returns the line that a person types to send it.
    pub(super) fn typed(&self) -> Cow<'_, str> {
        self.kind.typed(&self.text)
    }

    /// Returns the request that sends it.
    pub(super) fn to_request(&self) -> Request {
        match &self.kind {
            Kind::Private { to } => Request::Whisper {
                number: self.number,
                to: to.clone(),
                text: self.text.clone(),
            },
            Kind::Text | Kind::Answer | Kind::Action => Request::Say {
                number: self.number,
                text: self.text.clone(),
                room: None,
                bot: self.kind == Kind::Answer,
                action: self.kind == Kind::Action,
            },
        }
    }
}

impl ChatClient {
    /// Returns true if one more message may be in flight.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.unacknowledged_bytes < limits::CHAT_BYTES
            && self.unacknowledged.len() < limits::CHAT_MESSAGES
    }

    /// Returns the messages without a receipt as a person types them, oldest first.
    pub fn undelivered(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.unacknowledged.iter().map(Unacknowledged::typed)
    }

    /// Returns a message without a receipt as a person types it.
    #[must_use]
    pub fn typed_of(&self, number: u64) -> Option<Cow<'_, str>> {
        let mut all = self.unacknowledged.iter();
        let message = all.find(|message| message.number == number);
        message.map(Unacknowledged::typed)
    }

    /// Returns the number of the oldest message without a receipt.
    #[must_use]
    pub fn oldest(&self) -> Option<u64> {
        self.unacknowledged.front().map(|message| message.number)
    }

    /// Handles a refusal. Replies come in order, so in a chat it concerns the oldest message.
    pub(super) fn on_message_refused(&mut self, reason: String) {
        let oldest = self.unacknowledged.front().filter(|_| self.joined);
        let Some(number) = oldest.map(|message| message.number) else {
            return self.end(End::Refused(reason));
        };
        // An agent that does not know the request answers as to any other unknown one.
        let reason = if reason.starts_with("unknown variant `whisper`") {
            "the agent is too old for private messages".into()
        } else {
            reason
        };
        self.refuse(number, reason);
        self.leave_if_done();
    }

    /// Reports a message that is not delivered.
    pub(super) fn refuse(&mut self, number: u64, reason: String) {
        if let Some(message) = self.forget(number) {
            let text = message.typed().into_owned();
            self.actions.push_back(Action::Refused {
                number,
                text,
                reason,
            });
        }
    }

    pub(super) fn remember(&mut self, text: String, kind: Kind) -> u64 {
        let number = self.next;
        self.next += 1;
        let message = Unacknowledged { number, text, kind };
        self.unacknowledged_bytes += message.size();
        self.unacknowledged.push_back(message);
        if self.unacknowledged.len() == 1 {
            self.watch_receipts();
        }
        number
    }

    /// Removes a message from those without a receipt.
    pub(super) fn forget(&mut self, number: u64) -> Option<Unacknowledged> {
        let mut all = self.unacknowledged.iter();
        let index = all.position(|message| message.number == number)?;
        let message = self.unacknowledged.remove(index)?;
        self.unacknowledged_bytes -= message.size();
        if self.unacknowledged.is_empty() {
            self.watch_receipts();
        }
        Some(message)
    }
}
