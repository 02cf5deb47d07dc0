//! The processes of jobs as the front sees them: messages to the supervisor, states from it, and the shared rings.
//!
//! Not the job table. Invariants: a slot has at most one job; a start has left this process when
//! [`flush_starts`](Remote::flush_starts) returns; the ring of stdin never holds more than its size.

use std::collections::HashMap;
use std::os::fd::RawFd;
use std::os::unix::net::UnixStream;

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::agent::ipc::limits::INPUT_RING;
use crate::agent::ipc::{
    Extent, FrameError, Frames, Report, RingFile, RingId, ToFront, ToSupervisor,
};
use crate::agent::jobs::{Force, JobId, Output, Phase, Processes, Restored, Start, Status};
use crate::message::{Cause, Outcome, Window};

/// Longest wait for the supervisor to take a start. It never waits for anything itself.
const START: Timespec = Timespec {
    tv_sec: 5,
    tv_nsec: 0,
};

/// A job as far as its rings are concerned.
struct Known {
    slot: u32,
    extents: [Extent; 2],
    running: bool,
    stdin_base: u64,
    stdin_end: u64,
    stdin_written: u64,
}

/// The processes of the supervisor.
pub struct Remote {
    connection: Frames<ToSupervisor, ToFront>,
    outputs: RingFile,
    inputs: RingFile,
    jobs: HashMap<JobId, Known>,
    /// Free slots below `next_slot`.
    free: Vec<u32>,
    next_slot: u32,
    slots: u32,
    /// States that this side has decided.
    own: Vec<(JobId, Status)>,
    /// True if a start may be queued.
    has_start: bool,
}

/// Returns the ring of an output of a slot.
const fn output_ring(slot: u32, output: Output) -> RingId {
    RingId(2 * slot + output as u32)
}

impl Remote {
    /// Takes the connection to the supervisor and the rings. There are `slots` of each.
    pub fn new(
        connection: Frames<ToSupervisor, ToFront>,
        outputs: RingFile,
        inputs: RingFile,
        slots: u32,
    ) -> Self {
        Self {
            connection,
            outputs,
            inputs,
            jobs: HashMap::new(),
            free: Vec::new(),
            next_slot: 0,
            slots,
            own: Vec::new(),
            has_start: false,
        }
    }

    /// Returns the socket of the connection.
    pub const fn socket(&self) -> &UnixStream {
        self.connection.socket()
    }

    /// Returns the descriptor of the connection.
    pub fn raw_fd(&self) -> RawFd {
        self.connection.raw_fd()
    }

    /// Enters a job of an earlier front. All are entered before the first start.
    pub fn restore(
        &mut self,
        slot: u32,
        extents: [Extent; 2],
        stdin_base: u64,
        restored: &Restored,
    ) {
        let known = Known {
            slot,
            extents,
            running: matches!(restored.status.phase, Phase::Starting | Phase::Running),
            stdin_base,
            stdin_end: restored.stdin_accepted,
            stdin_written: restored.status.stdin_written,
        };
        while self.next_slot <= slot {
            if self.next_slot != slot {
                self.free.push(self.next_slot);
            }
            self.next_slot += 1;
        }
        self.free.retain(|&free| free != slot);
        self.jobs.insert(restored.job, known);
    }

    /// Returns the next message of the supervisor.
    ///
    /// # Errors
    /// [`FrameError`]: the supervisor has ended.
    pub fn receive(&mut self) -> Result<Option<ToFront>, FrameError> {
        let message = self.connection.receive()?;
        if let Some(ToFront::Report(report)) = &message {
            self.on_report(report);
        }
        Ok(message)
    }

    /// Returns the next state that this side has decided.
    pub fn poll(&mut self) -> Option<(JobId, Status)> {
        self.own.pop()
    }

    fn on_report(&mut self, report: &Report) {
        if let Some(known) = self.jobs.get_mut(&report.job) {
            known.extents = report.extents;
            known.stdin_written = report.status.stdin_written;
            known.running = matches!(report.status.phase, Phase::Starting | Phase::Running);
        }
    }

    /// Queues a message. [`flush`](Self::flush) sends it.
    pub fn send(&mut self, message: &ToSupervisor) {
        self.connection.queue(message);
    }

    /// Sends what is queued, as far as the supervisor takes it now.
    ///
    /// # Errors
    /// [`FrameError`]: the supervisor has ended.
    pub fn flush(&mut self) -> Result<(), FrameError> {
        self.connection.flush()
    }

    /// Sends the starts that are queued before it returns. Call it before a controller is told of one.
    ///
    /// # Errors
    /// As [`flush_all`](Self::flush_all).
    ///
    /// # Panics
    /// As [`flush_all`](Self::flush_all).
    pub fn flush_starts(&mut self) -> Result<(), FrameError> {
        if self.has_start {
            self.flush_all()?;
            self.has_start = false;
        }
        Ok(())
    }

    /// Returns true if the supervisor has not taken all that is queued.
    pub const fn is_sending(&self) -> bool {
        self.connection.queued() > 0
    }

    /// Sends what is queued before it returns.
    ///
    /// # Errors
    /// [`FrameError`]: the supervisor has ended. No controller may be told of a start that was queued.
    ///
    /// # Panics
    /// The supervisor does not take it within [`START`]. The front ends then, because it must not tell a controller that
    /// a command was accepted of which nobody else knows.
    pub fn flush_all(&mut self) -> Result<(), FrameError> {
        loop {
            self.connection.flush()?;
            if self.connection.queued() == 0 {
                return Ok(());
            }
            let socket = self.connection.socket();
            let taken = poll(&mut [PollFd::new(socket, PollFlags::OUT)], Some(&START));
            assert!(taken != Ok(0), "the supervisor takes no messages");
        }
    }

