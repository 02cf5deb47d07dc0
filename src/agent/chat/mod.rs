//! The chat of an agent: members of sessions, the agent's own terminal, and plain-text peers.
//!
//! Sans-IO. Lines of members come in with [`Chat::on_line`], lines typed at the agent with
//! [`Chat::on_typed`], datagrams with [`Chat::on_plain`]. Replies go to the [`Outbox`].
//! [`Chat::poll_line`] returns the lines for the terminal, [`Chat::poll_plain`] the plain-text
//! datagrams to send.
//!
//! | said by            | shown at the agent | members          | plain-text peers |
//! |--------------------|--------------------|------------------|------------------|
//! | a member           | yes, with the room | others in a room | no               |
//! | a member to one    | if it is for it    | the one          | no               |
//! | the agent's user   | was typed there    | default room     | all              |
//! | the agent's bot    | yes                | of its room      | no               |
//! | a plain-text peer  | yes                | default room     | no               |
//!
//! Invariants: names are unique in a room, contain the name of the key and are not that of the agent, whose user speaks as it. Every message of a member is
//! answered with a receipt or an error. A slow member misses messages, receives their number, and delays
//! no other member. While the agent's user is at its terminal, each room lists the name of the agent among its members.

mod history;
mod kept_messages;
mod line;
mod member;
mod membership;
mod name;
mod non_members;
mod pace;
mod plain;
mod reply_template;
mod rooms;
mod whisper;

use std::collections::VecDeque;

use bytes::Bytes;

pub use history::{Earlier, History, MessageId, SavedHistory};
pub use line::Line;
pub use plain::PlainLimiter;
pub use reply_template::{BareTemplate, ReplyTemplate};

use self::kept_messages::KeptMessages;
use self::member::{Member, TooSlow, Weight, Wishes};
use self::pace::Pace;
use self::plain::PlainChat;
use super::access::Controller;
use super::limits;
use super::outbox::{CallRef, Outbox};
use crate::crypto::PublicKey;
use crate::message::limits::CHAT_TEXT;
use crate::message::{Reply, Request, RoomName, to_line};
use crate::session::Path;
use crate::time::Instant;

/// The members of the chat, and the lines and datagrams to deliver.
#[derive(Debug, Default)]
pub struct Chat {
    /// Name of the agent.
    name: String,
    members: Vec<Member>,
    /// True while the agent's user is at its terminal.
    is_user_here: bool,
    plain: PlainChat,
    lines: VecDeque<Line>,
    datagrams: VecDeque<(Path, Bytes)>,
    history: KeptMessages,
    pace: Pace,
}

/// Author of a message.
struct Author {
    /// Name of the member, or of the agent.
    name: String,
    /// Room of the message; `None` is the default room.
    room: Option<RoomName>,
    /// True if it is a bot.
    bot: bool,
    /// Id of the message, if it has one.
    id: Option<MessageId>,
}

/// Content of a message.
struct Content {
    text: String,
    /// True if it describes an action of the author.
    action: bool,
}

/// Result of a message: the number of its receivers, and its position in the history.
type Passed = Result<(u32, Option<u64>), String>;

impl Chat {
    /// Returns a chat without members, of an agent with this name. `reply` is the template for
    /// replies to plain text.
    #[must_use]
    pub fn new(name: String, reply: Option<ReplyTemplate>) -> Self {
        Self {
            name,
            plain: PlainChat::new(reply),
            ..Self::default()
        }
    }

    /// Name of the agent.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Counts a request of a key against its rate: a message of `bytes` bytes, or joining.
    ///
    /// # Errors
    /// Time at which it may be tried again, if it comes too early.
    pub fn pace(&mut self, now: Instant, key: PublicKey, bytes: usize) -> Result<(), Instant> {
        self.pace.take(now, key, bytes)
    }

    /// Counts a message of the agent's user against the rate of a key, which members that read can follow.
    ///
    /// # Errors
    /// Time at which it may be tried again, if it comes too early.
    pub fn pace_user(&mut self, now: Instant, bytes: usize) -> Result<(), Instant> {
        self.pace.take_of_user(now, bytes)
    }

    /// Processes the first request of a call: `chat` or `say`.
    pub fn on_call(
        &mut self,
        now: Instant,
        from: CallRef,
        member: &Controller,
        request: Request,
        outbox: &mut Outbox,
    ) {
        let Some(known) = &member.name else {
            // The session has an invitation and no listed key: it may only register.
            outbox.last_reply(from, &Reply::Denied {});
            return;
        };
        match request {
            Request::Chat {
                name,
                history,
                room,
                whispers,
                id,
                after,
            } => {
                let member = (member.key, &known[..]);
                let wishes = Wishes {
                    name: name.as_deref(),
                    room,
                    whispers,
                    id,
                };
                if self.join(now, from, member, wishes, outbox) {
                    self.send_history(now, from, (history, after), outbox);
                }
            }
            Request::Say {
                number,
                text,
                room,
                bot,
                action,
            } => {
                let name = name::of_key(known, &self.name);
                let exists = self.check_exists(room.as_ref());
                let author = Author {
                    name,
                    room,
                    bot,
                    id: None,
                };
                let content = Content { text, action };
                let said = exists.and_then(|()| self.say(now, Some(from), author, content, outbox));
                outbox.last_reply(from, &receipt(number, said));
            }
            Request::Exec(_)
            | Request::Forward(_)
            | Request::Copy(_)
            | Request::Attach { .. }
            | Request::Jobs { .. }
            | Request::Wait { .. }
            | Request::Signal { .. }
            | Request::Cancel {}
            | Request::Resize(_)
            | Request::Ping {}
            | Request::Whisper { .. }
            | Request::Register { .. } => {
                outbox.last_reply(from, &unsupported("this request is not part of a chat"));
            }
        }
    }

