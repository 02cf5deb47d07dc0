//! Rate of a copy, and the line that shows it.

use std::time::{Duration, Instant};

/// Columns of the bar.
const BAR: usize = 24;

/// Time over which the rate is measured.
const SPAN: Duration = Duration::from_secs(3);

/// Rate of a copy.
#[derive(Debug)]
pub(super) struct Rate {
    /// Time and amount at the beginning of the span.
    since: (Instant, u64),
    /// The same for the next span.
    next: (Instant, u64),
}

impl Rate {
    /// Creates the rate of a copy that begins now.
    pub(super) const fn new(began: Instant) -> Self {
        Self {
            since: (began, 0),
            next: (began, 0),
        }
    }

    /// Returns the line: a bar, amounts, rate, and the time that is left at this rate, as far as they are known.
    pub(super) fn line(&mut self, done: u64, total: Option<u64>, now: Instant) -> String {
        if now.saturating_duration_since(self.next.0) >= SPAN {
            self.since = std::mem::replace(&mut self.next, (now, done));
        }
        let (since, before) = self.since;
        let millis = now.saturating_duration_since(since).as_millis().max(1);
        let rate = u128::from(done.saturating_sub(before)) * 1000 / millis;
        let rate = u64::try_from(rate).unwrap_or(u64::MAX);
        let shown = amount(rate);
        let Some(total) = total else {
            return format!("{}, {shown}/s", amount(done));
        };
        let done = done.min(total);
        let filled = u128::from(done) * BAR as u128 / u128::from(total.max(1));
        let filled = usize::try_from(filled).unwrap_or(BAR).min(BAR);
        let bar = "=".repeat(filled) + &" ".repeat(BAR - filled);
        let left = match (total - done).checked_div(rate) {
            Some(seconds) => format!(", {} left", time(seconds)),
            None => String::new(),
        };
        let (done, total) = (amount(done), amount(total));
        format!("[{bar}] {done} of {total}, {shown}/s{left}")
    }
}

/// Returns an amount of bytes with one digit behind the point.
fn amount(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut tenths, mut unit) = (u128::from(bytes) * 10 / 1024, 0);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// Returns a time as `42s`, `3m07s` or `2h05m`.
fn time(seconds: u64) -> String {
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let began = Instant::now();
        let mut rate = Rate::new(began);
        let mut line = |seconds: u64, mebibytes: u64, total: Option<u64>| {
            let now = began + Duration::from_secs(seconds);
            let total = total.map(|total| total << 20);
            rate.line(mebibytes << 20, total, now)
        };
        assert_eq!(line(1, 10, None), "10.0 MiB, 10.0 MiB/s");
        line(3, 30, None);
        line(6, 60, None);
        // Slower from now on.
        line(9, 63, None);
        let bar = "[============            ]";
        assert_eq!(
            line(10, 64, Some(128)),
            format!("{bar} 64.0 MiB of 128.0 MiB, 1.0 MiB/s, 1m04s left")
        );
        line(12, 64, None);
        line(15, 64, None);
        assert_eq!(
            line(16, 64, Some(128)),
            format!("{bar} 64.0 MiB of 128.0 MiB, 0.0 KiB/s")
        );
    }

    #[test]
    fn amounts_and_times_have_their_units() {
        assert_eq!(
            [0, 1023, 1 << 20, u64::MAX].map(amount),
            ["0.0 KiB", "0.9 KiB", "1.0 MiB", "16383.9 PiB"]
        );
        assert_eq!([0, 59, 60, 7500].map(time), ["0s", "59s", "1m00s", "2h05m"]);
    }
}
