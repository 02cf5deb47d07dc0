//! Lines above the prompt, the last of which may be a status that changes in its place, or a line of the user that is marked
//! once it is delivered.
//!
//! Not the prompt. Invariants: a status replaces the row above the prompt only if that row is the status before, and
//! nothing was typed in the meantime that could have moved it; so does a line with its mark only in the place of that line.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use rustix::stdio::stdout;
use rustyline::ExternalPrinter;
use unicode_width::UnicodeWidthStr as _;

use crate::control::console;
use crate::escape;
use crate::prompt::activity::Activity;
use crate::prompt::editor;
use crate::saved_mode;

/// Line to show, with its line end; already escaped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Shown {
    /// Message.
    Said(String),
    /// Note about the chat.
    Note(String),
    /// Note that replaces the one before, at a prompt only.
    Status(String),
    /// A line of the user is delivered: it gets a mark in its place, or else a status says so. At a prompt only.
    Delivered {
        /// Line as it was typed.
        line: String,
        /// Mark behind it.
        mark: String,
    },
    /// The line that is typed is drawn again, at a prompt only.
    Redraw,
}

/// Time without a key after which a status may be replaced: a key that is handled meanwhile could move it.
const QUIET: Duration = Duration::from_millis(500);

/// Time without a key after which the line of the user may be replaced while the next one is typed.
const PAUSE: Duration = Duration::from_millis(150);

/// Columns beside a line that is marked: the prompt before it, and a space and the mark behind it.
const BESIDE: usize = editor::PROMPT.len() + 2;

/// Bytes of a line that names it below, in a row of a terminal with 80 columns.
const NAMED: usize = 40;

/// Moves up by a row and down again, so that the line editor draws its line anew and nothing else changes.
const REDRAW: &str = "\x1b[A\n";

/// Moves up by a row and clears it.
const UP: &str = "\x1b[A\r\x1b[2K";

/// Writer of lines above a prompt.
pub(super) struct AbovePrompt<P> {
    printer: P,
    activity: Activity,
    /// State in which the row above the prompt was written, if it is a status.
    status: Option<Row>,
    /// Rows of the editor at the time of the last line that was written.
    written: Option<u64>,
}

/// State that has to be the same for a row to be in its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Row {
    rows: u64,
    columns: u16,
}

impl<P: ExternalPrinter> AbovePrompt<P> {
    /// Creates a writer.
    pub(super) const fn new(printer: P, activity: Activity) -> Self {
        Self {
            printer,
            activity,
            status: None,
            written: None,
        }
    }

