//! Durations in the notation of the command line and the configuration: `90`, `90s`, `500ms`, `5m`,
//! `2h`, `1d`, `1m30s`.
//!
//! Not a clock. Invariant: a parsed duration is longer than zero and at most 1000 days.

use std::time::Duration;

/// Parses a duration: a number, which counts seconds, or numbers with units, the largest first.
///
/// # Errors
/// A message that tells the user what to write.
pub fn parse(text: &str) -> Result<Duration, String> {
    let seconds = seconds(text).ok_or(WRITE)?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(Duration::ZERO) => Err("a duration must be longer than zero".into()),
        Ok(duration) if duration.as_secs() <= MAX_DAYS * 86_400 => Ok(duration),
        _ => Err(format!("write at most {MAX_DAYS} days")),
    }
}

/// Advice for a text that is no duration.
const WRITE: &str = "write a number with ms, s, m, h or d, or several such as 1m30s";

/// Units with their lengths in seconds, the largest first.
const UNITS: [(&str, f64); 5] = [
    ("d", 86_400.0),
    ("h", 3600.0),
    ("m", 60.0),
    ("s", 1.0),
    ("ms", 0.001),
];

/// Returns the sum of the parts in seconds, if each has a smaller unit than the one before.
fn seconds(text: &str) -> Option<f64> {
    if let (Ok(seconds), false) = (text.parse(), text.contains(is_letter)) {
        return Some(seconds).filter(|_| !text.starts_with(['+', '-']));
    }
    let (mut rest, mut units, mut sum) = (text, &UNITS[..], 0.0);
    while !rest.is_empty() {
        let (number, behind) = rest.split_at(rest.find(is_letter)?);
        let end = behind.find(|c| !is_letter(c)).unwrap_or(behind.len());
        let (unit, next) = behind.split_at(end);
        let at = units.iter().position(|(name, _)| *name == unit)?;
        if number.starts_with(['+', '-']) {
            return None;
        }
        sum += number.parse::<f64>().ok()? * units[at].1;
        (rest, units) = (next, &units[at + 1..]);
    }
    Some(sum).filter(|_| !text.is_empty())
}

const fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic()
}

/// Returns whole milliseconds, saturating.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Longest duration in days. No command is meant to run longer, and sums with instants stay far
/// from overflow.
const MAX_DAYS: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_bounds() {
        for (text, millis) in [
            ("10", 10_000),
            ("1.5s", 1500),
            ("500ms", 500),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("1m30s", 90_000),
            ("1d2h3m4s5ms", 93_784_005),
            ("1.5h10s", 5_410_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "s",
            "0",
            "-1",
            "1x",
            "1.2.3",
            "1e3",
            "inf",
            "1m30",
            "30s1m",
            "1m1m",
            "1m 30s",
            "1m-30s",
            "m",
            "2000d",
            "9999999999999999999999",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
