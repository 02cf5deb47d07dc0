//! The pipes of one process, read into and written from its rings.
//!
//! Not the process itself. Invariants: a ring never holds more than its size; each byte of stdin is written once,
//! in order.

mod handover;
mod outlet;
mod splice;

use std::io::{self, Read as _};
use std::os::fd::AsFd as _;

use mio::{Interest, Registry, Token};
use rustix::io::Errno;

use self::outlet::Outlet;
use self::splice::{Moved, grow, move_bytes};
use super::end_of_input::EndOfInput;
use super::limits::{MOVE, READ};
use super::readiness::{Part, State};
use crate::agent::ipc::limits::INPUT_RING;
use crate::agent::ipc::{Extent, RingFile, RingId};
use crate::agent::jobs::Output;
use crate::process::{Pipe, Slave, WindowSize};
use crate::time::Instant;

/// The writing end of stdin.
pub struct Inlet {
    pipe: Option<Pipe>,
    state: State,
    /// Bytes written so far.
    pub written: u64,
    /// Offset of the end of the bytes in the ring.
    pub accepted: u64,
    /// Base of the ring.
    pub base: u64,
    /// True if the input ends at `accepted`.
    pub eof: bool,
    broken: bool,
    /// True if the pipe was made larger.
    grown: bool,
}

/// Change made by a turn of a part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// Nothing.
    Nothing,
    /// The state for the front.
    Changed,
    /// Output was dropped, because the job has written too much.
    Overflow,
    /// An output could not be read and was closed.
    Unreadable(io::ErrorKind),
}

/// The pipes of one process.
pub struct ChildIo {
    ring: RingId,
    outlets: [Outlet; 2],
    inlet: Inlet,
    /// End of input of a terminal, until the leader has ended; `None` for a pipe.
    end_of_input: Option<EndOfInput>,
    on_terminal: bool,
}

/// Returns the ring of an output of a slot.
pub const fn output_ring(slot: u32, output: Output) -> RingId {
    RingId(2 * slot + output as u32)
}

/// Files that all processes share.
pub struct Shared {
    /// Rings of outputs.
    pub outputs: RingFile,
    /// Rings of stdin.
    pub inputs: RingFile,
    /// Buffer of one read.
    pub buffer: Box<[u8]>,
}

impl ChildIo {
    /// Takes the ends of the pipes of a process: stdin, stdout, stderr.
    pub fn new(
        slot: u32,
        [stdin, stdout, stderr]: [Option<Pipe>; 3],
        slave: Option<Slave>,
    ) -> Self {
        Self {
            ring: RingId(slot),
            outlets: [Outlet::new(stdout), Outlet::new(stderr)],
            inlet: Inlet {
                pipe: stdin,
                state: State::Ready { queued: false },
                written: 0,
                accepted: 0,
                base: 0,
                eof: false,
                broken: false,
                grown: false,
            },
            on_terminal: slave.is_some(),
            end_of_input: slave.map(EndOfInput::new),
        }
    }

    /// Takes the state of the ring of stdin from before the start.
    pub const fn adopt_input(&mut self, before: &Inlet) {
        self.inlet.accepted = before.accepted;
        self.inlet.base = before.base;
        self.inlet.eof = before.eof;
    }

    /// Returns an output.
    pub const fn outlet(&self, output: Output) -> &Outlet {
        &self.outlets[output as usize]
    }

    /// Returns stdin.
    pub const fn inlet(&self) -> &Inlet {
        &self.inlet
    }

    /// Returns true if stdin takes no more bytes.
    pub const fn is_stdin_closed(&self) -> bool {
        self.inlet.pipe.is_none()
    }

    /// Returns true if both outputs are at their end or closed.
    pub fn is_drained(&self) -> bool {
        self.outlets.iter().all(|outlet| outlet.pipe.is_none())
    }

