//! The user's terminal in a run: given to a command that has one, and taken back.

use std::io::{self, Write as _};

use bytes::Bytes;

use super::super::{Output, Seat};
use super::Run;
use crate::control::console::{self, Console, Key};
use crate::control::stdio::{Chunk, Piece};

impl Run<'_> {
    /// A command with a terminal was accepted.
    pub(super) fn sit_down(&mut self, slot: u32) {
        if self.settings.seat == Seat::Apart || self.finish.interruption.is_some() {
            return;
        }
        match Console::take() {
            Ok(console) => {
                self.console = Some(console);
                self.settings.stdin = true;
                if let Some(attempt) = self.attempt(slot) {
                    attempt.resize(console::window());
                    self.ready.insert(slot);
                }
            }
            Err(error) => self.say(&format!("standard input: {error}")),
        }
    }

    /// The command is over.
    pub(super) fn stand_up(&mut self) {
        if let Some(console) = self.console.take() {
            self.settings.stdin = false;
            let undo = console.give_back();
            self.paint(undo.into());
        }
    }

    /// It may not be, and nothing is waited for.
    pub(super) fn stand_up_at_once(&mut self) {
        if let Some(console) = self.console.take() {
            let undo = console.give_back();
            let mut stdout = io::stdout().lock();
            // On a line of its own comes what is said next.
            let _ = stdout.write_all(&[&undo, &b"\r\n"[..]].concat());
            let _ = stdout.flush();
        }
    }

    /// Bytes for the terminal that are not the command's.
    pub(super) fn paint(&mut self, data: Bytes) {
        if !data.is_empty() {
            if let Some(console) = &mut self.console {
                console.on_output(&data);
            }
            let _ = self.streams[Output::Stdout as usize].push(Piece { tag: None, data });
        }
    }

    /// The window has another size.
    pub(super) fn on_window(&mut self) {
        if self.console.is_none() {
            return;
        }
        let window = console::window();
        for index in 0..self.running.len() {
            if let Some(running) = &mut self.running[index] {
                running.attempt.resize(window);
                self.ready.insert(self.slot(index));
            }
        }
    }

    /// Input came, of which a part may be meant for us. True: the user wants to leave.
    pub(super) fn on_typed(&mut self, chunk: Chunk) -> bool {
        let (Some(console), Chunk::Data(typed)) = (&mut self.console, &chunk) else {
            self.on_stdin(chunk);
            return false;
        };
        for key in console.keys.on_typed(typed) {
            match key {
                Key::Input(data) => self.on_stdin(Chunk::Data(data)),
                Key::Help => self.say("~. leaves, ~~ is a tilde"),
                Key::Leave => return true,
            }
        }
        false
    }
}
