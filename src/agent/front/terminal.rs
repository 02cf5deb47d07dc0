//! The agent's terminal: one thread prints lines, another reads typed lines.
//!
//! Not here: the contents of the lines and their receivers. Invariant: neither thread can stall the agent. If the
//! terminal is stopped by Ctrl-S, or nothing reads the pipe, lines are dropped, counted and reported.

use std::fmt::Display;
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Read as _, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, fstat};

use crate::agent::limits;
use crate::message::limits::CHAT_TEXT;

/// Input of the agent's user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Typed {
    /// A line, without its end.
    Line(String),
    /// `quit`, or the end of input on a terminal: the agent must end.
    Quit,
}

/// Prints lines on standard output, from a thread of its own.
#[derive(Debug)]
pub struct Printer {
    /// `None` while it is dropped.
    lines: Option<Sender<String>>,
    dropped: Arc<AtomicU64>,
    /// Disconnected when all lines are printed.
    printed: Receiver<()>,
}

impl Printer {
    /// Starts the thread. It ends when the printer is dropped.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start() -> io::Result<Self> {
        Self::to(io::stdout())
    }

    fn to(mut out: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, queue) = bounded::<String>(limits::TERMINAL_LINES);
        let dropped = Arc::new(AtomicU64::new(0));
        let (printing, printed) = bounded(0);
        let printer = Self {
            lines: Some(lines),
            dropped: Arc::clone(&dropped),
            printed,
        };
        std::thread::Builder::new()
            .name("printer".into())
            .spawn(move || {
                let _printing = printing;
                // A daemon continues when its output is closed.
                for line in queue {
                    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
                    let missed = dropped.swap(0, Ordering::Relaxed);
                    if missed > 0 {
                        let _ = writeln!(out, "* {missed} lines not shown");
                    }
                }
            })?;
        Ok(printer)
    }

    /// Queues a line. If the queue is full, the line is dropped and counted.
    pub fn show(&self, line: &impl Display) {
        let lines = self
            .lines
            .as_ref()
            .expect("the sender is taken only by drop");
        if let Err(TrySendError::Full(_)) = lines.try_send(line.to_string()) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Waits for a moment until the queued lines are printed.
impl Drop for Printer {
    fn drop(&mut self) {
        self.lines = None;
        let _: Result<(), _> = self.printed.recv_timeout(limits::LAST_LINES);
    }
}

/// Kind of standard input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Input {
    /// A terminal.
    Terminal,
    /// A pipe, socket or file; its end does not end the agent.
    Pipe,
    /// Closed, /dev/null, or another device.
    None,
}

/// Starts to read standard input, if it is a terminal, a pipe or a file. `wake` is called after each input.
///
/// # Errors
/// The thread cannot be started.
pub fn read_input(wake: impl Fn() + Send + 'static) -> io::Result<Option<Receiver<Typed>>> {
    let input = kind_of_input();
    if input == Input::None {
        return Ok(None);
    }
    let (typed, queue) = bounded(limits::TYPED_LINES);
    std::thread::Builder::new()
        .name("input".into())
        .spawn(move || {
            let mut reader = BufReader::new(Stdin(input));
            loop {
                let next = match next_line(&mut reader) {
                    Ok(Some(next)) => next,
                    Ok(None) if input == Input::Terminal => Typed::Quit,
                    // Also for a closed terminal: SIGHUP decides whether the agent ends.
                    Ok(None) | Err(_) => return,
                };
                let last = next == Typed::Quit;
                if typed.send(next).is_err() {
                    return;
                }
                wake();
                if last {
                    return;
                }
            }
        })?;
    Ok(Some(queue))
}

fn kind_of_input() -> Input {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Input::Terminal;
    }
    let kind = fstat(&stdin).map(|stat| FileType::from_raw_mode(stat.st_mode));
    match kind {
        Ok(FileType::Fifo | FileType::Socket | FileType::RegularFile) => Input::Pipe,
        _ => Input::None,
    }
}

/// Standard input, read only while this program is in the foreground of the terminal. In the background the
/// input belongs to the shell, and a read would stop the agent (SIGTTIN).
struct Stdin(Input);

/// Interval of the check for the foreground, while input is ready in the background.
const BACKGROUND: Duration = Duration::from_millis(250);

impl io::Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let stdin = io::stdin();
        if self.0 == Input::Terminal {
            loop {
                poll(&mut [PollFd::new(&stdin, PollFlags::IN)], None)?;
                if rustix::termios::tcgetpgrp(&stdin)? == rustix::process::getpgrp() {
                    break;
                }
                std::thread::sleep(BACKGROUND);
            }
        }
        rustix::io::read(&stdin, buffer).map_err(io::Error::from)
    }
}

/// Returns the next line, or `None` at the end of input.
fn next_line(reader: &mut impl io::BufRead) -> io::Result<Option<Typed>> {
    let mut line = Vec::new();
    let most = u64::try_from(CHAT_TEXT).expect("the bound fits into 64 bits");
    // A line longer than a message is split.
    if reader.by_ref().take(most).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    Ok(Some(match line.strip_suffix(b"\r").unwrap_or(line) {
        b"quit" => Typed::Quit,
        line => Typed::Line(String::from_utf8_lossy(line).into_owned()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quit_and_the_end_of_input_are_distinguished_from_lines() {
        let mut input: &[u8] = b"hello\r\n\nquit\nlast";
        let mut typed = Vec::new();
        while let Some(line) = next_line(&mut input).unwrap() {
            typed.push(line);
        }
        let line = |text: &str| Typed::Line(text.into());
        assert_eq!(typed, [line("hello"), line(""), Typed::Quit, line("last")]);
    }

    #[test]
    fn a_line_longer_than_a_message_is_split() {
        let bytes = vec![b'x'; 3 * CHAT_TEXT];
        let mut input = &bytes[..];
        for _ in 0..3 {
            let piece = Typed::Line("x".repeat(CHAT_TEXT));
            assert_eq!(next_line(&mut input).unwrap(), Some(piece));
        }
        assert_eq!(next_line(&mut input).unwrap(), None);
    }

    /// A writer that blocks until the other end is dropped.
    struct Stopped(Receiver<()>, Sender<Vec<u8>>);

    impl Write for Stopped {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            let _ = self.1.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stopped_terminal_stalls_nothing_and_reports_dropped_lines() {
        let (go, stopped) = bounded::<()>(0);
        let (sender, written) = crossbeam_channel::unbounded();
        let printer = Printer::to(Stopped(stopped, sender)).unwrap();
        for number in 0..10 * limits::TERMINAL_LINES {
            printer.show(&number);
        }
        drop((go, printer));
        let all: Vec<u8> = written.iter().flatten().collect();
        let all = String::from_utf8(all).unwrap();
        assert!(all.starts_with("0\n"), "{all:.50}");
        let (notes, shown): (Vec<_>, Vec<_>) =
            all.lines().partition(|line| line.ends_with("not shown"));
        let missed: usize = notes
            .iter()
            .map(|note| note.split(' ').nth(1).unwrap().parse::<usize>().unwrap())
            .sum();
        assert_eq!(shown.len() + missed, 10 * limits::TERMINAL_LINES);
    }
}
