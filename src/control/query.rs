//! One request with one reply: `ping`, `accept`, `jobs`, `wait`, `kill`.
//!
//! [`Query`] is the sans-IO part for one host; the loop for many is in [`queries`](super::queries). Not for requests
//! that start something. Invariants: a question that may be asked twice is asked again in a new session after a silence; any other
//! one is never early data and is sent once.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::contact::{self, Contact, Failure};
use super::host_resolver::Host;
use crate::crypto::PublicKey;
use crate::message::{CloseCode, LineError, Lines, Outcome, Reply, Request, to_line};
use crate::net::Refusal;
use crate::peer_addr::PeerAddr;
use crate::session::{Closed, Command, Event, StreamEvent, Ticket};
use crate::wire::limits::INVITE;
use crate::wire::{CallId, Lane, StreamId};

/// Request and its host.
#[derive(Clone, Debug)]
pub struct Question {
    /// Host to ask.
    pub host: Host,
    /// Request.
    pub request: Request,
    /// Invitation to present.
    pub invite: Option<[u8; INVITE]>,
    /// Time after which an agent that does not answer is given up.
    pub contact_timeout: Duration,
    /// Time for which a silent agent is retried.
    pub retry_for: Duration,
    /// True to look for the largest datagram that the path carries, once the reply is there.
    pub finds_size: bool,
}

/// Result of a question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Reply, or the reason why there is none.
    pub reply: Result<Reply, NoReply>,
    /// Ticket of the agent with the round-trip time, if it answered.
    pub ticket: Option<Ticket>,
    /// Address that has answered, if the host has several.
    pub address: Option<PeerAddr>,
    /// Size of the largest datagram that has passed, if it was looked for and found.
    pub datagram_size: Option<usize>,
}

/// Reason why there is no reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoReply {
    /// [`Outcome::Unreachable`] or [`Outcome::Lost`].
    pub outcome: Outcome,
    /// Further explanation, perhaps in the peer's words; not escaped.
    pub note: Option<String>,
    /// True if the note is a report of the network that the agent is not reached.
    pub is_refused: bool,
}

/// Request to the driver.
#[derive(Debug)]
pub enum Action {
    /// Command for the session layer.
    Command(Command),
    /// End of the query; nothing follows.
    Ended(Answer),
}

/// Question in progress.
pub struct Query {
    request: Request,
    contact: Contact,
    lines: Lines,
    actions: VecDeque<Action>,
    /// True if a request that may not be repeated was sent.
    spent: bool,
    ended: bool,
    finds_size: bool,
    /// The reply, while the size of datagrams is looked for.
    reply: Option<Reply>,
    datagram_size: Option<usize>,
}

impl Query {
    /// Creates a query. Its first action opens a session. `slot` is its number among the contacts of the process.
    #[must_use]
    pub fn new(slot: u32, question: Question) -> Self {
        let mut query = Self {
            request: question.request,
            contact: Contact::new(contact::Config {
                slot,
                agent: question.host.agent,
                paths: question.host.paths,
                ticket: question.host.ticket,
                invite: question.invite,
                contact_timeout: question.contact_timeout,
                retry_for: question.retry_for,
            }),
            lines: Lines::default(),
            actions: VecDeque::new(),
            spent: false,
            ended: false,
            finds_size: question.finds_size,
            reply: None,
            datagram_size: None,
        };
        query.connect();
        query
    }

    /// Returns the key of the agent.
    #[must_use]
    pub const fn agent(&self) -> PublicKey {
        self.contact.agent()
    }

    /// Returns words for an agent that has not answered yet, as [`Contact::waiting`].
    #[must_use]
    pub fn waiting(&self) -> Option<String> {
        self.contact.waiting()
    }

    /// Returns true once the agent has answered.
    #[must_use]
    pub const fn is_contacted(&self) -> bool {
        self.contact.is_contacted()
    }

    /// Returns the next action.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Handles an event of the session layer.
    pub fn on_event(&mut self, event: Event) {
        if self.ended || event.session() != Some(self.contact.session()) {
            return;
        }
        match event {
            Event::Connected { path, ticket, .. } => {
                self.contact.on_connected(path, ticket);
                let watch = self.contact.watch(self.contact.session());
                self.command(watch);
                if !self.request.may_be_early() {
                    self.spent = true;
                    self.command(Command::Write {
                        session: self.contact.session(),
                        stream: StreamId::new(CallId(0), Lane::Control),
                        data: to_line(&self.request).into(),
                        fin: false,
                    });
                }
            }
            Event::Stream {
                event:
                    StreamEvent::Data {
                        stream, data, fin, ..
                    },
                ..
            } if stream.lane() == Lane::Control && self.reply.is_none() => {
                self.on_data(stream, &data, fin);
            }
            Event::DatagramSize { bytes, .. } => {
                self.datagram_size = Some(bytes);
                self.end_with_reply();
            }
            // Without the size, the reply is as good.
            Event::Silent { .. } | Event::Closed { .. } if self.reply.is_some() => {
                self.end_with_reply();
            }
            Event::Silent { .. } => {
                self.close(CloseCode::Done);
                let retry = self.contact.on_silence();
                self.ask_again(retry);
            }
            Event::Heard { .. } => self.contact.on_heard(),
            Event::Stream {
                event: StreamEvent::Reset { .. },
                ..
            } if self.reply.is_none() => self.fail(Some("the agent has reset the request".into())),
            Event::Closed { reason, .. } => self.on_closed(reason),
            Event::Stream { .. }
            | Event::Accepted { .. }
            | Event::Confirmed { .. }
            | Event::Moved { .. }
            | Event::InitSeen { .. } => {}
        }
    }

