//! Replies of the agent: receipts, refusals, messages of others and news.
//!
//! Not their meaning for a person. Invariant: a reply of a later version that this one does not know changes nothing.

use super::{Action, ChatClient, End, STREAM, State};
use crate::message::{LineError, Reply};
use crate::session::Command;

impl ChatClient {
    pub(super) fn on_data(&mut self, data: &[u8], fin: bool) {
        self.lines.push(data);
        while let Some(line) = self.lines.next::<Reply>() {
            match line {
                Ok(reply) => self.on_reply(reply),
                // A message of a later version.
                Err(LineError::Malformed(_)) => {}
                Err(LineError::TooLong) => return self.end(End::LineTooLong),
            }
        }
        if self.state == State::Ended {
            return;
        }
        if !data.is_empty() {
            self.command(Command::Consumed {
                session: self.session(),
                stream: STREAM,
                bytes: data.len() as u64,
            });
        }
        if fin {
            self.on_fin();
        }
    }

    fn on_reply(&mut self, mut reply: Reply) {
        match &mut reply {
            Reply::Delivered {
                number,
                members,
                position,
            } => {
                self.position = position.or(self.position);
                let (number, members) = (*number, *members);
                if self.forget(number).is_some() {
                    self.actions
                        .push_back(Action::Delivered { number, members });
                }
                self.leave_if_done();
            }
            Reply::Unsupported { reason } => {
                let reason = std::mem::take(reason);
                self.on_message_refused(reason);
            }
            Reply::Denied {} => self.end(End::Denied),
            Reply::Joined { position, .. } => {
                self.joined = true;
                let position = position.take();
                // Messages that were missed meanwhile follow one by one.
                if self.rejoins.is_none() {
                    self.position = position;
                }
                if self.rejoins.is_some() {
                    self.actions.push_back(Action::Back);
                }
                self.actions.push_back(Action::Heard(reply));
                self.leave_if_done();
            }
            Reply::Said { position, .. } => {
                self.position = position.take().or(self.position);
                self.actions.push_back(Action::Heard(reply));
            }
            Reply::Whispered { .. }
            | Reply::Came { .. }
            | Reply::Left { .. }
            | Reply::Missed { .. } => {
                self.actions.push_back(Action::Heard(reply));
            }
            Reply::Accepted { .. }
            | Reply::Started { .. }
            | Reply::Exit { .. }
            | Reply::Jobs { .. }
            | Reply::Pong { .. }
            | Reply::Registered { .. }
            | Reply::NoJob {}
            | Reply::Done {} => {}
        }
    }
}