    /// Processes a further line in a call of this chat.
    pub fn on_line(&mut self, now: Instant, from: CallRef, request: Request, outbox: &mut Outbox) {
        let Some(index) = self.index_of(from) else {
            return;
        };
        let reply = match request {
            Request::Say {
                number,
                text,
                room,
                bot,
                action,
            } => {
                let member = &self.members[index];
                let said = if room.is_none() || room == member.room {
                    let author = Author {
                        name: member.name.clone(),
                        room: member.room.clone(),
                        bot,
                        id: member.id.map(|member| MessageId { member, number }),
                    };
                    self.say(now, Some(from), author, Content { text, action }, outbox)
                } else {
                    Err("a message of a chat goes to the room of the chat".into())
                };
                receipt(number, said)
            }
            Request::Whisper { number, to, text } => {
                let said = self.whisper(index, &to, text, outbox);
                receipt(number, said.map(|members| (members, None)))
            }
            Request::Exec(_)
            | Request::Forward(_)
            | Request::Copy(_)
            | Request::Attach { .. }
            | Request::Jobs { .. }
            | Request::Wait { .. }
            | Request::Signal { .. }
            | Request::Cancel {}
            | Request::Resize(_)
            | Request::Ping {}
            | Request::Chat { .. }
            | Request::Register { .. } => unsupported("a chat accepts only messages"),
        };
        self.send_vital(from, &reply, outbox);
    }

    /// Notes that the controller has consumed every byte of the control lane below `consumed`.
    pub fn on_consumed(&mut self, call: CallRef, consumed: u64, outbox: &mut Outbox) {
        if let Some(index) = self.index_of(call) {
            self.members[index].on_consumed(consumed, outbox);
        }
    }

    /// Notes that datagrams of plain text were suppressed by the rate limit.
    pub fn on_suppressed(&mut self, datagrams: u64) {
        self.show(Line::Suppressed { datagrams });
    }

    /// Returns the next line for the agent's terminal.
    pub fn poll_line(&mut self) -> Option<Line> {
        self.lines.pop_front()
    }

    /// Returns the next plain-text datagram to send.
    pub fn poll_plain(&mut self) -> Option<(Path, Bytes)> {
        self.datagrams.pop_front()
    }

    /// Passes a message of a member, or of a bot, on, unless it was said before.
    fn say(
        &mut self,
        now: Instant,
        from: Option<CallRef>,
        author: Author,
        content: Content,
        outbox: &mut Outbox,
    ) -> Passed {
        let Author {
            name,
            room,
            bot,
            id,
        } = author;
        let Content { text, action } = content;
        check_length(&text)?;
        // An answer is shown as that of a bot.
        let action = action && !bot;
        // A bot would push out what people have said.
        let mut position = None;
        if !bot {
            // Its receipt was lost with a session.
            if id.is_some_and(|id| self.history.has(room.as_ref(), id)) {
                return Ok((0, None));
            }
            let said = Earlier::new(0, room.clone(), &name, &text);
            position = self.keep(now, Earlier { action, id, ..said });
        }
        let said = Reply::Said {
            from: name.clone(),
            text: text.clone(),
            unverified: false,
            cut: None,
            age_ms: None,
            room: room.clone(),
            bot,
            action,
            position,
        };
        let others = self.broadcast(room.as_ref(), from, &said, outbox);
        let members = others + u32::from(self.is_user_here);
        self.show(Line::Said {
            from: name,
            text,
            room,
            bot,
            action,
        });
        Ok((members, position))
    }

    /// Sends a reply to all members of a room except `but`. Returns their number.
    fn broadcast(
        &mut self,
        room: Option<&RoomName>,
        but: Option<CallRef>,
        reply: &Reply,
        outbox: &mut Outbox,
    ) -> u32 {
        let line = Bytes::from(to_line(reply));
        let mut receivers = 0;
        for member in &mut self.members {
            if Some(member.call) != but && member.room.as_ref() == room {
                // A message can always be dropped to make space, so no member is too slow for it.
                let _ = member.send_line(Weight::News, line.clone(), outbox);
                receivers += 1;
            }
        }
        receivers
    }

    /// Sends a line that a member must receive.
    fn send_vital(&mut self, call: CallRef, reply: &Reply, outbox: &mut Outbox) {
        let Some(index) = self.index_of(call) else {
            return;
        };
        let sent = self.members[index].send(Weight::Vital, reply, outbox);
        if sent == Err(TooSlow) {
            outbox.release(call);
            self.remove(index, outbox);
        }
    }

    fn show(&mut self, line: Line) {
        if self.lines.len() < limits::CHAT_DRAIN {
            self.lines.push_back(line);
        } else if let Some(Line::NotShown { lines }) = self.lines.back_mut() {
            *lines += 1;
        } else {
            self.lines.push_back(Line::NotShown { lines: 1 });
        }
    }

    fn index_of(&self, call: CallRef) -> Option<usize> {
        self.members.iter().position(|member| member.call == call)
    }
}

/// Returns the answer to a message, which was passed on or refused with a reason.
fn receipt(number: u64, said: Passed) -> Reply {
    match said {
        Ok((members, position)) => Reply::Delivered {
            number,
            members,
            position,
        },
        Err(reason) => Reply::Unsupported { reason },
    }
}

/// Checks the length of a message.
fn check_length(text: &str) -> Result<(), String> {
    if text.len() > CHAT_TEXT {
        return Err(format!("a message has at most {CHAT_TEXT} bytes"));
    }
    Ok(())
}

fn unsupported(reason: &str) -> Reply {
    Reply::Unsupported {
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests;
