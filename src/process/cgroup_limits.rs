//! Limits of the cgroup of a process tree: memory, processes and processor time of all of it together.
//!
//! Not the limits of `setrlimit(2)`, which hold for each process.

use std::collections::BTreeSet;
use std::fmt;

/// Period of `cpu.max` in microseconds, the kernel's default.
const CPU_PERIOD: u64 = 100_000;

/// Upper bounds of a cgroup; `None` for no bound.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct CgroupLimits {
    /// Memory in bytes (`memory.max`).
    pub memory: Option<u64>,
    /// Processes and threads (`pids.max`).
    pub pids: Option<u64>,
    /// Processor time in percent of one processor (`cpu.max`).
    pub cpu_percent: Option<u32>,
}

/// Controllers of the kernel that apply [`CgroupLimits`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum CgroupController {
    /// That of `memory.max`.
    Memory,
    /// That of `pids.max`.
    Pids,
    /// That of `cpu.max`.
    Cpu,
}

impl CgroupController {
    /// All controllers.
    pub(super) const ALL: [Self; 3] = [Self::Memory, Self::Pids, Self::Cpu];

    /// Returns its name in `cgroup.controllers`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
        }
    }
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

    /// Returns the controllers that apply these limits.
    #[must_use]
    pub fn controllers(&self) -> BTreeSet<CgroupController> {
        let needed = [
            self.memory.map(|_| CgroupController::Memory),
            self.pids.map(|_| CgroupController::Pids),
            self.cpu_percent.map(|_| CgroupController::Cpu),
        ];
        needed.into_iter().flatten().collect()
    }

    /// Returns the files of a cgroup that set these limits, with their contents. Out of memory, the kernel ends
    /// all of the cgroup, because half a command is of no use.
    pub(super) fn files(&self) -> Vec<(&'static str, String)> {
        let mut files = Vec::new();
        if let Some(bytes) = self.memory {
            files.push(("memory.max", bytes.to_string()));
            files.push(("memory.oom.group", "1".to_owned()));
        }
        if let Some(number) = self.pids {
            files.push(("pids.max", number.to_string()));
        }
        if let Some(percent) = self.cpu_percent {
            let quota = u64::from(percent) * CPU_PERIOD / 100;
            files.push(("cpu.max", format!("{quota} {CPU_PERIOD}")));
        }
        files
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

/// Returns a list of names such as `memory, pids`.
pub(super) fn names(controllers: &BTreeSet<CgroupController>) -> String {
    let names: Vec<&str> = controllers.iter().map(|one| one.name()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_shown_completed_and_written_as_the_kernel_reads_them() {
        let of_key = CgroupLimits {
            memory: Some(1 << 20),
            ..CgroupLimits::default()
        };
        let default = CgroupLimits {
            memory: Some(1),
            pids: Some(10),
            cpu_percent: Some(50),
        };
        let all = of_key.or(default);
        assert_eq!(
            all.to_string(),
            "1048576 bytes of memory, 10 processes, 50% of a processor"
        );
        assert!(CgroupLimits::default().is_empty() && !of_key.is_empty());
        let files = all.files();
        let lines: Vec<String> = files
            .iter()
            .map(|(file, text)| format!("{file} {text}"))
            .collect();
        assert_eq!(
            lines,
            [
                "memory.max 1048576",
                "memory.oom.group 1",
                "pids.max 10",
                "cpu.max 50000 100000"
            ]
        );
        assert_eq!(names(&all.controllers()), "memory, pids, cpu");
        assert_eq!(names(&of_key.controllers()), "memory");
    }
}
