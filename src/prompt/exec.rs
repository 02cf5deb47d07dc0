//! `/exec` at a prompt: its command line, the lines of its output, and the words about it.
//!
//! Not the command itself, which runs on the agent. Invariants: all that a command writes, and its name, is escaped; a
//! bounded part of its output is shown, and the rest is counted.

use super::limits::OUTPUT_LINE;
use super::output_lines::OutputLines;
use crate::escape;
use crate::message::limits::NAME;
use crate::message::report::{Output, Report, notices};

/// Precedes each line of output: no name of a member contains a space.
const MARK: &str = "| ";

/// Answer to `/exec` while a command runs.
pub const BUSY: &str = "a command is running; /exec again when it has ended, or /cancel it";

/// Answer to `/cancel` if no command runs.
pub const NONE: &str = "no command of /exec is running";

/// Splits what stands behind `/exec` into words, of which there is at least one.
///
/// # Errors
/// It cannot be run; with the words for the user.
pub fn argv(line: &str) -> Result<Vec<String>, &'static str> {
    match shlex::split(line) {
        None => Err("/exec: a quote is not closed, or nothing follows a backslash; not run"),
        Some(argv) if argv.is_empty() => Err("/exec needs a command behind it, as in /exec uptime"),
        Some(argv) => Ok(argv),
    }
}

/// A command of `/exec` as its user sees it.
#[derive(Debug)]
pub struct Running {
    /// `/exec` and its first word, escaped.
    label: String,
    output: OutputLines,
    /// Bytes that a note has counted as not shown.
    reported: u64,
    /// True once it was canceled.
    is_canceled: bool,
}

/// Last lines about a command.
#[derive(Debug)]
pub struct LastLines {
    /// Lines of output, marked.
    pub output: Vec<String>,
    /// Notes behind them.
    pub notes: Vec<String>,
}

impl Running {
    /// Returns a command without output. `program` is its first word.
    pub fn new(program: &str) -> Self {
        Self {
            label: format!("/exec {}", escape::line(program.as_bytes(), NAME)),
            output: OutputLines::default(),
            reported: 0,
            is_canceled: false,
        }
    }

    /// `/exec` and its first word, escaped.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Takes the next bytes of an output. Returns the lines that have ended, to be shown.
    pub fn push(&mut self, output: Output, data: &[u8]) -> Vec<String> {
        marked(self.output.push(output, data))
    }

    /// Number of the last bytes of an output that are held, because their line has not ended.
    pub fn held(&self, output: Output) -> usize {
        self.output.held(output)
    }

    /// Notes that an earlier prompt has shown or counted this number of bytes of both outputs together.
    pub fn begin_after(&mut self, bytes: u64) {
        self.output.begin_after(bytes);
    }

    /// Returns what is shown before another prompt shows the rest: what is held, and the number of bytes that are not
    /// shown.
    pub fn leave(&mut self) -> LastLines {
        let output = self.flush();
        let hidden =
            self.output.hidden() - std::mem::replace(&mut self.reported, self.output.hidden());
        let note = format!("{hidden} further bytes of output are not shown");
        let notes = (hidden > 0).then_some(note).into_iter().collect();
        LastLines { output, notes }
    }

    /// Returns what is held of lines that have not ended, to be shown.
    fn flush(&mut self) -> Vec<String> {
        let lines = Output::ALL.map(|output| self.output.finish(output));
        marked(lines.concat())
    }

    /// Notes that it is being canceled. Returns a note, once; `reason` is empty or stands behind a comma.
    pub fn cancel(&mut self, reason: &str) -> Option<String> {
        let is_first = !std::mem::replace(&mut self.is_canceled, true);
        is_first.then(|| format!("{}: canceling{reason}", self.label))
    }

    /// Returns what is shown at its end. `words` describe the outcome.
    pub fn end(&mut self, report: &Report, words: &str) -> LastLines {
        let LastLines { output, mut notes } = self.leave();
        notes.push(format!("{}: {words}", self.label));
        notes.extend(notices(&self.label, report));
        LastLines { output, notes }
    }
}

fn marked(lines: Vec<Vec<u8>>) -> Vec<String> {
    let lines = lines.into_iter();
    let marked = lines.map(|line| format!("{MARK}{}", escape::message(&line, OUTPUT_LINE)));
    marked.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Outcome, RequestId};

    #[test]
    fn words_are_split_as_in_a_shell_and_an_open_quote_is_not_run() {
        assert_eq!(argv(" ls 'a  b' ").unwrap(), ["ls", "a  b"]);
        assert!(argv("echo 'half").unwrap_err().contains("quote"));
        assert!(argv(" ").unwrap_err().contains("as in /exec uptime"));
    }

    #[test]
    fn output_and_name_of_a_command_are_escaped_and_marked() {
        let mut running = Running::new("a\u{1b}b");
        let lines = running.push(Output::Stdout, b"bob: \x1b[2Jb\nhalf");
        assert_eq!(lines, ["| bob: \\u{1b}[2Jb"]);
        assert_eq!(
            running.cancel(", as it is late").unwrap(),
            "/exec a\\u{1b}b: canceling, as it is late"
        );
        assert_eq!(running.cancel(""), None);
        assert_eq!(running.held(Output::Stdout), 4);
        let report = Report::new(RequestId([0; 16]), Some(Outcome::Canceled {}));
        let last = running.end(&report, "canceled");
        assert_eq!(last.output, ["| half"]);
        assert_eq!(last.notes, ["/exec a\\u{1b}b: canceled"]);
    }
}
