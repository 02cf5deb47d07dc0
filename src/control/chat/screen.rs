//! Where a chat is typed and shown: a prompt with messages above it, or bare lines in and out.
//!
//! Not here: what is said. Invariant: however the chat ends, the terminal is left as it was found.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Config, Editor, ExternalPrinter};

use crate::control::{console, limits};
use crate::escape;
use crate::message::limits::{CHAT_TEXT, NAME};

/// Something the user did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Typed {
    /// A line to be said; longer than a message may be, if somebody pipes one.
    Line(String),
    /// Something else was meant.
    Unknown(String),
    /// `quit`, or the end of input.
    Leave,
    /// Input cannot be read.
    Failed(String),
}

/// Both sides of the conversation with the user.
pub(super) struct Screen {
    output: Output,
    /// What was typed.
    pub(super) typed: Receiver<Typed>,
}

enum Output {
    Prompt {
        printer: Box<dyn ExternalPrinter>,
        before: Option<Termios>,
    },
    Lines,
}

impl Screen {
    /// A prompt if there is somebody to see it, otherwise bare lines.
    ///
    /// # Errors
    /// When the terminal cannot be set up.
    pub(super) fn open(prompt: &'static str) -> io::Result<Self> {
        let (sender, typed) = bounded(limits::TYPED);
        if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
            spawn(move || read_lines(&sender))?;
            let output = Output::Lines;
            return Ok(Self { output, typed });
        }
        let before = tcgetattr(io::stdin()).ok();
        console::remember(before.clone());
        let config = Config::builder()
            // A pasted paragraph is as many messages as it has lines.
            .bracketed_paste(false)
            .auto_add_history(true)
            .build();
        let mut editor: Editor<(), MemHistory> =
            Editor::with_history(config, MemHistory::new()).map_err(to_io)?;
        let printer = Box::new(editor.create_external_printer().map_err(to_io)?);
        spawn(move || read_prompt(&mut editor, prompt, &sender))?;
        let output = Output::Prompt { printer, before };
        Ok(Self { output, typed })
    }

    /// A line of the conversation; already escaped.
    ///
    /// # Errors
    /// When nobody reads it any more.
    pub(super) fn show(&mut self, line: &str) -> io::Result<()> {
        match &mut self.output {
            Output::Prompt { printer, .. } => printer.print(format!("{line}\n")).map_err(to_io),
            Output::Lines => {
                let mut out = io::stdout().lock();
                writeln!(out, "{line}").and_then(|()| out.flush())
            }
        }
    }

    /// A line about the conversation; already escaped.
    pub(super) fn note(&mut self, line: &str) {
        match &mut self.output {
            Output::Prompt { printer, .. } => {
                let _ = printer.print(format!("* {line}\n"));
            }
            Output::Lines => {
                let _ = writeln!(io::stderr(), "* {line}");
            }
        }
    }

    /// The user meant a command that there is not.
    pub(super) fn unknown(&mut self, command: &str) {
        let command = escape::line(command.as_bytes(), NAME);
        self.note(&format!(
            "{command} is no command; /quit leaves, and a line that begins with // is said with one /"
        ));
    }

    /// Whether there is a prompt, and somebody who watches it.
    pub(super) const fn is_terminal(&self) -> bool {
        matches!(self.output, Output::Prompt { .. })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Output::Prompt {
            before: Some(before),
            ..
        } = &self.output
        {
            // The thread at the prompt may still hold the terminal in raw mode, with a line half typed.
            if tcgetattr(io::stdin()).is_ok_and(|now| now.local_modes != before.local_modes) {
                let _ = tcsetattr(io::stdin(), OptionalActions::Drain, before);
                let _ = writeln!(io::stdout());
            }
            console::remember(None);
        }
    }
}

fn spawn(read: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new()
        .name("input".into())
        .spawn(read)
        .map(drop)
}

fn read_prompt(editor: &mut Editor<(), MemHistory>, prompt: &str, typed: &Sender<Typed>) {
    loop {
        let next = match editor.readline(prompt) {
            Ok(line) => understand(line),
            Err(ReadlineError::Eof | ReadlineError::Interrupted) => Some(Typed::Leave),
            Err(error) => Some(Typed::Failed(error.to_string())),
        };
        let Some(next) = next else { continue };
        let last = matches!(next, Typed::Leave | Typed::Failed(_));
        if typed.send(next).is_err() || last {
            return;
        }
    }
}

/// What a line at the prompt means.
fn understand(line: String) -> Option<Typed> {
    match line.trim() {
        "" => None,
        "quit" | "/quit" => Some(Typed::Leave),
        command if command.starts_with("//") => Some(Typed::Line(line.replacen("//", "/", 1))),
        command if command.starts_with('/') => Some(Typed::Unknown(command.to_owned())),
        _ => Some(Typed::Line(line)),
    }
}

/// Lines as they come; of one that is longer than a message no more than what shows that it is.
fn read_lines(typed: &Sender<Typed>) {
    let mut stdin = io::stdin().lock();
    loop {
        let mut line = Vec::new();
        let most = CHAT_TEXT as u64 + 2;
        let read = stdin.by_ref().take(most).read_until(b'\n', &mut line);
        let next = match read {
            Ok(0) => Typed::Leave,
            Ok(_) => {
                if line.last() != Some(&b'\n') && line.len() as u64 == most {
                    let _ = stdin.skip_until(b'\n');
                }
                let line = line.strip_suffix(b"\n").unwrap_or(&line);
                match line.strip_suffix(b"\r").unwrap_or(line) {
                    b"" => continue,
                    b"quit" | b"/quit" => Typed::Leave,
                    line => Typed::Line(String::from_utf8_lossy(line).into_owned()),
                }
            }
            Err(error) => Typed::Failed(error.to_string()),
        };
        let last = !matches!(next, Typed::Line(_));
        if typed.send(next).is_err() || last {
            return;
        }
    }
}

fn to_io(error: ReadlineError) -> io::Error {
    match error {
        ReadlineError::Io(error) => error,
        error => io::Error::other(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_is_for_commands_unless_doubled() {
        let meant = |line: &str| understand(line.to_owned());
        assert_eq!(meant("  "), None);
        assert_eq!(meant(" quit "), Some(Typed::Leave));
        assert_eq!(meant("/quit"), Some(Typed::Leave));
        assert_eq!(meant("quit it"), Some(Typed::Line("quit it".into())));
        assert_eq!(
            meant("//etc is a path"),
            Some(Typed::Line("/etc is a path".into()))
        );
        assert_eq!(meant("/help"), Some(Typed::Unknown("/help".into())));
    }
}
