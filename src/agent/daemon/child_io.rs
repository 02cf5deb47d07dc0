//! One process of a job, its pipes, and their readiness.
//!
//! Invariant: a part is in the queue of [`Supervisor`](super::supervisor::Supervisor) at most once.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};

use bytes::{Buf as _, Bytes};
use mio::{Interest, Registry, Token};

use super::end_of_input::EndOfInput;
use crate::agent::jobs::Output;
use crate::process::{Ending, Pipe, Process, WindowSize};
use crate::time::Instant;

/// Part of a process that can become ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// stdin can be written.
    Stdin = 0,
    /// stdout can be read.
    Stdout = 1,
    /// stderr can be read.
    Stderr = 2,
    /// The leader has ended.
    Leader = 3,
}

impl Part {
    /// All parts, by number.
    pub const ALL: [Self; 4] = [Self::Stdin, Self::Stdout, Self::Stderr, Self::Leader];

    /// Returns the part of an output.
    pub const fn of(output: Output) -> Self {
        match output {
            Output::Out => Self::Stdout,
            Output::Err => Self::Stderr,
        }
    }
}

/// Result of a read.
pub enum Read {
    /// Nothing at present.
    Nothing,
    /// Number of bytes read.
    Bytes(usize),
    /// End of the output.
    End,
}

/// Result of a write.
pub enum Written {
    /// Nothing at present.
    Nothing,
    /// Number of bytes written.
    Bytes(u64),
    /// The process has closed stdin.
    StdinClosed,
}

/// Readiness of a pipe, as far as the poll has reported it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Possibly ready. `queued` is true if it is in the queue.
    Ready { queued: bool },
    /// Not ready; the poll will report it.
    Blocked,
}

impl State {
    /// Requests a turn. Returns true if the part must be queued for it.
    const fn want(&mut self) -> bool {
        let idle = matches!(self, Self::Ready { queued: false });
        if idle {
            *self = Self::Ready { queued: true };
        }
        idle
    }

    /// Processes a report of the poll.
    const fn wake(&mut self) {
        if matches!(self, Self::Blocked) {
            *self = Self::Ready { queued: false };
        }
    }

    /// Processes the removal from the queue.
    const fn dequeue(&mut self) {
        if let Self::Ready { queued } = self {
            *queued = false;
        }
    }
}

/// The reading end of an output.
struct Outlet {
    pipe: Option<Pipe>,
    read_limit: u64,
    state: State,
}

/// The writing end of stdin.
struct Inlet {
    pipe: Option<Pipe>,
    queue: VecDeque<Bytes>,
    eof: bool,
    broken: bool,
    state: State,
}

/// One process of a job.
pub struct ChildIo {
    /// The process.
    pub process: Process,
    /// True if the exit of the leader was reported.
    pub exited: bool,
    /// True if its job is closed.
    pub closed: bool,
    /// State of ending its tree.
    pub ending: Option<Ending>,
    outlets: [Outlet; 2],
    inlet: Inlet,
    /// End of input of a terminal, until the leader has ended; `None` for a pipe.
    end_of_input: Option<EndOfInput>,
}

impl ChildIo {
    /// Takes the pipes of a process.
    pub fn new(mut process: Process) -> Self {
        let outlet = |pipe| Outlet {
            pipe,
            read_limit: 0,
            state: State::Ready { queued: false },
        };
        let outlets = [outlet(process.stdout.take()), outlet(process.stderr.take())];
        let inlet = Inlet {
            pipe: process.stdin.take(),
            queue: VecDeque::new(),
            eof: false,
            broken: false,
            state: State::Ready { queued: false },
        };
        let end_of_input = process.slave.take().map(EndOfInput::new);
        Self {
            process,
            exited: false,
            closed: false,
            ending: None,
            outlets,
            inlet,
            end_of_input,
        }
    }

    /// Processes the exit of the leader: its terminal, if it has one, is no longer held open, so that the output
    /// ends. Returns true if stdout must be queued.
    pub fn on_exit(&mut self) -> bool {
        self.exited = true;
        self.end_of_input.take().is_some() && self.on_ready(Part::Stdout, false)
    }

