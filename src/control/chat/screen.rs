//! Input and output of a chat: a prompt with messages above it, or plain lines in and out.
//!
//! Not the content of the messages. Invariant: however the chat ends, the terminal has the mode that it had before.

use std::collections::VecDeque;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvError, Sender, TrySendError, at, bounded, never, select};
use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::OptionalActions;
use signal_hook::consts::{SIGCONT, SIGTSTP};

use super::above_prompt::{AbovePrompt, Shown};
use super::input_position::{Input, InputPosition};
use super::piped_lines::read_lines;
use crate::control::limits;
use crate::escape;
use crate::message::limits::NAME;
use crate::prompt::activity::Activity;
use crate::prompt::command::{self, Typed};
use crate::prompt::editing_mode::{EditingMode, SuspendKey};
use crate::prompt::editor::{self, PromptOptions};
use crate::prompt::input_relay::{Gate, InputRelay};
use crate::prompt::limits::BACKGROUND;
use crate::prompt::paste::Paste;
use crate::saved_mode;

/// Input and output of the user. A thread of its own writes the lines, so that a blocked output stops nothing but
/// itself.
pub(super) struct Screen {
    prompt: Option<Prompt>,
    /// Activity of a person who types; `None` if the input is a pipe or a file.
    activity: Option<Activity>,
    /// Channel to the thread; `None` if nothing more is shown.
    lines: Option<Sender<Shown>>,
    /// Lines that the channel has no capacity for.
    waiting: VecDeque<Shown>,
    output_gone: bool,
    /// True once a message could not be written.
    failed: Arc<AtomicBool>,
    /// Receives when the thread has taken a line; disconnected when it has ended.
    pub(super) shown: Receiver<()>,
    /// Channel of input. Pass on what it receives to [`taken`](Self::taken).
    pub(super) typed: Receiver<Input>,
    position: InputPosition,
    /// Time of the next call of [`take_back`](Self::take_back), if it is wanted.
    next_check: Option<Instant>,
}

/// Terminal while there is a prompt.
struct Prompt {
    mode: EditingMode,
    activity: Activity,
    keys: Gate,
}

impl Screen {
    /// Opens a prompt on a terminal, plain lines otherwise.
    ///
    /// # Errors
    /// If the terminal cannot be set up.
    pub(super) fn open(prompt: PromptOptions) -> io::Result<Self> {
        let (sender, typed) = bounded(limits::TYPED_LINES);
        if !editor::is_possible() {
            let activity = io::stdin().is_terminal().then(Activity::default);
            let of_person = activity.clone();
            spawn("input", move || read_lines(of_person.as_ref(), &sender))?;
            let failed = Arc::new(AtomicBool::new(false));
            let has_failed = Arc::clone(&failed);
            let (lines, shown) = spawn_output(move |line| {
                write_line(line).inspect_err(|error| {
                    // A closed pipe ends a filter without a word.
                    if error.kind() != io::ErrorKind::BrokenPipe {
                        has_failed.store(true, Ordering::Relaxed);
                        let _ = writeln!(io::stderr(), "* standard output: {error}");
                    }
                })
            })?;
            return Ok(Self {
                activity,
                failed,
                ..Self::new(None, lines, shown, typed)
            });
        }
        let activity = Activity::default();
        let relay =
            InputRelay::open(activity.clone(), &[], &[]).map_err(|error| without_relay(&error))?;
        let (mut editor, printer) = editor::open_editor(prompt, activity.clone(), relay.gate())?;
        let held = Prompt {
            mode: EditingMode::new(activity.clone(), SuspendKey::Signal)?,
            activity: activity.clone(),
            keys: relay.gate(),
        };
        // From here on, dropping `held` restores the terminal.
        let mut above = AbovePrompt::new(printer, activity.clone());
        let (lines, shown) = spawn_output(move |line| above.write(line))?;
        let screen = Self::new(Some(held), lines, shown, typed);
        relay.start()?;
        spawn("input", move || {
            let send = |typed| sender.send(Input { typed, line: 0 }).is_ok();
            editor::read_prompt(&mut editor, &activity, send);
        })?;
        Ok(screen)
    }

