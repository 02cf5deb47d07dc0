//! Progress of the outputs of a job, and its end.

use crate::message::{Cause, Outcome};

/// Progress of an output, in bytes from the beginning of the job.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Progress {
    pub(super) received: u64,
    pub(super) written: u64,
    /// Bytes that the agent no longer held.
    pub(super) missing: u64,
    /// True if it has no reader here.
    pub(super) abandoned: bool,
}

/// End of the command as the agent reported it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exit {
    pub(super) outcome: Outcome,
    pub(super) lengths: [u64; 2],
    pub(super) streams_open: bool,
    pub(super) cause: Option<Cause>,
    pub(super) still_running: bool,
}
