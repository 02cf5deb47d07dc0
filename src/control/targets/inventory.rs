//! Groups and hosts of `hosts.toml` and of Ansible's inventories: what their names stand for.
//!
//! Keys of agents are here only if `hosts.toml` has them; `known_agents` has the others. Invariants: a group that contains
//! itself has no members and is an error; an inventory that `hosts.toml` names is read when a group, or a target that is
//! not an address with its port, is first needed, and the answer does not depend on what was read before.

mod names;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexSet;

use super::ansible::{self, ALL, Content, Format, HostVars};
use super::error::TargetsError;
use super::exec_group::{self, Program};
use super::expression::{Expression, Groups};
use super::group_name::{GroupName, is_group_name};
use super::hosts_file::{self, GroupText, HostText, HostsFile};
use super::list::sets_of_list;
use crate::control::fleet::{Class, LastRun};
use crate::control::known_agents::{Pin, Source};
use crate::control::limits;
use crate::home::{self, Readers};
use crate::net::{DEFAULT_PORT, Host, Target};

/// Source of the groups that are made of tags.
const TAG: &str = "tag";

/// Source of the groups that are the classes of the last run.
const LAST: &str = "last";

/// Groups and hosts.
#[derive(Default, Debug)]
pub struct Inventory {
    groups: BTreeMap<String, Vec<Members>>,
    /// Hosts by their names, see [`ansible::name_of`].
    hosts: BTreeMap<String, Entry>,
    port: Option<u16>,
    /// The file, for errors, and the directory of what commands have named.
    files: (PathBuf, PathBuf),
    /// Inventories that `hosts.toml` names.
    inventories: Inventories,
    /// Record of the last run over several hosts.
    last_run: Option<PathBuf>,
    warnings: Vec<String>,
    /// Groups whose members are being looked up.
    path: Vec<String>,
    known: HashMap<String, IndexSet<Target>>,
}

/// Inventories that `hosts.toml` names.
#[derive(Default, Debug)]
enum Inventories {
    /// They are part of the groups and hosts, or there are none.
    #[default]
    Read,
    /// They are not read yet. The groups and hosts are those of this file.
    Unread(HostsFile),
    /// They cannot be used.
    Failed(Arc<TargetsError>),
}

/// Some members of a group.
#[derive(Clone, Debug)]
enum Members {
    Set(Expression),
    /// Command whose output is sets.
    Exec(String),
    /// Names of hosts and of groups.
    Named(Arc<ansible::Group>),
}

#[derive(Debug)]
struct Entry {
    target: Target,
    user: Option<String>,
    key: Option<Pin>,
    tags: Vec<String>,
}

impl Inventory {
    /// Reads `hosts.toml`, which is empty if it is missing. The inventories that it names are read when they are needed, or
    /// at once if there are `more` of them. `cache` is the directory for what commands name.
    ///
    /// # Errors
    /// A file cannot be read, or is not as it has to be.
    pub fn load(path: &Path, cache: PathBuf, more: &[PathBuf]) -> Result<Self, TargetsError> {
        let text = home::read(path, Readers::All).map_err(TargetsError::File)?;
        let file = hosts_file::parse(text.as_deref().unwrap_or_default());
        let file = file.map_err(|words| mistake(path, words))?;
        if more.is_empty() && !file.inventories.is_empty() {
            return Ok(Self {
                inventories: Inventories::Unread(file.clone()),
                ..Self::of(file, Content::default(), path, cache)
            });
        }
        Self::read(file, path, cache, more)
    }

    /// Reads the inventories that `hosts.toml` names, and `more` of them.
    fn read(
        file: HostsFile,
        path: &Path,
        cache: PathBuf,
        more: &[PathBuf],
    ) -> Result<Self, TargetsError> {
        let directory = path.parent().unwrap_or(Path::new(""));
        let mut content = Content::default();
        let named = file.inventories.iter().map(|named| directory.join(named));
        for inventory in named.chain(more.iter().cloned()) {
            ansible::read(&inventory, &cache, &mut content)?;
        }
        Ok(Self::of(file, content, path, cache))
    }

    /// Reads what is not read yet.
    ///
    /// # Errors
    /// [`TargetsError::Inventories`], also whenever it is called again.
    fn complete(&mut self) -> Result<(), TargetsError> {
        let error = match std::mem::take(&mut self.inventories) {
            Inventories::Read => return Ok(()),
            Inventories::Unread(file) => {
                let (path, cache) = self.files.clone();
                match Self::read(file, &path, cache, &[]) {
                    Ok(read) => {
                        let last_run = self.last_run.take();
                        *self = Self { last_run, ..read };
                        return Ok(());
                    }
                    Err(error) => Arc::new(error),
                }
            }
            Inventories::Failed(error) => error,
        };
        self.inventories = Inventories::Failed(Arc::clone(&error));
        Err(TargetsError::Inventories(error))
    }

