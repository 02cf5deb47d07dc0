//! One request with one reply: `ping`, `accept`, `jobs`, `wait`, `kill`.
//!
//! [`Query`] is the sans-IO part for one host, [`run_queries`] the loop for many. Not for requests that start
//! something. Invariants: a question that may be asked twice is asked again in a new session after a silence; any other
//! one is never early data and is sent once.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use super::client::Client;
use super::contact::{self, Contact, Failure};
use super::host_resolver::{Host, HostResolver};
use super::limits;
use crate::message::{CloseCode, LineError, Lines, Outcome, Reply, Request, to_line};
use crate::net;
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
}

/// Reason why there is no reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoReply {
    /// [`Outcome::Unreachable`] or [`Outcome::Lost`].
    pub outcome: Outcome,
    /// Further explanation, perhaps in the peer's words; not escaped.
    pub note: Option<String>,
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
        };
        query.connect();
        query
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
            } if stream.lane() == Lane::Control => self.on_data(stream, &data, fin),
            Event::Silent { .. } => {
                self.close(CloseCode::Done);
                let retry = self.contact.on_silence();
                self.ask_again(retry);
            }
            Event::Heard { .. } => self.contact.on_heard(),
            Event::Stream {
                event: StreamEvent::Reset { .. },
                ..
            } => self.fail(Some("the agent has reset the request".into())),
            Event::Closed { reason, .. } => self.on_closed(reason),
            Event::Stream { .. }
            | Event::Accepted { .. }
            | Event::Confirmed { .. }
            | Event::Moved { .. }
            | Event::InitSeen { .. } => {}
        }
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
                self.close(CloseCode::Done);
                self.end(Ok(reply));
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

    fn on_closed(&mut self, reason: Closed) {
        let retry = self.contact.on_closed(reason);
        self.ask_again(retry);
    }

    fn ask_again(&mut self, retry: Result<(), Failure>) {
        match retry {
            Ok(()) if self.spent => self.fail(Some("the request may have been carried out".into())),
            Ok(()) => self.connect(),
            Err(Failure::Unreachable { tried }) => self.end(Err(NoReply {
                outcome: Outcome::Unreachable {},
                note: tried,
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
        }));
    }

    fn end(&mut self, reply: Result<Reply, NoReply>) {
        self.ended = true;
        let ticket = self.contact.ticket();
        self.actions.push_back(Action::Ended(Answer {
            reply,
            ticket: ticket.filter(|_| self.contact.is_contacted()),
            address: self.contact.answered_at(),
        }));
    }
}

