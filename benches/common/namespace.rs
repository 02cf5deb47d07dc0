//! A network namespace, and the programs in it.

use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use super::Place;
use super::process::output;

/// A network namespace. Deleted when dropped, after all its processes were killed.
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes one. `suffix` tells it from others of this bench.
    pub fn new(suffix: &str) -> Self {
        let name = format!("udpagent-bench-{}-{suffix}", std::process::id());
        output(ip(&["netns", "add", &name]));
        Self { name }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip` there.
    pub fn ip(&self, arguments: &[&str]) {
        output(ip(&[&["-n", &self.name], arguments].concat()));
    }
}

impl Place for Namespace {
    fn command(&self, program: &Path) -> Command {
        let mut command = ip(&["netns", "exec", &self.name]);
        command.arg(program);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Ok(pids) = ip(&["netns", "pids", &self.name]).output() {
            let pids = String::from_utf8_lossy(&pids.stdout);
            let pids = pids.lines().filter_map(|pid| pid.parse().ok());
            for pid in pids.filter_map(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let _ = ip(&["netns", "del", &self.name]).status();
    }
}

fn ip(arguments: &[&str]) -> Command {
    let mut command = Command::new("ip");
    command.args(arguments);
    command
}
