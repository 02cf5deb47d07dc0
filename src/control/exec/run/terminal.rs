//! The user's terminal in a run: in raw mode while a command uses it, suspended on request, and restored afterwards.
//!
//! A message that is written while the command has the terminal is soon painted over. Invariant: such a message is written
//! again once the terminal is restored.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::process::{Signal, getpid, kill_process};

use super::super::plan::Interruption;
use super::super::{JobRequest, Output, TerminalMode};
use super::Run;
use crate::control::console::{self, Console, Key, LEAVE_SCREEN};
use crate::control::limits;
use crate::control::stdio::{Chunk, StdinChunk};
use crate::message::OnDisconnect;

/// End of a run whose terminal is gone.
pub(super) const HANGUP: Interruption = Interruption::Signal(Signal::HUP.as_raw());

/// The user's terminal.
#[derive(Default)]
pub(super) struct UserTerminal {
    /// The terminal, while it is a command's.
    pub(super) console: Option<Console>,
    /// Messages that were written, those that a command's output may paint over included.
    said: Vec<Message>,
    /// Number of those from before the terminal was the command's.
    before: usize,
    /// True once the terminal is gone.
    pub(super) is_hung_up: bool,
}

/// Message on the terminal.
struct Message {
    line: String,
    /// True if it is no longer on the screen.
    is_painted_over: bool,
}

impl UserTerminal {
    /// Notes a message that is written.
    fn on_message(&mut self, line: &str) {
        if self.said.len() < limits::TERMINAL_MESSAGES {
            self.said.push(Message {
                line: line.to_owned(),
                is_painted_over: false,
            });
        }
    }

    /// Notes that the screen is drawn anew.
    fn on_repaint(&mut self) {
        for message in &mut self.said {
            message.is_painted_over = true;
        }
    }

    /// Notes that these control sequences are written. Those that leave the alternate screen take away what was written
    /// there.
    fn on_undo(&mut self, undo: &[u8]) {
        let leaves = undo
            .windows(LEAVE_SCREEN.len())
            .any(|bytes| bytes == LEAVE_SCREEN);
        for message in self.said.iter_mut().skip(self.before) {
            message.is_painted_over |= leaves;
        }
    }

    /// Returns the messages that have to be written again.
    fn take_painted_over(&mut self) -> Vec<String> {
        let said = self.said.drain(..);
        let lost = said.filter(|message| message.is_painted_over);
        lost.map(|message| message.line).collect()
    }
}

