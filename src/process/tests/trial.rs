//! A process under test whose tree is being ended, with a clock that can be set forward.

use rustix::process::getpid;

use super::*;
use crate::time::Instant;

/// A clock that starts at zero and can be set forward.
pub struct Time {
    start: Clock,
    pub skipped: Duration,
}

impl Time {
    pub fn new() -> Self {
        let start = Clock::now();
        let skipped = Duration::ZERO;
        Self { start, skipped }
    }

    pub fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed() + self.skipped
    }
}

/// Trees in termination with one process under test.
pub struct Trial {
    pub endings: Endings<()>,
    pub time: Time,
    pub started: Instant,
}

impl Trial {
    /// Starts to end the tree of a process.
    pub fn new(process: &Process) -> Self {
        let (mut endings, time) = (Endings::new(), Time::new());
        let started = time.now();
        endings.start((), process, started);
        Self {
            endings,
            time,
            started,
        }
    }

    /// Drives the termination to its next result, as the event loop does.
    pub fn result(&mut self) -> Progress {
        let deadline = self.time.now() + DEADLINE;
        loop {
            let now = self.time.now();
            assert!(now < deadline, "not over in time");
            if let Some(((), progress)) = self.endings.poll() {
                return progress;
            }
            let next = self.endings.poll_timeout().expect("it is not over");
            if next > now {
                let pause = Timespec::try_from(next.since(now)).unwrap();
                rustix::io::retry_on_intr(|| poll(&mut [], Some(&pause))).unwrap();
            } else {
                self.endings.on_timeout(now);
            }
        }
    }

    /// Looks once more, at an instant that is given.
    pub fn look(&mut self, now: Instant) {
        self.endings.on_exit(&(), now);
        loop {
            self.endings.on_timeout(now);
            if self.endings.poll_timeout().is_none_or(|next| next > now) {
                return;
            }
        }
    }
}

pub fn marked(script: &str, marker: &str) -> Spec {
    let marker = format!("{marker}-{}", getpid());
    Spec {
        marker,
        ..shell(script)
    }
}

pub const BY_TERM: Exit = Exit::Signal {
    signal: 15,
    core: false,
};
pub const BY_KILL: Exit = Exit::Signal {
    signal: 9,
    core: false,
};
