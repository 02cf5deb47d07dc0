//! The front as a process: the program under another name, with a socket to the supervisor as descriptor 0.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};

use super::{End, Parts, serve};
use crate::agent::ipc::limits::{INPUT_RING, OUTPUT_RING};
use crate::agent::ipc::{FRONT, Frames, RingFile, receive_descriptors};
use crate::agent::recorder::ignore_signals;
use crate::agent::sandbox;
use crate::message::status::{AGENT_FAILURE, INTERNAL};
use crate::net::{Carrier, UdpCarrier};
use crate::saved_mode;

/// Runs the front and returns its exit status. Only a supervisor can start it.
#[must_use]
pub fn main() -> u8 {
    match run() {
        Ok(End::ShutDown) => 0,
        // There is nobody left to serve.
        Ok(End::Lost) => AGENT_FAILURE,
        Err(error) => {
            eprintln!("{FRONT}: {error}; it is started by udpagent only");
            INTERNAL
        }
    }
}

fn run() -> io::Result<End> {
    // For ps(1): the name of the file says nothing.
    let _ = rustix::thread::set_name(c"udpagent-front");
    // Those for the whole process group, as Ctrl-C is, are for the supervisor, which lets the sessions be closed.
    ignore_signals()?;
    saved_mode::go_on_in_background();
    let socket = UnixStream::from(rustix::stdio::stdin().try_clone_to_owned()?);
    let supervisor = socket.try_clone()?;
    let mut descriptors = receive_descriptors(&socket)?.into_iter();
    let mut next = || descriptors.next().ok_or(io::ErrorKind::InvalidData);
    let (stdin, outputs, inputs, bot, log) = (next()?, next()?, next()?, next()?, next()?);
    rustix::stdio::dup2_stdin(stdin.as_fd())?;
    let carriers = descriptors
        .map(|socket| Ok(Box::new(UdpCarrier::adopt(socket.into())?) as Box<dyn Carrier>))
        .collect::<io::Result<Vec<_>>>()?;
    let parts = Parts {
        connection: Frames::new(socket)?,
        outputs: RingFile::adopt(outputs, OUTPUT_RING).for_reading(),
        inputs: RingFile::adopt(inputs, INPUT_RING),
        carriers,
        bot: is_socket(&bot)?.then_some(bot),
        log: Some(log),
        terminal: true,
    };
    serve(parts, |setup, prompt| {
        let in_force = sandbox::apply(&setup.sandbox, prompt)?;
        // The front ends with the supervisor from now on, unless that has ended before. It must not answer a controller
        // then, whose session nobody would know of.
        if is_closed(&supervisor)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(in_force)
    })
}

/// True if a descriptor is a socket. That of a bot that does not exist is a ring.
fn is_socket(descriptor: &OwnedFd) -> io::Result<bool> {
    let mode = fstat(descriptor)?.st_mode;
    Ok(FileType::from_raw_mode(mode) == FileType::Socket)
}

/// True if the other end of a socket is closed.
fn is_closed(socket: &UnixStream) -> io::Result<bool> {
    let mut events = [PollFd::new(socket, PollFlags::empty())];
    poll(&mut events, Some(&Timespec::default()))?;
    Ok(events[0].revents().contains(PollFlags::HUP))
}
