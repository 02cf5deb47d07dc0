//! Files, keys, network and output of a subcommand of `udpctl`.

use std::cell::RefCell;
use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::args::HostOptions;
use super::family::Family;

pub use crate::cli::output::{note, print};
use crate::control::client::Client;
use crate::control::exec::TaskHost;
use crate::control::host_resolver::{Host, HostError, HostResolver, resolve_all};
use crate::control::journal::Journal;
use crate::control::stdio::Streams;
use crate::control::targets::{
    Expression, GroupName, Groups as _, Inventory, Selection, TargetsError, read_text, text_of,
};
use crate::control::tickets::boot_id;
use crate::crypto::{SecretKey, key_file};
use crate::home::{self, AgentHome, ControlHome, User, environment};
use crate::message::status::INTERNAL;
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
    /// Groups and hosts, once they are needed.
    inventory: RefCell<Option<Inventory>>,
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

/// Network of a run, and its hosts as far as they are known without a lookup.
pub struct FleetNetwork {
    /// Network thread.
    pub client: Client,
    /// Known agents.
    pub resolver: HostResolver,
    /// Hosts of the targets, in their order.
    pub hosts: Vec<TaskHost>,
}

impl Context {
    /// Locates the files; creates nothing.
    pub fn new() -> Result<Self> {
        Ok(Self {
            home: ControlHome::locate(&environment)?,
            rng: net::rng().context("cannot get random numbers from the system")?,
            inventory: RefCell::new(None),
        })
    }

    /// Loads this controller's key, or creates it if there is none yet.
    pub fn identity(&mut self) -> Result<SecretKey> {
        Ok(key_file::load_or_create(
            &self.home.identity(),
            &mut self.rng,
        )?)
    }

    /// Opens the files about known agents, with the keys of `hosts.toml`.
    pub fn resolver(&self) -> Result<HostResolver> {
        let own_agent = AgentHome::locate(&environment, User::current()).ok();
        let mut resolver = HostResolver::open(&self.home, own_agent.as_ref())?;
        for (target, pin) in self.inventory(&[], Inventory::pins)? {
            resolver.pin(target, pin);
        }
        for problem in resolver.problems() {
            note(&format!("udpctl: {problem}; the line is passed over"));
        }
        Ok(resolver)
    }

    /// Returns the journal of requests.
    pub fn journal(&self) -> Journal {
        Journal::new(self.home.requests(), boot_id())
    }

    /// Calls a function with the groups and hosts of `hosts.toml`, of the inventories that it names and of `more`; the first
    /// call decides which these are. Prints what was passed over in a file that was read.
    pub fn inventory<T>(
        &self,
        more: &[PathBuf],
        look_up: impl FnOnce(&mut Inventory) -> Result<T, TargetsError>,
    ) -> Result<T, TargetsError> {
        let mut inventory = self.inventory.borrow_mut();
        if inventory.is_none() {
            let mut read = Inventory::load(&self.home.inventory(), self.home.groups(), more)?;
            read.set_last_run(self.home.last_run());
            *inventory = Some(read);
        }
        let inventory = inventory.as_mut().expect("it was read just now, or before");
        let found = look_up(inventory);
        warn(inventory);
        found
    }

    /// Returns the groups and hosts for another thread.
    pub fn into_inventory(self, more: &[PathBuf]) -> Result<Inventory, TargetsError> {
        self.inventory(more, |_| Ok(()))?;
        let inventory = self.inventory.into_inner();
        Ok(inventory.expect("it was read just now, or before"))
    }

    /// Returns the target that a name stands for.
    pub fn target(&self, target: &Target) -> Result<Target, TargetsError> {
        self.inventory(&[], |inventory| inventory.resolve(target.clone()))
    }

    /// Returns the targets of sets, in order; at least one, unless there is no set.
    pub fn targets_of(&self, sets: &[Expression]) -> Result<Vec<Target>, TargetsError> {
        let selection = Selection {
            of: sets.to_vec(),
            without: Vec::new(),
        };
        let targets = self.inventory(&[], |inventory| selection.targets(inventory))?;
        if targets.is_empty() && !sets.is_empty() {
            return Err(TargetsError::Nothing);
        }
        Ok(targets)
    }

    /// Returns the targets of a command, in order; at least one.
    pub fn targets(
        &self,
        sets: &[Expression],
        options: &HostOptions,
    ) -> Result<Vec<Target>, TargetsError> {
        let selection = select(sets, options)?;
        let targets = self.inventory(&options.inventory, |known| selection.targets(known))?;
        if targets.is_empty() {
            return Err(TargetsError::Nothing);
        }
        Ok(targets)
    }

