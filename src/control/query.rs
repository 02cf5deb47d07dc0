//! One question, one answer: `ping`, `accept`, `jobs`, `wait`, `kill`.
//!
//! [`Query`] is the sans-IO machine for one host, [`query`] the loop that drives many. Every question may
//! be asked twice without harm, so after a silence it simply is, in a new session.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::client::Client;
use super::host_resolver::{Host, HostResolver};
use super::limits;
use crate::message::{CloseCode, LineError, Lines, Outcome, Reply, Request, to_line};
use crate::net;
use crate::session::{Closed, Command, Connect, Event, SessionHandle, StreamEvent, Ticket};
use crate::wire::limits::INVITE;
use crate::wire::{CallId, Lane, StreamId};

/// What is asked, and where.
#[derive(Clone, Debug)]
pub struct Question {
    /// Of whom.
    pub host: Host,
    /// What.
    pub request: Request,
    /// An invitation to be shown.
    pub invite: Option<[u8; INVITE]>,
    /// How long an agent that does not answer is waited for.
    pub contact_timeout: Duration,
    /// How long an agent that fell silent is asked again.
    pub retry_for: Duration,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The reply, or why there is none.
    pub reply: Result<Reply, NoReply>,
    /// What was learnt of the agent, with the round-trip time.
    pub ticket: Option<Ticket>,
}

/// Why there is no reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoReply {
    /// [`Outcome::Unreachable`] or [`Outcome::Lost`].
    pub outcome: Outcome,
    /// More about it, perhaps in the peer's words: escape it before showing.
    pub note: Option<String>,
}

/// What the machine wants done.
#[derive(Debug)]
pub enum Action {
    /// For the session machine.
    Command(Command),
    /// It is over; nothing follows.
    Ended(Answer),
}

/// A question under way.
pub struct Query {
    slot: u32,
    question: Question,
    tries: u16,
    session: SessionHandle,
    contacted: bool,
    silent_for: Duration,
    ticket: Option<Ticket>,
    lines: Lines,
    actions: VecDeque<Action>,
    ended: bool,
}

impl Query {
    /// Begins: the first action opens a session. `slot` numbers it among those of the process.
    #[must_use]
    pub fn new(slot: u32, question: Question) -> Self {
        let mut query = Self {
            slot,
            question,
            tries: 0,
            session: SessionHandle(0),
            contacted: false,
            silent_for: Duration::ZERO,
            ticket: None,
            lines: Lines::default(),
            actions: VecDeque::new(),
            ended: false,
        };
        query.connect();
        query
    }