    /// Gives the groups `@last:ok`, `@last:failed`, `@last:unreachable` and `@last:skipped` the hosts of a record.
    pub fn set_last_run(&mut self, record: PathBuf) {
        self.last_run = Some(record);
    }

    /// Parses the text of `hosts.toml`, and inventories in place of those that it names. Public for fuzzing.
    ///
    /// # Errors
    /// A text is not as it has to be.
    pub fn parse(text: &str, inventories: &[(Format, &str)]) -> Result<Self, TargetsError> {
        let path = Path::new("hosts.toml");
        let file = hosts_file::parse(text).map_err(|words| mistake(path, words))?;
        let mut content = Content::default();
        for &(format, text) in inventories {
            ansible::parse(Path::new("inventory"), text, format, &mut content)?;
        }
        Ok(Self::of(file, content, path, PathBuf::new()))
    }

    fn of(file: HostsFile, mut content: Content, path: &Path, cache: PathBuf) -> Self {
        content.sort_out_ungrouped();
        let mut vars = content.host_vars();
        let mut inventory = Self {
            port: file.port,
            files: (path.to_owned(), cache),
            warnings: std::mem::take(&mut content.warnings),
            ..Self::default()
        };
        for (name, group) in file.groups {
            let members = match group {
                GroupText::Set(set) => Members::Set(set),
                GroupText::Exec(command) => Members::Exec(command),
            };
            inventory.groups.insert(name, vec![members]);
        }
        for (name, group) in content.groups {
            if name != ALL {
                let members = inventory.groups.entry(name).or_default();
                members.push(Members::Named(Arc::new(group)));
            }
        }
        let path: Arc<Path> = path.into();
        for (name, host) in file.hosts {
            let lower = vars.swap_remove(&name).unwrap_or_default();
            let key = host.key.map(|(key, line)| Pin {
                key,
                source: Source::Line(Arc::clone(&path), line),
            });
            let HostText {
                name: label,
                address,
                port,
                user,
                tags,
                ..
            } = host;
            let upper = HostVars {
                address,
                port,
                user,
                ..HostVars::default()
            };
            inventory.add(name, &label, upper.over(lower), key, tags);
        }
        for (name, vars) in vars {
            inventory.add(name.clone(), &name, vars, None, Vec::new());
        }
        inventory
    }

    /// Adds a host whose name is valid.
    fn add(
        &mut self,
        name: String,
        label: &str,
        vars: HostVars,
        key: Option<Pin>,
        tags: Vec<String>,
    ) {
        let Ok(named) = label.parse::<Target>() else {
            return;
        };
        let address = vars.address().unwrap_or(named.host()).clone();
        let default = match named.host() {
            Host::Name(_) => self.port,
            Host::Ip(_) | Host::Zoned(..) => None,
        };
        let port = vars.port.or(default).unwrap_or(DEFAULT_PORT);
        let target = Target::labelled(label, address, port);
        let user = vars.user;
        self.hosts.insert(
            name,
            Entry {
                target,
                user,
                key,
                tags,
            },
        );
    }

    /// Returns sentences about what was passed over in inventories since the last call.
    pub fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// Returns the port of names without one.
    #[must_use]
    pub fn default_port(&self) -> u16 {
        self.port.unwrap_or(DEFAULT_PORT)
    }

    /// Returns the user as whom commands run on a target, if a file says so for the name by which it was typed.
    ///
    /// # Errors
    /// An inventory cannot be used.
    pub fn user_of(&mut self, target: &Target) -> Result<Option<&str>, TargetsError> {
        let named: Option<Target> = target.label().parse().ok();
        let Some(named) = named.filter(|named| !is_literal(named)) else {
            return Ok(None);
        };
        self.complete()?;
        let entry = self.hosts.get(&ansible::name_of(named.host()));
        Ok(entry.and_then(|entry| entry.user.as_deref()))
    }

    /// Returns the keys of agents that `hosts.toml` has.
    ///
    /// # Errors
    /// An inventory cannot be used, and may have the address or the port of one of these agents.
    pub fn pins(&mut self) -> Result<Vec<(Target, Pin)>, TargetsError> {
        if let Inventories::Unread(file) = &self.inventories {
            let is_reached = |host: &HostText| host.address.is_some() && host.port.is_some();
            let mut with_keys = file.hosts.values().filter(|host| host.key.is_some());
            if !with_keys.all(is_reached) {
                self.complete()?;
            }
        }
        let hosts = self.hosts.values();
        let pins = hosts.filter_map(|entry| Some((entry.target.clone(), entry.key.clone()?)));
        Ok(pins.collect())
    }

    /// Returns the names of all groups, with `@`.
    ///
    /// # Errors
    /// An inventory cannot be used.
    pub fn group_names(&mut self) -> Result<Vec<String>, TargetsError> {
        self.complete()?;
        let named = self.groups.keys().filter(|name| is_group_name(name));
        let named = named.map(|name| format!("@{name}"));
        let tags: BTreeSet<&String> = self.hosts.values().flat_map(|entry| &entry.tags).collect();
        let tags = tags.into_iter().map(|tag| format!("@{TAG}:{tag}"));
        Ok(named.chain(tags).collect())
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
        let members = self.of_all(name, &group);
        self.path.pop();
        let members = members?;
        self.known.insert(name.to_owned(), members.clone());
        Ok(members)
    }

