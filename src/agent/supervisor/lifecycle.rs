//! The life of a process: what its pipes, its pidfd and the time bring, its end, and its removal.
//!
//! The exit of the leader is not the end of output: its pipes are read as long as bytes arrive, within bounds.

use super::child_io::Turn;
use super::job::{Draining, Killed};
use super::owner::Owner;
use super::readiness::Part;
use super::recording::Recording;
use super::{Supervisor, limits};
use crate::agent::audit::{Event, Record};
use crate::agent::jobs::{Exit, Force, JobId, Output, Phase};
use crate::message::{Cause, Outcome};
use crate::net::Clock;
use crate::process::{self, Cgroups, Progress};
use crate::time::Instant;

impl Supervisor {
    /// Processes a readiness event of a part of a process.
    pub(super) fn on_ready(&mut self, id: JobId, part: Part, broken: bool) {
        if let Some(job) = self.table.get_mut(id)
            && job.io.on_ready(part, broken)
        {
            self.ready.push_back((id, part));
        }
    }

    /// Queues the outputs whose pause is over.
    pub(super) fn end_pauses(&mut self, now: Instant) {
        while let Some(&(at, id, part)) = self.paused.front()
            && at <= now
        {
            self.paused.pop_front();
            self.on_ready(id, part, false);
        }
    }

    /// Gives the next part its turn. Returns false if none waits.
    pub(super) fn serve(&mut self, now: Instant) -> bool {
        let Some((id, part)) = self.ready.pop_front() else {
            return false;
        };
        match part {
            Part::Start => self.on_start_report(now, id),
            Part::Leader => self.on_leader(now, id),
            Part::Stdin | Part::Stdout | Part::Stderr => self.on_pipe(now, id, part),
        }
        true
    }

    fn on_pipe(&mut self, now: Instant, id: JobId, part: Part) {
        self.before_move(id);
        self.set_lane(id);
        let Some(job) = self.table.get_mut(id) else {
            return;
        };
        let before = job.status;
        let turn = match part {
            Part::Stdin => {
                let turn = job.io.write(now, &mut self.shared, &self.registry);
                if job.io.poll_timeout().is_some() {
                    self.inputs.insert(id);
                }
                turn
            }
            Part::Stdout | Part::Stderr | Part::Leader | Part::Start => {
                let output = if part == Part::Stdout {
                    Output::Out
                } else {
                    Output::Err
                };
                let written: u64 = Output::ALL.iter().map(|&o| job.io.outlet(o).end).sum();
                let left = self.max_output.map(|most| most.saturating_sub(written));
                let shared = &mut self.shared;
                let turn = job.io.read(now, output, left, shared, &self.registry);
                if job.io.is_paused(output) {
                    self.paused.push_back((now + limits::PAUSE, id, part));
                }
                turn
            }
        };
        if job.io.wants_turn(part) {
            self.ready.push_back((id, part));
        }
        job.status.overflowed |= turn == Turn::Overflow;
        if let Turn::Unreadable(error) = turn {
            let (key, request) = (job.owner.key, job.request);
            tracing::warn!(%key, %request, "an output of a command cannot be read further: {error}");
        }
        if turn != Turn::Nothing
            && let Some(draining) = &mut job.draining
        {
            draining.active = now;
        }
        let drained = job.draining.is_some() && job.io.is_drained();
        job.update_counters();
        if job.status != before {
            self.note(id);
        }
        if drained {
            self.finish(id);
        }
    }

    /// Processes the end of a leader, or of a child that never became one.
    fn on_leader(&mut self, now: Instant, id: JobId) {
        let Some(job) = self.table.get_mut(id) else {
            return;
        };
        let Some(child) = &job.child else { return };
        let Ok(Some(exit)) = child.exited() else {
            return;
        };
        if matches!(job.status.phase, Phase::Failed { .. }) {
            return self.remove_child(id);
        }
        if matches!(job.status.phase, Phase::Starting) {
            // The report comes with the end, or before it.
            self.on_start_report(now, id);
        }
        let Some(job) = self.table.get_mut(id) else {
            return;
        };
        if !matches!(job.status.phase, Phase::Running) || job.draining.is_some() {
            return self.on_leader_of_settled(id, exit);
        }
        let queued = job.io.on_exit(&self.registry);
        job.draining = Some(Draining {
            exit: exit_of(exit),
            since: now,
            active: now,
        });
        job.update_counters();
        for (part, queued) in [Part::Stdout, Part::Stderr].into_iter().zip(queued) {
            if queued {
                self.ready.push_back((id, part));
            }
        }
        let drained = job.io.is_drained();
        let force = job.pending_force;
        self.endings.on_exit(&id, now);
        self.draining.insert(id);
        self.note(id);
        if let Some(force) = force {
            self.end_tree(now, id, force);
        }
        if drained {
            self.finish(id);
        }
    }

