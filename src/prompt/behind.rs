//! Lines that were typed behind the one that leaves a prompt.
//!
//! Not their reading. Invariant: they are counted, and nobody sends them.

/// Returns the number of lines among keys; the last one may be unfinished.
pub fn count(keys: &[u8]) -> usize {
    let lines = keys.split(|key| matches!(key, b'\r' | b'\n'));
    lines.filter(|line| !line.trim_ascii().is_empty()).count()
}

/// Returns the words about so many lines, unless there are none.
pub fn words(lines: usize) -> Option<String> {
    match lines {
        0 => None,
        1 => Some("1 line behind the one that leaves is not sent".into()),
        lines => Some(format!(
            "{lines} lines behind the one that leaves are not sent"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_not_blank_are_counted_also_an_unfinished_one() {
        for (keys, lines) in [("", 0), ("\r \r\n", 0), ("a\rb\r", 2), ("a\n\nb", 2)] {
            assert_eq!(count(keys.as_bytes()), lines, "{keys:?}");
        }
        assert_eq!(words(0), None);
        assert!(words(1).is_some() && words(2).is_some());
    }
}
