//! Lines above the prompt, the last of which may be a status that changes in its place.
//!
//! Not the prompt. Invariant: a status replaces the row above the prompt only if that row is the status before, and
//! nothing was typed in the meantime that could have moved it.

use std::io;
use std::time::{Duration, Instant};

use rustyline::ExternalPrinter;

use crate::control::console;
use crate::prompt::activity::Activity;
use crate::prompt::editor;

/// Line to show, with its line end; already escaped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Shown {
    /// Message.
    Said(String),
    /// Note about the chat.
    Note(String),
    /// Note that replaces the one before, at a prompt only.
    Status(String),
    /// The line that is typed is drawn again, at a prompt only.
    Redraw,
}

/// Time without a key after which a status may be replaced: a key that is handled meanwhile could move it.
const QUIET: Duration = Duration::from_millis(500);

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
        }
    }

    /// Writes a line, which ends with a line feed.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub(super) fn write(&mut self, shown: Shown) -> io::Result<()> {
        let text = match shown {
            Shown::Said(text) | Shown::Note(text) => {
                self.status = None;
                text
            }
            Shown::Redraw => REDRAW.to_owned(),
            Shown::Status(text) => {
                let row = Row {
                    rows: self.activity.rows(),
                    columns: console::window().columns,
                };
                if !self.activity.is_editing() || usize::from(row.columns) <= text.len() {
                    return Ok(());
                }
                let is_in_place = self.status.replace(row) == Some(row);
                if is_in_place && !self.is_quiet() {
                    return Ok(());
                }
                if is_in_place {
                    format!("{UP}{text}")
                } else {
                    text
                }
            }
        };
        self.printer.print(text).map_err(editor::to_io)
    }

    fn is_quiet(&self) -> bool {
        let last = self.activity.last_key();
        last.is_none_or(|last| Instant::now().saturating_duration_since(last) >= QUIET)
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
        activity.set_editing(true);
        assert_eq!(shows(status(1)), "1\n");
        assert_eq!(shows(status(2)), format!("{UP}2\n"));
        assert_eq!(shows(Shown::Said("hello\n".into())), "hello\n");
        assert_eq!(shows(status(3)), "3\n");
        activity.on_rows();
        assert_eq!(shows(status(4)), "4\n");
        assert_eq!(shows(Shown::Redraw), REDRAW);
        activity.on_key();
        assert_eq!(shows(status(5)), "", "while keys are pressed");
    }
}
