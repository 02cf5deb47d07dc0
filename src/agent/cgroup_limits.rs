//! Texts of the limits of a job's cgroup: `memory`, `pids` and `cpu`, of a key or of all keys.
//!
//! Not the limits themselves, nor the cgroups.

use super::limits::MIN_CGROUP_MEMORY;
use super::size;

/// Description of a valid `memory`.
pub(super) const MEMORY_WANT: &str = "a size of at least 1 MiB such as \"512 MB\" or \"1 GiB\"";

/// Description of a valid `pids`.
pub(super) const PIDS_WANT: &str = "a number of at least 1";

/// Description of a valid `cpu`.
pub(super) const CPU_WANT: &str = "a percentage of one processor of at least 1 such as 50 or 150%";

/// Parses a `memory`.
pub(super) fn parse_memory(text: &str) -> Option<u64> {
    size::parse(text).filter(|&bytes| bytes >= MIN_CGROUP_MEMORY)
}

/// Parses a `pids`.
pub(super) fn parse_pids(text: &str) -> Option<u64> {
    text.parse().ok().filter(|&number| number > 0)
}

/// Parses a `cpu`, with or without a percent sign.
pub(super) fn parse_cpu(text: &str) -> Option<u32> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    number.parse().ok().filter(|&percent| percent > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_a_cgroup_are_parsed() {
        for (text, bytes) in [("1 MiB", Some(1 << 20)), ("1000k", None), ("lots", None)] {
            assert_eq!(parse_memory(text), bytes, "{text}");
        }
        for (text, percent) in [
            ("50", Some(50)),
            ("150%", Some(150)),
            ("0%", None),
            ("%", None),
        ] {
            assert_eq!(parse_cpu(text), percent, "{text}");
        }
        assert_eq!((parse_pids("1"), parse_pids("0")), (Some(1), None));
    }
}
