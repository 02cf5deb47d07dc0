//! The lifecycle of a job: events of its process, its end, and its removal.
//!
//! The exit of the leader is not the end of output: its pipes are read as long as bytes arrive, within bounds.
//! Not the requests that start a job or refer to it.

use bytes::Bytes;

use super::job::{Job, State};
use super::output_buffer::OutputBuffer;
use super::stdin::Closed;
use super::{Exit, Force, JobId, Jobs, Output, Processes, Role, lane_of, requests};
use crate::agent::limits;
use crate::agent::outbox::{CallRef, Outbox};
use crate::message::{Cause, Outcome, StreamCode};
use crate::time::Instant;
use crate::wire::Lane;

/// Returns the call that is attached to a job.
fn call_of(job: &Job) -> Option<CallRef> {
    job.attached.map(|attached| attached.call)
}

impl<P: Processes> Jobs<P> {
    /// Processes output of a process.
    pub fn on_output(
        &mut self,
        now: Instant,
        id: JobId,
        output: Output,
        mut data: Bytes,
        outbox: &mut Outbox,
    ) {
        let Some(job) = self.table.get(id) else {
            return;
        };
        let left = self.config.max_output.map(|most| {
            let written: u64 = job.outputs.iter().map(OutputBuffer::end).sum();
            most.saturating_sub(written)
        });
        let too_much = left.is_some_and(|left| left < data.len() as u64);
        if too_much {
            // Output beyond the limit is read and dropped, so that the process does not block in a write.
            let left = left.and_then(|left| usize::try_from(left).ok());
            data.truncate(left.unwrap_or_default());
            self.end(id, Cause::Output);
        }
        let call = self.table.update(id, |job| {
            job.output(output).push(data.clone());
            if let Some(screen) = &mut job.screen {
                screen.process(&data);
                job.trim_scrollback();
            }
            if let State::Draining { active, .. } = &mut job.state {
                *active = now;
            }
            job.is_running().then(|| call_of(job)).flatten()
        });
        if let Some(Some(call)) = call
            && !data.is_empty()
        {
            outbox.write(call, lane_of(output), data, false);
        }
        self.update_read_limit(id, output);
    }

    /// Processes the end of an output.
    pub fn on_eof(&mut self, now: Instant, id: JobId, output: Output, outbox: &mut Outbox) {
        self.table.update(id, |job| job.output(output).end_here());
        self.finish_if_drained(now, id, outbox);
    }

    /// Processes the exit of the leader.
    pub fn on_exit(&mut self, now: Instant, id: JobId, exit: Exit, outbox: &mut Outbox) {
        let pending_force = self.table.update(id, |job| {
            if job.state == State::Running {
                job.state = State::Draining {
                    exit,
                    since: now,
                    active: now,
                };
            }
            job.pending_force
        });
        if let Some(Some(force)) = pending_force {
            self.processes.end(id, force);
        }
        self.close_stdin(id, outbox);
        for output in Output::ALL {
            self.update_read_limit(id, output);
        }
        self.finish_if_drained(now, id, outbox);
    }

    /// Processes bytes on the data lane of a call.
    pub fn on_input(
        &mut self,
        call: CallRef,
        offset: u64,
        data: Bytes,
        fin: bool,
        outbox: &mut Outbox,
    ) {
        let length = data.len() as u64;
        let taken = match self.calls.get(&call) {
            Some(&Role::Attached(id)) => self
                .table
                .update(id, |job| {
                    let wanted = job.stdin.is_open();
                    (wanted, job.stdin.on_data(offset, data, fin))
                })
                .map(|(wanted, taken)| (id, wanted, taken)),
            Some(Role::Waiting(_) | Role::Forgotten) | None => None,
        };
        let Some((id, wanted, taken)) = taken else {
            outbox.consumed(call, Lane::Data, length);
            return;
        };
        if taken.discarded > 0 {
            outbox.consumed(call, Lane::Data, taken.discarded);
        }
        if wanted {
            if taken.eof || !taken.write.is_empty() {
                self.processes.write_stdin(id, taken.write, taken.eof);
            }
        } else if !fin {
            outbox.stop(call, Lane::Data, StreamCode::Unwanted);
        }
    }

    /// Processes a reset of the data lane. A failed source must not look like the end of input.
    pub fn on_input_reset(&mut self, call: CallRef, code: u64) {
        let Some(&Role::Attached(id)) = self.calls.get(&call) else {
            return;
        };
        let open = self.table.update(id, |job| {
            let open = job.stdin.is_open();
            job.stdin.on_data(0, Bytes::new(), true);
            open
        });
        if open == Some(true) {
            if code == StreamCode::Failed as u64 {
                self.end(id, Cause::Requested);
            } else {
                self.processes.write_stdin(id, Bytes::new(), true);
            }
        }
    }

    /// Grants credit for bytes that the pipe has taken.
    pub fn on_stdin_written(&mut self, id: JobId, bytes: u64, outbox: &mut Outbox) {
        let credit = self
            .table
            .update(id, |job| (call_of(job), job.stdin.on_written(bytes)));
        if let Some((Some(call), bytes)) = credit
            && bytes > 0
        {
            outbox.consumed(call, Lane::Data, bytes);
        }
    }

