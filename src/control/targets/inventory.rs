//! The file `hosts.toml`: groups of hosts, and hosts with another address, port or tags.
//!
//! Not keys, which `known_agents` has. Invariant: a group that contains itself has no members and is an error.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use indexmap::IndexSet;
use serde::Deserialize;

use super::error::TargetsError;
use super::expression::{Expression, Groups};
use super::group_name::GroupName;
use crate::home::{self, Readers};
use crate::net::{DEFAULT_PORT, Host, Target};

/// Source of the groups that are made of tags.
const TAG: &str = "tag";

/// Groups and hosts.
#[derive(Default, Debug)]
pub struct Inventory {
    groups: BTreeMap<String, Expression>,
    hosts: BTreeMap<String, Entry>,
    port: Option<u16>,
    /// Groups whose members are being looked up.
    path: Vec<String>,
    known: HashMap<String, IndexSet<Target>>,
}

#[derive(Debug)]
struct Entry {
    target: Target,
    tags: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    defaults: Defaults,
    #[serde(default)]
    groups: BTreeMap<String, String>,
    #[serde(default)]
    hosts: BTreeMap<String, HostTable>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Defaults {
    port: Option<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostTable {
    address: Option<String>,
    port: Option<u16>,
    #[serde(default)]
    tags: Vec<String>,
}

impl Inventory {
    /// Reads the file; a missing one is empty.
    ///
    /// # Errors
    /// The file cannot be read, or is not as it has to be.
    pub fn load(path: &Path) -> Result<Self, TargetsError> {
        let text = home::read(path, Readers::All).map_err(TargetsError::File)?;
        Self::parse(text.as_deref().unwrap_or_default()).map_err(|words| TargetsError::Inventory {
            path: path.display().to_string(),
            words,
        })
    }

    /// Parses the text of the file.
    ///
    /// # Errors
    /// A sentence about the mistake.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| {
                1 + text[..span.start.min(text.len())].matches('\n').count()
            });
            format!("line {line}: {}", error.message())
        })?;
        let mut inventory = Self {
            port: file.defaults.port.map(port).transpose()?,
            ..Self::default()
        };
        for (name, set) in file.groups {
            let set = set.parse();
            let set = set.map_err(|error| format!("group {name}: {error}"))?;
            inventory.groups.insert(name, set);
        }
        for (name, table) in file.hosts {
            let entry = inventory.entry(&name, table);
            let entry = entry.map_err(|words| format!("host {name}: {words}"))?;
            inventory.hosts.insert(name.to_lowercase(), entry);
        }
        Ok(inventory)
    }

    fn entry(&self, name: &str, table: HostTable) -> Result<Entry, String> {
        let parse = |text: &str| {
            text.parse::<Target>()
                .map_err(|error| format!("{text}: {error}"))
        };
        let named = parse(name)?;
        if !matches!(named.host(), Host::Name(_)) || name.contains(':') {
            return Err("not a name of a host".into());
        }
        let address = table.address.as_deref().map_or(Ok(named), parse)?;
        let given = table.port.map(port).transpose()?.or(self.port);
        let port = given.unwrap_or(address.port());
        Ok(Entry {
            target: Target::labelled(name, address.host().clone(), port),
            tags: table.tags,
        })
    }

    /// Returns the names of all groups, with `@`.
    #[must_use]
    pub fn group_names(&self) -> Vec<String> {
        let named = self.groups.keys().map(|name| format!("@{name}"));
        let tags: std::collections::BTreeSet<&String> =
            self.hosts.values().flat_map(|entry| &entry.tags).collect();
        let tags = tags.into_iter().map(|tag| format!("@{TAG}:{tag}"));
        named.chain(tags).collect()
    }

    fn of_group(&mut self, name: &str) -> Result<IndexSet<Target>, TargetsError> {
        if let Some(known) = self.known.get(name) {
            return Ok(known.clone());
        }
        if let Some(at) = self.path.iter().position(|outer| outer == name) {
            let mut cycle = self.path[at..].to_vec();
            cycle.push(name.to_owned());
            cycle.reverse();
            return Err(TargetsError::Cycle(cycle));
        }
        let Some(set) = self.groups.get(name).cloned() else {
            return Err(TargetsError::NoGroup(GroupName::Named(name.to_owned())));
        };
        self.path.push(name.to_owned());
        let members = set.targets(self);
        self.path.pop();
        let members = members?;
        self.known.insert(name.to_owned(), members.clone());
        Ok(members)
    }
}

fn port(port: u16) -> Result<u16, String> {
    Some(port)
        .filter(|&port| port > 0)
        .ok_or_else(|| "port 0 cannot be reached".into())
}

impl Groups for Inventory {
    fn members(&mut self, name: &GroupName) -> Result<IndexSet<Target>, TargetsError> {
        match name {
            GroupName::Named(name) => self.of_group(name),
            GroupName::Of(source, tag) => {
                let tagged = self.hosts.values().filter(|entry| entry.tags.contains(tag));
                let tagged: IndexSet<_> = tagged.map(|entry| entry.target.clone()).collect();
                if source != TAG || tagged.is_empty() {
                    return Err(TargetsError::NoGroup(name.clone()));
                }
                Ok(tagged)
            }
            GroupName::All => {
                let hosts = self.hosts.values().map(|entry| entry.target.clone());
                let mut all: IndexSet<_> = hosts.collect();
                for name in self.groups.keys().cloned().collect::<Vec<_>>() {
                    all.extend(self.of_group(&name)?);
                }
                Ok(all)
            }
        }
    }

    fn resolve(&self, target: Target) -> Target {
        let Host::Name(name) = target.host() else {
            return target;
        };
        // A name has no colon but that before its port.
        let given = target.label().contains(':').then(|| target.port());
        let (host, port) = match self.hosts.get(name) {
            Some(entry) => (entry.target.host().clone(), entry.target.port()),
            None => (target.host().clone(), self.port.unwrap_or(DEFAULT_PORT)),
        };
        Target::labelled(target.label(), host, given.unwrap_or(port))
    }
}