    /// Processes the exit of the leader: its terminal, if it has one, is no longer held open, so that the output
    /// ends; stdin is closed; what is left in the pipes is read however slow the controller is. Returns the
    /// outputs to be queued.
    pub fn on_exit(&mut self, registry: &Registry) -> [bool; 2] {
        self.end_of_input = None;
        drop_pipe(&mut self.inlet.pipe, registry);
        for outlet in &mut self.outlets {
            outlet.on_exit();
        }
        [Part::Stdout, Part::Stderr].map(|part| self.on_ready(part, false))
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

    /// Continues to signal the end of terminal input.
    pub fn resume_end_of_input(&mut self, now: Instant, sent_raw: bool) {
        if let Some(end) = &mut self.end_of_input {
            end.resume(now, sent_raw);
        }
    }

    /// Sets the window size of its terminal. Without a terminal this has no effect.
    pub fn resize(&self, size: WindowSize) {
        if self.on_terminal
            && let Some(pipe) = &self.outlets[0].pipe
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
            outlet.register(registry, token(part))?;
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
            Part::Leader | Part::Start => true,
            Part::Stdin => {
                self.inlet.broken |= broken;
                self.inlet.state.wake();
                self.wants_turn(part)
            }
            Part::Stdout | Part::Stderr => {
                self.outlet_mut(part).state.wake();
                self.wants_turn(part)
            }
        }
    }

    /// Returns true if the part has something to do and must be queued.
    pub fn wants_turn(&mut self, part: Part) -> bool {
        match part {
            Part::Leader | Part::Start => false,
            Part::Stdin => {
                let begun = self
                    .end_of_input
                    .as_ref()
                    .is_some_and(EndOfInput::has_begun);
                let inlet = &mut self.inlet;
                let waiting = inlet.accepted > inlet.written;
                let busy = inlet.broken || inlet.eof && !begun || waiting;
                inlet.pipe.is_some() && busy && inlet.state.want()
            }
            Part::Stdout | Part::Stderr => {
                let outlet = self.outlet_mut(part);
                outlet.pipe.is_some() && outlet.is_worth_reading() && outlet.state.want()
            }
        }
    }

    /// Releases bytes of an output.
    pub fn release(&mut self, output: Output, offset: u64) {
        self.outlets[output as usize].release(offset);
    }

    /// Number of bytes of both outputs that are held.
    pub fn held(&self) -> u64 {
        self.outlets.iter().map(Outlet::held).sum()
    }

    /// Sets the window of the stream of an output.
    pub fn set_window(&mut self, output: Output, bytes: u64) {
        self.outlets[output as usize].set_window(bytes);
    }

    /// Sets the number of bytes of each output that may be held: `most`, or what the window of its stream needs.
    pub fn set_lane(&mut self, most: Option<u64>) {
        self.outlets.iter_mut().for_each(|one| one.set_lane(most));
    }

    /// True if an output is to be read again after a pause.
    pub fn is_paused(&self, output: Output) -> bool {
        self.outlets[output as usize].state == State::Paused
    }

    /// Reads an output into its ring. `left` is the number of bytes that the job may still write, if that is
    /// limited.
    pub fn read(
        &mut self,
        now: Instant,
        output: Output,
        left: Option<u64>,
        shared: &mut Shared,
        registry: &Registry,
    ) -> Turn {
        let ring = output_ring(self.ring.0, output);
        let spliced = !self.on_terminal;
        let outlet = &mut self.outlets[output as usize];
        outlet.state.dequeue();
        let room = outlet.room();
        let Some(pipe) = outlet.pipe.as_mut().filter(|_| room > 0) else {
            return Turn::Nothing;
        };
        let place = (ring, outlet.extent, outlet.end);
        let (_, contiguous) = outlet.extent.place(outlet.end);
        let most = room.min(contiguous).min(MOVE as u64);
        let most = usize::try_from(most).expect("at most MOVE");
        let read = match left {
            Some(0) => pipe.read(&mut shared.buffer).map(Moved::Dropped),
            Some(left) => {
                let most = most.min(usize::try_from(left).unwrap_or(usize::MAX));
                move_bytes(pipe, spliced, shared, place, most).map(Moved::Stored)
            }
            None => move_bytes(pipe, spliced, shared, place, most).map(Moved::Stored),
        };
        match read {
            Ok(Moved::Dropped(0) | Moved::Stored(0)) => {}
            Ok(Moved::Dropped(_)) => return Turn::Overflow,
            Ok(Moved::Stored(length)) => {
                outlet.end += length as u64;
                if spliced {
                    outlet.on_bytes(now, length, registry);
                }
                return Turn::Changed;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Turn::Nothing,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                outlet.on_empty(registry);
                return Turn::Nothing;
            }
            // The master of a terminal reads EIO after the last slave was closed.
            Err(error) if !spliced && Errno::from_io_error(&error) == Some(Errno::IO) => {}
            Err(error) => {
                drop_pipe(&mut outlet.pipe, registry);
                return Turn::Unreadable(error.kind());
            }
        }
        drop_pipe(&mut outlet.pipe, registry);
        Turn::Changed
    }

