//! Lines that the user types during a run over several hosts: Enter shows what is pending, and a question is answered.

use std::io;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded, never};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::getpgrp;
use rustix::termios::tcgetpgrp;

use super::super::tally;
use super::Run;
use crate::net;

/// Time between two looks whether the program is in the foreground. Reading in the background would stop it.
const PERIOD: Duration = Duration::from_millis(500);

/// Most bytes of a line that matter.
const LINE: usize = 64;

/// Starts to read lines from the terminal, if they are wanted.
pub(super) fn start(is_wanted: bool) -> Receiver<String> {
    if !is_wanted {
        return never();
    }
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
    // Without it, the run goes on unwatched.
    let _ = thread.spawn(work);
    lines
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
        if poll(&mut events, period.as_ref())? == 0 || tcgetpgrp(stdin)? != getpgrp() {
            continue;
        }
        let mut buffer = [0; LINE];
        let length = rustix::io::read(stdin, &mut buffer)?;
        return Ok((length > 0).then(|| buffer[..length].to_vec()));
    }
}

impl Run<'_> {
    /// Handles a line; `None` at the end of the input.
    pub(super) fn on_line(&mut self, line: Option<&str>) {
        if self.schedule.asks() {
            let line = line.unwrap_or_default().trim();
            let is_yes = ["y", "yes"]
                .iter()
                .any(|yes| line.eq_ignore_ascii_case(yes));
            self.schedule.answer(is_yes, net::Clock.now());
        } else if line.is_some() {
            self.say_pending();
        }
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
