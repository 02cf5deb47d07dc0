//! The course of a job: what its process does, and how it ends.
//!
//! Exit is not the end of output: after the leader is over its pipes are read while bytes come. Not the
//! requests that start a job or ask about it.

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

/// The call that has a job.
fn call_of(job: &Job) -> Option<CallRef> {
    job.attached.map(|attached| attached.call)
}

impl<P: Processes> Jobs<P> {
    /// A process has written.
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
            // What comes beyond the limit is read and dropped, so that nothing waits in a write.
            let left = left.and_then(|left| usize::try_from(left).ok());
            data.truncate(left.unwrap_or_default());
            self.end(id, Cause::Output);
        }
        let call = self.table.update(id, |job| {
            job.output(output).push(data.clone());
            if let Some(screen) = &mut job.screen {
                screen.process(&data);
                job.let_scroll();
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
        self.offer_room(id, output);
    }

    /// No more will come of this output.
    pub fn on_eof(&mut self, now: Instant, id: JobId, output: Output, outbox: &mut Outbox) {
        self.table.update(id, |job| job.output(output).end_here());
        self.finish_if_dry(now, id, outbox);
    }

    /// The leader is over.
    pub fn on_exit(&mut self, now: Instant, id: JobId, exit: Exit, outbox: &mut Outbox) {
        let takes_along = self.table.update(id, |job| {
            if job.state == State::Running {
                job.state = State::Draining {
                    exit,
                    since: now,
                    active: now,
                };
            }
            job.takes_along
        });
        if let Some(Some(force)) = takes_along {
            self.processes.end(id, force);
        }
        self.close_stdin(id, outbox);
        for output in Output::ALL {
            self.offer_room(id, output);
        }
        self.finish_if_dry(now, id, outbox);
    }

    /// The data lane of a call brought bytes.
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
            _ => None,
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

    /// The controller gives up sending on the data lane. That its source failed must not look like its end.
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

    /// The pipe took bytes.
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

    /// The process reads no more.
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

    /// Begins to end a job that runs; `on_exit` will come.
    pub(super) fn end(&mut self, id: JobId, cause: Cause) {
        let fresh = self.table.update(id, |job| {
            // Too much output may come after the leader's end; the result must not look whole then.
            let ends = job.state == State::Running || cause == Cause::Output && job.is_running();
            let fresh = ends && job.cause.is_none();
            if fresh {
                job.cause = Some(cause);
            }
            fresh
        });
        if fresh == Some(true) {
            self.processes.end(id, Force::Ask);
        }
    }

    /// Lets go of all processes that run and are not being ended.
    pub(super) fn leave_all(&mut self, now: Instant, outbox: &mut Outbox) {
        let goes_on = |job: &Job| job.state == State::Running && job.cause.is_none();
        let all = self.table.iter().filter(|(_, job)| goes_on(job));
        let all: Vec<JobId> = all.map(|(id, _)| id).collect();
        for id in all {
            self.table
                .update(id, |job| job.cause = Some(Cause::Shutdown));
            self.close_stdin(id, outbox);
            self.processes.leave(id);
            // Its output is still open, and what will come of it is not known.
            self.settle(now, id, Outcome::Lost {}, true, outbox);
        }
    }

    /// Tells the system's side how much may be read.
    pub(super) fn offer_room(&mut self, id: JobId, output: Output) {
        if let Some(job) = self.table.get(id)
            && job.is_running()
            && job.pid.is_some()
        {
            let room = job.room(output);
            self.processes.set_room(id, output, room);
        }
    }

    pub(super) fn finish_if_dry(&mut self, now: Instant, id: JobId, outbox: &mut Outbox) {
        if let Some(job) = self.table.get(id)
            && matches!(job.state, State::Draining { .. })
            && job.is_dry()
        {
            self.finish(now, id, outbox);
        }
    }

    /// Nothing came for a while, which may be because nobody had the time to look.
    pub(super) fn on_drained(&mut self, now: Instant, id: JobId, outbox: &mut Outbox) {
        let goes_on = self.processes.unread(id)
            && self.table.update(id, |job| match &mut job.state {
                State::Draining { since, active, .. } if *since + limits::DRAIN > now => {
                    *active = now;
                    true
                }
                _ => false,
            }) == Some(true);
        if !goes_on {
            self.finish(now, id, outbox);
        }
    }

    /// A job whose leader is over and whose output was waited for is over itself.
    fn finish(&mut self, now: Instant, id: JobId, outbox: &mut Outbox) {
        let Some(job) = self.table.get(id) else {
            return;
        };
        if let State::Draining { exit, .. } = job.state {
            let (outcome, open) = (job.outcome(exit), !job.is_dry());
            self.processes.close(id);
            self.settle(now, id, outcome, open, outbox);
        }
    }

    /// Enters how a job ended, and tells everyone who wants to know.
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
            job.fresh = now;
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

    /// Forgets a job that is over, but for its id. Returns the call that had it.
    pub(super) fn forget(&mut self, now: Instant, id: JobId) -> Option<CallRef> {
        if self.table.get(id).is_none_or(Job::is_running) {
            return None;
        }
        let call = call_of(&self.table.forget(now, id)?)?;
        self.calls.remove(&call);
        Some(call)
    }

    /// Forgets a job whose result nobody has collected. What was written to a session still gets there.
    pub(super) fn drop_result(&mut self, now: Instant, id: JobId) {
        if let Some(call) = self.forget(now, id) {
            self.calls.insert(call, Role::Forgotten);
        }
    }
}
