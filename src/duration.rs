//! Durations in the notation of the command line and the configuration: `90`, `90s`, `500ms`, `5m`,
//! `2h`, `1d`.
//!
//! Invariant: a parsed duration is longer than zero and at most 1000 days.

use std::time::Duration;

/// Parses a duration. A number without a unit counts seconds.
///
/// # Errors
/// A message that tells the user what to write.
pub fn parse(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err("write a number with ms, s, m, h or d".into()),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| "write a number with ms, s, m, h or d".to_owned())?;
    match Duration::try_from_secs_f64(number * scale) {
        Ok(Duration::ZERO) => Err("a duration must be longer than zero".into()),
        Ok(duration) if duration.as_secs() <= MAX_DAYS * 86_400 => Ok(duration),
        _ => Err(format!("write at most {MAX_DAYS} days")),
    }
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
            "2000d",
            "9999999999999999999999",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