    /// Returns the time of the next call of [`on_timeout`](Self::on_timeout), for a terminal with ended input.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.end_of_input.as_ref()?.poll_timeout()
    }

    /// Signals the end of terminal input again.
    pub fn on_timeout(&mut self, now: Instant) {
        if let (Some(end), Some(pipe)) = (&mut self.end_of_input, &mut self.inlet.pipe) {
            end.on_timeout(now, pipe);
        }
    }

    /// Sets the window size of its terminal. Without a terminal this has no effect.
    pub fn resize(&self, size: WindowSize) {
        if let Some(pipe) = &self.outlets[0].pipe
            && let Err(error) = pipe.resize(size)
        {
            tracing::debug!(%error, "cannot set the window size");
        }
    }

    /// Registers its pipes with the poll.
    pub fn register(
        &mut self,
        registry: &Registry,
        token: impl Fn(Part) -> Token,
    ) -> io::Result<()> {
        for (outlet, part) in self.outlets.iter_mut().zip([Part::Stdout, Part::Stderr]) {
            if let Some(pipe) = &mut outlet.pipe {
                registry.register(pipe, token(part), Interest::READABLE)?;
            }
        }
        if let Some(pipe) = &mut self.inlet.pipe {
            registry.register(pipe, token(Part::Stdin), Interest::WRITABLE)?;
        }
        Ok(())
    }

    /// Processes a report of the poll. `broken` is true if the other end is closed. Returns true if the part must
    /// be queued.
    pub fn on_ready(&mut self, part: Part, broken: bool) -> bool {
        match part {
            Part::Leader => true,
            Part::Stdin => {
                self.inlet.broken |= broken;
                self.inlet.state.wake();
                self.wants_turn(part)
            }
            Part::Stdout | Part::Stderr => {
                self.outlet(part).state.wake();
                self.wants_turn(part)
            }
        }
    }

    /// Returns true if the part has something to do and must be queued.
    pub fn wants_turn(&mut self, part: Part) -> bool {
        match part {
            Part::Leader => false,
            Part::Stdin => {
                let inlet = &mut self.inlet;
                let begun = self
                    .end_of_input
                    .as_ref()
                    .is_some_and(EndOfInput::has_begun);
                let busy = inlet.broken || inlet.eof && !begun || !inlet.queue.is_empty();
                inlet.pipe.is_some() && busy && inlet.state.want()
            }
            Part::Stdout | Part::Stderr => {
                let outlet = self.outlet(part);
                outlet.pipe.is_some() && outlet.read_limit > 0 && outlet.state.want()
            }
        }
    }

    /// Sets the read limit of an output. Returns true if the output must be queued.
    pub fn set_read_limit(&mut self, output: Output, bytes: u64) -> bool {
        self.outlets[output as usize].read_limit = bytes;
        self.wants_turn(Part::of(output))
    }

    /// Reads an output within its read limit.
    pub fn read(&mut self, output: Output, buffer: &mut [u8], registry: &Registry) -> Read {
        let outlet = &mut self.outlets[output as usize];
        outlet.state.dequeue();
        let limit = usize::try_from(outlet.read_limit).unwrap_or(usize::MAX);
        let length = limit.min(buffer.len());
        let Some(pipe) = outlet.pipe.as_mut().filter(|_| length > 0) else {
            return Read::Nothing;
        };
        match pipe.read(&mut buffer[..length]) {
            Ok(0) => {}
            Ok(length) => {
                outlet.read_limit -= length as u64;
                return Read::Bytes(length);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Read::Nothing,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                outlet.state = State::Blocked;
                return Read::Nothing;
            }
            Err(error) => tracing::warn!(%error, "an output of a job cannot be read"),
        }
        drop_pipe(&mut outlet.pipe, registry);
        Read::End
    }

    /// Returns true if an open output holds unread bytes.
    pub fn unread(&self) -> bool {
        let pipes = self
            .outlets
            .iter()
            .filter_map(|outlet| outlet.pipe.as_ref());
        pipes
            .into_iter()
            .any(|pipe| rustix::io::ioctl_fionread(pipe).is_ok_and(|bytes| bytes > 0))
    }

    /// Closes an output.
    pub fn shut(&mut self, output: Output, registry: &Registry) {
        drop_pipe(&mut self.outlets[output as usize].pipe, registry);
    }

    /// Queues bytes for stdin. Returns true if stdin must be queued.
    pub fn write(&mut self, data: Bytes, eof: bool) -> bool {
        if !data.is_empty() {
            self.inlet.queue.push_back(data);
        }
        self.inlet.eof |= eof;
        self.wants_turn(Part::Stdin)
    }

    /// Writes queued bytes to stdin.
    pub fn write_queued(&mut self, now: Instant, registry: &Registry) -> Written {
        let inlet = &mut self.inlet;
        inlet.state.dequeue();
        let Some(pipe) = &mut inlet.pipe else {
            return Written::Nothing;
        };
        if !inlet.broken
            && let Some(front) = inlet.queue.front_mut()
        {
            match pipe.write(front) {
                Ok(length) => {
                    front.advance(length);
                    if front.is_empty() {
                        inlet.queue.pop_front();
                    }
                    return Written::Bytes(length as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    return Written::Nothing;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    inlet.state = State::Blocked;
                    return Written::Nothing;
                }
                Err(_) => inlet.broken = true,
            }
        }
        let broken = inlet.broken;
        match &mut self.end_of_input {
            Some(end) if inlet.eof && !broken => end.begin(now),
            Some(_) | None if broken || inlet.eof => {
                inlet.queue.clear();
                drop_pipe(&mut inlet.pipe, registry);
            }
            Some(_) | None => {}
        }
        if broken {
            Written::StdinClosed
        } else {
            Written::Nothing
        }
    }

    /// Closes all pipes.
    pub fn close(&mut self, registry: &Registry) {
        for outlet in &mut self.outlets {
            drop_pipe(&mut outlet.pipe, registry);
        }
        self.inlet.queue.clear();
        drop_pipe(&mut self.inlet.pipe, registry);
        self.end_of_input = None;
    }

    const fn outlet(&mut self, part: Part) -> &mut Outlet {
        match part {
            Part::Stderr => &mut self.outlets[1],
            Part::Stdin | Part::Stdout | Part::Leader => &mut self.outlets[0],
        }
    }
}

fn drop_pipe(pipe: &mut Option<Pipe>, registry: &Registry) {
    if let Some(mut pipe) = pipe.take() {
        // Another process may hold a duplicate, so that closing the descriptor is not enough.
        let _ = registry.deregister(&mut pipe);
    }
}