    fn new(
        prompt: Option<Prompt>,
        lines: Sender<Shown>,
        shown: Receiver<()>,
        typed: Receiver<Input>,
    ) -> Self {
        Self {
            position: InputPosition::new(prompt.is_some()),
            activity: prompt.as_ref().map(|prompt| prompt.activity.clone()),
            prompt,
            lines: Some(lines),
            waiting: VecDeque::new(),
            output_gone: false,
            failed: Arc::default(),
            shown,
            typed,
            next_check: None,
        }
    }

    /// Shows a message; already escaped.
    ///
    /// # Errors
    /// If the output is closed.
    pub(super) fn show(&mut self, line: &str) -> io::Result<()> {
        self.waiting.push_back(Shown::Said(format!("{line}\n")));
        self.flush()
    }

    /// Shows a note; already escaped.
    pub(super) fn note(&mut self, line: &str) {
        self.waiting.push_back(Shown::Note(format!("* {line}\n")));
        // A note that cannot be shown is dropped.
        let _ = self.flush();
    }

    /// Shows a note that replaces the status before, if that is the last line still. Only at a prompt.
    pub(super) fn status(&mut self, line: &str) {
        // The next status is a better one than this.
        if self.is_terminal() && self.waiting.is_empty() {
            self.waiting.push_back(Shown::Status(format!("* {line}\n")));
            let _ = self.flush();
        }
    }

    /// Takes what the channel of input has received.
    pub(super) fn taken(&mut self, input: Result<Input, RecvError>) -> Typed {
        self.position.taken(input)
    }

    /// Returns words for input of a pipe that was not taken, unless there is none.
    pub(super) fn unread(&mut self) -> Option<String> {
        self.position.unread(&self.typed)
    }

    /// Returns true if a message could not be written, as to a full disk. A closed pipe is no failure.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Marks a line of the user as delivered. Only at a prompt.
    pub(super) fn delivered(&mut self, line: String, mark: String) {
        // What waits is shown between the line and its mark.
        if self.is_terminal() && self.waiting.is_empty() {
            self.waiting.push_back(Shown::Delivered { line, mark });
            let _ = self.flush();
        }
    }

    /// Puts the line that is edited aside, if there is one, until a question is answered.
    pub(super) fn park(&self) {
        if let Some(prompt) = &self.prompt
            && !prompt.activity.is_empty()
        {
            prompt.keys.park();
        }
    }

    /// Shows the question about lines that arrived at once again, if it is open, as after another program had the terminal.
    pub(super) fn ask_again(&mut self, paste: &Paste) {
        if let Some(words) = paste.question()
            && !saved_mode::is_in_background()
        {
            self.note(&words);
        }
    }

    /// Returns true if a person has typed something that was not taken.
    pub(super) fn has_more(&self) -> bool {
        let is_waiting = |prompt: &Prompt| prompt.keys.has_more();
        let is_typed = || {
            let at_prompt = self.prompt.as_ref().map(is_waiting);
            at_prompt.unwrap_or_else(|| self.activity.is_some() && saved_mode::has_input())
        };
        !self.typed.is_empty() || is_typed()
    }

    /// Returns what a person does who types, with a prompt or without one.
    pub(super) fn activity(&self) -> Option<Activity> {
        self.activity.clone()
    }

    /// Passes waiting lines to the thread, as many as it takes.
    ///
    /// # Errors
    /// If the output is closed.
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

    /// Handles the end of the thread, after which nothing can be shown.
    pub(super) fn on_output_gone(&mut self) {
        self.output_gone = true;
        self.lines = None;
        self.waiting.clear();
        // A disconnected channel is always ready.
        self.shown = never();
    }

