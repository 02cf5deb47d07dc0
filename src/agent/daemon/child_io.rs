//! One process of a job, its pipes, and which of them is worth a look.
//!
//! Invariant: a part stands in the queue of [`Supervisor`](super::supervisor::Supervisor) at most once.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};

use bytes::{Buf as _, Bytes};
use mio::{Interest, Registry, Token};

use super::end_of_input::EndOfInput;
use crate::agent::jobs::Output;
use crate::process::{Ending, Pipe, Process, WindowSize};
use crate::time::Instant;

/// What of a process can be ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// Its stdin takes bytes.
    Stdin = 0,
    /// Its stdout holds bytes.
    Stdout = 1,
    /// Its stderr holds bytes.
    Stderr = 2,
    /// Its leader is over.
    Leader = 3,
}

impl Part {
    /// All, by number.
    pub const ALL: [Self; 4] = [Self::Stdin, Self::Stdout, Self::Stderr, Self::Leader];

    /// The part that an output is.
    pub const fn of(output: Output) -> Self {
        match output {
            Output::Out => Self::Stdout,
            Output::Err => Self::Stderr,
        }
    }
}

/// What came of reading.
pub enum Read {
    /// Nothing now.
    Nothing,
    /// So many bytes.
    Bytes(usize),
    /// The end.
    End,
}

/// What came of writing.
pub enum Fed {
    /// Nothing now.
    Nothing,
    /// So many bytes were taken.
    Took(u64),
    /// Nobody reads.
    StdinClosed,
}

/// Whether a pipe may have something for us, as far as the poll has told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// It may; `queued`: it stands in the queue.
    Ready { queued: bool },
    /// It has not; the poll will tell.
    Blocked,
}

impl State {
    /// It may, and its turn should come: returns whether it must be queued for that.
    const fn want(&mut self) -> bool {
        let fresh = matches!(self, Self::Ready { queued: false });
        if fresh {
            *self = Self::Ready { queued: true };
        }
        fresh
    }

    /// The poll has told.
    const fn wake(&mut self) {
        if matches!(self, Self::Blocked) {
            *self = Self::Ready { queued: false };
        }
    }

    /// Its turn has come.
    const fn dequeue(&mut self) {
        if let Self::Ready { queued } = self {
            *queued = false;
        }
    }
}

/// The reading end of an output.
struct Outlet {
    pipe: Option<Pipe>,
    room: u64,
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
    /// That its leader is over has been told.
    pub exited: bool,
    /// Nothing more is wanted of it.
    pub closed: bool,
    /// Its tree is being ended.
    pub ending: Option<Ending>,
    outlets: [Outlet; 2],
    inlet: Inlet,
    /// Of a terminal, until its leader is over; `None`: the pipe is closed instead.
    end_of_input: Option<EndOfInput>,
}

impl ChildIo {
    /// Takes the pipes of a process over.
    pub fn new(mut process: Process) -> Self {
        let outlet = |pipe| Outlet {
            pipe,
            room: 0,
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

    /// The leader is over: its terminal, if it has one, is no longer held open, so that its output ends.
    /// Returns whether that is to be queued.
    pub fn on_exit(&mut self) -> bool {
        self.exited = true;
        self.end_of_input.take().is_some() && self.on_ready(Part::Stdout, false)
    }

    /// When [`on_timeout`](Self::on_timeout) should be called, for a terminal whose input has ended.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.end_of_input.as_ref()?.poll_timeout()
    }

    /// Goes on telling that a terminal's input has ended.
    pub fn on_timeout(&mut self, now: Instant) {
        if let (Some(end), Some(pipe)) = (&mut self.end_of_input, &mut self.inlet.pipe) {
            end.on_timeout(now, pipe);
        }
    }

    /// The window of its terminal has another size. What is no terminal stays as it is.
    pub fn resize(&self, size: WindowSize) {
        if let Some(pipe) = &self.outlets[0].pipe
            && let Err(error) = pipe.resize(size)
        {
            tracing::debug!(%error, "a window keeps its size");
        }
    }

    /// Enters its pipes in the poll.
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

    /// The poll has told of a part, `broken` that its other end is gone. Returns whether it is to be queued.
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

    /// Whether a part is to be queued, because it has something to do and is not there yet.
    pub fn wants_turn(&mut self, part: Part) -> bool {
        match part {
            Part::Leader => false,
            Part::Stdin => {
                let inlet = &mut self.inlet;
                let told = self
                    .end_of_input
                    .as_ref()
                    .is_some_and(EndOfInput::has_begun);
                let busy = inlet.broken || inlet.eof && !told || !inlet.queue.is_empty();
                inlet.pipe.is_some() && busy && inlet.state.want()
            }
            Part::Stdout | Part::Stderr => {
                let outlet = self.outlet(part);
                outlet.pipe.is_some() && outlet.room > 0 && outlet.state.want()
            }
        }
    }

    /// How much may be read of an output. Returns whether it is to be queued.
    pub fn set_room(&mut self, output: Output, room: u64) -> bool {
        self.outlets[output as usize].room = room;
        self.wants_turn(Part::of(output))
    }

    /// Reads of an output what there is room for.
    pub fn read(&mut self, output: Output, buffer: &mut [u8], registry: &Registry) -> Read {
        let outlet = &mut self.outlets[output as usize];
        outlet.state.dequeue();
        let room = usize::try_from(outlet.room).unwrap_or(usize::MAX);
        let length = room.min(buffer.len());
        let Some(pipe) = outlet.pipe.as_mut().filter(|_| length > 0) else {
            return Read::Nothing;
        };
        match pipe.read(&mut buffer[..length]) {
            Ok(0) => {}
            Ok(length) => {
                outlet.room -= length as u64;
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

    /// Whether an output that is open holds bytes that were not read.
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

    /// Takes bytes for stdin. Returns whether it is to be queued.
    pub fn write(&mut self, data: Bytes, eof: bool) -> bool {
        if !data.is_empty() {
            self.inlet.queue.push_back(data);
        }
        self.inlet.eof |= eof;
        self.wants_turn(Part::Stdin)
    }

    /// Writes to stdin what it takes.
    pub fn feed(&mut self, now: Instant, registry: &Registry) -> Fed {
        let inlet = &mut self.inlet;
        inlet.state.dequeue();
        let Some(pipe) = &mut inlet.pipe else {
            return Fed::Nothing;
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
                    return Fed::Took(length as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Fed::Nothing,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    inlet.state = State::Blocked;
                    return Fed::Nothing;
                }
                Err(_) => inlet.broken = true,
            }
        }
        let deaf = inlet.broken;
        match &mut self.end_of_input {
            Some(end) if inlet.eof && !deaf => end.begin(now),
            _ if deaf || inlet.eof => {
                inlet.queue.clear();
                drop_pipe(&mut inlet.pipe, registry);
            }
            _ => {}
        }
        if deaf { Fed::StdinClosed } else { Fed::Nothing }
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
            _ => &mut self.outlets[0],
        }
    }
}

fn drop_pipe(pipe: &mut Option<Pipe>, registry: &Registry) {
    if let Some(mut pipe) = pipe.take() {
        // Dropping the descriptor would do, but for a duplicate in another process.
        let _ = registry.deregister(&mut pipe);
    }
}
