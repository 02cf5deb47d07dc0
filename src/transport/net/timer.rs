//! A one-shot timer on the boot-time clock, as a descriptor that [`mio::Poll`] can wait for.
//!
//! The timeout of a poll has a resolution of a millisecond, too coarse for pacing, and does not advance while
//! the machine is suspended. Invariant: the timer expires once per deadline, so an idle thread is not woken.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::time::Instant;

/// The timer.
pub struct Timer {
    descriptor: OwnedFd,
    armed: Option<Instant>,
}

impl Timer {
    /// Creates a disarmed timer, whose expiry is an event of `token`.
    ///
    /// # Errors
    ///
    /// The system's refusal of another descriptor.
    pub fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let descriptor = timerfd_create(TimerfdClockId::Boottime, flags)?;
        registry.register(
            &mut SourceFd(&descriptor.as_raw_fd()),
            token,
            Interest::READABLE,
        )?;
        Ok(Self {
            descriptor,
            armed: None,
        })
    }

    /// Arms the timer to expire at `deadline` at the latest. An earlier deadline stays armed: a spurious wake-up
    /// costs less than a system call for every deadline that moves into the future.
    ///
    /// # Errors
    ///
    /// That of `timerfd_settime(2)`.
    pub fn set(&mut self, now: Instant, deadline: Option<Instant>) -> io::Result<()> {
        if self.armed.is_some_and(|armed| armed <= now) {
            // It has expired. Edge-triggered readiness needs no read; arming it again clears it.
            self.armed = None;
        }
        let Some(deadline) = deadline else {
            return Ok(());
        };
        if self.armed.is_some_and(|armed| armed <= deadline) {
            return Ok(());
        }
        // All zeroes would disarm it.
        let micros = deadline.as_micros().clamp(1, i64::MAX as u64);
        let it_value = Timespec {
            tv_sec: i64::try_from(micros / 1_000_000).expect("clamped"),
            tv_nsec: i64::try_from(micros % 1_000_000 * 1000).expect("below a second"),
        };
        let spec = Itimerspec {
            it_interval: Timespec::default(),
            it_value,
        };
        timerfd_settime(&self.descriptor, TimerfdTimerFlags::ABSTIME, &spec)?;
        self.armed = Some(deadline);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::net::clock::Clock;

    #[test]
    fn the_timer_expires_once_at_the_earlier_of_two_deadlines() {
        let mut poll = mio::Poll::new().unwrap();
        let mut events = mio::Events::with_capacity(4);
        let mut timer = Timer::new(poll.registry(), Token(7)).unwrap();
        let start = Clock.now();
        timer
            .set(start, Some(start + Duration::from_secs(3600)))
            .unwrap();
        timer
            .set(start, Some(start + Duration::from_millis(2)))
            .unwrap();
        poll.poll(&mut events, Some(Duration::from_secs(10)))
            .unwrap();
        assert_eq!(events.iter().count(), 1);
        let expired = Clock.now();
        assert!(expired.since(start) >= Duration::from_millis(2));
        assert!(expired.since(start) < Duration::from_secs(5));
        timer.set(expired, None).unwrap();
        poll.poll(&mut events, Some(Duration::from_millis(20)))
            .unwrap();
        assert_eq!(events.iter().count(), 0);
    }
}
