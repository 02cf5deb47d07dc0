//! From a supervisor to its state.

use std::os::fd::{AsFd as _, AsRawFd as _, RawFd};

use super::state::{ChildState, JobState, Octets, State};
use crate::agent::audit::{Event, Record};
use crate::agent::ipc::Remembered;
use crate::agent::ipc::limits::{INPUT_RING, OUTPUT_RING};
use crate::agent::jobs::JobId;
use crate::agent::limits::JOBS_ENDED;
use crate::agent::supervisor::Supervisor;
use crate::agent::supervisor::child::Child;
use crate::agent::supervisor::guard::Guard;
use crate::agent::supervisor::job::Job;
use crate::net::Clock;

impl Supervisor {
    /// Returns the state, for the program that takes this one's place. `sockets` are those of the front, and
    /// `activated` tells that a service manager has bound them.
    pub fn state(&self, sockets: Vec<RawFd>, activated: bool) -> State {
        let entries = self.table.register().entries();
        let lost = self.sessions.all(Clock.now());
        State {
            began: self.began,
            epoch: self.epoch,
            mark: self.mark.clone(),
            slots: self.slots,
            slots_of_ended: u32::try_from(JOBS_ENDED).expect("a few thousand"),
            ring_sizes: [OUTPUT_RING, INPUT_RING],
            original_descriptors: self.original_descriptors,
            seen_before: self.seen_before.iter().map(|seen| seen.0).collect(),
            seen: self.seen.iter().map(|&(at, seen)| (at, seen.0)).collect(),
            register: entries
                .map(|(key, request, digest, entered)| Remembered {
                    key,
                    request,
                    digest,
                    entered,
                })
                .collect(),
            horizons: self.table.register().horizons().collect(),
            last_job: self.table.last(),
            jobs: self
                .table
                .iter()
                .map(|(id, job)| self.job_state(id, job))
                .collect(),
            lost_sessions: lost.collect(),
            counts: self.records.counts,
            tally: self.tally.clone(),
            in_force: self.in_force.or(self.reported),
            unsent: self.unsent(),
            lost: self.lost(),
            helpers: self.helpers().chain(self.predecessors.clone()).collect(),
            rings: [&self.shared.outputs, &self.shared.inputs].map(|file| file.file().as_raw_fd()),
            guard: self.guard.as_ref().and_then(Guard::raw_fd),
            lock: self
                .cgroups
                .as_ref()
                .map(|cgroups| cgroups.lock().as_raw_fd()),
            sockets,
            activated,
            unsent_typed: self.terminal.unsent().cloned(),
            is_draft_lost: self.terminal.is_draft_lost(),
            is_after_death: false,
        }
    }

    /// Returns the audit records and the log lines that the recorder has not taken, after one of the records that were
    /// lost with an earlier recorder.
    fn unsent(&self) -> [Vec<Octets>; 2] {
        let [records, lines] = self.records.unsent();
        let unsent = self.records.first_unsent();
        let lost = self.recording.as_ref();
        let lost = lost.map_or(0, |recording| recording.unreported(unsent));
        let notice = Record::of_agent(Event::Dropped { records: lost });
        let notice = (lost > 0).then(|| notice.to_line_now());
        let records: Vec<_> = notice.into_iter().chain(records).collect();
        [records, lines].map(|lines| lines.into_iter().map(Octets).collect())
    }

    pub(in crate::agent::supervisor) fn job_state(&self, id: JobId, job: &Job) -> JobState {
        let deadline = self.starting.iter().find(|start| start.1 == id);
        JobState {
            job: id,
            slot: job.slot,
            request: job.request,
            digest: job.digest,
            owner: job.owner.clone(),
            kept: job.kept,
            record: Octets(job.record.clone()),
            is_copy: job.is_copy,
            status: job.status,
            cause: job.cause,
            pending_force: job.pending_force,
            picture: job
                .picture
                .clone()
                .map(|(offset, window, bytes)| (offset, window, Octets(bytes))),
            taken_from_prompt: job.taken_from_prompt,
            draining: job.draining,
            killed: job.killed,
            ending: self.endings.to_parts(&id),
            forgotten: job.forgotten,
            start_deadline: deadline.map(|start| start.0),
            child: job.child.as_ref().map(child_state),
            io: job.io.to_state(),
        }
    }
}

fn child_state(child: &Child) -> ChildState {
    ChildState {
        tree: child.process().tree().to_parts(),
        pidfd: child.pidfd().as_raw_fd(),
        is_orphan: !child.process().is_child(),
        starting: match child {
            Child::Starting(starting) => {
                Some((starting.report().as_fd().as_raw_fd(), starting.to_parts()))
            }
            Child::Running(_) => None,
        },
    }
}
