//! Contact with one agent: the sessions that a client opens to it, one after another, each over all its addresses.
//!
//! Sans-IO. Not the meaning of what a session carries, which is its user's; nor the choice among the addresses, which
//! is the session layer's. Invariants: the handles of a contact's sessions ascend and none is used twice; with an agent
//! that never answers the whole contact lasts for the contact timeout.

use std::time::Duration;

use bytes::Bytes;

use crate::crypto::PublicKey;
use crate::message::CloseCode;
use crate::peer_addr::PeerAddr;
use crate::session::{Closed, Command, Connect, Path, SessionHandle, Ticket, Violation};
use crate::wire::limits::INVITE;

/// Words for an agent that does not answer, with the likely reasons.
pub const NO_ANSWER: &str =
    "no answer (is udpagent running there, and does it know this controller's key?)";

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
}

/// Reason why no further session is opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// No address has answered.
    Unreachable {
        /// The addresses, in words, if there are several.
        tried: Option<String>,
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
            Closed::Unreachable => Err(Failure::Unreachable {
                tried: self.tried(),
            }),
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
mod tests {
    use super::*;

    const TICKET: Ticket = Ticket {
        epoch: 1,
        offset: 0,
        rtt: Duration::from_millis(1),
    };
    const TIMEOUT: Duration = Duration::from_secs(10);

    fn contact(addresses: u16) -> Contact {
        Contact::new(Config {
            slot: u32::MAX,
            agent: PublicKey([1; 32]),
            paths: (0..addresses)
                .map(|port| Path {
                    socket: 0,
                    local: None,
                    remote: std::net::SocketAddr::from(([127, 0, 0, 1], 7000 + port)).into(),
                })
                .collect(),
            ticket: None,
            invite: None,
            contact_timeout: TIMEOUT,
            retry_for: 3 * TIMEOUT,
        })
    }

    fn connect(contact: &mut Contact) -> Connect {
        match contact.connect(Bytes::new()) {
            Command::Connect(connect) => connect,
            command => panic!("{command:?}"),
        }
    }

    fn ports(connect: &Connect) -> Vec<Option<u16>> {
        let paths = std::iter::once(&connect.path).chain(&connect.further);
        paths.map(|path| path.remote.port()).collect()
    }

    #[test]
    fn a_session_is_tried_on_every_address_for_the_contact_timeout_and_all_are_named() {
        let mut contact = contact(3);
        let connect = connect(&mut contact);
        assert_eq!(ports(&connect), [7000, 7001, 7002].map(Some));
        assert_eq!(connect.timeout, TIMEOUT);
        assert_eq!(contact.answered_at(), None);
        let tried = "tried 127.0.0.1:7000, 127.0.0.1:7001, 127.0.0.1:7002";
        assert_eq!(
            contact.on_closed(Closed::Unreachable),
            Err(Failure::Unreachable {
                tried: Some(tried.into())
            })
        );
    }

    #[test]
    fn the_only_address_is_not_named_again() {
        let mut contact = contact(1);
        let connect = connect(&mut contact);
        assert_eq!(ports(&connect), [Some(7000)]);
        assert_eq!(
            contact.on_closed(Closed::Unreachable),
            Err(Failure::Unreachable { tried: None })
        );
        contact.on_connected(connect.path, TICKET);
        assert_eq!(contact.answered_at(), None);
    }

    #[test]
    fn the_next_session_tries_the_address_that_has_answered_first() {
        let mut contact = contact(3);
        let first = connect(&mut contact);
        contact.on_connected(first.further[1], TICKET);
        assert_eq!(contact.answered_at(), Some(first.further[1].remote));
        for reason in [Closed::Reset, Closed::Lost, Closed::Unreachable] {
            assert_eq!(contact.on_closed(reason), Ok(()));
            let next = connect(&mut contact);
            assert_eq!(ports(&next), [7002, 7000, 7001].map(Some));
            assert_eq!(next.ticket, Some(TICKET));
        }
    }

    #[test]
    fn sessions_are_numbered_within_the_slot() {
        let mut contact = contact(1);
        for generation in 0..3 {
            let session = connect(&mut contact).session;
            assert_eq!(session.0 & 0xffff, generation);
            assert_eq!(session, contact.session());
            assert_eq!(Contact::slot_of(session), u32::MAX);
            assert!(session.0 < 1 << 63);
        }
    }

    #[test]
    fn a_silent_agent_is_retried_for_the_retry_time_with_the_newest_ticket() {
        let mut contact = contact(2);
        let path = connect(&mut contact).path;
        contact.on_connected(path, TICKET);
        assert_eq!(contact.on_silence(), Ok(()));
        let next = connect(&mut contact);
        assert_eq!((next.ticket, next.timeout), (Some(TICKET), TIMEOUT));
        assert_eq!(contact.on_closed(Closed::Unreachable), Ok(()));
        assert_eq!(contact.on_silence(), Err(Failure::Lost));
        contact.on_heard();
        assert_eq!(contact.on_silence(), Ok(()));
    }

    #[test]
    fn a_restart_a_reset_or_a_used_up_key_does_not_count_as_silence() {
        let mut contact = contact(1);
        for _ in 0..10 {
            connect(&mut contact);
            let by_peer = Closed::ByPeer {
                code: CloseCode::KeyUsedUp as u64,
                reason: String::new(),
            };
            for reason in [Closed::Restarted, Closed::Reset, Closed::KeyUsedUp, by_peer] {
                assert_eq!(contact.on_closed(reason), Ok(()));
            }
        }
    }

    #[test]
    fn session_numbers_run_out_without_an_overflow() {
        let mut contact = contact(1);
        for _ in 0..u16::MAX {
            assert!(contact.may_connect());
            let path = connect(&mut contact).path;
            contact.on_connected(path, TICKET);
        }
        assert!(!contact.may_connect());
        assert_eq!(contact.on_closed(Closed::Lost), Err(Failure::Lost));
    }
}