impl Run<'_> {
    /// Puts the user's terminal into raw mode for a command that was accepted with a terminal.
    pub(super) fn enter_raw(&mut self, index: usize) {
        if self.settings.terminal_mode == TerminalMode::Apart || self.finish.interruption.is_some()
        {
            return;
        }
        // Messages from before are written in the terminal's own mode, which ends their lines.
        self.streams[Output::Stderr as usize].drain(Instant::now() + limits::LEAVE);
        match Console::enter_raw(self.settings.escape) {
            Ok(console) => {
                self.terminal.console = Some(console);
                self.terminal.before = self.terminal.said.len();
                self.settings.stdin = true;
                if let Some(job) = self.job(index) {
                    job.resize(console::window());
                    self.ready.insert(index);
                }
            }
            Err(error) => self.say(&format!("standard input: {error}")),
        }
    }

    /// Restores the user's terminal after the command has ended. Messages follow what is still to be written there.
    pub(super) fn restore(&mut self) {
        if let Some(console) = self.terminal.console.take() {
            self.settings.stdin = false;
            let undo = console.restore();
            self.terminal.on_undo(&undo);
            self.paint(undo.into());
            self.stderr_waits = true;
        }
        for line in self.terminal.take_painted_over() {
            self.say(&line);
        }
    }

    /// Restores the user's terminal without the queue, although the command may still run. What is queued is written
    /// before, for a limited time, because it may set modes.
    pub(super) fn restore_now(&mut self) {
        if let Some(console) = self.terminal.console.take() {
            let undo = console.restore();
            self.terminal.on_undo(&undo);
            self.drain_stdout(limits::LEAVE);
            // The next message begins on a line of its own.
            let bytes = [&undo, &b"\r\n"[..]].concat();
            self.streams[Output::Stdout as usize].write_now(&bytes);
            for line in self.terminal.take_painted_over() {
                self.say_now(&line);
            }
        }
    }

    fn drain_stdout(&mut self, time: Duration) {
        self.streams[Output::Stdout as usize].drain(Instant::now() + time);
    }

    /// Gives the terminal back and stops this process, until a shell resumes it.
    pub(super) fn suspend(&mut self) {
        if let Some(console) = &mut self.terminal.console {
            if !console::can_be_resumed() {
                return self.say_once("not suspended: no shell could resume this process");
            }
            let undo = console.suspend();
            self.drain_stdout(limits::LEAVE);
            let bytes = [&undo, &b"\r\n"[..]].concat();
            self.streams[Output::Stdout as usize].write_now(&bytes);
        }
        // SIGTSTP is caught. On a failure the process goes on, and so does the command.
        let _ = kill_process(getpid(), Signal::STOP);
    }

    /// Takes the terminal again after the process was stopped, and has its content drawn.
    pub(super) fn resume(&mut self) {
        let Some(console) = &self.terminal.console else {
            return;
        };
        // Fails only if the terminal is gone, which reading from it reports.
        let _ = console.resume();
        self.on_window();
        for index in 0..self.running.len() {
            if let Some(job) = self.job(index) {
                job.repaint();
                self.ready.insert(index);
            }
        }
    }

    /// Draws the screen of a command's terminal.
    pub(super) fn repaint(&mut self, screen: Bytes) {
        self.terminal.on_repaint();
        self.paint(screen);
    }

    /// Queues bytes for the terminal that are not output of the command.
    fn paint(&mut self, data: Bytes) {
        if !data.is_empty() {
            if let Some(console) = &mut self.terminal.console {
                console.on_output(&data);
            }
            let _ = self.streams[Output::Stdout as usize].push(Chunk { tag: None, data });
        }
    }

    /// Notes a message that may be painted over.
    pub(super) fn note_message(&mut self, line: &str) {
        if self.settings.terminal_mode == TerminalMode::Offered {
            self.terminal.on_message(line);
        }
    }

    /// Sends the new size of the window to the commands.
    pub(super) fn on_window(&mut self) {
        if self.terminal.console.is_none() {
            return;
        }
        let window = console::window();
        for index in 0..self.running.len() {
            if let Some(running) = &mut self.running[index] {
                running.job.resize(window);
                self.ready.insert(index);
            }
        }
    }

    /// Handles input, with the escape sequences for `udpctl` in it. Returns the reason if the run has to end at once.
    pub(super) fn on_typed(&mut self, chunk: StdinChunk) -> Option<Interruption> {
        let has_kept = self.has_kept();
        let Some(console) = &mut self.terminal.console else {
            self.on_stdin(chunk);
            return None;
        };
        let typed = match chunk {
            StdinChunk::Data(typed) => typed,
            // In raw mode no key ends the input: the window was closed. Its signal may come later.
            StdinChunk::End | StdinChunk::Failed(_) if has_kept => return Some(HANGUP),
            StdinChunk::End | StdinChunk::Failed(_) => {
                self.on_stdin(chunk);
                return None;
            }
        };
        for key in console.keys.on_typed(&typed) {
            match key {
                Key::Input(data) => self.on_stdin(StdinChunk::Data(data)),
                Key::Help => self.say_once(&self.settings.escape.help()),
                Key::Suspend => self.suspend(),
                Key::Leave => return Some(Interruption::Left),
            }
        }
        None
    }

    /// Returns true if the terminal's command goes on without a controller, or may do so.
    pub(super) fn has_kept(&self) -> bool {
        self.terminal.console.is_some()
            && self.tasks.iter().all(|task| match &task.request {
                JobRequest::Exec(exec) => exec.on_disconnect == OnDisconnect::Keep,
                JobRequest::Attach { .. } => true,
            })
    }
}
