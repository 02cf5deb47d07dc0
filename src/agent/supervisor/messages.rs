//! The messages of the front, and the reports to it.
//!
//! The front is hostile here: numbers that cannot be are ignored.

use std::io;
use std::time::Duration;

use super::limits;
use super::readiness::Part;
use super::redemptions::Redemption;
use super::starts::size;
use super::{Supervisor, cgroups, child_io};
use crate::agent::audit::{Event, Record, is_front_line};
use crate::agent::ipc::limits::INPUT_RING;
use crate::agent::ipc::{Extent, FrameError, Remembered, Report, RingId, ToFront, ToSupervisor};
use crate::agent::jobs::{JobId, Output, Phase, Status};
use crate::agent::limits::SCREEN;
use crate::message::{Cause, Outcome, Window};
use crate::net::Clock;
use crate::session::InitFingerprint;
use crate::time::Instant;

/// Name of the event of a denial in a record.
const DENIED: &[u8] = b"\"event\":\"denied\"";

/// State of the connection after a look at it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Connection {
    /// Nothing is left to receive.
    Idle,
    /// Messages are left.
    More,
    /// The front is gone, or has sent what is no message.
    Lost,
    /// The front has closed all sessions and ends.
    Closed,
    /// Somebody at the terminal has asked for the end.
    ShutDown,
}

impl Supervisor {
    /// Processes messages of the front.
    pub(super) fn take_messages(&mut self, now: Instant) -> Connection {
        if !self.front_ready {
            return Connection::Idle;
        }
        for _ in 0..limits::MESSAGES {
            let Some(front) = &mut self.front else {
                return Connection::Idle;
            };
            match front.receive() {
                Ok(Some(ToSupervisor::Closed)) => return Connection::Closed,
                Ok(Some(ToSupervisor::ShutDown)) => return Connection::ShutDown,
                Ok(Some(message)) => self.on_message(now, message),
                Ok(None) => {
                    self.front_ready = false;
                    return Connection::Idle;
                }
                Err(error) => {
                    if !matches!(error, FrameError::Closed) {
                        tracing::warn!("the front has failed: {error}");
                    }
                    return Connection::Lost;
                }
            }
        }
        Connection::More
    }

    fn on_message(&mut self, now: Instant, message: ToSupervisor) {
        match message {
            ToSupervisor::Serving(in_force) => self.on_serving(in_force),
            ToSupervisor::Start { job, slot, start } => self.on_start(now, job, slot, *start),
            ToSupervisor::Release(id, output, offset) => {
                self.release(id, output, offset);
            }
            ToSupervisor::Window(id, output, bytes) => self.set_window(id, output, bytes),
            ToSupervisor::Shut(id, output) => self.on_shut(id, output),
            ToSupervisor::Stdin {
                job: id,
                base,
                end,
                eof,
            } => {
                self.touch(id);
                let accepted = self
                    .table
                    .get_mut(id)
                    .is_some_and(|job| job.io.accept(base, end, eof, INPUT_RING));
                if accepted {
                    self.ready.push_back((id, Part::Stdin));
                }
            }
            ToSupervisor::Resize(id, window) => self.resize(id, window),
            ToSupervisor::End(id, cause, force) => self.end(now, id, cause, force),
            ToSupervisor::Signal(id, signal) => self.signal(id, signal),
            ToSupervisor::Picture(id, offset, window, bytes) => {
                if let Some(job) = self.table.get_mut(id)
                    && bytes.len() <= SCREEN
                {
                    job.picture = Some((offset, window, bytes));
                }
            }
            ToSupervisor::TakenFromPrompt(id) => self.on_taken_from_prompt(id),
            ToSupervisor::Detach(id) => self.detach(now, id),
            ToSupervisor::Forget(id) => self.forget(now, id),
            ToSupervisor::Record(line) => self.on_front_record(line),
            ToSupervisor::BotProcesses(count) => self.on_bot_processes(count),
            ToSupervisor::Said(said) => self.keep_said(now, said),
            ToSupervisor::InitSeen(fingerprint) => {
                self.on_init_seen(now, InitFingerprint(fingerprint));
            }
            ToSupervisor::SessionOpened(session, key, record) => {
                self.records.counts.session();
                self.tally.key_seen(key);
                self.sessions.open(session, key, record);
            }
            ToSupervisor::SessionMoved(session, path) => self.sessions.move_to(session, path),
            ToSupervisor::SessionClosed(session) => {
                if let Some(key) = self.sessions.close(session) {
                    self.tally.key_seen(key);
                }
            }
            ToSupervisor::Counted(number, counts) => self.tally.on_counted(number, *counts),
            ToSupervisor::Redeem {
                question,
                key,
                address,
                invite,
                name,
            } => self.on_redeem(
                now,
                Redemption {
                    question,
                    key,
                    address,
                    invite,
                    name,
                },
            ),
            ToSupervisor::Prompt(prompt) => self.terminal.on_prompt(prompt),
            ToSupervisor::Typed(line) => self.keep_typed(&line),
            ToSupervisor::Unsent(unsent) => self.terminal.on_unsent(*unsent),
            ToSupervisor::LinesAsked(asked) => self.terminal.on_lines_asked(asked),
            ToSupervisor::Discarded => self.terminal.on_discarded(),
            ToSupervisor::Stays => self.terminal.on_stays(),
            ToSupervisor::ShutDown | ToSupervisor::Closed => {}
        }
    }

