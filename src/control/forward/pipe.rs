//! Standard input and output as a socket, for `-W`.
//!
//! Threads copy between them and one end of a pair of sockets; the loop has the other end. Invariant: the end of standard
//! input shuts one direction down, the end of the other direction closes standard output, and a reader that has left breaks
//! the connection.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;

use rustix::io::fcntl_dupfd_cloexec;
use rustix::stdio::{dup2_stdout, stdin, stdout};

use super::limits::READ;

/// The threads.
#[derive(Debug)]
pub struct Pipe {
    writer: JoinHandle<()>,
}

impl Pipe {
    /// Starts the threads and returns the socket. Standard output is not that of the process any more.
    ///
    /// # Errors
    /// The system has no descriptor or thread left.
    pub fn start() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        let input = File::from(fcntl_dupfd_cloexec(stdin(), 3)?);
        let output = File::from(fcntl_dupfd_cloexec(stdout(), 3)?);
        dup2_stdout(File::options().write(true).open("/dev/null")?)?;
        let (from, to) = (ours.try_clone()?, ours);
        spawn("stdin", move || read_all(input, &to))?;
        let writer = spawn("stdout", move || write_all(&from, output))?;
        Ok((Self { writer }, theirs.into()))
    }

    /// Waits until standard output has everything. The socket must be closed.
    pub fn finish(self) {
        let _ = self.writer.join();
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.into()).spawn(run)
}

fn read_all(mut input: File, mut socket: &UnixStream) {
    let mut buffer = vec![0; READ];
    loop {
        match input.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => break,
            Ok(length) if socket.write_all(&buffer[..length]).is_err() => return,
            Ok(_) => {}
        }
    }
    let _ = socket.shutdown(Shutdown::Write);
}

fn write_all(mut socket: &UnixStream, mut output: File) {
    let mut buffer = vec![0; READ];
    loop {
        match socket.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
            Ok(length) if output.write_all(&buffer[..length]).is_err() => {
                let _ = socket.shutdown(Shutdown::Both);
                return;
            }
            Ok(_) => {}
        }
    }
}
