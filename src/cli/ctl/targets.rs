//! `udpctl targets`: the targets of sets, without contacting them.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments on options are help texts, in which brackets belong to addresses"
)]

use anyhow::Result;
use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use super::args::HostOptions;
use super::candidates;
use super::context::{Context, print, select};
use crate::control::fold::fold;
use crate::control::targets::{Expression, Inventory};
use crate::net::Target;

const EXAMPLES: &str = "\
Examples:
  udpctl targets 'web[01-40,50]'
  udpctl targets '@web!web[03-04]' --fold
  udpctl targets -a -x @db --count
  udpctl targets --hostfile hosts.txt
  udpctl targets --inventory site.yml -g web";

/// `udpctl targets`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct TargetsArgs {
    /// Hosts: HOST, HOST:PORT, [IPv6]:PORT or a set as web[01-40] or @GROUP
    #[arg(
        value_name = "TARGET", add = ArgValueCompleter::new(candidates::set),
        required_unless_present_any = ["groups", "hosts", "group", "all_hosts", "hostfile"]
    )]
    pub targets: Vec<Expression>,
    /// Further hosts.
    #[command(flatten)]
    pub hosts: HostOptions,
    /// Print one set that has all of them
    #[arg(long, conflicts_with = "count")]
    pub fold: bool,
    /// Print their number
    #[arg(long)]
    pub count: bool,
    /// Print the names of the groups of hosts.toml and of inventories
    #[arg(
        long,
        conflicts_with_all = ["targets", "fold", "count", "hosts", "exclude", "group", "all_hosts", "hostfile"]
    )]
    pub groups: bool,
}

/// Prints the targets.
pub fn run(args: &TargetsArgs) -> Result<u8> {
    let context = Context::new()?;
    let more = &args.hosts.inventory;
    if args.groups {
        print(&lines(context.inventory(more, Inventory::group_names)?))?;
        return Ok(0);
    }
    let selection = select(&args.targets, &args.hosts)?;
    let targets = context.inventory(more, |inventory| selection.targets(inventory))?;
    let labels = targets.iter().map(Target::label);
    print(&if args.count {
        lines([targets.len().to_string()])
    } else if args.fold {
        let folded = fold(labels);
        lines(Some(folded).filter(|folded| !folded.is_empty()))
    } else {
        lines(labels)
    })?;
    Ok(0)
}

/// Returns words, one a line.
fn lines<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> String {
    let mut text = String::new();
    for word in words {
        text.push_str(word.as_ref());
        text.push('\n');
    }
    text
}
