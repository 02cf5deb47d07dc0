//! The limit of descriptors of the supervisor, and the number of commands that it suffices for.
//!
//! Invariant: a command is accepted only if there are descriptors for it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::limits;
use crate::agent::limits::JOBS;

/// Raises the limit of descriptors of this process. Returns the number of jobs that it suffices for, at most
/// `wanted`, and the limit before. Fewer jobs than wanted are logged.
pub(super) fn reserve_descriptors(wanted: usize) -> (usize, Option<u64>) {
    let limit = getrlimit(Resource::Nofile);
    let raised = possible_limit(wanted);
    let current = limit.current.unwrap_or(limits::DESCRIPTORS);
    let raise = Rlimit {
        current: Some(raised),
        maximum: limit.maximum,
    };
    let (now, before) = if raised <= current || setrlimit(Resource::Nofile, raise).is_err() {
        (current, None)
    } else {
        (raised, Some(current))
    };
    let jobs = jobs_within(now, wanted);
    if jobs < wanted {
        let needed = needed(wanted);
        let text = format!(
            "the limit of open files, {now}, suffices for {jobs} of {wanted} commands at a time, further ones are busy: \
             raise it to {needed}, or lower jobs in udpagent.toml"
        );
        // The default is more than most agents ever run.
        if wanted == JOBS && jobs >= limits::ENOUGH_JOBS {
            tracing::info!("{text}");
        } else {
            tracing::warn!("{text}");
        }
    }
    (jobs, before)
}

/// Returns the number of jobs, at most `wanted`, that the limits of this process suffice for.
#[must_use]
pub fn possible_jobs(wanted: usize) -> usize {
    jobs_within(possible_limit(wanted), wanted)
}

const fn needed(jobs: usize) -> u64 {
    limits::DESCRIPTORS_OWN + jobs as u64 * limits::DESCRIPTORS_PER_JOB
}

/// Returns the limit that is needed, as far as the hard limit lets it be raised.
fn possible_limit(wanted: usize) -> u64 {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let most = maximum.unwrap_or(limits::DESCRIPTORS);
    needed(wanted).min(limits::DESCRIPTORS).min(most)
}

fn jobs_within(descriptors: u64, wanted: usize) -> usize {
    let jobs = descriptors.saturating_sub(limits::DESCRIPTORS_OWN) / limits::DESCRIPTORS_PER_JOB;
    usize::try_from(jobs).unwrap_or(wanted).clamp(1, wanted)
}