    fn of_all(&mut self, name: &str, group: &[Members]) -> Result<IndexSet<Target>, TargetsError> {
        let mut all = IndexSet::new();
        for members in group {
            all.extend(self.of_members(name, members)?);
        }
        Ok(all)
    }

    fn of_members(
        &mut self,
        name: &str,
        members: &Members,
    ) -> Result<IndexSet<Target>, TargetsError> {
        match members {
            Members::Set(set) => set.targets(self),
            Members::Exec(command) => self.named_by(name, command),
            Members::Named(group) => {
                let hosts = group.hosts.iter().filter_map(|host| self.hosts.get(host));
                let mut all: IndexSet<_> = hosts.map(|entry| entry.target.clone()).collect();
                for child in &group.children {
                    if child == ALL {
                        all.extend(self.members(&GroupName::All)?);
                    } else {
                        all.extend(self.of_group(child)?);
                    }
                }
                Ok(all)
            }
        }
    }

    /// Returns the members that a command names.
    fn named_by(&mut self, name: &str, command: &str) -> Result<IndexSet<Target>, TargetsError> {
        let (file, cache) = &self.files;
        let failed = |words| mistake(file, format!("group {name}: {words}"));
        let text = exec_group::output(Program::Shell(command), &cache.join(name))
            .map_err(|error| failed(error.to_string()))?;
        let mut members = IndexSet::new();
        for set in sets_of_list(&format!("the command of group {name}"), &text)? {
            members.extend(set.targets(self)?);
        }
        Ok(members)
    }

    fn everything(&mut self) -> Result<IndexSet<Target>, TargetsError> {
        let hosts = self.hosts.values().map(|entry| entry.target.clone());
        let mut all: IndexSet<_> = hosts.collect();
        for name in self.groups.keys().cloned().collect::<Vec<_>>() {
            all.extend(self.of_group(&name)?);
        }
        Ok(all)
    }
}

fn mistake(path: &Path, words: String) -> TargetsError {
    TargetsError::Inventory {
        path: path.display().to_string(),
        words,
    }
}

impl Inventory {
    /// Returns the hosts of a class in the last run.
    fn of_last_run(&mut self, class: &str) -> Result<IndexSet<Target>, TargetsError> {
        let name = || GroupName::Of(LAST.into(), class.into());
        let class = Class::named(class).ok_or_else(|| TargetsError::NoGroup(name()))?;
        let path = self.last_run.as_deref();
        let run = path
            .map_or(Ok(None), LastRun::load)
            .map_err(TargetsError::File)?;
        let run = run.ok_or_else(|| TargetsError::NoGroup(name()))?;
        let hosts = run.hosts(class).iter();
        let targets = hosts.filter_map(|host| Some(self.resolve(host.parse().ok()?)));
        targets.collect()
    }
}

impl Groups for Inventory {
    fn members(&mut self, name: &GroupName) -> Result<IndexSet<Target>, TargetsError> {
        let is_last = matches!(name, GroupName::Of(source, _) if source == LAST);
        if !is_last {
            self.complete()?;
        }
        match name {
            GroupName::Named(name) if name == ALL && !self.groups.contains_key(name) => {
                self.everything()
            }
            GroupName::Named(name) => self.of_group(name),
            GroupName::Of(source, class) if source == LAST => self.of_last_run(class),
            GroupName::Of(source, tag) => {
                let tagged = self.hosts.values().filter(|entry| entry.tags.contains(tag));
                let tagged: IndexSet<_> = tagged.map(|entry| entry.target.clone()).collect();
                if source != TAG || tagged.is_empty() {
                    return Err(TargetsError::NoGroup(name.clone()));
                }
                Ok(tagged)
            }
            GroupName::All => self.everything(),
        }
    }

    fn resolve(&mut self, target: Target) -> Result<Target, TargetsError> {
        if is_literal(&target) {
            return Ok(target);
        }
        self.complete()?;
        let given = target.names_port().then(|| target.port());
        let entry = self.hosts.get(&ansible::name_of(target.host()));
        let (host, port) = match (entry, target.host()) {
            (Some(entry), _) => (entry.target.host().clone(), entry.target.port()),
            (None, Host::Name(_)) => (target.host().clone(), self.default_port()),
            (None, Host::Ip(_) | Host::Zoned(..)) => return Ok(target),
        };
        let port = given.unwrap_or(port);
        Ok(Target::labelled(target.label(), host, port))
    }
}

/// True for an address with its port, which stands for itself.
fn is_literal(target: &Target) -> bool {
    !target.is_name() && target.names_port()
}
