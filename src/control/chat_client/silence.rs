//! Silence of a chat's agent: after which time it is reported, and how soon the agent is asked for an answer.
//!
//! Not what follows from it. Invariant: nothing is asked of an agent before it has answered.

use std::time::Duration;

use super::{ChatClient, Intent, State};
use crate::control::limits;
use crate::session::Command;

impl ChatClient {
    /// Has silence reported; sooner while the user waits for a receipt.
    pub(super) fn watch(&mut self) {
        if self.state != State::Connected {
            return;
        }
        let (silence, ping) = self.vigilance();
        self.command(Command::Watch {
            session: self.session(),
            silence,
            ping,
        });
    }

    /// Returns the silence to report, and the time without an answer after which the agent is asked for one.
    pub(super) fn vigilance(&self) -> (Duration, Option<Duration>) {
        let contact = self.contact.contact_timeout();
        match self.intent {
            Intent::Stay if self.is_attended => {
                (limits::ATTENDED_SILENCE, Some(limits::ATTENDED_PING))
            }
            Intent::Stay if self.unacknowledged.is_empty() => (limits::CHAT_SILENCE, None),
            Intent::Stay | Intent::Drain | Intent::LeaveDelivered | Intent::Left => {
                (contact, Some(contact / 4))
            }
        }
    }

    /// Has silence reported as soon as it now should be: a program begins or ends to wait for receipts.
    pub(super) fn watch_receipts(&mut self) {
        if !self.is_attended && self.intent == Intent::Stay {
            self.watch();
        }
    }
}
