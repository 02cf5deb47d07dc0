//! Output of inventory programs: groups as lists or objects, and the variables of hosts in `_meta`.

use super::content::{ALL, Content};
use super::node::{Node, Value};
use super::yaml::read_vars;

/// Name of the member that is no group.
pub const META: &str = "_meta";

/// Reads the output of a program with `--list`. `warn` takes sentences about what is passed over.
///
/// # Errors
/// A sentence.
pub fn read(
    root: &Node,
    content: &mut Content,
    warn: &mut dyn FnMut(String),
) -> Result<(), String> {
    for (name, group) in root.pairs("the output")? {
        if name != META {
            read_group(name, group, content, warn)?;
        }
    }
    let Some(hosts) = root.of(META).and_then(|meta| meta.of("hostvars")) else {
        warn(
            "the output has no \"_meta\" with \"hostvars\", so its hosts have no variables".into(),
        );
        return Ok(());
    };
    for (host, node) in hosts.pairs("hostvars")? {
        let vars = read_vars(node, &format!("host {host}"), warn)?;
        // Without a group, it is no host.
        if let Some(known) = content.hosts.get_mut(&host.to_lowercase()) {
            *known = vars.over(std::mem::take(known));
        }
    }
    Ok(())
}

fn read_group(
    name: &str,
    node: &Node,
    content: &mut Content,
    warn: &mut dyn FnMut(String),
) -> Result<(), String> {
    content.group(name);
    let what = |key: &str| format!("{key} of group {name}");
    if let Value::List(_) = node.value {
        return read_hosts(name, node, content);
    }
    for (key, value) in node.pairs(&format!("group {name}"))? {
        match &key[..] {
            "hosts" => read_hosts(name, value, content)?,
            "children" => {
                for child in texts(value, &what(key))? {
                    content.group(child);
                    if name != ALL {
                        content.group(name).children.insert(child.to_owned());
                    }
                }
            }
            "vars" => {
                let vars = read_vars(value, &what(key), warn)?;
                let known = &mut content.group(name).vars;
                *known = vars.over(std::mem::take(known));
            }
            _ => warn(format!(
                "group {name}: \"{key}\" is passed over; a group has hosts, children and vars"
            )),
        }
    }
    Ok(())
}

fn read_hosts(group: &str, node: &Node, content: &mut Content) -> Result<(), String> {
    for host in texts(node, &format!("hosts of group {group}"))? {
        content
            .add_host(host, group)
            .map_err(|words| format!("group {group}: {words}"))?;
    }
    Ok(())
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
