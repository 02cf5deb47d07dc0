//! The age of a message from before one has joined, as it stands behind the name of its sender.
//!
//! Not the time of new messages. Invariant: no name of a member ends as an age does, because names have no spaces.

/// Returns ` (5m ago)` for an age in milliseconds, in its largest unit.
pub(super) fn words(age_ms: u64) -> String {
    let seconds = age_ms / 1000;
    let (number, unit) = match seconds {
        0..60 => (seconds, 's'),
        60..3600 => (seconds / 60, 'm'),
        3600..86_400 => (seconds / 3600, 'h'),
        86_400.. => (seconds / 86_400, 'd'),
    };
    format!(" ({number}{unit} ago)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_shown_in_its_largest_unit() {
        let shown = [999, 59_999, 60_000, 7_199_000, 86_400_000, u64::MAX].map(words);
        let expected = ["0s", "59s", "1m", "1h", "1d", "213503982334d"];
        assert_eq!(shown, expected.map(|age| format!(" ({age} ago)")));
    }
}
