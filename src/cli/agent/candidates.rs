//! Candidates for the arguments of `udpagent`: keys by their names, options of a key, and users, from files of this machine.
//!
//! Not the names of subcommands and options, which clap knows. Invariants: the running agent is not asked; a file that cannot
//! be read has no candidates.

use std::collections::BTreeSet;
use std::ffi::OsStr;

use clap_complete::CompletionCandidate;

use super::files::Files;
use crate::cli::completions::{Program, accounts};

/// Words of a line in `authorized_keys`, or their beginnings.
const OPTIONS: [&str; 10] = [
    "allow=",
    "chat-only",
    "admin",
    "user=",
    "from=",
    "max-jobs=",
    "memory=",
    "pids=",
    "cpu=",
    "expires=",
];

/// The program.
pub const UDPAGENT: Program = Program {
    name: "udpagent",
    aliases: "",
    variable: "UDPAGENT_COMPLETE",
    special: |_, _| None,
};

fn of<'a>(names: impl IntoIterator<Item = &'a str>, current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str() else {
        return Vec::new();
    };
    let names = names.into_iter().filter(|name| name.starts_with(current));
    names.map(CompletionCandidate::new).collect()
}

/// Returns candidates for the name of a key.
pub fn key(current: &OsStr) -> Vec<CompletionCandidate> {
    let Ok(files) = Files::locate() else {
        return Vec::new();
    };
    let (policy, _) = files.sources().load();
    let names: BTreeSet<&str> = policy.members().map(|member| &*member.name).collect();
    of(names, current)
}

/// Returns candidates for an option of a key.
pub fn option(current: &OsStr) -> Vec<CompletionCandidate> {
    of(OPTIONS, current)
}

/// Returns candidates for a user of this machine.
pub fn user(current: &OsStr) -> Vec<CompletionCandidate> {
    of(accounts().iter().map(String::as_str), current)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::access::Options;

    #[test]
    fn every_candidate_for_an_option_is_one() {
        for option in OPTIONS {
            let value = match option {
                "allow=" => "uname",
                "user=" => "ann",
                "from=" => "::1",
                "memory=" => "1 GiB",
                "expires=" => "2030-01-31",
                "max-jobs=" | "pids=" | "cpu=" => "3",
                _ => "",
            };
            Options::parse(&[format!("{option}{value}")]).unwrap();
        }
        assert!(Options::parse(&["other="]).is_err());
    }
}
