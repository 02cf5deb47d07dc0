//! Reports about processes: the start, output, input and end of a job.
//!
//! Not its end by the agent, which [`lifecycle`](super::lifecycle) asks for. Invariant: a report is compared with what
//! is known, so that the same report, or a later one in its place, does no harm.

use super::job::{Job, State};
use super::processes::{Phase, Started, Status};
use super::replies;
use super::{JobId, Jobs, Output, Processes, lane_of, screen};
use crate::agent::audit::Event;
use crate::agent::limits;
use crate::agent::note::Note;
use crate::agent::outbox::Outbox;
use crate::message::{Cause, Outcome};
use crate::time::Instant;

impl<P: Processes> Jobs<P> {
    /// Processes the present state of a process.
    pub fn on_status(&mut self, now: Instant, id: JobId, status: Status, outbox: &mut Outbox) {
        match self.table.get(id).map(|job| job.state) {
            None => return,
            Some(State::Ended { .. }) => return self.on_late_status(now, id, status.phase),
            Some(State::Starting | State::Running) => {}
        }
        if let Some(started) = status.started {
            self.on_started(id, started, outbox);
        }
        for output in Output::ALL {
            self.on_output(id, output, status.outputs[output as usize], outbox);
        }
        self.on_stdin_written(id, status.stdin_written, outbox);
        if status.stdin_closed {
            self.close_stdin(id, outbox);
        }
        if status.overflowed {
            self.end(id, Cause::Output);
        }
        match status.phase {
            Phase::Starting | Phase::Running => {}
            Phase::Refused(outcome) => self.on_refused(id, outcome, outbox),
            Phase::Failed {
                errno,
                step,
                lingering,
            } => {
                self.on_failed(now, id, errno.at(step), lingering, outbox);
            }
            Phase::Ended { exit, streams_open } => {
                let outcome = |job: &Job| job.outcome(Some(exit));
                if let Some(outcome) = self.table.get(id).map(outcome) {
                    self.settle(now, id, outcome, streams_open, false, outbox);
                }
            }
            Phase::Unkillable { streams_open } => {
                if let Some(outcome) = self.table.get(id).map(|job| job.outcome(None)) {
                    self.settle(now, id, outcome, streams_open, true, outbox);
                }
            }
        }
    }

    fn on_started(&mut self, id: JobId, started: Started, outbox: &mut Outbox) {
        let change = self.table.update(id, |job| {
            let first = job.started.replace(started).is_none();
            job.state = State::Running;
            let call = job.attached.map(|attached| attached.call);
            first.then(|| (call, job.take_signals()))
        });
        let Some(Some((call, signals))) = change else {
            return;
        };
        if let Some(call) = call {
            outbox.reply(call, &replies::started(started));
        }
        let pid = started.pid.0;
        self.record(id, Event::Started { pid });
        for signal in signals {
            self.processes.signal(id, signal);
        }
    }

    fn on_output(&mut self, id: JobId, output: Output, end: u64, outbox: &mut Outbox) {
        let new = self.table.update(id, |job| {
            let from = job.output(output).extend(end)?;
            let call = job.attached.map(|attached| attached.call);
            Some((from, call, job.screen.is_some() && output == Output::Out))
        });
        let Some(Some((from, call, emulated))) = new else {
            return;
        };
        if call.is_some() || emulated {
            let pieces = self.processes.output(id, output, from, end);
            let mut offset = from;
            for piece in pieces {
                if emulated {
                    self.emulate(id, offset, &piece);
                }
                offset += piece.len() as u64;
                if let Some(call) = call {
                    outbox.write(call, lane_of(output), piece, false);
                }
            }
        }
        self.release(id, output);
    }

    /// Passes terminal output to the emulation, and keeps a picture from time to time.
    fn emulate(&mut self, id: JobId, offset: u64, chunk: &[u8]) {
        let end = offset + chunk.len() as u64;
        let picture = self.table.update(id, |job| {
            let emulation = job.screen.as_mut()?;
            let since = end.saturating_sub(job.picture);
            let wanted = since > limits::PICTURE || job.resized;
            let cut = wanted
                .then(|| screen::cut(chunk, since > 2 * limits::PICTURE))
                .flatten();
            let (before, after) = chunk.split_at(cut.unwrap_or(chunk.len()));
            emulation.process(before);
            let picture = cut.zip(emulation.window()).map(|(cut, window)| {
                job.picture = offset + cut as u64;
                job.resized = false;
                (job.picture, window, emulation.painted())
            });
            emulation.process(after);
            if emulation.is_lost() {
                job.screen = None;
            }
            picture
        });
        if let Some(Some((offset, window, painted))) = picture {
            self.processes.keep_picture(id, offset, window, painted);
        }
    }

    /// Answers that nothing was started, and removes the job: its request may be sent again.
    fn on_refused(&mut self, id: JobId, outcome: Outcome, outbox: &mut Outbox) {
        let Some(job) = self.table.remove(id) else {
            return;
        };
        self.notes.push_back(Note::Refused {
            id: job.request,
            controller: job.owner.clone(),
            outcome,
            denied: None,
        });
        if let Some(attached) = job.attached {
            self.calls.remove(&attached.call);
            replies::send_refusal(attached.call, outcome, None, outbox);
        }
        for waiter in job.waiters {
            self.calls.remove(&waiter);
            outbox.last_reply(waiter, &replies::refusal(outcome, None));
        }
        self.processes.forget(id);
    }

    pub(super) fn on_failed(
        &mut self,
        now: Instant,
        id: JobId,
        failed: Outcome,
        lingering: bool,
        outbox: &mut Outbox,
    ) {
        let Some(job) = self.table.get(id) else {
            return;
        };
        let outcome = job.cause.map_or(failed, |_| job.outcome(None));
        self.settle(now, id, outcome, false, lingering, outbox);
    }

    /// Processes a report about a job that has its result: its process may be gone now.
    fn on_late_status(&mut self, now: Instant, id: JobId, phase: Phase) {
        let runs = match phase {
            Phase::Starting | Phase::Running | Phase::Unkillable { .. } => true,
            Phase::Failed { lingering, .. } => lingering,
            Phase::Ended { .. } | Phase::Refused(_) => false,
        };
        if runs {
            return;
        }
        let collected = self.table.update(id, |job| {
            if let State::Ended { still_running, .. } = &mut job.state
                && std::mem::take(still_running)
            {
                job.last_used = now;
                return job.collected && !job.retain;
            }
            false
        });
        if collected == Some(true) {
            self.forget(now, id);
        }
    }
}