    /// Returns true if the bytes or the end of an open output were not read yet.
    pub fn unread(&self) -> bool {
        let mut pipes = self
            .outlets
            .iter()
            .filter_map(|outlet| outlet.pipe.as_ref());
        pipes.any(Pipe::is_readable)
    }

    /// Closes an output at the request of its reader. Its bytes are not needed any more.
    pub fn shut(&mut self, output: Output, registry: &Registry) {
        let outlet = &mut self.outlets[output as usize];
        outlet.shut = true;
        outlet.release(u64::MAX);
        drop_pipe(&mut outlet.pipe, registry);
    }

    /// Accepts the bytes of the ring of stdin up to `end`, as the front says. Numbers that cannot be are ignored.
    /// Returns true if stdin must be queued.
    pub fn accept(&mut self, base: u64, end: u64, eof: bool, size: u64) -> bool {
        let inlet = &mut self.inlet;
        let held = end.checked_sub(inlet.written);
        if inlet.eof || end < inlet.accepted || held.is_none_or(|held| held > size) {
            return false;
        }
        // The base moves only while the ring is empty.
        if inlet.accepted == inlet.written {
            inlet.base = base;
        }
        inlet.accepted = end;
        inlet.eof = eof;
        self.wants_turn(Part::Stdin)
    }

    /// Writes bytes of the ring to stdin.
    pub fn write(&mut self, now: Instant, shared: &mut Shared, registry: &Registry) -> Turn {
        let inlet = &mut self.inlet;
        inlet.state.dequeue();
        let Some(pipe) = &mut inlet.pipe else {
            return Turn::Nothing;
        };
        if !inlet.broken && inlet.accepted > inlet.written {
            let most = usize::try_from(inlet.accepted - inlet.written).unwrap_or(usize::MAX);
            let extent = Extent {
                base: inlet.base,
                size: INPUT_RING,
            };
            let (offset, most) = (inlet.written, most.min(MOVE));
            let Shared { inputs, buffer, .. } = shared;
            let written = inputs.drain(self.ring, extent, offset, most, pipe.as_fd(), buffer);
            match written {
                Ok(length) => {
                    if !self.on_terminal
                        && length >= READ
                        && !std::mem::replace(&mut inlet.grown, true)
                    {
                        grow(pipe);
                    }
                    inlet.written += length as u64;
                    return Turn::Changed;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Turn::Nothing,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    inlet.state = State::Blocked;
                    return Turn::Nothing;
                }
                Err(_) => inlet.broken = true,
            }
        }
        let broken = inlet.broken;
        match &mut self.end_of_input {
            Some(end) if inlet.eof && !broken => {
                end.begin(now);
                Turn::Nothing
            }
            Some(_) | None if broken || inlet.eof => {
                drop_pipe(&mut inlet.pipe, registry);
                Turn::Changed
            }
            Some(_) | None => Turn::Nothing,
        }
    }

    /// Closes all pipes.
    pub fn close(&mut self, registry: &Registry) {
        for outlet in &mut self.outlets {
            drop_pipe(&mut outlet.pipe, registry);
        }
        drop_pipe(&mut self.inlet.pipe, registry);
        self.end_of_input = None;
    }

    const fn outlet_mut(&mut self, part: Part) -> &mut Outlet {
        match part {
            Part::Stderr => &mut self.outlets[1],
            Part::Stdin | Part::Stdout | Part::Leader | Part::Start => &mut self.outlets[0],
        }
    }
}

fn drop_pipe(pipe: &mut Option<Pipe>, registry: &Registry) {
    if let Some(mut pipe) = pipe.take() {
        // Another process may hold a duplicate, so that closing the descriptor is not enough.
        let _ = registry.deregister(&mut pipe);
    }
}