    /// Closes stdin, because the process has closed it.
    pub fn close_stdin(&mut self, id: JobId, outbox: &mut Outbox) {
        let closed = self
            .table
            .update(id, |job| (call_of(job), job.stdin.close()));
        if let Some((Some(call), Closed { discarded, wanted })) = closed {
            if discarded > 0 {
                outbox.consumed(call, Lane::Data, discarded);
            }
            if wanted {
                outbox.stop(call, Lane::Data, StreamCode::BrokenPipe);
            }
        }
    }

    /// Starts to end a running job; `on_exit` follows.
    pub(super) fn end(&mut self, id: JobId, cause: Cause) {
        let first = self.table.update(id, |job| {
            // The output limit may be exceeded after the leader's end; the result must not look complete.
            let ends = job.state == State::Running || cause == Cause::Output && job.is_running();
            let first = ends && job.cause.is_none();
            if first {
                job.cause = Some(cause);
            }
            first
        });
        if first == Some(true) {
            self.processes.end(id, Force::Terminate);
        }
    }

    /// Detaches all running processes that are not being ended.
    pub(super) fn detach_all(&mut self, now: Instant, outbox: &mut Outbox) {
        let is_detachable = |job: &Job| job.state == State::Running && job.cause.is_none();
        let all = self.table.iter().filter(|(_, job)| is_detachable(job));
        let all: Vec<JobId> = all.map(|(id, _)| id).collect();
        for id in all {
            self.table
                .update(id, |job| job.cause = Some(Cause::Shutdown));
            self.close_stdin(id, outbox);
            self.processes.detach(id);
            // Its outputs are open, and its result is unknown.
            self.settle(now, id, Outcome::Lost {}, true, outbox);
        }
    }

    /// Passes the current read limit of an output to the processes.
    pub(super) fn update_read_limit(&mut self, id: JobId, output: Output) {
        if let Some(job) = self.table.get(id)
            && job.is_running()
            && job.pid.is_some()
        {
            let bytes = job.read_limit(output);
            self.processes.set_read_limit(id, output, bytes);
        }
    }

    pub(super) fn finish_if_drained(&mut self, now: Instant, id: JobId, outbox: &mut Outbox) {
        if let Some(job) = self.table.get(id)
            && matches!(job.state, State::Draining { .. })
            && job.is_drained()
        {
            self.finish(now, id, outbox);
        }
    }

    /// Finishes a job with idle outputs. Bytes that have arrived and were not yet read extend the time.
    pub(super) fn on_drained(&mut self, now: Instant, id: JobId, outbox: &mut Outbox) {
        let goes_on = self.processes.unread(id)
            && self.table.update(id, |job| match &mut job.state {
                State::Draining { since, active, .. } if *since + limits::DRAIN > now => {
                    *active = now;
                    true
                }
                State::Accepted | State::Running | State::Draining { .. } | State::Ended { .. } => {
                    false
                }
            }) == Some(true);
        if !goes_on {
            self.finish(now, id, outbox);
        }
    }

    /// Ends a job after its leader and its outputs.
    fn finish(&mut self, now: Instant, id: JobId, outbox: &mut Outbox) {
        let Some(job) = self.table.get(id) else {
            return;
        };
        if let State::Draining { exit, .. } = job.state {
            let (outcome, open) = (job.outcome(exit), !job.is_drained());
            self.processes.close(id);
            self.settle(now, id, outcome, open, outbox);
        }
    }

    /// Enters the outcome of a job and sends it to the attached and waiting calls.
    pub(super) fn settle(
        &mut self,
        now: Instant,
        id: JobId,
        outcome: Outcome,
        streams_open: bool,
        outbox: &mut Outbox,
    ) {
        let waiters = self.table.update(id, |job| {
            job.state = State::Ended {
                outcome,
                streams_open,
            };
            job.last_used = now;
            if let Some(screen) = &mut job.screen {
                screen.finish();
            }
            std::mem::take(&mut job.waiters)
        });
        self.report(id, outcome);
        let Some(job) = self.table.get(id) else {
            return;
        };
        if let Some(call) = call_of(job) {
            requests::send_exit(call, job, outbox);
        }
        for waiter in waiters.into_iter().flatten() {
            self.calls.remove(&waiter);
            if let Some(exit) = job.exit() {
                outbox.last_reply(waiter, &exit);
            }
        }
        while let Some(surplus) = self.table.surplus() {
            self.drop_result(now, surplus);
        }
    }

    /// Forgets an ended job except for its id. Returns the call that was attached.
    pub(super) fn forget(&mut self, now: Instant, id: JobId) -> Option<CallRef> {
        if self.table.get(id).is_none_or(Job::is_running) {
            return None;
        }
        let call = call_of(&self.table.forget(now, id)?)?;
        self.calls.remove(&call);
        Some(call)
    }

    /// Forgets a job and its uncollected result. Data in flight is still delivered.
    pub(super) fn drop_result(&mut self, now: Instant, id: JobId) {
        if let Some(call) = self.forget(now, id) {
            self.calls.insert(call, Role::Forgotten);
        }
    }
}
