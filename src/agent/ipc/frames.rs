//! Messages as frames on a non-blocking stream socket: four octets of length in little endian, then the
//! message in the postcard encoding.
//!
//! Invariant: a frame that is too long or that does not decode ends the connection. Nothing after it is read.

use std::fmt;
use std::io::{self, Write as _};
use std::marker::PhantomData;
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::net::UnixStream;

use rustix::buffer::spare_capacity;
use rustix::io::{Errno, read};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::limits::{FRAME, READ};

/// Octets of the length of a frame.
const HEADER: usize = 4;

/// End of a connection.
#[derive(Debug)]
pub enum FrameError {
    /// The other side has closed it.
    Closed,
    /// The other side has sent something else than messages.
    Invalid,
    /// The socket failed.
    Io(io::Error),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the connection is closed"),
            Self::Invalid => f.write_str("an invalid message"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for FrameError {}

/// One end of a connection that sends `S` and receives `R`.
#[derive(Debug)]
pub struct Frames<S, R> {
    socket: UnixStream,
    input: Vec<u8>,
    /// Octets of `input` that were taken.
    taken: usize,
    output: Vec<u8>,
    /// Octets of `output` that were sent.
    sent: usize,
    /// Octets that a received message may have.
    most: usize,
    types: PhantomData<fn(S) -> R>,
}

impl<S: Serialize, R: DeserializeOwned> Frames<S, R> {
    /// Takes a connected socket.
    ///
    /// # Errors
    /// Those of `fcntl(2)`.
    pub fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            input: Vec::new(),
            taken: 0,
            output: Vec::new(),
            sent: 0,
            most: FRAME,
            types: PhantomData,
        })
    }

    /// Bounds received messages to `most` octets.
    #[must_use]
    pub const fn with_most(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    /// Returns the descriptor, for a poll.
    #[must_use]
    pub fn raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Returns the socket, to wait for it.
    #[must_use]
    pub const fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// Queues a message. [`flush`](Self::flush) sends it.
    pub fn queue(&mut self, message: &S) {
        let start = self.output.len();
        self.output.extend_from_slice(&[0; HEADER]);
        let output = std::mem::take(&mut self.output);
        self.output = postcard::to_extend(message, output)
            .expect("every message has an encoding, and a vector takes any");
        let length = self.output.len() - start - HEADER;
        let length = u32::try_from(length).expect("messages are bounded by FRAME");
        self.output[start..start + HEADER].copy_from_slice(&length.to_le_bytes());
    }

    /// Number of octets that are queued.
    #[must_use]
    pub const fn queued(&self) -> usize {
        self.output.len() - self.sent
    }

    /// Sends as much as the socket takes.
    ///
    /// # Errors
    /// [`FrameError::Closed`], or the socket's.
    pub fn flush(&mut self) -> Result<(), FrameError> {
        while self.queued() > 0 {
            match self.socket.write(&self.output[self.sent..]) {
                Ok(0) => return Err(FrameError::Closed),
                Ok(length) => self.sent += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if is_closed(&error) => return Err(FrameError::Closed),
                Err(error) => return Err(FrameError::Io(error)),
            }
        }
        self.output.clear();
        self.sent = 0;
        if self.output.capacity() > READ {
            self.output = Vec::new();
        }
        Ok(())
    }

    /// Returns the next message, or `None` until the socket is readable again. What was received before the end of the
    /// connection is returned before its error.
    ///
    /// # Errors
    /// [`FrameError`]
    pub fn receive(&mut self) -> Result<Option<R>, FrameError> {
        loop {
            if let Some(message) = self.decode()? {
                return Ok(Some(message));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Decodes the next frame, if it is complete.
    fn decode(&mut self) -> Result<Option<R>, FrameError> {
        let rest = &self.input[self.taken..];
        let Some((header, body)) = rest.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*header) as usize;
        if length > self.most {
            return Err(FrameError::Invalid);
        }
        let Some(body) = body.get(..length) else {
            return Ok(None);
        };
        let message = postcard::from_bytes(body).map_err(|_| FrameError::Invalid)?;
        self.taken += HEADER + length;
        Ok(Some(message))
    }

    /// Receives more octets. Returns false if there are none at present.
    fn fill(&mut self) -> Result<bool, FrameError> {
        self.input.drain(..self.taken);
        self.taken = 0;
        if self.input.is_empty() && self.input.capacity() > 2 * READ {
            self.input = Vec::new();
        }
        self.input.reserve(READ);
        match read(&self.socket, spare_capacity(&mut self.input)) {
            Ok(0) | Err(Errno::CONNRESET) => Err(FrameError::Closed),
            Ok(_) | Err(Errno::INTR) => Ok(true),
            Err(Errno::AGAIN) => Ok(false),
            Err(error) => Err(FrameError::Io(error.into())),
        }
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    type Ends = (Frames<String, String>, Frames<String, String>);

    fn ends() -> Ends {
        let (one, other) = UnixStream::pair().unwrap();
        (Frames::new(one).unwrap(), Frames::new(other).unwrap())
    }

    #[test]
    fn messages_arrive_in_order_although_the_socket_is_full_in_between() {
        let (mut one, mut other) = ends();
        let message = |number: usize| "x".repeat(number * 1000);
        for number in 0..800 {
            one.queue(&message(number));
        }
        let mut received = 0;
        while received < 800 {
            one.flush().unwrap();
            while let Some(got) = other.receive().unwrap() {
                assert_eq!(got.len(), message(received).len());
                received += 1;
            }
        }
        assert_eq!(one.queued(), 0);
        drop(one);
        assert!(matches!(other.receive(), Err(FrameError::Closed)));
    }

    #[test]
    fn a_message_before_the_end_of_the_connection_is_received() {
        let (mut one, mut other) = ends();
        one.queue(&"last words".to_owned());
        one.flush().unwrap();
        drop(one);
        assert_eq!(other.receive().unwrap().as_deref(), Some("last words"));
        assert!(matches!(other.receive(), Err(FrameError::Closed)));
        assert!(matches!(other.flush(), Ok(())), "nothing is queued");
        other.queue(&String::new());
        assert!(matches!(other.flush(), Err(FrameError::Closed)));
    }

    #[test]
    fn a_frame_that_is_too_long_or_does_not_decode_is_invalid() {
        for octets in [
            &[0xff, 0xff, 0xff, 0xff][..],
            &[2, 0, 0, 0, 0xff, 0xff],
            &[1, 0, 0, 0, 9],
        ] {
            let (raw, other) = UnixStream::pair().unwrap();
            let mut other: Frames<String, String> = Frames::new(other).unwrap();
            (&raw).write_all(octets).unwrap();
            assert!(
                matches!(other.receive(), Err(FrameError::Invalid)),
                "{octets:?}"
            );
        }
        // The bound of a connection holds before the message is complete.
        for (length, invalid) in [(10, false), (11, true)] {
            let (raw, other) = UnixStream::pair().unwrap();
            let other: Frames<String, String> = Frames::new(other).unwrap();
            (&raw).write_all(&[length, 0, 0, 0, length - 1]).unwrap();
            let received = other.with_most(10).receive();
            assert_eq!(received.is_err(), invalid, "{received:?}");
        }
    }
}
