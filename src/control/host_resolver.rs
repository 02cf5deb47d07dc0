//! Resolution of targets: from the text of a target to addresses, the agent's key and its ticket.
//!
//! Runs on threads of its own, before or beside the network thread. Invariant: an error of one target does not affect
//! the others.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::client::{Client, NoSocket};
use super::known_agents::{KnownAgents, Pin, TrustError};
use super::limits;
use super::tickets::{Tickets, boot_id};
use crate::crypto::PublicKey;
use crate::home::{AgentHome, ControlHome};
use crate::net::{ResolveError, Target};
use crate::session::{Path, Ticket};

/// Known agents and their tickets.
pub struct HostResolver {
    known: KnownAgents,
    tickets: Tickets,
    /// Public key file of the same user's agent, which is trusted on loopback addresses.
    own_agent: Option<PathBuf>,
}

/// Agent with its addresses and key.
#[derive(Clone, Debug)]
pub struct Host {
    /// The target as the user typed it.
    pub label: String,
    /// Key of the agent.
    pub agent: PublicKey,
    /// Addresses, best first; not empty.
    pub paths: Vec<Path>,
    /// Ticket from an earlier session.
    pub ticket: Option<Ticket>,
}

/// Addresses of a target.
pub type Resolved = Result<Vec<SocketAddr>, ResolveError>;

/// Reason why a target cannot be contacted. Its text does not name the target.
#[derive(Debug)]
pub enum HostError {
    /// The name has no address.
    Resolve(ResolveError),
    /// No socket here has the family of its addresses.
    NoSocket(NoSocket),
    /// The agent's key is not known.
    Trust(TrustError),
    /// The request cannot be recorded, so its id could not prevent a second start.
    Journal(io::Error),
    /// Names cannot be looked up here.
    NoResolver,
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(error) => error.fmt(f),
            Self::NoSocket(error) => error.fmt(f),
            // The caller names the target.
            Self::Trust(error @ (TrustError::Unknown(target) | TrustError::NoOwnAgent(target))) => {
                let text = error.to_string();
                let prefix = format!("{}: ", target.label());
                f.write_str(text.strip_prefix(&prefix).unwrap_or(&text))
            }
            Self::Trust(error) => error.fmt(f),
            Self::Journal(error) => write!(
                f,
                "the request cannot be recorded in the journal, so --id could not prevent a second start: {error}"
            ),
            Self::NoResolver => f.write_str("names cannot be looked up here"),
        }
    }
}

impl std::error::Error for HostError {}

impl HostResolver {
    /// Reads the known agents.
    ///
    /// # Errors
    /// If the file of known agents cannot be trusted.
    pub fn open(home: &ControlHome, own_agent: Option<&AgentHome>) -> Result<Self, TrustError> {
        Ok(Self {
            known: KnownAgents::load(&home.known_agents())?,
            tickets: Tickets::new(home.tickets(), boot_id()),
            own_agent: own_agent.map(AgentHome::identity_pub),
        })
    }

    /// Adds the key of a target from another source than the file of known agents.
    pub fn pin(&mut self, target: Target, pin: Pin) {
        self.known.pin(target, pin);
    }

    /// Returns the errors of lines of the file of known agents.
    #[must_use]
    pub fn problems(&self) -> Vec<TrustError> {
        self.known.problems()
    }

    /// Learns a ticket, which is written later, at the latest when the resolver is dropped. One that cannot be written
    /// costs a round trip next time, which is no error.
    pub fn learn(&self, agent: &PublicKey, ticket: &Ticket) {
        self.tickets.learn(agent, ticket);
    }

    /// Resolves targets and returns the hosts in the same order.
    #[must_use]
    pub fn find(&self, targets: &[Target], client: &Client) -> Vec<Result<Host, HostError>> {
        self.hosts(targets, resolve_all(targets), client)
    }

    /// Returns the hosts of targets that were [resolved](resolve_all), in the same order.
    #[must_use]
    pub fn hosts(
        &self,
        targets: &[Target],
        addresses: Vec<Resolved>,
        client: &Client,
    ) -> Vec<Result<Host, HostError>> {
        let mut hosts: Vec<_> = std::iter::zip(targets, addresses)
            .map(|(target, addresses)| self.find_host(target, addresses, client))
            .collect();
        // At once: the file of the tickets is opened once.
        let agents: Vec<PublicKey> = hosts.iter().flatten().map(|host| host.agent).collect();
        let tickets = self.tickets.load(&agents);
        for (host, ticket) in std::iter::zip(hosts.iter_mut().flatten(), tickets) {
            host.ticket = ticket;
        }
        hosts
    }

    /// Returns the host of one target that was resolved.
    ///
    /// # Errors
    /// [`HostError`]: the reason why it cannot be contacted.
    pub fn host(
        &self,
        target: &Target,
        addresses: Resolved,
        client: &Client,
    ) -> Result<Host, HostError> {
        let mut hosts = self.hosts(std::slice::from_ref(target), vec![addresses], client);
        hosts.pop().expect("one target, one host")
    }

    /// Returns the key that the agent of a target with these addresses must have, with its source.
    ///
    /// # Errors
    /// [`HostError::Trust`]: no key is known, or the lines about it cannot be used.
    pub fn pin_of(&self, target: &Target, addresses: &[IpAddr]) -> Result<Pin, HostError> {
        let own_agent = self.own_agent.as_deref();
        let pin = self.known.lookup(target, addresses, own_agent);
        pin.map_err(HostError::Trust)
    }

    /// Returns the host of a target that was resolved, without its ticket.
    fn find_host(
        &self,
        target: &Target,
        addresses: Resolved,
        client: &Client,
    ) -> Result<Host, HostError> {
        let addresses = addresses.map_err(HostError::Resolve)?;
        let ips: Vec<IpAddr> = addresses.iter().map(SocketAddr::ip).collect();
        let pin = self.pin_of(target, &ips)?;
        Ok(Host {
            label: target.label().to_owned(),
            agent: pin.key,
            paths: client.paths(&addresses).map_err(HostError::NoSocket)?,
            ticket: None,
        })
    }
}

/// Looks up all names, [`limits::RESOLVERS`] at a time.
#[must_use]
pub fn resolve_all(targets: &[Target]) -> Vec<Resolved> {
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
