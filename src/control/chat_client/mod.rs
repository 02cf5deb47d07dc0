//! Chat with one agent: a session with one call, on which messages go both ways.
//!
//! Sans-IO, and without a clock of its own: the session layer reports that nothing answered, and that a session fell
//! silent. After every call the driver drains [`ChatClient::poll`].
//!
//! ```text
//!  contacting ──► chatting ─► leaving ──► ended
//!       │          ▲   │ lost │ put out      ▲
//!       │ no       │   ▼      └──────────────┤
//!       │ answer   └ rejoining ──────────────┤
//!       └────────────────────────────────────┘
//! ```
//!
//! After the loss of a session, as by a long sleep of the machine, the chat is joined again, and messages without a
//! receipt are sent again.
//!
//! Requests of a chat can have an effect twice, so that they are no early data: they are written once the agent has
//! answered. Invariants: a message counts as delivered when the agent has said so, not before; one that was not is in
//! [`ChatClient::undelivered`] at the end; messages in flight are bounded ([`ChatClient::has_room`]).

mod end;
mod leave;
mod receive;
mod reconnect;
mod silence;
mod unacknowledged;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

pub use end::End;
pub use unacknowledged::Kind;

use self::unacknowledged::Unacknowledged;
use crate::control::contact::{self, Contact};
use crate::crypto::PublicKey;
use crate::message::limits::{CHAT_TEXT, MEMBER_NAME};
use crate::message::{CloseCode, Lines, Reply, Request, RequestId, RoomName, to_line};
use crate::session::{Command, Event, Path, SessionHandle, StreamEvent, Ticket};
use crate::wire::{CallId, Lane, StreamId};

/// Purpose of a chat.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Membership in the chat.
    Chat {
        /// Id of the membership, drawn at random: by it, the agent recognizes this side after a lost session.
        id: RequestId,
        /// Name to ask for.
        name: Option<String>,
        /// Number of earlier messages wanted.
        history: u32,
        /// Room; `None` is the default room.
        room: Option<RoomName>,
    },
    /// One message.
    Send {
        /// Room, which must exist; `None` is the default room.
        room: Option<RoomName>,
        /// Text of the message.
        text: String,
    },
}

/// Parameters of a chat.
#[derive(Clone, Debug)]
pub struct Config {
    /// Number of the chat among those of the process; see [`Contact::slot_of`].
    pub slot: u32,
    /// Purpose.
    pub purpose: Purpose,
    /// Key of the agent.
    pub agent: PublicKey,
    /// Addresses of the agent, best first; not empty.
    pub paths: Vec<Path>,
    /// Ticket from an earlier session.
    pub ticket: Option<Ticket>,
    /// Time after which an agent that does not answer is given up.
    pub contact_timeout: Duration,
    /// True if a person watches: silence is reported soon, and an agent that has been shut down is awaited.
    pub is_attended: bool,
}

/// Request to the driver.
#[derive(Clone, Debug)]
pub enum Action {
    /// Command for the session layer.
    Command(Command),
    /// Message or news of the chat: `Joined`, `Said`, `Whispered`, `Came`, `Left` or `Missed`.
    Heard(Reply),
    /// Receipt for a message.
    Delivered {
        /// Number of the message, counted from 0.
        number: u64,
        /// Number of members that the agent has passed it on to.
        members: u32,
    },
    /// The agent does not take a message of a chat.
    Refused {
        /// Number of the message.
        number: u64,
        /// The message as a person types it.
        text: String,
        /// Reason; not escaped.
        reason: String,
    },
    /// Ticket to store.
    Learned(Ticket),
    /// Everything is delivered, after [`ChatClient::drain`].
    Drained,
    /// The agent has fallen silent.
    Silent {
        /// Time since it was heard last.
        silence: Duration,
    },
    /// The agent answers again.
    Back,
    /// End of the chat; nothing follows.
    Ended(End),
}

/// Error of a message that is longer than [`CHAT_TEXT`], or whose receiver has a name longer than [`MEMBER_NAME`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooLong;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// No agent has answered in this session.
    Contacting,
    /// The session is established.
    Connected,
    Ended,
}

/// Intention of the user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Intent {
    Stay,
    /// Report that everything is delivered, and stay.
    Drain,
    /// Leave once everything is delivered.
    LeaveDelivered,
    /// Leave; the end of the call has been sent.
    Left,
}

