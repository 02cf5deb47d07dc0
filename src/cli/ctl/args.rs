//! Groups of options that several subcommands of `udpctl` share.
//!
//! Definitions only; help, manual page and completions are made from them.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use super::candidates;
use crate::control::targets::{Expression, ParseExpressionError};
use crate::duration;

/// Time limit for the first answer of an agent.
#[derive(Args, Clone, Copy, Debug)]
pub struct ContactTimeout {
    /// Give up if the agent does not answer within TIME
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "10s",
          env = "UDPCTL_CONTACT_TIMEOUT", hide_env_values = true)]
    pub contact_timeout: Duration,
}

/// Choice between the agents of other hosts and one of this command alone.
#[derive(Args, Debug)]
pub struct Contact {
    /// Start udpagent, the one beside udpctl or in PATH, for this command alone, with throw-away keys, and talk to it over real UDP
    #[arg(long, conflicts_with_all = ["hosts", "exclude", "group", "all_hosts", "hostfile", "inventory"])]
    pub local: bool,
    /// Time limit of the first answer.
    #[command(flatten)]
    pub timeout: ContactTimeout,
}

/// Choice of hosts besides those that are named as arguments.
#[derive(Args, Debug)]
pub struct HostOptions {
    /// Add the hosts of SET; may be repeated
    #[arg(short = 'w', long = "hosts", value_name = "SET", add = ArgValueCompleter::new(candidates::set))]
    pub hosts: Vec<Expression>,
    /// Leave out the hosts of SET; may be repeated
    #[arg(short = 'x', long, value_name = "SET", add = ArgValueCompleter::new(candidates::set))]
    pub exclude: Vec<Expression>,
    /// Add the hosts of the group NAME of hosts.toml or an inventory; may be repeated
    #[arg(short = 'g', long, value_name = "NAME", value_parser = group, add = ArgValueCompleter::new(candidates::group))]
    pub group: Vec<Expression>,
    /// Add all hosts of hosts.toml and of inventories
    #[arg(short = 'a', long)]
    pub all_hosts: bool,
    /// Add the hosts of FILE, which has sets and comments that begin with "#"; "-" is standard input
    #[arg(long, value_name = "FILE")]
    pub hostfile: Vec<PathBuf>,
    /// Read FILE, an inventory of Ansible (INI, YAML or a program), beside hosts.toml; may be repeated
    #[arg(long, value_name = "FILE")]
    pub inventory: Vec<PathBuf>,
}

impl HostOptions {
    /// True if an option adds hosts.
    pub const fn add_hosts(&self) -> bool {
        !self.hosts.is_empty()
            || !self.group.is_empty()
            || self.all_hosts
            || !self.hostfile.is_empty()
    }

    /// True if a list of hosts is read from standard input.
    pub fn reads_stdin(&self) -> bool {
        self.hostfile.iter().any(|file| file.as_os_str() == "-")
    }
}

/// Parses `NAME` or `NAME,NAME` as groups.
fn group(text: &str) -> Result<Expression, ParseExpressionError> {
    let (mut set, mut inside, mut begins) = (String::new(), false, true);
    for letter in text.chars() {
        if begins && letter != '@' {
            set.push('@');
        }
        match letter {
            '[' => inside = true,
            ']' => inside = false,
            // No operators: they are part of the name, which is refused.
            '!' | '&' | '^' => set.push('@'),
            _ => {}
        }
        set.push(letter);
        begins = letter == ',' && !inside;
    }
    set.parse()
}
