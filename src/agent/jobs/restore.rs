//! Jobs of an earlier agent over the same supervisor.
//!
//! Invariant: a controller that attaches at its offsets receives every byte once, and its stdin continues with the
//! first byte that the supervisor has not accepted.

use super::job::{Job, State};
use super::output_buffer::OutputBuffer;
use super::processes::{Digest, Phase, Restored};
use super::screen::Screen;
use super::stdin::Stdin;
use super::stored::Stored;
use super::{JobId, Jobs, Output, Processes};
use crate::crypto::PublicKey;
use crate::message::{Cause, RequestId, Window};
use crate::time::Instant;

impl<P: Processes> Jobs<P> {
    /// Remembers the id of a request whose job was forgotten at `at`; oldest first.
    pub fn remember(&mut self, key: PublicKey, request: RequestId, digest: Digest, at: Instant) {
        self.table.remember(at, key, request, digest);
    }

    /// Notes that ids of a key that were entered at `horizon` or before are not remembered.
    pub fn set_horizon(&mut self, key: PublicKey, horizon: Instant) {
        self.table.set_horizon(key, horizon);
    }

    /// Enters a job of an earlier agent. Its controller counts as absent since now. A job with an unreadable record is
    /// ended: nobody knows its deadline.
    pub fn restore(&mut self, now: Instant, restored: Restored) {
        let id = restored.job;
        let key = restored.owner.key;
        if self.table.get(id).is_some() || self.table.find(&key, restored.request).is_some() {
            return;
        }
        let stored = Stored::decode(&restored.record);
        let readable = stored.is_ok();
        let stored = stored.unwrap_or(Stored::unreadable(now));
        let overflowed = restored.status.overflowed;
        let (end, picture) = (restored.status.outputs[0], restored.picture.clone());
        let (window, released) = (stored.terminal, restored.released[0]);
        let job = job(now, stored, restored);
        let is_running = job.is_running();
        self.table.enter(id, job);
        if let Some(window) = window {
            let picture = picture.unwrap_or((0, window, Vec::new()));
            self.restore_screen(id, &key, picture, released..end);
        }
        if is_running && !readable {
            self.end(id, Cause::Shutdown);
        }
        if is_running && overflowed {
            self.end(id, Cause::Output);
        }
    }

    /// Paints the screen of a terminal: the picture, and the output since then.
    fn restore_screen(
        &mut self,
        id: JobId,
        key: &PublicKey,
        picture: (u64, Window, Vec<u8>),
        held: std::ops::Range<u64>,
    ) {
        let (from, size, painted) = picture;
        if from < held.start || from > held.end {
            return;
        }
        let Some(mut screen) = self.new_screen(key, size) else {
            return;
        };
        screen.process(&painted);
        if from < held.end {
            for piece in self.processes.output(id, Output::Out, from, held.end) {
                screen.process(&piece);
            }
        }
        self.table.update(id, |job| {
            if !job.is_running() {
                screen.finish();
            }
            job.picture = from;
            job.screen = Some(screen).filter(|screen| !screen.is_lost());
        });
    }

    /// Returns the emulation of a new terminal, if the terminals of its key leave room for it.
    pub(super) fn new_screen(&self, key: &PublicKey, window: Window) -> Option<Screen> {
        let fits = self.table.has_cells(key, Screen::cells_of(window));
        fits.then(|| Screen::new(window))
            .filter(|screen| !screen.is_lost())
    }
}

/// Returns the job of a record and of the state that the supervisor has reported.
fn job(now: Instant, stored: Stored, restored: Restored) -> Job {
    let status = restored.status;
    let outputs = Output::ALL.map(|output| {
        let index = output as usize;
        let (start, end) = (restored.released[index], status.outputs[index]);
        OutputBuffer::restored(start, end, restored.shut[index])
    });
    let overflow = status.overflowed && !matches!(status.phase, Phase::Starting | Phase::Running);
    let mut job = Job {
        request: restored.request,
        owner: restored.owner,
        digest: stored.digest,
        command: stored.command,
        argv: stored.argv,
        accepted: stored.accepted.min(now),
        started: status.started,
        state: State::Starting,
        cause: restored.cause.or(overflow.then_some(Cause::Output)),
        signals: 0,
        deadline: stored.deadline,
        lease: stored.lease,
        on_disconnect: stored.on_disconnect,
        retain: stored.retain,
        keeps_output: stored.retain,
        absent: Some(now),
        attached: None,
        taken_from_prompt: restored.taken_from_prompt,
        collected: false,
        waiters: Vec::new(),
        stdin: Stdin::new(false),
        outputs,
        terminal: stored.terminal.is_some(),
        screen: None,
        picture: 0,
        resized: false,
        last_used: now,
    };
    let (outcome, streams_open, still_running) = match status.phase {
        Phase::Starting => (None, false, false),
        Phase::Running => {
            job.state = State::Running;
            (None, false, false)
        }
        Phase::Refused(outcome) => (Some(outcome), false, false),
        Phase::Failed {
            errno,
            step,
            lingering,
        } => {
            let failed = errno.at(step);
            let outcome = job.cause.map_or(failed, |_| job.outcome(None));
            (Some(outcome), false, lingering)
        }
        Phase::Ended { exit, streams_open } => (Some(job.outcome(Some(exit))), streams_open, false),
        Phase::Unkillable { streams_open } => (Some(job.outcome(None)), streams_open, true),
    };
    if let Some(outcome) = outcome {
        job.state = State::Ended {
            outcome,
            streams_open,
            still_running,
        };
    }
    let open = stored.stdin && job.is_running() && !status.stdin_closed && !restored.stdin_eof;
    job.stdin = Stdin::restored(open, restored.stdin_accepted, status.stdin_written);
    job
}
