//! `cargo bench --bench fleet`: one `udpctl` and many hosts, beside parallel-ssh and ClusterShell.
//!
//! The hosts are addresses of 127.0.0.0/8, shared out among a few agents that listen on all of them: an agent admits
//! 2000 handshakes of one key at once, and 200 a second. Dead hosts are addresses of a port that nobody reads. ssh needs
//! root, `ssh`, `ssh-keygen` and `/usr/sbin/sshd`, which gets a configuration of its own; its clients need `parallel-ssh`
//! and `clush`. The bench says what it skips because something is missing.
//!
//! `cargo bench --bench fleet -- 3 ping` makes three runs of each row instead of one, and measures only the rows whose
//! name contains a word given. `UDPAGENT_BIN` and `UDPCTL_BIN` name other programs than those of this build. Without
//! `--bench`, as under `cargo test --all-targets`, nothing is measured.

mod agents;
#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "each bench uses a part of it")]
mod common;
mod cost;
mod lines;
mod rivals;

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use agents::{Agents, Hosts};
use common::programs::Programs;
use common::{machine, process};
use cost::Cost;
use rivals::Rivals;

/// Handshakes of a key that an agent admits a second, once it has admitted its burst.
const HANDSHAKES: u64 = 200;

/// Rows of `udpctl` alone: name, hosts, dead ones among them, and the command; none is `ping`.
const ROWS: [(&str, usize, usize, &[&str]); 6] = [
    ("200 hosts, true", 200, 0, &["true"]),
    ("300 hosts, 20 dead, true", 300, 20, &["true"]),
    ("10000 hosts, ping", 10_000, 0, &[]),
    ("10000 hosts, 1000 dead, ping", 10_000, 1000, &[]),
    ("10000 hosts, true", 10_000, 0, &["true"]),
    ("10000 hosts, 1000 dead, true", 10_000, 1000, &["true"]),
];

/// Name of the row with output, and its hosts.
const OUTPUT: (&str, usize) = ("200 hosts, 5 MB each", 200);

fn main() {
    let (flags, words): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.starts_with("--"));
    if !flags.iter().any(|flag| flag == "--bench") {
        println!("fleet: measures only under `cargo bench`");
        return;
    }
    // A name of a row is also a number: it is too large for runs.
    let (runs, wanted): (Vec<_>, Vec<_>) = words
        .into_iter()
        .partition(|word| word.parse::<u8>().is_ok());
    let runs = runs
        .iter()
        .find_map(|word| word.parse().ok())
        .unwrap_or(1_u8);
    let is_wanted =
        |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    process::end_on_signals();

    let programs = Programs::new();
    let agents = Agents::start(&programs);
    println!("{}", machine::description());
    cost::print_head();
    for (name, hosts, dead, argv) in ROWS {
        if is_wanted(name) {
            let hosts = agents.hosts(hosts - dead, dead);
            let ours = median(runs, hosts.refill(), || {
                run(&programs, &agents, &hosts, argv)
            });
            ours.print(name, "udpctl", &ours);
            if hosts.alive() == 200 {
                beside_rivals(&programs, &agents, name, runs, &ours);
            }
        }
    }
    if is_wanted(OUTPUT.0) {
        let hosts = agents.hosts(OUTPUT.1, 0);
        let ours = median(runs, hosts.refill(), || with_output(&agents, &hosts));
        ours.print(OUTPUT.0, "udpctl", &ours);
    }
}

/// Prints the rows of the other programs for the hosts of a row of ours.
fn beside_rivals(programs: &Programs, agents: &Agents, name: &str, runs: u8, ours: &Cost) {
    let missing = machine::missing(machine::SSH);
    if !missing.is_empty() {
        println!("fleet: without ssh, for lack of {}", missing.join(", "));
        return;
    }
    let hosts = agents.hosts(200, 0);
    let rivals = Rivals::start(programs, &hosts);
    for rival in Rivals::tools() {
        let cost = median(runs, hosts.refill(), || rivals.run(&rival));
        cost.print(name, &rival.name, ours);
    }
}

/// Makes the runs, with a pause before each, and returns that with the median time.
fn median(runs: u8, pause: Duration, mut run: impl FnMut() -> Cost) -> Cost {
    let mut costs: Vec<Cost> = (0..runs.max(1))
        .map(|_| {
            std::thread::sleep(pause);
            run()
        })
        .collect();
    costs.sort_by_key(|cost| cost.time);
    costs.swap_remove(costs.len() / 2)
}

/// Runs a command on hosts, or pings them, and checks the number of those that succeeded.
fn run(programs: &Programs, agents: &Agents, hosts: &Hosts, argv: &[&str]) -> Cost {
    let mut command = udpctl(agents, hosts, argv);
    let errors = programs.directory().join("errors");
    let file = File::create(&errors).expect("the temporary directory has room");
    command.stdout(Stdio::null()).stderr(file);
    let cost = Cost::of(command, &agents.pids(), |_| {});
    let errors = std::fs::read_to_string(&errors).expect("udpctl writes UTF-8");
    let ok = format!("{} ok", hosts.alive());
    // The names of the hosts that are not ok follow the counts.
    let is_counted = errors.lines().any(|line| line.starts_with(&ok));
    assert!(is_counted, "not {ok}: {errors}");
    cost
}

/// Has 5 MB written by each host, and checks every byte.
fn with_output(agents: &Agents, hosts: &Hosts) -> Cost {
    let mut command = udpctl(agents, hosts, &lines::COMMAND);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut checked = None;
    let cost = Cost::of(command, &agents.pids(), |child| {
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let hosts = hosts.alive();
        checked = Some(std::thread::spawn(move || lines::check(stdout, hosts)));
    });
    let checked = checked.expect("the program was started").join();
    checked.expect("every byte is what the hosts wrote");
    cost
}

fn udpctl(agents: &Agents, hosts: &Hosts, argv: &[&str]) -> Command {
    let mut command = agents.udpctl();
    command.arg(if argv.is_empty() { "ping" } else { "exec" });
    let list: &Path = hosts.list();
    command.arg("--hostfile").arg(list);
    if !argv.is_empty() {
        command.arg("--").args(argv);
    }
    command
}
