//! The user's terminal in a run: in raw mode while a command uses it, and restored afterwards.

use bytes::Bytes;

use super::super::{Output, TerminalMode};
use super::Run;
use crate::control::console::{self, Console, Key};
use crate::control::stdio::{Chunk, StdinChunk};

impl Run<'_> {
    /// Puts the user's terminal into raw mode for a command that was accepted with a terminal.
    pub(super) fn enter_raw(&mut self, index: usize) {
        if self.settings.terminal_mode == TerminalMode::Apart || self.finish.interruption.is_some()
        {
            return;
        }
        match Console::enter_raw() {
            Ok(console) => {
                self.console = Some(console);
                self.settings.stdin = true;
                if let Some(job) = self.job(index) {
                    job.resize(console::window());
                    self.ready.insert(index);
                }
            }
            Err(error) => self.say(&format!("standard input: {error}")),
        }
    }

    /// Restores the user's terminal after the command has ended.
    pub(super) fn restore(&mut self) {
        if let Some(console) = self.console.take() {
            self.settings.stdin = false;
            let undo = console.restore();
            self.paint(undo.into());
        }
    }

    /// Restores the user's terminal without the queue, although the command may still run.
    pub(super) fn restore_now(&mut self) {
        if let Some(console) = self.console.take() {
            let undo = console.restore();
            // The next message begins on a line of its own.
            let bytes = [&undo, &b"\r\n"[..]].concat();
            self.streams[Output::Stdout as usize].write_now(&bytes);
        }
    }

    /// Queues bytes for the terminal that are not output of the command.
    pub(super) fn paint(&mut self, data: Bytes) {
        if !data.is_empty() {
            if let Some(console) = &mut self.console {
                console.on_output(&data);
            }
            let _ = self.streams[Output::Stdout as usize].push(Chunk { tag: None, data });
        }
    }

    /// Sends the new size of the window to the commands.
    pub(super) fn on_window(&mut self) {
        if self.console.is_none() {
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

    /// Handles input, with the escape sequences for `udpctl` in it. Returns true if the user leaves.
    pub(super) fn on_typed(&mut self, chunk: StdinChunk) -> bool {
        let (Some(console), StdinChunk::Data(typed)) = (&mut self.console, &chunk) else {
            self.on_stdin(chunk);
            return false;
        };
        for key in console.keys.on_typed(typed) {
            match key {
                Key::Input(data) => self.on_stdin(StdinChunk::Data(data)),
                Key::Help => self.say("~. leaves, ~~ is a tilde"),
                Key::Leave => return true,
            }
        }
        false
    }
}
