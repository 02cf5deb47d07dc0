//! The lifecycle of a job: its input, its end by the agent, and its removal.
//!
//! Not the requests that start a job or refer to it, and not the reports about its process.

use bytes::Bytes;

use super::job::{Job, State};
use super::replies;
use super::screen::Screen;
use super::stdin::Closed;
use super::{Force, JobId, Jobs, Output, Processes, Role};
use crate::agent::outbox::{CallRef, Outbox};
use crate::message::{Cause, Outcome, StreamCode};
use crate::time::Instant;
use crate::wire::Lane;

/// Returns the call that is attached to a job.
fn call_of(job: &Job) -> Option<CallRef> {
    job.attached.map(|attached| attached.call)
}

impl<P: Processes> Jobs<P> {
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
                .map(|(wanted, discarded)| (id, wanted, discarded)),
            Some(Role::Waiting(_) | Role::Forgotten) | None => None,
        };
        let Some((id, wanted, discarded)) = taken else {
            outbox.consumed(call, Lane::Data, length);
            return;
        };
        if discarded > 0 {
            outbox.consumed(call, Lane::Data, discarded);
        }
        if wanted {
            self.write_stdin(id);
        } else if !fin {
            outbox.stop(call, Lane::Data, StreamCode::Unwanted);
        }
    }

    /// Passes accepted bytes of stdin on, as many as may be.
    fn write_stdin(&mut self, id: JobId) {
        while let Some(Some((data, eof))) = self.table.update(id, |job| job.stdin.next_write()) {
            self.processes.write_stdin(id, data, eof);
        }
    }

    /// Processes a reset of the data lane. A failed source must not look like the end of input.
    pub fn on_input_reset(&mut self, call: CallRef, code: u64) {
        let Some(&Role::Attached(id)) = self.calls.get(&call) else {
            return;
        };
        let open = self.table.update(id, |job| {
            let open = job.stdin.is_open();
            if code != StreamCode::Failed as u64 {
                job.stdin.on_data(0, Bytes::new(), true);
            }
            open
        });
        if open == Some(true) {
            if code == StreamCode::Failed as u64 {
                self.end(id, Cause::Requested);
            } else {
                self.write_stdin(id);
            }
        }
    }

    /// Grants credit for bytes that the pipe has taken, and passes further ones on.
    pub(super) fn on_stdin_written(&mut self, id: JobId, written: u64, outbox: &mut Outbox) {
        let credit = self
            .table
            .update(id, |job| (call_of(job), job.stdin.on_written(written)));
        if let Some((Some(call), bytes)) = credit
            && bytes > 0
        {
            outbox.consumed(call, Lane::Data, bytes);
        }
        self.write_stdin(id);
    }

    /// Closes stdin, because the process has closed it.
    pub(super) fn close_stdin(&mut self, id: JobId, outbox: &mut Outbox) {
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

    /// Starts to end a running job; its last status follows.
    pub(super) fn end(&mut self, id: JobId, cause: Cause) {
        let first = self.table.update(id, |job| {
            let first = job.is_running() && job.cause.is_none();
            if first {
                job.cause = Some(cause);
            }
            first
        });
        if first == Some(true) {
            self.processes.end(id, cause, Force::Terminate);
        }
    }

    /// Detaches all running processes that are not being ended, and ends those that are being started.
    pub(super) fn detach_all(&mut self, now: Instant, outbox: &mut Outbox) {
        let is_affected = |job: &Job| job.is_running() && job.cause.is_none();
        let all = self.table.iter().filter(|(_, job)| is_affected(job));
        let all: Vec<(JobId, State)> = all.map(|(id, job)| (id, job.state)).collect();
        for (id, state) in all {
            if state == State::Starting {
                self.end(id, Cause::Shutdown);
                continue;
            }
            self.table
                .update(id, |job| job.cause = Some(Cause::Shutdown));
            self.processes.detach(id);
            // Its outputs are open, and its result is unknown.
            self.settle(now, id, Outcome::Lost {}, true, false, outbox);
        }
    }

    /// Releases the bytes of an output that are not needed any more.
    pub(super) fn release(&mut self, id: JobId, output: Output) {
        let start = self.table.update(id, |job| {
            let offset = job.releasable(output);
            let held = job.output(output);
            held.release(offset).then_some(held.start())
        });
        if let Some(Some(start)) = start {
            self.processes.release(id, output, start);
        }
    }

    /// Enters the outcome of a job and sends it to the attached and waiting calls.
    pub(super) fn settle(
        &mut self,
        now: Instant,
        id: JobId,
        outcome: Outcome,
        streams_open: bool,
        still_running: bool,
        outbox: &mut Outbox,
    ) {
        self.close_stdin(id, outbox);
        let waiters = self.table.update(id, |job| {
            job.state = State::Ended {
                outcome,
                streams_open,
                still_running,
            };
            job.last_used = now;
            let window = job.screen.as_ref().and_then(Screen::window);
            let picture = window.zip(job.screen.as_mut()).map(|(window, screen)| {
                screen.finish();
                job.picture = job.outputs[Output::Out as usize].end();
                (job.picture, window, screen.painted())
            });
            (std::mem::take(&mut job.waiters), picture, job.owner.key)
        });
        let Some((waiters, picture, key)) = waiters else {
            return;
        };
        if let Some((offset, window, painted)) = picture {
            self.processes.keep_picture(id, offset, window, painted);
            self.release(id, Output::Out);
        }
        self.report(id, outcome);
        let Some(job) = self.table.get(id) else {
            return;
        };
        if let Some(call) = call_of(job) {
            replies::send_exit(call, job, outbox);
        }
        for waiter in waiters {
            self.calls.remove(&waiter);
            if let Some(exit) = job.exit() {
                outbox.last_reply(waiter, &exit);
            }
        }
        while let Some(surplus) = self.table.surplus(&key) {
            self.drop_result(now, surplus);
        }
    }

    /// Notes that a controller has the whole result. Forgets the job, unless its result is to be kept or its process
    /// still runs. Returns the call that was attached.
    pub(super) fn collect(&mut self, now: Instant, id: JobId) -> Option<CallRef> {
        let kept = self.table.update(id, |job| {
            let ended = !job.is_running();
            job.collected |= ended;
            (ended && (job.retain || job.has_process())).then(|| job.attached.take())
        });
        match kept {
            Some(Some(attached)) => {
                let call = attached?.call;
                self.calls.remove(&call);
                Some(call)
            }
            Some(None) | None => self.forget(now, id),
        }
    }

    /// Forgets an ended job except for its id. Returns the call that was attached.
    pub(super) fn forget(&mut self, now: Instant, id: JobId) -> Option<CallRef> {
        if self.table.get(id).is_none_or(Job::has_process) {
            return None;
        }
        let job = self.table.forget(now, id)?;
        self.processes.forget(id);
        let call = call_of(&job)?;
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