    /// Passes a record of the front on, if it is one that the front may write.
    fn on_front_record(&mut self, line: Vec<u8>) {
        if is_front_line(&line) {
            if line.windows(DENIED.len()).any(|part| part == DENIED) {
                self.records.counts.denied();
            }
            self.records.send_line(line);
        } else {
            tracing::warn!("the front has sent a record that it may not write");
        }
    }

    fn resize(&self, id: JobId, window: Window) {
        if let Some(job) = self.table.get(id) {
            job.io.resize(size(window));
        }
    }

    fn on_shut(&mut self, id: JobId, output: Output) {
        self.touch(id);
        let Some(job) = self.table.get_mut(id) else {
            return;
        };
        job.io.shut(output, &self.registry);
        if job.draining.is_some() && job.io.is_drained() {
            self.finish(id);
        }
    }

    fn on_taken_from_prompt(&mut self, id: JobId) {
        self.touch(id);
        if let Some(job) = self.table.get_mut(id) {
            job.taken_from_prompt = true;
        }
    }

    /// Leaves a process alone: it is neither followed nor ended.
    fn detach(&mut self, now: Instant, id: JobId) {
        self.touch(id);
        let Some(job) = self.table.get_mut(id) else {
            return;
        };
        let event = Event::Ended {
            outcome: Outcome::Lost {},
            cause: Some(Cause::Shutdown),
            stdout: job.status.outputs[0],
            stderr: job.status.outputs[1],
        };
        self.tally.command_ended(Outcome::Lost {});
        self.records
            .send(&Record::of_request(&job.owner, job.request, event));
        if let Some(child) = job.child.take() {
            child.deregister(&self.registry);
            job.io.close(&self.registry);
            cgroups::keep(child.process());
            child.detach();
            if let Some(guard) = &mut self.guard {
                guard.gone(id);
            }
        }
        self.forget(now, id);
        self.table.remove(id);
    }

    /// Gives the memory of the input of a job back that has just ended. Not later: as soon as the front knows of the end, it may
    /// write the input of another job there.
    pub(super) fn clear_input(&mut self, id: JobId) {
        if let Some(job) = self.table.get(id)
            && job.io.inlet().accepted > 0
        {
            self.shared.inputs.clear(RingId(job.slot));
        }
    }

    /// Forgets a settled job and gives the memory of its outputs back.
    fn forget(&mut self, now: Instant, id: JobId) {
        self.touch(id);
        let Some(job) = self.table.get(id) else {
            return;
        };
        let settled = job.is_settled() || job.child.is_none();
        if !settled {
            return;
        }
        let written = Output::ALL.map(|output| job.io.outlet(output).end > 0);
        let slot = job.slot;
        self.table.forget(now, id);
        if self.table.get(id).is_some_and(|job| job.child.is_none()) {
            self.table.remove(id);
        }
        self.store_changes(id);
        for (output, written) in Output::ALL.into_iter().zip(written) {
            if written {
                self.shared
                    .outputs
                    .clear(child_io::output_ring(slot, output));
            }
        }
    }

    fn on_init_seen(&mut self, now: Instant, fingerprint: InitFingerprint) {
        if self.seen.len() >= limits::FINGERPRINTS {
            self.seen.pop_front();
        }
        self.seen.push_back((now, fingerprint));
        let kept = self.replay_log.as_mut().map(|log| log.add(fingerprint));
        if let Some(Err(error)) = kept {
            tracing::warn!(%error, "cannot store the fingerprint of a handshake");
            self.replay_log = None;
        }
    }

    /// Releases output that its controller has written.
    fn release(&mut self, id: JobId, output: Output, offset: u64) {
        let Some(job) = self.table.get_mut(id) else {
            return;
        };
        job.io.release(output, offset);
        self.count_held(id);
        self.queue_output(id, output);
    }

