//! Talking with one agent: a session with a call in which one says things, and hears them.
//!
//! Sans-IO, and without a clock of its own: the session machine tells when nothing answered, and when
//! a session fell silent. After every call the driver drains [`ChatClient::poll`].
//!
//! ```text
//!  contacting ──► talking ──► leaving ──► ended
//!       │          ▲   │ lost │ put out      ▲
//!       │ no       │   ▼      └──────────────┤
//!       │ answer   └ rejoining ──────────────┤
//!       └────────────────────────────────────┘
//! ```
//!
//! A chat whose session was lost, because the machine slept for longer than sessions live, is joined
//! again; what had no receipt is said again.
//!
//! Invariants: a message counts as delivered when the agent has said so, not before; what was not is
//! still in [`ChatClient::undelivered`] at the end; messages under way are bounded ([`ChatClient::has_room`]).

mod end;
mod reconnect;

use std::collections::VecDeque;
use std::time::Duration;

pub use end::End;

use crate::control::limits;
use crate::crypto::PublicKey;
use crate::message::limits::CHAT_TEXT;
use crate::message::{CloseCode, LineError, Lines, Reply, Request, to_line};
use crate::session::{Command, Event, Path, SessionHandle, StreamEvent, Ticket};
use crate::wire::{CallId, Lane, StreamId};

/// Why one talks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// To be a member of the chat, called like this if one may.
    Chat {
        /// The name wished for.
        name: Option<String>,
    },
    /// To say one thing.
    Send {
        /// What.
        text: String,
    },
}

/// What a chat with an agent needs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Numbers this chat among those of the process; see [`ChatClient::slot_of`].
    pub slot: u32,
    /// What for.
    pub purpose: Purpose,
    /// Whose agent it must be.
    pub agent: PublicKey,
    /// Its addresses, best first; not empty.
    pub paths: Vec<Path>,
    /// What is remembered of it.
    pub ticket: Option<Ticket>,
    /// How long an agent that does not answer is waited for.
    pub contact_timeout: Duration,
}

/// What the machine wants done.
#[derive(Clone, Debug)]
pub enum Action {
    /// For the session machine.
    Command(Command),
    /// Something was said in the chat, or somebody came or left, or one is in.
    Heard(Reply),
    /// A message has been delivered, and passed on to so many members.
    Delivered {
        /// Which; counted from 0.
        number: u64,
        /// How many.
        members: u32,
    },
    /// The agent does not take a message of a chat.
    Refused {
        /// Which.
        text: String,
        /// Why; not escaped.
        reason: String,
    },
    /// To be remembered of the agent.
    Learned(Ticket),
    /// Nothing was heard for some time although something should have been.
    Silent,
    /// Now there was.
    Back,
    /// It is over; nothing follows.
    Ended(End),
}

/// A message that the agent cannot take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooLong;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// No agent has answered.
    Contacting,
    /// It has.
    Talking,
    Ended,
}

/// Whether more will be said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wish {
    ChatClient,
    /// Leave once everything is delivered.
    LeaveDelivered,
    /// Leave; the end of the call has been said.
    Left,
}

/// A chat with one agent.
#[derive(Debug)]
pub struct ChatClient {
    config: Config,
    state: State,
    wish: Wish,
    /// How many sessions were opened.
    attempts: u16,
    /// How many of them since the last one was lost; `None`: none has been.
    rejoins: Option<u16>,
    lines: Lines,
    /// The agent has let us into the chat.
    joined: bool,
    /// Messages without a receipt, oldest first.
    unacknowledged: VecDeque<(u64, String)>,
    unacknowledged_bytes: usize,
    next: u64,
    actions: VecDeque<Action>,
}

/// The only call of a session.
const CALL: CallId = CallId(0);
const STREAM: StreamId = StreamId::new(CALL, Lane::Control);

