//! Contact with one agent: the sessions that a client opens to it, one after another, each over all its addresses.
//!
//! Sans-IO. Not the meaning of what a session carries, which is its user's; nor the choice among the addresses, which
//! is the session layer's. Invariants: the handles of a contact's sessions ascend and none is used twice; with an agent
//! that never answers the whole contact lasts for the contact timeout.

mod refusals;
mod reporters;

use std::time::Duration;

use bytes::Bytes;

use self::refusals::Refusals;
pub use self::refusals::refusal_words;
pub use self::reporters::Reporters;
use crate::crypto::PublicKey;
use crate::message::CloseCode;
use crate::net::Refusal;
use crate::peer_addr::PeerAddr;
use crate::session::{Closed, Command, Connect, Path, SessionHandle, Ticket, Violation};
use crate::wire::limits::INVITE;

/// Words for an agent that does not answer, with the likely reasons.
const NO_ANSWER: &str =
    "no answer (is udpagent running there, and does it know this controller's key?)";

/// Words for an agent that does not answer: without the likely reasons if the network has reported one, which
/// [`Failure::Unreachable`] notes.
#[must_use]
pub const fn no_answer(is_refused: bool) -> &'static str {
    if is_refused { "no answer" } else { NO_ANSWER }
}

/// Parameters of a contact.
#[derive(Clone, Debug)]
pub struct Config {
    /// Number of the contact among those of the process, from
    /// [`Client::reserve`](super::client::Client::reserve).
    pub slot: u32,
    /// Key of the agent.
    pub agent: PublicKey,
    /// Addresses of the agent, best first; not empty.
    pub paths: Vec<Path>,
    /// Ticket from an earlier session.
    pub ticket: Option<Ticket>,
    /// Invitation to present.
    pub invite: Option<[u8; INVITE]>,
    /// Time after which an agent that does not answer is given up.
    pub contact_timeout: Duration,
    /// Time for which a silent agent is retried.
    pub retry_for: Duration,
}

/// Sessions to one agent.
#[derive(Debug)]
pub struct Contact {
    config: Config,
    /// Number of sessions opened.
    generation: u16,
    /// True once an agent has answered.
    contacted: bool,
    /// Time without an answer since something was last heard, in steps of the contact timeout.
    silent_for: Duration,
    refusals: Refusals,
}

/// Reason why no further session is opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// No address has answered.
    Unreachable {
        /// True if the network has reported that no address is reached.
        is_refused: bool,
        /// That report, and the addresses if there are several, in words.
        note: Option<String>,
    },
    /// The agent answered before, and has been silent for the retry time.
    Lost,
    /// This side has no capacity for another session.
    Full,
    /// The agent has ended the session.
    ByPeer {
        /// Reason for programs, a [`CloseCode`].
        code: u64,
        /// Reason for people; not escaped.
        reason: String,
    },
    /// The agent broke the protocol.
    Violation(Violation),
    /// This side has ended the session.
    Local,
}

