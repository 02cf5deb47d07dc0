//! A job as the supervisor keeps it: its process, its pipes, and what a later front needs.
//!
//! Not its calls and deadlines, which are the front's. Invariant: `status` is what the front is told, and every counter in
//! it only grows.

use crate::agent::ipc::Extent;
use serde::{Deserialize, Serialize};

use super::child::Child;
use super::child_io::ChildIo;
use super::limits;
use crate::agent::access::Controller;
use crate::agent::jobs::{
    Digest, Exit, Force, JobId, Output, Phase, Program, Restored, Start, Status,
};
use crate::agent::services::OUT_OF_SCOPE;
use crate::message::{Cause, RequestId, Service, Window};
use crate::time::Instant;

/// A leader that has ended while its outputs are read.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Draining {
    /// Its exit status.
    pub exit: Exit,
    /// Time of its end.
    pub since: Instant,
    /// Time of the last output.
    pub active: Instant,
}

impl Draining {
    /// Returns the time at which reading ends.
    pub fn deadline(self) -> Instant {
        (self.since + limits::DRAIN).min(self.active + limits::DRAIN_IDLE)
    }
}

/// Reason for which a start was given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Killed {
    /// It did not come about in time.
    Late,
    /// The job was ended.
    Ended,
}

/// A job.
#[allow(
    clippy::struct_excessive_bools,
    reason = "independent facts, each named"
)]
pub struct Job {
    /// Number of its rings.
    pub slot: u32,
    /// Request id.
    pub request: RequestId,
    /// First bytes of the hash of the request.
    pub digest: Digest,
    /// Controller that has requested it.
    pub owner: Controller,
    /// Bytes of each output that stay held after its controller has written them.
    pub kept: u64,
    /// Record of the front.
    pub record: Vec<u8>,
    /// True if it is the built-in service that copies files.
    pub is_copy: bool,
    /// The process, until it is gone.
    pub child: Option<Child>,
    /// Its pipes.
    pub io: ChildIo,
    /// State of the process.
    pub status: Status,
    /// Reason of its end, if it is being ended.
    pub cause: Option<Cause>,
    /// Force with which the tree is ended after its leader.
    pub pending_force: Option<Force>,
    /// Last picture of its terminal.
    pub picture: Option<(u64, Window, Vec<u8>)>,
    /// True if it was requested at the prompt and another controller has attached to it.
    pub taken_from_prompt: bool,
    /// Its outputs are read after the end of the leader.
    pub draining: Option<Draining>,
    /// Reason for which its child was killed before it had executed its program.
    pub killed: Option<Killed>,
    /// True if its tree is being ended.
    pub ending: bool,
    /// True if the front has forgotten it.
    pub forgotten: bool,
}

impl Job {
    /// Returns a job whose process is not started yet.
    pub fn new(slot: u32, start: Start) -> Self {
        Self {
            slot,
            request: start.request,
            digest: start.digest,
            owner: start.owner,
            kept: start.kept,
            record: start.record,
            is_copy: matches!(start.spec.program, Program::Service(Service::Copy(_))),
            child: None,
            io: ChildIo::new(slot, [None, None, None], None),
            status: Status::STARTING,
            cause: None,
            pending_force: None,
            picture: None,
            taken_from_prompt: false,
            draining: None,
            killed: None,
            ending: false,
            forgotten: false,
        }
    }

    /// Returns true if it counts as running: its process, or one that could not be killed, is there.
    pub fn counts(&self) -> bool {
        match self.status.phase {
            Phase::Starting | Phase::Running | Phase::Unkillable { .. } => true,
            Phase::Failed { lingering, .. } => lingering,
            Phase::Refused(_) | Phase::Ended { .. } => false,
        }
    }

    /// Returns true if its result is known.
    pub const fn is_settled(&self) -> bool {
        !matches!(self.status.phase, Phase::Starting | Phase::Running)
    }

    /// Returns true if it is a copy of which an item lies outside of what was granted.
    pub fn is_out_of_scope(&self) -> bool {
        let exit = match self.status.phase {
            Phase::Ended { exit, .. } => Some(exit),
            Phase::Starting
            | Phase::Running
            | Phase::Unkillable { .. }
            | Phase::Failed { .. }
            | Phase::Refused(_) => None,
        };
        self.is_copy && exit == Some(Exit::Code(OUT_OF_SCOPE))
    }

    /// Brings the counters of the status up to date.
    pub fn update_counters(&mut self) {
        for output in Output::ALL {
            self.status.outputs[output as usize] = self.io.outlet(output).end;
        }
        self.status.stdin_written = self.io.inlet().written;
        self.status.stdin_closed |= self.io.is_stdin_closed();
    }

    /// Returns the parts of the rings of its outputs that are in use.
    pub fn extents(&self) -> [Extent; 2] {
        Output::ALL.map(|output| self.io.outlet(output).extent)
    }

    /// Returns what a new front needs.
    pub fn restored(&self, job: JobId) -> Restored {
        let outlets = Output::ALL.map(|output| self.io.outlet(output));
        Restored {
            job,
            request: self.request,
            owner: self.owner.clone(),
            record: self.record.clone(),
            status: self.status,
            released: outlets.map(|outlet| outlet.released),
            shut: outlets.map(|outlet| outlet.shut),
            stdin_accepted: self.io.inlet().accepted,
            stdin_eof: self.io.inlet().eof,
            cause: self.cause,
            picture: self.picture.clone(),
            taken_from_prompt: self.taken_from_prompt,
        }
    }
}