    /// Resolves targets and opens the network to them under this controller's key.
    pub fn network(&mut self, targets: &[Target]) -> Result<Network> {
        let identity = self.identity()?;
        let resolver = self.resolver()?;
        let resolved = resolve_all(targets);
        let addresses: Vec<_> = resolved.iter().flatten().flatten().copied().collect();
        let client = Client::open_with_refusals(identity, &addresses).context(NO_SOCKET)?;
        let hosts = resolver.hosts(targets, resolved, &client);
        Ok(Network {
            client,
            resolver,
            hosts,
        })
    }

    /// Resolves one target and opens the network to it.
    pub fn network_of_one(&mut self, target: &Target) -> Result<(Client, HostResolver, Host)> {
        let Network {
            client,
            resolver,
            mut hosts,
        } = self.network(std::slice::from_ref(target))?;
        let host = hosts.pop().expect("one target, one host");
        let host = host.with_context(|| target.label().to_owned())?;
        Ok((client, resolver, host))
    }

    /// Opens the network to targets under this controller's key. Their names are not looked up yet, unless addresses of one
    /// family are wanted.
    pub fn fleet_network(&mut self, targets: &[Target], family: Family) -> Result<FleetNetwork> {
        let identity = self.identity()?;
        let resolver = self.resolver()?;
        let resolve = |target| family.resolve(target);
        let resolved: Vec<_> = targets.iter().map(resolve).collect();
        let known = resolved.iter().flatten().flatten().flatten();
        let addresses: Vec<_> = known.copied().collect();
        let are_known = targets.len() == 1 || resolved.iter().all(Option::is_some);
        // Names may have addresses of either family.
        let known = if are_known { &addresses[..] } else { &[] };
        let client = Client::open_with_refusals(identity, known).context(NO_SOCKET)?;
        let mut hosts: Vec<TaskHost> = targets.iter().cloned().map(TaskHost::Named).collect();
        let (mut known, mut addresses, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for (place, (target, resolved)) in std::iter::zip(targets, resolved).enumerate() {
            if let Some(resolved) = resolved {
                known.push(target.clone());
                addresses.push(resolved);
                places.push(place);
            }
        }
        let found = resolver.hosts(&known, addresses, &client);
        for (place, host) in std::iter::zip(places, found) {
            hosts[place] = TaskHost::Found(host);
        }
        Ok(FleetNetwork {
            client,
            resolver,
            hosts,
        })
    }

    /// Opens the network to one host of these addresses under this controller's key.
    pub fn link_to(&mut self, addresses: &[SocketAddr]) -> Result<Client> {
        let identity = self.identity()?;
        Client::open_with_refusals(identity, addresses).context(NO_SOCKET)
    }

    /// Opens the network under this controller's key.
    pub fn link(&mut self) -> Result<Client> {
        self.link_to(&[])
    }
}

/// Returns true if a person sees what is printed on standard error.
pub fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Prints news about a host.
pub fn note_of(label: &str, words: &str) {
    note(&format!("udpctl: {label}: {words}"));
}

/// Prints what was passed over in inventories.
pub fn warn(inventory: &mut Inventory) {
    for warning in inventory.take_warnings() {
        note(&format!("udpctl: {warning}"));
    }
}

/// Returns the result of a command; after a failure on this machine in one over several hosts, which it prints, the status
/// of that.
pub fn internal_if(is_several: bool, result: Result<u8>) -> Result<u8> {
    match result {
        Err(error) if is_several && !error.is::<TargetsError>() => {
            note(&format!("udpctl: {error:#}"));
            Ok(INTERNAL)
        }
        result => result,
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

/// Collects the sets of a command line.
pub fn select(sets: &[Expression], options: &HostOptions) -> Result<Selection, TargetsError> {
    let mut selection = Selection {
        of: [sets, &options.hosts, &options.group].concat(),
        without: options.exclude.clone(),
    };
    if options.all_hosts {
        selection.of.push(Expression::of_group(GroupName::All));
    }
    for file in &options.hostfile {
        let (name, text) = read_hostfile(file)?;
        selection.add_list(&name, &text)?;
    }
    Ok(selection)
}

fn read_hostfile(file: &Path) -> Result<(String, String), TargetsError> {
    if file.as_os_str() != "-" {
        return Ok((file.display().to_string(), read_text(file, home::MAX_FILE)?));
    }
    let path = "standard input".to_owned();
    match text_of(std::io::stdin().lock(), home::MAX_FILE) {
        Ok(text) => Ok((path, text)),
        Err(words) => Err(TargetsError::Inventory { path, words }),
    }
}
