//! The service `forward`: bytes of standard input to a socket, and bytes of the socket to standard output.
//!
//! Each direction ends by itself. The end of the input shuts the socket's sending half down. The end of the socket is told
//! on standard error, with the number of its bytes: the end of an output is not seen at the other side before that of the
//! process. Invariant: a connection that has failed, or a process that is killed, resets the socket, so that nobody takes
//! it for the end of the bytes.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;

use rustix::io::{Errno, dup, fcntl_dupfd_cloexec};
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown, sockopt};
use rustix::stdio::{dup2_stdin, dup2_stdout};

use super::connect::{ForwardError, connect};
use super::limits::BUFFER;
use crate::message::ForwardTarget;

/// Forwards standard input and output to a destination, until both directions are at their end.
///
/// # Errors
/// [`ForwardError`]
pub fn run(target: &ForwardTarget) -> Result<(), ForwardError> {
    let socket = connect(target)?;
    let (input, output) = take_streams().map_err(ForwardError::System)?;
    relay(&socket, input, output, tell_end).map_err(|error| match error {
        RelayError::Connection(error) => ForwardError::Connection(target.clone(), error),
        RelayError::System(error) => ForwardError::System(error),
    })
}

/// Error of a relay.
#[derive(Debug)]
enum RelayError {
    /// The socket has failed.
    Connection(io::Error),
    /// There is no thread or descriptor left.
    System(io::Error),
}

/// Takes standard input and output away from the process, so that each can be closed.
fn take_streams() -> io::Result<(File, File)> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let input = fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let output = fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    Ok((input.into(), output.into()))
}

/// Relays until both directions are at their end. `tell` gets the number of bytes of the one to the output.
fn relay(
    socket: &OwnedFd,
    input: File,
    output: File,
    tell: impl FnOnce(u64),
) -> Result<(), RelayError> {
    let sending = dup(socket).map_err(|errno| RelayError::System(errno.into()))?;
    let sender = thread::Builder::new()
        .name("sender".into())
        .spawn(move || send_all(sending.as_fd(), input))
        .map_err(RelayError::System)?;
    let received = receive_all(socket.as_fd(), output)?;
    tell(received);
    let sent = sender.join().expect("the sender does not panic");
    sent?;
    // Both directions are at their end: what is on its way is delivered.
    let _ = sockopt::set_socket_linger(socket, None);
    Ok(())
}

/// Tells that so many bytes are all that the socket has received.
fn tell_end(received: u64) {
    // Without a reader, nobody waits for it.
    let _ = io::stderr().write_all(format!("end {received}\n").as_bytes());
}

/// Sends the input, and then the end of it. A peer that reads no more ends the input.
fn send_all(socket: BorrowedFd<'_>, mut input: File) -> Result<(), RelayError> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(RelayError::System(error)),
        };
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            match send(socket, rest, SendFlags::NOSIGNAL) {
                Ok(sent) => rest = &rest[sent..],
                Err(Errno::INTR) => {}
                // It has closed its side, and what it has sent before is received.
                Err(Errno::PIPE) => return Ok(()),
                Err(errno) => return Err(RelayError::Connection(errno.into())),
            }
        }
    }
    // The peer may have closed its side meanwhile.
    let _ = shutdown(socket, Shutdown::Write);
    Ok(())
}

