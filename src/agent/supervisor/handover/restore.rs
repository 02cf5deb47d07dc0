//! From the state of an earlier program to a supervisor.

use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::inherited::{Descriptors, Inherited, invalid};
use super::state::{ChildState, JobState};
use crate::agent::ipc::RingFile;
use crate::agent::ipc::limits::{INPUT_RING, OUTPUT_RING};
use crate::agent::jobs::{JobId, Phase};
use crate::agent::supervisor::child::Child;
use crate::agent::supervisor::child_io::ChildIo;
use crate::agent::supervisor::guard::Guard;
use crate::agent::supervisor::job::Job;
use crate::agent::supervisor::readiness::Part;
use crate::agent::supervisor::{Supervisor, limits};
use crate::net::Clock;
use crate::process::{Cgroups, CgroupsLock, Process, Starting, Tree};
use crate::session::InitFingerprint;
use crate::time::Instant;

impl Supervisor {
    /// Continues the work of the program that was executed before in this process.
    ///
    /// # Errors
    /// A descriptor is missing, or the poll takes it not.
    pub fn restore(&mut self, inherited: Inherited) -> io::Result<()> {
        let now = Clock.now();
        let Inherited {
            state,
            mut descriptors,
            lost,
        } = inherited;
        let is_after_death = state.is_after_death;
        let [outputs, inputs] = state.rings;
        self.shared.outputs = RingFile::adopt(descriptors.take(outputs)?, OUTPUT_RING);
        self.shared.inputs = RingFile::adopt(descriptors.take(inputs)?, INPUT_RING);
        self.keep_slots(state.slots, state.slots_of_ended);
        self.has_taken_over = true;
        self.began = state.began;
        self.epoch = state.epoch;
        self.mark.clone_from(&state.mark);
        self.original_descriptors = state.original_descriptors.or(self.original_descriptors);
        if !state.is_after_death {
            self.seen_before = fingerprints(&state.seen_before);
        }
        let seen = state.seen.iter();
        self.seen = seen
            .map(|&(at, seen)| (at, InitFingerprint(seen)))
            .collect();
        self.sessions.restore(&state.lost_sessions);
        let unsent = state
            .unsent
            .map(|lines| lines.into_iter().map(|line| line.0).collect());
        self.records.restore(state.counts, state.lost, &unsent);
        if !is_after_death {
            self.tally = state.tally;
            self.tally.on_front_lost();
            self.tally.replacements += 1;
        }
        self.reported = state.in_force;
        self.terminal
            .restore_unsent(state.unsent_typed, state.is_draft_lost);
        self.table
            .restore(&state.register, &state.horizons, state.last_job);
        let old_guard = state
            .guard
            .map(|guard| descriptors.take(guard))
            .transpose()?;
        // The cgroups are locked anew by now.
        drop(state.lock.map(|lock| descriptors.take(lock)).transpose()?);
        self.predecessors.clone_from(&state.helpers);
        self.keep_cgroups(&state.jobs);
        for job in state.jobs {
            let id = job.job;
            match self.restore_job(now, is_after_death, job, &mut descriptors) {
                Err(error) if is_after_death => {
                    tracing::error!("a command cannot be taken: {error}; its processes are killed");
                    self.table.remove(id);
                }
                result => result?,
            }
            self.count_held(id);
            if is_after_death {
                self.record_unrecorded_end(id);
            }
        }
        for id in lost {
            self.give_up(id);
        }
        // Lets the front compare the restored jobs with the files, which may have changed in between.
        self.reload = Some(now + limits::SETTLED);
        self.relieve(old_guard)
    }

    /// Records the end of a job that the program before has reported and, as it has not reaped it, not recorded.
    fn record_unrecorded_end(&mut self, id: JobId) {
        let is_unrecorded = self.table.get(id).is_some_and(|job| {
            let has_ended = matches!(job.status.phase, Phase::Ended { .. });
            has_ended && job.child.is_some() && !job.ending
        });
        if is_unrecorded {
            self.record_end(id);
        }
    }

    /// Keeps the rings of the earlier program, whose number cannot change.
    fn keep_slots(&mut self, slots: u32, ended: u32) {
        let most = usize::try_from(slots.saturating_sub(ended)).unwrap_or(usize::MAX);
        if self.max_jobs > most {
            tracing::warn!("jobs stays {most} until the agent is restarted");
        }
        self.max_jobs = self.max_jobs.min(most.max(1));
        self.slots = slots;
    }