    /// Writes a line, which ends with a line feed.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub(super) fn write(&mut self, shown: Shown) -> io::Result<()> {
        if saved_mode::is_in_background() {
            return self.write_beside(shown);
        }
        let text = match shown {
            Shown::Said(text) | Shown::Note(text) => {
                self.status = None;
                Some(text)
            }
            Shown::Redraw => {
                rustix::io::write(stdout(), self.activity.room().as_bytes())?;
                return self.print(REDRAW.to_owned());
            }
            Shown::Status(text) => self.status(text),
            Shown::Delivered { line, mark } => {
                if self.is_in_place(&line) {
                    Some(format!("{UP}{}{line} {mark}\n", editor::PROMPT))
                } else {
                    let line = escape::line(line.as_bytes(), NAMED);
                    self.status(format!("* delivered: {line}\n"))
                }
            }
        };
        let Some(text) = text else { return Ok(()) };
        self.written = Some(self.activity.rows());
        self.print(text)
    }

    /// Writes a line on the terminal of another program, without a prompt below it.
    fn write_beside(&mut self, shown: Shown) -> io::Result<()> {
        match shown {
            Shown::Said(text) | Shown::Note(text) => {
                self.status = None;
                self.written = Some(self.activity.rows());
                let mut out = io::stdout().lock();
                out.write_all(text.as_bytes()).and_then(|()| out.flush())
            }
            // They belong to the prompt.
            Shown::Status(_) | Shown::Delivered { .. } | Shown::Redraw => Ok(()),
        }
    }

    fn print(&mut self, text: String) -> io::Result<()> {
        self.printer.print(text).map_err(editor::to_io)
    }

    /// Returns what shows a status, if it can be shown now.
    fn status(&mut self, text: String) -> Option<String> {
        let row = Row {
            rows: self.activity.rows(),
            columns: console::window().columns,
        };
        if !self.activity.is_editing() || usize::from(row.columns) <= text.width() {
            return None;
        }
        let is_in_place = self.status.replace(row) == Some(row);
        if !is_in_place {
            return Some(text);
        }
        self.is_quiet(QUIET).then(|| format!("{UP}{text}"))
    }

    /// Returns true if a line of the user is the row above the prompt, and stays there for now.
    fn is_in_place(&self, line: &str) -> bool {
        let columns = usize::from(console::window().columns);
        self.activity.is_editing()
            && self.activity.is_last_line(line)
            && self.written != Some(self.activity.rows())
            && (self.activity.is_empty() || self.is_quiet(PAUSE))
            && line.width() + BESIDE < columns
            && escape::is_clean(line)
    }

    fn is_quiet(&self, time: Duration) -> bool {
        let last = self.activity.last_key();
        last.is_none_or(|last| Instant::now().saturating_duration_since(last) >= time)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Printed(Arc<Mutex<String>>);

    impl ExternalPrinter for Printed {
        fn print(&mut self, text: String) -> rustyline::Result<()> {
            self.0.lock().unwrap().push_str(&text);
            Ok(())
        }
    }

    #[test]
    fn a_status_replaces_only_itself_and_nothing_that_was_typed() {
        let (printed, activity) = (Printed::default(), Activity::default());
        let mut above = AbovePrompt::new(printed.clone(), activity.clone());
        let mut shows = |shown: Shown| {
            above.write(shown).unwrap();
            std::mem::take(&mut *printed.0.lock().unwrap())
        };
        let status = |number: u8| Shown::Status(format!("{number}\n"));
        assert_eq!(shows(status(0)), "", "no prompt yet");
        activity.begin_editing("");
        assert_eq!(shows(status(1)), "1\n");
        assert_eq!(shows(status(2)), format!("{UP}2\n"));
        assert_eq!(shows(Shown::Said("hello\n".into())), "hello\n");
        assert_eq!(shows(status(3)), "3\n");
        activity.on_rows();
        assert_eq!(shows(status(4)), "4\n");
        assert_eq!(shows(Shown::Redraw), REDRAW);
        activity.on_key("x");
        assert_eq!(shows(status(5)), "", "while keys are pressed");
    }

    #[test]
    fn a_delivered_line_is_marked_in_its_place_or_named_below() {
        let (printed, activity) = (Printed::default(), Activity::default());
        let mut above = AbovePrompt::new(printed.clone(), activity.clone());
        let mut shows = |shown: Shown| {
            above.write(shown).unwrap();
            std::mem::take(&mut *printed.0.lock().unwrap())
        };
        let delivered = |line: &str| Shown::Delivered {
            line: line.to_owned(),
            mark: "+".to_owned(),
        };
        let types = |line: &str| {
            activity.on_line(line);
            activity.on_rows();
            activity.begin_editing("");
            activity.on_key("");
        };
        types("hello");
        assert_eq!(shows(delivered("hello")), format!("{UP}> hello +\n"));
        types("hello");
        shows(Shown::Said("ann: hi\n".into()));
        assert_eq!(shows(delivered("hello")), "* delivered: hello\n");
        types("one");
        types("two");
        assert_eq!(shows(delivered("one")), "* delivered: one\n");
        types("while the next line is typed");
        activity.on_key("x");
        let below = "* delivered: while the next line is typed\n";
        assert_eq!(shows(delivered("while the next line is typed")), below);
        // One that the terminal shows otherwise, or in several rows, stays as it is.
        types("\x1b[2J");
        assert_eq!(shows(delivered("\x1b[2J")), "* delivered: \\u{1b}[2J\n");
        let long = "x".repeat(200);
        types(&long);
        assert!(!shows(delivered(&long)).contains(UP));
    }
}