/// Asks all questions, [`limits::WINDOW`] at a time, and passes each answer to `answered` as it arrives, with the
/// index of its question. Stores the tickets of the agents in `resolver`.
pub fn run_queries(
    client: &Client,
    resolver: Option<&HostResolver>,
    questions: Vec<Question>,
    mut answered: impl FnMut(usize, Answer),
) {
    let base = client.reserve(questions.len());
    let mut waiting = (base..).zip(questions);
    let mut queries: HashMap<u32, Query> = HashMap::new();
    let mut act = |slot: u32, query: &mut Query| {
        while let Some(action) = query.poll() {
            match action {
                Action::Command(command) => client.send(command),
                Action::Ended(answer) => {
                    if let (Some(resolver), Some(ticket)) = (resolver, &answer.ticket) {
                        resolver.learn(&query.contact.agent(), ticket);
                    }
                    answered((slot - base) as usize, answer);
                    return true;
                }
            }
        }
        false
    };
    loop {
        while queries.len() < limits::WINDOW
            && let Some((slot, question)) = waiting.next()
        {
            let mut query = Query::new(slot, question);
            if !act(slot, &mut query) {
                queries.insert(slot, query);
            }
        }
        if queries.is_empty() {
            return;
        }
        let Ok(event) = client.events().recv() else {
            return;
        };
        client.taken();
        if let net::Event::Session(event) = event
            && let Some(slot) = event.session().map(Contact::slot_of)
            && let Some(query) = queries.get_mut(&slot)
        {
            query.on_event(event);
            if act(slot, query) {
                queries.remove(&slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::PublicKey;
    use crate::session::{Connect, Path, SessionHandle};
    use crate::time::Instant;
    use crate::wire::Early;

    const TIMEOUT: Duration = Duration::from_secs(10);

    fn path(port: u16) -> Path {
        Path {
            socket: 0,
            local: None,
            remote: std::net::SocketAddr::from(([127, 0, 0, 1], port)).into(),
        }
    }

    fn query(addresses: u16) -> Query {
        query_of(addresses, Request::Ping {})
    }

    fn query_of(addresses: u16, request: Request) -> Query {
        let host = Host {
            label: "web".into(),
            agent: PublicKey([1; 32]),
            paths: (7000..7000 + addresses).map(path).collect(),
            ticket: None,
        };
        let question = Question {
            host,
            request,
            invite: None,
            contact_timeout: TIMEOUT,
            retry_for: 2 * TIMEOUT,
        };
        Query::new(3, question)
    }

    fn connects(query: &mut Query) -> (Vec<Connect>, Option<Answer>) {
        let (mut connects, mut answer) = (Vec::new(), None);
        while let Some(action) = query.poll() {
            match action {
                Action::Command(Command::Connect(connect)) => connects.push(connect),
                Action::Command(_) => {}
                Action::Ended(ended) => answer = Some(ended),
            }
        }
        (connects, answer)
    }

    fn closed(query: &mut Query, session: SessionHandle, reason: Closed) {
        query.on_event(Event::Closed { session, reason });
    }

    #[test]
    fn a_query_tries_all_addresses_and_names_the_one_that_has_answered() {
        let mut query = query(2);
        let (opened, _) = connects(&mut query);
        assert_eq!(opened[0].further.len(), 1);
        closed(&mut query, opened[0].session, Closed::Unreachable);
        let answer = connects(&mut query).1.unwrap();
        assert_eq!((answer.ticket, answer.address), (None, None));
        let error = answer.reply.unwrap_err();
        assert_eq!(error.outcome, Outcome::Unreachable {});
        let tried = "tried 127.0.0.1:7000, 127.0.0.1:7001";
        assert_eq!(error.note.as_deref(), Some(tried));

        let mut query = self::query(2);
        let (opened, _) = connects(&mut query);
        connected_on(&mut query, opened[0].session, opened[0].further[0]);
        let stream = StreamId::new(CallId(0), Lane::Control);
        query.on_data(stream, &to_line(&Reply::Done {}).into(), true);
        let answer = connects(&mut query).1.unwrap();
        assert_eq!(answer.reply, Ok(Reply::Done {}));
        assert_eq!(answer.address, Some(opened[0].further[0].remote));
    }

    fn connected(query: &mut Query, session: SessionHandle) {
        connected_on(query, session, path(7000));
    }

    fn connected_on(query: &mut Query, session: SessionHandle, path: Path) {
        query.on_event(Event::Connected {
            session,
            path,
            at: Instant::from_micros(1),
            ticket: Ticket {
                epoch: 1,
                offset: 0,
                rtt: Duration::ZERO,
            },
            early: Early::Refused,
        });
    }

    #[test]
    fn a_signal_is_no_early_data_and_is_sent_once() {
        let signal = Request::Signal {
            id: crate::message::RequestId([1; 16]),
            signal: 15,
            key: None,
        };
        let line = to_line(&signal);
        let mut query = query_of(2, signal);
        let (first, _) = connects(&mut query);
        assert!(first[0].first.is_empty());
        closed(&mut query, first[0].session, Closed::Restarted);
        let (second, _) = connects(&mut query);
        assert!(second[0].first.is_empty());
        connected(&mut query, second[0].session);
        let written: Vec<_> = std::iter::from_fn(|| query.poll())
            .filter_map(|action| match action {
                Action::Command(Command::Write { data, .. }) => Some(data),
                Action::Command(_) | Action::Ended(_) => None,
            })
            .collect();
        assert_eq!(written, [line]);
        // It may have arrived.
        closed(&mut query, second[0].session, Closed::Reset);
        let (third, answer) = connects(&mut query);
        assert!(third.is_empty());
        let error = answer.unwrap().reply.unwrap_err();
        assert_eq!(error.outcome, Outcome::Lost {});
    }

    #[test]
    fn a_query_is_asked_again_after_a_restart_of_the_agent() {
        let mut query = query(1);
        let (first, _) = connects(&mut query);
        closed(&mut query, first[0].session, Closed::Restarted);
        let (second, answer) = connects(&mut query);
        assert_eq!(answer, None);
        assert_ne!(second[0].session, first[0].session);
        connected(&mut query, second[0].session);
        query.on_event(Event::Silent {
            session: second[0].session,
        });
        let (third, _) = connects(&mut query);
        closed(&mut query, third[0].session, Closed::Unreachable);
        let (fourth, answer) = connects(&mut query);
        assert!(fourth.is_empty());
        let error = answer.unwrap().reply.unwrap_err();
        assert_eq!(error.outcome, Outcome::Lost {});
    }
}
