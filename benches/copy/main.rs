//! `cargo bench --bench copy`: `udpctl cp` on loopback next to `udpctl exec`, to scp and rsync over ssh, and to many hosts.
//!
//! The time is that of the whole command, from its start to its end. Source and destination are in memory, in `/dev/shm` if
//! it is there. Each content is compared after the first run. scp and rsync need root, `ssh`, `ssh-keygen` and
//! `/usr/sbin/sshd`; the bench says what it skips because something is missing.
//!
//! `cargo bench --bench copy -- 9 files` makes nine runs instead of five, and measures only the cases whose name contains
//! a word given. `UDPAGENT_BIN` and `UDPCTL_BIN` name other programs than those of this build. Without `--bench`, as under
//! `cargo test --all-targets`, nothing is measured.

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "each bench uses a part of it")]
mod common;
mod files;

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::programs::{Agent, Programs};
use common::ssh::Ssh;
use common::{Place, machine, process};
use files::Files;

/// Runs of each command, of which the median and the best are printed.
const RUNS: usize = 5;

/// Hosts of the case with many: addresses of one agent.
const HOSTS: &str = "127.0.[0-3].[1-50]";

/// The host itself.
struct Host;

impl Place for Host {
    fn command(&self, program: &Path) -> Command {
        Command::new(program)
    }
}

/// Case of the bench: a source and where it is copied to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    FileUp,
    FileDown,
    FilesUp,
    FilesDown,
    Hosts,
}

impl Case {
    const ALL: [Self; 5] = [
        Self::FileUp,
        Self::FileDown,
        Self::FilesUp,
        Self::FilesDown,
        Self::Hosts,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::FileUp => "1 GiB to a host",
            Self::FileDown => "1 GiB from a host",
            Self::FilesUp => "10 000 files to a host",
            Self::FilesDown => "10 000 files from a host",
            Self::Hosts => "10 MiB to 200 hosts",
        }
    }

    /// Tools of its rows; the first is that to which the others are compared.
    const fn tools(self) -> &'static [Tool] {
        match self {
            Self::FileUp | Self::FileDown => &[Tool::Cp, Tool::Exec, Tool::Scp],
            Self::FilesUp | Self::FilesDown => &[Tool::Cp, Tool::Rsync, Tool::Scp],
            Self::Hosts => &[Tool::Cp],
        }
    }

    const fn is_up(self) -> bool {
        matches!(self, Self::FileUp | Self::FilesUp | Self::Hosts)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tool {
    Cp,
    Exec,
    Scp,
    Rsync,
}

impl Tool {
    const fn name(self) -> &'static str {
        match self {
            Self::Cp => "udpctl cp",
            Self::Exec => "udpctl exec, `cat`",
            Self::Scp => "scp",
            Self::Rsync => "rsync over ssh",
        }
    }

    const fn needs_ssh(self) -> bool {
        matches!(self, Self::Scp | Self::Rsync)
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (flags, words): (Vec<_>, Vec<_>) = arguments
        .into_iter()
        .partition(|argument| argument.starts_with("--"));
    if !flags.iter().any(|flag| flag == "--bench") {
        println!("copy: measures only under `cargo bench`");
        return;
    }
    let (runs, wanted): (Vec<_>, Vec<_>) = words
        .into_iter()
        .partition(|word| word.parse::<usize>().is_ok());
    let runs = runs.iter().find_map(|word| word.parse().ok());
    let runs = runs.unwrap_or(RUNS).max(1);
    process::end_on_signals();

    let programs = Programs::new();
    let files = Files::new();
    let agent = programs.agent("0.0.0.0:0", &Host, &Host);
    let missing = machine::missing(&[machine::SSH, &["rsync", "scp"]].concat());
    let ssh = missing
        .is_empty()
        .then(|| Ssh::new(programs.directory(), Ipv4Addr::LOCALHOST));
    if ssh.is_none() {
        println!("copy: without ssh, for lack of {}", missing.join(", "));
    }
    let server = ssh.as_ref().map(|ssh| ssh.server(&Host, &Host));
    let bench = Bench {
        files,
        agent: &agent,
        ssh: ssh.as_ref().filter(|_| server.is_some()),
    };
    println!("{}", machine::description());
    println!("\n| copy | tool | median | best | time to that of cp |");
    println!("|{}", "---|".repeat(5));
    for case in Case::ALL {
        let is_wanted = |word: &String| case.name().contains(word.as_str());
        if wanted.is_empty() || wanted.iter().any(is_wanted) {
            bench.measure(case, runs);
        }
    }
}

/// The means of measurement for all cases.
struct Bench<'a> {
    files: Files,
    agent: &'a Agent<'a>,
    /// None if it is not installed.
    ssh: Option<&'a Ssh>,
}

