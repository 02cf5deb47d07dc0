//! Inventories in INI.

use std::collections::BTreeMap;

use super::content::{ALL, Content, UNGROUPED};
use super::host_range;
use super::vars::HostVars;

/// Meaning of the lines of a section.
enum Section {
    /// Hosts with their variables.
    Hosts(String),
    /// Names of groups.
    Children(String),
    /// Variables.
    Vars(String),
}

/// Reads an inventory. `warn` takes sentences about what is passed over.
///
/// # Errors
/// A sentence with the number of the line.
pub fn read(text: &str, content: &mut Content, warn: &mut dyn FnMut(String)) -> Result<(), String> {
    let mut section = Section::Hosts(UNGROUPED.into());
    // Groups that must be in the inventory, with the lines that name them.
    let mut named: Vec<(usize, String)> = Vec::new();
    let mut vars: BTreeMap<String, HostVars> = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let mut warn = |words| warn(format!("line {number}: {words}"));
        let result = match heading(line) {
            Some(heading) => heading.map(|next| {
                match &next {
                    Section::Hosts(group) | Section::Children(group) => _ = content.group(group),
                    Section::Vars(group) => named.push((number, group.clone())),
                }
                section = next;
            }),
            None => match &section {
                Section::Hosts(group) => host_line(line, group, content, &mut warn),
                Section::Vars(group) => {
                    var_line(line, vars.entry(group.clone()).or_default(), &mut warn)
                }
                Section::Children(group) => child_line(line).map(|child| {
                    content.group(group).children.insert(child.to_owned());
                    named.push((number, child.to_owned()));
                }),
            },
        };
        result.map_err(|words| format!("line {number}: {words}"))?;
    }
    let declared = |name: &str| name == ALL || content.groups.contains_key(name);
    if let Some((number, name)) = named.iter().find(|(_, name)| !declared(name)) {
        return Err(format!("line {number}: there is no group {name}"));
    }
    for (name, vars) in vars {
        content.group(&name).vars.update(vars);
    }
    Ok(())
}

/// Parses `[GROUP]`, `[GROUP:children]` or `[GROUP:vars]`; `None` if the line is no heading.
fn heading(line: &str) -> Option<Result<Section, String>> {
    let (inside, after) = line.strip_prefix('[')?.split_once(']')?;
    let after = after.trim_start();
    let (name, kind) = inside.split_once(':').unwrap_or((inside, ""));
    let is_word = kind.chars().all(|c| c.is_alphanumeric() || c == '_');
    // The brackets of an address, or a range at the beginning of a name.
    if !after.is_empty() && !after.starts_with('#') || !is_word {
        return None;
    }
    if name.trim().is_empty() {
        return Some(Err("the name of the group is missing".into()));
    }
    let name = name.trim().to_owned();
    Some(match kind {
        "" | "hosts" => Ok(Section::Hosts(name)),
        "children" => Ok(Section::Children(name)),
        "vars" => Ok(Section::Vars(name)),
        _ => Err(format!(
            "\"{kind}\" is no kind of a section; write hosts, children or vars"
        )),
    })
}

fn host_line(
    line: &str,
    group: &str,
    content: &mut Content,
    warn: &mut dyn FnMut(String),
) -> Result<(), String> {
    let words = shlex::split(line).ok_or("a quote is not closed")?;
    let Some((host, assignments)) = words.split_first() else {
        return Ok(());
    };
    let mut vars = HostVars::default();
    for assignment in assignments {
        let (name, value) = assignment
            .split_once('=')
            .ok_or_else(|| format!("\"{assignment}\" is no variable; write NAME=VALUE"))?;
        vars.set(name, value, warn)?;
    }
    for name in host_range::expand(host)? {
        let name = content.add_host(&name, group)?;
        content.hosts[&name].update(vars.clone());
    }
    Ok(())
}

fn var_line(line: &str, vars: &mut HostVars, warn: &mut dyn FnMut(String)) -> Result<(), String> {
    let (name, value) = line
        .split_once('=')
        .ok_or_else(|| format!("\"{line}\" is no variable; write NAME=VALUE"))?;
    let value = value.split(" #").next().unwrap_or_default().trim();
    let quoted = |quote| {
        value
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
    };
    let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
    vars.set(name.trim(), value, warn)
}

fn child_line(line: &str) -> Result<&str, String> {
    let (name, after) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let after = after.trim_start();
    if !after.is_empty() && !after.starts_with('#') {
        return Err(format!("\"{line}\" is not the name of a group"));
    }
    Ok(name)
}
