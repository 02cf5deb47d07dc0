//! Membership in the chat of an agent.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Client, Error, Host};
use crate::control::chat_client::{Action, ChatClient, Config, End, Kind, Purpose};
use crate::control::limits;
use crate::message::{Reply, RequestId, RoomName};
use crate::net::Event;

/// Membership in a chat; made by [`Client::chat`] or [`Client::chat_in`]. Dropping it leaves the chat.
pub struct Chat<'a> {
    client: &'a mut Client,
    host: Host,
    membership: ChatClient,
    name: String,
    members: Vec<String>,
    joined: bool,
    /// Messages that have not been taken yet, at most [`limits::INBOX`].
    inbox: VecDeque<Message>,
    /// Messages that were dropped because the inbox was full.
    missed: u64,
    /// Results of the messages sent, oldest first.
    receipts: VecDeque<Result<(), Error>>,
    end: Option<End>,
}

/// Message or news of a chat. Names and texts are not escaped.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Message {
    /// A message of a member.
    Said {
        /// Name of the sender.
        from: String,
        /// Text.
        text: String,
        /// False if it arrived as plain text, which anybody may forge.
        verified: bool,
        /// True if the text describes an action of the sender, as in `waves`.
        action: bool,
    },
    /// A message to this member only.
    Private {
        /// Name of the sender.
        from: String,
        /// Text.
        text: String,
    },
    /// A member has joined.
    Came {
        /// Name of the member.
        name: String,
    },
    /// A member has left.
    Left {
        /// Name of the member.
        name: String,
    },
    /// Messages are missing, because they came too fast or were not taken in time.
    Missed {
        /// Number of messages.
        messages: u64,
    },
}

impl<'a> Chat<'a> {
    pub(super) fn join(
        client: &'a mut Client,
        host: &Host,
        name: Option<&str>,
        room: Option<RoomName>,
    ) -> Result<Self, Error> {
        let known = client.known(host);
        let id = RequestId(client.rng.bytes());
        let membership = ChatClient::new(Config {
            slot: client.network.reserve(1),
            purpose: Purpose::Chat {
                id,
                name: name.map(str::to_owned),
                history: 0,
                room,
            },
            agent: known.agent,
            paths: known.paths,
            ticket: known.ticket,
            contact_timeout: limits::CONTACT_TIMEOUT,
            is_attended: false,
        });
        let mut chat = Self {
            client,
            host: host.clone(),
            membership,
            name: String::new(),
            members: Vec::new(),
            joined: false,
            inbox: VecDeque::new(),
            missed: 0,
            receipts: VecDeque::new(),
            end: None,
        };
        while !chat.joined {
            chat.wait(None)?;
        }
        Ok(chat)
    }

    /// Returns the own name in the chat.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the names of the other members when this side joined.
    #[must_use]
    pub fn members(&self) -> &[String] {
        &self.members
    }

    /// Sends a message and waits for its receipt. Messages of others that arrive meanwhile are kept for
    /// [`Chat::receive`].
    ///
    /// # Errors
    /// [`Error::MessageTooLong`], [`Error::MessageRefused`], or [`Error::Chat`] if the chat has ended and the message
    /// has no receipt.
    pub fn send(&mut self, text: &str) -> Result<(), Error> {
        self.deliver(Kind::Text, text)
    }

    /// Sends a message that describes an action of this member, as in `waves`, and waits for its receipt.
    ///
    /// # Errors
    /// As [`Chat::send`].
    pub fn send_action(&mut self, text: &str) -> Result<(), Error> {
        self.deliver(Kind::Action, text)
    }

    /// Sends a message to one member of the room, or to the agent's user at its terminal, and waits for its receipt. `to` is the
    /// name as [`Chat::members`] and messages have it. No other member and no bot gets it, and it is not kept.
    ///
    /// # Errors
    /// As [`Chat::send`]; [`Error::MessageRefused`] if nobody in the room has the name.
    pub fn send_private(&mut self, to: &str, text: &str) -> Result<(), Error> {
        let to = to.to_owned();
        self.deliver(Kind::Private { to }, text)
    }

