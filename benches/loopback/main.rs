//! `cargo bench --bench loopback`: bulk throughput on loopback by `udpctl exec`, by ssh and by quinn, side by side
//! in one run, with the CPU time that both ends use.
//!
//! The time is that of the receiver's whole command, from its start to its end. quinn is measured by a sender
//! and a receiver of our own, two processes (`benches/quinn`, a crate apart, built here at first use); they have no
//! command to run and nothing to write. Every case runs on the loopback interface as it is and, as root and with
//! `ip`, on one whose MTU is 1500. ssh needs root, `ssh`, `ssh-keygen` and `/usr/sbin/sshd`. The bench says what it
//! skips because something is missing.
//!
//! `cargo bench --bench loopback -- 9 1500` makes nine runs of each transfer instead of five, and measures
//! only the cases whose name contains a word given. `UDPAGENT_BIN` and `UDPCTL_BIN` name other programs than those
//! of this build, to compare two builds. Without `--bench`, as under `cargo test --all-targets`, nothing is measured.

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "each bench uses a part of it")]
mod common;
mod quinn;
mod streams;
mod table;
mod transfer;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::namespace::Namespace;
use common::programs::Programs;
use common::ssh::Ssh;
use common::{Place, machine, process};
use table::Row;
use transfer::{Servers, Tool};

/// Runs of each transfer, of which the median and the best are printed.
const RUNS: usize = 5;

/// Streams or commands at once in the cases with many.
const MANY: usize = 64;

/// The host itself.
struct Host;

impl Place for Host {
    fn command(&self, program: &Path) -> Command {
        Command::new(program)
    }
}

/// The means of measurement for all cases.
struct Bench {
    programs: Programs,
    /// None if it is not installed.
    ssh: Option<Ssh>,
    /// Path of our program for quinn. None if it cannot be built.
    quinn: Option<PathBuf>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((streams::RECEIVE, rest)) = arguments
        .split_first()
        .map(|(first, rest)| (first.as_str(), rest))
    {
        return streams::receive(rest);
    }
    let (flags, words): (Vec<_>, Vec<_>) = arguments
        .into_iter()
        .partition(|argument| argument.starts_with("--"));
    if !flags.iter().any(|flag| flag == "--bench") {
        println!("loopback: measures only under `cargo bench`");
        return;
    }
    // A name of a case is also a number: it is too large for runs.
    let (runs, wanted): (Vec<_>, Vec<_>) = words
        .into_iter()
        .partition(|word| word.parse::<u8>().is_ok());
    let runs = runs.iter().find_map(|word| word.parse().ok());
    process::end_on_signals();

    let bench = Bench::new();
    let mut places: Vec<(&str, Box<dyn Place>)> = vec![("as it is", Box::new(Host))];
    let missing = machine::missing(machine::NAMESPACE);
    if missing.is_empty() {
        let namespace = Namespace::new("lo");
        namespace.ip(&["link", "set", "lo", "mtu", "1500", "up"]);
        places.push(("MTU 1500", Box::new(namespace)));
    } else {
        let missing = missing.join(", ");
        println!("loopback: without the cases with MTU 1500, for lack of {missing}");
    }
    println!("{}", machine::description());
    table::print_head();
    for (interface, place) in &places {
        for streams in [1, MANY] {
            let case = format!("{interface}, {streams} at once");
            if wanted.is_empty() || wanted.iter().any(|part| case.contains(part.as_str())) {
                bench.measure(&case, place.as_ref(), streams, runs.unwrap_or(RUNS).max(1));
            }
        }
    }
}

impl Bench {
    fn new() -> Self {
        let programs = Programs::new();
        let missing = machine::missing(machine::SSH);
        let ssh = if missing.is_empty() {
            Some(Ssh::new(programs.directory(), Ipv4Addr::LOCALHOST))
        } else {
            println!("loopback: without ssh, for lack of {}", missing.join(", "));
            None
        };
        let quinn = quinn::build();
        if quinn.is_none() {
            println!("loopback: without quinn, which could not be built");
        }
        Self {
            programs,
            ssh,
            quinn,
        }
    }

    /// Makes the runs of a case, all tools in turn, and prints its rows.
    fn measure(&self, case: &str, place: &dyn Place, streams: usize, runs: usize) {
        let servers = Servers::start(self, place);
        let mut rows: Vec<(Tool, Row)> = servers
            .tools(streams)
            .into_iter()
            .map(|tool| (tool, Row::default()))
            .collect();
        for _ in 0..runs {
            for (tool, row) in &mut rows {
                row.push(servers.transfer(*tool, streams));
            }
        }
        table::print(case, &rows);
    }
}
