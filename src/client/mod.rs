//! A client for programs: commands on agents, their output and result, pings and chats.
//!
//! [`Client`] owns a key, a UDP socket for each address family, and the thread that serves them. A [`Host`] is an agent
//! with its key. Calls block; one call is in progress at a time, and a program that wants several has several clients.
//! Not the command line: nothing here reads the files of `udpctl`, writes to the process's standard streams, or handles
//! signals. Invariant: a result is returned only if it is whole; everything else is an [`Error`].
//!
//! # Examples
//! A command on an agent, which for the example runs in the same process:
//!
//! ```
//! use udpagent::client::{Client, Error};
//! use udpagent::crypto::SecretKey;
//! # use udpagent::agent::{daemon, jobs};
//! # fn start(key: udpagent::crypto::PublicKey) -> daemon::Agent {
//! #     daemon::start(daemon::Config {
//! #         identity: SecretKey::generate(&mut udpagent::net::rng().unwrap()),
//! #         name: "example".into(),
//! #         binds: vec![([127, 0, 0, 1], 0).into()],
//! #         trust: daemon::Trust::Keys(vec![key]),
//! #         exec: udpagent::agent::config::Switch::On,
//! #         jobs: jobs::Config::default(),
//! #         sessions_per_key: udpagent::session::limits::SESSIONS_PER_KEY,
//! #         plain: daemon::Plain::Off,
//! #         bot: None,
//! #         cgroup_limits: udpagent::agent::CgroupLimits::default(),
//! #         cgroup_parent: udpagent::agent::CgroupParent::Off,
//! #         log: None,
//! #         recorder: None,
//! #         guard: None,
//! #         replay_log: None,
//! #         history: daemon::History::default(),
//! #         resources: Vec::new(),
//! #         audit: None,
//! #     })
//! #     .unwrap()
//! # }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let identity = SecretKey::generate(&mut udpagent::net::rng()?);
//! # let agent = start(identity.public());
//! # let (address, agent_key) = (agent.addresses()[0].to_string(), agent.key());
//! let mut client = Client::new(identity)?;
//! let host = client.host(&address, agent_key)?;
//!
//! let pong = client.ping(&host)?;
//! assert_eq!(pong.name, "example");
//!
//! let report = client.exec(&host, ["cat"]).stdin(&b"hello"[..]).run()?;
//! assert!(report.is_success());
//! assert_eq!(report.stdout, b"hello");
//!
//! let report = client.exec(&host, ["sh", "-c", "exit 3"]).run()?;
//! assert_eq!(report.exit_status(), 3);
//!
//! let missing = client.exec(&host, ["/no/such/program"]).run();
//! assert!(matches!(missing, Err(Error::NoResult { .. })));
//!
//! let mut chat = client.chat(&host, Some("ann"))?;
//! chat.send("hello")?;
//! chat.leave()?;
//! # agent.stop();
//! # Ok(())
//! # }
//! ```

mod chat;
mod error;
mod exec;

use std::collections::HashMap;
use std::ffi::OsString;
use std::time::Duration;

pub use chat::{Chat, Message};
pub use error::Error;
pub use exec::{Exec, Report};

use crate::control::client as control;
use crate::control::host_resolver;
use crate::control::limits;
use crate::control::queries::run_queries;
use crate::control::query::Question;
use crate::crypto::{PublicKey, SecretKey};
use crate::message::{Outcome, Reply, Request, RoomName};
use crate::net::{self, Target};
use crate::rng::Rng;
use crate::session::Ticket;

/// Connection of this process to the network, under one key.
pub struct Client {
    network: control::Client,
    rng: Rng,
    /// Newest ticket of each agent: the next request to it takes one round trip.
    tickets: HashMap<PublicKey, Ticket>,
}

/// Agent that can be contacted.
#[derive(Clone, Debug)]
pub struct Host(host_resolver::Host);

/// Answer to [`Client::ping`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Pong {
    /// Name of the agent; not escaped.
    pub name: String,
    /// Version of the agent; not escaped.
    pub version: String,
    /// Round-trip time.
    pub rtt: Duration,
}

impl Client {
    /// Opens the sockets and starts the network thread. Agents have to know the public key of `identity`.
    ///
    /// # Errors
    /// [`Error::Network`] if no UDP socket can be opened, or the system has no randomness.
    pub fn new(identity: SecretKey) -> Result<Self, Error> {
        Ok(Self {
            network: control::Client::open(identity).map_err(Error::Network)?,
            rng: net::rng().map_err(Error::Network)?,
            tickets: HashMap::new(),
        })
    }

