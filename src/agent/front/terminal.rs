//! The agent's terminal: one thread prints lines, another reads typed lines.
//!
//! Not here: the contents of the lines and their receivers. Invariants: neither thread can stall the agent; if the
//! terminal is stopped by Ctrl-S, or nothing reads the pipe, lines are dropped, and their number is printed where they are
//! missing.

use std::collections::VecDeque;
use std::io::{self, BufReader, IsTerminal as _, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crossbeam_channel::{Receiver, bounded};
use nix::unistd::{getpgrp, tcgetpgrp};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::{FileType, fstat};

use super::limits::REST_OF_LINE;
use super::typed_line::{Typed, next_line, of_person};
use crate::agent::chat::Line;
use crate::agent::limits;
use crate::prompt::activity::Activity;
use crate::prompt::behind;
use crate::prompt::limits::BACKGROUND;

/// Prints lines on standard output, from a thread of its own.
#[derive(Debug)]
pub struct Printer {
    queue: Arc<Queue>,
    /// Disconnected when all lines are printed.
    printed: Receiver<()>,
}

/// Lines that wait for the thread.
#[derive(Default, Debug)]
struct Queue {
    waiting: Mutex<Waiting>,
    /// Notified when there is a line, or none will come.
    changed: Condvar,
}

#[derive(Default, Debug)]
struct Waiting {
    entries: VecDeque<Entry>,
    /// True if no further line will come.
    is_closed: bool,
}

/// Moves up by a row. With the line feed behind it, the line editor draws its line anew and nothing else changes.
pub(super) const REDRAW: &str = "\x1b[A";

/// A line, or a gap between lines.
#[derive(Debug)]
enum Entry {
    Line(Line),
    /// Note for the user of a prompt; already escaped.
    Note(String),
    /// Lines of output of a command for the user of a prompt; already escaped and marked.
    Output(Vec<String>),
    /// The prompt is drawn again.
    Redraw,
    /// Number of lines that were dropped here.
    Missed(u64),
}

impl Entry {
    /// Number of lines that are missing without it.
    fn lines(&self) -> u64 {
        match self {
            Self::Output(lines) => lines.len() as u64,
            Self::Line(_) | Self::Note(_) | Self::Redraw => 1,
            Self::Missed(lines) => *lines,
        }
    }
}

impl Waiting {
    /// Adds a line or a note. If there are too many, it is counted where it is missing.
    fn push(&mut self, entry: Entry) {
        if matches!(entry, Entry::Redraw) {
            // Before the next line, for which the line editor clears rows.
            if !matches!(self.entries.front(), Some(Entry::Redraw)) {
                self.entries.push_front(entry);
            }
            return;
        }
        if self.entries.len() < limits::TERMINAL_LINES {
            self.entries.push_back(entry);
        } else if let Some(Entry::Missed(lines)) = self.entries.back_mut() {
            *lines += entry.lines();
        } else {
            self.entries.push_back(Entry::Missed(entry.lines()));
        }
    }
}

impl Queue {
    /// Returns the waiting lines. The lock is never held while a line is written.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next entry. Returns `None` after the last one.
    fn next(&self) -> Option<Entry> {
        let mut waiting = self.lock();
        loop {
            if let Some(entry) = waiting.entries.pop_front() {
                return Some(entry);
            }
            if waiting.is_closed {
                return None;
            }
            waiting = self
                .changed
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Printer {
    /// Starts the thread. It ends when the printer is dropped. `write` returns the text of a line.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(write: impl Fn(&Line) -> String + Send + 'static) -> io::Result<Self> {
        Self::to(io::stdout(), write)
    }

    /// The same with another output.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn to(
        mut out: impl Write + Send + 'static,
        write: impl Fn(&Line) -> String + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let (printing, printed) = bounded(0);
        let printer = Self {
            queue: Arc::clone(&queue),
            printed,
        };
        std::thread::Builder::new()
            .name("printer".into())
            .spawn(move || {
                let _printing = printing;
                while let Some(entry) = queue.next() {
                    let text = match entry {
                        Entry::Line(line) => write(&line),
                        Entry::Note(words) => format!("* {words}"),
                        Entry::Output(lines) => lines.join("\n"),
                        Entry::Redraw => REDRAW.to_owned(),
                        Entry::Missed(lines) => write(&Line::NotShown { lines }),
                    };
                    // A daemon continues when its output is closed.
                    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
                }
                // It may have to wait for the last line.
                drop(out);
            })?;
        Ok(printer)
    }

    /// Queues a line. If the queue is full, the line is dropped, and counted in its place.
    pub fn show(&self, line: Line) {
        self.push(Entry::Line(line));
    }

    /// Queues a note in the same way; already escaped.
    pub fn note(&self, words: String) {
        self.push(Entry::Note(words));
    }

    /// Queues lines of a command's output together, so that they take no place of others; already escaped.
    pub fn output(&self, lines: Vec<String>) {
        self.push(Entry::Output(lines));
    }

    /// Lets the prompt be drawn again, before what waits to be shown.
    pub fn redraw(&self) {
        self.push(Entry::Redraw);
    }

    fn push(&self, entry: Entry) {
        self.queue.lock().push(entry);
        self.queue.changed.notify_one();
    }
}

/// Waits for a moment until the queued lines are printed.
impl Drop for Printer {
    fn drop(&mut self) {
        self.queue.lock().is_closed = true;
        self.queue.changed.notify_one();
        let _: Result<(), _> = self.printed.recv_timeout(limits::LAST_LINES);
    }
}

/// Typed lines, read by a thread of its own.
#[derive(Debug)]
pub struct Input {
    person: Option<Activity>,
    pub(super) typed: Receiver<Typed>,
    /// Readable once the agent, or this front, ends.
    ending: Arc<OwnedFd>,
    /// True once another front is to read on.
    leaving: Arc<AtomicBool>,
}

impl Input {
    /// Returns the activity of the person who types, if it is one.
    pub fn person(&self) -> Option<&Activity> {
        self.person.as_ref()
    }

    /// Returns what was typed since the last call, as much as the queue holds.
    pub fn take(&self) -> impl Iterator<Item = Typed> {
        self.typed.try_iter().take(limits::TYPED_LINES)
    }

    /// Ends the thread, and returns what had been typed and not been read: at most [`limits::LAST_TYPED`] lines.
    pub fn end(&self) -> impl Iterator<Item = Typed> {
        // A full counter is readable, too.
        let _ = rustix::io::write(&*self.ending, &1_u64.to_ne_bytes());
        let until = Instant::now() + limits::LAST_LINES;
        // The thread has ended when it is disconnected.
        std::iter::from_fn(move || self.typed.recv_deadline(until).ok()).take(limits::LAST_TYPED)
    }

    /// Ends the thread, and returns what it has read, with the rest of the last line. Another front reads on.
    pub fn leave(&self) -> impl Iterator<Item = Typed> {
        self.leaving.store(true, Ordering::Release);
        self.end()
    }
}

/// Kind of standard input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum InputKind {
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
pub fn read_input(wake: impl Fn() + Send + 'static) -> io::Result<Option<Input>> {
    let kind = kind_of_input();
    if kind == InputKind::None {
        return Ok(None);
    }
    let (typed, queue) = bounded(limits::TYPED_LINES);
    let ending = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let leaving = Arc::new(AtomicBool::new(false));
    let person = (kind == InputKind::Terminal).then(Activity::default);
    let typist = person.clone();
    let stdin = Stdin {
        kind,
        ending: Arc::clone(&ending),
        leaving: Arc::clone(&leaving),
        in_line: false,
    };
    std::thread::Builder::new()
        .name("input".into())
        .spawn(move || {
            let mut reader = BufReader::new(stdin);
            loop {
                let next = match next_line(&mut reader) {
                    Ok(Some(Typed::Line(line))) if kind == InputKind::Terminal => {
                        let Some(next) = of_person(line) else {
                            continue;
                        };
                        next
                    }
                    Ok(Some(next)) => next,
                    Ok(None) if reader.get_ref().is_left() => return,
                    Ok(None) if typist.as_ref().is_some_and(Activity::is_paste_asked) => {
                        Typed::Refused
                    }
                    Ok(None) if kind == InputKind::Terminal => Typed::Quit,
                    // Also for a closed terminal: SIGHUP decides whether the agent ends.
                    Ok(None) | Err(_) => return,
                };
                let last = next == Typed::Quit;
                let is_typed = last && typist.is_some() && !reader.get_ref().is_ending();
                if is_typed && let Some(words) = behind::read() {
                    tracing::warn!("{words}");
                }
                let is_taken = typed.send(next).is_ok();
                wake();
                if last || !is_taken {
                    return;
                }
            }
        })?;
    Ok(Some(Input {
        person,
        typed: queue,
        ending,
        leaving,
    }))
}

fn kind_of_input() -> InputKind {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return InputKind::Terminal;
    }
    let kind = fstat(&stdin).map(|stat| FileType::from_raw_mode(stat.st_mode));
    match kind {
        Ok(FileType::Fifo | FileType::Socket | FileType::RegularFile) => InputKind::Pipe,
        _ => InputKind::None,
    }
}

/// Standard input, read only while this program is in the foreground of the terminal. In the background the
/// input belongs to the shell, and a read would stop the agent (SIGTTIN).
struct Stdin {
    kind: InputKind,
    /// Readable once the agent ends: then what is there is read, and nothing is waited for.
    ending: Arc<OwnedFd>,
    /// True once another front is to read on: then only the rest of a line is read.
    leaving: Arc<AtomicBool>,
    /// True if what was read last is not the end of a line.
    in_line: bool,
}

impl Stdin {
    fn is_left(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    /// Returns true if the agent ends, or this front.
    fn is_ending(&self) -> bool {
        let mut ending = [PollFd::new(&*self.ending, PollFlags::IN)];
        poll(&mut ending, Some(&Timespec::default())).is_ok_and(|count| count > 0)
    }

    /// Waits for the rest of a line. Returns false if there is none.
    fn wait_for_rest(&self) -> io::Result<bool> {
        let stdin = io::stdin();
        let mut ready = [PollFd::new(&stdin, PollFlags::IN)];
        Ok(self.in_line && poll(&mut ready, Some(&REST_OF_LINE))? > 0)
    }

    /// Waits for input. Returns false if the agent ends and there is none.
    fn wait(&self) -> io::Result<bool> {
        let stdin = io::stdin();
        loop {
            let mut ready = [
                PollFd::new(&stdin, PollFlags::IN),
                PollFd::new(&*self.ending, PollFlags::IN),
            ];
            poll(&mut ready, None)?;
            let [input, ending] = ready.map(|ready| !ready.revents().is_empty());
            if self.kind != InputKind::Terminal || tcgetpgrp(&stdin)? == getpgrp() {
                return Ok(input);
            }
            if ending {
                return Ok(false);
            }
            std::thread::sleep(BACKGROUND);
        }
    }
}

impl io::Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut is_ready = self.wait()?;
        let mut most = buffer.len();
        if self.is_left() {
            is_ready = self.wait_for_rest()?;
            most = 1;
        }
        if !is_ready {
            return Ok(0);
        }
        let count = rustix::io::read(io::stdin(), &mut buffer[..most])?;
        self.in_line = buffer[..count].last().is_some_and(|last| *last != b'\n');
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A writer that blocks until it may go on, or the other end is dropped.
    struct Stopped(Receiver<()>, crossbeam_channel::Sender<Vec<u8>>);

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
    fn a_stopped_terminal_stalls_nothing_and_lines_are_counted_where_they_are_missing() {
        let (go, stopped) = bounded::<()>(0);
        let (sender, written) = crossbeam_channel::unbounded();
        let printer = Printer::to(Stopped(stopped, sender), Line::to_string).unwrap();
        let most = limits::TERMINAL_LINES;
        let mut next = 0..;
        let mut show = |count: usize| {
            for number in next.by_ref().take(count) {
                let name = number.to_string();
                printer.show(Line::Came { name, room: None });
            }
        };
        show(2 * most);
        // The terminal goes on for a while and shows at least half of what waits, then it is stopped again.
        let mut all = Vec::new();
        while all.len() < most {
            go.send(()).unwrap();
            all.extend(written.recv().unwrap());
        }
        show(2 * most);
        drop((go, printer));
        all.extend(written.iter().flatten());
        let all = String::from_utf8(all).unwrap();
        let mut expected = 0;
        let mut gaps = 0;
        for line in all.lines() {
            let word = line.split(' ').nth(1).unwrap();
            if line.ends_with(" lines not shown") {
                expected += word.parse::<usize>().unwrap();
                gaps += 1;
            } else {
                assert_eq!(word, expected.to_string());
                expected += 1;
            }
        }
        assert_eq!((expected, gaps), (4 * most, 2), "{all:.200}");
    }
}