    fn free_slot(&mut self, job: JobId) {
        if let Some(known) = self.jobs.remove(&job) {
            for output in Output::ALL {
                self.outputs.unmap(output_ring(known.slot, output));
            }
            self.inputs.unmap(RingId(known.slot));
            self.free.push(known.slot);
        }
    }

    fn slot(&mut self) -> Option<u32> {
        if let Some(slot) = self.free.pop() {
            return Some(slot);
        }
        let slot = self.next_slot;
        (slot < self.slots).then(|| {
            self.next_slot += 1;
            slot
        })
    }
}

impl Processes for Remote {
    fn start(&mut self, job: JobId, start: Start) {
        let Some(slot) = self.slot() else {
            let status = Status {
                phase: Phase::Refused(Outcome::Busy {}),
                ..Status::STARTING
            };
            return self.own.push((job, status));
        };
        let known = Known {
            slot,
            extents: [Extent { base: 0, size: 0 }; 2],
            running: true,
            stdin_base: 0,
            stdin_end: 0,
            stdin_written: 0,
        };
        self.jobs.insert(job, known);
        let start = Box::new(start);
        self.send(&ToSupervisor::Start { job, slot, start });
        self.has_start = true;
    }

    fn output(&mut self, job: JobId, output: Output, from: u64, to: u64) -> Vec<Bytes> {
        let Some(known) = self.jobs.get(&job) else {
            return Vec::new();
        };
        let ring = output_ring(known.slot, output);
        let extent = known.extents[output as usize];
        match self.outputs.read(ring, extent, from, to) {
            Ok(pieces) => pieces,
            // The file is in memory: a panic ends the front, and the next one reads the bytes.
            Err(error) => panic!("cannot read the output of a job: {error}"),
        }
    }

    fn release(&mut self, job: JobId, output: Output, offset: u64) {
        self.send(&ToSupervisor::Release(job, output, offset));
    }

    fn set_window(&mut self, job: JobId, output: Output, bytes: u64) {
        self.send(&ToSupervisor::Window(job, output, bytes));
    }

    fn shut(&mut self, job: JobId, output: Output) {
        self.send(&ToSupervisor::Shut(job, output));
    }

    fn write_stdin(&mut self, job: JobId, data: Bytes, eof: bool) {
        let Some(known) = self.jobs.get_mut(&job) else {
            return;
        };
        if known.stdin_written == known.stdin_end {
            known.stdin_base = known.stdin_end;
        }
        let (base, at) = (known.stdin_base, known.stdin_end);
        let size = INPUT_RING;
        let extent = Extent { base, size };
        let written = self.inputs.write(RingId(known.slot), extent, at, &data);
        if let Err(error) = written {
            panic!("cannot write the input of a job: {error}");
        }
        known.stdin_end += data.len() as u64;
        let end = known.stdin_end;
        self.send(&ToSupervisor::Stdin {
            job,
            base,
            end,
            eof,
        });
    }

    fn resize(&mut self, job: JobId, window: Window) {
        self.send(&ToSupervisor::Resize(job, window));
    }

    fn end(&mut self, job: JobId, cause: Cause, force: Force) {
        self.send(&ToSupervisor::End(job, cause, force));
    }

    fn signal(&mut self, job: JobId, signal: i32) -> bool {
        let running = self.jobs.get(&job).is_some_and(|known| known.running);
        if running {
            self.send(&ToSupervisor::Signal(job, signal));
        }
        running
    }

    fn keep_picture(&mut self, job: JobId, offset: u64, size: Window, picture: Vec<u8>) {
        self.send(&ToSupervisor::Picture(job, offset, size, picture));
    }

    fn take_from_prompt(&mut self, job: JobId) {
        self.send(&ToSupervisor::TakenFromPrompt(job));
        // Before the controller receives the first byte. The next message notices the end of the supervisor.
        let _ = self.flush();
    }

    fn detach(&mut self, job: JobId) {
        self.free_slot(job);
        self.send(&ToSupervisor::Detach(job));
    }

    fn forget(&mut self, job: JobId) {
        self.free_slot(job);
        self.send(&ToSupervisor::Forget(job));
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::agent::access::Controller;
    use crate::agent::ipc::limits::OUTPUT_RING;
    use crate::agent::jobs::{Program, Spec};
    use crate::crypto::PublicKey;
    use crate::message::RequestId;

    #[test]
    fn a_start_that_cannot_leave_for_the_supervisor_is_an_error_until_the_front_has_ended() {
        let (own, supervisor) = UnixStream::pair().unwrap();
        let rings = |size| RingFile::create("rings", 2, size).unwrap();
        let connection = Frames::new(own).unwrap();
        let mut remote = Remote::new(connection, rings(OUTPUT_RING), rings(INPUT_RING), 1);
        assert!(remote.flush_starts().is_ok());
        let start = Start {
            request: RequestId([1; 16]),
            digest: [0; 8],
            owner: Controller {
                key: PublicKey([1; 32]),
                name: None,
                remote: SocketAddr::from(([127, 0, 0, 1], 4444)).into(),
            },
            spec: Spec {
                program: Program::Argv(vec!["true".into()]),
                env: Vec::new(),
                cwd: None,
                user: "ann".into(),
                stdin: false,
                terminal: None,
            },
            kept: 0,
            record: Vec::new(),
        };
        remote.start(JobId(1), start);
        drop(supervisor);
        for _ in 0..2 {
            assert!(remote.flush_starts().is_err());
        }
    }
}
