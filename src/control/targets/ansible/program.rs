//! Output of inventory programs: groups as lists or objects, and the variables of hosts in `_meta`.

use super::content::Content;
use super::groups::{Form, read_group, read_vars};
use super::node::Node;

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
            read_group(name, group, Form::Listed, content, warn, 0)?;
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
            known.update(vars);
        }
    }
    Ok(())
}