    /// Resolves a target, `HOST` or `HOST:PORT`, whose agent must have the key `agent`.
    ///
    /// # Errors
    /// [`Error::Target`], [`Error::Resolve`] or [`Error::NoSocket`].
    pub fn host(&self, target: &str, agent: PublicKey) -> Result<Host, Error> {
        let target: Target = target.parse().map_err(Error::Target)?;
        let addresses = target.resolve().map_err(Error::Resolve)?;
        Ok(Host(host_resolver::Host {
            label: target.label().to_owned(),
            agent,
            paths: self.network.paths(&addresses).map_err(Error::NoSocket)?,
            ticket: None,
        }))
    }

    /// Prepares a command: a program with its arguments. [`Exec::run`] runs it.
    pub fn exec<A>(&mut self, host: &Host, argv: impl IntoIterator<Item = A>) -> Exec<'_>
    where
        A: Into<OsString>,
    {
        let argv = argv.into_iter().map(Into::into).collect();
        Exec::new(self, host, argv)
    }

    /// Asks an agent for its name and version.
    ///
    /// # Errors
    /// [`Error::NoResult`] if the agent does not answer or refuses.
    pub fn ping(&mut self, host: &Host) -> Result<Pong, Error> {
        let question = Question {
            host: self.known(host),
            request: Request::Ping {},
            invite: None,
            contact_timeout: limits::CONTACT_TIMEOUT,
            retry_for: limits::CONTACT_TIMEOUT,
            finds_size: false,
        };
        let mut answers = Vec::new();
        run_queries(&self.network, None, vec![question], |_, answer| {
            answers.push(answer);
        });
        let answer = answers.pop().ok_or(Error::NetworkEnded)?;
        self.learn(host, answer.ticket);
        let no_result = |outcome, note| Error::NoResult {
            outcome,
            note,
            id: None,
        };
        match answer.reply {
            Ok(Reply::Pong { name, version }) => Ok(Pong {
                name,
                version,
                rtt: answer.ticket.map_or(Duration::ZERO, |ticket| ticket.rtt),
            }),
            Ok(Reply::Denied {}) => Err(no_result(Outcome::Denied {}, None)),
            Ok(Reply::Unsupported { reason }) => Err(no_result(Outcome::Denied {}, Some(reason))),
            Ok(reply) => {
                let note = format!("an unexpected reply: {reply:?}");
                Err(no_result(Outcome::Lost {}, Some(note)))
            }
            Err(error) => Err(no_result(error.outcome, error.note)),
        }
    }

    /// Joins the default room of the chat of an agent, under `name` or the name that the agent gives to the key.
    ///
    /// # Errors
    /// [`Error::Chat`] if the agent does not answer or refuses.
    pub fn chat(&mut self, host: &Host, name: Option<&str>) -> Result<Chat<'_>, Error> {
        Chat::join(self, host, name, None)
    }

    /// Joins a room of the chat of an agent, which is made if it does not exist, under `name` or the name that the agent
    /// gives to the key.
    ///
    /// # Errors
    /// [`Error::Chat`] if the agent does not answer or refuses.
    pub fn chat_in(
        &mut self,
        host: &Host,
        room: RoomName,
        name: Option<&str>,
    ) -> Result<Chat<'_>, Error> {
        Chat::join(self, host, name, Some(room))
    }

    /// Ends the network thread after it has sent what is due. Without this call the thread ends at once when the
    /// client is dropped.
    pub fn close(self) {
        self.network.close();
    }

    /// The host with the newest ticket of its agent.
    fn known(&self, host: &Host) -> host_resolver::Host {
        let ticket = self.tickets.get(&host.0.agent).copied();
        host_resolver::Host {
            ticket,
            ..host.0.clone()
        }
    }

    fn learn(&mut self, host: &Host, ticket: Option<Ticket>) {
        if let Some(ticket) = ticket {
            self.tickets.insert(host.0.agent, ticket);
        }
    }
}

impl Host {
    /// Returns the target as it was given.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.0.label
    }

    /// Returns the key of the agent.
    #[must_use]
    pub const fn agent(&self) -> PublicKey {
        self.0.agent
    }
}