impl Contact {
    /// Creates a contact without a session.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self {
            config,
            generation: 0,
            contacted: false,
            silent_for: Duration::ZERO,
            refusals: Refusals::new(),
        }
    }

    /// Returns the slot of the contact that a session belongs to.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "handle() shifts a 32-bit slot"
    )]
    pub const fn slot_of(session: SessionHandle) -> u32 {
        (session.0 >> 16) as u32
    }

    /// Returns the handle of the newest session, or of the first one before it is opened.
    #[must_use]
    pub fn session(&self) -> SessionHandle {
        self.handle(self.generation.saturating_sub(1))
    }

    /// Returns the key of the agent.
    #[must_use]
    pub const fn agent(&self) -> PublicKey {
        self.config.agent
    }

    /// Returns the newest ticket of the agent.
    #[must_use]
    pub const fn ticket(&self) -> Option<Ticket> {
        self.config.ticket
    }

    /// Returns the time after which an agent that does not answer is given up.
    #[must_use]
    pub const fn contact_timeout(&self) -> Duration {
        self.config.contact_timeout
    }

    /// Returns true once an agent has answered.
    #[must_use]
    pub const fn is_contacted(&self) -> bool {
        self.contacted
    }

    /// Returns true while there is a handle for another session.
    #[must_use]
    pub const fn may_connect(&self) -> bool {
        self.generation < u16::MAX
    }

    /// Begins again with the first handle, whose session has ended long ago.
    pub const fn reuse_handles(&mut self) {
        self.generation = 0;
    }

    /// Returns the address that has answered last, if there are several.
    #[must_use]
    pub fn answered_at(&self) -> Option<PeerAddr> {
        let several = self.config.paths.len() > 1;
        (self.contacted && several).then(|| self.config.paths[0].remote)
    }

    /// Opens the next session. `first` begins the control lane of its first call.
    /// Requires [`Contact::may_connect`].
    pub fn connect(&mut self, first: Bytes) -> Command {
        let paths = &self.config.paths;
        let connect = Connect {
            session: self.handle(self.generation),
            agent: self.config.agent,
            path: paths[0],
            further: paths[1..].to_vec(),
            ticket: self.config.ticket,
            invite: self.config.invite,
            first,
            timeout: self.config.contact_timeout,
        };
        self.generation += 1;
        Command::Connect(connect)
    }

    /// Has a silence of the contact timeout on a session reported, and the peer pinged after half of it.
    #[must_use]
    pub fn watch(&self, session: SessionHandle) -> Command {
        Command::Watch {
            session,
            silence: self.config.contact_timeout,
            ping: Some(self.config.contact_timeout / 2),
        }
    }

    /// The agent has answered on `path`, which the next session tries first.
    pub fn on_connected(&mut self, path: Path, ticket: Ticket) {
        let mut paths = self.config.paths.iter();
        if let Some(index) = paths.position(|other| other.remote == path.remote) {
            self.config.paths[..=index].rotate_right(1);
        }
        self.contacted = true;
        self.config.ticket = Some(ticket);
        self.on_heard();
    }

    /// Something was heard of the agent.
    pub const fn on_heard(&mut self) {
        self.silent_for = Duration::ZERO;
    }

    /// The network has reported that datagrams do not reach the agent. Returns what the user should know at once, in
    /// words, the first time that no address of the agent is reached. The contact goes on: a report can be forged.
    pub fn on_refused(&mut self, refusal: Refusal) -> Option<String> {
        if self.contacted {
            return None;
        }
        let paths = &self.config.paths;
        self.refusals.add(paths, refusal);
        if !self.refusals.is_news(paths) {
            return None;
        }
        let words = self.refusals.words(paths)?;
        let timeout = self.config.contact_timeout;
        Some(format!("{words}; still trying, for {timeout:?} in all"))
    }

    /// Handles the same report in a run over several hosts. It is about this one only if one of its addresses has sent it:
    /// that of a router may be about any.
    pub fn on_refused_among(&mut self, refusal: Refusal) {
        let mut addresses = self.config.paths.iter().map(|path| path.remote.ip());
        if !self.contacted && addresses.any(|ip| ip == refusal.reporter) {
            self.refusals.add(&self.config.paths, refusal);
        }
    }

    /// Returns words for an agent that has not answered yet, unless more is known and was told.
    #[must_use]
    pub fn waiting(&self) -> Option<String> {
        let timeout = self.config.contact_timeout;
        (!self.contacted && !self.refusals.is_told())
            .then(|| format!("no answer yet; still trying, for {timeout:?} in all"))
    }

    /// Nothing was heard for the contact timeout. Returns as [`Contact::on_closed`].
    ///
    /// # Errors
    /// [`Failure::Lost`] if the agent has been silent for the retry time.
    pub fn on_silence(&mut self) -> Result<(), Failure> {
        self.silent_for = self.silent_for.saturating_add(self.config.contact_timeout);
        self.retry()
    }

    /// A session has ended. Returns `Ok` if another one is to be opened.
    ///
    /// # Errors
    /// The reason why none is.
    pub fn on_closed(&mut self, reason: Closed) -> Result<(), Failure> {
        match reason {
            Closed::Unreachable if self.contacted => self.on_silence(),
            Closed::Unreachable => Err(self.unreachable()),
            Closed::Lost | Closed::Reset | Closed::KeyUsedUp => self.retry(),
            Closed::Restarted => {
                self.contacted = true;
                self.retry()
            }
            Closed::ByPeer { code, .. } if code == CloseCode::KeyUsedUp as u64 => self.retry(),
            Closed::ByPeer { code, reason } => Err(Failure::ByPeer { code, reason }),
            Closed::Full => Err(Failure::Full),
            Closed::Violation(what) => Err(Failure::Violation(what)),
            // An agent's endpoint alone has the other two.
            Closed::Local | Closed::Evicted | Closed::Denied => Err(Failure::Local),
        }
    }

    fn retry(&self) -> Result<(), Failure> {
        if self.silent_for < self.config.retry_for && self.may_connect() {
            Ok(())
        } else {
            Err(Failure::Lost)
        }
    }

    fn unreachable(&self) -> Failure {
        let refused = self.refusals.words(&self.config.paths);
        let is_refused = refused.is_some();
        let notes: Vec<String> = refused.into_iter().chain(self.tried()).collect();
        Failure::Unreachable {
            is_refused,
            note: (!notes.is_empty()).then(|| notes.join(": ")),
        }
    }

    /// Returns the addresses in words, if there are several. An agent with another key stays silent, so that it is among
    /// them.
    #[must_use]
    pub fn tried(&self) -> Option<String> {
        let paths = &self.config.paths;
        let addresses: Vec<String> = paths.iter().map(|path| path.remote.to_string()).collect();
        (addresses.len() > 1).then(|| format!("tried {}", addresses.join(", ")))
    }

    fn handle(&self, generation: u16) -> SessionHandle {
        SessionHandle(u64::from(self.config.slot) << 16 | u64::from(generation))
    }
}

/// Closes a session.
#[must_use]
pub fn close(session: SessionHandle, code: CloseCode) -> Command {
    Command::Close {
        session,
        code: code as u64,
        reason: String::new(),
    }
}

#[cfg(test)]
mod tests;