impl ChatClient {
    /// Begins: the first action opens a session.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let mut chat = Self {
            state: State::Contacting,
            wish: Wish::ChatClient,
            attempts: 0,
            rejoins: None,
            lines: Lines::default(),
            joined: false,
            unacknowledged: VecDeque::new(),
            unacknowledged_bytes: 0,
            next: 0,
            actions: VecDeque::new(),
            config,
        };
        if let Purpose::Send { text } = &chat.config.purpose {
            let text = text.clone();
            chat.remember(text);
            chat.wish = Wish::LeaveDelivered;
        }
        chat.connect();
        chat
    }

    /// The slot of the chat that a session belongs to.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "connect() shifts a 32-bit slot"
    )]
    pub const fn slot_of(session: SessionHandle) -> u32 {
        (session.0 >> 16) as u32
    }

    /// Says something. Its number is what receipts name.
    ///
    /// # Errors
    /// When the text is longer than [`CHAT_TEXT`].
    pub fn say(&mut self, text: String) -> Result<u64, TooLong> {
        if text.len() > CHAT_TEXT {
            return Err(TooLong);
        }
        let number = self.remember(text.clone());
        if self.state != State::Ended {
            self.write(&Request::Say { number, text });
        }
        Ok(number)
    }

    /// Whether there is room for one more message under way.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.unacknowledged_bytes < limits::CHAT_BYTES
            && self.unacknowledged.len() < limits::CHAT_MESSAGES
    }

    /// Messages that no receipt has come for, oldest first.
    pub fn undelivered(&self) -> impl Iterator<Item = &str> {
        self.unacknowledged.iter().map(|(_, text)| text.as_str())
    }

    /// Nothing more will be said: leaves when everything is delivered.
    pub fn leave(&mut self) {
        if self.wish == Wish::ChatClient {
            self.wish = Wish::LeaveDelivered;
            self.watch();
            self.leave_if_done();
        }
    }

    /// Leaves at once, whatever is under way.
    pub fn leave_now(&mut self) {
        self.end(End::Left);
    }

    /// Something happened on one of its sessions.
    pub fn on_event(&mut self, event: Event) {
        if self.state == State::Ended {
            return;
        }
        match event {
            Event::Connected {
                session, ticket, ..
            } if session == self.session() => {
                self.state = State::Talking;
                self.actions.push_back(Action::Learned(ticket));
                self.watch();
            }
            Event::Stream {
                session,
                event:
                    StreamEvent::Data {
                        stream, data, fin, ..
                    },
            } if session == self.session() && stream == STREAM => {
                self.on_data(&data, fin);
            }
            Event::Stream {
                session,
                event: StreamEvent::Reset { .. } | StreamEvent::Stopped { .. },
            } if session == self.session() => {
                self.end(End::PutOut);
            }
            Event::Silent { session } if session == self.session() => {
                if self.wish == Wish::ChatClient {
                    self.actions.push_back(Action::Silent);
                } else {
                    self.end(End::Lost);
                }
            }
            Event::Heard { session } if session == self.session() => {
                self.actions.push_back(Action::Back);
            }
            Event::Closed { session, reason } if session == self.session() => {
                self.on_closed(reason);
            }
            _ => {}
        }
    }

    /// What to do next.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn session(&self) -> SessionHandle {
        let attempt = u64::from(self.attempts.saturating_sub(1));
        SessionHandle(u64::from(self.config.slot) << 16 | attempt)
    }

    fn on_data(&mut self, data: &[u8], fin: bool) {
        self.lines.push(data);
        while let Some(line) = self.lines.next::<Reply>() {
            match line {
                Ok(reply) => self.on_reply(reply),
                // Something that a later version says.
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
            self.end(if self.wish == Wish::Left {
                End::Left
            } else {
                End::PutOut
            });
        }
    }

    fn on_reply(&mut self, reply: Reply) {
        match reply {
            Reply::Delivered { number, members } => {
                if self.forget(number).is_some() {
                    self.actions
                        .push_back(Action::Delivered { number, members });
                }
                self.leave_if_done();
            }
            Reply::Unsupported { reason } => self.on_refused(reason),
            Reply::Denied {} => self.end(End::Denied),
            Reply::Joined { .. } => {
                self.joined = true;
                if self.rejoins.is_some() {
                    self.actions.push_back(Action::Back);
                }
                self.actions.push_back(Action::Heard(reply));
            }
            Reply::Said { .. } | Reply::Came { .. } | Reply::Left { .. } | Reply::Missed { .. } => {
                self.actions.push_back(Action::Heard(reply));
            }
            _ => {}
        }
    }

    /// Answers come in order, so in a chat this one is about the oldest message.
    fn on_refused(&mut self, reason: String) {
        let oldest = self.unacknowledged.front().filter(|_| self.joined);
        let Some(&(number, _)) = oldest else {
            return self.end(End::Refused(reason));
        };
        if let Some(text) = self.forget(number) {
            self.actions.push_back(Action::Refused { text, reason });
        }
        self.leave_if_done();
    }

    fn leave_if_done(&mut self) {
        if self.rejoins.is_some() && self.state == State::Contacting {
            // Nobody to take leave of. What had no receipt is told by `undelivered`.
            self.end(End::Left);
        } else if self.wish == Wish::LeaveDelivered && self.unacknowledged.is_empty() {
            self.wish = Wish::Left;
            if matches!(self.config.purpose, Purpose::Send { .. }) {
                // The agent has ended the call with the receipt.
                self.end(End::Left);
            } else {
                self.command(Command::Write {
                    session: self.session(),
                    stream: STREAM,
                    data: bytes::Bytes::new(),
                    fin: true,
                });
            }
        }
    }

    /// While somebody waits for a receipt, silence is noticed sooner.
    fn watch(&mut self) {
        if self.state != State::Talking {
            return;
        }
        let contact = self.config.contact_timeout;
        let (silence, ping) = match self.wish {
            Wish::ChatClient => (limits::CHAT_SILENCE, None),
            _ => (contact, Some(contact / 4)),
        };
        self.command(Command::Watch {
            session: self.session(),
            silence,
            ping,
        });
    }

    fn remember(&mut self, text: String) -> u64 {
        let number = self.next;
        self.next += 1;
        self.unacknowledged_bytes += text.len();
        self.unacknowledged.push_back((number, text));
        number
    }

    /// The message, if it was still waited for.
    fn forget(&mut self, number: u64) -> Option<String> {
        let index = self.unacknowledged.iter().position(|(n, _)| *n == number)?;
        let (_, text) = self.unacknowledged.remove(index)?;
        self.unacknowledged_bytes -= text.len();
        Some(text)
    }

    fn write(&mut self, request: &Request) {
        self.command(Command::Write {
            session: self.session(),
            stream: STREAM,
            data: to_line(request).into(),
            fin: false,
        });
    }

    fn command(&mut self, command: Command) {
        self.actions.push_back(Action::Command(command));
    }

    /// Ends it from this side.
    fn end(&mut self, end: End) {
        if self.state != State::Ended {
            self.command(Command::Close {
                session: self.session(),
                code: CloseCode::Done as u64,
                reason: String::new(),
            });
            self.finish(end);
        }
    }

    fn finish(&mut self, end: End) {
        self.state = State::Ended;
        self.actions.push_back(Action::Ended(end));
    }
}

#[cfg(test)]
mod tests;