    fn deliver(&mut self, kind: Kind, text: &str) -> Result<(), Error> {
        if let Some(end) = &self.end {
            return Err(Error::Chat(end.clone()));
        }
        if self.membership.say_as(kind, text.to_owned()).is_err() {
            return Err(Error::MessageTooLong);
        }
        loop {
            if let Some(receipt) = self.receipts.pop_front() {
                return receipt;
            }
            self.wait(None)?;
        }
    }

    /// Returns the next message, or `None` if none arrives within `timeout`.
    ///
    /// # Errors
    /// [`Error::Chat`] if the chat has ended.
    pub fn receive(&mut self, timeout: Duration) -> Result<Option<Message>, Error> {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            if let Some(message) = self.inbox.pop_front() {
                return Ok(Some(message));
            }
            if self.missed > 0 {
                let messages = std::mem::take(&mut self.missed);
                return Ok(Some(Message::Missed { messages }));
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(None);
            }
            self.wait(deadline)?;
        }
    }

    /// Leaves the chat.
    ///
    /// # Errors
    /// [`Error::Chat`] if the chat has ended otherwise before.
    pub fn leave(mut self) -> Result<(), Error> {
        self.membership.leave();
        loop {
            match self.wait(None) {
                Ok(()) => {}
                Err(Error::Chat(End::Left)) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes the actions that are due and handles the next event, or none if `deadline` passes before.
    fn wait(&mut self, deadline: Option<Instant>) -> Result<(), Error> {
        self.act();
        if let Some(end) = &self.end {
            return Err(Error::Chat(end.clone()));
        }
        let events = self.client.network.events();
        let event = match deadline {
            Some(deadline) => match events.recv_deadline(deadline) {
                Ok(event) => event,
                Err(error) if error.is_timeout() => return Ok(()),
                Err(_) => return Err(Error::NetworkEnded),
            },
            None => events.recv().map_err(|_| Error::NetworkEnded)?,
        };
        self.client.network.taken();
        match event {
            Event::Session(event) => self.membership.on_event(event),
            Event::Failed { .. }
            | Event::Refused(_)
            | Event::Plain { .. }
            | Event::Suppressed { .. }
            | Event::Counted { .. } => {}
        }
        self.act();
        Ok(())
    }

    fn act(&mut self) {
        while let Some(action) = self.membership.poll() {
            match action {
                Action::Command(command) => self.client.network.send(command),
                Action::Learned(ticket) => self.client.learn(&self.host, Some(ticket)),
                Action::Heard(reply) => self.on_heard(reply),
                Action::Delivered { .. } => self.receipts.push_back(Ok(())),
                Action::Refused { reason, .. } => {
                    self.receipts.push_back(Err(Error::MessageRefused(reason)));
                }
                Action::Ended(end) => self.end = Some(end),
                Action::Drained | Action::Silent { .. } | Action::Back => {}
            }
        }
    }

    fn on_heard(&mut self, reply: Reply) {
        match reply {
            Reply::Joined { name, members, .. } => {
                self.joined = true;
                self.name = name;
                self.members = members;
            }
            Reply::Said {
                from,
                text,
                unverified,
                action,
                ..
            } => self.keep(Message::Said {
                from,
                text,
                verified: !unverified,
                action,
            }),
            Reply::Whispered { from, text, .. } => self.keep(Message::Private { from, text }),
            Reply::Came { name, .. } => self.keep(Message::Came { name }),
            Reply::Left { name, .. } => self.keep(Message::Left { name }),
            Reply::Missed { messages } => {
                self.missed = self.missed.saturating_add(messages);
            }
            Reply::Accepted { .. }
            | Reply::Started { .. }
            | Reply::Exit { .. }
            | Reply::Jobs { .. }
            | Reply::Pong { .. }
            | Reply::Registered { .. }
            | Reply::Delivered { .. }
            | Reply::Denied {}
            | Reply::Done {}
            | Reply::NoJob {}
            | Reply::Unsupported { .. } => {}
        }
    }

    /// Keeps a message. The oldest one gives way when the inbox is full.
    fn keep(&mut self, message: Message) {
        if self.inbox.len() >= limits::INBOX {
            self.inbox.pop_front();
            self.missed = self.missed.saturating_add(1);
        }
        self.inbox.push_back(message);
    }
}

impl Drop for Chat<'_> {
    fn drop(&mut self) {
        self.membership.leave_now();
        self.act();
    }
}
