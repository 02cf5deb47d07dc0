//! CPU time of processes, user and system together, from `/proc`.
#![allow(
    clippy::cast_precision_loss,
    reason = "counts of clock ticks are far below 2^52"
)]

use std::fs::read_to_string;

use rustix::process::Pid;

/// CPU seconds of a process, all its threads included.
#[derive(Clone, Copy)]
pub struct Usage {
    pub own: f64,
    /// Those of the children that it has waited for, and of theirs.
    pub children: f64,
}

impl Usage {
    /// Usage of a process so far. It may have ended, but not been waited for.
    pub fn of(pid: Pid) -> Self {
        let path = format!("/proc/{}/stat", pid.as_raw_nonzero());
        let stat = read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self::parse(&stat)
    }

    /// Usage in a line as `/proc/PID/stat` has it.
    pub fn parse(stat: &str) -> Self {
        // The name in parentheses may contain anything. The state after it is field 3, the user time field 14.
        let (_, fields) = stat.rsplit_once(')').expect("a name is in parentheses");
        let mut ticks = fields
            .split_whitespace()
            .skip(11)
            .map(|field| field.parse::<u64>().expect("a time is a number"));
        let mut seconds = || {
            let ticks: u64 = ticks.by_ref().take(2).sum();
            ticks as f64 / rustix::param::clock_ticks_per_second() as f64
        };
        Self {
            own: seconds(),
            children: seconds(),
        }
    }

    pub fn total(self) -> f64 {
        self.own + self.children
    }
}
