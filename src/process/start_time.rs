//! Start times of processes, in clock ticks since boot, as `/proc` shows them.
//!
//! Invariant: that of a new child is taken from the clock, which spares the reading of a file at each start, only if the
//! child was made within one tick and both have been compared once.

use std::sync::OnceLock;

use rustix::param::clock_ticks_per_second;
use rustix::time::{ClockId, clock_gettime};

use super::Pid;
use super::snapshot::Entry;

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// Returns the start time of a process; 0 if it cannot be read.
#[must_use]
pub fn start_time(pid: Pid) -> u64 {
    Entry::read(pid).map_or(0, |entry| entry.started)
}

/// Returns the tick that has begun last.
pub(super) fn tick() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let [seconds, nanoseconds] = [now.tv_sec, now.tv_nsec].map(i64::cast_unsigned);
    let ticks = clock_ticks_per_second();
    let begun = nanoseconds / (SECOND / ticks.clamp(1, SECOND));
    seconds.saturating_mul(ticks).saturating_add(begun)
}

/// Returns the start time of a child that was made since the [`tick`] `before`.
pub(super) fn of_child(pid: Pid, before: u64) -> u64 {
    /// True if `/proc` shows the times of the clock. A kernel in a program need not.
    static IS_CLOCK: OnceLock<bool> = OnceLock::new();
    let within_tick = before == tick();
    if within_tick && *IS_CLOCK.get_or_init(|| start_time(pid) == before) {
        before
    } else {
        start_time(pid)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_start_time_of_a_child_is_that_in_proc() {
        for _ in 0..20 {
            let before = tick();
            let mut child = Command::new("true").spawn().unwrap();
            let pid = Pid::from_child(&child);
            let found = of_child(pid, before);
            assert_eq!(found, start_time(pid));
            assert!((before..=tick()).contains(&found), "{before} {found}");
            child.wait().unwrap();
        }
    }
}
