//! End of a chat from this side: at once, or when everything is delivered.
//!
//! Invariant: the end of the call is sent once, after the last message has its receipt.

use super::{Action, ChatClient, End, Intent, Purpose, State};

impl ChatClient {
    /// Reports [`Action::Drained`] when everything is delivered. Until [`leave`](Self::leave) messages of others still
    /// arrive.
    pub fn drain(&mut self) {
        if self.intent == Intent::Stay {
            self.intent = Intent::Drain;
            self.watch();
            self.leave_if_done();
        }
    }

    /// Leaves when everything is delivered.
    pub fn leave(&mut self) {
        if matches!(self.intent, Intent::Stay | Intent::Drain) {
            self.intent = Intent::LeaveDelivered;
            self.watch();
            self.leave_if_done();
        }
    }

    /// Leaves at once, without receipts for the messages in flight.
    pub fn leave_now(&mut self) {
        self.end(End::Left);
    }

    /// Leaves, or reports that everything is delivered, if that is intended and so.
    pub(super) fn leave_if_done(&mut self) {
        let is_awaited = self.intent == Intent::Drain && !self.unacknowledged.is_empty();
        if self.rejoins.is_some() && self.state == State::Contacting {
            // This attempt takes the contact timeout at most.
            if is_awaited {
                return;
            }
            // No session to end. Messages without a receipt are in `undelivered`.
            self.end(End::Left);
        } else if self.intent == Intent::Drain && self.joined && self.unacknowledged.is_empty() {
            self.intent = Intent::Stay;
            self.watch();
            self.actions.push_back(Action::Drained);
        } else if self.intent == Intent::LeaveDelivered && self.unacknowledged.is_empty() {
            self.intent = Intent::Left;
            if matches!(self.purpose, Purpose::Send { .. }) {
                // The agent has ended the call with the receipt.
                self.end(End::Left);
            } else if self.state == State::Connected {
                self.write_fin();
            }
        }
    }
}