impl Bench<'_> {
    /// Makes the runs of all tools in turn, and prints their rows.
    fn measure(&self, case: Case, runs: usize) {
        let tools = case.tools().iter().copied();
        let tools = tools.filter(|tool| self.ssh.is_some() || !tool.needs_ssh());
        let mut rows: Vec<(Tool, Vec<Duration>)> = tools.map(|tool| (tool, Vec::new())).collect();
        let source = self.files.source(case);
        for run in 0..runs {
            for (tool, times) in &mut rows {
                process::check_signals();
                let to = self.files.destination();
                times.push(time(self.command(case, *tool, &source, &to)));
                if run == 0 {
                    Files::compare(&source, &to);
                }
            }
        }
        for (_, times) in &mut rows {
            times.sort();
        }
        let median = |times: &[Duration]| times[times.len() / 2].as_secs_f64();
        for (tool, times) in &rows {
            println!(
                "| {} | {} | {:.2} s | {:.2} s | {:.2} |",
                case.name(),
                tool.name(),
                median(times),
                times[0].as_secs_f64(),
                median(times) / median(&rows[0].1),
            );
        }
    }

    fn command(&self, case: Case, tool: Tool, source: &Path, to: &Path) -> Command {
        let [address, ..] = self.agent.contact();
        let (_, port) = address.rsplit_once(':').expect("an address has a port");
        let host = match tool {
            Tool::Cp if case == Case::Hosts => format!("{HOSTS}:{port}"),
            Tool::Cp | Tool::Exec => format!("127.0.0.1:{port}"),
            Tool::Scp | Tool::Rsync => "root@127.0.0.1".to_owned(),
        };
        let there = |path: &Path| format!("{host}:{}", path.display());
        let here = |path: &Path| path.display().to_string();
        let words = if case.is_up() {
            [here(source), there(to)]
        } else {
            [there(source), here(to)]
        };
        let ssh = || self.ssh.expect("only if it is installed");
        match tool {
            Tool::Cp => {
                let mut command = self.agent.udpctl();
                command.args(["cp", "-r", "-p"]).args(words);
                command
            }
            Tool::Exec if case.is_up() => {
                let mut command = self.agent.udpctl();
                let script = format!("cat > {}", to.display());
                command.args(["exec", "-i", &host, "--shell", &script]);
                command.stdin(File::open(source).expect("the source is there"));
                command
            }
            Tool::Exec => {
                let mut command = self.agent.udpctl();
                command.args(["exec", &host, "--", "cat", &here(source)]);
                command.stdout(File::create(to).expect("there is room"));
                command
            }
            Tool::Scp => {
                let mut command = Command::new("scp");
                // Its option for the port is another than that of ssh.
                let options = ssh().client_options();
                let options = options
                    .iter()
                    .map(|word| if word == "-p" { "-P" } else { word });
                command.args(options).args(["-q", "-r", "-p"]).args(words);
                command
            }
            Tool::Rsync => {
                let mut command = Command::new("rsync");
                let [from, to] = words;
                // Without the slash, it makes a directory in the destination.
                let remote = ["ssh".to_owned(), ssh().client_options().join(" ")].join(" ");
                command.args(["-a", "-e", &remote, &format!("{from}/"), &to]);
                command
            }
        }
    }
}

/// Returns the time that a command takes, which has to succeed.
fn time(mut command: Command) -> Duration {
    let begin = Instant::now();
    let ended = command.stderr(Stdio::null()).status();
    let time = begin.elapsed();
    let is_ok = ended.is_ok_and(|status| status.success());
    assert!(is_ok, "{command:?} fails");
    time
}
