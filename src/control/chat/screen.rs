//! Where a chat is typed and shown: a prompt with messages above it, or bare lines in and out.
//!
//! Not here: what is said. Invariant: however the chat ends, the terminal is left as it was found.

use std::collections::VecDeque;
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TrySendError, at, bounded, never, select};
use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Config, Editor, ExternalPrinter as _};
use signal_hook::consts::SIGTSTP;

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

/// Something to be shown, with its line end; already escaped.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Shown {
    /// A line of the conversation.
    Said(String),
    /// A line about it.
    Note(String),
}

/// Both sides of the conversation with the user. Lines are shown by a thread of their own, so that an
/// output that nobody takes stops nothing but itself.
pub(super) struct Screen {
    prompt: Option<Prompt>,
    /// `None` when nothing more will be shown.
    lines: Option<Sender<Shown>>,
    /// Lines that the thread has no room for.
    waiting: VecDeque<Shown>,
    output_gone: bool,
    /// Sends when the thread has room again; disconnected when it has ended.
    pub(super) shown: Receiver<()>,
    /// What was typed.
    pub(super) typed: Receiver<Typed>,
}

/// The terminal while there is a prompt.
struct Prompt {
    before: Termios,
    /// True while the line editor has the terminal.
    editing: Arc<AtomicBool>,
}

impl Screen {
    /// A prompt if there is somebody to see it, otherwise bare lines.
    ///
    /// # Errors
    /// When the terminal cannot be set up.
    pub(super) fn open(prompt: &'static str) -> io::Result<Self> {
        let (sender, typed) = bounded(limits::TYPED);
        if !console::is_there() {
            spawn("input", move || read_lines(&sender))?;
            let (lines, shown) = spawn_output(write_line)?;
            return Ok(Self::new(None, lines, shown, typed));
        }
        let config = Config::builder()
            // A pasted paragraph is as many messages as it has lines.
            .bracketed_paste(false)
            .auto_add_history(true)
            // Ctrl-C and Ctrl-Z are signals, so that they work while nothing is read.
            .enable_signals(true)
            .build();
        let mut editor: Editor<(), MemHistory> =
            Editor::with_history(config, MemHistory::new()).map_err(to_io)?;
        let mut printer = editor.create_external_printer().map_err(to_io)?;
        let before = keep_typed_ahead()?;
        console::remember(Some(before.clone()));
        let editing = Arc::new(AtomicBool::new(false));
        let held = Prompt {
            before,
            editing: Arc::clone(&editing),
        };
        // From here on the terminal is put right again when this is dropped.
        let (lines, shown) = spawn_output(move |line| {
            let (Shown::Said(line) | Shown::Note(line)) = line;
            printer.print(line).map_err(to_io)
        })?;
        let screen = Self::new(Some(held), lines, shown, typed);
        spawn("input", move || {
            read_prompt(&mut editor, prompt, &editing, &sender);
        })?;
        Ok(screen)
    }

    fn new(
        prompt: Option<Prompt>,
        lines: Sender<Shown>,
        shown: Receiver<()>,
        typed: Receiver<Typed>,
    ) -> Self {
        Self {
            prompt,
            lines: Some(lines),
            waiting: VecDeque::new(),
            output_gone: false,
            shown,
            typed,
        }
    }

    /// A line of the conversation; already escaped.
    ///
    /// # Errors
    /// When nobody reads it any more.
    pub(super) fn show(&mut self, line: &str) -> io::Result<()> {
        self.waiting.push_back(Shown::Said(format!("{line}\n")));
        self.flush()
    }

    /// A line about the conversation; already escaped.
    pub(super) fn note(&mut self, line: &str) {
        self.waiting.push_back(Shown::Note(format!("* {line}\n")));
        // Where nobody reads, nobody misses it.
        let _ = self.flush();
    }