    /// Returns true if lines wait because the output is blocked.
    pub(super) fn is_full(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Waits until everything is shown, a signal arrives or `deadline` passes; at a prompt for
    /// [`limits::CHAT_LEAVE`] at most.
    pub(super) fn finish(&mut self, signals: &Receiver<i32>, deadline: Option<Instant>) {
        let at_prompt = self.is_terminal();
        let latest = || Instant::now() + limits::CHAT_LEAVE;
        let deadline = deadline.or_else(|| at_prompt.then(latest));
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
                    Ok(signal) if self.on_job_control(signal) => {}
                    Ok(_) | Err(_) => return,
                },
                recv(deadline) -> _ => return,
            }
        }
    }

    /// Stops the program at SIGTSTP, and takes the terminal back at SIGCONT. Returns false for another signal.
    pub(super) fn on_job_control(&mut self, signal: i32) -> bool {
        match signal {
            SIGTSTP => self.suspend(),
            SIGCONT => {
                if let Some(prompt) = &mut self.prompt {
                    prompt.mode.on_continued();
                }
                self.take_back();
            }
            _ => return false,
        }
        true
    }

    /// Takes the terminal back after SIGCONT, once this program is in the foreground.
    pub(super) fn take_back(&mut self) {
        self.next_check = None;
        if let Some(prompt) = &mut self.prompt
            && prompt.mode.restore()
        {
            self.waiting.push_back(Shown::Redraw);
            let _ = self.flush();
        }
    }

    /// Returns a channel that receives when the terminal may be taken back, however often it is asked for meanwhile: never,
    /// unless another program may have the terminal.
    pub(super) fn checks(&mut self) -> Receiver<Instant> {
        let is_lost = |prompt: &Prompt| prompt.mode.is_lost();
        if self.prompt.as_ref().is_some_and(is_lost) {
            let next = self.next_check;
            at(*self
                .next_check
                .insert(next.unwrap_or_else(|| Instant::now() + BACKGROUND)))
        } else {
            self.next_check = None;
            never()
        }
    }

    /// Stops the program, as Ctrl-Z requests, until SIGCONT.
    fn suspend(&mut self) {
        let Some(prompt) = &self.prompt else { return };
        prompt.mode.set_before(OptionalActions::Now);
        let _ = kill_process(getpid(), Signal::STOP);
    }

    /// Reports a command that does not exist.
    pub(super) fn unknown(&mut self, command: &str) {
        let command = escape::line(command.as_bytes(), NAME);
        let hint = command::hint(&command);
        self.note(&format!("{command} is no command; {hint}"));
    }

    /// Lists the commands.
    pub(super) fn help(&mut self) {
        for line in command::help() {
            self.note(&line);
        }
    }

    /// Returns true if there is a prompt.
    pub(super) const fn is_terminal(&self) -> bool {
        self.prompt.is_some()
    }
}

impl Drop for Prompt {
    fn drop(&mut self) {
        self.keys.end();
        self.mode.set_before(OptionalActions::Drain);
        saved_mode::set(None);
        if self.activity.is_editing() {
            // The cursor is behind a line that was not finished.
            let _ = writeln!(io::stdout());
        }
    }
}

/// Adds to an error what to do without a pseudo-terminal.
fn without_relay(error: &io::Error) -> io::Error {
    let words =
        format!("a prompt needs a pseudo-terminal: {error}; a chat through pipes needs none");
    io::Error::new(error.kind(), words)
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(|| {
            saved_mode::go_on_in_background();
            run();
        })
        .map(drop)
}

/// Starts the thread that shows lines. Returns its channel, and one that receives when a line was taken.
fn spawn_output(
    mut write: impl FnMut(Shown) -> io::Result<()> + Send + 'static,
) -> io::Result<(Sender<Shown>, Receiver<()>)> {
    let (sender, lines) = bounded::<Shown>(limits::SHOWN_LINES);
    let (taken, shown) = bounded(1);
    spawn("output", move || {
        for line in lines {
            if write(line).is_err() {
                return;
            }
            // A full channel reports the same.
            let _ = taken.try_send(());
        }
    })?;
    Ok((sender, shown))
}

/// Writes a message to stdout or a note to stderr. A note that cannot be written is no error.
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
        Shown::Status(_) | Shown::Delivered { .. } | Shown::Redraw => Ok(()),
    }
}
