//! Presentation of the answers to the owner's tools.

use jiff::Timestamp;
use serde::Serialize;

use crate::agent::audit::visible;

/// Version of the JSON objects.
const VERSION: u8 = 1;

/// Returns an answer as a JSON object on one line of printable characters.
pub fn json(answer: &impl Serialize) -> String {
    #[derive(Serialize)]
    struct Versioned<'a, T> {
        v: u8,
        #[serde(flatten)]
        answer: &'a T,
    }
    let versioned = Versioned { v: VERSION, answer };
    visible(&serde_json::to_string(&versioned).expect("names are strings"))
}

/// Formats a time as its distance from the present; unchanged if it is none.
pub fn ago(time: &str) -> String {
    let Ok(then) = time.parse::<Timestamp>() else {
        return time.to_owned();
    };
    let seconds = Timestamp::now().as_second() - then.as_second();
    format!("{} ago", span(u64::try_from(seconds).unwrap_or(0)))
}

/// Formats a number of seconds by its two largest units.
pub fn span(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    if days > 0 {
        format!("{days}d {hours}h")
    } else if hours > 0 {
        format!("{hours}h {minutes}m")
    } else if minutes > 0 {
        format!("{minutes}m {rest}s")
    } else {
        format!("{rest}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_its_two_largest_units() {
        for (seconds, text) in [
            (0, "0s"),
            (61, "1m 1s"),
            (3_600, "1h 0m"),
            (90_061, "1d 1h"),
        ] {
            assert_eq!(span(seconds), text);
        }
        assert_eq!(ago("2999-01-01T00:00:00Z"), "0s ago");
        assert_eq!(ago("never"), "never");
    }
}
