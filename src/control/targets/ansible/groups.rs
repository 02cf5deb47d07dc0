//! Groups of inventories in YAML, in which they are nested, and of programs, which list names.
//!
//! Not `_meta` of a program, and no values of variables. Invariant: both forms have the same members, and in both another
//! member is a warning.

use super::content::{ALL, Content};
use super::host_range;
use super::node::{Node, Value};
use super::vars::HostVars;
use crate::control::limits;

/// Form of the hosts and children of a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Ranges of hosts with their variables, and groups by their names.
    Nested,
    /// Names. A group may be the list of its hosts.
    Listed,
}

/// Reads an inventory of nested groups. `warn` takes sentences about what is passed over.
///
/// # Errors
/// A sentence, with the line if it is known.
pub fn read(
    root: &Node,
    content: &mut Content,
    warn: &mut dyn FnMut(String),
) -> Result<(), String> {
    for (name, group) in root.pairs("the inventory")? {
        read_group(name, group, Form::Nested, content, warn, 0)?;
    }
    Ok(())
}

/// Reads a group that is nested in this many others.
///
/// # Errors
/// A sentence, with the line if it is known.
pub fn read_group(
    name: &str,
    node: &Node,
    form: Form,
    content: &mut Content,
    warn: &mut dyn FnMut(String),
    depth: usize,
) -> Result<(), String> {
    if depth > limits::GROUP_DEPTH {
        return Err(node.tell("groups are nested too deeply"));
    }
    content.group(name);
    if let (Form::Listed, Value::List(_)) = (form, &node.value) {
        return read_names(name, node, content);
    }
    let what = |key: &str| format!("{key} of group {name}");
    for (key, value) in node.pairs(&format!("group {name}"))? {
        match (&key[..], form) {
            ("hosts", Form::Nested) => read_hosts(name, value, content, warn)?,
            ("hosts", Form::Listed) => read_names(name, value, content)?,
            ("vars", _) => {
                let vars = read_vars(value, &what(key), warn)?;
                content.group(name).vars.update(vars);
            }
            ("children", Form::Nested) => {
                for (child, node) in value.pairs(&what(key))? {
                    add_child(name, child, content);
                    read_group(child, node, form, content, warn, depth + 1)?;
                }
            }
            ("children", Form::Listed) => {
                for child in texts(value, &what(key))? {
                    add_child(name, child, content);
                }
            }
            _ => warn(value.tell(&format!(
                "group {name}: \"{key}\" is passed over; a group has hosts, children and vars"
            ))),
        }
    }
    Ok(())
}

fn add_child(name: &str, child: &str, content: &mut Content) {
    content.group(child);
    if name != ALL {
        content.group(name).children.insert(child.to_owned());
    }
}

/// Reads hosts with their variables.
fn read_hosts(
    group: &str,
    node: &Node,
    content: &mut Content,
    warn: &mut dyn FnMut(String),
) -> Result<(), String> {
    let null = Node {
        line: node.line,
        value: Value::Null,
    };
    let one;
    let hosts = match &node.value {
        Value::Text(host) => {
            one = [(host.clone(), null)];
            &one[..]
        }
        Value::Null | Value::List(_) | Value::Map(_) => {
            node.pairs(&format!("hosts of group {group}"))?
        }
    };
    for (host, node) in hosts {
        let vars = read_vars(node, &format!("host {host}"), warn)?;
        let names = host_range::expand(host)
            .map_err(|words| node.tell(&format!("host {host}: {words}")))?;
        for name in names {
            let name = content
                .add_host(&name, group)
                .map_err(|words| node.tell(&words))?;
            content.hosts[&name].update(vars.clone());
        }
    }
    Ok(())
}

/// Reads the names of hosts.
fn read_names(group: &str, node: &Node, content: &mut Content) -> Result<(), String> {
    for host in texts(node, &format!("hosts of group {group}"))? {
        content
            .add_host(host, group)
            .map_err(|words| format!("group {group}: {words}"))?;
    }
    Ok(())
}

/// Reads the variables of a host or of a group, which `what` names.
///
/// # Errors
/// A sentence, with the line if it is known.
pub fn read_vars(
    node: &Node,
    what: &str,
    warn: &mut dyn FnMut(String),
) -> Result<HostVars, String> {
    let mut vars = HostVars::default();
    for (name, value) in node.pairs(what)? {
        if let Value::Text(text) = &value.value {
            let tell = |words: String| value.tell(&format!("{what}: {words}"));
            let result = vars.set(name, text, &mut |words| warn(tell(words)));
            result.map_err(tell)?;
        }
    }
    Ok(vars)
}

fn texts<'a>(node: &'a Node, what: &str) -> Result<Vec<&'a str>, String> {
    let nodes = match &node.value {
        Value::List(nodes) => &nodes[..],
        Value::Null => &[],
        Value::Text(_) | Value::Map(_) => return Err(format!("{what}: not a list")),
    };
    let texts = nodes.iter().map(|node| match &node.value {
        Value::Text(text) => Ok(&text[..]),
        Value::Null | Value::List(_) | Value::Map(_) => Err(format!("{what}: a name is expected")),
    });
    texts.collect()
}
