//! Files, keys, network and output of a subcommand of `udpctl`.

use anyhow::{Context as _, Result};

pub use crate::cli::output::{note, print};
use crate::control::client::Client;
use crate::control::host_resolver::{Host, HostError, HostResolver, resolve_all};
use crate::control::journal::Journal;
use crate::control::stdio::Streams;
use crate::control::tickets::boot_id;
use crate::crypto::{SecretKey, key_file};
use crate::home::{AgentHome, ControlHome, User, environment};
use crate::net::{self, Target};
use crate::rng::Rng;

/// Words for a system that has no UDP socket to give.
const NO_SOCKET: &str = "cannot open a UDP socket";

/// Surroundings of a subcommand.
pub struct Context {
    /// Paths of this controller's files.
    pub home: ControlHome,
    /// Source of random numbers.
    pub rng: Rng,
}

/// Network and hosts of a subcommand.
pub struct Network {
    /// Network thread.
    pub client: Client,
    /// Known agents.
    pub resolver: HostResolver,
    /// Hosts of the targets, in their order.
    pub hosts: Vec<Result<Host, HostError>>,
}

impl Context {
    /// Locates the files; creates nothing.
    pub fn new() -> Result<Self> {
        Ok(Self {
            home: ControlHome::locate(&environment)?,
            rng: net::rng().context("cannot get random numbers from the system")?,
        })
    }

    /// Loads this controller's key, or creates it if there is none yet.
    pub fn identity(&mut self) -> Result<SecretKey> {
        Ok(key_file::load_or_create(
            &self.home.identity(),
            &mut self.rng,
        )?)
    }

    /// Opens the files about known agents.
    pub fn resolver(&self) -> Result<HostResolver> {
        let own_agent = AgentHome::locate(&environment, User::current()).ok();
        let resolver = HostResolver::open(&self.home, own_agent.as_ref())?;
        for problem in resolver.problems() {
            note(&format!("udpctl: {problem}; the line is passed over"));
        }
        Ok(resolver)
    }

    /// Returns the journal of requests.
    pub fn journal(&self) -> Journal {
        Journal::new(self.home.requests(), boot_id())
    }

    /// Resolves targets and opens the network to them under this controller's key.
    pub fn network(&mut self, targets: &[Target]) -> Result<Network> {
        let identity = self.identity()?;
        let resolver = self.resolver()?;
        let resolved = resolve_all(targets);
        let addresses: Vec<_> = resolved.iter().flatten().flatten().copied().collect();
        let client = Client::open_for(identity, &addresses).context(NO_SOCKET)?;
        let hosts = resolver.hosts(targets, resolved, &client);
        Ok(Network {
            client,
            resolver,
            hosts,
        })
    }

    /// Opens the network under this controller's key.
    pub fn link(&mut self) -> Result<Client> {
        let identity = self.identity()?;
        open_client(identity)
    }
}

/// Opens the network under `identity`.
pub fn open_client(identity: SecretKey) -> Result<Client> {
    Client::open(identity).context(NO_SOCKET)
}

/// Returns the standard streams of this process.
pub fn streams() -> Result<Streams> {
    Streams::of_process().context("standard streams")
}
