//! Lines above the prompt of the agent's user.
//!
//! Not their contents. Invariant: in the background, nothing of the prompt is drawn on the terminal of another program.

use std::io::{self, Write};

use rustix::stdio::stdout;
use rustyline::ExternalPrinter;

use super::terminal::REDRAW;
use crate::prompt::activity::Activity;
use crate::saved_mode;

/// Writer of lines above a prompt: what is written appears when it is flushed.
pub struct AbovePrompt {
    printer: Box<dyn ExternalPrinter + Send>,
    activity: Activity,
    text: String,
}

impl AbovePrompt {
    /// Creates a writer.
    pub fn new(printer: Box<dyn ExternalPrinter + Send>, activity: Activity) -> Self {
        Self {
            printer,
            activity,
            text: String::new(),
        }
    }
}

/// Waits until the last line is drawn: the line editor takes one line after the other.
impl Drop for AbovePrompt {
    fn drop(&mut self) {
        if !saved_mode::is_in_background() {
            let _ = self.printer.print(format!("{REDRAW}\n"));
        }
    }
}

impl Write for AbovePrompt {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.push_str(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let text = std::mem::take(&mut self.text);
        if saved_mode::is_in_background() {
            // On the terminal of another program, without a prompt below.
            if text.starts_with(REDRAW) {
                return Ok(());
            }
            let mut out = io::stdout().lock();
            return out.write_all(text.as_bytes()).and_then(|()| out.flush());
        }
        if text.starts_with(REDRAW) {
            rustix::io::write(stdout(), self.activity.room().as_bytes())?;
        }
        self.printer.print(text).map_err(io::Error::other)
    }
}
