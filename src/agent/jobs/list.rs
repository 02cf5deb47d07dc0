//! Lists of jobs, and the rights of administrators over the jobs of other keys.
//!
//! Invariant: a list fits one line, whatever the jobs are.

use super::{Jobs, OwnedRequest, Processes};
use crate::agent::access::{Controller, Denied, PolicySource};
use crate::agent::jobs::job::Job;
use crate::agent::limits;
use crate::agent::outbox::{CallRef, Outbox};
use crate::crypto::PublicKey;
use crate::message::{JobView, Reply};
use crate::time::Instant;

/// Returns the owner of the jobs that a request is about: the controller itself, or the key that it names, if it is
/// an administrator.
///
/// # Errors
/// [`Denied`]
pub(super) fn administered(
    controller: &Controller,
    key: Option<PublicKey>,
    policy: &dyn PolicySource,
) -> Result<PublicKey, Denied> {
    match key {
        Some(key) if key != controller.key => {
            check_administrator(controller, policy)?;
            Ok(key)
        }
        Some(_) | None => Ok(controller.key),
    }
}

/// Succeeds for a key with `admin`, and for the controller of the agent's own user.
fn check_administrator(controller: &Controller, source: &dyn PolicySource) -> Result<(), Denied> {
    let policy = source.policy();
    let from = Some(controller.remote);
    policy
        .authorize_admin(&controller.key, from, source.unix_now())
        .map(drop)
}

impl<P: Processes> Jobs<P> {
    /// Answers a request for a list.
    pub(super) fn list_call(
        &mut self,
        now: Instant,
        call: CallRef,
        controller: &Controller,
        all: bool,
        policy: &dyn PolicySource,
        outbox: &mut Outbox,
    ) {
        let reply = if all {
            match check_administrator(controller, policy) {
                Ok(()) => self.list(now, None),
                Err(denied) => {
                    self.record_denial(controller, &denied);
                    Reply::Denied {}
                }
            }
        } else {
            self.list(now, Some(&controller.key))
        };
        outbox.last_reply(call, &reply);
    }

    /// Returns the requests of jobs of the prompt that are not forgotten and were not taken over, oldest first.
    pub fn requests_of_prompt(&self) -> Vec<OwnedRequest> {
        let wanted = |job: &Job| job.owner.is_at_prompt() && !job.taken_from_prompt;
        let jobs = self.table.iter();
        let mut jobs: Vec<_> = jobs.filter(|(_, job)| wanted(job)).collect();
        jobs.sort_unstable_by_key(|&(id, _)| id);
        let jobs = jobs.into_iter().map(|(_, job)| OwnedRequest {
            key: job.owner.key,
            id: job.request,
            program: job.argv.first().map_or_else(String::new, |word| {
                word.as_os_str().to_string_lossy().into_owned()
            }),
        });
        jobs.collect()
    }

    /// Returns the jobs of a key, or of all, oldest first.
    fn list(&self, now: Instant, key: Option<&PublicKey>) -> Reply {
        let wanted = |job: &Job| key.is_none_or(|key| job.owner.key == *key);
        let mut jobs: Vec<_> = self.table.iter().filter(|(_, job)| wanted(job)).collect();
        jobs.sort_unstable_by_key(|&(id, _)| std::cmp::Reverse(id));
        let count = jobs.len();
        let mut argv_left = limits::LIST_ARGV;
        let mut left = limits::LIST;
        let mut views = Vec::new();
        for (_, job) in jobs {
            let mut view = job.view(now);
            if key.is_none() {
                view.key = Some(job.owner.key);
                view.name.clone_from(&job.owner.name);
            }
            let words = view.argv.iter().map(|word| word.as_os_str().len());
            // A byte takes at most six in JSON (\u001b).
            let argv: usize = words.map(|length| 6 * length + 3).sum();
            if argv > argv_left {
                view.argv.clear();
            } else {
                argv_left -= argv;
            }
            let Some(rest) = left.checked_sub(size(&view)) else {
                break;
            };
            left = rest;
            views.push(view);
        }
        views.reverse();
        Reply::Jobs {
            left_out: (count - views.len()) as u64,
            jobs: views,
        }
    }
}

/// Returns an upper bound of the size of a view in JSON, without its argv.
fn size(view: &JobView) -> usize {
    limits::LISTED_JOB + view.name.as_ref().map_or(0, |name| 6 * name.len())
}