    /// Keeps the cgroups that jobs run in, wherever they are.
    fn keep_cgroups(&mut self, jobs: &[JobState]) {
        let children = jobs.iter().filter_map(|job| job.child.as_ref());
        let in_use: HashSet<&Path> = children.filter_map(|child| child.tree.cgroup()).collect();
        if let Some(cgroups) = &mut self.cgroups {
            cgroups.keep(&in_use);
        }
        let elsewhere = in_use.iter().find_map(|cgroup| {
            let directory = cgroup.parent()?;
            let own = self.cgroups.as_ref().map(Cgroups::directory);
            (own != Some(directory)).then_some(directory)
        });
        if let Some(directory) = elsewhere {
            tracing::info!(
                "running commands stay in the cgroups in {}",
                directory.display()
            );
            self.earlier_cgroups = CgroupsLock::hold(directory).ok();
        }
    }

    fn restore_job(
        &mut self,
        now: Instant,
        is_after_death: bool,
        mut state: JobState,
        descriptors: &mut Descriptors,
    ) -> io::Result<()> {
        let (id, slot) = (state.job, state.slot);
        if slot >= self.slots {
            return Err(invalid());
        }
        let child = state.child.as_ref();
        let child = child
            .map(|child| restore_child(child, descriptors))
            .transpose()?;
        let mut io = ChildIo::from_state(slot, &state.io, descriptors)?;
        if let Some(child) = &child {
            self.register(id, child, &mut io)?;
            // What was taken from the store is stored until the guard is told of it.
            if !is_after_death && let Some(guard) = &mut self.guard {
                guard.started(id, child.process().tree().to_parts());
            }
        }
        let ending = state.ending.as_ref().zip(child.as_ref());
        if let Some((parts, child)) = ending {
            self.endings.adopt(id, child.process(), parts, now);
        }
        if let Some(at) = state.start_deadline {
            self.starting.insert((at, id));
        }
        if let Some(draining) = &mut state.draining {
            // Nothing was read meanwhile.
            (draining.since, draining.active) = (now, now);
            self.draining.insert(id);
        }
        if let Some(sent_raw) = state.io.end_of_input {
            io.resume_end_of_input(now, sent_raw);
            self.inputs.insert(id);
        }
        for part in Part::ALL {
            if matches!(part, Part::Leader | Part::Start) || io.wants_turn(part) {
                self.ready.push_back((id, part));
            }
        }
        self.table.insert(id, restored_job(state, child, io));
        Ok(())
    }

    /// Ends the guard of the earlier program, once the new one knows the jobs. Without a new one the old one stays.
    fn relieve(&mut self, old: Option<OwnedFd>) -> io::Result<()> {
        let Some(old) = old else { return Ok(()) };
        let mut old = Guard::adopt(old)?;
        let guard = self.guard.as_mut();
        if guard.is_some_and(|guard| guard.wait_until_sent(limits::GUARD)) {
            old.end();
            if !old.wait_until_sent(limits::GUARD) {
                // It would end the jobs when its connection ends.
                self.relieved = Some(old);
            }
        } else if let Some(new) = self.guard.replace(old) {
            new.kill();
        }
        Ok(())
    }
}

fn fingerprints(numbers: &[u64]) -> Vec<InitFingerprint> {
    numbers.iter().copied().map(InitFingerprint).collect()
}

fn restore_child(state: &ChildState, descriptors: &mut Descriptors) -> io::Result<Child> {
    let tree = Tree::from_parts(state.tree.clone()).ok_or_else(invalid)?;
    let pidfd = descriptors.take(state.pidfd)?;
    let process = if state.is_orphan {
        Process::adopt_orphan(tree, pidfd)
    } else {
        Process::adopt(tree, pidfd)
    };
    Ok(match &state.starting {
        Some((report, parts)) => {
            Child::Starting(Starting::adopt(process, descriptors.take(*report)?, parts)?)
        }
        None => Child::Running(process),
    })
}

/// Returns the job of a state, with its process and pipes.
fn restored_job(state: JobState, child: Option<Child>, io: ChildIo) -> Job {
    Job {
        slot: state.slot,
        request: state.request,
        digest: state.digest,
        kept: state.kept,
        owner: state.owner,
        record: state.record.0,
        is_copy: state.is_copy,
        child,
        io,
        status: state.status,
        cause: state.cause,
        pending_force: state.pending_force,
        picture: state
            .picture
            .map(|(offset, window, bytes)| (offset, window, bytes.0)),
        taken_from_prompt: state.taken_from_prompt,
        draining: state.draining,
        killed: state.killed,
        ending: state.ending.is_some(),
        forgotten: state.forgotten,
    }
}
