//! The processes of an agent's jobs in `/proc`: descendants of the agent, and processes with its mark.
//!
//! An agent marks every process of its jobs with a variable whose value begins with a number of that
//! agent's own. The harness reads it from the processes, so that it never takes a process of another test
//! for one of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use udpagent::process::MARKER;

/// Names of the agent's own processes, as the system shows them; `exe` until they have set theirs.
const HELPERS: [&str; 7] = [
    "udpagent-record",
    "udpagent-front",
    "udpagent-guard",
    "udpagent-bot",
    "udpagent-chat",
    "udpagent-lines",
    "exe",
];

/// A process, as `/proc/PID/stat` describes it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    pub name: String,
    /// One letter; Z is a zombie.
    pub state: char,
    /// Start time in clock ticks since boot; with the pid it identifies the process.
    started: u64,
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        let stat = String::from_utf8_lossy(&stat);
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        Some(Self {
            pid,
            parent: fields[1].parse().ok()?,
            name: name.into(),
            state: fields[0].chars().next()?,
            started: fields[19].parse().ok()?,
        })
    }

    fn is_alive(&self) -> bool {
        self.state != 'Z' && self.state != 'X'
    }

    /// The number of the agent whose job it belongs to.
    fn mark(&self) -> Option<String> {
        let environment = fs::read(format!("/proc/{}/environ", self.pid)).ok()?;
        environment.split(|&byte| byte == 0).find_map(|variable| {
            let variable = std::str::from_utf8(variable).ok()?;
            let value = variable.strip_prefix(MARKER)?.strip_prefix('=')?;
            Some(value.split('-').next()?.to_owned())
        })
    }
}

fn all() -> BTreeMap<i32, Process> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, Process::read(pid)?)))
        .collect()
}

/// The ids of an agent's own further processes.
pub fn helpers(pid: rustix::process::Pid) -> Vec<rustix::process::Pid> {
    let all = all().into_values();
    all.filter(|process| process.parent == pid.as_raw_pid())
        .filter(|process| HELPERS.contains(&process.name.as_str()))
        .filter_map(|process| rustix::process::Pid::from_raw(process.pid))
        .collect()
}

/// The id of one of them.
pub fn helper(pid: rustix::process::Pid, name: &str) -> Option<rustix::process::Pid> {
    let all = all().into_values();
    let mut of_agent = all.filter(|process| process.parent == pid.as_raw_pid());
    let found = of_agent.find(|process| process.name == name && process.state != 'Z')?;
    rustix::process::Pid::from_raw(found.pid)
}

/// Resident memory of a process, in bytes.
pub fn resident(pid: rustix::process::Pid) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.unwrap().trim().trim_end_matches(" kB");
    kibibytes.parse::<u64>().unwrap() << 10
}

/// The children of an agent, zombies included, without its own further processes.
pub fn children(pid: rustix::process::Pid) -> Vec<Process> {
    let all = all().into_values();
    all.filter(|process| {
        process.parent == pid.as_raw_pid() && !HELPERS.contains(&process.name.as_str())
    })
    .collect()
}

/// The processes of an agent's jobs.
pub struct Jobs {
    marks: BTreeSet<String>,
    members: BTreeSet<(i32, u64)>,
}

impl Jobs {
    /// Finds them below a running agent. It adopts its orphans, so that none is missed.
    pub fn of(agent: rustix::process::Pid) -> Self {
        let all = all();
        let descends = |process: &&Process| {
            let mut parent = process.parent;
            // Bounded, because /proc changes while it is read and the result may have a cycle.
            for _ in 0..all.len() {
                match all.get(&parent) {
                    Some(_) if parent == agent.as_raw_pid() => return true,
                    Some(next) => parent = next.parent,
                    None => return false,
                }
            }
            false
        };
        let of_job =
            |process: &&Process| !HELPERS.contains(&process.name.as_str()) && descends(process);
        let members: Vec<&Process> = all.values().filter(of_job).collect();
        Self {
            marks: members.iter().filter_map(|member| member.mark()).collect(),
            members: members.iter().map(|m| (m.pid, m.started)).collect(),
        }
    }

    /// Running ones, and any other process with the same mark.
    pub fn left(&self) -> Vec<Process> {
        if self.members.is_empty() {
            return Vec::new();
        }
        let is_ours = |process: &Process| {
            self.members.contains(&(process.pid, process.started))
                || process
                    .mark()
                    .is_some_and(|mark| self.marks.contains(&mark))
        };
        let all = all().into_values();
        all.filter(|process| process.is_alive() && is_ours(process))
            .collect()
    }

    /// Kills them.
    pub fn kill(&self) {
        for process in self.left() {
            let pid = rustix::process::Pid::from_raw(process.pid).expect("not 0");
            // Open the handle first, then check that the pid was not reused.
            if let Ok(handle) = pidfd_open(pid, PidfdFlags::empty())
                && Process::read(process.pid).is_some_and(|now| now.started == process.started)
            {
                let _ = pidfd_send_signal(&handle, Signal::KILL);
            }
        }
    }
}
