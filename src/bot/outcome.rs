//! The outcome of one command of a bot, and its failure as it is logged.
//!
//! Invariant: the text of a failure is one line and has no control characters, whatever the command wrote.

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Answer, limits};
use crate::escape;

/// Outcome of one command.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// It has ended with status 0.
    Answered(Answer),
    /// It has failed, and there is no answer.
    Failed(Failure),
}

/// Failure of a command.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    reason: String,
    /// Last line on its standard error; not escaped.
    last_line: Option<String>,
}

impl Failure {
    /// Returns the failure of a command that could not be run.
    #[must_use]
    pub fn of_system(reason: &dyn fmt::Display) -> Self {
        Self {
            reason: format!("cannot be run: {reason}"),
            last_line: None,
        }
    }

    /// Returns the failure of a command whose process has ended without an outcome.
    #[must_use]
    pub fn of_process() -> Self {
        Self {
            reason: "the process that runs it has ended".to_owned(),
            last_line: None,
        }
    }

    /// Returns the failure of a command that was killed after its time.
    #[must_use]
    pub fn of_time(timeout: Duration, stderr: &[u8]) -> Self {
        Self::new(format!("no answer within {timeout:?}; killed"), stderr)
    }

    /// Returns the failure of a command that has ended with another status than 0.
    #[must_use]
    pub fn of_status(status: ExitStatus, stderr: &[u8]) -> Self {
        let reason = match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => format!("ended by signal {signal}"),
            (None, None) => "ended".to_owned(),
        };
        Self::new(reason, stderr)
    }

    fn new(reason: String, stderr: &[u8]) -> Self {
        let mut lines = stderr.rsplit(|byte| *byte == b'\n');
        let last = lines.find(|line| !line.trim_ascii().is_empty());
        Self {
            reason,
            last_line: last.map(|line| String::from_utf8_lossy(line).into_owned()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape::line(self.reason.as_bytes(), limits::LAST_LINE))?;
        match &self.last_line {
            Some(line) => write!(f, ": {}", escape::line(line.as_bytes(), limits::LAST_LINE)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_a_bot_is_logged_with_the_last_line_of_its_standard_error_escaped() {
        let failure = |stderr: &[u8]| Failure::of_status(ExitStatus::from_raw(3 << 8), stderr);
        assert_eq!(failure(b"").to_string(), "exit status 3");
        assert_eq!(
            failure(b"first\nlast \x1b[2J\n \n").to_string(),
            "exit status 3: last \\u{1b}[2J"
        );
        let killed = Failure::of_status(ExitStatus::from_raw(9), b"x");
        assert_eq!(killed.to_string(), "ended by signal 9: x");
    }
}
