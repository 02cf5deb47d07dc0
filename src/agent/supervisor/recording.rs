//! The recorder as a child of the supervisor: its replacement when it has died.
//!
//! Not what it is sent ([`Records`](super::records)). Invariant: at most one recorder exists; one that ends at once is
//! started at most once in [`limits::RECORDER_RESTART_MAX`].

use std::os::fd::AsRawFd as _;
use std::time::Duration;

use mio::Interest;
use mio::unix::SourceFd;

use super::{Supervisor, limits, tokens};
use crate::agent::recorder::{RecorderEvent, RecorderProcess};
use crate::net::Clock;
use crate::time::Instant;

/// The recorder, and when another is started in its place.
pub struct Recording {
    process: RecorderProcess,
    started: Instant,
    /// Time of the next start; only while none runs.
    next: Option<Instant>,
    delay: Duration,
    /// Records that a recorder had taken and has not written.
    lost: u64,
}

impl Recording {
    /// Takes a recorder that runs.
    pub fn new(process: RecorderProcess) -> Self {
        Self {
            process,
            started: Clock.now(),
            next: None,
            delay: Duration::ZERO,
            lost: 0,
        }
    }

    /// Returns its process id, unless it has ended.
    pub fn pid(&self) -> Option<i32> {
        self.next.is_none().then(|| self.process.raw_pid())
    }

    /// Returns the time of the next start.
    pub const fn next_start(&self) -> Option<Instant> {
        self.next
    }

    /// Number of records that a recorder had taken and has not written.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Sets the time of the next start, because the recorder has ended.
    fn schedule(&mut self, now: Instant) {
        let is_sound = now.since(self.started) >= limits::RECORDER_SOUND;
        self.delay = if is_sound {
            Duration::ZERO
        } else {
            let (least, most) = (limits::RECORDER_RESTART, limits::RECORDER_RESTART_MAX);
            (self.delay * 2).clamp(least, most)
        };
        self.next = Some(now + self.delay);
    }
}

impl Supervisor {
    /// Reports the state of the recorder as readiness of the poll.
    pub(super) fn watch_recorder(&mut self) -> std::io::Result<()> {
        let control = self.recording.as_ref();
        match control.and_then(|recording| recording.process.control()) {
            None => Ok(()),
            Some(control) => {
                let (fd, interest) = (control.as_raw_fd(), Interest::READABLE);
                self.registry
                    .register(&mut SourceFd(&fd), tokens::RECORDER, interest)
            }
        }
    }

    /// Takes note of the end of the recorder, and starts another.
    pub(super) fn on_recorder(&mut self, now: Instant) {
        let Some(recording) = &mut self.recording else {
            return;
        };
        let mut ended = None;
        while let Some(event) = recording.process.poll() {
            match event {
                RecorderEvent::Started => self.records.on_new_recorder(now),
                RecorderEvent::Failed(reason) => {
                    tracing::error!("the recorder cannot write: {reason}");
                }
                RecorderEvent::Lost(records) => {
                    recording.lost = recording.lost.saturating_add(records);
                    tracing::warn!("{records} records were lost with a recorder that has died");
                }
                RecorderEvent::Ended => {
                    ended = Some(recording.process.raw_pid());
                    recording.schedule(now);
                }
            }
        }
        let is_due = recording.next.is_some_and(|at| at <= now);
        if is_due {
            recording.started = now;
            recording.next = None;
            match recording.process.restart() {
                Ok(()) => tracing::warn!("the recorder has ended; a new one is started"),
                Err(error) => {
                    recording.schedule(now);
                    tracing::error!("the recorder cannot be started: {error}");
                }
            }
        }
        if let Some(ended) = ended {
            self.predecessors.push(ended);
            self.reap_predecessors();
        }
        if is_due && let Err(error) = self.watch_recorder() {
            tracing::error!("the recorder cannot be watched: {error}");
        }
    }
}
