//! Log of the hosts of a run, in the columns of GNU parallel's `--joblog`.
//!
//! Invariant: one line for each host, written when the host has ended.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{JobRequest, Report};
use crate::escape;
use crate::message::{OsText, Outcome, status};

/// Titles of the columns, separated by tabs; see parallel(1).
const TITLES: &str = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

/// Log of the hosts of a run.
#[derive(Debug)]
pub struct JobLog {
    path: PathBuf,
    file: File,
}

/// Host that has ended.
#[derive(Clone, Copy, Debug)]
pub struct LogEntry<'a> {
    /// Place of the host among the targets, from 0.
    pub index: usize,
    /// Name of the host.
    pub host: &'a str,
    /// Duration from its beginning.
    pub took: Duration,
    /// Bytes of input that were sent to it.
    pub sent: u64,
    /// Request that was made there.
    pub request: &'a JobRequest,
    /// Its report.
    pub report: &'a Report,
}

impl JobLog {
    /// Creates the file, or empties it, and writes the titles.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut file = File::create(path)?;
        file.write_all(TITLES.as_bytes())?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the line of a host that has just ended.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&mut self, entry: LogEntry<'_>) -> io::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let began = now.unwrap_or_default().saturating_sub(entry.took);
        self.file.write_all(line(entry, began).as_bytes())
    }
}

fn line(entry: LogEntry<'_>, began: Duration) -> String {
    let report = entry.report;
    let (exit, signal) = match report.outcome {
        Some(Outcome::Signaled { signal, .. }) => (0, signal),
        Some(outcome) => (outcome.exit_status(), 0),
        None => (status::SUCCESS, 0),
    };
    let received: u64 = report.lengths.iter().sum();
    format!(
        "{}\t{}\t{:.3}\t{:10.3}\t{}\t{received}\t{exit}\t{signal}\t{}\n",
        entry.index + 1,
        entry.host,
        began.as_secs_f64(),
        entry.took.as_secs_f64(),
        entry.sent,
        command(entry.request),
    )
}

/// Returns the command as one would type it, without a character that separates columns or lines.
fn command(request: &JobRequest) -> String {
    let JobRequest::Exec(exec) = request else {
        return String::new();
    };
    let word = |word: &OsText| {
        let text = word.as_os_str().to_string_lossy();
        escape::shell_word(&text).into_owned()
    };
    let words: Vec<String> = exec.argv.iter().map(word).collect();
    escape::line(words.join(" ").as_bytes(), usize::MAX).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Exec, RequestId};

    #[test]
    fn a_line_has_the_columns_of_parallel() {
        let id = RequestId([0; 16]);
        let argv = vec!["echo".into(), "a b".into(), "x\ty\n".into()];
        let request = JobRequest::Exec(Exec::new(id, argv));
        let mut report = Report::new(id, Some(Outcome::Exited { code: 3 }));
        report.lengths = [5, 2];
        let mut entry = LogEntry {
            index: 0,
            host: "web1:7000",
            took: Duration::from_millis(1500),
            sent: 4,
            request: &request,
            report: &report,
        };
        let began = Duration::from_millis(1_000_250);
        assert_eq!(
            line(entry, began),
            "1\tweb1:7000\t1000.250\t     1.500\t4\t7\t3\t0\techo 'a b' 'x\\ty\\n'\n"
        );
        let signaled = Outcome::Signaled {
            signal: 9,
            core: false,
        };
        let report = Report::new(id, Some(signaled));
        entry.report = &report;
        assert!(line(entry, began).contains("\t0\t9\techo"));
        let report = Report::new(id, Some(Outcome::Unreachable {}));
        entry.report = &report;
        assert!(line(entry, began).contains("\t255\t0\techo"));
    }
}