    /// Processes the end of a leader whose result was reported before, because it could not be killed.
    fn on_leader_of_settled(&mut self, id: JobId, exit: process::Exit) {
        if let Some(job) = self.table.get_mut(id)
            && let Phase::Unkillable { streams_open } = job.status.phase
        {
            job.status.phase = Phase::Ended {
                exit: exit_of(exit),
                streams_open,
            };
            self.note(id);
        }
        self.remove_child(id);
    }

    /// Ends a job after its leader and its outputs.
    pub(super) fn finish(&mut self, id: JobId) {
        self.draining.remove(&id);
        let Some(job) = self.table.get_mut(id) else {
            return;
        };
        let Some(Draining { exit, .. }) = job.draining.take() else {
            return;
        };
        let streams_open = !job.io.is_drained();
        job.io.close(&self.registry);
        job.update_counters();
        job.status.phase = Phase::Ended { exit, streams_open };
        self.clear_input(id);
        self.note(id);
        self.finished.push(id);
    }

    /// Reaps and records the jobs that have ended in this turn, once their end is reported. Returns true if there were
    /// any.
    pub(super) fn conclude(&mut self) -> bool {
        let finished = std::mem::take(&mut self.finished);
        for &id in &finished {
            if self.table.get(id).is_some_and(|job| !job.forgotten) {
                self.remove_child(id);
            }
        }
        for &id in &finished {
            self.record_end(id);
            self.remove_child(id);
        }
        !finished.is_empty()
    }

    /// Records the end of a job.
    pub(super) fn record_end(&mut self, id: JobId) {
        let Some(job) = self.table.get(id) else {
            return;
        };
        let outcome = match (job.status.phase, job.cause) {
            (Phase::Refused(_) | Phase::Starting | Phase::Running, _) => return,
            (Phase::Failed { errno, step, .. }, None) => errno.at(step),
            (
                Phase::Ended {
                    exit: Exit::Unknown,
                    ..
                },
                _,
            ) => Outcome::Lost {},
            (_, Some(Cause::Timeout | Cause::Runtime)) => Outcome::TimedOut {},
            (_, Some(_)) | (Phase::Unkillable { .. }, None) => Outcome::Canceled {},
            (Phase::Ended { exit, .. }, None) => match exit {
                Exit::Code(code) => Outcome::Exited { code },
                Exit::Signal { signal, core } => Outcome::Signaled { signal, core },
                Exit::Unknown => Outcome::Lost {},
            },
        };
        self.tally.command_ended(outcome);
        let event = Event::Ended {
            outcome,
            cause: job.cause,
            stdout: job.status.outputs[0],
            stderr: job.status.outputs[1],
        };
        self.records
            .send(&Record::of_request(&job.owner, job.request, event));
        if job.is_out_of_scope() {
            self.records.copy_denied(&job.owner, job.request);
        }
    }

    /// Starts to end a job. The first cause is kept.
    pub(super) fn end(&mut self, now: Instant, id: JobId, cause: Cause, force: Force) {
        let Some(job) = self.table.get_mut(id) else {
            return;
        };
        // The output limit may be exceeded after the leader's end.
        if !job.is_settled() {
            job.cause.get_or_insert(cause);
        }
        self.end_tree(now, id, force);
    }

    /// Ends the tree of a job, or what remains of it.
    pub(super) fn end_tree(&mut self, now: Instant, id: JobId, force: Force) {
        self.touch(id);
        // The program may run already, and have written something.
        self.on_start_report(now, id);
        let Some(job) = self.table.get_mut(id) else {
            return;
        };
        let Some(child) = &job.child else { return };
        if matches!(job.status.phase, Phase::Starting) {
            // Nothing was executed that could end in its own way.
            return self.kill_start(now, id, Killed::Ended);
        }
        if !std::mem::replace(&mut job.ending, true) {
            self.endings.start(id, child.process(), now);
        }
        if force == Force::Kill {
            self.endings.kill_now(&id, now);
        }
    }

    /// Processes the progress of trees that are being ended.
    pub(super) fn on_endings(&mut self, now: Instant) {
        if self.endings.poll_timeout().is_some_and(|at| at <= now) {
            self.endings.on_timeout(now);
        }
        while let Some((id, progress)) = self.endings.poll() {
            match progress {
                Progress::StillRunning { leader } => self.on_unkillable(id, leader),
                Progress::Ended => {
                    if let Some(job) = self.table.get_mut(id) {
                        job.ending = false;
                    }
                    // The status of its leader, if that has not been reported.
                    self.on_leader(now, id);
                    self.remove_child(id);
                }
            }
        }
    }

