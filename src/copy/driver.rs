//! One side of a copy over two blocking streams, such as the standard streams of a process.
//!
//! Not the side of a program that has many peers: it drives [`Sender`] and [`Receiver`] itself. Invariant:
//! [`End::Complete`] is returned only if both sides have everything.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::mpsc::{self, Receiver as Channel};
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::frame::Violation;
use super::library::Library;
use super::limits;
use super::receiver::Receiver;
use super::sender::{Pulled, Sender, Sources};
use super::total::total;

/// End of a copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Everything was sent and written.
    Complete,
    /// An item was not. The other side knows which, and why.
    Incomplete,
    /// An item was not, because it lies outside of the [`Scope`](super::Scope).
    OutOfScope,
}

impl End {
    const fn of(is_complete: bool) -> Self {
        if is_complete {
            Self::Complete
        } else {
            Self::Incomplete
        }
    }
}

/// Reason why a copy ended early.
#[derive(Debug)]
pub enum Broken {
    /// The other side does not follow the protocol.
    Violation(Violation),
    /// The other side is gone.
    Gone,
    /// A stream could not be read or written.
    Stream(io::Error),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Violation(Violation(words)) => {
                write!(
                    f,
                    "the other side does not follow the copy protocol: {words}"
                )
            }
            Self::Gone => f.write_str("the other side has ended the copy early"),
            Self::Stream(error) => write!(f, "{error}"),
        }
    }
}

impl From<Violation> for Broken {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Gone,
            _ => Self::Stream(error),
        }
    }
}

/// Sends sources.
///
/// # Errors
/// [`Broken`]
pub fn send(
    sources: Sources,
    library: Rc<Library>,
    input: impl Read + AsFd,
    output: impl Write,
) -> Result<End, Broken> {
    let counted = sources.clone();
    let mut sender = Sender::new(sources, library);
    match send_all(&mut sender, counted, input, output) {
        // Also if the other side has had enough after it was told.
        Ok(()) | Err(Broken::Gone) if sender.is_out_of_scope() => Ok(End::OutOfScope),
        sent => sent.map(|()| End::of(sender.is_complete())),
    }
}

fn send_all(
    sender: &mut Sender,
    counted: Sources,
    mut input: impl Read + AsFd,
    mut output: impl Write,
) -> Result<(), Broken> {
    let mut counted = Some(counted);
    let mut count = None;
    let mut buffer = vec![0; limits::FRAME];
    while !sender.is_done() {
        while is_ready(&input)? {
            read_once(sender, &mut input, &mut buffer)?;
        }
        if sender.is_counted()
            && let Some(sources) = counted.take()
        {
            count = begin_count(sources);
        }
        if let Some(bytes) = count.as_ref().and_then(|count| count.try_recv().ok()) {
            sender.announce(bytes);
        }
        match sender.pull() {
            Pulled::Bytes(bytes) => output.write_all(&bytes)?,
            Pulled::Busy => {}
            Pulled::Nothing if sender.is_done() => {}
            Pulled::Nothing => {
                output.flush()?;
                read_once(sender, &mut input, &mut buffer)?;
            }
        }
    }
    Ok(())
}

/// Counts the files on a thread of its own, as the copy does not wait for it. Without a thread, no total is announced.
fn begin_count(sources: Sources) -> Option<Channel<u64>> {
    let (counted, count) = mpsc::channel();
    let thread = thread::Builder::new().name("total".into());
    let counting = thread.spawn(move || {
        // The copy may have ended.
        let _ = counted.send(total(&sources));
    });
    counting.is_ok().then_some(count)
}

fn read_once(sender: &mut Sender, input: &mut impl Read, buffer: &mut [u8]) -> Result<(), Broken> {
    match input.read(buffer) {
        Ok(0) if sender.is_done() => Ok(()),
        Ok(0) => Err(Broken::Gone),
        Ok(length) => Ok(sender.push(&buffer[..length])?),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Returns true if a read does not wait.
fn is_ready(input: &impl AsFd) -> io::Result<bool> {
    let mut fds = [PollFd::new(input, PollFlags::IN)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    Ok(poll(&mut fds, Some(&now))? > 0)
}

/// Receives.
///
/// # Errors
/// [`Broken`]
pub fn receive(
    mut receiver: Receiver,
    input: impl Read,
    output: impl Write,
) -> Result<End, Broken> {
    let received = receive_all(&mut receiver, input, output);
    receiver.leave();
    received.map(|()| End::of(receiver.is_complete()))
}

fn receive_all(
    receiver: &mut Receiver,
    mut input: impl Read,
    mut output: impl Write,
) -> Result<(), Broken> {
    let mut buffer = vec![0; limits::READ];
    while !receiver.is_done() {
        let length = match input.read(&mut buffer) {
            Ok(0) => return Err(Broken::Gone),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        let mut rest = &buffer[..length];
        let mut is_worked_off = false;
        while !is_worked_off {
            let pushed = receiver.push(&mut rest);
            let replies = receiver.take_replies();
            if !replies.is_empty() {
                output.write_all(&replies)?;
                output.flush()?;
            }
            is_worked_off = pushed?;
        }
    }
    Ok(())
}
