//! `udpctl trust`: pins public keys of agents, and lists, imports and removes them, without a network.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments on options are help texts, in which brackets belong to addresses"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use super::candidates;
use super::context::{Context, note, print};
use crate::control::fold::fold;
use crate::control::known_agents::{
    self, Added, Entry, Imported, KnownAgents, OnChange, Pattern, Removal,
};
use crate::control::targets::{Expression, Inventory, TargetsError, read_text, text_of};
use crate::crypto::PublicKey;
use crate::home;
use crate::net::Target;

const EXAMPLES: &str = "\
Examples:
  udpctl trust web1 ua1:h2hc8zFe3tsYJSoDRZ4TkPb2kZBq0pUGy4GYtQ7rNSw
  udpctl trust --replace web1 \"$(ssh web1 udpagent key)\"
  udpctl trust --list >keys
  udpctl trust --import keys
  udpctl trust --remove 'web[01-40]'";

/// `udpctl trust`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct TrustArgs {
    /// Agent: HOST, HOST:PORT or [IPv6]:PORT; the default port is 7000
    #[arg(value_name = "TARGET", required_unless_present_any = ["import", "list", "remove"], add = ArgValueCompleter::new(candidates::host))]
    pub target: Option<Target>,
    /// Public key of the agent, as "udpagent key" prints it there
    #[arg(value_name = "KEY", required_unless_present_any = ["import", "list", "remove"])]
    pub key: Option<PublicKey>,
    /// Replace the keys that are known for these agents
    #[arg(long)]
    pub replace: bool,
    /// Add the lines HOST KEY of FILE, all or none; HOST may be a set or a pattern, "-" is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["target", "key"])]
    pub import: Option<PathBuf>,
    /// Print the trusted agents as lines HOST KEY, which --import takes
    #[arg(long, conflicts_with_all = ["target", "key", "import", "replace"])]
    pub list: bool,
    /// Remove the keys of the agents of SET, or the line with this set or pattern; may be repeated
    #[arg(long, value_name = "SET", conflicts_with_all = ["target", "key", "import", "list", "replace"], add = ArgValueCompleter::new(candidates::set))]
    pub remove: Vec<String>,
}

/// Changes or lists known_agents.
pub fn run(args: &TrustArgs) -> Result<u8> {
    let context = Context::new()?;
    if args.list {
        return list(&context);
    }
    if !args.remove.is_empty() {
        return remove(&context, &args.remove);
    }
    if let Some(file) = &args.import {
        return import(&context, file, on_change(args.replace));
    }
    let (Some(target), Some(key)) = (&args.target, &args.key) else {
        bail!("write a target and a key");
    };
    if let Some(meant) = target.with_last_group_as_port() {
        let label = target.label();
        bail!(
            "{label} is an IPv6 address without a port; did you mean {meant}? if not, write [{label}]"
        );
    }
    let target = context.target(target)?;
    refuse_key_of_hosts_toml(&context, &target, key)?;
    let known_agents = context.home.known_agents();
    let added = known_agents::add(&known_agents, &target, key, on_change(args.replace))?;
    print(&match added {
        Added::New => format!("{target} is trusted now\n"),
        Added::Already => format!("{target} was trusted already\n"),
        Added::Replaced => format!("{target} has a new key now\n"),
    })?;
    Ok(0)
}

/// Returns the meaning of `--replace`.
pub const fn on_change(replace: bool) -> OnChange {
    if replace {
        OnChange::Replace
    } else {
        OnChange::Refuse
    }
}

/// Fails if `hosts.toml` has another key for a target.
pub fn refuse_key_of_hosts_toml(context: &Context, target: &Target, key: &PublicKey) -> Result<()> {
    let mut pins = context.inventory(&[], Inventory::pins)?.into_iter();
    match pins.find(|(other, pin)| other == target && pin.key != *key) {
        Some((_, pin)) => bail!(
            "{}: {target} has another key here; change it first",
            pin.source
        ),
        None => Ok(()),
    }
}

/// Returns the port of names without one.
fn default_port(context: &Context) -> Result<u16, TargetsError> {
    context.inventory(&[], |inventory| Ok(inventory.default_port()))
}

fn list(context: &Context) -> Result<u8> {
    let known = KnownAgents::load(&context.home.known_agents())?;
    let lines = known.entries().into_iter();
    let lines = lines.map(|Entry { pattern, key, .. }| format!("{pattern} {key}\n"));
    print(&lines.collect::<String>())?;
    let problems = known.problems();
    for problem in &problems {
        note(&format!("udpctl: {problem}; the line is passed over"));
    }
    Ok(u8::from(!problems.is_empty()))
}

fn import(context: &Context, file: &Path, on_change: OnChange) -> Result<u8> {
    let (name, text) = if file.as_os_str() == "-" {
        let name = "standard input";
        let text = text_of(std::io::stdin().lock(), home::MAX_FILE);
        let text = text.map_err(anyhow::Error::msg).context(name)?;
        (Path::new(name), text)
    } else {
        (file, read_text(file, home::MAX_FILE)?)
    };
    let port = default_port(context)?;
    let list = KnownAgents::parse_list(&text, name, port);
    if let Some(problem) = list.problems().first() {
        bail!("{problem}; nothing was changed");
    }
    let mut entries = list.entries();
    for Entry { pattern, key, .. } in &mut entries {
        if let Pattern::Target(target) = pattern {
            *target = context.target(target)?;
            refuse_key_of_hosts_toml(context, target, key)?;
        }
    }
    let Imported {
        new,
        already,
        replaced,
    } = known_agents::import(&context.home.known_agents(), entries, on_change)?;
    let replaced = match replaced {
        0 => String::new(),
        replaced => format!(", {replaced} replaced"),
    };
    print(&format!("{new} added{replaced}, {already} there already\n"))?;
    Ok(0)
}

fn remove(context: &Context, words: &[String]) -> Result<u8> {
    let removals: Vec<Removal> = words
        .iter()
        .map(|word| removal(context, word))
        .collect::<Result<_, _>>()?;
    let removed = known_agents::remove(&context.home.known_agents(), &removals)?;
    let lines = match removed.lines {
        1 => "1 line removed".to_owned(),
        lines => format!("{lines} lines removed"),
    };
    print(&(lines + "\n"))?;
    if !removed.missing.is_empty() {
        let missing = fold(removed.missing.iter().map(String::as_str));
        note(&format!("udpctl: not in known_agents: {missing}"));
    }
    let mut still_named: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, source) in &removed.still_named {
        still_named
            .entry(source.to_string())
            .or_default()
            .push(name);
    }
    for (source, names) in &still_named {
        let names = fold(names.iter().copied());
        note(&format!("udpctl: {source} still names {names}"));
    }
    Ok(u8::from(
        !removed.missing.is_empty() || !removed.still_named.is_empty(),
    ))
}

fn removal(context: &Context, word: &str) -> Result<Removal, TargetsError> {
    let port = default_port(context)?;
    let pattern = Pattern::parse(word, port).ok();
    let pattern = pattern.filter(|pattern| !matches!(pattern, Pattern::Target(_)));
    if let Some(Pattern::Glob(_)) = pattern {
        let targets = Vec::new();
        return Ok(Removal { pattern, targets });
    }
    let set = word.parse::<Expression>()?;
    let targets = context.targets_of(&[set])?;
    Ok(Removal { pattern, targets })
}
