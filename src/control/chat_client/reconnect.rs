//! Sessions of a chat: the next address, and joining again after a loss.

use std::time::Duration;

use bytes::Bytes;

use super::{Action, ChatClient, End, Intent, Kind, Purpose, State};
use crate::control::{contact, limits};
use crate::message::{CloseCode, Lines, Request};
use crate::net::Refusal;
use crate::session::Closed;

impl ChatClient {
    /// Returns words for an agent that has not answered yet, as
    /// [`Contact::waiting`](crate::control::contact::Contact::waiting).
    #[must_use]
    pub fn waiting(&self) -> Option<String> {
        self.contact.waiting()
    }

    /// Returns true once an agent has answered.
    #[must_use]
    pub const fn is_contacted(&self) -> bool {
        self.contact.is_contacted()
    }

    /// Handles a report that datagrams do not reach the agent; returns as
    /// [`Contact::on_refused`](crate::control::contact::Contact::on_refused).
    pub fn on_refused(&mut self, refusal: Refusal) -> Option<String> {
        self.contact.on_refused(refusal)
    }

    /// Handles the same report in a command over several hosts, as
    /// [`Contact::on_refused_among`](crate::control::contact::Contact::on_refused_among).
    pub fn on_refused_among(&mut self, refusal: Refusal) {
        self.contact.on_refused_among(refusal);
    }

    /// Opens the next session.
    pub(super) fn connect(&mut self) {
        self.lines = Lines::default();
        let connect = self.contact.connect(Bytes::new());
        self.command(connect);
    }

    /// Opens the call of a session that is established.
    pub(super) fn open(&mut self) {
        let first = match &self.purpose {
            Purpose::Chat {
                id,
                name,
                history,
                room,
            } => Request::Chat {
                name: name.clone(),
                room: room.clone(),
                whispers: true,
                id: Some(*id),
                // Who was a member wants all that was said meanwhile.
                history: match (self.rejoins, self.position) {
                    (None, _) => *history,
                    (Some(_), Some(_)) => u32::MAX,
                    // The agent keeps none.
                    (Some(_), None) => 0,
                },
                after: self.position.filter(|_| self.rejoins.is_some()),
            },
            Purpose::Send { room, text } => Request::Say {
                number: 0,
                room: room.clone(),
                text: text.clone(),
                bot: false,
                action: false,
            },
        };
        self.write(&first);
        if self.rejoins.is_some() {
            self.refuse_private();
        }
        // Messages that were written before.
        if matches!(self.purpose, Purpose::Chat { .. }) {
            let messages: Vec<_> = self.unacknowledged.iter().cloned().collect();
            for message in messages {
                self.write(&message.to_request());
            }
        }
        if self.intent == Intent::Left {
            self.write_fin();
        }
    }

    /// Reports the private messages without a receipt as not delivered: after joining again, a name with the number of a
    /// session may be that of another member.
    fn refuse_private(&mut self) {
        let private = self.unacknowledged.iter();
        let private = private.filter(|message| matches!(message.kind, Kind::Private { .. }));
        let numbers: Vec<_> = private.map(|message| message.number).collect();
        for number in numbers {
            let reason = "the connection was lost; a private message is not sent again";
            self.refuse(number, reason.into());
        }
    }

    pub(super) fn on_closed(&mut self, reason: Closed) {
        // A silent address takes its time, and is asked for as long as the user stays.
        let is_quick = !matches!(reason, Closed::Unreachable);
        if self.is_attended && is_shutdown(&reason) && self.may_rejoin() {
            return self.rejoin(is_quick);
        }
        if !self.contact.may_connect() {
            self.contact.reuse_handles();
        }
        match self.contact.on_closed(reason) {
            Ok(()) if !self.contact.is_contacted() => self.connect(),
            // After the end of the input, a silent address is not asked again.
            Ok(()) if self.may_rejoin() && (is_quick || self.intent == Intent::Stay) => {
                self.rejoin(is_quick);
            }
            Ok(()) => self.finish(End::Lost),
            Err(failure) => self.finish(End::of(failure)),
        }
    }

    /// Handles the end of the call. An agent that ends it first is about to end the session, because it is shut down.
    pub(super) fn on_fin(&mut self) {
        if self.intent == Intent::Left {
            self.end(End::Left);
        } else if self.is_attended && self.may_rejoin() {
            self.replace_session(true);
        } else {
            self.end(End::PutOut);
        }
    }

    /// Handles a silence. An agent that was about to end has answered and not taken this side as a member; another session
    /// finds the agent that has replaced it.
    pub(super) fn on_silent(&mut self) {
        if self.intent != Intent::Stay {
            let is_last = std::mem::replace(&mut self.has_rejoined_last, true);
            if self.joined && !is_last && self.may_rejoin() {
                self.replace_session(false);
            } else {
                self.end(End::Lost);
            }
        } else if !self.joined && self.may_rejoin() {
            self.replace_session(false);
        } else {
            let (silence, _) = self.vigilance();
            self.actions.push_back(Action::Silent { silence });
            // The agent may have ended without a word and be started again. If it has not, another session is as good. A program
            // with many lines is read on only when receipts come.
            let is_waiting = self.is_attended || !self.unacknowledged.is_empty();
            if is_waiting && self.may_rejoin() {
                self.replace_session(false);
            }
        }
    }

    fn replace_session(&mut self, is_quick: bool) {
        let close = contact::close(self.contact.session(), CloseCode::Done);
        self.command(close);
        self.rejoin(is_quick);
    }

    /// Returns true if the agent has accepted this side as a member before, and has not ended too many sessions since. After the
    /// end of the input, only messages without a receipt are a reason to join again.
    fn may_rejoin(&self) -> bool {
        let was_member = self.joined || self.rejoins.is_some();
        let rejoins = self.rejoins.filter(|_| !self.joined).unwrap_or(0);
        let is_wanted = match self.intent {
            Intent::Stay => true,
            Intent::Drain => !self.unacknowledged.is_empty(),
            Intent::LeaveDelivered | Intent::Left => false,
        };
        was_member && is_wanted && rejoins < limits::REJOINS
    }

    /// Joins again. `is_quick` is true if the session before has not ended by silence, so that attempts are counted.
    fn rejoin(&mut self, is_quick: bool) {
        if self.joined {
            let silence = Duration::ZERO;
            self.actions.push_back(Action::Silent { silence });
            self.rejoins = None;
        }
        let rejoins = self.rejoins.unwrap_or(0);
        self.rejoins = Some(rejoins.saturating_add(u16::from(is_quick)));
        self.state = State::Contacting;
        self.joined = false;
        self.connect();
    }
}

fn is_shutdown(reason: &Closed) -> bool {
    matches!(reason, Closed::ByPeer { code, .. } if *code == CloseCode::Shutdown as u64)
}
