//! Part of the hosts of a run: a number of them, or a percentage.

use std::fmt;
use std::str::FromStr;

/// Part of the hosts of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Share {
    /// This many hosts.
    Hosts(usize),
    /// This percentage of the hosts, from 1 to 100.
    Percent(u8),
}

/// Error of a text that is no share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParseShareError;

impl fmt::Display for ParseShareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("write a number of hosts from 1, or a percentage from 1% to 100%")
    }
}

impl std::error::Error for ParseShareError {}

impl FromStr for Share {
    type Err = ParseShareError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        match text.strip_suffix('%') {
            Some(percent) if digits(percent) => match percent.parse() {
                Ok(percent @ 1..=100) => Ok(Self::Percent(percent)),
                _ => Err(ParseShareError),
            },
            None if digits(text) => match text.parse() {
                Ok(0) | Err(_) => Err(ParseShareError),
                Ok(hosts) => Ok(Self::Hosts(hosts)),
            },
            _ => Err(ParseShareError),
        }
    }
}

impl Share {
    /// Returns the number of hosts among `total`. A percentage is rounded up, so that it is never none of some.
    #[must_use]
    pub fn of(self, total: usize) -> usize {
        match self {
            Self::Hosts(hosts) => hosts,
            Self::Percent(percent) => (total.saturating_mul(usize::from(percent))).div_ceil(100),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hosts(hosts) => hosts.fmt(f),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_number_or_a_percentage_rounded_up() {
        for (text, of_7) in [("1", 1), ("10", 10), ("1%", 1), ("50%", 4), ("100%", 7)] {
            let share: Share = text.parse().unwrap();
            assert_eq!((share.of(7), share.to_string()), (of_7, text.to_owned()));
        }
        for text in ["", "0", "0%", "101%", "-1", "+1", "1.5%", "%", "x", "1 %"] {
            assert_eq!(text.parse::<Share>(), Err(ParseShareError), "{text}");
        }
        assert_eq!(Share::Percent(100).of(usize::MAX / 200), usize::MAX / 200);
    }
}
