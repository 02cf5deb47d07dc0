//! Inventories in YAML: nested groups with `hosts`, `children` and `vars`.

use super::content::{ALL, Content};
use super::host_range;
use super::node::{Node, Value};
use super::vars::HostVars;
use crate::control::limits;

/// Reads an inventory. `warn` takes sentences about what is passed over.
///
/// # Errors
/// A sentence, with the line if it is known.
pub fn read(
    root: &Node,
    content: &mut Content,
    warn: &mut dyn FnMut(String),
) -> Result<(), String> {
    for (name, group) in root.pairs("the inventory")? {
        read_group(name, group, content, warn, 0)?;
    }
    Ok(())
}

fn read_group(
    name: &str,
    node: &Node,
    content: &mut Content,
    warn: &mut dyn FnMut(String),
    depth: usize,
) -> Result<(), String> {
    if depth > limits::GROUP_DEPTH {
        return Err(node.tell("groups are nested too deeply"));
    }
    content.group(name);
    for (key, value) in node.pairs(&format!("group {name}"))? {
        match &key[..] {
            "hosts" => read_hosts(name, value, content, warn)?,
            "vars" => {
                let vars = read_vars(value, &format!("vars of group {name}"), warn)?;
                let known = &mut content.group(name).vars;
                *known = vars.over(std::mem::take(known));
            }
            "children" => {
                for (child, node) in value.pairs(&format!("children of group {name}"))? {
                    if name != ALL {
                        content.group(name).children.insert(child.clone());
                    }
                    read_group(child, node, content, warn, depth + 1)?;
                }
            }
            _ => warn(value.tell(&format!(
                "group {name}: \"{key}\" is passed over; a group has hosts, children and vars"
            ))),
        }
    }
    Ok(())
}

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
            let known = &mut content.hosts[&name];
            *known = vars.clone().over(std::mem::take(known));
        }
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
