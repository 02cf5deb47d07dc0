//! The cgroups of the jobs: their place at the start, their controllers when the policy changes, and the refusal of jobs
//! whose limits cannot be applied.
//!
//! Invariant: a job with limits runs only in a cgroup that has them; a job without limits runs in any case.

use std::io;

use super::Supervisor;
use crate::agent::access::PolicySource as _;
use crate::process::{
    Cgroup, CgroupError, CgroupLimits, CgroupParent, Cgroups, NoCgroups, Process,
};
use crate::time::Instant;

/// Makes the cgroup of the agent, and tells the log of it. An agent that `takes_over` jobs goes on without one.
///
/// # Errors
/// The owner has chosen a directory that cannot be used.
pub(super) fn open(
    parent: &CgroupParent,
    mark: &str,
    takes_over: bool,
) -> io::Result<Option<Cgroups>> {
    match Cgroups::open(parent, mark) {
        Ok(cgroups) => {
            tracing::info!("cgroups: {}", cgroups.directory().display());
            Ok(Some(cgroups))
        }
        Err(NoCgroups::Off) => Ok(None),
        Err(error) if parent.is_chosen() && !takes_over => {
            Err(io::Error::other(format!("cgroup.parent: {error}")))
        }
        Err(error) => {
            tracing::info!("commands have no cgroups: {error}");
            Ok(None)
        }
    }
}

impl Supervisor {
    /// Puts the controllers in force that the policy needs, and tells the log what is and what is not.
    pub(super) fn enable_controllers(&mut self) {
        let wanted = self.policy.policy().cgroup_controllers();
        let Some(cgroups) = &mut self.cgroups else {
            if !wanted.is_empty() {
                tracing::warn!("commands have no cgroups, so those with limits are denied");
            }
            return;
        };
        if cgroups.enable(&wanted) {
            tracing::info!("cgroups: {cgroups}");
            for line in cgroups.lacks() {
                tracing::warn!("{line}");
            }
        }
    }

    /// Makes the cgroup of a job. Returns `None` for a job without limits that gets none.
    pub(super) fn make_cgroup(
        &mut self,
        now: Instant,
        limits: &CgroupLimits,
    ) -> Result<Option<Cgroup>, CgroupError> {
        let made = match &mut self.cgroups {
            Some(cgroups) => cgroups.create(now, limits),
            None => Err(CgroupError::NoCgroups),
        };
        match made {
            Ok(cgroup) => Ok(Some(cgroup)),
            Err(error) if !limits.is_empty() => Err(error),
            Err(CgroupError::NoCgroups) => Ok(None),
            Err(error) => {
                tracing::warn!("a command has no cgroup: {error}");
                Ok(None)
            }
        }
    }

    /// Takes back the cgroup of a process that was reaped, or never came about.
    pub(super) fn release_cgroup(&mut self, now: Instant, cgroup: Option<Cgroup>) {
        if let (Some(cgroups), Some(cgroup)) = (&mut self.cgroups, cgroup) {
            cgroups.release(now, cgroup);
        }
    }
}

/// Marks the processes of a job as left alone.
pub(super) fn keep(process: &Process) {
    if let Some(cgroup) = process.tree().cgroup()
        && let Err(error) = cgroup.keep()
    {
        tracing::warn!(
            "{}: {error}; a later agent ends the command",
            cgroup.path().display()
        );
    }
}