/// Writes what the socket receives to the output, and returns its length. An output without reader ends the receiving.
fn receive_all(socket: BorrowedFd<'_>, mut output: File) -> Result<u64, RelayError> {
    let (mut buffer, mut received) = (vec![0; BUFFER], 0);
    loop {
        let length = match recv(socket, &mut buffer[..], RecvFlags::empty()) {
            Ok((0, _)) => return Ok(received),
            Ok((length, _)) => length,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(RelayError::Connection(errno.into())),
        };
        match output.write_all(&buffer[..length]) {
            Ok(()) => received += length as u64,
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                let _ = shutdown(socket, Shutdown::Read);
                return Ok(received);
            }
            Err(error) => return Err(RelayError::System(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, PipeWriter, pipe};
    use std::net::{Shutdown as Half, TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc::channel;

    use proptest::prelude::*;

    use super::*;

    /// The other ends of a relay, and its result and what it has told.
    struct Relayed {
        input: PipeWriter,
        output: PipeReader,
        relay: thread::JoinHandle<(Result<(), RelayError>, Option<u64>)>,
    }

    fn start(socket: impl Into<OwnedFd>) -> Relayed {
        let ((from, input), (output, to)) = (pipe().unwrap(), pipe().unwrap());
        let (socket, from, to) = (socket.into(), OwnedFd::from(from), OwnedFd::from(to));
        let relay = thread::spawn(move || {
            let mut told = None;
            let done = relay(&socket, from.into(), to.into(), |end| told = Some(end));
            (done, told)
        });
        Relayed {
            input,
            output,
            relay,
        }
    }

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (ours, listener.accept().unwrap().0)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn every_byte_arrives_and_the_ends_come_in_either_order(
            up in prop::collection::vec(any::<u8>(), 0..200_000),
            down in prop::collection::vec(any::<u8>(), 0..200_000),
            piece in 1usize..70_000,
            input_ends_first: bool,
        ) {
            let (ours, mut peer) = UnixStream::pair().unwrap();
            let Relayed { mut input, mut output, relay } = start(ours);
            let (sent, received) = (up.clone(), down.len() as u64);
            let (done, wait_for_done) = channel();
            let writer = thread::spawn(move || {
                for piece in sent.chunks(piece) {
                    input.write_all(piece).unwrap();
                }
                if !input_ends_first {
                    wait_for_done.recv().unwrap();
                }
            });
            let answer = down.clone();
            let server = thread::spawn(move || {
                let mut all = Vec::new();
                if input_ends_first {
                    peer.read_to_end(&mut all).unwrap();
                }
                let mut sending = peer.try_clone().unwrap();
                let sender = thread::spawn(move || {
                    sending.write_all(&answer).unwrap();
                    sending.shutdown(Half::Write).unwrap();
                });
                peer.read_to_end(&mut all).unwrap();
                sender.join().unwrap();
                all
            });
            let mut back = Vec::new();
            output.read_to_end(&mut back).unwrap();
            // The receiver of a test that ends the input first is gone.
            let _ = done.send(());
            writer.join().unwrap();
            let (result, told) = relay.join().unwrap();
            prop_assert!(result.is_ok());
            prop_assert_eq!(told, Some(received));
            prop_assert!(back == down && server.join().unwrap() == up);
        }
    }

    #[test]
    fn a_reset_is_an_error_and_no_end() {
        let (ours, mut peer) = pair();
        let relayed = start(ours);
        (&relayed.input).write_all(b"unread").unwrap();
        peer.read_exact(&mut [0]).unwrap();
        // With bytes that were not read, the end is a reset.
        drop(peer);
        drop(relayed.input);
        let (result, told) = relayed.relay.join().unwrap();
        assert!(
            matches!(result, Err(RelayError::Connection(_))),
            "{result:?}"
        );
        assert_eq!(told, None);
    }

    #[test]
    fn a_peer_that_has_closed_both_directions_ends_the_input() {
        let (ours, peer) = UnixStream::pair().unwrap();
        let mut relayed = start(ours);
        drop(peer);
        assert_eq!(relayed.output.read(&mut [0]).unwrap(), 0);
        let error = loop {
            match relayed.input.write_all(&[0; 1000]) {
                Ok(()) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        let (result, told) = relayed.relay.join().unwrap();
        assert!(result.is_ok(), "{result:?}");
        assert_eq!(told, Some(0));
    }

    #[test]
    fn an_output_without_reader_ends_the_receiving_but_not_the_sending() {
        let (ours, mut peer) = UnixStream::pair().unwrap();
        let Relayed {
            mut input,
            output,
            relay,
        } = start(ours);
        drop(output);
        let mut sending = peer.try_clone().unwrap();
        while sending.write_all(&[0; 1000]).is_ok() {}
        input.write_all(b"still sent").unwrap();
        drop(input);
        let mut sent = [0; 10];
        peer.read_exact(&mut sent).unwrap();
        assert_eq!(&sent, b"still sent");
        assert!(relay.join().unwrap().0.is_ok());
    }
}
