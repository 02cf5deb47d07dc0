//! A message of a chat that has no receipt, and its author.
//!
//! Invariant: it is sent again, after the loss of a session, as it was sent first.

use crate::message::Request;

/// Author of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Author {
    /// A person, or a program that writes on its own account.
    User,
    /// A bot, whose messages no bot answers.
    Bot,
}

/// A message without a receipt.
#[derive(Clone, Debug)]
pub(super) struct Unacknowledged {
    pub(super) number: u64,
    pub(super) text: String,
    pub(super) author: Author,
}

impl Unacknowledged {
    /// Returns the request that sends it.
    pub(super) fn to_request(&self) -> Request {
        Request::Say {
            number: self.number,
            text: self.text.clone(),
            room: None,
            bot: self.author == Author::Bot,
        }
    }
}