    /// Hands over as many of the waiting lines as there is room for.
    ///
    /// # Errors
    /// When nobody reads them any more.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while let (Some(lines), Some(line)) = (&self.lines, self.waiting.pop_front()) {
            match lines.try_send(line) {
                Ok(()) => {}
                Err(TrySendError::Full(line)) => {
                    self.waiting.push_front(line);
                    break;
                }
                Err(TrySendError::Disconnected(_)) => self.on_output_gone(),
            }
        }
        if self.output_gone {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    }

    /// The thread that shows lines has ended: nothing more can be shown.
    pub(super) fn on_output_gone(&mut self) {
        self.output_gone = true;
        self.lines = None;
        self.waiting.clear();
        // It would be ready for ever.
        self.shown = never();
    }

    /// True if lines wait because the output takes no more.
    pub(super) fn is_full(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Waits until everything is shown, until a signal or `deadline`, at a prompt only for a moment.
    pub(super) fn finish(&mut self, signals: &Receiver<i32>, deadline: Option<Instant>) {
        let at_prompt = self.is_terminal();
        let moment = || Instant::now() + limits::TALK_LEAVE;
        let deadline = deadline.or_else(|| at_prompt.then(moment));
        let deadline = deadline.map_or_else(never, at);
        while !self.output_gone {
            if self.waiting.is_empty() {
                // The thread ends when it has shown the rest.
                self.lines = None;
            }
            select! {
                recv(self.shown) -> more => if more.is_err() || self.flush().is_err() {
                    return;
                },
                recv(signals) -> signal => match signal {
                    Ok(SIGTSTP) => self.suspend(),
                    _ => return,
                },
                recv(deadline) -> _ => return,
            }
        }
    }

    /// Stops the program as Ctrl-Z asks, and goes on when it is continued.
    pub(super) fn suspend(&self) {
        let Some(prompt) = &self.prompt else { return };
        let stdin = io::stdin();
        let Ok(now) = tcgetattr(&stdin) else { return };
        let _ = tcsetattr(&stdin, OptionalActions::Now, &prompt.before);
        let _ = kill_process(getpid(), Signal::STOP);
        let _ = tcsetattr(&stdin, OptionalActions::Now, &now);
        // The line editor draws its line again.
        let _ = kill_process(getpid(), Signal::WINCH);
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
        self.prompt.is_some()
    }
}

impl Drop for Prompt {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.before);
        console::remember(None);
        if self.editing.load(Ordering::SeqCst) {
            // A line is half typed.
            let _ = writeln!(io::stdout());
        }
    }
}

/// Takes the terminal out of canonical mode for as long as the prompt is there, not only while a line is
/// edited: what is typed ahead then waits in the terminal as it is, of any length, and echoes when its
/// turn comes. Returns the mode before.
fn keep_typed_ahead() -> io::Result<Termios> {
    let before = tcgetattr(io::stdin())?;
    let mut mode = before.clone();
    mode.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::IEXTEN;
    mode.input_modes -=
        InputModes::ICRNL | InputModes::INLCR | InputModes::IGNCR | InputModes::IXON;
    mode.special_codes[SpecialCodeIndex::VMIN] = 1;
    mode.special_codes[SpecialCodeIndex::VTIME] = 0;
    tcsetattr(io::stdin(), OptionalActions::Drain, &mode)?;
    Ok(before)
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(run)
        .map(drop)
}

/// Starts the thread that shows lines. Returns where they go, and what tells that there is room again.
fn spawn_output(
    mut write: impl FnMut(Shown) -> io::Result<()> + Send + 'static,
) -> io::Result<(Sender<Shown>, Receiver<()>)> {
    let (sender, lines) = bounded::<Shown>(limits::SHOWN);
    let (room, shown) = bounded(1);
    spawn("output", move || {
        for line in lines {
            if write(line).is_err() {
                return;
            }
            // One that is not taken yet says the same.
            let _ = room.try_send(());
        }
    })?;
    Ok((sender, shown))
}

/// Writes a line where it belongs without a prompt. Notes that nobody reads are no error.
fn write_line(line: Shown) -> io::Result<()> {
    match line {
        Shown::Said(line) => {
            let mut out = io::stdout().lock();
            out.write_all(line.as_bytes()).and_then(|()| out.flush())
        }
        Shown::Note(line) => {
            let _ = io::stderr().write_all(line.as_bytes());
            Ok(())
        }
    }
}

fn read_prompt(
    editor: &mut Editor<(), MemHistory>,
    prompt: &str,
    editing: &AtomicBool,
    typed: &Sender<Typed>,
) {
    loop {
        editing.store(true, Ordering::SeqCst);
        let line = editor.readline(prompt);
        editing.store(false, Ordering::SeqCst);
        let meant = match line {
            Ok(text) => understand(&text),
            Err(ReadlineError::Eof | ReadlineError::Interrupted) => vec![Typed::Leave],
            Err(error) => vec![Typed::Failed(error.to_string())],
        };
        for next in meant {
            let last = matches!(next, Typed::Leave | Typed::Failed(_));
            if typed.send(next).is_err() || last {
                return;
            }
        }
    }
}

/// The meaning of what was typed at the prompt, line by line: a terminal that marks what is pasted gives it to
/// the editor as one text with line breaks.
fn understand(text: &str) -> Vec<Typed> {
    text.split(['\n', '\r'])
        .filter_map(understand_line)
        .collect()
}

fn understand_line(line: &str) -> Option<Typed> {
    match line.trim() {
        "" => None,
        "quit" | "/quit" => Some(Typed::Leave),
        command if command.starts_with("//") => Some(Typed::Line(line.replacen("//", "/", 1))),
        command if command.starts_with('/') => Some(Typed::Unknown(command.to_owned())),
        _ => Some(Typed::Line(line.to_owned())),
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
        let meant = understand_line;
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

    #[test]
    fn each_line_of_a_marked_paste_is_a_message() {
        let line = |text: &str| Typed::Line(text.into());
        assert_eq!(
            understand("one\ntwo\n\nthree"),
            [line("one"), line("two"), line("three")]
        );
    }
}
