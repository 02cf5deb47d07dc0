//! The recorder as a child of the supervisor: its replacement when it has died.
//!
//! Not what it is sent ([`Records`](super::records)). Invariant: at most one recorder exists; one that ends at once is
//! started at most once in [`limits::RECORDER_RESTART_MAX`].

use std::os::fd::AsRawFd as _;
use std::time::Duration;

use mio::Interest;
use mio::unix::SourceFd;

use super::{Supervisor, limits, tokens};
use crate::agent::recorder::{Position, RecorderEvent, RecorderProcess};
use crate::net::Clock;
use crate::time::Instant;

/// The recorder, and when another is started in its place.
pub struct Recording {
    process: RecorderProcess,
    started: Instant,
    /// Time of the next start; only while none runs.
    next: Option<Instant>,
    delay: Duration,
    losses: Losses,
}

/// Records that a recorder had taken and has not written, because it died or could not.
struct Losses {
    lost: u64,
    /// Position of the recorder before.
    before: Position,
}

impl Losses {
    const NONE: Self = Self {
        lost: 0,
        before: Position {
            written: 0,
            next: 1,
        },
    };

    /// Counts the records that were lost with a recorder. Returns their number.
    fn count(&mut self, at: Position) -> u64 {
        // Those before the last position are counted.
        let counted = self.before.next.saturating_sub(1);
        let lost = between(at.written.max(counted), at.next);
        self.lost = self.lost.saturating_add(lost);
        self.before = at;
        lost
    }

    /// Counts records that a recorder could not write.
    const fn add(&mut self, records: u64) {
        self.lost = self.lost.saturating_add(records);
    }

    /// Number of lost records that no recorder reports in their place, because nothing was sent after them. `unsent` is
    /// the number of the first record of which nothing is sent.
    const fn unreported(&self, unsent: u64) -> u64 {
        let Position { written, next } = self.before;
        if next == unsent {
            between(written, next)
        } else {
            0
        }
    }
}

impl Recording {
    /// Takes a recorder that runs.
    pub fn new(process: RecorderProcess) -> Self {
        Self {
            process,
            started: Clock.now(),
            next: None,
            delay: Duration::ZERO,
            losses: Losses::NONE,
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

    /// Number of records that a recorder had taken and has not written, because it died or could not.
    pub const fn lost(&self) -> u64 {
        self.losses.lost
    }

    /// Number of lost records that no recorder reports in their place. `unsent` is the number of the first record of
    /// which nothing is sent.
    pub const fn unreported(&self, unsent: u64) -> u64 {
        self.losses.unreported(unsent)
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

/// Number of records between two.
const fn between(written: u64, next: u64) -> u64 {
    next.saturating_sub(written).saturating_sub(1)
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
                RecorderEvent::Unwritten(records) => {
                    recording.losses.add(records);
                }
                RecorderEvent::Ended => {
                    let at = recording.process.position(self.records.first_unsent());
                    let lost = recording.losses.count(at);
                    if lost > 0 {
                        tracing::warn!("{lost} records were lost with a recorder that has died");
                    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_that_were_lost_are_counted_once_and_reported_by_whom_a_later_record_reaches() {
        let mut losses = Losses::NONE;
        let at = |written, next| Position { written, next };
        assert_eq!(losses.count(at(4, 5)), 0);
        assert_eq!((losses.lost, losses.unreported(5)), (0, 0));
        // It had taken 7 and 8.
        assert_eq!(losses.count(at(6, 9)), 2);
        assert_eq!((losses.lost, losses.unreported(9)), (2, 2));
        // The next one has died before it could report them.
        assert_eq!(losses.count(at(6, 9)), 0);
        assert_eq!((losses.lost, losses.unreported(9)), (2, 2));
        // A later one finds what is missing before 9.
        assert_eq!(losses.unreported(10), 0);
        // Another one has taken 9 with it.
        assert_eq!(losses.count(at(6, 10)), 1);
        assert_eq!((losses.lost, losses.unreported(10)), (3, 3));
        assert_eq!(losses.count(at(12, 13)), 0);
        assert_eq!((losses.lost, losses.unreported(13)), (3, 0));
    }
}
