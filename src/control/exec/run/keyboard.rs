//! Lines that the user types during a run over several hosts: Enter shows what is pending, and a question is answered.

use std::io;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use nix::unistd::{getpgrp, tcgetpgrp};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::super::tally;
use super::Run;
use crate::net;

/// Time between two looks whether the program is in the foreground. Reading in the background would stop it.
const PERIOD: Duration = Duration::from_millis(500);

/// Most bytes of a line that matter.
const LINE: usize = 64;

/// Starts to read lines from the terminal. The channel ends with the input.
///
/// # Errors
/// If the system has no thread to give.
pub(super) fn start() -> io::Result<Receiver<String>> {
    let (sender, lines) = bounded(0);
    let work = move || {
        let mut line = String::new();
        while let Ok(Some(bytes)) = read() {
            for byte in bytes {
                if byte == b'\n' {
                    if sender.send(std::mem::take(&mut line)).is_err() {
                        return;
                    }
                } else if line.len() < LINE {
                    line.push(char::from(byte));
                }
            }
        }
    };
    let thread = std::thread::Builder::new().name("keyboard".into());
    thread.spawn(work)?;
    Ok(lines)
}

/// Reads what was typed, while the program is in the foreground. Returns `None` at the end of input.
fn read() -> io::Result<Option<Vec<u8>>> {
    let stdin = rustix::stdio::stdin();
    let period = Timespec::try_from(PERIOD).ok();
    loop {
        if tcgetpgrp(stdin)? != getpgrp() {
            std::thread::sleep(PERIOD);
            continue;
        }
        let mut events = [PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut events, period.as_ref()) {
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) if tcgetpgrp(stdin)? != getpgrp() => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut buffer = [0; LINE];
        let length = match rustix::io::read(stdin, &mut buffer) {
            Err(Errno::INTR) => continue,
            length => length?,
        };
        return Ok((length > 0).then(|| buffer[..length].to_vec()));
    }
}

impl Run<'_> {
    /// Handles a line.
    pub(super) fn on_line(&mut self, line: &str) {
        if self.schedule.asks() {
            let line = line.trim();
            let is_yes = ["y", "yes"]
                .iter()
                .any(|yes| line.eq_ignore_ascii_case(yes));
            self.schedule.answer(is_yes, net::Clock.now());
        } else {
            self.say_pending();
        }
    }

    /// Handles the end of the input: a question is answered with no, now or when it comes.
    pub(super) fn on_keyboard_end(&mut self) {
        self.is_unattended = true;
        self.schedule.answer(false, net::Clock.now());
    }

    /// Names the hosts that have not ended.
    fn say_pending(&mut self) {
        let pending = self.pending();
        let waiting = self.schedule.waiting().count();
        let words = match (pending.len(), waiting) {
            (0, 0) => "no host is pending".to_owned(),
            (count, 0) => format!("{count} pending: {}", tally::names(&pending)),
            (0, waiting) => format!("no host is running, {waiting} not begun"),
            (count, waiting) => format!(
                "{count} pending: {}; {waiting} not begun",
                tally::names(&pending)
            ),
        };
        self.say(&words);
    }
}
