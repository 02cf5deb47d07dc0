//! The text of `hosts.toml`: a port, inventories, groups and hosts.
//!
//! Not what groups and names stand for, which [`Inventory`](super::inventory::Inventory) tells. Invariant: every set,
//! name, port and key is valid.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::expression::Expression;
use super::group_name::is_group_name;
use crate::control::limits;
use crate::crypto::PublicKey;
use crate::escape;
use crate::net::{Host, Target};

/// Content of the file.
#[derive(Clone, Default, Debug)]
pub struct HostsFile {
    /// Port of names without one.
    pub port: Option<u16>,
    /// Files with inventories of Ansible.
    pub inventories: Vec<String>,
    /// Groups by their names.
    pub groups: BTreeMap<String, GroupText>,
    /// Hosts by their names in lower case.
    pub hosts: BTreeMap<String, HostText>,
}

/// Group of the file.
#[derive(Clone, Debug)]
pub enum GroupText {
    /// A set.
    Set(Expression),
    /// Command whose output is sets.
    Exec(String),
}

/// Host of the file.
#[derive(Clone, Debug)]
pub struct HostText {
    /// Name as it is written.
    pub name: String,
    /// Address.
    pub address: Option<Host>,
    /// Port, also that of the address.
    pub port: Option<u16>,
    /// User as whom commands run.
    pub user: Option<String>,
    /// Public key of the agent, with the number of its line.
    pub key: Option<(PublicKey, usize)>,
    /// Tags.
    pub tags: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    inventory: Vec<String>,
    #[serde(default)]
    defaults: Defaults,
    #[serde(default)]
    groups: BTreeMap<String, GroupValue>,
    #[serde(default)]
    hosts: BTreeMap<String, HostTable>,
}

/// A set, or a table with a command.
enum GroupValue {
    Set(String),
    Exec(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExecTable {
    exec: String,
}

impl<'de> Deserialize<'de> for GroupValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = GroupValue;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a set, or a table with \"exec\"")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<GroupValue, E> {
                Ok(GroupValue::Set(text.to_owned()))
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<GroupValue, M::Error> {
                let table = ExecTable::deserialize(MapAccessDeserializer::new(map))?;
                Ok(GroupValue::Exec(table.exec))
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
    user: Option<String>,
    key: Option<Spanned<String>>,
    #[serde(default)]
    tags: Vec<String>,
}

/// Parses the text of the file.
///
/// # Errors
/// A sentence about the mistake.
pub fn parse(text: &str) -> Result<HostsFile, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let line_of = |offset: usize| 1 + text[..offset.min(text.len())].matches('\n').count();
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(span.start));
        format!("line {line}: {}", error.message())
    })?;
    let mut parsed = HostsFile {
        port: file.defaults.port.map(port).transpose()?,
        inventories: file.inventory,
        ..HostsFile::default()
    };
    for (name, value) in file.groups {
        if !is_group_name(&name) {
            let name = escape::line(name.as_bytes(), limits::NAME_SHOWN);
            return Err(format!("group {name}: not a name of a group"));
        }
        let group = match value {
            GroupValue::Exec(command) => GroupText::Exec(command),
            GroupValue::Set(set) => {
                let set = set.parse();
                GroupText::Set(set.map_err(|error| format!("group {name}: {error}"))?)
            }
        };
        parsed.groups.insert(name, group);
    }
    for (name, table) in file.hosts {
        let host = host(&name, table, line_of);
        let host = host.map_err(|words| format!("host {name}: {words}"))?;
        if parsed.hosts.insert(name.to_lowercase(), host).is_some() {
            return Err(format!("host {name}: it is there twice"));
        }
    }
    Ok(parsed)
}

fn host(
    name: &str,
    table: HostTable,
    line_of: impl Fn(usize) -> usize,
) -> Result<HostText, String> {
    let parse = |text: &str| {
        text.parse::<Target>()
            .map_err(|error| format!("{text}: {error}"))
    };
    let named = parse(name)?;
    if !matches!(named.host(), Host::Name(_)) || name.contains(':') {
        return Err("not a name of a host".into());
    }
    let address = table.address.as_deref().map(parse).transpose()?;
    let typed = address.as_ref().filter(|address| address.names_port());
    let typed = typed.map(Target::port);
    if let Some(tag) = table.tags.iter().find(|tag| !is_group_name(tag)) {
        return Err(format!("{tag:?} cannot be a tag"));
    }
    if table.user.as_deref() == Some("") {
        return Err("the user is empty".into());
    }
    let key = table.key.map(|key| {
        let line = line_of(key.span().start);
        let parsed = key.get_ref().parse();
        parsed
            .map(|key| (key, line))
            .map_err(|error| format!("line {line}: {error}"))
    });
    Ok(HostText {
        name: name.to_owned(),
        port: table.port.map(port).transpose()?.or(typed),
        address: address.map(|address| address.host().clone()),
        user: table.user,
        key: key.transpose()?,
        tags: table.tags,
    })
}

fn port(port: u16) -> Result<u16, String> {
    Some(port)
        .filter(|&port| port > 0)
        .ok_or_else(|| "port 0 cannot be reached".into())
}