/// Chat with one agent.
#[derive(Debug)]
pub struct ChatClient {
    purpose: Purpose,
    contact: Contact,
    state: State,
    intent: Intent,
    is_attended: bool,
    /// Sessions that an agent has ended before the chat was joined again, since the last membership was lost; `None` if
    /// none has been.
    rejoins: Option<u16>,
    /// True if a silence after the end of the input has been answered with another session; the next one ends the chat.
    has_rejoined_last: bool,
    lines: Lines,
    /// True while a member of the chat.
    joined: bool,
    /// Position of the last message that was heard or said, 0 before the first one; `None` if the agent keeps none.
    position: Option<u64>,
    /// Messages without a receipt, oldest first.
    unacknowledged: VecDeque<Unacknowledged>,
    unacknowledged_bytes: usize,
    next: u64,
    actions: VecDeque<Action>,
}

/// The only call of a session.
const CALL: CallId = CallId(0);
const STREAM: StreamId = StreamId::new(CALL, Lane::Control);

impl ChatClient {
    /// Creates a chat. Its first action opens a session.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let mut chat = Self {
            contact: Contact::new(contact::Config {
                slot: config.slot,
                agent: config.agent,
                paths: config.paths,
                ticket: config.ticket,
                invite: None,
                contact_timeout: config.contact_timeout,
                // The chat is joined again for as long as its user stays.
                retry_for: Duration::MAX,
            }),
            state: State::Contacting,
            intent: Intent::Stay,
            is_attended: config.is_attended,
            rejoins: None,
            has_rejoined_last: false,
            lines: Lines::default(),
            joined: false,
            position: None,
            unacknowledged: VecDeque::new(),
            unacknowledged_bytes: 0,
            next: 0,
            actions: VecDeque::new(),
            purpose: config.purpose,
        };
        if let Purpose::Send { text, .. } = &chat.purpose {
            let text = text.clone();
            chat.remember(text, Kind::Text);
            chat.intent = Intent::LeaveDelivered;
        }
        chat.connect();
        chat
    }

    /// Sends a message. Returns its number, which its receipt names.
    ///
    /// # Errors
    /// When the text is longer than [`CHAT_TEXT`].
    pub fn say(&mut self, text: String) -> Result<u64, TooLong> {
        self.say_as(Kind::Text, text)
    }

    /// Sends a message of a kind. Returns its number, which its receipt names.
    ///
    /// # Errors
    /// When the text is longer than [`CHAT_TEXT`], or the name of its receiver than [`MEMBER_NAME`].
    pub fn say_as(&mut self, kind: Kind, text: String) -> Result<u64, TooLong> {
        let is_long = matches!(&kind, Kind::Private { to } if to.len() > MEMBER_NAME);
        if is_long || text.len() > CHAT_TEXT {
            return Err(TooLong);
        }
        let number = self.remember(text, kind);
        if self.state == State::Connected
            && let Some(message) = self.unacknowledged.back()
        {
            let request = message.to_request();
            self.write(&request);
        }
        Ok(number)
    }

    /// Handles an event of the session layer.
    pub fn on_event(&mut self, event: Event) {
        if self.state == State::Ended {
            return;
        }
        match event {
            Event::Connected {
                session,
                path,
                ticket,
                ..
            } if session == self.session() => {
                self.state = State::Connected;
                self.contact.on_connected(path, ticket);
                self.actions.push_back(Action::Learned(ticket));
                self.open();
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
                self.on_silent();
            }
            Event::Heard { session } if session == self.session() => {
                self.actions.push_back(Action::Back);
            }
            Event::Closed { session, reason } if session == self.session() => {
                self.on_closed(reason);
            }
            Event::Connected { .. }
            | Event::Stream { .. }
            | Event::Silent { .. }
            | Event::Heard { .. }
            | Event::Closed { .. }
            | Event::Accepted { .. }
            | Event::Confirmed { .. }
            | Event::DatagramSize { .. }
            | Event::Moved { .. }
            | Event::InitSeen { .. } => {}
        }
    }

    /// Returns the next action.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn session(&self) -> SessionHandle {
        self.contact.session()
    }

    fn write(&mut self, request: &Request) {
        self.command(Command::Write {
            session: self.session(),
            stream: STREAM,
            data: to_line(request).into(),
            fin: false,
        });
    }

    fn write_fin(&mut self) {
        self.command(Command::Write {
            session: self.session(),
            stream: STREAM,
            data: Bytes::new(),
            fin: true,
        });
    }

    fn command(&mut self, command: Command) {
        self.actions.push_back(Action::Command(command));
    }

    /// Ends the chat from this side.
    fn end(&mut self, end: End) {
        if self.state != State::Ended {
            self.command(contact::close(self.session(), CloseCode::Done));
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