    /// The slot of the question that a session belongs to.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "connect() shifts a 32-bit slot"
    )]
    pub const fn slot_of(session: SessionHandle) -> u32 {
        (session.0 >> 16) as u32
    }

    /// What to do next.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Something happened on one of its sessions.
    pub fn on_event(&mut self, event: Event) {
        if self.ended || event.session() != Some(self.session) {
            return;
        }
        match event {
            Event::Connected { ticket, .. } => {
                self.contacted = true;
                self.silent_for = Duration::ZERO;
                self.ticket = Some(ticket);
                self.question.host.ticket = Some(ticket);
                self.command(Command::Watch {
                    session: self.session,
                    silence: self.question.contact_timeout,
                    ping: Some(self.question.contact_timeout / 2),
                });
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
                self.ask_again();
            }
            Event::Heard { .. } => self.silent_for = Duration::ZERO,
            Event::Stream {
                event: StreamEvent::Reset { .. },
                ..
            } => self.fail(Some("the agent gave the question up".into())),
            Event::Closed { reason, .. } => self.on_closed(reason),
            _ => {}
        }
    }

    fn on_data(&mut self, stream: StreamId, data: &Bytes, fin: bool) {
        self.command(Command::Consumed {
            session: self.session,
            stream,
            bytes: data.len() as u64,
        });
        self.lines.push(data);
        match self.lines.next() {
            Some(Ok(reply)) => {
                self.command(Command::Release {
                    session: self.session,
                    call: CallId(0),
                });
                self.close(CloseCode::Done);
                self.end(Ok(reply));
            }
            Some(Err(LineError::TooLong)) => self.fail(Some("a reply that is too long".into())),
            Some(Err(LineError::Malformed(what))) => {
                self.close(CloseCode::Violation);
                self.fail(Some(format!("a reply that is none: {what}")));
            }
            None if fin => self.fail(Some("the agent did not reply".into())),
            None => {}
        }
    }

    fn on_closed(&mut self, reason: Closed) {
        let addresses = self.question.host.paths.len();
        match reason {
            Closed::Unreachable if self.contacted => self.ask_again(),
            Closed::Unreachable if usize::from(self.tries) < addresses => self.connect(),
            Closed::Unreachable => self.end(Err(NoReply {
                outcome: Outcome::Unreachable {},
                note: None,
            })),
            Closed::Lost | Closed::KeyUsedUp | Closed::Restarted => self.ask_again(),
            Closed::Full => self.fail(Some("too many sessions here".into())),
            Closed::ByPeer { reason, .. } => {
                let note = if reason.is_empty() {
                    "the agent has ended the session".into()
                } else {
                    reason
                };
                self.fail(Some(note));
            }
            Closed::Violation(what) => {
                self.fail(Some(format!("the agent broke the protocol: {what}")));
            }
            Closed::Local => {}
        }
    }

    fn ask_again(&mut self) {
        self.silent_for += self.question.contact_timeout;
        if self.silent_for < self.question.retry_for && self.tries < u16::MAX {
            self.connect();
        } else {
            self.fail(None);
        }
    }

    fn connect(&mut self) {
        self.session = SessionHandle(u64::from(self.slot) << 16 | u64::from(self.tries));
        self.lines = Lines::default();
        let paths = &self.question.host.paths;
        let try_number = usize::from(self.tries);
        let last = try_number + 1 >= paths.len();
        let path = paths[try_number % paths.len()];
        self.tries += 1;
        self.command(Command::Connect(Connect {
            session: self.session,
            agent: self.question.host.agent,
            path,
            ticket: self.question.host.ticket,
            invite: self.question.invite,
            first: to_line(&self.question.request).into(),
            timeout: if last {
                self.question.contact_timeout
            } else {
                limits::NEXT_ADDRESS
            },
        }));
    }

    fn command(&mut self, command: Command) {
        self.actions.push_back(Action::Command(command));
    }

    fn close(&mut self, code: CloseCode) {
        self.command(Command::Close {
            session: self.session,
            code: code as u64,
            reason: String::new(),
        });
    }

    fn fail(&mut self, note: Option<String>) {
        self.end(Err(NoReply {
            outcome: Outcome::Lost {},
            note,
        }));
    }

    fn end(&mut self, reply: Result<Reply, NoReply>) {
        self.ended = true;
        self.actions.push_back(Action::Ended(Answer {
            reply,
            ticket: self.ticket,
        }));
    }
}

/// Asks all questions, [`limits::WINDOW`] at a time, and hands each answer to `answered` as it comes, with
/// the index of its question. What is learnt of the agents is remembered in `resolver`.
pub fn run_queries(
    client: &Client,
    resolver: Option<&HostResolver>,
    questions: Vec<Question>,
    mut answered: impl FnMut(usize, Answer),
) {
    let base = client.reserve(questions.len());
    let mut waiting = (base..).zip(questions);
    let mut queries: std::collections::HashMap<u32, Query> = std::collections::HashMap::new();
    let mut act = |slot: u32, query: &mut Query| {
        while let Some(action) = query.poll() {
            match action {
                Action::Command(command) => client.send(command),
                Action::Ended(answer) => {
                    if let (Some(resolver), Some(ticket)) = (resolver, &answer.ticket) {
                        resolver.learn(&query.question.host.agent, ticket);
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
            && let Some(slot) = event.session().map(Query::slot_of)
            && let Some(query) = queries.get_mut(&slot)
        {
            query.on_event(event);
            if act(slot, query) {
                queries.remove(&slot);
            }
        }
    }
}