    /// Sets the window of the stream of an output.
    fn set_window(&mut self, id: JobId, output: Output, bytes: u64) {
        if let Some(job) = self.table.get_mut(id) {
            job.io.set_window(output, bytes);
            self.queue_output(id, output);
        }
    }

    /// Queues an output that may be read.
    fn queue_output(&mut self, id: JobId, output: Output) {
        self.set_lane(id);
        let job = self.table.get_mut(id);
        if job.is_some_and(|job| job.io.wants_turn(Part::of(output))) {
            self.ready.push_back((id, Part::of(output)));
        }
    }

    /// Counts the output that is held for a job that runs.
    pub(super) fn count_held(&mut self, id: JobId) {
        if let Some(job) = self.table.get(id) {
            let bytes = if job.is_settled() { 0 } else { job.io.held() };
            self.held.set(id, job.owner.key, bytes);
        }
    }

    /// Sets the bound of the outputs of a job to the present one of its key.
    pub(super) fn set_lane(&mut self, id: JobId) {
        if let Some(job) = self.table.get_mut(id) {
            job.io.set_lane(self.held.lane(&job.owner.key, job.kept));
        }
    }

    /// Waits for readiness: of the sockets for room, too, in which something is to be sent.
    pub(super) fn wait(
        &mut self,
        ready: &mut mio::Events,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        if let (Some(front), Some(interest)) = (&self.front, &mut self.front_interest) {
            interest.set_waiting(&self.registry, front.queued() > 0)?;
        }
        self.records.wait_for_room()?;
        self.wait_for_chat_writer()?;
        self.poll.poll(ready, timeout)
    }

    /// Queues a message for the front.
    pub(super) fn send(&mut self, message: &ToFront) {
        if let Some(front) = &mut self.front {
            front.queue(message);
        }
    }

    /// Queues the state of a job that is not in the table and has no output.
    pub(super) fn report(&mut self, job: JobId, status: Status) {
        let extents = [Extent { base: 0, size: 0 }; 2];
        let report = Report {
            job,
            status,
            extents,
        };
        self.send(&ToFront::Report(report));
    }

    /// Reports changed states as far as the front takes them. The rest waits in the table.
    pub(super) fn report_changes(&mut self) -> Result<(), FrameError> {
        loop {
            while let Some(front) = &mut self.front
                && front.queued() < limits::QUEUED
                && let Some(id) = self.changes.pop()
            {
                if let Some(job) = self.table.get_mut(id) {
                    let report = Report {
                        job: id,
                        status: job.status,
                        extents: job.extents(),
                    };
                    front.queue(&ToFront::Report(report));
                }
            }
            let Some(front) = &mut self.front else {
                return Ok(());
            };
            front.flush()?;
            if front.queued() > 0 || self.changes.is_empty() {
                return Ok(());
            }
        }
    }

    /// Sends the texts of the policy's files.
    pub(super) fn send_policy(&mut self) {
        if let Some(files) = self.policy.files() {
            self.send(&ToFront::Policy(Box::new(files)));
        }
    }

    /// Queues all that a new front needs.
    pub(super) fn restore_front(&mut self) {
        // The front that would have forgotten them is gone.
        let refused = self
            .table
            .iter()
            .filter(|(_, job)| !job.forgotten && matches!(job.status.phase, Phase::Refused(_)));
        let refused: Vec<JobId> = refused.map(|(id, _)| id).collect();
        for id in refused {
            self.forget(Clock.now(), id);
        }
        let remembered = self.table.register().entries().map(|entry| Remembered {
            key: entry.0,
            request: entry.1,
            digest: entry.2,
            entered: entry.3,
        });
        let remembered: Vec<_> = remembered.collect();
        for chunk in remembered.chunks(limits::REMEMBERED) {
            self.send(&ToFront::Remembered(chunk.to_vec()));
        }
        let horizons: Vec<_> = self.table.register().horizons().collect();
        for chunk in horizons.chunks(limits::REMEMBERED) {
            self.send(&ToFront::Horizons(chunk.to_vec()));
        }
        let mut jobs: Vec<_> = self
            .table
            .iter()
            .filter(|(_, job)| !job.forgotten && !matches!(job.status.phase, Phase::Refused(_)))
            .map(|(id, job)| {
                let extents = (job.extents(), job.io.inlet().base);
                (id, job.slot, extents, job.restored(id))
            })
            .collect();
        jobs.sort_unstable_by_key(|job| job.0);
        for (_, slot, (extents, stdin_base), restored) in jobs {
            self.send(&ToFront::Restored {
                slot,
                extents,
                stdin_base,
                restored: Box::new(restored),
            });
        }
        self.send(&ToFront::Ready);
    }
}
