//! From target texts to hosts that can be talked to: names resolved, keys found, tickets loaded, and
//! one socket for each address family.
//!
//! Resolution runs on threads of its own, before or beside the network thread. What is wrong with
//! one target is that target's failure and nobody else's problem.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::known_agents::{KnownAgents, TrustError};
use super::limits;
use super::tickets::{Tickets, boot_id};
use crate::crypto::{PublicKey, SecretKey};
use crate::home::{AgentHome, ControlHome};
use crate::net::{self, Command, Event, Net, PlainSink, ResolveError, Target};
use crate::session::{self, Path, Ticket};

/// What this controller knows of agents.
pub struct HostResolver {
    known: KnownAgents,
    tickets: Tickets,
    /// The public key of the same user's agent, good on loopback addresses.
    own_agent: Option<PathBuf>,
}

/// An agent that can be talked to.
#[derive(Clone, Debug)]
pub struct Host {
    /// As the user typed it.
    pub label: String,
    /// Its key.
    pub agent: PublicKey,
    /// Where it is, best first; not empty.
    pub paths: Vec<Path>,
    /// What is remembered of it.
    pub ticket: Option<Ticket>,
}

/// Why a target cannot be talked to. Its text does not name the target.
#[derive(Debug)]
pub enum HostError {
    /// Its name leads nowhere.
    Resolve(ResolveError),
    /// It has addresses only of a family that this machine has no socket for.
    Family,
    /// Its key is not known.
    Trust(TrustError),
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(error) => error.fmt(f),
            Self::Family => f.write_str("this machine has no network of its address family"),
            // Who prints this names the target anyway.
            Self::Trust(error @ (TrustError::Unknown(target) | TrustError::NoOwnAgent(target))) => {
                let text = error.to_string();
                let prefix = format!("{}: ", target.label());
                f.write_str(text.strip_prefix(&prefix).unwrap_or(&text))
            }
            Self::Trust(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for HostError {}

/// The network thread, with a socket for each address family.
pub struct Client {
    net: Net,
    /// The first slot that has not been given away: what numbers sessions within it is its holder's.
    next_slot: AtomicU32,
}

impl HostResolver {
    /// Reads what is known.
    ///
    /// # Errors
    /// When the file of known agents cannot be trusted.
    pub fn open(home: &ControlHome, own_agent: Option<&AgentHome>) -> Result<Self, TrustError> {
        Ok(Self {
            known: KnownAgents::load(&home.known_agents())?,
            tickets: Tickets::new(home.tickets(), boot_id()),
            own_agent: own_agent.map(AgentHome::identity_pub),
        })
    }

    /// Remembers an agent. A ticket that cannot be kept costs a round trip next time, so that is no
    /// error.
    pub fn learn(&self, agent: &PublicKey, ticket: &Ticket) {
        let _ = self.tickets.store(agent, ticket);
    }

    /// Finds the hosts, in the order of the targets.
    #[must_use]
    pub fn find(&self, targets: &[Target], client: &Client) -> Vec<Result<Host, HostError>> {
        std::iter::zip(targets, resolve_all(targets))
            .map(|(target, addresses)| {
                let addresses = addresses.map_err(HostError::Resolve)?;
                let ips: Vec<IpAddr> = addresses.iter().map(SocketAddr::ip).collect();
                let pin = self
                    .known
                    .lookup(target, &ips, self.own_agent.as_deref())
                    .map_err(HostError::Trust)?;
                Ok(Host {
                    label: target.label().to_owned(),
                    agent: pin.key,
                    paths: client.paths(&addresses)?,
                    ticket: self.tickets.load(&pin.key),
                })
            })
            .collect()
    }
}

impl Client {
    /// Binds a socket for each address family and starts the network thread.
    ///
    /// # Errors
    /// When neither family can be bound, or the system has no randomness.
    pub fn open(identity: SecretKey) -> io::Result<Self> {
        Self::start(identity, None)
    }

    /// The same for plain text, under a key of no meaning, which `sink` lets through.
    ///
    /// # Errors
    /// As [`Client::open`].
    pub fn open_plain(sink: Box<dyn PlainSink>) -> io::Result<Self> {
        let identity = SecretKey::generate(&mut net::rng()?);
        Self::start(identity, Some(sink))
    }

    fn start(identity: SecretKey, plain: Option<Box<dyn PlainSink>>) -> io::Result<Self> {
        let binds = [
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        ];
        let config = session::Config::new(identity, None);
        let carriers = net::bind_udp(&binds)?.carriers;
        Ok(Self {
            net: net::start(carriers, config, net::rng()?, plain, None)?,
            next_slot: AtomicU32::new(0),
        })
    }

    /// The paths to some addresses, best first.
    ///
    /// # Errors
    /// When there is no socket for any of them.
    pub fn paths(&self, addresses: &[SocketAddr]) -> Result<Vec<Path>, HostError> {
        let paths: Vec<Path> = addresses
            .iter()
            .filter_map(|&remote| self.net.path_to(remote))
            .take(limits::ADDRESSES)
            .collect();
        if paths.is_empty() {
            return Err(HostError::Family);
        }
        Ok(paths)
    }

    /// Slots for `count` machines, numbered upwards from the one that is returned. The sessions of slot `n`
    /// are `n << 16` and those that follow.
    #[must_use]
    pub fn reserve(&self, count: usize) -> u32 {
        let count = u32::try_from(count).expect("a command line holds fewer targets");
        self.next_slot.fetch_add(count, Ordering::Relaxed)
    }

    /// Asks something of the session machine. A thread that has ended says so through its events.
    pub fn send(&self, command: session::Command) {
        let _ = self.net.handle.send(Command::Session(command));
    }

    /// Sends a bare datagram.
    pub fn send_plain(&self, path: Path, text: bytes::Bytes) {
        let _ = self.net.handle.send(Command::Plain { path, text });
    }

    /// The events; take them with [`Client::taken`] after each.
    #[must_use]
    pub const fn events(&self) -> &crossbeam_channel::Receiver<Event> {
        self.net.events.channel()
    }

    /// An event was taken from the channel.
    pub fn taken(&self) {
        self.net.events.taken();
    }

    /// Sends what is due, then ends the thread.
    pub fn close(self) {
        let _ = self.net.handle.send(Command::Shutdown);
        let deadline = std::time::Instant::now() + limits::FAREWELL;
        while self.net.events.channel().recv_deadline(deadline).is_ok() {
            self.net.events.taken();
        }
    }
}

/// Looks all names up, several at a time.
fn resolve_all(targets: &[Target]) -> Vec<Result<Vec<SocketAddr>, ResolveError>> {
    let threads = targets.len().min(limits::RESOLVERS);
    if threads <= 1 {
        return targets.iter().map(Target::resolve).collect();
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        while let Some((index, target)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            targets.get(index).map(|target| (index, target))
        } {
            found.push((index, target.resolve()));
        }
        found
    };
    let mut found: Vec<_> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        handles
            .into_iter()
            .flat_map(|handle| handle.join().expect("looking a name up does not panic"))
            .collect()
    });
    found.sort_unstable_by_key(|&(index, _)| index);
    found.into_iter().map(|(_, addresses)| addresses).collect()
}