    /// Reports the end of a job whose processes could not be killed.
    fn on_unkillable(&mut self, id: JobId, leader: bool) {
        let Some(job) = self.table.get_mut(id) else {
            return;
        };
        let (key, request) = (job.owner.key, job.request);
        tracing::warn!(event = "unkillable", %key, %request, "processes of a command survive KILL");
        if leader && matches!(job.status.phase, Phase::Running) && job.draining.is_none() {
            let streams_open = !job.io.is_drained();
            job.io.close(&self.registry);
            job.update_counters();
            job.status.phase = Phase::Unkillable { streams_open };
            self.record_end(id);
            self.clear_input(id);
            self.note(id);
        }
    }

    /// Reaps the leader of a settled job if it has ended, and forgets the job if the front has.
    pub(super) fn remove_child(&mut self, id: JobId) {
        self.touch(id);
        let Some(job) = self.table.get_mut(id) else {
            return;
        };
        if job.ending || !job.is_settled() {
            return;
        }
        if let Some(child) = &mut job.child {
            match child.reap() {
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(error) => tracing::warn!(%error, "a process cannot be reaped"),
            }
            child.deregister(&self.registry);
            let cgroup = child.process().tree().cgroup().cloned();
            job.child = None;
            self.release_cgroup(Clock.now(), cgroup);
            if let Some(guard) = &mut self.guard {
                guard.gone(id);
            }
        }
        let Some(job) = self.table.get_mut(id) else {
            return;
        };
        job.io.close(&self.registry);
        if let Phase::Failed { lingering, .. } = &mut job.status.phase
            && std::mem::take(lingering)
        {
            self.note(id);
        }
        if self.table.get(id).is_some_and(|job| job.forgotten) {
            self.table.remove(id);
        }
    }

    /// Processes the deadlines of starts, outputs and terminal inputs up to `now`.
    pub(super) fn on_deadlines(&mut self, now: Instant) {
        self.changes.on_timeout(now);
        while let Some(&(at, id)) = self.starting.first()
            && at <= now
        {
            self.starting.remove(&(at, id));
            self.on_start_deadline(now, id);
        }
        for id in self.draining.clone() {
            let Some(job) = self.table.get_mut(id) else {
                continue;
            };
            let unread = job.io.unread();
            let Some(draining) = &mut job.draining else {
                continue;
            };
            if draining.deadline() > now {
                continue;
            }
            // Bytes, or an end, that have arrived and were not yet read extend the time.
            if unread && draining.since + limits::DRAIN > now {
                draining.active = now;
            } else {
                self.finish(id);
            }
        }
        let is_due = |id: &&JobId| {
            let job = self.table.get(**id);
            let at = job.and_then(|job| job.io.poll_timeout());
            at.is_some_and(|at| at <= now)
        };
        for id in self
            .inputs
            .iter()
            .filter(is_due)
            .copied()
            .collect::<Vec<_>>()
        {
            self.before_move(id);
        }
        let table = &mut self.table;
        self.inputs.retain(|&id| {
            let job = table.get_mut(id);
            job.is_some_and(|job| match job.io.poll_timeout() {
                Some(at) if at <= now => {
                    job.io.on_timeout(now);
                    true
                }
                next => next.is_some(),
            })
        });
    }

    /// Returns the next deadline.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let drained = |id| Some(self.table.get(id)?.draining?.deadline());
        let draining = self.draining.iter().filter_map(|&id| drained(id));
        let input = |&id: &JobId| self.table.get(id)?.io.poll_timeout();
        let inputs = self.inputs.iter().filter_map(input);
        let starting = self.starting.first().map(|first| first.0);
        draining
            .chain(inputs)
            .chain(starting)
            .chain(self.paused.front().map(|first| first.0))
            .chain(self.changes.poll_timeout())
            .chain(self.endings.poll_timeout())
            .chain(self.records.next_deadline())
            .chain(self.store_deadline())
            .chain(self.reload)
            .chain(self.reading.deadline())
            .chain(self.recording.as_ref().and_then(Recording::next_start))
            .chain(self.cgroups.as_ref().and_then(Cgroups::poll_timeout))
            .chain(self.redemptions.next_deadline())
            .chain(self.owner.as_ref().and_then(Owner::next_deadline))
            .min()
    }
}

const fn exit_of(exit: process::Exit) -> Exit {
    match exit {
        process::Exit::Code(code) => Exit::Code(code),
        process::Exit::Signal { signal, core } => Exit::Signal { signal, core },
        process::Exit::Unknown => Exit::Unknown,
    }
}
