//! Cost of a run: time, CPU time and memory of the controller, CPU time of the other end.

use std::fs::read_to_string;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::common::cpu::Usage;
use crate::common::process::{Running, check_signals, ends_within};

/// Interval at which the memory is read.
const INTERVAL: Duration = Duration::from_millis(20);

/// Time after which a run has hung.
const LIMIT: Duration = Duration::from_secs(600);

/// Cost of a run.
pub struct Cost {
    pub time: Duration,
    /// CPU seconds of the program and of the children that it has waited for.
    controller: f64,
    /// CPU seconds of the other end.
    hosts: f64,
    /// Largest resident set of the program itself, in KiB.
    memory: u64,
}

impl Cost {
    /// Runs a program whose other end are the processes `hosts`. `started` gets it when it runs.
    pub fn of(mut command: Command, hosts: &[Pid], started: impl FnOnce(&mut Child)) -> Self {
        let usage = || -> f64 { hosts.iter().map(|&pid| Usage::of(pid).total()).sum() };
        let before = usage();
        let begin = Instant::now();
        let child = command.stdin(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut running = Running(child);
        started(&mut running.0);
        let pid = Pid::from_child(&running.0);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).expect("it was not waited for");
        let mut memory = 0;
        while !ends_within(&pidfd, INTERVAL) {
            check_signals();
            assert!(begin.elapsed() < LIMIT, "{command:?} does not end");
            memory = resident(pid).unwrap_or(memory);
        }
        Self {
            time: begin.elapsed(),
            controller: Usage::of(pid).total(),
            hosts: usage() - before,
            memory,
        }
    }

    /// Prints a row, with the ratio of the times.
    pub fn print(&self, row: &str, tool: &str, ours: &Self) {
        println!(
            "| {row} | {tool} | {:.2} s | {:.2} | {:.2} | {:.1} MiB | {:.1} |",
            self.time.as_secs_f64(),
            self.controller,
            self.hosts,
            f64::from(u32::try_from(self.memory).unwrap_or(u32::MAX)) / 1024.0,
            self.time.as_secs_f64() / ours.time.as_secs_f64(),
        );
    }
}

pub fn print_head() {
    println!(
        "\n| fleet | tool | time | CPU s, controller | hosts | peak memory | time to udpctl's |"
    );
    println!("|{}", "---|".repeat(7));
}

/// Returns the largest resident set so far; `None` if the process has ended.
fn resident(pid: Pid) -> Option<u64> {
    let status = read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
