//! `cargo bench --bench link`: transfers over an emulated link with delay, a limited rate and loss, by `udpctl exec`
//! and by ssh, side by side in one run.
//!
//! The link joins two network namespaces; every protocol crosses it. The bench needs root, `gcc` for the
//! emulator (`linkem.c`), `ip` and `/dev/net/tun`; for ssh also `ssh`, `ssh-keygen` and `/usr/sbin/sshd`. It
//! says what it skips because something is missing.
//!
//! `cargo bench --bench link -- 5 loss-1 manners` makes five runs of each transfer instead of three, and
//! measures only the sections whose name contains a word given. `UDPAGENT_BIN` and `UDPCTL_BIN` name other
//! programs than those of this build, to compare two builds. Without `--bench`, as under
//! `cargo test --all-targets`, nothing is measured.

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "each bench uses a part of it")]
mod common;
mod ending;
mod link;
mod manners;
mod payload;
mod tcp;
mod transfers;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use common::programs::{Agent, Programs};
use common::ssh::Ssh;
use common::{machine, process};
use link::{End, Link, Shape};
use tcp::Congestion;

/// Runs of each transfer, of which the median is printed.
const RUNS: usize = 3;

/// The section that is no transfer.
const MANNERS: &str = "manners";

/// The means of measurement for all sections.
struct Bench {
    runs: usize,
    programs: Programs,
    /// Path of the link's emulator.
    emulator: PathBuf,
    /// None if it is not installed.
    ssh: Option<Ssh>,
    /// Algorithms that the kernel has.
    congestion: Vec<Congestion>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (flags, words): (Vec<_>, Vec<_>) = arguments
        .into_iter()
        .partition(|argument| argument.starts_with("--"));
    if !flags.iter().any(|flag| flag == "--bench") {
        println!("link: measures only under `cargo bench`");
        return ExitCode::SUCCESS;
    }
    let runs = words.iter().find_map(|word| word.parse().ok());
    let wanted: Vec<_> = words
        .iter()
        .filter(|word| word.parse::<usize>().is_err())
        .collect();
    let is_wanted =
        |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    let cases: Vec<_> = transfers::CASES
        .iter()
        .filter(|case| is_wanted(case.name))
        .collect();
    if cases.is_empty() && !is_wanted(MANNERS) {
        return ExitCode::SUCCESS;
    }
    let mut missing = machine::missing(machine::NAMESPACE);
    missing.extend(machine::missing(&["gcc", "/dev/net/tun"]));
    if !missing.is_empty() {
        println!("link: skipped, for lack of {}", missing.join(", "));
        return ExitCode::SUCCESS;
    }
    process::end_on_signals();

    let bench = Bench::new(runs.unwrap_or(RUNS).max(1));
    println!("{}", machine::description());
    let mut failures = 0;
    if !cases.is_empty() {
        failures = transfers::run(&bench, &cases);
    }
    if is_wanted(MANNERS) {
        manners::run(&bench);
    }
    if failures == 0 {
        ExitCode::SUCCESS
    } else {
        println!("link: {failures} transfers failed");
        ExitCode::FAILURE
    }
}

impl Bench {
    fn new(runs: usize) -> Self {
        let programs = Programs::new();
        let emulator = programs.directory().join("linkem");
        let mut compiler = Command::new("gcc");
        compiler.args(["-O2", "-o"]).arg(&emulator);
        compiler.arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/benches/link/linkem.c"
        ));
        process::output(compiler);
        let lacking = machine::missing(machine::SSH);
        let ssh = if lacking.is_empty() {
            Some(Ssh::new(programs.directory(), End::Agent.address()))
        } else {
            println!("link: without ssh, for lack of {}", lacking.join(", "));
            None
        };
        let (congestion, unknown): (Vec<_>, Vec<_>) =
            Congestion::ALL.into_iter().partition(|one| one.is_known());
        for one in unknown {
            println!("link: without {one}, which the kernel lacks");
        }
        Self {
            runs,
            programs,
            emulator,
            ssh,
            congestion,
        }
    }

    fn link(&self, shape: Shape) -> Link {
        Link::up(&self.emulator, shape)
    }

    /// Starts an agent at its end of the link.
    fn agent<'a>(&'a self, link: &'a Link) -> Agent<'a> {
        let bind = format!("{}:7000", End::Agent.address());
        let [controller, agents_end] = link.ends();
        self.programs.agent(&bind, agents_end, controller)
    }
}
