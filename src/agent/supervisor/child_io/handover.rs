//! The pipes of a process as plain values, and back.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, RawFd};

use super::{ChildIo, EndOfInput, Inlet, Outlet};
use crate::agent::supervisor::handover::{Descriptors, InletState, IoState, OutletState};
use crate::process::{Pipe, Slave};

fn number(pipe: Option<&Pipe>) -> Option<RawFd> {
    pipe.map(|pipe| pipe.as_fd().as_raw_fd())
}

impl ChildIo {
    /// Returns the state, for the program that takes this one's place.
    pub fn to_state(&self) -> IoState {
        let end_of_input = self.end_of_input.as_ref();
        let slave = end_of_input.map(EndOfInput::slave);
        IoState {
            outlets: self.outlets.each_ref().map(|outlet| OutletState {
                pipe: number(outlet.pipe.as_ref()),
                end: outlet.end,
                released: outlet.released,
                extent: outlet.extent,
                shut: outlet.shut,
                at_exit: outlet.at_exit,
            }),
            inlet: InletState {
                pipe: number(self.inlet.pipe.as_ref()),
                written: self.inlet.written,
                accepted: self.inlet.accepted,
                base: self.inlet.base,
                eof: self.inlet.eof,
                broken: self.inlet.broken,
            },
            slave: slave.map(|slave| slave.as_fd().as_raw_fd()),
            on_terminal: self.on_terminal,
            end_of_input: end_of_input.and_then(EndOfInput::begun),
        }
    }

    /// Returns the descriptors that it holds.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let outputs = self.outlets.iter().map(|outlet| outlet.pipe.as_ref());
        let pipes = outputs.chain([self.inlet.pipe.as_ref()]).flatten();
        let end = self.end_of_input.iter();
        pipes
            .map(|pipe| pipe.as_fd())
            .chain(end.map(|end| end.slave().as_fd()))
    }

    /// Returns the pipes that a state describes.
    pub fn from_state(
        slot: u32,
        state: &IoState,
        descriptors: &mut Descriptors,
    ) -> io::Result<Self> {
        let slave = match state.slave {
            Some(number) => Some(Slave::adopt(descriptors.take(number)?)),
            None => None,
        };
        let stdin = take(state.inlet.pipe, descriptors)?;
        let [stdout, stderr] = &state.outlets;
        let mut io = Self::new(slot, [stdin, None, None], slave);
        io.outlets = [outlet(stdout, descriptors)?, outlet(stderr, descriptors)?];
        io.inlet = Inlet {
            written: state.inlet.written,
            accepted: state.inlet.accepted,
            base: state.inlet.base,
            eof: state.inlet.eof,
            broken: state.inlet.broken,
            ..io.inlet
        };
        io.on_terminal = state.on_terminal;
        Ok(io)
    }
}

fn outlet(state: &OutletState, descriptors: &mut Descriptors) -> io::Result<Outlet> {
    let mut outlet = Outlet::new(take(state.pipe, descriptors)?);
    outlet.end = state.end;
    outlet.released = state.released;
    outlet.extent = state.extent;
    outlet.shut = state.shut;
    outlet.at_exit = state.at_exit;
    Ok(outlet)
}

fn take(number: Option<RawFd>, descriptors: &mut Descriptors) -> io::Result<Option<Pipe>> {
    let descriptor = number.map(|number| descriptors.take(number)).transpose()?;
    descriptor.map(Pipe::adopt).transpose()
}