    /// Handles a report that datagrams do not reach the agent; returns as [`Contact::on_refused`].
    pub fn on_refused(&mut self, refusal: Refusal) -> Option<String> {
        self.contact.on_refused(refusal)
    }

    /// Handles the same report in a command over several hosts, as [`Contact::on_refused_among`].
    pub fn on_refused_among(&mut self, refusal: Refusal) {
        self.contact.on_refused_among(refusal);
    }

    fn on_data(&mut self, stream: StreamId, data: &Bytes, fin: bool) {
        self.command(Command::Consumed {
            session: self.contact.session(),
            stream,
            bytes: data.len() as u64,
        });
        self.lines.push(data);
        match self.lines.next() {
            Some(Ok(reply)) => {
                self.command(Command::Release {
                    session: self.contact.session(),
                    call: CallId(0),
                });
                self.reply = Some(reply);
                if self.finds_size {
                    let session = self.contact.session();
                    return self.command(Command::FindDatagramSize { session });
                }
                self.end_with_reply();
            }
            Some(Err(LineError::TooLong)) => self.fail(Some("a reply that is too long".into())),
            Some(Err(LineError::Malformed(what))) => {
                self.close(CloseCode::Violation);
                self.fail(Some(format!("a malformed reply: {what}")));
            }
            None if fin => self.fail(Some("the agent did not reply".into())),
            None => {}
        }
    }

    /// Ends without what has not come in time: with the reply, if it is there.
    pub fn on_time_limit(&mut self) {
        if self.reply.is_some() {
            self.end_with_reply();
        } else if !self.ended {
            self.close(CloseCode::Done);
            self.fail(Some("the agent did not reply in time".into()));
        }
    }

    /// Ends with the reply, if it is there.
    fn end_with_reply(&mut self) {
        if let Some(reply) = self.reply.take() {
            self.close(CloseCode::Done);
            self.end(Ok(reply));
        }
    }

    fn on_closed(&mut self, reason: Closed) {
        let retry = self.contact.on_closed(reason);
        self.ask_again(retry);
    }

    fn ask_again(&mut self, retry: Result<(), Failure>) {
        match retry {
            Ok(()) if self.spent => self.fail(Some("the request may have been carried out".into())),
            Ok(()) => self.connect(),
            Err(Failure::Unreachable { is_refused, note }) => self.end(Err(NoReply {
                outcome: Outcome::Unreachable {},
                note,
                is_refused,
            })),
            Err(Failure::Lost) => self.fail(Some("the agent does not answer".into())),
            Err(Failure::Full) => self.fail(Some("too many sessions here".into())),
            Err(Failure::ByPeer { reason, .. }) => {
                let note = if reason.is_empty() {
                    "the agent has ended the session".into()
                } else {
                    reason
                };
                self.fail(Some(note));
            }
            Err(Failure::Violation(what)) => {
                self.fail(Some(format!("the agent broke the protocol: {what}")));
            }
            Err(Failure::Local) => {}
        }
    }

    fn connect(&mut self) {
        self.lines = Lines::default();
        let first = if self.request.may_be_early() {
            to_line(&self.request).into()
        } else {
            Bytes::new()
        };
        let connect = self.contact.connect(first);
        self.command(connect);
    }

    fn command(&mut self, command: Command) {
        self.actions.push_back(Action::Command(command));
    }

    fn close(&mut self, code: CloseCode) {
        self.command(contact::close(self.contact.session(), code));
    }

    fn fail(&mut self, note: Option<String>) {
        self.end(Err(NoReply {
            outcome: Outcome::Lost {},
            note,
            is_refused: false,
        }));
    }

    fn end(&mut self, reply: Result<Reply, NoReply>) {
        self.ended = true;
        let ticket = self.contact.ticket();
        self.actions.push_back(Action::Ended(Answer {
            reply,
            ticket: ticket.filter(|_| self.contact.is_contacted()),
            address: self.contact.answered_at(),
            datagram_size: self.datagram_size,
        }));
    }
}

#[cfg(test)]
mod tests;
