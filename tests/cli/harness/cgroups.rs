//! The cgroups of an agent's jobs.

use std::fs;
use std::path::{Path, PathBuf};

use super::Agent;

/// The directory of the cgroups of an agent's jobs, if it has any. The agent holds it open.
pub fn cgroups(agent: &Agent) -> Option<PathBuf> {
    let descriptors = fs::read_dir(format!("/proc/{}/fd", agent.child.pid())).unwrap();
    let mut targets = descriptors
        .flatten()
        .filter_map(|fd| fs::read_link(fd.path()).ok());
    let is_cgroup = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("udpagent-")) && path.join("cgroup.kill").exists()
    };
    let found = targets.find(is_cgroup);
    if found.is_none() {
        eprintln!("SKIPPED: the agent cannot make a cgroup here");
    }
    found
}

/// True if no cgroup of a job is left: only an empty one for the next job.
pub fn is_tidy(directory: &Path) -> bool {
    let events = fs::read_to_string(directory.join("cgroup.events")).unwrap();
    jobs_in(directory).len() <= 1 && events.contains("populated 0")
}

/// Names of the cgroups in a directory.
pub fn jobs_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.path().is_dir());
    let names = directories.map(|entry| entry.file_name().into_string().unwrap());
    names.collect()
}
