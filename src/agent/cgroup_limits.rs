//! Limits of the cgroup in which a job runs: `memory`, `pids` and `cpu`, of a key or of all keys.
//!
//! Not the cgroups themselves. Unlike the limits of `setrlimit(2)`, they hold for all processes of a job
//! together.

use std::fmt;

use super::limits::MIN_CGROUP_MEMORY;
use super::size;

/// Description of a valid `memory`.
pub(super) const MEMORY_WANT: &str = "a size of at least 1 MiB such as \"512 MB\" or \"1 GiB\"";

/// Description of a valid `pids`.
pub(super) const PIDS_WANT: &str = "a number of at least 1";

/// Description of a valid `cpu`.
pub(super) const CPU_WANT: &str = "a percentage of one processor of at least 1 such as 50 or 150%";

/// Upper bounds of the cgroup of a job; `None` for no bound.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct CgroupLimits {
    /// Memory in bytes (`memory.max`).
    pub memory: Option<u64>,
    /// Processes and threads (`pids.max`).
    pub pids: Option<u64>,
    /// Processor time in percent of one processor (`cpu.max`).
    pub cpu_percent: Option<u32>,
}

impl CgroupLimits {
    /// Returns these limits, completed by those of `default`.
    #[must_use]
    pub fn or(self, default: Self) -> Self {
        Self {
            memory: self.memory.or(default.memory),
            pids: self.pids.or(default.pids),
            cpu_percent: self.cpu_percent.or(default.cpu_percent),
        }
    }

    /// Returns true if there is no bound.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for CgroupLimits {
    /// Writes a list such as `1048576 bytes of memory, 10 processes, 50% of a processor`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = self.memory.map(|bytes| format!("{bytes} bytes of memory"));
        let pids = self.pids.map(|number| format!("{number} processes"));
        let cpu = self.cpu_percent;
        let cpu = cpu.map(|percent| format!("{percent}% of a processor"));
        let all: Vec<String> = [memory, pids, cpu].into_iter().flatten().collect();
        f.write_str(&all.join(", "))
    }
}

/// Parses a `memory`.
pub(super) fn parse_memory(text: &str) -> Option<u64> {
    size::parse(text).filter(|&bytes| bytes >= MIN_CGROUP_MEMORY)
}

/// Parses a `pids`.
pub(super) fn parse_pids(text: &str) -> Option<u64> {
    text.parse().ok().filter(|&number| number > 0)
}

/// Parses a `cpu`, with or without a percent sign.
pub(super) fn parse_cpu(text: &str) -> Option<u32> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    number.parse().ok().filter(|&percent| percent > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_a_cgroup_are_parsed_and_shown() {
        for (text, bytes) in [("1 MiB", Some(1 << 20)), ("1000k", None), ("lots", None)] {
            assert_eq!(parse_memory(text), bytes, "{text}");
        }
        for (text, percent) in [
            ("50", Some(50)),
            ("150%", Some(150)),
            ("0%", None),
            ("%", None),
        ] {
            assert_eq!(parse_cpu(text), percent, "{text}");
        }
        assert_eq!((parse_pids("1"), parse_pids("0")), (Some(1), None));
        let of_key = CgroupLimits {
            memory: Some(1 << 20),
            ..CgroupLimits::default()
        };
        let default = CgroupLimits {
            memory: Some(1),
            pids: Some(10),
            cpu_percent: Some(50),
        };
        assert_eq!(
            of_key.or(default).to_string(),
            "1048576 bytes of memory, 10 processes, 50% of a processor"
        );
        assert!(CgroupLimits::default().is_empty() && !of_key.is_empty());
    }
}
