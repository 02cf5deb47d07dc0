//! The file `hosts.toml`: groups of hosts, also those that a command names, and hosts with another address, port or tags.
//!
//! Not keys, which `known_agents` has. Invariant: a group that contains itself has no members and is an error.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

use indexmap::IndexSet;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::error::TargetsError;
use super::exec_group;
use super::expression::{Expression, Groups};
use super::group_name::{GroupName, is_group_name};
use super::list::sets_of_list;
use crate::control::limits;
use crate::escape;
use crate::home::{self, Readers};
use crate::net::{DEFAULT_PORT, Host, Target};

/// Source of the groups that are made of tags.
const TAG: &str = "tag";

/// Groups and hosts.
#[derive(Default, Debug)]
pub struct Inventory {
    groups: BTreeMap<String, Group>,
    hosts: BTreeMap<String, Entry>,
    port: Option<u16>,
    /// The file, for errors, and the directory of what commands have named.
    files: (PathBuf, PathBuf),
    /// Groups whose members are being looked up.
    path: Vec<String>,
    known: HashMap<String, IndexSet<Target>>,
}

#[derive(Clone, Debug)]
enum Group {
    Set(Expression),
    /// Command whose output is sets.
    Exec(String),
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
    groups: BTreeMap<String, GroupText>,
    #[serde(default)]
    hosts: BTreeMap<String, HostTable>,
}

/// A set, or a table with a command.
enum GroupText {
    Set(String),
    Exec(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExecTable {
    exec: String,
}

impl<'de> Deserialize<'de> for GroupText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = GroupText;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a set, or a table with \"exec\"")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<GroupText, E> {
                Ok(GroupText::Set(text.to_owned()))
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<GroupText, M::Error> {
                let table = ExecTable::deserialize(MapAccessDeserializer::new(map))?;
                Ok(GroupText::Exec(table.exec))
            }
        }
        deserializer.deserialize_any(Text)
    }
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
    /// Reads the file; a missing one is empty. `cache` is the directory for what commands name.
    ///
    /// # Errors
    /// The file cannot be read, or is not as it has to be.
    pub fn load(path: &Path, cache: PathBuf) -> Result<Self, TargetsError> {
        let text = home::read(path, Readers::All).map_err(TargetsError::File)?;
        let inventory = Self::parse(text.as_deref().unwrap_or_default());
        let mut inventory = inventory.map_err(|words| mistake(path, words))?;
        inventory.files = (path.to_owned(), cache);
        Ok(inventory)
    }

    /// Parses the text of the file.
    ///
    /// # Errors
    /// A sentence about the mistake.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
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
        for (name, text) in file.groups {
            if !is_group_name(&name) {
                let name = escape::line(name.as_bytes(), limits::NAME_SHOWN);
                return Err(format!("group {name}: not a name of a group"));
            }
            let group = match text {
                GroupText::Exec(command) => Group::Exec(command),
                GroupText::Set(set) => {
                    let set = set.parse();
                    Group::Set(set.map_err(|error| format!("group {name}: {error}"))?)
                }
            };
            inventory.groups.insert(name, group);
        }
        for (name, table) in file.hosts {
            let entry = inventory.entry(&name, table);
            let entry = entry.map_err(|words| format!("host {name}: {words}"))?;
            if inventory.hosts.insert(name.to_lowercase(), entry).is_some() {
                return Err(format!("host {name}: it is there twice"));
            }
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
        let typed = address.names_port().then(|| address.port());
        let given = table.port.map(port).transpose()?.or(typed).or(self.port);
        let port = given.unwrap_or(DEFAULT_PORT);
        if let Some(tag) = table.tags.iter().find(|tag| !is_group_name(tag)) {
            return Err(format!("{tag:?} cannot be a tag"));
        }
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
        let Some(group) = self.groups.get(name).cloned() else {
            return Err(TargetsError::NoGroup(GroupName::Named(name.to_owned())));
        };
        if self.path.len() >= limits::GROUP_DEPTH {
            return Err(TargetsError::TooDeep);
        }
        self.path.push(name.to_owned());
        let members = match group {
            Group::Set(set) => set.targets(self),
            Group::Exec(command) => self.named_by(name, &command),
        };
        self.path.pop();
        let members = members?;
        self.known.insert(name.to_owned(), members.clone());
        Ok(members)
    }

    /// Returns the members that a command names.
    fn named_by(&mut self, name: &str, command: &str) -> Result<IndexSet<Target>, TargetsError> {
        let (file, cache) = &self.files;
        let failed = |words| mistake(file, format!("group {name}: {words}"));
        let text = exec_group::output(command, &cache.join(name)).map_err(failed)?;
        let mut members = IndexSet::new();
        for set in sets_of_list(&format!("the command of group {name}"), &text)? {
            members.extend(set.targets(self)?);
        }
        Ok(members)
    }
}

fn mistake(path: &Path, words: String) -> TargetsError {
    TargetsError::Inventory {
        path: path.display().to_string(),
        words,
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
        let given = target.names_port().then(|| target.port());
        let (host, port) = match self.hosts.get(name) {
            Some(entry) => (entry.target.host().clone(), entry.target.port()),
            None => (target.host().clone(), self.port.unwrap_or(DEFAULT_PORT)),
        };
        Target::labelled(target.label(), host, given.unwrap_or(port))
    }
}
