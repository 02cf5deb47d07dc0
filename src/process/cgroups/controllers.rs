//! Controllers for the cgroups of jobs.
//!
//! A cgroup can have processes or pass controllers on, not both (the rule of no internal processes, cgroups(7)).
//! If the processes of the agent are in the way, they move to a cgroup of their own. Invariant: no process of anybody
//! else is moved.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use rustix::process::getpid;

use super::find::{AGENT, Place};
use crate::process::Pid;
use crate::process::cgroup::write;
use crate::process::cgroup_limits::CgroupController;
use crate::process::snapshot::Entry;

/// Controllers that a cgroup passes on to those below it.
const PASSED_ON: &str = "cgroup.subtree_control";

/// Reason why a controller is not in force.
#[derive(Debug)]
pub(super) enum Lack {
    /// The cgroup does not have it.
    Unavailable,
    /// systemd manages it.
    NotDelegated,
    /// Processes of others are in the cgroup.
    Occupied,
    /// A file cannot be written.
    System(io::Error),
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable => f.write_str("this cgroup does not have the controller"),
            Self::NotDelegated => f.write_str("systemd has not delegated this cgroup"),
            Self::Occupied => f.write_str("there are other processes in this cgroup"),
            Self::System(error) => error.fmt(f),
        }
    }
}

/// Returns what hinders controllers from being passed on.
pub(super) fn lacks(
    place: &Place,
    wanted: &BTreeSet<CgroupController>,
) -> BTreeMap<CgroupController, Lack> {
    let available = listed(&place.path.join("cgroup.controllers"));
    let passed_on = listed(&place.path.join(PASSED_ON));
    let mut lacks = BTreeMap::new();
    for &controller in wanted.difference(&passed_on) {
        let lack = if !available.contains(&controller) {
            Lack::Unavailable
        } else if !place.is_delegated {
            Lack::NotDelegated
        } else if !is_root(&place.path) && own_processes(&place.path).is_none() {
            Lack::Occupied
        } else {
            continue;
        };
        lacks.insert(controller, lack);
    }
    lacks
}

/// Passes controllers on to the cgroup `to`, and by it to those below it. Returns what hinders the others.
pub(super) fn pass_on(
    place: &Place,
    to: &Path,
    wanted: &BTreeSet<CgroupController>,
) -> BTreeMap<CgroupController, Lack> {
    let mut lacks = lacks(place, wanted);
    for &controller in wanted {
        if !lacks.contains_key(&controller)
            && let Err(error) = pass_one_on(&place.path, to, controller)
        {
            lacks.insert(controller, Lack::System(error));
        }
    }
    lacks
}

fn pass_one_on(from: &Path, to: &Path, controller: CgroupController) -> io::Result<()> {
    let text = format!("+{}", controller.name());
    let file = from.join(PASSED_ON);
    if !listed(&file).contains(&controller) {
        if !is_root(from) {
            vacate(from)?;
        }
        write(&file, &text)?;
    }
    write(&to.join(PASSED_ON), &text)
}

/// Moves the processes of the agent out of a cgroup.
fn vacate(from: &Path) -> io::Result<()> {
    let processes = own_processes(from).unwrap_or_default();
    if processes.is_empty() {
        return Ok(());
    }
    let to = from.join(AGENT);
    match fs::create_dir(&to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    for pid in processes {
        match write(&to.join("cgroup.procs"), &pid.to_string()) {
            // It has ended.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            moved => moved?,
        }
    }
    Ok(())
}

/// Returns the processes of a cgroup if all are this one or its children.
fn own_processes(cgroup: &Path) -> Option<Vec<Pid>> {
    let list = fs::read_to_string(cgroup.join("cgroup.procs")).ok()?;
    let own = getpid();
    let is_own = |pid: Pid| {
        let parent = || Entry::read(pid).map(|entry| entry.parent);
        pid == own || parent() == Some(own.as_raw_pid())
    };
    let pids = list.lines().map(|pid| Pid::from_raw(pid.parse().ok()?));
    pids.map(|pid| pid.filter(|&pid| is_own(pid))).collect()
}

/// True if a cgroup is the root of the hierarchy, which may have processes and pass controllers on.
fn is_root(cgroup: &Path) -> bool {
    !cgroup.join("cgroup.type").exists()
}

/// Returns the controllers that a file lists.
fn listed(file: &Path) -> BTreeSet<CgroupController> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let words: BTreeSet<&str> = text.split_whitespace().collect();
    let all = CgroupController::ALL.into_iter();
    all.filter(|one| words.contains(one.name())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with files as those of a cgroup that is not the root.
    fn fake(controllers: &str, procs: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("cgroup.type", "domain\n"),
            ("cgroup.controllers", controllers),
            (PASSED_ON, "pids\n"),
            ("cgroup.procs", procs),
        ] {
            fs::write(directory.path().join(file), text).unwrap();
        }
        directory
    }

    fn place(directory: &tempfile::TempDir, is_delegated: bool) -> Place {
        Place {
            path: directory.path().to_owned(),
            is_delegated,
        }
    }

    fn shown(lacks: &BTreeMap<CgroupController, Lack>) -> Vec<String> {
        let lines = lacks
            .iter()
            .map(|(c, lack)| format!("{}: {lack}", c.name()));
        lines.collect()
    }

    #[test]
    fn what_hinders_a_controller_is_named() {
        let all = BTreeSet::from(CgroupController::ALL);
        let directory = fake("memory pids io\n", "");
        let unavailable = "cpu: this cgroup does not have the controller";
        assert_eq!(shown(&lacks(&place(&directory, true), &all)), [unavailable]);
        let not_delegated = "memory: systemd has not delegated this cgroup";
        let found = shown(&lacks(&place(&directory, false), &all));
        assert_eq!(found, [not_delegated, unavailable], "pids is passed on");
        let directory = fake("memory\n", "1\n");
        let occupied = "memory: there are other processes in this cgroup";
        let found = shown(&lacks(&place(&directory, true), &all));
        assert_eq!(found, [occupied, unavailable]);
    }

    #[test]
    fn the_agent_moves_out_of_a_cgroup_that_is_to_pass_controllers_on() {
        let own = std::process::id().to_string();
        let directory = fake("memory pids cpu\n", &own);
        let (path, jobs) = (directory.path(), directory.path().join("jobs"));
        for below in [jobs.clone(), path.join(AGENT)] {
            fs::create_dir(&below).unwrap();
            fs::write(below.join("cgroup.procs"), "").unwrap();
            fs::write(below.join(PASSED_ON), "").unwrap();
        }
        let wanted = BTreeSet::from([CgroupController::Memory]);
        let lacks = pass_on(&place(&directory, true), &jobs, &wanted);
        assert_eq!(shown(&lacks), [""; 0]);
        let text = |file: &Path| fs::read_to_string(file).unwrap();
        assert_eq!(text(&path.join(AGENT).join("cgroup.procs")), own);
        assert!(text(&path.join(PASSED_ON)).starts_with("+mem"));
        assert_eq!(text(&jobs.join(PASSED_ON)), "+memory");
    }
}
